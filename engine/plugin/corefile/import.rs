//! `import`: snippets, files and patterns of files.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::lexer::{Lexed, Token, lex};
use super::{ConfigError, Source, environment};

/// What can be imported, and how often that was done.
pub(super) struct Imports<'s> {
    source: &'s dyn Source,
    snippets: HashMap<String, Rc<[Lexed]>>,
    /// Files are read once in a parse.
    files: HashMap<PathBuf, Rc<[Lexed]>>,
    snippet_imports: usize,
    file_imports: usize,
}

impl<'s> Imports<'s> {
    /// Nothing yet.
    pub(super) fn new(source: &'s dyn Source) -> Self {
        Self { source, snippets: HashMap::new(), files: HashMap::new(), snippet_imports: 0, file_imports: 0 }
    }

    /// Remembers a snippet; one that imports itself is refused at once.
    pub(super) fn define(&mut self, name: &str, tokens: Vec<Lexed>) -> Result<(), ConfigError> {
        for (index, pair) in tokens.windows(2).enumerate() {
            let [import, what] = pair else { continue };
            let begins_line = index == 0 || import.first;
            if begins_line && import.token.text == "import" && self.replace(&what.token)? == name {
                return Err(import.token.error(too_deep("snippet", SNIPPETS_MAX)));
            }
        }
        self.snippets.insert(name.into(), tokens.into());
        Ok(())
    }

    /// Whether a snippet of this name was defined.
    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.snippets.contains_key(name)
    }

    /// The texts that an `import` of `what` stands for, in their order. A pattern may match none: then a warning is
    /// added.
    pub(super) fn resolve(
        &mut self,
        what: &Token,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Rc<[Lexed]>>, ConfigError> {
        let wanted = self.replace(what)?;
        if wanted.is_empty() {
            return Err(what.error("Import requires a non-empty filepath"));
        }
        if let Some(snippet) = self.snippets.get(&wanted) {
            self.snippet_imports += 1;
            if self.snippet_imports > SNIPPETS_MAX {
                return Err(what.error(too_deep("snippet", SNIPPETS_MAX)));
            }
            return Ok(vec![Rc::clone(snippet)]);
        }
        self.file_imports += 1;
        if self.file_imports > FILES_MAX {
            return Err(what.error(too_deep("file", FILES_MAX)));
        }
        let pattern = self.pattern(what, &wanted)?;
        let paths = self
            .source
            .matching(&pattern)
            .map_err(|why| what.error(format!("Failed to use import pattern {wanted}: {why}")))?;
        if paths.is_empty() {
            if !pattern.contains(['*', '?', '[', ']']) {
                return Err(what.error(format!("File to import not found: {wanted}")));
            }
            warnings.push(format!("No files matching import glob pattern: {wanted}"));
        }
        paths.into_iter().map(|path| self.file(what, path)).collect()
    }

    /// The absolute path of the file that a token stands in.
    fn holder(&self, what: &Token) -> Result<PathBuf, ConfigError> {
        self.source
            .absolute(Path::new(&*what.file))
            .map_err(|why| what.error(format!("Failed to get absolute path of file: {}: {why}", what.file)))
    }

    /// The absolute pattern: a relative one starts at the folder of the file that has the import.
    fn pattern(&self, what: &Token, wanted: &str) -> Result<String, ConfigError> {
        let holder = self.holder(what)?;
        let folder = holder.parent().unwrap_or_else(|| Path::new("/"));
        let pattern = clean(&folder.join(wanted)).to_string_lossy().into_owned();
        let many = |wildcard: char| pattern.matches(wildcard).count() > 1;
        if many('*') || many('?') || pattern.contains('[') && pattern.contains(']') {
            let message = format!("Glob pattern may only contain one wildcard (*), but has others: {pattern}");
            return Err(what.error(message));
        }
        Ok(pattern)
    }

    /// The tokens of a file; one that imports itself is refused at once.
    fn file(&mut self, what: &Token, path: PathBuf) -> Result<Rc<[Lexed]>, ConfigError> {
        if path == self.holder(what)? {
            return Err(what.error(too_deep("file", FILES_MAX)));
        }
        if let Some(tokens) = self.files.get(&path) {
            return Ok(Rc::clone(tokens));
        }
        let octets = self.source.read(&path).map_err(|why| match why.kind() {
            io::ErrorKind::IsADirectory => what.error(format!("Could not import {}: is a directory", path.display())),
            _ => what.error(format!("Could not import {}: {why}", path.display())),
        })?;
        let text = String::from_utf8(octets)
            .map_err(|why| what.error(format!("Could not read tokens while importing {}: {why}", path.display())))?;
        let file: Arc<str> = path.to_string_lossy().into();
        let tokens: Rc<[Lexed]> = lex(&file, &text)?.into();
        self.files.insert(path, Rc::clone(&tokens));
        Ok(tokens)
    }

    /// The text of a token with its environment references replaced.
    pub(super) fn replace(&self, token: &Token) -> Result<String, ConfigError> {
        let variable = |name: &str| self.source.variable(name);
        environment::replace(&token.text, &variable).map_err(|why| token.error(why))
    }
}

/// The path without `.` and `..`, by its text alone.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

/// The message for too many imports of a kind.
fn too_deep(kind: &str, most: usize) -> String {
    format!("maximum {kind} import depth ({most}) exceeded")
}

/// Imports of snippets in a Corefile at most, so that snippets that import each other end.
const SNIPPETS_MAX: usize = 10_000;

/// The same for files.
const FILES_MAX: usize = 100_000;
