//! What a Corefile means, and what is said of one that means nothing.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::lexer::Token;
use super::{Corefile, Source, check_overlap, duration, fuzz_check};

/// Files and variables of a test.
#[derive(Default)]
struct Memory {
    files: HashMap<PathBuf, String>,
    variables: HashMap<String, String>,
}

impl Source for Memory {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Option<String>> {
        if path.ends_with("folder") {
            return Ok(None);
        }
        self.files.get(path).cloned().map(Some).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let text = pattern.to_str().unwrap();
        let (before, after) = text.split_once('*').unwrap();
        let absolute = std::path::absolute(before).unwrap();
        let matches = |path: &&PathBuf| {
            let path = path.to_str().unwrap();
            path.starts_with(absolute.to_str().unwrap()) && path.ends_with(after)
        };
        let mut paths: Vec<PathBuf> = self.files.keys().filter(matches).cloned().collect();
        paths.sort();
        paths
    }
}

fn memory(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Memory {
    Memory {
        files: files.iter().map(|(path, text)| (std::path::absolute(path).unwrap(), (*text).into())).collect(),
        variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

/// The Corefile printed, or the error.
fn parse(text: &str, source: &Memory) -> Result<String, String> {
    Corefile::parse("Corefile", text, 53, source).map(|file| file.to_string()).map_err(|why| why.to_string())
}

#[test]
fn texts_and_what_they_mean() {
    let source = memory(&[], &[("ZONE", "example.org"), ("TWO", "a b"), ("BRACE", "{"), ("OUTER", "{$ZONE}")]);
    for (text, meaning) in [
        // Comments: anywhere outside quotes, in the middle of a word too.
        (". {\n log foo#bar\n}", "dns://.:53 {\n    log foo\n}\n"),
        // Quotes: only at the start of a word; text glued after them is another word.
        (". {\n log \"a b\"c d\"e\"\n}", "dns://.:53 {\n    log \"a b\" c d\"e\"\n}\n"),
        (". {\n log \"a\\\"b\\c\\\\\" \"\"\n}", "dns://.:53 {\n    log a\"b\\c\\\\ \"\"\n}\n"),
        (". {\n log \"a\nb\" c\n}", "dns://.:53 {\n    log \"a\nb\" c\n}\n"),
        // A carriage return counts for nothing and ends no word.
        (". {\r\n log a\rb\r\n}\r\n", "dns://.:53 {\n    log ab\n}\n"),
        ("\u{feff}. {\n log\n}", "dns://.:53 {\n    log\n}\n"),
        // Braces: on the next line; none at all; only a key.
        (".\n{\n log\n}", "dns://.:53 {\n    log\n}\n"),
        (". example.org:54\nlog\nwhoami", "dns://.:53 dns://example.org.:54 {\n    log\n    whoami\n}\n"),
        ("example.org", "dns://example.org.:53 {\n}\n"),
        // Commas: after a key, and on to the next line.
        ("a, b:54,\nc {\n}", "dns://a.:53 dns://b.:54 dns://c.:53 {\n}\n"),
        // Schemes and their ports.
        (
            "tls://a https://b grpc://c quic://d https3://e dns://f tls://g:1 {\n}",
            "tls://a.:853 https://b.:443 grpc://c.:443 quic://d.:853 https3://e.:443 dns://f.:53 tls://g.:1 {\n}\n",
        ),
        // Names are lower-cased and made absolute.
        ("ExAmPle.ORG.:54 :55 {\n}", "dns://example.org.:54 dns://.:55 {\n}\n"),
        // Networks, with host bits, on and off a boundary.
        ("10.0.0.0/24 10.1.2.3/16:54 {\n}", "dns://0.0.10.in-addr.arpa.:53 dns://1.10.in-addr.arpa.:54 {\n}\n"),
        (
            "10.0.0.129/31 {\n}",
            &format!("{}{{\n}}\n", "dns://128.0.0.10.in-addr.arpa.:53 dns://129.0.0.10.in-addr.arpa.:53 "),
        ),
        ("2001:db8::/32 {\n}", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53 {\n}\n"),
        ("2001:db8::/31 {\n}", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53 dns://9.b.d.0.1.0.0.2.ip6.arpa.:53 {\n}\n"),
        ("10.0.0.1 {\n}", "dns://10.0.0.1.:53 {\n}\n"),
        // Environment variables: in keys and arguments, in quotes, nested, unset, malformed; one word stays one word.
        (
            "{$ZONE}:54 {\n log {%TWO%} \"x{$ZONE}\" {$OUTER} {$NONE} {$} {$x\n}",
            "dns://example.org.:54 {\n    log \"a b\" xexample.org example.org \"\" {$} {$x\n}\n",
        ),
        (". {\n log {$BRACE} x\n}", "dns://.:53 {\n    log \"{\" x\n}\n"),
        // Snippets, within each other and one line long.
        (
            "(a) {\n errors\n}\n(b) {\n import a\n log\n}\n. {\n import b\n whoami\n}",
            "dns://.:53 {\n    errors\n    log\n    whoami\n}\n",
        ),
        (
            "(a) {\n class denial\n}\n. {\n log {\n  import a\n  import a\n }\n}",
            "dns://.:53 {\n    log {\n        class denial\n        class denial\n    }\n}\n",
        ),
        // Nothing is the built-in Corefile.
        ("", "dns://.:53 {\n    whoami\n    log\n}\n"),
        ("# nothing\n", "dns://.:53 {\n    whoami\n    log\n}\n"),
        // An empty key counts for nothing.
        ("\"\" a {\n}", "dns://a.:53 {\n}\n"),
    ] {
        assert_eq!(parse(text, &source).as_deref(), Ok(meaning), "{text}");
        assert_eq!(parse(meaning, &source).as_deref(), Ok(meaning), "{text} printed");
    }
    assert_eq!(parse("10.0.0.0/25 {\n}", &source).unwrap().matches("in-addr").count(), 128);
    assert_eq!(parse("2001:db8::/33 {\n}", &source).unwrap().matches("ip6").count(), 8);
}

#[test]
fn faults_and_what_is_said_of_them() {
    let long = format!("{} {{\n}}", "a.".repeat(128));
    let source = memory(&[("self", "import self"), ("bad", "errors\nnonsense\n")], &[("LOOP", "{$LOOP}x")]);
    let absolute = std::path::absolute("bad").unwrap().display().to_string();
    for (text, fault) in [
        (". {\n foo\n}", "Corefile:2 - Error during parsing: Unknown directive 'foo'"),
        ("health\n. {\n whoami\n}", "Corefile:2 - Error during parsing: Unknown directive '.'"),
        (". {\n log\n", "Corefile:2 - Syntax error: Unexpected token 'log', expecting '}'"),
        (". {\n log {\n", "Corefile:2 - Error during parsing: Unexpected EOF"),
        (". {\n log }\n}", "Corefile:2 - Error during parsing: Unexpected '}' because no matching opening brace"),
        ("}", "Corefile:1 - Error during parsing: Unexpected '}' because no matching opening brace"),
        ("a, {\n}", "Corefile:1 - Error during parsing: Expected another address but had '{' - check for extra comma"),
        ("a,", "Corefile:1 - Error during parsing: Unexpected EOF"),
        (". {\n log \"a\n}", "Corefile:2 - Error during parsing: the quote that begins here has no end"),
        ("a: {\n}", "error inspecting server blocks: expecting data after last colon: \"a:\""),
        ("a..b {\n}", "error inspecting server blocks: zone is not a valid domain name: a..b"),
        ("a:70000 {\n}", "listen: address 70000: invalid port"),
        ("gopher://a {\n}", "error inspecting server blocks: unknown scheme in \"gopher://a\""),
        (&long, "error inspecting server blocks: specified zone is too long: 256 > 255"),
        ("import", "Corefile:1 - Error during parsing: Wrong argument count or unexpected line ending after 'import'"),
        ("import a b", "Corefile:1 - Error during parsing: Import takes only one argument (glob pattern or file)"),
        ("import a", "Corefile:1 - Error during parsing: File to import not found: a"),
        ("import folder", "Corefile:1 - Error during parsing: Could not import folder: is a directory"),
        (
            "import a*b*",
            "Corefile:1 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: a*b*",
        ),
        (
            "import a[b]",
            "Corefile:1 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: a[b]",
        ),
        (
            ". {\n import later\n}\n(later) {\n log\n}",
            "Corefile:2 - Error during parsing: File to import not found: later",
        ),
        (
            "(a) {\n log\n}\n(a) {\n log\n}",
            "Corefile:4 - Error during parsing: redeclaration of previously declared snippet a",
        ),
        ("(a)\nlog", "Corefile:1 - Syntax error: Unexpected token '(a)', expecting '{'"),
        (
            "(a) {\n import a\n}\n. {\n import a\n}",
            "Corefile:2 - Error during parsing: maximum snippet import depth (10000) exceeded",
        ),
        (
            ". {\n log {$LOOP}\n}",
            "Corefile:2 - Error during parsing: the environment variable LOOP refers to itself without end",
        ),
        (". {\n import bad\n}", &format!("{absolute}:2 - Error during parsing: Unknown directive 'nonsense'")),
    ] {
        assert_eq!(parse(text, &source), Err(fault.into()), "{text}");
    }
    assert!(parse("import self", &source).unwrap_err().contains("it would import itself"));
}

#[test]
fn files_are_put_in_where_they_are_imported() {
    let files = [("conf/b.conf", "errors\n"), ("conf/a.conf", "log\nimport more/x"), ("conf/more/x", "whoami")];
    let source = memory(&files, &[("NAME", "*.conf")]);
    assert_eq!(
        parse(". {\n import conf/{$NAME}\n}", &source).unwrap(),
        "dns://.:53 {\n    log\n    whoami\n    errors\n}\n"
    );
    let nothing = Corefile::parse("Corefile", ". {\n import none/*\n whoami\n}", 53, &source).unwrap();
    assert_eq!(nothing.warnings, ["No files matching import glob pattern: none/*"]);
}

#[test]
fn names_beyond_letters_digits_and_hyphens_are_warned_of() {
    let odd = Corefile::parse("Corefile", "a+b c_d {\n}", 53, &Memory::default()).unwrap();
    assert_eq!(odd.warnings, ["Domain \"a+b.\" does not follow RFC1035 preferred syntax"]);
}

#[test]
fn a_zone_is_served_once_in_one_place() {
    let binds: [&[IpAddr]; 3] =
        [&[], &["127.0.0.1".parse().unwrap()], &["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]];
    for (keys, fault) in [
        ("a b", None),
        ("a a:54", None),
        ("a tls://a", None),
        (".:1054 .:1054", Some("cannot serve dns://.:1054 - it is already defined")),
        ("a=1 a=2", Some("cannot serve dns://a.:53 on 127.0.0.1 - it is already defined")),
        ("a=1 a", Some("cannot serve dns://a.:53 - zone overlap listener capacity with dns://a.:53 on 127.0.0.1")),
    ] {
        let words: Vec<(&str, usize)> = keys
            .split(' ')
            .map(|word| word.split_once('=').map_or((word, 0), |(key, bind)| (key, bind.parse().unwrap())))
            .collect();
        let parsed: Vec<_> = words
            .iter()
            .map(|(key, bind)| {
                let corefile = Corefile::parse("Corefile", &format!("{key} {{\n}}"), 53, &Memory::default()).unwrap();
                (corefile.blocks[0].keys[0].clone(), binds[*bind])
            })
            .collect();
        let keys: Vec<_> = parsed.iter().map(|(key, binds)| (key, *binds)).collect();
        assert_eq!(check_overlap(&keys).map_err(|why| why.to_string()).err().as_deref(), fault);
    }
}

#[test]
fn durations() {
    let token =
        |text: &str| Token { text: text.into(), file: "Corefile".into(), line: 1, literal: false, first: false };
    for (text, milliseconds) in
        [("300ms", 300), ("1.5h", 5_400_000), ("2h45m", 9_900_000), ("0", 0), ("0s", 0), ("1m0.5s", 60_500)]
    {
        assert_eq!(duration(&token(text)).unwrap().as_millis(), milliseconds, "{text}");
    }
    for text in ["", "5", "h", "1x", "-1s", "1.2.3s", "1e400h", "99999999999999999h"] {
        assert!(duration(&token(text)).is_err(), "{text}");
    }
}

#[test]
fn random_texts_end_and_print_as_the_same() {
    let words = [
        ".",
        "{",
        "}",
        "{\n",
        "\n}\n",
        "\n",
        "log",
        "import",
        "a",
        "(a)",
        "\"",
        "\\\"",
        "#",
        ",",
        ":53",
        "{$X}",
        "{%",
        "%}",
        "\\",
        "é",
        "errors",
        "class",
        " ",
        "\r",
        "10.0.0.0/9",
        "@",
        "tls://",
        "\"{\"",
        "\"import\"",
        "\u{feff}",
    ];
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[(state >> 33) as usize % words.len()]);
            if state >> 40 & 1 == 0 {
                text.push(' ');
            }
        }
        fuzz_check(&text);
    }
}
