//! What a Corefile user knows from the manual: a checklist of sixty statements, a test each, named `m01_…` to `m60_…`.
//!
//! * `process`: flags, start, log lines and signals of the real program (1–15)
//! * `grammar`: how a Corefile is read (16–35)
//! * `chain`: which block and which plugin a query is answered by (36–48)
//! * `setups`: the plugins and set-ups that the manual shows (49–60)

mod chain;
mod grammar;
mod process;
mod setups;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::plugin::corefile::{Corefile, FileSystem, Source};
use engine::plugin::{Arrival, Ready, Server, Transport, Worker, setup};
use engine::zone::Hub;
use store::Rtype;
use tempfile::TempDir;

use crate::cases::{describe, lines};
use crate::support::{Question, in_buffer};

/// The zone file of the manual.
const DB_EXAMPLE_ORG: &str = "\
$ORIGIN example.org.
@\t3600 IN\tSOA sns.dns.icann.org. noc.dns.icann.org. 2017042745 7200 3600 1209600 3600
\t3600 IN NS a.iana-servers.net.
\t3600 IN NS b.iana-servers.net.

www     IN A     127.0.0.1
        IN AAAA  ::1
";

/// A Corefile that is served in memory: every listener can be asked, none is opened.
struct Memory {
    listeners: Vec<SocketAddr>,
    worker: Worker,
    _server: Arc<Server>,
    _folder: TempDir,
}

impl Memory {
    /// Serves a Corefile in which `FOLDER` stands for a folder with these files.
    fn start(corefile: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let corefile = corefile.replace("FOLDER", folder.path().to_str().unwrap());
        let corefile = Corefile::parse("Corefile", &corefile, 53, &FileSystem).unwrap_or_else(|why| panic!("{why}"));
        let Ready { server, listeners, .. } =
            setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
        let listeners = listeners.into_iter().flatten().map(|listener| listener.addr).collect();
        Self { listeners, worker: server.worker(), _server: server, _folder: folder }
    }

    /// The answer to a question at a port: its status, then the records of each section.
    fn at(&mut self, port: u16, question: &Question) -> Vec<String> {
        let listener = self.listeners.iter().position(|address| address.port() == port).expect("a listener");
        self.listener(listener, question)
    }

    /// The same at one of the listeners.
    fn listener(&mut self, listener: usize, question: &Question) -> Vec<String> {
        let message = question.message();
        let mut buffer = in_buffer(&message);
        let (client, local) = ("192.0.2.99:5353".parse().unwrap(), self.listeners[listener]);
        let arrival = Arrival { client, local, transport: Transport::Udp, listener, idle: None };
        let length = self.worker.answer(&mut buffer, message.len(), &arrival).expect("an answer");
        lines(&buffer[..length])
    }

    /// The answer to a plain question at port 53.
    fn ask(&mut self, qname: &str, qtype: Rtype) -> Vec<String> {
        self.at(53, &Question::new(qname, qtype))
    }

    /// Its status.
    fn status(&mut self, qname: &str, qtype: Rtype) -> String {
        self.ask(qname, qtype).swap_remove(0)
    }
}

/// The records in the answer section of a message.
fn answers(message: &[u8]) -> Vec<String> {
    describe(message).sections.remove("answer").unwrap_or_default()
}

/// Variables and files in memory. Paths are below `/etc`.
#[derive(Default)]
struct World {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, &'static str>,
}

impl Source for World {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).into())
    }

    fn absolute(&self, file: &Path) -> io::Result<PathBuf> {
        Ok(Path::new("/etc").join(file))
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let fits = |path: &&&str| match pattern.split_once('*') {
            None => **path == pattern,
            Some((before, after)) => path.starts_with(before) && path.ends_with(after),
        };
        Ok(self.files.keys().filter(fits).map(PathBuf::from).collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let text = file.to_str().and_then(|file| self.files.get(file));
        text.map(|text| text.as_bytes().into()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl World {
    /// What a Corefile means: for each block its keys, then its lines with their arguments in parentheses.
    fn meaning(&self, text: &str) -> String {
        let corefile = Corefile::parse("Corefile", text, 53, self).unwrap_or_else(|why| panic!("{text}{why}"));
        let blocks = corefile.blocks.iter().map(|block| {
            let keys: Vec<_> = block.keys.iter().map(ToString::to_string).collect();
            let directives: Vec<_> = block.directives.iter().map(shape).collect();
            format!("{} [{}]", keys.join(" "), directives.join(" "))
        });
        blocks.collect::<Vec<_>>().join("; ")
    }
}

/// A line with its arguments in parentheses, and the lines of its block.
fn shape(line: &engine::plugin::corefile::Directive) -> String {
    let args: String = line.args.iter().map(|arg| format!("({})", arg.text)).collect();
    let body: Vec<_> = line.properties().iter().map(shape).collect();
    match line.body {
        Some(_) => format!("{}{args}{{{}}}", line.name.text, body.join(" ")),
        None => format!("{}{args}", line.name.text),
    }
}

/// What a Corefile means without variables and files.
fn meaning(text: &str) -> String {
    World::default().meaning(text)
}

/// The first fault of a Corefile that does not start.
fn fault(text: &str) -> String {
    let corefile = match Corefile::parse("Corefile", text, 53, &World::default()) {
        Ok(corefile) => corefile,
        Err(why) => return why.to_string(),
    };
    let Err(faults) = setup(&corefile, &Hub::new(), &|_| None) else { panic!("it starts: {text}") };
    faults[0].to_string()
}

#[test]
fn each_statement_has_one_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manual");
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if let Some(name) = line.strip_prefix("fn m") {
                numbers.push(name[..2].parse::<u32>().unwrap());
                assert_eq!(lines[at - 1], "#[test]", "{line}");
                assert!(lines[at - 2].starts_with("/// "), "{line} has no statement");
            }
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
}
