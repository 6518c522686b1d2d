//! The answering engine: messages in and out, compiled zones, the plugin chain, and the packet loops.
//!
//! Rooms, each importing only what stands before it: [`wire`] reads and writes messages, [`zone`] finds answers,
//! [`plugin`] is the Corefile and the chain, [`net`] moves packets. A query's way is
//! `net` → [`plugin::Chain`] → plugins → `zone` → the same buffer back out.
#![deny(unsafe_code)]

pub mod certificate;
pub mod log;
pub mod metrics;
pub mod net;
pub mod plugin;
mod prefetch;
pub mod wire;
pub mod zone;
