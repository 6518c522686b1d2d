//! zonda's own API: RRsets, the records of one owner and type, read and set whole.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::edit::{EditError, Expected, NodeData, Op, RrsetData};
use store::{Faulty, Name, Rtype, Serial, name, types};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{Answer, Content, IF_MATCH, Operation, Param};
use super::paging::{self, Cut, Paging};
use super::record_input;
use super::report::{self, Report, Terms, apex, no_zone};

/// A page of the RRsets of a zone.
#[derive(Serialize, JsonSchema)]
struct RrsetList {
    /// Where the list was cut.
    #[serde(flatten)]
    cut: Cut,
    /// The RRsets, in canonical order of their owners.
    rrsets: Vec<Rrset>,
}

/// The records of one owner and type.
#[derive(Serialize, JsonSchema)]
pub(super) struct Rrset {
    /// The owner's name.
    name: String,
    /// The record type.
    r#type: String,
    /// Seconds; null takes the default of the server.
    ttl: Option<u32>,
    /// The records.
    records: Vec<Record>,
}

/// A record.
#[derive(Serialize, JsonSchema)]
struct Record {
    /// Its data as in a zone file.
    content: String,
}

/// What an RRset is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRrset {
    /// Seconds; the default of the server if not given.
    #[schemars(range(max = 2_147_483_647))]
    ttl: Option<u32>,
    /// The records, at least one.
    #[schemars(length(min = 1))]
    records: Vec<NewRecord>,
}

/// A record to be written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRecord {
    /// Its data as in a zone file; names without a final dot are below the zone.
    #[schemars(extend("examples" = ["192.0.2.1"]))]
    content: String,
}

/// Changes of a zone that are made together or not at all.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Changes {
    /// The changes, in order.
    changes: Vec<NewChange>,
}

/// A change of one RRset.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChange {
    /// What to do.
    op: ChangeOp,
    /// The zone, if it is another than the one that is changed in the first place. `If-Match` says nothing of it.
    zone: Option<String>,
    /// The owner's name: with a final dot in full, else below the zone; `@` is the apex.
    #[schemars(extend("examples" = ["www"]))]
    name: String,
    /// The record type.
    #[schemars(extend("examples" = ["A"]))]
    r#type: String,
    /// Seconds; the default of the server if not given.
    #[schemars(range(max = 2_147_483_647))]
    ttl: Option<u32>,
    /// The records: at least one to replace, none to delete.
    #[serde(default)]
    records: Vec<NewRecord>,
}

/// What is done to an RRset.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ChangeOp {
    /// It is made to hold the records given.
    Replace,
    /// It is removed, if it is there.
    Delete,
}

/// What [`list`] does.
pub(super) const LIST: Operation = Operation {
    params: &[
        Param::query::<String>(
            "search",
            "Part of the owners' names or of the data of one of the records, in any case.",
        ),
        Param::query::<String>("name", "Part of the owners' names, in any case."),
        Param::query::<String>("type", "The record type."),
        Param::query::<String>("content", "Part of the data of one of the records, in any case."),
        Paging::PAGE,
        Paging::PER_PAGE,
    ],
    ..Operation::new("List RRsets", &[Answer::new(200, "A page of the RRsets.", &[Content::json::<RrsetList>()])])
};

/// What [`view`] does.
pub(super) const VIEW: Operation =
    Operation::new("View an RRset", &[Answer::new(200, "The RRset.", &[Content::json::<Rrset>()])]);

/// What [`put`] does.
pub(super) const PUT: Operation = Operation {
    params: &[report::DRY_RUN, IF_MATCH],
    body: &[Content::json::<NewRrset>()],
    ..Operation::new("Set an RRset", WRITTEN)
};

/// What [`delete`] does.
pub(super) const DELETE: Operation =
    Operation { params: &[report::DRY_RUN, IF_MATCH], ..Operation::new("Delete an RRset", WRITTEN) };

/// What [`patch`] does.
pub(super) const PATCH: Operation = Operation {
    params: &[report::DRY_RUN, IF_MATCH],
    body: &[Content::json::<Changes>()],
    ..Operation::new("Change many RRsets at once", WRITTEN)
};

/// The answer to a write.
const WRITTEN: &[Answer] =
    &[Answer::new(200, "The change is served, or would be (dry run).", &[Content::json::<Report>()])];

/// `GET /api/zonda/zones/{zone}/rrsets`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let paging = Paging::parse(&call.query)?;
    let lower = |name: &str| call.query.get(name).map(str::to_ascii_lowercase);
    let (search, owner, content) = (lower("search"), lower("name"), lower("content"));
    let rtype = call
        .query
        .get("type")
        .map(|text| types::rtype_from_text(text).ok_or_else(|| paging::parameter("type", "this is not a record type")));
    let rtype = rtype.transpose()?;
    let site = Arc::clone(&call.site);
    let _permit = site.listings.acquire().await;
    let read = site.blocking(move |store| {
        let (mut serial, mut total, mut rrsets) = (None, 0, Vec::new());
        let is_there = store.nodes(&apex, &mut |node| {
            // The apex comes first.
            serial = serial.or_else(|| serial_of(&node));
            let named = |part: &String| name::to_text(&node.owner).to_ascii_lowercase().contains(part);
            if owner.as_ref().is_some_and(|part| !named(part)) {
                return;
            }
            // What is found by its name is not searched for in the data.
            let search = search.as_ref().filter(|part| !named(part));
            for rrset in node.rrsets.iter().filter(|rrset| rtype.is_none_or(|rtype| rrset.rtype == rtype)) {
                if content.iter().chain(search).any(|part| !has_content(rrset, part)) {
                    continue;
                }
                if paging.has(total) {
                    rrsets.push(Rrset::new(&node.owner, rrset));
                }
                total += 1;
            }
        })?;
        Ok(is_there.then_some((serial, total, rrsets)))
    });
    let (serial, total, rrsets) = read.await?.map_err(|why| ApiError::store(&why))?.ok_or_else(no_zone)?;
    Reply::of_zone(serial, &RrsetList { cut: paging.of(total), rrsets })
}

/// `GET /api/zonda/zones/{zone}/rrsets/{name}/{type}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    let (apex, owner, rtype) = in_path(&call)?;
    let node = call.site.blocking(move |store| store.node(&apex, &owner)).await?;
    let (zone, node) = node.map_err(|why| ApiError::store(&why))?.ok_or_else(no_zone)?;
    let node = node.ok_or_else(no_rrset)?;
    let rrset = node.rrsets.iter().find(|rrset| rrset.rtype == rtype).ok_or_else(no_rrset)?;
    Reply::of_zone(Some(zone.serial.into_int()), &Rrset::new(&node.owner, rrset))
}

/// `PUT /api/zonda/zones/{zone}/rrsets/{name}/{type}`
pub(super) async fn put(mut call: Call) -> Result<Reply, ApiError> {
    let (apex, owner, rtype) = in_path(&call)?;
    let terms = Terms::of(&call)?.or(Expected::Present);
    let new: NewRrset = call.take_json().await?;
    let mut faults = FieldFaults::default();
    let rdata = rdata(&new.records, rtype, &apex, "", &mut faults);
    if !faults.is_empty() {
        return Err(ApiError::fields(NOT_WRITTEN, faults));
    }
    let op = Op::Rrset { apex: apex.clone(), owner, rtype, ttl: new.ttl, rdata };
    let report = Report::of(&terms, &apex, vec![op]).await?.map_err(|why| refused(why, |_| String::new()))?;
    report.reply(StatusCode::OK)
}

/// `DELETE /api/zonda/zones/{zone}/rrsets/{name}/{type}`
pub(super) async fn delete(call: Call) -> Result<Reply, ApiError> {
    let (apex, owner, rtype) = in_path(&call)?;
    let terms = Terms::of(&call)?.or(Expected::Present);
    let op = Op::Rrset { apex: apex.clone(), owner, rtype, ttl: None, rdata: Vec::new() };
    let report = Report::of(&terms, &apex, vec![op]).await?.map_err(|why| refused(why, |_| String::new()))?;
    match report.removed {
        0 => Err(no_rrset()),
        _ => report.reply(StatusCode::OK),
    }
}

/// `PATCH /api/zonda/zones/{zone}/rrsets`
pub(super) async fn patch(mut call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let terms = Terms::of(&call)?.or(Expected::Present);
    let Changes { changes } = call.take_json().await?;
    let ops = to_ops(&changes, &apex, &call)?;
    let report = Report::of(&terms, &apex, ops).await?.map_err(|why| refused(why, change_place))?;
    report.reply(StatusCode::OK)
}

/// The answer to refused changes.
pub(super) fn refused(why: EditError, place: fn(usize) -> String) -> ApiError {
    match why {
        EditError::NoZone(_) => no_zone(),
        EditError::Rule { op, field, message } => {
            let mut faults = FieldFaults::default();
            faults.invalid(&format!("{}{}", place(op), field_name(field)), &message);
            ApiError::fields(NOT_WRITTEN, faults)
        }
        why => ApiError::edit(NOT_WRITTEN, why),
    }
}

/// The ops that changes are; other zones than the one with this apex have to be there, too.
pub(super) fn to_ops(changes: &[NewChange], apex: &Name, call: &Call) -> Result<Vec<Op>, ApiError> {
    let mut faults = FieldFaults::default();
    let mut ops = Vec::with_capacity(changes.len());
    let mut others = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let place = change_place(at);
        let other = change.zone.as_deref().map(report::zone_name).transpose();
        let Ok(other) = other.map_err(|why| faults.invalid(&format!("{place}zone"), &why)) else { continue };
        let apex = other.as_ref().unwrap_or(apex);
        if other.is_some() {
            if !call.covers(apex) {
                return Err(ApiError::other_zones());
            }
            others.push(Op::Expect(apex.clone(), Expected::Present));
        }
        let owner = record_input::owner_name(&change.name, apex);
        let owner = owner.map_err(|why| faults.invalid(&format!("{place}name"), &why)).ok();
        let rtype = record_input::rtype(&change.r#type);
        let rtype = rtype.map_err(|why| faults.invalid(&format!("{place}type"), &why)).ok();
        let (Some(owner), Some(rtype)) = (owner, rtype) else { continue };
        let rdata = match change.op {
            ChangeOp::Replace => rdata(&change.records, rtype, apex, &place, &mut faults),
            ChangeOp::Delete if change.records.is_empty() => Vec::new(),
            ChangeOp::Delete => {
                faults
                    .invalid(&format!("{place}records"), "a whole RRset is deleted; to keep some records, replace it");
                continue;
            }
        };
        ops.push(Op::Rrset { apex: apex.clone(), owner, rtype, ttl: change.ttl, rdata });
    }
    // They ask how the zones were before, so that they may stand behind, where they move no other op.
    ops.append(&mut others);
    match faults.is_empty() {
        true => Ok(ops),
        false => Err(ApiError::fields(NOT_WRITTEN, faults)),
    }
}

/// What stands before the names of the fields of a change.
pub(super) fn change_place(at: usize) -> String {
    format!("changes[{at}].")
}

/// The data of the records of an RRset; faults get their place before the name of the field.
fn rdata(records: &[NewRecord], rtype: Rtype, apex: &Name, place: &str, faults: &mut FieldFaults) -> Vec<Bytes> {
    if records.is_empty() {
        faults.required(&format!("{place}records"));
    }
    let mut rdata = Vec::with_capacity(records.len());
    for (at, record) in records.iter().enumerate() {
        match types::rdata_from_text(rtype, &record.content, Some(apex)) {
            Ok(octets) => rdata.push(octets),
            Err(why) => faults.invalid(&format!("{place}records[{at}].content"), &why.to_string()),
        }
    }
    rdata
}

/// Zone, owner and type in the path.
fn in_path(call: &Call) -> Result<(Name, Name, Rtype), ApiError> {
    let apex = apex(call)?;
    let mut faults = FieldFaults::default();
    let owner = record_input::owner_name(call.path("name"), &apex);
    let owner = owner.map_err(|why| faults.invalid("name", &why)).ok();
    let rtype = record_input::rtype(call.path("type"));
    let rtype = rtype.map_err(|why| faults.invalid("type", &why)).ok();
    match (owner, rtype) {
        (Some(owner), Some(rtype)) => Ok((apex, owner, rtype)),
        _ => Err(ApiError::fields("The path does not name an RRset.", faults)),
    }
}

impl Rrset {
    /// The RRsets at one name.
    pub(super) fn of_node(node: &NodeData) -> impl Iterator<Item = Self> {
        node.rrsets.iter().map(|rrset| Self::new(&node.owner, rrset))
    }

    /// An RRset as JSON tells it.
    fn new(owner: &Name, rrset: &RrsetData) -> Self {
        let content = |rdata: &[u8]| Record { content: types::rdata_to_text(rrset.rtype, rdata) };
        Self {
            name: name::to_text(owner),
            r#type: types::rtype_to_text(rrset.rtype),
            // RFC 2181 §5.2: an RRset has one TTL.
            ttl: rrset.records.iter().filter_map(|(ttl, _)| *ttl).min(),
            records: rrset.records.iter().map(|(_, rdata)| content(rdata)).collect(),
        }
    }
}

/// The serial in the SOA record of a node.
pub(super) fn serial_of(node: &NodeData) -> Option<u32> {
    let soa = node.rrsets.iter().find(|rrset| rrset.rtype == Rtype::SOA)?;
    store::soa_serial(&soa.records.first()?.1).map(Serial::into_int)
}

/// Whether a record of an RRset has a text in its data.
fn has_content(rrset: &RrsetData, part: &str) -> bool {
    let mut texts = rrset.records.iter().map(|(_, rdata)| types::rdata_to_text(rrset.rtype, rdata));
    texts.any(|text| text.to_ascii_lowercase().contains(part))
}

/// 404 for an RRset that is not there.
fn no_rrset() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "There is no such RRset.")
}

/// The field of an RRset.
fn field_name(field: Faulty) -> &'static str {
    match field {
        Faulty::Id | Faulty::Zone => "zone",
        Faulty::Name => "name",
        Faulty::Rtype => "type",
        Faulty::Ttl => "ttl",
        Faulty::Content => "records",
    }
}

/// A refused write.
const NOT_WRITTEN: &str = "Failed to change the zone.";
