//! The disk fails so badly over an edit that what became of it shows only when the disk is back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::codec::RowKey;
use crate::edit::{Change, EditError, NodeData};
use crate::watch::{RowChange, Watch};

/// Zones with their nodes, by order key.
type Zones = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, NodeData>>;

/// Those who serve the zones, by what they are told.
#[derive(Clone, Default)]
struct Served(Arc<Mutex<Zones>>);

impl Served {
    /// Has a store tell them from now on.
    fn by(store: &Store) -> Self {
        let served = Self(Arc::new(Mutex::new(stored(store))));
        let told = served.clone();
        store.publish_to(Box::new(move |changes| changes.into_iter().for_each(|change| told.take(change))));
        served
    }

    /// Takes a change as the engine does.
    fn take(&self, change: Change) {
        let mut zones = self.0.lock().unwrap();
        match change {
            Change::Removed { apex } => drop(zones.remove(&name::order_key(&apex))),
            Change::Whole { apex, nodes } => drop(zones.insert(name::order_key(&apex), by_owner(nodes))),
            Change::Nodes { apex, nodes } => {
                let zone = zones.get_mut(&name::order_key(&apex)).expect("nodes of a zone that is served");
                zone.extend(by_owner(nodes));
                zone.retain(|_, node| !node.rrsets.is_empty());
            }
        }
    }

    /// Whether all that is stored is served, and nothing else.
    fn is(&self, store: &Store) -> bool {
        let stored = stored(store);
        *self.0.lock().unwrap() == stored
    }

    /// The same, as far as the disk can be asked.
    fn is_known(&self, store: &Store) -> bool {
        store.zones().is_err() || self.is(store)
    }

    /// Waits until it is so.
    fn becomes(&self, store: &Store) {
        let begun = Instant::now();
        while !self.is(store) {
            assert!(begun.elapsed() < Duration::from_secs(20), "what is stored is never served");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Nodes by the order keys of their owners.
fn by_owner(nodes: Vec<NodeData>) -> BTreeMap<Vec<u8>, NodeData> {
    nodes.into_iter().map(|node| (name::order_key(&node.owner), node)).collect()
}

/// All that is stored.
fn stored(store: &Store) -> Zones {
    let mut zones = Zones::new();
    let damaged = store.load_whole(&mut |info, nodes| drop(zones.insert(name::order_key(&info.apex), by_owner(nodes))));
    assert_eq!(damaged.unwrap(), []);
    zones
}

/// An edit that adds a record to another zone than the rest of them.
fn elsewhere(at: usize) -> Edit {
    edit(vec![other(at)])
}

/// The step that adds it.
fn other(at: usize) -> Op {
    let apex = name("example.net.");
    let owner = name::parse(&format!("n{at}"), Some(&apex)).unwrap();
    let rdata = b"\x01x"[..].into();
    Op::Create(NewRow { id: None, zone: apex, owner, rtype: Rtype::TXT, ttl: None, rdata, written: None })
}

/// Lets synchronizations of a file fail, after so many that do not.
fn fail(disk: &Disk, part: Part, carried_out: usize, failing: usize) {
    disk.0.lock().unwrap().sync_failures[part as usize] = SyncFailures { carried_out, failing };
}

/// Lets none fail any more.
fn recover(disk: &Disk) {
    disk.0.lock().unwrap().sync_failures = Default::default();
}

/// Counts how often it is told to look anew.
#[derive(Default)]
struct Looker(AtomicUsize);

impl Watch for Looker {
    fn is_on(&self) -> bool {
        true
    }

    fn changed(&self, changes: Option<&[RowChange]>) {
        self.0.fetch_add(usize::from(changes.is_none()), Ordering::SeqCst);
    }
}

/// The record of an edit was in the log when its synchronization failed, and that of the look at it too; the edit was
/// answered with "nothing was written". When the disk was back it was listed, and never served.
#[test]
fn an_edit_that_took_place_after_all_is_served_without_another_edit() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for at in 0..3 {
        store.apply(create(at, 300)).unwrap();
    }
    let served = Served::by(&store);
    let looker = Arc::new(Looker::default());
    let watch: Arc<dyn Watch> = looker.clone();
    store.watch(Arc::downgrade(&watch));
    fail(&disk, Part::Log, 0, usize::MAX);
    let error = store.apply(create(3, 300)).err().unwrap();
    assert!(matches!(error, EditError::Store(StoreError::Unsettled(_))), "{error}");
    assert!(error.to_string().contains("not known"), "{error}");
    let error = store.apply(create(4, 300)).err().unwrap();
    assert!(matches!(error, EditError::Store(StoreError::Full)), "nothing of this one was written: {error}");
    recover(&disk);
    // Not by an edit: a reader is the first who opens the database.
    served.becomes(&store);
    assert_eq!(store.rows(0, 0).unwrap().1, 4);
    assert_eq!(served.0.lock().unwrap()[&name::order_key(&name("example.org."))].len(), 5);
    while looker.0.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!(store.apply(create(3, 300)).err().unwrap().to_string(), "the id 4 is taken");
    store.apply(create(4, 300)).unwrap();
    assert!(served.is(&store));
}

/// The same with a zone that was new: the next edit of it was published as a part of a zone that nobody served.
#[test]
fn what_became_of_an_edit_is_served_before_the_next_one_is_acknowledged() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for at in 0..3 {
        store.apply(create(at, 300)).unwrap();
    }
    let served = Served::by(&store);
    fail(&disk, Part::Log, 0, usize::MAX);
    for (refused, is_unsettled) in [(elsewhere(1), true), (elsewhere(2), false), (create(7, 300), false)] {
        let error = store.apply(refused).err().unwrap();
        assert_eq!(matches!(error, EditError::Store(StoreError::Unsettled(_))), is_unsettled, "{error}");
    }
    recover(&disk);
    store.apply(elsewhere(3)).unwrap();
    assert!(served.is(&store));
    assert_eq!(served.0.lock().unwrap()[&name::order_key(&name("example.net."))].len(), 3);
}

#[test]
fn a_zone_that_turns_out_to_be_damaged_keeps_no_other_waiting() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for made in [create(0, 300), elsewhere(0), elsewhere(1)] {
        store.apply(made).unwrap();
    }
    let served = Served::by(&store);
    let (damaged, before) = (name::order_key(&name("example.net.")), served.0.lock().unwrap().clone());
    let number = store.shared().db.read(|view| crate::tables::header(view, &damaged)).unwrap().unwrap().number;
    let row = RowKey::node(number, &name::order_key(&name("n0.example.net.")));
    let done = store.shared().db.write(|view| {
        let mut found = None;
        view.scan(Table::Records, &row, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            Ok(false)
        })?;
        let (key, mut value) = found.unwrap();
        *value.last_mut().unwrap() ^= 4;
        view.put(Table::Records, &key, &value)?;
        Ok(((), Then::Commit))
    });
    done.unwrap();
    fail(&disk, Part::Log, 0, usize::MAX);
    let error = store.apply(edit(vec![new(1, 300), other(2)])).err().unwrap();
    assert!(matches!(error, EditError::Store(StoreError::Unsettled(_))), "{error}");
    recover(&disk);
    store.apply(create(2, 300)).unwrap();
    assert!(store.shared().withheld().contains(&damaged));
    let served = served.0.lock().unwrap();
    assert_eq!(served[&name::order_key(&name("example.org."))].len(), 4);
    assert!(served[&damaged] == before[&damaged], "it is served as it was");
}

#[test]
fn whatever_fails_the_verdict_is_right_or_says_that_it_is_not_known() {
    // In the log, in the file because it is too long for the log, and in the file because there is no log.
    for (part, octets, has_log) in [(Part::Log, 300, true), (Part::File, 30_000, true), (Part::File, 300, false)] {
        let mut seen = [0; 3];
        for (carried_out, failing) in (0..8).flat_map(|first| [1, 2, 3, 5, usize::MAX].map(|many| (first, many))) {
            let disk = Disk::default();
            disk.0.lock().unwrap().room = (!has_log).then_some(usize::MAX);
            let store = disk.store().unwrap();
            for made in [create(0, 300), create(1, 300), create(2, 300), elsewhere(0)] {
                store.apply(made).unwrap();
            }
            let served = Served::by(&store);
            fail(&disk, part, carried_out, failing);
            let remove = Op::RemoveZone(name("example.net."));
            let edits = [create(3, octets), edit(vec![remove, new(4, octets)]), create(5, octets)];
            let mut verdicts = Vec::new();
            for edit in edits {
                let verdict = store.apply(edit);
                let is_durable = || {
                    let left = disk.after_power_cut(|_, _| 0).reopen().unwrap().store;
                    left.row(verdicts.len() as u64 + 4).unwrap().is_some()
                };
                let is_kept = verdict.is_err() || is_durable() && served.is_known(&store);
                verdicts.push((verdict, is_kept));
            }
            recover(&disk);
            served.becomes(&store);
            let case = format!("{part:?} {octets} {has_log} {carried_out} {failing}");
            for (at, (verdict, is_kept)) in (3..).zip(verdicts) {
                let is_there = store.row(at + 1).unwrap().is_some();
                let kind = match verdict {
                    Ok(_) => 0,
                    Err(EditError::Store(StoreError::Unsettled(_))) => 1,
                    Err(EditError::Store(StoreError::Full)) => 2,
                    Err(other) => panic!("{case}: {other}"),
                };
                assert!(kind == 1 || is_there == (kind == 0), "{case}, edit {at}: {is_there}");
                assert!(is_kept, "{case}, edit {at}: acknowledged, and not durable or not served");
                seen[kind] += 1;
            }
            // And it is what a power cut leaves.
            let again = disk.after_power_cut(|_, _| 0).reopen().unwrap().store;
            assert!(stored(&again) == stored(&store), "{case}: a step back");
        }
        assert!(seen.iter().all(|&kind| kind > 0), "{part:?} {octets} {has_log}: {seen:?}");
    }
}
