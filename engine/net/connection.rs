//! One connection over TCP, or over TLS: messages behind their lengths, several at a time, within limits of time and memory.
//!
//! RFC 7766 §6.2.1: a client may send further queries without waiting for answers. What one read brings is answered in
//! order and leaves in as few writes as possible. Nothing is read while answers wait to be taken, so that a client that
//! does not read is held by TCP's own window, and costs no more than one batch of answers. Answers that come later leave
//! when they are there, behind those to messages that came after (RFC 7766 §7).

use std::io;
use std::mem;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::Arrival;
use super::Responders;
use super::counters::Counter;
use super::later::Answers;
use super::registry::Id;
use super::stream::{Shared, Times};
use super::transport::Stream;

/// Serves a connection until either side has had enough.
pub(super) async fn serve<T: Stream, S, F: Responders>(
    id: Id,
    stream: &T,
    mut arrival: Arrival,
    shared: &Shared<S, F>,
) {
    let mut incoming = Incoming::new(shared);
    let mut times = shared.times(arrival.listener);
    let mut queries = 0;
    let mut deadline = Instant::now() + times.idle;
    let mut answers = Answers::new();
    loop {
        let begun = !incoming.octets.is_empty();
        let mut reading = pin!(stream.read(mem::take(&mut incoming.octets)));
        let read = loop {
            if !answers.any() {
                break timeout_at(deadline, reading.as_mut()).await;
            }
            tokio::select! {
                read = timeout_at(deadline, reading.as_mut()) => match read {
                    // Who waits for an answer is not idle.
                    Err(_) if !begun => deadline = Instant::now() + times.idle,
                    read => break read,
                },
                answer = answers.next() => {
                    if pass_on(stream, answer, times.write, shared).await.is_err() {
                        return;
                    }
                    if !begun && !answers.any() {
                        shared.registry.borrow_mut().set_idle(id);
                        deadline = Instant::now() + times.idle;
                    }
                }
            }
        };
        let Ok((result, octets)) = read else {
            let counters = &shared.counters;
            count(if begun { &counters.closed_slow } else { &counters.closed_idle });
            return;
        };
        incoming.octets = octets;
        match result {
            Ok(1..) => {}
            Ok(0) => {
                let _ = pass_all_on(stream, &mut answers, times.write, shared).await;
                return;
            }
            Err(error) => {
                count_lost(&error, shared);
                return;
            }
        }
        if !begun {
            shared.registry.borrow_mut().set_busy(id);
        }
        // What clients are told is what counts for their connection (RFC 7828 §3.3.2).
        arrival.idle = Some(times.idle);
        let left = times.queries_max - queries;
        let whole = match answer_all(stream, &mut incoming, &mut answers, &arrival, left, times.write, shared).await {
            Ok(whole) => whole,
            Err(Close) => return,
        };
        queries += whole;
        if queries == times.queries_max {
            let _ = pass_all_on(stream, &mut answers, times.write, shared).await;
            stream.shutdown(Shutdown::Write);
            return;
        }
        // A new configuration counts for connections that stay, too.
        let queries_max = times.queries_max;
        times = Times { queries_max, ..shared.times(arrival.listener) };
        if incoming.octets.is_empty() {
            if !answers.any() {
                shared.registry.borrow_mut().set_idle(id);
            }
            deadline = Instant::now() + times.idle;
        } else if whole > 0 || !begun {
            // What is left is the beginning of a message, and its time begins.
            deadline = Instant::now() + times.message;
        }
        if incoming.make_room().is_err() {
            count(&shared.counters.closed_full);
            return;
        }
    }
}

/// The connection is to be closed; why has been counted.
struct Close;

/// Answers all messages that are whole, up to a number of them, and returns how many that were.
async fn answer_all<T: Stream, S, F: Responders>(
    stream: &T,
    incoming: &mut Incoming<'_, S, F>,
    answers: &mut Answers,
    arrival: &Arrival,
    max: u64,
    write_time: Duration,
    shared: &Shared<S, F>,
) -> Result<u64, Close> {
    let mut whole = 0;
    let mut done = 0;
    loop {
        let mut out = Vec::new();
        let mut garbage = false;
        while out.len() < BATCH_BYTES
            && !garbage
            && whole < max
            && !answers.full()
            && let Some(message) = next_message(&incoming.octets[done..])
        {
            done += 2 + message.len();
            whole += 1;
            // Nothing can be said to an empty message, not even its id.
            garbage = message.is_empty() || !shared.answer(message, arrival, &mut out, answers);
        }
        let last = out.len() < BATCH_BYTES && !answers.full();
        if !out.is_empty() {
            write(stream, out, write_time, shared).await?;
        }
        if garbage {
            pass_all_on(stream, answers, write_time, shared).await?;
            count(&shared.counters.closed_garbage);
            stream.shutdown(Shutdown::Write);
            return Err(Close);
        }
        if last {
            incoming.consumed(done);
            return Ok(whole);
        }
        while answers.full() {
            let answer = answers.next().await;
            pass_on(stream, answer, write_time, shared).await?;
        }
    }
}

/// Writes an answer that came later, if there is one.
async fn pass_on<T: Stream, S, F: Responders>(
    stream: &T,
    answer: Option<Vec<u8>>,
    time: Duration,
    shared: &Shared<S, F>,
) -> Result<(), Close> {
    let Some(answer) = answer else { return Ok(()) };
    shared.counters.answered.add(1);
    write(stream, answer, time, shared).await
}

/// Waits for all answers that are still to come, and writes them.
async fn pass_all_on<T: Stream, S, F: Responders>(
    stream: &T,
    answers: &mut Answers,
    time: Duration,
    shared: &Shared<S, F>,
) -> Result<(), Close> {
    while answers.any() {
        let answer = answers.next().await;
        pass_on(stream, answer, time, shared).await?;
    }
    Ok(())
}

/// Writes answers within the time that a client has to take them.
async fn write<T: Stream, S, F: Responders>(
    stream: &T,
    out: Vec<u8>,
    time: Duration,
    shared: &Shared<S, F>,
) -> Result<(), Close> {
    let Some(_hold) = Hold::take(out.len() + T::HELD_BYTES, shared) else {
        count(&shared.counters.closed_full);
        return Err(Close);
    };
    match timeout(time, stream.write_all(out)).await {
        Ok((Ok(()), _)) => Ok(()),
        Ok((Err(error), _)) => {
            count_lost(&error, shared);
            Err(Close)
        }
        Err(_) => {
            count(&shared.counters.closed_slow);
            Err(Close)
        }
    }
}

/// Counts a connection that failed, if it did because the client took nothing: the kernel's own patience
/// (TCP_USER_TIMEOUT) may end before ours.
fn count_lost<S, F: Responders>(error: &io::Error, shared: &Shared<S, F>) {
    if error.kind() == io::ErrorKind::TimedOut {
        count(&shared.counters.closed_slow);
    }
}

/// The message at the beginning of `octets`, if it is whole (RFC 1035 §4.2.2).
pub(super) fn next_message(octets: &[u8]) -> Option<&[u8]> {
    let (len, rest) = octets.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

/// What has been received and not been answered. Between messages it takes `IDLE_BYTES`; it grows while a long message
/// comes in, with the octets that have really come, and for clients that send many at a time.
struct Incoming<'a, S, F: Responders> {
    /// The octets; what is spare is read into.
    octets: Vec<u8>,
    /// What it holds of the memory that all connections share, beyond `IDLE_BYTES`.
    hold: Option<Hold<'a, S, F>>,
    /// For taking hold of more.
    shared: &'a Shared<S, F>,
    /// The last read left no spare octet.
    filled: bool,
}

impl<'a, S, F: Responders> Incoming<'a, S, F> {
    /// Of the smallest size.
    fn new(shared: &'a Shared<S, F>) -> Self {
        Self { octets: Vec::with_capacity(IDLE_BYTES), hold: None, shared, filled: false }
    }

    /// Forgets the first `count` octets.
    fn consumed(&mut self, count: usize) {
        self.filled = self.octets.len() == self.octets.capacity();
        self.octets.drain(..count);
    }

    /// Makes room for the next read. An error when all connections together hold too much.
    fn make_room(&mut self) -> Result<(), Close> {
        let capacity = self.octets.capacity();
        let wanted = if self.octets.is_empty() {
            // Clients that fill what they are given get more of it, up to a point; others go back to the least.
            if self.filled { (2 * capacity).min(PIPELINE_BYTES) } else { IDLE_BYTES }
        } else if self.octets.len() == capacity {
            (2 * capacity).min(MESSAGE_BYTES)
        } else {
            capacity
        };
        if wanted == capacity {
            return Ok(());
        }
        self.hold = None;
        let mut octets = Vec::with_capacity(wanted);
        octets.extend_from_slice(&self.octets);
        self.octets = octets;
        if wanted > IDLE_BYTES {
            self.hold = Some(Hold::take(wanted - IDLE_BYTES, self.shared).ok_or(Close)?);
        }
        Ok(())
    }
}

/// Memory that a connection holds out of what all may hold together; given back when dropped.
pub(super) struct Hold<'a, S, F: Responders> {
    /// How much.
    bytes: usize,
    /// Where it is counted.
    shared: &'a Shared<S, F>,
}

impl<'a, S, F: Responders> Hold<'a, S, F> {
    /// Takes hold of so many octets, if they are to be had.
    pub(super) fn take(bytes: usize, shared: &'a Shared<S, F>) -> Option<Self> {
        shared.hold(bytes).then(|| Self { bytes, shared })
    }
}

impl<S, F: Responders> Drop for Hold<'_, S, F> {
    fn drop(&mut self) {
        self.shared.let_go(self.bytes);
    }
}

/// Counts one.
fn count(counter: &Counter) {
    counter.add(1);
}

/// What an idle connection holds: enough for every ordinary query.
const IDLE_BYTES: usize = 512;

/// What a client that sends many queries at a time may fill with one read.
const PIPELINE_BYTES: usize = 16384;

/// The longest message with its length.
const MESSAGE_BYTES: usize = 2 + 65535;

/// Answers are written when there are so many octets of them, or no more messages.
const BATCH_BYTES: usize = 16384;
