//! Periods of time as zone files write them: seconds, or numbers with units.

/// Reads `300`, `1h30m`, `2d` (units `s m h d w`, any case) as seconds; `None` if it is none or over 2^32-1.
pub(crate) fn parse(text: &[u8]) -> Option<u32> {
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    let mut units = false;
    for octet in text {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(digit - b'0'))?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        units = true;
    }
    match number {
        // A number without a unit after one with a unit is more likely a slip than a count of seconds.
        Some(seconds) if !units => Some(seconds),
        None if units => Some(total),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_add_up() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("300", Some(300)),
            ("1h30m", Some(5400)),
            ("2D", Some(172_800)),
            ("1w1d1h1m1s", Some(694_861)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("7102w", None),
            ("", None),
            ("h", None),
            ("1h30", None),
            ("1y", None),
            ("-1", None),
        ] {
            assert_eq!(parse(text.as_bytes()), seconds, "{text}");
        }
    }
}
