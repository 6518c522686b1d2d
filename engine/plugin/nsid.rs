//! # nsid
//!
//! ## Name
//! *nsid* - tells clients that ask which server answers them.
//!
//! ## Description
//! Tells clients that ask for it which server answers them (RFC 5001), in an option of the answer. Behind an address that
//! many servers share this is how to know one from the other.
//!
//! ## Syntax
//! ```corefile
//! nsid [DATA...]
//! ```
//! * **DATA** is what to tell, words joined by a space; without it the host name.
//!
//! No more than 255 octets are told.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     whoami
//!     nsid edge-7
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 +nsid www.example.org
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `chaos`, `whoami`. RFC 5001 has the option.
//!
//! ## Bugs
//! None are known. With several lines the last one counts.

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup, host_name};
use crate::wire::options::NSID;
use crate::wire::{Query, Response};

/// The plugin, with the octets to tell.
struct Nsid(Box<[u8]>);

/// Reads what to tell.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut data = host_name();
    for line in lines {
        line.no_body()?;
        if !line.args.is_empty() {
            data = line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        }
    }
    data.truncate(data.floor_char_boundary(255));
    Ok(Some(Box::new(Nsid(data.into_bytes().into()))))
}

impl Plugin for Nsid {
    fn name(&self) -> &'static str {
        "nsid"
    }

    fn watches(&self) -> bool {
        true
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        if query.edns.is_some_and(|edns| edns.options.nsid) {
            response.add_option(NSID, &[&self.0]);
        }
        Flow::Next
    }
}
