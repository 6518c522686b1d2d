//! The functions that expressions call, a row each.

use std::net::IpAddr;

use domain::base::iana::Opcode;
use store::types::rtype_to_text;
use store::{Name, name};

use super::{Facts, Value};
use crate::plugin::Transport;
use crate::plugin::corefile::Prefix;

/// What a function does with its arguments.
type Body = fn(&[Value], &Facts<'_>) -> Option<Value>;

/// A function.
#[derive(Clone, Copy)]
pub(super) struct Function {
    name: &'static str,
    /// How many arguments it takes.
    pub(super) arguments: usize,
    /// None if the arguments do not fit.
    body: Body,
}

impl Function {
    /// The function of a name.
    pub(super) fn find(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|function| function.name == name).copied()
    }

    /// Calls it.
    pub(super) fn call(self, arguments: &[Value], facts: &Facts<'_>) -> Result<Value, String> {
        (self.body)(arguments, facts).ok_or_else(|| format!("the arguments of {} do not fit", self.name))
    }
}

/// A row of the table.
const fn function(name: &'static str, arguments: usize, body: Body) -> Function {
    Function { name, arguments, body }
}

/// All functions: first those that tell of the query, then those over values.
const FUNCTIONS: &[Function] = &[
    function("bufsize", 0, |_, facts| {
        Some(Value::Number(facts.query.edns.map_or(512, |edns| edns.payload_size).into()))
    }),
    function("class", 0, |_, facts| Some(Value::Text(facts.query.qclass.to_string()))),
    function("client_ip", 0, |_, facts| Some(address(facts.arrival.client.ip()))),
    function("do", 0, |_, facts| Some(Value::Bool(facts.query.edns.is_some_and(|edns| edns.dnssec_ok)))),
    function("id", 0, |_, facts| Some(Value::Number(facts.query.id.into()))),
    function("name", 0, |_, facts| {
        let name = Name::from_octets(bytes::Bytes::copy_from_slice(facts.query.name.as_slice()));
        name.ok().map(|name| Value::Text(name::to_text(&name)))
    }),
    function("opcode", 0, |_, _| Some(Value::Number(Opcode::QUERY.to_int().into()))),
    function("port", 0, |_, facts| Some(Value::Text(facts.arrival.client.port().to_string()))),
    function("proto", 0, |_, facts| Some(Value::Text(Transport::network(facts.arrival.transport).into()))),
    function("server_ip", 0, |_, facts| Some(address(facts.arrival.local.ip()))),
    function("server_port", 0, |_, facts| Some(Value::Text(facts.arrival.local.port().to_string()))),
    function("size", 0, |_, facts| i64::try_from(facts.query.size).ok().map(Value::Number)),
    function("type", 0, |_, facts| Some(Value::Text(rtype_to_text(facts.query.qtype)))),
    // No plugin gives labels, and a label that is not there is empty.
    function("metadata", 1, |arguments, _| text(arguments, 0).map(|_| Value::Text(String::new()))),
    function("group", 1, |arguments, facts| {
        let wanted = match arguments.first()? {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            _ => return None,
        };
        let found = facts.groups.iter().rev().find(|(name, _)| *name == wanted);
        Some(Value::Text(found.map_or_else(String::new, |(_, text)| (*text).into())))
    }),
    function("incidr", 2, |arguments, _| {
        // What is no address is in no block.
        let prefix = Prefix::read(text(arguments, 1)?)?;
        let address = text(arguments, 0)?.parse::<IpAddr>();
        Some(Value::Bool(address.is_ok_and(|address| prefix.contains(address))))
    }),
    function("int", 1, |arguments, _| match arguments.first()? {
        Value::Text(text) => text.parse().ok().map(Value::Number),
        Value::Number(number) => Some(Value::Number(*number)),
        _ => None,
    }),
    function("join", 2, |arguments, _| {
        let Value::List(items) = arguments.first()? else { return None };
        Some(Value::Text(items.iter().map(Value::print).collect::<Vec<_>>().join(text(arguments, 1)?)))
    }),
    function("len", 1, |arguments, _| {
        let len = match arguments.first()? {
            Value::Text(text) => text.chars().count(),
            Value::List(items) => items.len(),
            _ => return None,
        };
        i64::try_from(len).ok().map(Value::Number)
    }),
    function("lower", 1, |arguments, _| Some(Value::Text(text(arguments, 0)?.to_lowercase()))),
    function("replace", 3, |arguments, _| {
        Some(Value::Text(text(arguments, 0)?.replace(text(arguments, 1)?, text(arguments, 2)?)))
    }),
    function("split", 2, |arguments, _| {
        let parts = text(arguments, 0)?.split(text(arguments, 1)?);
        Some(Value::List(parts.map(|part| Value::Text(part.into())).collect()))
    }),
    function("string", 1, |arguments, _| Some(Value::Text(arguments.first()?.print()))),
    function("trim", 1, |arguments, _| Some(Value::Text(text(arguments, 0)?.trim().into()))),
    function("upper", 1, |arguments, _| Some(Value::Text(text(arguments, 0)?.to_uppercase()))),
];

/// An argument that has to be a text.
fn text(arguments: &[Value], at: usize) -> Option<&str> {
    match arguments.get(at)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// An address as text.
fn address(address: IpAddr) -> Value {
    Value::Text(address.to_canonical().to_string())
}
