//! A client of DNS over QUIC (RFC 9250).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadToEndError};

/// Asks on a connection of its own; None is silence. The id goes as 0 and comes back as it was (RFC 9250 §4.2.1).
pub(crate) fn ask(at: SocketAddr, trusted: &Arc<rustls::ClientConfig>, message: &[u8]) -> Option<Vec<u8>> {
    run(async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connection = connect(&endpoint, at, trusted, "doq").await;
        let mut message = message.to_vec();
        let id = message.first_chunk().copied();
        message.iter_mut().take(2).for_each(|octet| *octet = 0);
        let answer = exchange(&connection, &message).await;
        // Else the server would wait for what confirms its answer.
        connection.close(0_u32.into(), b"");
        endpoint.wait_idle().await;
        let mut answer = answer?;
        if let (Some(place), Some(id)) = (answer.first_chunk_mut::<2>(), id) {
            *place = id;
        }
        Some(answer)
    })
}

/// Connects to speak what TLS calls so, trusting what a client over TLS trusts.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    at: SocketAddr,
    trusted: &rustls::ClientConfig,
    alpn: &str,
) -> Connection {
    endpoint.connect_with(config(trusted, alpn), at, "dns.example.org").unwrap().await.unwrap()
}

/// How a client speaks over QUIC.
pub(crate) fn config(trusted: &rustls::ClientConfig, alpn: &str) -> ClientConfig {
    let mut tls = trusted.clone();
    tls.alpn_protocols = vec![alpn.into()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// Sends a message on a stream of its own; None if the stream is reset.
pub(crate) async fn exchange(connection: &Connection, message: &[u8]) -> Option<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).await.unwrap();
    send.finish().unwrap();
    let framed = match receive.read_to_end(2 + 65_535).await {
        Ok(framed) => framed,
        Err(ReadToEndError::Read(quinn::ReadError::Reset(_))) => return None,
        Err(why) => panic!("neither an answer nor a reset: {why}"),
    };
    let (length, answer) = framed.split_first_chunk().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), answer.len());
    Some(answer.to_vec())
}

/// The application's code that a connection was closed with.
pub(crate) fn code(why: ConnectionError) -> Option<u64> {
    match why {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

/// Runs a client.
pub(crate) fn run<R>(client: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client)
}
