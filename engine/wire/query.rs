//! One message from outside, judged once: what may be answered, what is refused and how (design: limits and bad input).

use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::{HeaderCounts, Message, ParsedName};
use domain::dep::octseq::Parser;

use super::options::Options;
use super::{HEADER_OCTETS, QName};

/// A query with exactly one question, whole and well formed.
#[derive(Clone)]
pub struct Query {
    /// The message id, echoed in the answer.
    pub id: u16,
    /// Recursion desired, echoed (RFC 1035 §4.1.1).
    pub recursion_desired: bool,
    /// Checking disabled, echoed (RFC 4035 §3.1.6).
    pub checking_disabled: bool,
    /// Authentic data as the client set it (RFC 6840 §5.7); never echoed.
    pub authentic_data: bool,
    /// The question's name, lower case.
    pub name: QName,
    /// The question's type.
    pub qtype: Rtype,
    /// The question's class.
    pub qclass: Class,
    /// Octets up to the end of the question.
    pub question_end: usize,
    /// Octets of the whole message.
    pub size: usize,
    /// The client's EDNS, if it spoke any.
    pub edns: Option<Edns>,
}

/// What a client said in its OPT record (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Octets that the client takes over UDP, never below 512 (RFC 6891 §6.2.3).
    pub payload_size: u16,
    /// The client wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// What else it asks for.
    pub options: Options,
}

/// What becomes of a message that is no query to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is sent: it is too short to be a message, or it is a response.
    Silence,
    /// An error is sent.
    Error(Refusal),
}

/// An error that answers a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub(super) rcode: OptRcode,
    /// Octets of the message that come back: up to the end of the question, or the header where it cannot be echoed.
    pub(super) question_end: u16,
    /// The client's OPT record, which is answered with one of ours (RFC 6891 §6.1.1).
    pub(super) opt: Option<Opt>,
}

/// The fixed part of an OPT record of version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    /// Octets that are taken over UDP.
    pub(super) size: u16,
    /// DNSSEC records are wanted (RFC 3225).
    pub(super) dnssec_ok: bool,
}

impl Query {
    /// A question for the root that nobody asked: memory for [`Query::read_into`].
    pub const BLANK: Self = Self {
        id: 0,
        recursion_desired: false,
        checking_disabled: false,
        authentic_data: false,
        name: QName::ROOT,
        qtype: Rtype::from_int(0),
        qclass: Class::IN,
        question_end: HEADER_OCTETS + 5,
        size: 0,
        edns: None,
    };

    /// Reads a message of at most 65,535 octets.
    pub fn read(octets: &[u8]) -> Result<Self, Verdict> {
        let mut query = Self::BLANK;
        query.read_into(octets).map(|()| query)
    }

    /// Becomes the query in a message of at most 65,535 octets: as [`Query::read`], but in memory that is there already.
    /// After an error it is no query.
    #[inline]
    pub fn read_into(&mut self, octets: &[u8]) -> Result<(), Verdict> {
        let message = Message::from_octets(octets).map_err(|_| Verdict::Silence)?;
        let header = message.header();
        if header.qr() {
            return Err(Verdict::Silence);
        }
        self.id = header.id();
        self.recursion_desired = header.rd();
        self.checking_disabled = header.cd();
        self.authentic_data = header.ad();
        self.size = octets.len();
        let counts = message.header_counts();
        if header.opcode() != Opcode::QUERY {
            return Err(not_implemented(octets, counts));
        }
        let no_question = || refuse(OptRcode::FORMERR, HEADER_OCTETS, None);
        if counts.qdcount() != 1 || counts.ancount() > 1 || counts.nscount() > 1 || counts.arcount() > 2 {
            return Err(no_question());
        }
        // A name that is split or moved by a pointer is no name of a question: its octets would not be the ones that
        // stand between the header and the type.
        let behind = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let name_octets = self.name.read(behind).ok_or_else(no_question)?;
        let question_end = HEADER_OCTETS + name_octets + 4;
        let Some(&[a, b, c, d]) = behind.get(name_octets..).and_then(<[u8]>::first_chunk::<4>) else {
            return Err(no_question());
        };
        self.qtype = Rtype::from_int(u16::from_be_bytes([a, b]));
        self.qclass = Class::from_int(u16::from_be_bytes([c, d]));
        self.question_end = question_end;

        let malformed = |opt: Option<RawOpt<'_>>| refuse(OptRcode::FORMERR, question_end, opt.map(|opt| opt.fixed));
        let opt = match counts.ancount() + counts.nscount() + counts.arcount() {
            0 if question_end == octets.len() => None,
            _ => records_opt(octets, question_end, counts).map_err(malformed)?,
        };
        match opt {
            None => self.edns = None,
            Some(RawOpt { version: 0, fixed, rdata }) => {
                let Some(options) = Options::read(rdata) else { return Err(malformed(opt)) };
                self.edns = Some(Edns { payload_size: fixed.size, dnssec_ok: fixed.dnssec_ok, options });
            }
            Some(opt) => return Err(refuse(OptRcode::BADVERS, question_end, Some(opt.fixed))),
        }
        // These are types of records that messages are made with, never of data (RFC 6891 §6.1.1, RFC 8945 §4.2).
        if matches!(self.qtype, Rtype::OPT | Rtype::TSIG) {
            return Err(malformed(opt));
        }
        Ok(())
    }
}

/// Steps over the records behind the question, which end with the message; gives the OPT record of the additional section.
/// If they are malformed, the error is the OPT record that was seen before, for the answer.
#[inline]
fn records_opt<'m>(
    octets: &'m [u8],
    question_end: usize,
    counts: HeaderCounts,
) -> Result<Option<RawOpt<'m>>, Option<RawOpt<'m>>> {
    let mut at = question_end;
    let mut opt: Option<RawOpt<'_>> = None;
    // RFC 6891 §6.1.1: an OPT outside the additional section is FORMERR, and so is a second one.
    for _ in 0..counts.ancount() + counts.nscount() {
        let Some(None) = skip_record(octets, &mut at) else { return Err(None) };
    }
    for _ in 0..counts.arcount() {
        match skip_record(octets, &mut at) {
            Some(None) => {}
            Some(found) if opt.is_none() => opt = found,
            Some(_) => return Err(None),
            None => return Err(opt),
        }
    }
    if at == octets.len() { Ok(opt) } else { Err(opt) }
}

/// An OPT record before it is judged.
#[derive(Clone, Copy)]
struct RawOpt<'m> {
    version: u8,
    /// What is answered of it, whatever its version.
    fixed: Opt,
    /// Its options, which nobody has read yet.
    rdata: &'m [u8],
}

impl Edns {
    /// What an OPT record of ours has of it: size and DO bit, whatever the version (RFC 3225 §3).
    pub(super) fn fixed(&self) -> Opt {
        Opt { size: self.payload_size, dnssec_ok: self.dnssec_ok }
    }
}

/// An error with so much of the message.
#[cold]
fn refuse(rcode: OptRcode, question_end: usize, opt: Option<Opt>) -> Verdict {
    // A header and a name end far below 65,536.
    Verdict::Error(Refusal { rcode, question_end: question_end as u16, opt })
}

/// The verdict on a message of another opcode than QUERY. Its sections may be anything; whether there is an OPT record
/// among them is looked for all the same, and a version that we do not speak comes first (RFC 6891 §6.1.3).
#[cold]
fn not_implemented(octets: &[u8], counts: HeaderCounts) -> Verdict {
    let opt = find_opt(octets, counts);
    let rcode = match &opt {
        Some(opt) if opt.version > 0 => OptRcode::BADVERS,
        _ => OptRcode::NOTIMP,
    };
    refuse(rcode, HEADER_OCTETS, opt.map(|opt| opt.fixed))
}

/// The first OPT record of the additional section; None if something before it is malformed.
fn find_opt(octets: &[u8], counts: HeaderCounts) -> Option<RawOpt<'_>> {
    let mut at = HEADER_OCTETS;
    for _ in 0..counts.qdcount() {
        at = name_end(octets, at)? + 4;
    }
    for _ in 0..u32::from(counts.ancount()) + u32::from(counts.nscount()) {
        skip_record(octets, &mut at)?;
    }
    (0..counts.arcount()).map_while(|_| skip_record(octets, &mut at)).find_map(|opt| opt)
}

/// Steps over the record at `at`; its contents if it is an OPT. None if it is malformed.
#[inline]
fn skip_record<'m>(octets: &'m [u8], at: &mut usize) -> Option<Option<RawOpt<'m>>> {
    // The root, which owns OPT (RFC 6891 §6.1.2), is one octet; anything longer is another name or a pointer.
    let is_root = octets.get(*at) == Some(&0);
    let fixed_at = if is_root { *at + 1 } else { name_end(octets, *at)? };
    let (&[a, b, c, d, _, version, flags, _, e, f], behind) = octets.get(fixed_at..)?.split_first_chunk::<10>()?;
    let rdata = behind.get(..usize::from(u16::from_be_bytes([e, f])))?;
    *at = fixed_at + 10 + rdata.len();
    if u16::from_be_bytes([a, b]) != Rtype::OPT.to_int() {
        return Some(None);
    }
    if !is_root {
        return None;
    }
    let fixed = Opt { size: u16::from_be_bytes([c, d]).max(512), dnssec_ok: flags & 0x80 != 0 };
    Some(Some(RawOpt { version, fixed, rdata }))
}

/// Where the name at `at` ends; None if it is none.
#[cold]
fn name_end(octets: &[u8], at: usize) -> Option<usize> {
    let mut parser = Parser::from_ref(octets);
    parser.advance(at).ok()?;
    ParsedName::skip(&mut parser).ok()?;
    Some(parser.pos())
}
