//! Responses by their status, for the transports that have one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::Text;
use crate::plugin::corefile::Scheme;

/// What is counted for one listener; one thread writes.
pub struct Statuses {
    server: String,
    of: &'static Of,
    counts: Box<[AtomicU64]>,
}

/// What is counted for a scheme.
struct Of {
    scheme: Scheme,
    metric: &'static str,
    help: &'static str,
    /// All statuses that there are.
    statuses: &'static [u16],
}

impl Statuses {
    /// Zeros, for a server as the label names it; None if its transport has no statuses.
    pub(in crate::plugin) fn new(server: &str, scheme: Scheme) -> Option<Self> {
        let of = SCHEMES.iter().find(|of| of.scheme == scheme)?;
        let counts = of.statuses.iter().map(|_| AtomicU64::new(0)).collect();
        Some(Self { server: server.into(), of, counts })
    }

    /// Whether they count for this server.
    pub(in crate::plugin) fn are_for(&self, server: &str) -> bool {
        self.server == server
    }

    /// Counts a response.
    pub(in crate::plugin) fn count(&self, status: u16) {
        if let Some(place) = self.of.statuses.iter().position(|known| *known == status) {
            self.counts[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes all that are not zero.
    pub(in crate::plugin) fn write(&self, text: &mut Text) {
        for (status, count) in self.of.statuses.iter().zip(&self.counts) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let labels = [("server", &self.server[..]), ("status", &status.to_string())];
                text.counter(self.of.metric, self.of.help, &labels, count);
            }
        }
    }
}

/// The transports that have statuses, and what there is.
static SCHEMES: [Of; 3] = [
    Of {
        scheme: Scheme::Https,
        metric: "coredns_dns_https_responses_total",
        help: "Responses over HTTPS by status.",
        statuses: &[200, 400, 404, 405, 408, 413, 415, 503],
    },
    Of {
        scheme: Scheme::Https3,
        metric: "coredns_dns_https3_responses_total",
        help: "Responses over HTTP/3 by status.",
        statuses: &[200, 400, 404, 405, 408, 413, 415, 431, 503],
    },
    Of {
        scheme: Scheme::Quic,
        metric: "coredns_dns_quic_responses_total",
        help: "Streams over QUIC by the code they ended with (RFC 9250, section 4.3).",
        statuses: &[0, 2, 3, 4, 5],
    },
];
