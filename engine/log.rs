//! Lines for people on standard output, each with its level in front: `[INFO] text`.
//!
//! Lines of the control plane are written at once. Lines about queries leave the query line over a bounded queue and
//! are written by a thread of their own; where the queue is full they are dropped and counted, never waited for.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

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

/// Hands an `[INFO]` line of the query line over; never blocks.
pub fn query_line(text: String) {
    query_line_at(Level::Info, text);
}

/// Hands a line of the query line over; never blocks.
pub fn query_line_at(level: Level, text: String) {
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = mpsc::sync_channel(QUEUE_MAX);
        // Without the thread the receiver is gone and every line counts as dropped.
        let _ = std::thread::Builder::new().name("query-log".into()).spawn(move || write_out(&receiver));
        sender
    });
    if queue.try_send(Item::Line(level, text)).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits, but not for long, until the lines handed over so far are written.
pub fn drain() {
    let Some(queue) = QUEUE.get() else { return };
    let (done, wait) = mpsc::sync_channel(1);
    if queue.send(Item::Mark(done)).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}

/// How many lines about queries were dropped so far.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What goes over the queue.
enum Item {
    Line(Level, String),
    Mark(SyncSender<()>),
}

/// Writes lines as they come, as many at a time as are waiting.
fn write_out(lines: &Receiver<Item>) {
    let mut text = String::new();
    let mut told = 0;
    while let Ok(first) = lines.recv() {
        let mut marks = Vec::new();
        for item in std::iter::once(first).chain(lines.try_iter().take(BATCH_MAX)) {
            match item {
                // Writing into a String cannot fail.
                Item::Line(level, line) => drop(writeln!(text, "{}{line}", level.prefix())),
                Item::Mark(mark) => marks.push(mark),
            }
        }
        let dropped = dropped();
        if dropped > told {
            let _ = writeln!(
                text,
                "{}{} log lines were dropped: the output is too slow",
                Level::Warning.prefix(),
                dropped - told
            );
            told = dropped;
        }
        let _ = io::stdout().lock().write_all(text.as_bytes());
        text.clear();
        for mark in marks {
            let _ = mark.send(());
        }
    }
}

impl Level {
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

/// The way to the writing thread, which starts with the first line.
static QUEUE: OnceLock<SyncSender<Item>> = OnceLock::new();

/// Lines that may wait: about 2 MB.
const QUEUE_MAX: usize = 16_384;

/// Lines in one write.
const BATCH_MAX: usize = 512;
