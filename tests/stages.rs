//! Plugins that change, limit or make up answers, each in a server in memory.

use std::net::SocketAddr;
use std::sync::Arc;

use domain::base::iana::{Class, Rtype};
use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Server, Transport, Worker, setup};
use engine::zone::Hub;

use crate::cases::lines;
use crate::support::{Question, address, server};

/// A server and its one worker.
struct Stage {
    worker: Worker,
    _server: Arc<Server>,
}

impl Stage {
    /// Serves a Corefile whose first listener is asked.
    fn new(corefile: &str) -> Self {
        let server = server(corefile);
        Self { worker: server.worker(), _server: server }
    }

    /// The answer to a question from a client over a transport, None for silence.
    fn ask(&mut self, question: &Question, client: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let message = question.message();
        let mut buffer = vec![0; 65_535];
        buffer[..message.len()].copy_from_slice(&message);
        let arrival = Arrival { client, local: address("192.0.2.53:53"), transport, listener: 0, idle: None };
        let length = self.worker.answer(&mut buffer, message.len(), &arrival)?;
        Some(buffer[..length].to_vec())
    }

    /// The answer over UDP to a client that no rule knows.
    fn udp(&mut self, question: &Question) -> Vec<u8> {
        self.ask(question, address("192.0.2.99:5353"), Transport::Udp).expect("an answer")
    }

    /// The answer as its status line followed by the records of each section.
    fn lines(&mut self, qname: &str, qtype: Rtype) -> Vec<String> {
        lines(&self.udp(&Question::new(qname, qtype)))
    }
}

/// The error of a block with these lines.
fn fault(lines: &str) -> String {
    let text = format!("example.org:0 {{\n{lines}\n}}\n");
    let corefile = match Corefile::parse_text("Corefile", &text) {
        Ok(corefile) => corefile,
        Err(why) => return why.to_string(),
    };
    let Err(faults) = setup(&corefile, &Hub::new(), &|_| None) else { panic!("{text} starts") };
    faults[0].to_string()
}

/// A folder with files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A block for example.org with its zone file and these lines.
fn with_zone(folder: &tempfile::TempDir, lines: &str) -> Stage {
    let root = folder.path().display();
    Stage::new(&format!("example.org:0 {{\n    root {root}\n    file db\n{lines}\n}}\n"))
}

/// The zone of these tests.
const ZONE: &str = "\
@ 60 SOA ns1 host 1 1h 1h 1h 60
@ 60 NS ns1
@ 60 MX 10 mail
@ 60 MX 20 mail2
@ 60 MX 30 mail3.example.net.
ns1 60 A 192.0.2.53
mail 60 A 192.0.2.25
mail2 60 A 192.0.2.26
www 60 A 192.0.2.1
www 60 A 192.0.2.2
www 60 A 192.0.2.3
www 60 A 192.0.2.4
www 60 AAAA 2001:db8::1
www 60 AAAA 2001:db8::2
alias 60 CNAME www
sub 60 NS ns.sub
ns.sub 60 A 192.0.2.54
big 60 TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big 60 TXT \"1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big 60 TXT \"2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big 60 TXT \"3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big 60 TXT \"4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
";

#[test]
fn any_answers_any_with_hinfo_and_nothing_else() {
    let mut stage = Stage::new("example.org:0 {\n    any\n    whoami\n}\n");
    let hinfo = "example.org. 8482 IN HINFO \"ANY obsoleted\" \"See RFC 8482\"";
    assert_eq!(stage.lines("example.org.", Rtype::ANY), ["NOERROR", hinfo]);
    assert_eq!(stage.lines("example.org.", Rtype::HINFO)[0], "NOERROR aa");
    assert!(fault("any x").contains("Wrong argument count or unexpected line ending after 'x'"));
}

#[test]
fn minimal_keeps_the_answer_section_of_positive_answers_only() {
    let folder = folder(&[("db", ZONE)]);
    let mut plain = with_zone(&folder, "");
    let mut minimal = with_zone(&folder, "    minimal");
    for (qname, qtype, records) in [("example.org.", Rtype::MX, 3), ("www.example.org.", Rtype::A, 4)] {
        let expected = &plain.lines(qname, qtype)[..=records];
        assert_eq!(minimal.lines(qname, qtype), expected, "{qname}");
    }
    assert!(plain.lines("example.org.", Rtype::MX).len() > 4);
    // A referral, a name error and an answer without data are their authority section.
    for (qname, qtype) in
        [("x.sub.example.org.", Rtype::A), ("nx.example.org.", Rtype::A), ("www.example.org.", Rtype::TXT)]
    {
        let whole = plain.lines(qname, qtype);
        assert_eq!(minimal.lines(qname, qtype), whole, "{qname}");
        assert!(whole.len() > 1);
    }
    assert_eq!(Stage::new(".:0 {\n    minimal\n    whoami\n}\n").lines("a.", Rtype::A), ["NOERROR aa"]);
}

#[test]
fn header_sets_and_clears_flags_and_the_later_rule_wins() {
    let flags = |stage: &mut Stage, rd: bool| {
        let reply = stage.udp(&Question { recursion_desired: rd, ..Question::new("www.example.org.", Rtype::A) });
        (reply[2] & 0x04 != 0, reply[2] & 0x01 != 0, reply[3] & 0x80 != 0)
    };
    for (rules, rd, expected) in [
        ("", true, (true, true, false)),
        ("response set ra", true, (true, true, true)),
        ("response set ra rd\nresponse clear aa", false, (false, true, true)),
        ("response set ra\nresponse clear ra", false, (true, false, false)),
        ("query clear rd", true, (true, false, false)),
        ("query set rd", false, (true, true, false)),
        ("query set aa ra\nresponse clear aa", false, (false, false, false)),
        ("set ra", false, (true, false, true)),
        ("RESPONSE SET RA", false, (true, false, true)),
    ] {
        let mut stage = Stage::new(&format!(".:0 {{\n    header {{\n{rules}\n}}\n    whoami\n}}\n"));
        assert_eq!(flags(&mut stage, rd), expected, "{rules}");
    }
    // Errors have flags, too: of a plugin that fails, and of a chain that ends.
    for behind in ["hosts {\n192.0.2.1 a.example.net\n}", "chaos", "template IN A {\nrcode REFUSED\n}"] {
        let mut stage = Stage::new(&format!(".:0 {{\n    header {{\nresponse set ra aa\n}}\n    {behind}\n}}\n"));
        assert_eq!(flags(&mut stage, true), (true, true, true), "{behind}");
    }
    for (rules, error) in [
        ("answer set ra", "invalid selector=answer should be query or response"),
        ("query", "no flag action provided"),
        ("query flip ra", "unknown flag action=flip, should be set or clear"),
        ("query set", "invalid length for flags, at least one should be provided"),
        ("query set tc", "unknown/unsupported flag=tc"),
    ] {
        let expected = format!("plugin/header: Corefile:3 - Error during parsing: setting up rule: {error}");
        assert_eq!(fault(&format!("    header {{\n{rules}\n}}")), expected);
    }
}

#[test]
fn bufsize_lowers_the_size_of_the_client_and_never_raises_it() {
    let folder = folder(&[("db", ZONE)]);
    let big = |edns_size| Question { edns_size, ..Question::new("big.example.org.", Rtype::TXT) };
    for (lines, edns_size, transport, truncated, announced) in [
        ("", Some(1232), Transport::Udp, false, Some(1232)),
        ("bufsize", Some(4096), Transport::Udp, false, Some(1232)),
        ("bufsize 512", Some(1232), Transport::Udp, true, Some(512)),
        ("bufsize 1000", Some(512), Transport::Udp, true, Some(512)),
        ("bufsize 1000", None, Transport::Udp, true, None),
        ("bufsize 512", Some(1232), Transport::Tcp, false, Some(512)),
    ] {
        let mut stage = with_zone(&folder, lines);
        let reply = stage.ask(&big(edns_size), address("192.0.2.99:5353"), transport).unwrap();
        assert_eq!(reply[2] & 0x02 != 0, truncated, "{lines} {edns_size:?}");
        let opt = reply.windows(5).rposition(|octets| octets[..3] == [0, 0, 41]);
        let size = opt.map(|at| u16::from_be_bytes([reply[at + 3], reply[at + 4]]));
        assert_eq!(size, announced, "{lines} {edns_size:?}");
    }
    for (line, error) in [
        ("bufsize x", "value provided is not an integer"),
        ("bufsize 511", "buffer size must be between 512 and 4096"),
        ("bufsize 4097", "buffer size must be between 512 and 4096"),
        ("bufsize 512 513", "Wrong argument count or unexpected line ending after '513'"),
    ] {
        assert_eq!(fault(line), format!("plugin/bufsize: Corefile:2 - Error during parsing: {error}"));
    }
}

#[test]
fn acl_judges_by_zone_type_and_client_and_the_first_rule_that_fits_counts() {
    let mut stage = Stage::new(
        "example.org:0 {\n    acl a.example.org {\n        drop type TXT net 192.0.2.0/25 203.0.113.7\n        allow net 192.0.2.5\n        block net 192.0.2.0/24\n    }\n    acl {\n        filter type AAAA any\n        BLOCK net 198.51.100.0/24 198.51.101.0/24 2001:db8::/32\n        allow net *\n        drop\n    }\n    whoami\n}\n",
    );
    let (answered, refused, filtered) = (Some("NOERROR aa"), Some("REFUSED"), Some("NOERROR"));
    for (qname, qtype, client, expected) in [
        ("a.example.org.", Rtype::TXT, "192.0.2.127", None),
        ("x.a.example.org.", Rtype::TXT, "203.0.113.7", None),
        ("a.example.org.", Rtype::TXT, "192.0.2.128", refused),
        ("a.example.org.", Rtype::TXT, "203.0.113.8", answered),
        ("a.example.org.", Rtype::A, "192.0.2.5", answered),
        // Allowed by the first line, so the second is not asked.
        ("a.example.org.", Rtype::AAAA, "192.0.2.5", answered),
        ("a.example.org.", Rtype::AAAA, "203.0.113.8", filtered),
        ("b.example.org.", Rtype::TXT, "192.0.2.127", answered),
        ("b.example.org.", Rtype::ANY, "192.0.2.127", filtered),
        ("b.example.org.", Rtype::A, "198.51.101.255", refused),
        ("b.example.org.", Rtype::A, "::ffff:198.51.100.1", refused),
        ("b.example.org.", Rtype::A, "198.51.102.0", answered),
        ("b.example.org.", Rtype::A, "2001:db8:ffff::1", refused),
        ("b.example.org.", Rtype::A, "2001:db9::1", answered),
    ] {
        let client = SocketAddr::new(client.parse().unwrap(), 5353);
        for transport in [Transport::Udp, Transport::Tcp] {
            let reply = stage.ask(&Question::new(qname, qtype), client, transport);
            let found = reply.as_deref().map(lines);
            assert_eq!(found.as_ref().map(|lines| &lines[0][..]), expected, "{qname} {qtype} {client}");
            assert!(expected == answered || found.is_none_or(|lines| lines.len() == 1), "{qname} {qtype} {client}");
        }
    }
    for (rule, error) in [
        ("deny", "unexpected token \"deny\"; expect 'allow', 'block', 'filter' or 'drop'"),
        ("block foo", "unexpected token \"foo\"; expect 'type | net'"),
        ("block type", "no token specified in \"type\" section"),
        ("block type net 192.0.2.1", "no token specified in \"type\" section"),
        ("block type FOO", "unexpected token \"FOO\"; expect legal QTYPE"),
        ("block net 192.0.2.0/33", "illegal CIDR notation \"192.0.2.0/33\""),
    ] {
        let expected = format!("plugin/acl: Corefile:3 - Error during parsing: {error}");
        assert_eq!(fault(&format!("    acl {{\n{rule}\n}}")), expected);
    }
}

/// The first record of each of many answers, sorted and once each; all answers hold the same records.
fn firsts(stage: &mut Stage, qname: &str, qtype: Rtype) -> Vec<String> {
    let mut whole = stage.lines(qname, qtype);
    whole.sort();
    let mut firsts = Vec::new();
    for _ in 0..300 {
        let mut next = stage.lines(qname, qtype);
        firsts.push(next[1].clone());
        next.sort();
        assert_eq!(next, whole);
    }
    firsts.sort();
    firsts.dedup();
    firsts
}

#[test]
fn loadbalance_puts_each_address_and_exchanger_first_and_keeps_the_records() {
    let folder = folder(&[("db", ZONE)]);
    let mut stage = with_zone(&folder, "    loadbalance");
    assert_eq!(firsts(&mut stage, "www.example.org.", Rtype::A).len(), 4);
    assert_eq!(firsts(&mut stage, "www.example.org.", Rtype::AAAA).len(), 2);
    // The names of the additional section point into the exchangers, which change their places.
    assert_eq!(firsts(&mut stage, "example.org.", Rtype::MX).len(), 3);
    // The alias stays in front.
    assert_eq!(firsts(&mut stage, "alias.example.org.", Rtype::A), ["alias.example.org. 60 IN CNAME www.example.org."]);
    let mut plain = with_zone(&folder, "");
    assert_eq!(firsts(&mut plain, "www.example.org.", Rtype::A).len(), 1);
}

#[test]
fn loadbalance_prefers_addresses_and_weighs_them() {
    let weights = "www.example.org\n192.0.2.1 1\n192.0.2.2 255\n192.0.2.3 255\n192.0.2.4 1\n";
    let folder = folder(&[("db", ZONE), ("weights", weights)]);
    let mut stage = with_zone(&folder, "    loadbalance {\n        prefer 192.0.2.3 192.0.2.0/30\n    }");
    for _ in 0..50 {
        let lines = stage.lines("www.example.org.", Rtype::A);
        assert!(lines[1].ends_with(" 192.0.2.3") && lines[4].ends_with(" 192.0.2.4"), "{lines:?}");
    }
    let mut stage = with_zone(&folder, "    loadbalance weighted weights");
    let mut heavy = 0;
    for _ in 0..400 {
        let first = &stage.lines("www.example.org.", Rtype::A)[1];
        heavy += u32::from(first.ends_with(" 192.0.2.2") || first.ends_with(" 192.0.2.3"));
    }
    // 510 of 512 parts: fewer than 360 of 400 would be the chance of all atoms.
    assert!(heavy > 360, "{heavy}");
    assert_eq!(firsts(&mut stage, "www.example.org.", Rtype::AAAA).len(), 2);
    assert_eq!(firsts(&mut stage, "example.org.", Rtype::MX).len(), 1);
    for (lines, error) in [
        ("loadbalance random", "Corefile:2 - Error during parsing: unknown policy: random"),
        ("loadbalance weighted", "Corefile:2 - Error during parsing: missing weight file argument"),
        ("loadbalance round_robin x", "Corefile:2 - Error during parsing: unexpected argument 'x'"),
        ("loadbalance {\nreload 5s\n}", "Corefile:3 - Error during parsing: unknown property 'reload'"),
        ("loadbalance {\nprefer 192.0.2.0/40\n}", "Corefile:3 - Error during parsing: invalid CIDR \"192.0.2.0/40\""),
        (
            "loadbalance weighted /nowhere/weights",
            "Corefile:2 - Error during parsing: /nowhere/weights: No such file or directory (os error 2)",
        ),
        ("loadbalance\nloadbalance", "this plugin can only be used once per Server Block"),
    ] {
        assert_eq!(fault(lines), format!("plugin/loadbalance: {error}"));
    }
}

#[test]
fn hosts_answers_from_its_file_and_from_lines_of_the_corefile() {
    let folder = folder(&[("hosts", "192.0.2.1 www.example.org\n192.0.2.7 www.example.net other.example.com\n")]);
    let root = folder.path().display();
    let mut stage = Stage::new(&format!(
        "example.org:0 example.net:0 192.0.2.0/24:0 {{\n    root {root}\n    hosts hosts example.org example.net {{\n        192.0.2.2 WWW.example.org\n        2001:db8::1 www.example.org\n        192.0.2.3 *.apps.example.org\n        ttl 60\n        fallthrough a.example.org example.net\n        fallthrough_unsupported\n    }}\n    whoami\n}}\n"
    ));
    let a = |host| format!("www.example.org. 60 IN A 192.0.2.{host}");
    assert_eq!(stage.lines("www.example.org.", Rtype::A), ["NOERROR aa".into(), a(1), a(2)]);
    assert_eq!(stage.lines("WWW.example.org.", Rtype::AAAA), ["NOERROR aa", "WWW.example.org. 60 IN AAAA 2001:db8::1"]);
    assert_eq!(stage.lines("x.apps.example.org.", Rtype::A), ["NOERROR aa", "x.apps.example.org. 60 IN A 192.0.2.3"]);
    assert_eq!(stage.lines("x.apps.example.org.", Rtype::AAAA), ["NOERROR aa"]);
    assert_eq!(stage.lines("www.example.org.", Rtype::TXT), ["NOERROR aa"]);
    for qname in ["x.y.apps.example.org.", "apps.example.org.", "nx.example.org."] {
        assert_eq!(stage.lines(qname, Rtype::A), ["SERVFAIL"], "{qname}");
    }
    // whoami, which is next, has records in the additional section.
    for (qname, qtype) in
        [("a.example.org.", Rtype::A), ("nx.example.net.", Rtype::A), ("www.example.net.", Rtype::TXT)]
    {
        assert_eq!(stage.lines(qname, qtype).len(), 3, "{qname}");
    }
    let ptr = |name| format!("7.2.0.192.in-addr.arpa. 60 IN PTR {name}");
    assert_eq!(
        stage.lines("7.2.0.192.in-addr.arpa.", Rtype::PTR),
        ["NOERROR aa".into(), ptr("www.example.net.")],
        "names outside the zones are not taken"
    );
    for qname in ["8.2.0.192.in-addr.arpa.", "3.2.0.192.in-addr.arpa.", "07.2.0.192.in-addr.arpa."] {
        assert_eq!(stage.lines(qname, Rtype::PTR).len(), 3, "{qname} is for the next plugin");
    }
    assert_eq!(stage.lines("7.2.0.192.in-addr.arpa.", Rtype::A).len(), 3);
    let mut stage = Stage::new(
        "ip6.arpa:0 {\n    hosts /nowhere/hosts . {\n        2001:db8::1 www.example.org\n    }\n}\n.:0 {\n    whoami\n}\n",
    );
    let reverse = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    assert_eq!(
        stage.lines(reverse, Rtype::PTR),
        ["NOERROR aa".into(), format!("{reverse} 3600 IN PTR www.example.org.")]
    );
}

#[test]
fn hosts_says_what_is_wrong_with_its_lines() {
    for (lines, error) in [
        ("ttl", "ttl needs a time in second"),
        ("ttl x", "ttl needs a number of second"),
        ("ttl 0", "ttl provided is invalid"),
        ("ttl 65536", "ttl provided is invalid"),
        ("reload", "reload needs a duration (zero seconds to disable)"),
        ("reload -5s", "invalid duration for reload '-5s'"),
        ("frobnicate", "unknown property 'frobnicate'"),
        ("fallthrough_unsupported", "fallthrough_unsupported requires fallthrough"),
        ("no_reverse x", "Wrong argument count or unexpected line ending after 'x'"),
    ] {
        let expected = format!("plugin/hosts: Corefile:3 - Error during parsing: {error}");
        assert_eq!(fault(&format!("    hosts {{\n{lines}\n}}")), expected);
    }
    assert_eq!(
        fault("    hosts {\nfallthrough\n192.0.2.1 a.example.org\n}"),
        "plugin/hosts: Corefile:4 - Error during parsing: unknown property '192.0.2.1'"
    );
    let folder = folder(&[]);
    assert!(fault(&format!("    hosts {}", folder.path().display())).contains("unable to access hosts file"));
    assert!(fault("    hosts\n    hosts").contains("this plugin can only be used once per Server Block"));
}

#[test]
fn auto_takes_zones_from_the_names_of_files() {
    let zone = "@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n";
    let folder = folder(&[("org-example.zone", zone), ("com-example.zone", zone), ("readme.txt", "no zone")]);
    let root = folder.path().display();
    let mut stage = Stage::new(&format!(
        ".:0 {{\n    root {root}\n    auto org net {{\n        directory . ^(?P<tld>\\w+)-(.*)\\.zone$ {{2}}.{{tld}}\n    }}\n    whoami\n}}\n"
    ));
    assert_eq!(stage.lines("ns1.example.org.", Rtype::A)[1], "ns1.example.org. 60 IN A 192.0.2.53");
    assert_eq!(stage.lines("nx.example.org.", Rtype::A)[0], "NXDOMAIN aa");
    // com is none of its zones, and there is no file for example.net.
    for qname in ["ns1.example.com.", "example.net.", "."] {
        assert!(stage.lines(qname, Rtype::A)[1].ends_with(" 0 IN A 192.0.2.99"), "{qname}");
    }
    for (line, error) in [
        ("directory", "Wrong argument count or unexpected line ending after 'directory'"),
        ("directory . (.*)", "Wrong argument count or unexpected line ending after '(.*)'"),
        ("directory . .* {1}", "Need at least one sub expression"),
        ("reload", "reload duration value is expected"),
        ("reload 5", "time: missing unit in duration \"5\""),
        ("frobnicate", "unknown property 'frobnicate'"),
    ] {
        let expected = format!("plugin/auto: Corefile:3 - Error during parsing: {error}");
        assert_eq!(fault(&format!("    auto {{\n{line}\n}}")), expected);
    }
    assert!(
        fault("    auto {\ndirectory . (x {1}\n}").contains("plugin/auto: Corefile:3 - Error during parsing: regex")
    );
}

/// The code and the text of the extended error of an answer (RFC 8914 §2).
fn extended_error(message: &[u8]) -> Option<(u16, String)> {
    let message = domain::base::Message::from_octets(message).unwrap();
    let opt = message.opt()?;
    let error = opt.opt().iter::<domain::base::opt::ExtendedError<&[u8]>>().next()?.unwrap();
    let text = error.text_slice().unwrap_or_default();
    Some((error.code().to_int(), String::from_utf8_lossy(text).into_owned()))
}

#[test]
fn acl_tells_clients_with_edns_why() {
    let mut stage = Stage::new(
        "example.org:0 {\n    acl {\n        filter type AAAA\n        block type A\n    }\n    whoami\n}\n",
    );
    for (qtype, edns_size, expected) in [
        (Rtype::A, Some(1232), Some((15, String::new()))),
        (Rtype::AAAA, Some(1232), Some((17, String::new()))),
        (Rtype::A, None, None),
        (Rtype::TXT, Some(1232), None),
    ] {
        let reply = stage.udp(&Question { edns_size, ..Question::new("example.org.", qtype) });
        assert_eq!(extended_error(&reply), expected, "{qtype}");
    }
}

#[test]
fn template_writes_answers_from_the_names_of_questions() {
    let mut stage = Stage::new(
        r#"
example.org:0 in-addr.arpa:0 {
    template IN A example.org {
        match "^ip-(?P<a>10)-([0-9]+)-([0-9]+)[.]example[.]org[.]$" "^x(?P<a>[0-9a-f]{2})[.]"
        answer "{{ .Name }} 60 IN A {{ if eq .Group.a \"10\" }}10.0.{{ index .Match 2 }}.{{ .Group.3 }}{{ else }}192.0.2.{{ parseInt .Group.a 16 8 }}{{ end }}"
        additional "ns.example.org. 60 IN A 192.0.2.53"
        authority "{{ .Zone }} NS ns.{{ .Zone }}"
        fallthrough
    }
    template IN PTR in-addr.arpa {
        match ^(?P<d>[0-9]+)[.]2[.]0[.]192[.]in-addr[.]arpa[.]$
        answer "{{ .Name }} 60 IN PTR host-{{ .Group.d }}.example.org."
    }
    template IN TXT example.org {
        match ^remote
        answer "{{ .Name }} 0 IN TXT \"{{ .Remote }} {{ .Class }} {{ .Type }} {{ .Question.Qtype }}\""
        fallthrough remote2.example.org
    }
    template IN AAAA example.org {
        answer "{{ .Name }} 60 IN AAAA {{ .Name }}"
    }
    template CH ANY example.org {
        answer "{{ .Name }} 0 {{ .Class }} TXT {{ .Type }}"
    }
    template ANY SRV example.org {
        rcode SERVFAIL
    }
    template ANY ANY example.org {
        rcode NXDOMAIN
        authority "{{ .Zone }} 60 {{ .Class }} SOA ns.{{ .Zone }} host.{{ .Zone }} (1 60 60 60 60)"
        ederror 21 "Made up"
    }
    whoami
}
"#,
    );
    let rest = ["example.org. 3600 IN NS ns.example.org.", "ns.example.org. 60 IN A 192.0.2.53"];
    let soa = "example.org. 60 IN SOA ns.example.org. host.example.org. 1 60 60 60 60";
    for (qname, address) in [("ip-10-7-8.example.org.", "10.0.7.8"), ("x0f.example.org.", "192.0.2.15")] {
        let answer = format!("{qname} 60 IN A {address}");
        assert_eq!(stage.lines(qname, Rtype::A), ["NOERROR aa", &answer, rest[0], rest[1]]);
    }
    let upper = stage.lines("IP-10-7-8.Example.org.", Rtype::A);
    assert_eq!(upper[1], "IP-10-7-8.Example.org. 60 IN A 10.0.7.8", "the name is written as it was asked");
    // No pattern of the first line matches, and it falls through to the last; the second has no such word.
    assert_eq!(stage.lines("other.example.org.", Rtype::A), ["NXDOMAIN aa", soa]);
    assert_eq!(
        stage.lines("5.2.0.192.in-addr.arpa.", Rtype::PTR)[1],
        "5.2.0.192.in-addr.arpa. 60 IN PTR host-5.example.org."
    );
    assert_eq!(stage.lines("5.3.0.192.in-addr.arpa.", Rtype::PTR), ["SERVFAIL"]);
    assert_eq!(stage.lines("5.2.0.192.in-addr.arpa.", Rtype::A)[0], "NOERROR aa", "the next plugin answers");
    assert_eq!(
        stage.lines("remote.example.org.", Rtype::TXT)[1],
        "remote.example.org. 0 IN TXT \"192.0.2.99 IN TXT 16\""
    );
    assert_eq!(stage.lines("other.example.org.", Rtype::TXT), ["SERVFAIL"]);
    assert_eq!(stage.lines("x.remote2.example.org.", Rtype::TXT)[0], "NXDOMAIN aa");
    assert_eq!(stage.lines("a.example.org.", Rtype::SRV), ["SERVFAIL"]);
    // What the template writes is no record.
    assert_eq!(stage.lines("a.example.org.", Rtype::AAAA), ["SERVFAIL"]);
    let question = Question { qclass: Class::CH, ..Question::new("example.org.", Rtype::HINFO) };
    assert_eq!(lines(&stage.udp(&question)), ["NOERROR aa", "example.org. 0 CH TXT \"HINFO\""]);
    let question = Question { edns_size: Some(1232), ..Question::new("a.example.org.", Rtype::MX) };
    assert_eq!(extended_error(&stage.udp(&question)), Some((21, "Made up".into())));
}

#[test]
fn template_answers_that_do_not_fit_are_truncated() {
    let answers = "        answer \"{{ .Name }} 60 IN TXT 0123456789012345678901234567890123456789\"\n".repeat(20);
    let mut stage = Stage::new(&format!("example.org:0 {{\n    template IN TXT {{\n{answers}    }}\n}}\n"));
    assert_eq!(stage.lines("a.example.org.", Rtype::TXT), ["NOERROR aa tc"]);
    let question = Question::new("a.example.org.", Rtype::TXT);
    let whole = stage.ask(&question, address("192.0.2.99:5353"), Transport::Tcp).unwrap();
    assert_eq!(lines(&whole).len(), 21);
}

#[test]
fn template_says_what_is_wrong_with_its_lines() {
    for (head, body, line, error) in [
        ("IN", "", 2, "Wrong argument count or unexpected line ending after 'IN'"),
        ("XX A", "", 2, "invalid query class XX"),
        ("IN FOO", "", 2, "invalid RR class FOO"),
        ("IN A", "match", 3, "Wrong argument count or unexpected line ending after 'match'"),
        ("IN A", "upstreams x", 3, "unknown property 'upstreams'"),
        ("IN A", "rcode FOO", 3, "unknown rcode FOO"),
        ("IN A", "answer \"{{ .Foo }}\"", 3, "could not compile template: {{ .Foo }}, there is no field .Foo"),
        ("IN A", "rcode NOERROR", 2, "no answer section for template found"),
        ("IN A", "ederror x", 3, "error parsing extended DNS error code, x, invalid digit found in string"),
    ] {
        let expected = format!("plugin/template: Corefile:{line} - Error during parsing: {error}");
        assert_eq!(fault(&format!("    template {head} {{\n{body}\n}}")), expected);
    }
    assert!(
        fault("    template IN A {\nmatch (a\n}")
            .contains("Corefile:3 - Error during parsing: could not parse regex: (a")
    );
    // A template without actions is read when it is set up.
    assert!(
        fault("    template IN A {\nanswer \"a. 60 IN A 192.0.2\"\n}").contains("could not compile template: a. 60")
    );
}

#[test]
fn template_conditions_pick_among_the_names_that_match() {
    let mut stage = Stage::new(
        r#"
example.org:0 {
    template IN A {
        match "^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.]"
        answer "{{ .Name }} 60 IN A {{ .Var.ip }}"
        var ip replace(group('ip'), '-', '.')
        expr "any(['10.0.0.0/8', '192.0.2.0/24'], incidr(ip, #))"
        expr client_ip() == '192.0.2.99' && proto() == 'udp'
        fallthrough
    }
    template IN TXT {
        expr "int(name()) == 1"
        answer "{{ .Name }} TXT x"
        fallthrough
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"#,
    );
    let answer = "10-1-2-3.example.org. 60 IN A 10.1.2.3";
    assert_eq!(stage.lines("10-1-2-3.example.org.", Rtype::A), ["NOERROR aa", answer]);
    for qname in ["203-0-113-1.example.org.", "10-1-2-999.example.org.", "www.example.org."] {
        assert_eq!(stage.lines(qname, Rtype::A), ["NXDOMAIN aa"], "{qname}");
    }
    let question = Question::new("10-1-2-3.example.org.", Rtype::A);
    let other = stage.ask(&question, address("192.0.2.98:5353"), Transport::Udp).unwrap();
    assert_eq!(lines(&other), ["NXDOMAIN aa"]);
    assert_eq!(
        stage.lines("a.example.org.", Rtype::TXT),
        ["SERVFAIL"],
        "what fails is no condition that does not hold"
    );
    for (line, error) in [
        ("expr", "Wrong argument count or unexpected line ending after 'expr'"),
        ("var x", "Wrong argument count or unexpected line ending after 'x'"),
        ("expr y == 1", "could not compile expression: y == 1, unknown name y"),
    ] {
        let expected = format!("plugin/template: Corefile:3 - Error during parsing: {error}");
        assert_eq!(fault(&format!("    template IN A {{\n{line}\n}}")), expected);
    }
}
