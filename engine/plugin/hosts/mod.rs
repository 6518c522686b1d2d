//! # hosts
//!
//! ## Name
//! *hosts* - answers from a hosts file.
//!
//! ## Description
//! Answers questions for A, AAAA and PTR from a file in the form of `/etc/hosts` and from lines in the Corefile. The file
//! is looked at again and again; one that is gone or cannot be read leaves what was read before. A question of another
//! type for a name that is listed gets an answer without data. For a name that is not listed it is SERVFAIL, because
//! there is no SOA to deny it with, or the next plugin's turn with `fallthrough`.
//!
//! ## Syntax
//! ```corefile
//! hosts [FILE [ZONES...]] {
//!     ADDRESS NAMES...
//!     ttl SECONDS
//!     no_reverse
//!     reload DURATION
//!     fallthrough [ZONES...]
//!     fallthrough_unsupported
//! }
//! ```
//! * **FILE** is the file, `/etc/hosts` by default; a relative path is below `root`. A missing one is a warning.
//! * **ZONES** are the zones whose names are taken from the file, those of the server block by default. Questions for
//!   names outside go on to the next plugin, and so do those for PTR of addresses that are not listed.
//! * **ADDRESS** and **NAMES** are one more line of the file. These lines have to stand before `fallthrough`.
//! * `ttl` is the TTL of all records, 1 to 65535; 3600 by default.
//! * `no_reverse` makes no PTR records.
//! * `reload` is how often the file is looked at, `5s` by default; `0` is never.
//! * `fallthrough` passes queries on for which there is no record; with **ZONES** only those at or below them.
//! * `fallthrough_unsupported` passes queries of other types on as well where `fallthrough` does, although the name is
//!   listed.
//!
//! A name `*.example.org` stands for all names with one label in place of the `*` that are not listed themselves. It has no
//! PTR record.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     hosts {
//!         192.0.2.1 www.example.org example.org
//!         2001:db8::1 www.example.org
//!         192.0.2.2 *.apps.example.org
//!         fallthrough
//!     }
//!     file db.example.org
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 www.example.org AAAA
//! ```
//!
//! ## Metrics
//! * `coredns_hosts_entries`: names of addresses and addresses of names, in all tables together
//! * `coredns_hosts_reload_timestamp_seconds`: when a file was last read
//!
//! ## Ready
//! It does not signal readiness: the file is read before the server listens.
//!
//! ## See also
//! `file`, `template`.
//!
//! ## Bugs
//! None are known. Names in the file that are no domain names are left out without a word.

mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use domain::base::iana::{Class, OptRcode, Rtype};
use store::Name;

use super::corefile::{ConfigError, Directive, Fallthrough, duration, zones_or};
use super::watched::Watched;
use super::{Context, Failure, Flow, Plugin, Setup};
use crate::wire::{QName, Query, Response, Section};
use table::{Source, Table};

/// The plugin.
struct Hosts {
    table: Arc<ArcSwap<Table>>,
    zones: Vec<Name>,
    ttl: u32,
    fallthrough: Option<Fallthrough>,
    /// Whether other types of listed names fall through too.
    passes_other_types: bool,
}

/// Reads the line, the lines in its block and the file.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.flat()?;
    let (file, zones) = match &line.args[..] {
        [] => (setup.path("/etc/hosts"), &[][..]),
        [file, zones @ ..] => (setup.path(&file.text), zones),
    };
    let zones = zones_or(zones, setup.zones)?;
    let mut source = Source { zones: zones.clone(), inline: String::new(), reverse: true };
    let (mut ttl, mut reload, mut fallthrough, mut passes_other_types) = (TTL, RELOAD, None, None);
    for property in line.properties() {
        match &property.name.text[..] {
            "fallthrough" => fallthrough = Some(Fallthrough::read(property)?),
            "fallthrough_unsupported" => {
                property.no_arguments()?;
                passes_other_types = Some(property);
            }
            "no_reverse" => {
                property.no_arguments()?;
                source.reverse = false;
            }
            "ttl" => ttl = read_ttl(property)?,
            "reload" => {
                let [value] = &property.args[..] else {
                    return Err(property.error("reload needs a duration (zero seconds to disable)"));
                };
                reload = duration(value)
                    .map_err(|_| value.error(format!("invalid duration for reload '{}'", value.text)))?;
            }
            address if address.parse::<IpAddr>().is_ok() && fallthrough.is_none() => {
                source.inline.push_str(address);
                for name in &property.args {
                    source.inline.push(' ');
                    source.inline.push_str(&name.text);
                }
                source.inline.push('\n');
            }
            _ => return Err(property.unknown_property()),
        }
    }
    if let Some(property) = passes_other_types.filter(|_| fallthrough.is_none()) {
        return Err(property.error("fallthrough_unsupported requires fallthrough"));
    }
    let initial = source.read(b"");
    let mut watched = Watched::new(file.clone(), initial, Box::new(move |text| Ok(source.read(text))));
    match watched.look() {
        Ok(_) => {}
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            setup.services.warnings.push(format!("plugin/hosts: File does not exist: {}", file.display()));
        }
        Err(why) => return Err(line.error(format!("unable to access hosts file '{}': {why}", file.display()))),
    }
    let table = watched.current();
    if reload > Duration::ZERO {
        setup.services.tasks.push(watched.task("hosts", reload));
    }
    let shown = Arc::clone(&table);
    setup.services.metrics.add(move |text| {
        let table = shown.load();
        text.gauge("coredns_hosts_entries", "Names of addresses and addresses of names.", &[], table.entries() as f64);
        let read = table.read.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        text.time("coredns_hosts_reload_timestamp_seconds", "When a hosts file was last read.", &[], read);
    });
    let passes_other_types = passes_other_types.is_some();
    Ok(Some(Box::new(Hosts { table, zones, ttl, fallthrough, passes_other_types })))
}

/// Reads `ttl SECONDS`.
fn read_ttl(property: &Directive) -> Result<u32, ConfigError> {
    let [value] = &property.args[..] else { return Err(property.error("ttl needs a time in second")) };
    let seconds: i64 = value.text.parse().map_err(|_| value.error("ttl needs a number of second"))?;
    let in_range = u16::try_from(seconds).ok().filter(|&seconds| seconds > 0);
    in_range.map(u32::from).ok_or_else(|| value.error("ttl provided is invalid"))
}

impl Plugin for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        let name = &query.name;
        let in_zones = self.zones.iter().any(|zone| name.is_below(zone.as_slice()));
        let table = self.table.load();
        if query.qtype == Rtype::PTR {
            let names = address_of(name).map_or(&[][..], |address| table.names(address));
            // An address that is not listed is somebody else's, in whatever zone its name is.
            if names.is_empty() {
                return Flow::Next;
            }
            self.write(Rtype::PTR, names.iter().map(|name| &name[..]), response);
            return Flow::Done;
        }
        if !in_zones {
            return Flow::Next;
        }
        let falls_through = || self.fallthrough.as_ref().is_some_and(|fallthrough| fallthrough.covers(name));
        let Some(addresses) = table.addresses(name) else {
            if falls_through() {
                return Flow::Next;
            }
            context.failure = Some(Failure { plugin: self.name(), text: "the name is not listed" });
            return Flow::Rcode(OptRcode::SERVFAIL);
        };
        match query.qtype {
            Rtype::A => self.write(Rtype::A, addresses.four.iter().map(|four| &four[..]), response),
            Rtype::AAAA => self.write(Rtype::AAAA, addresses.six.iter().map(|six| &six[..]), response),
            _ if self.passes_other_types && falls_through() => return Flow::Next,
            _ => response.authoritative = true,
        }
        Flow::Done
    }
}

impl Hosts {
    /// Writes an RRset at the question's name, whole or not at all.
    fn write<'r>(&self, rtype: Rtype, rdata: impl Iterator<Item = &'r [u8]> + Clone, response: &mut Response<'_>) {
        response.authoritative = true;
        // Stops at what does not fit: lists of names to block have a million of them for one address.
        let mut octets = 0;
        for rdata in rdata.clone() {
            octets += QUESTION_NAME.len() + 10 + rdata.len();
            if !response.fits(octets) {
                response.truncated = true;
                return;
            }
        }
        let class = Class::IN.to_int();
        for rdata in rdata {
            let put =
                response.append_record(Section::Answer, &QUESTION_NAME, rtype.to_int(), class, self.ttl, &[rdata]);
            response.truncated |= put.is_err();
        }
    }
}

/// The address whose reverse name this is (RFC 1035 §3.5, RFC 3596 §2.5); None if it is none, or that of a block.
fn address_of(name: &QName) -> Option<IpAddr> {
    let wire = name.as_slice();
    let mut at = 0;
    let mut next = || {
        let length = usize::from(*wire.get(at)?);
        let label = wire.get(at + 1..at + 1 + length)?;
        at += length + 1;
        Some(label)
    };
    match name.labels() {
        6 if name.suffix(2) == b"\x07in-addr\x04arpa\0" => {
            let mut octets = [0; 4];
            for octet in octets.iter_mut().rev() {
                let digits = std::str::from_utf8(next()?).ok()?;
                let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
                *octet =
                    digits.parse().ok().filter(|_| is_number && (digits.len() == 1 || !digits.starts_with('0')))?;
            }
            Some(Ipv4Addr::from(octets).into())
        }
        34 if name.suffix(2) == b"\x03ip6\x04arpa\0" => {
            let mut bits = 0;
            for nibble in 0..32 {
                let [digit] = next()? else { return None };
                bits |= u128::from(char::from(*digit).to_digit(16)?) << (4 * nibble);
            }
            Some(Ipv6Addr::from_bits(bits).into())
        }
        _ => None,
    }
}

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];

/// Seconds that records may be kept unless `ttl` says otherwise.
const TTL: u32 = 3600;

/// How often the file is looked at unless `reload` says otherwise.
const RELOAD: Duration = Duration::from_secs(5);
