//! # forward
//!
//! ## Name
//! *forward* - asks other servers and passes their answers on.
//!
//! ## Description
//! Asks other servers and passes their answers on. An upstream is asked over UDP if the client came over UDP, else over TCP;
//! an answer that was truncated is fetched again over TCP. Each exchange over UDP has a socket of its own, hence a port that
//! the kernel chose by chance, and an id from a secure source; an answer counts if it comes from the address that was asked,
//! has the id and the question, and can be read to its end. Anything else is ignored and the answer waited for. Only then
//! the client gets it: with the id and the case of its own question, fitted to the size that it takes, without the OPT
//! record of the exchange with the upstream. EDNS options of the client, such as its subnet, are not sent on, and neither are
//! zone transfers, which get NOTIMP.
//!
//! An upstream that fails is looked at every half second until it answers again, whatever it answers; while it has failed
//! more than twice it is not asked. When all are down, one of them is asked all the same, by chance. A query is tried with
//! every upstream in turn, up to two times and for five seconds, then the answer is SERVFAIL.
//!
//! ## Syntax
//! ```corefile
//! forward FROM TO... {
//!     except NAMES...
//!     force_tcp
//!     prefer_udp
//!     expire DURATION
//!     max_idle_conns N
//!     read_timeout DURATION
//!     doh_method GET|POST
//!     tls [CERT KEY] [CA]
//!     tls_servername NAME
//!     max_fails N
//!     max_connect_attempts N
//!     policy random|round_robin|sequential
//!     health_check DURATION [no_rec] [domain NAME]
//!     max_concurrent N
//!     next RCODES...
//!     next_on_nodata
//!     failfast_all_unhealthy_upstreams
//!     failover RCODES...
//!     source_address ADDRESS
//!     resolver ADDRESSES...
//! }
//! ```
//! * **FROM** is the zone whose names are asked for elsewhere. Of several `forward` lines in one block the first that is
//!   for a name takes it.
//! * **TO** are up to 15 upstreams: an address with or without a port, with or without `dns://`; a file in the form of
//!   `resolv.conf`, which stands for its name servers; or the name of a host, which is looked up at start. With `tls://` in
//!   front of an address or a host it is spoken to over TLS alone (RFC 7858); `tls://ADDRESS%NAME` says whose certificate
//!   it has to show. `https://HOST`, with or without a port and a path (`/dns-query`), is spoken to over HTTP/2
//!   (RFC 8484). UDP and TCP are never used instead of either.
//! * `except` are names that are left to others, with everything below them.
//! * `force_tcp` asks over TCP always; `prefer_udp` asks over UDP even if the client came over TCP.
//! * `expire` is how long a TCP connection to an upstream is kept for the next query, then it is closed; `10s` by default.
//! * `max_idle_conns` is how many of them are kept for each upstream; without it, or with 0, all.
//! * `read_timeout` is how long one exchange with an upstream may take; `2s` by default. Where there are several upstreams,
//!   it takes two and a half seconds at most, so that the next one is tried.
//! * `doh_method` is the method of requests over HTTPS, `POST` by default.
//! * `tls` names files in PEM form: a certificate and its key to show to upstreams that ask for one, and the certificates of
//!   those who vouch for upstreams, else those of the system.
//! * `tls_servername` is whose certificate upstreams have to show that name nobody themselves; without it the certificate
//!   has to be for the address.
//! * `max_fails` is how many failures an upstream may have before it counts as down; 2 by default, 0 for never down.
//! * `max_connect_attempts` limits the exchanges for one query; 0, the default, leaves it at twice each upstream.
//! * `policy` says which upstream comes first: any, by chance (the default); each in its turn; or always the first.
//! * `health_check` says how often an upstream that failed is looked at, `0.5s` by default, by a query for NS of `domain`,
//!   the root by default, with `no_rec` without asking for recursion. It is not done
//!   more often than every `10ms`.
//! * `max_concurrent` answers REFUSED beyond so many queries at once; 0, the default, is no limit of this kind.
//! * `next` leaves answers with one of these rcodes to the next `forward` line that is for the name, if there is one;
//!   `next_on_nodata` does so with answers without data.
//! * `failfast_all_unhealthy_upstreams` answers SERVFAIL when all upstreams are down.
//! * `failover` tries the next upstream after an answer with one of these rcodes.
//! * `source_address` is where queries to upstreams come from.
//! * `resolver` are addresses of servers that look up names of hosts among **TO**; the system does so by default.
//!
//! ## Examples
//! What is below `corp.example.org` goes to two servers, the rest of `example.org` to another:
//! ```corefile
//! example.org:1053 {
//!     forward corp.example.org 192.0.2.1 192.0.2.2:5353 {
//!         policy sequential
//!         health_check 5s no_rec
//!     }
//!     forward . dns://192.0.2.53 {
//!         except internal.example.org
//!         max_concurrent 1000
//!     }
//! }
//! ```
//!
//! ## Metrics
//! Labels: **to** is the address of an upstream, **rcode** that of its answer, **proxy_name** is `forward`.
//! * `coredns_forward_requests_total`: to; `coredns_forward_responses_total`: to, rcode
//! * `coredns_forward_request_duration_seconds`: to, rcode; `coredns_proxy_request_duration_seconds`: proxy_name, to, rcode
//! * `coredns_forward_healthcheck_failures_total`: to; `coredns_proxy_healthcheck_failures_total`: proxy_name, to
//! * `coredns_forward_healthcheck_broken_total`: queries that found all upstreams down
//! * `coredns_forward_max_concurrent_rejects_total`
//! * `coredns_proxy_conn_cache_hits_total`, `coredns_proxy_conn_cache_misses_total`: proxy_name, to, proto
//! * `zonda_forward_failures_total`: to; exchanges without an answer
//! * `zonda_later_total`, `zonda_later_waiting`, `zonda_later_refused_total`: queries that wait for an answer, of which
//!   there are never more than 4,096
//!
//! ## Ready
//! It does not signal readiness: an upstream that is down at the start is no reason to wait.
//!
//! ## See also
//! `cache`, `loop`, `errors`, `header`. RFC 7858 is DNS over TLS, RFC 8484 DNS over HTTPS.
//!
//! ## Bugs
//! EDNS options of clients are not sent on, and the OPT record of an upstream is not passed back. At most 4,096 queries
//! wait for upstreams at once, for all lines together; those beyond get SERVFAIL. Upstreams over HTTPS are asked over
//! HTTP/2 alone. Names of hosts are looked up at start and at reloads only.

mod counts;
mod exchange;
mod https;
mod line;
mod options;
mod targets;
pub(super) mod tls;
mod upstream;

use std::sync::Arc;

use domain::base::iana::{Class, OptRcode, Rtype};

use super::corefile::{ConfigError, Directive};
use super::later::{self, Errand};
use super::{Context, Failure, Flow, Plugin, Setup, Transport};
use crate::wire::{Query, Response};
use line::Line;

/// The plugin: all `forward` lines of a block in their order.
struct Forward {
    lines: Vec<Arc<Line>>,
}

/// Reads all lines of a block.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let lines = lines.iter().map(|line| options::read(line, setup).map(Arc::new)).collect::<Result<_, _>>()?;
    later::prepare().map_err(ConfigError::plain)?;
    setup.services.add_metrics_once("later", later::write);
    setup.services.add_metrics_once(NAME, counts::write);
    Ok(Some(Box::new(Forward { lines })))
}

impl Plugin for Forward {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sees(&self, _: Class) -> bool {
        true
    }

    fn query(&self, query: &Query, _: &mut Response<'_>, _: &mut Context<'_>) -> Flow {
        if !self.lines.iter().any(|line| line.is_for(&query.name)) {
            return Flow::Next;
        }
        // A transfer is many messages (RFC 5936 §2.2), and the client's address is what it is granted to.
        if matches!(query.qtype, Rtype::AXFR | Rtype::IXFR) {
            return Flow::Rcode(OptRcode::NOTIMP);
        }
        Flow::Later
    }

    fn errand(&self, query: &Query, head: &[u8], context: &Context<'_>) -> Result<Errand, (OptRcode, Failure)> {
        let mut lines: Vec<_> = self.lines.iter().filter(|line| line.is_for(&query.name)).cloned().collect();
        let (query, head) = (query.clone(), Box::<[u8]>::from(head));
        let is_stream = context.arrival.transport != Transport::Udp;
        let Some(last) = lines.pop() else { return Err((OptRcode::SERVFAIL, failure("no upstream is for the name"))) };
        Ok(Box::pin(async move {
            for line in lines {
                match line.ask(&query, &head, is_stream).await {
                    Ok(received) if line.leaves_to_next(&received) => {}
                    brought => return brought,
                }
            }
            last.ask(&query, &head, is_stream).await
        }))
    }
}

/// A failure of this plugin.
fn failure(text: &'static str) -> Failure {
    Failure { plugin: NAME, text }
}

/// The plugin's name.
const NAME: &str = "forward";
