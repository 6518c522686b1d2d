//! # reload
//!
//! ## Name
//! *reload* - takes a changed Corefile without a lost query.
//!
//! ## Description
//! Looks at the Corefile and all that it imports from time to time, and changes to the new configuration when they have
//! changed. The new one is set up completely first; if that fails, the old one serves on and the log says why. No query
//! is lost. The same happens, with this plugin or without, at the signal USR1 and at `POST /api/zonda/reload` of the
//! HTTP API. It is process-wide; of several lines the first counts.
//!
//! Addresses that stay keep their sockets. New ones are opened before the change, and those that go are closed once what is
//! under way there has been answered.
//!
//! What is compared is the configuration as it was understood, so that comments and white space change nothing.
//!
//! ## Syntax
//! ```corefile
//! reload [INTERVAL] [JITTER]
//! ```
//! * **INTERVAL** is the time between two looks, 30 s by default and at least 2 s.
//! * **JITTER** is added to it, a random part of it each time, so that many servers do not reload at once: 15 s by
//!   default, at least 1 s or 0, and no more than half of **INTERVAL** counts.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     reload 10s 0s
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! * `coredns_reload_failed_total`: configurations that could not be changed to.
//! * `coredns_reload_version_info`: hash (`sha512`) and value of the configuration that is served.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `bind`, `health`, `errors`.
//!
//! ## Bugs
//! A Corefile that came over standard input cannot be read again. `multisocket` stays as it was at the start.

use std::time::Duration;

use super::corefile::{ConfigError, Directive, duration};
use super::{Plugin, Setup};

/// How often to look at the Corefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The time between two looks.
    pub interval: Duration,
    /// The greatest time that is added to it.
    pub jitter: Duration,
}

/// Asks for it; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.no_body()?;
    if line.args.len() > 2 {
        return Err(line.wrong_argument_count());
    }
    let interval = line.args.first().map_or(Ok(INTERVAL), duration)?;
    if interval < INTERVAL_MIN {
        return Err(ConfigError::plain(format!("interval value must be greater or equal to {INTERVAL_MIN:?}")));
    }
    let jitter = line.args.get(1).map_or(Ok(JITTER), duration)?;
    if !jitter.is_zero() && jitter < JITTER_MIN {
        return Err(ConfigError::plain(format!("jitter value must be 0 or greater or equal to {JITTER_MIN:?}")));
    }
    let jitter = jitter.min(interval / 2);
    setup.services.reload.get_or_insert(Reload { interval, jitter });
    Ok(None)
}

/// The time between two looks if the Corefile does not say.
const INTERVAL: Duration = Duration::from_secs(30);

/// The jitter if the Corefile does not say.
const JITTER: Duration = Duration::from_secs(15);

/// The shortest interval.
const INTERVAL_MIN: Duration = Duration::from_secs(2);

/// The shortest jitter that is one.
const JITTER_MIN: Duration = Duration::from_secs(1);
