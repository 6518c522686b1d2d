//! Expressions over a query, as conditions and values in the Corefile: `incidr(client_ip(), '192.0.2.0/24') && do()`.
//!
//! [`Expression::read`] reads one at set-up, when unknown names and functions are found; [`Expression::evaluate`] gives its
//! value for a query. It is the part of the expr language that conditions on queries need: literals and lists, `? :`,
//! `||`, `&&`, `!` (`or`, `and`, `not`), comparisons, `in`, `contains`, `startsWith`, `endsWith`, `matches`, arithmetic,
//! `[index]`, calls, and `any`, `all`, `none` with `#` for the element. Nothing loops but these over lists.

mod functions;
mod parser;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use regex::Regex;

use super::Arrival;
use crate::wire::Query;
use functions::Function;

/// An expression that has been read.
pub(super) struct Expression(Node);

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Bool(bool),
    /// Values in order.
    List(Vec<Self>),
}

/// What expressions may ask about.
pub(super) struct Facts<'f> {
    /// The query.
    pub(super) query: &'f Query,
    /// How it came.
    pub(super) arrival: &'f Arrival,
    /// What `group` finds: parts of the name by number and by name.
    pub(super) groups: &'f [(String, &'f str)],
    /// Values with names, in the order in which they were given to [`Expression::read`].
    pub(super) variables: &'f [Value],
}

/// A part of an expression.
enum Node {
    Value(Value),
    /// By its place among the variables.
    Variable(usize),
    /// `#`.
    Element,
    List(Vec<Self>),
    Not(Box<Self>),
    Negative(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    Binary(&'static str, Box<Self>, Box<Self>),
    Matches(Box<Self>, Box<Regex>),
    Index(Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
    /// `any`, `all` or `none` over a list.
    Over(&'static str, Box<Self>, Box<Self>),
}

impl Expression {
    /// Reads an expression that may use these variables; on an error says what is wrong with it.
    pub(super) fn read(text: &str, variables: &[String]) -> Result<Self, String> {
        parser::read(text, variables).map(Self)
    }

    /// The expression's value; on an error says what went wrong.
    pub(super) fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, String> {
        self.0.evaluate(facts, None)
    }

    /// Whether the condition holds; an error if it is none.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        self.evaluate(facts)?.truth()
    }
}

impl Value {
    /// The value as text.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bool(is_true) => is_true.to_string(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::print).collect::<Vec<_>>().join(" ")),
        }
    }

    /// The value as a condition.
    fn truth(&self) -> Result<bool, String> {
        match self {
            Self::Bool(is_true) => Ok(*is_true),
            other => Err(format!("{} is neither true nor false", other.print())),
        }
    }
}

impl Node {
    /// The value of this part; `element` is what `#` stands for.
    fn evaluate(&self, facts: &Facts<'_>, element: Option<&Value>) -> Result<Value, String> {
        let value = |node: &Self| node.evaluate(facts, element);
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::Variable(at) => facts.variables.get(*at).cloned().ok_or("a variable has no value yet")?,
            Self::Element => element.cloned().ok_or("# stands outside any, all and none")?,
            Self::List(items) => Value::List(items.iter().map(value).collect::<Result<_, _>>()?),
            Self::Not(of) => Value::Bool(!value(of)?.truth()?),
            Self::Negative(of) => match value(of)? {
                Value::Number(number) => Value::Number(number.wrapping_neg()),
                other => return Err(format!("{} is no number", other.print())),
            },
            Self::Or(one, other) => Value::Bool(value(one)?.truth()? || value(other)?.truth()?),
            Self::And(one, other) => Value::Bool(value(one)?.truth()? && value(other)?.truth()?),
            Self::Choice(condition, yes, no) => value(if value(condition)?.truth()? { yes } else { no })?,
            Self::Binary(operator, one, other) => operate(operator, &value(one)?, &value(other)?)?,
            Self::Matches(text, pattern) => match value(text)? {
                Value::Text(text) => Value::Bool(pattern.is_match(&text)),
                other => return Err(format!("{} is no text", other.print())),
            },
            Self::Index(list, at) => match (value(list)?, value(at)?) {
                (Value::List(items), Value::Number(at)) => {
                    // A negative index counts from the end.
                    let from_end = usize::try_from(at.unsigned_abs()).ok().and_then(|at| items.len().checked_sub(at));
                    let at = if at < 0 { from_end } else { usize::try_from(at).ok() };
                    at.and_then(|at| items.get(at)).cloned().ok_or("index out of range")?
                }
                _ => return Err("an index needs a list and a number".into()),
            },
            Self::Call(function, arguments) => {
                let arguments = arguments.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                function.call(&arguments, facts)?
            }
            Self::Over(kind, list, condition) => {
                let Value::List(items) = value(list)? else { return Err(format!("{kind} needs a list")) };
                // What decides: the first element that fails `all`, or that fits `any` and `none`.
                let decides = *kind != "all";
                for item in &items {
                    if condition.evaluate(facts, Some(item))?.truth()? == decides {
                        return Ok(Value::Bool(*kind == "any"));
                    }
                }
                Value::Bool(*kind != "any")
            }
        })
    }
}

/// The value of an operator between two values.
fn operate(operator: &str, one: &Value, other: &Value) -> Result<Value, String> {
    let unfit = || format!("{operator} does not fit {} and {}", one.print(), other.print());
    let overflow = || format!("{operator} gives no number of 64 bits");
    let ordering = match (one, other) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => Some(one.cmp(other)),
        _ => None,
    };
    let ordered = |holds: fn(Ordering) -> bool| ordering.map(|ordering| Value::Bool(holds(ordering))).ok_or_else(unfit);
    match (operator, one, other) {
        ("==", _, _) => Ok(Value::Bool(one == other)),
        ("!=", _, _) => Ok(Value::Bool(one != other)),
        ("<", _, _) => ordered(Ordering::is_lt),
        ("<=", _, _) => ordered(Ordering::is_le),
        (">", _, _) => ordered(Ordering::is_gt),
        (">=", _, _) => ordered(Ordering::is_ge),
        ("in", one, Value::List(items)) => Ok(Value::Bool(items.contains(one))),
        ("contains", Value::Text(one), Value::Text(other)) => Ok(Value::Bool(one.contains(&other[..]))),
        ("startsWith", Value::Text(one), Value::Text(other)) => Ok(Value::Bool(one.starts_with(&other[..]))),
        ("endsWith", Value::Text(one), Value::Text(other)) => Ok(Value::Bool(one.ends_with(&other[..]))),
        ("+", Value::Text(one), Value::Text(other)) => Ok(Value::Text(format!("{one}{other}"))),
        (_, Value::Number(one), Value::Number(other)) => {
            let number = match operator {
                "+" => one.checked_add(*other),
                "-" => one.checked_sub(*other),
                "*" => one.checked_mul(*other),
                "/" => one.checked_div(*other),
                "%" => one.checked_rem(*other),
                _ => return Err(unfit()),
            };
            number.map(Value::Number).ok_or_else(overflow)
        }
        _ => Err(unfit()),
    }
}
