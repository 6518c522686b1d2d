//! One RRset in the form in which it is copied into answers.
//!
//! It lies in one piece of memory, with numbers in host order:
//!
//! ```text
//! type 2 | records 2 | octets of them 2 | octets of links 4 | records in wire form | links
//! links: apex pointers 2 | targets 2 | octets of them 4 | signatures 2 | the pointers 2 each
//!        | targets: place 2, octets of the name 1, name | the signatures in wire form
//! ```
//!
//! Most RRsets have no links: those hold what only some have, names inside the rdata and signatures.

use std::sync::Arc;

use store::edit::RrsetData;
use store::types::{names_in_rdata, wants_additional};
use store::{Name, Rtype};

use crate::wire::{HEADER_OCTETS, Template};

/// An RRset ready to be sent: its records in wire form, owned by a pointer to the question's name.
#[derive(Clone, Copy, Debug)]
pub struct Rrset<'z> {
    /// The type of its records.
    pub rtype: Rtype,
    count: u16,
    records: &'z [u8],
    links: &'z [u8],
}

/// What only some RRsets have: names inside the rdata, and signatures.
struct Links<'z> {
    apex_pointers: &'z [[u8; 2]],
    targets: &'z [u8],
    /// The RRSIG records that cover the RRset, in the same form as its own.
    signatures: &'z [u8],
    signature_count: u16,
}

/// An RRset that owns its memory.
#[derive(Clone, Debug)]
pub(super) struct OwnedRrset(Box<[u8]>);

/// A name in rdata that an answer goes on from: an alias, or a host whose addresses are additional data.
#[derive(Clone, Copy, Debug)]
pub struct Target<'z> {
    /// The octet of the RRset's records at which the name stands.
    pub at: u16,
    /// The name in lower-case wire form.
    pub name: &'z [u8],
}

impl Target<'_> {
    /// Whether the owner itself is meant, as the root in a service record means (RFC 9460 §2.5.2).
    pub fn is_owner(&self) -> bool {
        *self.name == *b"\0"
    }
}

impl OwnedRrset {
    /// Compiles an RRset as [`compile`] does.
    pub(super) fn compile(data: &RrsetData, node: &[RrsetData], apex: &[u8], default_ttl: u32) -> Option<Self> {
        let mut octets = Vec::new();
        compile(data, node, apex, default_ttl, &mut octets)?;
        Some(Self(octets.into()))
    }

    /// The RRset.
    #[inline]
    pub(super) fn get(&self) -> Rrset<'_> {
        Rrset::read(&self.0).map_or(Rrset::EMPTY, |(rrset, _)| rrset)
    }
}

/// Compiles the records of one type of a node to the end of `out`. `node` holds all RRsets of the node, from which the
/// signatures are taken (RFC 4034 §3); `apex` is the zone's apex in lower-case wire form, `default_ttl` (seconds) stands
/// in for records without a TTL; the smallest TTL counts for all (RFC 2181 §5.2).
///
/// None, with nothing written, if it has no records, or more octets than a message could hold (the store's rules refuse
/// that before).
pub(super) fn compile(
    data: &RrsetData,
    node: &[RrsetData],
    apex: &[u8],
    default_ttl: u32,
    out: &mut Vec<u8>,
) -> Option<()> {
    let start = out.len();
    let done = compile_at(data, node, apex, default_ttl, out);
    if done.is_none() {
        out.truncate(start);
    }
    done
}

/// [`compile`] that may leave something behind when it fails.
fn compile_at(data: &RrsetData, node: &[RrsetData], apex: &[u8], default_ttl: u32, out: &mut Vec<u8>) -> Option<()> {
    let ttl_of = |ttl: Option<u32>| ttl.unwrap_or(default_ttl);
    let ttl = data.records.iter().map(|(ttl, _)| ttl_of(*ttl)).min()?;
    let start = out.len();
    let records_at = start + HEAD;
    out.extend_from_slice(&[0; HEAD]);
    let (mut apex_pointers, mut targets) = (Vec::new(), Vec::new());
    let mut target_count = 0u16;
    let mut count = 0u16;
    for (own_ttl, rdata) in &data.records {
        // Signatures of NSEC3 RRsets lie at names that only the chain knows (RFC 5155 §7.2.8).
        if data.rtype == Rtype::RRSIG && covered(rdata) == Some(Rtype::NSEC3) {
            continue;
        }
        count = count.checked_add(1)?;
        // Signatures have the TTLs of what they cover, each its own (RFC 4034 §3).
        let ttl = if data.rtype == Rtype::RRSIG { ttl_of(*own_ttl) } else { ttl };
        let length_at = begin_record(out, data.rtype, ttl);
        let mut copied = 0;
        let mut last_name = None;
        for name in names_in_rdata(data.rtype, rdata) {
            let end = name.start + name.octets;
            let (before, wire) = (rdata.get(copied..name.start)?, rdata.get(name.start..end)?);
            out.extend_from_slice(before);
            let at = u16::try_from(out.len() - records_at).ok()?;
            copied = end;
            last_name = Some((at, wire));
            match relative_octets(wire, apex).filter(|_| name.compressible && apex.len() > 1) {
                Some(octets) => {
                    out.extend_from_slice(&wire[..octets]);
                    apex_pointers.extend_from_slice(&u16::try_from(out.len() - records_at).ok()?.to_ne_bytes());
                    out.extend_from_slice(&QUESTION_NAME);
                }
                None => out.extend_from_slice(wire),
            }
        }
        out.extend_from_slice(rdata.get(copied..)?);
        end_record(out, length_at)?;
        let is_owner = |name: &[u8]| *name == *b"\0";
        if let Some((at, name)) = last_name.filter(|(_, name)| match data.rtype {
            Rtype::CNAME | Rtype::DNAME => true,
            // The root as target is the owner itself, but in alias mode, priority 0, none (RFC 9460 §2.5).
            Rtype::SVCB | Rtype::HTTPS => !is_owner(name) || !rdata.starts_with(&[0, 0]),
            // The root as a host means none (RFC 2782, RFC 7505).
            rtype => wants_additional(rtype) && !is_owner(name),
        }) {
            target_count += 1;
            targets.extend_from_slice(&at.to_ne_bytes());
            targets.push(name.len() as u8);
            targets.extend(name.iter().map(u8::to_ascii_lowercase));
        }
    }
    let records_octets = u16::try_from(out.len() - records_at).ok().filter(|_| count > 0)?;
    let links_at = out.len();
    let all = node.iter().filter(|rrset| rrset.rtype == Rtype::RRSIG && data.rtype != Rtype::RRSIG);
    let mut signatures =
        all.flat_map(|rrset| &rrset.records).filter(|(_, rdata)| covered(rdata) == Some(data.rtype)).peekable();
    if !apex_pointers.is_empty() || target_count > 0 || signatures.peek().is_some() {
        out.extend_from_slice(&(apex_pointers.len() as u16 / 2).to_ne_bytes());
        out.extend_from_slice(&target_count.to_ne_bytes());
        out.extend_from_slice(&(targets.len() as u32).to_ne_bytes());
        let count_at = out.len();
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&apex_pointers);
        out.extend_from_slice(&targets);
        let mut signature_count = 0u16;
        for (ttl, rdata) in signatures {
            let length_at = begin_record(out, Rtype::RRSIG, ttl_of(*ttl));
            out.extend_from_slice(rdata);
            end_record(out, length_at)?;
            signature_count = signature_count.checked_add(1)?;
        }
        out[count_at..count_at + 2].copy_from_slice(&signature_count.to_ne_bytes());
    }
    let links_octets = u32::try_from(out.len() - links_at).ok()?;
    let head = &mut out[start..records_at];
    head[..2].copy_from_slice(&data.rtype.to_int().to_ne_bytes());
    head[2..4].copy_from_slice(&count.to_ne_bytes());
    head[4..6].copy_from_slice(&records_octets.to_ne_bytes());
    head[6..].copy_from_slice(&links_octets.to_ne_bytes());
    Some(())
}

impl<'z> Rrset<'z> {
    /// No records.
    const EMPTY: Rrset<'static> = Rrset { rtype: Rtype::from_int(0), count: 0, records: &[], links: &[] };

    /// The RRset that `octets` begin with, and what is behind it; None at their end.
    #[inline]
    pub(super) fn read(octets: &'z [u8]) -> Option<(Self, &'z [u8])> {
        let (&[a, b, c, d, e, f, g, h, i, j], rest) = octets.split_first_chunk::<HEAD>()?;
        let (records, rest) = rest.split_at_checked(usize::from(u16::from_ne_bytes([e, f])))?;
        let (links, rest) = rest.split_at_checked(u32::from_ne_bytes([g, h, i, j]) as usize)?;
        let rtype = Rtype::from_int(u16::from_ne_bytes([a, b]));
        Some((Self { rtype, count: u16::from_ne_bytes([c, d]), records, links }, rest))
    }

    /// Whether there is more to it than its records: names that an answer goes on from, or signatures.
    #[inline]
    pub(super) fn has_links(self) -> bool {
        !self.links.is_empty()
    }

    /// The parts of the links.
    #[inline]
    fn links(self) -> Option<Links<'z>> {
        let (&[a, b, _, _, e, f, g, h, i, j], rest) = self.links.split_first_chunk::<LINKS_HEAD>()?;
        let (pointers, rest) = rest.split_at_checked(2 * usize::from(u16::from_ne_bytes([a, b])))?;
        let (targets, signatures) = rest.split_at_checked(u32::from_ne_bytes([e, f, g, h]) as usize)?;
        let signature_count = u16::from_ne_bytes([i, j]);
        Some(Links { apex_pointers: pointers.as_chunks().0, targets, signatures, signature_count })
    }

    /// The records for [`crate::wire::Response::append`].
    #[inline]
    pub fn template(self) -> Template<'z> {
        let apex_pointers = self.links().map_or(&[][..], |links| links.apex_pointers);
        Template { records: self.records, count: self.count, apex_pointers }
    }

    /// The signatures of the RRset, None if it has none.
    #[inline]
    pub fn signatures(self) -> Option<Template<'z>> {
        let Links { signatures: records, signature_count: count, .. } = self.links()?;
        (count > 0).then_some(Template { records, count, apex_pointers: &[] })
    }

    /// The names that an answer with this RRset goes on from, in the order of its records.
    #[inline]
    pub fn targets(self) -> impl Iterator<Item = Target<'z>> + Clone {
        let mut rest = self.links().map_or(&[][..], |links| links.targets);
        std::iter::from_fn(move || {
            let (&[a, b, octets], after) = rest.split_first_chunk::<3>()?;
            let (name, after) = after.split_at_checked(usize::from(octets))?;
            rest = after;
            Some(Target { at: u16::from_ne_bytes([a, b]), name })
        })
    }

    /// Time to live in seconds, one for all records.
    pub fn ttl(self) -> u32 {
        self.records.get(6..10).and_then(|ttl| ttl.try_into().ok()).map_or(0, u32::from_be_bytes)
    }

    /// The same RRset, and its signatures, with another TTL (seconds).
    pub(super) fn with_ttl(self, ttl: u32) -> OwnedRrset {
        let mut octets = Vec::with_capacity(HEAD + self.records.len() + self.links.len());
        octets.extend_from_slice(&self.rtype.to_int().to_ne_bytes());
        octets.extend_from_slice(&self.count.to_ne_bytes());
        octets.extend_from_slice(&(self.records.len() as u16).to_ne_bytes());
        octets.extend_from_slice(&(self.links.len() as u32).to_ne_bytes());
        octets.extend_from_slice(self.records);
        octets.extend_from_slice(self.links);
        let (records, links) = octets[HEAD..].split_at_mut(self.records.len());
        set_ttl(records, ttl);
        if let Some(parts) = self.links() {
            let before = links.len() - parts.signatures.len();
            set_ttl(&mut links[before..], ttl);
        }
        OwnedRrset(octets.into())
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

/// The apex of a zone in the form that [`compile`] takes.
pub(super) fn lower_wire(name: &Name) -> Arc<[u8]> {
    Arc::from(name.as_slice().to_ascii_lowercase())
}

/// A pointer to the name of the question (RFC 1035 §4.1.4); stands wherever a pointer is put in later, too.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER_OCTETS as u8];

/// Class IN in network order.
const CLASS_IN: [u8; 2] = [0, 1];

/// Octets before the records of an RRset.
const HEAD: usize = 10;

/// Octets before the apex pointers in its links.
const LINKS_HEAD: usize = 10;
