//! # file
//!
//! ## Name
//! *file* - answers from a zone file.
//!
//! ## Description
//! Answers from a zone file (RFC 1035 §5). The file is looked at again and again, and read anew when the serial of its
//! SOA has changed; a file that cannot be read any more leaves the zone as it was. A serial that went backwards
//! (RFC 1982) is served with a warning, because secondaries keep the zone that they have.
//!
//! Each time the file is read the whole zone is checked: what cannot be served (records beside a CNAME, a second SOA, an
//! RRset that no message holds) is an error, what is hardly meant is a warning with its line. Among these are missing
//! glue, targets that are aliases or have no address, aliases without end, data hidden below a zone cut or a DNAME, and in
//! signed zones RRsets without a signature, signatures that are out of date or by no key of the zone, and every name at
//! which the NSEC or NSEC3 chain is broken. Signatures are not verified. Of each kind 20 are told and the others counted.
//!
//! ## Syntax
//! ```corefile
//! file DBFILE [ZONES...] {
//!     reload DURATION
//!     reload_by_mtime
//!     fallthrough [ZONES...]
//! }
//! ```
//! * **DBFILE** is the zone file; a relative path is below `root`. A file that is not there yet is waited for, unless
//!   `reload` is 0; until then queries for its zones get SERVFAIL. `$ORIGIN`, `$TTL`, `$INCLUDE` and `$GENERATE` are
//!   understood.
//! * **ZONES** are the zones that the file is served as, those of the server block by default.
//! * `reload` is how often the file is looked at, `1m` by default; `0` is never.
//! * `reload_by_mtime` reads the file when its modification time has changed, whatever its serial.
//! * `fallthrough` passes queries on for which the zone has no data; with **ZONES** only those at or below them.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     file db.example.org {
//!         reload 10s
//!     }
//!     errors
//! }
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`file`.
//!
//! ## Ready
//! It does not signal readiness: zone files are read before the server listens, and one that is missing answers
//! SERVFAIL until it is there.
//!
//! ## See also
//! `auto`, `pocketbase`, `root`, `loadbalance`. RFC 1035 §5 has the form of zone files.
//!
//! ## Bugs
//! The zone cannot be transferred to secondaries, which are not notified either, as there is no `transfer` yet: AXFR
//! and IXFR over TCP are REFUSED, AXFR over UDP gets NOTIMP, and IXFR over UDP the SOA. Aliases are followed up to 16
//! times, among all zones of the block; CoreDNS follows about half as many within one zone. ANY is answered with one
//! RRset.

mod load;

use domain::base::iana::OptRcode;
use std::sync::Arc;
use std::time::Duration;

use super::corefile::{ConfigError, Directive, Fallthrough, duration, zones_or};
use super::{Context, Flow, Plugin, Setup, Task, zones};
use crate::wire::{QName, Query, Response};
use crate::zone::{Found, SetId, Step, Watch};
pub(super) use load::ZoneFile;
use store::Name;

/// The plugin: the zones of all `file` lines of a block, so that aliases are followed among them.
struct File {
    set: SetId,
    /// The zones of each line, and which of their queries fall through.
    lines: Vec<(Vec<Name>, Option<Fallthrough>)>,
}

/// Reads all `file` lines of a block and their zone files.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut file = File { set: setup.hub.add(), lines: Vec::new() };
    for line in lines {
        file.add(line, setup)?;
    }
    Ok(Some(Box::new(file)))
}

impl File {
    /// Answers from its zones, unless what they have not is somebody else's.
    #[inline]
    fn answer(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &Context<'_>,
        watch: &mut impl Watch,
    ) -> Flow {
        let (flow, found) = zones::serve(self.set, OptRcode::REFUSED, query, response, context, watch);
        if matches!(found, Found::NoData | Found::NameError) && self.falls_through(&query.name) {
            response.reset();
            return Flow::Next;
        }
        flow
    }

    /// Reads one line and its block, and the zone file.
    fn add(&mut self, line: &Directive, setup: &mut Setup<'_>) -> Result<(), ConfigError> {
        let [path, zones @ ..] = &line.args[..] else { return Err(line.wrong_argument_count()) };
        let origins = zones_or(zones, setup.zones)?;
        let mut fallthrough = None;
        let mut file = ZoneFile::new("file", setup.path(&path.text), origins.clone(), self.set);
        for property in line.properties() {
            match &property.name.text[..] {
                "reload" => file.reload = duration(property.one_argument()?)?,
                "reload_by_mtime" => {
                    property.no_arguments()?;
                    file.by_mtime = true;
                }
                "fallthrough" => fallthrough = Some(Fallthrough::read(property)?),
                _ => return Err(property.unknown_property()),
            }
        }
        self.lines.push((origins, fallthrough));
        match file.load(setup.hub) {
            Ok(()) => {}
            Err(why) if why.missing && file.reload > Duration::ZERO => {
                file.withhold(setup.hub);
                setup.services.warnings.push(format!("plugin/file: {why}; it is looked for every {:?}", file.reload));
            }
            Err(why) => return Err(path.error(why)),
        }
        if file.reload > Duration::ZERO {
            let (every, hub) = (file.reload, Arc::clone(setup.hub));
            setup.services.tasks.push(Task { every, run: Box::new(move || file.look(&hub)) });
        }
        Ok(())
    }

    /// Whether a query for which its zone has no data goes on to the next plugin: as the line says whose zone it is.
    fn falls_through(&self, name: &QName) -> bool {
        let zone_of = |(origins, _): &&(Vec<Name>, Option<Fallthrough>)| {
            origins.iter().filter(|origin| name.is_below(origin.as_slice())).map(|origin| origin.len()).max()
        };
        // Of two lines with one zone the later counts, as it does for what is served.
        let fallthrough = self.lines.iter().max_by_key(zone_of).and_then(|(_, fallthrough)| fallthrough.as_ref());
        fallthrough.is_some_and(|fallthrough| fallthrough.covers(name))
    }
}

impl Plugin for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn zones(&self) -> Option<SetId> {
        Some(self.set)
    }

    #[inline]
    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        self.answer(query, response, context, &mut ())
    }

    fn explain(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Flow {
        self.answer(query, response, context, steps)
    }

    fn unanswered(&self) -> OptRcode {
        OptRcode::REFUSED
    }
}
