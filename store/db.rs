//! The database file: tables of octets, read and written in transactions. redb is named here alone.
//!
//! redb keeps two roots and swaps them with one synchronized write, so that after a crash the last commit of the file is
//! there whole. A small commit is made durable in the write-ahead log first ([`crate::wal`]) and goes to the file with
//! others. After an error of the disk redb refuses everything until it is opened anew, which happens here at the next
//! use: when a full disk has room again, the store goes on without a restart.

mod commit;
mod fault;
mod file;
mod view;

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableError};

use crate::StoreError;
use crate::wal::{LogFile, Medium, Wal};
use commit::{LOG_NAME, Log};
use fault::{damaged, fault, fault_at, io_error};
use file::{FILE_NAME, builder, create, make_folder};
pub(crate) use file::{is_in, make, octets};
use view::{Octets, TABLES, View, open_tables};

/// A table of the database; both keys and values are octets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Table {
    /// Version of the schema and counters, by name.
    Meta,
    /// What the store keeps for others, by their keys.
    Settings,
    /// Zone headers, by the apex's order key.
    Zones,
    /// Apex by zone number.
    Numbers,
    /// Rows, by [`crate::codec::RowKey`].
    Records,
    /// The keys of rows, by id.
    Ids,
    /// Ids of the rows that clients see, by place in order of insertion.
    Order,
    /// Journal entries, by zone number and entry number.
    Journal,
    /// How many rows of each block of places are there, see [`crate::pages`].
    Pages,
    /// What is remembered of removed zones, see [`crate::removed`].
    Removed,
}

/// What a scan calls with key and value; it goes on while that answers true.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError>;

/// One state of all tables. A table that an older file does not have is empty.
pub(crate) trait Read {
    /// The value at a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Visits the entries from a key on, in order of keys.
    fn scan_from(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;
    /// Visits the entries whose keys begin with `prefix`, in order of keys.
    fn scan(&self, table: Table, prefix: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        self.scan_from(table, prefix, &mut |key, value| Ok(key.starts_with(prefix) && visit(key, value)?))
    }
    /// The same from the last one back.
    fn scan_back(&self, table: Table, prefix: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;
    /// How many entries a table has.
    fn count(&self, table: Table) -> Result<u64, StoreError>;
}

/// A state that is being changed.
pub(crate) trait Write: Read {
    /// Sets the value at a key; whether there was one.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError>;
    /// Removes an entry; whether it was there.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError>;
}

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is made durable.
    Commit,
    /// It is forgotten.
    Abort,
}

/// The open database.
pub(crate) struct Db {
    /// How to open it, the first time and after an error of the disk.
    opener: Opener,
    /// What the write-ahead log lies on.
    medium: Arc<dyn Medium>,
    /// The database, unless it has to be opened.
    open: Mutex<Open>,
    /// The log of the database that is open. Who has locked `open` may lock this, and not the other way round.
    log: Mutex<Log>,
    /// Why nothing may be written, if so.
    frozen: Option<StoreError>,
}

/// The database as it is at present.
struct Open {
    /// The database, unless it has to be opened.
    database: Option<Database>,
    /// How often it has been opened: an error closes only the database that it came from.
    generation: u64,
}

/// Opens a database; `true` asks for every page to be verified.
type Opener = Box<dyn Fn(bool) -> Result<Database, DatabaseError> + Send + Sync>;

/// A database and what was found at opening.
pub(crate) struct OpenedDb {
    /// The database.
    pub(crate) db: Db,
    /// It was not shut down cleanly and has been repaired.
    pub(crate) repaired: bool,
}

impl Db {
    /// Opens the database in a folder, making both if they are missing.
    pub(crate) fn open(folder: &Path) -> Result<OpenedDb, StoreError> {
        let at = |path: &Path, error| io_error(&path.display().to_string(), &error);
        make_folder(folder)?;
        let path = folder.join(FILE_NAME);
        match fs::metadata(&path) {
            Ok(found) if found.len() == 0 => {
                return Err(damaged(&path.display().to_string(), "it is empty"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => create(folder, &path)?,
            Err(error) => return Err(at(&path, error)),
        }
        let unclean = Builder::new();
        // A reader is turned away from a file that was not shut down; it may panic over one that is damaged.
        let unclean = catch_unwind(AssertUnwindSafe(|| unclean.open_read_only(&path)));
        let repaired = matches!(unclean, Ok(Err(DatabaseError::RepairAborted)));
        drop(unclean);
        let shown = path.display().to_string();
        let medium = Arc::new(LogFile::new(folder.join(LOG_NAME)));
        let opener: Opener = Box::new(move |verify| builder(verify).open(&path));
        Ok(OpenedDb { db: Self::with_opener(opener, medium, &shown)?, repaired })
    }

    /// Opens through `opener`, and a log on `medium`; `shown` names the file in errors.
    fn with_opener(opener: Opener, medium: Arc<dyn Medium>, shown: &str) -> Result<Self, StoreError> {
        let guarded = |verify: bool| {
            catch_unwind(AssertUnwindSafe(|| opener(verify)))
                .unwrap_or_else(|_| Err(redb::StorageError::Corrupted("the file is damaged".into()).into()))
        };
        let (database, frozen) = match guarded(true) {
            Ok(database) => (database, None),
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Err(StoreError::InUse(shown.to_owned()));
            }
            Err(DatabaseError::Storage(redb::StorageError::Corrupted(why))) => {
                let damaged = damaged(shown, &why);
                // What is left of it can be read zone by zone, each against its digest, if only pages with rows are hit.
                let Ok(database) = guarded(false) else {
                    return Err(damaged);
                };
                (database, Some(damaged))
            }
            Err(error) => return Err(fault_at(shown, error)),
        };
        let open = Mutex::new(Open { database: None, generation: 0 });
        let mut db = Self { opener, medium, open, log: Mutex::default(), frozen };
        db.catch_up(&database, 0)?;
        db.open.get_mut().unwrap_or_else(PoisonError::into_inner).database = Some(database);
        Ok(db)
    }

    /// Why nothing can be written: pages of the file are damaged.
    pub(crate) fn frozen(&self) -> Option<&StoreError> {
        self.frozen.as_ref()
    }

    /// Reads one state of the tables.
    pub(crate) fn read<R>(&self, work: impl FnOnce(&dyn Read) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let (transaction, generation) = self.begin(|database| database.begin_read().map_err(fault))?;
        let work = || {
            let mut tables = Vec::with_capacity(TABLES.len());
            for table in TABLES {
                tables.push(match transaction.open_table(table) {
                    Ok(table) => Some(table),
                    Err(TableError::TableDoesNotExist(_)) => None,
                    Err(error) => return Err(fault(error)),
                });
            }
            work(&View::<ReadOnlyTable<Octets, Octets>>::new(tables))
        };
        let read = match self.frozen {
            None => work(),
            // Below a damaged page anything can be found, and not all of it is met with an error.
            Some(_) => match catch_unwind(AssertUnwindSafe(work)) {
                // A page behind the end of a file that was cut short, after which redb reads nothing more.
                Ok(Err(StoreError::Io(_))) | Err(_) => Err(self.damaged()),
                Ok(read) => read,
            },
        };
        read.inspect_err(|error| self.close_after(error, generation))
    }

    /// The error of a file whose pages are damaged.
    fn damaged(&self) -> StoreError {
        self.frozen.clone().unwrap_or_else(|| damaged(FILE_NAME, "a page cannot be read"))
    }

    /// Fails if pages of the file are damaged: for reading what has no digest of its own.
    pub(crate) fn check_sound(&self) -> Result<(), StoreError> {
        self.frozen.clone().map_or(Ok(()), Err)
    }

    /// Changes the tables in one transaction, which is durable when this returns. If `work` says so, or after an error,
    /// nothing of it is there, unless that error is [`StoreError::Unsettled`]. Two at a time wait for each other.
    pub(crate) fn write<R>(
        &self,
        work: impl FnOnce(&mut dyn Write) -> Result<(R, Then), StoreError>,
    ) -> Result<R, StoreError> {
        if let Some(frozen) = &self.frozen {
            return Err(frozen.clone());
        }
        let (transaction, generation) = self.begin(|database| database.begin_write().map_err(fault))?;
        let work = || {
            let mut view = View::new(open_tables(&transaction)?);
            view.changes = self.log_of(generation)?.wal.as_ref().map(Wal::changes);
            let (made, then) = work(&mut view)?;
            Ok((made, then, view.changes.take()))
        };
        let (made, then, changes) = work().inspect_err(|error| self.close_after(error, generation))?;
        match then {
            Then::Commit => self.commit(transaction, changes, generation)?,
            Then::Abort => {
                transaction.abort().map_err(fault).inspect_err(|error| self.close_after(error, generation))?;
            }
        }
        Ok(made)
    }

    /// Gives room that is not needed back to the file system. Nothing else may be going on.
    pub(crate) fn compact(self) -> Result<(), StoreError> {
        self.check_sound()?;
        self.forget_log()?;
        let database = self.open.lock().unwrap_or_else(PoisonError::into_inner).database.take();
        let Some(mut database) = database else {
            return Ok(());
        };
        database.compact().map_err(fault)?;
        database.close().map_err(fault)
    }

    /// Begins a transaction, after opening the database if it is not.
    fn begin<R>(&self, begin: impl FnOnce(&Database) -> Result<R, StoreError>) -> Result<(R, u64), StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match open.database.take() {
            Some(database) => database,
            None => {
                open.generation += 1;
                let database = (self.opener)(false).map_err(fault)?;
                self.catch_up(&database, open.generation)?;
                database
            }
        };
        let begun = begin(open.database.insert(database));
        let generation = open.generation;
        drop(open);
        match begun {
            Ok(begun) => Ok((begun, generation)),
            Err(error) => {
                self.close_after(&error, generation);
                Err(error)
            }
        }
    }

    /// Closes the database, to be opened at the next use: after a panic in a transaction.
    pub(crate) fn close(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = open.database.take() {
            // Who could be told has panicked.
            let _ = database.close();
        }
    }

    /// Closes the database after an error of the disk, to be opened at the next use.
    fn close_after(&self, error: &StoreError, generation: u64) {
        if matches!(error, StoreError::Full | StoreError::Io(_)) {
            self.close_opening(generation);
        }
    }

    /// Closes the database if it still is the one of this opening.
    fn close_opening(&self, generation: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.generation == generation
            && let Some(database) = open.database.take()
        {
            // What it could still say is what has just been reported.
            let _ = database.close();
        }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // What does not reach the file now is in the log for the next open.
        let _ = self.forget_log();
    }
}

#[cfg(test)]
pub(crate) mod faults;
