//! A disk that fails: it loses what was not synchronized when the power goes, or has no room.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;
use crate::Store;
use crate::edit::{Api, Edit, EditError, NewRow, Op};

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// What is on the disk, and what will happen to it.
#[derive(Debug, Default)]
struct State {
    /// What reads give.
    now: Vec<u8>,
    /// What is left when the power goes, unless a part of `writes` made it too.
    synced: Vec<u8>,
    /// Writes and new lengths since the last synchronization.
    writes: Vec<Write>,
    /// So many writes are carried out, then the power goes.
    power_left: Option<usize>,
    /// So many octets fit.
    room: Option<usize>,
}

/// One change of the disk.
#[derive(Clone, Debug)]
enum Write {
    /// Octets at an offset.
    At(usize, Vec<u8>),
    /// A new length.
    Length(usize),
}

impl State {
    /// Carries out a change.
    fn write(&mut self, write: Write) -> io::Result<()> {
        if let Some(left) = &mut self.power_left {
            if *left == 0 {
                return Err(io::Error::other("no power"));
            }
            *left -= 1;
        }
        let end = match &write {
            Write::At(at, octets) => at + octets.len(),
            // A file may be longer than the disk; its holes take room when they are written to.
            Write::Length(_) => 0,
        };
        if self.room.is_some_and(|room| end > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        carry_out(&mut self.now, &write);
        self.writes.push(write);
        Ok(())
    }
}

impl Disk {
    /// After a power cut: all that was synchronized, and of the rest what `kept` says by its number.
    fn after_power_cut(&self, kept: impl Fn(usize) -> bool) -> Self {
        let state = self.0.lock().unwrap();
        let mut octets = state.synced.clone();
        for (at, write) in state.writes.iter().enumerate() {
            if kept(at) {
                carry_out(&mut octets, write);
            }
        }
        Self(Arc::new(Mutex::new(State { now: octets.clone(), synced: octets, ..State::default() })))
    }

    /// The store on this disk.
    fn store(&self) -> Result<Store, StoreError> {
        let disk = self.clone();
        let opener: Opener = Box::new(move |verify| builder(verify).create_with_backend(disk.clone()));
        let made = opener(false).map_err(fault)?;
        let transaction = made.begin_write().map_err(fault)?;
        drop(open_tables(&transaction)?);
        transaction.commit().map_err(fault)?;
        drop(made);
        let db = Db::with_opener(opener, "disk")?;
        Store::with_db(OpenedDb { db, repaired: false }, || 0).map(|opened| opened.store)
    }
}

/// Carries out a change on plain octets.
fn carry_out(octets: &mut Vec<u8>, write: &Write) {
    match write {
        Write::At(at, new) => {
            let end = at + new.len();
            if octets.len() < end {
                octets.resize(end, 0);
            }
            octets[*at..end].copy_from_slice(new);
        }
        Write::Length(length) => octets.resize(*length, 0),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let found = state.now.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().write(Write::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.power_left == Some(0) {
            return Err(io::Error::other("no power"));
        }
        state.synced = state.now.clone();
        state.writes.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().write(Write::At(offset as usize, data.to_vec()))
    }
}

fn create(at: usize, text_octets: usize) -> Edit {
    let apex = crate::name::parse("example.org.", None).unwrap();
    let mut rdata = Vec::new();
    for _ in 0..text_octets.div_ceil(255) {
        rdata.push(255);
        rdata.extend_from_slice(&[b'x'; 255]);
    }
    let new = NewRow {
        id: Some(at as u64 + 1),
        owner: crate::name::parse(&format!("n{at}"), Some(&apex)).unwrap(),
        zone: apex,
        rtype: crate::Rtype::TXT,
        ttl: None,
        rdata: rdata.into(),
        written: None,
    };
    Edit { who: "test".into(), api: Api::Native, ops: vec![Op::Create(new)] }
}

#[test]
fn after_a_power_cut_at_any_write_all_that_was_acknowledged_is_there() {
    for stop in 0..150 {
        let disk = Disk::default();
        let store = disk.store().unwrap();
        disk.0.lock().unwrap().power_left = Some(stop);
        let mut acknowledged = HashSet::new();
        for at in 0..12 {
            match store.apply(create(at, 300)) {
                Ok(_) => drop(acknowledged.insert(at as u64 + 1)),
                Err(EditError::Store(_)) => break,
                Err(other) => panic!("{other}"),
            }
        }
        // The disk may have carried out none, all, or some of what it was not asked to synchronize.
        for kept in [|_| false, |_| true, |at: usize| at.is_multiple_of(2), |at: usize| at.is_multiple_of(3)] {
            let disk = disk.after_power_cut(kept);
            let store = disk.store().unwrap();
            assert_eq!(store.load(&mut |_, _| ()).unwrap(), [], "{stop}");
            let (rows, _) = store.rows(0, 100).unwrap();
            let found: HashSet<u64> = rows.iter().map(|row| row.id).collect();
            assert!(found.is_superset(&acknowledged), "{stop}: {found:?} {acknowledged:?}");
            assert!(found.len() <= acknowledged.len() + 1, "{stop}");
        }
    }
}

#[test]
fn a_full_disk_refuses_edits_until_there_is_room_again() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    store.apply(create(0, 300)).unwrap();
    let room = disk.0.lock().unwrap().now.len() + 40_000;
    disk.0.lock().unwrap().room = Some(room);
    let mut at = 1;
    let error = loop {
        match store.apply(create(at, 5_000)) {
            Ok(_) => at += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EditError::Store(StoreError::Full)), "{error}");
    for _ in 0..3 {
        let error = store.apply(create(at, 60_000)).err().unwrap();
        assert!(matches!(error, EditError::Store(StoreError::Full)), "{error}");
        assert_eq!(store.rows(0, 0).unwrap().1, at as u64, "what was acknowledged can be read");
    }
    disk.0.lock().unwrap().room = None;
    store.apply(create(at, 60_000)).unwrap();
    assert_eq!(store.rows(0, 0).unwrap().1, at as u64 + 1);
    assert_eq!(store.load(&mut |_, _| ()).unwrap(), []);
}
