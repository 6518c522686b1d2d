//! The life of the server process: set up, load, listen, wait for a signal, stop.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::log;
use engine::net;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Housekeeping, Pocketbase, Ready, setup};
use engine::zone::Hub;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;
use store::{Store, name};

use crate::endpoints::Endpoints;
use crate::http::{self, Admin, AdminConfig};
use crate::notify::{self, notify};
use crate::pid_file::PidFile;
use crate::traffic;

/// What the command line settled.
pub struct RunConfig {
    /// The Corefile to serve.
    pub corefile: Corefile,
    /// Print no start lines.
    pub quiet: bool,
    /// The pid file, which goes with the process.
    pub(crate) pid_file: Option<PidFile>,
}

/// A database that is open, and the directives that serve it.
struct Database {
    store: Store,
    served_by: Arc<[Pocketbase]>,
}

/// Serves until a signal ends it. An error is a sentence for standard error.
pub fn run(config: RunConfig) -> Result<(), String> {
    let begun = Instant::now();
    // Signals are caught before anything is open, so that none can cut a start short.
    // SIGXFSZ is caught so that a file at its limit is an error of the write, as a full disk is, and not the end.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ]).map_err(|why| why.to_string())?;
    let hub = Hub::new();
    let environment = |name: &str| std::env::var(name).ok();
    let Ready { server, listeners, mut services, served } = setup(&config.corefile, &hub, &environment)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    for warning in &services.warnings {
        log::warning(warning);
    }
    log::set_debug(services.debug);
    end_at_panics_in_debug();
    // First of all, so that a long load can be watched.
    let mut endpoints = Endpoints::new().map_err(|why| why.to_string())?;
    let opened = endpoints.open(&services.endpoints)?;
    endpoints.serve(std::mem::take(&mut services.endpoints), opened).map_err(|why| why.to_string())?;
    let databases = open_databases(std::mem::take(&mut services.pocketbases), &mut signals)?;
    let io = std::env::var("ZONDA_IO").unwrap_or_else(|_| "auto".into());
    let io =
        net::IoChoice::from_name(&io).ok_or_else(|| format!("ZONDA_IO is '{io}'; it may be auto, ring or mmsg"))?;
    let listeners: Vec<_> = listeners.into_iter().map(|addr| net::Listener { addr }).collect();
    let options = net::Options { io, workers: services.sockets.flatten(), ..net::Options::default() };
    let running = net::start(&listeners, server, &options).map_err(|why| why.to_string())?;
    let meter = running.meter();
    services.metrics.add(move |text| traffic::write(text, &meter.totals()));
    let admins = databases.iter().map(start_admin).collect::<Result<Vec<_>, _>>()?;
    let housekeeping = Housekeeping::start(services.tasks).map_err(|why| why.to_string())?;

    if !config.quiet {
        // One write, so that no line about a query falls between them.
        let lines: Vec<&str> = served.iter().map(String::as_str).chain([crate::VERSION, crate::BUILD]).collect();
        log::plain(&lines.join("\n"));
    }
    let way = running.io();
    let workers = running.totals().workers.len();
    let reason = way.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    log::info(&format!("answering over {} with {}{reason}", way.way.name(), count(workers as u64, "worker")));
    for (database, admins) in databases.iter().zip(&admins) {
        report(database, admins, &running, begun.elapsed())?;
    }

    let manager = std::env::var("NOTIFY_SOCKET").ok();
    let tell = |message| {
        if let Err(why) = notify(manager.as_deref(), message) {
            log::warning(&format!("the service manager was not told {message}: {why}"));
        }
    };
    tell(notify::READY);
    let mut pid_file = config.pid_file;
    if wait_for_the_end(&mut signals, &running)? == End::AtOnce {
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
    services.life.stop();
    if !services.lameduck.is_zero() {
        log::info(&format!("plugin/health: Going into lameduck mode for {:?}", services.lameduck));
        std::thread::sleep(services.lameduck);
    }
    drop(housekeeping);
    for admin in admins.into_iter().flatten() {
        admin.stop(GRACE);
    }
    running.stop(GRACE);
    endpoints.stop();
    log::drain();
    handle.close();
    let _ = impatient.join();
    Ok(())
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

/// Returns when a signal asks for the end; an error if a thread that answers has ended by itself.
fn wait_for_the_end(signals: &mut Signals, running: &net::Running) -> Result<End, String> {
    loop {
        for signal in signals.pending() {
            match signal {
                SIGQUIT => return Ok(End::AtOnce),
                SIGTERM | SIGINT => {
                    let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                    log::info(&format!("{name}: Shutting down"));
                    return Ok(End::InGrace);
                }
                SIGUSR1 | SIGUSR2 => {
                    log::warning("this build does not change its configuration while it runs; restart it to do so");
                }
                _ => {}
            }
        }
        if let Some(why) = running.failure() {
            return Err(why.to_string());
        }
        std::thread::sleep(SIGNAL_CHECK);
    }
}

/// Opens each data folder once, loads its zones and lets its commits be published.
fn open_databases(pocketbases: Vec<Pocketbase>, signals: &mut Signals) -> Result<Vec<Database>, String> {
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
        let opened = Store::open(&folder).map_err(|why| format!("plugin/pocketbase: {why}"))?;
        if opened.repaired {
            log::info(&format!("plugin/pocketbase: {} was not closed and has been repaired", folder.display()));
        }
        if let Some(why) = opened.damaged {
            log::error(&format!("plugin/pocketbase: {why}; until then no change is taken"));
        }
        let store = opened.store;
        let served_by: Arc<[Pocketbase]> = served_by.into();
        for pocketbase in &*served_by {
            load(pocketbase, &store)?;
        }
        let publishers = Arc::clone(&served_by);
        store.publish_to(Box::new(move |changes| {
            for pocketbase in &*publishers {
                pocketbase.publish(&changes);
            }
        }));
        databases.push(Database { store, served_by });
        if signals.pending().any(|signal| matches!(signal, SIGTERM | SIGINT | SIGQUIT)) {
            return Err("stopped while loading".into());
        }
    }
    Ok(databases)
}

/// Loads all zones of a database, with a progress bar on a terminal.
fn load(pocketbase: &Pocketbase, store: &Store) -> Result<(), String> {
    let records = store.zones().map_err(|why| why.to_string())?.iter().map(|zone| zone.records).sum();
    let bar = if io::stderr().is_terminal() && records > PROGRESS_FROM {
        let style =
            ProgressStyle::with_template("loading zones {bar:30} {human_pos} of {human_len} records, {eta} left");
        ProgressBar::new(records).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    } else {
        ProgressBar::hidden()
    };
    let damaged = pocketbase.load(store, &mut |loaded| bar.set_position(loaded)).map_err(|why| why.to_string())?;
    bar.finish_and_clear();
    for (apex, why) in damaged {
        log::error(&format!(
            "plugin/pocketbase: zone {} is damaged and is not served: {why}; import it anew, or remove it",
            name::to_text(&apex)
        ));
    }
    Ok(())
}

/// Starts the HTTP service of a database once for each address that its directives name.
fn start_admin(database: &Database) -> Result<Vec<Admin>, String> {
    let mut admins: Vec<Admin> = Vec::new();
    let mut addresses = Vec::new();
    for pocketbase in &*database.served_by {
        if addresses.contains(&pocketbase.listen) {
            continue;
        }
        addresses.push(pocketbase.listen);
        let config = AdminConfig {
            listen: pocketbase.listen,
            email: pocketbase.email.clone(),
            password: pocketbase.password.clone(),
            default_ttl: pocketbase.default_ttl,
        };
        let admin = http::start(config, database.store.clone()).map_err(|why| format!("plugin/pocketbase: {why}"))?;
        for warning in admin.warnings() {
            log::warning(&format!("plugin/pocketbase: {warning}"));
        }
        admins.push(admin);
    }
    Ok(admins)
}

/// Says what is served and how long it took, or what to do first when there is nothing yet.
fn report(database: &Database, admins: &[Admin], running: &net::Running, took: Duration) -> Result<(), String> {
    let zones = database.store.zones().map_err(|why| why.to_string())?;
    let records: u64 = zones.iter().map(|zone| zone.records).sum();
    let address = admins.first().map(Admin::local_addr);
    let http = address.map_or_else(String::new, |address| format!(", HTTP API on http://{address}/"));
    log::info(&format!(
        "plugin/pocketbase: serving {} with {} after {:.3} s{http}",
        count(zones.len() as u64, "zone"),
        count(records, "record"),
        took.as_secs_f64()
    ));
    if !zones.is_empty() {
        return Ok(());
    }
    let dns = running.local_addrs().iter().copied().find(|address| address.is_ipv4());
    let port = dns.map_or(53, |address| address.port());
    let server =
        dns.filter(|address| !address.ip().is_unspecified()).map_or_else(|| "127.0.0.1".into(), |a| a.ip().to_string());
    log::info("plugin/pocketbase: the database is empty. What to do next:");
    let program = std::env::args().next().unwrap_or_else(|| "zonda".into());
    log::info(&format!("plugin/pocketbase:   {program} import db.example.org --zone example.org"));
    if let Some(address) = address {
        log::info(&format!(
            "plugin/pocketbase:   or POST records to http://{address}/api/collections/coredns_records/records"
        ));
    }
    log::info(&format!("plugin/pocketbase:   then ask: dig @{server} -p {port} example.org SOA"));
    Ok(())
}

/// A number of things in words: `1 zone`, `2 zones`.
fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// How long a stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);

/// How often signals are looked for.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Records from which loading shows its progress.
const PROGRESS_FROM: u64 = 50_000;
