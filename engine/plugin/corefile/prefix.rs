//! Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single one.

use std::net::{IpAddr, Ipv6Addr};

/// An address block. Addresses are numbers of IPv6 here, those of IPv4 in their mapped form (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its first address.
    pub first: u128,
    /// Its last address.
    pub last: u128,
}

impl Prefix {
    /// Reads `ADDRESS[/LENGTH]`; bits of the address beyond the length do not count. None if it is neither.
    pub fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let (address, bits): (_, u32) = match address.parse().ok()? {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 32),
            IpAddr::V6(address) => (address, 128),
        };
        let length = match length {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => bits,
        };
        let host = u128::MAX.checked_shr(128 - bits.checked_sub(length)?).unwrap_or_default();
        Some(Self { first: address.to_bits() & !host, last: address.to_bits() | host })
    }

    /// Whether an address is in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.first..=self.last).contains(&Self::number(address))
    }

    /// An address as the number that it is here.
    pub fn number(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => Ipv6Addr::to_bits(address),
        }
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
            ("::/0", "192.0.2.1", ""),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let prefix = Prefix::read(block).unwrap();
            assert!(prefix.contains(inside.parse().unwrap()), "{block} {inside}");
            assert!(outside.parse().is_ok_and(|address| !prefix.contains(address)) || outside.is_empty(), "{block}");
        }
        for text in ["", "192.0.2.0/33", "::/129", "192.0.2/24", "192.0.2.0/+8", "192.0.2.0/", "a/8"] {
            assert_eq!(Prefix::read(text), None, "{text}");
        }
    }
}
