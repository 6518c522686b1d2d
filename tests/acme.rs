//! Certificates by ACME, from an authority for tests: pebble.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustls::ClientConnection;
use rustls::StreamOwned;
use rustls::pki_types::ServerName;
use store::Rtype;
use tempfile::TempDir;

use crate::support::{Program, Question, exchange_udp, free_port, get, samples};
use crate::transports::{Tls, ask, client, connect, www};

/// An authority, which looks for challenges at zonda alone; ended when dropped.
struct Pebble {
    port: u16,
    /// Where it tells of itself.
    management: u16,
    child: Option<Child>,
    /// Its own certificate and key, and what it is told.
    folder: TempDir,
}

impl Pebble {
    /// One that does not run yet. Its certificates are good for so many seconds.
    fn new(seconds: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(at("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (port, management) = (free_port(), free_port());
        let text = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": at("cert.pem"),
            "privateKey": at("key.pem"),
            "httpPort": free_port(),
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": seconds,
        }});
        std::fs::write(at("configuration"), text.to_string()).unwrap();
        Self { port, management, child: None, folder }
    }

    /// Starts it, without any memory of what was before.
    fn start(&mut self, zonda: u16) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("pebble")
            .arg("-config")
            .arg(self.folder.path().join("configuration"))
            .args(["-dnsserver", &format!("127.0.0.1:{zonda}")])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|why| panic!("pebble: {why}")));
    }

    /// Ends it.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it has logged.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Writes its root certificate into a folder, as one that clients trust.
    fn write_root(&self, folder: &Path) {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let config = client(self.folder.path(), None);
        let stream = TcpStream::connect(("127.0.0.1", self.management)).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
        stream.write_all(b"GET /roots/0 HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        // It ends without a word of TLS.
        let _ = stream.read_to_string(&mut text);
        let (_, root) = text.split_once("\r\n\r\n").unwrap();
        std::fs::write(folder.join("cert.pem"), root).unwrap();
    }

    /// A Corefile that gets its certificate here, with more lines in the block of plain DNS.
    fn corefile(&self, dns: u16, tls: u16, lines: &str) -> String {
        let Self { port, folder, .. } = self;
        let acme =
            format!("acme dns.example.org *.dns.example.org\nemail info@example.org\nca https://127.0.0.1:{port}/dir");
        format!(
            "example.org:{dns} {{\nbind 127.0.0.1\nfile db\n{lines}\n}}\n\
             tls://example.org:{tls} {{\nbind 127.0.0.1\nfile db\ntls {{\n{acme}\nca_root {}\n}}\n}}\n",
            folder.path().join("cert.pem").display()
        )
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts zonda with a zone.
fn start(corefile: &str, port: u16) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let zone = "@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\nwww 60 A 192.0.2.1\n";
    std::fs::write(folder.path().join("db"), zone).unwrap();
    std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
    Program::run(folder, port, &[])
}

/// The certificate that a connection was shown.
fn shown(stream: &Tls) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// The mode of a file.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|why| panic!("{}: {why}", path.display())).permissions().mode() & 0o777
}

#[test]
#[ignore = "needs pebble and kdig on this machine"]
fn a_certificate_comes_when_the_authority_does_and_is_renewed_under_open_connections() {
    let mut pebble = Pebble::new(24);
    let (dns, tls, ready, metrics) = (free_port(), free_port(), free_port(), free_port());
    let lines = format!("ready 127.0.0.1:{ready}\nprometheus 127.0.0.1:{metrics}");
    let mut zonda = start(&pebble.corefile(dns, tls, &lines), dns);
    let at = ([127, 0, 0, 1], tls).into();
    zonda.wait("it says that there is none", |zonda| {
        zonda.text().contains("there is no certificate for dns.example.org")
    });
    zonda.wait("it complains", |zonda| {
        zonda.text().contains("[ERROR] plugin/tls: no new certificate for dns.example.org")
    });
    let text = zonda.text();
    let complaint = text.lines().find(|line| line.contains("no new certificate")).unwrap();
    for part in ["Connection refused", "can it be reached", "the next attempt is in", "connections are refused"] {
        assert!(complaint.contains(part), "{part}: {complaint}");
    }
    assert!(connect(at, &client(pebble.folder.path(), None)).is_err(), "there is no certificate");
    assert_eq!(get(ready, "/ready"), Some((200, "OK".into())));
    assert_eq!(zonda.ask(&www())[7], 1);

    pebble.start(dns);
    let store = zonda.folder.path().join(format!("acme/127.0.0.1_{}_dir", pebble.port));
    zonda.wait("it has one", |_| store.join("dns.example.org.pem").exists());
    let trust = tempfile::tempdir().unwrap();
    pebble.write_root(trust.path());
    let trusting = client(trust.path(), None);
    zonda.wait("it tells it", |zonda| {
        zonda.text().contains("plugin/tls: there is a new certificate for dns.example.org")
    });
    zonda.wait("it shows it", |_| connect(at, &trusting).is_ok());
    let mut open = connect(at, &trusting).unwrap();
    assert_eq!(ask(&mut open, &[www().message()]).len(), 1);
    let kdig = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &tls.to_string(), "+short", "+tls-host=any.dns.example.org"])
        .arg(format!("+tls-ca={}", trust.path().join("cert.pem").display()))
        .args(["www.example.org", "A"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&kdig.stdout).trim(), "192.0.2.1", "{kdig:?}");
    for (name, bits) in [("", 0o700), ("dns.example.org.pem", 0o600), ("account.json", 0o600)] {
        assert_eq!(mode(&store.join(name)), bits, "{name}");
    }
    let left =
        exchange_udp(zonda.dns(), &Question::new("_acme-challenge.dns.example.org.", Rtype::TXT).message(), 20_000);
    assert_eq!(left.unwrap()[3] & 15, 3, "nothing of it is left");
    let expiry = || {
        let samples = samples(metrics, "zonda_tls_certificate_expiry_timestamp_seconds");
        let [sample] = &samples[..] else { panic!("{samples:?}") };
        sample.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    let (first, ends) = (shown(&open), expiry());

    let account = std::fs::read(store.join("account.json")).unwrap();
    zonda.wait("it is renewed", |_| {
        assert_eq!(ask(&mut open, &[www().message()]).len(), 1, "who came before is served on");
        connect(at, &trusting).is_ok_and(|stream| shown(&stream) != first)
    });
    assert_eq!(ask(&mut open, &[www().message()]).len(), 1, "and after it");
    assert!(expiry() > ends);
    assert_eq!(std::fs::read(store.join("account.json")).unwrap(), account, "the account is the same");
    assert!(!zonda.text().contains("PRIVATE"), "{}", zonda.text());

    // After a restart it is there at once, whether the authority is or not.
    pebble.stop();
    let zonda = zonda.restart();
    assert!(connect(at, &trusting).is_ok(), "{}", zonda.text());
}

/// Who is not let through to the challenge cannot find it; and an authority that has forgotten all gets a new account.
#[test]
#[ignore = "needs pebble on this machine"]
fn what_the_authority_says_is_in_the_log_and_an_account_that_it_does_not_know_is_made_anew() {
    let mut pebble = Pebble::new(3600);
    let (dns, tls) = (free_port(), free_port());
    pebble.start(dns);
    let mut zonda = start(&pebble.corefile(dns, tls, "acl {\nblock type TXT\n}"), dns);
    let of_names = "the name servers of the zone have to lead it to this server";
    zonda.wait("it was refused", |zonda| zonda.text().contains(of_names));
    let text = zonda.text();
    let complaint = text.lines().find(|line| line.contains(of_names)).unwrap();
    for part in ["[ERROR] plugin/tls: no new certificate for dns.example.org", "urn:ietf:params:acme:error:", " min"] {
        assert!(complaint.contains(part), "{part}: {complaint}\n{}", pebble.log());
    }
    let store = zonda.folder.path().join(format!("acme/127.0.0.1_{}_dir", pebble.port));
    let account = std::fs::read(store.join("account.json")).unwrap();

    pebble.stop();
    pebble.start(dns);
    std::fs::write(zonda.folder.path().join("Corefile"), pebble.corefile(dns, tls, "")).unwrap();
    zonda.signal("USR1");
    zonda.wait("the account is put away", |zonda| zonda.text().contains("the account is put away"));
    zonda.wait("it has a certificate", |_| store.join("dns.example.org.pem").exists());
    assert_eq!(std::fs::read(store.join("account.former")).unwrap(), account);
    assert_ne!(std::fs::read(store.join("account.json")).unwrap(), account);
}
