//! The life of the server process: set up, load, listen, wait for a signal, stop.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::log;
use engine::net;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Housekeeping, Pocketbase, Ready, Server, Services, Switch, pocketbases, setup_after};
use engine::zone::Hub;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;
use store::{Store, name};

use crate::endpoints::Endpoints;
use crate::http::{self, Admin, AdminConfig};
use crate::insight::Insight;
use crate::notify::{self, notify};
use crate::pid_file::PidFile;
use crate::reload::{self, Reloader, Wanted, Watch};
use crate::traffic;

/// What the command line settled.
pub struct RunConfig {
    /// The Corefile to serve.
    pub corefile: Corefile,
    /// What an import into it begins with: the program and the flags that name the Corefile.
    pub(crate) command: String,
    /// Reads it again.
    pub(crate) read: Box<dyn Fn() -> Result<Corefile, String>>,
    /// Print no start lines.
    pub quiet: bool,
    /// The pid file, which goes with the process.
    pub(crate) pid_file: Option<PidFile>,
}

/// A database that is open, and the directives that serve it.
pub(crate) struct Database {
    folder: PathBuf,
    store: Store,
    /// Its file is damaged, so that no change is taken.
    damaged: bool,
    served_by: Vec<Pocketbase>,
    /// Who is told of commits; more than `served_by` while a configuration is changing.
    told: Told,
}

/// The directives that a store tells of its commits.
type Told = Arc<Mutex<Vec<Pocketbase>>>;

/// An HTTP service at work, and what it was made from.
pub(crate) struct RunningAdmin {
    folder: PathBuf,
    config: AdminConfig,
    store: Store,
    admin: Admin,
}

/// The server at work, with all that a change of its configuration changes.
pub(crate) struct Serving {
    pub(crate) hub: Arc<Hub>,
    pub(crate) switch: Arc<Switch>,
    /// The threads that answer, once they do.
    pub(crate) running: Option<net::Running>,
    pub(crate) endpoints: Endpoints,
    pub(crate) databases: Vec<Database>,
    pub(crate) admins: Vec<RunningAdmin>,
    pub(crate) housekeeping: Housekeeping,
    pub(crate) services: Services,
    pub(crate) watch: Watch,
    reloader: Reloader,
    pub(crate) insight: Insight,
    io: net::IoChoice,
}

/// Serves until a signal ends it. An error is a sentence for standard error.
pub fn run(config: RunConfig) -> Result<(), String> {
    let begun = Instant::now();
    // Signals are caught before anything is open, so that none can cut a start short.
    // SIGXFSZ is caught so that a file at its limit is an error of the write, as a full disk is, and not the end.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ]).map_err(|why| why.to_string())?;
    end_at_panics_in_debug();
    let (reloader, wishes) = Reloader::new();
    let (mut serving, served) = Serving::start(&config.corefile, reloader, &mut signals)?;
    if !config.quiet {
        // One write, so that no line about a query falls between them.
        let lines: Vec<&str> = served.iter().map(String::as_str).chain([crate::VERSION, crate::BUILD]).collect();
        log::plain(&lines.join("\n"));
    }
    serving.report(begun.elapsed(), &config)?;

    let manager = std::env::var("NOTIFY_SOCKET").ok();
    let tell = |message| {
        if let Err(why) = notify(manager.as_deref(), message) {
            log::warning(&format!("the service manager was not told {message}: {why}"));
        }
    };
    tell(notify::READY);
    let mut pid_file = config.pid_file;
    if serving.wait_for_the_end(&mut signals, &wishes, &*config.read)? == End::AtOnce {
        drop(pid_file.take());
        std::process::exit(0);
    }
    tell(notify::STOPPING);
    // A second interrupt does not wait for the grace time.
    let handle = signals.handle();
    let impatient = std::thread::spawn(move || {
        if signals.forever().any(|signal| matches!(signal, SIGINT | SIGQUIT)) {
            drop(pid_file.take());
            std::process::exit(2);
        }
    });
    // Who waits for a reload is told that there will be none.
    drop(wishes);
    serving.stop();
    log::drain();
    handle.close();
    let _ = impatient.join();
    Ok(())
}

impl Serving {
    /// Sets all up, loads, and listens; gives the start lines, too.
    fn start(corefile: &Corefile, reloader: Reloader, signals: &mut Signals) -> Result<(Self, Vec<String>), String> {
        let hub = Hub::new();
        let Ready { server, listeners, mut services, served, .. } = Self::set_up(corefile, &hub, None)?;
        log::set_debug(services.debug);
        // First of all, so that a long load can be watched.
        let mut endpoints = Endpoints::new().map_err(|why| why.to_string())?;
        let opened = endpoints.open(&services.endpoints)?;
        endpoints.serve(std::mem::take(&mut services.endpoints), opened).map_err(|why| why.to_string())?;
        let io = std::env::var("ZONDA_IO").unwrap_or_else(|_| "auto".into());
        let io =
            net::IoChoice::from_name(&io).ok_or_else(|| format!("ZONDA_IO is '{io}'; it may be auto, ring or mmsg"))?;
        let watch = Watch::new(corefile, services.reload);
        let pocketbases = std::mem::take(&mut services.pocketbases);
        let tasks = std::mem::take(&mut services.tasks);
        let sockets = services.sockets.flatten();
        let switch = Switch::new(server);
        let mut serving = Self {
            insight: Insight::new(Arc::clone(&switch), Arc::clone(&hub)),
            hub,
            switch,
            running: None,
            endpoints,
            databases: Vec::new(),
            admins: Vec::new(),
            housekeeping: Housekeeping::start(Vec::new()).map_err(|why| why.to_string())?,
            services,
            watch,
            reloader,
            io,
        };
        let mut is_over = || signals.pending().any(|signal| matches!(signal, SIGTERM | SIGINT | SIGQUIT));
        serving.databases = serving.open_databases(pocketbases)?;
        // Zones are served as they become ready.
        let running = serving.listen(&listeners, sockets)?;
        serving.insight.show(&running);
        serving.running = Some(running);
        serving.watch_metrics(&serving.services, corefile);
        let databases = std::mem::take(&mut serving.databases);
        serving.load_databases(&databases, &mut is_over)?;
        serving.show_databases(&databases);
        serving.start_admins(&databases)?;
        serving.databases = databases;
        serving.housekeeping = Housekeeping::start(tasks).map_err(|why| why.to_string())?;
        Ok((serving, served))
    }

    /// Sets up a configuration, after another one or as the first, and logs its warnings.
    pub(crate) fn set_up(corefile: &Corefile, hub: &Arc<Hub>, previous: Option<&Server>) -> Result<Ready, String> {
        let environment = |name: &str| std::env::var(name).ok();
        let ready = setup_after(corefile, hub, &environment, previous)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        for warning in &ready.services.warnings {
            log::warning(warning);
        }
        Ok(ready)
    }

    /// Opens the listeners of the start, and starts the threads that answer.
    fn listen(&self, listeners: &[Option<net::Listener>], workers: Option<usize>) -> Result<net::Running, String> {
        let listeners: Vec<_> = listeners.iter().flatten().copied().collect();
        let options = net::Options { io: self.io, workers, ..net::Options::default() };
        net::start(&listeners, Arc::clone(&self.switch), &options).map_err(|why| why.to_string())
    }

    /// Has the metrics of a configuration tell of the threads and of the configuration itself.
    pub(crate) fn watch_metrics(&self, services: &Services, corefile: &Corefile) {
        let meters: Vec<_> = self.running.iter().map(net::Running::meter).collect();
        services.metrics.add(move |text| traffic::write(text, &meters));
        let hash = reload::hash(corefile);
        services.metrics.add(move |text| reload::write(text, &hash));
    }

    /// Ends it: in lameduck for as long as configured, then within the grace time.
    fn stop(self) {
        self.services.life.stop();
        let lameduck = self.services.lameduck;
        if !lameduck.is_zero() {
            log::info(&format!("plugin/health: Going into lameduck mode for {lameduck:?}"));
            std::thread::sleep(lameduck);
        }
        drop(self.housekeeping);
        for running in self.admins {
            running.admin.stop(GRACE);
        }
        if let Some(running) = self.running {
            running.stop(GRACE);
        }
        self.endpoints.stop();
    }
}

/// While debug lines are written, a panic ends the process once it has been reported.
fn end_at_panics_in_debug() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if log::is_debug() {
            std::process::abort();
        }
    }));
}

/// How a signal asks for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What is under way may be finished.
    InGrace,
    /// Without waiting for anything.
    AtOnce,
}

impl Serving {
    /// Returns when a signal asks for the end; an error if a thread that answers has ended by itself. Reloads meanwhile.
    fn wait_for_the_end(
        &mut self,
        signals: &mut Signals,
        wishes: &Receiver<Wanted>,
        read: &dyn Fn() -> Result<Corefile, String>,
    ) -> Result<End, String> {
        loop {
            for signal in signals.pending() {
                match signal {
                    SIGQUIT => return Ok(End::AtOnce),
                    SIGTERM | SIGINT => {
                        let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                        log::info(&format!("{name}: Shutting down"));
                        return Ok(End::InGrace);
                    }
                    SIGUSR1 => drop(self.reload(read())),
                    SIGUSR2 => {
                        log::warning("this build does not change its program while it runs; restart it to do so")
                    }
                    _ => {}
                }
            }
            for wanted in wishes.try_iter() {
                wanted.tell(self.reload(read()));
            }
            if let Some(changed) = self.watch.look(read) {
                drop(self.reload(changed));
            }
            self.switch.sweep();
            if let Some(why) = self.services.life.failure() {
                return Err(why.into());
            }
            if let Some(running) = &mut self.running {
                running.sweep();
                if let Some(why) = running.failure() {
                    return Err(why.to_string());
                }
            }
            std::thread::sleep(SIGNAL_CHECK);
        }
    }

    /// Opens each data folder that is not open, and takes the places of the zones that are not served yet.
    pub(crate) fn open_databases(&self, pocketbases: Vec<Pocketbase>) -> Result<Vec<Database>, String> {
        let mut by_folder: BTreeMap<PathBuf, Vec<Pocketbase>> = BTreeMap::new();
        for pocketbase in pocketbases {
            let folder = std::path::absolute(&pocketbase.data_dir).unwrap_or_else(|_| pocketbase.data_dir.clone());
            by_folder.entry(folder).or_default().push(pocketbase);
        }
        let mut databases = Vec::new();
        for (folder, served_by) in by_folder {
            let is_other =
                |other: &Pocketbase| (&other.email, &other.password) != (&served_by[0].email, &served_by[0].password);
            if served_by.iter().any(is_other) {
                let folder = folder.display();
                return Err(format!(
                    "plugin/pocketbase: {folder} is named by two blocks with different accounts; give them one"
                ));
            }
            let open = self.databases.iter().find(|open| open.folder == folder);
            let (store, damaged, told) = match open {
                Some(open) => (open.store.clone(), open.damaged, Arc::clone(&open.told)),
                None => open_store(&folder)?,
            };
            let zones = store.zones().map_err(|why| why.to_string())?;
            for pocketbase in served_by.iter().filter(|pocketbase| !pocketbase.is_loaded()) {
                pocketbase.announce(&zones);
            }
            databases.push(Database { folder, store, damaged, served_by, told });
        }
        Ok(databases)
    }

    /// Loads those of their zones that are not served yet.
    pub(crate) fn load_databases(
        &self,
        databases: &[Database],
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        for Database { store, damaged, served_by, told, .. } in databases {
            // Commits wait meanwhile, so that none falls between loading and being told.
            let mut publishers = told.lock().unwrap_or_else(PoisonError::into_inner);
            for pocketbase in served_by.iter().filter(|pocketbase| !pocketbase.is_loaded()) {
                load(pocketbase, store, *damaged, &self.insight)?;
                publishers.push(pocketbase.clone());
            }
            drop(publishers);
            if is_over() {
                return Err("stopped while loading".into());
            }
        }
        Ok(())
    }

    /// Shows these databases to those who ask for the status.
    pub(crate) fn show_databases(&self, databases: &[Database]) {
        self.insight.set_databases(databases.iter().map(|database| database.folder.clone()).collect());
    }

    /// Has the stores of databases that are served no longer tell nobody of commits: the places of their zones are going to
    /// be others'.
    pub(crate) fn forget(&self, former: Vec<Database>) {
        for gone in former.iter().filter(|former| !self.databases.iter().any(|now| now.folder == former.folder)) {
            gone.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Has the stores tell those of commits that serve now, and nobody else.
    pub(crate) fn tell_of_commits(&self) {
        for database in &self.databases {
            *database.told.lock().unwrap_or_else(PoisonError::into_inner) = database.served_by.clone();
        }
    }
}

/// Opens a store, and lets its commits be published; the second value is whether its file is damaged.
fn open_store(folder: &Path) -> Result<(Store, bool, Told), String> {
    let opened = Store::open(folder).map_err(|why| format!("plugin/pocketbase: {why}"))?;
    if opened.repaired {
        log::info(&format!("plugin/pocketbase: {} was not closed and has been repaired", folder.display()));
    }
    if let Some(why) = &opened.damaged {
        log::error(&format!("plugin/pocketbase: {why}; until then no change is taken"));
    }
    let told = Told::default();
    let publishers = Arc::clone(&told);
    opened.store.publish_to(Box::new(move |changes| {
        for pocketbase in &*publishers.lock().unwrap_or_else(PoisonError::into_inner) {
            pocketbase.publish(&changes);
        }
    }));
    Ok((opened.store, opened.damaged.is_some(), told))
}

/// Loads all zones of a database, with a progress bar on a terminal. `is_damaged` says that its file is.
fn load(pocketbase: &Pocketbase, store: &Store, is_damaged: bool, insight: &Insight) -> Result<(), String> {
    let records = store.zones().map_err(|why| why.to_string())?.iter().map(|zone| zone.records).sum();
    let bar = if io::stderr().is_terminal() && records > PROGRESS_FROM {
        let style =
            ProgressStyle::with_template("loading zones {bar:30} {human_pos} of {human_len} records, {eta} left");
        ProgressBar::new(records).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    } else {
        ProgressBar::hidden()
    };
    insight.begin_loading(records);
    let mut shown = 0;
    let damaged = pocketbase.load(store, &mut |loaded| {
        bar.set_position(loaded);
        insight.go_on_loading(loaded - shown);
        shown = loaded;
    });
    bar.finish_and_clear();
    // Nobody waits any more for what is damaged.
    insight.go_on_loading(records.saturating_sub(shown));
    let damaged = damaged.map_err(|why| why.to_string())?;
    let advice = if is_damaged { "restore the database from a back-up" } else { "import it anew, or remove it" };
    for (apex, why) in damaged {
        let zone = name::to_text(&apex);
        log::error(&format!("plugin/pocketbase: zone {zone} is damaged and is not served: {why}; {advice}"));
    }
    Ok(())
}

impl Serving {
    /// Starts the HTTP services of databases, once for each address that the directives of one name; those that run
    /// already and stay the same go on. Others end where their address is needed, or else are given back to be ended by the
    /// caller. After an error those that ended are started again.
    pub(crate) fn start_admins(&mut self, databases: &[Database]) -> Result<Vec<RunningAdmin>, String> {
        let mut wanted: Vec<(&Database, AdminConfig)> = Vec::new();
        for database in databases {
            for pocketbase in &database.served_by {
                let is_same = |(other, config): &(&Database, AdminConfig)| {
                    other.folder == database.folder && config.listen == pocketbase.listen
                };
                if !wanted.iter().any(is_same) {
                    wanted.push((database, self.admin_config(pocketbase)));
                }
            }
        }
        let is_wanted =
            |running: &RunningAdmin| wanted.iter().any(|(database, config)| running.is(&database.folder, config));
        let (mut admins, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.admins).into_iter().partition(is_wanted);
        let is_in_the_way =
            |running: &RunningAdmin| wanted.iter().any(|(_, config)| config.listen == running.config.listen);
        // One of their requests may be the one that waits for this.
        let (mut closed, mut going): (Vec<_>, Vec<_>) = others.into_iter().partition(is_in_the_way);
        closed.iter_mut().for_each(|running| running.admin.close_door());
        let kept = admins.len();
        for (database, config) in wanted {
            if admins.iter().any(|running| running.is(&database.folder, &config)) {
                continue;
            }
            match RunningAdmin::start(database.folder.clone(), config, database.store.clone()) {
                Ok(running) => admins.push(running),
                Err(why) => {
                    admins.drain(kept..).for_each(RunningAdmin::stop);
                    for RunningAdmin { folder, config, store, .. } in &closed {
                        match RunningAdmin::start(folder.clone(), config.clone(), store.clone()) {
                            Ok(running) => admins.push(running),
                            Err(why) => log::error(&why),
                        }
                    }
                    std::thread::spawn(|| closed.into_iter().for_each(RunningAdmin::stop));
                    admins.extend(going);
                    self.admins = admins;
                    return Err(why);
                }
            }
        }
        self.admins = admins;
        going.append(&mut closed);
        Ok(going)
    }

    /// What the HTTP service of a directive needs to know.
    fn admin_config(&self, pocketbase: &Pocketbase) -> AdminConfig {
        AdminConfig {
            listen: pocketbase.listen,
            tls: pocketbase.tls.clone(),
            email: pocketbase.email.clone(),
            password: pocketbase.password.clone(),
            default_ttl: pocketbase.default_ttl,
            reloader: Some(self.reloader.clone()),
            insight: Some(self.insight.clone()),
        }
    }
}

impl RunningAdmin {
    /// Starts one.
    fn start(folder: PathBuf, config: AdminConfig, store: Store) -> Result<Self, String> {
        let admin = http::start(config.clone(), store.clone()).map_err(|why| format!("plugin/pocketbase: {why}"))?;
        for warning in admin.warnings() {
            log::warning(&format!("plugin/pocketbase: {warning}"));
        }
        Ok(Self { folder, config, store, admin })
    }

    /// Where it is found.
    fn url(&self) -> String {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.admin.local_addr())
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        self.admin.stop(GRACE);
    }

    /// Whether it is made from this.
    fn is(&self, folder: &Path, config: &AdminConfig) -> bool {
        let key = |config: &AdminConfig| {
            let AdminConfig { listen, tls, email, password, default_ttl, .. } = config.clone();
            (listen, tls, email, password, default_ttl)
        };
        self.folder == folder && key(&self.config) == key(config)
    }
}

impl Serving {
    /// Says what is served and over what, and how long the start took.
    fn report(&self, took: Duration, config: &RunConfig) -> Result<(), String> {
        let Some(running) = &self.running else { return Ok(()) };
        let way = running.io();
        let workers = running.totals().workers.len();
        let reason = way.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        log::info(&format!("answering over {} with {}{reason}", way.way.name(), count(workers as u64, "worker")));
        for database in &self.databases {
            let admin = self.admins.iter().find(|running| running.folder == database.folder);
            report(database, admin.map(RunningAdmin::url), running, took, config)?;
        }
        Ok(())
    }
}

/// Says what is served and how long it took, or what to do first when there is nothing yet.
fn report(
    database: &Database,
    url: Option<String>,
    running: &net::Running,
    took: Duration,
    config: &RunConfig,
) -> Result<(), String> {
    let zones = database.store.zones().map_err(|why| why.to_string())?;
    let records: u64 = zones.iter().map(|zone| zone.records).sum();
    let http = url.as_ref().map_or_else(String::new, |url| format!(", console and HTTP API on {url}"));
    log::info(&format!(
        "plugin/pocketbase: serving {} with {} after {:.3} s{http}",
        count(zones.len() as u64, "zone"),
        count(records, "record"),
        took.as_secs_f64()
    ));
    let mut known = zones.len();
    let counted = database.store.survey(&mut |zones| {
        known = zones.len();
        Vec::new()
    });
    // Zones that are damaged are there all the same.
    if database.damaged || known > 0 || counted.is_err() {
        return Ok(());
    }
    let dns = running.local_addrs().iter().copied().find(|address| address.is_ipv4());
    let port = dns.map_or(53, |address| address.port());
    let server =
        dns.filter(|address| !address.ip().is_unspecified()).map_or_else(|| "127.0.0.1".into(), |a| a.ip().to_string());
    log::info("plugin/pocketbase: the database is empty. What to do next:");
    if let Some(url) = url {
        log::info(&format!("plugin/pocketbase:   open {url} in a browser and make a zone"));
    }
    let zone = example(database, &config.corefile);
    log::info(&format!("plugin/pocketbase:   or {} import db.{zone} --zone {zone}", config.command));
    log::info(&format!("plugin/pocketbase:   then ask: dig @{server} -p {port} {zone} SOA"));
    Ok(())
}

/// A zone that a database could hold: that of its block, if it is not the root.
fn example(database: &Database, corefile: &Corefile) -> String {
    let all = pocketbases(corefile, &|name| std::env::var(name).ok()).unwrap_or_default();
    let of_it = all.iter().filter(|(_, one)| database.served_by.iter().any(|served| served.data_dir == one.data_dir));
    let zone = of_it.flat_map(|(zones, _)| zones).find(|zone| zone.label_count() > 1).map(name::to_text);
    zone.map_or_else(|| "example.org".into(), |zone| zone.trim_end_matches('.').to_owned())
}

/// A number of things in words: `1 zone`, `2 zones`.
fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// How long a stop, or a listener that goes, waits for what is under way.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How often signals are looked for.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Records from which loading shows its progress.
const PROGRESS_FROM: u64 = 50_000;
