//! Tokens with imports put in their place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::IntoIter;

use super::lexer::{Token, tokens};
use super::{ConfigError, Source, environment};

/// The tokens of a Corefile in the order in which they count, imported ones included.
pub(super) struct Expanded<'s> {
    source: &'s dyn Source,
    /// What is being read, innermost last.
    levels: Vec<Level>,
    snippets: HashMap<String, Vec<Token>>,
    snippets_expanded: usize,
    files_expanded: usize,
    /// The token given out last.
    last: Option<Token>,
    /// A token that was given back.
    back: Option<Token>,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
}

/// A file or snippet that is being read.
struct Level {
    rest: std::iter::Peekable<IntoIter<Token>>,
    name: String,
}

impl<'s> Expanded<'s> {
    /// Reads a text that errors call `file`.
    pub(super) fn new(file: &str, text: &str, source: &'s dyn Source) -> Result<Self, ConfigError> {
        let mut expanded = Self {
            source,
            levels: Vec::new(),
            snippets: HashMap::new(),
            snippets_expanded: 0,
            files_expanded: 0,
            last: None,
            back: None,
            warnings: Vec::new(),
        };
        let tokens = expanded.lex(file, text)?;
        expanded.enter(file.into(), tokens);
        Ok(expanded)
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Option<Token>, ConfigError> {
        if let Some(token) = self.back.take() {
            return Ok(Some(token));
        }
        while let Some(token) = self.next_raw() {
            if token.first && !token.literal && token.text == "import" {
                self.import(&token)?;
            } else {
                self.last = Some(token.clone());
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// Gives a token back, to be the next one.
    pub(super) fn give_back(&mut self, token: Token) {
        self.back = Some(token);
    }

    /// The token given out last, for errors at the end of the text.
    pub(super) fn last(&self) -> Option<&Token> {
        self.last.as_ref()
    }

    /// Keeps the tokens up to the brace that closes the block just opened, as snippet `name`.
    pub(super) fn define(&mut self, name: &Token) -> Result<(), ConfigError> {
        let key = name.text.trim_start_matches('(').trim_end_matches(')').to_owned();
        if self.snippets.contains_key(&key) {
            return Err(name.error(format!("redeclaration of previously declared snippet {key}")));
        }
        let (mut body, mut depth) = (Vec::new(), 0usize);
        while let Some(token) = self.next_raw() {
            if token.closes() {
                let Some(outer) = depth.checked_sub(1) else {
                    self.snippets.insert(key, body);
                    return Ok(());
                };
                depth = outer;
            }
            depth += usize::from(token.opens());
            body.push(token);
        }
        Err(body
            .last()
            .unwrap_or(name)
            .syntax(format!("Unexpected token '{}', expecting '}}'", body.last().unwrap_or(name).text)))
    }

    /// The next token as it stands.
    fn next_raw(&mut self) -> Option<Token> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(token) = level.rest.next() {
                return Some(token);
            }
            self.levels.pop();
        }
    }

    /// Goes into what an `import` line names.
    fn import(&mut self, import: &Token) -> Result<(), ConfigError> {
        let mut arguments = Vec::new();
        if let Some(level) = self.levels.last_mut() {
            while let Some(argument) = level.rest.next_if(|next| !next.first) {
                arguments.push(argument);
            }
        }
        let argument = match &mut arguments[..] {
            [] => return Err(import.error("Wrong argument count or unexpected line ending after 'import'")),
            [one] => std::mem::take(&mut one.text),
            _ => return Err(import.error("Import takes only one argument (glob pattern or file)")),
        };
        if let Some(body) = self.snippets.get(&argument) {
            let body = body.clone();
            self.snippets_expanded += 1;
            let name = format!("({argument})");
            if self.snippets_expanded > SNIPPETS_MAX || self.levels.iter().any(|level| level.name == name) {
                return Err(import.error(format!("maximum snippet import depth ({SNIPPETS_MAX}) exceeded")));
            }
            self.enter(name, body);
            return Ok(());
        }
        self.import_files(import, &argument)
    }

    /// Goes into the files of a pattern, relative to the file that holds the import.
    fn import_files(&mut self, import: &Token, pattern: &str) -> Result<(), ConfigError> {
        let is_glob = pattern.contains(['*', '?', '[', ']']);
        let many = |character| pattern.matches(character).count() > 1;
        if many('*') || many('?') || (pattern.contains('[') && pattern.contains(']')) {
            return Err(
                import.error(format!("Glob pattern may only contain one wildcard (*), but has others: {pattern}"))
            );
        }
        let folder = Path::new(&*import.file).parent().unwrap_or_else(|| Path::new(""));
        let path = folder.join(pattern);
        let paths: Vec<PathBuf> = if is_glob { self.source.glob(&path) } else { vec![path] };
        if paths.is_empty() {
            self.warnings.push(format!("No files matching import glob pattern: {pattern}"));
        }
        let mut all = Vec::new();
        for path in paths {
            let path = std::path::absolute(&path).unwrap_or(path);
            let file = path.display().to_string();
            self.files_expanded += 1;
            if self.files_expanded > FILES_MAX {
                return Err(import.error(format!("maximum file import depth ({FILES_MAX}) exceeded")));
            }
            let is_open = |level: &Level| std::path::absolute(&level.name).is_ok_and(|open| open == path);
            if self.levels.iter().any(is_open) {
                return Err(import.error(format!("Could not import {file}: it would import itself")));
            }
            let text = match self.source.read(&path) {
                Ok(Some(text)) => text,
                Ok(None) => return Err(import.error(format!("Could not import {pattern}: is a directory"))),
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                    return Err(import.error(format!("File to import not found: {pattern}")));
                }
                Err(why) => return Err(import.error(format!("Could not import {pattern}: {why}"))),
            };
            let tokens = self.lex(&file, &text)?;
            all.push((file, tokens));
        }
        // The last level is read first.
        for (file, tokens) in all.into_iter().rev() {
            self.enter(file, tokens);
        }
        Ok(())
    }

    /// Makes tokens the next to be read.
    fn enter(&mut self, name: String, mut tokens: Vec<Token>) {
        if let Some(token) = tokens.first_mut() {
            token.first = true;
        }
        self.levels.push(Level { rest: tokens.into_iter().peekable(), name });
    }

    /// Tokens of a text with its variables replaced.
    fn lex(&self, file: &str, text: &str) -> Result<Vec<Token>, ConfigError> {
        let mut tokens = tokens(&Arc::from(file), text)?;
        for token in &mut tokens {
            environment::replace(token, self.source)?;
        }
        Ok(tokens)
    }
}

/// Snippets put in for one Corefile.
const SNIPPETS_MAX: usize = 10_000;

/// Files put in for one Corefile.
const FILES_MAX: usize = 100_000;
