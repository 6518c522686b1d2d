//! Whole zones over zonda's own API.

use serde_json::json;

use super::client::{Answer, RECORDS, Served};

/// A zone as an operator writes it.
const ZONE: &str = "\
$TTL 1h
@   IN SOA ns1 hostmaster ( 2017042745 7200 3600 1209600 300 ) ; the usual
    IN NS  ns1
ns1 IN A   192.0.2.53
www 5m IN A 192.0.2.1
";

/// Puts a zone file.
fn put(served: &Served, zone: &str, text: &str) -> Answer {
    served.ask("PUT", &format!("/api/zonda/zones/{zone}/zonefile"), &["Content-Type: text/dns"], text.as_bytes())
}

#[test]
fn a_zone_goes_in_and_out_and_away() {
    let served = Served::new();
    let answer = put(&served, "example.org", ZONE);
    assert_eq!(
        answer.body,
        json!({
            "zone": "example.org.",
            "from": null,
            "serial": 2017042745,
            "added": 4,
            "removed": 0,
            "warnings": [],
            "dry_run": false,
        })
    );
    let file = "/api/zonda/zones/example.org./zonefile";
    let exported = served.get(file);
    assert_eq!(exported.status, 200);
    assert!(exported.head.contains("content-type: text/dns"), "{exported:?}");
    assert!(
        exported.text.starts_with("$ORIGIN example.org.\n") && exported.text.contains("192.0.2.53"),
        "{exported:?}"
    );

    // What was exported is the same zone, and nothing changes.
    let again = put(&served, "Example.ORG", &exported.text);
    assert_eq!(
        (&again.body["serial"], &again.body["added"], &again.body["removed"]),
        (&json!(2017042745), &json!(0), &json!(0))
    );
    assert_eq!(served.get(file).text, exported.text);

    // An older file is taken, but not its serial.
    let older = put(&served, "example.org", &exported.text.replace("2017042745", "2017042744"));
    let serial = older.body["serial"].as_u64().unwrap();
    let behind =
        format!("Serial 2017042744 of example.org. is behind 2017042745, which was served; the zone has {serial} now.");
    assert_eq!(older.body["warnings"], json!([{"line": 0, "message": behind}]));

    let list = served.get("/api/zonda/zones").body;
    let zone = &list["zones"][0];
    assert_eq!(
        (&zone["zone"], &zone["serial"], &zone["records"]),
        (&json!("example.org."), &json!(2017042745), &json!(4))
    );
    assert!(zone["updated"].as_str().unwrap().ends_with('Z'));

    // Its records are records, and one without a TTL is exported with the default.
    let records = served.get(RECORDS).body;
    assert_eq!(records["totalItems"], 4);
    served.create(&json!({"zone": "example.org", "name": "new", "record_type": "A", "content": {"ip": "192.0.2.9"}}));
    let text = served.get(file).text;
    let line = text.lines().find(|line| line.starts_with("new")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["new", "77", "IN", "A", "192.0.2.9"]);

    assert_eq!(served.delete("/api/zonda/zones/example.org").status, 204);
    for status in [served.delete("/api/zonda/zones/example.org").status, served.get(file).status] {
        assert_eq!(status, 404);
    }
    let none = json!({"page": 1, "perPage": 100, "totalItems": 0, "totalPages": 0, "zones": []});
    assert_eq!(served.get("/api/zonda/zones").body, none);
}

#[test]
fn the_list_of_zones_is_searched_sorted_and_paged_by_the_server() {
    let served = Served::new();
    for (zone, hosts) in [("b.example.org", 1), ("a.example.org", 3), ("Example.net", 2)] {
        let hosts: String = (0..hosts).map(|n| format!("h{n} IN A 192.0.2.{n}\n")).collect();
        assert_eq!(put(&served, zone, &format!("{ZONE}{hosts}")).status, 200);
    }
    let names = |query: &str| {
        let list = served.get(&format!("/api/zonda/zones?{query}")).body;
        let zones = list["zones"].as_array().unwrap_or_else(|| panic!("{query}: {list}")).iter();
        let names: Vec<_> = zones.map(|zone| zone["zone"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), list["totalItems"].as_u64().unwrap(), list["totalPages"].as_u64().unwrap())
    };
    for (query, expected) in [
        ("", ("Example.net. a.example.org. b.example.org.", 3, 1)),
        ("sort=-zone", ("b.example.org. a.example.org. Example.net.", 3, 1)),
        ("sort=records", ("b.example.org. Example.net. a.example.org.", 3, 1)),
        ("sort=-records&perPage=2", ("a.example.org. Example.net.", 3, 2)),
        ("sort=-records&perPage=2&page=2", ("b.example.org.", 3, 2)),
        ("search=EXAMPLE.n", ("Example.net.", 1, 1)),
        ("search=nope", ("", 0, 0)),
        ("page=1000000000&perPage=1000", ("", 3, 1)),
    ] {
        let (found, total, pages) = names(query);
        assert_eq!((found.as_str(), total, pages), expected, "{query}");
    }
    let first = &served.get("/api/zonda/zones?search=net").body["zones"][0];
    assert_eq!(
        (&first["who"], &first["api"], &first["state"]),
        (&json!("admin@example.org"), &json!("native"), &json!("served"))
    );
    let view = served.get("/api/zonda/zones/example.net");
    assert_eq!(&view.body, first);
    assert!(view.head.contains("etag: \"2017042745\""), "{view:?}");
    for query in ["sort=nope", "page=0", "page=x", "perPage=1001", "page=-1"] {
        let refused = served.get(&format!("/api/zonda/zones?{query}"));
        let field = query.split('=').next().unwrap();
        assert_eq!((refused.status, refused.body["data"][field]["code"].is_string()), (400, true), "{refused:?}");
    }
}

#[test]
fn a_zone_is_made_from_name_servers_or_from_a_zone_file() {
    let served = Served::new();
    let zones = "/api/zonda/zones";
    let tried = served.post(&format!("{zones}?dry_run=true"), &json!({"zone": "example.org"}));
    assert_eq!((tried.status, &tried.body["dry_run"]), (200, &json!(true)));
    assert_eq!(tried.body["changes"][1]["added"][0]["content"].as_str().unwrap().split(' ').count(), 7, "{tried:?}");
    assert_eq!(served.get(&format!("{zones}/example.org")).status, 404);

    let made = served.post(zones, &json!({"zone": "example.org"}));
    assert_eq!((made.status, &made.body["zone"], &made.body["added"]), (201, &json!("example.org."), &json!(2)));
    assert!(made.head.contains(&format!("etag: \"{}\"", made.body["serial"])), "{made:?}");
    let ns = served.get(&format!("{zones}/example.org/rrsets/@/NS")).body;
    assert_eq!(ns["records"], json!([{"content": "ns1.example.org."}]));
    let again = served.post(zones, &json!({"zone": "EXAMPLE.org."}));
    assert_eq!((again.status, again.body["message"].as_str()), (409, Some("There is a zone EXAMPLE.org. already.")));

    let servers = json!({"zone": "example.net", "nameservers": ["ns", "ns.example.com."]});
    assert_eq!(served.post(zones, &servers).status, 201);
    let ns = served.get(&format!("{zones}/example.net/rrsets/example.net/NS")).body;
    assert_eq!(ns["records"], json!([{"content": "ns.example.com."}, {"content": "ns.example.net."}]));
    let file = served.post(zones, &json!({"zone": "example.com", "zonefile": ZONE}));
    assert_eq!((file.status, &file.body["serial"]), (201, &json!(2017042745)));

    for (body, field) in [
        (json!({}), "body"),
        (json!({"zone": "a..b"}), "zone"),
        (json!({"zone": "x.example", "nameservers": []}), "nameservers"),
        (json!({"zone": "x.example", "nameservers": ["a", "b c d"]}), "nameservers[1]"),
        (json!({"zone": "x.example", "nameservers": ["a"], "zonefile": ZONE}), "zonefile"),
        (json!({"zone": "x.example", "zonefile": "nonsense"}), "zonefile"),
        (json!({"zone": "x.example", "nope": 1}), "nope"),
        (json!({"zone": 7}), "zone"),
    ] {
        let refused = served.post(zones, &body);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(!refused.body["data"][field].is_null(), "{body}: {refused:?}");
    }
    assert_eq!(served.store.zones().unwrap().len(), 3);
}

#[test]
fn a_dry_run_of_an_import_lists_what_would_change_by_rrset() {
    let served = Served::new();
    put(&served, "example.org", ZONE);
    let text = format!("{}new IN TXT \"x\"\n", ZONE.replace("192.0.2.1", "192.0.2.9").replace("www 5m", "www 1m"));
    let path = "/api/zonda/zones/example.org/zonefile?dry_run=true";
    let tried = served.ask("PUT", path, &[], text.as_bytes()).body;
    assert_eq!((&tried["added"], &tried["removed"], &tried["dry_run"]), (&json!(2), &json!(1), &json!(true)));
    assert_eq!(
        tried["changes"].as_array().unwrap()[1..],
        [
            json!({"name": "new.example.org.", "type": "TXT", "removed": [], "added": [{"ttl": 3600, "content": "\"x\""}]}),
            json!({
                "name": "www.example.org.",
                "type": "A",
                "removed": [{"ttl": 300, "content": "192.0.2.1"}],
                "added": [{"ttl": 60, "content": "192.0.2.9"}],
            }),
        ]
    );
    assert_eq!((&tried["changes"][0]["type"], &tried["from"]), (&json!("SOA"), &json!(2017042745)));
    assert_eq!(served.get("/api/zonda/zones/example.org").body["serial"], 2017042745);
    // A file with faults is refused in a dry run, too, and the deletion of a zone can be tried.
    assert_eq!(served.ask("PUT", path, &[], b"nonsense").status, 400);
    let tried = served.delete("/api/zonda/zones/example.org?dry_run=true");
    assert_eq!((tried.status, &tried.body["serial"], &tried.body["removed"]), (200, &json!(null), &json!(4)));
    assert_eq!(served.ask("PUT", "/api/zonda/zones/example.org/zonefile?dry_run=1", &[], b"x").status, 400);
    assert_eq!(served.store.zones().unwrap()[0].records, 4);
}

#[test]
fn a_zone_is_exported_as_zone_file_json_or_csv() {
    let served = Served::new();
    put(&served, "example.org", &format!("{ZONE}t IN TXT \"a,b\" \"c\\\"d\"\n"));
    let file = "/api/zonda/zones/example.org/zonefile";
    for (path, accept, mime) in [
        (file.to_owned(), "Accept: */*", "text/dns"),
        (file.to_owned(), "Accept: text/csv;q=0.9, application/json", "text/csv"),
        (file.to_owned(), "Accept: application/json", "application/json"),
        (format!("{file}?format=csv"), "Accept: application/json", "text/csv"),
        (format!("{file}?format=zonefile"), "Accept: application/json", "text/dns"),
    ] {
        let answer = served.ask("GET", &path, &[accept], b"");
        assert!(answer.head.contains(&format!("content-type: {mime}")), "{path} {accept}: {answer:?}");
        assert!(answer.head.contains("etag: \"2017042745\""), "{answer:?}");
    }
    let json = served.get(&format!("{file}?format=json")).body;
    assert_eq!((&json["zone"], &json["serial"]), (&json!("example.org."), &json!(2017042745)));
    assert_eq!(
        json["rrsets"].as_array().unwrap().last(),
        Some(&json!({"name": "www.example.org.", "type": "A", "ttl": 300, "records": [{"content": "192.0.2.1"}]}))
    );
    let csv = served.get(&format!("{file}?format=csv")).text;
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!((lines[0], lines.len()), ("name,ttl,type,content", 7));
    assert_eq!(lines[4], "\"t.example.org.\",3600,TXT,\"\"\"a,b\"\" \"\"c\\\"\"d\"\"\"");
    assert_eq!(served.get(&format!("{file}?format=xml")).body["data"]["format"]["code"], "validation_invalid_value");

    // It can be had as it was.
    served.delete("/api/zonda/zones/example.org/rrsets/t/TXT");
    let now = served.get(&format!("{file}?format=json"));
    assert_eq!(now.body["rrsets"].as_array().unwrap().len(), 4);
    let then = served.get(&format!("{file}?format=json&serial=2017042745"));
    assert_eq!(then.body, json);
    assert!(then.head.contains("etag: \"2017042745\""), "{then:?}");
    let forgotten = served.get(&format!("{file}?serial=7"));
    assert_eq!(forgotten.status, 400);
    assert!(forgotten.body["message"].as_str().unwrap().contains("example.org. cannot be seen at serial 7"));
}

#[test]
fn every_fault_is_told_with_its_line_and_nothing_is_written() {
    let served = Served::new();
    put(&served, "example.org", ZONE);
    for (text, lines) in [
        (format!("{ZONE}a IN A 192.0.2.256\nb IN NOPE x\nc IN A 192.0.2.1\n"), vec![6, 7]),
        (format!("{ZONE}$INCLUDE /etc/hostname\n"), vec![6]),
        (format!("{ZONE}www IN CNAME ns1\n"), vec![6]),
        (format!("{ZONE}x.example.net. IN A 192.0.2.1\n"), vec![6]),
        (format!("{ZONE}@ IN SOA ns2 hostmaster 1 2 3 4 5\n"), vec![6]),
        // What is missing has no line.
        ("www 60 IN A 192.0.2.1\n".into(), vec![0, 0]),
    ] {
        let answer = put(&served, "example.org", &text);
        assert_eq!(
            (answer.status, &answer.body["message"]),
            (400, &json!("The zone file has faults, nothing was written."))
        );
        let faults = answer.body["data"]["zonefile"].as_array().unwrap();
        let found: Vec<_> = faults.iter().map(|fault| fault["line"].as_u64().unwrap()).collect();
        assert_eq!(found, lines, "{answer:?}");
        assert!(faults.iter().all(|fault| fault["message"].as_str().unwrap().ends_with('.')), "{answer:?}");
    }
    assert_eq!(served.store.zones().unwrap()[0].records, 4);
    assert_eq!(put(&served, "a..b", ZONE).body["data"]["zone"]["code"], "validation_invalid_value");
}

#[test]
fn a_zone_that_is_made_takes_the_place_of_none() {
    let served = Served::new();
    put(&served, "example.org", ZONE);
    let body = json!({"zone": "example.org"}).to_string();
    for (tag, status) in [("If-Match: *", 412), ("If-Match: \"7\"", 412), ("X: y", 409)] {
        let headers = ["Content-Type: application/json", tag];
        assert_eq!(served.ask("POST", "/api/zonda/zones", &headers, body.as_bytes()).status, status, "{tag}");
    }
    assert_eq!(served.store.zones().unwrap()[0].records, 4);
}

#[test]
fn a_parameter_that_is_not_known_or_given_twice_changes_nothing() {
    let served = Served::new();
    for (query, name) in
        [("dryrun=true", "dryrun"), ("DRY_RUN=true", "DRY_RUN"), ("dry_run=false&dry_run=true", "dry_run")]
    {
        let answer = served.post(&format!("/api/zonda/zones?{query}"), &json!({"zone": "example.org"}));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body["data"][name]["message"].is_string(), "{query}: {answer:?}");
    }
    assert_eq!(served.store.zones().unwrap().len(), 0);
    assert_eq!(served.get("/api/zonda/zones?sorted=zone").status, 400);
    assert_eq!(served.get("/api/zonda/zones?fields=zones.zone&sort=zone").status, 200);
    // PocketBase leaves out what it does not know.
    assert_eq!(served.get("/api/health?nonsense=1").status, 200);
}

#[test]
fn a_big_zone_is_streamed_whole() {
    let served = Served::new();
    let hosts: String = (0..20_000).map(|n| format!("host{n} 60 IN A 192.0.2.1\n")).collect();
    assert_eq!(put(&served, "example.org", &format!("{ZONE}{hosts}")).body["added"], 20_004);
    let text = served.get("/api/zonda/zones/example.org/zonefile").text;
    assert_eq!(text.lines().count(), 20_005);
    // Nobody reads the body of this one, and the next is answered all the same.
    assert_eq!(served.ask("HEAD", "/api/zonda/zones/example.org/zonefile", &[], b"").status, 200);
    assert_eq!(served.get("/api/health").status, 200);
}
