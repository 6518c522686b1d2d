//! Samples of the names that are asked for, while somebody wants to know them.
//!
//! Each thread that answers has a queue of its own that takes so many names, and no more until it is emptied: who asks for
//! the names empties it, which grants room for the next ones. Nobody asks, nothing is copied. So the names are those of
//! the first queries after each look, a fair sample as long as looks do not follow the traffic.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::counters::thread;
use crate::wire::QName;

/// The queues of all threads.
pub(super) struct Names {
    /// One a thread; threads beyond them are not sampled.
    queues: Box<[Queue]>,
    /// What has been gathered, under a lock that the query line does not know.
    gathered: Mutex<Tops>,
}

/// Names on their way from one thread that answers to those who look.
struct Queue {
    /// How many names were put in.
    written: AtomicU64,
    /// How many may have been put in.
    granted: AtomicU64,
    slots: Box<[Slot]>,
}

/// A name in wire form, zeros behind it.
#[derive(Default)]
struct Slot([AtomicU64; 32]);

/// The names that were seen most often, with how often. Space-saving (Metwally, Agrawal, El Abbadi): a new name takes the
/// place and the count of the rarest, so that a name which is really frequent is never missing, and counts are high at
/// most by the count of the rarest.
#[derive(Clone, Debug, Default)]
pub struct Tops {
    counts: HashMap<Box<[u8]>, u64>,
    /// Samples in all.
    pub samples: u64,
}

impl Names {
    /// Those of this process, if anybody has asked for them yet.
    #[inline]
    pub(super) fn wanted() -> Option<&'static Self> {
        NAMES.get()
    }

    /// Takes in the name of a query, if there is room for it.
    #[inline]
    pub(super) fn put(&self, name: &QName) {
        if let Some(queue) = self.queues.get(thread()) {
            queue.put(name);
        }
    }

    /// Empties all queues; what was gathered of late.
    pub(super) fn look() -> Tops {
        let names = NAMES.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let queue = || Queue {
                written: AtomicU64::new(0),
                granted: AtomicU64::new(0),
                slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            };
            // The stream thread has one, too.
            Self { queues: (0..=threads).map(|_| queue()).collect(), gathered: Mutex::default() }
        });
        let mut gathered = names.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in &names.queues {
            queue.take(|name| gathered.add(name));
        }
        gathered.clone()
    }
}

impl Queue {
    /// Puts a name in; called by one thread alone.
    #[inline]
    fn put(&self, name: &QName) {
        let written = self.written.load(Ordering::Relaxed);
        // Acquire pairs with the Release in `take`: the slot has been read.
        if written >= self.granted.load(Ordering::Acquire) {
            return;
        }
        let Some(Slot(words)) = self.slots.get((written % SLOTS) as usize) else { return };
        for (word, octets) in words.iter().zip(name.as_slice().chunks(8)) {
            let mut padded = [0; 8];
            padded[..octets.len()].copy_from_slice(octets);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        self.written.store(written + 1, Ordering::Release);
    }

    /// Takes all names out and grants room for more; called under the lock.
    fn take(&self, mut each: impl FnMut(&[u8])) {
        let (written, granted) = (self.written.load(Ordering::Acquire), self.granted.load(Ordering::Relaxed));
        let first = granted.saturating_sub(SLOTS);
        for number in first..written {
            let Some(Slot(words)) = self.slots.get((number % SLOTS) as usize) else { continue };
            let mut octets = [0; 256];
            for (chunk, word) in octets.chunks_mut(8).zip(words) {
                chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            each(name_in(&octets));
        }
        self.granted.store(written + SLOTS, Ordering::Release);
    }
}

impl Tops {
    /// Counts a name.
    fn add(&mut self, name: &[u8]) {
        if self.samples >= SAMPLES_MAX {
            // What was long ago counts for less.
            self.samples /= 2;
            self.counts.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        self.samples += 1;
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
            return;
        }
        let mut count = 1;
        if self.counts.len() >= NAMES_MAX
            && let Some((rarest, least)) = self.counts.iter().min_by_key(|(_, count)| **count)
        {
            let rarest = rarest.clone();
            count += least;
            self.counts.remove(&rarest);
        }
        self.counts.insert(name.into(), count);
    }

    /// The names in wire form that were seen most often, at most so many, with the number of samples of each.
    pub fn most_frequent(&self, most: usize) -> Vec<(&[u8], u64)> {
        let mut names: Vec<_> = self.counts.iter().map(|(name, count)| (&**name, *count)).collect();
        names.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        names.truncate(most);
        names
    }
}

/// The name at the start of some octets.
fn name_in(octets: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(length @ 1..) = octets.get(at) {
        at += usize::from(*length) + 1;
    }
    octets.get(..=at).unwrap_or_default()
}

/// Made at the first look, never on the query line.
static NAMES: OnceLock<Names> = OnceLock::new();

/// Names of one thread between two looks.
const SLOTS: u64 = 512;

/// Names that are counted at once.
const NAMES_MAX: usize = 1000;

/// Samples after which all counts are halved.
const SAMPLES_MAX: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A name of two labels.
    fn name(label: &str) -> QName {
        let wire = [&[label.len() as u8], label.as_bytes(), b"\x03org\0"].concat();
        QName::from_wire(&wire).unwrap()
    }

    #[test]
    fn a_queue_takes_nothing_unasked_and_no_more_than_it_was_granted() {
        let queue = Queue {
            written: AtomicU64::new(0),
            granted: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
        };
        let taken = || {
            let mut names = Vec::new();
            queue.take(|name| names.push(QName::from_wire(name).unwrap().as_slice().to_vec()));
            names
        };
        queue.put(&name("unasked"));
        assert!(taken().is_empty());
        for round in 0..3 {
            for number in 0..SLOTS + 10 {
                queue.put(&name(&format!("n{round}-{number}")));
            }
            let expected: Vec<_> =
                (0..SLOTS).map(|number| name(&format!("n{round}-{number}")).as_slice().to_vec()).collect();
            assert_eq!(taken(), expected, "round {round}");
        }
        assert!(taken().is_empty());
        let longest =
            [&[63; 1][..], &[b'a'; 63], &[63], &[b'b'; 63], &[63], &[b'c'; 63], &[61], &[b'd'; 61], &[0]].concat();
        let longest = QName::from_wire(&longest).unwrap();
        queue.put(&longest);
        queue.put(&QName::from_wire(b"\0").unwrap());
        assert_eq!(taken(), [longest.as_slice(), b"\0"]);
    }

    #[test]
    fn a_frequent_name_is_found_among_more_rare_ones_than_are_counted() {
        let mut tops = Tops::default();
        for number in 0..3 * NAMES_MAX {
            tops.add(name(&format!("rare{number}")).as_slice());
            if number % 10 == 0 {
                tops.add(name("frequent").as_slice());
            }
        }
        assert_eq!(tops.counts.len(), NAMES_MAX);
        let top = tops.most_frequent(3);
        assert_eq!((top.len(), top[0].0), (3, name("frequent").as_slice()));
        assert!(top[0].1 >= 300, "{top:?}");
    }
}
