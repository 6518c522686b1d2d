//! The same over QUIC: clients that leave in their handshakes and behind them, that send what is none, and that open all
//! streams they may for one octet each. For the great numbers:
//!
//! ```text
//! ZONDA_STORM_HANDSHAKES=2500 ZONDA_STORM_QUIC=200 cargo test --profile optimized --test main storm::quic -- --nocapture
//! ```

use std::sync::Arc;

use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, TokioRuntime};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::*;
use crate::support::samples;
use crate::{over_quic, transports};

/// Clients begin and go without a word, or send what is no beginning: nothing of them stays, others are served, and nothing
/// that is asked over UDP meanwhile is lost.
#[test]
fn handshakes_that_are_abandoned_leave_nothing_behind() {
    // Of each kind.
    let count = number("ZONDA_STORM_HANDSHAKES", 20);
    let mut server = Served::start("ring", "quic", "doq");
    let (mut quarter, mut clients) = (None, 0);
    let begun = Instant::now();
    for _ in 0..PARTS {
        let seen = beside_udp(&server.program, || {
            for (name, stranger) in STRANGERS {
                for _ in 0..count / PARTS {
                    stranger(&server, host((clients / 10_000 % 4) as u8, clients));
                    clients += 1;
                }
                assert!(server.is_serving(), "after {name}");
            }
        });
        server.wait_for_none();
        let after = memory_kb(server.program.id());
        println!("{clients} strangers of {} kinds after {:.1?}: {after} KiB; {seen}", STRANGERS.len(), begun.elapsed());
        // What is reserved once has been by the end of the first quarter.
        let before = *quarter.get_or_insert(after);
        assert!(seen.high_kb < before + QUIC_KB && after < before + KEPT_KB, "{before} KiB became {after} KiB");
    }
    server.end();
}

/// Many connections, each with all its streams, on each of them one octet: they are let go in time, cost bounded memory,
/// and nothing that is asked over UDP meanwhile is lost.
#[test]
fn streams_of_one_octet_are_gone_in_time_and_cost_bounded_memory() {
    let count = number("ZONDA_STORM_QUIC", 20);
    let mut server = Served::start("mmsg", "quic", "doq");
    let before = memory_kb(server.program.id());
    let seen = beside_udp(&server.program, || {
        runtime().block_on(async {
            let mut clients = Vec::new();
            for index in 0..count {
                let connection = server.connect(host(0, index)).await;
                let (begun, mut streams) = (Instant::now(), Vec::new());
                for _ in 0..STREAMS {
                    let (mut send, receive) = connection.open_bi().await.unwrap();
                    send.write_all(&[0]).await.unwrap();
                    streams.push((send, receive));
                }
                // There is room for one more as soon as the first of them have had their second.
                let one_more = timeout(Duration::from_millis(1), connection.open_bi()).await;
                assert!(one_more.is_err() || begun.elapsed() > Duration::from_millis(900), "one more");
                clients.push((connection, streams));
            }
            for (_, streams) in &mut clients {
                for (_, receive) in streams {
                    assert!(receive.read_to_end(2).await.is_err());
                }
            }
        });
    });
    server.wait_for_none();
    let after = memory_kb(server.program.id());
    println!("{count} connections of {STREAMS} streams: {before} KiB before, {after} KiB after; {seen}");
    assert!(seen.high_kb < before + QUIC_KB, "{before} KiB became {} KiB", seen.high_kb);
    assert!(server.is_serving());
    server.end();
}

/// The program, which speaks QUIC too.
pub(super) struct Served {
    pub(super) program: Program,
    /// Where it does.
    door: Door,
    /// Where it tells its metrics.
    metrics: u16,
}

/// Where QUIC is spoken, and how.
#[derive(Clone)]
pub(super) struct Door {
    at: SocketAddr,
    pub(super) client: ClientConfig,
}

impl Door {
    /// Connects from an address of one's choice. Where many do, some are too slow for the server, and try again.
    pub(super) async fn connect(&self, host: [u8; 4]) -> Connection {
        let begun = Instant::now();
        loop {
            let connecting = endpoint(host).connect_with(self.client.clone(), self.at, "dns.example.org");
            match connecting.unwrap().await {
                Ok(connection) => return connection,
                Err(why) => assert!(begun.elapsed() < PATIENCE, "{why}"),
            }
        }
    }
}

impl Served {
    /// Starts it over one way in, to speak a scheme, which TLS gives another name.
    pub(super) fn start(way: &str, scheme: &str, alpn: &str) -> Self {
        let (folder, port, quic, metrics) = (tempfile::tempdir().unwrap(), free_port(), free_port(), free_port());
        transports::renew(folder.path());
        let lines = format!(
            "timeouts {{\n        read 1s\n        write 1s\n        idle 2s\n    }}\n    tls cert.pem key.pem\n    \
             prometheus 127.0.0.1:{metrics}"
        );
        let client = over_quic::config(&transports::client(folder.path(), None), alpn);
        let program = program_in(folder, way, port, &format!(".:{port} {scheme}://.:{quic}"), &lines);
        Self { program, door: Door { at: ([127, 0, 0, 1], quic).into(), client }, metrics }
    }

    /// Where it speaks.
    pub(super) fn door(&self) -> Door {
        self.door.clone()
    }

    /// Connects from an address of one's choice.
    async fn connect(&self, host: [u8; 4]) -> Connection {
        self.door.connect(host).await
    }

    /// Whether a client who means well is served.
    fn is_serving(&self) -> bool {
        runtime().block_on(async {
            let connection = self.connect([127, 0, 0, 1]).await;
            let mut message = question().message();
            message[..2].fill(0);
            over_quic::exchange(&connection, &message).await.is_some_and(|answer| answer.last() == Some(&1))
        })
    }

    /// The first datagram of a client, who is not heard of again.
    fn first(&self) -> Vec<u8> {
        runtime().block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = socket.local_addr().unwrap();
            let _connecting =
                endpoint([127, 0, 0, 1]).connect_with(self.door.client.clone(), to, "dns.example.org").unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut datagram = vec![0; 2048];
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            let length = socket.recv(&mut datagram).await.unwrap();
            datagram.truncate(length);
            datagram
        })
    }

    /// Sends a datagram from an address of one's choice.
    fn send(&self, from: [u8; 4], datagram: &[u8]) {
        UdpSocket::bind((std::net::Ipv4Addr::from(from), 0)).unwrap().send_to(datagram, self.door.at).unwrap();
    }

    /// Waits until nobody is connected.
    pub(super) fn wait_for_none(&mut self) {
        let metrics = self.metrics;
        self.program.wait("nobody is connected", |_| samples(metrics, OPEN) == [format!("{OPEN} 0")]);
    }

    /// Ends it, in good order.
    pub(super) fn end(mut self) {
        assert!(!self.program.text().contains("panic"), "{}", self.program.text());
        assert_eq!(self.program.end("TERM"), Some(0));
    }
}

/// A client's end at an address of one's choice.
fn endpoint(host: [u8; 4]) -> Endpoint {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::from(host), 0)).unwrap();
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).unwrap()
}

/// What runs clients. Once it is dropped nothing is heard of them, not even that they go.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Does something from an address of its own, and is gone.
type Stranger = fn(&Served, [u8; 4]);

/// What strangers do.
const STRANGERS: [(&str, Stranger); 8] = [
    ("a first datagram", |server, from| server.send(from, &server.first())),
    ("one that is cut off", |server, from| server.send(from, &server.first()[..1000])),
    ("one that is changed", |server, from| {
        let mut datagram = server.first();
        datagram[100] ^= 1;
        server.send(from, &datagram);
    }),
    ("one of another version", |server, from| {
        let mut datagram = server.first();
        datagram[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
        server.send(from, &datagram);
    }),
    ("one of no connection", |server, from| {
        let mut datagram = server.first();
        datagram[0] = 0x40;
        server.send(from, &datagram);
    }),
    ("somewhere in the handshake", |server, from| {
        runtime().block_on(async {
            let connecting =
                endpoint(from).connect_with(server.door.client.clone(), server.door.at, "dns.example.org").unwrap();
            let step = Duration::from_micros(u64::from(from[3]) * 50);
            let _ = timeout(step, connecting).await;
        });
    }),
    ("after the handshake", |server, from| {
        runtime().block_on(async {
            let connection = server.connect(from).await;
            // Still there when the runtime goes.
            std::mem::forget(connection);
        });
    }),
    ("within a message", |server, from| {
        runtime().block_on(async {
            let connection = server.connect(from).await;
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&[0, 40, 0, 0]).await.unwrap();
            sleep(Duration::from_micros(100)).await;
            std::mem::forget((connection, send, receive));
        });
    }),
];

/// Parts of a run, after each of which is looked what is left of it.
const PARTS: usize = 4;

/// Streams that a client may have at once.
const STREAMS: usize = 256;

/// What the allocator may keep for later: it does not give back the same after each crowd. Had ten thousand connections
/// stayed, it were several times as much.
const KEPT_KB: u64 = 32 << 10;

/// Memory that all connections over QUIC together may take.
pub(super) const QUIC_KB: u64 = 128 << 10;

/// Connections that are open.
const OPEN: &str = "zonda_secure_connections";
