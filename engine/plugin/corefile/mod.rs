//! The Corefile: what an operator writes to say what is served where, and by which plugins.
//!
//! [`Corefile::parse`] reads a text into values that cannot be wrong any more as far as the grammar goes: server blocks
//! with their keys ([`ServerKey`]), and lines with arguments and blocks ([`Directive`]), which each plugin reads in its
//! set-up with the help of [`Directive`]'s methods and of [`duration`], [`zones_or`] and [`Fallthrough`]. Each [`Token`]
//! knows its file and line, so that a plugin's [`ConfigError`] does too. The first error in the order of the text is the
//! one that ends a start; [`Corefile::check`] gives them all.
//!
//! The stages, a file each: `lexer` makes tokens, `environment` replaces references in them, `import` finds what is
//! imported and `stream` puts it in its place, `parser` makes blocks, `key` and `cidr` read their keys, and once the
//! addresses of all blocks are known, [`check_overlap`] compares them. `print` is the way back.
//!
//! Files and variables are reached through [`Source`] alone; the parser itself has no I/O.

mod cidr;
mod directive;
mod environment;
mod error;
mod import;
mod key;
mod lexer;
mod overlap;
mod parser;
mod prefix;
mod print;
mod source;
mod stream;
mod values;

mod fuzz;
#[cfg(test)]
mod tests;

pub use directive::Directive;
pub use error::{ConfigError, Place};
#[doc(hidden)]
pub use fuzz::fuzz_check;
pub use key::{Scheme, ServerKey};
pub use lexer::Token;
pub use overlap::check_overlap;
pub use prefix::Prefix;
pub use source::{FileSystem, Source};
pub use values::{Fallthrough, duration, zones_or};

/// A parsed Corefile. It displays as text that parses to the same blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    /// The server blocks in their order.
    pub blocks: Vec<ServerBlock>,
    /// What the operator should know; serving goes on.
    pub warnings: Vec<String>,
}

/// Zones that are served by one chain of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBlock {
    /// What it is asked for; at least one key.
    pub keys: Vec<ServerKey>,
    /// The plugins' lines in their order.
    pub directives: Vec<Directive>,
}

impl Corefile {
    /// Reads a Corefile that errors call `file`; relative imports start from its folder. `port` is that of keys of plain
    /// DNS that name none.
    ///
    /// A text without server blocks is no Corefile: it gives the built-in one.
    pub fn parse(file: &str, text: &str, port: u16, source: &dyn Source) -> Result<Self, ConfigError> {
        let (corefile, faults) = Self::read(file, text, &Options { port, is_known: &super::is_known, source });
        faults.into_iter().next().map_or_else(|| corefile.or_built_in(port), Err)
    }

    /// The same with all faults that can be told apart; what is at fault is left out of the Corefile.
    pub fn check(file: &str, text: &str, port: u16, source: &dyn Source) -> (Self, Vec<ConfigError>) {
        Self::read(file, text, &Options { port, is_known: &super::is_known, source })
    }

    /// Reads a text with the process's environment and files, and port 53 where none is named.
    pub fn parse_text(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse(file, text, DNS_PORT, &FileSystem)
    }

    /// What is served without a Corefile: who asked, with a log.
    pub fn built_in(port: u16) -> Result<Self, ConfigError> {
        let options = Options { port, is_known: &super::is_known, source: &source::Nowhere };
        let (corefile, faults) = Self::read("Corefile", BUILT_IN, &options);
        faults.into_iter().next().map_or(Ok(corefile), Err)
    }

    /// Reads what can be read, and gives all faults: those of the grammar in the order of the text, then those of keys.
    fn read(file: &str, text: &str, options: &Options<'_>) -> (Self, Vec<ConfigError>) {
        let parser::Parsed { blocks: raw, mut warnings, mut faults } = parser::parse(file, text, options);
        let mut blocks = Vec::with_capacity(raw.len());
        for block in raw {
            let mut keys = Vec::with_capacity(block.keys.len());
            for key in &block.keys {
                match key::read_key(key, options.port) {
                    Ok(read) => keys.extend(read),
                    Err(fault) => faults.push(fault),
                }
            }
            for zone in keys.iter().map(|key| &key.zone).filter(|zone| !key::is_preferred(zone)) {
                let zone = store::name::to_text(zone);
                warnings.push(format!("Domain {zone:?} does not follow RFC1035 preferred syntax"));
            }
            blocks.push(ServerBlock { keys, directives: block.directives });
        }
        blocks.retain(|block| !block.keys.is_empty());
        (Self { blocks, warnings }, faults)
    }

    /// Itself, or the built-in one if nothing is served.
    fn or_built_in(self, port: u16) -> Result<Self, ConfigError> {
        if !self.blocks.is_empty() {
            return Ok(self);
        }
        Self::built_in(port).map(|built_in| Self { warnings: self.warnings, ..built_in })
    }
}

/// What a text alone does not say.
struct Options<'o> {
    /// The port of keys of plain DNS that name none.
    port: u16,
    /// Whether there is a plugin of this name.
    is_known: &'o dyn Fn(&str) -> bool,
    /// Where variables and imported files come from.
    source: &'o dyn Source,
}

/// The text of the built-in Corefile.
const BUILT_IN: &str = ". {\n    whoami\n    log\n}\n";

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;
