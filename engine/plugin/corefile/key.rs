//! Server keys: `[SCHEME://]ZONE[:PORT]`.

use std::fmt;

use store::{Name, name};

use super::{ConfigError, Token, cidr};
use crate::plugin::Transport;

/// What a server block is asked for: a zone, a port, and how queries come in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey {
    /// How queries come in.
    pub scheme: Scheme,
    /// The zone, in lower case.
    pub zone: Name,
    /// The port: the key's own, else the scheme's default.
    pub port: u16,
}

/// The transports of DNS that a key can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// UDP and TCP (RFC 1035 §4.2).
    #[default]
    Dns,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// The same over HTTP/3.
    Https3,
    /// DNS over QUIC (RFC 9250).
    Quic,
    /// One message a gRPC call.
    Grpc,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Dns, Self::Tls, Self::Https, Self::Https3, Self::Quic, Self::Grpc];

    /// What stands before `://`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Https3 => "https3",
            Self::Quic => "quic",
            Self::Grpc => "grpc",
        }
    }

    /// The port of a key without one; `dns_port` for plain DNS.
    pub fn default_port(self, dns_port: u16) -> u16 {
        match self {
            Self::Dns => dns_port,
            Self::Tls | Self::Quic => 853,
            Self::Https | Self::Https3 | Self::Grpc => 443,
        }
    }

    /// What a message that comes in so has come over; plain DNS has two answers, and this is the one for streams.
    pub fn transport(self) -> Transport {
        match self {
            Self::Dns => Transport::Tcp,
            Self::Tls => Transport::Tls,
            Self::Https => Transport::Https,
            Self::Https3 => Transport::Https3,
            Self::Quic => Transport::Quic,
            Self::Grpc => Transport::Grpc,
        }
    }

    /// The names that TLS gives to what is spoken inside (RFC 7301); who names another one is refused.
    pub fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Dns => &[],
            Self::Tls => &[b"dot"],
            Self::Https => &[b"h2", b"http/1.1"],
            Self::Https3 => &[b"h3"],
            Self::Quic => &[b"doq"],
            Self::Grpc => &[b"h2"],
        }
    }

    /// Whether it cannot do without a certificate. The others are spoken in clear text then, behind a proxy.
    pub fn needs_certificate(self) -> bool {
        matches!(self, Self::Tls | Self::Quic | Self::Https3)
    }

    /// Takes the scheme off a text. Other words before `://` are errors, not part of a name that nobody asks for.
    fn split(text: &str) -> Result<(Self, &str), KeyError> {
        let Some((word, rest)) = text.split_once("://") else { return Ok((Self::Dns, text)) };
        let scheme = Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(word));
        scheme.map(|scheme| (scheme, rest)).ok_or_else(|| KeyError::UnknownScheme(text.into()))
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), name::to_text(&self.zone), self.port)
    }
}

/// Reads a key; an address block gives one for each of its zones.
pub(super) fn read_key(key: &Token, dns_port: u16) -> Result<Vec<ServerKey>, ConfigError> {
    let (scheme, zones, port) = split(&key.text).map_err(|why| ConfigError::inspecting(key.place(), why))?;
    let port = match port {
        None => scheme.default_port(dns_port),
        Some(port) => u16::try_from(port).map_err(|_| ConfigError::port(key.place(), port))?,
    };
    Ok(zones.into_iter().map(|zone| ServerKey { scheme, zone, port }).collect())
}

/// Reads zones where a plugin takes them; schemes and ports do not count there.
pub(super) fn read_zones(text: &str) -> Result<Vec<Name>, KeyError> {
    split(text).map(|(_, zones, _)| zones)
}

/// Whether a zone's name is what RFC 1035 §2.3.1 prefers: labels of letters, digits and hyphens that begin with a letter
/// and do not end with a hyphen. The root and the reverse zones are right as they are.
pub(super) fn is_preferred(zone: &Name) -> bool {
    let text = name::to_text(zone);
    let preferred = |label: &str| {
        label.starts_with(|first: char| first.is_ascii_alphabetic())
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
    };
    let reverse = text.ends_with(".in-addr.arpa.") || text.ends_with(".ip6.arpa.");
    zone.is_root() || reverse || text.trim_end_matches('.').split('.').all(preferred)
}

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    /// Nothing stands behind the last colon, or nothing stands there at all.
    #[error("expecting data after last colon: {0:?}")]
    NoPort(String),
    /// Not a transport of DNS.
    #[error("unknown scheme in {0:?}")]
    UnknownScheme(String),
    /// A name cannot be that long (RFC 1035 §2.3.4).
    #[error("specified zone is too long: {0} > 255")]
    TooLong(usize),
    /// Not a name.
    #[error("zone is not a valid domain name: {0}")]
    NotAName(String),
}

/// Splits a key into scheme, zones and port.
///
/// The port is what stands behind the last colon if that is a number, so a bare IPv6 address loses its end to it; with
/// its length (`2001:db8::/32`) it does not.
fn split(text: &str) -> Result<(Scheme, Vec<Name>, Option<i64>), KeyError> {
    let (scheme, rest) = Scheme::split(text)?;
    let (zone, port) = match rest.rsplit_once(':') {
        None if rest.is_empty() => return Err(KeyError::NoPort(rest.into())),
        Some((_, "")) => return Err(KeyError::NoPort(rest.into())),
        Some((zone, port)) => port.parse().map_or((rest, None), |port| (zone, Some(port))),
        None => (rest, None),
    };
    let zones = match cidr::reverse_zones(zone) {
        Some(zones) => zones,
        None => vec![zone.to_owned()],
    };
    let zones = zones.iter().map(|zone| read_zone(zone)).collect::<Result<_, _>>()?;
    Ok((scheme, zones, port))
}

/// Reads a zone's name, absolute whether it ends with a dot or not.
fn read_zone(text: &str) -> Result<Name, KeyError> {
    // `@` is a name like any other here.
    let parsed = if text == "@" { name::parse("@.", None) } else { name::parse(text, Some(&Name::root_bytes())) };
    parsed.map(|zone| name::lower(&zone)).map_err(|_| match text.len() {
        ..=OCTETS_MAX => KeyError::NotAName(text.into()),
        length => KeyError::TooLong(length),
    })
}

/// Octets of a name at most (RFC 1035 §2.3.4).
const OCTETS_MAX: usize = 255;
