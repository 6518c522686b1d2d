//! How an answer from zones comes about, for those who want to know: one step for each name that was looked for.
//!
//! On the query line nobody watches: there the watch is `()`, and what makes a [`Step`] is not even compiled.

use bytes::Bytes;
use store::{Name, Rtype, Serial};

use super::compiled::{Match, Zone};
use crate::wire::QName;

/// Sees the steps to an answer.
pub trait Watch {
    /// Sees one; `step` makes it.
    fn see(&mut self, step: impl FnOnce() -> Step);
}

/// Watches nothing.
impl Watch for () {
    #[inline(always)]
    fn see(&mut self, _: impl FnOnce() -> Step) {}
}

/// Keeps all steps.
impl Watch for Vec<Step> {
    fn see(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// The search for one name: that of the question, or the target of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name, in lower case.
    pub name: Name,
    /// The zone with the longest apex that the name is at or below.
    pub zone: Name,
    /// The zone's serial; None if its data cannot be had.
    pub serial: Option<Serial>,
    /// Whether the zone is signed, so that answers have proofs.
    pub is_signed: bool,
    /// Where the search ended.
    pub ended: Ended,
}

/// Where a search ended, with the name at which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The zone is withheld, and was not searched.
    Withheld,
    /// At the name itself.
    Exact(Holds),
    /// At a wildcard that covers the name; the closest encloser is the name above it (RFC 4592 §3.3).
    Wildcard(Name, Holds),
    /// At a zone cut.
    Cut(Name),
    /// At a DNAME.
    Dname(Name),
    /// Nowhere; the closest encloser.
    NameError(Name),
}

/// What a name holds for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// An RRset of the asked type.
    Data,
    /// A CNAME instead.
    Alias,
    /// Neither.
    NoData,
    /// Nothing at all: it exists because names below it do (RFC 8020 §2).
    EmptyNonTerminal,
}

impl Step {
    /// The search for a name in a zone that has ended in a match.
    pub(super) fn new(zone: &Zone, name: &QName, qtype: Rtype, matched: &Match<'_>) -> Self {
        let holds = |node: &super::Node<'_>| {
            let has = |rtype| node.rrset(rtype).is_some();
            match qtype {
                _ if node.rrsets().next().is_none() => Holds::EmptyNonTerminal,
                Rtype::ANY => Holds::Data,
                _ if has(qtype) => Holds::Data,
                Rtype::NSEC | Rtype::RRSIG => Holds::NoData,
                _ if has(Rtype::CNAME) => Holds::Alias,
                _ => Holds::NoData,
            }
        };
        let ended = match matched {
            Match::Exact(node) => Ended::Exact(holds(node)),
            Match::Wildcard(node, _) => Ended::Wildcard(to_name(&[node.relative(), zone.apex()].concat()), holds(node)),
            Match::Cut(_, _, labels) => Ended::Cut(to_name(name.suffix(*labels))),
            Match::Dname(_, labels) => Ended::Dname(to_name(name.suffix(*labels))),
            Match::NameError(labels) => Ended::NameError(to_name(name.suffix(*labels))),
        };
        Self { ended, ..Self::withheld(zone, name) }
    }

    /// The search in a zone whose data cannot be had.
    pub(super) fn withheld(zone: &Zone, name: &QName) -> Self {
        Self {
            name: to_name(name.as_slice()),
            zone: zone.name().clone(),
            serial: zone.serial(),
            is_signed: zone.denial().is_some(),
            ended: Ended::Withheld,
        }
    }
}

/// A name of its own.
fn to_name(wire: &[u8]) -> Name {
    Name::from_octets(Bytes::copy_from_slice(wire)).unwrap_or_else(|_| Name::root_bytes())
}
