//! References to environment variables inside tokens: `{%NAME%}` and `{$NAME}`.

/// A reference leads to itself again, or to more text than a token may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment references in this text lead back to themselves")]
pub(super) struct Endless;

/// Replaces references until none is left, all of `{%…%}` before those of `{$…}`. A value may hold references itself;
/// a variable that is not set is empty text. `{$}` and a reference without its end stay as they are, and so does all
/// that stands behind them.
pub(super) fn replace(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, Endless> {
    if !text.contains("{%") && !text.contains("{$") {
        return Ok(text.to_owned());
    }
    let text = replace_form(text.to_owned(), "{%", "%}", variable)?;
    replace_form(text, "{$", "}", variable)
}

/// Replaces the references of one form.
fn replace_form(
    mut text: String,
    open: &str,
    close: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Endless> {
    for _ in 0..ROUNDS_MAX {
        let Some(begin) = text.find(open) else { return Ok(text) };
        let Some(length) = text[begin..].find(close) else { return Ok(text) };
        if length <= open.len() {
            return Ok(text);
        }
        let reference = text[begin..begin + length + close.len()].to_owned();
        let name = &reference[open.len()..length];
        // No variable can have `=` in its name; `escape` relies on that.
        let value = if name.contains('=') { None } else { variable(name) };
        text = text.replace(&reference, &value.unwrap_or_default());
        if text.len() > OCTETS_MAX {
            return Err(Endless);
        }
    }
    Err(Endless)
}

/// Writes a token's text so that [`replace`] gives it again, whatever the environment: a reference to the variable
/// `=`, which cannot exist, goes between `{` and what would make it a reference or a brace.
pub(super) fn escape(text: &str) -> String {
    if matches!(text, "{" | "}") {
        return format!("{text}{NOTHING}");
    }
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        escaped.push(character);
        if character == '{' && characters.peek().is_some_and(|next| matches!(next, '$' | '%')) {
            escaped.push_str(NOTHING);
        }
    }
    escaped
}

/// Writes a token's text as the lexer reads it, in quotes where it needs them.
pub(super) fn quote(text: &str) -> String {
    let bare = |character: char| !character.is_whitespace() && !matches!(character, '#' | '\u{feff}');
    if !text.is_empty() && !text.starts_with('"') && text.chars().all(bare) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    // Whether the lexer takes the next character as escaped by a backslash.
    let mut escaped = false;
    for character in text.chars() {
        if character == '"' {
            if escaped {
                quoted.push_str(NOTHING);
            }
            quoted.push('\\');
        }
        escaped = character == '\\' && !escaped;
        quoted.push(character);
    }
    if escaped {
        quoted.push_str(NOTHING);
    }
    quoted.push('"');
    quoted
}

/// A reference that is always empty text.
pub(super) const NOTHING: &str = "{$=}";

/// Replacements in one token at most: enough for any real nesting, few enough that a circle ends at once.
const ROUNDS_MAX: usize = 1000;

/// Octets of a token with its references replaced at most.
const OCTETS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "A" => "x y",
            "B" => "{$A}!",
            "C" => "{$D}",
            "D" => "{$C}",
            "E" => "{$E}{$E}",
            "P" => "{%A%}",
            "BRACE" => "{",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn rules() {
        for (rule, text, expected) in [
            ("both forms, anywhere in the text", "a{$A}b{%A%}c", "ax ybx yc"),
            ("a value may hold a reference", "{$B}", "x y!"),
            ("unset is empty", "<{$NOPE}>", "<>"),
            ("malformed stays", "{$} {$A", "{$} {$A"),
            ("malformed stops", "{$}{$A}", "{$}{$A}"),
            ("percent form comes first", "{$P}", "{%A%}"),
            ("a name with = does not exist", "a{$=}b", "ab"),
            ("braces around", "{{$A}}", "{x y}"),
            ("spaces inside are no reference", "{{ $A }}", "{{ $A }}"),
        ] {
            assert_eq!(replace(text, &variable).unwrap(), expected, "{rule}");
        }
    }

    #[test]
    fn circles_end() {
        for text in ["{$C}", "{$E}", "a{$E}{$C}"] {
            assert_eq!(replace(text, &variable), Err(Endless), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "", "a", "a b", "{", "}", "{$A", "{$}", "{$}{$A}", "{%A%}", "\\", "a \\", "\\\"", " \\\\\"", "\"", "\"\\",
            "# {$x",
        ] {
            let (written, file) = (quote(&escape(text)), "f".into());
            let tokens = super::super::lexer::lex(&file, &written).unwrap();
            let [token] = &tokens[..] else { panic!("{text:?} → {written}") };
            assert_eq!(replace(&token.token.text, &variable).unwrap(), text, "{written}");
            assert!(!matches!(&token.token.text[..], "{" | "}"));
        }
    }
}
