//! From a Corefile to a server that answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use store::{Name, name};
use tokio_rustls::rustls::ServerConfig;

use super::corefile::{ConfigError, Corefile, Directive, Scheme, ServerBlock, ServerKey, check_overlap};
use super::counted::Counted;
use super::server::Kept;
use super::tls::Acme;
use super::{
    Caps, Chain, Counters, Endpoint, Life, Listener, Plugin, Pocketbase, Reload, Routes, Server, Statuses, Task,
    Timeouts,
};
use super::{pocketbase, prometheus, registry};
use crate::metrics::{Metrics, Text};
use crate::zone::{Hub, OwnedSet, SetId};

/// Where environment variables come from.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// What a plugin's set-up sees of its server block and may change.
pub struct Setup<'s> {
    /// The zones of the block.
    pub zones: &'s [Name],
    /// Where zones are published.
    pub hub: &'s Arc<Hub>,
    /// Environment variables.
    pub environment: Environment<'s>,
    /// The server that this one will come after.
    pub(super) previous: Option<&'s Server>,
    /// What is to run beside the queries.
    pub services: &'s mut Services,
    /// The folder that relative paths start from.
    pub(super) root: Option<PathBuf>,
    /// The addresses that the block listens on; none is all.
    pub(super) binds: Vec<IpAddr>,
    /// The scheme and port of its first zone.
    pub(super) first: (Scheme, u16),
    /// What TCP clients may take, if the block says so.
    pub(super) timeouts: Option<Timeouts>,
    /// What clients may have over the schemes that the block says it for.
    pub(super) caps: BTreeMap<Scheme, Caps>,
    /// How TLS is spoken, if the block has a certificate; what is spoken inside is not in it yet.
    pub(super) tls: Option<ServerConfig>,
    /// What the plugins of the block count by themselves.
    pub(super) counted: Counted,
}

/// What plugins want to have running beside the queries.
#[derive(Default)]
pub struct Services {
    /// Databases to open and to serve over HTTP.
    pub pocketbases: Vec<Pocketbase>,
    /// Work for the housekeeping thread.
    pub tasks: Vec<Task>,
    /// What the operator should know; serving goes on.
    pub warnings: Vec<String>,
    /// What is served over HTTP to those who watch.
    pub endpoints: Vec<Endpoint>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the endpoints tell of start and end.
    pub life: Arc<Life>,
    /// How long a stop is delayed.
    pub lameduck: Duration,
    /// Debug lines are written, and a panic ends the process.
    pub debug: bool,
    /// Sockets of each address, if a block says so; None in it is the default.
    pub sockets: Option<Option<usize>>,
    /// How often to look at the Corefile, if at all.
    pub reload: Option<Reload>,
    /// What is ordered of authorities.
    pub(super) acme: Option<Acme>,
    /// Whose metrics have been added for all server blocks.
    pub(super) counted: BTreeSet<&'static str>,
}

impl Services {
    /// Adds metrics that all server blocks share, once.
    pub(super) fn add_metrics_once(&mut self, of: &'static str, write: fn(&mut Text)) {
        if self.counted.insert(of) {
            self.metrics.add(write);
        }
    }
}

/// A server that only needs its listeners opened.
pub struct Ready {
    /// Answers messages.
    pub server: Arc<Server>,
    /// What to listen on, in the order of [`super::Arrival::listener`]; None for those that previous configurations
    /// served. Their numbers are not used again: connections may still be under way.
    pub listeners: Vec<Option<Listener>>,
    /// What is to run beside the queries.
    pub services: Services,
    /// One line for each zone and address that is served, sorted.
    pub served: Vec<String>,
}

impl Ready {
    /// The listeners that it serves and the server before it did not.
    pub fn coming(&self, previous: &Server) -> Vec<(usize, Listener)> {
        let new = self.listeners.iter().enumerate().skip(previous.kept.listeners.len());
        new.filter_map(|(number, listener)| Some((number, (*listener)?))).collect()
    }

    /// The numbers of those that the server before it served and it does not.
    pub fn going(&self, previous: &Server) -> Vec<usize> {
        let pairs = previous.kept.listeners.iter().zip(&self.listeners).enumerate();
        pairs.filter_map(|(number, (before, now))| (before.is_some() && now.is_none()).then_some(number)).collect()
    }
}

impl Setup<'_> {
    /// The zones of a database, if the previous server has them and no line of this one has taken them.
    pub(super) fn kept_database(&self, data_dir: &Path, default_ttl: u32) -> Option<SetId> {
        let is_free = |id: &SetId| self.services.pocketbases.iter().all(|other| other.key().2 != *id);
        let kept = &self.previous?.kept.databases;
        let is_same = |(dir, ttl, _): &&(PathBuf, u32, SetId)| dir == data_dir && *ttl == default_ttl;
        kept.iter().filter(is_same).map(|(_, _, id)| *id).find(is_free)
    }

    /// The block's first address as metrics name it, known to plugins behind `bind`.
    pub(super) fn server(&self) -> String {
        let address = self.binds.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (scheme, port) = self.first;
        server_label(Listener { scheme, addr: SocketAddr::new(address, port) })
    }

    /// A path of the Corefile, below `root` if it is relative.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.root.as_ref().map_or_else(|| PathBuf::from(text), |root| root.join(text))
    }
}

/// Sets up every server block of a Corefile; on an error gives all that were found, never an empty list.
pub fn setup(corefile: &Corefile, hub: &Arc<Hub>, environment: Environment<'_>) -> Result<Ready, Vec<ConfigError>> {
    setup_after(corefile, hub, environment, None)
}

/// The same after another server over this hub: its listeners keep their numbers, and what has not changed of databases
/// and counters is taken over.
pub fn setup_after(
    corefile: &Corefile,
    hub: &Arc<Hub>,
    environment: Environment<'_>,
    previous: Option<&Server>,
) -> Result<Ready, Vec<ConfigError>> {
    let mut services = Services { warnings: corefile.warnings.clone(), ..Services::default() };
    let mut blocks = Vec::with_capacity(corefile.blocks.len());
    let mut faults = Vec::new();
    for block in &corefile.blocks {
        blocks.push((block, set_up_block(block, hub, environment, previous, &mut services, &mut faults)));
    }
    if let Some(acme) = &services.acme {
        for (block, is) in &mut blocks {
            if let Some(stage) = acme.stage(&block.keys) {
                is.chain.insert(is.zones, stage);
            }
        }
        let warnings = acme.warnings(corefile.blocks.iter().flat_map(|block| &block.keys));
        services.warnings.extend(warnings);
    }
    let keys: Vec<_> =
        blocks.iter().flat_map(|(block, is)| block.keys.iter().map(move |key| (key, &is.binds[..]))).collect();
    faults.extend(check_overlap(&keys).err());
    // Dropped with the server; after an error at once.
    let mut sets = hub.take_added();
    let databases = services.pocketbases.iter().map(Pocketbase::key).collect::<Vec<_>>();
    if let Some(previous) = previous {
        let is_taken_over = |set: &&Arc<OwnedSet>| databases.iter().any(|(_, _, id)| *id == set.id());
        sets.extend(previous.kept.sets.iter().filter(is_taken_over).cloned());
    }
    if !faults.is_empty() {
        return Err(faults);
    }

    let mut routes: BTreeMap<Listener, Routes> = BTreeMap::new();
    let mut served = BTreeSet::new();
    let mut counted: Vec<Arc<Counters>> = Vec::new();
    let mut statuses: Vec<Arc<Statuses>> = Vec::new();
    let mut statuses_of = |server: &str, scheme: Scheme| {
        let kept =
            previous.and_then(|previous| previous.kept.statuses.iter().find(|kept| kept.are_for(server)).cloned());
        let of_server = kept.or_else(|| Statuses::new(server, scheme).map(Arc::new));
        statuses.extend(of_server.clone());
        of_server
    };
    let mut counters = |server: &str, zone: &str, plugins: Vec<&'static str>, own: &Counted| {
        let kept = previous.and_then(|previous| {
            previous.kept.counters.iter().find(|counters| counters.are_for(server, zone, &plugins, own)).cloned()
        });
        let counters =
            kept.unwrap_or_else(|| Arc::new(Counters::new(server.into(), zone.into(), plugins, own.clone())));
        counted.push(Arc::clone(&counters));
        counters
    };
    for (block, SetUp { chain, binds, timeouts, caps, tls, counted: own, .. }) in blocks {
        let chain = Arc::new(chain);
        let is_counted = chain.names().contains(&prometheus::NAME);
        let addresses = if binds.is_empty() { everywhere() } else { binds.clone() };
        for key in &block.keys {
            let zone = name::to_text(&key.zone);
            let tls = tls.as_ref().filter(|_| key.scheme != Scheme::Dns).map(|tls| speaking(key.scheme, tls));
            for address in &addresses {
                let listener = Listener { scheme: key.scheme, addr: SocketAddr::new(*address, key.port) };
                let routes = routes.entry(listener).or_default();
                routes.timeouts = routes.timeouts.or(timeouts);
                routes.caps = routes.caps.or_else(|| caps.get(&key.scheme).copied());
                routes.tls = routes.tls.take().or_else(|| tls.clone());
                let server = server_label(listener);
                if is_counted && routes.dropped.is_none() {
                    routes.dropped = Some(counters(&server, "dropped", Vec::new(), &Counted::default()));
                    routes.statuses = statuses_of(&server, key.scheme);
                }
                let counters = is_counted.then(|| counters(&server, &zone, chain.names(), &own));
                routes.add(&key.zone, Arc::clone(&chain), counters);
                let scheme = if key.scheme == Scheme::Dns { "".into() } else { format!("{}://", key.scheme.name()) };
                served.insert(match binds.is_empty() {
                    true => format!("{scheme}{zone}:{}", key.port),
                    false => format!("{scheme}{zone}:{} on {address}", key.port),
                });
            }
        }
    }
    let mut listeners = previous.map_or_else(Vec::new, |previous| previous.kept.listeners.clone());
    for listener in &mut listeners {
        *listener = listener.filter(|listener| routes.contains_key(listener));
    }
    let more: Vec<_> = routes.keys().map(|listener| Some(*listener)).filter(|more| !listeners.contains(more)).collect();
    listeners.extend(more);
    let mut routes_of = |listener: &Option<Listener>| routes.remove(&(*listener)?);
    let routes = listeners.iter().map(|listener| routes_of(listener).unwrap_or_default()).collect();
    let kept =
        Kept { listeners: listeners.clone(), sets, databases, counters: counted.clone(), statuses: statuses.clone() };
    services.metrics.add(move |text| {
        counted.iter().for_each(|counters| counters.write(text));
        statuses.iter().for_each(|statuses| statuses.write(text));
    });
    Ok(Ready {
        server: Arc::new(Server::new(routes, Arc::clone(hub)).after(previous, kept)),
        listeners,
        services,
        served: served.into_iter().collect(),
    })
}

/// The databases of a Corefile, each with the zones of its server block, and nothing else of it.
pub fn pocketbases(
    corefile: &Corefile,
    environment: Environment<'_>,
) -> Result<Vec<(Vec<Name>, Pocketbase)>, ConfigError> {
    let mut all = Vec::new();
    for block in &corefile.blocks {
        let zones: Vec<Name> = block.keys.iter().map(|key| key.zone.clone()).collect();
        let mut services = Services::default();
        let mut setup = Setup {
            zones: &zones,
            hub: &Hub::new(),
            environment,
            previous: None,
            services: &mut services,
            root: None,
            binds: Vec::new(),
            first: (Scheme::Dns, 0),
            timeouts: None,
            caps: BTreeMap::new(),
            tls: None,
            counted: Counted::default(),
        };
        let lines = lines_of(block, "pocketbase");
        if !lines.is_empty() {
            pocketbase::setup(&lines, &mut setup).map_err(|why| why.of_plugin("pocketbase"))?;
        }
        all.extend(services.pocketbases.into_iter().map(|database| (zones.clone(), database)));
    }
    Ok(all)
}

/// Sets up the plugins of one block in the registry's order.
fn set_up_block(
    block: &ServerBlock,
    hub: &Arc<Hub>,
    environment: Environment<'_>,
    previous: Option<&Server>,
    services: &mut Services,
    faults: &mut Vec<ConfigError>,
) -> SetUp {
    let zones: Vec<Name> = block.keys.iter().map(|key| key.zone.clone()).collect();
    let mut setup = Setup {
        zones: &zones,
        hub,
        environment,
        previous,
        services,
        root: None,
        binds: Vec::new(),
        first: block.keys.first().map_or((Scheme::Dns, 0), |key| (key.scheme, key.port)),
        timeouts: None,
        caps: BTreeMap::new(),
        tls: None,
        counted: Counted::default(),
    };
    let mut plugins: Vec<Box<dyn Plugin>> = Vec::new();
    let mut zones = 0;
    for row in registry::rows() {
        if row.name == registry::FIRST_WITH_ZONES {
            zones = plugins.len();
        }
        let lines = lines_of(block, row.name);
        if let Some(set_up) = row.setup.filter(|_| !lines.is_empty()) {
            match set_up(&lines, &mut setup) {
                Ok(plugin) => plugins.extend(plugin),
                Err(why) => faults.push(why.of_plugin(row.name)),
            }
        }
    }
    let Setup { binds, timeouts, caps, tls, counted, .. } = setup;
    let is_missing = |key: &&ServerKey| key.scheme.needs_certificate() && lines_of(block, "tls").is_empty();
    if let Some(key) = block.keys.iter().find(is_missing) {
        faults.push(ConfigError::plain(format!("cannot serve {key} - it needs a certificate (plugin tls)")));
    }
    SetUp { chain: Chain::new(plugins), zones, binds, timeouts, caps, tls, counted }
}

/// A server block whose plugins are set up.
struct SetUp {
    chain: Chain,
    /// The place in it before all plugins that answer from zones.
    zones: usize,
    /// The addresses that it listens on; none is all.
    binds: Vec<IpAddr>,
    timeouts: Option<Timeouts>,
    caps: BTreeMap<Scheme, Caps>,
    /// How TLS is spoken, if it has a certificate.
    tls: Option<ServerConfig>,
    /// What its plugins count by themselves.
    counted: Counted,
}

/// How TLS is spoken for a scheme.
fn speaking(scheme: Scheme, tls: &ServerConfig) -> Arc<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = scheme.alpn().iter().map(|name| name.to_vec()).collect();
    Arc::new(tls)
}

/// A listener as metrics name it: `dns://192.0.2.1:53`, `dns://:53` for all.
fn server_label(Listener { scheme, addr }: Listener) -> String {
    match addr.ip().is_unspecified() {
        true => format!("{}://:{}", scheme.name(), addr.port()),
        false => format!("{}://{addr}", scheme.name()),
    }
}

/// The addresses of a block that is bound to none.
fn everywhere() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    // The kernel shows this file if it speaks IPv6 at all.
    if Path::new("/proc/net/if_inet6").exists() {
        addresses.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    addresses
}

/// The lines of one plugin in a block.
fn lines_of(block: &ServerBlock, plugin: &str) -> Vec<Directive> {
    block.directives.iter().filter(|directive| directive.name.text == plugin).cloned().collect()
}
