//! DNS over HTTPS (RFC 8484), and over gRPC, which is HTTP/2: one connection, over HTTP/2 or HTTP/1.1, with TLS around it
//! or behind a proxy that has it.
//!
//! hyper speaks HTTP; here is what it may take. A connection without a request is idle, as it is in the middle of the head
//! of one, and is let go after the idle time. A body has the time of a message, an answer has to be taken within the time
//! to write. Octets of messages and answers are bounded for each connection and for all; a client that does not take its
//! answers gets no more of them.
//!
//! Where a connection is told to end, or the client has sent its last, what has been asked is still answered: the end of
//! what can be read is kept from hyper, which would drop the requests that are under way, and HTTP's own way out is taken
//! (GOAWAY, RFC 9113 §6.8).

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::Ready;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

use super::{FAREWELL, Secure, SharedOf};
use crate::net::http::{Asked, Dialect, HEAD_MAX, MESSAGE_MAX};
use crate::net::registry::Id;
use crate::net::stream::Times;
use crate::net::{Arrival, Responders};
use crate::plugin::caps::HTTP2_STREAMS_MAX;

/// Serves a connection until either side has had enough.
pub(super) async fn serve<F: Responders>(
    id: Id,
    octets: impl AsyncRead + AsyncWrite + Unpin + 'static,
    dialect: &'static Dialect,
    arrival: Arrival,
    shared: &SharedOf<Secure, F>,
) {
    let client = Rc::new(Client::new(id, dialect, arrival, Rc::clone(shared)));
    let asking = Rc::clone(&client);
    let service = service_fn(move |request| answer(&asking, request));
    let builder = builder(&client);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(Octets { octets, client: Rc::clone(&client) }), service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if ended.is_err_and(|why| is_garbage(&*why)) {
                    shared.counters.closed_garbage.add(1);
                }
                break;
            }
            () = client.changed.notified() => {}
            () = sleep_until(client.deadline(is_ending)) => match client.open.get() {
                0 if is_ending => break,
                0 if client.is_idle() => {
                    shared.counters.closed_idle.add(1);
                    client.is_done.set(true);
                }
                0 => {}
                _ if client.is_slow() => {
                    shared.counters.closed_slow.add(1);
                    break;
                }
                _ => {}
            }
        }
        if client.has_ended.get() && client.open.get() == 0 {
            break;
        }
        if !is_ending && (client.has_ended.get() || client.is_done.get()) {
            is_ending = true;
            client.since.set(Instant::now());
            connection.as_mut().graceful_shutdown();
        }
    }
    client.is_gone.set(true);
}

/// What is spoken to a client, and how much of it.
fn builder<F: Responders>(client: &Rc<Client<F>>) -> Builder<Local<F>> {
    let mut builder = Builder::new(Local(Rc::clone(client)));
    let streams_max = client.shared.caps(client.arrival.listener).streams_max;
    builder.http1().max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    builder
        .http2()
        .max_concurrent_streams(streams_max.unwrap_or(HTTP2_STREAMS_MAX))
        .max_header_list_size(HEAD_MAX as u32)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(MESSAGE_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX);
    if client.dialect.is_http2_only { builder.http2_only() } else { builder }
}

/// The body of a response: an answer, and where the dialect has it so, something behind.
type Body<F> = Either<Full<Answer<F>>, WithTrailers<Full<Answer<F>>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

/// Answers a request. Its head is let go at once.
fn answer<F: Responders>(
    client: &Rc<Client<F>>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body<F>>, Infallible>> + use<F> {
    let mut request_of = UnderWay::begin(client);
    let (head, body) = request.into_parts();
    let dialect = client.dialect;
    let asked = (dialect.read)(&head);
    async move {
        let result = request_of.answer(asked, body).await;
        let (head, octets, behind) = (dialect.respond)(result);
        let client = &request_of.client;
        client.shared.count_status(client.arrival.listener, head.status.as_u16());
        let answer = Full::new(Answer { sent: 0, octets, _request: request_of });
        let body = match behind {
            None => Either::Left(answer),
            Some(behind) => Either::Right(answer.with_trailers(std::future::ready(Some(Ok(behind))))),
        };
        Ok(Response::from_parts(head, body))
    }
}

/// What is known of a connection.
struct Client<F: Responders> {
    id: Id,
    dialect: &'static Dialect,
    arrival: Arrival,
    shared: SharedOf<Secure, F>,
    /// What it may take; a new configuration counts from the next request on.
    times: Cell<Times>,
    /// Requests so far.
    requests: Cell<u64>,
    /// Requests that are not done yet.
    open: Cell<usize>,
    /// Since when there are none.
    since: Cell<Instant>,
    /// Answers that are being sent, those begun since `turned` and those from before, by turns.
    sending: [Cell<usize>; 2],
    /// Which of them counts the new ones.
    turn: Cell<usize>,
    /// When it became so.
    turned: Cell<Instant>,
    /// Octets that messages and answers take.
    held: Cell<usize>,
    /// Those of answers that have not been written.
    unsent: Cell<usize>,
    /// Told when answers have been taken.
    room: Notify,
    /// Told when something is to be done about the connection.
    changed: Notify,
    /// The request that has just begun is one too many.
    is_refused: Cell<bool>,
    /// Nothing more comes from the client.
    has_ended: Cell<bool>,
    /// No more is wanted of it.
    is_done: Cell<bool>,
    /// Nothing more can be sent.
    is_gone: Cell<bool>,
}

impl<F: Responders> Client<F> {
    /// One that has just come.
    fn new(id: Id, dialect: &'static Dialect, arrival: Arrival, shared: SharedOf<Secure, F>) -> Self {
        let now = Instant::now();
        Self {
            id,
            dialect,
            arrival,
            times: Cell::new(shared.times(arrival.listener)),
            shared,
            requests: Cell::new(0),
            open: Cell::new(0),
            since: Cell::new(now),
            sending: [Cell::new(0), Cell::new(0)],
            turn: Cell::new(0),
            turned: Cell::new(now),
            held: Cell::new(0),
            unsent: Cell::new(0),
            room: Notify::new(),
            changed: Notify::new(),
            is_refused: Cell::new(false),
            has_ended: Cell::new(false),
            is_done: Cell::new(false),
            is_gone: Cell::new(false),
        }
    }

    /// When to look at it again.
    fn deadline(&self, is_ending: bool) -> Instant {
        match self.open.get() {
            0 if is_ending => self.since.get() + FAREWELL,
            0 => self.since.get() + self.times.get().idle,
            _ => self.turned.get() + self.times.get().write,
        }
    }

    /// Whether it has asked nothing for too long.
    fn is_idle(&self) -> bool {
        self.since.get().elapsed() >= self.times.get().idle
    }

    /// Whether there is an answer that it has not taken in time.
    fn is_slow(&self) -> bool {
        let now = Instant::now();
        if now < self.turned.get() + self.times.get().write {
            return false;
        }
        let before = 1 - self.turn.get();
        if self.sending[before].get() > 0 {
            return true;
        }
        self.turn.set(before);
        self.turned.set(now);
        false
    }
}

/// A request until its answer has been written, or nobody waits for it any more.
struct UnderWay<F: Responders> {
    client: Rc<Client<F>>,
    /// There are too many others.
    is_refused: bool,
    /// Octets that it holds.
    held: usize,
    /// Its answer, once there is one.
    sending: Option<Sending>,
}

/// An answer that is counted as being sent.
struct Sending {
    octets: usize,
    /// Which answers it is counted with.
    turn: usize,
}

impl<F: Responders> UnderWay<F> {
    /// One that has begun.
    fn begin(client: &Rc<Client<F>>) -> Self {
        if client.open.replace(client.open.get() + 1) == 0 {
            client.shared.registry.borrow_mut().set_busy(client.id);
        }
        let times = client.shared.times(client.arrival.listener);
        client.times.set(times);
        client.requests.set(client.requests.get() + 1);
        if client.requests.get() >= times.queries_max {
            client.is_done.set(true);
            client.changed.notify_one();
        }
        let requests = &client.shared.requests;
        requests.set(requests.get() + 1);
        let is_refused = match (requests.get(), client.open.get()) {
            (..=REQUESTS_MANY, _) | (..=REQUESTS_ALL, ..=REQUESTS_FEW) => false,
            (_, _) => true,
        };
        client.is_refused.set(is_refused);
        Self { client: Rc::clone(client), is_refused, held: 0, sending: None }
    }

    /// The answer, or what the client is told instead.
    async fn answer(&mut self, asked: Result<Asked, StatusCode>, body: Incoming) -> Result<Vec<u8>, StatusCode> {
        let asked = asked?;
        if self.is_refused {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let message = match asked {
            Asked::Message(message) => {
                drop(body);
                self.hold(message.len())?;
                message
            }
            Asked::Body => {
                let time = self.client.times.get().message;
                let body = timeout(time, self.collect(body)).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))?;
                (self.client.dialect.message)(body)?
            }
        };
        let client = Rc::clone(&self.client);
        while client.unsent.get() >= ANSWERS_MAX {
            client.room.notified().await;
        }
        if client.is_gone.get() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        // Silence there is none: a request has a response.
        let answer = client.shared.exchange(&message, &client.arrival).await.ok_or(StatusCode::BAD_REQUEST)?;
        drop(message);
        if !client.shared.hold(answer.len()) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        self.held += answer.len();
        client.held.set(client.held.get() + answer.len());
        client.unsent.set(client.unsent.get() + answer.len());
        let turn = client.turn.get();
        client.sending[turn].set(client.sending[turn].get() + 1);
        self.sending = Some(Sending { octets: answer.len(), turn });
        Ok(answer)
    }

    /// Reads a body, no further than a message may be long.
    async fn collect(&mut self, mut body: Incoming) -> Result<Vec<u8>, StatusCode> {
        let body_max = self.client.dialect.body_max;
        let mut message = Vec::with_capacity(body.size_hint().upper().unwrap_or(0).min(BODY_BEGIN) as usize);
        while let Some(frame) = body.frame().await {
            // What follows a body (trailers) says nothing of DNS.
            let Ok(octets) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
            if message.len() + octets.len() > body_max {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            self.hold(octets.len())?;
            message.extend_from_slice(&octets);
        }
        Ok(message)
    }

    /// Takes hold of octets for a message.
    fn hold(&mut self, bytes: usize) -> Result<(), StatusCode> {
        let held = self.client.held.get() + bytes;
        if held > HELD_MAX || !self.client.shared.hold(bytes) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        self.client.held.set(held);
        self.held += bytes;
        Ok(())
    }
}

impl<F: Responders> Drop for UnderWay<F> {
    fn drop(&mut self) {
        let client = &self.client;
        client.shared.requests.set(client.shared.requests.get() - 1);
        client.shared.let_go(self.held);
        client.held.set(client.held.get() - self.held);
        if let Some(Sending { octets, turn }) = self.sending {
            client.sending[turn].set(client.sending[turn].get() - 1);
            client.unsent.set(client.unsent.get() - octets);
            client.room.notify_waiters();
        }
        client.open.set(client.open.get() - 1);
        if client.open.get() == 0 {
            client.shared.registry.borrow_mut().set_idle(client.id);
            client.since.set(Instant::now());
            if client.has_ended.get() {
                client.changed.notify_one();
            }
        }
    }
}

/// An answer that is written piece by piece, and forgotten once it is.
struct Answer<F: Responders> {
    octets: Vec<u8>,
    /// How many have been written.
    sent: usize,
    /// Done with this.
    _request: UnderWay<F>,
}

impl<F: Responders> Buf for Answer<F> {
    fn remaining(&self) -> usize {
        self.octets.len() - self.sent
    }

    fn chunk(&self) -> &[u8] {
        &self.octets[self.sent..]
    }

    fn advance(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.octets.len());
    }
}

/// What is read and written, without its end.
struct Octets<T, F: Responders> {
    octets: T,
    client: Rc<Client<F>>,
}

impl<T: AsyncRead + Unpin, F: Responders> AsyncRead for Octets<T, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.client.has_ended.get() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.octets).poll_read(context, buffer)) {
            // TLS that ends without a word: what has come is whole or not, as HTTP can tell.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Poll::Ready(Err(error)),
            Ok(()) if buffer.filled().len() > before || buffer.remaining() == 0 => Poll::Ready(Ok(())),
            Ok(()) | Err(_) => {
                self.client.has_ended.set(true);
                self.client.changed.notify_one();
                Poll::Pending
            }
        }
    }
}

impl<T: AsyncWrite + Unpin, F: Responders> AsyncWrite for Octets<T, F> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.octets).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.octets).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.octets).poll_shutdown(context)
    }
}

/// Runs the requests of HTTP/2 beside their connection, on its thread; those that are refused not at all, which resets
/// their streams. Many connections may bring as many requests as they can before the first of them is looked at.
struct Local<F: Responders>(Rc<Client<F>>);

impl<F: Responders> Clone for Local<F> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<F: Responders, T: Future + 'static> Executor<T> for Local<F> {
    fn execute(&self, task: T) {
        if !self.0.is_refused.get() {
            spawn_local(async move {
                task.await;
            });
        }
    }
}

/// Whether a connection failed for what the client sent, and not because it is gone.
fn is_garbage(why: &(dyn Error + 'static)) -> bool {
    let Some(error) = why.downcast_ref::<hyper::Error>() else { return false };
    let is_lost = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    !is_lost && error.source().is_none_or(|source| !source.is::<io::Error>())
}

/// Fields in the head of a request.
const HEADERS_MAX: usize = 64;

/// Requests of all connections at once. Each costs some five kilobytes, most of them hyper's.
const REQUESTS_ALL: usize = 16_384;

/// So many, and who has more than a few of them gets no more, so that no single source can have them all.
const REQUESTS_MANY: usize = REQUESTS_ALL / 2;

/// What are a few requests of one connection.
const REQUESTS_FEW: usize = 16;

/// Octets of bodies that a client may send before they are read: one message.
const WINDOW: u32 = 65_535;

/// Requests that may be reset before they were looked at, and that were reset for an error of theirs; then the connection
/// ends.
const RESETS_MAX: usize = 20;

/// Octets that the messages and answers of a connection may take; one of the longest messages has room beside others.
const HELD_MAX: usize = 2 * 65_536;

/// So many octets, and no more is answered until some of them have been written.
const ANSWERS_MAX: usize = 65_536;

/// What a body begins with in memory; it grows with what has really come.
const BODY_BEGIN: u64 = 512;
