//! HTTP that means harm, frame by frame, in clear text: what is beneath it is in `tls.rs`. For the great numbers:
//!
//! ```text
//! ZONDA_STORM_REQUESTS=100000 ZONDA_STORM_HTTP=250 cargo test --profile optimized --test main storm::https -- --nocapture
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::{CROWD_KB, PATIENCE, beside_udp, connect_from, host, is_over, memory_kb, program_in, question};
use crate::support::{free_port, number, open_files};

/// What is done to the server.
struct Attack {
    name: &'static str,
    /// Over so many connections at once; None is the great number of them.
    connections: Option<usize>,
    /// What is sent first.
    begin: fn() -> Vec<u8>,
    /// What is sent then, again and again: HTTP/2 numbers its streams 1, 3, 5 and so on.
    piece: fn(u32) -> Vec<u8>,
    /// So often; None is once for every request of the great number.
    pieces: Option<u32>,
    /// What the server says is read.
    reads: bool,
}

/// Each attack is over in time, in bounded memory, and nothing that is asked over UDP meanwhile is lost.
#[test]
fn no_attack_over_http_takes_more_than_its_share() {
    let (requests, connections) = (number("ZONDA_STORM_REQUESTS", 2000), number("ZONDA_STORM_HTTP", 40));
    let (port, web) = (free_port(), free_port());
    let timeouts = "timeouts {\n        read 1s\n        write 1s\n        idle 2s\n    }";
    let keys = format!(".:{port} https://.:{web}");
    let mut program = program_in(tempfile::tempdir().unwrap(), "ring", port, &keys, timeouts);
    let (files, before) = (open_files(program.id()), memory_kb(program.id()));
    for attack in &ATTACKS {
        let (begun, mut sent) = (Instant::now(), 0);
        let connections = attack.connections.unwrap_or(connections);
        let are_forgotten = || open_files(program.id()) <= files;
        let seen = beside_udp(&program, || sent = attack.run(web, requests, connections, are_forgotten));
        let after = memory_kb(program.id());
        println!(
            "{}: {sent} KiB taken in {:.1?}; {before} KiB before, {after} KiB after; {seen}",
            attack.name,
            begun.elapsed()
        );
        assert!(seen.high_kb < before + CROWD_KB, "{}: {before} KiB became {} KiB", attack.name, seen.high_kb);
        program.wait("all files are closed", |program| open_files(program.id()) <= files);
        assert_eq!(program.ask(&question()).last(), Some(&1));
    }
    assert!(!program.text().contains("panic"), "{}", program.text());
    assert_eq!(program.end("TERM"), Some(0));
}

impl Attack {
    /// Goes on until the server has closed every connection; a new one takes the place of one that ended with pieces still
    /// to send. Who takes too long to read may not be told: the kernel gives such a connection up without a word
    /// (TCP_USER_TIMEOUT), so it is over, too, when the server has forgotten them all. Gives the KiB that it has taken.
    fn run(&self, port: u16, requests: u32, connections: usize, are_forgotten: impl Fn() -> bool) -> usize {
        let mut left = self.pieces.map_or(requests, |pieces| pieces * connections as u32);
        let connect = |index: usize| {
            let stream = connect_from(host(0, index / 200), ([127, 0, 0, 1], port).into());
            stream.set_nonblocking(true).unwrap();
            Member { stream, next: (self.begin)(), sent: 0, turn: 0 }
        };
        let mut members: Vec<_> = (0..connections).map(connect).collect();
        let (begun, mut taken) = (Instant::now(), 0);
        while !members.is_empty() {
            assert!(begun.elapsed() < 3 * PATIENCE, "{}: {} are still there", self.name, members.len());
            let mut has_done = false;
            for index in (0..members.len()).rev() {
                let member = &mut members[index];
                let mut is_gone = false;
                for _ in 0..100 {
                    if member.sent == member.next.len() {
                        if left == 0 || self.pieces.is_some_and(|pieces| member.turn == pieces) {
                            // Until it is closed.
                            is_gone = is_closed(&mut member.stream);
                            break;
                        }
                        (member.next, member.sent) = ((self.piece)(2 * member.turn + 1), 0);
                        member.turn += 1;
                        left -= 1;
                    }
                    match member.stream.write(&member.next[member.sent..]) {
                        Ok(count) => (member.sent, taken, has_done) = (member.sent + count, taken + count, true),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(_) => {
                            is_gone = true;
                            break;
                        }
                    }
                }
                if self.reads && !is_gone {
                    is_gone = is_closed(&mut member.stream);
                }
                if is_gone {
                    // Where pieces are counted for all, others go on with them.
                    match self.pieces.is_none() && left > 0 {
                        true => members[index] = connect(index),
                        false => drop(members.swap_remove(index)),
                    }
                }
            }
            if !has_done {
                let has_sent = |member: &Member| self.pieces == Some(member.turn) && member.sent == member.next.len();
                if !self.reads && members.iter().all(has_sent) && are_forgotten() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        taken / 1024
    }
}

/// One of its connections.
struct Member {
    stream: TcpStream,
    /// What is being sent.
    next: Vec<u8>,
    /// How much of it has been.
    sent: usize,
    /// Pieces so far.
    turn: u32,
}

/// Takes what the server says; whether it has closed the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut ignored = [0; 65_536];
    loop {
        match stream.read(&mut ignored) {
            Ok(0) => return true,
            Ok(_) => {}
            error => return is_over(error),
        }
    }
}

/// All of them.
static ATTACKS: [Attack; 12] = [
    // CVE-2023-44487.
    Attack {
        name: "requests that are reset",
        connections: Some(8),
        begin: http2,
        piece: |id| [get(id, WWW), reset(id)].concat(),
        pieces: None,
        reads: true,
    },
    Attack {
        name: "bodies that are reset",
        connections: Some(8),
        begin: http2,
        piece: |id| [post(id), data(id, 20), reset(id)].concat(),
        pieces: None,
        reads: true,
    },
    // What the server resets, it does for nothing.
    Attack {
        name: "requests that have to be reset",
        connections: Some(8),
        begin: http2,
        piece: |id| [get(id, WWW), frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat(),
        pieces: None,
        reads: true,
    },
    // CVE-2024-27316 and its like.
    Attack {
        name: "heads without end",
        connections: None,
        begin: || [http2(), frame(HEADERS, 0, 1, &head(0x82, b"/dns-query"))].concat(),
        piece: |_| frame(CONTINUATION, 0, 1, &field(&[b'x'; 16_000])),
        pieces: Some(64),
        reads: true,
    },
    Attack {
        name: "heads that grow when they are unpacked",
        connections: None,
        begin: http2,
        piece: bomb,
        pieces: Some(20),
        reads: true,
    },
    Attack {
        name: "GETs of 1 MiB over HTTP/1.1",
        connections: None,
        begin: || b"GET /dns-query?dns=".to_vec(),
        piece: |_| vec![b'A'; 65_536],
        pieces: Some(16),
        reads: true,
    },
    Attack {
        name: "heads of many fields over HTTP/1.1",
        connections: None,
        begin: || b"GET / HTTP/1.1\r\n".to_vec(),
        piece: |_| b"a: b\r\n".repeat(100),
        pieces: Some(100),
        reads: true,
    },
    Attack {
        name: "slow bodies",
        connections: None,
        begin: http2,
        piece: |id| [post(id), data(id, 500)].concat(),
        pieces: Some(128),
        reads: true,
    },
    Attack {
        name: "long bodies that stop",
        connections: None,
        begin: http2,
        piece: |id| [post(id), data(id, 16_000)].concat(),
        pieces: Some(4),
        reads: true,
    },
    Attack {
        name: "answers that are not read over HTTP/2",
        connections: None,
        begin: http2,
        piece: |id| get(id, BIG),
        pieces: Some(1000),
        reads: false,
    },
    Attack {
        name: "answers that are not read over HTTP/1.1",
        connections: None,
        begin: Vec::new,
        piece: |_| format!("GET {BIG} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(),
        pieces: Some(2000),
        reads: false,
    },
    Attack {
        name: "pings that are answered for nobody",
        connections: None,
        begin: http2,
        piece: |_| frame(PING, 0, 0, &[0; 8]).repeat(1000),
        pieces: Some(100),
        reads: false,
    },
];

/// What a client of HTTP/2 begins with (RFC 9113 §3.4).
fn http2() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request without a body.
fn get(id: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, id, &head(0x82, path.as_bytes()))
}

/// A request whose body is to come.
fn post(id: u32) -> Vec<u8> {
    let kind = [&[0x0f, 0x10][..], &text(b"application/dns-message")].concat();
    frame(HEADERS, END_HEADERS, id, &[head(0x83, b"/dns-query"), kind].concat())
}

/// So many octets of a body.
fn data(id: u32, count: usize) -> Vec<u8> {
    frame(DATA, 0, id, &vec![0; count])
}

/// The end of a stream that nobody wants any more.
fn reset(id: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())
}

/// The fields that a request needs (RFC 7541 §6): a method of the static table, a path.
fn head(method: u8, path: &[u8]) -> Vec<u8> {
    [&[method, 0x87, 0x04][..], &text(path), &[0x01], &text(b"a")].concat()
}

/// A field that is in no table.
fn field(value: &[u8]) -> Vec<u8> {
    [&[0x00][..], &text(b"a"), &text(value)].concat()
}

/// Four thousand octets in the table, and then nothing but references to them.
fn bomb(id: u32) -> Vec<u8> {
    let kept = [&[0x40][..], &text(b"a"), &text(&[b'x'; 4000])].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, id, &[head(0x82, b"/"), kept, vec![0xbe; 12_000]].concat())
}

/// Octets behind their length (RFC 7541 §5.2).
fn text(octets: &[u8]) -> Vec<u8> {
    let mut out = vec![octets.len().min(127) as u8];
    if let Some(mut rest) = octets.len().checked_sub(127) {
        while rest >= 128 {
            out.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    [out, octets.to_vec()].concat()
}

/// Asks for the address of www.example.org.
const WWW: &str = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA29yZwAAAQAB";

/// Asks for the texts of big.example.org, which are 15 KB.
const BIG: &str = "/dns-query?dns=AAABAAABAAAAAAAAA2JpZwdleGFtcGxlA29yZwAAEAAB";

/// Types of frames, and flags (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
