//! What upstreams were asked, for the whole process: a configuration that comes after another counts on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use domain::base::iana::OptRcode;

use crate::metrics::{Histogram, Text};

/// All counters.
#[derive(Default)]
pub(super) struct Counts {
    /// By address.
    upstreams: Mutex<BTreeMap<String, Arc<OfUpstream>>>,
    /// Queries that found all upstreams down.
    pub(super) broken: AtomicU64,
    /// Queries beyond `max_concurrent`.
    pub(super) rejected: AtomicU64,
}

/// Those of one upstream.
pub(super) struct OfUpstream {
    /// Exchanges with an answer, by rcode; the last is all that are not among the first.
    durations: [Histogram; RCODES],
    /// Exchanges without an answer.
    failures: AtomicU64,
    pub(super) health_failures: AtomicU64,
    /// Queries over a connection that was there, and over a new one.
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
}

impl OfUpstream {
    /// Nothing counted.
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            durations: std::array::from_fn(|_| Histogram::new(&SECONDS)),
            failures: zero(),
            health_failures: zero(),
            hits: zero(),
            misses: zero(),
        }
    }

    /// Counts an exchange; without an rcode there was no answer.
    pub(super) fn count(&self, rcode: Option<OptRcode>, took: Duration) {
        match rcode {
            Some(rcode) => {
                let place = usize::from(rcode.to_int()).min(RCODES - 1);
                self.durations[place].observe(took.as_secs_f64());
            }
            None => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// The counters of an upstream.
pub(super) fn of(address: SocketAddr) -> Arc<OfUpstream> {
    let mut upstreams = COUNTS.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(upstreams.entry(address.to_string()).or_insert_with(|| Arc::new(OfUpstream::new())))
}

/// Writes them all.
pub(super) fn write(text: &mut Text) {
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    text.counter(
        "coredns_forward_healthcheck_broken_total",
        "Queries that found all upstreams down.",
        &[],
        get(&COUNTS.broken),
    );
    text.counter(
        "coredns_forward_max_concurrent_rejects_total",
        "Queries beyond max_concurrent.",
        &[],
        get(&COUNTS.rejected),
    );
    for (to, counts) in &*COUNTS.upstreams.lock().unwrap_or_else(PoisonError::into_inner) {
        let (to, proxy) = (("to", &to[..]), ("proxy_name", "forward"));
        let answers: u64 = counts.durations.iter().map(Histogram::count).sum();
        let failures = get(&counts.failures);
        text.counter("coredns_forward_requests_total", "Questions to upstreams.", &[to], answers + failures);
        text.counter("zonda_forward_failures_total", "Questions to upstreams without an answer.", &[to], failures);
        for (rcode, durations) in counts.durations.iter().enumerate().filter(|(_, durations)| durations.count() > 0) {
            let name = OptRcode::masked_from_int(rcode as u16).to_mnemonic_str();
            let rcode = ("rcode", name.filter(|_| rcode < RCODES - 1).unwrap_or("other"));
            text.counter("coredns_forward_responses_total", "Answers of upstreams.", &[to, rcode], durations.count());
            let help = "How long upstreams took.";
            durations.write(text, "coredns_forward_request_duration_seconds", help, &[to, rcode]);
            durations.write(text, "coredns_proxy_request_duration_seconds", help, &[proxy, rcode, to]);
        }
        let (help, failures) = ("Times that an upstream was looked at in vain.", get(&counts.health_failures));
        text.counter("coredns_forward_healthcheck_failures_total", help, &[to], failures);
        text.counter("coredns_proxy_healthcheck_failures_total", help, &[proxy, to], failures);
        let proto = ("proto", "tcp");
        let (name, help) = ("coredns_proxy_conn_cache_hits_total", "Questions over connections that were there.");
        text.counter(name, help, &[proto, proxy, to], get(&counts.hits));
        let (name, help) = ("coredns_proxy_conn_cache_misses_total", "Questions over new connections.");
        text.counter(name, help, &[proto, proxy, to], get(&counts.misses));
    }
}

/// The counters of the process.
pub(super) static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::default);

/// Rcodes that are told apart: those of RFC 6895 §2.3 up to BADCOOKIE, and all others.
const RCODES: usize = 25;

/// Upper bounds of the durations: each the double of the one before.
const SECONDS: [f64; 16] =
    [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192];
