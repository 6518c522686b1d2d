//! The rules at the names that an edit touched, and at the names these lead to.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::iana::Rtype;

use super::across::Zone;
use super::owners::{Owner, standings, target};
use super::{Fault, Faults, owner};
use crate::edit::NodeData;
use crate::{Name, name};

/// Checks the names that an edit touched and that have data, and with them zone cuts above and the apex if those name
/// one of them in NS or MX records. `node` gives what is at a name of the zone: a node without RRsets where only names
/// below exist. What lies below a touched name is not looked at, nor who else refers to it, nor signatures.
pub fn check_nodes<E>(
    apex: &Name,
    touched: &[Name],
    node: &mut dyn FnMut(&Name) -> Result<Option<NodeData>, E>,
) -> Result<Vec<Fault>, E> {
    // By order key; `None` where there is nothing.
    let mut known: BTreeMap<Vec<u8>, Option<NodeData>> = BTreeMap::new();
    let mut wanted: BTreeSet<Name> = BTreeSet::new();
    for name in touched.iter().filter(|name| name.ends_with(apex)) {
        wanted.extend(name.iter_suffixes().take_while(|above| above.len() >= apex.len()));
    }
    let mut rounds = 0;
    loop {
        for name in std::mem::take(&mut wanted) {
            known.insert(name::order_key(&name), node(&name)?);
        }
        let nodes: Vec<&NodeData> = known.values().flatten().collect();
        let owners: Vec<Owner<'_>> = nodes.iter().map(|node| Owner::new(node, 0)).collect();
        let zone = Zone::part(apex, &owners);
        let mut faults = Faults::default();
        for (owner, standing) in owners.iter().zip(standings(apex, &owners)) {
            if touched.contains(owner.name) && !owner.rrsets.is_empty() {
                owner::check(apex, owner, &mut faults);
                zone.check(owner, standing, &mut faults);
            } else if touched.iter().any(|touched| names(owner, touched)) {
                zone.check(owner, standing, &mut faults);
            }
        }
        let missed = zone.missed.take();
        wanted = missed.into_iter().filter(|name| !known.contains_key(&name::order_key(name))).collect();
        rounds += 1;
        if wanted.is_empty() || rounds == ROUNDS_MAX {
            return Ok(faults.list());
        }
    }
}

/// Whether NS or MX records of an owner name another name, which lies below it.
fn names(owner: &Owner<'_>, below: &Name) -> bool {
    let targets = |rtype: Rtype| owner.get(rtype).iter().filter_map(move |item| target(rtype, item.rdata));
    below.ends_with(owner.name) && [Rtype::NS, Rtype::MX].into_iter().flat_map(targets).any(|target| target == *below)
}

/// Each round looks at the names that the last one asked for; a chain of aliases needs two for each step.
const ROUNDS_MAX: usize = 40;
