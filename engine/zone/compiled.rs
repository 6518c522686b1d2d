//! One zone as it is served, and the search for a name in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::base::ToName;
use store::edit::NodeData;
use store::{Name, Rtype, Serial};

use super::denial::Denial;
use super::depths::Depths;
use super::layered::Key;
use super::node::{Draft, Node};
use super::nodes::{self, Hint, Nodes, WILDCARD};
use super::rrset::{OwnedRrset, Rrset, compile, lower_wire};
use crate::wire::QName;

/// A compiled zone. It never changes; [`Zone::with`] makes the next one.
pub struct Zone {
    apex: Key,
    labels: usize,
    name: Name,
    default_ttl: u32,
    nodes: Nodes,
    /// Depths of names at which a search turns aside: zone cuts, and DNAMEs.
    turns: Depths,
    /// The SOA for negative answers, its TTL already lowered to MINIMUM (RFC 2308 §3).
    negative_soa: Option<OwnedRrset>,
    /// What proves negative answers, if the zone is signed.
    denial: Denial,
    /// Its data cannot be had, so that nothing may be said of its names.
    withheld: bool,
}

/// Where the search for a name ended (RFC 1034 §4.3.2 step 3).
pub enum Match<'z> {
    /// The name exists; perhaps only because names below it do.
    Exact(Node<'z>),
    /// The name does not exist but a wildcard covers it (RFC 4592 §3.3): the wildcard's node and the number of labels of
    /// the closest encloser.
    Wildcard(Node<'z>, usize),
    /// The name is at or below a zone cut: the cut's node, its NS RRset, and the number of labels of its name.
    Cut(Node<'z>, Rrset<'z>, usize),
    /// The name is below a DNAME: that RRset and the number of labels of its owner (RFC 6672 §2.3).
    Dname(Rrset<'z>, usize),
    /// The name does not exist; the number of labels of its closest encloser.
    NameError(usize),
}

impl Zone {
    /// A zone whose data cannot be had: it is damaged, or not there yet. It keeps its place, so that the zone above does
    /// not answer for its names.
    pub fn withheld(apex: &Name) -> Self {
        Self { withheld: true, ..Self::empty(apex, 0) }
    }

    /// Compiles a zone from all its nodes. `default_ttl` (seconds) stands in for records without a TTL. Of two nodes at
    /// one name the later counts.
    pub fn compile(apex: &Name, nodes: &[NodeData], default_ttl: u32) -> Self {
        let mut builder = Builder::new(apex, default_ttl);
        if nodes.is_sorted_by(|a, b| a.owner.name_cmp(&b.owner).is_lt()) {
            nodes.iter().for_each(|node| builder.put(node));
        } else {
            let sorted: BTreeMap<_, _> = nodes.iter().map(|node| (&node.owner, node)).collect();
            sorted.into_values().for_each(|node| builder.put(node));
        }
        builder.finish()
    }

    /// A zone without names.
    fn empty(apex: &Name, default_ttl: u32) -> Self {
        Self {
            apex: lower_wire(apex),
            labels: apex.label_count() - 1,
            name: apex.clone(),
            default_ttl,
            nodes: Nodes::new(apex.len()),
            turns: Depths::default(),
            negative_soa: None,
            denial: Denial::default(),
            withheld: false,
        }
    }

    /// This zone after some of its nodes took a new state (a node without RRsets has no data any more). It costs by
    /// the number of those nodes, not by the size of the zone.
    pub fn with(&self, nodes: &[NodeData]) -> Self {
        let mut stage = Stage::new(self, nodes.len());
        for node in nodes {
            stage.put(node);
        }
        let (staged, turns, denial) = stage.finish();
        let nodes = self.nodes.with(staged);
        Self {
            negative_soa: negative_soa(&nodes, &self.apex),
            denial,
            nodes,
            turns,
            apex: Arc::clone(&self.apex),
            labels: self.labels,
            name: self.name.clone(),
            default_ttl: self.default_ttl,
            withheld: self.withheld,
        }
    }

    /// The apex in lower-case wire form.
    pub fn apex(&self) -> &Arc<[u8]> {
        &self.apex
    }

    /// The apex as it was written.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether nothing may be said of its names.
    #[inline]
    pub(super) fn is_withheld(&self) -> bool {
        self.withheld
    }

    /// Labels of the apex without the root.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// How many names exist, empty non-terminals included.
    pub fn names(&self) -> usize {
        self.nodes.len()
    }

    /// The SOA as it goes into negative answers (RFC 2308 §3).
    #[inline]
    pub fn negative_soa(&self) -> Option<Rrset<'_>> {
        self.negative_soa.as_ref().map(OwnedRrset::get)
    }

    /// What proves negative answers; None if the zone is not signed.
    #[inline]
    pub(super) fn denial(&self) -> Option<&Denial> {
        Some(&self.denial).filter(|denial| denial.is_signed())
    }

    /// The zone's serial (RFC 1035 §3.3.13).
    pub fn serial(&self) -> Option<Serial> {
        let fields = self.negative_soa()?.template().records;
        let from_end = |octets: usize| fields.get(fields.len().checked_sub(octets)?..)?.first_chunk::<4>();
        from_end(20).map(|serial| Serial(u32::from_be_bytes(*serial)))
    }

    /// The node at exactly this name in lower-case wire form, also below a zone cut (for glue); None outside the zone.
    #[inline]
    pub fn node(&self, name: &[u8]) -> Option<Node<'_>> {
        // The name of a host may be another zone's. One that ends with these octets within a label is no node's either.
        if name.ends_with(&self.apex) { self.nodes.get(name) } else { None }
    }

    /// Asks the memory for the slot of a name, which is going to be searched for.
    #[inline]
    pub(super) fn ask(&self, name: &QName) -> Hint<'_> {
        self.nodes.ask(name.as_slice())
    }

    /// Asks the memory for the node of such a name, when the slot has had time to come.
    #[inline]
    pub(super) fn fetch<'z>(&'z self, ahead: &mut Hint<'z>) {
        self.nodes.fetch(ahead);
    }

    /// Searches for `name`, which is the apex or below it. A question for DS is answered at the cut's parent side
    /// (RFC 4035 §3.1.4.1), so a cut at exactly `name` does not turn it aside.
    #[inline]
    pub fn find(&self, name: &QName, qtype: Rtype) -> Match<'_> {
        self.find_ahead(name, self.nodes.hint(name.as_slice()), qtype)
    }

    /// [`Zone::find`] with what [`Zone::ask`] gave for the name.
    #[inline]
    pub(super) fn find_ahead<'z>(&'z self, name: &QName, ahead: Hint<'z>, qtype: Rtype) -> Match<'z> {
        let depth = name.labels();
        // The closest encloser (RFC 4592 §3.3.1) has at least `exists` labels and fewer than `missing`. An ancestor
        // exists whenever a name below it does, so that no name is looked up twice, nor below one that is missing.
        let (mut exists, mut missing) = (self.labels, depth + 1);
        for turn in self.turns.downward(self.labels, depth) {
            let Some(node) = self.nodes.get(name.suffix(turn)) else {
                missing = turn;
                break;
            };
            exists = turn;
            if !node.may_turn() {
                continue;
            }
            if turn > self.labels
                && let Some(cut) = node.rrset(Rtype::NS)
            {
                return Match::Cut(node, cut, turn);
            }
            if let Some(dname) = node.rrset(Rtype::DNAME) {
                return Match::Dname(dname, turn);
            }
        }
        if missing > depth {
            if let Some(node) = self.nodes.get_ahead(name.as_slice(), ahead) {
                // At the apex NS is data.
                if depth > self.labels
                    && node.may_turn()
                    && qtype != Rtype::DS
                    && let Some(cut) = node.rrset(Rtype::NS)
                {
                    return Match::Cut(node, cut, depth);
                }
                return Match::Exact(node);
            }
            missing = depth;
        }
        // Halving: a name of 127 labels costs seven look-ups.
        while missing.saturating_sub(exists) > 1 {
            let middle = exists + (missing - exists) / 2;
            match self.nodes.get(name.suffix(middle)) {
                Some(_) => exists = middle,
                None => missing = middle,
            }
        }
        let wildcard = self
            .nodes
            .get(name.suffix(exists))
            .filter(|encloser| encloser.has_wildcard())
            .and_then(|_| self.nodes.get(name.wildcard(exists, &mut [0; 255])?));
        wildcard.map_or(Match::NameError(exists), |node| Match::Wildcard(node, exists))
    }
}

/// Compiles a zone from nodes that come one by one, in canonical order (RFC 4034 §6.1) and each name once.
pub struct Builder {
    zone: Zone,
    nodes: nodes::Builder,
    /// What is written for one node and the next.
    draft: Draft,
    name: Vec<u8>,
}

impl Builder {
    /// A zone without nodes. `default_ttl` (seconds) stands in for records without a TTL.
    pub fn new(apex: &Name, default_ttl: u32) -> Self {
        let zone = Zone::empty(apex, default_ttl);
        Self { nodes: nodes::Builder::new(Arc::clone(&zone.apex)), zone, draft: Draft::default(), name: Vec::new() }
    }

    /// Adds a node; one outside the zone is left out.
    pub fn put(&mut self, data: &NodeData) {
        self.name.clear();
        self.name.extend(data.owner.as_slice().iter().map(u8::to_ascii_lowercase));
        let zone = &mut self.zone;
        let Some(below) = relative_labels(&self.name, &zone.apex) else { return };
        zone.denial.put(data, &zone.apex, zone.default_ttl);
        compile_node(data, &zone.apex, zone.default_ttl, &mut self.draft);
        if self.draft.rrsets.is_empty() {
            return;
        }
        if self.draft.turns(below == 0) {
            zone.turns.add(zone.labels + below);
        }
        self.nodes.put(&self.name, &self.draft);
    }

    /// The zone.
    pub fn finish(self) -> Zone {
        let nodes = self.nodes.finish();
        Zone { negative_soa: negative_soa(&nodes, &self.zone.apex), nodes, ..self.zone }
    }
}

/// Compiles the RRsets of a node. NSEC3 records lie in the chain alone: their owners are no names of the zone (RFC 5155
/// §7.2.8).
fn compile_node(data: &NodeData, apex: &[u8], default_ttl: u32, draft: &mut Draft) {
    draft.rrsets.clear();
    for rrset in data.rrsets.iter().filter(|rrset| rrset.rtype != Rtype::NSEC3) {
        // One without records, or too big for a message, is left out.
        let _ = compile(rrset, &data.rrsets, apex, default_ttl, &mut draft.rrsets);
    }
}

/// The nodes that a change touches, worked on before they go into the table.
struct Stage<'z> {
    zone: &'z Zone,
    nodes: HashMap<Key, Option<Draft>, foldhash::fast::RandomState>,
    turns: Depths,
    denial: Denial,
}

impl<'z> Stage<'z> {
    /// Nothing changed yet.
    fn new(zone: &'z Zone, capacity: usize) -> Self {
        let nodes = HashMap::with_capacity_and_hasher(capacity + 2, Default::default());
        Self { zone, nodes, turns: zone.turns.clone(), denial: zone.denial.clone() }
    }

    /// Gives one name its new RRsets, and its ancestors what follows from that.
    fn put(&mut self, data: &NodeData) {
        let key = lower_wire(&data.owner);
        let Some(below) = relative_labels(&key, &self.zone.apex) else { return };
        self.denial.put(data, &self.zone.apex, self.zone.default_ttl);
        let old = self.get(&key);
        let mut new = Draft { rrsets: Vec::new(), ..old.clone().unwrap_or_default() };
        compile_node(data, &self.zone.apex, self.zone.default_ttl, &mut new);
        let depth = self.zone.labels + below;
        match (old.as_ref().is_some_and(|old| old.turns(below == 0)), new.turns(below == 0)) {
            (false, true) => self.turns.add(depth),
            (true, false) => self.turns.remove(depth),
            _ => {}
        }
        match old {
            Some(old) if new.rrsets.is_empty() && old.children == 0 && below > 0 => self.remove(key),
            Some(_) => drop(self.nodes.insert(key, Some(new))),
            None if new.rrsets.is_empty() => {}
            None => self.insert(key, new),
        }
    }

    /// The touched nodes, the depths of turns and the chains after all changes.
    fn finish(self) -> (HashMap<Key, Option<Draft>, foldhash::fast::RandomState>, Depths, Denial) {
        (self.nodes, self.turns, self.denial)
    }

    /// The node at a name as it stands now.
    fn get(&self, key: &[u8]) -> Option<Draft> {
        self.nodes.get(key).map_or_else(|| self.zone.nodes.get(key).map(Draft::from), Clone::clone)
    }

    /// Puts in a name that did not exist, and the ancestors that exist through it.
    fn insert(&mut self, key: Key, node: Draft) {
        let mut child = key;
        self.nodes.insert(Arc::clone(&child), Some(node));
        while let Some(parent) = self.parent(&child) {
            let existing = self.get(&parent);
            let created = existing.is_none();
            let mut node = existing.unwrap_or_default();
            node.children += 1;
            node.wildcard |= child.starts_with(WILDCARD);
            self.nodes.insert(Arc::clone(&parent), Some(node));
            if !created {
                return;
            }
            child = parent;
        }
    }

    /// Takes out a name, and the empty non-terminals that existed through it alone.
    fn remove(&mut self, key: Key) {
        let mut child = key;
        loop {
            let parent = self.parent(&child);
            let wildcard = child.starts_with(WILDCARD);
            self.nodes.insert(child, None);
            let Some(parent) = parent else { return };
            let Some(mut node) = self.get(&parent) else { return };
            node.children = node.children.saturating_sub(1);
            node.wildcard &= !wildcard;
            let gone = node.children == 0 && node.rrsets.is_empty() && parent != self.zone.apex;
            self.nodes.insert(Arc::clone(&parent), Some(node));
            if !gone {
                return;
            }
            child = parent;
        }
    }

    /// The name one label up; None above the apex.
    fn parent(&self, key: &Key) -> Option<Key> {
        (*key != self.zone.apex).then(|| key.get(usize::from(*key.first()?) + 1..).map(Key::from))?
    }
}

/// How many labels `name` has below `apex`; None if it is not at or below it. Both in lower-case wire form.
fn relative_labels(name: &[u8], apex: &[u8]) -> Option<usize> {
    let (mut rest, mut labels) = (name, 0);
    while rest.len() > apex.len() {
        rest = rest.get(usize::from(*rest.first()?) + 1..)?;
        labels += 1;
    }
    (rest == apex).then_some(labels)
}

/// The SOA at the apex with the TTL that negative answers get: the lesser of its TTL and MINIMUM (RFC 2308 §5).
fn negative_soa(nodes: &Nodes, apex: &[u8]) -> Option<OwnedRrset> {
    let soa = nodes.get(apex)?.rrset(Rtype::SOA)?;
    let minimum = soa.template().records.last_chunk::<4>().map(|minimum| u32::from_be_bytes(*minimum))?;
    Some(soa.with_ttl(soa.ttl().min(minimum)))
}
