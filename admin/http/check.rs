//! zonda's own API: what a zone file or changes would do, without doing it.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use store::edit::Expected;

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{Answer, Content, Operation};
use super::report::{self, Report, Terms};
use super::rrsets::{self, NewChange};
use super::zonefile;

/// What is to be checked: a zone file, or changes of a zone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Checked {
    /// The zone's name, with or without the final dot; with a zone file the zone need not be there.
    #[schemars(extend("examples" = ["example.org"]))]
    zone: String,
    /// All records of the zone as a zone file.
    #[schemars(extend("examples" = ["@ 60 SOA ns1 hostmaster 1 2h 1h 14d 5m\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n"]))]
    zonefile: Option<String>,
    /// Changes of its RRsets.
    changes: Option<Vec<NewChange>>,
}

/// What [`post`] does.
pub(super) const POST: Operation = Operation {
    body: &[Content::json::<Checked>()],
    errors: &[404],
    ..Operation::new(
        "Check a zone file, or changes of a zone, without applying it",
        &[Answer::new(200, "It would be taken, and this would change.", &[Content::json::<Report>()])],
    )
};

/// `POST /api/zonda/check`: answers as the write would, which does not happen.
pub(super) async fn post(mut call: Call) -> Result<Reply, ApiError> {
    let terms = Terms { dry_run: true, ..Terms::of(&call)? };
    let site = Arc::clone(&terms.site);
    let _upload = site.checks.upload(call.is_large()).await;
    let checked: Checked = call.take_json().await?;
    let _turn = site.checks.turn().await;
    let mut faults = FieldFaults::default();
    let apex = match report::zone_name(&checked.zone) {
        Ok(apex) => apex,
        Err(why) => {
            faults.invalid("zone", &why);
            return Err(ApiError::fields(NOT_CHECKED, faults));
        }
    };
    if !call.covers(&apex) {
        return Err(ApiError::other_zones());
    }
    let report = match (checked.zonefile, checked.changes) {
        (Some(text), None) => {
            let imported = zonefile::import(&terms, &apex, text.into_bytes()).await?;
            imported.map_err(|refusal| refusal.into_error(NOT_CHECKED))?
        }
        (None, Some(changes)) => {
            let terms = terms.or(Expected::Present);
            let ops = rrsets::to_ops(&changes, &apex, &call)?;
            Report::of(&terms, &apex, ops).await?.map_err(|why| rrsets::refused(why, rrsets::change_place))?
        }
        _ => {
            faults.invalid("zonefile", "either this or `changes` has to be given, not both");
            return Err(ApiError::fields(NOT_CHECKED, faults));
        }
    };
    report.reply(StatusCode::OK)
}

/// A refused check.
const NOT_CHECKED: &str = "This would not be taken.";
