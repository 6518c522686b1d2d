//! One row for each way to break a rule, and for what only looks like it.

mod signed;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use super::*;
use crate::edit::RrsetData;
use crate::types;
use crate::zonefile::{Options, read_text};

fn apex() -> Name {
    name::parse("example.org.", None).unwrap()
}

/// 2026-11-26 00:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_651_200)
}

/// The records of a text whose names are relative to the apex; `BASE` stands for a sound SOA and NS.
fn records(text: &str) -> Vec<Record> {
    let text = text.replace("BASE ", "BASE").replace("BASE", "@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n");
    read_text("zone", format!("$TTL 60\n{text}").as_bytes(), Some(&apex()), &Options::default()).unwrap().records
}

#[test]
fn each_rule_finds_what_breaks_it() {
    use Rule::*;
    for (text, expected) in [
        ("BASE", &[][..]),
        ("", &[(NoSoa, None), (NoNs, None)]),
        ("a A 192.0.2.1", &[(NoSoa, None), (NoNs, None)]),
        ("@ SOA . . 1 2 3 4 5", &[(NoNs, None)]),
        ("@ NS ns.example.net.", &[(NoSoa, None)]),
        ("BASE @ SOA ns h 2 2 3 4 5", &[(SecondSoa, Some(3))]),
        ("BASE a SOA ns h 1 2 3 4 5", &[(SoaBelowApex, Some(3))]),
        ("BASE a.example.net. A 192.0.2.1\nexample. A 192.0.2.1", &[(OutsideZone, Some(3)), (OutsideZone, Some(4))]),
        ("BASE a CNAME ns\na A 192.0.2.1", &[(CnameNotAlone, Some(3))]),
        ("BASE @ CNAME ns", &[(CnameNotAlone, Some(3))]),
        ("BASE a CNAME ns\nA CNAME c.example.", &[(SecondCname, Some(4))]),
        ("BASE a CNAME ns\nA CNAME NS", &[(Duplicate, Some(4))]),
        ("BASE a CNAME ns\na NSEC c CNAME RRSIG NSEC\na RRSIG NSEC 8 2 60 1 1 1 @ AAEC", &[(NoKey, Some(5))]),
        ("BASE a DNAME b\na DNAME c", &[(SecondDname, Some(4))]),
        ("BASE a DNAME b\nx.y.a A 192.0.2.1", &[(BelowDname, Some(4))]),
        ("BASE a A 192.0.2.1\na 60 A 192.0.2.2\na A 192.0.2.1", &[(Duplicate, Some(5))]),
        ("BASE a MX 1 ns\na MX 1 NS", &[(Duplicate, Some(4))]),
        ("BASE a TXT m\na TXT M", &[]),
        ("BASE a A 192.0.2.1\na 61 A 192.0.2.2\na 62 AAAA ::1", &[(TtlDiffers, Some(4))]),
        ("BASE a RRSIG A 8 2 60 1 1 1 @ AAEC\na 7 RRSIG MX 8 2 60 1 1 1 @ AAEC", &[(NoKey, Some(3))]),
        ("BASE @ NS x", &[(NsWithoutAddress, Some(3))]),
        ("BASE @ NS x\n*  AAAA ::1", &[]),
        ("BASE @ NS x.y\n* AAAA ::1\ny TXT z", &[(NsWithoutAddress, Some(3))]),
        ("BASE sub NS ns.sub", &[(MissingGlue, Some(3))]),
        ("BASE sub NS ns.sub\nns.sub A 192.0.2.1", &[]),
        ("BASE sub NS ns.other\nother NS ns.example.net.", &[]),
        ("BASE sub NS a\na CNAME ns", &[(TargetIsAlias, Some(3))]),
        ("BASE @ MX 1 a\na CNAME ns\n_x._tcp SRV 1 1 1 a", &[(TargetIsAlias, Some(3)), (TargetIsAlias, Some(5))]),
        (
            "BASE @ MX 1 nowhere\n_x._tcp SRV 1 1 1 nowhere",
            &[(TargetWithoutAddress, Some(3)), (TargetWithoutAddress, Some(4))],
        ),
        ("BASE @ MX 1 a\na TXT b\nb MX 1 nowhere.example.net.", &[(TargetWithoutAddress, Some(3))]),
        ("BASE @ MX 0 .\n_x._tcp SRV 0 0 0 .", &[]),
        ("BASE @ MX 1 x.sub\nsub NS ns.example.net.", &[]),
        ("BASE @ MX 1 x.a\na DNAME b.example.net.", &[(TargetIsAlias, Some(3))]),
        ("BASE @ MX 1 x\n* CNAME ns", &[(TargetIsAlias, Some(3))]),
        ("BASE sub NS sub", &[(MissingGlue, Some(3))]),
        ("BASE sub NS sub\nsub A 192.0.2.1", &[]),
        ("BASE sub NS ns.sub\n*.sub A 192.0.2.1", &[(MissingGlue, Some(3))]),
        ("BASE sub NS ns.other\nother NS ns.other\nother DS 1 13 2 AABB", &[(MissingGlue, Some(4))]),
        ("BASE sub NS ns.example.net.\nx.sub TXT a\ny.x.sub NS x", &[(Occluded, Some(4)), (Occluded, Some(5))]),
        ("BASE sub NS ns.example.net.\nsub TXT a\nsub DNAME example.net.", &[(Occluded, Some(4))]),
        ("BASE sub NS ns.example.net.\na.sub A 192.0.2.1\nsub A 192.0.2.1", &[]),
        ("BASE a CNAME b\nb CNAME a", &[(EndlessAlias, Some(3)), (EndlessAlias, Some(4))]),
        ("BASE a CNAME A", &[(EndlessAlias, Some(3))]),
        ("BASE a CNAME b\nb CNAME c\nc CNAME ns", &[]),
        ("BASE *.w CNAME x.w", &[(EndlessAlias, Some(3))]),
        (
            "BASE a CNAME x.b\nb DNAME c\n*.c CNAME a",
            &[(EndlessAlias, Some(3)), (EndlessAlias, Some(4)), (EndlessAlias, Some(5))],
        ),
        ("BASE a DNAME b.a", &[(EndlessAlias, Some(3))]),
        ("BASE a DNAME b\nb DNAME a", &[(EndlessAlias, Some(3)), (EndlessAlias, Some(4))]),
        ("BASE a DNAME b", &[]),
        ("BASE a CNAME b", &[(AliasToNothing, Some(3))]),
        ("BASE a CNAME b\nc.b A 192.0.2.1", &[(AliasToNothing, Some(3))]),
        ("BASE a CNAME b\n* A 192.0.2.1", &[]),
        ("BASE a CNAME b.c\nc TXT x\n* A 192.0.2.1", &[(AliasToNothing, Some(3))]),
        ("BASE a CNAME b.sub\nsub NS ns.example.net.", &[]),
        ("BASE a CNAME b.example.net.", &[]),
        ("BASE *.w NS ns.example.net.\n*.v DNAME example.net.", &[(WildcardTurn, Some(3)), (WildcardTurn, Some(4))]),
        ("BASE b\u{fc}cher A 192.0.2.1\nxn--bcher-kva A 192.0.2.1", &[(BeyondAscii, Some(3))]),
        ("BASE @ DS 1 13 2 AABB\na DS 1 13 2 AABB", &[(DsWithoutCut, Some(3)), (DsWithoutCut, Some(4))]),
        (
            "BASE a DNSKEY 256 3 13 AAAA\na NSEC3PARAM 1 0 0 -\na CDS 1 13 2 AABB",
            &[(ApexOnly, Some(3)), (ApexOnly, Some(4)), (ApexOnly, Some(5))],
        ),
        (
            "BASE @ MX 1 192.0.2.1.\na CNAME 192.0.2.1\nb CNAME 2001:db8::1.",
            &[
                (TargetIsAddress, Some(3)),
                (TargetIsAddress, Some(4)),
                (AliasToNothing, Some(4)),
                (TargetIsAddress, Some(5)),
            ],
        ),
        ("BASE a CNAME 1.192.0.2.1\nb MX 1 192.0.2.256.", &[(AliasToNothing, Some(3))]),
        ("@ SOA ns host@example.org. 1 2 3 4 5\n@ NS ns.example.net.", &[(SoaMailbox, Some(0))]),
        ("@ SOA ns host\\.master.example.org. 1 2 3 4 5\n@ NS ns.example.net.", &[]),
        ("@ SOA ns h 1 7200 3600 7199 5\n@ NS ns.example.net.", &[(SoaTimers, Some(0))]),
    ] {
        let records = records(text);
        let faults = check_zone(&apex(), &records, now());
        let mut found: Vec<_> = faults.iter().map(|fault| (fault.rule, fault.record)).collect();
        found.sort_by_key(|(_, record)| *record);
        assert_eq!(found, expected, "{text}: {faults:?}");
        assert_eq!(touched_one_by_one(&records), told(&faults), "{text}");
    }
}

/// What is told when each owner of a zone is touched by an edit of its own.
fn touched_one_by_one(records: &[Record]) -> BTreeSet<String> {
    let nodes = records_to_nodes(records.to_vec());
    let at = |name: &Name| -> Result<Option<NodeData>, Infallible> {
        let empty = || NodeData { owner: name.clone(), rrsets: Vec::new() };
        let below = || nodes.iter().any(|node| node.owner.ends_with(name)).then(empty);
        Ok(nodes.iter().find(|node| node.owner == *name).cloned().or_else(below))
    };
    let each =
        nodes.iter().flat_map(|node| check_nodes(&apex(), std::slice::from_ref(&node.owner), &mut { at }).unwrap());
    told(&each.collect::<Vec<_>>())
}

/// The messages of faults that an edit can have: a store has neither duplicates nor records outside of zones, gives a
/// zone what it needs, and checks signatures of whole zones only.
fn told(faults: &[Fault]) -> BTreeSet<String> {
    let rules = [Rule::Duplicate, Rule::OutsideZone, Rule::NoSoa, Rule::NoNs, Rule::NoKey];
    let told = faults.iter().filter(|fault| !rules.contains(&fault.rule));
    told.map(|fault| fault.message.clone()).collect()
}

#[test]
fn an_edit_looks_at_names_that_its_owner_leads_to_alone() {
    let mut zone: String = (0..500).map(|number| format!("x{number} CNAME ns\n")).collect();
    zone.push_str("BASE a CNAME b\nb CNAME c\nsub NS ns.sub\nx0 MX 1 nowhere\n");
    let nodes = records_to_nodes(records(&zone));
    for (touched, asked_max, rules) in [
        ("a", 20, &[Rule::AliasToNothing][..]),
        ("x1", 20, &[]),
        ("x0", 20, &[Rule::CnameNotAlone, Rule::TargetWithoutAddress]),
        // Glue that was taken away is missed by the zone cut, an address by the apex.
        ("ns.sub", 20, &[Rule::MissingGlue]),
        ("gone", 20, &[]),
    ] {
        let mut asked = 0;
        let touched = name::parse(touched, Some(&apex())).unwrap();
        let faults = check_nodes(&apex(), &[touched], &mut |name| -> Result<_, Infallible> {
            asked += 1;
            Ok(nodes.iter().find(|node| node.owner == *name).cloned())
        });
        let found: Vec<Rule> = faults.unwrap().iter().map(|fault| fault.rule).collect();
        assert_eq!(found, rules);
        assert!(asked <= asked_max, "{asked}");
    }
}

#[test]
fn more_faults_of_a_rule_than_are_told_are_counted() {
    let lines: String = (0..FAULTS_OF_A_RULE_MAX + 1234).map(|number| format!("x{number} CNAME nowhere\n")).collect();
    let faults = check_zone(&apex(), &records(&format!("BASE a CNAME a\n{lines}")), now());
    assert_eq!(faults.len(), FAULTS_OF_A_RULE_MAX + 2);
    let last = &faults[FAULTS_OF_A_RULE_MAX + 1];
    let text = "and 1,234 more such as: the alias x0.example.org. leads to nowhere.example.org., which has no data";
    assert_eq!((last.rule, last.record, &last.message[..]), (Rule::AliasToNothing, None, text));
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

#[test]
fn a_serial_that_goes_backwards_is_told_with_both_numbers() {
    for (old, new, told) in [(1, 2, false), (2, 2, false), (2, 1, true), (u32::MAX, 5, false), (5, u32::MAX, true)] {
        let fault = check_serial(&apex(), Serial(old), Serial(new));
        assert_eq!(fault.is_some(), told, "{old} {new}");
        let numbers = format!("from {old} to {new};");
        assert!(fault.is_none_or(|fault| fault.message.contains(&numbers)), "{numbers}");
    }
    for (brought, told) in [
        (7, None),
        (8, None),
        (0, None),
        (5, Some("serial 5 of example.org. is behind 7, which was served; the zone has 8 now")),
    ] {
        let fault = check_imported_serial(&apex(), Serial(7), Serial(brought), Serial(8));
        assert_eq!(fault.map(|fault| fault.message).as_deref(), told);
    }
}

#[test]
fn an_rrset_has_to_fit_into_a_message() {
    let text = |count: usize| {
        let lines = (0..count).map(|number| format!("a TXT \"{number:0>200}\"\n"));
        format!("BASE {}", lines.collect::<String>())
    };
    let found =
        |count| check_zone(&apex(), &records(&text(count)), now()).first().map(|fault| (fault.rule, fault.severity));
    assert_eq!(found(305), None);
    assert_eq!(found(306), Some((Rule::RrsetTooBig, Severity::Error)));
}

#[test]
fn a_node_is_checked_like_the_zone() {
    for (text, expected) in [
        ("a CNAME b\na TXT c\n a CNAME d", &[(Rule::SecondCname, Some(1)), (Rule::CnameNotAlone, Some(0))][..]),
        ("a TXT b\na A 192.0.2.1\na 7 A 192.0.2.2", &[(Rule::TtlDiffers, Some(1))]),
        ("@ A 192.0.2.1", &[(Rule::NoSoa, None), (Rule::NoNs, None)]),
        ("a.example.net. A 192.0.2.1", &[(Rule::OutsideZone, Some(0))]),
        ("a MX 1 nowhere\n a A 192.0.2.1", &[]),
    ] {
        let nodes = records_to_nodes(records(&text.replace("\n a ", "\na ")));
        let faults = check_node(&apex(), &nodes[0]);
        assert_eq!(faults.iter().map(|fault| (fault.rule, fault.record)).collect::<Vec<_>>(), expected, "{text}");
    }
    let empty = NodeData { owner: apex(), rrsets: vec![RrsetData { rtype: Rtype::SOA, records: Vec::new() }] };
    assert_eq!(check_node(&apex(), &empty), []);
}

#[test]
fn nodes_come_in_canonical_order_without_duplicates() {
    let nodes = records_to_nodes(records(
        "b MX 2 a\nB mx 1 Z\nb 7 MX 1 z\nb A 192.0.2.1\nx.a A 192.0.2.1\na A 192.0.2.1\n@ A 192.0.2.1",
    ));
    let shown: Vec<String> = nodes
        .iter()
        .flat_map(|node| node.rrsets.iter().map(move |rrset| (node, rrset)))
        .map(|(node, rrset)| {
            let rdata = rrset.records.iter().map(|(_, rdata)| types::rdata_to_text(rrset.rtype, rdata));
            format!("{} {} {}", name::to_text(&node.owner), rrset.rtype, rdata.collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "example.org. A 192.0.2.1",
            "a.example.org. A 192.0.2.1",
            "x.a.example.org. A 192.0.2.1",
            "b.example.org. A 192.0.2.1",
            "b.example.org. MX 1 Z.example.org., 2 a.example.org.",
        ]
    );
}
