//! Changing the configuration of the real program while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use store::Rtype;

use crate::cases::describe;
use crate::http::Site;
use crate::support::{Program, Question, exchange_udp, free_port};

/// A zone whose `www` has this address.
fn zone(address: &str) -> String {
    format!("@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\nwww 60 A {address}\n")
}

/// The address of `www.example.org`, or the status.
fn www(program: &Program) -> Vec<String> {
    let mut found = describe(&program.ask(&Question::new("www.example.org.", Rtype::A)));
    found.sections.remove("answer").unwrap_or(found.status)
}

/// Replaces the Corefile.
fn write(program: &Program, corefile: &str) {
    let corefile = corefile.replace("PORT", &program.port.to_string());
    std::fs::write(program.folder.path().join("Corefile"), corefile).unwrap();
}

/// How often the program has said something.
fn said(program: &Program, text: &str) -> usize {
    program.text().matches(text).count()
}

#[test]
fn usr1_changes_to_the_new_corefile_and_a_faulty_one_changes_nothing() {
    let (metrics, other) = (free_port(), free_port());
    let with = |file: &str| {
        format!("example.org:PORT {{\n    bind 127.0.0.1\n    prometheus 127.0.0.1:{metrics}\n    file {file}\n}}\n")
    };
    let mut program = Program::start(&with("one"), &[("one", &zone("192.0.2.1")), ("two", &zone("192.0.2.2"))]);
    assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.1"]);

    write(&program, &with("two"));
    program.signal("USR1");
    program.wait("it has changed", |program| www(program) == ["www.example.org. 60 IN A 192.0.2.2"]);

    for (faulty, why) in [
        (with("two { frob }"), "Corefile:4 - "),
        (with("two").replace("file", "fil"), "Corefile:4 - Error during parsing: Unknown directive 'fil'"),
        (
            with("two") + "example.net:PORT {\n    bind 127.0.0.1\n    file none {\n        reload 0\n    }\n}\n",
            "plugin/file: ",
        ),
        (with("two").replace("127.0.0.1:", "192.0.2.1:"), "plugin/prometheus: cannot listen on 192.0.2.1:"),
    ] {
        let before = said(&program, "[ERROR] Reloading failed");
        write(&program, &faulty);
        program.signal("USR1");
        program.wait("it has failed", |program| said(program, "[ERROR] Reloading failed") > before);
        let text = program.text();
        assert!(text.lines().last().unwrap().contains(why), "{why}: {text}");
        assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.2"]);
    }

    // An address that comes is opened, one that goes is refused and named.
    write(&program, &(with("one") + &format!("example.org:{other} {{\n    bind 127.0.0.1\n    file one\n}}\n")));
    program.signal("USR1");
    let message = Question::new("www.example.org.", Rtype::A).message();
    program.wait("the new address answers", |_| {
        exchange_udp(([127, 0, 0, 1], other).into(), &message, 100)
            .is_some_and(|reply| describe(&reply).status[0] == "NOERROR")
    });
    assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.1"]);
    write(&program, &with("one"));
    program.signal("USR1");
    program.wait("the address is not served", |program| {
        said(program, &format!("127.0.0.1:{other} is not served any more")) == 1
    });
    // The warning comes before the change.
    program.wait("the address refuses", |_| {
        exchange_udp(([127, 0, 0, 1], other).into(), &message, 100)
            .is_some_and(|reply| describe(&reply).status[0] == "REFUSED")
    });
    assert_eq!(program.end("TERM"), Some(0));
}

#[test]
fn reload_sees_a_change_in_an_imported_file_but_not_a_comment() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    reload 2s 0s\n    import served\n}\n";
    let mut program =
        Program::start(corefile, &[("served", "file one\n"), ("one", &zone("192.0.2.1")), ("two", &zone("192.0.2.2"))]);
    std::fs::write(program.folder.path().join("served"), "# a comment\nfile   one\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(said(&program, "Reloading"), 0, "{}", program.text());
    std::fs::write(program.folder.path().join("served"), "file two\n").unwrap();
    program.wait("it has changed", |program| www(program) == ["www.example.org. 60 IN A 192.0.2.2"]);
}

#[test]
fn no_query_is_lost_while_the_configuration_changes() {
    let corefile = |file: &str| {
        format!(
            "example.org:PORT {{\n    bind 127.0.0.1\n    file {file}\n}}\n.:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n"
        )
    };
    let mut program = Program::start(&corefile("one"), &[("one", &zone("192.0.2.1")), ("two", &zone("192.0.2.2"))]);
    let (server, message) = (program.dns(), Question::new("www.example.org.", Rtype::A).message());
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let reply = exchange_udp(server, &message, 5000).expect("an answer");
                    assert_eq!(describe(&reply).status, ["NOERROR", "aa"]);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for (number, file) in ["two", "one"].into_iter().cycle().take(20).enumerate() {
            write(&program, &corefile(file));
            program.signal("USR1");
            let wanted = asked.load(Ordering::Relaxed) + 20;
            program.wait("it has changed", |program| {
                said(program, "Reloading complete") > number && asked.load(Ordering::Relaxed) >= wanted
            });
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.1"]);
}

#[test]
fn a_database_stays_open_and_an_api_call_reloads() {
    let mut site = Site::start();
    let record = serde_json::json!({
        "zone": "example.org.", "name": "www", "ttl": 60, "record_type": "A", "content": {"ip": "192.0.2.7"}
    });
    let path = "/api/collections/coredns_records/records";
    let (status, reply) = site.call("POST", path, Some(&record));
    assert_eq!(status, 200, "{reply}");
    let corefile = std::fs::read_to_string(site.program.folder.path().join("Corefile")).unwrap();
    write(&site.program, &corefile.replace("errors", "errors\n    chaos zonda-test"));
    let (status, reply) = site.call("POST", "/api/zonda/reload", None);
    assert_eq!(status, 204, "{reply}");
    assert_eq!(www(&site.program), ["www.example.org. 60 IN A 192.0.2.7"]);
    // A change after the reload is served as one before.
    let other = serde_json::json!({
        "zone": "example.org.", "name": "www", "ttl": 60, "record_type": "A", "content": {"ip": "192.0.2.8"}
    });
    assert_eq!(site.call("POST", path, Some(&other)).0, 200);
    assert_eq!(www(&site.program).len(), 2);
    write(&site.program, &corefile.replace("errors", "nonsense"));
    let (status, reply) = site.call("POST", "/api/zonda/reload", None);
    assert_eq!(status, 400, "{reply}");
    assert!(reply.to_string().contains("Unknown directive 'nonsense'"), "{reply}");
    assert_eq!(site.program.end("TERM"), Some(0));
}
