//! Finding out, before it is relied on, whether this kernel's io_uring does what is needed here.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::super::Arrival;
use super::super::counters::WorkerTotals;
use super::super::orders::Orders;
use super::super::socket::Endpoint;
use super::super::stop::Stop;
use super::super::worker::{PacketIo, Wait};
use super::{Features, Ring, failed};

/// Finds out whether io_uring can do all that is needed here, by doing it: a ring over one loopback socket receives a
/// datagram and answers it. The error is the reason to be shown.
pub(in crate::net) fn probe(stop: &Stop) -> Result<Features, String> {
    let with_addr = Features { send_addr: true };
    match probe_with(with_addr, stop)? {
        true => Ok(with_addr),
        false => Ok(Features { send_addr: false }),
    }
}

/// One exchange over loopback. False when the answer was refused.
fn probe_with(features: Features, stop: &Stop) -> Result<bool, String> {
    let orders = Orders::new().map_err(|e| failed("socketpair", &e))?;
    let Ok((endpoint, client)) = loopback_pair() else {
        // Without loopback the ring itself is still tried.
        Ring::open(Vec::new(), &orders, stop, features)?;
        return Ok(false);
    };
    let mut ring = Ring::open(vec![endpoint], &orders, stop, features)?;
    client.send(&[1]).map_err(|e| failed("probe", &e))?;
    let mut tally = WorkerTotals::default();
    let end = Instant::now() + PROBE_WAIT;
    loop {
        // The last look comes after the time is over, or a process that has to wait for a CPU would never have looked.
        let is_over = Instant::now() >= end;
        ring.wait(Wait::Look).map_err(|e| failed("io_uring_enter", &e))?;
        ring.take(&mut |_: &mut [u8], len, _: &Arrival| Some(len), &mut tally);
        if tally.answered > 0 || tally.errors > 0 || is_over {
            break;
        }
    }
    ring.wait(Wait::Look).map_err(|e| failed("io_uring_enter", &e))?;
    ring.take(&mut |_: &mut [u8], _, _: &Arrival| None, &mut tally);
    match tally {
        WorkerTotals { errors: 1.., .. } => Err("this kernel's io_uring lacks multishot RECVMSG".into()),
        WorkerTotals { answered: 0, .. } => Err("a datagram sent to ourselves did not arrive".into()),
        _ => Ok(tally.dropped == 0),
    }
}

/// A socket to serve on loopback, and one connected to it.
fn loopback_pair() -> io::Result<(Endpoint, UdpSocket)> {
    let served = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let local = served.local_addr()?;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.connect(local)?;
    // Nobody else's datagrams are answered while we try.
    served.connect(client.local_addr()?)?;
    Ok((Endpoint { socket: std::sync::Arc::new(served.into()), listener: 0, local, wildcard: false }, client))
}

/// How long a datagram may take to reach ourselves.
const PROBE_WAIT: Duration = Duration::from_secs(1);
