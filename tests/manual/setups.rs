//! The plugins and set-ups that the manual shows.

use std::net::SocketAddr;

use domain::base::Message;
use domain::base::iana::{Class, Rcode};
use store::Rtype;

use super::{DB_EXAMPLE_ORG, Memory, answers, fault};
use crate::cases::describe;
use crate::forward::{Upstream, answer, found};
use crate::support::{Program, Question, exchange_tcp, exchange_udp, free_port, get, samples};

/// A resolver that says which one it is, and how often it was asked.
fn resolver(number: u8) -> Upstream {
    Upstream::start(move |message, _| vec![answer(message, [0, 0x80], &[number], 60)])
}

/// `whoami` answers with the client's address and port in the additional section, whatever is asked.
#[test]
fn m49_whoami_tells_who_asked() {
    let mut server = Memory::start("example.org {\n whoami\n}\n", &[]);
    for qtype in [Rtype::A, Rtype::MX, Rtype::TXT] {
        let expected =
            ["NOERROR aa", "www.example.org. 0 IN A 192.0.2.99", "_udp.www.example.org. 0 IN SRV 0 0 5353 ."];
        assert_eq!(server.ask("www.example.org.", qtype), expected);
    }
}

/// `chaos VERSION AUTHORS` tells version and authors in class CH, without authority.
#[test]
fn m50_chaos_tells_version_and_authors() {
    let program = Program::start(".:PORT {\n    bind 127.0.0.1\n    chaos CoreDNS-001 info@coredns.io\n}\n", &[]);
    for (qname, text) in
        [("version.bind.", "CoreDNS-001"), ("version.server.", "CoreDNS-001"), ("authors.bind.", "info@coredns.io")]
    {
        let question = Question { qclass: Class::CH, ..Question::new(qname, Rtype::TXT) };
        let reply = program.ask(&question);
        let message = Message::from_octets(&reply[..]).unwrap();
        assert!(!message.header().aa());
        assert_eq!(answers(&reply), [format!("{qname} 0 CH TXT \"{text}\"")]);
    }
    let question = Question { qclass: Class::CH, ..Question::new("other.bind.", Rtype::TXT) };
    let reply = program.ask(&question);
    assert_eq!(Message::from_octets(&reply[..]).unwrap().header().rcode(), Rcode::REFUSED);
}

/// `file db.example.org` serves the zone over UDP and TCP, and `log` writes each query.
#[test]
fn m51_file_serves_db_example_org() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db.example.org\n    log\n}\n.:PORT {\n    bind 127.0.0.1\n    chaos\n}\n";
    let mut program = Program::start(corefile, &[("db.example.org", DB_EXAMPLE_ORG)]);
    let soa = program.ask(&Question::new("example.org.", Rtype::SOA));
    assert_eq!(
        answers(&soa),
        ["example.org. 3600 IN SOA sns.dns.icann.org. noc.dns.icann.org. 2017042745 7200 3600 1209600 3600"]
    );
    let tcp = exchange_tcp(program.dns(), &[Question::new("www.example.org.", Rtype::AAAA).message()]);
    assert_eq!(answers(&tcp[0]), ["www.example.org. 3600 IN AAAA ::1"]);
    for query in ["\"SOA IN example.org. udp", "\"AAAA IN www.example.org. tcp"] {
        program.wait("the query is logged", |program| program.text().contains(query));
    }
    let text = program.text();
    let line = text.lines().find(|line| line.contains("\"SOA IN example.org. udp")).unwrap();
    assert!(line.starts_with("[INFO] 127.0.0.1:"), "{line}");
    assert!(line.contains(" - 43981 \"SOA IN example.org. udp 29 false 512\" NOERROR qr,aa "), "{line}");
    assert!(line.ends_with('s'), "{line}");
}

/// `hosts` answers A, AAAA and PTR from lines of the Corefile and from its file.
#[test]
fn m52_hosts_answers_from_its_lines_and_its_file() {
    let text = "example.org 192.0.2.0/24 {\n hosts FOLDER/hosts {\n 192.0.2.1 www.example.org alias.example.org\n ttl 60\n fallthrough\n }\n whoami\n}\n";
    let mut server =
        Memory::start(text, &[("hosts", "# hosts\n2001:db8::1 www.example.org\n192.0.2.9 file.example.org\n")]);
    assert_eq!(server.ask("www.example.org.", Rtype::A)[1], "www.example.org. 60 IN A 192.0.2.1");
    assert_eq!(server.ask("WWW.example.org.", Rtype::AAAA)[1], "WWW.example.org. 60 IN AAAA 2001:db8::1");
    assert_eq!(
        server.ask("9.2.0.192.in-addr.arpa.", Rtype::PTR)[1],
        "9.2.0.192.in-addr.arpa. 60 IN PTR file.example.org."
    );
    assert_eq!(server.ask("www.example.org.", Rtype::MX), ["NOERROR aa"]);
    assert_eq!(server.ask("other.example.org.", Rtype::A)[1], "other.example.org. 0 IN A 192.0.2.99");
}

/// `health`, `ready` and `prometheus` answer over HTTP at their paths, and there alone.
#[test]
fn m53_health_readiness_and_metrics_are_told_over_http() {
    let [health, ready, metrics] = [(); 3].map(|()| free_port());
    let corefile = format!(
        ".:PORT {{\n    bind 127.0.0.1\n    health 127.0.0.1:{health}\n    ready 127.0.0.1:{ready}\n    prometheus 127.0.0.1:{metrics}\n    whoami\n}}\n"
    );
    let program = Program::start(&corefile, &[]);
    assert_eq!(get(health, "/health"), Some((200, "OK".into())));
    assert_eq!(get(ready, "/ready"), Some((200, "OK".into())));
    assert_eq!(get(health, "/ready").map(|(status, _)| status), Some(404));
    program.ask(&Question::new("example.org.", Rtype::A));
    let counted = samples(metrics, "coredns_dns_requests_total");
    assert!(counted.iter().any(|sample| sample.contains("zone=\".\"") && sample.contains("type=\"A\"")), "{counted:?}");
}

/// `bind` limits a block to an address, so that one zone and port may be served differently on two.
#[test]
fn m54_bind_limits_a_block_to_an_address() {
    let block = |address: &str, version: &str| format!(".:PORT {{\n    bind {address}\n    chaos {version}\n}}\n");
    let program = Program::start(&(block("127.0.0.1", "ONE") + &block("127.0.0.2", "TWO")), &[]);
    let question = Question { qclass: Class::CH, ..Question::new("version.bind.", Rtype::TXT) };
    for (address, version) in [("127.0.0.1", "ONE"), ("127.0.0.2", "TWO")] {
        let server = SocketAddr::new(address.parse().unwrap(), program.port);
        let reply = exchange_udp(server, &question.message(), 20_000).expect("an answer");
        assert_eq!(answers(&reply), [format!("version.bind. 0 CH TXT \"{version}\"")]);
    }
    assert!(
        exchange_udp(SocketAddr::new("127.0.0.3".parse().unwrap(), program.port), &question.message(), 100).is_none()
    );
}

/// Four blocks on two ports each answer for their zone, and the root block for the rest of its port.
#[test]
fn m55_four_blocks_each_answer_for_their_zone() {
    let zone = |apex: &str| DB_EXAMPLE_ORG.replace("example.org.", apex);
    let text = "example.com:1053 {\n file FOLDER/db.example.com\n}\nexample.org {\n file FOLDER/db.example.org\n log\n errors\n}\nexample.net {\n file FOLDER/db.example.net\n}\n. {\n chaos\n whoami\n log\n errors\n}\n";
    let files = ["example.com", "example.org", "example.net"]
        .map(|zone_name| (format!("db.{zone_name}"), zone(&format!("{zone_name}."))));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&name[..], &text[..])).collect();
    let mut server = Memory::start(text, &files);
    for zone in ["example.org.", "example.net."] {
        assert_eq!(server.ask(&format!("www.{zone}"), Rtype::A)[1], format!("www.{zone} 3600 IN A 127.0.0.1"));
    }
    let question = Question::new("www.example.com.", Rtype::A);
    assert_eq!(server.at(1053, &question)[1], "www.example.com. 3600 IN A 127.0.0.1");
    assert_eq!(server.at(53, &question)[1], "www.example.com. 0 IN A 192.0.2.99");
    assert_eq!(server.at(1053, &Question::new("www.example.org.", Rtype::A)), ["REFUSED"]);
}

/// `forward . RESOLVER` passes on what a resolver answers, and `cache` keeps it.
#[test]
fn m56_forward_and_cache_stand_in_front_of_a_resolver() {
    let resolver = resolver(7);
    let corefile = format!(
        ".:PORT {{\n    bind 127.0.0.1\n    forward . 127.0.0.1:{}\n    cache\n    log\n    errors\n}}\n",
        resolver.port
    );
    let mut program = Program::start(&corefile, &[]);
    for _ in 0..5 {
        let question = Question { recursion_desired: true, ..Question::new("www.example.com.", Rtype::A) };
        let reply = program.ask(&question);
        assert_eq!(describe(&reply).status, ["NOERROR", "rd", "ra"]);
        assert_eq!(found(&reply), "7");
    }
    assert_eq!(resolver.count("www.example.com."), 1);
    program.wait("each is logged", |program| program.text().matches("\"A IN www.example.com. udp").count() == 5);
}

/// Asks for names that are split between two resolvers by a Corefile.
fn split(corefile: impl Fn(&str, &str) -> String) {
    let (inside, outside) = (resolver(1), resolver(2));
    let to = |resolver: &Upstream| format!("127.0.0.1:{}", resolver.port);
    let program = Program::start(&corefile(&to(&inside), &to(&outside)), &[]);
    for (qname, expected) in [
        ("www.example.org.", "1"),
        ("EXAMPLE.org.", "1"),
        ("www.example.net.", "2"),
        ("notexample.org.", "2"),
        ("org.", "2"),
    ] {
        for _ in 0..2 {
            assert_eq!(found(&program.ask(&Question::new(qname, Rtype::A))), expected, "{qname}");
        }
    }
    assert_eq!((inside.count("www.example.org."), outside.count("www.example.net.")), (1, 1));
}

/// Several `forward` lines in one block split names by zone.
#[test]
fn m57_names_are_split_by_zone_between_lines() {
    split(|inside, outside| {
        format!(
            ".:PORT {{\n    bind 127.0.0.1\n    forward example.org {inside}\n    forward . {outside}\n    cache\n}}\n"
        )
    });
}

/// So do several blocks with one `forward` line each.
#[test]
fn m58_names_are_split_by_zone_between_blocks() {
    split(|inside, outside| {
        let block =
            |zone: &str, to: &str| format!("{zone}:PORT {{\n    bind 127.0.0.1\n    forward . {to}\n    cache\n}}\n");
        block("example.org", inside) + &block(".", outside)
    });
}

/// A zone of one's own is answered with authority, and the rest is forwarded.
#[test]
fn m59_a_zone_of_ones_own_is_answered_and_the_rest_forwarded() {
    let resolver = resolver(7);
    let corefile = format!(
        "example.org:PORT {{\n    bind 127.0.0.1\n    file db.example.org\n    log\n}}\n.:PORT {{\n    bind 127.0.0.1\n    forward . 127.0.0.1:{}\n    cache 30\n}}\n",
        resolver.port
    );
    let program = Program::start(&corefile, &[("db.example.org", DB_EXAMPLE_ORG)]);
    let status = |qname: &str| describe(&program.ask(&Question::new(qname, Rtype::A))).status.join(" ");
    assert_eq!(status("www.example.org."), "NOERROR aa");
    assert_eq!(status("nx.example.org."), "NXDOMAIN aa");
    assert_eq!(status("www.example.com."), "NOERROR ra");
    assert_eq!(resolver.count("www.example.org.") + resolver.count("nx.example.org."), 0);
}

/// Plugins that are not built in are unknown, also those that the manual shows set-ups of.
#[test]
fn m60_plugins_that_are_not_built_in_are_unknown() {
    for name in [
        "kubernetes",
        "unbound",
        "redis",
        "k8s_external",
        "autopath",
        "route53",
        "azure",
        "clouddns",
        "nomad",
        "trace",
        "rewrite",
        "view",
        "metadata",
        "dns64",
        "dnstap",
        "proxyproto",
        "etcd",
        "secondary",
        "transfer",
        "tsig",
        "dnssec",
        "sign",
    ] {
        assert!(!engine::plugin::names().contains(&name), "{name}");
        let error = format!("Corefile:3 - Error during parsing: Unknown directive '{name}'");
        assert_eq!(fault(&format!(". {{\n cache\n {name} example.org\n whoami\n}}\n")), error);
    }
}
