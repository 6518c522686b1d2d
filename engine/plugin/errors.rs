//! # errors
//!
//! ## Name
//! *errors* - logs why queries could not be answered.
//!
//! ## Description
//! Logs why a query could not be answered, as `CODE NAME. TYPE: plugin/PLUGIN: reason` on standard output.
//!
//! ## Syntax
//! ```corefile
//! errors [stdout] {
//!     stacktrace
//!     consolidate DURATION REGEX [LEVEL] [show_first]
//! }
//! ```
//! * `stdout` is where the lines go; it is the only place.
//! * `stacktrace` is accepted for compatibility: a panic always leaves its place in the log.
//! * `consolidate` counts the errors that **REGEX** matches and logs one line with their number after **DURATION**,
//!   which is more than 0. Those that are left are told when the configuration changes or the server stops. **LEVEL** of
//!   that line is `error` (the default), `warning`, `info` or `debug`; with `show_first` the first error of each duration
//!   is logged as well. Of several lines the first that matches counts.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     errors {
//!         consolidate 5m ".* no next plugin found$" warning
//!     }
//!     chaos
//! }
//! ```
//!
//! ## Metrics
//! None; lines that were not written because the log could not take them are `zonda_log_lines_dropped_total`.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `log`, `debug`.
//!
//! ## Bugs
//! `stacktrace` changes nothing. A pattern has up to 10,000 characters, and knows neither look-around nor
//! back-references. Under a flood of errors lines are dropped rather than queries held up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::base::iana::OptRcode;
use regex::Regex;
use store::name;
use store::types::write_rtype;

use super::corefile::{ConfigError, Directive, duration};
use super::{Context, Flow, Plugin, Setup, Task};
use crate::log::{self, Level};
use crate::wire::{Query, Response};

/// The plugin.
struct Errors {
    patterns: Vec<Arc<Pattern>>,
}

/// A `consolidate` line.
struct Pattern {
    regex: Regex,
    level: Level,
    show_first: bool,
    every: Duration,
    count: AtomicU64,
}

/// Reads the directive and registers the reports of its `consolidate` lines.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    match &line.args[..] {
        [] => {}
        [only] if only.text == "stdout" => {}
        [other] => return Err(ConfigError::plain(format!("invalid log file: {}", other.text))),
        _ => return Err(line.wrong_argument_count()),
    }
    let mut patterns = Vec::new();
    for property in line.properties() {
        match &property.name.text[..] {
            "stacktrace" => property.no_arguments()?,
            "consolidate" => patterns.push(Arc::new(Pattern::read(property)?)),
            _ => return Err(property.unknown_property()),
        }
    }
    for pattern in &patterns {
        let reporter = Reporter(Arc::clone(pattern));
        setup.services.tasks.push(Task { every: pattern.every, run: Box::new(move || reporter.0.report()) });
    }
    Ok(Some(Box::new(Errors { patterns })))
}

impl Pattern {
    /// Reads one line.
    fn read(line: &Directive) -> Result<Self, ConfigError> {
        let [every, regex, options @ ..] = &line.args[..] else { return Err(line.wrong_argument_count()) };
        let (mut level, mut show_first) = (Level::Error, false);
        for option in options {
            match &option.text[..] {
                "show_first" => show_first = true,
                "error" => level = Level::Error,
                "warning" => level = Level::Warning,
                "info" => level = Level::Info,
                "debug" => level = Level::Debug,
                other => return Err(option.error(format!("unknown log level argument in consolidate: {other}"))),
            }
        }
        if regex.text.len() > REGEX_MAX {
            return Err(regex.error(format!("the pattern is longer than {REGEX_MAX} characters")));
        }
        let pause = duration(every)?;
        if pause.is_zero() {
            return Err(every.error("consolidate duration must be greater than 0"));
        }
        Ok(Self {
            regex: Regex::new(&regex.text).map_err(|why| regex.error(why))?,
            level,
            show_first,
            every: pause,
            count: AtomicU64::new(0),
        })
    }

    /// Logs how many errors there were since the last report.
    fn report(&self) {
        let count = self.count.swap(0, Ordering::Relaxed);
        if count > 0 {
            let (regex, every) = (self.regex.as_str(), span(self.every));
            log::write(self.level, &format!("plugin/errors: {count} errors like '{regex}' occurred in last {every}"));
        }
    }
}

/// Reports from time to time, and what is left when the configuration goes.
struct Reporter(Arc<Pattern>);

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.report();
    }
}

impl Plugin for Errors {
    fn name(&self) -> &'static str {
        "errors"
    }

    fn watches(&self) -> bool {
        true
    }

    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn response(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        let Some(failure) = context.failure.take() else { return };
        let reason = format!("plugin/{}: {}", failure.plugin, failure.text);
        match self.patterns.iter().find(|pattern| pattern.regex.is_match(&reason)) {
            Some(pattern) if pattern.count.fetch_add(1, Ordering::Relaxed) > 0 || !pattern.show_first => {}
            pattern => {
                let level = pattern.map_or(Level::Error, |pattern| pattern.level);
                log::query_line(level, |text| write(text, query, response.rcode, &reason));
            }
        }
    }
}

/// Writes the line of one error.
fn write(line: &mut impl fmt::Write, query: &Query, rcode: OptRcode, reason: &str) -> fmt::Result {
    write!(line, "plugin/errors: {} ", rcode.to_int())?;
    name::write_text(line, query.name.iter())?;
    line.write_char(' ')?;
    write_rtype(line, query.qtype)?;
    write!(line, ": {reason}")
}

/// A duration as the Corefile's language prints it: `5m0s`, `1h0m0s`, `1.5s`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let last = duration.as_secs_f64() - (seconds - seconds % 60) as f64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) if duration < Duration::from_secs(1) => format!("{}ms", duration.as_secs_f64() * 1000.0),
        (0, 0) => format!("{last}s"),
        (0, minutes) => format!("{minutes}m{last}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}s"),
    }
}

/// Characters of a pattern at most.
const REGEX_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use crate::plugin::corefile::Corefile;
    use crate::plugin::setup;
    use crate::zone::Hub;

    #[test]
    fn errors_are_not_reported_without_a_pause() {
        for (every, expected) in [("0", true), ("0s", true), ("0.1ns", true), ("1ms", false)] {
            let text = format!("example.org {{\nerrors {{\nconsolidate {every} x\n}}\n}}\n");
            let corefile = Corefile::parse_text("Corefile", &text).unwrap();
            let fault = setup(&corefile, &Hub::new(), &|_| None).err().map(|faults| faults[0].to_string());
            let error = "plugin/errors: Corefile:3 - Error during parsing: consolidate duration must be greater than 0";
            assert_eq!(fault.as_deref(), expected.then_some(error), "{every}");
        }
    }
}
