//! zonda's own API: what became of a zone, change by change, what lies between two serials, and the way back.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::edit::{JournalEntry, Op};
use store::{HistoryError, Name, Serial, name};

use super::call::{Call, Reply};
use super::error::ApiError;
use super::openapi::{Answer, Content, IF_MATCH, Operation, Param};
use super::paging::{self, Cut, Paging};
use super::report::{self, Report, RrsetChange, Terms, apex, no_zone};
use super::time;
use super::zonefile::Refusal;

/// A page of the history of a zone, the newest change first.
#[derive(Serialize, JsonSchema)]
struct History {
    /// Where the list was cut.
    #[serde(flatten)]
    cut: Cut,
    /// The changes.
    history: Vec<Change>,
}

/// A change of a zone.
#[derive(Serialize, JsonSchema)]
struct Change {
    /// The serial before; null if the zone was new.
    from: Option<u32>,
    /// The serial after; null if the zone was removed.
    serial: Option<u32>,
    /// When it was.
    at: String,
    /// Who asked for it.
    who: String,
    /// The door it came through.
    api: &'static str,
    /// How many records were put in, the SOA record among them.
    added: usize,
    /// How many records were taken away, the SOA record among them.
    removed: usize,
    /// Whether the change was small enough for its records to be kept; else the counts are 0.
    complete: bool,
}

/// The newest changes of all zones.
#[derive(Serialize, JsonSchema)]
struct Recent {
    /// The changes, the newest first.
    history: Vec<ZoneChange>,
}

/// A change and the zone that it was made to.
#[derive(Serialize, JsonSchema)]
struct ZoneChange {
    /// The zone's name.
    zone: String,
    /// The change.
    #[serde(flatten)]
    change: Change,
}

/// A change of a zone with its records.
#[derive(Serialize, JsonSchema)]
struct WholeChange {
    /// The change.
    #[serde(flatten)]
    change: Change,
    /// What changed, RRset by RRset.
    changes: Vec<RrsetChange>,
}

/// What lies between two serials of a zone.
#[derive(Serialize, JsonSchema)]
struct Between {
    /// The zone's name.
    zone: String,
    /// The serial that is compared.
    from: u32,
    /// The serial that it is compared with.
    to: u32,
    /// What leads from the one to the other, RRset by RRset.
    changes: Vec<RrsetChange>,
}

/// Where to go back to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Back {
    /// A serial that the zone had.
    serial: u32,
}

/// What [`recent`] does.
pub(super) const RECENT: Operation = Operation {
    params: &[Paging::PER_PAGE],
    ..Operation::new(
        "List the newest changes of all zones, those of removed ones too",
        &[Answer::new(200, "The changes, the newest first.", &[Content::json::<Recent>()])],
    )
};

/// What [`list`] does.
pub(super) const LIST: Operation = Operation {
    params: &[Paging::PAGE, Paging::PER_PAGE],
    ..Operation::new(
        "List the changes of a zone, the newest first; also of one that was removed",
        &[Answer::new(200, "A page of its history.", &[Content::json::<History>()])],
    )
};

/// What [`view`] does.
pub(super) const VIEW: Operation = Operation::new(
    "View the change that led to a serial",
    &[Answer::new(200, "The change with its records.", &[Content::json::<WholeChange>()])],
);

/// What [`diff`] does.
pub(super) const DIFF: Operation = Operation {
    params: &[
        Param::needed_query::<u32>("from", "A serial that the zone had."),
        Param::query::<u32>("to", "Another one, older or newer; the present one if not given."),
    ],
    ..Operation::new(
        "Compare two serials of a zone",
        &[Answer::new(200, "What leads from one to the other.", &[Content::json::<Between>()])],
    )
};

/// What [`revert`] does.
pub(super) const REVERT: Operation = Operation {
    params: &[report::DRY_RUN, IF_MATCH],
    body: &[Content::json::<Back>()],
    ..Operation::new(
        "Take a zone back to how it was at a serial; also one that was removed",
        &[Answer::new(
            200,
            "The zone is served so under a new serial, or would be (dry run).",
            &[Content::json::<Report>()],
        )],
    )
};

/// `GET /api/zonda/history`
pub(super) async fn recent(call: Call) -> Result<Reply, ApiError> {
    let most = Paging::parse(&call.query)?.size();
    let look = |apex: &Name, entry: &JournalEntry| ZoneChange { zone: name::to_text(apex), change: Change::new(entry) };
    let history = call.site.blocking(move |store| store.recent(most, &look)).await?;
    Reply::of(&Recent { history: history.map_err(|why| ApiError::store(&why))? })
}

/// `GET /api/zonda/zones/{zone}/history`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let paging = Paging::parse(&call.query)?;
    let read = call.site.blocking(move |store| {
        let changes = store.journal(&apex, usize::MAX)?.iter().map(Change::new).collect::<Vec<_>>();
        Ok((changes, store.zone(&apex)?))
    });
    let (changes, zone) = read.await?.map_err(|why| ApiError::store(&why))?;
    if changes.is_empty() && zone.is_none() {
        return Err(no_zone());
    }
    let serial = zone.and_then(|(zone, _)| zone.info().map(|info| info.serial.into_int()));
    let cut = paging.of(changes.len() as u64);
    Reply::of_zone(serial, &History { cut, history: paging.cut(changes) })
}

/// `GET /api/zonda/zones/{zone}/history/{serial}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let serial = call.path("serial").parse::<u32>().map_err(|_| paging::parameter("serial", "this is no serial"))?;
    let serial = Serial::from(serial);
    let found = call.site.blocking(move |store| {
        let entries = store.journal(&apex, usize::MAX)?;
        Ok(entries.into_iter().find(|entry| entry.to == Some(serial)))
    });
    let entry = found.await?.map_err(|why| ApiError::store(&why))?;
    let entry = entry
        .ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "No change is remembered that led to this serial."))?;
    let changes = report::rrset_changes(&entry.removed, &entry.added);
    Reply::of(&WholeChange { change: Change::new(&entry), changes })
}

/// `GET /api/zonda/zones/{zone}/diff`
pub(super) async fn diff(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let serial = |name: &str| paging::number(&call.query, name, 0, u32::MAX);
    let from = serial("from")?.ok_or_else(|| paging::parameter("from", "a serial has to be given"))?;
    let to = serial("to")?;
    let read = call.site.blocking(move |store| {
        let to = match to {
            Some(to) => to,
            None => {
                let (zone, _) = store.zone(&apex)?.ok_or_else(|| HistoryError::NoZone(apex.clone()))?;
                zone.info().map_or(from, |info| info.serial.into_int())
            }
        };
        let difference = store.difference(&apex, Serial::from(from), Serial::from(to))?;
        let changes = report::rrset_changes(&difference.removed, &difference.added);
        Ok(Between { zone: name::to_text(&apex), from, to, changes })
    });
    Reply::of(&read.await?.map_err(report::history_error)?)
}

/// `POST /api/zonda/zones/{zone}/revert`
pub(super) async fn revert(mut call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let terms = Terms::of(&call)?;
    let Back { serial } = call.take_json().await?;
    let ops = vec![Op::Revert(apex.clone(), Serial::from(serial))];
    let done = Report::of(&terms, &apex, ops).await?;
    done.map_err(|why| Refusal::Edit(why).into_error("Failed to take the zone back."))?.reply(StatusCode::OK)
}

impl Change {
    /// A line of a journal.
    fn new(entry: &JournalEntry) -> Self {
        Self {
            from: entry.from.map(Serial::into_int),
            serial: entry.to.map(Serial::into_int),
            at: time::to_text(entry.at),
            who: entry.who.clone(),
            api: report::api_name(entry.api),
            added: entry.added.len(),
            removed: entry.removed.len(),
            complete: entry.complete,
        }
    }
}
