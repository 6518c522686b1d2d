//! The encrypted transports: what is spoken on their connections, each in its file.
//!
//! They share a thread, beside those of UDP and TCP, and take connections as TCP does (`stream.rs`): the same caps, the
//! oldest idle one giving way, the same times. A connection counts as idle while it is greeted. Messages are answered by
//! `Shared::answer`, as those of TCP are, or by `Shared::exchange` where each comes alone. What comes over QUIC has a room
//! of its own (`net/quic/`).
//!
//! How TLS is spoken is asked of the responder for each connection, so a new configuration, or a renewed certificate,
//! counts for the next one.

mod channel;
pub(super) mod grpc;
mod https;

use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::http::{self, Dialect};
use super::registry::Id;
use super::stream::{self, Listening, SharedOf, Speaker};
use super::transport::Stream;
use super::{Arrival, Responders, connection, quic};
use crate::plugin::corefile::Scheme;
use channel::{Channel, Socket};

/// What speaks the encrypted transports.
pub(super) struct Secure;

impl Speaker for Secure {
    const NAME: &'static str = "encrypted";
    type Acceptor = TcpListener;

    fn listen<F: Responders>(listening: Listening, shared: &SharedOf<Self, F>) -> io::Result<JoinHandle<()>> {
        match listening.scheme {
            Scheme::Quic | Scheme::Https3 => quic::listen(listening, shared),
            _ => stream::listen::<Self, F>(listening, shared),
        }
    }

    async fn serve<F: Responders>(
        scheme: Scheme,
        id: Id,
        stream: Rc<TcpStream>,
        arrival: Arrival,
        shared: &SharedOf<Self, F>,
    ) {
        let greeted = match shared.tls(arrival.listener) {
            None => None,
            Some(config) => match greet(config, &stream).await {
                Some(greeted) => Some(greeted),
                None => return shared.counters.closed_garbage.add(1),
            },
        };
        match (scheme, greeted) {
            (Scheme::Tls, Some(greeted)) => {
                let channel = Channel::new(greeted, stream);
                connection::serve(id, &channel, arrival, shared).await;
                channel.close();
            }
            (Scheme::Https, greeted) => over_http(id, greeted, stream, &http::DIALECT, arrival, shared).await,
            (Scheme::Grpc, greeted) => over_http(id, greeted, stream, &grpc::DIALECT, arrival, shared).await,
            _ => {}
        }
    }
}

/// Serves a connection over HTTP, with TLS around it or in clear text.
async fn over_http<F: Responders>(
    id: Id,
    greeted: Option<TlsStream<Socket>>,
    stream: Rc<TcpStream>,
    dialect: &'static Dialect,
    arrival: Arrival,
    shared: &SharedOf<Secure, F>,
) {
    match greeted {
        Some(greeted) => https::serve(id, greeted, dialect, arrival, shared).await,
        None => https::serve(id, Socket::clear(Rc::clone(&stream)), dialect, arrival, shared).await,
    }
    timeout(FAREWELL, part(&stream)).await.ok();
}

/// Agrees with a client on the secrets of a connection; None if it does not, or not in time.
async fn greet(config: Arc<ServerConfig>, stream: &Rc<TcpStream>) -> Option<TlsStream<Socket>> {
    let greeting = TlsAcceptor::from(config).accept(Socket::new(Rc::clone(stream)));
    timeout(GREETING, greeting).await.ok()?.ok().map(channel::greeted)
}

/// Closes a connection whose client may still be sending, such as a body that is not wanted. Were its octets left unread,
/// the kernel would take back what has been said last (RFC 9112 §9.6).
async fn part(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write);
    let (mut ignored, mut count) = ([0; 4096], 0);
    while count < PARTING_MAX && stream.readable().await.is_ok() {
        match stream.try_read(&mut ignored) {
            Ok(0) => return,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// How long a client may take to go when its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Octets that are taken from it meanwhile.
const PARTING_MAX: usize = 1 << 18;

/// How long a handshake may take: a few round trips, and a packet that is lost.
const GREETING: Duration = Duration::from_secs(5);
