//! Versions of the database: which one a file has, and how an older one is brought up to this program's.
//!
//! Each change of tables or values that an older zonda cannot read gets a step here. A file goes through all the steps
//! that it lacks in one transaction, so it has its old form or the new one, never one between.

use crate::db::{Db, Read, Table, Then, Write};
use crate::tables::{self, SCHEMA};
use crate::{StoreError, pages};

/// Takes a file from one version to the next; the first step begins at version 1.
type Step = fn(&mut dyn Write) -> Result<(), StoreError>;

/// The steps, oldest first. A step that has been released is never changed.
const STEPS: &[Step] = &[
    // 2: the list of records has counts; removed zones are remembered.
    pages::build,
    // 3: the newest commits may lie in a write-ahead log beside the file, which an older zonda would not see.
    |_| Ok(()),
];

/// The version of tables and values that this program writes.
pub(crate) const VERSION: u64 = STEPS.len() as u64 + 1;

/// Brings a file up to [`VERSION`]; one of a later version is refused. A damaged file stays as it is and is read as far
/// as it goes.
pub(crate) fn bring_up(db: &Db) -> Result<(), StoreError> {
    let found = db.read(version)?;
    match found {
        Some(found) if found > VERSION => return Err(StoreError::TooNew { found, known: VERSION }),
        Some(VERSION) => return Ok(()),
        _ if db.frozen().is_some() => return Ok(()),
        _ => {}
    }
    db.write(|view| {
        let steps = match found {
            Some(found) => STEPS.get(found.saturating_sub(1) as usize..).unwrap_or_default(),
            None => &[],
        };
        steps.iter().try_for_each(|step| step(view))?;
        tables::set_counter(view, SCHEMA, VERSION)?;
        Ok(((), Then::Commit))
    })
}

/// The version of the file; `None` if it has just been made.
fn version(view: &dyn Read) -> Result<Option<u64>, StoreError> {
    match view.get(Table::Meta, SCHEMA.as_bytes())? {
        Some(_) => tables::counter(view, SCHEMA).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Api, Edit, Op};
    use crate::{Name, Serial, Store, name};

    /// A file of version 1: example.org after two imports, example.net after one.
    const VERSION_1: &[u8] = include_bytes!("schema/version-1.redb");

    fn name(text: &str) -> Name {
        name::parse(text, None).unwrap()
    }

    #[test]
    fn a_file_of_version_1_is_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("zonda.redb"), VERSION_1).unwrap();
        for _ in 0..2 {
            let store = Store::open(folder.path()).unwrap().store;
            assert_eq!(store.load(&mut |_| ()).unwrap(), []);
            let zones: Vec<_> =
                store.zones().unwrap().iter().map(|zone| (name::to_text(&zone.apex), zone.serial.into_int())).collect();
            assert_eq!(zones, [("example.net.".into(), 7), ("example.org.".into(), 2_026_112_600)]);
            let (rows, total) = store.rows(6, 2).unwrap();
            assert_eq!((rows.len(), total), (2, 8));
            assert_eq!(rows[1].owner.as_slice(), name("ns.example.net.").as_slice());
            let owners: Vec<_> = store.rows(0, 9).unwrap().0.iter().map(|row| name::to_text(&row.owner)).collect();
            assert!(owners.contains(&"Mixed.Case.example.org.".to_owned()), "{owners:?}");
            assert_eq!(store.journal(&name("example.org."), 9).unwrap().len(), 2);
            assert_eq!(store.shared().db.read(version).unwrap(), Some(VERSION));
        }
        let store = Store::open(folder.path()).unwrap().store;
        let edit = Edit { who: "test".into(), api: Api::Native, ops: vec![Op::RemoveZone(name("example.net."))] };
        assert_eq!(store.apply(edit).unwrap().zones[0].from, Some(Serial::from(7)));
        assert_eq!(store.rows(4, 9).unwrap().0.len(), 1);
    }
}
