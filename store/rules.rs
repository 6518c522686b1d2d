//! The rules that a zone's records keep among themselves; what one record may hold is the table's business
//! ([`crate::types`]).
//!
//! [`check_zone`] looks at a whole zone: each owner by itself, where names in records lead, and, if the zone is signed,
//! whether signatures and the chain of NSEC or NSEC3 records fit the data; signatures are compared with keys by tag and
//! algorithm, not verified. [`check_node`] looks at one owner name, [`check_nodes`] at the names that an edit touched and
//! at those they lead to, at a cost that does not grow with the zone. [`check_serial`] compares a zone with the one it
//! takes the place of. All say what they find; who calls decides by [`Rule`] and [`Severity`] what stops it.
//!
//! Names of hosts are not held to letters, digits and hyphens (RFC 1123 §2.1): names with underscores have addresses
//! in many a sound zone, and the warnings would hide others.

mod across;
mod chain;
mod local;
mod owner;
mod owners;
mod signed;

use std::collections::HashMap;
use std::time::SystemTime;

use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::edit::NodeData;
use crate::{Name, Record, name, serial};

pub use local::check_nodes;
pub use owners::records_to_nodes;

use across::Zone;
use owners::{Owner, Sorted, standings};

/// Something that a zone should not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rule that is broken.
    pub rule: Rule,
    /// Whether the zone can be served all the same.
    pub severity: Severity,
    /// The record at fault: its index in the slice given to [`check_zone`], or its place in the node counted through all
    /// its RRsets. `None` where something is missing.
    pub record: Option<usize>,
    /// A sentence for people.
    pub message: String,
}

/// How grave a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The zone can be served, though hardly as it was meant.
    Warning,
    /// The zone cannot be served as it is.
    Error,
}

/// The rules, for callers that treat one of them in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The apex has a SOA record (RFC 1035 §5.2).
    NoSoa,
    /// There is one SOA record (RFC 1035 §5.2).
    SecondSoa,
    /// The SOA record is at the apex (RFC 1035 §5.2).
    SoaBelowApex,
    /// The apex has NS records (RFC 1034 §4.2.1).
    NoNs,
    /// Every owner is the apex or below it.
    OutsideZone,
    /// A CNAME is alone at its owner (RFC 2181 §10.1), but for RRSIG and NSEC (RFC 4034 §2.5).
    CnameNotAlone,
    /// An owner has one CNAME (RFC 2181 §10.1).
    SecondCname,
    /// An owner has one DNAME (RFC 6672 §2.4).
    SecondDname,
    /// An RRset fits into a message.
    RrsetTooBig,
    /// The mailbox of a SOA record is a name: its `@` is written as a dot (RFC 1035 §8).
    SoaMailbox,
    /// A secondary asks for the zone more often than it gives it up (RFC 1912 §2.2).
    SoaTimers,
    /// The serial goes forward (RFC 1982 §3.2).
    SerialBehind,
    /// There is nothing below the owner of a DNAME (RFC 6672 §2.4).
    BelowDname,
    /// At a zone cut there are NS and DS records, below it only addresses of name servers (RFC 2181 §6).
    Occluded,
    /// No record is there twice (RFC 2181 §5).
    Duplicate,
    /// An RRset has one TTL (RFC 2181 §5.2).
    TtlDiffers,
    /// A name server inside the zone has an address there (RFC 1034 §4.2.1).
    NsWithoutAddress,
    /// A name server below the zone cut that it serves has glue (RFC 9471 §2.1).
    MissingGlue,
    /// The host that MX and SRV name, if it is inside the zone, has an address.
    TargetWithoutAddress,
    /// NS, MX and SRV name a host, not an alias (RFC 2181 §10.3, RFC 2782).
    TargetIsAlias,
    /// A name is not an IP address (RFC 1035 §3.3.9, §3.3.11).
    TargetIsAddress,
    /// Aliases come to an end.
    EndlessAlias,
    /// An alias within the zone leads to data.
    AliasToNothing,
    /// Wildcards are neither zone cuts nor DNAMEs (RFC 4592 §4.2, §4.4).
    WildcardTurn,
    /// Names of other letters than those of ASCII have a form with xn-- (RFC 5890 §2.3.2.1), which is what clients ask for.
    BeyondAscii,
    /// A DS record stands beside NS records, below the apex (RFC 4034 §5).
    DsWithoutCut,
    /// Some types say something of the whole zone and stand at its apex (RFC 4034 §2, RFC 5155 §4, RFC 7344 §4.1,
    /// RFC 7477 §2.1).
    ApexOnly,
    /// A zone with signatures has its keys (RFC 4035 §2.1).
    NoKey,
    /// Every RRset of the zone's own has a signature (RFC 4035 §2.2).
    NoSignature,
    /// A signature is by a key of the zone, says what it signs, and holds at present (RFC 4035 §5.3.1).
    BadSignature,
    /// What has a signature is there, and is the zone's own (RFC 4035 §2.2).
    NeedlessSignature,
    /// A signed zone has a chain of NSEC or NSEC3 records (RFC 4035 §2.3, RFC 5155 §7.1).
    NoChain,
    /// Every name of the zone's own is in the chain.
    ChainGap,
    /// A record of the chain names the next one.
    ChainOrder,
    /// A record of the chain lists the types that are there.
    ChainTypes,
    /// There are no records of the chain for names that are not the zone's own.
    NeedlessChain,
    /// NSEC3 parameters are the same in all the chain and at the apex (RFC 5155 §7.1, §7.3).
    ChainParameters,
    /// NSEC3 goes without further iterations and without salt (RFC 9276 §3.1).
    ChainCost,
}

impl Rule {
    /// How grave it is to break this rule.
    pub fn severity(self) -> Severity {
        match self {
            Self::NoSoa
            | Self::SecondSoa
            | Self::SoaBelowApex
            | Self::NoNs
            | Self::OutsideZone
            | Self::CnameNotAlone
            | Self::SecondCname
            | Self::SecondDname
            | Self::RrsetTooBig => Severity::Error,
            _ => Severity::Warning,
        }
    }

    /// The fault of breaking this rule.
    fn broken(self, record: Option<usize>, message: String) -> Fault {
        Fault { rule: self, severity: self.severity(), record, message }
    }
}

/// Checks all records of a zone, whose signatures have to hold at `now`. Faults come in canonical order of owners, those
/// of the whole zone first; after [`FAULTS_OF_A_RULE_MAX`] of a rule the others are counted.
pub fn check_zone(apex: &Name, records: &[Record], now: SystemTime) -> Vec<Fault> {
    let sorted = Sorted::new(records);
    let owners: Vec<Owner<'_>> = sorted.owners(records).collect();
    let mut faults = Faults::default();
    if !owners.iter().any(|owner| owner.name == apex) {
        owner::check_apex(apex, None, &mut faults);
    }
    for owner in &owners {
        owner::check(apex, owner, &mut faults);
    }
    let standings = standings(apex, &owners);
    let zone = Zone::new(apex, &owners);
    for (owner, standing) in owners.iter().zip(&standings) {
        zone.check(owner, *standing, &mut faults);
    }
    signed::check(&zone, &standings, now, &mut faults);
    faults.list()
}

/// Checks what lies at one owner name, as far as that can be done without the rest of the zone. A node without RRsets
/// is a removed one and breaks no rule.
pub fn check_node(apex: &Name, node: &NodeData) -> Vec<Fault> {
    let mut faults = Faults::default();
    let owner = Owner::new(node, 0);
    if !owner.rrsets.is_empty() {
        owner::check(apex, &owner, &mut faults);
    }
    faults.list()
}

/// Compares the serial of a zone with that of the zone whose place it takes.
pub fn check_serial(apex: &Name, old: Serial, new: Serial) -> Option<Fault> {
    is_behind(old, new).then(|| {
        let apex = name::to_text(apex);
        let message = format!(
            "the serial of {apex} went backwards, from {old} to {new}; secondaries keep the zone that they have until it \
             is ahead of {old} (RFC 1982)"
        );
        Rule::SerialBehind.broken(None, message)
    })
}

/// The same for an import, which brought one serial and was given another, because the store counts forward only. A
/// serial of 0 says that none was brought.
pub fn check_imported_serial(apex: &Name, old: Serial, brought: Serial, given: Serial) -> Option<Fault> {
    (brought != Serial(0) && is_behind(old, brought)).then(|| {
        let apex = name::to_text(apex);
        let message = format!("serial {brought} of {apex} is behind {old}, which was served; the zone has {given} now");
        Rule::SerialBehind.broken(None, message)
    })
}

/// Whether a serial is neither the old one nor ahead of it.
fn is_behind(old: Serial, new: Serial) -> bool {
    new != old && !serial::is_ahead(new.0, old.0)
}

/// Faults as they are found, of each rule a bounded number.
#[derive(Default)]
struct Faults {
    /// Those that are told.
    list: Vec<Fault>,
    /// How many of each rule there are.
    counts: HashMap<Rule, usize>,
}

impl Faults {
    /// Adds a fault; its message is made only if it is told.
    fn add(&mut self, rule: Rule, record: Option<usize>, message: impl FnOnce() -> String) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= FAULTS_OF_A_RULE_MAX {
            self.list.push(rule.broken(record, message()));
        }
    }

    /// All of them; a last one of a rule counts those that are not told.
    fn list(mut self) -> Vec<Fault> {
        for at in 0..self.list.len() {
            let rule = self.list[at].rule;
            let Some(count) = self.counts.remove(&rule).filter(|count| *count > FAULTS_OF_A_RULE_MAX) else { continue };
            let message =
                format!("and {} more such as: {}", grouped(count - FAULTS_OF_A_RULE_MAX), self.list[at].message);
            self.list.push(rule.broken(None, message));
        }
        self.list
    }
}

/// A number with commas between its thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same types as text, for messages.
fn listed(types: impl Iterator<Item = Rtype>) -> String {
    types.map(crate::types::rtype_to_text).collect::<Vec<_>>().join(", ")
}

/// How many faults of one rule are told one by one.
const FAULTS_OF_A_RULE_MAX: usize = 20;

#[cfg(test)]
mod tests;
