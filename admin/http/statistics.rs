//! zonda's own API: what is asked and answered, once or each second.
//!
//! Datagrams and streams are always counted. Queries are counted in server blocks with the plugin `prometheus`, by
//! counters that are there for the metrics anyhow. Their names are looked at only while somebody asks for statistics.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use bytes::BytesMut;
use engine::net::{StreamTotals, WorkerTotals};
use engine::plugin::{Tally, top_names};
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Serialize;
use store::{Name, name};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::call::{Call, Reply};
use super::error::ApiError;
use super::openapi::{Answer, Content, Operation};
use super::time;
use crate::insight::Insight;

/// What was asked and answered since the start.
#[derive(Serialize, JsonSchema)]
struct Statistics {
    /// When this was written.
    time: String,
    /// Seconds since the start.
    uptime_seconds: u64,
    /// Datagrams.
    udp: Datagrams,
    /// Streams.
    tcp: Streams,
    /// Whether queries are counted: in server blocks with the plugin `prometheus`.
    counted: bool,
    /// All queries that are counted.
    queries: Queries,
    /// The zones of server blocks with the most queries.
    zones: Vec<ZoneQueries>,
    /// The names that are asked for most.
    names: Names,
}

/// What the workers did.
#[derive(Serialize, JsonSchema)]
struct Datagrams {
    /// Datagrams taken from the sockets.
    received: u64,
    /// Datagrams answered.
    answered: u64,
    /// Datagrams that got no answer on purpose.
    silent: u64,
    /// Answers that the kernel refused.
    dropped: u64,
    /// Times that every buffer of a worker was in use.
    overruns: u64,
    /// Errors of a receive call.
    errors: u64,
}

/// What the stream thread did.
#[derive(Serialize, JsonSchema)]
struct Streams {
    /// Connections taken.
    accepted: u64,
    /// Connections that are open.
    open: u64,
    /// Messages received.
    received: u64,
    /// Answers written.
    answered: u64,
    /// Connections that the server closed.
    closed: Closed,
}

/// Connections closed, by the reason.
#[derive(Serialize, JsonSchema)]
struct Closed {
    /// They were silent.
    idle: u64,
    /// A message took too long, or its answer was not taken.
    slow: u64,
    /// What they sent was no DNS.
    garbage: u64,
    /// There was no room for them.
    full: u64,
}

/// Queries by what they were and what became of them.
#[derive(Serialize, JsonSchema)]
struct Queries {
    /// All of them.
    total: u64,
    /// Those with the DO bit.
    dnssec_ok: u64,
    /// By transport.
    transports: BTreeMap<String, u64>,
    /// By address family.
    families: BTreeMap<String, u64>,
    /// By type.
    types: BTreeMap<String, u64>,
    /// By rcode.
    rcodes: BTreeMap<String, u64>,
    /// By the plugin that answered; empty for the server itself.
    plugins: BTreeMap<String, u64>,
    /// How long answers took.
    latency: Latency,
}

/// How many answers took how long.
#[derive(Serialize, JsonSchema)]
struct Latency {
    /// Upper bounds.
    bounds_seconds: Vec<f64>,
    /// Answers up to each bound and above the one before; one more for those above all.
    counts: Vec<u64>,
    /// The time of all answers.
    sum_seconds: f64,
}

/// The queries of a zone on a listener.
#[derive(Serialize, JsonSchema)]
struct ZoneQueries {
    /// The listener.
    server: String,
    /// The zone of the server block; `dropped` for queries that no block is for.
    zone: String,
    /// Queries.
    queries: u64,
    /// By rcode.
    rcodes: BTreeMap<String, u64>,
}

/// A sample of the names that are asked for, taken while somebody asks for statistics.
#[derive(Serialize, JsonSchema)]
struct Names {
    /// Names that were looked at.
    samples: u64,
    /// Those that came most often.
    top: Vec<TopName>,
}

/// A name that is asked for.
#[derive(Serialize, JsonSchema)]
struct TopName {
    /// The name.
    name: String,
    /// In how many samples it came, at most.
    samples: u64,
}

/// What [`get`] does.
pub(super) const GET: Operation = Operation {
    errors: &[404],
    ..Operation::new("Show statistics", &[Answer::new(200, "What was asked.", &[Content::json::<Statistics>()])])
};

/// What [`stream`] does.
pub(super) const STREAM: Operation = Operation {
    errors: &[404, 503],
    ..Operation::new(
        "Show statistics each second",
        &[Answer::new(
            200,
            "Events named `statistics`, whose data is what `/api/zonda/statistics` answers.",
            &[Content::text("text/event-stream")],
        )],
    )
};

/// `GET /api/zonda/statistics`
pub(super) async fn get(call: Call) -> Result<Reply, ApiError> {
    let insight = call.site.insight.as_ref().ok_or_else(ApiError::not_found)?;
    Reply::of(&statistics(insight))
}

/// `GET /api/zonda/statistics/stream`: the same each second, as server-sent events.
pub(super) async fn stream(call: Call) -> Result<Reply, ApiError> {
    let insight = call.site.insight.clone().ok_or_else(ApiError::not_found)?;
    let room = Arc::clone(&call.site.statistics_streams).try_acquire_owned();
    let Ok(room) = room else {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "There are too many streams already."));
    };
    let (to, events) = mpsc::channel(1);
    tokio::spawn(tell(insight, to, call.ending, room));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // A proxy that gathers octets would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok(Reply::Whole((headers, Body::new(Events(events))).into_response()))
}

/// Sends statistics each second until the client goes, the service ends, or the stream has been there for long enough. A
/// client that takes nothing misses some.
async fn tell(
    insight: Insight,
    to: mpsc::Sender<Bytes>,
    mut ending: super::server::Ending,
    room: OwnedSemaphorePermit,
) {
    let opened = Instant::now();
    let mut beat = interval(PERIOD);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while opened.elapsed() < LIFE_MAX {
        tokio::select! {
            () = to.closed() => break,
            () = ending.wait() => break,
            _ = beat.tick() => {}
        }
        // Numbers and texts are never refused.
        let data = serde_json::to_vec(&statistics(&insight)).unwrap_or_default();
        let mut event = BytesMut::from(&b"event: statistics\ndata: "[..]);
        event.extend_from_slice(&data);
        event.extend_from_slice(b"\n\n");
        tokio::select! {
            () = ending.wait() => break,
            sent = to.send(event.freeze()) => if sent.is_err() { break },
        }
    }
    drop(room);
}

/// The body that events make.
struct Events(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// The statistics of now.
fn statistics(insight: &Insight) -> Statistics {
    let (udp, tcp) = insight.totals();
    let server = insight.switch.current();
    let tallies: Vec<Tally> = server.counters().iter().map(|counters| counters.tally()).collect();
    let mut sum = Tally::default();
    tallies.iter().for_each(|tally| sum += tally);
    let counted = !tallies.is_empty();
    let mut zones: Vec<Tally> = tallies.into_iter().filter(|tally| tally.queries > 0).collect();
    zones.sort_by_key(|tally| std::cmp::Reverse(tally.queries));
    zones.truncate(ZONES_MAX);
    let tops = top_names();
    let top = tops.most_frequent(NAMES_MAX).into_iter().filter_map(|(name, samples)| {
        let name = Name::from_octets(Bytes::copy_from_slice(name)).ok()?;
        Some(TopName { name: name::to_text(&name), samples })
    });
    Statistics {
        time: time::to_text(time::now()),
        uptime_seconds: insight.begun.elapsed().as_secs(),
        udp: udp.into(),
        tcp: tcp.into(),
        counted,
        queries: sum.into(),
        zones: zones.into_iter().map(ZoneQueries::from).collect(),
        names: Names { samples: tops.samples, top: top.collect() },
    }
}

impl From<WorkerTotals> for Datagrams {
    fn from(udp: WorkerTotals) -> Self {
        let WorkerTotals { received, answered, silent, dropped, overruns, errors, .. } = udp;
        Self { received, answered, silent, dropped, overruns, errors }
    }
}

impl From<StreamTotals> for Streams {
    fn from(tcp: StreamTotals) -> Self {
        let StreamTotals { accepted, open, received, answered, .. } = tcp;
        let closed =
            Closed { idle: tcp.closed_idle, slow: tcp.closed_slow, garbage: tcp.closed_garbage, full: tcp.closed_full };
        Self { accepted, open, received, answered, closed }
    }
}

impl From<Tally> for Queries {
    fn from(tally: Tally) -> Self {
        Self {
            total: tally.queries,
            dnssec_ok: tally.dnssec_ok,
            transports: tally.transports,
            families: tally.families,
            types: tally.types,
            rcodes: tally.rcodes,
            plugins: tally.plugins,
            latency: Latency {
                bounds_seconds: Tally::DURATIONS_NANOS.map(|bound| bound as f64 / 1e9).to_vec(),
                counts: tally.durations,
                sum_seconds: tally.duration_nanos as f64 / 1e9,
            },
        }
    }
}

impl From<Tally> for ZoneQueries {
    fn from(Tally { server, zone, queries, rcodes, .. }: Tally) -> Self {
        Self { server, zone, queries, rcodes }
    }
}

/// Time between two events of a stream.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a stream may be there; a client opens it anew.
const LIFE_MAX: Duration = Duration::from_secs(3600);

/// Streams of one service at once.
pub(super) const STREAMS_MAX: usize = 16;

/// Zones that are listed, those with the most queries.
const ZONES_MAX: usize = 100;

/// Names that are listed.
const NAMES_MAX: usize = 50;
