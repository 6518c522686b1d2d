//! Changing the configuration of a server that runs: everything new is set up, opened and loaded first, and only then
//! does the change happen, which cannot fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use engine::log;
use engine::metrics::Text;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Housekeeping, Reload};
use sha2::{Digest, Sha512};

use crate::serve::{GRACE, RunningAdmin, Serving};

/// Asks for a reload from another thread, and is told what came of it.
#[derive(Clone, Debug)]
pub struct Reloader(Sender<Wanted>);

/// A wish for a reload; the verdict goes back over it.
pub(crate) struct Wanted(Sender<Result<(), String>>);

impl Reloader {
    /// What asks, and where the wishes arrive.
    pub(crate) fn new() -> (Self, Receiver<Wanted>) {
        let (sender, wishes) = channel();
        (Self(sender), wishes)
    }

    /// Changes to what the Corefile says now; an error is a sentence, and the old configuration serves on. Blocks.
    pub fn reload(&self) -> Result<(), String> {
        let (sender, verdict) = channel();
        let stopping = || "the server is stopping".to_owned();
        self.0.send(Wanted(sender)).map_err(|_| stopping())?;
        verdict.recv().map_err(|_| stopping())?
    }
}

impl Wanted {
    /// Tells who asked.
    pub(crate) fn tell(self, verdict: Result<(), String>) {
        // Who asked may have gone away.
        let _ = self.0.send(verdict);
    }
}

/// Looks at the Corefile from time to time, as the plugin `reload` says.
pub(crate) struct Watch {
    /// The configuration that was changed to, or could not be.
    seen: String,
    plan: Option<Reload>,
    next: Option<Instant>,
}

impl Watch {
    /// Watches for something else than this configuration.
    pub(crate) fn new(corefile: &Corefile, plan: Option<Reload>) -> Self {
        let mut watch = Self { seen: hash(corefile), plan, next: None };
        watch.plan_next();
        watch
    }

    /// What the Corefile says now, if it is time to look and it says something else.
    pub(crate) fn look(&mut self, read: &dyn Fn() -> Result<Corefile, String>) -> Option<Result<Corefile, String>> {
        self.next.filter(|next| *next <= Instant::now())?;
        self.plan_next();
        let read = read();
        let found = read.as_ref().map_or_else(Clone::clone, hash);
        (std::mem::replace(&mut self.seen, found.clone()) != found).then_some(read)
    }

    /// Sets the time of the next look.
    fn plan_next(&mut self) {
        self.next = self.plan.map(|Reload { interval, jitter }| {
            // Without random numbers there is no jitter; nothing depends on it.
            let part = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
            Instant::now() + interval + jitter.mul_f64(part)
        });
    }
}

impl Serving {
    /// Changes to what the Corefile says now.
    pub(crate) fn reload(&mut self, corefile: Result<Corefile, String>) -> Result<(), String> {
        log::info("Reloading");
        let begun = Instant::now();
        let done = corefile.and_then(|corefile| self.change(&corefile));
        self.tell_of_commits();
        match &done {
            Ok(()) => log::info(&format!("Reloading complete after {:.3} s", begun.elapsed().as_secs_f64())),
            Err(why) => {
                FAILED.fetch_add(1, Ordering::Relaxed);
                log::error(&format!("Reloading failed, the former configuration serves on: {why}"));
            }
        }
        done
    }

    /// Sets the new configuration up and changes to it.
    fn change(&mut self, corefile: &Corefile) -> Result<(), String> {
        let previous = self.switch.current();
        let mut ready = Self::set_up(corefile, &self.hub, Some(&previous))?;
        let (coming, going) = (ready.coming(&previous), ready.going(&previous));
        let services = &mut ready.services;
        let opened_endpoints = self.endpoints.open(&services.endpoints)?;
        let databases = self.open_databases(std::mem::take(&mut services.pocketbases))?;
        self.load_databases(&databases, &mut || false)?;
        let running = self.running.as_mut().ok_or("nothing is served yet")?;
        let opened = running.open(&coming).map_err(|why| why.to_string())?;
        self.watch_metrics(services, corefile);
        let housekeeping = Housekeeping::start(std::mem::take(&mut services.tasks)).map_err(|why| why.to_string())?;
        let going_admins = self.start_admins(&databases)?;

        self.switch.change(ready.server);
        if let Some(running) = &mut self.running {
            running.serve(opened);
            running.close(&going, GRACE);
            self.insight.show(running);
        }
        if let Err(why) = self.endpoints.serve(std::mem::take(&mut services.endpoints), opened_endpoints) {
            log::error(&format!("an HTTP endpoint is not served: {why}"));
        }
        // Not waited for: one of them may carry the call that asked for this.
        std::thread::spawn(|| going_admins.into_iter().for_each(RunningAdmin::stop));
        log::set_debug(services.debug);
        self.housekeeping = housekeeping;
        self.show_databases(&databases);
        let former = std::mem::replace(&mut self.databases, databases);
        self.forget(former);
        self.watch = Watch::new(corefile, services.reload);
        self.services = ready.services;
        Ok(())
    }
}

/// Writes the metrics of reloads.
pub(crate) fn write(text: &mut Text, hash: &str) {
    let help = "Configurations that could not be changed to.";
    text.counter("coredns_reload_failed_total", help, &[], FAILED.load(Ordering::Relaxed));
    let labels = [("hash", "sha512"), ("value", hash)];
    text.gauge("coredns_reload_version_info", "The configuration that is served.", &labels, 1.0);
}

/// The SHA-512 of a configuration as it was understood.
pub(crate) fn hash(corefile: &Corefile) -> String {
    Sha512::digest(corefile.to_string()).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Configurations that could not be changed to.
static FAILED: AtomicU64 = AtomicU64::new(0);
