//! The database file in its folder: how it is made, whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use redb::Builder;

use super::Write;
use super::fault::{fault, fault_at, io_error};
use super::view::{View, open_tables};
use crate::StoreError;

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
pub(super) fn create(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    // What is there of an earlier attempt, or of another process, is opened and not lost.
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(&new).map_err(|error| io_error(&new.display().to_string(), &error))?;
    fill_file(&new, |_| Ok(Ok::<_, StoreError>(())))??;
    finish(folder, &new, path)
}

/// Makes a folder that is nobody else's.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let at = |error: io::Error| io_error(&folder.display().to_string(), &error);
    let missing: Vec<_> = folder.ancestors().filter(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
    for parent in missing.into_iter().filter_map(Path::parent) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(at)?;
    }
    Ok(())
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
pub(super) fn builder(verify: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify);
    builder
}

/// The database's name in its folder.
pub(super) const FILE_NAME: &str = "zonda.redb";

/// Memory for pages; small, because what is served is in memory already.
const CACHE_BYTES: usize = 64 << 20;
