//! # pocketbase
//!
//! ## Name
//! *pocketbase* - answers from the database that is edited over HTTP.
//!
//! ## Description
//! Answers from zones that are kept in an embedded database and edited over HTTP. A change that was acknowledged is
//! already served. Queries for names outside all its zones go on to the next plugin; as the last plugin it refuses them.
//! Transfers get NOTIMP. At the start zones are served as they become ready; names of those that are still loaded get
//! SERVFAIL meanwhile, and names of a zone that is found damaged do until it is imported anew or removed.
//!
//! A zone that is imported is checked whole, as that of a zone file is (see `file`). An edit is refused if an owner that
//! it touches could not be served; what is hardly meant is logged as a warning, and for that only the names are looked at
//! that the edit touched, those that their records lead to, and the apex and zone cuts above that name them as a host. So
//! an edit costs the same in a zone of any size; signatures and the chain of a signed zone are checked at imports only.
//!
//! Programs need not know the superuser's password: `POST /api/zonda/tokens` with `name`, `scope` (`read` or `write`) and,
//! where wanted, `zones` (an array of names, each with all below it) and `duration` (seconds) makes an API token for
//! `/api/zonda/`, which goes into the header `Authorization: Bearer TOKEN`. It is shown this once; a `GET` lists the
//! tokens, `DELETE /api/zonda/tokens/ID` voids one at once, and the history names the token that made a change.
//!
//! ## Syntax
//! ```corefile
//! pocketbase {
//!     listen ADDRESS
//!     tls CERTIFICATE KEY
//!     data_dir DIR
//!     su_email EMAIL
//!     su_password PASSWORD
//!     default_ttl SECONDS
//!     cache_capacity ENTRIES
//! }
//! ```
//! * `listen` is where the HTTP service listens, `[::]:8090` by default. While the password is the well-known default
//!   it listens on loopback only, whatever stands here.
//! * `tls` makes the service speak HTTPS, TLS 1.2 at the least, with the certificate (and its chain) and the private key
//!   in these PEM files. They are read again when they change; while what they hold is no good, which the log tells, the
//!   former certificate stays in use.
//! * `data_dir` is the folder of the database, `pb_data` by default. It holds `zonda.redb`, and while zonda runs, or after
//!   it was killed, `zonda.wal` with the newest changes: the two belong together.
//! * `su_email` and `su_password` are the superuser's account, `su@pocketbase.internal` and `pwd@pocketbase.internal` by
//!   default. The environment variables `COREDNS_PB_SUPERUSER_EMAIL` and `COREDNS_PB_SUPERUSER_PWD` win over them.
//! * `default_ttl` is the TTL of records that have none (0), 30 by default.
//! * `cache_capacity` is accepted for compatibility; all zones are in memory already.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     pocketbase {
//!         listen 127.0.0.1:8090
//!     }
//! }
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`pocketbase`.
//!
//! ## Ready
//! It signals readiness: it is ready once all zones of its database are served or found damaged.
//!
//! ## See also
//! `file`, `auto`, `ready`. `docs/api.md` shows the HTTP API, and `zonda import` and `zonda export` move zones in and out.
//!
//! ## Bugs
//! `cache_capacity` changes nothing. The zones cannot be transferred to secondaries, as there is no `transfer` yet.

use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::OptRcode;
use store::edit::Change;
use store::{Loaded, Name, Store, StoreError, ZoneInfo};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup, zones};
use crate::certificate::CertificateFiles;
use crate::wire::{Query, Response};
use crate::zone::{Builder, Hub, SetId, Step, Zone, ZoneSet};

/// The plugin.
struct Answers {
    set: SetId,
}

/// A `pocketbase` directive: the account and the place of its database, for those who open it and serve HTTP.
#[derive(Clone)]
pub struct Pocketbase {
    /// Where the HTTP service listens.
    pub listen: SocketAddr,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<CertificateFiles>,
    /// The folder of the database.
    pub data_dir: PathBuf,
    /// The superuser's e-mail address.
    pub email: String,
    /// The superuser's password.
    pub password: Password,
    /// Seconds that a record without a TTL gets.
    pub default_ttl: u32,
    set: SetId,
    hub: Arc<Hub>,
    /// Set when the zones are served.
    loaded: Arc<AtomicBool>,
}

/// A password; it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Reads the directive; the last of several lines counts, as each property's last value does.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut config = Pocketbase {
        listen: SocketAddr::from(([0u16; 8], 8090)),
        tls: None,
        data_dir: PathBuf::from("pb_data"),
        email: DEFAULT_EMAIL.into(),
        password: Password(DEFAULT_PASSWORD.into()),
        default_ttl: 30,
        set: SetId::NONE,
        hub: Arc::clone(setup.hub),
        loaded: setup.services.life.wait_for("pocketbase"),
    };
    for line in lines {
        if !line.args.is_empty() {
            return Err(line.wrong_argument_count());
        }
        for property in line.properties() {
            if property.name.text == "tls" {
                let [certificate, key] = &property.args[..] else { return Err(property.wrong_argument_count()) };
                let (certificate, key) = (setup.path(&certificate.text), setup.path(&key.text));
                config.tls = Some(CertificateFiles { certificate, key });
                continue;
            }
            // A message must not show what may be part of a password.
            let value = property.one_argument().map_err(|why| match &property.name.text[..] {
                "su_password" => property.error("su_password has one argument; one with spaces in it stands in quotes"),
                _ => why,
            })?;
            match &property.name.text[..] {
                "listen" => config.listen = listen_address(&value.text).map_err(|why| value.error(why))?,
                "data_dir" => config.data_dir = PathBuf::from(&value.text),
                "su_email" => config.email.clone_from(&value.text),
                "su_password" if value.text.is_empty() => {
                    return Err(value.error("su_password is empty, so that nobody could log in"));
                }
                "su_password" => config.password = Password(value.text.clone()),
                "default_ttl" => {
                    let seconds = value.text.parse().ok().filter(|&seconds| seconds <= TTL_MAX);
                    config.default_ttl = seconds.ok_or_else(|| {
                        value.error(format!("default_ttl '{}' is not a number of seconds up to {TTL_MAX}", value.text))
                    })?;
                }
                "cache_capacity" => {
                    value.text.parse::<u32>().map_err(|_| {
                        value.error(format!("cache_capacity '{}' is not a number of entries", value.text))
                    })?;
                }
                _ => return Err(property.unknown_property()),
            }
        }
    }
    if let Some(email) = (setup.environment)("COREDNS_PB_SUPERUSER_EMAIL").filter(|email| !email.is_empty()) {
        config.email = email;
    }
    if let Some(password) = (setup.environment)("COREDNS_PB_SUPERUSER_PWD").filter(|password| !password.is_empty()) {
        config.password = Password(password);
    }
    if config.password.reveal().chars().count() < PASSWORD_MIN {
        let warning = format!("plugin/pocketbase: the superuser's password has fewer than {PASSWORD_MIN} characters");
        setup.services.warnings.push(warning);
    }
    let kept = setup.kept_database(&config.data_dir, config.default_ttl);
    config.loaded.store(kept.is_some(), Ordering::Relaxed);
    let set = kept.unwrap_or_else(|| setup.hub.add());
    config.set = set;
    setup.services.pocketbases.push(config);
    Ok(Some(Box::new(Answers { set })))
}

impl Plugin for Answers {
    fn name(&self) -> &'static str {
        "pocketbase"
    }

    fn zones(&self) -> Option<SetId> {
        Some(self.set)
    }

    #[inline]
    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        zones::serve(self.set, OptRcode::NOTIMP, query, response, context, &mut ()).0
    }

    fn explain(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Flow {
        zones::serve(self.set, OptRcode::NOTIMP, query, response, context, steps).0
    }

    fn unanswered(&self) -> OptRcode {
        OptRcode::REFUSED
    }
}

impl Pocketbase {
    /// Takes the places of zones that are going to be loaded: until then their names get SERVFAIL, and no zone above
    /// answers for them.
    pub fn announce(&self, zones: &[ZoneInfo]) {
        let set = ZoneSet::build(zones.iter().map(|zone| Arc::new(Zone::withheld(&zone.apex))));
        self.hub.publish(self.set, |_| set);
    }

    /// Compiles all zones of the store and publishes them, those that are ready several times a second; gives those that
    /// are damaged, with the reason. `progress` is told the records compiled so far.
    pub fn load(&self, store: &Store, progress: &mut dyn FnMut(u64)) -> Result<Vec<(Name, String)>, StoreError> {
        let mut zones = Vec::new();
        let mut zone: Option<Builder> = None;
        let (mut records, mut told) = (0, 0);
        let (mut published, mut last) = (0, Instant::now());
        let damaged = store.load(&mut |piece| match piece {
            Loaded::Zone(info) => zone = Some(Builder::new(&info.apex, self.default_ttl)),
            Loaded::Node(node) => {
                if let Some(zone) = &mut zone {
                    zone.put(&node);
                }
                records += node.rrsets.iter().map(|rrset| rrset.records.len() as u64).sum::<u64>();
                if records >= told + PROGRESS_RECORDS {
                    progress(records);
                    told = records;
                }
            }
            Loaded::Sound => {
                zones.extend(zone.take().map(|zone| Arc::new(zone.finish())));
                if last.elapsed() >= PUBLISH_EVERY {
                    let ready = zones[published..].iter().map(|zone| (zone.name().clone(), Some(Arc::clone(zone))));
                    self.hub.publish(self.set, |set| set.with(ready));
                    (published, last) = (zones.len(), Instant::now());
                }
            }
        })?;
        progress(records);
        zones.extend(damaged.iter().map(|(apex, _)| Arc::new(Zone::withheld(apex))));
        let set = ZoneSet::build(zones);
        self.hub.publish(self.set, |_| set);
        self.loaded.store(true, Ordering::Relaxed);
        Ok(damaged)
    }

    /// Publishes what a commit changed. Called by one thread at a time.
    pub fn publish(&self, changes: &[Change]) {
        let snapshot = self.hub.current();
        let Some(zones) = snapshot.set(self.set) else { return };
        // A zone may change more than once in one commit.
        let mut staged: HashMap<Name, Option<Arc<Zone>>> = HashMap::with_capacity(changes.len());
        for change in changes {
            let (apex, zone) = match change {
                Change::Removed { apex } => (apex, None),
                Change::Whole { apex, nodes } => (apex, Some(Zone::compile(apex, nodes, self.default_ttl))),
                Change::Nodes { apex, nodes } => {
                    let current = staged.get(apex).cloned().unwrap_or_else(|| zones.get(apex).cloned());
                    // Part of a zone is not the zone: without the rest its other names would get name errors.
                    let next = current.map_or_else(|| Zone::withheld(apex), |current| current.with(nodes));
                    (apex, Some(next))
                }
            };
            staged.insert(apex.clone(), zone.map(Arc::new));
        }
        let set = zones.with(staged);
        self.hub.publish(self.set, |_| set);
    }

    /// Whether its zones are served already, as they were before a change of the configuration.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Relaxed)
    }

    /// By what a later configuration knows it again, and its zones.
    pub(super) fn key(&self) -> (PathBuf, u32, SetId) {
        (self.data_dir.clone(), self.default_ttl, self.set)
    }

    /// How many zones are served now.
    pub fn zones(&self) -> usize {
        self.hub.current().set(self.set).map_or(0, ZoneSet::len)
    }
}

impl Password {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself, for hashing and logging in.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that everybody knows.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_PASSWORD
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Reads `ADDRESS:PORT`, `:PORT` (all addresses) or `NAME:PORT`.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    full.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| format!("listen '{text}' is not an address with a port"))
}

/// The superuser's address where none is configured.
const DEFAULT_EMAIL: &str = "su@pocketbase.internal";

/// The superuser's password where none is configured: known to everybody, hence never served beyond loopback.
const DEFAULT_PASSWORD: &str = "pwd@pocketbase.internal";

/// Characters of a password that is worth no warning, as many as PocketBase asks for.
const PASSWORD_MIN: usize = 8;

/// The greatest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

/// How long zones that are ready wait for others, to be published with them.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);

/// Records that are compiled between two reports of progress.
const PROGRESS_RECORDS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use store::edit::{NodeData, RrsetData};

    use super::*;
    use crate::zone::{Found, Question, answer};

    /// A few nodes were taken for all of a zone that was not served, and the rest of it got name errors.
    #[test]
    fn part_of_a_zone_that_is_not_served_is_never_taken_for_all_of_it() {
        let hub = Hub::new();
        let set = hub.add();
        let plugin = Pocketbase {
            listen: SocketAddr::from(([0u16; 8], 0)),
            tls: None,
            data_dir: PathBuf::new(),
            email: String::new(),
            password: Password::new(""),
            default_ttl: 30,
            set,
            hub: Arc::clone(&hub),
            loaded: Arc::default(),
        };
        let apex = store::name::parse("example.org.", None).unwrap();
        let rdata = store::types::rdata_from_text(Rtype::SOA, "ns host 1 1 1 1 60", Some(&apex)).unwrap();
        let soa = RrsetData { rtype: Rtype::SOA, records: vec![(None, rdata)] };
        let nodes = vec![NodeData { owner: apex.clone(), rrsets: vec![soa] }];
        let found = |changes: &[Change]| {
            plugin.publish(changes);
            let message = [&[0; 5], &[1][..], &[0; 6], apex.as_slice(), &[0, 6, 0, 1]].concat();
            let query = Query::read(&message).unwrap();
            let mut buffer = [&message[..], &[0; 512]].concat();
            let question = Question { name: &query.name, qtype: Rtype::SOA, dnssec_ok: false };
            let snapshot = hub.current();
            let zones = snapshot.set(set).unwrap();
            answer(zones, None, question, &mut Response::new(&mut buffer, &query, 512))
        };
        let part = || Change::Nodes { apex: apex.clone(), nodes: nodes.clone() };
        let removed = || Change::Removed { apex: apex.clone() };
        let whole = || Change::Whole { apex: apex.clone(), nodes: nodes.clone() };
        assert_eq!(found(&[part()]), Found::Withheld);
        assert_eq!(found(&[part()]), Found::Withheld, "and so it stays");
        assert_eq!(found(&[whole(), part()]), Found::Data);
        assert_eq!(found(&[removed(), part()]), Found::Withheld);
        assert_eq!(found(&[whole()]), Found::Data);
        assert_eq!(found(&[part()]), Found::Data);
    }
}
