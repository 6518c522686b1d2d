//! The answer, written into the buffer that the query came in.

mod edit;
mod far;
mod taken;

use domain::base::iana::OptRcode;
use domain::base::iana::exterr::ExtendedErrorCode;

use super::HEADER_OCTETS;
use super::options;
use super::query::{Opt, Query, Verdict};
pub use edit::{Flag, RecordAt};
pub use taken::Parked;

/// Records as they are kept ready: each begins with a two-octet pointer to the question's name.
#[derive(Clone, Copy, Debug)]
pub struct Template<'z> {
    /// The records in wire form.
    pub records: &'z [u8],
    /// How many there are.
    pub count: u16,
    /// Octets in `records` at which a pointer to the zone's apex stands, each in host order.
    pub apex_pointers: &'z [[u8; 2]],
}

/// The part of a message that a record goes into, in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Answer section.
    Answer,
    /// Authority section.
    Authority,
    /// Additional section.
    Additional,
}

/// What was to be appended does not fit; nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A message in the making: the question is in place, records are appended section by section.
///
/// Its fields stay in this order, in which those that begin as zero lie together and are set at once.
#[repr(C)]
pub struct Response<'b> {
    buffer: &'b mut [u8],
    len: usize,
    /// Octets that records may reach to; the OPT record has its space behind.
    limit: usize,
    question_end: usize,
    /// Where the options that wait for the end of the message end, in octets of the buffer; each is put before those
    /// that are there.
    options_end: usize,
    options_len: usize,
    counts: [u16; 3],
    /// The response code, 12 bits (RFC 6891 §6.1.3).
    pub rcode: OptRcode,
    /// The answer is authoritative.
    pub authoritative: bool,
    /// Something did not fit.
    pub truncated: bool,
    /// The client wants to know when the zone expires.
    wants_expire: bool,
    /// The length is to tell nothing of what is in it.
    is_padded: bool,
    /// What comes back of the query's flags: opcode and RD, CD.
    echo: [u8; 2],
    opt: Option<Opt>,
}

impl<'b> Response<'b> {
    /// An empty NOERROR answer to `query`, whose message `buffer` begins with.
    ///
    /// `size_max` is what the transport takes, in octets; over UDP the client's own limit counts too.
    pub fn new(buffer: &'b mut [u8], query: &Query, size_max: usize) -> Self {
        let opt = query.edns.map(|edns| edns.fixed());
        let echo = [u8::from(query.recursion_desired), u8::from(query.checking_disabled) << 4];
        let mut response = Self::start(buffer, query.question_end, size_max, opt, echo);
        response.wants_expire = query.edns.is_some_and(|edns| edns.options.expire);
        response
    }

    /// The common part of all constructors.
    fn start(buffer: &'b mut [u8], question_end: usize, size_max: usize, opt: Option<Opt>, echo: [u8; 2]) -> Self {
        let reserved = if opt.is_some() { OPT_OCTETS } else { 0 };
        let limit = size_max.min(buffer.len()).saturating_sub(reserved);
        Self {
            buffer,
            len: question_end,
            limit,
            question_end,
            counts: [0; 3],
            rcode: OptRcode::NOERROR,
            authoritative: false,
            truncated: false,
            opt,
            options_end: limit,
            options_len: 0,
            wants_expire: false,
            is_padded: false,
            echo,
        }
    }

    /// Puts an option into the OPT record, in as many parts as it comes; false if the client sent no OPT record or there
    /// is no space left.
    pub fn add_option(&mut self, code: u16, data: &[&[u8]]) -> bool {
        let length: usize = data.iter().map(|part| part.len()).sum();
        let octets = 4 + length;
        let (true, Some(start)) =
            (self.opt.is_some() && self.fits(octets), (self.options_end - self.options_len).checked_sub(octets))
        else {
            return false;
        };
        let Some(mut room) = self.buffer.get_mut(start..start + octets) else { return false };
        // The length of an OPT record is in 16 bits, and so is that of the message.
        for part in [&code.to_be_bytes()[..], &(length as u16).to_be_bytes()].iter().chain(data) {
            let (this, rest) = room.split_at_mut(part.len());
            this.copy_from_slice(part);
            room = rest;
        }
        self.options_len += octets;
        self.limit -= octets;
        true
    }

    /// Says in the OPT record why the answer is what it is (RFC 8914), if the client sent one.
    pub fn explain(&mut self, code: ExtendedErrorCode) {
        self.add_option(options::EXTENDED_ERROR, &[&code.to_int().to_be_bytes()]);
    }

    /// Tells a secondary that asked for it when the zone expires, in seconds (RFC 7314 §3.2).
    #[inline]
    pub(crate) fn tell_expire(&mut self, seconds: u32) {
        if self.wants_expire {
            self.add_option(options::EXPIRE, &[&seconds.to_be_bytes()]);
        }
    }

    /// Has the finished message filled up to a length that tells little of what is in it (RFC 7830).
    pub(crate) fn pad(&mut self) {
        self.is_padded = true;
    }

    /// Fills the message up to a multiple of [`PADDING_BLOCK`], or as far as there is space (RFC 8467 §4.1).
    #[cold]
    fn put_padding(&mut self) {
        let without = self.finished_len() + PADDING_HEAD;
        let space = (self.limit + OPT_OCTETS + self.options_len).saturating_sub(without);
        let octets = (without.next_multiple_of(PADDING_BLOCK) - without).min(space);
        self.add_option(options::PADDING, &[&[0; PADDING_BLOCK][..octets]]);
    }

    /// Appends an RRset whole. `owner_at` is where its owner's name stands in the message, `apex_at` where the name of
    /// its zone's apex stands (octets from the start of the message).
    ///
    /// A name that pointers do not reach (from 16,384 on; RFC 1035 §4.1.4) is written out with each record. Only where an
    /// apex out of reach is named in rdata, the RRset counts as not fitting.
    pub fn append(
        &mut self,
        section: Section,
        template: Template<'_>,
        owner_at: usize,
        apex_at: usize,
    ) -> Result<(), Full> {
        let start = self.len;
        let end = start + template.records.len();
        let (Some(owner), Some(apex)) = (pointer(owner_at), pointer(apex_at)) else {
            return self.append_far(section, template, owner_at, apex_at);
        };
        if end > self.limit {
            return Err(Full);
        }
        let Some(room) = self.buffer.get_mut(start..end) else {
            return Err(Full);
        };
        copy(room, template.records);
        for &at in template.apex_pointers {
            let at = usize::from(u16::from_ne_bytes(at));
            if let Some(place) = room.get_mut(at..at + 2) {
                place.copy_from_slice(&apex);
            }
        }
        if owner_at != HEADER_OCTETS {
            set_owners(room, owner);
        }
        self.count(section, template.count);
        self.len = end;
        Ok(())
    }

    /// Whether so many octets of records still fit.
    #[inline]
    pub fn fits(&self, octets: usize) -> bool {
        self.len + octets <= self.limit
    }

    /// Appends RRsets whose owner's name stands nowhere in the message: `relative` (labels in wire form) below the apex
    /// at `apex_at`. All or nothing.
    pub fn append_named<'z>(
        &mut self,
        section: Section,
        rrsets: impl Iterator<Item = Template<'z>> + Clone,
        relative: &[u8],
        apex_at: usize,
    ) -> Result<(), Full> {
        let owner_at = if relative.is_empty() { apex_at } else { self.len };
        let octets: usize = rrsets.clone().map(|rrset| rrset.records.len()).sum();
        let Some(apex) = pointer(apex_at) else { return Err(Full) };
        if pointer(owner_at).is_none() {
            return self.append_named_far(section, rrsets, relative, apex);
        }
        if !self.fits(relative.len() + octets) {
            return Err(Full);
        }
        self.write(relative);
        let first_at = self.len;
        for rrset in rrsets {
            self.append(section, rrset, owner_at, apex_at)?;
        }
        // The first record's owner is the name itself: its labels, then the apex.
        if let Some(first) = self.buffer.get_mut(first_at..first_at + 2) {
            first.copy_from_slice(&apex);
        }
        Ok(())
    }

    /// Appends one record with rdata that was made for this answer (synthesized CNAME, CHAOS, whoami).
    ///
    /// `owner` is written as it is: a pointer or a whole name in wire form.
    pub fn append_record(
        &mut self,
        section: Section,
        owner: &[u8],
        rtype: u16,
        class: u16,
        ttl: u32,
        rdata: &[&[u8]],
    ) -> Result<(), Full> {
        let rdata_len: usize = rdata.iter().map(|part| part.len()).sum();
        let end = self.len + owner.len() + 10 + rdata_len;
        if end > self.limit || rdata_len > usize::from(u16::MAX) {
            return Err(Full);
        }
        self.write(owner);
        self.write(&rtype.to_be_bytes());
        self.write(&class.to_be_bytes());
        self.write(&ttl.to_be_bytes());
        self.write(&(rdata_len as u16).to_be_bytes());
        for part in rdata {
            self.write(part);
        }
        self.count(section, 1);
        Ok(())
    }

    /// Takes back all records, flags and the rcode: the state right after [`Response::new`].
    pub fn reset(&mut self) {
        self.len = self.question_end;
        self.counts = [0; 3];
        self.rcode = OptRcode::NOERROR;
        self.authoritative = false;
        self.truncated = false;
    }

    /// Octets written so far: where the next record will stand.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no record has been written yet.
    pub fn is_empty(&self) -> bool {
        self.len == self.question_end
    }

    /// Records in a section so far.
    pub fn records(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Octets that the message will have when it is finished.
    pub fn finished_len(&self) -> usize {
        self.len + if self.opt.is_some() { OPT_OCTETS + self.options_len } else { 0 }
    }

    /// Octets of the message so far.
    pub fn octets(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Whether the name that stands at `at` is `name` (lower-case wire form).
    pub fn name_is(&self, at: usize, name: &[u8]) -> bool {
        let mut rest = name;
        for (_, label) in self.labels(at) {
            match rest.split_at_checked(label.len()) {
                Some((first, after)) if first.eq_ignore_ascii_case(label) => rest = after,
                _ => return false,
            }
        }
        rest == b"\0"
    }

    /// Where the rest of the name that stands at `at` begins after its first `octets` octets, which end with a label.
    pub fn suffix_at(&self, at: usize, octets: usize) -> Option<usize> {
        let mut left = octets;
        let mut end = at;
        for (start, label) in self.labels(at) {
            if left == 0 {
                return Some(start);
            }
            left = left.checked_sub(label.len())?;
            end = start + label.len();
        }
        (left == 0).then_some(end)
    }

    /// The labels of the name that stands at `at`, each with its length octet and its place; pointers are followed.
    pub fn labels(&self, mut at: usize) -> impl Iterator<Item = (usize, &[u8])> {
        // In messages of our making pointers lead backwards to names that end; the bound is for certainty.
        let mut pointers = 0..MAX_POINTERS;
        std::iter::from_fn(move || {
            loop {
                match *self.octets().get(at..)? {
                    [high @ 0xc0..=0xff, low, ..] if pointers.next().is_some() => {
                        at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    }
                    [length @ 1..=63, ..] => {
                        let start = at;
                        at += usize::from(length) + 1;
                        return Some((start, self.octets().get(start..at)?));
                    }
                    _ => return None,
                }
            }
        })
    }

    /// Writes header and OPT record; gives the length of the finished message in octets. That is the end: it is called once.
    ///
    /// It does not take the response by value: what moves is copied, and the copy waits for all that was just written to
    /// it. That was 7 ns of the 86 ns of an answer (2026-11-27, questions in batches of 16, 1,000 names).
    pub fn finish(&mut self) -> usize {
        let code = self.rcode.to_int();
        if self.is_padded {
            self.put_padding();
        }
        if let Some(opt) = self.opt {
            let flags = if opt.dnssec_ok { 0x80 } else { 0 };
            let (size, length) = (opt.size.to_be_bytes(), (self.options_len as u16).to_be_bytes());
            // The options go first: their place may overlap that of the record.
            let options = self.options_end - self.options_len..self.options_end;
            let after = self.len + OPT_OCTETS;
            if self.options_len > 0 && after + self.options_len <= self.buffer.len() {
                self.buffer.copy_within(options, after);
            }
            let fixed = [0, 0, 41, size[0], size[1], (code >> 4) as u8, 0, flags, 0, length[0], length[1]];
            self.write(&fixed);
            self.len += self.options_len;
            self.counts[Section::Additional as usize] += 1;
        }
        // QR, opcode, AA, TC, RD; then RA, Z, AD all clear, CD, rcode.
        let first = 0x80 | u8::from(self.authoritative) << 2 | u8::from(self.truncated) << 1 | self.echo[0];
        let second = self.echo[1] | (code & 0xf) as u8;
        let question = u8::from(self.question_end > HEADER_OCTETS);
        let [answers, authority, additional] = self.counts.map(u16::to_be_bytes);
        let header = [[first, second], [0, question], answers, authority, additional];
        if let Some(room) = self.buffer.get_mut(2..HEADER_OCTETS) {
            room.copy_from_slice(header.as_flattened());
        }
        self.len
    }

    /// Copies octets to the end; the caller has checked that they fit.
    fn write(&mut self, octets: &[u8]) {
        if let Some(room) = self.buffer.get_mut(self.len..self.len + octets.len()) {
            room.copy_from_slice(octets);
            self.len += octets.len();
        }
    }

    /// Counts records into a section; sections are written in order.
    fn count(&mut self, section: Section, records: u16) {
        debug_assert!(self.counts[section as usize + 1..].iter().all(|&later| later == 0));
        self.counts[section as usize] += records;
    }
}

/// Answers a message that was refused: writes over `buffer`, which begins with it, and gives the answer's length in
/// octets; None for silence.
pub fn reject(buffer: &mut [u8], verdict: Verdict) -> Option<usize> {
    let Verdict::Error(refusal) = verdict else { return None };
    // The opcode and RD stay; of the second octet only CD does.
    let echo = [*buffer.get(2)? & 0x79, *buffer.get(3)? & 0x10];
    let mut response =
        Response::start(buffer, usize::from(refusal.question_end), usize::from(u16::MAX), refusal.opt, echo);
    response.rcode = refusal.rcode;
    if refusal.rcode == OptRcode::NOTIMP {
        response.explain(ExtendedErrorCode::NOT_SUPPORTED);
    }
    Some(response.finish())
}

/// Copies octets to a room of their length: without a call if they are as few as one address takes.
#[inline]
fn copy(room: &mut [u8], octets: &[u8]) {
    match (room.as_mut_array::<16>(), octets.as_array::<16>()) {
        (Some(room), Some(octets)) => *room = *octets,
        _ => room.copy_from_slice(octets),
    }
}

/// Sets the owner of every record in `records`, each of which begins with a two-octet pointer.
fn set_owners(records: &mut [u8], owner: [u8; 2]) {
    let mut rest = records;
    while let [first, second, _, _, _, _, _, _, _, _, high, low, after @ ..] = rest {
        [*first, *second] = owner;
        let rdata_len = usize::from(u16::from_be_bytes([*high, *low]));
        rest = after.get_mut(rdata_len..).unwrap_or_default();
    }
}

/// A compression pointer to an octet of the message (RFC 1035 §4.1.4).
fn pointer(at: usize) -> Option<[u8; 2]> {
    (at < 0x4000).then(|| (0xc000 | at as u16).to_be_bytes())
}

/// Pointers that a name is followed through: one for each alias of the longest chain and some to spare.
const MAX_POINTERS: usize = 32;

/// What the lengths of padded answers are multiples of (RFC 8467 §4.1).
const PADDING_BLOCK: usize = 468;

/// Octets of a padding option without padding.
const PADDING_HEAD: usize = 4;

/// Octets of an OPT record without options.
const OPT_OCTETS: usize = 11;
