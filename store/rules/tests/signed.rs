//! Zones signed by other programs are without fault; each way to spoil one is found and named.

use super::*;

/// How a zone is spoilt: lines are named by how they begin, up to their type.
enum Spoil {
    /// The line goes.
    Remove(&'static str),
    /// A part of the line is another.
    Replace(&'static str, &'static str, &'static str),
    /// One more line.
    Add(&'static str),
}
use Spoil::*;

/// A chain of NSEC records.
const NSEC: &str = include_str!("nsec.zone");
/// A chain of NSEC3 records with all names.
const NSEC3: &str = include_str!("nsec3.zone");
/// A chain of NSEC3 records that leaves out `sub`, `u.v` and so `v` (RFC 5155 §6).
const OPT_OUT: &str = include_str!("optout.zone");

/// The zone's text with some of it spoilt.
fn spoilt(zone: &str, spoils: &[Spoil]) -> String {
    let mut lines: Vec<String> = zone.lines().map(str::to_owned).collect();
    for spoil in spoils {
        let at = |start: &str| {
            let found = zone.lines().position(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("there is no line {start}"))
        };
        match spoil {
            Remove(start) => lines[at(start)].clear(),
            Replace(start, old, new) => {
                let line = &mut lines[at(start)];
                assert!(line.contains(old), "{line} has no {old}");
                *line = line.replacen(old, new, 1);
            }
            Add(line) => lines.push((*line).to_owned()),
        }
    }
    lines.join("\n")
}

/// Rules and messages of what is found.
fn found(text: &str) -> Vec<(Rule, String)> {
    let records = read_text("zone", text.as_bytes(), Some(&apex()), &Options::default()).unwrap().records;
    let faults = check_zone(&apex(), &records, now());
    assert!(faults.iter().all(|fault| fault.severity == Severity::Warning), "{faults:?}");
    faults.into_iter().map(|fault| (fault.rule, fault.message)).collect()
}

#[test]
fn sound_zones_are_without_fault() {
    for zone in [NSEC, NSEC3, OPT_OUT] {
        assert_eq!(found(zone), []);
    }
}

#[test]
fn each_spoilt_signature_is_named() {
    for (spoils, rule, words) in [
        (
            &[Remove("www.example.org. 3600 RRSIG")][..],
            Rule::NoSignature,
            "the CNAME records of www.example.org. have no",
        ),
        (&[Remove("sec.example.org. 3600 RRSIG")], Rule::NoSignature, "the DS records of sec.example.org."),
        (&[Remove("ns.example.org. 300 RRSIG")], Rule::NoSignature, "the NSEC records of ns.example.org."),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "25356", "25357")],
            Rule::BadSignature,
            "of the A records of ns.example.org. is by key 25357 of algorithm 13",
        ),
        (&[Replace("ns.example.org. 3600 RRSIG", "A 13", "A 8")], Rule::BadSignature, "key 25356 of algorithm 8"),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "13 3", "13 2")],
            Rule::BadSignature,
            "counts 2 labels where there are 3",
        ),
        (&[Replace("*.w.example.org. 3600 RRSIG", "13 3", "13 4")], Rule::BadSignature, "counts 4 labels"),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "A 13 3 3600", "A 13 3 60")],
            Rule::BadSignature,
            "a TTL of 60 seconds",
        ),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "20270101", "20261125")],
            Rule::BadSignature,
            "ns.example.org. has expired, 20261125000000",
        ),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "20261101", "20261127")],
            Rule::BadSignature,
            "does not hold yet, from 20261127000000 on",
        ),
        (
            &[Replace("ns.example.org. 3600 RRSIG", "25356 example.org.", "25356 ns.example.org.")],
            Rule::BadSignature,
            "names another signer than example.org.",
        ),
        (
            &[Add("ns.example.org. 3600 RRSIG AAAA 13 3 3600 20270101000000 20261101000000 25356 example.org. AAEC")],
            Rule::NeedlessSignature,
            "of the AAAA records of ns.example.org. signs nothing",
        ),
        (
            &[Add("sub.example.org. 3600 RRSIG NS 13 3 3600 20270101000000 20261101000000 25356 example.org. AAEC")],
            Rule::NeedlessSignature,
            "of the NS records of sub.example.org. signs what is not the zone's own",
        ),
        (
            &[Remove("example.org. 3600 DNSKEY"), Remove("example.org. 3600 RRSIG DNSKEY")],
            Rule::NoKey,
            "example.org. has signatures, but no DNSKEY record",
        ),
        (&[Replace("example.org. 3600 DNSKEY", "257 3", "1 3")], Rule::NoKey, "example.org."),
    ] {
        let text = spoilt(NSEC, spoils);
        assert_one(&text, &found(&text), rule, words);
    }
}

#[test]
fn each_spoilt_nsec_record_is_named() {
    for (spoils, expected) in [
        (
            &[Remove("ns.example.org. 300 NSEC"), Remove("ns.example.org. 300 RRSIG")][..],
            &[(Rule::ChainGap, "ns.example.org. has no NSEC record")][..],
        ),
        (
            &[Replace("dn.example.org. 300 NSEC", "NSEC ns.", "NSEC sec.")],
            &[(Rule::ChainOrder, "of dn.example.org. says that sec.example.org. comes next, which is ns.example.org.")],
        ),
        (
            &[Replace("www.example.org. 300 NSEC", "NSEC example.org.", "NSEC a.b.example.org.")],
            &[(Rule::ChainOrder, "of www.example.org. says that a.b.example.org. comes next, which is example.org.")],
        ),
        (
            &[Replace("a.b.example.org. 300 NSEC", "TXT", "MX")],
            &[(
                Rule::ChainTypes,
                "of a.b.example.org. lists other types than there are: it lacks TXT and has too many of MX",
            )],
        ),
        (&[Replace("sec.example.org. 300 NSEC", "NS DS", "NS")], &[(Rule::ChainTypes, "it lacks DS")]),
        (
            &[Add("ns.sub.example.org. 300 NSEC u.v A NSEC")],
            &[(Rule::NeedlessChain, "ns.sub.example.org. has an NSEC record")],
        ),
        (
            &[Add("m.example.org. 3600 A 192.0.2.1")],
            &[
                (Rule::NoSignature, "the A records of m.example.org."),
                (Rule::ChainOrder, "of dn.example.org. says that ns.example.org. comes next, which is m.example.org."),
                (Rule::ChainGap, "m.example.org. has no NSEC record"),
            ],
        ),
    ] {
        assert_all(&spoilt(NSEC, spoils), expected);
    }
    let unchained: Vec<&str> = NSEC.lines().filter(|line| !line.contains(" 300 ")).collect();
    assert_all(&unchained.join("\n"), &[(Rule::NoChain, "example.org. is signed, but has neither NSEC nor NSEC3")]);
}

#[test]
fn each_spoilt_nsec3_record_is_named() {
    // The hashes are those of www, v (an empty non-terminal) and sub.
    for (zone, spoils, expected) in [
        (
            NSEC3,
            &[
                Remove("vfk8su5vegu02jm1oh6und5ik7bkhf35.example.org. 300 NSEC3"),
                Remove("vfk8su5vegu02jm1oh6und5ik7bkhf35.example.org. 300 RRSIG"),
            ][..],
            &[
                (Rule::ChainGap, "www.example.org. has no NSEC3 record"),
                (
                    Rule::ChainOrder,
                    "(of dn.example.org.) says that another comes next than 5vqm4iqg11nec1vv12hp2aonvg05a83i",
                ),
            ][..],
        ),
        (
            NSEC3,
            &[Replace("jcbpsnpr8vlar0vdheps5mps86tmfo5q", "1 0 0", "1 0 1")],
            &[
                (
                    Rule::ChainParameters,
                    "at jcbpsnpr8vlar0vdheps5mps86tmfo5q.example.org. has parameters that no NSEC3PARAM",
                ),
                (Rule::ChainGap, "v.example.org. has no NSEC3 record"),
                (Rule::ChainOrder, "says that another comes next"),
            ],
        ),
        (
            NSEC3,
            &[Replace("ake8hgl2k54qc099m02h02h91ppl9pba", "mq NS", "mq NS DS")],
            &[(
                Rule::ChainTypes,
                "the NSEC3 record of sub.example.org. lists other types than there are: it has too many of DS",
            )],
        ),
        (
            NSEC3,
            &[Replace(
                "jcbpsnpr8vlar0vdheps5mps86tmfo5q",
                "jrfh8dk3oofi50c0ct4kau7h45dl0k8c",
                "jrfh8dk3oofi50c0ct4kau7h45dl0k8c A",
            )],
            &[(Rule::ChainTypes, "v.example.org. lists other types than there are: it has too many of A")],
        ),
        (
            NSEC3,
            &[Remove("www.example.org. 3600 CNAME"), Remove("www.example.org. 3600 RRSIG")],
            &[(Rule::NeedlessChain, "at vfk8su5vegu02jm1oh6und5ik7bkhf35.example.org. is the hash of no name")],
        ),
        (
            NSEC3,
            &[Remove("example.org. 3600 NSEC3PARAM"), Remove("example.org. 3600 RRSIG NSEC3PARAM")],
            &[(
                Rule::ChainParameters,
                "at 5vqm4iqg11nec1vv12hp2aonvg05a83i.example.org. has parameters that no NSEC3PARAM",
            )],
        ),
        // An unsigned delegation may be left out, any other name not.
        (OPT_OUT, &[Add("more.example.org. 3600 NS ns.example.net.")], &[]),
        (
            OPT_OUT,
            &[Add("more.example.org. 3600 TXT more")],
            &[
                (Rule::NoSignature, "the TXT records of more.example.org."),
                (Rule::ChainGap, "more.example.org. has no NSEC3 record"),
            ],
        ),
        (
            NSEC3,
            &[Add("more.example.org. 3600 NS ns.example.net.")],
            &[(Rule::ChainGap, "more.example.org. has no NSEC3 record")],
        ),
    ] {
        assert_all(&spoilt(zone, spoils), expected);
    }
    for (parameters, words) in [
        ("1 0 1 -", "take 1 iterations and a salt of 0 octets; both are to be 0 (RFC 9276)"),
        ("1 0 0 AABB", "take 0 iterations and a salt of 2 octets"),
        ("1 0 501 -", "take 501 iterations; with more than 500 no proofs are given"),
    ] {
        let text = NSEC3.replace(" NSEC3PARAM 1 0 0 -", &format!(" NSEC3PARAM {parameters}"));
        let faults = found(&text);
        assert!(faults.iter().any(|(rule, message)| *rule == Rule::ChainCost && message.contains(words)), "{faults:?}");
    }
}

/// One fault is found, of this rule and with these words.
#[track_caller]
fn assert_one(text: &str, faults: &[(Rule, String)], rule: Rule, words: &str) {
    assert!(matches!(faults, [(found, message)] if *found == rule && message.contains(words)), "{faults:?}\n{text}");
}

/// Every expected fault is found, each rule's first one with its words, and no other rule is broken.
#[track_caller]
fn assert_all(text: &str, expected: &[(Rule, &str)]) {
    let faults = found(text);
    let mut firsts: Vec<&(Rule, String)> = Vec::new();
    for fault in &faults {
        if !firsts.iter().any(|first| first.0 == fault.0) {
            firsts.push(fault);
        }
    }
    let fits = firsts.len() == expected.len()
        && firsts.iter().zip(expected).all(|(found, (rule, words))| found.0 == *rule && found.1.contains(words));
    assert!(fits, "{faults:#?}\n{text}");
}
