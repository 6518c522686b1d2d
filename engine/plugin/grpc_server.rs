//! # grpc_server
//!
//! ## Name
//! *grpc_server* - limits the connections and streams of clients over gRPC.
//!
//! ## Description
//! Sets how many connections there may be at once to each address of the server block that begins with `grpc://`, and how
//! many calls a client may have under way on one of them; for other addresses it says nothing. Where there are so many
//! connections, the one that has been without a call for longest gives way to the next; if none is without, the next is
//! refused. Clients are told how many streams there may be (RFC 9113 §6.5.2), and what goes beyond is refused.
//!
//! ## Syntax
//! ```corefile
//! grpc_server {
//!     max_streams NUMBER
//!     max_connections NUMBER
//! }
//! ```
//! * `max_streams` is for the calls of a connection at once, 128 by default and at most; 0 is the default, too.
//! * `max_connections` is for the connections to an address at once; 0, the default, is no limit of its own.
//!
//! **NUMBER** is a whole number. Of several server blocks on an address the first with the plugin decides. After a reload
//! new numbers count for new connections.
//!
//! ## Examples
//! ```corefile
//! .:1053 grpc://.:1443 {
//!     tls cert.pem key.pem
//!     grpc_server {
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
//! `https`, `timeouts`, `tls`. RFC 9113 is HTTP/2, which gRPC is spoken over.
//!
//! ## Bugs
//! CoreDNS has 256 streams and 200 connections by default, and lets more connections wait. What is built in counts beside:
//! 2,048 connections over all encrypted transports on TCP, 256 of them from one source. A number of streams above 128
//! counts as 128, with a warning.

use super::corefile::{ConfigError, Directive, Scheme};
use super::{Plugin, Setup, caps};

/// Sets the caps for the block's addresses.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    caps::set(Scheme::Grpc, &[("max_streams", 0), ("max_connections", 0)], lines, setup)
}
