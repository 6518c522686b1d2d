//! A connection with TLS around it, as `connection.rs` reads and writes one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::net::transport::{Stream, read_ready};

/// A socket that others may shut down while it is read from and written to.
pub(super) struct Socket {
    stream: Rc<TcpStream>,
    /// How many more octets may come while the client is greeted, if it is: TLS keeps all of a message until its end.
    greeting_left: Option<usize>,
}

impl Socket {
    /// Wraps the stream of a client that has not been greeted.
    pub(super) fn new(stream: Rc<TcpStream>) -> Self {
        Self { stream, greeting_left: Some(GREETING_BYTES) }
    }

    /// Wraps one that is spoken on in clear text.
    pub(super) fn clear(stream: Rc<TcpStream>) -> Self {
        Self { stream, greeting_left: None }
    }
}

/// What may come and wait from now on: the client has been greeted.
pub(super) fn greeted(mut tls: TlsStream<Socket>) -> TlsStream<Socket> {
    let (socket, session) = tls.get_mut();
    socket.greeting_left = None;
    session.set_buffer_limit(Some(UNSENT_BYTES));
    tls
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.greeting_left == Some(0) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "an endless handshake")));
        }
        loop {
            ready!(this.stream.poll_read_ready(context))?;
            match read_ready(&this.stream, buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    buffer.advance(count);
                    this.greeting_left = this.greeting_left.map(|left| left.saturating_sub(count));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write(octets) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}

/// TLS on a socket. Borrowed only while it is polled, so that one task can read and write by turns.
pub(super) struct Channel {
    tls: RefCell<TlsStream<Socket>>,
    socket: Rc<TcpStream>,
}

impl Channel {
    /// Over a connection that has been greeted.
    pub(super) fn new(tls: TlsStream<Socket>, socket: Rc<TcpStream>) -> Self {
        Self { tls: RefCell::new(tls), socket }
    }

    /// Says that no more comes (RFC 8446 §6.1), if that can be said at once.
    pub(super) fn close(&self) {
        if let Ok(mut tls) = self.tls.try_borrow_mut() {
            let (_, session) = tls.get_mut();
            session.send_close_notify();
            while session.wants_write() && session.write_tls(&mut AtOnce(&self.socket)).is_ok() {}
        }
    }

    /// Takes what is there of the records behind the first: clients send each message in one of its own, and what is read
    /// together is answered together.
    fn take_more(&self, room: &mut ReadBuf<'_>) {
        let mut tls = self.tls.borrow_mut();
        let mut reader = tls.get_mut().1.reader();
        while room.remaining() > 0
            && let Ok(count @ 1..) = reader.read(room.initialize_unfilled())
        {
            room.advance(count);
        }
    }
}

impl Stream for Channel {
    const HELD_BYTES: usize = UNSENT_BYTES + 2 * RECORD_BYTES;

    async fn read(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let filled = buffer.len();
        buffer.resize(buffer.capacity(), 0);
        let mut room = ReadBuf::new(&mut buffer[filled..]);
        let read = poll_fn(|context| Pin::new(&mut *self.tls.borrow_mut()).poll_read(context, &mut room)).await;
        if read.is_ok() && !room.filled().is_empty() {
            self.take_more(&mut room);
        }
        let count = room.filled().len();
        buffer.truncate(filled + count);
        match read {
            Ok(()) => (Ok(count), buffer),
            // Messages have their lengths before them, so an end without a word cuts none short unnoticed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => (Ok(0), buffer),
            Err(error) => (Err(error), buffer),
        }
    }

    async fn write_all(&self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut done = 0;
        while done < buffer.len() {
            let write =
                |context: &mut Context<'_>| Pin::new(&mut *self.tls.borrow_mut()).poll_write(context, &buffer[done..]);
            match poll_fn(write).await {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                Ok(count) => done += count,
                Err(error) => return (Err(error), buffer),
            }
        }
        let flushed = poll_fn(|context| Pin::new(&mut *self.tls.borrow_mut()).poll_flush(context)).await;
        (flushed, buffer)
    }

    fn shutdown(&self, how: Shutdown) {
        if how != Shutdown::Read {
            self.close();
        }
        SockRef::from(&*self.socket).shutdown(how).ok();
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }
}

/// Writes what a socket takes without waiting.
struct AtOnce<'s>(&'s TcpStream);

impl Write for AtOnce<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The longest handshake of a client. A long chain of certificates takes a third of it; a client that fills it and waits
/// costs as much.
const GREETING_BYTES: usize = 24 << 10;

/// Encrypted octets that wait for the client to take them. What is behind them waits unencrypted.
const UNSENT_BYTES: usize = RECORD_BYTES;

/// The longest record (RFC 8446 §5.1). One that has come is there twice: as it was sent, and what was in it.
const RECORD_BYTES: usize = 16 << 10;
