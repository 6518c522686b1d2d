//! The write-ahead log: what has been committed and is not in the database file yet.
//!
//! A commit of redb writes some twenty pages that lie scattered over the file. For an edit of a few octets that is most of
//! what it costs, so an edit is made durable here, by one write of what it puts and removes, and redb keeps its pages in
//! memory until the log is full or the program stops. What redb's file lacks after a kill or a power cut is put in again
//! at the next open.
//!
//! The log is a file of fixed length. Its first [`BLOCK`] begins with a hash of its id; behind that it is written from the
//! start again and again. A record is
//!
//! | octets | |
//! | --- | --- |
//! | 16 | the first of the BLAKE3 hash of the log's id and all that follows |
//! | 8 | number of the commit, one more than the last one's, in the log or not |
//! | 4 | length of the changes |
//! | | the changes: table (with [`REMOVED`] if the entry goes), lengths of key and value, key, value |
//!
//! with numbers little-endian, and begins at a multiple of [`BLOCK`], so that no write touches what is durable already. The
//! database file has the log's id and the number of its last commit in it, so neither an older record nor a log of another
//! file is taken for the next commit. Each record is synchronized before the next is written: one that cannot be read is
//! damage if another comes after it; if it is the last one, it is taken for one that was never written as a whole, and so
//! never acknowledged. That the disk itself changed the last record cannot be told from that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What the log lies on.
pub(crate) trait Medium: Send + Sync {
    /// All octets; `None` if there is no log.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;
    /// Makes an empty log, durably, whole or not at all, in place of what is there; its length.
    fn create(&self) -> io::Result<usize>;
    /// Writes octets of the log, durably.
    fn write(&self, at: usize, octets: &[u8]) -> io::Result<()>;
    /// Removes the log.
    fn remove(&self) -> io::Result<()>;
}

/// What ties a log to a database: kept in the file, it tells which commits the file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The log's id.
    pub(crate) id: [u8; 16],
    /// Number of the last commit.
    pub(crate) last: u64,
    /// Octets of the log.
    pub(crate) length: u64,
}

/// A log that takes records.
pub(crate) struct Wal {
    /// Where they go.
    medium: Arc<dyn Medium>,
    /// The id, and the last commit.
    mark: Mark,
    /// Where the next record goes.
    at: usize,
}

/// A log, and the changes of all commits that a database lacks, one after the other.
pub(crate) type Found = (Wal, Vec<Vec<u8>>);

/// Changes of one commit, as they lie in a record.
pub(crate) struct Changes {
    /// A record whose head is not filled in yet; `None` once it has grown too long for the log.
    record: Option<Vec<u8>>,
    /// Octets that it may have.
    room: usize,
}

/// Why a log cannot be used.
#[derive(Debug)]
pub(crate) enum WalError {
    /// The medium said so.
    Io(io::Error),
    /// It is not what was written, or belongs to another file.
    Damaged(&'static str),
}

impl From<io::Error> for WalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Mark {
    /// The octets that the database keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.id[..], &self.last.to_le_bytes(), &self.length.to_le_bytes()].concat()
    }

    /// The mark that has these octets.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        let (id, numbers) = octets.split_first_chunk()?;
        let (last, length) = numbers.split_first_chunk()?;
        let number = u64::from_le_bytes;
        Some(Self { id: *id, last: number(*last), length: number(length.try_into().ok()?) })
    }
}

impl Wal {
    /// Makes an empty log. It is no database's until the first commit that has its mark is in the file.
    pub(crate) fn create(medium: &Arc<dyn Medium>) -> io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
        let length = medium.create()? as u64;
        medium.write(0, &hash(&id, &[]))?;
        // The first two commits go to the file, so that it has the mark in both states that it may have after a crash.
        Ok(Self { medium: medium.clone(), mark: Mark { id, last: 0, length }, at: length as usize })
    }

    /// Opens the log of a database with this mark. `None` if the file says that it is to be forgotten.
    pub(crate) fn open(medium: &Arc<dyn Medium>, mark: Mark) -> Result<Option<Found>, WalError> {
        let octets = medium.read()?.ok_or(WalError::Damaged("it is missing"))?;
        if octets.trim_ascii() == FORGET.as_bytes() {
            return Ok(None);
        }
        if octets.len() as u64 != mark.length || !octets.starts_with(&hash(&mark.id, &[])) {
            return Err(WalError::Damaged("it is another one, or not whole"));
        }
        let mut wal = Self { medium: medium.clone(), mark, at: BLOCK };
        let mut lacking = Vec::new();
        let mut at = BLOCK;
        let mut before = None;
        while let Some((number, changes)) = record(&octets, at, &mark.id) {
            if before.is_some_and(|before| number != before + 1) {
                break;
            }
            before = Some(number);
            let began = at;
            at += taken(changes.len());
            if number > mark.last {
                if number > wal.mark.last + 1 {
                    return Err(WalError::Damaged("it is of a later state than the database"));
                }
                lacking.push((began, changes));
                wal.mark.last = number;
                wal.at = at;
            }
        }
        let mut rest = (at..octets.len()).step_by(BLOCK).filter_map(|at| record(&octets, at, &mark.id));
        if rest.any(|(number, _)| number > wal.mark.last) {
            return Err(WalError::Damaged("a record in it cannot be read"));
        }
        // Only the last one may not be durable yet, if the program was killed over it.
        if let Some((began, _)) = lacking.last() {
            medium.write(*began, &octets[*began..at])?;
        }
        Ok(Some((wal, lacking.into_iter().map(|(_, changes)| changes.to_vec()).collect())))
    }

    /// Room for the changes of a commit.
    pub(crate) fn changes(&self) -> Changes {
        let room = (self.mark.length as usize).saturating_sub(self.at);
        Changes { record: (room >= HEAD).then(|| vec![0; HEAD]), room }
    }

    /// The mark that a database has with all commits.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// The mark that a database has with one more commit.
    pub(crate) fn next_mark(&self) -> Mark {
        Mark { last: self.mark.last + 1, ..self.mark }
    }

    /// Makes a commit durable by its changes; false if there is no room for them. After an error only opening the log
    /// again tells whether they are there.
    pub(crate) fn append(&mut self, changes: Changes) -> io::Result<bool> {
        let Some(mut record) = changes.record else { return Ok(false) };
        let number = self.next_mark().last;
        let length = (record.len() - HEAD) as u32;
        record[16..24].copy_from_slice(&number.to_le_bytes());
        record[24..HEAD].copy_from_slice(&length.to_le_bytes());
        let hash = hash(&self.mark.id, &record[16..]);
        record[..16].copy_from_slice(&hash);
        let taken = taken(record.len() - HEAD);
        record.resize(taken, 0);
        self.medium.write(self.at, &record)?;
        self.at += taken;
        self.mark.last = number;
        Ok(true)
    }

    /// Counts a commit that is in the database and not in the log.
    pub(crate) fn count(&mut self) {
        self.mark = self.next_mark();
    }

    /// Begins from the start: the database has all commits, one that is not in the log included.
    pub(crate) fn restart(&mut self) {
        self.mark = self.next_mark();
        self.at = BLOCK;
    }
}

impl Changes {
    /// Notes that an entry is set, or with `None` removed.
    pub(crate) fn note(&mut self, table: u8, key: &[u8], value: Option<&[u8]>) {
        let Some(record) = &mut self.record else { return };
        let value_length = value.map_or(0, <[u8]>::len);
        if record.len() + 9 + key.len() + value_length > self.room {
            self.record = None;
            return;
        }
        record.push(table | if value.is_none() { REMOVED } else { 0 });
        record.extend_from_slice(&(key.len() as u32).to_le_bytes());
        record.extend_from_slice(&(value_length as u32).to_le_bytes());
        record.extend_from_slice(key);
        record.extend_from_slice(value.unwrap_or_default());
    }
}

/// A change of one entry: its table, its key, and what it is set to, if it is not removed.
pub(crate) type Entry<'a> = (u8, &'a [u8], Option<&'a [u8]>);

/// The changes that were noted, in order; `None` for octets that were never written.
pub(crate) fn entries(mut changes: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::new();
    while let Some((tag, rest)) = changes.split_first() {
        let (key_length, rest) = rest.split_first_chunk()?;
        let (value_length, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_length) as usize)?;
        entries.push((tag & !REMOVED, key, (tag & REMOVED == 0).then_some(value)));
        changes = rest;
    }
    Some(entries)
}

/// The record that begins at a place: its number and its changes.
fn record<'a>(octets: &'a [u8], at: usize, id: &[u8; 16]) -> Option<(u64, &'a [u8])> {
    let (found, rest) = octets.get(at..)?.split_first_chunk::<16>()?;
    let (number, after) = rest.split_first_chunk()?;
    let (length, changes) = after.split_first_chunk()?;
    let changes = changes.get(..u32::from_le_bytes(*length) as usize)?;
    match *found == hash(id, &rest[..HEAD - 16 + changes.len()]) {
        true => Some((u64::from_le_bytes(*number), changes)),
        false => None,
    }
}

/// What a record's octets behind the hash add up to.
fn hash(id: &[u8; 16], octets: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let hash = hasher.update(id).update(octets).finalize();
    *hash.as_bytes().first_chunk().expect("a hash has 32 octets")
}

/// Octets that a record with changes of this length takes.
fn taken(changes: usize) -> usize {
    (HEAD + changes).next_multiple_of(BLOCK)
}

/// A log in a file of its own, beside the database.
pub(crate) struct LogFile {
    /// Where it is.
    path: PathBuf,
    /// The file, once it has been used.
    file: Mutex<Option<File>>,
}

impl LogFile {
    /// The log at a path, whether it is there or not.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::default() }
    }
}

impl Medium for LogFile {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        // What has been read is what is written to, whoever has put another file there meanwhile.
        let mut kept = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = None;
        let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)?;
        *kept = Some(file);
        Ok(Some(octets))
    }

    fn create(&self) -> io::Result<usize> {
        let new = self.path.with_extension("wal-new");
        // Whose the old one was does not need it any more, and on a full disk its room may be what is missing.
        let _ = fs::remove_file(&self.path);
        let made = (|| {
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            // On most file systems room that has been written to is there for good, and to write it again changes nothing
            // but the octets.
            file.write_all_at(&vec![0; OCTETS], 0)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            File::open(self.path.parent().unwrap_or(&self.path))?.sync_all()
        })();
        if let Err(error) = made {
            // What was begun is in the way of nothing but room.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(OCTETS)
    }

    fn write(&self, at: usize, octets: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().write(true).open(&self.path)?),
        };
        file.write_all_at(octets, at as u64)?;
        file.sync_data()
    }

    fn remove(&self) -> io::Result<()> {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        fs::remove_file(&self.path)
    }
}

/// What somebody writes into the log's place who wants to go on without what was in it.
pub(crate) const FORGET: &str = "forget";

/// Octets of a log, which is some 250 small edits.
const OCTETS: usize = 1 << 20;

/// What a record's beginning is a multiple of: a page of memory, and no less than what a disk writes at once.
const BLOCK: usize = 4_096;

/// Octets of a record before its changes.
const HEAD: usize = 28;

/// The bit of a table's octet that says that the entry is removed.
const REMOVED: u8 = 0x80;

#[cfg(test)]
mod tests;
