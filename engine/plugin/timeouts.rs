//! # timeouts
//!
//! ## Name
//! *timeouts* - sets how long connections of clients may take.
//!
//! ## Description
//! Sets how long clients over TCP and the encrypted transports may take, and how many queries they may send over one
//! connection.
//!
//! ## Syntax
//! ```corefile
//! timeouts {
//!     read DURATION
//!     write DURATION
//!     idle DURATION
//!     maxtcpqueries NUMBER
//! }
//! ```
//! * `read` is the time in which a message has to be complete once it has begun, 3 s by default.
//! * `write` is the time in which a client has to take an answer, 5 s by default.
//! * `idle` is how long a connection may be silent, 10 s by default. Clients that ask for it are told (RFC 7828). Over
//!   HTTPS the head of a request has this time, too, and `read` is for its body.
//! * `maxtcpqueries` closes a connection after so many answers; -1, the default, and 0 are no limit.
//!
//! A **DURATION** is from 1 s to 24 h; a number alone counts seconds. At least one line is needed. Of several server
//! blocks on an address the first decides.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     timeouts {
//!         read 2s
//!         write 10
//!         idle 1m
//!         maxtcpqueries 1000
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None; `zonda_tcp_closed_total` counts connections by why they were closed.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `bind`, `multisocket`. RFC 7766 is DNS over TCP, RFC 7828 tells clients the idle time.
//!
//! ## Bugs
//! The times count for each address, not for each server block: of several blocks on one the first decides.

use std::time::Duration;

use super::corefile::{ConfigError, Directive, Token, duration};
use super::{Plugin, Setup};

/// What a client may take over a connection; None is left to the listener's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// For a message to be complete after its first octet.
    pub read: Option<Duration>,
    /// For the client to take an answer.
    pub write: Option<Duration>,
    /// For a connection without a message.
    pub idle: Option<Duration>,
    /// Queries on one connection at most.
    pub queries_max: Option<u64>,
}

/// Sets them for the block's addresses; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut timeouts = Timeouts::default();
    for line in lines {
        if !line.args.is_empty() {
            return Err(line.wrong_argument_count());
        }
        if line.properties().is_empty() {
            return Err(line.error("timeouts block with no timeouts specified"));
        }
        for property in line.properties() {
            let value = property.one_argument()?;
            match &property.name.text[..] {
                "read" => timeouts.read = Some(time(value)?),
                "write" => timeouts.write = Some(time(value)?),
                "idle" => timeouts.idle = Some(time(value)?),
                "maxtcpqueries" => {
                    let number: i64 = value.text.parse().ok().filter(|&number| number >= -1).ok_or_else(|| {
                        value.error(format!("maxtcpqueries '{}' is neither -1 nor a number of queries", value.text))
                    })?;
                    // 0 would close every connection before its first answer; it means no limit, too.
                    timeouts.queries_max = u64::try_from(number).ok().filter(|&number| number > 0);
                }
                _ => return Err(property.unknown_property()),
            }
        }
    }
    setup.timeouts = Some(timeouts);
    Ok(None)
}

/// A duration within its bounds.
fn time(value: &Token) -> Result<Duration, ConfigError> {
    let seconds = value.text.parse().map(Duration::from_secs);
    let time = seconds.or_else(|_| duration(value))?;
    match TIME_MIN <= time && time <= TIME_MAX {
        true => Ok(time),
        false => Err(value.error(format!("timeout '{}' is not from 1s to 24h", value.text))),
    }
}

/// The shortest time.
const TIME_MIN: Duration = Duration::from_secs(1);

/// The longest time.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);
