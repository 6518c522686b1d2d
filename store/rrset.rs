//! An RRset that is replaced: records that stay keep their rows, the others come and go.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::edit::EditError;
use crate::stage::{Stage, check, check_type};
use crate::tables::Placed;
use crate::{Name, Row, name, serial, types};

/// The RRset as it is to be.
pub(crate) struct NewRrset<'a> {
    /// Apex of the zone.
    pub(crate) apex: &'a Name,
    /// The owner name.
    pub(crate) owner: &'a Name,
    /// The type.
    pub(crate) rtype: Rtype,
    /// Seconds, or `None` for the default of who serves it.
    pub(crate) ttl: Option<u32>,
    /// The rdata of each record.
    pub(crate) rdata: Vec<Bytes>,
}

impl Stage<'_> {
    /// Makes an RRset hold exactly these records.
    pub(crate) fn set_rrset(&mut self, op: usize, new: NewRrset<'_>) -> Result<(), EditError> {
        let NewRrset { owner, rtype, ttl, .. } = new;
        check_type(op, rtype)?;
        for rdata in &new.rdata {
            check(op, new.apex, owner, ttl.unwrap_or_default(), rtype, rdata)?;
        }
        let (view, now) = (self.view, self.now);
        let owner_key = name::order_key(owner);
        let zone = self.zone(op, new.apex)?;
        let apex = zone.apex.clone();
        if rtype == Rtype::SOA {
            zone.brought = new.rdata.first().and_then(|rdata| serial::of_soa(rdata)).filter(|serial| *serial != 0);
        }
        let node = zone.node(view, &owner_key)?;
        node.op = Some(op);
        // What zonda made itself goes when the zone is completed.
        let is_replaced = |placed: &mut Placed| placed.row.rtype == rtype && !placed.row.generated;
        let old = node.after.extract_if(.., is_replaced);
        let mut old: HashMap<_, _> = old.map(|placed| (canonical(rtype, &placed.row.rdata), placed)).collect();
        let mut seen = HashSet::with_capacity(new.rdata.len());
        let mut after = Vec::with_capacity(new.rdata.len());
        for rdata in new.rdata {
            let canonical = canonical(rtype, &rdata);
            let same = old.remove(&canonical);
            // No record is there twice (RFC 2181 §5). A second SOA is not dropped but refused by the rules.
            if !seen.insert(canonical) && rtype != Rtype::SOA {
                continue;
            }
            after.push(match same {
                Some(same) if same.row.ttl == ttl && same.row.rdata == rdata => same,
                Some(Placed { place, row }) => {
                    let written = row.written.filter(|_| row.rdata == rdata);
                    Placed { place, row: Row { ttl, rdata, written, updated: now, ..row } }
                }
                None => {
                    let (id, place) = (self.draw()?, self.place());
                    let (zone, owner) = (apex.clone(), owner.clone());
                    let (written, generated, created, updated) = (None, false, now, now);
                    Placed {
                        place,
                        row: Row { id, zone, owner, rtype, ttl, rdata, written, generated, created, updated },
                    }
                }
            });
        }
        self.zone(op, &apex)?.node(view, &owner_key)?.after.append(&mut after);
        Ok(())
    }
}

/// What makes two records one; there is one SOA, whatever is in it.
fn canonical(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    match rtype {
        Rtype::SOA => Vec::new(),
        _ => types::canonical_rdata(rtype, rdata).into_owned(),
    }
}
