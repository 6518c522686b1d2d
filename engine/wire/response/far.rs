//! Names beyond the reach of compression pointers (RFC 1035 §4.1.4): they are written out where they are needed again.

use super::{Full, Response, Section, Template, pointer};

/// How a name is written again: as a pointer to where it stands, or as what stands there, which may end with one.
pub(crate) struct Again {
    octets: [u8; NAME_MAX + 2],
    len: usize,
}

impl Again {
    /// Part of a name in wire form, and what comes behind it; None if that is more than a name.
    fn new(labels: &[u8], rest: &[u8]) -> Option<Self> {
        let mut again = Self { octets: [0; NAME_MAX + 2], len: labels.len() + rest.len() };
        let (first, second) = again.octets.get_mut(..again.len)?.split_at_mut(labels.len());
        first.copy_from_slice(labels);
        second.copy_from_slice(rest);
        Some(again)
    }

    /// Its octets.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl Response<'_> {
    /// How the name that stands at `at` is written again; None if none stands there.
    pub(crate) fn again(&self, at: usize) -> Option<Again> {
        if let Some(pointer) = pointer(at) {
            return Again::new(&[], &pointer);
        }
        let mut end = at;
        loop {
            match *self.octets().get(end)? {
                length @ 1..=63 => end += usize::from(length) + 1,
                0 => return Again::new(self.octets().get(at..=end)?, &[]),
                _ => return Again::new(self.octets().get(at..end + 2)?, &[]),
            }
        }
    }

    /// [`Response::append`] for names out of reach. What points to an apex that is out of reach does not fit.
    #[cold]
    pub(super) fn append_far(
        &mut self,
        section: Section,
        template: Template<'_>,
        owner_at: usize,
        apex_at: usize,
    ) -> Result<(), Full> {
        let owner = self.again(owner_at).ok_or(Full)?;
        self.append_written_out(section, template, owner.as_slice(), pointer(apex_at))
    }

    /// [`Response::append_named`] where the name itself is going to be out of reach.
    #[cold]
    pub(super) fn append_named_far<'z>(
        &mut self,
        section: Section,
        mut rrsets: impl Iterator<Item = Template<'z>> + Clone,
        relative: &[u8],
        apex: [u8; 2],
    ) -> Result<(), Full> {
        let owner = Again::new(relative, &apex).ok_or(Full)?;
        let octets = rrsets.clone().map(|rrset| written_out(rrset, owner.as_slice())).sum();
        if !self.fits(octets) {
            return Err(Full);
        }
        rrsets.try_for_each(|rrset| self.append_written_out(section, rrset, owner.as_slice(), Some(apex)))
    }

    /// Appends an RRset whole with its owner's name before each record.
    fn append_written_out(
        &mut self,
        section: Section,
        template: Template<'_>,
        owner: &[u8],
        apex: Option<[u8; 2]>,
    ) -> Result<(), Full> {
        let pointers = template.apex_pointers.iter().map(|at| usize::from(u16::from_ne_bytes(*at)));
        if !self.fits(written_out(template, owner)) || apex.is_none() && pointers.len() > 0 {
            return Err(Full);
        }
        let (mut at, mut rest) = (0, template.records);
        while let [_, _, _, _, _, _, _, _, _, _, high, low, after @ ..] = rest {
            let end = at + FIXED + usize::from(u16::from_be_bytes([*high, *low]));
            self.write(owner);
            // The pointer that the record began with is gone.
            let (from, start) = (at + 2, self.len);
            self.write(template.records.get(from..end).unwrap_or_default());
            for place in pointers.clone().filter(|place| (from..end).contains(place)) {
                let place = start + place - from;
                if let (Some(apex), Some(room)) = (apex, self.buffer.get_mut(place..place + 2)) {
                    room.copy_from_slice(&apex);
                }
            }
            rest = after.get(end - at - FIXED..).unwrap_or_default();
            at = end;
        }
        self.count(section, template.count);
        Ok(())
    }
}

/// Octets of an RRset with its owner's name before each record.
fn written_out(template: Template<'_>, owner: &[u8]) -> usize {
    template.records.len() + usize::from(template.count) * owner.len() - usize::from(template.count) * 2
}

/// Octets of a record before its rdata, its owner being a pointer.
const FIXED: usize = 12;

/// Octets of the longest name (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
