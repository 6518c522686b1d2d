//! One RRset in the form in which it is copied into answers.

use std::sync::Arc;

use store::edit::RrsetData;
use store::types::{names_in_rdata, wants_additional};
use store::{Name, Rtype};

use crate::wire::{HEADER_OCTETS, Template};

/// An RRset ready to be sent: its records in wire form, owned by a pointer to the question's name.
#[derive(Clone, Debug)]
pub struct Rrset {
    /// The type of its records.
    pub rtype: Rtype,
    count: u16,
    records: Box<[u8]>,
    links: Option<Box<Links>>,
}

/// What only some RRsets have: names inside the rdata, and signatures.
#[derive(Clone, Debug)]
struct Links {
    apex_pointers: Box<[u16]>,
    targets: Box<[Target]>,
    /// The RRSIG records that cover the RRset, in the same form as its own.
    signatures: Box<[u8]>,
    signature_count: u16,
}

/// A name in rdata that an answer goes on from: an alias, or a host whose addresses are additional data.
#[derive(Clone, Debug)]
pub struct Target {
    /// The octet of the RRset's records at which the name stands.
    pub at: u16,
    /// The name in lower-case wire form.
    pub name: Arc<[u8]>,
}

impl Target {
    /// Whether the owner itself is meant, as the root in a service record means (RFC 9460 §2.5.2).
    pub fn is_owner(&self) -> bool {
        *self.name == *b"\0"
    }
}

impl Rrset {
    /// Compiles the records of one type of a node. `node` holds all RRsets of the node, from which the signatures are
    /// taken (RFC 4034 §3); `apex` is the zone's apex in lower-case wire form, `default_ttl` (seconds) stands in for
    /// records without a TTL; the smallest TTL counts for all (RFC 2181 §5.2).
    ///
    /// None if it has no records, or more octets than a message could hold (the store's rules refuse that before).
    pub fn compile(data: &RrsetData, node: &[RrsetData], apex: &[u8], default_ttl: u32) -> Option<Self> {
        let ttl_of = |ttl: Option<u32>| ttl.unwrap_or(default_ttl);
        let ttl = data.records.iter().map(|(ttl, _)| ttl_of(*ttl)).min()?;
        let mut records = Vec::new();
        let (mut apex_pointers, mut targets) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (own_ttl, rdata) in &data.records {
            // Signatures of NSEC3 RRsets lie at names that only the chain knows (RFC 5155 §7.2.8).
            if data.rtype == Rtype::RRSIG && covered(rdata) == Some(Rtype::NSEC3) {
                continue;
            }
            count += 1;
            // Signatures have the TTLs of what they cover, each its own (RFC 4034 §3).
            let ttl = if data.rtype == Rtype::RRSIG { ttl_of(*own_ttl) } else { ttl };
            let length_at = begin_record(&mut records, data.rtype, ttl);
            let mut copied = 0;
            let mut last_name = None;
            for name in names_in_rdata(data.rtype, rdata) {
                let end = name.start + name.octets;
                let (before, wire) = (rdata.get(copied..name.start)?, rdata.get(name.start..end)?);
                records.extend_from_slice(before);
                let at = u16::try_from(records.len()).ok()?;
                copied = end;
                last_name = Some(Target { at, name: Arc::from(wire.to_ascii_lowercase()) });
                match relative_octets(wire, apex).filter(|_| name.compressible && apex.len() > 1) {
                    Some(octets) => {
                        records.extend_from_slice(&wire[..octets]);
                        apex_pointers.push(u16::try_from(records.len()).ok()?);
                        records.extend_from_slice(&QUESTION_NAME);
                    }
                    None => records.extend_from_slice(wire),
                }
            }
            records.extend_from_slice(rdata.get(copied..)?);
            end_record(&mut records, length_at)?;
            targets.extend(last_name.filter(|target| match data.rtype {
                Rtype::CNAME | Rtype::DNAME => true,
                // The root as target is the owner itself, but in alias mode, priority 0, none (RFC 9460 §2.5).
                Rtype::SVCB | Rtype::HTTPS => !target.is_owner() || !rdata.starts_with(&[0, 0]),
                // The root as a host means none (RFC 2782, RFC 7505).
                rtype => wants_additional(rtype) && *target.name != *b"\0",
            }));
        }
        u16::try_from(records.len()).ok().filter(|_| count > 0)?;
        let mut signatures = Vec::new();
        let mut signature_count = 0;
        let all = node.iter().filter(|rrset| rrset.rtype == Rtype::RRSIG && data.rtype != Rtype::RRSIG);
        for (ttl, rdata) in all.flat_map(|rrset| &rrset.records).filter(|(_, rdata)| covered(rdata) == Some(data.rtype))
        {
            let length_at = begin_record(&mut signatures, Rtype::RRSIG, ttl_of(*ttl));
            signatures.extend_from_slice(rdata);
            end_record(&mut signatures, length_at)?;
            signature_count += 1;
        }
        let has_links = !apex_pointers.is_empty() || !targets.is_empty() || signature_count > 0;
        let links = has_links.then(|| {
            let (apex_pointers, targets, signatures) = (apex_pointers.into(), targets.into(), signatures.into());
            Box::new(Links { apex_pointers, targets, signatures, signature_count })
        });
        Some(Self { rtype: data.rtype, count, records: records.into(), links })
    }

    /// The records for [`crate::wire::Response::append`].
    #[inline]
    pub fn template(&self) -> Template<'_> {
        let apex_pointers = self.links.as_ref().map_or(&[][..], |links| &links.apex_pointers);
        Template { records: &self.records, count: self.count, apex_pointers }
    }

    /// The signatures of the RRset, None if it has none.
    #[inline]
    pub fn signatures(&self) -> Option<Template<'_>> {
        let links = self.links.as_ref().filter(|links| links.signature_count > 0)?;
        Some(Template { records: &links.signatures, count: links.signature_count, apex_pointers: &[] })
    }

    /// The names that an answer with this RRset goes on from, in the order of its records.
    #[inline]
    pub fn targets(&self) -> &[Target] {
        self.links.as_ref().map_or(&[][..], |links| &links.targets)
    }

    /// Time to live in seconds, one for all records.
    pub fn ttl(&self) -> u32 {
        self.records.get(6..10).and_then(|ttl| ttl.try_into().ok()).map_or(0, u32::from_be_bytes)
    }

    /// The same RRset, and its signatures, with another TTL (seconds).
    pub fn with_ttl(&self, ttl: u32) -> Self {
        let mut copy = self.clone();
        set_ttl(&mut copy.records, ttl);
        if let Some(links) = &mut copy.links {
            set_ttl(&mut links.signatures, ttl);
        }
        copy
    }
}

/// The type that an RRSIG record covers, by its rdata (RFC 4034 §3.1.1).
fn covered(rdata: &[u8]) -> Option<Rtype> {
    rdata.first_chunk::<2>().map(|rtype| Rtype::from_int(u16::from_be_bytes(*rtype)))
}

/// Writes a record as far as its rdata; where its length stands.
fn begin_record(records: &mut Vec<u8>, rtype: Rtype, ttl: u32) -> usize {
    records.extend_from_slice(&QUESTION_NAME);
    records.extend_from_slice(&rtype.to_int().to_be_bytes());
    records.extend_from_slice(&CLASS_IN);
    records.extend_from_slice(&ttl.to_be_bytes());
    records.extend_from_slice(&[0, 0]);
    records.len() - 2
}

/// Writes the length of the rdata that ends here; None if it is too long.
fn end_record(records: &mut [u8], length_at: usize) -> Option<()> {
    let rdata_len = u16::try_from(records.len() - length_at - 2).ok()?;
    records.get_mut(length_at..length_at + 2)?.copy_from_slice(&rdata_len.to_be_bytes());
    Some(())
}

/// Sets the TTL of all records.
fn set_ttl(records: &mut [u8], ttl: u32) {
    let mut rest = records;
    while let [_, _, _, _, _, _, a, b, c, d, high, low, after @ ..] = rest {
        [*a, *b, *c, *d] = ttl.to_be_bytes();
        rest = after.get_mut(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
}

/// Octets of `wire` before the apex, if the name is the apex or below it. Both are in uncompressed wire form.
fn relative_octets(wire: &[u8], apex: &[u8]) -> Option<usize> {
    let mut at = 0;
    while wire.len() - at > apex.len() {
        at += usize::from(*wire.get(at)?) + 1;
    }
    (wire.get(at..)?.eq_ignore_ascii_case(apex)).then_some(at)
}

/// Whether `name` is `ancestor` or below it. Both are in uncompressed wire form.
pub(super) fn is_below(name: &[u8], ancestor: &[u8]) -> bool {
    relative_octets(name, ancestor).is_some()
}

/// The apex of a zone in the form that [`Rrset::compile`] takes.
pub(super) fn lower_wire(name: &Name) -> Arc<[u8]> {
    Arc::from(name.as_slice().to_ascii_lowercase())
}

/// A pointer to the name of the question (RFC 1035 §4.1.4); stands wherever a pointer is put in later, too.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER_OCTETS as u8];

/// Class IN in network order.
const CLASS_IN: [u8; 2] = [0, 1];
