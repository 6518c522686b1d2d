//! The counters of one zone on one listener: a shard for each thread that answers, added up when they are read.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use domain::base::iana::{OptRcode, Rtype};

use super::names::Names;
use crate::metrics::{Labels, Text};
use crate::plugin::Arrival;
use crate::plugin::counted::{Count, Counted};
use crate::wire::{Query, Response};

/// What is counted for one zone on one listener.
pub struct Counters {
    server: String,
    zone: String,
    /// The plugins that may answer.
    plugins: Vec<&'static str>,
    /// What the plugins count by themselves.
    own: Counted,
    /// One a thread; the last is shared by those that are too many.
    shards: Box<[Box<[AtomicU64]>]>,
}

impl Counters {
    /// Zeros, for a server and a zone as the labels name them.
    pub(in crate::plugin) fn new(server: String, zone: String, plugins: Vec<&'static str>, own: Counted) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let len = RESPONSES + RCODES * (plugins.len() + 1) + own.metrics().len() + APART;
        let shard = |_| (0..len).map(|_| AtomicU64::new(0)).collect();
        // The stream thread, and one to share.
        Self { server, zone, plugins, own, shards: (0..threads + 2).map(shard).collect() }
    }

    /// Whether they count for this server and zone, answered by these plugins.
    pub(in crate::plugin) fn are_for(&self, server: &str, zone: &str, plugins: &[&'static str], own: &Counted) -> bool {
        self.server == server && self.zone == zone && self.plugins == plugins && self.own == *own
    }

    /// Counts one more of what a plugin counts by itself.
    #[inline]
    pub(in crate::plugin) fn count_own(&self, count: Count) {
        let thread = thread();
        let (place, shared) = (self.own_place(count.0), self.shards.len() - 1);
        let Some(number) = self.shards[thread.min(shared)].get(place) else { return };
        match thread < shared {
            true => number.store(number.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed),
            false => drop(number.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Where a shard keeps a number of a plugin.
    #[inline]
    fn own_place(&self, place: usize) -> usize {
        RESPONSES + RCODES * (self.plugins.len() + 1) + place
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { server: self.server.clone(), zone: self.zone.clone(), ..Tally::default() };
        let add = |into: &mut BTreeMap<String, u64>, key: &str, count: u64| {
            if count > 0 {
                *into.entry(key.to_owned()).or_default() += count;
            }
        };
        for (proto, transport) in PROTOS.iter().enumerate() {
            for (family, of_ip) in ["ipv4", "ipv6"].iter().enumerate() {
                for (place, rtype) in TYPE_NAMES.iter().enumerate() {
                    let count = self.read(REQUESTS + (proto * 2 + family) * TYPES + place);
                    tally.queries += count;
                    add(&mut tally.transports, transport, count);
                    add(&mut tally.families, of_ip, count);
                    add(&mut tally.types, rtype, count);
                }
            }
        }
        tally.dnssec_ok = self.read(DO);
        for rcode in 0..RCODES {
            for plugin in 0..=self.plugins.len() {
                let count = self.read(RESPONSES + rcode * (self.plugins.len() + 1) + plugin);
                add(&mut tally.rcodes, rcode_name(rcode), count);
                add(&mut tally.plugins, plugin.checked_sub(1).map_or("", |place| self.plugins[place]), count);
            }
        }
        tally.durations = (0..=DURATIONS_NANOS.len()).map(|bucket| self.read(DURATION + bucket)).collect();
        tally.duration_nanos = self.read(DURATION + DURATIONS_NANOS.len() + 1);
        tally
    }

    /// Counts a query with its answer. `answered` is the place of the plugin that wrote it.
    #[inline]
    pub(in crate::plugin) fn count(
        &self,
        query: &Query,
        response: &Response<'_>,
        arrival: &Arrival,
        started: Option<Instant>,
        answered: Option<usize>,
    ) {
        let thread = thread();
        let shared = self.shards.len() - 1;
        let shard = &self.shards[thread.min(shared)];
        let add = |place: usize, number: u64| match thread < shared {
            // Nobody else writes here: a load and a store are cheaper than a locked addition.
            true => shard[place].store(shard[place].load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed),
            false => drop(shard[place].fetch_add(number, Ordering::Relaxed)),
        };
        let proto = usize::from(arrival.transport.network() == "tcp");
        let family = usize::from(arrival.client.ip().to_canonical().is_ipv6());
        add(REQUESTS + (proto * 2 + family) * TYPES + type_place(query.qtype), 1);
        if query.edns.is_some_and(|edns| edns.dnssec_ok) {
            add(DO, 1);
        }
        let plugin = answered.filter(|&place| place < self.plugins.len()).map_or(0, |place| place + 1);
        let rcode = usize::from(response.rcode.to_int()).min(RCODES - 1);
        add(RESPONSES + rcode * (self.plugins.len() + 1) + plugin, 1);
        let nanos = started.map_or(0, |started| started.elapsed().as_nanos() as u64);
        add(DURATION + DURATIONS_NANOS.partition_point(|bound| *bound < nanos), 1);
        add(DURATION + DURATIONS_NANOS.len() + 1, nanos);
        for (place, size) in [(QUERY_SIZE, query.size), (ANSWER_SIZE, response.finished_len())] {
            let place = place + proto * (SIZES.len() + 2);
            add(place + SIZES.partition_point(|bound| *bound < size), 1);
            add(place + SIZES.len() + 1, size as u64);
        }
        if let Some(names) = Names::wanted() {
            names.put(&query.name);
        }
    }

    /// Writes all that is not zero, and the plugins of the zone.
    pub(in crate::plugin) fn write(&self, text: &mut Text) {
        let zone = [("server", &self.server[..]), ("zone", &self.zone), ("view", "")];
        for name in &self.plugins {
            let labels = with(zone, [("name", name)]);
            text.gauge("coredns_plugin_enabled", "The plugins of each zone.", &labels, 1.0);
        }
        for (proto, transport) in PROTOS.iter().enumerate() {
            for (family, number) in ["1", "2"].iter().enumerate() {
                for (place, rtype) in TYPE_NAMES.iter().enumerate() {
                    let count = self.read(REQUESTS + (proto * 2 + family) * TYPES + place);
                    let labels = with(zone, [("proto", *transport), ("family", number), ("type", rtype)]);
                    write_some(text, "coredns_dns_requests_total", "Queries.", &labels, count);
                }
            }
            let labels = with(zone, [("proto", *transport)]);
            let bounds = SIZES.map(|bound| bound as f64);
            for (place, name, help) in [
                (QUERY_SIZE, "coredns_dns_request_size_bytes", "Octets of queries."),
                (ANSWER_SIZE, "coredns_dns_response_size_bytes", "Octets of answers."),
            ] {
                self.write_histogram(text, name, help, &labels, &bounds, place + proto * (SIZES.len() + 2), 1.0);
            }
        }
        write_some(text, "coredns_dns_do_requests_total", "Queries with the DO bit.", &zone, self.read(DO));
        for rcode in 0..RCODES {
            for plugin in 0..=self.plugins.len() {
                let count = self.read(RESPONSES + rcode * (self.plugins.len() + 1) + plugin);
                let mnemonic = rcode_name(rcode);
                let plugin = plugin.checked_sub(1).map_or("", |place| self.plugins[place]);
                let labels = with(zone, [("rcode", mnemonic), ("plugin", plugin)]);
                write_some(text, "coredns_dns_responses_total", "Answers.", &labels, count);
            }
        }
        for (place, metric) in self.own.metrics().iter().enumerate() {
            let of_zone = zone.into_iter().filter(|(label, _)| metric.has_zone || *label != "zone");
            let more = metric.labels.iter().map(|(label, value)| (*label, &value[..]));
            let labels: Vec<_> = of_zone.chain(more).collect();
            write_some(text, metric.name, metric.help, &labels, self.read(self.own_place(place)));
        }
        let bounds = DURATIONS_NANOS.map(|bound| bound as f64 / 1e9);
        let (name, help) = ("coredns_dns_request_duration_seconds", "How long answering took.");
        self.write_histogram(text, name, help, &zone, &bounds, DURATION, 1e9);
    }

    /// Writes a histogram that has begun; its sum is kept in parts of a unit.
    #[expect(clippy::too_many_arguments, reason = "name, help and labels go through to the text")]
    fn write_histogram(
        &self,
        text: &mut Text,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        bounds: &[f64],
        place: usize,
        unit: f64,
    ) {
        let counts: Vec<u64> = (0..=bounds.len()).map(|bucket| self.read(place + bucket)).collect();
        if counts.iter().any(|&count| count > 0) {
            text.histogram(name, help, labels, bounds, &counts, self.read(place + bounds.len() + 1) as f64 / unit);
        }
    }

    /// The sum of a number over all threads.
    fn read(&self, place: usize) -> u64 {
        self.shards.iter().map(|shard| shard[place].load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

/// Sums over all threads, by name; nothing that is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Where the queries came in, as the metrics name it; empty for a sum.
    pub server: String,
    /// The zone of the server block, `dropped` for queries that no block is for; empty for a sum.
    pub zone: String,
    /// Queries in all.
    pub queries: u64,
    /// Those with the DO bit.
    pub dnssec_ok: u64,
    /// Queries by transport.
    pub transports: BTreeMap<String, u64>,
    /// Queries by address family.
    pub families: BTreeMap<String, u64>,
    /// Queries by type.
    pub types: BTreeMap<String, u64>,
    /// Answers by rcode.
    pub rcodes: BTreeMap<String, u64>,
    /// Answers by the plugin that wrote them, empty for the server itself.
    pub plugins: BTreeMap<String, u64>,
    /// How many answers took up to each of [`Tally::DURATIONS_NANOS`], and longer than all.
    pub durations: Vec<u64>,
    /// Nanoseconds that all answers took.
    pub duration_nanos: u64,
}

impl Tally {
    /// Upper bounds of the durations.
    pub const DURATIONS_NANOS: [u64; 16] = DURATIONS_NANOS;
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.queries += other.queries;
        self.dnssec_ok += other.dnssec_ok;
        for (sums, counts) in [
            (&mut self.transports, &other.transports),
            (&mut self.families, &other.families),
            (&mut self.types, &other.types),
            (&mut self.rcodes, &other.rcodes),
            (&mut self.plugins, &other.plugins),
        ] {
            for (name, count) in counts {
                *sums.entry(name.clone()).or_default() += count;
            }
        }
        self.durations.resize(self.durations.len().max(other.durations.len()), 0);
        for (sum, count) in self.durations.iter_mut().zip(&other.durations) {
            *sum += count;
        }
        self.duration_nanos += other.duration_nanos;
    }
}

/// The name of an rcode by its place.
fn rcode_name(place: usize) -> &'static str {
    OptRcode::masked_from_int(place as u16).to_mnemonic_str().unwrap_or("other")
}

/// Labels of the zone and further ones.
fn with<'l, const N: usize>(zone: [(&'l str, &'l str); 3], more: [(&'l str, &'l str); N]) -> Vec<(&'l str, &'l str)> {
    zone.into_iter().chain(more).collect()
}

/// Writes a counter that has begun.
fn write_some(text: &mut Text, name: &'static str, help: &'static str, labels: Labels<'_>, count: u64) {
    if count > 0 {
        text.counter(name, help, labels, count);
    }
}

/// The number of the thread that asks, in the order in which they asked first.
#[inline]
pub(super) fn thread() -> usize {
    thread_local!(static NUMBER: Cell<Option<usize>> = const { Cell::new(None) });
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = THREADS.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

/// The place of a type among those that are told apart.
#[inline]
fn type_place(rtype: Rtype) -> usize {
    match rtype {
        Rtype::A => 0,
        Rtype::AAAA => 1,
        Rtype::CNAME => 2,
        Rtype::NS => 3,
        Rtype::SOA => 4,
        Rtype::MX => 5,
        Rtype::TXT => 6,
        Rtype::PTR => 7,
        Rtype::SRV => 8,
        Rtype::DS => 9,
        Rtype::DNSKEY => 10,
        Rtype::RRSIG => 11,
        Rtype::NSEC => 12,
        Rtype::NSEC3 => 13,
        Rtype::HTTPS => 14,
        Rtype::SVCB => 15,
        Rtype::IXFR => 16,
        Rtype::AXFR => 17,
        Rtype::ANY => 18,
        _ => 19,
    }
}

/// Threads that have counted so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The names of types in the order of [`type_place`].
const TYPE_NAMES: [&str; TYPES] = [
    "A", "AAAA", "CNAME", "NS", "SOA", "MX", "TXT", "PTR", "SRV", "DS", "DNSKEY", "RRSIG", "NSEC", "NSEC3", "HTTPS",
    "SVCB", "IXFR", "AXFR", "ANY", "other",
];

/// The transports in their order.
const PROTOS: [&str; 2] = ["udp", "tcp"];

/// Types that are told apart.
const TYPES: usize = 20;

/// Rcodes that are told apart: those of EDNS up to BADCOOKIE (RFC 7873 §8), and all others.
const RCODES: usize = 25;

/// Upper bounds of the sizes in octets.
const SIZES: [usize; 14] = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000];

/// Upper bounds of the durations: 0.25 ms, doubled each time.
const DURATIONS_NANOS: [u64; 16] = {
    let mut bounds = [250_000; 16];
    let mut index = 1;
    while index < bounds.len() {
        bounds[index] = bounds[index - 1] * 2;
        index += 1;
    }
    bounds
};

/// Numbers left free before and behind each shard, so that no two threads write to one pair of cache lines.
const APART: usize = 16;

/// Where a shard keeps what: queries by transport, family and type.
const REQUESTS: usize = APART;

/// Queries with DO.
const DO: usize = REQUESTS + 4 * TYPES;

/// The buckets of the duration, and its sum.
const DURATION: usize = DO + 1;

/// The same for the sizes of queries, by transport.
const QUERY_SIZE: usize = DURATION + DURATIONS_NANOS.len() + 2;

/// The same for the sizes of answers.
const ANSWER_SIZE: usize = QUERY_SIZE + 2 * (SIZES.len() + 2);

/// Answers by rcode and plugin.
const RESPONSES: usize = ANSWER_SIZE + 2 * (SIZES.len() + 2);
