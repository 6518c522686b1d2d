//! Memory for the many small values of a zone that is read: they share large pieces instead of having one each.

use bytes::{Bytes, BytesMut};

/// Gives octets away that lie side by side in pieces of [`PIECE_OCTETS`]; a piece goes when nobody has any of them.
#[derive(Default)]
pub(crate) struct Arena {
    /// The rest of the piece at work.
    rest: BytesMut,
    /// Octets of the next piece; 0 makes each value a piece of its own.
    piece: usize,
}

impl Arena {
    /// For the values of a zone, which are read and given up together.
    pub(crate) fn shared() -> Self {
        Self { rest: BytesMut::new(), piece: PIECE_OCTETS }
    }

    /// A copy of some octets.
    pub(crate) fn copy(&mut self, octets: &[u8]) -> Bytes {
        if self.piece == 0 {
            return Bytes::copy_from_slice(octets);
        }
        if self.rest.capacity() < octets.len() {
            self.rest = BytesMut::with_capacity(self.piece.max(octets.len()));
        }
        self.rest.extend_from_slice(octets);
        self.rest.split().freeze()
    }
}

/// Octets of a piece: thousands of values, and little beside a zone.
const PIECE_OCTETS: usize = 64 << 10;
