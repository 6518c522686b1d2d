//! Where a page of the list of rows begins.
//!
//! Rows are listed in order of insertion, by their places. Places are given out once, so those of removed rows are
//! missing and a page's first place cannot be computed. A table counts the rows of every [`BLOCK`] places; a page then
//! costs the blocks before it, one block, and itself.

use std::collections::BTreeMap;

use crate::StoreError;
use crate::db::{Read, Table, Write};

/// How the counts change in a transaction.
#[derive(Default)]
pub(crate) struct Counts(BTreeMap<u64, i64>);

impl Counts {
    /// Counts a row in (1) or out (-1) by its key in [`Table::Order`].
    pub(crate) fn add(&mut self, key: &[u8], by: i64) {
        *self.0.entry(block(key)).or_default() += by;
    }

    /// Brings the table up to date.
    pub(crate) fn write(self, view: &mut dyn Write) -> Result<(), StoreError> {
        for (block, change) in self.0.into_iter().filter(|(_, change)| *change != 0) {
            let key = block.to_be_bytes();
            let old = view.get(Table::Pages, &key)?.map_or(Ok(0), |value| count(&value))?;
            match old.saturating_add_signed(change) {
                0 => drop(view.remove(Table::Pages, &key)?),
                new => drop(view.put(Table::Pages, &key, &new.to_be_bytes())?),
            }
        }
        Ok(())
    }
}

/// The key from which a scan of [`Table::Order`] has to skip the second number of rows, for a page that begins after
/// `skip` rows.
pub(crate) fn start(view: &dyn Read, skip: u64) -> Result<(Vec<u8>, u64), StoreError> {
    let mut left = skip;
    let mut from = 0;
    view.scan_from(Table::Pages, &[], &mut |key, value| {
        let rows = count(value)?;
        from = number(key).saturating_add(1);
        if rows > left {
            from -= 1;
            return Ok(false);
        }
        left -= rows;
        // Behind the last block there is nothing, except in a damaged file that has no counts.
        Ok(true)
    })?;
    Ok((from.saturating_mul(BLOCK).to_be_bytes().to_vec(), left))
}

/// Counts all rows, for a file that has no counts yet.
pub(crate) fn build(view: &mut dyn Write) -> Result<(), StoreError> {
    let mut counts = Counts::default();
    view.scan_from(Table::Order, &[], &mut |key, _| {
        counts.add(key, 1);
        Ok(true)
    })?;
    counts.write(view)
}

/// The number that a key is: a place in [`Table::Order`], a block in [`Table::Pages`].
fn number(key: &[u8]) -> u64 {
    key.iter().fold(0, |sum, &octet| sum << 8 | u64::from(octet))
}

/// The block that a place lies in.
fn block(key: &[u8]) -> u64 {
    number(key) / BLOCK
}

/// The rows of a block.
fn count(value: &[u8]) -> Result<u64, StoreError> {
    let octets = value.try_into().map_err(|_| StoreError::Damaged("the list of records is damaged".into()))?;
    Ok(u64::from_be_bytes(octets))
}

/// Places in a block.
const BLOCK: u64 = 1_024;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::db::Visit;

    /// Two tables in memory, which count the entries that are visited.
    #[derive(Default)]
    struct Tables {
        order: BTreeMap<Vec<u8>, Vec<u8>>,
        pages: BTreeMap<Vec<u8>, Vec<u8>>,
        visits: Cell<u64>,
    }

    impl Tables {
        fn table(&self, table: Table) -> &BTreeMap<Vec<u8>, Vec<u8>> {
            match table {
                Table::Order => &self.order,
                _ => &self.pages,
            }
        }
    }

    impl Read for Tables {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.table(table).get(key).cloned())
        }

        fn scan_from(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
            for (key, value) in self.table(table).range(from.to_vec()..) {
                self.visits.set(self.visits.get() + 1);
                if !visit(key, value)? {
                    break;
                }
            }
            Ok(())
        }

        fn scan_back(&self, _: Table, _: &[u8], _: Visit<'_>) -> Result<(), StoreError> {
            unreachable!("lists are read forwards")
        }

        fn count(&self, table: Table) -> Result<u64, StoreError> {
            Ok(self.table(table).len() as u64)
        }
    }

    impl Write for Tables {
        fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
            let table = if matches!(table, Table::Order) { &mut self.order } else { &mut self.pages };
            Ok(table.insert(key.to_vec(), value.to_vec()).is_some())
        }

        fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
            let table = if matches!(table, Table::Order) { &mut self.order } else { &mut self.pages };
            Ok(table.remove(key).is_some())
        }
    }

    /// The place at which a page begins.
    fn page(tables: &Tables, skip: u64) -> Option<u64> {
        let (from, mut left) = start(tables, skip).unwrap();
        let mut found = None;
        let visit: Visit<'_> = &mut |key, _| {
            if left == 0 {
                found = Some(number(key));
                return Ok(false);
            }
            left -= 1;
            Ok(true)
        };
        tables.scan_from(Table::Order, &from, visit).unwrap();
        found
    }

    #[test]
    fn a_page_begins_at_its_row_and_costs_little() {
        let mut tables = Tables::default();
        let places: Vec<u64> =
            (0..300_000).filter(|place| place % 3 != 1 && !(50_000..90_000).contains(place)).collect();
        for place in &places {
            tables.put(Table::Order, &place.to_be_bytes(), &[]).unwrap();
        }
        let total = places.len() as u64;
        assert_eq!(page(&tables, 150_000), Some(places[150_000]), "without counts it is found too");
        build(&mut tables).unwrap();
        for skip in [0, 1, 682, 683, 684, 33_332, 33_333, 150_000, total - 1, total, total + 5_000] {
            tables.visits.set(0);
            assert_eq!(page(&tables, skip), places.get(skip as usize).copied(), "{skip}");
            assert!(tables.visits.get() < 300 + BLOCK, "{skip}: {}", tables.visits.get());
        }
        let mut counts = Counts::default();
        for place in places.iter().filter(|place| **place < 40_000) {
            tables.remove(Table::Order, &place.to_be_bytes()).unwrap();
            counts.add(&place.to_be_bytes(), -1);
        }
        counts.write(&mut tables).unwrap();
        let left: Vec<u64> = places.into_iter().filter(|place| *place >= 40_000).collect();
        for skip in [0, 700, 100_000] {
            assert_eq!(page(&tables, skip), Some(left[skip as usize]), "{skip}");
        }
        let built = std::mem::take(&mut tables.pages);
        build(&mut tables).unwrap();
        assert_eq!(tables.pages, built, "counting up to date and counting anew give the same");
    }
}
