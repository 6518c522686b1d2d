//! Zone files over HTTP, read from a body in place of what a zone holds.

use std::time::SystemTime;

use axum::http::StatusCode;
use store::edit::{EditError, Op};
use store::rules::{self, Severity};
use store::zonefile::{self, Options, Parsed};
use store::{Name, Serial};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults, sentence};
use super::openapi::{Answer, Content, IF_MATCH, Operation};
use super::report::{self, Line, Report, Terms};

/// What [`put`] does.
pub(super) const PUT: Operation = Operation {
    params: &[report::DRY_RUN, IF_MATCH],
    body: &[Content::text("text/dns")],
    ..Operation::new(
        "Make a zone hold what a zone file says",
        &[Answer::new(200, "The zone is served so, or would be (dry run).", &[Content::json::<Report>()])],
    )
};

/// Why a zone is not taken.
pub(super) enum Refusal {
    /// The text or the zone in it is at fault.
    Faults(Vec<Line>),
    /// The store refuses it.
    Edit(EditError),
}

impl Refusal {
    /// The answer; `message` says what was tried.
    pub(super) fn into_error(self, message: &'static str) -> ApiError {
        let faults = match self {
            Self::Edit(EditError::NoZone(_)) => return report::no_zone(),
            Self::Edit(why) => return ApiError::edit(message, why),
            Self::Faults(faults) => faults,
        };
        let mut fields = FieldFaults::default();
        fields.insert("zonefile", serde_json::to_value(faults).unwrap_or_default());
        ApiError::fields(NOT_IMPORTED, fields)
    }
}

/// `PUT /api/zonda/zones/{zone}/zonefile`
pub(super) async fn put(mut call: Call) -> Result<Reply, ApiError> {
    let apex = report::apex(&call)?;
    let terms = Terms::of(&call)?;
    let _upload = terms.site.imports.upload(call.is_large()).await;
    let text = call.take_body().await?;
    let _turn = terms.site.imports.turn().await;
    let imported = import(&terms, &apex, text).await?;
    let report = imported.map_err(|refusal| refusal.into_error(NOT_IMPORTED))?;
    report.reply(StatusCode::OK)
}

/// Puts the zone in a text in place of what the store has, or says what that would do.
pub(super) async fn import(terms: &Terms, apex: &Name, text: Vec<u8>) -> Result<Result<Report, Refusal>, ApiError> {
    let (parsed, mut warnings) = {
        let apex = apex.clone();
        match terms.site.blocking(move |_| read(&apex, &text)).await? {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
    let brought = parsed.serial();
    let op = Op::Import { apex: apex.clone(), records: parsed.records };
    let mut report = match Report::of(terms, apex, vec![op]).await? {
        Ok(report) => report,
        // A rule that concerns no line of its own.
        Err(why @ EditError::Rule { .. }) => {
            return Ok(Err(Refusal::Faults(vec![Line { line: 0, message: sentence(&why.to_string()) }])));
        }
        Err(why) => return Ok(Err(Refusal::Edit(why))),
    };
    if let (Some(old), Some(brought), Some(given)) = (report.from, brought, report.serial) {
        let behind = rules::check_imported_serial(apex, Serial::from(old), brought, Serial::from(given));
        warnings.extend(behind.map(|fault| Line { line: 0, message: sentence(&fault.message) }));
    }
    report.warnings.append(&mut warnings);
    Ok(Ok(report))
}

/// Reads a zone file; what it says has no errors, but perhaps warnings.
fn read(apex: &Name, text: &[u8]) -> Result<(Parsed, Vec<Line>), Refusal> {
    // The text comes from elsewhere, so it opens no files here.
    let options = Options { include: false, faults_max: LINES_MAX, ..Options::default() };
    let parsed = zonefile::read_text(FILE, text, Some(apex), &options).map_err(|faults| {
        let lines = faults.into_iter().map(|fault| Line { line: fault.place.line, message: sentence(&fault.message) });
        Refusal::Faults(lines.collect())
    })?;
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
    match errors.is_empty() {
        true => Ok((parsed, warnings)),
        false => Err(Refusal::Faults(errors)),
    }
}

/// What zone files that come over HTTP are called.
const FILE: &str = "zonefile";

/// Faults that are told of one zone file.
const LINES_MAX: usize = 1000;

/// A refused zone file.
const NOT_IMPORTED: &str = "The zone file has faults, nothing was written.";
