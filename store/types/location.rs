//! Rdata of LOC records (RFC 1876): latitude, longitude, altitude, and how large and how exact they are.

use super::scanner::{EntryScanner, ScanError};
use super::text::push;

/// Appends the rdata in presentation form; `None` for another version than 0 and for numbers that have no text.
pub(super) fn write(rdata: &[u8], text: &mut String) -> Option<()> {
    let &[0, size, horizontal, vertical, a, b, c, d, e, f, g, h, i, j, k, l] = rdata else { return None };
    push_angle(u32::from_be_bytes([a, b, c, d]), 90, ['S', 'N'], text)?;
    push_angle(u32::from_be_bytes([e, f, g, h]), 180, ['W', 'E'], text)?;
    let altitude = i64::from(u32::from_be_bytes([i, j, k, l])) - ALTITUDE_ZERO;
    let (sign, altitude) = (if altitude < 0 { "-" } else { "" }, altitude.unsigned_abs());
    push(text, format_args!("{sign}{}.{:02}m", altitude / 100, altitude % 100));
    for octet in [size, horizontal, vertical] {
        let (digit, exponent) = (octet >> 4, octet & 15);
        // A zero has one form only, else it would be read as other octets.
        if digit > 9 || exponent > 9 || digit == 0 && exponent > 0 {
            return None;
        }
        let centimetres = u64::from(digit) * 10_u64.pow(exponent.into());
        match centimetres % 100 {
            0 => push(text, format_args!(" {}m", centimetres / 100)),
            rest => push(text, format_args!(" {}.{rest:02}m", centimetres / 100)),
        }
    }
    Some(())
}

/// Reads the presentation form and appends the wire form.
pub(super) fn read(scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let latitude = angle(scanner, 90, [b'S', b'N'])?;
    let longitude = angle(scanner, 180, [b'W', b'E'])?;
    let altitude = u32::try_from(centimetres(scanner.raw()?)? + ALTITUDE_ZERO)
        .map_err(|_| ScanError("the altitude is from -100000m to 42849672.95m".into()))?;
    let mut sizes = SIZES;
    for size in &mut sizes {
        if scanner.peek().is_none() {
            break;
        }
        *size = exponential(centimetres(scanner.raw()?)?)?;
    }
    wire.push(0);
    wire.extend(sizes);
    for number in [latitude, longitude, altitude] {
        wire.extend(number.to_be_bytes());
    }
    Ok(())
}

/// Reads degrees, perhaps minutes and seconds, and one of two directions.
fn angle(scanner: &mut EntryScanner<'_>, degrees_max: u32, [minus, plus]: [u8; 2]) -> Result<u32, ScanError> {
    let mut thousandths = scanner.number(degrees_max)? * DEGREE;
    for unit in [60_000, 1000, 0] {
        let raw = scanner.raw()?;
        let sign = raw.first().filter(|_| raw.len() == 1).map(u8::to_ascii_uppercase);
        if thousandths > degrees_max * DEGREE {
            break;
        }
        match sign {
            Some(sign) if sign == plus => return Ok(EQUATOR + thousandths),
            Some(sign) if sign == minus => return Ok(EQUATOR - thousandths),
            _ if unit == 0 => break,
            _ => {
                let value = decimal(raw, if unit == 1000 { 3 } else { 0 }).filter(|value| *value < 60_000);
                let value = value.filter(|value| unit == 1000 || *value < 60);
                let value = value.ok_or_else(|| ScanError("minutes and seconds are from 0 to below 60".into()))?;
                thousandths += value as u32 * if unit == 1000 { 1 } else { unit };
            }
        }
    }
    let (minus, plus) = (char::from(minus), char::from(plus));
    Err(ScanError(format!("up to {degrees_max} degrees, and then {plus} or {minus}, are expected").into()))
}

/// Reads metres with or without `m` as centimetres.
fn centimetres(raw: &[u8]) -> Result<i64, ScanError> {
    let number = raw.strip_suffix(b"m").unwrap_or(raw);
    let (sign, number) = number.strip_prefix(b"-").map_or((1, number), |number| (-1, number));
    let number = decimal(number, 2).and_then(|number| i64::try_from(number).ok());
    number.map(|number| sign * number).ok_or_else(|| ScanError("metres with up to two decimals are expected".into()))
}

/// Reads a decimal fraction in units of its last place, of which there are `places`.
fn decimal(raw: &[u8], places: usize) -> Option<u64> {
    let at = raw.iter().position(|octet| *octet == b'.').unwrap_or(raw.len());
    let (whole, fraction) = (&raw[..at], raw.get(at + 1..).unwrap_or_default());
    // Ten digits are more than any field here holds.
    if whole.is_empty() || whole.len() > 10 || fraction.len() > places {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', places - fraction.len());
    whole
        .iter()
        .chain(fraction)
        .chain(zeros)
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

/// One digit and a power of ten, the digits after the first cut off (RFC 1876 §2).
fn exponential(centimetres: i64) -> Result<u8, ScanError> {
    let mut digit = u64::try_from(centimetres).ok().filter(|size| *size <= SIZE_MAX);
    let digit = digit.as_mut().ok_or_else(|| ScanError("sizes are from 0m to 90000000m".into()))?;
    let mut exponent = 0;
    while *digit > 9 {
        *digit /= 10;
        exponent += 1;
    }
    Ok((*digit as u8) << 4 | exponent)
}

/// Appends an angle and a space.
fn push_angle(angle: u32, degrees_max: u32, [minus, plus]: [char; 2], text: &mut String) -> Option<()> {
    let thousandths = angle.abs_diff(EQUATOR);
    if thousandths > degrees_max * DEGREE {
        return None;
    }
    let (degrees, minutes) = (thousandths / DEGREE, thousandths / 60_000 % 60);
    let (seconds, fraction) = (thousandths / 1000 % 60, thousandths % 1000);
    let sign = if angle < EQUATOR { minus } else { plus };
    push(text, format_args!("{degrees} {minutes} {seconds}.{fraction:03} {sign} "));
    Some(())
}

/// A degree in thousandths of a second.
const DEGREE: u32 = 3_600_000;

/// The number of the equator and of the prime meridian.
const EQUATOR: u32 = 1 << 31;

/// Centimetres below the reference spheroid at which altitudes begin.
const ALTITUDE_ZERO: i64 = 10_000_000;

/// The greatest size in centimetres.
const SIZE_MAX: u64 = 9_000_000_000;

/// Size, horizontal and vertical precision where they are left out: 1m, 10000m, 10m.
const SIZES: [u8; 3] = [0x12, 0x16, 0x13];
