//! Bodies that are written on a thread of their own while they are sent.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use store::Store;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::error::ApiError;
use super::site::Site;
use engine::log;

/// A body that `write` writes when there is room; `None` if it writes nothing. `what` names it in the log.
pub(super) async fn body<E: Display + Send + 'static>(
    site: &Arc<Site>,
    room: Arc<Semaphore>,
    what: &'static str,
    write: impl FnOnce(&Store, &mut Outlet) -> Result<(), E> + Send + 'static,
) -> Result<Option<Body>, ApiError> {
    let Ok(permit) = room.acquire_owned().await else {
        return Err(ApiError::not_found());
    };
    let (to, mut pieces) = channel(PIECES_MAX);
    let writing = Arc::clone(site);
    tokio::spawn(async move {
        let work = move |store: &Store| {
            let mut outlet = Outlet { piece: Vec::new(), to };
            match write(store, &mut outlet) {
                // Fails only if nobody listens.
                Ok(()) => drop(io::Write::flush(&mut outlet)),
                Err(why) => {
                    // Without this the body would end as a whole one does.
                    let listens = outlet.to.blocking_send(Err(Failed)).is_ok();
                    if listens {
                        log::error(&format!("HTTP service: {what} failed: {why}"));
                    }
                }
            }
        };
        // An error is one of stopping.
        let _ = writing.blocking(work).await;
        drop(permit);
    });
    // The status depends on the first piece; later trouble cuts the body off, which a client notices.
    match pieces.recv().await {
        None => Ok(None),
        Some(Err(Failed)) => Err(ApiError::internal(&format!("{what} failed at its beginning"))),
        Some(Ok(first)) => Ok(Some(self::pieces(first, pieces))),
    }
}

/// Part of a body, or the end of one that is not whole.
pub(super) type Piece = Result<Bytes, Failed>;

/// The writing of a body has failed; the log knows why.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be read to its end")]
pub(super) struct Failed;

/// Gathers octets and sends them off in pieces.
pub(super) struct Outlet {
    /// The piece at work.
    piece: Vec<u8>,
    /// Where whole pieces go.
    to: Sender<Piece>,
}

impl io::Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve(PIECE_OCTETS);
        }
        self.piece.extend_from_slice(octets);
        if self.piece.len() >= PIECE_OCTETS {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        self.to.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The body that a first piece and those that follow make.
pub(super) fn pieces(first: Bytes, rest: Receiver<Piece>) -> Body {
    Body::new(Pieces { first: Some(first), rest })
}

/// The body that pieces make.
struct Pieces {
    /// The piece that was waited for.
    first: Option<Bytes>,
    /// The others.
    rest: Receiver<Piece>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Octets in one piece of a body.
const PIECE_OCTETS: usize = 64 * 1024;

/// Pieces that wait to be sent.
const PIECES_MAX: usize = 4;
