//! What the real program tells of itself: why an answer is what it is, and what is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::Rtype;

use crate::http::{COREFILE, RECORDS, Site};
use crate::support::{Question, exchange_tcp, free_port};

#[test]
fn an_answer_over_http_is_the_one_on_the_wire_with_the_way_to_it() {
    let site = Site::start();
    for (name, rtype, content) in [
        ("www", "A", json!({"ip": "192.0.2.1"})),
        ("alias", "CNAME", json!({"host": "www.example.org."})),
        ("*.w", "A", json!({"ip": "192.0.2.2"})),
    ] {
        let record = json!({"zone": "example.org", "name": name, "record_type": rtype, "ttl": 60, "content": content});
        assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    }
    let (status, body) = site.call("GET", "/api/zonda/explain?name=alias.example.org&type=AAAA&client=192.0.2.7", None);
    assert_eq!(status, 200, "{body}");
    let server = format!("127.0.0.1:{}", site.program.port);
    let question = json!({"name": "alias.example.org.", "type": "AAAA", "do": false, "client": "192.0.2.7",
        "transport": "udp", "server": server});
    assert_eq!(body["question"], question);
    assert_eq!((&body["answer"]["rcode"], &body["answer"]["flags"]), (&json!("NOERROR"), &json!(["qr", "aa"])));
    let records = &body["answer"]["sections"]["answer"];
    let alias =
        json!({"name": "alias.example.org.", "ttl": 60, "class": "IN", "type": "CNAME", "data": "www.example.org."});
    assert_eq!(records, &json!([alias]));
    let path = &body["path"];
    assert_eq!((&path["block"], &path["answered_by"]), (&json!("."), &json!("pocketbase")));
    let plugins = json!([
        {"name": "errors", "did": "left out: it only watches, or is not for the class"},
        {"name": "pocketbase", "did": "answered"},
    ]);
    assert_eq!(path["plugins"], plugins);
    let steps: Vec<_> = path["steps"].as_array().unwrap().iter().map(|step| (&step["match"], &step["holds"])).collect();
    assert_eq!(steps, [(&json!("exact"), &json!("alias")), (&json!("exact"), &json!("nodata"))]);
    let wire = domain::utils::base64::decode::<Vec<u8>>(body["answer"]["wire"].as_str().unwrap()).unwrap();
    assert_eq!(body["answer"]["size"], wire.len());

    let (_, body) = site.call("GET", "/api/zonda/explain?name=a.b.w.example.org&transport=tcp&do=true", None);
    let step = &body["path"]["steps"][0];
    assert_eq!(
        (&step["match"], &step["owner"], &step["closest_encloser"]),
        (&json!("wildcard"), &json!("*.w.example.org."), &json!("w.example.org."))
    );
    let (_, zones) = site.call("GET", "/api/zonda/zones", None);
    assert_eq!((&step["zone"], &step["serial"]), (&json!("example.org."), &zones["zones"][0]["serial"]));
}

#[test]
fn a_token_explains_the_names_of_its_zones_alone() {
    let mut site = Site::start();
    for zone in ["example.org", "example.net"] {
        assert_eq!(site.call("POST", "/api/zonda/zones", Some(&json!({"zone": zone}))).0, 201);
    }
    let alias = json!({"ttl": 60, "records": [{"content": "www.example.net."}]});
    assert_eq!(site.call("PUT", "/api/zonda/zones/example.org/rrsets/alias/CNAME", Some(&alias)).0, 200);
    let steps = |site: &Site| {
        let (status, body) = site.call("GET", "/api/zonda/explain?name=alias.example.org", None);
        assert_eq!(status, 200, "{body}");
        body["path"]["steps"].as_array().unwrap().len()
    };
    assert_eq!(steps(&site), 2);
    let token = json!({"name": "org", "scope": "read", "zones": ["example.org"]});
    let (_, token) = site.call("POST", "/api/zonda/tokens", Some(&token));
    site.token = token["token"].as_str().unwrap().into();
    assert_eq!(site.call("GET", "/api/zonda/explain?name=www.example.org", None).0, 200);
    assert_eq!(site.call("GET", "/api/zonda/explain?name=www.example.net", None).0, 403);
    assert_eq!(steps(&site), 1, "an alias leads out of its zones");
}

#[test]
fn a_question_that_cannot_be_asked_is_refused_with_its_field() {
    let site = Site::start();
    for (parameters, field) in [
        ("", "name"),
        ("name=a..b", "name"),
        ("name=example.org&type=NOPE", "type"),
        ("name=example.org&do=perhaps", "do"),
        ("name=example.org&client=example.net", "client"),
        ("name=example.org&transport=pigeon", "transport"),
        ("name=example.org&client=", "client"),
        ("name=example.org&server=192.0.2.1:53", "server"),
    ] {
        let (status, body) = site.call("GET", &format!("/api/zonda/explain?{parameters}"), None);
        assert_eq!(status, 400, "{parameters}: {body}");
        assert_eq!(body["data"].as_object().unwrap().keys().collect::<Vec<_>>(), [field], "{parameters}: {body}");
    }
}

/// The Corefile of the other tests with its queries counted.
fn counted() -> String {
    COREFILE.replace("    errors\n", &format!("    errors\n    prometheus 127.0.0.1:{}\n", free_port()))
}

#[test]
fn statistics_tell_what_was_asked_and_answered() {
    let site = Site::start_with(&counted());
    let statistics = || {
        let (status, body) = site.call("GET", "/api/zonda/statistics", None);
        assert_eq!(status, 200, "{body}");
        body
    };
    let before = statistics();
    assert_eq!(before["counted"], true);
    let record = json!({"zone": "example.org", "name": "www", "record_type": "A", "content": {"ip": "192.0.2.1"}});
    assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    for _ in 0..5 {
        site.program.ask(&Question::new("www.example.org.", Rtype::A));
    }
    site.program.ask(&Question { dnssec_ok: true, ..Question::new("nope.example.org.", Rtype::AAAA) });
    exchange_tcp(site.program.dns(), &[Question::new("www.example.net.", Rtype::MX).message()]);
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    // Datagrams and streams are counted a batch at a time, perhaps after its answers are sent.
    let mut after = statistics();
    let begun = Instant::now();
    while number(&after, "/udp/received") < number(&before, "/udp/received") + 6
        || number(&after, "/tcp/answered") < number(&before, "/tcp/answered") + 1
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "{after}");
        after = statistics();
    }
    let grown = |pointer: &str| number(&after, pointer) - number(&before, pointer);
    for (pointer, count) in [
        ("/queries/total", 7),
        ("/queries/dnssec_ok", 1),
        ("/queries/transports/udp", 6),
        ("/queries/transports/tcp", 1),
        ("/queries/families/ipv4", 7),
        ("/queries/types/A", 5),
        ("/queries/types/AAAA", 1),
        ("/queries/types/MX", 1),
        ("/queries/rcodes/NOERROR", 5),
        ("/queries/rcodes/NXDOMAIN", 1),
        ("/queries/rcodes/REFUSED", 1),
        ("/queries/plugins/pocketbase", 6),
        ("/udp/received", 6),
        ("/tcp/answered", 1),
        ("/names/samples", 7),
    ] {
        assert_eq!(grown(pointer), count, "{pointer}: {after}");
    }
    let latency = &after["queries"]["latency"];
    let (bounds, counts) = (latency["bounds_seconds"].as_array().unwrap(), latency["counts"].as_array().unwrap());
    assert_eq!(
        (bounds.len() + 1, counts.iter().filter_map(Value::as_u64).sum()),
        (counts.len(), after["queries"]["total"].as_u64().unwrap())
    );
    assert_eq!(after["names"]["top"][0], json!({"name": "www.example.org.", "samples": 5}));
    assert_eq!(after["zones"][0]["zone"], ".");
}

#[test]
fn without_the_plugin_packets_are_counted_alone() {
    let site = Site::start();
    let (_, body) = site.call("GET", "/api/zonda/statistics", None);
    assert_eq!((&body["counted"], &body["queries"]["total"]), (&json!(false), &json!(0)));
    assert!(body["udp"]["received"].as_u64().unwrap() > 0, "{body}");
}

#[test]
fn statistics_come_as_a_stream_until_the_server_stops() {
    let mut site = Site::start_with(&counted());
    let mut stream = TcpStream::connect(site.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let token = &site.token;
    let request = format!(
        "GET /api/zonda/statistics/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    let mut next = |beginning: &str| loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(rest) = line.strip_prefix(beginning) {
            return rest.trim_end().to_owned();
        }
    };
    assert_eq!(next("HTTP/1.1 "), "200 OK");
    assert_eq!(next("content-type: "), "text/event-stream");
    let mut received = 0;
    for _ in 0..2 {
        site.program.ask(&Question::new("www.example.org.", Rtype::A));
        // An event that was on its way does not know of it yet.
        let before = received;
        while received == before {
            assert_eq!(next("event: "), "statistics");
            let event: Value = serde_json::from_str(&next("data: ")).unwrap();
            received = event["udp"]["received"].as_u64().unwrap();
        }
    }
    assert_eq!(site.program.end("TERM"), Some(0));
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the body has its end: {}", String::from_utf8_lossy(&rest));
}

#[test]
fn the_status_tells_what_the_server_is_made_of_and_what_it_holds() {
    let site = Site::start();
    let (_, before) = site.call("GET", "/api/zonda/status", None);
    let record = json!({"zone": "example.org", "name": "www", "record_type": "A", "content": {"ip": "192.0.2.1"}});
    assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    let (status, after) = site.call("GET", "/api/zonda/status", None);
    assert_eq!(status, 200, "{after}");
    assert_eq!((&after["version"], &after["build"]), (&json!(zonda::VERSION), &json!(zonda::BUILD)));
    assert!(site.program.text().contains(&format!("answering over {}", after["io"]["way"].as_str().unwrap())));
    let address = format!("127.0.0.1:{}", site.program.port);
    assert_eq!(after["listeners"], json!([{"address": address}]));
    assert!(!after["workers"].as_array().unwrap().is_empty(), "{after}");
    let generation = |status: &Value| status["snapshot"]["generation"].as_u64().unwrap();
    assert!(generation(&after) > generation(&before), "{before} {after}");
    assert_eq!((&before["snapshot"]["zones"], &before["snapshot"]["names"]), (&json!(0), &json!(0)));
    assert_eq!(after["snapshot"]["zones"], 1);
    // The apex, the host, and the name server that a new zone gets.
    assert!(after["snapshot"]["names"].as_u64().unwrap() >= 2, "{after}");
    let database = &after["databases"][0];
    assert!(database["folder"].as_str().unwrap().ends_with("/pb_data"), "{after}");
    let file = site.program.folder.path().join("pb_data/zonda.redb");
    assert_eq!(database["octets"], std::fs::metadata(file).unwrap().len());

    // After a restart the records have been loaded.
    let site = site.restart();
    let (_, zones) = site.call("GET", "/api/zonda/zones", None);
    let (_, status) = site.call("GET", "/api/zonda/status", None);
    let records = &zones["zones"][0]["records"];
    assert_eq!(status["loading"], json!({"records_loaded": records, "records": records, "done": true}));
}
