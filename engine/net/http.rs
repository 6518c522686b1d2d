//! DNS in HTTP (RFC 8484), whatever the version of HTTP: from the head of a request to the message in it, and from an
//! answer to the response.
//!
//! A request is judged by its head alone, so nobody has to send what is not wanted. What it says of cookies, languages or
//! accepted types is not looked at: there is one type, and a client of DNS takes it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, Response, StatusCode};

use crate::wire::lifetime;

/// Where the message of a request is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// In its address.
    Message(Vec<u8>),
    /// In its body, which has no more than [`MESSAGE_MAX`] octets as far as one can know.
    Body,
}

/// What requests and responses are to HTTP.
pub(super) struct Dialect {
    /// HTTP/1.1 is not spoken.
    pub(super) is_http2_only: bool,
    /// Octets of the longest body.
    pub(super) body_max: usize,
    /// Judges the head of a request; an error is what the client is told.
    pub(super) read: fn(&request::Parts) -> Result<Asked, StatusCode>,
    /// The message in a body.
    pub(super) message: fn(Vec<u8>) -> Result<Vec<u8>, StatusCode>,
    /// The response with an answer, or with what the client is told instead.
    pub(super) respond: fn(Result<Vec<u8>, StatusCode>) -> Reply,
}

/// A response: its head, its body, and what comes behind.
pub(super) type Reply = (response::Parts, Vec<u8>, Option<HeaderMap>);

/// DNS over HTTPS.
pub(super) static DIALECT: Dialect = Dialect {
    is_http2_only: false,
    body_max: MESSAGE_MAX,
    read,
    message: Ok,
    respond: |result| (head(&result), result.unwrap_or_default(), None),
};

/// Judges the head of a request; an error is what the client is told.
fn read(head: &request::Parts) -> Result<Asked, StatusCode> {
    if head.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match head.method {
        // RFC 8484 §4.1. Addresses of HTTP are shorter than the longest message; who has one of those uses POST.
        Method::GET => {
            let message = head.uri.query().and_then(message_of).ok_or(StatusCode::BAD_REQUEST)?;
            Ok(Asked::Message(message))
        }
        Method::POST if !is_message(&head.headers) => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        Method::POST if length(&head.headers).is_some_and(|length| length > MESSAGE_MAX as u64) => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Method::POST => Ok(Asked::Body),
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// The head of the response with an answer, or with the status that is sent instead of one.
fn head(result: &Result<Vec<u8>, StatusCode>) -> response::Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    match result {
        Ok(answer) => {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
            let age = format!("max-age={}", lifetime(answer));
            head.headers.extend(HeaderValue::try_from(age).ok().map(|age| (CACHE_CONTROL, age)));
        }
        Err(status) => {
            head.status = *status;
            if *status == StatusCode::METHOD_NOT_ALLOWED {
                head.headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
        }
    }
    head
}

/// The message in the query part of an address; it stands there once.
fn message_of(query: &str) -> Option<Vec<u8>> {
    let mut found = query.split('&').filter_map(|parameter| parameter.strip_prefix("dns="));
    let (message, None) = (found.next()?, found.next()) else { return None };
    URL_SAFE_NO_PAD.decode(message).ok()
}

/// Whether a body is a message of DNS, as its head says.
fn is_message(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE))
}

/// How long a body is, as its head says.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Octets of a message (RFC 8484 §6).
pub(super) const MESSAGE_MAX: usize = 65_535;

/// Octets of the head of a request, its address in it: many times what any client of DNS sends. Versions of HTTP with
/// fields of their own count these (RFC 9113 §6.5.2, RFC 9114 §4.2.2).
pub(super) const HEAD_MAX: usize = 16_384;

/// The path that is answered, the only one that the manual knows.
const PATH: &str = "/dns-query";

/// What a message of DNS is to HTTP (RFC 8484 §6).
const MESSAGE: &str = "application/dns-message";

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    #[test]
    fn what_is_not_a_request_of_dns_is_told_why() {
        let message = |octets: &[u8]| Ok(Asked::Message(octets.to_vec()));
        let dns = [(CONTENT_TYPE, "application/dns-message")];
        let (too_long, longest) = ((MESSAGE_MAX + 1).to_string(), MESSAGE_MAX.to_string());
        for (method, address, headers, expected) in [
            ("GET", "/dns-query?dns=AAEC_-8", &[][..], message(&[0, 1, 2, 255, 239])),
            ("GET", "https://dns.example.org/dns-query?a=b&dns=AAEC", &[], message(&[0, 1, 2])),
            ("GET", "/dns-query?dns=", &[], message(&[])),
            ("GET", "/dns-query", &[], Err(StatusCode::BAD_REQUEST)),
            ("GET", "/dns-query?xdns=AAEC", &[], Err(StatusCode::BAD_REQUEST)),
            ("GET", "/dns-query?dns=AAEC&dns=AAEC", &[], Err(StatusCode::BAD_REQUEST)),
            ("GET", "/dns-query?dns=AAE=", &[], Err(StatusCode::BAD_REQUEST)),
            ("GET", "/dns-query?dns=A+/C", &[], Err(StatusCode::BAD_REQUEST)),
            ("GET", "/?dns=AAEC", &[], Err(StatusCode::NOT_FOUND)),
            ("GET", "/dns-query/?dns=AAEC", &[], Err(StatusCode::NOT_FOUND)),
            ("POST", "/dns-query", &dns[..], Ok(Asked::Body)),
            ("POST", "/dns-query", &[(CONTENT_TYPE, "Application/DNS-Message; v=1")], Ok(Asked::Body)),
            ("POST", "/dns-query", &[dns[0].clone(), (CONTENT_LENGTH, &longest)], Ok(Asked::Body)),
            ("POST", "/dns-query", &[dns[0].clone(), (CONTENT_LENGTH, &too_long)], Err(StatusCode::PAYLOAD_TOO_LARGE)),
            ("POST", "/dns-query", &[], Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            ("POST", "/dns-query", &[(CONTENT_TYPE, "text/plain")], Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            ("POST", "/elsewhere", &dns[..], Err(StatusCode::NOT_FOUND)),
            ("PUT", "/dns-query", &dns[..], Err(StatusCode::METHOD_NOT_ALLOWED)),
            ("HEAD", "/dns-query?dns=AAEC", &[], Err(StatusCode::METHOD_NOT_ALLOWED)),
        ] {
            let mut request = Request::builder().method(method).uri(address);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(read(&head), expected, "{method} {address} {headers:?}");
        }
    }
}
