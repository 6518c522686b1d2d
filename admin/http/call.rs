//! One request on its way to its handler, and what a handler gives back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use store::Name;

use super::api_token::ApiToken;
use super::body::{self, Inbound, UNDECLARED_MAX};
use super::error::{ApiError, FieldFaults};
use super::fields::Fields;
use super::json;
use super::paging;
use super::server::Ending;
use super::site::Site;
use super::token::Token;

/// A request whose right has been checked.
pub(super) struct Call {
    /// What all requests share.
    pub(super) site: Arc<Site>,
    /// Where it came from.
    pub(super) peer: SocketAddr,
    /// Tells when the service ends.
    pub(super) ending: Ending,
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
    /// A status and a value of a zone at a serial, which the header ETag names; None for one that is gone.
    Zone(StatusCode, Option<u32>, Value),
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

    /// Whether its body is longer than one whose length is not declared may be.
    pub(super) fn is_large(&self) -> bool {
        self.inbound.as_ref().is_some_and(Inbound::is_large)
    }

    /// Reads the body as it is; no octets if that was done before. One whose length is not declared may not be as long as
    /// another.
    pub(super) async fn take_body(&mut self) -> Result<Vec<u8>, ApiError> {
        let coding = self.headers.get(header::CONTENT_ENCODING).filter(|coding| !coding.as_bytes().is_empty());
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Bodies are read as they are; send this one without Content-Encoding.",
            ));
        }
        match self.inbound.take() {
            Some(inbound) if inbound.is_declared() => inbound.read(self.body_max).await,
            Some(inbound) => inbound.read(self.body_max.min(UNDECLARED_MAX)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Reads the body as fields; `malformed` is the sentence for one that cannot be read.
    pub(super) async fn take_fields(&mut self, malformed: &'static str) -> Result<Map<String, Value>, ApiError> {
        let octets = self.take_body().await?;
        body::fields(&self.headers, octets, malformed).await
    }

    /// Reads the body as JSON of a type; 400 names the field that does not fit.
    pub(super) async fn take_json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let mut octets = self.take_body().await?;
        let refused = |field: String, why: &str| {
            let mut faults = FieldFaults::default();
            faults.invalid(&field, why);
            ApiError::fields("The body of the request is wrong.", faults)
        };
        if !body::is_json(&self.headers) {
            return Err(refused("body".into(), "the Content-Type has to be application/json"));
        }
        let value = json::read(&mut octets).ok_or_else(|| refused("body".into(), "this is not JSON"))?;
        serde_path_to_error::deserialize(value).map_err(|why| {
            let field = match why.path().to_string() {
                path if path == "." => "body".into(),
                path => path,
            };
            refused(field, &why.inner().to_string())
        })
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

    /// That all of them are known, and each is given once; 400 names the one that is not.
    pub(super) fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !is_known(name) {
                return Err(paging::parameter(name, "there is no such parameter here"));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(paging::parameter(name, "it is given more than once"));
            }
        }
        Ok(())
    }

    /// The first of a name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The first of a name, even if it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    /// 200 with what a value is in JSON.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, ApiError> {
        to_value(value).map(Self::Json)
    }

    /// 200 with what a zone is at a serial.
    pub(super) fn of_zone(serial: Option<u32>, value: &impl Serialize) -> Result<Self, ApiError> {
        to_value(value).map(|value| Self::Zone(StatusCode::OK, serial, value))
    }

    /// The response, with the wanted fields only.
    pub(super) fn into_response(self, fields: Option<&Fields>) -> Response {
        match self {
            Self::Json(value) => Self::Zone(StatusCode::OK, None, value).into_response(fields),
            Self::Zone(status, serial, mut value) => {
                if let Some(fields) = fields {
                    fields.pick(&mut value);
                }
                let mut response = (status, Json(value)).into_response();
                if let Some(serial) = serial {
                    response.headers_mut().insert(header::ETAG, etag(serial));
                }
                response
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

/// The ETag of a zone at a serial.
pub(super) fn etag(serial: u32) -> HeaderValue {
    // Digits in quotes are octets that a header may have.
    HeaderValue::from_str(&format!("\"{serial}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What a value is in JSON.
pub(super) fn to_value(value: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|why| ApiError::internal(&why.to_string()))
}
