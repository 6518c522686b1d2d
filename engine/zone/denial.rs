//! The records of a signed zone that prove what is not there: its NSEC or NSEC3 chain, as it was delivered.

use std::sync::Arc;

use imbl::OrdMap;
use store::edit::{NodeData, RrsetData};
use store::nsec3::{Hash, ITERATIONS_MAX, Parameters, hash_of_owner};
use store::{Rtype, name};

use super::rrset::OwnedRrset;
use crate::wire::QName;

/// The chains of a zone. A copy shares all it can with the original.
#[derive(Clone, Default)]
pub(super) struct Denial {
    /// NSEC RRsets by the order key of their owner.
    nsec: OrdMap<Box<[u8]>, Arc<Proof>>,
    /// NSEC3 RRsets of each set of parameters by the hash in their owner.
    nsec3: Vec<(Parameters, HashedChain)>,
    /// The parameters in use, from the NSEC3PARAM record at the apex (RFC 5155 §4).
    active: Option<Parameters>,
}

/// NSEC3 RRsets by the hash in their owner.
type HashedChain = OrdMap<Hash, Arc<Proof>>;

/// One NSEC or NSEC3 RRset with the name of its owner, which no question has.
pub(super) struct Proof {
    /// The labels of the owner before the apex, in wire form without the root.
    pub(super) relative: Box<[u8]>,
    /// The records.
    pub(super) rrset: OwnedRrset,
}

/// The proofs that one answer needs, each once.
pub(super) struct Proofs<'z> {
    list: [Option<(&'z Proof, usize)>; PROOFS_MAX],
    count: usize,
}

impl Denial {
    /// Whether the zone has a chain to prove with.
    #[inline]
    pub(super) fn is_signed(&self) -> bool {
        self.active.is_some() || !self.nsec.is_empty()
    }

    /// Takes in the new state of a node; `zone` has what [`OwnedRrset::compile`] needs: the apex in lower-case wire form, and
    /// the TTL for records without one.
    pub(super) fn put(&mut self, data: &NodeData, apex: &[u8], default_ttl: u32) {
        let relative = data.owner.as_slice().get(..data.owner.len().saturating_sub(apex.len())).unwrap_or_default();
        let proof = |rrset: &RrsetData| {
            let rrset = OwnedRrset::compile(rrset, &data.rrsets, apex, default_ttl)?;
            Some(Arc::new(Proof { relative: relative.into(), rrset }))
        };
        let is_chained = |rrset: &RrsetData| matches!(rrset.rtype, Rtype::NSEC | Rtype::NSEC3 | Rtype::NSEC3PARAM);
        if self.nsec.is_empty() && self.nsec3.is_empty() && !data.rrsets.iter().any(is_chained) {
            return;
        }
        let rrset_of = |rtype| data.rrsets.iter().find(|rrset| rrset.rtype == rtype);
        let key = name::order_key(&data.owner).into_boxed_slice();
        match rrset_of(Rtype::NSEC).and_then(proof) {
            Some(proof) => drop(self.nsec.insert(key, proof)),
            None => drop(self.nsec.remove(&key)),
        }
        if relative.is_empty() {
            self.active = rrset_of(Rtype::NSEC3PARAM).and_then(|rrset| {
                // RFC 5155 §4.1.2: records with flags are not for servers.
                let of_sha1 = |rdata: &&[u8]| rdata.first_chunk::<2>() == Some(&[1, 0]);
                let mut records = rrset.records.iter().map(|(_, rdata)| &rdata[..]);
                records.find(of_sha1).and_then(usable_parameters)
            });
        }
        if let Some(hash) = hash_of_owner(&data.owner) {
            for (_, chain) in &mut self.nsec3 {
                chain.remove(&hash);
            }
            for rrset in rrset_of(Rtype::NSEC3).into_iter() {
                let parameters = rrset.records.first().and_then(|(_, rdata)| usable_parameters(rdata));
                if let (Some(parameters), Some(proof)) = (parameters, proof(rrset)) {
                    self.chain_of(parameters).insert(hash, proof);
                }
            }
            self.nsec3.retain(|(_, chain)| !chain.is_empty());
        }
    }

    /// The chain of some parameters.
    fn chain_of(&mut self, parameters: Parameters) -> &mut HashedChain {
        let at = self.nsec3.iter().position(|(known, _)| *known == parameters).unwrap_or_else(|| {
            self.nsec3.push((parameters, OrdMap::new()));
            self.nsec3.len() - 1
        });
        &mut self.nsec3[at].1
    }

    /// The chain in use, if it is one of NSEC3.
    fn hashed(&self) -> Option<Hashed<'_>> {
        let active = self.active.as_ref()?;
        let (parameters, chain) = self.nsec3.iter().find(|(parameters, _)| parameters == active)?;
        Some(Hashed { parameters, chain })
    }

    /// Proves that `name` does not exist, nor a wildcard that covers it; the closest encloser has `encloser` labels
    /// (RFC 4035 §3.1.3.2, RFC 5155 §7.2.2).
    pub(super) fn name_error<'z>(&'z self, name: &QName, encloser: usize, apex_at: usize, proofs: &mut Proofs<'z>) {
        match self.hashed() {
            Some(hashed) => {
                let provable = hashed.closest_encloser(name, encloser, apex_at, proofs);
                proofs.add(wildcard(name, provable).and_then(|wildcard| hashed.covering(&wildcard)), apex_at);
            }
            None => {
                proofs.add(self.nsec_at_or_before(name), apex_at);
                proofs.add(wildcard(name, encloser).and_then(|wildcard| self.nsec_at_or_before(&wildcard)), apex_at);
            }
        }
    }

    /// Proves that `name`, which exists, has no data of the asked type (RFC 4035 §3.1.3.1, RFC 5155 §7.2.3, §7.2.4).
    pub(super) fn no_data<'z>(&'z self, name: &QName, apex_at: usize, proofs: &mut Proofs<'z>) {
        match self.hashed() {
            // At an empty non-terminal the record before says that something below it comes next.
            None => proofs.add(self.nsec_at_or_before(name), apex_at),
            Some(hashed) => match hashed.matching(name.as_slice()) {
                Some(proof) => proofs.add(Some(proof), apex_at),
                // Left out by opt-out: what is proved is that the chain leaves it out.
                None => {
                    hashed.closest_encloser(name, name.labels().saturating_sub(1), apex_at, proofs);
                }
            },
        }
    }

    /// Proves that `name` does not exist and that the wildcard below its closest encloser has no data of the asked type
    /// (RFC 4035 §3.1.3.4, RFC 5155 §7.2.5).
    pub(super) fn wildcard_no_data<'z>(
        &'z self,
        name: &QName,
        encloser: usize,
        apex_at: usize,
        proofs: &mut Proofs<'z>,
    ) {
        let wildcard = wildcard(name, encloser);
        match self.hashed() {
            Some(hashed) => {
                hashed.closest_encloser(name, encloser, apex_at, proofs);
                // A wildcard that exists through opted-out delegations alone has no record either.
                if let Some(proof) = wildcard.and_then(|wildcard| hashed.matching(wildcard.as_slice())) {
                    proofs.add(Some(proof), apex_at);
                }
            }
            None => {
                proofs.add(self.nsec_at_or_before(name), apex_at);
                proofs.add(wildcard.and_then(|wildcard| self.nsec_at_or_before(&wildcard)), apex_at);
            }
        }
    }

    /// Proves that `name` does not exist, so that an answer from a wildcard is right (RFC 4035 §3.1.3.3, RFC 5155
    /// §7.2.6).
    pub(super) fn wildcard_answer<'z>(
        &'z self,
        name: &QName,
        encloser: usize,
        apex_at: usize,
        proofs: &mut Proofs<'z>,
    ) {
        match self.hashed() {
            Some(hashed) => {
                let next_closer = QName::from_wire(name.suffix(encloser + 1));
                proofs.add(next_closer.and_then(|next_closer| hashed.covering(&next_closer)), apex_at);
            }
            None => proofs.add(self.nsec_at_or_before(name), apex_at),
        }
    }

    /// The NSEC RRset at `name`, or the one whose gap it lies in.
    fn nsec_at_or_before(&self, name: &QName) -> Option<&Proof> {
        let mut space = [0; 510];
        self.nsec.get_prev(name.order_key(&mut space)).map(|(_, proof)| &**proof)
    }
}

/// A chain of NSEC3 RRsets and how its names are hashed.
struct Hashed<'z> {
    parameters: &'z Parameters,
    chain: &'z HashedChain,
}

impl<'z> Hashed<'z> {
    /// The NSEC3 RRset of a name in lower-case wire form.
    fn matching(&self, name: &[u8]) -> Option<&'z Proof> {
        self.chain.get(&self.parameters.hash(name)).map(|proof| &**proof)
    }

    /// The NSEC3 RRset in whose gap the hash of a name lies; the chain is a ring.
    fn covering(&self, name: &QName) -> Option<&'z Proof> {
        let hash = self.parameters.hash(name.as_slice());
        let before = self.chain.get_prev(&hash).or_else(|| self.chain.get_max().map(|(hash, proof)| (hash, proof)));
        before.map(|(_, proof)| &**proof)
    }

    /// The closest encloser proof (RFC 5155 §7.2.1): an encloser exists, the name one label below it does not. An
    /// encloser that exists through opted-out delegations alone is passed over for the closest one that has a record, the
    /// closest provable encloser; gives its labels.
    fn closest_encloser(&self, name: &QName, encloser: usize, apex_at: usize, proofs: &mut Proofs<'z>) -> usize {
        let matching = |labels| self.matching(name.suffix(labels)).map(|proof| (labels, proof));
        let Some((provable, proof)) = (0..=encloser).rev().find_map(matching) else {
            proofs.add(None, apex_at);
            return encloser;
        };
        proofs.add(Some(proof), apex_at);
        let next_closer = QName::from_wire(name.suffix(provable + 1));
        proofs.add(next_closer.and_then(|next_closer| self.covering(&next_closer)), apex_at);
        provable
    }
}

/// The parameters in the rdata of an NSEC3 or NSEC3PARAM record, unless they would make answers too dear.
fn usable_parameters(rdata: &[u8]) -> Option<Parameters> {
    Parameters::read(rdata).filter(|parameters| parameters.iterations <= ITERATIONS_MAX)
}

impl<'z> Proofs<'z> {
    /// No proofs yet.
    pub(super) fn new() -> Self {
        Self { list: [None; PROOFS_MAX], count: 0 }
    }

    /// Adds a proof from a zone whose apex stands at `apex_at` in the message, unless it is there already.
    fn add(&mut self, proof: Option<&'z Proof>, apex_at: usize) {
        // A zone that is not signed as it should be gives what it has.
        let Some(proof) = proof else { return };
        if self.iter().any(|(known, _)| std::ptr::eq(known, proof)) {
            return;
        }
        if let Some(place) = self.list.get_mut(self.count) {
            *place = Some((proof, apex_at));
            self.count += 1;
        }
    }

    /// The proofs in the order in which they were found, each with the place of its zone's apex.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'z Proof, usize)> {
        self.list.iter().take(self.count).flatten().copied()
    }
}

/// The wildcard below the last `labels` labels of a name.
fn wildcard(name: &QName, labels: usize) -> Option<QName> {
    name.wildcard(labels, &mut [0; 255]).and_then(QName::from_wire)
}

/// Proofs in one answer: one for each wildcard in a chain of aliases, and four at its end.
const PROOFS_MAX: usize = 20;
