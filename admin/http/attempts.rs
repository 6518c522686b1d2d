//! Slows logins that fail, per source address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failed logins of late. Each source may fail a few times; after that its attempts go one after the other, each after a
/// wait that doubles with every failure. Success makes all well again.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Source>>);

/// What one source did.
struct Source {
    /// Failures since the last success.
    failures: u32,
    /// When its next attempt may be looked at.
    free_at: Instant,
}

impl Attempts {
    /// How long an attempt from here has to wait; `None` if that is too long to wait at all. Counts as a failure until
    /// [`Attempts::succeeded`] says otherwise, so that many at once gain nothing.
    pub(super) fn begin(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = key(from);
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&from) {
            make_room(&mut sources, now);
        }
        let source = sources.entry(from).or_insert(Source { failures: 0, free_at: now });
        if now.saturating_duration_since(source.free_at) >= FORGET_AFTER {
            source.failures = 0;
        }
        let wait = source.free_at.saturating_duration_since(now);
        if wait > WAIT_MAX {
            return None;
        }
        source.failures = source.failures.saturating_add(1);
        // The next one comes after this one.
        source.free_at = source.free_at.max(now) + penalty(source.failures);
        Some(wait)
    }

    /// Notes that an attempt from here was good.
    pub(super) fn succeeded(&self, from: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(from));
    }
}

/// Drops sources that would be forgotten; if all are fresh, as in a flood from many addresses, the least guilty one.
fn make_room(sources: &mut HashMap<IpAddr, Source>, now: Instant) {
    sources.retain(|_, source| now.saturating_duration_since(source.free_at) < FORGET_AFTER);
    if sources.len() >= SOURCES_MAX {
        let least = sources.iter().min_by_key(|(_, source)| (source.failures, source.free_at));
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

    #[test]
    fn failures_slow_their_source_alone_until_it_succeeds() {
        let attempts = Attempts::default();
        let (bad, good) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        for _ in 0..FREE_FAILURES {
            assert_eq!(attempts.begin(bad, now), Some(Duration::ZERO));
        }
        // From now on one after the other, until the queue is too long.
        let waits: Vec<_> = std::iter::from_fn(|| attempts.begin(bad, now)).take(1000).collect();
        assert!(waits.is_sorted() && waits.len() < 20, "{waits:?}");
        assert!(waits.last().is_some_and(|wait| *wait > Duration::from_secs(3)), "{waits:?}");
        assert_eq!(attempts.begin(good, now), Some(Duration::ZERO));
        let later = now + Duration::from_secs(60);
        assert_eq!(attempts.begin(bad, later), Some(Duration::ZERO));
        assert_ne!(attempts.begin(bad, later), Some(Duration::ZERO));
        attempts.succeeded(bad);
        assert_eq!(attempts.begin(bad, later), Some(Duration::ZERO));
        assert_eq!(attempts.begin(bad, later), Some(Duration::ZERO));
    }

    #[test]
    fn the_table_is_bounded_and_ipv6_counts_by_network() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for n in 0..10_000_u32 {
            attempts.begin(IpAddr::V4(n.into()), now);
        }
        assert_eq!(attempts.0.lock().unwrap().len(), SOURCES_MAX);
        for n in 0..10_u16 {
            attempts.begin(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(), now);
        }
        assert_ne!(attempts.begin("2001:db8::ffff".parse().unwrap(), now), Some(Duration::ZERO));
    }
}
