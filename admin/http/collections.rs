//! The collections as PocketBase describes them, and the service's health.

use serde_json::{Value, json};

use super::account;
use super::call::{Call, Reply};
use super::error::ApiError;
use super::list;
use super::token::LIFE_SECONDS;

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
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    list::of_values(&call.query, vec![records(), superusers()], &FIELDS)
}

/// `GET /api/collections/{collection}`
pub(super) async fn view(call: Call) -> Result<Reply, ApiError> {
    match call.path("collection") {
        name if is_records(name) => Ok(Reply::Json(records())),
        name if is_superusers(name) => Ok(Reply::Json(superusers())),
        _ => Err(ApiError::not_found()),
    }
}

/// Whether this is the id or the name of the collection of records.
pub(super) fn is_records(collection: &str) -> bool {
    matches!(collection, RECORDS_ID | RECORDS_NAME)
}

/// Whether this is the id or the name of the collection of superusers.
pub(super) fn is_superusers(collection: &str) -> bool {
    matches!(collection, account::COLLECTION_ID | account::COLLECTION_NAME)
}

/// Whether there is such a collection.
pub(super) fn exists(collection: &str) -> bool {
    is_records(collection) || is_superusers(collection)
}

/// The collection of records.
fn records() -> Value {
    let any =
        json!({ "required": true, "min": 0, "max": 0, "pattern": "", "autogeneratePattern": "", "primaryKey": false });
    let own = json!({});
    collection(
        RECORDS_ID,
        RECORDS_NAME,
        "base",
        &own,
        &[
            id("^[1-9][0-9]+$", "[1-9][0-9]{17}", 1, 18),
            field("text0000000001", "zone", "text", &any),
            field("text0000000002", "name", "text", &any),
            field("text0000000003", "record_type", "text", &any),
            field("number0000000004", "ttl", "number", &json!({ "onlyInt": true, "min": null, "max": null })),
            field("json0000000005", "content", "json", &json!({ "maxSize": 0 })),
            field("autodate0000000006", "created", "autodate", &json!({ "onCreate": true, "onUpdate": false })),
            field("autodate0000000007", "updated", "autodate", &json!({ "onCreate": true, "onUpdate": true })),
        ],
    )
}

/// The collection of superusers, which holds one.
fn superusers() -> Value {
    let secret = json!({ "system": true, "hidden": true, "required": true });
    let system = json!({ "system": true });
    let own = json!({
        "system": true,
        "authRule": "",
        "manageRule": null,
        "authToken": { "duration": LIFE_SECONDS },
        "passwordAuth": { "enabled": true, "identityFields": ["email"] },
        "oauth2": { "enabled": false, "providers": [] },
        "mfa": { "enabled": false, "duration": 0, "rule": "" },
        "otp": { "enabled": false, "duration": 0, "length": 0 },
    });
    collection(
        account::COLLECTION_ID,
        account::COLLECTION_NAME,
        "auth",
        &own,
        &[
            id("^[a-z0-9]+$", "[a-z0-9]{15}", 15, 15),
            field("password901924565", "password", "password", &secret),
            field("text2504183744", "tokenKey", "text", &secret),
            field("email3885137012", "email", "email", &json!({ "system": true, "required": true })),
            field("bool1547992806", "emailVisibility", "bool", &system),
            field("bool256245529", "verified", "bool", &system),
            field(
                "autodate2990389176",
                "created",
                "autodate",
                &json!({ "system": true, "onCreate": true, "onUpdate": false }),
            ),
            field(
                "autodate3332085495",
                "updated",
                "autodate",
                &json!({ "system": true, "onCreate": true, "onUpdate": true }),
            ),
        ],
    )
}

/// A collection that only superusers may touch; `own` goes over what most have.
fn collection(id: &str, name: &str, kind: &str, own: &Value, fields: &[Value]) -> Value {
    let collection = json!({
        "id": id,
        "name": name,
        "type": kind,
        "system": false,
        "listRule": null,
        "viewRule": null,
        "createRule": null,
        "updateRule": null,
        "deleteRule": null,
        "indexes": [],
        "created": EPOCH,
        "updated": EPOCH,
        "fields": fields,
    });
    with(collection, own)
}

/// The field that identifies a record.
fn id(pattern: &str, autogenerate: &str, min: u32, max: u32) -> Value {
    let options = json!({
        "system": true, "required": true, "primaryKey": true, "min": min, "max": max,
        "pattern": pattern, "autogeneratePattern": autogenerate,
    });
    field("text3208210256", "id", "text", &options)
}

/// A field of a collection; `options` go over what most fields have.
fn field(id: &str, name: &str, kind: &str, options: &Value) -> Value {
    let field = json!({
        "id": id, "name": name, "type": kind,
        "system": false, "hidden": false, "presentable": false, "required": false,
    });
    with(field, options)
}

/// An object with other values over its own.
fn with(mut object: Value, values: &Value) -> Value {
    if let (Value::Object(object), Value::Object(values)) = (&mut object, values) {
        object.extend(values.clone());
    }
    object
}

/// The fields of a collection that can be sorted and filtered by.
const FIELDS: [&str; 6] = ["id", "name", "type", "system", "created", "updated"];

/// The id of the collection of records.
pub(super) const RECORDS_ID: &str = "pbc_186858105";

/// Its name.
pub(super) const RECORDS_NAME: &str = "coredns_records";

/// When a collection that was always there was made.
const EPOCH: &str = "1970-01-01 00:00:00.000Z";
