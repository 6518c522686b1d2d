//! Changes of records on their way into the store: one by a route of its own, or many in a batch.

use std::sync::{Arc, OnceLock};

use engine::log;
use serde_json::{Map, Value};
use store::edit::{Api, Edit, EditError, Op};
use store::{Faulty, Row};

use super::error::{ApiError, FieldFaults};
use super::record;
use super::record_input::Input;
use super::site::Site;

/// A change of one record.
pub(super) struct Change {
    /// What the store is to do.
    op: Op,
    /// The sentence for a refusal.
    refusal: &'static str,
    /// Why the request was wrong in itself. Of an update that shows inside the transaction only.
    fault: Arc<OnceLock<ApiError>>,
}

impl Change {
    /// A new record.
    pub(super) fn create(fields: Map<String, Value>) -> Self {
        match Input::new(fields).to_row(None) {
            Ok(row) => Self { op: Op::Create(row), refusal: NOT_CREATED, fault: Arc::default() },
            Err(faults) => Self::refused(ApiError::fields(NOT_CREATED, faults)),
        }
    }

    /// Other values for a record.
    pub(super) fn update(id: &str, fields: Map<String, Value>) -> Self {
        let Some(id) = record::id_from_text(id) else {
            return Self::refused(ApiError::not_found());
        };
        let input = Input::new(fields);
        let fault: Arc<OnceLock<ApiError>> = Arc::default();
        let found = Arc::clone(&fault);
        let revision = move |row: &Row| input.to_row(Some(row)).map_err(|why| note(&found, NOT_UPDATED, why));
        Self { op: Op::Update(id, Box::new(revision)), refusal: NOT_UPDATED, fault }
    }

    /// Other values for the record whose id the fields have, or a new one.
    pub(super) fn upsert(fields: Map<String, Value>) -> Self {
        let id = fields.get("id").and_then(|id| match id {
            Value::String(text) => record::id_from_text(text),
            other => record::id_from_text(&other.to_string()),
        });
        let Some(id) = id else {
            return Self::create(fields);
        };
        let input = Input::new(fields);
        let fault: Arc<OnceLock<ApiError>> = Arc::default();
        let found = Arc::clone(&fault);
        let make = move |row: Option<&Row>| {
            let refusal = if row.is_some() { NOT_UPDATED } else { NOT_CREATED };
            input.to_row(row).map_err(|why| note(&found, refusal, why))
        };
        Self { op: Op::Upsert(id, Box::new(make)), refusal: NOT_UPDATED, fault }
    }

    /// No record any more.
    pub(super) fn delete(id: &str) -> Self {
        match record::id_from_text(id) {
            Some(id) => Self { op: Op::Delete(id), refusal: NOT_DELETED, fault: Arc::default() },
            None => Self::refused(ApiError::not_found()),
        }
    }

    /// A change that is wrong in itself, and is told so if none before it is.
    pub(super) fn refused(why: ApiError) -> Self {
        // No row has this id, so that the store refuses the edit here at the latest.
        Self { op: Op::Delete(0), refusal: NOT_DELETED, fault: Arc::new(OnceLock::from(why)) }
    }
}

/// Applies changes as one edit; back when it is durable and served. An error says which of them is at fault: the first
/// that is.
pub(super) async fn apply(site: &Site, changes: Vec<Change>) -> Result<Result<Vec<Row>, (usize, ApiError)>, ApiError> {
    // With nothing before it, the store need not be asked.
    if let Some(first) = changes.first()
        && let Some(why) = first.fault.get()
    {
        return Ok(Err((0, why.clone())));
    }
    let (ops, reasons): (Vec<_>, Vec<_>) =
        changes.into_iter().map(|change| (change.op, (change.refusal, change.fault))).unzip();
    let edit = Edit { who: site.account.email.clone(), api: Api::Pocketbase, ops };
    let why = match site.apply(edit).await? {
        Ok(applied) => {
            // The API has no place for them in its replies.
            for warning in &applied.warnings {
                log::warning(&format!("HTTP service: {warning}"));
            }
            return Ok(Ok(applied.rows));
        }
        Err(why) => why,
    };
    match why.op().and_then(|op| Some((op, reasons.get(op)?))) {
        Some((op, (refusal, fault))) => {
            Ok(Err((op, fault.get().cloned().unwrap_or_else(|| ApiError::edit(refusal, why)))))
        }
        None => Err(ApiError::edit(NOT_UPDATED, why)),
    }
}

/// Keeps what is wrong with the fields of an update, beside the verdict of the store.
fn note(fault: &OnceLock<ApiError>, refusal: &'static str, faults: FieldFaults) -> EditError {
    let _ = fault.set(ApiError::fields(refusal, faults));
    EditError::Rule { op: 0, field: Faulty::Content, message: String::new() }
}

/// A refused creation.
const NOT_CREATED: &str = "Failed to create record.";

/// A refused update.
const NOT_UPDATED: &str = "Failed to update record.";

/// A refused deletion.
const NOT_DELETED: &str = "Failed to delete record.";
