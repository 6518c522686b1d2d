//! What plugins offer over HTTP to those who watch the server: a path on an address, and a function that answers.
//!
//! The sockets are opened beside the query line, by who runs the server.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::corefile::{ConfigError, Directive};
use crate::certificate::CertificateFiles;

/// A path that is served over HTTP.
pub struct Endpoint {
    /// The plugin that offers it.
    pub plugin: &'static str,
    /// Where it is served.
    pub listen: SocketAddr,
    /// What it is served with over TLS, and with it all that is served on the address; None for plain HTTP.
    pub tls: Option<CertificateFiles>,
    /// Its path; all others on the address are not found.
    pub path: &'static str,
    /// Makes the answer to a request.
    pub reply: Box<dyn Fn() -> Reply + Send + Sync>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// How far the server has come between its start and its end.
#[derive(Default)]
pub struct Life {
    stopping: AtomicBool,
    loading: Mutex<Vec<(&'static str, Arc<AtomicBool>)>>,
    failure: OnceLock<String>,
}

impl Reply {
    /// Text without a line end.
    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

impl Life {
    /// The server is about to stop.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The process has to end, for this reason; the first one counts.
    pub(super) fn fail(&self, why: String) {
        self.failure.get_or_init(|| why);
    }

    /// Why the process has to end, if it has to.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Has the server wait for a plugin until it sets the flag.
    pub(super) fn wait_for(&self, plugin: &'static str) -> Arc<AtomicBool> {
        let loaded = Arc::new(AtomicBool::new(false));
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).push((plugin, Arc::clone(&loaded)));
        loaded
    }

    /// The plugins that are not ready, sorted, each once.
    pub(super) fn not_ready(&self) -> Vec<&'static str> {
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> =
            loading.iter().filter(|(_, loaded)| !loaded.load(Ordering::Relaxed)).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The address of a line `PLUGIN [ADDRESS]`.
pub(super) fn listen(line: &Directive, default: &str) -> Result<SocketAddr, ConfigError> {
    let text = match &line.args[..] {
        [] => default,
        [only] => &only.text,
        _ => return Err(line.wrong_argument_count()),
    };
    listen_address(text).map_err(ConfigError::plain)
}

/// Reads `ADDRESS:PORT`, `NAME:PORT` or `:PORT`, which is every address.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let missing = || format!("address {text}: missing port in address");
    let (host, port) = text.rsplit_once(':').ok_or_else(missing)?;
    if host.starts_with('[') != host.ends_with(']') || (host.contains(':') && !host.starts_with('[')) {
        return Err(missing());
    }
    let port: u16 = port.parse().map_err(|_| format!("address {text}: invalid port"))?;
    if host.is_empty() {
        return Ok(SocketAddr::from(([0u16; 8], port)));
    }
    let resolved: Vec<SocketAddr> = text.to_socket_addrs().map_err(|why| format!("address {text}: {why}"))?.collect();
    let first = resolved.iter().find(|address| address.is_ipv4()).or_else(|| resolved.first());
    first.copied().ok_or_else(|| format!("address {text}: no such host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        for (text, expected) in [
            (":8080", Ok("[::]:8080")),
            ("127.0.0.1:80", Ok("127.0.0.1:80")),
            ("[::1]:80", Ok("[::1]:80")),
            ("localhost:9153", Ok("127.0.0.1:9153")),
            ("8080", Err("address 8080: missing port in address")),
            ("::1", Err("address ::1: missing port in address")),
            ("[::1]", Err("address [::1]: missing port in address")),
            (":70000", Err("address :70000: invalid port")),
        ] {
            let found = listen_address(text).map(|address| address.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
