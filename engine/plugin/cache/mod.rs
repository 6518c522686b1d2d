//! # cache
//!
//! ## Name
//! *cache* - keeps what upstreams have answered.
//!
//! ## Description
//! Keeps what upstreams have answered, and answers from it for as long as the answers may be kept. It is only asked where
//! the answer would have to be waited for, that is in front of `forward`. What other plugins of the block answer comes from
//! memory as it is: `file`, `auto`, `hosts` and the others neither look into the cache nor fill it, so they cost the same
//! with it, and a zone that has changed is never answered from before.
//!
//! Answers are kept by name, type and class of the question, and by its DO, CD and RD bits; each server block has a cache of
//! its own. An answer stays for the lowest TTL of its records, a denial for the lowest of TTL and last field of its SOA
//! (RFC 2308 §5) and the TTLs of the aliases before it, within the bounds below, and all its records get that TTL. What is
//! truncated, has an error other than SERVFAIL, denies without an SOA, refers to other servers or has more than 4,096
//! octets is not kept. While an answer is fetched, all who ask the same over the same transport wait for that one.
//!
//! ## Syntax
//! ```corefile
//! cache [TTL] [ZONES...] {
//!     success CAPACITY [TTL [MINTTL]]
//!     denial CAPACITY [TTL [MINTTL]]
//!     prefetch AMOUNT [DURATION [PERCENTAGE%]]
//!     serve_stale [DURATION [immediate|verify [TIMEOUT]]]
//!     servfail DURATION
//!     disable success|denial [ZONES...]
//!     keepttl
//! }
//! ```
//! * **TTL** is how many seconds an answer is kept at most: 3600 by default, and 1800 for denials.
//! * **ZONES** are the zones whose names it is for, those of the server block by default.
//! * `success` and `denial` set for answers with data, and for denials, how many are kept (0 to 100,000,000, 9984 by default; those
//!   that would end first make room), for how many seconds at most, and for how many at least (5).
//! * `prefetch` fetches an answer anew before it ends, if it was asked for **AMOUNT** times without a pause of **DURATION**
//!   (`1m`) between: when **PERCENTAGE** (`10%`, up to `90%`) of its time are left, or a second.
//! * `serve_stale` answers from what has ended up to **DURATION** ago (`1h`), with TTL 0 (RFC 8767): with `immediate`, the
//!   default, at once, while the answer is fetched anew; with `verify` if the upstreams fail, or have not answered within
//!   **TIMEOUT**.
//! * `servfail` is how long SERVFAIL of an upstream is kept: `5s` by default, at most `5m`, and `0` for not at all.
//! * `disable` keeps no answers, or no denials, for names in **ZONES**, those of the plugin by default.
//! * `keepttl` gives out the TTLs as they came, not what is left of them.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     cache 300 {
//!         success 20000
//!         denial 5000 60
//!         prefetch 10 1m 20%
//!         serve_stale 1h verify
//!     }
//!     forward . 192.0.2.1
//! }
//! ```
//!
//! ## Metrics
//! Labels: **server** is the block's first address, **zones** are the block's zones, **view** is empty, **type** is `success`
//! or `denial`.
//! * `coredns_cache_requests_total`, `coredns_cache_misses_total`: server, zones, view
//! * `coredns_cache_hits_total`, `coredns_cache_evictions_total`, `coredns_cache_entries`: server, type, zones, view
//! * `zonda_cache_shared_total`: server, zones, view; queries that waited for an answer that was being fetched already
//! * `coredns_cache_prefetch_total`, `coredns_cache_served_stale_total`, `coredns_cache_drops_total`: server, zones, view;
//!   drops are answers that were not kept because of what they were
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `forward`, `prometheus`. RFC 2308 is about denials, RFC 8767 about stale answers.
//!
//! ## Bugs
//! CoreDNS keeps the answers of all plugins behind `cache`; here only those that had to be waited for are kept. What is
//! kept does not outlive the process, nor a reload of the Corefile.

mod counts;
mod options;
mod pending;
mod table;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::base::iana::OptRcode;

use super::corefile::{ConfigError, Directive};
use super::{Brought, Context, Errand, Flow, Plugin, Recall, Setup, Transport};
use crate::wire::{QName, Query, Received, Response};
use counts::Counts;
use pending::{Pending, Role};
use table::{Entry, Key, Table};

/// The plugin.
struct Cache(Arc<Kept>);

/// What is kept, and by which rules.
struct Kept {
    options: Options,
    counts: Arc<Counts>,
    pending: Arc<Pending>,
}

/// What the lines say.
struct Options {
    /// In lower-case wire form, as all names here.
    zones: Vec<Box<[u8]>>,
    success: Part,
    denial: Part,
    prefetch: Option<Prefetch>,
    /// How long after its end an answer may be given, and whether upstreams are asked before.
    stale: Option<(Duration, Refresh)>,
    /// How long SERVFAIL is kept.
    servfail: Duration,
    keep_ttl: bool,
}

/// Answers of one kind.
struct Part {
    capacity: usize,
    ttl_max: u32,
    ttl_min: u32,
    /// Names that are not kept.
    disabled: Vec<Box<[u8]>>,
}

/// When an answer is fetched anew before its end.
#[derive(Clone, Copy)]
struct Prefetch {
    /// How often it has to be asked for.
    amount: u32,
    /// Without such a pause.
    pause: Duration,
    /// And when so much of its time is left.
    percentage: u32,
}

/// When upstreams are asked for what is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    /// Beside the answer.
    Immediate,
    /// Before the answer, for as long at most.
    Verify(Option<Duration>),
}

/// Reads the line and its block.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    let options = options::read(line, setup)?;
    let tables = [Table::new(options.success.capacity), Table::new(options.denial.capacity)];
    let counts = Arc::new(Counts::new(setup.server(), setup.zones, tables));
    let written = Arc::clone(&counts);
    setup.services.metrics.add(move |text| written.write(text));
    Ok(Some(Box::new(Cache(Arc::new(Kept { options, counts, pending: Arc::default() })))))
}

impl Plugin for Cache {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn recall(&self, query: &Query, response: &mut Response<'_>, _: &mut Context<'_>) -> Recall {
        if !covers(&self.0.options.zones, &query.name) {
            return Recall::Nothing;
        }
        self.0.counts.requests.fetch_add(1, Ordering::Relaxed);
        let recall = self.0.find(query).and_then(|(kind, entry)| {
            let age = entry.age();
            if let Some(left) = entry.lifetime.checked_sub(age).filter(|left| !left.is_zero()) {
                self.0.counts.hits[kind].fetch_add(1, Ordering::Relaxed);
                let age_seconds =
                    if self.0.options.keep_ttl { 0 } else { age.as_secs().try_into().unwrap_or(u32::MAX) };
                response.take(&entry.received, age_seconds, query);
                return Some(self.0.prefetch(&entry, left));
            }
            let (_, mode) = self.0.options.stale?;
            if mode != Refresh::Immediate || !self.0.is_good_when_stale(&entry) {
                return None;
            }
            self.0.counts.hits[kind].fetch_add(1, Ordering::Relaxed);
            self.0.counts.stale.fetch_add(1, Ordering::Relaxed);
            response.take(&entry.received, u32::MAX, query);
            Some(if entry.begin_refresh() { Recall::Refresh } else { Recall::Answer })
        });
        if recall.is_none() {
            self.0.counts.misses.fetch_add(1, Ordering::Relaxed);
        }
        recall.unwrap_or(Recall::Nothing)
    }

    fn patience(&self, query: &Query) -> Option<Duration> {
        let (_, Refresh::Verify(patience)) = self.0.options.stale? else { return None };
        let (_, entry) = self.0.find(query).filter(|_| covers(&self.0.options.zones, &query.name))?;
        patience.filter(|_| self.0.is_good_when_stale(&entry))
    }

    fn share(&self, query: &Query, context: &Context<'_>, errand: Errand) -> Errand {
        if !covers(&self.0.options.zones, &query.name) {
            return errand;
        }
        let (kept, query) = (Arc::clone(&self.0), query.clone());
        let is_stream = context.arrival.transport != Transport::Udp;
        Box::pin(async move {
            match kept.pending.take_role(&Key::of(&query), is_stream) {
                Role::Wait(waiting) => {
                    drop(errand);
                    kept.counts.shared.fetch_add(1, Ordering::Relaxed);
                    waiting.answer().await
                }
                Role::Fetch(fetching) => {
                    let brought = kept.keep(&query, errand.await);
                    fetching.tell(&brought);
                    brought
                }
            }
        })
    }

    fn rescue(&self, query: &Query, brought: Brought) -> Brought {
        let has_failed = brought.as_ref().map_or(true, |received| received.rcode == OptRcode::SERVFAIL);
        if !has_failed || !covers(&self.0.options.zones, &query.name) {
            return brought;
        }
        let Some((_, entry)) = self.0.find(query) else { return brought };
        entry.end_refresh();
        if !self.0.is_good_when_stale(&entry) {
            return brought;
        }
        self.0.counts.stale.fetch_add(1, Ordering::Relaxed);
        let mut received = entry.received.clone();
        received.set_ttls(|_| 0);
        Ok(received)
    }
}

impl Kept {
    /// What is kept for a question, whether or not it has ended, and of which kind it is: a denial goes before an answer,
    /// as it can only be newer.
    fn find(&self, query: &Query) -> Option<(usize, Arc<Entry>)> {
        let key = Key::of(query);
        let alive = |entry: &Arc<Entry>| entry.age() < entry.lifetime;
        let found = [DENIAL, SUCCESS].map(|kind| Some((kind, self.counts.tables[kind].get(&key)?)));
        let [denial, success] = found;
        // SERVFAIL that has ended says nothing against an older answer.
        denial.filter(|(_, entry)| alive(entry) || entry.received.rcode != OptRcode::SERVFAIL).or(success)
    }

    /// Keeps what an upstream has answered, if it may be kept.
    fn keep(&self, query: &Query, brought: Brought) -> Brought {
        let received = brought?;
        if received.rcode != OptRcode::SERVFAIL {
            return Ok(match kind(&received) {
                Some(kind) => self.store(kind, query, received),
                None => {
                    self.counts.drops.fetch_add(1, Ordering::Relaxed);
                    // What was kept before stays, and may be fetched anew again.
                    self.find(query).inspect(|(_, entry)| entry.end_refresh());
                    received
                }
            });
        }
        // That an answer could not be fetched anew before its end says nothing against it, and less so what is given when
        // it is stale.
        let is_better = |entry: &Entry| entry.age() < entry.lifetime || self.is_good_when_stale(entry);
        let has_better = self.find(query).is_some_and(|(_, entry)| is_better(&entry));
        if !has_better && !self.options.servfail.is_zero() {
            self.counts.tables[DENIAL].put(&Key::of(query), Entry::new(received.clone(), self.options.servfail));
        }
        Ok(received)
    }

    /// Keeps an answer; gives it back with the TTLs that it is kept for.
    fn store(&self, kind: usize, query: &Query, mut received: Received) -> Received {
        let part = if kind == SUCCESS { &self.options.success } else { &self.options.denial };
        let ttl = match kind {
            SUCCESS => received.ttl_min(),
            _ => received.denial_ttl(),
        };
        let ttl = ttl.unwrap_or(0).clamp(part.ttl_min.min(part.ttl_max), part.ttl_max);
        let (this, other) = (&self.counts.tables[kind], &self.counts.tables[1 - kind]);
        let key = Key::of(query);
        other.remove(&key);
        if covers(&part.disabled, &query.name) || received.size() > ANSWER_MAX {
            self.counts.drops.fetch_add(1, Ordering::Relaxed);
            this.remove(&key);
            return received;
        }
        if !self.options.keep_ttl {
            received.set_ttls(|_| ttl);
        }
        if ttl == 0 {
            // What was kept before is out of date, and nobody would fetch it anew again.
            this.remove(&key);
        } else if this.put(&key, Entry::new(received.clone(), Duration::from_secs(ttl.into()))) {
            self.counts.evictions[kind].fetch_add(1, Ordering::Relaxed);
        }
        received
    }

    /// Whether it is time to fetch an answer anew that has so much of its time left.
    fn prefetch(&self, entry: &Entry, left: Duration) -> Recall {
        let Some(Prefetch { amount, pause, percentage }) = self.options.prefetch else { return Recall::Answer };
        let hits = entry.hit(pause);
        let near_its_end = left <= (entry.lifetime * percentage / 100).max(Duration::from_secs(1));
        if hits >= amount && near_its_end && entry.begin_refresh() {
            self.counts.prefetches.fetch_add(1, Ordering::Relaxed);
            return Recall::Refresh;
        }
        Recall::Answer
    }

    /// Whether an answer may still be given although it has ended, or will have.
    fn is_good_when_stale(&self, entry: &Entry) -> bool {
        let Some((longest, _)) = self.options.stale else { return false };
        entry.received.rcode != OptRcode::SERVFAIL && entry.age() < entry.lifetime + longest
    }
}

/// Whether an answer may be kept, and as what.
fn kind(received: &Received) -> Option<usize> {
    if received.is_truncated() {
        return None;
    }
    match received.rcode {
        // RFC 2308 §2.2: behind aliases, too, it is the SOA that tells NODATA. §5: without one there is nothing to say for
        // how long.
        OptRcode::NOERROR | OptRcode::NXDOMAIN if received.denial_ttl().is_some() => Some(DENIAL),
        OptRcode::NOERROR if received.counts()[0] > 0 => Some(SUCCESS),
        // Errors, and referrals: whoever desires recursion could do nothing with one.
        _ => None,
    }
}

/// Whether a name is at or below one of the zones.
fn covers(zones: &[Box<[u8]>], name: &QName) -> bool {
    zones.iter().any(|zone| name.is_below(zone))
}

/// Answers with data.
const SUCCESS: usize = 0;

/// Denials, and SERVFAIL.
const DENIAL: usize = 1;

/// Octets of an answer that is kept; so much, times what is kept, is the most memory that it takes.
const ANSWER_MAX: usize = 4096;
