//! Who is connected: where there is no room, who has been silent for longest gives way, and no source takes all of it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// All connections; silent are those that are between two requests, or before their first one.
#[derive(Clone, Default)]
pub(super) struct Guests(Arc<Mutex<Known>>);

/// What is known of them.
#[derive(Default)]
struct Known {
    /// The silent ones in the order in which they fell silent, with their sources.
    silent: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    /// How often one fell silent.
    count: u64,
    /// How many each source has.
    by_source: HashMap<IpAddr, usize>,
}

/// One connection; it counts until it is dropped.
pub(super) struct Guest {
    guests: Guests,
    source: IpAddr,
    leave: Arc<Notify>,
    /// Its place among those that are silent.
    number: Mutex<Option<u64>>,
}

/// A request under way; its connection is silent again when this is dropped.
pub(super) struct Busy(Arc<Guest>);

impl Guests {
    /// A connection that has just come from an address. Where its source has [`SOURCE_MAX`] already, the one of them leaves
    /// that has been silent for longest; `None` if none is.
    pub(super) fn admit(&self, from: IpAddr) -> Option<Arc<Guest>> {
        let source = source(from);
        let mut known = self.known();
        if known.by_source.get(&source).is_some_and(|count| *count >= SOURCE_MAX) {
            let oldest = known.silent.iter().find(|(_, (of, _))| *of == source).map(|(number, _)| *number)?;
            known.silent.remove(&oldest).inspect(|(_, leave)| leave.notify_one());
        }
        *known.by_source.entry(source).or_default() += 1;
        drop(known);
        let guest = Guest { guests: self.clone(), source, leave: Arc::default(), number: Mutex::default() };
        guest.fall_silent();
        Some(Arc::new(guest))
    }

    /// Asks the connection to leave that has been silent for longest; false if none is.
    pub(super) fn dismiss(&self) -> bool {
        let oldest = self.known().silent.pop_first();
        oldest.inspect(|(_, (_, leave))| leave.notify_one()).is_some()
    }

    /// All of them.
    fn known(&self) -> MutexGuard<'_, Known> {
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
        let mut known = self.guests.known();
        known.count += 1;
        let number = known.count;
        known.silent.insert(number, (self.source, Arc::clone(&self.leave)));
        *self.number() = Some(number);
    }

    /// Takes it from there.
    fn speak(&self) {
        let mut known = self.guests.known();
        if let Some(number) = self.number().take() {
            known.silent.remove(&number);
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
        let mut known = self.guests.known();
        if let Some(count) = known.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                known.by_source.remove(&self.source);
            }
        }
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

/// Whom an address belongs to: itself, or a network of IPv6.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> SOURCE_PREFIX))),
        ip => ip,
    }
}

/// Connections of one source: three quarters of all, as a proxy may stand for many.
const SOURCE_MAX: usize = 384;

/// Bits of an IPv6 address that one source has.
const SOURCE_PREFIX: u32 = 64;

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
        let from = IpAddr::from([192, 0, 2, 1]);
        let [first, second, third] = std::array::from_fn(|_| guests.admit(from).unwrap());
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
        let gone = guests.admit(from);
        drop(gone);
        assert!(!guests.dismiss(), "who has gone is not asked");
    }

    #[test]
    fn no_source_takes_all_room() {
        let guests = Guests::default();
        let network = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let all: Vec<_> = (0..SOURCE_MAX).map(|at| guests.admit(network(at as u16)).unwrap()).collect();
        let busy: Vec<_> = all[1..].iter().map(Guest::begin).collect();
        let next = guests.admit(network(9)).unwrap();
        assert!(is_asked(&all[0]));
        let _asking = next.begin();
        assert!(guests.admit(network(10)).is_none(), "all of them are being answered");
        assert!(guests.admit(IpAddr::from([192, 0, 2, 1])).is_some());
        drop((busy, all));
        assert!(guests.admit(network(10)).is_some());
    }
}
