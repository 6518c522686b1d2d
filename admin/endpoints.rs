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
use engine::certificate::{Certificate, CertificateFiles};
use engine::plugin::{Endpoint, Reply};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::http::server::Server;
use crate::tls;

/// The endpoints at work.
pub(crate) struct Endpoints {
    runtime: Runtime,
    table: Arc<RwLock<Vec<Endpoint>>>,
    served: BTreeMap<SocketAddr, Served>,
}

/// An address that is served.
struct Served {
    server: Server,
    /// Another descriptor of its socket, for when only what it is served with changes.
    socket: TcpListener,
    tls: Option<CertificateFiles>,
    /// Looks after the certificate.
    watch: Option<JoinHandle<()>>,
}

/// Sockets that are open but do not answer yet.
pub(crate) struct Opened(Vec<Opening>);

/// One of them.
struct Opening {
    address: SocketAddr,
    socket: TcpListener,
    secure: Option<Secure>,
}

/// What an address shows over TLS.
struct Secure {
    files: CertificateFiles,
    certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
}

impl Secure {
    /// Reads the files.
    fn load(files: CertificateFiles) -> Result<Self, String> {
        let certificate = Certificate::load("HTTP endpoint", &files)?;
        let acceptor = tls::acceptor(&certificate)?;
        Ok(Self { files, certificate, acceptor })
    }
}

impl Endpoints {
    /// None yet.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("zonda-endpoints").enable_all().build()?;
        Ok(Self { runtime, table: Arc::default(), served: BTreeMap::new() })
    }

    /// Opens the sockets of endpoints whose addresses are not open, and reads certificates; an error is a sentence.
    pub(crate) fn open(&self, endpoints: &[Endpoint]) -> Result<Opened, String> {
        let mut opened: Vec<Opening> = Vec::new();
        for Endpoint { plugin, listen, .. } in endpoints {
            let on_it = |endpoint: &&Endpoint| endpoint.listen == *listen;
            let tls = endpoints.iter().filter(on_it).find_map(|endpoint| endpoint.tls.clone());
            let served = self.served.get(listen);
            if served.is_some_and(|served| served.tls == tls) || opened.iter().any(|other| other.address == *listen) {
                continue;
            }
            let open = || match served {
                Some(served) => served.socket.try_clone(),
                None => {
                    let socket = TcpListener::bind(listen)?;
                    socket.set_nonblocking(true).map(|()| socket)
                }
            };
            let socket = open().map_err(|why| format!("plugin/{plugin}: cannot listen on {listen}: {why}"))?;
            let secure = tls.map(Secure::load).transpose().map_err(|why| format!("plugin/{plugin}: {why}"))?;
            opened.push(Opening { address: *listen, socket, secure });
        }
        Ok(Opened(opened))
    }

    /// Serves these endpoints from now on, on sockets that are open already and on those just opened; others are closed.
    pub(crate) fn serve(&mut self, endpoints: Vec<Endpoint>, opened: Opened) -> io::Result<()> {
        let is_served = |address: &SocketAddr| endpoints.iter().any(|endpoint| endpoint.listen == *address);
        let mut gone: Vec<Served> =
            self.served.extract_if(.., |address, _| !is_served(address)).map(|(_, gone)| gone).collect();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = endpoints;
        for Opening { address, socket, secure } in opened.0 {
            let table = Arc::clone(&self.table);
            let answer = move |request: Request<Body>| {
                let reply = answer(&table, address, request.uri().path());
                async move { reply }
            };
            let again = socket.try_clone()?;
            let acceptor = secure.as_ref().map(|secure| secure.acceptor.clone());
            let entered = self.runtime.enter();
            let server = Server::start(std::iter::once(socket), Router::new().fallback(answer), acceptor)?;
            drop(entered);
            let (files, watch) = secure
                .map(|Secure { files, certificate, .. }| (files, self.runtime.spawn(tls::watch(certificate))))
                .unzip();
            gone.extend(self.served.insert(address, Served { server, socket: again, tls: files, watch }));
        }
        gone.into_iter().for_each(|gone| self.end(gone));
        Ok(())
    }

    /// Ends them all.
    pub(crate) fn stop(mut self) {
        std::mem::take(&mut self.served).into_values().for_each(|served| self.end(served));
        self.runtime.shutdown_background();
    }

    /// Ends what is served on an address.
    fn end(&self, Served { server, watch, .. }: Served) {
        if let Some(watch) = watch {
            watch.abort();
        }
        self.runtime.block_on(server.stop(Duration::ZERO));
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
