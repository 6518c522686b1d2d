//! Zone files over HTTP: written into a body as it is sent, and read from one.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use schemars::JsonSchema;
use serde::Serialize;
use store::edit::{Api, Edit, EditError, Op};
use store::rules::{self, Severity};
use store::zonefile::{self, Options, Parsed, Writer};
use store::{Name, Serial, Store, StoreError};

use super::error::{ApiError, sentence};
use super::site::Site;
use super::stream::{self, Outlet};

/// What an import did.
pub(super) struct Imported {
    /// The zone.
    pub(super) apex: Name,
    /// Its serial now.
    pub(super) serial: Option<Serial>,
    /// Records that are new.
    pub(super) added: usize,
    /// Records that are gone.
    pub(super) removed: usize,
    /// What is hardly meant as it stands, though the zone is served.
    pub(super) warnings: Vec<Line>,
}

/// Why a zone file is not taken.
pub(super) enum Refusal {
    /// The text or the zone in it is at fault.
    Faults(Vec<Line>),
    /// The database could not take it.
    Store(StoreError),
}

/// Something to say about a line of a zone file.
#[derive(Serialize, JsonSchema)]
pub(super) struct Line {
    /// The line, counted from 1; 0 for the file as a whole.
    pub(super) line: u32,
    /// A sentence for people.
    pub(super) message: String,
}

/// Puts the zone in a text in place of what the store has.
pub(super) fn import(store: &Store, apex: Name, text: &[u8], who: String) -> Result<Imported, Refusal> {
    // The text comes from elsewhere, so it opens no files here.
    let options = Options { include: false, faults_max: LINES_MAX, ..Options::default() };
    let parsed = zonefile::read_text(FILE, text, Some(&apex), &options).map_err(|faults| {
        let lines = faults.into_iter().map(|fault| Line { line: fault.place.line, message: sentence(&fault.message) });
        Refusal::Faults(lines.collect())
    })?;
    let (errors, mut warnings) = check(&apex, &parsed);
    if !errors.is_empty() {
        return Err(Refusal::Faults(errors));
    }
    let brought = parsed.serial();
    let op = Op::Import { apex: apex.clone(), records: parsed.records };
    let applied = store.apply(Edit { who, api: Api::Native, ops: vec![op] }).map_err(|why| match why {
        EditError::Store(why) => Refusal::Store(why),
        // A rule that concerns no line of its own.
        why => Refusal::Faults(vec![Line { line: 0, message: sentence(&why.to_string()) }]),
    })?;
    let turn = applied.zones.into_iter().find(|turn| turn.apex == apex);
    let serial = match &turn {
        Some(turn) => turn.to,
        // Nothing changed, so the serial stands.
        None => {
            let zones = store.zones().map_err(Refusal::Store)?;
            zones.into_iter().find(|zone| zone.apex == apex).map(|zone| zone.serial)
        }
    };
    let old = turn.as_ref().map_or(serial, |turn| turn.from);
    let serials = old.zip(brought).zip(serial);
    let behind = serials.and_then(|((old, brought), given)| rules::check_imported_serial(&apex, old, brought, given));
    warnings.extend(behind.map(|fault| Line { line: 0, message: sentence(&fault.message) }));
    let (added, removed) = turn.map_or((0, 0), |turn| (turn.added, turn.removed));
    Ok(Imported { apex, serial, added, removed, warnings })
}

/// Errors and warnings about a zone, each bounded in number.
fn check(apex: &Name, parsed: &Parsed) -> (Vec<Line>, Vec<Line>) {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for fault in rules::check_zone(apex, &parsed.records, SystemTime::now()) {
        let lines = match fault.severity {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        if lines.len() < LINES_MAX {
            let place = fault.record.and_then(|record| parsed.places.get(record));
            lines.push(Line { line: place.map_or(0, |place| place.line), message: sentence(&fault.message) });
        }
    }
    (errors, warnings)
}

/// A body that is a zone's file; `None` if there is no such zone.
pub(super) async fn export(site: &Arc<Site>, apex: Name) -> Result<Option<Body>, ApiError> {
    let ttl_default = site.default_ttl;
    stream::body(site, "an export", move |store, outlet| write(store, &apex, ttl_default, outlet)).await
}

/// Writes a zone; ends early, without an error, when nobody takes it any more.
fn write(store: &Store, apex: &Name, ttl_default: u32, to: &mut Outlet) -> Result<(), StoreError> {
    let mut to = Some(to);
    let mut writer: Option<Writer<&mut Outlet>> = None;
    let mut failed: Option<io::Error> = None;
    store.nodes(apex, &mut |node| {
        if failed.is_some() {
            return;
        }
        let begun = match (writer.take(), to.take()) {
            (Some(writer), _) => Ok(writer),
            (None, Some(to)) => Writer::new(to, apex, ttl_default),
            (None, None) => return,
        };
        let written = begun.and_then(|mut begun| {
            begun.node(&node)?;
            Ok(begun)
        });
        match written {
            Ok(begun) => writer = Some(begun),
            Err(why) => failed = Some(why),
        }
    })?;
    if let Some(writer) = writer {
        // Fails only if nobody listens.
        let _ = writer.finish();
    }
    Ok(())
}

/// What zone files that come over HTTP are called.
const FILE: &str = "zonefile";

/// Faults that are told of one zone file.
const LINES_MAX: usize = 1000;
