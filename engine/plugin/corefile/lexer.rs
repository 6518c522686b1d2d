//! From text to tokens.

use std::fmt;
use std::sync::Arc;

use super::ConfigError;

/// A word of a Corefile, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word, without quotes; variables are already replaced.
    pub text: String,
    /// The file, as errors name it.
    pub file: Arc<str>,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// It stood in quotes, or came out of a variable: it is never a brace.
    pub(super) literal: bool,
    /// It begins a line, a file or the inside of a block.
    pub(super) first: bool,
}

impl Token {
    /// An error at this token.
    pub fn error(&self, text: impl fmt::Display) -> ConfigError {
        ConfigError::at(&self.file, self.line, text)
    }

    /// A syntax error at this token.
    pub(super) fn syntax(&self, text: impl fmt::Display) -> ConfigError {
        ConfigError::syntax(&self.file, self.line, text)
    }

    /// Whether it is an opening brace.
    pub(super) fn opens(&self) -> bool {
        !self.literal && self.text == "{"
    }

    /// Whether it is a closing brace.
    pub(super) fn closes(&self) -> bool {
        !self.literal && self.text == "}"
    }
}

/// Cuts a text into tokens.
///
/// White space ends a token; a `#` outside of quotes begins a comment, in the middle of a word too; a `"` at the start of
/// a token quotes up to the next one that has no backslash before it. A carriage return counts for nothing.
pub(super) fn tokens(file: &Arc<str>, text: &str) -> Result<Vec<Token>, ConfigError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut first = true;
    let mut word: Option<Token> = None;
    let mut characters = text.strip_prefix('\u{feff}').unwrap_or(text).chars().filter(|c| *c != '\r');
    while let Some(character) = characters.next() {
        match character {
            '#' => {
                tokens.extend(word.take());
                line += usize::from(characters.by_ref().any(|c| c == '\n'));
                first = true;
            }
            '"' if word.is_none() => {
                let mut token = Token { literal: true, ..new(file, line, first, tokens.last()) };
                if !quoted(&mut characters, &mut token.text) {
                    return Err(token.error("the quote that begins here has no end"));
                }
                line += token.text.matches('\n').count();
                first = false;
                tokens.push(token);
            }
            space if space.is_whitespace() => {
                tokens.extend(word.take());
                line += usize::from(space == '\n');
                first |= space == '\n';
            }
            other => {
                let begun = word.get_or_insert_with(|| new(file, line, first, tokens.last()));
                begun.text.push(other);
                first = false;
            }
        }
    }
    tokens.extend(word);
    Ok(tokens)
}

/// Reads to the end of a quoted token; false if the text ends before.
fn quoted(characters: &mut impl Iterator<Item = char>, text: &mut String) -> bool {
    let mut escaped = false;
    for character in characters {
        match (escaped, character) {
            (false, '"') => return true,
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, '"') => {}
            // Any other escape keeps both characters.
            (true, _) => text.push('\\'),
            (false, _) => {}
        }
        escaped = false;
        text.push(character);
    }
    false
}

/// An empty token behind another one.
fn new(file: &Arc<str>, line: usize, first: bool, before: Option<&Token>) -> Token {
    let first = first || before.is_none_or(Token::opens);
    Token { text: String::new(), file: Arc::clone(file), line, literal: false, first }
}
