//! # multisocket
//!
//! ## Name
//! *multisocket* - sets how many workers answer.
//!
//! ## Description
//! Sets how many sockets share each address. Each belongs to a worker, a thread that answers what arrives there, so this
//! is the number of workers. It is process-wide, the first line in the Corefile decides, and it is read at the start
//! only.
//!
//! ## Syntax
//! ```corefile
//! multisocket [NUMBER]
//! ```
//! * **NUMBER** is from 1 to 1024. Without it, as without the line, there is a worker for every CPU that the process
//!   may use.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     multisocket 2
//!     whoami
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
//! `bind`, `reload`.
//!
//! ## Bugs
//! It is read at the start only; a reload leaves the number as it is. CoreDNS decides for each address, not for the
//! process.

use super::corefile::{ConfigError, Directive};
use super::{Plugin, Setup};

/// Sets the number; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.no_body()?;
    let number = match &line.args[..] {
        [] => None,
        [only] => {
            let number = only.text.parse().map_err(|_| only.error(format!("invalid num sockets: '{}'", only.text)))?;
            if !(1..=SOCKETS_MAX).contains(&number) {
                return Err(only.error(format!("num sockets '{number}' is not from 1 to {SOCKETS_MAX}")));
            }
            Some(number)
        }
        _ => return Err(line.wrong_argument_count()),
    };
    setup.services.sockets.get_or_insert(number);
    Ok(None)
}

/// Sockets of an address at most.
const SOCKETS_MAX: usize = 1024;
