//! What the table promises for all types.

use serde_json::{Value, json};

use super::vectors::{SERVICE_REFUSED, VECTORS};
use super::*;
use crate::{name, zonefile};

/// A few octets of each kind of randomness, the same in each run.
struct Random(u64);

impl Random {
    /// The next number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// Octets, half of them small, as counts and labels are.
    fn octets(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| if self.below(2) == 0 { self.below(4) } else { self.below(256) } as u8).collect()
    }
}

fn zone() -> Name {
    name::parse("example.org.", None).unwrap()
}

fn rtype(text: &str) -> Rtype {
    rtype_from_text(text).unwrap_or_else(|| panic!("{text}"))
}

/// A text of each type, and how it is printed if that differs.
const TEXTS: [(&str, &str, &str); 47] = [
    ("A", "192.0.2.1", ""),
    ("A", "\\# 4 c0000201", "192.0.2.1"),
    ("TYPE1", "\\# 4 C0 00 02 01", "192.0.2.1"),
    ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
    ("NS", "ns1", "ns1.example.org."),
    ("CNAME", "@", "example.org."),
    ("MX", "10 Mail.example.net.", ""),
    ("TXT", "a \"b c\" \"\" \\\"\\;\\065\\255", "\"a\" \"b c\" \"\" \"\\\";A\\255\""),
    ("TXT", "ü", "\"\\195\\188\""),
    ("PTR", "a\\.b\\032c\\000.example.net.", "a\\.b\\032c\\000.example.net."),
    (
        "SOA",
        "ns1 admin 2024010101 1h30m 2D 4w 300",
        "ns1.example.org. admin.example.org. 2024010101 5400 172800 2419200 300",
    ),
    ("SRV", "0 5 5060 sip.example.net.", ""),
    ("CAA", "0 issue ca.example.net", "0 issue \"ca.example.net\""),
    ("CAA", "128 iodef \"\"", ""),
    ("DNAME", ".", ""),
    ("HTTPS", "1 .", ""),
    (
        "HTTPS",
        "1 svc.example.net. port=8443 alpn=\"h2,h3\" ipv4hint=192.0.2.1,192.0.2.2 key667=\"a b\"",
        "1 svc.example.net. alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 key667=\"a b\"",
    ),
    ("SVCB", "0 pool.example.net.", ""),
    (
        "SVCB",
        "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\" mandatory=ipv6hint,alpn ipv6hint=2001:db8::1",
        "16 foo.example.org. mandatory=alpn,ipv6hint alpn=\"f\\\\\\\\oo\\\\,bar,h2\" ipv6hint=2001:db8::1",
    ),
    (
        "SVCB",
        "1 . dohpath=/dns-query{?dns} ohttp ech=AAEC no-default-alpn key1=\\002h2",
        "1 . alpn=h2 no-default-alpn ech=AAEC dohpath=/dns-query{?dns} ohttp",
    ),
    ("DS", "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    ("CDS", "0 0 0 00", ""),
    ("DNSKEY", "257 3 ECDSAP256SHA256 AAEC AwQ=", "257 3 13 AAECAwQ="),
    ("CDNSKEY", "0 3 0 AA==", ""),
    (
        "RRSIG",
        "TYPE65280 13 2 3600 20380119031408 0 60485 example.org. AAEC",
        "TYPE65280 13 2 3600 20380119031408 19700101000000 60485 example.org. AAEC",
    ),
    ("RRSIG", "A 13 2 3600 20240229235959 20240301000000 1 example.org. AAEC", ""),
    ("NSEC", "b.example.org. A MX RRSIG NSEC TYPE1234", ""),
    ("NSEC", "b.example.org. MX A A", "b.example.org. A MX"),
    (
        "NSEC3",
        "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX RRSIG",
        "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX RRSIG",
    ),
    ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", ""),
    ("NSEC3PARAM", "1 0 0 -", ""),
    ("TLSA", "3 1 1 AABB", ""),
    ("SSHFP", "4 2 AABB", ""),
    ("NAPTR", "100 50 \"s\" \"z3950+I2L+I2C\" \"\" _z3950._tcp.example.net.", ""),
    ("HINFO", "\"PC\" \"a b\"", ""),
    ("RP", "admin.example.org. .", ""),
    ("IPSECKEY", "10 0 2 . AAEC", ""),
    ("IPSECKEY", "10 1 2 192.0.2.38 AAEC", ""),
    ("IPSECKEY", "10 2 2 2001:db8::1 AAEC", ""),
    ("IPSECKEY", "10 3 0 gw.example.net.", ""),
    ("OPENPGPKEY", "AAEC", ""),
    ("ZONEMD", "2018031500 1 1 AABBCC", ""),
    ("MINFO", "a.example.org. b.example.org.", ""),
    ("NULL", "\\# 0", ""),
    ("TYPE731", "\\# 6 abcd (ef 01 23 45 )", "\\# 6 ABCDEF012345"),
    ("WKS", "\\# 1 00", ""),
    ("TXT", "\\# 3 02 41 42", "\"AB\""),
];

#[test]
fn text_and_back_is_stable() {
    for (mnemonic, text, printed) in TEXTS {
        let rtype = rtype(mnemonic);
        let rdata =
            rdata_from_text(rtype, text, Some(&zone())).unwrap_or_else(|error| panic!("{mnemonic} {text}: {error}"));
        assert_eq!(check_rdata(rtype, &rdata), Ok(()), "{mnemonic} {text}");
        let out = rdata_to_text(rtype, &rdata);
        assert_eq!(out, if printed.is_empty() { text } else { printed }, "{mnemonic} {text}");
        assert_eq!(rdata_from_text(rtype, &out, None).unwrap(), rdata, "{mnemonic} {text}");
    }
}

#[test]
fn text_gives_the_octets_of_the_vectors() {
    for &(mnemonic, text, wire, printed) in VECTORS {
        let rtype = rtype(mnemonic);
        let rdata =
            rdata_from_text(rtype, text, Some(&zone())).unwrap_or_else(|error| panic!("{mnemonic} {text}: {error}"));
        let hex: String = rdata.iter().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(hex, wire, "{mnemonic} {text}");
        let out = rdata_to_text(rtype, &rdata);
        assert_eq!(out, if printed.is_empty() { text } else { printed }, "{mnemonic} {text}");
        assert_eq!(rdata_from_text(rtype, &out, None).unwrap(), rdata, "{mnemonic} {text}");
        // RFC 3597 §5: the form for unknown types is the same record.
        let unknown = format!("\\# {} {hex}", rdata.len());
        assert_eq!(rdata_from_text(rtype, &unknown, None).unwrap(), rdata, "{mnemonic} {text}");
        assert_eq!(rtype_from_text(&rtype_to_text(rtype)), Some(rtype), "{mnemonic}");
    }
}

#[test]
fn zone_files_hold_every_type() {
    let options = zonefile::Options { include: false, ..Default::default() };
    let mut whole = String::new();
    for (at, &(mnemonic, text, wire, _)) in VECTORS.iter().enumerate() {
        let line = format!("x{at} 300 IN {mnemonic} ( {text} ; over\n ) ; two lines\n");
        let parsed = zonefile::read_text("zone", line.as_bytes(), Some(&zone()), &options)
            .unwrap_or_else(|faults| panic!("{line}{}", faults[0]));
        let hex: String = parsed.records[0].rdata.iter().map(|octet| format!("{octet:02X}")).collect();
        assert_eq!(hex, wire, "{line}");
        whole += &line;
    }
    // Written and read again it is the same.
    zonefile::fuzz_check(whole.as_bytes());
}

#[test]
fn services_that_contradict_themselves_are_refused() {
    for (params, why) in SERVICE_REFUSED {
        let error = rdata_from_text(Rtype::SVCB, &format!("1 foo.example.com. {params}"), None).unwrap_err();
        assert!(error.0.contains(why), "{params}: {error}");
    }
}

#[test]
fn every_row_has_a_text() {
    for number in 0..=u16::MAX {
        let rtype = Rtype::from_int(number);
        let in_texts = TEXTS.iter().any(|(mnemonic, ..)| rtype_from_text(mnemonic) == Some(rtype));
        // The other types of RFC 1035 that hold one name look like PTR.
        let alike = [Rtype::MB, Rtype::MD, Rtype::MF, Rtype::MG, Rtype::MR].contains(&rtype);
        let in_vectors = VECTORS.iter().any(|(mnemonic, ..)| rtype_from_text(mnemonic) == Some(rtype));
        assert!(Type::of(rtype).is_none() || in_texts || in_vectors || alike, "{rtype}");
        assert_eq!(rtype_from_text(&rtype_to_text(rtype)), Some(rtype));
    }
}

#[test]
fn bad_text_says_what_is_wrong() {
    for (mnemonic, text, why) in [
        ("A", "192.0.2.256", "A ip: an IPv4 address is expected (found `192.0.2.256`)"),
        ("A", "", "A ip: it is missing"),
        ("A", "192.0.2.1 x", "A: nothing is expected after its last field (found `x`)"),
        ("A", "\\# 3 000000", "A ip: the rdata ends early"),
        ("A", "\\# 4 0000", "\\# says 4 octets, but 2 are there"),
        ("MX", "65536 a.", "MX preference: a number up to 65535 is expected (found `65536`)"),
        ("MX", "\"\" a.", "MX preference: a number up to 65535 is expected (found ``)"),
        ("MX", "10", "MX host: it is missing"),
        ("NS", "\\# 2 C00C", "NS host: the name is compressed"),
        ("NS", "a..b.", "NS host: the name has an empty label (found `a..b.`)"),
        ("SOA", ". . 1h 1 1 1 1", "SOA serial: a number up to 4294967295 is expected (found `1h`)"),
        ("TXT", "a\nb", "the text goes over more than one line"),
        ("TXT", "v=DKIM1; k=rsa", "`;` begins a comment here; put the text in quotes or write \\;"),
        ("TXT", "\"a", "`\"` is not closed on its line"),
        ("CAA", "0 is-sue x", "CAA tag: only ASCII letters and digits are allowed (found `is-sue`)"),
        ("SVCB", "1 . alpn=", "SVCB parameters: alpn: a protocol has no name (found `alpn=`)"),
        ("SVCB", "1 . mandatory=port", "SVCB parameters: port is mandatory but not there (found `mandatory=port`)"),
        ("SVCB", "1 . port=1 port=2", "SVCB parameters: the parameters are out of order or double (found `port=2`)"),
        ("SVCB", "1 . foo=1", "SVCB parameters: the parameter is unknown; keyNNNNN names any (found `foo=1`)"),
        ("NSEC", "a. FOO", "NSEC types: a record type is expected (found `FOO`)"),
        ("DS", "1 8 2", "DS digest: it is missing"),
        ("WKS", "192.0.2.1 6 25", "WKS has no presentation form here; write \\# LENGTH HEX (RFC 3597)"),
        ("ANY", "\\# 0", "ANY is not a type of data that a zone can hold"),
        ("OPT", "\\# 0", "OPT is not a type of data that a zone can hold"),
        ("TYPE0", "\\# 0", "TYPE0 is not a type of data that a zone can hold"),
    ] {
        let error = rdata_from_text(rtype(mnemonic), text, None).unwrap_err();
        assert_eq!(error.0, why, "{mnemonic} {text}");
    }
    for text in ["", "FOO", "TYPE", "TYPE65536", "TYPE+1", "TYPE-1", "TYPÉ1", "TYPE1x"] {
        assert_eq!(rtype_from_text(text), None, "{text}");
    }
}

#[test]
fn random_octets_never_panic_and_what_fits_prints_and_reads_as_itself() {
    let mut random = Random(0x5eed);
    let mut fitting = 0;
    let mut check = |rtype: Rtype, rdata: &[u8]| {
        let text = rdata_to_text(rtype, rdata);
        names_in_rdata(rtype, rdata);
        canonical_rdata(rtype, rdata);
        let content = rdata_to_content(rtype, rdata);
        if check_rdata(rtype, rdata).is_err() {
            return;
        }
        fitting += 1;
        assert_eq!(rdata_from_text(rtype, &text, None).as_deref(), Ok(rdata), "{rtype} {text}");
        if rtype != Rtype::SOA {
            assert_eq!(rdata_from_content(rtype, &content, &zone()).as_deref(), Ok(rdata), "{rtype} {content}");
        }
    };
    for number in 0..=u16::MAX {
        check(Rtype::from_int(number), &random.octets(20));
    }
    for number in (0..=u16::MAX).filter(|number| Type::of(Rtype::from_int(*number)).is_some()) {
        for length in 0..=300 {
            let mut rdata = random.octets(600);
            rdata.resize(length, 0);
            check(Rtype::from_int(number), &rdata);
        }
    }
    let rounds = if cfg!(debug_assertions) { 60 } else { 20_000 };
    let texts = TEXTS.iter().map(|(mnemonic, text, _)| (*mnemonic, *text));
    for (mnemonic, text) in texts.chain(VECTORS.iter().map(|(mnemonic, text, ..)| (*mnemonic, *text))) {
        let good = rdata_from_text(rtype(mnemonic), text, Some(&zone())).unwrap();
        for _ in 0..rounds {
            let mut rdata = good.to_vec();
            for _ in 0..=random.below(2) {
                match (random.below(4), rdata.len()) {
                    (0, length) => rdata.truncate(random.below(length + 1)),
                    (1, _) | (_, 0) => rdata.extend(random.octets(4)),
                    (2, length) => rdata[random.below(length)] = random.below(256) as u8,
                    (_, length) => rdata.insert(random.below(length), random.below(256) as u8),
                }
            }
            check(rtype(mnemonic), &rdata);
        }
    }
    assert!(fitting > 60_000, "{fitting}");
}

#[test]
fn names_are_found_with_how_they_may_be_treated() {
    for (mnemonic, text, names, canonical) in [
        ("MX", "1 A.", vec![(2, 3, true)], "1 a."),
        ("SOA", "A. B. 1 1 1 1 1", vec![(0, 3, true), (3, 3, true)], "a. b. 1 1 1 1 1"),
        ("SRV", "1 1 1 A.", vec![(6, 3, false)], "1 1 1 a."),
        ("NSEC", "A. A", vec![(0, 3, false)], "A. A"),
        ("HTTPS", "1 A.", vec![(2, 3, false)], "1 A."),
        ("IPSECKEY", "1 3 0 A.", vec![(3, 3, false)], "1 3 0 A."),
        ("IPSECKEY", "1 1 0 192.0.2.1", vec![], "1 1 0 192.0.2.1"),
        ("TXT", "A.", vec![], "A."),
        ("AFSDB", "1 A.", vec![(2, 3, false)], "1 a."),
        ("RT", "1 A.", vec![(2, 3, false)], "1 a."),
        ("KX", "1 A.", vec![(2, 3, false)], "1 a."),
        ("PX", "1 A. B.", vec![(2, 3, false), (5, 3, false)], "1 a. b."),
        ("NXT", "A. A", vec![(0, 3, false)], "a. A"),
        ("SIG", "A 1 0 0 0 0 0 A. AA==", vec![(18, 3, false)], "A 1 0 0 0 0 0 a. AA=="),
        ("LP", "1 A.", vec![(2, 3, false)], "1 A."),
        ("TALINK", "A. B.", vec![(0, 3, false), (3, 3, false)], "A. B."),
        ("NSAP-PTR", "A.", vec![(0, 3, false)], "A."),
        ("DSYNC", "CDS 1 53 A.", vec![(5, 3, false)], "CDS 1 53 A."),
        ("AMTRELAY", "1 1 3 A.", vec![(2, 3, false)], "1 1 3 A."),
    ] {
        let rtype = rtype(mnemonic);
        let rdata = rdata_from_text(rtype, text, None).unwrap();
        let found: Vec<_> =
            names_in_rdata(rtype, &rdata).iter().map(|at| (at.start, at.octets, at.compressible)).collect();
        assert_eq!(found, names, "{mnemonic} {text}");
        let canonical = rdata_from_text(rtype, canonical, None).unwrap();
        assert_eq!(canonical_rdata(rtype, &rdata), &canonical[..], "{mnemonic} {text}");
    }
    let additional = ["NS", "MX", "SRV", "SVCB", "HTTPS", "NAPTR", "MB", "AFSDB", "RT", "KX"];
    let wanting = (0..=u16::MAX).map(Rtype::from_int).filter(|rtype| wants_additional(*rtype));
    assert_eq!(wanting.count(), additional.iter().filter(|text| wants_additional(rtype(text))).count());
}

#[test]
fn content_goes_in_and_comes_out() {
    let long = "x".repeat(300);
    for (mnemonic, content, text, out) in [
        ("A", json!({"ip": "192.0.2.1"}), "192.0.2.1", Value::Null),
        ("AAAA", json!({"ip": "2001:DB8::1"}), "2001:db8::1", json!({"ip": "2001:db8::1"})),
        ("NS", json!({"host": "ns1.example.net"}), "ns1.example.net.", json!({"host": "ns1.example.net."})),
        ("CNAME", json!({"host": "a.", "zone": "example.org."}), "a.", json!({"host": "a."})),
        ("MX", json!({"host": "a.", "preference": "10"}), "10 a.", json!({"host": "a.", "preference": 10})),
        ("MX", json!({"host": "a."}), "0 a.", json!({"host": "a.", "preference": 0})),
        ("TXT", json!({"text": "a b"}), "\"a b\"", Value::Null),
        ("TXT", json!({"text": ""}), "\"\"", Value::Null),
        ("TXT", json!({"text": 12}), "\"12\"", json!({"text": "12"})),
        ("TXT", json!({"text": ["a", "b"]}), "\"a\" \"b\"", Value::Null),
        ("TXT", json!({"text": long}), &format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)), Value::Null),
        ("TXT", json!({"rdata": "\"\\255\""}), "\"\\255\"", Value::Null),
        ("SRV", json!({"priority": 1, "weight": 2, "port": 3, "target": "."}), "1 2 3 .", Value::Null),
        (
            "SOA",
            json!({"ns": null, "refresh": "1h", "retry": "60", "serial": 7}),
            "ns1.example.org. hostmaster.example.org. 0 3600 60 1209600 300",
            json!({"ns": "ns1.example.org.", "mbox": "hostmaster.example.org.", "refresh": 3600, "retry": 60,
                "expire": 1_209_600, "minttl": 300}),
        ),
        (
            "CAA",
            json!({"tag": "issue", "value": "ca.example.net"}),
            "0 issue \"ca.example.net\"",
            json!({"flag": 0, "tag": "issue", "value": "ca.example.net"}),
        ),
        ("DS", json!({"rdata": "1 8 2 AABB"}), "1 8 2 AABB", Value::Null),
        ("TYPE65280", json!({"rdata": "\\# 1 00"}), "\\# 1 00", Value::Null),
    ] {
        let rtype = rtype(mnemonic);
        let rdata = rdata_from_content(rtype, &content, &zone()).unwrap_or_else(|error| panic!("{content}: {error}"));
        assert_eq!(rdata_to_text(rtype, &rdata), text, "{content}");
        let out = if out.is_null() { content } else { out };
        assert_eq!(rdata_to_content(rtype, &rdata), out);
    }
}

#[test]
fn bad_content_names_the_key() {
    for (mnemonic, content, why) in [
        ("A", json!({"ip": "x"}), "\"ip\" must be an IPv4 address, not \"x\""),
        ("A", json!({}), "\"ip\" is missing"),
        ("A", json!("192.0.2.1"), "the content of A must be an object with \"ip\""),
        ("A", Value::Null, "the content of A must be an object with \"ip\""),
        ("MX", json!({"host": "a..b"}), "\"host\" is not a domain name: the name has an empty label"),
        ("MX", json!({"host": "@"}), "\"host\" must be a name in full; write the `@` of a mail address as a dot"),
        ("MX", json!({"host": ""}), "\"host\" is not a domain name: the name is empty"),
        (
            "MX",
            json!({"host": "a.", "preference": 65536}),
            "\"preference\" must be a whole number from 0 to 65535, not 65536",
        ),
        (
            "MX",
            json!({"host": "a.", "preference": 1.5}),
            "\"preference\" must be a whole number from 0 to 65535, not 1.5",
        ),
        ("SRV", json!({"target": "a."}), "\"port\" is missing"),
        ("CAA", json!({"tag": "is-sue", "value": ""}), "\"tag\" must be 1 to 255 ASCII letters and digits"),
        ("TXT", json!({"text": []}), "\"text\" must hold at least one string"),
        ("TXT", json!({"text": {}}), "\"text\" must be a string, not {}"),
        ("DS", json!({"key": 1}), "the content of DS must have \"rdata\""),
        ("DS", json!({"rdata": "1"}), "\"rdata\": DS algorithm: it is missing"),
        ("ANY", json!({"rdata": "\\# 0"}), "ANY is not a type of data that a zone can hold"),
    ] {
        assert_eq!(rdata_from_content(rtype(mnemonic), &content, &zone()).unwrap_err().0, why, "{mnemonic} {content}");
    }
}
