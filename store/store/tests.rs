//! The store as its callers see it: rules as data, serials, many writers; the other parts have files of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use domain::base::iana::Rtype;

use super::*;
use crate::db::Then;
use crate::edit::{Api, NewRow, Op};
use crate::rules::records_to_nodes;
use crate::zonefile::{Options, read_text};
use crate::{Action, Faulty, ROWS_MAX, Record, RowChange, types};

mod backup;
mod damage;
mod expected;
mod history;
mod removed;
mod restart;

fn name(text: &str) -> Name {
    name::parse(text, None).unwrap()
}

fn apex() -> Name {
    name("example.org.")
}

/// The store in a folder, on 2026-11-25 at 12:00 UTC for ever.
fn open(folder: &Path) -> Store {
    Store::with_db(Db::open(folder).unwrap(), || 1_795_608_000_000).unwrap().store
}

/// A row from `owner [ttl] TYPE rdata`, names relative to example.org.
fn new(line: &str) -> NewRow {
    let mut words = line.split_whitespace().peekable();
    let owner = name::parse(words.next().unwrap(), Some(&apex())).unwrap();
    let ttl = words.next_if(|word| word.parse::<u32>().is_ok()).map(|ttl| ttl.parse().unwrap());
    let rtype = types::rtype_from_text(words.next().unwrap()).unwrap();
    let rest: Vec<_> = words.collect();
    NewRow {
        id: None,
        zone: apex(),
        owner,
        rtype,
        ttl,
        rdata: types::rdata_from_text(rtype, &rest.join(" "), Some(&apex())).unwrap(),
        written: None,
    }
}

fn edit(ops: Vec<Op>) -> Edit {
    Edit { who: "admin@example.org".into(), api: Api::Pocketbase, ops }
}

fn create(line: &str) -> Op {
    Op::Create(new(line))
}

fn update(id: RowId, line: &str) -> Op {
    let line = line.to_owned();
    Op::Update(id, Box::new(move |_| Ok(new(&line))))
}

fn records(text: &str) -> Vec<Record> {
    let text = format!("$TTL 60\n{text}");
    read_text("zone", text.as_bytes(), Some(&apex()), &Options::default()).unwrap().records
}

fn import(text: &str) -> Op {
    Op::Import { apex: apex(), records: records(text) }
}

/// What is served of a zone, a line a record.
fn served(store: &Store, apex: &Name) -> Vec<String> {
    let mut lines = Vec::new();
    store.nodes(apex, &mut |node| lines.extend(print(&node))).unwrap();
    lines
}

fn print(node: &NodeData) -> Vec<String> {
    let mut lines = Vec::new();
    for rrset in &node.rrsets {
        for (ttl, rdata) in &rrset.records {
            let ttl = ttl.map_or("-".into(), |ttl| ttl.to_string());
            let rdata = types::rdata_to_text(rrset.rtype, rdata);
            lines.push(format!("{} {ttl} {} {rdata}", name::to_text(&node.owner), rrset.rtype));
        }
    }
    lines
}

fn serial(store: &Store) -> u32 {
    let zones = store.zones().unwrap();
    let zone = zones.iter().find(|zone| zone.apex == apex()).unwrap();
    let lines = served(store, &apex());
    let soa = lines.iter().find(|line| line.contains(" SOA ")).unwrap();
    assert!(soa.contains(&zone.serial.to_string()), "{soa}");
    zone.serial.into_int()
}

const BASE: &str = "@ SOA ns h 7 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

#[test]
fn steps_that_break_a_rule_are_refused_with_field_and_step_and_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ops = vec![
        create("@ SOA ns h 7 2 3 4 5"),
        create("www A 192.0.2.1"),
        create("alias CNAME www"),
        create("down DNAME www"),
    ];
    let made = store.apply(edit(ops)).unwrap();
    let www = made.rows[1].id;
    let before = (served(&store, &apex()), store.zones().unwrap());
    let with_id = |id| Op::Create(NewRow { id: Some(id), ..new("x A 192.0.2.9") });
    let with_ttl = Op::Create(NewRow { ttl: Some(1 << 31), ..new("x A 192.0.2.9") });
    let with_rdata = |rtype, rdata: &'static [u8]| {
        Op::Create(NewRow { rtype, rdata: Bytes::from_static(rdata), ..new("x A 192.0.2.9") })
    };
    let outside = Op::Create(NewRow { owner: name("www.example.net."), ..new("x A 192.0.2.9") });
    let same = format!("the record exists already (id {www})");
    for (case, op, field, message) in [
        ("cname-beside-data", create("www CNAME x"), Faulty::Name, "CNAME record beside other data"),
        ("data-beside-cname", create("alias TXT x"), Faulty::Name, "CNAME record beside other data"),
        ("cname-at-apex", create("@ CNAME x"), Faulty::Name, "CNAME record beside other data"),
        ("second-cname", create("alias CNAME x"), Faulty::Name, "more than one CNAME"),
        ("second-dname", create("down DNAME x"), Faulty::Name, "more than one DNAME"),
        ("second-soa", create("@ SOA ns h 1 2 3 4 6"), Faulty::Rtype, "more than one SOA"),
        ("soa-below-apex", create("www SOA ns h 1 2 3 4 5"), Faulty::Name, "belongs to the apex"),
        ("outside-zone", outside, Faulty::Name, "lies outside the zone example.org."),
        ("ttl-too-big", with_ttl, Faulty::Ttl, "at most 2147483647"),
        ("id-0", with_id(0), Faulty::Id, "1 to 18 digits"),
        ("id-of-19-digits", with_id(1_000_000_000_000_000_000), Faulty::Id, "1 to 18 digits"),
        ("meta-type", with_rdata(Rtype::ANY, b""), Faulty::Rtype, "not a type of data"),
        ("rdata-too-short", with_rdata(Rtype::A, b"abc"), Faulty::Content, ""),
        ("rdata-too-long", with_rdata(Rtype::A, b"abcde"), Faulty::Content, ""),
        ("same-record", create("WWW A 192.0.2.1"), Faulty::Content, same.as_str()),
        ("update-to-same", update(made.rows[2].id, "www A 192.0.2.1"), Faulty::Content, same.as_str()),
        ("import-without-soa", import("@ NS ns"), Faulty::Content, "no SOA record"),
        ("import-without-ns", import("@ SOA ns h 9 2 3 4 5"), Faulty::Content, "no NS record"),
        ("import-outside", import(&format!("{BASE}example.net. A 192.0.2.1")), Faulty::Name, "example.net. A: "),
        ("import-second-soa", import(&format!("{BASE}@ SOA ns h 8 2 3 4 6")), Faulty::Rtype, "more than one SOA"),
    ] {
        match store.apply(edit(vec![create("fine A 192.0.2.9"), op])) {
            Err(EditError::Rule { op: 1, field: found, message: text }) => {
                assert_eq!(found, field, "{case}: {text}");
                assert!(text.contains(message), "{case}: {text}");
            }
            other => panic!("{case}: {other:?}"),
        }
        assert_eq!((served(&store, &apex()), store.zones().unwrap()), before, "{case}");
    }
    assert_eq!(store.rows(0, 100).unwrap().1, 4);
}

#[test]
fn rows_and_zones_that_do_not_exist_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("www A 192.0.2.1")])).unwrap();
    let taken = Op::Create(NewRow { id: Some(made.rows[0].id), ..new("x A 192.0.2.9") });
    assert!(matches!(store.apply(edit(vec![taken])), Err(EditError::IdTaken { op: 0, .. })));
    assert!(matches!(
        store.apply(edit(vec![create("y A 192.0.2.9"), Op::Delete(5)])),
        Err(EditError::NoRow { op: 1, id: 5 })
    ));
    assert!(matches!(store.apply(edit(vec![update(5, "x A 192.0.2.9")])), Err(EditError::NoRow { op: 0, id: 5 })));
    let gone = Op::RemoveZone(name("example.net."));
    assert!(matches!(store.apply(edit(vec![gone])), Err(EditError::NoZone(_))));
    assert!(store.row(5).unwrap().is_none());
    assert!(!store.nodes(&name("example.net."), &mut |_| ()).unwrap());
    assert!(store.journal(&name("example.net."), 9).unwrap().is_empty());
}

#[test]
fn an_upsert_adds_a_row_and_replaces_it_and_each_step_shows_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let upsert = |line: &'static str| {
        let make = move |former: Option<&Row>| Ok(NewRow { ttl: former.map(|row| row.id as u32), ..new(line) });
        Op::Upsert(42, Box::new(make))
    };
    let made = store.apply(edit(vec![upsert("a A 192.0.2.1"), upsert("a A 192.0.2.2")])).unwrap();
    let seen: Vec<_> = made.rows.iter().map(|row| (row.id, row.ttl, row.rdata[3])).collect();
    assert_eq!(seen, [(42, None, 1), (42, Some(42), 2)]);
    assert_eq!(store.row(42).unwrap().as_ref(), made.rows.last());
    let refused = Op::Upsert(43, Box::new(|_| Err(crate::stage::rule(77, Faulty::Ttl, "no".into()))));
    let refused = store.apply(edit(vec![create("b A 192.0.2.1"), refused])).unwrap_err();
    assert_eq!(refused.op(), Some(1));
    // The first fault is told, also where the rules of zones see it only once all steps are taken.
    let steps = vec![create("b A 192.0.2.1"), create("a CNAME b"), create("c A 192.0.2.1"), Op::Delete(5)];
    assert_eq!(store.apply(edit(steps)).unwrap_err().op(), Some(1));
}

#[test]
fn a_zone_is_completed_until_a_client_does_and_goes_with_its_last_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("www A 192.0.2.1")])).unwrap();
    let first = serial(&store);
    assert_eq!(first, 2_026_112_500);
    let generated = |serial: u32| {
        [
            format!("example.org. - SOA ns1.example.org. hostmaster.example.org. {serial} 7200 3600 1209600 300"),
            "example.org. - NS ns1.example.org.".to_owned(),
        ]
    };
    let lines = served(&store, &apex());
    assert!(generated(first).iter().all(|line| lines.contains(line)) && lines.len() == 3, "{lines:?}");
    assert_eq!(store.rows(0, 10).unwrap().1, 1, "generated rows are not listed");
    assert_eq!(store.zones().unwrap()[0].records, 3);

    let own = store.apply(edit(vec![create("@ 60 SOA ns h 0 2 3 4 5"), create("@ NS ns.example.net.")]));
    let own = own.unwrap();
    let after = served(&store, &apex());
    assert_eq!(after.len(), 3);
    let soa = format!("example.org. 60 SOA ns.example.org. h.example.org. {} 2 3 4 5", first + 1);
    assert!(after.contains(&soa), "{after:?}");
    assert_eq!(serial(&store), first + 1, "serial 0 of a client means none");
    assert_eq!(
        types::rdata_to_text(Rtype::SOA, &own.rows[0].rdata).split(' ').nth(2).unwrap(),
        (first + 1).to_string()
    );

    store.apply(edit(vec![Op::Delete(own.rows[0].id), Op::Delete(own.rows[1].id)])).unwrap();
    let lines = served(&store, &apex());
    assert!(lines.iter().any(|line| *line == generated(first + 2)[0]), "{lines:?}");

    let gone = store.apply(edit(vec![Op::Delete(made.rows[0].id)])).unwrap();
    assert_eq!(gone.zones[0].to, None);
    assert_eq!(gone.rows[0].id, made.rows[0].id);
    assert!(store.zones().unwrap().is_empty());
    assert_eq!(store.rows(0, 10).unwrap(), (vec![], 0));
    store
        .shared
        .db
        .read(|view| {
            for table in [Table::Zones, Table::Numbers, Table::Records, Table::Ids, Table::Order, Table::Pages] {
                assert_eq!(view.count(table)?, 0, "{table:?}");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn serials_move_once_an_edit_and_only_when_content_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE)])).unwrap();
    assert_eq!(serial(&store), 7, "an import keeps the serial of its file");
    let digest = store.zones().unwrap()[0].digest;
    for (case, ops, expected) in [
        ("same import", vec![import(BASE)], 7),
        ("same import, lower serial", vec![import(&BASE.replace(" 7 ", " 3 "))], 7),
        ("two rows in one edit", vec![create("a A 192.0.2.1"), create("b A 192.0.2.1")], 8),
        ("back again", vec![import(BASE)], 9),
        ("serial of the file is ahead", vec![import(&BASE.replace(" 7 ", " 20 "))], 20),
        ("content differs, serial behind", vec![import(&BASE.replace("192.0.2.1", "192.0.2.2"))], 21),
        ("content differs, serial ahead", vec![import(&BASE.replace(" 7 ", " 4000000000 "))], 22),
        ("remove and make again", vec![Op::RemoveZone(apex()), import(BASE)], 22),
    ] {
        store.apply(edit(ops)).unwrap();
        assert_eq!(serial(&store), expected, "{case}");
    }
    store.apply(edit(vec![import(&BASE.replace(" 7 ", " 2147483600 "))])).unwrap();
    store.apply(edit(vec![import(&BASE.replace(" 7 ", " 4294967200 "))])).unwrap();
    store.apply(edit(vec![import(&BASE.replace(" 7 ", " 4294967295 "))])).unwrap();
    assert_eq!(serial(&store), u32::MAX);
    store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    assert_eq!(serial(&store), 1, "0 is left out");
    assert_ne!(store.zones().unwrap()[0].digest, digest);
}

#[test]
fn an_update_that_changes_nothing_moves_only_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("www A 192.0.2.1"), create("@ SOA ns h 5 2 3 4 5")])).unwrap();
    let zone = store.zones().unwrap();
    let journal = store.journal(&apex(), 9).unwrap();
    let done = store
        .apply(edit(vec![update(made.rows[0].id, "www A 192.0.2.1"), update(made.rows[1].id, "@ SOA ns h 0 2 3 4 5")]))
        .unwrap();
    assert!(done.zones.is_empty());
    assert_eq!(store.zones().unwrap(), zone);
    assert_eq!(store.journal(&apex(), 9).unwrap(), journal);
    assert_eq!(done.rows[0].created, made.rows[0].created);
    assert_eq!(done.rows[1].rdata, made.rows[1].rdata);
    assert_eq!(store.row(made.rows[0].id).unwrap().unwrap(), done.rows[0]);
}

#[test]
fn an_update_moves_a_row_to_another_owner_type_and_zone_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("a A 192.0.2.1"), create("b A 192.0.2.2")])).unwrap();
    let id = made.rows[0].id;
    let moved = Op::Update(
        id,
        Box::new(|old| {
            assert_eq!(old.rtype, Rtype::A);
            Ok(NewRow { zone: name("example.net."), owner: name("c.example.net."), ..new("c AAAA 2001:db8::1") })
        }),
    );
    let done = store.apply(edit(vec![moved])).unwrap();
    assert_eq!(done.zones.len(), 2);
    assert_eq!(served(&store, &apex()).len(), 3);
    assert_eq!(served(&store, &name("example.net.")).len(), 3);
    let row = store.row(id).unwrap().unwrap();
    assert_eq!((row.zone, row.rtype, row.created), (name("example.net."), Rtype::AAAA, made.rows[0].created));
    let (rows, total) = store.rows(0, 10).unwrap();
    assert_eq!((rows[0].id, total), (id, 2), "its place in the list stays");
    store.load(&mut |_| ()).unwrap().is_empty().then_some(()).unwrap();
    store.apply(edit(vec![Op::Delete(id)])).unwrap();
    assert_eq!(store.zones().unwrap().len(), 1);
}

#[test]
fn an_import_keeps_id_and_times_of_rows_that_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let text = format!("{BASE}mail MX 10 Mail\nmail 60 MX 10 mail\nx TXT a\n");
    store.apply(edit(vec![import(&text)])).unwrap();
    let (before, total) = store.rows(0, 100).unwrap();
    assert_eq!(total, 5, "a repeated record is kept once");
    let text = text.replace("mail MX", "mail 61 MX").replace("x TXT a", "x TXT b");
    let done = store.apply(edit(vec![import(&text)])).unwrap();
    assert_eq!((done.zones[0].added, done.zones[0].removed), (2, 2));
    let (after, _) = store.rows(0, 100).unwrap();
    let by_type = |rows: &[Row]| -> BTreeMap<Rtype, RowId> { rows.iter().map(|row| (row.rtype, row.id)).collect() };
    let (old, new) = (by_type(&before), by_type(&after));
    for (rtype, stays) in [(Rtype::SOA, true), (Rtype::NS, true), (Rtype::MX, true), (Rtype::TXT, false)] {
        assert_eq!(old[&rtype] == new[&rtype], stays, "{rtype}");
    }
    let mx = after.iter().find(|row| row.rtype == Rtype::MX).unwrap();
    assert_eq!(mx.ttl, Some(61));
}

#[test]
fn published_changes_lead_to_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (publish, changes) = mpsc::channel();
    store.publish_to(Box::new(move |changes| publish.send(changes).unwrap()));
    let mut mirror: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, NodeData>> = BTreeMap::new();
    let made = store.apply(edit(vec![create("a A 192.0.2.2"), create("a A 192.0.2.1")])).unwrap();
    let (one, two) = (made.rows[0].id, made.rows[1].id);
    let elsewhere =
        |_: &Row| Ok(NewRow { zone: name("example.net."), owner: name("a.example.net."), ..new("a A 192.0.2.2") });
    for ops in [
        vec![],
        vec![create("a TXT x"), create("b.a A 192.0.2.1")],
        vec![Op::Delete(two)],
        vec![Op::Update(one, Box::new(elsewhere))],
        vec![import(BASE)],
        vec![import(&BASE.replace("ns A", "ns2 A"))],
        vec![Op::RemoveZone(name("example.net."))],
        vec![Op::RemoveZone(apex()), create("z A 192.0.2.1")],
        vec![Op::RemoveZone(apex())],
    ] {
        store.apply(edit(ops)).unwrap();
        for change in changes.try_iter().flatten() {
            match change {
                Change::Whole { apex, nodes } => {
                    let nodes = nodes.into_iter().map(|node| (name::order_key(&node.owner), node));
                    mirror.insert(name::order_key(&apex), nodes.collect());
                }
                Change::Nodes { apex, nodes } => {
                    assert!(nodes.iter().any(|node| node.owner == apex), "the apex has the new serial");
                    let zone = mirror.get_mut(&name::order_key(&apex)).unwrap();
                    for node in nodes {
                        match node.rrsets.is_empty() {
                            true => zone.remove(&name::order_key(&node.owner)),
                            false => zone.insert(name::order_key(&node.owner), node),
                        };
                    }
                }
                Change::Removed { apex } => drop(mirror.remove(&name::order_key(&apex)).unwrap()),
            }
        }
        let mut stored: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, NodeData>> = BTreeMap::new();
        let damaged = store.load_whole(&mut |info, nodes| {
            let nodes = nodes.into_iter().map(|node| (name::order_key(&node.owner), node));
            stored.insert(name::order_key(&info.apex), nodes.collect());
        });
        assert_eq!(damaged.unwrap(), []);
        assert_eq!(mirror, stored);
    }
    assert!(mirror.is_empty());
}

#[test]
fn an_import_is_served_as_the_rules_group_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let text = format!("{BASE}b A 192.0.2.9\nb A 192.0.2.10\nB TXT x\na.b MX 5 A\na.b MX 5 a\n*.b A 192.0.2.1\n");
    store.apply(edit(vec![import(&text)])).unwrap();
    let mut nodes = Vec::new();
    store.nodes(&apex(), &mut |node| nodes.push(node)).unwrap();
    assert_eq!(nodes, records_to_nodes(records(&text)));
}

#[test]
fn many_writers_share_commits_and_each_gets_its_own_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE)])).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for at in 0..20 {
                    let line = format!("t{thread}-{at} A 192.0.2.1");
                    let made = store.apply(edit(vec![create(&line)])).unwrap();
                    assert_eq!(store.row(made.rows[0].id).unwrap().unwrap().owner, new(&line).owner);
                    let again = store.apply(edit(vec![create(&format!("x{line}")), create(&line)]));
                    assert!(matches!(again, Err(EditError::Rule { op: 1, .. })));
                    // Sixteen threads want the same name; one gets it.
                    let _ = store.apply(edit(vec![create(&format!("shared{at} CNAME t{thread}"))]));
                }
            });
        }
    });
    assert_eq!(store.rows(0, 0).unwrap().1, 3 + 16 * 20 + 20);
    assert_eq!(serial(&store), 7 + 16 * 20 + 20);
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
}

#[test]
fn a_panic_of_a_caller_s_function_ends_neither_the_writer_nor_other_edits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    let id = made.rows[0].id;
    let bad = store.apply(edit(vec![Op::Update(id, Box::new(|_| panic!("on purpose")))]));
    assert!(matches!(bad, Err(EditError::Store(StoreError::Internal(_)))));
    let refused = Op::Update(id, Box::new(|_| Err(crate::stage::rule(77, Faulty::Ttl, "no".into()))));
    let refused = store.apply(edit(vec![create("b A 192.0.2.1"), refused]));
    assert!(matches!(refused, Err(EditError::Rule { op: 1, .. })), "the store knows which step it was");
    store.publish_to(Box::new(|_| panic!("on purpose")));
    let unserved = store.apply(edit(vec![create("b A 192.0.2.1")]));
    assert!(unserved.err().unwrap().to_string().contains("stored but could not be served"));
    store.publish_to(Box::new(drop));
    store.apply(edit(vec![create("c A 192.0.2.1")])).unwrap();
    assert_eq!(store.rows(0, 9).unwrap().1, 3);
}

#[test]
fn who_looks_is_told_of_each_row_that_changes_and_nobody_else_costs_anything() {
    /// Keeps what it is told, while it looks.
    #[derive(Default)]
    struct Looker(Mutex<Vec<(Action, Row)>>, AtomicBool);
    impl Watch for Looker {
        fn is_on(&self) -> bool {
            self.1.load(Ordering::SeqCst)
        }
        fn changed(&self, changes: Option<&[RowChange]>) {
            let Some(changes) = changes else {
                return self.1.store(false, Ordering::SeqCst);
            };
            let changes = changes.iter().map(|change| (change.action, change.row.clone()));
            self.0.lock().unwrap().extend(changes);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let looker = Arc::new(Looker::default());
    let watch: Arc<dyn Watch> = looker.clone();
    store.watch(Arc::downgrade(&watch));
    store.apply(edit(vec![create("unseen A 192.0.2.1")])).unwrap();
    looker.1.store(true, Ordering::SeqCst);
    let told = |ops: Vec<Op>| {
        let rows = store.apply(edit(ops)).unwrap().rows;
        let changes = std::mem::take(&mut *looker.0.lock().unwrap());
        let text = |(action, row): &(Action, Row)| format!("{action:?} {} {}", name::to_text(&row.owner), row.rtype);
        (changes.iter().map(text).collect::<Vec<_>>(), rows)
    };
    let (changes, rows) = told(vec![create("b A 192.0.2.1"), create("a A 192.0.2.1"), create("@ SOA ns a 0 1 2 3 4")]);
    assert_eq!(changes, ["Create b.example.org. A", "Create a.example.org. A", "Create example.org. SOA"]);
    let (b, a) = (rows[0].id, rows[1].id);
    let (changes, _) =
        told(vec![update(a, "moved A 192.0.2.2"), update(b, "b A 192.0.2.3"), update(b, "b A 192.0.2.4")]);
    assert_eq!(changes, ["Update b.example.org. A", "Update moved.example.org. A"], "a new serial is no change");
    let elsewhere = Op::Update(
        a,
        Box::new(|_| Ok(NewRow { zone: name("example.net."), owner: name("a.example.net."), ..new("a A 192.0.2.2") })),
    );
    assert_eq!(told(vec![elsewhere]).0, ["Update a.example.net. A"]);
    assert_eq!(
        told(vec![create("c A 192.0.2.1"), Op::Delete(b)]).0,
        ["Delete b.example.org. A", "Create c.example.org. A"]
    );
    assert!(store.apply(edit(vec![create("d A 192.0.2.1"), Op::Delete(5)])).is_err());
    let mut imported = told(vec![import(BASE)]).0;
    imported.sort();
    let kept = ["Create example.org. NS", "Create ns.example.org. A", "Delete c.example.org. A"];
    assert_eq!(imported, [&kept[..], &["Delete unseen.example.org. A", "Update example.org. SOA"]].concat());
    assert_eq!(told(vec![import(BASE)]).0, [""; 0]);
    assert_eq!(told(vec![Op::RemoveZone(apex())]).0.len(), 3);
    let many = |count: usize| {
        let one = records(BASE).remove(2);
        let more = (0..count).map(|n| Record { owner: name(&format!("w{n}.example.org.")), ..one.clone() });
        Op::Import { apex: apex(), records: records(BASE).into_iter().chain(more).collect() }
    };
    assert_eq!(told(vec![many(100)]).0.len(), 103);
    assert_eq!(told(vec![many(ROWS_MAX + 200)]).0, [""; 0]);
    assert!(!looker.is_on(), "it was told that it is too much");
    // Who begins to look while a commit is under way cannot be told of its rows: none were gathered.
    let late = looker.clone();
    store.publish_to(Box::new(move |_| late.1.store(true, Ordering::SeqCst)));
    assert_eq!(told(vec![create("late A 192.0.2.1")]).0, [""; 0]);
    assert!(!looker.is_on(), "it was told to look anew");
    store.publish_to(Box::new(drop));
    drop(looker);
    drop(watch);
    store.apply(edit(vec![create("z A 192.0.2.1")])).unwrap();
}

#[test]
fn twenty_thousand_records_are_one_edit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let text: String = (0..20_000).map(|at| format!("h{at} A 192.0.{}.{}\n", at / 250, at % 250)).collect();
    let made = store.apply(edit(vec![import(&format!("{BASE}{text}"))])).unwrap();
    assert_eq!(made.zones[0].added, 20_003);
    let one = store.apply(edit(vec![create("h7 TXT x")])).unwrap();
    assert_eq!(one.zones[0].added, 1);
    assert_eq!(store.zones().unwrap()[0].records, 20_004);
    store.apply(edit(vec![import(BASE)])).unwrap();
    assert_eq!(store.rows(0, 9).unwrap().1, 3);
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
}

#[test]
fn an_edit_is_told_what_is_hardly_meant_at_what_it_touched() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(&format!("{BASE}lost CNAME nowhere\nsub NS ns.sub\nns.sub A 192.0.2.2"))])).unwrap();
    let warnings = |ops| store.apply(edit(ops)).unwrap().warnings;
    assert_eq!(warnings(vec![create("www CNAME ns")]), Vec::<String>::new());
    assert_eq!(
        warnings(vec![create("a CNAME b.ns")]),
        ["the alias a.example.org. leads to b.ns.example.org., which has no data"]
    );
    assert_eq!(warnings(vec![create("b CNAME c"), create("c TXT c")]), Vec::<String>::new());
    // The wildcard at an empty non-terminal stands for nothing beside it.
    assert_eq!(warnings(vec![create("* A 192.0.2.3"), create("x.y.z TXT x"), create("d CNAME q.y.z")]).len(), 1);
    let (rows, _) = store.rows(0, 100).unwrap();
    let glue = rows.iter().find(|row| row.owner == name("ns.sub.example.org.")).unwrap();
    let warned = warnings(vec![Op::Delete(glue.id)]);
    assert_eq!(
        warned,
        ["the name server ns.sub.example.org. lies below the zone cut sub.example.org. and has no glue address"]
    );
}
