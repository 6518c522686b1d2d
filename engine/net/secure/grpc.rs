//! DNS over gRPC, the service that CoreDNS has: `rpc Query (DnsPacket) returns (DnsPacket)` of `DnsService` in the package
//! `coredns.dns`, where `message DnsPacket { bytes msg = 1; }` holds one message of DNS.
//!
//! A call is a POST over HTTP/2 whose body is a packet behind a flag and its length; the status of a call comes behind its
//! answer, or in the head of a response that has none. One call needs no more of gRPC than stands here, on the connections
//! of HTTPS and in their bounds.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request;
use hyper::{HeaderMap, Method, Response, StatusCode};
use prost::Message as _;

use crate::net::http::{Asked, Dialect, MESSAGE_MAX, Reply};

/// What a call brings, and what it is answered with.
#[derive(prost::Message)]
struct DnsPacket {
    /// One message of DNS.
    #[prost(bytes = "vec", tag = "1")]
    msg: Vec<u8>,
}

/// How it is spoken.
pub(in crate::net) static DIALECT: Dialect =
    Dialect { is_http2_only: true, body_max: FRAME_MAX, read, message: message_of, respond };

/// Judges the head of a call; an error is what the client is told.
fn read(head: &request::Parts) -> Result<Asked, StatusCode> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.strip_prefix(KIND) {
        // Behind it stands how a packet is written; there is one way that everybody knows.
        Some("" | "+proto") if head.method == Method::POST && head.uri.path() == PATH => Ok(Asked::Body),
        Some("" | "+proto") if head.method == Method::POST => Err(StatusCode::NOT_FOUND),
        _ => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}

/// The message in the body of a call, which is one frame.
fn message_of(body: Vec<u8>) -> Result<Vec<u8>, StatusCode> {
    match body.split_first_chunk::<FRAME_HEAD>() {
        Some((&[0, a, b, c, d], packet)) if packet.len() == u32::from_be_bytes([a, b, c, d]) as usize => {
            let DnsPacket { msg: message } = DnsPacket::decode(packet).map_err(|_| StatusCode::BAD_REQUEST)?;
            if message.len() > MESSAGE_MAX { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(message) }
        }
        // A client compresses what the server has said that it reads, which this one has not.
        Some((&[1, ..], _)) => Err(StatusCode::NOT_FOUND),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The response with an answer, or with the status that is sent instead of one.
fn respond(result: Result<Vec<u8>, StatusCode>) -> Reply {
    let (mut head, ()) = Response::new(()).into_parts();
    let status = |code: u16| [(STATUS, HeaderValue::from(code))];
    match result {
        Ok(answer) => {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
            (head, framed(answer), Some(HeaderMap::from_iter(status(OK))))
        }
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
            head.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            (head, Vec::new(), None)
        }
        Err(why) => {
            let (_, code) = CODES.iter().find(|(known, _)| *known == why).unwrap_or(&CODES[0]);
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
            head.headers.extend(status(*code));
            (head, Vec::new(), None)
        }
    }
}

/// An answer in its packet, in its frame.
fn framed(answer: Vec<u8>) -> Vec<u8> {
    let packet = DnsPacket { msg: answer };
    let mut framed = Vec::with_capacity(FRAME_HEAD + packet.encoded_len());
    framed.push(0);
    framed.extend_from_slice(&(packet.encoded_len() as u32).to_be_bytes());
    framed.extend_from_slice(&packet.encode_to_vec());
    framed
}

/// What a call is told, by what it would be over HTTPS.
const CODES: [(StatusCode, u16); 5] = [
    // INVALID_ARGUMENT: no packet, or no message that has an answer.
    (StatusCode::BAD_REQUEST, 3),
    // DEADLINE_EXCEEDED
    (StatusCode::REQUEST_TIMEOUT, 4),
    // RESOURCE_EXHAUSTED
    (StatusCode::PAYLOAD_TOO_LARGE, 8),
    // UNIMPLEMENTED
    (StatusCode::NOT_FOUND, 12),
    // UNAVAILABLE
    (StatusCode::SERVICE_UNAVAILABLE, 14),
];

/// The status of a call that has its answer.
const OK: u16 = 0;

/// Where the status of a call stands.
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The path of the procedure.
const PATH: &str = "/coredns.dns.DnsService/Query";

/// What a call is to HTTP.
const KIND: &str = "application/grpc";

/// Octets before the packet: whether it is compressed, and its length.
const FRAME_HEAD: usize = 5;

/// Octets of a frame with the longest message: its tag and its length take four. Some room is left for other fields.
const FRAME_MAX: usize = FRAME_HEAD + 4 + MESSAGE_MAX + 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_is_written() {
        for length in [0, 1, 127, 128, 16_383, 16_384, MESSAGE_MAX] {
            let message = vec![7; length];
            assert_eq!(message_of(framed(message.clone())), Ok(message), "{length}");
        }
        assert_eq!(framed(b"abc".to_vec()), b"\0\0\0\0\x05\x0a\x03abc");
    }

    #[test]
    fn what_is_no_packet_is_told_why() {
        let bad = Err(StatusCode::BAD_REQUEST);
        for (body, expected) in [
            (&b""[..], bad.clone()),
            (b"\0\0\0\0", bad.clone()),
            (b"\0\0\0\0\x04\x0a\x03abc", bad.clone()),
            (b"\0\0\0\0\x06\x0a\x03abc", bad.clone()),
            (b"\0\0\0\0\x05\x0a\x04abc", bad.clone()),
            (b"\0\0\0\0\x01\x0b", bad.clone()),
            (b"\0\0\0\0\x0b\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", bad.clone()),
            (b"\0\0\0\0\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", bad),
            (b"\x01\0\0\0\x05\x0a\x03abc", Err(StatusCode::NOT_FOUND)),
            (b"\0\0\0\0\0", Ok(vec![])),
            // A number, eight octets, four octets and octets of other fields; the last field 1 counts.
            (b"\0\0\0\0\x1a\x10\x81\x01\x19abcdefgh\x25abcd\x2a\x01a\x0a\x01a\x0a\x01b", Ok(b"b".to_vec())),
        ] {
            assert_eq!(message_of(body.to_vec()), expected, "{body:x?}");
        }
        let too_long = framed(vec![0; MESSAGE_MAX + 1]);
        assert_eq!(message_of(too_long), Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
