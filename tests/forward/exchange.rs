//! One question and its answer: ids, ports, transports, and what is no answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use domain::base::iana::Class;
use store::Rtype;

use super::{Asked, Upstream, a, answer, found, says, start};
use crate::cases::describe;
use crate::support::{Program, Question, exchange_tcp, exchange_udp, has_ipv6};

#[test]
fn answers_come_back_over_udp_and_tcp_on_both_ways_in() {
    for io in ["ring", "mmsg"] {
        let upstream = Upstream::start(says(7));
        let lines = format!("forward . 127.0.0.1:{} {{\n        read_timeout 5s\n    }}", upstream.port);
        let program = start(&lines, io);
        let question = Question { edns_size: Some(1400), dnssec_ok: true, ..a("WwW.example.org.") };
        let question =
            Question { recursion_desired: true, options: vec![(8, vec![0, 1, 24, 0, 192, 0, 2])], ..question };
        let reply = program.ask(&question);
        assert_eq!(describe(&reply).status, ["NOERROR", "rd", "ra", "edns", "do"]);
        assert_eq!(reply[..2], [0xab, 0xcd]);
        assert_eq!(&reply[12..16], b"\x03WwW");
        let tcp = exchange_tcp(program.dns(), &[question.message(), a("b.example.org.").message()]);
        assert_eq!((found(&tcp[0]), found(&tcp[1])), ("7".into(), "7".into()));
        let asked = upstream.asked.lock().unwrap();
        assert_eq!(asked.iter().map(|(_, _, is_tcp)| *is_tcp).collect::<Vec<_>>(), [false, true, true]);
        // RD and DO go on, the client's subnet does not, and the size is that of the server.
        let end = asked[0].0.len();
        assert_eq!(asked[0].0[2] & 1, 1);
        assert_eq!(asked[0].0[end - 11..], [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    }
}

#[test]
fn ids_and_ports_are_never_the_same_for_long() {
    let upstream = Upstream::start(says(7));
    let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    for number in 0..50 {
        program.ask(&a(&format!("{number}.example.org.")));
    }
    let asked = upstream.asked.lock().unwrap();
    let different = |of: &dyn Fn(&Asked) -> u16| asked.iter().map(of).collect::<std::collections::BTreeSet<_>>().len();
    assert!(different(&|(message, _, _)| u16::from_be_bytes([message[0], message[1]])) >= 48);
    assert!(different(&|(_, port, _)| *port) >= 45);
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let upstream = Upstream::start(says(7));
    let corefile =
        format!("example.org:PORT {{\n    forward . 127.0.0.1:{}\n}}\n.:PORT {{\n    whoami\n}}\n", upstream.port);
    let program = Program::start(&corefile, &[]);
    for address in ["127.0.0.1", "127.0.0.2", "127.8.9.10", "::1"] {
        if address != "::1" || has_ipv6() {
            // A connected socket takes answers from the address it asked only.
            let server = SocketAddr::new(address.parse().unwrap(), program.port);
            let reply = exchange_udp(server, &a("www.example.org.").message(), 20_000);
            assert_eq!(found(&reply.expect(address)), "7");
        }
    }
}

#[test]
fn what_is_not_the_answer_is_passed_over() {
    let upstream = Upstream::start(|message, is_tcp| {
        let right = answer(message, [0, 0x80], &[7], 60);
        let change = |at: usize, to: u8| {
            let mut wrong = answer(message, [0, 0x80], &[66], 60);
            wrong[at] ^= to;
            wrong
        };
        // Another id, a query, another name, another type, cut off, a pointer to itself.
        let mut wrong = vec![change(0, 1), change(2, 0x80), change(13, 4), change(27, 1), right[..40].to_vec()];
        wrong.push(change(30, 12 ^ 29));
        wrong.push(vec![1, 2, 3]);
        if is_tcp {
            wrong.truncate(4);
        }
        wrong.push(right);
        wrong
    });
    let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    assert_eq!(found(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]), "7");
}

#[test]
fn what_is_truncated_is_fetched_over_tcp_and_fitted_to_the_client() {
    let upstream = Upstream::start(|message, is_tcp| match is_tcp {
        true => vec![answer(message, [0, 0x80], &[7; 60], 60)],
        // Cut off in the middle of a record, as some servers do it.
        false => vec![answer(message, [2, 0x80], &[66; 10], 60)[..50].to_vec()],
    });
    let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    let count = |message: &[u8]| describe(message).sections.get("answer").map_or(0, Vec::len);
    let whole = program.ask(&Question { edns_size: Some(1232), ..a("x.example.org.") });
    assert_eq!((count(&whole), whole[2] & 2), (60, 0));
    let small = program.ask(&a("x.example.org."));
    assert_eq!((count(&small), small[2] & 2, small[7]), (0, 2, 0));
    assert_eq!(count(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]), 60);
}

#[test]
fn the_transport_is_the_clients_unless_the_line_says_otherwise() {
    for (option, over_tcp) in [("", [false, true]), ("force_tcp", [true, true]), ("prefer_udp", [false, false])] {
        let upstream = Upstream::start(says(7));
        let options = format!("{{\n        {option}\n        read_timeout 5s\n    }}");
        let program = start(&format!("forward . 127.0.0.1:{} {options}", upstream.port), "ring");
        program.ask(&a("x.example.org."));
        exchange_tcp(program.dns(), &[a("x.example.org.").message()]);
        let asked = upstream.asked.lock().unwrap();
        assert_eq!(asked.iter().map(|(_, _, is_tcp)| *is_tcp).collect::<Vec<_>>(), over_tcp, "{option}");
    }
}

#[test]
fn connections_to_upstreams_are_used_again_and_one_that_was_closed_costs_nothing() {
    let upstream = Upstream::start(says(7));
    let port = upstream.port;
    let program =
        start(&format!("forward . 127.0.0.1:{port} {{\n        force_tcp\n        read_timeout 5s\n    }}"), "ring");
    for _ in 0..5 {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    }
    let ports: std::collections::BTreeSet<u16> =
        upstream.asked.lock().unwrap().iter().map(|(_, port, _)| *port).collect();
    assert_eq!(ports.len(), 1);

    // This one closes each connection behind its answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message).unwrap();
            let answer = answer(&message, [0, 0x80], &[8], 60);
            stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).unwrap();
        }
    });
    let program =
        start(&format!("forward . 127.0.0.1:{port} {{\n        force_tcp\n        read_timeout 5s\n    }}"), "ring");
    for _ in 0..5 {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "8");
    }
}

#[test]
fn every_class_is_forwarded() {
    let upstream = Upstream::start(|message, _| vec![answer(message, [0, 0x80], &[], 60)]);
    let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    let reply = program.ask(&Question { qclass: Class::CH, ..Question::new("x.example.org.", Rtype::TXT) });
    assert_eq!(describe(&reply).status, ["NOERROR", "ra"]);
}

#[test]
fn transfers_are_not_forwarded() {
    let upstream = Upstream::start(says(7));
    let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    for qtype in [Rtype::AXFR, Rtype::IXFR] {
        let message = Question::new("example.org.", qtype).message();
        assert_eq!(found(&exchange_tcp(program.dns(), &[message])[0]), "NOTIMP");
    }
    assert_eq!(upstream.count("example.org."), 0);
}
