//! Domain names: text in and out, and the key whose octet order is the canonical order of names.

use std::fmt;

use bytes::Bytes;
use domain::base::name::{Label, ToLabelIter};
use thiserror::Error;

/// An absolute domain name in wire form, at most 255 octets; compares without case, orders canonically (RFC 4034 §6.1).
pub type Name = domain::base::Name<Bytes>;

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given where a name has to stand.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A label over 63 octets (RFC 1035 §2.3.4).
    #[error("the name has a label of more than 63 octets")]
    LongLabel,
    /// A name over 255 octets with its length octets (RFC 1035 §2.3.4).
    #[error("the name is longer than 255 octets")]
    LongName,
    /// `\` without what it escapes, or `\DDD` above 255.
    #[error("the name has a broken escape; write \\. or \\DDD with DDD up to 255")]
    BadEscape,
    /// A relative name where no origin is known.
    #[error("the name is relative and there is no origin; end it with a dot")]
    Relative,
}

/// Reads a name in presentation form (RFC 1035 §5.1, RFC 4343 §2.1).
///
/// A text without its final dot is relative to `origin`; `@` is the origin itself. Non-ASCII characters are taken as
/// their UTF-8 octets.
pub fn parse(text: &str, origin: Option<&Name>) -> Result<Name, NameError> {
    parse_octets(text.as_bytes(), origin)
}

/// The same as [`parse`] for text that need not be UTF-8 (zone files).
pub fn parse_octets(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text == b"@" {
        return origin.cloned().ok_or(NameError::Relative);
    }
    if text == b"." {
        return Ok(Name::root_bytes());
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label_at = 0;
    wire.push(0);
    let mut ended = false;
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        ended = false;
        let octet = match octet {
            b'.' => {
                close_label(&mut wire, label_at)?;
                label_at = wire.len();
                wire.push(0);
                ended = true;
                continue;
            }
            b'\\' => unescape(&mut rest)?,
            other => other,
        };
        wire.push(octet);
        if wire.len() > MAX_OCTETS + 1 {
            return Err(NameError::LongName);
        }
    }
    if !ended {
        close_label(&mut wire, label_at)?;
        let origin = origin.ok_or(NameError::Relative)?;
        wire.extend_from_slice(origin.as_slice());
    }
    if wire.len() > MAX_OCTETS {
        return Err(NameError::LongName);
    }
    Name::from_octets(Bytes::from(wire)).map_err(|_| NameError::LongName)
}

/// Writes a name in presentation form with its final dot, so that [`parse`] gives the same octets again.
pub fn to_text(name: &Name) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    // Writing into a String cannot fail.
    let _ = write_text(&mut text, name.iter_labels().map(Label::as_slice));
    text
}

/// Writes labels in the same form; one without octets, the root, may be the last.
pub fn write_text<'l>(text: &mut impl fmt::Write, labels: impl Iterator<Item = &'l [u8]>) -> fmt::Result {
    let mut is_root = true;
    for label in labels.filter(|label| !label.is_empty()) {
        is_root = false;
        // What needs no escape, mostly all of it, goes at once.
        for part in label.chunk_by(|&one, &other| is_plain(one) && is_plain(other)) {
            match (part, str::from_utf8(part)) {
                ([first, ..], Ok(plain)) if is_plain(*first) => text.write_str(plain)?,
                (&[octet @ 0x21..=0x7e], _) => write!(text, "\\{}", octet as char)?,
                (octets, _) => octets.iter().try_for_each(|octet| write!(text, "\\{octet:03}"))?,
            }
        }
        text.write_char('.')?;
    }
    if is_root { text.write_char('.') } else { Ok(()) }
}

/// Whether an octet stands for itself in the text of a name.
fn is_plain(octet: u8) -> bool {
    matches!(octet, 0x21..=0x7e) && !b".\\\"();@$".contains(&octet)
}

/// A key for `name` whose octet order is the canonical order of names (RFC 4034 §6.1): lower-case labels from the root
/// down, each closed by a zero octet; 0 and 1 inside a label become `01 01` and `01 02`.
///
/// The key of a name is a prefix of the keys of all names below it.
pub fn order_key(name: &Name) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len());
    for label in name.iter_labels().rev().filter(|label| !label.is_root()) {
        for octet in label.as_slice().iter().map(u8::to_ascii_lowercase) {
            match octet {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                _ => key.push(octet),
            }
        }
        key.push(0);
    }
    key
}

/// `name` with every ASCII letter in lower case (RFC 4034 §6.2).
pub fn lower(name: &Name) -> Name {
    let wire: Vec<u8> = name.as_slice().to_ascii_lowercase();
    // A length octet is at most 63, below `A`, so only letters change and the name stays well formed.
    Name::from_octets(Bytes::from(wire)).unwrap_or_else(|_| name.clone())
}

/// Writes the length octet of the label that began at `label_at`.
fn close_label(wire: &mut [u8], label_at: usize) -> Result<(), NameError> {
    match wire.len() - label_at - 1 {
        0 => Err(NameError::EmptyLabel),
        length @ 1..=63 => {
            wire[label_at] = length as u8;
            Ok(())
        }
        _ => Err(NameError::LongLabel),
    }
}

/// Reads what follows a backslash: three digits, or the octet itself.
fn unescape(rest: &mut &[u8]) -> Result<u8, NameError> {
    match *rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            *rest = after;
            u8::try_from(value).map_err(|_| NameError::BadEscape)
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::BadEscape),
        [octet, after @ ..] => {
            *rest = after;
            Ok(*octet)
        }
    }
}

/// Octets of the longest name, length octets and root included (RFC 1035 §2.3.4).
const MAX_OCTETS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        parse(text, Some(&parse("example.org.", None).unwrap())).unwrap()
    }

    #[test]
    fn text_and_back_gives_the_same_octets() {
        for text in ["example.org.", "www", "@", "a\\.b", "\\032x", "\\000\\255", "*.a", "\\@", "ü", "."] {
            let first = name(text);
            assert_eq!(parse(&to_text(&first), None).unwrap().as_slice(), first.as_slice(), "{text}");
        }
    }

    #[test]
    fn bad_names_say_why() {
        for (text, why) in [
            ("", NameError::Empty),
            ("a..b.", NameError::EmptyLabel),
            (".a.", NameError::EmptyLabel),
            ("a\\", NameError::BadEscape),
            ("a\\25", NameError::BadEscape),
            ("a\\256.", NameError::BadEscape),
            ("a", NameError::Relative),
        ] {
            assert_eq!(parse(text, None).unwrap_err(), why, "{text:?}");
        }
        assert_eq!(parse(&"a".repeat(64), None).unwrap_err(), NameError::LongLabel);
        let longest =
            format!("{}.", [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join("."));
        assert_eq!(parse(&longest, None).unwrap().len(), 255);
        assert_eq!(parse(&format!("x.{longest}"), None).unwrap_err(), NameError::LongName);
    }

    #[test]
    fn keys_order_as_names_do() {
        let mut names: Vec<Name> = [
            "example.org.",
            "a",
            "yljkjljk.a",
            "Z.a",
            "zABC.a",
            "z",
            "\\001.z",
            "*.z",
            "\\200.z",
            "a\\000b",
            "a\\001b",
            "ab",
        ]
        .map(name)
        .to_vec();
        names.sort();
        let keys: Vec<Vec<u8>> = names.iter().map(order_key).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys[1].starts_with(&keys[0]));
    }
}
