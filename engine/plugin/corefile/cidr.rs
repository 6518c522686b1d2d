//! From an address block to the zones that hold its reverse names (RFC 1035 §3.5, RFC 3596 §2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The zones of `ADDRESS/LENGTH`; None if the text is something else.
///
/// Bits of the address beyond the length do not count. A length between two boundaries of labels (octets of IPv4,
/// nibbles of IPv6) gives all the zones at the next boundary: 128 at most.
pub(super) fn reverse_zones(text: &str) -> Option<Vec<String>> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => {
            let zones = covering(u32::from(address).into(), 32, length, 8);
            Some(zones.map(|(block, labels)| reverse_v4(block as u32, labels)).collect())
        }
        IpAddr::V6(address) if length <= 128 => {
            let zones = covering(u128::from(address), 128, length, 4);
            Some(zones.map(|(block, labels)| reverse_v6(block, labels)).collect())
        }
        _ => None,
    }
}

/// The blocks that together are the one of `address/length` and end at a boundary: each one's address and how many
/// labels it has.
fn covering(address: u128, bits: u32, length: u32, label_bits: u32) -> impl Iterator<Item = (u128, u32)> {
    let labels = length.div_ceil(label_bits);
    let boundary = labels * label_bits;
    let kept = bits - length;
    let base = if kept == 128 { 0 } else { address >> kept << kept };
    let step = bits - boundary;
    // Without labels the block is everything, and the shift would be too wide.
    (0..1u128 << (boundary - length)).map(move |index| (base | index.checked_shl(step).unwrap_or_default(), labels))
}

/// The zone of the first `labels` octets of an IPv4 address.
fn reverse_v4(address: u32, labels: u32) -> String {
    let octets = Ipv4Addr::from(address).octets();
    let labels = octets.iter().take(labels as usize).rev().map(|octet| format!("{octet}."));
    labels.chain(["in-addr.arpa.".into()]).collect()
}

/// The zone of the first `labels` nibbles of an IPv6 address.
fn reverse_v6(address: u128, labels: u32) -> String {
    let nibbles = Ipv6Addr::from(address).octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
    let labels: Vec<_> = nibbles.take(labels as usize).map(|nibble| format!("{nibble:x}.")).collect();
    labels.into_iter().rev().chain(["ip6.arpa.".into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for (rule, block, first, last, count) in [
            ("on an octet", "10.0.0.0/24", "0.0.10.in-addr.arpa.", "0.0.10.in-addr.arpa.", 1),
            ("host bits are ignored", "10.0.0.77/24", "0.0.10.in-addr.arpa.", "0.0.10.in-addr.arpa.", 1),
            ("a single address", "192.0.2.1/32", "1.2.0.192.in-addr.arpa.", "1.2.0.192.in-addr.arpa.", 1),
            ("half an octet", "192.0.2.128/25", "128.2.0.192.in-addr.arpa.", "255.2.0.192.in-addr.arpa.", 128),
            ("/22", "198.51.100.0/22", "100.51.198.in-addr.arpa.", "103.51.198.in-addr.arpa.", 4),
            ("everything", "0.0.0.0/0", "in-addr.arpa.", "in-addr.arpa.", 1),
            ("half of everything", "128.0.0.0/1", "128.in-addr.arpa.", "255.in-addr.arpa.", 128),
            ("on a nibble", "2001:db8::/32", "8.b.d.0.1.0.0.2.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.", 1),
            ("off a nibble", "2001:db8::/33", "0.8.b.d.0.1.0.0.2.ip6.arpa.", "7.8.b.d.0.1.0.0.2.ip6.arpa.", 8),
            ("all of IPv6", "::/0", "ip6.arpa.", "ip6.arpa.", 1),
        ] {
            let zones = reverse_zones(block).unwrap();
            assert_eq!((&zones[0][..], &zones[zones.len() - 1][..], zones.len()), (first, last, count), "{rule}");
        }
    }

    #[test]
    fn other_texts_are_names() {
        for text in ["10.0.0.1", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/+8", "10.0.0.0/", "a/8", "01.0.0.0/8"] {
            assert_eq!(reverse_zones(text), None, "{text}");
        }
    }
}
