//! What is wrong with a Corefile, in the words and shapes that operators know from other servers that read it.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A fault in a Corefile: the first one that a start reports and ends with.
///
/// It displays as one line, in the shape of where it was found:
///
/// | found by | shape |
/// | --- | --- |
/// | the parser | `FILE:LINE - Error during parsing: MESSAGE` |
/// | the parser's syntax | `FILE:LINE - Syntax error: Unexpected token 'X', expecting 'Y'` |
/// | the server keys | `error inspecting server blocks: MESSAGE` |
/// | a plugin's set-up | `plugin/NAME: ` before any of these, or before a plain message |
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct ConfigError {
    text: String,
    place: Option<Place>,
}

/// A line of a file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the operator named it; an imported file by its absolute path.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
}

impl ConfigError {
    /// An error that is its message and nothing else.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { text: message.into(), place: None }
    }

    /// A plugin that takes a single line has several.
    pub fn once() -> Self {
        Self::plain("this plugin can only be used once per Server Block")
    }

    /// An error of the parser at a place.
    pub(super) fn parsing(place: Place, message: impl fmt::Display) -> Self {
        Self { text: format!("{place} - Error during parsing: {message}"), place: Some(place) }
    }

    /// A token stands where another one should.
    pub(super) fn syntax(place: Place, token: &str, expecting: &str) -> Self {
        let text = format!("{place} - Syntax error: Unexpected token '{token}', expecting '{expecting}'");
        Self { text, place: Some(place) }
    }

    /// A server key that cannot be served.
    pub(super) fn inspecting(place: Place, message: impl fmt::Display) -> Self {
        Self { text: format!("error inspecting server blocks: {message}"), place: Some(place) }
    }

    /// A server key with a port that does not exist.
    pub(super) fn port(place: Place, port: i64) -> Self {
        Self { text: format!("address {port}: invalid port"), place: Some(place) }
    }

    /// The same error as one of the set-up of a plugin.
    #[must_use]
    pub fn of_plugin(self, name: &str) -> Self {
        Self { text: format!("plugin/{name}: {}", self.text), place: self.place }
    }

    /// Where the fault is, even if the message does not say so; None if it belongs to no single line.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The message with its place in front if it does not name that itself.
    pub fn with_place(&self) -> String {
        match self.place.as_ref().map(ToString::to_string) {
            Some(place) if !self.text.contains(&place) => format!("{place}: {}", self.text),
            _ => self.text.clone(),
        }
    }

    /// The same error, found at a place unless it already has one.
    #[must_use]
    pub fn or_at(self, place: Place) -> Self {
        Self { place: self.place.or(Some(place)), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
