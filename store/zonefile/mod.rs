//! Zone files: the master-file format of RFC 1035 §5 in and out.
//!
//! [`Reader`] gives one record after the other, each with its [`Place`], and goes on after a [`Fault`] so that all of
//! them can be shown; [`read_file`] and [`read_text`] gather a whole zone. [`Writer`] prints a zone in canonical order;
//! what it prints reads as the same records, and prints as the same text again.
//!
//! What a record of a type looks like is the business of [`crate::types`], what a zone may hold that of
//! [`crate::rules`].

mod entry;
mod generate;
mod reader;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::{Name, Record};

pub use entry::Entry;
pub use reader::Reader;
pub use writer::{Writer, write};

/// How a zone file is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether `$INCLUDE` may open files; not for text that came over the network.
    pub include: bool,
    /// After so many faults reading ends.
    pub faults_max: usize,
    /// How many records all `$GENERATE` directives of one reading may make together; long ones count once for each 256
    /// octets of their text.
    pub generated_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { include: true, faults_max: 100, generated_max: 1 << 20 }
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's path as it was given, or the name of the text.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something in a zone file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Fault {
    /// Where: the line of the very token, or where an open parenthesis stands.
    pub place: Place,
    /// A sentence for people.
    pub message: String,
}

/// All records of a zone file.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The records in order of the file.
    pub records: Vec<Record>,
    /// Where each of them begins.
    pub places: Vec<Place>,
}

impl Parsed {
    /// The owner of the first SOA record, which is the zone's apex.
    pub fn apex(&self) -> Option<&Name> {
        self.soa().map(|soa| &soa.owner)
    }

    /// The serial of the first SOA record.
    pub fn serial(&self) -> Option<Serial> {
        self.soa().and_then(|soa| crate::serial::of_soa(&soa.rdata)).map(Serial)
    }

    /// The first SOA record.
    fn soa(&self) -> Option<&Record> {
        self.records.iter().find(|record| record.rtype == Rtype::SOA)
    }
}

/// Reads a file and what it includes. Without an origin, names have to be absolute until `$ORIGIN` sets one.
pub fn read_file(path: &Path, origin: Option<&Name>, options: &Options) -> Result<Parsed, Vec<Fault>> {
    gather(Reader::from_file(path, origin, options).map_err(|fault| vec![fault])?)
}

/// Reads a text; `name` stands for the file in places, and paths of `$INCLUDE` are relative to the working directory.
pub fn read_text(name: &str, text: &[u8], origin: Option<&Name>, options: &Options) -> Result<Parsed, Vec<Fault>> {
    gather(Reader::from_text(name, text, origin, options))
}

/// Takes all entries of a reader.
fn gather(reader: Reader<'_>) -> Result<Parsed, Vec<Fault>> {
    let mut parsed = Parsed::default();
    let mut faults = Vec::new();
    for entry in reader {
        match entry {
            Ok(entry) => {
                parsed.records.push(entry.record);
                parsed.places.push(entry.place);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(parsed) } else { Err(faults) }
}

/// What has to hold for any text: reading it ends, and what was read, written and read again is the same and is written
/// the same. For the fuzz target and the test that stands in for it.
///
/// # Panics
/// If that does not hold.
#[doc(hidden)]
pub fn fuzz_check(text: &[u8]) {
    let Ok(apex) = crate::name::parse("example.org.", None) else {
        return;
    };
    let options = Options { include: false, faults_max: 20, generated_max: 500 };
    let entries = Reader::from_text("fuzz", text, Some(&apex), &options);
    let records: Vec<Record> = entries.filter_map(Result::ok).map(|entry| entry.record).collect();
    for record in &records {
        assert_eq!(crate::types::check_rdata(record.rtype, &record.rdata), Ok(()), "{record:?}");
    }
    crate::rules::check_zone(&apex, &records, std::time::UNIX_EPOCH);
    let nodes = crate::rules::records_to_nodes(records);
    let mut first = Vec::new();
    write(&apex, &nodes, 0, &mut first).expect("a Vec takes all octets");
    let again = read_text("again", &first, None, &options).unwrap_or_else(|faults| {
        panic!("{}\n{}", faults[0], String::from_utf8_lossy(&first));
    });
    let again = crate::rules::records_to_nodes(again.records);
    assert_eq!(again.len(), nodes.len());
    for (again, node) in again.iter().zip(&nodes) {
        assert_eq!(again.owner.as_slice(), node.owner.as_slice());
        assert_eq!(again.rrsets, node.rrsets);
    }
    let mut second = Vec::new();
    write(&apex, &again, 0, &mut second).expect("a Vec takes all octets");
    assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(&second));
}

#[cfg(test)]
mod tests;
