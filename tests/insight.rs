//! What the real program tells of itself: why an answer is what it is.

use serde_json::json;

use crate::http::Site;

#[test]
fn an_answer_over_http_is_the_one_on_the_wire_with_the_way_to_it() {
    let site = Site::start();
    for (name, rtype, content) in [
        ("www", "A", json!({"ip": "192.0.2.1"})),
        ("alias", "CNAME", json!({"host": "www.example.org."})),
        ("*.w", "A", json!({"ip": "192.0.2.2"})),
    ] {
        let record = json!({"zone": "example.org", "name": name, "record_type": rtype, "ttl": 60, "content": content});
        assert_eq!(site.call("POST", crate::http::RECORDS, Some(&record)).0, 200);
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

    let (_, body) = site.call("GET", "/api/zonda/explain?name=a.b.w.example.org&transport=tcp&do=1", None);
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
    let token = json!({"name": "org", "scope": "read", "zones": ["example.org"]});
    let (_, token) = site.call("POST", "/api/zonda/tokens", Some(&token));
    site.token = token["token"].as_str().unwrap().into();
    assert_eq!(site.call("GET", "/api/zonda/explain?name=www.example.org", None).0, 200);
    assert_eq!(site.call("GET", "/api/zonda/explain?name=www.example.net", None).0, 403);
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
        ("name=example.org&server=192.0.2.1:53", "server"),
    ] {
        let (status, body) = site.call("GET", &format!("/api/zonda/explain?{parameters}"), None);
        assert_eq!(status, 400, "{parameters}: {body}");
        assert_eq!(body["data"].as_object().unwrap().keys().collect::<Vec<_>>(), [field], "{parameters}: {body}");
    }
}
