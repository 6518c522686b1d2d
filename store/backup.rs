//! Back-ups: all zones of a store with their history, and its settings, as one stream of octets.
//!
//! A back-up is read from one state of the database while edits go on. It begins with [`MAGIC`] and the version of the
//! schema, then come entries (tag, length of key and value, key, value; lengths are 32 bits, little-endian), and the end
//! is an entry with how many there were and the BLAKE3 hash of all octets before the hash. What can be computed from
//! rows (the tables of ids, places and zone numbers) is left out. Each zone is checked against its digest on its way in
//! and out: a damaged one is left out and named, so a back-up is also the way out of a damaged file.
//!
//! The settings hold the superuser's password as a hash, and secrets: a back-up is as confidential as the folder.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::codec::{self, Header, RowKey, decode_row};
use crate::db::{self, Table};
use crate::store::{Shared, headers, sound_zone};
use crate::tables::{self, NEXT_PLACE, NEXT_ZONE, REMOVED_OCTETS, SCHEMA};
use crate::{Name, StoreError, pages, schema};

/// What a back-up holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// How many zones.
    pub zones: u64,
    /// How many records, those included that zonda made.
    pub records: u64,
    /// Zones that were damaged when it was made and are missing from it.
    pub left_out: Vec<Name>,
}

/// Why a back-up cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is something else.
    #[error("this is not a back-up of zonda")]
    NoBackup,
    /// The file ends before its end.
    #[error("the back-up is cut short")]
    CutShort,
    /// The file is not what was written.
    #[error("the back-up is damaged: {0}")]
    Damaged(&'static str),
    /// A database is there already.
    #[error("there is a database in {0} already; move it away first")]
    Exists(String),
    /// The back-up cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a back-up.
pub(crate) fn write(shared: &Shared, to: &mut dyn Write) -> Result<Backup, BackupError> {
    let is_sound = shared.db.frozen().is_none();
    shared.db.read(|view| {
        let mut failed = None;
        let mut out = Out { to, hash: blake3::Hasher::new(), entries: 0, failed: &mut failed };
        let mut backup = Backup::default();
        out.octets(MAGIC);
        out.octets(&schema::VERSION.to_le_bytes());
        if is_sound {
            out.table(view, Table::Meta, &[])?;
            out.table(view, Table::Settings, &[])?;
        }
        for (key, header) in headers(view)? {
            match header.and_then(|header| sound_zone(view, &header).map(|()| header)) {
                Ok(header) => {
                    out.entry(Table::Zones as u8, &key, &header.encode());
                    out.table(view, Table::Records, &header.number.to_be_bytes())?;
                    // History has no digest, so it is taken only from a file whose pages are sound.
                    if is_sound {
                        out.table(view, Table::Journal, &header.number.to_be_bytes())?;
                    }
                    backup.zones += 1;
                    backup.records += header.rows;
                }
                Err(StoreError::Damaged(_)) => {
                    out.entry(LEFT_OUT, &key, &[]);
                    backup.left_out.extend(codec::name_of_key(&key));
                }
                Err(error) => return Err(error),
            }
            if out.failed.is_some() {
                break;
            }
        }
        if is_sound {
            out.table(view, Table::Removed, &[])?;
            view.scan(Table::Removed, b"z", &mut |_, value| {
                if let Ok(header) = Header::decode(value) {
                    out.table(view, Table::Journal, &header.number.to_be_bytes())?;
                }
                Ok(true)
            })?;
        }
        out.end();
        // A reader that has gone is no fault of the database.
        Ok(failed.map_or(Ok(backup), |error: io::Error| Err(error.into())))
    })?
}

/// Reads a back-up to its end; an error if it is not what was written.
pub fn check(from: &mut dyn Read) -> Result<Backup, BackupError> {
    let mut backup = Backup::default();
    let mut input = In::new(from)?;
    while let Some(entry) = input.next()? {
        backup.count(&entry);
    }
    Ok(backup)
}

/// Makes the database of a folder from a back-up: whole, or not at all.
pub(crate) fn restore(folder: &Path, from: &mut dyn Read) -> Result<Backup, BackupError> {
    if db::is_in(folder) {
        return Err(BackupError::Exists(folder.display().to_string()));
    }
    let mut input = In::new(from)?;
    if input.schema > schema::VERSION {
        return Err(StoreError::TooNew { found: input.schema, known: schema::VERSION }.into());
    }
    db::make(folder, |view| {
        let fill = fill(view, &mut input);
        // Whatever is wrong with the back-up, the file that was begun is not the folder's.
        match fill {
            Err(BackupError::Store(error)) => Err(error),
            Ok(backup) => Ok(Ok(backup)),
            Err(other) => Ok(Err(other)),
        }
    })?
}

/// Puts all entries of a back-up into new tables, and checks every zone.
fn fill(view: &mut dyn db::Write, input: &mut In<'_>) -> Result<Backup, BackupError> {
    let mut backup = Backup::default();
    let mut header: Option<Header> = None;
    let (mut next_zone, mut next_place) = (1, 1);
    while let Some(entry) = input.next()? {
        backup.count(&entry);
        let Entry { tag, key, value } = &entry;
        let Some(table) = RESTORED.into_iter().find(|table| *table as u8 == *tag) else { continue };
        let bad = |_| BackupError::Damaged("an entry cannot be read");
        match table {
            Table::Zones => {
                let new = Header::decode(value).map_err(bad)?;
                let number = new.number.to_be_bytes();
                if view.put(Table::Numbers, &number, new.apex.as_slice())? {
                    return Err(BackupError::Damaged("two zones have one number"));
                }
                next_zone = next_zone.max(new.number.saturating_add(1));
                header = Some(new);
            }
            Table::Records => {
                let zone = header.as_ref().ok_or(BackupError::Damaged("a record belongs to no zone"))?;
                let place = RowKey::decode(key).map_err(bad)?;
                let row = decode_row(&place, &zone.apex, value).map_err(bad)?;
                if !row.generated {
                    let id = row.id.to_be_bytes();
                    if view.put(Table::Ids, &id, key)? {
                        return Err(BackupError::Damaged("two records have one id"));
                    }
                    view.put(Table::Order, &place.place.to_be_bytes(), &id)?;
                    next_place = next_place.max(place.place.saturating_add(1));
                }
            }
            _ => {}
        }
        view.put(table, key, value)?;
    }
    for (_, header) in headers(&*view)? {
        let header = header?;
        tables::zone_nodes(&*view, &header, &mut |_| ())?;
    }
    pages::build(view)?;
    for (counter, least) in [(NEXT_ZONE, next_zone), (NEXT_PLACE, next_place)] {
        let next = tables::counter(&*view, counter)?.max(least);
        tables::set_counter(view, counter, next)?;
    }
    let octets = tables::removed_octets(&*view)?;
    tables::set_counter(view, REMOVED_OCTETS, octets)?;
    tables::set_counter(view, SCHEMA, input.schema)?;
    Ok(backup)
}

impl Backup {
    /// Counts an entry.
    fn count(&mut self, entry: &Entry) {
        match entry.tag {
            LEFT_OUT => self.left_out.extend(codec::name_of_key(&entry.key)),
            tag if tag == Table::Zones as u8 => self.zones += 1,
            tag if tag == Table::Records as u8 => self.records += 1,
            _ => {}
        }
    }
}

/// A back-up that is being written. The first error of the output is kept and ends the writing.
struct Out<'a> {
    /// Where it goes.
    to: &'a mut dyn Write,
    /// Of all octets so far.
    hash: blake3::Hasher,
    /// Entries so far.
    entries: u64,
    /// What the output said.
    failed: &'a mut Option<io::Error>,
}

impl Out<'_> {
    /// Writes all entries of a table whose keys begin with `prefix`.
    fn table(&mut self, view: &dyn db::Read, table: Table, prefix: &[u8]) -> Result<(), StoreError> {
        view.scan(table, prefix, &mut |key, value| {
            self.entry(table as u8, key, value);
            Ok(self.failed.is_none())
        })
    }

    /// Writes an entry.
    fn entry(&mut self, tag: u8, key: &[u8], value: &[u8]) {
        self.entries += 1;
        self.octets(&[tag]);
        for part in [key, value] {
            // redb takes no longer ones.
            self.octets(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.octets(key);
        self.octets(value);
    }

    /// Writes the end.
    fn end(&mut self) {
        self.octets(&[END]);
        self.octets(&self.entries.to_le_bytes());
        let hash = *self.hash.finalize().as_bytes();
        self.octets(&hash);
        if self.failed.is_none()
            && let Err(error) = self.to.flush()
        {
            *self.failed = Some(error);
        }
    }

    /// Writes octets.
    fn octets(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.hash.update(octets);
            if let Err(error) = self.to.write_all(octets) {
                *self.failed = Some(error);
            }
        }
    }
}

/// A back-up that is being read.
struct In<'a> {
    /// Where it comes from.
    from: &'a mut dyn Read,
    /// Of all octets so far.
    hash: blake3::Hasher,
    /// Entries so far.
    entries: u64,
    /// The version of its tables and values.
    schema: u64,
}

/// An entry of a table, or a zone that was left out.
struct Entry {
    /// The table by its number, or [`LEFT_OUT`].
    tag: u8,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> In<'a> {
    /// Reads the beginning.
    fn new(from: &'a mut dyn Read) -> Result<Self, BackupError> {
        let mut input = Self { from, hash: blake3::Hasher::new(), entries: 0, schema: 0 };
        match input.octets(MAGIC.len()) {
            Ok(magic) if magic == MAGIC => {}
            Ok(_) | Err(BackupError::CutShort) => return Err(BackupError::NoBackup),
            Err(error) => return Err(error),
        }
        input.schema = u64::from_le_bytes(input.array()?);
        Ok(input)
    }

    /// The next entry; `None` after the last one, when all of it is known to be what was written.
    fn next(&mut self) -> Result<Option<Entry>, BackupError> {
        let [tag] = self.array()?;
        if tag == END {
            let entries = u64::from_le_bytes(self.array()?);
            let hash = *self.hash.finalize().as_bytes();
            if self.array()? != hash || entries != self.entries {
                return Err(BackupError::Damaged("it does not add up to its hash"));
            }
            return match self.from.read(&mut [0])? {
                0 => Ok(None),
                _ => Err(BackupError::Damaged("something follows its end")),
            };
        }
        self.entries += 1;
        let lengths = [self.array()?, self.array()?].map(|length| u32::from_le_bytes(length) as usize);
        Ok(Some(Entry { tag, key: self.octets(lengths[0])?, value: self.octets(lengths[1])? }))
    }

    /// A fixed number of octets.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let octets = self.octets(N)?;
        octets.try_into().map_err(|_| BackupError::CutShort)
    }

    /// So many octets. Memory is taken as they come, not as a damaged length says.
    fn octets(&mut self, count: usize) -> Result<Vec<u8>, BackupError> {
        let mut octets = Vec::new();
        (&mut *self.from).take(count as u64).read_to_end(&mut octets)?;
        if octets.len() < count {
            return Err(BackupError::CutShort);
        }
        self.hash.update(&octets);
        Ok(octets)
    }
}

/// What every back-up begins with; the number is that of the format described above.
const MAGIC: &[u8] = b"zonda backup 1\n";

/// The tables that are read from a back-up; the others are made of these.
const RESTORED: [Table; 6] =
    [Table::Meta, Table::Settings, Table::Zones, Table::Records, Table::Journal, Table::Removed];

/// The tag of a zone that was left out.
const LEFT_OUT: u8 = 0xfe;

/// The tag of the end.
const END: u8 = 0xff;
