//! A resource record, and the row that keeps one in the database.

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::Name;

/// One resource record of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner name, in the case it was written in.
    pub owner: Name,
    /// The record's type.
    pub rtype: Rtype,
    /// Time to live in seconds, at most 2^31-1 (RFC 2181 §8).
    pub ttl: u32,
    /// The rdata in wire form without compression, checked to fit its type.
    pub rdata: Bytes,
}

/// What identifies a row: 1 to 18 decimal digits, the first not 0.
pub type RowId = u64;

/// Milliseconds since 1970-01-01 00:00 UTC.
pub type Timestamp = u64;

/// A record as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Chosen by the client or drawn at random; never changes.
    pub id: RowId,
    /// Apex of the zone that holds the record.
    pub zone: Name,
    /// The owner name, absolute.
    pub owner: Name,
    /// The record's type.
    pub rtype: Rtype,
    /// Time to live in seconds; `None` takes the default of who serves it.
    pub ttl: Option<u32>,
    /// The rdata in wire form without compression, checked to fit its type.
    pub rdata: Bytes,
    /// What the client wrote, if that differs from what the fields above print as.
    pub written: Option<Box<Written>>,
    /// Made by zonda to complete a zone (SOA, NS) and given up when a client writes its own.
    pub generated: bool,
    /// When the row was first written.
    pub created: Timestamp,
    /// When the row was last written.
    pub updated: Timestamp,
}

/// The text of a row as a client wrote it, given back unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The zone's name.
    pub zone: String,
    /// The owner's name, perhaps relative.
    pub name: String,
    /// The type's mnemonic.
    pub rtype: String,
    /// The content as JSON text.
    pub content: String,
}

/// Which part of a row is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faulty {
    /// The row's id.
    Id,
    /// The zone it names.
    Zone,
    /// Its owner name.
    Name,
    /// Its type.
    Rtype,
    /// Its time to live.
    Ttl,
    /// Its content (rdata).
    Content,
}
