//! A folder of zone files, and the zones that are served from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;
use store::{Name, name};

use crate::plugin::file::ZoneFile;
use crate::zone::{Hub, SetId};

/// A folder and what was found in it.
pub(super) struct Folder {
    path: PathBuf,
    regex: Regex,
    template: String,
    set: SetId,
    served: BTreeMap<Name, (PathBuf, ZoneFile)>,
    /// The last complaint about the folder itself, so that it is not repeated at each look.
    complaint: Option<String>,
}

impl Folder {
    /// A folder that has not been looked at. `template` makes a zone's name from what `regex` finds in a file's.
    pub(super) fn new(path: PathBuf, regex: Regex, template: String, set: SetId) -> Self {
        Self { path, regex, template, set, served: BTreeMap::new(), complaint: None }
    }

    /// Brings the zones that are served in line with the files that are there. A folder that cannot be read as a whole
    /// leaves them all as they are.
    pub(super) fn look(&mut self, hub: &Hub) {
        let mut files = Vec::new();
        if let Err(why) = list(&self.path, DEPTH_MAX, &mut files) {
            let text = format!("{}: {why}", self.path.display());
            if self.complaint.as_ref() != Some(&text) {
                crate::log::error(&format!("plugin/auto: {text}; the zones stay as they were"));
                self.complaint = Some(text);
            }
            return;
        }
        self.complaint = None;
        files.sort();
        let found: Vec<(Name, PathBuf)> =
            files.into_iter().filter_map(|file| Some((self.origin_of(&file)?, file))).collect();
        self.remove_missing(&found, hub);
        for (origin, path) in found {
            match self.served.get_mut(&origin) {
                Some((served, file)) if *served == path => file.look(hub),
                // The first one keeps the zone.
                Some(_) => {}
                None => self.insert(origin, path, hub),
            }
        }
    }

    /// Takes away the zones whose files are gone; those that another folder has a file for by now stay.
    fn remove_missing(&mut self, found: &[(Name, PathBuf)], hub: &Hub) {
        let there: BTreeSet<(&Name, &Path)> = found.iter().map(|(name, file)| (name, file.as_path())).collect();
        let is_gone = |origin: &Name, path: &Path| !there.contains(&(origin, path));
        let gone = self.served.extract_if(.., |origin, (path, _)| is_gone(origin, path));
        for (origin, (_, file)) in gone {
            if file.withdraw(hub) {
                crate::log::info(&format!("plugin/auto: Deleting zone \"{}\"", name::to_text(&origin)));
            }
        }
    }

    /// Takes up a zone with its file.
    fn insert(&mut self, origin: Name, path: PathBuf, hub: &Hub) {
        let mut file = ZoneFile::new("auto", path.clone(), vec![origin.clone()], self.set);
        let zone = name::to_text(&origin);
        match file.load(hub) {
            Ok(()) => {
                crate::log::info(&format!("plugin/auto: Inserting zone \"{zone}\" from: {}", path.display()));
            }
            Err(why) => crate::log::error(&format!("plugin/auto: {why}; zone {zone} is not served")),
        }
        self.served.insert(origin, (path, file));
    }

    /// The zone that a file holds, by its name; None if it is no zone file.
    fn origin_of(&self, path: &Path) -> Option<Name> {
        let file_name = path.file_name()?.to_str()?;
        let captures = self.regex.captures(file_name)?;
        let mut text = String::new();
        captures.expand(&self.template, &mut text);
        name::parse(&text, Some(&Name::root_bytes())).ok().map(|origin| name::lower(&origin))
    }
}

/// All files in a folder and the folders below it. Links to folders are not followed, links to files are files.
fn list(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            files.extend(entry.path().is_file().then(|| entry.path()));
        } else if depth > 0 {
            list(&entry.path(), depth - 1, files)?;
        }
    }
    Ok(())
}

/// Folders below each other at most.
const DEPTH_MAX: u32 = 64;
