//! # loadbalance
//!
//! ## Name
//! *loadbalance* - puts addresses and mail exchangers in changing order.
//!
//! ## Description
//! Changes the order of addresses (A, AAAA) and mail exchangers (MX) in answers, so that clients which take the first one
//! spread over all of them. Records are exchanged within their RRset; RRsets keep their order, in which aliases come
//! first.
//!
//! ## Syntax
//! ```corefile
//! loadbalance [round_robin | weighted WEIGHTFILE] {
//!     reload DURATION
//!     prefer CIDR...
//! }
//! ```
//! * `round_robin`, the default, shuffles addresses and mail exchangers.
//! * `weighted` puts one address of each RRset first, by chance but as often as its weight says, in answers to questions
//!   for A, AAAA and SRV. A relative path of **WEIGHTFILE** is below `root`.
//! * `reload` is how often the weight file is looked at, `30s` by default; `0` is never. It goes with `weighted` only.
//! * `prefer` puts addresses in these blocks in front of the others, in the order of the blocks.
//!
//! A weight file has a name on a line of its own, and below it the weights of that name's addresses, 1 to 255 each.
//! Addresses that are not listed have weight 1; lines that begin with `#` are comments.
//! ```text
//! # twice as many to the first
//! www.example.org
//! 192.0.2.1 2
//! 192.0.2.2 1
//! ```
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     loadbalance round_robin {
//!         prefer 192.0.2.0/24 2001:db8::/32
//!     }
//!     file db.example.org
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `file`, `hosts`, `forward`.
//!
//! ## Bugs
//! RRsets keep their places, where CoreDNS puts aliases first and addresses and mail exchangers last. More than 32 mail
//! exchangers stay in their order.

mod weights;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::base::iana::{OptRcode, Rtype};

use super::corefile::{ConfigError, Directive, Prefix, duration};
use super::watched::Watched;
use super::{Context, Flow, Plugin, Setup};
use crate::wire::{Query, RecordAt, Response, Section};
use weights::Weights;

/// The plugin.
struct Loadbalance {
    /// Weights of addresses; without them all are shuffled.
    weights: Option<Arc<ArcSwap<Weights>>>,
    prefer: Vec<Prefix>,
}

/// Records of one RRset that stand behind each other. All but the first begin with the same pointer.
#[derive(Clone, Copy)]
struct Run {
    first: RecordAt,
    second: RecordAt,
    count: usize,
}

/// Reads the line, its properties and the weight file.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.flat()?;
    let mut file = match &line.args[..] {
        [] => None,
        [policy, rest @ ..] => match (&policy.text[..], rest) {
            ("round_robin", []) => None,
            ("weighted", [path]) => Some(path),
            ("weighted", []) => return Err(policy.error("missing weight file argument")),
            ("round_robin", [surplus, ..]) | ("weighted", [_, surplus, ..]) => {
                return Err(surplus.error(format!("unexpected argument '{}'", surplus.text)));
            }
            (other, _) => return Err(policy.error(format!("unknown policy: {other}"))),
        },
    };
    let (mut reload, mut prefer) = (RELOAD, Vec::new());
    for property in line.properties() {
        match &property.name.text[..] {
            "reload" if file.is_some() => reload = duration(property.one_argument()?)?,
            "prefer" if !property.args.is_empty() => {
                for block in &property.args {
                    let prefix = Prefix::read(&block.text);
                    prefer.push(prefix.ok_or_else(|| block.error(format!("invalid CIDR {:?}", block.text)))?);
                }
            }
            "prefer" => return Err(property.wrong_argument_count()),
            _ => return Err(property.unknown_property()),
        }
    }
    let mut weights = None;
    if let Some(token) = file.take() {
        let path = setup.path(&token.text);
        let mut watched = Watched::new(path.clone(), Weights::default(), Box::new(Weights::read));
        watched.look().map_err(|why| token.error(format!("{}: {why}", path.display())))?;
        weights = Some(watched.current());
        if reload > Duration::ZERO {
            setup.services.tasks.push(watched.task("loadbalance", reload));
        }
    }
    Ok(Some(Box::new(Loadbalance { weights, prefer })))
}

impl Plugin for Loadbalance {
    fn name(&self) -> &'static str {
        "loadbalance"
    }

    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn response(&self, query: &Query, response: &mut Response<'_>, _: &mut Context<'_>) {
        if response.rcode != OptRcode::NOERROR || matches!(query.qtype, Rtype::AXFR | Rtype::IXFR) {
            return;
        }
        let mut at = query.question_end;
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            let mut left = usize::from(response.records(section));
            while left > 0 {
                let Some(run) = Run::at(at, left, response) else { return };
                left -= run.count;
                // The records change their places, not the space that they take together.
                at = run.record(run.count - 1, response).map_or(usize::MAX, |last| last.end);
                if run.count > 1 {
                    self.arrange(run, query.qtype, response);
                }
            }
        }
    }
}

impl Loadbalance {
    /// Brings the records of one RRset into their new order.
    fn arrange(&self, run: Run, qtype: Rtype, response: &mut Response<'_>) {
        let has_addresses = matches!(run.first.rtype, Rtype::A | Rtype::AAAA);
        match &self.weights {
            Some(weights) if has_addresses && matches!(qtype, Rtype::A | Rtype::AAAA | Rtype::SRV) => {
                let top = choose(run, &weights.load(), response);
                run.swap(0, top, response);
            }
            Some(_) => {}
            None if has_addresses => {
                for last in (1..run.count).rev() {
                    run.swap(last, fastrand::usize(..=last), response);
                }
            }
            None if run.first.rtype == Rtype::MX && run.count <= EXCHANGERS_MAX => shuffle_whole(run, response),
            None => {}
        }
        if has_addresses {
            self.put_preferred_first(run, response);
        }
    }

    /// Moves the addresses of each preferred block behind those of the blocks before it.
    fn put_preferred_first(&self, run: Run, response: &mut Response<'_>) {
        let mut placed = 0;
        for prefix in &self.prefer {
            let first = placed;
            for at in first..run.count {
                if run.address(at, response).is_some_and(|address| prefix.contains(address)) {
                    run.swap(placed, at, response);
                    placed += 1;
                }
            }
        }
    }
}

/// The record that is to come first: by chance, as its weight says.
fn choose(run: Run, weights: &Weights, response: &Response<'_>) -> usize {
    let Some(of_name) = response.name_at(run.first.start).and_then(|name| weights.of(&name)) else {
        return fastrand::usize(..run.count);
    };
    let weight = |at| run.address(at, response).map_or(1, |address| of_name.of(address));
    let mut left = fastrand::u32(..(0..run.count).map(weight).sum::<u32>().max(1));
    for at in 0..run.count {
        match left.checked_sub(weight(at)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

/// Shuffles records of different lengths, as far as no pointer would lead forward then.
fn shuffle_whole(run: Run, response: &mut Response<'_>) {
    let mut to = run.first.start;
    for placed in 0..run.count - 1 {
        let mut record = response.record_at(to);
        for _ in 0..fastrand::usize(..run.count - placed) {
            record = record.and_then(|record| response.record_at(record.end));
        }
        let Some(record) = record.filter(|record| response.move_before(to, *record)) else { return };
        to += record.end - record.start;
    }
}

impl Run {
    /// The records behind each other that begin at `at`, `most` at most.
    fn at(at: usize, most: usize, response: &Response<'_>) -> Option<Self> {
        let first = response.record_at(at)?;
        let mut run = Self { first, second: first, count: 1 };
        let mut end = first.end;
        while run.count < most
            && let Some(next) = response.record_at(end)
            && next.rtype == first.rtype
            && next.owner_at == first.owner_at
        {
            if run.count == 1 {
                run.second = next;
            }
            run.count += 1;
            end = next.end;
        }
        Some(run)
    }

    /// The record at an index. Addresses are equally long, so theirs are found at once.
    fn record(self, index: usize, response: &Response<'_>) -> Option<RecordAt> {
        if index == 0 {
            return Some(self.first);
        }
        if matches!(self.first.rtype, Rtype::A | Rtype::AAAA) {
            return response.record_at(self.second.start + (index - 1) * (self.second.end - self.second.start));
        }
        (0..index).try_fold(self.first, |record, _| response.record_at(record.end))
    }

    /// The address at an index.
    fn address(self, index: usize, response: &Response<'_>) -> Option<IpAddr> {
        let rdata = response.rdata(self.record(index, response)?);
        let four = <[u8; 4]>::try_from(rdata).map(|octets| Ipv4Addr::from(octets).into()).ok();
        four.or_else(|| <[u8; 16]>::try_from(rdata).map(|octets| Ipv6Addr::from(octets).into()).ok())
    }

    /// Exchanges two addresses.
    fn swap(self, one: usize, other: usize, response: &mut Response<'_>) {
        if let (Some(one), Some(other)) = (self.record(one, response), self.record(other, response)) {
            response.swap_rdata(one, other);
        }
    }
}

/// How often the weight file is looked at unless `reload` says otherwise.
const RELOAD: Duration = Duration::from_secs(30);

/// Mail exchangers that are shuffled; the work grows with the square of their number, and nobody has more.
const EXCHANGERS_MAX: usize = 32;
