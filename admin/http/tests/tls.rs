//! HTTPS: the certificate files, and what speaks TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::certificate::CertificateFiles;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use store::Store;

use super::client::{PASSWORD, Served, config};
use crate::http::{AdminError, start};

/// Writes a new certificate for dns.example.org and its key; gives the certificate.
fn renew(folder: &Path) -> (CertificateFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["dns.example.org".to_owned()]).unwrap();
    let files = CertificateFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

/// Asks for the health over TLS, trusting one certificate alone; the answer, or why there is none.
fn ask(server: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("dns.example.org").unwrap();
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
    stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: dns.example.org\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_service_speaks_tls_with_the_certificate_of_its_files_and_renews_it() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = renew(folder.path());
    let store = Store::open(&folder.path().join("data")).unwrap().store;
    let mut config = config(PASSWORD);
    config.tls = Some(files);
    let admin = start(config, store).unwrap();
    let server = admin.local_addr();
    let answer = ask(server, &first).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    // Whoever speaks no TLS, or an old one, hears no HTTP.
    let mut plain = TcpStream::connect(server).unwrap();
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // A greeting of TLS 1.1 (RFC 4346 §7.4.1.2) with one cipher suite and one way to sign gets the alert protocol_version.
    let greeting =
        [&[1, 0, 0, 51, 3, 2][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]].concat();
    let mut old = TcpStream::connect(server).unwrap();
    old.write_all(&[&[22, 3, 1, 0, greeting.len() as u8], &greeting[..]].concat()).unwrap();
    let mut answer = [0; 7];
    old.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));

    let (_, second) = renew(folder.path());
    let begun = Instant::now();
    while ask(server, &second).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the new certificate is not in use");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ask(server, &first).is_err());
    admin.stop(Duration::from_secs(5));
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = renew(folder.path());
    let certificate = std::fs::read(&files.certificate).unwrap();
    let key = std::fs::read(&files.key).unwrap();
    let (other, _) = renew(folder.path());
    let other_key = std::fs::read(&other.key).unwrap();
    let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for (certificate, key, file, why) in [
        (None, Some(&key), "cert.pem", "No such file"),
        (Some(&certificate), None, "key.pem", "No such file"),
        (Some(&Vec::new()), Some(&key), "cert.pem", "there is no certificate in it"),
        (Some(&key), Some(&key), "cert.pem", "there is no certificate in it"),
        (Some(&damaged), Some(&key), "cert.pem", "a bad certificate"),
        (Some(&certificate), Some(&certificate), "key.pem", "there is no private key in it"),
        (Some(&certificate), Some(&other_key), "key.pem", "the key is not that of"),
    ] {
        for (path, content) in [(&files.certificate, certificate), (&files.key, key)] {
            let _ = std::fs::remove_file(path);
            if let Some(content) = content {
                std::fs::write(path, content).unwrap();
            }
        }
        let served = Served::new();
        let mut config = config(PASSWORD);
        config.tls = Some(files.clone());
        let told = match start(config, served.store.clone()) {
            Err(AdminError::Tls(told)) => told,
            other => panic!("{file}: {why}: {other:?}"),
        };
        assert!(told.starts_with(&format!("{}: ", folder.path().join(file).display())), "{told}");
        assert!(told.contains(why), "{told}: {why}");
    }
}
