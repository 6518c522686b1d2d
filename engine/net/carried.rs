//! What the fuzz target and a test with random octets check of messages in what carries them: a body of HTTP, a packet of
//! gRPC, the length before a message over TCP, TLS and QUIC.

use hyper::Request;

use super::http::{Asked, DIALECT, MESSAGE_MAX};
use super::secure::grpc;
use super::{connection, quic};

/// Reads octets in each of these ways. What is read is no longer than a message, lies whole in the octets, and what is
/// written is read as the same; panics if not.
pub fn fuzz_check(octets: &[u8]) {
    over_http(octets);
    if let Ok(message) = (grpc::DIALECT.message)(octets.to_vec()) {
        assert!(message.len() <= MESSAGE_MAX);
        let (_, framed, behind) = (grpc::DIALECT.respond)(Ok(message.clone()));
        assert!(behind.is_some());
        assert_eq!((grpc::DIALECT.message)(framed), Ok(message));
    }
    let mut rest = octets;
    while let Some(message) = connection::next_message(rest) {
        rest = &rest[2 + message.len()..];
    }
    if let Some(message) = quic::message_of(octets) {
        assert_eq!(octets[2..], *message);
        // One that is too short for an id is silence like all that are no message.
        assert!(message.first_chunk::<2>().is_none_or(|id| *id == [0, 0]));
    }
}

/// The lines of a text are the method, the address, and the fields of a request.
fn over_http(octets: &[u8]) {
    let mut lines = octets.split(|octet| *octet == b'\n');
    let (method, address) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut request = Request::builder().method(method).uri(address);
    for line in lines {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
        request = request.header(&line[..colon], &line[colon + 1..]);
    }
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    for dialect in [&DIALECT, &grpc::DIALECT] {
        match (dialect.read)(&head) {
            Ok(Asked::Message(message)) => {
                assert!(message.len() < address.len());
                let (answer, body, _) = (dialect.respond)(Ok(message.clone()));
                assert_eq!((answer.status.as_u16(), body), (200, message));
            }
            Ok(Asked::Body) => assert_eq!(head.method, "POST"),
            Err(status) => assert!(status.is_client_error() && (dialect.respond)(Err(status)).1.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_by_chance_are_read_within_their_bounds() {
        let seeds: [&[u8]; 7] = [
            b"GET\n/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA29yZwAAAQAB",
            b"POST\nhttps://dns.example.org/dns-query\ncontent-type:application/dns-message\ncontent-length:40",
            b"POST\n/coredns.dns.DnsService/Query\ncontent-type:application/grpc+proto",
            b"\0\0\0\0\x1a\x10\x81\x01\x19abcdefgh\x25abcd\x2a\x01a\x0a\x01a\x0a\x01b",
            b"\0\x01\xb2",
            b"\0\x11\0\0\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01",
            b"\0\x1c\0\0\0\0\0\x01\0\0\0\0\0\x01\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..20_000 {
            let mut octets = seeds[round % seeds.len()].to_vec();
            for _ in 0..random.usize(..4) {
                let at = random.usize(..octets.len());
                match random.u8(..4) {
                    0 => octets[at] = random.u8(..),
                    1 => octets.insert(at, random.u8(..)),
                    2 if octets.len() > 1 => drop(octets.remove(at)),
                    _ => octets[at] ^= 1 << random.u8(..8),
                }
            }
            fuzz_check(&octets);
        }
    }
}
