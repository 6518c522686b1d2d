//! The one collection as PocketBase describes collections, and the service's health.

use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::error::ApiError;

/// `GET /api/health`
pub(super) async fn health(call: Call) -> Result<Reply, ApiError> {
    let data = match call.token {
        Some(_) => json!({
            "canBackup": false,
            "realIP": call.peer.ip().to_canonical().to_string(),
            "possibleProxyHeader": "",
        }),
        None => json!({}),
    };
    Ok(Reply::Json(json!({ "code": 200, "message": "API is healthy.", "data": data })))
}

/// `GET /api/collections`
pub(super) async fn list(_: Call) -> Result<Reply, ApiError> {
    Ok(Reply::List(json!({
        "items": [records()],
        "page": 1,
        "perPage": 30,
        "totalItems": 1,
        "totalPages": 1,
    })))
}

/// `GET /api/collections/{collection}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    match is_records(call.path("collection")) {
        true => Ok(Reply::Json(records())),
        false => Err(ApiError::not_found()),
    }
}

/// Whether this is the id or the name of the collection of records.
pub(super) fn is_records(collection: &str) -> bool {
    matches!(collection, RECORDS_ID | RECORDS_NAME)
}

/// The collection of records.
fn records() -> Value {
    let text = |id: &str, name: &str| {
        field(
            id,
            name,
            "text",
            &json!({
                "required": true, "min": 0, "max": 0, "pattern": "", "autogeneratePattern": "", "primaryKey": false,
            }),
        )
    };
    let date = |id: &str, name: &str, on_update: bool| {
        field(id, name, "autodate", &json!({ "onCreate": true, "onUpdate": on_update }))
    };
    json!({
        "id": RECORDS_ID,
        "name": RECORDS_NAME,
        "type": "base",
        "system": false,
        "listRule": null,
        "viewRule": null,
        "createRule": null,
        "updateRule": null,
        "deleteRule": null,
        "indexes": [],
        "created": EPOCH,
        "updated": EPOCH,
        "fields": [
            field("text3208210256", "id", "text", &json!({
                "system": true, "required": true, "primaryKey": true, "min": 1, "max": 18,
                "pattern": "^[1-9][0-9]+$", "autogeneratePattern": "[1-9][0-9]{17}",
            })),
            text("text0000000001", "zone"),
            text("text0000000002", "name"),
            text("text0000000003", "record_type"),
            field("number0000000004", "ttl", "number", &json!({ "onlyInt": true, "min": null, "max": null })),
            field("json0000000005", "content", "json", &json!({ "maxSize": 0 })),
            date("autodate0000000006", "created", false),
            date("autodate0000000007", "updated", true),
        ],
    })
}

/// A field of the collection; `options` go over what most fields have.
fn field(id: &str, name: &str, kind: &str, options: &Value) -> Value {
    let mut field = json!({
        "id": id, "name": name, "type": kind,
        "system": false, "hidden": false, "presentable": false, "required": false,
    });
    if let (Value::Object(field), Value::Object(options)) = (&mut field, options) {
        field.extend(options.clone());
    }
    field
}

/// The id of the collection of records.
pub(super) const RECORDS_ID: &str = "pbc_186858105";

/// Its name.
pub(super) const RECORDS_NAME: &str = "coredns_records";

/// When a collection that was always there was made.
const EPOCH: &str = "1970-01-01 00:00:00.000Z";
