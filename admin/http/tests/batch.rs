//! Batches: all or nothing, in order, and the first fault is told.

use serde_json::{Value, json};

use super::client::{Answer, RECORDS, Served};

/// The fields of an address record.
fn address(name: &str, ip: &str) -> Value {
    json!({"zone": "example.org.", "name": name, "record_type": "A", "ttl": 60, "content": {"ip": ip}})
}

/// A request of a batch.
fn request(method: &str, url: &str, body: &Value) -> Value {
    json!({"method": method, "url": url, "headers": {"Authorization": "ignored"}, "body": body})
}

/// Sends a batch.
fn send(served: &Served, requests: &[Value]) -> Answer {
    served.post("/api/batch", &json!({ "requests": requests }))
}

#[test]
fn a_batch_is_one_change_that_is_answered_in_order() {
    let served = Served::new();
    let old = served.create(&address("old", "192.0.2.9"));
    let answer = send(
        &served,
        &[
            request(
                "POST",
                RECORDS,
                &json!({"id": "4711", "zone": "example.org.", "name": "a", "record_type": "A", "content": {"ip": "192.0.2.1"}}),
            ),
            request("PATCH", &format!("{RECORDS}/4711"), &json!({"ttl": 7})),
            request("PUT", &format!("{RECORDS}?fields=id,ttl"), &json!({"id": "4711", "ttl": 8})),
            request("PUT", RECORDS, &address("b", "192.0.2.2")),
            request("DELETE", &format!("{RECORDS}/{old}"), &Value::Null),
        ],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let statuses: Vec<_> = answer.body.as_array().unwrap().iter().map(|part| part["status"].clone()).collect();
    assert_eq!(json!(statuses), json!([200, 200, 200, 200, 204]));
    assert_eq!((&answer.body[0]["body"]["ttl"], &answer.body[1]["body"]["ttl"]), (&json!(0), &json!(7)));
    assert_eq!(answer.body[2]["body"], json!({"id": "4711", "ttl": 8}));
    assert_eq!(answer.body[4], json!({"status": 204, "body": null}));
    let names = served.get(&format!("{RECORDS}?fields=name")).body["items"].clone();
    assert_eq!(names, json!([{"name": "a"}, {"name": "b"}]));
    let journal = served.store.journal(&store::name::parse("example.org.", None).unwrap(), 9).unwrap();
    assert_eq!(journal.len(), 2, "the batch is one serial");
}

#[test]
fn the_first_fault_is_told_and_nothing_is_written() {
    let served = Served::new();
    let good = |name: &str| request("POST", RECORDS, &address(name, "192.0.2.1"));
    let taken = served.create(
        &json!({"id": "100", "zone": "example.org.", "name": "x", "record_type": "A", "content": {"ip": "192.0.2.1"}}),
    );
    let at = |id: &str| format!("{RECORDS}/{id}");
    let no_record = "The requested resource wasn't found.";
    let malformed = "Something went wrong while processing your request.";
    for (bad, status, message, field, code) in [
        (
            request("POST", RECORDS, &address("y", "192.0.2.256")),
            400,
            "Failed to create record.",
            "content",
            "validation_invalid_value",
        ),
        (request("PUT", RECORDS, &json!({"id": "77"})), 400, "Failed to create record.", "zone", "validation_required"),
        (
            request("PUT", RECORDS, &json!({"id": taken, "ttl": 0.5})),
            400,
            "Failed to update record.",
            "ttl",
            "validation_only_int_constraint",
        ),
        (
            request("PATCH", &at(&taken), &json!({"ttl": -1})),
            400,
            "Failed to update record.",
            "ttl",
            "validation_min_number_constraint",
        ),
        (
            request(
                "POST",
                RECORDS,
                &json!({"id": "100", "zone": "example.org.", "name": "z", "record_type": "A", "content": {"ip": "192.0.2.1"}}),
            ),
            400,
            "Failed to create record.",
            "id",
            "validation_pk_invalid",
        ),
        (
            request(
                "POST",
                RECORDS,
                &json!({"zone": "example.org.", "name": "a", "record_type": "CNAME", "content": {"host": "b"}}),
            ),
            400,
            "Failed to create record.",
            "name",
            "validation_invalid_value",
        ),
        (request("DELETE", &at("99"), &Value::Null), 404, no_record, "", ""),
        (request("PATCH", &at("abc"), &json!({})), 404, no_record, "", ""),
        (request("POST", "/api/collections/nope/records", &json!({})), 404, "Missing collection context.", "", ""),
        (request("GET", RECORDS, &json!({})), 400, malformed, "", ""),
        (request("POST", "/api/health", &json!({})), 400, malformed, "", ""),
    ] {
        let answer = send(&served, &[good("a"), bad.clone(), request("DELETE", &at("98"), &Value::Null)]);
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("Batch transaction failed.")), "{bad}");
        let told = answer.body["data"]["requests"].as_object().unwrap();
        assert_eq!(told.len(), 1, "{bad}: {answer:?}");
        let inner = &told["1"];
        assert_eq!(
            (&inner["code"], &inner["message"]),
            (&json!("batch_request_failed"), &json!("Batch request failed."))
        );
        assert_eq!(
            (&inner["response"]["status"], &inner["response"]["message"]),
            (&json!(status), &json!(message)),
            "{bad}"
        );
        match field {
            "" => assert_eq!(inner["response"]["data"], json!({}), "{bad}"),
            field => assert_eq!(inner["response"]["data"][field]["code"], code, "{bad}: {inner}"),
        }
        assert_eq!(served.get(RECORDS).body["totalItems"], 1, "{bad}");
    }
}

#[test]
fn a_batch_is_bounded_and_not_for_guests() {
    let mut served = Served::new();
    let requests: Vec<_> =
        (0..501).map(|n| request("POST", RECORDS, &address(&format!("w{n}"), "192.0.2.1"))).collect();
    let answer = send(&served, &requests);
    assert_eq!((answer.status, &answer.body["message"]), (400, &json!("Invalid batch request data.")));
    let fault = json!({"code": "validation_length_too_long", "message": "The length must be no more than 500.", "params": {"min": 0, "max": 500}});
    assert_eq!(answer.body["data"]["requests"], fault);
    assert_eq!(send(&served, &requests[..500]).body.as_array().map(Vec::len), Some(500));
    for body in [json!({}), json!({"requests": []}), json!({"requests": null})] {
        let answer = served.post("/api/batch", &body);
        assert_eq!((answer.status, &answer.body["data"]["requests"]["code"]), (400, &json!("validation_required")));
    }
    for body in [json!({"requests": 1}), json!({"requests": [1]}), json!([])] {
        let answer = served.post("/api/batch", &body);
        assert_eq!((answer.status, &answer.body["data"]), (400, &json!({})), "{body}");
    }
    served.token.clear();
    let inner = send(&served, &requests[..2]).body["data"]["requests"]["0"]["response"].clone();
    assert_eq!(
        (&inner["status"], &inner["message"]),
        (&json!(403), &json!("Only superusers can perform this action."))
    );
    assert_eq!(send(&served, &requests[..500]).status, 413, "a guest has less room");
}

#[test]
fn a_batch_may_come_as_a_form() {
    let served = Served::new();
    let payload = json!({"requests": [request("POST", RECORDS, &address("a", "192.0.2.1"))]});
    let form = format!("--b\r\nContent-Disposition: form-data; name=\"@jsonPayload\"\r\n\r\n{payload}\r\n--b--\r\n");
    let answer = served.ask("POST", "/api/batch", &["Content-Type: multipart/form-data; boundary=b"], form.as_bytes());
    assert_eq!((answer.status, &answer.body[0]["body"]["name"]), (200, &json!("a")), "{answer:?}");
}
