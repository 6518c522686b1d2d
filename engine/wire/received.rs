//! The answer of another server, judged once, and the message that asks for it.

use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::rdata::ParseAnyRecordData;
use domain::base::{Message, ParsedName};
use domain::dep::octseq::Parser;
use domain::rdata::AllRecordData;

use super::{HEADER_OCTETS, QName, Query, Response};

/// An answer that another server gave to the question of a [`Query`]: whole and well formed, without the records that
/// belong to the exchange with that server alone (OPT, TSIG, SIG(0)).
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    octets: Box<[u8]>,
    /// Where the question ends, and behind it each section.
    ends: [usize; 4],
    /// Records in each section.
    counts: [u16; 3],
    /// The response code with its upper bits from the OPT record (RFC 6891 §6.1.3).
    pub rcode: OptRcode,
    /// Octets in which the TTL of each record stands.
    ttls: Box<[u16]>,
}

impl Received {
    /// Reads a message; None if it is not an answer to this question under this id.
    pub fn read(octets: Vec<u8>, id: u16, query: &Query) -> Option<Self> {
        let message = Message::from_octets(&octets[..]).ok()?;
        let (header, counts) = (message.header(), message.header_counts());
        if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
            return None;
        }
        let question_end = match counts.qdcount() {
            1 if asks(&octets, query) => query.question_end,
            // Servers that cannot read a question do not send it back.
            0 if counts.arcount() == 0 && counts.ancount() == 0 && counts.nscount() == 0 => {
                return Self::without_question(octets, query);
            }
            _ => return None,
        };
        if header.tc() {
            // Whatever is there is not all of it, and may be cut off anywhere.
            return Some(Self::without_records(octets, query, header.rcode().into()));
        }
        let mut names = Names::new(&octets);
        names.pass(HEADER_OCTETS)?;
        let mut at = question_end;
        let mut received = Self {
            ends: [question_end; 4],
            counts: [counts.ancount(), counts.nscount(), counts.arcount()],
            rcode: message.opt_rcode(),
            ttls: Box::default(),
            octets: Box::default(),
        };
        let mut ttls = Vec::new();
        for section in 0..3 {
            for record in 0..received.counts[section] {
                let start = at;
                let Record { rtype, class, ttl_at, rdata_at, end } = names.record(start)?;
                at = end;
                ttls.push(ttl_at);
                let ours_alone = matches!(rtype, Rtype::OPT | Rtype::TSIG) || rtype.to_int() == SIG;
                match ours_alone {
                    true if section < 2 => return None,
                    // Pointers of what stands behind would lead astray without it, and nothing there is needed.
                    true => {
                        ttls.pop();
                        received.counts[2] = record;
                        received.ends[3] = start;
                        received.ttls = ttls.into();
                        received.octets = octets.into();
                        return Some(received);
                    }
                    false if class != query.qclass && query.qclass != Class::ANY => return None,
                    // What others get to see is what they can read.
                    false => names.rdata(rtype, rdata_at, end)?,
                }
            }
            received.ends[section + 1] = at;
        }
        received.ttls = ttls.into();
        received.octets = octets.into();
        Some(received)
    }

    /// An error that came as a header alone.
    fn without_question(octets: Vec<u8>, query: &Query) -> Option<Self> {
        let rcode = OptRcode::masked_from_int(u16::from(*octets.get(3)? & 0xf));
        let is_error = !matches!(rcode, OptRcode::NOERROR | OptRcode::NXDOMAIN);
        is_error.then(|| Self::without_records(octets, query, rcode))
    }

    /// What its header and question say.
    fn without_records(mut octets: Vec<u8>, query: &Query, rcode: OptRcode) -> Self {
        octets.resize(query.question_end, 0);
        Self { octets: octets.into(), ends: [query.question_end; 4], counts: [0; 3], rcode, ttls: Box::default() }
    }

    /// Whether the server could not send all of it.
    pub fn is_truncated(&self) -> bool {
        self.octets[2] & TC != 0
    }

    /// AA: the server has authority.
    pub fn is_authoritative(&self) -> bool {
        self.octets[2] & AA != 0
    }

    /// RA and AD as they came.
    pub(super) fn flags(&self) -> u8 {
        self.octets[3] & (RA | AD)
    }

    /// The records of the first `sections` sections, and how many each of them has.
    pub(super) fn records(&self, sections: usize) -> (&[u8], [u16; 3]) {
        let mut counts = self.counts;
        counts[sections..].fill(0);
        (&self.octets[self.ends[0]..self.ends[sections]], counts)
    }

    /// Records in the answer, authority and additional sections.
    pub fn counts(&self) -> [u16; 3] {
        self.counts
    }

    /// The addresses in its answer section.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let Ok(message) = Message::from_octets(&self.octets[..]) else { return Vec::new() };
        let Ok(answer) = message.answer() else { return Vec::new() };
        let address = |data: AllRecordData<_, ParsedName<_>>| match data {
            AllRecordData::A(a) => Some(IpAddr::V4(a.addr())),
            AllRecordData::Aaaa(aaaa) => Some(IpAddr::V6(aaaa.addr())),
            _ => None,
        };
        answer.flatten().filter_map(|record| address(record.to_any_record().ok()?.into_data())).collect()
    }

    /// Octets that it takes.
    pub fn size(&self) -> usize {
        self.octets.len() + size_of_val(&*self.ttls)
    }

    /// The lowest TTL of its records in seconds; None without records.
    pub fn ttl_min(&self) -> Option<u32> {
        self.ttls.iter().filter_map(|at| self.ttl_at(*at)).min()
    }

    /// How long its denial may be kept: the lower of the SOA's TTL and its last field (RFC 2308 §5), and no longer than the
    /// records of its answer section, which lead to what is denied; None without an SOA in the authority section.
    pub fn denial_ttl(&self) -> Option<u32> {
        let (ttl_at, end) = self.authority(Rtype::SOA)?;
        let last = self.octets.get(end - 4..)?.first_chunk::<4>()?;
        let soa = self.ttl_at(ttl_at)?.min(u32::from_be_bytes(*last));
        // Aliases come first in the message, and so do their TTLs.
        let aliases = self.ttls.iter().take(self.counts[0].into()).filter_map(|at| self.ttl_at(*at));
        Some(aliases.fold(soa, u32::min))
    }

    /// The first record of a type in the authority section: where its TTL stands, and where it ends.
    fn authority(&self, wanted: Rtype) -> Option<(u16, usize)> {
        let mut at = self.ends[1];
        while at < self.ends[2] {
            let record = Record::at(&self.octets, name_end(&self.octets, at)?)?;
            if record.rtype == wanted {
                return Some((record.ttl_at, record.end));
            }
            at = record.end;
        }
        None
    }

    /// Changes the TTL of every record.
    pub fn set_ttls(&mut self, ttl: impl Fn(u32) -> u32) {
        for at in &self.ttls {
            let at = usize::from(*at);
            if let Some(room) = self.octets.get_mut(at..at + 4).and_then(|room| room.first_chunk_mut::<4>()) {
                *room = ttl(u32::from_be_bytes(*room)).to_be_bytes();
            }
        }
    }

    /// Where the TTLs stand.
    pub(super) fn ttls(&self) -> &[u16] {
        &self.ttls
    }

    /// The TTL that stands at an octet.
    fn ttl_at(&self, at: u16) -> Option<u32> {
        Some(u32::from_be_bytes(*self.octets.get(usize::from(at)..)?.first_chunk::<4>()?))
    }
}

/// Makes the message that asks another server what a client asked. `head` is the client's message up to the end of its
/// question, whose case is kept. Its options are between the client and this server, hence they are not sent on.
pub fn ask(id: u16, head: &[u8], query: &Query) -> Vec<u8> {
    let (second, third) = (head.get(2).copied().unwrap_or_default(), head.get(3).copied().unwrap_or_default());
    let opt = query.edns.is_some();
    let mut message = Vec::with_capacity(2 + head.len() + 11);
    message.extend(id.to_be_bytes());
    // Of the flags RD, AD and CD go on (RFC 1035 §4.1.1, RFC 6840 §5.7, RFC 4035 §3.2.2).
    message.extend([second & 0x01, third & (AD | 0x10), 0, 1, 0, 0, 0, 0, 0, u8::from(opt)]);
    message.extend(head.get(HEADER_OCTETS..).unwrap_or_default());
    if let Some(edns) = query.edns {
        let size = PAYLOAD_SIZE.to_be_bytes();
        message.extend([0, 0, 41, size[0], size[1], 0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    }
    message
}

/// Whether a message has the question of a query, in whatever case.
fn asks(octets: &[u8], query: &Query) -> bool {
    let name_end = query.question_end - 4;
    let (Some(name), Some(rest)) = (octets.get(HEADER_OCTETS..name_end), octets.get(name_end..query.question_end))
    else {
        return false;
    };
    let [high, low] = query.qtype.to_int().to_be_bytes();
    let [class_high, class_low] = query.qclass.to_int().to_be_bytes();
    QName::from_wire(name).is_some_and(|name| name.as_slice() == query.name.as_slice())
        && rest == [high, low, class_high, class_low]
}

/// The fixed part of a record.
struct Record {
    rtype: Rtype,
    class: Class,
    ttl_at: u16,
    rdata_at: usize,
    end: usize,
}

impl Record {
    /// Reads it behind the owner's name; None if the record is cut off.
    fn at(octets: &[u8], at: usize) -> Option<Self> {
        let fixed = octets.get(at..)?.first_chunk::<10>()?;
        let rdata_at = at + 10;
        let end = rdata_at + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        (end <= octets.len()).then_some(Self {
            rtype: Rtype::from_int(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: Class::from_int(u16::from_be_bytes([fixed[2], fixed[3]])),
            ttl_at: u16::try_from(at + 4).ok()?,
            rdata_at,
            end,
        })
    }
}

/// The names of a message, met from its beginning on. A pointer has to lead to a name that was there before (RFC 1035
/// §4.1.4): into the header, a TTL or what is taken away it would lead to something else by the time others read it.
struct Names<'m> {
    octets: &'m [u8],
    /// Whether a label of a name begins at an octet.
    begins: Vec<bool>,
}

impl<'m> Names<'m> {
    /// None met yet.
    fn new(octets: &'m [u8]) -> Self {
        Self { octets, begins: vec![false; octets.len()] }
    }

    /// Meets the name at an octet; gives where it ends.
    fn pass(&mut self, mut at: usize) -> Option<usize> {
        loop {
            match *self.octets.get(at..)? {
                [high @ 0xc0..=0xff, low, ..] => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    return (target < at && *self.begins.get(target)?).then_some(at + 2);
                }
                [length @ 0..=63, ..] => {
                    *self.begins.get_mut(at)? = true;
                    at += usize::from(length) + 1;
                    if length == 0 {
                        return Some(at);
                    }
                }
                _ => return None,
            }
        }
    }

    /// Meets the owner of the record at an octet.
    fn record(&mut self, at: usize) -> Option<Record> {
        let end = self.name(at)?;
        Record::at(self.octets, end)
    }

    /// Meets a name that is not longer than a name may be (RFC 1035 §2.3.4).
    fn name(&mut self, at: usize) -> Option<usize> {
        let mut parser = Parser::from_ref(self.octets);
        parser.advance(at).ok()?;
        ParsedName::parse(&mut parser).ok()?;
        self.pass(at)
    }

    /// Reads the data of a record. Only the names of some types may have pointers (RFC 3597 §4); all other data has to be
    /// whole by itself.
    fn rdata(&mut self, rtype: Rtype, at: usize, end: usize) -> Option<()> {
        let (before, names, behind) = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => (0, 1, 0),
            Rtype::SOA => (0, 2, 20),
            Rtype::MX => (2, 1, 0),
            Rtype::SRV => (6, 1, 0),
            _ => {
                let mut parser = Parser::from_ref(self.octets.get(at..end)?);
                AllRecordData::<_, ParsedName<_>>::parse_any_rdata(rtype, &mut parser).ok()?;
                return (parser.remaining() == 0).then_some(());
            }
        };
        let mut at = at + before;
        for _ in 0..names {
            at = self.name(at)?;
        }
        (at + behind == end).then_some(())
    }
}

/// Where the name at an octet ends.
fn name_end(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += usize::from(length) + 1,
            _ => return Some(at + 2),
        }
    }
}

/// What holds for any octets that come as an answer: either they are none, or what a client gets of them can be read to its
/// end and fits. The first two octets choose the client's size.
#[doc(hidden)]
pub fn fuzz_check(octets: &[u8]) {
    let Some((size, octets)) = octets.split_first_chunk::<2>() else { return };
    let mut buffer = b"\0\x07\x01\0\0\x01\0\0\0\0\0\x01\x03www\x07example\x03org\0\0\x01\0\x01".to_vec();
    buffer.extend(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    let query = Query::read(&buffer).unwrap_or_else(|_| unreachable!("a query of our own"));
    let id = octets.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
    let Some(mut received) = Received::read(octets.to_vec(), id, &query) else { return };
    let size = usize::from(u16::from_be_bytes(*size)).max(512);
    let (_, _) = (received.denial_ttl(), received.addresses());
    buffer.resize(size, 0);
    let mut response = Response::new(&mut buffer, &query, size);
    response.take(&received, 1, &query);
    let parked = response.park();
    let len = response.finish();
    assert!(len <= size);
    let read = |octets: &[u8]| {
        let message = Message::from_octets(octets.to_vec()).unwrap_or_else(|_| unreachable!("longer than a header"));
        assert!(message.opt().is_some_and(|opt| opt.dnssec_ok()));
        let sections = [message.answer(), message.authority(), message.additional()];
        sections.map(|section| {
            let section = section.unwrap_or_else(|_| panic!("a section that cannot be read"));
            let records = section.map(|record| {
                let record = record.unwrap_or_else(|_| panic!("a record that cannot be read"));
                let read = record.to_any_record::<AllRecordData<_, ParsedName<_>>>();
                assert!(read.is_ok(), "a record that cannot be read");
            });
            records.count()
        })
    };
    let counts = read(&buffer[..len]);
    // Put aside and gone on with it is the same.
    received.set_ttls(|ttl| ttl.saturating_sub(1));
    let mut other = Vec::new();
    let mut response = parked.resume(&mut other);
    response.take(&received, 0, &query);
    let len = response.finish();
    assert_eq!(read(&other[..len]), counts);
    assert_eq!(buffer[2..len], other[2..len]);
}

/// Octets that answers of other servers may take over UDP: one packet on every path in use.
const PAYLOAD_SIZE: u16 = 1232;

/// Signatures of messages (RFC 2931).
const SIG: u16 = 24;

/// AA in the third octet of the header.
const AA: u8 = 0x04;

/// TC in the third octet of the header.
const TC: u8 = 0x02;

/// RA in the fourth octet of the header.
const RA: u8 = 0x80;

/// AD in the fourth octet of the header.
pub(super) const AD: u8 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `www.example.org A` with this id, with EDNS.
    fn question() -> Vec<u8> {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend(b"\x03wWw\x07example\x03org\0\0\x01\0\x01");
        message.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
        message
    }

    /// An answer with two addresses, an OPT record with an upper rcode of 0, and what is to be changed about it.
    fn answer(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0x84, 0xa0, 0, 1, 0, 2, 0, 0, 0, 1];
        message.extend(b"\x03www\x07example\x03org\0\0\x01\0\x01");
        for last in [1, 2] {
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60 * last, 0, 4, 192, 0, 2, last]);
        }
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        change(&mut message);
        message
    }

    #[test]
    fn an_answer_is_taken_over_without_its_opt_record() {
        let mut buffer = question();
        let query = Query::read(&buffer).unwrap();
        let received = Received::read(answer(|_| ()), 0x1234, &query).unwrap();
        assert_eq!((received.counts(), received.ttl_min()), ([2, 0, 0], Some(60)));
        buffer.resize(512, 0);
        let mut response = Response::new(&mut buffer, &query, 512);
        response.take(&received, 10, &query);
        let len = response.finish();
        // QR, AA, RD of the client; RA, AD.
        assert_eq!(buffer[..12], [0, 7, 0x85, 0xa0, 0, 1, 0, 2, 0, 0, 0, 1]);
        assert_eq!(
            buffer[33..65],
            answer(|message| {
                message[42] = 50;
                message[58] = 110;
            })[33..65]
        );
        assert_eq!(len, 65 + 11);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_none() {
        let query = Query::read(&question()).unwrap();
        type Change = fn(&mut Vec<u8>);
        let changes: [(&str, Change); 10] = [
            ("another id", |message| message[0] = 0),
            ("a query", |message| message[2] &= 0x7f),
            ("another opcode", |message| message[2] |= 0x10),
            ("another name", |message| message[13] = b'x'),
            ("another type", |message| message[30] = 2),
            ("cut off", |message| message.truncate(60)),
            ("an address of three octets", |message| message[44] = 3),
            ("a pointer to itself", |message| message[34] = 33),
            ("a record of another class", |message| message[38] = 3),
            ("no question but an answer", |message| message[5] = 0),
        ];
        for (what, change) in changes {
            assert!(Received::read(answer(change), 0x1234, &query).is_none(), "{what}");
        }
        let error = vec![0x12, 0x34, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Received::read(error, 0x1234, &query).map(|error| error.rcode), Some(OptRcode::REFUSED));
    }

    #[test]
    fn whatever_is_changed_about_an_answer_a_client_can_read_what_it_gets() {
        let soa = |message: &mut Vec<u8>| {
            message[9] = 1;
            let at = message.len() - 11;
            let mut record = vec![0xc0, 16, 0, 6, 0, 1, 0, 0, 0, 60, 0, 24, 0xc0, 12, 0xc0, 16];
            record.extend([0, 0, 0, 1].repeat(5));
            message.splice(at..at, record);
        };
        let mut random = fastrand::Rng::with_seed(7);
        let mut read = 0;
        for round in 0..20_000 {
            let mut octets = vec![random.u8(..8), random.u8(..)];
            octets.extend(answer(if round % 2 == 0 { soa } else { |_: &mut Vec<u8>| () }));
            for _ in 0..random.usize(..4) {
                let at = random.usize(2..octets.len());
                octets[at] = if random.bool() { random.u8(..) } else { octets[at] ^ 1 << random.u8(..8) };
            }
            if random.u8(..) == 0 {
                octets.truncate(random.usize(..octets.len()));
            }
            let query = Query::read(&question()).unwrap();
            read += usize::from(octets.len() > 14 && Received::read(octets[2..].to_vec(), 0x1234, &query).is_some());
            fuzz_check(&octets);
        }
        assert!(read > 5_000, "{read}");
    }

    #[test]
    fn an_answer_that_does_not_fit_is_truncated_and_empty() {
        let mut buffer = question();
        let query = Query::read(&buffer).unwrap();
        let received = Received::read(answer(|_| ()), 0x1234, &query).unwrap();
        buffer.resize(512, 0);
        let mut response = Response::new(&mut buffer, &query, 33 + 11 + 31);
        response.take(&received, 0, &query);
        assert_eq!((response.finish(), buffer[2] & 2, &buffer[6..8]), (44, 2, &[0, 0][..]));
    }
}
