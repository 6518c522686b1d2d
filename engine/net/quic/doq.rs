//! DNS over dedicated QUIC connections (RFC 9250): a stream is a query behind its length, and the answer likewise.
//!
//! What the RFC calls a protocol error closes the connection. A message that is met with silence has its stream reset, so
//! that nobody waits for it (RFC 9250 §4.3).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;

use super::answers::{Unanswered, answer_to};
use super::peers::StreamSeat;
use super::streams::{Codes, Excess, Gathered, Speech, Violation};
use crate::net::buffers::Buffers;
use crate::net::stream::Shared;
use crate::net::{Arrival, Responders};
use crate::wire::Query;

/// Connections on which it is spoken.
pub(super) struct Doq(Connection);

impl Speech for Doq {
    const CODES: Codes = Codes { no_error: NO_ERROR, excessive_load: EXCESSIVE_LOAD };
    const SEATS: usize = 1;
    /// RFC 9250 §4.2: none.
    const ONE_WAY_MAX: u8 = 0;
    type Stream = (SendStream, RecvStream);

    async fn begin(connection: &Connection, _: &Arc<Buffers>) -> Option<Self> {
        Some(Self(connection.clone()))
    }

    async fn accept(&mut self) -> Result<Option<Self::Stream>, Violation> {
        Ok(self.0.accept_bi().await.ok())
    }

    fn refuse(&mut self, (mut send, mut receive): Self::Stream) {
        let _ = (receive.stop(EXCESSIVE_LOAD), send.reset(EXCESSIVE_LOAD));
    }

    fn exchange<S: 'static, F: Responders>(
        &self,
        (send, receive): Self::Stream,
        seat: StreamSeat,
        arrival: Arrival,
        shared: Rc<Shared<S, F>>,
    ) -> impl Future<Output = Result<(), Violation>> + 'static {
        exchange(send, receive, seat, arrival, shared)
    }
}

/// Answers the query of one stream, and counts how it ended.
async fn exchange<S, F: Responders>(
    mut send: SendStream,
    mut receive: RecvStream,
    seat: StreamSeat,
    arrival: Arrival,
    shared: Rc<Shared<S, F>>,
) -> Result<(), Violation> {
    let times = shared.times(arrival.listener);
    // Unless it ends otherwise: the client goes, and the connection with it.
    let mut end = End { code: REQUEST_CANCELLED, listener: arrival.listener, shared: &*shared };
    let read = timeout(times.message, read(&mut receive, &shared)).await;
    let code = match read {
        Ok(Ok(framed)) => match message_of(&framed.octets) {
            Some(message) => match answer_to(message, &arrival, &seat.untaken, times.write, &shared).await {
                Ok((answer, _held)) => {
                    // A client that has its answer may go at once.
                    end.code = NO_ERROR;
                    send_answer(&mut send, answer, times.write, &shared).await
                }
                Err(Unanswered::Silence) => UNSPECIFIED_ERROR,
                Err(Unanswered::Full) => EXCESSIVE_LOAD,
            },
            None => PROTOCOL_ERROR,
        },
        Ok(Err(Unread::Excess(Excess::TooLong))) => PROTOCOL_ERROR,
        Ok(Err(Unread::Cancelled)) => REQUEST_CANCELLED,
        Ok(Err(Unread::Excess(Excess::Full))) => {
            shared.counters.closed_full.add(1);
            EXCESSIVE_LOAD
        }
        Err(_) => {
            shared.counters.closed_slow.add(1);
            UNSPECIFIED_ERROR
        }
    };
    end.code = code;
    if code == PROTOCOL_ERROR {
        return Err(Violation(code));
    }
    if code != NO_ERROR {
        // Either side may have ended before.
        let _ = (receive.stop(code), send.reset(code));
    }
    Ok(())
}

/// The end of a stream, which is counted however it comes.
struct End<'s, S, F: Responders> {
    code: VarInt,
    listener: usize,
    shared: &'s Shared<S, F>,
}

impl<S, F: Responders> Drop for End<'_, S, F> {
    fn drop(&mut self) {
        self.shared.count_status(self.listener, self.code.into_inner() as u16);
    }
}

/// Why a query could not be read.
enum Unread {
    /// There is too much of it.
    Excess(Excess),
    /// The client has had enough of it (RFC 9250 §4.3), or is gone.
    Cancelled,
}

/// Reads what a stream brings, to its end.
async fn read<'s, S, F: Responders>(
    receive: &mut RecvStream,
    shared: &'s Shared<S, F>,
) -> Result<Gathered<'s, S, F>, Unread> {
    let mut framed = Gathered::new(shared);
    loop {
        match receive.read_chunk(MESSAGE_BYTES, true).await {
            Ok(Some(chunk)) => framed.add(&chunk.bytes, MESSAGE_BYTES).map_err(Unread::Excess)?,
            Ok(None) => return Ok(framed),
            Err(_) => return Err(Unread::Cancelled),
        }
    }
}

/// Sends an answer, and waits until the client has it; gives the code that the stream ends with.
async fn send_answer<S, F: Responders>(
    send: &mut SendStream,
    answer: Vec<u8>,
    time: Duration,
    shared: &Shared<S, F>,
) -> VarInt {
    let sent = async {
        let len = u16::try_from(answer.len()).unwrap_or_default();
        let mut framed = [Bytes::copy_from_slice(&len.to_be_bytes()), Bytes::from(answer)];
        send.write_all_chunks(&mut framed).await.ok()?;
        send.finish().ok()?;
        // A connection must not be closed while its answers are on their way.
        send.stopped().await.ok()
    };
    // A client that has had enough, or is gone, needs no code.
    if timeout(time, sent).await.is_err() {
        shared.counters.closed_slow.add(1);
        return UNSPECIFIED_ERROR;
    }
    NO_ERROR
}

/// The message behind its length, if it is one that a client may send.
pub(in crate::net) fn message_of(framed: &[u8]) -> Option<&[u8]> {
    // RFC 9250 §4.2 and §4.3.3: the stream ends within the message, or goes on behind it.
    let (len, message) = framed.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*len)) != message.len() {
        return None;
    }
    // RFC 9250 §4.2.1: the id must be 0.
    if message.first_chunk::<2>().is_some_and(|id| *id != [0, 0]) {
        return None;
    }
    // RFC 9250 §5.5.2: QUIC has its own idle time, and edns-tcp-keepalive is forbidden.
    let query = Query::read(message).ok();
    if query.and_then(|query| query.edns).is_some_and(|edns| edns.options.has_keepalive) {
        return None;
    }
    Some(message)
}

/// The longest message with its length.
const MESSAGE_BYTES: usize = super::MESSAGE_BYTES as usize;

// RFC 9250 §4.3, the codes for streams and connections.

/// The connection is closed without an error.
const NO_ERROR: VarInt = VarInt::from_u32(0x0);

/// What RFC 9250 §4.3.3 lists.
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x2);

/// The client has had enough of a query.
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x3);

/// More streams or connections than there is room for.
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x4);

/// None of the others.
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(0x5);
