//! zonda's own API: whole zones, listed, exported, imported and removed.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Serialize;
use store::edit::{Api, Edit, EditError, Op};
use store::{Name, Store, name};

use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{Answer, Content, Operation};
use super::time;
use super::zonefile::{self, Line, Refusal};

/// The zones of the database.
#[derive(Serialize, JsonSchema)]
struct ZoneList {
    /// The zones, in canonical order.
    zones: Vec<Zone>,
}

/// A zone.
#[derive(Serialize, JsonSchema)]
struct Zone {
    /// Its name.
    zone: String,
    /// Its serial.
    serial: u32,
    /// How many records it holds.
    records: u64,
    /// When it last changed.
    updated: String,
}

/// What an import did.
#[derive(Serialize, JsonSchema)]
struct ImportReport {
    /// The zone's name.
    zone: String,
    /// Its serial now.
    serial: Option<u32>,
    /// How many records were put in.
    added: usize,
    /// How many records were taken away.
    removed: usize,
    /// What is hardly meant as it stands, though the zone is served.
    warnings: Vec<Line>,
}

/// What [`list`] does.
pub(super) const LIST: Operation =
    Operation::new("List zones", &[Answer::new(200, "The zones.", &[Content::json::<ZoneList>()])]);

/// What [`export`] does.
pub(super) const EXPORT: Operation =
    Operation::new("Export a zone", &[Answer::new(200, "The zone file.", &[Content::text("text/dns")])]);

/// What [`import`] does.
pub(super) const IMPORT: Operation = Operation {
    body: &[Content::text("text/dns")],
    ..Operation::new(
        "Make a zone hold what a zone file says",
        &[Answer::new(200, "The zone is served so.", &[Content::json::<ImportReport>()])],
    )
};

/// What [`remove`] does.
pub(super) const REMOVE: Operation = Operation::new("Remove a zone", &[Answer::empty("The zone is gone.")]);

/// `GET /api/zonda/zones`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let zones = call.site.blocking(Store::zones).await?;
    let zones = zones.map_err(|why| ApiError::store(&why))?;
    let zones = zones.iter().filter(|zone| call.covers(&zone.apex)).map(|zone| Zone {
        zone: name::to_text(&zone.apex),
        serial: zone.serial.into_int(),
        records: zone.records,
        updated: time::to_text(zone.updated),
    });
    Reply::of(&ZoneList { zones: zones.collect() })
}

/// `GET /api/zonda/zones/{zone}/zonefile`
pub(super) async fn export(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    match zonefile::export(&call.site, apex).await? {
        Some(body) => {
            let headers =
                [(header::CONTENT_TYPE, "text/dns; charset=utf-8"), (header::CONTENT_DISPOSITION, "attachment")];
            Ok(Reply::Whole((headers, body).into_response()))
        }
        None => Err(no_zone()),
    }
}

/// `PUT /api/zonda/zones/{zone}/zonefile`
pub(super) async fn import(mut call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let site = Arc::clone(&call.site);
    let permit = site.imports.acquire().await;
    let text = call.take_body().await?;
    let who = call.who();
    let imported = site.blocking(move |store| zonefile::import(store, apex, &text, who)).await?;
    drop(permit);
    match imported {
        Ok(imported) => Reply::of(&ImportReport {
            zone: name::to_text(&imported.apex),
            serial: imported.serial.map(|serial| serial.into_int()),
            added: imported.added,
            removed: imported.removed,
            warnings: imported.warnings,
        }),
        Err(Refusal::Faults(faults)) => {
            let mut fields = FieldFaults::default();
            fields.insert("zonefile", serde_json::to_value(faults).unwrap_or_default());
            Err(ApiError::fields(NOT_IMPORTED, fields))
        }
        Err(Refusal::Store(why)) => Err(ApiError::store(&why)),
    }
}

/// `DELETE /api/zonda/zones/{zone}`
pub(super) async fn remove(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let ops = vec![Op::RemoveZone(apex)];
    let edit = Edit { who: call.who(), api: Api::Native, ops };
    match call.site.blocking(move |store| store.apply(edit)).await? {
        Ok(_) => Ok(Reply::Empty),
        Err(EditError::NoZone(_)) => Err(no_zone()),
        Err(why) => Err(ApiError::edit("Failed to remove the zone.", why)),
    }
}

/// The zone in the path.
pub(super) fn apex(call: &Call) -> Result<Name, ApiError> {
    name::parse(call.path("zone"), Some(&Name::root_bytes())).map_err(|why| {
        let mut faults = FieldFaults::default();
        faults.invalid("zone", &why.to_string());
        ApiError::fields("The path does not name a zone.", faults)
    })
}

/// 404 for a zone that is not there.
fn no_zone() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "There is no such zone.")
}

/// A refused zone file.
const NOT_IMPORTED: &str = "The zone file has faults, nothing was written.";
