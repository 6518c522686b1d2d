//! Counters of one worker and of the stream thread: written by their thread alone, read by anyone.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one worker has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerTotals {
    /// Datagrams taken from the sockets.
    pub received: u64,
    /// Answers handed to the kernel; those it then refused are in `dropped` too.
    pub answered: u64,
    /// Datagrams that got no answer on purpose.
    pub silent: u64,
    /// Datagrams whose answers are waited for, and sent by others.
    pub later: u64,
    /// Answers that the kernel refused: no route, no space to queue them, a client that cannot be sent to.
    pub dropped: u64,
    /// Times that every buffer was in use, so that datagrams had to wait in the socket.
    pub overruns: u64,
    /// Errors of a receive call, and sockets that had to be listened on anew for them.
    pub errors: u64,
    /// Messages whose answering panicked.
    pub panics: u64,
}

/// What the stream thread has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Connections taken.
    pub accepted: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Messages received.
    pub received: u64,
    /// Answers written.
    pub answered: u64,
    /// Connections closed because they were silent.
    pub closed_idle: u64,
    /// Connections closed because a message took too long to arrive or the client did not take its answers.
    pub closed_slow: u64,
    /// Connections closed for what they sent.
    pub closed_garbage: u64,
    /// Idle connections closed to make room, and new ones refused for lack of it.
    pub closed_full: u64,
    /// Messages whose answering panicked.
    pub panics: u64,
}

/// All threads together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// One entry a worker.
    pub workers: Vec<WorkerTotals>,
    /// The TCP side.
    pub streams: StreamTotals,
    /// The encrypted transports.
    pub secure: StreamTotals,
}

impl Totals {
    /// The sum over the workers.
    pub fn udp(&self) -> WorkerTotals {
        self.workers.iter().fold(WorkerTotals::default(), |mut sum, worker| {
            sum += *worker;
            sum
        })
    }
}

impl AddAssign for StreamTotals {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.open += other.open;
        self.received += other.received;
        self.answered += other.answered;
        self.closed_idle += other.closed_idle;
        self.closed_slow += other.closed_slow;
        self.closed_garbage += other.closed_garbage;
        self.closed_full += other.closed_full;
        self.panics += other.panics;
    }
}

impl AddAssign for WorkerTotals {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.answered += other.answered;
        self.silent += other.silent;
        self.later += other.later;
        self.dropped += other.dropped;
        self.overruns += other.overruns;
        self.errors += other.errors;
        self.panics += other.panics;
    }
}

/// A number that one thread writes and others read. Two cache lines wide in its struct, never locked.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds, as the only writer: a load and a store, cheaper than a locked add.
    pub(super) fn add(&self, count: u64) {
        if count != 0 {
            self.0.store(self.get().wrapping_add(count), Ordering::Relaxed);
        }
    }

    /// Sets the value, for counters that also fall.
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now, or a moment ago.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The shared counters of one worker. Aligned so that no two workers write to the same pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerCounters {
    received: Counter,
    answered: Counter,
    silent: Counter,
    later: Counter,
    dropped: Counter,
    overruns: Counter,
    errors: Counter,
    panics: Counter,
}

impl WorkerCounters {
    /// Adds what one batch brought.
    pub(super) fn add(&self, batch: &WorkerTotals) {
        self.received.add(batch.received);
        self.answered.add(batch.answered);
        self.silent.add(batch.silent);
        self.later.add(batch.later);
        self.dropped.add(batch.dropped);
        self.overruns.add(batch.overruns);
        self.errors.add(batch.errors);
        self.panics.add(batch.panics);
    }

    /// Reads them all.
    pub(super) fn read(&self) -> WorkerTotals {
        WorkerTotals {
            received: self.received.get(),
            answered: self.answered.get(),
            silent: self.silent.get(),
            later: self.later.get(),
            dropped: self.dropped.get(),
            overruns: self.overruns.get(),
            errors: self.errors.get(),
            panics: self.panics.get(),
        }
    }
}

/// The shared counters of the stream thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct StreamCounters {
    pub(super) accepted: Counter,
    pub(super) open: Counter,
    pub(super) received: Counter,
    pub(super) answered: Counter,
    pub(super) closed_idle: Counter,
    pub(super) closed_slow: Counter,
    pub(super) closed_garbage: Counter,
    pub(super) closed_full: Counter,
    pub(super) panics: Counter,
}

impl StreamCounters {
    /// Reads them all.
    pub(super) fn read(&self) -> StreamTotals {
        StreamTotals {
            accepted: self.accepted.get(),
            open: self.open.get(),
            received: self.received.get(),
            answered: self.answered.get(),
            closed_idle: self.closed_idle.get(),
            closed_slow: self.closed_slow.get(),
            closed_garbage: self.closed_garbage.get(),
            closed_full: self.closed_full.get(),
            panics: self.panics.get(),
        }
    }
}
