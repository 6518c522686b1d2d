//! The HTTP endpoints of plugins (`health`, `ready`, `prometheus`): sockets that stay open across configurations, and a
//! table that says who answers on them.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use engine::plugin::{Endpoint, Reply};
use tokio::runtime::{Builder, Runtime};

use crate::http::server::Server;

/// The endpoints at work.
pub(crate) struct Endpoints {
    runtime: Runtime,
    table: Arc<RwLock<Vec<Endpoint>>>,
    servers: BTreeMap<SocketAddr, Server>,
}

/// Sockets that are open but do not answer yet.
pub(crate) struct Opened(Vec<(SocketAddr, TcpListener)>);

impl Endpoints {
    /// None yet.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("zonda-endpoints").enable_all().build()?;
        Ok(Self { runtime, table: Arc::default(), servers: BTreeMap::new() })
    }

    /// Opens the sockets of endpoints whose addresses are not open; an error is a sentence.
    pub(crate) fn open(&self, endpoints: &[Endpoint]) -> Result<Opened, String> {
        let mut opened: Vec<(SocketAddr, TcpListener)> = Vec::new();
        for Endpoint { plugin, listen, .. } in endpoints {
            if self.servers.contains_key(listen) || opened.iter().any(|(address, _)| address == listen) {
                continue;
            }
            let open = || {
                let socket = TcpListener::bind(listen)?;
                socket.set_nonblocking(true).map(|()| socket)
            };
            opened.push((*listen, open().map_err(|why| format!("plugin/{plugin}: cannot listen on {listen}: {why}"))?));
        }
        Ok(Opened(opened))
    }

    /// Serves these endpoints from now on, on sockets that are open already and on those just opened; others are closed.
    pub(crate) fn serve(&mut self, endpoints: Vec<Endpoint>, opened: Opened) -> io::Result<()> {
        let entered = self.runtime.enter();
        let is_served = |address: &SocketAddr| endpoints.iter().any(|endpoint| endpoint.listen == *address);
        let gone: Vec<SocketAddr> = self.servers.keys().copied().filter(|address| !is_served(address)).collect();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = endpoints;
        for (address, socket) in opened.0 {
            let table = Arc::clone(&self.table);
            let answer = move |request: Request<Body>| {
                let reply = answer(&table, address, request.uri().path());
                async move { reply }
            };
            self.servers.insert(address, Server::start(std::iter::once(socket), Router::new().fallback(answer), None)?);
        }
        drop(entered);
        for server in gone.iter().filter_map(|address| self.servers.remove(address)) {
            self.runtime.block_on(server.stop(Duration::ZERO));
        }
        Ok(())
    }

    /// Ends them all.
    pub(crate) fn stop(mut self) {
        for server in std::mem::take(&mut self.servers).into_values() {
            self.runtime.block_on(server.stop(Duration::ZERO));
        }
        self.runtime.shutdown_background();
    }
}

/// The answer to a request for a path on an address.
fn answer(table: &RwLock<Vec<Endpoint>>, address: SocketAddr, path: &str) -> Response<Body> {
    let table = table.read().unwrap_or_else(PoisonError::into_inner);
    let endpoint = table.iter().find(|endpoint| endpoint.listen == address && endpoint.path == path);
    let not_found =
        || Reply { status: 404, content_type: "text/plain; charset=utf-8", body: "404 page not found\n".into() };
    let reply = endpoint.map_or_else(not_found, |endpoint| (endpoint.reply)());
    let response = Response::builder().status(reply.status).header(header::CONTENT_TYPE, reply.content_type);
    response.body(Body::from(reply.body)).unwrap_or_default()
}
