//! # any
//!
//! ## Name
//! *any* - answers questions for ANY with one HINFO record.
//!
//! ## Description
//! Answers questions for ANY, of class IN or ANY, with one HINFO record, `"ANY obsoleted" "See RFC 8482"` with TTL 8482,
//! whatever the name has (RFC 8482 §4.2). Other questions go on to the next plugin.
//!
//! ## Syntax
//! ```corefile
//! any
//! ```
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     any
//!     whoami
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 www.example.org ANY
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`any`.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `minimal`, `acl`. RFC 8482 says why ANY need not be answered in full.
//!
//! ## Bugs
//! None are known. Without this plugin zones answer ANY with one of the name's RRsets, where CoreDNS answers without
//! data.

use domain::base::iana::{Class, Rtype};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup};
use crate::wire::{Query, Response, Section};

/// The plugin.
struct Any;

/// Reads the directive, which takes no arguments.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        line.no_arguments()?;
    }
    Ok(Some(Box::new(Any)))
}

impl Plugin for Any {
    fn name(&self) -> &'static str {
        "any"
    }

    fn guards(&self) -> bool {
        true
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        if query.qtype != Rtype::ANY || !matches!(query.qclass, Class::IN | Class::ANY) {
            return Flow::Next;
        }
        let (rtype, class) = (Rtype::HINFO.to_int(), Class::IN.to_int());
        let rdata: &[&[u8]] = &[b"\x0dANY obsoleted\x0cSee RFC 8482"];
        let put = response.append_record(Section::Answer, &QUESTION_NAME, rtype, class, TTL, rdata);
        response.truncated = put.is_err();
        Flow::Done
    }
}

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];

/// Seconds that the record may be kept.
const TTL: u32 = 8482;
