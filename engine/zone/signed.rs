//! Answers of signed zones as a validator sees them: every name error, missing type, wildcard and unsigned delegation is
//! proved by the NSEC or NSEC3 records that come along (RFC 4035 §5.4, RFC 5155 §8). Signatures are made up: what is
//! checked is which records an answer carries, not the mathematics.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::iana::Rcode;
use domain::base::{Message, ParsedName, ToName};
use domain::rdata::AllRecordData;
use store::edit::{NodeData, RrsetData};
use store::nsec3::Parameters;
use store::{Name, Rtype, name};

use super::tests::{apex, rrset};
use super::walk::Walk;
use super::{Question, Zone, ZoneSet, answer};
use crate::wire::{Query, Response};

/// How a zone denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    Nsec,
    Nsec3,
    OptOut,
}

/// One NSEC or NSEC3 record: where it stands, what comes next, and the types it names.
struct Link {
    owner: Vec<u8>,
    next: Vec<u8>,
    types: BTreeSet<u16>,
    opt_out: bool,
}

/// An answer taken apart.
struct Answer {
    rcode: Rcode,
    authoritative: bool,
    /// Owner and type of what stands in the answer section.
    records: Vec<(Name, Rtype)>,
    /// Names of answer records whose signature says that they came from a wildcard, with the wildcard's labels.
    expanded: Vec<(Name, usize)>,
    cut: Option<Name>,
    has_ds: bool,
    links: Vec<Link>,
    unsigned: Vec<(Name, Rtype)>,
    last: Name,
}

#[test]
fn every_denial_is_proved() {
    let mut walk = Walk::seeded(3);
    let mut seen = BTreeMap::<&str, usize>::new();
    for round in 0..90 {
        let chain = [Chain::Nsec, Chain::Nsec3, Chain::OptOut][round % 3];
        let zone = signed_zone(&mut walk, chain);
        let zones = ZoneSet::build([Zone::compile(&apex(), &zone, 300).into()]);
        for _ in 0..150 {
            let qname = walk.owner();
            let qtype = [Rtype::A, Rtype::MX, Rtype::DS, Rtype::TXT, Rtype::NS][walk.below(5)];
            let found = ask(&zones, &qname, qtype);
            let kind = check(&found, chain, qtype)
                .unwrap_or_else(|why| panic!("{chain:?} {qname} {qtype}: {why}\n{}", text(&zone)));
            *seen.entry(kind).or_default() += 1;
        }
    }
    for kind in ["data", "name error", "no data", "unsigned delegation", "signed delegation", "wildcard"] {
        assert!(seen.get(kind).is_some_and(|&count| count > 20), "{kind}: {seen:?}");
    }
}

/// What kind of answer it is, if all that it says is proved.
fn check(found: &Answer, chain: Chain, qtype: Rtype) -> Result<&'static str, String> {
    if !found.unsigned.is_empty() {
        return Err(format!("no signature for {:?}", found.unsigned));
    }
    let proofs = Proofs { chain, links: &found.links };
    let mut kind = "data";
    for (owner, labels) in &found.expanded {
        kind = "wildcard";
        proofs.no_closer(owner, *labels).map_err(|why| format!("wildcard answer for {owner}: {why}"))?;
    }
    let ends_in_data = found.records.iter().any(|(owner, rtype)| *owner == found.last && *rtype == qtype);
    if let Some(cut) = &found.cut {
        if found.has_ds {
            return Ok("signed delegation");
        }
        proofs.no_type(cut, Rtype::DS)?;
        return Ok("unsigned delegation");
    }
    if found.rcode == Rcode::NXDOMAIN {
        proofs.no_name(&found.last)?;
        return Ok("name error");
    }
    // A circle of aliases has no end, nor has a chain that was cut off.
    let aliases: Vec<&Name> =
        found.records.iter().filter(|(_, rtype)| *rtype == Rtype::CNAME).map(|(owner, _)| owner).collect();
    if aliases.contains(&&found.last) || aliases.len() == 16 || found.rcode == Rcode::YXDOMAIN {
        return Ok(kind);
    }
    // An alias that leads out of the zone says nothing of its end.
    if ends_in_data || !found.authoritative || !found.last.ends_with(&apex()) {
        return Ok(kind);
    }
    proofs.no_type(&found.last, qtype)?;
    Ok("no data")
}

/// The records that came along as proofs.
struct Proofs<'f> {
    chain: Chain,
    links: &'f [Link],
}

impl Proofs<'_> {
    /// The place of a name in the chain.
    fn key(&self, name: &Name) -> Vec<u8> {
        if self.chain == Chain::Nsec { name::order_key(name) } else { hash(name).to_vec() }
    }

    /// The record at a name.
    fn at(&self, name: &Name) -> Option<&Link> {
        let key = self.key(name);
        self.links.iter().find(|link| link.owner == key)
    }

    /// The record in whose gap a name lies.
    fn over(&self, name: &Name) -> Option<&Link> {
        let key = self.key(name);
        self.links.iter().find(|link| match link.owner < link.next {
            true => link.owner < key && key < link.next,
            false => link.owner < key || key < link.next,
        })
    }

    /// The closest encloser, as far as it is proved that nothing closer exists.
    fn encloser(&self, name: &Name) -> Result<Name, String> {
        if self.chain == Chain::Nsec {
            let over = self.over(name).ok_or("nothing covers the name")?;
            let is_above = |key: &[u8], ancestor: &Name| key.starts_with(&name::order_key(ancestor));
            let ancestors = ancestors(name);
            return ancestors
                .into_iter()
                .find(|ancestor| is_above(&over.owner, ancestor) || is_above(&over.next, ancestor))
                .ok_or_else(|| "no encloser".into());
        }
        let mut next_closer = name.clone();
        for ancestor in ancestors(name) {
            if self.at(&ancestor).is_some() {
                self.over(&next_closer).ok_or_else(|| format!("nothing covers the next closer name {next_closer}"))?;
                return Ok(ancestor);
            }
            next_closer = ancestor;
        }
        Err("no closest encloser is proved".into())
    }

    /// The name does not exist, nor a wildcard for it.
    fn no_name(&self, name: &Name) -> Result<(), String> {
        let encloser = self.encloser(name)?;
        if self.is_left_out(name, &encloser) {
            return Ok(());
        }
        let wildcard = below(b"*", &encloser);
        self.over(&wildcard).map(|_| ()).ok_or_else(|| format!("nothing covers {wildcard}"))
    }

    /// Nothing closer to the name exists than its ancestor with so many labels.
    fn no_closer(&self, name: &Name, labels: usize) -> Result<(), String> {
        if self.chain == Chain::Nsec {
            return self.over(name).map(|_| ()).ok_or_else(|| "nothing covers the name".into());
        }
        let chain: Vec<Name> = std::iter::once(name.clone()).chain(ancestors(name)).collect();
        let next_closer =
            chain.iter().find(|name| name.label_count() - 1 == labels + 1).ok_or("no next closer name")?;
        self.over(next_closer).map(|_| ()).ok_or_else(|| format!("nothing covers {next_closer}"))
    }

    /// The name exists without the type, or a wildcard does that stands for it, or it is left out by opt-out.
    fn no_type(&self, name: &Name, rtype: Rtype) -> Result<(), String> {
        let lacks = |link: &Link| !link.types.contains(&rtype.to_int()) && !link.types.contains(&Rtype::CNAME.to_int());
        if let Some(link) = self.at(name) {
            return if lacks(link) { Ok(()) } else { Err("the record at the name has the type".into()) };
        }
        let is_empty = |name: &Name| {
            let key = name::order_key(name);
            self.chain == Chain::Nsec && self.over(name).is_some_and(|over| over.next.starts_with(&key))
        };
        if is_empty(name) {
            return Ok(());
        }
        let encloser = self.encloser(name)?;
        let wildcard = below(b"*", &encloser);
        if self.at(&wildcard).is_some_and(lacks) || is_empty(&wildcard) {
            return Ok(());
        }
        if self.is_left_out(name, &encloser) {
            return Ok(());
        }
        Err(format!("nothing says that {wildcard} lacks the type"))
    }

    /// The chain may leave the name out: its next closer name lies in the gap of a record with opt-out.
    fn is_left_out(&self, name: &Name, encloser: &Name) -> bool {
        let mut chain = std::iter::once(name.clone()).chain(ancestors(name));
        let next_closer = chain.find(|name| name.label_count() == encloser.label_count() + 1);
        next_closer.and_then(|name| self.over(&name)).is_some_and(|over| over.opt_out)
    }
}

/// A random zone with a chain and a signature for every RRset of its own.
fn signed_zone(walk: &mut Walk<'_>, chain: Chain) -> Vec<NodeData> {
    let mut nodes: BTreeMap<Name, Vec<RrsetData>> = BTreeMap::new();
    nodes.insert(apex(), walk.rrsets(&apex()));
    for _ in 0..15 {
        let owner = walk.owner();
        let mut rrsets = walk.rrsets(&owner);
        let is_cut = owner != apex() && rrsets.iter().any(|rrset| rrset.rtype == Rtype::NS);
        if is_cut && walk.below(2) == 0 {
            rrsets.push(rrset(Rtype::DS, &["1 13 2 AABBCCDDEEFF00112233445566778899AABBCCDDEEFF00112233445566778899"]));
        }
        // A cut or an alias at a wildcard has no meaning that validators agree on.
        let odd = owner.as_slice().starts_with(b"\x01*") && (is_cut || rrsets.iter().any(|r| r.rtype == Rtype::DNAME));
        if owner != apex() && !rrsets.is_empty() && !odd {
            nodes.insert(owner, rrsets);
        }
    }
    // What lies below a cut or a DNAME is not part of the zone.
    let turns: Vec<Name> = nodes
        .iter()
        .filter(|(owner, rrsets)| {
            rrsets.iter().any(|r| r.rtype == Rtype::DNAME || r.rtype == Rtype::NS && **owner != apex())
        })
        .map(|(owner, _)| owner.clone())
        .collect();
    nodes.retain(|owner, _| !turns.iter().any(|turn| turn != owner && owner.ends_with(turn)));
    if chain != Chain::Nsec {
        let parameters = rrset(Rtype::NSEC3PARAM, &["1 0 0 -"]);
        nodes.entry(apex()).or_default().push(parameters);
    }
    let mut links: BTreeMap<Vec<u8>, (Name, BTreeSet<Rtype>)> = BTreeMap::new();
    for (owner, rrsets) in &mut nodes {
        let is_cut = *owner != apex() && rrsets.iter().any(|rrset| rrset.rtype == Rtype::NS);
        let signed: Vec<Rtype> =
            rrsets.iter().map(|rrset| rrset.rtype).filter(|rtype| !is_cut || *rtype == Rtype::DS).collect();
        let mut types: BTreeSet<Rtype> = rrsets.iter().map(|rrset| rrset.rtype).collect();
        if is_cut {
            types.retain(|rtype| matches!(*rtype, Rtype::NS | Rtype::DS));
        }
        let insecure = is_cut && signed.is_empty();
        if chain == Chain::Nsec || !signed.is_empty() {
            types.insert(Rtype::RRSIG);
        }
        if chain == Chain::Nsec {
            types.insert(Rtype::NSEC);
            links.insert(name::order_key(owner), (owner.clone(), types));
        } else if !(chain == Chain::OptOut && insecure) {
            links.insert(hash(owner).to_vec(), (owner.clone(), types));
            for ancestor in ancestors(owner).into_iter().filter(|ancestor| ancestor.ends_with(&apex())) {
                links.entry(hash(&ancestor).to_vec()).or_insert((ancestor, BTreeSet::new()));
            }
        }
        let signatures: Vec<String> = signed.iter().map(|rtype| signature(*rtype, owner)).collect();
        if !signatures.is_empty() {
            let texts: Vec<&str> = signatures.iter().map(String::as_str).collect();
            rrsets.push(rrset(Rtype::RRSIG, &texts));
        }
    }
    add_chain(&mut nodes, &links, chain);
    nodes
        .into_iter()
        .map(|(owner, mut rrsets)| {
            rrsets.sort_by_key(|rrset| rrset.rtype);
            NodeData { owner, rrsets }
        })
        .collect()
}

/// Adds the NSEC or NSEC3 records to a zone.
fn add_chain(
    nodes: &mut BTreeMap<Name, Vec<RrsetData>>,
    links: &BTreeMap<Vec<u8>, (Name, BTreeSet<Rtype>)>,
    chain: Chain,
) {
    let keys: Vec<&Vec<u8>> = links.keys().collect();
    for (index, (key, (owner, types))) in links.iter().enumerate() {
        let next = keys[(index + 1) % keys.len()];
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let types = types.join(" ");
        let (owner, rtype, text) = match chain {
            Chain::Nsec => (owner.clone(), Rtype::NSEC, format!("{} {types}", name::to_text(&links[next].0))),
            _ => {
                let flags = u8::from(chain == Chain::OptOut);
                let owner = below(base32(key).as_bytes(), &apex());
                (owner, Rtype::NSEC3, format!("1 {flags} 0 - {} {types}", base32(next)))
            }
        };
        let rrsets = nodes.entry(owner.clone()).or_default();
        rrsets.push(rrset(rtype, &[text.trim_end()]));
        let signature = rrset(Rtype::RRSIG, &[&signature(rtype, &owner)]);
        match rrsets.iter_mut().find(|rrset| rrset.rtype == Rtype::RRSIG) {
            Some(all) => all.records.extend(signature.records),
            None => rrsets.push(signature),
        }
    }
}

/// Asks with DO and takes the answer apart.
fn ask(zones: &ZoneSet, qname: &Name, qtype: Rtype) -> Answer {
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(qname.as_slice());
    message.extend_from_slice(&qtype.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    let mut buffer = vec![0; 16_384];
    buffer[..message.len()].copy_from_slice(&message);
    let query = Query::read(&message).unwrap();
    let mut response = Response::new(&mut buffer, &query, 16_384);
    answer(zones, None, Question { name: &query.name, qtype, dnssec_ok: true }, &mut response);
    let len = response.finish();
    let message = Message::from_octets(&buffer[..len]).unwrap();
    let (_, answers, authority, _) = message.sections().unwrap();
    let mut found = Answer {
        rcode: message.header().rcode(),
        authoritative: message.header().aa(),
        records: Vec::new(),
        expanded: Vec::new(),
        cut: None,
        has_ds: false,
        links: Vec::new(),
        unsigned: Vec::new(),
        last: qname.clone(),
    };
    let mut signed = BTreeSet::new();
    let mut all = Vec::new();
    for (section, record) in answers.map(|record| (0, record)).chain(authority.map(|record| (1, record))) {
        let record = record.unwrap();
        let owner: Name = record.owner().to_name();
        let data = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().unwrap().into_data();
        let rtype = record.rtype();
        all.push((owner.clone(), rtype));
        match data {
            AllRecordData::Rrsig(rrsig) => {
                signed.insert((owner.clone(), rrsig.type_covered()));
                let labels = usize::from(rrsig.labels());
                let asterisk = usize::from(owner.as_slice().starts_with(b"\x01*"));
                if section == 0 && labels + asterisk < owner.label_count() - 1 {
                    found.expanded.push((owner.clone(), labels));
                }
            }
            AllRecordData::Nsec(nsec) => found.links.push(Link {
                owner: name::order_key(&owner),
                next: name::order_key(&nsec.next_name().to_name()),
                types: nsec.types().iter().map(Rtype::to_int).collect(),
                opt_out: false,
            }),
            AllRecordData::Nsec3(nsec3) => found.links.push(Link {
                owner: unbase32(&owner.as_slice()[1..33]),
                next: nsec3.next_owner().as_slice().to_vec(),
                types: nsec3.types().iter().map(Rtype::to_int).collect(),
                opt_out: nsec3.opt_out(),
            }),
            AllRecordData::Cname(cname) if section == 0 => found.last = cname.cname().to_name(),
            AllRecordData::Ns(_) if section == 1 => found.cut = Some(owner.clone()),
            AllRecordData::Ds(_) if section == 1 => found.has_ds = true,
            _ => {}
        }
        if section == 0 {
            found.records.push((owner, rtype));
        }
    }
    let is_synthesized = |owner: &Name| {
        all.iter().any(|(dname, rtype)| *rtype == Rtype::DNAME && owner != dname && owner.ends_with(dname))
    };
    found.unsigned = all
        .iter()
        .filter(|(owner, rtype)| match *rtype {
            Rtype::RRSIG => false,
            Rtype::NS => found.cut.as_ref() != Some(owner),
            Rtype::CNAME => !is_synthesized(owner),
            _ => true,
        })
        .filter(|key| !signed.contains(*key))
        .cloned()
        .collect();
    found
}

/// The text of a signature that nobody can verify.
fn signature(rtype: Rtype, owner: &Name) -> String {
    let labels = owner.label_count() - 1 - usize::from(owner.as_slice().starts_with(b"\x01*"));
    format!("{rtype} 13 {labels} 300 20400101000000 20200101000000 1 example.org. AAAA")
}

/// The ancestors of a name, closest first, as far as the root.
fn ancestors(name: &Name) -> Vec<Name> {
    let mut all = Vec::new();
    let mut name = name.clone();
    while let Some(parent) = name.parent() {
        all.push(parent.clone());
        name = parent;
    }
    all
}

/// A name one label below another.
fn below(label: &[u8], parent: &Name) -> Name {
    let wire = [&[label.len() as u8], label, parent.as_slice()].concat();
    Name::from_octets(wire.into()).unwrap()
}

/// The NSEC3 hash of a name without salt and iterations.
fn hash(name: &Name) -> [u8; 20] {
    Parameters { iterations: 0, salt: Box::default() }.hash(name::lower(name).as_slice())
}

/// Base32hex in lower case (RFC 4648 §7).
fn base32(octets: &[u8]) -> String {
    let bits: String = octets.iter().map(|octet| format!("{octet:08b}")).collect();
    let digit = |bits: &[u8]| {
        let value = u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap();
        char::from(b"0123456789abcdefghijklmnopqrstuv"[usize::from(value)])
    };
    bits.as_bytes().chunks(5).map(digit).collect()
}

/// The octets of base32hex.
fn unbase32(digits: &[u8]) -> Vec<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(32).unwrap();
    let bits: String = digits.iter().map(|digit| format!("{:05b}", value(digit))).collect();
    bits.as_bytes().chunks(8).map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap()).collect()
}

/// A zone as text, for the message of a failure.
fn text(zone: &[NodeData]) -> String {
    let mut text = Vec::new();
    store::zonefile::write(&apex(), zone.to_vec(), 300, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}
