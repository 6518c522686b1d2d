//! Which block and which plugin a query is answered by.

use domain::base::iana::Class;
use engine::plugin::corefile::{Corefile, FileSystem};
use engine::plugin::{Asked, setup};
use engine::zone::Hub;
use store::Rtype;

use super::Memory;
use crate::support::Question;

/// A zone with a host that has this address.
fn zone(address: &str) -> String {
    format!("@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\nwww 60 A {address}\n")
}

/// Blocks that each tell by their NSID-like record which of them has answered.
fn blocks(zones: &[&str]) -> Memory {
    let text: String = zones
        .iter()
        .map(|zone| format!("{zone} {{\n template IN TXT . {{\n answer \"{{{{ .Name }}}} 0 TXT '{zone}'\"\n }}\n}}\n"))
        .collect();
    Memory::start(&text.replace('\'', "\\\""), &[])
}

/// The zone of the block that has answered.
fn block(server: &mut Memory, qname: &str) -> String {
    let lines = server.ask(qname, Rtype::TXT);
    lines.get(1).map_or_else(|| lines[0].clone(), |record| record.rsplit(' ').next().unwrap().replace('"', ""))
}

/// Of the zones of a port the one with the longest suffix of the name takes the query, compared label by label.
#[test]
fn m36_the_longest_suffix_takes_the_query() {
    let mut server = blocks(&["org", "example.org", "lab.example.org"]);
    for (qname, expected) in [
        ("www.example.org.", "example.org"),
        ("example.org.", "example.org"),
        ("a.b.lab.example.org.", "lab.example.org"),
        ("collab.example.org.", "example.org"),
        ("notexample.org.", "org"),
        ("org.", "org"),
    ] {
        assert_eq!(block(&mut server, qname), expected, "{qname}");
    }
}

/// Upper and lower case make no difference, neither in the Corefile nor in a query.
#[test]
fn m37_case_makes_no_difference() {
    let mut server = blocks(&["Example.ORG", "."]);
    assert_eq!(block(&mut server, "WWW.eXample.org."), "Example.ORG");
}

/// The root block takes what no other is for; without one such a query is refused.
#[test]
fn m38_the_root_block_takes_the_rest() {
    assert_eq!(block(&mut blocks(&["example.org", "."]), "example.com."), ".");
    assert_eq!(block(&mut blocks(&["example.org"]), "example.com."), "REFUSED");
}

/// A block without plugins refuses.
#[test]
fn m39_a_block_without_plugins_refuses() {
    let mut server = Memory::start("example.org {\n}\n. {\n whoami\n}\n", &[]);
    assert_eq!(server.status("www.example.org.", Rtype::A), "REFUSED");
    assert_eq!(server.status("www.example.net.", Rtype::A), "NOERROR aa");
}

/// If no plugin of the block answers, the answer is SERVFAIL.
#[test]
fn m40_a_query_that_nobody_answers_fails() {
    let mut server = Memory::start(". {\n chaos\n any\n log\n}\n", &[]);
    assert_eq!(server.ask("www.example.org.", Rtype::A), ["SERVFAIL"]);
}

/// `file` as the last plugin refuses names outside its zone.
#[test]
fn m41_file_refuses_what_is_not_its_zone() {
    let mut server = Memory::start(". {\n file FOLDER/db example.org\n}\n", &[("db", &zone("192.0.2.1"))]);
    assert_eq!(server.status("www.example.net.", Rtype::A), "REFUSED");
    assert_eq!(server.status("www.example.org.", Rtype::A), "NOERROR aa");
}

/// A question for DS is answered by the parent's block, if that is served here.
#[test]
fn m42_ds_is_the_parents() {
    let parent = zone("192.0.2.1")
        + "sub 60 NS ns1.sub\nns1.sub 60 A 192.0.2.2\nsub 60 DS 1 13 2 00000000000000000000000000000000000000000000000000000000000000ff\n";
    let text = "sub.example.org {\n file FOLDER/sub\n}\nexample.org {\n file FOLDER/db\n}\n";
    let files = [("db", &parent[..]), ("sub", &zone("192.0.2.3"))];
    let mut server = Memory::start(text, &files);
    assert!(server.ask("sub.example.org.", Rtype::DS)[1].starts_with("sub.example.org. 60 IN DS 1 13 2 "));
    assert_eq!(server.ask("www.sub.example.org.", Rtype::A)[1], "www.sub.example.org. 60 IN A 192.0.2.3");
    let mut alone = Memory::start("sub.example.org {\n file FOLDER/sub\n}\n", &files);
    assert_eq!(alone.status("sub.example.org.", Rtype::DS), "NOERROR aa");
}

/// Queries of class CH are for `chaos`; without it they are refused.
#[test]
fn m43_class_ch_is_for_chaos() {
    let question = Question { qclass: Class::CH, ..Question::new("version.bind.", Rtype::TXT) };
    let mut server =
        Memory::start(". {\n whoami\n chaos V\n}\n:1053 {\n whoami\n}\n".replace("\n:", "\n.:").as_str(), &[]);
    assert_eq!(server.at(53, &question), ["NOERROR", "version.bind. 0 CH TXT \"V\""]);
    assert_eq!(server.at(1053, &question), ["REFUSED"]);
    let other = Question { qclass: Class::CH, ..Question::new("example.org.", Rtype::A) };
    assert_eq!(server.at(53, &other), ["REFUSED"]);
}

/// The order of the plugins is fixed; that of the lines in a Corefile does not matter.
#[test]
fn m44_the_order_of_plugins_is_fixed() {
    let lines = ["whoami", "file FOLDER/db example.org", "any", "acl {\n block net 198.51.100.0/24\n }"];
    for turn in 0..lines.len() {
        let mut lines = lines;
        lines.rotate_left(turn);
        let mut server = Memory::start(&format!(". {{\n{}\n}}\n", lines.join("\n")), &[("db", &zone("192.0.2.1"))]);
        assert_eq!(server.ask("www.example.org.", Rtype::A)[1], "www.example.org. 60 IN A 192.0.2.1");
        assert!(server.ask("www.example.org.", Rtype::ANY)[1].contains("HINFO"));
        assert_eq!(server.ask("www.example.net.", Rtype::A)[1], "www.example.net. 0 IN A 192.0.2.99");
    }
    // The registry's order, as an explanation names the plugins that were asked.
    let text = "example.org {\n whoami\n hosts /dev/null {\n fallthrough\n }\n template IN MX {\n rcode REFUSED\n }\n any\n errors\n chaos\n}\n";
    let corefile = Corefile::parse("Corefile", text, 53, &FileSystem).unwrap();
    let server = setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}")).server;
    let message = Question::new("www.example.org.", Rtype::A).message();
    let mut buffer = crate::support::in_buffer(&message);
    let arrival = crate::support::arrival(engine::plugin::Transport::Udp);
    let (_, trace) = server.worker().explain(&mut buffer, message.len(), &arrival);
    let asked: Vec<&str> = trace.asked.iter().map(|Asked { plugin, .. }| *plugin).collect();
    assert_eq!(asked, ["errors", "any", "chaos", "template", "hosts", "whoami"]);
}

/// A query is handled by a plugin, not handled and passed on, handled if there is data and else falls through, or handled
/// by another plugin while one has a part in it.
#[test]
fn m45_there_are_four_ways_to_treat_a_query() {
    let text = "example.org {\n hosts /dev/null {\n 192.0.2.7 www.example.org\n fallthrough\n }\n any\n file FOLDER/db\n bufsize 600\n nsid here\n header {\n response set ra\n }\n}\n";
    let mut server = Memory::start(text, &[("db", &zone("192.0.2.1"))]);
    // Handled by `hosts`; `any` has passed it on.
    assert_eq!(server.ask("www.example.org.", Rtype::A), ["NOERROR aa ra", "www.example.org. 3600 IN A 192.0.2.7"]);
    // Handled by `any`, before the others.
    assert!(server.ask("www.example.org.", Rtype::ANY)[1].contains("HINFO"));
    // `hosts` has no such name: it falls through to `file`.
    assert_eq!(server.ask("ns1.example.org.", Rtype::A)[1], "ns1.example.org. 60 IN A 192.0.2.53");
    // `nsid` and `header` have a part in the answer of `file`.
    let mut question = Question::new("ns1.example.org.", Rtype::A);
    question.options = vec![(3, Vec::new())];
    assert_eq!(server.at(53, &question)[0], "NOERROR aa ra edns");
}

/// `fallthrough` with zones passes on only names below them; without it a plugin answers for its zone alone.
#[test]
fn m46_fallthrough_may_be_limited_to_zones() {
    for (fallthrough, inside, outside) in [
        ("", "SERVFAIL", "SERVFAIL"),
        ("fallthrough", "NOERROR aa", "NOERROR aa"),
        ("fallthrough a.example.org", "NOERROR aa", "SERVFAIL"),
        ("fallthrough 192.0.2.0/24 A.example.org", "NOERROR aa", "SERVFAIL"),
    ] {
        let text = format!("example.org {{\n hosts /dev/null {{\n 192.0.2.7 x\n {fallthrough}\n }}\n whoami\n}}\n");
        let mut server = Memory::start(&text, &[]);
        assert_eq!(server.status("www.a.example.org.", Rtype::A), inside, "{fallthrough}");
        assert_eq!(server.status("www.b.example.org.", Rtype::A), outside, "{fallthrough}");
    }
}

/// Several lines of one plugin are asked in the order of the Corefile.
#[test]
fn m47_lines_of_one_plugin_keep_their_order() {
    let line = |address: &str| {
        format!(
            "template IN A {{\n match ^{address}\n answer \"{{{{ .Name }}}} 60 A 192.0.2.{address}\"\n fallthrough\n }}"
        )
    };
    let text = format!("example.org {{\n{}\n{}\n whoami\n}}\n", line("[12]").replace("2.[12]", "2.1"), line("2"));
    let mut server = Memory::start(&text, &[]);
    for (qname, expected) in [("1.example.org.", "192.0.2.1"), ("2.example.org.", "192.0.2.1")] {
        assert_eq!(server.ask(qname, Rtype::A)[1], format!("{qname} 60 IN A {expected}"));
    }
    let turned = format!("example.org {{\n{}\n{}\n whoami\n}}\n", line("2"), line("[12]").replace("2.[12]", "2.1"));
    assert_eq!(Memory::start(&turned, &[]).ask("2.example.org.", Rtype::A)[1], "2.example.org. 60 IN A 192.0.2.2");
}

/// All zones of a label share the plugins of its block, and a plugin that names no zones is for all of them.
#[test]
fn m48_the_zones_of_a_label_share_their_plugins() {
    let text = "example.org example.net 192.0.2.0/24 {\n file FOLDER/db\n}\n";
    let mut server = Memory::start(text, &[("db", &zone("192.0.2.1"))]);
    for qname in ["www.example.org.", "www.example.net.", "www.2.0.192.in-addr.arpa."] {
        assert_eq!(server.ask(qname, Rtype::A)[1], format!("{qname} 60 IN A 192.0.2.1"));
    }
}
