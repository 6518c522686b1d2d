//! What a cache has kept and given.

use std::sync::atomic::{AtomicU64, Ordering};

use store::{Name, name};

use super::table::Table;
use crate::metrics::Text;

/// The counters of one cache, and its tables.
pub(super) struct Counts {
    server: String,
    zones: String,
    /// Answers and denials.
    pub(super) tables: [Table; 2],
    pub(super) requests: AtomicU64,
    /// Of each table, as `evictions`.
    pub(super) hits: [AtomicU64; 2],
    pub(super) misses: AtomicU64,
    pub(super) evictions: [AtomicU64; 2],
    pub(super) prefetches: AtomicU64,
    pub(super) stale: AtomicU64,
    /// Queries that waited for the answer to another one.
    pub(super) shared: AtomicU64,
    /// Answers that were not kept.
    pub(super) drops: AtomicU64,
}

impl Counts {
    /// Those of a block: its first address and its zones.
    pub(super) fn new(server: String, zones: &[Name], tables: [Table; 2]) -> Self {
        let zones = zones.iter().map(name::to_text).collect::<Vec<_>>().join(",");
        let zero = || AtomicU64::new(0);
        Self {
            server,
            zones,
            tables,
            requests: zero(),
            hits: [zero(), zero()],
            misses: zero(),
            evictions: [zero(), zero()],
            prefetches: zero(),
            stale: zero(),
            shared: zero(),
            drops: zero(),
        }
    }

    /// Writes them all.
    pub(super) fn write(&self, text: &mut Text) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (server, zones, view) = (("server", &self.server[..]), ("zones", &self.zones[..]), ("view", ""));
        for (name, help, count) in [
            ("coredns_cache_requests_total", "Queries that the cache was asked for.", &self.requests),
            ("coredns_cache_misses_total", "Queries that it had no answer to.", &self.misses),
            ("coredns_cache_prefetch_total", "Answers that were fetched anew before their end.", &self.prefetches),
            ("coredns_cache_served_stale_total", "Answers that were given after their end.", &self.stale),
            ("zonda_cache_shared_total", "Queries that waited for an answer under way.", &self.shared),
            ("coredns_cache_drops_total", "Answers that were not kept.", &self.drops),
        ] {
            text.counter(name, help, &[server, zones, view], get(count));
        }
        for (kind, kind_name) in ["success", "denial"].into_iter().enumerate() {
            let labels = [server, ("type", kind_name), zones, view];
            text.counter("coredns_cache_hits_total", "Queries answered.", &labels, get(&self.hits[kind]));
            let help = "Answers that had to make room before their end.";
            text.counter("coredns_cache_evictions_total", help, &labels, get(&self.evictions[kind]));
            let entries = self.tables[kind].len() as f64;
            text.gauge("coredns_cache_entries", "Answers that are kept.", &labels, entries);
        }
    }
}
