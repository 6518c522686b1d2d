//! The writer of zone files.

use std::borrow::Borrow;
use std::io;

use domain::base::iana::Rtype;

use crate::edit::{NodeData, RrsetData};
use crate::{Name, name, types};

/// Prints a zone, an owner at a time: one record a line with owner, TTL, class, type and data, owners relative to the
/// `$ORIGIN` in the first line. Equal data gives equal text.
pub struct Writer<W> {
    /// Where the text goes.
    out: W,
    /// The zone's apex.
    apex: Name,
    /// Printed where a record has no TTL of its own.
    ttl_default: u32,
    /// The current line, kept for its allocation.
    line: String,
}

impl<W: io::Write> Writer<W> {
    /// Begins a zone; `ttl_default` is printed where a record has no TTL of its own.
    pub fn new(out: W, apex: &Name, ttl_default: u32) -> io::Result<Self> {
        let mut writer = Self { out, apex: apex.clone(), ttl_default, line: String::new() };
        writeln!(writer.out, "$ORIGIN {}", name::to_text(apex))?;
        Ok(writer)
    }

    /// Prints the records of one owner. Owners are printed in the order they are given, which should be the canonical
    /// one; RRsets go by number of type, but SOA and NS before all others.
    pub fn node(&mut self, node: &NodeData) -> io::Result<()> {
        let owner = self.owner(&node.owner);
        let mut rrsets: Vec<&RrsetData> = node.rrsets.iter().collect();
        rrsets.sort_by_key(|rrset| match rrset.rtype {
            Rtype::SOA => (0, rrset.rtype),
            Rtype::NS => (1, rrset.rtype),
            other => (2, other),
        });
        for rrset in rrsets {
            let rtype = types::rtype_to_text(rrset.rtype);
            for (ttl, rdata) in &rrset.records {
                let ttl = ttl.unwrap_or(self.ttl_default);
                self.line.clear();
                types::write_rdata(rrset.rtype, rdata, &mut self.line);
                writeln!(self.out, "{owner:<23} {ttl:>6} IN {rtype:<6} {}", self.line)?;
            }
        }
        Ok(())
    }

    /// Ends the zone and gives back where it went.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// An owner relative to the apex; in full if it ends in the apex's name in another case, which is to be kept.
    fn owner(&self, owner: &Name) -> String {
        let (wire, apex) = (owner.as_slice(), self.apex.as_slice());
        if wire == apex {
            return "@".into();
        }
        let full = name::to_text(owner);
        let is_below = owner.ends_with(&self.apex) && wire.ends_with(apex);
        if !is_below || self.apex.is_root() {
            return full;
        }
        let apex = name::to_text(&self.apex);
        match full.strip_suffix(apex.as_str()).and_then(|labels| labels.strip_suffix('.')) {
            Some(labels) => labels.into(),
            None => full,
        }
    }
}

/// Prints a whole zone whose nodes come in canonical order.
pub fn write<N: Borrow<NodeData>>(
    apex: &Name,
    nodes: impl IntoIterator<Item = N>,
    ttl_default: u32,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut writer = Writer::new(out, apex, ttl_default)?;
    for node in nodes {
        writer.node(node.borrow())?;
    }
    writer.finish()?;
    Ok(())
}
