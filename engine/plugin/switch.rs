//! How a new configuration reaches the threads that answer: they take it between two batches, so that no query is lost
//! and none is answered half by one and half by the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Server, Worker};

/// The server of now. Writers are few; readers compare one number a batch.
///
/// Old servers are kept until no thread holds them, so that their memory is given back here and never on the query line.
pub struct Switch {
    /// Locked for the moment of copying or swapping a pointer.
    current: Mutex<Arc<Server>>,
    retired: Mutex<Vec<Arc<Server>>>,
    generation: AtomicU64,
}

impl Switch {
    /// A switch that has this server.
    pub fn new(server: Arc<Server>) -> Arc<Self> {
        Arc::new(Self { current: Mutex::new(server), retired: Mutex::default(), generation: AtomicU64::new(0) })
    }

    /// The server of now.
    pub fn current(&self) -> Arc<Server> {
        self.numbered().0
    }

    /// The server of now with its number.
    pub(super) fn numbered(&self) -> (Arc<Server>, u64) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&current), self.generation.load(Ordering::Acquire))
    }

    /// The number of the server of now.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts another server in the place of this one: every thread's next batch is answered by it.
    pub fn change(&self, server: Arc<Server>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, server);
        self.generation.fetch_add(1, Ordering::Release);
        drop(current);
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(old);
    }

    /// Gives back the memory of old servers that no thread holds any more. Called from time to time.
    pub fn sweep(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can take a retired server anew, so a count of one stays one.
        let free: Vec<_> = retired.extract_if(.., |server| Arc::strong_count(server) == 1).collect();
        drop(retired);
        drop(free);
    }

    /// One thread's part of the server, now and after changes.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker::new(Arc::clone(self))
    }
}
