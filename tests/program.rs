//! The command line of the real program.

use crate::cases::describe;
use crate::http::{COREFILE, Site};
use crate::support::{Program, Question, free_port, run};
use store::Rtype;

#[test]
fn flags_may_be_written_in_several_ways() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other"), ". {\n    nonsense\n}\n").unwrap();
    for arguments in [
        &["-conf", "other"][..],
        &["-conf=other"],
        &["--conf", "other"],
        &["-p", "1", "-conf", "other"],
        &["-p1", "-conf=other"],
    ] {
        let (code, _, stderr) = run(folder.path(), arguments);
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains("other:2 - Error during parsing: Unknown directive 'nonsense'"),
            "{arguments:?} {stderr}"
        );
    }
}

#[test]
fn one_database_has_one_account() {
    let folder = tempfile::tempdir().unwrap();
    let block = |zone: &str, password: &str| {
        format!(
            "{zone}:0 {{\n    bind 127.0.0.1\n    pocketbase {{\n        listen 127.0.0.1:0\n        su_password {password}\n    }}\n}}\n"
        )
    };
    std::fs::write(
        folder.path().join("Corefile"),
        block("example.org", "secret-1") + &block("example.net", "secret-2"),
    )
    .unwrap();
    let (code, _, stderr) = run(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is named by two blocks with different accounts"), "{stderr}");
    assert!(!stderr.contains("secret"), "{stderr}");
}

#[test]
fn a_password_that_is_none_is_refused_and_no_part_of_one_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (line, told) in [
        ("su_password my s3cret", "Corefile:4 - Error during parsing: su_password has one argument"),
        ("su_password \"\"", "Corefile:4 - Error during parsing: su_password is empty"),
        ("su_password {$ZONDA_TEST_NOT_SET}", "Corefile:4 - Error during parsing: su_password is empty"),
        ("su_password s3cret", "the superuser's password has fewer than 8 characters"),
    ] {
        let corefile = format!("example.org:0 {{\n    bind 127.0.0.1\n    pocketbase {{\n        {line}\n    }}\n}}\n");
        std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
        let (_, _, stderr) = run(folder.path(), &["check", "Corefile"]);
        assert!(stderr.contains(told), "{line}: {stderr}");
        assert!(!stderr.contains("s3cret"), "{line}: {stderr}");
    }
}

#[test]
fn check_names_every_fault_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("Corefile", "example.org {\n    file db.example.org\n}\n");
    write("db.example.org", "$ORIGIN example.org.\n@ 1h SOA ns1 host 1 1h 1h 1h 1h\n@ 1h NS ns1\nns1 1h A 192.0.2.1\n");
    write(
        "broken",
        "$ORIGIN example.org.\n@ 1h SOA ns1 host 1 1h 1h 1h 1h\n@ 1h NS ns1\nns1 1h A 192.0.2.256\nx 1h MX ten mail\n",
    );
    write("Corefile.broken", "example.org {\n    nonsense\n}\n");
    let (code, _, stderr) = run(folder.path(), &["check", "Corefile", "db.example.org"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = run(folder.path(), &["check", "broken"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("broken:4") && stderr.contains("broken:5"), "{stderr}");
    let (code, _, stderr) = run(folder.path(), &["check", "Corefile.broken"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("Corefile.broken:2 - Error during parsing: Unknown directive 'nonsense'"), "{stderr}");
}

#[test]
fn import_and_export_work_on_the_folder_and_on_a_running_server() {
    let text = "\
$TTL 1h
@ SOA ns1 Host\\.Master ( 2026112501 2h 30M 2w 1h )
  NS ns1
ns1 A 192.0.2.1
WwW 300 CNAME ns1
a\\.b TXT \"dot\"
a\\032b TXT \"space\"
unknown TYPE65280 \\# 4 C0000201
$GENERATE 1-20 gen$ A 192.0.2.$
";
    // Against the running server.
    let mut site = Site::start();
    let folder = site.program.folder.path().to_owned();
    std::fs::write(folder.join("db"), text).unwrap();
    let (code, stdout, stderr) = run(&folder, &["import", "db", "--zone", "example.org"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let reply = site.program.ask(&Question::new("gen20.example.org.", Rtype::A));
    assert_eq!(describe(&reply).sections["answer"], ["gen20.example.org. 3600 IN A 192.0.2.20"]);
    let (code, online, stderr) = run(&folder, &["export", "example.org"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(online.contains("a\\.b") && online.contains("a\\032b") && online.contains("TYPE65280"), "{online}");

    // The same text comes from the folder once the server is gone, and again after its own import.
    assert_eq!(site.program.end("TERM"), Some(0));
    let (code, offline, stderr) = run(&folder, &["export", "example.org."]);
    assert_eq!((code, &offline), (Some(0), &online), "{stderr}");
    std::fs::write(folder.join("again"), &offline).unwrap();
    let (code, _, stderr) = run(&folder, &["import", "again", "--zone", "example.org"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (_, again, _) = run(&folder, &["export", "example.org"]);
    assert_eq!(again, online);

    let (code, _, stderr) = run(&folder, &["export", "example.com"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("example.com"), "{stderr}");
    std::fs::write(folder.join("broken"), "@ 1h A 192.0.2.1\n@ 1h A 192.0.2.300\n").unwrap();
    let (code, _, stderr) = run(&folder, &["import", "broken", "--zone", "example.org"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("broken:2"), "{stderr}");
}

#[test]
fn the_command_line_reaches_a_server_that_speaks_tls() {
    let made = rcgen::generate_simple_self_signed(["dns.example.org".to_owned()]).unwrap();
    let corefile = COREFILE.replace("su_email", "tls cert.pem key.pem\n        su_email");
    let corefile = corefile.replace("HTTP", &free_port().to_string());
    let files = [("cert.pem", &made.cert.pem()[..]), ("key.pem", &made.signing_key.serialize_pem()[..])];
    let mut program = Program::start(&corefile, &files);
    program.wait("HTTPS is served", |program| program.text().contains("HTTP API on https://127.0.0.1:"));
    let folder = program.folder.path().to_owned();
    std::fs::write(folder.join("db"), "@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n").unwrap();
    let (code, stdout, stderr) = run(&folder, &["import", "db", "--zone", "example.org"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let reply = program.ask(&Question::new("ns1.example.org.", Rtype::A));
    assert_eq!(describe(&reply).sections["answer"], ["ns1.example.org. 60 IN A 192.0.2.1"]);

    // A start without a certificate that can be used ends with the file and the reason.
    assert_eq!(program.end("TERM"), Some(0));
    std::fs::write(folder.join("key.pem"), "").unwrap();
    let (code, _, stderr) = run(&folder, &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("key.pem: there is no private key in it"), "{stderr}");
}
