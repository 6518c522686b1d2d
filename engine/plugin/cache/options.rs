//! The `cache` line as it is written.

use std::time::Duration;

use store::Name;

use super::{Options, Part, Prefetch, Refresh};
use crate::plugin::Setup;
use crate::plugin::corefile::{ConfigError, Directive, Token, duration, zones_or};

/// Reads the line with its block.
pub(super) fn read(line: &Directive, setup: &Setup<'_>) -> Result<Options, ConfigError> {
    line.flat()?;
    let (mut success_ttl, mut denial_ttl, mut zones) = (SUCCESS_TTL, DENIAL_TTL, &line.args[..]);
    if let Some((first, rest)) = line.args.split_first()
        && first.text.parse::<i64>().is_ok()
    {
        success_ttl = ttl(first)?;
        denial_ttl = success_ttl;
        zones = rest;
    }
    let zones = zones_or(zones, setup.zones)?;
    let part = |ttl_max| Part { capacity: CAPACITY, ttl_max, ttl_min: TTL_MIN, disabled: Vec::new() };
    let mut options = Options {
        zones: wire(&zones),
        success: part(success_ttl),
        denial: part(denial_ttl),
        prefetch: None,
        stale: None,
        servfail: SERVFAIL,
        keep_ttl: false,
    };
    for property in line.properties() {
        match &property.name.text[..] {
            "success" => read_part(property, &mut options.success)?,
            "denial" => read_part(property, &mut options.denial)?,
            "prefetch" => options.prefetch = read_prefetch(property)?,
            "serve_stale" => options.stale = Some(read_stale(property)?),
            "servfail" => {
                let value = property.one_argument()?;
                options.servfail = duration(value)?;
                if options.servfail > SERVFAIL_MAX {
                    return Err(value.error("caching SERVFAIL responses over 5 minutes is not permitted"));
                }
            }
            "disable" => {
                let [kind, of @ ..] = &property.args[..] else { return Err(property.wrong_argument_count()) };
                let part = match &kind.text[..] {
                    "success" => &mut options.success,
                    "denial" => &mut options.denial,
                    other => {
                        return Err(kind.error(format!("cache type for disable must be success or denial: {other}")));
                    }
                };
                part.disabled.extend(wire(&zones_or(of, &zones)?));
            }
            "keepttl" => {
                property.no_arguments()?;
                options.keep_ttl = true;
            }
            _ => return Err(property.unknown_property()),
        }
    }
    Ok(options)
}

/// Reads `CAPACITY [TTL [MINTTL]]`.
fn read_part(property: &Directive, part: &mut Part) -> Result<(), ConfigError> {
    let (capacity, rest) = match &property.args[..] {
        [capacity, rest @ ..] if rest.len() <= 2 => (capacity, rest),
        _ => return Err(property.wrong_argument_count()),
    };
    let count = number(capacity)?;
    let in_range = usize::try_from(count).ok().filter(|count| *count <= CAPACITY_MAX);
    part.capacity = in_range.ok_or_else(|| capacity.error(format!("cache capacity out of range: {count}")))?;
    if let [max, rest @ ..] = rest {
        part.ttl_max = ttl(max)?;
        if let [min] = rest {
            let seconds = number(min)?;
            let negative = |_| min.error(format!("cache min TTL can not be negative: {seconds}"));
            part.ttl_min = u32::try_from(seconds).map_err(negative)?;
        }
    }
    Ok(())
}

/// Reads `AMOUNT [DURATION [PERCENTAGE%]]`; with amount 0 nothing is fetched.
fn read_prefetch(property: &Directive) -> Result<Option<Prefetch>, ConfigError> {
    let (amount, rest) = match &property.args[..] {
        [amount, rest @ ..] if rest.len() <= 2 => (amount, rest),
        _ => return Err(property.wrong_argument_count()),
    };
    let count = number(amount)?;
    let negative = |_| amount.error(format!("prefetch amount should be positive: {count}"));
    let mut prefetch =
        Prefetch { amount: u32::try_from(count).map_err(negative)?, pause: Duration::from_secs(60), percentage: 10 };
    if let Some(pause) = rest.first() {
        prefetch.pause = duration(pause)?;
    }
    if let Some(percentage) = rest.get(1) {
        let Some(digits) = percentage.text.strip_suffix('%') else {
            let message = format!("last character of percentage should be `%`, but is: {:?}", percentage.text);
            return Err(percentage.error(message));
        };
        let value: i64 = digits.parse().map_err(|_| percentage.error(format!("not a number: {digits:?}")))?;
        let in_range = u32::try_from(value).ok().filter(|value| (10..=90).contains(value));
        let wrong = || percentage.error(format!("percentage should fall in range [10, 90]: {value}"));
        prefetch.percentage = in_range.ok_or_else(wrong)?;
    }
    Ok((prefetch.amount > 0).then_some(prefetch))
}

/// Reads `[DURATION [immediate|verify [TIMEOUT]]]`.
fn read_stale(property: &Directive) -> Result<(Duration, Refresh), ConfigError> {
    let [longest, mode @ ..] = &property.args[..] else { return Ok((STALE, Refresh::Immediate)) };
    let mode = match mode {
        [] => Refresh::Immediate,
        [mode, rest @ ..] => match (&mode.text.to_ascii_lowercase()[..], rest) {
            ("immediate", []) => Refresh::Immediate,
            ("verify", []) => Refresh::Verify(None),
            ("verify", [patience]) => Refresh::Verify(Some(duration(patience)?)),
            ("immediate" | "verify", _) => return Err(property.wrong_argument_count()),
            _ => return Err(mode.error(format!("invalid value for serve_stale refresh mode: {}", mode.text))),
        },
    };
    Ok((duration(longest)?, mode))
}

/// Reads a number of seconds above 0.
fn ttl(token: &Token) -> Result<u32, ConfigError> {
    let seconds = number(token)?;
    let in_range = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    in_range.ok_or_else(|| ConfigError::plain(format!("cache TTL can not be zero or negative: {seconds}")))
}

/// Reads a number.
fn number(token: &Token) -> Result<i64, ConfigError> {
    token.text.parse().map_err(|_| token.error(format!("not a number: {:?}", token.text)))
}

/// Names in lower-case wire form.
fn wire(names: &[Name]) -> Vec<Box<[u8]>> {
    names.iter().map(|name| name.as_slice().to_ascii_lowercase().into()).collect()
}

/// Seconds that an answer is kept at most.
const SUCCESS_TTL: u32 = 3600;

/// Seconds that a denial is kept at most.
const DENIAL_TTL: u32 = 1800;

/// Seconds that both are kept at least.
const TTL_MIN: u32 = 5;

/// Answers that are kept, of each kind.
const CAPACITY: usize = 9984;

/// No more can be asked for.
const CAPACITY_MAX: usize = 100_000_000;

/// How long SERVFAIL is kept.
const SERVFAIL: Duration = Duration::from_secs(5);

/// It is kept no longer, whatever is asked for (RFC 2308 §7.1).
const SERVFAIL_MAX: Duration = Duration::from_secs(300);

/// How long what has ended may be given.
const STALE: Duration = Duration::from_secs(3600);
