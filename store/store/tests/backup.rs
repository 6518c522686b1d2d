//! Back-ups, and what is made of them.

use super::damage::damage;
use super::*;
use crate::backup::check;

fn backed_up(store: &Store) -> (Vec<u8>, Backup) {
    let mut octets = Vec::new();
    let backup = store.backup(&mut octets).unwrap();
    (octets, backup)
}

fn restored(octets: &[u8]) -> (tempfile::TempDir, Store, Backup) {
    let folder = tempfile::tempdir().unwrap();
    let backup = Store::restore(folder.path(), &mut &octets[..]).unwrap();
    let store = open(folder.path());
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
    (folder, store, backup)
}

fn other(owner: &str) -> Op {
    let (zone, owner) = (name("example.net."), name(owner));
    Op::Create(NewRow { zone, owner, ..new("a A 192.0.2.2") })
}

#[test]
fn a_restored_store_is_the_same_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE), create("www A 192.0.2.1")])).unwrap();
    store.apply(edit(vec![other("a.example.net."), create("b TXT x")])).unwrap();
    store.apply(edit(vec![Op::RemoveZone(name("example.net."))])).unwrap();
    store
        .apply(edit(vec![Op::Create(NewRow { zone: name("org."), owner: name("x.org."), ..new("a A 192.0.2.2") })]))
        .unwrap();
    store.set_setting("secret", Some(b"x")).unwrap();
    let all = |store: &Store| {
        let journals = ["example.org.", "example.net.", "org."].map(|apex| store.journal(&name(apex), 99).unwrap());
        (store.zones().unwrap(), store.rows(0, 99).unwrap(), journals, store.setting("secret").unwrap())
    };
    let (octets, backup) = backed_up(&store);
    assert_eq!(backup, Backup { zones: 2, records: 8, left_out: vec![] });
    assert_eq!(check(&mut &octets[..]).unwrap(), backup);
    let (_folder, copy, from) = restored(&octets);
    assert_eq!(from, backup);
    assert_eq!(all(&copy), all(&store));
    assert_eq!(backed_up(&copy).0, octets, "a back-up of it is the same");
    for store in [&store, &copy] {
        store.apply(edit(vec![other("a.example.net."), create("c A 192.0.2.3")])).unwrap();
        assert_eq!(store.rows(6, 9).unwrap().0.len(), 2, "new rows are listed behind the old ones");
    }
    let serials = |store: &Store| store.zones().unwrap().iter().map(|zone| zone.serial).collect::<Vec<_>>();
    assert_eq!(serials(&copy), serials(&store), "a removed zone goes on from its last serial");
}

#[test]
fn a_back_up_is_one_state_while_edits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE), other("a.example.net.")])).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, over) = (&store, &over);
            scope.spawn(move || {
                for at in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    // The same name in both zones, in one edit.
                    let ops = vec![
                        create(&format!("t{thread}-{at} A 192.0.2.1")),
                        other(&format!("t{thread}-{at}.example.net.")),
                    ];
                    store.apply(edit(ops)).unwrap();
                }
            });
        }
        for _ in 0..5 {
            let (octets, backup) = backed_up(&store);
            let (_folder, copy, _) = restored(&octets);
            let zones = copy.zones().unwrap();
            assert_eq!(zones[0].records, zones[1].records, "an edit is in it or not");
            assert_eq!(copy.rows(0, 0).unwrap().1 + 2, backup.records);
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_back_up_that_is_not_what_was_written_restores_nothing() {
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(store_folder.path());
    store.apply(edit(vec![import(BASE), create("www A 192.0.2.1")])).unwrap();
    let (octets, _) = backed_up(&store);
    let folder = tempfile::tempdir().unwrap();
    let attempt = |octets: &[u8]| {
        let error = Store::restore(folder.path(), &mut &octets[..]).unwrap_err();
        assert!(check(&mut &octets[..]).is_err() || matches!(error, BackupError::Store(_)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{error}");
        error
    };
    for at in (0..octets.len()).step_by(3) {
        let mut bad = octets.clone();
        bad[at] ^= 1 << (at % 8);
        attempt(&bad);
    }
    for at in (0..octets.len()).step_by(7) {
        let error = attempt(&octets[..at]);
        assert!(matches!(error, BackupError::CutShort | BackupError::NoBackup), "{at}: {error}");
    }
    assert!(matches!(attempt(b"$ORIGIN example.org."), BackupError::NoBackup));
    assert!(matches!(attempt(&[&octets[..], b"x"].concat()), BackupError::Damaged("something follows its end")));
    Store::restore(folder.path(), &mut &octets[..]).unwrap();
    let again = Store::restore(folder.path(), &mut &octets[..]).unwrap_err();
    assert!(again.to_string().ends_with("already; move it away first"), "{again}");
    assert_eq!(open(folder.path()).rows(0, 9).unwrap().1, 4);
}

#[test]
fn a_damaged_zone_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE), create("www A 192.0.2.1"), other("a.example.net.")])).unwrap();
    damage(&store, "www.example.org.");
    let (octets, backup) = backed_up(&store);
    assert_eq!((backup.zones, &backup.left_out[..]), (1, &[apex()][..]));
    let (_folder, copy, from) = restored(&octets);
    assert_eq!((from, copy.rows(0, 9).unwrap().1), (backup, 1));
}

#[test]
fn a_back_up_saves_what_is_sound_in_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        let rows = |zone: &'static str| {
            (0..300).map(move |at| {
                let (zone, owner) = (name(zone), name(&format!("n{at}.{zone}")));
                Op::Create(NewRow { zone, owner, ..new(&format!("x TXT needle-{at:04}")) })
            })
        };
        store.apply(edit(rows("example.com.").collect())).unwrap();
        store.apply(edit(rows("example.org.").collect())).unwrap();
        // The journal holds the records, too; without it the octets below are those of the zone.
        store.apply(edit(vec![other("a.example.net.")])).unwrap();
    }
    let file = folder.path().join("zonda.redb");
    let sound = std::fs::read(&file).unwrap();
    let needle = b"\x0bneedle-0250";
    let places = sound.windows(needle.len()).enumerate().filter(|(_, found)| found == needle);
    let mut partly = 0;
    for (at, _) in places.collect::<Vec<_>>() {
        let mut bad = sound.clone();
        bad[at + 5] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let opened = Store::with_db(Db::open(folder.path()).unwrap(), || 0).unwrap();
        if opened.damaged.is_none() {
            continue;
        }
        let (octets, backup) = backed_up(&opened.store);
        drop(opened);
        assert_eq!(backup.zones + backup.left_out.len() as u64, 3);
        partly += usize::from(backup.zones == 2);
        let (_folder, copy, _) = restored(&octets);
        assert_eq!(copy.zones().unwrap().len() as u64, backup.zones);
        copy.apply(edit(vec![create("new A 192.0.2.9")])).unwrap();
    }
    assert!(partly > 0, "a zone was hit");
}

#[test]
fn a_compacted_file_is_smaller_and_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let store = open(folder.path());
        store.apply(edit(vec![import(BASE)])).unwrap();
        let ops = (0..3_000).map(|at| create(&format!("n{at} TXT {}", "x".repeat(200))));
        store.apply(edit(ops.collect())).unwrap();
        store.apply(edit(vec![import(BASE)])).unwrap();
        let busy = Store::compact(folder.path()).unwrap_err();
        assert!(matches!(busy, StoreError::InUse(_)), "{busy}");
        (served(&store, &apex()), store.zones().unwrap(), store.rows(0, 99).unwrap())
    };
    let (large, small) = Store::compact(folder.path()).unwrap();
    assert!(small < large, "{small} {large}");
    let store = open(folder.path());
    assert_eq!((served(&store, &apex()), store.zones().unwrap(), store.rows(0, 99).unwrap()), before);
    assert!(Store::compact(&folder.path().join("none")).is_err());
}
