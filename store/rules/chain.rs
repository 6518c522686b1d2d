//! The chain of NSEC or NSEC3 records: every name of the zone's own is in it with its types, and nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::base::iana::Rtype;

use super::across::Zone;
use super::owners::{Owner, Standing, target};
use super::{Faults, Rule, grouped, listed};
use crate::nsec3::{HASH_OCTETS, Hash, ITERATIONS_MAX, Parameters, hash_of_owner};
use crate::{Name, name};

/// Checks the chain of a signed zone.
pub(super) fn check(zone: &Zone<'_>, standings: &[Standing], faults: &mut Faults) {
    let has = |rtype| zone.owners.iter().any(|owner| owner.has(rtype));
    let (nsec, nsec3) = (has(Rtype::NSEC), has(Rtype::NSEC3));
    if nsec {
        check_nsec(zone, standings, faults);
    }
    if nsec3 {
        check_nsec3(zone, standings, faults);
    }
    if !nsec && !nsec3 {
        let message = || format!("{} is signed, but has neither NSEC nor NSEC3 records", name::to_text(zone.apex));
        faults.add(Rule::NoChain, None, message);
    }
}

/// Checks a chain of NSEC records (RFC 4034 §4, RFC 4035 §2.3).
fn check_nsec(zone: &Zone<'_>, standings: &[Standing], faults: &mut Faults) {
    let names: Vec<(&Owner<'_>, Standing)> = own_names(zone, standings).collect();
    for (owner, standing) in zone.owners.iter().zip(standings) {
        if let Some(nsec) = owner.get(Rtype::NSEC).first()
            && !matches!(standing, Standing::Authoritative | Standing::Cut)
        {
            let message = || format!("{} has an NSEC record, but is not the zone's own", name::to_text(owner.name));
            faults.add(Rule::NeedlessChain, Some(nsec.index), message);
        }
    }
    for (at, (owner, standing)) in names.iter().enumerate() {
        let shown = || name::to_text(owner.name);
        let Some(nsec) = owner.get(Rtype::NSEC).first() else {
            faults.add(Rule::ChainGap, owner.first(), || format!("{} has no NSEC record", shown()));
            continue;
        };
        let next = names[(at + 1) % names.len()].0.name;
        let Some(given) = target(Rtype::NSEC, nsec.rdata) else { continue };
        if given != *next {
            let message = || {
                let (given, next) = (name::to_text(&given), name::to_text(next));
                format!("the NSEC record of {} says that {given} comes next, which is {next}", shown())
            };
            faults.add(Rule::ChainOrder, Some(nsec.index), message);
        }
        let bitmap = nsec.rdata.get(given.len()..).unwrap_or_default();
        check_types("NSEC", &shown, bitmap, &types_at(owner, *standing), nsec.index, faults);
    }
}

/// Checks the chain of NSEC3 records that is in use (RFC 5155 §7.1).
fn check_nsec3(zone: &Zone<'_>, standings: &[Standing], faults: &mut Faults) {
    let Some(parameters) = check_parameters(zone, faults) else { return };
    let names = hashed_names(zone, standings);
    let cost = names.len() * (usize::from(parameters.iterations) + 1);
    if cost > HASHES_MAX {
        let message = || {
            format!(
                "the NSEC3 records of {} are not compared with its names: that would take {} hashes",
                name::to_text(zone.apex),
                grouped(cost)
            )
        };
        return faults.add(Rule::ChainCost, None, message);
    }
    let links: BTreeMap<Hash, Link<'_>> =
        zone.owners.iter().filter_map(|owner| Link::read(zone.apex, owner, &parameters)).collect();
    let mut known: HashMap<Hash, &Name> = HashMap::with_capacity(names.len());
    for (name, hashed) in &names {
        let hash = parameters.hash(name::lower(name).as_slice());
        known.insert(hash, name);
        let shown = || name::to_text(name);
        match links.get(&hash) {
            Some(link) => check_types("NSEC3", &shown, link.bitmap, &hashed.types, link.index, faults),
            None => {
                let before = links.range(..hash).next_back().or_else(|| links.last_key_value());
                let may_miss = hashed.is_insecure && before.is_some_and(|(_, link)| link.opt_out);
                if !may_miss {
                    faults.add(Rule::ChainGap, hashed.first, || format!("{} has no NSEC3 record", shown()));
                }
            }
        }
    }
    let following = links.keys().skip(1).chain(links.keys().next());
    for ((hash, link), next) in links.iter().zip(following) {
        let shown = || {
            let of = known.get(hash).map(|name| format!(" (of {})", name::to_text(name))).unwrap_or_default();
            format!("the NSEC3 record at {}{of}", name::to_text(link.owner))
        };
        if link.next != next {
            let message = || {
                let next = &links[next];
                format!("{} says that another comes next than {}", shown(), name::to_text(next.owner))
            };
            faults.add(Rule::ChainOrder, Some(link.index), message);
        }
        if !known.contains_key(hash) {
            let message = || format!("{} is the hash of no name of the zone's own", shown());
            faults.add(Rule::NeedlessChain, Some(link.index), message);
        }
    }
}

/// Checks the NSEC3 parameters; gives those that are in use.
fn check_parameters(zone: &Zone<'_>, faults: &mut Faults) -> Option<Parameters> {
    let shown = || name::to_text(zone.apex);
    let given: Vec<_> = zone.find(zone.apex).map(|apex| apex.get(Rtype::NSEC3PARAM)).unwrap_or_default().to_vec();
    let all: Vec<Parameters> = given.iter().filter_map(|item| Parameters::read(item.rdata)).collect();
    for owner in zone.owners {
        for item in owner.get(Rtype::NSEC3) {
            if !Parameters::read(item.rdata).is_some_and(|parameters| all.contains(&parameters)) {
                let message = || {
                    let owner = name::to_text(owner.name);
                    format!("the NSEC3 record at {owner} has parameters that no NSEC3PARAM record of {} has", shown())
                };
                faults.add(Rule::ChainParameters, Some(item.index), message);
            }
        }
    }
    // Records with flags are not for servers (RFC 5155 §4.1.2).
    let active = given.iter().find(|item| item.rdata.get(1) == Some(&0));
    let parameters = active.and_then(|item| Parameters::read(item.rdata))?;
    let index = active.map(|item| item.index);
    let Parameters { iterations, ref salt } = parameters;
    if iterations > ITERATIONS_MAX {
        let message = || {
            format!(
                "the NSEC3 records of {} take {iterations} iterations; with more than {ITERATIONS_MAX} no proofs are given",
                shown()
            )
        };
        faults.add(Rule::ChainCost, index, message);
    } else if iterations > 0 || !salt.is_empty() {
        let message = || {
            let octets = salt.len();
            format!(
                "the NSEC3 records of {} take {iterations} iterations and a salt of {octets} octets; both are to be 0 \
                 (RFC 9276), and resolvers take a zone with many iterations for unsigned",
                shown()
            )
        };
        faults.add(Rule::ChainCost, index, message);
    }
    Some(parameters)
}

/// The owners that have to be in the chain.
fn own_names<'z>(zone: &'z Zone<'_>, standings: &'z [Standing]) -> impl Iterator<Item = (&'z Owner<'z>, Standing)> {
    let all = zone.owners.iter().zip(standings.iter().copied());
    all.filter(|(owner, standing)| matches!(standing, Standing::Authoritative | Standing::Cut) && !owner.is_hash())
}

/// The types that a record of the chain has to list for an owner.
fn types_at(owner: &Owner<'_>, standing: Standing) -> BTreeSet<Rtype> {
    let at_cut = |rtype: &Rtype| matches!(*rtype, Rtype::NS | Rtype::DS | Rtype::NSEC | Rtype::RRSIG);
    let types = owner.types().filter(|rtype| *rtype != Rtype::NSEC3);
    types.filter(|rtype| standing != Standing::Cut || at_cut(rtype)).collect()
}

/// What an NSEC3 record of a name has to be like.
struct Hashed {
    /// The types that it has to list.
    types: BTreeSet<Rtype>,
    /// It may be left out where opt-out is said: an unsigned delegation, or a name that is there because of such alone
    /// (RFC 5155 §7.1).
    is_insecure: bool,
    /// The first record of the name.
    first: Option<usize>,
}

/// The names that have to be in a chain of NSEC3 records, empty non-terminals among them, in canonical order.
fn hashed_names<'z>(zone: &'z Zone<'_>, standings: &'z [Standing]) -> Vec<(Cow<'z, Name>, Hashed)> {
    let mut empty: BTreeMap<Name, Hashed> = BTreeMap::new();
    let mut names = Vec::with_capacity(zone.owners.len());
    for (owner, standing) in own_names(zone, standings) {
        let is_insecure = standing == Standing::Cut && !owner.has(Rtype::DS);
        let mut above = owner.name.parent();
        while let Some(name) = above.take_if(|name| name.len() > zone.apex.len()) {
            if zone.find(&name).is_some() {
                break;
            }
            above = name.parent();
            let hashed = Hashed { types: BTreeSet::new(), is_insecure: true, first: None };
            empty.entry(name).or_insert(hashed).is_insecure &= is_insecure;
        }
        let hashed = Hashed { types: types_at(owner, standing), is_insecure, first: owner.first() };
        names.push((Cow::Borrowed(owner.name), hashed));
    }
    names.extend(empty.into_iter().map(|(name, hashed)| (Cow::Owned(name), hashed)));
    names
}

/// One NSEC3 record of the chain in use (RFC 5155 §3.2).
struct Link<'a> {
    owner: &'a Name,
    index: usize,
    opt_out: bool,
    next: &'a [u8],
    bitmap: &'a [u8],
}

impl<'a> Link<'a> {
    /// Reads the NSEC3 record with these parameters at an owner just below the apex.
    fn read(apex: &Name, owner: &'a Owner<'a>, parameters: &Parameters) -> Option<(Hash, Self)> {
        let is_one = |rdata: &[u8]| Parameters::read(rdata).as_ref() == Some(parameters);
        let item = owner.get(Rtype::NSEC3).iter().find(|item| is_one(item.rdata))?;
        let hash = hash_of_owner(owner.name).filter(|_| owner.name.parent().as_ref() == Some(apex))?;
        let rest = item.rdata.get(PARAMETER_OCTETS + parameters.salt.len()..)?;
        let (octets, rest) = rest.split_first()?;
        let (next, bitmap) = rest.split_at_checked(usize::from(*octets))?;
        let opt_out = item.rdata[1] & 1 == 1;
        (next.len() == HASH_OCTETS)
            .then_some((hash, Self { owner: owner.name, index: item.index, opt_out, next, bitmap }))
    }
}

/// Compares the types that a record of the chain lists with those that are there.
fn check_types(
    kind: &str,
    shown: &dyn Fn() -> String,
    bitmap: &[u8],
    there: &BTreeSet<Rtype>,
    index: usize,
    faults: &mut Faults,
) {
    let given = types_of(bitmap);
    if given == *there {
        return;
    }
    let message = || {
        let missing = listed(there.difference(&given).copied());
        let surplus = listed(given.difference(there).copied());
        let parts =
            [("lacks", missing), ("has too many of", surplus)].into_iter().filter(|(_, types)| !types.is_empty());
        let parts: Vec<String> = parts.map(|(what, types)| format!("{what} {types}")).collect();
        format!("the {kind} record of {} lists other types than there are: it {}", shown(), parts.join(" and "))
    };
    faults.add(Rule::ChainTypes, Some(index), message);
}

/// The types in a bitmap (RFC 4034 §4.1.2).
fn types_of(mut bitmap: &[u8]) -> BTreeSet<Rtype> {
    let mut types = BTreeSet::new();
    while let [window, octets, rest @ ..] = bitmap {
        let (bits, after) = rest.split_at(rest.len().min(usize::from(*octets)));
        for (at, octet) in bits.iter().enumerate() {
            let set = (0..8u16).filter(|bit| octet & 0x80 >> bit != 0);
            types.extend(set.map(|bit| Rtype::from_int(u16::from(*window) << 8 | (at as u16) << 3 | bit)));
        }
        bitmap = after;
    }
    types
}

/// Octets of NSEC3 rdata before the salt: algorithm, flags, iterations and the salt's length.
const PARAMETER_OCTETS: usize = 5;

/// Hashes that one check may take: some seconds.
const HASHES_MAX: usize = 10_000_000;
