//! The tokens of a Corefile in the order in which the parser takes them, with imports put in their places.

use std::rc::Rc;

use super::ConfigError;
use super::lexer::{Lexed, Token};

/// Tokens to take, from several texts: what was imported last comes first.
pub(super) struct Stream {
    /// The texts under way, the innermost last.
    texts: Vec<Text>,
    /// The next token begins a line, whatever stood before it in its text.
    fresh: bool,
    /// The token that was taken last.
    last: Option<Token>,
    taken: usize,
}

/// A text that is being read.
struct Text {
    tokens: Rc<[Lexed]>,
    next: usize,
}

impl Stream {
    /// A stream of one text.
    pub(super) fn new(tokens: Vec<Lexed>) -> Self {
        Self { texts: vec![Text { tokens: tokens.into(), next: 0 }], fresh: true, last: None, taken: 0 }
    }

    /// The next token, which stays, and whether it begins a line.
    pub(super) fn peek(&mut self) -> Option<(&Token, bool)> {
        // A text that has ended is followed by the line after its import.
        while self.texts.pop_if(|text| text.next == text.tokens.len()).is_some() {
            self.fresh = true;
        }
        let text = self.texts.last()?;
        let lexed = text.tokens.get(text.next)?;
        Some((&lexed.token, lexed.first || self.fresh))
    }

    /// Whether the next token says this, anywhere.
    pub(super) fn is_next(&mut self, text: &str) -> bool {
        self.peek().is_some_and(|(token, _)| token.text == text)
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Option<Token>, ConfigError> {
        let Some((token, _)) = self.peek() else { return Ok(None) };
        let token = token.clone();
        if let Some(text) = self.texts.last_mut() {
            text.next += 1;
        }
        self.fresh = false;
        self.taken += 1;
        if self.taken > TOKENS_MAX {
            return Err(token.error(format!("more than {TOKENS_MAX} words, imports included")));
        }
        self.last = Some(token.clone());
        Ok(Some(token))
    }

    /// Takes the next token if it stands on the same line as the last one.
    pub(super) fn take_on_line(&mut self) -> Result<Option<Token>, ConfigError> {
        match self.peek() {
            Some((_, false)) => self.take(),
            _ => Ok(None),
        }
    }

    /// Puts a text before what is left.
    pub(super) fn import(&mut self, tokens: Rc<[Lexed]>) {
        self.texts.push(Text { tokens, next: 0 });
        self.fresh = true;
    }

    /// The token that was taken last: where the text stands.
    pub(super) fn last(&self) -> Option<&Token> {
        self.last.as_ref()
    }
}

/// Tokens in a Corefile at most, each import counted as often as it is made: without a bound a few nested imports make
/// billions.
const TOKENS_MAX: usize = 1_000_000;
