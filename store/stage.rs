//! One edit on its way: its steps are taken in memory, on what they touch of the database, and nothing is written.
//!
//! [`Stage`] takes the steps one by one and refuses those that are wrong in themselves; what has to be seen at the end,
//! the rules of zones among it, is the business of [`crate::settle`]. So an edit is checked whole before any of it is
//! written, and can be refused while others in the same transaction go on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::codec::Header;
use crate::db::{Read, Table};
use crate::edit::{EditError, Expected, NewRow, NodeData, Op, Revision, Upsertion};
use crate::import::Import;
use crate::rrset::NewRrset;
use crate::tables::{self, Placed, Sum};
use crate::{Faulty, Name, Record, Row, RowId, StoreError, Timestamp, name, removed, serial, types};

/// An edit in the making.
pub(crate) struct Stage<'a> {
    /// The database with the edits before this one.
    pub(crate) view: &'a dyn Read,
    /// Order keys of zones that must not be touched.
    withheld: &'a HashSet<Vec<u8>>,
    /// When the edit is taken to happen.
    pub(crate) now: Timestamp,
    /// The next free numbers.
    pub(crate) next: Counters,
    /// The zones it touches, by the apex's order key.
    pub(crate) zones: BTreeMap<Vec<u8>, StagedZone>,
    /// Where the rows are that this edit has put somewhere, perhaps to move or remove them later.
    places: HashMap<RowId, (Name, Vec<u8>)>,
    /// Ids that were drawn for this edit.
    drawn: HashSet<RowId>,
    /// Random numbers that are not used yet.
    random: Vec<u64>,
    /// For each step that named a row: the row as that step left it.
    pub(crate) named: Vec<Row>,
}

/// Numbers that the whole database counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// The next zone's number.
    pub(crate) zone: u64,
    /// The next row's place in order of insertion.
    pub(crate) place: u64,
    /// Octets that the journals of removed zones take.
    pub(crate) removed_octets: u64,
}

/// A zone that an edit touches.
pub(crate) struct StagedZone {
    /// Its apex, as it was first written.
    pub(crate) apex: Name,
    /// Its number.
    pub(crate) number: u64,
    /// Its header before the edit; `None` if it is new.
    pub(crate) header: Option<Header>,
    /// Of a new zone, the header of the one with this apex that was removed, or that is replaced because of damage.
    pub(crate) former: Option<Header>,
    /// Whether all that is stored of its rows goes unread, because it is damaged.
    pub(crate) discard: bool,
    /// The owners that were looked at, by order key.
    pub(crate) nodes: BTreeMap<Vec<u8>, StagedNode>,
    /// All owners are in `nodes`.
    pub(crate) loaded: bool,
    /// All its records were brought by an import.
    pub(crate) is_imported: bool,
    /// The serial that the edit asks for.
    pub(crate) brought: Option<u32>,
    /// The last step that touched it.
    pub(crate) op: usize,
}

/// The rows at one owner.
#[derive(Default)]
pub(crate) struct StagedNode {
    /// Before the edit.
    pub(crate) before: Vec<Placed>,
    /// After the steps so far.
    pub(crate) after: Vec<Placed>,
    /// The last step that put or took a row here.
    pub(crate) op: Option<usize>,
}

impl<'a> Stage<'a> {
    /// An edit without steps.
    pub(crate) fn new(view: &'a dyn Read, withheld: &'a HashSet<Vec<u8>>, now: Timestamp, next: Counters) -> Self {
        Self {
            view,
            withheld,
            now,
            next,
            zones: BTreeMap::new(),
            places: HashMap::new(),
            drawn: HashSet::new(),
            random: Vec::new(),
            named: Vec::new(),
        }
    }

    /// Takes the next step.
    pub(crate) fn step(&mut self, op: usize, step: Op) -> Result<(), EditError> {
        match step {
            Op::Expect(apex, expected) => self.expect(apex, expected),
            Op::Rrset { apex, owner, rtype, ttl, rdata } => {
                let new = NewRrset { apex: &apex, owner: &owner, rtype, ttl, rdata };
                self.set_rrset(op, new)
            }
            Op::Create(new) => self.create(op, new),
            Op::Update(id, change) => self.update(op, id, change),
            Op::Upsert(id, make) => self.upsert(op, id, make),
            Op::Delete(id) => {
                let old = self.take(op, id)?;
                self.named.push(old.row);
                Ok(())
            }
            Op::Import { apex, records } => self.import(op, &apex, records),
            Op::Revert(apex, serial) => self.revert(op, &apex, serial),
            Op::RemoveZone(apex) => self.remove_zone(op, &apex),
        }
    }

    /// Whether a zone is as expected before the edit.
    fn expect(&self, apex: Name, expected: Expected) -> Result<(), EditError> {
        let found = tables::header(self.view, &name::order_key(&apex))?.map(|header| Serial::from(header.serial));
        match (expected, found) {
            (Expected::Absent, None) | (Expected::Present, Some(_)) => Ok(()),
            (Expected::Absent, Some(_)) => Err(EditError::ZoneExists(apex)),
            (_, None) => Err(EditError::NoZone(apex)),
            (Expected::Serial(expected), Some(found)) if expected == found => Ok(()),
            (Expected::Serial(expected), Some(found)) => Err(EditError::OtherSerial { apex, expected, found }),
        }
    }

    /// The row with this id as it is now, if the edit has touched its owner.
    pub(crate) fn staged(&self, id: RowId) -> Option<&Row> {
        let (apex, owner_key) = self.places.get(&id)?;
        let node = self.zones.get(&name::order_key(apex))?.nodes.get(owner_key)?;
        node.after.iter().map(|placed| &placed.row).find(|row| row.id == id)
    }

    /// Adds a row.
    fn create(&mut self, op: usize, new: NewRow) -> Result<(), EditError> {
        check_row(op, &new)?;
        let id = match new.id {
            Some(id) if !IDS.contains(&id) => {
                let message = "an id has 1 to 18 digits, the first not 0".to_owned();
                return Err(rule(op, Faulty::Id, message));
            }
            Some(id) if self.drawn.contains(&id) || self.find(id)?.is_some() => {
                return Err(EditError::IdTaken { op, id });
            }
            Some(id) => id,
            None => self.draw()?,
        };
        let placed = Placed { place: self.place(), row: row(new, id, self.now, self.now) };
        self.put(op, placed)
    }

    /// Replaces a row.
    fn update(&mut self, op: usize, id: RowId, change: Revision) -> Result<(), EditError> {
        let old = self.take(op, id)?;
        let new = called(op, id, || change(&old.row))?;
        check_row(op, &new)?;
        let placed = Placed { place: old.place, row: row(new, id, old.row.created, self.now) };
        self.put(op, placed)
    }

    /// Replaces a row, or adds one.
    fn upsert(&mut self, op: usize, id: RowId, make: Upsertion) -> Result<(), EditError> {
        match self.find(id)? {
            Some(_) => self.update(op, id, Box::new(|row| make(Some(row)))),
            None => {
                let new = called(op, id, || make(None))?;
                self.create(op, NewRow { id: Some(id), ..new })
            }
        }
    }

    /// Makes a zone hold exactly these records.
    fn import(&mut self, op: usize, apex: &Name, records: Vec<Record>) -> Result<(), EditError> {
        for rtype in [Rtype::SOA, Rtype::NS] {
            if !records.iter().any(|record| record.rtype == rtype && record.owner == *apex) {
                let message = format!("{} has no {rtype} record at its apex", name::to_text(apex));
                return Err(rule(op, Faulty::Content, message));
            }
        }
        let import = Import::new(op, apex, records)?;
        let differing = match self.readable(op, apex)? {
            true => match self.compare(apex, &import) {
                Err(StoreError::Damaged(_)) => None,
                compared => Some(compared?),
            },
            false => None,
        };
        let differing = match differing {
            Some(differing) => differing,
            None => {
                self.discard(op, apex)?;
                import.runs(0..import.records.len()).map(|run| (run, Vec::new())).collect()
            }
        };
        let brought = import.serial;
        self.replace(op, apex, import, differing)?;
        let zone = self.zone(op, apex)?;
        zone.brought = brought;
        zone.is_imported = true;
        Ok(())
    }

    /// Removes a zone and its rows.
    fn remove_zone(&mut self, op: usize, apex: &Name) -> Result<(), EditError> {
        let loaded = match self.readable(op, apex)? {
            true => match self.load(op, apex) {
                Err(StoreError::Damaged(_)) => false,
                loaded => loaded.map(|()| true)?,
            },
            false => false,
        };
        if !loaded {
            self.discard(op, apex)?;
        }
        let zone = self.zone(op, apex)?;
        if !zone.discard && zone.nodes.values().all(|node| node.after.is_empty()) {
            return Err(EditError::NoZone(apex.clone()));
        }
        for node in zone.nodes.values_mut() {
            node.after.clear();
        }
        zone.brought = None;
        Ok(())
    }

    /// Whether what is stored of a zone may be read: it is not known to be damaged.
    fn readable(&mut self, op: usize, apex: &Name) -> Result<bool, StoreError> {
        match self.zone(op, apex) {
            Ok(_) => Ok(true),
            Err(StoreError::Damaged(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stages a damaged zone as one whose rows are all gone. What was done to it before in this edit is gone, too.
    fn discard(&mut self, op: usize, apex: &Name) -> Result<(), StoreError> {
        let key = name::order_key(apex);
        let former = match tables::header(self.view, &key) {
            Err(StoreError::Damaged(_)) => None,
            header => header?,
        };
        let number = match &former {
            Some(header) => Some(header.number),
            None => tables::number_of(self.view, apex)?,
        };
        let staged = StagedZone {
            apex: former.as_ref().map_or(apex, |header| &header.apex).clone(),
            number: number.unwrap_or(self.next.zone),
            header: None,
            former,
            discard: true,
            nodes: BTreeMap::new(),
            loaded: true,
            is_imported: false,
            brought: None,
            op,
        };
        self.next.zone += u64::from(number.is_none());
        self.zones.insert(key, staged);
        Ok(())
    }

    /// Puts a row where it belongs.
    fn put(&mut self, op: usize, mut placed: Placed) -> Result<(), EditError> {
        let view = self.view;
        let zone = self.zone(op, &placed.row.zone)?;
        let apex = zone.apex.clone();
        placed.row.zone = apex.clone();
        let row = &placed.row;
        let owner_key = name::order_key(&row.owner);
        if row.rtype == Rtype::SOA {
            zone.brought = serial::of_soa(&row.rdata).filter(|serial| *serial != 0);
        }
        let node = zone.node(view, &owner_key)?;
        let canonical = types::canonical_rdata(row.rtype, &row.rdata);
        let twin = node.after.iter().map(|placed| &placed.row).find(|other| {
            other.rtype == row.rtype
                && !other.generated
                && types::canonical_rdata(other.rtype, &other.rdata) == canonical
        });
        if let Some(twin) = twin {
            let message = format!("the record exists already (id {})", twin.id);
            return Err(rule(op, Faulty::Content, message));
        }
        node.op = Some(op);
        node.after.push(placed.clone());
        self.places.insert(placed.row.id, (apex, owner_key));
        self.named.push(placed.row);
        Ok(())
    }

    /// Takes a row away.
    fn take(&mut self, op: usize, id: RowId) -> Result<Placed, EditError> {
        let (apex, owner_key) = self.find(id)?.ok_or(EditError::NoRow { op, id })?;
        let view = self.view;
        let zone = self.zone(op, &apex)?;
        let node = zone.node(view, &owner_key)?;
        node.op = Some(op);
        let at = node.after.iter().position(|placed| placed.row.id == id);
        let placed = node.after.remove(at.ok_or(EditError::NoRow { op, id })?);
        if placed.row.rtype == Rtype::SOA {
            zone.brought = None;
        }
        Ok(placed)
    }

    /// Where the row with this id is at present: zone and owner.
    fn find(&mut self, id: RowId) -> Result<Option<(Name, Vec<u8>)>, EditError> {
        let found = match self.places.get(&id) {
            Some(found) => found.clone(),
            None => match tables::locate(self.view, id)? {
                Some((key, apex)) => (apex, key.owner),
                None => return Ok(None),
            },
        };
        let view = self.view;
        let Some(zone) = self.zones.get_mut(&name::order_key(&found.0)) else {
            return Ok(Some(found));
        };
        let node = zone.node(view, &found.1)?;
        Ok(node.after.iter().any(|placed| placed.row.id == id).then_some(found))
    }

    /// The staged form of a zone.
    pub(crate) fn zone(&mut self, op: usize, apex: &Name) -> Result<&mut StagedZone, StoreError> {
        let key = name::order_key(apex);
        if !self.zones.contains_key(&key) {
            if self.withheld.contains(&key) {
                return Err(tables::zone_damaged(&key, "it is not changed until it is restored"));
            }
            let header = tables::header(self.view, &key)?;
            let former = match &header {
                Some(_) => None,
                None => removed::find(self.view, &key)?,
            };
            let number = header.as_ref().or(former.as_ref()).map(|header| header.number);
            let staged = StagedZone {
                apex: header.as_ref().map_or(apex, |header| &header.apex).clone(),
                number: number.unwrap_or(self.next.zone),
                loaded: header.is_none(),
                is_imported: false,
                header,
                former,
                discard: false,
                nodes: BTreeMap::new(),
                brought: None,
                op,
            };
            self.next.zone += u64::from(number.is_none());
            self.zones.insert(key.clone(), staged);
        }
        match self.zones.get_mut(&key) {
            Some(zone) => {
                zone.op = op;
                Ok(zone)
            }
            None => Err(StoreError::Internal("a zone was not staged".into())),
        }
    }

    /// Stages all rows of a zone, once they are known to be sound.
    fn load(&mut self, op: usize, apex: &Name) -> Result<(), StoreError> {
        let view = self.view;
        let zone = self.zone(op, apex)?;
        if let (false, Some(header)) = (zone.loaded, &zone.header) {
            let mut rows: BTreeMap<Vec<u8>, Vec<Placed>> = BTreeMap::new();
            let mut sum = Sum::default();
            tables::zone_rows(view, header, &mut |owner_key, placed| {
                sum.add(&placed);
                rows.entry(owner_key).or_default().push(placed);
                Ok(true)
            })?;
            sum.check(header)?;
            for (owner_key, rows) in rows {
                zone.nodes.entry(owner_key).or_insert_with(|| StagedNode::new(rows));
            }
        }
        zone.loaded = true;
        Ok(())
    }

    /// A free id: 18 digits at random.
    pub(crate) fn draw(&mut self) -> Result<RowId, StoreError> {
        loop {
            let random = self.random()?;
            let id = DRAWN_FROM + random % (IDS.end() - DRAWN_FROM + 1);
            if self.view.get(Table::Ids, &id.to_be_bytes())?.is_none()
                && !self.places.contains_key(&id)
                && self.drawn.insert(id)
            {
                return Ok(id);
            }
        }
    }

    /// A random number. The system is asked for many at once, since an import needs as many as it has records.
    fn random(&mut self) -> Result<u64, StoreError> {
        if let Some(random) = self.random.pop() {
            return Ok(random);
        }
        let mut octets = [0; 8 * RANDOM_AT_ONCE];
        getrandom::fill(&mut octets).map_err(|error| StoreError::Internal(format!("no random numbers: {error}")))?;
        let (numbers, _) = octets.as_chunks();
        self.random.extend(numbers.iter().map(|number| u64::from_ne_bytes(*number)));
        self.random.pop().ok_or_else(|| StoreError::Internal("no random numbers".into()))
    }

    /// The next place in order of insertion.
    pub(crate) fn place(&mut self) -> u64 {
        let place = self.next.place;
        self.next.place += 1;
        place
    }
}

impl StagedZone {
    /// The staged form of an owner.
    pub(crate) fn node(&mut self, view: &dyn Read, owner_key: &[u8]) -> Result<&mut StagedNode, StoreError> {
        let rows = match &self.header {
            Some(header) if !self.loaded && !self.nodes.contains_key(owner_key) => {
                tables::node_rows(view, header.number, &header.apex, owner_key)?
            }
            _ => Vec::new(),
        };
        let node = self.nodes.entry(owner_key.to_vec());
        Ok(node.or_insert_with(|| StagedNode::new(rows)))
    }

    /// What is at a name after the steps so far; a node without RRsets where there are only names below it.
    pub(crate) fn node_at(&self, view: &dyn Read, name: &Name) -> Result<Option<NodeData>, StoreError> {
        let owner_key = name::order_key(name);
        let stored = self.header.as_ref().filter(|_| !self.loaded);
        let data = match (self.nodes.get(&owner_key), stored) {
            (Some(node), _) => tables::node_data(&node.after),
            (None, Some(header)) => {
                tables::node_data(&tables::node_rows(view, header.number, &header.apex, &owner_key)?)
            }
            (None, None) => None,
        };
        if data.is_some() {
            return Ok(data);
        }
        let staged = self.nodes.range(owner_key.clone()..).take_while(|(key, _)| key.starts_with(&owner_key));
        let mut exists = staged.into_iter().any(|(_, node)| !node.after.is_empty());
        if let (false, Some(header)) = (exists, stored) {
            tables::rows_below(view, header, &owner_key, &mut |key, _| {
                exists = !self.nodes.contains_key(&key);
                Ok(!exists)
            })?;
        }
        Ok(exists.then(|| NodeData { owner: name.clone(), rrsets: Vec::new() }))
    }
}

impl StagedNode {
    /// An untouched owner with these rows.
    pub(crate) fn new(rows: Vec<Placed>) -> Self {
        Self { before: rows.clone(), after: rows, op: None }
    }
}

/// The refusal of a step.
pub(crate) fn rule(op: usize, field: Faulty, message: String) -> EditError {
    EditError::Rule { op, field, message }
}

/// What a caller's function makes of a row: its panic must end neither the writer nor the edits of others.
fn called(op: usize, id: RowId, make: impl FnOnce() -> Result<NewRow, EditError>) -> Result<NewRow, EditError> {
    let new = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
        let message = format!("the change of record {id} failed in the program");
        Err(StoreError::Internal(message).into())
    });
    new.map_err(|error| match error {
        EditError::Rule { field, message, .. } => rule(op, field, message),
        other => other,
    })
}

/// Checks what can be seen of a row alone.
fn check_row(op: usize, new: &NewRow) -> Result<(), EditError> {
    check_type(op, new.rtype)?;
    check(op, &new.zone, &new.owner, new.ttl.unwrap_or_default(), new.rtype, &new.rdata)
}

/// Checks that a zone can hold a type.
pub(crate) fn check_type(op: usize, rtype: Rtype) -> Result<(), EditError> {
    match types::is_data(rtype) {
        true => Ok(()),
        false => Err(rule(op, Faulty::Rtype, format!("{rtype} is not a type of data that a zone can hold"))),
    }
}

/// Checks a record: inside the zone, TTL in range (RFC 2181 §8), rdata of its type.
pub(crate) fn check(
    op: usize,
    apex: &Name,
    owner: &Name,
    ttl: u32,
    rtype: Rtype,
    rdata: &Bytes,
) -> Result<(), EditError> {
    if !owner.ends_with(apex) {
        let message = format!("{} lies outside the zone {}", name::to_text(owner), name::to_text(apex));
        return Err(rule(op, Faulty::Name, message));
    }
    if ttl > TTL_MAX {
        let message = format!("a TTL is at most {TTL_MAX} seconds, not {ttl}");
        return Err(rule(op, Faulty::Ttl, message));
    }
    types::check_rdata(rtype, rdata).map_err(|error| rule(op, Faulty::Content, error.to_string()))
}

/// A row as a client wants it.
fn row(new: NewRow, id: RowId, created: Timestamp, updated: Timestamp) -> Row {
    Row {
        id,
        zone: new.zone,
        owner: new.owner,
        rtype: new.rtype,
        ttl: new.ttl,
        rdata: new.rdata,
        written: new.written,
        generated: false,
        created,
        updated,
    }
}

/// What an id can be: 1 to 18 digits.
const IDS: std::ops::RangeInclusive<RowId> = 1..=999_999_999_999_999_999;

/// Random numbers that are asked for together.
const RANDOM_AT_ONCE: usize = 32;

/// The least id of 18 digits.
const DRAWN_FROM: RowId = 100_000_000_000_000_000;

/// The longest time to live (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;
