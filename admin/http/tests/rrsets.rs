//! RRsets over zonda's own API, and the condition of a serial.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::client::{Answer, Served};

const ZONE: &str = "/api/zonda/zones/example.org";

/// A service with an empty zone.
fn served() -> Served {
    let served = Served::new();
    assert_eq!(served.post("/api/zonda/zones", &json!({"zone": "example.org"})).status, 201);
    served
}

/// Sets an RRset, perhaps on a condition.
fn put(served: &Served, rrset: &str, body: &Value, if_match: Option<&str>) -> Answer {
    let mut headers = vec!["Content-Type: application/json".to_owned()];
    headers.extend(if_match.map(|tag| format!("If-Match: {tag}")));
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    served.ask("PUT", &format!("{ZONE}/rrsets/{rrset}"), &headers, body.to_string().as_bytes())
}

/// The ETag of an answer.
fn tag(answer: &Answer) -> String {
    let line = answer.head.lines().find_map(|line| line.strip_prefix("etag: "));
    line.unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned()
}

#[test]
fn an_rrset_is_set_read_and_deleted() {
    let served = served();
    let body = json!({"ttl": 60, "records": [{"content": "192.0.2.1"}, {"content": "192.0.2.2"}]});
    let answer = put(&served, "www/A", &body, None);
    assert_eq!((answer.status, &answer.body["added"], &answer.body["removed"]), (200, &json!(2), &json!(0)));
    for name in ["www", "WWW.example.org.", "%77ww"] {
        let view = served.get(&format!("{ZONE}/rrsets/{name}/A"));
        let expected = json!({
            "name": "www.example.org.",
            "type": "A",
            "ttl": 60,
            "records": [{"content": "192.0.2.1"}, {"content": "192.0.2.2"}],
        });
        assert_eq!(view.body, expected);
        assert_eq!(tag(&view), format!("\"{}\"", answer.body["serial"]));
    }
    // The same again is no change.
    let same = put(&served, "www/A", &body, None);
    assert_eq!((&same.body["added"], &same.body["serial"]), (&json!(0), &answer.body["serial"]));
    assert_eq!(tag(&same), tag(&answer));
    // A record keeps what it had, one without a TTL takes the default.
    let less = put(&served, "www/A", &json!({"records": [{"content": "192.0.2.2"}]}), None);
    assert_eq!((&less.body["added"], &less.body["removed"]), (&json!(1), &json!(2)));
    assert_eq!(served.get(&format!("{ZONE}/rrsets/www/A")).body["ttl"], json!(null));

    let gone = served.delete(&format!("{ZONE}/rrsets/www/A"));
    assert_eq!((gone.status, &gone.body["removed"]), (200, &json!(1)));
    for status in
        [served.delete(&format!("{ZONE}/rrsets/www/A")).status, served.get(&format!("{ZONE}/rrsets/www/A")).status]
    {
        assert_eq!(status, 404);
    }
    // What zonda makes itself can be read, not deleted.
    assert_eq!(served.get(&format!("{ZONE}/rrsets/@/SOA")).status, 200);
    assert_eq!(served.delete(&format!("{ZONE}/rrsets/@/SOA")).status, 404);
}

#[test]
fn faults_of_an_rrset_name_their_field_and_nothing_is_written() {
    let served = served();
    let one = |content: &str| json!({"records": [{"content": content}]});
    put(&served, "www/A", &one("192.0.2.1"), None);
    let before = served.get(ZONE).body;
    for (rrset, body, field) in [
        ("www/A", one("192.0.2.256"), "records[0].content"),
        ("www/A", json!({"records": []}), "records"),
        ("www/A", json!({"ttl": 2_147_483_648_u32, "records": [{"content": "192.0.2.1"}]}), "ttl"),
        ("www/A", json!({"ttl": "x", "records": [{"content": "192.0.2.1"}]}), "ttl"),
        ("www/A", json!({"records": [{"content": "192.0.2.1", "x": 1}]}), "records[0].x"),
        ("www/A", json!({"records": ["192.0.2.1"]}), "records[0]"),
        ("www/A", json!({"ttl": 1}), "body"),
        ("www/A", json!([]), "body"),
        ("www/CNAME", one("ns1"), "name"),
        ("www.example.net./A", one("192.0.2.1"), "name"),
        ("www/NOPE", one("x"), "type"),
        ("www/ANY", one("x"), "type"),
    ] {
        let refused = put(&served, rrset, &body, None);
        assert_eq!(refused.status, 400, "{rrset} {body}: {refused:?}");
        assert!(!refused.body["data"][field]["message"].is_null(), "{rrset} {body}: {refused:?}");
    }
    let text = served.ask("PUT", &format!("{ZONE}/rrsets/www/A"), &["Content-Type: text/plain"], b"{}");
    assert_eq!((text.status, text.body["data"]["body"].is_object()), (400, true));
    assert_eq!(served.get(ZONE).body, before);
    let nowhere = served.ask(
        "PUT",
        "/api/zonda/zones/example.net/rrsets/www/A",
        &["Content-Type: application/json"],
        one("192.0.2.1").to_string().as_bytes(),
    );
    assert_eq!((nowhere.status, nowhere.body["message"].as_str()), (404, Some("There is no such zone.")));
}

#[test]
fn many_changes_are_one() {
    let served = served();
    put(&served, "old/TXT", &json!({"records": [{"content": "x"}]}), None);
    let before = served.get(ZONE).body["serial"].as_u64().unwrap();
    let rrsets = format!("{ZONE}/rrsets");
    let changes = json!({"changes": [
        {"op": "replace", "name": "a", "type": "A", "ttl": 60, "records": [{"content": "192.0.2.1"}]},
        {"op": "replace", "name": "@", "type": "MX", "records": [{"content": "10 a"}, {"content": "20 mx.example.net."}]},
        {"op": "delete", "name": "old", "type": "TXT"},
        {"op": "delete", "name": "never", "type": "TXT"},
    ]});
    let tried = served.patch(&format!("{rrsets}?dry_run=true"), &changes);
    assert_eq!(tried.body["changes"].as_array().unwrap().len(), 4, "{tried:?}");
    let done = served.patch(&rrsets, &changes);
    assert_eq!((done.status, &done.body["added"], &done.body["removed"]), (200, &json!(3), &json!(1)));
    assert_eq!(done.body["serial"], before + 1);
    assert_eq!(served.get(&format!("{ZONE}/rrsets/@/MX")).body["records"][0]["content"], "10 a.example.org.");

    for (change, field) in [
        (
            json!({"op": "replace", "name": "b", "type": "A", "records": [{"content": "x"}]}),
            "changes[1].records[0].content",
        ),
        (json!({"op": "replace", "name": "b", "type": "A"}), "changes[1].records"),
        (
            json!({"op": "delete", "name": "b", "type": "A", "records": [{"content": "192.0.2.1"}]}),
            "changes[1].records",
        ),
        (json!({"op": "replace", "name": "a", "type": "CNAME", "records": [{"content": "b"}]}), "changes[1].name"),
        (json!({"op": "replace", "name": "b", "type": "NOPE", "records": []}), "changes[1].type"),
        (json!({"op": "nope", "name": "b", "type": "A", "records": []}), "changes[1].op"),
    ] {
        let first = json!({"op": "replace", "name": "z", "type": "A", "records": [{"content": "192.0.2.1"}]});
        let refused = served.patch(&rrsets, &json!({"changes": [first, change]}));
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(!refused.body["data"][field]["message"].is_null(), "{field}: {refused:?}");
    }
    assert_eq!(served.get(ZONE).body["serial"], before + 1);
}

#[test]
fn rrsets_are_listed_by_name_type_and_content() {
    let served = served();
    for (rrset, content) in [("a/A", "192.0.2.1"), ("a/TXT", "Hello"), ("b.a/A", "192.0.2.2"), ("c/TXT", "world")] {
        put(&served, rrset, &json!({"records": [{"content": content}]}), None);
    }
    for (query, expected, total) in [
        ("", "SOA NS A TXT A TXT", 6),
        ("name=A.exam", "A TXT A", 3),
        ("type=txt", "TXT TXT", 2),
        ("type=TXT&content=hell", "TXT", 1),
        ("content=192.0.2&perPage=1&page=2", "A", 2),
        ("perPage=4", "SOA NS A TXT", 6),
        ("type=MX", "", 0),
    ] {
        let list = served.get(&format!("{ZONE}/rrsets?{query}"));
        let mut types: Vec<_> =
            list.body["rrsets"].as_array().unwrap().iter().map(|rrset| rrset["type"].as_str().unwrap()).collect();
        // At the apex they go by number of type.
        types[..].sort_by_key(|rtype| *rtype != "SOA" && *rtype != "NS");
        let mut expected: Vec<_> = expected.split_whitespace().collect();
        expected.sort_by_key(|rtype| *rtype != "SOA" && *rtype != "NS");
        types.sort_unstable();
        expected.sort_unstable();
        assert_eq!(types, expected, "{query}");
        assert_eq!(list.body["totalItems"], total, "{query}");
        assert_eq!(tag(&list), tag(&served.get(ZONE)));
    }
    assert_eq!(
        served.get(&format!("{ZONE}/rrsets?type=NOPE")).body["data"]["type"]["code"],
        "validation_invalid_value"
    );
    assert_eq!(served.get("/api/zonda/zones/example.net/rrsets").status, 404);
}

#[test]
fn every_write_takes_the_condition_of_a_serial() {
    let served = served();
    let body = json!({"records": [{"content": "192.0.2.1"}]});
    let first = tag(&put(&served, "a/A", &body, None));
    let json = "Content-Type: application/json";
    let conditional = |tag: &str, method: &str, path: &str, body: &str| {
        served.ask(method, &format!("{ZONE}{path}"), &[json, &format!("If-Match: {tag}")], body.as_bytes()).status
    };
    let changes = json!({"changes": [{"op": "delete", "name": "a", "type": "A"}]}).to_string();
    let file = served.get(&format!("{ZONE}/zonefile")).text.replace("192.0.2.1", "192.0.2.2");
    let writes = [
        ("PUT", "/rrsets/a/A", body.to_string()),
        ("DELETE", "/rrsets/a/A", String::new()),
        ("PATCH", "/rrsets", changes),
        ("PUT", "/zonefile", file),
        ("DELETE", "", String::new()),
    ];
    for (method, path, body) in &writes {
        for (stale, status) in [
            ("\"7\"", 412),
            ("7", 412),
            ("W/\"7\"", 412),
            ("\"nope\"", 412),
            ("nope", 400),
            ("\"1\", \"2", 400),
            ("", 400),
        ] {
            assert_eq!(conditional(stale, method, path, body), status, "{method} {path} {stale}");
        }
    }
    assert_eq!(tag(&served.get(ZONE)), first, "nothing was written");
    let stale = put(&served, "a/A", &body, Some("\"7\""));
    let serial = first.trim_matches('"');
    assert_eq!(stale.body["message"], format!("The zone example.org. has serial {serial}, not 7."));
    for (method, path, body) in &writes {
        let answer = conditional(&tag(&served.get(ZONE)), method, path, body);
        assert!(matches!(answer, 200 | 204), "{method} {path}: {answer}");
        served.post("/api/zonda/zones", &json!({"zone": "example.org"}));
        put(&served, "a/A", &json!({"records": [{"content": "192.0.2.1"}]}), Some("*"));
    }
    served.delete(ZONE);
    assert_eq!(conditional("*", "PUT", "/rrsets/a/A", &body.to_string()), 404);
}

#[test]
fn writers_that_name_the_serial_they_saw_lose_no_update() {
    let served = served();
    put(&served, "n/TXT", &json!({"records": [{"content": "0"}]}), None);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let seen = served.get(&format!("{ZONE}/rrsets/n/TXT"));
                    let count: u32 =
                        seen.body["records"][0]["content"].as_str().unwrap().trim_matches('"').parse().unwrap();
                    let next = json!({"records": [{"content": (count + 1).to_string()}]});
                    match put(&served, "n/TXT", &next, Some(&tag(&seen))).status {
                        200 => break,
                        412 => {}
                        status => panic!("{status}"),
                    }
                }
            });
        }
    });
    let sum = served.get(&format!("{ZONE}/rrsets/n/TXT")).body;
    assert_eq!(sum["records"], json!([{"content": format!("\"{WRITERS}\"")}]));
}

#[test]
fn every_export_is_of_a_single_serial_while_edits_go_on() {
    let served = served();
    let edit = |number: u32| {
        let change = |host| {
            let records = json!([{"content": format!("n{number}")}]);
            json!({"op": "replace", "name": format!("h{host}"), "type": "TXT", "records": records})
        };
        let changes = (0..50).map(change).collect::<Vec<_>>();
        assert_eq!(served.patch(&format!("{ZONE}/rrsets"), &json!({"changes": changes})).status, 200);
    };
    edit(0);
    let exports: usize = std::env::var("ZONDA_TEST_EXPORTS").map_or(24, |count| count.parse().unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1.. {
                edit(number);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let readers: Vec<_> = (0..exports)
            .map(|_| {
                scope.spawn(|| {
                    let export = served.get(&format!("{ZONE}/zonefile?format=json"));
                    let rrsets = export.body["rrsets"].as_array().unwrap();
                    let texts: Vec<_> = rrsets.iter().filter(|rrset| rrset["type"] == "TXT").collect();
                    assert_eq!(texts.len(), 50);
                    assert!(texts.iter().all(|rrset| rrset["records"] == texts[0]["records"]), "{texts:?}");
                    assert_eq!(tag(&export), format!("\"{}\"", export.body["serial"]));
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

/// Writers of one RRset at once.
const WRITERS: usize = 64;

#[test]
fn changes_of_two_zones_are_made_together_or_not_at_all() {
    let served = served();
    let reverse = "2.0.192.in-addr.arpa";
    let changes = |address: &str| {
        json!({"changes": [
            {"op": "replace", "name": "www", "type": "A", "records": [{"content": address}]},
            {"op": "replace", "zone": reverse, "name": "1", "type": "PTR", "records": [{"content": "www.example.org."}]},
        ]})
    };
    let missing = served.patch(&format!("{ZONE}/rrsets"), &changes("192.0.2.1"));
    assert_eq!((missing.status, &missing.body["message"]), (404, &json!("There is no such zone.")));
    assert_eq!(served.get(&format!("{ZONE}/rrsets/www/A")).status, 404);

    assert_eq!(served.post("/api/zonda/zones", &json!({"zone": reverse})).status, 201);
    let tried = served.patch(&format!("{ZONE}/rrsets?dry_run=true"), &changes("192.0.2.1"));
    let changes_of = |answer: &Answer| -> Vec<String> {
        let changes = answer.body["changes"].as_array().unwrap().iter();
        changes
            .map(|change| format!("{} {}", change["name"].as_str().unwrap(), change["type"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        changes_of(&tried),
        ["example.org. SOA", "www.example.org. A", "2.0.192.in-addr.arpa. SOA", "1.2.0.192.in-addr.arpa. PTR"]
    );
    let ptr = format!("/api/zonda/zones/{reverse}/rrsets/1/PTR");
    assert_eq!(served.patch(&format!("{ZONE}/rrsets"), &changes("192.0.2.300")).status, 400);
    assert_eq!(served.get(&ptr).status, 404);
    let made = served.patch(&format!("{ZONE}/rrsets"), &changes("192.0.2.1"));
    assert_eq!((made.status, &made.body["zone"]), (200, &json!("example.org.")));
    assert_eq!(served.get(&ptr).body["records"], json!([{"content": "www.example.org."}]));
    let wrong = served.patch(
        &format!("{ZONE}/rrsets"),
        &json!({"changes": [
            {"op": "delete", "zone": "a..b", "name": "www", "type": "A"},
        ]}),
    );
    assert_eq!((wrong.status, wrong.body["data"]["changes[0].zone"].is_object()), (400, true), "{wrong:?}");
}

#[test]
fn an_api_token_changes_no_other_zone_along_with_its_own() {
    let mut served = served();
    assert_eq!(served.post("/api/zonda/zones", &json!({"zone": "example.net"})).status, 201);
    let new = json!({"name": "one", "scope": "write", "zones": ["example.org."]});
    let token = served.post("/api/zonda/tokens", &new);
    served.token = token.body["token"].as_str().unwrap_or_else(|| panic!("{token:?}")).into();
    let change = |zone: &str| {
        json!({"changes": [
            {"op": "replace", "zone": zone, "name": "www", "type": "A", "records": [{"content": "192.0.2.1"}]},
        ]})
    };
    assert_eq!(served.patch(&format!("{ZONE}/rrsets"), &change("example.net")).status, 403);
    let checked = json!({"zone": "example.org", "changes": change("example.net")["changes"]});
    assert_eq!(served.post("/api/zonda/check", &checked).status, 403);
    assert_eq!(served.patch(&format!("{ZONE}/rrsets"), &change("example.org")).status, 200);
}

#[test]
fn a_search_finds_names_and_data() {
    let served = served();
    for (rrset, content) in [("www/A", "192.0.2.1"), ("mail/A", "192.0.2.2"), ("alias/CNAME", "WWW")] {
        assert_eq!(put(&served, rrset, &json!({"records": [{"content": content}]}), None).status, 200);
    }
    let found = |query: &str| {
        let answer = served.get(&format!("{ZONE}/rrsets?{query}"));
        let names: Vec<_> =
            answer.body["rrsets"].as_array().unwrap().iter().map(|rrset| rrset["name"].clone()).collect();
        (answer.body["totalItems"].clone(), names)
    };
    assert_eq!(found("search=www."), (json!(2), vec![json!("alias.example.org."), json!("www.example.org.")]));
    assert_eq!(
        found("search=192.0.2&content=.2"),
        (json!(2), vec![json!("mail.example.org."), json!("www.example.org.")])
    );
    assert_eq!(found("search=www&type=A"), (json!(1), vec![json!("www.example.org.")]));
    assert_eq!(found("search=nothing"), (json!(0), vec![]));
}
