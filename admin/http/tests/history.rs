//! The past of a zone over zonda's own API, and what would be its future.

use serde_json::{Value, json};

use super::client::{RECORDS, Served};

const ZONE: &str = "/api/zonda/zones/example.org";

/// A service with a zone of three serials, and these.
fn served() -> (Served, Vec<u64>) {
    let served = Served::new();
    let mut serials = vec![served.post("/api/zonda/zones", &json!({"zone": "example.org"})).body["serial"].clone()];
    for content in ["192.0.2.1", "192.0.2.2"] {
        let changes = json!({"changes": [
            {"op": "replace", "name": "www", "type": "A", "ttl": 60, "records": [{"content": content}]},
        ]});
        serials.push(served.patch(&format!("{ZONE}/rrsets"), &changes).body["serial"].clone());
    }
    let serials = serials.iter().map(|serial| serial.as_u64().unwrap()).collect();
    (served, serials)
}

/// The present address of www.
fn www(served: &Served) -> Value {
    served.get(&format!("{ZONE}/rrsets/www/A")).body["records"][0]["content"].clone()
}

#[test]
fn the_history_tells_who_changed_what_through_which_door() {
    let (served, serials) = served();
    served.create(&json!({"zone": "example.org", "name": "pb", "record_type": "A", "content": {"ip": "192.0.2.9"}}));
    let list = served.get(&format!("{ZONE}/history")).body;
    assert_eq!((&list["totalItems"], &list["history"][0]["api"]), (&json!(4), &json!("pocketbase")));
    let second = &list["history"][1];
    assert_eq!((&second["from"], &second["serial"]), (&json!(serials[1]), &json!(serials[2])));
    assert_eq!((&second["who"], &second["api"]), (&json!("admin@example.org"), &json!("native")));
    assert_eq!((&second["added"], &second["removed"], &second["complete"]), (&json!(2), &json!(2), &json!(true)));
    assert_eq!(list["history"][3]["from"], json!(null));
    let page = served.get(&format!("{ZONE}/history?perPage=1&page=2")).body;
    assert_eq!(page["history"], json!([second]));

    let change = served.get(&format!("{ZONE}/history/{}", serials[2])).body;
    let www = json!({
        "name": "www.example.org.",
        "type": "A",
        "removed": [{"ttl": 60, "content": "192.0.2.1"}],
        "added": [{"ttl": 60, "content": "192.0.2.2"}],
    });
    assert_eq!((&change["serial"], &change["changes"][1]), (&json!(serials[2]), &www));
    assert_eq!(change["changes"][0]["type"], "SOA");
    for (path, status) in [("history/7", 404), ("history/x", 400), ("history?page=0", 400)] {
        assert_eq!(served.get(&format!("{ZONE}/{path}")).status, status, "{path}");
    }
    assert_eq!(served.get("/api/zonda/zones/example.net/history").status, 404);
}

#[test]
fn the_newest_changes_of_all_zones_stand_in_one_list() {
    let (served, serials) = served();
    assert_eq!(served.post("/api/zonda/zones", &json!({"zone": "example.net"})).status, 201);
    assert_eq!(served.delete("/api/zonda/zones/example.net").status, 204);
    let list = served.get("/api/zonda/history").body;
    let told: Vec<_> =
        list["history"].as_array().unwrap().iter().map(|line| (&line["zone"], &line["serial"])).collect();
    let (org, net) = (json!("example.org."), json!("example.net."));
    assert_eq!((told.len(), told[0]), (5, (&net, &json!(null))), "{list}");
    assert_eq!(told[2], (&org, &json!(serials[2])));
    assert_eq!(list["history"][2]["who"], "admin@example.org");
    let short = served.get("/api/zonda/history?perPage=1").body;
    assert_eq!(short["history"], json!([list["history"][0]]));
    assert_eq!(served.get("/api/zonda/history?perPage=0").status, 400);
}

#[test]
fn two_serials_can_be_compared_in_either_direction() {
    let (served, serials) = served();
    let diff = |query: String| served.get(&format!("{ZONE}/diff?{query}")).body;
    let there = diff(format!("from={}&to={}", serials[0], serials[2]));
    assert_eq!(there["changes"][1]["added"], json!([{"ttl": 60, "content": "192.0.2.2"}]));
    assert_eq!(there["changes"][1]["removed"], json!([]), "what came and went in between is no difference");
    let back = diff(format!("from={}&to={}", serials[2], serials[0]));
    assert_eq!(back["changes"][1]["removed"], there["changes"][1]["added"]);
    assert_eq!(diff(format!("from={}", serials[0])), there, "the present serial is the other one");
    assert_eq!(diff(format!("from={}", serials[2]))["changes"], json!([]));
    let unknown = served.get(&format!("{ZONE}/diff?from=7"));
    let why = "The zone example.org. cannot be seen at serial 7: the journal does not go back that far.";
    assert_eq!((unknown.status, unknown.body["message"].as_str()), (400, Some(why)));
    assert!(diff(String::new())["data"]["from"]["message"].is_string());
    assert_eq!(served.get("/api/zonda/zones/example.net/diff?from=7").status, 404);
}

#[test]
fn a_zone_goes_back_to_a_serial_even_when_it_was_removed() {
    let (served, serials) = served();
    let revert = format!("{ZONE}/revert");
    let to = json!({"serial": serials[1]});
    let tried = served.post(&format!("{revert}?dry_run=true"), &to);
    assert_eq!(tried.body["changes"][1]["added"], json!([{"ttl": 60, "content": "192.0.2.1"}]), "{tried:?}");
    assert!(tried.head.contains(&format!("etag: \"{}\"", serials[2])), "{tried:?}");
    assert_eq!(www(&served), "192.0.2.2");
    let headers = ["Content-Type: application/json", "If-Match: \"7\""];
    assert_eq!(served.ask("POST", &revert, &headers, to.to_string().as_bytes()).status, 412);

    let done = served.post(&revert, &to);
    assert_eq!((done.status, &done.body["serial"]), (200, &json!(serials[2] + 1)));
    assert_eq!(www(&served), "192.0.2.1");

    assert_eq!(served.delete(ZONE).status, 204);
    let history = served.get(&format!("{ZONE}/history"));
    assert_eq!((&history.body["history"][0]["serial"], history.head.contains("etag")), (&json!(null), false));
    assert_eq!(served.post(&revert, &json!({"serial": serials[2]})).status, 200);
    assert_eq!(www(&served), "192.0.2.2");
    for (path, body, status) in [
        (&revert, json!({"serial": 7}), 400),
        (&revert, json!({}), 400),
        (&revert, json!({"serial": -1}), 400),
        (&"/api/zonda/zones/example.net/revert".to_owned(), to, 404),
    ] {
        let refused = served.post(path, &body);
        assert_eq!(refused.status, status, "{body}: {refused:?}");
    }
}

#[test]
fn a_check_answers_as_the_write_would_and_writes_nothing() {
    let (served, serials) = served();
    let check = |body: Value| served.post("/api/zonda/check", &body);
    let file = served.get(&format!("{ZONE}/zonefile")).text;
    let more = format!("{file}new 60 IN A 192.0.2.9\n");
    // SOA and NS had no TTL of their own, and an export gives them one.
    let good = check(json!({"zone": "example.org", "zonefile": more}));
    assert_eq!((good.status, &good.body["added"], &good.body["dry_run"]), (200, &json!(3), &json!(true)));
    let elsewhere =
        check(json!({"zone": "example.net", "zonefile": "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns.example.org.\n"}));
    assert_eq!((elsewhere.status, &elsewhere.body["serial"]), (200, &json!(1)));
    let change = json!({"op": "delete", "name": "www", "type": "A"});
    let changes = check(json!({"zone": "example.org", "changes": [change]}));
    assert_eq!((changes.status, &changes.body["removed"]), (200, &json!(1)));
    for (body, status, field) in [
        (json!({"zone": "example.org", "zonefile": "x"}), 400, "zonefile"),
        (
            json!({"zone": "example.org", "changes": [{"op": "delete", "name": "a..b", "type": "A"}]}),
            400,
            "changes[0].name",
        ),
        (json!({"zone": "example.org"}), 400, "zonefile"),
        (json!({"zone": "a..b", "zonefile": ""}), 400, "zone"),
        (json!({"zone": "example.net", "changes": []}), 404, ""),
    ] {
        let refused = check(body);
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(refused.body["data"][field].is_null(), field.is_empty(), "{refused:?}");
    }
    assert_eq!(served.get(ZONE).body["serial"], serials[2]);
    assert_eq!(
        (served.get("/api/zonda/zones").body["totalItems"].clone(), served.get(RECORDS).status),
        (json!(1), 200)
    );
}
