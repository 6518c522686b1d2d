//! The journal of a zone: what each edit took away and put in, within bounds.
//!
//! An entry is the difference between two serials as IXFR sends it (RFC 1995 §4). When the journal is full, the oldest
//! entries go. A change too big for it leaves an entry without records, so that history has no hole that nobody sees.

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::codec::{Header, encode_entry};
use crate::db::{Read, Table};
use crate::edit::JournalEntry;
use crate::{Name, Row, StoreError};

/// A record as the journal keeps it: owner, type, TTL (`None`: the server's default) and rdata.
pub type Entry = (Name, Rtype, Option<u32>, Bytes);

/// What changes in the table when an entry is added.
pub(crate) struct Append {
    /// Keys of old entries that make room.
    pub(crate) removed: Vec<Vec<u8>>,
    /// The new entry's key.
    pub(crate) key: Vec<u8>,
    /// The new entry.
    pub(crate) value: Vec<u8>,
}

/// Adds an entry to the zone's journal; the header counts it.
pub(crate) fn append(view: &dyn Read, header: &mut Header, mut entry: JournalEntry) -> Result<Append, StoreError> {
    if !entry.complete || octets(entry.removed.iter().chain(&entry.added)) > ENTRY_OCTETS_MAX {
        entry.complete = false;
        entry.removed.clear();
        entry.added.clear();
    }
    let value = encode_entry(&entry);
    let mut removed = Vec::new();
    let (mut first, next, mut octets) = header.journal;
    octets += value.len() as u64;
    while first < next && (next - first >= ENTRIES_MAX || octets > OCTETS_MAX) {
        let key = key(header.number, first);
        octets = octets.saturating_sub(view.get(Table::Journal, &key)?.map_or(0, |old| old.len() as u64));
        removed.push(key);
        first += 1;
    }
    header.journal = (first, next + 1, octets);
    Ok(Append { removed, key: key(header.number, next), value })
}

/// Octets of names and rdata, which is what the bound of an entry counts.
pub(crate) fn octets<'e>(records: impl Iterator<Item = &'e Entry>) -> usize {
    records.map(|(owner, .., rdata)| owner.len() + rdata.len()).sum()
}

/// The keys of all entries of a zone.
pub(crate) fn keys(header: &Header) -> impl Iterator<Item = Vec<u8>> {
    let number = header.number;
    (header.journal.0..header.journal.1).map(move |at| key(number, at))
}

/// The difference between two states of some rows: what is gone and what is new, without what only moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Records taken away.
    pub removed: Vec<Entry>,
    /// Records put in.
    pub added: Vec<Entry>,
}

impl Difference {
    /// Drops what is on both sides.
    pub(crate) fn cancel(&mut self) {
        if self.removed.is_empty() || self.added.is_empty() {
            return;
        }
        let octets = |(owner, rtype, ttl, rdata): &Entry| (owner.as_slice().to_vec(), *rtype, *ttl, rdata.clone());
        let mut counts = std::collections::HashMap::new();
        for entry in &self.added {
            *counts.entry(octets(entry)).or_insert(0_usize) += 1;
        }
        let mut both = counts.clone();
        both.values_mut().for_each(|count| *count = 0);
        self.removed.retain(|entry| {
            let key = octets(entry);
            let Some(left) = counts.get_mut(&key).filter(|left| **left > 0) else {
                return true;
            };
            *left -= 1;
            both.entry(key).and_modify(|count| *count += 1);
            false
        });
        self.added.retain(|entry| match both.get_mut(&octets(entry)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
    }
}

/// A row as the journal keeps it.
pub(crate) fn entry_of(row: &Row) -> Entry {
    (row.owner.clone(), row.rtype, row.ttl, row.rdata.clone())
}

/// An entry's key.
fn key(zone: u64, at: u64) -> Vec<u8> {
    [zone.to_be_bytes(), at.to_be_bytes()].concat()
}

/// The most entries that a zone's journal has: some days of busy edits.
pub(crate) const ENTRIES_MAX: u64 = 1_000;

/// The most octets that a zone's journal takes.
pub(crate) const OCTETS_MAX: u64 = 8 << 20;

/// The most octets of names and rdata in one entry; a bigger difference is sent as a whole zone anyway.
pub(crate) const ENTRY_OCTETS_MAX: usize = 2 << 20;
