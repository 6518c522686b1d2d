//! A zone's records by owner and type, as the rules look at them, and where each owner stands.

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::edit::{NodeData, RrsetData};
use crate::{Name, Record, name, types};

/// One owner name and all records there.
pub(super) struct Owner<'a> {
    /// The owner's name.
    pub(super) name: &'a Name,
    /// Its [`name::order_key`].
    pub(super) key: Vec<u8>,
    /// Its RRsets in order of type, none of them empty.
    pub(super) rrsets: Vec<(Rtype, Vec<Item<'a>>)>,
}

/// One record of an [`Owner`].
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    /// What [`super::Fault::record`] shall say.
    pub(super) index: usize,
    /// Time to live; `None` for the server's default.
    pub(super) ttl: Option<u32>,
    /// The rdata.
    pub(super) rdata: &'a Bytes,
}

impl<'a> Owner<'a> {
    /// A node of an edit; the first of its records is number `index`.
    pub(super) fn new(node: &'a NodeData, mut index: usize) -> Self {
        let mut rrsets = Vec::with_capacity(node.rrsets.len());
        for rrset in node.rrsets.iter().filter(|rrset| !rrset.records.is_empty()) {
            let records = rrset.records.iter().enumerate();
            let items = records.map(|(at, (ttl, rdata))| Item { index: index + at, ttl: *ttl, rdata }).collect();
            index += rrset.records.len();
            rrsets.push((rrset.rtype, items));
        }
        Owner { name: &node.owner, key: name::order_key(&node.owner), rrsets }
    }

    /// The records of one type.
    pub(super) fn get(&self, rtype: Rtype) -> &[Item<'a>] {
        self.rrsets.iter().find(|(found, _)| *found == rtype).map_or(&[], |(_, items)| items)
    }

    /// Whether there are records of this type.
    pub(super) fn has(&self, rtype: Rtype) -> bool {
        !self.get(rtype).is_empty()
    }

    /// Whether there is an IPv4 or IPv6 address.
    pub(super) fn has_address(&self) -> bool {
        self.has(Rtype::A) || self.has(Rtype::AAAA)
    }

    /// The types that are there.
    pub(super) fn types(&self) -> impl Iterator<Item = Rtype> {
        self.rrsets.iter().map(|(rtype, _)| *rtype)
    }

    /// The number of the first record.
    pub(super) fn first(&self) -> Option<usize> {
        self.rrsets.first().and_then(|(_, items)| items.first()).map(|item| item.index)
    }

    /// Whether it is a hash rather than a name: nothing but an NSEC3 record with its signature (RFC 5155 §3).
    pub(super) fn is_hash(&self) -> bool {
        self.has(Rtype::NSEC3) && self.types().all(|rtype| matches!(rtype, Rtype::NSEC3 | Rtype::RRSIG))
    }
}

/// What an owner is to its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not in the zone.
    Outside,
    /// Data of the zone.
    Authoritative,
    /// A zone cut: NS records below the apex (RFC 1034 §4.2).
    Cut,
    /// Below the cut with this index: glue, or never served.
    BelowCut(usize),
    /// Below the DNAME with this index: never served (RFC 6672 §2.4).
    BelowDname(usize),
}

/// Where each owner stands; owners are in canonical order, so that what is below a name follows it.
pub(super) fn standings(apex: &Name, owners: &[Owner<'_>]) -> Vec<Standing> {
    let mut turn: Option<(&[u8], Standing)> = None;
    let each = owners.iter().enumerate().map(|(at, owner)| {
        if !owner.name.ends_with(apex) {
            return Standing::Outside;
        }
        if let Some((above, below)) = turn
            && owner.key.starts_with(above)
        {
            // The chain of a zone stands beside its names, not among them.
            let is_beside = owner.is_hash() && matches!(below, Standing::BelowDname(at) if owners[at].name == apex);
            return if is_beside { Standing::Authoritative } else { below };
        }
        let is_cut = owner.name != apex && owner.has(Rtype::NS);
        turn = match is_cut {
            true => Some((&owner.key, Standing::BelowCut(at))),
            false if owner.has(Rtype::DNAME) => Some((&owner.key, Standing::BelowDname(at))),
            false => None,
        };
        if is_cut { Standing::Cut } else { Standing::Authoritative }
    });
    each.collect()
}

/// Groups records by owner and type: owners in canonical order, types by number, rdata in canonical order, duplicates
/// dropped (the first one stays).
pub fn records_to_nodes(records: Vec<Record>) -> Vec<NodeData> {
    let sorted = Sorted::new(&records);
    sorted
        .owners(&records)
        .map(|owner| NodeData {
            owner: owner.name.clone(),
            rrsets: owner
                .rrsets
                .into_iter()
                .map(|(rtype, items)| {
                    let mut keyed: Vec<_> =
                        items.iter().map(|item| (types::canonical_rdata(rtype, item.rdata), item)).collect();
                    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
                    keyed.dedup_by(|(a, _), (b, _)| a == b);
                    RrsetData { rtype, records: keyed.iter().map(|(_, item)| (item.ttl, item.rdata.clone())).collect() }
                })
                .collect(),
        })
        .collect()
}

/// Records in order of owner, type and appearance, by index.
pub(super) struct Sorted(Vec<(Vec<u8>, Rtype, usize)>);

impl Sorted {
    /// Sorts the records' indices.
    pub(super) fn new(records: &[Record]) -> Self {
        let keyed = records.iter().enumerate();
        let mut keys: Vec<_> =
            keyed.map(|(index, record)| (name::order_key(&record.owner), record.rtype, index)).collect();
        keys.sort_unstable();
        Self(keys)
    }

    /// The owners with their RRsets.
    pub(super) fn owners<'a>(&'a self, records: &'a [Record]) -> impl Iterator<Item = Owner<'a>> {
        self.0.chunk_by(|a, b| a.0 == b.0).map(move |node| {
            let rrsets = node.chunk_by(|a, b| a.1 == b.1).map(|rrset| {
                let items = rrset.iter().map(|&(_, _, index)| {
                    let record = &records[index];
                    Item { index, ttl: Some(record.ttl), rdata: &record.rdata }
                });
                (rrset[0].1, items.collect())
            });
            Owner { name: &records[node[0].2].owner, key: node[0].0.clone(), rrsets: rrsets.collect() }
        })
    }
}

/// The first name in rdata.
pub(super) fn target(rtype: Rtype, rdata: &Bytes) -> Option<Name> {
    let at = *types::names_in_rdata(rtype, rdata).first()?;
    Name::from_octets(rdata.slice(at.start..at.start + at.octets)).ok()
}
