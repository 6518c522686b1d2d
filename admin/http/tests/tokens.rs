//! API tokens: what each may do, and how they come and go.

use serde_json::{Value, json};

use super::client::{Answer, RECORDS, Served};
use super::general::{method, path_of};
use crate::http::api_token::{ApiToken, Scope};
use crate::http::routes::{ROUTES, Right};

/// The path of the tokens.
const TOKENS: &str = "/api/zonda/tokens";

/// A new token's text.
fn create(served: &Served, token: &Value) -> String {
    let answer = served.post(TOKENS, token);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["token"].as_str().unwrap().into()
}

/// Asks with an API token.
fn ask_with(served: &Served, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let header = format!("Authorization: Bearer {token}");
    served.ask(method, path, &[&header, "Content-Type: application/json"], body)
}

#[test]
fn every_route_takes_the_tokens_that_it_should() {
    let served = Served::new();
    let token =
        |name: &str, scope: &str, zones: Value| create(&served, &json!({"name": name, "scope": scope, "zones": zones}));
    let read = token("reader", "read", Value::Null);
    let write = token("writer", "write", Value::Null);
    let write_here = token("here", "write", json!(["org"]));
    let write_there = token("there", "write", json!(["example.net", "www.example.org"]));
    let foreign = create(&Served::new(), &json!({"name": "reader", "scope": "write"}));
    // Whatever its last character is, another one.
    let forged = format!("{}{}", &write[..write.len() - 1], if write.ends_with('x') { 'y' } else { 'x' });
    let expired = token("expired", "write", Value::Null);
    let all = ApiToken::all(&served.store).unwrap();
    let (id, mut row, _) = all.into_iter().find(|(_, row, _)| row.name == "expired").unwrap();
    row.expires = Some(row.created);
    row.put(&served.store, &id).unwrap();

    for route in ROUTES.iter().filter(|route| route.right != Right::Anyone) {
        let path = path_of(route);
        let has_zone = route.path.contains("{zone}");
        let is_native = path.starts_with("/api/zonda/");
        // Where the superuser alone may ask, an API token of this server is known for what it is on native paths alone.
        let superuser = if is_native { 403 } else { 401 };
        let allowed = 0;
        // Expected: to read, to write, to write here, to write there.
        let expected = match route.right {
            Right::Anyone => continue,
            Right::Superuser => [superuser; 4],
            Right::Records => [403; 4],
            Right::Read if has_zone => [allowed, allowed, allowed, 403],
            Right::Read => [allowed, allowed, 403, 403],
            Right::Write if has_zone => [403, allowed, allowed, 403],
            Right::Write => [403, allowed, 403, 403],
            Right::ReadOwn => [allowed; 4],
            Right::WriteOwn => [403, allowed, allowed, allowed],
        };
        for (token, expected) in [&read, &write, &write_here, &write_there].into_iter().zip(expected) {
            let answer = ask_with(&served, token, method(route.method), &path, b"");
            match expected {
                0 => assert!(!matches!(answer.status, 401 | 403 | 500), "{path}: {answer:?}"),
                status => assert_eq!(answer.status, status, "{path}: {answer:?}"),
            }
        }
        for token in [&foreign, &forged, &expired, "zonda_", "zonda_x_y"] {
            let answer = ask_with(&served, token, method(route.method), &path, b"");
            let expected = if route.right == Right::Records { 403 } else { 401 };
            assert_eq!(answer.status, expected, "{path}: {answer:?}");
        }
    }
}

#[test]
fn the_history_names_the_token_and_the_list_shows_its_zones() {
    let served = Served::new();
    let token = create(&served, &json!({"name": "deploy-1", "scope": "write", "zones": ["Example.ORG"]}));
    let zone = b"@ 60 IN SOA ns1 hostmaster 1 2 3 4 5\n@ 60 IN NS ns1\nns1 60 IN A 192.0.2.53\n";
    for apex in ["example.org", "sub.example.org"] {
        let path = format!("/api/zonda/zones/{apex}/zonefile");
        assert_eq!(ask_with(&served, &token, "PUT", &path, zone).status, 200);
        let journal = served.store.journal(&store::name::parse(&format!("{apex}."), None).unwrap(), 1).unwrap();
        assert_eq!(journal[0].who, "deploy-1");
    }
    let other = served.ask("PUT", "/api/zonda/zones/example.net/zonefile", &[], zone);
    assert_eq!(other.status, 200, "{other:?}");
    let refused = ask_with(&served, &token, "DELETE", "/api/zonda/zones/example.net", b"");
    assert_eq!((refused.status, &refused.body["message"]), (403, &json!("The API token is for other zones.")));
    // What names its zone in the body is held to the same.
    for (path, apex, status) in [
        ("/api/zonda/zones", "new.example.org", 201),
        ("/api/zonda/zones", "new.example.net", 403),
        ("/api/zonda/check", "newer.example.org", 200),
        ("/api/zonda/check", "newer.example.net", 403),
    ] {
        let body = json!({"zone": apex, "zonefile": str::from_utf8(zone).unwrap()}).to_string();
        let answer = ask_with(&served, &token, "POST", path, body.as_bytes());
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let list = ask_with(&served, &token, "GET", "/api/zonda/zones", b"").body;
    let names: Vec<_> = list["zones"].as_array().unwrap().iter().map(|zone| zone["zone"].as_str().unwrap()).collect();
    assert_eq!(names, ["example.org.", "new.example.org.", "sub.example.org."]);
}

#[test]
fn a_secret_is_shown_once_and_a_revoked_token_is_void_at_once() {
    let served = Served::new();
    let answer = served.post(TOKENS, &json!({"name": "a", "scope": "read", "duration": 3600}));
    let (id, text) = (answer.body["id"].as_str().unwrap(), answer.body["token"].as_str().unwrap());
    assert!(text.starts_with("zonda_"), "{text}");
    let secret = text.rsplit('_').next().unwrap();
    assert_eq!(answer.body["used"], Value::Null);
    assert_eq!(ask_with(&served, text, "GET", "/api/zonda/zones", b"").status, 200);
    // A token without the scheme is taken, too, as PocketBase takes its own.
    assert_eq!(served.ask("GET", "/api/zonda/zones", &[&format!("Authorization: {text}")], b"").status, 200);

    let list = served.get(TOKENS);
    assert!(!list.text.contains(secret), "{list:?}");
    let mut listed = list.body["tokens"][0].clone();
    let used = listed["used"].take();
    assert!(used.as_str().unwrap().ends_with(":00:00.000Z"), "{used}");
    let mut expected = answer.body.clone();
    expected.as_object_mut().unwrap().remove("token");
    assert_eq!(listed, expected);
    for (_, row) in served.store.settings("").unwrap() {
        assert!(!String::from_utf8_lossy(&row).contains(secret), "the store holds a secret");
    }

    let path = format!("{TOKENS}/{id}");
    assert_eq!(served.delete(&path).status, 204);
    assert_eq!(ask_with(&served, text, "GET", "/api/zonda/zones", b"").status, 401);
    assert_eq!(served.get(TOKENS).body, json!({"tokens": []}));
    let again = served.delete(&path);
    assert_eq!((again.status, &again.body["message"]), (404, &json!("There is no such token.")));
}

#[test]
fn a_token_outlives_a_restart_and_a_new_password() {
    let served = Served::new();
    let token = create(&served, &json!({"name": "a", "scope": "read"}));
    let served = served.restart(super::client::config("battery-staple"));
    assert_eq!(served.get("/api/zonda/zones").status, 401, "the superuser's token is void");
    assert_eq!(ask_with(&served, &token, "GET", "/api/zonda/zones", b"").status, 200);
    assert_eq!(ask_with(&served, &token, "GET", RECORDS, b"").status, 403);
}

#[test]
fn a_token_that_cannot_be_is_refused_with_its_field() {
    let served = Served::new();
    create(&served, &json!({"name": "taken", "scope": "read"}));
    for (token, field) in [
        (json!({"scope": "read"}), "body"),
        (json!({"name": "admin@example.org", "scope": "read"}), "name"),
        (json!({"name": "n".repeat(65), "scope": "read"}), "name"),
        (json!({"name": "taken", "scope": "write"}), "name"),
        (json!({"name": "b"}), "body"),
        (json!({"name": "b", "scope": "admin"}), "scope"),
        (json!({"name": "b", "scope": "read", "zones": "example.org"}), "zones"),
        (json!({"name": "b", "scope": "read", "zones": []}), "zones"),
        (json!({"name": "b", "scope": "read", "zones": ["a..b"]}), "zones"),
        (json!({"name": "b", "scope": "read", "duration": 0}), "duration"),
        (json!({"name": "b", "scope": "read", "duration": u64::MAX}), "duration"),
        (json!({"name": "b", "scope": "read", "zone": "example.org"}), "zone"),
    ] {
        let answer = served.post(TOKENS, &token);
        assert_eq!(answer.status, 400, "{token}: {answer:?}");
        let faults = answer.body["data"].as_object().unwrap();
        assert_eq!(faults.keys().collect::<Vec<_>>(), [field], "{token}");
    }
    assert_eq!(ApiToken::all(&served.store).unwrap().len(), 1);
    assert!(Scope::Read < Scope::Write);
}
