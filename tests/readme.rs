//! Every example of the README.

use std::path::Path;
use std::process::Command;

use crate::support::{Program, free_port, run, with_ports};

/// The blocks of a text between ```` ```LANGUAGE ```` and ```` ``` ````, with the line before each.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut before = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```{language}") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push((before.clone(), body.join("\n")));
        }
        before = line.to_owned();
    }
    blocks
}

/// The README.
pub(crate) fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

#[test]
fn shell_examples_do_what_they_say() {
    let port = free_port();
    let http = free_port();
    let corefile = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Corefile")).unwrap();
    let adapt = |text: &str| {
        with_ports(text, &[("1053", port), ("8090", http)]).replace("target/release/zonda", env!("CARGO_BIN_EXE_zonda"))
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Corefile"), adapt(&corefile)).unwrap();
    let zone = "$ORIGIN example.org.\n@ 1h SOA ns1 host 1 1h 1h 1h 60\n@ 1h NS ns1\nns1 1h A 192.0.2.53\nwww 1h A 192.0.2.80\n";
    std::fs::write(folder.path().join("db.example.org"), zone).unwrap();
    let mut program = Program::run(folder, port, &[]);
    program.wait("it says what to do next", |program| program.text().contains("then ask: dig"));
    let text = program.text();
    assert!(
        text.contains("the database is empty")
            && text.contains("zonda import db.example.org")
            && text.contains(&format!("-p {port} ")),
        "{text}"
    );

    let tool = |name: &str| Command::new(name).arg(if name == "curl" { "--version" } else { "-v" }).output().is_ok();
    for (label, expected) in [("import", "192.0.2.80"), ("http", "192.0.2.7")] {
        let (_, script) = blocks(&readme(), "sh")
            .into_iter()
            .find(|(before, _)| *before == format!("<!-- example: {label} -->"))
            .unwrap();
        // On a machine without dig or curl the lines that need them are left out, and the rest has to work.
        let script: Vec<String> =
            adapt(&script).lines().filter(|line| !line.starts_with("dig") || tool("dig")).map(Into::into).collect();
        if label == "http" && !tool("curl") {
            continue;
        }
        let output = Command::new("sh")
            .args(["-e", "-c", &script.join("\n")])
            .current_dir(program.folder.path())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{label}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        if tool("dig") {
            assert_eq!(stdout.lines().last(), Some(expected), "{label}: {stdout}");
        }
    }
}

#[test]
fn api_examples_answer_what_the_page_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (port, http) = (free_port(), free_port());
    let corefile = std::fs::read_to_string(root.join("Corefile")).unwrap();
    let adapt = |text: &str| with_ports(text, &[("1053", port), ("8090", http)]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Corefile"), adapt(&corefile)).unwrap();
    let mut program = Program::run(folder, port, &[]);
    program.wait("it says what to do next", |program| program.text().contains("then ask: dig"));
    let page = std::fs::read_to_string(root.join("docs/api.md")).unwrap();
    let expected: Vec<String> = blocks(&page, "json").into_iter().map(|(_, text)| text).collect();
    // One script, since a block uses what those before it have set; those that show nothing are silent.
    let script: String = blocks(&page, "sh").into_iter().map(|(_, text)| adapt(&text) + "\n").collect();
    let output = Command::new("sh").args(["-e", "-c", &script]).current_dir(program.folder.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.trim_end().lines().collect::<Vec<_>>(), expected.join("\n").lines().collect::<Vec<_>>());
}

#[test]
fn corefile_examples_start() {
    blocks(&readme(), "corefile").into_iter().for_each(|(_, example)| start(&example));
}

/// Checks and starts an example, with ports of its own.
pub(crate) fn start(example: &str) {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let zone = "@ 1h SOA ns1 host 1 1h 1h 1h 60\n@ 1h NS ns1\nns1 1h A 192.0.2.53\n";
    std::fs::write(folder.path().join("db.example.org"), zone).unwrap();
    let others = ["8090", "8443", "8853", "8091", "8181", "9253"].map(|fixed| (fixed, free_port()));
    let corefile = with_ports(example, &[&[("1053", port)][..], &others].concat());
    let made = rcgen::generate_simple_self_signed(["dns.example.org".into()]).unwrap();
    for (name, text) in
        [("cert.pem", made.cert.pem()), ("ca.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("Corefile"), &corefile).unwrap();
    let (code, _, stderr) = run(folder.path(), &["check", "Corefile"]);
    assert_eq!(code, Some(0), "{corefile}{stderr}");
    Program::run(folder, port, &[]);
}
