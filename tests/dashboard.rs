//! The panels of dashboards that were made for CoreDNS: each of their queries finds data.

use store::Rtype;

use crate::forward::{Upstream, answer};
use crate::support::{Program, Question, exchange_tcp, exchange_udp, free_port, get, has_ipv6};

/// Queries of the common dashboards, by what their panel shows. `{instance}` and the like are labels that Prometheus adds
/// itself, so they are left out here.
const PANELS: &[(&str, &str)] = &[
    ("requests by protocol", "sum(rate(coredns_dns_requests_total[5m])) by (proto)"),
    ("requests by type", "sum(rate(coredns_dns_requests_total[5m])) by (type)"),
    ("requests by zone", "sum(rate(coredns_dns_requests_total{zone!=\"dropped\"}[5m])) by (zone)"),
    ("requests for no zone", "sum(rate(coredns_dns_requests_total{zone=\"dropped\"}[5m]))"),
    ("requests by family", "sum(rate(coredns_dns_requests_total[5m])) by (family)"),
    ("requests by server", "sum(rate(coredns_dns_requests_total[5m])) by (server, view)"),
    ("requests over UDP", "sum(rate(coredns_dns_requests_total{proto=\"udp\"}[5m])) by (proto)"),
    ("requests over TCP", "sum(rate(coredns_dns_requests_total{proto=\"tcp\"}[5m])) by (proto)"),
    ("requests with DO", "sum(rate(coredns_dns_do_requests_total[5m])) by (server, zone, view)"),
    ("responses by code", "sum(rate(coredns_dns_responses_total[5m])) by (rcode)"),
    ("responses by plugin", "sum(rate(coredns_dns_responses_total[5m])) by (plugin, zone, server, view)"),
    (
        "share of errors",
        "sum(rate(coredns_dns_responses_total{rcode=\"SERVFAIL\"}[5m])) / sum(rate(coredns_dns_responses_total[5m]))",
    ),
    (
        "duration",
        "histogram_quantile(0.99, sum(rate(coredns_dns_request_duration_seconds_bucket[5m])) by (server, zone, le))",
    ),
    (
        "mean duration",
        "sum(rate(coredns_dns_request_duration_seconds_sum[5m])) / sum(rate(coredns_dns_request_duration_seconds_count[5m]))",
    ),
    (
        "request size over UDP",
        "histogram_quantile(0.90, sum(rate(coredns_dns_request_size_bytes_bucket{proto=\"udp\"}[5m])) by (le, proto))",
    ),
    (
        "request size over TCP",
        "histogram_quantile(0.90, sum(rate(coredns_dns_request_size_bytes_bucket{proto=\"tcp\"}[5m])) by (le, proto))",
    ),
    (
        "response size over UDP",
        "histogram_quantile(0.90, sum(rate(coredns_dns_response_size_bytes_bucket{proto=\"udp\"}[5m])) by (le, proto))",
    ),
    (
        "response size over TCP",
        "histogram_quantile(0.90, sum(rate(coredns_dns_response_size_bytes_bucket{proto=\"tcp\"}[5m])) by (le, proto))",
    ),
    ("size of the cache", "sum(coredns_cache_entries) by (type, server, zones, view)"),
    ("cache hits", "sum(rate(coredns_cache_hits_total{type=\"success\"}[5m])) by (type, server, zones, view)"),
    ("cache hits of denials", "sum(rate(coredns_cache_hits_total{type=\"denial\"}[5m])) by (type)"),
    ("cache misses", "sum(rate(coredns_cache_misses_total[5m])) by (server, zones, view)"),
    ("cache hit ratio", "sum(rate(coredns_cache_hits_total[5m])) / sum(rate(coredns_cache_requests_total[5m]))"),
    ("upstream responses", "sum(rate(coredns_forward_responses_total[5m])) by (to, rcode)"),
    ("upstream requests", "sum(rate(coredns_forward_requests_total[5m])) by (to)"),
    (
        "upstream duration",
        "histogram_quantile(0.99, sum(rate(coredns_proxy_request_duration_seconds_bucket{proxy_name=\"forward\"}[5m])) by (to, le))",
    ),
    (
        "older name of upstream duration",
        "histogram_quantile(0.99, sum(rate(coredns_forward_request_duration_seconds_bucket[5m])) by (to, rcode, le))",
    ),
    ("plugins", "sum(coredns_plugin_enabled) by (server, zone, view, name)"),
    ("build", "sum(coredns_build_info) by (version, revision, goversion)"),
    (
        "health checks",
        "histogram_quantile(0.99, sum(rate(coredns_health_request_duration_seconds_bucket[5m])) by (le))",
    ),
    ("configuration", "sum(coredns_reload_version_info) by (hash, value)"),
    ("hosts", "sum(coredns_hosts_entries)"),
    ("blocked", "sum(rate(coredns_acl_blocked_requests_total[5m])) by (server, zone, view)"),
    ("filtered", "sum(rate(coredns_acl_filtered_requests_total[5m])) by (server, zone, view)"),
    ("allowed", "sum(rate(coredns_acl_allowed_requests_total[5m])) by (server, view)"),
    ("templates", "sum(rate(coredns_template_matches_total[5m])) by (server, zone, view, class, type)"),
    ("CPU", "rate(process_cpu_seconds_total[5m])"),
    ("memory", "process_resident_memory_bytes"),
    ("virtual memory", "process_virtual_memory_bytes"),
    ("open files", "process_open_fds / process_max_fds"),
    ("uptime", "time() - process_start_time_seconds"),
];

/// Queries whose panel is empty or at zero as long as nothing goes wrong: their series are there from the start.
const QUIET: &[(&str, &str)] = &[
    ("panics", "sum(rate(coredns_panics_total[5m]))"),
    ("failed reloads", "sum(rate(coredns_reload_failed_total[5m]))"),
    ("failed health checks", "sum(rate(coredns_health_request_failures_total[5m]))"),
    ("cache evictions", "sum(rate(coredns_cache_evictions_total[5m])) by (type)"),
    ("cache drops", "sum(rate(coredns_cache_drops_total[5m])) by (server)"),
    ("prefetched", "sum(rate(coredns_cache_prefetch_total[5m])) by (server)"),
    ("served stale", "sum(rate(coredns_cache_served_stale_total[5m])) by (server)"),
    ("broken health checks of upstreams", "sum(rate(coredns_forward_healthcheck_broken_total[5m]))"),
    (
        "failed health checks of upstreams",
        "sum(rate(coredns_proxy_healthcheck_failures_total[5m])) by (proxy_name, to)",
    ),
    ("too many at once", "sum(rate(coredns_forward_max_concurrent_rejects_total[5m]))"),
];

/// One series of a scrape.
struct Series<'t> {
    metric: &'t str,
    labels: Vec<(&'t str, &'t str)>,
    value: f64,
}

impl<'t> Series<'t> {
    /// Reads a line of the exposition format.
    fn read(line: &'t str) -> Self {
        let (head, value) = line.rsplit_once(' ').unwrap();
        let (metric, labels) = head.split_once('{').unwrap_or((head, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        Self { metric, labels: pairs(labels, "="), value: value.parse().unwrap() }
    }

    /// The value of a label.
    fn label(&self, name: &str) -> Option<&'t str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
    }
}

/// `a="b",c="d"` as pairs; the values of these tests have no quotes in them.
fn pairs<'t>(text: &'t str, sign: &str) -> Vec<(&'t str, &'t str)> {
    let pair = |pair: &'t str| pair.trim_start_matches(',').trim().split_once(&format!("{sign}\"")).unwrap();
    text.split_inclusive("\",")
        .map(|text| text.trim_end_matches(','))
        .filter(|text| !text.is_empty())
        .map(|text| {
            let (name, value) = pair(text);
            (name, value.trim_end_matches('"'))
        })
        .collect()
}

/// What a query asks of a scrape: a metric, labels that have or have not these values, and labels to group by.
struct Selector<'q> {
    metric: &'q str,
    equal: Vec<(&'q str, &'q str)>,
    unequal: Vec<(&'q str, &'q str)>,
    grouped: Vec<&'q str>,
}

impl<'q> Selector<'q> {
    /// All selectors of a query, each with the labels that the query groups by.
    fn all(query: &'q str) -> Vec<Self> {
        let grouped: Vec<_> = query
            .split(" by (")
            .skip(1)
            .flat_map(|rest| rest.split(')').next().unwrap().split(','))
            .map(str::trim)
            .collect();
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut found = Vec::new();
        let mut rest = query;
        while let Some(at) = rest.find("coredns_").into_iter().chain(rest.find("process_")).min() {
            rest = &rest[at..];
            let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
            let (metric, after) = rest.split_at(end);
            let matchers = after.strip_prefix('{').map_or("", |after| after.split('}').next().unwrap());
            let (equal, unequal) = match matchers.contains("!=") {
                true => (Vec::new(), pairs(matchers, "!=")),
                false => (pairs(matchers, "="), Vec::new()),
            };
            found.push(Self { metric, equal, unequal, grouped: grouped.clone() });
            rest = after;
        }
        assert!(!found.is_empty(), "{query}");
        found
    }

    /// Whether a series is one of those.
    fn fits(&self, series: &Series<'_>) -> bool {
        series.metric == self.metric
            && self.equal.iter().all(|(name, value)| series.label(name) == Some(value))
            && self.unequal.iter().all(|(name, value)| series.label(name).is_some_and(|found| found != *value))
    }
}

/// What a query misses in a scrape; with `counts` also a value that is not 0.
fn missing(query: &str, scrape: &[Series<'_>], counts: bool) -> Option<String> {
    for selector in Selector::all(query) {
        let fitting: Vec<_> = scrape.iter().filter(|series| selector.fits(series)).collect();
        if fitting.is_empty() {
            return Some(format!("no series of {}", selector.metric));
        }
        for label in &selector.grouped {
            if fitting.iter().any(|series| series.label(label).is_none()) {
                return Some(format!("a series of {} without {label}", selector.metric));
            }
        }
        if counts && fitting.iter().all(|series| series.value == 0.0) {
            return Some(format!("{} is 0 everywhere", selector.metric));
        }
    }
    None
}

#[test]
fn the_queries_of_common_dashboards_return_data() {
    let (metrics, health) = (free_port(), free_port());
    let upstream = Upstream::start(|message, _| {
        let mut reply = answer(message, [0, 0x80], &[7], 60);
        if message[13..].starts_with(b"denied") {
            // NXDOMAIN, with an SOA in place of the answer.
            reply.truncate(reply.len() - 16);
            (reply[3], reply[7], reply[9]) = (0x83, 0, 1);
            reply.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 24, 0xc0, 12, 0xc0, 12]);
            reply.extend([0; 19]);
            reply.push(60);
        }
        vec![reply]
    });
    let watched = format!("prometheus 127.0.0.1:{metrics}");
    let six = if has_ipv6() { "::1" } else { "" };
    let corefile = format!(
        "example.org:PORT {{
    bind 127.0.0.1 {six}
    {watched}
    health 127.0.0.1:{health}
    reload 1h
    errors
    acl {{
        block type SSHFP
        filter type URI
    }}
    template IN TXT {{
        answer \"{{{{ .Name }}}} 60 TXT text\"
    }}
    hosts /dev/null {{
        192.0.2.1 hosts.example.org
        fallthrough
    }}
    file db.example.org
}}
example.net:PORT {{
    bind 127.0.0.1 {six}
    {watched}
    cache
    forward . 127.0.0.1:{}
}}
example.com:PORT {{
    bind 127.0.0.1 {six}
    {watched}
    chaos
}}
",
        upstream.port
    );
    let zone = "@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n";
    let mut program = Program::start(&corefile, &[("db.example.org", zone)]);
    let questions: Vec<Question> = [
        ("ns1.example.org.", Rtype::A),
        ("nx.example.org.", Rtype::AAAA),
        ("hosts.example.org.", Rtype::A),
        ("text.example.org.", Rtype::TXT),
        ("ns1.example.org.", Rtype::SSHFP),
        ("ns1.example.org.", Rtype::URI),
        ("www.example.net.", Rtype::A),
        ("denied.example.net.", Rtype::A),
        // SERVFAIL, and a name of no zone.
        ("www.example.com.", Rtype::MX),
        ("www.example.edu.", Rtype::A),
    ]
    .map(|(qname, qtype)| Question { dnssec_ok: qtype == Rtype::A, ..Question::new(qname, qtype) })
    .into();
    for _ in 0..2 {
        for question in &questions {
            program.ask(question);
            exchange_tcp(program.dns(), &[question.message()]);
            if has_ipv6() {
                exchange_udp(([0, 0, 0, 0, 0, 0, 0, 1], program.port).into(), &question.message(), 20_000).unwrap();
            }
        }
    }
    let mut missed = Vec::new();
    // The server asks itself for its health once a second.
    program.wait("all panels have data", |_| {
        let (_, text) = get(metrics, "/metrics").unwrap();
        let scrape: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(Series::read).collect();
        let all = [(PANELS, true), (QUIET, false)];
        let look = |(panel, query, counts): (&str, &str, bool)| {
            missing(query, &scrape, counts).map(|why| format!("{panel}: {why}"))
        };
        missed = all
            .iter()
            .flat_map(|(panels, counts)| panels.iter().map(|(panel, query)| (*panel, *query, *counts)))
            .filter_map(look)
            .collect::<Vec<_>>();
        missed.is_empty()
    });
    assert_eq!(missed, Vec::<String>::new());
    // What is scraped is explained on a plugin's page.
    let pages: String =
        engine::plugin::names().iter().map(|name| engine::plugin::page(name).unwrap().markdown).collect();
    let (_, text) = get(metrics, "/metrics").unwrap();
    for metric in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(pages.contains(&format!("`{metric}`")), "{metric} is on no page");
    }
}

#[test]
fn a_query_without_data_is_found() {
    let scrape = [
        "a_metric 1",
        "coredns_x_total{zone=\"example.org.\",le=\"0.5\"} 3",
        "coredns_x_total{zone=\"dropped\",le=\"+Inf\"} 0",
    ]
    .map(Series::read);
    for (query, expected) in [
        ("sum(rate(coredns_x_total[5m])) by (zone, le)", None),
        ("sum(rate(coredns_x_total{zone!=\"dropped\"}[5m]))", None),
        ("sum(rate(coredns_x_total{zone=\"dropped\"}[5m]))", Some("coredns_x_total is 0 everywhere")),
        ("sum(rate(coredns_x_total{zone=\"other\"}[5m]))", Some("no series of coredns_x_total")),
        ("sum(coredns_x_total) by (le, view)", Some("a series of coredns_x_total without view")),
        ("coredns_x_total / process_y", Some("no series of process_y")),
    ] {
        assert_eq!(missing(query, &scrape, true).as_deref(), expected, "{query}");
    }
}
