//! Where an answer goes that comes later: over UDP to the client's address from the socket that the query came in on, over
//! TCP to the task of its connection.
//!
//! A datagram is sent from the thread that has it, not by the worker. A datagram socket may be used by many threads at once, and
//! both ways in leave it in the mode in which a plain `sendmsg` works beside them; so there is no queue between threads
//! that would have to be bounded, watched and waited at.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::socket::Endpoint;
use super::{Arrival, Later};

/// Goes for the answer to a datagram.
///
/// The socket is not kept open for it: once its worker is gone, whoever asked gets no answer. But a worker that is told to
/// stop waits for a while for those who still need its socket, see [`Endpoint::is_awaited`].
#[cold]
pub(super) fn start(later: Later, endpoint: &Endpoint, arrival: &Arrival) {
    let (client, local) = (arrival.client, endpoint.wildcard.then_some(arrival.local));
    let socket = Arc::downgrade(&endpoint.socket);
    later.start(move |answer| {
        if let (Some(answer), Some(socket)) = (answer, socket.upgrade()) {
            // What the kernel has no room for is lost, as any datagram may be.
            let _ = send(&*socket, answer, client, local);
        }
    });
}

/// The answers that one connection waits for.
pub(super) struct Answers {
    sender: UnboundedSender<Option<Vec<u8>>>,
    receiver: UnboundedReceiver<Option<Vec<u8>>>,
    /// How many are still to come.
    waiting: usize,
}

impl Answers {
    /// None so far.
    pub(super) fn new() -> Self {
        // Bounded by what may wait: each sender sends once.
        let (sender, receiver) = unbounded_channel();
        Self { sender, receiver, waiting: 0 }
    }

    /// Goes for the answer to a message.
    #[cold]
    pub(super) fn start(&mut self, later: Later) {
        self.waiting += 1;
        let mut told = Told(Some(self.sender.clone()));
        later.start(move |answer| told.tell(answer));
    }

    /// Whether any is still to come.
    pub(super) fn any(&self) -> bool {
        self.waiting > 0
    }

    /// Whether as many are still to come as a connection may wait for.
    pub(super) fn full(&self) -> bool {
        self.waiting >= ANSWERS_MAX
    }

    /// The next one, behind its length; None for one that is not sent. Never comes back if there is none to come. It may be
    /// given up on.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let answer = self.receiver.recv().await.flatten();
        self.waiting = self.waiting.saturating_sub(1);
        answer
    }
}

/// Tells a connection of an answer, at the latest when it is dropped.
struct Told(Option<UnboundedSender<Option<Vec<u8>>>>);

impl Told {
    /// Tells it; only the first time counts.
    fn tell(&mut self, answer: Option<&[u8]>) {
        let framed = answer.and_then(|answer| {
            let len = u16::try_from(answer.len()).ok()?;
            Some([&len.to_be_bytes()[..], answer].concat())
        });
        if let Some(sender) = self.0.take() {
            // The connection may be gone.
            let _ = sender.send(framed);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.tell(None);
    }
}

/// Messages of one connection that may wait for their answers; then no more is read from it.
const ANSWERS_MAX: usize = 128;

/// Sends one datagram, from an address if the socket has several.
fn send(socket: &impl AsRawFd, answer: &[u8], client: SocketAddr, from: Option<SocketAddr>) -> nix::Result<usize> {
    let to = SockaddrStorage::from(client);
    let interface = match client {
        SocketAddr::V6(client) => client.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let parts = [IoSlice::new(answer)];
    let send = |control: &[ControlMessage<'_>]| {
        sendmsg(socket.as_raw_fd(), &parts, control, MsgFlags::MSG_DONTWAIT, Some(&to))
    };
    match from.map(|from| from.ip()).filter(|ip| !ip.is_unspecified()) {
        Some(IpAddr::V4(ip)) => {
            let ip = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: ip, ipi_addr: libc::in_addr { s_addr: 0 } };
            send(&[ControlMessage::Ipv4PacketInfo(&info)])
        }
        Some(IpAddr::V6(ip)) => {
            // Without its interface a link-local address means nothing.
            let interface = if ip.is_unicast_link_local() { interface } else { 0 };
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: interface };
            send(&[ControlMessage::Ipv6PacketInfo(&info)])
        }
        None => send(&[]),
    }
}
