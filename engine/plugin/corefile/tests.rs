//! The grammar as a table: what a Corefile means, and what is wrong with one that means nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{ConfigError, Corefile, Directive, Options, ServerBlock, Source};

/// A few variables, and files in memory.
struct Memory(BTreeMap<&'static str, &'static str>);

impl Source for Memory {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "ZONE" => "example.org",
            "SPACES" => "a b",
            "TWICE" => "{$ZONE}",
            "SELF" => "{$SELF}",
            "OPEN" => "{",
            "PLUGIN" => "whoami",
            "FILE" => "one.conf",
            _ => return None,
        };
        Some(value.into())
    }

    fn absolute(&self, file: &Path) -> io::Result<PathBuf> {
        Ok(Path::new("/etc").join(file))
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let matches = |path: &str| match pattern.split_once('*') {
            None => path == pattern,
            Some((before, after)) => path.starts_with(before) && path.ends_with(after),
        };
        Ok(self.0.keys().filter(|path| matches(path)).map(PathBuf::from).collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        match file.to_str().and_then(|file| self.0.get(file)) {
            Some(&"DIRECTORY") => Err(io::ErrorKind::IsADirectory.into()),
            Some(text) => Ok(text.as_bytes().into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Parses among the files of the tests.
fn check(text: &str) -> (Corefile, Vec<ConfigError>) {
    let files = Memory(BTreeMap::from([
        ("/etc/one.conf", "whoami\n"),
        ("/etc/two.conf", "log one\n"),
        ("/etc/lines.conf", "a 1\nb 2"),
        ("/etc/keys.conf", "b.org c.org\n"),
        ("/etc/nested.conf", "log nested\nimport conf.d/*.conf"),
        ("/etc/conf.d/a.conf", "log a"),
        ("/etc/conf.d/b.conf", "log b"),
        ("/etc/conf.d/c.conf", "import ../one.conf"),
        ("/etc/bad.conf", "log\n\nnonsense\n"),
        ("/etc/open.conf", "log\n\"x"),
        ("/etc/self.conf", "import self.conf\n"),
        ("/etc/folder", "DIRECTORY"),
        ("/etc/sites/a.conf", "a.org {\n whoami\n}\n"),
        ("/etc/sites/b.conf", "b.org {\n log\n}"),
        ("/etc/snippets.conf", "(s) {\n log s\n}\n"),
        ("/etc/bom.conf", "\u{feff}whoami"),
    ]));
    let known = ["whoami", "log", "hosts", "file", "errors", "health", "template"];
    let options = Options { port: 1053, is_known: &|name| known.contains(&name), source: &files };
    Corefile::read("Corefile", text, &options)
}

/// The blocks on one line: keys `,`-separated, arguments in `()`, blocks in `[]`.
fn shape(corefile: &Corefile) -> String {
    let block = |block: &ServerBlock| {
        let keys: Vec<_> = block.keys.iter().map(ToString::to_string).collect();
        format!("{}: {}", keys.join(","), lines(&block.directives)).trim_end().to_owned()
    };
    corefile.blocks.iter().map(block).collect::<Vec<_>>().join("; ")
}

/// The lines of a block on one line.
fn lines(directives: &[Directive]) -> String {
    let line = |line: &Directive| {
        let args: String = line.args.iter().map(|arg| format!("({})", arg.text)).collect();
        let body = line.body.as_ref().map_or_else(String::new, |body| format!("[{}]", lines(body)));
        format!("{}{args}{body}", line.name.text)
    };
    directives.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_corefile_means() {
    for (rule, text, expected) in [
        // Blocks and braces.
        ("a block", ".:53 {\n whoami\n log\n}", "dns://.:53: whoami log"),
        ("the brace on the next line", ".\n{\nwhoami\n}", "dns://.:1053: whoami"),
        ("a directive behind the brace", ". { whoami\n}", "dns://.:1053: whoami"),
        ("no braces: one block", ". a.org\nwhoami\nlog x", "dns://.:1053,dns://a.org.:1053: whoami log(x)"),
        ("just a key", "example.org", "dns://example.org.:1053:"),
        ("an empty block", ". {\n}", "dns://.:1053:"),
        ("an empty file", "", ""),
        ("comments only", "# nothing\n\n", ""),
        (
            "several blocks",
            "a.org {\n}\nb.org {\nlog\n} c.org {\n}",
            "dns://a.org.:1053:; dns://b.org.:1053: log; dns://c.org.:1053:",
        ),
        ("a byte-order mark", "\u{feff}. {\n}", "dns://.:1053:"),
        ("line ends of the other kind", ". {\r\n log a\r\n}\r\n", "dns://.:1053: log(a)"),
        // Keys.
        ("keys by white space", "a.org b.org:53 {\n}", "dns://a.org.:1053,dns://b.org.:53:"),
        ("keys by commas", "a.org, b.org,c.org {\n}", "dns://a.org.:1053,dns://b.org.:1053,dns://c.org.:1053:"),
        ("a trailing comma carries on", "a.org,\nb.org {\n}", "dns://a.org.:1053,dns://b.org.:1053:"),
        ("an empty key is none", "\"\" a.org {\n}", "dns://a.org.:1053:"),
        ("lower case, absolute", "Example.ORG {\n}", "dns://example.org.:1053:"),
        (
            "schemes and their ports",
            "dns://a. tls://a. quic://a. https://a. https3://a. grpc://a. {\n}",
            "dns://a.:1053,tls://a.:853,quic://a.:853,https://a.:443,https3://a.:443,grpc://a.:443:",
        ),
        ("an explicit port counts", "tls://a.:5353 https://b.:8443 {\n}", "tls://a.:5353,https://b.:8443:"),
        ("an address block", "10.0.0.0/24:53 {\n}", "dns://0.0.10.in-addr.arpa.:53:"),
        ("host bits are ignored", "10.1.2.3/8 {\n}", "dns://10.in-addr.arpa.:1053:"),
        (
            "off a boundary",
            "2001:db8::/31 {\n}",
            "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053,dns://9.b.d.0.1.0.0.2.ip6.arpa.:1053:",
        ),
        ("a bare address is a name", "10.0.0.1 {\n}", "dns://10.0.0.1.:1053:"),
        ("an escaped dot", "a\\.b.org {\n}", "dns://a\\.b.org.:1053:"),
        ("a scheme in capitals", "TLS://a.org {\n}", "tls://a.org.:853:"),
        ("@ is a name", "@ {\n}", "dns://\\@.:1053:"),
        ("a lone brace names nothing", "{\n whoami\n}\n. {\n}", "dns://.:1053:"),
        // Lines.
        ("arguments", ". {\n log a \"b c\" \"\"\n}", "dns://.:1053: log(a)(b c)()"),
        (
            "a block of a plugin",
            ". {\n hosts f {\n  1.2.3.4 a b\n  fallthrough\n }\n}",
            "dns://.:1053: hosts(f)[1.2.3.4(a)(b) fallthrough]",
        ),
        ("a block on one line", ". {\n log { class denial error }\n}", "dns://.:1053: log[class(denial)(error)]"),
        ("an empty block of a plugin", ". {\n log {\n }\n}", "dns://.:1053: log[]"),
        ("a block within", ". {\n log {\n a b {\n c\n }\n d\n }\n}", "dns://.:1053: log[a(b)[c] d]"),
        ("a plugin's brace on the next line", ". {\n log x\n {\n a\n }\n}", "dns://.:1053: log(x)[a]"),
        ("braces inside words", ". {\n log {x}\n}", "dns://.:1053: log({x})"),
        ("a quoted text over lines", ". {\n log \"a\nb\" c\n whoami\n}", "dns://.:1053: log(a\nb)(c) whoami"),
        ("several lines of a plugin", ". {\n log a\n whoami\n log b\n}", "dns://.:1053: log(a) whoami log(b)"),
        // Environment.
        (
            "references in keys, names, arguments",
            "{$ZONE}:53 {\n {%PLUGIN%}\n log x{$ZONE}y\n}",
            "dns://example.org.:53: whoami log(xexample.orgy)",
        ),
        ("references in quotes", ". {\n log \"{$ZONE} {%ZONE%}\"\n}", "dns://.:1053: log(example.org example.org)"),
        ("a value may be a reference", "{$TWICE} {\n}", "dns://example.org.:1053:"),
        ("unset is empty", "a{$NOPE}.org {\n log {$NOPE}\n}", "dns://a.org.:1053: log()"),
        ("a value with a space is one argument", ". {\n log {$SPACES}\n}", "dns://.:1053: log(a b)"),
        ("a value that is a brace opens nothing", ". {\n log {$OPEN} a\n}", "dns://.:1053: log({)(a)"),
        ("malformed stays", ". {\n log {$} {$x\n}", "dns://.:1053: log({$})({$x)"),
        (
            "template text is none",
            ". {\n log {{$ZONE}} \"{{ $ZONE }}\"\n}",
            "dns://.:1053: log({example.org})({{ $ZONE }})",
        ),
        // Imports.
        ("a file", ". {\n import one.conf\n log\n}", "dns://.:1053: whoami log"),
        ("an absolute path", ". {\n import /etc/one.conf\n}", "dns://.:1053: whoami"),
        ("a pattern, in order", ". {\n import conf.d/*.conf\n}", "dns://.:1053: log(a) log(b) whoami"),
        (
            "relative to the importing file",
            ". {\n import nested.conf\n}",
            "dns://.:1053: log(nested) log(a) log(b) whoami",
        ),
        ("a variable in the path", ". {\n import {$FILE}\n}", "dns://.:1053: whoami"),
        (
            "at top level",
            "import sites/*.conf\n. {\n}",
            "dns://a.org.:1053: whoami; dns://b.org.:1053: log; dns://.:1053:",
        ),
        ("a byte-order mark in a file", ". {\n import bom.conf\n}", "dns://.:1053: whoami"),
        (
            "inside a plugin's block",
            ". {\n hosts {\n import lines.conf\n c 3\n }\n}",
            "dns://.:1053: hosts[a(1) b(2) c(3)]",
        ),
        (
            "the same file twice",
            ". {\n hosts {\n import two.conf\n import two.conf\n }\n}",
            "dns://.:1053: hosts[log(one) log(one)]",
        ),
        (
            "keys from a file",
            "a.org,\nimport keys.conf\n{\n}",
            "dns://a.org.:1053,dns://b.org.:1053,dns://c.org.:1053:",
        ),
        ("a pattern without matches", ". {\n import none/*.conf\n log\n}", "dns://.:1053: log"),
        ("import inside a line is an argument", ". {\n log import x\n}", "dns://.:1053: log(import)(x)"),
        // Snippets.
        ("a snippet", "(s) {\n whoami\n log a\n}\n. {\n import s\n errors\n}", "dns://.:1053: whoami log(a) errors"),
        ("a snippet wins over a file", "(one.conf) {\n log s\n}\n. {\n import one.conf\n}", "dns://.:1053: log(s)"),
        (
            "several times",
            "(s) {\n log a\n}\n. {\n import s\n import s\n}\nb.org {\n import s\n}",
            "dns://.:1053: log(a) log(a); dns://b.org.:1053: log(a)",
        ),
        (
            "a snippet in a snippet",
            "(a) {\n log a\n}\n(b) {\n import a\n whoami\n}\n. {\n import b\n}",
            "dns://.:1053: log(a) whoami",
        ),
        (
            "nested imports are expanded at use",
            "(b) {\n import a\n}\n(a) {\n log a\n}\n. {\n import b\n}",
            "dns://.:1053: log(a)",
        ),
        ("a snippet from a file", "import snippets.conf\n. {\n import s\n}", "dns://.:1053: log(s)"),
        (
            "a snippet in a plugin's block",
            "(s) {\n a 1\n b 2\n}\n. {\n hosts {\n import s\n }\n}",
            "dns://.:1053: hosts[a(1) b(2)]",
        ),
        ("a snippet with blocks", "(s) {\n hosts {\n a\n }\n}\n. {\n import s\n}", "dns://.:1053: hosts[a]"),
        (
            "a snippet of one line",
            "(s) { log a\n}\n. {\n whoami\n import s\n errors\n}",
            "dns://.:1053: whoami log(a) errors",
        ),
        ("an empty snippet", "(s) {\n}\n. {\n import s\n log\n}", "dns://.:1053: log"),
        ("its name from the environment", "({$ZONE}) {\n log a\n}\n. {\n import {$ZONE}\n}", "dns://.:1053: log(a)"),
    ] {
        let (corefile, faults) = check(text);
        assert_eq!(faults, [], "{rule}");
        assert_eq!(shape(&corefile), expected, "{rule}");
    }
}

#[test]
fn what_is_wrong() {
    let long = "a".repeat(300);
    let too_long = format!("{long} {{\n}}");
    let too_long_message = "error inspecting server blocks: specified zone is too long: 300 > 255";
    let imports = |name: &str| format!("import {name}\n").repeat(60);
    let words = "x ".repeat(400);
    let many =
        format!("(a) {{\nlog {words}\n}}\n(b) {{\n{}}}\n(c) {{\n{}}}\n. {{\nimport c\n}}", imports("a"), imports("b"));
    let deep = format!(". {{\n log {}", "{ a ".repeat(40));
    for (rule, text, message) in [
        ("an unknown directive", ". {\n whoami\n foo\n}", "Corefile:3 - Error during parsing: Unknown directive 'foo'"),
        (
            "a plugin before the first block",
            "health\n. {\n whoami\n}",
            "Corefile:2 - Error during parsing: Unknown directive '.'",
        ),
        (
            "unknown comes before its block",
            ". {\n foo {\n",
            "Corefile:2 - Error during parsing: Unknown directive 'foo'",
        ),
        (
            "a name from the environment",
            ". {\n {$ZONE}\n}",
            "Corefile:2 - Error during parsing: Unknown directive 'example.org'",
        ),
        ("an unclosed block", ". {\n whoami\n log", "Corefile:3 - Syntax error: Unexpected token 'log', expecting '}'"),
        (
            "an unclosed block without lines",
            ".:53 {\n",
            "Corefile:1 - Syntax error: Unexpected token '{', expecting '}'",
        ),
        ("an unclosed block of a plugin", ". {\n hosts {\n a b\n", "Corefile:3 - Error during parsing: Unexpected EOF"),
        (
            "a closing brace behind a directive",
            ". {\n whoami }",
            "Corefile:2 - Error during parsing: Unexpected '}' because no matching opening brace",
        ),
        (
            "a closing brace behind a block",
            ". {\n log {\n } }",
            "Corefile:3 - Error during parsing: Unexpected '}' because no matching opening brace",
        ),
        (
            "a stray closing brace",
            ". {\n}\n}",
            "Corefile:3 - Error during parsing: Unexpected '}' because no matching opening brace",
        ),
        (
            "a closing brace without an opening one",
            ".\nwhoami\n}",
            "Corefile:3 - Error during parsing: Unexpected '}' because no matching opening brace",
        ),
        (
            "words behind a block",
            ". {\n log {\n } x\n}",
            "Corefile:3 - Syntax error: Unexpected token 'x', expecting 'end of line'",
        ),
        (
            "a block of nothing",
            ". {\n log {\n {\n }\n }\n}",
            "Corefile:3 - Error during parsing: Unexpected '{' because nothing stands before it",
        ),
        ("too deep", &deep, "Corefile:2 - Error during parsing: blocks are nested more than 32 deep"),
        (
            "an open quote",
            ". {\n log \"a\n}\n",
            "Corefile:2 - Error during parsing: Unexpected EOF: the quote that begins here is not closed",
        ),
        (
            "an extra comma",
            "a.org, {\n}",
            "Corefile:1 - Error during parsing: Expected another address but had '{' - check for extra comma",
        ),
        (
            "an extra comma on the next line",
            "a.org,\n{\n}",
            "Corefile:2 - Error during parsing: Expected another address but had '{' - check for extra comma",
        ),
        (
            "two commas",
            "a.org,, b.org {\n}",
            "Corefile:1 - Error during parsing: Expected another address but had ',' - check for extra comma",
        ),
        ("a comma at the end", "a.org,", "Corefile:1 - Error during parsing: Unexpected EOF"),
        (
            "a circle of variables",
            ". {\n log {$SELF}\n}",
            "Corefile:2 - Error during parsing: the environment references in this text lead back to themselves",
        ),
        // Keys.
        ("no port", "name: {\n}", "error inspecting server blocks: expecting data after last colon: \"name:\""),
        ("no zone", "dns:// {\n}", "error inspecting server blocks: expecting data after last colon: \"\""),
        ("an unknown scheme", "foo://a.org {\n}", "error inspecting server blocks: unknown scheme in \"foo://a.org\""),
        ("only a port", ":53 {\n}", "error inspecting server blocks: zone is not a valid domain name: "),
        ("an empty label", "a..b {\n}", "error inspecting server blocks: zone is not a valid domain name: a..b"),
        ("too long", &too_long, too_long_message),
        ("a port too high", ".:70000 {\n}", "address 70000: invalid port"),
        (
            "a parser's fault comes before a key's",
            "a..b {\n foo\n}",
            "Corefile:2 - Error during parsing: Unknown directive 'foo'",
        ),
        // Imports.
        (
            "nothing to import",
            ". {\n import\n}",
            "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'",
        ),
        (
            "empty import",
            ". {\n import {$NOPE}\n}",
            "Corefile:2 - Error during parsing: Import requires a non-empty filepath",
        ),
        (
            "two imports",
            ". {\n import a b\n}",
            "Corefile:2 - Error during parsing: Import takes only one argument (glob pattern or file)",
        ),
        ("no such file", ". {\n import nope\n}", "Corefile:2 - Error during parsing: File to import not found: nope"),
        (
            "no such snippet yet",
            ". {\n import s\n}\n(s) {\n}",
            "Corefile:2 - Error during parsing: File to import not found: s",
        ),
        (
            "a folder",
            ". {\n import folder\n}",
            "Corefile:2 - Error during parsing: Could not import /etc/folder: is a directory",
        ),
        (
            "two wildcards",
            ". {\n import */*.conf\n}",
            "Corefile:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: /etc/*/*.conf",
        ),
        (
            "a set",
            ". {\n import [ab].conf\n}",
            "Corefile:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: /etc/[ab].conf",
        ),
        (
            "a fault in a file",
            ". {\n import bad.conf\n}",
            "/etc/bad.conf:3 - Error during parsing: Unknown directive 'nonsense'",
        ),
        (
            "an open quote in a file",
            ". {\n import open.conf\n}",
            "/etc/open.conf:2 - Error during parsing: Unexpected EOF: the quote that begins here is not closed",
        ),
        (
            "a file that imports itself",
            "import self.conf",
            "/etc/self.conf:1 - Error during parsing: maximum file import depth (100000) exceeded",
        ),
        // Snippets.
        (
            "declared twice",
            "(s) {\n}\n(s) {\n}",
            "Corefile:3 - Error during parsing: redeclaration of previously declared snippet s",
        ),
        ("without braces", "(s)\nlog\n", "Corefile:2 - Syntax error: Unexpected token 'log', expecting '{'"),
        ("not closed", "(s) {\n log\n", "Corefile:2 - Syntax error: Unexpected token 'log', expecting '}'"),
        (
            "it imports itself",
            "(s) {\n log\n import s\n}",
            "Corefile:3 - Error during parsing: maximum snippet import depth (10000) exceeded",
        ),
        (
            "two import each other",
            "(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}",
            "Corefile:5 - Error during parsing: maximum snippet import depth (10000) exceeded",
        ),
        (
            "they make too many words",
            &many,
            "Corefile:2 - Error during parsing: more than 1000000 words, imports included",
        ),
    ] {
        let (_, faults) = check(text);
        assert_eq!(faults.first().map(ToString::to_string).as_deref(), Some(message), "{rule}");
    }
}

#[test]
fn what_is_only_a_warning() {
    let preferred = |zone: &str| format!("Domain \"{zone}\" does not follow RFC1035 preferred syntax");
    for (rule, text, warnings) in [
        ("names as RFC 1035 prefers them", "a-b.example.org . 10.0.0.0/8 {\n}", vec![]),
        ("an underscore", "_tcp.a.org {\n}", vec![preferred("_tcp.a.org.")]),
        ("a bare address", "10.0.0.1 {\n}", vec![preferred("10.0.0.1.")]),
        ("a pattern without matches", "import none/*", vec!["No files matching import glob pattern: none/*".into()]),
        ("a block without a key", "{\n}", vec!["Corefile:1: a server block without a key is not served".into()]),
    ] {
        let (corefile, faults) = check(text);
        assert_eq!((corefile.warnings, faults), (warnings, vec![]), "{rule}");
    }
}

#[test]
fn a_check_finds_all_faults() {
    let text = "a..b . {\n foo\n log\n bar {\n x\n }\n}\nb: c.org {\n baz\n whoami\n}\n";
    let (corefile, faults) = check(text);
    let lines: Vec<_> = faults.iter().filter_map(ConfigError::place).map(|place| place.line).collect();
    assert_eq!(lines, [2, 4, 9, 1, 8]);
    assert_eq!(shape(&corefile), "dns://.:1053: log; dns://c.org.:1053: whoami");
}

#[test]
fn a_plugin_reads_its_line() {
    let (corefile, _) = check(". {\n log\n log a\n log a b\n log {\n  x y\n  z { q }\n }\n log a {\n }\n}\n");
    let [none, one, two, block, both] = &corefile.blocks[0].directives[..] else { panic!() };
    let text = |result: Result<(), ConfigError>| result.map_or_else(|why| why.to_string(), |()| String::new());
    let one_argument = |line: &Directive| line.one_argument().map(|argument| assert_eq!(argument.text, "a"));
    let count = |line: u32, after: &str| {
        format!(
            "Corefile:{line} - Error during parsing: Wrong argument count or unexpected line ending after '{after}'"
        )
    };
    let brace =
        |line: u32| format!("Corefile:{line} - Error during parsing: Unexpected token '{{', expecting argument");
    for (rule, found, expected) in [
        ("none wanted, none there", text(none.no_arguments()), String::new()),
        ("none wanted, one there", text(one.no_arguments()), count(3, "a")),
        ("none wanted, a block there", text(block.no_arguments()), brace(5)),
        ("one wanted, none there", text(one_argument(none)), count(2, "log")),
        ("one wanted, one there", text(one_argument(one)), String::new()),
        ("one wanted, two there", text(one_argument(two)), count(4, "b")),
        ("one wanted, a block there", text(one_argument(block)), brace(5)),
        ("one wanted, one and a block there", text(one_argument(both)), brace(9)),
        ("wrong count", two.wrong_argument_count().to_string(), count(4, "b")),
        ("blocks only one deep", text(block.flat()), brace(7)),
        (
            "of a plugin",
            block.properties()[0].unknown_property().of_plugin("log").to_string(),
            "plugin/log: Corefile:6 - Error during parsing: unknown property 'x'".into(),
        ),
        (
            "once",
            ConfigError::once().of_plugin("cache").to_string(),
            "plugin/cache: this plugin can only be used once per Server Block".into(),
        ),
    ] {
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn nothing_to_serve_is_the_built_in_corefile() {
    for text in ["", "# nothing\n", "\u{feff}", "(s) {\n}\n", "{\n}"] {
        let corefile = Corefile::parse("Corefile", text, 1053, &super::source::Nowhere).unwrap();
        assert_eq!(shape(&corefile), "dns://.:1053: whoami log", "{text:?}");
    }
}

#[test]
fn the_file_system_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write("conf.d/b.conf", "log b\n");
    write("conf.d/a.conf", "log a\nimport ../once\n");
    write("once", "nonsense\n");
    let corefile = folder.path().join("Corefile").display().to_string();
    let parse = |text: &str| Corefile::parse(&corefile, text, 53, &super::FileSystem);
    let fault = |text: &str| parse(text).unwrap_err().to_string();

    assert_eq!(shape(&parse(". {\n import conf.d/b*\n}").unwrap()), "dns://.:53: log(b)");
    let folder = folder.path().display();
    assert_eq!(
        fault(". {\n import conf.d/*.conf\n}"),
        format!("{folder}/once:1 - Error during parsing: Unknown directive 'nonsense'")
    );
    assert_eq!(
        fault(". {\n import conf.d\n}"),
        format!("{folder}/Corefile:2 - Error during parsing: Could not import {folder}/conf.d: is a directory")
    );
}

#[test]
fn random_texts_print_to_what_they_mean() {
    let words = [
        ".",
        "a.org",
        "a.org:53,",
        "tls://b",
        "10.0.0.0/23",
        "log",
        "whoami",
        "x1",
        "{",
        "}",
        "{\n",
        "\n}\n",
        "\n",
        "\n",
        "\n",
        "import",
        "import a",
        "import b",
        "import *",
        "import c",
        "import s",
        "(s)",
        "\"a b\"",
        "\"\"",
        "\"",
        "\\",
        "#c\n",
        "{$A}",
        "{%A%}",
        "{$B}",
        "{$C}",
        "{$D}",
        "{$E}",
        "{$F}",
        "{$I}",
        "{$",
        "{%",
        "{$}",
        "%}",
        ",",
        "é",
        "\u{feff}",
        "\r",
        "\\.",
        "a\\,b",
        "_x",
        ". {\nlog {\na b\n}\n}\n",
    ];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..random(24) {
            text.push_str(words[random(words.len())]);
            if random(4) > 0 {
                text.push(' ');
            }
        }
        super::fuzz_check(&text);
    }
}
