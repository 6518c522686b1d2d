//! Errors as the API tells them: a status, a sentence, and what is wrong with which field.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use store::edit::EditError;
use store::{Faulty, StoreError};

use engine::log;

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    /// The HTTP status.
    status: StatusCode,
    /// A sentence with a capital and a full stop.
    message: Cow<'static, str>,
    /// Details, by field.
    data: Map<String, Value>,
}

impl ApiError {
    /// An error without details.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), data: Map::new() }
    }

    /// 400 without details.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 with what is wrong with which field.
    pub(super) fn fields(message: &'static str, faults: FieldFaults) -> Self {
        Self { data: faults.0, ..Self::bad_request(message) }
    }

    /// 400 for a body or a parameter of a record route that cannot be read.
    pub(super) fn malformed() -> Self {
        Self::bad_request(MALFORMED)
    }

    /// 401: a superuser's token is needed.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "The request requires valid record authorization token.")
    }

    /// 403: the same, on record routes.
    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Only superusers can perform this action.")
    }

    /// 403: an API token that is for other zones.
    pub(super) fn other_zones() -> Self {
        Self::new(StatusCode::FORBIDDEN, "The API token is for other zones.")
    }

    /// 404: no such record, collection, zone or route.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The requested resource wasn't found.")
    }

    /// 404: records of an unknown collection.
    pub(super) fn no_collection() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Missing collection context.")
    }

    /// 413.
    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large.")
    }

    /// 500; `why` is for the log alone.
    pub(super) fn internal(why: &str) -> Self {
        log::error(&format!("HTTP service: {why}"));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, MALFORMED)
    }

    /// The answer to a store that cannot be read or written.
    pub(super) fn store(why: &StoreError) -> Self {
        let error = Self::internal(&why.to_string());
        match why {
            StoreError::Full => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "The disk of the server is full, nothing was written.")
            }
            StoreError::Unsettled(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, UNSETTLED),
            // Which zone it is decides what to do about it.
            StoreError::Damaged(why) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, sentence(why)),
            _ => error,
        }
    }

    /// The answer to a refused edit of records; `message` says what was tried.
    pub(super) fn edit(message: &'static str, error: EditError) -> Self {
        let mut faults = FieldFaults::default();
        match error {
            EditError::Rule { field, message, .. } => faults.invalid(field_name(field), &message),
            EditError::IdTaken { .. } => {
                faults.add("id", "validation_pk_invalid", "The record primary key is invalid or already exists.");
            }
            EditError::NoRow { .. } | EditError::NoZone(_) => return Self::not_found(),
            EditError::ZoneExists(_) => {
                return Self::new(StatusCode::CONFLICT, sentence(&error.to_string()));
            }
            EditError::OtherSerial { .. } => {
                return Self::new(StatusCode::PRECONDITION_FAILED, sentence(&error.to_string()));
            }
            EditError::History(why) => return Self::bad_request(sentence(&why.to_string())),
            EditError::Store(why) => return Self::store(&why),
        }
        Self::fields(message, faults)
    }
}

impl ApiError {
    /// The body of the answer.
    pub(super) fn to_json(&self) -> Value {
        json!({ "status": self.status.as_u16(), "message": self.message, "data": self.data })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.to_json())).into_response()
    }
}

/// What is wrong with which field of a body.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldFaults(Map<String, Value>);

impl FieldFaults {
    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this field is known to be at fault.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Adds a fault with a sentence. The first fault of a field stays.
    pub(super) fn add(&mut self, field: &str, code: &str, message: &str) {
        self.insert(field, json!({ "code": code, "message": message }));
    }

    /// Adds a fault with the parameters of its sentence.
    pub(super) fn add_with(&mut self, field: &str, code: &str, message: &str, params: Value) {
        self.insert(field, json!({ "code": code, "message": message, "params": params }));
    }

    /// Adds that there are too many of something.
    pub(super) fn too_long(&mut self, field: &str, max: usize) {
        let message = format!("The length must be no more than {max}.");
        self.add_with(field, "validation_length_too_long", &message, json!({ "min": 0, "max": max }));
    }

    /// Adds what DNS has against a value.
    pub(super) fn invalid(&mut self, field: &str, why: &str) {
        self.add(field, "validation_invalid_value", &sentence(why));
    }

    /// Adds that a field is missing.
    pub(super) fn required(&mut self, field: &str) {
        self.add(field, "validation_required", "Cannot be blank.");
    }

    /// Adds details of another shape.
    pub(super) fn insert(&mut self, field: &str, details: Value) {
        self.0.entry(field).or_insert(details);
    }
}

impl From<FieldFaults> for Value {
    fn from(faults: FieldFaults) -> Self {
        Self::Object(faults.0)
    }
}

/// A reason as a sentence: a capital if it begins with a plain word, and a full stop.
pub(super) fn sentence(why: &str) -> String {
    let first = why.split(' ').next().unwrap_or_default();
    let mut sentence = String::with_capacity(why.len() + 1);
    if first.bytes().all(|octet| octet.is_ascii_lowercase()) && !first.is_empty() {
        sentence.push(why.as_bytes()[0].to_ascii_uppercase() as char);
        sentence.push_str(&why[1..]);
    } else {
        sentence.push_str(why);
    }
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

/// The field of a record in JSON.
fn field_name(field: Faulty) -> &'static str {
    match field {
        Faulty::Id => "id",
        Faulty::Zone => "zone",
        Faulty::Name => "name",
        Faulty::Rtype => "record_type",
        Faulty::Ttl => "ttl",
        Faulty::Content => "content",
    }
}

/// What is said of a change that may be there or not.
const UNSETTLED: &str = "The disk of the server failed while the change was being written, and whether it took place is not \
                         known yet: if it did, it will be served. Look before trying again.";

/// Says nothing on purpose: the log knows more, or the client has sent what cannot be read.
pub(super) const MALFORMED: &str = "Something went wrong while processing your request.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_with_the_name_of_the_zone_and_other_trouble_is_not() {
        let damaged = ApiError::store(&StoreError::Damaged("the zone example.org. is damaged: a page".into()));
        assert_eq!((damaged.status.as_u16(), &*damaged.message), (500, "The zone example.org. is damaged: a page."));
        let unsettled = ApiError::store(&StoreError::Unsettled("/var/lib/zonda: gone".into()));
        assert_eq!((unsettled.status.as_u16(), &*unsettled.message), (500, UNSETTLED));
        let other = ApiError::store(&StoreError::Io("/var/lib/zonda: gone".into()));
        assert_eq!((other.status.as_u16(), &*other.message), (500, MALFORMED));
    }

    #[test]
    fn reasons_become_sentences() {
        for (why, expected) in [
            ("the name is empty", "The name is empty."),
            ("\"ip\" is missing", "\"ip\" is missing."),
            ("www.example.org. has two", "www.example.org. has two."),
            ("x lies in example.org.", "X lies in example.org."),
            ("", "."),
        ] {
            assert_eq!(sentence(why), expected);
        }
    }
}
