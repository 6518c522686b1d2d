//! All zones at one moment, and how a new moment reaches the workers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Zone, ZoneSet};

/// Which set of zones in a snapshot; given out by [`Hub::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId(usize);

impl SetId {
    /// A set that no snapshot has.
    pub const NONE: Self = Self(usize::MAX);
}

/// The zone sets of all sources at one moment. Readers see all of a change or nothing of it.
#[derive(Clone, Default)]
pub struct Snapshot {
    sets: Vec<Arc<ZoneSet>>,
    generation: u64,
}

impl Snapshot {
    /// The zones of one source.
    #[inline]
    pub fn set(&self, id: SetId) -> Option<&ZoneSet> {
        self.sets.get(id.0).map(|set| &**set)
    }

    /// The zones of all sources.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.sets.iter().flat_map(|set| set.iter())
    }

    /// How many snapshots came before this one.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// Where snapshots are published. Writers wait for each other, readers for nobody.
///
/// Old snapshots are kept until no worker holds them, so that the memory of a big zone is given back here and never on
/// the query line.
#[derive(Default)]
pub struct Hub {
    /// Held by a publisher for as long as its change takes; readers never ask for it.
    publishing: Mutex<()>,
    /// Locked for the moment of copying or swapping a pointer.
    current: Mutex<Arc<Snapshot>>,
    retired: Mutex<Vec<Arc<Snapshot>>>,
    generation: AtomicU64,
    /// Sets that were added and have no owner yet.
    added: Mutex<Vec<SetId>>,
    /// Sets that nobody needs any more.
    spare: Mutex<Vec<SetId>>,
}

/// Owns a set of zones: when it is dropped, its zones go and its place is given to another.
pub struct OwnedSet {
    id: SetId,
    hub: Arc<Hub>,
}

impl OwnedSet {
    /// Which set it is.
    pub fn id(&self) -> SetId {
        self.id
    }

    /// Publishes what `change` makes of its zones, as [`Hub::publish`] does.
    pub fn publish(&self, change: impl FnOnce(&ZoneSet) -> ZoneSet) {
        self.hub.publish(self.id, change);
    }
}

impl Drop for OwnedSet {
    fn drop(&mut self) {
        self.hub.publish(self.id, |_| ZoneSet::default());
        self.hub.spare.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
    }
}

impl Hub {
    /// A hub with an empty snapshot.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds an empty set of zones for a new source.
    pub fn add(&self) -> SetId {
        let id = self.place();
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        id
    }

    /// The same for a source that owns it from the start.
    pub fn add_owned(self: &Arc<Self>) -> OwnedSet {
        OwnedSet { id: self.place(), hub: Arc::clone(self) }
    }

    /// The sets that were added since this was last asked, for their owner.
    pub fn take_added(self: &Arc<Self>) -> Vec<Arc<OwnedSet>> {
        let added = std::mem::take(&mut *self.added.lock().unwrap_or_else(PoisonError::into_inner));
        added.into_iter().map(|id| Arc::new(OwnedSet { id, hub: Arc::clone(self) })).collect()
    }

    /// A place that nobody has.
    fn place(&self) -> SetId {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| self.add_place())
    }

    /// Adds a place to the snapshot.
    fn add_place(&self) -> SetId {
        let mut id = SetId(0);
        self.swap(|snapshot| {
            id = SetId(snapshot.sets.len());
            snapshot.sets.push(Arc::default());
        });
        id
    }

    /// Publishes what `change` makes of one source's zones. When it returns, every worker's next batch sees it.
    ///
    /// Other publishers wait meanwhile, so `change` does its heavy work before, where it can.
    pub fn publish(&self, id: SetId, change: impl FnOnce(&ZoneSet) -> ZoneSet) {
        self.swap(|snapshot| {
            if let Some(set) = snapshot.sets.get_mut(id.0) {
                *set = Arc::new(change(set));
            }
        });
    }

    /// The snapshot of now.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the current snapshot by a changed copy.
    fn swap(&self, change: impl FnOnce(&mut Snapshot)) {
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.current());
        change(&mut next);
        next.generation += 1;
        let generation = next.generation;
        let next = Arc::new(next);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, next);
        // Release pairs with the Acquire in `Reader::turn`; the pointer itself is handed over under the lock.
        self.generation.store(generation, Ordering::Release);
        drop(current);
        drop(publishing);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(old);
        // Nobody can take a retired snapshot anew, so a count of one stays one.
        let free: Vec<_> = retired.extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1).collect();
        drop(retired);
        drop(free);
    }
}

/// One thread's hold on the snapshot.
pub struct Reader {
    hub: Arc<Hub>,
    held: Arc<Snapshot>,
}

impl Reader {
    /// Holds the snapshot of now.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { held: hub.current(), hub }
    }

    /// Takes the newest snapshot if there is a newer one: one atomic load where there is none. Once a batch.
    #[inline]
    pub fn turn(&mut self) {
        if self.hub.generation.load(Ordering::Acquire) != self.held.generation {
            self.held = self.hub.current();
        }
    }

    /// The snapshot that is held.
    #[inline]
    pub fn snapshot(&self) -> &Snapshot {
        &self.held
    }
}
