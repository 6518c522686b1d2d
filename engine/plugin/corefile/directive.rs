//! A line of a server block: a plugin's name, its arguments, and the block that it may open.

use std::fmt;

use super::ConfigError;
use super::lexer::Token;

/// A plugin's line, or a property line inside its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The first word.
    pub name: Token,
    /// The other words of the line.
    pub args: Vec<Token>,
    /// The lines of the block that it opens.
    pub body: Option<Vec<Self>>,
}

impl Directive {
    /// The lines of its block; none without one.
    pub fn properties(&self) -> &[Self] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Its only argument.
    pub fn one_argument(&self) -> Result<&Token, ConfigError> {
        match &self.args[..] {
            [one] => Ok(one),
            _ => Err(self.wrong_argument_count()),
        }
    }

    /// Checks that it has no arguments.
    pub fn no_arguments(&self) -> Result<(), ConfigError> {
        if self.args.is_empty() { Ok(()) } else { Err(self.wrong_argument_count()) }
    }

    /// Checks that it opens no block.
    pub fn no_body(&self) -> Result<(), ConfigError> {
        match &self.body {
            None => Ok(()),
            Some(_) => Err(self.name.error(format!("Unexpected token '{{', '{}' takes no block", self.name.text))),
        }
    }

    /// The error of too many or too few arguments.
    pub fn wrong_argument_count(&self) -> ConfigError {
        match (self.args.last(), &self.body) {
            (None, Some(_)) => self.name.error("Unexpected token '{', expecting argument"),
            (last, _) => {
                let last = last.unwrap_or(&self.name);
                last.error(format!("Wrong argument count or unexpected line ending after '{}'", last.text))
            }
        }
    }

    /// The error of a property that its plugin does not have.
    pub fn unknown_property(&self) -> ConfigError {
        self.name.error(format!("unknown property '{}'", self.name.text))
    }

    /// Writes the line and its block, indented by `depth` steps.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}{}", "", Quoted(&self.name, true), indent = depth * 4)?;
        for argument in &self.args {
            write!(f, " {}", Quoted(argument, false))?;
        }
        if let Some(body) = &self.body {
            f.write_str(" {\n")?;
            for line in body {
                line.print(f, depth + 1)?;
            }
            write!(f, "{:indent$}}}", "", indent = depth * 4)?;
        }
        f.write_str("\n")
    }
}

/// A token as text that is read as the same token; the second value tells that it begins a line.
struct Quoted<'t>(&'t Token, bool);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0.text;
        let quoted = text.is_empty()
            || text.starts_with(['"', '\u{feff}'])
            || text.contains(|c: char| c.is_whitespace() || c == '#')
            || matches!(&text[..], "{" | "}")
            || (self.1 && text == "import");
        if !quoted { f.write_str(text) } else { write!(f, "\"{}\"", text.replace('"', "\\\"")) }
    }
}
