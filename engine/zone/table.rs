//! Nodes by the hash of their names: open addressing, the next slot where one is taken.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::blocks::{Blocks, Chunks};
use super::node::Node;
use crate::prefetch::prefetch;
use crate::wire::same;

/// Blocks of nodes and where they lie. A copy shares the chunks of the blocks.
#[derive(Clone)]
pub(super) struct Table {
    /// One of them at least is [`FREE`].
    slots: Box<[Slot]>,
    /// Slots that are not [`FREE`].
    taken: usize,
    blocks: Blocks,
    /// Octets of blocks that no slot leads to any more.
    dead: usize,
    len: usize,
    hasher: RandomState,
}

/// Where a block lies.
#[derive(Clone, Copy)]
struct Slot {
    /// The lower half of the name's hash; the upper says where to look first.
    tag: u32,
    /// The place of the block, or [`FREE`], or [`GONE`].
    at: u32,
}

/// A name's hash with one hasher.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameHash(u64);

impl Table {
    /// A table over blocks, with room for so many nodes. What shares a hasher shares the hashes of names.
    pub(super) fn over(blocks: Blocks, room: usize, hasher: RandomState) -> Self {
        // Two thirds full: a name that is there is found in the second slot on average, most in the first line of memory.
        let slots = vec![Slot { tag: 0, at: FREE }; room + room / 2 + 1].into_boxed_slice();
        let mut table = Self { slots, taken: 0, blocks, dead: 0, len: 0, hasher };
        for (at, node) in table.blocks.iter() {
            table.taken += usize::from(put(&mut table.slots, hash(&table.hasher, node.relative()), at) == FREE);
        }
        table.len = table.taken;
        table
    }

    /// A copy with blocks of nodes put in (`Some`) and taken out (`None`), each name once. If there is no room for them,
    /// the copy has room for `room` more.
    pub(super) fn with<'b>(&self, changes: &[(&'b [u8], Option<Node<'b>>)], room: usize) -> Self {
        let is_roomy = (self.taken + changes.len()) * 5 <= self.slots.len() * 4;
        let mut next = if is_roomy && self.dead * 2 <= self.blocks.octets() {
            self.clone()
        } else {
            self.anew(room.max(changes.len()))
        };
        let mut chunks = Chunks::behind(&next.blocks);
        for &(name, node) in changes {
            let hash = hash(&next.hasher, name);
            let at = node.map(|node| chunks.push(|out| out.extend_from_slice(node.as_slice())));
            // What is pushed here is not found: it is of other names.
            let former = next.places(hash).find_map(|(slot, block)| {
                let node = Node::read(block).filter(|node| node.relative() == name)?;
                Some((slot, node.as_slice().len()))
            });
            match (former, at) {
                (Some((slot, octets)), at) => {
                    next.slots[slot].at = at.unwrap_or(GONE);
                    next.dead += octets;
                    next.len -= usize::from(at.is_none());
                }
                (None, Some(at)) => {
                    next.taken += usize::from(put(&mut next.slots, hash, at) == FREE);
                    next.len += 1;
                }
                (None, None) => {}
            }
        }
        next.blocks = chunks.finish();
        next
    }

    /// The same nodes in new chunks and slots, with room for `room` more.
    fn anew(&self, room: usize) -> Self {
        let mut chunks = Chunks::default();
        for node in self.nodes() {
            chunks.push(|out| out.extend_from_slice(node.as_slice()));
        }
        Self::over(chunks.finish(), self.len + room, self.hasher.clone())
    }

    /// How many nodes there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many chunks its blocks lie in.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.blocks.0.len()
    }

    /// Whether its first chunk is another's, too.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.blocks.0[0], &other.blocks.0[0])
    }

    /// All nodes, in no order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.slots.iter().filter_map(|slot| Node::read(self.blocks.get(slot.at)?))
    }

    /// The node at a name: lower-case wire form without the apex, as all names here.
    #[inline]
    pub(super) fn get(&self, name: &[u8], hash: NameHash) -> Option<Node<'_>> {
        self.places(hash).filter_map(|(_, block)| Node::read(block)).find(|node| same(node.relative(), name))
    }

    /// What begin with blocks of nodes whose names may have this hash, and the numbers of their slots.
    #[inline]
    pub(super) fn places(&self, hash: NameHash) -> impl Iterator<Item = (usize, &[u8])> {
        let mut next = first(hash, self.slots.len());
        std::iter::from_fn(move || {
            loop {
                // One slot at least is free, so that this ends.
                let Some(slot) = self.slots.get(next) else {
                    next = 0;
                    continue;
                };
                if slot.at == FREE {
                    return None;
                }
                next += 1;
                if slot.tag == hash.tag()
                    && let Some(block) = self.blocks.get(slot.at)
                {
                    return Some((next - 1, block));
                }
            }
        })
    }

    /// The hash of a name.
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> NameHash {
        hash(&self.hasher, name)
    }

    /// How names are hashed here.
    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// Asks the memory for the slot of a name that will be looked up soon.
    #[inline]
    pub(super) fn ask(&self, hash: NameHash) {
        if let Some(slot) = self.slots.get(first(hash, self.slots.len())) {
            prefetch(slot);
        }
    }
}

/// Puts the place of a name that is not there yet into a slot that leads to none; gives what the slot held, [`FREE`] or
/// [`GONE`].
fn put(slots: &mut [Slot], hash: NameHash, at: u32) -> u32 {
    let (before, after) = slots.split_at_mut(first(hash, slots.len()));
    let slot = after.iter_mut().chain(before).find(|slot| slot.at >= GONE);
    slot.map_or(FREE, |slot| std::mem::replace(slot, Slot { tag: hash.tag(), at }).at)
}

/// The hash of a name.
#[inline]
fn hash(hasher: &RandomState, name: &[u8]) -> NameHash {
    let mut hasher = hasher.build_hasher();
    hasher.write(name);
    NameHash(hasher.finish())
}

/// The slot to look at first: the hash as a fraction of all slots.
#[inline]
fn first(hash: NameHash, slots: usize) -> usize {
    ((u128::from(hash.0) * slots as u128) >> 64) as usize
}

impl NameHash {
    /// The half of it that a slot holds.
    #[inline]
    fn tag(self) -> u32 {
        self.0 as u32
    }
}

/// No block, and none behind it: the end of a search.
const FREE: u32 = u32::MAX;

/// No block any more. No chunk has this place.
const GONE: u32 = FREE - 1;
