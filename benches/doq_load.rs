//! Asks over QUIC (RFC 9250), or over HTTP/3 (RFC 8484, RFC 9114) with `-m doh3`, as dnsperf asks over the other transports:
//! with its options, as far as `benches/transports` uses them, and what it prints at the end.
//!
//! ```sh
//! cargo run --release --example doq_load -- -s 127.0.0.1 -p 853 -d queries -l 3 -c 8 -q 200
//! ```
//!
//! Many questions are under way, each on a stream of its own, over several connections from one thread. Whatever
//! certificate the server shows is taken. A question that has no answer is lost.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::task::{LocalSet, spawn_local};

/// What dnsperf calls `-s` and `-p`, `-m`, `-d`, `-l`, `-c`, `-q`, and `-O num-queries-per-conn`.
struct Order {
    at: SocketAddr,
    mode: &'static Mode,
    questions: Vec<Vec<u8>>,
    length: Duration,
    connections: usize,
    under_way: usize,
    per_connection: u64,
}

/// How it is asked.
struct Mode {
    /// What it is called after `-m`.
    name: &'static str,
    /// What TLS calls it.
    alpn: &'static [u8],
    /// What a client says before it asks, on a stream of its own.
    says: &'static [u8],
    /// What a message is in on its stream.
    framed: fn(&[u8]) -> Vec<u8>,
    /// Whether this has an answer in it.
    is_answer: fn(&[u8]) -> bool,
}

/// The first counts where none is named.
static MODES: [Mode; 2] = [
    Mode {
        name: "doq",
        alpn: b"doq",
        says: b"",
        framed: |message| [&(message.len() as u16).to_be_bytes()[..], message].concat(),
        is_answer: |answer| answer.len() > 2 + 12,
    },
    Mode {
        name: "doh3",
        alpn: b"h3",
        // The stream that steers, and no settings.
        says: &[0, 4, 0],
        framed: |message| {
            // POST, https, the authority, the path and the type of a message, by their numbers in QPACK's table.
            let fields = [&[0, 0, 0xd4, 0xd7, 0x50, 1][..], b"a", &[0x51, 10], b"/dns-query", &[0xec]].concat();
            let data = [0, 0x40 | (message.len() >> 8) as u8, message.len() as u8];
            [&[1, fields.len() as u8][..], &fields, &data, message].concat()
        },
        // The number of status 200, behind the head of its frame and what stands before all fields.
        is_answer: |answer| answer.get(4) == Some(&(0xc0 | 25)),
    },
];

/// What has come of it so far.
#[derive(Default)]
struct Done {
    asked: Cell<usize>,
    answered: Cell<u64>,
    lost: Cell<u64>,
}

/// Asks for as long as it is told.
fn main() -> ExitCode {
    let order = match order() {
        Ok(order) => Rc::new(order),
        Err(why) => {
            eprintln!("doq_load: {why}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let done = Rc::new(Done::default());
    let begun = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let clients: Vec<_> = (0..order.connections)
            .map(|_| spawn_local(client(endpoint.clone(), begun, Rc::clone(&order), Rc::clone(&done))))
            .collect();
        for client in clients {
            client.await.expect("it does not panic");
        }
    });
    println!("Queries sent: {}", done.asked.get());
    println!("Queries completed: {}", done.answered.get());
    println!("Queries lost: {}", done.lost.get());
    println!("Run time (s): {:.6}", begun.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

/// One connection after the other, until the time is over.
async fn client(endpoint: Endpoint, begun: Instant, order: Rc<Order>, done: Rc<Done>) {
    let config = speaking(order.mode.alpn);
    while begun.elapsed() < order.length {
        let connecting = endpoint.connect_with(config.clone(), order.at, "dns.example.org").expect("it may be begun");
        let Ok(connection) = connecting.await else {
            done.lost.set(done.lost.get() + 1);
            continue;
        };
        // It has to stay open as long as the connection.
        let said = match order.mode.says {
            b"" => None,
            says => say(&connection, says).await,
        };
        let left = Rc::new(Cell::new(order.per_connection));
        let asking: Vec<_> = (0..order.under_way.div_ceil(order.connections))
            .map(|_| spawn_local(ask(connection.clone(), begun, Rc::clone(&left), Rc::clone(&order), Rc::clone(&done))))
            .collect();
        for one in asking {
            one.await.expect("it does not panic");
        }
        connection.close(0_u8.into(), b"");
        drop(said);
    }
}

/// Says something on a stream of its own.
async fn say(connection: &Connection, octets: &[u8]) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    stream.write_all(octets).await.ok()?;
    Some(stream)
}

/// One question after the other over a connection.
async fn ask(connection: Connection, begun: Instant, left: Rc<Cell<u64>>, order: Rc<Order>, done: Rc<Done>) {
    while left.get() > 0 && begun.elapsed() < order.length {
        left.set(left.get() - 1);
        let question = &order.questions[done.asked.get() % order.questions.len()];
        done.asked.set(done.asked.get() + 1);
        match exchange(&connection, question).await {
            Some(answer) if (order.mode.is_answer)(&answer) => done.answered.set(done.answered.get() + 1),
            _ => {
                done.lost.set(done.lost.get() + 1);
                return;
            }
        }
    }
}

/// What comes back on the stream of a question.
async fn exchange(connection: &Connection, question: &[u8]) -> Option<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    send.write_all(question).await.ok()?;
    send.finish().ok()?;
    receive.read_to_end(1 << 17).await.ok()
}

/// Reads the command line.
fn order() -> Result<Order, String> {
    let (mut server, mut port, mut file) = ("127.0.0.1".to_owned(), 853, None);
    let (mut length, mut connections, mut under_way, mut per_connection) = (3.0, 1, 100, u64::MAX);
    let mut mode = &MODES[0];
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option}: there is no value"))?;
        let bad = |_| format!("{option} {value}: this is no number");
        match &option[..] {
            "-s" => server = value,
            "-p" => port = value.parse().map_err(bad)?,
            "-m" => {
                let known = MODES.iter().find(|mode| mode.name == value);
                mode = known.ok_or_else(|| format!("-m {value}: this is not spoken"))?;
            }
            "-d" => file = Some(value),
            "-l" => length = value.parse().map_err(|_| format!("-l {value}: this is no number"))?,
            "-c" => connections = value.parse().map_err(bad)?,
            "-q" => under_way = value.parse().map_err(bad)?,
            "-T" => {}
            "-O" => match value.strip_prefix("num-queries-per-conn=") {
                Some(number) => per_connection = number.parse().map_err(bad)?,
                None => return Err(format!("-O {value}: only num-queries-per-conn is known")),
            },
            _ => return Err(format!("{option} is not known")),
        }
    }
    let file = file.ok_or("-d FILE is needed: lines of a name and a type")?;
    let text = std::fs::read_to_string(&file).map_err(|why| format!("{file}: {why}"))?;
    let framed = |line| question(line).map(|message| (mode.framed)(&message));
    let questions: Vec<_> = text.lines().map(framed).collect::<Option<_>>().ok_or("a name or type is not known")?;
    if questions.is_empty() || connections == 0 {
        return Err("there is nothing to ask".into());
    }
    let at = SocketAddr::new(server.parse().map_err(|_| format!("-s {server}: this is no address"))?, port);
    Ok(Order { at, mode, questions, length: Duration::from_secs_f64(length), connections, under_way, per_connection })
}

/// The question of a line: a header with id 0, and a name and a type.
fn question(line: &str) -> Option<Vec<u8>> {
    let (name, rtype) = line.trim().split_once(' ')?;
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).ok().filter(|length| *length < 64)?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&rtype.parse::<domain::base::Rtype>().ok()?.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    // A name is no longer.
    (message.len() <= 12 + 255 + 4).then_some(message)
}

/// How a client speaks that takes any certificate.
fn speaking(alpn: &[u8]) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let anything = Arc::new(Anything(Arc::clone(&provider)));
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3 is spoken")
        .dangerous()
        .with_custom_certificate_verifier(anything)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("what QUIC needs is there")))
}

/// Takes any certificate; its key has still to be the server's, which costs what it costs other clients.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC speaks TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
