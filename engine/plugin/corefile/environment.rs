//! References to environment variables: `{%NAME%}` and `{$NAME}`.

use std::collections::HashMap;

use super::lexer::Token;
use super::{ConfigError, Source};

/// Replaces all references in a token. An unset variable is empty text; what a variable holds may refer to others.
///
/// A token that came out of a variable is never a brace, and its white space does not divide it.
pub(super) fn replace(token: &mut Token, source: &dyn Source) -> Result<(), ConfigError> {
    let mut known: HashMap<String, String> = HashMap::new();
    let mut replaced = 0;
    while let Some((start, name, end)) = FORMS.iter().find_map(|(open, close)| reference(&token.text, open, close)) {
        let name = name.to_owned();
        let value = known.entry(name.clone()).or_insert_with(|| source.variable(&name).unwrap_or_default());
        replaced += 1;
        if replaced > REFERENCES_MAX || token.text.len() + value.len() > OCTETS_MAX {
            return Err(token.error(format!("the environment variable {name} refers to itself without end")));
        }
        token.text.replace_range(start..end, value);
        token.literal = true;
    }
    Ok(())
}

/// The first complete reference: where it starts, its name, where it ends.
fn reference<'t>(text: &'t str, open: &str, close: &str) -> Option<(usize, &'t str, usize)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find(open)?;
        let name_at = start + open.len();
        let length = text[name_at..].find(close)?;
        if length > 0 {
            return Some((start, &text[name_at..name_at + length], name_at + length + close.len()));
        }
        from = name_at;
    }
}

/// How a reference begins and ends, the one that is replaced first in front.
const FORMS: [(&str, &str); 2] = [("{%", "%}"), ("{$", "}")];

/// References in one token: more is a variable that refers to itself.
const REFERENCES_MAX: usize = 1000;

/// Octets of one token after replacement.
const OCTETS_MAX: usize = 1 << 20;
