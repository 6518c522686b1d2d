//! The form of a log line: text with fields, read once and filled for each answer.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::base::iana::Class;
use store::name;
use store::types::write_rtype;

use crate::plugin::{Context, Transport};
use crate::wire::{Flag, Query, Response};

/// A format that was read.
#[derive(Debug)]
pub(super) struct Format {
    parts: Vec<Part>,
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// What a field shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Type,
    Name,
    Class,
    Proto,
    Remote,
    Port,
    Local,
    Size,
    Rsize,
    Rcode,
    Rflags,
    Duration,
    Id,
    Opcode,
    Do,
    Bufsize,
    Metadata,
}

impl Format {
    /// Reads a format; what is no field stays text.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.replace("{combined}", COMBINED).replace("{common}", COMMON);
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = &text[..];
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            plain.push_str(before);
            let field = from_brace.find('}').and_then(|close| Some((field(&from_brace[1..close])?, close + 1)));
            let (field, taken) = match field {
                Some((field, taken)) => (Some(field), taken),
                None => (None, 1),
            };
            match field {
                Some(field) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Field(field));
                }
                None => plain.push('{'),
            }
            rest = &from_brace[taken..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Self { parts }
    }

    /// Writes the line for one answer, without a line end.
    pub(super) fn write(
        &self,
        line: &mut impl Write,
        query: &Query,
        response: &Response<'_>,
        context: &Context<'_>,
    ) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => line.write_str(text),
            Part::Field(field) => field.write(line, query, response, context),
        })
    }
}

impl Field {
    /// Writes the field's value.
    fn write(
        self,
        line: &mut impl Write,
        query: &Query,
        response: &Response<'_>,
        context: &Context<'_>,
    ) -> std::fmt::Result {
        let arrival = context.arrival;
        match self {
            Self::Type => write_rtype(line, query.qtype),
            Self::Name => name::write_text(line, query.name.iter()),
            Self::Class => match query.qclass {
                Class::IN => line.write_str("IN"),
                Class::CH => line.write_str("CH"),
                Class::ANY => line.write_str("ANY"),
                other => write!(line, "CLASS{}", other.to_int()),
            },
            Self::Proto => line.write_str(arrival.transport.network()),
            Self::Remote => write_address(line, arrival.client),
            Self::Port => write!(line, "{}", arrival.client.port()),
            Self::Local => write_address(line, arrival.local),
            Self::Size => write!(line, "{}", query.size),
            Self::Rsize => write!(line, "{}", response.finished_len()),
            Self::Rcode => match response.rcode.to_mnemonic_str() {
                Some(mnemonic) => line.write_str(mnemonic),
                None => write!(line, "RCODE{}", response.rcode.to_int()),
            },
            Self::Rflags => write_flags(line, query, response),
            Self::Duration => write_seconds(line, context.started.map_or(Duration::ZERO, |started| started.elapsed())),
            Self::Id => write!(line, "{}", query.id),
            Self::Opcode => line.write_str("0"),
            Self::Do => write!(line, "{}", query.edns.is_some_and(|edns| edns.dnssec_ok)),
            Self::Bufsize => match (arrival.transport, query.edns) {
                (Transport::Udp, None) => line.write_str("512"),
                (_, None) => line.write_str("65535"),
                (_, Some(edns)) => write!(line, "{}", edns.payload_size),
            },
            Self::Metadata => line.write_str("-"),
        }
    }
}

/// The field of a name between braces.
fn field(name: &str) -> Option<Field> {
    Some(match name {
        "type" => Field::Type,
        "name" => Field::Name,
        "class" => Field::Class,
        "proto" => Field::Proto,
        "remote" => Field::Remote,
        "port" => Field::Port,
        "local" => Field::Local,
        "size" => Field::Size,
        "rsize" => Field::Rsize,
        "rcode" => Field::Rcode,
        "duration" => Field::Duration,
        ">rflags" => Field::Rflags,
        ">id" => Field::Id,
        ">opcode" => Field::Opcode,
        ">do" => Field::Do,
        ">bufsize" => Field::Bufsize,
        _ if name.starts_with('/') => Field::Metadata,
        _ => return None,
    })
}

/// Writes seconds with as many decimals as it takes, and an `s`.
fn write_seconds(line: &mut impl Write, duration: Duration) -> std::fmt::Result {
    write!(line, "{}", duration.as_secs())?;
    let (mut decimals, mut digits) = (duration.subsec_nanos(), 9);
    if decimals > 0 {
        while decimals.is_multiple_of(10) {
            (decimals, digits) = (decimals / 10, digits - 1);
        }
        write!(line, ".{decimals:0digits$}")?;
    }
    line.write_char('s')
}

/// Writes an address without its port, IPv6 in brackets.
fn write_address(line: &mut impl Write, address: SocketAddr) -> std::fmt::Result {
    match address.ip().to_canonical() {
        IpAddr::V4(address) => write!(line, "{address}"),
        IpAddr::V6(address) => write!(line, "[{address}]"),
    }
}

/// Writes the answer's flags that are set, joined by commas.
fn write_flags(line: &mut impl Write, query: &Query, response: &Response<'_>) -> std::fmt::Result {
    line.write_str("qr")?;
    let flags = [
        ("aa", response.authoritative),
        ("tc", response.truncated),
        ("rd", response.flag(Flag::RecursionDesired)),
        ("ra", response.flag(Flag::RecursionAvailable)),
        // Z, which would come next, is never set (RFC 1035 §4.1.1).
        ("ad", response.authentic_data()),
        ("cd", query.checking_disabled),
    ];
    for (flag, _) in flags.into_iter().filter(|(_, set)| *set) {
        write!(line, ",{flag}")?;
    }
    Ok(())
}

/// The field `{common}`.
const COMMON: &str = concat!(
    "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" ",
    "{rcode} {>rflags} {rsize} {duration}"
);

/// The field `{combined}`; `{common}` in it is replaced after it.
const COMBINED: &str = "{common} \"{>opcode}\"";

#[cfg(test)]
mod tests {
    use super::{Duration, Field, Format, Part, write_seconds};

    #[test]
    fn unknown_fields_and_lone_braces_stay_text() {
        let text = |text: &str| Part::Text(text.into());
        for (format, parts) in [
            ("{name} {x}", vec![Part::Field(Field::Name), text(" {x}")]),
            ("{", vec![text("{")]),
            ("a{name", vec![text("a{name")]),
            ("{{type}}", vec![text("{"), Part::Field(Field::Type), text("}")]),
            ("{/geoip/city}", vec![Part::Field(Field::Metadata)]),
        ] {
            assert_eq!(Format::parse(format).parts, parts, "{format}");
        }
        for (nanoseconds, text) in
            [(0, "0s"), (1, "0.000000001s"), (123_400, "0.0001234s"), (2_000_000_000, "2s"), (1_050_000_000, "1.05s")]
        {
            let mut line = String::new();
            write_seconds(&mut line, Duration::from_nanos(nanoseconds)).unwrap();
            assert_eq!(line, text);
        }
        assert_eq!(Format::parse("{combined}").parts.len(), Format::parse("{common}").parts.len() + 3);
    }
}
