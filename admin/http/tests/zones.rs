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
        json!({"zone": "example.org.", "serial": 2017042745, "added": 4, "removed": 0, "warnings": []})
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
    assert_eq!(served.get("/api/zonda/zones").body, json!({"zones": []}));
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
