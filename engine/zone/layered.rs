//! An immutable map from names to values that takes a small change without copying all of itself.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::{DashMap, ReadOnlyView};
use foldhash::fast::RandomState;

/// A name in lower-case wire form as a key that copies cheaply.
pub(super) type Key = Arc<[u8]>;

/// A big read-only view with a small overlay of later changes on top.
///
/// Readers ask the overlay first if it holds anything. [`Layered::with`] copies the overlay only, until that has as many
/// entries as the square root of the base's number and is folded into a new view: then copying the one at each edit and
/// the other at each fold cost about the same. Both layers hash with the same random seed.
pub(super) struct Layered<V> {
    base: Arc<ReadOnlyView<Key, V, RandomState>>,
    /// `None` hides what the base has.
    over: HashMap<Key, Option<V>, RandomState>,
    len: usize,
}

impl<V: Clone> Layered<V> {
    /// An empty map.
    pub(super) fn new() -> Self {
        Self::build(Vec::new())
    }

    /// A map of these entries, all in the base; keys have to differ.
    pub(super) fn build(entries: Vec<(Key, V)>) -> Self {
        let hasher = RandomState::default();
        let map = DashMap::with_capacity_and_hasher_and_shard_amount(entries.len(), hasher.clone(), SHARDS);
        for (key, value) in entries {
            map.insert(key, value);
        }
        Self { len: map.len(), base: Arc::new(map.into_read_only()), over: HashMap::with_hasher(hasher) }
    }

    /// The value under `key`.
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        if !self.over.is_empty()
            && let Some(over) = self.over.get(key)
        {
            return over.as_ref();
        }
        self.base.get(key)
    }

    /// A copy with some values put in (`Some`) and some taken out (`None`).
    pub(super) fn with(&self, changes: impl IntoIterator<Item = (Key, Option<V>)>) -> Self {
        let mut over = self.over.clone();
        let mut len = self.len;
        for (key, value) in changes {
            let had = over.get(&key).map_or_else(|| self.base.contains_key(&key), Option::is_some);
            len = len + usize::from(value.is_some()) - usize::from(had);
            over.insert(key, value);
        }
        let layered = Self { base: Arc::clone(&self.base), over, len };
        if layered.over.len().pow(2) < layered.base.len() { layered } else { layered.fold() }
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let base = self.base.iter().filter(|(key, _)| !self.over.contains_key(*key)).map(|(_, value)| value);
        base.chain(self.over.values().flatten())
    }

    /// How many keys have a value.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The same map with an empty overlay.
    fn fold(self) -> Self {
        let map = (*self.base).clone().into_inner();
        for (key, value) in &self.over {
            match value {
                Some(value) => drop(map.insert(Arc::clone(key), value.clone())),
                None => drop(map.remove(key)),
            }
        }
        let hasher = map.hasher().clone();
        Self { len: self.len, base: Arc::new(map.into_read_only()), over: HashMap::with_hasher(hasher) }
    }
}

/// Shards of the view; it is filled by one thread and never locked afterwards, so the least that dashmap takes.
const SHARDS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_a_plain_map_through_edits_and_folds() {
        let key = |n: u32| Key::from(n.to_be_bytes().as_slice());
        let mut layered = Layered::build((0..100).map(|n| (key(n), n)).collect());
        let mut plain: HashMap<Key, u32> = (0..100).map(|n| (key(n), n)).collect();
        for round in 0..10_000 {
            let n = round * 7919 % 6000;
            let value = (round % 3 != 0).then_some(round);
            layered = layered.with([(key(n), value)]);
            match value {
                Some(value) => plain.insert(key(n), value),
                None => plain.remove(&key(n)),
            };
            if round % 512 == 0 {
                assert!((0..6000).all(|n| layered.get(&key(n)) == plain.get(&key(n))));
                assert_eq!(layered.len(), plain.len());
                let sorted = |mut values: Vec<u32>| {
                    values.sort_unstable();
                    values
                };
                assert_eq!(sorted(layered.values().copied().collect()), sorted(plain.values().copied().collect()));
            }
        }
        assert_eq!(Layered::<u32>::new().get(b"x"), None);
    }
}
