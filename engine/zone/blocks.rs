//! The blocks of nodes in memory: behind each other in chunks, which tables share.

use std::sync::Arc;

use super::node::Node;

/// The blocks of a table. A place is the number of a chunk and the eighth part of the offset in it.
#[derive(Clone, Default)]
pub(super) struct Blocks(pub(super) Vec<Arc<[u8]>>);

impl Blocks {
    /// What begins at a place.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&[u8]> {
        self.0.get((at >> PLACE_BITS) as usize)?.get((at as usize & PLACE_MASK) * UNIT..)
    }

    /// Octets of all chunks.
    pub(super) fn octets(&self) -> usize {
        self.0.iter().map(|chunk| chunk.len()).sum()
    }

    /// The nodes of all blocks with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Node<'_>)> {
        self.0.iter().enumerate().flat_map(|(number, chunk)| {
            let mut at = 0;
            std::iter::from_fn(move || {
                let node = Node::read(chunk.get(at..)?)?;
                let place = ((number << PLACE_BITS) | (at / UNIT)) as u32;
                at += node.as_slice().len().next_multiple_of(UNIT);
                Some((place, node))
            })
        })
    }
}

/// Blocks that are being written.
#[derive(Default)]
pub(super) struct Chunks {
    full: Vec<Arc<[u8]>>,
    last: Vec<u8>,
}

impl Chunks {
    /// Those that go behind others, which stay as they are. The last chunk is copied and goes on if it is short, so that
    /// many small changes do not make many chunks.
    pub(super) fn behind(blocks: &Blocks) -> Self {
        let mut full = blocks.0.clone();
        let short = full.pop_if(|chunk| chunk.len() < SHORT);
        Self { full, last: short.map_or_else(Vec::new, |chunk| chunk.to_vec()) }
    }

    /// Adds the block that `write` appends; gives its place.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        // A block may be longer than a chunk; it only may not begin behind its end.
        if self.last.len() >= CHUNK {
            self.full.push(Arc::from(&self.last[..]));
            self.last.clear();
        }
        let at = self.last.len();
        write(&mut self.last);
        self.last.resize(self.last.len().next_multiple_of(UNIT), 0);
        // 32 bits are 32,768 chunks of 1 MiB and more; no zone has so much.
        ((self.full.len() << PLACE_BITS) | (at / UNIT)) as u32
    }

    /// What begins at a place, to be changed; nothing where others share it.
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut [u8]> {
        let number = (at >> PLACE_BITS) as usize;
        let chunk = if number == self.full.len() { &mut self.last } else { Arc::get_mut(self.full.get_mut(number)?)? };
        chunk.get_mut((at as usize & PLACE_MASK) * UNIT..)
    }

    /// The blocks, as they are read.
    pub(super) fn finish(mut self) -> Blocks {
        if !self.last.is_empty() {
            self.full.push(Arc::from(self.last));
        }
        self.full.shrink_to_fit();
        Blocks(self.full)
    }
}

/// Octets of a chunk after which the next block goes into another.
pub(super) const CHUNK: usize = 1 << 20;

/// Octets below which a chunk is short: cheap to copy.
const SHORT: usize = CHUNK / 32;

/// Blocks begin at multiples of so many octets.
const UNIT: usize = 8;

/// Bits of a place that say where in the chunk.
const PLACE_BITS: u32 = (CHUNK / UNIT).ilog2();

/// Those bits.
const PLACE_MASK: usize = (1 << PLACE_BITS) - 1;
