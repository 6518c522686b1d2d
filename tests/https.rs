//! DNS over HTTPS: what requests get, over both versions of HTTP, and what connections may take.

use std::convert::Infallible;
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use engine::plugin::Transport;
use engine::plugin::corefile::Scheme;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use store::Rtype;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::over_quic::run;
use crate::support::{PATIENCE, Question, exchange_udp};
use crate::transports::{Served, client, www};

/// The versions of HTTP, as TLS names them.
const VERSIONS: [&str; 2] = ["h2", "http/1.1"];

/// The answer to a message over HTTP/2; None for the response that stands for silence.
pub(crate) fn send(served: &Served, message: &[u8]) -> Option<Vec<u8>> {
    let (status, answer) = over(served, "h2", async |mut web| {
        let response = web.ask(post(message)).await.unwrap();
        (response.status(), response.into_body())
    });
    match status.as_u16() {
        200 => Some(answer.to_vec()),
        400 => None,
        other => panic!("status {other}"),
    }
}

/// A connection that requests are made on.
enum Web<B> {
    One(http1::SendRequest<B>),
    Two(http2::SendRequest<B>),
}

impl<B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static> Web<B> {
    /// One over what has been connected.
    async fn open<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: T, version: &str, window: u32) -> Self {
        match version {
            "h2" => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                let (web, connection) =
                    builder.initial_stream_window_size(window).handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Self::Two(web)
            }
            _ => {
                let (web, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Self::One(web)
            }
        }
    }

    /// Makes a request, and gives the response once its head is there.
    async fn begin(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(web) => web.send_request(request).await,
            Self::Two(web) => web.send_request(request).await,
        }
    }

    /// Makes a request, and gives the whole response.
    async fn ask(&mut self, request: Request<B>) -> hyper::Result<Response<Bytes>> {
        let (head, body) = self.begin(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// Whether the connection takes no more requests.
    fn is_closed(&self) -> bool {
        match self {
            Self::One(web) => web.is_closed(),
            Self::Two(web) => web.is_closed(),
        }
    }

    /// Waits until it is so.
    async fn until_closed(&self) {
        let begun = Instant::now();
        while !self.is_closed() {
            assert!(begun.elapsed() < PATIENCE, "the connection stays");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Has requests made over a connection with TLS.
fn over<R>(served: &Served, version: &str, make: impl AsyncFnOnce(Web<Full<Bytes>>) -> R) -> R {
    run(async { make(Web::open(reach(served, version).await, version, WINDOW).await).await })
}

/// Connects, and goes through the handshake.
async fn reach(served: &Served, version: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = ClientConfig::clone(&client(served.folder.path(), None));
    config.alpn_protocols = vec![version.into()];
    let stream = TcpStream::connect(served.at(Scheme::Https)).await.unwrap();
    let name = ServerName::try_from("dns.example.org").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(version.as_bytes()));
    stream
}

/// A request that has a message in its body.
pub(crate) fn post<B: From<Bytes>>(message: &[u8]) -> Request<B> {
    let request = Request::post(ADDRESS).header("content-type", "application/dns-message");
    request.header("host", "dns.example.org").body(Bytes::copy_from_slice(message).into()).unwrap()
}

/// A request that has a message in its address.
pub(crate) fn get<B: From<Bytes>>(message: &[u8]) -> Request<B> {
    let address = format!("{ADDRESS}?dns={}", URL_SAFE_NO_PAD.encode(message));
    Request::get(address).header("host", "dns.example.org").body(Bytes::new().into()).unwrap()
}

/// Requests that are none of DNS and then one that is, each with the status that it gets.
pub(crate) fn judged<B: From<Bytes>>(message: &[u8]) -> [(Request<B>, u16); 7] {
    let to = |path: &str| {
        let mut request = get(message);
        *request.uri_mut() = format!("https://dns.example.org{path}").parse().unwrap();
        request
    };
    let mut put = post(message);
    *put.method_mut() = hyper::Method::PUT;
    let mut text = post(message);
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    [
        (to("/"), 404),
        (to("/dns-query"), 400),
        (to("/dns-query?dns=AAE%3D"), 400),
        (to("/dns-query?dns=AAEC"), 400),
        (put, 405),
        (text, 415),
        (post(message), 200),
    ]
}

/// Where messages are answered.
const ADDRESS: &str = "https://dns.example.org/dns-query";

/// What a client of HTTP/2 ordinarily takes of a response before it has read it.
const WINDOW: u32 = 65_535;

#[test]
fn a_request_gets_the_answer_that_udp_gives_and_how_long_it_may_be_kept() {
    let served = Served::start("", "");
    let names =
        [("www.example.org.", Rtype::A, 300), ("nx.example.org.", Rtype::A, 60), ("www.example.org.", Rtype::MX, 60)];
    for (name, rtype, age) in names.into_iter().chain([("example.net.", Rtype::A, 0)]) {
        let message = Question::new(name, rtype).message();
        let expected = exchange_udp(served.at(Scheme::Dns), &message, 20_000).unwrap();
        for version in VERSIONS {
            for request in [get(&message), post(&message)] {
                let about = format!("{} {name} over {version}", request.method());
                let response = over(&served, version, async |mut web| web.ask(request).await.unwrap());
                assert_eq!(response.status(), 200, "{about}");
                assert_eq!(response.headers()["content-type"], "application/dns-message", "{about}");
                assert_eq!(response.headers()["cache-control"], format!("max-age={age}"), "{about}");
                assert_eq!(response.headers()["content-length"], expected.len().to_string(), "{about}");
                assert_eq!(response.body(), &expected, "{about}");
            }
        }
    }
}

#[test]
fn what_is_not_a_request_of_dns_gets_a_status_and_the_connection_stays() {
    let served = Served::start("prometheus", "");
    let message = www().message();
    for version in VERSIONS {
        over(&served, version, async |mut web| {
            for (request, status) in judged(&message) {
                let about = format!("{request:?} over {version}");
                let response = web.ask(request).await.unwrap();
                assert_eq!(response.status(), status, "{about}");
                assert_eq!(response.headers().get("allow").is_some(), status == 405, "{about}");
            }
            assert_eq!(web.ask(post(&vec![0; 65_536])).await.unwrap().status(), 413, "{version}");
        });
    }
    let text = served.metrics.text();
    let server = format!("https://{}", "127.0.0.1:0");
    for (status, count) in [(200, 2), (400, 6), (404, 2), (405, 2), (413, 2), (415, 2)] {
        let line = format!("coredns_dns_https_responses_total{{server=\"{server}\",status=\"{status}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

/// The length of the body is not said beforehand, and the rest is not waited for.
#[test]
fn a_body_that_is_longer_than_a_message_or_does_not_come_is_refused() {
    for version in VERSIONS {
        for (octets, status, lines) in [(vec![0; 65_536], 413, ""), (vec![0; 20], 408, "timeouts {\nread 1s\n}")] {
            let served = Served::start(lines, "");
            let response = run(async {
                let body = Endless(Some(octets.into()));
                let mut web = Web::open(reach(&served, version).await, version, WINDOW).await;
                let request = Request::post(ADDRESS).header("content-type", "application/dns-message");
                web.begin(request.header("host", "dns.example.org").body(body).unwrap())
                    .await
                    .map(|response| response.status())
            });
            assert_eq!(response.unwrap(), status, "{version}");
        }
    }
}

/// A body that begins so and never ends.
struct Endless(Option<Bytes>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |octets| Poll::Ready(Some(Ok(Frame::data(octets)))))
    }
}

#[test]
fn without_a_certificate_it_is_served_in_clear_text() {
    let served = Served::speaking(&[Scheme::Dns, Scheme::Https], "");
    let message = www().message();
    let expected = served.send(&message, Transport::Udp).unwrap();
    for version in VERSIONS {
        let response = run(async {
            let stream = TcpStream::connect(served.at(Scheme::Https)).await.unwrap();
            Web::open(stream, version, WINDOW).await.ask(post::<Full<Bytes>>(&message)).await.unwrap()
        });
        assert_eq!((response.status().as_u16(), response.body()), (200, &Bytes::from(expected.clone())), "{version}");
    }
}

#[test]
fn a_connection_ends_after_its_queries_or_when_it_is_idle() {
    let served = Served::start("timeouts {\nidle 5s\nmaxtcpqueries 2\n}", "");
    let message = www().message();
    for version in VERSIONS {
        for requests in [2, 1, 0] {
            over(&served, version, async |mut web| {
                for _ in 0..requests {
                    assert_eq!(web.ask(post(&message)).await.unwrap().status(), 200, "{version}");
                }
                web.until_closed().await;
            });
        }
    }
    assert_eq!(served.running.totals().secure.closed_idle, 4);
}

#[test]
fn the_head_of_a_request_has_the_idle_time() {
    let served = Served::start("timeouts {\nidle 1s\n}", "");
    run(async {
        let mut stream = reach(&served, "http/1.1").await;
        let mut ended = pin!(async {
            while served.running.totals().secure.closed_idle == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let begun = Instant::now();
        // An octet after the other, so that it is never silent for long.
        for octet in b"GET /dns-query HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
            assert!(begun.elapsed() < PATIENCE, "the connection stays");
            let next = tokio::time::timeout(Duration::from_millis(50), ended.as_mut()).await;
            if next.is_ok() || stream.write_all(&[*octet]).await.is_err() {
                break;
            }
        }
    });
    assert_eq!(served.running.totals().secure.closed_idle, 1);
}

/// The window of its streams is closed, so that answers wait here.
#[test]
fn a_client_that_does_not_take_its_answers_is_let_go() {
    let served = Served::start("timeouts {\nwrite 1s\nidle 5s\n}", "");
    let message = www().message();
    run(async {
        let mut web = Web::open(reach(&served, "h2").await, "h2", 0).await;
        let response = web.begin(post::<Full<Bytes>>(&message)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err());
        web.until_closed().await;
    });
    assert_eq!(served.running.totals().secure.closed_slow, 1);
}

/// The answer comes from an upstream that takes its time.
#[test]
fn who_has_asked_gets_an_answer_before_the_server_stops() {
    for version in VERSIONS {
        let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
        upstream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = format!("forward . {} {{\nprefer_udp\nread_timeout 30s\n}}", upstream.local_addr().unwrap());
        let served = Served::start(&lines, "");
        let message = Question::new("far.example.net.", Rtype::A).message();
        run(async {
            let mut web = Web::open(reach(&served, version).await, version, WINDOW).await;
            let asking = tokio::spawn(async move {
                let response = web.ask(post::<Full<Bytes>>(&message)).await.unwrap();
                assert_eq!((response.status().as_u16(), response.body()[3] & 0xf), (200, 3), "{version}");
                web.until_closed().await;
            });
            let (octets, client) = tokio::task::spawn_blocking({
                let upstream = upstream.try_clone().unwrap();
                move || receive(&upstream)
            })
            .await
            .unwrap();
            let Served { running, .. } = served;
            let at = running.local_addrs().to_vec();
            let stopping = tokio::task::spawn_blocking(move || running.stop(PATIENCE));
            // It has begun to stop once nobody listens any more.
            while at.iter().any(|at| std::net::TcpStream::connect(at).is_ok()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut answer = octets;
            answer[2] |= 0x80;
            answer[3] = 3;
            upstream.send_to(&answer, client).unwrap();
            asking.await.unwrap();
            stopping.await.unwrap();
        });
    }
}

/// One query that came in at an upstream.
fn receive(upstream: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut octets = vec![0; 4096];
    let (length, client) = upstream.recv_from(&mut octets).unwrap();
    octets.truncate(length);
    (octets, client)
}
