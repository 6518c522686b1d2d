//! How a transaction becomes durable: in the write-ahead log, or in the file with all that is in the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::Db;
use super::fault::{damaged, fault, io_error};
use super::file::FILE_NAME;
use super::view::{Octets, open_tables};
use crate::StoreError;
use crate::wal::{self, Changes, Mark, Wal, WalError};

/// The log of one opening of the database.
#[derive(Default)]
pub(super) struct Log {
    /// Which opening.
    pub(super) generation: u64,
    /// The log; `None` if the file is whole without one.
    pub(super) wal: Option<Wal>,
    /// None can be made.
    is_impossible: bool,
}

/// By what a commit is known again after an error.
#[derive(Clone, Copy)]
enum Trace {
    /// The mark that a database with a log has with it.
    Mark(Mark),
    /// Its number among those without a log.
    Number(u64),
}

impl Db {
    /// Puts what the log has into a database that has just been opened.
    pub(super) fn catch_up(&self, database: &Database, generation: u64) -> Result<(), StoreError> {
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

    /// Makes a transaction durable: in the log, or where that has no room for the changes, with all that is in the log, in
    /// the file. An error means that it is not there, except [`StoreError::Unsettled`]: the disk cannot even be asked.
    pub(super) fn commit(
        &self,
        transaction: WriteTransaction,
        changes: Option<Changes>,
        generation: u64,
    ) -> Result<(), StoreError> {
        let mut trace = None;
        let commit = || self.try_commit(transaction, changes, generation, &mut trace);
        let error = match catch_unwind(AssertUnwindSafe(commit)) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Internal("a commit failed in the program".into()),
        };
        // What failed may have come as far as the disk all the same, and what is in memory may lack what the log has: what
        // the next open finds counts.
        self.close_opening(generation);
        let Some(trace) = trace else { return Err(error) };
        match self.begin(|database| self.has(database, trace)) {
            Ok((true, _)) => Ok(()),
            Ok((false, _)) => Err(error),
            // Whoever opens it next may find it there.
            Err(_) => Err(StoreError::Unsettled(error.to_string())),
        }
    }

    /// Whether the database that is open has this commit.
    fn has(&self, database: &Database, trace: Trace) -> Result<bool, StoreError> {
        match trace {
            Trace::Mark(mark) => {
                let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                let found = log.wal.as_ref().map(Wal::mark);
                Ok(found.is_some_and(|found| found.id == mark.id && found.last >= mark.last))
            }
            Trace::Number(number) => Ok(read_number(database)? >= number),
        }
    }

    /// The same, without a look at what became of it after an error: `trace` is set once it may have come to the disk.
    fn try_commit(
        &self,
        mut transaction: WriteTransaction,
        changes: Option<Changes>,
        generation: u64,
        trace: &mut Option<Trace>,
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
            *trace = Some(Trace::Mark(next));
            if changes.map_or(Ok(false), |changes| wal.append(changes)).map_err(|error| io_error(LOG_NAME, &error))? {
                transaction.set_durability(Durability::None).map_err(fault)?;
                return transaction.commit().map_err(fault);
            }
        } else {
            *trace = Some(Trace::Number(put_number(&transaction)?));
        }
        commit_to_file(transaction)?;
        log.wal.iter_mut().for_each(if is_new { Wal::count } else { Wal::restart });
        Ok(())
    }

    /// The log of one opening of the database.
    pub(super) fn log_of(&self, generation: u64) -> Result<MutexGuard<'_, Log>, StoreError> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match log.generation == generation {
            true => Ok(log),
            false => Err(StoreError::Io(format!("{FILE_NAME} was closed after an error and opened anew"))),
        }
    }

    /// Brings all to the file and removes the log: the file is whole without it from here on.
    pub(super) fn forget_log(&self) -> Result<(), StoreError> {
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

/// The number of the last commit that was made without a log.
fn read_number(database: &Database) -> Result<u64, StoreError> {
    let transaction = database.begin_read().map_err(fault)?;
    let table = match transaction.open_table(WITHOUT_LOG) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(0),
        table => table.map_err(fault)?,
    };
    Ok(table.get(()).map_err(fault)?.map_or(0, |number| number.value()))
}

/// Counts a commit without a log; its number.
fn put_number(transaction: &WriteTransaction) -> Result<u64, StoreError> {
    let mut table = transaction.open_table(WITHOUT_LOG).map_err(fault)?;
    let next = table.get(()).map_err(fault)?.map_or(0, |number| number.value()) + 1;
    table.insert((), next).map_err(fault)?;
    Ok(next)
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

/// The table of the one [`Mark`], which is the file's own and in no back-up.
const LOG: TableDefinition<'static, (), Octets> = TableDefinition::new("log");

/// The table of the one number that counts commits without a log, in no back-up either.
const WITHOUT_LOG: TableDefinition<'static, (), u64> = TableDefinition::new("without_log");

/// The write-ahead log's name beside it.
pub(super) const LOG_NAME: &str = "zonda.wal";
