//! The values of templates and the functions over them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What operands and pipelines are worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i128),
    Bool(bool),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

/// A function that templates may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Index,
    Len,
    ParseInt,
    Print,
    Printf,
}

/// The functions by their names in templates.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("and", Function::And),
    ("or", Function::Or),
    ("not", Function::Not),
    ("eq", Function::Eq),
    ("ne", Function::Ne),
    ("lt", Function::Lt),
    ("le", Function::Le),
    ("gt", Function::Gt),
    ("ge", Function::Ge),
    ("index", Function::Index),
    ("len", Function::Len),
    ("parseInt", Function::ParseInt),
    ("print", Function::Print),
    ("printf", Function::Printf),
];

impl Value {
    /// The value as it is printed.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bool(is_true) => is_true.to_string(),
            Self::List(items) => format!("[{}]", items.join(" ")),
            Self::Map(items) => {
                let items: Vec<String> = items.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("map[{}]", items.join(" "))
            }
        }
    }

    /// Whether the value counts as true: it is neither empty nor zero.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0,
            Self::Bool(is_true) => *is_true,
            Self::List(items) => !items.is_empty(),
            Self::Map(items) => !items.is_empty(),
        }
    }

    /// How two values compare; they have to be of one kind.
    fn compare(&self, other: &Self) -> Result<std::cmp::Ordering, String> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Ok(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => Ok(one.cmp(other)),
            (Self::Bool(one), Self::Bool(other)) => Ok(one.cmp(other)),
            _ => Err("incompatible types for comparison".into()),
        }
    }
}

impl Function {
    /// Calls the function.
    pub(super) fn call(self, arguments: &[Value]) -> Result<Value, String> {
        use std::cmp::Ordering;
        let ordering = |holds: fn(Ordering) -> bool| match arguments {
            [one, other] => one.compare(other).map(|ordering| Value::Bool(holds(ordering))),
            _ => Err("a comparison takes two arguments".into()),
        };
        match (self, arguments) {
            (Self::And, [.., last]) => Ok(arguments.iter().find(|value| !value.holds()).unwrap_or(last).clone()),
            (Self::Or, [.., last]) => Ok(arguments.iter().find(|value| value.holds()).unwrap_or(last).clone()),
            (Self::Not, [value]) => Ok(Value::Bool(!value.holds())),
            (Self::Eq, [one, others @ ..]) if !others.is_empty() => {
                let same = others.iter().map(|other| one.compare(other).map(Ordering::is_eq));
                Ok(Value::Bool(same.collect::<Result<Vec<_>, _>>()?.contains(&true)))
            }
            (Self::Ne, _) => ordering(Ordering::is_ne),
            (Self::Lt, _) => ordering(Ordering::is_lt),
            (Self::Le, _) => ordering(Ordering::is_le),
            (Self::Gt, _) => ordering(Ordering::is_gt),
            (Self::Ge, _) => ordering(Ordering::is_ge),
            (Self::Index, [Value::List(items), Value::Number(index)]) => {
                let found = usize::try_from(*index).ok().and_then(|index| items.get(index));
                found.cloned().map(Value::Text).ok_or_else(|| format!("index out of range: {index}"))
            }
            (Self::Index, [Value::Map(items), Value::Text(key)]) => {
                Ok(Value::Text(items.get(key).cloned().unwrap_or_default()))
            }
            (Self::Len, [Value::Text(text)]) => Ok(Value::Number(text.len() as i128)),
            (Self::Len, [Value::List(items)]) => Ok(Value::Number(items.len() as i128)),
            (Self::Len, [Value::Map(items)]) => Ok(Value::Number(items.len() as i128)),
            (Self::ParseInt, [Value::Text(text), Value::Number(base), Value::Number(bits)]) => {
                parse_int(text, *base, *bits).map(Value::Number)
            }
            (Self::Print, _) => Ok(Value::Text(print(arguments))),
            (Self::Printf, [Value::Text(format), values @ ..]) => print_format(format, values).map(Value::Text),
            _ => Err(format!("wrong arguments for {self:?}")),
        }
    }
}

/// A number without sign in a base of 2 to 36 (0: by its prefix) that has so many bits at most (0: 64).
fn parse_int(text: &str, base: i128, bits: i128) -> Result<i128, String> {
    let invalid = || format!("parsing {text:?}: invalid syntax");
    let (digits, base) = match (base, text.as_bytes()) {
        (0, [b'0', b'x' | b'X', ..]) => (&text[2..], 16),
        (0, [b'0', b'b' | b'B', ..]) => (&text[2..], 2),
        (0, [b'0', b'o' | b'O', ..]) => (&text[2..], 8),
        (0, [b'0', _, ..]) => (&text[1..], 8),
        (0, _) => (text, 10),
        (base, _) => (text, u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).ok_or_else(invalid)?),
    };
    let bits = u32::try_from(bits).ok().filter(|&bits| bits <= 64).ok_or_else(invalid)?;
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(invalid());
    }
    let max = u64::MAX >> (64 - if bits == 0 { 64 } else { bits });
    let number = u64::from_str_radix(digits, base).ok().filter(|&number| number <= max);
    number.map(i128::from).ok_or_else(|| format!("parsing {text:?}: value out of range"))
}

/// Values behind each other, with a space between two of which neither is a text.
fn print(values: &[Value]) -> String {
    let mut output = String::new();
    for (index, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if index > 0 && !is_text(value) && !is_text(&values[index - 1]) {
            output.push(' ');
        }
        output.push_str(&value.print());
    }
    output
}

/// Values in the places of `%` verbs, each with flags `-` and `0` and a width.
fn print_format(format: &str, values: &[Value]) -> Result<String, String> {
    let mut output = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        output.push_str(before);
        let flags = after.find(|character| !matches!(character, '-' | '0')).unwrap_or(after.len());
        let (flags, after) = after.split_at(flags);
        let digits = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
        let (width, after) = after.split_at(digits);
        let width = if width.is_empty() { Ok(0) } else { width.parse() };
        let width = width.ok().filter(|&width| width <= WIDTH_MAX).ok_or("a width is too great")?;
        let verb = after.chars().next().ok_or("a verb is missing after %")?;
        rest = &after[verb.len_utf8()..];
        if verb == '%' {
            output.push('%');
            continue;
        }
        let text = match (verb, values.next()) {
            (_, None) => return Err(format!("printf has no value for %{verb}")),
            ('v', Some(value)) => value.print(),
            ('s', Some(value @ (Value::Text(_) | Value::List(_) | Value::Map(_)))) => value.print(),
            ('q', Some(Value::Text(text))) => format!("{text:?}"),
            ('t', Some(value @ Value::Bool(_))) => value.print(),
            ('d', Some(value @ Value::Number(_))) => value.print(),
            ('x', Some(Value::Number(number))) => format!("{number:x}"),
            ('X', Some(Value::Number(number))) => format!("{number:X}"),
            ('o', Some(Value::Number(number))) => format!("{number:o}"),
            ('b', Some(Value::Number(number))) => format!("{number:b}"),
            ('x', Some(Value::Text(text))) => text.bytes().fold(String::new(), |mut hex, octet| {
                // Writing into a String cannot fail.
                let _ = write!(hex, "{octet:02x}");
                hex
            }),
            (verb, Some(_)) => return Err(format!("%{verb} does not fit its value")),
        };
        let missing = usize::saturating_sub(width, text.chars().count());
        match (flags.contains('-'), flags.contains('0')) {
            (true, _) => output.extend(text.chars().chain(std::iter::repeat_n(' ', missing))),
            (false, zeros) => {
                output.extend(std::iter::repeat_n(if zeros { '0' } else { ' ' }, missing));
                output.push_str(&text);
            }
        }
    }
    output.push_str(rest);
    match values.next() {
        Some(_) => Err("printf has more values than verbs".into()),
        None => Ok(output),
    }
}

/// Characters that a value is filled up to at most: no record needs more.
const WIDTH_MAX: usize = 255;
