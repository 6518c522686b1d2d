//! The loop of a worker, the same over every way in.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::counters::{WorkerCounters, WorkerTotals};
use super::error::Plain;
use super::orders::{Order, Orders};
use super::socket::Endpoint;
use super::stop::Stop;
use super::{Responder, Responders};
use crate::log;

/// A way to get datagrams in and answers out, on one thread.
///
/// It is driven in turns: [`wait`](Self::wait), then [`take`](Self::take). An answer is on its way at the latest when
/// the next `wait` begins.
pub(super) trait PacketIo {
    /// Sends what there is to send, and waits for something to happen. Coming back without anything is no fault.
    fn wait(&mut self, wait: Wait) -> io::Result<()>;

    /// Has every datagram that has come answered, and adds to `tally` what happened.
    ///
    /// A batch begins only after all that it answers has been received. What is asked once an edit has been acknowledged
    /// is thus never answered from the snapshot of before.
    ///
    /// When the responder panics, the message it was about is lost and `take` may be called again, with another responder,
    /// for the others.
    fn take(&mut self, responder: &mut impl Responder, tally: &mut WorkerTotals) -> Taken;

    /// Takes datagrams from another socket, too.
    fn open(&mut self, endpoint: Endpoint) -> io::Result<()>;

    /// Lets go of the socket of a listener; false, if not `at_once`, as long as something waits in it to be taken.
    fn close(&mut self, listener: usize, at_once: bool) -> bool;

    /// Lets no new datagram into the sockets.
    fn close_door(&mut self);

    /// Whether an answer that comes later needs one of the sockets.
    fn is_awaited(&self) -> bool;
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until something comes.
    ForEvent,
    /// Not at all.
    Look,
}

/// What a turn found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Datagrams taken.
    pub(super) datagrams: u64,
    /// The sign to stop has been seen.
    pub(super) stop: bool,
    /// There are orders.
    pub(super) orders: bool,
}

/// Runs until told to stop, then answers what has arrived, within the grace time.
pub(super) fn run<P, F>(
    mut io: P,
    responders: &F,
    counters: &WorkerCounters,
    orders: &Orders,
    stop: &Stop,
) -> io::Result<()>
where
    P: PacketIo,
    F: Responders,
{
    let mut responder = responders.responder();
    let mut leaving = Vec::new();
    loop {
        io.wait(Wait::ForEvent)?;
        let taken = turn(&mut io, &mut responder, responders, counters);
        if taken.stop {
            break;
        }
        if taken.orders {
            obey(&mut io, orders, &mut leaving);
        }
        leaving.retain_mut(|(listener, turns): &mut (usize, u32)| {
            *turns += 1;
            !io.close(*listener, *turns > LEAVING_TURNS)
        });
    }
    io.close_door();
    let mut empty_turns = 0;
    // Two turns without a datagram: one that was the last to answer, and one that has sent its answers.
    while empty_turns < 2 {
        io.wait(Wait::Look)?;
        let taken = turn(&mut io, &mut responder, responders, counters);
        empty_turns = if taken.datagrams == 0 { empty_turns + 1 } else { 0 };
        if empty_turns == 2 && io.is_awaited() {
            std::thread::sleep(LATER_CHECK);
            empty_turns = 1;
        }
        if stop.left().is_zero() {
            return io.wait(Wait::Look);
        }
    }
    Ok(())
}

/// Does what the worker was told; listeners that are to go are gone only when their sockets are empty.
#[cold]
fn obey(io: &mut impl PacketIo, orders: &Orders, leaving: &mut Vec<(usize, u32)>) {
    for order in orders.take() {
        match order {
            Order::Open(endpoint) => {
                let local = endpoint.local;
                if let Err(error) = io.open(endpoint) {
                    log::error(&format!("listen udp {local}: {}", Plain(&error)));
                }
            }
            Order::Close(listener) => leaving.push((listener, 0)),
        }
    }
}

/// Takes and answers one batch. A responder that panics is replaced; the batch goes on behind its message.
fn turn<P, F>(io: &mut P, responder: &mut F::R, responders: &F, counters: &WorkerCounters) -> Taken
where
    P: PacketIo,
    F: Responders,
{
    let mut all = Taken::default();
    loop {
        let mut tally = WorkerTotals::default();
        // Nothing that a panic leaves half done is used again: the responder is made anew, `take` promises to go on.
        let result = catch_unwind(AssertUnwindSafe(|| io.take(responder, &mut tally)));
        match result {
            Ok(taken) => {
                counters.add(&tally);
                all.datagrams += taken.datagrams;
                all.stop |= taken.stop;
                all.orders |= taken.orders;
                return all;
            }
            Err(_) => {
                tally.panics += 1;
                // One that was only being read goes on, alone.
                tally.silent = tally.received - tally.answered - tally.later;
                counters.add(&tally);
                all.datagrams += 1;
                *responder = responders.responder();
            }
        }
    }
}

/// The CPUs that this process may use.
pub(super) fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// How many workers these CPUs are for: one each, fewer where a cgroup grants less time than they have.
pub(super) fn count(cpus: &[usize]) -> usize {
    std::thread::available_parallelism().map_or(cpus.len(), |quota| quota.get().min(cpus.len()))
}

/// How often a worker that stops looks whether answers are still to come.
const LATER_CHECK: Duration = Duration::from_millis(5);

/// Turns after which a socket is closed with what is in it: where filters are forbidden it may never become empty.
const LEAVING_TURNS: u32 = 1000;

/// Ties the calling thread to one CPU. Where that is refused it stays free, which costs speed and nothing else.
pub(super) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if set.set(cpu).is_ok() {
        sched_setaffinity(Pid::from_raw(0), &set).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::Arc;

    use super::super::mmsg::Mmsg;
    use super::super::ring::{Features, Ring};
    use super::super::{Arrival, Batch};
    use super::*;

    /// Some sockets, and a client of each.
    fn sockets(count: usize) -> (Vec<Endpoint>, Arc<[UdpSocket]>) {
        let pair = |listener| {
            let [served, client] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket"));
            let local = served.local_addr().expect("an address");
            client.connect(local).expect("connect");
            client.set_nonblocking(true).expect("an option");
            (Endpoint { socket: Arc::new(served.into()), listener, local, wildcard: false }, client)
        };
        let (endpoints, clients): (_, Vec<_>) = (0..count).map(pair).unzip();
        (endpoints, clients.into())
    }

    /// The way in over io_uring.
    fn ring(endpoints: Vec<Endpoint>, orders: &Orders, stop: &Stop) -> Ring {
        Ring::open(endpoints, orders, stop, Features { send_addr: false }).expect("a ring")
    }

    /// Numbers its batches, and has each begin with a message to every socket that tells its number.
    #[derive(Clone)]
    struct Numbered {
        number: u16,
        clients: Arc<[UdpSocket]>,
    }

    impl Numbered {
        /// Sends a message to every socket.
        fn send(&self) {
            let [high, low] = self.number.to_be_bytes();
            for client in self.clients.iter() {
                client.send(&[high, low, 0, 0]).expect("send");
            }
        }
    }

    impl Responder for Numbered {
        type Batch<'r> = &'r Self;

        fn batch(&mut self) -> &Self {
            self.number += 1;
            self.send();
            self
        }
    }

    impl Batch for &Numbered {
        fn answer(&mut self, _: usize, buffer: &mut [u8], len: usize, _: &Arrival) -> Option<usize> {
            buffer[2..4].copy_from_slice(&self.number.to_be_bytes());
            Some(len)
        }
    }

    impl Responders for Numbered {
        type R = Self;

        fn responder(&self) -> Self {
            self.clone()
        }
    }

    /// What is asked after a batch has begun is answered by a later one.
    fn begins_after_receiving<P: PacketIo>(open: impl Fn(Vec<Endpoint>, &Orders, &Stop) -> P) {
        let (orders, stop) = (Orders::new().expect("orders"), Stop::new().expect("a pipe"));
        let (endpoints, clients) = sockets(3);
        let mut io = open(endpoints, &orders, &stop);
        let responders = Numbered { number: 0, clients };
        let (mut responder, counters) = (responders.responder(), WorkerCounters::default());
        responders.send();
        while responder.number < 20 {
            io.wait(Wait::Look).expect("looks");
            turn(&mut io, &mut responder, &responders, &counters);
        }
        io.wait(Wait::Look).expect("sends");
        for (socket, client) in responders.clients.iter().enumerate() {
            let (mut answers, mut answer) = (0, [0; 4]);
            while client.recv(&mut answer).is_ok() {
                let [asked, answered] = [0, 2].map(|at| u16::from_be_bytes([answer[at], answer[at + 1]]));
                assert!(asked < answered, "socket {socket}: asked in batch {asked}, answered in batch {answered}");
                answers += 1;
            }
            assert!(answers > 0, "socket {socket}: no answers");
        }
    }

    /// An edit that has been acknowledged was seen by none but the sockets that were read first: the others were answered
    /// from the snapshot of before, even if they were asked behind it.
    #[test]
    fn a_batch_begins_after_receiving() {
        begins_after_receiving(ring);
        begins_after_receiving(Mmsg::open);
    }

    /// Panics over every message.
    struct Panics;

    impl Responder for Panics {
        type Batch<'r> = fn(&mut [u8], usize, &Arrival) -> Option<usize>;

        fn batch(&mut self) -> Self::Batch<'_> {
            |_, _, _| panic!("asked for")
        }
    }

    impl Responders for Panics {
        type R = Self;

        fn responder(&self) -> Self {
            Self
        }
    }

    /// Signs that are seen before answering panics are passed on, and the bell is heard again.
    fn passes_on_signs<P: PacketIo>(open: impl Fn(Vec<Endpoint>, &Orders, &Stop) -> P) {
        let (orders, stop) = (Orders::new().expect("orders"), Stop::new().expect("a pipe"));
        let (endpoints, clients) = sockets(1);
        let mut io = open(endpoints, &orders, &stop);
        let counters = WorkerCounters::default();
        let mut next = || {
            orders.give(Order::Close(0));
            clients[0].send(&[0; 12]).expect("send");
            let (before, mut signs) = (counters.read().panics, (false, false));
            while counters.read().panics == before {
                io.wait(Wait::ForEvent).expect("waits");
                let taken = turn(&mut io, &mut Panics, &Panics, &counters);
                signs = (signs.0 | taken.stop, signs.1 | taken.orders);
            }
            assert_eq!(orders.take().len(), 1);
            signs
        };
        assert_eq!(next(), (false, true));
        assert_eq!(next(), (false, true), "the bell is heard once only");
        stop.ask(Duration::ZERO);
        assert_eq!(next(), (true, true));
        assert_eq!(counters.read().panics, 3);
    }

    /// A panic behind the sign to stop, or behind an order, made a worker over io_uring deaf to it: it went on for ever.
    #[test]
    fn a_panic_hides_no_sign() {
        passes_on_signs(ring);
        passes_on_signs(Mmsg::open);
    }

    /// Stopping answers what has arrived at each socket, be it several batches.
    fn drains<P: PacketIo>(open: impl Fn(Vec<Endpoint>, &Orders, &Stop) -> P) {
        let (orders, stop) = (Orders::new().expect("orders"), Stop::new().expect("a pipe"));
        let (endpoints, clients) = sockets(3);
        let io = open(endpoints, &orders, &stop);
        for client in clients.iter().cycle().take(450) {
            client.send(&[0; 12]).expect("send");
        }
        stop.ask(Duration::from_secs(20));
        let (responders, counters) = (Numbered { number: 0, clients: Arc::new([]) }, WorkerCounters::default());
        run(io, &responders, &counters, &orders, &stop).expect("runs");
        assert_eq!((counters.read().received, counters.read().answered), (450, 450));
    }

    /// None of many sockets is left with a question.
    #[test]
    fn stopping_drains_every_socket() {
        drains(ring);
        drains(Mmsg::open);
    }
}
