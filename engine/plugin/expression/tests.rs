//! The language of expressions, a line a rule.

use super::{Expression, Facts, Value};
use crate::plugin::{Arrival, Transport};
use crate::wire::Query;

/// The value of an expression for a query of 192.0.2.9 for `www.example. A`, with the variable `x`.
fn value(text: &str) -> Result<Value, String> {
    let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
    let query = Query::read(message).unwrap_or_else(|_| panic!("a query"));
    let arrival = Arrival {
        client: ([192, 0, 2, 9], 5353).into(),
        local: ([192, 0, 2, 53], 53).into(),
        transport: Transport::Tcp,
        listener: 0,
        idle: None,
    };
    let groups = [("1".to_owned(), "10-1"), ("ip".to_owned(), "10-1")];
    let facts = Facts { query: &query, arrival: &arrival, groups: &groups, variables: &[Value::Text("a".into())] };
    Expression::read(text, &["x".into()])?.evaluate(&facts)
}

#[test]
fn conditions_that_hold() {
    for text in [
        "incidr(client_ip(), '192.0.2.0/24') && type() == 'A'",
        "name() == \"www.example.\" and class() == 'IN' and proto() == 'tcp' and !do()",
        "bufsize() == 512 and id() == 1 or id() == 4660",
        "server_ip() == '192.0.2.53' && server_port() == '53' && port() == '5353' && opcode() == 0 && size() == 29",
        "not incidr('nonsense', '::/0') && metadata('view/name') == ''",
        "replace(group('ip'), '-', '.') == '10.1' && group(1) == '10-1' && group('none') == ''",
        "any(['10.0.0.0/8', '192.0.2.0/24'], incidr(client_ip(), #))",
        "all([1, 2, 3], { # > 0 }) && none([1, 2], # == 3) && !any([], true)",
        "type() in ['A', 'AAAA'] && 'B' not in ['A'] && x == 'a'",
        "name() matches '^www[.]' && !(name() matches 'z') && name() not matches 'z'",
        "name() startsWith 'www' && name() endsWith '.' && name() contains 'ex'",
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 7 % 4 - -1 == 4 && 7 / 2 == 3",
        "split(name(), '.')[1] == 'example' && [1, 2][-1] == 2 && len('abc') == 3",
        "false ? false : true",
        "'a' + 'b' == \"ab\" && 'it\\'s' == \"it's\" && 'a' < 'b' && 1 <= 1",
        "upper('a') + lower('B') + trim(' c ') + string(1) + join(['x', 2], '-') == 'Abc1x-2' && int('7') > 6",
        "true || [][0] == 1",
    ] {
        assert_eq!(value(text), Ok(Value::Bool(true)), "{text}");
    }
}

#[test]
fn faults_are_found_when_an_expression_is_read() {
    for (text, fault) in [
        ("", "it ends too early"),
        ("1 +", "it ends too early"),
        ("y == 1", "unknown name y"),
        ("other()", "unknown function other"),
        ("incidr('a')", "incidr takes 2 arguments and not 1"),
        ("(1", "\")\" is missing"),
        ("[1 2]", "\",\" is missing"),
        ("# == 1", "unexpected \"#\""),
        ("any([1])", "\",\" is missing"),
        ("name() matches x", "matches needs a pattern in quotes"),
        ("'a", "a quote is not closed"),
        ("1 1", "unexpected Number(1)"),
        ("1 ? 2", "\":\" is missing"),
        ("a ~ b", "unexpected '~'"),
    ] {
        assert_eq!(Expression::read(text, &["x".into()]).err().as_deref(), Some(fault), "{text}");
    }
    assert!(Expression::read("name() matches '('", &[]).is_err());
    for deep in ["(", "!", "[", "-"] {
        assert!(Expression::read(&deep.repeat(100_000), &[]).is_err(), "{deep}");
    }
}

#[test]
fn faults_of_values_are_found_when_an_expression_is_evaluated() {
    for text in [
        "!1",
        "1 && true",
        "-'a'",
        "1 < 'a'",
        "1 / 0",
        "9223372036854775807 + 1",
        "[1][1]",
        "[1][-2]",
        "int('x')",
        "incidr('192.0.2.1', 'nonsense')",
        "any('a', true)",
        "len(1)",
    ] {
        assert!(value(text).is_err(), "{text}");
    }
}
