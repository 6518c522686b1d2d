//! A server that is asked: how it is reached, whether it is there, and its open connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::counts::OfUpstream;
use super::exchange::{self, Connection, Fault};
use super::https::Https;
use super::tls::Tls;
use crate::plugin::later;
use crate::wire::{Query, Received};

/// A server to ask.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    speaks: Speaks,
    pub(super) settings: Arc<Settings>,
    pub(super) counts: Arc<OfUpstream>,
    /// Failures since it answered last.
    fails: AtomicU32,
    /// Somebody looks whether it is there again.
    is_looked_after: AtomicBool,
    idle: Arc<Mutex<Idle>>,
}

/// Connections without a query.
#[derive(Default)]
struct Idle {
    /// With the time of their last answer; the latest is last.
    connections: Vec<(Connection, Instant)>,
    /// Somebody closes those that are too old.
    is_swept: bool,
}

/// What an upstream is spoken to in.
pub(super) enum Speaks {
    /// UDP and TCP.
    Plain,
    Tls(Tls),
    Https(Https),
}

/// How the upstreams of one line are asked.
pub(super) struct Settings {
    pub(super) force_tcp: bool,
    pub(super) prefer_udp: bool,
    pub(super) expire: Duration,
    /// Idle connections; 0 for no limit.
    pub(super) idle_max: usize,
    pub(super) read_timeout: Duration,
    pub(super) source: Option<IpAddr>,
    pub(super) health_interval: Duration,
    /// The message that finds out whether an upstream is there, and its question.
    pub(super) health_query: (Vec<u8>, Query),
}

impl Upstream {
    /// One that is there.
    pub(super) fn new(address: SocketAddr, speaks: Speaks, settings: Arc<Settings>, counts: Arc<OfUpstream>) -> Self {
        let (fails, is_looked_after) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { address, speaks, settings, counts, fails, is_looked_after, idle: Arc::default() }
    }

    /// Whether it has failed more often than it may.
    pub(super) fn is_down(&self, max_fails: u32) -> bool {
        max_fails > 0 && self.fails.load(Ordering::Relaxed) > max_fails
    }

    /// Asks it what a client asked, for so long at most, and counts what comes of it.
    pub(super) async fn ask(
        &self,
        query: &Query,
        head: &[u8],
        is_stream: bool,
        patience: Duration,
    ) -> Result<Received, Fault> {
        let begun = Instant::now();
        let is_stream = self.settings.force_tcp || is_stream && !self.settings.prefer_udp;
        let asked = self.exchange(query, head, is_stream, patience).await;
        self.counts.count(asked.as_ref().ok().map(|received| received.rcode), begun.elapsed());
        asked
    }

    /// Asks over UDP, a stream or HTTPS. What is truncated over UDP is fetched over TCP; if that fails it is what there is.
    async fn exchange(
        &self,
        query: &Query,
        head: &[u8],
        is_stream: bool,
        patience: Duration,
    ) -> Result<Received, Fault> {
        let begun = Instant::now();
        let read_timeout = self.settings.read_timeout.min(patience);
        if let Speaks::Https(https) = &self.speaks {
            let connect = || exchange::connect(self.address, self.settings.source);
            return timeout(read_timeout, https.ask(query, head, connect)).await.unwrap_or(Err(TOO_LATE));
        }
        if !is_stream && matches!(self.speaks, Speaks::Plain) {
            let datagram = exchange::over_udp(self.address, self.settings.source, query, head);
            let received = timeout(read_timeout, datagram).await.unwrap_or(Err(TOO_LATE))?;
            if !received.is_truncated() {
                return Ok(received);
            }
            let left = patience.saturating_sub(begun.elapsed());
            let whole = timeout(left, self.over_stream(query, head)).await.unwrap_or(Err(TOO_LATE));
            return Ok(whole.unwrap_or(received));
        }
        timeout(patience, self.over_stream(query, head)).await.unwrap_or(Err(TOO_LATE))
    }

    /// Asks over a connection that is there, or else over a new one: the upstream may have closed those that were idle.
    async fn over_stream(&self, query: &Query, head: &[u8]) -> Result<Received, Fault> {
        let patience = self.settings.read_timeout;
        while let Some(mut connection) = self.take_idle() {
            let asked =
                timeout(patience, exchange::over_stream(&mut connection, query, head)).await.map_err(|_| TOO_LATE)?;
            if let Ok(received) = asked {
                self.counts.hits.fetch_add(1, Ordering::Relaxed);
                self.keep(connection);
                return Ok(received);
            }
        }
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
        let mut connection = timeout(patience, self.connect()).await.unwrap_or(Err(TOO_LATE))?;
        let asked = exchange::over_stream(&mut connection, query, head);
        let received = timeout(patience, asked).await.unwrap_or(Err(TOO_LATE))?;
        self.keep(connection);
        Ok(received)
    }

    /// Opens a connection.
    async fn connect(&self) -> Result<Connection, Fault> {
        let stream = exchange::connect(self.address, self.settings.source).await?;
        match &self.speaks {
            Speaks::Tls(tls) => Ok(Box::new(tls.connect(stream).await?)),
            _ => Ok(Box::new(stream)),
        }
    }

    /// The connection that was used last, if it is fresh enough.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let (connection, since) = idle.connections.pop()?;
        if since.elapsed() < self.settings.expire {
            return Some(connection);
        }
        // Those before it are older.
        idle.connections.clear();
        None
    }

    /// Keeps a connection for the next query, and lets go those that are too old, at once and when they come to be.
    fn keep(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        idle.let_go(self.settings.expire);
        if self.settings.idle_max > 0 && idle.connections.len() >= self.settings.idle_max {
            return;
        }
        idle.connections.push((connection, Instant::now()));
        if !idle.is_swept {
            idle.is_swept = true;
            later::spawn(sweep(Arc::downgrade(&self.idle), self.settings.expire));
        }
    }

    /// Looks at it again and again until it answers; once at a time, and not longer than it is in use.
    pub(super) fn look_after(self: &Arc<Self>) {
        if self.is_looked_after.swap(true, Ordering::Relaxed) {
            return;
        }
        let upstream = Arc::downgrade(self);
        later::spawn(async move {
            while let Some(upstream) = upstream.upgrade() {
                if upstream.is_there().await {
                    upstream.fails.store(0, Ordering::Relaxed);
                    upstream.is_looked_after.store(false, Ordering::Relaxed);
                    return;
                }
                upstream.fails.fetch_add(1, Ordering::Relaxed);
                upstream.counts.health_failures.fetch_add(1, Ordering::Relaxed);
                let interval = upstream.settings.health_interval;
                drop(upstream);
                sleep(interval).await;
            }
        });
    }

    /// Whether it answers, whatever it says.
    async fn is_there(&self) -> bool {
        let (head, query) = &self.settings.health_query;
        self.exchange(query, head, self.settings.force_tcp, HEALTH_PATIENCE).await.is_ok()
    }
}

impl Idle {
    /// Closes those that are too old.
    fn let_go(&mut self, expire: Duration) {
        let fresh = self.connections.partition_point(|(_, since)| since.elapsed() >= expire);
        self.connections.drain(..fresh);
    }

    /// The same; gives how long the oldest of the others may be kept, or None if nobody has to sweep any more.
    fn sweep(&mut self, expire: Duration) -> Option<Duration> {
        self.let_go(expire);
        let left = self.connections.first().map(|(_, since)| expire.saturating_sub(since.elapsed()));
        self.is_swept = left.is_some();
        left
    }
}

/// Closes connections when they are too old, until none is left, and not longer than their upstream is in use.
async fn sweep(idle: Weak<Mutex<Idle>>, expire: Duration) {
    let mut left = Some(expire);
    while let Some(pause) = left {
        sleep(pause).await;
        left = idle.upgrade().and_then(|idle| lock(&idle).sweep(expire));
    }
}

/// Idle connections for one who changes them.
fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long an upstream may take to show that it is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(1);

/// What went wrong when nothing came.
const TOO_LATE: Fault = "an upstream has not answered in time";
