//! The language of templates, a line a rule.

use super::program::{Data, Program};
use super::record::Made;

/// What a template writes for `b.example.`, which the pattern `(?P<x>0a)?(b)` matched.
fn run(text: &str) -> Result<String, String> {
    let fields = [("Name", "b.example."), ("Zone", "example."), ("Qtype", "1"), ("Qclass", "1")];
    let groups = [("0", "b"), ("1", "0a"), ("2", "b"), ("x", "0a")].map(|(name, text)| (name.to_owned(), text));
    let variables = [("v".to_owned(), "7".to_owned())];
    let data = Data { fields: &fields, matches: &["b", "0a", "b"], groups: &groups, variables: &variables };
    Program::read(text, &["v".into()])?.run(&data)
}

#[test]
fn templates_write_what_their_actions_say() {
    for (template, text) in [
        ("", ""),
        ("a {{ .Name }} b", "a b.example. b"),
        ("{{.Zone}}", "example."),
        ("{{ .Var.v }}", "7"),
        ("{{ .Question.Name }}{{ .Question.Qtype }}", "b.example.1"),
        ("{{ .Group.x }}{{ .Group.2 }}{{ .Group.none }}", "0ab<no value>"),
        ("{{ index .Match 2 }}{{ index .Group \"x\" }}", "b0a"),
        ("{{ .Match }} {{ len .Match }}", "[b 0a b] 3"),
        ("{{ parseInt .Group.x 16 8 }}", "10"),
        ("{{ .Group.x | printf \"%s%05d|%-3s|%3x\" \"a\" 42 \"b\" }}", "a00042|b  |3061"),
        ("{{ printf \"%s%05d|%-3s|%3x|%%\" \"a\" 42 \"b\" 255 }}", "a00042|b  | ff|%"),
        ("{{ printf \"%02x\" (parseInt .Group.x 16 8) }}", "0a"),
        ("a {{- .Zone -}} \n b", "aexample.b"),
        ("a{{/* {{ not this }} */}}b {{- /* nor this */ -}} c", "abc"),
        ("{{ if eq .Zone \"other.\" \"example.\" }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if .Meta \"view/name\" }}yes{{ else if gt (len .Match) 2 }}more{{ else }}no{{ end }}", "more"),
        ("{{ if and (ne .Name .Zone) (not false) (or false true) }}yes{{ end }}", "yes"),
        ("{{ $x := parseInt \"12\" 10 16 }}{{ if lt $x 13 }}{{ $x = 7 }}{{ end }}{{ $x }}", "7"),
        ("{{ \"}}\" }}{{ `\\` }}{{ \"\\\"\\\\\" }}", "}}\\\"\\"),
        ("{{ print 1 2 \"a\" 3 true }}{{ -0x10 }}", "1 2a3 true-16"),
        ("{{ parseInt \"0x1F\" 0 0 }} {{ parseInt \"18446744073709551615\" 10 64 }}", "31 18446744073709551615"),
    ] {
        assert_eq!(run(template).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn faults_of_templates_are_found_when_they_are_read() {
    for (template, fault) in [
        ("{{ .Name", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ .Name | }}", "missing value for command"),
        ("{{ .Var.v }}", "there is no field .Var.v"),
        ("{{ .Other }}", "there is no field .Other"),
        ("{{ .Name.First }}", "there is no field .Name.First"),
        ("{{ other }}", "function \"other\" not defined"),
        ("{{ $x }}", "undefined variable \"$x\""),
        ("{{ $x = 1 }}", "undefined variable \"$x\""),
        ("{{ if .Name }}", "{{if}} without {{end}}"),
        ("{{ if .Name }}{{ else }}", "{{else}} without {{end}}"),
        ("{{ if .Name }}{{ else }}{{ else }}{{ end }}", "{{else}} without {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ range .Match }}{{ end }}", "{{range}} is not supported"),
        ("{{ (index .Match 1 }}", "unclosed left paren"),
        ("{{ index .Match 1) }}", "unexpected \")\""),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ /* a }}", "unclosed comment"),
        ("{{ .Name .Zone }}", "arguments for something that is no function"),
        ("{{ . }}", "unexpected \".\""),
        ("{{ 1x }}", "bad number syntax: \"1x\""),
    ] {
        assert_eq!(Program::read(template, &[]).err().as_deref(), Some(fault), "{template}");
    }
    let deep = "{{ if .Name }}".repeat(65) + &"{{ end }}".repeat(65);
    assert!(Program::read(&deep, &[]).is_err());
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(65), ")".repeat(65));
    assert!(Program::read(&deep, &[]).is_err());
}

#[test]
fn faults_of_values_are_found_when_a_template_runs() {
    for template in [
        "{{ index .Match 3 }}",
        "{{ index .Match -1 }}",
        "{{ parseInt .Group.x 10 8 }}",
        "{{ parseInt \"256\" 10 8 }}",
        "{{ parseInt \"+1\" 10 8 }}",
        "{{ parseInt \"\" 10 8 }}",
        "{{ parseInt \"1\" 37 8 }}",
        "{{ parseInt \"1\" 10 65 }}",
        "{{ lt .Name 1 }}",
        "{{ printf \"%d\" .Name }}",
        "{{ printf \"%999999999s\" .Name }}",
        "{{ printf \"%s\" }}",
        "{{ if false }}{{ $x := 1 }}{{ end }}{{ $x }}",
    ] {
        assert!(run(template).is_err(), "{template}");
    }
}

#[test]
fn one_record_is_read_from_its_text() {
    for text in [
        "a.example. 60 IN A 192.0.2.1",
        "a.example 60 A 192.0.2.1",
        "a.example. A 192.0.2.1",
        "a.example. 60 CH TXT x",
        "a.example. IN MX 10 mail.example",
        "a.example. 60 IN SOA ns.a.example. host.a.example. (1 60\t60 60 60)",
    ] {
        assert!(Made::read(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "a.example. 60 IN A 192.0.2",
        "a. 60 IN A 192.0.2.1\nb. 60 IN A 192.0.2.1",
        "$INCLUDE /etc/passwd",
        "a..b A 192.0.2.1",
    ] {
        assert!(Made::read(text).is_err(), "{text}");
    }
}
