//! An entry that is a record: owner, TTL, class, type and rdata, of which it may leave out some.

use bytes::Bytes;
use domain::base::iana::Rtype;

use super::{Fault, Place};
use crate::types::{self, ScanError, Scanner, Token};
use crate::{Name, Record};

/// A record of a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// Where its entry begins.
    pub place: Place,
}

/// What an entry may leave out, from the entries before it.
#[derive(Clone, Default)]
pub(super) struct State {
    /// What relative names are relative to.
    pub(super) origin: Option<Name>,
    /// The owner of the last record.
    owner: Option<Name>,
    /// The value of `$TTL`.
    pub(super) ttl_default: Option<u32>,
    /// The TTL of the last record.
    ttl_last: Option<u32>,
}

impl State {
    /// The state at the start of a file.
    pub(super) fn at(origin: Option<Name>) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Reads an entry as a record and remembers what the next one may leave out.
    pub(super) fn record(
        &mut self,
        text: &[u8],
        tokens: &[Token],
        rdata: &mut Vec<u8>,
        place: &Place,
    ) -> Result<Entry, Fault> {
        let origin = self.origin.take();
        let mut scanner = Scanner::new(text, tokens, origin.as_ref());
        let record = self.scan(&mut scanner, text, rdata);
        let line = scanner.line();
        self.origin = origin;
        match record {
            Ok(record) => Ok(Entry { record, place: place.clone() }),
            Err(error) => Err(Fault { place: Place { line, ..place.clone() }, message: error.0.into() }),
        }
    }

    /// Reads owner, TTL, class, type and rdata; TTL and class in either order (RFC 1035 §5.1).
    fn scan(&mut self, scanner: &mut Scanner<'_>, text: &[u8], rdata: &mut Vec<u8>) -> Result<Record, ScanError> {
        if scanner.peek().is_some_and(|first| !first.space) {
            self.owner = None;
            self.owner = Some(scanner.owner()?);
        }
        let mut ttl_given = None;
        let mut class_given = false;
        let rtype = loop {
            let Some(token) = scanner.peek() else {
                return Err(ScanError("the record has no type".into()));
            };
            let word = token.of(text);
            scanner.take()?;
            if word.first().is_some_and(u8::is_ascii_digit) && ttl_given.is_none() {
                ttl_given = Some(ttl(word).ok_or_else(|| ScanError(TTL_FORM.into()))?);
            } else if !class_given && word.eq_ignore_ascii_case(b"IN") {
                class_given = true;
            } else if let Some(rtype) = std::str::from_utf8(word).ok().and_then(types::rtype_from_text) {
                break rtype;
            } else {
                return Err(ScanError(why_not(word).into()));
            }
        };
        let owner = self.owner.clone().ok_or_else(|| ScanError("no owner is given here or before".into()))?;
        rdata.clear();
        types::read_rdata(rtype, scanner, rdata)?;
        let ttl = match ttl_given.or(self.ttl_default).or(self.ttl_last) {
            Some(ttl) => ttl,
            None => soa_minimum(rtype, rdata).ok_or_else(|| {
                ScanError("the record has no TTL, and neither $TTL nor a record before it gives one".into())
            })?,
        };
        self.ttl_last = Some(ttl);
        Ok(Record { owner, rtype, ttl, rdata: Bytes::copy_from_slice(rdata) })
    }
}

/// A TTL of at most 2^31-1 (RFC 2181 §8).
pub(super) fn ttl(word: &[u8]) -> Option<u32> {
    types::parse_period(word).filter(|ttl| *ttl <= TTL_MAX)
}

/// The TTL that a SOA record itself gives: its last field.
fn soa_minimum(rtype: Rtype, rdata: &[u8]) -> Option<u32> {
    let (_, minimum) = rdata.split_last_chunk()?;
    (rtype == Rtype::SOA).then(|| u32::from_be_bytes(*minimum)).filter(|ttl| *ttl <= TTL_MAX)
}

/// Why a word is no type.
fn why_not(word: &[u8]) -> String {
    let shown = word.escape_ascii();
    let is_class = [&b"CH"[..], b"HS", b"CS", b"ANY", b"NONE"].iter().any(|class| word.eq_ignore_ascii_case(class));
    if is_class || word.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"CLASS")) {
        return format!("`{shown}`: only records of class IN can be read");
    }
    format!("`{shown}` is not a record type")
}

/// What a TTL has to look like.
pub(super) const TTL_FORM: &str = "a TTL is a number of seconds up to 2147483647, or a period such as 1h30m";

/// The largest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;
