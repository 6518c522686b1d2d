//! Messages: a checked view of what came in, and a writer of what goes out, over one buffer.
//!
//! [`Query`] is made by [`Query::read`], which is the only place that judges a message from outside; what it refuses
//! comes back as a [`Verdict`] that says how. [`Response`] appends prepared records behind the question in the same
//! buffer. [`Received`] is what another server answered, which a `Response` can take over. [`options`] is what an OPT record asks for. [`QName`] is a lower-case name that can be cut at any label.
//!
//! No I/O, no threads, no locks, no clock, no allocation.

mod cookie;
mod lifetime;
mod name;
pub mod options;
mod query;
mod received;
mod response;

pub use cookie::CookieSecrets;
pub(crate) use lifetime::lifetime;
pub use name::QName;
pub(crate) use name::same;
pub use query::{Edns, Query, Refusal, Verdict};
#[doc(hidden)]
pub use received::fuzz_check as fuzz_received;
pub use received::{Received, ask};
pub use response::{Flag, Full, Parked, RecordAt, Response, Section, Template, reject};

/// Octets of a message header (RFC 1035 §4.1.1); the question's name always starts here.
pub const HEADER_OCTETS: usize = 12;
