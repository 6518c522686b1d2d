//! Explanations of answers from the signed zones of the cases.

use super::*;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Flow, Server, setup};
use engine::zone::Hub;

/// Serves the zone of a file of cases behind a log of errors and an access list.
fn serve(case_file: &str) -> Arc<Switch> {
    let (_, zone) = case_file.split_once("zone example.org.\n").unwrap();
    let (zone, _) = zone.split_once("\nend\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zone");
    std::fs::write(&path, format!("{zone}\n")).unwrap();
    let acl = "acl {\ndrop net 192.0.2.66\nblock net 192.0.2.67\n}\n";
    let path = path.display();
    let corefile = format!(
        "example.org:5300 {{\nbind 127.0.0.1\nerrors\n{acl}file {path}\n}}\nexample.net:5301 {{\nbind 127.0.0.1\nwhoami\n}}\n"
    );
    let corefile = Corefile::parse_text("Corefile", &corefile).unwrap_or_else(|why| panic!("{why}"));
    let ready = setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
    let server: Arc<Server> = ready.server;
    Switch::new(server)
}

/// Explains a question with DO, asked over UDP of the first listener.
fn ask(switch: &Arc<Switch>, qname: &str, rtype: Rtype, client: &str) -> Explanation {
    let question = Question {
        name: name::parse(qname, None).unwrap(),
        rtype,
        dnssec_ok: true,
        client: client.parse().unwrap(),
        transport: Transport::Udp,
        listener: 0,
    };
    explain(switch, &question).unwrap()
}

/// A question (name and type), and the rcode, steps and proofs that are expected.
type Expected<'e> = (&'e str, Rtype, &'e str, &'e [&'e str], &'e [&'e str]);

/// Checks rcode, steps and proofs of some questions.
fn check(switch: &Arc<Switch>, questions: &[Expected<'_>]) {
    for (qname, rtype, rcode, steps, proofs) in questions {
        let explained = ask(switch, qname, *rtype, "192.0.2.1");
        assert_eq!(explained.answer.unwrap().rcode, *rcode, "{qname}");
        let file = explained.trace.asked.last().unwrap();
        assert_eq!((file.plugin, file.flow), ("file", Some(Flow::Done)), "{qname}");
        let found: Vec<_> = file.steps.iter().map(|step| sentence(step, *rtype)).collect();
        assert_eq!(found, *steps, "{qname}");
        assert!(file.steps.iter().all(|step| step.is_signed && step.serial.map(|serial| serial.into_int()) == Some(1)));
        let line = |proof: &Proof| format!("{}: {}", name::to_text(&proof.owner), proof.says.join(" "));
        assert_eq!(explained.proofs.iter().map(line).collect::<Vec<_>>(), *proofs, "{qname}");
    }
}

#[test]
fn each_step_is_told_and_each_nsec_record_says_what_it_proves() {
    let switch = serve(include_str!("../../tests/cases/4035-signed.case"));
    check(
        &switch,
        &[
            ("A.example.org.", Rtype::A, "NOERROR", &["a.example.org. has A records."], &[]),
            (
                "a.example.org.",
                Rtype::TXT,
                "NOERROR",
                &["a.example.org. exists but has no TXT records (NODATA)."],
                &["a.example.org.: a.example.org., the name, exists and has no TXT records."],
            ),
            (
                "ent.example.org.",
                Rtype::A,
                "NOERROR",
                &[
                    "ent.example.org. exists only because names below it do (an empty non-terminal), so there is no data \
                   (NODATA).",
                ],
                &["al.example.org.: ent.example.org., the name, exists only because x.ent.example.org. does."],
            ),
            (
                "nx.example.org.",
                Rtype::A,
                "NXDOMAIN",
                &[
                    "nx.example.org. is an alias (CNAME), whose target is looked for next.",
                    "m.example.org. does not exist (NXDOMAIN); its closest encloser is example.org., which has no wildcard.",
                ],
                &[
                    "x.ent.example.org.: m.example.org., the name, lies in its gap and does not exist.",
                    "example.org.: *.example.org., the wildcard, lies in its gap and does not exist. example.org., the \
                     closest encloser, exists.",
                ],
            ),
            (
                "y.w.example.org.",
                Rtype::TXT,
                "NOERROR",
                &[
                    "y.w.example.org. does not exist; the wildcard *.w.example.org. stands for it, which has TXT records.",
                ],
                &["*.w.example.org.: y.w.example.org., the name, lies in its gap and does not exist."],
            ),
            (
                "h.sub.example.org.",
                Rtype::A,
                "NOERROR",
                &["h.sub.example.org. is delegated: a zone cut is at sub.example.org.."],
                &["sub.example.org.: sub.example.org., the zone cut, has no DS records: the zone below is not signed."],
            ),
        ],
    );
}

#[test]
fn nsec3_records_are_told_by_the_names_that_they_hash() {
    let switch = serve(include_str!("../../tests/cases/5155-signed.case"));
    let explained = ask(&switch, "b.c.example.org.", Rtype::A, "192.0.2.1");
    let says: Vec<_> = explained.proofs.iter().flat_map(|proof| &proof.says).map(String::as_str).collect();
    for (name, said) in [
        ("example.org., the closest encloser,", "exists."),
        ("c.example.org., the next closer name,", "lies in its gap and does not exist."),
        ("*.example.org., the wildcard,", "lies in its gap and does not exist."),
    ] {
        assert!(says.contains(&&*format!("{name} {said}")), "{name}: {says:?}");
    }
    let explained = ask(&switch, "z.example.org.", Rtype::A, "192.0.2.1");
    assert_eq!(explained.proofs[0].says, ["z.example.org., the name, exists and has no A records."]);
}

#[test]
fn plugins_that_answer_are_asked_and_those_that_watch_are_left_out() {
    let switch = serve(include_str!("../../tests/cases/4035-signed.case"));
    let flows = |explained: &Explanation| {
        explained.trace.asked.iter().map(|asked| (asked.plugin, asked.flow)).collect::<Vec<_>>()
    };
    let explained = ask(&switch, "a.example.org.", Rtype::A, "192.0.2.66");
    assert!(explained.answer.is_none());
    assert_eq!(flows(&explained), [("errors", None), ("acl", Some(Flow::Drop))]);
    let explained = ask(&switch, "a.example.org.", Rtype::A, "192.0.2.67");
    assert_eq!(explained.answer.as_ref().unwrap().rcode, "REFUSED");
    assert!(explained.answer.as_ref().unwrap().text.contains("; EDE: "), "{}", explained.answer.unwrap().text);
    assert_eq!(flows(&explained), [("errors", None), ("acl", Some(Flow::Rcode(OptRcode::REFUSED)))]);
    assert_eq!(name::to_text(&explained.trace.block.unwrap()), "example.org.");
    let explained = ask(&switch, "www.example.com.", Rtype::A, "192.0.2.1");
    assert_eq!((explained.trace.block, explained.answer.unwrap().rcode), (None, "REFUSED".into()));
}

#[test]
fn an_answer_is_printed_as_operators_know_it() {
    let switch = serve(include_str!("../../tests/cases/4035-signed.case"));
    let answer = ask(&switch, "b.example.org.", Rtype::A, "192.0.2.1").answer.unwrap();
    let expected = "\
;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 0
;; flags: qr aa; QUERY: 1, ANSWER: 0, AUTHORITY: 6, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags: do; udp: 1232
;; QUESTION SECTION:
;b.example.org.\tIN\tA

;; AUTHORITY SECTION:
example.org.\t60\tIN\tSOA\t. . 1 2 3 4 60
";
    assert!(answer.text.starts_with(expected), "{}", answer.text);
    assert!(answer.text.ends_with(&format!("\n;; MSG SIZE  rcvd: {}\n", answer.wire.len())), "{}", answer.text);
}
