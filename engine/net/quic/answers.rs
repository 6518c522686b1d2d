//! The answers of a connection, until its client has taken them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::net::connection::Hold;
use crate::net::stream::Shared;
use crate::net::{Arrival, Responders};

/// Octets of answers that a client has not taken. Once there are many, it gets no more until it has taken some: what all
/// connections may hold is not for a few of them.
#[derive(Default)]
pub(super) struct Untaken {
    bytes: Cell<usize>,
    /// Told when there are fewer.
    fewer: Notify,
}

/// The memory that an answer holds.
pub(super) struct Held<'s, S, F: Responders> {
    bytes: usize,
    untaken: Rc<Untaken>,
    _hold: Hold<'s, S, F>,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// There is none to this message.
    Silence,
    /// There is no room for one.
    Full,
}

/// Has a message answered once there is room for the answer, which is waited for so long.
pub(super) async fn answer_to<'s, S, F: Responders>(
    message: &[u8],
    arrival: &Arrival,
    untaken: &Rc<Untaken>,
    time: Duration,
    shared: &'s Shared<S, F>,
) -> Result<(Vec<u8>, Held<'s, S, F>), Unanswered> {
    if timeout(time, untaken.room()).await.is_err() {
        shared.counters.closed_slow.add(1);
        return Err(Unanswered::Full);
    }
    let answer = shared.exchange(message, arrival).await.ok_or(Unanswered::Silence)?;
    let Some(hold) = Hold::take(answer.len(), shared) else {
        shared.counters.closed_full.add(1);
        return Err(Unanswered::Full);
    };
    untaken.bytes.set(untaken.bytes.get() + answer.len());
    let held = Held { bytes: answer.len(), untaken: Rc::clone(untaken), _hold: hold };
    Ok((answer, held))
}

impl Untaken {
    /// Waits until there are not too many.
    async fn room(&self) {
        while self.bytes.get() >= UNTAKEN_MAX {
            self.fewer.notified().await;
        }
    }
}

impl<S, F: Responders> Drop for Held<'_, S, F> {
    fn drop(&mut self) {
        self.untaken.bytes.set(self.untaken.bytes.get() - self.bytes);
        self.untaken.fewer.notify_waiters();
    }
}

/// So many octets, and the client gets no more answers: as many as two of the longest.
const UNTAKEN_MAX: usize = 2 * 65_535;
