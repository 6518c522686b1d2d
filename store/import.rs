//! A zone that is replaced by an import: what is there is read once, beside the records in the same order, and only
//! owners that differ are staged. So the import of a zone that has hardly changed costs little more than reading it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::edit::EditError;
use crate::stage::{Stage, StagedNode, check, rule};
use crate::tables::{self, Placed, Sum};
use crate::{Name, Record, Row, StoreError, name, serial, types};

/// The records of an import in the order of the table of rows.
pub(crate) struct Import {
    /// The records with the order key of their owner and their place in the import.
    pub(crate) records: Vec<(Vec<u8>, usize, Record)>,
    /// The serial of the first SOA.
    pub(crate) serial: Option<u32>,
}

/// The records of one owner, and the rows that are there; it is known that they differ, or that no row is there.
pub(crate) type Differing = (Range<usize>, Vec<Placed>);

impl Import {
    /// Checks each record by itself, and sorts them.
    pub(crate) fn new(op: usize, apex: &Name, records: Vec<Record>) -> Result<Self, EditError> {
        let mut soa: Option<Bytes> = None;
        let mut sorted = Vec::with_capacity(records.len());
        for (at, record) in records.into_iter().enumerate() {
            check_record(op, apex, &record)?;
            // A transfer begins and ends with the same SOA.
            if record.rtype == Rtype::SOA && soa.replace(record.rdata.clone()).as_ref() == Some(&record.rdata) {
                continue;
            }
            sorted.push((name::order_key(&record.owner), at, record));
        }
        sorted.sort_by(|a, b| (&a.0, a.2.rtype.to_int()).cmp(&(&b.0, b.2.rtype.to_int())));
        Ok(Self { records: sorted, serial: soa.and_then(|rdata| serial::of_soa(&rdata)) })
    }

    /// The ranges of one owner each in a range of the records.
    pub(crate) fn runs(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let owner = &self.records.get(from).filter(|_| from < range.end)?.0;
            let rest = self.records.get(from..range.end)?;
            let length = rest.iter().take_while(|(other, ..)| other == owner).count();
            from += length;
            Some(from - length..from)
        })
    }

    /// Whether the rows of an owner are its records, in the order of type and place.
    fn is_same(&self, run: &Range<usize>, rows: &[Placed]) -> bool {
        let records = self.records.get(run.clone()).unwrap_or_default();
        let same = |(placed, (.., record)): (&Placed, &(Vec<u8>, usize, Record))| {
            let row = &placed.row;
            !row.generated && row.rtype == record.rtype && is_equal(row, record)
        };
        records.len() == rows.len() && rows.iter().zip(records).all(same)
    }
}

impl Stage<'_> {
    /// Which owners of a zone differ from an import. An error says that what is there is not sound.
    pub(crate) fn compare(&self, apex: &Name, import: &Import) -> Result<Vec<Differing>, StoreError> {
        let zone = self.zones.get(&name::order_key(apex));
        let staged = |owner: &[u8]| zone.is_some_and(|zone| zone.nodes.contains_key(owner));
        let mut differing = Vec::new();
        let mut next = 0;
        let mut meet = |owner: &[u8], rows: Vec<Placed>| {
            let before = next;
            let rest = import.records.get(next..).unwrap_or_default();
            next += rest.iter().take_while(|(other, ..)| other.as_slice() < owner).count();
            differing.extend(import.runs(before..next).map(|run| (run, Vec::new())));
            let rest = import.records.get(next..).unwrap_or_default();
            let run = next..next + rest.iter().take_while(|(other, ..)| other == owner).count();
            next = run.end;
            if !import.is_same(&run, &rows) || staged(owner) {
                differing.push((run, rows));
            }
        };
        if let Some(header) = zone.and_then(|zone| zone.header.as_ref()) {
            let mut sum = Sum::default();
            let mut node: (Vec<u8>, Vec<Placed>) = (Vec::new(), Vec::new());
            tables::zone_rows(self.view, header, &mut |owner, placed| {
                sum.add(&placed);
                if owner != node.0 {
                    let (owner, rows) = std::mem::replace(&mut node, (owner, Vec::new()));
                    if !rows.is_empty() {
                        meet(&owner, rows);
                    }
                }
                node.1.push(placed);
                Ok(true)
            })?;
            if !node.1.is_empty() {
                meet(&node.0, node.1);
            }
            sum.check(header)?;
        }
        differing.extend(import.runs(next..import.records.len()).map(|run| (run, Vec::new())));
        Ok(differing)
    }

    /// Makes the owners that differ hold what an import brings. Rows of records that stay keep id, place and times.
    pub(crate) fn replace(
        &mut self,
        op: usize,
        apex: &Name,
        import: Import,
        differing: Vec<Differing>,
    ) -> Result<(), EditError> {
        let key = name::order_key(apex);
        self.zone(op, apex)?;
        let Some(mut zone) = self.zones.remove(&key) else {
            return Ok(());
        };
        let mut records: Vec<_> = import.records.into_iter().map(Some).collect();
        // New rows are listed as the import gave them.
        let first_place = self.next.place;
        self.next.place += records.len() as u64;
        // What this edit has done to the zone before is replaced, too.
        let mut untouched: HashSet<Vec<u8>> = zone.nodes.keys().cloned().collect();
        for (run, rows) in differing {
            let records = records.get_mut(run).unwrap_or_default();
            let owner = match (rows.first(), records.first()) {
                (Some(placed), _) => name::order_key(&placed.row.owner),
                (None, Some(Some((owner, ..)))) => owner.clone(),
                _ => continue,
            };
            untouched.remove(&owner);
            let node = zone.nodes.entry(owner).or_insert_with(|| StagedNode::new(rows));
            node.op = Some(op);
            let old = std::mem::take(&mut node.after).into_iter().filter(|placed| !placed.row.generated);
            let mut spare: HashMap<_, Placed> = old.map(|placed| (content(&placed.row), placed)).collect();
            let mut fresh = Vec::new();
            for (_, at, record) in records.iter_mut().filter_map(Option::take) {
                let spare = match spare.is_empty() {
                    true => None,
                    false => spare.remove(&(record.rtype, canonical(record.rtype, &record.rdata))),
                };
                match spare {
                    Some(old) => node.after.push(self.kept(old, record)),
                    None => {
                        let place = first_place + at as u64;
                        fresh.push(Placed { place, row: self.imported(&zone.apex, record)? });
                    }
                }
            }
            node.after.append(&mut fresh);
            drop_duplicates(node);
        }
        for owner in untouched {
            if let Some(node) = zone.nodes.get_mut(&owner) {
                node.op = Some(op);
                node.after.clear();
            }
        }
        self.zones.insert(key, zone);
        Ok(())
    }

    /// The row of a record that stays, with what is new about it.
    fn kept(&self, old: Placed, record: Record) -> Placed {
        if is_equal(&old.row, &record) {
            return old;
        }
        let Placed { place, row: old } = old;
        let (owner, ttl, rdata) = (record.owner, Some(record.ttl), record.rdata);
        Placed { place, row: Row { owner, ttl, rdata, written: None, updated: self.now, ..old } }
    }

    /// A new row for an imported record.
    fn imported(&mut self, apex: &Name, record: Record) -> Result<Row, StoreError> {
        Ok(Row {
            id: self.draw()?,
            zone: apex.clone(),
            owner: record.owner,
            rtype: record.rtype,
            ttl: Some(record.ttl),
            rdata: record.rdata,
            written: None,
            generated: false,
            created: self.now,
            updated: self.now,
        })
    }
}

/// The same for a record of an import.
fn check_record(op: usize, apex: &Name, record: &Record) -> Result<(), EditError> {
    check(op, apex, &record.owner, record.ttl, record.rtype, &record.rdata).map_err(|error| match error {
        EditError::Rule { op, field, message } => {
            let shown = format!("{} {}: {message}", name::to_text(&record.owner), record.rtype);
            rule(op, field, shown)
        }
        other => other,
    })
}

/// What makes a row the one of a record: its type and its rdata in canonical form.
fn content(row: &Row) -> (Rtype, Vec<u8>) {
    (row.rtype, canonical(row.rtype, &row.rdata))
}

/// Rdata in canonical form; a zone has one SOA, whatever is in it.
fn canonical(rtype: Rtype, rdata: &Bytes) -> Vec<u8> {
    match rtype {
        Rtype::SOA => Vec::new(),
        _ => types::canonical_rdata(rtype, rdata).into_owned(),
    }
}

/// Whether an imported record changes nothing of this row; the serial is the store's.
fn is_equal(old: &Row, record: &Record) -> bool {
    let rdata = match record.rtype {
        Rtype::SOA => serial::with_serial(&record.rdata, 0) == serial::with_serial(&old.rdata, 0),
        _ => record.rdata == old.rdata,
    };
    rdata && old.ttl == Some(record.ttl) && old.owner.as_slice() == record.owner.as_slice()
}

/// Drops rows whose record is there already (RFC 2181 §5); the first one stays.
fn drop_duplicates(node: &mut StagedNode) {
    if node.after.len() > 1 {
        let mut seen = HashSet::with_capacity(node.after.len());
        node.after.retain(|placed| {
            let row = &placed.row;
            // A second SOA is not dropped but refused by the rules.
            row.rtype == Rtype::SOA
                || seen.insert((row.rtype, types::canonical_rdata(row.rtype, &row.rdata).into_owned()))
        });
    }
}
