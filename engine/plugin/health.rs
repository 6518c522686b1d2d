//! # health
//!
//! ## Name
//! *health* - says over HTTP that the process lives.
//!
//! ## Description
//! Tells over HTTP that the process lives: `/health` answers 200 and `OK`, from before the zones are loaded to the very
//! end. It is process-wide; one server block is enough.
//!
//! ## Syntax
//! ```corefile
//! health [ADDRESS] {
//!     lameduck DURATION
//! }
//! ```
//! * **ADDRESS** is where it listens, `:8080` by default.
//! * `lameduck` delays the stop after TERM or INT for **DURATION**: queries and `/health` are answered as before, while
//!   `/ready` already says 503. 0 by default. Of several the longest counts.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     health 127.0.0.1:8091 {
//!         lameduck 1s
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! The server asks its own `/health` once a second.
//! * `coredns_health_request_duration_seconds`: how long that took.
//! * `coredns_health_request_failures_total`: how often it failed.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `ready`, `prometheus`.
//!
//! ## Bugs
//! None are known. The metrics are those of the first line, as the state is that of the process.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::corefile::{ConfigError, Directive, duration};
use super::endpoint::listen;
use super::{Endpoint, Plugin, Reply, Setup, Task};
use crate::metrics::{Histogram, Text};

/// Registers the endpoint; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        let listen = listen(line, DEFAULT_LISTEN)?;
        for property in line.properties() {
            match &property.name.text[..] {
                "lameduck" => {
                    let lameduck = duration(property.one_argument()?)?;
                    setup.services.lameduck = setup.services.lameduck.max(lameduck);
                }
                _ => return Err(property.unknown_property()),
            }
        }
        let services = &mut *setup.services;
        let is_first = services.endpoints.iter().all(|other| other.path != PATH);
        let reply = Box::new(|| Reply::text(200, "OK"));
        services.endpoints.push(Endpoint { plugin: "health", listen, tls: None, path: PATH, reply });
        if is_first {
            services.metrics.add(write);
            services.tasks.push(Task { every: EVERY, run: Box::new(move || ask(listen)) });
        }
    }
    Ok(None)
}

/// Asks the endpoint once, as a stranger would, and counts what came of it.
fn ask(listen: SocketAddr) {
    let begun = Instant::now();
    match is_healthy(listen) {
        Ok(true) => DURATIONS.observe(begun.elapsed().as_secs_f64()),
        Ok(false) | Err(_) => drop(FAILURES.fetch_add(1, Ordering::Relaxed)),
    }
}

/// Whether the answer is 200.
fn is_healthy(listen: SocketAddr) -> io::Result<bool> {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, listen.port()), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(&status == b"HTTP/1.1 200")
}

/// Writes the metrics.
fn write(text: &mut Text) {
    let name = "coredns_health_request_duration_seconds";
    DURATIONS.write(text, name, "How long the server's own requests for /health took.", &[]);
    let name = "coredns_health_request_failures_total";
    let failures = FAILURES.load(Ordering::Relaxed);
    text.counter(name, "How many of the server's own requests for /health failed.", &[], failures);
}

/// How long the requests took; process-wide, as the plugin is.
static DURATIONS: LazyLock<Histogram> = LazyLock::new(|| Histogram::new(&BUCKETS));

/// How many failed.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// Where it listens if the Corefile does not say.
const DEFAULT_LISTEN: &str = ":8080";

/// The only path.
const PATH: &str = "/health";

/// How often the server asks itself.
const EVERY: Duration = Duration::from_secs(1);

/// How long it waits for itself.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 5] = [0.00025, 0.0025, 0.025, 0.25, 2.5];
