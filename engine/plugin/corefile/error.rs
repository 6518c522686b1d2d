//! What is wrong with a Corefile, in the shapes that its users know.

use std::fmt;

/// An error of a Corefile; its text is what the operator reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    text: String,
}

impl ConfigError {
    /// An error that has no place.
    pub fn plain(text: impl fmt::Display) -> Self {
        Self { text: text.to_string() }
    }

    /// An error at a line of a file.
    pub fn at(file: &str, line: usize, text: impl fmt::Display) -> Self {
        Self::plain(format!("{file}:{line} - Error during parsing: {text}"))
    }

    /// A syntax error at a line of a file.
    pub fn syntax(file: &str, line: usize, text: impl fmt::Display) -> Self {
        Self::plain(format!("{file}:{line} - Syntax error: {text}"))
    }

    /// A second line of a plugin that may have only one in a block.
    pub fn once() -> Self {
        Self::plain("this plugin can only be used once per Server Block")
    }

    /// An error found while the keys of server blocks were looked at.
    pub fn keys(text: impl fmt::Display) -> Self {
        Self::plain(format!("error inspecting server blocks: {text}"))
    }

    /// The same error as a plugin's.
    pub fn of_plugin(self, plugin: &str) -> Self {
        Self::plain(format!("plugin/{plugin}: {}", self.text))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigError {}
