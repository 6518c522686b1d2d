//! zonda's own API: API tokens, made, listed and revoked by the superuser.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use store::{Name, name};

use super::api_token::{ApiToken, CreateError, Scope, TOKENS_MAX, Wanted};
use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::time;

/// `GET /api/zonda/tokens`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let tokens = call.site.blocking(ApiToken::all).await?.map_err(|why| ApiError::store(&why))?;
    let tokens: Vec<_> = tokens.iter().map(|(id, token, used)| token.to_json(id, *used)).collect();
    Ok(Reply::Json(json!({ "tokens": tokens })))
}

/// `POST /api/zonda/tokens`
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let fields = call.take_fields(NOT_MADE).await?;
    let wanted = wanted(&fields)?;
    let fault = |field: &str, message: &str| {
        let mut faults = FieldFaults::default();
        faults.invalid(field, message);
        ApiError::fields(NOT_MADE, faults)
    };
    match call.site.blocking(move |store| ApiToken::create(store, wanted)).await? {
        Ok((id, token, secret)) => {
            let mut value = token.to_json(&id, None);
            value["token"] = secret.into();
            Ok(Reply::Json(value))
        }
        Err(CreateError::NameTaken) => Err(fault("name", "another token has this name")),
        Err(CreateError::TooMany) => Err(fault("name", &format!("there are {TOKENS_MAX} tokens already; revoke one"))),
        Err(CreateError::System(why)) => Err(ApiError::internal(&why)),
        Err(CreateError::Store(why)) => Err(ApiError::store(&why)),
    }
}

/// `DELETE /api/zonda/tokens/{id}`
pub(super) async fn revoke(call: Call) -> Result<Reply, ApiError> {
    let id = call.path("id").to_owned();
    match call.site.blocking(move |store| ApiToken::revoke(store, &id)).await? {
        Ok(true) => Ok(Reply::Empty),
        Ok(false) => Err(ApiError::new(StatusCode::NOT_FOUND, "There is no such token.")),
        Err(why) => Err(ApiError::store(&why)),
    }
}

/// What the fields of a body ask for.
fn wanted(fields: &Map<String, Value>) -> Result<Wanted, ApiError> {
    let mut faults = FieldFaults::default();
    for field in fields.keys().filter(|field| !["name", "scope", "zones", "duration"].contains(&field.as_str())) {
        faults.invalid(field, "a token has no such field");
    }
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if name.is_empty() {
        faults.required("name");
    } else if name.len() > NAME_MAX || !name.bytes().all(is_plain) {
        // An address would pass for the superuser in the history.
        faults.invalid("name", &format!("must be up to {NAME_MAX} letters, digits, '-', '_' and '.'"));
    }
    let scope = match fields.get("scope").and_then(Value::as_str) {
        Some("read") => Scope::Read,
        Some("write") => Scope::Write,
        _ => {
            faults.invalid("scope", "must be \"read\" or \"write\"");
            Scope::Read
        }
    };
    let zones = match fields.get("zones") {
        None | Some(Value::Null) => Vec::new(),
        Some(zones) => zone_names(zones).unwrap_or_else(|why| {
            faults.invalid("zones", &why);
            Vec::new()
        }),
    };
    let expires = match fields.get("duration") {
        None | Some(Value::Null) => None,
        Some(duration) => {
            let seconds = duration.as_u64().filter(|seconds| (1..=DURATION_MAX).contains(seconds));
            if seconds.is_none() {
                faults.invalid("duration", &format!("must be from 1 to {DURATION_MAX} seconds"));
            }
            seconds.map(|seconds| time::now() + seconds * 1000)
        }
    };
    match faults.is_empty() {
        true => Ok(Wanted { name: name.into(), scope, zones, expires }),
        false => Err(ApiError::fields(NOT_MADE, faults)),
    }
}

/// The names in an array, which has to have one: a list that came out empty by mistake must not open all zones.
fn zone_names(zones: &Value) -> Result<Vec<Name>, String> {
    let zones = zones.as_array().filter(|zones| (1..=ZONES_MAX).contains(&zones.len()));
    let zones =
        zones.ok_or_else(|| format!("must be an array of 1 to {ZONES_MAX} names; leave it out for all zones"))?;
    let names = zones.iter().map(|zone| {
        let text = zone.as_str().ok_or("must be an array of names")?;
        name::parse(text, Some(&Name::root_bytes())).map_err(|why| format!("{text:?}: {why}"))
    });
    names.collect()
}

/// A token that cannot be made.
const NOT_MADE: &str = "Failed to create the token.";

/// Characters of a name.
const NAME_MAX: usize = 64;

/// Zones of one token.
const ZONES_MAX: usize = 100;

/// Seconds of the longest life that ends: 100 years.
const DURATION_MAX: u64 = 100 * 365 * 86_400;
