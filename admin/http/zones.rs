//! zonda's own API: the list of zones, and zones as a whole.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::edit::{Expected, Op};
use store::{LastChange, Rtype, ZoneInfo, ZoneState, name, types};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{Answer, Content, IF_MATCH, Operation, Param};
use super::paging::{Cut, Paging, parameter};
use super::report::{self, Report, Terms, apex, no_zone};
use super::time;
use super::zonefile::{self, Refusal};

/// A page of the zones of the database.
#[derive(Serialize, JsonSchema)]
struct ZoneList {
    /// Where the list was cut.
    #[serde(flatten)]
    cut: Cut,
    /// The zones.
    zones: Vec<Zone>,
}

/// A zone.
#[derive(Serialize, JsonSchema)]
struct Zone {
    /// Its name.
    zone: String,
    /// Its serial; null if that cannot be read.
    serial: Option<u32>,
    /// How many records it holds; null if that cannot be read.
    records: Option<u64>,
    /// When it last changed; null if that cannot be read.
    updated: Option<String>,
    /// Who changed it last; null if that is not remembered.
    who: Option<String>,
    /// The door of that change.
    api: Option<&'static str>,
    /// Whether it is served.
    state: State,
}

/// Whether a zone is served.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is sound.
    Served,
    /// Its records are damaged: it is not served until it is restored, replaced or removed.
    Withheld,
    /// Not even its header can be read.
    Damaged,
}

/// A zone to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewZone {
    /// Its name, with or without the final dot.
    #[schemars(extend("examples" = ["example.net"]))]
    zone: String,
    /// Its name servers: with a final dot in full, else below the zone. Without them and without a zone file there is
    /// one, `ns1` below the zone.
    nameservers: Option<Vec<String>>,
    /// All its records as a zone file.
    zonefile: Option<String>,
}

/// What [`list`] does.
pub(super) const LIST: Operation = Operation {
    params: &[
        Param::query::<String>("search", "Part of the zones' names, in any case."),
        Param::query::<SortKey>("sort", "The order, with `-` before it to descend; `zone` if not given."),
        Paging::PAGE,
        Paging::PER_PAGE,
    ],
    ..Operation::new("List zones", &[Answer::new(200, "A page of the zones.", &[Content::json::<ZoneList>()])])
};

/// What [`view`] does.
pub(super) const VIEW: Operation =
    Operation::new("View a zone", &[Answer::new(200, "The zone.", &[Content::json::<Zone>()])]);

/// What [`create`] does.
pub(super) const CREATE: Operation = Operation {
    params: &[report::DRY_RUN],
    body: &[Content::json::<NewZone>()],
    errors: &[409],
    ..Operation::new(
        "Make a zone",
        &[
            Answer::new(201, "The zone is served.", &[Content::json::<Report>()]),
            Answer::new(200, "What would be made (dry run).", &[Content::json::<Report>()]),
        ],
    )
};

/// What [`remove`] does.
pub(super) const REMOVE: Operation = Operation {
    params: &[report::DRY_RUN, IF_MATCH],
    ..Operation::new(
        "Remove a zone",
        &[
            Answer::empty("The zone is gone."),
            Answer::new(200, "What would be removed (dry run).", &[Content::json::<Report>()]),
        ],
    )
};

/// `GET /api/zonda/zones`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let paging = Paging::parse(&call.query)?;
    let sort = call.query.given("sort").unwrap_or("zone");
    let (key, descends) = sort.strip_prefix('-').map_or((sort, false), |key| (key, true));
    let sort = SORTS.iter().find(|(name, _)| *name == key);
    let (_, value) = sort.ok_or_else(|| parameter("sort", "this is one of zone, serial, records and updated"))?;
    let search = call.query.get("search").map(str::to_ascii_lowercase);
    let token = call.api_token;
    let found = call.site.blocking(move |store| {
        let mut total = 0;
        let picked = store.survey(&mut |mut zones| {
            zones.retain(|zone| token.as_ref().is_none_or(|token| token.covers(zone.apex())));
            if let Some(search) = &search {
                zones.retain(|zone| name::to_text(zone.apex()).to_ascii_lowercase().contains(search));
            }
            total = zones.len() as u64;
            // They come in canonical order, which stays among equal ones.
            if let Some(value) = value {
                zones.sort_by_key(|zone| zone.info().map(value));
            }
            if descends {
                zones.reverse();
            }
            paging.cut(zones)
        })?;
        Ok((picked, total))
    });
    let (zones, total) = found.await?.map_err(|why| ApiError::store(&why))?;
    Reply::of(&ZoneList { cut: paging.of(total), zones: zones.into_iter().map(Zone::new).collect() })
}

/// `GET /api/zonda/zones/{zone}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let found = call.site.blocking(move |store| store.zone(&apex)).await?;
    let zone = Zone::new(found.map_err(|why| ApiError::store(&why))?.ok_or_else(no_zone)?);
    Reply::of_zone(zone.serial, &zone)
}

/// `POST /api/zonda/zones`
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let terms = Terms::of(&call)?;
    if terms.expected.is_some() {
        return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, "A zone that is not there yet matches nothing."));
    }
    let terms = terms.or(Expected::Absent);
    let _upload = terms.site.imports.upload(call.is_large()).await;
    let new: NewZone = call.take_json().await?;
    let _turn = terms.site.imports.turn().await;
    let mut faults = FieldFaults::default();
    let apex = report::zone_name(&new.zone).map_err(|why| faults.invalid("zone", &why)).ok();
    if new.nameservers.is_some() && new.zonefile.is_some() {
        faults.invalid("zonefile", "a zone file has the name servers in it; give one or the other");
    }
    let mut servers = Vec::new();
    if let (Some(apex), None) = (&apex, &new.zonefile) {
        let given = new.nameservers.unwrap_or_else(|| vec![NAMESERVER.into()]);
        if given.is_empty() {
            faults.required("nameservers");
        }
        for (at, text) in given.iter().enumerate() {
            match types::rdata_from_text(Rtype::NS, text, Some(apex)) {
                Ok(rdata) => servers.push(rdata),
                Err(why) => faults.invalid(&format!("nameservers[{at}]"), &why.to_string()),
            }
        }
    }
    let Some(apex) = apex.filter(|_| faults.is_empty()) else {
        return Err(ApiError::fields(NOT_CREATED, faults));
    };
    if !call.covers(&apex) {
        return Err(ApiError::other_zones());
    }
    let made = match new.zonefile {
        Some(text) => zonefile::import(&terms, &apex, text.into_bytes()).await?,
        None => {
            let owner = apex.clone();
            let op = Op::Rrset { apex: apex.clone(), owner, rtype: Rtype::NS, ttl: None, rdata: servers };
            Report::of(&terms, &apex, vec![op]).await?.map_err(Refusal::Edit)
        }
    };
    let report = made.map_err(|refusal| refusal.into_error(NOT_CREATED))?;
    let status = if terms.dry_run { StatusCode::OK } else { StatusCode::CREATED };
    report.reply(status)
}

/// `DELETE /api/zonda/zones/{zone}`
pub(super) async fn remove(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let terms = Terms::of(&call)?;
    match Report::of(&terms, &apex, vec![Op::RemoveZone(apex.clone())]).await? {
        Ok(report) if terms.dry_run => Reply::of(&report),
        Ok(_) => Ok(Reply::Empty),
        Err(why) => Err(Refusal::Edit(why).into_error("Failed to remove the zone.")),
    }
}

impl Zone {
    /// The line of a zone.
    fn new((zone, last): (ZoneState, Option<LastChange>)) -> Self {
        let info = zone.info();
        Self {
            zone: name::to_text(zone.apex()),
            serial: info.map(|info| info.serial.into_int()),
            records: info.map(|info| info.records),
            updated: info.map(|info| time::to_text(info.updated)),
            api: last.as_ref().map(|last| report::api_name(last.api)),
            who: last.map(|last| last.who),
            state: match zone {
                ZoneState::Served(_) => State::Served,
                ZoneState::Withheld(_) => State::Withheld,
                ZoneState::Damaged(_) => State::Damaged,
            },
        }
    }
}

/// Describes the parameter `sort`.
#[derive(JsonSchema)]
#[schemars(extend("enum" = ["zone", "-zone", "serial", "-serial", "records", "-records", "updated", "-updated"]))]
struct SortKey(#[expect(dead_code, reason = "describes it")] String);

/// What zones are sorted by: its name and its value; without a value the order is that of their names.
type SortBy = (&'static str, Option<fn(&ZoneInfo) -> u64>);

/// All that zones can be sorted by.
const SORTS: &[SortBy] = &[
    ("zone", None),
    ("serial", Some(|zone| zone.serial.into_int().into())),
    ("records", Some(|zone| zone.records)),
    ("updated", Some(|zone| zone.updated)),
];

/// The name server of a zone that is made without any.
const NAMESERVER: &str = "ns1";

/// A refused zone.
const NOT_CREATED: &str = "Failed to make the zone.";
