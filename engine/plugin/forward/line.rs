//! One `forward` line: which upstream is asked, and when the next one is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::OptRcode;

use super::counts::COUNTS;
use super::failure;
use super::upstream::Upstream;
use crate::plugin::Brought;
use crate::wire::{QName, Query, Received};

/// A line with its upstreams.
pub(super) struct Line {
    /// The zones whose names it is for, in lower-case wire form.
    pub(super) from: Vec<Box<[u8]>>,
    /// Those that it leaves to others.
    pub(super) except: Vec<Box<[u8]>>,
    /// At least one.
    pub(super) upstreams: Vec<Arc<Upstream>>,
    pub(super) policy: Policy,
    /// Whose turn it is.
    pub(super) turn: AtomicUsize,
    /// Failures from which on an upstream is down are more than these; 0 for never.
    pub(super) max_fails: u32,
    /// Exchanges for one query; 0 for no limit but [`ROUNDS`].
    pub(super) attempts_max: usize,
    /// Queries at once; 0 for no limit.
    pub(super) concurrent_max: usize,
    pub(super) concurrent: AtomicUsize,
    pub(super) next: Vec<OptRcode>,
    pub(super) next_on_nodata: bool,
    pub(super) failover: Vec<OptRcode>,
    /// Answers SERVFAIL when all are down.
    pub(super) fails_fast: bool,
}

/// Which upstream comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Any, by chance.
    Random,
    /// Each in its turn.
    RoundRobin,
    /// The first that is not down.
    Sequential,
}

/// One of the queries that a line answers at once; ends when dropped.
struct Concurrent<'l>(&'l AtomicUsize);

impl Drop for Concurrent<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    /// Whether it is for a name.
    pub(super) fn is_for(&self, name: &QName) -> bool {
        let below = |zones: &[Box<[u8]>]| zones.iter().any(|zone| name.is_below(zone));
        below(&self.from) && !below(&self.except)
    }

    /// Whether the next line is to be asked after this answer.
    pub(super) fn leaves_to_next(&self, received: &Received) -> bool {
        let has_no_data = received.rcode == OptRcode::NOERROR && received.counts()[0] == 0;
        self.next.contains(&received.rcode) || self.next_on_nodata && has_no_data
    }

    /// Asks its upstreams until one of them answers.
    pub(super) async fn ask(&self, query: &Query, head: &[u8], is_stream: bool) -> Brought {
        let before = self.concurrent.fetch_add(1, Ordering::Relaxed);
        let _concurrent = Concurrent(&self.concurrent);
        if self.concurrent_max > 0 && before >= self.concurrent_max {
            COUNTS.rejected.fetch_add(1, Ordering::Relaxed);
            return Err((OptRcode::REFUSED, failure("more concurrent queries than max_concurrent")));
        }
        let deadline = Instant::now() + PATIENCE;
        let count = self.upstreams.len();
        let first = self.first();
        let attempts_max = if self.attempts_max > 0 { self.attempts_max } else { ROUNDS * count };
        // Where there is another upstream to ask, it gets its turn.
        let turn = if count.min(attempts_max) > 1 { PATIENCE / 2 } else { PATIENCE };
        let (mut attempts, mut down, mut unwanted) = (0, 0, None);
        let mut why = "no healthy upstream";
        for at in 0..ROUNDS * count {
            if at % count == 0 {
                down = 0;
            }
            let mut upstream = &self.upstreams[(first + at) % count];
            if upstream.is_down(self.max_fails) {
                down += 1;
                if down < count {
                    continue;
                }
                COUNTS.broken.fetch_add(1, Ordering::Relaxed);
                if self.fails_fast {
                    break;
                }
                // That all of them are down may be a fault of the looking.
                upstream = &self.upstreams[fastrand::usize(..count)];
            }
            if attempts == attempts_max {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                why = "no upstream has answered in time";
                break;
            }
            attempts += 1;
            match upstream.ask(query, head, is_stream, turn.min(left)).await {
                Ok(received) if self.failover.contains(&received.rcode) => unwanted = Some(received),
                Ok(received) => return Ok(received),
                Err(error) => {
                    why = error;
                    if self.max_fails > 0 {
                        upstream.look_after();
                    }
                }
            }
        }
        unwanted.ok_or_else(|| (OptRcode::SERVFAIL, failure(why)))
    }

    /// The upstream to begin with.
    fn first(&self) -> usize {
        match self.policy {
            Policy::Random => fastrand::usize(..self.upstreams.len()),
            Policy::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed),
            Policy::Sequential => 0,
        }
    }
}

/// How long a query is tried.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often each upstream is tried for one query.
const ROUNDS: usize = 2;
