//! Who is connected and asks for nothing: where there is no room, who has been silent for longest gives way.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// The connections that are between two requests, or before their first one.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Silent>>);

/// Silent connections in the order in which they fell silent.
#[derive(Default)]
struct Silent {
    by_number: BTreeMap<u64, Arc<Notify>>,
    /// How often one fell silent.
    count: u64,
}

/// One connection; it counts until it is dropped.
pub(super) struct Guest {
    guests: Guests,
    leave: Arc<Notify>,
    /// Its place among those that are silent.
    number: Mutex<Option<u64>>,
}

/// A request under way; its connection is silent again when this is dropped.
pub(super) struct Busy(Arc<Guest>);

impl Guests {
    /// A connection that has just come.
    pub(super) fn admit(&self) -> Arc<Guest> {
        let guest = Guest { guests: self.clone(), leave: Arc::default(), number: Mutex::default() };
        guest.fall_silent();
        Arc::new(guest)
    }

    /// Asks the connection to leave that has been silent for longest; false if none is.
    pub(super) fn dismiss(&self) -> bool {
        let oldest = self.silent().by_number.pop_first();
        oldest.inspect(|(_, leave)| leave.notify_one()).is_some()
    }

    /// The silent ones.
    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Notes that a request of it has come.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.speak();
        Busy(Arc::clone(self))
    }

    /// Returns when it is asked to leave.
    pub(super) async fn wait(&self) {
        self.leave.notified().await;
    }

    /// Whether a request of it is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.number().is_none()
    }

    /// Puts it among those that are silent.
    fn fall_silent(&self) {
        let mut silent = self.guests.silent();
        silent.count += 1;
        let number = silent.count;
        silent.by_number.insert(number, Arc::clone(&self.leave));
        *self.number() = Some(number);
    }

    /// Takes it from there.
    fn speak(&self) {
        let mut silent = self.guests.silent();
        if let Some(number) = self.number().take() {
            silent.by_number.remove(&number);
        }
    }

    /// Its place.
    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.speak();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fall_silent();
    }
}

impl Busy {
    /// A body that lasts as long as the request is under way.
    pub(super) fn around(self, body: Body) -> Body {
        Body::new(Answering { body, _busy: self })
    }
}

/// A body, and the request that it answers.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a connection has been asked to leave.
    fn is_asked(guest: &Guest) -> bool {
        let mut leave = std::pin::pin!(guest.wait());
        leave.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn who_has_been_silent_for_longest_gives_way() {
        let guests = Guests::default();
        let [first, second, third] = std::array::from_fn(|_| guests.admit());
        // The first one has asked meanwhile, and the second one is being answered.
        drop(first.begin());
        let answer = second.begin().around(Body::empty());
        assert!(guests.dismiss());
        assert_eq!([is_asked(&first), is_asked(&second), is_asked(&third)], [false, false, true]);
        assert!(guests.dismiss());
        assert_eq!([is_asked(&first), is_asked(&second)], [true, false]);
        assert!(!guests.dismiss(), "who is being answered stays");
        drop(answer);
        assert!(guests.dismiss());
        assert!(is_asked(&second));
        let gone = guests.admit();
        drop(gone);
        assert!(!guests.dismiss(), "who has gone is not asked");
    }
}
