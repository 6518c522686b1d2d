//! One row for each way to break a rule, and for what only looks like it.

use super::*;
use crate::zonefile::{Options, read_text};

fn apex() -> Name {
    name::parse("example.org.", None).unwrap()
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
        ("BASE a CNAME b\na A 192.0.2.1", &[(CnameNotAlone, Some(3))]),
        ("BASE @ CNAME b", &[(CnameNotAlone, Some(3))]),
        ("BASE a CNAME b\nA CNAME c", &[(SecondCname, Some(4))]),
        ("BASE a CNAME b\nA CNAME B", &[(Duplicate, Some(4))]),
        ("BASE a CNAME b\na NSEC c CNAME RRSIG NSEC\na RRSIG NSEC 8 2 60 1 1 1 @ AAEC", &[]),
        ("BASE a DNAME b\na DNAME c", &[(SecondDname, Some(4))]),
        ("BASE a DNAME b\nx.y.a A 192.0.2.1", &[(BelowDname, Some(4))]),
        ("BASE a A 192.0.2.1\na 60 A 192.0.2.2\na A 192.0.2.1", &[(Duplicate, Some(5))]),
        ("BASE a MX 1 m\na MX 1 M", &[(Duplicate, Some(4))]),
        ("BASE a TXT m\na TXT M", &[]),
        ("BASE a A 192.0.2.1\na 61 A 192.0.2.2\na 62 AAAA ::1", &[(TtlDiffers, Some(4))]),
        ("BASE a RRSIG A 8 2 60 1 1 1 @ AAEC\na 7 RRSIG MX 8 2 60 1 1 1 @ AAEC", &[]),
        ("BASE @ NS x", &[(NsWithoutAddress, Some(3))]),
        ("BASE @ NS x\n*  AAAA ::1", &[]),
        ("BASE @ NS x.y\n* AAAA ::1\ny TXT z", &[(NsWithoutAddress, Some(3))]),
        ("BASE sub NS ns.sub", &[(NsWithoutAddress, Some(3))]),
        ("BASE sub NS ns.sub\nns.sub A 192.0.2.1", &[]),
        ("BASE sub NS ns.other\nother NS ns.example.net.", &[]),
        ("BASE sub NS a\na CNAME ns", &[(TargetIsAlias, Some(3))]),
        ("BASE @ MX 1 a\na CNAME ns\n_x._tcp SRV 1 1 1 a", &[(TargetIsAlias, Some(3)), (TargetIsAlias, Some(5))]),
        ("BASE @ MX 1 nowhere", &[]),
    ] {
        let records = records(text);
        let faults = check_zone(&apex(), &records);
        let mut found: Vec<_> = faults.iter().map(|fault| (fault.rule, fault.record)).collect();
        found.sort_by_key(|(_, record)| *record);
        assert_eq!(found, expected, "{text}: {faults:?}");
    }
}

#[test]
fn an_rrset_has_to_fit_into_a_message() {
    let text = |count: usize| {
        let lines = (0..count).map(|number| format!("a TXT \"{number:0>200}\"\n"));
        format!("BASE {}", lines.collect::<String>())
    };
    let found = |count| check_zone(&apex(), &records(&text(count))).first().map(|fault| (fault.rule, fault.severity));
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
