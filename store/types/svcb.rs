//! Service parameters of SVCB and HTTPS records (RFC 9460): a small table of keys, and per form of value its check, its
//! text out and its text in.
//!
//! `domain` 0.12.3 has them too, but its reader refuses keys with a `z` or a `9`, and what it prints it cannot always
//! read.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::utils::base64;

use super::scanner::{EntryScanner, ScanError};
use super::text::push_escaped;
use super::wire::counted;

/// A reason without a place.
type Reason = Cow<'static, str>;

/// The forms of values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Keys that must be understood (RFC 9460 §8).
    Keys,
    /// Protocol names (RFC 9460 §7.1).
    Protocols,
    /// No value.
    Empty,
    /// A port (RFC 9460 §7.2).
    Port,
    /// IPv4 addresses (RFC 9460 §7.3).
    Ip4,
    /// IPv6 addresses (RFC 9460 §7.3).
    Ip6,
    /// Groups of TLS by number, none twice.
    Groups,
    /// Segments of a path, perhaps none (RFC 9953).
    Segments,
    /// Octets in base64 (RFC 9848).
    Base64,
    /// Octets as a string.
    Opaque,
}

/// The registered keys: number, name, form of the value.
const KEYS: [(u16, &str, Form); 11] = [
    (0, "mandatory", Form::Keys),
    (1, "alpn", Form::Protocols),
    (2, "no-default-alpn", Form::Empty),
    (3, "port", Form::Port),
    (4, "ipv4hint", Form::Ip4),
    (5, "ech", Form::Base64),
    (6, "ipv6hint", Form::Ip6),
    (7, "dohpath", Form::Opaque),
    (8, "ohttp", Form::Empty),
    (9, "tls-supported-groups", Form::Groups),
    (10, "docpath", Form::Segments),
];

/// Checks service parameters in wire form: keys ascending, values in form, mandatory keys there (RFC 9460 §2.2, §8).
pub(super) fn check(params: &[u8]) -> Result<(), Reason> {
    let mut keys = Vec::new();
    let mut mandatory: &[u8] = &[];
    for param in Params(params) {
        let (key, value) = param?;
        if keys.last().is_some_and(|last| *last >= key) {
            return Err("the parameters are out of order or double".into());
        }
        keys.push(key);
        check_value(form(key), value).map_err(|why| format!("{}: {why}", key_name(key)))?;
        if key == MANDATORY {
            mandatory = value;
        }
    }
    // RFC 9460 §7.1.2: without the default there must be another protocol.
    if keys.contains(&NO_DEFAULT_ALPN) && !keys.contains(&ALPN) {
        return Err("no-default-alpn needs alpn".into());
    }
    for wanted in mandatory.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])) {
        if keys.binary_search(&wanted).is_err() {
            return Err(format!("{} is mandatory but not there", key_name(wanted)).into());
        }
    }
    Ok(())
}

/// Appends checked service parameters in presentation form, each with a space before it.
pub(super) fn write(params: &[u8], text: &mut String) {
    for (key, value) in Params(params).flatten() {
        text.push(' ');
        text.push_str(&key_name(key));
        if value.is_empty() {
            continue;
        }
        text.push('=');
        match form(key) {
            Form::Keys => {
                let keys = value.chunks_exact(2).map(|pair| key_name(u16::from_be_bytes([pair[0], pair[1]])));
                text.push_str(&keys.collect::<Vec<_>>().join(","));
            }
            Form::Port => {
                text.push_str(&value.iter().fold(0_u16, |port, octet| port << 8 | u16::from(*octet)).to_string())
            }
            Form::Ip4 => {
                let addresses = value.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets).to_string());
                text.push_str(&addresses.collect::<Vec<_>>().join(","));
            }
            Form::Ip6 => {
                let addresses = value.as_chunks::<16>().0.iter().map(|octets| Ipv6Addr::from(*octets).to_string());
                text.push_str(&addresses.collect::<Vec<_>>().join(","));
            }
            Form::Base64 => text.push_str(&base64::encode_string(value)),
            Form::Groups => {
                let groups = value.as_chunks::<2>().0.iter().map(|octets| u16::from_be_bytes(*octets).to_string());
                text.push_str(&groups.collect::<Vec<_>>().join(","));
            }
            Form::Protocols | Form::Segments => push_quoted(&protocols_to_list(value), text),
            Form::Empty | Form::Opaque => push_quoted(value, text),
        }
    }
}

/// Reads the parameters up to the end of the entry, in any order (RFC 9460 §2.1), and appends their wire form.
pub(super) fn read(scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while scanner.peek().is_some() {
        let octets = scanner.joined()?;
        let (name, value) = match octets.iter().position(|octet| *octet == b'=') {
            Some(at) => (&octets[..at], Some(&octets[at + 1..])),
            None => (&octets[..], None),
        };
        let key =
            key_from_name(name).ok_or_else(|| ScanError("the parameter is unknown; keyNNNNN names any".into()))?;
        // `keyNNNNN` takes the value as octets, also for keys that have a name (RFC 9460 §2.1).
        let form = if name.starts_with(b"key") { Form::Opaque } else { form(key) };
        let value = value_from_text(form, value.unwrap_or_default())
            .map_err(|why| ScanError(format!("{}: {why}", key_name(key)).into()))?;
        params.push((key, value));
    }
    params.sort();
    let start = wire.len();
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| ScanError("the value is too long".into()))?;
        wire.extend_from_slice(&key.to_be_bytes());
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(&value);
    }
    check(&wire[start..]).map_err(ScanError)
}

/// Parameters in wire form, one by one; ends after an error.
struct Params<'a>(&'a [u8]);

impl<'a> Iterator for Params<'a> {
    type Item = Result<(u16, &'a [u8]), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((&[k, y, l, n], after)) = self.0.split_first_chunk() else {
            self.0 = &[];
            return Some(Err(ENDS_EARLY.into()));
        };
        let (value, rest) = match after.split_at_checked(usize::from(u16::from_be_bytes([l, n]))) {
            Some((value, rest)) => (Ok((u16::from_be_bytes([k, y]), value)), rest),
            None => (Err(ENDS_EARLY.into()), &[][..]),
        };
        self.0 = rest;
        Some(value)
    }
}

/// Checks one value in wire form.
fn check_value(form: Form, value: &[u8]) -> Result<(), Reason> {
    let fits = match form {
        Form::Keys => {
            let (keys, odd) = value.as_chunks::<2>();
            // In ascending order, and without itself, whose number is 0.
            !keys.is_empty() && odd.is_empty() && keys[0] != [0, 0] && keys.is_sorted_by(|a, b| a < b)
        }
        Form::Protocols | Form::Segments => {
            let mut rest = value;
            while !rest.is_empty() {
                match counted(rest)? {
                    [] => return Err("a protocol has no name".into()),
                    name => rest = &rest[name.len() + 1..],
                }
            }
            !value.is_empty() || form == Form::Segments
        }
        Form::Groups => {
            let (groups, odd) = value.as_chunks::<2>();
            let twice = |(at, group)| groups[..at].contains(group);
            !groups.is_empty() && odd.is_empty() && !groups.iter().enumerate().any(twice)
        }
        Form::Empty => value.is_empty(),
        Form::Port => value.len() == 2,
        Form::Ip4 => !value.is_empty() && value.len().is_multiple_of(4),
        Form::Ip6 => !value.is_empty() && value.len().is_multiple_of(16),
        Form::Base64 => !value.is_empty(),
        Form::Opaque => true,
    };
    if fits { Ok(()) } else { Err("the value has the wrong form".into()) }
}

/// Wire form of a value whose character-string escapes are resolved.
fn value_from_text(form: Form, value: &[u8]) -> Result<Vec<u8>, Reason> {
    let text = || std::str::from_utf8(value).map_err(|_| Reason::from("the value is not UTF-8"));
    let mut wire = Vec::new();
    match form {
        Form::Keys => {
            let mut keys = Vec::new();
            for name in value.split(|octet| *octet == b',') {
                keys.push(key_from_name(name).ok_or("a key is unknown")?);
            }
            keys.sort_unstable();
            wire.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
        }
        Form::Segments if value.is_empty() => {}
        Form::Groups => {
            for group in text()?.split(',') {
                wire.extend(group.parse::<u16>().map_err(|_| "numbers of groups are expected")?.to_be_bytes());
            }
        }
        Form::Protocols | Form::Segments => {
            for name in list_to_protocols(value) {
                wire.push(u8::try_from(name.len()).map_err(|_| "a protocol's name is longer than 255 octets")?);
                wire.extend_from_slice(&name);
            }
        }
        Form::Port => wire.extend(text()?.parse::<u16>().map_err(|_| "a port up to 65535 is expected")?.to_be_bytes()),
        Form::Ip4 => {
            for address in text()?.split(',') {
                wire.extend(address.parse::<Ipv4Addr>().map_err(|_| "IPv4 addresses are expected")?.octets());
            }
        }
        Form::Ip6 => {
            for address in text()?.split(',') {
                wire.extend(address.parse::<Ipv6Addr>().map_err(|_| "IPv6 addresses are expected")?.octets());
            }
        }
        Form::Base64 => wire = base64::decode(text()?).map_err(|_| "base64 is expected")?,
        Form::Empty | Form::Opaque => wire.extend_from_slice(value),
    }
    Ok(wire)
}

/// Protocol names as a comma-separated list, where `\` escapes a comma or itself (RFC 9460 appendix A.1).
fn protocols_to_list(value: &[u8]) -> Vec<u8> {
    let mut list = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Ok(name) = counted(rest) {
        if !list.is_empty() {
            list.push(b',');
        }
        for &octet in name {
            if matches!(octet, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(octet);
        }
        rest = &rest[name.len() + 1..];
    }
    list
}

/// The opposite of [`protocols_to_list`].
fn list_to_protocols(list: &[u8]) -> Vec<Vec<u8>> {
    let mut names = vec![Vec::new()];
    let mut octets = list.iter();
    while let Some(&octet) = octets.next() {
        match (octet, names.last_mut()) {
            (b',', _) => names.push(Vec::new()),
            (b'\\', Some(name)) => name.extend(octets.next()),
            (_, Some(name)) => name.push(octet),
            (_, None) => {}
        }
    }
    names
}

/// Appends a value, in quotes if it needs them.
fn push_quoted(value: &[u8], text: &mut String) {
    let plain = value.iter().all(|octet| octet.is_ascii_graphic() && !b"\"();\\".contains(octet));
    if plain {
        text.extend(value.iter().map(|octet| char::from(*octet)));
    } else {
        text.push('"');
        push_escaped(value, text);
        text.push('"');
    }
}

/// The form of a key's value.
fn form(key: u16) -> Form {
    KEYS.iter().find(|(number, ..)| *number == key).map_or(Form::Opaque, |(_, _, form)| *form)
}

/// The name of a key, or `keyNNNNN`.
fn key_name(key: u16) -> Cow<'static, str> {
    let named = KEYS.iter().find(|(number, ..)| *number == key);
    named.map_or_else(|| format!("key{key}").into(), |(_, name, _)| (*name).into())
}

/// The key of a name or of `keyNNNNN` without leading zeros; 65535 is reserved (RFC 9460 §14.3.2).
fn key_from_name(name: &[u8]) -> Option<u16> {
    if let Some((number, ..)) = KEYS.iter().find(|(_, known, _)| known.as_bytes() == name) {
        return Some(*number);
    }
    let digits = std::str::from_utf8(name.strip_prefix(b"key")?).ok()?;
    let number: u16 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// The key that lists others.
const MANDATORY: u16 = 0;

/// The key that names protocols.
const ALPN: u16 = 1;

/// The key that excludes the default protocol.
const NO_DEFAULT_ALPN: u16 = 2;

/// The parameters are cut off.
const ENDS_EARLY: &str = "the parameters end early";
