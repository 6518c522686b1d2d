//! The zones of one source, found by the longest suffix of a name.

use std::collections::HashMap;
use std::sync::Arc;

use store::Name;

use super::compiled::Zone;
use super::depths::Depths;
use super::layered::{Key, Layered};
use super::nodes::Hint;
use super::rrset::lower_wire;
use crate::wire::{QName, same};

/// Zones by apex. It never changes; an edit makes a new set that shares what it can.
#[derive(Clone)]
pub struct ZoneSet {
    zones: Arc<Layered<Arc<Zone>>>,
    depths: Depths,
    /// The zone if there is one only: then it is compared, which costs less than a look-up.
    only: Option<Arc<Zone>>,
}

/// What is known of a name ahead of its question.
#[derive(Clone, Copy)]
pub struct Ahead<'z> {
    /// The zone with the longest apex that it is at or below.
    pub(super) zone: &'z Zone,
    /// What is known of it there.
    pub(super) hint: Hint<'z>,
}

impl Ahead<'_> {
    /// Asks the memory for the rest.
    #[inline]
    pub fn fetch(&mut self) {
        self.zone.fetch(&mut self.hint);
    }
}

impl Default for ZoneSet {
    fn default() -> Self {
        Self::over(Layered::new(), Depths::default())
    }
}

impl ZoneSet {
    /// A set of zones whose apexes stand at these depths.
    fn over(zones: Layered<Arc<Zone>>, depths: Depths) -> Self {
        let only = if zones.len() == 1 { zones.values().next().cloned() } else { None };
        Self { zones: Arc::new(zones), depths, only }
    }

    /// A set of these zones; of two with one apex the later counts.
    pub fn build(zones: impl IntoIterator<Item = Arc<Zone>>) -> Self {
        let mut by_apex = HashMap::new();
        let mut depths = Depths::default();
        for zone in zones {
            let depth = zone.labels();
            if by_apex.insert(Arc::clone(zone.apex()), zone).is_none() {
                depths.add(depth);
            }
        }
        Self::over(Layered::build(by_apex.into_iter().collect()), depths)
    }

    /// This set with zones put in or replaced (`Some`) and taken out (`None`).
    pub fn with(&self, changes: impl IntoIterator<Item = (Name, Option<Arc<Zone>>)>) -> Self {
        let mut depths = self.depths.clone();
        let mut staged: HashMap<Key, Option<Arc<Zone>>> = HashMap::new();
        for (apex, zone) in changes {
            let key = lower_wire(&apex);
            let depth = apex.label_count() - 1;
            let had = staged.get(&key).map_or_else(|| self.zones.get(&key).is_some(), Option::is_some);
            match (had, zone.is_some()) {
                (false, true) => depths.add(depth),
                (true, false) => depths.remove(depth),
                _ => {}
            }
            staged.insert(key, zone);
        }
        Self::over(self.zones.with(staged), depths)
    }

    /// The zone with exactly this apex.
    pub fn get(&self, apex: &Name) -> Option<&Arc<Zone>> {
        self.zones.get(&lower_wire(apex))
    }

    /// The zone with the longest apex that `name` is at or below.
    #[inline]
    pub fn find(&self, name: &QName) -> Option<&Zone> {
        self.find_from(name, name.labels())
    }

    /// Looks ahead for a name that will be asked for soon: finds its zone, and asks the memory for the first of what the
    /// search in it needs.
    #[inline]
    pub fn ask(&self, name: &QName) -> Option<Ahead<'_>> {
        let zone = self.find(name)?;
        Some(Ahead { zone, hint: zone.ask(name) })
    }

    /// The same as [`ZoneSet::find`] among apexes of at most `labels` labels: above a cut, to find the parent of a zone.
    #[inline]
    pub fn find_from(&self, name: &QName, labels: usize) -> Option<&Zone> {
        match &self.only {
            Some(zone) => (zone.labels() <= labels && same(name.suffix(zone.labels()), zone.apex())).then_some(zone),
            None => self.find_among(name, labels),
        }
    }

    /// The same among many zones.
    fn find_among(&self, name: &QName, labels: usize) -> Option<&Zone> {
        self.depths.upward(labels).find_map(|depth| self.zones.get(name.suffix(depth))).map(|zone| &**zone)
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.zones.values().map(|zone| &**zone)
    }
}
