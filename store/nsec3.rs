//! How NSEC3 hashes names (RFC 5155): the parameters, the hash, and the label that carries it.

use domain::base::name::ToLabelIter;
use sha1::{Digest, Sha1};

use crate::Name;

/// How names are hashed (RFC 5155 §5); the algorithm is SHA-1, the only one there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How often a hash is hashed again.
    pub iterations: u16,
    /// What is hashed along with the name.
    pub salt: Box<[u8]>,
}

/// The hash of a name.
pub type Hash = [u8; HASH_OCTETS];

impl Parameters {
    /// Reads the rdata of an NSEC3 or NSEC3PARAM record, which begin alike (RFC 5155 §3.2, §4.2); `None` for another
    /// algorithm.
    pub fn read(rdata: &[u8]) -> Option<Self> {
        let [SHA1, _, high, low, salt_octets, rest @ ..] = rdata else { return None };
        let salt = rest.get(..usize::from(*salt_octets))?.into();
        Some(Self { iterations: u16::from_be_bytes([*high, *low]), salt })
    }

    /// The hash of a name in lower-case wire form (RFC 5155 §5).
    pub fn hash(&self, name: &[u8]) -> Hash {
        let digest =
            |octets: &[u8]| -> Hash { Sha1::new().chain_update(octets).chain_update(&self.salt).finalize().into() };
        (0..self.iterations).fold(digest(name), |hash, _| digest(&hash))
    }
}

/// The hash that is the first label of an NSEC3 owner, in base32hex (RFC 5155 §3).
pub fn hash_of_owner(owner: &Name) -> Option<Hash> {
    let label = owner.iter_labels().next()?;
    let digits = label.as_slice();
    if digits.len() != HASH_OCTETS * 8 / 5 {
        return None;
    }
    let mut hash = [0; HASH_OCTETS];
    for (group, octets) in digits.chunks(8).zip(hash.chunks_mut(5)) {
        let mut bits = 0u64;
        for digit in group {
            let value = match digit.to_ascii_lowercase() {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'v' => digit - b'a' + 10,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        octets.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(hash)
}

/// The number of the hash algorithm SHA-1 (RFC 5155 §11).
const SHA1: u8 = 1;

/// Octets of a SHA-1 hash.
pub const HASH_OCTETS: usize = 20;

/// Iterations up to which proofs are given; more would let a query cost what it likes. Resolvers take a zone with more
/// than 100 for unsigned (RFC 9276 §3.2).
pub const ITERATIONS_MAX: u16 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_rfc() {
        // RFC 5155 appendix A.
        let parameters = Parameters::read(&[1, 0, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd]).unwrap();
        let hash = |text: &str| parameters.hash(crate::name::parse(text, None).unwrap().as_slice());
        for (name, hashed) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
        ] {
            let owner = crate::name::parse(&format!("{hashed}.example."), None).unwrap();
            assert_eq!(hash_of_owner(&owner), Some(hash(name)), "{name}");
        }
        assert_eq!(Parameters::read(&[2, 0, 0, 0, 0]), None);
        assert_eq!(Parameters::read(&[1, 0, 0, 0, 1]), None);
    }
}
