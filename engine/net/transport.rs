//! The two runtimes that the stream side runs on, behind one small interface.
//!
//! Over tokio-uring the kernel owns a buffer while it reads into it or writes from it, so buffers are passed by value.
//! A read or write that is given up on (its future dropped) goes on in the kernel, with buffer and file kept alive by the
//! runtime, until [`Stream::shutdown`] ends it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{SockaddrStorage, getsockname};
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio_uring::buf::BoundedBuf;

/// A connection.
pub(super) trait Stream: 'static {
    /// What it may hold, beside the answers, while they wait to be taken.
    const HELD_BYTES: usize = 0;

    /// Reads into the spare capacity of `buffer`, of which there has to be some. 0 is the end.
    async fn read(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>);

    /// Writes all of `buffer`.
    async fn write_all(&self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>);

    /// Ends reading, writing or both, also what is under way.
    fn shutdown(&self, how: Shutdown);

    /// Our own address.
    fn local_addr(&self) -> Option<SocketAddr>;
}

/// A listening socket.
pub(super) trait Acceptor: Sized + 'static {
    /// What it gives.
    type Stream: Stream;

    /// Takes over a socket that listens.
    fn from_socket(socket: Socket) -> io::Result<Self>;

    /// Waits for the next connection.
    async fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)>;
}

impl Acceptor for tokio_uring::net::TcpListener {
    type Stream = tokio_uring::net::TcpStream;

    fn from_socket(socket: Socket) -> io::Result<Self> {
        Ok(Self::from_std(socket.into()))
    }

    async fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        Self::accept(self).await
    }
}

impl Stream for tokio_uring::net::TcpStream {
    async fn read(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let filled = buffer.len();
        let (result, slice) = Self::read(self, buffer.slice(filled..)).await;
        (result, slice.into_inner())
    }

    async fn write_all(&self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        Self::write_all(self, buffer).await
    }

    fn shutdown(&self, how: Shutdown) {
        Self::shutdown(self, how).ok();
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        let addr = getsockname::<SockaddrStorage>(self.as_raw_fd()).ok()?;
        let v4 = addr.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
        v4.or_else(|| addr.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
    }
}

impl Acceptor for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;

    fn from_socket(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::from_std(socket.into())
    }

    async fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        Self::accept(self).await
    }
}

impl Stream for tokio::net::TcpStream {
    async fn read(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let filled = buffer.len();
        loop {
            if let Err(error) = self.readable().await {
                return (Err(error), buffer);
            }
            buffer.resize(buffer.capacity(), 0);
            let result = read_ready(self, &mut buffer[filled..]);
            buffer.truncate(filled + result.as_ref().copied().unwrap_or(0));
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffer),
            }
        }
    }

    async fn write_all(&self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut done = 0;
        while done < buffer.len() {
            if let Err(error) = self.writable().await {
                return (Err(error), buffer);
            }
            match self.try_write(&buffer[done..]) {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return (Err(error), buffer),
            }
        }
        (Ok(()), buffer)
    }

    fn shutdown(&self, how: Shutdown) {
        SockRef::from(self).shutdown(how).ok();
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }
}

/// Reads what is there, `WouldBlock` if nothing is. After a read that took all of it the next one waits without asking
/// the kernel first: who waits for each answer is read from once a question instead of twice.
pub(super) fn read_ready(stream: &tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let count = stream.try_read(buffer)?;
    if (1..buffer.len()).contains(&count) {
        // This is how tokio is told; what comes from now on makes the stream readable again.
        let nothing_left = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        stream.try_io(Interest::READABLE, nothing_left).ok();
    }
    Ok(count)
}
