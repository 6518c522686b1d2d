//! The parameter `fields`: which parts of an answer the client wants.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A level of wanted names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields {
    /// Whether all names of the level are wanted (`*`).
    all: bool,
    /// Wanted names, and what is wanted below each; an empty level there wants everything.
    named: BTreeMap<String, Self>,
    /// How the text here is cut.
    excerpt: Option<Excerpt>,
}

/// The modifier `:excerpt(max[,withEllipsis])`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Excerpt {
    /// Characters to keep.
    max: usize,
    /// Whether `...` follows a cut text.
    ellipsis: bool,
}

impl Fields {
    /// Reads the parameter; `None` if it wants nothing in particular. What cannot be understood is a name that no
    /// answer has.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = Self::default();
        for part in split(text) {
            let (path, modifier) = part.split_once(':').unwrap_or((part, ""));
            let mut level = &mut fields;
            for name in path.split('.').take(DEPTH_MAX) {
                if name == "*" {
                    level.all = true;
                }
                level = level.named.entry(name.into()).or_default();
            }
            level.excerpt = Excerpt::parse(modifier);
        }
        (fields != Self::default()).then_some(fields)
    }

    /// Takes away what is not wanted, of an object or of each object in an array.
    pub(super) fn pick(&self, value: &mut Value) {
        if let (Some(excerpt), Value::String(text)) = (self.excerpt, &mut *value) {
            excerpt.cut(text);
        }
        if !self.all && self.named.is_empty() {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.pick(item)),
            Value::Object(object) => {
                let picked = std::mem::take(object).into_iter().filter_map(|(name, mut value)| {
                    match (self.named.get(&name), self.named.get("*").filter(|_| self.all)) {
                        (Some(below), _) | (None, Some(below)) => below.pick(&mut value),
                        (None, None) => return None,
                    }
                    Some((name, value))
                });
                *object = picked.collect::<Map<_, _>>();
            }
            _ => {}
        }
    }
}

impl Excerpt {
    /// Reads `excerpt(max[,withEllipsis])`.
    fn parse(text: &str) -> Option<Self> {
        let arguments = text.trim().strip_prefix("excerpt(")?.strip_suffix(')')?;
        let (max, ellipsis) = arguments.split_once(',').unwrap_or((arguments, "false"));
        Some(Self { max: max.trim().parse().ok()?, ellipsis: matches!(ellipsis.trim(), "true" | "1" | "t") })
    }

    /// Cuts a text.
    fn cut(self, text: &mut String) {
        if let Some((end, _)) = text.char_indices().nth(self.max) {
            text.truncate(end);
            if self.ellipsis {
                text.push_str("...");
            }
        }
    }
}

/// The parts between commas outside of parentheses, trimmed, without empty ones.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    let parts = text.split(move |c| {
        match c {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        c == ',' && !is_inside
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// Names in one path.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wanted_parts_stay() {
        let record = json!({"id": "1", "name": "www", "content": {"host": "a.example.", "preference": 10, "list": [{"x": 1, "y": 2}]}});
        for (fields, expected) in [
            ("", record.clone()),
            (" , ", record.clone()),
            ("*", record.clone()),
            ("id", json!({"id": "1"})),
            ("id, name,nope", json!({"id": "1", "name": "www"})),
            ("content.preference", json!({"content": {"preference": 10}})),
            ("content.nope", json!({"content": {}})),
            ("content.list.x", json!({"content": {"list": [{"x": 1}]}})),
            ("*,content.preference", json!({"id": "1", "name": "www", "content": {"preference": 10}})),
            ("name:excerpt(2)", json!({"name": "ww"})),
            ("name:excerpt(2,true),id", json!({"id": "1", "name": "ww..."})),
            ("name:excerpt(3,true)", json!({"name": "www"})),
            ("nope", json!({})),
        ] {
            let mut value = record.clone();
            if let Some(fields) = Fields::parse(fields) {
                fields.pick(&mut value);
            }
            assert_eq!(value, expected, "{fields}");
        }
    }
}
