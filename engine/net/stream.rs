//! The stream thread: takes connections, keeps their number in bounds, and ends them when it is told to stop.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::connection;
use super::counters::StreamCounters;
use super::error::Plain;
use super::later::Answers;
use super::options::StreamLimits;
use super::registry::Registry;
use super::stop::Stop;
use super::transport::{Acceptor, Stream};
use super::{Arrival, Batch, Responder, Responders, socket};
use crate::log;

/// What is shared by the connections of the thread.
pub(super) struct Shared<S, F: Responders> {
    /// Who is connected.
    pub(super) registry: RefCell<Registry<S>>,
    /// What they may take.
    pub(super) limits: StreamLimits,
    /// What has happened.
    pub(super) counters: Arc<StreamCounters>,
    /// Octets that connections hold in buffers, as `StreamLimits::buffers_bytes_max` counts them.
    pub(super) buffers_bytes: Cell<usize>,
    /// The responder, and the only buffer that answers are made in.
    answering: RefCell<(F::R, Box<[u8]>)>,
    /// Makes another responder after a panic.
    responders: Arc<F>,
    /// Told whenever a connection has ended.
    ended: Notify,
}

/// What one connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) message: Duration,
    pub(super) write: Duration,
    pub(super) queries_max: u64,
}

impl<S: Stream, F: Responders> Shared<S, F> {
    /// What a client of this listener may take.
    pub(super) fn times(&self, listener: usize) -> Times {
        let timeouts = self.answering.borrow().0.timeouts(listener).unwrap_or_default();
        Times {
            idle: timeouts.idle.unwrap_or(self.limits.idle),
            message: timeouts.read.unwrap_or(self.limits.message),
            write: timeouts.write.unwrap_or(self.limits.write),
            queries_max: timeouts.queries_max.unwrap_or(u64::MAX),
        }
    }

    /// Has a message answered and appends the answer behind its length, or has it answered later. False: the client is to
    /// be let go.
    pub(super) fn answer(&self, message: &[u8], arrival: &Arrival, out: &mut Vec<u8>, answers: &mut Answers) -> bool {
        self.counters.received.add(1);
        let (responder, buffer) = &mut *self.answering.borrow_mut();
        let Some(room) = buffer.get_mut(..message.len()) else {
            return false;
        };
        room.copy_from_slice(message);
        // A responder that panicked is not used again.
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = responder.batch();
            batch.read(0, message, arrival.listener);
            let len = batch.answer(0, buffer, message.len(), arrival);
            if let (None, Some(later)) = (len, batch.later()) {
                answers.start(*later);
                return Some(0);
            }
            len
        }));
        let len = answered.unwrap_or_else(|_| {
            self.counters.panics.add(1);
            *responder = self.responders.responder();
            None
        });
        let Some((answer, len)) = len.and_then(|len| Some((buffer.get(..len)?, u16::try_from(len).ok()?))) else {
            return false;
        };
        if len == 0 {
            return true;
        }
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(answer);
        self.counters.answered.add(1);
        true
    }

    /// Counts the connections for those who watch.
    fn count_open(&self) {
        self.counters.open.set(self.registry.borrow().len() as u64);
    }
}

/// Runs the thread over tokio-uring, until told to stop. Where it cannot be had after all, over tokio.
pub(super) fn run_ring<F: Responders>(
    sockets: Vec<(Socket, SocketAddr)>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let mut builder = tokio_uring::builder();
    builder.entries(SUBMISSIONS).uring_builder(tokio_uring::uring_builder().setup_cqsize(COMPLETIONS));
    match tokio_uring::Runtime::new(&builder) {
        Ok(runtime) => runtime
            .block_on(serve::<tokio_uring::net::TcpListener, F>(sockets, responders, limits, counters, stop, ready)),
        Err(_) => run_poll(sockets, responders, limits, counters, stop, ready),
    }
}

/// Runs the thread over tokio.
pub(super) fn run_poll<F: Responders>(
    sockets: Vec<(Socket, SocketAddr)>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = serve::<tokio::net::TcpListener, F>(sockets, responders, limits, counters, stop, ready);
    LocalSet::new().block_on(&runtime, serving)
}

/// The thread, on whichever runtime.
async fn serve<A: Acceptor, F: Responders>(
    sockets: Vec<(Socket, SocketAddr)>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let files_max = socket::files_max();
    let connections_max = limits.connections_max.min(files_max.saturating_sub(FILES_KEPT).max(1));
    if connections_max < limits.connections_max {
        log::warning(&format!(
            "{connections_max} TCP connections at once instead of {}: no more than {files_max} files may be open (`ulimit -n`)",
            limits.connections_max
        ));
    }
    let shared = Rc::new(Shared {
        registry: RefCell::new(Registry::new(connections_max, limits.per_source_max)),
        limits,
        counters,
        buffers_bytes: Cell::new(0),
        answering: RefCell::new((responders.responder(), vec![0; ANSWER_MAX].into_boxed_slice())),
        responders,
        ended: Notify::new(),
    });
    let mut accepting = Vec::new();
    for (index, (socket, local)) in sockets.into_iter().enumerate() {
        let acceptor = A::from_socket(socket)?;
        accepting.push(spawn_local(accept::<A, F>(acceptor, index, local, Rc::clone(&shared))));
    }
    ready();
    stop.asked().await;
    for task in accepting {
        task.abort();
    }
    end(&shared, stop.left()).await;
    Ok(())
}

/// Takes the connections of one listener, for ever.
async fn accept<A: Acceptor, F: Responders>(
    acceptor: A,
    listener: usize,
    bound: SocketAddr,
    shared: Rc<Shared<A::Stream, F>>,
) {
    let mut told: Option<Instant> = None;
    loop {
        let (stream, client) = match acceptor.accept().await {
            Ok(accepted) => accepted,
            // The client is gone already, or the network has a word; the next one may do better.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of files or memory: an idle connection gives way, and the thread takes a rest.
                if told.is_none_or(|told| told.elapsed() > TELL_PAUSE) {
                    told = Some(Instant::now());
                    log::warning(&format!(
                        "listen tcp {bound}: cannot accept connections: {}; idle ones give way",
                        Plain(&error)
                    ));
                }
                let oldest = shared.registry.borrow_mut().remove_oldest_idle();
                if let Some(stream) = oldest {
                    shared.counters.closed_full.add(1);
                    stream.shutdown(Shutdown::Both);
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        shared.counters.accepted.add(1);
        let local = stream.local_addr().unwrap_or(bound);
        let stream = Rc::new(stream);
        let admitted = shared.registry.borrow_mut().admit(client.ip(), Rc::clone(&stream));
        let Ok((id, evicted)) = admitted else {
            shared.counters.closed_full.add(1);
            continue;
        };
        if let Some(evicted) = evicted {
            shared.counters.closed_full.add(1);
            // Its read ends with nothing, and its task with it.
            evicted.shutdown(Shutdown::Both);
        }
        shared.count_open();
        let arrival = Arrival { client, local, transport: super::Transport::Tcp, listener, idle: None };
        let shared = Rc::clone(&shared);
        spawn_local(async move {
            connection::serve(id, &*stream, arrival, &shared).await;
            // Ends a read or write that was given up on.
            stream.shutdown(Shutdown::Both);
            shared.registry.borrow_mut().remove(id);
            shared.count_open();
            shared.ended.notify_one();
        });
    }
}

/// Lets clients have the answers to what they have sent, then closes.
async fn end<S: Stream, F: Responders>(shared: &Shared<S, F>, grace: Duration) {
    // What has arrived is still read; behind it comes the end.
    shared.registry.borrow().streams().for_each(|stream| stream.shutdown(Shutdown::Read));
    if timeout(grace, all_ended(shared)).await.is_err() {
        shared.registry.borrow().streams().for_each(|stream| stream.shutdown(Shutdown::Both));
        timeout(END_WAIT, all_ended(shared)).await.ok();
    }
}

/// Waits until no connection is left.
async fn all_ended<S: Stream, F: Responders>(shared: &Shared<S, F>) {
    while shared.registry.borrow().len() > 0 {
        shared.ended.notified().await;
    }
}

/// The largest answer: what the two-octet length can say (RFC 1035 §4.2.2).
const ANSWER_MAX: usize = 65535;

/// Files left to the rest of the process.
const FILES_KEPT: usize = 256;

/// Submission queue of the stream thread.
const SUBMISSIONS: u32 = 1024;

/// Completion queue: large, as every connection may have something to say at once.
const COMPLETIONS: u32 = 16384;

/// The rest after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How long nothing more is said of failed accepts.
const TELL_PAUSE: Duration = Duration::from_secs(60);

/// How long connections may take to notice that they have been closed.
const END_WAIT: Duration = Duration::from_millis(500);
