//! The digest of a zone: a sum over its records that does not depend on their order, so that an edit brings it up to
//! date by what it adds and takes away.

use std::fmt;

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::Name;

/// What a zone's content adds up to. Two zones with the same records have the same digest, whatever their history.
///
/// It tells damage from content; it does not withstand someone who crafts records to collide.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digest([u64; 4]);

impl Digest {
    /// The digest whose octets these are.
    pub(crate) fn from_octets(octets: [u8; Self::OCTETS]) -> Self {
        let mut lanes = [0; 4];
        for (lane, part) in lanes.iter_mut().zip(octets.chunks_exact(8)) {
            *lane = part.iter().rev().fold(0, |sum, &octet| sum << 8 | u64::from(octet));
        }
        Self(lanes)
    }

    /// Counts a record in.
    pub(crate) fn add(&mut self, record: Hashed) {
        for (lane, add) in self.0.iter_mut().zip(record.0.0) {
            *lane = lane.wrapping_add(add);
        }
    }

    /// Counts a record out that was counted in before.
    pub(crate) fn remove(&mut self, record: Hashed) {
        for (lane, sub) in self.0.iter_mut().zip(record.0.0) {
            *lane = lane.wrapping_sub(sub);
        }
    }

    /// The octets to store.
    pub(crate) fn to_octets(self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        for (part, lane) in octets.chunks_exact_mut(8).zip(self.0) {
            part.copy_from_slice(&lane.to_le_bytes());
        }
        octets
    }

    /// Octets of a digest.
    pub(crate) const OCTETS: usize = 32;
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_octets().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// One record as the digest counts it.
#[derive(Clone, Copy)]
pub(crate) struct Hashed(Digest);

impl Hashed {
    /// Hashes a record: its owner in the very octets, type, TTL, rdata, and whether zonda made it.
    pub(crate) fn new(owner: &Name, rtype: Rtype, ttl: Option<u32>, rdata: &Bytes, generated: bool) -> Self {
        let mut head = [0; 8];
        head[..2].copy_from_slice(&rtype.to_int().to_be_bytes());
        head[2] = u8::from(ttl.is_some());
        head[3..7].copy_from_slice(&ttl.unwrap_or_default().to_be_bytes());
        head[7] = u8::from(generated);
        let mut hasher = blake3::Hasher::new();
        // The head has a fixed length and the owner ends itself, so no two records give the same input.
        hasher.update(&head).update(owner.as_slice()).update(rdata);
        Self(Digest::from_octets(*hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name;

    fn hashed(owner: &str, ttl: Option<u32>, rdata: &'static [u8]) -> Hashed {
        let owner = name::parse(owner, None).unwrap();
        Hashed::new(&owner, Rtype::TXT, ttl, &Bytes::from_static(rdata), false)
    }

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let (a, b) = (hashed("a.example.org.", None, b"\x01a"), hashed("b.example.org.", Some(0), b"\x01a"));
        let mut first = Digest::default();
        first.add(a);
        let only_a = first;
        first.add(b);
        let mut second = Digest::default();
        second.add(b);
        second.add(a);
        assert_eq!(first, second);
        assert_eq!(Digest::from_octets(first.to_octets()), first);
        first.remove(b);
        assert_eq!(first, only_a);
    }

    #[test]
    fn every_part_of_a_record_counts() {
        let sum = |record| {
            let mut digest = Digest::default();
            digest.add(record);
            digest
        };
        let base = sum(hashed("a.example.org.", None, b"\x01a"));
        for other in [
            hashed("A.example.org.", None, b"\x01a"),
            hashed("a.example.org.", Some(0), b"\x01a"),
            hashed("a.example.org.", None, b"\x01b"),
        ] {
            assert_ne!(sum(other), base);
        }
    }
}
