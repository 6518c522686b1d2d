//! What the HTTP services may see of the server that they are part of.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use engine::net::{Meter, Running, StreamTotals, WayIn, WorkerTotals};
use engine::plugin::Switch;
use engine::zone::Hub;

/// A view of the running server; a copy shows the same.
#[derive(Clone)]
pub struct Insight {
    /// Where the configuration of now is.
    pub(crate) switch: Arc<Switch>,
    /// When the process began to serve.
    pub(crate) begun: Instant,
    /// The same by the clock on the wall.
    pub(crate) started: SystemTime,
    /// Where the zones of now are.
    pub(crate) hub: Arc<Hub>,
    shown: Arc<Shown>,
}

/// What changes while the server runs.
#[derive(Default)]
struct Shown {
    threads: Mutex<Option<Threads>>,
    /// The folders of the databases.
    databases: Mutex<Vec<PathBuf>>,
    /// Records of databases that are loaded already.
    loaded: AtomicU64,
    /// Records to load.
    records: AtomicU64,
}

/// The threads that answer.
#[derive(Clone)]
pub(crate) struct Threads {
    /// What they have done.
    pub(crate) meter: Meter,
    /// The way in that they use.
    pub(crate) way: WayIn,
    /// The addresses that they serve, with the ports that they really have.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The CPU of each worker that is tied to one.
    pub(crate) cpus: Vec<Option<usize>>,
}

impl Insight {
    /// Of the server that this switch has, with the zones of this hub.
    pub(crate) fn new(switch: Arc<Switch>, hub: Arc<Hub>) -> Self {
        Self { switch, hub, begun: Instant::now(), started: SystemTime::now(), shown: Arc::default() }
    }

    /// Shows these threads as they are now.
    pub(crate) fn show(&self, running: &Running) {
        let threads = Threads {
            meter: running.meter(),
            way: running.io().clone(),
            addresses: running.local_addrs().to_vec(),
            cpus: running.cpus().to_vec(),
        };
        *self.shown.threads.lock().unwrap_or_else(PoisonError::into_inner) = Some(threads);
    }

    /// The threads that answer, once they do.
    pub(crate) fn threads(&self) -> Option<Threads> {
        self.shown.threads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows these folders of databases, and no others.
    pub(crate) fn set_databases(&self, folders: Vec<PathBuf>) {
        *self.shown.databases.lock().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    /// The folders of the databases.
    pub(crate) fn databases(&self) -> Vec<PathBuf> {
        self.shown.databases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many records are going to be loaded, besides those that are.
    pub(crate) fn begin_loading(&self, records: u64) {
        self.shown.records.fetch_add(records, Ordering::Relaxed);
    }

    /// So many more of them are loaded.
    pub(crate) fn go_on_loading(&self, records: u64) {
        self.shown.loaded.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that have been loaded from databases, and those that were to be.
    pub(crate) fn loaded(&self) -> (u64, u64) {
        (self.shown.loaded.load(Ordering::Relaxed), self.shown.records.load(Ordering::Relaxed))
    }

    /// What all threads have done so far: workers, and streams.
    pub(crate) fn totals(&self) -> (WorkerTotals, StreamTotals) {
        let totals = self.threads().map(|threads| threads.meter.totals());
        totals.map_or_else(Default::default, |totals| (totals.udp(), totals.streams))
    }
}

impl fmt::Debug for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insight").finish_non_exhaustive()
    }
}
