//! A stream thread: takes connections, keeps their number in bounds, and ends them when it is told to stop.

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::rustls::ServerConfig;

use super::buffers::Buffers;
use super::counters::StreamCounters;
use super::later::Answers;
use super::options::StreamLimits;
use super::quic::Peers;
use super::registry::{Id, Registry};
use super::stop::Stop;
use super::transport::{Acceptor, Stream};
use super::{Arrival, Batch, Caps, Later, Responder, Responders, connection, error, socket};
use crate::log;
use crate::plugin::corefile::Scheme;

/// A listener of the thread. It is closed by shutting its socket down.
#[derive(Debug)]
pub(super) struct Listening {
    /// Its number.
    pub(super) number: usize,
    /// What is spoken on its connections.
    pub(super) scheme: Scheme,
    /// The socket.
    pub(super) socket: Socket,
    /// The address with its port.
    pub(super) local: SocketAddr,
}

/// What the thread is told while it runs.
#[derive(Debug)]
pub(super) enum Change {
    /// Another listener is to be served.
    Open(Listening),
    /// One over UDP, by its number, is not to be served any more: nothing can be seen at its socket.
    Close(usize),
}

/// What is shared by the connections of the thread.
pub(super) struct Shared<S, F: Responders> {
    /// Who is connected.
    pub(super) registry: RefCell<Registry<S>>,
    /// Who is connected over QUIC.
    pub(super) quic: Rc<Peers>,
    /// What they may take.
    pub(super) limits: StreamLimits,
    /// What has happened.
    pub(super) counters: Arc<StreamCounters>,
    /// What connections hold in buffers, as `StreamLimits::buffers_bytes_max` counts it.
    pub(super) buffers: Arc<Buffers>,
    /// Requests over HTTP that are under way.
    pub(super) requests: Cell<usize>,
    /// The responder, and the only buffer that answers are made in.
    answering: RefCell<(F::R, Box<[u8]>)>,
    /// Makes another responder after a panic.
    responders: Arc<F>,
    /// Told whenever a connection has ended.
    ended: Notify,
}

/// Is told an answer, or None for silence.
type Waiting = oneshot::Receiver<Option<Vec<u8>>>;

/// What one connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) message: Duration,
    pub(super) write: Duration,
    pub(super) queries_max: u64,
}

/// What is spoken on a thread's connections.
pub(super) trait Speaker: Sized + 'static {
    /// What its connections are called.
    const NAME: &'static str;

    /// What takes connections.
    type Acceptor: Acceptor;

    /// Begins to serve a listener; the task ends once the listener is closed and lets its connections go then.
    fn listen<F: Responders>(listening: Listening, shared: &SharedOf<Self, F>) -> io::Result<JoinHandle<()>> {
        listen::<Self, F>(listening, shared)
    }

    /// Serves a connection until either side has had enough.
    async fn serve<F: Responders>(
        scheme: Scheme,
        id: Id,
        stream: Rc<StreamOf<Self>>,
        arrival: Arrival,
        shared: &SharedOf<Self, F>,
    );
}

/// A connection of a speaker's.
pub(super) type StreamOf<P> = <<P as Speaker>::Acceptor as Acceptor>::Stream;

/// What a speaker's connections share.
pub(super) type SharedOf<P, F> = Rc<Shared<StreamOf<P>, F>>;

/// Plain DNS over TCP (RFC 7766).
pub(super) struct Plain<A>(PhantomData<A>);

impl<A: Acceptor> Speaker for Plain<A> {
    const NAME: &'static str = "TCP";
    type Acceptor = A;

    async fn serve<F: Responders>(
        _: Scheme,
        id: Id,
        stream: Rc<A::Stream>,
        arrival: Arrival,
        shared: &SharedOf<Self, F>,
    ) {
        connection::serve(id, &*stream, arrival, shared).await;
    }
}

impl<S, F: Responders> Shared<S, F> {
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

    /// What clients of this listener may have at once.
    pub(super) fn caps(&self, listener: usize) -> Caps {
        self.answering.borrow_mut().0.caps(listener)
    }

    /// How TLS is spoken on a listener at this moment.
    pub(super) fn tls(&self, listener: usize) -> Option<Arc<ServerConfig>> {
        self.answering.borrow_mut().0.tls(listener)
    }

    /// Has a message answered and appends the answer behind its length, or has it answered later. False: the client is to
    /// be let go.
    pub(super) fn answer(&self, message: &[u8], arrival: &Arrival, out: &mut Vec<u8>, answers: &mut Answers) -> bool {
        let take = |answer: &[u8]| {
            // What is longer has been taken for silence.
            out.extend_from_slice(&(answer.len() as u16).to_be_bytes());
            out.extend_from_slice(answer);
        };
        self.answer_with(message, arrival, take, |later| answers.start(later))
    }

    /// The same for a message that comes alone: its answer, once it is there; None is silence.
    pub(super) async fn exchange(&self, message: &[u8], arrival: &Arrival) -> Option<Vec<u8>> {
        let waiting = match self.begin(message, arrival)? {
            Ok(answer) => return Some(answer),
            Err(waiting) => waiting,
        };
        let answer = waiting.await.ok().flatten()?;
        self.counters.answered.add(1);
        Some(answer)
    }

    /// The answer if it is there at once, else what is told of it. Not a part of the future that waits, which is small so.
    fn begin(&self, message: &[u8], arrival: &Arrival) -> Option<Result<Vec<u8>, Waiting>> {
        let (mut now, mut later) = (None, None);
        if !self.answer_with(message, arrival, |answer| now = Some(answer.to_vec()), |waits| later = Some(waits)) {
            return None;
        }
        let Some(later) = later else { return now.map(Ok) };
        let (sender, receiver) = oneshot::channel();
        later.start(move |answer| {
            // The client may be gone.
            let _ = sender.send(answer.map(<[u8]>::to_vec));
        });
        Some(Err(receiver))
    }

    /// Has a message answered, now or later. False is silence.
    fn answer_with(
        &self,
        message: &[u8],
        arrival: &Arrival,
        now: impl FnOnce(&[u8]),
        later: impl FnOnce(Later),
    ) -> bool {
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
            if let (None, Some(waits)) = (len, batch.later()) {
                later(*waits);
                return Some(0);
            }
            len
        }));
        let len = answered.unwrap_or_else(|_| {
            self.counters.panics.add(1);
            *responder = self.responders.responder();
            None
        });
        let Some(answer) = len.and_then(|len| buffer.get(..len)) else {
            return false;
        };
        if !answer.is_empty() {
            now(answer);
            self.counters.answered.add(1);
        }
        true
    }

    /// Counts a status that a client was told instead of an answer, or with it.
    pub(super) fn count_status(&self, listener: usize, status: u16) {
        self.answering.borrow_mut().0.count_status(listener, status);
    }

    /// Takes octets out of what all connections may hold in buffers, if they are to be had.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        self.buffers.take(bytes)
    }

    /// Gives them back.
    pub(super) fn let_go(&self, bytes: usize) {
        self.buffers.give_back(bytes);
    }

    /// Counts the connections for those who watch.
    pub(super) fn count_open(&self) {
        self.counters.open.set((self.registry.borrow().len() + self.quic.count()) as u64);
    }
}

/// Runs the thread over tokio-uring, until told to stop. Where it cannot be had after all, over tokio.
pub(super) fn run_ring<F: Responders>(
    changes: UnboundedReceiver<Change>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let mut builder = tokio_uring::builder();
    builder.entries(SUBMISSIONS).uring_builder(tokio_uring::uring_builder().setup_cqsize(COMPLETIONS));
    match tokio_uring::Runtime::new(&builder) {
        Ok(runtime) => runtime.block_on(serve::<Plain<tokio_uring::net::TcpListener>, F>(
            changes, responders, limits, counters, stop, ready,
        )),
        Err(_) => run_poll::<Plain<_>, F>(changes, responders, limits, counters, stop, ready),
    }
}

/// Runs the thread over tokio.
pub(super) fn run_poll<P: Speaker<Acceptor = tokio::net::TcpListener>, F: Responders>(
    changes: UnboundedReceiver<Change>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = serve::<P, F>(changes, responders, limits, counters, stop, ready);
    LocalSet::new().block_on(&runtime, serving)
}

/// The thread, on whichever runtime. It is ready once it has taken the sockets that are there already.
async fn serve<P: Speaker, F: Responders>(
    mut changes: UnboundedReceiver<Change>,
    responders: Arc<F>,
    limits: StreamLimits,
    counters: Arc<StreamCounters>,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let files_max = socket::files_max();
    let connections_max = limits.connections_max.min(files_max.saturating_sub(FILES_KEPT).max(1));
    // Of encrypted transports that nobody listens on nothing has to be said.
    if connections_max < limits.connections_max && !changes.is_empty() {
        let name = P::NAME;
        log::warning(&format!(
            "{connections_max} {name} connections at once instead of {}: no more than {files_max} files may be open (`ulimit -n`)",
            limits.connections_max
        ));
    }
    let shared: SharedOf<P, F> = Rc::new(Shared {
        registry: RefCell::new(Registry::new(connections_max, limits.per_source_max)),
        quic: Rc::new(Peers::new(limits.connections_max, limits.per_source_max)),
        buffers: Arc::new(Buffers::new(limits.buffers_bytes_max)),
        limits,
        counters,
        requests: Cell::new(0),
        answering: RefCell::new((responders.responder(), vec![0; ANSWER_MAX].into_boxed_slice())),
        responders,
        ended: Notify::new(),
    });
    let mut accepting = Vec::new();
    while let Ok(change) = changes.try_recv() {
        if let Change::Open(listening) = change {
            accepting.push(P::listen(listening, &shared)?);
        }
    }
    ready();
    loop {
        let change = tokio::select! {
            () = stop.asked() => break,
            Some(change) = changes.recv() => change,
        };
        accepting.retain(|task| !task.is_finished());
        let listening = match change {
            Change::Open(listening) => listening,
            Change::Close(number) => {
                shared.quic.close(number);
                continue;
            }
        };
        let (scheme, local) = (listening.scheme, listening.local);
        match P::listen(listening, &shared) {
            Ok(task) => accepting.push(task),
            Err(error) => log::error(&format!("listen {} {local}: {}", scheme.name(), error::Plain(&error))),
        }
    }
    for task in accepting {
        task.abort();
    }
    tokio::join!(end(&shared, stop.left()), shared.quic.end(stop.left()));
    Ok(())
}

/// Begins to take the connections of a listener over TCP.
pub(super) fn listen<P: Speaker, F: Responders>(
    Listening { number, scheme, socket, local }: Listening,
    shared: &SharedOf<P, F>,
) -> io::Result<JoinHandle<()>> {
    let acceptor = P::Acceptor::from_socket(socket)?;
    Ok(spawn_local(accept::<P, F>(acceptor, number, scheme, local, Rc::clone(shared))))
}

/// Takes the connections of one listener until it is shut down; then those that are there are let go once they have the
/// answers to what they have sent.
async fn accept<P: Speaker, F: Responders>(
    acceptor: P::Acceptor,
    listener: usize,
    scheme: Scheme,
    bound: SocketAddr,
    shared: SharedOf<P, F>,
) {
    let mut told: Option<Instant> = None;
    loop {
        let (stream, client) = match acceptor.accept().await {
            Ok(accepted) => accepted,
            // The client is gone already, or the network has a word; the next one may do better.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // The socket does not listen any more.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            Err(error) => {
                // Out of files or memory: an idle connection gives way, and the thread takes a rest.
                if told.is_none_or(|told| told.elapsed() > TELL_PAUSE) {
                    told = Some(Instant::now());
                    log::warning(&format!(
                        "listen tcp {bound}: cannot accept connections: {}; idle ones give way",
                        error::Plain(&error)
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
        let listener_max = shared.caps(listener).connections_max;
        let admitted = shared.registry.borrow_mut().admit(client.ip(), listener, listener_max, Rc::clone(&stream));
        let Ok((id, evicted)) = admitted else {
            shared.counters.closed_full.add(1);
            continue;
        };
        for evicted in evicted {
            shared.counters.closed_full.add(1);
            // Its read ends with nothing, and its task with it.
            evicted.shutdown(Shutdown::Both);
        }
        shared.count_open();
        let arrival = Arrival { client, local, transport: scheme.transport(), listener, idle: None };
        let shared = Rc::clone(&shared);
        spawn_local(async move {
            P::serve(scheme, id, Rc::clone(&stream), arrival, &shared).await;
            // Ends a read or write that was given up on.
            stream.shutdown(Shutdown::Both);
            shared.registry.borrow_mut().remove(id);
            shared.count_open();
            shared.ended.notify_one();
        });
    }
    shared.registry.borrow().streams_of(listener).for_each(|stream| stream.shutdown(Shutdown::Read));
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
