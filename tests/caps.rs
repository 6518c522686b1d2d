//! The plugins `quic`, `https`, `https3` and `grpc_server`: what they take, and how many connections and streams there are.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use engine::plugin::corefile::{Corefile, Scheme};
use engine::plugin::setup;
use engine::zone::Hub;
use quinn::{Connection, Endpoint};

use crate::over_quic::{self, code, run};
use crate::support::{PATIENCE, Program, free_port, refuses};
use crate::transports::{Served, client, www};

#[test]
fn a_fault_is_told_with_its_line_and_the_numbers_that_there_may_be() {
    let at = |line: u32, message: &str| format!("Corefile:{line} - Error during parsing: {message}");
    let number = |plugin: &str, property: &str, value: &str, least: u32| {
        let wrong = at(3, &format!("{property} '{value}' is not a number from {least} to 4294967295"));
        (plugin.to_owned(), format!("{plugin} {{\n{property} {value}\n}}"), wrong)
    };
    let of = |plugin: &str, lines: &str, why: String| (plugin.to_owned(), lines.to_owned(), why);
    let missing = "Wrong argument count or unexpected line ending after";
    for (plugin, lines, why) in [
        number("quic", "max_streams", "0", 1),
        number("quic", "max_streams", "many", 1),
        number("quic", "worker_pool_size", "0", 1),
        number("https", "max_connections", "-1", 0),
        number("https3", "max_streams", "4294967296", 0),
        number("https3", "max_connections", "1.5", 0),
        number("grpc_server", "max_streams", "-1", 0),
        number("grpc_server", "max_connections", "x", 0),
        of("quic", "quic 16", at(2, &format!("{missing} '16'"))),
        of("quic", "quic\nquic", "this plugin can only be used once per Server Block".into()),
        of("quic", "quic {\nmax_connections 1\n}", at(3, "unknown property 'max_connections'")),
        of("https", "https {\nmax_streams 1\n}", at(3, "unknown property 'max_streams'")),
        of("https", "https {\nmax_connections\n}", at(3, &format!("{missing} 'max_connections'"))),
        of("https", "https {\nmax_connections 1 2\n}", at(3, &format!("{missing} '2'"))),
        of(
            "grpc_server",
            "grpc_server {\nmax_streams 1\nmax_connections 1\nmax_streams 2\n}",
            at(5, "max_streams already defined for this server block"),
        ),
    ] {
        refuses(&plugin, &[(&lines, &why)]);
    }
}

#[test]
fn more_streams_than_there_can_be_are_worth_a_warning() {
    for (lines, expected) in [
        ("quic {\nmax_streams 257\n}", Some("plugin/quic: max_streams 257 is more than there can be: 256")),
        ("https3 {\nmax_streams 1000\n}", Some("plugin/https3: max_streams 1000 is more than there can be: 256")),
        (
            "grpc_server {\nmax_streams 129\n}",
            Some("plugin/grpc_server: max_streams 129 is more than there can be: 128"),
        ),
        ("quic {\nmax_streams 256\nworker_pool_size 1024\n}\nhttps\nhttps3\ngrpc_server {\nmax_streams 0\n}", None),
    ] {
        let corefile = Corefile::parse_text("Corefile", &format!(". {{\n{lines}\nwhoami\n}}\n")).unwrap();
        let ready = setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!(ready.services.warnings, Vec::from_iter(expected), "{lines}");
    }
}

/// RFC 9113 §6.5.2. What another scheme has is not for it.
#[test]
fn clients_over_http2_are_told_how_many_streams_there_are() {
    for (scheme, lines, expected) in [
        (Scheme::Grpc, "grpc_server {\nmax_streams 5\n}", 5),
        (Scheme::Grpc, "grpc_server {\nmax_streams 0\n}", 128),
        (Scheme::Grpc, "grpc_server {\nmax_streams 1000\n}", 128),
        (Scheme::Grpc, "https3 {\nmax_streams 5\n}", 128),
        (Scheme::Https, "grpc_server {\nmax_streams 5\n}", 128),
    ] {
        let served = Served::speaking(&[Scheme::Https, Scheme::Grpc], lines);
        assert_eq!(streams_told(served.at(scheme)), Some(expected), "{scheme:?} {lines}");
    }
}

/// How many streams a server of HTTP/2 in clear text says that there may be.
fn streams_told(at: SocketAddr) -> Option<u32> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The preface, and settings that are empty (RFC 9113 §3.4).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[1], head[3]), (0, 0, 4), "SETTINGS come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).unwrap();
    let number = |setting: &[u8]| u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
    settings.chunks_exact(6).find(|setting| setting[..2] == [0, 3]).map(number)
}

#[test]
fn a_reload_counts_for_new_connections() {
    let secure = free_port();
    let corefile = |max: u32| {
        format!(
            ".:PORT grpc://.:{secure} {{\n    bind 127.0.0.1\n    grpc_server {{\n        max_streams {max}\n    }}\n    \
             chaos\n    whoami\n}}\n"
        )
    };
    let mut program = Program::start(&corefile(5), &[]);
    let at = ([127, 0, 0, 1], secure).into();
    assert_eq!(streams_told(at), Some(5));
    let changed = corefile(7).replace("PORT", &program.port.to_string());
    std::fs::write(program.folder.path().join("Corefile"), changed).unwrap();
    program.signal("USR1");
    program.wait("it is told anew", |_| streams_told(at) == Some(7));
}

/// RFC 9000 §4.6.
#[test]
fn clients_over_quic_wait_with_one_stream_too_many_until_another_has_ended() {
    for (scheme, lines, expected) in [
        (Scheme::Quic, "quic {\nmax_streams 2\n}", 2),
        (Scheme::Quic, "https3 {\nmax_streams 2\n}", 256),
        (Scheme::Https3, "https3 {\nmax_streams 2\n}", 2),
        (Scheme::Https3, "https3 {\nmax_streams 0\n}\nquic {\nmax_streams 2\n}", 256),
    ] {
        let served = start(&[Scheme::Quic, Scheme::Https3], lines);
        run(async {
            let (_endpoint, connection) = reach(&served, scheme).await;
            assert_eq!(streams_now(&connection), expected, "{scheme:?} {lines}");
        });
    }
    let served = start(&[Scheme::Quic], "quic {\nmax_streams 1\n}");
    run(async {
        let (_endpoint, connection) = reach(&served, Scheme::Quic).await;
        let mut message = www().message();
        message[..2].fill(0);
        for _ in 0..3 {
            assert!(over_quic::exchange(&connection, &message).await.is_some());
        }
    });
}

/// How many streams a client can open at this moment.
fn streams_now(connection: &Connection) -> usize {
    let mut streams = Vec::new();
    loop {
        let next = pin!(connection.open_bi()).poll(&mut Context::from_waker(Waker::noop()));
        match next.map(Result::unwrap) {
            std::task::Poll::Ready(stream) => streams.push(stream),
            std::task::Poll::Pending => return streams.len(),
        }
    }
}

/// 0 is no limit of its own.
#[test]
fn the_oldest_connection_without_a_request_gives_way_over_tcp() {
    for (scheme, plugin) in [(Scheme::Https, "https"), (Scheme::Grpc, "grpc_server")] {
        for max in [2, 0] {
            let lines = format!("{plugin} {{\nmax_connections {max}\n}}");
            let served = Served::speaking(&[Scheme::Https, Scheme::Grpc], &lines);
            let other = if scheme == Scheme::Https { Scheme::Grpc } else { Scheme::Https };
            let mut open = Vec::new();
            for (count, scheme) in [other, scheme, scheme, scheme].into_iter().enumerate() {
                open.push(TcpStream::connect(served.at(scheme)).unwrap());
                until(|| served.running.totals().secure.accepted == count as u64 + 1);
            }
            if max == 2 {
                open[1].set_read_timeout(Some(PATIENCE)).unwrap();
                // HTTP/2 may have been begun.
                open[1].read_to_end(&mut Vec::new()).unwrap();
            }
            let (closed, left) = if max == 2 { (1, 3) } else { (0, 4) };
            until(|| served.running.totals().secure.open == left);
            assert_eq!(served.running.totals().secure.closed_full, closed, "{lines}");
        }
    }
}

#[test]
fn the_oldest_connection_without_a_request_gives_way_over_http3() {
    let served = start(&[Scheme::Quic, Scheme::Https3], "https3 {\nmax_connections 2\n}");
    run(async {
        let (_other, stays) = reach(&served, Scheme::Quic).await;
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(reach(&served, Scheme::Https3).await);
        }
        // H3_EXCESSIVE_LOAD
        assert_eq!(code(open[0].1.closed().await), Some(0x107));
        assert!(stays.close_reason().is_none() && open[1].1.close_reason().is_none());
        assert_eq!(served.running.totals().secure.closed_full, 1);
    });
}

/// Once they had to go for first packets from anywhere.
#[test]
fn nobody_has_to_go_for_a_client_over_quic_whose_address_may_be_forged() {
    let served = start(&[Scheme::Https3], "https3 {\nmax_connections 1\n}");
    let at = served.at(Scheme::Https3);
    run(async {
        let (_endpoint, stays) = reach(&served, Scheme::Https3).await;
        // The first packet of another client, which never hears of what it is answered.
        let between = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = over_quic::config(&client(served.folder.path(), None), "h3");
        let _connecting = endpoint.connect_with(config, between.local_addr().unwrap(), "dns.example.org").unwrap();
        let mut packet = vec![0; 2048];
        let (length, _) = between.recv_from(&mut packet).await.unwrap();
        let forged = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        forged.set_read_timeout(Some(PATIENCE)).unwrap();
        forged.send_to(&packet[..length], at).unwrap();
        forged.recv(&mut packet).unwrap();
        assert_eq!(packet[0] & 0xf0, 0xf0, "a Retry (RFC 9000 §17.2.5)");
        assert!(stays.close_reason().is_none());
        let totals = served.running.totals().secure;
        assert_eq!((totals.open, totals.accepted, totals.closed_full), (1, 1, 0));
        // Who shows its address is let in.
        let (_endpoint, _comes) = reach(&served, Scheme::Https3).await;
        assert_eq!(code(stays.closed().await), Some(0x107));
    });
}

/// A server with a certificate.
fn start(schemes: &[Scheme], lines: &str) -> Served {
    Served::speaking(schemes, &format!("tls cert.pem key.pem\n{lines}"))
}

/// Connects over QUIC.
async fn reach(served: &Served, scheme: Scheme) -> (Endpoint, Connection) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let alpn = if scheme == Scheme::Quic { "doq" } else { "h3" };
    let trusted = client(served.folder.path(), None);
    let connection = over_quic::connect(&endpoint, served.at(scheme), &trusted, alpn).await;
    (endpoint, connection)
}

/// Waits for a condition.
fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
}
