//! What the caller may choose, and what came of it.

use std::time::Duration;

/// How to run the room.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many UDP workers; `None` is one for every CPU that the process may use.
    pub workers: Option<usize>,
    /// Which way in to use.
    pub io: IoChoice,
    /// What a TCP client may do; much of it counts for the encrypted transports, too.
    pub streams: StreamLimits,
    /// Connections of all encrypted transports at once. Each takes some ten kilobytes for its secrets.
    pub secure_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: None, io: IoChoice::default(), streams: StreamLimits::default(), secure_max: 2048 }
    }
}

/// Which way in to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoChoice {
    /// io_uring where the kernel lets us, `recvmmsg` elsewhere.
    #[default]
    Auto,
    /// io_uring or an error.
    Ring,
    /// `recvmmsg` and `sendmmsg`, and tokio for TCP.
    Mmsg,
}

impl IoChoice {
    /// Reads the choice as `ZONDA_IO` spells it: `auto`, `ring` or `mmsg`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "ring" => Some(Self::Ring),
            "mmsg" => Some(Self::Mmsg),
            _ => None,
        }
    }
}

/// The way datagrams come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// io_uring: multishot receive into provided buffers.
    Ring,
    /// `recvmmsg` and `sendmmsg`.
    Mmsg,
}

impl Way {
    /// The way's name in the start line and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "io_uring",
            Self::Mmsg => "recvmmsg",
        }
    }
}

/// The way in that is in use, and why it is not io_uring when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// The way of the workers.
    pub way: Way,
    /// A line for the person who starts zonda, such as "io_uring_setup: operation not permitted (…)".
    pub reason: Option<String>,
}

/// What TCP clients may take in time, number and memory.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// A connection without a message for so long is closed (RFC 7766 §6.2.3).
    pub idle: Duration,
    /// A message has to be complete so long after its first octet.
    pub message: Duration,
    /// Answers have to be taken by the client within this time.
    pub write: Duration,
    /// Connections at once; fewer when the process may not open so many files.
    pub connections_max: usize,
    /// Connections at once from one source: an IPv4 address, an IPv6 /64.
    pub per_source_max: usize,
    /// Octets that all connections together may hold in buffers beyond the 512 that each begins with.
    pub buffers_bytes_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            message: Duration::from_secs(3),
            write: Duration::from_secs(5),
            connections_max: 8192,
            per_source_max: 256,
            buffers_bytes_max: 48 << 20,
        }
    }
}
