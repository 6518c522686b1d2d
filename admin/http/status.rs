//! zonda's own API: what the server is made of, and what it holds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use schemars::JsonSchema;
use serde::Serialize;
use store::Store;

use super::call::{Call, Reply};
use super::error::ApiError;
use super::openapi::{Answer, Content, Operation};
use super::time;
use crate::insight::{Insight, Threads};

/// What the server is made of, and what it holds.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// Name and version.
    version: &'static str,
    /// System, compiler and commit.
    build: &'static str,
    /// When it began to serve.
    started: String,
    /// Seconds since then.
    uptime_seconds: u64,
    /// The addresses that are open.
    listeners: Vec<ListenerStatus>,
    /// How datagrams come in.
    io: Option<IoStatus>,
    /// The threads that answer them.
    workers: Vec<WorkerStatus>,
    /// The zones that are served.
    snapshot: SnapshotStatus,
    /// How far databases are loaded.
    loading: LoadingStatus,
    /// The databases.
    databases: Vec<DatabaseStatus>,
}

/// An address that is open.
#[derive(Serialize, JsonSchema)]
struct ListenerStatus {
    /// The address.
    address: SocketAddr,
}

/// How datagrams come in.
#[derive(Serialize, JsonSchema)]
struct IoStatus {
    /// `io_uring` or `recvmmsg`.
    way: &'static str,
    /// Why it is not io_uring.
    reason: Option<String>,
}

/// A thread that answers datagrams.
#[derive(Serialize, JsonSchema)]
struct WorkerStatus {
    /// The CPU that it is tied to; null where the system places it.
    cpu: Option<usize>,
    /// Datagrams taken.
    received: u64,
    /// Datagrams answered.
    answered: u64,
}

/// The zones that are served.
#[derive(Serialize, JsonSchema)]
struct SnapshotStatus {
    /// How many snapshots came before.
    generation: u64,
    /// Zones, of databases and files.
    zones: u64,
    /// Names in them.
    names: u64,
}

/// How far databases are loaded.
#[derive(Serialize, JsonSchema)]
struct LoadingStatus {
    /// Records that have been loaded.
    records_loaded: u64,
    /// Records that were to be loaded.
    records: u64,
    /// Whether nothing is left to be loaded.
    done: bool,
}

/// A database.
#[derive(Serialize, JsonSchema)]
struct DatabaseStatus {
    /// Its folder.
    folder: PathBuf,
    /// Octets of its file; null if it cannot be looked at.
    octets: Option<u64>,
}

/// What [`get`] does.
pub(super) const GET: Operation = Operation {
    errors: &[404],
    ..Operation::new("Show the state of the server", &[Answer::new(200, "The state.", &[Content::json::<Status>()])])
};

/// `GET /api/zonda/status`
pub(super) async fn get(call: Call) -> Result<Reply, ApiError> {
    let insight = call.site.insight.clone().ok_or_else(ApiError::not_found)?;
    // All zones are counted, and files are looked at.
    Reply::of(&call.site.blocking(move |_| status(&insight)).await?)
}

/// The state of now.
fn status(insight: &Insight) -> Status {
    let threads = insight.threads();
    let addresses = threads.iter().flat_map(|threads| &threads.addresses);
    let listeners = addresses.map(|address| ListenerStatus { address: *address });
    let snapshot = insight.hub.current();
    let (mut zones, mut names) = (0_u64, 0_u64);
    for zone in snapshot.zones() {
        zones += 1;
        names += zone.names() as u64;
    }
    let (records_loaded, records) = insight.loaded();
    let databases = insight.databases().into_iter().map(|folder| {
        let octets = Store::octets(&folder).ok();
        DatabaseStatus { folder, octets }
    });
    let started = insight.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    Status {
        version: crate::VERSION,
        build: crate::BUILD,
        started: time::to_text(started.as_millis() as u64),
        uptime_seconds: insight.begun.elapsed().as_secs(),
        listeners: listeners.collect(),
        io: threads
            .as_ref()
            .map(|threads| IoStatus { way: threads.way.way.name(), reason: threads.way.reason.clone() }),
        workers: threads.iter().flat_map(workers).collect(),
        snapshot: SnapshotStatus { generation: snapshot.generation(), zones, names },
        loading: LoadingStatus { records_loaded, records, done: records_loaded >= records },
        databases: databases.collect(),
    }
}

/// Those of them that are workers.
fn workers(threads: &Threads) -> Vec<WorkerStatus> {
    let totals = threads.meter.totals().workers;
    let workers = threads.cpus.iter().zip(totals);
    workers.map(|(cpu, done)| WorkerStatus { cpu: *cpu, received: done.received, answered: done.answered }).collect()
}
