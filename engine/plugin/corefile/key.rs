//! What a server block serves: `[SCHEME://]ZONE[:PORT]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::name::ToLabelIter;
use store::{Name, name};

use super::ConfigError;
use super::lexer::Token;

/// One zone of a server block, with the scheme and the port it is served on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// How messages come in.
    pub scheme: Scheme,
    /// The zone, in lower case.
    pub zone: Name,
    /// The port.
    pub port: u16,
}

/// How messages come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// UDP and TCP (RFC 1035 §4.2).
    Dns,
    /// TLS (RFC 7858).
    Tls,
    /// HTTPS (RFC 8484).
    Https,
    /// HTTP/3.
    Https3,
    /// QUIC (RFC 9250).
    Quic,
    /// gRPC.
    Grpc,
}

impl Scheme {
    /// All schemes.
    const ALL: [Self; 6] = [Self::Dns, Self::Tls, Self::Https, Self::Https3, Self::Quic, Self::Grpc];

    /// Its name in a key.
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

    /// The port of a key that names none; that of plain DNS is the caller's.
    fn port(self, plain: u16) -> u16 {
        match self {
            Self::Dns => plain,
            Self::Tls | Self::Quic => 853,
            Self::Https | Self::Https3 | Self::Grpc => 443,
        }
    }
}

impl ServerKey {
    /// Reads a key; a network (CIDR) that does not end between two labels of the reverse tree gives several.
    pub(super) fn read(token: &Token, port: u16, warnings: &mut Vec<String>) -> Result<Vec<Self>, ConfigError> {
        let (scheme, rest) = scheme(&token.text)?;
        let (host, explicit) = split_port(rest)?;
        let zones = zones(host)?;
        for zone in zones.iter().filter(|zone| !is_preferred(zone)) {
            warnings.push(format!("Domain \"{}\" does not follow RFC1035 preferred syntax", name::to_text(zone)));
        }
        let port = explicit.unwrap_or_else(|| scheme.port(port));
        Ok(zones.into_iter().map(|zone| Self { scheme, zone, port }).collect())
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        for label in self.zone.iter_labels().filter(|label| !label.is_root()) {
            for &octet in label.as_slice() {
                match octet {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => write!(f, "{}", octet as char)?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        if self.zone.is_root() {
            f.write_str(".")?;
        }
        write!(f, ":{}", self.port)
    }
}

/// Checks that no zone is served twice in one place. Each key comes with the addresses that its block is bound to; none
/// is all.
pub fn check_overlap(keys: &[(&ServerKey, &[IpAddr])]) -> Result<(), ConfigError> {
    for (index, (key, binds)) in keys.iter().enumerate() {
        for (earlier, earlier_binds) in keys[..index].iter().filter(|(earlier, _)| earlier == key) {
            match (binds.is_empty(), earlier_binds.is_empty()) {
                (true, true) => {
                    return Err(ConfigError::plain(format!("cannot serve {key} - it is already defined")));
                }
                (false, false) => {
                    if let Some(address) = binds.iter().find(|address| earlier_binds.contains(address)) {
                        return Err(ConfigError::plain(format!(
                            "cannot serve {key} on {address} - it is already defined"
                        )));
                    }
                }
                _ => {
                    let place = |key: &ServerKey, binds: &[IpAddr]| {
                        binds.first().map_or_else(|| key.to_string(), |address| format!("{key} on {address}"))
                    };
                    return Err(ConfigError::plain(format!(
                        "cannot serve {} - zone overlap listener capacity with {}",
                        place(key, binds),
                        place(earlier, earlier_binds)
                    )));
                }
            }
        }
    }
    Ok(())
}

/// The zones of a host part: a name, or the reverse zones of a network.
pub(super) fn zones(host: &str) -> Result<Vec<Name>, ConfigError> {
    if host.len() > 255 {
        return Err(ConfigError::keys(format!("specified zone is too long: {} > 255", host.len())));
    }
    if let Some(zones) = reverse_zones(host) {
        return Ok(zones);
    }
    let invalid = |_| ConfigError::keys(format!("zone is not a valid domain name: {host}"));
    match host {
        "" => Ok(vec![Name::root_bytes()]),
        // At the end of an origin it would mean the root.
        "@" => name::parse("\\@", Some(&Name::root_bytes())).map(|zone| vec![zone]).map_err(invalid),
        _ => name::parse(host, Some(&Name::root_bytes())).map(|zone| vec![name::lower(&zone)]).map_err(invalid),
    }
}

/// Takes the scheme and the port off a word that names zones.
pub(super) fn host(word: &str) -> Result<&str, ConfigError> {
    Ok(split_port(scheme(word)?.1)?.0)
}

/// The scheme and what follows it.
fn scheme(word: &str) -> Result<(Scheme, &str), ConfigError> {
    let Some((name, rest)) = word.split_once("://") else { return Ok((Scheme::Dns, word)) };
    let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name));
    scheme.map(|scheme| (scheme, rest)).ok_or_else(|| ConfigError::keys(format!("unknown scheme in \"{word}\"")))
}

/// The part before the last colon and the port behind it, if that is a number.
fn split_port(word: &str) -> Result<(&str, Option<u16>), ConfigError> {
    match word.rsplit_once(':') {
        Some((_, "")) => Err(ConfigError::keys(format!("expecting data after last colon: \"{word}\""))),
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => match port.parse() {
            Ok(port) => Ok((host, Some(port))),
            Err(_) => Err(ConfigError::plain(format!("listen: address {port}: invalid port"))),
        },
        _ => Ok((word, None)),
    }
}

/// The reverse zones that cover a network; None if the text is no network. Host bits count for nothing.
fn reverse_zones(text: &str) -> Option<Vec<Name>> {
    let (address, length) = text.split_once('/')?;
    let length: usize = length.parse().ok().filter(|_| length.bytes().all(|c| c.is_ascii_digit()))?;
    let (digits, bits, base, tree): (Vec<u8>, usize, usize, &str) = match address.parse().ok()? {
        IpAddr::V4(address) => (Ipv4Addr::octets(&address).to_vec(), 8, 256, "in-addr.arpa."),
        IpAddr::V6(address) => {
            let octets = Ipv6Addr::octets(&address);
            (octets.iter().flat_map(|octet| [octet >> 4, octet & 15]).collect(), 4, 16, "ip6.arpa.")
        }
    };
    if length > digits.len() * bits {
        return None;
    }
    let (whole, left) = (length / bits, length % bits);
    let label = |digit: usize| if bits == 8 { format!("{digit}.") } else { format!("{digit:x}.") };
    let parent: String = digits[..whole].iter().rev().map(|&digit| label(usize::from(digit))).collect();
    let firsts: Vec<String> = if left == 0 {
        vec![String::new()]
    } else {
        let count = base >> left;
        let from = usize::from(digits[whole]) / count * count;
        (from..from + count).map(label).collect()
    };
    firsts.iter().map(|first| name::parse(&format!("{first}{parent}{tree}"), None).ok()).collect()
}

/// Whether each label is letters, digits and inner hyphens (RFC 1035 §2.3.1); underscores and `*` are common enough.
fn is_preferred(zone: &Name) -> bool {
    zone.iter_labels().filter(|label| !label.is_root()).all(|label| {
        let octets = label.as_slice();
        octets.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
            && octets.first() != Some(&b'-')
            && octets.last() != Some(&b'-')
    })
}
