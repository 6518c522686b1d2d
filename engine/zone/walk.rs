//! Choices that make random zones and questions.

/// A sequence of choices: those that octets spell, then those of a small fast generator. The same walk every time.
pub(super) struct Walk<'o> {
    octets: &'o [u8],
    state: u64,
}

impl<'o> Walk<'o> {
    /// The choices of a generator alone.
    #[cfg(test)]
    pub(super) fn seeded(seed: u64) -> Self {
        Self { octets: &[], state: seed }
    }

    /// The choices that a fuzzer makes.
    pub(super) fn over(octets: &'o [u8]) -> Self {
        Self { octets, state: 0 }
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        if let Some((first, rest)) = self.octets.split_first() {
            self.octets = rest;
            return usize::from(*first) % bound;
        }
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % bound
    }
}
