//! A name to look up: lower case, in wire form, with the places of its labels.

/// A lower-case name in wire form with its label boundaries, so that every ancestor is a slice of it.
///
/// It lives on the stack; the longest name has 255 octets and 127 labels (RFC 1035 §2.3.4).
#[derive(Clone)]
pub struct QName {
    /// One more than a name can have, so that it is whole chunks.
    octets: [u8; 16 * CHUNK],
    /// Where each label begins, from the left; the root label is the last, so that a name has at most 128.
    starts: [u8; 128],
    len: u8,
    labels: u8,
}

impl QName {
    /// The root.
    pub(super) const ROOT: Self = Self { octets: [0; 16 * CHUNK], starts: [0; 128], len: 1, labels: 0 };

    /// Takes a name in uncompressed wire form, at most 255 octets, ended by the root label.
    ///
    /// None if it is not such a name.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut name = Self::ROOT;
        (name.read(wire)? == wire.len()).then_some(name)
    }

    /// Becomes the name that `octets` begin with, in uncompressed wire form; gives the octets that it takes.
    ///
    /// None if no such name is there; it is some other name then.
    #[inline]
    pub(super) fn read(&mut self, octets: &[u8]) -> Option<usize> {
        let (mut at, mut labels) = (0usize, 0usize);
        loop {
            *self.starts.get_mut(labels)? = at as u8;
            match *octets.get(at)? {
                0 => break,
                length @ 1..=63 => {
                    labels += 1;
                    at += usize::from(length) + 1;
                }
                _ => return None,
            }
        }
        if at > 254 {
            return None;
        }
        let len = at + 1;
        // A length octet is at most 63 and `A` is 65: folding all octets touches letters only. Chunks of a fixed size are
        // copied and folded at once, with what is behind the name, which does not matter.
        let whole = len.div_ceil(CHUNK) * CHUNK;
        let into = self.octets.get_mut(..whole)?;
        match octets.get(..whole) {
            Some(from) => {
                for (into, from) in into.as_chunks_mut::<CHUNK>().0.iter_mut().zip(from.as_chunks().0) {
                    let mut folded = *from;
                    folded.make_ascii_lowercase();
                    *into = folded;
                }
            }
            None => {
                into.get_mut(..octets.len())?.copy_from_slice(octets);
                into.make_ascii_lowercase();
            }
        }
        (self.len, self.labels) = (len as u8, labels as u8);
        Some(len)
    }

    /// The whole name in wire form, lower case.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Its labels from the left, without the root.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let label = |start: &u8| {
            let start = usize::from(*start);
            let len = usize::from(*self.octets.get(start)?);
            self.octets.get(start + 1..start + 1 + len)
        };
        self.starts[..self.labels()].iter().filter_map(label)
    }

    /// Number of labels without the root: 2 for `example.org.`.
    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The last `labels` labels with the root: `suffix(1)` of `example.org.` is `org.`. All of it if it has fewer.
    pub fn suffix(&self, labels: usize) -> &[u8] {
        &self.octets[self.skip(labels)..usize::from(self.len)]
    }

    /// How many octets stand before the last `labels` labels.
    pub fn skip(&self, labels: usize) -> usize {
        self.starts.get(self.labels().saturating_sub(labels)).map_or(0, |start| usize::from(*start))
    }

    /// Whether it is `ancestor` (lower-case wire form) or below it.
    pub fn is_below(&self, ancestor: &[u8]) -> bool {
        let Some(skip) = usize::from(self.len).checked_sub(ancestor.len()) else { return false };
        self.starts[..=self.labels()].contains(&(skip as u8)) && self.as_slice().ends_with(ancestor)
    }

    /// Writes the key whose octet order is the canonical order of names, as [`store::name::order_key`] makes it.
    pub fn order_key<'s>(&self, space: &'s mut [u8; 510]) -> &'s [u8] {
        let mut len = 0;
        for &start in self.starts[..self.labels()].iter().rev() {
            let start = usize::from(start);
            let label = self.octets.get(start + 1..start + 1 + usize::from(self.octets[start])).unwrap_or_default();
            for &octet in label {
                let escaped = if octet < 2 { &[1, octet + 1][..] } else { &[octet] };
                // Each octet of the name takes two of the key at most.
                space[len..len + escaped.len()].copy_from_slice(escaped);
                len += escaped.len();
            }
            space[len] = 0;
            len += 1;
        }
        &space[..len]
    }

    /// Writes `*.` and the last `labels` labels into `space`: the wildcard below that ancestor (RFC 4592 §2.1.1).
    ///
    /// None if that would be longer than a name may be; then no such owner exists.
    pub fn wildcard<'s>(&self, labels: usize, space: &'s mut [u8; 255]) -> Option<&'s [u8]> {
        let suffix = self.suffix(labels);
        space[..2].copy_from_slice(b"\x01*");
        space.get_mut(2..2 + suffix.len())?.copy_from_slice(suffix);
        Some(&space[..2 + suffix.len()])
    }
}

impl std::fmt::Debug for QName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_slice().escape_ascii())
    }
}

/// Whether two short pieces of memory are the same: as `==`, without a call for so few octets as names have.
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    // The last chunk overlaps the one before it, so that no octet is left over.
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        _ if one.len() != other.len() => false,
        (Some(one_end), Some(other_end)) => {
            let mut chunks = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
            one_end == other_end && chunks.all(|(one, other)| one == other)
        }
        _ => match (one.first_chunk::<4>(), other.first_chunk::<4>()) {
            (Some(one_begin), Some(other_begin)) => {
                one_begin == other_begin && one.last_chunk::<4>() == other.last_chunk::<4>()
            }
            _ => one.iter().eq(other),
        },
    }
}

/// Octets that are folded to lower case at once.
const CHUNK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_ancestors() {
        let name = QName::from_wire(b"\x03wWw\x07Example\x03org\0").unwrap();
        assert_eq!(name.labels(), 3);
        assert_eq!(name.suffix(3), b"\x03www\x07example\x03org\0");
        assert_eq!(name.suffix(1), b"\x03org\0");
        assert_eq!(name.suffix(0), b"\0");
        assert_eq!(name.wildcard(2, &mut [0; 255]).unwrap(), b"\x01*\x07example\x03org\0");
        assert_eq!(QName::from_wire(b"\0").unwrap().suffix(0), b"\0");
    }

    #[test]
    fn the_same_is_what_equals() {
        for len in 0..40 {
            let one: Vec<u8> = (0..len).collect();
            assert!(same(&one, &one.clone()));
            assert!(!same(&one, &[&one[..], &[7]].concat()) && !same(&[&[7], &one[..]].concat(), &one));
            for at in 0..one.len() {
                let mut other = one.clone();
                other[at] ^= 0x20;
                assert!(!same(&one, &other), "{len} {at}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wire in [&b""[..], b"\x03ww\0", b"\x01a", b"\xc0\x0c", b"\x40", b"\0\0"] {
            assert!(QName::from_wire(wire).is_none(), "{wire:?}");
        }
    }
}
