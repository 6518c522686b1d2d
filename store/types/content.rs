//! JSON content of records as the PocketBase-compatible API has it, in and out.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use domain::base::iana::Rtype;
use serde_json::{Map, Value, json};

use super::table::{Field, Kind, Missing, Type};
use super::wire::{counted, is_tag};
use super::{RdataError, check_rdata, not_data, period, rdata_from_text, rdata_to_text};
use crate::{Name, name};

/// Wire rdata from the JSON content of the PocketBase API; the serial of an SOA is 0.
///
/// Names are absolute with or without their final dot. Every type also takes `{"rdata":"presentation form"}`.
pub fn rdata_from_content(rtype: Rtype, content: &Value, zone: &Name) -> Result<Bytes, RdataError> {
    if !super::is_data(rtype) {
        return Err(RdataError(not_data(rtype)));
    }
    let row = Type::of(rtype).filter(|row| row.content);
    let form = || match row {
        Some(row) => row.fields.iter().map(|field| format!("\"{}\"", field.name)).collect::<Vec<_>>().join(", "),
        None => "\"rdata\"".into(),
    };
    let Some(content) = content.as_object() else {
        return Err(RdataError(format!("the content of {rtype} must be an object with {}", form())));
    };
    if let Some(text) = content.get("rdata") {
        let text = text.as_str().ok_or_else(|| RdataError("\"rdata\" must be a string".into()))?;
        return rdata_from_text(rtype, text, Some(&Name::root_bytes()))
            .map_err(|error| RdataError(format!("\"rdata\": {error}")));
    }
    let row = row.ok_or_else(|| RdataError(format!("the content of {rtype} must have {}", form())))?;
    let mut wire = Vec::new();
    for field in row.fields {
        let given = content.get(field.name).filter(|value| !is_absent(field, value));
        read(field, given, zone, &mut wire).map_err(|why| RdataError(format!("\"{}\" {why}", field.name)))?;
    }
    check_rdata(rtype, &wire)?;
    Ok(wire.into())
}

/// JSON content of the PocketBase API; types without fields of their own give `{"rdata":"presentation form"}`, and so
/// does rdata with text that is not UTF-8.
pub fn rdata_to_content(rtype: Rtype, rdata: &[u8]) -> Value {
    let row = Type::of(rtype).filter(|row| row.content && check_rdata(rtype, rdata).is_ok());
    let content = row.and_then(|row| {
        let mut content = Map::new();
        let mut at = 0;
        for field in row.fields {
            let octets = field.kind.octets(rdata, at).ok()?;
            if !matches!(field.missing, Missing::Elsewhere) {
                content.insert(field.name.into(), write(field.kind, rdata.get(at..at + octets)?)?);
            }
            at += octets;
        }
        Some(Value::Object(content))
    });
    content.unwrap_or_else(|| json!({ "rdata": rdata_to_text(rtype, rdata) }))
}

/// Whether a value counts as not given: null, and empty text where there is a default.
fn is_absent(field: &Field, value: &Value) -> bool {
    value.is_null() || !matches!(field.missing, Missing::Refused) && value.as_str() == Some("")
}

/// Appends the wire form of a field; the reason of an error goes on after the field's name.
fn read(field: &Field, given: Option<&Value>, zone: &Name, wire: &mut Vec<u8>) -> Result<(), String> {
    let Some(given) = given else {
        match field.missing {
            Missing::Refused => return Err("is missing".into()),
            Missing::Number(number) => push_number(field.kind, number, wire),
            Missing::Elsewhere => push_number(field.kind, 0, wire),
            Missing::Label(label) => {
                let name =
                    name::parse(label, Some(zone)).map_err(|error| format!("is missing, and {label}: {error}"))?;
                wire.extend_from_slice(name.as_slice());
            }
        }
        return Ok(());
    };
    match field.kind {
        _ if matches!(field.missing, Missing::Elsewhere) => push_number(field.kind, 0, wire),
        Kind::U8 => push_number(field.kind, number(given, u8::MAX.into())?, wire),
        Kind::U16 => push_number(field.kind, number(given, u16::MAX.into())?, wire),
        Kind::Period => match given.as_str().and_then(|text| period::parse(text.trim().as_bytes())) {
            Some(seconds) => push_number(field.kind, seconds, wire),
            None => push_number(field.kind, number(given, u32::MAX)?, wire),
        },
        Kind::Ip4 => {
            let address: Option<Ipv4Addr> = given.as_str().and_then(|text| text.trim().parse().ok());
            wire.extend(address.ok_or_else(|| format!("must be an IPv4 address, not {given}"))?.octets());
        }
        Kind::Ip6 => {
            let address: Option<Ipv6Addr> = given.as_str().and_then(|text| text.trim().parse().ok());
            wire.extend(address.ok_or_else(|| format!("must be an IPv6 address, not {given}"))?.octets());
        }
        Kind::Name => wire.extend_from_slice(host(given)?.as_slice()),
        Kind::Tag => {
            let tag = text(given)?;
            if !is_tag(tag.as_bytes()) {
                return Err("must be 1 to 255 ASCII letters and digits".into());
            }
            wire.push(tag.len() as u8);
            wire.extend_from_slice(tag.as_bytes());
        }
        Kind::Quoted => wire.extend_from_slice(text(given)?.as_bytes()),
        Kind::CharStrs => match given {
            Value::Array(strings) if strings.is_empty() => return Err("must hold at least one string".into()),
            Value::Array(strings) => {
                for string in strings {
                    push_charstr(text(string)?.as_bytes(), wire)?;
                }
            }
            _ => push_split(text(given)?.as_bytes(), wire),
        },
        kind => return Err(format!("cannot be given in JSON ({kind:?})")),
    }
    Ok(())
}

/// The JSON value of a field; `None` if it holds text that is not UTF-8.
fn write(kind: Kind, octets: &[u8]) -> Option<Value> {
    let utf8 = |octets: &[u8]| Some(Value::String(std::str::from_utf8(octets).ok()?.into()));
    Some(match kind {
        Kind::U8 | Kind::U16 | Kind::Period => {
            octets.iter().fold(0_u32, |number, octet| number << 8 | u32::from(*octet)).into()
        }
        Kind::Ip4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string().into(),
        Kind::Ip6 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string().into(),
        Kind::Name => name::to_text(&Name::from_octets(Bytes::copy_from_slice(octets)).ok()?).into(),
        Kind::Tag => utf8(octets.get(1..)?)?,
        Kind::Quoted => utf8(octets)?,
        Kind::CharStrs => {
            let mut strings = Vec::new();
            let mut rest = octets;
            while !rest.is_empty() {
                let string = counted(rest).ok()?;
                rest = &rest[string.len() + 1..];
                strings.push(string);
            }
            // One string if splitting it anew gives the same octets, else the strings as they are.
            let joined = strings.concat();
            let mut again = Vec::with_capacity(octets.len());
            push_split(&joined, &mut again);
            match (again == octets).then(|| utf8(&joined)).flatten() {
                Some(text) => text,
                None => Value::Array(strings.into_iter().map(utf8).collect::<Option<_>>()?),
            }
        }
        _ => return None,
    })
}

/// A whole number, perhaps given as text.
fn number(given: &Value, max: u32) -> Result<u32, String> {
    let number = match given {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number <= max);
    number.ok_or_else(|| format!("must be a whole number from 0 to {max}, not {given}"))
}

/// Text. Numbers and booleans count as theirs: forms do not tell `"1"` from `1`.
fn text(given: &Value) -> Result<String, String> {
    match given {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(given.to_string()),
        _ => Err(format!("must be a string, not {given}")),
    }
}

/// An absolute name, with or without its final dot.
fn host(given: &Value) -> Result<Name, String> {
    let text = given.as_str().ok_or_else(|| format!("must be a name, not {given}"))?.trim();
    // Neither the origin of a zone file, nor a mail address that would become one odd label.
    if text.replace("\\@", "").contains('@') {
        return Err("must be a name in full; write the `@` of a mail address as a dot".into());
    }
    name::parse(text, Some(&Name::root_bytes())).map_err(|error| format!("is not a domain name: {error}"))
}

/// Appends a number in the width of its kind.
fn push_number(kind: Kind, number: u32, wire: &mut Vec<u8>) {
    let octets = number.to_be_bytes();
    let width = match kind {
        Kind::U8 => 1,
        Kind::U16 => 2,
        _ => 4,
    };
    wire.extend_from_slice(&octets[4 - width..]);
}

/// Appends one character-string.
fn push_charstr(octets: &[u8], wire: &mut Vec<u8>) -> Result<(), String> {
    wire.push(u8::try_from(octets.len()).map_err(|_| "has a string of more than 255 octets in its list")?);
    wire.extend_from_slice(octets);
    Ok(())
}

/// Appends text as character-strings of 255 octets, the last one shorter.
fn push_split(text: &[u8], wire: &mut Vec<u8>) {
    if text.is_empty() {
        wire.push(0);
    }
    for part in text.chunks(255) {
        wire.push(part.len() as u8);
        wire.extend_from_slice(part);
    }
}
