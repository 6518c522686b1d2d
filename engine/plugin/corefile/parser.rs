//! From tokens to server blocks.

use std::sync::Arc;

use super::import::Imports;
use super::lexer::{Lexed, Token, lex};
use super::stream::Stream;
use super::{ConfigError, Directive, Options};

/// A server block whose keys are not read yet.
pub(super) struct RawBlock {
    /// Its keys, at least one.
    pub(super) keys: Vec<Token>,
    /// Its lines.
    pub(super) directives: Vec<Directive>,
}

/// What the parser found.
#[derive(Default)]
pub(super) struct Parsed {
    /// The blocks in their order.
    pub(super) blocks: Vec<RawBlock>,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
    /// What is wrong, in the order of the text. After a fault that leaves no doubt where the text goes on, it does.
    pub(super) faults: Vec<ConfigError>,
}

/// Parses a text. `file` is its name in messages and the place that relative imports start from.
pub(super) fn parse(file: &str, text: &str, options: &Options<'_>) -> Parsed {
    let mut parsed = Parsed::default();
    let outcome = lex(&file.into(), text).and_then(|tokens| {
        let stream = Stream::new(tokens);
        let imports = Imports::new(options.source);
        Parser { stream, imports, is_known: options.is_known, parsed: &mut parsed }.blocks()
    });
    parsed.faults.extend(outcome.err());
    parsed
}

/// The parser at some place of the text.
struct Parser<'o> {
    stream: Stream,
    imports: Imports<'o>,
    is_known: &'o dyn Fn(&str) -> bool,
    parsed: &'o mut Parsed,
}

impl Parser<'_> {
    /// The whole text: snippets and server blocks.
    fn blocks(&mut self) -> Result<(), ConfigError> {
        while self.stream.peek().is_some() {
            let keys = self.keys()?;
            let begins = self.stream.peek().map(|(token, _)| token.clone());
            match (&keys[..], begins) {
                ([], None) => {}
                ([only], Some(_)) if snippet_name(&only.text).is_some() => self.snippet(only)?,
                (_, begins) => {
                    let directives = self.directives()?;
                    if let (true, Some(place)) = (keys.is_empty(), begins) {
                        let message = format!("{}: a server block without a key is not served", place.place());
                        self.parsed.warnings.push(message);
                        continue;
                    }
                    self.parsed.blocks.push(RawBlock { keys, directives });
                }
            }
        }
        Ok(())
    }

    /// The keys of a block: the words up to `{` or the end of the line. A comma at the end of a line carries on to the
    /// next one.
    fn keys(&mut self) -> Result<Vec<Token>, ConfigError> {
        let mut keys: Vec<Token> = Vec::new();
        let mut expecting_another = false;
        // Whether a word was there, even an empty one that is no key.
        let mut begun = false;
        loop {
            let Some((next, first)) = self.stream.peek() else {
                return if expecting_another { Err(self.end_of_file()) } else { Ok(keys) };
            };
            let next = next.clone();
            if begun && first && !expecting_another {
                return Ok(keys);
            }
            let text = self.imports.replace(&next)?;
            match &text[..] {
                "import" if first => {
                    self.import()?;
                    continue;
                }
                "{" if expecting_another => return Err(extra_comma(&next, "{")),
                "{" => return Ok(keys),
                "}" => return Err(next.error(UNMATCHED)),
                _ => {}
            }
            self.stream.take()?;
            begun = true;
            if text.is_empty() {
                continue;
            }
            let list = text.strip_suffix(',');
            expecting_another = list.is_some();
            for key in list.unwrap_or(&text).split(',') {
                if key.is_empty() {
                    return Err(extra_comma(&next, ","));
                }
                keys.push(Token { text: key.into(), file: Arc::clone(&next.file), line: next.line });
            }
        }
    }

    /// The block of a snippet: its tokens are kept as they are.
    fn snippet(&mut self, key: &Token) -> Result<(), ConfigError> {
        let name = snippet_name(&key.text).unwrap_or_default();
        let Some((begins, _)) = self.stream.peek() else { return Err(self.end_of_file()) };
        let begins = begins.clone();
        if self.imports.is_defined(name) {
            return Err(begins.error(format!("redeclaration of previously declared snippet {name}")));
        }
        if begins.text != "{" {
            return Err(begins.syntax("{"));
        }
        self.stream.take()?;
        let mut depth = 1;
        let mut tokens = Vec::new();
        while let Some((_, first)) = self.stream.peek() {
            let Some(token) = self.stream.take()? else { break };
            match &token.text[..] {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return self.imports.define(name, tokens);
            }
            tokens.push(Lexed { token, first });
        }
        Err(self.unclosed())
    }

    /// The lines of a server block with its braces; without braces they go on to the end of the text.
    fn directives(&mut self) -> Result<Vec<Directive>, ConfigError> {
        let braces = self.stream.is_next("{");
        if braces {
            self.stream.take()?;
        }
        let mut directives = Vec::new();
        loop {
            match self.stream.peek() {
                None if braces => return Err(self.unclosed()),
                None => return Ok(directives),
                Some((token, _)) if token.text == "}" && !braces => return Err(token.error(UNMATCHED)),
                Some((token, _)) if token.text == "}" => {
                    self.stream.take()?;
                    return Ok(directives);
                }
                Some((token, _)) if token.text == "import" => self.import()?,
                Some(_) => directives.extend(self.directive()?),
            }
        }
    }

    /// A plugin's line with its block; None if there is no such plugin.
    fn directive(&mut self) -> Result<Option<Directive>, ConfigError> {
        let name = self.stream.peek().map(|(token, _)| token.clone());
        let name = name.map(|token| self.replaced(token)).transpose()?;
        let unknown = name.filter(|name| !(self.is_known)(&name.text));
        if let Some(name) = &unknown {
            self.parsed.faults.push(name.error(format!("Unknown directive '{}'", name.text)));
        }
        let directive = self.line(0)?;
        match self.stream.peek() {
            Some((token, false)) if token.text == "}" => return Err(token.error(UNMATCHED)),
            Some((token, false)) => return Err(token.syntax("end of line")),
            _ => {}
        }
        Ok(unknown.is_none().then_some(directive))
    }

    /// A name, its arguments on the same line, and a block if one follows.
    fn line(&mut self, depth: usize) -> Result<Directive, ConfigError> {
        let Some(name) = self.stream.take()? else { return Err(self.end_of_file()) };
        let name = self.replaced(name)?;
        let mut args = Vec::new();
        loop {
            match self.stream.peek() {
                // An opening brace belongs to the line before it too.
                Some((token, _)) if token.text == "{" => {
                    let body = Some(self.body(depth + 1)?);
                    return Ok(Directive { name, args, body });
                }
                Some((token, false)) if token.text != "}" => {}
                _ => return Ok(Directive { name, args, body: None }),
            }
            if let Some(token) = self.stream.take()? {
                args.push(self.replaced(token)?);
            }
        }
    }

    /// The lines between braces.
    fn body(&mut self, depth: usize) -> Result<Vec<Directive>, ConfigError> {
        let opening = self.stream.take()?;
        if let (Some(opening), true) = (opening, depth > DEPTH_MAX) {
            return Err(opening.error(format!("blocks are nested more than {DEPTH_MAX} deep")));
        }
        let mut lines = Vec::new();
        loop {
            match self.stream.peek() {
                None => return Err(self.end_of_file()),
                Some((token, _)) if token.text == "}" => {
                    self.stream.take()?;
                    return Ok(lines);
                }
                Some((token, _)) if token.text == "{" => return Err(token.error(NAMELESS)),
                Some((token, true)) if token.text == "import" => self.import()?,
                Some(_) => lines.push(self.line(depth)?),
            }
        }
    }

    /// Puts what an `import` stands for in its place.
    fn import(&mut self) -> Result<(), ConfigError> {
        let Some(import) = self.stream.take()? else { return Err(self.end_of_file()) };
        let Some(what) = self.stream.take_on_line()? else { return Err(import.wrong_argument_count()) };
        if let Some(surplus) = self.stream.take_on_line()? {
            return Err(surplus.error("Import takes only one argument (glob pattern or file)"));
        }
        let texts = self.imports.resolve(&what, &mut self.parsed.warnings)?;
        for tokens in texts.into_iter().rev() {
            self.stream.import(tokens);
        }
        Ok(())
    }

    /// The token with its environment references replaced.
    fn replaced(&self, mut token: Token) -> Result<Token, ConfigError> {
        token.text = self.imports.replace(&token)?;
        Ok(token)
    }

    /// The text ends too early: inside a plugin's block or a list of keys.
    fn end_of_file(&self) -> ConfigError {
        let message = "Unexpected EOF";
        self.stream.last().map_or_else(|| ConfigError::plain(message), |last| last.error(message))
    }

    /// The text ends before the `}` of a server block or snippet.
    fn unclosed(&self) -> ConfigError {
        self.stream.last().map_or_else(|| self.end_of_file(), |last| last.syntax("}"))
    }
}

/// The name in `(name)`.
fn snippet_name(key: &str) -> Option<&str> {
    key.strip_prefix('(')?.strip_suffix(')')
}

/// A comma with no key behind it.
fn extra_comma(place: &Token, found: &str) -> ConfigError {
    place.error(format!("Expected another address but had '{found}' - check for extra comma"))
}

/// The message for a closing brace too many.
const UNMATCHED: &str = "Unexpected '}' because no matching opening brace";

/// The message for a block that belongs to nothing.
const NAMELESS: &str = "Unexpected '{' because nothing stands before it";

/// Blocks within blocks at most; no plugin has more than two.
const DEPTH_MAX: usize = 32;
