//! What lies in the tables, as values: zone headers, rows, nodes, journal entries.

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::arena::Arena;
use crate::codec::{Broken, Header, RowKey, decode_entry, decode_row, decode_row_in, name_of_key};
use crate::db::{Read, Table, Write};
use crate::digest::{Digest, Hashed};
use crate::edit::{JournalEntry, NodeData, RrsetData};
use crate::{Name, Row, RowId, StoreError, name, types};

/// A row and its place in order of insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The place, over all zones; places are never used twice.
    pub(crate) place: u64,
    /// The row.
    pub(crate) row: Row,
}

impl Placed {
    /// The row as the zone's digest counts it.
    pub(crate) fn hashed(&self) -> Hashed {
        let row = &self.row;
        Hashed::new(&row.owner, row.rtype, row.ttl, &row.rdata, row.generated)
    }
}

/// The header of a zone.
pub(crate) fn header(view: &dyn Read, apex_key: &[u8]) -> Result<Option<Header>, StoreError> {
    let Some(octets) = view.get(Table::Zones, apex_key)? else {
        return Ok(None);
    };
    let header = Header::decode(&octets).map_err(|_| zone_damaged(apex_key, "its header cannot be read"))?;
    Ok(Some(header))
}

/// The apex of the zone with this number.
pub(crate) fn apex_of(view: &dyn Read, number: u64) -> Result<Option<Name>, StoreError> {
    let octets = view.get(Table::Numbers, &number.to_be_bytes())?;
    Ok(octets.and_then(|octets| Name::from_octets(Bytes::from(octets)).ok()))
}

/// The number of a zone whose header cannot be read.
pub(crate) fn number_of(view: &dyn Read, apex: &Name) -> Result<Option<u64>, StoreError> {
    let mut found = None;
    view.scan(Table::Numbers, &[], &mut |key, value| {
        if value.eq_ignore_ascii_case(apex.as_slice()) {
            found = key.try_into().ok().map(u64::from_be_bytes);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// The keys of all that is stored of the rows of a zone, whether they can be read or not.
pub(crate) fn all_keys(view: &dyn Read, number: u64) -> Result<Vec<(Table, Vec<u8>)>, StoreError> {
    let mut keys = Vec::new();
    view.scan(Table::Records, &number.to_be_bytes(), &mut |key, _| {
        keys.push((Table::Records, key.to_vec()));
        if let Ok(decoded) = RowKey::decode(key) {
            let place = decoded.place.to_be_bytes();
            if let Some(id) = view.get(Table::Order, &place)? {
                keys.push((Table::Order, place.to_vec()));
                keys.push((Table::Ids, id));
            }
        }
        Ok(true)
    })?;
    Ok(keys)
}

/// Where the row with this id lies, and the apex of its zone.
pub(crate) fn locate(view: &dyn Read, id: RowId) -> Result<Option<(RowKey, Name)>, StoreError> {
    let Some(key) = view.get(Table::Ids, &id.to_be_bytes())? else {
        return Ok(None);
    };
    let damaged = || StoreError::Damaged(format!("the record {id} is damaged"));
    let key = RowKey::decode(&key).map_err(|Broken| damaged())?;
    let apex = apex_of(view, key.zone)?.ok_or_else(damaged)?;
    Ok(Some((key, apex)))
}

/// The row at a place that [`locate`] gave.
pub(crate) fn row_at(view: &dyn Read, key: &RowKey, apex: &Name) -> Result<Option<Row>, StoreError> {
    let Some(value) = view.get(Table::Records, &key.encode())? else {
        return Ok(None);
    };
    let damaged = |Broken| zone_damaged(&name::order_key(apex), "a record cannot be read");
    Ok(Some(decode_row(key, apex, &value).map_err(damaged)?))
}

/// The rows at one owner, by type and place.
pub(crate) fn node_rows(
    view: &dyn Read,
    number: u64,
    apex: &Name,
    owner_key: &[u8],
) -> Result<Vec<Placed>, StoreError> {
    let mut rows = Vec::new();
    scan_rows(view, &RowKey::node(number, owner_key), apex, Arena::default(), &mut |_, placed| {
        rows.push(placed);
        Ok(true)
    })?;
    Ok(rows)
}

/// Visits all rows of a zone with their owners' order keys: owners in canonical order, then by type and place.
pub(crate) fn zone_rows(
    view: &dyn Read,
    header: &Header,
    visit: &mut dyn FnMut(Vec<u8>, Placed) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    scan_rows(view, &header.number.to_be_bytes(), &header.apex, Arena::shared(), visit)
}

/// Visits the rows at a name and below it in the same order, until told to stop.
pub(crate) fn rows_below(
    view: &dyn Read,
    header: &Header,
    owner_key: &[u8],
    visit: &mut dyn FnMut(Vec<u8>, Placed) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let prefix = [&header.number.to_be_bytes()[..], owner_key].concat();
    scan_rows(view, &prefix, &header.apex, Arena::default(), visit)
}

/// Visits the nodes of a zone in canonical order, and says at the end whether the zone is what its header says. What
/// was visited of a zone that is not must not be served.
pub(crate) fn zone_nodes(view: &dyn Read, header: &Header, visit: &mut dyn FnMut(NodeData)) -> Result<(), StoreError> {
    let mut sum = Sum::default();
    let mut node: (Vec<u8>, Vec<Placed>) = (Vec::new(), Vec::new());
    zone_rows(view, header, &mut |owner_key, placed| {
        sum.add(&placed);
        if owner_key != node.0 {
            let (_, rows) = std::mem::replace(&mut node, (owner_key, Vec::new()));
            if let Some(data) = node_data(&rows) {
                visit(data);
            }
        }
        node.1.push(placed);
        Ok(true)
    })?;
    if let Some(data) = node_data(&node.1) {
        visit(data);
    }
    sum.check(header)
}

/// What the rows of a zone add up to, to be held against its header.
#[derive(Default)]
pub(crate) struct Sum {
    /// Of the rows themselves.
    digest: Digest,
    /// How many there are.
    rows: u64,
    /// How many of them zonda made.
    generated: u64,
    /// The serial in the SOA.
    serial: Option<u32>,
}

impl Sum {
    /// Counts a row in.
    pub(crate) fn add(&mut self, placed: &Placed) {
        self.digest.add(placed.hashed());
        self.rows += 1;
        self.generated += u64::from(placed.row.generated);
        if placed.row.rtype == Rtype::SOA {
            self.serial = crate::serial::of_soa(&placed.row.rdata);
        }
    }

    /// Whether this is what the header says.
    pub(crate) fn check(&self, header: &Header) -> Result<(), StoreError> {
        let sound = self.digest == header.digest && self.rows == header.rows && self.generated == header.generated;
        match sound && self.serial == Some(header.serial) {
            true => Ok(()),
            false => Err(zone_damaged(&name::order_key(&header.apex), "its records do not add up to its digest")),
        }
    }
}

/// The rows of one owner as data: RRsets by type, records in canonical order without repetition (RFC 4034 §6.3).
/// `None` if there are no rows.
pub(crate) fn node_data(rows: &[Placed]) -> Option<NodeData> {
    let owner = rows.first()?.row.owner.clone();
    let mut rrsets: Vec<RrsetData> = Vec::new();
    for row in rows.iter().map(|placed| &placed.row) {
        let record = (row.ttl, row.rdata.clone());
        match rrsets.iter_mut().find(|rrset| rrset.rtype == row.rtype) {
            Some(rrset) => rrset.records.push(record),
            None => {
                // Most owners have one, and there are many owners.
                rrsets.reserve_exact(1);
                rrsets.push(RrsetData { rtype: row.rtype, records: vec![record] });
            }
        }
    }
    rrsets.sort_by_key(|rrset| rrset.rtype.to_int());
    for rrset in rrsets.iter_mut().filter(|rrset| rrset.records.len() > 1) {
        let canonical = |record: &(Option<u32>, Bytes)| types::canonical_rdata(rrset.rtype, &record.1).into_owned();
        rrset.records.sort_by_cached_key(canonical);
        rrset.records.dedup_by_key(|record| canonical(record));
    }
    Some(NodeData { owner, rrsets })
}

/// The newest entries of a zone's journal, newest first.
pub(crate) fn journal(view: &dyn Read, header: &Header, most: usize) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = Vec::new();
    let mut broken = false;
    view.scan_back(Table::Journal, &header.number.to_be_bytes(), &mut |_, value| {
        if entries.len() < most {
            match decode_entry(value) {
                Ok(entry) => entries.push(entry),
                Err(Broken) => broken = true,
            }
        }
        Ok(entries.len() < most && !broken)
    })?;
    match broken {
        true => Err(zone_damaged(&name::order_key(&header.apex), "its journal cannot be read")),
        false => Ok(entries),
    }
}

/// The octets that the journals of removed zones take.
pub(crate) fn removed_octets(view: &dyn Read) -> Result<u64, StoreError> {
    match view.get(Table::Meta, REMOVED_OCTETS.as_bytes())? {
        Some(_) => counter(view, REMOVED_OCTETS),
        None => Ok(0),
    }
}

/// A counter; 1 before it was first set.
pub(crate) fn counter(view: &dyn Read, counter: &str) -> Result<u64, StoreError> {
    let Some(octets) = view.get(Table::Meta, counter.as_bytes())? else {
        return Ok(1);
    };
    let number = octets.try_into().map(u64::from_be_bytes);
    number.map_err(|_| StoreError::Damaged(format!("the counter {counter} cannot be read")))
}

/// Sets a counter.
pub(crate) fn set_counter(view: &mut dyn Write, counter: &str, value: u64) -> Result<(), StoreError> {
    view.put(Table::Meta, counter.as_bytes(), &value.to_be_bytes()).map(drop)
}

/// The error of a zone that cannot be read.
pub(crate) fn zone_damaged(apex_key: &[u8], why: &str) -> StoreError {
    let apex = name_of_key(apex_key).map_or_else(|_| "?".to_owned(), |apex| name::to_text(&apex));
    StoreError::Damaged(format!("the zone {apex} is damaged: {why}"))
}

/// Visits the rows whose keys begin with `prefix`; their octets come to lie in an arena.
fn scan_rows(
    view: &dyn Read,
    prefix: &[u8],
    apex: &Name,
    mut arena: Arena,
    visit: &mut dyn FnMut(Vec<u8>, Placed) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    view.scan(Table::Records, prefix, &mut |key, value| {
        let damaged = |_: Broken| zone_damaged(&name::order_key(apex), "a record cannot be read");
        let key = RowKey::decode(key).map_err(damaged)?;
        let row = decode_row_in(&key, apex, value, &mut arena).map_err(damaged)?;
        visit(key.owner, Placed { place: key.place, row })
    })
}

/// Counter of the schema's version.
pub(crate) const SCHEMA: &str = "schema";
/// Counter of zone numbers: the next one.
pub(crate) const NEXT_ZONE: &str = "next zone";
/// Counter of places: the next one.
pub(crate) const NEXT_PLACE: &str = "next place";
/// Counter of octets that the journals of removed zones take.
pub(crate) const REMOVED_OCTETS: &str = "removed octets";
