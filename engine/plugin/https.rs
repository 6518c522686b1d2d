//! # https
//!
//! ## Name
//! *https* - limits the connections of clients over HTTPS.
//!
//! ## Description
//! Sets how many connections there may be at once to each address of the server block that begins with `https://`; for
//! others it says nothing. Where there are so many, the one that has been without a request for longest gives way to the
//! next; if none is without, the next is refused.
//!
//! ## Syntax
//! ```corefile
//! https {
//!     max_connections NUMBER
//! }
//! ```
//! * `max_connections` is for the connections to an address at once; 0, the default, is no limit of its own.
//!
//! **NUMBER** is a whole number. Of several server blocks on an address the first with the plugin decides. After a reload a
//! new number counts from the next connection on.
//!
//! ## Examples
//! ```corefile
//! .:1053 https://.:1443 {
//!     tls cert.pem key.pem
//!     https {
//!         max_connections 100
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None; `zonda_secure_closed_total` counts connections by why they were closed.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `timeouts`, `tls`, `https3`. RFC 8484 is DNS over HTTPS.
//!
//! ## Bugs
//! CoreDNS has 200 connections by default, and lets more wait. What is built in counts beside: 2,048 connections over all
//! encrypted transports on TCP, 256 of them from one source.

use super::corefile::{ConfigError, Directive, Scheme};
use super::{Plugin, Setup, caps};

/// Sets the cap for the block's addresses.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    caps::set(Scheme::Https, &[("max_connections", 0)], lines, setup)
}
