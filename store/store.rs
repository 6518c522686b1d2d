//! The open store.

use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

mod zones;

pub use zones::{LastChange, ZoneState};

use crate::backup::{self, Backup, BackupError};
use crate::codec::Header;
use crate::db::{self, Db, OpenedDb, Read, Table};
use crate::edit::{Applied, Change, Edit, EditError, JournalEntry, NodeData, Trial};
use crate::watch::Watch;
use crate::writer::{self, Work, Writer};
use crate::{
    Difference, HistoryError, Name, Row, RowId, Serial, Timestamp, codec, history, name, pages, removed, schema, tables,
};

/// Why the store cannot be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// No space left on the device.
    #[error("the disk is full")]
    Full,
    /// The file, or a zone in it, is not what was written: a sentence that says which.
    #[error("{0}")]
    Damaged(String),
    /// A later zonda wrote the file.
    #[error("the database has schema version {found}, and this program knows those up to {known}; use a newer zonda")]
    TooNew {
        /// The file's version.
        found: u64,
        /// The newest version that can be read.
        known: u64,
    },
    /// The disk or the operating system reported an error.
    #[error("{0}")]
    Io(String),
    /// The disk failed while an edit was being written, and it cannot be asked yet whether the edit took place. If it did,
    /// it is served before another edit is acknowledged.
    #[error("the disk failed while the change was being written, and whether it took place is not known yet: {0}")]
    Unsettled(String),
    /// The program failed; the store goes on.
    #[error("{0}")]
    Internal(String),
}

/// What was found at open.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// A repair of the file after an unclean stop took place.
    pub repaired: bool,
    /// Pages of the file are damaged, and how that shows: what can still be read of it is served, zone by zone, and no
    /// edit is taken until the file has been restored.
    pub damaged: Option<String>,
}

/// A piece of what [`Store::load`] reads.
pub enum Loaded<'a> {
    /// A zone begins.
    Zone(&'a ZoneInfo),
    /// A node of it, in canonical order.
    Node(NodeData),
    /// It is whole and sound. Nothing may be used of a zone that ends without this.
    Sound,
}

/// One line of the zone list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneInfo {
    /// Apex of the zone.
    pub apex: Name,
    /// Its serial.
    pub serial: Serial,
    /// How many records it holds, generated ones included.
    pub records: u64,
    /// What its records add up to: the same for the same records, in whatever order they came to be.
    pub digest: [u8; 32],
    /// Last change.
    pub updated: Timestamp,
}

/// Called on the writer's thread after a commit and before its writers hear of it: what it has published is on the
/// wire when they do. It must not hold the [`Store`], nor wait for an edit.
pub type Publish = Box<dyn Fn(Vec<Change>) + Send + Sync>;

/// The zones of one folder. Cheap to clone; all clones are one store, and the last one that is dropped waits until
/// every edit is done. All methods may block on the disk.
#[derive(Clone)]
pub struct Store {
    /// The way to the writing thread.
    writer: Arc<Writer>,
    /// What that thread and the readers share.
    shared: Arc<Shared>,
}

/// What the writing thread and the readers share.
pub(crate) struct Shared {
    /// The database.
    pub(crate) db: Db,
    /// When edits happen.
    pub(crate) clock: Clock,
    /// Order keys of the zones that are damaged.
    withheld: Mutex<Arc<HashSet<Vec<u8>>>>,
    /// Who is told of commits.
    pub(crate) publish: Mutex<Option<Publish>>,
    /// Who is told of rows that change, while they are there.
    watches: Mutex<Vec<Weak<dyn Watch>>>,
}

impl Store {
    /// Whether a folder has a database; opening would make one.
    pub fn is_in(folder: &Path) -> bool {
        db::is_in(folder)
    }

    /// Opens the folder's database (`zonda.redb`), making both when missing.
    ///
    /// Every page of the file is verified; the zones themselves are when they are read, all of them by [`Store::load`].
    pub fn open(folder: &Path) -> Result<Opened, StoreError> {
        Self::with_db(Db::open(folder)?, system_clock)
    }

    /// The store over an open database, with a clock that says when edits happen.
    pub(crate) fn with_db(opened: OpenedDb, clock: Clock) -> Result<Opened, StoreError> {
        let OpenedDb { db, repaired } = opened;
        let damaged = db.frozen().map(ToString::to_string);
        schema::bring_up(&db)?;
        let shared = Arc::new(Shared {
            db,
            clock,
            withheld: Mutex::default(),
            publish: Mutex::default(),
            watches: Mutex::default(),
        });
        let writer = Arc::new(Writer::start(shared.clone())?);
        Ok(Opened { store: Self { writer, shared }, repaired, damaged })
    }

    /// What lies below, for the tests of other files.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Makes a folder's database from a back-up, whole or not at all; there must be none yet.
    pub fn restore(folder: &Path, from: &mut dyn io::Read) -> Result<Backup, BackupError> {
        backup::restore(folder, from)
    }

    /// Gives room in a folder's file that is not needed back to the file system; octets before and after. Nobody may have
    /// the folder open.
    pub fn compact(folder: &Path) -> Result<(u64, u64), StoreError> {
        let before = db::octets(folder)?;
        Db::open(folder)?.db.compact()?;
        Ok((before, db::octets(folder)?))
    }

    /// Octets of a folder's database file.
    pub fn octets(folder: &Path) -> Result<u64, StoreError> {
        db::octets(folder)
    }

    /// Writes a back-up of the present state, while edits go on.
    pub fn backup(&self, to: &mut dyn io::Write) -> Result<Backup, BackupError> {
        backup::write(&self.shared, to)
    }

    /// Sets who is told of each commit; replaces the former one.
    pub fn publish_to(&self, publish: Publish) {
        *self.shared.publish.lock().unwrap_or_else(PoisonError::into_inner) = Some(publish);
    }

    /// Has someone told of rows that change, beside others, for as long as it exists.
    pub fn watch(&self, watch: Weak<dyn Watch>) {
        let mut watches = self.shared.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(watch);
    }

    /// Applies an edit: rules, one transaction with serial, digest and journal, publish, then the verdict. Blocks until
    /// durable. Edits of several threads share a commit. After [`StoreError::Unsettled`] the store looks by itself, again and
    /// again, until it knows what became of the edit, and publishes that; no edit is taken before.
    pub fn apply(&self, edit: Edit) -> Result<Applied, EditError> {
        self.writer.ask(Work::Edit(edit))
    }

    /// The same for those who wait in their own way: tells the verdict to `then`, which must not block, on the writing
    /// thread. Blocks only while very many edits wait already. If the thread fails, `then` is dropped.
    pub fn submit(&self, edit: Edit, then: impl FnOnce(Result<Applied, EditError>) + Send + 'static) {
        self.writer.submit(Work::Edit(edit), then);
    }

    /// What an edit would do if it were applied now; nothing is written.
    pub fn try_out(&self, edit: Edit) -> Result<Trial, EditError> {
        writer::try_out(&self.shared, edit)
    }

    /// Sets or with `None` removes such a value as [`Store::setting`] gives; durable when it returns.
    pub fn set_setting(&self, key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        let work = Work::Setting(key.to_owned(), value.map(<[u8]>::to_vec));
        match self.writer.ask(work) {
            Ok(_) => Ok(()),
            Err(EditError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Internal(other.to_string())),
        }
    }

    /// Reads every zone once, in canonical order and from one state, and gives them piece by piece to `each`. Those that
    /// are damaged are withheld from then on, and come back with the reason.
    pub fn load(&self, each: &mut dyn FnMut(Loaded<'_>)) -> Result<Vec<(Name, String)>, StoreError> {
        self.shared.db.read(|view| {
            let mut damaged = Vec::new();
            for (key, header) in headers(view)? {
                let read = header.and_then(|header| {
                    each(Loaded::Zone(&info(&header)));
                    visit_zone(view, &header, &mut |node| each(Loaded::Node(node)))?;
                    each(Loaded::Sound);
                    Ok(())
                });
                match read {
                    Ok(()) => {}
                    Err(StoreError::Damaged(why)) => {
                        self.shared.withhold(&key);
                        damaged.push((codec::name_of_key(&key).unwrap_or_else(|_| Name::root_bytes()), why));
                    }
                    Err(other) => return Err(other),
                }
            }
            Ok(damaged)
        })
    }

    /// The same with each sound zone in one piece.
    #[cfg(test)]
    pub(crate) fn load_whole(
        &self,
        each: &mut dyn FnMut(&ZoneInfo, Vec<NodeData>),
    ) -> Result<Vec<(Name, String)>, StoreError> {
        let mut zone = None;
        self.load(&mut |piece| match piece {
            Loaded::Zone(info) => zone = Some((info.clone(), Vec::new())),
            Loaded::Node(node) => zone.iter_mut().for_each(|zone: &mut (ZoneInfo, Vec<_>)| zone.1.push(node.clone())),
            Loaded::Sound => zone.take().into_iter().for_each(|(info, nodes)| each(&info, nodes)),
        })
    }

    /// All zones that are not withheld, in canonical order.
    pub fn zones(&self) -> Result<Vec<ZoneInfo>, StoreError> {
        let withheld = self.shared.withheld();
        let headers = self.shared.db.read(headers)?;
        let sound = headers.into_iter().filter(|(key, _)| !withheld.contains(key));
        Ok(sound.filter_map(|(_, header)| header.ok()).map(|header| info(&header)).collect())
    }

    /// Visits the nodes of a zone in canonical order; one consistent read. False if there is no such zone.
    ///
    /// Whether the zone is sound shows at its end: after an error nothing of what was visited may be used.
    pub fn nodes(&self, apex: &Name, visit: &mut dyn FnMut(NodeData)) -> Result<bool, StoreError> {
        let key = name::order_key(apex);
        self.shared.check_withheld(&key)?;
        let read = self.shared.db.read(|view| {
            let Some(header) = tables::header(view, &key)? else {
                return Ok(false);
            };
            tables::zone_nodes(view, &header, visit)?;
            Ok(true)
        });
        if let Err(StoreError::Damaged(_)) = &read {
            self.shared.withhold(&key);
        }
        read
    }

    /// A row by its id (never a generated one).
    pub fn row(&self, id: RowId) -> Result<Option<Row>, StoreError> {
        self.shared.db.check_sound()?;
        self.shared.db.read(|view| {
            let Some((key, apex)) = tables::locate(view, id)? else {
                return Ok(None);
            };
            self.shared.check_withheld(&name::order_key(&apex))?;
            tables::row_at(view, &key, &apex)
        })
    }

    /// Rows in order of insertion without generated ones, and how many there are in all; one consistent read. Rows of
    /// withheld zones are left out, but counted.
    pub fn rows(&self, skip: u64, take: usize) -> Result<(Vec<Row>, u64), StoreError> {
        self.shared.db.check_sound()?;
        let withheld = self.shared.withheld();
        self.shared.db.read(|view| {
            let total = view.count(Table::Order)?;
            let mut rows = Vec::new();
            let mut apexes: HashMap<u64, Option<Name>> = HashMap::new();
            let (from, mut left) = pages::start(view, skip)?;
            view.scan_from(Table::Order, &from, &mut |_, id| {
                if left > 0 {
                    left -= 1;
                    return Ok(true);
                }
                if rows.len() == take {
                    return Ok(false);
                }
                let key = view.get(Table::Ids, id)?;
                let Some(key) = key.and_then(|key| codec::RowKey::decode(&key).ok()) else {
                    return Err(StoreError::Damaged("the list of records is damaged".into()));
                };
                let apex = match apexes.get(&key.zone) {
                    Some(apex) => apex.clone(),
                    None => {
                        let apex = tables::apex_of(view, key.zone)?;
                        let sound = apex.filter(|apex| !withheld.contains(&name::order_key(apex)));
                        apexes.entry(key.zone).or_insert(sound).clone()
                    }
                };
                if let Some(apex) = apex {
                    rows.extend(tables::row_at(view, &key, &apex)?);
                }
                Ok(rows.len() < take)
            })?;
            Ok((rows, total))
        })
    }

    /// The newest entries of a zone's journal, newest first; also of one that was removed, while it is remembered.
    pub fn journal(&self, apex: &Name, most: usize) -> Result<Vec<JournalEntry>, StoreError> {
        self.shared.db.check_sound()?;
        let key = name::order_key(apex);
        self.shared.db.read(|view| {
            let header = match tables::header(view, &key)? {
                Some(header) => Some(header),
                None => removed::find(view, &key)?,
            };
            header.map_or(Ok(Vec::new()), |header| tables::journal(view, &header, most))
        })
    }

    /// What leads from one serial of a zone to another, SOA records first; either may be the older one.
    pub fn difference(&self, apex: &Name, from: Serial, to: Serial) -> Result<Difference, HistoryError> {
        self.past(apex, |view| history::difference(view, apex, from, to))
    }

    /// The nodes of a zone as they were at a serial, in canonical order; also of a zone that was removed. The way back is
    /// [`Op::Revert`](crate::edit::Op::Revert).
    pub fn nodes_at(&self, apex: &Name, serial: Serial) -> Result<Vec<NodeData>, HistoryError> {
        self.past(apex, |view| history::nodes_at(view, apex, serial))
    }

    /// Reads something of a zone's past.
    fn past<R>(&self, apex: &Name, read: impl FnOnce(&dyn Read) -> Result<R, HistoryError>) -> Result<R, HistoryError> {
        self.shared.db.check_sound()?;
        self.shared.check_withheld(&name::order_key(apex))?;
        // What concerns the zone passes through as it is; what concerns the disk is for the database to know.
        self.shared.db.read(|view| match read(view) {
            Err(HistoryError::Store(error)) => Err(error),
            other => Ok(other),
        })?
    }

    /// A small value that the store keeps for others (accounts, secrets) under `key`.
    pub fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.db.read(|view| view.get(Table::Settings, key.as_bytes()))
    }

    /// All such values whose keys begin with `prefix`, in order of their keys.
    pub fn settings(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.shared.db.read(|view| {
            let mut settings = Vec::new();
            view.scan(Table::Settings, prefix.as_bytes(), &mut |key, value| {
                settings.push((String::from_utf8_lossy(key).into_owned(), value.to_vec()));
                Ok(true)
            })?;
            Ok(settings)
        })
    }
}

impl Shared {
    /// Who looks at present.
    pub(crate) fn watching(&self) -> Vec<Arc<dyn Watch>> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.iter().filter_map(Weak::upgrade).filter(|watch| watch.is_on()).collect()
    }

    /// The zones that are withheld at present, by the apex's order key.
    pub(crate) fn withheld(&self) -> Arc<HashSet<Vec<u8>>> {
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes zones back that have been replaced or removed.
    pub(crate) fn release(&self, keys: &[Vec<u8>]) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            Arc::make_mut(&mut withheld).remove(key);
        }
    }

    /// Withholds a zone from now on.
    pub(crate) fn withhold(&self, key: &[u8]) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut withheld).insert(key.to_vec());
    }

    /// The error for a zone that is withheld.
    fn check_withheld(&self, key: &[u8]) -> Result<(), StoreError> {
        match self.withheld().contains(key) {
            true => Err(tables::zone_damaged(key, "it is withheld until it is restored")),
            false => Ok(()),
        }
    }
}

/// What tells the time.
pub(crate) type Clock = fn() -> Timestamp;

/// The present time.
fn system_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as Timestamp)
}

/// A zone's order key and header, or why that cannot be read.
pub(crate) type Found = (Vec<u8>, Result<Header, StoreError>);

/// All headers in canonical order of their zones.
pub(crate) fn headers(view: &dyn Read) -> Result<Vec<Found>, StoreError> {
    let mut headers = Vec::new();
    view.scan(Table::Zones, &[], &mut |key, value| {
        let header = Header::decode(value).map_err(|_| tables::zone_damaged(key, "its header cannot be read"));
        headers.push((key.to_vec(), header));
        Ok(true)
    })?;
    Ok(headers)
}

/// Whether a zone is sound.
pub(crate) fn sound_zone(view: &dyn Read, header: &Header) -> Result<(), StoreError> {
    visit_zone(view, header, &mut |_| ())
}

/// Visits the nodes of a zone, perhaps in a file that is damaged.
fn visit_zone(view: &dyn Read, header: &Header, visit: &mut dyn FnMut(NodeData)) -> Result<(), StoreError> {
    // Below a damaged page anything can be found, and not all of it is met with an error.
    catch_unwind(AssertUnwindSafe(|| tables::zone_nodes(view, header, visit))).unwrap_or_else(|_| {
        let key = name::order_key(&header.apex);
        Err(tables::zone_damaged(&key, "its records cannot be read"))
    })
}

/// A zone's line in the list.
fn info(header: &Header) -> ZoneInfo {
    ZoneInfo {
        apex: header.apex.clone(),
        serial: Serial::from(header.serial),
        records: header.rows,
        digest: header.digest.to_octets(),
        updated: header.updated,
    }
}

#[cfg(test)]
mod tests;
