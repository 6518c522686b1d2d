//! Answers that have to be waited for: how a query leaves the worker, and how its answer comes back.
//!
//! A plugin that has to ask elsewhere returns [`Flow::Later`](super::Flow::Later). Then the query, and what has been
//! settled of its answer, is copied into a [`Later`], and the plugin makes an [`Errand`]: a future that brings the answer.
//! Who received the message says how the answer is sent ([`Later::start`]), and the worker goes on. The errand runs on a
//! tokio runtime that the whole process shares; there the answer is made as well, passes the plugins that were asked
//! before, and is sent straight over the client's socket. So a worker never hears of the query again: it needs no queue to
//! look at and no wake-up, and queries that are answered at once pay nothing for those that are not.
//!
//! The bound is [`WAITING_MAX`] errands at once, for all plugins together; what comes beyond is SERVFAIL.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use domain::base::iana::OptRcode;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Arrival, Chain, Context, Counters, Failure};
use crate::metrics::Text;
use crate::wire::{Parked, Query, Received, Response};
use crate::zone::Hub;

/// What brings an answer from elsewhere.
pub type Errand = Pin<Box<dyn Future<Output = Brought> + Send>>;

/// What an errand brought: an answer, or why there is none and what the client is told.
pub type Brought = Result<Received, (OptRcode, Failure)>;

/// A query whose answer is waited for.
pub struct Later {
    errand: Errand,
    waiting: Waiting,
    asked: Asked,
}

/// The query itself.
pub(super) struct Asked {
    pub(super) chain: Arc<Chain>,
    /// The place of the plugin that waits.
    pub(super) place: usize,
    pub(super) query: Query,
    pub(super) response: Parked,
    pub(super) arrival: Arrival,
    pub(super) hub: Arc<Hub>,
    pub(super) started: Option<Instant>,
    pub(super) has_cookie: bool,
    pub(super) counters: Option<Arc<Counters>>,
}

/// A place among those that wait; given back when dropped.
pub(super) struct Waiting(());

impl Waiting {
    /// Takes a place, if there is one.
    pub(super) fn take() -> Option<Self> {
        if WAITING.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            REFUSED.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        BEGUN.fetch_add(1, Ordering::Relaxed);
        Some(Self(()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Later {
    /// A query with the errand for its answer.
    pub(super) fn new(errand: Errand, waiting: Waiting, asked: Asked) -> Self {
        Self { errand, waiting, asked }
    }

    /// Goes for the answer and has it sent; None is silence.
    pub fn start(self, send: impl FnOnce(Option<&[u8]>) + Send + 'static) {
        let Self { mut errand, waiting, asked } = self;
        spawn(async move {
            let in_time = match asked.chain.patience(asked.place, &asked.query) {
                None => Ok(errand.as_mut().await),
                Some(patience) => timeout(patience, errand.as_mut()).await,
            };
            let is_late = in_time.is_err();
            let brought = in_time.unwrap_or_else(|_| Err((OptRcode::SERVFAIL, asked.too_late())));
            let mut buffer = Vec::new();
            let len = asked.answer(brought, &mut buffer);
            send(len.and_then(|len| buffer.get(..len)));
            if is_late {
                // It is kept, but nobody waits for it any more.
                let _ = errand.await;
            }
            drop(waiting);
        });
    }

    /// Goes for the answer only so that plugins may keep it.
    pub(super) fn start_for_keeping(self) {
        let Self { errand, waiting, asked } = self;
        spawn(async move {
            let brought = errand.await;
            // Nobody waits for what is given back, but a failure has to be told.
            let _ = asked.chain.rescue(asked.place, &asked.query, brought);
            drop(waiting);
        });
    }
}

impl Asked {
    /// Why there is no answer if nothing comes in time.
    fn too_late(&self) -> Failure {
        Failure { plugin: self.chain.name(self.place), text: "the answer has not come in time" }
    }

    /// Makes the answer of what was brought; gives its length, None for silence.
    fn answer(&self, brought: Brought, buffer: &mut Vec<u8>) -> Option<usize> {
        let snapshot = self.hub.current();
        let mut context = Context {
            arrival: &self.arrival,
            snapshot: &snapshot,
            ahead: None,
            started: self.started,
            has_cookie: self.has_cookie,
            counters: self.counters.as_deref(),
            answered: None,
            failure: None,
            silence: false,
        };
        let mut response: Response<'_> = self.response.resume(buffer);
        let brought = self.chain.rescue(self.place, &self.query, brought);
        let is_sent = self.chain.conclude(self.place, brought, &self.query, &mut response, &mut context);
        is_sent.then(|| response.finish())
    }
}

/// Starts the runtime if it is not there yet; called when a plugin that waits is set up.
pub(super) fn prepare() -> Result<(), String> {
    RUNTIME.as_ref().map(|_| ()).map_err(|why| format!("cannot start a runtime: {why}"))
}

/// Runs work beside the workers; nothing happens without a runtime, which `prepare` has complained about.
pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Option<JoinHandle<()>> {
    RUNTIME.as_ref().ok().map(|runtime| runtime.spawn(work))
}

/// Writes how many wait.
pub(super) fn write(text: &mut Text) {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    text.counter("zonda_later_total", "Queries whose answers were waited for.", &[], count(&BEGUN));
    text.counter("zonda_later_refused_total", "Queries beyond those that may wait at once.", &[], count(&REFUSED));
    let waiting = WAITING.load(Ordering::Relaxed) as f64;
    text.gauge("zonda_later_waiting", "Queries whose answers are waited for.", &[], waiting);
}

/// What errands run on. It lives as long as the process: configurations come and go, and what they wait for with them.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
    Builder::new_multi_thread().worker_threads(threads).thread_name("zonda-later").enable_all().build()
});

/// Errands under way.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Errands that were begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Queries that found no place.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Errands at once: each takes some kilobytes and a socket. At 50 ms for an answer these are 80,000 queries a second.
const WAITING_MAX: usize = 4096;
