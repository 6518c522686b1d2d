//! The Corefile: its text, and the server blocks that it says.
//!
//! [`Corefile::parse`] goes from text to tokens ([`Token`]), puts environment variables, snippets and imported files in
//! their place, and gives [`ServerBlock`]s whose [`ServerKey`]s are complete and whose [`Directive`]s are known plugins.
//! What a directive's arguments mean is its plugin's business; the forms that several plugins share are in `values`.
//! Files are read through [`Source`], so that a text can be parsed without a file system.

mod directive;
mod environment;
mod error;
mod expand;
mod key;
mod lexer;
mod parse;
mod source;
#[cfg(test)]
mod tests;
mod values;

pub use directive::Directive;
pub use error::ConfigError;
pub use key::{Scheme, ServerKey, check_overlap};
pub use lexer::Token;
pub use parse::{Corefile, ServerBlock, fuzz_check};
pub use source::{FileSystem, Source};
pub use values::{Fallthrough, duration, zones_or};
