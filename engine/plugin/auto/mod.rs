//! # auto
//!
//! ## Name
//! *auto* - answers from all zone files of a folder.
//!
//! ## Description
//! Serves all zone files of a folder and the folders below it: a file's name says which zone it holds. The folder is looked
//! at again and again; zones of new files are served, those of files that are gone are not any more, and files whose
//! serial has changed are read anew. A file that cannot be read leaves its zone as it was, and is logged.
//!
//! ## Syntax
//! ```corefile
//! auto [ZONES...] {
//!     directory DIR [REGEX TEMPLATE]
//!     reload DURATION
//! }
//! ```
//! * **ZONES** are the zones below which queries are answered, those of the server block by default.
//! * `directory` is the folder; a relative path is below `root`. A missing one is a warning, and it is waited for.
//!   **REGEX** picks files by their names; it may match anywhere in the name and needs a group. **TEMPLATE** makes the
//!   zone's name from it: `{1}` is the first group. They are `db\.(.*)` and `{1}` by default.
//! * `reload` is how often the folder is looked at, `1m` by default; `0` is never.
//!
//! Of two files for one zone the one counts that is served already, else the first in the order of their paths.
//!
//! ## Examples
//! ```corefile
//! org:1053 {
//!     auto {
//!         directory . ^(.*)\.zone$ {1}
//!         reload 10s
//!     }
//!     errors
//! }
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`auto`.
//!
//! ## Ready
//! It does not signal readiness: the folder is read before the server listens. A folder that is missing then is no
//! reason to wait.
//!
//! ## See also
//! `file`, `root`, `pocketbase`.
//!
//! ## Bugs
//! The zones cannot be transferred to secondaries, which are not notified either, as there is no `transfer` yet. The
//! pattern knows neither look-around nor back-references, and has up to 10,000 characters. Folders are looked into up
//! to 64 deep.

mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::OptRcode;
use regex::Regex;
use store::Name;

use super::corefile::{ConfigError, Directive, duration, zones_or};
use super::{Context, Flow, Plugin, Setup, Task, zones};
use crate::wire::{Query, Response};
use crate::zone::{SetId, Step, Watch};
use folder::Folder;

/// The plugin: the zones of all `auto` lines of a block.
struct Auto {
    set: SetId,
    zones: Vec<Name>,
}

/// Reads all lines of a block and the zone files in their folders.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let mut auto = Auto { set: setup.hub.add(), zones: Vec::new() };
    for line in lines {
        auto.add(line, setup)?;
    }
    Ok(Some(Box::new(auto)))
}

impl Auto {
    /// Answers from its zones, if the name is below those of the line.
    fn answer(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &Context<'_>,
        watch: &mut impl Watch,
    ) -> Flow {
        if !self.zones.iter().any(|zone| query.name.is_below(zone.as_slice())) {
            return Flow::Next;
        }
        zones::serve(self.set, OptRcode::REFUSED, query, response, context, watch).0
    }

    /// Reads one line and its folder.
    fn add(&mut self, line: &Directive, setup: &mut Setup<'_>) -> Result<(), ConfigError> {
        line.flat()?;
        self.zones.extend(zones_or(&line.args, setup.zones)?);
        let mut directory = None;
        let mut reload = RELOAD;
        for property in line.properties() {
            match &property.name.text[..] {
                "directory" => directory = Some(read_directory(property, setup)?),
                "reload" if property.args.is_empty() => {
                    return Err(property.error("reload duration value is expected"));
                }
                "reload" => reload = duration(property.one_argument()?)?,
                _ => return Err(property.unknown_property()),
            }
        }
        let Some((path, regex, template)) = directory else {
            setup.services.warnings.push("plugin/auto: no directory is given, so there are no zones".into());
            return Ok(());
        };
        let mut folder = Folder::new(path, regex, template, self.set);
        folder.look(setup.hub);
        if reload > Duration::ZERO {
            let hub = Arc::clone(setup.hub);
            setup.services.tasks.push(Task { every: reload, run: Box::new(move || folder.look(&hub)) });
        }
        Ok(())
    }
}

/// Reads `directory DIR [REGEX TEMPLATE]`.
fn read_directory(property: &Directive, setup: &mut Setup<'_>) -> Result<(PathBuf, Regex, String), ConfigError> {
    let (path, regex, template) = match &property.args[..] {
        [path] => (path, None, "{1}"),
        [path, regex, template] => (path, Some(regex), &template.text[..]),
        _ => return Err(property.wrong_argument_count()),
    };
    let regex = match regex {
        Some(token) if token.text.len() > REGEX_MAX => {
            return Err(token.error(format!("the pattern is longer than {REGEX_MAX} characters")));
        }
        Some(token) => Regex::new(&token.text).map_err(|why| token.error(why))?,
        None => Regex::new(r"db\.(.*)").map_err(|why| property.error(why))?,
    };
    if regex.captures_len() == 1 {
        return Err(property.error("Need at least one sub expression"));
    }
    let path = setup.path(&path.text);
    if !Path::new(&path).exists() {
        setup.services.warnings.push(format!("plugin/auto: Directory does not exist: {}", path.display()));
    }
    // In the language of patterns a group is `${1}`.
    Ok((path, regex, template.replace('{', "${")))
}

impl Plugin for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn zones(&self) -> Option<SetId> {
        Some(self.set)
    }

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
}

/// How often a folder is looked at unless `reload` says otherwise.
const RELOAD: Duration = Duration::from_secs(60);

/// Characters of a pattern at most.
const REGEX_MAX: usize = 10_000;
