//! # prometheus
//!
//! ## Name
//! *prometheus* - serves metrics over HTTP.
//!
//! ## Description
//! Serves metrics over HTTP at `/metrics`, under the names that dashboards made for CoreDNS expect. Queries of the server
//! blocks with this plugin are counted, by each worker for itself; a scrape adds the numbers up. The sets of labels are
//! bounded by the configuration, whatever is asked. The same counters are behind `GET /api/zonda/statistics` of the
//! plugin `pocketbase`, which also tells the names that are asked for most; these are sampled, and only while somebody
//! asks for them.
//!
//! ## Syntax
//! ```corefile
//! prometheus [ADDRESS] {
//!     runtime_metrics
//!     tls FILE
//! }
//! ```
//! * **ADDRESS** is where it listens, `localhost:9153` by default. Blocks may name the same one.
//! * `runtime_metrics` is accepted for compatibility: those of the process are always there.
//! * `tls` serves them over TLS. **FILE** is a web configuration as exporters of Prometheus have it, of which
//!   `tls_server_config` with `cert_file` and `key_file` is understood, and anything else is an error; a relative path is
//!   below `root`, those in the file are relative to its folder. A renewed certificate is taken up by itself. All that is
//!   served on the same address is served over TLS.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     prometheus 127.0.0.1:9253
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! Labels: **server** is `dns://ADDRESS:PORT`; **zone** is the zone of the server block, `dropped` for queries that no
//! block is for; **view** is empty; **proto** is `udp` or `tcp`; **family** is 1 for IPv4 and 2 for IPv6; **type** is one
//! of the common types or `other`; **plugin** is what wrote the answer, empty for the server itself.
//! * `coredns_build_info`: version, revision, goversion
//! * `coredns_dns_requests_total`: server, zone, view, proto, family, type
//! * `coredns_dns_responses_total`: server, zone, view, rcode, plugin
//! * `coredns_dns_do_requests_total`: server, zone, view
//! * `coredns_dns_request_duration_seconds`: server, zone, view
//! * `coredns_dns_request_size_bytes`, `coredns_dns_response_size_bytes`: server, zone, view, proto
//! * `coredns_dns_https_responses_total`, `coredns_dns_https3_responses_total`: server, status
//! * `coredns_dns_quic_responses_total`: server, status, which is the code that a stream ended with (RFC 9250 §4.3)
//! * `coredns_panics_total`
//! * `coredns_plugin_enabled`: server, zone, view, name
//! * `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`,
//!   `process_max_fds`, `process_start_time_seconds`
//! * `zonda_udp_received_total`, `zonda_udp_answered_total`, `zonda_udp_silent_total`: datagrams taken, answered, and left
//!   without an answer on purpose
//! * `zonda_udp_later_total`: datagrams whose answers were waited for; `zonda_udp_dropped_total`: answers that the kernel
//!   refused; `zonda_udp_overruns_total`: times that every buffer of a worker was in use; `zonda_udp_errors_total`: errors
//!   of a receive call
//! * `zonda_tcp_accepted_total`, `zonda_tcp_connections`: connections taken, and open; `zonda_tcp_received_total`,
//!   `zonda_tcp_answered_total`: messages received and answered
//! * `zonda_secure_accepted_total`, `zonda_secure_connections`, `zonda_secure_received_total`,
//!   `zonda_secure_answered_total`, `zonda_secure_closed_total`: the same of all encrypted transports
//! * `zonda_tcp_closed_total`: reason; connections closed by the server because they were `idle`, `slow`, sent `garbage` or
//!   were in the way of others (`full`)
//! * `zonda_later_total`, `zonda_later_waiting`, `zonda_later_refused_total`: queries that wait for an answer
//! * `zonda_log_lines_dropped_total`: lines that the log could not take
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `health`, `ready`, `log`.
//!
//! ## Bugs
//! `view` is always empty, as there is no plugin `view` yet. Metrics of Go's run time (`go_*`) have no meaning here and
//! are absent.

mod counters;
mod names;
mod process;
mod statuses;
mod web;

pub use counters::{Counters, Tally};
pub use names::Tops;
pub use statuses::Statuses;

use std::sync::Arc;

use super::corefile::{ConfigError, Directive};
use super::endpoint::listen;
use super::{Context, Endpoint, Flow, Plugin, Reply, Setup};
use crate::wire::{Query, Response};

/// The names that were asked for most often of late, of the server blocks with this plugin. They are sampled from the
/// first call on, as many between two calls as each thread can keep.
pub fn top_names() -> Tops {
    names::Names::look()
}

/// The plugin. The counters belong to the zone of a listener, hence come with the query.
struct Prometheus;

/// Registers the endpoint.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    let listen = listen(line, DEFAULT_LISTEN)?;
    let mut tls = None;
    for property in line.properties() {
        match &property.name.text[..] {
            "runtime_metrics" => property.no_arguments()?,
            "tls" if tls.is_none() => {
                let file = property.one_argument()?;
                tls = Some(web::read(&setup.path(&file.text)).map_err(|why| file.error(why))?);
            }
            "tls" => return Err(property.error("tls is given twice")),
            _ => return Err(property.unknown_property()),
        }
    }
    let services = &mut *setup.services;
    if services.endpoints.iter().all(|other| other.path != PATH) {
        services.metrics.add(process::write);
    }
    let metrics = Arc::clone(&services.metrics);
    let reply = Box::new(move || Reply { status: 200, content_type: CONTENT_TYPE, body: metrics.text() });
    services.endpoints.push(Endpoint { plugin: NAME, listen, tls, path: PATH, reply });
    Ok(Some(Box::new(Prometheus)))
}

impl Plugin for Prometheus {
    fn name(&self) -> &'static str {
        NAME
    }

    fn watches(&self) -> bool {
        true
    }

    fn wants_time(&self) -> bool {
        true
    }

    #[inline]
    fn query(&self, _: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    #[inline]
    fn response(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        if let Some(counters) = context.counters {
            counters.count(query, response, context.arrival, context.started, context.answered);
        }
    }
}

/// The plugin's name: a server block that has it is counted.
pub(super) const NAME: &str = "prometheus";

/// Where it listens if the Corefile does not say.
const DEFAULT_LISTEN: &str = "localhost:9153";

/// The only path.
const PATH: &str = "/metrics";

/// The exposition format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
