//! Logging in, and what comes with it.

use std::time::Instant;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::call::{Call, Reply};
use super::collections;
use super::error::{ApiError, FieldFaults};
use super::password;
use super::site::Site;
use super::token::LIFE_SECONDS;
use engine::log;
use engine::plugin::Password;

/// `GET …/auth-methods`
pub(super) async fn methods(call: Call) -> Result<Reply, ApiError> {
    check_collection(&call)?;
    Ok(Reply::Json(json!({
        "password": { "enabled": true, "identityFields": ["email"] },
        "oauth2": { "enabled": false, "providers": [] },
        "mfa": { "enabled": false, "duration": 0 },
        "otp": { "enabled": false, "duration": 0 },
    })))
}

/// `POST …/auth-with-password`
pub(super) async fn with_password(mut call: Call) -> Result<Reply, ApiError> {
    check_collection(&call)?;
    let fields = call.take_fields(NOT_LOADED).await?;
    let (identity, password) = credentials(&fields)?;
    let site = &call.site;
    let from = call.peer.ip();
    let Some(attempt) = site.attempts.begin(from, Instant::now()) else {
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests."));
    };
    tokio::time::sleep(attempt.wait).await;
    let permit = site.hashing.acquire().await;
    let hash = site.account.hash.clone();
    // An unknown identity costs as much as a wrong password: both are hashed.
    let fits = site.blocking(move |_| password::fits(&password, &hash)).await? & (identity == site.account.email);
    drop(permit);
    if !fits {
        log::warning(&format!("HTTP service: failed login from {from}"));
        return Err(ApiError::bad_request("Failed to authenticate."));
    }
    attempt.succeed();
    result(site, sign(site, LIFE_SECONDS, true)?)
}

/// `POST …/auth-refresh`
pub(super) async fn refresh(call: Call) -> Result<Reply, ApiError> {
    check_collection(&call)?;
    let token = call.token.ok_or_else(ApiError::unauthorized)?;
    let text = if token.refreshable { sign(&call.site, LIFE_SECONDS, true)? } else { token.text };
    result(&call.site, text)
}

/// `POST …/impersonate/{id}`
pub(super) async fn impersonate(mut call: Call) -> Result<Reply, ApiError> {
    check_collection(&call)?;
    let fields = call.take_fields(NOT_LOADED).await?;
    if call.path("id") != call.site.account.id {
        return Err(ApiError::not_found());
    }
    let life_seconds = match fields.get("duration") {
        None | Some(Value::Null) => 0,
        Some(duration) => duration.as_i64().ok_or_else(|| ApiError::bad_request(NOT_LOADED))?,
    };
    let life_seconds = match life_seconds {
        0 => LIFE_SECONDS,
        1..=LIFE_SECONDS_MAX => life_seconds as u64,
        _ => {
            let mut faults = FieldFaults::default();
            faults.invalid("duration", &format!("must be from 0 to {LIFE_SECONDS_MAX} seconds"));
            return Err(ApiError::fields(NOT_VALID, faults));
        }
    };
    result(&call.site, sign(&call.site, life_seconds, false)?)
}

/// The collection of a call has to be that of the superusers.
fn check_collection(call: &Call) -> Result<(), ApiError> {
    match collections::is_superusers(call.path("collection")) {
        true => Ok(()),
        false => Err(ApiError::no_collection()),
    }
}

/// Identity and password of a login.
fn credentials(fields: &Map<String, Value>) -> Result<(String, Password), ApiError> {
    let mut faults = FieldFaults::default();
    let mut text = |name: &str| {
        let text = match fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Forms do not tell "1" from 1, and a password may be either.
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(_) => return Err(ApiError::bad_request(NOT_LOADED)),
        };
        if text.is_empty() {
            faults.required(name);
        } else if text.chars().count() > TEXT_MAX {
            let message = format!("The length must be between 1 and {TEXT_MAX}.");
            faults.add_with(name, "validation_length_out_of_range", &message, json!({ "min": 1, "max": TEXT_MAX }));
        }
        Ok(text)
    };
    let (identity, password) = (text("identity")?, text("password")?);
    if let Some(Value::String(field)) = fields.get("identityField")
        && !matches!(field.as_str(), "" | "email")
    {
        faults.add("identityField", "validation_in_invalid", "Must be a valid value.");
    }
    if !faults.is_empty() {
        return Err(ApiError::fields(NOT_VALID, faults));
    }
    Ok((identity, Password::new(password)))
}

/// A new token.
fn sign(site: &Site, life_seconds: u64, refreshable: bool) -> Result<String, ApiError> {
    let signed = site.signer.sign(life_seconds, refreshable);
    signed.map_err(|why| ApiError::internal(&why.to_string()))
}

/// What a login gives.
fn result(site: &Site, token: String) -> Result<Reply, ApiError> {
    Ok(Reply::Json(json!({ "record": site.account.to_json(), "token": token })))
}

/// A body that cannot be read.
const NOT_LOADED: &str = "An error occurred while loading the submitted data.";

/// A body with wrong fields.
const NOT_VALID: &str = "An error occurred while validating the submitted data.";

/// Characters of an identity or a password.
const TEXT_MAX: usize = 255;

/// The longest life of a token that cannot be refreshed: 100 years.
const LIFE_SECONDS_MAX: i64 = 100 * 365 * 86_400;
