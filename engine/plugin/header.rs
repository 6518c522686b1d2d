//! # header
//!
//! ## Name
//! *header* - sets and clears flags of queries and answers.
//!
//! ## Description
//! Sets or clears flags of the header: in queries before the plugins behind it see them, in answers before they are sent.
//! The rules are applied in their order, so the later one wins.
//!
//! ## Syntax
//! ```corefile
//! header {
//!     query ACTION FLAGS...
//!     response ACTION FLAGS...
//! }
//! ```
//! * `query` changes the query. RD is copied into the answer (RFC 1035 §4.1.1); the other flags matter to servers that
//!   the query is sent on to.
//! * `response` changes the answer. A line without either is one of `response`, with a warning.
//! * **ACTION** is `set` or `clear`.
//! * **FLAGS** are `aa` (authoritative), `ra` (recursion available) and `rd` (recursion desired).
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     header {
//!         response set ra
//!         query clear rd
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `forward`, `minimal`. RFC 1035 §4.1.1 has the flags.
//!
//! ## Bugs
//! What plugins before it answer, such as the errors of `acl`, is not changed. Errors of the plugins behind it are, where
//! CoreDNS leaves them as they are.

use super::corefile::{ConfigError, Directive, Token};
use super::{Context, Flow, Plugin, Setup};
use crate::wire::{Flag, Query, Response};

/// The plugin: flags and what they become.
#[derive(Default)]
struct Header {
    query: Vec<(Flag, bool)>,
    response: Vec<(Flag, bool)>,
}

/// Reads all rules of all lines.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut header = Header::default();
    for line in lines {
        if !line.args.is_empty() {
            return Err(line.wrong_argument_count());
        }
        line.flat()?;
        for rule in line.properties() {
            let (rules, action, flags) = match (&rule.name.text.to_ascii_lowercase()[..], &rule.args[..]) {
                ("query", [action, flags @ ..]) => (&mut header.query, action, flags),
                ("response", [action, flags @ ..]) => (&mut header.response, action, flags),
                ("set" | "clear", flags) => {
                    setup.services.warnings.push(format!(
                        "plugin/header: {}:{} names neither query nor response; it is taken as response",
                        rule.name.file, rule.name.line
                    ));
                    (&mut header.response, &rule.name, flags)
                }
                ("query" | "response", []) => return Err(fault(rule, "no flag action provided")),
                (other, _) => {
                    return Err(fault(rule, &format!("invalid selector={other} should be query or response")));
                }
            };
            let on = match &action.text.to_ascii_lowercase()[..] {
                "set" => true,
                "clear" => false,
                other => return Err(fault(rule, &format!("unknown flag action={other}, should be set or clear"))),
            };
            if flags.is_empty() {
                return Err(fault(rule, "invalid length for flags, at least one should be provided"));
            }
            for flag in flags {
                rules.push((read_flag(flag).map_err(|why| fault(rule, &why))?, on));
            }
        }
    }
    Ok(Some(Box::new(header)))
}

/// Reads the name of a flag.
fn read_flag(flag: &Token) -> Result<Flag, String> {
    match &flag.text.to_ascii_lowercase()[..] {
        "aa" => Ok(Flag::Authoritative),
        "ra" => Ok(Flag::RecursionAvailable),
        "rd" => Ok(Flag::RecursionDesired),
        other => Err(format!("unknown/unsupported flag={other}")),
    }
}

/// An error on a rule's line.
fn fault(rule: &Directive, why: &str) -> ConfigError {
    rule.error(format!("setting up rule: {why}"))
}

impl Plugin for Header {
    fn name(&self) -> &'static str {
        "header"
    }

    fn query(&self, _: &Query, response: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        for &(flag, on) in &self.query {
            response.set_query_flag(flag, on);
        }
        Flow::Next
    }

    fn response(&self, _: &Query, response: &mut Response<'_>, _: &mut Context<'_>) {
        for &(flag, on) in &self.response {
            response.set_flag(flag, on);
        }
    }
}
