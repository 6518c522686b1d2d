//! # health
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

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::corefile::{ConfigError, Directive, duration};
use super::endpoint::listen_address;
use super::{Endpoint, Plugin, Reply, Setup, Task};
use crate::metrics::{Histogram, Text};

/// Registers the endpoint; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        let listen = match &line.args[..] {
            [] => DEFAULT_LISTEN,
            [only] => &only.text,
            _ => return Err(line.wrong_argument_count()),
        };
        let listen = listen_address(listen).map_err(ConfigError::plain)?;
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
        services.endpoints.push(Endpoint { plugin: "health", listen, path: PATH, reply });
        if is_first {
            let probe = Arc::new(Probe { listen, durations: Histogram::new(&BUCKETS), failures: AtomicU64::new(0) });
            let text = Arc::clone(&probe);
            services.metrics.add(move |out| text.write(out));
            services.tasks.push(Task { every: EVERY, run: Box::new(move || probe.ask()) });
        }
    }
    Ok(None)
}

/// Asks the endpoint as a stranger would.
struct Probe {
    listen: SocketAddr,
    durations: Histogram,
    failures: AtomicU64,
}

impl Probe {
    /// Asks once and counts what came of it.
    fn ask(&self) {
        let begun = Instant::now();
        match self.is_healthy() {
            Ok(true) => self.durations.observe(begun.elapsed().as_secs_f64()),
            Ok(false) | Err(_) => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Whether the answer is 200.
    fn is_healthy(&self) -> io::Result<bool> {
        let ip = match self.listen.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, self.listen.port()), TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    }

    /// Writes the metrics.
    fn write(&self, out: &mut Text) {
        let name = "coredns_health_request_duration_seconds";
        self.durations.write(out, name, "How long the server's own requests for /health took.");
        let name = "coredns_health_request_failures_total";
        out.counter(
            name,
            "How many of the server's own requests for /health failed.",
            &[],
            self.failures.load(Ordering::Relaxed),
        );
    }
}

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
