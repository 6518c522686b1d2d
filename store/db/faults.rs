//! A disk that fails: it loses what was not synchronized when the power goes, or has no room. The tests on it are filed
//! by what fails.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;
use crate::edit::{Api, Edit, NewRow, Op};
use crate::{Name, Rtype, Store, name};

mod flips;
mod full;
mod power;

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
    /// After a power cut: all that was synchronized, and of the rest what `kept` says of a write by its number and
    /// octets: how many of the octets made it.
    fn after_power_cut(&self, mut kept: impl FnMut(usize, usize) -> usize) -> Self {
        let state = self.0.lock().unwrap();
        let mut octets = state.synced.clone();
        for (number, write) in state.writes.iter().enumerate() {
            match write {
                Write::At(at, new) => {
                    let part = kept(number, new.len()).min(new.len());
                    carry_out(&mut octets, &Write::At(*at, new[..part].to_vec()));
                }
                Write::Length(_) if kept(number, 1) > 0 => carry_out(&mut octets, write),
                Write::Length(_) => {}
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
        Write::At(_, new) if new.is_empty() => {}
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

fn name(text: &str) -> Name {
    name::parse(text, None).unwrap()
}

/// An edit that adds a TXT record of so many octets.
fn create(at: usize, text_octets: usize) -> Edit {
    let apex = name("example.org.");
    let mut rdata = Vec::new();
    for _ in 0..text_octets.div_ceil(255) {
        rdata.push(255);
        rdata.extend_from_slice(&[b'x'; 255]);
    }
    let new = NewRow {
        id: Some(at as u64 + 1),
        owner: name::parse(&format!("n{at}"), Some(&apex)).unwrap(),
        zone: apex,
        rtype: Rtype::TXT,
        ttl: None,
        rdata: rdata.into(),
        written: None,
    };
    edit(vec![Op::Create(new)])
}

fn edit(ops: Vec<Op>) -> Edit {
    Edit { who: "test".into(), api: Api::Native, ops }
}

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    /// A number below a bound.
    fn below(&mut self, bound: usize) -> usize {
        // The constants are those of Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}
