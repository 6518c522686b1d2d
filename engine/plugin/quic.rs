//! # quic
//!
//! ## Name
//! *quic* - limits the streams of clients over QUIC.
//!
//! ## Description
//! Sets how many queries a client may have under way on one connection, for the addresses of the server block that begin
//! with `quic://`; for others it says nothing. A client that wants more streams waits until one of its others has ended,
//! as QUIC has it (RFC 9000 §4.6).
//!
//! ## Syntax
//! ```corefile
//! quic {
//!     max_streams NUMBER
//!     worker_pool_size NUMBER
//! }
//! ```
//! * `max_streams` is for the streams of a connection at once, 256 by default and at most. It needs to be 1 at least.
//! * `worker_pool_size` is accepted for compatibility: there is no pool, and streams of all connections have bounds that
//!   are built in.
//!
//! **NUMBER** is a whole number. Of several server blocks on an address the first with the plugin decides. After a reload
//! a new number counts for new connections.
//!
//! ## Examples
//! ```corefile
//! .:1053 quic://.:1853 {
//!     tls cert.pem key.pem
//!     quic {
//!         max_streams 16
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None; `coredns_dns_quic_responses_total` counts streams by the code they ended with.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `https3`, `timeouts`, `tls`. RFC 9250 is DNS over QUIC.
//!
//! ## Bugs
//! A number above 256 counts as 256, with a warning.

use super::corefile::{ConfigError, Directive, Scheme};
use super::{Plugin, Setup, caps};

/// Sets the cap for the block's addresses.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    caps::set(Scheme::Quic, &[("max_streams", 1), ("worker_pool_size", 1)], lines, setup)
}
