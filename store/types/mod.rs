//! Record types: one table that says of what fields the rdata of a type consists, and everything that follows from it.
//!
//! A type is a row in [`table`]. From the row's fields are derived the check of wire rdata ([`check_rdata`]), the places
//! of names ([`names_in_rdata`]), the form for comparing ([`canonical_rdata`]), presentation form in and out
//! ([`rdata_from_text`], [`rdata_to_text`]) and JSON content in and out ([`rdata_from_content`],
//! [`rdata_to_content`]). A type without a row is opaque: any octets, written as in RFC 3597 §5.
//!
//! Wire rdata here is always without compression, and class IN is the only class.

mod content;
mod host;
mod location;
mod period;
mod prefixes;
mod scanner;
mod svcb;
mod table;
mod text;
mod token;
mod wire;

use std::fmt;

use bytes::Bytes;
use domain::base::iana::Rtype;

use crate::Name;
use scanner::EntryScanner;
use table::{META, Type};
use token::Cursor;

pub use content::{rdata_from_content, rdata_to_content};
pub use wire::{NameAt, canonical_rdata, check_rdata, names_in_rdata};

pub(crate) use period::parse as parse_period;
pub(crate) use scanner::{EntryScanner as Scanner, ScanError};
pub(crate) use text::{push_time, read as read_rdata, write as write_rdata};
pub(crate) use token::{Cursor as TokenCursor, Token, unescaped as unescape};

/// Why rdata does not fit its type; a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RdataError(pub String);

/// Type from its mnemonic or `TYPEnnn` (RFC 3597 §5), any case.
pub fn rtype_from_text(text: &str) -> Option<Rtype> {
    let text = text.as_bytes();
    let registered = text.eq_ignore_ascii_case(NSAP_PTR.as_bytes()).then_some(Rtype::NSAPPTR);
    registered.or_else(|| Type::named(text).map(|row| row.rtype)).or_else(|| Rtype::from_mnemonic(text)).or_else(|| {
        let (prefix, number) = text.split_at_checked(4)?;
        let number =
            std::str::from_utf8(number).ok().filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))?;
        prefix.eq_ignore_ascii_case(b"TYPE").then(|| number.parse().ok().map(Rtype::from_int))?
    })
}

/// Mnemonic, or `TYPEnnn`.
pub fn rtype_to_text(rtype: Rtype) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_rtype(&mut text, rtype);
    text
}

/// Writes the same.
pub fn write_rtype(text: &mut impl fmt::Write, rtype: Rtype) -> fmt::Result {
    if rtype == Rtype::NSAPPTR { text.write_str(NSAP_PTR) } else { write!(text, "{rtype}") }
}

/// Whether records of this type may lie in a zone: not the types that exist in questions and messages only
/// (RFC 6895 §3.1).
pub fn is_data(rtype: Rtype) -> bool {
    !META.contains(&rtype.to_int()) && ![0, 41, u16::MAX].contains(&rtype.to_int())
}

/// Whether an answer with this type carries the addresses of the name in its rdata as additional data
/// (NS, MX, SRV, SVCB, HTTPS …), as one column of the table.
pub fn wants_additional(rtype: Rtype) -> bool {
    Type::of(rtype).is_some_and(|row| row.additional)
}

/// Wire rdata from presentation form on one line (also RFC 3597 `\# n hex`); names relative to `origin`.
///
/// A line feed, or a `;` outside of quotes, is refused rather than taken as the end: text from elsewhere is not to lose
/// its tail, nor to smuggle in a second line.
pub fn rdata_from_text(rtype: Rtype, text: &str, origin: Option<&Name>) -> Result<Bytes, RdataError> {
    if text.contains(['\n', '\r']) {
        return Err(RdataError("the text goes over more than one line".into()));
    }
    let mut tokens = Vec::new();
    let mut cursor = Cursor::default();
    cursor.next_entry(text.as_bytes(), &mut tokens).map_err(|error| RdataError(error.message.into()))?;
    if cursor.comment {
        return Err(RdataError("`;` begins a comment here; put the text in quotes or write \\;".into()));
    }
    let mut wire = Vec::new();
    let mut scanner = EntryScanner::new(text.as_bytes(), &tokens, origin);
    text::read(rtype, &mut scanner, &mut wire).map_err(|error| RdataError(error.to_string()))?;
    Ok(wire.into())
}

/// Presentation form; RFC 3597 form where the type has none here.
pub fn rdata_to_text(rtype: Rtype, rdata: &[u8]) -> String {
    let mut text = String::new();
    text::write(rtype, rdata, &mut text);
    text
}

/// The error of writing a type that is no data.
fn not_data(rtype: Rtype) -> String {
    format!("{rtype} is not a type of data that a zone can hold")
}

impl From<ScanError> for RdataError {
    fn from(error: ScanError) -> Self {
        Self(error.to_string())
    }
}

/// The mnemonic that `domain` has without its hyphen.
const NSAP_PTR: &str = "NSAP-PTR";

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
