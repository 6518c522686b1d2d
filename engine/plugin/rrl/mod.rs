//! # rrl
//!
//! ## Name
//! *rrl* - keeps the server from being used to flood others.
//!
//! ## Description
//! Response rate limiting: keeps the server from being used to flood others. Over UDP the source of a query is easily
//! forged, and the answers go to whoever it names. Answers are counted by client network and by what they say; beyond
//! the allowance they are dropped, and some are sent empty and truncated instead, so that a client which is really
//! there can ask again over TCP. TCP is never limited, nor are clients that show a good cookie of this server (RFC 7873):
//! their address is their own.
//!
//! What counts together, for one client network:
//! * positive answers and answers without data (NODATA): those to one name and type;
//! * referrals: those to one delegated zone;
//! * name errors (NXDOMAIN): all of them;
//! * other errors: all of them.
//!
//! An account is credited its allowance each second and never holds more than that of one second. Each answer is
//! debited, dropped ones too, down to the allowance of `window` seconds.
//!
//! ## Syntax
//! ```corefile
//! rrl [ZONES...] {
//!     window SECONDS
//!     ipv4-prefix-length LENGTH
//!     ipv6-prefix-length LENGTH
//!     responses-per-second ALLOWANCE
//!     nodata-per-second ALLOWANCE
//!     nxdomains-per-second ALLOWANCE
//!     referrals-per-second ALLOWANCE
//!     errors-per-second ALLOWANCE
//!     requests-per-second ALLOWANCE
//!     slip-ratio N
//!     max-table-size SIZE
//!     exempt NETWORK...
//!     report-only
//! }
//! ```
//! * **ZONES** are the zones whose answers are limited; without them those of the server block.
//! * `window` is how far an account may be overdrawn, 1 to 3600 **SECONDS**; 15 without it.
//! * `ipv4-prefix-length` and `ipv6-prefix-length` are the size of a client network, 1 to 32 and 1 to 128; 24 and 56
//!   without them.
//! * `responses-per-second` is the allowance of positive answers, up to 1,000,000,000; 0 for no limit, which is so without
//!   it. `nodata-per-second`, `nxdomains-per-second`, `referrals-per-second` and `errors-per-second` are the allowances of
//!   the other answers, and the same unless they are given.
//! * `requests-per-second` limits queries of a client network whatever their answer; those beyond it are dropped before
//!   they are looked at.
//! * `slip-ratio` sends every **N**th answer beyond the allowance empty and truncated; 2 without it, up to 10,
//!   and 0 for none.
//! * `max-table-size` is how many accounts are kept, 1 to 100,000,000; 100,000 without it. When there are more, those that are least in
//!   debt are forgotten.
//! * `exempt` are networks (`192.0.2.0/24`) or addresses that are not limited.
//! * `report-only` counts and reports, and limits nothing.
//!
//! Once a minute a line in the log tells how many answers were dropped and truncated, if any.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     rrl {
//!         responses-per-second 20
//!         nxdomains-per-second 5
//!         exempt 127.0.0.0/8 ::1
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! With `prometheus` in the server block, and with `report-only` of what would have been limited:
//! * `zonda_rrl_dropped_total`, `zonda_rrl_truncated_total`: answers; server, zone, view
//! * `zonda_rrl_dropped_requests_total`: queries by `requests-per-second`; server, zone, view
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `acl`, `any`, `prometheus`. RFC 7873 has the cookies.
//!
//! ## Bugs
//! CoreDNS has no such plugin built in; most properties have the names of the one that can be added to it. An account
//! is kept by a hash, so that two networks may share one by chance.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::{Class, OptRcode, Rtype};
use foldhash::fast::RandomState;

use super::corefile::{ConfigError, Directive, Prefix, Token, zones_or};
use super::counted::Count;
use super::{Context, Flow, Plugin, Setup, Task, Transport};
use crate::log;
use crate::wire::{Query, Response, Section};

mod table;

use self::table::Table;

/// The plugin.
struct Rrl {
    /// The zones whose answers are limited, in lower-case wire form.
    zones: Vec<Box<[u8]>>,
    /// How many bits of an address are those of a client network.
    ipv4_prefix: u32,
    ipv6_prefix: u32,
    /// Nanoseconds that one answer of each [`Kind`] takes off an account; 0 for no limit.
    costs: [u64; 6],
    /// Every so many limited answers one is truncated instead of dropped; 0 for none.
    slip: u64,
    exempt: Vec<Prefix>,
    report_only: bool,
    table: Table,
    hasher: RandomState,
    /// When the table's time began.
    epoch: Instant,
    counts: Arc<Counts>,
    /// The same as metrics: answers dropped, answers truncated, queries dropped.
    dropped: Count,
    truncated: Count,
    requests: Count,
}

/// What was limited since the last report.
#[derive(Default)]
struct Counts {
    /// Answers beyond the allowance.
    limited: AtomicU64,
    /// Those that were truncated instead of dropped.
    truncated: AtomicU64,
    /// Queries dropped before they were looked at.
    requests: AtomicU64,
}

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Answers with data.
    Response,
    /// A name without data of the type.
    NoData,
    /// A name that does not exist.
    NameError,
    /// A name below a zone cut.
    Referral,
    /// Any other rcode.
    Error,
    /// Queries, whatever their answer.
    Request,
}

/// Reads the directive.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.flat()?;
    let (mut window, mut ipv4_prefix, mut ipv6_prefix, mut slip, mut size) = (15, 24, 56, 2, 100_000);
    let mut allowances = [None; 6];
    let (mut exempt, mut report_only) = (Vec::new(), false);
    for property in line.properties() {
        let kind = match &property.name.text[..] {
            "window" => {
                window = number(property.one_argument()?, 1, 3600)?;
                continue;
            }
            "ipv4-prefix-length" => {
                ipv4_prefix = number(property.one_argument()?, 1, 32)?;
                continue;
            }
            "ipv6-prefix-length" => {
                ipv6_prefix = number(property.one_argument()?, 1, 128)?;
                continue;
            }
            "slip-ratio" => {
                slip = number(property.one_argument()?, 0, 10)?;
                continue;
            }
            "max-table-size" => {
                size = number(property.one_argument()?, 1, 100_000_000)?;
                continue;
            }
            "exempt" if property.args.is_empty() => return Err(property.wrong_argument_count()),
            "exempt" => {
                for network in &property.args {
                    let wrong = || network.error(format!("not a network: '{}'", network.text));
                    exempt.push(Prefix::read(&network.text).ok_or_else(wrong)?);
                }
                continue;
            }
            "report-only" => {
                property.no_arguments()?;
                report_only = true;
                continue;
            }
            "responses-per-second" => Kind::Response,
            "nodata-per-second" => Kind::NoData,
            "nxdomains-per-second" => Kind::NameError,
            "referrals-per-second" => Kind::Referral,
            "errors-per-second" => Kind::Error,
            "requests-per-second" => Kind::Request,
            _ => return Err(property.unknown_property()),
        };
        allowances[kind as usize] = Some(number(property.one_argument()?, 0, 1_000_000_000)?);
    }
    let zones = zones_or(&line.args, setup.zones)?;
    let positive = allowances[Kind::Response as usize];
    allowances[..Kind::Request as usize].iter_mut().for_each(|allowance| *allowance = allowance.or(positive));
    let counts = Arc::<Counts>::default();
    let reported = Arc::clone(&counts);
    let mut counted = |name, help| setup.counted.add(name, help, &[]);
    let dropped = counted("zonda_rrl_dropped_total", "Answers beyond the allowance that rrl dropped.");
    let truncated = counted("zonda_rrl_truncated_total", "Answers beyond the allowance that rrl truncated.");
    let requests = counted("zonda_rrl_dropped_requests_total", "Queries beyond the allowance that rrl dropped.");
    setup.services.tasks.push(Task { every: REPORT_EVERY, run: Box::new(move || reported.report(report_only)) });
    Ok(Some(Box::new(Rrl {
        zones: zones.iter().map(|zone| zone.as_slice().to_ascii_lowercase().into()).collect(),
        ipv4_prefix,
        ipv6_prefix,
        costs: allowances.map(|allowance| allowance.filter(|a| *a > 0).map_or(0, |a| SECOND / u64::from(a))),
        slip: slip.into(),
        exempt,
        report_only,
        table: Table::new(size as usize, u64::from(window) * SECOND),
        hasher: RandomState::default(),
        epoch: Instant::now(),
        counts,
        dropped,
        truncated,
        requests,
    })))
}

impl Rrl {
    /// Whether an answer of this kind is beyond its account, which is debited. `name` and `qtype` are what else the
    /// account is of.
    fn is_beyond(&self, kind: Kind, name: &[u8], qtype: Rtype, context: &Context<'_>) -> bool {
        let cost = self.costs[kind as usize];
        if cost == 0 {
            return false;
        }
        let network = match context.arrival.client.ip() {
            IpAddr::V4(ip) => u128::from(ip.to_bits() >> (32 - self.ipv4_prefix)),
            // One bit more than an IPv4 address has: no network of one family is that of another.
            IpAddr::V6(ip) => (ip.to_bits() >> (128 - self.ipv6_prefix)) | (1 << 127),
        };
        let account = self.hasher.hash_one((network, kind, qtype.to_int(), name));
        let now = context.started.map_or(0, |now| now.saturating_duration_since(self.epoch).as_nanos() as u64);
        self.table.debit(account, cost, now)
    }

    /// Whether a query is one that is limited at all.
    fn covers(&self, query: &Query, context: &Context<'_>) -> bool {
        let client = context.arrival.client.ip();
        context.arrival.transport == Transport::Udp
            && !context.has_cookie
            && !self.exempt.iter().any(|network| network.contains(client))
            && (query.qclass != Class::IN || self.zones.iter().any(|zone| query.name.is_below(zone)))
    }
}

impl Plugin for Rrl {
    fn name(&self) -> &'static str {
        "rrl"
    }

    fn watches(&self) -> bool {
        true
    }

    fn wants_time(&self) -> bool {
        true
    }

    fn query(&self, query: &Query, _: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        if self.costs[Kind::Request as usize] == 0
            || !self.covers(query, context)
            || !self.is_beyond(Kind::Request, &[], Rtype::ANY, context)
        {
            return Flow::Next;
        }
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        context.count(self.requests);
        if self.report_only { Flow::Next } else { Flow::Drop }
    }

    fn response(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        if !self.covers(query, context) {
            return;
        }
        let kind = kind_of(response);
        let (name, qtype) = match kind {
            Kind::Response | Kind::NoData => (query.name.as_slice(), query.qtype),
            // The NS RRset of the cut is owned by an ancestor of the question.
            Kind::Referral => {
                let cut = response.walk(Section::Authority).find(|record| record.rtype == Rtype::NS);
                let labels = cut.map_or(0, |cut| response.labels(cut.owner_at).count());
                (query.name.suffix(labels), Rtype::NS)
            }
            Kind::NameError | Kind::Error | Kind::Request => (&[][..], Rtype::ANY),
        };
        if !self.is_beyond(kind, name, qtype, context) {
            return;
        }
        let before = self.counts.limited.fetch_add(1, Ordering::Relaxed);
        let truncate = self.slip > 0 && before.is_multiple_of(self.slip);
        if truncate {
            self.counts.truncated.fetch_add(1, Ordering::Relaxed);
        }
        context.count(if truncate { self.truncated } else { self.dropped });
        if self.report_only {
            return;
        }
        if truncate {
            let (rcode, authoritative) = (response.rcode, response.authoritative);
            response.reset();
            (response.rcode, response.authoritative, response.truncated) = (rcode, authoritative, true);
        } else {
            context.silence = true;
        }
    }
}

impl Counts {
    /// Logs what was limited since the last report.
    fn report(&self, report_only: bool) {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let (limited, truncated, requests) = (take(&self.limited), take(&self.truncated), take(&self.requests));
        if limited + requests > 0 {
            let would = if report_only { "would have been " } else { "" };
            let dropped = limited.saturating_sub(truncated);
            log::warning(&format!(
                "plugin/rrl: {dropped} answers {would}dropped, {truncated} truncated, {requests} requests {would}dropped"
            ));
        }
    }
}

/// What a finished answer is.
fn kind_of(response: &Response<'_>) -> Kind {
    match response.rcode {
        OptRcode::NXDOMAIN => Kind::NameError,
        OptRcode::NOERROR if response.records(Section::Answer) > 0 => Kind::Response,
        OptRcode::NOERROR if is_referral(response) => Kind::Referral,
        OptRcode::NOERROR => Kind::NoData,
        _ => Kind::Error,
    }
}

/// Whether an answer without data refers to other servers: with NS records, and no SOA, which tells NODATA (RFC 2308 §2.2).
fn is_referral(response: &Response<'_>) -> bool {
    let has = |rtype| response.walk(Section::Authority).any(|record| record.rtype == rtype);
    has(Rtype::NS) && !has(Rtype::SOA)
}

/// Reads a whole number within bounds.
fn number(token: &Token, least: u32, most: u32) -> Result<u32, ConfigError> {
    let read = token.text.parse().ok().filter(|number| (least..=most).contains(number));
    read.ok_or_else(|| token.error(format!("'{}' is not a number from {least} to {most}", token.text)))
}

/// A second in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// How often what was limited is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);
