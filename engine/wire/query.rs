//! One message from outside, judged once: what may be answered, what is refused and how (design: limits and bad input).

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::{Message, ParsedName, ToName};
use domain::dep::octseq::Parser;

use super::options::Options;
use super::{HEADER_OCTETS, QName};

/// A query with exactly one question, whole and well formed.
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
    /// An error of these 12 octets alone: the question cannot be echoed.
    Header(Rcode),
    /// An error with the question, which ends at this octet.
    Question(Rcode, usize),
    /// A question for a type that is none (OPT, TSIG), which ends at this octet, in a message that is sound otherwise:
    /// FORMERR, with an OPT record if the client sent one (RFC 6891 §6.1.1).
    NoType(usize, Option<Edns>),
    /// EDNS of a version we do not speak: BADVERS with an OPT of version 0 (RFC 6891 §6.1.3).
    BadVersion {
        /// Octets up to the end of the question.
        question_end: usize,
    },
}

impl Query {
    /// Reads a message of at most 65,535 octets.
    pub fn read(octets: &[u8]) -> Result<Self, Verdict> {
        let message = Message::from_octets(octets).map_err(|_| Verdict::Silence)?;
        let header = message.header();
        if header.qr() {
            return Err(Verdict::Silence);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(Verdict::Header(Rcode::NOTIMP));
        }
        let counts = message.header_counts();
        if counts.qdcount() != 1 || counts.ancount() > 1 || counts.nscount() > 1 || counts.arcount() > 2 {
            return Err(Verdict::Header(Rcode::FORMERR));
        }
        let mut section = message.question();
        let question = section.next().and_then(Result::ok).ok_or(Verdict::Header(Rcode::FORMERR))?;
        let question_end = section.pos();
        let qname = question.qname();
        // A name that is split or moved by a pointer is no name of a question: its octets would not be the ones that
        // stand between the header and the type.
        let name = match qname.as_flat_slice() {
            Some(flat) if flat.len() + HEADER_OCTETS + 4 == question_end => QName::from_wire(flat),
            _ => None,
        }
        .ok_or(Verdict::Header(Rcode::FORMERR))?;

        let malformed = Verdict::Question(Rcode::FORMERR, question_end);
        let mut parser = Parser::from_ref(octets);
        parser.advance(question_end).map_err(|_| malformed)?;
        let mut edns = None;
        for record in 0..counts.ancount() + counts.nscount() + counts.arcount() {
            let additional = record >= counts.ancount() + counts.nscount();
            match skip_record(&mut parser).ok_or(malformed)? {
                Some(opt) if additional && edns.is_none() => edns = Some(opt),
                // RFC 6891 §6.1.1: a second OPT, or one outside the additional section, is FORMERR.
                Some(_) => return Err(malformed),
                None => {}
            }
        }
        if parser.remaining() != 0 {
            return Err(malformed);
        }
        let edns = match edns {
            Some(RawOpt { version: 1.., .. }) => return Err(Verdict::BadVersion { question_end }),
            Some(opt) => Some(Edns { payload_size: opt.size.max(512), dnssec_ok: opt.dnssec_ok, options: opt.options }),
            None => None,
        };
        if matches!(question.qtype(), Rtype::OPT | Rtype::TSIG) {
            return Err(Verdict::NoType(question_end, edns));
        }
        Ok(Self {
            id: header.id(),
            recursion_desired: header.rd(),
            checking_disabled: header.cd(),
            authentic_data: header.ad(),
            name,
            qtype: question.qtype(),
            qclass: question.qclass(),
            question_end,
            size: octets.len(),
            edns,
        })
    }
}

/// An OPT record before its version is judged.
struct RawOpt {
    size: u16,
    version: u8,
    dnssec_ok: bool,
    options: Options,
}

/// Steps over one record; its contents if it is an OPT. None if it is malformed.
fn skip_record(parser: &mut Parser<'_, [u8]>) -> Option<Option<RawOpt>> {
    let owner_at = parser.pos();
    ParsedName::skip(parser).ok()?;
    let owner_octets = parser.pos() - owner_at;
    let rtype = Rtype::from_int(parser.parse_u16_be().ok()?);
    let class = parser.parse_u16_be().ok()?;
    let ttl = parser.parse_u32_be().ok()?;
    let rdata_len = usize::from(parser.parse_u16_be().ok()?);
    let rdata = parser.parse_octets(rdata_len).ok()?;
    if rtype != Rtype::OPT {
        return Some(None);
    }
    // The root is one octet (RFC 6891 §6.1.2); anything longer is another name or a pointer.
    if owner_octets != 1 {
        return None;
    }
    let options = Options::read(rdata)?;
    Some(Some(RawOpt { size: class, version: (ttl >> 16) as u8, dnssec_ok: ttl & 0x8000 != 0, options }))
}
