//! zonda's own API: why a question gets its answer.

use std::net::IpAddr;
use std::time::Duration;

use domain::utils::base64;
use engine::plugin::corefile::Scheme;
use engine::plugin::{Asked, Flow, Listener, Transport};
use engine::zone::{Ended, Holds, Step};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Name, Rtype, name, types};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{self, Content, Operation, Param};
use super::paging;
use crate::explain::{self, Answer, Explanation, Question, Record};

/// The answer to a question, and the way to it.
#[derive(Serialize, JsonSchema)]
struct Explained {
    /// The question as it was understood.
    question: ExplainedQuestion,
    /// The answer; null if the query is dropped, or if other servers have to be asked.
    answer: Option<ExplainedAnswer>,
    /// The way to it.
    path: ExplainedPath,
}

/// A question that was asked for an explanation.
#[derive(Serialize, JsonSchema)]
struct ExplainedQuestion {
    /// The name.
    name: String,
    /// The type.
    r#type: String,
    /// Whether DNSSEC records were wanted.
    r#do: bool,
    /// The client that was played.
    client: String,
    /// What it asked over.
    transport: &'static str,
    /// The listener that it asked.
    server: Option<String>,
}

/// An answer taken apart.
#[derive(Serialize, JsonSchema)]
struct ExplainedAnswer {
    /// The rcode, with its extension.
    rcode: String,
    /// The flags that are set.
    flags: Vec<&'static str>,
    /// The records, without OPT.
    sections: ExplainedSections,
    /// The answer as dig prints it.
    text: String,
    /// Octets of the message.
    size: usize,
    /// Nanoseconds that the server took for it, the notes for the explanation included.
    nanos: u64,
    /// The message in Base64.
    wire: String,
}

/// The records of an answer by section.
#[derive(Serialize, JsonSchema)]
struct ExplainedSections {
    /// What was asked for.
    answer: Vec<ExplainedRecord>,
    /// What an answer without data, or a referral, comes from, and proofs.
    authority: Vec<ExplainedRecord>,
    /// What is likely to be asked next.
    additional: Vec<ExplainedRecord>,
}

/// A record of an answer.
#[derive(Serialize, JsonSchema)]
struct ExplainedRecord {
    /// Its owner.
    name: String,
    /// Its TTL in seconds.
    ttl: u32,
    /// Its class.
    class: &'static str,
    /// Its type.
    r#type: String,
    /// Its data as in a zone file.
    data: String,
}

/// How an answer came about.
#[derive(Serialize, JsonSchema)]
struct ExplainedPath {
    /// The zone of the server block; null if no block is for the name.
    block: Option<String>,
    /// The plugins of the block that were reached, in their order.
    plugins: Vec<ExplainedPlugin>,
    /// The plugin that answered; null if the server itself did, or if other servers have to be asked.
    answered_by: Option<&'static str>,
    /// The search: one step for the name, and one for the target of each alias.
    steps: Vec<ExplainedStep>,
    /// What the NSEC and NSEC3 records of the answer prove.
    proofs: Vec<ExplainedProof>,
}

/// A plugin that was reached.
#[derive(Serialize, JsonSchema)]
struct ExplainedPlugin {
    /// Its name.
    name: &'static str,
    /// What it did.
    did: String,
}

/// The search for one name.
#[derive(Serialize, JsonSchema)]
struct ExplainedStep {
    /// The plugin that searched.
    plugin: &'static str,
    /// The name.
    name: String,
    /// The zone that it is in.
    zone: String,
    /// The serial of the zone; null if its data cannot be had.
    serial: Option<u32>,
    /// Whether the zone is signed.
    signed: bool,
    /// How the name matched.
    r#match: Matched,
    /// The name at which the search ended: the name itself, the wildcard, the zone cut, the DNAME.
    owner: Option<String>,
    /// The closest encloser of a name that does not exist.
    closest_encloser: Option<String>,
    /// What is there.
    holds: Option<Held>,
    /// All that in a sentence.
    text: String,
}

/// How a name matched.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Matched {
    /// It exists.
    Exact,
    /// A wildcard covers it.
    Wildcard,
    /// It is at or below a zone cut.
    Cut,
    /// It is below a DNAME.
    Dname,
    /// It does not exist.
    None,
    /// The data of its zone cannot be had.
    Withheld,
}

/// What a name holds for a question.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Held {
    /// Records of the type.
    Data,
    /// A CNAME.
    Alias,
    /// Records of other types.
    Nodata,
    /// Nothing, but names below it exist.
    EmptyNonTerminal,
}

/// A record that proves something.
#[derive(Serialize, JsonSchema)]
struct ExplainedProof {
    /// Its owner.
    name: String,
    /// NSEC or NSEC3.
    r#type: String,
    /// What it says of the names that matter, a sentence each.
    says: Vec<String>,
}

/// A transport by its name.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a parameter")]
enum TransportName {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

/// What [`get`] does.
pub(super) const GET: Operation = Operation {
    params: &[
        Param::needed_query::<String>("name", "The name to ask for, with or without the final dot."),
        Param::query::<String>("type", "The type to ask for; `A` if not given."),
        Param::query::<bool>("do", "Whether DNSSEC records are wanted."),
        Param::query::<String>("client", "The address of the client to play; your own if not given."),
        Param::query::<TransportName>("transport", "What the client asks over; `udp` if not given."),
        Param::query::<String>(
            "server",
            "The listener to ask, such as `192.0.2.53:53` or `tls://192.0.2.53:853`; the first if not given.",
        ),
    ],
    errors: &[404],
    ..Operation::new(
        "Explain why a question gets its answer",
        &[openapi::Answer::new(200, "The answer and the way to it.", &[Content::json::<Explained>()])],
    )
};

/// `GET /api/zonda/explain`
pub(super) async fn get(call: Call) -> Result<Reply, ApiError> {
    let Some(insight) = call.site.insight.clone() else { return Err(ApiError::not_found()) };
    let servers = insight.switch.current().listeners().collect::<Vec<_>>();
    let question = read(&call, &servers)?;
    if !call.covers(&question.name) {
        return Err(ApiError::other_zones());
    }
    let asked = ExplainedQuestion {
        name: name::to_text(&question.name),
        r#type: types::rtype_to_text(question.rtype),
        r#do: question.dnssec_ok,
        client: question.client.to_string(),
        transport: question.transport.name(),
        server: servers
            .iter()
            .find(|(number, _)| *number == question.listener)
            .map(|(_, listener)| listener.to_string()),
    };
    let rtype = question.rtype;
    let explained = call.site.blocking(move |_| explain::explain(&insight.switch, &question)).await?;
    let mut explained = explained.map_err(|why| ApiError::internal(&why))?;
    // An alias may lead on to zones that the token is not for.
    for asked in &mut explained.trace.asked {
        asked.steps.retain(|step| call.covers(&step.zone));
    }
    let path = path(&explained, rtype);
    Reply::of(&Explained { question: asked, answer: explained.answer.map(|given| answer(given, explained.took)), path })
}

/// The question in the parameters.
fn read(call: &Call, servers: &[(usize, Listener)]) -> Result<Question, ApiError> {
    let mut faults = FieldFaults::default();
    let name = match call.query.get("name") {
        None => {
            faults.required("name");
            Name::root_bytes()
        }
        Some(text) => name::parse(text, Some(&Name::root_bytes())).unwrap_or_else(|why| {
            faults.invalid("name", &why.to_string());
            Name::root_bytes()
        }),
    };
    let dnssec_ok = paging::flag(&call.query, "do")?;
    let transport = match call.query.given("transport") {
        None | Some("udp") => Transport::Udp,
        Some("tcp") => Transport::Tcp,
        Some(_) => {
            faults.invalid("transport", "must be udp or tcp");
            Transport::Udp
        }
    };
    let rtype = match call.query.given("type").unwrap_or("A") {
        any if any.eq_ignore_ascii_case("ANY") => Rtype::ANY,
        text => types::rtype_from_text(text).unwrap_or_else(|| {
            faults.invalid("type", &format!("{text:?} is no type of records"));
            Rtype::A
        }),
    };
    let client = match call.query.given("client") {
        None => call.peer.ip().to_canonical(),
        Some(text) => text.parse().unwrap_or_else(|_| {
            faults.invalid("client", &format!("{text:?} is no address"));
            IpAddr::from([0; 4])
        }),
    };
    let listener = match call.query.given("server") {
        None => servers.first(),
        Some(text) => servers.iter().find(|(_, listener)| listener.to_string() == text).or_else(|| {
            let known: Vec<_> = servers.iter().map(|(_, listener)| listener.to_string()).collect();
            faults.invalid("server", &format!("must be one of {}", known.join(", ")));
            None
        }),
    };
    // Others than plain DNS have one transport each.
    let own = listener.map(|(_, listener)| listener.scheme).filter(|scheme| *scheme != Scheme::Dns);
    let transport = own.map_or(transport, Scheme::transport);
    let listener = listener.map_or(0, |(number, _)| *number);
    match faults.is_empty() {
        true => Ok(Question { name, rtype, dnssec_ok, client, transport, listener }),
        false => Err(ApiError::fields("The question cannot be asked.", faults)),
    }
}

/// The answer.
fn answer(answer: Answer, took: Duration) -> ExplainedAnswer {
    let [answers, authority, additional] =
        answer.sections.map(|records| records.into_iter().map(record).collect::<Vec<_>>());
    ExplainedAnswer {
        rcode: answer.rcode,
        flags: answer.flags,
        sections: ExplainedSections { answer: answers, authority, additional },
        text: answer.text,
        size: answer.wire.len(),
        nanos: took.as_nanos() as u64,
        wire: base64::encode_string(&answer.wire),
    }
}

/// A record.
fn record(record: Record) -> ExplainedRecord {
    ExplainedRecord {
        name: name::to_text(&record.owner),
        ttl: record.ttl,
        class: "IN",
        r#type: types::rtype_to_text(record.rtype),
        data: types::rdata_to_text(record.rtype, &record.rdata),
    }
}

/// The way to the answer.
fn path(explained: &Explanation, rtype: Rtype) -> ExplainedPath {
    let trace = &explained.trace;
    let answered =
        trace.asked.last().filter(|asked| asked.flow.is_some_and(|flow| !matches!(flow, Flow::Next | Flow::Later)));
    let steps = trace.asked.iter().flat_map(|asked| asked.steps.iter().map(|found| step(asked.plugin, found, rtype)));
    let proofs = explained.proofs.iter().map(|proof| ExplainedProof {
        name: name::to_text(&proof.owner),
        r#type: types::rtype_to_text(proof.rtype),
        says: proof.says.clone(),
    });
    ExplainedPath {
        block: trace.block.as_ref().map(name::to_text),
        plugins: trace.asked.iter().map(plugin).collect(),
        answered_by: answered.map(|asked| asked.plugin),
        steps: steps.collect(),
        proofs: proofs.collect(),
    }
}

/// A plugin and what it did.
fn plugin(asked: &Asked) -> ExplainedPlugin {
    let did = match asked.flow {
        None => "left out: it only watches, or is not for the class".into(),
        Some(Flow::Next) => "passed the query on".into(),
        Some(Flow::Done) => "answered".into(),
        Some(Flow::Rcode(rcode)) => format!("answered with {}", explain::rcode_name(rcode)),
        Some(Flow::Later) => "asks other servers, which an explanation does not; what a cache has kept is told".into(),
        Some(Flow::Drop) => "dropped the query".into(),
    };
    ExplainedPlugin { name: asked.plugin, did }
}

/// A step of the search.
fn step(plugin: &'static str, step: &Step, rtype: Rtype) -> ExplainedStep {
    let (matched, owner, encloser, holds) = match &step.ended {
        Ended::Withheld => (Matched::Withheld, None, None, None),
        Ended::Exact(holds) => (Matched::Exact, Some(step.name.clone()), None, Some(*holds)),
        Ended::Wildcard(owner, holds) => (Matched::Wildcard, Some(owner.clone()), owner.parent(), Some(*holds)),
        Ended::Cut(owner) => (Matched::Cut, Some(owner.clone()), None, None),
        Ended::Dname(owner) => (Matched::Dname, Some(owner.clone()), None, None),
        Ended::NameError(encloser) => (Matched::None, None, Some(encloser.clone()), None),
    };
    ExplainedStep {
        plugin,
        name: name::to_text(&step.name),
        zone: name::to_text(&step.zone),
        serial: step.serial.map(|serial| serial.into_int()),
        signed: step.is_signed,
        r#match: matched,
        owner: owner.as_ref().map(name::to_text),
        closest_encloser: encloser.as_ref().map(name::to_text),
        holds: holds.map(|holds| match holds {
            Holds::Data => Held::Data,
            Holds::Alias => Held::Alias,
            Holds::NoData => Held::Nodata,
            Holds::EmptyNonTerminal => Held::EmptyNonTerminal,
        }),
        text: explain::sentence(step, rtype),
    }
}
