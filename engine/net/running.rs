//! Starting the threads, watching them, stopping them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::counters::{StreamCounters, Totals, WorkerCounters};
use super::options::{Options, StreamLimits, WayIn};
use super::orders::{Order, Orders};
use super::secure::Secure;
use super::socket::{self, Endpoint, Opened};
use super::stop::Stop;
use super::stream::{Change, Listening, Plain};
use super::ways::{self, Chosen};
use super::{LISTENERS_MORE, Listener, NetError, Responders, stream, worker};
use crate::plugin::corefile::Scheme;

/// The room at work. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    /// All threads; each has said that it is ready.
    threads: Vec<JoinHandle<()>>,
    /// How they are told to stop.
    stop: Arc<Stop>,
    /// The workers' counters.
    workers: Vec<Arc<WorkerCounters>>,
    /// The stream thread's.
    streams: Arc<StreamCounters>,
    /// Those of the encrypted transports.
    secure: Arc<StreamCounters>,
    /// The listeners, by number.
    listeners: BTreeMap<usize, Open>,
    /// How many there were at the start.
    first: usize,
    /// The listeners' addresses with their ports, in the order of their numbers.
    local: Vec<SocketAddr>,
    /// Those that have gone, as long as anybody uses their sockets.
    gone: Vec<Gone>,
    /// What each worker is told.
    orders: Vec<Arc<Orders>>,
    /// How the stream thread gets listening sockets.
    to_streams: UnboundedSender<Change>,
    /// The same for the encrypted transports.
    to_secure: UnboundedSender<Change>,
    /// How long a client may take to take an answer.
    write_timeout: Duration,
    /// The way in.
    io: WayIn,
    /// The CPU of each worker that is tied to one.
    cpus: Vec<Option<usize>>,
    /// What has ended a thread before its time.
    failures: Mutex<Receiver<Result<(), NetError>>>,
}

/// A listener that is open.
#[derive(Debug)]
struct Open {
    /// How queries come in.
    scheme: Scheme,
    /// The address with its port.
    local: SocketAddr,
    /// The sockets of the workers.
    udp: Vec<Arc<Socket>>,
    /// Another descriptor of the socket of the stream threads, to shut it down.
    stream: Socket,
}

/// A listener that has gone.
#[derive(Debug)]
struct Gone {
    /// The address with its port.
    local: SocketAddr,
    /// The sockets of the workers, which answers that come later still need.
    udp: Vec<Arc<Socket>>,
    /// When they are closed in any case.
    deadline: Instant,
}

impl Gone {
    /// Whether a worker, or an answer under way, has any of its sockets.
    fn is_used(&self) -> bool {
        self.udp.iter().any(|socket| Arc::strong_count(socket) > 1 || Arc::weak_count(socket) > 0)
    }
}

/// Listeners whose sockets are open, but which nobody answers on yet. Dropping it closes them.
#[derive(Debug)]
pub struct NewListeners(Vec<(Opened, Socket)>);

/// Opens all listeners and starts all threads. When it returns, every address is served.
pub fn start<F: Responders>(listeners: &[Listener], responders: F, options: &Options) -> Result<Running, NetError> {
    let thread_error = |thread: &str| {
        let thread = thread.to_owned();
        move |source| NetError::Thread { thread, source }
    };
    let cpus = worker::cpus();
    let count = options.workers.unwrap_or_else(|| worker::count(&cpus)).max(1);
    // A quota of CPU time names no CPUs: the scheduler then places the workers.
    let pinned = count >= cpus.len() || options.workers.is_some();
    let stop = Arc::new(Stop::new().map_err(thread_error("start"))?);
    let (chosen, io) = ways::choose(options.io, &stop)?;

    let (sender, reports) = channel();
    let (to_streams, streams) = unbounded_channel();
    let (to_secure, secure) = unbounded_channel();
    let orders = (0..count).map(|_| Orders::new().map(Arc::new)).collect::<io::Result<_>>();
    let mut running = Running {
        threads: Vec::new(),
        stop,
        workers: (0..count).map(|_| Arc::default()).collect(),
        streams: Arc::default(),
        secure: Arc::default(),
        listeners: BTreeMap::new(),
        first: listeners.len(),
        local: Vec::new(),
        gone: Vec::new(),
        orders: orders.map_err(thread_error("start"))?,
        to_streams,
        to_secure,
        write_timeout: options.streams.write,
        io,
        cpus: (0..count).map(|index| pinned.then(|| cpus[index % cpus.len()])).collect(),
        failures: Mutex::new(reports),
    };
    let numbered: Vec<_> = listeners.iter().copied().enumerate().collect();
    let opened = running.open(&numbered)?;
    let mut endpoints = running.take(opened);
    let responders = Arc::new(responders);
    for (index, endpoints) in endpoints.drain(..).enumerate() {
        let (responders, stop) = (Arc::clone(&responders), Arc::clone(&running.stop));
        let counters = Arc::clone(&running.workers[index]);
        let orders = Arc::clone(&running.orders[index]);
        let cpu = running.cpus[index];
        running.spawn(format!("udp-{index}"), sender.clone(), move |ready| {
            if let Some(cpu) = cpu {
                worker::pin(cpu);
            }
            ways::run(chosen, endpoints, &*responders, &counters, &orders, &stop, ready)
        })?;
    }
    let (stop, counters) = (Arc::clone(&running.stop), Arc::clone(&running.streams));
    let (limits, for_secure) = (options.streams.clone(), Arc::clone(&responders));
    running.spawn("streams".into(), sender.clone(), move |ready| match chosen {
        Chosen::Ring(_) => stream::run_ring(streams, responders, limits, counters, &stop, ready),
        Chosen::Mmsg => stream::run_poll::<Plain<_>, F>(streams, responders, limits, counters, &stop, ready),
    })?;
    let (stop, counters) = (Arc::clone(&running.stop), Arc::clone(&running.secure));
    let limits = StreamLimits { connections_max: options.secure_max, ..options.streams.clone() };
    running.spawn("secure".into(), sender.clone(), move |ready| {
        stream::run_poll::<Secure, F>(secure, for_secure, limits, counters, &stop, ready)
    })?;
    drop(sender);
    for _ in 0..running.threads.len() {
        running.report(|reports| reports.recv().ok()).transpose()?;
    }
    Ok(running)
}

/// Reads the counters of all threads.
#[derive(Clone, Debug)]
pub struct Meter {
    workers: Vec<Arc<WorkerCounters>>,
    streams: Arc<StreamCounters>,
    secure: Arc<StreamCounters>,
}

impl Meter {
    /// What all threads have done so far.
    pub fn totals(&self) -> Totals {
        Totals {
            workers: self.workers.iter().map(|counters| counters.read()).collect(),
            streams: self.streams.read(),
            secure: self.secure.read(),
        }
    }
}

impl Running {
    /// Starts a thread that reports when it is ready, and what ended it if it was not told to stop.
    fn spawn<W>(&mut self, name: String, reports: Sender<Result<(), NetError>>, work: W) -> Result<(), NetError>
    where
        W: FnOnce(Box<dyn FnOnce()>) -> io::Result<()> + Send + 'static,
    {
        let thread = name.clone();
        let body = move || {
            let sender = reports.clone();
            let ready = Box::new(move || {
                sender.send(Ok(())).ok();
            });
            // What a panic leaves half done is not used again: all of it is dropped, but for counters.
            let ended = catch_unwind(AssertUnwindSafe(|| work(ready)));
            if let Err(source) = ended.unwrap_or_else(|_| Err(io::Error::other("panicked"))) {
                reports.send(Err(NetError::Thread { thread, source })).ok();
            }
        };
        let handle = thread::Builder::new()
            .name(format!("zonda-{name}"))
            .spawn(body)
            .map_err(|source| NetError::Thread { thread: name, source })?;
        self.threads.push(handle);
        Ok(())
    }

    /// Opens more listeners, under numbers that no other one has had; those that are not yet closed on the same address are
    /// waited for.
    pub fn open(&mut self, listeners: &[(usize, Listener)]) -> Result<NewListeners, NetError> {
        let mut new: Vec<(Opened, Socket)> = Vec::new();
        for &(number, listener) in listeners {
            while self.gone.iter().any(|gone| gone.local == listener.addr) {
                self.sweep();
                thread::sleep(SWEEP_PAUSE);
            }
            let network = listener.scheme.transport().network();
            let failed = |step| move |source| NetError::Listen { network, addr: listener.addr, step, source };
            if self.listeners.len() + new.len() >= self.first + LISTENERS_MORE {
                return Err(failed("open")(io::Error::other("too many addresses; a restart takes them all")));
            }
            if self.is_taken_over_udp(listener) {
                let why = "another listener has this port over UDP; take it away with a reload of its own first";
                return Err(failed("open")(io::Error::other(why)));
            }
            let already = self.local.iter().copied().chain(new.iter().map(|(opened, _)| opened.local));
            let opened = socket::open(number, listener, already, self.workers.len(), self.write_timeout)?;
            let stream = opened.stream.try_clone().map_err(failed("dup"))?;
            new.push((opened, stream));
        }
        Ok(NewListeners(new))
    }

    /// Whether a listener has to have the port for itself that another one has: sockets of UDP that share a port share what
    /// comes in, too, whatever is spoken.
    fn is_taken_over_udp(&self, listener: Listener) -> bool {
        let has_udp = |scheme: Scheme| scheme == Scheme::Dns || scheme.transport().network() == "udp";
        let are_plain = |other: Scheme| (other, listener.scheme) == (Scheme::Dns, Scheme::Dns);
        let mut overlapping = self.listeners.values().filter(|open| socket::overlap(open.local, listener.addr));
        overlapping.any(|open| has_udp(open.scheme) && has_udp(listener.scheme) && !are_plain(open.scheme))
    }

    /// Has all threads answer on these listeners from now on.
    pub fn serve(&mut self, new: NewListeners) {
        let endpoints = self.take(new);
        for (orders, endpoints) in self.orders.iter().zip(endpoints) {
            endpoints.into_iter().for_each(|endpoint| orders.give(Order::Open(endpoint)));
        }
    }

    /// Takes nothing new on these listeners, has answered what has come in, and closes their sockets; answers that come
    /// later are waited for up to `grace`, connections as long as a client may take to take an answer. It does not wait
    /// for that.
    pub fn close(&mut self, numbers: &[usize], grace: Duration) {
        for number in numbers {
            let Some(Open { scheme, local, udp, stream }) = self.listeners.remove(number) else { continue };
            if scheme.transport().network() == "udp" {
                // A thread that has ended has reported why.
                let _ = self.to_secure.send(Change::Close(*number));
            } else {
                stream.shutdown(Shutdown::Both).ok();
            }
            udp.iter().for_each(|socket| socket::close_door(socket));
            self.orders.iter().for_each(|orders| orders.give(Order::Close(*number)));
            self.gone.push(Gone { local, udp, deadline: Instant::now() + grace });
        }
        self.local = self.listeners.values().map(|open| open.local).collect();
    }

    /// Closes the sockets of listeners that have gone once nobody needs them. Called from time to time.
    pub fn sweep(&mut self) {
        let now = Instant::now();
        self.gone.retain(|gone| gone.is_used() && now < gone.deadline);
    }

    /// Takes over open listeners: gives the stream thread its sockets, and gives back those for each worker.
    fn take(&mut self, NewListeners(new): NewListeners) -> Vec<Vec<Endpoint>> {
        let mut endpoints: Vec<Vec<Endpoint>> = self.orders.iter().map(|_| Vec::new()).collect();
        for (Opened { number, scheme, udp, stream: socket, local }, stream) in new {
            let sockets = udp.iter().map(|endpoint| Arc::clone(&endpoint.socket)).collect();
            self.listeners.insert(number, Open { scheme, local, udp: sockets, stream });
            for (of_worker, endpoint) in endpoints.iter_mut().zip(udp) {
                of_worker.push(endpoint);
            }
            // A thread that has ended has reported why.
            let to = if scheme == Scheme::Dns { &self.to_streams } else { &self.to_secure };
            let _ = to.send(Change::Open(Listening { number, scheme, socket, local }));
        }
        self.local = self.listeners.values().map(|open| open.local).collect();
        endpoints
    }

    /// What has ended a thread before its time, if anything has since it was last asked. It means that the kernel no
    /// longer does what it did at the start, or that the thread panicked beside any message; the other threads go on.
    pub fn failure(&self) -> Option<NetError> {
        self.report(|reports| reports.try_recv().ok())?.err()
    }

    /// The next report.
    fn report<R>(&self, next: impl FnOnce(&Receiver<Result<(), NetError>>) -> R) -> R {
        next(&self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The listeners' addresses, in their order, each with the port it really has.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local
    }

    /// The way in that is in use, and the reason when it is not io_uring.
    pub fn io(&self) -> &WayIn {
        &self.io
    }

    /// The CPU that each worker is tied to; None where the scheduler places it.
    pub fn cpus(&self) -> &[Option<usize>] {
        &self.cpus
    }

    /// What all threads have done so far.
    pub fn totals(&self) -> Totals {
        self.meter().totals()
    }

    /// What tells the same from anywhere.
    pub fn meter(&self) -> Meter {
        Meter { workers: self.workers.clone(), streams: Arc::clone(&self.streams), secure: Arc::clone(&self.secure) }
    }

    /// Takes nothing new, answers what has arrived, waits up to `grace` for clients to take their answers, and ends all
    /// threads.
    pub fn stop(mut self, grace: Duration) -> Totals {
        self.end(grace);
        self.totals()
    }

    /// [`stop`](Self::stop), for `drop` too.
    fn end(&mut self, grace: Duration) {
        self.stop.ask(grace);
        self.listeners.clear();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// How often it is looked whether a socket is closed that is waited for.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
