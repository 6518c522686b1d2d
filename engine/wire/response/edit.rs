//! What plugins change in an answer that is already written: flags, sizes, sections, and the order of records.

use domain::base::iana::Rtype;

use super::{OPT_OCTETS, Response, Section};
use crate::wire::QName;
use crate::wire::received::AD;

/// A flag of the header that an operator may set or clear (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// AA: the answer is authoritative.
    Authoritative,
    /// RA: the server recurses.
    RecursionAvailable,
    /// RD: the client wants recursion.
    RecursionDesired,
}

/// Where a record stands in the message, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// Its first octet.
    pub start: usize,
    /// The octet at which its owner's name stands: that of a pointer's target if the owner is only a pointer.
    pub owner_at: usize,
    /// Its type.
    pub rtype: Rtype,
    /// Its rdata's first octet.
    pub rdata_at: usize,
    /// The octet behind it.
    pub end: usize,
}

impl Response<'_> {
    /// Whether a flag is set in the answer.
    pub fn flag(&self, flag: Flag) -> bool {
        match flag {
            Flag::Authoritative => self.authoritative,
            Flag::RecursionAvailable => self.echo[1] & RA != 0,
            Flag::RecursionDesired => self.echo[0] & RD != 0,
        }
    }

    /// Whether AD is set in the answer: a server that was asked has verified it (RFC 4035 §3.2.3).
    pub fn authentic_data(&self) -> bool {
        self.echo[1] & AD != 0
    }

    /// Sets or clears a flag of the answer.
    pub fn set_flag(&mut self, flag: Flag, on: bool) {
        match flag {
            Flag::Authoritative => self.authoritative = on,
            Flag::RecursionAvailable => self.echo[1] = self.echo[1] & !RA | if on { RA } else { 0 },
            Flag::RecursionDesired => self.echo[0] = u8::from(on),
        }
    }

    /// Sets or clears a flag of the query in the buffer, as a plugin that sends it on will find it. RD is echoed
    /// (RFC 1035 §4.1.1), so it changes in the answer too.
    pub fn set_query_flag(&mut self, flag: Flag, on: bool) {
        let (octet, bit) = match flag {
            Flag::Authoritative => (2, AA),
            Flag::RecursionDesired => (2, RD),
            Flag::RecursionAvailable => (3, RA),
        };
        if let Some(octet) = self.buffer.get_mut(octet) {
            *octet = *octet & !bit | if on { bit } else { 0 };
        }
        if flag == Flag::RecursionDesired {
            self.set_flag(flag, on);
        }
    }

    /// Lowers the EDNS size of the client, which its OPT record gets back, and the space of the answer with it if
    /// `limited`. It is never raised, and without EDNS there is nothing to lower.
    pub fn lower_payload_size(&mut self, octets: u16, limited: bool) {
        let Some(opt) = self.opt.as_mut().filter(|opt| opt.size > octets) else { return };
        opt.size = octets;
        if limited {
            self.limit = self.limit.min(usize::from(octets).saturating_sub(OPT_OCTETS + self.options_len));
        }
    }

    /// Takes the authority and additional sections away.
    pub fn keep_answer_section(&mut self) {
        self.len = self.walk(Section::Answer).last().map_or(self.question_end, |record| record.end);
        self.counts[Section::Authority as usize] = 0;
        self.counts[Section::Additional as usize] = 0;
    }

    /// The records of a section in their order.
    pub fn walk(&self, section: Section) -> impl Iterator<Item = RecordAt> {
        let before: u16 = self.counts[..section as usize].iter().sum();
        self.walk_all().skip(before.into()).take(self.records(section).into())
    }

    /// The name that stands at an octet, in lower case.
    pub fn name_at(&self, at: usize) -> Option<QName> {
        let mut wire = [0; 255];
        let mut len = 0;
        for (_, label) in self.labels(at) {
            wire.get_mut(len..len + label.len())?.copy_from_slice(label);
            len += label.len();
        }
        QName::from_wire(wire.get(..len + 1)?)
    }

    /// The rdata of a record.
    pub fn rdata(&self, record: RecordAt) -> &[u8] {
        self.buffer.get(record.rdata_at..record.end).unwrap_or_default()
    }

    /// Exchanges the rdata of two records; they have to be equally long and without names, else nothing happens.
    pub fn swap_rdata(&mut self, one: RecordAt, other: RecordAt) {
        let (first, second) = if one.start < other.start { (one, other) } else { (other, one) };
        let octets = first.end - first.rdata_at;
        if first.start == second.start || octets != second.end - second.rdata_at {
            return;
        }
        if let Some((head, tail)) = self.buffer.split_at_mut_checked(second.rdata_at)
            && let (Some(one), Some(other)) = (head.get_mut(first.rdata_at..first.end), tail.get_mut(..octets))
        {
            one.swap_with_slice(other);
        }
    }

    /// Moves `record` in front of the records that begin at `to`, and mends the pointers that lead to what has moved.
    /// False, and nothing is moved, if a pointer would then lead forward.
    pub fn move_before(&mut self, to: usize, record: RecordAt) -> bool {
        let moved = to..record.end;
        let forward = |&(at, target): &(usize, usize)| moved.contains(&at) && moved.contains(&target);
        if self.pointers().any(|pointer| forward(&pointer)) {
            return false;
        }
        let octets = record.end - record.start;
        let mut from = record.end;
        // Pointers into what moves stand behind it, so none of them changes its place while they are mended.
        loop {
            let next = self.pointers().find(|&(at, _)| at >= from);
            let Some((at, target)) = next else { break };
            from = at + 2;
            let target = match target {
                target if target >= record.start && target < record.end => target - (record.start - to),
                target if target >= to && target < record.start => target + octets,
                _ => continue,
            };
            if let (Some(room), Some(pointer)) = (self.buffer.get_mut(at..at + 2), super::pointer(target)) {
                room.copy_from_slice(&pointer);
            }
        }
        if let Some(room) = self.buffer.get_mut(moved) {
            room.rotate_right(octets);
        }
        true
    }

    /// All records in their order.
    fn walk_all(&self) -> impl Iterator<Item = RecordAt> {
        let mut at = self.question_end;
        std::iter::from_fn(move || {
            let record = self.record_at(at)?;
            at = record.end;
            Some(record)
        })
    }

    /// The record that begins at an octet; None at the end of the message.
    pub fn record_at(&self, start: usize) -> Option<RecordAt> {
        let (name_end, pointer) = self.name_end(start)?;
        let fixed = self.octets().get(name_end..name_end + 10)?;
        let rdata_at = name_end + 10;
        let end = rdata_at + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let owner_at = pointer.filter(|_| name_end == start + 2).unwrap_or(start);
        let rtype = Rtype::from_int(u16::from_be_bytes([fixed[0], fixed[1]]));
        (end <= self.len).then_some(RecordAt { start, owner_at, rtype, rdata_at, end })
    }

    /// Where the name that stands at `at` ends, and what its pointer leads to if it ends with one.
    fn name_end(&self, mut at: usize) -> Option<(usize, Option<usize>)> {
        loop {
            match *self.octets().get(at..)? {
                [0, ..] => return Some((at + 1, None)),
                [high @ 0xc0..=0xff, low, ..] => {
                    return Some((at + 2, Some(usize::from(u16::from_be_bytes([high & 0x3f, low])))));
                }
                [length @ 1..=63, ..] => at += usize::from(length) + 1,
                _ => return None,
            }
        }
    }

    /// All pointers of owners, and of names in rdata of the types that may be compressed (RFC 3597 §4): where each
    /// stands and where it leads to.
    fn pointers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.walk_all().flat_map(move |record| {
            let first = match record.rtype {
                Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::SOA | Rtype::DNAME => Some(record.rdata_at),
                Rtype::MX => Some(record.rdata_at + 2),
                Rtype::SRV => Some(record.rdata_at + 6),
                _ => None,
            };
            // An SOA has a second name behind the first.
            let second = first.filter(|_| record.rtype == Rtype::SOA).and_then(|at| Some(self.name_end(at)?.0));
            let names = [Some(record.start), first, second];
            names.into_iter().flatten().filter_map(move |at| {
                let (end, target) = self.name_end(at)?;
                Some((end - 2, target?))
            })
        })
    }
}

/// AA in the third octet of the header.
const AA: u8 = 0x04;

/// RD in the third octet of the header.
const RD: u8 = 0x01;

/// RA in the fourth octet of the header.
const RA: u8 = 0x80;
