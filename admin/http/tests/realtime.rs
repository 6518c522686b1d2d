//! Realtime: who is told of what, and what becomes of those who do not listen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::edit::{Api, Edit, Op};
use store::{Action, RowChange, Watch, name};

use super::client::{RECORDS, Served};

/// An open stream of events.
struct Stream {
    socket: BufReader<TcpStream>,
    /// Status line and headers.
    head: String,
    /// What has come and is not a whole frame yet.
    rest: String,
    /// The client's id.
    id: String,
}

/// A frame: its event and its data.
type Event = (String, Value);

impl Stream {
    /// Opens one and waits for its first frame.
    fn open(server: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.write_all(b"GET /api/realtime HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut stream =
            Self { socket: BufReader::new(socket), head: String::new(), rest: String::new(), id: String::new() };
        while !stream.head.ends_with("\r\n\r\n") {
            assert_ne!(stream.socket.read_line(&mut stream.head).unwrap(), 0);
        }
        let (event, data) = stream.next().unwrap();
        assert_eq!((event.as_str(), &data), ("PB_CONNECT", &json!({ "clientId": stream.id })));
        stream
    }

    /// The next frame; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((frame, rest)) = self.rest.split_once("\n\n") {
                let lines: Vec<String> = frame.lines().map(str::to_owned).collect();
                self.rest = rest.to_owned();
                if let [id, event, data] = lines.as_slice() {
                    self.id = id.strip_prefix("id:").unwrap().into();
                    let data = serde_json::from_str(data.strip_prefix("data:").unwrap()).unwrap();
                    return Some((event.strip_prefix("event:").unwrap().into(), data));
                }
                assert_eq!(lines, [":"], "neither an event nor a comment");
                continue;
            }
            let mut length = String::new();
            if self.socket.read_line(&mut length).unwrap_or_default() == 0 {
                return None;
            }
            let mut chunk = vec![0; usize::from_str_radix(length.trim(), 16).unwrap() + 2];
            self.socket.read_exact(&mut chunk).unwrap();
            if chunk.len() == 2 {
                return None;
            }
            self.rest.push_str(str::from_utf8(&chunk[..chunk.len() - 2]).unwrap());
        }
    }

    /// Asks to be told of topics.
    fn subscribe(&self, served: &Served, topics: &[&str]) {
        let answer = served.post("/api/realtime", &json!({"clientId": self.id, "subscriptions": topics}));
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{answer:?}");
    }

    /// The action and the name of the next event's record.
    fn told(&mut self) -> String {
        let (_, data) = self.next().expect("an event");
        format!("{} {}", data["action"].as_str().unwrap(), data["record"]["name"].as_str().unwrap())
    }
}

/// The fields of an address record.
fn address(name: &str) -> Value {
    json!({"zone": "example.org.", "name": name, "record_type": "A", "ttl": 60, "content": {"ip": "192.0.2.1"}})
}

#[test]
fn a_stream_begins_with_the_client_s_id() {
    let served = Served::new();
    let (one, two) = (Stream::open(served.admin.local_addr()), Stream::open(served.admin.local_addr()));
    assert!(one.id.len() == 40 && one.id.bytes().all(|octet| octet.is_ascii_alphanumeric()) && one.id != two.id);
    let head = one.head.to_ascii_lowercase();
    for header in
        ["http/1.1 200", "content-type: text/event-stream\r", "cache-control: no-store\r", "x-accel-buffering: no\r"]
    {
        assert!(head.contains(header), "{head}");
    }
}

#[test]
fn every_door_s_changes_are_told_to_who_asked() {
    let served = Served::new();
    let mut stream = Stream::open(served.admin.local_addr());
    stream.subscribe(&served, &["coredns_records/*"]);
    let created = served.post(RECORDS, &address("a")).body;
    let event = stream.next().unwrap();
    assert_eq!(event, ("coredns_records/*".into(), json!({"action": "create", "record": created})));
    let path = format!("{RECORDS}/{}", created["id"].as_str().unwrap());
    let updated = served.patch(&path, &json!({"ttl": 61})).body;
    assert_eq!(stream.next().unwrap().1, json!({"action": "update", "record": updated}));
    let requests = json!([
        {"method": "POST", "url": RECORDS, "body": address("c")},
        {"method": "POST", "url": RECORDS, "body": address("b")},
        {"method": "DELETE", "url": path},
    ]);
    assert_eq!(served.post("/api/batch", &json!({ "requests": requests })).status, 200);
    assert_eq!(stream.next().unwrap().1, json!({"action": "delete", "record": updated}));
    assert_eq!([stream.told(), stream.told()], ["create c", "create b"]);
    // What is refused was no change.
    assert_eq!(served.post("/api/batch", &json!({"requests": [requests[0], requests[0]]})).status, 400);

    let zone = "/api/zonda/zones/example.org/zonefile";
    let text = "@ 60 IN SOA ns1 a 7 1 2 3 4\n@ 60 IN NS ns1\nns1 60 IN A 192.0.2.1\nb 60 IN A 192.0.2.1\n";
    let serial = served.store.zones().unwrap()[0].serial;
    assert_eq!(served.ask("PUT", zone, &[], text.as_bytes()).status, 200);
    let mut told: Vec<_> = (0..4).map(|_| stream.told()).collect();
    told.sort();
    assert_eq!(told, ["create example.org.", "create example.org.", "create ns1.example.org.", "delete c"]);
    let revert = Op::Revert(name::parse("example.org.", None).unwrap(), serial);
    served.store.apply(Edit { who: "me".into(), api: Api::Native, ops: vec![revert] }).unwrap();
    let mut told: Vec<_> = (0..4).map(|_| stream.told()).collect();
    told.sort();
    assert_eq!(
        told,
        ["create c.example.org.", "delete example.org.", "delete example.org.", "delete ns1.example.org."]
    );
    assert_eq!(served.delete("/api/zonda/zones/example.org").status, 204);
    let mut told = [stream.told(), stream.told()];
    told.sort();
    assert_eq!(told, ["delete b", "delete c.example.org."]);
}

#[test]
fn a_topic_chooses_and_one_change_is_told_once_for_each() {
    let served = Served::new();
    let mut stream = Stream::open(served.admin.local_addr());
    let options = "%7B%22query%22%3A%7B%22filter%22%3A%22name%3D'b'%22%2C%22fields%22%3A%22name%22%7D%2C%22headers%22%3A%7B%7D%7D";
    let chosen = format!("pbc_186858105/*?options={options}");
    stream.subscribe(&served, &["coredns_records/4711", &chosen, "coredns_records/4712", "nope/*"]);
    served.create(&address("a"));
    served.create(&address("b"));
    assert_eq!(stream.next().unwrap(), (chosen.clone(), json!({"action": "create", "record": {"name": "b"}})));
    let mut record = address("c");
    record["id"] = json!("4711");
    served.create(&record);
    assert_eq!(stream.next().unwrap().0, "coredns_records/4711");
    served.patch(&format!("{RECORDS}/4711"), &json!({"name": "b", "content": {"ip": "192.0.2.7"}}));
    let events = [stream.next().unwrap(), stream.next().unwrap()].map(|(topic, data)| (topic, data["action"].clone()));
    assert_eq!(events, [("coredns_records/4711".into(), json!("update")), (chosen, json!("update"))]);
    // The list replaces the former one.
    stream.subscribe(&served, &["coredns_records/4712"]);
    served.delete(&format!("{RECORDS}/4711"));
    stream.subscribe(&served, &["coredns_records/*"]);
    served.create(&address("d"));
    assert_eq!(stream.told(), "create d");
}

#[test]
fn guests_are_told_nothing_and_an_identity_stays() {
    let mut served = Served::new();
    let token = std::mem::take(&mut served.token);
    let mut stream = Stream::open(served.admin.local_addr());
    stream.subscribe(&served, &["coredns_records/*"]);
    served.token.clone_from(&token);
    served.create(&address("unseen"));
    stream.subscribe(&served, &["coredns_records/*"]);
    served.create(&address("seen"));
    assert_eq!(stream.told(), "create seen");
    served.token.clear();
    let answer = served.post("/api/realtime", &json!({"clientId": stream.id, "subscriptions": []}));
    let message = "The current and the previous request authorization don't match.";
    assert_eq!((answer.status, &answer.body["message"]), (403, &json!(message)));
    served.token = token;
    served.create(&address("still"));
    assert_eq!(stream.told(), "create still");
}

#[test]
fn subscriptions_are_checked() {
    let served = Served::new();
    let stream = Stream::open(served.admin.local_addr());
    let id = &stream.id;
    let answer = served.post("/api/realtime", &json!({"clientId": "nobody", "subscriptions": []}));
    assert_eq!((answer.status, &answer.body["message"]), (404, &json!("Missing or invalid client id.")));
    for (body, field, code) in [
        (json!({}), "clientId", "validation_required"),
        (json!({"clientId": "", "subscriptions": ["x"]}), "clientId", "validation_required"),
        (json!({"clientId": "x".repeat(256)}), "clientId", "validation_length_out_of_range"),
        (json!({"clientId": id, "subscriptions": vec!["x"; 1001]}), "subscriptions", "validation_length_too_long"),
    ] {
        let answer = served.post("/api/realtime", &body);
        assert_eq!((answer.status, &answer.body["data"][field]["code"]), (400, &json!(code)), "{answer:?}");
    }
    let long = json!({"clientId": id, "subscriptions": ["x", "y".repeat(2501)]});
    let answer = served.post("/api/realtime", &long);
    let fault = json!({"code": "validation_length_too_long", "message": "The length must be no more than 2500.", "params": {"min": 0, "max": 2500}});
    assert_eq!((answer.status, &answer.body["data"]["subscriptions"]), (400, &json!({"1": fault})));
    assert_eq!(served.post("/api/realtime", &json!({"clientId": id, "subscriptions": [1]})).status, 400);
    let most = vec!["y".repeat(2500); 1000];
    assert_eq!(served.post("/api/realtime", &json!({"clientId": id, "subscriptions": most})).status, 204);
}

#[test]
fn who_does_not_read_is_dropped_and_holds_nobody_up() {
    let served = Served::new();
    let mut slow = Stream::open(served.admin.local_addr());
    slow.subscribe(&served, &["coredns_records/*"]);
    served.create(&address("first"));
    assert_eq!(slow.told(), "create first");
    let hub = &served.admin.site.realtime;
    let (rows, _) = served.store.rows(0, 1).unwrap();
    let many = vec![RowChange { action: Action::Update, row: rows[0].clone() }; 200_000];
    hub.changed(Some(&many));
    let begun = Instant::now();
    while hub.client(&slow.id).is_some() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Where the end is seen depends on who is faster: between two frames as it has fallen behind, or within one as its
    // connection takes nothing.
    let mut seen = Vec::new();
    let _ = slow.socket.read_to_end(&mut seen);
    let seen = String::from_utf8_lossy(&seen).matches("event:").count();
    assert!(seen < many.len(), "the whole is not kept for it");
    let mut other = Stream::open(served.admin.local_addr());
    other.subscribe(&served, &["coredns_records/*"]);
    served.create(&address("next"));
    assert_eq!(other.told(), "create next");
}

#[test]
fn a_commit_that_is_too_big_to_be_told_ends_the_streams() {
    let served = Served::new();
    let mut stream = Stream::open(served.admin.local_addr());
    let hub = &served.admin.site.realtime;
    assert!(!hub.is_on(), "nobody is told anything yet");
    stream.subscribe(&served, &["coredns_records/*"]);
    assert!(hub.is_on());
    hub.changed(None);
    assert_eq!(stream.next(), None);
}

#[test]
fn the_oldest_guest_makes_room_and_a_superuser_stays() {
    let served = Served::new();
    let mut first = Stream::open(served.admin.local_addr());
    first.subscribe(&served, &["coredns_records/*"]);
    let mut guests: Vec<_> = (0..256).map(|_| Stream::open(served.admin.local_addr())).collect();
    assert_eq!(guests[0].next(), None);
    served.create(&address("a"));
    assert_eq!(first.told(), "create a");
    for guest in &guests[1..] {
        guest.subscribe(&served, &[]);
    }
    assert_eq!(served.get("/api/realtime").status, 429);
    // Who goes away makes room, too.
    drop(guests);
    let begun = Instant::now();
    while served.ask("HEAD", "/api/realtime", &[], b"").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_stop_ends_streams_at_once() {
    let served = Served::new();
    let mut stream = Stream::open(served.admin.local_addr());
    let begun = Instant::now();
    served.admin.stop(Duration::from_secs(20));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(stream.next(), None);
}
