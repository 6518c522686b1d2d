//! Other servers as upstreams.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use store::Rtype;

use super::{a, start};
use crate::cases::describe;
use crate::support::{Question, exchange_tcp, exchange_udp, free_port};

/// Another server with a zone `example.org`; ended when dropped.
struct Real(Child, u16);

impl Real {
    /// Starts it from a configuration in which `FOLDER`, `PORT` and `ZONE` are replaced; None if it is not installed.
    fn start(folder: &Path, program: &str, arguments: &[&str], configuration: &str) -> Option<Self> {
        let port = free_port();
        let zone = folder.join("zone");
        let many: String = (1..=90).map(|number| format!("many 60 A 192.0.2.{number}\n")).collect();
        let text = format!(
            "$ORIGIN example.org.\n@ 60 SOA ns host 1 1h 1h 1h 60\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.80\nalias 60 CNAME www\n{many}"
        );
        std::fs::write(&zone, text).unwrap();
        let configuration = configuration
            .replace("FOLDER", &folder.display().to_string())
            .replace("PORT", &port.to_string())
            .replace("ZONE", &zone.display().to_string());
        std::fs::write(folder.join("configuration"), configuration).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(folder.join("configuration")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let real = Self(child, port);
        let begun = Instant::now();
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        while exchange_udp(server, &Question { recursion_desired: true, ..a("www.example.org.") }.message(), 200)
            .is_none_or(|reply| reply[7] != 1)
        {
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs knotd and named on this machine"]
fn knotd_and_named_are_passed_on_as_they_answer() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let named = "options { directory \"FOLDER\"; pid-file none; session-keyfile \"FOLDER/key\"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; minimal-responses yes; };\ncontrols { };\nzone example.org { type primary; file \"ZONE\"; };\n";
    let upstreams = [
        Real::start(folders[0].path(), "knotd", &["-c"], KNOTD).expect("knotd"),
        Real::start(folders[1].path(), "named", &["-f", "-n", "1", "-c"], named).expect("named"),
    ];
    for upstream in &upstreams {
        let program = start(&format!("forward . 127.0.0.1:{}", upstream.1), "ring");
        let server = SocketAddr::from(([127, 0, 0, 1], upstream.1));
        for question in [
            a("www.example.org."),
            a("alias.example.org."),
            a("nx.example.org."),
            Question::new("www.example.org.", Rtype::TXT),
            Question { edns_size: Some(4096), ..a("many.example.org.") },
            Question { dnssec_ok: true, ..Question::new("example.org.", Rtype::SOA) },
            Question::new("example.org.", Rtype::NS),
        ] {
            let sorted = |message: &[u8]| {
                let mut found = describe(message);
                found.sections.values_mut().for_each(|records| records.sort());
                (found.status, found.sections)
            };
            let direct = exchange_tcp(server, &[question.message()]);
            let passed_on = exchange_tcp(program.dns(), &[question.message()]);
            assert_eq!(sorted(&passed_on[0]), sorted(&direct[0]), "{question:?}");
            let over_udp = program.ask(&question);
            if over_udp[2] & 2 == 0 {
                assert_eq!(sorted(&over_udp), sorted(&direct[0]), "{question:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs knotd and named on this machine"]
fn a_real_resolver_is_asked_through_the_cache() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let authority = Real::start(folders[0].path(), "knotd", &["-c"], KNOTD).expect("knotd");
    let resolver = "options { directory \"FOLDER\"; pid-file none; session-keyfile \"FOLDER/key\"; managed-keys-directory \"FOLDER\"; listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; allow-recursion { any; }; dnssec-validation no; empty-zones-enable no; forward only; forwarders { 127.0.0.1 port AUTHORITY; }; };\ncontrols { };\n"
        .replace("AUTHORITY", &authority.1.to_string());
    let resolver = Real::start(folders[1].path(), "named", &["-f", "-n", "1", "-c"], &resolver).expect("named");
    let program = start(&format!("cache\n    forward . 127.0.0.1:{}", resolver.1), "ring");
    let ask = |question: Question| describe(&program.ask(&Question { recursion_desired: true, ..question }));
    for _ in 0..2 {
        let alias = ask(a("alias.example.org."));
        assert_eq!(alias.status, ["NOERROR", "rd", "ra"]);
        assert_eq!(alias.sections["answer"].len(), 2);
        assert_eq!(ask(a("nx.example.org.")).status[0], "NXDOMAIN");
        assert_eq!(ask(Question { edns_size: Some(4096), ..a("many.example.org.") }).status[..2], ["NOERROR", "tc"]);
        let many = Question { recursion_desired: true, ..a("many.example.org.") };
        assert_eq!(exchange_tcp(program.dns(), &[many.message()])[0][7], 90);
    }
}

/// Configuration of knotd.
const KNOTD: &str = "server:\n  rundir: \"FOLDER\"\n  listen: 127.0.0.1@PORT\ndatabase:\n  storage: \"FOLDER\"\nzone:\n  - domain: example.org\n    file: \"ZONE\"\n    zonefile-sync: -1\n    journal-content: none\n    zonefile-load: whole\n";
