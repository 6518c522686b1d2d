//! The parameter `filter`: which items a list holds.
//!
//! Comparisons are joined by `&&`, which binds tighter, and `||`, and grouped by parentheses. Values compare as in the
//! database of PocketBase: truth is 1 or 0, numbers come before texts, and nothing equals the empty text.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;
use store::Timestamp;

use super::error::ApiError;
use super::sort::{compare, pointer};
use super::time;

/// A condition on records.
pub(super) enum Filter {
    /// All of them hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// Two values compare so.
    Compare(Operand, Operator, Operand),
}

/// A side of a comparison.
pub(super) enum Operand {
    /// A value of its own.
    Literal(Value),
    /// A field of the record, or a path into its content.
    Field {
        /// Where it stands, as JSON pointer (RFC 6901).
        pointer: String,
        /// Whether its letters are lowered.
        lower: bool,
    },
}

/// How two values have to compare.
#[derive(Clone, Copy)]
pub(super) enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `~`
    Like,
    /// `!~`
    NotLike,
}

impl Filter {
    /// Reads the parameter, a condition on `fields`; `now` is what the macros of time stand for.
    pub(super) fn parse(text: &str, now: Timestamp, fields: &[&str]) -> Result<Self, ApiError> {
        let mut parser = Parser { rest: text, now, fields, comparisons: 0 };
        let filter = Some(text).filter(|text| text.len() <= LENGTH_MAX).and_then(|_| parser.any(0));
        filter.filter(|_| parser.rest.is_empty()).ok_or_else(ApiError::malformed)
    }

    /// Whether a record, as JSON, meets the condition.
    pub(super) fn matches(&self, record: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Compare(left, operator, right) => {
                let (mut a, mut b) = (left.value(record), right.value(record));
                // Numeric text that meets the one numeric field is a number.
                if left.is_numeric() || right.is_numeric() {
                    (a, b) = (to_number(a), to_number(b));
                }
                operator.holds(&a, &b)
            }
        }
    }
}

impl Operand {
    /// The value for a record: nothing, a number or a text.
    fn value(&self, record: &Value) -> Value {
        let value = match self {
            Self::Literal(value) => value.clone(),
            Self::Field { pointer, lower } => match record.pointer(pointer).cloned().unwrap_or_default() {
                Value::String(text) if *lower => Value::from(text.to_ascii_lowercase()),
                value => value,
            },
        };
        match value {
            Value::Bool(truth) => Value::from(u8::from(truth)),
            Value::Array(_) | Value::Object(_) => Value::from(value.to_string()),
            value => value,
        }
    }

    /// Whether this is the field that holds numbers.
    fn is_numeric(&self) -> bool {
        matches!(self, Self::Field { pointer, lower: false } if pointer == "/ttl")
    }
}

impl Operator {
    /// Whether two values compare so.
    fn holds(self, a: &Value, b: &Value) -> bool {
        let is_blank = |value: &Value| value.is_null() || value == "";
        let is_equal = || (is_blank(a) && is_blank(b)) || compare(a, b) == Ordering::Equal;
        // Nothing has no order, and no text.
        let order = || Some(compare(a, b)).filter(|_| !a.is_null() && !b.is_null());
        let like = || Some(is_like(&text(a), &text(b))).filter(|_| !a.is_null() && !b.is_null());
        match self {
            Self::Equal => is_equal(),
            Self::NotEqual => !is_equal(),
            Self::Greater => order().is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
            Self::Less => order().is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order().is_some_and(Ordering::is_le),
            Self::Like => like() == Some(true),
            Self::NotLike => like() == Some(false),
        }
    }
}

/// The number of a numeric text; everything else stays.
fn to_number(value: Value) -> Value {
    value.as_str().and_then(number).unwrap_or(value)
}

/// A number in digits, with a sign and a fraction if it has them.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    match text.parse::<i64>() {
        Ok(number) => Some(Value::from(number)),
        Err(_) => text.parse::<f64>().ok().map(Value::from),
    }
}

/// The text that a pattern is held against.
fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    }
}

/// Whether a text is like a pattern, in which `%` stands for any octets and `_` for one character. A pattern without
/// `%` is looked for anywhere, and its `_` is itself. Letters match in both cases.
fn is_like(text: &str, pattern: &str) -> bool {
    let (glob, has_any) = glob(pattern);
    if !has_any {
        let part: String = glob.into_iter().map(|(c, _)| c).collect::<String>().to_ascii_lowercase();
        return text.to_ascii_lowercase().contains(&part);
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut next) = (0, 0);
    // Where to go on when what follows the last `%` does not match: after it, and one character later in the text.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match glob.get(next) {
            Some(('%', true)) => {
                retry = Some((at, next + 1));
                next += 1;
            }
            Some((c, wild)) if (*wild && *c == '_') || c.eq_ignore_ascii_case(&text[at]) => {
                at += 1;
                next += 1;
            }
            _ => match retry {
                None => return false,
                Some((from, after)) => {
                    retry = Some((from + 1, after));
                    (at, next) = (from + 1, after);
                }
            },
        }
    }
    glob[next..].iter().all(|part| *part == ('%', true))
}

/// The characters of a pattern, each with whether it is wild, and whether a `%` is; `\` takes that from `%`, `_` and `\`.
fn glob(pattern: &str) -> (Vec<(char, bool)>, bool) {
    let mut glob = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&escaped @ ('%' | '_' | '\\'))) => {
                let _ = chars.next();
                glob.push((escaped, false));
            }
            _ => glob.push((c, matches!(c, '%' | '_'))),
        }
    }
    let has_any = glob.contains(&('%', true));
    (glob, has_any)
}

/// What reads a filter, from left to right; `None` of its functions is a fault.
struct Parser<'a> {
    /// What is not read yet.
    rest: &'a str,
    /// The time of the macros.
    now: Timestamp,
    /// The names that are fields.
    fields: &'a [&'a str],
    /// Comparisons read so far.
    comparisons: usize,
}

impl<'a> Parser<'a> {
    /// Terms between `||`.
    fn any(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.all(depth)?];
        while self.take("||") {
            parts.push(self.all(depth)?);
        }
        Some(Filter::Any(parts))
    }

    /// Terms between `&&`.
    fn all(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.term(depth)?];
        while self.take("&&") {
            parts.push(self.term(depth)?);
        }
        Some(Filter::All(parts))
    }

    /// A comparison, or a group in parentheses.
    fn term(&mut self, depth: usize) -> Option<Filter> {
        if self.take("(") {
            let group = Some(depth + 1).filter(|depth| *depth <= DEPTH_MAX).and_then(|depth| self.any(depth))?;
            return self.take(")").then_some(group);
        }
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return None;
        }
        Some(Filter::Compare(self.operand()?, self.operator()?, self.operand()?))
    }

    /// An operator, with the `?` of "any of" or without: no field has more than one value.
    fn operator(&mut self) -> Option<Operator> {
        self.skip();
        self.rest = self.rest.strip_prefix('?').unwrap_or(self.rest);
        let (rest, operator) =
            OPERATORS.iter().find_map(|(sign, operator)| Some((self.rest.strip_prefix(sign)?, *operator)))?;
        self.rest = rest;
        self.skip();
        Some(operator)
    }

    /// A text, a number, a word, a macro or a field.
    fn operand(&mut self) -> Option<Operand> {
        self.skip();
        let first = self.rest.chars().next()?;
        match first {
            '\'' | '"' => self.quoted(first).map(|text| Operand::Literal(Value::from(text))),
            '-' | '0'..='9' => {
                let (sign, digits) = self.rest.split_at(usize::from(first == '-'));
                let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
                number(self.cut(sign.len() + end)).map(Operand::Literal)
            }
            'a'..='z' | 'A'..='Z' | '_' | '@' | '#' => {
                let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '@' | '#');
                let end = self.rest.find(|c| !is_inside(c)).unwrap_or(self.rest.len());
                let name = self.cut(end);
                named(name, self.now, self.fields)
            }
            _ => None,
        }
    }

    /// A text in quotes, of which `\` before the same quote makes one of the text.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if chars.peek().is_some_and(|(_, next)| *next == quote) => {
                    text.push(quote);
                    let _ = chars.next();
                }
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                _ => text.push(c),
            }
        }
        None
    }

    /// Takes this sign, if it is next, and what may be skipped around it.
    fn take(&mut self, sign: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes octets.
    fn cut(&mut self, end: usize) -> &'a str {
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }

    /// Goes past spaces, and past comments from `//` to the end of the line.
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
        while let Some(comment) = self.rest.strip_prefix("//") {
            self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        }
    }
}

/// What a name stands for.
fn named(name: &str, now: Timestamp, fields: &[&str]) -> Option<Operand> {
    let literal = |value| Some(Operand::Literal(value));
    match name {
        "null" => literal(Value::Null),
        "true" | "false" => literal(Value::from(name == "true")),
        _ if name.starts_with('@') => literal(moment(name, now)?),
        _ => {
            let (field, lower) = name.strip_suffix(":lower").map_or((name, false), |field| (field, true));
            Some(Operand::Field { pointer: pointer(field, fields)?, lower })
        }
    }
}

/// What a macro of time stands for.
fn moment(name: &str, now: Timestamp) -> Option<Value> {
    let text = time::to_text(now);
    let (year, month, day) = (&text[..4], &text[..7], &text[..10]);
    let (start, end) = ("00:00:00.000Z", "23:59:59.999Z");
    let part = |from: usize| number(&text[from..from + 2]);
    Some(match name {
        "@now" => Value::from(text),
        "@yesterday" => Value::from(time::to_text(now.saturating_sub(DAY))),
        "@tomorrow" => Value::from(time::to_text(now + DAY)),
        "@todayStart" => Value::from(format!("{day} {start}")),
        "@todayEnd" => Value::from(format!("{day} {end}")),
        "@monthStart" => Value::from(format!("{month}-01 {start}")),
        "@monthEnd" => {
            let days = (0..31).map(|days| time::to_text(now + days * DAY));
            let last = days.take_while(|day| day.starts_with(month)).last()?;
            Value::from(format!("{} {end}", &last[..10]))
        }
        "@yearStart" => Value::from(format!("{year}-01-01 {start}")),
        "@yearEnd" => Value::from(format!("{year}-12-31 {end}")),
        "@second" => part(17)?,
        "@minute" => part(14)?,
        "@hour" => part(11)?,
        "@day" => part(8)?,
        "@month" => part(5)?,
        // 1970-01-01 was a Thursday, and Sunday counts as 0.
        "@weekday" => Value::from((now / DAY + 4) % 7),
        "@year" => number(year)?,
        _ => return None,
    })
}

/// The operators; one that begins like another stands before it.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::NotEqual),
    ("!~", Operator::NotLike),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    ("~", Operator::Like),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

/// Octets of the longest filter, as PocketBase bounds them.
const LENGTH_MAX: usize = 3500;

/// Comparisons in one filter, as PocketBase bounds them.
const COMPARISONS_MAX: usize = 200;

/// Parentheses inside each other.
const DEPTH_MAX: usize = 100;

/// Milliseconds of a day.
const DAY: Timestamp = 86_400_000;

#[cfg(test)]
mod tests;
