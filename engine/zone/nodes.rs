//! The nodes of a zone by name: an immutable table that takes a small change without copying all of itself.
//!
//! A look-up touches two places in memory: a slot, which holds half of the name's hash, and the node's block. Both can
//! be asked for ahead ([`Nodes::ask`], [`Nodes::fetch`]), so that a batch of questions waits for memory once and not each
//! for itself. Blocks lie behind each other in chunks; a million names are a few dozen allocations. Tables share the chunks
//! that they have in common: what a table takes over from an earlier one is not copied.

use std::sync::Arc;

use foldhash::fast::RandomState;

use super::blocks::{Blocks, Chunks};
use super::layered::Key;
use super::node::{Draft, Node, add_child, gone};
use super::table::{NameHash, Table};
use crate::prefetch::prefetch;
use crate::wire::same;

/// A big table with a small one of later changes on top, the overlay.
///
/// Readers ask the overlay first if there is one. [`Nodes::with`] copies the overlay only, until that has grown to a
/// share of the base ([`FOLD_AT`]) and is folded into a new base, which is mostly a copy of the slots. A small zone never
/// has an overlay.
pub(super) struct Nodes {
    base: Arc<Table>,
    /// It hashes names as the base does; where it has a node that is gone, it hides what the base has.
    over: Option<Table>,
    len: usize,
    /// Octets of the apex, which all names end with and no node has.
    apex: usize,
}

/// What is known of a name before it is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint<'z> {
    hash: NameHash,
    /// What begins with the first block that the name's hash leads to; most often the name's own.
    block: Option<&'z [u8]>,
}

impl Nodes {
    /// No nodes, in a zone whose apex has so many octets.
    pub(super) fn new(apex: usize) -> Self {
        Self::of(Table::over(Blocks::default(), 0, RandomState::default()), apex)
    }

    /// The nodes of a table, in a zone whose apex has so many octets.
    fn of(table: Table, apex: usize) -> Self {
        Self { len: table.len(), over: None, base: Arc::new(table), apex }
    }

    /// The node at a name in lower-case wire form, which is the apex or below it, as all names here.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<Node<'_>> {
        let relative = relative(name, self.apex);
        self.search(relative, self.base.hash(relative))
    }

    /// The same for a name that was asked for ahead.
    #[inline]
    pub(super) fn get_ahead<'z>(&'z self, name: &[u8], ahead: Hint<'z>) -> Option<Node<'z>> {
        let relative = relative(name, self.apex);
        match ahead.block.and_then(Node::read).filter(|node| same(node.relative(), relative)) {
            Some(node) => Some(node).filter(|node| !node.is_gone()),
            None => self.search(relative, ahead.hash),
        }
    }

    /// The node at a relative name with this hash.
    fn search(&self, relative: &[u8], hash: NameHash) -> Option<Node<'_>> {
        if let Some(over) = &self.over
            && let Some(node) = over.get(relative, hash)
        {
            return Some(node).filter(|node| !node.is_gone());
        }
        self.base.get(relative, hash)
    }

    /// What is known of a name without a look at the memory.
    #[inline]
    pub(super) fn hint(&self, name: &[u8]) -> Hint<'_> {
        Hint { hash: self.base.hash(relative(name, self.apex)), block: None }
    }

    /// Asks the memory for the slot of a name that will be looked up soon.
    #[inline]
    pub(super) fn ask(&self, name: &[u8]) -> Hint<'_> {
        let hint = self.hint(name);
        self.base.ask(hint.hash);
        hint
    }

    /// Asks the memory for the block of such a name, when the slot has had time to come.
    #[inline]
    pub(super) fn fetch<'z>(&'z self, ahead: &mut Hint<'z>) {
        let later = self.over.as_ref().and_then(|over| over.places(ahead.hash).next());
        if let Some((_, block)) = later.or_else(|| self.base.places(ahead.hash).next()) {
            prefetch(block);
            if let Some(second) = block.get(LINE..) {
                prefetch(second);
            }
            ahead.block = Some(block);
        }
    }

    /// A copy with some nodes put in (`Some`) and some taken out (`None`), each name once.
    pub(super) fn with(&self, changes: impl IntoIterator<Item = (Key, Option<Draft>)>) -> Self {
        let mut len = self.len;
        let blocks: Vec<_> = changes
            .into_iter()
            .map(|(name, draft)| {
                len = len + usize::from(draft.is_some()) - usize::from(self.get(&name).is_some());
                let relative = relative(&name, self.apex);
                draft.map_or_else(|| gone(relative), |draft| draft.block(relative))
            })
            .collect();
        let changes: Vec<_> =
            blocks.iter().filter_map(|block| Node::read(block)).map(|node| (node.relative(), Some(node))).collect();
        let room = self.base.len() / FOLD_AT;
        let over = match &self.over {
            Some(over) => over.with(&changes, room),
            None => Table::over(Blocks::default(), room, self.base.hasher().clone()).with(&changes, 0),
        };
        if over.len() <= room {
            Self { base: Arc::clone(&self.base), over: Some(over), len, apex: self.apex }
        } else {
            self.fold(&over)
        }
    }

    /// The base with what lies in an overlay.
    fn fold(&self, over: &Table) -> Self {
        let changes: Vec<_> =
            over.nodes().map(|node| (node.relative(), Some(node).filter(|node| !node.is_gone()))).collect();
        Self::of(self.base.with(&changes, 0), self.apex)
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// Makes a table of nodes that come in canonical order (RFC 4034 §6.1), each name once.
pub(super) struct Builder {
    chunks: Chunks,
    len: usize,
    /// The last node and its ancestors, down from the apex: the places of their blocks.
    open: Vec<u32>,
    apex: Key,
}

impl Builder {
    /// Nothing yet, in a zone with this apex (lower-case wire form).
    pub(super) fn new(apex: Key) -> Self {
        Self { chunks: Chunks::default(), len: 0, open: Vec::new(), apex }
    }

    /// Adds the node at a name (lower-case wire form), which is the apex or below it, and the empty non-terminals that
    /// exist through it.
    pub(super) fn put(&mut self, name: &[u8], draft: &Draft) {
        let name = relative(name, self.apex.len());
        // Octets of the closest ancestor that is there; a suffix of the name longer than this is not.
        let mut there = 0;
        while let Some(&at) = self.open.last() {
            let above = self.chunks.get_mut(at).and_then(|block| Node::read(block)).map_or(&[][..], Node::relative);
            if name.len() > above.len() && name.ends_with(above) && starts_label(name, name.len() - above.len()) {
                there = above.len();
                break;
            }
            self.open.pop();
        }
        let (mut at, mut missing) = (0, [0u8; 128]);
        let mut count = 0;
        while name.len() - at > there && count < missing.len() {
            missing[count] = at as u8;
            count += 1;
            at += usize::from(name[at]) + 1;
        }
        // The apex is the first of all.
        if self.open.is_empty() && count < missing.len() {
            missing[count] = at as u8;
            count += 1;
        }
        let empty = Draft::default();
        for &at in missing[..count].iter().rev() {
            let suffix = &name[usize::from(at)..];
            if let Some(block) = self.open.last().and_then(|&parent| self.chunks.get_mut(parent)) {
                add_child(block, suffix.starts_with(WILDCARD));
            }
            let draft = if at == 0 { draft } else { &empty };
            self.open.push(self.chunks.push(|out| draft.write(suffix, out)));
            self.len += 1;
        }
    }

    /// The nodes.
    pub(super) fn finish(self) -> Nodes {
        Nodes::of(Table::over(self.chunks.finish(), self.len, RandomState::default()), self.apex.len())
    }
}

/// What stands before an apex of so many octets in a name that is the apex or below it.
#[inline]
fn relative(name: &[u8], apex: usize) -> &[u8] {
    name.get(..name.len().saturating_sub(apex)).unwrap_or_default()
}

/// Whether a label of the name begins after so many octets.
fn starts_label(name: &[u8], octets: usize) -> bool {
    let mut at = 0;
    while at < octets {
        at += usize::from(name[at]) + 1;
    }
    at == octets
}

/// Octets that memory moves at once.
const LINE: usize = 64;

/// An overlay is folded when its nodes are more than this part of the base's. An edit copies the overlay's slots and a short
/// chunk, with a million names less than 100 KiB; its share of a fold is a few KiB of the base's slots.
const FOLD_AT: usize = 256;

/// How a wildcard's name begins in wire form (RFC 4592 §2.1.1).
pub(super) const WILDCARD: &[u8] = b"\x01*";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::blocks::CHUNK;
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
        let octets = |node: Option<Node<'_>>| node.map(|node| Draft::from(node).rrsets);
        let found = octets(nodes.get(name));
        let mut ahead = nodes.ask(name);
        assert_eq!(octets(nodes.get_ahead(name, ahead)), found);
        nodes.fetch(&mut ahead);
        assert_eq!(octets(nodes.get_ahead(name, ahead)), found);
        found
    }

    #[test]
    fn it_agrees_with_a_plain_map_through_edits_and_folds() {
        let mut builder = Builder::new(Key::from(&b"\x07example\x03org\0"[..]));
        let mut plain = BTreeMap::new();
        for number in 0..20_000 {
            builder.put(&name(number), &draft(number));
            plain.insert(number, number);
        }
        let mut nodes = builder.finish();
        // The apex exists through them.
        assert_eq!(nodes.len(), plain.len() + 1);
        assert!(nodes.base.chunks() > 1, "one chunk proves little");
        // Long enough for copies that share chunks, and for tables that are made anew.
        let (mut shared, mut anew) = (0, 0);
        for round in 0..25_000 {
            let base = Arc::clone(&nodes.base);
            let number = round * 7919 % 60_000;
            let value = (round % 3 != 0).then_some(round);
            nodes = nodes.with([(name(number), value.map(draft))]);
            match value {
                Some(value) => plain.insert(number, value),
                None => plain.remove(&number),
            };
            if !Arc::ptr_eq(&base, &nodes.base) {
                *(if nodes.base.shares_with(&base) { &mut shared } else { &mut anew }) += 1;
            }
            if round % 4_000 == 0 {
                let expected = |number: u32| plain.get(&number).map(|&value| draft(value).rrsets);
                assert!((0..60_000).all(|number| octets(&nodes, &name(number)) == expected(number)));
                assert_eq!(nodes.len(), plain.len() + 1);
            }
        }
        assert!(anew > 0 && shared > 100 * anew, "{shared} folds shared chunks, {anew} did not");
        assert!(nodes.base.chunks() < 32, "folds made many chunks: {}", nodes.base.chunks());
        assert!(octets(&Nodes::new(1), b"\0").is_none());
    }

    #[test]
    fn a_small_zone_has_no_overlay() {
        let mut nodes = Nodes::new(13);
        let mut overlaid = 0;
        for number in 0..2 * FOLD_AT as u32 {
            nodes = nodes.with([(name(number), Some(draft(number)))]);
            overlaid += usize::from(nodes.over.is_some());
            assert!(nodes.over.is_none() || nodes.base.len() >= FOLD_AT);
        }
        assert_eq!(overlaid, FOLD_AT / 2);
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
