//! Lines for people on standard output, each with its level in front: `[INFO] text`.
//!
//! Lines of the control plane are written at once. Lines about queries leave the query line over a bounded queue for each
//! thread (`queue.rs`) and are written by a thread of their own; where a queue is full they are dropped and counted, never
//! waited for.

mod queue;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

pub use queue::Line;
use queue::Queue;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding faults; off unless [`set_debug`] turned it on.
    Debug,
    /// What happened.
    Info,
    /// What may need attention.
    Warning,
    /// What went wrong.
    Error,
    /// What ended the process.
    Fatal,
}

/// Turns debug lines on or off.
pub fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Whether debug lines are written.
pub fn is_debug() -> bool {
    DEBUG.load(Ordering::Relaxed)
}

/// Writes a line at once.
pub fn write(level: Level, text: &str) {
    if level > Level::Debug || is_debug() {
        // Nobody is left to tell when standard output is gone.
        let _ = io::stdout().lock().write_all(format!("{}{text}\n", level.prefix()).as_bytes());
    }
}

/// Writes a line without a level: start lines, and what a command was asked for.
pub fn plain(text: &str) {
    let _ = io::stdout().lock().write_all(format!("{text}\n").as_bytes());
}

/// Writes a line to standard error: what is wrong with what a command was given.
pub fn complaint(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Writes a `[DEBUG]` line at once, if debug lines are written.
pub fn debug(text: &str) {
    write(Level::Debug, text);
}

/// Writes an `[INFO]` line at once.
pub fn info(text: &str) {
    write(Level::Info, text);
}

/// Writes a `[WARNING]` line at once.
pub fn warning(text: &str) {
    write(Level::Warning, text);
}

/// Writes an `[ERROR]` line at once.
pub fn error(text: &str) {
    write(Level::Error, text);
}

/// Hands a line of the query line over. It never blocks, locks nothing, and allocates nothing but a queue with the first
/// line of a thread.
pub fn query_line(level: Level, write: impl FnOnce(&mut Line<'_>) -> fmt::Result) {
    if !OWN.with(|queue| queue.put(level, write)) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    if IS_IDLE.load(Ordering::Relaxed)
        && IS_IDLE.swap(false, Ordering::AcqRel)
        && let Some(writer) = WRITER.get()
    {
        writer.unpark();
    }
}

/// Waits, but not for long, until the lines handed over so far are written.
pub fn drain() {
    let Some(writer) = WRITER.get() else { return };
    let ends: Vec<_> = queues().iter().map(|queue| (Arc::clone(queue), queue.end())).collect();
    let begun = Instant::now();
    while begun.elapsed() < DRAIN_MAX && ends.iter().any(|(queue, end)| !queue.is_written(*end)) {
        writer.unpark();
        std::thread::sleep(WRITE_PAUSE);
    }
}

/// How many lines about queries were dropped so far.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The queue of a thread, and with the first of them the thread that writes.
fn register() -> Arc<Queue> {
    let queue = Arc::new(Queue::new());
    queues().push(Arc::clone(&queue));
    // Without the thread every queue fills up, and then every line counts as dropped.
    WRITER.get_or_init(|| {
        let spawned = std::thread::Builder::new().name("query-log".into()).spawn(write_out);
        spawned.map_or_else(|_| std::thread::current(), |writer| writer.thread().clone())
    });
    queue
}

/// All queues.
fn queues() -> MutexGuard<'static, Vec<Arc<Queue>>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes lines as they come, as many at a time as are waiting.
fn write_out() {
    let mut text = Vec::new();
    let mut told = 0;
    loop {
        let all = queues().clone();
        let ends: Vec<_> = all.iter().map(|queue| queue.read(&mut text)).collect();
        let dropped = dropped();
        if dropped > told {
            let prefix = Level::Warning.prefix();
            text.extend(format!("{prefix}{} log lines were dropped: the output is too slow\n", dropped - told).bytes());
            told = dropped;
        }
        if !text.is_empty() {
            let _ = io::stdout().lock().write_all(&text);
            text.clear();
            all.iter().zip(ends).for_each(|(queue, end)| queue.written(end));
            std::thread::sleep(WRITE_PAUSE);
            continue;
        }
        drop(all);
        // The thread of a queue that nobody else has is gone.
        queues().retain(|queue| Arc::strong_count(queue) > 1 || !queue.is_written(queue.end()));
        IS_IDLE.store(true, Ordering::Release);
        std::thread::park_timeout(IDLE_PAUSE);
        IS_IDLE.store(false, Ordering::Relaxed);
    }
}

impl Level {
    /// The level with a number.
    fn of(number: u64) -> Self {
        [Self::Debug, Self::Info, Self::Warning, Self::Error].get(number as usize).copied().unwrap_or(Self::Fatal)
    }

    /// What a line of this level begins with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Debug => "[DEBUG] ",
            Self::Info => "[INFO] ",
            Self::Warning => "[WARNING] ",
            Self::Error => "[ERROR] ",
            Self::Fatal => "[FATAL] ",
        }
    }
}

/// Whether debug lines are written.
static DEBUG: AtomicBool = AtomicBool::new(false);

/// Lines about queries that found no room.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The queues of all threads that have logged a query. It is locked when one is added, and by the writing thread.
static QUEUES: Mutex<Vec<Arc<Queue>>> = Mutex::new(Vec::new());

/// The writing thread, which starts with the first line.
static WRITER: OnceLock<Thread> = OnceLock::new();

/// Whether the writing thread sleeps until it is woken.
static IS_IDLE: AtomicBool = AtomicBool::new(false);

/// How long it sleeps all the same: a line may come just as it goes to sleep.
const IDLE_PAUSE: Duration = Duration::from_millis(50);

/// How long lines gather before they are written together.
const WRITE_PAUSE: Duration = Duration::from_millis(1);

/// How long a stop waits for lines to be written.
const DRAIN_MAX: Duration = Duration::from_secs(1);

std::thread_local! {
    /// The queue of this thread.
    static OWN: Arc<Queue> = register();
}
