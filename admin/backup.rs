//! `zonda backup`, `zonda restore` and `zonda compact`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use engine::log;
use engine::plugin::Pocketbase;
use store::{Backup, BackupError, Name, Store, StoreError, name};

use crate::remote::Remote;
use crate::whole_file::WholeFile;

/// Databases of the Corefile, with the zones of their blocks.
type Databases = Vec<(Vec<Name>, Pocketbase)>;

/// Writes a back-up of a folder's database, through the server if that has it open. The file is what it was before until
/// the back-up is whole and checked; one that lacks zones, as they are damaged, takes the place of no other and goes to
/// `FILE.incomplete`.
pub(crate) fn backup(
    data: &Path,
    file: &Path,
    databases: impl FnOnce() -> Result<Databases, String>,
) -> Result<(), String> {
    if !Store::is_in(data) {
        return Err(format!("there is no database in {}", data.display()));
    }
    let mut whole = WholeFile::at(file)?;
    write(data, whole.part(), databases)?;
    let backup = check(whole.part())?;
    let is_kept = !backup.left_out.is_empty() && whole.is_there();
    if is_kept {
        whole.rename(".incomplete");
    }
    let written = whole.finish()?;
    let shown = if is_kept { &written } else { file };
    log::plain(&format!("{}: {}", shown.display(), contents(&backup)));
    complain(&backup, "damaged and missing from the back-up").map_err(|why| match is_kept {
        true => format!("{why}\n{} is what it was before", file.display()),
        false => why,
    })
}

/// Makes a folder's database from a back-up.
pub(crate) fn restore(file: &Path, data: &Path) -> Result<(), String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let mut from = BufReader::new(File::open(file).map_err(|why| at(&why))?);
    let backup = Store::restore(data, &mut from).map_err(|why| match why {
        BackupError::Store(why @ StoreError::Full) => format!("{}: {why}", data.display()),
        BackupError::Store(why) => why.to_string(),
        why => at(&why),
    })?;
    log::plain(&format!("{}: {}", data.display(), contents(&backup)));
    complain(&backup, "missing: it was damaged when the back-up was made")
}

/// Makes a folder's database smaller.
pub(crate) fn compact(data: &Path) -> Result<(), String> {
    let (before, after) = Store::compact(data).map_err(|why| match why {
        StoreError::InUse(_) => format!("{why}; stop it first"),
        why => why.to_string(),
    })?;
    log::plain(&format!("{}: {before} octets before, {after} now", data.display()));
    Ok(())
}

/// Writes a back-up to a new file, durably.
fn write(data: &Path, part: &Path, databases: impl FnOnce() -> Result<Databases, String>) -> Result<(), String> {
    let at = |why: std::io::Error| format!("{}: {why}", part.display());
    // It holds what the folder holds, so it is as private.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(at)?;
    let mut to = BufWriter::new(file);
    match Store::open(data) {
        Ok(opened) => {
            opened.store.backup(&mut to).map_err(|why| format!("{}: {why}", part.display()))?;
        }
        Err(busy @ StoreError::InUse(_)) => {
            let wanted = absolute(data);
            let database = databases()?.into_iter().map(|(_, database)| database);
            let database = database.into_iter().find(|database| absolute(&database.data_dir) == wanted);
            let database = database.ok_or_else(|| {
                format!("{busy}, and the Corefile does not name that folder; name the one of the server with --conf")
            })?;
            let remote = Remote::log_in(&database)?;
            remote.backup(&mut to).map_err(|why| format!("{}: {why}", part.display()))?;
        }
        Err(why) => return Err(why.to_string()),
    }
    to.flush().map_err(at)?;
    to.get_ref().sync_all().map_err(at)
}

/// Reads a back-up to its end.
fn check(file: &Path) -> Result<Backup, String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let mut from = BufReader::new(File::open(file).map_err(|why| at(&why))?);
    store::backup::check(&mut from).map_err(|why| at(&why))
}

/// What a back-up holds, in words.
fn contents(backup: &Backup) -> String {
    format!("{} zones with {} records", backup.zones, backup.records)
}

/// An error if zones are missing.
fn complain(backup: &Backup, why: &str) -> Result<(), String> {
    let lines: Vec<_> =
        backup.left_out.iter().map(|apex| format!("the zone {} is {why}", name::to_text(apex))).collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
}

/// A folder as the same text, however it was named.
fn absolute(folder: &Path) -> PathBuf {
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}
