//! Other servers, each with a folder and a port of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::APEXES;
use crate::support::{Question, exchange_udp, free_port};
use tempfile::TempDir;

/// What servers zonda is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Knot DNS.
    Knotd,
    /// NSD.
    Nsd,
    /// BIND.
    Named,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Knotd, Self::Nsd, Self::Named];
}

/// A running server; ended when dropped.
pub(super) struct Peer {
    pub(super) kind: Kind,
    pub(super) dns: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Peer {
    /// Starts a server with the zone files of a folder, and waits until it answers from each.
    pub(super) fn start(kind: Kind, zones: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let at = folder.path().display().to_string();
        let (program, arguments, head, zone): (_, &[&str], _, _) = match kind {
            Kind::Knotd => ("knotd", &["-c"], KNOTD, "  - domain: APEX\n    file: FILE\n"),
            Kind::Nsd => ("nsd", &["-d", "-c"], NSD, "zone:\n  name: APEX\n  zonefile: FILE\n"),
            Kind::Named => ("named", &["-g", "-n", "1", "-c"], NAMED, "zone APEX { type primary; file \"FILE\"; };\n"),
        };
        let mut text = head.replace("FOLDER", &at).replace("PORT", &port.to_string());
        for apex in APEXES {
            text.push_str(&zone.replace("APEX", apex).replace("FILE", &zones.join(apex).display().to_string()));
        }
        let configuration = folder.path().join("configuration");
        std::fs::write(&configuration, text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|why| panic!("{program}: {why}"));
        let peer = Self { kind, dns: SocketAddr::from(([127, 0, 0, 1], port)), child, _folder: folder };
        for apex in APEXES {
            peer.wait_for(apex);
        }
        peer
    }

    /// Waits until a zone is served.
    fn wait_for(&self, apex: &str) {
        let begun = Instant::now();
        let message = Question::new(apex, store::Rtype::SOA).message();
        loop {
            let answer = exchange_udp(self.dns, &message, 200);
            if answer.is_some_and(|answer| answer[3] & 0x0f == 0 && answer[7] > 0) {
                return;
            }
            let log = || std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?} does not serve {apex}:\n{}", self.kind, log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked first: it has children of its own that it ends.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody to ask over UDP with one socket.
pub(super) struct Asker {
    socket: UdpSocket,
    number: u16,
}

impl Asker {
    /// Asks this server from now on.
    pub(super) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { socket, number: 0 }
    }

    /// The answer to a message, asked up to three times.
    pub(super) fn ask(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        for _ in 0..3 {
            self.number = self.number.wrapping_add(1);
            let mut message = message.to_vec();
            message[..2].copy_from_slice(&self.number.to_be_bytes());
            self.socket.send(&message).ok()?;
            while let Ok(length) = self.socket.recv(&mut buffer) {
                if length >= 12 && buffer[..2] == message[..2] {
                    return Some(buffer[..length].to_vec());
                }
            }
        }
        None
    }
}

/// Configuration of knotd before its zones.
const KNOTD: &str = "\
server:
    rundir: \"FOLDER\"
    listen: 127.0.0.1@PORT
    udp-max-payload: 1232
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: \"FOLDER\"
log:
  - target: stderr
    any: warning
template:
  - id: default
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
";

/// Configuration of nsd before its zones. Its rate limit is off.
const NSD: &str = "\
server:
  ip-address: 127.0.0.1@PORT
  username: \"\"
  zonesdir: \"\"
  database: \"\"
  pidfile: \"FOLDER/nsd.pid\"
  xfrdfile: \"FOLDER/xfrd.state\"
  zonelistfile: \"FOLDER/zone.list\"
  xfrdir: \"FOLDER\"
  server-count: 1
  minimal-responses: yes
  refuse-any: no
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  ipv4-edns-size: 1232
remote-control:
  control-enable: no
";

/// Configuration of named before its zones.
const NAMED: &str = "\
options {
    directory \"FOLDER\";
    pid-file \"FOLDER/named.pid\";
    session-keyfile \"FOLDER/session.key\";
    managed-keys-directory \"FOLDER\";
    listen-on port PORT { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion no;
    notify no;
    dnssec-validation no;
    minimal-responses yes;
    minimal-any no;
    zero-no-soa-ttl no;
    empty-zones-enable no;
    max-udp-size 1232;
    check-names primary ignore;
    check-integrity no;
    check-sibling no;
    masterfile-format text;
};
controls { };
";
