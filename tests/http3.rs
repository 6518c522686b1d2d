//! DNS over HTTP/3: what requests get, what connections may take, and what is no HTTP/3.

use std::future::poll_fn;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use engine::plugin::corefile::Scheme;
use h3::client::{RequestStream, SendRequest};
use h3::error::StreamError;
use hyper::{Request, Response};
use quinn::{Connection, Endpoint, ReadError, ReadToEndError, RecvStream, SendStream};
use store::Rtype;

use crate::https::{get, judged, post};
use crate::over_quic::{self, code, run};
use crate::support::{PATIENCE, Question, exchange_udp};
use crate::transports::{Served, client, www};

/// The answer to a message; None for the response that stands for silence.
pub(crate) fn send(served: &Served, message: &[u8]) -> Option<Vec<u8>> {
    let response = over(served, async |mut web| web.ask(post(message)).await.unwrap());
    match response.status().as_u16() {
        200 => Some(response.into_body().to_vec()),
        400 => None,
        other => panic!("status {other}"),
    }
}

/// A connection that requests are made on.
pub(crate) struct Web {
    requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
    connection: Connection,
}

impl Web {
    /// Begins a request, and sends no more than its head.
    async fn begin(
        &mut self,
        head: Request<()>,
    ) -> Result<RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>, StreamError> {
        self.requests.send_request(head).await
    }

    /// The answer to a message in the body of a request.
    pub(crate) async fn answer(&mut self, message: &[u8]) -> Bytes {
        self.ask(post(message)).await.unwrap().into_body()
    }

    /// Makes a request, and gives the whole response.
    async fn ask(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, StreamError> {
        let (head, body) = request.into_parts();
        let mut stream = self.begin(Request::from_parts(head, ())).await?;
        // The server may have had enough before all is sent.
        if !body.is_empty() {
            let _ = stream.send_data(body).await;
        }
        let _ = stream.finish().await;
        response(&mut stream).await
    }

    /// The code that the connection is closed with.
    pub(crate) async fn closed(&self) -> Option<u64> {
        code(self.connection.closed().await)
    }
}

/// The whole response on a stream.
async fn response(
    stream: &mut RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>,
) -> Result<Response<Bytes>, StreamError> {
    let (head, ()) = stream.recv_response().await?.into_parts();
    let mut body = Vec::new();
    while let Some(mut octets) = stream.recv_data().await? {
        body.extend_from_slice(&octets.copy_to_bytes(octets.remaining()));
    }
    Ok(Response::from_parts(head, body.into()))
}

/// Has requests made on a connection.
fn over<R>(served: &Served, make: impl AsyncFnOnce(Web) -> R) -> R {
    run(async {
        let (endpoint, connection) = reach(served).await;
        let web = web(connection).await;
        let connection = web.connection.clone();
        let made = make(web).await;
        // Else the server would wait for what confirms its answer.
        connection.close(0x100_u32.into(), b"");
        endpoint.wait_idle().await;
        made
    })
}

/// Connects.
async fn reach(served: &Served) -> (Endpoint, Connection) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let trusted = client(served.folder.path(), None);
    let connection = over_quic::connect(&endpoint, served.at(Scheme::Https3), &trusted, "h3").await;
    (endpoint, connection)
}

/// Speaks HTTP/3 on a connection.
pub(crate) async fn web(connection: Connection) -> Web {
    let carrier = h3_quinn::Connection::new(connection.clone());
    let (mut driver, requests) = h3::client::new(carrier).await.unwrap();
    tokio::spawn(async move { poll_fn(|context| driver.poll_close(context)).await });
    Web { requests, connection }
}

#[test]
fn a_request_gets_the_answer_that_udp_gives_and_how_long_it_may_be_kept() {
    let served = Served::start("", "");
    for (name, age) in [("www.example.org.", 300), ("nx.example.org.", 60), ("example.net.", 0)] {
        let message = Question::new(name, Rtype::A).message();
        let expected = exchange_udp(served.at(Scheme::Dns), &message, 20_000).unwrap();
        for request in [get(&message), post(&message)] {
            let about = format!("{} {name}", request.method());
            let response = over(&served, async |mut web| web.ask(request).await.unwrap());
            assert_eq!(response.status(), 200, "{about}");
            assert_eq!(response.headers()["content-type"], "application/dns-message", "{about}");
            assert_eq!(response.headers()["cache-control"], format!("max-age={age}"), "{about}");
            assert_eq!(response.headers()["content-length"], expected.len().to_string(), "{about}");
            assert!(response.headers()["date"].to_str().unwrap().ends_with(" GMT"), "{about}");
            assert_eq!(response.body(), &expected, "{about}");
        }
    }
}

#[test]
fn what_is_not_a_request_of_dns_gets_a_status_and_the_connection_stays() {
    let served = Served::start("prometheus", "");
    let message = www().message();
    over(&served, async |mut web| {
        for (request, status) in [(post(&vec![0; 65_536]), 413)].into_iter().chain(judged(&message)) {
            let about = format!("{} {}", request.method(), request.uri());
            let response = web.ask(request).await.unwrap();
            assert_eq!(response.status(), status, "{about}");
            assert_eq!(response.headers().get("allow").is_some(), status == 405, "{about}");
        }
    });
    let text = served.metrics.text();
    let server = format!("https3://{}", "127.0.0.1:0");
    for (status, count) in [(200, 1), (400, 3), (404, 1), (405, 1), (413, 1), (415, 1)] {
        let line = format!("coredns_dns_https3_responses_total{{server=\"{server}\",status=\"{status}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn plugins_see_what_a_request_came_over() {
    let lines = "acl {\nblock type MX\n}\nwhoami\nprometheus 127.0.0.1:0";
    let served = Served::start(lines, "");
    let refused = send(&served, &Question::new("www.example.org.", Rtype::MX).message()).unwrap();
    assert_eq!(refused[3] & 0xf, 5);
    let own = send(&served, &Question::new("who.example.net.", Rtype::A).message()).unwrap();
    assert!(own.windows(8).any(|octets| octets == b"\x07_https3"), "{own:x?}");
    let text = served.metrics.text();
    let server = format!("https3://{}", "127.0.0.1:0");
    let sample = format!(
        "coredns_dns_requests_total{{server=\"{server}\",zone=\".\",view=\"\",proto=\"udp\",family=\"1\",type="
    );
    assert_eq!(text.matches(&sample).count(), 2, "{text}");
}

/// The length of the body is not said beforehand, and the rest is not waited for.
#[test]
fn a_body_that_is_longer_than_a_message_or_does_not_come_is_refused() {
    for (octets, status, lines) in [(vec![0; 65_536], 413, ""), (vec![0; 20], 408, "timeouts {\nread 3s\n}")] {
        let served = Served::start(lines, "");
        let response = over(&served, async |mut web| {
            let mut stream = web.begin(post::<Bytes>(&[]).map(|_| ())).await.unwrap();
            let _ = stream.send_data(octets.into()).await;
            response(&mut stream).await.unwrap()
        });
        assert_eq!(response.status(), status);
    }
}

#[test]
fn many_requests_are_under_way_at_once_and_each_gets_its_own_answer() {
    let served = Served::start("", "");
    over(&served, async |web| {
        let asking: Vec<_> = (0..500_u16)
            .map(|id| {
                let mut web = Web { requests: web.requests.clone(), connection: web.connection.clone() };
                tokio::spawn(async move {
                    let mut question = www().message();
                    question[..2].copy_from_slice(&id.to_be_bytes());
                    let response = web.ask(if id % 2 == 0 { get(&question) } else { post(&question) }).await.unwrap();
                    assert_eq!((response.status().as_u16(), &response.body()[..2]), (200, &id.to_be_bytes()[..]));
                })
            })
            .collect();
        for one in asking {
            one.await.unwrap();
        }
    });
    assert_eq!(served.running.totals().secure.answered, 500);
}

#[test]
fn a_connection_ends_after_its_queries_or_when_it_is_idle_without_an_error() {
    let served = Served::start("timeouts {\nidle 5s\nmaxtcpqueries 2\n}", "");
    for requests in [2, 1, 0] {
        over(&served, async |mut web| {
            for _ in 0..requests {
                assert_eq!(web.ask(post(&www().message())).await.unwrap().status(), 200);
            }
            assert_eq!(web.closed().await, Some(NO_ERROR), "after {requests}");
        });
    }
    assert_eq!(served.running.totals().secure.closed_idle, 2);
}

/// The answer comes from an upstream that takes its time. RFC 9114 §5.2.
#[test]
fn who_has_asked_gets_an_answer_before_the_server_stops_and_a_listener_closes() {
    for stops in [true, false] {
        let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
        upstream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = format!("forward . {} {{\nprefer_udp\nread_timeout 30s\n}}", upstream.local_addr().unwrap());
        let mut served = Served::start(&lines, "");
        let at = served.at(Scheme::Https3);
        let message = Question::new("far.example.net.", Rtype::A).message();
        run(async {
            let (_endpoint, connection) = reach(&served).await;
            let mut web = web(connection).await;
            let asking = tokio::spawn(async move {
                let response = web.ask(post(&message)).await.unwrap();
                assert_eq!((response.status().as_u16(), response.body()[3] & 0xf), (200, 3));
                assert_eq!(web.closed().await, Some(NO_ERROR));
            });
            let receiving = upstream.try_clone().unwrap();
            let (mut answer, from) = tokio::task::spawn_blocking(move || {
                let mut octets = vec![0; 4096];
                let (length, from) = receiving.recv_from(&mut octets).unwrap();
                octets.truncate(length);
                (octets, from)
            })
            .await
            .unwrap();
            let number = served.running.local_addrs().iter().position(|local| *local == at).unwrap();
            let stopping = if stops {
                Ok(tokio::task::spawn_blocking(move || served.running.stop(PATIENCE)))
            } else {
                served.running.close(&[number], PATIENCE);
                Err(served.running)
            };
            // It has had the time to be told.
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer[2] |= 0x80;
            answer[3] = 3;
            upstream.send_to(&answer, from).unwrap();
            asking.await.unwrap();
            if let Ok(stopping) = stopping {
                stopping.await.unwrap();
            }
        });
        let begun = Instant::now();
        while UdpSocket::bind(at).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the port is not free");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// RFC 9114 §4.2.2: what the server has said that it takes is 16 KiB.
#[test]
fn a_head_that_is_too_long_is_refused_and_one_without_end_is_not_kept() {
    let served = Served::start("prometheus", "");
    run(async {
        let (_endpoint, connection) = reach(&served).await;
        // 400 by its number in the table of QPACK, 431 spelt out behind that of `:status`.
        for (count, status) in [(1, &[0xff, 4][..]), (17, &[0x5f, 9, 0x83, 0x69, 0x90, 0xff])] {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            let more = field("x-more", &"x".repeat(1000)).repeat(count);
            send.write_all(&frame(HEADERS, &[head("/dns-query"), more].concat())).await.unwrap();
            send.finish().unwrap();
            // Behind the head of the frame, and the prefix of the fields.
            let response = whole(receive).await.unwrap();
            assert!(response[4..].starts_with(status), "{response:x?}");
        }
        for kind in [HEADERS, 0x21] {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            let endless = [&varint(kind)[..], &varint(1 << 40)].concat();
            let sent = async {
                send.write_all(&endless).await?;
                for _ in 0..1000 {
                    send.write_all(&[0; 1000]).await?;
                }
                Ok::<_, quinn::WriteError>(())
            };
            assert!(matches!(sent.await, Err(quinn::WriteError::Stopped(code)) if code.into_inner() == EXCESSIVE_LOAD));
            assert_eq!(reset(receive).await, Some(EXCESSIVE_LOAD));
        }
        // Others on the connection go on.
        assert_eq!(web(connection).await.answer(&www().message()).await.last(), Some(&1));
    });
    assert_eq!(served.running.totals().secure.closed_full, 2);
    assert!(served.metrics.text().contains("status=\"431\"} 1\n"), "{}", served.metrics.text());
}

/// A frame of an unknown kind is passed over (RFC 9114 §9), but not kept however long it is.
#[test]
fn frames_that_are_not_known_are_passed_over_and_bodies_come_in_many_pieces() {
    let served = Served::start("", "");
    let question = www().message();
    run(async {
        let (_endpoint, connection) = reach(&served).await;
        let (mut control, encoder) = (connection.open_uni().await.unwrap(), connection.open_uni().await.unwrap());
        control.write_all(&[&[0][..], &frame(SETTINGS, &[]), &frame(0x21, &[7; 10_000])].concat()).await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        let mut octets = [frame(0x21, &[1, 2, 3]), frame(HEADERS, &posting())].concat();
        for octet in &question {
            octets.extend(frame(DATA, &[*octet]));
            octets.extend(frame(0x40, b"unknown"));
        }
        octets.extend(frame(HEADERS, &[&[0, 0][..], &field("x-trailer", "1")].concat()));
        send.write_all(&octets).await.unwrap();
        send.finish().unwrap();
        let response = whole(receive).await.unwrap();
        assert_eq!(response.last(), Some(&1), "{response:x?}");
        // More than is kept before it is used, in frames that are each less than what is read at once.
        let long = frame(DATA, &[&question[..], &[0; 1000]].concat()).repeat(60);
        let mut streams = Vec::new();
        for _ in 0..10 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&[frame(HEADERS, &posting()), long.clone()].concat()).await.unwrap();
            send.finish().unwrap();
            streams.push(receive);
        }
        for receive in streams {
            let response = whole(receive).await.unwrap();
            // 200 by its number.
            assert_eq!(response[4], 0xc0 | 25, "{response:x?}");
        }
        drop(encoder);
    });
}

/// RFC 9114 §6.2.1, §7, §8.1; RFC 9204 §2.2.
#[test]
fn what_is_no_http_3_closes_the_connection_with_the_code_that_says_why() {
    let served = Served::start("timeouts {\nread 2s\n}", "");
    let settings = frame(SETTINGS, &[]);
    let request = |octets: Vec<u8>| vec![(false, octets)];
    let control = |octets: &[u8]| vec![(true, [&[0][..], octets].concat())];
    let wrong = [
        ("a body without a head", request(frame(DATA, b"x")), 0x105),
        ("settings in a request", request(settings.clone()), 0x105),
        ("a kind of HTTP/2", request(frame(0x06, &[0; 8])), 0x105),
        ("a head that is cut off", request(frame(HEADERS, &head("/dns-query"))[..10].to_vec()), 0x106),
        ("a table that is not there", request(frame(HEADERS, &[2, 0, 0x80])), 0x200),
        ("a name that is not known", request(frame(HEADERS, &[0, 0, 0xff, 0xff, 0xff, 1])), 0x200),
        ("steering without settings", control(&frame(0x07, &[0])), 0x10a),
        ("settings twice", control(&[settings.clone(), settings.clone()].concat()), 0x105),
        ("settings of HTTP/2", control(&frame(SETTINGS, &[2, 1])), 0x109),
        ("a body to steer", control(&[settings.clone(), frame(DATA, b"x")].concat()), 0x105),
        ("steering twice", [control(&settings), control(&settings)].concat(), 0x103),
        ("steering without end", control(&[settings, varint(0x21), varint(1 << 40), vec![0; 60_000]].concat()), 0x104),
    ];
    run(async {
        for (what, streams, expected) in &wrong {
            let (_endpoint, connection) = reach(&served).await;
            let mut open = Vec::new();
            for (one_way, octets) in streams {
                if *one_way {
                    let mut send = connection.open_uni().await.unwrap();
                    // The server may have had enough before all is sent.
                    let _ = send.write_all(octets).await;
                    open.push((send, None));
                } else {
                    let (mut send, receive) = connection.open_bi().await.unwrap();
                    send.write_all(octets).await.unwrap();
                    send.finish().unwrap();
                    open.push((send, Some(receive)));
                }
            }
            assert_eq!(code(connection.closed().await), Some(*expected), "{what}");
        }
    });
    assert_eq!(served.running.totals().secure.closed_garbage, wrong.len() as u64);
}

/// Those that end without a request are counted, since each leaves something behind as long as the connection is there.
#[test]
fn a_connection_with_many_streams_that_become_no_request_ends() {
    let served = Served::start("", "");
    run(async {
        let (_endpoint, connection) = reach(&served).await;
        let opened = async {
            for _ in 0..10_000 {
                let (mut send, _receive) = connection.open_bi().await.ok()?;
                send.write_all(&varint(HEADERS)).await.ok()?;
                send.reset(0x10c_u32.into()).ok()?;
            }
            Some(())
        };
        assert!(opened.await.is_none());
        assert_eq!(code(connection.closed().await), Some(EXCESSIVE_LOAD));
    });
}

/// A stream without a head has the time of a message.
#[test]
fn a_head_that_stays_incomplete_is_reset_in_time() {
    let served = Served::start("timeouts {\nread 1s\n}", "");
    run(async {
        let (_endpoint, connection) = reach(&served).await;
        let mut streams: Vec<(SendStream, RecvStream)> = Vec::new();
        for _ in 0..256 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&[1]).await.unwrap();
            streams.push((send, receive));
        }
        for (send, receive) in streams {
            assert_eq!(reset(receive).await, Some(REQUEST_REJECTED));
            drop(send);
        }
        assert_eq!(web(connection).await.ask(get(&www().message())).await.unwrap().status(), 200);
    });
    assert_eq!(served.running.totals().secure.closed_slow, 256);
}

/// The code that a stream is reset with.
async fn reset(mut stream: RecvStream) -> Option<u64> {
    match stream.read_to_end(usize::MAX).await {
        Err(ReadToEndError::Read(ReadError::Reset(code))) => Some(code.into_inner()),
        _ => None,
    }
}

/// All that comes on a stream.
async fn whole(mut stream: RecvStream) -> Result<Vec<u8>, ReadToEndError> {
    stream.read_to_end(usize::MAX).await
}

/// The fields of a GET, coded: those that are known by their numbers, and its path.
pub(crate) fn head(path: &str) -> Vec<u8> {
    [&[0, 0, 0xd1, 0xd7, 0x50, 15][..], b"dns.example.org", &[0x51, path.len() as u8], path.as_bytes()].concat()
}

/// The fields of a POST with a message.
pub(crate) fn posting() -> Vec<u8> {
    let mut fields = head("/dns-query");
    fields[2] = 0xd4;
    fields.push(0xec);
    fields
}

/// A field that is spelt out.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |first: u8, bits: u32, length: usize| {
        let most = (1 << bits) - 1;
        let mut octets = vec![first | length.min(most) as u8];
        let mut left = length.saturating_sub(most);
        if length >= most {
            while left > 127 {
                octets.push(left as u8 | 128);
                left >>= 7;
            }
            octets.push(left as u8);
        }
        octets
    };
    [&length(0x20, 3, name.len())[..], name.as_bytes(), &length(0, 7, value.len()), value.as_bytes()].concat()
}

/// A frame: its kind, its length and what is in it (RFC 9114 §7.1).
pub(crate) fn frame(kind: u64, octets: &[u8]) -> Vec<u8> {
    [&varint(kind)[..], &varint(octets.len() as u64), octets].concat()
}

/// A number (RFC 9000 §16), in its longest form where it is long.
pub(crate) fn varint(number: u64) -> Vec<u8> {
    match number {
        0..64 => vec![number as u8],
        64..16_384 => (number as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (number | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

// Kinds of frames (RFC 9114 §7.2).

/// A piece of a body.
pub(crate) const DATA: u64 = 0;

/// The head of a request.
pub(crate) const HEADERS: u64 = 1;

/// What a client says first.
pub(crate) const SETTINGS: u64 = 4;

// Codes (RFC 9114 §8.1).

/// There is no error.
pub(crate) const NO_ERROR: u64 = 0x100;

/// There is no room for it.
const EXCESSIVE_LOAD: u64 = 0x107;

/// It has not been looked at.
const REQUEST_REJECTED: u64 = 0x10b;
