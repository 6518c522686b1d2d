//! The rules that a zone's records keep among themselves; what one record may hold is the table's business
//! ([`crate::types`]).
//!
//! [`check_zone`] looks at a whole zone, [`check_node`] at one owner name when an edit touched only that. Both say all
//! they find; who calls decides by [`Rule`] and [`Severity`] what stops it.

use std::collections::HashSet;

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::edit::{NodeData, RrsetData};
use crate::{Name, Record, name, types};

/// Something that a zone should not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The rule that is broken.
    pub rule: Rule,
    /// Whether the zone can be served all the same.
    pub severity: Severity,
    /// The record at fault: its index in the slice given to [`check_zone`], or its place in the node given to
    /// [`check_node`] counted through all its RRsets. `None` where something is missing.
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
    /// There is nothing below the owner of a DNAME (RFC 6672 §2.4).
    BelowDname,
    /// No record is there twice (RFC 2181 §5).
    Duplicate,
    /// An RRset has one TTL (RFC 2181 §5.2).
    TtlDiffers,
    /// An RRset fits into a message.
    RrsetTooBig,
    /// A name server inside the zone has an address there (RFC 1034 §4.2.1).
    NsWithoutAddress,
    /// NS, MX and SRV name a host, not an alias (RFC 2181 §10.3, RFC 2782).
    TargetIsAlias,
}

impl Rule {
    /// How grave it is to break this rule.
    pub fn severity(self) -> Severity {
        match self {
            Self::BelowDname | Self::Duplicate | Self::TtlDiffers | Self::NsWithoutAddress | Self::TargetIsAlias => {
                Severity::Warning
            }
            _ => Severity::Error,
        }
    }

    /// The fault of breaking this rule.
    fn broken(self, record: Option<usize>, message: String) -> Fault {
        Fault { rule: self, severity: self.severity(), record, message }
    }
}

/// Checks all records of a zone. Faults come in canonical order of owners, those of the whole zone first.
pub fn check_zone(apex: &Name, records: &[Record]) -> Vec<Fault> {
    let sorted = Sorted::new(records);
    let owners: Vec<Owner<'_>> = sorted.owners(records).collect();
    let mut faults = Vec::new();
    if !owners.iter().any(|owner| owner.name == apex) {
        check_apex(apex, &[], &mut faults);
    }
    for owner in &owners {
        check_owner(apex, owner, &mut faults);
    }
    let zone = Zone { apex, owners: &owners };
    let with_dname = owners.iter().any(|owner| owner.has(Rtype::DNAME));
    for owner in &owners {
        zone.check_targets(owner, &mut faults);
        if with_dname {
            zone.check_above(owner, &mut faults);
        }
    }
    faults
}

/// Checks what lies at one owner name, as far as that can be done without the rest of the zone. A node without RRsets
/// is a removed one and breaks no rule.
pub fn check_node(apex: &Name, node: &NodeData) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut index = 0;
    let mut rrsets = Vec::with_capacity(node.rrsets.len());
    for rrset in node.rrsets.iter().filter(|rrset| !rrset.records.is_empty()) {
        let records = rrset.records.iter().enumerate();
        let items = records.map(|(at, (ttl, rdata))| Item { index: index + at, ttl: *ttl, rdata }).collect();
        index += rrset.records.len();
        rrsets.push((rrset.rtype, items));
    }
    if !rrsets.is_empty() {
        check_owner(apex, &Owner { name: &node.owner, key: name::order_key(&node.owner), rrsets }, &mut faults);
    }
    faults
}

/// Groups records by owner and type: owners in canonical order, types by number, rdata in canonical order, duplicates
/// dropped (the first one stays).
pub fn records_to_nodes(records: Vec<Record>) -> Vec<NodeData> {
    let sorted = Sorted::new(&records);
    sorted
        .owners(&records)
        .map(|owner| NodeData {
            owner: owner.name.clone(),
            rrsets: owner
                .rrsets
                .into_iter()
                .map(|(rtype, items)| {
                    let mut keyed: Vec<_> =
                        items.iter().map(|item| (types::canonical_rdata(rtype, item.rdata), item)).collect();
                    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
                    keyed.dedup_by(|(a, _), (b, _)| a == b);
                    RrsetData { rtype, records: keyed.iter().map(|(_, item)| (item.ttl, item.rdata.clone())).collect() }
                })
                .collect(),
        })
        .collect()
}

/// Records in order of owner, type and appearance, by index.
struct Sorted(Vec<(Vec<u8>, Rtype, usize)>);

impl Sorted {
    /// Sorts the records' indices.
    fn new(records: &[Record]) -> Self {
        let keyed = records.iter().enumerate();
        let mut keys: Vec<_> =
            keyed.map(|(index, record)| (name::order_key(&record.owner), record.rtype, index)).collect();
        keys.sort_unstable();
        Self(keys)
    }

    /// The owners with their RRsets.
    fn owners<'a>(&'a self, records: &'a [Record]) -> impl Iterator<Item = Owner<'a>> {
        self.0.chunk_by(|a, b| a.0 == b.0).map(move |node| {
            let rrsets = node.chunk_by(|a, b| a.1 == b.1).map(|rrset| {
                let items = rrset.iter().map(|&(_, _, index)| {
                    let record = &records[index];
                    Item { index, ttl: Some(record.ttl), rdata: &record.rdata }
                });
                (rrset[0].1, items.collect())
            });
            Owner { name: &records[node[0].2].owner, key: node[0].0.clone(), rrsets: rrsets.collect() }
        })
    }
}

/// One owner name and all records there.
struct Owner<'a> {
    /// The owner's name.
    name: &'a Name,
    /// Its [`name::order_key`].
    key: Vec<u8>,
    /// Its RRsets, none of them empty.
    rrsets: Vec<(Rtype, Vec<Item<'a>>)>,
}

impl Owner<'_> {
    /// The records of one type.
    fn get(&self, rtype: Rtype) -> &[Item<'_>] {
        self.rrsets.iter().find(|(found, _)| *found == rtype).map_or(&[], |(_, items)| items)
    }

    /// Whether there are records of this type.
    fn has(&self, rtype: Rtype) -> bool {
        !self.get(rtype).is_empty()
    }

    /// Whether there is an IPv4 or IPv6 address.
    fn has_address(&self) -> bool {
        self.has(Rtype::A) || self.has(Rtype::AAAA)
    }
}

/// One record of an [`Owner`].
#[derive(Clone, Copy)]
struct Item<'a> {
    /// What [`Fault::record`] shall say.
    index: usize,
    /// Time to live; `None` for the server's default.
    ttl: Option<u32>,
    /// The rdata.
    rdata: &'a Bytes,
}

/// Checks the rules that concern one owner name alone.
fn check_owner(apex: &Name, owner: &Owner<'_>, faults: &mut Vec<Fault>) {
    let shown = name::to_text(owner.name);
    let first = owner.rrsets.first().map(|(_, items)| items[0].index);
    if !owner.name.ends_with(apex) {
        let message = format!("{shown} lies outside the zone {}", name::to_text(apex));
        faults.push(Rule::OutsideZone.broken(first, message));
    }
    if owner.name == apex {
        check_apex(apex, &owner.rrsets, faults);
    } else if let Some(soa) = owner.get(Rtype::SOA).first() {
        let message = format!("{shown} has a SOA record, which belongs to the apex {}", name::to_text(apex));
        faults.push(Rule::SoaBelowApex.broken(Some(soa.index), message));
    }
    for (rtype, items) in &owner.rrsets {
        check_rrset(&shown, *rtype, items, faults);
    }
    if let Some(cname) = owner.get(Rtype::CNAME).first() {
        let beside = owner.rrsets.iter().map(|(rtype, _)| *rtype);
        let beside: Vec<_> =
            beside.filter(|rtype| !MAY_STAND_BESIDE_CNAME.contains(rtype)).map(types::rtype_to_text).collect();
        if !beside.is_empty() {
            let message = format!("{shown} has a CNAME record beside other data ({})", beside.join(", "));
            faults.push(Rule::CnameNotAlone.broken(Some(cname.index), message));
        }
    }
}

/// Checks that the apex has what it needs.
fn check_apex(apex: &Name, rrsets: &[(Rtype, Vec<Item<'_>>)], faults: &mut Vec<Fault>) {
    for (rule, rtype) in [(Rule::NoSoa, Rtype::SOA), (Rule::NoNs, Rtype::NS)] {
        if !rrsets.iter().any(|(found, _)| *found == rtype) {
            let message = format!("{} has no {rtype} record at its apex", name::to_text(apex));
            faults.push(rule.broken(None, message));
        }
    }
}

/// Checks the rules that concern one RRset.
fn check_rrset(owner: &str, rtype: Rtype, items: &[Item<'_>], faults: &mut Vec<Fault>) {
    let mnemonic = || types::rtype_to_text(rtype);
    let mut seen = HashSet::with_capacity(items.len());
    let mut others = Vec::new();
    let mut octets = 0;
    for (at, item) in items.iter().enumerate() {
        // A lone record is the usual case and cannot be a duplicate.
        if items.len() > 1 && !seen.insert(types::canonical_rdata(rtype, item.rdata)) {
            let message = format!("{owner} has the same {} record twice; the second is dropped", mnemonic());
            faults.push(Rule::Duplicate.broken(Some(item.index), message));
            continue;
        }
        octets += RECORD_OCTETS + item.rdata.len();
        if at > 0 {
            others.push(item);
        }
    }
    let single = match rtype {
        Rtype::SOA => Some(Rule::SecondSoa),
        Rtype::CNAME => Some(Rule::SecondCname),
        Rtype::DNAME => Some(Rule::SecondDname),
        _ => None,
    };
    if let (Some(rule), Some(second)) = (single, others.first()) {
        faults.push(rule.broken(Some(second.index), format!("{owner} has more than one {} record", mnemonic())));
    }
    // RRSIG records carry the TTL of what they cover (RFC 4034 §3), so that several TTLs are right there.
    if rtype != Rtype::RRSIG
        && let Some(differing) = others.iter().find(|other| other.ttl != items[0].ttl)
    {
        let message = format!("the {} records of {owner} differ in TTL; the smallest is served for all", mnemonic());
        faults.push(Rule::TtlDiffers.broken(Some(differing.index), message));
    }
    if octets > RRSET_OCTETS_MAX {
        let message = format!(
            "the {} records of {owner} take {octets} octets, more than the {RRSET_OCTETS_MAX} that fit into a message",
            mnemonic()
        );
        faults.push(Rule::RrsetTooBig.broken(Some(items[0].index), message));
    }
}

/// A zone for the rules that look from one owner to another.
struct Zone<'a> {
    /// The zone's apex.
    apex: &'a Name,
    /// All owners in canonical order.
    owners: &'a [Owner<'a>],
}

impl<'a> Zone<'a> {
    /// Checks what the names in NS, MX and SRV records lead to.
    fn check_targets(&self, owner: &Owner<'_>, faults: &mut Vec<Fault>) {
        for rtype in [Rtype::NS, Rtype::MX, Rtype::SRV] {
            for item in owner.get(rtype) {
                let Some(target) = target(rtype, item.rdata).filter(|target| target.ends_with(self.apex)) else {
                    continue;
                };
                let (from, to) = (name::to_text(owner.name), name::to_text(&target));
                let found = self.find(&target);
                if found.is_some_and(|found| found.has(Rtype::CNAME)) {
                    let message = format!("the {rtype} record of {from} names {to}, which is an alias (CNAME)");
                    faults.push(Rule::TargetIsAlias.broken(Some(item.index), message));
                } else if rtype == Rtype::NS && !self.is_reachable(owner, &target, found) {
                    let message = format!("the name server {to} of {from} has no address in the zone");
                    faults.push(Rule::NsWithoutAddress.broken(Some(item.index), message));
                }
            }
        }
    }

    /// Checks that there is no DNAME above `owner`.
    fn check_above(&self, owner: &Owner<'_>, faults: &mut Vec<Fault>) {
        let dname = self.above(owner.name).filter_map(|above| self.find(&above)).find(|above| above.has(Rtype::DNAME));
        if let Some(dname) = dname {
            let (below, above) = (name::to_text(owner.name), name::to_text(dname.name));
            let message = format!("{below} is hidden by the DNAME record of {above}");
            faults.push(Rule::BelowDname.broken(owner.rrsets.first().map(|(_, items)| items[0].index), message));
        }
    }

    /// Whether the address of name server `target` of `owner` is in the zone, or need not be.
    fn is_reachable(&self, owner: &Owner<'_>, target: &Name, found: Option<&Owner<'_>>) -> bool {
        if found.is_some_and(Owner::has_address) {
            return true;
        }
        // Below another zone cut the address belongs to that zone, and glue for a sibling is optional (RFC 9471 §3).
        let names = std::iter::once(target.clone()).chain(self.above(target)).filter(|name| name != self.apex);
        let cut = names.filter_map(|name| self.find(&name)).filter(|node| node.has(Rtype::NS)).last();
        if let Some(cut) = cut {
            return cut.name != owner.name;
        }
        // A wildcard gives an address to names that do not exist (RFC 4592).
        found.is_none() && self.wildcard(target).is_some_and(|wildcard| wildcard.has_address())
    }

    /// The wildcard that covers a name which has no data of its own.
    fn wildcard(&self, target: &Name) -> Option<&'a Owner<'a>> {
        for above in self.above(target) {
            let wildcard = name::parse("*", Some(&above)).ok()?;
            let found = self.find(&wildcard);
            if found.is_some() || self.find(&above).is_some() {
                return found;
            }
        }
        None
    }

    /// The names above `name` up to the apex.
    fn above(&self, name: &Name) -> impl Iterator<Item = Name> {
        let inside = name.ends_with(self.apex);
        let mut next = name.parent().filter(|_| inside && name != self.apex);
        let apex = self.apex;
        std::iter::from_fn(move || {
            let this = next.take()?;
            next = this.parent().filter(|_| this != *apex);
            Some(this)
        })
    }

    /// The owner of that name.
    fn find(&self, name: &Name) -> Option<&'a Owner<'a>> {
        let key = name::order_key(name);
        self.owners.binary_search_by(|owner| owner.key.cmp(&key)).ok().map(|at| &self.owners[at])
    }
}

/// The first name in rdata.
fn target(rtype: Rtype, rdata: &Bytes) -> Option<Name> {
    let at = *types::names_in_rdata(rtype, rdata).first()?;
    Name::from_octets(rdata.slice(at.start..at.start + at.octets)).ok()
}

/// Types that may stand beside a CNAME, the CNAME itself included (RFC 4034 §2.5, §4.1).
const MAY_STAND_BESIDE_CNAME: [Rtype; 3] = [Rtype::CNAME, Rtype::RRSIG, Rtype::NSEC];

/// Octets of a record in a message besides its rdata, the owner being a compression pointer.
const RECORD_OCTETS: usize = 12;

/// Octets of the largest RRset: what 65,535 leave after header, question, OPT and TSIG record.
const RRSET_OCTETS_MAX: usize = 65_000;

#[cfg(test)]
mod tests;
