//! Random zones and questions, answered twice: by the compiled zones and by the reference. For tests, and for the fuzz
//! target `answer`. `ZONDA_RANDOM_ZONES` makes more of them than the 2,000 of a usual test run, each asked 100 questions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::base::rdata::ComposeRecordData;
use domain::base::{Message, ParsedName, ToName};
use domain::rdata::AllRecordData;
use store::edit::NodeData;
use store::rules::records_to_nodes;
use store::{Name, Record, Rtype};

use super::reference::{Line, List, Reply, resolve};
use super::walk::Walk;
use super::{Found, Question, Zone, ZoneSet, answer};
use crate::wire::{Query, Response};

/// The records of a zone by owner in lower case.
type Owners = BTreeMap<Vec<u8>, Vec<Record>>;

impl Walk<'_> {
    /// One of some things.
    fn pick<'t, T: ?Sized>(&mut self, things: &[&'t T]) -> &'t T {
        things[self.below(things.len())]
    }

    /// True in one of `times` cases.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A name of up to three labels below `apex`.
    fn name_below(&mut self, apex: &[u8]) -> Vec<u8> {
        let mut name = apex.to_vec();
        for _ in 0..[0, 1, 1, 2, 2, 3][self.below(6)] {
            let label = if self.once_in(8) { self.pick(ODD_LABELS) } else { self.pick(LABELS) };
            name = [&[label.len() as u8], label, &name].concat();
        }
        name
    }

    /// A name below one of the apexes, or far from them.
    fn name(&mut self) -> Vec<u8> {
        let apex = self.pick(APEXES);
        if self.once_in(12) { b"\x07invalid\0".to_vec() } else { self.name_below(apex) }
    }

    /// The records of one owner, perhaps none: any mix that the rules of zones admit.
    fn records(&mut self, apex: &[u8], owner: &[u8]) -> Vec<Record> {
        let types: &[Rtype] = match self.below(18) {
            _ if owner.eq_ignore_ascii_case(apex) => match self.below(3) {
                0 => &[Rtype::SOA, Rtype::NS, Rtype::DNAME],
                1 => &[Rtype::SOA, Rtype::NS, Rtype::MX, Rtype::HTTPS, Rtype::A],
                _ => &[Rtype::SOA, Rtype::NS],
            },
            0 => &[],
            1..=3 => &[Rtype::CNAME],
            4 => &[Rtype::DNAME],
            5 => &[Rtype::DNAME, Rtype::A, Rtype::MX],
            6 => &[Rtype::NS],
            7 => &[Rtype::NS, Rtype::DS, Rtype::A],
            8 => &[Rtype::NS, Rtype::DNAME],
            9 => &[Rtype::SRV, Rtype::HTTPS, Rtype::MX],
            10 => &[Rtype::AAAA, Rtype::TXT],
            _ => &[Rtype::A, Rtype::AAAA],
        };
        let mut records = Vec::new();
        for &rtype in types {
            let count = match rtype {
                Rtype::SOA | Rtype::CNAME | Rtype::DNAME => 1,
                Rtype::MX if self.once_in(10) => 24,
                _ => 1 + self.below(3),
            };
            let ttl = 100 + self.below(3) as u32;
            for _ in 0..count {
                let rdata = self.rdata(rtype, apex);
                let ttl = ttl + u32::from(self.once_in(8));
                records.push(Record { owner: name(owner), rtype, ttl, rdata });
            }
        }
        records
    }

    /// Rdata of a type; names in it are mostly near, so that they lead to something.
    fn rdata(&mut self, rtype: Rtype, apex: &[u8]) -> Bytes {
        let number = self.below(4) as u8;
        let host = match self.below(20) {
            0 => b"\0".to_vec(),
            1..=6 => self.name(),
            7..=12 => self.name_below(apex),
            _ => {
                let label = self.pick(LABELS);
                [&[label.len() as u8], label, apex].concat()
            }
        };
        match rtype {
            Rtype::A => vec![192, 0, 2, number],
            Rtype::AAAA => vec![number; 16],
            Rtype::TXT => vec![1, number],
            Rtype::DS => [&[0, number, 8, 2], &[number; 32][..]].concat(),
            Rtype::MX | Rtype::HTTPS => [&[0, number], &host[..]].concat(),
            Rtype::SRV => [&[0, number, 0, 0, 0, 53], &host[..]].concat(),
            Rtype::SOA => [&host[..], &self.name(), &[0, 0, 0, number], &[1; 12], &[0, 0, 0, 100 + number]].concat(),
            _ => host,
        }
        .into()
    }

    /// A zone of a few owners.
    fn owners(&mut self, apex: &[u8]) -> Owners {
        let mut owners = Owners::new();
        owners.insert(apex.to_ascii_lowercase(), self.records(apex, apex));
        for _ in 0..2 + self.below(9) {
            let owner = self.name_below(apex);
            owners.insert(owner.to_ascii_lowercase(), self.records(apex, &owner));
        }
        owners
    }

    /// Asks for random names, and names near to those that exist.
    fn ask(&mut self, zones: &ZoneSet, lists: &[List], known: &[Vec<u8>], times: usize, buffer: &mut [u8]) {
        for _ in 0..times {
            let near = known.get(self.below(known.len() * 2));
            let qname = match near {
                Some(known) if self.once_in(2) => known.clone(),
                Some(known) => self.name_below(known),
                None => self.name(),
            };
            if qname.len() <= 255 {
                let qtype = TYPES[self.below(TYPES.len())];
                compare(zones, lists, &qname, qtype, buffer);
            }
        }
    }
}

/// Checks one answer against the reference.
fn compare(zones: &ZoneSet, lists: &[List], qname: &[u8], qtype: Rtype, buffer: &mut [u8]) {
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(qname);
    message.extend_from_slice(&qtype.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    buffer[..message.len()].copy_from_slice(&message);
    let query = Query::read(&message).unwrap();
    let mut response = Response::new(buffer, &query, 65_535);
    let question = Question { name: &query.name, qtype, dnssec_ok: false };
    let found = answer(zones, zones.ask(&query.name).as_ref(), question, &mut response);
    let len = response.finish();
    let expected = resolve(lists, &qname.to_ascii_lowercase(), qtype);
    let asked = || format!("{} {qtype}\n{lists:#?}", qname.escape_ascii());
    let Some(expected) = expected else {
        assert_eq!((found, len), (Found::NoZone, message.len()), "{}", asked());
        return;
    };
    let given = read(&buffer[..len]);
    assert_eq!(given, expected, "{}", asked());
    let plain = |found| expected.answer.is_empty() && found;
    assert_eq!(found == Found::NameError, plain(expected.rcode == 3), "{}", asked());
    let denied = expected.authority.iter().any(|line| line.rtype == Rtype::SOA);
    assert_eq!(found == Found::NoData, plain(expected.rcode == 0 && denied), "{}", asked());
}

/// What a message says; no record may be there twice.
fn read(octets: &[u8]) -> Reply {
    let message = Message::from_octets(octets).unwrap();
    assert!(!message.header().tc(), "{octets:02x?}");
    let (_, answer, authority, additional) = message.sections().unwrap();
    let mut seen = 0;
    let mut sections = [answer, authority, additional].map(|section| {
        let section = section.map(|record| {
            seen += 1;
            let record = record.unwrap().to_any_record::<AllRecordData<_, ParsedName<_>>>().unwrap();
            let mut rdata: Vec<u8> = Vec::new();
            record.data().compose_rdata(&mut rdata).unwrap();
            let owner: Name = record.owner().to_name();
            Line::new(owner.as_slice(), record.rtype(), record.ttl().as_secs(), &rdata)
        });
        section.collect::<BTreeSet<Line>>()
    });
    assert_eq!(sections.iter().map(BTreeSet::len).sum::<usize>(), seen, "a record is repeated: {sections:#?}");
    let [answer, authority, additional] = std::array::from_fn(|n| std::mem::take(&mut sections[n]));
    let header = message.header();
    Reply { rcode: header.rcode().to_int(), authoritative: header.aa(), answer, authority, additional }
}

/// Makes zones as `walk` chooses and asks `questions` about them.
fn walk_zones(walk: &mut Walk<'_>, questions: usize, buffer: &mut [u8]) {
    let mut data: BTreeMap<Vec<u8>, Owners> = BTreeMap::new();
    for _ in 0..1 + walk.below(4) {
        let apex = walk.pick(APEXES);
        data.insert(apex.to_ascii_lowercase(), walk.owners(apex));
    }
    let compile = |(apex, owners): (&Vec<u8>, &Owners)| Zone::compile(&name(apex), &nodes(owners), 300).into();
    let zones = ZoneSet::build(data.iter().map(compile));
    let lists: Vec<List> = data.iter().map(|(apex, owners)| List::new(apex, owners.values().flatten())).collect();
    let known: Vec<Vec<u8>> = data.values().flat_map(|owners| owners.keys().cloned()).collect();
    walk.ask(&zones, &lists, &known, questions, buffer);
}

/// Zones and questions as a fuzzer's octets choose them; panics where the answer is not the reference's.
pub fn check(octets: &[u8]) {
    walk_zones(&mut Walk::over(octets), 20, &mut vec![0; 65_535]);
}

#[test]
fn random_zones_answer_as_the_reference_does() {
    let zones = std::env::var("ZONDA_RANDOM_ZONES").map_or(2_000, |text| text.parse().unwrap());
    let mut walk = Walk::seeded(3);
    let mut buffer = vec![0; 65_535];
    for _ in 0..zones {
        walk_zones(&mut walk, 100, &mut buffer);
    }
}

#[test]
fn zones_that_octets_choose_answer_as_the_reference_does() {
    let mut walk = Walk::seeded(5);
    for _ in 0..200 {
        let octets: Vec<u8> = (0..walk.below(400)).map(|_| walk.below(256) as u8).collect();
        check(&octets);
    }
}

#[test]
fn randomly_edited_zones_answer_as_the_reference_does() {
    let mut walk = Walk::seeded(4);
    let mut buffer = vec![0; 65_535];
    for _ in 0..20 {
        let mut data: BTreeMap<Vec<u8>, Owners> = BTreeMap::new();
        let mut zones = ZoneSet::default();
        for _ in 0..100 {
            let mut changes = Vec::new();
            for _ in 0..1 + walk.below(2) {
                let apex = walk.pick(APEXES);
                let key = apex.to_ascii_lowercase();
                // The zone as the set had it, or as an earlier change of this turn left it.
                let earlier = changes.iter().rev().find(|(name, _): &&(Name, _)| name.as_slice() == key);
                let before = earlier.map_or_else(|| zones.get(&name(&key)).cloned(), |(_, zone)| Option::clone(zone));
                let zone = match before {
                    Some(_) if walk.once_in(12) => {
                        data.remove(&key);
                        None
                    }
                    Some(zone) => {
                        let owners = data.get_mut(&key).unwrap();
                        let mut edits = Vec::new();
                        for _ in 0..1 + walk.below(3) {
                            let owner = walk.name_below(apex);
                            let records = walk.records(apex, &owner);
                            let node = records_to_nodes(records.clone()).pop();
                            edits.push(node.unwrap_or(NodeData { owner: name(&owner), rrsets: Vec::new() }));
                            owners.insert(owner.to_ascii_lowercase(), records);
                        }
                        Some(zone.with(&edits).into())
                    }
                    None => {
                        let owners = data.entry(key.clone()).or_insert_with(|| walk.owners(apex));
                        Some(Zone::compile(&name(&key), &nodes(owners), 300).into())
                    }
                };
                changes.push((name(&key), zone));
            }
            zones = zones.with(changes);
            assert_eq!(zones.len(), data.len());
            let lists: Vec<List> =
                data.iter().map(|(apex, owners)| List::new(apex, owners.values().flatten())).collect();
            let mut known: Vec<Vec<u8>> = data.values().flat_map(|owners| owners.keys().cloned()).collect();
            known.push(b"\0".to_vec());
            walk.ask(&zones, &lists, &known, 20, &mut buffer);
        }
    }
}

/// The nodes of a zone.
fn nodes(owners: &Owners) -> Vec<NodeData> {
    records_to_nodes(owners.values().flatten().cloned().collect())
}

/// A name from wire form.
fn name(wire: &[u8]) -> Name {
    Name::from_octets(Bytes::copy_from_slice(wire)).unwrap()
}

/// Apexes of zones, some below others, one of them a wildcard's name.
const APEXES: &[&[u8]] = &[
    b"\0",
    b"\x03org\0",
    b"\x07example\x03org\0",
    b"\x07example\x03org\0",
    b"\x03sub\x07Example\x03org\0",
    b"\x01b\x03sub\x07example\x03org\0",
    b"\x01*\x07example\x03org\0",
    b"\x07example\x03net\0",
    b"\x07example\x03net\0",
];

/// Labels that meet often.
const LABELS: &[&[u8]] = &[b"a", b"b", b"A", b"*", b"sub", b"SUB", b"c", b"*"];

/// Labels that are not what they look like, and one that makes names long.
const ODD_LABELS: &[&[u8]] = &[
    b"\0",
    b"x\x03sub",
    b"**",
    b"a.b",
    b"@",
    b"\xff",
    b"org",
    b"an-odd-label-of-sixty-three-octets-which-makes-names-grow-quick",
];

/// Types to ask for.
const TYPES: &[Rtype] = &[
    Rtype::A,
    Rtype::A,
    Rtype::AAAA,
    Rtype::NS,
    Rtype::SOA,
    Rtype::MX,
    Rtype::SRV,
    Rtype::HTTPS,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::DS,
    Rtype::ANY,
    Rtype::TXT,
];
