//! Starting the threads, watching them, stopping them.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::counters::{StreamCounters, Totals, WorkerCounters};
use super::options::{Options, WayIn};
use super::socket::{self, Endpoint};
use super::stop::Stop;
use super::ways::{self, Chosen};
use super::{Listener, NetError, Responders, stream, worker};

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
    /// The listeners' addresses with their ports.
    local: Vec<SocketAddr>,
    /// The way in.
    io: WayIn,
    /// The CPU of each worker that is tied to one.
    cpus: Vec<Option<usize>>,
    /// What has ended a thread before its time.
    failures: Mutex<Receiver<Result<(), NetError>>>,
}

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

    let mut endpoints: Vec<Vec<Endpoint>> = (0..count).map(|_| Vec::new()).collect();
    let mut streams = Vec::new();
    let mut local = Vec::new();
    for index in 0..listeners.len() {
        let opened = socket::open(index, listeners, count, options.streams.write)?;
        for (of_worker, endpoint) in endpoints.iter_mut().zip(opened.udp) {
            of_worker.push(endpoint);
        }
        streams.push((opened.tcp, opened.local));
        local.push(opened.local);
    }

    let (sender, reports) = channel();
    let mut running = Running {
        threads: Vec::new(),
        stop,
        workers: (0..count).map(|_| Arc::default()).collect(),
        streams: Arc::default(),
        local,
        io,
        cpus: (0..count).map(|index| pinned.then(|| cpus[index % cpus.len()])).collect(),
        failures: Mutex::new(reports),
    };
    let responders = Arc::new(responders);
    for (index, endpoints) in endpoints.into_iter().enumerate() {
        let (responders, stop) = (Arc::clone(&responders), Arc::clone(&running.stop));
        let counters = Arc::clone(&running.workers[index]);
        let cpu = running.cpus[index];
        running.spawn(format!("udp-{index}"), sender.clone(), move |ready| {
            if let Some(cpu) = cpu {
                worker::pin(cpu);
            }
            ways::run(chosen, endpoints, &*responders, &counters, &stop, ready)
        })?;
    }
    let (stop, counters) = (Arc::clone(&running.stop), Arc::clone(&running.streams));
    let limits = options.streams.clone();
    running.spawn("streams".into(), sender.clone(), move |ready| match chosen {
        Chosen::Ring(_) => stream::run_ring(streams, responders, limits, counters, &stop, ready),
        Chosen::Mmsg => stream::run_poll(streams, responders, limits, counters, &stop, ready),
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
}

impl Meter {
    /// What all threads have done so far.
    pub fn totals(&self) -> Totals {
        Totals { workers: self.workers.iter().map(|counters| counters.read()).collect(), streams: self.streams.read() }
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
            if let Err(source) = work(ready) {
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

    /// What has ended a thread before its time, if anything has since it was last asked. It means that the kernel no
    /// longer does what it did at the start; the other threads go on.
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
        Meter { workers: self.workers.clone(), streams: Arc::clone(&self.streams) }
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
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
