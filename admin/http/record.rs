//! A row as a record of the API.

use serde_json::{Value, json};
use store::Rtype;
use store::{Name, Row, RowId, Written, name, types};

use super::collections::{RECORDS_ID, RECORDS_NAME};
use super::time;

/// The record of a row: names, type and content as their writer wrote them.
pub(super) fn to_json(row: &Row) -> Value {
    let written = written(row);
    json!({
        "collectionId": RECORDS_ID,
        "collectionName": RECORDS_NAME,
        "id": row.id.to_string(),
        "zone": written.zone,
        "name": written.name,
        "record_type": written.rtype,
        "ttl": row.ttl.unwrap_or(0),
        "content": content(row, &written.content),
        "created": time::to_text(row.created),
        "updated": time::to_text(row.updated),
    })
}

/// The text of a row: what a client wrote, else what its parts print as.
pub(super) fn written(row: &Row) -> Written {
    match &row.written {
        Some(written) => Written::clone(written),
        None => print(&row.zone, &row.owner, row.rtype, &row.rdata),
    }
}

/// What the parts of a row print as.
pub(super) fn print(zone: &Name, owner: &Name, rtype: Rtype, rdata: &[u8]) -> Written {
    Written {
        zone: name::to_text(zone),
        name: name::to_text(owner),
        rtype: types::rtype_to_text(rtype),
        content: types::rdata_to_content(rtype, rdata).to_string(),
    }
}

/// A row's id, if the text is one in its only form.
pub(super) fn id_from_text(text: &str) -> Option<RowId> {
    let is_plain = text.len() <= ID_LENGTH_MAX && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain && !text.starts_with('0'))
}

/// The content as value; that of the rdata if the text should be none.
fn content(row: &Row, text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| types::rdata_to_content(row.rtype, &row.rdata))
}

/// The fields of a record that can be sorted and filtered by.
pub(super) const FIELDS: [&str; 8] = ["id", "zone", "name", "record_type", "ttl", "content", "created", "updated"];

/// Digits of the longest id.
pub(super) const ID_LENGTH_MAX: usize = 18;
