//! A topic: which records a client is told of, and what of them.

use std::fmt::Write;

use serde_json::{Value, json};
use store::{Action, RowId};

use super::super::call::Query;
use super::super::fields::Fields;
use super::super::filter::Filter;
use super::super::{collections, json, record, time};

/// A topic about records.
pub(super) struct Topic {
    /// Exactly as the client wrote it: the name of its events.
    text: String,
    /// One record, or `None` for all.
    id: Option<RowId>,
    /// The records that count.
    filter: Option<Filter>,
    /// What is told of them.
    fields: Option<Fields>,
}

impl Topic {
    /// Reads `collection/*` or `collection/id`, perhaps with `?options=` and a JSON object. `None` for a topic of which
    /// nothing will ever be told; that is no error.
    pub(super) fn parse(text: String) -> Option<Self> {
        // A frame ends with the line.
        if text.contains(char::is_control) {
            return None;
        }
        let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
        let (collection, which) = path.split_once('/')?;
        if !collections::is_records(collection) {
            return None;
        }
        let id = match which {
            "*" => None,
            id => Some(record::id_from_text(id)?),
        };
        let options = match Query::parse(query).get("options") {
            Some(options) => json::read(&mut options.as_bytes().to_vec())?,
            None => Value::Null,
        };
        let option = |name: &str| options.pointer(&format!("/query/{name}")).and_then(Value::as_str);
        let filter = match option("filter").filter(|filter| !filter.is_empty()) {
            Some(filter) => Some(Filter::parse(filter, time::now(), &record::FIELDS).ok()?),
            None => None,
        };
        let fields = option("fields").and_then(Fields::parse);
        Some(Self { text, id, filter, fields })
    }

    /// Whether its client is told of a record.
    pub(super) fn wants(&self, id: RowId, record: &Value) -> bool {
        self.id.is_none_or(|wanted| wanted == id) && self.filter.as_ref().is_none_or(|filter| filter.matches(record))
    }

    /// Adds the frame that tells what was done to a record.
    pub(super) fn frame(&self, client: &str, action: Action, record: &Value, frames: &mut String) {
        let action = match action {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        };
        let mut record = record.clone();
        if let Some(fields) = &self.fields {
            fields.pick(&mut record);
        }
        let data = json!({ "action": action, "record": record });
        // Writing to a text does not fail.
        let _ = write!(frames, "id:{client}\nevent:{}\ndata:{data}\n\n", self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_choose_records_and_fields() {
        let record = json!({"id": "4711", "name": "www", "ttl": 60});
        let options = "%7B%22query%22%3A%7B%22filter%22%3A%22ttl%3E50%22%2C%22fields%22%3A%22name%22%7D%7D";
        for (text, wants, fields) in [
            ("coredns_records/*", Some(true), json!({"id": "4711", "name": "www", "ttl": 60})),
            ("pbc_186858105/*", Some(true), json!({"id": "4711", "name": "www", "ttl": 60})),
            ("coredns_records/4711", Some(true), json!({"id": "4711", "name": "www", "ttl": 60})),
            ("coredns_records/4712", Some(false), Value::Null),
            (&format!("coredns_records/*?options={options}"), Some(true), json!({"name": "www"})),
            (
                "coredns_records/*?options=%7B%22query%22%3A%7B%22filter%22%3A%22ttl%3C50%22%7D%7D",
                Some(false),
                Value::Null,
            ),
            ("coredns_records/*?options=%7B%22query%22%3A%7B%22filter%22%3A%22ttl%3C%22%7D%7D", None, Value::Null),
            ("coredns_records/*?options=x", None, Value::Null),
            ("coredns_records/abc", None, Value::Null),
            ("coredns_records", None, Value::Null),
            ("nope/*", None, Value::Null),
            ("coredns_records/*?x=\ndata:y", None, Value::Null),
            ("", None, Value::Null),
        ] {
            let topic = Topic::parse(text.into());
            assert_eq!(topic.as_ref().map(|topic| topic.wants(4711, &record)), wants, "{text}");
            if let Some(topic) = topic.filter(|_| wants == Some(true)) {
                let mut frames = String::new();
                topic.frame("me", Action::Delete, &record, &mut frames);
                let data = json!({"action": "delete", "record": fields});
                assert_eq!(frames, format!("id:me\nevent:{text}\ndata:{data}\n\n"));
            }
        }
    }
}
