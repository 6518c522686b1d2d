//! The parameter `sort`: the order of a list.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::error::ApiError;

/// The keys of an order, the most important one first.
pub(super) struct Sort(Vec<Key>);

/// One key of an order.
struct Key {
    /// What is compared.
    by: By,
    /// Whether the greatest value comes first.
    descending: bool,
}

/// What a key compares.
enum By {
    /// The order of insertion.
    Insertion,
    /// Chance.
    Chance(RandomState),
    /// A field of the record, or a path into its content, as JSON pointer (RFC 6901).
    Pointer(String),
}

impl Sort {
    /// Reads the parameter: names of `fields` after commas, each with `-` before it to descend.
    pub(super) fn parse(text: &str, fields: &[&str]) -> Result<Self, ApiError> {
        let keys = text.split(',').take(KEYS_MAX + 1).map(|key| Key::parse(key.trim(), fields));
        let keys: Option<Vec<_>> = keys.collect();
        keys.filter(|keys| keys.len() <= KEYS_MAX).map(Self).ok_or_else(ApiError::malformed)
    }

    /// Puts items that stand in order of insertion into this order; equal ones keep theirs.
    pub(super) fn apply<T>(&self, items: Vec<T>, to_json: impl Fn(&T) -> Value) -> Vec<T> {
        let values = |(place, item)| (self.values(place, &to_json(&item)), item);
        let mut keyed: Vec<(Vec<Value>, T)> = items.into_iter().enumerate().map(values).collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        keyed.into_iter().map(|(_, item)| item).collect()
    }

    /// What is compared of an item.
    fn values(&self, place: usize, record: &Value) -> Vec<Value> {
        let value = |key: &Key| match &key.by {
            By::Insertion => Value::from(place),
            By::Chance(state) => Value::from(state.hash_one(place)),
            By::Pointer(pointer) => record.pointer(pointer).cloned().unwrap_or_default(),
        };
        self.0.iter().map(value).collect()
    }

    /// The order of two items by their values.
    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let orders = self.0.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| match key.descending {
            true => compare(b, a),
            false => compare(a, b),
        });
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl Key {
    /// Reads a key; `None` if there is no such field.
    fn parse(text: &str, fields: &[&str]) -> Option<Self> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let by = match name {
            "@rowid" => By::Insertion,
            "@random" => By::Chance(RandomState::new()),
            _ => By::Pointer(pointer(name, fields)?),
        };
        Some(Self { by, descending })
    }
}

/// Where one of the fields stands, or what a path into the content names; `None` if there is no such field.
pub(super) fn pointer(name: &str, fields: &[&str]) -> Option<String> {
    let has_content = fields.contains(&"content");
    let is_known = fields.contains(&name) || has_content && name.strip_prefix("content.").is_some_and(is_path);
    is_known.then(|| format!("/{}", name.replace('.', "/")))
}

/// Whether this is a path of plain names.
fn is_path(path: &str) -> bool {
    let is_plain = |name: &str| name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
    path.split('.').all(|name| !name.is_empty() && is_plain(name))
}

/// The order of two values: nothing, booleans, numbers, texts by their octets, and all else by its JSON.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(x), Value::Number(y)) => match (x.as_u64(), y.as_u64()) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.as_f64().partial_cmp(&y.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then_with(|| a.to_string().cmp(&b.to_string())),
    }
}

/// Where values of a kind stand among others.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) | Value::Object(_) => 4,
    }
}

/// Keys of one order, as PocketBase bounds them.
const KEYS_MAX: usize = 8;
