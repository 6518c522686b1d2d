//! Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address block. It holds addresses of its own family alone: `::/0` is every IPv6 address and no IPv4 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its first address.
    pub first: IpAddr,
    /// Its last address.
    pub last: IpAddr,
}

impl Prefix {
    /// Reads `ADDRESS[/LENGTH]`; bits of the address beyond the length do not count. None if it is neither.
    pub fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = match length {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => bits,
        };
        let host = u128::MAX.checked_shr(128 - bits.checked_sub(length)?).unwrap_or_default();
        Some(match address {
            IpAddr::V4(address) => {
                let (address, host) = (address.to_bits(), host as u32);
                let (first, last) = (Ipv4Addr::from_bits(address & !host), Ipv4Addr::from_bits(address | host));
                Self { first: first.into(), last: last.into() }
            }
            IpAddr::V6(address) => {
                let address = address.to_bits();
                let (first, last) = (Ipv6Addr::from_bits(address & !host), Ipv6Addr::from_bits(address | host));
                Self { first: first.into(), last: last.into() }
            }
        })
    }

    /// Whether an address is in the block. A mapped one is of IPv4 (RFC 4291 §2.5.5.2).
    pub fn contains(&self, address: IpAddr) -> bool {
        // In their order all addresses of one family come before those of the other.
        (self.first..=self.last).contains(&address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_the_addresses_that_begin_alike() {
        for (block, inside, outside) in [
            ("192.0.2.77/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::/0", "::", "::ffff:192.0.2.1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let prefix = Prefix::read(block).unwrap();
            assert!(prefix.contains(inside.parse().unwrap()), "{block} {inside}");
            assert!(!prefix.contains(outside.parse().unwrap()), "{block} {outside}");
        }
        for text in ["", "192.0.2.0/33", "::/129", "192.0.2/24", "192.0.2.0/+8", "192.0.2.0/", "a/8"] {
            assert_eq!(Prefix::read(text), None, "{text}");
        }
    }
}
