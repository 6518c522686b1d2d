//! Octets change on the disk.

use std::collections::BTreeMap;

use super::*;
use crate::edit::NodeData;

/// A file with three zones of several pages each, and a history.
fn sound() -> (Vec<u8>, BTreeMap<String, Vec<NodeData>>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap().store;
    for apex in ["example.org.", "example.net.", "example.com."] {
        let ops = (0..150).map(|at| {
            let owner = name::parse(&format!("n{at}"), Some(&name(apex))).unwrap();
            let rdata = [&[40][..], &[b'a' + at as u8 % 26; 40]].concat().into();
            Op::Create(NewRow { id: None, zone: name(apex), owner, rtype: Rtype::TXT, ttl: None, rdata, written: None })
        });
        store.apply(edit(ops.collect())).unwrap();
    }
    let mut zones = BTreeMap::new();
    store.load_whole(&mut |info, nodes| drop(zones.insert(name::to_text(&info.apex), nodes))).unwrap();
    drop(store);
    (fs::read(folder.path().join(FILE_NAME)).unwrap(), zones)
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It was refused as a whole.
    Refused,
    /// Zones of it were withheld.
    Withheld,
    /// All zones are served, and no edit is taken.
    Frozen,
    /// The damage hit nothing that is in use.
    Whole,
}

/// Opens a changed file and tries all there is; what comes out of it has to be right.
fn attempt(octets: &[u8], zones: &BTreeMap<String, Vec<NodeData>>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), octets).unwrap();
    let opened = match Store::open(folder.path()) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
            assert!(error.to_string().contains("back-up"), "it says what to do: {error}");
            return Outcome::Refused;
        }
    };
    let store = opened.store;
    let mut found = BTreeMap::new();
    let damaged = store.load_whole(&mut |info, nodes| drop(found.insert(name::to_text(&info.apex), nodes)));
    for (apex, nodes) in &found {
        assert!(zones.get(apex) == Some(nodes), "{apex} is served wrong");
    }
    let listed = store.rows(0, 1_000);
    let history = store.journal(&name("example.org."), 9);
    let damaged = match damaged {
        Ok(damaged) => damaged,
        Err(error) => {
            assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
            return Outcome::Refused;
        }
    };
    let taken = store.apply(create(900, 10));
    if opened.damaged.is_some() {
        assert!(taken.is_err() && listed.is_err() && history.is_err());
        let named = damaged.iter().map(|(apex, _)| name::to_text(apex));
        let known = found.keys().cloned().chain(named).filter(|apex| zones.contains_key(apex)).count();
        return if damaged.is_empty() && known == zones.len() { Outcome::Frozen } else { Outcome::Withheld };
    }
    assert_eq!(damaged, []);
    assert_eq!(&found, zones);
    assert_eq!((listed.unwrap().1, history.unwrap().len()), (450, 1));
    taken.unwrap();
    Outcome::Whole
}

#[test]
fn changed_octets_and_a_file_cut_short_are_never_served() {
    change(8);
}

/// The same with more changes; takes a minute.
#[test]
#[ignore = "long"]
fn many_changed_octets_and_files_cut_short_are_never_served() {
    change(1);
}

/// A kill leaves the last edits in the log; then octets of the file change, or of the log.
#[test]
fn what_only_the_log_has_is_served_or_the_folder_is_refused() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    let text = |apex: &str, at: usize| {
        let owner = name::parse(&format!("n{at}"), Some(&name(apex))).unwrap();
        let rdata = [&[40][..], &[b'a' + at as u8 % 26; 40]].concat().into();
        Op::Create(NewRow { id: None, zone: name(apex), owner, rtype: Rtype::TXT, ttl: None, rdata, written: None })
    };
    for apex in ["example.org.", "example.net."] {
        store.apply(edit((0..100).map(|at| text(apex, at)).collect())).unwrap();
    }
    let served = |store: &Store| {
        let mut zones = BTreeMap::new();
        let damaged = store.load_whole(&mut |info, nodes| drop(zones.insert(name::to_text(&info.apex), nodes)));
        damaged.map(|damaged| (zones, damaged.into_iter().map(|(apex, _)| name::to_text(&apex)).collect::<Vec<_>>()))
    };
    store.apply(edit(vec![text("example.org.", 200)])).unwrap();
    store.apply(edit(vec![text("example.com.", 1)])).unwrap();
    let (after, _) = served(&store).unwrap();
    let killed = disk.after_kill();
    drop(store);
    assert_eq!(served(&killed.after_kill().reopen().unwrap().store).unwrap(), (after.clone(), vec![]));

    // The same after a stop: the log is new, and one of the file's two states has never heard of it.
    let started = Disk::default();
    drop(started.store().unwrap().apply(edit((0..100).map(|at| text("example.org.", at)).collect())).unwrap());
    let store = started.reopen().unwrap().store;
    (0..4).for_each(|at| drop(store.apply(edit(vec![text("example.net.", at)])).unwrap()));
    let (after_start, _) = served(&store).unwrap();
    let started_killed = started.after_kill();
    drop(store);

    let mut outcomes = BTreeMap::<_, usize>::new();
    let mut random = Random(3);
    for (killed, after) in [(&killed, &after), (&started_killed, &after_start)].repeat(75) {
        let length = killed.0.lock().unwrap().now[0].len();
        let disk = killed.after_kill();
        let at = random.below(length);
        disk.0.lock().unwrap().now[0][at] ^= 1 << random.below(8);
        let outcome = match disk.reopen() {
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
                "refused"
            }
            Ok(opened) => match served(&opened.store) {
                Err(error) => panic!("{at}: {error}"),
                Ok(found) => {
                    assert!(found == (after.clone(), vec![]), "{at}: {:?}", found.1);
                    "whole"
                }
            },
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert_eq!(outcomes.len(), 2, "both outcomes are met: {outcomes:?}");

    // The first of the two records in the log.
    let disk = killed.after_kill();
    disk.0.lock().unwrap().now[1][4_096 + 30] ^= 1;
    let error = disk.reopen().err().unwrap().to_string();
    assert!(error.contains("zonda.wal") && error.contains("back-up") && error.contains("forget"), "{error}");
}

/// Tries one in so many of 500 changed bits anywhere, 320 in the first page and 100 lengths.
fn change(one_in: usize) {
    let (sound, zones) = sound();
    let mut random = Random(1);
    let mut outcomes = BTreeMap::new();
    for _ in 0..500 / one_in {
        let mut octets = sound.clone();
        octets[random.below(sound.len())] ^= 1 << random.below(8);
        *outcomes.entry(attempt(&octets, &zones)).or_insert(0) += 1;
    }
    // The first page holds the roots, so each of its first octets counts.
    for at in (0..320).step_by(one_in) {
        let mut octets = sound.clone();
        octets[at] ^= 1 << random.below(8);
        *outcomes.entry(attempt(&octets, &zones)).or_insert(0) += 1;
    }
    for at in (0..100).step_by(one_in) {
        let octets = &sound[..sound.len() * at / 100];
        *outcomes.entry(attempt(octets, &zones)).or_insert(0) += 1;
    }
    // Where pages lie differs from run to run, as ids do: what is rare may have to be looked for.
    for _ in 0..5_000 {
        if outcomes.len() == 4 {
            break;
        }
        let mut octets = sound.clone();
        octets[random.below(sound.len())] ^= 1 << random.below(8);
        *outcomes.entry(attempt(&octets, &zones)).or_insert(0) += 1;
    }
    assert_eq!(outcomes.len(), 4, "every outcome is met: {outcomes:?}");
}
