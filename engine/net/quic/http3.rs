//! DNS over HTTP/3 (RFC 8484 in RFC 9114): a stream is a request, and its response.
//!
//! What is asked and answered is that of DNS over HTTPS (`net/http.rs`), and what a stream may take in time, number and
//! memory that of DNS over QUIC. The tables of QPACK stay empty, so nothing has to be kept for a client between requests.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use h3::error::{Code, ConnectionError, StreamError};
use h3::server::{self, RequestResolver, RequestStream};
use httpdate::fmt_http_date;
use hyper::header::{CONTENT_LENGTH, DATE, HeaderValue};
use hyper::{Response, StatusCode};
use quinn::{Connection, VarInt};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::answers::{Unanswered, answer_to};
use super::carrier::{Both, Carrier};
use super::peers::StreamSeat;
use super::streams::{Codes, ENDING, Excess, Gathered, Speech, Violation};
use crate::net::buffers::Buffers;
use crate::net::http::{Asked, DIALECT, HEAD_MAX};
use crate::net::stream::Shared;
use crate::net::{Arrival, Responders};

/// Connections on which it is spoken.
pub(super) struct Http3 {
    connection: server::Connection<Carrier, Bytes>,
    /// Streams that ended before the head of a request was there; the library keeps their numbers.
    headless: Rc<Cell<usize>>,
}

impl Speech for Http3 {
    const CODES: Codes = Codes { no_error: NO_ERROR, excessive_load: EXCESSIVE_LOAD };
    /// One takes some seven kilobytes, most of them the library's: what a request may become is large; and its body may
    /// take more beside.
    const SEATS: usize = 6;
    /// RFC 9114 §6.2: one to steer and two of QPACK; and one of a kind that is not known, which shows that it is let pass.
    const ONE_WAY_MAX: u8 = 4;
    type Stream = RequestResolver<Carrier, Bytes>;

    async fn begin(connection: &Connection, buffers: &Arc<Buffers>) -> Option<Self> {
        let carrier = Carrier::new(connection.clone(), Arc::clone(buffers));
        let mut builder = server::builder();
        builder.max_field_section_size(HEAD_MAX as u64).send_grease(false);
        Some(Self { connection: builder.build(carrier).await.ok()?, headless: Rc::default() })
    }

    async fn accept(&mut self) -> Result<Option<Self::Stream>, Violation> {
        if self.headless.get() > HEADLESS_MAX {
            return Err(Violation(EXCESSIVE_LOAD));
        }
        match self.connection.accept().await {
            Ok(stream) => Ok(stream),
            // The library has closed the connection with the code that fits.
            Err(ConnectionError::Local { .. }) => Err(Violation(EXCESSIVE_LOAD)),
            Err(_) => Ok(None),
        }
    }

    fn refuse(&mut self, _: Self::Stream) {
        self.headless.set(self.headless.get() + 1);
    }

    /// RFC 9114 §5.2.
    async fn part(&mut self) {
        // Those behind the next one are turned away.
        let _ = timeout(ENDING, self.connection.shutdown(1)).await;
    }

    fn exchange<S: 'static, F: Responders>(
        &self,
        request: Self::Stream,
        seat: StreamSeat,
        arrival: Arrival,
        shared: Rc<Shared<S, F>>,
    ) -> impl Future<Output = Result<(), Violation>> + 'static {
        exchange(request, seat, arrival, shared, Rc::clone(&self.headless))
    }
}

/// Answers the request of one stream.
async fn exchange<S, F: Responders>(
    request: RequestResolver<Carrier, Bytes>,
    seat: StreamSeat,
    arrival: Arrival,
    shared: Rc<Shared<S, F>>,
    headless: Rc<Cell<usize>>,
) -> Result<(), Violation> {
    let times = shared.times(arrival.listener);
    let deadline = Instant::now() + times.message;
    // What a request may become is large, and needed until it is one.
    let resolving = Box::pin(request.resolve_request());
    let (head, mut stream) = match timeout_at(deadline, resolving).await {
        Ok(Ok(request)) => request,
        other => {
            headless.set(headless.get() + 1);
            count_headless(other, arrival.listener, &shared);
            return Ok(());
        }
    };
    let asked = (DIALECT.read)(&head.into_parts().0);
    let result = match message_of(asked, &mut stream, deadline, &shared).await {
        Ok(message) => match answer_to(&message.octets, &arrival, &seat.untaken, times.write, &shared).await {
            Ok(answer) => Ok(answer),
            // A request has a response.
            Err(Unanswered::Silence) => Err(StatusCode::BAD_REQUEST),
            Err(Unanswered::Full) => Err(StatusCode::SERVICE_UNAVAILABLE),
        },
        Err(Unread::Told(status)) => Err(status),
        Err(Unread::Gone) => return Ok(()),
    };
    let (result, _held) = match result {
        Ok((answer, held)) => (Ok(answer), Some(held)),
        Err(status) => (Err(status), None),
    };
    let (mut head, octets, _) = (DIALECT.respond)(result);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(octets.len()));
    // RFC 9110 §6.6.1.
    head.headers.extend(HeaderValue::try_from(fmt_http_date(SystemTime::now())).ok().map(|date| (DATE, date)));
    shared.count_status(arrival.listener, head.status.as_u16());
    let sent = async {
        stream.send_response(Response::from_parts(head, ())).await?;
        if !octets.is_empty() {
            stream.send_data(Bytes::from(octets)).await?;
        }
        stream.finish().await
    };
    // A client that has had enough, or is gone, needs no code.
    if timeout(times.write, sent).await.is_err() {
        shared.counters.closed_slow.add(1);
        stream.stop_stream(Code::H3_REQUEST_CANCELLED);
    }
    Ok(())
}

/// Counts a stream that became no request.
fn count_headless<T, S, F: Responders>(
    why: Result<Result<T, StreamError>, Elapsed>,
    listener: usize,
    shared: &Shared<S, F>,
) {
    match why {
        Err(_) => shared.counters.closed_slow.add(1),
        Ok(Err(StreamError::HeaderTooBig { .. })) => {
            shared.count_status(listener, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16());
        }
        // What the carrier says of too much.
        Ok(Err(StreamError::Undefined { .. })) => shared.counters.closed_full.add(1),
        Ok(_) => {}
    }
}

/// Why there is no message.
enum Unread {
    /// The client is told so.
    Told(StatusCode),
    /// It has had enough, or is gone.
    Gone,
}

/// The message of a request, from its head or its body.
async fn message_of<'s, S, F: Responders>(
    asked: Result<Asked, StatusCode>,
    stream: &mut RequestStream<Both, Bytes>,
    deadline: Instant,
    shared: &'s Shared<S, F>,
) -> Result<Gathered<'s, S, F>, Unread> {
    let mut message = Gathered::new(shared);
    match asked.map_err(Unread::Told)? {
        Asked::Message(octets) => message.add(&octets, DIALECT.body_max).map_err(|excess| told(excess, shared))?,
        Asked::Body => loop {
            let Ok(read) = timeout_at(deadline, stream.recv_data()).await else {
                shared.counters.closed_slow.add(1);
                return Err(Unread::Told(StatusCode::REQUEST_TIMEOUT));
            };
            match read {
                Ok(Some(mut octets)) => {
                    let octets = octets.copy_to_bytes(octets.remaining());
                    message.add(&octets, DIALECT.body_max).map_err(|excess| told(excess, shared))?;
                }
                Ok(None) => break,
                Err(why) => {
                    shared.counters.closed_full.add(u64::from(matches!(why, StreamError::Undefined { .. })));
                    return Err(Unread::Gone);
                }
            }
        },
    }
    Ok(message)
}

/// What a client is told who sends too much.
fn told<S, F: Responders>(excess: Excess, shared: &Shared<S, F>) -> Unread {
    Unread::Told(match excess {
        Excess::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Excess::Full => {
            shared.counters.closed_full.add(1);
            StatusCode::SERVICE_UNAVAILABLE
        }
    })
}

/// Streams of a connection without a request; then it ends.
const HEADLESS_MAX: usize = 1024;

// RFC 9114 §8.1.

/// There is no error.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// There is no room, or too much has been asked of us.
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
