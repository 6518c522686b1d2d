//! Slows logins that fail, per source address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failed logins of late. Each source may fail a few times; after that its attempts go one after the other, each after a
/// wait that doubles with every failure. Success makes all well again.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Source>>);

/// What one source did.
struct Source {
    /// Failures since the last success.
    failures: u32,
    /// Attempts that have not ended yet.
    under_way: u32,
    /// When its next attempt may be looked at.
    free_at: Instant,
}

/// An attempt under way. It has failed, unless [`Attempt::succeed`] says otherwise before it is dropped: a client that
/// goes away gains nothing.
pub(super) struct Attempt<'a> {
    /// Where it counts.
    attempts: &'a Attempts,
    /// The source's key.
    from: IpAddr,
    /// How long it has to wait before it may be looked at.
    pub(super) wait: Duration,
    /// Whether it was good.
    succeeded: bool,
}

impl Attempts {
    /// Begins an attempt; `None` if it would have to wait for too long, or if too many are under way from there.
    pub(super) fn begin(&self, from: IpAddr, now: Instant) -> Option<Attempt<'_>> {
        let from = key(from);
        let mut sources = self.lock();
        let source = source(&mut sources, from, now);
        if now.saturating_duration_since(source.free_at) >= FORGET_AFTER {
            source.failures = 0;
        }
        let wait = source.free_at.saturating_duration_since(now);
        if wait > WAIT_MAX || source.under_way >= UNDER_WAY_MAX {
            return None;
        }
        // The next one comes after this one.
        source.free_at = source.free_at.max(now) + penalty(source.failures);
        source.under_way += 1;
        Some(Attempt { attempts: self, from, wait, succeeded: false })
    }

    /// The table.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Ends it as a good one.
    pub(super) fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut sources = self.attempts.lock();
        let source = source(&mut sources, self.from, now);
        source.under_way = source.under_way.saturating_sub(1);
        if self.succeeded {
            source.failures = 0;
            source.free_at = now;
            if source.under_way == 0 {
                sources.remove(&self.from);
            }
        } else {
            source.failures = source.failures.saturating_add(1);
            source.free_at = source.free_at.max(now + penalty(source.failures));
        }
    }
}

/// The entry of a source.
fn source(sources: &mut HashMap<IpAddr, Source>, from: IpAddr, now: Instant) -> &mut Source {
    if sources.len() >= SOURCES_MAX && !sources.contains_key(&from) {
        make_room(sources, now);
    }
    sources.entry(from).or_insert(Source { failures: 0, under_way: 0, free_at: now })
}

/// Drops sources that would be forgotten; if all are fresh, as in a flood from many addresses, the least guilty one.
fn make_room(sources: &mut HashMap<IpAddr, Source>, now: Instant) {
    sources.retain(|_, source| now.saturating_duration_since(source.free_at) < FORGET_AFTER);
    if sources.len() >= SOURCES_MAX {
        let least = sources.iter().min_by_key(|(_, source)| (source.under_way, source.failures, source.free_at));
        if let Some(least) = least.map(|(from, _)| *from) {
            sources.remove(&least);
        }
    }
}

/// A source: an IPv4 address, or the /64 that one IPv6 host has for itself.
fn key(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

/// The wait between attempts after so many failures.
fn penalty(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(more) => PENALTY_FIRST.saturating_mul(1 << more.min(16)).min(PENALTY_MAX),
    }
}

/// Failures that cost nothing: a person mistypes.
const FREE_FAILURES: u32 = 5;

/// Attempts under way from one source: a guesser gains no more than these by asking all at once.
const UNDER_WAY_MAX: u32 = 64;

/// The first wait.
const PENALTY_FIRST: Duration = Duration::from_millis(250);

/// The longest wait between two attempts.
const PENALTY_MAX: Duration = Duration::from_secs(4);

/// An attempt that would wait longer is refused.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// Failures are forgotten after this time without an attempt.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Sources that are remembered: some 300 KB.
const SOURCES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait of an attempt that fails, or is given up.
    fn fail(attempts: &Attempts, from: IpAddr) -> Option<Duration> {
        attempts.begin(from, Instant::now()).map(|attempt| attempt.wait)
    }

    #[test]
    fn failures_slow_their_source_alone_until_it_succeeds() {
        let attempts = Attempts::default();
        let (bad, good) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..FREE_FAILURES {
            assert_eq!(fail(&attempts, bad), Some(Duration::ZERO));
        }
        // From now on one after the other, until the queue is too long. All at one time, as waits end while time passes.
        let now = Instant::now();
        let waits = std::iter::from_fn(|| attempts.begin(bad, now).map(|attempt| attempt.wait));
        let waits: Vec<_> = waits.take(1000).collect();
        assert!(waits.is_sorted() && waits.len() < 20, "{waits:?}");
        assert!(waits.last().is_some_and(|wait| *wait > Duration::from_secs(3)), "{waits:?}");
        assert_eq!(fail(&attempts, good), Some(Duration::ZERO));
        let later = Instant::now() + Duration::from_secs(60);
        let attempt = attempts.begin(bad, later).unwrap();
        assert_eq!(attempt.wait, Duration::ZERO);
        attempt.succeed();
        assert_eq!(fail(&attempts, bad), Some(Duration::ZERO));
    }

    #[test]
    fn many_at_once_are_bounded_and_a_good_one_frees_all() {
        let attempts = Attempts::default();
        let from = "192.0.2.1".parse().unwrap();
        let now = Instant::now();
        let under_way: Vec<_> = std::iter::from_fn(|| attempts.begin(from, now)).collect();
        assert_eq!(under_way.len(), UNDER_WAY_MAX as usize);
        assert!(under_way.iter().all(|attempt| attempt.wait == Duration::ZERO));
        under_way.into_iter().for_each(Attempt::succeed);
        assert!(attempts.lock().is_empty());
        // The same as guesses: the burst is all there is.
        drop(std::iter::from_fn(|| attempts.begin(from, now)).collect::<Vec<_>>());
        assert_ne!(fail(&attempts, from), Some(Duration::ZERO));
    }

    #[test]
    fn the_table_is_bounded_and_ipv6_counts_by_network() {
        let attempts = Attempts::default();
        for n in 0..10_000_u32 {
            fail(&attempts, IpAddr::V4(n.into()));
        }
        assert_eq!(attempts.lock().len(), SOURCES_MAX);
        for n in 0..10_u16 {
            fail(&attempts, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into());
        }
        assert_ne!(fail(&attempts, "2001:db8::ffff".parse().unwrap()), Some(Duration::ZERO));
    }
}
