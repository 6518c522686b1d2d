//! When a certificate is ordered, and what happens if that fails.
//!
//! A certificate and its key are in one file, so that they always belong together; it is read as any other certificate's.
//! A renewal therefore changes what the next connection is shown and touches none that is there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::challenges::Challenges;
use super::order::{Authority, Fault, NewFile};
use crate::certificate::{Certificate, LOOK, Terms};
use crate::log;
use crate::plugin::{Task, later};

/// What looks after one certificate.
pub(super) struct Keeper {
    /// What it is for.
    pub(super) names: Vec<String>,
    /// Who gives it.
    pub(super) authority: Authority,
    /// Where it is, behind its key.
    pub(super) file: PathBuf,
    /// The one in use.
    pub(super) certificate: Arc<Certificate>,
    /// Where proofs are shown.
    pub(super) challenges: Arc<Challenges>,
}

/// Work that ends when this is dropped.
#[derive(Default)]
struct Running(Option<AbortHandle>);

impl Running {
    /// Begins to look after a certificate.
    fn begin(&mut self, keeper: Keeper) {
        self.0 = later::spawn(keeper.keep()).map(|work| work.abort_handle());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(work) = &self.0 {
            work.abort();
        }
    }
}

impl Keeper {
    /// The work for the housekeeping: its first run, when all listeners are open, begins to look after the certificate,
    /// and its end, as that of its configuration, ends an order that is under way.
    pub(super) fn task(self) -> Task {
        let certificate = Arc::clone(&self.certificate);
        let mut keeper = Some(self);
        let mut running = Running::default();
        let run = move || {
            if let Some(keeper) = keeper.take() {
                running.begin(keeper);
            }
            certificate.look();
        };
        Task { every: LOOK, run: Box::new(run) }
    }

    /// Orders the certificate whenever it is time to, for ever.
    async fn keep(self) {
        if self.certificate.terms().is_none() {
            let names = self.names.join(", ");
            log::info(&format!(
                "plugin/tls: there is no certificate for {names} yet; encrypted connections are refused until {} has \
                 given one",
                self.authority.directory
            ));
        }
        let mut failures = 0;
        loop {
            // In short steps: the clock may be set, and the file be written by others.
            while let Some(left) = self.left(SystemTime::now()) {
                sleep(left.min(STEP)).await;
            }
            let Err(fault) = self.renew().await else {
                failures = 0;
                continue;
            };
            let wait = fault.wait(failures, fastrand::f64());
            log::error(&self.complaint(&fault, wait));
            failures += 1;
            sleep(wait).await;
        }
    }

    /// How long the certificate in use is good enough; None if it is time for another one.
    fn left(&self, now: SystemTime) -> Option<Duration> {
        let due = due(&self.certificate.terms()?, &self.names)?;
        due.duration_since(now).ok().filter(|left| !left.is_zero())
    }

    /// Orders a certificate and puts it in use.
    async fn renew(&self) -> Result<(), Fault> {
        // First of all: what is ordered counts, whether it can be kept or not.
        let file = NewFile::create(&self.file)?;
        let pem = self.authority.order(&self.names, &self.challenges).await?;
        file.finish(&pem)?;
        self.certificate.read_now().map_err(|why| Fault::refused(why, "is the authority in order?"))?;
        let is_good = self.left(SystemTime::now()).is_some();
        let (names, until) = (self.names.join(", "), self.certificate.terms().map(|terms| terms.until));
        let left = until.and_then(|until| until.duration_since(SystemTime::now()).ok()).unwrap_or_default();
        log::info(&format!("plugin/tls: there is a new certificate for {names}, good for {}", rounded(left)));
        // Else the next one would be ordered at once, and so on.
        is_good
            .then_some(())
            .ok_or_else(|| Fault::refused("it is not for these names at this time", "is the clock right?"))
    }

    /// The line that tells of a failure.
    fn complaint(&self, fault: &Fault, wait: Duration) -> String {
        let now = SystemTime::now();
        let state = match self.certificate.terms() {
            None => "there is none, and encrypted connections are refused".to_owned(),
            Some(terms) => match terms.until.duration_since(now) {
                Ok(left) => format!("the present one is good for {} more", rounded(left)),
                Err(_) => "the present one has ended".to_owned(),
            },
        };
        format!(
            "plugin/tls: no new certificate for {} from {}: {fault}; {state}; the next attempt is in {}",
            self.names.join(", "),
            self.authority.directory,
            rounded(wait)
        )
    }
}

/// When a certificate has to be replaced: after two thirds of its time; None if it is for other names.
fn due(terms: &Terms, names: &[String]) -> Option<SystemTime> {
    let has = |one: &[String], other: &[String]| one.iter().all(|name| other.contains(name));
    if !has(&terms.names, names) || !has(names, &terms.names) {
        return None;
    }
    let lifetime = terms.until.duration_since(terms.from).ok()?;
    Some(terms.from.max(UNIX_EPOCH) + lifetime.mul_f64(2.0 / 3.0))
}

/// A duration for people: in its greatest unit, or in seconds if it is short.
fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "days"), (3_600, "h"), (60, "min")];
    let fits = units.iter().find(|(unit, _)| seconds >= 2 * unit);
    fits.map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

/// How long nobody looks whether it is time for a new certificate.
const STEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_time_and_at_once_for_other_names() {
        let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let terms = Terms { names: names(&["a.example", "b.example"]), from: time(900), until: time(1800) };
        assert_eq!(due(&terms, &names(&["b.example", "a.example"])), Some(time(1500)));
        for other in [&["a.example"][..], &["a.example", "c.example"], &["a.example", "b.example", "c.example"]] {
            assert_eq!(due(&terms, &names(other)), None, "{other:?}");
        }
    }

    #[test]
    fn durations_are_told_in_the_greatest_unit_that_fits_twice() {
        for (seconds, text) in [(7, "7 s"), (119, "119 s"), (900, "15 min"), (7_200, "2 h"), (5_184_000, "60 days")] {
            assert_eq!(rounded(Duration::from_secs(seconds)), text);
        }
    }
}
