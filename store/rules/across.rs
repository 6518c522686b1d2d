//! Rules that look from one owner to others: where names in records lead, and what zone cuts and DNAMEs hide.

use std::cell::RefCell;
use std::collections::BTreeSet;

use domain::base::iana::Rtype;

use super::owners::{Item, Owner, Standing, target};
use super::{Faults, Rule, listed};
use crate::{Name, name};

/// A zone for the rules that look from one owner to another.
pub(super) struct Zone<'a> {
    /// The zone's apex.
    pub(super) apex: &'a Name,
    /// Its owners in canonical order; one without RRsets is there because names below it are.
    pub(super) owners: &'a [Owner<'a>],
    /// The names that were looked for in vain.
    pub(super) missed: RefCell<BTreeSet<Name>>,
    /// Whether to note them.
    notes_missed: bool,
}

/// What a name within the zone leads to (RFC 1034 §4.3.2).
enum Lead<'a> {
    /// Data of the zone, perhaps from a wildcard.
    Data(&'a Owner<'a>),
    /// A zone cut at the name or above it.
    Cut(&'a Owner<'a>),
    /// A DNAME above it.
    Dname(&'a Owner<'a>),
    /// There is no such name, or nothing at it.
    Nothing,
    /// The name is another zone's.
    Outside,
}

impl<'a> Zone<'a> {
    /// All owners of a zone.
    pub(super) fn new(apex: &'a Name, owners: &'a [Owner<'a>]) -> Self {
        Self { apex, owners, missed: RefCell::default(), notes_missed: false }
    }

    /// Some owners of a zone; the others that are asked for are noted.
    pub(super) fn part(apex: &'a Name, owners: &'a [Owner<'a>]) -> Self {
        Self { notes_missed: true, ..Self::new(apex, owners) }
    }

    /// Checks one owner.
    pub(super) fn check(&self, owner: &Owner<'_>, standing: Standing, faults: &mut Faults) {
        match standing {
            Standing::Outside => return,
            Standing::BelowCut(cut) => return self.check_hidden(owner, Some(&self.owners[cut]), faults),
            Standing::BelowDname(dname) => {
                let message = || {
                    let (below, above) = (name::to_text(owner.name), name::to_text(self.owners[dname].name));
                    format!("{below} is hidden by the DNAME record of {above}")
                };
                return faults.add(Rule::BelowDname, owner.first(), message);
            }
            Standing::Cut => self.check_hidden(owner, None, faults),
            Standing::Authoritative => {}
        }
        self.check_targets(owner, standing, faults);
        if standing == Standing::Authoritative {
            self.check_aliases(owner, faults);
        }
    }

    /// Checks that there is nothing but glue below the zone cut `above`, or what belongs to a cut at one.
    fn check_hidden(&self, owner: &Owner<'_>, above: Option<&Owner<'_>>, faults: &mut Faults) {
        // The chain and signatures of a signed zone have rules of their own.
        let is_served = |rtype: &Rtype| match *rtype {
            Rtype::A | Rtype::AAAA | Rtype::NSEC | Rtype::RRSIG => true,
            Rtype::NS | Rtype::DS => above.is_none(),
            _ => false,
        };
        let hidden: Vec<Rtype> = owner.types().filter(|rtype| !is_served(rtype)).collect();
        let Some(first) = hidden.first().and_then(|rtype| owner.get(*rtype).first()) else { return };
        let message = || {
            let (shown, hidden) = (name::to_text(owner.name), listed(hidden.iter().copied()));
            match above {
                Some(cut) => format!("{shown} ({hidden}) is hidden by the zone cut at {}", name::to_text(cut.name)),
                None => format!("{shown} is a zone cut, which hides its other data ({hidden})"),
            }
        };
        faults.add(Rule::Occluded, Some(first.index), message);
    }

    /// Checks what the names in NS, MX and SRV records lead to.
    fn check_targets(&self, owner: &Owner<'_>, standing: Standing, faults: &mut Faults) {
        for rtype in [Rtype::NS, Rtype::MX, Rtype::SRV] {
            // Beside NS records the others of a zone cut are hidden.
            if standing == Standing::Cut && rtype != Rtype::NS {
                break;
            }
            for item in owner.get(rtype) {
                // The root as the target says that there is none (RFC 7505 §3, RFC 2782).
                if let Some(target) = target(rtype, item.rdata).filter(|target| !target.is_root()) {
                    self.check_target(owner, rtype, item, &target, faults);
                }
            }
        }
    }

    /// Checks what one name leads to.
    fn check_target(&self, owner: &Owner<'_>, rtype: Rtype, item: &Item<'_>, target: &Name, faults: &mut Faults) {
        let (from, to) = (|| name::to_text(owner.name), || name::to_text(target));
        let rule = match self.lead(target) {
            Lead::Outside => return,
            Lead::Data(found) if found.has(Rtype::CNAME) => Rule::TargetIsAlias,
            Lead::Data(found) if found.has_address() => return,
            Lead::Dname(_) => Rule::TargetIsAlias,
            // Below another zone cut the address belongs to that zone, and glue for a sibling is optional (RFC 9471 §3).
            Lead::Cut(cut) if rtype != Rtype::NS || cut.name != owner.name => return,
            Lead::Cut(_) if self.find(target).is_some_and(Owner::has_address) => return,
            Lead::Cut(_) => Rule::MissingGlue,
            Lead::Data(_) | Lead::Nothing if rtype == Rtype::NS => Rule::NsWithoutAddress,
            Lead::Data(_) | Lead::Nothing => Rule::TargetWithoutAddress,
        };
        faults.add(rule, Some(item.index), || match rule {
            Rule::TargetIsAlias => format!("the {rtype} record of {} names {}, which is an alias", from(), to()),
            Rule::MissingGlue => {
                format!("the name server {} lies below the zone cut {} and has no glue address", to(), from())
            }
            Rule::NsWithoutAddress => format!("the name server {} of {} has no address in the zone", to(), from()),
            _ => format!("the {rtype} record of {} names {}, which has no address in the zone", from(), to()),
        });
    }

    /// Follows the aliases that begin at an owner.
    fn check_aliases(&self, owner: &Owner<'_>, faults: &mut Faults) {
        let (rtype, start) = match owner.has(Rtype::DNAME) {
            // Any name below does; the asterisk finds a wildcard at the target like every other.
            true => (Rtype::DNAME, name::parse("*", Some(owner.name)).ok()),
            false => (Rtype::CNAME, Some(owner.name.clone())),
        };
        let (Some(item), Some(start)) = (owner.get(rtype).first(), start) else { return };
        let mut seen = vec![start];
        loop {
            let last = &seen[seen.len() - 1];
            let lead = match seen.len() {
                1 => match rtype {
                    Rtype::CNAME => Lead::Data(owner),
                    _ => Lead::Dname(owner),
                },
                _ => self.lead(last),
            };
            let next = match lead {
                Lead::Data(found) => match found.get(Rtype::CNAME).first() {
                    Some(cname) => target(Rtype::CNAME, cname.rdata),
                    None => return,
                },
                Lead::Dname(found) => replaced(last, found),
                Lead::Nothing if rtype == Rtype::CNAME => {
                    let message = || {
                        let (shown, last) = (name::to_text(owner.name), name::to_text(last));
                        format!("the alias {shown} leads to {last}, which has no data")
                    };
                    return faults.add(Rule::AliasToNothing, Some(item.index), message);
                }
                Lead::Cut(_) | Lead::Nothing | Lead::Outside => return,
            };
            let Some(next) = next else { return };
            let is_circle = seen.contains(&next);
            seen.push(next);
            if is_circle || seen.len() > ALIASES_MAX {
                let message = || {
                    let shown: Vec<_> = seen.iter().map(name::to_text).collect();
                    let why = if is_circle { "go round in a circle" } else { "are more than an answer follows" };
                    format!("the aliases from {} {why}: {}", name::to_text(owner.name), shown.join(" to "))
                };
                return faults.add(Rule::EndlessAlias, Some(item.index), message);
            }
        }
    }

    /// What a name leads to.
    fn lead(&self, target: &Name) -> Lead<'a> {
        if !target.ends_with(self.apex) {
            return Lead::Outside;
        }
        let above: Vec<Name> = self.above(target).collect();
        // From the apex down: the first turn decides.
        for above in above.iter().rev() {
            match self.find(above) {
                Some(found) if above != self.apex && found.has(Rtype::NS) => return Lead::Cut(found),
                Some(found) if found.has(Rtype::DNAME) => return Lead::Dname(found),
                _ => {}
            }
        }
        match self.find(target) {
            Some(found) if target != self.apex && found.has(Rtype::NS) => return Lead::Cut(found),
            Some(found) if found.types().any(|rtype| !is_chain(rtype)) => return Lead::Data(found),
            Some(_) => return Lead::Nothing,
            None if self.exists(target) => return Lead::Nothing,
            None => {}
        }
        let encloser = above.iter().find(|above| self.exists(above)).unwrap_or(self.apex);
        let wildcard = name::parse("*", Some(encloser)).ok();
        wildcard.and_then(|wildcard| self.find(&wildcard)).map_or(Lead::Nothing, Lead::Data)
    }

    /// The names above `name` up to the apex, which is one of them.
    fn above(&self, name: &Name) -> impl Iterator<Item = Name> {
        let mut next = name.parent().filter(|_| name != self.apex);
        let apex = self.apex;
        std::iter::from_fn(move || {
            let this = next.take()?;
            next = this.parent().filter(|_| this != *apex);
            Some(this)
        })
    }

    /// The owner of that name.
    pub(super) fn find(&self, name: &Name) -> Option<&'a Owner<'a>> {
        let key = name::order_key(name);
        match self.owners.binary_search_by(|owner| owner.key.cmp(&key)) {
            Ok(at) => Some(&self.owners[at]),
            Err(_) => {
                if self.notes_missed {
                    self.missed.borrow_mut().insert(name.clone());
                }
                None
            }
        }
    }

    /// Whether there is data at a name or below it.
    fn exists(&self, name: &Name) -> bool {
        if self.find(name).is_some() {
            return true;
        }
        let key = name::order_key(name);
        let after = self.owners.partition_point(|owner| owner.key < key);
        self.owners.get(after).is_some_and(|owner| owner.key.starts_with(&key))
    }
}

/// Whether records of this type stand at a name only because the zone is signed.
fn is_chain(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::NSEC | Rtype::NSEC3 | Rtype::RRSIG)
}

/// A name with the owner of a DNAME at its end replaced by that record's target (RFC 6672 §2.2); `None` if it is too
/// long then.
fn replaced(name: &Name, dname: &Owner<'_>) -> Option<Name> {
    let target = target(Rtype::DNAME, dname.get(Rtype::DNAME).first()?.rdata)?;
    let kept = name.as_slice().get(..name.len().checked_sub(dname.name.len())?)?;
    Name::from_octets([kept, target.as_slice()].concat().into()).ok()
}

/// Steps of a chain of aliases in one answer, the question among them.
const ALIASES_MAX: usize = 17;
