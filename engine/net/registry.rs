//! Who is connected: caps on connections in all and per source, and which one goes when a cap is reached.

use std::collections::btree_map::Entry as TreeEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

/// All open connections of the stream thread. `S` is what closes one.
///
/// A connection is idle while it waits for the first octet of a message. Idle connections are kept in the order in which
/// they became so; all operations cost the logarithm of their number.
pub(super) struct Registry<S> {
    /// Connections at once.
    connections_max: usize,
    /// Connections at once from one source.
    per_source_max: usize,
    /// All connections.
    connections: HashMap<Id, Connection<S>>,
    /// Count and idle connections of each source.
    sources: HashMap<Source, OfSource>,
    /// All idle connections, the oldest first.
    idle: BTreeMap<Turn, Id>,
    /// Counts up; the number of the next connection and the next turn to idleness.
    next: u64,
}

/// Names a connection for as long as the thread lives.
pub(super) type Id = u64;

/// When a connection became idle, as an order without a clock.
type Turn = u64;

/// What a cap counts: an IPv4 address, or an IPv6 /64, which is what one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

/// One connection.
struct Connection<S> {
    /// Where it comes from.
    source: Source,
    /// Since when it is idle; `None` while it is not.
    idle: Option<Turn>,
    /// What closes it.
    stream: Rc<S>,
}

/// The connections of one source.
#[derive(Default)]
struct OfSource {
    /// All of them.
    count: usize,
    /// Those that are idle.
    idle: BTreeSet<Turn>,
}

/// Why a connection was not admitted: a cap is reached and none of those it counts is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<S> Registry<S> {
    /// An empty one. A cap of 0 counts as 1.
    pub(super) fn new(connections_max: usize, per_source_max: usize) -> Self {
        Self {
            connections_max: connections_max.max(1),
            per_source_max: per_source_max.max(1),
            connections: HashMap::new(),
            sources: HashMap::new(),
            idle: BTreeMap::new(),
            next: 0,
        }
    }

    /// Admits a connection, as idle. Where a cap is reached, the connection that has been idle for longest among those
    /// that the cap counts is forgotten and returned, for the caller to close.
    pub(super) fn admit(&mut self, client: IpAddr, stream: Rc<S>) -> Result<(Id, Option<Rc<S>>), Full> {
        let source = Source::of(client);
        let of_source = self.sources.get(&source);
        let evicted = if of_source.is_some_and(|of_source| of_source.count >= self.per_source_max) {
            let oldest = of_source.and_then(|of_source| of_source.idle.first()).and_then(|turn| self.idle.get(turn));
            Some(*oldest.ok_or(Full)?)
        } else if self.connections.len() >= self.connections_max {
            Some(*self.idle.values().next().ok_or(Full)?)
        } else {
            None
        };
        let evicted = evicted.and_then(|id| self.remove(id));
        let id = self.next;
        self.next += 1;
        self.sources.entry(source).or_default().count += 1;
        self.connections.insert(id, Connection { source, idle: None, stream });
        self.set_idle(id);
        Ok((id, evicted))
    }

    /// The connection waits for a message from now on.
    pub(super) fn set_idle(&mut self, id: Id) {
        self.set_busy(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let turn = self.next;
        self.next += 1;
        connection.idle = Some(turn);
        self.idle.insert(turn, id);
        self.sources.entry(connection.source).or_default().idle.insert(turn);
    }

    /// The connection has begun a message.
    pub(super) fn set_busy(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(turn) = connection.idle.take() else { return };
        if let TreeEntry::Occupied(entry) = self.idle.entry(turn) {
            entry.remove();
        }
        if let Some(of_source) = self.sources.get_mut(&connection.source) {
            of_source.idle.remove(&turn);
        }
    }

    /// Forgets a connection; nothing when it has been evicted before.
    pub(super) fn remove(&mut self, id: Id) -> Option<Rc<S>> {
        self.set_busy(id);
        let connection = self.connections.remove(&id)?;
        if let Some(of_source) = self.sources.get_mut(&connection.source) {
            of_source.count -= 1;
            if of_source.count == 0 {
                self.sources.remove(&connection.source);
            }
        }
        Some(connection.stream)
    }

    /// Forgets the connection that has been idle for longest.
    pub(super) fn remove_oldest_idle(&mut self) -> Option<Rc<S>> {
        let id = *self.idle.values().next()?;
        self.remove(id)
    }

    /// All connections.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Rc<S>> {
        self.connections.values().map(|connection| &connection.stream)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }
}

impl Source {
    /// The source that an address belongs to.
    fn of(client: IpAddr) -> Self {
        match client {
            IpAddr::V4(_) => Self(client),
            IpAddr::V6(ip) => Self(Ipv6Addr::from(u128::from(ip) >> 64 << 64).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Admits a connection named by a number.
    fn admit(registry: &mut Registry<u32>, client: &str, name: u32) -> Result<(Id, Option<u32>), Full> {
        let client = client.parse().expect("an address");
        registry.admit(client, Rc::new(name)).map(|(id, evicted)| (id, evicted.map(|evicted| *evicted)))
    }

    /// The cap in all takes the oldest idle connection, and one that became idle again is not the oldest.
    #[test]
    fn oldest_idle_goes_first() {
        let mut registry = Registry::new(3, 3);
        let (first, _) = admit(&mut registry, "192.0.2.1", 1).expect("room");
        admit(&mut registry, "192.0.2.2", 2).expect("room");
        admit(&mut registry, "192.0.2.3", 3).expect("room");
        registry.set_busy(first);
        registry.set_idle(first);
        let (_, evicted) = admit(&mut registry, "192.0.2.4", 4).expect("room is made");
        assert_eq!(evicted, Some(2));
        assert_eq!(registry.len(), 3);
    }

    /// Connections in the middle of a message stay, and the new one is refused.
    #[test]
    fn busy_connections_stay() {
        let mut registry = Registry::new(1, 1);
        let (first, _) = admit(&mut registry, "192.0.2.1", 1).expect("room");
        registry.set_busy(first);
        assert_eq!(admit(&mut registry, "192.0.2.2", 2), Err(Full));
        registry.remove(first);
        assert_eq!(registry.len(), 0);
        assert!(registry.sources.is_empty() && registry.idle.is_empty());
    }

    /// A source at its cap loses its own connections only; an IPv6 source is a /64.
    #[test]
    fn cap_per_source() {
        let mut registry = Registry::new(10, 2);
        admit(&mut registry, "192.0.2.1", 1).expect("room");
        admit(&mut registry, "2001:db8::1", 2).expect("room");
        admit(&mut registry, "2001:db8::ffff:2", 3).expect("room");
        let (_, evicted) = admit(&mut registry, "2001:db8:0:0:9::", 4).expect("room is made");
        assert_eq!(evicted, Some(2));
        let (_, evicted) = admit(&mut registry, "2001:db8:0:1::1", 5).expect("room");
        assert_eq!(evicted, None);
    }
}
