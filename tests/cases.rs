//! Zones, questions and the expected answers as text.
//!
//! A file holds zones (`zone APEX`, zone-file text, `end`) and cases: `case NAME`, `query NAME TYPE [class=C] [edns=N]
//! [do] [rd] [cd] [tcp]`, `status RCODE [aa] [tc] [rd] [cd] [edns] [do]`, and the records of each section as `answer …`,
//! `authority …`, `additional …` in any order. A section without a line has to be empty, unless `count SECTION N` only
//! counts it. Names are compared with their case, so that the case of questions shows.

use std::collections::BTreeMap;
use std::path::Path;

use domain::base::iana::Class;
use domain::base::name::FlattenInto;
use domain::base::rdata::ComposeRecordData;
use domain::base::{Message, Name, ParsedName};
use domain::rdata::AllRecordData;
use engine::plugin::Transport;
use store::name;
use store::types::{rdata_from_text, rdata_to_text, rtype_from_text, rtype_to_text};

use crate::support::{InMemory, Question};

#[test]
fn case_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    let (mut passed, mut failed) = (0, Vec::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let (zones, cases) = read(&text);
        let mut server = InMemory::with_zones(&zones);
        for case in cases {
            let reply = server.send(&case.question.message(), case.transport).expect("an answer");
            let found = describe(&reply);
            match case.expected.mismatch(&found) {
                None => passed += 1,
                Some(why) => failed.push(format!("{}: {}\n{why}", path.file_name().unwrap().display(), case.name)),
            }
        }
    }
    println!("{passed} cases");
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed >= 70);
}

/// A question and what is expected of the answer.
struct Case {
    name: String,
    question: Question,
    transport: Transport,
    expected: Expected,
}

/// An answer as text.
#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) status: Vec<String>,
    pub(crate) sections: BTreeMap<String, Vec<String>>,
    counts: BTreeMap<String, usize>,
}

impl Expected {
    /// What differs, if anything.
    fn mismatch(&self, found: &Self) -> Option<String> {
        let mut why = String::new();
        if self.status != found.status {
            why.push_str(&format!("  status {:?}, expected {:?}\n", found.status, self.status));
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
            "case" => cases.push(Case {
                name: rest.into(),
                question: Question::new(".", store::Rtype::A),
                transport: Transport::Udp,
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
                "tcp" => self.transport = Transport::Tcp,
                "class=CH" => self.question.qclass = Class::CH,
                "class=ANY" => self.question.qclass = Class::ANY,
                word => self.question.edns_size = Some(word.strip_prefix("edns=").unwrap().parse().unwrap()),
            }
        }
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
        ("do", opt.is_some_and(|opt| opt.dnssec_ok())),
    ];
    found.status.extend(flags.iter().filter(|(_, set)| *set).map(|(flag, _)| (*flag).into()));
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
