//! Why the room could not be opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why [`start`](super::start) gave up. The text is what a person reads on the terminal.
#[derive(Debug, Error)]
pub enum NetError {
    /// A socket could not be opened or bound: the address is taken, not ours, or not allowed.
    #[error("listen {network} {addr}: {step}: {}{}", Plain(source), hint(source))]
    Listen {
        /// `udp` or `tcp`.
        network: &'static str,
        /// The address as it was given.
        addr: SocketAddr,
        /// The call that failed.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// io_uring was asked for by name and is not to be had.
    #[error("io_uring: {reason}")]
    NoRing {
        /// Which step failed, and why.
        reason: String,
    },
    /// A thread could not be started, could not prepare its sockets, or panicked.
    #[error("{thread}: {}", Plain(source))]
    Thread {
        /// The thread's name.
        thread: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Prints a system error without its number and in lower case, as in "address already in use".
pub(super) struct Plain<'a>(pub(super) &'a io::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = text.split(" (os error").next().unwrap_or(&text);
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => write!(f, "{}{}", first.to_ascii_lowercase(), letters.as_str()),
            None => f.write_str("unknown error"),
        }
    }
}

/// What the person may do about it.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start)"
        }
        io::ErrorKind::AddrInUse => " (another server has it; `ss -lunpt` names it)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line begins as CoreDNS prints it.
    #[test]
    fn reads_like_a_listen_error() {
        let error = NetError::Listen {
            network: "udp",
            addr: ([127, 0, 0, 1], 53).into(),
            step: "bind",
            source: io::Error::from_raw_os_error(98),
        };
        let text = error.to_string();
        assert!(text.starts_with("listen udp 127.0.0.1:53: bind: address already in use"), "{text}");
    }
}
