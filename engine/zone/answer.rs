//! The answer to a question from a set of zones: RFC 1034 §4.3.2 with what has come since.

use domain::base::iana::OptRcode;
use store::Rtype;

use super::compiled::{Match, Node, Zone};
use super::rrset::{Rrset, Target, is_below};
use super::set::ZoneSet;
use crate::wire::{Full, HEADER_OCTETS, QName, Response, Section};

/// What a set of zones had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No zone of the set holds the name; nothing was written.
    NoZone,
    /// The name has data of the asked type, is an alias, or is delegated.
    Data,
    /// The name exists without data of the asked type.
    NoData,
    /// The name does not exist.
    NameError,
}

/// Writes the answer to a question of class IN into `response`, whose message asks for `qname`.
///
/// Aliases are followed through all zones of the set within one answer, at most [`ALIASES_MAX`] of them and none twice.
#[inline]
pub fn answer(zones: &ZoneSet, qname: &QName, qtype: Rtype, response: &mut Response<'_>) -> Found {
    let Some(mut zone) = zone_for(zones, qname, qtype) else {
        return Found::NoZone;
    };
    let mut target;
    let mut name = qname;
    let mut place = Place { name_at: HEADER_OCTETS, apex_at: HEADER_OCTETS + name.skip(zone.labels()) };
    let mut chain = Chain::default();
    response.authoritative = true;
    loop {
        let alias = match zone.find(name, qtype) {
            Match::Exact(node) | Match::Wildcard(node) => match (select(node, qtype), node.rrset(Rtype::CNAME)) {
                (Some(rrset), _) => {
                    if rrset.rtype != Rtype::DNAME || chain.dname_of(name.as_slice(), response).is_none() {
                        put_answer(zones, node, rrset, name, place, response);
                    }
                    return Found::Data;
                }
                (None, Some(cname)) => put_cname(cname, place, response),
                (None, None) => {
                    deny(zone, place, response);
                    return if chain.aliases == 0 { Found::NoData } else { Found::Data };
                }
            },
            Match::Cut(ns, labels) => {
                response.authoritative = chain.aliases > 0;
                refer(zone, ns, name, labels, place, response);
                return Found::Data;
            }
            Match::Dname(dname, labels) => {
                let alias = put_dname(dname, name, labels, place, &mut chain, response);
                if matches!(qtype, Rtype::CNAME | Rtype::ANY) {
                    return Found::Data;
                }
                alias
            }
            Match::NameError => {
                response.rcode = OptRcode::NXDOMAIN;
                deny(zone, place, response);
                return if chain.aliases == 0 { Found::NameError } else { Found::Data };
            }
        };
        let Some(alias) = alias else { return Found::Data };
        if !chain.goes_on(place.name_at, &alias, response) {
            return Found::Data;
        }
        let Some(next) = zone_for(zones, &alias.target, qtype) else {
            return Found::Data;
        };
        zone = next;
        target = alias.target;
        name = &target;
        let Some(apex_at) = response.suffix_at(alias.target_at, name.skip(zone.labels())) else {
            return Found::Data;
        };
        place = Place { name_at: alias.target_at, apex_at };
    }
}

/// Where a name and the apex of its zone stand in the message, in octets from its start.
#[derive(Clone, Copy)]
struct Place {
    name_at: usize,
    apex_at: usize,
}

/// An alias that was written, and where its target stands in the message.
struct Alias {
    target: QName,
    target_at: usize,
}

/// The aliases of an answer: where in the message they stand (octets from its start).
#[derive(Default)]
struct Chain {
    owners: [usize; ALIASES_MAX],
    aliases: usize,
    dnames: [usize; ALIASES_MAX],
    redirections: usize,
}

impl Chain {
    /// Takes in an alias with its owner's place; whether its target may be looked up: not in a loop, nor beyond
    /// [`ALIASES_MAX`].
    fn goes_on(&mut self, owner_at: usize, alias: &Alias, response: &Response<'_>) -> bool {
        let Some(place) = self.owners.get_mut(self.aliases) else { return false };
        *place = owner_at;
        self.aliases += 1;
        let seen = self.owners.iter().take(self.aliases).any(|&at| response.name_is(at, alias.target.as_slice()));
        !seen && self.aliases < ALIASES_MAX
    }

    /// Where the DNAME with this owner (lower-case wire form) stands, if the answer has it already.
    fn dname_of(&self, owner: &[u8], response: &Response<'_>) -> Option<usize> {
        // A record begins with its owner's name.
        self.dnames.iter().take(self.redirections).copied().find(|&at| response.name_is(at, owner))
    }

    /// Notes where a DNAME was written.
    fn add_dname(&mut self, at: usize) {
        if let Some(place) = self.dnames.get_mut(self.redirections) {
            *place = at;
            self.redirections += 1;
        }
    }
}

/// The zone that answers: the one with the longest apex, but for DS at an apex the zone above, if it is served
/// (RFC 4035 §3.1.4.1).
#[inline]
fn zone_for<'z>(zones: &'z ZoneSet, name: &QName, qtype: Rtype) -> Option<&'z Zone> {
    let zone = zones.find(name)?;
    if qtype == Rtype::DS && zone.labels() == name.labels() && zone.labels() > 0 {
        return zones.find_from(name, zone.labels() - 1).or(Some(zone));
    }
    Some(zone)
}

/// The RRset that answers a type directly. ANY gets one RRset (RFC 8482 §4.1).
#[inline]
fn select(node: &Node, qtype: Rtype) -> Option<&Rrset> {
    if qtype == Rtype::ANY { node.rrsets().first() } else { node.rrset(qtype) }
}

/// Writes the answer section's RRset and the addresses of the hosts it names, as far as they are served and there is
/// room for them.
#[inline]
fn put_answer(zones: &ZoneSet, node: &Node, rrset: &Rrset, name: &QName, place: Place, response: &mut Response<'_>) {
    let rrset_at = response.len();
    if response.append(Section::Answer, rrset.template(), place.name_at, place.apex_at).is_err() {
        response.truncated = true;
        return;
    }
    if matches!(rrset.rtype, Rtype::CNAME | Rtype::DNAME) {
        return;
    }
    let targets = rrset.targets();
    for (index, target) in targets.iter().enumerate().take(HOSTS_MAX) {
        if targets[..index].iter().any(|earlier| host_of(earlier, name) == host_of(target, name)) {
            continue;
        }
        if target.is_owner() {
            if put_addresses(node, place.name_at, response).is_err() {
                return;
            }
            continue;
        }
        let Some(host) = QName::from_wire(&target.name) else {
            continue;
        };
        let Some(zone) = zones.find(&host) else { continue };
        if let Match::Exact(node) | Match::Wildcard(node) = zone.find(&host, Rtype::A)
            && put_addresses(node, rrset_at + usize::from(target.at), response).is_err()
        {
            return;
        }
    }
}

/// The host that an RRset at `name` means by a target, in lower-case wire form.
fn host_of<'t>(target: &'t Target, name: &'t QName) -> &'t [u8] {
    if target.is_owner() { name.as_slice() } else { &target.name }
}

/// Writes a CNAME; None if it does not fit or leads nowhere.
fn put_cname(cname: &Rrset, place: Place, response: &mut Response<'_>) -> Option<Alias> {
    let rrset_at = response.len();
    if response.append(Section::Answer, cname.template(), place.name_at, place.apex_at).is_err() {
        response.truncated = true;
        return None;
    }
    let target = cname.targets().first()?;
    Some(Alias { target: QName::from_wire(&target.name)?, target_at: rrset_at + usize::from(target.at) })
}

/// Writes a DNAME and the CNAME that follows from it for `name` (RFC 6672 §3.1); None if the answer ends there.
///
/// A DNAME that redirects two names of a chain is written once.
fn put_dname(
    dname: &Rrset,
    name: &QName,
    labels: usize,
    place: Place,
    chain: &mut Chain,
    response: &mut Response<'_>,
) -> Option<Alias> {
    let before = chain.dname_of(name.suffix(labels), response);
    let rrset_at = before.unwrap_or(response.len());
    if before.is_none() {
        let owner_at = response.suffix_at(place.name_at, name.skip(labels))?;
        if response.append(Section::Answer, dname.template(), owner_at, place.apex_at).is_err() {
            response.truncated = true;
            return None;
        }
        chain.add_dname(rrset_at);
    }
    let target = dname.targets().first()?;
    let mut wire = [0; 255];
    // Labels before the DNAME's owner stay (in the case of the question), the rest becomes the target.
    let kept_labels = response.labels(place.name_at).take(name.labels() - labels);
    let suffix = response.labels(rrset_at + usize::from(target.at));
    let labels = kept_labels.chain(suffix).map(|(_, label)| label);
    let Some(length) = join(labels, &mut wire) else {
        response.rcode = OptRcode::YXDOMAIN;
        return None;
    };
    let owner = (0xc000 | u16::try_from(place.name_at).ok().filter(|&at| at < 0x4000)?).to_be_bytes();
    let target_at = response.len() + owner.len() + 10;
    let room = &wire[..length];
    if response.append_record(Section::Answer, &owner, Rtype::CNAME.to_int(), CLASS_IN, dname.ttl(), &[room]).is_err() {
        response.truncated = true;
        return None;
    }
    Some(Alias { target: QName::from_wire(room)?, target_at })
}

/// Writes labels and the root behind each other; the octets they take, None if a name may not be that long.
fn join<'l>(labels: impl Iterator<Item = &'l [u8]>, wire: &mut [u8; 255]) -> Option<usize> {
    let mut length = 0;
    for label in labels.chain([&b"\0"[..]]) {
        wire.get_mut(length..length + label.len())?.copy_from_slice(label);
        length += label.len();
    }
    Some(length)
}

/// Writes a negative answer's authority section (RFC 2308 §2).
#[inline]
fn deny(zone: &Zone, place: Place, response: &mut Response<'_>) {
    if let Some(soa) = zone.denial() {
        let put = response.append(Section::Authority, soa.template(), place.apex_at, place.apex_at);
        response.truncated |= put.is_err();
    }
}

/// Writes a referral: the NS RRset of the cut at the last `labels` labels of `name`, and the addresses that the zone
/// holds for its hosts (RFC 1034 §4.3.2 step 3b).
fn refer(zone: &Zone, ns: &Rrset, name: &QName, labels: usize, place: Place, response: &mut Response<'_>) {
    let rrset_at = response.len();
    let Some(cut_at) = response.suffix_at(place.name_at, name.skip(labels)) else {
        return;
    };
    if response.append(Section::Authority, ns.template(), cut_at, place.apex_at).is_err() {
        response.truncated = true;
        return;
    }
    // RFC 9471 §3.1: addresses of hosts below the cut are needed to follow the referral and may not be left out
    // silently; those of other hosts come after, while there is room.
    let cut = name.suffix(labels);
    for needed in [true, false] {
        for target in ns.targets().iter().filter(|target| is_below(&target.name, cut) == needed) {
            let Some(node) = zone.node(&target.name) else { continue };
            if put_addresses(node, rrset_at + usize::from(target.at), response).is_err() {
                response.truncated |= needed;
                return;
            }
        }
    }
}

/// Writes the A and AAAA RRsets of a node into the additional section; their owner's name stands at `owner_at`.
fn put_addresses(node: &Node, owner_at: usize, response: &mut Response<'_>) -> Result<(), Full> {
    for rtype in [Rtype::A, Rtype::AAAA] {
        if let Some(rrset) = node.rrset(rtype) {
            response.append(Section::Additional, rrset.template(), owner_at, HEADER_OCTETS)?;
        }
    }
    Ok(())
}

/// Aliases in one answer; a longer chain ends there (design: limits).
const ALIASES_MAX: usize = 16;

/// Hosts in one answer whose addresses are looked up: enough for every sane RRset, and a bound on the work.
const HOSTS_MAX: usize = 16;

/// Class IN.
const CLASS_IN: u16 = 1;
