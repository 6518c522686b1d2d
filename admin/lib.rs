//! zonda's operating side: the command line, the process, and the HTTP service that edits zones.
//!
//! [`serve`] runs the server, [`http`] is the admin service, [`cli`] reads the command line. Answers are the engine's
//! business; this room only starts it and hands it zones.
#![deny(unsafe_code)]

mod backup;
mod check;
pub mod cli;
mod endpoints;
mod explain;
mod help;
pub mod http;
pub mod insight;
mod notify;
mod pid_file;
pub mod reload;
mod remote;
pub mod serve;
mod tls;
mod traffic;
mod whole_file;

/// Name and version, as the second start line has it.
pub const VERSION: &str = concat!("zonda-", env!("CARGO_PKG_VERSION"));

/// System, compiler and commit, as the third start line has it.
pub const BUILD: &str = const_format::concatcp!(
    std::env::consts::OS,
    "/",
    std::env::consts::ARCH,
    ", ",
    env!("ZONDA_COMPILER"),
    ", ",
    env!("ZONDA_COMMIT")
);
