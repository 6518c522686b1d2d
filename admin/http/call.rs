//! One request on its way to its handler, and what a handler gives back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use store::Name;

use super::api_token::ApiToken;
use super::body::{self, Inbound, UNDECLARED_MAX};
use super::error::ApiError;
use super::fields::Fields;
use super::site::Site;
use super::token::Token;

/// A request whose right has been checked.
pub(super) struct Call {
    /// What all requests share.
    pub(super) site: Arc<Site>,
    /// Where it came from.
    pub(super) peer: SocketAddr,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// The parameters of its path.
    pub(super) path: HashMap<String, String>,
    /// The parameters of its query; of those given twice, the first.
    pub(super) query: Query,
    /// The superuser's token, if it came with one.
    pub(super) token: Option<Token>,
    /// The API token, if it came with one to a path where that counts.
    pub(super) api_token: Option<ApiToken>,
    /// Its body, until a handler reads it.
    pub(super) inbound: Option<Inbound>,
    /// Octets that the body may have.
    pub(super) body_max: usize,
}

/// What a handler gives back.
pub(super) enum Reply {
    /// 200 with a value.
    Json(Value),
    /// 200 with an envelope of items.
    List(Value),
    /// 204.
    Empty,
    /// A response of its own.
    Whole(Response),
}

impl Call {
    /// A parameter of the path.
    pub(super) fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// Who asks, for the history: the superuser or the name of an API token.
    pub(super) fn who(&self) -> String {
        self.api_token.as_ref().map_or_else(|| self.site.account.email.clone(), |token| token.name.clone())
    }

    /// Whether the right of whoever asks reaches this zone. [`super::routes`] has asked this for the zone in the path.
    pub(super) fn covers(&self, zone: &Name) -> bool {
        self.api_token.as_ref().is_none_or(|token| token.covers(zone))
    }

    /// Reads the body as it is; no octets if that was done before.
    pub(super) async fn take_body(&mut self) -> Result<Vec<u8>, ApiError> {
        match self.inbound.take() {
            Some(inbound) => inbound.read(self.body_max).await,
            None => Ok(Vec::new()),
        }
    }

    /// Reads the body as fields; `malformed` is the sentence for one that cannot be read.
    pub(super) async fn take_fields(&mut self, malformed: &'static str) -> Result<Map<String, Value>, ApiError> {
        if self.inbound.as_ref().is_some_and(|inbound| !inbound.is_declared()) {
            self.body_max = self.body_max.min(UNDECLARED_MAX);
        }
        let octets = self.take_body().await?;
        body::fields(&self.headers, octets, malformed).await
    }
}

/// The parameters after the `?`.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them; none if they cannot be read.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(serde_urlencoded::from_str(text.unwrap_or_default()).unwrap_or_default())
    }

    /// The first of a name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(found, _)| found == name);
        first.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl Reply {
    /// 200 with what a value is in JSON.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, ApiError> {
        serde_json::to_value(value).map(Self::Json).map_err(|why| ApiError::internal(&why.to_string()))
    }

    /// The response, with the wanted fields only.
    pub(super) fn into_response(self, fields: Option<&Fields>) -> Response {
        match self {
            Self::Json(mut value) => {
                if let Some(fields) = fields {
                    fields.pick(&mut value);
                }
                Json(value).into_response()
            }
            Self::List(mut value) => {
                if let (Some(fields), Some(items)) = (fields, value.get_mut("items")) {
                    fields.pick(items);
                }
                Json(value).into_response()
            }
            Self::Empty => StatusCode::NO_CONTENT.into_response(),
            Self::Whole(response) => response,
        }
    }
}
