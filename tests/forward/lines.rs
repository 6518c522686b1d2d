//! What a line says: which upstream is asked, what its answer leads to, what is counted, and lines that are wrong.

use super::{Upstream, a, answer, found, says, start, value};
use crate::support::{exchange_tcp, free_port, refuses, run, samples};

#[test]
fn policies_and_zones_choose_the_upstream() {
    let upstreams: Vec<Upstream> = (1..=4).map(|number| Upstream::start(says(number))).collect();
    let to: Vec<String> = upstreams.iter().map(|upstream| format!("127.0.0.1:{}", upstream.port)).collect();
    let ask = |lines: &str, names: &[&str]| {
        let program = start(lines, "ring");
        names.iter().map(|name| found(&program.ask(&a(name)))).collect::<Vec<_>>().join(" ")
    };
    let x = ["x.example.org."; 6];
    let policy = |policy: &str| {
        format!("forward . {} {{\n        policy {policy}\n        read_timeout 5s\n    }}", to[..3].join(" "))
    };
    assert_eq!(ask(&policy("round_robin"), &x), "1 2 3 1 2 3");
    assert_eq!(ask(&policy("sequential"), &x), "1 1 1 1 1 1");
    let random = ask(&policy("random"), &["x.example.org."; 60]);
    assert!(random.contains('1') && random.contains('2') && random.contains('3'), "{random}");

    let lines = format!(
        "forward a.example.org {} {{\n        except b.a.example.org\n    }}\n    forward example.org {} {{\n        except c.example.org\n    }}",
        to[0], to[1]
    );
    let names = ["x.a.example.org.", "x.b.a.example.org.", "example.org.", "x.c.example.org."];
    assert_eq!(ask(&lines, &names), "1 2 2 SERVFAIL");
}

#[test]
fn next_and_failover_go_by_the_rcode() {
    let nxdomain = Upstream::start(|message, _| vec![answer(message, [0, 0x83], &[], 0)]);
    let empty = Upstream::start(|message, _| vec![answer(message, [0, 0x80], &[], 0)]);
    let refusing = Upstream::start(|message, _| vec![answer(message, [0, 5], &[], 0)]);
    let good = Upstream::start(says(7));
    let [nxdomain, empty, refusing, good] =
        [&nxdomain, &empty, &refusing, &good].map(|upstream| format!("127.0.0.1:{}", upstream.port));
    for (lines, expected) in [
        (format!("forward . {nxdomain} {{\n        next NXDOMAIN\n    }}\n    forward . {good}"), "7"),
        (format!("forward . {nxdomain} {{\n        next SERVFAIL\n    }}\n    forward . {good}"), "NXDOMAIN"),
        // Without a next line the answer stands.
        (format!("forward . {nxdomain} {{\n        next NXDOMAIN\n    }}"), "NXDOMAIN"),
        (format!("forward . {empty} {{\n        next_on_nodata\n    }}\n    forward . {good}"), "7"),
        (
            format!(
                "forward . {refusing} {good} {{\n        policy sequential\n        failover REFUSED SERVFAIL\n    }}"
            ),
            "7",
        ),
        (format!("forward . {refusing} {good} {{\n        policy sequential\n    }}"), "REFUSED"),
        (format!("forward . {refusing} {{\n        failover refused\n    }}"), "REFUSED"),
    ] {
        assert_eq!(found(&start(&lines, "ring").ask(&a("x.example.org."))), expected, "{lines}");
    }
}

#[test]
fn upstreams_come_from_files_and_host_names() {
    let upstream = Upstream::start(says(7));
    let (ip, port) = ("127.0.0.1", upstream.port);
    let program = start(&format!("forward . dns://localhost:{port}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    // A server that knows the host: it answers with an address that only this machine has.
    let resolver = Upstream::start(|message, _| {
        let mut answer = answer(message, [0, 0x80], if message[message.len() - 3] == 1 { &[1] } else { &[] }, 60);
        let end = answer.len();
        if answer[7] == 1 {
            answer[end - 4..].copy_from_slice(&[127, 0, 0, 1]);
        }
        vec![answer]
    });
    let lines = format!("forward . up.example.net:{port} {{\n        resolver {ip}:{}\n    }}", resolver.port);
    assert_eq!(found(&start(&lines, "ring").ask(&a("x.example.org."))), "7");

    let folder = tempfile::tempdir().unwrap();
    let corefile = format!("example.org:0 {{\n    root {}\n    forward . resolv\n}}\n", folder.path().display());
    std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
    std::fs::write(folder.path().join("resolv"), "# mine\nsearch example.org\n").unwrap();
    let (_, _, stderr) = run(folder.path(), &["check", "Corefile"]);
    assert!(stderr.contains("no nameservers found in"), "{stderr}");
    std::fs::write(folder.path().join("resolv"), "nameserver 192.0.2.1\nnameserver 2001:db8::1 \n").unwrap();
    assert_eq!(run(folder.path(), &["check", "Corefile"]).0, Some(0));
}

#[test]
fn what_upstreams_do_is_counted() {
    let (upstream, metrics) = (Upstream::start(says(7)), free_port());
    let to = format!("127.0.0.1:{}", upstream.port);
    let lines =
        format!("prometheus 127.0.0.1:{metrics}\n    forward . {to} {{\n        read_timeout 5s\n    }}\n    log");
    let mut program = start(&lines, "ring");
    program.ask(&a("x.example.org."));
    exchange_tcp(program.dns(), &[a("x.example.org.").message()]);
    for (metric, sample) in [
        ("coredns_forward_requests_total", format!("{{to=\"{to}\"}} 2")),
        ("coredns_forward_responses_total", format!("{{to=\"{to}\",rcode=\"NOERROR\"}} 2")),
        ("coredns_forward_request_duration_seconds_count", format!("{{to=\"{to}\",rcode=\"NOERROR\"}} 2")),
        (
            "coredns_proxy_request_duration_seconds_count",
            format!("{{proxy_name=\"forward\",rcode=\"NOERROR\",to=\"{to}\"}} 2"),
        ),
        ("coredns_proxy_conn_cache_misses_total", format!("{{proto=\"tcp\",proxy_name=\"forward\",to=\"{to}\"}} 1")),
        ("coredns_forward_healthcheck_broken_total", " 0".into()),
    ] {
        assert!(samples(metrics, metric).contains(&format!("{metric}{sample}")), "{metric}{sample}");
    }
    // A worker counts when it is through with what it has taken.
    program.wait("it came later", |_| value(metrics, "zonda_udp_later_total") == 1);
    let server = format!("server=\"dns://127.0.0.1:{}\",zone=\"example.org.\",view=\"\"", program.port);
    let responses = samples(metrics, "coredns_dns_responses_total");
    let expected = format!("coredns_dns_responses_total{{{server},rcode=\"NOERROR\",plugin=\"forward\"}} 2");
    assert!(responses.contains(&expected), "{responses:?}");
    program.wait("it is logged", |program| program.text().matches("\"A IN x.example.org. ").count() == 2);
}

#[test]
fn faults_of_the_line_are_told() {
    let faults = [
        (
            "forward",
            "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'forward'",
        ),
        ("forward .", "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after '.'"),
        ("forward . a..b", "Corefile:2 - Error during parsing: not an IP address or file: \"a..b\""),
        ("forward . /no/such/file", "Corefile:2 - Error during parsing: not an IP address or file: \"/no/such/file\""),
        ("forward . 192.0.2.1 {\n        foo\n    }", "Corefile:3 - Error during parsing: unknown property 'foo'"),
        (
            "forward . 192.0.2.1 {\n        policy best\n    }",
            "Corefile:3 - Error during parsing: unknown policy 'best'",
        ),
        (
            "forward . 192.0.2.1 {\n        max_fails -1\n    }",
            "Corefile:3 - Error during parsing: max_fails can't be negative: -1",
        ),
        (
            "forward . 192.0.2.1 {\n        health_check 1s maybe\n    }",
            "Corefile:3 - Error during parsing: health_check: unknown option maybe",
        ),
        (
            "forward . 192.0.2.1 {\n        next NONSENSE\n    }",
            "Corefile:3 - Error during parsing: NONSENSE is not a valid rcode",
        ),
        (
            "forward . 192.0.2.1 {\n        force_tcp yes\n    }",
            "Corefile:3 - Error during parsing: Wrong argument count or unexpected line ending after 'yes'",
        ),
        (
            "forward . 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 1.1.1.10 1.1.1.11 1.1.1.12 1.1.1.13 1.1.1.14 1.1.1.15 1.1.1.16",
            "Corefile:2 - Error during parsing: more than 15 TOs configured: 16",
        ),
    ];
    refuses("forward", &faults);
}
