//! The encrypted transports, over sockets: the same verdicts as over UDP and TCP, certificates, sessions, limits.

use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::metrics::Metrics;
use engine::net::{self, Options, StreamLimits};
use engine::plugin::corefile::{Corefile, Scheme};
use engine::plugin::{Ready, Transport, setup};
use engine::zone::Hub;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use store::Rtype;
use tempfile::TempDir;

use crate::forward::{Upstream, answer};
use crate::packets::{self, packets};
use crate::support::{PATIENCE, Question};
use crate::{grpc, http3, https, over_quic};

/// A server on all transports, with a certificate for `dns.example.org`.
pub(crate) struct Served {
    pub(crate) running: net::Running,
    /// The scheme of each address of the threads.
    schemes: Vec<Scheme>,
    pub(crate) folder: TempDir,
    tasks: Vec<engine::plugin::Task>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Served {
    /// Serves the zone of the packet file, with more lines in its block and in that of its `tls`.
    pub(crate) fn start(lines: &str, tls: &str) -> Self {
        Self::speaking(&SPOKEN, &format!("tls cert.pem key.pem {tls}\n{lines}"))
    }

    /// Serves it over these transports, with such lines in its block.
    pub(crate) fn speaking(schemes: &[Scheme], lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        renew(folder.path());
        std::fs::write(folder.path().join("db"), packets::ZONE).unwrap();
        let keys: Vec<_> = schemes.iter().map(|scheme| format!("{}://.:0", scheme.name())).collect();
        let corefile = format!(
            "{} {{\nbind 127.0.0.1\nroot {}\nfile db example.org\n{lines}\n}}\n",
            keys.join(" "),
            folder.path().display()
        );
        let corefile = Corefile::parse_text("Corefile", &corefile).unwrap_or_else(|why| panic!("{why}"));
        let ready = setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
        let Ready { server, listeners, services, .. } = ready;
        let listeners: Vec<_> = listeners.into_iter().flatten().collect();
        // Whoever has to wait for a CPU is not to be taken for one who is slow; tests of that have lines for it.
        let (idle, message, write) = (PATIENCE, PATIENCE, PATIENCE);
        let streams = StreamLimits { idle, message, write, ..StreamLimits::default() };
        let options = Options { workers: Some(1), streams, ..Options::default() };
        let running = net::start(&listeners, server, &options).unwrap();
        let schemes = listeners.iter().map(|listener| listener.scheme).collect();
        Self { running, schemes, folder, tasks: services.tasks, metrics: services.metrics }
    }

    /// Where a scheme is spoken.
    pub(crate) fn at(&self, scheme: Scheme) -> SocketAddr {
        let place = self.schemes.iter().position(|other| *other == scheme).expect("it is spoken");
        self.running.local_addrs()[place]
    }

    /// Sends a message over a transport, on a connection of its own; None is silence.
    pub(crate) fn send(&self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        match transport {
            Transport::Udp => over_udp(self.at(Scheme::Dns), message),
            Transport::Tcp => ask(&mut reach(self.at(Scheme::Dns)).unwrap(), &[message.to_vec()]).pop(),
            Transport::Tls => self.over_tls(&[message.to_vec()]).pop(),
            Transport::Https => https::send(self, message),
            Transport::Grpc => grpc::send(self, message),
            Transport::Quic => over_quic::ask(self.at(Scheme::Quic), &client(self.folder.path(), None), message),
            Transport::Https3 => http3::send(self, message),
        }
    }

    /// Sends messages at once over one connection with TLS; the answers until it ends or all are there.
    fn over_tls(&self, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut stream = connect(self.at(Scheme::Tls), &client(self.folder.path(), None)).unwrap();
        ask(&mut stream, messages)
    }
}

/// Sends a message, and a question behind it: one worker answers both, so nothing comes any more for the message when the
/// question is answered.
fn over_udp(server: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
    let mut behind = www().message();
    behind[0] = message.first().map_or(0, |first| !first);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(server).unwrap();
    socket.send(message).ok()?;
    socket.send(&behind).unwrap();
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).unwrap();
    (buffer[..2] != behind[..2]).then(|| buffer[..length].to_vec())
}

/// What the server of these tests speaks.
const SPOKEN: [Scheme; 6] = Scheme::ALL;

/// The transports that messages come over.
const TRANSPORTS: [Transport; 7] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Https,
    Transport::Https3,
    Transport::Quic,
    Transport::Grpc,
];

/// Writes a new certificate for dns.example.org and its key.
pub(crate) fn renew(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["dns.example.org".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o640)).unwrap();
}

/// What a client does that trusts the certificate which is in the folder, and may have one of its own.
pub(crate) fn client(
    folder: &Path,
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// A connection that has been greeted.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Connects to an address.
fn reach(at: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Connects, and goes through the handshake.
pub(crate) fn connect(at: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Tls> {
    let name = ServerName::try_from("dns.example.org").unwrap();
    let stream = reach(at)?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

/// Sends messages behind their lengths; the answers until the connection ends or all are there.
pub(crate) fn ask(stream: &mut (impl Read + Write), messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let framed = |message: &Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    // The server may have closed already.
    let _ = stream.write_all(&messages.iter().flat_map(framed).collect::<Vec<_>>());
    let mut answers = Vec::new();
    for _ in messages {
        let mut length = [0; 2];
        match stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::WouldBlock => panic!("neither an answer nor an end"),
            Err(_) => break,
        }
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answers.push(answer);
    }
    answers
}

/// The data of an EDNS option in an answer.
fn option(answer: &[u8], code: u16) -> Option<Vec<u8>> {
    let opt = domain::base::Message::from_octets(answer).unwrap().opt()?;
    let options = opt.opt().iter::<domain::base::opt::UnknownOptData<_>>();
    let mut options = options.map(Result::unwrap).filter(|option| option.code().to_int() == code);
    options.next().map(|option| option.data().to_vec())
}

/// A question for the address of www.example.org.
pub(crate) fn www() -> Question {
    Question::new("www.example.org.", Rtype::A)
}

#[test]
fn every_message_gets_the_same_verdict_over_every_transport() {
    let served = Served::start("", "");
    for packet in packets() {
        for transport in TRANSPORTS {
            packet.check(served.send(&packet.message, transport), transport);
        }
    }
}

#[test]
fn many_messages_on_one_connection_are_answered_in_order() {
    let served = Served::start("", "");
    let messages: Vec<_> = (0..500_u16)
        .map(|id| {
            let mut message = www().message();
            message[..2].copy_from_slice(&id.to_be_bytes());
            message
        })
        .collect();
    let answers = served.over_tls(&messages);
    let ids: Vec<_> = answers.iter().map(|answer| u16::from_be_bytes([answer[0], answer[1]])).collect();
    assert_eq!(ids, (0..500).collect::<Vec<_>>());
    assert_eq!(served.running.totals().secure.answered, 500);
}

/// RFC 7830 §4, RFC 8467 §4.1.
#[test]
fn who_pads_gets_padded_answers_and_nobody_over_udp_or_tcp() {
    let served = Served::start("", "");
    for (options, transport, expected) in [
        (vec![(12, vec![0; 40])], Transport::Tls, Some(468)),
        (vec![(12, vec![])], Transport::Tls, Some(468)),
        (vec![(12, vec![0; 40])], Transport::Https, Some(468)),
        (vec![], Transport::Tls, None),
        (vec![(12, vec![])], Transport::Quic, Some(468)),
        (vec![], Transport::Quic, None),
        (vec![(12, vec![])], Transport::Grpc, Some(468)),
        (vec![], Transport::Grpc, None),
        (vec![(12, vec![])], Transport::Https3, Some(468)),
        (vec![], Transport::Https3, None),
        (vec![(12, vec![0; 40])], Transport::Tcp, None),
        (vec![(12, vec![0; 40])], Transport::Udp, None),
    ] {
        let question = Question { edns_size: Some(1232), options: options.clone(), ..www() };
        let answer = served.send(&question.message(), transport).unwrap();
        let padded = answer.len() == 468;
        assert_eq!(padded.then_some(468), expected, "{options:?} over {}: {}", transport.name(), answer.len());
        assert_eq!(option(&answer, 12).is_some(), expected.is_some(), "{options:?} over {}", transport.name());
    }
}

#[test]
fn sessions_are_resumed() {
    let served = Served::start("", "");
    let config = client(served.folder.path(), None);
    let kind = |served: &Served| {
        let mut stream = connect(served.at(Scheme::Tls), &config).unwrap();
        // The ticket comes before the answer.
        assert_eq!(ask(&mut stream, &[www().message()]).len(), 1);
        stream.conn.handshake_kind().unwrap()
    };
    assert_eq!(kind(&served), HandshakeKind::Full);
    assert_eq!(kind(&served), HandshakeKind::Resumed);
}

#[test]
fn a_renewed_certificate_is_used_for_the_next_connection_and_ends_none() {
    let mut served = Served::start("", "");
    let before = client(served.folder.path(), None);
    let mut stays = connect(served.at(Scheme::Tls), &before).unwrap();
    renew(served.folder.path());
    // Once seen, and once unchanged since.
    for _ in 0..2 {
        served.tasks.iter_mut().for_each(|task| (task.run)());
    }
    assert_eq!(ask(&mut stays, &[www().message()]).len(), 1);
    let mut comes = connect(served.at(Scheme::Tls), &client(served.folder.path(), None)).unwrap();
    assert_eq!(ask(&mut comes, &[www().message()]).len(), 1);
    let mut fresh = ClientConfig::clone(&before);
    fresh.resumption = Resumption::disabled();
    assert!(connect(served.at(Scheme::Tls), &Arc::new(fresh)).is_err(), "the former certificate is shown");
    assert_eq!(ask(&mut stays, &[www().message()]).len(), 1);
}

#[test]
fn clients_have_to_show_what_client_auth_asks_for() {
    let make = || rcgen::generate_simple_self_signed(["client.example.net".to_owned()]).unwrap();
    let (known, stranger) = (make(), make());
    let own = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, known.cert.pem()).unwrap();
    // Who is served: a client without a certificate, one with a good one, one with another.
    for (client_auth, expected) in [
        ("nocert", [true, true, true]),
        ("request", [true, true, true]),
        ("require", [false, true, true]),
        ("verify_if_given", [true, true, false]),
        ("require_and_verify", [false, true, false]),
    ] {
        let tls = format!("{} {{\nclient_auth {client_auth}\n}}", authority.display());
        let served = Served::start("", &tls);
        let found = [None, Some(own(&known)), Some(own(&stranger))].map(|own| {
            let stream = connect(served.at(Scheme::Tls), &client(served.folder.path(), own));
            // With TLS 1.3 the client is through before the server has looked at its certificate.
            stream.is_ok_and(|mut stream| ask(&mut stream, &[www().message()]).len() == 1)
        });
        assert_eq!(found, expected, "{client_auth}");
    }
}

/// Who was let in by the former authorities has to show a certificate again, and is not resumed.
#[test]
fn a_changed_file_of_authorities_counts_for_the_next_connection() {
    let make = || rcgen::generate_simple_self_signed(["client.example.net".to_owned()]).unwrap();
    let clients = [make(), make()];
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, clients[0].cert.pem()).unwrap();
    let tls = format!("{} {{\nclient_auth require_and_verify\n}}", authority.display());
    let mut served = Served::start("", &tls);
    let configs = clients.each_ref().map(|made| {
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        client(served.folder.path(), Some((made.cert.der().clone(), key)))
    });
    let found = |served: &Served| {
        configs.each_ref().map(|config| {
            let stream = connect(served.at(Scheme::Tls), config);
            stream.is_ok_and(|mut stream| ask(&mut stream, &[www().message()]).len() == 1)
        })
    };
    assert_eq!(found(&served), [true, false]);
    for (authorities, expected) in [
        (clients[1].cert.pem(), [false, true]),
        // What is no good changes nothing.
        ("nonsense".into(), [false, true]),
        (clients[0].cert.pem() + &clients[1].cert.pem(), [true, true]),
    ] {
        std::fs::write(&authority, authorities).unwrap();
        served.tasks.iter_mut().for_each(|task| (task.run)());
        assert_eq!(found(&served), expected);
    }
}

/// RFC 7828 §3.3.2, in tenths of a second.
#[test]
fn clients_are_told_how_long_they_may_be_idle() {
    let served = Served::start("timeouts {\nidle 7s\n}", "");
    let question = Question { options: vec![(11, vec![])], ..www() };
    // Over QUIC the option is an error of the protocol (RFC 9250 §5.5.2).
    for transport in TRANSPORTS.into_iter().filter(|transport| *transport != Transport::Quic) {
        let answer = served.send(&question.message(), transport).unwrap();
        // HTTP has its own means.
        let expected = matches!(transport, Transport::Tcp | Transport::Tls).then_some(vec![0, 70]);
        assert_eq!(option(&answer, 11), expected, "over {}", transport.name());
    }
}

/// RFC 9250 §4.3.
#[test]
fn streams_over_quic_are_counted_by_the_code_they_end_with() {
    let served = Served::start("prometheus 127.0.0.1:0", "");
    assert!(served.send(&www().message(), Transport::Quic).is_some());
    assert!(served.send(&www().message()[..11], Transport::Quic).is_none());
    let server = format!("quic://{}", "127.0.0.1:0");
    for status in [0, 5] {
        let sample = format!("coredns_dns_quic_responses_total{{server=\"{server}\",status=\"{status}\"}} 1\n");
        // A stream ends when the client has confirmed its answer.
        let begun = Instant::now();
        while !served.metrics.text().contains(&sample) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{sample}: {}", served.metrics.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// RFC 7766 §7.
#[test]
fn an_answer_that_comes_later_does_not_hold_up_others() {
    let open = Arc::new(AtomicBool::new(false));
    let upstream = Upstream::start({
        let open = Arc::clone(&open);
        move |message, _| {
            while !open.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            vec![answer(message, [0, 0x80], &[7], 60)]
        }
    });
    let forward = format!("forward example.net 127.0.0.1:{} {{\nread_timeout 20s\n}}", upstream.port);
    let served = Served::start(&forward, "");
    let mut stream = connect(served.at(Scheme::Tls), &client(served.folder.path(), None)).unwrap();
    let later = Question::new("later.example.net.", Rtype::A).message();
    let framed = [&(later.len() as u16).to_be_bytes()[..], &later].concat();
    stream.write_all(&framed).unwrap();
    let answers = ask(&mut stream, &[www().message()]);
    assert_eq!(answers[0].last(), Some(&1));
    // Only now does the upstream answer.
    open.store(true, Ordering::Relaxed);
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer.last(), Some(&7));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    renew(folder.path());
    std::fs::rename(path("key.pem"), path("other.pem")).unwrap();
    renew(folder.path());
    std::fs::write(path("empty"), "").unwrap();
    for (tls, expected) in [
        ("tls", "Wrong argument count"),
        ("tls none.pem key.pem", "none.pem: No such file"),
        ("tls empty key.pem", "empty: there is no certificate in it"),
        ("tls cert.pem empty", "empty: there is no private key in it"),
        ("tls cert.pem other.pem", "other.pem: the key is not that of "),
        ("tls cert.pem key.pem none.pem", "none.pem: "),
        (
            "tls cert.pem key.pem empty {\nclient_auth require_and_verify\n}",
            "empty: there are no certificates of authorities",
        ),
        ("tls cert.pem key.pem {\nclient_auth perhaps\n}", "unknown authentication type 'perhaps'"),
        ("tls cert.pem key.pem\ntls cert.pem key.pem", "only be used once"),
    ] {
        let corefile = format!("tls://. {{\nroot {}\n{tls}\nwhoami\n}}\n", folder.path().display());
        let corefile = Corefile::parse_text("Corefile", &corefile).unwrap_or_else(|why| panic!("{why}"));
        let faults = setup(&corefile, &Hub::new(), &|_| None).err().unwrap_or_default();
        assert!(faults.first().is_some_and(|fault| fault.to_string().contains(expected)), "{tls}: {faults:?}");
    }
}

#[test]
fn what_cannot_do_without_a_certificate_is_not_served_without_one() {
    for scheme in Scheme::ALL {
        let corefile = format!("{}://. {{\nwhoami\n}}\n", scheme.name());
        let corefile = Corefile::parse_text("Corefile", &corefile).unwrap_or_else(|why| panic!("{why}"));
        let faults = setup(&corefile, &Hub::new(), &|_| None).err().unwrap_or_default();
        let expected = match scheme {
            Scheme::Tls => "cannot serve tls://.:853 - it needs a certificate (plugin tls)",
            Scheme::Quic => "cannot serve quic://.:853 - it needs a certificate (plugin tls)",
            Scheme::Https3 => "cannot serve https3://.:443 - it needs a certificate (plugin tls)",
            Scheme::Dns | Scheme::Https | Scheme::Grpc => "",
        };
        assert_eq!(faults.first().map(ToString::to_string).unwrap_or_default(), expected);
    }
}
