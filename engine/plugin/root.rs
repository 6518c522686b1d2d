//! # root
//!
//! ## Name
//! *root* - sets the folder that relative paths start from.
//!
//! ## Description
//! The folder that relative paths of other plugins of the block start from.
//!
//! ## Syntax
//! ```corefile
//! root PATH
//! ```
//! * **PATH** is a folder; without the plugin it is the working directory. A missing one is a warning.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     root /etc/zonda
//!     file db.example.org
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `file`, `auto`, `hosts`, `loadbalance`.
//!
//! ## Bugs
//! None are known. With several lines the last one counts. The folder `data_dir` of `pocketbase` starts from the
//! working directory all the same.

use std::path::PathBuf;

use super::corefile::{ConfigError, Directive};
use super::{Plugin, Setup};

/// Sets the block's folder; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        line.no_body()?;
        let path = line.one_argument()?;
        if !PathBuf::from(&path.text).exists() {
            setup.services.warnings.push(format!("plugin/root: Root path does not exist: {}", path.text));
        }
        setup.root = Some(PathBuf::from(&path.text));
    }
    Ok(None)
}
