//! # minimal
//!
//! ## Name
//! *minimal* - leaves authority and additional sections away.
//!
//! ## Description
//! Keeps answers small: of an answer with data only the answer section is sent. Referrals, negative answers and errors
//! stay whole, because they live from their authority section.
//!
//! ## Syntax
//! ```corefile
//! minimal
//! ```
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     file db.example.org
//!     minimal
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
//! `any`, `bufsize`.
//!
//! ## Bugs
//! None are known.

use domain::base::iana::{OptRcode, Rtype};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup};
use crate::wire::{Query, Response, Section};

/// The plugin.
struct Minimal;

/// Reads the directive, which takes no arguments.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        line.no_arguments()?;
    }
    Ok(Some(Box::new(Minimal)))
}

impl Plugin for Minimal {
    fn name(&self) -> &'static str {
        "minimal"
    }

    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn response(&self, _: &Query, response: &mut Response<'_>, _: &mut Context<'_>) {
        let needs_authority = response.records(Section::Answer) == 0
            && response.walk(Section::Authority).any(|record| matches!(record.rtype, Rtype::NS | Rtype::SOA));
        if response.rcode == OptRcode::NOERROR && !needs_authority {
            response.keep_answer_section();
        }
    }
}
