//! # ready
//!
//! ## Name
//! *ready* - says over HTTP when everything is served.
//!
//! ## Description
//! Tells over HTTP whether all is loaded: `/ready` answers 200 and `OK`, or 503 with the names of the plugins that are
//! not ready, joined by commas. While the server stops it answers 503 and `Shutting down`.
//!
//! ## Syntax
//! ```corefile
//! ready [ADDRESS] {
//!     monitor until-ready|continuously
//! }
//! ```
//! * **ADDRESS** is where it listens, `:8181` by default.
//! * `monitor` says whether a plugin that was ready once is asked again. With `until-ready`, the default, all that were
//!   ready count as ready; with `continuously` they are asked each time.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     ready 127.0.0.1:8181
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It is what asks the others; each page says under this heading whether its plugin signals readiness.
//!
//! ## See also
//! `health`, `pocketbase`.
//!
//! ## Bugs
//! None are known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::corefile::{ConfigError, Directive};
use super::endpoint::listen;
use super::{Endpoint, Life, Plugin, Reply, Setup};

/// Registers the endpoint; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    let listen = listen(line, DEFAULT_LISTEN)?;
    let mut continuously = false;
    for property in line.properties() {
        if property.name.text != "monitor" {
            return Err(property.unknown_property());
        }
        let value = property.one_argument()?;
        continuously = match &value.text[..] {
            "until-ready" => false,
            "continuously" => true,
            other => return Err(value.error(format!("invalid monitor type '{other}'"))),
        };
    }
    let ready = Ready { life: Arc::clone(&setup.services.life), continuously, was_ready: AtomicBool::new(false) };
    let reply = Box::new(move || ready.reply());
    setup.services.endpoints.push(Endpoint { plugin: "ready", listen, tls: None, path: "/ready", reply });
    Ok(None)
}

/// Answers for one line.
struct Ready {
    life: Arc<Life>,
    continuously: bool,
    was_ready: AtomicBool,
}

impl Ready {
    /// What is so at this moment.
    fn reply(&self) -> Reply {
        if self.life.is_stopping() {
            return Reply::text(503, "Shutting down");
        }
        if !self.continuously && self.was_ready.load(Ordering::Relaxed) {
            return Reply::text(200, "OK");
        }
        let waiting = self.life.not_ready();
        if waiting.is_empty() {
            self.was_ready.store(true, Ordering::Relaxed);
            return Reply::text(200, "OK");
        }
        Reply::text(503, waiting.join(","))
    }
}

/// Where it listens if the Corefile does not say.
const DEFAULT_LISTEN: &str = ":8181";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_what_is_loading_and_says_that_it_stops() {
        for continuously in [false, true] {
            let ready = Ready { life: Arc::default(), continuously, was_ready: AtomicBool::new(false) };
            let (one, other) = (ready.life.wait_for("pocketbase"), ready.life.wait_for("auto"));
            assert_eq!(ready.reply(), Reply::text(503, "auto,pocketbase"));
            other.store(true, Ordering::Relaxed);
            assert_eq!(ready.reply(), Reply::text(503, "pocketbase"));
            one.store(true, Ordering::Relaxed);
            assert_eq!(ready.reply(), Reply::text(200, "OK"));
            one.store(false, Ordering::Relaxed);
            assert_eq!(ready.reply().status, if continuously { 503 } else { 200 });
            ready.life.stop();
            assert_eq!(ready.reply(), Reply::text(503, "Shutting down"));
        }
    }
}
