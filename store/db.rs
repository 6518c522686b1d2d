//! The database file: tables of octets, read and written in transactions. redb is named here alone.
//!
//! redb keeps two roots and swaps them with one synchronized write, so that after a crash the last commit of the file is
//! there whole. A small commit is made durable in the write-ahead log first ([`crate::wal`]) and goes to the file with
//! others. After an error of the disk redb refuses everything until it is opened anew, which happens here at the next
//! use: when a full disk has room again, the store goes on without a restart.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};

use crate::StoreError;
use crate::wal::{self, Changes, LogFile, Mark, Medium, Wal, WalError};

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

/// Octets as redb keys and values.
type Octets = &'static [u8];

/// The tables in the order of [`Table`].
const TABLES: [TableDefinition<'static, Octets, Octets>; 10] = [
    TableDefinition::new("meta"),
    TableDefinition::new("settings"),
    TableDefinition::new("zones"),
    TableDefinition::new("numbers"),
    TableDefinition::new("records"),
    TableDefinition::new("ids"),
    TableDefinition::new("order"),
    TableDefinition::new("journal"),
    TableDefinition::new("pages"),
    TableDefinition::new("removed"),
];

/// The table of the one [`Mark`], which is the file's own and in no back-up.
const LOG: TableDefinition<'static, (), Octets> = TableDefinition::new("log");

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

/// The log of one opening of the database.
#[derive(Default)]
struct Log {
    /// Which opening.
    generation: u64,
    /// The log; `None` if the file is whole without one.
    wal: Option<Wal>,
    /// None can be made.
    is_impossible: bool,
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

    /// Puts what the log has into a database that has just been opened.
    fn catch_up(&self, database: &Database, generation: u64) -> Result<(), StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log = Log { generation, ..Log::default() };
        if self.frozen.is_some() {
            // Without a log the file was shut down and has all there is. With one, what can be read of it may be of an
            // earlier state.
            return match self.medium.read() {
                Ok(None) => Ok(()),
                _ => Err(log_damaged("the database file is damaged and does not take them")),
            };
        }
        let Some(mark) = read_mark(database)? else { return Ok(()) };
        let (wal, lacking) = match Wal::open(&self.medium, mark) {
            Ok(Some(opened)) => opened,
            Ok(None) => return forget_mark(database),
            Err(WalError::Io(error)) => return Err(io_error(LOG_NAME, &error)),
            Err(WalError::Damaged(why)) => return Err(log_damaged(why)),
        };
        let mut entries = Vec::new();
        for changes in &lacking {
            entries.extend(wal::entries(changes).ok_or_else(|| log_damaged("a record in it makes no sense"))?);
        }
        if !lacking.is_empty() {
            let mut transaction = database.begin_write().map_err(fault)?;
            let mut tables = open_tables(&transaction)?;
            for (table, key, value) in entries {
                let table = tables.get_mut(usize::from(table)).and_then(Option::as_mut);
                let table = table.ok_or_else(|| log_damaged("a record in it is of a table that there is not"))?;
                match value {
                    Some(value) => drop(table.insert(key, value).map_err(fault)?),
                    None => drop(table.remove(key).map_err(fault)?),
                }
            }
            drop(tables);
            put_mark(&transaction, wal.mark())?;
            // It stays in the log, so there need be no room for it in the file now.
            transaction.set_durability(Durability::None).map_err(fault)?;
            transaction.commit().map_err(fault)?;
        }
        log.wal = Some(wal);
        Ok(())
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
    /// nothing of it is there, unless the disk cannot even be asked. Two at a time wait for each other.
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

    /// Makes a transaction durable: in the log, or where that has no room for the changes, with all that is in the log, in
    /// the file. An error means that it is not there, unless the disk cannot even be asked.
    fn commit(
        &self,
        transaction: WriteTransaction,
        changes: Option<Changes>,
        generation: u64,
    ) -> Result<(), StoreError> {
        let mut mark = None;
        let Err(error) = self.try_commit(transaction, changes, generation, &mut mark) else { return Ok(()) };
        // What failed may have come as far as the disk all the same, and what is in memory may lack what the log has: what
        // the next open finds counts.
        self.close_opening(generation);
        match mark {
            Some(mark) if self.begin(|_| Ok(())).is_ok() && self.has(mark) => Ok(()),
            _ => Err(error),
        }
    }

    /// Whether the database that is open has this commit.
    fn has(&self, mark: Mark) -> bool {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let found = log.wal.as_ref().map(Wal::mark);
        found.is_some_and(|found| found.id == mark.id && found.last >= mark.last)
    }

    /// The same, without a look at what became of it after an error: `mark` is what the database has then if it is there.
    fn try_commit(
        &self,
        mut transaction: WriteTransaction,
        changes: Option<Changes>,
        generation: u64,
        mark: &mut Option<Mark>,
    ) -> Result<(), StoreError> {
        let mut log = self.log_of(generation)?;
        let is_new = log.wal.is_none() && !log.is_impossible;
        if is_new {
            // On a full disk there can be no log, and perhaps still room for this in the file.
            log.wal = Wal::create(&self.medium).ok();
            log.is_impossible = log.wal.is_none();
        }
        if let Some(wal) = &mut log.wal {
            let next = wal.next_mark();
            put_mark(&transaction, next)?;
            *mark = Some(next);
            if changes.map_or(Ok(false), |changes| wal.append(changes)).map_err(|error| io_error(LOG_NAME, &error))? {
                transaction.set_durability(Durability::None).map_err(fault)?;
                return transaction.commit().map_err(fault);
            }
        }
        commit_to_file(transaction)?;
        log.wal.iter_mut().for_each(if is_new { Wal::count } else { Wal::restart });
        Ok(())
    }

    /// The log of one opening of the database.
    fn log_of(&self, generation: u64) -> Result<MutexGuard<'_, Log>, StoreError> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match log.generation == generation {
            true => Ok(log),
            false => Err(StoreError::Io(format!("{FILE_NAME} was closed after an error and opened anew"))),
        }
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

    /// Brings all to the file and removes the log: the file is whole without it from here on.
    fn forget_log(&self) -> Result<(), StoreError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(_), Some(database)) = (&log.wal, &open.database) {
            forget_mark(database)?;
            log.wal = None;
            // Without its mark in the file it is nobody's log.
            let _ = self.medium.remove();
        }
        Ok(())
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

/// Whether a folder has a database.
pub(crate) fn is_in(folder: &Path) -> bool {
    folder.join(FILE_NAME).exists()
}

/// Octets that a folder's database takes.
pub(crate) fn octets(folder: &Path) -> Result<u64, StoreError> {
    let path = folder.join(FILE_NAME);
    let found = fs::metadata(&path).map_err(|error| io_error(&path.display().to_string(), &error))?;
    Ok(found.len())
}

/// Makes the database of a folder, whole or not at all, from what `fill` puts into it; `Err` inside leaves none.
pub(crate) fn make<R, E>(
    folder: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<Result<R, E>, StoreError>,
) -> Result<Result<R, E>, StoreError> {
    make_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let new = path.with_extension("restored");
    let at = |path: &Path, error: io::Error| io_error(&path.display().to_string(), &error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&new).map_err(|error| at(&new, error))?;
    let filled = fill_file(&new, fill);
    match &filled {
        Ok(Ok(_)) => finish(folder, &new, &path)?,
        // What was begun is of no use, and if it cannot be removed, of no harm.
        _ => drop(fs::remove_file(&new)),
    }
    filled
}

/// Makes an empty database file, whole or not at all.
fn create(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    // What is there of an earlier attempt, or of another process, is opened and not lost.
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(&new).map_err(|error| io_error(&new.display().to_string(), &error))?;
    fill_file(&new, |_| Ok(Ok::<_, StoreError>(())))??;
    finish(folder, &new, path)
}

/// Makes a folder that is nobody else's.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| io_error(&folder.display().to_string(), &error))
}

/// Fills a new database file in one transaction.
fn fill_file<R, E>(
    new: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<Result<R, E>, StoreError>,
) -> Result<Result<R, E>, StoreError> {
    let shown = new.display().to_string();
    let database = builder(false).create(new).map_err(|error| fault_at(&shown, error))?;
    let transaction = database.begin_write().map_err(fault)?;
    let mut view = View::new(open_tables(&transaction)?);
    let filled = fill(&mut view)?;
    drop(view);
    match &filled {
        Ok(_) => transaction.commit().map_err(fault)?,
        Err(_) => transaction.abort().map_err(fault)?,
    }
    database.close().map_err(fault)?;
    Ok(filled)
}

/// Gives a new file its name, and makes that durable.
fn finish(folder: &Path, new: &Path, path: &Path) -> Result<(), StoreError> {
    let at = |path: &Path, error: io::Error| io_error(&path.display().to_string(), &error);
    fs::rename(new, path).map_err(|error| at(new, error))?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, error))
}

/// The settings that every opening shares.
fn builder(verify: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify);
    builder
}

/// Opens all tables for writing.
fn open_tables(transaction: &WriteTransaction) -> Result<Vec<Option<redb::Table<'_, Octets, Octets>>>, StoreError> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        tables.push(Some(transaction.open_table(table).map_err(fault)?));
    }
    Ok(tables)
}

/// Which log a database has, and what of it; `None` for one that was shut down, or never had one.
fn read_mark(database: &Database) -> Result<Option<Mark>, StoreError> {
    let transaction = database.begin_read().map_err(fault)?;
    let table = match transaction.open_table(LOG) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table.map_err(fault)?,
    };
    let Some(octets) = table.get(()).map_err(fault)? else { return Ok(None) };
    let mark =
        Mark::decode(octets.value()).ok_or_else(|| damaged(FILE_NAME, "what it says of its log cannot be read"))?;
    Ok(Some(mark))
}

/// Takes the mark out of the file, durably and with all that was committed before.
fn forget_mark(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(fault)?;
    transaction.open_table(LOG).map_err(fault)?.remove(()).map_err(fault)?;
    commit_to_file(transaction)
}

/// Makes a transaction durable in the file, with all that were committed before.
fn commit_to_file(mut transaction: WriteTransaction) -> Result<(), StoreError> {
    // So that a file whose last state is damaged does not pass for one with the state before.
    transaction.set_two_phase_commit(true);
    transaction.commit().map_err(fault)
}

/// Keeps a mark in the file.
fn put_mark(transaction: &WriteTransaction, mark: Mark) -> Result<(), StoreError> {
    let mut table = transaction.open_table(LOG).map_err(fault)?;
    table.insert((), &mark.encode()[..]).map(drop).map_err(fault)
}

/// The open tables of one transaction.
struct View<T> {
    /// In the order of [`Table`].
    tables: Vec<Option<T>>,
    /// What is changed, for the log.
    changes: Option<Changes>,
}

impl<T> View<T> {
    /// The tables, without a note of what is changed.
    fn new(tables: Vec<Option<T>>) -> Self {
        Self { tables, changes: None }
    }

    /// The table, if the file has it.
    fn table(&self, table: Table) -> Option<&T> {
        self.tables.get(table as usize)?.as_ref()
    }

    /// The table, to be changed.
    fn table_mut(&mut self, table: Table) -> Result<&mut T, StoreError> {
        let table = self.tables.get_mut(table as usize).and_then(Option::as_mut);
        // Opening all of them rules this out.
        table.ok_or_else(|| StoreError::Internal("a table of the database is not open".into()))
    }
}

impl<T: ReadableTable<Octets, Octets>> Read for View<T> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(table) = self.table(table) else { return Ok(None) };
        let found = table.get(key).map_err(fault)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn scan_from(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let Some(table) = self.table(table) else { return Ok(()) };
        for entry in table.range(from..).map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            if !visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, table: Table, prefix: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let Some(table) = self.table(table) else { return Ok(()) };
        let end = after(prefix);
        let range = match &end {
            Some(end) => table.range(prefix..end.as_slice()),
            None => table.range(prefix..),
        };
        for entry in range.map_err(fault)?.rev() {
            let (key, value) = entry.map_err(fault)?;
            if !visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.table(table).map_or(Ok(0), |table| table.len().map_err(fault))
    }
}

impl Write for View<redb::Table<'_, Octets, Octets>> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        if let Some(changes) = &mut self.changes {
            changes.note(table as u8, key, Some(value));
        }
        Ok(self.table_mut(table)?.insert(key, value).map_err(fault)?.is_some())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        if let Some(changes) = &mut self.changes {
            changes.note(table as u8, key, None);
        }
        Ok(self.table_mut(table)?.remove(key).map_err(fault)?.is_some())
    }
}

/// The least octets that come after all that begin with `prefix`.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&octet| octet != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// What an error of redb means for the store.
fn fault(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => io_error(FILE_NAME, &error),
        redb::Error::Corrupted(why) => damaged(FILE_NAME, &why),
        other => StoreError::Io(format!("{FILE_NAME}: {other}")),
    }
}

/// The same at opening, for the file with this name.
fn fault_at(shown: &str, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse(shown.to_owned()),
        DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damaged(shown, &error.to_string()),
            _ => io_error(shown, &error),
        },
        DatabaseError::Storage(redb::StorageError::Corrupted(why)) => damaged(shown, &why),
        DatabaseError::UpgradeRequired(version) => damaged(shown, &format!("it has the file format {version}")),
        other => StoreError::Io(format!("{shown}: {other}")),
    }
}

/// The error of a file that is not what was written, with the way out.
fn damaged(shown: &str, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "{shown} is damaged, or no database of zonda ({why}); zones that can still be read can be exported, the others \
         restored from a back-up"
    ))
}

/// The error of a log that is not what was written, with the way out.
fn log_damaged(why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "{LOG_NAME}, which has the last changes, cannot be used ({why}); bring back the {LOG_NAME} that belongs to this \
         {FILE_NAME}, restore the folder from a back-up, or write the word {} into it, and nothing else, to go on without those \
         changes",
        wal::FORGET
    ))
}

/// What an error of the system means for the store.
fn io_error(shown: &str, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full,
        _ => StoreError::Io(format!("{shown}: {error}")),
    }
}

/// The database's name in its folder.
const FILE_NAME: &str = "zonda.redb";

/// The write-ahead log's name beside it.
const LOG_NAME: &str = "zonda.wal";

/// Memory for pages; small, because what is served is in memory already.
const CACHE_BYTES: usize = 64 << 20;

#[cfg(test)]
pub(crate) mod faults;
