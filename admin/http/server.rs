//! Accepts connections, serves HTTP/1.1 on them, and stops gently.

use std::io;
use std::net;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::guests::{Guest, Guests};
use super::routes::Peer;
use engine::log;

/// The listeners at work.
pub(crate) struct Server {
    /// Tells connections to end.
    stop: watch::Sender<bool>,
    /// The listeners.
    listeners: Vec<JoinHandle<()>>,
    /// Whole again when all connections have ended.
    room: Arc<Semaphore>,
}

/// The service of one connection before it knows its peer.
type Routes = TowerToHyperService<axum::Router>;

/// Tells those who answer without end when the service ends; set for each connection.
#[derive(Clone)]
pub(crate) struct Ending(watch::Receiver<bool>);

impl Ending {
    /// For a call over no connection of the server: it has ended.
    pub(crate) fn ended() -> Self {
        Self(watch::channel(false).1)
    }

    /// Returns when the service ends.
    pub(crate) async fn wait(&mut self) {
        // An error means that the server is gone, too.
        let _ = self.0.wait_for(|is_ending| *is_ending).await;
    }
}

impl Server {
    /// Begins to accept, over TLS if there is an acceptor. Has to be called inside a runtime.
    pub(crate) fn start(
        sockets: impl Iterator<Item = net::TcpListener>,
        router: axum::Router,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let guests = Guests::default();
        let routes = TowerToHyperService::new(router);
        let listeners = sockets.map(|socket| {
            let listener = Listener {
                socket: TcpListener::from_std(socket)?,
                room: Arc::clone(&room),
                guests: guests.clone(),
                routes: routes.clone(),
                tls: tls.clone(),
                stopped: stopped.clone(),
            };
            Ok(tokio::spawn(listener.run()))
        });
        let listeners = listeners.collect::<io::Result<_>>()?;
        Ok(Self { stop, listeners, room })
    }

    /// Accepts no more; back when others may listen where it did.
    pub(crate) async fn close_door(&mut self) {
        for listener in self.listeners.drain(..) {
            listener.abort();
            let _ = listener.await;
        }
    }

    /// Accepts no more, and waits at most `grace` for the requests under way.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.close_door().await;
        let _ = self.stop.send(true);
        let _ = timeout(grace, self.room.acquire_many(CONNECTIONS_MAX as u32)).await;
    }
}

/// One listening socket.
struct Listener {
    socket: TcpListener,
    /// Room for connections, shared by all listeners.
    room: Arc<Semaphore>,
    guests: Guests,
    routes: Routes,
    tls: Option<TlsAcceptor>,
    stopped: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts for ever.
    async fn run(self) {
        let (mut is_failing, mut told) = (false, None);
        loop {
            let Some(room) = self.room(&mut told).await else { return };
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    is_failing = false;
                    self.serve(stream, Peer(peer), room);
                }
                Err(why) if is_about_one_client(&why) => {}
                Err(why) => {
                    // Too many open files, most likely: say so once, and do not spin.
                    if !std::mem::replace(&mut is_failing, true) {
                        log::error(&format!("HTTP service: cannot accept connections: {why}"));
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Room for one more connection; who has been silent for longest gives way if there is none. `told` is when the log was
    /// last told that nobody is silent.
    async fn room(&self, told: &mut Option<Instant>) -> Option<OwnedSemaphorePermit> {
        loop {
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(room) => return Some(room),
                Err(TryAcquireError::Closed) => return None,
                Err(TryAcquireError::NoPermits) => {}
            }
            if !self.guests.dismiss() && told.is_none_or(|told| told.elapsed() > FULL_PAUSE) {
                log::warning(&format!("HTTP service: all {CONNECTIONS_MAX} connections are busy; others wait"));
                *told = Some(Instant::now());
            }
            if let Ok(room) = timeout(ROOM_CHECK, Arc::clone(&self.room).acquire_owned()).await {
                return room.ok();
            }
        }
    }

    /// Serves one connection on a task of its own.
    fn serve(&self, stream: TcpStream, peer: Peer, room: OwnedSemaphorePermit) {
        // Without it answers only come later.
        let _ = stream.set_nodelay(true);
        let (routes, ending) = (self.routes.clone(), Ending(self.stopped.clone()));
        let Some(guest) = self.guests.admit(peer.0.ip()) else { return };
        let asking = Arc::clone(&guest);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(ending.clone());
            let busy = asking.begin();
            let answer = routes.call(request.map(Body::new));
            async move { answer.await.map(|answer| answer.map(|body| busy.around(body))) }
        });
        let (tls, mut stopped) = (self.tls.clone(), self.stopped.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, service, stopped, &guest).await,
                Some(tls) => {
                    // A client that speaks no TLS, or not in time, is its own affair.
                    let greeted = tokio::select! {
                        greeted = timeout(HEADER_TIME, tls.accept(stream)) => greeted.ok().and_then(Result::ok),
                        _ = stopped.changed() => None,
                        () = guest.wait() => None,
                    };
                    if let Some(stream) = greeted {
                        converse(stream, service, stopped, &guest).await;
                    }
                }
            }
            drop(room);
        });
    }
}

/// Answers the requests of a connection until its client goes or has to, or the one under way when the service stops.
async fn converse<S, A>(stream: S, service: A, mut stopped: watch::Receiver<bool>, guest: &Guest)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: HttpService<Incoming, ResBody = Body>,
    A::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEADER_OCTETS_MAX)
        .max_buf_size(BUFFER_OCTETS_MAX)
        .serve_connection(TokioIo::new(Connection::new(stream)), service);
    let mut connection = pin!(connection);
    // A client that goes away or sends no HTTP is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        () = guest.wait() => {
            connection.as_mut().graceful_shutdown();
            // A request that has come meanwhile is answered; the beginning of one is none.
            if timeout(LEAVE_TIME, connection.as_mut()).await.is_err() && guest.is_busy() {
                let _ = connection.await;
            }
        }
    }
}

/// Whether accepting failed for a client that has gone again.
fn is_about_one_client(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}

/// Connections at once; where all of them are busy, more wait in the system's queue.
const CONNECTIONS_MAX: usize = 512;

/// How long the headers of a request may take, and a connection may wait for the next request.
const HEADER_TIME: Duration = Duration::from_secs(15);

/// Headers of one request; more get 431.
const HEADERS_MAX: usize = 100;

/// Octets of a request's line and headers; more get 431.
const HEADER_OCTETS_MAX: usize = 32 * 1024;

/// Octets of a connection's buffer; has to hold the headers.
const BUFFER_OCTETS_MAX: usize = 64 * 1024;

/// How long a connection that is asked to leave may take to do so.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// How often is looked whether a connection has fallen silent.
const ROOM_CHECK: Duration = Duration::from_millis(50);

/// The least time between two lines about busy connections.
const FULL_PAUSE: Duration = Duration::from_secs(60);

/// The pause after accepting has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
