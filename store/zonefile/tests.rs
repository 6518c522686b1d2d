//! Zone files as people write them, and as they get broken.

use std::fmt::Write as _;
use std::time::Instant;

use super::*;
use crate::rules::{self, records_to_nodes};
use crate::{name, types};

fn apex() -> Name {
    name::parse("example.org.", None).unwrap()
}

/// A record as one line.
fn line(record: &Record) -> String {
    let (owner, rdata) = (name::to_text(&record.owner), types::rdata_to_text(record.rtype, &record.rdata));
    format!("{owner} {} {} {rdata}", record.ttl, record.rtype)
}

/// All entries of a text, faults with an exclamation mark.
fn read(text: &str) -> Vec<String> {
    let options = Options { include: false, ..Options::default() };
    Reader::from_text("zone", text.as_bytes(), Some(&apex()), &options)
        .map(|entry| entry.map_or_else(|fault| format!("! {fault}"), |entry| line(&entry.record)))
        .collect()
}

#[test]
fn records_are_read() {
    for (rule, text, expected) in [
        (
            "1035-origin-and-at",
            "@ 1 NS a\n$ORIGIN sub\nb 1 NS @\n$ORIGIN net.\nc 1 NS c",
            &["example.org. 1 NS a.example.org.", "b.sub.example.org. 1 NS sub.example.org.", "c.net. 1 NS c.net."][..],
        ),
        (
            "1035-class-and-ttl-in-either-order",
            "a 1 IN A 192.0.2.1\nb in 2 A 192.0.2.1\nc 3 A 192.0.2.1\nd IN A 192.0.2.1",
            &[
                "a.example.org. 1 A 192.0.2.1",
                "b.example.org. 2 A 192.0.2.1",
                "c.example.org. 3 A 192.0.2.1",
                "d.example.org. 3 A 192.0.2.1",
            ],
        ),
        (
            "1035-owner-left-out",
            "a 1 A 192.0.2.1\n\tA 192.0.2.2\n\n ; comment\n 5 AAAA ::1",
            &["a.example.org. 1 A 192.0.2.1", "a.example.org. 1 A 192.0.2.2", "a.example.org. 5 AAAA ::1"],
        ),
        (
            "1035-parentheses",
            "@ ( 1h\n SOA a b (\n1 ; serial\n2h 3\n\t4d 5w ) )\n",
            &["example.org. 3600 SOA a.example.org. b.example.org. 1 7200 3 345600 3024000"],
        ),
        (
            "2308-ttl-directive",
            "$TTL 1d\na A 192.0.2.1\nb 5 A 192.0.2.1\nc A 192.0.2.1",
            &["a.example.org. 86400 A 192.0.2.1", "b.example.org. 5 A 192.0.2.1", "c.example.org. 86400 A 192.0.2.1"],
        ),
        (
            "2308-minimum-of-first-soa",
            "@ SOA a b 1 2 3 4 5\na A 192.0.2.1",
            &["example.org. 5 SOA a.example.org. b.example.org. 1 2 3 4 5", "a.example.org. 5 A 192.0.2.1"],
        ),
        (
            "byte-order-mark-and-crlf",
            "\u{feff}a 1 A 192.0.2.1\r\nb 1 TXT \"x\" ; y\r\n",
            &["a.example.org. 1 A 192.0.2.1", "b.example.org. 1 TXT \"x\""],
        ),
        ("last-line-without-line-feed", "a 1 A 192.0.2.1", &["a.example.org. 1 A 192.0.2.1"]),
        (
            "1035-escapes",
            "a\\.b\\032\\000\\@\\$.c 1 TXT \\\"\\;a\\\\ \"; ( \\\" \\200\"",
            &["a\\.b\\032\\000\\@\\$.c.example.org. 1 TXT \"\\\";a\\\\\" \"; ( \\\" \\200\""],
        ),
        (
            "3597-unknown",
            "a 1 TYPE65280 \\# 3 00 01 02\na 1 TYPE1 \\# 4 C0000201\na 1 CLASS1 A 192.0.2.1",
            &[
                "a.example.org. 1 TYPE65280 \\# 3 000102",
                "a.example.org. 1 A 192.0.2.1",
                "! zone:3: `CLASS1`: only records of class IN can be read",
            ],
        ),
        (
            "names-like-types",
            "A 1 A 192.0.2.1\nIN 1 IN CNAME MX\n1 1 PTR 1",
            &[
                "A.example.org. 1 A 192.0.2.1",
                "IN.example.org. 1 CNAME MX.example.org.",
                "1.example.org. 1 PTR 1.example.org.",
            ],
        ),
    ] {
        assert_eq!(read(text), expected, "{rule}");
    }
}

#[test]
fn records_are_generated() {
    for (rule, text, expected) in [
        (
            "plain",
            "$GENERATE 1-3/2 h$ 1 IN A 192.0.2.$",
            vec!["h1.example.org. 1 A 192.0.2.1", "h3.example.org. 1 A 192.0.2.3"],
        ),
        (
            "several-tokens",
            "$GENERATE 1-1 a 1 MX $ \"m\"$",
            vec!["! zone:1: $GENERATE `a 1 MX 1 \\\"m\\\"1`: MX: nothing is expected after its last field (found `1`)"],
        ),
        ("quotes", "$GENERATE 1-1 a 1 TXT \"x $ \\$ $$\" ${10}", vec!["a.example.org. 1 TXT \"x 1 $ $\" \"11\""]),
        (
            "width-and-bases",
            "$GENERATE 10-10 a 1 TXT ${0,4} ${-1,0,o} ${1,3,x} ${0,2,X} ${0,7,n} ${245,0,N}",
            vec!["a.example.org. 1 TXT \"0010\" \"11\" \"00b\" \"0A\" \"a.0.0.0\" \"F.F\""],
        ),
        ("dollar-in-owner", "$GENERATE 7-7 $$\\$.$ 1 A 192.0.2.1", vec!["\\$\\$.7.example.org. 1 A 192.0.2.1"]),
        (
            "default-ttl",
            "$TTL 9\n$GENERATE 7-7 $ A 192.0.2.1\n A 192.0.2.2",
            vec!["7.example.org. 9 A 192.0.2.1", "7.example.org. 9 A 192.0.2.2"],
        ),
        (
            "below-zero",
            "$GENERATE 0-9 a 1 TXT ${-1}\nb 1 A 192.0.2.1",
            vec![
                "! zone:1: $GENERATE: a number with its offset is below 0 or above 4294967295",
                "b.example.org. 1 A 192.0.2.1",
            ],
        ),
        (
            "range",
            "$GENERATE 2-1 a 1 A 192.0.2.1",
            vec!["! zone:1: $GENERATE: the range must be START-STOP or START-STOP/STEP with START up to STOP"],
        ),
        (
            "too-many",
            "$GENERATE 0-65536 a 1 A 192.0.2.1",
            vec!["! zone:1: $GENERATE: it makes more than 65536 records"],
        ),
        (
            "bad-form",
            "$GENERATE 0-1 ${0,0,z} 1 A 192.0.2.1",
            vec!["! zone:1: $GENERATE: a number's form must be ${OFFSET[,WIDTH[,BASE]]} with BASE one of d o x X n N"],
        ),
    ] {
        assert_eq!(read(text), expected, "{rule}");
    }
    assert_eq!(read("$GENERATE 0-65535 $ 1 A 192.0.2.1").len(), 65_536);
    let text = "$GENERATE 0-65535 $ 1 A 192.0.2.1\n".repeat(17);
    let last = read_text("zone", text.as_bytes(), Some(&apex()), &Options::default()).unwrap_err().pop().unwrap();
    assert_eq!(last.to_string(), "zone:17: the $GENERATE directives make more than 1048576 records");
    let text = format!("$GENERATE 0-65535 $ 1 TXT {}", "\"x\" ".repeat(1100));
    let faults = read_text("zone", text.as_bytes(), Some(&apex()), &Options::default()).unwrap_err();
    assert_eq!(faults[0].to_string(), "zone:1: the $GENERATE directives make more than 1048576 records");
}

#[test]
fn faults_have_their_line_and_reading_goes_on() {
    for (text, expected) in [
        (
            "a 1 A (\n192.0.2.300 )\nb 1 A 192.0.2.1",
            vec!["! zone:2: A ip: an IPv4 address is expected (found `192.0.2.300`)", "b.example.org. 1 A 192.0.2.1"],
        ),
        ("a A 192.0.2.1", vec!["! zone:1: the record has no TTL, and neither $TTL nor a record before it gives one"]),
        ("\n\n 1 A 192.0.2.1", vec!["! zone:3: no owner is given here or before"]),
        ("a 1", vec!["! zone:1: the record has no type"]),
        ("a 1 FOO x", vec!["! zone:1: `FOO` is not a record type"]),
        ("a 1 CH TXT x", vec!["! zone:1: `CH`: only records of class IN can be read"]),
        ("a 1 ANY x", vec!["! zone:1: ANY is not a type of data that a zone can hold"]),
        (
            "a 2147483648 A 192.0.2.1",
            vec!["! zone:1: a TTL is a number of seconds up to 2147483647, or a period such as 1h30m"],
        ),
        ("$TTL x", vec!["! zone:1: $TTL: a TTL is a number of seconds up to 2147483647, or a period such as 1h30m"]),
        ("$TTL", vec!["! zone:1: $TTL needs a number of seconds"]),
        ("$ORIGIN a..b", vec!["! zone:1: $ORIGIN: the name has an empty label"]),
        ("$FOO", vec!["! zone:1: `$FOO` is not a directive; an owner that begins so is written \\$"]),
        ("$INCLUDE /etc/passwd", vec!["! zone:1: $INCLUDE: files cannot be included here"]),
        (
            "a..b 1 A 192.0.2.1\n 1 A 192.0.2.1",
            vec![
                "! zone:1: owner: the name has an empty label (found `a..b`)",
                "! zone:2: no owner is given here or before",
            ],
        ),
        (
            "a 1 TXT \"b\nc 1 TXT (\nd 1 A 192.0.2.1\n",
            vec![
                "! zone:1: `\"` is not closed on its line",
                "! zone:2: `(` is never closed",
                "d.example.org. 1 A 192.0.2.1",
            ],
        ),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    let many = read(&"a 1 FOO\n".repeat(1000));
    assert_eq!(many.len(), 100);
    assert!(many[99].starts_with("! zone:100:") && many[99].ends_with("(there are too many faults to read on)"));
}

#[test]
fn without_an_origin_names_must_be_absolute() {
    let faults = read_text("zone", b"a 1 A 192.0.2.1\na. 1 A 192.0.2.1", None, &Options::default()).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("the name is relative and there is no origin"), "{}", faults[0]);
}

#[test]
fn files_are_included() {
    let folder = tempfile::tempdir().unwrap();
    let put = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    put("parts/b", " 1 A 192.0.2.2\n$ORIGIN deep\n$TTL 7\n@ A 192.0.2.3\n$INCLUDE c net.\n");
    put("parts/c", "c 1 A 192.0.2.4\nd 1 FOO");
    let main = put("main", "a 1 A 192.0.2.1\n$INCLUDE \"parts/b\" sub\n A 192.0.2.5\n");
    let reader = Reader::from_file(&main, Some(&apex()), &Options::default()).unwrap();
    let seen: Vec<String> =
        reader.map(|entry| entry.map_or_else(|fault| fault.to_string(), |entry| line(&entry.record))).collect();
    let inner = folder.path().join("parts/c").display().to_string();
    assert_eq!(
        seen,
        [
            "a.example.org. 1 A 192.0.2.2".replace("192.0.2.2", "192.0.2.1"),
            "a.example.org. 1 A 192.0.2.2".into(),
            "deep.sub.example.org. 7 A 192.0.2.3".into(),
            "c.net. 1 A 192.0.2.4".into(),
            format!("{inner}:2: `FOO` is not a record type"),
            "a.example.org. 1 A 192.0.2.5".into(),
        ]
    );
    let missing = read_file(&folder.path().join("none"), None, &Options::default()).unwrap_err();
    assert!(missing[0].to_string().ends_with("none: cannot be read: No such file or directory (os error 2)"));
    for (file, text, why) in [
        ("self", "$INCLUDE self", "includes itself"),
        ("ring", "$INCLUDE ring2", "includes itself"),
        ("folder", "$INCLUDE parts", "is not a file"),
        ("gone", "$INCLUDE x", "No such file or directory"),
    ] {
        put("ring2", "$INCLUDE ring");
        let faults = read_file(&put(file, text), Some(&apex()), &Options::default()).unwrap_err();
        assert!(faults.len() == 1 && faults[0].message.contains(why), "{}", faults[0]);
    }
    for depth in 0..20 {
        put(&format!("deep{depth}"), &format!("$INCLUDE deep{}", depth + 1));
    }
    let faults = read_file(&folder.path().join("deep0"), None, &Options::default()).unwrap_err();
    assert!(
        faults[0].to_string().ends_with("deep16:1: $INCLUDE: files include each other more than 16 deep"),
        "{}",
        faults[0]
    );
}

/// A zone as operators write them, of about `count` records.
fn big(count: usize) -> String {
    let mut text = String::from(
        "\u{feff}$TTL 1h\n$ORIGIN Example.org.\n@ IN SOA ns1 host\\.master ( 2024010101 ; serial\n\t2h 30m\r\n\t2w 5m )\n\
         \tNS ns1\n\tNS ns2.example.net.\n\tMX 10 mail\n\tCAA 0 issue \"ca.example.net\"\nns1 A 192.0.2.1\nmail A 192.0.2.2\n\
         $GENERATE 0-99 gen-${0,3} A 192.0.2.$\n*.wild TXT \"any\"\na\\.dot\\032blank 60 TXT ( \"one\"\n two )\n",
    );
    for number in 0..count / 10 {
        let (high, low) = (number / 250, number % 250);
        let _ = write!(
            text,
            "Host{number}\tIN 300 A 10.{}.{}.{low}\n\tAAAA 2001:db8::{number:x}\n\tTXT \"v=spf1 -all\" \"{number}\"\n\
             www.host{number} CNAME Host{number}\n_sip._tcp.h{number} 1d SRV 0 5 5060 host{number}\n\
             sub{number} NS ns.sub{number}\nns.sub{number} A 198.51.100.{low}\n\
             t{number} TYPE65280 \\# 4 00 01 0203\nx\\{:03}{number} TYPE16 \\# 2 0141\n\
             long{number} TXT {} \"b c\"\n",
            high / 250,
            high % 250,
            number % 32,
            "a".repeat(255)
        );
    }
    text
}

#[test]
fn a_big_zone_is_read_and_its_export_is_stable() {
    let count = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let text = big(count);
    let options = Options::default();
    let start = Instant::now();
    let parsed = read_text("big", text.as_bytes(), None, &options).unwrap();
    println!("read {} records in {:?}", parsed.records.len(), start.elapsed());
    assert!(parsed.records.len() > count);
    assert_eq!(parsed.apex(), Some(&apex()));
    let start = Instant::now();
    let faults = rules::check_zone(&apex(), &parsed.records, std::time::UNIX_EPOCH);
    println!("checked in {:?}", start.elapsed());
    assert!(faults.iter().all(|fault| fault.severity == rules::Severity::Warning), "{:?}", faults.first());
    let nodes = records_to_nodes(parsed.records);
    let mut first = Vec::new();
    let start = Instant::now();
    write(&apex(), &nodes, 3600, &mut first).unwrap();
    println!("wrote {} octets in {:?}", first.len(), start.elapsed());
    let again = read_text("again", &first, None, &options).unwrap();
    let again = records_to_nodes(again.records);
    assert!(again == nodes);
    let mut second = Vec::new();
    write(&apex(), &again, 3600, &mut second).unwrap();
    assert!(first == second);
}

#[test]
fn a_zone_is_printed_in_order() {
    let text = "z A 192.0.2.1\nB.a 1 TXT \"x y\"\na 1 A 192.0.2.2\na A 192.0.2.1\n@ MX 1 m\n@ 9 NS a\n@ SOA a b 1 2 3 4 5\n\
                w.EXAMPLE.org. A 192.0.2.1\nout.example.net. A 192.0.2.1\n";
    let parsed = read_text("zone", format!("$TTL 60\n{text}").as_bytes(), Some(&apex()), &Options::default()).unwrap();
    let mut nodes = records_to_nodes(parsed.records);
    for (ttl, _) in nodes.iter_mut().flat_map(|node| &mut node.rrsets).flat_map(|rrset| &mut rrset.records) {
        *ttl = ttl.filter(|ttl| *ttl != 60);
    }
    let mut out = Vec::new();
    write(&apex(), &nodes, 120, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "$ORIGIN example.org.\n\
         out.example.net.           120 IN A      192.0.2.1\n\
         @                          120 IN SOA    a.example.org. b.example.org. 1 2 3 4 5\n\
         @                            9 IN NS     a.example.org.\n\
         @                          120 IN MX     1 m.example.org.\n\
         a                          120 IN A      192.0.2.1\n\
         a                            1 IN A      192.0.2.2\n\
         B.a                          1 IN TXT    \"x y\"\n\
         w.EXAMPLE.org.             120 IN A      192.0.2.1\n\
         z                          120 IN A      192.0.2.1\n"
    );
}

/// The fuzz target's check over texts that are changed at random; stands in for it where there is no fuzzer.
#[test]
fn changed_texts_are_read_to_their_end() {
    let mut state = 0x5eed_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % limit.max(1)
    };
    let pieces: [&[u8]; 22] = [
        b"\n",
        b"(",
        b")",
        b"\"",
        b"\\",
        b";",
        b" ",
        b"$",
        b"\t",
        b"\\#",
        b"@",
        b".",
        b"\\000",
        b"${0,4,n}",
        b"\xff",
        b"\n$GENERATE 0-9 ",
        b"\n$ORIGIN ",
        b"\n$TTL 5\n",
        b" 1h ",
        b" SVCB 1 . alpn=h2 ",
        b" RRSIG A 8 2 1 1 1 1 a b= ",
        b" NSEC3 1 0 1 - 0p9m A",
    ];
    let seed = big(20);
    let rounds = if cfg!(debug_assertions) { 1_500 } else { 50_000 };
    for _ in 0..rounds {
        let start = below(seed.len());
        let mut text = seed.as_bytes()[start..(start + 10 + below(600)).min(seed.len())].to_vec();
        for _ in 0..below(8) {
            let at = below(text.len());
            match below(4) {
                0 => drop(text.splice(at..at, pieces[below(pieces.len())].iter().copied())),
                1 => text[at] = below(256) as u8,
                2 => drop(text.drain(at..(at + below(20)).min(text.len()))),
                _ => {
                    let copy = text[at..(at + below(60)).min(text.len())].to_vec();
                    drop(text.splice(at..at, copy));
                }
            }
            if text.is_empty() {
                break;
            }
        }
        fuzz_check(&text);
    }
}
