//! How a Corefile is read.

use std::collections::BTreeMap;

use super::{Memory, World, fault, meaning};
use crate::support::Question;
use engine::plugin::corefile::Corefile;
use store::Rtype;

/// A `#` outside quotes begins a comment, also in the middle of a word.
#[test]
fn m16_comments_go_to_the_end_of_the_line() {
    assert_eq!(meaning("# first\n. { # second\n log a#b c\n # whoami\n}\n"), "dns://.:53 [log(a)]");
    assert_eq!(meaning(". {\n log \"a#b\"\n}\n"), "dns://.:53 [log(a#b)]");
}

/// A text in double quotes is one argument; `\"` stands for a quote, and any other backslash for itself.
#[test]
fn m17_quotes_make_one_argument() {
    assert_eq!(meaning(". {\n log \"a b\" \"\" c\"d\n}"), "dns://.:53 [log(a b)()(c\"d)]");
    assert_eq!(meaning(". {\n log \"a \\\"b\\\" \\. \\\\\"\n}"), "dns://.:53 [log(a \"b\" \\. \\\\)]");
    let error = "Corefile:2 - Error during parsing: Unexpected EOF: the quote that begins here is not closed";
    assert_eq!(fault(". {\n log \"a\n}\n"), error);
}

/// Braces stand alone: `{` at the end of a line or on the next one, `}` on a line of its own; a Corefile without any is one
/// block.
#[test]
fn m18_braces_hold_a_block() {
    for text in [". {\n whoami\n}", ".\n{\n whoami\n}", ".\nwhoami"] {
        assert_eq!(meaning(text), "dns://.:53 [whoami]");
    }
    assert_eq!(meaning(". {\n log {x} a{b}\n}"), "dns://.:53 [log({x})(a{b})]");
    assert_eq!(fault(". {\n whoami\n"), "Corefile:2 - Syntax error: Unexpected token 'whoami', expecting '}'");
    let closing = "Unexpected '}' because no matching opening brace";
    assert_eq!(fault(". {\n whoami }"), format!("Corefile:2 - Error during parsing: {closing}"));
    assert_eq!(fault(". {\n hosts {\n fallthrough\n"), "Corefile:3 - Error during parsing: Unexpected EOF");
}

/// One label may name several zones, by white space or commas, over several lines after a comma.
#[test]
fn m19_a_label_names_several_zones() {
    let expected = "dns://example.org.:53 dns://example.net.:53 [whoami]";
    for label in
        ["example.org example.net", "example.org, example.net", "example.org,example.net", "example.org,\nexample.net"]
    {
        assert_eq!(meaning(&format!("{label} {{\n whoami\n}}")), expected);
    }
    let error = "Corefile:1 - Error during parsing: Expected another address but had '{' - check for extra comma";
    assert_eq!(fault("example.org, {\n whoami\n}"), error);
}

/// Each zone of a label has a port of its own; without one it is the default.
#[test]
fn m20_each_zone_has_its_own_port() {
    let expected = "dns://example.org.:53 dns://example.net.:1053 [whoami]";
    assert_eq!(meaning("example.org example.net:1053 {\n whoami\n}"), expected);
    let error = "error inspecting server blocks: expecting data after last colon: \"example.org:\"";
    assert_eq!(fault("example.org: {\n whoami\n}"), error);
    assert_eq!(fault("example.org:65536 {\n whoami\n}"), "address 65536: invalid port");
}

/// A scheme in front of a zone says which protocol it is served over, and gives its port.
#[test]
fn m21_schemes_have_ports() {
    let keys = "dns://. tls://. quic://. https://. https3://. grpc://. tls://example.org:5553";
    let expected =
        "dns://.:53 tls://.:853 quic://.:853 https://.:443 https3://.:443 grpc://.:443 tls://example.org.:5553";
    assert_eq!(meaning(&format!("{keys} {{\n whoami\n}}")), format!("{expected} [whoami]"));
}

/// An address block in place of a zone is its reverse zone.
#[test]
fn m22_an_address_block_is_its_reverse_zone() {
    let mut server = Memory::start("10.0.0.0/24 2001:db8::/32 {\n whoami\n}\n", &[]);
    assert_eq!(server.status("1.0.0.10.in-addr.arpa.", Rtype::PTR), "NOERROR aa");
    assert_eq!(server.status("1.1.0.10.in-addr.arpa.", Rtype::PTR), "REFUSED");
    assert_eq!(server.status("1.8.b.d.0.1.0.0.2.ip6.arpa.", Rtype::PTR), "NOERROR aa");
    assert_eq!(server.status("1.9.b.d.0.1.0.0.2.ip6.arpa.", Rtype::PTR), "REFUSED");
}

/// An address block that ends within an octet is all the reverse zones that it covers.
#[test]
fn m23_an_address_block_off_the_boundary_is_several_zones() {
    let mut server = Memory::start("10.0.0.0/27 172.16.0.0/12 {\n whoami\n}\n", &[]);
    assert_eq!(server.status("31.0.0.10.in-addr.arpa.", Rtype::PTR), "NOERROR aa");
    assert_eq!(server.status("32.0.0.10.in-addr.arpa.", Rtype::PTR), "REFUSED");
    assert_eq!(server.status("1.0.31.172.in-addr.arpa.", Rtype::PTR), "NOERROR aa");
    assert_eq!(server.status("1.0.32.172.in-addr.arpa.", Rtype::PTR), "REFUSED");
}

/// `{$NAME}` and `{%NAME%}` stand for environment variables, in zones, names of plugins and arguments.
#[test]
fn m24_environment_variables_are_put_in() {
    let variables = BTreeMap::from([("ZONE", "example.org"), ("PLUGIN", "whoami"), ("TEXT", "a b")]);
    let world = World { variables, ..World::default() };
    let text = "{$ZONE}:{$NONE}53 {\n {%PLUGIN%}\n log www.{%ZONE%} {$TEXT} \"{$ZONE}\"\n}";
    assert_eq!(world.meaning(text), "dns://example.org.:53 [whoami log(www.example.org)(a b)(example.org)]");
}

/// A variable that is not set is empty text, and what is no reference stays as it is.
#[test]
fn m25_a_variable_that_is_not_set_is_empty() {
    assert_eq!(meaning("example{$NONE}.org {\n log {%NONE%}.\n}"), "dns://example.org.:53 [log(.)]");
    assert_eq!(meaning(". {\n log {$} {%x\n}"), "dns://.:53 [log({$})({%x)]");
}

/// `import FILE` puts in what a file holds, at the top, in a block or in the block of a plugin; a relative path is
/// relative to the file with the import.
#[test]
fn m26_import_puts_a_file_in() {
    let files = BTreeMap::from([
        ("/etc/block", "example.net {\n whoami\n}\n"),
        ("/etc/lines", "log\nimport conf/more\n"),
        ("/etc/conf/more", "import other"),
        ("/etc/conf/other", "errors"),
        ("/etc/hosts.lines", "192.0.2.1 a\n192.0.2.2 b"),
    ]);
    let world = World { files, ..World::default() };
    let text = "import block\n. {\n import lines\n hosts {\n import hosts.lines\n fallthrough\n }\n}\n";
    let expected =
        "dns://example.net.:53 [whoami]; dns://.:53 [log errors hosts{192.0.2.1(a) 192.0.2.2(b) fallthrough}]";
    assert_eq!(world.meaning(text), expected);
    assert_eq!(fault(". {\n import none\n}"), "Corefile:2 - Error during parsing: File to import not found: none");
}

/// A pattern with one `*` imports all files that it fits, in their order; none is a warning only.
#[test]
fn m27_import_takes_a_pattern() {
    let files = BTreeMap::from([("/etc/b.conf", "whoami"), ("/etc/a.conf", "log a"), ("/etc/c", "errors")]);
    let world = World { files, ..World::default() };
    assert_eq!(world.meaning(". {\n import *.conf\n}"), "dns://.:53 [log(a) whoami]");
    let corefile = Corefile::parse("Corefile", ". {\n import none/*\n}", 53, &world).unwrap();
    assert_eq!(corefile.warnings, ["No files matching import glob pattern: none/*"]);
    let error = "Glob pattern may only contain one wildcard (*), but has others: /etc/*/*";
    assert_eq!(fault(". {\n import */*\n}"), format!("Corefile:2 - Error during parsing: {error}"));
}

/// A snippet `(NAME) { … }` is imported by its name, wherever it is wanted after it was declared.
#[test]
fn m28_snippets_are_used_again() {
    let text = "(common) {\n log\n errors\n}\nexample.org {\n import common\n whoami\n}\n. {\n import common\n}\n";
    assert_eq!(meaning(text), "dns://example.org.:53 [log errors whoami]; dns://.:53 [log errors]");
    let error = "Corefile:2 - Error during parsing: File to import not found: late";
    assert_eq!(fault(". {\n import late\n}\n(late) {\n log\n}"), error);
    let error = "Corefile:4 - Error during parsing: redeclaration of previously declared snippet a";
    assert_eq!(fault("(a) {\n log\n}\n(a) {\n log\n}\n. {\n import a\n}"), error);
}

/// An import has one argument: snippets take none of their own, and one that imports itself is refused.
#[test]
fn m29_snippets_have_no_arguments() {
    let error = "Corefile:5 - Error during parsing: Import takes only one argument (glob pattern or file)";
    assert_eq!(fault("(s) {\n log\n}\n. {\n import s x\n}"), error);
    let error = "Corefile:2 - Error during parsing: maximum snippet import depth (10000) exceeded";
    assert_eq!(fault("(s) {\n import s\n}\n. {\n import s\n}"), error);
}

/// A line ends the arguments of a plugin; nothing carries them over to the next one.
#[test]
fn m30_lines_are_not_continued() {
    assert_eq!(meaning(". {\n log a \\\n whoami\n}"), "dns://.:53 [log(a)(\\) whoami]");
    assert_eq!(fault(". {\n log a \\\n b\n}"), "Corefile:3 - Error during parsing: Unknown directive 'b'");
}

/// The same zone on the same port twice is refused, in two blocks or in one.
#[test]
fn m31_a_zone_is_served_once_a_port() {
    let again = |bind: &str| format!("cannot serve dns://.:1054{bind} - it is already defined");
    assert_eq!(fault(".:1054 {\n whoami\n}\n.:1054 {\n whoami\n}\n"), again(""));
    assert_eq!(fault(".:1054 .:1054 {\n whoami\n}\n"), again(""));
    let bound = ".:1054 {\n bind 127.0.0.1\n}\n";
    assert_eq!(fault(&format!("{bound}{bound}")), again(" on 127.0.0.1"));
}

/// The same zone may be served on several ports, each with plugins of its own.
#[test]
fn m32_a_zone_may_have_several_ports() {
    let mut server = Memory::start("example.org:53 {\n whoami\n}\nexample.org:1053 {\n any\n}\n", &[]);
    let question = Question::new("example.org.", Rtype::ANY);
    assert_eq!(server.at(53, &question)[0], "NOERROR aa");
    assert_eq!(server.at(1053, &question)[1], "example.org. 8482 IN HINFO \"ANY obsoleted\" \"See RFC 8482\"");
}

/// What is no plugin is named with its line, and so is a plugin outside of all blocks.
#[test]
fn m33_an_unknown_directive_is_named_with_its_line() {
    let unknown = |line: u32, word: &str| format!("Corefile:{line} - Error during parsing: Unknown directive '{word}'");
    assert_eq!(fault(". {\n whoami\n foo\n}\n"), unknown(3, "foo"));
    assert_eq!(fault("health\n. {\n whoami\n}\n"), unknown(2, "."));
}

/// Faults inside a plugin's line name the plugin, the line and the reason.
#[test]
fn m34_a_plugin_tells_its_faults() {
    let parsing =
        |plugin: &str, line: u32, why: &str| format!("plugin/{plugin}: Corefile:{line} - Error during parsing: {why}");
    let count = |word: &str| format!("Wrong argument count or unexpected line ending after '{word}'");
    assert_eq!(fault(". {\n file\n}"), parsing("file", 2, &count("file")));
    assert_eq!(fault(". {\n any x\n}"), parsing("any", 2, &count("x")));
    assert_eq!(fault(". {\n any {\n }\n}"), parsing("any", 2, "Unexpected token '{', expecting argument"));
    assert_eq!(fault(". {\n cache {\n frob\n }\n}"), parsing("cache", 3, "unknown property 'frob'"));
    assert_eq!(fault(". {\n cache 0\n}"), "plugin/cache: cache TTL can not be zero or negative: 0");
    assert_eq!(fault(". {\n log . {common} {\n class foo\n }\n}"), "plugin/log: invalid Class: foo");
    let error = "plugin/bind: not a valid IP address or interface name: \"nowhere0\"";
    assert_eq!(fault(". {\n bind nowhere0\n}"), error);
}

/// Most plugins may stand once in a block; `log`, `forward`, `file`, `template` and `acl` may stand several times.
#[test]
fn m35_most_plugins_stand_once_in_a_block() {
    for line in ["cache", "errors", "hosts", "health :0\nready :0\nready :0", "prometheus :0", "reload", "loop"] {
        let name = line.rsplit('\n').next().unwrap().split(' ').next().unwrap();
        let error = format!("plugin/{name}: this plugin can only be used once per Server Block");
        assert_eq!(fault(&format!(". {{\n{line}\n{line}\n}}")), error);
    }
    let twice = ["log a", "forward a. 127.0.0.1", "file /nowhere", "template IN A {\nrcode REFUSED\n}", "acl"];
    let text: String = twice.iter().map(|line| format!("{line}\n{line}\n")).collect();
    Memory::start(&format!(". {{\n{text}}}\n"), &[]);
}
