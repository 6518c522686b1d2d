//! From tokens to server blocks.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::expand::Expanded;
use super::lexer::Token;
use super::{ConfigError, Directive, FileSystem, ServerKey, Source};
use crate::plugin::is_known;

/// A Corefile that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corefile {
    /// Its server blocks in their order.
    pub blocks: Vec<ServerBlock>,
    /// What the operator should know; it can be served all the same.
    pub warnings: Vec<String>,
}

/// A server block: what it serves, and the plugins that do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBlock {
    /// The zones and ports; at least one.
    pub keys: Vec<ServerKey>,
    /// The lines of plugins in their order; each is of a plugin that is built in.
    pub directives: Vec<Directive>,
}

impl Corefile {
    /// Reads a Corefile that errors call `file`; `port` is that of keys of plain DNS that name none.
    ///
    /// A text without tokens is no Corefile: it gives the built-in one.
    pub fn parse(file: &str, text: &str, port: u16, source: &dyn Source) -> Result<Self, ConfigError> {
        Self::check(file, text, port, source)
            .map_err(|faults| faults.into_iter().next().unwrap_or_else(|| ConfigError::plain("the Corefile is faulty")))
    }

    /// The same with all faults that can be told apart, in their order; never an empty list.
    pub fn check(file: &str, text: &str, port: u16, source: &dyn Source) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let mut corefile = Self { blocks: Vec::new(), warnings: Vec::new() };
        let read = Expanded::new(file, text, source).and_then(|mut tokens| {
            while let Some(block) = read_block(&mut tokens, port, &mut corefile.warnings, &mut faults)? {
                corefile.blocks.push(block);
            }
            corefile.warnings.append(&mut tokens.warnings);
            Ok(())
        });
        faults.extend(read.err());
        match corefile.blocks.is_empty() {
            _ if !faults.is_empty() => Err(faults),
            true => Self::built_in(port).map_err(|fault| vec![fault]),
            false => Ok(corefile),
        }
    }

    /// What is served without a Corefile: who asked, with a log.
    pub fn built_in(port: u16) -> Result<Self, ConfigError> {
        Self::parse("Corefile", ".  {\n    whoami\n    log\n}\n", port, &Nothing)
    }
}

impl fmt::Display for Corefile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for block in &self.blocks {
            for key in &block.keys {
                write!(f, "{key} ")?;
            }
            f.write_str("{\n")?;
            for directive in &block.directives {
                directive.print(f, 1)?;
            }
            f.write_str("}\n")?;
        }
        Ok(())
    }
}

/// The next server block; snippets are kept on the way.
fn read_block(
    tokens: &mut Expanded<'_>,
    port: u16,
    warnings: &mut Vec<String>,
    faults: &mut Vec<ConfigError>,
) -> Result<Option<ServerBlock>, ConfigError> {
    loop {
        let Some(first) = tokens.next()? else { return Ok(None) };
        if first.closes() {
            return Err(first.error("Unexpected '}' because no matching opening brace"));
        }
        let (words, braced) = read_keys(tokens, first)?;
        if let [name] = &words[..]
            && name.text.starts_with('(')
            && name.text.ends_with(')')
            && !name.literal
        {
            if !braced {
                return Err(name.syntax(format!("Unexpected token '{}', expecting '{{'", name.text)));
            }
            tokens.define(name)?;
            continue;
        }
        let mut keys = Vec::new();
        for word in words.iter().filter(|word| !word.text.is_empty()) {
            match ServerKey::read(word, port, warnings) {
                Ok(read) => keys.extend(read),
                Err(fault) => faults.push(fault),
            }
        }
        let mut directives = Vec::new();
        loop {
            match tokens.next()? {
                Some(token) if token.closes() && braced => break,
                Some(token) => {
                    if !is_known(&token.text) || token.opens() || token.closes() {
                        faults.push(token.error(format!("Unknown directive '{}'", token.text)));
                    }
                    directives.push(read_line(tokens, token, 0)?);
                }
                None if braced => return Err(unclosed(tokens)),
                None => break,
            }
        }
        if keys.is_empty() && faults.is_empty() {
            continue;
        }
        return Ok(Some(ServerBlock { keys, directives }));
    }
}

/// The words of a block's key line; whether a brace follows them, which is taken too.
fn read_keys(tokens: &mut Expanded<'_>, first: Token) -> Result<(Vec<Token>, bool), ConfigError> {
    let mut words = Vec::new();
    let mut next = Some(first);
    let mut expecting = true;
    while let Some(mut token) = next {
        if token.opens() {
            if expecting && !words.is_empty() {
                return Err(token.error("Expected another address but had '{' - check for extra comma"));
            }
            return Ok((words, true));
        }
        if token.first && !expecting {
            tokens.give_back(token);
            return Ok((words, false));
        }
        expecting = token.text.ends_with(',');
        token.text.truncate(token.text.trim_end_matches(',').len());
        words.push(token);
        next = tokens.next()?;
    }
    if expecting {
        return Err(eof(tokens));
    }
    Ok((words, false))
}

/// A line and the block that it opens.
fn read_line(tokens: &mut Expanded<'_>, name: Token, depth: usize) -> Result<Directive, ConfigError> {
    let mut line = Directive { name, args: Vec::new(), body: None };
    while let Some(token) = tokens.next()? {
        if token.first {
            tokens.give_back(token);
            break;
        }
        if token.closes() && depth > 0 {
            tokens.give_back(token);
            break;
        }
        if token.closes() {
            return Err(token.error("Unexpected '}' because no matching opening brace"));
        }
        if line.body.is_some() {
            return Err(token.error(format!("Unexpected token '{}' after the end of a block", token.text)));
        }
        if token.opens() {
            if depth == DEPTH_MAX {
                return Err(token.error(format!("blocks are nested more than {DEPTH_MAX} deep")));
            }
            line.body = Some(read_body(tokens, depth + 1)?);
        } else {
            line.args.push(token);
        }
    }
    Ok(line)
}

/// The lines up to the brace that closes a plugin's block.
fn read_body(tokens: &mut Expanded<'_>, depth: usize) -> Result<Vec<Directive>, ConfigError> {
    let mut lines = Vec::new();
    loop {
        match tokens.next()? {
            None => return Err(eof(tokens)),
            Some(token) if token.closes() => return Ok(lines),
            Some(token) if token.opens() => {
                return Err(token.error("Unexpected token '{', expecting argument"));
            }
            Some(token) => lines.push(read_line(tokens, token, depth)?),
        }
    }
}

/// The error of a server block without an end.
fn unclosed(tokens: &Expanded<'_>) -> ConfigError {
    tokens.last().map_or_else(
        || ConfigError::plain("Unexpected EOF"),
        |last| last.syntax(format!("Unexpected token '{}', expecting '}}'", last.text)),
    )
}

/// The error of a text that ends too early.
fn eof(tokens: &Expanded<'_>) -> ConfigError {
    tokens.last().map_or_else(|| ConfigError::plain("Unexpected EOF"), |last| last.error("Unexpected EOF"))
}

/// Reading ends, and what was read prints as text that is read as the same; panics if not. For fuzzing.
#[doc(hidden)]
pub fn fuzz_check(text: &str) {
    if let Ok(corefile) = Corefile::parse("Corefile", text, 53, &Nothing) {
        let printed = corefile.to_string();
        let again = Corefile::parse("Corefile", &printed, 53, &Nothing).map_err(|why| why.to_string());
        assert_eq!(again.map(|again| again.to_string()), Ok(printed));
    }
}

/// A source without variables and files.
struct Nothing;

impl Source for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &Path) -> io::Result<Option<String>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn glob(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl Corefile {
    /// Reads a text with the process's environment and files, and port 53 where none is named.
    pub fn parse_text(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse(file, text, 53, &FileSystem)
    }
}

/// Blocks inside blocks; plugins use two.
const DEPTH_MAX: usize = 32;
