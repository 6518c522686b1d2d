//! Removed zones: their serial never goes backwards, their history stays, within bounds.

use super::*;
use crate::removed::{Bounds, prune};

fn gone() -> Op {
    Op::RemoveZone(apex())
}

#[test]
fn a_zone_made_again_is_ahead_of_what_it_was() {
    for (case, before, remove, again, expected) in [
        ("file behind", import(&BASE.replace(" 7 ", " 100 ")), gone(), import(BASE), 101),
        ("file the same", import(BASE), gone(), import(BASE), 8),
        ("file ahead", import(BASE), gone(), import(&BASE.replace(" 7 ", " 9 ")), 9),
        ("no serial given", import(&BASE.replace(" 7 ", " 2026112507 ")), gone(), create("a A 192.0.2.1"), 2026112508),
        ("far behind", import(&BASE.replace(" 7 ", " 2000000000 ")), gone(), import(BASE), 2000000001),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.apply(edit(vec![before])).unwrap();
        store.apply(edit(vec![remove])).unwrap();
        drop(store);
        let store = open(folder.path());
        store.apply(edit(vec![again])).unwrap();
        assert_eq!(serial(&store), expected, "{case}");
        assert_eq!(store.load(&mut |_| ()).unwrap(), [], "{case}");
    }
}

#[test]
fn a_zone_that_went_with_its_last_record_is_remembered_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut last = 2_026_112_500;
    for _ in 0..3 {
        let made = store.apply(edit(vec![create("www A 192.0.2.1")])).unwrap();
        store.apply(edit(vec![create("www A 192.0.2.2")])).unwrap();
        let rows = store.rows(0, 9).unwrap().0;
        assert_eq!(serial(&store), last + 1);
        store.apply(edit(rows.iter().map(|row| Op::Delete(row.id)).collect())).unwrap();
        assert!(store.zones().unwrap().is_empty());
        assert_eq!(made.zones[0].from, None, "it is a new zone each time");
        last += 2;
    }
}

#[test]
fn the_history_of_a_removed_zone_stays_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE)])).unwrap();
    store.apply(edit(vec![create("www A 192.0.2.1")])).unwrap();
    store.apply(edit(vec![gone()])).unwrap();
    let journal = store.journal(&apex(), 9).unwrap();
    assert_eq!((journal.len(), journal[0].from, journal[0].to), (3, Some(Serial::from(8)), None));
    assert_eq!(journal[0].removed[0].1, Rtype::SOA);
    assert_eq!((journal[0].removed.len(), journal[0].added.len(), journal[0].complete), (4, 0, true));
    store.apply(edit(vec![import(BASE)])).unwrap();
    let journal = store.journal(&apex(), 9).unwrap();
    assert_eq!((journal.len(), journal[0].from, journal[0].to), (4, None, Some(Serial::from(9))));
}

#[test]
fn zones_that_left_first_are_forgotten_first_with_their_journals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let zone = |at: usize| name(&format!("z{at}.example.org."));
    let row = |at: usize| NewRow { zone: zone(at), owner: zone(at), ..new("x A 192.0.2.1") };
    for at in 0..6 {
        store.apply(edit(vec![Op::Create(row(at))])).unwrap();
    }
    for at in 0..6 {
        store.apply(edit(vec![Op::RemoveZone(zone(at))])).unwrap();
    }
    let count = |table| store.shared.db.read(|view| view.count(table)).unwrap();
    assert_eq!((count(Table::Removed), count(Table::Journal)), (12, 12));
    let prune = |bounds| {
        let work = |view: &mut dyn db::Write| {
            let octets = tables::removed_octets(&*view)?;
            let left = prune(view, octets, &bounds)?;
            tables::set_counter(view, tables::REMOVED_OCTETS, left)?;
            Ok(((octets, left), Then::Commit))
        };
        store.shared.db.write(work).unwrap()
    };
    let (before, left) = prune(Bounds { zones: 4, octets: u64::MAX });
    assert_eq!((count(Table::Removed), count(Table::Journal), left), (8, 8, before / 6 * 4));
    assert!(store.journal(&zone(1), 9).unwrap().is_empty());
    assert_eq!(store.journal(&zone(2), 9).unwrap().len(), 2);
    let (_, left) = prune(Bounds { zones: 4, octets: before / 2 });
    assert_eq!((count(Table::Removed), left), (6, before / 2));
    store.apply(edit(vec![Op::Create(row(5))])).unwrap();
    let (_, left) = prune(Bounds { zones: 0, octets: u64::MAX });
    assert_eq!((count(Table::Removed), left), (0, 0), "a zone that came back is not counted");
    assert_eq!(store.journal(&zone(5), 9).unwrap().len(), 3);
}
