//! Zones as they are served: compiled RRsets, the snapshot that holds them, and the search for an answer.
//!
//! A [`Zone`] is compiled from the store's nodes and never changes; an edit makes a new one that shares all it can with
//! the old ([`Zone::with`]). A [`ZoneSet`] holds the zones of one source (a data folder, a `file` line). All sets
//! together are a [`Snapshot`], published by a [`Hub`] and held by each worker through a [`Reader`]. [`answer`] writes
//! what a set knows of a question into a response.
//!
//! What costs grows when a zone changes, not when it is asked. On the query line this room takes no lock and no memory.

mod answer;
mod blocks;
mod compiled;
mod denial;
mod depths;
mod layered;
mod node;
mod nodes;
#[cfg(any(test, fuzzing))]
pub mod random;
#[cfg(any(test, fuzzing))]
mod reference;
mod rrset;
mod set;
#[cfg(test)]
mod signed;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
mod walk;
mod watch;

pub use answer::{Found, Question, answer, answer_watched};
pub use compiled::{Builder, Match, Zone};
pub use depths::Depths;
pub use node::Node;
pub use rrset::{Rrset, Target};
pub use set::{Ahead, ZoneSet};
pub use snapshot::{Hub, OwnedSet, Reader, SetId, Snapshot};
pub use watch::{Ended, Holds, Step, Watch};
