//! One question to an upstream, and its answer.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::wire::{Query, Received, ask};

/// A connection to an upstream.
pub(super) type Connection = Box<dyn Octets>;

/// What can be read and written.
pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Octets for S {}

/// Why there is no answer, for logs.
pub(super) type Fault = &'static str;

/// Asks over UDP, from a port that the kernel chooses by chance. What comes from elsewhere does not reach a socket that is
/// connected, and what is not the answer is passed over.
pub(super) async fn over_udp(
    address: SocketAddr,
    source: Option<IpAddr>,
    query: &Query,
    head: &[u8],
) -> Result<Received, Fault> {
    let any = match address {
        SocketAddr::V4(_) => IpAddr::from([0; 4]),
        SocketAddr::V6(_) => IpAddr::from([0; 16]),
    };
    let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await.map_err(|_| NO_SOCKET)?;
    socket.connect(address).await.map_err(|_| UNREACHABLE)?;
    let id = random_id()?;
    socket.send(&ask(id, head, query)).await.map_err(|_| UNREACHABLE)?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    for _ in 0..STRANGE_MAX {
        let len = socket.recv(&mut buffer).await.map_err(|_| UNREACHABLE)?;
        if let Some(received) = Received::read(buffer[..len].to_vec(), id, query) {
            return Ok(received);
        }
    }
    Err(STRANGE)
}

/// Opens a connection over TCP.
pub(super) async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Fault> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(|_| NO_SOCKET)?;
    if let Some(source) = source {
        socket.bind((source, 0).into()).map_err(|_| NO_SOCKET)?;
    }
    let stream = socket.connect(address).await.map_err(|_| UNREACHABLE)?;
    // A question is written whole; what waits for more would wait in vain.
    stream.set_nodelay(true).ok();
    Ok(stream)
}

/// Asks over a connection (RFC 1035 §4.2.2).
pub(super) async fn over_stream(stream: &mut Connection, query: &Query, head: &[u8]) -> Result<Received, Fault> {
    let id = random_id()?;
    let message = ask(id, head, query);
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    stream.write_all(&framed).await.map_err(|_| CLOSED)?;
    stream.flush().await.map_err(|_| CLOSED)?;
    for _ in 0..STRANGE_MAX {
        let octets = read(stream).await.map_err(|_| CLOSED)?;
        if let Some(received) = Received::read(octets, id, query) {
            return Ok(received);
        }
    }
    Err(STRANGE)
}

/// Reads one message behind its length.
async fn read(stream: &mut Connection) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut octets = vec![0; usize::from(len)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

/// An id that nobody can guess.
fn random_id() -> Result<u16, Fault> {
    getrandom::u32().map(|random| random as u16).map_err(|_| "no random numbers from the kernel")
}

/// Octets of a datagram; no more than [`ask`] says is taken is expected, but servers differ.
const DATAGRAM_MAX: usize = 4096;

/// Messages that are not the answer before an exchange is given up: somebody is guessing.
const STRANGE_MAX: usize = 64;

/// Out of sockets.
const NO_SOCKET: Fault = "no socket to ask an upstream";

/// The upstream, or the way to it, refuses.
const UNREACHABLE: Fault = "an upstream cannot be reached";

/// The upstream has closed the connection.
const CLOSED: Fault = "an upstream closed its connection";

/// The upstream, or somebody in its place, says something else.
const STRANGE: Fault = "an upstream answers other questions";
