//! Damaged zones: withheld, named, and replaced or removed by whoever wants to.

use super::*;

/// Changes one octet of a row behind the store's back.
pub(super) fn damage(store: &Store, owner: &str) {
    let done = store.shared.db.write(|view| {
        let header = tables::header(&*view, &name::order_key(&apex()))?.unwrap();
        let prefix = codec::RowKey::node(header.number, &name::order_key(&name(owner)));
        let mut found = None;
        view.scan(Table::Records, &prefix, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            Ok(false)
        })?;
        let (key, mut value) = found.unwrap();
        *value.last_mut().unwrap() ^= 4;
        view.put(Table::Records, &key, &value)?;
        Ok(((), Then::Commit))
    });
    done.unwrap();
}

/// A store with example.org, which is damaged, and example.net, which is not.
fn damaged_store(folder: &Path) -> Store {
    let store = open(folder);
    store.apply(edit(vec![import(BASE), create("www A 192.0.2.1"), create("x A 192.0.2.1")])).unwrap();
    store.apply(edit(vec![Op::Create(other())])).unwrap();
    damage(&store, "www.example.org.");
    drop(store);
    open(folder)
}

fn other() -> NewRow {
    NewRow { zone: name("example.net."), owner: name("a.example.net."), ..new("a A 192.0.2.2") }
}

/// That nothing of the damage is left.
fn assert_sound(store: &Store, zones: usize, rows: usize) {
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
    assert_eq!(store.zones().unwrap().len(), zones);
    let (listed, total) = store.rows(0, 100).unwrap();
    assert_eq!((listed.len(), total), (rows, rows as u64));
    let count = |table| store.shared.db.read(|view| view.count(table)).unwrap();
    assert_eq!((count(Table::Ids), count(Table::Order)), (rows as u64, rows as u64));
}

#[test]
fn a_damaged_zone_is_replaced_by_an_import() {
    // With and without a start that has found the damage.
    for loaded in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = damaged_store(folder.path());
        if loaded {
            assert_eq!(store.load(&mut |_| ()).unwrap().len(), 1);
        }
        let done = store.apply(edit(vec![import(&format!("{BASE}new A 192.0.2.7\n")), create("b A 192.0.2.8")]));
        assert_eq!(done.unwrap().zones[0].to, Some(Serial::from(8)), "ahead of what was served");
        assert_eq!(served(&store, &apex()).len(), 5);
        let journal = store.journal(&apex(), 9).unwrap();
        assert_eq!((journal[0].from, journal[0].to), (Some(Serial::from(7)), Some(Serial::from(8))));
        assert!(!journal[0].complete, "what the damaged zone held is not known");
        store.apply(edit(vec![create("c A 192.0.2.9")])).unwrap();
        assert_sound(&store, 2, 7);
        drop(store);
        assert_sound(&open(folder.path()), 2, 7);
    }
}

#[test]
fn a_damaged_zone_is_removed() {
    for loaded in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = damaged_store(folder.path());
        if loaded {
            assert_eq!(store.load(&mut |_| ()).unwrap().len(), 1);
        }
        store.apply(edit(vec![Op::RemoveZone(apex())])).unwrap();
        assert_sound(&store, 1, 1);
        assert!(matches!(store.apply(edit(vec![Op::RemoveZone(apex())])), Err(EditError::NoZone(_))));
        store.apply(edit(vec![import(BASE)])).unwrap();
        assert_eq!(serial(&store), 8);
        assert_sound(&store, 2, 4);
    }
}

#[test]
fn a_zone_whose_header_cannot_be_read_is_replaced_or_removed() {
    for op in [import(BASE), Op::RemoveZone(apex())] {
        let folder = tempfile::tempdir().unwrap();
        let store = damaged_store(folder.path());
        let bad = |view: &mut dyn db::Write| {
            view.put(Table::Zones, &name::order_key(&apex()), b"\x01\xff")?;
            Ok(((), Then::Commit))
        };
        store.shared.db.write(bad).unwrap();
        assert_eq!(
            store.load(&mut |_| ()).unwrap()[0].1,
            "the zone example.org. is damaged: its header cannot be read"
        );
        assert!(store.apply(edit(vec![create("y A 192.0.2.1")])).is_err());
        let zones = if matches!(op, Op::Import { .. }) { 2 } else { 1 };
        store.apply(edit(vec![op])).unwrap();
        assert_sound(&store, zones, zones * 3 - 2);
    }
}

#[test]
fn an_edit_that_is_refused_leaves_a_damaged_zone_withheld() {
    let folder = tempfile::tempdir().unwrap();
    let store = damaged_store(folder.path());
    store.load(&mut |_| ()).unwrap();
    store.apply(edit(vec![import(BASE), create("ns A 192.0.2.1")])).err().unwrap();
    assert!(store.apply(edit(vec![create("y A 192.0.2.1")])).is_err());
    assert!(store.nodes(&apex(), &mut |_| ()).is_err());
}

#[test]
fn a_survey_lists_damaged_zones_with_what_can_still_be_said_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = damaged_store(folder.path());
    let states = || store.survey(&mut |zones| zones).unwrap();
    assert!(states().iter().all(|(zone, _)| matches!(zone, ZoneState::Served(_))), "nobody has looked yet");
    store.load(&mut |_| ()).unwrap();
    let found = states();
    assert!(matches!(&found[0].0, ZoneState::Served(zone) if zone.apex == name("example.net.")));
    assert!(matches!(&found[1].0, ZoneState::Withheld(zone) if zone.apex == apex() && zone.serial == Serial::from(7)));
    assert_eq!(store.zone(&apex()).unwrap().as_ref(), found.get(1));
    let refused = store.node(&apex(), &apex()).unwrap_err().to_string();
    assert!(refused.starts_with("the zone example.org. is damaged: "), "{refused}");

    let bad = |view: &mut dyn db::Write| {
        view.put(Table::Zones, &name::order_key(&apex()), b"\x01\xff")?;
        Ok(((), Then::Commit))
    };
    store.shared.db.write(bad).unwrap();
    assert_eq!(states()[1], (ZoneState::Damaged(apex()), None));
    assert_eq!(store.zone(&apex()).unwrap().unwrap().0.info(), None);
}

#[test]
fn a_zone_that_does_not_add_up_is_withheld_and_the_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![import(BASE), create("www A 192.0.2.1")])).unwrap();
    let other = || NewRow { zone: name("example.net."), owner: name("a.example.net."), ..new("a A 192.0.2.2") };
    store.apply(edit(vec![Op::Create(other())])).unwrap();
    damage(&store, "www.example.org.");
    drop(store);
    let store = open(folder.path());
    let mut loaded = Vec::new();
    let damaged = store.load_whole(&mut |info, _| loaded.push(info.apex.clone())).unwrap();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].0, apex());
    assert_eq!(damaged[0].1, "the zone example.org. is damaged: its records do not add up to its digest");
    assert_eq!(loaded, [name("example.net.")]);
    assert_eq!(store.zones().unwrap().len(), 1);
    assert!(store.nodes(&apex(), &mut |_| ()).is_err());
    assert!(store.row(made.rows[0].id).is_err());
    assert_eq!(store.rows(0, 100).unwrap().0.len(), 1);
    let refused = store.apply(edit(vec![create("x A 192.0.2.1")])).err().unwrap();
    assert!(refused.to_string().starts_with("the zone example.org. is damaged"), "{refused}");
    store.apply(edit(vec![Op::Create(NewRow { owner: name("b.example.net."), ..other() })])).unwrap();
}
