//! # chaos
//!
//! ## Name
//! *chaos* - tells version, authors and host name in class CH.
//!
//! ## Description
//! Answers TXT questions of class CH about the server itself: `version.bind` and `version.server` give the version,
//! `authors.bind` the authors in changing order, `hostname.bind` and `id.server` the host name (RFC 4892). Questions for
//! other names, types and classes go on to the next plugin.
//!
//! ## Syntax
//! ```corefile
//! chaos [VERSION] [AUTHORS...]
//! ```
//! * **VERSION** is the version to tell; without it the name and version of this program.
//! * **AUTHORS** are the authors to tell; without them those of this program.
//!
//! Texts are cut to 255 octets.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     chaos CoreDNS-001 info@coredns.io
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 CH TXT version.bind
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`chaos`.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `nsid`, `whoami`. RFC 4892 has the names.
//!
//! ## Bugs
//! None are known. With several lines the last one counts.

use domain::base::iana::{Class, Rtype};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup, host_name};
use crate::wire::{Query, Response, Section};

/// The plugin; each text is a character string with its length octet.
struct Chaos {
    version: Box<[u8]>,
    host: Box<[u8]>,
    authors: Box<[Box<[u8]>]>,
}

/// Reads version and authors.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut chaos = Chaos {
        version: text(concat!("zonda-", env!("CARGO_PKG_VERSION"))),
        host: text(&host_name()),
        authors: Box::new([text("the zonda founders")]),
    };
    for line in lines {
        line.no_body()?;
        if let [version, authors @ ..] = &line.args[..] {
            chaos.version = text(&version.text);
            if !authors.is_empty() {
                chaos.authors = authors.iter().map(|author| text(&author.text)).collect();
            }
        }
    }
    Ok(Some(Box::new(chaos)))
}

impl Plugin for Chaos {
    fn name(&self) -> &'static str {
        "chaos"
    }

    fn sees(&self, class: Class) -> bool {
        class == Class::CH
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        if query.qclass != Class::CH || query.qtype != Rtype::TXT {
            return Flow::Next;
        }
        let texts: &[Box<[u8]>] = match query.name.as_slice() {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => std::slice::from_ref(&self.version),
            b"\x08hostname\x04bind\0" | b"\x02id\x06server\0" => std::slice::from_ref(&self.host),
            b"\x07authors\x04bind\0" => &self.authors,
            _ => return Flow::Next,
        };
        // The id is the client's random number: good enough to vary who comes first.
        let (before, after) = texts.split_at(usize::from(query.id) % texts.len().max(1));
        for text in after.iter().chain(before) {
            let put = response.append_record(
                Section::Answer,
                &QUESTION_NAME,
                Rtype::TXT.to_int(),
                Class::CH.to_int(),
                0,
                &[text],
            );
            if put.is_err() {
                response.truncated = true;
                break;
            }
        }
        Flow::Done
    }
}

/// A character string of at most 255 octets, cut between characters.
fn text(text: &str) -> Box<[u8]> {
    let cut = &text[..text.floor_char_boundary(255)];
    [&[cut.len() as u8], cut.as_bytes()].concat().into()
}

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];
