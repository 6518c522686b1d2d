//! DNS over gRPC: what calls get, over TLS and in clear text.

use std::sync::Arc;

use bytes::Bytes;
use engine::plugin::corefile::Scheme;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::transports::{Served, client, www};

/// The answer to a message; None for the status that stands for silence.
pub(crate) fn send(served: &Served, message: &[u8]) -> Option<Vec<u8>> {
    let (code, body) = run(async {
        let mut calls = over_tls(served).await;
        call(&mut calls, PATH, KIND, framed(message)).await
    });
    match &code[..] {
        "0" => Some(message_of(&body).to_vec()),
        "3" => None,
        other => panic!("status {other}"),
    }
}

#[test]
fn calls_get_an_answer_or_a_status() {
    let served = Served::start("", "");
    let question = www().message();
    let longest = [&question[..], &vec![0; 65_535 - question.len()]].concat();
    let mut compressed = framed(&question);
    compressed[0] = 1;
    let mut with_more = framed(&question);
    with_more.extend([0x10, 1]);
    with_more[4] += 2;
    run(async {
        let mut calls = over_tls(&served).await;
        for (path, kind, body, expected) in [
            (PATH, KIND, framed(&question), "0"),
            (PATH, "application/grpc+proto", framed(&question), "0"),
            (PATH, KIND, with_more, "0"),
            (PATH, KIND, framed(&longest), "0"),
            (PATH, KIND, framed(&[]), "3"),
            (PATH, KIND, framed(&question[..11]), "3"),
            (PATH, KIND, vec![], "3"),
            (PATH, KIND, vec![0, 0, 0, 0, 9], "3"),
            (PATH, KIND, [framed(&question), framed(&question)].concat(), "3"),
            (PATH, KIND, framed(&[&longest[..], &[0]].concat()), "8"),
            (PATH, KIND, vec![0; 100_000], "8"),
            (PATH, KIND, compressed, "12"),
            ("/coredns.dns.DnsService/Watch", KIND, framed(&question), "12"),
            (PATH, "application/json", framed(&question), "HTTP 415"),
        ] {
            let length = body.len();
            let (code, body) = call(&mut calls, path, kind, body).await;
            assert_eq!((&code[..], !body.is_empty()), (expected, expected == "0"), "{path} {kind} {length}");
        }
    });
}

#[test]
fn many_calls_are_under_way_at_once() {
    let served = Served::start("", "");
    run(async {
        let calls = over_tls(&served).await;
        let asking: Vec<_> = (0..500_u16)
            .map(|id| {
                let mut calls = calls.clone();
                tokio::spawn(async move {
                    let mut question = www().message();
                    question[..2].copy_from_slice(&id.to_be_bytes());
                    let (code, body) = call(&mut calls, PATH, KIND, framed(&question)).await;
                    assert_eq!((&code[..], &message_of(&body)[..2]), ("0", &id.to_be_bytes()[..]));
                })
            })
            .collect();
        for one in asking {
            one.await.unwrap();
        }
    });
    assert_eq!(served.running.totals().secure.answered, 500);
}

/// As the manual has it: for a proxy in front.
#[test]
fn without_a_certificate_it_is_served_in_clear_text() {
    let served = Served::speaking(&[Scheme::Grpc], "");
    run(async {
        let stream = TcpStream::connect(served.at(Scheme::Grpc)).await.unwrap();
        let (code, body) = call(&mut begin(stream).await, PATH, KIND, framed(&www().message())).await;
        assert_eq!((&code[..], message_of(&body).last()), ("0", Some(&1)));
    });
}

/// Calls over a connection with TLS.
async fn over_tls(served: &Served) -> SendRequest<Full<Bytes>> {
    let mut config = ClientConfig::clone(&client(served.folder.path(), None));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(served.at(Scheme::Grpc)).await.unwrap();
    let name = ServerName::try_from("dns.example.org").unwrap();
    begin(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()).await
}

/// Calls over what has been connected.
async fn begin(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Full<Bytes>> {
    let (calls, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    calls
}

/// The status of a call, wherever it stands, and the body of its response.
async fn call(calls: &mut SendRequest<Full<Bytes>>, path: &str, kind: &str, body: Vec<u8>) -> (String, Bytes) {
    let request = Request::post(format!("https://dns.example.org{path}")).header("content-type", kind);
    let request = request.header("te", "trailers").body(Full::new(Bytes::from(body))).unwrap();
    calls.ready().await.unwrap();
    let (head, body) = calls.send_request(request).await.unwrap().into_parts();
    if head.status != 200 {
        return (format!("HTTP {}", head.status.as_u16()), Bytes::new());
    }
    assert_eq!(head.headers["content-type"], KIND);
    let body = body.collect().await.unwrap();
    let code = |headers: &HeaderMap| Some(headers.get("grpc-status")?.to_str().unwrap().to_owned());
    let code = code(&head.headers).or_else(|| code(body.trailers()?)).expect("a status");
    (code, body.to_bytes())
}

/// A message in its packet, in its frame.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x0a];
    let mut length = message.len();
    while length > 0x7f {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(message);
    [&[0][..], &(packet.len() as u32).to_be_bytes(), &packet].concat()
}

/// The message in a frame; it is no longer than two octets of length can say in this way.
fn message_of(frame: &[u8]) -> &[u8] {
    let packet = &frame[5..];
    assert_eq!((frame[0], packet.len()), (0, u32::from_be_bytes(frame[1..5].try_into().unwrap()) as usize));
    let behind = packet.iter().skip(1).position(|octet| octet & 0x80 == 0).unwrap();
    &packet[behind + 2..]
}

/// Runs a client.
fn run<R>(client: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client)
}

/// The path of the procedure.
const PATH: &str = "/coredns.dns.DnsService/Query";

/// What a call is to HTTP.
const KIND: &str = "application/grpc";
