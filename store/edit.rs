//! Changes to zones: what a writer asks for, what it gets back, and what those who serve zones are told.

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;
use thiserror::Error;

use crate::{Faulty, HistoryError, Name, Record, Row, RowId, StoreError, Timestamp, Written};

/// A change that is applied whole or not at all, in one transaction.
pub struct Edit {
    /// Who asked for it: an account, a peer's address, a file.
    pub who: String,
    /// The door it came through.
    pub api: Api,
    /// What to do, in order.
    pub ops: Vec<Op>,
}

/// The door that a change came through, as history shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The PocketBase-compatible HTTP API.
    Pocketbase,
    /// zonda's own HTTP API.
    Native,
    /// `zonda import` on the command line.
    Import,
}

/// One step of an [`Edit`].
pub enum Op {
    /// Refuses the edit unless the zone is as its writer has seen it; looks at the zone as it is before the edit.
    Expect(Name, Expected),
    /// Adds a row, and its zone if that is new.
    Create(NewRow),
    /// Replaces a row with what the function makes of it; runs inside the transaction, so that reading and writing
    /// are one step. The row's zone may change.
    Update(RowId, Revision),
    /// The same, or if no row has this id, adds the row that the function makes without one.
    Upsert(RowId, Upsertion),
    /// Removes a row; with the last row that a client wrote the zone goes too.
    Delete(RowId),
    /// Makes an RRset hold exactly these records, and its zone if that is new. Rows that stay equal keep id and times.
    Rrset {
        /// Apex of the zone.
        apex: Name,
        /// The owner name.
        owner: Name,
        /// The type.
        rtype: Rtype,
        /// Seconds, or `None` for the default of who serves it.
        ttl: Option<u32>,
        /// The rdata of each record; none removes the RRset.
        rdata: Vec<Bytes>,
    },
    /// Makes the zone hold exactly these records, creating it if it is new. Rows that stay equal keep id and times.
    /// A damaged zone is replaced.
    Import {
        /// Apex of the zone.
        apex: Name,
        /// All its records; the first SOA gives the serial if that is ahead of the served one.
        records: Vec<Record>,
    },
    /// Takes a zone back to how it was at a serial, as far as its journal goes; also a zone that was removed. Comes first
    /// of what an edit does to a zone.
    Revert(Name, Serial),
    /// Removes a zone and all its rows, also one that is damaged.
    RemoveZone(Name),
}

/// How a zone has to be before an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// It has this serial.
    Serial(Serial),
}

/// What an update makes of a row.
pub type Revision = Box<dyn FnOnce(&Row) -> Result<NewRow, EditError> + Send>;

/// What becomes of a row that may be there or not.
pub type Upsertion = Box<dyn FnOnce(Option<&Row>) -> Result<NewRow, EditError> + Send>;

/// A row that is to be written.
pub struct NewRow {
    /// The id to take; `None` draws a free one. Ignored by an update.
    pub id: Option<RowId>,
    /// Apex of the zone; created if new.
    pub zone: Name,
    /// The owner name, absolute.
    pub owner: Name,
    /// The record's type.
    pub rtype: Rtype,
    /// Seconds, or `None` for the default of who serves it.
    pub ttl: Option<u32>,
    /// Wire form without compression; the serial of an SOA is overruled by the store.
    pub rdata: Bytes,
    /// What the client wrote.
    pub written: Option<Box<Written>>,
}

/// What an applied edit did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// For each op that named a row, in order: the row after it (for a delete: before it).
    pub rows: Vec<Row>,
    /// The zones that changed.
    pub zones: Vec<Turn>,
    /// The zones that the edit named and left as they were, with their serials.
    pub unchanged: Vec<(Name, Serial)>,
    /// What is hardly meant as it stands now at the names that were touched ([`crate::rules::check_nodes`]); not for
    /// imports, whose zones are checked whole by who brings them.
    pub warnings: Vec<String>,
}

impl Applied {
    /// The serial of a zone after the edit; `None` if the edit did not name it, or if the zone is gone.
    pub fn serial(&self, apex: &Name) -> Option<Serial> {
        match self.zones.iter().find(|turn| turn.apex == *apex) {
            Some(turn) => turn.to,
            None => self.unchanged.iter().find(|(name, _)| name == apex).map(|(_, serial)| *serial),
        }
    }
}

/// What an edit would do.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What would come back from [`Store::apply`](crate::Store::apply).
    pub applied: Applied,
    /// What history would say, an entry for each zone that would change.
    pub entries: Vec<JournalEntry>,
}

/// A zone going from one serial to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Apex of the zone.
    pub apex: Name,
    /// Serial before; `None` if the zone is new.
    pub from: Option<Serial>,
    /// Serial now; `None` if the zone is gone.
    pub to: Option<Serial>,
    /// Records added; a new serial alone does not count.
    pub added: usize,
    /// Records removed; a changed record counts in both.
    pub removed: usize,
}

/// Why an edit was refused; nothing of it was written, unless it is [`StoreError::Unsettled`].
#[derive(Debug, Error)]
pub enum EditError {
    /// A row breaks a rule of DNS zones or of its type.
    #[error("{message}")]
    Rule {
        /// Which op of the edit, counted from 0.
        op: usize,
        /// The part at fault.
        field: Faulty,
        /// What is wrong, a sentence for people.
        message: String,
    },
    /// No row has this id.
    #[error("there is no record with id {id}")]
    NoRow {
        /// Which op of the edit, counted from 0.
        op: usize,
        /// The id.
        id: RowId,
    },
    /// The chosen id belongs to another row.
    #[error("the id {id} is taken")]
    IdTaken {
        /// Which op of the edit, counted from 0.
        op: usize,
        /// The id.
        id: RowId,
    },
    /// There is no such zone.
    #[error("there is no zone {}", crate::name::to_text(.0))]
    NoZone(Name),
    /// There is such a zone already.
    #[error("there is a zone {} already", crate::name::to_text(.0))]
    ZoneExists(Name),
    /// The zone has changed since its writer saw it.
    #[error("the zone {} has serial {found}, not {expected}", crate::name::to_text(.apex))]
    OtherSerial {
        /// Apex of the zone.
        apex: Name,
        /// The serial that was expected.
        expected: Serial,
        /// The serial that it has.
        found: Serial,
    },
    /// The zone cannot be taken back.
    #[error(transparent)]
    History(HistoryError),
    /// The database could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EditError {
    /// Which op is at fault, counted from 0; `None` if it is not one op of rows.
    pub fn op(&self) -> Option<usize> {
        match self {
            Self::Rule { op, .. } | Self::NoRow { op, .. } | Self::IdTaken { op, .. } => Some(*op),
            Self::NoZone(_) | Self::ZoneExists(_) | Self::OtherSerial { .. } | Self::History(_) | Self::Store(_) => {
                None
            }
        }
    }
}

impl From<HistoryError> for EditError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NoZone(apex) => Self::NoZone(apex),
            HistoryError::Store(error) => Self::Store(error),
            error @ HistoryError::NoSerial { .. } => Self::History(error),
        }
    }
}

/// A zone's new state, as those who serve it need it. Changes of one commit are given together. After an edit whose fate
/// was not known the zones are given again as they are, whether they have changed or not.
pub enum Change {
    /// The zone is new or was replaced: all its nodes.
    Whole {
        /// Apex of the zone.
        apex: Name,
        /// Every owner name with data, in canonical order.
        nodes: Vec<NodeData>,
    },
    /// Only these owner names changed.
    Nodes {
        /// Apex of the zone.
        apex: Name,
        /// Their new state; a node without RRsets has no data any more.
        nodes: Vec<NodeData>,
    },
    /// The zone is gone.
    Removed {
        /// Apex of the zone.
        apex: Name,
    },
}

/// All data at one owner name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeData {
    /// The owner name.
    pub owner: Name,
    /// Its RRsets in order of type.
    pub rrsets: Vec<RrsetData>,
}

/// One RRset: the records of one owner and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetData {
    /// The type of the RRset.
    pub rtype: Rtype,
    /// Each record's TTL (`None`: the server's default) and rdata, in canonical order of rdata. One RRset has one TTL
    /// on the wire, the smallest (RFC 2181 §5.2).
    pub records: Vec<(Option<u32>, Bytes)>,
}

/// One line of a zone's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Serial before; `None` if the zone was new.
    pub from: Option<Serial>,
    /// Serial after; `None` if the zone was removed.
    pub to: Option<Serial>,
    /// When it was committed.
    pub at: Timestamp,
    /// Who asked for it.
    pub who: String,
    /// The door it came through.
    pub api: Api,
    /// Whether the records below are all that changed; those of a change too big for the journal are left out.
    pub complete: bool,
    /// Records taken away, the old SOA first, if there was one.
    pub removed: Vec<(Name, Rtype, Option<u32>, Bytes)>,
    /// Records put in, the new SOA first, if there is one.
    pub added: Vec<(Name, Rtype, Option<u32>, Bytes)>,
}
