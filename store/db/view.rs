//! The open tables of one transaction.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::fault::fault;
use super::{Read, Table, Visit, Write};
use crate::StoreError;
use crate::wal::Changes;

/// Octets as redb keys and values.
pub(super) type Octets = &'static [u8];

/// The tables in the order of [`Table`].
pub(super) const TABLES: [TableDefinition<'static, Octets, Octets>; 10] = [
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

/// Opens all tables for writing.
pub(super) fn open_tables(
    transaction: &WriteTransaction,
) -> Result<Vec<Option<redb::Table<'_, Octets, Octets>>>, StoreError> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        tables.push(Some(transaction.open_table(table).map_err(fault)?));
    }
    Ok(tables)
}

/// The open tables of one transaction.
pub(super) struct View<T> {
    /// In the order of [`Table`].
    tables: Vec<Option<T>>,
    /// What is changed, for the log.
    pub(super) changes: Option<Changes>,
}

impl<T> View<T> {
    /// The tables, without a note of what is changed.
    pub(super) fn new(tables: Vec<Option<T>>) -> Self {
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
