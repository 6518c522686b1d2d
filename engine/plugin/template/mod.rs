//! # template
//!
//! ## Name
//! *template* - makes answers from the names of questions.
//!
//! ## Description
//! Makes answers from questions: patterns pick the names, templates write the records. Several lines are asked in their
//! order; a line that is for another zone, class or type is passed over. Answers are authoritative. A template that fails,
//! or does not write a record, gives SERVFAIL.
//!
//! ## Syntax
//! ```corefile
//! template CLASS TYPE [ZONES...] {
//!     match REGEX...
//!     var NAME EXPRESSION
//!     expr EXPRESSION
//!     answer RR...
//!     additional RR...
//!     authority RR...
//!     rcode CODE
//!     ederror NUMBER [TEXT]
//!     fallthrough [ZONES...]
//! }
//! ```
//! * **CLASS** is the class of questions, mostly `IN`; `ANY` is all.
//! * **TYPE** is the type of questions; `ANY` is all.
//! * **ZONES** are the zones that questions have to be in, those of the server block by default.
//! * `match` gives patterns for the question's name, which is in lower case and ends with a dot; the first that matches
//!   counts. Patterns match anywhere in the name unless `^` and `$` hold them. All names match by default.
//! * `var` gives a name to the value of an expression, for the expressions below it and for templates (`.Var.NAME`).
//! * `expr` is a condition; where it does not hold, it is as if no pattern matched.
//! * `answer`, `additional` and `authority` are templates of records in the form of zone files, each of one record. A TTL
//!   that is left out is 3600.
//! * `rcode` is the code of the answer, such as `NXDOMAIN`; `NOERROR` by default.
//! * `ederror` tells clients that speak EDNS why (RFC 8914): a number from 0 to 65535 and perhaps a
//!   text.
//! * `fallthrough` lets the next line, and after the last the next plugin, have names that no pattern matches; with
//!   **ZONES** only those at or below them. Without it they get SERVFAIL.
//!
//! A template is text with actions between `{{` and `}}`, a part of Go's text/template:
//! * `.Name`, `.Class`, `.Type`: the question; also `.Question.Name`, and the numbers `.Question.Qtype` and
//!   `.Question.Qclass`
//! * `.Zone`: the zone that the question is in
//! * `.Remote`: the client's address
//! * `index .Match 1`, `.Group.NAME`: what a group of the pattern found, by its number or its name
//! * `.Var.NAME`: what `var` gave a name to
//! * `.Meta "LABEL"`: a label of metadata, empty while there is none
//! * `parseInt TEXT BASE BITS`: a number
//! * `if`, `else if`, `else`, `end`; variables (`$x := …`), pipelines (`… | …`), parentheses, and the functions `and`, `or`,
//!   `not`, `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `index`, `len`, `print` and `printf`
//!
//! Expressions are made of numbers, texts in quotes, lists (`['a', 'b']`), names of variables, `||`, `&&`, `!`, `==`, `!=`,
//! `<`, `<=`, `>`, `>=`, `in`, `contains`, `startsWith`, `endsWith`, `matches` (with a pattern in quotes), `+`, `-`, `*`, `/`,
//! `%`, `? :`, `[index]` and these functions:
//! * `name()`, `type()`, `class()`, `id()`, `opcode()`, `size()`, `do()`, `bufsize()`: the query
//! * `client_ip()`, `port()`, `server_ip()`, `server_port()`, `proto()`: how it came
//! * `group(NAME)`: what a group of the pattern found; `metadata(LABEL)`: empty
//! * `incidr(ADDRESS, CIDR)`: whether an address is in a block
//! * `any(LIST, CONDITION)`, `all(…)`, `none(…)`, in whose condition `#` is the element
//! * `int`, `join`, `len`, `lower`, `replace`, `split`, `string`, `trim` and `upper` of values
//!
//! Loops in templates, and templates that call templates, are not there. `{{$x}}` is a variable of the environment to the Corefile, so
//! that a space has to stand before `$`.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     template IN A {
//!         match "^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)-(?P<c>[0-9]+)-(?P<d>[0-9]+)[.]example[.]org[.]$"
//!         answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
//!         fallthrough
//!     }
//!     template ANY ANY {
//!         rcode NXDOMAIN
//!         authority "{{ .Zone }} 60 {{ .Class }} SOA ns.{{ .Zone }} host.{{ .Zone }} (1 60 60 60 60)"
//!         ederror 21 "Made up names only"
//!     }
//! }
//! ```
//! Names stand for private addresses only:
//! ```corefile
//! example.org:1053 {
//!     template IN A {
//!         match "^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.]example[.]org[.]$"
//!         var ip replace(group('ip'), '-', '.')
//!         expr "any(['10.0.0.0/8', '192.168.0.0/16'], incidr(ip, #))"
//!         answer "{{ .Name }} 60 IN A {{ .Var.ip }}"
//!         fallthrough
//!     }
//!     file db.example.org
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 ip-192-0-2-1.example.org A
//! ```
//!
//! ## Metrics
//! With `prometheus` in the server block; class and type are those of the line:
//! * `coredns_template_matches_total`: server, zone, view, class, type
//! * `coredns_template_template_failures_total`: templates that failed; server, zone, view, class, type, section, template
//! * `coredns_template_rr_failures_total`: templates that wrote no record; the same labels
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `hosts`, `file`, `acl`. RFC 8914 has the extended errors.
//!
//! ## Bugs
//! Loops in templates (`range`, `with`) and templates that call templates (`define`) are not there, and neither are
//! labels of metadata. A pattern has up to 10,000 characters, and knows neither look-around nor back-references.

mod lexer;
mod program;
mod record;
#[cfg(test)]
mod tests;
mod value;

use std::str::FromStr;

use bytes::Bytes;
use domain::base::iana::{Class, OptRcode, Rtype};
use regex::{Captures, Regex};
use store::types::{rtype_from_text, rtype_to_text};
use store::{Name, name};

use super::corefile::{ConfigError, Directive, Fallthrough, Token, zones_or};
use super::counted::{Count, Counted};
use super::expression::{Expression, Facts, Value};
use super::{Context, Failure, Flow, Plugin, Setup};
use crate::wire::options::EXTENDED_ERROR;
use crate::wire::{Query, Response, Section};
use program::{Data, Program};
use record::Made;

/// The plugin: its lines in the order of the Corefile.
struct Templates {
    lines: Vec<Line>,
}

/// One `template` line.
struct Line {
    /// ANY stands for all.
    class: Class,
    /// ANY stands for all.
    rtype: Rtype,
    zones: Vec<Name>,
    /// None stands for all names.
    patterns: Vec<Regex>,
    /// Variables and conditions in their order.
    steps: Vec<Step>,
    /// The names of the variables.
    variables: Vec<String>,
    /// In the order of the sections.
    records: Vec<Record>,
    /// Questions that are for the line and match.
    matches: Count,
    rcode: OptRcode,
    extended_error: Option<(u16, String)>,
    fallthrough: Option<Fallthrough>,
}

/// A record of an answer.
struct Record {
    section: Section,
    source: Source,
    /// Times that the template failed.
    failures: Count,
    /// Times that it wrote no record.
    no_records: Count,
}

/// A `var` or an `expr`.
enum Step {
    Variable(Expression),
    Condition(Expression),
}

/// Where a record comes from.
enum Source {
    /// It is always the same.
    Fixed(Made),
    /// It is written anew for each question.
    Template(Program),
}

/// Reads all lines of a block.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let lines = lines.iter().map(|line| Line::read(line, setup.zones, &mut setup.counted)).collect::<Result<_, _>>()?;
    Ok(Some(Box::new(Templates { lines })))
}

impl Line {
    /// Reads one line and its block.
    fn read(line: &Directive, block: &[Name], counted: &mut Counted) -> Result<Self, ConfigError> {
        line.flat()?;
        let [class, rtype, zones @ ..] = &line.args[..] else { return Err(line.wrong_argument_count()) };
        let mut read = Self {
            class: read_class(class)?,
            rtype: match &rtype.text[..] {
                "ANY" => Rtype::ANY,
                text => rtype_from_text(text).ok_or_else(|| rtype.error(format!("invalid RR class {}", rtype.text)))?,
            },
            zones: zones_or(zones, block)?,
            patterns: Vec::new(),
            steps: Vec::new(),
            variables: Vec::new(),
            records: Vec::new(),
            matches: counted.add(
                "coredns_template_matches_total",
                "Questions that a template is for.",
                &[("class", &class.text), ("type", &rtype.text)],
            ),
            rcode: OptRcode::NOERROR,
            extended_error: None,
            fallthrough: None,
        };
        // Templates may use all variables, wherever these stand.
        let is_step = |property: &&Directive| matches!(&property.name.text[..], "var" | "expr");
        for property in line.properties().iter().filter(is_step) {
            read.add_step(property)?;
        }
        for property in line.properties().iter().filter(|property| !is_step(property)) {
            read.add(property, (&class.text, &rtype.text), counted)?;
        }
        if read.rcode == OptRcode::NOERROR && read.records.iter().all(|record| record.section == Section::Additional) {
            return Err(line.error("no answer section for template found"));
        }
        read.records.sort_by_key(|record| record.section);
        Ok(read)
    }

    /// Reads one property.
    fn add(&mut self, property: &Directive, of: (&str, &str), counted: &mut Counted) -> Result<(), ConfigError> {
        if property.args.is_empty() && property.name.text != "fallthrough" {
            let known = ["match", "answer", "additional", "authority", "rcode", "ederror"];
            return Err(match known.contains(&&property.name.text[..]) {
                true => property.wrong_argument_count(),
                false => property.unknown_property(),
            });
        }
        match &property.name.text[..] {
            "match" => {
                for pattern in &property.args {
                    self.patterns.push(read_pattern(pattern)?);
                }
            }
            "answer" => self.add_records(Section::Answer, property, of, counted)?,
            "additional" => self.add_records(Section::Additional, property, of, counted)?,
            "authority" => self.add_records(Section::Authority, property, of, counted)?,
            "rcode" => {
                let code = property.one_argument()?;
                let read = OptRcode::from_str(&code.text.to_ascii_uppercase());
                self.rcode = read.map_err(|_| code.error(format!("unknown rcode {}", code.text)))?;
            }
            "ederror" => {
                let (number, text) = match &property.args[..] {
                    [number] => (number, String::new()),
                    [number, text] => (number, text.text.clone()),
                    _ => return Err(property.wrong_argument_count()),
                };
                let code = number.text.parse();
                let code = code.map_err(|why| {
                    number.error(format!("error parsing extended DNS error code, {}, {why}", number.text))
                })?;
                self.extended_error = Some((code, text));
            }
            "fallthrough" => self.fallthrough = Some(Fallthrough::read(property)?),
            _ => return Err(property.unknown_property()),
        }
        Ok(())
    }

    /// Reads a `var` or an `expr`.
    fn add_step(&mut self, property: &Directive) -> Result<(), ConfigError> {
        let (variable, words) = match (&property.name.text[..], &property.args[..]) {
            ("var", [name, words @ ..]) if !words.is_empty() => (Some(name.text.clone()), words),
            ("expr", words) if !words.is_empty() => (None, words),
            _ => return Err(property.wrong_argument_count()),
        };
        let text = words.iter().map(|word| &word.text[..]).collect::<Vec<_>>().join(" ");
        let read = Expression::read(&text, &self.variables);
        let read = read.map_err(|why| property.error(format!("could not compile expression: {text}, {why}")))?;
        self.steps.push(match variable {
            Some(name) => {
                self.variables.push(name);
                Step::Variable(read)
            }
            None => Step::Condition(read),
        });
        Ok(())
    }

    /// The values of the variables, if all conditions hold.
    fn follow(
        &self,
        groups: &[(String, &str)],
        query: &Query,
        context: &Context<'_>,
    ) -> Result<Option<Vec<Value>>, String> {
        let mut values = Vec::new();
        for step in &self.steps {
            let facts = Facts { query, arrival: context.arrival, groups, variables: &values };
            match step {
                Step::Variable(expression) => {
                    let value = expression.evaluate(&facts)?;
                    values.push(value);
                }
                Step::Condition(expression) if !expression.holds(&facts)? => return Ok(None),
                Step::Condition(_) => {}
            }
        }
        Ok(Some(values))
    }

    /// Reads templates of records, in a line for questions `of` a class and a type.
    fn add_records(
        &mut self,
        section: Section,
        property: &Directive,
        of: (&str, &str),
        counted: &mut Counted,
    ) -> Result<(), ConfigError> {
        for token in &property.args {
            let fault = |why: String| token.error(format!("could not compile template: {}, {why}", token.text));
            let program = Program::read(&token.text, &self.variables).map_err(fault)?;
            let source = match program.constant() {
                Some(text) => Source::Fixed(Made::read(&text).map_err(fault)?),
                None => Source::Template(program),
            };
            let labels = [("class", of.0), ("type", of.1), ("section", &property.name.text), ("template", &token.text)];
            let failures = "coredns_template_template_failures_total";
            let no_records = "coredns_template_rr_failures_total";
            self.records.push(Record {
                section,
                source,
                failures: counted.add(failures, "Times that a template failed.", &labels),
                no_records: counted.add(no_records, "Times that a template wrote no record.", &labels),
            });
        }
        Ok(())
    }

    /// The zone of the line that a question is in, if it is for this line at all.
    fn zone_of(&self, query: &Query) -> Option<&Name> {
        let class_fits = self.class == Class::ANY || query.qclass == Class::ANY || query.qclass == self.class;
        let zones = self.zones.iter().filter(|zone| query.name.is_below(zone.as_slice()));
        zones.max_by_key(|zone| zone.len()).filter(|_| class_fits && [Rtype::ANY, query.qtype].contains(&self.rtype))
    }

    /// What the first pattern that matches found in a name; none without patterns.
    fn find<'n>(&self, name: &'n str) -> Option<Found<'n, '_>> {
        if self.patterns.is_empty() {
            return Some(Found { captures: None, name });
        }
        // Whether it matches is cheaper to tell than where.
        let pattern = self.patterns.iter().find(|pattern| pattern.is_match(name))?;
        pattern.captures(name).map(|captures| Found { captures: Some((captures, pattern)), name })
    }

    /// Writes the answer to a question; on an error says what failed.
    fn answer(
        &self,
        found: &Found<'_, '_>,
        values: &[Value],
        zone: &Name,
        query: &Query,
        response: &mut Response<'_>,
        context: &Context<'_>,
    ) -> Result<(), &'static str> {
        response.authoritative = true;
        response.rcode = self.rcode;
        let (matches, groups) = (found.matches(), found.groups());
        let variables: Vec<_> = self.variables.iter().cloned().zip(values.iter().map(Value::print)).collect();
        let (zone, class) = (name::to_text(zone), query.qclass.to_string());
        let (rtype, remote) = (rtype_to_text(query.qtype), context.arrival.client.ip().to_canonical().to_string());
        let (qtype, qclass) = (query.qtype.to_int().to_string(), query.qclass.to_int().to_string());
        let fields = [
            ("Name", found.name),
            ("Zone", &zone),
            ("Class", &class),
            ("Type", &rtype),
            ("Remote", &remote),
            ("Qtype", &qtype),
            ("Qclass", &qclass),
        ];
        let data = Data { fields: &fields, matches: &matches, groups: &groups, variables: &variables };
        for Record { section, source, failures, no_records } in &self.records {
            let written;
            let made = match source {
                Source::Fixed(made) => made,
                Source::Template(program) => {
                    let text = program.run(&data).map_err(|_| {
                        context.count(*failures);
                        "a template failed"
                    })?;
                    written = Made::read(&text).map_err(|_| {
                        context.count(*no_records);
                        "a template wrote no record"
                    })?;
                    &written
                }
            };
            if made.append(*section, query, response).is_err() {
                // Without its answer or its authority an answer is none; additional records may be missing.
                if *section != Section::Additional {
                    response.reset();
                    (response.authoritative, response.rcode) = (true, self.rcode);
                    response.truncated = true;
                }
                break;
            }
        }
        if let Some((code, text)) = &self.extended_error {
            response.add_option(EXTENDED_ERROR, &[&code.to_be_bytes(), text.as_bytes()]);
        }
        Ok(())
    }
}

/// What a pattern found in a name.
struct Found<'n, 'p> {
    captures: Option<(Captures<'n>, &'p Regex)>,
    name: &'n str,
}

impl<'n> Found<'n, '_> {
    /// What was found as a whole and by each group.
    fn matches(&self) -> Vec<&'n str> {
        match &self.captures {
            Some((captures, _)) => {
                (0..captures.len()).map(|at| captures.get(at).map_or("", |at| at.as_str())).collect()
            }
            None => vec![self.name],
        }
    }

    /// The same by number, then by name.
    fn groups(&self) -> Vec<(String, &'n str)> {
        let matches = self.matches();
        let names = self.captures.iter().flat_map(|(_, pattern)| pattern.capture_names()).zip(&matches);
        let named = names.filter_map(|(name, found)| Some((name?.into(), *found)));
        matches.iter().enumerate().map(|(index, found)| (index.to_string(), *found)).chain(named).collect()
    }
}

/// Reads a class of questions.
fn read_class(token: &Token) -> Result<Class, ConfigError> {
    match &token.text[..] {
        "IN" => Ok(Class::IN),
        "CH" => Ok(Class::CH),
        "HS" => Ok(Class::HS),
        "ANY" => Ok(Class::ANY),
        other => Err(token.error(format!("invalid query class {other}"))),
    }
}

/// Reads a pattern.
fn read_pattern(token: &Token) -> Result<Regex, ConfigError> {
    if token.text.len() > REGEX_MAX {
        return Err(token.error(format!("the pattern is longer than {REGEX_MAX} characters")));
    }
    Regex::new(&token.text).map_err(|why| token.error(format!("could not parse regex: {}, {why}", token.text)))
}

impl Plugin for Templates {
    fn name(&self) -> &'static str {
        "template"
    }

    fn sees(&self, class: Class) -> bool {
        self.lines.iter().any(|line| class == Class::ANY || [Class::ANY, class].contains(&line.class))
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        let mut text = None;
        for line in &self.lines {
            let Some(zone) = line.zone_of(query) else { continue };
            let text: &String = text.get_or_insert_with(|| text_of(query));
            let found = line.find(text);
            let values = match &found {
                Some(_) if line.steps.is_empty() => Ok(Some(Vec::new())),
                Some(found) => line.follow(&found.groups(), query, context),
                None => Ok(None),
            };
            let Ok(values) = values else {
                context.failure = Some(Failure { plugin: self.name(), text: "an expression failed" });
                return Flow::Rcode(OptRcode::SERVFAIL);
            };
            let Some((found, values)) = found.zip(values) else {
                if line.fallthrough.as_ref().is_some_and(|fallthrough| fallthrough.covers(&query.name)) {
                    continue;
                }
                context.failure = Some(Failure { plugin: self.name(), text: "no pattern matches the name" });
                return Flow::Rcode(OptRcode::SERVFAIL);
            };
            context.count(line.matches);
            if line.rcode == OptRcode::SERVFAIL {
                return Flow::Rcode(OptRcode::SERVFAIL);
            }
            return match line.answer(&found, &values, zone, query, response, context) {
                Ok(()) => Flow::Done,
                Err(text) => {
                    context.failure = Some(Failure { plugin: self.name(), text });
                    Flow::Rcode(OptRcode::SERVFAIL)
                }
            };
        }
        Flow::Next
    }
}

/// The question's name as patterns see it.
fn text_of(query: &Query) -> String {
    let name = Name::from_octets(Bytes::copy_from_slice(query.name.as_slice()));
    name.map_or_else(|_| ".".into(), |name| name::to_text(&name))
}

/// Characters of a pattern at most.
const REGEX_MAX: usize = 10_000;
