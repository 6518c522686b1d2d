//! What a plugin learns of a query beyond the message: who asked, over what, and the zones of the moment.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Counters;
use super::corefile::Scheme;
use super::counted::Count;
use crate::zone::{Ahead, SetId, Snapshot};

/// How a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A stream with two octets of length before each message (RFC 1035 §4.2.2).
    Tcp,
    /// The same inside TLS (RFC 7858).
    Tls,
    /// One request over HTTP/2 or HTTP/1.1 (RFC 8484).
    Https,
    /// One call over gRPC.
    Grpc,
    /// One stream of a QUIC connection (RFC 9250).
    Quic,
    /// One request over HTTP/3.
    Https3,
}

/// An address that is listened on, and how queries come in there.
///
/// An IPv6 wildcard takes IPv6 only; who wants both families names both wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// How queries come in.
    pub scheme: Scheme,
    /// Where to listen.
    pub addr: SocketAddr,
}

/// What came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Who sent it.
    pub client: SocketAddr,
    /// The address it was sent to, which is the address the answer comes from. Never a wildcard, unless the kernel did
    /// not say.
    pub local: SocketAddr,
    /// What it came over.
    pub transport: Transport,
    /// Which listener it came in on, by its place in the server's list.
    pub listener: usize,
    /// How long a stream may be silent before it is closed; None over UDP.
    pub idle: Option<Duration>,
}

/// The surroundings of one query on its way through the chain.
pub struct Context<'q> {
    /// What came with the message.
    pub arrival: &'q Arrival,
    /// The zones of all plugins at this moment.
    pub snapshot: &'q Snapshot,
    /// What was looked up ahead in one of its sets.
    pub ahead: Option<&'q (SetId, Ahead<'q>)>,
    /// When the message was taken up; only if a plugin of the chain asked for it.
    pub started: Option<Instant>,
    /// The client showed a cookie of ours, so its address is its own (RFC 7873 §5.2.4).
    pub has_cookie: bool,
    /// Where the query is counted, if anywhere.
    pub counters: Option<&'q Counters>,
    /// The place in the chain of the plugin that wrote the answer; None if the server did.
    pub answered: Option<usize>,
    /// Why the answer is an error, set by who decides so.
    pub failure: Option<Failure>,
    /// The answer is not to be sent, set by who has seen it.
    pub silence: bool,
}

/// Why a query could not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The plugin that failed.
    pub plugin: &'static str,
    /// What went wrong there.
    pub text: &'static str,
}

impl Context<'_> {
    /// Counts one more of what a plugin counts.
    #[inline]
    pub(super) fn count(&self, count: Count) {
        if let Some(counters) = self.counters {
            counters.count_own(count);
        }
    }
}

impl Listener {
    /// Plain DNS, over UDP and TCP.
    pub fn plain(addr: SocketAddr) -> Self {
        Self { scheme: Scheme::Dns, addr }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Dns => self.addr.fmt(f),
            scheme => write!(f, "{}://{}", scheme.name(), self.addr),
        }
    }
}

impl Transport {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Quic => "quic",
            Self::Https3 => "https3",
        }
    }

    /// What it runs over, as logs and metrics say it: `udp` or `tcp`.
    pub fn network(self) -> &'static str {
        match self {
            Self::Udp | Self::Quic | Self::Https3 => "udp",
            Self::Tcp | Self::Tls | Self::Https | Self::Grpc => "tcp",
        }
    }

    /// Whether nobody on the way can read what is said. HTTP and gRPC in clear text are for a proxy in front that has
    /// the secret.
    pub fn is_encrypted(self) -> bool {
        !matches!(self, Self::Udp | Self::Tcp)
    }
}
