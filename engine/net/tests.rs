//! Through real sockets on loopback, over both ways in.
//!
//! The responder of these tests says what it saw: the answer is the message with QR set, behind it one octet for the
//! transport, the listener, and the address that was asked. A few first octets have it do something else.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

mod datagrams;
mod flood;
mod listeners;
mod quic;
mod room;
mod streams;

/// Says what it saw.
struct Echo;

/// Octet 3 of a message that is to be met with silence.
const SILENCE: u8 = 0xf0;
/// Octet 3 of a message that makes the responder panic.
const PANIC: u8 = 0xf1;
/// Octet 3 of a message that makes the responder panic when it is read.
const PANIC_EARLY: u8 = 0xf4;
/// Octet 3 of a message whose answer is said to be longer than the buffer.
const TOO_LONG: u8 = 0xf2;
/// Octet 3 of a message that asks for an answer as long as the buffer.
const LONGEST: u8 = 0xf3;

impl Responder for Echo {
    type Batch<'r> = &'r Self;

    fn batch(&mut self) -> &Self {
        self
    }
}

impl Batch for &Echo {
    fn read(&mut self, _: usize, message: &[u8], _: usize) {
        assert!(message.get(3) != Some(&PANIC_EARLY), "asked for");
    }

    fn answer(&mut self, _: usize, buffer: &mut [u8], len: usize, arrival: &Arrival) -> Option<usize> {
        match buffer[..len].get(3).copied() {
            None | Some(SILENCE) => return None,
            Some(PANIC) => panic!("asked for"),
            Some(TOO_LONG) => return Some(buffer.len() + 1),
            Some(LONGEST) => {
                buffer[2] |= 0x80;
                return Some(buffer.len());
            }
            Some(_) => {}
        }
        buffer[2] |= 0x80;
        let said = seen(arrival.transport, arrival.listener, arrival.local);
        buffer[len..len + said.len()].copy_from_slice(&said);
        Some(len + said.len())
    }
}

/// What [`Echo`] says about a message.
fn seen(transport: Transport, listener: usize, local: SocketAddr) -> Vec<u8> {
    let mut said = vec![u8::from(transport == Transport::Tcp), listener as u8];
    match local.ip() {
        IpAddr::V4(ip) => said.extend(ip.octets()),
        IpAddr::V6(ip) => said.extend(ip.octets()),
    }
    said.extend(local.port().to_be_bytes());
    said
}

/// A message with an id.
fn message(id: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message
}

/// The answer to `message` over `transport`.
fn answer_to(message: &[u8], transport: Transport, listener: usize, local: SocketAddr) -> Vec<u8> {
    let mut answer = message.to_vec();
    answer[2] |= 0x80;
    answer.extend(seen(transport, listener, local));
    answer
}

/// Makes [`Echo`].
struct Echoes;

impl Responders for Echoes {
    type R = Echo;

    fn responder(&self) -> Echo {
        Echo
    }
}

/// Sends back what it gets, once a lock can be had: what comes before that piles up.
struct Gated {
    /// What each turn waits for.
    gate: Arc<Mutex<()>>,
}

impl Responder for Gated {
    type Batch<'r> = &'r Self;

    fn batch(&mut self) -> &Self {
        drop(self.gate.lock());
        self
    }
}

impl Batch for &Gated {
    fn answer(&mut self, _: usize, _: &mut [u8], len: usize, _: &Arrival) -> Option<usize> {
        Some(len)
    }
}

impl Responders for Gated {
    type R = Self;

    fn responder(&self) -> Self {
        Self { gate: Arc::clone(&self.gate) }
    }
}

/// Both ways in.
const WAYS: [IoChoice; 2] = [IoChoice::Ring, IoChoice::Mmsg];

/// Options for one way, with two workers.
fn options(io: IoChoice) -> Options {
    Options { io, workers: Some(2), ..Options::default() }
}

/// Starts the room on addresses with port 0.
fn serve(addrs: &[&str], options: &Options) -> Running {
    let listeners: Vec<_> = addrs.iter().map(|addr| Listener::plain(addr.parse().expect("an address"))).collect();
    start(&listeners, Echoes, options).expect("the room opens")
}

/// A UDP client that gives up after a long while.
fn udp_client(server: SocketAddr) -> UdpSocket {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let client = UdpSocket::bind((any, 0)).expect("a client socket");
    client.connect(server).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    client
}

/// A TCP client that gives up after a long while.
fn tcp_client(server: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(server).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    client.set_nodelay(true).expect("nodelay");
    client
}

/// Asks over UDP.
fn ask(client: &UdpSocket, message: &[u8]) -> Vec<u8> {
    client.send(message).expect("send");
    let mut buffer = [0; 65535];
    let len = client.recv(&mut buffer).expect("an answer");
    buffer[..len].to_vec()
}

/// A message behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

/// Reads one message from a stream.
fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("a length");
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).expect("a message");
    message
}

/// Reads what is left until the server closes, with FIN or RST.
fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("still open: {error}"),
    }
    rest
}

/// Waits for a condition.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "never came about: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);
