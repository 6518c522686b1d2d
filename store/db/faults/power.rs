//! The power goes.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::edit::{EditError, NodeData};
use crate::zonefile::{Options, read_text};

/// Edits of all kinds, in order; the same ones in every run.
fn edits() -> Vec<Edit> {
    let import = |text: &str| {
        let apex = name("example.net.");
        let records = read_text("zone", text.as_bytes(), Some(&apex), &Options::default()).unwrap().records;
        Op::Import { apex, records }
    };
    let zone = "$TTL 60\n@ SOA ns h 7 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    let many: String = (0..40).map(|at| format!("h{at} A 192.0.2.{at}\n")).collect();
    let revised = |row: &crate::Row| {
        let rdata = vec![1, b'y'].into();
        let (id, zone, owner) = (None, row.zone.clone(), row.owner.clone());
        Ok(NewRow { id, zone, owner, rtype: row.rtype, ttl: Some(5), rdata, written: None })
    };
    let mut edits = vec![
        create(0, 300),
        create(1, 300),
        edit(vec![import(zone)]),
        edit(vec![Op::Update(1, Box::new(revised))]),
        edit(vec![import(&format!("{zone}{many}"))]),
        create(2, 20_000),
        edit(vec![Op::Delete(2)]),
        edit(vec![Op::RemoveZone(name("example.net."))]),
        edit(vec![import(zone), Op::Delete(1)]),
        create(3, 300),
    ];
    // Enough to begin the log anew some more times.
    edits.extend((4..60).map(|at| create(at, 300)));
    edits
}

/// All that is served and listed.
type State = (Vec<(String, u32, Vec<NodeData>)>, u64);

fn state(store: &Store) -> State {
    let mut zones = Vec::new();
    let damaged =
        store.load_whole(&mut |info, nodes| zones.push((name::to_text(&info.apex), info.serial.into_int(), nodes)));
    assert_eq!(damaged.unwrap(), []);
    let (rows, total) = store.rows(0, 1_000).unwrap();
    assert_eq!(rows.len() as u64, total);
    (zones, total)
}

#[test]
fn after_a_power_cut_all_that_was_acknowledged_is_there_and_nothing_by_half() {
    assert!(cut_power_at_every(6) >= 300);
}

/// The same at every write; takes minutes.
#[test]
#[ignore = "long"]
fn after_a_power_cut_at_any_write_all_that_was_acknowledged_is_there_and_nothing_by_half() {
    assert!(cut_power_at_every(1) >= 2_000);
}

/// Lets the power go at every so many writes, and looks at what the disk may then hold; how many states that were.
fn cut_power_at_every(step: usize) -> usize {
    let states: Vec<State> = {
        let disk = Disk::default();
        let store = disk.store().unwrap();
        let begun = state(&store);
        let after = edits().into_iter().map(|edit| store.apply(edit).map(|_| state(&store)).unwrap());
        std::iter::once(begun).chain(after).collect()
    };
    let images = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let stop = next.fetch_add(step, Ordering::Relaxed);
            let disk = Disk::default();
            let store = disk.store().unwrap();
            disk.0.lock().unwrap().power_left = Some(stop);
            let mut acknowledged = 0;
            for edit in edits() {
                match store.apply(edit) {
                    Ok(_) => acknowledged += 1,
                    Err(EditError::Store(_)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            if acknowledged == states.len() - 1 {
                return;
            }
            let mut random = Random(stop as u64);
            for image in 0..IMAGES_A_STOP {
                // The disk may have carried out none, all, the first ones or any of the writes that it was not asked to
                // synchronize, and each of them by half; a disk sector is written or not.
                let first = random.below(40);
                let disk = disk.after_power_cut(|number, octets| match image {
                    0 => 0,
                    1 => octets,
                    2..5 => octets * usize::from(number < first),
                    5..8 => octets * random.below(2),
                    _ => [0, octets, random.below(octets + 1) / SECTOR * SECTOR][random.below(3)],
                });
                let store = disk.reopen().unwrap().store;
                let found = state(&store);
                let expected = states.iter().position(|state| *state == found);
                let expected = expected.unwrap_or_else(|| panic!("stop {stop}, image {image}: a state that never was"));
                assert!(
                    (acknowledged..=acknowledged + 1).contains(&expected),
                    "stop {stop}, image {image}: {expected} edits are there, {acknowledged} were acknowledged"
                );
                if image == 0 {
                    // What has been served once stays, when the power goes again before anything else happens.
                    let again = disk.after_power_cut(|_, _| 0).reopen().unwrap().store;
                    assert!(state(&again) == found, "stop {stop}: a step back");
                }
                store.apply(create(900, 10)).unwrap();
                images.fetch_add(1, Ordering::Relaxed);
            }
            // The same with a kill before.
            let killed = disk.after_kill();
            let store = killed.reopen().unwrap().store;
            let found = state(&store);
            let again = killed.after_power_cut(|_, _| 0).reopen().unwrap().store;
            assert!(state(&again) == found, "stop {stop}: a step back after a kill");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    images.into_inner()
}

/// Images of each stop.
const IMAGES_A_STOP: usize = 16;

/// Octets that a disk writes whole or not at all.
const SECTOR: usize = 512;
