//! `zonda check`: faults of Corefiles, zone files and databases, all at once and before a restart finds them one by one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use engine::log;
use engine::plugin;
use engine::plugin::corefile::{ConfigError, Corefile, FileSystem};
use engine::zone::Hub;
use store::rules::{self, Severity};
use store::zonefile::{self, Options, Parsed};
use store::{Name, Store, name};

/// A fault with its file and line, for people.
pub(crate) type Fault = (Severity, String);

/// Checks files; all faults go to standard error. `origin` is the zone of zone files, `port` that of keys without one.
pub(crate) fn check(files: &[PathBuf], origin: Option<&Name>, port: u16) -> Result<(), String> {
    let mut errors = 0;
    for path in files {
        let faults = match std::fs::read(path) {
            _ if path.is_dir() => check_database(path),
            Ok(text) if is_zone_file(path, &text) => check_zone_file(path, origin),
            Ok(text) => check_corefile(path, &text, port),
            Err(why) => vec![(Severity::Error, format!("{}: {why}", path.display()))],
        };
        for (severity, text) in &faults {
            let word = if *severity == Severity::Error { "error" } else { "warning" };
            log::complaint(&format!("{word}: {text}"));
        }
        let bad = faults.iter().filter(|(severity, _)| *severity == Severity::Error).count();
        if bad == 0 {
            log::plain(&format!("{}: OK", path.display()));
        }
        errors += bad;
    }
    match errors {
        0 => Ok(()),
        1 => Err("1 error".into()),
        errors => Err(format!("{errors} errors")),
    }
}

/// The damage of a folder's database.
fn check_database(folder: &Path) -> Vec<Fault> {
    let error = |text: String| (Severity::Error, text);
    if !Store::is_in(folder) {
        return vec![error(format!("there is no database in {}", folder.display()))];
    }
    let opened = match Store::open(folder) {
        Ok(opened) => opened,
        Err(why) => return vec![error(why.to_string())],
    };
    let mut faults: Vec<Fault> = opened.damaged.into_iter().map(error).collect();
    match opened.store.load(&mut |_| ()) {
        Ok(damaged) => faults.extend(damaged.into_iter().map(|(_, why)| error(format!("{}: {why}", folder.display())))),
        Err(why) => faults.push(error(why.to_string())),
    }
    faults
}

/// What rules a zone's records break, each with its place.
pub(crate) fn zone_faults(apex: &Name, parsed: &Parsed, file: &str) -> Vec<Fault> {
    let text = |fault: rules::Fault| {
        let place = fault.record.and_then(|record| parsed.places.get(record));
        let place = place.map_or_else(|| file.to_owned(), ToString::to_string);
        (fault.severity, format!("{place}: {}", fault.message))
    };
    rules::check_zone(apex, &parsed.records, SystemTime::now()).into_iter().map(text).collect()
}

/// A zone's name on the command line, with or without its final dot.
pub(crate) fn parse_zone(text: &str) -> Result<Name, String> {
    name::parse(text, Some(&Name::root_bytes())).map_err(|why| format!("{text}: {why}"))
}

/// Whether a file is a zone file and no Corefile: its name says so, or what stands in it.
fn is_zone_file(path: &Path, text: &[u8]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.contains("corefile") {
        return false;
    }
    if name.starts_with("db.") || name.ends_with(".zone") || name.ends_with(".db") {
        return true;
    }
    let mut lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let is_comment = |line: &[u8]| line.starts_with(b"#") || line.starts_with(b";");
    let is_control = |line: &[u8]| line.starts_with(b"$");
    let is_soa = |word: &[u8]| word.eq_ignore_ascii_case(b"SOA");
    lines
        .find_map(|line| match line {
            _ if is_comment(line) => None,
            _ if line.ends_with(b"{") => Some(false),
            _ if is_control(line) || line.split(u8::is_ascii_whitespace).any(is_soa) => Some(true),
            _ => None,
        })
        .unwrap_or(false)
}

/// The faults of a zone file.
fn check_zone_file(path: &Path, origin: Option<&Name>) -> Vec<Fault> {
    let error = |text: String| (Severity::Error, text);
    let parsed = match zonefile::read_file(path, origin, &Options::default()) {
        Ok(parsed) => parsed,
        Err(faults) => return faults.iter().map(|fault| error(fault.to_string())).collect(),
    };
    let Some(apex) = origin.cloned().or_else(|| parsed.apex().cloned()) else {
        return vec![error(format!("{}: the zone has no SOA record", path.display()))];
    };
    zone_faults(&apex, &parsed, &path.display().to_string())
}

/// The faults of a Corefile, of its plugins' lines and of the zone files that it names.
fn check_corefile(path: &Path, text: &[u8], port: u16) -> Vec<Fault> {
    let file = path.display().to_string();
    let Ok(text) = std::str::from_utf8(text) else {
        return vec![(Severity::Error, format!("{file}: a Corefile is UTF-8 text"))];
    };
    let (corefile, mut errors) = Corefile::check(&file, text, port, &FileSystem);
    // What could be read is set up all the same, so that one fault does not hide the next.
    let warnings = match plugin::setup(&corefile, &Hub::new(), &|name| std::env::var(name).ok()) {
        Ok(ready) => ready.services.warnings,
        Err(faults) => {
            errors.extend(faults);
            corefile.warnings
        }
    };
    let place = |error: &ConfigError| error.place().map(|place| (Arc::clone(&place.file), place.line));
    errors.sort_by_key(place);
    let errors = errors.iter().map(|error| (Severity::Error, error.with_place()));
    warnings.into_iter().map(|text| (Severity::Warning, text)).chain(errors).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_files_and_corefiles_are_told_apart() {
        for (name, text, zone) in [
            ("Corefile", "$ORIGIN example.org.\n", false),
            ("Corefile.test", "@ SOA\n", false),
            ("db.example.org", ". {\n}\n", true),
            ("example.org.zone", "", true),
            ("dns.conf", "# no SOA here\n. {\n}\n", false),
            ("dns.conf", ".\nwhoami\n", false),
            ("zone", "; a zone\n$TTL 1h\n", true),
            ("zone", "@ 3600 in soa ns host 1 2 3 4 5\n", true),
        ] {
            assert_eq!(is_zone_file(Path::new(name), text.as_bytes()), zone, "{name}: {text}");
        }
    }
}
