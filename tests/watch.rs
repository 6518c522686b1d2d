//! What watches the server over HTTP, and the process-wide plugins, against the real program.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use store::Rtype;

use crate::support::{PATIENCE, Program, Question, exchange_tcp, exchange_udp, free_port, get, run, samples};

#[test]
fn health_and_ready_answer_and_a_lame_duck_serves_on() {
    let (health, ready) = (free_port(), free_port());
    let corefile = format!(
        ".:PORT {{\n    bind 127.0.0.1\n    health 127.0.0.1:{health} {{\n        lameduck 1h\n    }}\n    ready 127.0.0.1:{ready}\n    whoami\n}}\n"
    );
    let mut program = Program::start(&corefile, &[]);
    assert_eq!(get(health, "/health"), Some((200, "OK".into())));
    assert_eq!(get(ready, "/ready"), Some((200, "OK".into())));
    assert_eq!(get(ready, "/health").unwrap().0, 404);
    program.signal("TERM");
    program.wait("it is not ready any more", |_| get(ready, "/ready") == Some((503, "Shutting down".into())));
    assert_eq!(get(health, "/health"), Some((200, "OK".into())));
    assert!(exchange_udp(program.dns(), &Question::new("example.org.", Rtype::A).message(), 20_000).is_some());
    // Whoever is impatient ends it at once.
    assert_eq!(program.end("INT"), Some(2));
    // Left alone, it ends when the time is over.
    let mut program = Program::start(&corefile.replace("lameduck 1h", "lameduck 1s"), &[]);
    assert_eq!(program.end("TERM"), Some(0));
}

#[test]
fn prometheus_counts_by_zone_type_and_rcode() {
    let metrics = free_port();
    let corefile = format!(
        "example.org:PORT example.net:PORT {{\n    bind 127.0.0.1\n    prometheus 127.0.0.1:{metrics}\n    chaos\n    file db example.org\n    health 127.0.0.1:{}\n}}\n",
        free_port()
    );
    let zone = "@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n";
    let mut program = Program::start(&corefile, &[("db", zone)]);
    let server = format!("server=\"dns://127.0.0.1:{}\"", program.port);
    for qname in ["ns1.example.org.", "nx.example.org.", "NX.EXAMPLE.org."] {
        program.ask(&Question::new(qname, Rtype::A));
    }
    program.ask(&Question { dnssec_ok: true, ..Question::new("ns1.example.org.", Rtype::URI) });
    exchange_tcp(program.dns(), &[Question::new("www.example.net.", Rtype::MX).message()]);
    for number in 0..3 {
        program.ask(&Question::new(&format!("{number}.example.com."), Rtype::A));
    }
    let org = format!("{server},zone=\"example.org.\",view=\"\"");
    let requests = samples(metrics, "coredns_dns_requests_total");
    for expected in [
        format!("{server},zone=\"dropped\",view=\"\",proto=\"udp\",family=\"1\",type=\"A\"}} 3"),
        format!("{server},zone=\"example.net.\",view=\"\",proto=\"tcp\",family=\"1\",type=\"MX\"}} 1"),
        format!("{org},proto=\"udp\",family=\"1\",type=\"A\"}} 3"),
        format!("{org},proto=\"udp\",family=\"1\",type=\"other\"}} 1"),
    ] {
        assert!(requests.contains(&format!("coredns_dns_requests_total{{{expected}")), "{expected} in {requests:?}");
    }
    let responses = samples(metrics, "coredns_dns_responses_total");
    for expected in [
        format!("coredns_dns_responses_total{{{org},rcode=\"NOERROR\",plugin=\"file\"}} 2"),
        format!("coredns_dns_responses_total{{{org},rcode=\"NXDOMAIN\",plugin=\"file\"}} 2"),
        format!(
            "coredns_dns_responses_total{{{server},zone=\"example.net.\",view=\"\",rcode=\"REFUSED\",plugin=\"\"}} 1"
        ),
    ] {
        assert!(responses.contains(&expected), "{expected} in {responses:?}");
    }
    assert_eq!(
        samples(metrics, "coredns_dns_do_requests_total"),
        [format!("coredns_dns_do_requests_total{{{org}}} 1")]
    );
    let sizes = samples(metrics, "coredns_dns_request_size_bytes_bucket");
    assert!(sizes.contains(&format!("coredns_dns_request_size_bytes_bucket{{{org},proto=\"udp\",le=\"100\"}} 4")));
    let durations = samples(metrics, "coredns_dns_request_duration_seconds_count");
    assert!(durations.contains(&format!("coredns_dns_request_duration_seconds_count{{{org}}} 4")), "{durations:?}");
    assert_eq!(samples(metrics, "coredns_panics_total"), ["coredns_panics_total 0"]);
    assert_eq!(samples(metrics, "process_resident_memory_bytes").len(), 1);
    assert!(samples(metrics, "coredns_plugin_enabled").iter().any(|sample| sample.contains("name=\"file\"")));
    program.wait("the server has asked itself", |_| {
        samples(metrics, "coredns_health_request_duration_seconds_count")
            .first()
            .is_some_and(|sample| !sample.ends_with(" 0"))
    });
}

#[test]
fn a_connection_ends_after_as_many_queries_as_it_may_send() {
    let corefile = ".:PORT {\n    bind 127.0.0.1\n    timeouts {\n        maxtcpqueries 2\n        idle 30\n    }\n    whoami\n}\n";
    let program = Program::start(corefile, &[]);
    let message = Question::new("example.org.", Rtype::A).message();
    assert_eq!(exchange_tcp(program.dns(), &[message.clone(), message.clone()]).len(), 2);
    let mut stream = TcpStream::connect(program.dns() as SocketAddr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    stream.write_all(&framed.repeat(3)).unwrap();
    let mut octets = Vec::new();
    // The third query lies unread when the connection ends, so the end may be a reset.
    let _ = stream.read_to_end(&mut octets);
    let first = 2 + usize::from(u16::from_be_bytes([octets[0], octets[1]]));
    let second = 2 + usize::from(u16::from_be_bytes([octets[first], octets[first + 1]]));
    assert_eq!(octets.len(), first + second);
}

/// RFC 7828 §3.3.2: the time that counts for this connection. Once it was that of connections without `timeouts`.
#[test]
fn keepalive_tells_the_idle_time_of_timeouts() {
    let mut question = Question::new("example.org.", Rtype::A);
    question.options = vec![(11, Vec::new())];
    for (idle, told) in [("30", 300_u16), ("1500ms", 15), ("24h", u16::MAX)] {
        let corefile =
            format!(".:PORT {{\n    bind 127.0.0.1\n    timeouts {{\n        idle {idle}\n    }}\n    whoami\n}}\n");
        let program = Program::start(&corefile, &[]);
        let answer = exchange_tcp(program.dns(), &[question.message()]).remove(0);
        let option = [&[0, 11, 0, 2][..], &told.to_be_bytes()].concat();
        assert!(answer.ends_with(&option), "idle {idle}: {answer:x?}");
    }
}

#[test]
fn multisocket_sets_the_number_of_workers() {
    let program = Program::start(".:PORT {\n    bind 127.0.0.1\n    debug\n    multisocket 3\n    whoami\n}\n", &[]);
    assert!(program.text().contains("with 3 workers"), "{}", program.text());
}

#[test]
fn a_fault_in_a_process_wide_plugin_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |line: u32, message: &str| format!("Corefile:{line} - Error during parsing: {message}");
    for (directive, why) in [
        ("health 8080", "plugin/health: address 8080: missing port in address".into()),
        ("health {\nlameduck 5\n}", "plugin/health: ".to_owned() + &at(3, "time: missing unit in duration \"5\"")),
        ("health {\nfrob\n}", "plugin/health: ".to_owned() + &at(3, "unknown property 'frob'")),
        ("ready {\nmonitor never\n}", "plugin/ready: ".to_owned() + &at(3, "invalid monitor type 'never'")),
        ("ready\nready", "plugin/ready: this plugin can only be used once per Server Block".into()),
        (
            "prometheus a b",
            "plugin/prometheus: ".to_owned() + &at(2, "Wrong argument count or unexpected line ending after 'b'"),
        ),
        ("debug on", "plugin/debug: ".to_owned() + &at(2, "Wrong argument count or unexpected line ending after 'on'")),
        ("multisocket 0", "plugin/multisocket: ".to_owned() + &at(2, "num sockets '0' is not from 1 to 1024")),
        ("multisocket x", "plugin/multisocket: ".to_owned() + &at(2, "invalid num sockets: 'x'")),
        ("reload 1s", "plugin/reload: interval value must be greater or equal to 2s".into()),
        ("reload 2s 1ms", "plugin/reload: jitter value must be 0 or greater or equal to 1s".into()),
        ("timeouts", "plugin/timeouts: ".to_owned() + &at(2, "timeouts block with no timeouts specified")),
        ("timeouts {\nidle 25h\n}", "plugin/timeouts: ".to_owned() + &at(3, "timeout '25h' is not from 1s to 24h")),
        ("timeouts {\nread 0\n}", "plugin/timeouts: ".to_owned() + &at(3, "timeout '0' is not from 1s to 24h")),
    ] {
        std::fs::write(folder.path().join("Corefile"), format!(".:0 {{\n{directive}\nwhoami\n}}\n")).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1), "{directive}: {stderr}");
        assert!(stderr.contains(&why), "{directive}: {stderr}");
    }
}

#[test]
fn metrics_are_served_over_tls_with_the_certificate_of_the_web_configuration() {
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types};

    let metrics = free_port();
    let made = rcgen::generate_simple_self_signed(["dns.example.org".to_owned()]).unwrap();
    let corefile = format!(
        ".:PORT {{\n    bind 127.0.0.1\n    prometheus 127.0.0.1:{metrics} {{\n        tls web.yml\n    }}\n    whoami\n}}\n"
    );
    let web = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";
    let files = [("web.yml", web), ("cert.pem", &made.cert.pem()), ("key.pem", &made.signing_key.serialize_pem())];
    let mut program = Program::start(&corefile, &files);
    let ask = || {
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = std::sync::Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let name = pki_types::ServerName::try_from("dns.example.org").unwrap();
        let mut stream =
            StreamOwned::new(ClientConnection::new(config, name).unwrap(), TcpStream::connect(("127.0.0.1", metrics))?);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: dns.example.org\r\nConnection: close\r\n\r\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).map(|_| reply)
    };
    let reply = ask().unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.contains("coredns_dns_requests_total"), "{reply}");
    assert!(get(metrics, "/metrics").is_none(), "plain HTTP");

    // A key that is not there changes nothing; without `tls` the same address speaks plain HTTP.
    let file = program.folder.path().join("Corefile");
    let corefile = std::fs::read_to_string(&file).unwrap();
    std::fs::write(program.folder.path().join("other.yml"), web.replace("key.pem", "none.pem")).unwrap();
    std::fs::write(&file, corefile.replace("web.yml", "other.yml")).unwrap();
    program.signal("USR1");
    program.wait("it has failed", |program| program.text().contains("plugin/prometheus: none.pem: No such file"));
    assert!(ask().is_ok());
    std::fs::write(&file, corefile.replace("tls web.yml", "")).unwrap();
    program.signal("USR1");
    program.wait("it speaks plain HTTP", |_| get(metrics, "/metrics").is_some_and(|(status, _)| status == 200));
    std::fs::write(&file, &corefile).unwrap();
    program.signal("USR1");
    program.wait("it speaks TLS again", |_| ask().is_ok());
    for (tls, why) in [
        ("tls none.yml", "none.yml: No such file or directory (os error 2)"),
        ("tls", "Wrong argument count or unexpected line ending after 'tls'"),
        ("tls web.yml\n        tls web.yml", "tls is given twice"),
    ] {
        std::fs::write(&file, corefile.replace("tls web.yml", tls)).unwrap();
        let (code, _, stderr) = run(program.folder.path(), &["-conf", "Corefile"]);
        assert!(
            code == Some(1) && stderr.starts_with("plugin/prometheus: Corefile:") && stderr.contains(why),
            "{stderr}"
        );
    }
}
