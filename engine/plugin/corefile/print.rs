//! A parsed Corefile as text that parses to the same again, whatever the environment.

use std::fmt::{self, Display, Formatter};

use super::environment::{NOTHING, escape, quote};
use super::{Corefile, Directive, ServerBlock, ServerKey, Token};
use store::name;

impl Display for Corefile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, block) in self.blocks.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{block}")?;
        }
        Ok(())
    }
}

impl Display for ServerBlock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for key in &self.keys {
            write!(f, "{} ", Key(key))?;
        }
        f.write_str("{\n")?;
        for directive in &self.directives {
            write_line(directive, 1, f)?;
        }
        f.write_str("}\n")
    }
}

impl Display for Directive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_line(self, 0, f)
    }
}

/// Writes a line and its block, indented.
fn write_line(line: &Directive, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    let indent = depth * INDENT;
    write!(f, "{:indent$}", "")?;
    match &line.name.text[..] {
        // A property may have this name if it came from the environment.
        "import" => write!(f, "import{NOTHING}")?,
        _ => write!(f, "{}", Word(&line.name))?,
    }
    for arg in &line.args {
        write!(f, " {}", Word(arg))?;
    }
    if let Some(body) = &line.body {
        f.write_str(" {\n")?;
        for line in body {
            write_line(line, depth + 1, f)?;
        }
        write!(f, "{:indent$}}}", "")?;
    }
    f.write_str("\n")
}

/// A token as it has to be written.
struct Word<'t>(&'t Token);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&escape(&self.0.text)))
    }
}

/// A key as it has to be written: with scheme and port, and without commas, which separate keys.
struct Key<'k>(&'k ServerKey);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let zone = name::to_text(&self.0.zone).replace(',', "\\044");
        let key = format!("{}://{zone}:{}", self.0.scheme.name(), self.0.port);
        f.write_str(&quote(&escape(&key)))
    }
}

/// Spaces a level.
const INDENT: usize = 4;
