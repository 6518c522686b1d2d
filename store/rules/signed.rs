//! Rules of zones that were signed elsewhere: each RRset of the zone's own has signatures that fit it.
//!
//! No signature is verified here, which would take longer than all other checks together; a tag, an algorithm, a period
//! or a number of labels that is wrong is what goes wrong in practice.

use std::time::SystemTime;

use domain::base::Serial;
use domain::base::iana::Rtype;
use domain::base::name::ToLabelIter;

use super::across::Zone;
use super::owners::{Item, Owner, Standing};
use super::{Faults, Rule, chain};
use crate::{Name, name, types};

/// Checks signatures and chain of a zone, if it is a signed one.
pub(super) fn check(zone: &Zone<'_>, standings: &[Standing], now: SystemTime, faults: &mut Faults) {
    let apex = zone.find(zone.apex);
    let keys: Vec<Key> =
        apex.iter().flat_map(|apex| apex.get(Rtype::DNSKEY)).filter_map(|item| Key::read(item.rdata)).collect();
    let signature = zone.owners.iter().find_map(|owner| owner.get(Rtype::RRSIG).first());
    if keys.is_empty() {
        if let Some(signature) = signature {
            let message = || format!("{} has signatures, but no DNSKEY record", name::to_text(zone.apex));
            faults.add(Rule::NoKey, Some(signature.index), message);
        }
        return;
    }
    // The clock of signatures goes round every 136 years (RFC 4034 §3.1.5).
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32);
    let signer = Signer { apex: zone.apex, keys: &keys, now: Serial(now) };
    for (owner, standing) in zone.owners.iter().zip(standings).filter(|(_, standing)| **standing != Standing::Outside) {
        signer.check(owner, *standing, faults);
    }
    chain::check(zone, standings, faults);
}

/// Whether RRsets of this type at an owner of this standing are the zone's own (RFC 4035 §2.2).
pub(super) fn is_own(rtype: Rtype, standing: Standing) -> bool {
    match standing {
        Standing::Authoritative => true,
        Standing::Cut => matches!(rtype, Rtype::DS | Rtype::NSEC),
        _ => false,
    }
}

/// What tells one key of a zone from another in signatures.
struct Key {
    tag: u16,
    algorithm: u8,
}

impl Key {
    /// Reads DNSKEY rdata; `None` if the key is none for zones (RFC 4034 §2.1).
    fn read(rdata: &[u8]) -> Option<Self> {
        let [high, _, protocol, algorithm, ..] = rdata else { return None };
        let is_zone_key = high & 1 == 1 && *protocol == 3;
        // RFC 4034 appendix B: octets are added up as numbers of 16 bits.
        let sum = rdata
            .chunks(2)
            .fold(0u32, |sum, pair| sum + (u32::from(pair[0]) << 8) + pair.get(1).map_or(0, |&low| u32::from(low)));
        is_zone_key.then_some(Self { tag: (sum + (sum >> 16)) as u16, algorithm: *algorithm })
    }
}

/// What is needed to judge signatures.
struct Signer<'a> {
    apex: &'a Name,
    keys: &'a [Key],
    now: Serial,
}

impl Signer<'_> {
    /// Checks the signatures at one owner.
    fn check(&self, owner: &Owner<'_>, standing: Standing, faults: &mut Faults) {
        let signatures: Vec<(&Item<'_>, Signature<'_>)> = owner
            .get(Rtype::RRSIG)
            .iter()
            .filter_map(|item| Signature::read(item.rdata).map(|signature| (item, signature)))
            .collect();
        for (rtype, items) in owner.rrsets.iter().filter(|(rtype, _)| *rtype != Rtype::RRSIG) {
            if is_own(*rtype, standing) && !signatures.iter().any(|(_, signature)| signature.covered == *rtype) {
                let message = || format!("the {rtype} records of {} have no signature", name::to_text(owner.name));
                faults.add(Rule::NoSignature, Some(items[0].index), message);
            }
        }
        for (item, signature) in &signatures {
            let rtype = signature.covered;
            let shown = || format!("the signature of the {rtype} records of {}", name::to_text(owner.name));
            let covered = owner.get(rtype);
            if covered.is_empty() {
                faults.add(Rule::NeedlessSignature, Some(item.index), || format!("{} signs nothing", shown()));
            } else if !is_own(rtype, standing) {
                let message = || format!("{} signs what is not the zone's own", shown());
                faults.add(Rule::NeedlessSignature, Some(item.index), message);
            } else if let Some(why) = self.why_bad(owner, covered, signature) {
                faults.add(Rule::BadSignature, Some(item.index), || format!("{} {why}", shown()));
            }
        }
    }

    /// What is wrong with a signature.
    fn why_bad(&self, owner: &Owner<'_>, covered: &[Item<'_>], signature: &Signature<'_>) -> Option<String> {
        let asterisk = usize::from(owner.name.as_slice().starts_with(b"\x01*"));
        // Neither the root nor an asterisk counts (RFC 4034 §3.1.3).
        let labels = owner.name.iter_labels().count() - 1 - asterisk;
        let ttl = covered.iter().filter_map(|item| item.ttl).min();
        let Signature { algorithm, tag, expiration, inception, original_ttl, .. } = *signature;
        if !signature.signer.eq_ignore_ascii_case(self.apex.as_slice()) {
            return Some(format!("names another signer than {}", name::to_text(self.apex)));
        }
        if !self.keys.iter().any(|key| key.tag == tag && key.algorithm == algorithm) {
            return Some(format!("is by key {tag} of algorithm {algorithm}, which is not among the DNSKEY records"));
        }
        if usize::from(signature.labels) != labels {
            return Some(format!("counts {} labels where there are {labels}", signature.labels));
        }
        if let Some(ttl) = ttl.filter(|ttl| *ttl != original_ttl) {
            return Some(format!("is for a TTL of {original_ttl} seconds where it is {ttl}"));
        }
        if expiration < self.now {
            return Some(format!("has expired, {}", shown_time(expiration)));
        }
        (inception > self.now).then(|| format!("does not hold yet, from {} on", shown_time(inception)))
    }
}

/// The fields of an RRSIG record (RFC 4034 §3.1).
struct Signature<'a> {
    covered: Rtype,
    algorithm: u8,
    labels: u8,
    original_ttl: u32,
    expiration: Serial,
    inception: Serial,
    tag: u16,
    signer: &'a [u8],
}

impl<'a> Signature<'a> {
    /// Reads RRSIG rdata, which was checked to be one.
    fn read(rdata: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = rdata.split_first_chunk::<18>()?;
        let number = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let signer = types::names_in_rdata(Rtype::RRSIG, rdata);
        let signer = signer.first().map_or(rest, |at| &rdata[at.start..at.start + at.octets]);
        Some(Self {
            covered: Rtype::from_int(u16::from_be_bytes([fixed[0], fixed[1]])),
            algorithm: fixed[2],
            labels: fixed[3],
            original_ttl: number(4),
            expiration: Serial(number(8)),
            inception: Serial(number(12)),
            tag: u16::from_be_bytes([fixed[16], fixed[17]]),
            signer,
        })
    }
}

/// A time as it stands in RRSIG records (RFC 4034 §3.2).
fn shown_time(time: Serial) -> String {
    let mut text = String::new();
    types::push_time(time.0, &mut text);
    text
}
