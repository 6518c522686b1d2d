//! The answer to a question from a set of zones: RFC 1034 §4.3.2 with what has come since.

use domain::base::iana::OptRcode;
use store::Rtype;

use super::compiled::{Match, Zone};
use super::denial::Proofs;
use super::node::Node;
use super::rrset::{Rrset, Target, is_below};
use super::set::{Ahead, ZoneSet};
use super::watch::{Step, Watch};
use crate::wire::{Full, HEADER_OCTETS, QName, Response, Section, Template};

/// What a set of zones had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No zone of the set holds the name; nothing was written.
    NoZone,
    /// The zone of the name is withheld; nothing was written.
    Withheld,
    /// The name has data of the asked type, is an alias, or is delegated.
    Data,
    /// The name exists without data of the asked type.
    NoData,
    /// The name does not exist.
    NameError,
}

/// A question of class IN.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The name that is asked for.
    pub name: &'q QName,
    /// The type that is asked for.
    pub qtype: Rtype,
    /// Whether signatures and proofs of signed zones are to go along (RFC 4035 §3.1).
    pub dnssec_ok: bool,
}

/// Writes the answer to a question into `response`, whose message asks it.
///
/// `ahead` is what [`ZoneSet::ask`] gave for the name, if it was asked.
///
/// Aliases are followed through all zones of the set within one answer, at most [`ALIASES_MAX`] of them and none twice.
#[inline]
pub fn answer<'z>(
    zones: &'z ZoneSet,
    ahead: Option<&Ahead<'z>>,
    question: Question<'_>,
    response: &mut Response<'_>,
) -> Found {
    answer_watched(zones, ahead, question, response, &mut ())
}

/// The same, with somebody who sees each step to the answer.
#[inline]
pub fn answer_watched<'z, W: Watch>(
    zones: &'z ZoneSet,
    ahead: Option<&Ahead<'z>>,
    question: Question<'_>,
    response: &mut Response<'_>,
    watch: &mut W,
) -> Found {
    let Question { name, qtype, .. } = question;
    let found = ahead.map(|ahead| ahead.zone).or_else(|| zones.find(name));
    let Some(zone) = found.map(|zone| zone_for(zones, zone, name, qtype)) else {
        return Found::NoZone;
    };
    if zone.is_withheld() {
        watch.see(|| Step::withheld(zone, name));
        return Found::Withheld;
    }
    let matched = match ahead.filter(|ahead| std::ptr::eq(ahead.zone, zone)) {
        Some(ahead) => zone.find_ahead(name, ahead.hint, qtype),
        None => zone.find(name, qtype),
    };
    watch.see(|| Step::new(zone, name, qtype, &matched));
    response.authoritative = true;
    // Most questions end here: with data that has neither names to go on from nor signatures.
    if let Match::Exact(node) = matched
        && let Some(rrset) = select(node, qtype).filter(|rrset| !rrset.has_links() && rrset.rtype != Rtype::SOA)
    {
        put(Section::Answer, rrset, HEADER_OCTETS, HEADER_OCTETS, false, response);
        return Found::Data;
    }
    go_on(zones, zone, matched, question, response, watch)
}

/// Goes on from where the search for the name of a question in its zone ended.
#[inline(never)]
fn go_on<'z, W: Watch>(
    zones: &'z ZoneSet,
    mut zone: &'z Zone,
    mut matched: Match<'z>,
    question: Question<'_>,
    response: &mut Response<'_>,
    watch: &mut W,
) -> Found {
    let Question { mut name, qtype, dnssec_ok } = question;
    let mut target;
    let mut place = Place { name_at: HEADER_OCTETS, apex_at: HEADER_OCTETS + name.skip(zone.labels()) };
    let mut chain = Chain::default();
    let mut proofs = dnssec_ok.then(Proofs::new);
    loop {
        let alias = match matched {
            Match::Exact(node) | Match::Wildcard(node, _) => {
                let rrset = select(node, qtype);
                // These two have data at an alias itself (RFC 4035 §2.5).
                let follows = !matches!(qtype, Rtype::NSEC | Rtype::RRSIG);
                let cname = if rrset.is_none() && follows { node.rrset(Rtype::CNAME) } else { None };
                if let Some(proofs) = &mut proofs {
                    prove(zone, &matched, rrset.or(cname).is_some(), name, place, proofs);
                }
                match (rrset, cname) {
                    (Some(rrset), _) => {
                        if rrset.rtype == Rtype::DNAME && chain.dname_of(name.as_slice(), response).is_some() {
                            return Found::Data;
                        }
                        let rrset_at = response.len();
                        if put(Section::Answer, rrset, place.name_at, place.apex_at, dnssec_ok, response) {
                            put_proofs(proofs.as_ref(), response);
                            if rrset.rtype == Rtype::SOA && qtype == Rtype::SOA {
                                put_expire(rrset, response);
                            }
                            // Addresses are asked for most, and name nobody.
                            if rrset.has_links() {
                                let hosts = Hosts { zones, node, rrset, rrset_at };
                                hosts.put(name, place, dnssec_ok, response);
                            }
                        }
                        return Found::Data;
                    }
                    (None, Some(cname)) => put_cname(cname, place, dnssec_ok, response),
                    (None, None) => {
                        deny(zone, place, proofs.as_ref(), response);
                        return if chain.aliases == 0 { Found::NoData } else { Found::Data };
                    }
                }
            }
            Match::Cut(node, ns, labels) => {
                response.authoritative = chain.aliases > 0;
                refer(zone, node, ns, name, labels, place, proofs, response);
                return Found::Data;
            }
            Match::Dname(dname, labels) => {
                let alias = put_dname(dname, name, labels, place, dnssec_ok, &mut chain, response);
                if matches!(qtype, Rtype::CNAME | Rtype::ANY) {
                    put_proofs(proofs.as_ref(), response);
                    return Found::Data;
                }
                alias
            }
            Match::NameError(_) => {
                response.rcode = OptRcode::NXDOMAIN;
                if let Some(proofs) = &mut proofs {
                    prove(zone, &matched, false, name, place, proofs);
                }
                deny(zone, place, proofs.as_ref(), response);
                return if chain.aliases == 0 { Found::NameError } else { Found::Data };
            }
        };
        let next = alias
            .filter(|alias| chain.goes_on(place.name_at, alias, response))
            .and_then(|alias| {
                let zone = zone_for(zones, zones.find(&alias.target)?, &alias.target, qtype);
                Some((alias, zone))
            })
            // What was found so far is true without it; a resolver asks for the rest.
            .filter(|(_, zone)| !zone.is_withheld())
            .and_then(|(alias, zone)| {
                let apex_at = response.suffix_at(alias.target_at, alias.target.skip(zone.labels()))?;
                Some((alias.target, zone, Place { name_at: alias.target_at, apex_at }))
            });
        let Some(next) = next else {
            put_proofs(proofs.as_ref(), response);
            return Found::Data;
        };
        (target, zone, place) = next;
        name = &target;
        matched = zone.find(name, qtype);
        watch.see(|| Step::new(zone, name, qtype, &matched));
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

/// The aliases of an answer: where in the message they stand (octets from its start). Each answer makes one, so it is kept
/// small.
#[derive(Default)]
struct Chain {
    owners: [u16; ALIASES_MAX],
    dnames: [u16; ALIASES_MAX],
    aliases: usize,
    redirections: usize,
}

impl Chain {
    /// Takes in an alias with its owner's place, which a message has in 16 bits; whether its target may be looked up: not in a loop, nor beyond
    /// [`ALIASES_MAX`].
    fn goes_on(&mut self, owner_at: usize, alias: &Alias, response: &Response<'_>) -> bool {
        let Some(place) = self.owners.get_mut(self.aliases) else { return false };
        *place = owner_at as u16;
        self.aliases += 1;
        let seen =
            self.owners.iter().take(self.aliases).any(|&at| response.name_is(usize::from(at), alias.target.as_slice()));
        !seen && self.aliases < ALIASES_MAX
    }

    /// Where the DNAME with this owner (lower-case wire form) stands, if the answer has it already.
    fn dname_of(&self, owner: &[u8], response: &Response<'_>) -> Option<usize> {
        // A record begins with its owner's name.
        self.dnames.iter().take(self.redirections).map(|&at| usize::from(at)).find(|&at| response.name_is(at, owner))
    }

    /// Notes where a DNAME was written.
    fn add_dname(&mut self, at: usize) {
        if let Some(place) = self.dnames.get_mut(self.redirections) {
            *place = at as u16;
            self.redirections += 1;
        }
    }
}

/// The zone that answers: the one with the longest apex, `zone`, but for DS at an apex the zone above, if it is served
/// (RFC 4035 §3.1.4.1).
#[inline]
fn zone_for<'z>(zones: &'z ZoneSet, zone: &'z Zone, name: &QName, qtype: Rtype) -> &'z Zone {
    if qtype == Rtype::DS && zone.labels() == name.labels() && zone.labels() > 0 {
        return zones.find_from(name, zone.labels() - 1).unwrap_or(zone);
    }
    zone
}

/// The RRset that answers a type directly. ANY gets one RRset (RFC 8482 §4.1).
#[inline]
fn select(node: Node<'_>, qtype: Rtype) -> Option<Rrset<'_>> {
    if qtype == Rtype::ANY { node.rrsets().next() } else { node.rrset(qtype) }
}

/// Writes an RRset, with its signatures if they are wanted, or marks the answer truncated and gives false.
#[inline]
fn put(
    section: Section,
    rrset: Rrset<'_>,
    owner_at: usize,
    apex_at: usize,
    dnssec_ok: bool,
    response: &mut Response<'_>,
) -> bool {
    // Not `let put = ….is_ok()`: rustc 1.95 can lose a comparison whose result is both kept and branched on, and did so
    // here, in optimized builds alone (rust-lang/rust#158206).
    match try_put(section, rrset, owner_at, apex_at, dnssec_ok, response) {
        Ok(()) => true,
        Err(Full) => {
            response.truncated = true;
            false
        }
    }
}

/// Writes an RRset, with its signatures if they are wanted; all or nothing.
#[inline]
fn try_put(
    section: Section,
    rrset: Rrset<'_>,
    owner_at: usize,
    apex_at: usize,
    dnssec_ok: bool,
    response: &mut Response<'_>,
) -> Result<(), Full> {
    let signatures = if dnssec_ok { rrset.signatures() } else { None };
    match signatures {
        None => response.append(section, rrset.template(), owner_at, apex_at),
        Some(signatures) => put_signed(section, rrset.template(), signatures, owner_at, apex_at, response),
    }
}

/// Writes an RRset with its signatures; all or nothing.
fn put_signed(
    section: Section,
    template: Template<'_>,
    signatures: Template<'_>,
    owner_at: usize,
    apex_at: usize,
    response: &mut Response<'_>,
) -> Result<(), Full> {
    if !response.fits(template.records.len() + signatures.records.len()) {
        return Err(Full);
    }
    response.append(section, template, owner_at, apex_at)?;
    response.append(section, signatures, owner_at, apex_at)
}

/// Finds what a signed zone proves of a match: that the name does not exist, nor a better one, nor the type.
fn prove<'z>(zone: &'z Zone, matched: &Match<'_>, has_data: bool, name: &QName, place: Place, proofs: &mut Proofs<'z>) {
    let Some(denial) = zone.denial() else { return };
    match *matched {
        Match::Exact(_) if has_data => {}
        Match::Exact(_) => denial.no_data(name, place.apex_at, proofs),
        Match::Wildcard(_, encloser) if has_data => denial.wildcard_answer(name, encloser, place.apex_at, proofs),
        Match::Wildcard(_, encloser) => denial.wildcard_no_data(name, encloser, place.apex_at, proofs),
        Match::NameError(encloser) => denial.name_error(name, encloser, place.apex_at, proofs),
        Match::Cut(..) | Match::Dname(..) => {}
    }
}

/// Writes the proofs of a signed zone, if any are wanted.
#[inline]
fn put_proofs(proofs: Option<&Proofs<'_>>, response: &mut Response<'_>) {
    if let Some(proofs) = proofs {
        put_all_proofs(proofs, response);
    }
}

/// Writes proofs into the authority section; the answer is truncated if one does not fit.
fn put_all_proofs(proofs: &Proofs<'_>, response: &mut Response<'_>) {
    for (proof, apex_at) in proofs.iter() {
        let rrsets = [Some(proof.rrset.get().template()), proof.rrset.get().signatures()];
        let put = response.append_named(Section::Authority, rrsets.into_iter().flatten(), &proof.relative, apex_at);
        response.truncated |= put.is_err();
    }
}

/// The hosts that an answer's RRset names, whose addresses go along as far as they are served and there is room.
struct Hosts<'z> {
    zones: &'z ZoneSet,
    /// The node of the RRset.
    node: Node<'z>,
    rrset: Rrset<'z>,
    /// Where the RRset stands in the message.
    rrset_at: usize,
}

impl Hosts<'_> {
    /// Writes the addresses; the RRset is owned by `name`.
    fn put(&self, name: &QName, place: Place, dnssec_ok: bool, response: &mut Response<'_>) {
        if matches!(self.rrset.rtype, Rtype::CNAME | Rtype::DNAME) {
            return;
        }
        let targets = self.rrset.targets();
        // RFC 9460 §4.1: besides addresses, the records of the same type that the target has.
        let service = Some(self.rrset.rtype).filter(|rtype| matches!(*rtype, Rtype::SVCB | Rtype::HTTPS));
        for (index, target) in targets.clone().enumerate().take(HOSTS_MAX) {
            if targets.clone().take(index).any(|earlier| host_of(earlier, name) == host_of(target, name)) {
                continue;
            }
            let put = if target.is_owner() {
                put_addresses(self.node, None, place.name_at, dnssec_ok, response)
            } else {
                let Some(host) = QName::from_wire(target.name) else { continue };
                let Some(zone) = self.zones.find(&host) else { continue };
                let node = match zone.find(&host, Rtype::A) {
                    Match::Exact(node) | Match::Wildcard(node, _) => Some(node),
                    // Glue: the hosts of an apex may stand below a cut (RFC 1034 §4.3.2 step 6, RFC 9609 §4.2).
                    Match::Cut(..) => zone.node(target.name),
                    Match::Dname(..) | Match::NameError(_) => None,
                };
                let target_at = self.rrset_at + usize::from(target.at);
                let service = service.filter(|_| target.name != name.as_slice());
                node.map_or(Ok(()), |node| put_addresses(node, service, target_at, dnssec_ok, response))
            };
            if put.is_err() {
                return;
            }
        }
    }
}

/// The host that an RRset at `name` means by a target, in lower-case wire form.
fn host_of<'t>(target: Target<'t>, name: &'t QName) -> &'t [u8] {
    if target.is_owner() { name.as_slice() } else { target.name }
}

/// Writes a CNAME; None if it does not fit or leads nowhere.
fn put_cname(cname: Rrset<'_>, place: Place, dnssec_ok: bool, response: &mut Response<'_>) -> Option<Alias> {
    let rrset_at = response.len();
    if !put(Section::Answer, cname, place.name_at, place.apex_at, dnssec_ok, response) {
        return None;
    }
    let target = cname.targets().next()?;
    Some(Alias { target: QName::from_wire(target.name)?, target_at: rrset_at + usize::from(target.at) })
}

/// Writes a DNAME and the CNAME that follows from it for `name` (RFC 6672 §3.1); None if the answer ends there.
///
/// A DNAME that redirects two names of a chain is written once.
fn put_dname(
    dname: Rrset<'_>,
    name: &QName,
    labels: usize,
    place: Place,
    dnssec_ok: bool,
    chain: &mut Chain,
    response: &mut Response<'_>,
) -> Option<Alias> {
    let before = chain.dname_of(name.suffix(labels), response);
    let rrset_at = before.unwrap_or(response.len());
    if before.is_none() {
        let owner_at = response.suffix_at(place.name_at, name.skip(labels))?;
        if !put(Section::Answer, dname, owner_at, place.apex_at, dnssec_ok, response) {
            return None;
        }
        chain.add_dname(rrset_at);
    }
    let target = dname.targets().next()?;
    let mut wire = [0; 255];
    // Labels before the DNAME's owner stay (in the case of the question), the rest becomes the target.
    let kept_labels = response.labels(place.name_at).take(name.labels() - labels);
    let suffix = response.labels(rrset_at + usize::from(target.at));
    let labels = kept_labels.chain(suffix).map(|(_, label)| label);
    let Some(length) = join(labels, &mut wire) else {
        response.rcode = OptRcode::YXDOMAIN;
        return None;
    };
    let owner = response.again(place.name_at)?;
    let owner = owner.as_slice();
    let target_at = response.len() + owner.len() + 10;
    let room = &wire[..length];
    if response.append_record(Section::Answer, owner, Rtype::CNAME.to_int(), CLASS_IN, dname.ttl(), &[room]).is_err() {
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

/// Tells the EXPIRE of an SOA RRset to those who ask for it: a primary's zone never expires earlier (RFC 7314 §3.2).
fn put_expire(soa: Rrset<'_>, response: &mut Response<'_>) {
    // The last fields of the rdata are EXPIRE and MINIMUM.
    if let Some(&[a, b, c, d, ..]) = soa.template().records.last_chunk::<8>() {
        response.tell_expire(u32::from_be_bytes([a, b, c, d]));
    }
}

/// Writes a negative answer's authority section (RFC 2308 §2).
#[inline]
fn deny(zone: &Zone, place: Place, proofs: Option<&Proofs<'_>>, response: &mut Response<'_>) {
    if let Some(soa) = zone.negative_soa() {
        put(Section::Authority, soa, place.apex_at, place.apex_at, proofs.is_some(), response);
    }
    put_proofs(proofs, response);
}

/// Writes a referral: the NS RRset of the cut at the last `labels` labels of `name`, with `proofs` its DS RRset or the
/// proof that there is none (RFC 4035 §3.1.4), and the addresses that the zone holds for its hosts (RFC 1034 §4.3.2
/// step 3b).
#[expect(
    clippy::too_many_arguments,
    reason = "one case of one decision; a type for it would be made for this call alone"
)]
fn refer<'z>(
    zone: &'z Zone,
    node: Node<'_>,
    ns: Rrset<'_>,
    name: &QName,
    labels: usize,
    place: Place,
    proofs: Option<Proofs<'z>>,
    response: &mut Response<'_>,
) {
    let rrset_at = response.len();
    let Some(cut_at) = response.suffix_at(place.name_at, name.skip(labels)) else {
        return;
    };
    // The NS RRset of a cut is not signed (RFC 4035 §2.2).
    if !put(Section::Authority, ns, cut_at, place.apex_at, false, response) {
        return;
    }
    let cut = name.suffix(labels);
    let dnssec_ok = proofs.is_some();
    if let Some(mut proofs) = proofs {
        match (node.rrset(Rtype::DS), zone.denial(), QName::from_wire(cut)) {
            // In a zone that is not signed a DS record says nothing.
            (Some(ds), Some(_), _) => {
                put(Section::Authority, ds, cut_at, place.apex_at, true, response);
            }
            (None, Some(denial), Some(cut)) => denial.no_data(&cut, place.apex_at, &mut proofs),
            _ => {}
        }
        put_proofs(Some(&proofs), response);
    }
    // RFC 9471 §3.1: addresses of hosts below the cut are needed to follow the referral and may not be left out
    // silently; those of other hosts come after, while there is room.
    for needed in [true, false] {
        for target in ns.targets().filter(|target| is_below(target.name, cut) == needed) {
            let Some(node) = zone.node(target.name).or_else(|| wildcard_for(zone, target.name)) else { continue };
            if put_addresses(node, None, rrset_at + usize::from(target.at), dnssec_ok, response).is_err() {
                response.truncated |= needed;
                return;
            }
        }
    }
}

/// The wildcard that gives addresses to a host without a node of its own; hosts below a cut have none.
fn wildcard_for<'z>(zone: &'z Zone, host: &[u8]) -> Option<Node<'z>> {
    let host = QName::from_wire(host).filter(|host| host.is_below(zone.apex()))?;
    match zone.find(&host, Rtype::A) {
        Match::Wildcard(node, _) => Some(node),
        _ => None,
    }
}

/// Writes the A and AAAA RRsets of a node, and its `service` RRset (SVCB or HTTPS), into the additional section; their
/// owner's name stands at `owner_at`. Signatures go along where there is room for them (RFC 4035 §3.1.1).
fn put_addresses(
    node: Node<'_>,
    service: Option<Rtype>,
    owner_at: usize,
    dnssec_ok: bool,
    response: &mut Response<'_>,
) -> Result<(), Full> {
    // Names in rdata of these types are never compressed, so that the place of the apex does not matter.
    for rtype in [Rtype::A, Rtype::AAAA].into_iter().chain(service) {
        if let Some(rrset) = node.rrset(rtype) {
            try_put(Section::Additional, rrset, owner_at, HEADER_OCTETS, dnssec_ok, response)
                .or_else(|Full| try_put(Section::Additional, rrset, owner_at, HEADER_OCTETS, false, response))?;
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
