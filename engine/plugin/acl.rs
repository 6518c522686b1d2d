//! # acl
//!
//! ## Name
//! *acl* - decides who is answered, by zone, type and address.
//!
//! ## Description
//! Decides by who asks, for what type and for which zone whether a query is answered. Of the rules of a line the first
//! that fits counts; if it allows, or no line has a rule that fits, the query goes on to the next plugin. Several lines
//! are asked in their order. Queries of every class that the block answers are judged.
//!
//! ## Syntax
//! ```corefile
//! acl [ZONES...] {
//!     ACTION [type TYPES...] [net SOURCES...]
//! }
//! ```
//! * **ZONES** are the zones that the rules are for, those of the server block by default.
//! * **ACTION** is `allow`, `block` (REFUSED), `filter` (an empty answer, as if the name had no data) or `drop` (no
//!   answer at all). With `block` and `filter` a client that speaks EDNS learns why (RFC 8914: 15 Blocked, 17 Filtered).
//! * `type` limits the rule to questions of these types; `*`, the default, is all of them.
//! * `net` limits the rule to clients with these addresses or in these address blocks; `*`, the default, is all of them.
//!
//! ## Examples
//! Only the hosts of one network, and this machine, are answered:
//! ```corefile
//! example.org:1053 {
//!     acl {
//!         allow net 192.0.2.0/24 127.0.0.0/8
//!         block
//!     }
//!     whoami
//! }
//! ```
//! Nobody but 2001:db8::1 gets TXT records:
//! ```corefile
//! .:1053 {
//!     acl example.org {
//!         allow net 2001:db8::1
//!         filter type TXT
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! With `prometheus` in the server block:
//! * `coredns_acl_blocked_requests_total`, `coredns_acl_filtered_requests_total`, `coredns_acl_dropped_requests_total`:
//!   server, zone, view
//! * `coredns_acl_allowed_requests_total`: server, view
//!
//! ## Ready
//! It does not signal readiness: it is ready as soon as the server listens.
//!
//! ## See also
//! `any`, `rrl`, `template`. RFC 8914 has the extended errors.
//!
//! ## Bugs
//! The address is that of the packet: an EDNS client subnet is not looked at, and there is no `proxyproto` to learn
//! another one from.

use std::net::IpAddr;

use domain::base::iana::exterr::ExtendedErrorCode;
use domain::base::iana::{OptRcode, Rtype};
use store::Name;
use store::types::rtype_from_text;

use super::corefile::{ConfigError, Directive, Prefix, Token, zones_or};
use super::counted::Count;
use super::{Context, Flow, Plugin, Setup};
use crate::wire::{Query, Response};

/// The plugin: its lines in the order of the Corefile.
struct Acl {
    lines: Vec<Line>,
    /// Queries by what became of them.
    allowed: Count,
    blocked: Count,
    filtered: Count,
    dropped: Count,
}

/// One `acl` line.
struct Line {
    zones: Vec<Name>,
    rules: Vec<Rule>,
}

/// What happens to some queries.
struct Rule {
    action: Action,
    /// Question types; none stands for all.
    types: Option<Vec<Rtype>>,
    /// Clients; none stands for all.
    sources: Option<Ranges>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Allow,
    Block,
    Filter,
    Drop,
}

/// Addresses as ranges that are sorted and do not overlap.
struct Ranges(Vec<(IpAddr, IpAddr)>);

/// Reads all lines of a block.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let lines = lines.iter().map(|line| Line::read(line, setup.zones)).collect::<Result<_, _>>()?;
    let counted = &mut setup.counted;
    Ok(Some(Box::new(Acl {
        lines,
        allowed: counted.add_for_server("coredns_acl_allowed_requests_total", "Queries that acl let pass."),
        blocked: counted.add("coredns_acl_blocked_requests_total", "Queries that acl blocked.", &[]),
        filtered: counted.add("coredns_acl_filtered_requests_total", "Queries that acl filtered.", &[]),
        dropped: counted.add("coredns_acl_dropped_requests_total", "Queries that acl dropped.", &[]),
    })))
}

impl Line {
    /// Reads one line and its rules.
    fn read(line: &Directive, block: &[Name]) -> Result<Self, ConfigError> {
        line.flat()?;
        let rules = line.properties().iter().map(Rule::read).collect::<Result<_, _>>()?;
        Ok(Self { zones: zones_or(&line.args, block)?, rules })
    }
}

impl Rule {
    /// Reads `ACTION [type TYPES…] [net SOURCES…]`.
    fn read(line: &Directive) -> Result<Self, ConfigError> {
        let action = match &line.name.text.to_ascii_lowercase()[..] {
            "allow" => Action::Allow,
            "block" => Action::Block,
            "filter" => Action::Filter,
            "drop" => Action::Drop,
            _ => {
                let why = format!("unexpected token {:?}; expect 'allow', 'block', 'filter' or 'drop'", line.name.text);
                return Err(line.error(why));
            }
        };
        let mut rule = Self { action, types: None, sources: None };
        let mut rest = &line.args[..];
        while let Some((section, after)) = rest.split_first() {
            let count = after.iter().position(is_section).unwrap_or(after.len());
            let values = &after[..count];
            rest = &after[count..];
            if is_section(section) && values.is_empty() {
                return Err(section.error(format!("no token specified in {:?} section", section.text)));
            }
            let all = values.iter().any(|value| value.text == "*");
            match &section.text.to_ascii_lowercase()[..] {
                "type" => rule.types = (!all).then(|| read_types(values)).transpose()?,
                "net" => rule.sources = (!all).then(|| read_sources(values)).transpose()?,
                _ => {
                    return Err(section.error(format!("unexpected token {:?}; expect 'type | net'", section.text)));
                }
            }
        }
        Ok(rule)
    }

    /// Whether the rule is meant for such a question from such a client.
    fn fits(&self, qtype: Rtype, client: IpAddr) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&qtype))
            && self.sources.as_ref().is_none_or(|sources| sources.contain(client))
    }
}

impl Ranges {
    /// Whether an address is in one of the ranges.
    fn contain(&self, address: IpAddr) -> bool {
        let before = self.0.partition_point(|&(first, _)| first <= address);
        before.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|&(_, last)| address <= last)
    }
}

impl FromIterator<(IpAddr, IpAddr)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (IpAddr, IpAddr)>>(ranges: I) -> Self {
        let mut all: Vec<_> = ranges.into_iter().collect();
        all.sort_unstable();
        all.dedup_by(|next, range| {
            let joined = next.0 <= range.1;
            if joined {
                range.1 = range.1.max(next.1);
            }
            joined
        });
        Self(all)
    }
}

/// Whether a token begins a section of a rule.
fn is_section(token: &Token) -> bool {
    token.text.eq_ignore_ascii_case("type") || token.text.eq_ignore_ascii_case("net")
}

/// Reads question types.
fn read_types(values: &[Token]) -> Result<Vec<Rtype>, ConfigError> {
    let read = |value: &Token| {
        // The questions that are no types of records (RFC 1035 §3.2.3, RFC 1995 §2).
        let meta = match &value.text.to_ascii_uppercase()[..] {
            "ANY" => Some(Rtype::ANY),
            "AXFR" => Some(Rtype::AXFR),
            "IXFR" => Some(Rtype::IXFR),
            _ => None,
        };
        let found = meta.or_else(|| rtype_from_text(&value.text));
        found.ok_or_else(|| value.error(format!("unexpected token {:?}; expect legal QTYPE", value.text)))
    };
    values.iter().map(read).collect()
}

/// Reads addresses and address blocks.
fn read_sources(values: &[Token]) -> Result<Ranges, ConfigError> {
    let read = |value: &Token| {
        let prefix = Prefix::read(&value.text);
        prefix
            .map(|prefix| (prefix.first, prefix.last))
            .ok_or_else(|| value.error(format!("illegal CIDR notation {:?}", value.text)))
    };
    values.iter().map(read).collect()
}

impl Plugin for Acl {
    fn name(&self) -> &'static str {
        "acl"
    }

    fn guards(&self) -> bool {
        true
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        let client = context.arrival.client.ip().to_canonical();
        let lines = self.lines.iter().filter(|line| line.zones.iter().any(|zone| query.name.is_below(zone.as_slice())));
        for line in lines {
            match line.rules.iter().find(|rule| rule.fits(query.qtype, client)).map(|rule| rule.action) {
                None => {}
                Some(Action::Allow) => break,
                Some(Action::Block) => {
                    context.count(self.blocked);
                    response.explain(ExtendedErrorCode::BLOCKED);
                    return Flow::Rcode(OptRcode::REFUSED);
                }
                Some(Action::Filter) => {
                    context.count(self.filtered);
                    response.reset();
                    response.explain(ExtendedErrorCode::FILTERED);
                    return Flow::Done;
                }
                Some(Action::Drop) => {
                    context.count(self.dropped);
                    return Flow::Drop;
                }
            }
        }
        context.count(self.allowed);
        Flow::Next
    }
}
