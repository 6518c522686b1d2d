//! Why a question gets the answer that it gets: the answer itself, and the way to it in words.
//!
//! The engine answers and takes notes; here the answer is taken apart again, and each NSEC and NSEC3 record in it is told
//! by what it proves of the names that mattered.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::base::iana::OptRcode;
use domain::base::name::FlattenInto;
use domain::base::opt::ExtendedError;
use domain::base::rdata::ComposeRecordData;
use domain::base::{self, Message, MessageBuilder, ParsedName};
use domain::rdata::AllRecordData;
use engine::plugin::{Arrival, Switch, Trace, Transport};
use engine::zone::{Ended, Holds, Step};
use store::nsec3::{self, HASH_OCTETS, Parameters};
use store::{Name, Rtype, name, types};

/// What is asked, and as whom.
pub(crate) struct Question {
    /// The name.
    pub(crate) name: Name,
    /// The type.
    pub(crate) rtype: Rtype,
    /// Whether DNSSEC records are wanted.
    pub(crate) dnssec_ok: bool,
    /// The client that is played.
    pub(crate) client: IpAddr,
    /// What it asks over.
    pub(crate) transport: Transport,
    /// The number of the listener that it asks.
    pub(crate) listener: usize,
}

/// An answer and the way to it.
pub(crate) struct Explanation {
    /// The answer; None if the query is dropped.
    pub(crate) answer: Option<Answer>,
    /// How long it took, the notes included.
    pub(crate) took: Duration,
    /// What the engine noted.
    pub(crate) trace: Trace,
    /// The proofs in the answer.
    pub(crate) proofs: Vec<Proof>,
}

/// An answer taken apart.
pub(crate) struct Answer {
    /// As it is sent.
    pub(crate) wire: Vec<u8>,
    /// As dig prints it.
    pub(crate) text: String,
    /// The rcode.
    pub(crate) rcode: String,
    /// The flags that are set, in lower case.
    pub(crate) flags: Vec<&'static str>,
    /// Answer, authority and additional section, without OPT.
    pub(crate) sections: [Vec<Record>; 3],
}

/// A record of an answer.
pub(crate) struct Record {
    /// Its owner.
    pub(crate) owner: Name,
    /// Its TTL in seconds.
    pub(crate) ttl: u32,
    /// Its type.
    pub(crate) rtype: Rtype,
    /// Its rdata in wire form, names not compressed.
    pub(crate) rdata: Vec<u8>,
}

/// A record that proves something.
pub(crate) struct Proof {
    /// Its owner.
    pub(crate) owner: Name,
    /// NSEC or NSEC3.
    pub(crate) rtype: Rtype,
    /// What it says of the names that mattered, a sentence each.
    pub(crate) says: Vec<String>,
}

/// Asks a question of the server of now; an error if the answer cannot be read, which would be a fault of the engine.
pub(crate) fn explain(switch: &Arc<Switch>, question: &Question) -> Result<Explanation, String> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((&question.name, question.rtype)).map_err(|why| why.to_string())?;
    let mut builder = builder.additional();
    let with_opt = builder.opt(|opt| {
        opt.set_udp_payload_size(PAYLOAD_SIZE);
        opt.set_dnssec_ok(question.dnssec_ok);
        Ok(())
    });
    with_opt.map_err(|why| why.to_string())?;
    let message = builder.finish();

    let mut buffer = vec![0; usize::from(u16::MAX)];
    buffer[..message.len()].copy_from_slice(&message);
    let server = switch
        .current()
        .listeners()
        .find(|(number, _)| *number == question.listener)
        .map(|(_, listener)| listener.addr);
    let arrival = Arrival {
        client: SocketAddr::new(question.client, CLIENT_PORT),
        local: server.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 53))),
        transport: question.transport,
        listener: question.listener,
        idle: (question.transport == Transport::Tcp).then_some(Duration::from_secs(10)),
    };
    let mut worker = switch.worker();
    let begun = Instant::now();
    let (length, trace) = worker.explain(&mut buffer, message.len(), &arrival);
    let took = begun.elapsed();
    let answer = length.map(|length| Answer::read(buffer[..length].to_vec())).transpose()?;
    let proofs = answer.as_ref().map_or_else(Vec::new, |answer| proofs(&answer.sections[1], &trace, question.rtype));
    Ok(Explanation { answer, took, trace, proofs })
}

impl Answer {
    /// Takes a message apart.
    fn read(wire: Vec<u8>) -> Result<Self, String> {
        let why = |why: &dyn fmt::Display| format!("an answer of the engine cannot be read: {why}");
        let message = Message::from_octets(&wire[..]).map_err(|fault| why(&fault))?;
        let header = message.header();
        let flags = [
            ("qr", header.qr()),
            ("aa", header.aa()),
            ("tc", header.tc()),
            ("rd", header.rd()),
            ("ra", header.ra()),
            ("ad", header.ad()),
            ("cd", header.cd()),
        ];
        let flags: Vec<_> = flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| *flag).collect();
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        let (_, answer, authority, additional) = message.sections().map_err(|fault| why(&fault))?;
        for (records, into) in [answer, authority, additional].into_iter().zip(&mut sections) {
            for record in records {
                let record = record.map_err(|fault| why(&fault))?;
                if record.rtype() == Rtype::OPT {
                    continue;
                }
                let data = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
                let data = data.map_err(|fault| why(&fault))?.into_data();
                let data: AllRecordData<Vec<u8>, base::Name<Vec<u8>>> =
                    data.try_flatten_into().map_err(|fault| why(&fault))?;
                let mut rdata = Vec::new();
                data.compose_rdata(&mut rdata).map_err(|fault| why(&fault))?;
                into.push(Record {
                    owner: record.owner().try_flatten_into().map_err(|fault| why(&fault))?,
                    ttl: record.ttl().as_secs(),
                    rtype: record.rtype(),
                    rdata,
                });
            }
        }
        let rcode = rcode_name(message.opt_rcode());
        let mut text = format!(";; ->>HEADER<<- opcode: QUERY, status: {rcode}, id: {}\n", header.id());
        let counts = message.header_counts();
        text.push_str(&format!(
            ";; flags: {}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n",
            flags.join(" "),
            counts.qdcount(),
            counts.ancount(),
            counts.nscount(),
            counts.arcount()
        ));
        if let Some(opt) = message.opt() {
            let dnssec_ok = if opt.dnssec_ok() { " do" } else { "" };
            let size = opt.udp_payload_size();
            text.push_str(&format!("\n;; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:{dnssec_ok}; udp: {size}\n"));
            for error in opt.opt().iter::<ExtendedError<_>>().flatten() {
                text.push_str(&format!("; EDE: {error}\n"));
            }
        }
        if let Ok(question) = message.sole_question() {
            let qname: Name = question.qname().try_flatten_into().map_err(|fault| why(&fault))?;
            let (qname, qtype) = (name::to_text(&qname), types::rtype_to_text(question.qtype()));
            text.push_str(&format!(";; QUESTION SECTION:\n;{qname}\tIN\t{qtype}\n"));
        }
        for (title, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].iter().zip(&sections) {
            if !records.is_empty() {
                text.push_str(&format!("\n;; {title} SECTION:\n"));
            }
            for record in records {
                text.push_str(&format!("{record}\n"));
            }
        }
        text.push_str(&format!("\n;; MSG SIZE  rcvd: {}\n", wire.len()));
        Ok(Self { text, rcode, flags, sections, wire })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, rtype) = (name::to_text(&self.owner), types::rtype_to_text(self.rtype));
        write!(f, "{owner}\t{}\tIN\t{rtype}\t{}", self.ttl, types::rdata_to_text(self.rtype, &self.rdata))
    }
}

/// An rcode's name, or its number where it has none.
pub(crate) fn rcode_name(rcode: OptRcode) -> String {
    rcode.to_mnemonic_str().map_or_else(|| rcode.to_int().to_string(), Into::into)
}

/// What a step came to, in a sentence.
pub(crate) fn sentence(step: &Step, rtype: Rtype) -> String {
    let (name, rtype) = (name::to_text(&step.name), types::rtype_to_text(rtype));
    let holds = |holds: Holds| match holds {
        Holds::Data => format!("has {rtype} records"),
        Holds::Alias => "is an alias (CNAME), whose target is looked for next".into(),
        Holds::NoData => format!("exists but has no {rtype} records (NODATA)"),
        Holds::EmptyNonTerminal => {
            "exists only because names below it do (an empty non-terminal), so there is no data (NODATA)".into()
        }
    };
    match &step.ended {
        Ended::Withheld => format!("The zone of {name} is withheld: its data is damaged or not there yet."),
        Ended::Exact(what) => format!("{name} {}.", holds(*what)),
        Ended::Wildcard(owner, what) => {
            format!(
                "{name} does not exist; the wildcard {} stands for it, which {}.",
                name::to_text(owner),
                holds(*what)
            )
        }
        Ended::Cut(cut) => format!("{name} is delegated: a zone cut is at {}.", name::to_text(cut)),
        Ended::Dname(owner) => {
            format!("{name} is below the DNAME of {}, which makes an alias of it.", name::to_text(owner))
        }
        Ended::NameError(encloser) => {
            let encloser = name::to_text(encloser);
            format!("{name} does not exist (NXDOMAIN); its closest encloser is {encloser}, which has no wildcard.")
        }
    }
}

/// A name that a proof may be about, and what it is.
struct Subject {
    name: Name,
    role: &'static str,
}

/// The names that matter for the proof of a step: the name, its closest encloser, the next closer name, the wildcard
/// (RFC 5155 §1.3).
fn subjects(step: &Step) -> Vec<Subject> {
    let subject = |name: &Name, role| Subject { name: name.clone(), role };
    let mut subjects = Vec::new();
    let encloser = match &step.ended {
        _ if !step.is_signed => return subjects,
        Ended::Exact(Holds::Data | Holds::Alias) | Ended::Dname(_) | Ended::Withheld => return subjects,
        Ended::Cut(cut) => {
            subjects.push(subject(cut, "the zone cut"));
            return subjects;
        }
        Ended::Wildcard(owner, _) => owner.parent(),
        Ended::NameError(encloser) => Some(encloser.clone()),
        _ => step.name.parent(),
    };
    subjects.push(subject(&step.name, "the name"));
    let Some(encloser) = encloser else { return subjects };
    if !matches!(step.ended, Ended::Exact(_)) {
        let extra = step.name.label_count().saturating_sub(encloser.label_count() + 1);
        let next_closer = step.name.iter_suffixes().nth(extra).filter(|_| extra > 0);
        let next_closer = next_closer.map(|suffix| Name::from_octets(suffix.as_octets().clone()));
        subjects.extend(next_closer.and_then(Result::ok).map(|name| Subject { name, role: "the next closer name" }));
        // A wildcard that answers proves itself.
        let is_denied = !matches!(step.ended, Ended::Wildcard(_, Holds::Data | Holds::Alias));
        let wildcard = [b"\x01*", encloser.as_slice()].concat();
        let wildcard = Name::from_octets(wildcard.into()).ok().filter(|_| is_denied);
        subjects.extend(wildcard.map(|name| Subject { name, role: "the wildcard" }));
    }
    subjects.push(Subject { name: encloser, role: ENCLOSER });
    subjects
}

/// The NSEC and NSEC3 records of the authority section with what each says.
fn proofs(authority: &[Record], trace: &Trace, rtype: Rtype) -> Vec<Proof> {
    let steps = trace.asked.iter().flat_map(|asked| &asked.steps);
    let mut subjects: Vec<Subject> = steps.flat_map(subjects).collect();
    // Two aliases of a chain may have the same closest encloser.
    let mut told = HashSet::new();
    subjects.retain(|subject| told.insert((subject.name.clone(), subject.role)));
    let records = authority.iter().filter(|record| matches!(record.rtype, Rtype::NSEC | Rtype::NSEC3));
    let proofs = records.map(|record| {
        let says = subjects.iter().filter_map(|subject| says(record, subject, rtype));
        Proof { owner: record.owner.clone(), rtype: record.rtype, says: says.collect() }
    });
    proofs.collect()
}

/// What a record says of a name, if anything.
fn says(record: &Record, subject: &Subject, rtype: Rtype) -> Option<String> {
    let Subject { name, role } = subject;
    let text = name::to_text(name);
    let (is_it, lies_in_gap) = match record.rtype {
        Rtype::NSEC => {
            let next = types::names_in_rdata(Rtype::NSEC, &record.rdata).first().map(|at| at.octets)?;
            let next = Name::from_octets(record.rdata.get(..next)?.to_vec().into()).ok()?;
            if *name != record.owner && next != *name && next.ends_with(name) && *role != ENCLOSER {
                return Some(format!("{text}, {role}, exists only because {} does.", name::to_text(&next)));
            }
            (*name == record.owner, is_between(&record.owner, name, &next))
        }
        _ => {
            let lower = name.as_slice().to_ascii_lowercase();
            let (hash, first) = (Parameters::read(&record.rdata)?.hash(&lower), nsec3::hash_of_owner(&record.owner)?);
            // Algorithm, flags, iterations, the salt with its length, the length of the hash (RFC 5155 §3.2).
            let salt_octets = usize::from(*record.rdata.get(4)?);
            let next = record.rdata.get(5 + salt_octets + 1..)?.first_chunk::<HASH_OCTETS>()?;
            (hash == first, is_between(&first, &hash, next))
        }
    };
    let rtype = types::rtype_to_text(rtype);
    match (*role, is_it, lies_in_gap) {
        ("the name", true, _) => Some(format!("{text}, the name, exists and has no {rtype} records.")),
        ("the wildcard", true, _) => Some(format!("{text}, the wildcard, exists and has no {rtype} records.")),
        ("the zone cut", true, _) => {
            Some(format!("{text}, the zone cut, has no DS records: the zone below is not signed."))
        }
        (_, true, _) => Some(format!("{text}, {role}, exists.")),
        (_, false, true) => Some(format!("{text}, {role}, lies in its gap and does not exist.")),
        (_, false, false) => None,
    }
}

/// Whether something lies in the gap between two places on a ring.
fn is_between<T: Ord>(first: &T, middle: &T, last: &T) -> bool {
    match first < last {
        true => first < middle && middle < last,
        false => first < middle || middle < last,
    }
}

/// What a name is that certainly exists: said where it is proved, but no reason by itself.
const ENCLOSER: &str = "the closest encloser";

/// Octets that the played client takes over UDP.
const PAYLOAD_SIZE: u16 = 1232;

/// The port of the played client.
const CLIENT_PORT: u16 = 53_535;

#[cfg(test)]
mod tests;
