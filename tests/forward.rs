//! Plugin `forward` between real clients and upstreams that misbehave, over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::base::iana::Class;
use store::Rtype;
use tokio_rustls::rustls::ServerConfig;

use crate::cases::describe;
use crate::support::{
    Program, Question, command, exchange_tcp, exchange_udp, free_port, has_ipv6, resident_kib, run, samples,
};

/// An upstream that does what a test wants.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    /// The questions so far.
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

/// A question: the message, the port it came from, whether it came over TCP.
type Asked = (Vec<u8>, u16, bool);

/// Makes the answers to a message that came over UDP, or with `true` over TCP.
type Answers = dyn Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync;

impl Upstream {
    /// Listens on a free port.
    pub(crate) fn start(answers: impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::at(free_port(), answers)
    }

    /// Listens on a port.
    fn at(port: u16, answers: impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let answers: Arc<Answers> = Arc::new(answers);
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let ended = Arc::<AtomicBool>::default();
        let (udp, tcp) = (UdpSocket::bind(("127.0.0.1", port)), TcpListener::bind(("127.0.0.1", port)));
        let (udp, tcp) = (udp.unwrap(), tcp.unwrap());
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let (noted, made, over) = (Arc::clone(&asked), Arc::clone(&answers), Arc::clone(&ended));
        std::thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while !over.load(Ordering::Relaxed) {
                let Ok((len, client)) = udp.recv_from(&mut buffer) else { continue };
                noted.lock().unwrap().push((buffer[..len].to_vec(), client.port(), false));
                for answer in made(&buffer[..len], false) {
                    udp.send_to(&answer, client).unwrap();
                }
            }
        });
        let (noted, over) = (Arc::clone(&asked), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((mut stream, client)) = tcp.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let (noted, made) = (Arc::clone(&noted), Arc::clone(&answers));
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                        if stream.read_exact(&mut message).is_err() {
                            return;
                        }
                        noted.lock().unwrap().push((message.clone(), client.port(), true));
                        for answer in made(&message, true) {
                            stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                            stream.write_all(&answer).unwrap();
                        }
                    }
                });
            }
        });
        Self { port, asked, ended }
    }

    /// How often a name has been asked for here.
    pub(crate) fn count(&self, qname: &str) -> usize {
        let wanted = store::name::parse(qname, None).unwrap().as_slice().to_vec();
        let is_wanted = |message: &&Asked| message.0[12..].starts_with(&wanted);
        self.asked.lock().unwrap().iter().filter(is_wanted).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// The answer to a message: its header and question, these flags and rcode, and one address for each last octet.
pub(crate) fn answer(message: &[u8], flags: [u8; 2], addresses: &[u8], ttl: u8) -> Vec<u8> {
    let question_end = 12 + message[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut answer = message[..question_end].to_vec();
    answer[2] = 0x80 | flags[0] | message[2] & 1;
    answer[3] = flags[1];
    answer[7] = addresses.len() as u8;
    answer[11] = 0;
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, *address]);
    }
    answer
}

/// Answers every question with 192.0.2.N, recursion available.
pub(crate) fn says(number: u8) -> impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static {
    move |message, _| vec![answer(message, [0, 0x80], &[number], 60)]
}

/// Never answers.
pub(crate) fn silent(_: &[u8], _: bool) -> Vec<Vec<u8>> {
    Vec::new()
}

/// zonda with `forward` lines for `example.org` and below, and another block that is quick to say that it is there.
pub(crate) fn start(lines: &str, io: &str) -> Program {
    let corefile = format!(
        "example.org:PORT {{\n    bind 127.0.0.1\n    errors\n    {lines}\n}}\n.:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(folder.path().join("Corefile"), corefile.replace("PORT", &port.to_string())).unwrap();
    let mut command = command(folder.path());
    command.env("ZONDA_IO", io);
    Program::run_command(command, folder, port)
}

/// The rcode of a question, or the last octets of the addresses in its answer.
pub(crate) fn found(message: &[u8]) -> String {
    let mut found = describe(message);
    let answers = found.sections.remove("answer").unwrap_or_default();
    match answers.is_empty() {
        true => found.status[0].clone(),
        false => answers.iter().map(|record| record.rsplit('.').next().unwrap()).collect::<Vec<_>>().join(" "),
    }
}

/// A question for an address.
pub(crate) fn a(qname: &str) -> Question {
    Question::new(qname, Rtype::A)
}

#[test]
fn answers_come_back_over_udp_and_tcp_on_both_ways_in() {
    for io in ["ring", "mmsg"] {
        let upstream = Upstream::start(says(7));
        let program = start(&format!("forward . 127.0.0.1:{}", upstream.port), io);
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
            let reply = exchange_udp(server, &a("www.example.org.").message(), 5000);
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
        let program = start(&format!("forward . 127.0.0.1:{} {{\n        {option}\n    }}", upstream.port), "ring");
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
    let program = start(&format!("forward . 127.0.0.1:{port} {{\n        force_tcp\n    }}"), "ring");
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
    let program = start(&format!("forward . 127.0.0.1:{port} {{\n        force_tcp\n    }}"), "ring");
    for _ in 0..5 {
        assert_eq!(found(&program.ask(&a("x.example.org."))), "8");
    }
}

#[test]
fn a_dead_upstream_costs_nothing_and_all_dead_is_servfail_with_a_reason() {
    let upstream = Upstream::start(says(7));
    let dead = free_port();
    let lines = format!("forward . 127.0.0.1:{dead} 127.0.0.1:{} {{\n        policy sequential\n    }}", upstream.port);
    let program = start(&lines, "ring");
    for number in 0..20 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    let mut program = start(&format!("forward . 127.0.0.1:{dead}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "SERVFAIL");
    assert_eq!(found(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]), "SERVFAIL");
    program.wait("the reason is logged", |program| {
        program
            .text()
            .contains("[ERROR] plugin/errors: 2 x.example.org. A: plugin/forward: an upstream cannot be reached")
    });
}

#[test]
fn an_upstream_that_is_down_is_looked_after_until_it_answers_again() {
    let port = free_port();
    let (other, metrics) = (Upstream::start(says(8)), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{port} 127.0.0.1:{} {{\n        policy sequential\n        max_fails 1\n        health_check 20ms no_rec domain health.example.net\n    }}",
        other.port
    );
    let mut program = start(&lines, "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "8");
    let failures = || samples(metrics, "coredns_forward_healthcheck_failures_total").join("\n");
    let to = format!("to=\"127.0.0.1:{port}\"}} ");
    let count = || failures().lines().find_map(|line| line.split_once(&to)?.1.parse().ok()).unwrap_or(0);
    program.wait("it is down", |_| count() > 2);
    let upstream = Upstream::at(port, says(7));
    program.wait("it is asked again", |program| found(&program.ask(&a("x.example.org."))) == "7");
    assert!(upstream.count("health.example.net.") > 0);
    let asked = upstream.asked.lock().unwrap();
    assert_eq!(asked[0].0[2] & 1, 0, "without RD");
}

#[test]
fn an_upstream_that_never_answers_holds_up_nobody_else() {
    let (mute, upstream) = (Upstream::start(silent), Upstream::start(says(7)));
    let lines = format!("forward slow.example.org 127.0.0.1:{}\n    forward . 127.0.0.1:{}", mute.port, upstream.port);
    let program = start(&lines, "ring");
    let begun = Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let (dns, message) = (program.dns(), a(&format!("{number}.slow.example.org.")).message());
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000))
        })
        .collect();
    // Over one connection, too: what is slow does not hold up what comes behind it (RFC 7766 §7).
    let (slow, quick) = (a("x.slow.example.org.").message(), a("quick.example.org.").message());
    let mut over_tcp = exchange_tcp_apart(program.dns(), &[slow, quick]);
    assert_eq!(found(&over_tcp.next().unwrap()), "7");
    for number in 0..100 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    assert!(mute.count("x.slow.example.org.") > 0);
    for reply in waiting {
        assert_eq!(found(&reply.join().unwrap().unwrap()), "SERVFAIL");
    }
    assert_eq!(found(&over_tcp.next().unwrap()), "SERVFAIL");
    // It was given two seconds, and not given up at once.
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

/// Sends each message by a write of its own over one connection, and gives the answers as they come.
fn exchange_tcp_apart(server: SocketAddr, messages: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for message in messages {
        stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    std::iter::from_fn(move || {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    })
}

#[test]
fn a_flood_of_names_is_bounded_and_passes() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward slow.example.org 127.0.0.1:{}\n    forward . 127.0.0.1:{}",
        mute.port,
        free_port()
    );
    let mut program = start(&lines, "ring");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(program.dns()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let before = resident_kib(program.id());
    let mut buffer = [0; 512];
    let mut refused = 0;
    let mut number = 0;
    let mut waiting_most = 0;
    program.wait("more are asked than may wait", |_| {
        for _ in 0..500 {
            number += 1;
            socket.send(&a(&format!("{number}.slow.example.org.")).message()).ok();
            while let Ok(len) = socket.recv(&mut buffer) {
                assert_eq!(found(&buffer[..len]), "SERVFAIL");
                refused += 1;
            }
        }
        waiting_most = waiting_most.max(value(metrics, "zonda_later_waiting"));
        value(metrics, "zonda_later_refused_total") > 1000
    });
    assert!(refused > 0);
    assert!(waiting_most <= 4096, "{waiting_most}");
    let grown = resident_kib(program.id()).saturating_sub(before);
    assert!(grown < 100_000, "{grown} KiB");
    program.wait("all are answered", |_| value(metrics, "zonda_later_waiting") == 0);
    assert!(exchange_udp(program.dns(), &a("www.example.net.").message(), 5000).is_some());
}

/// The value of a metric without labels.
pub(crate) fn value(port: u16, metric: &str) -> u64 {
    samples(port, metric).first().map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn more_than_max_concurrent_is_refused() {
    let (mute, metrics) = (Upstream::start(silent), free_port());
    let lines = format!(
        "prometheus 127.0.0.1:{metrics}\n    forward . 127.0.0.1:{} {{\n        max_concurrent 2\n    }}",
        mute.port
    );
    let mut program = start(&lines, "ring");
    let waiting: Vec<_> = (0..2)
        .map(|number| {
            let (dns, message) = (program.dns(), a(&format!("{number}.example.org.")).message());
            std::thread::spawn(move || exchange_udp(dns, &message, 20_000))
        })
        .collect();
    program.wait("two wait", |_| value(metrics, "zonda_later_waiting") == 2);
    assert_eq!(found(&program.ask(&a("x.example.org."))), "REFUSED");
    assert_eq!(value(metrics, "coredns_forward_max_concurrent_rejects_total"), 1);
    for reply in waiting {
        assert_eq!(found(&reply.join().unwrap().unwrap()), "SERVFAIL");
    }
}

#[test]
fn policies_and_zones_choose_the_upstream() {
    let upstreams: Vec<Upstream> = (1..=4).map(|number| Upstream::start(says(number))).collect();
    let to: Vec<String> = upstreams.iter().map(|upstream| format!("127.0.0.1:{}", upstream.port)).collect();
    let ask = |lines: &str, names: &[&str]| {
        let program = start(lines, "ring");
        names.iter().map(|name| found(&program.ask(&a(name)))).collect::<Vec<_>>().join(" ")
    };
    let x = ["x.example.org."; 6];
    let policy = |policy: &str| format!("forward . {} {{\n        policy {policy}\n    }}", to[..3].join(" "));
    assert_eq!(ask(&policy("round_robin"), &x), "1 2 3 1 2 3");
    assert_eq!(ask(&policy("sequential"), &x), "1 1 1 1 1 1");
    let random = ask(&policy("random"), &["x.example.org."; 60]);
    assert!(random.contains('1') && random.contains('2') && random.contains('3'), "{random}");

    let lines = format!(
        "forward a.example.org {} {{\n        except b.a.example.org\n    }}\n    forward example.org {} {{\n        except c.example.org\n    }}",
        to[0], to[1]
    );
    let names = ["x.a.example.org.", "x.b.a.example.org.", "example.org.", "x.c.example.org."];
    assert_eq!(ask(&lines, &names), "1 2 2 SERVFAIL");
}

#[test]
fn next_and_failover_go_by_the_rcode() {
    let nxdomain = Upstream::start(|message, _| vec![answer(message, [0, 0x83], &[], 0)]);
    let empty = Upstream::start(|message, _| vec![answer(message, [0, 0x80], &[], 0)]);
    let refusing = Upstream::start(|message, _| vec![answer(message, [0, 5], &[], 0)]);
    let good = Upstream::start(says(7));
    let [nxdomain, empty, refusing, good] =
        [&nxdomain, &empty, &refusing, &good].map(|upstream| format!("127.0.0.1:{}", upstream.port));
    for (lines, expected) in [
        (format!("forward . {nxdomain} {{\n        next NXDOMAIN\n    }}\n    forward . {good}"), "7"),
        (format!("forward . {nxdomain} {{\n        next SERVFAIL\n    }}\n    forward . {good}"), "NXDOMAIN"),
        // Without a next line the answer stands.
        (format!("forward . {nxdomain} {{\n        next NXDOMAIN\n    }}"), "NXDOMAIN"),
        (format!("forward . {empty} {{\n        next_on_nodata\n    }}\n    forward . {good}"), "7"),
        (
            format!(
                "forward . {refusing} {good} {{\n        policy sequential\n        failover REFUSED SERVFAIL\n    }}"
            ),
            "7",
        ),
        (format!("forward . {refusing} {good} {{\n        policy sequential\n    }}"), "REFUSED"),
        (format!("forward . {refusing} {{\n        failover refused\n    }}"), "REFUSED"),
    ] {
        assert_eq!(found(&start(&lines, "ring").ask(&a("x.example.org."))), expected, "{lines}");
    }
}

#[test]
fn upstreams_come_from_files_and_host_names() {
    let upstream = Upstream::start(says(7));
    let (ip, port) = ("127.0.0.1", upstream.port);
    let program = start(&format!("forward . dns://localhost:{port}"), "ring");
    assert_eq!(found(&program.ask(&a("x.example.org."))), "7");
    // A server that knows the host: it answers with an address that only this machine has.
    let resolver = Upstream::start(|message, _| {
        let mut answer = answer(message, [0, 0x80], if message[message.len() - 3] == 1 { &[1] } else { &[] }, 60);
        let end = answer.len();
        if answer[7] == 1 {
            answer[end - 4..].copy_from_slice(&[127, 0, 0, 1]);
        }
        vec![answer]
    });
    let lines = format!("forward . up.example.net:{port} {{\n        resolver {ip}:{}\n    }}", resolver.port);
    assert_eq!(found(&start(&lines, "ring").ask(&a("x.example.org."))), "7");

    let folder = tempfile::tempdir().unwrap();
    let corefile = format!("example.org:0 {{\n    root {}\n    forward . resolv\n}}\n", folder.path().display());
    std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
    std::fs::write(folder.path().join("resolv"), "# mine\nsearch example.org\n").unwrap();
    let (_, _, stderr) = run(folder.path(), &["check", "Corefile"]);
    assert!(stderr.contains("no nameservers found in"), "{stderr}");
    std::fs::write(folder.path().join("resolv"), "nameserver 192.0.2.1\nnameserver 2001:db8::1 \n").unwrap();
    assert_eq!(run(folder.path(), &["check", "Corefile"]).0, Some(0));
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

#[test]
fn a_stop_waits_for_what_is_under_way() {
    for io in ["ring", "mmsg"] {
        let upstream = Upstream::start(|message, _| {
            std::thread::sleep(Duration::from_millis(500));
            vec![answer(message, [0, 0x80], &[7], 60)]
        });
        let mut program = start(&format!("forward . 127.0.0.1:{}", upstream.port), io);
        let (dns, message) = (program.dns(), a("x.example.org.").message());
        let udp = std::thread::spawn(move || exchange_udp(dns, &message, 10_000));
        program.wait("it is asked", |_| upstream.count("x.example.org.") > 0);
        assert_eq!(program.end("TERM"), Some(0));
        assert_eq!(found(&udp.join().unwrap().expect("an answer")), "7");
    }
}

#[test]
fn a_reload_loses_nothing_that_is_under_way() {
    let upstream = Upstream::start(|message, _| {
        std::thread::sleep(Duration::from_millis(if message[13] == b's' { 800 } else { 0 }));
        vec![answer(message, [0, 0x80], &[7], 60)]
    });
    let mut program = start(&format!("forward . 127.0.0.1:{}", upstream.port), "ring");
    let (dns, message) = (program.dns(), a("slow.example.org.").message());
    let over_udp = std::thread::spawn(move || exchange_udp(dns, &message, 10_000));
    let message = a("slower.example.org.").message();
    let over_tcp = std::thread::spawn(move || exchange_tcp(dns, &[message]));
    program.wait("both wait", |_| upstream.count("slow.example.org.") + upstream.count("slower.example.org.") > 0);
    let file = program.folder.path().join("Corefile");
    let other = Upstream::start(says(8));
    let text = std::fs::read_to_string(&file).unwrap();
    let (from, to) = (format!("forward . 127.0.0.1:{}", upstream.port), format!("forward . 127.0.0.1:{}", other.port));
    std::fs::write(&file, text.replace(&from, &to)).unwrap();
    program.signal("USR1");
    program.wait("the new configuration answers", |program| found(&program.ask(&a("x.example.org."))) == "8");
    assert_eq!(found(&over_udp.join().unwrap().expect("an answer")), "7");
    assert_eq!(found(&over_tcp.join().unwrap()[0]), "7");
}

#[test]
fn what_upstreams_do_is_counted() {
    let (upstream, metrics) = (Upstream::start(says(7)), free_port());
    let to = format!("127.0.0.1:{}", upstream.port);
    let lines = format!("prometheus 127.0.0.1:{metrics}\n    forward . {to}\n    log");
    let mut program = start(&lines, "ring");
    program.ask(&a("x.example.org."));
    exchange_tcp(program.dns(), &[a("x.example.org.").message()]);
    for (metric, sample) in [
        ("coredns_forward_requests_total", format!("{{to=\"{to}\"}} 2")),
        ("coredns_forward_responses_total", format!("{{to=\"{to}\",rcode=\"NOERROR\"}} 2")),
        ("coredns_forward_request_duration_seconds_count", format!("{{to=\"{to}\",rcode=\"NOERROR\"}} 2")),
        (
            "coredns_proxy_request_duration_seconds_count",
            format!("{{proxy_name=\"forward\",rcode=\"NOERROR\",to=\"{to}\"}} 2"),
        ),
        ("coredns_proxy_conn_cache_misses_total", format!("{{proto=\"tcp\",proxy_name=\"forward\",to=\"{to}\"}} 1")),
        ("coredns_forward_healthcheck_broken_total", " 0".into()),
        ("zonda_udp_later_total", " 1".into()),
    ] {
        assert!(samples(metrics, metric).contains(&format!("{metric}{sample}")), "{metric}{sample}");
    }
    let server = format!("server=\"dns://127.0.0.1:{}\",zone=\"example.org.\",view=\"\"", program.port);
    let responses = samples(metrics, "coredns_dns_responses_total");
    let expected = format!("coredns_dns_responses_total{{{server},rcode=\"NOERROR\",plugin=\"forward\"}} 2");
    assert!(responses.contains(&expected), "{responses:?}");
    program.wait("it is logged", |program| program.text().matches("\"A IN x.example.org. ").count() == 2);
}

#[test]
fn faults_of_the_line_are_told() {
    for (lines, message) in [
        (
            "forward",
            "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'forward'",
        ),
        ("forward .", "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after '.'"),
        ("forward . a..b", "Corefile:2 - Error during parsing: not an IP address or file: \"a..b\""),
        ("forward . /no/such/file", "Corefile:2 - Error during parsing: not an IP address or file: \"/no/such/file\""),
        ("forward . 192.0.2.1 {\n        foo\n    }", "Corefile:3 - Error during parsing: unknown property 'foo'"),
        (
            "forward . 192.0.2.1 {\n        policy best\n    }",
            "Corefile:3 - Error during parsing: unknown policy 'best'",
        ),
        (
            "forward . 192.0.2.1 {\n        max_fails -1\n    }",
            "Corefile:3 - Error during parsing: max_fails can't be negative: -1",
        ),
        (
            "forward . 192.0.2.1 {\n        health_check 1s maybe\n    }",
            "Corefile:3 - Error during parsing: health_check: unknown option maybe",
        ),
        (
            "forward . 192.0.2.1 {\n        next NONSENSE\n    }",
            "Corefile:3 - Error during parsing: NONSENSE is not a valid rcode",
        ),
        (
            "forward . 192.0.2.1 {\n        force_tcp yes\n    }",
            "Corefile:3 - Error during parsing: Wrong argument count or unexpected line ending after 'yes'",
        ),
        (
            "forward . 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 1.1.1.10 1.1.1.11 1.1.1.12 1.1.1.13 1.1.1.14 1.1.1.15 1.1.1.16",
            "Corefile:2 - Error during parsing: more than 15 TOs configured: 16",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Corefile"), format!("example.org:0 {{\n    {lines}\n}}\n")).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!((code, stderr.trim_end()), (Some(1), &format!("plugin/forward: {message}")[..]), "{lines}");
    }
}

#[test]
fn loop_ends_a_server_that_forwards_to_itself_and_no_other() {
    let (port, other) = (free_port(), free_port());
    let corefile = |to: u16| {
        format!(
            "example.org:{port} {{\n    bind 127.0.0.1\n    loop\n    forward . 127.0.0.1:{to}\n}}\n.:{port} {{\n    bind 127.0.0.1\n    whoami\n}}\nexample.org:{other} {{\n    bind 127.0.0.1\n    forward . 127.0.0.1:{port}\n}}\n"
        )
    };
    for to in [port, other] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Corefile"), corefile(to)).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1), "{stderr}");
        let says =
            stderr.contains("plugin/loop: Loop (127.0.0.1:") && stderr.contains("detected for zone \"example.org.\"");
        assert!(says, "{stderr}");
    }
    let upstream = Upstream::start(says(7));
    let mut program = start(&format!("loop\n    forward . 127.0.0.1:{}", upstream.port), "ring");
    program.wait("the question has gone round", |_| !upstream.asked.lock().unwrap().is_empty());
    let probe = upstream.asked.lock().unwrap()[0].0.clone();
    assert_eq!(probe[probe.len() - 4..], [0, 13, 0, 1], "HINFO IN");
    for number in 0..20 {
        assert_eq!(found(&program.ask(&a(&format!("{number}.example.org.")))), "7");
    }
    assert!(program.has_ended().is_none());
}

/// What a server shows that has a certificate for `dns.example.net` and 127.0.0.1, for which the file vouches.
fn certified(authority: &Path, protocol: &[u8]) -> Arc<ServerConfig> {
    use tokio_rustls::rustls::{crypto::ring, pki_types::PrivateKeyDer};

    let names = vec!["dns.example.net".to_owned(), "127.0.0.1".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(authority, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// An upstream that speaks HTTPS alone: at `/dns-query` and `/other` it answers, and says how it was asked by the number:
/// 1 for GET and 2 for POST, with 10 more for `/other`. Each connection is one more in the counter.
fn https_upstream(authority: &Path, connections: Arc<AtomicU32>) -> u16 {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::{Method, Request, Response};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let (message, number) = match head.method {
            Method::GET => {
                (URL_SAFE_NO_PAD.decode(head.uri.query().unwrap().strip_prefix("dns=").unwrap()).unwrap(), 1)
            }
            _ => {
                assert_eq!(head.headers["content-type"], "application/dns-message");
                (body, 2)
            }
        };
        assert_eq!(message[..2], [0, 0]);
        let response = Response::builder().header("content-type", "application/dns-message").header("age", "20");
        Ok(match head.uri.path() {
            "/dns-query" => response.body(Full::from(answer(&message, [0, 0x80], &[number], 60))),
            "/other" => response.body(Full::from(answer(&message, [0, 0x80], &[10 + number], 60))),
            _ => Response::builder().status(404).body(Full::default()),
        }
        .unwrap())
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(certified(authority, b"h2"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(serve)).await;
                });
            }
        });
    });
    port
}

#[test]
fn https_upstreams_are_asked_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let connections = Arc::<AtomicU32>::default();
    let port = https_upstream(&authority, Arc::clone(&connections));
    let tls = format!("tls {}", authority.display());
    for (to, options, expected) in [
        (format!("https://127.0.0.1:{port}"), tls.clone(), "2"),
        (format!("https://127.0.0.1:{port}/dns-query"), format!("{tls}\n        doh_method GET"), "1"),
        (format!("https://127.0.0.1:{port}/other"), format!("{tls}\n        tls_servername dns.example.net"), "12"),
        (format!("https://127.0.0.1:{port}/nothing"), tls.clone(), "SERVFAIL"),
        (format!("https://127.0.0.1:{port}"), format!("{tls}\n        tls_servername www.example.net"), "SERVFAIL"),
        // Its certificate is not for this name.
        (format!("https://localhost:{port}"), tls, "SERVFAIL"),
    ] {
        let before = connections.load(Ordering::Relaxed);
        let program = start(&format!("forward . {to} {{\n        {options}\n        max_fails 0\n    }}"), "ring");
        for number in 0..5 {
            let reply = program.ask(&a(&format!("{number}.example.org.")));
            assert_eq!(found(&reply), expected, "{to} {options}");
            // A cache on the way has had it for 20 seconds.
            assert!(expected == "SERVFAIL" || describe(&reply).sections["answer"][0].contains(" 40 IN A "));
        }
        if expected != "SERVFAIL" {
            assert_eq!(connections.load(Ordering::Relaxed) - before, 1, "{to}");
        }
    }
    for (option, message) in [
        ("doh_method PUT", "Corefile:3 - Error during parsing: invalid doh_method 'PUT'"),
        ("tls none.pem", "Corefile:3 - Error during parsing: none.pem: "),
    ] {
        let text = format!("example.org:0 {{\n    forward . https://127.0.0.1:{port} {{\n{option}\n    }}\n}}\n");
        std::fs::write(folder.path().join("Corefile"), text).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with(&format!("plugin/forward: {message}")), "{stderr}");
    }
}

/// An upstream that speaks TLS alone.
fn tls_upstream(number: u8, authority: &Path) -> u16 {
    use tokio_rustls::rustls::{ServerConnection, StreamOwned};

    let config = certified(authority, b"dot");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            std::thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut message).unwrap();
                    let answer = answer(&message, [0, 0x80], &[number], 60);
                    stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).unwrap();
                }
            });
        }
    });
    port
}

#[test]
fn tls_upstreams_have_to_show_a_good_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let port = tls_upstream(7, &authority);
    let tls = format!("tls {}", authority.display());
    // Somebody else, whom nobody vouches for.
    let stranger = tls_upstream(66, &folder.path().join("other.pem"));
    let plain = Upstream::start(says(66));
    for (to, options, expected) in [
        (format!("tls://127.0.0.1:{port}%dns.example.net"), tls.clone(), "7"),
        (format!("tls://127.0.0.1%dns.example.net:{port}"), tls.clone(), "7"),
        (format!("tls://127.0.0.1:{port}"), tls.clone(), "7"),
        (format!("tls://127.0.0.1:{port}"), format!("{tls}\n        tls_servername dns.example.net"), "7"),
        (format!("tls://127.0.0.1:{port}"), format!("{tls}\n        tls_servername www.example.net"), "SERVFAIL"),
        (format!("tls://127.0.0.1:{port}%www.example.net"), tls.clone(), "SERVFAIL"),
        (format!("tls://127.0.0.1:{stranger}%dns.example.net"), tls.clone(), "SERVFAIL"),
        (format!("tls://127.0.0.1:{}", plain.port), format!("{tls}\n        read_timeout 500ms"), "SERVFAIL"),
    ] {
        let program = start(&format!("forward . {to} {{\n        {options}\n    }}"), "ring");
        for _ in 0..3 {
            assert_eq!(found(&program.ask(&a("x.example.org."))), expected, "{to} {options}");
        }
        assert_eq!(
            found(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]),
            expected,
            "{to} {options}"
        );
    }
    assert_eq!(plain.count("x.example.org."), 0);
}

/// Another server with a zone `example.org`; ended when dropped.
struct Real(Child, u16);

impl Real {
    /// Starts it from a configuration in which `FOLDER`, `PORT` and `ZONE` are replaced; None if it is not installed.
    fn start(folder: &Path, program: &str, arguments: &[&str], configuration: &str) -> Option<Self> {
        let port = free_port();
        let zone = folder.join("zone");
        let many: String = (1..=90).map(|number| format!("many 60 A 192.0.2.{number}\n")).collect();
        let text = format!(
            "$ORIGIN example.org.\n@ 60 SOA ns host 1 1h 1h 1h 60\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.80\nalias 60 CNAME www\n{many}"
        );
        std::fs::write(&zone, text).unwrap();
        let configuration = configuration
            .replace("FOLDER", &folder.display().to_string())
            .replace("PORT", &port.to_string())
            .replace("ZONE", &zone.display().to_string());
        std::fs::write(folder.join("configuration"), configuration).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(folder.join("configuration")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let real = Self(child, port);
        let begun = Instant::now();
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        while exchange_udp(server, &Question { recursion_desired: true, ..a("www.example.org.") }.message(), 200)
            .is_none_or(|reply| reply[7] != 1)
        {
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs knotd and named on this machine"]
fn knotd_and_named_are_passed_on_as_they_answer() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let named = "options { directory \"FOLDER\"; pid-file none; session-keyfile \"FOLDER/key\"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; minimal-responses yes; };\ncontrols { };\nzone example.org { type primary; file \"ZONE\"; };\n";
    let upstreams = [
        Real::start(folders[0].path(), "knotd", &["-c"], KNOTD).expect("knotd"),
        Real::start(folders[1].path(), "named", &["-f", "-n", "1", "-c"], named).expect("named"),
    ];
    for upstream in &upstreams {
        let program = start(&format!("forward . 127.0.0.1:{}", upstream.1), "ring");
        let server = SocketAddr::from(([127, 0, 0, 1], upstream.1));
        for question in [
            a("www.example.org."),
            a("alias.example.org."),
            a("nx.example.org."),
            Question::new("www.example.org.", Rtype::TXT),
            Question { edns_size: Some(4096), ..a("many.example.org.") },
            Question { dnssec_ok: true, ..Question::new("example.org.", Rtype::SOA) },
            Question::new("example.org.", Rtype::NS),
        ] {
            let sorted = |message: &[u8]| {
                let mut found = describe(message);
                found.sections.values_mut().for_each(|records| records.sort());
                (found.status, found.sections)
            };
            let direct = exchange_tcp(server, &[question.message()]);
            let passed_on = exchange_tcp(program.dns(), &[question.message()]);
            assert_eq!(sorted(&passed_on[0]), sorted(&direct[0]), "{question:?}");
            let over_udp = program.ask(&question);
            if over_udp[2] & 2 == 0 {
                assert_eq!(sorted(&over_udp), sorted(&direct[0]), "{question:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs knotd and named on this machine"]
fn a_real_resolver_is_asked_through_the_cache() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let authority = Real::start(folders[0].path(), "knotd", &["-c"], KNOTD).expect("knotd");
    let resolver = "options { directory \"FOLDER\"; pid-file none; session-keyfile \"FOLDER/key\"; managed-keys-directory \"FOLDER\"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; allow-recursion { any; }; dnssec-validation no; empty-zones-enable no; forward only; forwarders { 127.0.0.1 port AUTHORITY; }; };\ncontrols { };\n"
        .replace("AUTHORITY", &authority.1.to_string());
    let resolver = Real::start(folders[1].path(), "named", &["-f", "-n", "1", "-c"], &resolver).expect("named");
    let program = start(&format!("cache\n    forward . 127.0.0.1:{}", resolver.1), "ring");
    let ask = |question: Question| describe(&program.ask(&Question { recursion_desired: true, ..question }));
    for _ in 0..2 {
        let alias = ask(a("alias.example.org."));
        assert_eq!(alias.status, ["NOERROR", "rd", "ra"]);
        assert_eq!(alias.sections["answer"].len(), 2);
        assert_eq!(ask(a("nx.example.org.")).status[0], "NXDOMAIN");
        assert_eq!(ask(Question { edns_size: Some(4096), ..a("many.example.org.") }).status[..2], ["NOERROR", "tc"]);
        let many = Question { recursion_desired: true, ..a("many.example.org.") };
        assert_eq!(exchange_tcp(program.dns(), &[many.message()])[0][7], 90);
    }
}

/// Configuration of knotd.
const KNOTD: &str = "server:\n  rundir: \"FOLDER\"\n  listen: 127.0.0.1@PORT\ndatabase:\n  storage: \"FOLDER\"\nzone:\n  - domain: example.org\n    file: \"ZONE\"\n    zonefile-sync: -1\n    journal-content: none\n    zonefile-load: whole\n";
