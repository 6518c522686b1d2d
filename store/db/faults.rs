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
mod log;
mod power;
mod unsettled;

/// A disk in memory with the database file and its log; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The database file.
    File,
    /// The write-ahead log.
    Log,
}

/// A file as somebody has opened it.
#[derive(Debug)]
struct Opened(Disk, Part);

/// What is on the disk, and what will happen to it.
#[derive(Debug, Default)]
struct State {
    /// What reads give of each file.
    now: [Vec<u8>; 2],
    /// What is left of each when the power goes, unless a part of `writes` made it too.
    synced: [Vec<u8>; 2],
    /// Writes and new lengths since the last synchronization of their file.
    writes: Vec<(Part, Write)>,
    /// So many writes are carried out, then the power goes.
    power_left: Option<usize>,
    /// How the synchronizations of each file fail.
    sync_failures: [SyncFailures; 2],
    /// How the next write of the log fails.
    log_failure: Option<LogFailure>,
    /// So many octets fit into the database file; a log that is not there yet does not fit.
    room: Option<usize>,
}

/// How synchronizations fail: what was written before can be read all the same.
#[derive(Clone, Copy, Debug, Default)]
struct SyncFailures {
    /// So many are carried out.
    carried_out: usize,
    /// So many of those after them fail.
    failing: usize,
}

/// How a write of the log fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogFailure {
    /// With an error, and nothing has been written.
    Unwritten,
    /// With an error, and all has been written.
    Written,
    /// With a panic when all has been written.
    Panic,
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
    /// Takes one write's worth of power.
    fn use_power(&mut self) -> io::Result<()> {
        match &mut self.power_left {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Carries out a change.
    fn write(&mut self, part: Part, write: Write) -> io::Result<()> {
        self.use_power()?;
        let end = match &write {
            Write::At(at, octets) => at + octets.len(),
            // A file may be longer than the disk; its holes take room when they are written to.
            Write::Length(_) => 0,
        };
        if part == Part::File && self.room.is_some_and(|room| end > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        carry_out(&mut self.now[part as usize], &write);
        self.writes.push((part, write));
        Ok(())
    }

    /// Synchronizes a file.
    fn sync(&mut self, part: Part) -> io::Result<()> {
        if self.power_left == Some(0) {
            return Err(io::Error::other("no power"));
        }
        let SyncFailures { carried_out, failing } = &mut self.sync_failures[part as usize];
        match (&*carried_out, &*failing) {
            (0, 0) => {}
            (0, _) => {
                *failing -= 1;
                return Err(ErrorKind::StorageFull.into());
            }
            _ => *carried_out -= 1,
        }
        self.synced[part as usize] = self.now[part as usize].clone();
        self.writes.retain(|(of, _)| *of != part);
        Ok(())
    }
}

impl Disk {
    /// After a power cut: all that was synchronized, and of the rest what `kept` says of a write by its number and
    /// octets: how many of the octets made it.
    fn after_power_cut(&self, mut kept: impl FnMut(usize, usize) -> usize) -> Self {
        let state = self.0.lock().unwrap();
        let mut files = state.synced.clone();
        for (number, (part, write)) in state.writes.iter().enumerate() {
            let octets = &mut files[*part as usize];
            match write {
                Write::At(at, new) => {
                    let whole = kept(number, new.len()).min(new.len());
                    carry_out(octets, &Write::At(*at, new[..whole].to_vec()));
                }
                Write::Length(_) if kept(number, 1) > 0 => carry_out(octets, write),
                Write::Length(_) => {}
            }
        }
        Self(Arc::new(Mutex::new(State { now: files.clone(), synced: files, ..State::default() })))
    }

    /// After a kill: nothing is lost, and what was not synchronized may still be.
    fn after_kill(&self) -> Self {
        let state = self.0.lock().unwrap();
        let (now, synced, writes) = (state.now.clone(), state.synced.clone(), state.writes.clone());
        Self(Arc::new(Mutex::new(State { now, synced, writes, ..State::default() })))
    }

    /// A file of the disk.
    fn open(&self, part: Part) -> Opened {
        Opened(self.clone(), part)
    }

    /// A store on this disk, which is new or was one's before.
    fn store(&self) -> Result<Store, StoreError> {
        let disk = self.clone();
        let opener: Opener = Box::new(move |verify| builder(verify).create_with_backend(disk.open(Part::File)));
        let made = opener(false).map_err(fault)?;
        let transaction = made.begin_write().map_err(fault)?;
        drop(open_tables(&transaction)?);
        transaction.commit().map_err(fault)?;
        drop(made);
        self.reopen().map(|opened| opened.store)
    }

    /// The store that is on this disk.
    fn reopen(&self) -> Result<crate::Opened, StoreError> {
        let disk = self.clone();
        let opener: Opener = Box::new(move |verify| builder(verify).create_with_backend(disk.open(Part::File)));
        let db = Db::with_opener(opener, Arc::new(self.open(Part::Log)), "disk")?;
        Store::with_db(OpenedDb { db, repaired: false }, || 0)
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

impl StorageBackend for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().unwrap().now[self.1 as usize].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.0.lock().unwrap();
        let found = state.now[self.1 as usize].get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.0.lock().unwrap().write(self.1, Write::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.0.lock().unwrap().sync(self.1)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.0.lock().unwrap().write(self.1, Write::At(offset as usize, data.to_vec()))
    }
}

impl Medium for Opened {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let found = self.0.0.lock().unwrap().now[self.1 as usize].clone();
        Ok((!found.is_empty()).then_some(found))
    }

    fn create(&self) -> io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        state.use_power()?;
        if state.room.is_some() {
            return Err(ErrorKind::StorageFull.into());
        }
        // It gets its name when it is whole.
        state.now[self.1 as usize] = vec![0; LOG_OCTETS];
        state.sync(self.1)?;
        Ok(LOG_OCTETS)
    }

    fn write(&self, at: usize, octets: &[u8]) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        let failure = state.log_failure.take();
        if failure != Some(LogFailure::Unwritten) {
            state.write(self.1, Write::At(at, octets.to_vec()))?;
        }
        match failure {
            None => state.sync(self.1),
            Some(LogFailure::Unwritten | LogFailure::Written) => Err(io::Error::other("a sector cannot be written")),
            Some(LogFailure::Panic) => {
                drop(state);
                panic!("a fault of the code between log and memory");
            }
        }
    }

    fn remove(&self) -> io::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        state.use_power()?;
        state.now[self.1 as usize].clear();
        state.sync(self.1)
    }
}

/// Octets of the log on such a disk: a few edits fill it.
const LOG_OCTETS: usize = 20 << 10;

fn name(text: &str) -> Name {
    name::parse(text, None).unwrap()
}

/// An edit that adds a TXT record of so many octets.
fn create(at: usize, text_octets: usize) -> Edit {
    edit(vec![new(at, text_octets)])
}

/// The step that adds one.
fn new(at: usize, text_octets: usize) -> Op {
    let apex = name("example.org.");
    let mut rdata = Vec::new();
    for _ in 0..text_octets.div_ceil(255) {
        rdata.push(255);
        rdata.extend_from_slice(&[b'x'; 255]);
    }
    Op::Create(NewRow {
        id: Some(at as u64 + 1),
        owner: name::parse(&format!("n{at}"), Some(&apex)).unwrap(),
        zone: apex,
        rtype: Rtype::TXT,
        ttl: None,
        rdata: rdata.into(),
        written: None,
    })
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
