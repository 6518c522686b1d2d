//! The room that moves packets: sockets in, sockets out, and nothing of DNS but the two-octet length of RFC 1035 §4.2.2.
//!
//! [`start`] opens the listeners and gives back a [`Running`]. Every message ends in the same function, whatever it came
//! in on: [`Responder::answer`], which writes the answer over the message. Two kinds of thread call it:
//!
//! - **Workers** (`worker.rs`), one a core and pinned to it, each with a socket of its own per address. They take
//!   datagrams in batches through the trait `PacketIo`, which has two implementations: `ring.rs` over io_uring, and
//!   `mmsg.rs` over `recvmmsg` and `sendmmsg` for kernels and containers that refuse io_uring. A further way in
//!   implements the same trait and gets its row in `ways.rs`.
//! - **The stream thread** (`stream.rs`, `connection.rs`), beside the workers and never on them, holds the TCP connections
//!   over tokio-uring, or over tokio where io_uring is refused.
//! - **The secure thread** (`secure/`) does the same over tokio for the encrypted transports; a transport is a row of the
//!   match in `secure/mod.rs`, and those over QUIC have their room in `quic/`. What it costs to be greeted there is not
//!   felt by the others.
//!
//! Listeners come and go while the threads run: [`Running::open`], [`Running::serve`] and [`Running::close`]; `orders.rs`
//! is how a worker learns of it.
//!
//! An answer that has to be waited for is no affair of these threads: `later.rs` says where it is sent once it is there,
//! and over UDP it does not come back to the worker at all.
//!
//! On a worker nothing is allocated, locked, logged or formatted per query, and no clock is read; buffers are made at
//! start. All `unsafe` code of zonda lives in `ring.rs` with its parts, and in `mmsg.rs`, but for the hint of `prefetch.rs`.

mod buffers;
mod carried;
mod connection;
mod counters;
mod datagram;
mod error;
mod http;
mod later;
mod mmsg;
mod options;
mod orders;
mod quic;
mod registry;
mod ring;
mod running;
mod secure;
mod socket;
mod stop;
mod stream;
#[cfg(test)]
mod tests;
mod transport;
mod ways;
mod worker;

use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

#[doc(hidden)]
pub use carried::fuzz_check as fuzz_carried;
pub use counters::{StreamTotals, Totals, WorkerTotals};
pub use error::NetError;
pub use options::{IoChoice, Options, StreamLimits, Way, WayIn};
pub use running::{Meter, NewListeners, Running, start};

use crate::plugin;
pub use crate::plugin::{AHEAD, Arrival, Caps, Later, Listener, Timeouts, Transport};
use crate::plugin::{Server, Switch, Worker};

/// Listeners beyond those of the start that may be open at once.
const LISTENERS_MORE: usize = 256;

/// Answers messages on one thread. Made on that thread by [`Responders::responder`], it need not be `Send`.
///
/// A panic in it costs the message it was about, and the responder: the thread goes on with a new one.
pub trait Responder {
    /// Some messages that came together.
    type Batch<'r>: Batch
    where
        Self: 'r;

    /// Begins a batch, all of which has been received: the moment to look for a new snapshot.
    fn batch(&mut self) -> Self::Batch<'_>;

    /// What TCP clients of a listener may take, where that differs from [`StreamLimits`].
    fn timeouts(&self, _listener: usize) -> Option<Timeouts> {
        None
    }

    /// What clients of a listener may have at once, at this moment.
    fn caps(&mut self, _listener: usize) -> Caps {
        Caps::default()
    }

    /// How TLS is spoken on a listener at this moment; None is clear text.
    fn tls(&mut self, _listener: usize) -> Option<Arc<ServerConfig>> {
        None
    }

    /// Told of the status of each response on a listener whose transport has such a thing.
    fn count_status(&mut self, _listener: usize, _status: u16) {}
}

/// Makes the responders, one a thread.
pub trait Responders: Send + Sync + 'static {
    /// What answers on a thread.
    type R: Responder;

    /// Makes one, on the thread that will call it.
    fn responder(&self) -> Self::R;
}

/// What answers the messages of one batch. Up to [`AHEAD`] of them are read, then fetched for, and then answered, so that
/// what their answers need has time to come from memory; each has its place below `AHEAD` meanwhile.
pub trait Batch {
    /// Reads a message that came in on a listener, and asks the memory for the first of what its answer needs.
    fn read(&mut self, _place: usize, _message: &[u8], _listener: usize) {}

    /// Asks the memory for the rest.
    fn fetch(&mut self, _place: usize) {}

    /// The message that was met with silence last, if its answer only has to be waited for.
    fn later(&mut self) -> Option<Box<Later>> {
        None
    }

    /// Answers the message that was read at this place and stands in `buffer[..len]`. The answer is written over it from
    /// octet 0 and its length returned; `None` is silence over UDP and closes the connection over TCP.
    ///
    /// `buffer.len()` is the most the answer may take: 4,096 octets over UDP, 65,535 over TCP; a length beyond it counts
    /// as silence. What lies behind `len` is left over from other messages. A datagram too long for the buffer is handed
    /// over as its first 12 octets, a header without its question, which is FORMERR by any reading.
    fn answer(&mut self, place: usize, buffer: &mut [u8], len: usize, arrival: &Arrival) -> Option<usize>;
}

impl Responder for Worker {
    type Batch<'r> = plugin::Batch<'r>;

    #[inline]
    fn batch(&mut self) -> plugin::Batch<'_> {
        Self::batch(self)
    }

    fn timeouts(&self, listener: usize) -> Option<Timeouts> {
        Self::timeouts(self, listener)
    }

    fn caps(&mut self, listener: usize) -> Caps {
        Self::caps(self, listener)
    }

    fn tls(&mut self, listener: usize) -> Option<Arc<ServerConfig>> {
        Self::tls(self, listener)
    }

    fn count_status(&mut self, listener: usize, status: u16) {
        Self::count_status(self, listener, status);
    }
}

impl Batch for plugin::Batch<'_> {
    #[inline]
    fn read(&mut self, place: usize, message: &[u8], listener: usize) {
        Self::read(self, place, message, listener);
    }

    #[inline]
    fn fetch(&mut self, place: usize) {
        Self::fetch(self, place);
    }

    fn later(&mut self) -> Option<Box<Later>> {
        Self::later(self)
    }

    #[inline]
    fn answer(&mut self, place: usize, buffer: &mut [u8], _: usize, arrival: &Arrival) -> Option<usize> {
        Self::answer(self, place, buffer, arrival)
    }
}

/// What needs no more than the message itself.
impl<F: FnMut(&mut [u8], usize, &Arrival) -> Option<usize>> Batch for F {
    #[inline]
    fn answer(&mut self, _: usize, buffer: &mut [u8], len: usize, arrival: &Arrival) -> Option<usize> {
        self(buffer, len, arrival)
    }
}

/// What needs nothing else either.
impl<F: FnMut(&mut [u8], usize, &Arrival) -> Option<usize>> Responder for F {
    type Batch<'r>
        = &'r mut Self
    where
        Self: 'r;

    #[inline]
    fn batch(&mut self) -> &mut Self {
        self
    }
}

impl Responders for Arc<Server> {
    type R = Worker;

    fn responder(&self) -> Worker {
        self.worker()
    }
}

impl Responders for Arc<Switch> {
    type R = Worker;

    fn responder(&self) -> Worker {
        self.worker()
    }
}
