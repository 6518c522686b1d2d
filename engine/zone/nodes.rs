//! The nodes of a zone by name: an immutable table that takes a small change without copying all of itself.
//!
//! A look-up touches two places in memory: a slot, which holds half of the name's hash, and the node's block. Both can
//! be asked for ahead ([`Nodes::ask`], [`Nodes::fetch`]), so that a batch of questions waits for memory once and not each
//! for itself. Blocks lie behind each other in chunks; a million names are a few dozen allocations.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::layered::Key;
use super::node::{Draft, Node, add_child};

/// A big table with a small overlay of later changes on top.
///
/// Readers ask the overlay first if it holds anything. [`Nodes::with`] copies the overlay only, until that has grown to
/// [`FOLD_AT`] entries and is folded into a new table.
pub(super) struct Nodes {
    base: Arc<Table>,
    /// Blocks; `None` hides what the base has.
    over: HashMap<Key, Option<Arc<[u8]>>, RandomState>,
    len: usize,
}

/// A name's hash in one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameHash(u64);

impl NameHash {
    /// The half of it that a slot holds.
    #[inline]
    fn tag(self) -> u32 {
        self.0 as u32
    }
}

impl Nodes {
    /// No nodes.
    pub(super) fn new() -> Self {
        Self::of(Table::over(Blocks::default(), 0))
    }

    /// The nodes of a table.
    fn of(table: Table) -> Self {
        Self { len: table.len, over: HashMap::default(), base: Arc::new(table) }
    }

    /// The node at a name in lower-case wire form.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<Node<'_>> {
        self.get_hashed(name, self.hash(name))
    }

    /// The same with the name's hash.
    #[inline]
    pub(super) fn get_hashed(&self, name: &[u8], hash: NameHash) -> Option<Node<'_>> {
        if !self.over.is_empty()
            && let Some(over) = self.over.get(name)
        {
            return Node::read(over.as_ref()?);
        }
        self.base.get(name, hash)
    }

    /// The hash of a name in lower-case wire form.
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> NameHash {
        hash(&self.base.hasher, name)
    }

    /// Asks the memory for the slot of a name that will be looked up soon.
    #[inline]
    pub(super) fn ask(&self, name: &[u8]) -> NameHash {
        let hash = self.hash(name);
        if let Some(slot) = self.base.slots.get(first(hash, self.base.slots.len())) {
            prefetch(slot);
        }
        hash
    }

    /// Asks the memory for the block of such a name, when the slot has had time to come.
    #[inline]
    pub(super) fn fetch(&self, hash: NameHash) {
        if let Some(block) = self.base.at_hash(hash).next() {
            for line in block.iter().step_by(LINE).take(LINES) {
                prefetch(line);
            }
        }
    }

    /// A copy with some nodes put in (`Some`) and some taken out (`None`).
    pub(super) fn with(&self, changes: impl IntoIterator<Item = (Key, Option<Draft>)>) -> Self {
        let mut over = self.over.clone();
        let mut len = self.len;
        let mut block = Vec::new();
        for (key, draft) in changes {
            let had = over
                .get(&key)
                .map_or_else(|| self.base.get(&key, hash(&self.base.hasher, &key)).is_some(), Option::is_some);
            len = len + usize::from(draft.is_some()) - usize::from(had);
            let draft = draft.map(|draft| {
                block.clear();
                draft.write(&key, &mut block);
                Arc::from(&block[..])
            });
            over.insert(key, draft);
        }
        let nodes = Self { base: Arc::clone(&self.base), over, len };
        if nodes.over.len() < FOLD_AT { nodes } else { nodes.fold() }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The same nodes in one table.
    fn fold(&self) -> Self {
        let is_kept = |block: &&[u8]| Node::read(block).is_some_and(|node| !self.over.contains_key(node.name()));
        let kept = self.base.blocks.iter().map(|(_, block)| block).filter(is_kept);
        let over = self.over.values().flatten().map(|block| &block[..]);
        let mut blocks = Blocks::default();
        let mut len = 0;
        for block in kept.chain(over) {
            blocks.push(|out| out.extend_from_slice(block));
            len += 1;
        }
        blocks.trim();
        Self::of(Table::over(blocks, len))
    }
}

/// Makes a table of nodes that come in canonical order (RFC 4034 §6.1), each name once.
pub(super) struct Builder {
    blocks: Blocks,
    len: usize,
    /// The last node and its ancestors, down from the apex: the places of their blocks.
    open: Vec<u32>,
    apex: Key,
}

impl Builder {
    /// Nothing yet, in a zone with this apex (lower-case wire form).
    pub(super) fn new(apex: Key) -> Self {
        Self { blocks: Blocks::default(), len: 0, open: Vec::new(), apex }
    }

    /// Adds the node at a name (lower-case wire form), which is the apex or below it, and the empty non-terminals that
    /// exist through it.
    pub(super) fn put(&mut self, name: &[u8], draft: &Draft) {
        // Octets of the closest ancestor that is there; a suffix of the name longer than this is not.
        let mut there = 0;
        while let Some(&at) = self.open.last() {
            let above = self.blocks.get(at).and_then(Node::read).map_or(&[][..], Node::name);
            if name.len() > above.len() && name.ends_with(above) && starts_label(name, name.len() - above.len()) {
                there = above.len();
                break;
            }
            self.open.pop();
        }
        let (mut at, mut missing) = (0, [0u8; 128]);
        let mut count = 0;
        while name.len() - at > there.max(self.apex.len() - 1) && count < missing.len() {
            missing[count] = at as u8;
            count += 1;
            at += usize::from(name[at]) + 1;
        }
        let empty = Draft::default();
        for &at in missing[..count].iter().rev() {
            let suffix = &name[usize::from(at)..];
            if let Some(block) = self.open.last().and_then(|&parent| self.blocks.get_mut(parent)) {
                add_child(block, suffix.starts_with(WILDCARD));
            }
            let draft = if at == 0 { draft } else { &empty };
            self.open.push(self.blocks.push(|out| draft.write(suffix, out)));
            self.len += 1;
        }
    }

    /// The nodes.
    pub(super) fn finish(mut self) -> Nodes {
        self.blocks.trim();
        Nodes::of(Table::over(self.blocks, self.len))
    }
}

/// Whether a label of the name begins after so many octets.
fn starts_label(name: &[u8], octets: usize) -> bool {
    let mut at = 0;
    while at < octets {
        at += usize::from(name[at]) + 1;
    }
    at == octets
}

/// Blocks of nodes and where they lie by the hash of their names: open addressing, the next slot where one is taken.
struct Table {
    slots: Box<[Slot]>,
    blocks: Blocks,
    len: usize,
    hasher: RandomState,
}

/// Where a block lies.
#[derive(Clone, Copy)]
struct Slot {
    /// The lower half of the name's hash; the upper says where to look first.
    tag: u32,
    /// The place of the block, or [`FREE`].
    at: u32,
}

impl Table {
    /// A table over blocks of so many nodes.
    fn over(blocks: Blocks, len: usize) -> Self {
        // Two thirds full: a name that is there is found in the second slot on average, most in the first line of memory.
        let mut slots = vec![Slot { tag: 0, at: FREE }; len + len / 2 + 1].into_boxed_slice();
        let hasher = RandomState::default();
        for (at, block) in blocks.iter() {
            let Some(node) = Node::read(block) else { continue };
            let hash = hash(&hasher, node.name());
            let (before, after) = slots.split_at_mut(first(hash, slots.len()));
            if let Some(slot) = after.iter_mut().chain(before).find(|slot| slot.at == FREE) {
                *slot = Slot { tag: hash.tag(), at };
            }
        }
        Self { slots, blocks, len, hasher }
    }

    /// The node at a name in lower-case wire form.
    #[inline]
    fn get(&self, name: &[u8], hash: NameHash) -> Option<Node<'_>> {
        self.at_hash(hash).filter_map(Node::read).find(|node| node.name() == name)
    }

    /// The blocks of nodes whose names may have this hash.
    #[inline]
    fn at_hash(&self, hash: NameHash) -> impl Iterator<Item = &[u8]> {
        let (before, after) = self.slots.split_at(first(hash, self.slots.len()));
        let taken = after.iter().chain(before).take_while(|slot| slot.at != FREE);
        taken.filter(move |slot| slot.tag == hash.tag()).filter_map(|slot| self.blocks.get(slot.at))
    }
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

/// The blocks of a table. A place is the number of a chunk and the eighth part of the offset in it.
#[derive(Default)]
struct Blocks(Vec<Vec<u8>>);

impl Blocks {
    /// Adds the block that `write` appends; gives its place.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        // A block may be longer than a chunk; it only may not begin behind its end.
        if self.0.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            // The first grows as it is needed: most zones are small.
            self.0.push(if self.0.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK + CHUNK / 64) });
        }
        let chunks = self.0.len();
        let Some(chunk) = self.0.last_mut() else { return FREE };
        let at = chunk.len();
        write(chunk);
        chunk.resize(chunk.len().next_multiple_of(UNIT), 0);
        // 32 bits are 32,768 chunks of 1 MiB and more; no zone has so much.
        (((chunks - 1) << PLACE_BITS) | (at / UNIT)) as u32
    }

    /// What begins at a place.
    #[inline]
    fn get(&self, at: u32) -> Option<&[u8]> {
        self.0.get((at >> PLACE_BITS) as usize)?.get((at as usize & PLACE_MASK) * UNIT..)
    }

    /// The same to be changed.
    fn get_mut(&mut self, at: u32) -> Option<&mut [u8]> {
        self.0.get_mut((at >> PLACE_BITS) as usize)?.get_mut((at as usize & PLACE_MASK) * UNIT..)
    }

    /// All blocks with their places, each without what is behind it.
    fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.iter().enumerate().flat_map(|(number, chunk)| {
            let mut at = 0;
            std::iter::from_fn(move || {
                let block = chunk.get(at..)?;
                let octets = Node::read(block)?.octets();
                let place = ((number << PLACE_BITS) | (at / UNIT)) as u32;
                at += octets.next_multiple_of(UNIT);
                Some((place, block.get(..octets)?))
            })
        })
    }

    /// Gives back what was set aside for more.
    fn trim(&mut self) {
        self.0.shrink_to_fit();
        if let Some(last) = self.0.last_mut() {
            last.shrink_to_fit();
        }
    }
}

/// Asks the memory for what is at this place.
#[inline]
#[allow(unsafe_code, reason = "a hint to the processor, which no safe function gives")]
fn prefetch<T>(at: &T) {
    // SAFETY: a prefetch reads nothing that the program sees and never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// No block.
const FREE: u32 = u32::MAX;

/// Octets of a chunk after which the next block goes into another.
const CHUNK: usize = 1 << 20;

/// Blocks begin at multiples of so many octets.
const UNIT: usize = 8;

/// Bits of a place that say where in the chunk.
const PLACE_BITS: u32 = (CHUNK / UNIT).ilog2();

/// Those bits.
const PLACE_MASK: usize = (1 << PLACE_BITS) - 1;

/// Octets that memory moves at once.
const LINE: usize = 64;

/// Lines of a block that are asked for: the node of one or two RRsets.
const LINES: usize = 2;

/// Entries of the overlay that are worth a new table: copying so many at each edit costs about as much as writing one
/// edit to the disk does.
const FOLD_AT: usize = 4096;

/// How a wildcard's name begins in wire form (RFC 4592 §2.1.1).
pub(super) const WILDCARD: &[u8] = b"\x01*";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The wire form of `LABEL.example.org.`
    fn name(label: u32) -> Key {
        let label = format!("n{label:05}");
        [&[label.len() as u8], label.as_bytes(), b"\x07example\x03org\0"].concat().into()
    }

    /// A node that a number tells from others.
    fn draft(number: u32) -> Draft {
        Draft { rrsets: number.to_ne_bytes().repeat(1 + number as usize % 40), children: number, wildcard: false }
    }

    /// The same octets, whether found by name or asked for ahead.
    fn octets(nodes: &Nodes, name: &[u8]) -> Option<Vec<u8>> {
        let hash = nodes.ask(name);
        nodes.fetch(hash);
        assert_eq!(nodes.get(name).is_some(), nodes.get_hashed(name, hash).is_some());
        nodes.get_hashed(name, hash).map(|node| Draft::from(node).rrsets)
    }

    #[test]
    fn it_agrees_with_a_plain_map_through_edits_and_folds() {
        let mut builder = Builder::new(Key::from(&b"\x07example\x03org\0"[..]));
        let mut plain = BTreeMap::new();
        for number in 0..50_000 {
            builder.put(&name(number), &draft(number));
            plain.insert(number, number);
        }
        let mut nodes = builder.finish();
        // The apex exists through them.
        assert_eq!(nodes.len(), plain.len() + 1);
        assert!(nodes.base.blocks.0.len() > 1, "one chunk proves little");
        for round in 0..FOLD_AT as u32 * 3 {
            let number = round * 7919 % 60_000;
            let value = (round % 3 != 0).then_some(round);
            nodes = nodes.with([(name(number), value.map(draft))]);
            match value {
                Some(value) => plain.insert(number, value),
                None => plain.remove(&number),
            };
            if round % 4_000 == 0 {
                let expected = |number: u32| plain.get(&number).map(|&value| draft(value).rrsets);
                assert!((0..60_000).all(|number| octets(&nodes, &name(number)) == expected(number)));
                assert_eq!(nodes.len(), plain.len() + 1);
            }
        }
        assert!(octets(&Nodes::new(), b"\0").is_none());
    }

    #[test]
    fn a_node_longer_than_a_chunk_is_found_with_those_behind_it() {
        let mut builder = Builder::new(Key::from(&b"\x07example\x03org\0"[..]));
        let long = Draft { rrsets: vec![7; 3 * CHUNK], ..Draft::default() };
        let empty = Draft::default();
        for number in 0..3 {
            builder.put(&name(number), if number == 1 { &long } else { &empty });
        }
        let nodes = builder.finish();
        let found = |number| octets(&nodes, &name(number)).map(|octets| octets.len());
        assert_eq!([found(0), found(1), found(2), found(3)], [Some(0), Some(3 * CHUNK), Some(0), None]);
    }
}
