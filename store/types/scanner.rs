//! The tokens of one entry behind `domain`'s scanner trait, so that its readers of types, times, hashes, base64 and so on
//! work on our text.

use std::borrow::Cow;
use std::fmt;

use domain::base::CharStr;
use domain::base::scan::{ConvertSymbols, EntrySymbol, Scanner, ScannerError, Symbol};
use domain::dep::octseq::str::Str;

use super::token::{Token, unescaped};
use crate::{Name, name};

/// Why an entry cannot be read; a sentence without a place, for which there is [`EntryScanner::line`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScanError(pub(crate) Cow<'static, str>);

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScanError {}

impl ScannerError for ScanError {
    fn custom(message: &'static str) -> Self {
        Self(message.into())
    }

    fn end_of_entry() -> Self {
        Self("it is missing".into())
    }

    fn short_buf() -> Self {
        Self("it is too long".into())
    }

    fn trailing_tokens() -> Self {
        Self("there is more text than the record has fields".into())
    }
}

/// Reads the tokens of one entry one after the other.
pub(crate) struct EntryScanner<'a> {
    /// The text that the tokens are ranges of.
    text: &'a [u8],
    /// The entry's tokens.
    tokens: &'a [Token],
    /// How many of them were read.
    at: usize,
    /// What relative names are relative to.
    origin: Option<&'a Name>,
}

impl<'a> EntryScanner<'a> {
    /// Stands before the first of `tokens`.
    pub(crate) fn new(text: &'a [u8], tokens: &'a [Token], origin: Option<&'a Name>) -> Self {
        Self { text, tokens, at: 0, origin }
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Result<Token, ScanError> {
        let token = *self.tokens.get(self.at).ok_or_else(ScanError::end_of_entry)?;
        self.at += 1;
        Ok(token)
    }

    /// Takes the next token and gives its octets, escapes still in.
    pub(crate) fn raw(&mut self) -> Result<&'a [u8], ScanError> {
        Ok(self.take()?.of(self.text))
    }

    /// The next token, which stays there.
    pub(crate) fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    /// Reads the name at the start of a record.
    pub(crate) fn owner(&mut self) -> Result<Name, ScanError> {
        self.scan_name().map_err(|error| {
            let found = self.last().unwrap_or_default().escape_ascii();
            ScanError(format!("owner: {error} (found `{found}`)").into())
        })
    }

    /// Stands before the token read last again.
    pub(crate) fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Reads a decimal number up to `max` from one token.
    pub(crate) fn number(&mut self, max: u32) -> Result<u32, ScanError> {
        let raw = self.raw()?;
        let number = raw.iter().try_fold(0_u32, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        });
        let number = number.filter(|number| *number <= max && !raw.is_empty());
        number.ok_or_else(|| ScanError(format!("a number up to {max} is expected").into()))
    }

    /// Reads a token without escapes as what it parses to.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, ScanError> {
        let parsed = std::str::from_utf8(self.raw()?).ok().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| ScanError(expected.into()))
    }

    /// Reads the octets of the tokens up to the next space, quoted or not, with escapes resolved.
    pub(crate) fn joined(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut octets: Vec<u8> = unescaped(self.raw()?).collect();
        while self.peek().is_some_and(|next| !next.space) {
            octets.extend(unescaped(self.raw()?));
        }
        Ok(octets)
    }

    /// Appends a token as a character-string (RFC 1035 §3.3) to wire rdata.
    pub(crate) fn charstr_into(&mut self, wire: &mut Vec<u8>) -> Result<(), ScanError> {
        let raw = self.raw()?;
        let at = wire.len();
        wire.push(0);
        wire.extend(unescaped(raw));
        wire[at] = u8::try_from(wire.len() - at - 1).map_err(|_| {
            ScanError("a string is longer than 255 octets; write it as several strings in a row".into())
        })?;
        Ok(())
    }

    /// The line of the token read last; before the first one, of that.
    pub(crate) fn line(&self) -> u32 {
        self.tokens.get(self.at.saturating_sub(1)).map_or(1, |token| token.line)
    }

    /// The octets of the token read last, escapes still in.
    pub(crate) fn last(&self) -> Option<&'a [u8]> {
        Some(self.tokens.get(self.at.checked_sub(1)?)?.of(self.text))
    }

    /// How many tokens were read.
    pub(crate) fn count(&self) -> usize {
        self.at
    }

    /// Gives a token's symbols to `op`.
    fn symbols(raw: &[u8], mut op: impl FnMut(Symbol) -> Result<(), ScanError>) -> Result<(), ScanError> {
        let mut at = 0;
        while let Some((symbol, end)) = Symbol::from_slice_index(raw, at)
            .map_err(|_| ScanError("an octet here is neither ASCII nor UTF-8; write it as \\DDD".into()))?
        {
            op(symbol)?;
            at = end;
        }
        Ok(())
    }
}

impl Scanner for EntryScanner<'_> {
    type Octets = Vec<u8>;
    type OctetsBuilder = Vec<u8>;
    type Name = Name;
    type Error = ScanError;

    fn has_space(&self) -> bool {
        self.peek().is_some_and(|token| token.space)
    }

    fn continues(&mut self) -> bool {
        self.at < self.tokens.len()
    }

    fn scan_symbols<F>(&mut self, op: F) -> Result<(), ScanError>
    where
        F: FnMut(Symbol) -> Result<(), ScanError>,
    {
        Self::symbols(self.raw()?, op)
    }

    fn scan_entry_symbols<F>(&mut self, mut op: F) -> Result<(), ScanError>
    where
        F: FnMut(EntrySymbol) -> Result<(), ScanError>,
    {
        // At least one token has to be there, as for the methods that read one.
        loop {
            Self::symbols(self.raw()?, |symbol| op(symbol.into()))?;
            op(EntrySymbol::EndOfToken)?;
            if !self.continues() {
                return Ok(());
            }
        }
    }

    fn convert_token<C: ConvertSymbols<Symbol, ScanError>>(&mut self, mut convert: C) -> Result<Vec<u8>, ScanError> {
        let mut octets = Vec::new();
        self.scan_symbols(|symbol| {
            octets.extend_from_slice(convert.process_symbol(symbol)?.unwrap_or_default());
            Ok(())
        })?;
        octets.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(octets)
    }

    fn convert_entry<C: ConvertSymbols<EntrySymbol, ScanError>>(
        &mut self,
        mut convert: C,
    ) -> Result<Vec<u8>, ScanError> {
        let mut octets = Vec::new();
        self.scan_entry_symbols(|symbol| {
            octets.extend_from_slice(convert.process_symbol(symbol)?.unwrap_or_default());
            Ok(())
        })?;
        octets.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(octets)
    }

    fn scan_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(unescaped(self.raw()?).collect())
    }

    fn scan_svcb_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        self.joined()
    }

    fn scan_ascii_str<F, T>(&mut self, op: F) -> Result<T, ScanError>
    where
        F: FnOnce(&str) -> Result<T, ScanError>,
    {
        let octets = self.scan_octets()?;
        match std::str::from_utf8(&octets) {
            Ok(text) if text.is_ascii() => op(text),
            _ => Err(ScanError("it is not ASCII".into())),
        }
    }

    fn scan_name(&mut self) -> Result<Name, ScanError> {
        name::parse_octets(self.raw()?, self.origin).map_err(|error| ScanError(error.to_string().into()))
    }

    fn scan_charstr(&mut self) -> Result<CharStr<Vec<u8>>, ScanError> {
        CharStr::from_octets(self.scan_octets()?).map_err(|_| ScanError::short_buf())
    }

    fn scan_string(&mut self) -> Result<Str<Vec<u8>>, ScanError> {
        Str::from_utf8(self.scan_octets()?).map_err(|_| ScanError("it is not UTF-8".into()))
    }

    fn scan_charstr_entry(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut wire = Vec::new();
        loop {
            self.charstr_into(&mut wire)?;
            if !self.continues() {
                return Ok(wire);
            }
        }
    }

    fn scan_opt_unknown_marker(&mut self) -> Result<bool, ScanError> {
        let found = self.peek().is_some_and(|token| !token.quoted && token.of(self.text) == b"\\#");
        self.at += usize::from(found);
        Ok(found)
    }

    fn octets_builder(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(Vec::new())
    }
}
