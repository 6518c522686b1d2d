//! Zones at rest: names, the table of record types, zone files in and out, zone rules, and the redb file that, with its
//! write-ahead log, keeps every acknowledged change.
//!
//! The types to know are [`Record`] (one resource record in wire form), [`Row`] (a record as it lies in the database,
//! with its id and times) and [`Store`], whose one door for changes is [`Store::apply`].
//!
//! This room never sees a packet, a socket or HTTP, and redb is named in `db.rs` alone.
#![deny(unsafe_code)]

mod arena;
pub mod backup;
mod codec;
mod db;
mod digest;
pub mod edit;
mod history;
mod import;
mod journal;
pub mod name;
pub mod nsec3;
mod pages;
mod record;
mod removed;
mod rrset;
pub mod rules;
mod schema;
mod serial;
mod settle;
mod stage;
mod store;
mod tables;
pub mod types;
mod wal;
mod watch;
mod writer;
pub mod zonefile;

pub use backup::{Backup, BackupError};
pub use history::HistoryError;
pub use journal::{Difference, Entry};
pub use name::Name;
pub use record::{Faulty, Record, Row, RowId, Timestamp, Written};
pub use serial::soa_serial;
pub use store::{LastChange, Loaded, Opened, Publish, Store, StoreError, ZoneInfo, ZoneState};
pub use watch::{Action, ROWS_MAX, RowChange, Watch};

pub use domain::base::Serial;
pub use domain::base::iana::Rtype;
