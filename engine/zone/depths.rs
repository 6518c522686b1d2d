//! At which depths of the name tree something stands, so that a search asks only there.

/// How many things stand at each depth (number of labels, 0 to 127), and a bit for each depth that has any.
#[derive(Clone, Default)]
pub struct Depths {
    counts: Vec<u32>,
    bits: u128,
}

impl Depths {
    /// One more at `depth`.
    pub fn add(&mut self, depth: usize) {
        if self.counts.len() <= depth {
            self.counts.resize(depth + 1, 0);
        }
        self.counts[depth] += 1;
        self.bits |= bit(depth);
    }

    /// One less at `depth`.
    pub fn remove(&mut self, depth: usize) {
        if let Some(count) = self.counts.get_mut(depth) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.bits &= !bit(depth);
            }
        }
    }

    /// The depths that have any, from `from` to `to` inclusive, shallow first.
    pub fn downward(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let mut bits = self.within(from, to);
        std::iter::from_fn(move || {
            let depth = bits.trailing_zeros() as usize;
            (bits != 0).then(|| bits &= bits - 1).map(|()| depth)
        })
    }

    /// The depths that have any, from `from` down to 0, deep first.
    pub fn upward(&self, from: usize) -> impl Iterator<Item = usize> {
        let mut bits = self.within(0, from);
        std::iter::from_fn(move || {
            let depth = bits.checked_ilog2()? as usize;
            bits &= !bit(depth);
            Some(depth)
        })
    }

    /// The bits of an inclusive range of depths.
    fn within(&self, from: usize, to: usize) -> u128 {
        let up_to = if to >= 127 { u128::MAX } else { bit(to + 1) - 1 };
        let below = if from > 127 { u128::MAX } else { bit(from) - 1 };
        self.bits & up_to & !below
    }
}

/// The bit of a depth; a name has at most 127 labels.
fn bit(depth: usize) -> u128 {
    1u128 << depth.min(127)
}

#[cfg(test)]
mod tests {
    use super::Depths;

    #[test]
    fn ranges_are_inclusive_and_in_order() {
        let mut depths = Depths::default();
        for depth in [0, 2, 5, 127, 127] {
            depths.add(depth);
        }
        assert_eq!(depths.downward(1, 127).collect::<Vec<_>>(), [2, 5, 127]);
        assert_eq!(depths.downward(0, 2).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(depths.upward(126).collect::<Vec<_>>(), [5, 2, 0]);
        depths.remove(127);
        assert_eq!(depths.upward(127).next(), Some(127));
        depths.remove(127);
        assert_eq!(depths.upward(127).next(), Some(5));
        assert_eq!(depths.downward(3, 2).count(), 0);
    }
}
