//! The grammar of filters, and which records they find.

use serde_json::json;

use super::*;
use crate::http::record::FIELDS;

/// 2026-02-11 (a Wednesday) 21:10:18.723Z
const NOW: Timestamp = 1_770_844_218_723;

#[test]
fn the_grammar_has_bounds() {
    let repeated = |part: &str, times: usize, sign: &str| vec![part; times].join(sign);
    let nested = |depth: usize| format!("{}1=1{}", "(".repeat(depth), ")".repeat(depth));
    for (text, accepted) in [
        (repeated("1=1", 200, "||"), true),
        (repeated("1=1", 201, "||"), false),
        (nested(100), true),
        (nested(101), false),
        (format!("name='{}'", "x".repeat(3493)), true),
        (format!("name='{}'", "x".repeat(3494)), false),
        ("(".repeat(3500), false),
    ] {
        assert_eq!(Filter::parse(&text, NOW, &FIELDS).is_ok(), accepted, "{text}");
    }
}

#[test]
fn faults_of_grammar_are_refused() {
    for text in [
        " ",
        "// only",
        "name",
        "name=",
        "=1",
        "name==1",
        "name=1 1=1",
        "name=1 &&",
        "&& 1=1",
        "name=1 & 1=1",
        "(1=1",
        "1=1)",
        "()",
        "name='x",
        "name=\"x'",
        "nope=1",
        "content.=1",
        "@nope=1",
        "@request.auth.id=1",
        "name:upper='x'",
        "ttl=1.",
        "ttl=.1",
        "ttl=-",
        "ttl=1.2.3",
        "ttl=--1",
        "ttl=1x",
        "ttl=0x1",
        "name ? = 1",
        "name ! = 1",
        "é=1",
        "1=é",
        "True=1",
        "name=1;",
        "name='a'b'",
    ] {
        assert!(Filter::parse(text, NOW, &FIELDS).is_err(), "{text}");
    }
}

#[test]
fn filters_find_what_they_say() {
    let records = [
        json!({"id": "101", "name": "www", "zone": "a.example.", "record_type": "A", "ttl": 300,
            "content": {"ip": "192.0.2.1"}, "created": "2026-02-11 00:00:00.000Z"}),
        json!({"id": "102", "name": "MAIL_1", "zone": "a.example.", "record_type": "MX", "ttl": 0,
            "content": {"host": "m%x", "preference": 10, "list": ["x", true]}, "created": "2026-02-12 00:00:00.000Z"}),
        json!({"id": "103", "name": "", "zone": "b.example.", "record_type": "TXT", "ttl": 60,
            "content": {"text": "it's \"so\""}, "created": "2025-12-31 00:00:00.000Z"}),
    ];
    for (text, expected) in [
        ("name='www'", "101"),
        ("name = \"www\" // the first\n", "101"),
        ("// first\n\t'www'?=name", "101"),
        ("name='WWW'", ""),
        ("name!='www'", "102 103"),
        ("name?!='www'", "102 103"),
        ("1=1", "101 102 103"),
        ("true=true&&true=1", "101 102 103"),
        ("1='1'", ""),
        ("ttl=300", "101"),
        ("ttl=\"300\"", "101"),
        ("ttl=300.0", "101"),
        ("ttl>-1", "101 102 103"),
        ("ttl?>=60", "101 103"),
        ("60>=ttl", "102 103"),
        ("ttl?<60", "102"),
        ("ttl<='60'", "102 103"),
        ("id=101", ""),
        ("id='101'", "101"),
        ("id!=101", "101 102 103"),
        ("ttl>null||ttl<null||ttl>=null", ""),
        ("name=null", "103"),
        ("name=''", "103"),
        ("null!=name", "101 102"),
        ("content.ip=null", "102 103"),
        ("content.ip=''", "102 103"),
        ("content.ip>''", "101"),
        ("content.ip='192.0.2.1'", "101"),
        ("content.preference=10", "102"),
        ("content.preference='10'", ""),
        ("content.list.0='x'&&content.list.1=true", "102"),
        ("content~'\"so'", "103"),
        ("content.text='it\\'s \"so\"'", "103"),
        ("content.text=\"it's \\\"so\\\"\"", "103"),
        ("content~'PREF'", "102"),
        ("content.host!~'z'", "102"),
        ("name~'W'", "101"),
        ("name?!~'w'", "102 103"),
        ("name~'w_'", ""),
        ("name~'l_'", "102"),
        ("name~'m%'", "102"),
        ("name~'%a_l%1'", "102"),
        ("name~'%w'", "101"),
        ("name~'w%x'", ""),
        ("content.host~'\\%'", "102"),
        ("content.host~'%\\%x'", "102"),
        ("content.host~'\\%%'", ""),
        ("ttl~30", "101"),
        ("name:lower='mail_1'", "102"),
        ("name='www'||name=''&&ttl=0", "101"),
        ("(name='www'||name='MAIL_1')&&ttl=0", "102"),
        ("((zone='a.example.'))&&(ttl=0||(ttl=300))", "101 102"),
        ("created>'2026-01-01'", "101 102"),
        ("created<@now", "101 103"),
        ("created>@yesterday&&created<@tomorrow", "101 102"),
        ("created>=@todayStart&&created<=@todayEnd", "101"),
        ("created>=@monthStart", "101 102"),
        ("created<@yearStart", "103"),
        ("@monthEnd='2026-02-28 23:59:59.999Z'&&@yearEnd='2026-12-31 23:59:59.999Z'", "101 102 103"),
        ("@second=18&&@minute=10&&@hour=21&&@day=11&&@month=2&&@weekday=3&&@year=2026", "101 102 103"),
    ] {
        let filter = Filter::parse(text, NOW, &FIELDS).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        let found: Vec<_> = records.iter().filter(|record| filter.matches(record)).collect();
        let found: Vec<_> = found.iter().map(|record| record["id"].as_str().unwrap()).collect();
        assert_eq!(found.join(" "), expected, "{text}");
    }
}
