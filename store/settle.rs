//! The end of an edit: zones are completed, counted to a new serial and checked, and what has to be written is put
//! together.
//!
//! A zone whose rows bring no SOA record gets one, and without NS records at the apex one of those, so that what a
//! client begins with a single record is a zone that can be served. These generated rows go as soon as a client writes
//! its own, come back when that is deleted, and with the last row of a client the zone goes.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::codec::{Header, RowKey, decode_entry, encode_row};
use crate::db::{Read, Table, Write};
use crate::edit::{Api, Applied, EditError, JournalEntry, NodeData, Turn};
use crate::journal::{self, Difference, entry_of};
use crate::pages::Counts;
use crate::rules::{self, Rule, Severity};
use crate::stage::{Counters, Stage, StagedNode, StagedZone, rule};
use crate::tables::{self, Placed};
use crate::watch::Watched;
use crate::{Faulty, Name, Row, StoreError, Timestamp, name, removed, serial};

/// What a checked edit writes, and what there is to say about it.
pub(crate) struct Plan {
    /// Entries to remove, before any is put.
    removes: Vec<(Table, Vec<u8>)>,
    /// Entries to put.
    puts: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// The numbers that are free after it.
    pub(crate) next: Counters,
    /// For each step that named a row: that row.
    pub(crate) rows: Vec<Row>,
    /// The zones that changed.
    pub(crate) turns: Vec<Turn>,
    /// The zones that were named and stay as they are.
    pub(crate) unchanged: Vec<(Name, Serial)>,
    /// What those who serve the zones have to look at, by the apex's order key.
    pub(crate) touched: BTreeMap<Vec<u8>, Touched>,
    /// What can stay as it is, though it is hardly meant.
    pub(crate) warnings: Vec<String>,
    /// The zones that are damaged no more, by the apex's order key.
    pub(crate) released: Vec<Vec<u8>>,
    /// The rows that changed, if anybody looks.
    pub(crate) watched: Option<Watched>,
}

/// What changed of a zone, for those who serve it.
pub(crate) struct Touched {
    /// The zone's apex.
    pub(crate) apex: Name,
    /// So much that it is given whole.
    pub(crate) whole: bool,
    /// The owners that changed, by order key.
    pub(crate) owners: BTreeMap<Vec<u8>, Name>,
    /// All its nodes, if it is new.
    pub(crate) nodes: Option<Vec<NodeData>>,
}

impl Touched {
    /// A zone that is given as it lies in the database, or that is gone.
    pub(crate) fn whole(apex: &Name) -> Self {
        Self { apex: apex.clone(), whole: true, owners: BTreeMap::new(), nodes: None }
    }
}

/// Who asked for an edit and how it came in.
pub(crate) struct Origin {
    /// The account, peer or file.
    pub(crate) who: String,
    /// The door.
    pub(crate) api: Api,
}

impl Plan {
    /// Ends an edit: checks it and says what to write, and of which rows to tell if the edit is `watched`.
    pub(crate) fn new(mut stage: Stage<'_>, origin: &Origin, watched: bool) -> Result<Self, EditError> {
        let mut plan = Self {
            removes: Vec::new(),
            puts: Vec::new(),
            next: stage.next,
            rows: Vec::new(),
            turns: Vec::new(),
            unchanged: Vec::new(),
            touched: BTreeMap::new(),
            warnings: Vec::new(),
            released: Vec::new(),
            watched: watched.then(Watched::new),
        };
        for (key, mut zone) in std::mem::take(&mut stage.zones) {
            let settled = plan.settle(&stage, &key, &mut zone, origin);
            stage.zones.insert(key, zone);
            settled?;
        }
        let named = std::mem::take(&mut stage.named);
        // A serial is known only now.
        let settled = |row: Row| match row.rtype {
            Rtype::SOA => stage.staged(row.id).cloned().unwrap_or(row),
            _ => row,
        };
        plan.rows = named.into_iter().map(settled).collect();
        // Pages of a table are neighbours when their keys are; random ids of a big import would touch each many times.
        plan.puts.sort_unstable_by(|a, b| (a.0 as usize, &a.1).cmp(&(b.0 as usize, &b.1)));
        plan.removes.sort_unstable_by(|a, b| (a.0 as usize, &a.1).cmp(&(b.0 as usize, &b.1)));
        Ok(plan)
    }

    /// What it says about itself.
    pub(crate) fn applied(&mut self) -> Applied {
        Applied {
            rows: std::mem::take(&mut self.rows),
            zones: std::mem::take(&mut self.turns),
            unchanged: std::mem::take(&mut self.unchanged),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    /// The entries that it would add to journals.
    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        let journal = self.puts.iter().filter(|(table, ..)| matches!(table, Table::Journal));
        journal.filter_map(|(.., value)| decode_entry(value).ok()).collect()
    }

    /// Writes the plan, and counts rows that come and go; whether there was anything to write.
    pub(crate) fn write(&mut self, view: &mut dyn Write, counts: &mut Counts) -> Result<bool, StoreError> {
        let wrote = !self.removes.is_empty() || !self.puts.is_empty();
        for (table, key) in self.removes.drain(..) {
            if view.remove(table, &key)? && matches!(table, Table::Order) {
                counts.add(&key, -1);
            }
        }
        for (table, key, value) in self.puts.drain(..) {
            if !view.put(table, &key, &value)? && matches!(table, Table::Order) {
                counts.add(&key, 1);
            }
        }
        Ok(wrote)
    }

    /// Settles one zone.
    fn settle(
        &mut self,
        stage: &Stage<'_>,
        key: &[u8],
        zone: &mut StagedZone,
        origin: &Origin,
    ) -> Result<(), EditError> {
        zone.node(stage.view, key)?;
        if zone.discard {
            self.removes.extend(tables::all_keys(stage.view, zone.number)?);
            self.released.push(key.to_vec());
        }
        if clients(zone) == 0 {
            return Ok(self.remove_zone(stage, key, zone, origin)?);
        }
        complete(key, zone, stage.now);
        let mut changed = Changed::default();
        let mut owners = BTreeMap::new();
        for (owner_key, node) in &mut zone.nodes {
            if changed.add(node)
                && let Some(placed) = node.after.first().or_else(|| node.before.first())
            {
                owners.insert(owner_key.clone(), placed.row.owner.clone());
            }
        }
        for (owner_key, node) in &zone.nodes {
            if node.op.is_some() || owners.contains_key(owner_key) {
                check_node(&zone.apex, node, zone.op)?;
            }
        }
        if !zone.is_imported {
            self.warn(stage.view, zone, &owners)?;
        }
        let Some((soa_before, mut soa)) = soas(key, zone) else {
            return Err(StoreError::Internal("a zone was left without a SOA record".into()).into());
        };
        let soa_changed = soa_before.as_ref().is_none_or(|before| !is_equal(before, &soa));
        let Changed { added, removed, mut difference, is_too_big, .. } = changed;
        let old = zone.header.as_ref().map(|header| header.serial);
        let new = new_serial(zone, soa_changed || added + removed > 0, stage.now);
        soa.rdata = serial::with_serial(&soa.rdata, new);
        set_soa(key, zone, &soa);
        let mut header = zone.header.clone().unwrap_or_else(|| new_header(zone, stage.now));
        header.serial = new;
        self.write_rows(zone, &mut header);
        if old == Some(new) {
            self.unchanged.push((zone.apex.clone(), Serial::from(new)));
        } else {
            header.updated = stage.now;
            self.turns.push(Turn {
                apex: zone.apex.clone(),
                from: old.map(Serial::from),
                to: Some(Serial::from(new)),
                added: added + usize::from(soa_changed),
                removed: removed + usize::from(soa_changed && soa_before.is_some()),
            });
            difference.removed.splice(..0, soa_before.as_ref().map(entry_of));
            difference.added.insert(0, entry_of(&soa));
            let entry = JournalEntry {
                from: replaced(zone).map_or(old, |damaged| Some(damaged.serial)).map(Serial::from),
                to: Some(Serial::from(new)),
                at: stage.now,
                who: origin.who.clone(),
                api: origin.api,
                // What a damaged zone held is not known.
                complete: !zone.discard && !is_too_big,
                removed: difference.removed,
                added: difference.added,
            };
            self.append(stage, &mut header, entry)?;
            owners.insert(key.to_vec(), zone.apex.clone());
            let touched = Touched {
                apex: zone.apex.clone(),
                whole: zone.header.is_none() || zone.is_imported && owners.len() > NODES_MAX,
                owners,
                nodes: zone
                    .header
                    .is_none()
                    .then(|| zone.nodes.values().filter_map(|node| tables::node_data(&node.after)).collect()),
            };
            self.touched.insert(key.to_vec(), touched);
        }
        if zone.header.is_none() {
            let number = header.number.to_be_bytes().to_vec();
            self.puts.push((Table::Numbers, number, header.apex.as_slice().to_vec()));
            if let (Some(former), false) = (&zone.former, zone.discard) {
                let remembered = removed::entries(key, former).into_iter();
                self.removes.extend(remembered.map(|(key, _)| (Table::Removed, key)));
                self.next.removed_octets = self.next.removed_octets.saturating_sub(former.journal.2);
            }
        }
        self.puts.push((Table::Zones, key.to_vec(), header.encode()));
        Ok(())
    }

    /// Notes what the rules have to say of the owners that an edit touched.
    fn warn(&mut self, view: &dyn Read, zone: &StagedZone, owners: &BTreeMap<Vec<u8>, Name>) -> Result<(), StoreError> {
        let touched: Vec<Name> = owners.values().take(WARNED_MAX).cloned().collect();
        let faults = rules::check_nodes(&zone.apex, &touched, &mut |name| zone.node_at(view, name))?;
        self.warnings.extend(faults.into_iter().map(|fault| fault.message));
        Ok(())
    }

    /// Adds an entry to the journal of a zone.
    fn append(&mut self, stage: &Stage<'_>, header: &mut Header, entry: JournalEntry) -> Result<(), StoreError> {
        let append = journal::append(stage.view, header, entry)?;
        self.removes.extend(append.removed.into_iter().map(|key| (Table::Journal, key)));
        self.puts.push((Table::Journal, append.key, append.value));
        Ok(())
    }

    /// Removes a zone that no client has a row in any more, and remembers it.
    fn remove_zone(
        &mut self,
        stage: &Stage<'_>,
        key: &[u8],
        zone: &mut StagedZone,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        for node in zone.nodes.values_mut() {
            node.after.clear();
        }
        if zone.header.is_none() && !zone.discard {
            return Ok(());
        }
        self.removes.push((Table::Numbers, zone.number.to_be_bytes().to_vec()));
        self.removes.push((Table::Zones, key.to_vec()));
        self.touched.insert(key.to_vec(), Touched::whole(&zone.apex));
        let mut gone: Vec<_> = zone.nodes.values().flat_map(|node| &node.before).map(|placed| &placed.row).collect();
        gone.sort_by_key(|row| row.rtype != Rtype::SOA);
        let header = zone.header.clone().or_else(|| zone.former.clone());
        self.turns.push(Turn {
            apex: zone.apex.clone(),
            from: header.as_ref().map(|header| Serial::from(header.serial)),
            to: None,
            added: 0,
            removed: gone.len(),
        });
        // A damaged zone whose header cannot be read leaves nothing to remember.
        let Some(mut header) = header else {
            return Ok(());
        };
        let entry = JournalEntry {
            from: Some(Serial::from(header.serial)),
            to: None,
            at: stage.now,
            who: origin.who.clone(),
            api: origin.api,
            complete: !zone.discard,
            removed: gone.into_iter().map(entry_of).collect(),
            added: Vec::new(),
        };
        self.write_rows(zone, &mut header);
        self.append(stage, &mut header, entry)?;
        let header = Header { rows: 0, generated: 0, digest: Default::default(), updated: stage.now, ..header };
        self.next.removed_octets += header.journal.2;
        self.puts.extend(removed::entries(key, &header).map(|(key, value)| (Table::Removed, key, value)));
        Ok(())
    }

    /// Writes what differs between the rows before and after; the header counts it.
    fn write_rows(&mut self, zone: &StagedZone, header: &mut Header) {
        for (owner_key, node) in &zone.nodes {
            let key = |placed: &Placed| {
                let key = RowKey {
                    zone: zone.number,
                    owner: owner_key.clone(),
                    rtype: placed.row.rtype,
                    place: placed.place,
                };
                key.encode()
            };
            for (before, after) in pairs(&node.before, &node.after) {
                if let (Some(before), Some(after)) = (before, after)
                    && before.row == after.row
                    && before.row.owner.as_slice() == after.row.owner.as_slice()
                {
                    continue;
                }
                if let Some(watched) = &mut self.watched {
                    watched.note(before, after);
                }
                let in_place =
                    matches!((before, after), (Some(before), Some(after)) if before.row.rtype == after.row.rtype);
                if let Some(before) = before {
                    header.digest.remove(before.hashed());
                    header.rows = header.rows.saturating_sub(1);
                    header.generated = header.generated.saturating_sub(before.row.generated.into());
                    if !in_place {
                        self.removes.push((Table::Records, key(before)));
                        if !before.row.generated {
                            self.removes.push((Table::Ids, before.row.id.to_be_bytes().to_vec()));
                            self.removes.push((Table::Order, before.place.to_be_bytes().to_vec()));
                        }
                    }
                }
                if let Some(after) = after {
                    header.digest.add(after.hashed());
                    header.rows += 1;
                    header.generated += u64::from(after.row.generated);
                    let key = key(after);
                    if !in_place && !after.row.generated {
                        let id = after.row.id.to_be_bytes().to_vec();
                        self.puts.push((Table::Ids, id.clone(), key.clone()));
                        self.puts.push((Table::Order, after.place.to_be_bytes().to_vec(), id));
                    }
                    self.puts.push((Table::Records, key, encode_row(&after.row)));
                }
            }
        }
    }
}

/// What an edit changes of a zone, the SOA record left aside.
#[derive(Default)]
struct Changed {
    /// Records put in.
    added: usize,
    /// Records taken away.
    removed: usize,
    /// The records, unless they are too many for the journal.
    difference: Difference,
    /// Octets of their names and rdata.
    octets: usize,
    /// Whether they are too many.
    is_too_big: bool,
}

impl Changed {
    /// Adds what changed at an owner; whether anything did.
    fn add(&mut self, node: &mut StagedNode) -> bool {
        let mut own = Difference::default();
        let changed = node.compare(&mut own);
        own.cancel();
        self.added += own.added.len();
        self.removed += own.removed.len();
        if !self.is_too_big {
            self.octets += journal::octets(own.removed.iter().chain(&own.added));
            self.is_too_big = self.octets > journal::ENTRY_OCTETS_MAX;
            self.difference.removed.append(&mut own.removed);
            self.difference.added.append(&mut own.added);
            if self.is_too_big {
                self.difference = Difference::default();
            }
        }
        changed
    }
}

impl StagedNode {
    /// Adds to `difference` what changed here, the SOA record left aside; whether anything did.
    fn compare(&mut self, difference: &mut Difference) -> bool {
        self.before.sort_unstable_by_key(|placed| placed.place);
        self.after.sort_unstable_by_key(|placed| placed.place);
        let mut changed = false;
        for (before, after) in pairs(&self.before, &self.after) {
            let content = |placed: Option<&Placed>| placed.map(|placed| entry_of(&placed.row));
            if let (Some(before), Some(after)) = (before, after)
                && is_equal(&before.row, &after.row)
            {
                continue;
            }
            changed = true;
            let is_soa = |placed: &&Placed| placed.row.rtype == Rtype::SOA;
            difference.removed.extend(content(before.filter(|placed| !is_soa(placed))));
            difference.added.extend(content(after.filter(|placed| !is_soa(placed))));
        }
        changed
    }
}

/// Completes a zone, or takes back what a client has made needless.
fn complete(apex_key: &[u8], zone: &mut StagedZone, now: Timestamp) {
    let apex = zone.apex.clone();
    // Counted from the end, where no row of a client ever lies.
    let place = |rtype: Rtype| u64::MAX - u64::from(rtype.to_int());
    let node = zone.nodes.entry(apex_key.to_vec()).or_default();
    for rtype in [Rtype::SOA, Rtype::NS] {
        let rows = node.after.iter().filter(|placed| placed.row.rtype == rtype);
        let (generated, written): (Vec<_>, Vec<_>) = rows.partition(|placed| placed.row.generated);
        match (generated.is_empty(), written.is_empty()) {
            (false, false) => node.after.retain(|placed| placed.row.rtype != rtype || !placed.row.generated),
            (true, true) => {
                // A generated row that was there before comes back as it was.
                let before = node.before.iter();
                let same = before.filter(|placed| placed.row.generated && placed.row.rtype == rtype);
                let made = Placed { place: place(rtype), row: generated_row(&apex, rtype, now) };
                node.after.push(same.last().cloned().unwrap_or(made));
            }
            _ => {}
        }
    }
}

/// The row that zonda makes for a zone without one of this type.
pub(crate) fn generated_row(apex: &Name, rtype: Rtype, now: Timestamp) -> Row {
    // An apex too long for a name below it is its own server and mailbox.
    let below = |label: &str| name::parse(label, Some(apex)).unwrap_or_else(|_| apex.clone());
    let mut rdata = below(GENERATED_SERVER).as_slice().to_vec();
    if rtype == Rtype::SOA {
        rdata.extend_from_slice(below(GENERATED_MAILBOX).as_slice());
        for number in [0, GENERATED_REFRESH, GENERATED_RETRY, GENERATED_EXPIRE, GENERATED_MINIMUM] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
    }
    Row {
        id: 0,
        zone: apex.clone(),
        owner: apex.clone(),
        rtype,
        ttl: None,
        rdata: Bytes::from(rdata),
        written: None,
        generated: true,
        created: now,
        updated: now,
    }
}

/// How many rows of clients the zone has after the edit.
fn clients(zone: &StagedZone) -> u64 {
    let count = |rows: &[Placed]| rows.iter().filter(|placed| !placed.row.generated).count() as u64;
    let nodes = zone.nodes.values();
    let (before, after) =
        nodes.fold((0, 0), |(before, after), node| (before + count(&node.before), after + count(&node.after)));
    let stored = zone.header.as_ref().map_or(0, |header| header.rows.saturating_sub(header.generated));
    (stored + after).saturating_sub(before)
}

/// The zone's SOA before, and now.
fn soas(apex_key: &[u8], zone: &StagedZone) -> Option<(Option<Row>, Row)> {
    let node = zone.nodes.get(apex_key)?;
    let soa = |rows: &[Placed]| rows.iter().map(|placed| &placed.row).find(|row| row.rtype == Rtype::SOA).cloned();
    Some((soa(&node.before), soa(&node.after)?))
}

/// Puts the SOA row back with its serial.
fn set_soa(apex_key: &[u8], zone: &mut StagedZone, soa: &Row) {
    let rows = zone.nodes.get_mut(apex_key).map(|node| node.after.iter_mut());
    if let Some(placed) = rows.into_iter().flatten().find(|placed| placed.row.rtype == Rtype::SOA) {
        placed.row.rdata = soa.rdata.clone();
    }
}

/// The zone's serial after the edit: one that the edit brought, if that is ahead; else the next one, if the content
/// `changed`.
fn new_serial(zone: &StagedZone, changed: bool, now: Timestamp) -> u32 {
    let Some(header) = &zone.header else {
        let first = zone.brought.unwrap_or_else(|| serial::first(now));
        // Secondaries may still have the zone as it was.
        return match zone.former.as_ref().map(|former| former.serial) {
            Some(last) if !serial::is_ahead(first, last) => serial::next(last, now),
            _ => first,
        };
    };
    let old = header.serial;
    match zone.brought.filter(|brought| serial::is_ahead(*brought, old)) {
        Some(brought) => brought,
        None if changed => serial::next(old, now),
        None => old,
    }
}

/// The header of a damaged zone that the edit replaces.
fn replaced(zone: &StagedZone) -> Option<&Header> {
    zone.former.as_ref().filter(|_| zone.discard)
}

/// Whether two rows are the same record; the serial of a SOA is the store's and does not count.
pub(crate) fn is_equal(a: &Row, b: &Row) -> bool {
    let rdata = match a.rtype {
        Rtype::SOA => serial::with_serial(&a.rdata, 0) == serial::with_serial(&b.rdata, 0),
        _ => a.rdata == b.rdata,
    };
    rdata && a.rtype == b.rtype && a.ttl == b.ttl && a.owner.as_slice() == b.owner.as_slice()
}

/// Checks the rules of zones at one owner.
fn check_node(apex: &Name, node: &StagedNode, zone_op: usize) -> Result<(), EditError> {
    let Some(data) = tables::node_data(&node.after) else {
        return Ok(());
    };
    let faults = rules::check_node(apex, &data);
    let Some(fault) = faults.into_iter().find(|fault| fault.severity == Severity::Error) else {
        return Ok(());
    };
    let field = match fault.rule {
        Rule::SecondSoa => Faulty::Rtype,
        Rule::OutsideZone | Rule::SoaBelowApex | Rule::CnameNotAlone | Rule::SecondCname | Rule::SecondDname => {
            Faulty::Name
        }
        _ => Faulty::Content,
    };
    Err(rule(node.op.unwrap_or(zone_op), field, fault.message))
}

/// Rows of two states side by side, by place; both have to be sorted by it.
fn pairs<'r>(
    before: &'r [Placed],
    after: &'r [Placed],
) -> impl Iterator<Item = (Option<&'r Placed>, Option<&'r Placed>)> {
    let mut before = before.iter().peekable();
    let mut after = after.iter().peekable();
    std::iter::from_fn(move || {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.place.cmp(&new.place),
        };
        Some(match order {
            std::cmp::Ordering::Less => (before.next(), None),
            std::cmp::Ordering::Greater => (None, after.next()),
            std::cmp::Ordering::Equal => (before.next(), after.next()),
        })
    })
}

/// The header of a zone without rows.
fn new_header(zone: &StagedZone, now: Timestamp) -> Header {
    Header {
        number: zone.number,
        apex: zone.apex.clone(),
        serial: 0,
        rows: 0,
        generated: 0,
        digest: Default::default(),
        created: now,
        updated: now,
        journal: zone.former.as_ref().map_or((0, 0, 0), |former| former.journal),
    }
}

/// First label of the name server in generated NS and SOA records.
const GENERATED_SERVER: &str = "ns1";
/// First label of the mailbox in generated SOA records (RFC 2142 §7).
const GENERATED_MAILBOX: &str = "hostmaster";
/// Seconds after which a secondary asks again, in generated SOA records.
const GENERATED_REFRESH: u32 = 7_200;
/// Seconds after which it asks again when that failed.
const GENERATED_RETRY: u32 = 3_600;
/// Seconds after which it gives the zone up.
const GENERATED_EXPIRE: u32 = 1_209_600;
/// Seconds for which the absence of a record may be remembered (RFC 2308 §5).
const GENERATED_MINIMUM: u32 = 300;

/// Owners of an edit to which warnings are given: those of a person's edit, not of a program's thousands.
const WARNED_MAX: usize = 100;

/// An import that changes more owners than this is published as a whole zone.
const NODES_MAX: usize = 1_000;
