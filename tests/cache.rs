//! Plugin `cache` in front of upstreams that count how often they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use domain::base::iana::Class;
use store::Rtype;

use crate::cases::describe;
use crate::forward::{Upstream, a, answer, found, says, silent, start, value};
use crate::support::{Program, Question, exchange_tcp, exchange_udp, free_port, refuses, samples};

/// zonda with `cache` and its block in front of an upstream.
fn cached(cache: &str, upstream: &Upstream) -> Program {
    // An upstream that has to wait for a CPU is not asked twice.
    cached_for(cache, upstream, "5s")
}

/// The same with so much time for the upstream.
fn cached_for(cache: &str, upstream: &Upstream, read_timeout: &str) -> Program {
    let to = format!("127.0.0.1:{} {{\n        read_timeout {read_timeout}\n    }}", upstream.port);
    start(&format!("{cache}\n    forward . {to}"), "ring")
}

/// The TTL of the first record in the answer section.
fn ttl(message: &[u8]) -> u32 {
    let records = describe(message).sections.remove("answer").unwrap();
    records[0].split(' ').nth(1).unwrap().parse().unwrap()
}

/// A denial with an SOA of this TTL and of this last field.
fn denial(message: &[u8], rcode: u8, ttl: u8, last: u8) -> Vec<u8> {
    let mut denial = answer(message, [4, 0x80 | rcode], &[], 0);
    denial[9] = 1;
    denial.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, ttl, 0, 24, 0xc0, 12, 0xc0, 12]);
    denial.extend([0; 19]);
    denial.push(last);
    denial
}

/// The same rcode and SOA, both TTLs 60, behind a CNAME of this TTL.
fn denial_behind_alias(message: &[u8], rcode: u8, ttl: u8) -> Vec<u8> {
    let denial = denial(message, rcode, 60, 60);
    let (head, soa) = denial.split_at(denial.len() - 36);
    let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, ttl, 0, 4, 1, b'y', 0xc0, 12];
    let mut denial = [head, &alias[..], soa].concat();
    denial[7] = 1;
    denial
}

/// A referral to the servers of the name itself.
fn referral(message: &[u8]) -> Vec<u8> {
    let mut referral = answer(message, [0, 0x80], &[], 0);
    referral[9] = 1;
    referral.extend([0xc0, 12, 0, 2, 0, 1, 0, 0, 14, 16, 0, 2, 0xc0, 12]);
    referral
}

#[test]
fn what_is_kept_is_not_asked_for_again_and_its_ttl_runs() {
    for (options, runs) in [("cache", true), ("cache {\n        keepttl\n    }", false)] {
        let upstream = Upstream::start(says(7));
        let mut program = cached(options, &upstream);
        assert_eq!(ttl(&program.ask(&a("x.example.org."))), 60);
        assert_eq!(found(&exchange_tcp(program.dns(), &[a("X.example.ORG.").message()])[0]), "7");
        if runs {
            program.wait("time passes", |program| ttl(&program.ask(&a("x.example.org."))) < 60);
        } else {
            std::thread::sleep(std::time::Duration::from_millis(1100));
            assert_eq!(ttl(&program.ask(&a("x.example.org."))), 60);
        }
        assert_eq!(upstream.count("x.example.org."), 1);
    }
}

#[test]
fn answers_of_other_bits_types_classes_and_blocks_are_never_mixed() {
    let asked = Arc::new(AtomicU8::new(0));
    let upstream = Upstream::start(move |message, _| {
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answer = answer(message, [0, 0x80], &[number], 60);
        // The record is of the type and class that was asked for.
        let question_end = answer.len() - 16;
        let question = answer[question_end - 4..question_end].to_vec();
        answer[question_end + 2..question_end + 6].copy_from_slice(&question);
        vec![answer]
    });
    let port = upstream.port;
    let corefile = format!(
        "a.example.org:PORT {{\n    bind 127.0.0.1\n    cache\n    forward . 127.0.0.1:{port}\n}}\nexample.org:PORT {{\n    bind 127.0.0.1\n    cache\n    forward . 127.0.0.1:{port}\n}}\n.:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n"
    );
    let program = Program::start(&corefile, &[]);
    let name = "x.a.example.org.";
    let questions = [
        a(name),
        Question { dnssec_ok: true, ..a(name) },
        Question { checking_disabled: true, ..a(name) },
        Question { dnssec_ok: true, checking_disabled: true, ..a(name) },
        Question { recursion_desired: true, ..a(name) },
        Question { qclass: Class::CH, ..Question::new(name, Rtype::NULL) },
        Question::new(name, Rtype::NULL),
        a("a.example.org."),
        a("example.org."),
    ];
    let ask = |question: &Question| program.ask(question)[12..].to_vec();
    let first: Vec<_> = questions.iter().map(ask).collect();
    for round in 0..3 {
        let again: Vec<_> = questions.iter().map(ask).collect();
        let without_ttl = |answers: &[Vec<u8>]| {
            answers.iter().map(|octets| octets.iter().rev().take(6).copied().collect()).collect::<Vec<Vec<u8>>>()
        };
        // The OPT record of those with DO is the same each time.
        assert_eq!(without_ttl(&again), without_ttl(&first), "{round}");
    }
    assert_eq!(upstream.count(name) + upstream.count("a.example.org.") + upstream.count("example.org."), 9);
    // A question for DS at the cut goes to the block above, whose cache knows nothing of the other's.
    program.ask(&Question::new("a.example.org.", Rtype::DS));
    program.ask(&Question::new("x.a.example.org.", Rtype::DS));
    assert_eq!(upstream.count("a.example.org."), 2);
}

#[test]
fn denials_are_kept_by_their_soa_and_errors_are_not() {
    let upstream = Upstream::start(|message, _| {
        vec![match message[13] {
            b'n' => denial(message, 3, 60, 30),
            b'e' => denial(message, 0, 20, 90),
            b'b' => answer(message, [0, 0x83], &[], 0),
            b's' => answer(message, [0, 0x82], &[], 0),
            _ => answer(message, [0, 0x85], &[], 0),
        }]
    });
    let program = cached("cache", &upstream);
    for (name, status, times, soa_ttl) in [
        ("nx.example.org.", "NXDOMAIN", 1, Some("30")),
        ("empty.example.org.", "NOERROR", 1, Some("20")),
        ("bare.example.org.", "NXDOMAIN", 3, None),
        ("servfail.example.org.", "SERVFAIL", 1, None),
        ("refused.example.org.", "REFUSED", 3, None),
    ] {
        let begun = std::time::Instant::now();
        for _ in 0..3 {
            let reply = describe(&program.ask(&a(name)));
            assert_eq!(reply.status[0], status, "{name}");
            let soa = reply.sections.get("authority").map(|records| records[0].split(' ').nth(1).unwrap().to_owned());
            // A second may have passed.
            let near = |soa: Option<String>| soa.map(|ttl| ttl.parse::<u32>().unwrap().div_ceil(10) * 10);
            assert_eq!(near(soa), near(soa_ttl.map(Into::into)), "{name}");
        }
        // An error is kept for five seconds, which a busy machine may take.
        let is_over = status == "SERVFAIL" && begun.elapsed() >= std::time::Duration::from_secs(5);
        assert!(upstream.count(name) == times || is_over, "{name}");
    }
    let program = cached("cache {\n        servfail 0\n    }", &upstream);
    for _ in 0..2 {
        assert_eq!(found(&program.ask(&a("s.example.org."))), "SERVFAIL");
    }
    assert_eq!(upstream.count("s.example.org."), 2);
}

#[test]
fn a_denial_behind_an_alias_is_kept_no_longer_than_the_alias() {
    let upstream = Upstream::start(|message, _| {
        vec![match message[13] {
            b'n' => denial_behind_alias(message, 3, 10),
            b'e' => denial_behind_alias(message, 0, 10),
            _ => denial_behind_alias(message, 3, 200),
        }]
    });
    // The least is that of an answer with data, which this is not.
    let program = cached("cache {\n        success 100 3600 200\n    }", &upstream);
    for (name, expected) in [("nx.example.org.", 10), ("empty.example.org.", 10), ("long.example.org.", 60)] {
        let first = ttl(&program.ask(&a(name)));
        assert!((expected - 5..=expected).contains(&first), "{name}: {first}");
        assert_eq!(upstream.count(name), 1);
    }
}

#[test]
fn referrals_are_not_kept_and_are_for_those_alone_who_do_not_desire_recursion() {
    let upstream = Upstream::start(|message, _| {
        vec![if message[2] & 1 == 0 { referral(message) } else { answer(message, [0, 0x80], &[7], 60) }]
    });
    let program = cached("cache", &upstream);
    for _ in 0..2 {
        for (recursion_desired, expected) in [(false, "NOERROR"), (true, "7")] {
            assert_eq!(found(&program.ask(&Question { recursion_desired, ..a("x.example.org.") })), expected);
        }
    }
    // Each time without RD, and once with it.
    assert_eq!(upstream.count("x.example.org."), 3);
}

#[test]
fn ttls_are_bounded_and_kinds_and_zones_can_be_left_out() {
    for (options, expected) in [
        ("cache 30", 30),
        ("cache {\n        success 100 20\n    }", 20),
        ("cache {\n        success 100 200 100\n    }", 100),
        ("cache 30 other.example.org", 60),
        ("cache 30 {\n        disable success\n    }", 60),
    ] {
        let upstream = Upstream::start(says(7));
        let program = cached(options, &upstream);
        let begun = std::time::Instant::now();
        assert_eq!(ttl(&program.ask(&a("x.example.org."))), expected, "{options}");
        let again = ttl(&program.ask(&a("x.example.org.")));
        let passed = begun.elapsed().as_secs() as u32 + 1;
        assert!((expected.saturating_sub(passed)..=expected).contains(&again), "{options}: {again} after {passed} s");
        assert_eq!(upstream.count("x.example.org."), if expected == 60 { 2 } else { 1 }, "{options}");
    }
    let upstream = Upstream::start(|message, _| vec![denial(message, 3, 60, 60)]);
    let program = cached("cache {\n        disable denial a.example.org\n    }", &upstream);
    for name in ["x.a.example.org.", "x.b.example.org."] {
        program.ask(&a(name));
        program.ask(&a(name));
    }
    assert_eq!((upstream.count("x.a.example.org."), upstream.count("x.b.example.org.")), (2, 1));
}

#[test]
fn capacity_is_a_bound_and_everything_is_counted() {
    let (upstream, metrics) = (Upstream::start(says(7)), free_port());
    let options = format!("prometheus 127.0.0.1:{metrics}\n    cache {{\n        success 16\n    }}");
    let program = cached(&options, &upstream);
    for number in 0..200 {
        program.ask(&a(&format!("{number}.example.org.")));
    }
    program.ask(&a("199.example.org."));
    let block = format!("server=\"dns://127.0.0.1:{}\"", program.port);
    let labels = format!("{{{block},zones=\"example.org.\",view=\"\"}}");
    let of_kind = format!("{{{block},type=\"success\",zones=\"example.org.\",view=\"\"}}");
    for (metric, sample) in [
        ("coredns_cache_entries", format!("{of_kind} 16")),
        ("coredns_cache_evictions_total", format!("{of_kind} 184")),
        ("coredns_cache_hits_total", format!("{of_kind} 1")),
        ("coredns_cache_misses_total", format!("{labels} 200")),
        ("coredns_cache_requests_total", format!("{labels} 201")),
    ] {
        let found = samples(metrics, metric);
        assert!(found.contains(&format!("{metric}{sample}")), "{metric}{sample} in {found:?}");
    }
    let plugin = format!(
        "coredns_dns_responses_total{{{block},zone=\"example.org.\",view=\"\",rcode=\"NOERROR\",plugin=\"cache\"}} 1"
    );
    assert!(samples(metrics, "coredns_dns_responses_total").contains(&plugin));
}

#[test]
fn what_is_popular_is_fetched_before_its_end() {
    let (upstream, metrics) = (Upstream::start(says(7)), free_port());
    let options = format!(
        "prometheus 127.0.0.1:{metrics}\n    cache {{\n        success 100 10\n        prefetch 3 1m 90%\n    }}"
    );
    let mut program = cached(&options, &upstream);
    program.wait("it is fetched five times", |program| {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
        upstream.count("x.example.org.") >= 5
    });
    let misses = samples(metrics, "coredns_cache_misses_total");
    assert!(misses[0].ends_with(" 1"), "{misses:?}");
    assert!(samples(metrics, "coredns_cache_prefetch_total")[0].ends_with(|digit| digit >= '4'));
}

#[test]
fn what_is_stale_is_given_while_upstreams_fail() {
    for mode in ["immediate", "verify"] {
        let state = Arc::new(AtomicU8::new(7));
        let now = Arc::clone(&state);
        let upstream = Upstream::start(move |message, is_tcp| match now.load(Ordering::Relaxed) {
            0 => silent(message, is_tcp),
            1 => vec![answer(message, [0, 0x82], &[], 0)],
            number => vec![answer(message, [0, 0x80], &[number], 60)],
        });
        let options = format!("cache {{\n        success 100 1\n        serve_stale 1h {mode}\n    }}");
        let mut program = cached_for(&options, &upstream, "500ms");
        assert_eq!(ttl(&program.ask(&a("x.example.org."))), 1);
        for failing in [0, 1] {
            state.store(failing, Ordering::Relaxed);
            program.wait("it has ended", |program| ttl(&program.ask(&a("x.example.org."))) == 0);
            assert_eq!(found(&program.ask(&a("x.example.org."))), "7", "{mode}");
        }
        state.store(8, Ordering::Relaxed);
        program.wait("the new answer is there", |program| found(&program.ask(&a("x.example.org."))) == "8");
        // What was never there cannot be stale.
        state.store(1, Ordering::Relaxed);
        assert_eq!(found(&program.ask(&a("y.example.org."))), "SERVFAIL");
    }
}

#[test]
fn what_is_stale_is_given_when_upstreams_are_slow_and_their_answer_is_kept() {
    let state = Arc::new(AtomicU8::new(7));
    let now = Arc::clone(&state);
    let upstream = Upstream::start(move |message, _| {
        let number = now.load(Ordering::Relaxed);
        if number == 8 {
            std::thread::sleep(std::time::Duration::from_millis(700));
        }
        vec![answer(message, [0, 0x80], &[number], 60)]
    });
    let options = "cache {\n        success 100 1\n        serve_stale 1h verify 50ms\n    }";
    let mut program = cached(options, &upstream);
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    state.store(8, Ordering::Relaxed);
    program.wait("it has ended", |program| ttl(&program.ask(&a("x.example.org."))) == 0);
    program.wait("the new answer is there", |program| found(&program.ask(&a("x.example.org."))) == "8");
    // What is not there is waited for.
    state.store(9, Ordering::Relaxed);
    assert_eq!(found(&program.ask(&a("y.example.org."))), "9");
}

#[test]
fn who_asks_the_same_meanwhile_waits_for_the_one_answer() {
    let open = Arc::new(AtomicU8::new(0));
    let gate = Arc::clone(&open);
    let upstream = Upstream::start(move |message, _| {
        while gate.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        vec![answer(message, [0, if message[12] == 4 { 0x85 } else { 0x80 }], &[message[12]], 60)]
    });
    let metrics = free_port();
    let options = format!("prometheus 127.0.0.1:{metrics}\n    cache {{\n        success 0\n    }}");
    let lines = format!("{options}\n    forward . 127.0.0.1:{} {{\n        read_timeout 20s\n    }}", upstream.port);
    let mut program = start(&lines, "ring");
    // What is kept for nobody, too: the answer is shared, and not only found.
    let dnssec_ok = Question { dnssec_ok: true, ..a("x.example.org.") };
    let checking_disabled = Question { checking_disabled: true, ..a("x.example.org.") };
    let other_type = Question::new("x.example.org.", Rtype::TXT);
    let recursion_desired = Question { recursion_desired: true, ..a("x.example.org.") };
    let questions = [
        a("x.example.org."),
        a("X.Example.org."),
        dnssec_ok,
        checking_disabled,
        other_type,
        a("four.example.org."),
        recursion_desired,
    ];
    let dns = program.dns();
    let waiting: Vec<_> = (0..70)
        .map(|number| {
            let message = questions[number % questions.len()].message();
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000).expect("an answer"))
        })
        .collect();
    let message = a("x.example.org.").message();
    let over_tcp = std::thread::spawn(move || exchange_tcp(dns, &[message.clone(), message]));
    program.wait("all wait", |_| value(metrics, "zonda_later_waiting") == 72);
    program.wait("most of them for others", |_| samples(metrics, "zonda_cache_shared_total")[0].ends_with(" 65"));
    open.store(1, Ordering::Relaxed);
    for (number, reply) in waiting.into_iter().enumerate() {
        let reply = reply.join().unwrap();
        // With the case of the client's own question.
        assert_eq!(reply[12..28], questions[number % questions.len()].message()[12..28]);
        let expected = match number % questions.len() {
            5 => "4",
            _ => "1",
        };
        assert_eq!(found(&reply), expected, "{number}");
    }
    assert_eq!(over_tcp.join().unwrap().iter().map(|reply| found(reply)).collect::<Vec<_>>(), ["1", "1"]);
    assert_eq!(upstream.count("four.example.org."), 1);
    // What is over is not shared any more.
    assert_eq!(found(&program.ask(&a("four.example.org."))), "4");
    assert_eq!(upstream.count("four.example.org."), 2);
}

#[test]
fn a_refresh_that_brings_nothing_to_keep_is_tried_again() {
    let state = Arc::new(AtomicU8::new(7));
    let now = Arc::clone(&state);
    let upstream = Upstream::start(move |message, _| match now.load(Ordering::Relaxed) {
        0 => vec![answer(message, [0, 0x85], &[], 0)],
        number => vec![answer(message, [0, 0x80], &[number], 60)],
    });
    let mut program = cached("cache {\n        success 100 1\n        serve_stale 1h\n    }", &upstream);
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    state.store(0, Ordering::Relaxed);
    program.wait("it is refused again and again", |program| {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
        upstream.count("x.example.org.") > 3
    });
    state.store(8, Ordering::Relaxed);
    program.wait("the new answer is there", |program| found(&program.ask(&a("x.example.org."))) == "8");
}

#[test]
fn a_refresh_with_ttl_zero_ends_what_was_kept() {
    let state = Arc::new(AtomicU8::new(7));
    let now = Arc::clone(&state);
    let upstream = Upstream::start(move |message, _| {
        let number = now.load(Ordering::Relaxed);
        vec![answer(message, [0, 0x80], &[number], u8::from(number == 7))]
    });
    let mut program = cached("cache {\n        success 100 3600 0\n        serve_stale 1h\n    }", &upstream);
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    for number in [8, 9] {
        state.store(number, Ordering::Relaxed);
        program
            .wait("the new answer is there", |program| found(&program.ask(&a("x.example.org."))) == number.to_string());
    }
}

#[test]
fn an_answer_too_long_for_one_client_is_kept_whole_for_the_next() {
    let upstream = Upstream::start(|message, is_tcp| match is_tcp {
        true => vec![answer(message, [0, 0x80], &[7; 60], 60)],
        false => vec![answer(message, [2, 0x80], &[], 60)],
    });
    let program = cached("cache", &upstream);
    let small = program.ask(&a("x.example.org."));
    assert_eq!((small[2] & 2, small[7]), (2, 0));
    let whole = exchange_tcp(program.dns(), &[a("x.example.org.").message()]);
    assert_eq!((whole[0][2] & 2, whole[0][7]), (0, 60));
    // Once over UDP, and at once again over TCP.
    assert_eq!(upstream.count("x.example.org."), 2);
}

#[test]
fn zones_are_answered_from_memory_and_never_from_the_cache() {
    let zone = |serial: u8| {
        format!(
            "@ 3600 SOA ns1 host {serial} 1h 1h 1h 60\n@ 3600 NS ns1\nns1 3600 A 192.0.2.53\nwww 3600 A 192.0.2.{serial}\n"
        )
    };
    let (upstream, metrics) = (Upstream::start(says(7)), free_port());
    let corefile = format!(
        "example.org:PORT {{\n    bind 127.0.0.1\n    prometheus 127.0.0.1:{metrics}\n    cache\n    file db {{\n        reload 50ms\n        fallthrough out.example.org\n    }}\n    forward . 127.0.0.1:{}\n}}\n.:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n",
        upstream.port
    );
    let mut program = Program::start(&corefile, &[("db", &zone(1))]);
    for _ in 0..3 {
        assert_eq!(found(&program.ask(&a("www.example.org."))), "1");
        assert_eq!(found(&program.ask(&a("nx.example.org."))), "NXDOMAIN");
    }
    assert!(samples(metrics, "coredns_cache_requests_total")[0].ends_with(" 0"));
    std::fs::write(program.folder.path().join("db"), zone(2)).unwrap();
    program.wait("the zone has changed", |program| found(&program.ask(&a("www.example.org."))) == "2");
    for _ in 0..2 {
        assert_eq!(found(&program.ask(&a("x.out.example.org."))), "7");
    }
    assert_eq!(upstream.count("x.out.example.org."), 1);
    assert_eq!(value(metrics, "zonda_later_total"), 1);
}

#[test]
fn other_plugins_see_answers_from_the_cache_as_they_see_those_of_upstreams() {
    let upstream = Upstream::start(says(7));
    let program = cached(
        "header {\n        response clear ra\n        response set aa\n    }\n    nsid one\n    cache",
        &upstream,
    );
    let question = Question { options: vec![(3, Vec::new())], edns_size: Some(1232), ..a("x.example.org.") };
    for _ in 0..2 {
        let reply = describe(&program.ask(&question));
        assert_eq!(reply.status, ["NOERROR", "aa", "edns"]);
        assert_eq!(reply.options, ["3 6f6e65"]);
    }
    assert_eq!(upstream.count("x.example.org."), 1);
}

#[test]
fn faults_of_the_line_are_told() {
    let faults = [
        ("cache 0", "cache TTL can not be zero or negative: 0"),
        ("cache\n    cache", "this plugin can only be used once per Server Block"),
        ("cache {\n        foo\n    }", "Corefile:3 - Error during parsing: unknown property 'foo'"),
        ("cache {\n        success 10 0\n    }", "cache TTL can not be zero or negative: 0"),
        (
            "cache {\n        success 10 5 -1\n    }",
            "Corefile:3 - Error during parsing: cache min TTL can not be negative: -1",
        ),
        (
            "cache {\n        prefetch 10 1m 10\n    }",
            "Corefile:3 - Error during parsing: last character of percentage should be `%`, but is: \"10\"",
        ),
        (
            "cache {\n        prefetch 10 1m 95%\n    }",
            "Corefile:3 - Error during parsing: percentage should fall in range [10, 90]: 95",
        ),
        (
            "cache {\n        serve_stale 1h later\n    }",
            "Corefile:3 - Error during parsing: invalid value for serve_stale refresh mode: later",
        ),
        (
            "cache {\n        servfail 6m\n    }",
            "Corefile:3 - Error during parsing: caching SERVFAIL responses over 5 minutes is not permitted",
        ),
    ];
    refuses("cache", &faults);
}
