//! Edits against whole compiles: a zone that was edited step by step answers as one compiled from its final data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::edit::{NodeData, RrsetData};
use store::types::rdata_from_text;
use store::{Name, Rtype, name};

use super::walk::Walk;
use super::{Found, Hub, Match, Question, Reader, Zone, ZoneSet, answer};
use crate::wire::{QName, Query, Response};

impl Walk<'_> {
    /// A name of up to four labels from a small alphabet, so that names meet.
    pub(super) fn owner(&mut self) -> Name {
        let labels = self.below(4);
        let text: Vec<&str> = (0..labels).map(|_| ["a", "b", "c", "*", "sub"][self.below(5)]).collect();
        let text = if text.is_empty() { "@".into() } else { text.join(".") };
        name::parse(&text, Some(&apex())).unwrap()
    }

    /// RRsets for an owner, perhaps none.
    pub(super) fn rrsets(&mut self, owner: &Name) -> Vec<RrsetData> {
        let mut rrsets = Vec::new();
        if *owner == apex() {
            rrsets.push(rrset(Rtype::NS, &["ns"]));
            rrsets.push(rrset(Rtype::SOA, &[&format!("ns host {} 1 1 1 60", self.below(1000))]));
            return rrsets;
        }
        match self.below(8) {
            0 | 1 => {}
            2 => rrsets.push(rrset(Rtype::CNAME, &[["a", "b.c", "x.sub", "example.net."][self.below(4)]])),
            3 => rrsets.push(rrset(Rtype::DNAME, &[["a", "b.c", "example.net."][self.below(3)]])),
            4 => rrsets.push(rrset(Rtype::NS, &["ns.a", "b.c", "ns.example.net."][..1 + self.below(3)])),
            _ => {
                rrsets.push(rrset(Rtype::A, &["192.0.2.1", "192.0.2.2"][..1 + self.below(2)]));
                if self.below(2) == 0 {
                    rrsets.push(rrset(Rtype::MX, &["10 a", "20 b.c"]));
                }
            }
        }
        rrsets
    }
}

pub(super) fn apex() -> Name {
    name::parse("example.org.", None).unwrap()
}

pub(super) fn rrset(rtype: Rtype, texts: &[&str]) -> RrsetData {
    let rdata = |text: &&str| (Some(300), rdata_from_text(rtype, text, Some(&apex())).unwrap());
    RrsetData { rtype, records: texts.iter().map(rdata).collect() }
}

/// The whole answer to a question, octet for octet.
fn ask(zones: &ZoneSet, qname: &Name, qtype: Rtype) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(qname.as_slice());
    message.extend_from_slice(&qtype.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    buffer[..message.len()].copy_from_slice(&message);
    let query = Query::read(&message).unwrap();
    let mut response = Response::new(&mut buffer, &query, 4096);
    answer(zones, None, Question { name: &query.name, qtype, dnssec_ok: false }, &mut response);
    let len = response.finish();
    buffer.truncate(len);
    buffer
}

#[test]
fn a_withheld_zone_stays_so_until_it_is_replaced_or_removed() {
    let soa = NodeData { owner: apex(), rrsets: vec![rrset(Rtype::SOA, &["ns host 1 1 1 1 60"])] };
    let found = |zone: Option<Zone>| {
        let zones = ZoneSet::build([Zone::withheld(&apex()).into()]).with([(apex(), zone.map(Arc::new))]);
        let message = [&[0; 5], &[1][..], &[0; 6], apex().as_slice(), &[0, 6, 0, 1]].concat();
        let query = Query::read(&message).unwrap();
        let mut buffer = [&message[..], &[0; 512]].concat();
        let question = Question { name: &query.name, qtype: Rtype::SOA, dnssec_ok: false };
        answer(&zones, None, question, &mut Response::new(&mut buffer, &query, 512))
    };
    let withheld = Zone::withheld(&apex());
    assert_eq!(found(Some(withheld.with(std::slice::from_ref(&soa)))), Found::Withheld, "part of it is known");
    assert_eq!(found(Some(Zone::compile(&apex(), &[soa], 300))), Found::Data);
    assert_eq!(found(None), Found::NoZone);
}

#[test]
fn an_edited_zone_answers_as_one_compiled_anew() {
    let mut walk = Walk::seeded(1);
    for _ in 0..20 {
        let mut data: BTreeMap<Name, NodeData> = BTreeMap::new();
        let mut edited = Zone::compile(&apex(), &[], 300);
        for _ in 0..60 {
            let mut changes = Vec::new();
            for _ in 0..1 + walk.below(4) {
                let owner = walk.owner();
                let node = NodeData { rrsets: walk.rrsets(&owner), owner };
                data.insert(node.owner.clone(), node.clone());
                changes.push(node);
            }
            edited = edited.with(&changes);
        }
        let nodes: Vec<NodeData> = data.values().filter(|node| !node.rrsets.is_empty()).cloned().collect();
        let whole = Zone::compile(&apex(), &nodes, 300);
        assert_eq!(edited.names(), whole.names());
        let (edited, whole) = (ZoneSet::build([edited.into()]), ZoneSet::build([whole.into()]));
        for _ in 0..400 {
            let qname = walk.owner();
            for qtype in [Rtype::A, Rtype::MX, Rtype::NS, Rtype::DS, Rtype::CNAME, Rtype::ANY, Rtype::SOA] {
                assert_eq!(ask(&edited, &qname, qtype), ask(&whole, &qname, qtype), "{qname} {qtype}");
            }
        }
    }
}

#[test]
fn every_message_can_be_read_again() {
    let mut walk = Walk::seeded(2);
    for _ in 0..50 {
        let mut owners: Vec<Name> = (0..20).map(|_| walk.owner()).collect();
        owners.push(apex());
        let nodes: Vec<NodeData> =
            owners.into_iter().map(|owner| NodeData { rrsets: walk.rrsets(&owner), owner }).collect();
        let zones = ZoneSet::build([Zone::compile(&apex(), &nodes, 300).into()]);
        for _ in 0..200 {
            let message = ask(&zones, &walk.owner(), Rtype::A);
            let message = domain::base::Message::from_octets(&message[..]).unwrap();
            let (_, answer, authority, additional) = message.sections().unwrap();
            for record in answer.chain(authority).chain(additional) {
                let record = record.unwrap();
                assert!(record.owner().to_string().len() < 255);
                assert!(record.to_any_record::<domain::rdata::AllRecordData<_, _>>().is_ok());
            }
        }
    }
}

#[test]
fn the_last_node_takes_its_empty_ancestors_with_it() {
    let owner = name::parse("x.y.z", Some(&apex())).unwrap();
    let node = |rrsets| [NodeData { owner: owner.clone(), rrsets }];
    let zone = Zone::compile(&apex(), &[NodeData { owner: apex(), rrsets: vec![rrset(Rtype::NS, &["ns"])] }], 300);
    let with = zone.with(&node(vec![rrset(Rtype::A, &["192.0.2.1"])]));
    assert_eq!((zone.names(), with.names()), (1, 4));
    let without = with.with(&node(Vec::new()));
    assert_eq!(without.names(), 1);
    let qname = QName::from_wire(b"\x01z\x07example\x03org\0").unwrap();
    assert!(matches!(with.find(&qname, Rtype::A), Match::Exact(_)));
    assert!(matches!(without.find(&qname, Rtype::A), Match::NameError(_)));
}

#[test]
fn readers_see_a_change_of_two_zones_whole_and_old_snapshots_are_freed() {
    let names = ["example.org.", "example.net."].map(|text| name::parse(text, None).unwrap());
    let zone = |apex: &Name, serial: u32| {
        let soa = rrset(Rtype::SOA, &[&format!("ns host {serial} 1 1 1 60")]);
        Arc::new(Zone::compile(apex, &[NodeData { owner: apex.clone(), rrsets: vec![soa] }], 300))
    };
    let hub = Hub::new();
    let set = hub.add();
    let publish = |serial| {
        hub.publish(set, |zones| zones.with(names.iter().map(|apex| (apex.clone(), Some(zone(apex, serial))))));
    };
    publish(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = Reader::new(Arc::clone(&hub));
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    reader.turn();
                    let zones = reader.snapshot().set(set).unwrap();
                    let serials = names.each_ref().map(|apex| zones.get(apex).unwrap().serial().unwrap().0);
                    assert_eq!(serials[0], serials[1]);
                    assert!(serials[0] >= last, "a reader went back");
                    last = serials[0];
                }
            });
        }
        (1..2000).for_each(publish);
        done.store(true, Ordering::Relaxed);
    });
    let old = Arc::downgrade(&hub.current());
    publish(2000);
    publish(2001);
    assert!(old.upgrade().is_none(), "a snapshot that nobody holds is kept");
}

#[test]
fn a_publisher_at_work_stops_no_reader() {
    // A worker that saw a new generation waited for the lock that the next publisher held while it made its change.
    let hub = Hub::new();
    let set = hub.add();
    let mut reader = Reader::new(Arc::clone(&hub));
    hub.publish(set, ZoneSet::clone);
    hub.publish(set, |zones| {
        let (told, tell) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            reader.turn();
            told.send(reader.snapshot().generation())
        });
        assert_eq!(tell.recv_timeout(std::time::Duration::from_secs(10)), Ok(2));
        zones.clone()
    });
}

#[test]
fn a_dname_that_redirects_twice_stands_in_the_answer_once() {
    let records = |owner: &str, rrsets| NodeData { owner: name::parse(owner, Some(&apex())).unwrap(), rrsets };
    let nodes = [
        records("old", vec![rrset(Rtype::DNAME, &["new"])]),
        records("x.new", vec![rrset(Rtype::CNAME, &["y.old"])]),
        records("y.new", vec![rrset(Rtype::A, &["192.0.2.1"])]),
        records("z.new", vec![rrset(Rtype::CNAME, &["old"])]),
    ];
    let zones = ZoneSet::build([Zone::compile(&apex(), &nodes, 300).into()]);
    // DNAME, CNAME, CNAME, CNAME, A; and DNAME, CNAME, CNAME for the DNAME itself.
    for (qname, qtype, answers) in [("x.old", Rtype::A, 5), ("z.old", Rtype::DNAME, 3)] {
        let message = ask(&zones, &name::parse(qname, Some(&apex())).unwrap(), qtype);
        assert_eq!(message[6..8], [0, answers], "{qname}");
    }
}

#[test]
fn the_root_as_target_of_a_service_is_its_owner() {
    // RFC 9460 §2.5.2, but §2.5.1 in alias mode.
    let nodes = |texts| {
        let rrsets = vec![rrset(Rtype::A, &["192.0.2.1", "192.0.2.2"]), rrset(Rtype::HTTPS, texts)];
        [NodeData { owner: name::parse("*.www", Some(&apex())).unwrap(), rrsets }]
    };
    // Named twice, in two ways, its addresses are there once.
    let cases: [(&[&str], u8); 3] = [(&["1 . alpn=h2"], 2), (&["0 ."], 0), (&["1 . alpn=h2", "2 a.www"], 2)];
    for (texts, additional) in cases {
        let zones = ZoneSet::build([Zone::compile(&apex(), &nodes(texts), 300).into()]);
        let message = ask(&zones, &name::parse("a.www", Some(&apex())).unwrap(), Rtype::HTTPS);
        assert_eq!(message[6..12], [0, texts.len() as u8, 0, 0, 0, additional], "{texts:?}");
    }
}

#[test]
fn hosts_of_a_cut_get_what_addresses_there_are() {
    let records = |owner: &str, rrsets| NodeData { owner: name::parse(owner, Some(&apex())).unwrap(), rrsets };
    let nodes = [
        records("@", vec![rrset(Rtype::NS, &["ns.sub", "any.wild"])]),
        // The last is a host of another zone, whose addresses are not those of `foreign` here.
        records("sub", vec![rrset(Rtype::NS, &["ns.sub", "other.wild", "foreign.example.net."])]),
        records("ns.sub", vec![rrset(Rtype::A, &["192.0.2.1"])]),
        records("foreign", vec![rrset(Rtype::A, &["192.0.2.3"])]),
        records("*.wild", vec![rrset(Rtype::A, &["192.0.2.2"])]),
    ];
    let zones = ZoneSet::build([Zone::compile(&apex(), &nodes, 300).into()]);
    // RFC 1034 §4.3.2: a referral carries addresses that a wildcard gives (step 3b), and the NS RRset of the apex those
    // of its hosts below a cut (step 6).
    for (qname, counts) in [("x.sub", [0, 0, 0, 3, 0, 2]), ("@", [0, 2, 0, 0, 0, 2])] {
        let message = ask(&zones, &name::parse(qname, Some(&apex())).unwrap(), Rtype::NS);
        assert_eq!(message[6..12], counts, "{qname}");
    }
}
