//! The command line: CoreDNS's flags to serve, and commands to check, import and export.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use engine::log;
use engine::plugin::corefile::{Corefile, FileSystem};
use engine::plugin::{self, Pocketbase};
use indicatif::ProgressBar;
use store::edit::{Api, Edit, EditError, Op};
use store::rules::{self, Severity};
use store::zonefile::{self, Options};
use store::{Name, Serial, Store, StoreError, name};

use crate::backup;
use crate::check::{check, parse_zone, zone_faults};
use crate::help;
use crate::pid_file::PidFile;
use crate::remote::Remote;
use crate::serve::{self, RunConfig};
use crate::whole_file::WholeFile;

/// zonda answers DNS questions from zones in an embedded database or in zone files, as a Corefile says.
///
/// Without a command it serves until it gets SIGTERM or SIGINT. Long flags may be written with one dash or with two.
#[derive(Debug, Parser)]
#[command(name = "zonda", disable_version_flag = true, disable_help_subcommand = true)]
#[command(allow_external_subcommands = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    serve: ServeFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The flags of the server; `--conf` counts for the commands, too.
#[derive(Debug, Args)]
struct ServeFlags {
    /// The Corefile to read; `stdin` reads standard input. Without it ./Corefile is read, and if there is none, who
    /// asks is told who asked (whoami, log)
    #[arg(long, value_name = "FILE", global = true)]
    conf: Option<String>,
    /// The port of zones that name none
    #[arg(long = "dns.port", short = 'p', alias = "p", value_name = "PORT", default_value_t = 53, global = true)]
    port: u16,
    /// List the plugins that are built in
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, value_parser = boolean)]
    #[arg(default_missing_value = "true", default_value = "false", hide_default_value = true)]
    plugins: bool,
    /// Show the version
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, value_parser = boolean)]
    #[arg(default_missing_value = "true", default_value = "false", hide_default_value = true)]
    version: bool,
    /// Print no start lines
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, value_parser = boolean)]
    #[arg(default_missing_value = "true", default_value = "false", hide_default_value = true)]
    quiet: bool,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
enum Command {
    /// Check Corefiles, zone files and databases: all faults with file and line, exit code 1 if one is an error
    Check {
        /// Files to check, and folders of databases that no server has open; a file that holds an SOA record and is not named Corefile is a zone file
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The zone that zone files begin with; otherwise they name it themselves with $ORIGIN
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
    },
    /// Put a zone file into the database, in place of what the zone held; works while zonda is running
    Import {
        /// The zone file; `-` reads standard input
        file: PathBuf,
        /// The zone; otherwise the owner of the file's SOA record
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
    },
    /// Write a zone of the database as a zone file in canonical order; works while zonda is running
    Export {
        /// The zone
        zone: String,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write a back-up of a database to a file; works while zonda is running
    Backup {
        /// The folder of the database (`data_dir` in the Corefile)
        data: PathBuf,
        /// The file; what it held before is replaced once the back-up is whole
        file: PathBuf,
    },
    /// Make a database from a back-up, after checking all of it; the folder must have none
    Restore {
        /// The file of the back-up
        file: PathBuf,
        /// The folder of the database
        data: PathBuf,
    },
    /// Give room that a database does not need back to the file system; zonda must not be running on it
    Compact {
        /// The folder of the database
        data: PathBuf,
    },
    /// Show the page of a plugin, or what a command does; without a name list the plugins
    Help {
        /// A plugin, or one of these commands
        name: Option<String>,
    },
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Does what the command line says; an error is what standard error is to show.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let given: Vec<OsString> = arguments.into_iter().collect();
    let arguments = Arguments::parse_from(given.iter().cloned().map(two_dashes));
    let flags = arguments.serve;
    match arguments.command {
        Some(Command::Other(words)) => Err(extra(&given, words.len())),
        Some(Command::Check { files, zone }) => {
            let origin = zone.as_deref().map(parse_zone).transpose()?;
            check(&files, origin.as_ref(), flags.port)
        }
        Some(Command::Import { file, zone }) => import(&flags, &file, zone.as_deref()),
        Some(Command::Export { zone, output }) => export(&flags, &zone, output.as_deref()),
        Some(Command::Backup { data, file }) => backup::backup(&data, &file, || databases(&flags)),
        Some(Command::Restore { file, data }) => backup::restore(&file, &data),
        Some(Command::Compact { data }) => backup::compact(&data),
        Some(Command::Help { name }) => {
            help::show(name.as_deref(), Arguments::command());
            Ok(())
        }
        None if flags.version => {
            log::plain(crate::VERSION);
            log::plain(crate::BUILD);
            Ok(())
        }
        None if flags.plugins => {
            plugin::names().into_iter().for_each(log::plain);
            Ok(())
        }
        None => {
            let corefile = read_corefile(&flags)?;
            let pid_file = flags.pidfile.as_deref().map(PidFile::write).transpose()?;
            let quiet = flags.quiet;
            let program = given.first().map_or_else(|| "zonda".into(), |name| name.to_string_lossy().into_owned());
            let command = match flags.conf.as_deref() {
                Some(conf) => format!("{program} --conf {conf}"),
                None => program,
            };
            let read = Box::new(move || match flags.conf.as_deref() {
                Some("stdin") => Err("the Corefile came over standard input, which cannot be read again".into()),
                _ => read_corefile(&flags),
            });
            serve::run(RunConfig { corefile, command, read, quiet, pid_file })
        }
    }
}

/// `-conf` as `--conf`; flags of one letter stay as they are.
fn two_dashes(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with("-p") && text[2..].starts_with(|c: char| c == '=' || c.is_ascii_digit()) => {
            argument
        }
        Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => format!("-{text}").into(),
        _ => argument,
    }
}

/// The error of words that are no command; they are the last ones given.
fn extra(given: &[OsString], words: usize) -> String {
    let words = given.iter().skip(given.len().saturating_sub(words)).map(|word| word.to_string_lossy());
    format!("extra command line arguments: [{}]", words.collect::<Vec<_>>().join(" "))
}

/// Reads the value of a flag that needs none, in the spellings of other servers' flags.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("neither true nor false".into()),
    }
}

/// Reads the Corefile that the flags name.
fn read_corefile(flags: &ServeFlags) -> Result<Corefile, String> {
    let (file, text) = match flags.conf.as_deref() {
        Some("stdin") => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|why| format!("loading Corefile from stdin: {why}"))?;
            ("stdin", text)
        }
        Some(file) => (file, std::fs::read_to_string(file).map_err(|why| format!("loading Corefile {file}: {why}"))?),
        None => match std::fs::read_to_string("Corefile") {
            Ok(text) => ("Corefile", text),
            Err(why) if why.kind() == io::ErrorKind::NotFound => ("Corefile", String::new()),
            Err(why) => return Err(format!("loading Corefile: {why}")),
        },
    };
    Corefile::parse(file, &text, flags.port, &FileSystem).map_err(|why| why.to_string())
}

/// Imports a zone file into the database of the Corefile.
fn import(flags: &ServeFlags, file: &Path, zone: Option<&str>) -> Result<(), String> {
    let origin = zone.map(parse_zone).transpose()?;
    let label = file.display().to_string();
    let spinner = spinner(&format!("reading {label}"));
    let parsed = if label == "-" {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).map_err(|why| why.to_string())?;
        zonefile::read_text("stdin", &text, origin.as_ref(), &Options::default())
    } else {
        zonefile::read_file(file, origin.as_ref(), &Options::default())
    };
    let parsed = parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let apex = origin
        .or_else(|| parsed.apex().cloned())
        .ok_or_else(|| format!("{label}: the file has no SOA record; name its zone with --zone"))?;
    let faults = zone_faults(&apex, &parsed, &label);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        faults.into_iter().partition(|(severity, _)| *severity == Severity::Error);
    for (_, text) in &warnings {
        log::complaint(&format!("warning: {text}"));
    }
    if !errors.is_empty() {
        return Err(errors.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n"));
    }
    spinner.set_message(format!("writing {} records", parsed.records.len()));
    let brought = parsed.serial();
    let database = database(flags, &apex)?;
    let (old, (serial, added, removed)) = match Store::open(&database.data_dir) {
        Ok(opened) => {
            let edit = Edit {
                who: std::env::var("USER").unwrap_or_else(|_| "zonda import".into()),
                api: Api::Import,
                ops: vec![Op::Import { apex: apex.clone(), records: parsed.records }],
            };
            let old = serial_of(&opened.store, &apex)?;
            let applied = opened.store.apply(edit).map_err(|why: EditError| why.to_string())?;
            let turn = applied.zones.first();
            let serial = match turn.and_then(|turn| turn.to) {
                Some(serial) => Some(serial),
                None => old,
            };
            let counts = turn.map_or((0, 0), |turn| (turn.added, turn.removed));
            (old, (serial.map_or(0, |serial| serial.0), counts.0, counts.1))
        }
        // The server has it open: it takes the zone over HTTP.
        Err(StoreError::InUse(_)) => {
            let mut text = Vec::new();
            zonefile::write(&apex, rules::records_to_nodes(parsed.records), database.default_ttl, &mut text)
                .map_err(|why| why.to_string())?;
            let server = Remote::log_in(&database)?;
            (server.serial(&apex)?, server.import(&apex, &text)?)
        }
        Err(why) => return Err(why.to_string()),
    };
    spinner.finish_and_clear();
    let serials = old.zip(brought);
    let behind = |(old, brought)| rules::check_imported_serial(&apex, old, brought, Serial(serial));
    if let Some(fault) = serials.and_then(behind) {
        log::complaint(&format!("warning: {label}: {}", fault.message));
    }
    log::plain(&format!("{}: serial {serial}, {added} records added, {removed} removed", name::to_text(&apex)));
    Ok(())
}

/// Writes a zone of the database as a zone file.
fn export(flags: &ServeFlags, zone: &str, output: Option<&Path>) -> Result<(), String> {
    let apex = parse_zone(zone)?;
    let database = database(flags, &apex)?;
    let unknown = || format!("there is no zone {} in {}", name::to_text(&apex), database.data_dir.display());
    if !database.data_dir.is_dir() {
        // Opening would make it.
        return Err(unknown());
    }
    let mut text = Vec::new();
    match Store::open(&database.data_dir) {
        Ok(opened) => {
            let mut nodes = Vec::new();
            let found = opened.store.nodes(&apex, &mut |node| nodes.push(node)).map_err(|why| why.to_string())?;
            if !found {
                return Err(unknown());
            }
            zonefile::write(&apex, nodes, database.default_ttl, &mut text).map_err(|why| why.to_string())?;
        }
        Err(StoreError::InUse(_)) => Remote::log_in(&database)?.export(&apex, &mut text)?,
        Err(why) => return Err(why.to_string()),
    }
    match output {
        Some(path) => write_to(path, &text),
        None => io::stdout().lock().write_all(&text).map_err(|why| why.to_string()),
    }
}

/// Writes a file whole, or not at all; into what is there and no regular file, as far as it goes.
fn write_to(path: &Path, text: &[u8]) -> Result<(), String> {
    let at = |why: io::Error| format!("{}: {why}", path.display());
    let old = std::fs::metadata(path).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return std::fs::write(path, text).map_err(at);
    }
    let whole = WholeFile::at(path)?;
    std::fs::write(whole.part(), text).map_err(at)?;
    if let Some(old) = old {
        // Who may read the old one may read this one; to give it to its owner takes a privilege.
        let _ = std::os::unix::fs::chown(whole.part(), Some(old.uid()), Some(old.gid()));
        std::fs::set_permissions(whole.part(), old.permissions()).map_err(at)?;
    }
    whole.finish().map(|_| ())
}

/// The database of the Corefile that holds a zone, or would: that of the block with the longest zone above it.
fn database(flags: &ServeFlags, apex: &Name) -> Result<Pocketbase, String> {
    databases(flags)?
        .into_iter()
        .filter_map(|(zones, database)| {
            let above = zones.iter().filter(|zone| apex.ends_with(zone)).map(|zone| zone.len()).max();
            above.map(|octets| (octets, database))
        })
        .max_by_key(|(octets, _)| *octets)
        .map(|(_, database)| database)
        .ok_or_else(|| match &flags.conf {
            None if !Path::new("Corefile").exists() => "there is no ./Corefile; name yours with --conf".into(),
            conf => {
                let corefile = conf.as_deref().unwrap_or("the Corefile");
                format!("{corefile} has no pocketbase line for {}", name::to_text(apex))
            }
        })
}

/// The databases of the Corefile, with the zones of their blocks.
fn databases(flags: &ServeFlags) -> Result<Vec<(Vec<Name>, Pocketbase)>, String> {
    let corefile = read_corefile(flags)?;
    plugin::pocketbases(&corefile, &|name| std::env::var(name).ok()).map_err(|why| why.to_string())
}

/// The serial of a zone that did not change.
fn serial_of(store: &Store, apex: &Name) -> Result<Option<Serial>, String> {
    let zones = store.zones().map_err(|why| why.to_string())?;
    Ok(zones.into_iter().find(|zone| zone.apex == *apex).map(|zone| zone.serial))
}

/// Shows on a terminal that something is going on.
fn spinner(text: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(text.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Shown under the help.
const EXAMPLES: &str = "Examples:
  zonda                                        serve what ./Corefile says
  zonda -conf /etc/zonda/Corefile -p 1053      serve another one, on port 1053 where it names none
  zonda check Corefile db.example.org          find faults before a restart does
  zonda import db.example.org --zone example.org
  zonda export example.org > db.example.org
  zonda backup pb_data zonda.backup            while zonda is running, or not
  zonda restore zonda.backup pb_data";
