//! # bufsize
//!
//! ## Name
//! *bufsize* - lowers the size of answers that clients offer to take.
//!
//! ## Description
//! Lowers the size of answers that a client offers to take over UDP (EDNS, RFC 6891 §6.2.5), so that they do not get
//! fragmented on their way. A client that offers less, or speaks no EDNS, keeps its own size.
//!
//! ## Syntax
//! ```corefile
//! bufsize [SIZE]
//! ```
//! * **SIZE** is in octets, 512 to 4096; 1232 by default. No answer over UDP is longer than 1232 octets in any case.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     bufsize 1100
//!     file db.example.org
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `minimal`. RFC 6891 is about EDNS.
//!
//! ## Bugs
//! Sizes above 1232 change nothing, because no answer over UDP gets longer; CoreDNS goes up to the size that is set.

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup, Transport};
use crate::wire::{Query, Response};

/// The plugin: octets at most.
struct Bufsize(u16);

/// Reads the size; the last of several lines counts.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut size = DEFAULT;
    for line in lines {
        if line.args.is_empty() {
            line.no_body()?;
            size = DEFAULT;
            continue;
        }
        let argument = line.one_argument()?;
        let number: i64 = argument.text.parse().map_err(|_| argument.error("value provided is not an integer"))?;
        let in_range = u16::try_from(number).ok().filter(|size| (MIN..=MAX).contains(size));
        size = in_range.ok_or_else(|| argument.error(format!("buffer size must be between {MIN} and {MAX}")))?;
    }
    Ok(Some(Box::new(Bufsize(size))))
}

impl Plugin for Bufsize {
    fn name(&self) -> &'static str {
        "bufsize"
    }

    fn query(&self, _: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        response.lower_payload_size(self.0, context.arrival.transport == Transport::Udp);
        Flow::Next
    }
}

/// Octets without an argument: fits one packet on every path in use (DNS flag day 2020).
const DEFAULT: u16 = 1232;

/// The least that every client takes (RFC 6891 §6.2.3).
const MIN: u16 = 512;

/// The most that is sensible to offer.
const MAX: u16 = 4096;
