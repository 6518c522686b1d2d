//! The admin service: the HTTP API that reads and edits the zones of a store.
//!
//! [`start`] makes an [`Admin`] from an [`AdminConfig`] and a [`Store`]; it runs on threads of its own, apart from those
//! that answer DNS, until [`Admin::stop`]. Two APIs share the listener: that of PocketBase for the collection
//! `coredns_records`, so that existing clients go on working, and zonda's own for whole zones under `/api/zonda/`. All
//! routes stand in one table ([`routes`]) with the right that each needs.
//!
//! The answer to a write is sent after [`Store::apply`] has returned: what was acknowledged is durable and served. This
//! room never answers DNS, and it never serves the well-known default password to the network ([`listen`]).

mod account;
mod api_token;
mod attempts;
mod auth;
mod backup;
mod batch;
mod body;
mod call;
mod change;
mod check;
mod collections;
mod connection;
mod console;
mod error;
mod explain;
mod export;
mod fields;
mod filter;
mod guests;
mod history;
mod json;
mod list;
mod listen;
mod openapi;
mod paging;
mod password;
mod realtime;
mod record;
mod record_input;
mod records;
mod reload;
mod report;
mod routes;
mod rrsets;
pub(crate) mod server;
mod site;
mod sort;
mod statistics;
mod status;
mod stream;
mod time;
mod token;
mod tokens;
mod zonefile;
mod zones;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::certificate::{Certificate, CertificateFiles};
use engine::plugin::Password;
use store::{Store, StoreError};
use tokio::runtime::{self, Runtime};

use crate::insight::Insight;
use crate::reload::Reloader;
use crate::tls;
use server::Server;
use site::Site;

/// What the admin service needs to know.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Where to listen; narrowed to loopback while the password is the well-known default.
    pub listen: SocketAddr,
    /// The certificate, if it speaks TLS.
    pub tls: Option<CertificateFiles>,
    /// The superuser's e-mail address.
    pub email: String,
    /// The superuser's password.
    pub password: Password,
    /// Seconds that an exported record without a TTL gets.
    pub default_ttl: u32,
    /// Changes the configuration of the whole server; None where there is nothing to change.
    pub reloader: Option<Reloader>,
    /// Shows the whole server; None where there is nothing but this service.
    pub insight: Option<Insight>,
}

/// Why the admin service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, not ours, or needs a privilege.
    #[error("the HTTP service cannot listen on {address}: {why}")]
    Listen {
        /// The address as narrowed.
        address: SocketAddr,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error("the HTTP service cannot speak TLS: {0}")]
    Tls(String),
    /// Threads or the system's random numbers cannot be had.
    #[error("the HTTP service cannot start: {0}")]
    System(String),
    /// The account cannot be read or written.
    #[error("the superuser's account: {0}")]
    Account(#[from] StoreError),
    /// What the store keeps as the account is none.
    #[error("the superuser's account in the database is damaged: {0}")]
    DamagedAccount(String),
}

/// A running admin service; ends when it is dropped, though more gently by [`Admin::stop`].
pub struct Admin {
    /// The threads; taken by [`Admin::stop`].
    runtime: Option<Runtime>,
    /// What runs on them.
    server: Option<Server>,
    /// The first address it listens on.
    local_addr: SocketAddr,
    /// What the operator should know.
    warnings: Vec<String>,
    /// What all requests share.
    site: Arc<Site>,
}

/// Sets up the account, binds the listeners and begins to serve.
pub fn start(config: AdminConfig, store: Store) -> Result<Admin, AdminError> {
    let certificate = config.tls.as_ref().map(|files| Certificate::load("HTTP service", files));
    let certificate = certificate.transpose().map_err(AdminError::Tls)?;
    let acceptor = certificate.as_ref().map(tls::acceptor).transpose().map_err(AdminError::Tls)?;
    let (listeners, warnings) = listen::bind(config.listen, config.password.is_default())?;
    let local_addr = listeners[0].1;
    let account = account::set(&store, &config.email, &config.password)?;
    let site = Arc::new(Site::new(&config, account, store));
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("zonda-http")
        .enable_all()
        .build()
        .map_err(|why| AdminError::System(why.to_string()))?;
    let entered = runtime.enter();
    let sockets = listeners.into_iter().map(|(socket, _)| socket);
    let server = Server::start(sockets, routes::router(&site), acceptor);
    let server = server.map_err(|why| AdminError::System(why.to_string()))?;
    if let Some(certificate) = certificate {
        runtime.spawn(tls::watch(certificate));
    }
    drop(entered);
    Ok(Admin { runtime: Some(runtime), server: Some(server), local_addr, warnings, site })
}

impl Admin {
    /// Accepts no more connections; those that are there go on. Back when others may listen where it did.
    pub fn close_door(&mut self) {
        if let (Some(runtime), Some(server)) = (&self.runtime, &mut self.server) {
            runtime.block_on(server.close_door());
        }
    }

    /// Accepts no more requests, waits at most `grace` for those under way, and ends.
    pub fn stop(mut self, grace: Duration) {
        if let (Some(runtime), Some(server)) = (self.runtime.take(), self.server.take()) {
            self.site.realtime.end();
            runtime.block_on(server.stop(grace));
            // A write that has begun is durable or not by itself; this is for its verdict to be logged.
            runtime.shutdown_timeout(grace.min(Duration::from_secs(1)));
        }
    }

    /// The address it listens on, the first if there are several.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What the operator should know about this start, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// Threads that speak HTTP. Two, so that one long JSON body does not hold up all others.
const WORKERS: usize = 2;

/// Threads for what reads from the disk or computes for long, few enough to bound their stacks. Edits wait on none.
const BLOCKING_MAX: usize = 96;

#[cfg(test)]
mod tests;
