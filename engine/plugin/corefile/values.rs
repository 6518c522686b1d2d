//! Values that many plugins take as arguments.

use std::time::Duration;

use store::Name;

use super::key::read_zones;
use super::{ConfigError, Directive, Token};
use crate::wire::QName;

/// Reads `[ZONES…]`: names, address blocks, server keys. Without arguments they are the block's own zones.
pub fn zones_or(args: &[Token], block: &[Name]) -> Result<Vec<Name>, ConfigError> {
    if args.is_empty() {
        return Ok(block.to_vec());
    }
    let mut zones = Vec::with_capacity(args.len());
    for arg in args {
        zones.extend(read_zones(&arg.text).map_err(|why| arg.error(why))?);
    }
    Ok(zones)
}

/// Which queries go on to the next plugin when this one has no data for them: `fallthrough [ZONES…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallthrough {
    zones: Vec<Name>,
}

impl Fallthrough {
    /// Reads the property; without zones it means all names.
    pub fn read(property: &Directive) -> Result<Self, ConfigError> {
        property.no_body()?;
        Ok(Self { zones: zones_or(&property.args, &[Name::root_bytes()])? })
    }

    /// Whether the name is at or below one of the zones.
    pub fn covers(&self, name: &QName) -> bool {
        self.zones.iter().any(|zone| name.is_below(zone.as_slice()))
    }
}

/// Reads a duration: numbers with units (`300ms`, `1.5h`, `2h45m`), or `0`.
pub fn duration(value: &Token) -> Result<Duration, ConfigError> {
    read_duration(&value.text).map_err(|why| value.error(why))
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum DurationError {
    /// Not made of numbers and units, or too long.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number stands alone.
    #[error("time: missing unit in duration {0:?}")]
    NoUnit(String),
    /// Letters that are no unit.
    #[error("time: unknown unit {0:?} in duration {1:?}")]
    UnknownUnit(String, String),
    /// Nothing takes a time before now.
    #[error("a duration cannot be negative: {0}")]
    Negative(String),
}

/// Reads a duration of at most 2⁶³ nanoseconds, about 292 years.
fn read_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.into());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let negative = rest.strip_prefix('-').filter(|_| rest.len() == text.len());
    rest = negative.unwrap_or(rest);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        let unit_end = after.find(|character: char| character == '.' || character.is_ascii_digit());
        let (unit, next) = after.split_at(unit_end.unwrap_or(after.len()));
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let nanoseconds = match unit {
            "" => return Err(DurationError::NoUnit(text.into())),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOSECONDS,
            "m" => 60 * NANOSECONDS,
            "h" => 3600 * NANOSECONDS,
            other => return Err(DurationError::UnknownUnit(other.into(), text.into())),
        };
        // 19 digits are enough for the greatest number and for a fraction of the greatest unit.
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().map_err(|_| invalid())?.into() };
        let fraction = &fraction[..fraction.len().min(19)];
        let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().map_err(|_| invalid())?.into() };
        total += whole * nanoseconds + parts * nanoseconds / 10u128.pow(fraction.len() as u32);
        if total > i64::MAX as u128 {
            return Err(invalid());
        }
        rest = next;
    }
    match negative {
        Some(_) if total > 0 => Err(DurationError::Negative(text.into())),
        _ => Ok(Duration::from_nanos(total as u64)),
    }
}

/// The digits that a text begins with, and the rest of it.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()))
}

/// Nanoseconds of a second.
const NANOSECONDS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token { text: text.into(), file: "Corefile".into(), line: 3 }
    }

    #[test]
    fn durations() {
        for (text, nanoseconds) in [
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("-0s", 0),
            ("+5s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us1µs1μs1ns", 3_001),
            ("0.3333333333333333333333h", 1_199_999_999_999),
        ] {
            assert_eq!(duration(&token(text)).map(|found| found.as_nanos()), Ok(nanoseconds), "{text}");
        }
    }

    #[test]
    fn bad_durations_say_why() {
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("s", "time: invalid duration \"s\""),
            ("-", "time: invalid duration \"-\""),
            ("+-5s", "time: invalid duration \"+-5s\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1h5", "time: missing unit in duration \"1h5\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("-5s", "a duration cannot be negative: -5s"),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
            ("99999999999999999999s", "time: invalid duration \"99999999999999999999s\""),
        ] {
            let expected = format!("Corefile:3 - Error during parsing: {message}");
            assert_eq!(duration(&token(text)).map_err(|error| error.to_string()), Err(expected), "{text}");
        }
    }

    #[test]
    fn zones_are_names_blocks_and_keys() {
        let block = [store::name::parse("example.org.", None).unwrap()];
        for (args, expected) in [
            (&[][..], "example.org."),
            (&["Example.NET"], "example.net."),
            (&["10.0.0.0/24", "dns://a.example:53"], "0.0.10.in-addr.arpa. a.example."),
        ] {
            let args: Vec<_> = args.iter().map(|text| token(text)).collect();
            let zones: Vec<_> = zones_or(&args, &block).unwrap().iter().map(store::name::to_text).collect();
            assert_eq!(zones.join(" "), expected);
        }
        let error = zones_or(&[token("a..b")], &block).unwrap_err().to_string();
        assert_eq!(error, "Corefile:3 - Error during parsing: zone is not a valid domain name: a..b");
    }

    #[test]
    fn fallthrough_covers_names_below_its_zones() {
        let property = |args: &[&str]| Directive {
            name: token("fallthrough"),
            args: args.iter().map(|text| token(text)).collect(),
            body: None,
        };
        let name = QName::from_wire(b"\x01A\x07example\x03org\0").unwrap();
        for (args, covers) in [
            (&[][..], true),
            (&["."], true),
            (&["Example.org"], true),
            (&["a.example.org."], true),
            (&["b.a.example.org."], false),
            (&["example.net", "org"], true),
            (&["ple.org"], false),
        ] {
            assert_eq!(Fallthrough::read(&property(args)).unwrap().covers(&name), covers, "{args:?}");
        }
    }
}
