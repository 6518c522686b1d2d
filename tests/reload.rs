//! Changing the configuration of the real program while it runs.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use store::Rtype;

use crate::cases::describe;
use crate::http::Site;
use crate::support::{Program, Question, exchange_udp, free_port, get};
use crate::{http3, over_quic, transports};

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

    // An address that comes is opened, one that goes is closed.
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
    program.wait("the address is closed", |_| {
        std::net::UdpSocket::bind(("127.0.0.1", other)).is_ok()
            && std::net::TcpListener::bind(("127.0.0.1", other)).is_ok()
    });
    assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.1"]);
    assert_eq!(program.end("TERM"), Some(0));
}

#[test]
fn a_port_changes_its_scheme_and_a_certificate_that_is_missing_changes_nothing() {
    let other = free_port();
    let with = |scheme: &str, tls: &str| {
        format!("example.org:PORT {scheme}://example.org:{other} {{\n    bind 127.0.0.1\n    {tls}\n    file one\n}}\n")
    };
    let mut program = Program::start(&with("dns", ""), &[("one", &zone("192.0.2.1"))]);
    transports::renew(program.folder.path());
    let config = transports::client(program.folder.path(), None);
    let (at, message) = (([127, 0, 0, 1], other).into(), Question::new("www.example.org.", Rtype::A).message());
    let over_tls = || {
        let stream = transports::connect(at, &config);
        stream.is_ok_and(|mut stream| transports::ask(&mut stream, std::slice::from_ref(&message)).len() == 1)
    };
    for (number, (scheme, tls)) in
        [("tls", "tls cert.pem key.pem"), ("dns", "")].into_iter().cycle().take(4).enumerate()
    {
        write(&program, &with("tls", "tls cert.pem none.pem"));
        program.signal("USR1");
        program.wait("it has failed", |program| said(program, "none.pem: No such file") > number);
        write(&program, &with(scheme, tls));
        program.signal("USR1");
        program.wait("it has changed", |program| said(program, "Reloading complete") > number);
        program.wait("it is what it says", |_| {
            over_tls() == (scheme == "tls") && exchange_udp(at, &message, 200).is_some() == (scheme == "dns")
        });
        assert_eq!(www(&program), ["www.example.org. 60 IN A 192.0.2.1"]);
    }
}

/// What is spoken there over UDP does not change, since nobody could say whose the datagrams are meanwhile.
#[test]
fn a_connection_over_http_3_outlives_a_change_and_its_port_is_taken_away_before_it_is_given_to_another() {
    let (folder, port, other) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let with = |scheme: &str, file: &str| {
        format!(
            "example.org:PORT {scheme}://example.org:{other} {{\n    bind 127.0.0.1\n    tls cert.pem key.pem\n    file {file}\n}}\n"
        )
    };
    transports::renew(folder.path());
    let trusted = transports::client(folder.path(), None);
    for (file, address) in [("one", "192.0.2.1"), ("two", "192.0.2.2")] {
        std::fs::write(folder.path().join(file), zone(address)).unwrap();
    }
    std::fs::write(folder.path().join("Corefile"), with("https3", "one").replace("PORT", &port.to_string())).unwrap();
    let mut program = Program::run(folder, port, &[]);
    let (at, message) = (([127, 0, 0, 1], other).into(), Question::new("www.example.org.", Rtype::A).message());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = || {
        runtime.block_on(async {
            let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
            http3::web(over_quic::connect(&endpoint, at, &trusted, "h3").await).await
        })
    };
    let mut web = connect();
    assert_eq!(runtime.block_on(web.answer(&message)).last(), Some(&1));
    write(&program, &with("https3", "two"));
    program.signal("USR1");
    program.wait("it has changed", |_| runtime.block_on(web.answer(&message)).last() == Some(&2));
    for (number, scheme) in ["quic", "dns"].into_iter().enumerate() {
        write(&program, &with(scheme, "one"));
        program.signal("USR1");
        let told = format!("{other}: open: another listener has this port over UDP");
        program.wait("it has failed", |program| said(program, &told) > number);
        assert_eq!(runtime.block_on(web.answer(&message)).last(), Some(&2));
    }
    write(&program, &with("tls", "one"));
    program.signal("USR1");
    assert_eq!(runtime.block_on(web.closed()), Some(http3::NO_ERROR));
    program.wait("it has changed", |program| said(program, "Reloading complete") == 2);
    assert!(transports::connect(at, &trusted).is_ok());
    write(&program, &with("quic", "one"));
    program.signal("USR1");
    program.wait("it has changed", |program| said(program, "Reloading complete") == 3);
    assert_eq!(over_quic::ask(at, &trusted, &message).unwrap().last(), Some(&1));
}

#[test]
fn a_bad_key_is_told_with_its_file_and_the_former_one_stays_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (port, secure) = (free_port(), free_port());
    let path = |name: &str| folder.path().join(name);
    transports::renew(folder.path());
    let config = transports::client(folder.path(), None);
    let key = path("key.pem");
    let corefile =
        format!(".:{port} tls://.:{secure} {{\n    bind 127.0.0.1\n    tls cert.pem key.pem\n    whoami\n}}\n");
    std::fs::write(path("Corefile"), corefile).unwrap();
    let (good, other) = (std::fs::read(&key).unwrap(), rcgen::KeyPair::generate().unwrap().serialize_pem());
    let mut program = Program::run(folder, port, &[]);
    assert_eq!(said(&program, "every user"), 0, "{}", program.text());
    let stays = "[ERROR] plugin/tls: the former certificate stays in use: ";
    std::fs::write(&key, other).unwrap();
    program
        .wait("it is told", |program| said(program, &format!("{stays}key.pem: the key is not that of cert.pem")) == 1);
    std::fs::remove_file(&key).unwrap();
    program.wait("it is told", |program| said(program, &format!("{stays}key.pem: No such file or directory")) == 1);
    assert!(transports::connect(([127, 0, 0, 1], secure).into(), &config).is_ok());
    std::fs::write(&key, good).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let warning = "[WARNING] plugin/tls: the private key key.pem is open to every user";
    program.wait("it is told", |program| said(program, warning) == 1);
    assert_eq!(said(&program, "the certificate cert.pem was read again"), 1);
    assert!(transports::connect(([127, 0, 0, 1], secure).into(), &config).is_ok());
}

#[test]
fn reload_sees_a_change_in_an_imported_file_but_not_a_comment() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    reload 2s 0s\n    import served\n}\n";
    let mut program =
        Program::start(corefile, &[("served", "file one\n"), ("one", &zone("192.0.2.1")), ("two", &zone("192.0.2.2"))]);
    // At once, as an editor does it: a file that is half written would be a change.
    let (new, served) = (program.folder.path().join("new"), program.folder.path().join("served"));
    std::fs::write(&new, "# a comment\nfile   one\n").unwrap();
    std::fs::rename(&new, &served).unwrap();
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
                    let reply = exchange_udp(server, &message, 20_000).expect("an answer");
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

/// The HTTP service is started anew at its address, and the call that asks for it is answered by the one that goes.
#[test]
fn an_http_service_that_changes_in_its_place_answers_the_call_that_changes_it() {
    let site = Site::start();
    let file = site.program.folder.path().join("Corefile");
    let corefile = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, corefile.replace("su_password", "default_ttl 77\n        su_password")).unwrap();
    let (status, reply) = site.call("POST", "/api/zonda/reload", None);
    assert_eq!(status, 204, "{reply}");
    assert_eq!(get(site.http.port(), "/api/health").unwrap().0, 200);
}

/// The call that moves the HTTP service elsewhere is answered by the one that goes.
#[test]
fn the_http_service_of_a_database_moves_with_its_address() {
    let site = Site::start();
    let (old, new) = (site.http.port(), free_port());
    let file = site.program.folder.path().join("Corefile");
    let corefile = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, corefile.replace(&old.to_string(), &new.to_string())).unwrap();
    let (status, reply) = site.call("POST", "/api/zonda/reload", None);
    assert_eq!(status, 204, "{reply}");
    assert_eq!(get(new, "/api/health").unwrap().0, 200);
    let mut program = site.program;
    program.wait("the old address is closed", |_| get(old, "/api/health").is_none());
    // An address that is taken changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    std::fs::write(&file, corefile.replace(&old.to_string(), &port.to_string())).unwrap();
    program.signal("USR1");
    program.wait("it has failed", |program| said(program, "[ERROR] Reloading failed") == 1);
    assert_eq!(get(new, "/api/health").unwrap().0, 200);
}
