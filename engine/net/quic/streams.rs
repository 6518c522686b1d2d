//! The streams of a connection: each is taken as it comes, and what is exchanged on it is a task, until either side has
//! had enough.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, VarInt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::peers::{Seat, StreamSeat};
use crate::net::buffers::Buffers;
use crate::net::connection::Hold;
use crate::net::stream::{Shared, Times};
use crate::net::{Arrival, Responders};

/// What is spoken on a connection.
pub(super) trait Speech: Sized + 'static {
    /// How it says why something ends.
    const CODES: Codes;

    /// How many seats a stream takes ([`Seat::admit_stream`]).
    const SEATS: usize;

    /// Streams at once on which only the client speaks.
    const ONE_WAY_MAX: u8;

    /// A stream that a client has begun.
    type Stream;

    /// Begins to speak on a connection; None if the client does not let it.
    async fn begin(connection: &Connection, buffers: &Arc<Buffers>) -> Option<Self>;

    /// Waits for the next stream; None once the client is gone, or has had enough.
    async fn accept(&mut self) -> Result<Option<Self::Stream>, Violation>;

    /// Turns one away for which there is no room.
    fn refuse(&mut self, stream: Self::Stream);

    /// Says that no more streams are wanted, if that can be said.
    async fn part(&mut self) {}

    /// Does on a stream what is done on it.
    fn exchange<S: 'static, F: Responders>(
        &self,
        stream: Self::Stream,
        seat: StreamSeat,
        arrival: Arrival,
        shared: Rc<Shared<S, F>>,
    ) -> impl Future<Output = Result<(), Violation>> + 'static;
}

/// The codes that connections and streams are closed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codes {
    /// There was no error.
    pub(super) no_error: VarInt,
    /// There is no room.
    pub(super) excessive_load: VarInt,
}

/// The client did what it must not; the connection is to be closed with this code.
pub(super) struct Violation(pub(super) VarInt);

/// Serves a connection until either side has had enough.
pub(super) async fn serve<P: Speech, S: 'static, F: Responders>(
    mut speech: P,
    connection: &Connection,
    arrival: &Arrival,
    seat: &Seat,
    shared: &Rc<Shared<S, F>>,
) {
    let mut exchanges = JoinSet::new();
    let mut times = shared.times(arrival.listener);
    let mut deadline = Instant::now() + times.idle;
    let mut queries = 0;
    let mut is_told = false;
    let violated = |Violation(code)| {
        shared.counters.closed_garbage.add(1);
        connection.close(code, b"");
    };
    loop {
        let idle = exchanges.is_empty();
        if idle && queries >= times.queries_max {
            return connection.close(P::CODES.no_error, b"");
        }
        tokio::select! {
            biased;
            ended = exchanges.join_next(), if !idle => {
                if let Some(Ok(Err(violation))) = ended {
                    return violated(violation);
                }
                if exchanges.is_empty() {
                    seat.set_idle();
                    // A new configuration counts for connections that stay, too.
                    times = Times { queries_max: times.queries_max, ..shared.times(arrival.listener) };
                    if !is_told {
                        deadline = Instant::now() + times.idle;
                    }
                }
            }
            () = seat.told(), if !is_told => {
                // What is on its way is still answered.
                is_told = true;
                speech.part().await;
                deadline = Instant::now() + ENDING;
            }
            () = sleep_until(deadline), if idle || is_told && queries < times.queries_max => {
                if idle {
                    shared.counters.closed_idle.add(u64::from(!is_told));
                    return connection.close(P::CODES.no_error, b"");
                }
                // Nothing more is taken.
                times.queries_max = queries;
            }
            accepted = speech.accept(), if queries < times.queries_max => {
                let stream = match accepted {
                    Ok(Some(stream)) => stream,
                    Ok(None) => return,
                    Err(violation) => return violated(violation),
                };
                let Some(stream_seat) = seat.admit_stream(P::SEATS, exchanges.len()) else {
                    shared.counters.closed_full.add(1);
                    speech.refuse(stream);
                    continue;
                };
                queries += 1;
                if idle {
                    seat.set_busy();
                }
                exchanges.spawn_local(speech.exchange(stream, stream_seat, *arrival, Rc::clone(shared)));
            }
        }
    }
}

/// What has been read of a message, and the memory that it holds.
pub(super) struct Gathered<'s, S, F: Responders> {
    /// The octets.
    pub(super) octets: Vec<u8>,
    /// What they hold of the memory that all connections share.
    hold: Option<Hold<'s, S, F>>,
    shared: &'s Shared<S, F>,
}

/// Why no more can be gathered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// It is longer than a message.
    TooLong,
    /// All connections together hold too much.
    Full,
}

impl<'s, S, F: Responders> Gathered<'s, S, F> {
    /// Nothing so far.
    pub(super) fn new(shared: &'s Shared<S, F>) -> Self {
        Self { octets: Vec::new(), hold: None, shared }
    }

    /// Adds what has come, up to a length of all.
    pub(super) fn add(&mut self, chunk: &[u8], bytes_max: usize) -> Result<(), Excess> {
        let len = self.octets.len() + chunk.len();
        if len > bytes_max {
            return Err(Excess::TooLong);
        }
        if len > self.octets.capacity() {
            let capacity = len.max(2 * self.octets.capacity()).min(bytes_max);
            if capacity > FREE_BYTES {
                self.hold = None;
                self.hold = Some(Hold::take(capacity - FREE_BYTES, self.shared).ok_or(Excess::Full)?);
            }
            self.octets.reserve_exact(capacity - self.octets.len());
        }
        self.octets.extend_from_slice(chunk);
        Ok(())
    }
}

/// What a stream may bring without holding any of the memory that all connections share: every ordinary query.
const FREE_BYTES: usize = 512;

/// Once a connection has been told to end, what begins after so long is not taken any more.
pub(super) const ENDING: Duration = Duration::from_millis(100);
