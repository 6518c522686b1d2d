//! Upstreams that are dead, slow or too many questions for, and a server that stops or changes meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{Upstream, a, answer, found, says, silent, start, value};
use crate::support::{exchange_tcp, exchange_udp, free_port, resident_kib, run, samples};

#[test]
fn a_dead_upstream_costs_nothing_and_all_dead_is_servfail_with_a_reason() {
    let upstream = Upstream::start(says(7));
    let dead = free_port();
    let lines = format!("forward . 127.0.0.1:{dead} 127.0.0.1:{} {{\n        policy sequential\n    }}", upstream.port);
    let program = start(&lines, "ring");
    for number in 0..20 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    let mut program = start(&format!("forward . 127.0.0.1:{dead}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "SERVFAIL");
    assert_eq!(found(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]), "SERVFAIL");
    program.wait("the reason is logged", |program| {
        program
            .text()
            .contains("[ERROR] plugin/errors: 2 x.example.org. A: plugin/forward: an upstream cannot be reached")
    });
}

#[test]
fn an_upstream_that_is_down_is_looked_after_until_it_answers_again() {
    let port = free_port();
    let (other, metrics) = (Upstream::start(says(8)), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{port} 127.0.0.1:{} {{\n        policy sequential\n        max_fails 1\n        health_check 20ms no_rec domain health.example.net\n    }}",
        other.port
    );
    let mut program = start(&lines, "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "8");
    let failures = || samples(metrics, "coredns_forward_healthcheck_failures_total").join("\n");
    let to = format!("to=\"127.0.0.1:{port}\"}} ");
    let count = || failures().lines().find_map(|line| line.split_once(&to)?.1.parse().ok()).unwrap_or(0);
    program.wait("it is down", |_| count() > 2);
    let upstream = Upstream::at(port, says(7));
    program.wait("it is asked again", |program| found(&program.ask(&a("x.example.org."))) == "7");
    assert!(upstream.count("health.example.net.") > 0);
    let asked = upstream.asked.lock().unwrap();
    assert_eq!(asked[0].0[2] & 1, 0, "without RD");
}

#[test]
fn an_upstream_that_never_answers_holds_up_nobody_else() {
    let (mute, upstream) = (Upstream::start(silent), Upstream::start(says(7)));
    let lines = format!("forward slow.example.org 127.0.0.1:{}\n    forward . 127.0.0.1:{}", mute.port, upstream.port);
    let mut program = start(&lines, "ring");
    let begun = Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let (dns, message) = (program.dns(), a(&format!("{number}.slow.example.org.")).message());
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000))
        })
        .collect();
    // Over one connection, too: what is slow does not hold up what comes behind it (RFC 7766 §7).
    let (slow, quick) = (a("x.slow.example.org.").message(), a("quick.example.org.").message());
    let mut over_tcp = exchange_tcp_apart(program.dns(), &[slow, quick]);
    assert_eq!(found(&over_tcp.next().unwrap()), "7");
    for number in 0..100 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    program.wait("it was asked, too", |_| mute.count("x.slow.example.org.") > 0);
    for reply in waiting {
        assert_eq!(found(&reply.join().unwrap().unwrap()), "SERVFAIL");
    }
    assert_eq!(found(&over_tcp.next().unwrap()), "SERVFAIL");
    // It was given two seconds, and not given up at once.
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn an_upstream_that_takes_longer_than_a_query_is_tried_has_failed() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{} {{\n        max_fails 1\n        read_timeout 30s\n        health_check 20ms domain health.example.net\n    }}",
        mute.port
    );
    let mut program = start(&lines, "ring");
    let reply = exchange_udp(program.dns(), &a("x.example.org.").message(), 20_000);
    assert_eq!(found(&reply.expect("an answer")), "SERVFAIL");
    assert_eq!(mute.count("x.example.org."), 1);
    let to = format!("to=\"127.0.0.1:{}\"}} 1", mute.port);
    assert!(samples(metrics, "zonda_forward_failures_total").iter().any(|line| line.ends_with(&to)));
    program.wait("it is looked at", |_| mute.count("health.example.net.") > 1);
}

/// Sends each message by a write of its own over one connection, and gives the answers as they come.
fn exchange_tcp_apart(server: SocketAddr, messages: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for message in messages {
        stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    std::iter::from_fn(move || {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    })
}

#[test]
fn a_flood_of_names_is_bounded_and_passes() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward slow.example.org 127.0.0.1:{}\n    forward . 127.0.0.1:{}",
        mute.port,
        free_port()
    );
    let mut program = start(&lines, "ring");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(program.dns()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let before = resident_kib(program.id());
    let mut buffer = [0; 512];
    let mut refused = || {
        let mut refused = 0;
        while let Ok(len) = socket.recv(&mut buffer) {
            assert_eq!(found(&buffer[..len]), "SERVFAIL");
            refused += 1;
        }
        refused > 0
    };
    let (mut is_told, mut number) = (false, 0);
    let mut waiting_most = 0;
    program.wait("more are asked than may wait", |_| {
        for _ in 0..500 {
            number += 1;
            socket.send(&a(&format!("{number}.slow.example.org.")).message()).ok();
            is_told |= refused();
        }
        waiting_most = waiting_most.max(value(metrics, "zonda_later_waiting"));
        value(metrics, "zonda_later_refused_total") > 1000
    });
    program.wait("who is too much is told", |_| is_told || refused());
    assert!(waiting_most <= 4096, "{waiting_most}");
    let grown = resident_kib(program.id()).saturating_sub(before);
    assert!(grown < 100_000, "{grown} KiB");
    program.wait("all are answered", |_| value(metrics, "zonda_later_waiting") == 0);
    assert!(exchange_udp(program.dns(), &a("www.example.net.").message(), 20_000).is_some());
}

#[test]
fn more_than_max_concurrent_is_refused() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{} {{\n        max_concurrent 2\n        read_timeout 5s\n    }}",
        mute.port
    );
    let mut program = start(&lines, "ring");
    let waiting: Vec<_> = (0..2)
        .map(|number| {
            let (dns, message) = (program.dns(), a(&format!("{number}.example.org.")).message());
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000))
        })
        .collect();
    program.wait("two wait", |_| value(metrics, "zonda_later_waiting") == 2);
    assert_eq!(found(&program.ask(&a("x.example.org."))), "REFUSED");
    assert_eq!(value(metrics, "coredns_forward_max_concurrent_rejects_total"), 1);
    for reply in waiting {
        assert_eq!(found(&reply.join().unwrap().unwrap()), "SERVFAIL");
    }
}

#[test]
fn a_stop_waits_for_what_is_under_way() {
    for io in ["ring", "mmsg"] {
        let upstream = Upstream::start(|message, _| {
            std::thread::sleep(Duration::from_millis(500));
            vec![answer(message, [0, 0x80], &[7], 60)]
        });
        let mut program = start(&format!("forward . 127.0.0.1:{}", upstream.port), io);
        let (dns, message) = (program.dns(), a("x.example.org.").message());
        let udp = std::thread::spawn(move || exchange_udp(dns, &message, 10_000));
        program.wait("it is asked", |_| upstream.count("x.example.org.") > 0);
        assert_eq!(program.end("TERM"), Some(0));
        assert_eq!(found(&udp.join().unwrap().expect("an answer")), "7");
    }
}

#[test]
fn a_reload_loses_nothing_that_is_under_way() {
    let upstream = Upstream::start(|message, _| {
        std::thread::sleep(Duration::from_millis(if message[13] == b's' { 800 } else { 0 }));
        vec![answer(message, [0, 0x80], &[7], 60)]
    });
    let mut program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    let (dns, message) = (program.dns(), a("slow.example.org.").message());
    let over_udp = std::thread::spawn(move || exchange_udp(dns, &message, 10_000));
    let message = a("slower.example.org.").message();
    let over_tcp = std::thread::spawn(move || exchange_tcp(dns, &[message]));
    program.wait("both wait", |_| upstream.count("slow.example.org.") > 0 && upstream.count("slower.example.org.") > 0);
    let file = program.folder.path().join("Corefile");
    let other = Upstream::start(says(8));
    let text = std::fs::read_to_string(&file).unwrap();
    let (from, to) = (format!("forward . 127.0.0.1:{}", upstream.port), format!("forward . 127.0.0.1:{}", other.port));
    std::fs::write(&file, text.replace(&from, &to)).unwrap();
    program.signal("USR1");
    program.wait("the new configuration answers", |program| found(&program.ask(&a("x.example.org."))) == "8");
    assert_eq!(found(&over_udp.join().unwrap().expect("an answer")), "7");
    assert_eq!(found(&over_tcp.join().unwrap()[0]), "7");
}

#[test]
fn loop_ends_a_server_that_forwards_to_itself_and_no_other() {
    let (port, other) = (free_port(), free_port());
    let corefile = |to: u16| {
        format!(
            "example.org:{port} {{\n    bind 127.0.0.1\n    loop\n    forward . 127.0.0.1:{to}\n}}\n.:{port} {{\n    bind 127.0.0.1\n    whoami\n}}\nexample.org:{other} {{\n    bind 127.0.0.1\n    forward . 127.0.0.1:{port}\n}}\n"
        )
    };
    for to in [port, other] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Corefile"), corefile(to)).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1), "{stderr}");
        let says =
            stderr.contains("plugin/loop: Loop (127.0.0.1:") && stderr.contains("detected for zone \"example.org.\"");
        assert!(says, "{stderr}");
    }
    let upstream = Upstream::start(says(7));
    let mut program = start(&format!("loop\n    forward . 127.0.0.1:{}", upstream.port), "ring");
    program.wait("the question has gone round", |_| !upstream.asked.lock().unwrap().is_empty());
    let probe = upstream.asked.lock().unwrap()[0].0.clone();
    assert_eq!(probe[probe.len() - 4..], [0, 13, 0, 1], "HINFO IN");
    for number in 0..20 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    assert!(program.has_ended().is_none());
}
