//! The console: the web page that zones are managed with, its scripts and styles.
//!
//! The files lie in `admin/console/` as they are served. A release has them inside; a debug build reads them from the
//! folder, so that a change shows with the next reload of the page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{EmbeddedFile, RustEmbed};
use schemars::JsonSchema;
use serde::Serialize;

use super::call::{Call, Reply};
use super::error::ApiError;
use super::openapi::{Answer, Content, Operation};

/// The files of the console.
#[derive(RustEmbed)]
#[folder = "admin/console/"]
pub(super) struct Files;

/// What a page may show to somebody who has not logged in yet.
#[derive(Serialize, JsonSchema)]
struct Welcome {
    /// The superuser's e-mail address while the password is the well-known default, which is answered on this machine
    /// alone; null once there is another password.
    default_account: Option<String>,
}

/// What [`welcome`] does.
pub(super) const WELCOME: Operation =
    Operation::new("Greet who has not logged in", &[Answer::new(200, "The greeting.", &[Content::json::<Welcome>()])]);

/// `GET /` and `GET /_/`
pub(super) async fn page(call: Call) -> Result<Reply, ApiError> {
    serve(&call.headers, PAGE)
}

/// `GET /console/{*file}`
pub(super) async fn file(call: Call) -> Result<Reply, ApiError> {
    serve(&call.headers, call.path("file"))
}

/// `GET /api/zonda/welcome`
pub(super) async fn welcome(call: Call) -> Result<Reply, ApiError> {
    let account = call.site.is_local_only.then(|| call.site.account.email.clone());
    Reply::of(&Welcome { default_account: account })
}

/// Answers with a file, unless the client has it already.
fn serve(asked: &HeaderMap, path: &str) -> Result<Reply, ApiError> {
    let found =
        TYPES.iter().find(|(ending, _)| path.ends_with(ending)).and_then(|(_, mime)| Some((mime, Files::get(path)?)));
    let (mime, file) = found.ok_or_else(ApiError::not_found)?;
    let tag = tag(&file);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Quotes and hexadecimal digits are octets that a header may have.
    let etag = HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    headers.insert(header::ETAG, etag);
    if has(asked, header::IF_NONE_MATCH, |known| {
        known.trim_start_matches("W/").trim_matches('"') == tag || known == "*"
    }) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(Reply::Whole(response));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    // A coding with `q=0` is one that the client does not take (RFC 9110 §12.5.3).
    let takes_gzip = has(asked, header::ACCEPT_ENCODING, |coding| {
        coding.split_once(';').map_or(coding == "gzip", |(name, q)| name.trim() == "gzip" && !q.trim().eq("q=0"))
    });
    let body = if takes_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        compressed(tag, &file.data)
    } else {
        match file.data {
            Cow::Borrowed(octets) => Bytes::from_static(octets),
            Cow::Owned(octets) => octets.into(),
        }
    };
    *response.body_mut() = body.into();
    Ok(Reply::Whole(response))
}

/// Whether one of the values of a header that is a list is like this.
fn has(headers: &HeaderMap, name: HeaderName, is_like: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| is_like(value.trim()))
}

/// The name of what a file holds.
fn tag(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..16].iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A file as gzip, which is made once.
pub(super) fn compressed(tag: String, data: &[u8]) -> Bytes {
    /// The files that have been asked for, by the name of what they hold.
    static MADE: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = gzip.write_all(data);
        gzip.finish().unwrap_or_default().into()
    };
    made.entry(tag).or_insert_with(make).clone()
}

/// The page itself.
const PAGE: &str = "index.html";

/// What is served, by the end of its name.
const TYPES: &[(&str, &str)] = &[
    (".html", "text/html; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain; charset=utf-8"),
];

/// The headers of all files: they are asked for anew each time, load nothing from elsewhere, and are shown in no frame.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-cache"),
    (header::VARY, "Accept-Encoding"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
