//! Zones, questions and the expected answers as text: the files under `cases/`, whose README explains the format.
//!
//! Every file's zones are served once, and every case is asked eight ways: in memory, for an explanation and through
//! real sockets over either way in, as over UDP and as over TCP. A case marked `udp` or `tcp` is asked over that transport only. Over one transport
//! the answers are the same octet for octet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::base::iana::{Class, OptionCode};
use domain::base::name::FlattenInto;
use domain::base::opt::UnknownOptData;
use domain::base::rdata::ComposeRecordData;
use domain::base::{Message, Name, ParsedName};
use domain::rdata::AllRecordData;
use engine::net::{self, IoChoice, Listener, Options};
use engine::plugin::Transport;
use store::name;
use store::types::{rdata_from_text, rdata_to_text, rtype_from_text, rtype_to_text};

use crate::support::{InMemory, Question, address, exchange_tcp, exchange_udp};

#[test]
fn case_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    let (mut asked, mut failed) = (0, Vec::new());
    for path in files {
        let (zones, cases) = read(&std::fs::read_to_string(&path).unwrap());
        let mut server = Served::start(&zones);
        let replies = server.ask(&cases);
        for (way, transport, replies) in &replies {
            for (case, reply) in cases.iter().filter(|case| case.is_asked_over(*transport)).zip(replies) {
                if let Some(why) = case.mismatch(reply) {
                    failed.push(format!("{}: {} ({way})\n{why}", path.file_name().unwrap().display(), case.name));
                }
            }
        }
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut ways = replies.iter().filter(|(_, over, _)| *over == transport);
            let (_, _, first) = ways.next().unwrap();
            for (way, _, others) in ways {
                // Each answer to a cookie has a clock in it.
                for (one, other) in first.iter().zip(others).filter(|(one, _)| !has_cookie(one)) {
                    assert_eq!(one, other, "{}: {way}", path.display());
                }
            }
        }
        asked += cases.len();
    }
    println!("{asked} cases");
    assert!(failed.is_empty(), "{} answers are wrong:\n{}", failed.len(), failed.join("\n"));
    assert!(asked >= CASES_MIN, "{asked} cases");
}

/// The zones of a file being served: in memory, and on ports of 127.0.0.1 over UDP and TCP.
struct Served {
    memory: InMemory,
    /// Over each way in.
    sockets: [net::Running; 2],
}

impl Served {
    /// Serves zones, given as apex and zone-file text, from the root block.
    fn start(zones: &[(String, String)]) -> Self {
        let memory = InMemory::with_zones(zones);
        let listener = Listener::plain(address("127.0.0.1:0"));
        let sockets = [IoChoice::Ring, IoChoice::Mmsg].map(|io| {
            let options = Options { workers: Some(1), io, ..Options::default() };
            net::start(&[listener], Arc::clone(&memory.server), &options).unwrap()
        });
        Self { memory, sockets }
    }

    /// Asks all cases in every way; the answers of each way in the order of the cases that it is for.
    fn ask(&mut self, cases: &[Case]) -> Vec<(String, Transport, Vec<Vec<u8>>)> {
        let mut ways = Vec::new();
        for transport in [Transport::Udp, Transport::Tcp] {
            let asked = cases.iter().filter(|case| case.is_asked_over(transport));
            let messages: Vec<_> = asked.map(|case| case.question.message()).collect();
            let in_memory =
                messages.iter().map(|message| self.memory.send(message, transport).expect("an answer")).collect();
            let explained = messages.iter().map(|message| self.memory.explain(message, transport).expect("an answer"));
            ways.push((format!("explained as over {}", transport.name()), transport, explained.collect()));
            ways.push((format!("in memory as over {}", transport.name()), transport, in_memory));
            for sockets in &self.sockets {
                let at = sockets.local_addrs()[0];
                let replies = match transport {
                    Transport::Udp => {
                        messages.iter().map(|message| exchange_udp(at, message, 20_000).expect("an answer")).collect()
                    }
                    _ => exchange_tcp(at, &messages),
                };
                ways.push((format!("{} by {}", transport.name(), sockets.io().way.name()), transport, replies));
            }
        }
        ways
    }
}

/// A question and what is expected of the answer.
struct Case {
    name: String,
    question: Question,
    /// The only transport that it is asked over.
    transport: Option<Transport>,
    expected: Expected,
}

/// An answer as text.
#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) status: Vec<String>,
    pub(crate) sections: BTreeMap<String, Vec<String>>,
    counts: BTreeMap<String, usize>,
    /// EDNS options, `CODE HEX` each; an expected one may end with `*` for anything.
    pub(crate) options: Vec<String>,
}

impl Expected {
    /// What differs, if anything.
    fn mismatch(&self, found: &Self) -> Option<String> {
        let mut why = String::new();
        if self.status != found.status {
            why.push_str(&format!("  status {:?}, expected {:?}\n", found.status, self.status));
        }
        let is_option = |(expected, found): (&String, &String)| match expected.strip_suffix('*') {
            Some(beginning) => found.starts_with(beginning),
            None => found == expected,
        };
        if self.options.len() != found.options.len() || !self.options.iter().zip(&found.options).all(is_option) {
            why.push_str(&format!("  options {:?}, expected {:?}\n", found.options, self.options));
        }
        for section in ["answer", "authority", "additional"] {
            let mut expected = self.sections.get(section).cloned().unwrap_or_default();
            let mut records = found.sections.get(section).cloned().unwrap_or_default();
            if let Some(count) = self.counts.get(section) {
                if *count != records.len() {
                    why.push_str(&format!("  {section}: {} records, expected {count}\n", records.len()));
                }
                continue;
            }
            expected.sort();
            records.sort();
            if expected != records {
                why.push_str(&format!("  {section}: {records:#?}, expected {expected:#?}\n"));
            }
        }
        (!why.is_empty()).then_some(why)
    }
}

/// Reads a file of cases.
fn read(text: &str) -> (Vec<(String, String)>, Vec<Case>) {
    let (mut zones, mut cases): (Vec<(String, String)>, Vec<Case>) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            "zone" => {
                let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "end").collect();
                zones.push((rest.into(), body.join("\n")));
            }
            "missing" => zones.push((rest.into(), String::new())),
            "case" => cases.push(Case {
                name: rest.into(),
                question: Question::new(".", store::Rtype::A),
                transport: None,
                expected: Expected::default(),
            }),
            _ => {
                let case = cases.last_mut().expect("a case before its lines");
                match word {
                    "query" => case.read_query(rest),
                    "status" => case.expected.status = rest.split(' ').map(Into::into).collect(),
                    "count" => {
                        let (section, count) = rest.split_once(' ').expect("count SECTION N");
                        case.expected.counts.insert(section.into(), count.parse().unwrap());
                    }
                    "option" => case.expected.options.push(rest.into()),
                    "answer" | "authority" | "additional" => {
                        case.expected.sections.entry(word.into()).or_default().push(normal(rest));
                    }
                    other => panic!("{}: unknown line {other:?}", case.name),
                }
            }
        }
    }
    (zones, cases)
}

impl Case {
    /// Reads a `query` line.
    fn read_query(&mut self, text: &str) {
        let mut words = text.split(' ');
        self.question.qname = words.next().unwrap().into();
        self.question.qtype = rtype_from_text(words.next().unwrap()).unwrap();
        for word in words {
            match word {
                "do" => self.question.dnssec_ok = true,
                "rd" => self.question.recursion_desired = true,
                "cd" => self.question.checking_disabled = true,
                "udp" => self.transport = Some(Transport::Udp),
                "tcp" => self.transport = Some(Transport::Tcp),
                word => match word.split_once('=') {
                    Some(("edns", size)) => self.question.edns_size = Some(size.parse().unwrap()),
                    Some(("option", option)) => {
                        let (code, data) = option.split_once(':').expect("option=CODE:HEX");
                        self.question.options.push((code.parse().unwrap(), hex(data)));
                    }
                    Some(("class", "CH")) => self.question.qclass = Class::CH,
                    Some(("class", "ANY")) => self.question.qclass = Class::ANY,
                    Some(("class", number)) => self.question.qclass = Class::from_int(number.parse().unwrap()),
                    _ => panic!("{}: unknown word {word:?}", self.name),
                },
            }
        }
    }

    /// Whether the case is for this transport.
    fn is_asked_over(&self, transport: Transport) -> bool {
        self.transport.is_none_or(|only| only == transport)
    }

    /// What is wrong with an answer, if anything. The question comes back octet for octet, its case too (RFC 4343 §4.1).
    fn mismatch(&self, reply: &[u8]) -> Option<String> {
        let message = self.question.message();
        let question = HEADER_OCTETS..HEADER_OCTETS + name::parse(&self.question.qname, None).unwrap().len() + 4;
        if reply.get(question.clone()) != message.get(question) {
            return Some("  the question does not come back as it was asked\n".into());
        }
        self.expected.mismatch(&describe(reply))
    }
}

/// An expected record, its rdata through the wire and back so that spelling does not count.
fn normal(text: &str) -> String {
    let fields: Vec<&str> = text.splitn(5, ' ').collect();
    let [owner, ttl, class, rtype, rdata] = fields[..] else { panic!("no record: {text}") };
    let rtype = rtype_from_text(rtype).unwrap();
    let rdata = rdata_from_text(rtype, rdata, None).unwrap();
    format!("{owner} {ttl} {class} {} {}", rtype_to_text(rtype), rdata_to_text(rtype, &rdata))
}

/// A message as its status followed by the records of each section.
pub(crate) fn lines(message: &[u8]) -> Vec<String> {
    let mut found = describe(message);
    let mut lines = vec![found.status.join(" ")];
    for section in ["answer", "authority", "additional"] {
        lines.extend(found.sections.remove(section).unwrap_or_default());
    }
    lines
}

/// A message as text.
pub(crate) fn describe(octets: &[u8]) -> Expected {
    let message = Message::from_octets(octets).expect("a message");
    let header = message.header();
    let opt = message.opt();
    let mut found = Expected::default();
    let rcode = message.opt_rcode().to_mnemonic_str().map_or_else(|| message.opt_rcode().to_string(), Into::into);
    found.status.push(rcode);
    let flags = [
        ("aa", header.aa()),
        ("tc", header.tc()),
        ("rd", header.rd()),
        ("ra", header.ra()),
        ("ad", header.ad()),
        ("cd", header.cd()),
        ("edns", opt.is_some()),
        ("do", opt.as_ref().is_some_and(|opt| opt.dnssec_ok())),
    ];
    found.status.extend(flags.iter().filter(|(_, set)| *set).map(|(flag, _)| (*flag).into()));
    for option in opt.iter().flat_map(|opt| opt.opt().iter::<UnknownOptData<_>>()) {
        let option = option.expect("a whole option");
        let data: String = option.as_slice().iter().map(|octet| format!("{octet:02x}")).collect();
        found.options.push(format!("{} {data}", option.code().to_int()));
    }
    let (_, answer, authority, additional) = message.sections().expect("whole sections");
    for (section, records) in [("answer", answer), ("authority", authority), ("additional", additional)] {
        for record in records {
            let record = record.expect("a whole record");
            if record.rtype() == store::Rtype::OPT {
                continue;
            }
            let owner: Name<Vec<u8>> = record.owner().try_flatten_into().unwrap();
            let data =
                record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().expect("rdata that fits its type");
            let data: AllRecordData<Vec<u8>, Name<Vec<u8>>> = data.into_data().try_flatten_into().unwrap();
            let mut rdata = Vec::new();
            data.compose_rdata(&mut rdata).unwrap();
            let owner = store::Name::from_octets(owner.into_octets().into()).unwrap();
            found.sections.entry(section.into()).or_default().push(format!(
                "{} {} {} {} {}",
                name::to_text(&owner),
                record.ttl().as_secs(),
                record.class(),
                rtype_to_text(record.rtype()),
                rdata_to_text(record.rtype(), &rdata)
            ));
        }
    }
    found
}

/// Whether an answer has a server cookie in it (RFC 7873 §4: 16 octets or more).
fn has_cookie(answer: &[u8]) -> bool {
    let message = Message::from_octets(answer).expect("a message");
    message.opt().is_some_and(|opt| {
        opt.opt()
            .iter::<UnknownOptData<_>>()
            .any(|option| option.is_ok_and(|option| option.code() == OptionCode::COOKIE))
    })
}

/// Octets from hex digits.
fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Octets before the question.
const HEADER_OCTETS: usize = 12;

/// Cases that are there at least: a file that is no longer read shows.
const CASES_MIN: usize = 514;
