//! The examples that a Corefile user knows, against the real program.

use domain::base::Message;
use domain::base::iana::{Class, Rcode};
use store::Rtype;

use crate::cases::describe;
use crate::forward::{Upstream, answer, found};
use crate::support::{Program, Question, exchange_tcp, free_port, run};

/// The zone file of the manual.
const DB_EXAMPLE_ORG: &str = "\
$ORIGIN example.org.
@\t3600 IN\tSOA sns.dns.icann.org. noc.dns.icann.org. 2017042745 7200 3600 1209600 3600
\t3600 IN NS a.iana-servers.net.
\t3600 IN NS b.iana-servers.net.

www     IN A     127.0.0.1
        IN AAAA  ::1
";

fn answers(message: &[u8]) -> Vec<String> {
    describe(message).sections.remove("answer").unwrap_or_default()
}

#[test]
fn file_serves_db_example_org() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db.example.org\n    log\n}\n.:PORT {\n    bind 127.0.0.1\n    chaos\n}\n";
    let mut program = Program::start(corefile, &[("db.example.org", DB_EXAMPLE_ORG)]);
    let soa = program.ask(&Question::new("example.org.", Rtype::SOA));
    assert_eq!(
        answers(&soa),
        ["example.org. 3600 IN SOA sns.dns.icann.org. noc.dns.icann.org. 2017042745 7200 3600 1209600 3600"]
    );
    let tcp = exchange_tcp(program.dns(), &[Question::new("www.example.org.", Rtype::AAAA).message()]);
    assert_eq!(answers(&tcp[0]), ["www.example.org. 3600 IN AAAA ::1"]);
    program.wait("the query is logged", |program| program.text().contains("\"AAAA IN www.example.org. tcp"));
    let text = program.text();
    let line = text.lines().find(|line| line.contains("\"SOA IN example.org. udp")).unwrap();
    assert!(line.starts_with("[INFO] 127.0.0.1:"), "{line}");
    assert!(line.contains(" - 43981 \"SOA IN example.org. udp 29 false 512\" NOERROR qr,aa "), "{line}");
    assert!(line.ends_with('s'), "{line}");
}

#[test]
fn four_blocks_each_answer_for_their_zone() {
    let (first, second) = (free_port(), free_port());
    let zone = |apex: &str| DB_EXAMPLE_ORG.replace("example.org.", apex);
    let corefile = "\
example.com:FIRST {
    bind 127.0.0.1
    file db.example.com
}
example.org:PORT {
    bind 127.0.0.1
    log
    errors
    file db.example.org
}
example.net:PORT {
    bind 127.0.0.1
    file db.example.net
}
.:PORT {
    bind 127.0.0.1
    chaos
    whoami
    log
    errors
}
"
    .replace("FIRST", &first.to_string());
    let _ = second;
    let files = ["example.com", "example.org", "example.net"]
        .map(|zone_name| (format!("db.{zone_name}"), zone(&format!("{zone_name}."))));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&name[..], &text[..])).collect();
    let program = Program::start(&corefile, &files);
    for zone in ["example.org.", "example.net."] {
        let reply = program.ask(&Question::new(&format!("www.{zone}"), Rtype::A));
        assert_eq!(answers(&reply), [format!("www.{zone} 3600 IN A 127.0.0.1")]);
    }
    // On this port example.com belongs to the root block, on its own port to its file.
    let reply = program.ask(&Question::new("www.example.com.", Rtype::A));
    assert!(describe(&reply).sections["additional"][0].starts_with("www.example.com. 0 IN A 127.0.0.1"));
    let reply = crate::support::exchange_udp(
        ([127, 0, 0, 1], first).into(),
        &Question::new("www.example.com.", Rtype::A).message(),
        5000,
    );
    assert_eq!(answers(&reply.unwrap()), ["www.example.com. 3600 IN A 127.0.0.1"]);
    let text = program.text();
    let served: Vec<&str> = text.lines().filter(|line| line.contains(" on 127.0.0.1")).collect();
    let port = program.port;
    assert_eq!(
        served,
        [
            format!(".:{port} on 127.0.0.1"),
            format!("example.com.:{first} on 127.0.0.1"),
            format!("example.net.:{port} on 127.0.0.1"),
            format!("example.org.:{port} on 127.0.0.1")
        ]
    );
}

#[test]
fn without_a_corefile_it_says_who_asked() {
    let port = free_port();
    let mut program = Program::run(tempfile::tempdir().unwrap(), port, &["-dns.port", &port.to_string()]);
    let reply = program.ask(&Question::new("example.org.", Rtype::MX));
    let found = describe(&reply);
    assert_eq!(found.status, ["NOERROR", "aa"]);
    let additional = &found.sections["additional"];
    assert_eq!(additional[0], "example.org. 0 IN A 127.0.0.1");
    assert!(additional[1].starts_with("_udp.example.org. 0 IN SRV 0 0 "), "{additional:?}");
    assert!(!found.sections.contains_key("answer"));
    program.wait("the query is logged", |program| program.text().contains("\"MX IN example.org. udp 29"));
    assert!(program.text().contains(&format!(".:{port}\nzonda-")));
    assert_eq!(program.end("TERM"), Some(0));
}

#[test]
fn chaos_tells_version_and_authors() {
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

#[test]
fn a_misplaced_line_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (corefile, error) in [
        ("health\n. {\n    whoami\n}\n", "Corefile:2 - Error during parsing: Unknown directive '.'"),
        (". {\n    whoami\n    foo\n}\n", "Corefile:3 - Error during parsing: Unknown directive 'foo'"),
        (". {\n    kubernetes\n}\n", "Corefile:2 - Error during parsing: Unknown directive 'kubernetes'"),
        (". {\n    cache\n    unbound\n    log\n}\n", "Corefile:3 - Error during parsing: Unknown directive 'unbound'"),
        (". {\n    redis\n}\n", "Corefile:2 - Error during parsing: Unknown directive 'redis'"),
        (".:1054 {\n whoami\n}\n.:1054 {\n whoami\n}\n", "cannot serve dns://.:1054 - it is already defined"),
        (". {\n    log . {common} {\n        class foo\n    }\n}\n", "plugin/log: invalid Class: foo"),
        (". {\n    bind nowhere0\n}\n", "plugin/bind: not a valid IP address or interface name: \"nowhere0\""),
        (
            ". {\n    file\n}\n",
            "plugin/file: Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'file'",
        ),
        (
            "example.org {\n    file db.example.org {\n        frobnicate\n    }\n}\n",
            "plugin/file: Corefile:3 - Error during parsing: unknown property 'frobnicate'",
        ),
    ] {
        std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1), "{corefile}{stderr}");
        assert!(stderr.contains(error), "{corefile}{stderr}");
    }
}

/// A resolver that says which one it is, and how often it was asked.
fn resolver(number: u8) -> Upstream {
    Upstream::start(move |message, _| vec![answer(message, [0, 0x80], &[number], 60)])
}

#[test]
fn forward_and_cache_stand_in_front_of_a_resolver() {
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

#[test]
fn names_are_split_by_zone_between_lines_and_between_blocks() {
    let (inside, outside) = (resolver(1), resolver(2));
    let (to, hosts) = (format!("127.0.0.1:{}", inside.port), format!("127.0.0.1:{}", outside.port));
    let lines =
        format!(".:PORT {{\n    bind 127.0.0.1\n    forward example.org {to}\n    forward . {hosts}\n    cache\n}}\n");
    let blocks = format!(
        "example.org:PORT {{\n    bind 127.0.0.1\n    forward . {to}\n    cache\n}}\n.:PORT {{\n    bind 127.0.0.1\n    forward . {hosts}\n    cache\n}}\n"
    );
    for corefile in [lines, blocks] {
        let program = Program::start(&corefile, &[]);
        for (qname, expected) in [
            ("www.example.org.", "1"),
            ("EXAMPLE.org.", "1"),
            ("www.example.net.", "2"),
            ("notexample.org.", "2"),
            ("org.", "2"),
        ] {
            for _ in 0..2 {
                assert_eq!(found(&program.ask(&Question::new(qname, Rtype::A))), expected, "{corefile}{qname}");
            }
        }
    }
    // Once for each configuration.
    assert_eq!((inside.count("www.example.org."), outside.count("www.example.net.")), (2, 2));
}

#[test]
fn a_zone_of_ones_own_is_answered_and_the_rest_forwarded() {
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
