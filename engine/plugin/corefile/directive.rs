//! A line of configuration: a plugin's, or one of the lines in a plugin's block.

use super::{ConfigError, Token};

/// A line with its arguments, and the block behind it if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The plugin, or inside a block the property.
    pub name: Token,
    /// What stands behind the name on its line.
    pub args: Vec<Token>,
    /// The lines between `{` and `}`; None without braces.
    pub body: Option<Vec<Self>>,
}

impl Directive {
    /// The lines of its block; none without one.
    pub fn properties(&self) -> &[Self] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Its only argument. It may have no block.
    pub fn one_argument(&self) -> Result<&Token, ConfigError> {
        match &self.args[..] {
            [only] => self.no_body().map(|()| only),
            [] => Err(self.wrong_argument_count()),
            [_, surplus, ..] => Err(surplus.wrong_argument_count()),
        }
    }

    /// Nothing may stand behind its name.
    pub fn no_arguments(&self) -> Result<(), ConfigError> {
        self.args.first().map_or_else(|| self.no_body(), |surplus| Err(surplus.wrong_argument_count()))
    }

    /// It may have no block.
    pub fn no_body(&self) -> Result<(), ConfigError> {
        match self.body {
            None => Ok(()),
            Some(_) => Err(self.error("Unexpected token '{', expecting argument")),
        }
    }

    /// None of the lines in its block may have a block of its own.
    pub fn flat(&self) -> Result<(), ConfigError> {
        self.properties().iter().try_for_each(Self::no_body)
    }

    /// Too few or too many arguments.
    pub fn wrong_argument_count(&self) -> ConfigError {
        match (self.args.last(), self.no_body()) {
            (None, Err(brace)) => brace,
            (last, _) => last.unwrap_or(&self.name).wrong_argument_count(),
        }
    }

    /// The plugin has no such property.
    pub fn unknown_property(&self) -> ConfigError {
        self.error(format!("unknown property '{}'", self.name.text))
    }

    /// An error on this line: `FILE:LINE - Error during parsing: MESSAGE`.
    pub fn error(&self, message: impl std::fmt::Display) -> ConfigError {
        self.name.error(message)
    }
}
