//! What single plugins count, in memory.

use domain::base::iana::Rtype;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Ready, Transport, setup};
use engine::zone::Hub;

use crate::support::{Question, address, arrival, in_buffer};

/// Serves a Corefile, asks questions as clients over UDP of the first listener, and gives the metrics that begin so.
fn count(corefile: &str, questions: &[(&str, &str, Rtype)], beginning: &str) -> Vec<String> {
    let corefile = Corefile::parse_text("Corefile", corefile).unwrap_or_else(|why| panic!("{why}"));
    let Ready { server, services, .. } =
        setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
    let mut worker = server.worker();
    for (client, qname, qtype) in questions {
        let message = Question::new(qname, *qtype).message();
        let arrival = Arrival { client: address(client), ..arrival(Transport::Udp) };
        worker.answer(&mut in_buffer(&message), message.len(), &arrival);
        // An explanation is no query of a client.
        worker.explain(&mut in_buffer(&message), message.len(), &arrival);
    }
    let text = services.metrics.text();
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    lines.map(|line| line.replace("server=\"dns://127.0.0.1:53\",", "").replace(",view=\"\"", "")).collect()
}

#[test]
fn acl_counts_by_what_became_of_queries() {
    let corefile = "example.org example.net {
        bind 127.0.0.1
        prometheus 127.0.0.1:9153
        acl {
            block net 192.0.2.1
            filter net 192.0.2.2
            drop net 192.0.2.3
        }
        whoami
    }";
    let clients = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1"];
    let names = ["example.org.", "example.org.", "example.org.", "example.org.", "example.org.", "www.example.net."];
    let questions: Vec<_> = clients.into_iter().zip(names).map(|(client, name)| (client, name, Rtype::A)).collect();
    assert_eq!(
        count(corefile, &questions, "coredns_acl_"),
        [
            "coredns_acl_allowed_requests_total{view=\"\"} 2",
            "coredns_acl_blocked_requests_total{zone=\"example.org.\"} 2",
            "coredns_acl_dropped_requests_total{zone=\"example.org.\"} 1",
            "coredns_acl_filtered_requests_total{zone=\"example.org.\"} 1",
        ]
    );
    // Without the plugin that shows them nothing is counted.
    let silent = corefile.replace("prometheus 127.0.0.1:9153", "");
    assert!(count(&silent, &questions, "coredns_acl_").is_empty());
}

#[test]
fn template_counts_matches_and_templates_that_fail() {
    let corefile = "example.org {
        bind 127.0.0.1
        prometheus 127.0.0.1:9153
        template IN A {
            answer \"{{ .Name }} 60 IN A {{ index .Match 0 }}\"
        }
        template IN TXT {
            answer \"{{ .Name }} 60 IN TXT {{ index .Match 7 }}\"
        }
    }";
    let questions = [
        ("192.0.2.1:1", "www.example.org.", Rtype::A),
        ("192.0.2.1:1", "www.example.org.", Rtype::TXT),
        ("192.0.2.1:1", "www.example.org.", Rtype::TXT),
    ];
    let labels = |rtype: &str| format!("zone=\"example.org.\",class=\"IN\",type=\"{rtype}\"");
    let (a, txt) = (labels("A"), labels("TXT"));
    let answer = |rest: &str| format!("section=\"answer\",template=\"{{{{ .Name }}}} 60 IN {rest}\"");
    assert_eq!(
        count(corefile, &questions, "coredns_template_"),
        [
            format!("coredns_template_matches_total{{{a}}} 1"),
            format!("coredns_template_matches_total{{{txt}}} 2"),
            format!("coredns_template_rr_failures_total{{{a},{}}} 1", answer("A {{ index .Match 0 }}")),
            format!("coredns_template_template_failures_total{{{txt},{}}} 2", answer("TXT {{ index .Match 7 }}")),
        ]
    );
}

#[test]
fn rrl_counts_what_it_limits() {
    let corefile = "example.org {
        bind 127.0.0.1
        prometheus 127.0.0.1:9153
        rrl {
            window 3600
            responses-per-second 1
            slip-ratio 2
        }
        whoami
    }";
    // One answer is allowed. Of the others every second is truncated, the first among them.
    let questions = [("192.0.2.1:1", "example.org.", Rtype::A); 6];
    let counts = count(corefile, &questions, "zonda_rrl_");
    let number = |name: &str| -> u32 {
        let line = counts.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix("{zone=\"example.org.\"} "));
        line.map_or(0, |number| number.parse().unwrap())
    };
    let (dropped, truncated) = (number("zonda_rrl_dropped_total"), number("zonda_rrl_truncated_total"));
    // A test that is held up for a second is allowed one more.
    assert!((1..=5).contains(&(dropped + truncated)) && truncated.abs_diff(dropped) <= 1, "{counts:?}");
}

#[test]
fn hosts_counts_the_entries_of_all_its_tables_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    std::fs::write(&path, "192.0.2.1 a.example.org b.example.org\n2001:db8::1 a.example.org\n").unwrap();
    let path = path.display();
    let corefile = format!(
        "example.org {{
            bind 127.0.0.1
            hosts {path}
        }}
        example.net {{
            bind 127.0.0.1
            hosts {path} {{
                192.0.2.2 c.example.net
                no_reverse
            }}
        }}"
    );
    // Three addresses of names and as many names of addresses; the other table has only what is in its zone.
    assert_eq!(count(&corefile, &[], "coredns_hosts_entries"), ["coredns_hosts_entries 7"]);
    let read = count(&corefile, &[], "coredns_hosts_reload_timestamp_seconds ");
    let seconds: f64 = read[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((read.len(), seconds > 1.7e9) == (1, true), "{read:?}");
}
