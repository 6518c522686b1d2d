//! The memory that the connections of a thread hold together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is held, and how much may be. One thread takes and gives back; that it need not be the same one is for buffers
/// that libraries keep.
#[derive(Debug)]
pub(super) struct Buffers {
    held: AtomicUsize,
    bytes_max: usize,
}

impl Buffers {
    /// With nothing held.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { held: AtomicUsize::new(0), bytes_max }
    }

    /// Takes octets, if they are to be had.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        if bytes > self.bytes_max.saturating_sub(held) {
            self.give_back(bytes);
            return false;
        }
        true
    }

    /// Gives them back.
    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}
