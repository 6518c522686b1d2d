//! What is remembered of removed zones: their last serial, so that a zone made again is ahead of what secondaries have,
//! and their journal, so that it can be brought back.
//!
//! The table has two kinds of keys: `z` and the apex's order key gives the header with which the zone left; `t`, the
//! time of its removal and the order key give the order in which zones are forgotten.

use crate::StoreError;
use crate::codec::Header;
use crate::db::{Read, Table, Write};
use crate::{journal, tables};

/// The header with which a zone left, if it is remembered.
pub(crate) fn find(view: &dyn Read, apex_key: &[u8]) -> Result<Option<Header>, StoreError> {
    let Some(octets) = view.get(Table::Removed, &zone_key(apex_key))? else {
        return Ok(None);
    };
    let damaged = |_| tables::zone_damaged(apex_key, "what is remembered of it cannot be read");
    Header::decode(&octets).map(Some).map_err(damaged)
}

/// The order keys of zones that were removed, the last one first.
pub(crate) fn newest(view: &dyn Read, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    view.scan_back(Table::Removed, b"t", &mut |key, _| {
        if keys.len() < most {
            keys.push(key.get(1 + TIME_OCTETS..).unwrap_or_default().to_vec());
        }
        Ok(keys.len() < most)
    })?;
    Ok(keys)
}

/// The entries that remember a zone.
pub(crate) fn entries(apex_key: &[u8], header: &Header) -> [(Vec<u8>, Vec<u8>); 2] {
    [(zone_key(apex_key), header.encode()), (time_key(apex_key, header), Vec::new())]
}

/// How much is remembered.
pub(crate) struct Bounds {
    /// Zones.
    pub(crate) zones: u64,
    /// Octets that their journals take together.
    pub(crate) octets: u64,
}

/// The bounds of every store: a serial for each zone of a big installation, the content of what was removed lately.
pub(crate) const BOUNDS: Bounds = Bounds { zones: 100_000, octets: 256 << 20 };

/// Forgets those that left first while there are too many; `octets` is what their journals take, before and after.
pub(crate) fn prune(view: &mut dyn Write, octets: u64, bounds: &Bounds) -> Result<u64, StoreError> {
    let mut left = octets;
    while view.count(Table::Removed)? / 2 > bounds.zones || left > bounds.octets {
        let mut first = None;
        view.scan(Table::Removed, b"t", &mut |key, _| {
            first = Some(key.to_vec());
            Ok(false)
        })?;
        let Some(time_key) = first else { break };
        let apex_key = time_key.get(1 + TIME_OCTETS..).unwrap_or_default();
        if let Ok(Some(header)) = find(&*view, apex_key) {
            left = left.saturating_sub(header.journal.2);
            for key in journal::keys(&header) {
                view.remove(Table::Journal, &key)?;
            }
        }
        view.remove(Table::Removed, &zone_key(apex_key))?;
        view.remove(Table::Removed, &time_key)?;
    }
    Ok(left)
}

/// The key of what is remembered.
fn zone_key(apex_key: &[u8]) -> Vec<u8> {
    [b"z", apex_key].concat()
}

/// The key of a zone among those to be forgotten.
fn time_key(apex_key: &[u8], header: &Header) -> Vec<u8> {
    [b"t", &header.updated.to_be_bytes()[..], apex_key].concat()
}

/// Octets of a time in a key.
const TIME_OCTETS: usize = 8;
