//! The options of a line, one by one.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::{Upstream, a, answer, found, says, silent, start, value};
use crate::support::{Program, exchange_udp, free_port};

/// Asks so many questions at once, and waits for all answers.
fn ask_at_once(program: &Program, count: usize) {
    let dns = program.dns();
    let asking: Vec<_> = (0..count)
        .map(|number| {
            let message = a(&format!("{number}.example.org.")).message();
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000).expect("an answer"))
        })
        .collect();
    for asked in asking {
        assert_eq!(found(&asked.join().unwrap()), "7");
    }
}

/// How many connections an upstream has been asked over.
fn connections(upstream: &Upstream) -> usize {
    upstream.asked.lock().unwrap().iter().map(|(_, port, _)| *port).collect::<BTreeSet<_>>().len()
}

#[test]
fn expire_lets_go_of_connections_that_were_idle() {
    for (expire, expected) in [("50ms", 3), ("1h", 1)] {
        let upstream = Upstream::start(says(7));
        let options = format!("{{\n        force_tcp\n        read_timeout 5s\n        expire {expire}\n    }}");
        let program = start(&format!("forward . 127.0.0.1:{} {options}", upstream.port), "ring");
        for _ in 0..3 {
            ask_at_once(&program, 1);
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(connections(&upstream), expected, "{expire}");
    }
}

#[test]
fn connections_that_expire_are_closed_though_nobody_asks_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstream = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        let answer = answer(&message, [0, 0x80], &[7], 60);
        stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).unwrap();
        let begun = Instant::now();
        (stream.read(&mut length).ok(), begun.elapsed())
    });
    let options = "{\n        force_tcp\n        expire 300ms\n    }";
    let program = start(&format!("forward . 127.0.0.1:{port} {options}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    let (read, idle) = upstream.join().unwrap();
    assert_eq!(read, Some(0));
    assert!(idle >= Duration::from_millis(250), "{idle:?}");
}

#[test]
fn max_idle_conns_is_how_many_connections_wait_for_the_next_questions() {
    for (idle_max, expected) in [(0, 4), (1, 7)] {
        // All are answered when the last one is there: none finds a connection that another one is through with.
        let all = Arc::new(Barrier::new(4));
        let upstream = Upstream::start(move |message, _| {
            all.wait();
            vec![answer(message, [0, 0x80], &[7], 60)]
        });
        let options =
            format!("{{\n        force_tcp\n        read_timeout 5s\n        max_idle_conns {idle_max}\n    }}");
        let program = start(&format!("forward . 127.0.0.1:{} {options}", upstream.port), "ring");
        ask_at_once(&program, 4);
        ask_at_once(&program, 4);
        assert_eq!(connections(&upstream), expected, "{idle_max}");
    }
}

#[test]
fn read_timeout_leaves_time_for_the_next_upstream() {
    let (mute, upstream) = (Upstream::start(silent), Upstream::start(says(7)));
    // Each gets half of the five seconds at most, whatever the line says.
    for read_timeout in ["1s", "30s"] {
        let options = format!("{{\n        policy sequential\n        read_timeout {read_timeout}\n    }}");
        let lines = format!("forward . 127.0.0.1:{} 127.0.0.1:{} {options}", mute.port, upstream.port);
        let program = start(&lines, "ring");
        let reply = exchange_udp(program.dns(), &a("x.example.org.").message(), 20_000);
        assert_eq!(found(&reply.expect("an answer")), "7", "{read_timeout}");
    }
}

#[test]
fn max_connect_attempts_bounds_the_exchanges_for_one_question() {
    let upstream = Upstream::start(says(7));
    let (one, other) = (free_port(), free_port());
    for (attempts, expected) in [(1, "SERVFAIL"), (2, "SERVFAIL"), (3, "7"), (0, "7")] {
        let options = format!(
            "{{\n        policy sequential\n        max_fails 0\n        max_connect_attempts {attempts}\n    }}"
        );
        let lines = format!("forward . 127.0.0.1:{one} 127.0.0.1:{other} 127.0.0.1:{} {options}", upstream.port);
        let program = start(&lines, "ring");
        assert_eq!(found(&program.ask(&a("x.example.org."))), expected, "{attempts}");
    }
}

#[test]
fn failfast_asks_nobody_while_all_are_down() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let options = "{\n        failfast_all_unhealthy_upstreams\n        max_fails 1\n        read_timeout 50ms\n        health_check 50ms domain health.example.net\n    }";
    let lines = format!("prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{} {options}", mute.port);
    let mut program = start(&lines, "ring");
    program.wait("it is down", |program| {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "SERVFAIL");
        value(metrics, "coredns_forward_healthcheck_broken_total") > 0
    });
    for _ in 0..20 {
        assert_eq!(found(&program.ask(&a("y.example.org."))), "SERVFAIL");
    }
    assert_eq!(mute.count("y.example.org."), 0);
    assert!(value(metrics, "coredns_forward_healthcheck_broken_total") > 20);
    program.wait("the reason is logged", |program| program.text().contains("plugin/forward: no healthy upstream"));
}

#[test]
fn source_address_is_where_questions_come_from() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let (len, client) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&answer(&buffer[..len], [0, 0x80], &[7], 60), client).unwrap();
        client.ip().to_string()
    });
    let program = start(&format!("forward . 127.0.0.1:{port} {{\n        source_address 127.0.0.5\n    }}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    assert_eq!(asked.join().unwrap(), "127.0.0.5");
}
