//! A zone out of the database, written while it is sent: as zone file, JSON or CSV, as it is or as it was at a serial.

use std::io::{self, Write};

use axum::http::header;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use store::edit::NodeData;
use store::zonefile::Writer;
use store::{HistoryError, Name, Serial, Store, name, types};
use tokio::sync::oneshot;

use super::call::{Call, Reply, etag};
use super::error::ApiError;
use super::openapi::{Answer, Content, Operation, Param};
use super::paging;
use super::report::{self, apex, no_zone};
use super::rrsets::{self, Rrset};
use super::stream::{self, Outlet};

/// A zone at one serial.
#[derive(Serialize, JsonSchema)]
struct ExportedZone {
    /// Its name.
    zone: String,
    /// Its serial.
    serial: u32,
    /// Its RRsets, in canonical order of their owners.
    rrsets: Vec<Rrset>,
}

/// What [`get`] does.
pub(super) const GET: Operation = Operation {
    params: &[
        Param::query::<FormatName>("format", "The form; the header Accept chooses if this is not given."),
        Param::query::<u32>("serial", "The serial to go back to; the present one if this is not given."),
    ],
    ..Operation::new(
        "Export a zone",
        &[Answer::new(
            200,
            "The zone at one serial.",
            &[Content::text("text/dns"), Content::json::<ExportedZone>(), Content::text("text/csv")],
        )],
    )
};

/// A form of a zone: its name, its media type, and what writes it.
type Format = (&'static str, &'static str, Begin);

/// Begins to write a zone with this name and serial.
type Begin = for<'o> fn(&'o mut Outlet, &Name, u32, u32) -> io::Result<Box<dyn Form + 'o>>;

/// Writes a zone node by node.
trait Form {
    /// Writes what is at one name.
    fn node(&mut self, node: &NodeData) -> io::Result<()>;

    /// Writes what comes at the end.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `GET /api/zonda/zones/{zone}/zonefile`
pub(super) async fn get(call: Call) -> Result<Reply, ApiError> {
    let apex = apex(&call)?;
    let (_, mime, begin) = *format(&call)?;
    let past = paging::number(&call.query, "serial", 0, u32::MAX)?.map(Serial::from);
    let ttl_default = call.site.default_ttl;
    let (serial_to, mut serial) = oneshot::channel();
    let (refusal_to, mut refusal) = oneshot::channel();
    let write = move |store: &Store, outlet: &mut Outlet| {
        let mut writing = Writing::Waiting(outlet, serial_to);
        let mut each = |node: &NodeData| writing.node(node, |outlet, serial| begin(outlet, &apex, ttl_default, serial));
        let read = match past {
            None => store.nodes(&apex, &mut |node| each(&node)).map(drop).map_err(HistoryError::Store),
            Some(serial) => store.nodes_at(&apex, serial).map(|nodes| nodes.iter().for_each(each)),
        };
        match (read, writing) {
            // Nothing was sent, so this can still become the answer.
            (Err(why), Writing::Waiting(..)) => drop(refusal_to.send(why)),
            (Err(why), _) => return Err(why),
            // Fails only if nobody listens.
            (Ok(()), Writing::Begun(mut form)) => drop(form.end()),
            (Ok(()), _) => {}
        }
        Ok(())
    };
    let Some(body) = stream::body(&call.site, call.site.exports_of(&call), "an export", write).await? else {
        return Err(refusal.try_recv().map_or_else(|_| no_zone(), report::history_error));
    };
    let headers = [(header::CONTENT_TYPE, mime), (header::CONTENT_DISPOSITION, "attachment")];
    let mut response = (headers, body).into_response();
    // The apex comes first, and before the first octet is sent.
    if let Ok(serial) = serial.try_recv() {
        response.headers_mut().insert(header::ETAG, etag(serial));
    }
    Ok(Reply::Whole(response))
}

/// The form that a request asks for.
fn format(call: &Call) -> Result<&'static Format, ApiError> {
    if let Some(wanted) = call.query.given("format") {
        let format = FORMATS.iter().find(|(name, ..)| *name == wanted);
        return format.ok_or_else(|| paging::parameter("format", "this is one of zonefile, json and csv"));
    }
    // Whoever takes several gets the one that is named first; who takes none of them gets the zone file.
    let accept = call.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    let mut formats =
        named.filter_map(|range| FORMATS.iter().find(|(_, mime, _)| mime.starts_with(range) && !range.is_empty()));
    Ok(formats.next().unwrap_or(&FORMATS[0]))
}

/// How far the writing of a zone has come.
enum Writing<'o> {
    /// No node was seen yet.
    Waiting(&'o mut Outlet, oneshot::Sender<u32>),
    /// Nodes are written.
    Begun(Box<dyn Form + 'o>),
    /// Nobody takes it any more.
    Failed,
}

impl<'o> Writing<'o> {
    /// Writes a node; `begin` makes what writes it.
    fn node(&mut self, node: &NodeData, begin: impl FnOnce(&'o mut Outlet, u32) -> io::Result<Box<dyn Form + 'o>>) {
        let begun = match std::mem::replace(self, Self::Failed) {
            Self::Waiting(outlet, serial_to) => {
                let serial = rrsets::serial_of(node).unwrap_or_default();
                // Fails only if nobody listens.
                let _ = serial_to.send(serial);
                begin(outlet, serial)
            }
            Self::Begun(form) => Ok(form),
            Self::Failed => return,
        };
        if let Ok(mut form) = begun
            && form.node(node).is_ok()
        {
            *self = Self::Begun(form);
        }
    }
}

impl Form for Writer<&mut Outlet> {
    fn node(&mut self, node: &NodeData) -> io::Result<()> {
        Self::node(self, node)
    }
}

/// An object that grows RRset by RRset.
struct Json<'o> {
    /// Where it goes.
    to: &'o mut Outlet,
    /// Whether no RRset was written yet.
    is_first: bool,
}

impl Form for Json<'_> {
    fn node(&mut self, node: &NodeData) -> io::Result<()> {
        for rrset in Rrset::of_node(node) {
            if !std::mem::take(&mut self.is_first) {
                self.to.write_all(b",\n")?;
            }
            serde_json::to_writer(&mut *self.to, &rrset)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.to.write_all(b"]}\n")
    }
}

/// Lines of values between commas (RFC 4180).
struct Csv<'o>(&'o mut Outlet, u32);

impl Form for Csv<'_> {
    fn node(&mut self, node: &NodeData) -> io::Result<()> {
        let owner = quoted(&name::to_text(&node.owner));
        for rrset in &node.rrsets {
            let rtype = types::rtype_to_text(rrset.rtype);
            for (ttl, rdata) in &rrset.records {
                let content = quoted(&types::rdata_to_text(rrset.rtype, rdata));
                write!(self.0, "{owner},{},{rtype},{content}\r\n", ttl.unwrap_or(self.1))?;
            }
        }
        Ok(())
    }
}

/// A value in quotes, those within it doubled.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Describes the parameter `format`.
#[derive(JsonSchema)]
#[schemars(extend("enum" = ["zonefile", "json", "csv"]))]
struct FormatName(#[expect(dead_code, reason = "describes it")] String);

/// All forms; the first is the one of those who do not choose.
const FORMATS: &[Format] = &[
    ("zonefile", "text/dns; charset=utf-8", |to, apex, ttl_default, _| {
        Ok(Box::new(Writer::new(to, apex, ttl_default)?))
    }),
    ("json", "application/json", |to, apex, _, serial| {
        write!(to, "{{\"zone\":{},\"serial\":{serial},\"rrsets\":[", Value::from(name::to_text(apex)))?;
        Ok(Box::new(Json { to, is_first: true }))
    }),
    ("csv", "text/csv; charset=utf-8", |to, _, ttl_default, _| {
        to.write_all(b"name,ttl,type,content\r\n")?;
        Ok(Box::new(Csv(to, ttl_default)))
    }),
];
