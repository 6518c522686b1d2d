//! One datagram in its buffer: where the parts lie, and how it is answered in place.
//!
//! Both ways in use the same buffers, laid out as a multishot RECVMSG of io_uring fills them:
//!
//! ```text
//! 0        16                  64                     128                                4224
//! | header | peer's address    | control messages     | message, later the answer        |
//! ```
//!
//! The answer is sent from where it was written, to the address that lies in front of it, and with the control message
//! that came with the question as the order which address to answer from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::counters::WorkerTotals;
use super::socket::Endpoint;
use super::{Arrival, Batch, Transport, later};
use crate::prefetch::prefetch;

/// Where the peer's address lies, behind the header that io_uring writes.
pub(super) const NAME_AT: usize = 16;

/// Room for the peer's address: 28 octets for IPv6, rounded up so that the control messages are aligned.
pub(super) const NAME_ROOM: usize = 48;

/// Where the control messages lie.
pub(super) const CONTROL_AT: usize = NAME_AT + NAME_ROOM;

/// Room for the control messages: one `in6_pktinfo` takes 40 octets.
pub(super) const CONTROL_ROOM: usize = 64;

/// Where the message lies: at the beginning of a cache line.
pub(super) const MESSAGE_AT: usize = CONTROL_AT + CONTROL_ROOM;

/// Room for a message: what zonda ever sends over UDP, and more than any sane query.
pub(super) const MESSAGE_ROOM: usize = 4096;

/// A whole buffer. Not a power of two, so that the heads of neighbouring buffers do not fight for one cache set.
pub(super) const BUFFER_SIZE: usize = MESSAGE_AT + MESSAGE_ROOM;

const _: () = assert!(MESSAGE_AT == 128 && BUFFER_SIZE.is_multiple_of(64));

/// How much of each part was filled by the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filled {
    /// Octets of the peer's address.
    pub(super) name_len: usize,
    /// Octets of control messages.
    pub(super) control_len: usize,
    /// Octets of the message.
    pub(super) message_len: usize,
    /// The datagram was longer than the room.
    pub(super) cut: bool,
}

impl Filled {
    /// Octets of the message that count, of a room of so many.
    #[inline]
    fn message(&self, room: usize) -> usize {
        if self.cut { CUT_LEN } else { self.message_len.min(room) }
    }
}

/// What is to be sent back from the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Octets of the answer.
    pub(super) len: usize,
    /// Octets of the peer's address.
    pub(super) name_len: usize,
    /// Octets of control messages to send with it; none where the socket has one address only.
    pub(super) control_len: usize,
}

/// Asks the memory for the first of a buffer that is going to be read.
#[inline]
pub(super) fn ask(buffer: &[u8]) {
    prefetch(buffer);
    if let Some(message) = buffer.get(MESSAGE_AT..) {
        prefetch(message);
    }
}

/// Has one datagram read that is going to be answered. `buffer` is whole, `BUFFER_SIZE` octets; `filled` is not trusted
/// beyond that.
#[inline]
pub(super) fn read(buffer: &[u8], filled: Filled, endpoint: &Endpoint, place: usize, batch: &mut impl Batch) {
    let message = buffer.get(MESSAGE_AT..).unwrap_or_default();
    batch.read(place, message.get(..filled.message(message.len())).unwrap_or_default(), endpoint.listener);
}

/// Has the datagram that was read at this place answered in its buffer; `None` is silence. If it comes `alone` it has not
/// been read.
#[inline]
pub(super) fn answer(
    buffer: &mut [u8],
    filled: Filled,
    endpoint: &Endpoint,
    tally: &mut WorkerTotals,
    place: usize,
    alone: bool,
    batch: &mut impl Batch,
) -> Option<Reply> {
    tally.received += 1;
    if alone {
        read(buffer, filled, endpoint, place, batch);
    }
    let reply = answer_counted(buffer, filled, endpoint, tally, place, batch);
    if reply.is_some() {
        tally.answered += 1;
    } else {
        tally.silent = tally.received - tally.answered - tally.later;
    }
    reply
}

/// [`answer`] without the counting.
#[inline]
fn answer_counted(
    buffer: &mut [u8],
    filled: Filled,
    endpoint: &Endpoint,
    tally: &mut WorkerTotals,
    place: usize,
    batch: &mut impl Batch,
) -> Option<Reply> {
    let (head, message) = buffer.split_at_mut_checked(MESSAGE_AT)?;
    let (name, control) = head.split_at_mut_checked(CONTROL_AT)?;
    let (mut control_len, local) = (0, endpoint.local);
    // Each address is written where it stays: one that is made in parts and then moved is waited for.
    let mut arrival =
        Arrival { client: local, local, transport: Transport::Udp, listener: endpoint.listener, idle: None };
    // Nothing can be sent to port 0, and nobody honest asks from there.
    if read_peer(name.get(NAME_AT..)?, &mut arrival.client)? == 0 {
        return None;
    }
    if endpoint.wildcard
        && let Some(control) = control.get_mut(..filled.control_len)
        && let Some(asked) = take_asked(control)
    {
        arrival.local.set_ip(asked);
        control_len = filled.control_len;
    }
    let len = filled.message(message.len());
    let Some(len) = batch.answer(place, message, len, &arrival).filter(|len| *len <= message.len()) else {
        if let Some(later) = batch.later() {
            tally.later += 1;
            later::start(*later, endpoint, &arrival);
        }
        return None;
    };
    Some(Reply { len, name_len: filled.name_len.min(NAME_ROOM), control_len })
}

/// Reads a `sockaddr_in` or `sockaddr_in6`; gives the port.
#[inline]
fn read_peer(name: &[u8], peer: &mut SocketAddr) -> Option<u16> {
    let family = i32::from(u16::from_ne_bytes(array(name, 0)?));
    let port = u16::from_be_bytes(array(name, 2)?);
    match family {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(array::<4>(name, 4)?);
            *peer = SocketAddr::V4(SocketAddrV4::new(ip, port));
        }
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(array(name, 4)?);
            let ip = Ipv6Addr::from(array::<16>(name, 8)?);
            let scope = u32::from_ne_bytes(array(name, 24)?);
            *peer = SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope));
        }
        _ => return None,
    }
    Some(port)
}

/// Reads which address was asked, and turns the message into the order to answer from it: the interface it names is
/// taken out, so that the answer follows the routing table and not the way the question came. Only with link-local
/// addresses the interface is part of the address.
#[inline]
fn take_asked(control: &mut [u8]) -> Option<IpAddr> {
    let mut at = 0;
    loop {
        let len = usize::from_ne_bytes(array(control, at)?);
        let level = i32::from_ne_bytes(array(control, at + size_of::<usize>())?);
        let kind = i32::from_ne_bytes(array(control, at + size_of::<usize>() + 4)?);
        let data = at + CONTROL_HEADER;
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // in_pktinfo: interface index, address to answer from, address in the packet.
                let asked = Ipv4Addr::from(array::<4>(control, data + 4)?);
                control.get_mut(data..data + 4)?.fill(0);
                return Some(asked.into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // in6_pktinfo: address, interface index.
                let asked = Ipv6Addr::from(array::<16>(control, data)?);
                if !asked.is_unicast_link_local() {
                    control.get_mut(data + 16..data + 20)?.fill(0);
                }
                return Some(asked.into());
            }
            _ => at += len.clamp(CONTROL_HEADER, CONTROL_ROOM).next_multiple_of(size_of::<usize>()),
        }
    }
}

/// `N` octets from `at` on.
#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// Octets before the data of a control message.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();

/// What is left of a datagram that did not fit: its header, which every reader finds wanting.
const CUT_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A buffer as the kernel fills it: from 192.0.2.1 and a port, over a wildcard socket, with these control messages.
    fn buffer(port: u16, control: &[u8]) -> (Vec<u8>, Filled) {
        let mut buffer = vec![0; BUFFER_SIZE];
        buffer[NAME_AT..NAME_AT + 2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        buffer[NAME_AT + 2..NAME_AT + 4].copy_from_slice(&port.to_be_bytes());
        buffer[NAME_AT + 4..NAME_AT + 8].copy_from_slice(&[192, 0, 2, 1]);
        buffer[CONTROL_AT..CONTROL_AT + control.len()].copy_from_slice(control);
        (buffer, Filled { name_len: 16, control_len: control.len(), message_len: 20, cut: false })
    }

    /// A control message with its padding.
    fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut message = (CONTROL_HEADER + data.len()).to_ne_bytes().to_vec();
        message.extend(level.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(data);
        message.resize(message.len().next_multiple_of(size_of::<usize>()), 0);
        message
    }

    /// Answers with 30 octets; returns the address that was asked and what is sent.
    fn serve(buffer: &mut [u8], filled: Filled) -> (Option<IpAddr>, Option<Reply>, WorkerTotals) {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        let local = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53));
        let endpoint = Endpoint { socket: socket.into(), listener: 0, local, wildcard: true };
        let (mut asked, mut tally) = (None, WorkerTotals::default());
        let reply =
            answer(buffer, filled, &endpoint, &mut tally, 0, true, &mut |_: &mut [u8], _, arrival: &Arrival| {
                asked = Some(arrival.local.ip());
                Some(30)
            });
        (asked, reply, tally)
    }

    /// Source port 0 is silence (design.md section 5).
    #[test]
    fn source_port_zero_is_silence() {
        let (mut octets, filled) = buffer(0, &[]);
        let (asked, reply, tally) = serve(&mut octets, filled);
        assert_eq!((asked, reply), (None, None));
        assert_eq!((tally.received, tally.silent), (1, 1));
    }

    /// The address asked is found behind other control messages, and the interface is taken out of the order that
    /// goes back.
    #[test]
    fn packet_info_is_turned_around() {
        let other = control(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &[0; 4]);
        let info = control(libc::IPPROTO_IP, libc::IP_PKTINFO, &[7, 0, 0, 0, 192, 0, 2, 53, 192, 0, 2, 53]);
        let (mut octets, filled) = buffer(4000, &[other.clone(), info].concat());
        let (asked, reply, _) = serve(&mut octets, filled);
        assert_eq!(asked, Some(Ipv4Addr::new(192, 0, 2, 53).into()));
        assert_eq!(reply, Some(Reply { len: 30, name_len: 16, control_len: filled.control_len }));
        let data = CONTROL_AT + other.len() + CONTROL_HEADER;
        assert_eq!(octets[data..data + 8], [0, 0, 0, 0, 192, 0, 2, 53]);
    }

    /// With link-local addresses the interface stays: without it the address means nothing.
    #[test]
    fn link_local_keeps_its_interface() {
        for (ip, interface) in [("2001:db8::53", 0), ("fe80::53", 7)] {
            let ip: Ipv6Addr = ip.parse().expect("an address");
            let info = control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[&ip.octets()[..], &[7, 0, 0, 0]].concat());
            let (mut octets, filled) = buffer(4000, &info);
            let (asked, ..) = serve(&mut octets, filled);
            assert_eq!(asked, Some(ip.into()));
            assert_eq!(octets[CONTROL_AT + CONTROL_HEADER + 16], interface);
        }
    }

    /// Control messages that are cut off or lie about their length are left alone.
    #[test]
    fn odd_control_messages() {
        let whole = control(libc::IPPROTO_IP, libc::IP_PKTINFO, &[7, 0, 0, 0, 192, 0, 2, 53, 192, 0, 2, 53]);
        let mut endless = control(libc::SOL_SOCKET, 0, &[]);
        endless[..size_of::<usize>()].fill(0xff);
        for odd in [&whole[..CONTROL_HEADER + 6], &endless, &[0; CONTROL_ROOM]] {
            let (mut octets, filled) = buffer(4000, odd);
            let (asked, reply, _) = serve(&mut octets, filled);
            assert_eq!(asked, Some(Ipv4Addr::UNSPECIFIED.into()));
            assert_eq!(reply.map(|reply| reply.control_len), Some(0));
        }
    }
}
