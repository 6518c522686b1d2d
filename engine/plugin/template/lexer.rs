//! From the text of a template to pieces of plain text and the tokens of its actions.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// What stands between `{{` and `}}`.
    Action(Vec<Token>),
}

/// A word or sign of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `"…"` or `` `…` ``.
    Text(String),
    Number(i128),
    /// `.A.b`.
    Field(Vec<String>),
    /// `$name`.
    Variable(String),
    /// A keyword or a function.
    Word(String),
    /// `(`, `)`, `|`, `:=` or `=`.
    Symbol(&'static str),
}

/// Cuts a template up; on an error says what is wrong. Comments are left out.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_start = false;
    loop {
        let (plain, after) = match rest.split_once("{{") {
            Some((plain, after)) => (plain, Some(after)),
            None => (rest, None),
        };
        // `{{- ` and ` -}}` take the white space beside them away.
        let trims = |text: &str| text.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace));
        let trim_end = after.is_some_and(trims);
        let plain = if trim_start { plain.trim_start() } else { plain };
        let plain = if trim_end { plain.trim_end() } else { plain };
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        let Some(after) = after else { return Ok(pieces) };
        let after = if trim_end { &after[1..] } else { after };
        let (action, next) = match after.trim_start().strip_prefix("/*") {
            Some(comment) => {
                let (_, end) = comment.split_once("*/").ok_or("unclosed comment")?;
                let (between, next) = end.split_once("}}").ok_or("unclosed action")?;
                if !matches!(between.trim(), "" | "-") {
                    return Err("comment ends before closing delimiter".into());
                }
                (between, next)
            }
            None => after.split_at(action_end(after)?),
        };
        trim_start = action.ends_with('-') && action[..action.len() - 1].ends_with(char::is_whitespace);
        let action = if trim_start { &action[..action.len() - 1] } else { action };
        let is_comment = after.trim_start().starts_with("/*");
        rest = if is_comment { next } else { &next[2..] };
        if !is_comment {
            let tokens = tokens(action)?;
            if tokens.is_empty() {
                return Err("missing value for command".into());
            }
            pieces.push(Piece::Action(tokens));
        }
    }
}

/// Where the `}}` of an action stands that begins here; one inside quotes does not count.
fn action_end(text: &str) -> Result<usize, String> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += match rest.as_bytes() {
            [b'}', b'}', ..] => return Ok(at),
            [b'"' | b'`', ..] => quoted(rest)?.1,
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    Err("unclosed action".into())
}

/// Reads what is in quotes at the start of a text: its meaning, and the octets that it takes.
fn quoted(text: &str) -> Result<(String, usize), String> {
    if let Some(raw) = text.strip_prefix('`') {
        let (inner, _) = raw.split_once('`').ok_or("unterminated raw quoted string")?;
        return Ok((inner.into(), inner.len() + 2));
    }
    let mut meaning = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((meaning, at + 1)),
            '\\' => meaning.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, same @ ('"' | '\\' | '\''))) => same,
                _ => return Err("an escape in quotes is none of \\n \\t \\\" \\\\ \\'".into()),
            }),
            other => meaning.push(other),
        }
    }
    Err("unterminated quoted string".into())
}

/// The tokens of an action.
fn tokens(action: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let word_end = rest[first.len_utf8()..].find(|next: char| !is_word(next) && next != '.');
        let word = &rest[..word_end.map_or(rest.len(), |end| end + first.len_utf8())];
        let (token, taken) = match first {
            '"' | '`' => quoted(rest).map(|(text, taken)| (Token::Text(text), taken))?,
            '(' => (Token::Symbol("("), 1),
            ')' => (Token::Symbol(")"), 1),
            '|' => (Token::Symbol("|"), 1),
            '=' => (Token::Symbol("="), 1),
            ':' if rest.starts_with(":=") => (Token::Symbol(":="), 2),
            '.' if word.len() > 1 => {
                let path: Vec<String> = word[1..].split('.').map(Into::into).collect();
                if path.iter().any(String::is_empty) {
                    return Err(format!("bad field {word:?}"));
                }
                (Token::Field(path), word.len())
            }
            '$' if word.len() > 1 && !word.contains('.') => (Token::Variable(word.into()), word.len()),
            '0'..='9' | '-' | '+' => (Token::Number(number(word)?), word.len()),
            _ if is_word(first) && !word.contains('.') => (Token::Word(word.into()), word.len()),
            _ => return Err(format!("unexpected {word:?}")),
        };
        tokens.push(token);
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// Whether a character may stand in a word.
fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// A whole number with an optional sign, decimal or with `0x`.
fn number(word: &str) -> Result<i128, String> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let read = digits.strip_prefix("0x").map_or_else(|| digits.parse(), |hex| u64::from_str_radix(hex, 16));
    let number = read.map(i128::from).map_err(|_| format!("bad number syntax: {word:?}"))?;
    Ok(if negative { -number } else { number })
}
