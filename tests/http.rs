//! Records written over HTTP and answered over DNS, against the real program.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::Rtype;

use crate::cases::describe;
use crate::support::{PATIENCE, Program, Question, free_port};

/// A Corefile with a database; `HTTP` stands for its port.
pub(crate) const COREFILE: &str = "\
.:PORT {
    bind 127.0.0.1
    pocketbase {
        listen 127.0.0.1:HTTP
        su_email admin@example.org
        su_password correct-horse
        default_ttl 77
    }
    errors
}
";

/// A program with a database, and a token for it.
pub(crate) struct Site {
    pub(crate) program: Program,
    pub(crate) http: SocketAddr,
    pub(crate) token: String,
}

impl Site {
    /// Starts with an empty database.
    pub(crate) fn start() -> Self {
        Self::start_with(COREFILE)
    }

    /// The same with a Corefile that has the account of [`COREFILE`].
    pub(crate) fn start_with(corefile: &str) -> Self {
        let port = free_port();
        let program = Program::start(&corefile.replace("HTTP", &port.to_string()), &[]);
        Self::with(program, port)
    }

    /// Waits for the HTTP service and logs in.
    fn with(mut program: Program, port: u16) -> Self {
        program.wait("HTTP is served", |program| program.text().contains("HTTP API on"));
        let mut site = Self { program, http: ([127, 0, 0, 1], port).into(), token: String::new() };
        let account = json!({"identity": "admin@example.org", "password": "correct-horse"});
        let (status, body) = site.call("POST", "/api/collections/_superusers/auth-with-password", Some(&account));
        assert_eq!(status, 200, "{body}");
        site.token = body["token"].as_str().unwrap().into();
        site
    }

    /// Kills the program and starts it again.
    fn kill_and_restart(mut self) -> Self {
        assert_eq!(self.program.end("KILL"), None);
        self.restart()
    }

    /// Starts the program again after its end.
    pub(crate) fn restart(self) -> Self {
        let port = self.http.port();
        Self::with(self.program.restart(), port)
    }

    /// One call; status and body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let reply = self.try_call(method, path, body);
        reply.unwrap_or_else(|why| panic!("{method} {path}: {why} {}", self.program.text()))
    }

    /// The same, for a program that may end meanwhile.
    pub(crate) fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.token,
            body.len(),
        );
        stream.write_all(request.as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, body) = reply.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    /// The owners and addresses of all A records.
    pub(crate) fn all_records(&self) -> BTreeMap<String, String> {
        let mut records = BTreeMap::new();
        for page in 1.. {
            let (status, body) = self.call("GET", &format!("{RECORDS}?perPage=1000&page={page}"), None);
            assert_eq!(status, 200, "{body}");
            let items = body["items"].as_array().unwrap();
            if items.is_empty() {
                break;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            records.extend(items.iter().map(|item| (text(&item["name"]), text(&item["content"]["ip"]))));
        }
        records
    }

    /// Creates a record; its id.
    fn create(&self, record: &Value) -> String {
        let (status, body) = self.call("POST", RECORDS, Some(record));
        assert_eq!(status, 200, "{record}: {body}");
        body["id"].as_str().unwrap().into()
    }

    /// The answer section as text.
    pub(crate) fn answers(&self, qname: &str, qtype: Rtype) -> Vec<String> {
        describe(&self.program.ask(&Question::new(qname, qtype))).sections.remove("answer").unwrap_or_default()
    }
}

/// The path of the record collection.
pub(crate) const RECORDS: &str = "/api/collections/coredns_records/records";

#[test]
fn each_write_is_answered_by_the_next_query_and_survives_a_kill() {
    let site = Site::start();
    let count = 200;
    for n in 0..count {
        site.create(&json!({"zone": "example.org.", "name": format!("w{n}"), "record_type": "A", "ttl": 60,
            "content": {"ip": format!("192.0.2.{}", n % 250)}}));
        assert_eq!(
            site.answers(&format!("w{n}.example.org."), Rtype::A),
            [format!("w{n}.example.org. 60 IN A 192.0.2.{}", n % 250)]
        );
    }
    let serial = site.answers("example.org.", Rtype::SOA);
    let site = site.kill_and_restart();
    for n in 0..count {
        assert_eq!(
            site.answers(&format!("w{n}.example.org."), Rtype::A),
            [format!("w{n}.example.org. 60 IN A 192.0.2.{}", n % 250)]
        );
    }
    assert_eq!(site.answers("example.org.", Rtype::SOA), serial);
    let (_, list) = site.call("GET", &format!("{RECORDS}?perPage=1"), None);
    assert_eq!(list["totalItems"], count);
}

#[test]
fn a_record_changes_and_goes() {
    let site = Site::start();
    let id = site.create(&json!({"zone": "example.org", "name": "www.example.org.", "record_type": "A", "ttl": 0, "content": {"ip": "192.0.2.1"}}));
    assert_eq!(site.answers("www.example.org.", Rtype::A), ["www.example.org. 77 IN A 192.0.2.1"]);
    let path = format!("{RECORDS}/{id}");
    let (status, body) = site.call("PATCH", &path, Some(&json!({"content": {"ip": "192.0.2.2"}, "ttl": 5})));
    assert_eq!((status, &body["name"]), (200, &json!("www.example.org.")));
    assert_eq!(site.answers("www.example.org.", Rtype::A), ["www.example.org. 5 IN A 192.0.2.2"]);
    assert_eq!(site.call("DELETE", &path, None).0, 204);
    assert_eq!(site.call("GET", &path, None).0, 404);
    // With the last record the zone goes, too.
    let reply = describe(&site.program.ask(&Question::new("www.example.org.", Rtype::A)));
    assert_eq!(reply.status, ["REFUSED"]);
}

#[test]
fn every_type_of_content_is_answered() {
    let site = Site::start();
    for (name, rtype, content, expected) in [
        ("a", "A", json!({"ip": "192.0.2.1"}), "192.0.2.1"),
        ("aaaa", "AAAA", json!({"ip": "2001:db8::1"}), "2001:db8::1"),
        ("txt", "TXT", json!({"text": "hello world"}), "\"hello world\""),
        ("cname", "CNAME", json!({"host": "www.example.net."}), "www.example.net."),
        ("ns", "NS", json!({"host": "ns.example.net"}), "ns.example.net."),
        ("@", "MX", json!({"host": "mail.example.net.", "preference": 10}), "10 mail.example.net."),
        (
            "_sip._tcp",
            "SRV",
            json!({"priority": 1, "weight": 2, "port": 5060, "target": "sip.example.net."}),
            "1 2 5060 sip.example.net.",
        ),
        ("caa", "CAA", json!({"flag": 0, "tag": "issue", "value": "ca.example.net"}), "0 issue \"ca.example.net\""),
    ] {
        site.create(
            &json!({"zone": "example.org.", "name": name, "record_type": rtype, "ttl": 60, "content": content}),
        );
        let qname = if name == "@" { "example.org.".into() } else { format!("{name}.example.org.") };
        let rtype_number = store::types::rtype_from_text(rtype).unwrap();
        let found = describe(&site.program.ask(&Question::new(&qname, rtype_number)));
        let section = if rtype == "NS" { "authority" } else { "answer" };
        assert_eq!(found.sections[section], [format!("{qname} 60 IN {rtype} {expected}")], "{rtype}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let site = Site::start();
    site.create(
        &json!({"zone": "example.org.", "name": "www", "record_type": "A", "ttl": 60, "content": {"ip": "192.0.2.1"}}),
    );
    for (record, field) in [
        (json!({"zone": "example.org.", "name": "x", "record_type": "A", "content": {"ip": "192.0.2.256"}}), "content"),
        (json!({"zone": "example.org.", "name": "x", "record_type": "NOPE", "content": {}}), "record_type"),
        (
            json!({"zone": "example.org.", "name": "x.example.net.", "record_type": "A", "content": {"ip": "192.0.2.1"}}),
            "name",
        ),
        (json!({"zone": "example.org.", "name": "a..b", "record_type": "A", "content": {"ip": "192.0.2.1"}}), "name"),
        (
            json!({"zone": "example.org.", "name": "x", "record_type": "A", "ttl": -1, "content": {"ip": "192.0.2.1"}}),
            "ttl",
        ),
        (json!({"zone": "", "name": "x", "record_type": "A", "content": {"ip": "192.0.2.1"}}), "zone"),
    ] {
        let (status, body) = site.call("POST", RECORDS, Some(&record));
        assert_eq!(status, 400, "{record}: {body}");
        assert!(
            body["data"][field]["code"].as_str().is_some_and(|code| code.starts_with("validation_")),
            "{record}: {body}"
        );
    }
    let cname =
        json!({"zone": "example.org.", "name": "www", "record_type": "CNAME", "content": {"host": "a.example.net."}});
    assert_eq!(site.call("POST", RECORDS, Some(&cname)).0, 400);
    assert_eq!(site.call("GET", RECORDS, None).1["totalItems"], 1);
}

#[test]
fn the_default_password_stays_on_loopback() {
    let port = free_port();
    let corefile =
        format!(".:PORT {{\n    bind 127.0.0.1\n    pocketbase {{\n        listen 0.0.0.0:{port}\n    }}\n}}\n");
    let mut program = Program::start(&corefile, &[]);
    program.wait("HTTP is served", |program| program.text().contains("HTTP API on"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    // 127.0.0.2 is loopback too, but not where it listens: with all addresses it would answer there.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    let text = program.text();
    assert!(text.lines().any(|line| line.starts_with("[WARNING]") && line.contains("password")), "{text}");
    assert!(!text.contains("pwd@pocketbase.internal"));
}

#[test]
fn a_wrong_password_and_a_missing_token_are_turned_away() {
    let mut site = Site::start();
    let wrong = json!({"identity": "admin@example.org", "password": "wrong"});
    let (status, body) = site.call("POST", "/api/collections/_superusers/auth-with-password", Some(&wrong));
    assert_eq!((status, &body["message"]), (400, &json!("Failed to authenticate.")));
    site.token.clear();
    let (status, body) = site.call("GET", RECORDS, None);
    assert_eq!((status, &body["message"]), (403, &json!("Only superusers can perform this action.")));
}

/// Of all kinds: silent, in the middle of a head, and between two requests.
#[test]
fn connections_that_ask_for_nothing_give_way() {
    let site = Site::start();
    let health = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let connect = |sent: &str| {
        let mut stream = TcpStream::connect(site.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // One that had to leave already cannot be written to.
        let _ = stream.write_all(sent.as_bytes());
        stream
    };
    // Whose body is on its way is being answered.
    let head = "POST /api/collections/_superusers/auth-with-password HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
    let mut slow = connect(head);
    let begun = Instant::now();
    // There is room for 512.
    let mut crowd: Vec<_> = (0..560).map(|at| connect(["", &health[..40], health][at % 3])).collect();
    for _ in 0..3 {
        assert_eq!(site.call("GET", "/api/health", None).0, 200);
    }
    // Who came first had to go before its time of 15 s was over.
    crowd[0].read_exact(&mut [0]).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    slow.write_all(b"}").unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}
