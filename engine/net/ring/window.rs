//! The next few completions: those whose messages are read before the first of them is answered.
#![forbid(unsafe_code)]

use super::super::AHEAD;
use super::buffers::Completion;

/// Completions in the order in which they came. Each is taken once, also when answering panics.
#[derive(Default)]
pub(super) struct Window {
    completions: [Completion; AHEAD],
    next: usize,
    len: usize,
}

impl Window {
    /// Whether all of them have been taken.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.len
    }

    /// Takes in up to [`AHEAD`] others, when it is empty.
    #[inline]
    pub(super) fn fill(&mut self, from: impl Iterator<Item = Completion>) {
        debug_assert!(self.is_empty());
        (self.next, self.len) = (0, 0);
        for (place, completion) in self.completions.iter_mut().zip(from) {
            *place = completion;
            self.len += 1;
        }
    }

    /// Those that have not been taken, with their places.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Completion)> {
        self.completions.iter().copied().enumerate().take(self.len).skip(self.next)
    }

    /// Takes the next one, with its place.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(usize, Completion)> {
        let (place, completion) = self.iter().next()?;
        self.next += 1;
        Some((place, completion))
    }
}
