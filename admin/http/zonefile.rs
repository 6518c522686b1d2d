//! Zone files over HTTP: written into a body as it is sent, and read from one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use store::edit::{Api, Edit, EditError, Op};
use store::rules::{self, Severity};
use store::zonefile::{self, Options, Parsed, Writer};
use store::{Name, Serial, Store, StoreError};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::error::{ApiError, sentence};
use super::site::Site;
use engine::log;

/// What an import did.
pub(super) struct Imported {
    /// The zone.
    pub(super) apex: Name,
    /// Its serial now.
    pub(super) serial: Option<Serial>,
    /// Records that are new.
    pub(super) added: usize,
    /// Records that are gone.
    pub(super) removed: usize,
    /// What is hardly meant as it stands, though the zone is served.
    pub(super) warnings: Vec<Line>,
}

/// Why a zone file is not taken.
pub(super) enum Refusal {
    /// The text or the zone in it is at fault.
    Faults(Vec<Line>),
    /// The database could not take it.
    Store(StoreError),
}

/// Something to say about a line of a zone file.
pub(super) struct Line {
    /// The line, counted from 1; 0 for the file as a whole.
    pub(super) line: u32,
    /// A sentence for people.
    pub(super) message: String,
}

/// Puts the zone in a text in place of what the store has.
pub(super) fn import(store: &Store, apex: Name, text: &[u8], who: String) -> Result<Imported, Refusal> {
    // The text comes from elsewhere, so it opens no files here.
    let options = Options { include: false, faults_max: LINES_MAX, ..Options::default() };
    let parsed = zonefile::read_text(FILE, text, Some(&apex), &options).map_err(|faults| {
        let lines = faults.into_iter().map(|fault| Line { line: fault.place.line, message: sentence(&fault.message) });
        Refusal::Faults(lines.collect())
    })?;
    let (errors, mut warnings) = check(&apex, &parsed);
    if !errors.is_empty() {
        return Err(Refusal::Faults(errors));
    }
    let brought = parsed.serial();
    let op = Op::Import { apex: apex.clone(), records: parsed.records };
    let applied = store.apply(Edit { who, api: Api::Native, ops: vec![op] }).map_err(|why| match why {
        EditError::Store(why) => Refusal::Store(why),
        // A rule that concerns no line of its own.
        why => Refusal::Faults(vec![Line { line: 0, message: sentence(&why.to_string()) }]),
    })?;
    let turn = applied.zones.into_iter().find(|turn| turn.apex == apex);
    let serial = match &turn {
        Some(turn) => turn.to,
        // Nothing changed, so the serial stands.
        None => {
            let zones = store.zones().map_err(Refusal::Store)?;
            zones.into_iter().find(|zone| zone.apex == apex).map(|zone| zone.serial)
        }
    };
    let old = turn.as_ref().map_or(serial, |turn| turn.from);
    let serials = old.zip(brought).zip(serial);
    let behind = serials.and_then(|((old, brought), given)| rules::check_imported_serial(&apex, old, brought, given));
    warnings.extend(behind.map(|fault| Line { line: 0, message: sentence(&fault.message) }));
    let (added, removed) = turn.map_or((0, 0), |turn| (turn.added, turn.removed));
    Ok(Imported { apex, serial, added, removed, warnings })
}

/// Errors and warnings about a zone, each bounded in number.
fn check(apex: &Name, parsed: &Parsed) -> (Vec<Line>, Vec<Line>) {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for fault in rules::check_zone(apex, &parsed.records, SystemTime::now()) {
        let lines = match fault.severity {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        if lines.len() < LINES_MAX {
            let place = fault.record.and_then(|record| parsed.places.get(record));
            lines.push(Line { line: place.map_or(0, |place| place.line), message: sentence(&fault.message) });
        }
    }
    (errors, warnings)
}

/// A body that is a zone's file, written while it is sent; `None` if there is no such zone.
pub(super) async fn export(site: &Arc<Site>, apex: Name) -> Result<Option<Body>, ApiError> {
    let Ok(permit) = Arc::clone(&site.exports).acquire_owned().await else {
        return Err(ApiError::not_found());
    };
    let (sender, mut pieces) = channel(PIECES_MAX);
    let ttl_default = site.default_ttl;
    let writing = Arc::clone(site);
    tokio::spawn(async move {
        let done = writing.blocking(move |store| write(store, &apex, ttl_default, &sender)).await;
        if let Ok(Err(why)) = done {
            log::error(&format!("HTTP service: an export failed: {why}"));
        }
        drop(permit);
    });
    // The status depends on the first piece; later trouble cuts the body off, which a client notices.
    match pieces.recv().await {
        None => Ok(None),
        Some(Err(Failed)) => Err(ApiError::internal("an export failed at its beginning")),
        Some(Ok(first)) => Ok(Some(Body::new(Pieces { first: Some(first), rest: pieces }))),
    }
}

/// Writes a zone piece by piece; ends early, without an error, when nobody takes them any more.
fn write(store: &Store, apex: &Name, ttl_default: u32, to: &Sender<Piece>) -> Result<(), StoreError> {
    let mut writer: Option<Writer<Outlet<'_>>> = None;
    let mut failed: Option<io::Error> = None;
    let visited = store.nodes(apex, &mut |node| {
        if failed.is_some() {
            return;
        }
        let begun = match writer.take() {
            Some(writer) => Ok(writer),
            None => Writer::new(Outlet { piece: Vec::with_capacity(PIECE_OCTETS), to }, apex, ttl_default),
        };
        let written = begun.and_then(|mut begun| {
            begun.node(&node)?;
            Ok(begun)
        });
        match written {
            Ok(begun) => writer = Some(begun),
            Err(why) => failed = Some(why),
        }
    });
    if let Err(why) = visited {
        // Without this the body would end as a whole one does.
        let _ = to.blocking_send(Err(Failed));
        return Err(why);
    }
    if let Some(writer) = writer {
        // Fails only if nobody listens.
        let _ = writer.finish();
    }
    Ok(())
}

/// Part of a body, or the end of one that is not whole.
type Piece = Result<Bytes, Failed>;

/// The writing of a body has failed; the log knows why.
#[derive(Debug, thiserror::Error)]
#[error("the zone could not be read to its end")]
struct Failed;

/// Gathers octets and sends them off in pieces.
struct Outlet<'a> {
    /// The piece at work.
    piece: Vec<u8>,
    /// Where whole pieces go.
    to: &'a Sender<Piece>,
}

impl io::Write for Outlet<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(octets);
        if self.piece.len() >= PIECE_OCTETS {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_OCTETS));
        let sent = self.to.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
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

/// What zone files that come over HTTP are called.
const FILE: &str = "zonefile";

/// Faults that are told of one zone file.
const LINES_MAX: usize = 1000;

/// Octets in one piece of a body.
const PIECE_OCTETS: usize = 64 * 1024;

/// Pieces that wait to be sent.
const PIECES_MAX: usize = 4;
