//! `POST /api/batch`: changes of many records in one transaction, which becomes visible at once.

use serde_json::{Map, Value, json};
use store::Row;

use super::call::{Call, Query, Reply};
use super::change::{Change, apply};
use super::collections;
use super::error::{ApiError, FieldFaults, MALFORMED};
use super::fields::Fields;
use super::record;
use super::routes::SMALL;

/// `POST /api/batch`
pub(super) async fn batch(mut call: Call) -> Result<Reply, ApiError> {
    let is_guest = call.token.is_none();
    if is_guest {
        call.body_max = SMALL;
    }
    let mut fields = call.take_fields(NOT_READ).await?;
    let requests = match fields.remove("requests") {
        Some(Value::Array(requests)) => requests,
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return Err(ApiError::bad_request(NOT_READ)),
    };
    let mut faults = FieldFaults::default();
    if requests.is_empty() {
        faults.required("requests");
    } else if requests.len() > REQUESTS_MAX {
        faults.too_long("requests", REQUESTS_MAX);
    }
    if !faults.is_empty() {
        return Err(ApiError::fields("Invalid batch request data.", faults));
    }
    let mut changes = Vec::with_capacity(requests.len());
    let mut shapes = Vec::with_capacity(requests.len());
    for request in requests {
        let Ok(request) = serde_json::from_value::<Request>(request) else {
            return Err(ApiError::bad_request(NOT_READ));
        };
        let read = request.read(is_guest);
        let is_wrong = read.is_err();
        let (change, shape) = read.unwrap_or_else(|why| (Change::refused(why), Shape::Removed));
        changes.push(change);
        shapes.push(shape);
        // What follows the first fault is not looked at.
        if is_wrong {
            break;
        }
    }
    match apply(&call.site, changes).await? {
        Ok(rows) => Ok(Reply::Json(rows.iter().zip(&shapes).map(|(row, shape)| shape.answer(row)).collect())),
        Err((at, why)) => Err(failed(at, &why)),
    }
}

/// One request of a batch, as it is sent. Its headers are ignored.
#[derive(serde::Deserialize)]
struct Request {
    /// The method; that of most is enough to know what is meant.
    #[serde(default)]
    method: String,
    /// The path, perhaps with a query.
    #[serde(default)]
    url: String,
    /// The fields of a record.
    #[serde(default)]
    body: Option<Map<String, Value>>,
}

/// How the answer to a request looks.
enum Shape {
    /// The record, with the wanted fields only.
    Record(Option<Fields>),
    /// Without a body.
    Removed,
}

impl Request {
    /// What is to be done, and how it is answered.
    fn read(self, is_guest: bool) -> Result<(Change, Shape), ApiError> {
        let (path, query) = self.url.split_once('?').map_or((&*self.url, None), |(path, query)| (path, Some(query)));
        let Some(path) = path.strip_prefix("/api/collections/") else {
            return Err(ApiError::bad_request(MALFORMED));
        };
        let method = self.method.to_ascii_uppercase();
        let parts: Vec<&str> = path.split('/').collect();
        let (collection, id) = match (method.as_str(), parts.as_slice()) {
            ("POST" | "PUT", [collection, "records"]) => (*collection, ""),
            ("PATCH" | "DELETE", [collection, "records", id]) => (*collection, *id),
            _ => return Err(ApiError::bad_request(MALFORMED)),
        };
        if !collections::is_records(collection) {
            return Err(ApiError::no_collection());
        }
        if is_guest {
            return Err(ApiError::forbidden());
        }
        let shape = Shape::Record(Query::parse(query).get("fields").and_then(Fields::parse));
        let body = self.body.unwrap_or_default();
        Ok(match method.as_str() {
            "POST" => (Change::create(body), shape),
            "PUT" => (Change::upsert(body), shape),
            "PATCH" => (Change::update(id, body), shape),
            _ => (Change::delete(id), Shape::Removed),
        })
    }
}

impl Shape {
    /// The answer to a request that gave this row.
    fn answer(&self, row: &Row) -> Value {
        match self {
            Self::Removed => json!({ "status": 204, "body": null }),
            Self::Record(fields) => {
                let mut body = record::to_json(row);
                if let Some(fields) = fields {
                    fields.pick(&mut body);
                }
                json!({ "status": 200, "body": body })
            }
        }
    }
}

/// The error of a batch of which a request failed.
fn failed(at: usize, why: &ApiError) -> ApiError {
    let mut faults = FieldFaults::default();
    let details =
        json!({ "code": "batch_request_failed", "message": "Batch request failed.", "response": why.to_json() });
    faults.insert("requests", json!({ at.to_string(): details }));
    ApiError::fields("Batch transaction failed.", faults)
}

/// A body that cannot be read.
const NOT_READ: &str = "Failed to read the submitted batch data.";

/// Requests in one batch: as many as a person or a script changes at once, and little enough to lie in memory.
const REQUESTS_MAX: usize = 500;
