//! Rdata of APL records (RFC 3123): address prefixes, each perhaps negated.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scanner::{EntryScanner, ScanError};
use super::text::push;
use super::wire::ENDS_EARLY;

/// Checks that the items are complete; what they hold may be of a family that has no text here.
pub(super) fn check(mut items: &[u8]) -> Result<(), Cow<'static, str>> {
    while !items.is_empty() {
        (_, items) = split(items).ok_or(ENDS_EARLY)?;
    }
    Ok(())
}

/// Appends the items in presentation form, each with a space before it; `None` if one has no text, or one that would be
/// read as other octets.
pub(super) fn write(mut items: &[u8], text: &mut String) -> Option<()> {
    while !items.is_empty() {
        let (Item { family, prefix, negated, part }, rest) = split(items)?;
        let mut octets = [0; 16];
        octets.get_mut(..part.len())?.copy_from_slice(part);
        let [a, b, c, d, ..] = octets;
        let (address, octets_max) = match family {
            IP4 => (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), 4),
            IP6 => (IpAddr::V6(Ipv6Addr::from(octets)), 16),
            _ => return None,
        };
        // RFC 3123 §4: octets of zero at the end are left out.
        if part.len() > octets_max || usize::from(prefix) > octets_max * 8 || part.last() == Some(&0) {
            return None;
        }
        push(text, format_args!(" {}{family}:{address}/{prefix}", if negated { "!" } else { "" }));
        items = rest;
    }
    Some(())
}

/// Reads the items up to the end of the entry, perhaps none, and appends their wire form.
pub(super) fn read(scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    while scanner.peek().is_some() {
        let item = std::str::from_utf8(scanner.raw()?).ok();
        item.and_then(|item| item_from_text(item, wire))
            .ok_or_else(|| ScanError("a prefix is expected, as 1:192.0.2.0/24 or !2:2001:db8::/32".into()))?;
    }
    Ok(())
}

/// Appends the wire form of one item.
fn item_from_text(item: &str, wire: &mut Vec<u8>) -> Option<()> {
    let (negated, item) = item.strip_prefix('!').map_or((false, item), |item| (true, item));
    let (family, prefix) = item.split_once(':')?;
    let (address, prefix) = prefix.split_once('/')?;
    let (family, address) = match family {
        "1" => (IP4, address.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        "2" => (IP6, address.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => return None,
    };
    let prefix: u8 = prefix.parse().ok().filter(|_| !prefix.starts_with('+'))?;
    if usize::from(prefix) > address.len() * 8 {
        return None;
    }
    let octets = address.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    wire.extend(family.to_be_bytes());
    wire.extend([prefix, u8::from(negated) << 7 | octets as u8]);
    wire.extend_from_slice(&address[..octets]);
    Some(())
}

/// One item in wire form.
struct Item<'a> {
    /// The address family.
    family: u16,
    /// How many bits of the address count.
    prefix: u8,
    /// The prefix is excluded.
    negated: bool,
    /// The address without octets of zero at its end.
    part: &'a [u8],
}

/// The first item and what follows it.
fn split(items: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&[high, low, prefix, length], rest) = items.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked((length & 0x7F).into())?;
    Some((Item { family: u16::from_be_bytes([high, low]), prefix, negated: length > 0x7F, part }, rest))
}

/// The address family of IPv4.
const IP4: u16 = 1;

/// The address family of IPv6.
const IP6: u16 = 2;
