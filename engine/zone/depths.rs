//! At which depths of the name tree something stands, so that a search asks only there.

/// How many things stand at each depth (number of labels, 0 to 127), and the depths that have any.
#[derive(Clone, Default)]
pub struct Depths {
    counts: Vec<u32>,
    /// In order. There are few of them, so that a search goes through all.
    used: Vec<u8>,
}

impl Depths {
    /// One more at `depth`.
    pub fn add(&mut self, depth: usize) {
        if self.counts.len() <= depth {
            self.counts.resize(depth + 1, 0);
        }
        self.counts[depth] += 1;
        if self.counts[depth] == 1 {
            self.note_used();
        }
    }

    /// One less at `depth`.
    pub fn remove(&mut self, depth: usize) {
        if let Some(count) = self.counts.get_mut(depth) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.note_used();
            }
        }
    }

    /// Notes which depths have any.
    fn note_used(&mut self) {
        self.used.clear();
        // A name has at most 127 labels.
        self.used.extend((0..=127u8).zip(&self.counts).filter(|(_, count)| **count > 0).map(|(depth, _)| depth));
    }

    /// The depths that have any, from `from` up to, but not, `to`, shallow first.
    #[inline]
    pub fn downward(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        self.used.iter().map(|depth| usize::from(*depth)).filter(move |depth| (from..to).contains(depth))
    }

    /// The depths that have any, from `from` down to 0, deep first.
    #[inline]
    pub fn upward(&self, from: usize) -> impl Iterator<Item = usize> {
        self.used.iter().rev().map(|depth| usize::from(*depth)).filter(move |depth| *depth <= from)
    }
}

#[cfg(test)]
mod tests {
    use super::Depths;

    #[test]
    fn ranges_are_in_order_and_end_where_they_say() {
        let mut depths = Depths::default();
        for depth in [0, 2, 5, 127, 127] {
            depths.add(depth);
        }
        assert_eq!(depths.downward(1, 128).collect::<Vec<_>>(), [2, 5, 127]);
        assert_eq!(depths.downward(0, 2).collect::<Vec<_>>(), [0]);
        assert_eq!(depths.upward(126).collect::<Vec<_>>(), [5, 2, 0]);
        depths.remove(127);
        assert_eq!(depths.upward(127).next(), Some(127));
        depths.remove(127);
        assert_eq!(depths.upward(127).next(), Some(5));
        assert_eq!(depths.downward(3, 2).count(), 0);
    }
}
