//! What is too big, too slow or no HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::client::{RECORDS, SUPERUSERS, Served, exchange};

#[test]
fn bodies_over_the_limit_get_413_and_their_client_sees_it() {
    let mut served = Served::new();
    let too_large = json!({"status": 413, "message": "Request entity too large.", "data": {}});
    let answer = served.ask("POST", RECORDS, &["Content-Type: application/json"], &vec![b' '; (33 << 20) + 1]);
    assert_eq!(answer.body, too_large);
    // A guest has less room.
    served.token.clear();
    let login = format!("{SUPERUSERS}/auth-with-password");
    let answer = served.ask("POST", &login, &["Content-Type: application/json"], &vec![b' '; (64 << 10) + 1]);
    assert_eq!(answer.body, too_large);
    // Neither does it help to keep silent about the length.
    let chunks = format!("8000\r\n{}\r\n", " ".repeat(0x8000)).repeat(3);
    let head = format!(
        "POST {login} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let answer = exchange(served.admin.local_addr(), format!("{head}{chunks}0\r\n\r\n").as_bytes());
    assert_eq!(answer.body, too_large);
    // A refused body is read no further than it has to be, so that a guest sees why.
    let answer = served.ask("POST", RECORDS, &["Content-Type: application/json"], &vec![b' '; 1 << 20]);
    assert_eq!(answer.status, 403);
}

#[test]
fn a_body_need_not_tell_its_length() {
    let served = Served::new();
    let record =
        json!({"zone": "example.org", "name": "www", "record_type": "A", "content": {"ip": "192.0.2.1"}}).to_string();
    let (one, two) = record.split_at(20);
    let request = format!(
        "POST {RECORDS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        served.token,
        one.len(),
        two.len(),
    );
    let answer = exchange(served.admin.local_addr(), request.as_bytes());
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("www")), "{answer:?}");
}

#[test]
fn too_many_and_too_long_headers_get_431() {
    let served = Served::new();
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(served.ask("GET", "/api/health", &many, b"").status, 431);
    assert_eq!(served.ask("GET", "/api/health", &[&format!("X: {}", "y".repeat(100_000))], b"").status, 431);
    assert_eq!(served.get("/api/health").status, 200);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let served = Served::new();
    let mut stream = TcpStream::connect(served.admin.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST {SUPERUSERS}/auth-with-password HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn a_body_in_a_coding_is_refused_in_words() {
    let served = Served::new();
    let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
    let answer = served.ask("POST", "/api/zonda/zones", &headers, b"\x1f\x8b");
    assert_eq!(answer.status, 415);
    assert!(answer.body["message"].as_str().unwrap().contains("without Content-Encoding"), "{answer:?}");
    let headers = ["Content-Type: application/json", "Content-Encoding: identity"];
    assert_eq!(served.ask("POST", "/api/zonda/zones", &headers, br#"{"zone":"example.net"}"#).status, 201);
}

#[test]
fn a_slow_upload_holds_up_nobody() {
    let served = Served::new();
    let begin = |method: &str, path: &str| {
        let mut stream = TcpStream::connect(served.admin.local_addr()).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 200000000\r\n\r\n{{",
            served.token,
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let _slow = [begin("POST", "/api/zonda/check"), begin("POST", "/api/zonda/zones")];
    // Until both are being read.
    std::thread::sleep(Duration::from_millis(200));
    let begun = std::time::Instant::now();
    assert_eq!(served.post("/api/zonda/zones", &json!({"zone": "example.net"})).status, 201);
    let changes = json!({"zone": "example.net", "changes": []});
    assert!(served.post("/api/zonda/check", &changes).status < 500);
    // They are given up after 10 s without an octet.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn one_connection_takes_many_requests() {
    let served = Served::new();
    let mut stream = TcpStream::connect(served.admin.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for _ in 0..3 {
        stream.write_all(b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            answer.push(octet[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    // A stop ends idle connections at once.
    let begun = std::time::Instant::now();
    served.admin.stop(Duration::from_secs(20));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
