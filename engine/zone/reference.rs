//! A second resolver to compare with: it follows the words of the RFCs over plain lists of records, as slowly as that is.

use std::collections::BTreeSet;

use store::types::canonical_rdata;
use store::{Record, Rtype};

/// A record as it is compared: names in lower case, rdata canonical.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) owner: Vec<u8>,
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<u8>,
}

impl Line {
    /// The record with these fields, which may be in any case.
    pub(super) fn new(owner: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) -> Self {
        let rdata = canonical_rdata(rtype, rdata).into_owned();
        Self { owner: owner.to_ascii_lowercase(), rtype, ttl, rdata }
    }

    /// The name that stands in the rdata from this octet on.
    fn name_at(&self, at: usize) -> Vec<u8> {
        let tail = &self.rdata[at..];
        let mut octets = 0;
        while tail[octets] != 0 {
            octets += usize::from(tail[octets]) + 1;
        }
        tail[..=octets].to_ascii_lowercase()
    }

    /// The host whose addresses belong to this record, if there is one.
    fn host(&self) -> Option<Vec<u8>> {
        let host = self.name_at(match self.rtype {
            Rtype::NS => 0,
            Rtype::MX | Rtype::SVCB | Rtype::HTTPS => 2,
            Rtype::SRV => 6,
            _ => return None,
        });
        match self.rtype {
            // RFC 9460 §2.5: the root as a target is the owner in service mode, and none in alias mode.
            Rtype::SVCB | Rtype::HTTPS if host == b"\0" && self.rdata[..2] != [0, 0] => Some(self.owner.clone()),
            _ => (host != b"\0").then_some(host),
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, rtype, ttl, rdata } = self;
        write!(f, "{} {ttl} {rtype} {}", owner.escape_ascii(), rdata.escape_ascii())
    }
}

/// What a message says: everything that counts, and nothing about how it is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) rcode: u8,
    pub(super) authoritative: bool,
    pub(super) answer: BTreeSet<Line>,
    pub(super) authority: BTreeSet<Line>,
    pub(super) additional: BTreeSet<Line>,
}

/// A zone as a list.
#[derive(Clone, Debug)]
pub(super) struct List {
    apex: Vec<u8>,
    lines: Vec<Line>,
}

/// Where the walk down from the apex ends.
enum Place {
    /// At the zone cut with this owner.
    Cut(Vec<u8>),
    /// Below this DNAME.
    Dname(Line),
    /// At the name itself, or at the wildcard that stands for it.
    Node(Vec<u8>),
    /// Nowhere.
    Nothing,
}

impl List {
    /// The zone with this apex; of records that are there twice the first counts.
    pub(super) fn new<'r>(apex: &[u8], records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        for record in records {
            let line = Line::new(record.owner.as_slice(), record.rtype, record.ttl, &record.rdata);
            if !lines.iter().any(|l| l.owner == line.owner && l.rtype == line.rtype && l.rdata == line.rdata) {
                lines.push(line);
            }
        }
        // RFC 4034 §6.3: the order of records in an RRset.
        lines.sort_by(|a, b| a.rdata.cmp(&b.rdata));
        Self { apex: apex.to_ascii_lowercase(), lines }
    }

    /// The RRset at `node` as one of `owner`, with one TTL (RFC 2181 §5.2).
    fn rrset(&self, node: &[u8], rtype: Rtype, owner: &[u8]) -> Vec<Line> {
        let found = self.lines.iter().filter(|line| line.rtype == rtype && line.owner == node);
        let mut rrset: Vec<Line> = found.cloned().collect();
        let ttl = rrset.iter().map(|line| line.ttl).min();
        for line in &mut rrset {
            line.owner = owner.to_vec();
            line.ttl = ttl.unwrap_or_default();
        }
        rrset
    }

    /// A and AAAA at `node`.
    fn addresses(&self, node: &[u8], owner: &[u8]) -> Vec<Line> {
        [Rtype::A, Rtype::AAAA].iter().flat_map(|rtype| self.rrset(node, *rtype, owner)).collect()
    }

    /// RFC 1034 §4.3.2 step 3b: whatever addresses the zone has for a host of a cut; a wildcard gives none below it.
    fn glue(&self, host: &[u8], cut: &[u8]) -> Vec<Line> {
        if self.lines.iter().any(|line| line.owner == host) {
            return self.addresses(host, host);
        }
        match self.walk(host, Rtype::A) {
            Place::Node(node) if is_at_or_below(host, &self.apex) && !is_at_or_below(host, cut) => {
                self.addresses(&node, host)
            }
            _ => Vec::new(),
        }
    }

    /// RFC 2308 §3, §5: the SOA with the lesser of its TTL and MINIMUM.
    fn denial(&self) -> Vec<Line> {
        let mut soa = self.rrset(&self.apex, Rtype::SOA, &self.apex);
        for line in &mut soa {
            let minimum = u32::from_be_bytes(*line.rdata.last_chunk().unwrap());
            line.ttl = line.ttl.min(minimum);
        }
        soa
    }

    /// RFC 4592 §2.2.2: a name exists if it or a name below it owns records.
    fn exists(&self, name: &[u8]) -> bool {
        self.lines.iter().any(|line| is_at_or_below(&line.owner, name))
    }

    /// RFC 1034 §4.3.2 step 3, RFC 6672 §3.2, RFC 4592 §3.3.1.
    fn walk(&self, name: &[u8], qtype: Rtype) -> Place {
        let mut path: Vec<&[u8]> = ancestors(name).filter(|above| is_at_or_below(above, &self.apex)).collect();
        path.reverse();
        for at in path {
            // RFC 4035 §3.1.4.1: the parent answers for DS at the cut.
            let cuts = at != self.apex && !(at == name && qtype == Rtype::DS);
            if cuts && !self.rrset(at, Rtype::NS, at).is_empty() {
                return Place::Cut(at.to_vec());
            }
            if let Some(dname) = self.rrset(at, Rtype::DNAME, at).pop().filter(|_| at != name) {
                return Place::Dname(dname);
            }
        }
        if self.exists(name) {
            return Place::Node(name.to_vec());
        }
        let Some(encloser) = ancestors(name).find(|above| self.exists(above)) else { return Place::Nothing };
        let wildcard = [b"\x01*", encloser].concat();
        if self.exists(&wildcard) { Place::Node(wildcard) } else { Place::Nothing }
    }
}

/// The reply to a question, whose name is in lower case; None if no zone holds it.
pub(super) fn resolve(zones: &[List], qname: &[u8], qtype: Rtype) -> Option<Reply> {
    let mut reply = Reply { authoritative: true, ..Reply::default() };
    let mut owners: Vec<Vec<u8>> = Vec::new();
    let mut name = qname.to_vec();
    let mut zone = zone_of(zones, &name, qtype)?;
    loop {
        let target = match zone.walk(&name, qtype) {
            Place::Cut(cut) => {
                reply.authoritative = !owners.is_empty();
                for ns in zone.rrset(&cut, Rtype::NS, &cut) {
                    if let Some(host) = ns.host() {
                        reply.additional.extend(zone.glue(&host, &cut));
                    }
                    reply.authority.insert(ns);
                }
                break;
            }
            Place::Dname(dname) => {
                let kept = &name[..name.len() - dname.owner.len()];
                let target = [kept, &dname.name_at(0)].concat();
                reply.answer.insert(dname.clone());
                if target.len() > 255 {
                    reply.rcode = 6;
                    break;
                }
                reply.answer.insert(Line::new(&name, Rtype::CNAME, dname.ttl, &target));
                if matches!(qtype, Rtype::CNAME | Rtype::ANY) {
                    break;
                }
                target
            }
            Place::Node(node) => {
                let types: BTreeSet<Rtype> = zone.lines.iter().filter(|l| l.owner == node).map(|l| l.rtype).collect();
                let wanted = if qtype == Rtype::ANY { types.first().copied() } else { Some(qtype) };
                let rrset = wanted.map(|wanted| zone.rrset(&node, wanted, &name)).unwrap_or_default();
                if !rrset.is_empty() {
                    reply.additional = additional(zones, &rrset);
                    reply.answer.extend(rrset);
                    break;
                }
                let Some(cname) = zone.rrset(&node, Rtype::CNAME, &name).pop() else {
                    reply.authority.extend(zone.denial());
                    break;
                };
                let target = cname.name_at(0);
                reply.answer.insert(cname);
                target
            }
            Place::Nothing => {
                reply.rcode = 3;
                reply.authority.extend(zone.denial());
                break;
            }
        };
        owners.push(name);
        if owners.contains(&target) || owners.len() == 16 {
            break;
        }
        name = target;
        match zone_of(zones, &name, qtype) {
            Some(next) => zone = next,
            None => break,
        }
    }
    Some(reply)
}

/// The addresses of the first 16 hosts of an RRset, wherever they are authoritative data or glue; for a service also
/// the records of its type at another name (RFC 9460 §4.1).
fn additional(zones: &[List], rrset: &[Line]) -> BTreeSet<Line> {
    let mut additional = BTreeSet::new();
    for (line, host) in rrset.iter().filter_map(|line| Some((line, line.host()?))).take(16) {
        let Some(zone) = zone_of(zones, &host, Rtype::A) else { continue };
        let node = match zone.walk(&host, Rtype::A) {
            Place::Node(node) => node,
            Place::Cut(_) => host.clone(),
            Place::Dname(_) | Place::Nothing => continue,
        };
        additional.extend(zone.addresses(&node, &host));
        if matches!(line.rtype, Rtype::SVCB | Rtype::HTTPS) && host != line.owner {
            additional.extend(zone.rrset(&node, line.rtype, &host));
        }
    }
    additional
}

/// The zone with the longest apex above `name`; for DS at an apex the one above, if there is one.
fn zone_of<'z>(zones: &'z [List], name: &[u8], qtype: Rtype) -> Option<&'z List> {
    let holds = |zone: &&List| is_at_or_below(name, &zone.apex);
    let longest = zones.iter().filter(holds).max_by_key(|zone| zone.apex.len())?;
    let above = zones.iter().filter(holds).filter(|zone| zone.apex != name).max_by_key(|zone| zone.apex.len());
    Some(above.filter(|_| qtype == Rtype::DS && longest.apex == name).unwrap_or(longest))
}

/// Whether `name` is `above` or a name below that.
fn is_at_or_below(name: &[u8], above: &[u8]) -> bool {
    // The octets may be equal by chance inside a label, so that the labels count.
    name.ends_with(above) && ancestors(name).any(|ancestor| ancestor == above)
}

/// A name and all names above it, the root last.
fn ancestors(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |name| (name[0] != 0).then(|| &name[usize::from(name[0]) + 1..]))
}
