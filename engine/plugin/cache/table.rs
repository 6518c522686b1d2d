//! Answers in a table of fixed size that nobody locks: workers read it while others write.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use crate::wire::{Query, Received};

/// What questions are told apart by.
///
/// It lies on the stack: looking for an answer allocates nothing.
#[derive(Clone)]
pub(super) struct Key {
    octets: [u8; KEY_MAX],
    len: usize,
}

impl Key {
    /// The key of a question.
    pub(super) fn of(query: &Query) -> Self {
        let name = query.name.as_slice();
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        let flags = [dnssec_ok, query.checking_disabled, query.recursion_desired];
        let flags = flags.iter().fold(0, |flags, flag| flags << 1 | u8::from(*flag));
        let (rtype, class) = (query.qtype.to_int().to_be_bytes(), query.qclass.to_int().to_be_bytes());
        let mut key = Self { octets: [0; KEY_MAX], len: 0 };
        for part in [name, &rtype, &class, &[flags]] {
            // A name has 255 octets at most (RFC 1035 §2.3.4), and there is room for all that comes behind it.
            key.octets[key.len..key.len + part.len()].copy_from_slice(part);
            key.len += part.len();
        }
        key
    }

    /// Its octets.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

/// An answer.
pub(super) struct Entry {
    pub(super) received: Received,
    /// How long it may be given.
    pub(super) lifetime: Duration,
    since: Instant,
    /// How often it was asked for without a pause.
    hits: AtomicU32,
    /// When it was asked for last, in milliseconds of its age.
    last_hit_ms: AtomicU64,
    /// It is being fetched anew.
    is_refreshed: AtomicBool,
}

impl Entry {
    /// An answer that has just come.
    pub(super) fn new(received: Received, lifetime: Duration) -> Self {
        let (hits, last_hit_ms, is_refreshed) = (AtomicU32::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { received, lifetime, since: Instant::now(), hits, last_hit_ms, is_refreshed }
    }

    /// How long it has been kept.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Counts that it was asked for; gives how often, since there was such a pause.
    pub(super) fn hit(&self, pause: Duration) -> u32 {
        let now_ms = self.age().as_millis() as u64;
        let last_ms = self.last_hit_ms.swap(now_ms, Ordering::Relaxed);
        if u128::from(now_ms.saturating_sub(last_ms)) >= pause.as_millis() {
            self.hits.store(0, Ordering::Relaxed);
        }
        self.hits.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// True for who is to fetch it anew; nobody else is until that has ended.
    pub(super) fn begin_refresh(&self) -> bool {
        !self.is_refreshed.swap(true, Ordering::Relaxed)
    }

    /// It was not fetched.
    pub(super) fn end_refresh(&self) {
        self.is_refreshed.store(false, Ordering::Relaxed);
    }
}

/// Where one answer is kept, with what it answers.
type Slot = ArcSwapOption<(Box<[u8]>, Arc<Entry>)>;

/// The answers. One that is replaced is freed by whoever looks at it last.
pub(super) struct Table {
    buckets: Box<[[Slot; WAYS]]>,
    hasher: RandomState,
}

impl Table {
    /// Room for so many answers, rounded up to a whole bucket.
    pub(super) fn new(capacity: usize) -> Self {
        let bucket = |_| std::array::from_fn(|_| ArcSwapOption::empty());
        Self { buckets: (0..capacity.div_ceil(WAYS)).map(bucket).collect(), hasher: RandomState::default() }
    }

    /// The answer that is kept under a key.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.bucket(key)?.iter().find_map(|slot| {
            let kept = slot.load();
            kept.as_ref().filter(|kept| *kept.0 == *key.as_slice()).map(|kept| Arc::clone(&kept.1))
        })
    }

    /// Keeps an answer; true if another one that had not ended had to go.
    ///
    /// Of two writers at one place the later wins; what the other had is fetched again when it is asked for.
    pub(super) fn put(&self, key: &Key, entry: Entry) -> bool {
        let Some(bucket) = self.bucket(key) else { return false };
        // The same question first, then a free slot, then what ends first.
        let rank = |slot: &Slot| match &*slot.load() {
            Some(kept) if *kept.0 == *key.as_slice() => (0, Duration::ZERO),
            None => (1, Duration::ZERO),
            Some(kept) => (2, kept.1.lifetime.saturating_sub(kept.1.age())),
        };
        let Some(((rank, left), slot)) = bucket.iter().map(|slot| (rank(slot), slot)).min_by_key(|(rank, _)| *rank)
        else {
            return false;
        };
        slot.store(Some(Arc::new((key.as_slice().into(), Arc::new(entry)))));
        rank == 2 && !left.is_zero()
    }

    /// Forgets an answer.
    pub(super) fn remove(&self, key: &Key) {
        for slot in self.bucket(key).into_iter().flatten() {
            if slot.load().as_ref().is_some_and(|kept| *kept.0 == *key.as_slice()) {
                slot.store(None);
            }
        }
    }

    /// How many answers are kept.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().flatten().filter(|slot| slot.load().is_some()).count()
    }

    /// The slots where a key may be; None if there are none at all.
    fn bucket(&self, key: &Key) -> Option<&[Slot; WAYS]> {
        // Scales the hash to the number of buckets.
        let place = (u128::from(self.hasher.hash_one(key)) * self.buckets.len() as u128) >> 64;
        self.buckets.get(place as usize)
    }
}

/// Octets of a key at most: a name, type, class, and flags.
const KEY_MAX: usize = 255 + 5;

/// Slots of a bucket: enough that a full table has few empty ones.
const WAYS: usize = 8;
