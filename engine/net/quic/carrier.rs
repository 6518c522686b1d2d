//! A connection over QUIC as the library of HTTP/3 takes one, and in bounds.
//!
//! That library keeps a frame until it is whole, however long it is: a head, or one that it does not know and passes over.
//! So what it has been given and not used up is counted, for each stream and, beyond what every ordinary request needs,
//! against what all connections may hold. A stream that goes on beyond its share is an error.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::io::ReadBuf;

use crate::net::buffers::Buffers;
use crate::net::http::HEAD_MAX;

/// A connection.
pub(super) struct Carrier {
    connection: Connection,
    buffers: Arc<Buffers>,
    /// The next stream of both, the next of the client alone, and of ours, once they are waited for.
    requests: Option<Next<(SendStream, RecvStream)>>,
    one_way: Option<Next<RecvStream>>,
    opening: Option<Next<SendStream>>,
}

/// What is waited for, over as many calls as it takes.
type Next<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>>>>;

impl Carrier {
    /// Carries on a connection.
    pub(super) fn new(connection: Connection, buffers: Arc<Buffers>) -> Self {
        Self { connection, buffers, requests: None, one_way: None, opening: None }
    }

    /// What a client sends on a stream.
    fn incoming(&self, stream: RecvStream) -> Incoming {
        let unused = Unused { bytes: AtomicUsize::new(0), buffers: Arc::clone(&self.buffers) };
        Incoming { stream, unused: Arc::new(unused), full: (0, 0), is_excessive: false }
    }
}

/// Waits for what is next, which is begun to be waited for if it has not been.
fn poll_next<T, W: Future<Output = Result<T, ConnectionError>> + 'static>(
    next: &mut Option<Next<T>>,
    begin: impl FnOnce() -> W,
    context: &mut Context<'_>,
) -> Poll<Result<T, ConnectionErrorIncoming>> {
    let found = ready!(next.get_or_insert_with(|| Box::pin(begin())).as_mut().poll(context));
    *next = None;
    Poll::Ready(found.map_err(lost))
}

impl quic::Connection<Bytes> for Carrier {
    type RecvStream = Incoming;
    type OpenStreams = Self;

    fn poll_accept_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, ConnectionErrorIncoming>> {
        let connection = &self.connection;
        let begin = || {
            let connection = connection.clone();
            async move { connection.accept_uni().await }
        };
        let stream = ready!(poll_next(&mut self.one_way, begin, context))?;
        Poll::Ready(Ok(self.incoming(stream)))
    }

    fn poll_accept_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<Both, ConnectionErrorIncoming>> {
        let connection = &self.connection;
        let begin = || {
            let connection = connection.clone();
            async move { connection.accept_bi().await }
        };
        let (send, receive) = ready!(poll_next(&mut self.requests, begin, context))?;
        Poll::Ready(Ok(Both { out: Outgoing::new(send), incoming: self.incoming(receive) }))
    }

    fn opener(&self) -> Self {
        Self::new(self.connection.clone(), Arc::clone(&self.buffers))
    }
}

impl quic::OpenStreams<Bytes> for Carrier {
    type BidiStream = Both;
    type SendStream = Outgoing;

    /// Servers open none.
    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        Poll::Ready(Err(StreamErrorIncoming::Unknown("a server does not ask".into())))
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Poll<Result<Outgoing, StreamErrorIncoming>> {
        let connection = &self.connection;
        let begin = || {
            let connection = connection.clone();
            async move { connection.open_uni().await }
        };
        let opened = ready!(poll_next(&mut self.opening, begin, context));
        let failed = |connection_error| StreamErrorIncoming::ConnectionErrorIncoming { connection_error };
        Poll::Ready(opened.map(Outgoing::new).map_err(failed))
    }

    fn close(&mut self, code: Code, _: &[u8]) {
        self.connection.close(number(code.value()), b"");
    }
}

/// What is sent on a stream.
pub(super) struct Outgoing {
    stream: SendStream,
    /// What is being sent.
    writing: Option<WriteBuf<Bytes>>,
    /// Something has been.
    has_written: bool,
    /// Waits until the client has it all.
    taken: Option<Next<()>>,
}

impl Outgoing {
    /// Nothing so far.
    fn new(stream: SendStream) -> Self {
        Self { stream, writing: None, has_written: false, taken: None }
    }
}

impl quic::SendStream<Bytes> for Outgoing {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = self.writing.as_mut().filter(|data| data.has_remaining()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, data.chunk())).map_err(unsent)?;
            data.advance(count);
            self.has_written = true;
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    /// Waits until the client has what has been sent: a connection must not be closed before.
    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let taken = self.taken.get_or_insert_with(|| {
            // It may have been ended by the client, who then takes no more.
            let _ = self.stream.finish();
            let stopped = self.stream.stopped();
            Box::pin(async move {
                let _ = stopped.await;
                Ok(())
            })
        });
        taken.as_mut().poll(context).map(|_| Ok(()))
    }

    fn reset(&mut self, code: u64) {
        // Either side may have ended it before.
        let _ = self.stream.reset(number(code));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// What comes on a stream.
pub(super) struct Incoming {
    stream: RecvStream,
    unused: Arc<Unused>,
    /// With so many octets that had not been used, it was asked for more so often.
    full: (usize, u8),
    /// There was too much, and none of it was used any more.
    is_excessive: bool,
}

impl quic::RecvStream for Incoming {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let unused = self.unused.bytes.load(Ordering::Relaxed);
        if unused >= UNUSED_MAX {
            let times = if self.full.0 == unused { self.full.1 + 1 } else { 0 };
            self.full = (unused, times);
            if times == FULL_TIMES {
                self.is_excessive = true;
                return Poll::Ready(Err(StreamErrorIncoming::Unknown("too much to keep".into())));
            }
            // Some of it may be used now, and then there is room.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.full = (0, 0);
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(self.stream.poll_read_buf(context, &mut room)).map_err(unread)?;
        if room.filled().is_empty() {
            return Poll::Ready(Ok(None));
        }
        match Unused::take(&self.unused, room.filled()) {
            Some(octets) => Poll::Ready(Ok(Some(Bytes::from_owner(octets)))),
            None => {
                self.is_excessive = true;
                Poll::Ready(Err(StreamErrorIncoming::Unknown("no memory left for it".into())))
            }
        }
    }

    fn stop_sending(&mut self, code: u64) {
        // Either side may have ended it before.
        let _ = self.stream.stop(number(code));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// The stream of a request. One that is let go without a response has not been looked at, as its client is told.
pub(super) struct Both {
    out: Outgoing,
    incoming: Incoming,
}

impl Drop for Both {
    fn drop(&mut self) {
        let code = match (self.incoming.is_excessive, self.out.has_written) {
            (true, _) => Code::H3_EXCESSIVE_LOAD,
            (false, true) => Code::H3_NO_ERROR,
            (false, false) => Code::H3_REQUEST_REJECTED,
        };
        let code = number(code.value());
        if !self.out.has_written {
            let _ = self.out.stream.reset(code);
        }
        // Who has sent all need not be told to send no more.
        let (mut context, mut octet) = (Context::from_waker(Waker::noop()), [0]);
        let read = self.incoming.stream.poll_read(&mut context, &mut octet);
        if !matches!(read, Poll::Ready(Ok(0) | Err(_))) {
            let _ = self.incoming.stream.stop(code);
        }
    }
}

impl quic::SendStream<Bytes> for Both {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.out.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.out.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.out.poll_finish(context)
    }

    fn reset(&mut self, code: u64) {
        self.out.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.out.send_id()
    }
}

impl quic::RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.incoming.poll_data(context)
    }

    fn stop_sending(&mut self, code: u64) {
        self.incoming.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.incoming.recv_id()
    }
}

/// What a stream has brought and nobody has used up.
struct Unused {
    bytes: AtomicUsize,
    buffers: Arc<Buffers>,
}

impl Unused {
    /// Keeps some more, if it may be kept.
    fn take(of: &Arc<Self>, octets: &[u8]) -> Option<Kept> {
        let bytes = of.bytes.load(Ordering::Relaxed);
        let more = bytes + octets.len() + KEPT_BYTES;
        if !of.buffers.take(shared_of(more) - shared_of(bytes)) {
            return None;
        }
        of.bytes.store(more, Ordering::Relaxed);
        Some(Kept { octets: octets.into(), of: Arc::clone(of) })
    }
}

/// How many of so many octets are held against what all connections may hold.
fn shared_of(bytes: usize) -> usize {
    bytes.saturating_sub(FREE_BYTES)
}

/// Some of it.
struct Kept {
    octets: Box<[u8]>,
    of: Arc<Unused>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let bytes = self.of.bytes.load(Ordering::Relaxed);
        let fewer = bytes - self.octets.len() - KEPT_BYTES;
        self.of.bytes.store(fewer, Ordering::Relaxed);
        self.of.buffers.give_back(shared_of(bytes) - shared_of(fewer));
    }
}

/// How the library is told that a connection is lost.
fn lost(why: ConnectionError) -> ConnectionErrorIncoming {
    match why {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into_inner() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}

/// The same of what could not be read.
fn unread(why: ReadError) -> StreamErrorIncoming {
    match why {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        ReadError::ConnectionLost(why) => StreamErrorIncoming::ConnectionErrorIncoming { connection_error: lost(why) },
        other => StreamErrorIncoming::Unknown(other.into()),
    }
}

/// The same of what could not be sent.
fn unsent(why: WriteError) -> StreamErrorIncoming {
    match why {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        WriteError::ConnectionLost(why) => StreamErrorIncoming::ConnectionErrorIncoming { connection_error: lost(why) },
        other => StreamErrorIncoming::Unknown(other.into()),
    }
}

/// A code as QUIC has it.
fn number(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

/// The number of a stream as the library has it.
fn id(id: quinn::StreamId) -> StreamId {
    let number = VarInt::from(id).into_inner();
    StreamId::try_from(number).expect("both have 62 bits")
}

/// Octets that are read at once.
const READ_BYTES: usize = 4096;

/// What a stream may bring before it is used: the longest head, and some more that has been read with it.
const UNUSED_MAX: usize = HEAD_MAX + READ_BYTES;

/// The library asks for more twice for each frame of a body, while it takes them from what it has been given. So often, and
/// what it was given last has not been used up: it waits for the end of something longer, or its frames are tiny.
const FULL_TIMES: u8 = 128;

/// How much of that is held against nothing else: every ordinary request.
const FREE_BYTES: usize = 1024;

/// What it costs to keep some octets, beside them.
const KEPT_BYTES: usize = 96;
