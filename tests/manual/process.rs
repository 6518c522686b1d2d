//! Flags, start, log lines and signals of the real program.

use std::process::Stdio;

use store::Rtype;

use super::DB_EXAMPLE_ORG;
use crate::cases::describe;
use crate::support::{Program, Question, command, exchange_udp, free_port, run};

/// A block on a port of its own that tells this version.
fn tells(port: &str, version: &str) -> String {
    format!(".{port} {{\n    bind 127.0.0.1\n    chaos {version}\n}}\n")
}

/// The version that a server tells.
fn version(port: u16) -> String {
    let question = Question { qclass: domain::base::iana::Class::CH, ..Question::new("version.bind.", Rtype::TXT) };
    let reply = exchange_udp(([127, 0, 0, 1], port).into(), &question.message(), 20_000).expect("an answer");
    super::answers(&reply).concat()
}

/// `-conf FILE` names the Corefile; without it that of the working directory is read.
#[test]
fn m01_conf_names_the_corefile() {
    for (arguments, told) in [(&["-conf", "other"][..], "OTHER"), (&["--conf=other"], "OTHER"), (&[], "DEFAULT")] {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::write(folder.path().join("Corefile"), tells(&format!(":{port}"), "DEFAULT")).unwrap();
        std::fs::write(folder.path().join("other"), tells(&format!(":{port}"), "OTHER")).unwrap();
        let _program = Program::run(folder, port, arguments);
        assert_eq!(version(port), format!("version.bind. 0 CH TXT \"{told}\""));
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(folder.path(), &["-conf", "missing"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("missing"), "{stderr}");
}

/// `-conf stdin` reads the Corefile from standard input.
#[test]
fn m02_conf_stdin_reads_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        command(folder.path()).args(["-conf", "stdin"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b".:0 {\n    nonsense\n}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("stdin:2 - Error during parsing: Unknown directive 'nonsense'"), "{stderr}");
}

/// Without a Corefile all zones are answered by `whoami`, and `log` writes each query.
#[test]
fn m03_without_a_corefile_it_says_who_asked() {
    let port = free_port();
    let mut program = Program::run(tempfile::tempdir().unwrap(), port, &["-dns.port", &port.to_string()]);
    let found = describe(&program.ask(&Question::new("example.org.", Rtype::MX)));
    assert_eq!(found.status, ["NOERROR", "aa"]);
    let additional = &found.sections["additional"];
    assert_eq!(additional[0], "example.org. 0 IN A 127.0.0.1");
    assert!(additional[1].starts_with("_udp.example.org. 0 IN SRV 0 0 "), "{additional:?}");
    assert!(!found.sections.contains_key("answer"));
    program.wait("the query is logged", |program| program.text().contains("\"MX IN example.org. udp 29"));
    assert!(program.text().contains(&format!(".:{port}\nzonda-")));
}

/// `-dns.port` and its short form `-p` give the port of the zones that name none, and of no others.
#[test]
fn m04_dns_port_is_that_of_zones_without_one() {
    for flag in ["-dns.port", "-p", "--dns.port"] {
        let (folder, port, other) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        let corefile = tells("", "FLAG") + &tells(&format!(":{other}"), "KEY");
        std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
        let _program = Program::run(folder, port, &[flag, &port.to_string()]);
        assert_eq!(version(port), "version.bind. 0 CH TXT \"FLAG\"", "{flag}");
        assert_eq!(version(other), "version.bind. 0 CH TXT \"KEY\"", "{flag}");
    }
}

/// `-pidfile FILE` writes the process id to a file, which goes with the process, whatever ends it.
#[test]
fn m05_pidfile_holds_the_process_id() {
    for signal in ["TERM", "INT", "QUIT"] {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = folder.path().join("zonda.pid");
        let mut program = Program::run(folder, port, &["-p", &port.to_string(), "-pidfile", file.to_str().unwrap()]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", program.id()));
        assert_eq!(program.end(signal), Some(0), "{signal}");
        assert!(!file.exists(), "{signal}");
    }
}

/// `-plugins` lists the names of the plugins that are built in, sorted, one a line.
#[test]
fn m06_plugins_are_listed() {
    for flag in ["-plugins", "--plugins"] {
        let (code, stdout, _) = run(tempfile::tempdir().unwrap().path(), &[flag]);
        let names: Vec<&str> = stdout.lines().collect();
        assert_eq!(code, Some(0));
        assert_eq!(names, engine::plugin::names());
        assert!(names.is_sorted() && names.contains(&"whoami") && names.contains(&"loop"), "{names:?}");
    }
}

/// `-version` prints name and version, and on the next line system, compiler and commit.
#[test]
fn m07_the_version_is_shown() {
    let (code, stdout, _) = run(tempfile::tempdir().unwrap().path(), &["-version"]);
    assert_eq!(code, Some(0));
    let [version, build] = stdout.lines().collect::<Vec<_>>()[..] else { panic!("{stdout}") };
    assert_eq!(version, concat!("zonda-", env!("CARGO_PKG_VERSION")));
    let [system, compiler, _commit] = build.split(", ").collect::<Vec<_>>()[..] else { panic!("{build}") };
    assert!(system.contains('/') && compiler.contains("rustc"), "{build}");
}

/// With `-quiet` nothing is printed at the start.
#[test]
fn m08_quiet_prints_no_start_lines() {
    let port = free_port();
    let program = Program::run(tempfile::tempdir().unwrap(), port, &["-quiet", "-p", &port.to_string()]);
    let text = program.text();
    assert!(!text.contains("zonda-") && !text.contains(&format!(".:{port}")), "{text}");
}

/// What is left over on the command line is an error.
#[test]
fn m09_a_left_over_argument_is_an_error() {
    let (code, _, stderr) = run(tempfile::tempdir().unwrap().path(), &["x", "y"]);
    assert_eq!((code, stderr.contains("extra command line arguments: [x y]")), (Some(1), true), "{stderr}");
}

/// At the start each zone is printed with its port and address, sorted, then the version.
#[test]
fn m10_the_start_tells_what_is_served() {
    let other = free_port();
    let corefile = format!(
        "example.net:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\nexample.com:{other} .:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n"
    );
    let program = Program::start(&corefile, &[]);
    let (text, port) = (program.text(), program.port);
    let version = concat!("zonda-", env!("CARGO_PKG_VERSION"));
    let served: Vec<&str> = text.lines().take_while(|line| !line.starts_with(version)).collect();
    assert_eq!(
        served,
        [
            format!(".:{port} on 127.0.0.1"),
            format!("example.com.:{other} on 127.0.0.1"),
            format!("example.net.:{port} on 127.0.0.1"),
        ],
        "{text}"
    );
    assert!(text.contains(version), "{text}");
}

/// A Corefile with a fault ends the start: exit code 1, and on standard error file, line and reason.
#[test]
fn m11_a_faulty_corefile_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Corefile"), ".:0 {\n    whoami\n    foo\n}\n").unwrap();
    let (code, stdout, stderr) = run(folder.path(), &[]);
    assert_eq!((code, &stdout[..]), (Some(1), ""));
    assert_eq!(stderr, "Corefile:3 - Error during parsing: Unknown directive 'foo'\n");
}

/// `log` and `errors` write to standard output, each line with its level in front.
#[test]
fn m12_log_lines_begin_with_their_level() {
    let corefile = ".:PORT {\n    bind 127.0.0.1\n    log\n    errors\n    chaos\n}\n";
    let mut program = Program::start(corefile, &[]);
    program.ask(&Question::new("example.com.", Rtype::A));
    program.wait("both lines", |program| {
        let text = program.text();
        let has = |start: &str, middle: &str| text.lines().any(|l| l.starts_with(start) && l.contains(middle));
        has("[INFO] 127.0.0.1:", " - 43981 \"A IN example.com. udp 29 false 512\" SERVFAIL qr ")
            && has("[ERROR] plugin/errors: 2 example.com. A: ", "plugin/chaos: no next plugin found")
    });
}

/// TERM and INT end the process when what is under way is finished; QUIT, or a second INT, at once.
#[test]
fn m13_term_and_int_end_the_process() {
    for signal in ["TERM", "INT"] {
        let port = free_port();
        let mut program = Program::run(tempfile::tempdir().unwrap(), port, &["-p", &port.to_string()]);
        assert_eq!(program.end(signal), Some(0), "{signal}");
    }
    for (signals, code) in [(["TERM", "INT"], 2), (["INT", "INT"], 2), (["HUP", "QUIT"], 0)] {
        let block = format!("health 127.0.0.1:{} {{\n        lameduck 1h\n    }}", free_port());
        let corefile = format!(".:PORT {{\n    bind 127.0.0.1\n    {block}\n    whoami\n}}\n");
        let mut program = Program::start(&corefile, &[]);
        program.signal(signals[0]);
        if signals[0] != "HUP" {
            program.wait("it is about to stop", |program| program.text().contains("Shutting down"));
        }
        program.ask(&Question::new("example.org.", Rtype::A));
        assert_eq!(program.end(signals[1]), Some(code), "{signals:?}");
    }
}

/// USR1 has the Corefile read again; if it is faulty, the old configuration keeps serving.
#[test]
fn m14_usr1_reloads() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = folder.path().join("Corefile");
    let write = |version: &str| std::fs::write(&file, tells(&format!(":{port}"), version)).unwrap();
    write("ONE");
    let mut program = Program::run(folder, port, &[]);
    write("TWO");
    program.signal("USR1");
    program.wait("the new one", |_| version(port) == "version.bind. 0 CH TXT \"TWO\"");
    write("THREE\n    nonsense");
    program.signal("USR1");
    program
        .wait("the reason", |program| program.text().contains("Corefile:4 - Error during parsing: Unknown directive"));
    assert_eq!(version(port), "version.bind. 0 CH TXT \"TWO\"");
}

/// HUP is ignored.
#[test]
fn m15_hup_changes_nothing() {
    let corefile = "example.org:PORT {\n    bind 127.0.0.1\n    file db.example.org\n}\n";
    let mut program = Program::start(corefile, &[("db.example.org", DB_EXAMPLE_ORG)]);
    program.signal("HUP");
    let reply = program.ask(&Question::new("www.example.org.", Rtype::A));
    assert_eq!(super::answers(&reply), ["www.example.org. 3600 IN A 127.0.0.1"]);
    assert_eq!(program.has_ended(), None);
    assert!(!program.text().contains("Reloading"), "{}", program.text());
}
