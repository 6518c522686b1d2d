//! From a message to its answer: the judgement of the message, the server block by longest suffix, its chain.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use domain::base::iana::{Class, OptRcode, Rtype};
use store::Name;

use super::{Arrival, Chain, Context, Transport};
use crate::wire::{QName, Query, Response, reject};
use crate::zone::{Depths, Hub, Reader};

/// All listeners with the server blocks behind them. It never changes while it serves.
pub struct Server {
    routes: Vec<Routes>,
    hub: Arc<Hub>,
}

/// The server blocks of one listener by zone.
#[derive(Default)]
pub struct Routes {
    blocks: HashMap<Box<[u8]>, Arc<Chain>, foldhash::fast::RandomState>,
    depths: Depths,
}

impl Routes {
    /// Lets a chain answer for a zone; false if the zone is taken.
    pub fn add(&mut self, zone: &Name, chain: Arc<Chain>) -> bool {
        let key = zone.as_slice().to_ascii_lowercase().into_boxed_slice();
        if self.blocks.contains_key(&key) {
            return false;
        }
        self.blocks.insert(key, chain);
        self.depths.add(zone.label_count() - 1);
        true
    }

    /// The block with the longest zone that the name is at or below. A question for DS goes to the zone above if that
    /// is served here too (RFC 4035 §3.1.4.1).
    #[inline]
    fn find(&self, name: &QName, qtype: Rtype) -> Option<&Chain> {
        let mut found = None;
        for depth in self.depths.upward(name.labels()) {
            if let Some(chain) = self.blocks.get(name.suffix(depth)) {
                if qtype != Rtype::DS || depth < name.labels() {
                    return Some(chain);
                }
                found = Some(&**chain);
            }
        }
        found
    }
}

impl Server {
    /// A server over these listeners; the place of each in the list is its number in [`Arrival::listener`].
    pub fn new(routes: Vec<Routes>, hub: Arc<Hub>) -> Self {
        Self { routes, hub }
    }

    /// One thread's part of the server.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker { reader: Reader::new(Arc::clone(&self.hub)), server: Arc::clone(self) }
    }
}

/// What answers messages on one thread.
pub struct Worker {
    server: Arc<Server>,
    reader: Reader,
}

impl Worker {
    /// Looks for a newer snapshot; once a batch.
    #[inline]
    pub fn turn(&mut self) {
        self.reader.turn();
    }

    /// Answers `buffer[..len]` in place and gives the length of the answer in octets; None for silence. The answer is
    /// never longer than `buffer`.
    #[inline]
    pub fn answer(&mut self, buffer: &mut [u8], len: usize, arrival: &Arrival) -> Option<usize> {
        let query = match Query::read(buffer.get(..len)?) {
            Ok(query) => query,
            Err(verdict) => return reject(buffer, verdict),
        };
        let size_max = match arrival.transport {
            Transport::Udp => query.edns.map_or(UDP_MIN, |edns| usize::from(edns.payload_size).min(UDP_MAX)),
            Transport::Tcp => usize::from(u16::MAX),
        };
        let routes = self.server.routes.get(arrival.listener)?;
        let mut response = Response::new(buffer, &query, size_max);
        match routes.find(&query.name, query.qtype) {
            Some(chain) if query.qclass == Class::IN || chain.sees(query.qclass) => {
                let started = chain.wants_time().then(Instant::now);
                let snapshot = self.reader.snapshot();
                let mut context = Context { arrival, snapshot, started, failure: None, silence: false };
                if !chain.run(&query, &mut response, &mut context) {
                    return None;
                }
            }
            _ => response.rcode = OptRcode::REFUSED,
        }
        Some(response.finish())
    }
}

/// Octets of an answer to a client without EDNS (RFC 1035 §4.2.1).
const UDP_MIN: usize = 512;

/// Octets of an answer over UDP at most, whatever the client takes: one packet on every path in use.
const UDP_MAX: usize = 1232;
