//! The reader of zone files.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Entry, State, TTL_FORM, ttl};
use super::generate::Generate;
use super::{Fault, Options, Place};
use crate::types::{self, Token, TokenCursor};
use crate::{Name, name};

/// Reads records one after the other from a zone file and the files it includes.
///
/// After a fault it goes on with the next entry. TTLs that are not written are those of `$TTL`, else of the record
/// before (RFC 2308 §4), and for a first SOA its own minimum. An included file begins with the origin, `$TTL` and last
/// owner of the including one, to which nothing comes back from it (RFC 1035 §5.1).
pub struct Reader<'a> {
    /// The open files, the innermost last.
    frames: Vec<Frame<'a>>,
    /// What the innermost file's last `$GENERATE` has still to make.
    generate: Option<Generate>,
    /// Tokens of the current entry, kept for their allocation.
    tokens: Vec<Token>,
    /// Rdata of the current entry, kept for its allocation.
    rdata: Vec<u8>,
    /// How reading goes.
    options: Options,
    /// Faults so far.
    faults: usize,
    /// Files included so far.
    included: usize,
    /// What `$GENERATE` directives cost so far.
    generated: u64,
}

impl<'a> Reader<'a> {
    /// Opens a file.
    pub fn from_file(path: &Path, origin: Option<&Name>, options: &Options) -> Result<Reader<'static>, Fault> {
        let file: Arc<str> = path.to_string_lossy().into();
        let text = std::fs::read(path).map_err(|error| Fault {
            place: Place { file: file.clone(), line: 0 },
            message: format!("cannot be read: {error}"),
        })?;
        Ok(Reader::new(Frame::new(file, Some(path.to_path_buf()), text.into(), State::at(origin.cloned())), options))
    }

    /// Reads a text; `name` stands for the file in places.
    pub fn from_text(name: &str, text: &'a [u8], origin: Option<&Name>, options: &Options) -> Self {
        Self::new(Frame::new(name.into(), None, text.into(), State::at(origin.cloned())), options)
    }

    /// States with one open file.
    fn new(frame: Frame<'a>, options: &Options) -> Self {
        Self {
            frames: vec![frame],
            generate: None,
            tokens: Vec::new(),
            rdata: Vec::new(),
            options: options.clone(),
            faults: 0,
            included: 0,
            generated: 0,
        }
    }

    /// Reads up to the next record or fault.
    fn advance(&mut self) -> Option<Result<Entry, Fault>> {
        loop {
            if let Some(entry) = self.generate_next() {
                return Some(entry);
            }
            let frame = self.frames.last_mut()?;
            if let Err(error) = frame.cursor.next_entry(&frame.text, &mut self.tokens) {
                return Some(Err(frame.fault(error.line, error.message)));
            }
            let Some(first) = self.tokens.first() else {
                self.frames.pop();
                continue;
            };
            if !first.space && !first.quoted && first.of(&frame.text).starts_with(b"$") {
                match self.directive() {
                    Ok(()) => continue,
                    Err(fault) => return Some(Err(fault)),
                }
            }
            return Some(frame.record(&self.tokens, &mut self.rdata));
        }
    }

    /// Follows a directive: the tokens of the current entry.
    fn directive(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let text = &frame.text;
        let line = self.tokens[0].line;
        let given = self.tokens.len() - 1;
        let (word, limits) = match self.tokens[0].of(text).to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => ("$ORIGIN", 1..=1),
            b"$TTL" => ("$TTL", 1..=1),
            b"$INCLUDE" => ("$INCLUDE", 1..=2),
            b"$GENERATE" => ("$GENERATE", 4..=usize::MAX),
            other => {
                let message =
                    format!("`{}` is not a directive; an owner that begins so is written \\$", other.escape_ascii());
                return Err(frame.fault(line, message));
            }
        };
        if !limits.contains(&given) {
            return Err(frame.fault(line, format!("{word} needs {}", usage(word))));
        }
        let argument = self.tokens[1];
        match word {
            "$ORIGIN" => {
                let origin = name::parse_octets(argument.of(text), frame.state.origin.as_ref());
                frame.state.origin =
                    Some(origin.map_err(|error| frame.fault(argument.line, format!("$ORIGIN: {error}")))?);
            }
            "$TTL" => {
                let ttl =
                    ttl(argument.of(text)).ok_or_else(|| frame.fault(argument.line, format!("$TTL: {TTL_FORM}")))?;
                frame.state.ttl_default = Some(ttl);
            }
            "$INCLUDE" => return self.include(),
            _ => {
                let generate = Generate::new(text, &self.tokens);
                let generate = generate.map_err(|why| frame.fault(line, format!("$GENERATE: {why}")))?;
                let after = self.generated.saturating_add(generate.cost());
                if after > self.options.generated_max {
                    let most = self.options.generated_max;
                    return Err(frame.fault(line, format!("the $GENERATE directives make more than {most} records")));
                }
                self.generated = after;
                self.generate = Some(generate);
            }
        }
        Ok(())
    }

    /// Opens the file that `$INCLUDE` names: the tokens of the current entry.
    fn include(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let at = self.tokens[1];
        let fail = |message: String| Err(frame.fault(at.line, format!("$INCLUDE: {message}")));
        if !self.options.include {
            return fail("files cannot be included here".into());
        }
        let mut start = frame.state.clone();
        if let Some(origin) = self.tokens.get(2) {
            match name::parse_octets(origin.of(&frame.text), frame.state.origin.as_ref()) {
                Ok(origin) => start.origin = Some(origin),
                Err(error) => return fail(error.to_string()),
            }
        }
        let given: Vec<u8> = types::unescape(at.of(&frame.text)).collect();
        let Ok(given) = String::from_utf8(given) else {
            return fail("the path is not UTF-8".into());
        };
        let path = frame.path.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("")).join(&given);
        let shown = path.to_string_lossy().into_owned();
        if self.frames.len() > INCLUDE_DEPTH_MAX {
            return fail(format!("files include each other more than {INCLUDE_DEPTH_MAX} deep"));
        }
        self.included += 1;
        if self.included > INCLUDED_MAX {
            return fail(format!("more than {INCLUDED_MAX} files are included"));
        }
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => return fail(format!("{shown}: {error}")),
        };
        let open = self.frames.iter().filter_map(|frame| frame.path.as_deref()?.canonicalize().ok());
        if open.into_iter().any(|open| open == real) {
            return fail(format!("{shown} includes itself"));
        }
        // A device or a pipe might never end.
        if !real.is_file() {
            return fail(format!("{shown} is not a file"));
        }
        match std::fs::read(&path) {
            Ok(text) => self.frames.push(Frame::new(shown.into(), Some(path), text.into(), start)),
            Err(error) => return fail(format!("{shown}: {error}")),
        }
        Ok(())
    }

    /// Makes the next record of a `$GENERATE` that is under way.
    fn generate_next(&mut self) -> Option<Result<Entry, Fault>> {
        let frame = self.frames.last_mut()?;
        let generate = self.generate.as_mut()?;
        let line = generate.line;
        let Some(made) = generate.next() else {
            self.generate = None;
            return None;
        };
        let entry = made.map_err(|why| frame.fault(line, format!("$GENERATE: {why}"))).and_then(|text| {
            let mut cursor = TokenCursor::default();
            let cut = cursor.next_entry(text, &mut self.tokens);
            cut.map_err(|error| frame.fault(line, format!("$GENERATE: {}", error.message)))?;
            let place = frame.place(line);
            frame.state.record(text, &self.tokens, &mut self.rdata, &place).map_err(|mut fault| {
                fault.place.line = line;
                fault.message = format!("$GENERATE `{}`: {}", text.escape_ascii(), fault.message);
                fault
            })
        });
        if entry.is_err() {
            // The other records would fail for the same reason.
            self.generate = None;
        }
        Some(entry)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = self.advance()?;
        if let Err(fault) = &mut entry {
            self.faults += 1;
            if self.faults >= self.options.faults_max {
                self.frames.clear();
                fault.message += " (there are too many faults to read on)";
            }
        }
        Some(entry)
    }
}

/// A file that is being read.
struct Frame<'a> {
    /// Its name in places.
    file: Arc<str>,
    /// Its path, unless it is a mere text.
    path: Option<PathBuf>,
    /// Its octets, without a byte-order mark.
    text: Cow<'a, [u8]>,
    /// Where its next entry begins.
    cursor: TokenCursor,
    /// What its next entry may leave out.
    state: State,
}

impl<'a> Frame<'a> {
    /// A file at its beginning.
    fn new(file: Arc<str>, path: Option<PathBuf>, text: Cow<'a, [u8]>, state: State) -> Self {
        let mut cursor = TokenCursor::default();
        if text.starts_with(BYTE_ORDER_MARK) {
            cursor.at = BYTE_ORDER_MARK.len();
        }
        Self { file, path, text, cursor, state }
    }

    /// Reads an entry as a record.
    fn record(&mut self, tokens: &[Token], rdata: &mut Vec<u8>) -> Result<Entry, Fault> {
        let place = self.place(tokens[0].line);
        self.state.record(&self.text, tokens, rdata, &place)
    }

    /// A line of the file.
    fn place(&self, line: u32) -> Place {
        Place { file: self.file.clone(), line }
    }

    /// A fault in the file.
    fn fault(&self, line: u32, message: impl Into<String>) -> Fault {
        Fault { place: self.place(line), message: message.into() }
    }
}

/// What a directive needs.
fn usage(word: &str) -> &'static str {
    match word {
        "$ORIGIN" => "a domain name",
        "$TTL" => "a number of seconds",
        "$INCLUDE" => "a file and perhaps an origin",
        _ => "START-STOP[/STEP], an owner, perhaps TTL and class, a type and its data",
    }
}

/// How deep files may include files: no one writes more by hand.
const INCLUDE_DEPTH_MAX: usize = 16;

/// How many files one reading may include: files that include others twice double at each depth.
const INCLUDED_MAX: usize = 10_000;

/// The mark that some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
