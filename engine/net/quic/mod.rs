//! Connections over QUIC (RFC 9000), and what is spoken on them: DNS itself (`doq.rs`), or HTTP/3 (`http3.rs`).
//!
//! A listener is an [`Endpoint`] of quinn over one UDP socket, on the thread of the encrypted transports. [`accept`] takes
//! its connections and keeps them in bounds, which [`Peers`] counts for all endpoints, and apart from the connections over
//! TCP: those who forge an address drive out none of these. A connection is counted from the beginning of its handshake;
//! what is oldest among those without a query under way gives way. Where another would have to, and where many handshakes
//! are under way, clients first have to show that their address is theirs (RFC 9000 §8.1.2), which costs nothing here: only
//! then are they counted against it.
//!
//! A connection is one task, and each of its streams another, which ends with it (`streams.rs`). What they hold is bounded
//! with what the connections over TCP hold (`StreamLimits::buffers_bytes_max`). A way to speak is a [`Speech`], and has its
//! row in [`listen`].

mod answers;
mod carrier;
mod doq;
mod http3;
mod peers;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

pub(super) use doq::message_of;
pub(super) use peers::Peers;

use self::doq::Doq;
use self::http3::Http3;
use self::peers::Seat;
use self::streams::Speech;
use super::stream::{Listening, Shared};
use super::{Arrival, Responders};
use crate::plugin::caps::QUIC_STREAMS_MAX;
use crate::plugin::corefile::Scheme;

/// Begins to serve a listener, until it is closed ([`Peers::close`]).
pub(super) fn listen<S: 'static, F: Responders>(
    listening: Listening,
    shared: &Rc<Shared<S, F>>,
) -> io::Result<JoinHandle<()>> {
    match listening.scheme {
        Scheme::Https3 => listen_for::<Http3, S, F>(listening, shared),
        _ => listen_for::<Doq, S, F>(listening, shared),
    }
}

/// The same for those who speak so.
fn listen_for<P: Speech, S: 'static, F: Responders>(
    listening: Listening,
    shared: &Rc<Shared<S, F>>,
) -> io::Result<JoinHandle<()>> {
    let Listening { number, scheme, socket, local } = listening;
    let crypto = crypto(number, shared).ok_or_else(|| io::Error::other("QUIC needs a certificate, and TLS 1.3"))?;
    // The keys of address validation and of stateless resets are made here, by chance, and are nowhere else.
    let mut config = ServerConfig::with_crypto(crypto);
    config
        // A query comes from the address that was validated, for acl as for the cap on connections of a source.
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES);
    let (endpoint_config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
    let endpoint = Endpoint::new(endpoint_config, Some(config.clone()), socket.into(), runtime)?;
    let task = spawn_local(accept::<P, S, F>(endpoint.clone(), config, number, scheme, local, Rc::clone(shared)));
    shared.quic.open(number, P::CODES, endpoint, task.abort_handle());
    Ok(task)
}

/// What the next connection of a listener is encrypted with; the scheme stands in its ALPN list. Early data stays off
/// (RFC 9250 §4.5), as rustls has it unless asked. None without TLS 1.3 or the algorithm that every connection begins with.
fn crypto<S, F: Responders>(listener: usize, shared: &Shared<S, F>) -> Option<Arc<QuicServerConfig>> {
    let tls = shared.tls(listener)?;
    Some(Arc::new(QuicServerConfig::try_from(tls).ok()?))
}

/// What a connection may hold on its way to us and from us, and when its client counts as gone.
fn transport(idle: Duration, streams_max: u32, one_way_max: u8) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(streams_max.into())
        .max_concurrent_uni_streams(one_way_max.into())
        .stream_receive_window(MESSAGE_BYTES.into())
        .receive_window(MESSAGE_BYTES.into())
        .send_window(SEND_BYTES)
        .datagram_receive_buffer_size(None)
        // Who is there has been closed before, with a word.
        .max_idle_timeout(IdleTimeout::try_from(idle.saturating_add(GONE_AFTER)).ok());
    transport
}

/// Takes the connections of one listener, for ever.
async fn accept<P: Speech, S: 'static, F: Responders>(
    endpoint: Endpoint,
    mut config: ServerConfig,
    listener: usize,
    scheme: Scheme,
    bound: SocketAddr,
    shared: Rc<Shared<S, F>>,
) {
    while let Some(incoming) = endpoint.accept().await {
        let (client, listener_max) = (incoming.remote_address(), shared.caps(listener).connections_max);
        let is_shown = incoming.remote_address_validated();
        if !is_shown && !shared.quic.has_room(client.ip(), listener, listener_max) {
            // It may come with a token already, then it is validated or no use.
            let _ = incoming.retry();
            continue;
        }
        shared.counters.accepted.add(1);
        let Ok((seat, evicted)) = Peers::admit(&shared.quic, client.ip(), listener, listener_max, P::CODES) else {
            shared.counters.closed_full.add(1);
            incoming.refuse();
            continue;
        };
        shared.counters.closed_full.add(evicted as u64);
        // Both may be others since the last connection. A certificate that has gone is no reason to go without.
        if let Some(crypto) = crypto(listener, &shared) {
            config.crypto = crypto;
        }
        let streams_max = shared.caps(listener).streams_max.unwrap_or(QUIC_STREAMS_MAX);
        config.transport_config(Arc::new(transport(shared.times(listener).idle, streams_max, P::ONE_WAY_MAX)));
        shared.count_open();
        let local = incoming.local_ip().map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
        let arrival = Arrival { client, local, transport: scheme.transport(), listener, idle: None };
        let (config, shared) = (Arc::new(config.clone()), Rc::clone(&shared));
        spawn_local(async move {
            serve::<P, S, F>(incoming, config, arrival, &seat, &shared).await;
            drop(seat);
            shared.count_open();
        });
    }
}

/// Has a connection made, and serves it until either side has had enough.
async fn serve<P: Speech, S: 'static, F: Responders>(
    incoming: Incoming,
    config: Arc<ServerConfig>,
    arrival: Arrival,
    seat: &Seat,
    shared: &Rc<Shared<S, F>>,
) {
    let made = async {
        let connection = incoming.accept_with(config).ok()?.await.ok()?;
        Some((P::begin(&connection, &shared.buffers).await?, connection))
    };
    let (speech, connection) = tokio::select! {
        made = timeout(HANDSHAKE, made) => match made {
            Ok(Some(made)) => made,
            Ok(None) => return shared.counters.closed_garbage.add(1),
            Err(_) => return shared.counters.closed_slow.add(1),
        },
        () = seat.told() => return,
    };
    seat.made(&connection);
    streams::serve(speech, &connection, &arrival, seat, shared).await;
}

/// A handshake has to be complete within this time: a few round trips, and a packet that is lost.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a stream, and a connection, may bring before it is read: a message with its length.
const MESSAGE_BYTES: u32 = 2 + 65_535;

/// Octets of answers of one connection that may be on their way.
const SEND_BYTES: u64 = 4 * 65_536;

/// First packets that wait to be looked at: the thread takes them in turns, never for long.
const INCOMING_MAX: usize = 1024;

/// What clients may send behind their first packets before these are looked at, all together.
const INCOMING_BYTES: u64 = 4 << 20;

/// So long after the time for connections without a query, a client that has not been heard of is gone.
const GONE_AFTER: Duration = Duration::from_secs(20);
