//! Who is connected: caps on connections in all, per source and per listener, and which ones go when a cap is reached.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
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
    /// Those that are counted together.
    groups: HashMap<Counted, Rc<RefCell<Group>>>,
    /// Counts up; the number of the next connection and the next turn to idleness.
    next: u64,
}

/// Names a connection for as long as the thread lives.
pub(super) type Id = u64;

/// When a connection became idle, as an order without a clock.
type Turn = u64;

/// What a cap counts the connections of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    All,
    Source(Source),
    /// By its number.
    Listener(usize),
}

/// An IPv4 address, or an IPv6 /64, which is what one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

/// One connection.
struct Connection<S> {
    /// What counts it, and with which others; these are at hand because it becomes idle and busy with each message.
    counted: [(Counted, Rc<RefCell<Group>>); 3],
    /// Since when it is idle; `None` while it is not.
    idle: Option<Turn>,
    /// What closes it.
    stream: Rc<S>,
}

/// Connections that a cap counts.
#[derive(Default)]
struct Group {
    /// All of them.
    count: usize,
    /// Those that are idle, the oldest first.
    idle: BTreeSet<(Turn, Id)>,
}

/// Why a connection was not admitted: a cap is reached and too few of those it counts are idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<S> Registry<S> {
    /// An empty one. A cap of 0 counts as 1.
    pub(super) fn new(connections_max: usize, per_source_max: usize) -> Self {
        Self { connections_max, per_source_max, connections: HashMap::new(), groups: HashMap::new(), next: 0 }
    }

    /// Admits a connection, as idle. Where a cap is reached, those that have been idle for longest among the connections
    /// that the cap counts are forgotten and returned, for the caller to close. It is more than one if the cap of the
    /// listener has been lowered, or if one alone does not make room under all caps.
    pub(super) fn admit(
        &mut self,
        client: IpAddr,
        listener: usize,
        listener_max: Option<usize>,
        stream: Rc<S>,
    ) -> Result<(Id, Vec<Rc<S>>), Full> {
        let caps = self.caps(client, listener, listener_max);
        let mut going = BTreeSet::new();
        for (counted, max) in caps {
            let Some(group) = self.groups.get(&counted).map(|group| group.borrow()) else { continue };
            let stay = group.count - group.idle.intersection(&going).count();
            let surplus = (stay + 1).saturating_sub(max);
            let oldest: Vec<_> = group.idle.difference(&going).take(surplus).copied().collect();
            if oldest.len() < surplus {
                return Err(Full);
            }
            going.extend(oldest);
        }
        let evicted = going.into_iter().filter_map(|(_, id)| self.remove(id)).collect();
        let id = self.next;
        self.next += 1;
        let counted = caps.map(|(counted, _)| {
            let group = self.groups.entry(counted).or_default();
            group.borrow_mut().count += 1;
            (counted, Rc::clone(group))
        });
        self.connections.insert(id, Connection { counted, idle: None, stream });
        self.set_idle(id);
        Ok((id, evicted))
    }

    /// Whether a connection would be admitted without another that has to go.
    pub(super) fn has_room(&self, client: IpAddr, listener: usize, listener_max: Option<usize>) -> bool {
        let caps = self.caps(client, listener, listener_max);
        caps.iter().all(|(counted, max)| self.groups.get(counted).is_none_or(|group| group.borrow().count < *max))
    }

    /// What counts a connection, and how many each of them may count.
    fn caps(&self, client: IpAddr, listener: usize, listener_max: Option<usize>) -> [(Counted, usize); 3] {
        [
            (Counted::Source(Source::of(client)), self.per_source_max.max(1)),
            (Counted::Listener(listener), listener_max.map_or(usize::MAX, |max| max.max(1))),
            (Counted::All, self.connections_max.max(1)),
        ]
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
        for (_, group) in &connection.counted {
            group.borrow_mut().idle.insert((turn, id));
        }
    }

    /// The connection has begun a message.
    pub(super) fn set_busy(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(turn) = connection.idle.take() else { return };
        for (_, group) in &connection.counted {
            group.borrow_mut().idle.remove(&(turn, id));
        }
    }

    /// Forgets a connection; nothing when it has been evicted before.
    pub(super) fn remove(&mut self, id: Id) -> Option<Rc<S>> {
        self.set_busy(id);
        let connection = self.connections.remove(&id)?;
        for (counted, group) in &connection.counted {
            let mut group = group.borrow_mut();
            group.count -= 1;
            if group.count == 0 {
                self.groups.remove(counted);
            }
        }
        Some(connection.stream)
    }

    /// Forgets the connection that has been idle for longest.
    pub(super) fn remove_oldest_idle(&mut self) -> Option<Rc<S>> {
        let (_, id) = *self.groups.get(&Counted::All)?.borrow().idle.first()?;
        self.remove(id)
    }

    /// All connections.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Rc<S>> {
        self.connections.values().map(|connection| &connection.stream)
    }

    /// Those that came in on a listener.
    pub(super) fn streams_of(&self, listener: usize) -> impl Iterator<Item = &Rc<S>> {
        let listener = Counted::Listener(listener);
        let is_of =
            move |connection: &&Connection<S>| connection.counted.iter().any(|(counted, _)| *counted == listener);
        self.connections.values().filter(is_of).map(|connection| &connection.stream)
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

    /// Admits a connection named by a number, and gives the names of those that go.
    fn admit(registry: &mut Registry<u32>, client: &str, name: u32) -> Result<(Id, Vec<u32>), Full> {
        admit_on(registry, client, (0, None), name)
    }

    /// The same on a listener with a cap.
    fn admit_on(
        registry: &mut Registry<u32>,
        client: &str,
        (listener, max): (usize, Option<usize>),
        name: u32,
    ) -> Result<(Id, Vec<u32>), Full> {
        let client = client.parse().expect("an address");
        let (id, evicted) = registry.admit(client, listener, max, Rc::new(name))?;
        Ok((id, evicted.into_iter().map(|evicted| *evicted).collect()))
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
        assert_eq!(evicted, [2]);
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
        assert!(registry.groups.is_empty());
    }

    /// A source at its cap loses its own connections only; an IPv6 source is a /64.
    #[test]
    fn cap_per_source() {
        let mut registry = Registry::new(10, 2);
        admit(&mut registry, "192.0.2.1", 1).expect("room");
        admit(&mut registry, "2001:db8::1", 2).expect("room");
        admit(&mut registry, "2001:db8::ffff:2", 3).expect("room");
        let (_, evicted) = admit(&mut registry, "2001:db8:0:0:9::", 4).expect("room is made");
        assert_eq!(evicted, [2]);
        let (_, evicted) = admit(&mut registry, "2001:db8:0:1::1", 5).expect("room");
        assert!(evicted.is_empty());
    }

    /// A listener at its cap loses its own connections only, and those in the middle of a message stay.
    #[test]
    fn cap_per_listener() {
        let mut registry = Registry::new(10, 10);
        admit_on(&mut registry, "192.0.2.1", (1, None), 1).expect("room");
        let (second, _) = admit_on(&mut registry, "192.0.2.2", (2, Some(2)), 2).expect("room");
        let (third, _) = admit_on(&mut registry, "192.0.2.3", (2, Some(2)), 3).expect("room");
        registry.set_busy(second);
        let (fourth, evicted) = admit_on(&mut registry, "192.0.2.4", (2, Some(2)), 4).expect("room is made");
        assert_eq!(evicted, [3]);
        assert!(registry.remove(third).is_none());
        registry.set_busy(fourth);
        assert_eq!(admit_on(&mut registry, "192.0.2.5", (2, Some(2)), 5), Err(Full));
        assert!(admit_on(&mut registry, "192.0.2.5", (1, Some(2)), 6).expect("room").1.is_empty());
        assert_eq!(registry.len(), 4);
    }

    /// A lower cap counts from the next connection on; if busy ones hold it up, none goes in vain.
    #[test]
    fn a_listener_comes_down_to_a_lower_cap() {
        let mut registry = Registry::new(10, 10);
        let busy = [1, 2, 3, 4, 5].map(|name| admit(&mut registry, "192.0.2.1", name).expect("room").0)[4];
        assert_eq!(admit_on(&mut registry, "192.0.2.1", (0, Some(2)), 6).expect("room is made").1, [1, 2, 3, 4]);
        registry.set_busy(busy);
        assert_eq!(admit_on(&mut registry, "192.0.2.1", (0, Some(1)), 7), Err(Full));
        assert_eq!(registry.len(), 2);
    }

    /// One that goes counts for every cap that counts it.
    #[test]
    fn no_more_go_than_have_to() {
        let mut registry = Registry::new(3, 2);
        for (client, listener, name) in [("192.0.2.2", 2, 1), ("192.0.2.1", 1, 2), ("192.0.2.1", 2, 3)] {
            admit_on(&mut registry, client, (listener, Some(2)), name).expect("room");
        }
        // The oldest of the source came in elsewhere; the listener has to lose one of its own.
        assert_eq!(admit_on(&mut registry, "192.0.2.1", (2, Some(2)), 4).expect("room is made").1, [1, 2]);
        assert_eq!(admit_on(&mut registry, "192.0.2.1", (2, Some(2)), 5).expect("room is made").1, [3]);
    }
}
