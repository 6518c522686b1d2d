//! zonda's own API: API tokens, made, listed and revoked by the superuser.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Name, Timestamp, name};

use super::api_token::{ApiToken, CreateError, Scope, TOKENS_MAX, Wanted};
use super::call::{Call, Reply};
use super::error::{ApiError, FieldFaults};
use super::openapi::{Answer, Content, Operation};
use super::time;

/// All API tokens.
#[derive(Serialize, JsonSchema)]
struct TokenList {
    /// The tokens.
    tokens: Vec<Token>,
}

/// An API token without its secret.
#[derive(Serialize, JsonSchema)]
struct Token {
    /// Its id.
    id: String,
    /// Its name, which the history has for its changes.
    name: String,
    /// What it allows.
    scope: Scope,
    /// The zones it is for, each with all below it; empty for all zones.
    zones: Vec<String>,
    /// When it was made.
    created: String,
    /// From when on it is void; null for never.
    expires: Option<String>,
    /// When it was last used, to the hour; null if it was not.
    used: Option<String>,
}

/// A new API token.
#[derive(Serialize, JsonSchema)]
struct MadeToken {
    /// What is listed of it.
    #[serde(flatten)]
    listed: Token,
    /// The token itself, which is shown this once.
    token: String,
}

/// An API token to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// Its name: up to 64 letters, digits, `-`, `_` and `.`.
    name: String,
    /// What it allows.
    scope: Scope,
    /// The zones it is for, each with all below it; all zones without them.
    zones: Option<Vec<String>>,
    /// Seconds for which it is valid; without them it does not end.
    #[schemars(range(min = 1, max = 3_153_600_000_u64))]
    duration: Option<u64>,
}

/// What [`list`] does.
pub(super) const LIST: Operation =
    Operation::new("List API tokens", &[Answer::new(200, "The tokens.", &[Content::json::<TokenList>()])]);

/// What [`create`] does.
pub(super) const CREATE: Operation = Operation {
    body: &[Content::json::<NewToken>()],
    ..Operation::new(
        "Make an API token",
        &[Answer::new(200, "The token with its secret.", &[Content::json::<MadeToken>()])],
    )
};

/// What [`revoke`] does.
pub(super) const REVOKE: Operation = Operation::new("Void an API token", &[Answer::empty("The token is void.")]);

/// `GET /api/zonda/tokens`
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let tokens = call.site.blocking(ApiToken::all).await?.map_err(|why| ApiError::store(&why))?;
    let tokens = tokens.into_iter().map(|(id, token, used)| Token::new(id, token, used));
    Reply::of(&TokenList { tokens: tokens.collect() })
}

/// `POST /api/zonda/tokens`
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let wanted = wanted(call.take_json().await?)?;
    let fault = |field: &str, message: &str| {
        let mut faults = FieldFaults::default();
        faults.invalid(field, message);
        ApiError::fields(NOT_MADE, faults)
    };
    match call.site.blocking(move |store| ApiToken::create(store, wanted)).await? {
        Ok((id, made, token)) => Reply::of(&MadeToken { listed: Token::new(id, made, None), token }),
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

impl Token {
    /// What is listed of a token.
    fn new(id: String, token: ApiToken, used: Option<Timestamp>) -> Self {
        Self {
            id,
            name: token.name,
            scope: token.scope,
            zones: token.zones,
            created: time::to_text(token.created),
            expires: token.expires.map(time::to_text),
            used: used.map(time::to_text),
        }
    }
}

/// Checks what is asked for.
fn wanted(new: NewToken) -> Result<Wanted, ApiError> {
    let mut faults = FieldFaults::default();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if !(1..=NAME_MAX).contains(&new.name.len()) || !new.name.bytes().all(is_plain) {
        // An address would pass for the superuser in the history.
        faults.invalid("name", &format!("must be 1 to {NAME_MAX} letters, digits, '-', '_' and '.'"));
    }
    let zones = zone_names(new.zones.as_deref()).unwrap_or_else(|why| {
        faults.invalid("zones", &why);
        Vec::new()
    });
    if new.duration.is_some_and(|seconds| !(1..=DURATION_MAX).contains(&seconds)) {
        faults.invalid("duration", &format!("must be from 1 to {DURATION_MAX} seconds"));
    }
    if !faults.is_empty() {
        return Err(ApiError::fields(NOT_MADE, faults));
    }
    let expires = new.duration.map(|seconds| time::now() + seconds * 1000);
    Ok(Wanted { name: new.name, scope: new.scope, zones, expires })
}

/// The names in a list, which has to have one: a list that came out empty by mistake must not open all zones.
fn zone_names(zones: Option<&[String]>) -> Result<Vec<Name>, String> {
    let Some(zones) = zones else { return Ok(Vec::new()) };
    if !(1..=ZONES_MAX).contains(&zones.len()) {
        return Err(format!("must be an array of 1 to {ZONES_MAX} names; leave it out for all zones"));
    }
    let read = |text: &String| name::parse(text, Some(&Name::root_bytes())).map_err(|why| format!("{text:?}: {why}"));
    zones.iter().map(read).collect()
}

/// A token that cannot be made.
const NOT_MADE: &str = "Failed to create the token.";

/// Characters of a name.
const NAME_MAX: usize = 64;

/// Zones of one token.
const ZONES_MAX: usize = 100;

/// Seconds of the longest life that ends: 100 years.
const DURATION_MAX: u64 = 100 * 365 * 86_400;
