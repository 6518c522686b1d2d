//! Edits by zonda's own API: applied or only tried, on condition of a serial, and told of in one form.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use store::edit::{Api, Applied, Edit, EditError, Expected, JournalEntry, Op, Trial};
use store::{Entry, HistoryError, Name, Serial, name, types};

use super::call::{Call, Reply, to_value};
use super::error::{ApiError, FieldFaults, sentence};
use super::openapi::Param;
use super::paging;
use super::site::Site;

/// What a change does to a zone.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    /// The zone's name.
    zone: String,
    /// The serial before; null if the zone is new.
    pub(super) from: Option<u32>,
    /// The serial after; null if the zone is gone.
    pub(super) serial: Option<u32>,
    /// How many records are put in, in all zones that change.
    pub(super) added: usize,
    /// How many records are taken away, in all zones that change.
    pub(super) removed: usize,
    /// What is hardly meant as it stands, though the zone is served.
    pub(super) warnings: Vec<Line>,
    /// Whether nothing was written.
    dry_run: bool,
    /// In a dry run: what changes, RRset by RRset, unless that is more than history keeps of one change.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<RrsetChange>>,
}

/// Something to say of a zone or of a line of its file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Line {
    /// The line, counted from 1; 0 for the zone as a whole.
    pub(super) line: u32,
    /// A sentence for people.
    pub(super) message: String,
}

/// What changes in an RRset.
#[derive(Serialize, JsonSchema)]
pub(super) struct RrsetChange {
    /// The owner's name.
    name: String,
    /// The record type.
    r#type: String,
    /// Records that are taken away.
    removed: Vec<RecordText>,
    /// Records that are put in.
    added: Vec<RecordText>,
}

/// A record of an RRset.
#[derive(Serialize, JsonSchema)]
struct RecordText {
    /// Seconds; null takes the default of the server.
    ttl: Option<u32>,
    /// Its data as in a zone file.
    content: String,
}

/// The parameter that leaves everything as it is.
pub(super) const DRY_RUN: Param =
    Param::query::<bool>("dry_run", "With `true` nothing is written, and the answer lists what would change.");

/// On what terms a zone is written.
pub(super) struct Terms {
    /// The store and its bounds.
    pub(super) site: Arc<Site>,
    /// Who writes.
    pub(super) who: String,
    /// How the zone has to be.
    pub(super) expected: Option<Expected>,
    /// Whether nothing is to be written.
    pub(super) dry_run: bool,
}

impl Terms {
    /// Those of a request: its headers and parameters.
    pub(super) fn of(call: &Call) -> Result<Self, ApiError> {
        let (expected, dry_run) = (expected(call)?, paging::flag(&call.query, "dry_run")?);
        Ok(Self { site: Arc::clone(&call.site), who: call.who(), expected, dry_run })
    }

    /// The same for a zone that has to be as `expected`, unless the request says more.
    pub(super) fn or(self, expected: Expected) -> Self {
        Self { expected: self.expected.or(Some(expected)), ..self }
    }
}

impl Report {
    /// Applies ops to one zone, or tries them.
    pub(super) async fn of(terms: &Terms, apex: &Name, mut ops: Vec<Op>) -> Result<Result<Self, EditError>, ApiError> {
        let (dry_run, shift) = (terms.dry_run, usize::from(terms.expected.is_some()));
        ops.splice(..0, terms.expected.map(|expected| Op::Expect(apex.clone(), expected)));
        let edit = Edit { who: terms.who.clone(), api: Api::Native, ops };
        let done = match dry_run {
            true => terms.site.blocking(move |store| store.try_out(edit)).await?,
            false => terms.site.apply(edit).await?.map(|applied| Trial { applied, entries: Vec::new() }),
        };
        Ok(match done {
            Ok(Trial { applied, entries }) => Ok(Self::new(apex, &applied, dry_run.then_some(entries))),
            // The condition is no op of the request's own.
            Err(EditError::Rule { op, field, message }) => {
                Err(EditError::Rule { op: op.saturating_sub(shift), field, message })
            }
            Err(other) => Err(other),
        })
    }

    /// The answer, with the ETag of the zone as it is now.
    pub(super) fn reply(&self, status: StatusCode) -> Result<Reply, ApiError> {
        let serial = if self.dry_run { self.from } else { self.serial };
        Ok(Reply::Zone(status, serial, to_value(self)?))
    }

    /// Tells of an edit of a zone, and of others with it.
    fn new(apex: &Name, applied: &Applied, tried: Option<Vec<JournalEntry>>) -> Self {
        let turn = applied.zones.iter().find(|turn| turn.apex == *apex);
        let serial = applied.serial(apex);
        let added = applied.zones.iter().map(|turn| turn.added).sum();
        let removed = applied.zones.iter().map(|turn| turn.removed).sum();
        let warnings = applied.warnings.iter().map(|warning| Line { line: 0, message: sentence(warning) });
        let changes = tried.as_ref().filter(|entries| entries.iter().all(|entry| entry.complete)).map(|entries| {
            // The zone itself first, then the others that change with it.
            let mut entries: Vec<_> = entries.iter().map(|entry| rrset_changes(&entry.removed, &entry.added)).collect();
            entries.sort_by_key(|changes| changes.first().is_none_or(|change| change.name != name::to_text(apex)));
            entries.into_iter().flatten().collect()
        });
        Self {
            zone: name::to_text(apex),
            from: turn.map_or(serial, |turn| turn.from).map(Serial::into_int),
            serial: serial.map(Serial::into_int),
            added,
            removed,
            warnings: warnings.collect(),
            dry_run: tried.is_some(),
            changes,
        }
    }
}

/// What changes, by RRset in canonical order.
pub(super) fn rrset_changes(removed: &[Entry], added: &[Entry]) -> Vec<RrsetChange> {
    let mut changes: BTreeMap<_, RrsetChange> = BTreeMap::new();
    for (records, is_added) in [(removed, false), (added, true)] {
        for (owner, rtype, ttl, rdata) in records {
            let change = changes.entry((name::order_key(owner), rtype.to_int())).or_insert_with(|| RrsetChange {
                name: name::to_text(owner),
                r#type: types::rtype_to_text(*rtype),
                removed: Vec::new(),
                added: Vec::new(),
            });
            let list = if is_added { &mut change.added } else { &mut change.removed };
            list.push(RecordText { ttl: *ttl, content: types::rdata_to_text(*rtype, rdata) });
        }
    }
    changes.into_values().collect()
}

/// The zone in the path.
pub(super) fn apex(call: &Call) -> Result<Name, ApiError> {
    zone_name(call.path("zone")).map_err(|why| {
        let mut faults = FieldFaults::default();
        faults.invalid("zone", &why);
        ApiError::fields("The path does not name a zone.", faults)
    })
}

/// A zone's name in full, with or without its final dot.
pub(super) fn zone_name(text: &str) -> Result<Name, String> {
    match text {
        "@" => Err("write the name of the zone in full".into()),
        text => name::parse(text, Some(&Name::root_bytes())).map_err(|why| why.to_string()),
    }
}

/// 404 for a zone that is not there.
pub(super) fn no_zone() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "There is no such zone.")
}

/// The answer to a past that cannot be told.
pub(super) fn history_error(why: HistoryError) -> ApiError {
    match why {
        HistoryError::NoZone(_) => no_zone(),
        HistoryError::NoSerial { .. } => ApiError::bad_request(sentence(&why.to_string())),
        HistoryError::Store(why) => ApiError::store(&why),
    }
}

/// What If-Match asks of the zone (RFC 9110 §13.1.1).
fn expected(call: &Call) -> Result<Option<Expected>, ApiError> {
    let Some(value) = call.headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Some(Expected::Present));
    }
    let quoted = |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(str::to_owned);
    // Digits without quotes are no tag, but nothing else can be meant by them.
    match quoted(text).unwrap_or_else(|| text.to_owned()).parse::<u32>() {
        Ok(serial) => Ok(Some(Expected::Serial(Serial::from(serial)))),
        Err(_) if quoted(text.strip_prefix("W/").unwrap_or(text)).is_some() => {
            Err(ApiError::new(StatusCode::PRECONDITION_FAILED, "If-Match holds no serial of this zone."))
        }
        Err(_) => Err(paging::parameter("If-Match", "this is the serial of the zone in quotes, or `*`")),
    }
}

/// The door of a change, as JSON names it.
pub(super) fn api_name(api: Api) -> &'static str {
    match api {
        Api::Pocketbase => "pocketbase",
        Api::Native => "native",
        Api::Import => "import",
    }
}
