//! Each plugin over real sockets, against the real program.

use std::net::SocketAddr;

use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Ready, Transport, setup};
use engine::zone::Hub;
use store::edit::{Api, Edit, Op};
use store::{Rtype, Store, zonefile};

use crate::cases::describe;
use crate::forward::{self, Upstream, answer};
use crate::support::{Program, Question, exchange_tcp, exchange_udp, has_ipv6, run, server};

/// A small zone at a serial.
fn zone(serial: u32, address: &str) -> String {
    format!("@ 60 SOA ns1 host {serial} 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\nwww 60 A {address}\n")
}

/// The answer to a question for A as text; the rcode where there is none.
fn a(reply: &[u8]) -> Vec<String> {
    let mut found = describe(reply);
    found.sections.remove("answer").unwrap_or(found.status)
}

#[test]
fn bind_listens_where_it_says_and_root_gives_the_folder() {
    let six = if has_ipv6() { "::1" } else { "" };
    let corefile = "example.org:PORT {\n    bind 127.0.0.1 127.0.0.3 SIX {\n        except 127.0.0.3\n    }\n    root zones\n    file db\n}\n.:PORT {\n    bind 127.0.0.1\n    whoami\n}\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    std::fs::write(folder.path().join("zones/db"), zone(1, "192.0.2.1")).unwrap();
    let port = crate::support::free_port();
    std::fs::write(folder.path().join("Corefile"), corefile.replace("PORT", &port.to_string()).replace("SIX", six))
        .unwrap();
    let program = Program::run(folder, port, &[]);
    let message = Question::new("www.example.org.", Rtype::A).message();
    for address in ["127.0.0.1", "::1"].into_iter().filter(|address| *address != "::1" || has_ipv6()) {
        let server = SocketAddr::new(address.parse().unwrap(), program.port);
        let expected = ["www.example.org. 60 IN A 192.0.2.1"];
        assert_eq!(a(&exchange_udp(server, &message, 20_000).unwrap()), expected, "{server}");
        assert_eq!(a(&exchange_tcp(server, std::slice::from_ref(&message))[0]), expected, "{server}");
    }
    assert!(exchange_udp(SocketAddr::new("127.0.0.3".parse().unwrap(), program.port), &message, 100).is_none());
    assert!(
        !has_ipv6() || program.text().contains(&format!("example.org.:{} on ::1", program.port)),
        "{}",
        program.text()
    );
}

#[test]
fn without_bind_the_answer_comes_from_the_address_that_was_asked() {
    let program = Program::start(".:PORT {\n    whoami\n}\n", &[]);
    let message = Question::new("example.org.", Rtype::A).message();
    let addresses = ["127.0.0.1", "127.0.0.2", "127.8.9.10", "::1"];
    for address in addresses.into_iter().filter(|address| *address != "::1" || has_ipv6()) {
        // A connected socket takes answers from the address it asked only.
        let server = SocketAddr::new(address.parse().unwrap(), program.port);
        let reply = exchange_udp(server, &message, 20_000).unwrap_or_else(|| panic!("{server}"));
        assert_eq!(describe(&reply).status, ["NOERROR", "aa"]);
        assert_eq!(describe(&exchange_tcp(server, std::slice::from_ref(&message))[0]).status, ["NOERROR", "aa"]);
    }
}

#[test]
fn file_is_read_anew_when_its_serial_changes_and_kept_when_it_is_broken() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db {\n        reload 50ms\n    }\n}\n.:PORT {\n    bind 127.0.0.1\n    chaos\n}\n";
    let mut program = Program::start(corefile, &[("db", &zone(1, "192.0.2.1"))]);
    let db = program.folder.path().join("db");
    let question = Question::new("www.example.org.", Rtype::A);
    assert_eq!(a(&program.ask(&question)), ["www.example.org. 60 IN A 192.0.2.1"]);
    std::fs::write(&db, zone(2, "192.0.2.2")).unwrap();
    program
        .wait("the new zone is served", |program| a(&program.ask(&question)) == ["www.example.org. 60 IN A 192.0.2.2"]);
    program.wait("it is logged", |program| {
        program
            .text()
            .contains("[INFO] plugin/file: Successfully reloaded zone \"example.org.\" in \"db\" with 2 SOA serial")
    });
    std::fs::write(&db, "@ 60 SOA ns1 host 3 1h 1h 1h 60\n@ 60 NS ns1\nwww 60 A 192.0.2.\n").unwrap();
    program.wait("the fault is logged", |program| program.text().contains("[ERROR] plugin/file: db:3"));
    assert_eq!(a(&program.ask(&question)), ["www.example.org. 60 IN A 192.0.2.2"]);
    // The same serial is the same zone, whatever the text says.
    std::fs::write(&db, zone(2, "192.0.2.4") + "extra 60 A 192.0.2.5\n").unwrap();
    std::fs::write(&db, zone(5, "192.0.2.5")).unwrap();
    program.wait("the mended zone is served", |program| {
        a(&program.ask(&question)) == ["www.example.org. 60 IN A 192.0.2.5"]
    });
    std::fs::write(&db, zone(4, "192.0.2.6")).unwrap();
    program.wait("a serial that went backwards is served all the same, with a warning", |program| {
        let warning = "[WARNING] plugin/file: db: the serial of example.org. went backwards, from 5 to 4;";
        a(&program.ask(&question)) == ["www.example.org. 60 IN A 192.0.2.6"] && program.text().contains(warning)
    });
}

#[test]
fn a_file_that_is_missing_is_waited_for_unless_it_is_never_looked_at() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db {\n        reload 50ms\n    }\n}\n";
    let mut program = Program::start(corefile, &[]);
    let question = Question::new("www.example.org.", Rtype::A);
    assert_eq!(a(&program.ask(&question)), ["SERVFAIL"]);
    assert!(program.text().contains("[WARNING] plugin/file: db"), "{}", program.text());
    std::fs::write(program.folder.path().join("db"), zone(1, "192.0.2.1")).unwrap();
    program.wait("the zone is served", |program| a(&program.ask(&question)) == ["www.example.org. 60 IN A 192.0.2.1"]);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Corefile"), "example.org:0 {\n    file db {\n        reload 0\n    }\n}\n")
        .unwrap();
    let (code, _, stderr) = run(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("plugin/file: Corefile:2 - Error during parsing: db"), "{stderr}");
}

#[test]
fn file_falls_through_where_it_says() {
    let corefile = "example.org:PORT example.net:PORT {\n    bind 127.0.0.1\n    file db example.org {\n        fallthrough a.example.org\n    }\n    file db example.net\n    whoami\n}\n";
    let program = Program::start(corefile, &[("db", &zone(1, "192.0.2.1"))]);
    for (qname, status) in [
        ("x.a.example.org.", &["NOERROR", "aa"][..]),
        ("x.b.example.org.", &["NXDOMAIN", "aa"]),
        ("x.a.example.net.", &["NXDOMAIN", "aa"]),
    ] {
        let found = describe(&program.ask(&Question::new(qname, Rtype::A)));
        assert_eq!(found.status, status, "{qname}");
        assert_eq!(found.sections.contains_key("additional"), status == ["NOERROR", "aa"], "{qname}");
    }
}

#[test]
fn a_line_falls_through_in_its_own_zones_alone() {
    let corefile = "org:PORT {\n    bind 127.0.0.1\n    file db a.org\n    file db b.org {\n        fallthrough\n    }\n    file db c.b.org\n    whoami\n}\n";
    let program = Program::start(corefile, &[("db", &zone(1, "192.0.2.1"))]);
    for (qname, rcode) in [("x.a.org.", "NXDOMAIN"), ("x.b.org.", "NOERROR"), ("x.c.b.org.", "NXDOMAIN")] {
        assert_eq!(describe(&program.ask(&Question::new(qname, Rtype::A))).status[0], rcode, "{qname}");
    }
}

#[test]
fn log_writes_the_classes_it_is_told_to() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db\n    log example.org \"{name} {rcode} {type} {>opcode} {/x} {y}\" {\n        class denial error\n    }\n}\n.:PORT {\n    bind 127.0.0.1\n    chaos\n    errors\n    log . {combined}\n}\n";
    let mut program = Program::start(corefile, &[("db", &zone(1, "192.0.2.1"))]);
    for (qname, qtype) in [
        ("www.example.org.", Rtype::A),
        ("nx.example.org.", Rtype::A),
        ("www.example.org.", Rtype::TXT),
        ("example.com.", Rtype::A),
    ] {
        program.ask(&Question::new(qname, qtype));
    }
    // Each worker has a queue of lines: which is written first, and in which order, is open.
    program.wait("the last query is logged", |program| program.text().contains("example.com. udp"));
    for line in ["[INFO] nx.example.org. ", "[INFO] www.example.org. "] {
        program.wait(line, |program| program.text().contains(line));
    }
    program.wait("its error is logged", |program| program.text().contains("plugin/errors: 2 example.com. A: "));
    let text = program.text();
    let mut lines: Vec<&str> = text.lines().filter(|line| line.contains("example.org. ")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["[INFO] nx.example.org. NXDOMAIN A 0 - {y}", "[INFO] www.example.org. NOERROR TXT 0 - {y}"],
        "{text}"
    );
    // Nobody answered for the root block: SERVFAIL, and errors says why.
    let line = text.lines().find(|line| line.contains("\"A IN example.com. udp")).unwrap();
    assert!(line.contains(" SERVFAIL qr ") && line.ends_with(" \"0\""), "{line}");
    assert!(text.contains("[ERROR] plugin/errors: 2 example.com. A: plugin/chaos: no next plugin found"), "{text}");
}

/// An answer without data or AA, and a record in its authority section: an SOA, or NS behind a TXT record.
fn without_data(message: &[u8]) -> Vec<u8> {
    let mut reply = answer(message, [0, 0x80], &[], 0);
    if message[13] == b'n' {
        reply[9] = 1;
        reply.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 24, 0xc0, 12, 0xc0, 12]);
        reply.extend([0; 20]);
    } else {
        reply[9] = 2;
        reply.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, b'x']);
        reply.extend([0xc0, 14, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 14]);
    }
    reply
}

#[test]
fn log_knows_the_denials_of_upstreams() {
    let upstream = Upstream::start(|message, _| vec![without_data(message)]);
    let lines = format!(
        "log . \"{{name}} is denied\" {{\n        class denial\n    }}\n    forward . 127.0.0.1:{}",
        upstream.port
    );
    let mut program = forward::start(&lines, "ring");
    for qname in ["r.example.org.", "n.example.org."] {
        program.ask(&Question::new(qname, Rtype::A));
    }
    program.wait("the denial is logged", |program| program.text().contains("n.example.org. is denied"));
    assert!(!program.text().contains("r.example.org. is denied"), "{}", program.text());
}

#[test]
fn the_denials_and_referrals_of_upstreams_have_their_own_allowances() {
    let upstream = Upstream::start(|message, _| vec![without_data(message)]);
    for (property, limited) in [("nodata-per-second", "n.example.org."), ("referrals-per-second", "r.example.org.")] {
        let lines = format!(
            "rrl {{\n        {property} 1\n        slip-ratio 1\n        window 3600\n    }}\n    forward . 127.0.0.1:{}",
            upstream.port
        );
        let program = forward::start(&lines, "ring");
        for qname in ["n.example.org.", "r.example.org."] {
            let is_truncated = |_: u32| program.ask(&Question::new(qname, Rtype::A))[2] & 2 != 0;
            assert_eq!((0..100).any(is_truncated), qname == limited, "{property}, {qname}");
        }
    }
    // Referrals from one cut have one account.
    let lines = format!(
        "rrl {{\n        referrals-per-second 1\n        slip-ratio 1\n        window 3600\n    }}\n    forward . 127.0.0.1:{}",
        upstream.port
    );
    let program = forward::start(&lines, "ring");
    let is_truncated = |qname| program.ask(&Question::new(qname, Rtype::A))[2] & 2 != 0;
    let overdrawn: Vec<bool> = (0..100).map(|_| is_truncated("r.example.org.")).collect();
    assert!(overdrawn.contains(&true) && is_truncated("s.example.org."), "{overdrawn:?}");
}

#[test]
fn every_field_of_a_log_line_has_its_value() {
    let upstream = Upstream::start(|message, _| vec![answer(message, [4, 0xb0], &[7], 60)]);
    let format = "{type} {name} {class} {proto} {remote} {local} {size} {rsize} {rcode} {>rflags} {>id} {>opcode} {>do} {>bufsize} {/label} {other} {port} {duration}";
    let lines = format!("log . \"{format}\"\n    forward . 127.0.0.1:{}", upstream.port);
    let mut program = forward::start(&lines, "ring");
    let plain = Question::new("www.example.org.", Rtype::A);
    let all = Question {
        dnssec_ok: true,
        recursion_desired: true,
        checking_disabled: true,
        edns_size: Some(1400),
        ..Question::new("WWW.example.org.", Rtype::A)
    };
    program.ask(&plain);
    program.ask(&all);
    exchange_tcp(program.dns(), &[plain.message()]);
    exchange_tcp(program.dns(), &[all.message()]);
    // The upstream sets AD; only who says that it is understood gets it.
    for expected in [
        "A www.example.org. IN udp 127.0.0.1 127.0.0.1 33 49 NOERROR qr,aa,ra 43981 0 false 512 - {other} ",
        "A www.example.org. IN udp 127.0.0.1 127.0.0.1 44 60 NOERROR qr,aa,rd,ra,ad,cd 43981 0 true 1400 - {other} ",
        "A www.example.org. IN tcp 127.0.0.1 127.0.0.1 33 49 NOERROR qr,aa,ra 43981 0 false 65535 - {other} ",
        "A www.example.org. IN tcp 127.0.0.1 127.0.0.1 44 60 NOERROR qr,aa,rd,ra,ad,cd 43981 0 true 1400 - {other} ",
    ] {
        program.wait(expected, |program| program.text().contains(expected));
        let text = program.text();
        let line = text.lines().find_map(|line| line.split_once(expected)).unwrap();
        assert_eq!(line.0, "[INFO] ");
        let (port, duration) = line.1.split_once(' ').unwrap();
        assert!(port.parse::<u16>().is_ok(), "{port}");
        assert!(duration.strip_suffix('s').is_some_and(|seconds| seconds.parse::<f64>().unwrap() < 60.0), "{duration}");
    }
}

#[test]
fn errors_that_were_counted_are_told_at_the_end() {
    let corefile = ".:PORT {\n    bind 127.0.0.1\n    chaos\n    errors {\n        consolidate 1h \"no next plugin found$\" info\n    }\n}\n";
    let mut program = Program::start(corefile, &[]);
    for _ in 0..5 {
        program.ask(&Question::new("example.com.", Rtype::A));
    }
    std::fs::write(
        program.folder.path().join("Corefile"),
        corefile.replace("PORT", &program.port.to_string()).replace("1h", "2h"),
    )
    .unwrap();
    program.signal("USR1");
    // The program's start asks, too.
    program.wait("they are told", |program| {
        program.text().contains(" errors like 'no next plugin found$' occurred in last 1h0m0s")
    });
}

#[test]
fn errors_are_consolidated() {
    let corefile = ".:PORT {\n    bind 127.0.0.1\n    chaos\n    errors {\n        consolidate 300ms \"no next plugin found$\" warning show_first\n    }\n}\n";
    let mut program = Program::start(corefile, &[]);
    for _ in 0..5 {
        program.ask(&Question::new("example.com.", Rtype::A));
    }
    program.wait("the number is logged", |program| {
        program.text().contains("errors like 'no next plugin found$' occurred in last 300ms")
    });
    // The first one is shown, be it ours or the one that asked whether the server is up.
    program.wait("the first is shown", |program| program.text().contains(": plugin/chaos: no next plugin found"));
    let text = program.text();
    assert!(text.matches("example.com. A: ").count() < 5, "{text}");
}

#[test]
fn a_block_without_plugins_refuses() {
    let program =
        Program::start("example.org:PORT {\n    bind 127.0.0.1\n}\n.:PORT {\n    bind 127.0.0.1\n    whoami\n}\n", &[]);
    assert_eq!(a(&program.ask(&Question::new("www.example.org.", Rtype::A))), ["REFUSED"]);
}

#[test]
fn tcp_answers_many_queries_on_one_connection_in_order() {
    let program =
        Program::start("example.org:PORT {\n    bind 127.0.0.1\n    file db\n}\n", &[("db", &zone(1, "192.0.2.1"))]);
    let messages: Vec<Vec<u8>> = (0..500u16)
        .map(|id| {
            let mut message = Question::new("www.example.org.", Rtype::A).message();
            message[..2].copy_from_slice(&id.to_be_bytes());
            message
        })
        .collect();
    let replies = exchange_tcp(program.dns(), &messages);
    for (id, reply) in replies.iter().enumerate() {
        assert_eq!(reply[..2], (id as u16).to_be_bytes());
        assert_eq!(a(reply), ["www.example.org. 60 IN A 192.0.2.1"]);
    }
}

/// A server that limits answers, and what it makes of a number of questions from one address.
fn limited(properties: &str) -> impl FnMut(&str, Transport, &[&str]) -> Vec<&'static str> + use<> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let text = zone(1, "192.0.2.1") + "sub 60 NS ns.sub\nns.sub 60 A 192.0.2.54\n";
    std::fs::write(&path, text).unwrap();
    let corefile = format!(
        "example.org {{\n    rrl {{\n        {}\n    }}\n    file {}\n}}\n",
        properties.replace("; ", "\n        "),
        path.display()
    );
    let mut worker = server(&corefile).worker();
    move |client, transport, names| {
        let ask = |name: &&str| {
            let message = Question::new(&format!("{name}example.org."), Rtype::A).message();
            let mut buffer = vec![0; 65_535];
            buffer[..message.len()].copy_from_slice(&message);
            let local = "192.0.2.53:53".parse().unwrap();
            let arrival = Arrival { client: client.parse().unwrap(), local, transport, listener: 0, idle: None };
            match worker.answer(&mut buffer, message.len(), &arrival) {
                None => "dropped",
                // TC, and nothing behind the question.
                Some(length) if buffer[2] & 2 != 0 => {
                    assert_eq!((length, &buffer[6..10]), (message.len(), &[0; 4][..]));
                    "truncated"
                }
                Some(_) => "answered",
            }
        };
        names.iter().map(ask).collect()
    }
}

/// So many questions that time which passes meanwhile does not matter: an account is credited once a second, and
/// overdrawn by then as far as can be.
const MANY: usize = 2000;

#[test]
fn nsid_tells_who_answers_to_those_who_ask_alone() {
    let mut worker = server(".:0 {\n    whoami\n    nsid edge 7\n}\n").worker();
    let mut ask = |option| {
        let mut question = Question::new("www.example.org.", Rtype::A);
        question.options = vec![(option, Vec::new())];
        let message = question.message();
        let mut buffer = vec![0; 65_535];
        buffer[..message.len()].copy_from_slice(&message);
        let (client, local) = ("198.51.100.1:4000".parse().unwrap(), "192.0.2.53:53".parse().unwrap());
        let arrival = Arrival { client, local, transport: Transport::Udp, listener: 0, idle: None };
        let length = worker.answer(&mut buffer, message.len(), &arrival).unwrap();
        buffer[..length].to_vec()
    };
    assert!(ask(3).ends_with(b"\x00\x0a\x00\x03\x00\x06edge 7"));
    assert!(ask(4).ends_with(&[0, 0]), "no options");
}

#[test]
fn clients_with_a_good_cookie_are_not_limited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, zone(1, "192.0.2.1")).unwrap();
    let corefile = format!(
        "example.org {{\n    rrl {{\n        responses-per-second 1\n        slip-ratio 0\n    }}\n    file {}\n}}\n",
        path.display()
    );
    let mut worker = server(&corefile).worker();
    let mut ask = |cookie: &[u8]| {
        let mut question = Question::new("www.example.org.", Rtype::A);
        question.options = vec![(10, cookie.to_vec())];
        let message = question.message();
        let mut buffer = vec![0; 65_535];
        buffer[..message.len()].copy_from_slice(&message);
        let (client, local) = ("198.51.100.1:4000".parse().unwrap(), "192.0.2.53:53".parse().unwrap());
        let arrival = Arrival { client, local, transport: Transport::Udp, listener: 0, idle: None };
        let length = worker.answer(&mut buffer, message.len(), &arrival)?;
        // The cookie is the last of the answer: 8 octets of the client and 16 of the server.
        Some(buffer[length - 24..length].to_vec())
    };
    let cookie = ask(b"8 octets").expect("the first answer");
    assert!((0..MANY).any(|_| ask(b"8 octets").is_none()), "limited without a server cookie");
    assert!((0..MANY).all(|_| ask(&cookie).is_some()), "not limited with one");
    let mut forged = cookie;
    forged[23] ^= 1;
    assert!((0..MANY).any(|_| ask(&forged).is_none()), "limited with a forged one");
}

#[test]
fn answers_beyond_the_allowance_are_dropped_or_truncated() {
    let mut ask = limited("responses-per-second 1; window 3600");
    let client = "198.51.100.1:4000";
    let fates = ask(client, Transport::Udp, &["www."; MANY]);
    assert_eq!(fates[0], "answered");
    assert_eq!(fates[MANY - 2..].iter().filter(|fate| **fate == "dropped").count(), 1);
    assert_eq!(fates[MANY - 2..].iter().filter(|fate| **fate == "truncated").count(), 1);
    // Another name has an account of its own, and so has another network; a neighbour shares it. TCP is free.
    assert_eq!(ask(client, Transport::Udp, &["ns1."]), ["answered"]);
    assert_eq!(ask("198.51.101.1:4000", Transport::Udp, &["www."]), ["answered"]);
    assert_ne!(ask("198.51.100.77:53", Transport::Udp, &["www."]), ["answered"]);
    assert_eq!(ask("198.51.100.1:4000", Transport::Tcp, &["www."; 3]), ["answered"; 3]);
}

#[test]
fn random_names_and_names_below_a_cut_have_one_account() {
    let names: Vec<String> = (0..MANY).map(|number| format!("x{number}.")).collect();
    let below: Vec<String> = names.iter().map(|name| format!("{name}sub.")).collect();
    for (properties, names) in [
        ("responses-per-second 0; nxdomains-per-second 1; slip-ratio 0; window 3600", names),
        ("referrals-per-second 1; slip-ratio 0; window 3600", below),
    ] {
        let mut ask = limited(properties);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let fates = ask("[2001:db8::1]:4000", Transport::Udp, &names);
        assert_eq!((fates[0], fates[MANY - 1]), ("answered", "dropped"), "{properties}");
        assert_eq!(ask("[2001:db8::1]:4000", Transport::Udp, &["www."; 3]), ["answered"; 3], "{properties}");
    }
}

#[test]
fn the_exempt_and_reports_only_are_not_limited() {
    let rest = "responses-per-second 1; requests-per-second 1; window 3600";
    let mut ask = limited(&format!("{rest}; exempt 198.51.100.0/25 2001:db8::1"));
    for client in ["198.51.100.127:1", "[2001:db8::1]:1"] {
        assert_eq!(ask(client, Transport::Udp, &["www."; MANY]), ["answered"; MANY]);
    }
    for client in ["198.51.100.128:1", "[2001:db8::2]:1"] {
        assert_eq!(ask(client, Transport::Udp, &["www."; MANY])[MANY - 1], "dropped");
    }
    let mut ask = limited(&format!("{rest}; report-only"));
    assert_eq!(ask("198.51.100.1:1", Transport::Udp, &["www."; MANY]), ["answered"; MANY]);
}

#[test]
fn a_limit_that_is_none_is_an_error_with_its_line() {
    for (property, why) in [
        ("window 0", "'0' is not a number from 1 to 3600"),
        ("ipv4-prefix-length 33", "'33' is not a number from 1 to 32"),
        ("exempt 192.0.2.0/33", "not a network: '192.0.2.0/33'"),
        ("exempt", "Wrong argument count or unexpected line ending after 'exempt'"),
        ("slip", "unknown property 'slip'"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Corefile"), format!(".:0 {{\n    rrl {{\n        {property}\n    }}\n}}\n"))
            .unwrap();
        let (code, _, stderr) = run(folder.path(), &["check", "Corefile"]);
        assert_eq!(code, Some(1));
        let expected = format!("plugin/rrl: Corefile:3 - Error during parsing: {why}");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[test]
fn loadbalance_takes_up_a_changed_weight_file() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db\n    loadbalance weighted weights {\n        reload 50ms\n    }\n}\n";
    let weights = |first, second| format!("www.example.org\n192.0.2.1 {first}\n192.0.2.2 {second}\n");
    let db = zone(1, "192.0.2.1") + "www 60 A 192.0.2.2\n";
    let mut program = Program::start(corefile, &[("db", &db), ("weights", &weights("255", "1"))]);
    let question = Question::new("www.example.org.", Rtype::A);
    // How many of 20 answers begin with the second address: one of 256 before, 255 of 256 after.
    let second = |program: &Program| {
        (0..20).filter(|_| a(&program.ask(&question))[0] == "www.example.org. 60 IN A 192.0.2.2").count()
    };
    assert!(second(&program) < 10);
    std::fs::write(program.folder.path().join("weights"), weights("none", "1")).unwrap();
    program.wait("the fault is logged", |program| {
        program.text().contains("[ERROR] plugin/loadbalance: weights: line 2: wrong weight value: \"none\"")
    });
    std::fs::write(program.folder.path().join("weights"), weights("1", "255")).unwrap();
    program.wait("the new weights count", |program| second(program) > 10);
}

#[test]
fn hosts_takes_up_a_changed_file_and_keeps_what_it_had_when_it_is_gone() {
    let corefile = ".:PORT {\n    bind 127.0.0.1\n    hosts hosts {\n        192.0.2.9 inline.example.org\n        reload 50ms\n    }\n}\n";
    let mut program = Program::start(corefile, &[("hosts", "192.0.2.1 www.example.org\n")]);
    let question = Question::new("www.example.org.", Rtype::A);
    assert_eq!(a(&program.ask(&question)), ["www.example.org. 3600 IN A 192.0.2.1"]);
    let hosts = program.folder.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.22 www.example.org\n").unwrap();
    program.wait("the new file is served", |program| {
        a(&program.ask(&question)) == ["www.example.org. 3600 IN A 192.0.2.22"]
    });
    std::fs::remove_file(&hosts).unwrap();
    std::fs::write(program.folder.path().join("next"), "192.0.2.3 new.example.org\n").unwrap();
    assert_eq!(a(&program.ask(&question)), ["www.example.org. 3600 IN A 192.0.2.22"]);
    std::fs::rename(program.folder.path().join("next"), &hosts).unwrap();
    program.wait("the file that came back is served", |program| a(&program.ask(&question)) == ["SERVFAIL"]);
    let inline = Question::new("inline.example.org.", Rtype::A);
    assert_eq!(a(&program.ask(&inline)), ["inline.example.org. 3600 IN A 192.0.2.9"]);
}

#[test]
fn auto_follows_the_files_of_a_folder() {
    let corefile = "org:PORT net:PORT {\n    bind 127.0.0.1\n    auto {\n        directory .\n        reload 50ms\n    }\n    whoami\n}\n";
    let mut program = Program::start(corefile, &[("db.example.org", &zone(1, "192.0.2.1")), ("db.a..b", "")]);
    let path = |program: &Program, name: &str| program.folder.path().join(name);
    let ask = |program: &Program, name: &str| a(&program.ask(&Question::new(name, Rtype::A)));
    let www = |apex: &str, host: u8| vec![format!("www.{apex} 60 IN A 192.0.2.{host}")];
    assert_eq!(ask(&program, "www.example.org."), www("example.org.", 1));
    assert!(program.text().contains("[INFO] plugin/auto: Inserting zone \"example.org.\" from: ./db.example.org"));
    // Another file for a zone that is served does not count, wherever it stands.
    std::fs::create_dir(path(&program, "a")).unwrap();
    std::fs::write(path(&program, "a/db.example.org"), zone(9, "192.0.2.9")).unwrap();
    std::fs::write(path(&program, "a/db.Example.NET"), zone(1, "192.0.2.2")).unwrap();
    program.wait("a new zone is served", |program| ask(program, "www.example.net.") == www("example.net.", 2));
    assert_eq!(ask(&program, "www.example.org."), www("example.org.", 1));
    std::fs::write(path(&program, "db.example.org"), zone(2, "192.0.2.3")).unwrap();
    program.wait("a new serial is served", |program| ask(program, "www.example.org.") == www("example.org.", 3));
    std::fs::write(path(&program, "db.example.org"), "@ 60 SOA ns1 host 3 1h 1h 1h 60\nwww 60 A 192.0.2.\n").unwrap();
    program.wait("the fault is logged", |program| program.text().contains("[ERROR] plugin/auto: ./db.example.org:2"));
    assert_eq!(ask(&program, "www.example.org."), www("example.org.", 3));
    std::fs::remove_file(path(&program, "db.example.org")).unwrap();
    program.wait("the other file takes over", |program| ask(program, "www.example.org.") == www("example.org.", 9));
    std::fs::remove_dir_all(path(&program, "a")).unwrap();
    program.wait("a zone without a file is gone", |program| ask(program, "www.example.net.") == ["NOERROR", "aa"]);
    program
        .wait("it is logged", |program| program.text().contains("[INFO] plugin/auto: Deleting zone \"example.net.\""));
}

#[test]
fn auto_tries_again_what_it_could_not_read_at_first() {
    let corefile =
        "org:PORT {\n    bind 127.0.0.1\n    auto {\n        directory .\n        reload 50ms\n    }\n    whoami\n}\n";
    let including = zone(1, "192.0.2.1") + "$INCLUDE more\n";
    let mut program = Program::start(corefile, &[("db.example.org", &including)]);
    let ask = |program: &Program| a(&program.ask(&Question::new("more.example.org.", Rtype::A)));
    assert_eq!(ask(&program), ["NOERROR", "aa"]);
    std::fs::write(program.folder.path().join("more"), "more 60 A 192.0.2.7\n").unwrap();
    program.wait("it is served", |program| ask(program) == ["more.example.org. 60 IN A 192.0.2.7"]);
    let complaints = program.text().lines().filter(|line| line.contains("[ERROR]")).count();
    assert_eq!(complaints, 1, "{}", program.text());
}

#[test]
fn auto_keeps_a_zone_whose_file_moves_between_folders() {
    let corefile = "org:PORT {\n    bind 127.0.0.1\n    auto {\n        directory one\n        reload 50ms\n    }\n    auto {\n        directory two\n        reload 70ms\n    }\n    whoami\n}\n";
    let mut program = Program::start(corefile, &[]);
    let path = |program: &Program, name: &str| program.folder.path().join(name);
    let ask = |program: &Program| a(&program.ask(&Question::new("www.example.org.", Rtype::A)));
    let www = |host: u8| vec![format!("www.example.org. 60 IN A 192.0.2.{host}")];
    for folder in ["one", "two"] {
        std::fs::create_dir(path(&program, folder)).unwrap();
    }
    std::fs::write(path(&program, "one/db.example.org"), zone(1, "192.0.2.1")).unwrap();
    program.wait("it is served", |program| ask(program) == www(1));
    // Either folder may be the first to be looked at.
    for round in 0..10 {
        let (from, to) = if round % 2 == 0 { ("one", "two") } else { ("two", "one") };
        std::fs::rename(path(&program, from).join("db.example.org"), path(&program, to).join("db.example.org"))
            .unwrap();
        let inserted = round + 2;
        program.wait("it is found", |program| program.text().matches("Inserting zone").count() == inserted);
        std::thread::sleep(std::time::Duration::from_millis(100));
        program.wait("it is still served", |program| ask(program) == www(1));
    }
    // A file for the same zone in the other folder counts when it comes, and not any more when it goes.
    std::fs::write(path(&program, "two/db.example.org"), zone(2, "192.0.2.2")).unwrap();
    program.wait("the other is served", |program| ask(program) == www(2));
    std::fs::remove_file(path(&program, "two/db.example.org")).unwrap();
    program.wait("the first is served again", |program| ask(program) == www(1));
}

/// A zone of the database that is not loaded yet keeps its names from the zone above, and is served when it is ready.
#[test]
fn zones_that_are_still_loaded_are_servfail() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap().store;
    for apex in ["org.", "example.org."] {
        let origin = store::name::parse(apex, None).unwrap();
        let parsed =
            zonefile::read_text("db", zone(1, "192.0.2.1").as_bytes(), Some(&origin), &Default::default()).unwrap();
        let ops = vec![Op::Import { apex: origin, records: parsed.records }];
        store.apply(Edit { who: "test".into(), api: Api::Import, ops }).unwrap();
    }
    let text = format!(".:0 {{\n    pocketbase {{\n        data_dir {}\n    }}\n}}\n", folder.path().display());
    let corefile = Corefile::parse_text("Corefile", &text).unwrap();
    let Ready { server, services, .. } = setup(&corefile, &Hub::new(), &|_| None).unwrap();
    let mut worker = server.worker();
    let mut ask = |name: &str| {
        let message = Question::new(name, Rtype::A).message();
        let mut buffer = vec![0; 65_535];
        buffer[..message.len()].copy_from_slice(&message);
        let (client, local) = ("198.51.100.1:4000".parse().unwrap(), "192.0.2.53:53".parse().unwrap());
        let arrival = Arrival { client, local, transport: Transport::Udp, listener: 0, idle: None };
        let length = worker.answer(&mut buffer, message.len(), &arrival).unwrap();
        (buffer[3] & 15, a(&buffer[..length]))
    };
    let pocketbase = &services.pocketbases[0];
    assert_eq!(ask("www.example.org.").0, 5, "no zone is known yet");
    pocketbase.announce(&store.zones().unwrap());
    assert_eq!(ask("www.example.org.").0, 2);
    assert!(!pocketbase.is_loaded());
    let mut told = Vec::new();
    assert_eq!(pocketbase.load(&store, &mut |records| told.push(records)).unwrap(), []);
    assert_eq!(told, [8], "the records of both zones");
    assert_eq!(ask("www.example.org."), (0, vec!["www.example.org. 60 IN A 192.0.2.1".into()]));
    assert_eq!(ask("www.org."), (0, vec!["www.org. 60 IN A 192.0.2.1".into()]));
}
