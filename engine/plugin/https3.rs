//! # https3
//!
//! ## Name
//! *https3* - limits the connections and streams of clients over HTTP/3.
//!
//! ## Description
//! Sets how many connections there may be at once to each address of the server block that begins with `https3://`, and
//! how many requests a client may have under way on one of them; for other addresses it says nothing. Where there are so
//! many connections, the one that has been without a request for longest gives way to the next; if none is without, the
//! next is refused. A client that wants more streams waits until one of its others has ended (RFC 9000 §4.6).
//!
//! ## Syntax
//! ```corefile
//! https3 {
//!     max_streams NUMBER
//!     max_connections NUMBER
//! }
//! ```
//! * `max_streams` is for the requests of a connection at once, 256 by default and at most; 0 is the default, too.
//! * `max_connections` is for the connections to an address at once; 0, the default, is no limit of its own.
//!
//! **NUMBER** is a whole number. Of several server blocks on an address the first with the plugin decides. After a reload
//! new numbers count for new connections.
//!
//! ## Examples
//! ```corefile
//! .:1053 https3://.:1443 {
//!     tls cert.pem key.pem
//!     https3 {
//!         max_streams 50
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
//! `https`, `quic`, `timeouts`, `tls`. RFC 8484 is DNS over HTTPS, RFC 9114 is HTTP/3.
//!
//! ## Bugs
//! CoreDNS has 200 connections by default. What is built in counts beside: 2,048 connections over QUIC, 256 of them from
//! one source. A number of streams above 256 counts as 256, with a warning.

use super::corefile::{ConfigError, Directive, Scheme};
use super::{Plugin, Setup, caps};

/// Sets the caps for the block's addresses.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    caps::set(Scheme::Https3, &[("max_streams", 0), ("max_connections", 0)], lines, setup)
}
