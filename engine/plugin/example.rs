//! # example
//!
//! ## Name
//! *example* - answers with a text from a file.
//!
//! ## Description
//! Answers questions for TXT of one name with the first line of a file, which is looked at again and again. Other
//! questions go on to the next plugin. It shows how a plugin is written; `docs/plugin.md` goes through it step by step.
//!
//! ## Syntax
//! ```corefile
//! example NAME FILE {
//!     ttl SECONDS
//!     reload DURATION
//! }
//! ```
//! * **NAME** is the name that is answered; it has to be in one of the zones of the server block.
//! * **FILE** is the file; a relative path is below `root`. Its first line has to have 1 to 255 octets. A file that is not
//!   there yet is waited for; until then the answer is SERVFAIL.
//! * `ttl` is the TTL of the record, 0 to 2147483647; 60 by default.
//! * `reload` is how often the file is looked at, `5s` by default; `0` is never.
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     example motd.example.org motd.txt {
//!         ttl 5
//!     }
//!     whoami
//! }
//! ```
//! ```sh
//! dig @127.0.0.1 -p 1053 motd.example.org TXT
//! ```
//!
//! ## Metrics
//! With `prometheus` in the server block:
//! * `zonda_example_answers_total`: answers with the text; server, zone, view
//! * `zonda_example_denials_total`: NXDOMAIN of the plugins behind it; server, zone, view
//!
//! ## Ready
//! It signals readiness: it is ready once its file has been read.
//!
//! ## See also
//! `whoami`, `template`.
//!
//! ## Bugs
//! It is only built for tests, as nobody needs it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::base::iana::{Class, OptRcode, Rtype};
use store::{Name, name};

use super::corefile::{ConfigError, Directive, duration};
use super::counted::Count;
use super::watched::Watched;
use super::{Context, Failure, Flow, Plugin, Setup};
use crate::wire::{Query, Response, Section};

/// The plugin.
struct Example {
    /// The name that is answered, in lower-case wire form.
    name: Box<[u8]>,
    /// The rdata of the record: a character string with its length octet; None until the file has been read.
    text: Arc<ArcSwap<Option<Box<[u8]>>>>,
    ttl: u32,
    answers: Count,
    denials: Count,
}

/// Reads the line, its block and the file.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.flat()?;
    let [name, file] = &line.args[..] else { return Err(line.wrong_argument_count()) };
    let owner = name::parse(&name.text, Some(&Name::root_bytes())).map_err(|why| name.error(why))?;
    if !setup.zones.iter().any(|zone| owner.ends_with(zone)) {
        return Err(name.error(format!("{} is in no zone of the server block", name.text)));
    }
    let (mut ttl, mut reload) = (TTL, RELOAD);
    for property in line.properties() {
        match &property.name.text[..] {
            "ttl" => ttl = read_ttl(property)?,
            "reload" => reload = duration(property.one_argument()?)?,
            _ => return Err(property.unknown_property()),
        }
    }

    let path = setup.path(&file.text);
    let ready = setup.services.life.wait_for("example");
    let mut watched = Watched::new(path.clone(), None, Box::new(move |octets| read(octets, &ready)));
    match watched.look() {
        Ok(_) => {}
        Err(why) if why.kind() == io::ErrorKind::NotFound && reload > Duration::ZERO => {
            setup.services.warnings.push(format!("plugin/example: {}: {why}; it is waited for", path.display()));
        }
        Err(why) => return Err(file.error(format!("{}: {why}", path.display()))),
    }
    let text = watched.current();
    if reload > Duration::ZERO {
        setup.services.tasks.push(watched.task("example", reload));
    }

    Ok(Some(Box::new(Example {
        name: owner.as_slice().to_ascii_lowercase().into(),
        text,
        ttl,
        answers: setup.counted.add("zonda_example_answers_total", "Answers with the text of example.", &[]),
        denials: setup.counted.add("zonda_example_denials_total", "NXDOMAIN that example has seen.", &[]),
    })))
}

/// Reads `ttl SECONDS`.
fn read_ttl(property: &Directive) -> Result<u32, ConfigError> {
    let value = property.one_argument()?;
    let seconds = value.text.parse().ok().filter(|seconds| *seconds <= TTL_MAX);
    seconds.ok_or_else(|| value.error(format!("ttl '{}' is not a number of seconds up to {TTL_MAX}", value.text)))
}

/// Makes rdata of the file's first line, and says that the plugin is ready.
fn read(octets: &[u8], ready: &AtomicBool) -> Result<Option<Box<[u8]>>, String> {
    let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default().trim_ascii();
    let length = u8::try_from(line.len()).ok().filter(|length| *length > 0);
    let length = length.ok_or_else(|| format!("the first line has {} octets, not 1 to 255", line.len()))?;
    ready.store(true, Ordering::Relaxed);
    Ok(Some([&[length], line].concat().into()))
}

impl Plugin for Example {
    fn name(&self) -> &'static str {
        "example"
    }

    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        if query.qtype != Rtype::TXT || query.name.as_slice() != &*self.name {
            return Flow::Next;
        }
        let text = self.text.load();
        let Some(rdata) = text.as_ref() else {
            context.failure = Some(Failure { plugin: self.name(), text: "the file has not been read yet" });
            return Flow::Rcode(OptRcode::SERVFAIL);
        };
        response.authoritative = true;
        let (rtype, class) = (Rtype::TXT.to_int(), Class::IN.to_int());
        let put = response.append_record(Section::Answer, &QUESTION_NAME, rtype, class, self.ttl, &[rdata]);
        response.truncated = put.is_err();
        context.count(self.answers);
        Flow::Done
    }

    fn response(&self, _: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        if response.rcode == OptRcode::NXDOMAIN {
            context.count(self.denials);
        }
    }
}

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];

/// Seconds that the record may be kept unless `ttl` says otherwise.
const TTL: u32 = 60;

/// The greatest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

/// How often the file is looked at unless `reload` says otherwise.
const RELOAD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use crate::plugin::corefile::Corefile;
    use crate::plugin::{Arrival, HEADINGS, Ready, Transport, page, setup};
    use crate::zone::Hub;

    /// A server block for example.org with these lines; `FOLDER` is where its files are.
    fn start(lines: &str, folder: &tempfile::TempDir) -> Result<Ready, String> {
        let text = format!("example.org {{\n{lines}\n}}\n").replace("FOLDER", folder.path().to_str().unwrap());
        let corefile = Corefile::parse_text("Corefile", &text).map_err(|why| why.to_string())?;
        setup(&corefile, &Hub::new(), &|_| None).map_err(|faults| faults[0].to_string())
    }

    /// The rcode, and the octets behind the question of the answer.
    fn ask(ready: &Ready, name: &[u8]) -> (u8, Vec<u8>) {
        let question = [b"\xab\xcd\0\0\0\x01\0\0\0\0\0\0", name, b"\0\x10\0\x01"].concat();
        let mut buffer = question.clone();
        buffer.resize(512, 0);
        let client = "192.0.2.99:5353".parse().unwrap();
        let arrival = Arrival { client, local: client, transport: Transport::Udp, listener: 0, idle: None };
        let length = ready.server.worker().answer(&mut buffer, question.len(), &arrival).unwrap();
        (buffer[3] & 15, buffer[question.len()..length].to_vec())
    }

    const NAME: &[u8] = b"\x04MOTD\x07example\x03org\0";

    #[test]
    fn the_first_line_of_the_file_is_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("motd"), "hello\nworld\n").unwrap();
        let ready = start("example motd.example.org FOLDER/motd {\nttl 5\n}\nwhoami", &folder).unwrap();
        assert_eq!(ask(&ready, NAME), (0, b"\xc0\x0c\0\x10\0\x01\0\0\0\x05\0\x06\x05hello".to_vec()));
        // Other names are the next plugin's, which has something to say in the additional section only.
        let (rcode, other) = ask(&ready, b"\x01x\x07example\x03org\0");
        assert_eq!((rcode, other.starts_with(b"\xc0\x0c\0\x01")), (0, true), "{other:?}");
    }

    #[test]
    fn a_file_that_is_missing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut ready = start("example motd.example.org FOLDER/motd\nwhoami", &folder).unwrap();
        assert!(ready.services.warnings[0].ends_with("it is waited for"), "{:?}", ready.services.warnings);
        assert_eq!(ready.services.life.not_ready(), ["example"]);
        assert_eq!(ask(&ready, NAME), (2, Vec::new()));
        std::fs::write(folder.path().join("motd"), "hello").unwrap();
        // What the housekeeping thread does in a server.
        ready.services.tasks.iter_mut().for_each(|task| (task.run)());
        assert_eq!(ready.services.life.not_ready(), [""; 0]);
        assert_eq!(ask(&ready, NAME).0, 0);
    }

    #[test]
    fn answers_and_denials_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("motd"), "hello").unwrap();
        let lines = "prometheus :0\nexample motd.example.org FOLDER/motd\ntemplate IN ANY {\nrcode NXDOMAIN\n}";
        let ready = start(lines, &folder).unwrap();
        assert_eq!([NAME, NAME, b"\x01x\x07example\x03org\0"].map(|name| ask(&ready, name).0), [0, 0, 3]);
        let text = ready.services.metrics.text();
        let labels = "{server=\"dns://:53\",zone=\"example.org.\",view=\"\"}";
        for (metric, count) in [("zonda_example_answers_total", 2), ("zonda_example_denials_total", 1)] {
            assert!(text.contains(&format!("{metric}{labels} {count}\n")), "{text}");
        }
    }

    #[test]
    fn faults_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let count = |word: &str| format!("Wrong argument count or unexpected line ending after '{word}'");
        let file = |name: &str, why: &str| format!("{}: {why}", folder.path().join(name).display());
        for (lines, line, why) in [
            ("example", 2, count("example")),
            ("example a.example.org f g", 2, count("g")),
            ("example a..b f", 2, "the name has an empty label".into()),
            ("example a.example.net f", 2, "a.example.net is in no zone of the server block".into()),
            ("example a.example.org f {\nttl x\n}", 3, "ttl 'x' is not a number of seconds up to 2147483647".into()),
            ("example a.example.org f {\nttl\n}", 3, count("ttl")),
            ("example a.example.org f {\n\nreload 5\n}", 4, "time: missing unit in duration \"5\"".into()),
            ("example a.example.org f {\nfrob\n}", 3, "unknown property 'frob'".into()),
            ("example a.example.org FOLDER/empty", 2, file("empty", "the first line has 0 octets, not 1 to 255")),
            (
                "example a.example.org FOLDER/none {\nreload 0\n}",
                2,
                file("none", "No such file or directory (os error 2)"),
            ),
        ] {
            let expected = format!("plugin/example: Corefile:{line} - Error during parsing: {why}");
            assert_eq!(start(lines, &folder).err(), Some(expected), "{lines}");
        }
        let twice = "example a.example.org f\nexample b.example.org f";
        let once = "plugin/example: this plugin can only be used once per Server Block";
        assert_eq!(start(twice, &folder).err().as_deref(), Some(once));
    }

    #[test]
    fn its_page_has_all_headings_and_its_example_starts() {
        let page = page("example").unwrap();
        let headings: Vec<&str> = page.markdown.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS);
        let example = page.section("Examples").split("```").nth(1).unwrap().trim_start_matches("corefile");
        let corefile = Corefile::parse_text("Corefile", example).unwrap();
        assert!(setup(&corefile, &Hub::new(), &|_| None).is_ok());
    }
}
