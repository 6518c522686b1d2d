//! Who is connected over QUIC: the caps on connections and on streams, for all endpoints of the thread, and their end.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use quinn::{Connection, Endpoint};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::answers::Untaken;
use super::streams::Codes;
use crate::net::registry::{Full, Id, Registry};

/// All connections of the thread, from the beginning of their handshakes.
pub(in crate::net) struct Peers {
    registry: RefCell<Registry<Peer>>,
    /// The listeners that are open.
    doors: RefCell<BTreeMap<usize, Door>>,
    /// Connections whose handshake is under way.
    handshakes: Cell<usize>,
    /// What the streams with a query under way take.
    seats: Cell<usize>,
    /// Told whenever a connection has gone.
    gone: Notify,
}

/// A listener.
#[derive(Clone)]
struct Door {
    endpoint: Endpoint,
    /// What takes its connections.
    accepting: AbortHandle,
    /// How it is said there why something ends.
    codes: Codes,
}

/// One connection as others see it.
struct Peer {
    /// How it is told why it ends.
    codes: Codes,
    /// It, once its handshake is done.
    connection: OnceCell<Connection>,
    /// Told when it has to end: with its answers, or at once while its handshake is under way.
    told: Notify,
}

/// A connection's place among its peers; given back when dropped.
pub(super) struct Seat {
    id: Id,
    peer: Rc<Peer>,
    peers: Rc<Peers>,
    untaken: Rc<Untaken>,
}

/// A stream's place; given back when dropped.
pub(super) struct StreamSeat {
    peers: Rc<Peers>,
    seats: usize,
    /// The answers of its connection.
    pub(super) untaken: Rc<Untaken>,
}

impl Peers {
    /// None so far.
    pub(in crate::net) fn new(connections_max: usize, per_source_max: usize) -> Self {
        Self {
            registry: RefCell::new(Registry::new(connections_max, per_source_max)),
            doors: RefCell::default(),
            handshakes: Cell::new(0),
            seats: Cell::new(0),
            gone: Notify::new(),
        }
    }

    /// An endpoint takes connections from now on.
    pub(super) fn open(&self, listener: usize, codes: Codes, endpoint: Endpoint, accepting: AbortHandle) {
        self.doors.borrow_mut().insert(listener, Door { endpoint, accepting, codes });
    }

    /// Takes no more connections on a listener; those that are there are let go once they have the answers to what they
    /// have sent, and the socket is closed behind the last.
    pub(in crate::net) fn close(&self, listener: usize) {
        let closed = self.doors.borrow_mut().remove(&listener);
        if let Some(Door { endpoint, accepting, .. }) = closed {
            endpoint.set_server_config(None);
            accepting.abort();
            self.registry.borrow().streams_of(listener).for_each(|peer| peer.told.notify_one());
        }
    }

    /// The same for all listeners. Gives up after `grace`.
    pub(in crate::net) async fn end(&self, grace: Duration) {
        let doors = self.doors.borrow().clone();
        doors.keys().for_each(|listener| self.close(*listener));
        let gone = async {
            while self.count() > 0 {
                self.gone.notified().await;
            }
        };
        timeout(grace, gone).await.ok();
        doors.values().for_each(|door| door.endpoint.close(door.codes.no_error, b""));
        let heard = async {
            for door in doors.values() {
                door.endpoint.wait_idle().await;
            }
        };
        timeout(END_WAIT, heard).await.ok();
    }

    /// Takes a connection whose handshake begins, on a listener that may have no more than so many; gives how many others
    /// had to give way.
    pub(super) fn admit(
        peers: &Rc<Self>,
        client: IpAddr,
        listener: usize,
        listener_max: Option<usize>,
        codes: Codes,
    ) -> Result<(Seat, usize), Full> {
        let peer = Rc::new(Peer { codes, connection: OnceCell::new(), told: Notify::new() });
        let (id, evicted) = peers.registry.borrow_mut().admit(client, listener, listener_max, Rc::clone(&peer))?;
        for evicted in &evicted {
            match evicted.connection.get() {
                Some(connection) => connection.close(evicted.codes.excessive_load, b""),
                None => evicted.told.notify_one(),
            }
        }
        peers.handshakes.set(peers.handshakes.get() + 1);
        let seat = Seat { id, peer, peers: Rc::clone(peers), untaken: Rc::default() };
        Ok((seat, evicted.len()))
    }

    /// Whether the next connection may come from anywhere: handshakes are few, and no other has to go for it.
    pub(super) fn has_room(&self, client: IpAddr, listener: usize, listener_max: Option<usize>) -> bool {
        self.handshakes.get() < RETRY_FROM && self.registry.borrow().has_room(client, listener, listener_max)
    }

    /// All connections.
    pub(in crate::net) fn count(&self) -> usize {
        self.registry.borrow().len()
    }
}

impl Seat {
    /// The handshake is done.
    pub(super) fn made(&self, connection: &Connection) {
        if self.peer.connection.set(connection.clone()).is_ok() {
            self.peers.handshakes.set(self.peers.handshakes.get() - 1);
        }
    }

    /// A query is under way.
    pub(super) fn set_busy(&self) {
        self.peers.registry.borrow_mut().set_busy(self.id);
    }

    /// None is.
    pub(super) fn set_idle(&self) {
        self.peers.registry.borrow_mut().set_idle(self.id);
    }

    /// Waits until the connection has to end.
    pub(super) async fn told(&self) {
        self.peer.told.notified().await;
    }

    /// Takes a stream beside so many others, if the seats that it takes are to be had.
    pub(super) fn admit_stream(&self, seats: usize, others: usize) -> Option<StreamSeat> {
        let taken = self.peers.seats.get() + seats;
        if taken > SEATS_MANY && (taken > SEATS_ALL || others >= STREAMS_FEW) {
            return None;
        }
        self.peers.seats.set(taken);
        Some(StreamSeat { peers: Rc::clone(&self.peers), seats, untaken: Rc::clone(&self.untaken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.peer.connection.get().is_none() {
            self.peers.handshakes.set(self.peers.handshakes.get() - 1);
        }
        self.peers.registry.borrow_mut().remove(self.id);
        self.peers.gone.notify_one();
    }
}

impl Drop for StreamSeat {
    fn drop(&mut self) {
        self.peers.seats.set(self.peers.seats.get() - self.seats);
    }
}

/// Handshakes at once from which on clients have to show their address.
const RETRY_FROM: usize = 64;

/// Seats of all streams at once. One is what a stream takes while a client drips its query into it: some two kilobytes.
const SEATS_ALL: usize = 32_768;

/// So many, and who has more than a few streams gets no more, so that no single source can have them all.
const SEATS_MANY: usize = SEATS_ALL / 2;

/// What are a few streams of one connection.
const STREAMS_FEW: usize = 8;

/// How long clients may take to hear that an endpoint has been closed.
const END_WAIT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn who_has_many_streams_gets_no_more_once_half_of_all_seats_are_taken() {
        let peers = Rc::new(Peers::new(1, 1));
        let codes = Codes { no_error: 0_u8.into(), excessive_load: 1_u8.into() };
        let Ok((seat, _)) = Peers::admit(&peers, Ipv4Addr::LOCALHOST.into(), 0, None, codes) else { panic!("no room") };
        let half = seat.admit_stream(SEATS_MANY, 255);
        assert!(half.is_some());
        assert!(seat.admit_stream(1, STREAMS_FEW).is_none());
        let rest = seat.admit_stream(SEATS_ALL - SEATS_MANY, STREAMS_FEW - 1);
        assert!(rest.is_some());
        assert!(seat.admit_stream(1, 0).is_none());
        drop(half);
        assert!(seat.admit_stream(1, 0).is_some());
        drop(rest);
        assert!(seat.admit_stream(SEATS_MANY, 255).is_some());
        assert_eq!(peers.seats.get(), 0);
    }
}
