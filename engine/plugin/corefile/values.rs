//! Forms that several plugins share: durations, lists of zones, `fallthrough`.

use std::time::Duration;

use store::Name;

use super::key::{host, zones};
use super::lexer::Token;
use super::{ConfigError, Directive};
use crate::wire::QName;

/// Reads a duration such as `300ms`, `1.5h` or `2h45m`; `0` needs no unit.
pub fn duration(token: &Token) -> Result<Duration, ConfigError> {
    let error = || token.error(format!("time: invalid duration \"{}\"", token.text));
    let mut rest = &token.text[..];
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Ok(total);
    }
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match &after[..unit] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(error()),
        };
        let value: f64 = value.parse().map_err(|_| error())?;
        let part = Duration::try_from_secs_f64(value * seconds).map_err(|_| error())?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = &after[unit..];
    }
    Ok(total)
}

/// Reads a list of zones, in which networks and schemes are understood; `default` if it is empty.
pub fn zones_or(tokens: &[Token], default: &[Name]) -> Result<Vec<Name>, ConfigError> {
    if tokens.is_empty() {
        return Ok(default.to_vec());
    }
    let mut all = Vec::new();
    for token in tokens {
        all.extend(zones(host(&token.text)?)?);
    }
    Ok(all)
}

/// For which names a plugin passes a query on that it has no data for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallthrough {
    /// Lower-case names in wire form.
    zones: Vec<Box<[u8]>>,
}

impl Fallthrough {
    /// Reads a `fallthrough` line; without zones it is for every name.
    pub fn read(line: &Directive) -> Result<Self, ConfigError> {
        let zones = zones_or(&line.args, &[Name::root_bytes()])?;
        Ok(Self { zones: zones.iter().map(|zone| zone.as_slice().to_ascii_lowercase().into()).collect() })
    }

    /// Whether a query for this name is passed on.
    pub fn covers(&self, name: &QName) -> bool {
        self.zones.iter().any(|zone| name.is_below(zone))
    }
}
