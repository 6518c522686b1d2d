//! JSON text into values, with a bound on its depth.

use serde_json::Value;

/// Reads JSON; `None` if it is none, or deeper than [`DEPTH_MAX`]. Overwrites the text.
pub(super) fn read(text: &mut [u8]) -> Option<Value> {
    // The reader recurses once a level, so the depth is looked at before.
    if is_too_deep(text) {
        return None;
    }
    simd_json::serde::from_slice(text).ok()
}

/// Whether arrays and objects are nested more deeply than [`DEPTH_MAX`].
fn is_too_deep(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut octets = text.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(octet) = octets.next() {
                    match octet {
                        b'\\' => drop(octets.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Levels of arrays and objects in one body; records need two, batches five.
const DEPTH_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (text, taken) in [
            (nested(DEPTH_MAX), true),
            (nested(DEPTH_MAX + 1), false),
            (nested(100_000), false),
            ("[".repeat(100_000), false),
            (format!("\"{}\"", "[".repeat(1000)), true),
            (format!("\"\\\"{}\"", "[".repeat(1000)), true),
            (format!("\"\\\\\"{}", "[".repeat(1000)), false),
            ("{\"a\":1}".into(), true),
            ("{\"a\":1} x".into(), false),
            ("{\"a\":".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(read(&mut text.clone().into_bytes()).is_some(), taken, "{:.40}", text);
        }
        assert_eq!(
            read(&mut br#"{"a":[1,-2,2.5,"x",null,true]}"#.to_vec()),
            Some(json!({"a": [1, -2, 2.5, "x", null, true]}))
        );
        // As in JavaScript, a whole number has no end.
        assert_eq!(read(&mut b"100000000000000000000".to_vec()), Some(json!(1e20)));
    }
}
