//! From a message to its answer: the judgement of the message, the server block by longest suffix, its chain.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::base::iana::exterr::ExtendedErrorCode;
use domain::base::iana::{Class, OptRcode, Rtype};
use store::Name;
use tokio_rustls::rustls::ServerConfig;

use super::explain::{Guide, Trace};
use super::later::{Asked, Waiting};
use super::{
    Arrival, Caps, Chain, Context, Counters, Failure, Later, Listener, Outcome, Statuses, Switch, Timeouts, Transport,
};
use crate::wire::options::{self, Options};
use crate::wire::{CookieSecrets, Edns, QName, Query, Response, Verdict, reject, same};
use crate::zone::{Ahead, Depths, Hub, OwnedSet, Reader, SetId, Snapshot};

/// All listeners with the server blocks behind them. It never changes while it serves.
pub struct Server {
    routes: Vec<Routes>,
    hub: Arc<Hub>,
    cookies: Arc<CookieSecrets>,
    /// What a configuration that comes after it may take over.
    pub(super) kept: Kept,
}

/// What outlives a change of the configuration if the next one wants the same.
#[derive(Default)]
pub(super) struct Kept {
    /// The listeners; None for those that are gone.
    pub(super) listeners: Vec<Option<Listener>>,
    /// The zones of all plugins.
    pub(super) sets: Vec<Arc<OwnedSet>>,
    /// The sets of databases, by folder and default TTL.
    pub(super) databases: Vec<(PathBuf, u32, SetId)>,
    /// What has been counted.
    pub(super) counters: Vec<Arc<Counters>>,
    /// The same of the transports that have statuses.
    pub(super) statuses: Vec<Arc<Statuses>>,
}

/// The server blocks of one listener by zone.
#[derive(Default)]
pub struct Routes {
    blocks: Vec<Block>,
    /// Their places by zone, in lower-case wire form.
    places: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    depths: Depths,
    /// What TCP clients may take, as the first block that says so has it.
    pub(super) timeouts: Option<Timeouts>,
    /// What they may have, as the first block that says so for its scheme has it.
    pub(super) caps: Option<Caps>,
    /// How TLS is spoken, as the first block with a certificate has it.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Counts queries that no block is for.
    pub(super) dropped: Option<Arc<Counters>>,
    /// Counts statuses of responses, if the transport has them.
    pub(super) statuses: Option<Arc<Statuses>>,
}

/// A zone on a listener.
struct Block {
    zone: Name,
    /// The zone in lower-case wire form, and its labels without the root.
    key: Box<[u8]>,
    labels: usize,
    chain: Arc<Chain>,
    counters: Option<Arc<Counters>>,
}

impl Routes {
    /// Lets a chain answer for a zone, and has its queries counted if it has such a plugin; false if the zone is taken.
    pub fn add(&mut self, zone: &Name, chain: Arc<Chain>, counters: Option<Arc<Counters>>) -> bool {
        let key = zone.as_slice().to_ascii_lowercase().into_boxed_slice();
        if self.places.contains_key(&key) {
            return false;
        }
        let labels = zone.label_count() - 1;
        self.places.insert(key.clone(), self.blocks.len());
        self.blocks.push(Block { zone: zone.clone(), key, labels, chain, counters });
        self.depths.add(labels);
        true
    }

    /// The block with the longest zone that the name is at or below. A question for DS goes to the zone above if that
    /// is served here too (RFC 4035 §3.1.4.1).
    #[inline]
    fn find(&self, name: &QName, qtype: Rtype) -> Option<&Block> {
        // One alone is compared, which costs less than a look-up.
        if let [block] = &self.blocks[..] {
            return same(name.suffix(block.labels), &block.key).then_some(block);
        }
        let mut found = None;
        for depth in self.depths.upward(name.labels()) {
            if let Some(block) = self.places.get(name.suffix(depth)).and_then(|place| self.blocks.get(*place)) {
                if qtype != Rtype::DS || depth < name.labels() {
                    return Some(block);
                }
                found = Some(block);
            }
        }
        found
    }
}

impl Server {
    /// A server over these listeners; the place of each in the list is its number in [`Arrival::listener`].
    pub fn new(routes: Vec<Routes>, hub: Arc<Hub>) -> Self {
        let mut root = [0; 16];
        // A process without random numbers from the kernel is lost anyhow: TLS keys and tokens come from there too.
        getrandom::fill(&mut root).expect("random numbers from the kernel");
        Self { routes, hub, cookies: Arc::new(CookieSecrets::new(root)), kept: Kept::default() }
    }

    /// The same after another server, whose cookies stay good, and with what the next one may take over.
    pub(super) fn after(self, previous: Option<&Self>, kept: Kept) -> Self {
        let cookies = previous.map_or(self.cookies, |previous| Arc::clone(&previous.cookies));
        Self { routes: self.routes, hub: self.hub, cookies, kept }
    }

    /// The listeners with their numbers, as the configuration has them.
    pub fn listeners(&self) -> impl Iterator<Item = (usize, Listener)> {
        self.kept.listeners.iter().enumerate().filter_map(|(number, listener)| Some((number, (*listener)?)))
    }

    /// What is counted of queries, for each zone and listener of blocks that have them counted.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.kept.counters
    }

    /// Puts what the options of a query ask of any server into the answer; true if it showed a good cookie of ours.
    #[inline]
    fn put_options(&self, options: &Options, arrival: &Arrival, response: &mut Response<'_>) -> bool {
        if options.padding && arrival.transport.is_encrypted() {
            response.pad();
        }
        if options.keepalive
            && let Some(idle) = arrival.idle
        {
            // RFC 7828 §3.1: in units of 100 milliseconds.
            let timeout = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
            response.add_option(options::KEEPALIVE, &[&timeout.to_be_bytes()]);
        }
        let Some(cookie) = options.cookie else { return false };
        // The time of cookies is in 32 bits (RFC 9018 §4.3).
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as u32);
        let (data, good) = self.cookies.answer(arrival.client.ip(), cookie, now);
        response.add_option(options::COOKIE, &[&data]);
        good
    }

    /// One thread's part of the server.
    pub fn worker(self: &Arc<Self>) -> Worker {
        Switch::new(Arc::clone(self)).worker()
    }
}

/// What answers messages on one thread.
pub struct Worker {
    switch: Arc<Switch>,
    server: Arc<Server>,
    generation: u64,
    reader: Reader,
    /// The queries that are being answered.
    queries: Box<[Query; AHEAD]>,
}

/// The queries that came together, answered by one configuration from one snapshot.
pub struct Batch<'w> {
    server: &'w Server,
    snapshot: &'w Snapshot,
    queries: &'w mut [Query; AHEAD],
    ways: [Way<'w>; AHEAD],
    /// The last query that was answered with silence, if its answer only has to be waited for.
    later: Option<Box<Later>>,
}

/// What is known of a message before its answer is made.
#[derive(Clone, Copy)]
struct Way<'w> {
    /// Whether it is a query.
    verdict: Result<(), Verdict>,
    /// The block that is for it.
    block: Option<&'w Block>,
    /// What was looked up in the zones of the block.
    ahead: Option<(SetId, Ahead<'w>)>,
}

impl Worker {
    /// Takes the server of now from the switch.
    pub(super) fn new(switch: Arc<Switch>) -> Self {
        let (server, generation) = switch.numbered();
        let queries = Box::new([Query::BLANK; AHEAD]);
        Self { reader: Reader::new(Arc::clone(&server.hub)), switch, server, generation, queries }
    }

    /// Begins a batch: looks for a newer configuration and a newer snapshot. In this order: the snapshot has the zones of
    /// the configuration.
    #[inline]
    pub fn batch(&mut self) -> Batch<'_> {
        if self.switch.generation() != self.generation {
            (self.server, self.generation) = self.switch.numbered();
        }
        self.reader.turn();
        let nothing = Way { verdict: Err(Verdict::Silence), block: None, ahead: None };
        Batch {
            server: &self.server,
            snapshot: self.reader.snapshot(),
            queries: &mut self.queries,
            ways: [nothing; AHEAD],
            later: None,
        }
    }

    /// What TCP clients of a listener may take, where the Corefile says so.
    pub fn timeouts(&self, listener: usize) -> Option<Timeouts> {
        self.server.routes.get(listener)?.timeouts
    }

    /// What clients of a listener may have at once, by the configuration of now.
    pub fn caps(&mut self, listener: usize) -> Caps {
        drop(self.batch());
        self.server.routes.get(listener).and_then(|routes| routes.caps).unwrap_or_default()
    }

    /// How TLS is spoken on a listener, by the configuration of now; None is clear text.
    pub fn tls(&mut self, listener: usize) -> Option<Arc<ServerConfig>> {
        drop(self.batch());
        self.server.routes.get(listener)?.tls.clone()
    }

    /// Counts the status of a response on a listener.
    pub fn count_status(&mut self, listener: usize, status: u16) {
        if let Some(statuses) = self.server.routes.get(listener).and_then(|routes| routes.statuses.as_ref()) {
            statuses.count(status);
        }
    }

    /// Answers a single message, `buffer[..len]`, in place and gives the length of the answer in octets; None for
    /// silence. The answer is never longer than `buffer`.
    pub fn answer(&mut self, buffer: &mut [u8], len: usize, arrival: &Arrival) -> Option<usize> {
        let mut batch = self.batch();
        batch.read(0, buffer.get(..len)?, arrival.listener);
        batch.answer(0, buffer, arrival)
    }

    /// The same for one who wants to know how the answer comes about. It is no query of a client: it is neither counted
    /// nor logged, nor held against anybody's rate, and what would have to wait for an answer is silent.
    pub fn explain(&mut self, buffer: &mut [u8], len: usize, arrival: &Arrival) -> (Option<usize>, Trace) {
        let (mut batch, mut trace) = (self.batch(), Trace::default());
        batch.read(0, buffer.get(..len).unwrap_or_default(), arrival.listener);
        (batch.answer_with(0, buffer, arrival, &mut trace), trace)
    }
}

impl<'w> Batch<'w> {
    /// Reads a message into a place below [`AHEAD`], and asks the memory for the first of what its answer needs.
    #[inline]
    pub fn read(&mut self, place: usize, message: &[u8], listener: usize) {
        let (Some(query), Some(way)) = (self.queries.get_mut(place), self.ways.get_mut(place)) else { return };
        (way.verdict, way.block, way.ahead) = (query.read_into(message), None, None);
        if let (Ok(()), Some(routes)) = (way.verdict, self.server.routes.get(listener)) {
            way.block = routes.find(&query.name, query.qtype);
            way.ahead = way.block.and_then(|block| {
                let set = block.chain.zones()?;
                Some((set, self.snapshot.set(set)?.ask(&query.name)?))
            });
        }
    }

    /// Asks the memory for the rest.
    #[inline]
    pub fn fetch(&mut self, place: usize) {
        if let Some((_, ahead)) = self.ways.get_mut(place).and_then(|way| way.ahead.as_mut()) {
            ahead.fetch();
        }
    }

    /// The query that was answered last, with silence, if its answer only has to be waited for.
    #[inline]
    pub fn later(&mut self) -> Option<Box<Later>> {
        self.later.take()
    }

    /// Answers the message that was read at a place, and with which `buffer` begins, in place; gives the length of the
    /// answer in octets; None for silence. The answer is never longer than `buffer`.
    #[inline]
    pub fn answer(&mut self, place: usize, buffer: &mut [u8], arrival: &Arrival) -> Option<usize> {
        self.answer_with(place, buffer, arrival, &mut ())
    }

    /// The same with a guide.
    #[inline]
    fn answer_with<G: Guide>(
        &mut self,
        place: usize,
        buffer: &mut [u8],
        arrival: &Arrival,
        guide: &mut G,
    ) -> Option<usize> {
        let (query, way) = (self.queries.get(place)?, self.ways.get(place)?);
        if let Err(verdict) = way.verdict {
            return reject(buffer, verdict);
        }
        let size_max = match arrival.transport {
            Transport::Udp => query.edns.map_or(UDP_MIN, |edns| usize::from(edns.payload_size).min(UDP_MAX)),
            _ => usize::from(u16::MAX),
        };
        let mut response = Response::new(buffer, query, size_max);
        let put_options = |edns: &Edns| self.server.put_options(&edns.options, arrival, &mut response);
        let has_cookie = query.edns.as_ref().is_some_and(put_options);
        match way.block {
            Some(Block { zone, chain, counters, .. }) if query.qclass == Class::IN || chain.sees(query.qclass) => {
                guide.enter(zone);
                let started = chain.wants_time().then(Instant::now);
                let mut context = Context {
                    arrival,
                    snapshot: self.snapshot,
                    ahead: way.ahead.as_ref(),
                    started,
                    has_cookie,
                    counters: counters.as_deref().filter(|_| G::COUNTS),
                    answered: None,
                    failure: None,
                    silence: false,
                };
                match chain.run(query, &mut response, &mut context, guide) {
                    Outcome::Answer => {}
                    Outcome::Silence => return None,
                    // An explanation sends for nothing.
                    Outcome::Later(_) if !G::COUNTS => return None,
                    Outcome::Refresh(_) if !G::COUNTS => {}
                    waits => {
                        let later =
                            put_off(waits, self.server, chain, counters.as_ref(), query, &mut response, context);
                        match later {
                            PutOff::Not => {}
                            PutOff::Silence => return None,
                            PutOff::Until(later) => {
                                self.later = Some(later);
                                return None;
                            }
                        }
                    }
                }
            }
            found => {
                response.rcode = OptRcode::REFUSED;
                response.explain(match found {
                    Some(_) => ExtendedErrorCode::NOT_SUPPORTED,
                    None => ExtendedErrorCode::NOT_AUTHORITATIVE,
                });
                if let Some(counters) = self.server.routes.get(arrival.listener)?.dropped.as_ref().filter(|_| G::COUNTS)
                {
                    counters.count(query, &response, arrival, None, None);
                }
            }
        }
        Some(response.finish())
    }
}

/// What becomes of a query whose answer has to be waited for.
enum PutOff {
    /// The response is complete.
    Not,
    /// Nothing is sent.
    Silence,
    /// The answer comes later.
    Until(Box<Later>),
}

/// Sends for an answer that has to be waited for, or that is to be kept anew.
#[cold]
fn put_off(
    outcome: Outcome,
    server: &Server,
    chain: &Arc<Chain>,
    counters: Option<&Arc<Counters>>,
    query: &Query,
    response: &mut Response<'_>,
    mut context: Context<'_>,
) -> PutOff {
    let (Outcome::Later(place) | Outcome::Refresh(place)) = outcome else { return PutOff::Not };
    let full =
        || (OptRcode::SERVFAIL, Failure { plugin: chain.name(place), text: "too many queries wait for an answer" });
    let begun = Waiting::take().ok_or_else(full).and_then(|waiting| {
        let errand = chain.errand(place, query, response.head(), &context)?;
        let asked = Asked {
            chain: Arc::clone(chain),
            place,
            query: query.clone(),
            response: response.park(),
            arrival: *context.arrival,
            hub: Arc::clone(&server.hub),
            started: context.started,
            has_cookie: context.has_cookie,
            counters: counters.cloned(),
        };
        Ok(Later::new(errand, waiting, asked))
    });
    match (outcome, begun) {
        (Outcome::Later(_), Ok(later)) => PutOff::Until(Box::new(later)),
        (Outcome::Later(_), Err(error)) => {
            let brought = chain.rescue(place, query, Err(error));
            match chain.conclude(place, brought, query, response, &mut context) {
                true => PutOff::Not,
                false => PutOff::Silence,
            }
        }
        (_, Ok(later)) => {
            later.start_for_keeping();
            PutOff::Not
        }
        (_, Err(error)) => {
            // The client has its answer; who waits for a better one is told.
            let _ = chain.rescue(place, query, Err(error));
            PutOff::Not
        }
    }
}

/// Messages that are read before the first of them is answered: about as many as a core can wait for memory at once.
pub const AHEAD: usize = 16;

/// Octets of an answer to a client without EDNS (RFC 1035 §4.2.1).
const UDP_MIN: usize = 512;

/// Octets of an answer over UDP at most, whatever the client takes: one packet on every path in use.
const UDP_MAX: usize = 1232;
