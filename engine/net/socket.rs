//! Opening sockets, and what each is set to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{Listener, NetError};

/// A UDP socket of one worker, and what its datagrams have in common.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The socket.
    pub(super) socket: Socket,
    /// Index of the listener.
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

    /// Lets nothing more in; what has come in stays to be read. Without it a socket under load would never be drained.
    pub(super) fn close_door(&self) {
        let drop_all = [SockFilter::new(libc::BPF_RET as u16, 0, 0, 0)];
        // Where filters are forbidden the grace time ends the draining instead.
        self.socket.attach_filter(&drop_all).ok();
    }
}

/// The sockets of one listener: a UDP socket for each worker, one for TCP, all on one port.
pub(super) struct Opened {
    /// One for each worker.
    pub(super) udp: Vec<Endpoint>,
    /// Listening.
    pub(super) tcp: Socket,
    /// The address with its port.
    pub(super) local: SocketAddr,
}

/// Opens all sockets of a listener. With port 0 the port that UDP got may be taken for TCP; then another is tried.
pub(super) fn open(
    index: usize,
    listener: &Listener,
    workers: usize,
    write_timeout: Duration,
) -> Result<Opened, NetError> {
    let mut attempts = if listener.addr.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match open_once(index, listener.addr, workers, write_timeout) {
            Err(NetError::Listen { source, .. }) if attempts > 0 && source.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
}

/// One attempt of [`open`].
fn open_once(index: usize, addr: SocketAddr, workers: usize, write_timeout: Duration) -> Result<Opened, NetError> {
    let mut local = addr;
    let mut udp = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket =
            udp_socket(local).map_err(|(step, source)| NetError::Listen { network: "udp", addr, step, source })?;
        if local.port() == 0 {
            let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket());
            local.set_port(bound.map_or(0, |bound| bound.port()));
        }
        udp.push(Endpoint { socket, listener: index, local, wildcard: addr.ip().is_unspecified() });
    }
    let tcp = tcp_socket(local, write_timeout).map_err(|(step, source)| NetError::Listen {
        network: "tcp",
        addr,
        step,
        source,
    })?;
    Ok(Opened { udp, tcp, local })
}

/// The step that failed, and why.
type Failure = (&'static str, io::Error);

/// Opens a UDP socket that shares its address with those of the other workers.
fn udp_socket(addr: SocketAddr) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)).map_err(|e| ("socket", e))?;
    socket.set_reuse_port(true).map_err(|e| ("setsockopt", e))?;
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
    socket.bind(&addr.into()).map_err(|e| ("bind", e))?;
    Ok(socket)
}

/// Opens a listening TCP socket. What is set here is inherited by its connections.
fn tcp_socket(addr: SocketAddr, write_timeout: Duration) -> Result<Socket, Failure> {
    let socket =
        Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)).map_err(|e| ("socket", e))?;
    // A restart does not wait for the connections of the process before it, nor for the process itself.
    socket.set_reuse_address(true).map_err(|e| ("setsockopt", e))?;
    socket.set_reuse_port(true).map_err(|e| ("setsockopt", e))?;
    // Answers are written whole; holding back their tails would only delay them.
    socket.set_tcp_nodelay(true).ok();
    // After this time the kernel gives up on a client that takes nothing, also once we have closed.
    socket.set_tcp_user_timeout(Some(write_timeout)).ok();
    if addr.is_ipv6() {
        socket.set_only_v6(true).map_err(|e| ("setsockopt", e))?;
    }
    socket.bind(&addr.into()).map_err(|e| ("bind", e))?;
    socket.listen(TCP_BACKLOG).map_err(|e| ("listen", e))?;
    Ok(socket)
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

/// Open files assumed where the limit cannot be read: the lowest default in use.
const FILES_ASSUMED: usize = 1024;
