//! Edits that hold only for what their writer has seen, RRsets that are set whole, and edits that are only tried.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::edit::JournalEntry;
use crate::edit::{Expected, RrsetData};
use crate::{Timestamp, ZoneState};

/// The op that sets an RRset from `owner [ttl] TYPE` and the rdata of its records.
fn set(head: &str, rdata: &[&str]) -> Op {
    let placeholder =
        rdata.first().copied().unwrap_or_else(|| if head.ends_with("SOA") { "ns h 1 2 3 4 5" } else { "192.0.2.1" });
    let row = new(&format!("{head} {placeholder}"));
    let parse = |text: &&str| types::rdata_from_text(row.rtype, text, Some(&apex())).unwrap();
    Op::Rrset {
        apex: apex(),
        owner: row.owner,
        rtype: row.rtype,
        ttl: row.ttl,
        rdata: rdata.iter().map(parse).collect(),
    }
}

fn rrset(store: &Store, owner: &str, rtype: Rtype) -> Option<RrsetData> {
    let owner = name::parse(owner, Some(&apex())).unwrap();
    let node = store.node(&apex(), &owner).unwrap().unwrap().1;
    node.into_iter().flat_map(|node| node.rrsets).find(|rrset| rrset.rtype == rtype)
}

#[test]
fn an_edit_that_expects_another_zone_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expecting = |expected| edit(vec![Op::Expect(apex(), expected), create("a A 192.0.2.1")]);
    for expected in [Expected::Present, Expected::Serial(Serial::from(1))] {
        assert!(matches!(store.apply(expecting(expected)), Err(EditError::NoZone(_))));
    }
    let made = store.apply(expecting(Expected::Absent)).unwrap();
    let serial = made.serial(&apex()).unwrap();
    assert!(matches!(store.apply(expecting(Expected::Absent)), Err(EditError::ZoneExists(_))));
    let other = Serial::from(serial.into_int() + 1);
    let refused = store.apply(expecting(Expected::Serial(other))).unwrap_err();
    assert!(matches!(refused, EditError::OtherSerial { expected, found, .. } if (expected, found) == (other, serial)));
    assert_eq!(store.zones().unwrap()[0].serial, serial);
    let next = edit(vec![Op::Expect(apex(), Expected::Serial(serial)), create("b A 192.0.2.1")]);
    assert_eq!(store.apply(next).unwrap().serial(&apex()), Some(other));
}

#[test]
fn a_set_rrset_keeps_the_rows_of_records_that_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![set("a A", &["192.0.2.1", "192.0.2.2", "192.0.2.1"]), create("a TXT x")])).unwrap();
    let before = store.rows(0, 10).unwrap().0;
    assert_eq!(before.len(), 3, "a record that is there twice is one");
    let turn = &store.apply(edit(vec![set("a A", &["192.0.2.3", "192.0.2.2"])])).unwrap().zones[0];
    assert_eq!((turn.added, turn.removed), (1, 1));
    let after = store.rows(0, 10).unwrap().0;
    assert_eq!(after[..2], [before[1].clone(), before[2].clone()]);
    assert_eq!(after.len(), 3);

    // The same again is no change, and says so.
    let same = store.apply(edit(vec![set("a A", &["192.0.2.2", "192.0.2.3"])])).unwrap();
    assert!(same.zones.is_empty());
    assert_eq!(same.serial(&apex()), Some(store.zones().unwrap()[0].serial));

    store.apply(edit(vec![set("a 60 A", &["192.0.2.2"])])).unwrap();
    assert_eq!(rrset(&store, "a", Rtype::A).unwrap().records[0].0, Some(60));
    store.apply(edit(vec![set("a A", &[])])).unwrap();
    assert_eq!((rrset(&store, "a", Rtype::A), rrset(&store, "b", Rtype::A)), (None, None));

    for (op, field) in [
        (set("a CNAME", &["b", "c"]), Faulty::Name),
        (set("@ SOA", &["ns h 1 2 3 4 5", "ns h 1 2 3 4 6"]), Faulty::Rtype),
        (
            Op::Rrset {
                apex: apex(),
                owner: name("example.net."),
                rtype: Rtype::A,
                ttl: None,
                rdata: vec![vec![192, 0, 2, 1].into()],
            },
            Faulty::Name,
        ),
        (
            Op::Rrset { apex: apex(), owner: apex(), rtype: Rtype::A, ttl: None, rdata: vec![Bytes::new()] },
            Faulty::Content,
        ),
    ] {
        let refused = store.apply(edit(vec![op])).unwrap_err();
        assert!(matches!(&refused, EditError::Rule { field: found, .. } if *found == field), "{refused}");
    }

    // An SOA of a client's own takes the place of the one that zonda made, and counts on.
    let served = store.zones().unwrap()[0].serial;
    let serial = store.apply(edit(vec![set("@ SOA", &["ns h 1 2 3 4 5"])])).unwrap().serial(&apex()).unwrap();
    assert_eq!(serial.into_int(), served.into_int() + 1);
    let last = store.apply(edit(vec![set("@ SOA", &[]), set("a TXT", &[])])).unwrap();
    assert_eq!(last.serial(&apex()), None, "with the last record of a client the zone goes");
}

#[test]
fn what_is_tried_is_what_would_happen_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let steps: [&dyn Fn() -> Edit; 4] = [
        &|| edit(vec![create("a A 192.0.2.1")]),
        &|| edit(vec![set("a A", &["192.0.2.2"]), set("b 60 TXT", &["x", "y"])]),
        &|| edit(vec![Op::Revert(apex(), Serial::from(2_026_112_500))]),
        &|| edit(vec![Op::RemoveZone(apex())]),
    ];
    for step in steps {
        let before = (store.survey(&mut |zones| zones).unwrap(), store.journal(&apex(), 100).unwrap());
        let trial = store.try_out(step()).unwrap();
        assert_eq!((store.survey(&mut |zones| zones).unwrap(), store.journal(&apex(), 100).unwrap()), before);
        assert_eq!(store.apply(step()).unwrap().zones, trial.applied.zones);
        assert_eq!(store.journal(&apex(), 1).unwrap(), trial.entries);
    }
    assert!(matches!(store.try_out(edit(vec![Op::Delete(5)])), Err(EditError::NoRow { id: 5, .. })));
}

#[test]
fn a_survey_names_who_changed_a_zone_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    store.apply(Edit { who: "import".into(), api: Api::Import, ops: vec![create("b A 192.0.2.1")] }).unwrap();
    let survey = store.survey(&mut |zones| zones).unwrap();
    let (zone, last) = &survey[0];
    assert_eq!(zone, &ZoneState::Served(store.zones().unwrap().remove(0)));
    let last = last.clone().unwrap();
    assert_eq!((last.who.as_str(), last.api), ("import", Api::Import));
    assert_eq!(store.zone(&apex()).unwrap().as_ref(), survey.first());
    assert!(store.zone(&name("example.net.")).unwrap().is_none());
    assert!(store.survey(&mut |_| Vec::new()).unwrap().is_empty());
}

/// A time that is another one at each look.
fn ticking() -> Timestamp {
    static NOW: AtomicU64 = AtomicU64::new(1_795_608_000_000);
    NOW.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn the_newest_changes_of_all_zones_are_told_those_of_removed_zones_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::with_db(Db::open(folder.path()).unwrap(), ticking).unwrap().store;
    let other = name("example.net.");
    let net = |content: &str| Op::Rrset {
        apex: other.clone(),
        owner: other.clone(),
        rtype: Rtype::A,
        ttl: None,
        rdata: vec![types::rdata_from_text(Rtype::A, content, None).unwrap()],
    };
    let apply = |op: Op| store.apply(edit(vec![op])).unwrap();
    apply(create("a A 192.0.2.1"));
    apply(net("192.0.2.2"));
    apply(create("b A 192.0.2.3"));
    let look = |apex: &Name, entry: &JournalEntry| (name::to_text(apex), entry.to.is_some());
    let (org, net) = (|| ("example.org.".to_owned(), true), |is_there| ("example.net.".to_owned(), is_there));
    assert_eq!(store.recent(9, &look).unwrap(), [org(), net(true), org()]);
    apply(Op::RemoveZone(other.clone()));
    assert_eq!(store.recent(9, &look).unwrap(), [net(false), org(), net(true), org()]);
    assert_eq!(store.recent(2, &look).unwrap(), [net(false), org()]);
    assert_eq!(store.recent(0, &look).unwrap(), []);
}
