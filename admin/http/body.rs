//! Request bodies: read within bounds of size and time, and turned into an object of fields.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::ApiError;
use super::json;

/// A body that has perhaps not been read yet.
///
/// What is left of it when it is dropped is read and thrown away, within bounds, so that the client gets to see the
/// answer: a connection closed on unread octets is reset, and the answer is lost with it.
pub(super) struct Inbound {
    /// The rest of the body.
    body: Body,
    /// Whether the client waits to be told to send (RFC 9110 §10.1.1).
    expects: bool,
}

impl Inbound {
    /// Takes over a request's body.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Self {
        Self { body, expects: headers.contains_key(header::EXPECT) }
    }

    /// Whether its length is known before it has come.
    pub(super) fn is_declared(&self) -> bool {
        self.body.size_hint().exact().is_some()
    }

    /// Whether it is longer than what comes without a length may be.
    pub(super) fn is_large(&self) -> bool {
        self.body.size_hint().lower() > UNDECLARED_MAX as u64
    }

    /// Reads all of it, at most `max` octets.
    pub(super) async fn read(mut self, max: usize) -> Result<Vec<u8>, ApiError> {
        let size = self.body.size_hint();
        if size.lower() > max as u64 {
            return Err(ApiError::too_large());
        }
        // Pages that nothing is written to take no memory, so that this grows with what comes and is never copied.
        let mut octets = Vec::with_capacity(size.exact().map_or(max, |declared| declared as usize));
        let begun = Instant::now();
        loop {
            let sent = Duration::from_millis(1000 * octets.len() as u64 / OCTETS_PER_SECOND_MIN);
            let deadline = (begun + BODY_GRACE + sent).min(Instant::now() + BODY_IDLE);
            match timeout_at(deadline, next(&mut self.body)).await {
                Err(_) => return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "The request took too long.")),
                Ok(None) => return Ok(octets),
                Ok(Some(Err(_))) => return Err(ApiError::malformed()),
                Ok(Some(Ok(data))) if octets.len() + data.len() > max => return Err(ApiError::too_large()),
                Ok(Some(Ok(data))) => octets.extend_from_slice(&data),
            }
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if self.body.is_end_stream() || self.expects {
            return;
        }
        let mut body = std::mem::replace(&mut self.body, Body::empty());
        tokio::spawn(timeout(DISCARD_TIME, async move {
            let mut discarded = 0;
            while let Some(Ok(data)) = next(&mut body).await {
                discarded += data.len();
                if discarded > DISCARD_MAX {
                    break;
                }
            }
        }));
    }
}

/// The next octets of a body; trailers are skipped.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(why) => return Some(Err(why)),
        }
    }
}

/// The fields of a body: a JSON object or a form. No body is an object without fields.
///
/// `malformed` is the sentence for a body that is of a known type and cannot be read.
pub(super) async fn fields(
    headers: &HeaderMap,
    mut octets: Vec<u8>,
    malformed: &'static str,
) -> Result<Map<String, Value>, ApiError> {
    if octets.is_empty() {
        return Ok(Map::new());
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = match media_type(headers).as_str() {
        "application/json" => match json::read(&mut octets) {
            Some(Value::Object(fields)) => Some(fields),
            _ => None,
        },
        "application/x-www-form-urlencoded" => serde_urlencoded::from_bytes(&octets).ok().and_then(merge),
        "multipart/form-data" => multipart(content_type, octets).await.and_then(merge),
        _ => return Err(ApiError::bad_request("Unsupported Content-Type.")),
    };
    fields.ok_or_else(|| ApiError::bad_request(malformed))
}

/// Whether a body says of itself that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers) == "application/json"
}

/// The media type of a body, without parameters and in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Names and texts of a multipart form (RFC 7578); files are left out, for no field of ours takes one.
async fn multipart(content_type: &str, octets: Vec<u8>) -> Option<Vec<(String, String)>> {
    let mut request = Request::builder().header(header::CONTENT_TYPE, content_type).body(Body::from(octets)).ok()?;
    // The size has been looked at already.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut multipart = Multipart::from_request(request, &()).await.ok()?;
    let mut pairs = Vec::new();
    while let Some(field) = multipart.next_field().await.ok()? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        if field.file_name().is_none() {
            pairs.push((name, field.text().await.ok()?));
        }
    }
    Some(pairs)
}

/// The fields of a form: texts are inferred, a name given twice becomes an array, and the objects under
/// [`JSON_PAYLOAD`] go over the others. `None` if such an object cannot be read.
fn merge(pairs: Vec<(String, String)>) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    let mut payloads = Vec::new();
    for (name, text) in pairs {
        if name == JSON_PAYLOAD {
            payloads.push(text);
            continue;
        }
        let value = infer(text);
        match fields.get_mut(&name) {
            None => drop(fields.insert(name, value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    for payload in payloads {
        let Some(Value::Object(payload)) = json::read(&mut payload.into_bytes()) else {
            return None;
        };
        fields.extend(payload);
    }
    Some(fields)
}

/// The value that a text of a form stands for: a boolean, a number if the text is exactly the shortest one of it, else
/// the text.
fn infer(text: String) -> Value {
    match text.as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let looks_like_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'-' | b'.'));
    let number = looks_like_number.then(|| text.parse::<f64>().ok()).flatten();
    // A number of 17 digits and more is not exactly its text: an id stays text.
    let Some(number) = number.filter(|number| number.to_string() == text) else {
        return Value::String(text);
    };
    match text.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => Value::from(number),
    }
}

/// The field of a form that holds an object as JSON text.
const JSON_PAYLOAD: &str = "@jsonPayload";

/// How long a body may be silent.
const BODY_IDLE: Duration = Duration::from_secs(10);

/// How long a body may take in all, beside the time that [`OCTETS_PER_SECOND_MIN`] allows it.
const BODY_GRACE: Duration = Duration::from_secs(20);

/// The slowest pace at which a body may come in the long run.
const OCTETS_PER_SECOND_MIN: u64 = 8 * 1024;

/// Octets of a body whose length is not declared: one that sends without end fills no more memory than this, and no record
/// is longer. Clients that change much at once know how much it is.
pub(super) const UNDECLARED_MAX: usize = 4 << 20;

/// Octets of a refused body that are still read.
const DISCARD_MAX: usize = 64 * 1024 * 1024;

/// How long a refused body is still read.
const DISCARD_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_forms_are_inferred() {
        for (text, value) in [
            ("true", json!(true)),
            ("false", json!(false)),
            ("True", json!("True")),
            ("300", json!(300)),
            ("-1.5", json!(-1.5)),
            ("007", json!("007")),
            ("1.50", json!("1.50")),
            ("1e3", json!("1e3")),
            ("+1", json!("+1")),
            ("-", json!("-")),
            ("862117763472282490", json!("862117763472282490")),
            ("192.0.2.1", json!("192.0.2.1")),
            ("", json!("")),
            ("null", json!("null")),
        ] {
            assert_eq!(infer(text.into()), value, "{text}");
        }
    }

    #[test]
    fn forms_merge_to_an_object() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>();
        let merged = merge(pairs(&[("a", "1"), ("b", "x"), ("a", "y"), ("@jsonPayload", "{\"b\":[2]}"), ("a", "z")]));
        assert_eq!(merged.map(Value::Object), Some(json!({"a": [1, "y", "z"], "b": [2]})));
        assert_eq!(merge(pairs(&[("@jsonPayload", "[]")])), None);
    }
}
