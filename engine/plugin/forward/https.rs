//! DNS over HTTPS to upstreams (RFC 8484), over HTTP/2.

use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{ACCEPT, AGE, CONTENT_TYPE};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::exchange::Fault;
use super::tls::Tls;
use crate::plugin::later;
use crate::wire::{Query, Received, ask};

/// An upstream that is spoken to over HTTPS. All queries share one connection.
pub(super) struct Https {
    tls: Tls,
    uri: Uri,
    method: Method,
    /// The connection, if there is one. Who finds none opens one, while others wait for it.
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Https {
    /// One that has not been spoken to.
    pub(super) fn new(tls: Tls, uri: Uri, method: Method) -> Self {
        Self { tls, uri, method, sender: Mutex::default() }
    }

    /// Asks; over a new connection if the one that was there is gone.
    pub(super) async fn ask<C>(&self, query: &Query, head: &[u8], connect: impl Fn() -> C) -> Result<Received, Fault>
    where
        C: Future<Output = Result<TcpStream, Fault>>,
    {
        // RFC 8484 §4.1: id 0, so that the same question is the same request.
        let message = Bytes::from(ask(0, head, query));
        let (mut sender, was_there) = self.sender(&connect).await?;
        let mut response = sender.send_request(self.request(message.clone())?).await;
        if response.is_err() && was_there {
            (sender, _) = self.sender(&connect).await?;
            response = sender.send_request(self.request(message)?).await;
        }
        read(response.map_err(|_| NO_ANSWER)?, query).await
    }

    /// A connection, and whether it was there before.
    async fn sender<C>(&self, connect: impl Fn() -> C) -> Result<(SendRequest<Full<Bytes>>, bool), Fault>
    where
        C: Future<Output = Result<TcpStream, Fault>>,
    {
        let mut kept = self.sender.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), true));
        }
        let stream = self.tls.connect(connect().await?).await?;
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|_| NO_ANSWER)?;
        later::spawn(async move {
            // Its end shows at the next request.
            let _ = connection.await;
        });
        *kept = Some(sender.clone());
        Ok((sender, false))
    }

    /// The request that asks.
    fn request(&self, message: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
        let request = Request::builder().method(&self.method).header(ACCEPT, MESSAGE);
        let made = match self.method {
            Method::GET => {
                let path = format!("{}?dns={}", self.uri.path(), URL_SAFE_NO_PAD.encode(&message));
                let mut parts = self.uri.clone().into_parts();
                parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| NO_REQUEST)?);
                let uri = Uri::from_parts(parts).map_err(|_| NO_REQUEST)?;
                request.uri(uri).body(Full::default())
            }
            _ => request.uri(self.uri.clone()).header(CONTENT_TYPE, MESSAGE).body(Full::new(message)),
        };
        made.map_err(|_| NO_REQUEST)
    }
}

/// Reads the answer to a request.
async fn read(response: Response<Incoming>, query: &Query) -> Result<Received, Fault> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK || head.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != MESSAGE) {
        return Err(NO_MESSAGE);
    }
    let body = Limited::new(body, MESSAGE_MAX).collect().await.map_err(|_| NO_MESSAGE)?;
    let mut received = Received::read(body.to_bytes().to_vec(), 0, query).ok_or(NO_MESSAGE)?;
    // RFC 8484 §5.1: what a cache on the way has kept is as much older.
    let age = head.headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or(0);
    if age > 0 {
        received.set_ttls(|ttl| ttl.saturating_sub(age));
    }
    Ok(received)
}

/// What a message of DNS is over HTTP (RFC 8484 §6).
const MESSAGE: &str = "application/dns-message";

/// Octets of a message.
const MESSAGE_MAX: usize = 65_535;

/// The connection has ended, or HTTP/2 is not spoken.
const NO_ANSWER: Fault = "an upstream does not answer over HTTP/2";

/// HTTP was spoken, but not about DNS.
const NO_MESSAGE: Fault = "an upstream answered over HTTPS with something else than the answer";

/// The path is too long.
const NO_REQUEST: Fault = "the request to an upstream cannot be made";
