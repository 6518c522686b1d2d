//! All that is known at one name, in one piece of memory, so that a look-up ends in one place.
//!
//! ```text
//! children 4 | octets of RRsets 4 | octets of the name 1 | wildcard 1 | name | RRsets, by type
//! ```
//!
//! Numbers are in host order, RRsets as [`super::rrset`] has them.

use store::Rtype;

use super::rrset::Rrset;

/// A node. Without RRsets it is an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Node<'z> {
    children: u32,
    wildcard: bool,
    name: &'z [u8],
    rrsets: &'z [u8],
}

impl<'z> Node<'z> {
    /// The node whose block `octets` begin with; None if there is none.
    #[inline]
    pub(super) fn read(octets: &'z [u8]) -> Option<Self> {
        let (&[a, b, c, d, e, f, g, h, name, wildcard], rest) = octets.split_first_chunk::<HEAD>()?;
        let (name, rest) = rest.split_at_checked(usize::from(name))?;
        let rrsets = rest.get(..u32::from_ne_bytes([e, f, g, h]) as usize)?;
        Some(Self { children: u32::from_ne_bytes([a, b, c, d]), wildcard: wildcard != 0, name, rrsets })
    }

    /// The name in lower-case wire form.
    #[inline]
    pub(super) fn name(self) -> &'z [u8] {
        self.name
    }

    /// Whether a node `*` stands directly below.
    #[inline]
    pub(super) fn has_wildcard(self) -> bool {
        self.wildcard
    }

    /// Octets of its block.
    pub(super) fn octets(self) -> usize {
        HEAD + self.name.len() + self.rrsets.len()
    }

    /// The RRset of one type.
    #[inline]
    pub fn rrset(self, rtype: Rtype) -> Option<Rrset<'z>> {
        self.rrsets().find(|rrset| rrset.rtype == rtype)
    }

    /// All RRsets in order of type.
    #[inline]
    pub fn rrsets(self) -> impl Iterator<Item = Rrset<'z>> {
        let mut rest = self.rrsets;
        std::iter::from_fn(move || {
            let (rrset, after) = Rrset::read(rest)?;
            rest = after;
            Some(rrset)
        })
    }
}

/// A node in the making.
#[derive(Clone, Default)]
pub(super) struct Draft {
    /// Its RRsets by type, as [`super::rrset::compile`] writes them.
    pub(super) rrsets: Vec<u8>,
    /// How many nodes stand directly below.
    pub(super) children: u32,
    /// A node `*` stands directly below.
    pub(super) wildcard: bool,
}

impl From<Node<'_>> for Draft {
    fn from(node: Node<'_>) -> Self {
        Self { rrsets: node.rrsets.to_vec(), children: node.children, wildcard: node.wildcard }
    }
}

impl Draft {
    /// Whether a search turns aside here: at a DNAME, and below the apex at an NS RRset.
    pub(super) fn turns(&self, is_apex: bool) -> bool {
        self.as_node().rrsets().any(|rrset| rrset.rtype == Rtype::DNAME || rrset.rtype == Rtype::NS && !is_apex)
    }

    /// It as a node without a name.
    fn as_node(&self) -> Node<'_> {
        Node { children: self.children, wildcard: self.wildcard, name: &[], rrsets: &self.rrsets }
    }

    /// Writes the block of a node with this name in lower-case wire form.
    pub(super) fn write(&self, name: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.children.to_ne_bytes());
        // The RRsets of a node are what fits into messages, 64 KiB for each of 65,536 types at most.
        out.extend_from_slice(&(self.rrsets.len() as u32).to_ne_bytes());
        out.extend_from_slice(&[name.len() as u8, u8::from(self.wildcard)]);
        out.extend_from_slice(name);
        out.extend_from_slice(&self.rrsets);
    }
}

/// Notes one more child in a block.
pub(super) fn add_child(block: &mut [u8], is_wildcard: bool) {
    if let Some(head) = block.first_chunk_mut::<HEAD>() {
        let children = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) + 1;
        head[..4].copy_from_slice(&children.to_ne_bytes());
        head[HEAD - 1] |= u8::from(is_wildcard);
    }
}

/// Octets before the name.
const HEAD: usize = 10;
