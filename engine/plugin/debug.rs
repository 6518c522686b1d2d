//! # debug
//!
//! ## Name
//! *debug* - writes debug lines, and ends the process at a panic.
//!
//! ## Description
//! Writes lines of level `[DEBUG]` too, and ends the process at a panic instead of going on without the message that
//! caused it. It is process-wide; one server block is enough. For finding faults only.
//!
//! ## Syntax
//! ```corefile
//! debug
//! ```
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     debug
//!     whoami
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
//! `log`, `errors`.
//!
//! ## Bugs
//! None are known. Packets are never printed, which some plugins of CoreDNS do.

use super::corefile::{ConfigError, Directive};
use super::{Plugin, Setup};

/// Asks for it; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    lines.iter().try_for_each(Directive::no_arguments)?;
    setup.services.debug = true;
    Ok(None)
}
