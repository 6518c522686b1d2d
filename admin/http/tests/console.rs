//! The console's files as a browser gets them.

use super::client::Served;
use crate::http::console::{Files, compressed};

#[test]
fn the_page_is_where_people_look_for_it_and_may_load_nothing_from_elsewhere() {
    let served = Served::new();
    for path in ["/", "/_/", "/console/index.html"] {
        let answer = served.ask("GET", path, &["Authorization: none"], b"");
        assert_eq!(answer.status, 200, "{path}");
        for header in [
            "content-type: text/html; charset=utf-8",
            "cache-control: no-cache",
            "content-security-policy: default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
        ] {
            assert_eq!(answer.head.matches(header).count(), 1, "{path}: {header}: {answer:?}");
        }
        assert!(!answer.head.contains("access-control-allow-origin"), "{path}: {answer:?}");
        assert!(answer.text.starts_with("<!doctype html>"), "{path}: {answer:?}");
        // The policy would refuse them, silently.
        for inline in ["<style", " style=", " onclick=", "<script>"] {
            assert!(!answer.text.contains(inline), "{path}: {inline}");
        }
    }
}

#[test]
fn what_the_page_names_is_served() {
    let served = Served::new();
    let page = served.get("/").text;
    let named: Vec<&str> = page.split('"').filter(|text| text.starts_with("/console/")).collect();
    assert!(named.len() > 5, "{named:?}");
    for path in named {
        let answer = served.ask("HEAD", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}");
    }
    // Each module that is loaded is named, so that the browser need not find them one after the other.
    for file in Files::iter().filter(|file| file.ends_with(".js")) {
        assert!(page.contains(&format!("\"/console/{file}\"")), "{file}");
    }
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let served = Served::new();
    let first = served.get("/console/app.js");
    let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let again = served.ask("GET", "/console/app.js", &[&format!("If-None-Match: {known}")], b"");
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{known}");
        assert!(again.head.contains(&format!("etag: {tag}")), "{again:?}");
    }
    let other = served.ask("GET", "/console/app.js", &["If-None-Match: \"0\""], b"");
    assert_eq!((other.status, other.text), (200, first.text));
}

#[test]
fn files_are_compressed_for_those_who_take_it() {
    let served = Served::new();
    let plain = served.get("/console/app.js");
    assert!(!plain.head.contains("content-encoding"), "{plain:?}");
    for (accept, is_compressed) in
        [("gzip, deflate, br", true), ("deflate, gzip;q=0.5", true), ("br", false), ("gzip;q=0", false)]
    {
        let answer = served.ask("GET", "/console/app.js", &[&format!("Accept-Encoding: {accept}")], b"");
        assert_eq!(answer.head.contains("content-encoding: gzip"), is_compressed, "{accept}: {answer:?}");
        assert_eq!(answer.text == plain.text, !is_compressed, "{accept}");
        assert!(answer.head.contains("vary: accept-encoding"), "{answer:?}");
    }
}

#[test]
fn the_console_hides_no_path_of_the_api_and_serves_no_other_file() {
    let served = Served::new();
    for path in
        ["/console/", "/console/nope.js", "/console/../Cargo.toml", "/console/%2e%2e/http/mod.rs", "/nope", "/api/nope"]
    {
        let answer = served.get(path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.body["message"], "The requested resource wasn't found.", "{path}");
    }
    assert_eq!(served.get("/api/health").body["code"], 200);
}

#[test]
fn all_of_the_console_is_small() {
    let octets = |file: &str| {
        let file = Files::get(file).unwrap();
        compressed(format!("{:?}", file.metadata.sha256_hash()), &file.data).len()
    };
    let all: usize = Files::iter().map(|file| octets(&file)).sum();
    assert!(all < 150_000, "{all} octets");
}

#[test]
fn the_greeting_tells_of_the_default_password_alone() {
    let served = Served::new();
    let answer = served.ask("GET", "/api/zonda/welcome", &["Authorization: none"], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.body["default_account"].is_null(), "{answer:?}");
}
