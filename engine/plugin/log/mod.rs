//! # log
//!
//! ## Name
//! *log* - logs queries.
//!
//! ## Description
//! Writes a line to standard output after each answer. A name below several of the listed names is logged by the first
//! line of the block that lists one of its ancestors.
//!
//! ## Syntax
//! ```corefile
//! log [NAMES...] [FORMAT] {
//!     class CLASSES...
//! }
//! ```
//! * **NAMES** are the names at and below which queries are logged; all of them by default.
//! * **FORMAT** is the form of the line; it is told from a name by a `{`. `{common}` by default.
//! * `class` limits the line to answers of these classes: `success`, `denial` (NXDOMAIN or no data), `error` (any other
//!   rcode), or `all`, the default.
//!
//! A format is text with these fields:
//! * `{type}`, `{name}`, `{class}`: the question
//! * `{proto}`: `udp` or `tcp`
//! * `{remote}`, `{port}`, `{local}`: the client's address and port, and the address it asked (IPv6 in brackets)
//! * `{size}`, `{rsize}`: octets of the query and of the answer
//! * `{rcode}`, `{duration}`: the answer's code, and the seconds it took
//! * `{>id}`, `{>opcode}`, `{>do}`, `{>bufsize}`: id, opcode, DO bit and EDNS size of the query
//! * `{>rflags}`: the flags of the answer, of `qr`, `aa`, `tc`, `rd`, `ra`, `ad` and `cd` those that are set
//! * `{/LABEL}`: a label of metadata, `-` while there is none
//! * `{common}` = `{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}`
//! * `{combined}` = `{common} "{>opcode}"`
//!
//! Anything else in braces stays as it is.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     whoami
//!     log example.org {combined} {
//!         class denial error
//!     }
//! }
//! ```
//!
//! ## Metrics
//! `zonda_log_lines_dropped_total`: lines that were not written because the log could not take them.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `errors`, `prometheus`, `debug`.
//!
//! ## Bugs
//! There are no labels of metadata, so `{/LABEL}` is always `-`. Under a flood of queries lines are dropped rather than
//! queries held up, and a line is cut at 8,192 octets. A single argument with a `{` in it is the format, where CoreDNS
//! takes it for a name.

mod format;

use domain::base::iana::{OptRcode, Rtype};
use store::{Name, name};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup};
use crate::log::Level;
use crate::wire::{Query, Response, Section};
use format::Format;

/// The plugin: its lines in the order of the Corefile.
struct Log {
    rules: Vec<Rule>,
}

/// One `log` line.
struct Rule {
    /// Names in lower-case wire form; a query at or below one of them is meant.
    names: Vec<Box<[u8]>>,
    format: Format,
    classes: Classes,
}

/// Which kinds of answers are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Classes {
    success: bool,
    denial: bool,
    error: bool,
}

/// Reads all `log` lines of a block.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let rules = lines.iter().map(Rule::read).collect::<Result<_, _>>()?;
    Ok(Some(Box::new(Log { rules })))
}

impl Rule {
    /// Reads one line and its block.
    fn read(line: &Directive) -> Result<Self, ConfigError> {
        let (names, format) = match &line.args[..] {
            [names @ .., format] if format.text.contains('{') => (names, Format::parse(&format.text)),
            names => (names, Format::parse("{common}")),
        };
        let mut names = names
            .iter()
            .map(|token| name::parse(&token.text, Some(&Name::root_bytes())).map_err(|why| token.error(why)))
            .collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            names.push(Name::root_bytes());
        }
        let mut classes = Classes { success: false, denial: false, error: false };
        for property in line.properties() {
            if property.name.text != "class" {
                return Err(property.unknown_property());
            }
            if property.args.is_empty() {
                return Err(property.wrong_argument_count());
            }
            for class in &property.args {
                match &class.text[..] {
                    "success" => classes.success = true,
                    "denial" => classes.denial = true,
                    "error" => classes.error = true,
                    "all" => classes = Classes::ALL,
                    other => return Err(ConfigError::plain(format!("invalid Class: {other}"))),
                }
            }
        }
        if classes == (Classes { success: false, denial: false, error: false }) {
            classes = Classes::ALL;
        }
        let names = names.iter().map(|name| name.as_slice().to_ascii_lowercase().into()).collect();
        Ok(Self { names, format, classes })
    }

    /// Whether the query's name is at or below one of the rule's names.
    fn covers(&self, query: &Query) -> bool {
        self.names.iter().any(|wanted| query.name.is_below(wanted))
    }
}

impl Classes {
    /// Every answer.
    const ALL: Self = Self { success: true, denial: true, error: true };

    /// Whether this answer is of one of the classes.
    fn hold(self, response: &Response<'_>) -> bool {
        // No answer but an SOA (RFC 2308 §2.2), whoever gave it; a referral has none.
        let no_data = response.records(Section::Answer) == 0
            && response.walk(Section::Authority).any(|record| record.rtype == Rtype::SOA);
        match response.rcode {
            OptRcode::NOERROR if no_data => self.denial,
            OptRcode::NOERROR => self.success,
            OptRcode::NXDOMAIN => self.denial,
            _ => self.error,
        }
    }
}

impl Plugin for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn watches(&self) -> bool {
        true
    }

    fn wants_time(&self) -> bool {
        true
    }

    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn response(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        if let Some(rule) = self.rules.iter().find(|rule| rule.covers(query))
            && rule.classes.hold(response)
        {
            crate::log::query_line(Level::Info, |line| rule.format.write(line, query, response, context));
        }
    }
}
