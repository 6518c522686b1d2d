//! QUIC, with a client that says what it likes.

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadError, ReadToEndError};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, RootCertStore};

use super::*;
use crate::plugin::corefile::Scheme;

/// As [`Echo`], but encrypted, and once a lock can be had.
struct Encrypted {
    tls: Arc<ServerConfig>,
    gate: Arc<Mutex<()>>,
}

impl Responder for Encrypted {
    type Batch<'r> = &'r Echo;

    fn batch(&mut self) -> &Echo {
        drop(self.gate.lock());
        &Echo
    }

    fn tls(&mut self, _: usize) -> Option<Arc<ServerConfig>> {
        Some(Arc::clone(&self.tls))
    }
}

impl Responders for Encrypted {
    type R = Self;

    fn responder(&self) -> Self {
        Self { tls: Arc::clone(&self.tls), gate: Arc::clone(&self.gate) }
    }
}

/// A server for DNS over QUIC, and what its clients trust.
struct Served {
    running: Running,
    at: SocketAddr,
    certificate: CertificateDer<'static>,
    gate: Arc<Mutex<()>>,
}

/// Starts one on two listeners, the first of which is asked.
fn served(limits: StreamLimits) -> Served {
    let made = rcgen::generate_simple_self_signed(["ns1.example.org".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"doq".to_vec()];
    let gate = Arc::new(Mutex::new(()));
    let listeners = [Listener { scheme: Scheme::Quic, addr: ([127, 0, 0, 1], 0).into() }; 2];
    let options = Options { workers: Some(1), streams: limits, ..Options::default() };
    let running = start(&listeners, Encrypted { tls: Arc::new(tls), gate: Arc::clone(&gate) }, &options).unwrap();
    Served { at: running.local_addrs()[0], running, certificate, gate }
}

impl Served {
    /// What a client speaks and trusts.
    fn client(&self, alpn: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
    }

    /// Connects to a listener from a socket of its own.
    async fn connect_to(&self, at: SocketAddr) -> Result<Connection, ConnectionError> {
        let client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        client.connect_with(self.client(b"doq"), at, "ns1.example.org").unwrap().await
    }

    /// The same to the first.
    async fn connect(&self) -> Connection {
        self.connect_to(self.at).await.unwrap()
    }
}

/// Sends octets on a stream of their own, and gives what comes back.
async fn ask(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|why| ReadToEndError::Read(why.into()))?;
    // The server may have had enough before all is sent.
    let _ = send.write_all(octets).await;
    let _ = send.finish();
    receive.read_to_end(usize::MAX).await
}

/// A message with id 0 behind its length, with another octet 3 and anything behind it.
fn question(octet_3: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = message(0);
    message[3] = octet_3;
    framed(&[&message, rest].concat())
}

/// Runs a test's client.
fn block_on<T>(client: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client)
}

/// The application's code that a connection was closed with.
fn code(why: &ConnectionError) -> Option<u64> {
    match why {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

/// The application's code that a stream was reset with.
fn reset(read: &Result<Vec<u8>, ReadToEndError>) -> Option<u64> {
    match read {
        Err(ReadToEndError::Read(ReadError::Reset(code))) => Some(code.into_inner()),
        _ => None,
    }
}

/// Silence and a panic cost their own streams only, and the longest message and answer are none too long.
#[test]
fn each_stream_gets_its_answer() {
    let served = served(StreamLimits::default());
    block_on(async {
        let connection = served.connect().await;
        for length in [0, 1, 1000, 65_000] {
            let question = question(0, &vec![7; length]);
            let expected = answer_to(&question[2..], Transport::Quic, 0, served.at);
            assert!(ask(&connection, &question).await.unwrap() == framed(&expected), "{length}");
        }
        for octet in [SILENCE, PANIC, TOO_LONG] {
            assert_eq!(reset(&ask(&connection, &question(octet, &[])).await), Some(5), "{octet:x}");
        }
        let longest = ask(&connection, &question(LONGEST, &[9; 65_535 - 12])).await.unwrap();
        assert_eq!((longest.len(), longest[2 + 65_534]), (2 + 65_535, 9));
    });
    let totals = served.running.totals().secure;
    assert_eq!((totals.accepted, totals.received, totals.answered, totals.panics), (1, 8, 5, 1));
}

/// RFC 9250 §4.2.1, §4.3.3 and §5.5.2.
#[test]
fn what_a_client_must_not_do_closes_the_connection_as_protocol_error() {
    let served = served(StreamLimits::default());
    let keepalive = |data: &[u8]| {
        let opt = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 4 + data.len() as u8, 0, 11, 0, data.len() as u8];
        let mut framed = question(0, &[&[0, 0, 1, 0, 1], &opt[..], data].concat());
        framed[2 + 11] = 1;
        framed
    };
    let mut with_id = question(0, &[]);
    with_id[3] = 1;
    let wrong = [
        ("no length", vec![]),
        ("half a length", vec![0]),
        ("an id", with_id),
        ("cut off", question(0, &[])[..10].to_vec()),
        ("two messages", [question(0, &[]), question(0, &[])].concat()),
        ("more than a message can be", vec![0xff; 100_000]),
        ("keepalive", keepalive(&[])),
        ("keepalive with data", keepalive(&[0, 100])),
    ];
    block_on(async {
        for (what, octets) in &wrong {
            let connection = served.connect().await;
            assert!(ask(&connection, octets).await.is_err(), "{what}");
            assert_eq!(code(&connection.closed().await), Some(2), "{what}");
        }
    });
    let totals = served.running.totals().secure;
    assert_eq!((totals.received, totals.closed_garbage), (0, wrong.len() as u64));
}

#[test]
fn streams_that_stay_incomplete_are_reset_in_time() {
    let served = served(StreamLimits { message: Duration::from_secs(1), ..StreamLimits::default() });
    block_on(async {
        let connection = served.connect().await;
        let mut streams = Vec::new();
        for _ in 0..256 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&[0]).await.unwrap();
            streams.push((send, receive));
        }
        for (_, receive) in &mut streams {
            assert_eq!(reset(&receive.read_to_end(10).await), Some(5));
        }
        // A stream counts until the client has given it up, too.
        drop(streams);
        assert!(ask(&connection, &question(0, &[])).await.is_ok());
    });
    assert_eq!(served.running.totals().secure.closed_slow, 256);
}

/// All connections together hold no more than they may: who wants more has its stream reset, and others go on.
#[test]
fn what_connections_hold_is_bounded() {
    let limits = StreamLimits { buffers_bytes_max: 100_000, message: PATIENCE, ..StreamLimits::default() };
    let served = served(limits);
    block_on(async {
        let connection = served.connect().await;
        let mut streams = Vec::new();
        for _ in 0..4 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            let unfinished = &question(0, &[0; 40_000])[..40_000];
            // The server may have had enough of it.
            let _ = send.write_all(unfinished).await;
            streams.push((send, receive));
        }
        until_async(|| served.running.totals().secure.closed_full >= 2).await;
        assert!(ask(&connection, &question(0, &[])).await.is_ok());
    });
}

/// Who does not take its answers gets no more of them, and others get theirs.
#[test]
fn answers_that_are_not_taken_are_not_for_one_connection_to_fill_the_memory_with() {
    let limits = StreamLimits { buffers_bytes_max: 3 * 70_000, write: PATIENCE, ..StreamLimits::default() };
    let served = served(limits);
    block_on(async {
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(10_000_u32.into());
        let mut config = served.client(b"doq");
        config.transport_config(Arc::new(transport));
        let client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connection = client.connect_with(config, served.at, "ns1.example.org").unwrap().await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..10 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&question(LONGEST, &[])).await.unwrap();
            send.finish().unwrap();
            streams.push(receive);
        }
        until_async(|| served.running.totals().secure.received == 2).await;
        let other = served.connect().await;
        assert_eq!(ask(&other, &question(LONGEST, &[])).await.unwrap().len(), 2 + 65_535);
        // Each of the first that is taken makes room for one more.
        for receive in &mut streams {
            assert_eq!(receive.read_to_end(usize::MAX).await.unwrap().len(), 2 + 65_535);
        }
    });
}

/// Waits for a condition beside a connection that has to be served.
async fn until_async(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn connections_without_a_query_are_closed_without_error_after_their_time() {
    let served = served(StreamLimits { idle: Duration::from_millis(50), ..StreamLimits::default() });
    block_on(async {
        let connection = served.connect().await;
        assert_eq!(code(&connection.closed().await), Some(0));
    });
    assert_eq!(served.running.totals().secure.closed_idle, 1);
}

#[test]
fn the_oldest_connection_of_a_source_at_its_cap_gives_way() {
    let served = served(StreamLimits { per_source_max: 2, ..StreamLimits::default() });
    block_on(async {
        let first = served.connect().await;
        let second = served.connect().await;
        let third = served.connect().await;
        assert_eq!(code(&first.closed().await), Some(4));
        assert!(ask(&second, &question(0, &[])).await.is_ok());
        assert!(ask(&third, &question(0, &[])).await.is_ok());
    });
    let totals = served.running.totals().secure;
    assert_eq!((totals.accepted, totals.closed_full), (3, 1));
}

/// RFC 9001 §8.1: without an application protocol in common there is no connection.
#[test]
fn who_speaks_another_protocol_is_refused_in_the_handshake() {
    let served = served(StreamLimits::default());
    block_on(async {
        let client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let refused = client.connect_with(served.client(b"smtp"), served.at, "ns1.example.org").unwrap().await;
        assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    });
    until("it is gone", || served.running.totals().secure.open == 0);
}

/// What has been sent is answered, the connection closed without an error, and the port free.
#[test]
fn a_stop_and_a_listener_that_goes_let_clients_have_their_answers() {
    for stop in [true, false] {
        let mut served = served(StreamLimits::default());
        let at = served.at;
        let other = served.running.local_addrs()[1];
        let gate = Arc::clone(&served.gate);
        let mut closed = Some(gate.lock().unwrap());
        block_on(async {
            let (connection, stays) = (served.connect().await, served.connect_to(other).await.unwrap());
            until_async(|| served.running.totals().secure.open == 2).await;
            let mut streams = Vec::new();
            for octet in 0..20 {
                let (mut send, receive) = connection.open_bi().await.unwrap();
                send.write_all(&question(0, &[octet])).await.unwrap();
                send.finish().unwrap();
                streams.push(receive);
            }
            // They leave when this task lets the connection's have its turn.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let running = if stop {
                let running = served.running;
                Err(thread::spawn(move || running.stop(PATIENCE)))
            } else {
                served.running.close(&[0], PATIENCE);
                Ok(served.running)
            };
            drop(closed.take());
            for receive in &mut streams {
                receive.read_to_end(usize::MAX).await.unwrap();
            }
            assert_eq!(code(&connection.closed().await), Some(0));
            match running {
                Ok(running) => {
                    assert!(ask(&stays, &question(0, &[])).await.is_ok());
                    until_async(|| UdpSocket::bind(at).is_ok()).await;
                    assert_eq!(running.totals().secure.open, 1);
                }
                Err(stopping) => {
                    assert_eq!(code(&stays.closed().await), Some(0));
                    let totals = stopping.join().unwrap();
                    assert_eq!((totals.secure.answered, totals.secure.open), (20, 0));
                    UdpSocket::bind(at).unwrap();
                }
            }
        });
    }
}

/// From so many handshakes on, addresses are validated first; those who do it are served.
#[test]
fn many_handshakes_at_once_have_to_show_their_address() {
    let served = served(StreamLimits::default());
    block_on(async {
        // First packets with nothing behind them, each from a socket of its own.
        let mut abandoned = Vec::new();
        for _ in 0..70 {
            let client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let connecting = client.connect_with(served.client(b"doq"), served.at, "ns1.example.org").unwrap();
            abandoned.push((connecting, client));
        }
        let connection = served.connect().await;
        assert!(ask(&connection, &question(0, &[])).await.is_ok());
    });
}
