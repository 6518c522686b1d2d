//! What the HTTP services may see of the server that they are part of.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use engine::net::{Meter, Running, StreamTotals, WorkerTotals};
use engine::plugin::Switch;

/// A view of the running server; a copy shows the same.
#[derive(Clone)]
pub struct Insight {
    /// Where the configuration of now is.
    pub(crate) switch: Arc<Switch>,
    /// When the process began to serve.
    pub(crate) begun: Instant,
    groups: Arc<Mutex<Vec<Group>>>,
}

/// Threads that were started together: those of the start, or those for addresses that came later.
#[derive(Clone)]
pub(crate) struct Group {
    /// What they have done.
    pub(crate) meter: Meter,
}

impl Insight {
    /// Of the server that this switch has.
    pub(crate) fn new(switch: Arc<Switch>) -> Self {
        Self { switch, begun: Instant::now(), groups: Arc::default() }
    }

    /// Shows these threads, too.
    pub(crate) fn add(&self, running: &Running) {
        let group = Group { meter: running.meter() };
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    /// All threads, in the order of their listeners.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What all threads have done so far: workers, and streams.
    pub(crate) fn totals(&self) -> (WorkerTotals, StreamTotals) {
        let (mut udp, mut tcp) = (WorkerTotals::default(), StreamTotals::default());
        for totals in self.groups().iter().map(|group| group.meter.totals()) {
            udp += totals.udp();
            tcp += totals.streams;
        }
        (udp, tcp)
    }
}

impl fmt::Debug for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insight").finish_non_exhaustive()
    }
}
