//! The past of a zone, put together from its journal: what changed between two serials, the zone as it was at one, and
//! the way back to it.
//!
//! The journal is walked from the present back, entry by entry, as far as it is whole: a change that was too big for it,
//! or that it has forgotten, ends the walk with [`HistoryError::NoSerial`].

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::codec::Header;
use crate::db::Read;
use crate::edit::{EditError, JournalEntry, NodeData};
use crate::journal::{Difference, Entry, entry_of};
use crate::settle::{generated_row, is_equal};
use crate::stage::{Stage, StagedNode, rule};
use crate::tables::{self, Placed};
use crate::{Faulty, Name, Row, StoreError, Timestamp, name, removed};

/// Why the past cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// There is no such zone, and none is remembered.
    #[error("there is no zone {}", name::to_text(.0))]
    NoZone(Name),
    /// History does not lead to this serial.
    #[error("the zone {} cannot be seen at serial {serial}: {why}", name::to_text(.apex))]
    NoSerial {
        /// Apex of the zone.
        apex: Name,
        /// The serial.
        serial: Serial,
        /// What is in the way.
        why: &'static str,
    },
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The zone's journal from the present back.
struct Past {
    /// The zone's apex.
    apex: Name,
    /// Its header; `None` if it is removed.
    header: Option<Header>,
    /// The entries, newest first.
    entries: Vec<JournalEntry>,
}

impl Past {
    /// Reads it.
    fn read(view: &dyn Read, apex: &Name) -> Result<Self, HistoryError> {
        let key = name::order_key(apex);
        let header = tables::header(view, &key)?;
        let former = if header.is_none() { removed::find(view, &key)? } else { None };
        let Some(known) = header.as_ref().or(former.as_ref()) else {
            return Err(HistoryError::NoZone(apex.clone()));
        };
        let entries = tables::journal(view, known, usize::MAX)?;
        Ok(Self { apex: known.apex.clone(), header, entries })
    }

    /// How many entries lead back from the present to a serial.
    fn steps(&self, serial: Serial) -> Result<usize, HistoryError> {
        let mut at = self.header.as_ref().map(|header| Serial::from(header.serial));
        let mut steps = 0;
        let stopped = loop {
            if at == Some(serial) {
                return Ok(steps);
            }
            match self.entries.get(steps) {
                None => break "the journal does not go back that far",
                Some(entry) if entry.to != at => break "the journal has a gap",
                Some(entry) if !entry.complete => break "a change in between was too big for the journal",
                Some(entry) => at = entry.from,
            }
            steps += 1;
        };
        Err(HistoryError::NoSerial { apex: self.apex.clone(), serial, why: stopped })
    }

    /// The SOA that so many steps lead back to, if it is not the present one.
    fn soa(&self, steps: usize) -> Option<&Entry> {
        let left = self.entries.get(steps.checked_sub(1)?)?;
        left.removed.iter().find(|record| record.1 == Rtype::SOA)
    }

    /// What going back from one number of steps to a larger one takes away (less than 0) and puts in, in canonical
    /// order; without the SOA.
    fn net(&self, from: usize, to: usize) -> Vec<(Entry, i64)> {
        let mut net: HashMap<Exact<'_>, (&Entry, i64)> = HashMap::new();
        for entry in self.entries.get(from..to).unwrap_or_default() {
            for (records, by) in [(&entry.removed, 1), (&entry.added, -1)] {
                for record in records.iter().filter(|record| record.1 != Rtype::SOA) {
                    let exact = (record.0.as_slice(), record.1, record.2, &record.3);
                    net.entry(exact).or_insert((record, 0)).1 += by;
                }
            }
        }
        let changed = net.into_values().filter(|(_, count)| *count != 0);
        let mut changed: Vec<_> = changed.map(|(record, count)| (record.clone(), count)).collect();
        changed.sort_by_cached_key(|(record, _)| (name::order_key(&record.0), record.1.to_int(), record.3.clone()));
        changed
    }
}

/// A record in its very octets: names compare without case, these do not.
type Exact<'r> = (&'r [u8], Rtype, Option<u32>, &'r Bytes);

/// What leads from one serial of a zone to another, the SOA records first.
pub(crate) fn difference(view: &dyn Read, apex: &Name, from: Serial, to: Serial) -> Result<Difference, HistoryError> {
    let past = Past::read(view, apex)?;
    let (from, to) = (past.steps(from)?, past.steps(to)?);
    let mut difference = Difference::default();
    for (record, count) in past.net(from.min(to), from.max(to)) {
        // The net leads back in time.
        let list = if (count > 0) == (from < to) { &mut difference.added } else { &mut difference.removed };
        list.extend(std::iter::repeat_n(record, count.unsigned_abs() as usize));
    }
    if from != to {
        let present = match &past.header {
            Some(header) => soa_row(view, header)?.map(|placed| entry_of(&placed.row)),
            None => None,
        };
        let soa = |steps| if steps == 0 { present.as_ref() } else { past.soa(steps) };
        difference.removed.splice(..0, soa(from).cloned());
        difference.added.splice(..0, soa(to).cloned());
    }
    Ok(difference)
}

/// The nodes of a zone as they were at a serial, in canonical order.
pub(crate) fn nodes_at(view: &dyn Read, apex: &Name, serial: Serial) -> Result<Vec<NodeData>, HistoryError> {
    let past = Past::read(view, apex)?;
    let steps = past.steps(serial)?;
    let mut nodes: BTreeMap<Vec<u8>, Vec<Placed>> = BTreeMap::new();
    if let Some(header) = &past.header {
        let mut sum = tables::Sum::default();
        tables::zone_rows(view, header, &mut |owner, placed| {
            sum.add(&placed);
            nodes.entry(owner).or_default().push(placed);
            Ok(true)
        })?;
        sum.check(header)?;
    }
    if let Some(soa) = past.soa(steps) {
        let node = nodes.entry(name::order_key(&past.apex)).or_default();
        node.retain(|placed| placed.row.rtype != Rtype::SOA);
        node.push(Placed { place: 0, row: row(&past.apex, soa.clone(), 0, 0) });
    }
    for (record, count) in past.net(0, steps) {
        let node = nodes.entry(name::order_key(&record.0)).or_default();
        for _ in 0..count {
            node.push(Placed { place: 0, row: row(&past.apex, record.clone(), 0, 0) });
        }
        for _ in count..0 {
            take(node, &record).ok_or_else(|| unfitting(&past.apex))?;
        }
    }
    Ok(nodes.values().filter_map(|rows| tables::node_data(rows)).collect())
}

impl Stage<'_> {
    /// Takes a zone back to a serial: a change like any other, with a new serial. Rows that come back get new ids.
    pub(crate) fn revert(&mut self, op: usize, apex: &Name, serial: Serial) -> Result<(), EditError> {
        let past = Past::read(self.view, apex)?;
        let steps = past.steps(serial)?;
        if self.zones.contains_key(&name::order_key(apex)) {
            let message = "a zone is taken back before anything else is done to it".to_owned();
            return Err(rule(op, Faulty::Zone, message));
        }
        let (view, now) = (self.view, self.now);
        let apex = self.zone(op, apex)?.apex.clone();
        // What zonda would make itself, it will make itself.
        let is_generated = |record: &Entry| {
            matches!(record.1, Rtype::SOA | Rtype::NS)
                && is_equal(&generated_row(&apex, record.1, now), &row(&apex, record.clone(), 0, now))
        };
        if let Some(soa) = past.soa(steps) {
            let node = self.zone(op, &apex)?.node(view, &name::order_key(&apex))?;
            let present = node.after.iter().position(|placed| placed.row.rtype == Rtype::SOA);
            let same = |at: usize| is_equal(&node.after[at].row, &row(&apex, soa.clone(), 0, now));
            if !present.is_some_and(same) {
                present.map(|at| node.after.remove(at));
                if !is_generated(soa) {
                    self.bring_back(op, &apex, soa.clone())?;
                }
            }
        }
        for (record, count) in past.net(0, steps) {
            for _ in 0..count {
                if !is_generated(&record) {
                    self.bring_back(op, &apex, record.clone())?;
                }
            }
            let node = self.zone(op, &apex)?.node(view, &name::order_key(&record.0))?;
            node.op = Some(op);
            for _ in count..0 {
                take(&mut node.after, &record).ok_or_else(|| unfitting(&apex))?;
            }
        }
        Ok(())
    }

    /// Adds a row for a record of the past.
    fn bring_back(&mut self, op: usize, apex: &Name, record: Entry) -> Result<(), StoreError> {
        let (view, now) = (self.view, self.now);
        let owner = name::order_key(&record.0);
        let placed = Placed { row: row(apex, record, self.draw()?, now), place: self.place() };
        let node: &mut StagedNode = self.zone(op, apex)?.node(view, &owner)?;
        node.op = Some(op);
        node.after.push(placed);
        Ok(())
    }
}

/// The SOA row of a zone.
fn soa_row(view: &dyn Read, header: &Header) -> Result<Option<Placed>, StoreError> {
    let rows = tables::node_rows(view, header.number, &header.apex, &name::order_key(&header.apex))?;
    Ok(rows.into_iter().find(|placed| placed.row.rtype == Rtype::SOA))
}

/// Takes the row of a record out of those of its owner.
fn take(rows: &mut Vec<Placed>, record: &Entry) -> Option<Placed> {
    let is_it = |placed: &Placed| {
        let row = &placed.row;
        let same = (row.rtype, row.ttl, &row.rdata) == (record.1, record.2, &record.3);
        same && row.owner.as_slice() == record.0.as_slice()
    };
    let at = rows.iter().position(is_it)?;
    Some(rows.remove(at))
}

/// The row of a record of the past.
fn row(apex: &Name, record: Entry, id: u64, now: Timestamp) -> Row {
    let (owner, rtype, ttl, rdata) = record;
    let zone = apex.clone();
    Row { id, zone, owner, rtype, ttl, rdata, written: None, generated: false, created: now, updated: now }
}

/// The error of a journal that does not lead to what is there.
fn unfitting(apex: &Name) -> StoreError {
    tables::zone_damaged(&name::order_key(apex), "its journal does not fit its records")
}
