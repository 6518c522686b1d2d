//! HTTP requests that mean harm: each gets its status, memory stays within bounds, and DNS goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use store::Rtype;

use crate::http::{RECORDS, Site};

/// Where guests may send bodies.
const LOGIN: &str = "/api/collections/_superusers/auth-with-password";

/// What the memory of the program may grow by, in KiB, by all attacks at once.
const GROWTH_MAX_KIB: u64 = 32 << 10;

/// An attack: its name, the statuses it may get, and what does it.
type Attack<'a> = (&'a str, &'a [u16], Box<dyn Fn(SocketAddr) -> Option<u16> + Send + Sync + 'a>);

#[test]
fn hostile_requests_are_refused_while_dns_goes_on_and_memory_stays() {
    let site = Site::start();
    let record =
        json!({"zone": "example.org.", "name": "www", "record_type": "A", "ttl": 60, "content": {"ip": "192.0.2.1"}});
    assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    let head = |path: &str, token: &str, more: &str| {
        let token = if token.is_empty() { String::new() } else { format!("Authorization: {token}\r\n") };
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{token}{more}\r\n\r\n")
    };
    let gigabyte = |path: &str, token: &str| head(path, token, "Content-Length: 1073741824");
    let chunked = |path: &str, token: &str| head(path, token, "Transfer-Encoding: chunked");
    let piece = vec![b' '; 64 << 10];
    let chunk = [b"10000\r\n", &piece[..], b"\r\n"].concat();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep = |path: &str, token: &str| head(path, token, &format!("Content-Length: {}", deep.len())) + &deep;
    let many = |count: usize| -> String { (0..count).map(|n| format!("X-{n}: y\r\n")).collect() };
    let token = site.token.as_str();
    // What is sent first, and then again and again.
    let endless = |first: String, again: Vec<u8>| {
        Box::new(move |server| send(server, first.as_bytes(), &again)) as Box<dyn Fn(SocketAddr) -> _ + Send + Sync>
    };
    let mut attacks: Vec<Attack<'_>> = Vec::new();
    let guests: [(&str, &[u16]); 5] =
        [(LOGIN, &[413]), (RECORDS, &[403]), ("/api/batch", &[413]), ("/api/realtime", &[413]), ("/nope", &[404])];
    for (path, guest) in guests {
        attacks.push(("1 GiB of a guest", guest, endless(gigabyte(path, ""), piece.clone())));
        attacks.push(("endless chunks of a guest", guest, endless(chunked(path, ""), chunk.clone())));
    }
    for path in [RECORDS, "/api/batch", "/api/realtime", "/api/zonda/zones/example.org/zonefile"] {
        let put = if path.ends_with("zonefile") { "PUT" } else { "POST" };
        let first = gigabyte(path, token).replacen("POST", put, 1);
        attacks.push(("1 GiB of a superuser", &[413], endless(first, piece.clone())));
    }
    for path in [RECORDS, "/api/batch", "/api/realtime", "/api/zonda/zones", "/api/zonda/zones/example.org/zonefile"] {
        let put = if path.ends_with("zonefile") { "PUT" } else { "POST" };
        let first = chunked(path, token).replacen("POST", put, 1);
        attacks.push(("endless chunks of a superuser", &[413], endless(first, chunk.clone())));
    }
    for (path, token) in [(LOGIN, ""), (RECORDS, token), ("/api/batch", token), ("/api/realtime", "")] {
        attacks.push(("deep JSON", &[400], endless(deep(path, token), Vec::new())));
    }
    let headers = format!("GET /api/health HTTP/1.1\r\nHost: localhost\r\n{}", many(100_000));
    attacks.push(("100,000 headers", &[431], endless(headers, Vec::new())));
    let long = "GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: ".to_owned();
    attacks.push(("a header without end", &[431], endless(long, vec![b'y'; 64 << 10])));
    let line = "GET /".to_owned();
    attacks.push(("a path without end", &[414, 431], endless(line, vec![b'y'; 64 << 10])));
    let trailers = format!("{}0\r\n", chunked(LOGIN, ""));
    attacks.push(("trailers without end", &[400, 431], endless(trailers, many(1000).into_bytes())));
    let slow = head(LOGIN, "", "Content-Length: 100") + "{";
    attacks.push(("a body that does not come", &[408], endless(slow, Vec::new())));

    let before = resident_kib(site.program.id());
    let mut most = before;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = attacks
            .iter()
            .map(|(name, statuses, attack)| {
                let (site, over) = (&site, &over);
                scope.spawn(move || {
                    for _ in 0..3 {
                        let status = attack(site.http);
                        // A client that goes on sending may find the connection reset before it has read the answer.
                        assert!(status.is_none_or(|status| statuses.contains(&status)), "{name}: {status:?}");
                        let seen = status.is_some();
                        if seen || over.load(Ordering::SeqCst) {
                            return seen;
                        }
                    }
                    false
                })
            })
            .collect();
        let mut asked = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            assert_eq!(site.answers("www.example.org.", Rtype::A), ["www.example.org. 60 IN A 192.0.2.1"]);
            most = most.max(resident_kib(site.program.id()));
            asked += 1;
        }
        over.store(true, Ordering::SeqCst);
        for (thread, (name, ..)) in threads.into_iter().zip(&attacks) {
            assert!(thread.join().unwrap(), "{name}: the answer was never seen");
        }
        println!("{asked} DNS answers meanwhile, memory from {before} to at most {most} KiB");
    });
    assert!(most - before < GROWTH_MAX_KIB, "memory went from {before} to {most} KiB");
    assert_eq!(site.call("GET", RECORDS, None).1["totalItems"], 1);
}

/// Sends octets, then others again and again until the server has had enough; the status of its answer.
fn send(server: SocketAddr, first: &[u8], again: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let answered = AtomicBool::new(false);
    let answered = &answered;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let begun = Instant::now();
            let mut octets = first;
            while writing.write_all(octets).is_ok() && !again.is_empty() {
                octets = again;
                // It reads a while longer than it has to, so that its answer is seen.
                if answered.load(Ordering::SeqCst) || begun.elapsed() > Duration::from_secs(60) {
                    break;
                }
            }
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.contains(&b'\n')
            && let Ok(length @ 1..) = stream.read(&mut buffer)
        {
            answer.extend_from_slice(&buffer[..length]);
        }
        answered.store(true, Ordering::SeqCst);
        let _ = stream.shutdown(Shutdown::Both);
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    })
}

/// The memory that a process has in RAM.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
