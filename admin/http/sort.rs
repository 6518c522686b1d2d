//! The parameter `sort`: the order of a list of records.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;
use store::Row;

use super::error::ApiError;
use super::record;

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
    /// Reads the parameter: names after commas, each with `-` before it to descend.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let keys: Option<Vec<_>> = text.split(',').take(KEYS_MAX + 1).map(|key| Key::parse(key.trim())).collect();
        keys.filter(|keys| keys.len() <= KEYS_MAX).map(Self).ok_or_else(ApiError::malformed)
    }

    /// Puts rows that stand in order of insertion into this order; equal ones keep theirs.
    pub(super) fn apply(&self, rows: Vec<Row>) -> Vec<Row> {
        let mut keyed: Vec<(Vec<Value>, Row)> =
            rows.into_iter().enumerate().map(|(place, row)| (self.values(place, &row), row)).collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    /// What is compared of a row.
    fn values(&self, place: usize, row: &Row) -> Vec<Value> {
        let record = record::to_json(row);
        let value = |key: &Key| match &key.by {
            By::Insertion => Value::from(place),
            By::Chance(state) => Value::from(state.hash_one(row.id)),
            By::Pointer(pointer) => record.pointer(pointer).cloned().unwrap_or_default(),
        };
        self.0.iter().map(value).collect()
    }

    /// The order of two rows by their values.
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
    fn parse(text: &str) -> Option<Self> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let by = match name {
            "@rowid" => By::Insertion,
            "@random" => By::Chance(RandomState::new()),
            _ => By::Pointer(pointer(name)?),
        };
        Some(Self { by, descending })
    }
}

/// Where a field of a record stands, or what a path into its content names; `None` if there is no such field.
pub(super) fn pointer(name: &str) -> Option<String> {
    let is_known = FIELDS.contains(&name) || name.strip_prefix("content.").is_some_and(is_path);
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

/// The fields of a record that can be sorted and filtered by.
const FIELDS: [&str; 8] = ["id", "zone", "name", "record_type", "ttl", "content", "created", "updated"];

/// Keys of one order, as PocketBase bounds them.
const KEYS_MAX: usize = 8;

/// Records that are filtered or put into another order than that of insertion: all of them are held in memory for it.
pub(super) const ROWS_MAX: u64 = 100_000;
