//! The description of zonda's own API.

use serde_json::Value;

use super::client::Served;
use crate::http::routes::{NATIVE, ROUTES};

#[test]
fn every_route_of_our_own_is_described() {
    let mut served = Served::new();
    served.token.clear();
    let document = served.get("/api/zonda/openapi.json").body;
    assert_eq!(document["openapi"], "3.1.0");
    let native = ROUTES.iter().filter(|route| route.path.starts_with(NATIVE));
    let mut described = 0;
    for route in native.clone() {
        let operation = &document["paths"][route.path][route.verb.to_ascii_lowercase()];
        assert!(operation["summary"].is_string(), "{} {} lacks its description", route.verb, route.path);
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{} {}", route.verb, route.path);
        for (status, answer) in answers {
            let about = answer["description"].as_str().unwrap();
            assert!(!about.is_empty(), "{} {}: {status} is not explained", route.verb, route.path);
        }
        for param in operation["parameters"].as_array().unwrap() {
            assert_ne!(param["description"], "", "{} {}: {param}", route.verb, route.path);
        }
        described += 1;
    }
    let paths = document["paths"].as_object().unwrap().values();
    assert_eq!(paths.map(|path| path.as_object().unwrap().len()).sum::<usize>(), described);
    assert_eq!(described, native.count());
}

#[test]
fn every_schema_that_is_named_is_there() {
    /// Walks a value for references.
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match (name.as_str(), value) {
                ("$ref", Value::String(to)) => found.push(to),
                _ => references(value, found),
            }),
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = Served::new().get("/api/zonda/openapi.json").body;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.contains(&"#/components/schemas/Error"), "{found:?}");
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}
