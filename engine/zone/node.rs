//! All that is known at one name, in one piece of memory, so that a look-up ends in one place.
//!
//! ```text
//! children 4 | octets of RRsets 4 | octets of the name 1 | flags 1 | name | RRsets, by type
//! ```
//!
//! Numbers are in host order, RRsets as [`super::rrset`] has them. The name is in lower-case wire form and ends before the
//! apex, which the whole zone has in common: less to hash, to compare and to fetch from memory.

use store::Rtype;

use super::rrset::Rrset;

/// A node. Without RRsets it is an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Node<'z>(&'z [u8]);

impl<'z> Node<'z> {
    /// The node whose block `octets` begin with; None if there is none.
    #[inline]
    pub(super) fn read(octets: &'z [u8]) -> Option<Self> {
        let &[_, _, _, _, a, b, c, d, name, _] = octets.first_chunk::<HEAD>()?;
        octets.get(..HEAD + usize::from(name) + u32::from_ne_bytes([a, b, c, d]) as usize).map(Self)
    }

    /// The labels of its name below the apex, in lower-case wire form; nothing at the apex.
    #[inline]
    pub(super) fn relative(self) -> &'z [u8] {
        self.0.get(HEAD..HEAD + self.name_len()).unwrap_or_default()
    }

    /// Octets of the name.
    #[inline]
    fn name_len(self) -> usize {
        self.0.get(NAME_LEN_AT).map_or(0, |len| usize::from(*len))
    }

    /// How many nodes stand directly below.
    fn children(self) -> u32 {
        self.0.first_chunk().map_or(0, |children| u32::from_ne_bytes(*children))
    }

    /// Whether a node `*` stands directly below.
    #[inline]
    pub(super) fn has_wildcard(self) -> bool {
        self.0.get(FLAGS_AT).is_some_and(|flags| flags & WILDCARD != 0)
    }

    /// Whether a search may turn aside here: there is an NS RRset or a DNAME.
    #[inline]
    pub(super) fn may_turn(self) -> bool {
        self.0.get(FLAGS_AT).is_some_and(|flags| flags & TURN != 0)
    }

    /// Whether it only says that the name has no node any more.
    #[inline]
    pub(super) fn is_gone(self) -> bool {
        self.0.get(FLAGS_AT).is_some_and(|flags| flags & GONE != 0)
    }

    /// Its RRsets in one piece.
    #[inline]
    fn octets_of_rrsets(self) -> &'z [u8] {
        self.0.get(HEAD + self.name_len()..).unwrap_or_default()
    }

    /// Its block.
    pub(super) fn as_slice(self) -> &'z [u8] {
        self.0
    }

    /// The RRset of one type.
    #[inline]
    pub fn rrset(self, rtype: Rtype) -> Option<Rrset<'z>> {
        self.rrsets().find(|rrset| rrset.rtype == rtype)
    }

    /// All RRsets in order of type.
    #[inline]
    pub fn rrsets(self) -> impl Iterator<Item = Rrset<'z>> {
        rrsets(self.octets_of_rrsets())
    }
}

/// The RRsets in a piece of memory.
#[inline]
fn rrsets(octets: &[u8]) -> impl Iterator<Item = Rrset<'_>> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let (rrset, after) = Rrset::read(rest)?;
        rest = after;
        Some(rrset)
    })
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
        Self { rrsets: node.octets_of_rrsets().to_vec(), children: node.children(), wildcard: node.has_wildcard() }
    }
}

impl Draft {
    /// Whether a search turns aside here: at a DNAME, and below the apex at an NS RRset.
    pub(super) fn turns(&self, is_apex: bool) -> bool {
        rrsets(&self.rrsets).any(|rrset| rrset.rtype == Rtype::DNAME || rrset.rtype == Rtype::NS && !is_apex)
    }

    /// The block of a node with this name below the apex, in lower-case wire form.
    pub(super) fn block(&self, name: &[u8]) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEAD + name.len() + self.rrsets.len());
        self.write(name, &mut block);
        block
    }

    /// Writes such a block.
    pub(super) fn write(&self, name: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.children.to_ne_bytes());
        // The RRsets of a node are what fits into messages, 64 KiB for each of 65,536 types at most.
        out.extend_from_slice(&(self.rrsets.len() as u32).to_ne_bytes());
        let flags = if self.wildcard { WILDCARD } else { 0 } | if self.turns(false) { TURN } else { 0 };
        out.extend_from_slice(&[name.len() as u8, flags]);
        out.extend_from_slice(name);
        out.extend_from_slice(&self.rrsets);
    }
}

/// The block that says that a name has no node any more.
pub(super) fn gone(name: &[u8]) -> Vec<u8> {
    let mut block = Draft::default().block(name);
    block[FLAGS_AT] = GONE;
    block
}

/// Notes one more child in a block.
pub(super) fn add_child(block: &mut [u8], is_wildcard: bool) {
    if let Some(head) = block.first_chunk_mut::<HEAD>() {
        let children = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) + 1;
        head[..4].copy_from_slice(&children.to_ne_bytes());
        head[FLAGS_AT] |= if is_wildcard { WILDCARD } else { 0 };
    }
}

/// Where the octets of the name are told.
const NAME_LEN_AT: usize = 8;

/// Where the flags are.
const FLAGS_AT: usize = 9;

/// The flag of a node below which a node `*` stands directly.
const WILDCARD: u8 = 1;

/// The flag of a block that stands for a node which is gone.
const GONE: u8 = 2;

/// The flag of a node that has an NS RRset or a DNAME.
const TURN: u8 = 4;

/// Octets before the name.
const HEAD: usize = 10;
