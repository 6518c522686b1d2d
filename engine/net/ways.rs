//! Which way in the workers use, and why.

use std::io;
use std::thread;

use super::counters::WorkerCounters;
use super::mmsg::Mmsg;
use super::options::{IoChoice, Way, WayIn};
use super::orders::Orders;
use super::ring::{self, Features, Ring};
use super::socket::Endpoint;
use super::stop::Stop;
use super::{NetError, Responders, worker};

/// The way that was chosen, with what it needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chosen {
    /// io_uring, as far as this kernel has it.
    Ring(Features),
    /// `recvmmsg`.
    Mmsg,
}

/// Chooses, by trying io_uring out. Never by a kernel's version: a container's rules do not show in it.
pub(super) fn choose(choice: IoChoice, stop: &Stop) -> Result<(Chosen, WayIn), NetError> {
    let mmsg = |reason| {
        let (way, reason) = (Way::Mmsg, Some(reason));
        (Chosen::Mmsg, WayIn { way, reason })
    };
    if choice == IoChoice::Mmsg {
        return Ok(mmsg("asked for by the configuration".into()));
    }
    // On a thread of its own: when a ring ends, the kernel interrupts the thread that used it, and a caller in the middle
    // of a read would see EINTR.
    let probed = thread::scope(|scope| {
        let probe = thread::Builder::new().spawn_scoped(scope, || ring::probe(stop));
        probe.map_err(|e| e.to_string())?.join().unwrap_or_else(|_| Err("trying it out panicked".into()))
    });
    match probed {
        Ok(features) => {
            let (way, reason) = (Way::Ring, None);
            Ok((Chosen::Ring(features), WayIn { way, reason }))
        }
        Err(reason) if choice == IoChoice::Ring => Err(NetError::NoRing { reason }),
        Err(reason) => Ok(mmsg(reason)),
    }
}

/// Runs a worker over the chosen way; calls `ready` once its sockets are served.
pub(super) fn run<F: Responders>(
    chosen: Chosen,
    endpoints: Vec<Endpoint>,
    responders: &F,
    counters: &WorkerCounters,
    orders: &Orders,
    stop: &Stop,
    ready: impl FnOnce(),
) -> io::Result<()> {
    match chosen {
        Chosen::Ring(features) => {
            let ring = Ring::open(endpoints, orders, stop, features).map_err(io::Error::other)?;
            ready();
            worker::run(ring, responders, counters, orders, stop)
        }
        Chosen::Mmsg => {
            let mmsg = Mmsg::open(endpoints, orders, stop);
            ready();
            worker::run(mmsg, responders, counters, orders, stop)
        }
    }
}
