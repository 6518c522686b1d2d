//! The fields of a record as a client sends them, read as PocketBase reads them and checked as DNS needs them.

use serde_json::{Map, Value, json};
use store::edit::NewRow;
use store::{Name, Row, RowId, Rtype, Written, name, types};

use super::error::FieldFaults;
use super::json as reader;
use super::record::{self, ID_LENGTH_MAX};

/// What a client sent; `None` for what it did not send. All have the type of their field, whatever type was sent.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The chosen id.
    id: Option<String>,
    /// The zone's name.
    zone: Option<String>,
    /// The owner's name, perhaps relative to the zone.
    name: Option<String>,
    /// The type's mnemonic.
    rtype: Option<String>,
    /// The new TTL.
    ttl: Option<f64>,
    /// What is to be added to the TTL.
    ttl_more: Option<f64>,
    /// The content.
    content: Option<Value>,
}

impl Input {
    /// Takes the fields of a record out of a body; others are ignored.
    pub(super) fn new(mut fields: Map<String, Value>) -> Self {
        let mut number = |name: &str| fields.remove(name).map(|value| to_number(&value));
        let (ttl, plus, minus) = (number("ttl"), number("ttl+"), number("ttl-").map(|seconds| -seconds));
        let mut text = |name: &str| fields.remove(name).map(to_text);
        Self {
            id: text("id"),
            zone: text("zone"),
            name: text("name"),
            rtype: text("record_type"),
            ttl,
            ttl_more: plus.into_iter().chain(minus).reduce(|sum, more| sum + more),
            content: fields.remove("content").map(to_content),
        }
    }

    /// The row to write: over a former one, or a new one.
    pub(super) fn to_row(&self, former: Option<&Row>) -> Result<NewRow, FieldFaults> {
        let mut faults = FieldFaults::default();
        let before = former.map(record::written).unwrap_or_default();
        let id = self.id(former, &mut faults);
        let ttl = self.ttl(former, &mut faults);
        let zone_text = required("zone", self.zone.as_ref().unwrap_or(&before.zone), &mut faults);
        let name_text = required("name", self.name.as_ref().unwrap_or(&before.name), &mut faults);
        let rtype_text = required("record_type", self.rtype.as_ref().unwrap_or(&before.rtype), &mut faults);

        // What was not sent keeps its wire form, even where its text would now be read in another way.
        let kept = |sent: bool| former.filter(|_| !sent);
        let zone = match kept(self.zone.is_some()) {
            Some(row) => Some(row.zone.clone()),
            None => zone_text.and_then(|text| zone_name(text).map_err(|why| faults.invalid("zone", &why)).ok()),
        };
        let owner = match kept(self.zone.is_some() || self.name.is_some()) {
            Some(row) => Some(row.owner.clone()),
            None => zone
                .as_ref()
                .zip(name_text)
                .and_then(|(zone, text)| owner_name(text, zone).map_err(|why| faults.invalid("name", &why)).ok()),
        };
        let rtype = match kept(self.rtype.is_some()) {
            Some(row) => Some(row.rtype),
            None => rtype_text.and_then(|text| rtype(text).map_err(|why| faults.invalid("record_type", &why)).ok()),
        };
        let content = match &self.content {
            Some(content) => content.to_string(),
            None if former.is_some() => before.content.clone(),
            None => Value::Null.to_string(),
        };
        if content.len() > CONTENT_MAX {
            let message = format!("The maximum allowed JSON size is {CONTENT_MAX} bytes.");
            faults.add_with("content", "validation_json_size_limit", &message, json!({ "maxSize": CONTENT_MAX }));
        }
        let is_same_data = self.zone.is_none() && self.rtype.is_none() && self.content.is_none();
        let rdata = match kept(!is_same_data) {
            Some(row) => Some(row.rdata.clone()),
            None if faults.has("content") => None,
            None => zone.as_ref().zip(rtype).and_then(|(zone, rtype)| {
                let content = serde_json::from_str(&content).unwrap_or(Value::Null);
                let rdata = types::rdata_from_content(rtype, &content, zone);
                rdata.map_err(|why| faults.invalid("content", &why.to_string())).ok()
            }),
        };

        match (zone, owner, rtype, rdata) {
            (Some(zone), Some(owner), Some(rtype), Some(rdata)) if faults.is_empty() => {
                let written = Written {
                    zone: self.zone.clone().unwrap_or(before.zone),
                    name: self.name.clone().unwrap_or(before.name),
                    rtype: self.rtype.clone().unwrap_or(before.rtype),
                    content,
                };
                let is_plain = written == record::print(&zone, &owner, rtype, &rdata);
                let written = (!is_plain).then(|| Box::new(written));
                Ok(NewRow { id, zone, owner, rtype, ttl, rdata, written })
            }
            _ => Err(faults),
        }
    }

    /// The id of a new row: chosen, or `None` for the store to choose. That of a former one stays.
    fn id(&self, former: Option<&Row>, faults: &mut FieldFaults) -> Option<RowId> {
        let text = self.id.as_deref().unwrap_or_default();
        if let Some(row) = former {
            if self.id.is_some() && text != row.id.to_string() {
                faults.add("id", "validation_pk_change", "The record primary key cannot be changed.");
            }
            return Some(row.id);
        }
        if text.is_empty() {
            return None;
        }
        let length = text.chars().count();
        if length > ID_LENGTH_MAX {
            too_long("id", ID_LENGTH_MAX, faults);
        }
        let id = record::id_from_text(text).filter(|_| length >= ID_LENGTH_MIN);
        if id.is_none() {
            faults.add("id", "validation_invalid_format", "Invalid value format.");
        }
        id
    }

    /// Seconds; `None` for 0, which stands for the server's default.
    fn ttl(&self, former: Option<&Row>, faults: &mut FieldFaults) -> Option<u32> {
        let before = former.and_then(|row| row.ttl);
        if self.ttl.is_none() && self.ttl_more.is_none() {
            return before;
        }
        let seconds = self.ttl.unwrap_or_else(|| f64::from(before.unwrap_or(0))) + self.ttl_more.unwrap_or(0.0);
        if !seconds.is_finite() {
            faults.add("ttl", "validation_not_a_number", "The submitted number is not properly formatted.");
        } else if seconds.fract() != 0.0 {
            faults.add("ttl", "validation_only_int_constraint", "Decimal numbers are not allowed.");
        } else if seconds < 0.0 {
            let params = json!({ "min": 0 });
            faults.add_with("ttl", "validation_min_number_constraint", "Must be no less than 0.", params);
        } else if seconds > f64::from(TTL_MAX) {
            let message = format!("Must be no greater than {TTL_MAX}.");
            faults.add_with("ttl", "validation_max_number_constraint", &message, json!({ "max": TTL_MAX }));
        }
        // Within the bounds of a u32 if there was no fault; else it is not used.
        Some(seconds as u32).filter(|seconds| *seconds != 0)
    }
}

/// A text that may be neither blank nor too long.
fn required<'a>(field: &str, text: &'a str, faults: &mut FieldFaults) -> Option<&'a str> {
    if text.is_empty() {
        faults.required(field);
        return None;
    }
    if text.chars().count() > TEXT_MAX {
        too_long(field, TEXT_MAX, faults);
        return None;
    }
    Some(text)
}

/// Adds that a text has too many characters.
fn too_long(field: &str, max: usize, faults: &mut FieldFaults) {
    let message = format!("Must be no more than {max} character(s).");
    faults.add_with(field, "validation_max_text_constraint", &message, json!({ "max": max }));
}

/// The name of a zone, with or without its final dot.
fn zone_name(text: &str) -> Result<Name, String> {
    if text == "@" {
        return Err("write the name of the zone in full".into());
    }
    parse(text, &Name::root_bytes())
}

/// The owner of a record: absolute with a final dot, else relative to the zone; `@` and the zone's own name are the apex.
pub(super) fn owner_name(text: &str, zone: &Name) -> Result<Name, String> {
    if parse(text, &Name::root_bytes()).is_ok_and(|name| name == *zone) {
        return Ok(zone.clone());
    }
    let owner = parse(text, zone)?;
    if !owner.ends_with(zone) {
        return Err(format!("{} lies outside the zone {}", name::to_text(&owner), name::to_text(zone)));
    }
    Ok(owner)
}

/// A name as people write it.
fn parse(text: &str, origin: &Name) -> Result<Name, String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a name has no spaces; one that is meant is written as \\032".into());
    }
    name::parse(text, Some(origin)).map_err(|why| why.to_string())
}

/// A type that a zone can hold.
pub(super) fn rtype(text: &str) -> Result<Rtype, String> {
    let rtype = types::rtype_from_text(text).ok_or("this is not a record type")?;
    if !types::is_data(rtype) {
        return Err(format!("{rtype} is not a type of data that a zone can hold"));
    }
    Ok(rtype)
}

/// Text of any value: numbers and booleans print, null and collections have none.
fn to_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// Number of any value: what is none counts as 0.
fn to_number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        Value::String(text) => text.parse().unwrap_or_default(),
        Value::Bool(flag) => f64::from(*flag),
        Value::Null | Value::Array(_) | Value::Object(_) => 0.0,
    }
}

/// Content of any value: a text that is JSON of another kind than a bare word counts as that.
fn to_content(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    let looks_like_json = matches!(text.as_str(), "true" | "false" | "null")
        || text.starts_with(|first: char| matches!(first, '{' | '[' | '"' | '-') || first.is_ascii_digit());
    let parsed = looks_like_json.then(|| reader::read(&mut text.clone().into_bytes())).flatten();
    parsed.unwrap_or(Value::String(text))
}

/// Characters of a text field.
const TEXT_MAX: usize = 5000;

/// Digits of the shortest id that a client may choose.
const ID_LENGTH_MIN: usize = 2;

/// The longest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

/// Octets of the content as JSON text.
const CONTENT_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_other_types_are_turned_into_those_of_the_field() {
        for (value, text, number) in [
            (json!("x"), "x", 0.0),
            (json!("300"), "300", 300.0),
            (json!(5), "5", 5.0),
            (json!(5.5), "5.5", 5.5),
            (json!(1e3), "1000", 1000.0),
            (json!(true), "true", 1.0),
            (json!(null), "", 0.0),
            (json!([1]), "", 0.0),
            (json!({"a": 1}), "", 0.0),
        ] {
            assert_eq!((to_text(value.clone()).as_str(), to_number(&value)), (text, number), "{value}");
        }
        for (text, content) in [
            ("{\"ip\":\"192.0.2.1\"}", json!({"ip": "192.0.2.1"})),
            ("[1]", json!([1])),
            ("\"x\"", json!("x")),
            ("-1", json!(-1)),
            ("null", json!(null)),
            ("192.0.2.1", json!("192.0.2.1")),
            ("{x", json!("{x")),
            ("nulls", json!("nulls")),
            ("", json!("")),
        ] {
            assert_eq!(to_content(json!(text)), content, "{text}");
        }
    }

    #[test]
    fn names_are_relative_to_their_zone_unless_they_end_in_a_dot() {
        let zone = zone_name("Example.org").unwrap();
        for (text, expected) in [
            ("www", Ok("www.Example.org.")),
            ("@", Ok("Example.org.")),
            ("example.org", Ok("Example.org.")),
            ("example.org.", Ok("Example.org.")),
            ("www.example.org.", Ok("www.example.org.")),
            ("www.example.org", Ok("www.example.org.Example.org.")),
            ("*.a", Ok("*.a.Example.org.")),
            ("a\\.b", Ok("a\\.b.Example.org.")),
            ("www.example.net.", Err("www.example.net. lies outside the zone Example.org.")),
            ("a..b", Err("a label is empty; two dots follow each other")),
            ("a b", Err("a name has no spaces; one that is meant is written as \\032")),
        ] {
            let owner = owner_name(text, &zone).map(|owner| name::to_text(&owner));
            match expected {
                Ok(_) => assert_eq!(owner.as_deref().map_err(String::as_str), expected, "{text}"),
                Err(_) => assert!(owner.is_err(), "{text}: {owner:?}"),
            }
        }
        for (text, is_zone) in
            [("example.org", true), ("example.org.", true), (".", true), ("@", false), ("a b", false)]
        {
            assert_eq!(zone_name(text).is_ok(), is_zone, "{text}");
        }
    }
}
