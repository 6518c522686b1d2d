//! Rules that concern one owner name alone.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;
use domain::base::name::ToLabelIter;

use super::owners::{Item, Owner, target};
use super::{Faults, Rule, listed};
use crate::{Name, name, types};

/// Checks one owner.
pub(super) fn check(apex: &Name, owner: &Owner<'_>, faults: &mut Faults) {
    let shown = name::to_text(owner.name);
    if !owner.name.ends_with(apex) {
        faults
            .add(Rule::OutsideZone, owner.first(), || format!("{shown} lies outside the zone {}", name::to_text(apex)));
    }
    if owner.name.as_slice().iter().any(|octet| !octet.is_ascii()) {
        let message =
            || format!("{shown} has letters beyond ASCII, and clients ask for the form of such names with xn--");
        faults.add(Rule::BeyondAscii, owner.first(), message);
    }
    if owner.name == apex {
        check_apex(apex, Some(owner), faults);
    } else {
        check_below_apex(apex, owner, &shown, faults);
    }
    for (rtype, items) in &owner.rrsets {
        check_rrset(&shown, *rtype, items, faults);
    }
    if let Some(cname) = owner.get(Rtype::CNAME).first() {
        let beside: Vec<_> = owner.types().filter(|rtype| !MAY_STAND_BESIDE_CNAME.contains(rtype)).collect();
        if !beside.is_empty() {
            let message = || format!("{shown} has a CNAME record beside other data ({})", listed(beside.into_iter()));
            faults.add(Rule::CnameNotAlone, Some(cname.index), message);
        }
    }
    for rtype in [Rtype::NS, Rtype::CNAME, Rtype::MX, Rtype::SRV] {
        for item in owner.get(rtype) {
            if let Some(target) = target(rtype, item.rdata).filter(|target| is_address(target, apex)) {
                let message =
                    || format!("the {rtype} record of {shown} has an address for a name: {}", name::to_text(&target));
                faults.add(Rule::TargetIsAddress, Some(item.index), message);
            }
        }
    }
}

/// Checks that the apex, if there is anything at it, has what it needs.
pub(super) fn check_apex(apex: &Name, owner: Option<&Owner<'_>>, faults: &mut Faults) {
    let shown = name::to_text(apex);
    for (rule, rtype) in [(Rule::NoSoa, Rtype::SOA), (Rule::NoNs, Rtype::NS)] {
        if !owner.is_some_and(|owner| owner.has(rtype)) {
            faults.add(rule, None, || format!("{shown} has no {rtype} record at its apex"));
        }
    }
    let Some(owner) = owner else { return };
    if let Some(ds) = owner.get(Rtype::DS).first() {
        let message = || format!("{shown} has a DS record at its apex; it belongs to the zone above");
        faults.add(Rule::DsWithoutCut, Some(ds.index), message);
    }
    if let Some(soa) = owner.get(Rtype::SOA).first() {
        check_soa(&shown, soa, faults);
    }
}

/// Checks what is in a SOA record.
fn check_soa(shown: &str, soa: &Item<'_>, faults: &mut Faults) {
    let names = types::names_in_rdata(Rtype::SOA, soa.rdata);
    let mailbox = names.get(1).and_then(|at| soa.rdata.get(at.start..at.start + at.octets));
    let first_label = mailbox.and_then(|name| name.get(1..1 + usize::from(*name.first()?)));
    if first_label.is_some_and(|label| label.contains(&b'@')) {
        let message = || format!("the mailbox in the SOA record of {shown} has an @; it is written as a dot");
        faults.add(Rule::SoaMailbox, Some(soa.index), message);
    }
    let number = |back: usize| {
        let octets = soa.rdata.len().checked_sub(back).and_then(|at| soa.rdata.get(at..)?.first_chunk());
        octets.map_or(0, |octets| u32::from_be_bytes(*octets))
    };
    // From the end: refresh, retry, expire and minimum.
    let (refresh, expire) = (number(16), number(8));
    if expire < refresh {
        let message = || {
            format!(
                "by the SOA record of {shown} secondaries give the zone up after {expire} seconds, but ask for it every \
                 {refresh}"
            )
        };
        faults.add(Rule::SoaTimers, Some(soa.index), message);
    }
}

/// Checks that nothing stands below the apex that belongs to it.
fn check_below_apex(apex: &Name, owner: &Owner<'_>, shown: &str, faults: &mut Faults) {
    if let Some(soa) = owner.get(Rtype::SOA).first() {
        let message = || format!("{shown} has a SOA record, which belongs to the apex {}", name::to_text(apex));
        faults.add(Rule::SoaBelowApex, Some(soa.index), message);
    }
    for rtype in APEX_ONLY {
        if let Some(item) = owner.get(rtype).first() {
            let message = || format!("the {rtype} record of {shown} belongs to the apex {}", name::to_text(apex));
            faults.add(Rule::ApexOnly, Some(item.index), message);
        }
    }
    if let Some(ds) = owner.get(Rtype::DS).first()
        && !owner.has(Rtype::NS)
    {
        faults.add(Rule::DsWithoutCut, Some(ds.index), || format!("{shown} has a DS record, but no NS records"));
    }
    if owner.name.as_slice().starts_with(b"\x01*") {
        for rtype in [Rtype::NS, Rtype::DNAME] {
            if let Some(item) = owner.get(rtype).first() {
                let message = || format!("the {rtype} record of {shown} has no meaning at a wildcard");
                faults.add(Rule::WildcardTurn, Some(item.index), message);
            }
        }
    }
}

/// Checks the rules that concern one RRset.
fn check_rrset(owner: &str, rtype: Rtype, items: &[Item<'_>], faults: &mut Faults) {
    let mnemonic = || types::rtype_to_text(rtype);
    let mut seen = HashSet::with_capacity(items.len());
    let mut others = Vec::new();
    let mut octets = 0;
    for (at, item) in items.iter().enumerate() {
        // A lone record is the usual case and cannot be a duplicate.
        if items.len() > 1 && !seen.insert(types::canonical_rdata(rtype, item.rdata)) {
            let message = || format!("{owner} has the same {} record twice; the second is dropped", mnemonic());
            faults.add(Rule::Duplicate, Some(item.index), message);
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
        faults.add(rule, Some(second.index), || format!("{owner} has more than one {} record", mnemonic()));
    }
    // RRSIG records carry the TTL of what they cover (RFC 4034 §3), so that several TTLs are right there.
    if rtype != Rtype::RRSIG
        && let Some(differing) = others.iter().find(|other| other.ttl != items[0].ttl)
    {
        let message = || format!("the {} records of {owner} differ in TTL; the smallest is served for all", mnemonic());
        faults.add(Rule::TtlDiffers, Some(differing.index), message);
    }
    if octets > RRSET_OCTETS_MAX {
        let message = || {
            format!(
                "the {} records of {owner} take {octets} octets, more than the {RRSET_OCTETS_MAX} that fit into a message",
                mnemonic()
            )
        };
        faults.add(Rule::RrsetTooBig, Some(items[0].index), message);
    }
}

/// Whether a name is an address that was written where a name has to stand, with its final dot or without.
fn is_address(name: &Name, apex: &Name) -> bool {
    // Most names are none at first sight.
    let is_number = |octet: &u8| octet.is_ascii_hexdigit() || *octet == b':';
    if !name.iter_labels().next().is_some_and(|label| label.as_slice().iter().all(is_number)) {
        return false;
    }
    let labels: Vec<&[u8]> =
        name.iter_labels().filter(|label| !label.is_root()).map(|label| label.as_slice()).collect();
    let above = if name.ends_with(apex) { apex.iter_labels().count() - 1 } else { 0 };
    let is_text_of = |given: &[&[u8]]| {
        let text = given.join(&b'.');
        let text = std::str::from_utf8(&text).unwrap_or_default();
        text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
    };
    // A reverse zone has numbers for labels, so that a name in full is looked at as well as one in the zone.
    is_text_of(&labels) || !is_reverse(apex) && is_text_of(&labels[..labels.len().saturating_sub(above)])
}

/// Whether the zone is one of addresses, where numbers are names.
fn is_reverse(apex: &Name) -> bool {
    apex.iter_labels().rev().nth(1).is_some_and(|label| label.as_slice().eq_ignore_ascii_case(b"arpa"))
}

/// Types that may stand beside a CNAME, the CNAME itself included (RFC 4034 §2.5, §4.1).
const MAY_STAND_BESIDE_CNAME: [Rtype; 3] = [Rtype::CNAME, Rtype::RRSIG, Rtype::NSEC];

/// Types that say something of the zone as a whole. ZONEMD is none of them: RFC 8976 §2.1 gives it no meaning elsewhere,
/// but does not forbid it.
const APEX_ONLY: [Rtype; 5] = [Rtype::DNSKEY, Rtype::NSEC3PARAM, Rtype::CDS, Rtype::CDNSKEY, Rtype::CSYNC];

/// Octets of a record in a message besides its rdata, the owner being a compression pointer.
const RECORD_OCTETS: usize = 12;

/// Octets of the largest RRset: what 65,535 leave after header, question, OPT and TSIG record.
const RRSET_OCTETS_MAX: usize = 65_000;
