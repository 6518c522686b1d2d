//! Entries of a master file cut into tokens (RFC 1035 §5.1): quotes, parentheses, comments, escapes.

/// One token of an entry, as a range of the text with its escapes still in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Where it begins, behind the quote if it has one.
    pub(crate) start: usize,
    /// Where it ends, before the closing quote.
    pub(crate) end: usize,
    /// The line it stands on, counted from 1.
    pub(crate) line: u32,
    /// It stood in quotes.
    pub(crate) quoted: bool,
    /// Something stands between the token before (for the first: the start of the line) and this one.
    pub(crate) space: bool,
}

impl Token {
    /// The token's octets, escapes still in.
    pub(crate) fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start..self.end]
    }
}

/// An entry that cannot be cut into tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    /// The line of the offending character.
    pub(crate) line: u32,
    /// What is wrong with it.
    pub(crate) message: &'static str,
}

/// A place in a text: where the next entry begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Octets before it.
    pub(crate) at: usize,
    /// Its line, counted from 1.
    pub(crate) line: u32,
    /// A comment was passed on the way.
    pub(crate) comment: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { at: 0, line: 1, comment: false }
    }
}

impl Cursor {
    /// Puts the tokens of the next entry that has any into `tokens`, which stays empty only at the end of the text.
    ///
    /// After an error the cursor stands at the next line; if the entry had an open parenthesis, at the next line that
    /// does not begin with a blank, so that the rest of the entry is not taken for entries of its own.
    pub(crate) fn next_entry(&mut self, text: &[u8], tokens: &mut Vec<Token>) -> Result<(), LexError> {
        tokens.clear();
        let mut open: Option<Self> = None;
        match self.cut(text, tokens, &mut open) {
            Ok(()) => Ok(()),
            Err(error) => {
                tokens.clear();
                if let Some(open) = open {
                    (self.at, self.line) = (open.at, open.line);
                }
                self.skip_line(text);
                while open.is_some() && matches!(text.get(self.at), Some(b' ' | b'\t')) {
                    self.skip_line(text);
                }
                Err(error)
            }
        }
    }

    /// The loop over the characters of an entry. `open` is the outermost open parenthesis.
    fn cut(&mut self, text: &[u8], tokens: &mut Vec<Token>, open: &mut Option<Self>) -> Result<(), LexError> {
        let mut depth = 0_u32;
        let mut space = false;
        while let Some(&octet) = text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' => {
                    // Before the first token only a blank at the very start of the line counts: it stands for the owner.
                    let line_start = self.at == 0 || text[self.at - 1] == b'\n';
                    space |= !tokens.is_empty() || depth == 0 && line_start;
                    self.at += 1;
                }
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 && !tokens.is_empty() {
                        return Ok(());
                    }
                    space = !tokens.is_empty();
                }
                b';' => {
                    self.comment = true;
                    self.at += text[self.at..].iter().position(|&octet| octet == b'\n').unwrap_or(text.len() - self.at);
                }
                b'(' => {
                    open.get_or_insert(*self);
                    depth += 1;
                    self.at += 1;
                    space |= !tokens.is_empty();
                }
                b')' => {
                    let error = LexError { line: self.line, message: "`)` without `(`" };
                    depth = depth.checked_sub(1).ok_or(error)?;
                    if depth == 0 {
                        *open = None;
                    }
                    self.at += 1;
                    space = true;
                }
                b'"' => {
                    let start = self.at + 1;
                    let end = self.end_of_quotes(text, start)?;
                    tokens.push(Token { start, end, line: self.line, quoted: true, space });
                    self.at = end + 1;
                    space = false;
                }
                _ => {
                    let start = self.at;
                    self.at = self.end_of_word(text, start)?;
                    tokens.push(Token { start, end: self.at, line: self.line, quoted: false, space });
                    space = false;
                }
            }
        }
        match open {
            Some(open) => Err(LexError { line: open.line, message: "`(` is never closed" }),
            None => Ok(()),
        }
    }

    /// Where the word ends that begins at `at`.
    fn end_of_word(&self, text: &[u8], mut at: usize) -> Result<usize, LexError> {
        while let Some(&octet) = text.get(at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b';' | b'"' => break,
                b'\\' => at = self.behind_escape(text, at)?,
                _ => at += 1,
            }
        }
        Ok(at)
    }

    /// Where the closing quote is of the string that begins at `at`.
    fn end_of_quotes(&self, text: &[u8], mut at: usize) -> Result<usize, LexError> {
        loop {
            match text.get(at) {
                Some(b'"') => return Ok(at),
                Some(b'\\') => at = self.behind_escape(text, at)?,
                // RFC 1035 does not say; a quote that is left open must not swallow the lines below.
                None | Some(b'\n') => {
                    return Err(LexError { line: self.line, message: "`\"` is not closed on its line" });
                }
                Some(_) => at += 1,
            }
        }
    }

    /// Where the text goes on behind the backslash at `at` and what it escapes.
    fn behind_escape(&self, text: &[u8], at: usize) -> Result<usize, LexError> {
        let error = |message| Err(LexError { line: self.line, message });
        match text.get(at + 1) {
            None | Some(b'\n' | b'\r') => error("`\\` at the end of the line escapes nothing"),
            Some(b'0'..=b'9') => match text.get(at + 1..at + 4).and_then(decimal) {
                Some(_) => Ok(at + 4),
                None => error("`\\` before a digit needs three, up to 255"),
            },
            Some(_) => Ok(at + 2),
        }
    }

    /// Goes to the start of the next line.
    fn skip_line(&mut self, text: &[u8]) {
        match text.get(self.at..).unwrap_or_default().iter().position(|&octet| octet == b'\n') {
            Some(feed) => {
                self.at += feed + 1;
                self.line += 1;
            }
            None => self.at = text.len(),
        }
    }
}

/// The octets of a token with its escapes resolved; they were checked when the token was cut.
pub(crate) fn unescaped(mut raw: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (&octet, after) = raw.split_first()?;
        raw = after;
        if octet != b'\\' {
            return Some(octet);
        }
        if let Some(value) = raw.get(..3).and_then(decimal) {
            raw = &raw[3..];
            return Some(value);
        }
        let (&octet, after) = raw.split_first()?;
        raw = after;
        Some(octet)
    })
}

/// The value of three digits, up to 255.
fn decimal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All entries of a text as lists of tokens, errors as their message with the line before it.
    fn entries(text: &str) -> Vec<String> {
        let mut cursor = Cursor::default();
        let mut tokens = Vec::new();
        let mut seen = Vec::new();
        loop {
            match cursor.next_entry(text.as_bytes(), &mut tokens) {
                Ok(()) if tokens.is_empty() => return seen,
                Ok(()) => {
                    let shown = tokens.iter().map(|token| {
                        let space = if token.space { "_" } else { "" };
                        let octets = String::from_utf8_lossy(token.of(text.as_bytes()));
                        format!("{space}{octets}:{}{}", token.line, if token.quoted { "q" } else { "" })
                    });
                    seen.push(shown.collect::<Vec<_>>().join(" "));
                }
                Err(error) => seen.push(format!("{}! {}", error.line, error.message)),
            }
        }
    }

    #[test]
    fn entries_are_cut_into_tokens() {
        for (text, expected) in [
            ("a b\n\n c", vec!["a:1 _b:1", "_c:3"]),
            ("a (\n b ;x ( \"\n\n) c\nd", vec!["a:1 _b:2 _c:4", "d:5"]),
            ("a\r\nb ; c\r\n", vec!["a:1", "b:2"]),
            ("k=\"v w\"x", vec!["k=:1 v w:1q x:1"]),
            (r#"a\ b \" "\"" \;"#, vec![r#"a\ b:1 _\":1 _\":1q _\;:1"#]),
            ("\"\"", vec![":1q"]),
            ("((a)\n(b))", vec!["a:1 _b:2"]),
            ("; only\n\t\n", vec![]),
        ] {
            assert_eq!(entries(text), expected, "{text:?}");
        }
    }

    #[test]
    fn reading_goes_on_after_an_error() {
        for (text, expected) in [
            ("a \"b\nc", vec!["1! `\"` is not closed on its line", "c:2"]),
            ("a )\nc", vec!["1! `)` without `(`", "c:2"]),
            ("a (\n b\n c\nd\ne (", vec!["1! `(` is never closed", "d:4", "5! `(` is never closed"]),
            ("a (\n \"b\n c )\nd", vec!["2! `\"` is not closed on its line", "d:4"]),
            ("a\\\nc", vec!["1! `\\` at the end of the line escapes nothing", "c:2"]),
            ("a\\25\nc", vec!["1! `\\` before a digit needs three, up to 255", "c:2"]),
            ("a\\256\nc", vec!["1! `\\` before a digit needs three, up to 255", "c:2"]),
        ] {
            assert_eq!(entries(text), expected, "{text:?}");
        }
    }
}
