//! Records: created, read, changed, deleted, listed, and refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::client::{RECORDS, Served};

/// An address record of `www.example.org.`, with other fields over it.
fn www(fields: &Value) -> Value {
    let mut record =
        json!({"zone": "example.org.", "name": "www", "record_type": "A", "ttl": 300, "content": {"ip": "192.0.2.1"}});
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

#[test]
fn a_record_lives_through_all_calls() {
    let served = Served::new();
    let created = served.post(RECORDS, &www(&json!({"unknown": 1, "created": "x"})));
    assert_eq!(created.status, 200);
    let record = created.body;
    let id = record["id"].as_str().unwrap();
    assert!(id.len() == 18 && !id.starts_with('0'), "{id}");
    let path = format!("{RECORDS}/{id}");
    assert_eq!(served.get(&path).body, record);
    assert_eq!(served.get(&path.replace("coredns_records", "pbc_186858105")).body, record);
    for (field, value) in [
        ("collectionId", json!("pbc_186858105")),
        ("collectionName", json!("coredns_records")),
        ("zone", json!("example.org.")),
        ("name", json!("www")),
        ("record_type", json!("A")),
        ("ttl", json!(300)),
        ("content", json!({"ip": "192.0.2.1"})),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    let created = record["created"].as_str().unwrap();
    assert!(created.len() == 24 && created.ends_with('Z') && record["updated"] == created, "{created}");

    let changed = served.patch(&path, &json!({"ttl": 60, "content": {"ip": "192.0.2.2"}}));
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!((&changed.body["ttl"], &changed.body["content"]["ip"]), (&json!(60), &json!("192.0.2.2")));
    assert_eq!((&changed.body["name"], &changed.body["created"]), (&json!("www"), &json!(created)));
    // Even an update of nothing moves the time.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let touched = served.patch(&path, &json!({})).body;
    assert!(touched["updated"].as_str() > changed.body["updated"].as_str(), "{touched}");

    let deleted = served.delete(&path);
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    for status in [served.delete(&path).status, served.get(&path).status, served.patch(&path, &json!({})).status] {
        assert_eq!(status, 404);
    }
    assert_eq!(served.store.zones().unwrap().len(), 0);
}

#[test]
fn values_are_read_as_the_field_wants_them() {
    let served = Served::new();
    for (n, (fields, expected)) in [
        (json!({"ttl": "300"}), json!({"ttl": 300})),
        (json!({"ttl": "x"}), json!({"ttl": 0})),
        (json!({"ttl": null}), json!({"ttl": 0})),
        (json!({"ttl": 5, "ttl+": 10}), json!({"ttl": 15})),
        (json!({"ttl": 5, "ttl-": 5}), json!({"ttl": 0})),
        (json!({"id": 4711}), json!({"id": "4711"})),
        (json!({"id": "4712"}), json!({"id": "4712"})),
        (json!({"name": 1}), json!({"name": "1"})),
        (json!({"record_type": "a"}), json!({"record_type": "a"})),
        (json!({"content": "{\"ip\": \"192.0.2.7\"}"}), json!({"content": {"ip": "192.0.2.7"}})),
        (json!({"name": "@"}), json!({"name": "@"})),
        (json!({"name": "example.org"}), json!({"name": "example.org"})),
        (json!({"name": "a.example.org."}), json!({"name": "a.example.org."})),
        (json!({"zone": "Example.ORG"}), json!({"zone": "Example.ORG"})),
    ]
    .into_iter()
    .enumerate()
    {
        // Each with an address of its own: a record is there but once.
        let mut record = www(&json!({"content": {"ip": format!("192.0.2.{}", 100 + n)}}));
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = served.post(RECORDS, &record);
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&answer.body[field], value, "{fields}");
            let read = served.get(&format!("{RECORDS}/{}", answer.body["id"].as_str().unwrap()));
            assert_eq!(&read.body[field], value, "{fields}");
        }
    }
    // All of them in one zone.
    assert_eq!(served.store.zones().unwrap().len(), 1);
}

#[test]
fn refused_fields_say_why_and_nothing_is_written() {
    let served = Served::new();
    served.create(&www(&json!({"id": "100"})));
    let long = "x".repeat(5001);
    for (fields, field, code) in [
        (json!({"zone": ""}), "zone", "validation_required"),
        (json!({"zone": null}), "zone", "validation_required"),
        (json!({"zone": long}), "zone", "validation_max_text_constraint"),
        (json!({"zone": "a..b"}), "zone", "validation_invalid_value"),
        (json!({"zone": "@"}), "zone", "validation_invalid_value"),
        (json!({"name": ""}), "name", "validation_required"),
        (json!({"name": ["x"]}), "name", "validation_required"),
        (json!({"name": long}), "name", "validation_max_text_constraint"),
        (json!({"name": "a b"}), "name", "validation_invalid_value"),
        (json!({"name": "x".repeat(64)}), "name", "validation_invalid_value"),
        (json!({"name": "www.example.net."}), "name", "validation_invalid_value"),
        (json!({"record_type": ""}), "record_type", "validation_required"),
        (json!({"record_type": "NOPE"}), "record_type", "validation_invalid_value"),
        (json!({"record_type": "ANY"}), "record_type", "validation_invalid_value"),
        (json!({"record_type": "OPT"}), "record_type", "validation_invalid_value"),
        (json!({"ttl": 1.5}), "ttl", "validation_only_int_constraint"),
        (json!({"ttl": "NaN"}), "ttl", "validation_not_a_number"),
        (json!({"ttl": -1}), "ttl", "validation_min_number_constraint"),
        (json!({"ttl": 2_147_483_648_u32}), "ttl", "validation_max_number_constraint"),
        (json!({"ttl-": 301}), "ttl", "validation_min_number_constraint"),
        (json!({"content": null}), "content", "validation_invalid_value"),
        (json!({"content": {"ip": "192.0.2.256"}}), "content", "validation_invalid_value"),
        (json!({"content": {"ip": "2001:db8::1"}}), "content", "validation_invalid_value"),
        (json!({"content": "x"}), "content", "validation_invalid_value"),
        (json!({"content": {"ip": "x".repeat(1 << 20)}}), "content", "validation_json_size_limit"),
        (json!({"id": "1"}), "id", "validation_invalid_format"),
        (json!({"id": "012"}), "id", "validation_invalid_format"),
        (json!({"id": "abc"}), "id", "validation_invalid_format"),
        (json!({"id": "1234567890123456789"}), "id", "validation_max_text_constraint"),
        (json!({"id": "100", "name": "x"}), "id", "validation_pk_invalid"),
        // What DNS has against it together with what is there.
        (json!({"record_type": "CNAME", "content": {"host": "a.example.net."}}), "name", "validation_invalid_value"),
        (
            json!({"name": "x", "record_type": "SOA", "content": {"ns": "ns.example.org.", "mbox": "a.example.org."}}),
            "name",
            "validation_invalid_value",
        ),
        // The same record once more.
        (json!({}), "content", "validation_invalid_value"),
    ] {
        let answer = served.post(RECORDS, &www(&fields));
        assert_eq!(
            (answer.status, &answer.body["message"]),
            (400, &json!("Failed to create record.")),
            "{fields:.200}: {answer:?}"
        );
        let fault = &answer.body["data"][field];
        assert_eq!(fault["code"], code, "{fields:.200}: {answer:?}");
        let message = fault["message"].as_str().unwrap();
        assert!(message.ends_with('.') && message.len() > 10, "{message}");
    }
    assert_eq!(served.get(RECORDS).body["totalItems"], 1);

    // Several faults are told together.
    let answer = served.post(RECORDS, &json!({"ttl": -1}));
    let fields: Vec<_> = answer.body["data"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["name", "record_type", "ttl", "zone"]);
}

#[test]
fn bodies_that_cannot_be_read_are_told_alike() {
    let served = Served::new();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["{", "[]", "x", "null", "{\"zone\":}", &format!("{{\"content\":{deep}}}")] {
        let answer = served.ask("POST", RECORDS, &["Content-Type: application/json; charset=utf-8"], body.as_bytes());
        let message = "Something went wrong while processing your request.";
        assert_eq!(answer.body, json!({"status": 400, "message": message, "data": {}}), "{body:.40}");
    }
    for content_type in ["Content-Type: text/xml", "X: y"] {
        let answer = served.ask("POST", RECORDS, &[content_type], b"<x/>");
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("Unsupported Content-Type.")));
    }
    // No body is one without fields.
    let answer = served.ask("POST", RECORDS, &[], b"");
    assert_eq!(answer.body["data"]["zone"]["code"], "validation_required");
}

#[test]
fn a_patch_changes_what_it_names_alone() {
    let served = Served::new();
    let id = served.create(&www(&json!({})));
    let path = format!("{RECORDS}/{id}");
    for (fields, expected) in [
        (json!({"ttl+": 10}), json!({"ttl": 310})),
        (json!({"ttl-": "300"}), json!({"ttl": 10})),
        (json!({"name": "ftp"}), json!({"name": "ftp", "content": {"ip": "192.0.2.1"}})),
        (json!({"id": id}), json!({"id": id})),
        (json!({"zone": "example.net"}), json!({"zone": "example.net", "name": "ftp"})),
        (json!({"record_type": "AAAA", "content": {"ip": "2001:db8::1"}}), json!({"record_type": "AAAA", "ttl": 10})),
    ] {
        let answer = served.patch(&path, &fields);
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&answer.body[field], value, "{fields}");
        }
    }
    // It moved with its zone, and the old one is gone.
    let zones: Vec<_> = served.store.zones().unwrap().iter().map(|zone| store::name::to_text(&zone.apex)).collect();
    assert_eq!(zones, ["example.net."]);
    for (fields, field, code) in [
        (json!({"id": "4711"}), "id", "validation_pk_change"),
        (json!({"record_type": "A"}), "content", "validation_invalid_value"),
        (json!({"name": ""}), "name", "validation_required"),
        (json!({"name": "a.example.org."}), "name", "validation_invalid_value"),
        (json!({"ttl": 0.5}), "ttl", "validation_only_int_constraint"),
    ] {
        let answer = served.patch(&path, &fields);
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("Failed to update record.")), "{fields}");
        assert_eq!(answer.body["data"][field]["code"], code, "{fields}: {answer:?}");
    }
}

#[test]
fn an_imported_record_keeps_its_data_when_another_field_changes() {
    let served = Served::new();
    let text = "@ 60 IN SOA ns1 a 7 1 2 3 4\n@ 60 IN NS ns1\nns1 60 IN A 192.0.2.1\nx 60 IN TYPE65280 \\# 2 abcd\n";
    let imported = served.ask("PUT", "/api/zonda/zones/example.org/zonefile", &[], text.as_bytes());
    assert_eq!(imported.status, 200, "{imported:?}");
    let items = served.get(RECORDS).body["items"].clone();
    for record in items.as_array().unwrap() {
        let path = format!("{RECORDS}/{}", record["id"].as_str().unwrap());
        let changed = served.patch(&path, &json!({"ttl": 90}));
        assert_eq!(changed.status, 200, "{record}: {changed:?}");
        for field in ["zone", "name", "record_type", "content"] {
            assert_eq!(changed.body[field], record[field]);
        }
        // What was given out may be sent back.
        let same = served.patch(&path, record);
        assert_eq!((same.status, &same.body["ttl"]), (200, &json!(60)), "{record}: {same:?}");
    }
    let text = served.get("/api/zonda/zones/example.org/zonefile").text;
    assert!(text.contains("TYPE65280 \\# 2 abcd") || text.contains("TYPE65280 \\# 2 ABCD"), "{text}");
}

#[test]
fn a_record_may_come_as_a_form() {
    let served = Served::new();
    let form = "zone=example.org&name=www&record_type=A&ttl=60&content=%7B%22ip%22%3A%22192.0.2.1%22%7D";
    let answer = served.ask("POST", RECORDS, &["Content-Type: application/x-www-form-urlencoded"], form.as_bytes());
    assert_eq!((answer.status, &answer.body["ttl"]), (200, &json!(60)), "{answer:?}");
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let payload = r#"{"record_type":"TXT","content":{"text":"12"},"ttl":5}"#;
    let parts =
        [part("zone", "example.org"), part("name", "txt"), part("ttl", "9"), part("@jsonPayload", payload)].concat();
    let answer = served.ask(
        "POST",
        RECORDS,
        &["Content-Type: multipart/form-data; boundary=b"],
        format!("{parts}--b--\r\n").as_bytes(),
    );
    assert_eq!(
        (answer.status, &answer.body["ttl"], &answer.body["content"]["text"]),
        (200, &json!(5), &json!("12")),
        "{answer:?}"
    );
}

#[test]
fn lists_are_paged_in_order_of_insertion() {
    let served = Served::new();
    let ids: Vec<String> = (0..5).map(|n| served.create(&www(&json!({"name": format!("w{n}")})))).collect();
    let envelope = |list: &Value| json!([list["page"], list["perPage"], list["totalItems"], list["totalPages"]]);
    for (query, expected, found) in [
        ("", json!([1, 30, 5, 1]), 0..5),
        ("?perPage=2", json!([1, 2, 5, 3]), 0..2),
        ("?perPage=2&page=3", json!([3, 2, 5, 3]), 4..5),
        ("?perPage=2&page=4", json!([4, 2, 5, 3]), 5..5),
        ("?perPage=2&page=9223372036854775807", json!([i64::MAX, 2, 5, 3]), 5..5),
        ("?perPage=0&page=-1", json!([1, 30, 5, 1]), 0..5),
        ("?perPage=5000", json!([1, 1000, 5, 1]), 0..5),
        ("?perPage=1000&skipTotal=1", json!([1, 1000, -1, -1]), 0..5),
        ("?skipTotal=false&expand=x&sort=@rowid&filter=", json!([1, 30, 5, 1]), 0..5),
    ] {
        let list = served.get(&format!("{RECORDS}{query}")).body;
        assert_eq!(envelope(&list), expected, "{query}");
        let items: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(items, ids[found], "{query}");
    }
    for query in ["page=x", "perPage=1.5", "skipTotal=2", "filter=id%3D", "filter=%20", "filter=nope%3D1"] {
        let answer = served.get(&format!("{RECORDS}?{query}"));
        assert_eq!((answer.status, &answer.body["data"]), (400, &json!({})), "{query}");
    }
}

#[test]
fn a_write_is_published_before_it_is_answered() {
    let served = Served::new();
    let published = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&published);
    served.store.publish_to(Box::new(move |changes| {
        let _ = count.fetch_add(changes.len(), Ordering::SeqCst);
    }));
    for n in 0..20 {
        served.create(&www(&json!({"name": format!("w{n}")})));
        assert_eq!(published.load(Ordering::SeqCst), n + 1);
    }
}

#[test]
fn additions_from_many_clients_all_count() {
    let served = Served::new();
    let id = served.create(&www(&json!({"ttl": 0})));
    let path = format!("{RECORDS}/{id}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(served.patch(&path, &json!({"ttl+": 1})).status, 200);
                }
            });
        }
    });
    assert_eq!(served.get(&path).body["ttl"], 40);
}

#[test]
fn a_list_is_sorted_by_its_keys() {
    let served = Served::new();
    for (id, name, ttl, host) in [("101", "b", 60, "1"), ("102", "a", 300, "3"), ("103", "c", 60, "2")] {
        served.create(&www(&json!({"id": id, "name": name, "ttl": ttl, "content": {"ip": format!("192.0.2.{host}")}})));
    }
    for (sort, expected) in [
        ("@rowid", ["101", "102", "103"]),
        ("-@rowid", ["103", "102", "101"]),
        ("name", ["102", "101", "103"]),
        ("-name", ["103", "101", "102"]),
        ("ttl,-name", ["103", "101", "102"]),
        ("-ttl,%20%2Bname", ["102", "101", "103"]),
        ("content.ip", ["101", "103", "102"]),
    ] {
        let filled = served.get(&format!("{RECORDS}?perPage=1000&sort={sort}"));
        let ids = filled.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap());
        let ids: Vec<_> = ids.filter(|id| expected.contains(id)).collect();
        assert_eq!(ids, expected, "{sort}");
    }
    assert_eq!(served.get(&format!("{RECORDS}?sort=@random")).status, 200);
    for sort in ["nope", "name,", "--name", "content.", "name,name,name,name,name,name,name,name,name"] {
        assert_eq!(served.get(&format!("{RECORDS}?sort={sort}")).status, 400, "{sort}");
    }
}

#[test]
fn a_list_is_filtered_then_sorted_then_paged() {
    let served = Served::new();
    for (id, name, ttl) in [("101", "b", 60), ("102", "a", 300), ("103", "c", 60)] {
        served.create(&www(&json!({"id": id, "name": name, "ttl": ttl})));
    }
    for (query, total, expected) in [
        ("filter=ttl%3D60%26%26name!%3D''", 2, json!(["101", "103"])),
        ("filter=ttl%3D60%20%26%26%20name~'_'", 0, json!([])),
        ("filter=ttl%3D60%26%26record_type%3D'A'&sort=-name", 2, json!(["103", "101"])),
        ("filter=name%3D%22a%22||name%3D%22c%22&perPage=1&page=2", 2, json!(["103"])),
        ("filter=name%3D'c'&perPage=1&skipTotal=1", -1, json!(["103"])),
        ("filter=name%3D'a'%26%26created%3E%40todayStart%26%26created%3C%40tomorrow", 1, json!(["102"])),
    ] {
        let list = served.get(&format!("{RECORDS}?{query}")).body;
        let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!((&list["totalItems"], json!(ids)), (&json!(total), expected), "{query}");
    }
    let answer = served.get(&format!("{RECORDS}?filter=name"));
    let body = json!({"status": 400, "message": "Something went wrong while processing your request.", "data": {}});
    assert_eq!((answer.status, answer.body), (400, body));
}
