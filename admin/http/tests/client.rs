//! A server to ask, and a client that shows every octet of an answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use store::Store;
use tempfile::TempDir;

use crate::http::{Admin, AdminConfig, start};
use engine::plugin::Password;

/// A running service with a folder of its own.
pub(super) struct Served {
    pub(super) admin: Admin,
    pub(super) store: Store,
    /// A superuser's token.
    pub(super) token: String,
    /// Removed at the end.
    _folder: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Status line and headers.
    pub(super) head: String,
    pub(super) text: String,
    /// The body as JSON; null if it is none.
    pub(super) body: Value,
}

/// The account of the tests.
pub(super) const EMAIL: &str = "admin@example.org";
pub(super) const PASSWORD: &str = "correct-horse";

/// The path of the records.
pub(super) const RECORDS: &str = "/api/collections/coredns_records/records";
pub(super) const SUPERUSERS: &str = "/api/collections/_superusers";

/// A configuration for a port that the system chooses.
pub(super) fn config(password: &str) -> AdminConfig {
    AdminConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        email: EMAIL.into(),
        password: Password::new(password),
        default_ttl: 77,
        reloader: None,
        insight: None,
    }
}

impl Served {
    /// An empty store, and a token.
    pub(super) fn new() -> Self {
        Self::with(config(PASSWORD), PASSWORD)
    }

    /// The same with a configuration.
    pub(super) fn with(config: AdminConfig, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap().store;
        let admin = start(config, store.clone()).unwrap();
        let mut served = Self { admin, store, token: String::new(), _folder: folder };
        served.log_in(password);
        served
    }

    /// Stops and starts with another configuration; the old token stays in use.
    pub(super) fn restart(self, config: AdminConfig) -> Self {
        self.admin.stop(Duration::from_secs(5));
        let admin = start(config, self.store.clone()).unwrap();
        Self { admin, ..self }
    }

    /// Takes a new token.
    pub(super) fn log_in(&mut self, password: &str) {
        let account = json!({"identity": EMAIL, "password": password});
        let answer = self.post(&format!("{SUPERUSERS}/auth-with-password"), &account);
        assert_eq!(answer.status, 200, "{answer:?}");
        self.token = answer.body["token"].as_str().unwrap().into();
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(super) fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], b"")
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    pub(super) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// Creates a record that has to be taken; its id.
    pub(super) fn create(&self, record: &Value) -> String {
        let answer = self.post(RECORDS, record);
        assert_eq!(answer.status, 200, "{record}: {answer:?}");
        answer.body["id"].as_str().unwrap().into()
    }

    /// Asks with the token, as far as there is one, unless the headers show another.
    pub(super) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        if !self.token.is_empty() && !headers.iter().any(|header| header.starts_with("Authorization:")) {
            headers.push(format!("Authorization: {}", self.token));
        }
        if !body.is_empty() {
            headers.push(format!("Content-Length: {}", body.len()));
        }
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        exchange(self.admin.local_addr(), &[request.as_bytes(), body].concat())
    }
}

/// Sends octets and reads the answer to its end.
pub(super) fn exchange(server: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // Fails when the server has heard enough; its answer is there all the same.
    let _ = stream.write_all(request);
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {octets:?}"));
    let head = str::from_utf8(&octets[..end]).unwrap();
    let body = &octets[end + 4..];
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { join_chunks(body) } else { body.to_owned() };
    // A back-up is no text.
    let text = String::from_utf8_lossy(&body).into_owned();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: serde_json::from_str(&text).unwrap_or_default(),
        head: head.to_ascii_lowercase(),
        text,
    }
}

/// The body in chunks (RFC 9112 §7.1), which has to have its end.
fn join_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a body that is whole");
        let length = str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 2..];
        match usize::from_str_radix(length, 16).unwrap() {
            0 => return body,
            length => {
                body.extend_from_slice(&rest[..length]);
                rest = &rest[length + 2..];
            }
        }
    }
}
