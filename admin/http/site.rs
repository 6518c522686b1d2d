//! What all requests share.

use std::sync::{Arc, Weak};

use store::edit::{Applied, Edit, EditError};
use store::{Store, Watch};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::AdminConfig;
use super::account::Account;
use super::attempts::Attempts;
use super::call::Call;
use super::error::ApiError;
use super::realtime::Hub;
use super::statistics::STREAMS_MAX;
use super::token::Signer;
use crate::insight::Insight;
use crate::reload::Reloader;

/// The store, the account, and the bounds on costly work.
pub(super) struct Site {
    /// The zones.
    store: Store,
    /// The superuser.
    pub(super) account: Account,
    /// Makes and checks the superuser's tokens.
    pub(super) signer: Signer,
    /// Logins that failed of late.
    pub(super) attempts: Attempts,
    /// Password hashes at work: each takes 19 MiB.
    pub(super) hashing: Semaphore,
    /// Zone files that are going to be served.
    pub(super) imports: Intake,
    /// Zone files and changes that are only looked at, which those may ask for who may not write.
    pub(super) checks: Intake,
    /// Zone files being written for the superuser: each keeps a transaction of the database open.
    exports: Arc<Semaphore>,
    /// The same for API tokens, who may take their time without holding up a back-up.
    token_exports: Arc<Semaphore>,
    /// Zones being listed: each keeps a transaction open for as long as the zone is long.
    pub(super) listings: Semaphore,
    /// Streams of statistics that are open.
    pub(super) statistics_streams: Arc<Semaphore>,
    /// Seconds that an exported record without a TTL gets.
    pub(super) default_ttl: u32,
    /// Those who are told what changes.
    pub(super) realtime: Arc<Hub>,
    /// Changes the configuration of the whole server.
    pub(super) reloader: Option<Reloader>,
    /// Shows the whole server.
    pub(super) insight: Option<Insight>,
    /// Whether only this machine may ask, because the whole world knows the password.
    pub(super) is_local_only: bool,
}

impl Site {
    /// Puts the parts together.
    pub(super) fn new(config: &AdminConfig, account: Account, store: Store) -> Self {
        let realtime = Arc::new(Hub::new());
        let watch: Weak<dyn Watch> = Arc::downgrade(&(Arc::clone(&realtime) as Arc<dyn Watch>));
        store.watch(watch);
        Self {
            store,
            signer: Signer::new(&account),
            account,
            attempts: Attempts::default(),
            hashing: Semaphore::new(HASHING_MAX),
            imports: Intake::default(),
            checks: Intake::default(),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            token_exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            listings: Semaphore::new(LISTINGS_MAX),
            statistics_streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            default_ttl: config.default_ttl,
            realtime,
            reloader: config.reloader.clone(),
            insight: config.insight.clone(),
            is_local_only: config.password.is_default(),
        }
    }

    /// The room for what is written to whoever asks.
    pub(super) fn exports_of(&self, call: &Call) -> Arc<Semaphore> {
        Arc::clone(if call.api_token.is_some() { &self.token_exports } else { &self.exports })
    }

    /// Does on a thread of its own what blocks or computes for long.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|why| ApiError::internal(&why.to_string()))
    }

    /// Applies an edit; back when it is durable and served. No thread waits for it meanwhile.
    pub(super) async fn apply(&self, edit: Edit) -> Result<Result<Applied, EditError>, ApiError> {
        let (sender, verdict) = oneshot::channel();
        self.store.submit(edit, move |done| {
            // The client may be gone.
            let _ = sender.send(done);
        });
        verdict.await.map_err(|_| ApiError::internal("the writing thread failed over this change"))
    }
}

/// The way in of zone files: a body and its records lie in memory. One is worked on at a time, and one that is large comes
/// in at a time; who sends slowly holds up nobody whose body is small.
pub(super) struct Intake {
    uploads: Semaphore,
    work: Semaphore,
}

impl Default for Intake {
    fn default() -> Self {
        Self { uploads: Semaphore::new(1), work: Semaphore::new(1) }
    }
}

impl Intake {
    /// Waits for room for a body. To be held for as long as what came of it lies in memory.
    pub(super) async fn upload(&self, is_large: bool) -> Option<SemaphorePermit<'_>> {
        match is_large {
            // An error is one of a semaphore that is closed, which these never are.
            true => self.uploads.acquire().await.ok(),
            false => None,
        }
    }

    /// Waits for its turn, with the body read.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.work.acquire().await.ok()
    }
}

/// Password hashes at work at once.
const HASHING_MAX: usize = 2;

/// Zone files written at once.
const EXPORTS_MAX: usize = 4;

/// Zones listed at once.
const LISTINGS_MAX: usize = 4;
