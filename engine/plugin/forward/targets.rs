//! From the words behind FROM to addresses.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::time::Duration;

use domain::base::iana::Rtype;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use store::name;

use super::exchange;
use crate::plugin::Setup;
use crate::plugin::corefile::{ConfigError, Token};
use crate::plugin::later;
use crate::wire::{Query, Received};

/// What a word stands for.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) scheme: Scheme,
}

/// What is spoken to it.
#[derive(Clone)]
pub(super) enum Scheme {
    /// Plain DNS.
    Dns,
    /// TLS, with whoever has a certificate for this name, or else for the address.
    Tls(Option<String>),
    /// HTTPS, with the host of this URI.
    Https(Uri),
}

/// The upstreams that a word stands for: itself, the name servers of a file, or the addresses of a host.
pub(super) fn read(to: &Token, resolver: &[SocketAddr], setup: &Setup<'_>) -> Result<Vec<Target>, ConfigError> {
    if let Some(text) = to.text.strip_prefix("tls://") {
        return read_tls(to, text, resolver);
    }
    if to.text.starts_with("https://") {
        return read_https(to, resolver);
    }
    let found = read_plain(to, resolver, setup)?;
    Ok(found.into_iter().map(|address| Target { address, scheme: Scheme::Dns }).collect())
}

/// Those with HTTPS: `https://HOST[:PORT][/PATH]`.
fn read_https(to: &Token, resolver: &[SocketAddr]) -> Result<Vec<Target>, ConfigError> {
    let mut parts = to.text.parse::<Uri>().map_err(|_| not_an_upstream(to))?.into_parts();
    if parts.path_and_query.as_ref().is_none_or(|path| path == "/") {
        parts.path_and_query = Some(PathAndQuery::from_static("/dns-query"));
    }
    let uri = Uri::from_parts(parts).map_err(|_| not_an_upstream(to))?;
    let host = uri.host().ok_or_else(|| not_an_upstream(to))?;
    let port = uri.port_u16().unwrap_or(HTTPS_PORT);
    let found = match address(host, port) {
        Some(address) => vec![address],
        None => look_up(to, host, port, resolver)?,
    };
    Ok(found.into_iter().map(|address| Target { address, scheme: Scheme::Https(uri.clone()) }).collect())
}

/// Those with TLS.
fn read_tls(to: &Token, text: &str, resolver: &[SocketAddr]) -> Result<Vec<Target>, ConfigError> {
    // `ADDRESS%NAME`, with the port behind either.
    let (host, name, port) = match text.split_once('%') {
        None => (text, None, TLS_PORT),
        Some((host, name)) => match name.rsplit_once(':') {
            None => (host, Some(name), TLS_PORT),
            Some((name, port)) => (host, Some(name), port.parse().map_err(|_| not_an_upstream(to))?),
        },
    };
    if let Some(address) = address(host, port) {
        return Ok(vec![Target { address, scheme: Scheme::Tls(name.map(Into::into)) }]);
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| not_an_upstream(to))?),
        None => (host, port),
    };
    let name = name.unwrap_or(host).to_owned();
    let target = |address| Target { address, scheme: Scheme::Tls(Some(name.clone())) };
    Ok(look_up(to, host, port, resolver)?.into_iter().map(target).collect())
}

/// Those without TLS.
fn read_plain(to: &Token, resolver: &[SocketAddr], setup: &Setup<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let text = to.text.strip_prefix("dns://").unwrap_or(&to.text);
    if let Some(address) = address(text, PORT) {
        return Ok(vec![address]);
    }
    if text.contains("://") {
        return Err(to.error(format!("only dns://, tls:// and https:// upstreams are supported: {:?}", to.text)));
    }
    let path = setup.path(text);
    if path.is_file() {
        let file = std::fs::read_to_string(&path).map_err(|why| to.error(format!("{}: {why}", path.display())))?;
        let found = name_servers(&file);
        return match found.is_empty() {
            true => Err(to.error(format!("no nameservers found in {}", path.display()))),
            false => Ok(found),
        };
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| not_an_upstream(to))?),
        None => (text, PORT),
    };
    look_up(to, host, port, resolver)
}

/// The addresses of a host.
fn look_up(to: &Token, host: &str, port: u16, resolver: &[SocketAddr]) -> Result<Vec<SocketAddr>, ConfigError> {
    // A path that is not there is no host.
    if name::parse(host, Some(&store::Name::root_bytes())).is_err() || host.contains('/') {
        return Err(not_an_upstream(to));
    }
    let found = if resolver.is_empty() { by_system(host, port) } else { by_resolver(host, port, resolver) };
    let mut found = found.map_err(|why| to.error(format!("failed to resolve {host:?}: {why}")))?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// An address with or without a port, IPv6 with or without brackets and with or without an interface.
pub(super) fn address(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let (host, port) = match text.rsplit_once("]:") {
        Some((host, port)) => (host.strip_prefix('[')?, port.parse().ok()?),
        None => (bare, port),
    };
    let (ip, interface) = host.split_once('%')?;
    let scope = nix::net::if_::if_nametoindex(interface).ok()?;
    Some(SocketAddrV6::new(ip.parse().ok()?, port, 0, scope).into())
}

/// The name servers of a file like `/etc/resolv.conf`.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| address(words.next()?, PORT))?
    };
    text.lines().filter_map(server).collect()
}

/// The addresses of a host, as the system knows them.
fn by_system(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    (host, port).to_socket_addrs().map(Iterator::collect).map_err(|why| why.to_string())
}

/// The addresses of a host, as other servers know them.
fn by_resolver(host: &str, port: u16, resolver: &[SocketAddr]) -> Result<Vec<SocketAddr>, String> {
    let qname = name::parse(host, Some(&store::Name::root_bytes())).map_err(|why| why.to_string())?;
    let servers = resolver.to_vec();
    let (sender, found) = std::sync::mpsc::channel();
    later::spawn(async move {
        let mut addresses = Vec::new();
        for rtype in [Rtype::A, Rtype::AAAA] {
            let Some((head, query)) = question(qname.as_slice(), rtype, true) else { continue };
            for server in &servers {
                let exchange = exchange::over_udp(*server, None, &query, &head);
                if let Ok(Ok(received)) = tokio::time::timeout(RESOLVE_PATIENCE, exchange).await {
                    addresses.extend(addresses_in(&received, port));
                    break;
                }
            }
        }
        // Who asked waits.
        let _ = sender.send(addresses);
    });
    let found = found.recv().unwrap_or_default();
    if found.is_empty() { Err("no address was found".into()) } else { Ok(found) }
}

/// The addresses in an answer section.
fn addresses_in(received: &Received, port: u16) -> Vec<SocketAddr> {
    received.addresses().into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The question of a message of our own, and the message up to its end; None if the name is too long for one.
pub(super) fn question(qname: &[u8], rtype: Rtype, recursion: bool) -> Option<(Vec<u8>, Query)> {
    let mut message = vec![0, 0, u8::from(recursion), 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(qname);
    message.extend(rtype.to_int().to_be_bytes());
    message.extend([0, 1]);
    let query = Query::read(&message).ok()?;
    Some((message, query))
}

/// An error about a word that stands for nothing.
fn not_an_upstream(to: &Token) -> ConfigError {
    to.error(format!("not an IP address or file: {:?}", to.text))
}

/// The port of DNS.
const PORT: u16 = 53;

/// The port of DNS over TLS.
const TLS_PORT: u16 = 853;

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// How long one server may take to look up a host.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(2);
