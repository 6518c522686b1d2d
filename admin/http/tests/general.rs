//! What holds for all routes: rights, headers, errors, methods.

use axum::routing::MethodFilter;
use serde_json::json;

use super::client::{RECORDS, SUPERUSERS, Served, config, exchange};
use crate::http::routes::{ROUTES, Right, Route};

/// The method's name.
pub(super) fn method(filter: MethodFilter) -> &'static str {
    let names = [
        (MethodFilter::GET, "GET"),
        (MethodFilter::POST, "POST"),
        (MethodFilter::PUT, "PUT"),
        (MethodFilter::PATCH, "PATCH"),
        (MethodFilter::DELETE, "DELETE"),
    ];
    names.iter().find(|(found, _)| *found == filter).unwrap().1
}

/// The path of a route with something in the place of each parameter.
pub(super) fn path_of(route: &Route) -> String {
    let path = route.path.replace("{id}", "100").replace("{zone}", "example.org");
    let path = path.replace("{*file}", "app.js");
    let collection = if route.right == Right::Records { "coredns_records" } else { "_superusers" };
    path.replace("{collection}", collection)
}

#[test]
fn every_route_asks_for_its_right() {
    let mut served = Served::new();
    let good = std::mem::take(&mut served.token);
    // A token of another key, one that asks for no signature, and garbage: all make a guest.
    let forged = Served::new().token;
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", good.split('.').nth(1).unwrap());
    // A stream of events does not end; tests/realtime.rs opens some.
    for route in ROUTES.iter().filter(|route| (route.method, route.path) != (MethodFilter::GET, "/api/realtime")) {
        let path = path_of(route);
        for token in ["", &forged, &unsigned, "garbage"] {
            served.token = token.into();
            let answer = served.ask(method(route.method), &path, &[], b"");
            let expected = match route.right {
                Right::Anyone if path.ends_with("with-password") => {
                    (400, "An error occurred while validating the submitted data.")
                }
                Right::Anyone if matches!(path.as_str(), "/api/batch" | "/api/realtime") => (400, ""),
                Right::Anyone => (200, ""),
                Right::Superuser | Right::Read | Right::Write | Right::ReadOwn | Right::WriteOwn => {
                    (401, "The request requires valid record authorization token.")
                }
                Right::Records => (403, "Only superusers can perform this action."),
            };
            assert_eq!(answer.status, expected.0, "{path}: {answer:?}");
            if !matches!(route.right, Right::Anyone) {
                assert_eq!(answer.body, json!({"status": expected.0, "message": expected.1, "data": {}}), "{path}");
            }
        }
        served.token.clone_from(&good);
        let answer = served.ask(method(route.method), &path, &[], b"");
        assert!(!matches!(answer.status, 401 | 403 | 500), "{path}: {answer:?}");
    }
}

#[test]
fn every_answer_has_its_headers() {
    let served = Served::new();
    for (method, path) in [("GET", "/api/health"), ("GET", "/nope"), ("GET", RECORDS), ("POST", "/api/zonda/zones")] {
        let answer = served.ask(method, path, &["Origin: https://example.net"], b"");
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: sameorigin",
            "vary: origin",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(header), "{path}: {answer:?}");
        }
        let is_shared = answer.head.contains("access-control-allow-origin: *");
        assert_eq!(is_shared, !path.starts_with("/api/zonda/"), "{path}");
        assert!(!answer.head.contains("set-cookie"), "{path}");
        assert!(answer.head.contains("content-type: application/json\r\n"), "{path}: {answer:?}");
    }
}

#[test]
fn a_preflight_is_answered_for_the_shared_paths() {
    let served = Served::new();
    let asked = [
        "Origin: https://example.net",
        "Access-Control-Request-Method: PATCH",
        "Access-Control-Request-Headers: authorization,content-type",
    ];
    let answer = served.ask("OPTIONS", RECORDS, &asked, b"");
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(answer.head.contains("access-control-allow-methods: get,head,put,patch,post,delete"), "{answer:?}");
    assert!(answer.head.contains("access-control-allow-headers: authorization,content-type"), "{answer:?}");
    assert!(answer.head.contains("access-control-allow-origin: *"), "{answer:?}");
    assert_eq!(served.ask("OPTIONS", "/api/zonda/zones", &asked, b"").status, 404);
}

#[test]
fn what_is_not_there_is_404() {
    let served = Served::new();
    let not_found = "The requested resource wasn't found.";
    let no_collection = "Missing collection context.";
    for (method, path, message) in [
        ("POST", "/", not_found),
        ("GET", "/_/nope", not_found),
        ("GET", "/api", not_found),
        ("GET", "/api/health/", not_found),
        ("POST", "/api/health", not_found),
        ("PUT", RECORDS, not_found),
        ("DELETE", RECORDS, not_found),
        ("GET", "/api/collections/coredns_records/records/", not_found),
        ("GET", "/api/collections/coredns_records/records/123", not_found),
        ("GET", "/api/collections/coredns_records/records/abc", not_found),
        ("GET", "/api/collections/coredns_records/records/%ff", not_found),
        ("GET", "/api/collections/nope", not_found),
        ("GET", "/api/collections/nope/records", no_collection),
        ("GET", "/api/collections/nope/records/1", no_collection),
        ("GET", "/api/collections/nope/auth-methods", no_collection),
        ("POST", "/api/collections/_superusers/impersonate/nope", not_found),
    ] {
        let answer = served.ask(method, path, &[], b"");
        assert_eq!(answer.body, json!({"status": 404, "message": message, "data": {}}), "{method} {path}");
        assert_eq!(answer.status, 404);
    }
}

#[test]
fn head_gives_the_headers_of_get() {
    let served = Served::new();
    for path in ["/api/health", RECORDS] {
        let (get, head) = (served.get(path), served.ask("HEAD", path, &[], b""));
        let length = |head: &str| head.lines().find(|line| line.starts_with("content-length")).map(str::to_owned);
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(length(&head.head), length(&get.head));
    }
}

#[test]
fn health_tells_a_superuser_more() {
    let mut served = Served::new();
    assert_eq!(served.get("/api/health").body["data"]["realIP"], "127.0.0.1");
    served.token.clear();
    assert_eq!(served.get("/api/health").body, json!({"code": 200, "message": "API is healthy.", "data": {}}));
}

#[test]
fn the_collections_are_described() {
    let served = Served::new();
    let list = served.get("/api/collections").body;
    assert_eq!((&list["totalItems"], &list["perPage"]), (&json!(2), &json!(30)));
    for (at, names) in [["coredns_records", "pbc_186858105"], ["_superusers", "pbc_3142635823"]].iter().enumerate() {
        for name in names {
            assert_eq!(served.get(&format!("/api/collections/{name}")).body, list["items"][at]);
        }
    }
    for (at, kind, fields) in [
        (0, "base", json!(["id", "zone", "name", "record_type", "ttl", "content", "created", "updated"])),
        (
            1,
            "auth",
            json!(["id", "password", "tokenKey", "email", "emailVisibility", "verified", "created", "updated"]),
        ),
    ] {
        let collection = &list["items"][at];
        assert_eq!(collection["type"], kind);
        let names = collection["fields"].as_array().unwrap().iter().map(|field| field["name"].clone());
        assert_eq!(json!(names.collect::<Vec<_>>()), fields);
        for rule in ["listRule", "viewRule", "createRule", "updateRule", "deleteRule"] {
            assert!(collection.as_object().unwrap()[rule].is_null());
        }
    }
    for (query, total, names) in [
        ("filter=system%3Dfalse", 1, json!([{"name": "coredns_records"}])),
        ("filter=type%3D'auth'", 1, json!([{"name": "_superusers"}])),
        ("sort=name", 2, json!([{"name": "_superusers"}, {"name": "coredns_records"}])),
        ("perPage=1&page=2&sort=-name", 2, json!([{"name": "_superusers"}])),
        ("skipTotal=1&page=9", -1, json!([])),
    ] {
        let list = served.get(&format!("/api/collections?fields=name&{query}")).body;
        assert_eq!((&list["totalItems"], &list["items"]), (&json!(total), &names), "{query}");
    }
    for query in ["filter=zone%3D'x'", "sort=content.ip", "page=x"] {
        assert_eq!(served.get(&format!("/api/collections?{query}")).status, 400, "{query}");
    }
}

#[test]
fn the_superuser_is_listed_and_not_changed() {
    let mut served = Served::new();
    let path = format!("{SUPERUSERS}/records");
    let list = served.get(&path).body;
    let superuser = &list["items"][0];
    assert_eq!((&list["totalItems"], &superuser["email"]), (&json!(1), &json!("admin@example.org")));
    assert!(superuser["password"].is_null() && superuser["tokenKey"].is_null());
    let one = format!("{path}/{}", superuser["id"].as_str().unwrap());
    assert_eq!(served.get(&one).body, *superuser);
    assert_eq!(served.get(&format!("{path}?filter=email~'example.net'")).body["totalItems"], 0);
    assert_eq!(served.get(&format!("{path}/nope")).status, 404);
    for (method, path) in [("POST", &path), ("PATCH", &one), ("DELETE", &one)] {
        assert_eq!(served.ask(method, path, &[], b"").status, 403, "{method}");
    }
    served.token.clear();
    assert_eq!((served.get(&path).status, served.get(&one).status), (403, 403));
}

#[test]
fn fields_pick_parts_of_any_answer() {
    let served = Served::new();
    served.create(&json!({"zone": "example.org", "name": "www", "record_type": "A", "content": {"ip": "192.0.2.1"}}));
    let list = served.get(&format!("{RECORDS}?fields=name,content.ip")).body;
    assert_eq!(list["items"], json!([{"name": "www", "content": {"ip": "192.0.2.1"}}]));
    assert_eq!(list["totalItems"], 1);
    let refreshed = served.post(&format!("{SUPERUSERS}/auth-refresh?fields=record.email"), &json!({}));
    assert_eq!(refreshed.body, json!({"record": {"email": "admin@example.org"}}));
}

#[test]
fn the_default_password_is_for_this_machine_alone() {
    let default = "pwd@pocketbase.internal";
    let mut open = config(default);
    open.listen = "0.0.0.0:0".parse().unwrap();
    let served = Served::with(open, default);
    assert!(served.admin.local_addr().ip().is_loopback());
    let warning = served.admin.warnings().join("\n");
    assert!(warning.contains("su_password") && !warning.contains(default), "{warning}");
    let ask = |headers: &str| {
        exchange(
            served.admin.local_addr(),
            format!("GET /api/health HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
        )
    };
    for (headers, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: 127.0.0.1:8090\r\nOrigin: http://localhost:5173\r\n", 200),
        ("Host: dns.example.org\r\n", 403),
        ("Host: localhost\r\nOrigin: https://example.net\r\n", 403),
        ("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n", 403),
    ] {
        assert_eq!(ask(headers).status, status, "{headers}");
    }
    // With a password of one's own there is nothing to narrow or to warn of.
    let mut open = config("correct-horse");
    open.listen = "0.0.0.0:0".parse().unwrap();
    let served = served.restart(open);
    assert!(served.admin.local_addr().ip().is_unspecified());
    assert!(served.admin.warnings().is_empty());
}

#[test]
fn a_taken_address_is_told() {
    let served = Served::new();
    let mut second = config("correct-horse");
    second.listen = served.admin.local_addr();
    let why = crate::http::start(second, served.store.clone()).unwrap_err().to_string();
    assert!(why.starts_with(&format!("the HTTP service cannot listen on {}: ", served.admin.local_addr())), "{why}");
}
