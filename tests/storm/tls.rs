//! The same over TLS: clients that leave at any step of the handshake, that take their time over it, that never read. For
//! the great numbers:
//!
//! ```text
//! ZONDA_STORM_HANDSHAKES=10000 ZONDA_STORM_SECURE=10000 cargo test --profile optimized --test main storm::tls -- --nocapture
//! ```

use std::path::Path;
use std::sync::Arc;

use rustix::net::sockopt::set_socket_linger;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};

use super::*;
use crate::transports;

/// Clients go at every step of the handshake, and say before, within and behind it what has no place there: nothing of
/// them stays, others are served, and nothing that is asked over UDP meanwhile is lost.
#[test]
fn clients_that_leave_at_any_step_leave_nothing_behind() {
    // Of each kind.
    let count = number("ZONDA_STORM_HANDSHAKES", 40);
    let (mut program, at) = secure_program("ring", "");
    let config = transports::client(program.folder.path(), None);
    let (files, mut quarter, mut clients) = (open_files(program.id()), None, 0);
    let begun = Instant::now();
    for part in 0..PARTS {
        let seen = beside_udp(&program, || {
            for (name, step) in STEPS {
                for index in part * count / PARTS..(part + 1) * count / PARTS {
                    let mut client = Client::connect(host((clients / 10_000 % 4) as u8, clients), at, &config).unwrap();
                    clients += 1;
                    // The server may end it first.
                    let _ = step(&mut client);
                    if index % 2 == 0 {
                        // A reset instead of an end.
                        set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
                    }
                }
                assert!(is_served(at, &config), "after clients who leave: {name}");
            }
        });
        program.wait("all files are closed", |program| open_files(program.id()) <= files);
        let after = memory_kb(program.id());
        println!("{clients} clients of {} kinds after {:.1?}: {after} KiB; {seen}", STEPS.len(), begun.elapsed());
        // What is reserved once has been by the end of the first quarter.
        let before = *quarter.get_or_insert(after);
        assert!(seen.high_kb < before + SECURE_KB && after < before + LEAK_KB, "{before} KiB became {after} KiB");
    }
    assert!(!program.text().contains("panic"), "{}", program.text());
    assert_eq!(program.end("TERM"), Some(0));
}

/// Clients that are slow, fill what is kept for them, or never read, many at a time: they are let go in time, cost bounded
/// memory, and nothing that is asked over UDP meanwhile is lost.
#[test]
fn crowds_over_tls_are_gone_in_time_and_cost_bounded_memory() {
    let count = number("ZONDA_STORM_SECURE", 100);
    let timeouts =
        if count > 1000 { "" } else { "timeouts {\n        read 1s\n        write 1s\n        idle 2s\n    }" };
    let (mut program, at) = secure_program("mmsg", timeouts);
    let config = transports::client(program.folder.path(), None);
    assert!(is_served(at, &config));
    let (files, before) = (open_files(program.id()), memory_kb(program.id()));
    for (net, (what, ..)) in (0..).zip(CROWDS) {
        let seen = beside_udp(&program, || {
            let folder = program.folder.path().display();
            let mut crowd = Crowd::start("storm::tls::crowd", &format!("{at} {what} {count} {} {folder}", net % 4));
            crowd.until(THERE);
            crowd.until(GONE);
        });
        program.wait("all files are closed", |program| open_files(program.id()) <= files);
        let after = memory_kb(program.id());
        println!("{count} {what}: {before} KiB before, {after} KiB after; {seen}");
        assert!(seen.high_kb < before + SECURE_KB, "{what}: {before} KiB became {} KiB", seen.high_kb);
        assert!(is_served(at, &config), "after {what}");
    }
    assert!(!program.text().contains("panic"), "{}", program.text());
    assert_eq!(program.end("TERM"), Some(0));
}

/// Keys may be changed now and then, and not without end.
#[test]
fn who_changes_keys_is_served_and_who_does_nothing_else_is_not() {
    let (program, at) = secure_program("ring", "");
    let config = transports::client(program.folder.path(), None);
    let mut client = Client::connect([127, 0, 0, 1], at, &config).unwrap();
    client.greet().unwrap();
    for _ in 0..100 {
        client.session.refresh_traffic_keys().unwrap();
        assert!(client.is_served());
    }
    for _ in 0..100 {
        client.session.refresh_traffic_keys().unwrap();
    }
    assert!(!client.is_served(), "{}", program.text());
}

/// Not a test: the process of a [`Crowd`] over TLS, which goes on until it is killed.
#[test]
#[ignore = "part of another test"]
fn crowd() {
    let Ok(order) = std::env::var("ZONDA_CROWD") else { return };
    let words: Vec<_> = order.split(' ').collect();
    let [at, what, count, net, folder] = words[..] else { panic!("{order}") };
    let (at, count, net): (_, usize, _) = (at.parse().unwrap(), count.parse().unwrap(), net.parse().unwrap());
    let config = transports::client(Path::new(folder), None);
    let (_, begin, go_on) = CROWDS.iter().find(|(name, ..)| *name == what).unwrap();
    let crowd = (0..count).map(|index| {
        let mut client = Client::connect(host(net, index), at, &config).unwrap();
        // Too many of one source, or in all, are let go at once.
        let is_gone = begin(&mut client).is_err();
        client.stream.set_nonblocking(true).unwrap();
        (client, is_gone)
    });
    stay(crowd.collect(), |(client, is_gone)| {
        *is_gone || go_on(client).is_err_and(|why| why.kind() != ErrorKind::WouldBlock)
    });
}

/// A client, whose handshake goes as far as it likes.
struct Client {
    stream: TcpStream,
    session: ClientConnection,
    /// Octets of the ClientHello that have been sent one by one.
    sent: usize,
    /// The ClientHello.
    hello: Vec<u8>,
}

/// What a client does.
type Step = fn(&mut Client) -> io::Result<()>;

impl Client {
    /// Connects, and says nothing.
    fn connect(host: [u8; 4], at: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let stream = connect_from(host, at);
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("dns.example.org").unwrap();
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut hello = Vec::new();
        session.write_tls(&mut hello)?;
        Ok(Self { stream, session, sent: 0, hello })
    }

    /// Sends the ClientHello, and takes the server's answer to it as far as the client has to say something.
    fn hear(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.hello)?;
        let has_heard = |session: &ClientConnection| match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => !session.is_handshaking(),
            _ => session.wants_write(),
        };
        while !has_heard(&self.session) {
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Goes through the handshake.
    fn greet(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.hello)?;
        self.session.complete_io(&mut self.stream).map(|_| ())
    }

    /// What the session has to say.
    fn said(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut said).unwrap();
        }
        said
    }

    /// Goes through the handshake, then sends a part of what makes one record, but for some octets at its end.
    fn send_after_greeting(&mut self, octets: &[u8], without: usize) -> io::Result<()> {
        self.greet()?;
        self.session.writer().write_all(octets)?;
        let said = self.said();
        self.stream.write_all(&said[..said.len() - without])
    }

    /// Takes what comes; an error once the connection has ended.
    fn take(&mut self) -> io::Result<()> {
        match self.stream.read(&mut [0; 4096])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Sends what the session has to say, and takes nothing.
    fn send_only(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Whether a question has its answer.
    fn is_served(&mut self) -> bool {
        let mut stream = rustls::Stream::new(&mut self.session, &mut self.stream);
        let mut answer = [0; 2];
        let read = stream.write_all(&framed(&question())).and_then(|()| stream.read_exact(&mut answer));
        let mut answer = vec![0; usize::from(u16::from_be_bytes(answer))];
        read.and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer.last() == Some(&1)
    }
}

/// Whether a client who means well is served.
fn is_served(at: SocketAddr, config: &Arc<ClientConfig>) -> bool {
    let mut client = Client::connect([127, 0, 0, 1], at, config).unwrap();
    client.greet().is_ok() && client.is_served()
}

/// A message behind its length.
fn framed(question: &Question) -> Vec<u8> {
    let message = question.message();
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

/// Questions that have long answers, behind their lengths, as many as a record holds.
fn greedy() -> Vec<u8> {
    let one = framed(&Question { edns_size: Some(4096), ..Question::new("big.example.org.", Rtype::TXT) });
    one.repeat(16_384 / one.len())
}

/// A handshake message, in records (RFC 8446 §4, §5.1), without its last octet.
fn stuffed(octets: usize) -> Vec<u8> {
    let length = (octets as u32).to_be_bytes();
    let message = [&[1], &length[1..], &vec![0; octets - 1][..]].concat();
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(16_384).flat_map(record).collect()
}

/// The program over one way in, which speaks TLS too, and where.
fn secure_program(way: &str, timeouts: &str) -> (Program, SocketAddr) {
    let (folder, port, secure) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    transports::renew(folder.path());
    let tls = format!("{timeouts}\n    tls cert.pem key.pem");
    let program = program_in(folder, way, port, &format!(".:{port} tls://.:{secure}"), &tls);
    (program, SocketAddr::from(([127, 0, 0, 1], secure)))
}

/// What clients do before they go.
const STEPS: [(&str, Step); 16] = [
    ("connected", |_| Ok(())),
    ("within the ClientHello", |client| client.stream.write_all(&client.hello[..client.hello.len() / 2])),
    ("after the ClientHello", |client| client.stream.write_all(&client.hello)),
    ("before Finished", Client::hear),
    ("within Finished", |client| {
        client.hear()?;
        let said = client.said();
        client.stream.write_all(&said[..said.len() - 3])
    }),
    ("with a bad Finished", |client| {
        client.hear()?;
        let mut said = client.said();
        *said.last_mut().unwrap() ^= 1;
        client.stream.write_all(&said)
    }),
    ("after the handshake", Client::greet),
    ("within a message", |client| client.send_after_greeting(&framed(&question())[..20], 0)),
    ("within a record", |client| client.send_after_greeting(&framed(&question()), 1)),
    ("before the answer", |client| client.send_after_greeting(&framed(&question()), 0)),
    ("before long answers", |client| client.send_after_greeting(&greedy(), 0)),
    ("garbage instead of a handshake", |client| client.stream.write_all(&[0xff; 512])),
    ("a plain message", |client| client.stream.write_all(&framed(&question()))),
    ("garbage after the handshake", |client| {
        client.greet()?;
        client.stream.write_all(&[0xff; 512])
    }),
    ("a ClientHello without end", |client| client.stream.write_all(&stuffed(60_000))),
    ("a second ClientHello", |client| {
        client.greet()?;
        client.stream.write_all(&client.hello)
    }),
];

/// What crowds of clients do to begin with, and then again and again; an error is that they have been let go.
const CROWDS: [(&str, Step, Step); 7] = [
    ("silent", |_| Ok(()), Client::take),
    (
        "slow",
        |_| Ok(()),
        |client| {
            client.sent += client.stream.write(&client.hello[client.sent..=client.sent])?;
            client.take()
        },
    ),
    ("stuffed", |client| client.stream.write_all(&stuffed(24_000)), Client::take),
    ("quiet", Client::greet, Client::take),
    ("stuck", |client| client.send_after_greeting(&[0; 16_384], 1), Client::take),
    ("greedy", Client::greet, |client| {
        client.send_only()?;
        client.session.writer().write_all(&greedy())?;
        client.send_only()
    }),
    ("rekeying", Client::greet, |client| {
        client.send_only()?;
        (0..20).try_for_each(|_| client.session.refresh_traffic_keys().map_err(io::Error::other))?;
        client.send_only()
    }),
];

/// Parts of a run, after each of which is looked what is left of it.
const PARTS: usize = 4;

/// Memory that all connections over TLS together may take.
const SECURE_KB: u64 = 128 << 10;
