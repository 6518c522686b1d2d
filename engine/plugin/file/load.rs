//! Reading zone files, at the start and again when they change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use store::rules::{Rule, Severity, check_serial, check_zone, records_to_nodes};
use store::zonefile::{self, Options};
use store::{Name, Serial, name};

use crate::zone::{Hub, SetId, Zone};

/// A zone file and the zones that are served from it.
pub(in crate::plugin) struct ZoneFile {
    /// The plugin that serves it, for the log.
    plugin: &'static str,
    path: PathBuf,
    origins: Vec<Name>,
    set: SetId,
    /// How often to look at the file; zero is never.
    pub(super) reload: Duration,
    /// Read it when its modification time has changed rather than its serial.
    pub(super) by_mtime: bool,
    seen: Option<Seen>,
    /// The zones that it has published, as far as they are still there.
    published: Vec<Weak<Zone>>,
    /// The last complaint, so that it is not repeated at each look.
    complaint: Option<String>,
}

/// What the file was like when it was last read.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    octets: u64,
}

/// Why a zone file cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(in crate::plugin) struct LoadError {
    text: String,
    /// The file is not there.
    pub(super) missing: bool,
}

impl ZoneFile {
    /// A file that has not been read yet.
    pub(in crate::plugin) fn new(plugin: &'static str, path: PathBuf, origins: Vec<Name>, set: SetId) -> Self {
        let (reload, by_mtime, published) = (RELOAD, false, Vec::new());
        Self { plugin, path, origins, set, reload, by_mtime, seen: None, published, complaint: None }
    }

    /// Reads the file and publishes its zones; on an error what was served before stays, and the next look reads again.
    pub(in crate::plugin) fn load(&mut self, hub: &Hub) -> Result<(), LoadError> {
        let found = self.found();
        let zones = self.read().inspect_err(|why| self.complaint = Some(why.text.clone()))?;
        self.seen = found;
        self.publish(hub, zones);
        Ok(())
    }

    /// Keeps the place of its zones until the file is there.
    pub(super) fn withhold(&mut self, hub: &Hub) {
        self.publish(hub, self.origins.iter().map(|origin| Arc::new(Zone::withheld(origin))).collect());
    }

    /// Puts zones into their set.
    fn publish(&mut self, hub: &Hub, zones: Vec<Arc<Zone>>) {
        self.published.retain(|zone| zone.strong_count() > 0);
        self.published.extend(zones.iter().map(Arc::downgrade));
        hub.publish(self.set, |served| served.with(zones.into_iter().map(|zone| (zone.name().clone(), Some(zone)))));
    }

    /// Takes its zones out of their set, but for those that another file has been served for since; true if there were any.
    pub(in crate::plugin) fn withdraw(&self, hub: &Hub) -> bool {
        let mut has_any = false;
        let is_own = |zone: &Arc<Zone>| self.published.iter().any(|own| own.as_ptr() == Arc::as_ptr(zone));
        hub.publish(self.set, |served| {
            let own: Vec<_> = self.origins.iter().filter(|origin| served.get(origin).is_some_and(is_own)).collect();
            has_any = !own.is_empty();
            served.with(own.into_iter().map(|origin| (origin.clone(), None)))
        });
        has_any
    }

    /// Whether one of its zones is not served at all: the file that had taken its place has gone.
    fn lacks_zones(&self, hub: &Hub) -> bool {
        let snapshot = hub.current();
        let is_served = |origin| snapshot.set(self.set).is_some_and(|served| served.get(origin).is_some());
        !self.origins.iter().all(is_served)
    }

    /// Compiles the file once for each of its zones.
    fn read(&self) -> Result<Vec<Arc<Zone>>, LoadError> {
        self.origins.iter().map(|origin| read_zone(self.plugin, &self.path, origin).map(Arc::new)).collect()
    }

    /// What the file is like; None if it is not there.
    fn found(&self) -> Option<Seen> {
        std::fs::metadata(&self.path).ok().map(|found| Seen::of(&found))
    }

    /// Looks at the file and reads it if it has changed, or its zones are not served; logs what happened.
    pub(in crate::plugin) fn look(&mut self, hub: &Hub) {
        let found = self.found();
        if found == self.seen && !self.lacks_zones(hub) {
            return;
        }
        match self.read() {
            Ok(zones) => {
                self.seen = found;
                self.complaint = None;
                let served = |zone: &Zone| hub.current().set(self.set)?.get(zone.name())?.serial();
                let changed: Vec<_> =
                    zones.into_iter().filter(|zone| self.by_mtime || served(zone) != zone.serial()).collect();
                for zone in &changed {
                    let serials = served(zone).zip(zone.serial());
                    if let Some(fault) = serials.and_then(|(old, new)| check_serial(zone.name(), old, new)) {
                        crate::log::warning(&format!(
                            "plugin/{}: {}: {}",
                            self.plugin,
                            self.path.display(),
                            fault.message
                        ));
                    }
                    crate::log::info(&format!(
                        "plugin/{}: Successfully reloaded zone \"{}\" in \"{}\" with {} SOA serial",
                        self.plugin,
                        name::to_text(zone.name()),
                        self.path.display(),
                        zone.serial().unwrap_or(Serial(0)),
                    ));
                }
                self.publish(hub, changed);
            }
            // Not marked as seen: a file that is being written is whole at one of the next looks.
            Err(why) if self.complaint.as_deref() != Some(&why.text) => {
                crate::log::error(&format!("plugin/{}: {why}; the zone stays as it was", self.plugin));
                self.complaint = Some(why.text);
            }
            Err(_) => {}
        }
    }
}

impl Seen {
    /// What tells that a file has changed.
    fn of(found: &Metadata) -> Self {
        Self { modified: found.modified().ok(), octets: found.len() }
    }
}

/// Reads and compiles one zone of a file. Warnings are logged; a missing NS RRset at the apex is one here, and so are
/// records outside the zone, which are left out: other servers of zone files have it so.
fn read_zone(plugin: &str, path: &Path, origin: &Name) -> Result<Zone, LoadError> {
    let parsed = zonefile::read_file(path, Some(origin), &Options::default()).map_err(|faults| LoadError {
        text: faults.iter().take(FAULTS_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; "),
        missing: !path.exists(),
    })?;
    for fault in check_zone(origin, &parsed.records, SystemTime::now()) {
        let line = fault.record.and_then(|record| parsed.places.get(record));
        let place = line.map_or_else(|| path.display().to_string(), ToString::to_string);
        let text = format!("{place}: {}", fault.message);
        if fault.severity == Severity::Error && !matches!(fault.rule, Rule::NoNs | Rule::OutsideZone) {
            return Err(LoadError { text, missing: false });
        }
        crate::log::warning(&format!("plugin/{plugin}: {text}"));
    }
    Ok(Zone::compile(origin, &records_to_nodes(parsed.records), 0))
}

/// How often a file is looked at unless `reload` says otherwise.
const RELOAD: Duration = Duration::from_secs(60);

/// Faults that one message names.
const FAULTS_MAX: usize = 5;
