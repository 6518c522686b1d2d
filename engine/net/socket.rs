//! Opening sockets, and what each is set to.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{Listener, NetError};
use crate::plugin::corefile::Scheme;

/// A UDP socket of one worker, and what its datagrams have in common.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The socket; answers that come later hold on to it weakly.
    pub(super) socket: Arc<Socket>,
    /// The number of the listener.
    pub(super) listener: usize,
    /// The address it is bound to, with the port the system chose.
    pub(super) local: SocketAddr,
    /// Bound to all addresses, so that the kernel is asked to say which one each datagram was sent to, and is told
    /// which one to answer from.
    pub(super) wildcard: bool,
}

impl Endpoint {
    /// The raw descriptor, for the calls that take it.
    pub(super) fn raw(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Whether an answer is under way that is to be sent over it.
    pub(super) fn is_awaited(&self) -> bool {
        Arc::weak_count(&self.socket) > 0
    }

    /// Whether nothing waits in it to be taken.
    pub(super) fn is_empty(&self) -> bool {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let peeked = self.socket.recv_with_flags(&mut [MaybeUninit::uninit()], flags);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Lets nothing more in; what has come in stays to be read. Without it a socket under load would never be drained.
    pub(super) fn close_door(&self) {
        close_door(&self.socket);
    }
}

/// The same for any UDP socket.
pub(super) fn close_door(socket: &Socket) {
    let drop_all = [SockFilter::new(libc::BPF_RET as u16, 0, 0, 0)];
    // Where filters are forbidden the grace time ends the draining instead.
    socket.attach_filter(&drop_all).ok();
}

/// The sockets of one listener: for plain DNS a UDP socket for each worker and one for TCP, all on one port; else one.
#[derive(Debug)]
pub(super) struct Opened {
    /// The number of the listener.
    pub(super) number: usize,
    /// How queries come in.
    pub(super) scheme: Scheme,
    /// One for each worker, of plain DNS.
    pub(super) udp: Vec<Endpoint>,
    /// The one of the stream threads: a listening one, or a bound one for QUIC.
    pub(super) stream: Socket,
    /// The address with its port.
    pub(super) local: SocketAddr,
}

/// Opens all sockets of a listener beside those that are open `already`. With port 0 the port that TCP got may be taken
/// for UDP; then another is tried.
pub(super) fn open(
    number: usize,
    listener: Listener,
    mut already: impl Iterator<Item = SocketAddr>,
    workers: usize,
    write_timeout: Duration,
) -> Result<Opened, NetError> {
    let addr = listener.addr;
    let overlaps = already.any(|earlier| overlap(earlier, addr));
    let mut attempts = if addr.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match open_once(number, listener, overlaps, workers, write_timeout) {
            Err(NetError::Listen { source, .. }) if attempts > 0 && source.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
}

/// Whether two addresses are the same, as for a moment when the scheme of one changes, or one is a wildcard that covers the
/// other.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    covers && one.is_ipv4() == other.is_ipv4() && one.port() == other.port() && one.port() != 0
}

/// One attempt of [`open`].
///
/// TCP comes first, and its address is bound to alone: that keeps a second zonda of the same user from joining the group
/// of UDP sockets unnoticed and taking a part of the queries away from the first. Only where a listener of our own
/// `overlaps` the address is shared, with that.
fn open_once(
    number: usize,
    Listener { scheme, addr }: Listener,
    overlaps: bool,
    workers: usize,
    write_timeout: Duration,
) -> Result<Opened, NetError> {
    let listen = |network| move |(step, source)| NetError::Listen { network, addr, step, source };
    let stream = match scheme.transport().network() {
        "udp" => udp_socket(addr, false).map_err(listen("udp"))?,
        _ => tcp_socket(addr, overlaps, write_timeout).map_err(listen("tcp"))?,
    };
    let mut local = addr;
    let bound = stream.local_addr().ok().and_then(|bound| bound.as_socket());
    local.set_port(bound.map_or(0, |bound| bound.port()));
    let mut udp = Vec::with_capacity(workers);
    let workers = if scheme == Scheme::Dns { workers } else { 0 };
    for _ in 0..workers {
        let socket = udp_socket(local, true).map_err(listen("udp"))?;
        udp.push(Endpoint { socket: Arc::new(socket), listener: number, local, wildcard: addr.ip().is_unspecified() });
    }
    Ok(Opened { number, scheme, udp, stream, local })
}

/// The step that failed, and why.
type Failure = (&'static str, io::Error);

/// Opens a UDP socket, which may share its address with those of other workers.
fn udp_socket(addr: SocketAddr, is_shared: bool) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)).map_err(|e| ("socket", e))?;
    socket.set_reuse_port(is_shared).map_err(|e| ("setsockopt", e))?;
    // Bursts wait here while a worker is busy. The kernel caps both at net.core.{r,w}mem_max, so this cannot fail.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).ok();
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).ok();
    let wildcard = addr.ip().is_unspecified();
    if addr.is_ipv6() {
        socket.set_only_v6(true).map_err(|e| ("setsockopt", e))?;
        if wildcard {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).map_err(|e| ("setsockopt", e.into()))?;
        }
    } else if wildcard {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).map_err(|e| ("setsockopt", e.into()))?;
    }
    bind_patiently(&socket, addr).map_err(|e| ("bind", e))?;
    Ok(socket)
}

/// Opens a listening TCP socket. What is set here is inherited by its connections.
fn tcp_socket(addr: SocketAddr, overlaps: bool, write_timeout: Duration) -> Result<Socket, Failure> {
    let socket =
        Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)).map_err(|e| ("socket", e))?;
    // A restart does not wait for the connections of the process before it.
    socket.set_reuse_address(true).map_err(|e| ("setsockopt", e))?;
    socket.set_reuse_port(overlaps).map_err(|e| ("setsockopt", e))?;
    // Answers are written whole; holding back their tails would only delay them.
    socket.set_tcp_nodelay(true).ok();
    // After this time the kernel gives up on a client that takes nothing, also once we have closed.
    socket.set_tcp_user_timeout(Some(write_timeout)).ok();
    if addr.is_ipv6() {
        socket.set_only_v6(true).map_err(|e| ("setsockopt", e))?;
    }
    bind_patiently(&socket, addr).map_err(|e| ("bind", e))?;
    // Both sides have to agree to share, also with one that comes later.
    socket.set_reuse_port(true).map_err(|e| ("setsockopt", e))?;
    socket.listen(TCP_BACKLOG).map_err(|e| ("listen", e))?;
    Ok(socket)
}

/// Binds; an address that is taken is tried again for a while: the kernel takes down a ring, and the listening sockets
/// that it holds, a moment after their process is gone, and a socket of QUIC outlives its last connection by a moment.
fn bind_patiently(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    let end = Instant::now() + LINGER_WAIT;
    loop {
        match socket.bind(&addr.into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < end => {
                std::thread::sleep(LINGER_CHECK);
            }
            done => return done,
        }
    }
}

/// Raises the limit of open files as far as it goes and returns it.
pub(super) fn files_max() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return FILES_ASSUMED;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return usize::try_from(hard).unwrap_or(usize::MAX);
    }
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// How often a port free for both UDP and TCP is looked for.
const PORT_ATTEMPTS: usize = 32;

/// What is asked for: about 5,000 small datagrams as the kernel counts them.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
const TCP_BACKLOG: i32 = 1024;

/// How long the sockets of a process that is gone may linger.
const LINGER_WAIT: Duration = Duration::from_secs(3);

/// How often it is looked whether they do.
const LINGER_CHECK: Duration = Duration::from_millis(20);

/// Open files assumed where the limit cannot be read: the lowest default in use.
const FILES_ASSUMED: usize = 1024;
