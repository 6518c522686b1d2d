//! From text to tokens.

use std::fmt;
use std::sync::Arc;

use super::ConfigError;
use super::error::Place;

/// A word of the Corefile and where it stands. Two tokens are equal if they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it says, without quotes; in a parsed Corefile with its environment references replaced.
    pub text: String,
    /// The file as the operator named it; an imported file by its absolute path.
    pub file: Arc<str>,
    /// The line on which it begins, from 1.
    pub line: u32,
}

/// A token as the lexer found it.
#[derive(Clone, Debug)]
pub(super) struct Lexed {
    /// The token.
    pub(super) token: Token,
    /// Whether it is the first one on its line.
    pub(super) first: bool,
}

impl Token {
    /// An error at this token: `FILE:LINE - Error during parsing: MESSAGE`.
    pub fn error(&self, message: impl fmt::Display) -> ConfigError {
        ConfigError::parsing(self.place(), message)
    }

    /// This token stands where `expecting` should.
    pub fn syntax(&self, expecting: &str) -> ConfigError {
        ConfigError::syntax(self.place(), &self.text, expecting)
    }

    /// Too few or too many arguments, noticed at this token.
    pub fn wrong_argument_count(&self) -> ConfigError {
        match &self.text[..] {
            "{" => self.error("Unexpected token '{', expecting argument"),
            text => self.error(format!("Wrong argument count or unexpected line ending after '{text}'")),
        }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: self.line }
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Token {}

/// Splits a text into tokens.
///
/// White space separates, `#` begins a comment to the end of its line wherever it stands, `"` at the beginning of a token
/// quotes up to the next `"`. Between quotes only `\"` is an escape. A carriage return outside of quotes does not exist.
/// A quote that is never closed is an error; elsewhere the rest of the file becomes one token and is misunderstood there.
pub(super) fn lex(file: &Arc<str>, text: &str) -> Result<Vec<Lexed>, ConfigError> {
    let mut characters = text.strip_prefix('\u{feff}').unwrap_or(text).chars();
    let mut tokens = Vec::new();
    let mut line = 1;
    // The line on which the last token ended, none at first.
    let mut last_line = 0;
    let mut word = String::new();
    let mut emit = |text: String, begun: u32, ended: u32| {
        let token = Token { text, file: Arc::clone(file), line: begun };
        tokens.push(Lexed { token, first: begun != last_line });
        last_line = ended;
    };
    while let Some(character) = characters.next() {
        match character {
            '\r' => {}
            '"' if word.is_empty() => {
                let begun = line;
                let Some(text) = quoted(&mut characters) else {
                    let place = Place { file: Arc::clone(file), line: begun };
                    return Err(ConfigError::parsing(
                        place,
                        "Unexpected EOF: the quote that begins here is not closed",
                    ));
                };
                line += newlines(&text);
                emit(text, begun, line);
            }
            '#' => {
                if !word.is_empty() {
                    emit(std::mem::take(&mut word), line, line);
                }
                if characters.any(|character| character == '\n') {
                    line += 1;
                }
            }
            space if space.is_whitespace() => {
                if !word.is_empty() {
                    emit(std::mem::take(&mut word), line, line);
                }
                line += u32::from(space == '\n');
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        emit(word, line, line);
    }
    Ok(tokens)
}

/// The text up to the closing quote, which is taken too; None if there is none.
fn quoted(characters: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                '"' => text.push('"'),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
}

/// How many line ends a text has.
fn newlines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the tokens, those that begin a line with `|` before them.
    fn tokens(text: &str) -> Vec<String> {
        let mark = |lexed: Lexed| format!("{}{}", if lexed.first { "|" } else { "" }, lexed.token.text);
        lex(&"f".into(), text).unwrap().into_iter().map(mark).collect()
    }

    #[test]
    fn rules() {
        for (rule, text, expected) in [
            ("a byte-order mark is dropped", "\u{feff}a", &["|a"][..]),
            ("any Unicode white space separates", "a\u{a0}b\u{2003}c\u{b}d", &["|a", "b", "c", "d"]),
            ("a carriage return is not there", "a\rb\r\nc", &["|ab", "|c"]),
            ("a comment may begin inside a word", "foo#bar baz\nqux", &["|foo", "|qux"]),
            ("a comment at the end of the file", "a # b", &["|a"]),
            ("white space is literal in quotes", "\"a b\n#{}\" c", &["|a b\n#{}", "c"]),
            ("a quote inside a word is a character", "a\"b c\"", &["|a\"b", "c\""]),
            ("text after a quote is another token", "\"a\"b", &["|a", "b"]),
            ("only \\\" is an escape", r#""a\"b\\c\n""#, &[r#"|a"b\\c\n"#]),
            ("two backslashes do not escape", r#""a\\" b"#, &[r"|a\\", "b"]),
            ("empty quotes are a token", "a \"\" b", &["|a", "", "b"]),
            ("no other quotes", "'a b' `c`", &["|'a", "b'", "`c`"]),
            ("no continuation of lines", "a \\\nb", &["|a", "\\", "|b"]),
            ("braces glued to a word are part of it", "a{ {b }c", &["|a{", "{b", "}c"]),
            ("nothing", " \n# x", &[]),
        ] {
            assert_eq!(tokens(text), expected, "{rule}");
        }
    }

    #[test]
    fn lines_count_from_where_a_token_begins() {
        let lines: Vec<u32> =
            lex(&"f".into(), "a\n\"b\nc\" d\ne # f\ng").unwrap().iter().map(|lexed| lexed.token.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_open_quote_is_an_error_where_it_begins() {
        for text in ["a\n\"b\nc", "a\n\"b\\\"", "a\n\"b\\"] {
            let error = lex(&"Corefile".into(), text).unwrap_err().to_string();
            assert!(error.starts_with("Corefile:2 - Error during parsing: Unexpected EOF"), "{error}");
        }
    }
}
