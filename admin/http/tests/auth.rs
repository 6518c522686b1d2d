//! Logging in, tokens, and what voids them.

use serde_json::{Value, json};

use super::client::{EMAIL, PASSWORD, RECORDS, SUPERUSERS, Served, config};

/// The payload of a token.
fn claims(token: &str) -> Value {
    // base64url without padding (RFC 4648 §5), by hand: six bits a character.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0_u32;
    let mut octets = Vec::new();
    for (count, character) in token.split('.').nth(1).unwrap().bytes().enumerate() {
        bits = bits << 6 | alphabet.iter().position(|found| *found == character).unwrap() as u32;
        if count % 4 != 0 {
            octets.push((bits >> (6 - 2 * (count % 4))) as u8);
        }
    }
    serde_json::from_slice(&octets).unwrap()
}

/// Whether the token opens the records.
fn opens(served: &Served, token: &str) -> bool {
    served.ask("GET", RECORDS, &[&format!("Authorization: {token}")], b"").status == 200
}

#[test]
fn a_login_gives_a_record_and_a_token() {
    let served = Served::new();
    for collection in ["_superusers", "pbc_3142635823"] {
        let path = format!("/api/collections/{collection}/auth-with-password");
        let answer = served.post(&path, &json!({"identity": EMAIL, "password": PASSWORD, "identityField": "email"}));
        assert_eq!(answer.status, 200, "{answer:?}");
        let record = &answer.body["record"];
        assert_eq!(record["collectionName"], "_superusers");
        assert_eq!(record["collectionId"], "pbc_3142635823");
        assert_eq!((&record["email"], &record["verified"]), (&json!(EMAIL), &json!(true)));
        let id = record["id"].as_str().unwrap();
        assert!(id.len() == 15 && id.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit()), "{id}");
        assert_eq!(record.as_object().unwrap().len(), 8);
        let token = answer.body["token"].as_str().unwrap();
        let claims = claims(token);
        assert_eq!(
            (&claims["type"], &claims["refreshable"], &claims["id"]),
            (&json!("auth"), &json!(true), &json!(id))
        );
        let life = claims["exp"].as_u64().unwrap() - crate::http::time::now() / 1000;
        assert!((86_390..=86_400).contains(&life), "{life}");
        assert!(!answer.text.contains("argon2") && !answer.text.contains(PASSWORD));
    }
}

#[test]
fn refused_logins_say_no_more_than_they_should() {
    let served = Served::new();
    let path = format!("{SUPERUSERS}/auth-with-password");
    let failed = json!({"status": 400, "message": "Failed to authenticate.", "data": {}});
    assert_eq!(served.post(&path, &json!({"identity": EMAIL, "password": "wrong"})).body, failed);
    assert_eq!(served.post(&path, &json!({"identity": "nobody@example.org", "password": PASSWORD})).body, failed);

    let invalid = "An error occurred while validating the submitted data.";
    let long = "x".repeat(256);
    for (body, field, code) in [
        (json!({}), "identity", "validation_required"),
        (json!({"identity": EMAIL}), "password", "validation_required"),
        (json!({"identity": EMAIL, "password": ""}), "password", "validation_required"),
        (json!({"identity": long, "password": "x"}), "identity", "validation_length_out_of_range"),
        (json!({"identity": EMAIL, "password": long}), "password", "validation_length_out_of_range"),
        (json!({"identity": EMAIL, "password": "x", "identityField": "id"}), "identityField", "validation_in_invalid"),
    ] {
        let answer = served.post(&path, &body);
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!(invalid)), "{body}");
        assert_eq!(answer.body["data"][field]["code"], code, "{body}");
    }
    for body in ["{", "[]", "\"x\"", "{\"identity\":{}}"] {
        let answer = served.ask("POST", &path, &["Content-Type: application/json"], body.as_bytes());
        let message = "An error occurred while loading the submitted data.";
        assert_eq!(answer.body, json!({"status": 400, "message": message, "data": {}}), "{body}");
    }
    let answer = served.ask("POST", &path, &["Content-Type: text/plain"], b"x");
    assert_eq!(answer.body["message"], "Unsupported Content-Type.");
}

#[test]
fn a_login_may_be_a_form() {
    let served = Served::new();
    let path = format!("{SUPERUSERS}/auth-with-password");
    let urlencoded = "identity=admin%40example.org&password=correct-horse";
    let answer = served.ask("POST", &path, &["Content-Type: application/x-www-form-urlencoded"], urlencoded.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart =
        format!("{}{}--b--\r\n", part("identity", EMAIL), part("@jsonPayload", r#"{"password":"correct-horse"}"#));
    let answer = served.ask("POST", &path, &["Content-Type: multipart/form-data; boundary=b"], multipart.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn many_wrong_passwords_are_slowed_and_then_refused() {
    let served = Served::new();
    let path = format!("{SUPERUSERS}/auth-with-password");
    let wrong = json!({"identity": EMAIL, "password": "wrong"});
    // As if some were under way already; the last ones wait for seconds.
    let (from, attempts) = (served.admin.local_addr().ip(), &served.admin.site.attempts);
    let under_way: Vec<_> = std::iter::from_fn(|| attempts.begin(from, std::time::Instant::now())).collect();
    assert!(!under_way.is_empty());
    let answer = served.post(&path, &wrong);
    assert_eq!((answer.status, &answer.body["message"]), (429, &json!("Too Many Requests.")));
}

#[test]
fn the_scheme_before_a_token_may_be_there_or_not() {
    let mut served = Served::new();
    let token = std::mem::take(&mut served.token);
    for (prefix, taken) in
        [("", true), ("Bearer ", true), ("bearer ", true), ("BEARER ", true), ("Token ", false), ("x", false)]
    {
        assert_eq!(opens(&served, &format!("{prefix}{token}")), taken, "{prefix}");
    }
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    assert!(!opens(&served, &format!("{rest}.{turned}")));
}

#[test]
fn refresh_gives_a_fresh_token_and_keeps_a_static_one() {
    let mut served = Served::new();
    let refresh = format!("{SUPERUSERS}/auth-refresh");
    let answer = served.post(&refresh, &json!({}));
    let fresh = answer.body["token"].as_str().unwrap();
    assert!(opens(&served, fresh));
    assert_eq!(claims(fresh)["refreshable"], true);

    let id = answer.body["record"]["id"].as_str().unwrap();
    let impersonate = format!("{SUPERUSERS}/impersonate/{id}");
    for (body, life) in [(json!({}), 86_400), (json!({"duration": 0}), 86_400), (json!({"duration": 600}), 600)] {
        let answer = served.post(&impersonate, &body);
        let claims = claims(answer.body["token"].as_str().unwrap());
        assert_eq!(claims["refreshable"], false);
        let left = claims["exp"].as_u64().unwrap() - crate::http::time::now() / 1000;
        assert!((life - 10..=life).contains(&left), "{body}: {left}");
    }
    for body in [json!({"duration": -1}), json!({"duration": u64::MAX}), json!({"duration": "x"})] {
        assert_eq!(served.post(&impersonate, &body).status, 400, "{body}");
    }
    served.token = served.post(&impersonate, &json!({})).body["token"].as_str().unwrap().into();
    assert_eq!(served.post(&refresh, &json!({})).body["token"], served.token.as_str());
}

#[test]
fn tokens_expire() {
    let served = Served::new();
    let site = &served.admin.site;
    let token = site.signer.sign(0, true).unwrap();
    while site.signer.check(&token).is_some() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(site.signer.check(&site.signer.sign(60, true).unwrap()).is_some());
}

#[test]
fn a_new_password_voids_the_tokens_and_the_same_one_keeps_them() {
    let served = Served::new();
    let me = |served: &Served| served.post(&format!("{SUPERUSERS}/auth-refresh"), &json!({}));
    let before = me(&served).body["record"].clone();
    let served = served.restart(config(PASSWORD));
    assert_eq!(me(&served).body["record"], before);
    let mut renamed = config(PASSWORD);
    renamed.email = "other@example.org".into();
    let served = served.restart(renamed);
    let record = me(&served).body["record"].clone();
    assert_eq!((&record["email"], &record["id"]), (&json!("other@example.org"), &before["id"]));
    let mut served = served.restart(config("another-horse"));
    assert_eq!(me(&served).status, 401);
    served.token.clear();
    served.log_in("another-horse");
    let record = me(&served).body["record"].clone();
    assert_eq!((&record["id"], &record["created"]), (&before["id"], &before["created"]));
}

#[test]
fn secrets_do_not_print() {
    let config = config(PASSWORD);
    let served = Served::with(config.clone(), PASSWORD);
    let printed = format!("{config:?} {:?}", served.admin);
    assert!(!printed.contains(PASSWORD), "{printed}");
}

#[test]
fn the_methods_are_told() {
    let served = Served::new();
    let methods = served.get(&format!("{SUPERUSERS}/auth-methods")).body;
    assert_eq!(methods["password"], json!({"enabled": true, "identityFields": ["email"]}));
    assert_eq!(methods["oauth2"]["enabled"], false);
}
