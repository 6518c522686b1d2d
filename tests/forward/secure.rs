//! Upstreams over TLS and HTTPS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_rustls::rustls::ServerConfig;

use super::{Upstream, a, answer, found, says, start};
use crate::cases::describe;
use crate::support::{exchange_tcp, run};

/// What a server shows that has a certificate for `dns.example.net` and 127.0.0.1, for which the file vouches.
fn certified(authority: &Path, protocol: &[u8]) -> Arc<ServerConfig> {
    use tokio_rustls::rustls::{crypto::ring, pki_types::PrivateKeyDer};

    let names = vec!["dns.example.net".to_owned(), "127.0.0.1".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(authority, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// An upstream that speaks HTTPS alone: at `/dns-query` and `/other` it answers, and says how it was asked by the number:
/// 1 for GET and 2 for POST, with 10 more for `/other`. Each connection is one more in the counter.
fn https_upstream(authority: &Path, connections: Arc<AtomicU32>) -> u16 {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::{Method, Request, Response};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let (message, number) = match head.method {
            Method::GET => {
                (URL_SAFE_NO_PAD.decode(head.uri.query().unwrap().strip_prefix("dns=").unwrap()).unwrap(), 1)
            }
            _ => {
                assert_eq!(head.headers["content-type"], "application/dns-message");
                (body, 2)
            }
        };
        assert_eq!(message[..2], [0, 0]);
        let response = Response::builder().header("content-type", "application/dns-message").header("age", "20");
        Ok(match head.uri.path() {
            "/dns-query" => response.body(Full::from(answer(&message, [0, 0x80], &[number], 60))),
            "/other" => response.body(Full::from(answer(&message, [0, 0x80], &[10 + number], 60))),
            _ => Response::builder().status(404).body(Full::default()),
        }
        .unwrap())
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(certified(authority, b"h2"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(serve)).await;
                });
            }
        });
    });
    port
}

#[test]
fn https_upstreams_are_asked_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let connections = Arc::<AtomicU32>::default();
    let port = https_upstream(&authority, Arc::clone(&connections));
    let tls = format!("tls {}", authority.display());
    for (to, options, expected) in [
        (format!("https://127.0.0.1:{port}"), tls.clone(), "2"),
        (format!("https://127.0.0.1:{port}/dns-query"), format!("{tls}\n        doh_method GET"), "1"),
        (format!("https://127.0.0.1:{port}/other"), format!("{tls}\n        tls_servername dns.example.net"), "12"),
        (format!("https://127.0.0.1:{port}/nothing"), tls.clone(), "SERVFAIL"),
        (format!("https://127.0.0.1:{port}"), format!("{tls}\n        tls_servername www.example.net"), "SERVFAIL"),
        // Its certificate is not for this name.
        (format!("https://localhost:{port}"), tls, "SERVFAIL"),
    ] {
        let before = connections.load(Ordering::Relaxed);
        let program = start(
            &format!("forward . {to} {{\n        {options}\n        max_fails 0\n        read_timeout 5s\n    }}"),
            "ring",
        );
        for number in 0..5 {
            let reply = program.ask(&a(&format!("{number}.example.org.")));
            assert_eq!(found(&reply), expected, "{to} {options}");
            // A cache on the way has had it for 20 seconds.
            assert!(expected == "SERVFAIL" || describe(&reply).sections["answer"][0].contains(" 40 IN A "));
        }
        if expected != "SERVFAIL" {
            assert_eq!(connections.load(Ordering::Relaxed) - before, 1, "{to}");
        }
    }
    for (option, message) in [
        ("doh_method PUT", "Corefile:3 - Error during parsing: invalid doh_method 'PUT'"),
        ("tls none.pem", "Corefile:3 - Error during parsing: none.pem: "),
    ] {
        let text = format!("example.org:0 {{\n    forward . https://127.0.0.1:{port} {{\n{option}\n    }}\n}}\n");
        std::fs::write(folder.path().join("Corefile"), text).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with(&format!("plugin/forward: {message}")), "{stderr}");
    }
}

/// An upstream that speaks TLS alone.
fn tls_upstream(number: u8, authority: &Path) -> u16 {
    use tokio_rustls::rustls::{ServerConnection, StreamOwned};

    let config = certified(authority, b"dot");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            std::thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut message).unwrap();
                    let answer = answer(&message, [0, 0x80], &[number], 60);
                    stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).unwrap();
                }
            });
        }
    });
    port
}

#[test]
fn tls_upstreams_have_to_show_a_good_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let port = tls_upstream(7, &authority);
    let tls = format!("tls {}", authority.display());
    // Somebody else, whom nobody vouches for.
    let stranger = tls_upstream(66, &folder.path().join("other.pem"));
    let plain = Upstream::start(says(66));
    for (to, options, expected) in [
        (format!("tls://127.0.0.1:{port}%dns.example.net"), tls.clone(), "7"),
        (format!("tls://127.0.0.1%dns.example.net:{port}"), tls.clone(), "7"),
        (format!("tls://127.0.0.1:{port}"), tls.clone(), "7"),
        (format!("tls://127.0.0.1:{port}"), format!("{tls}\n        tls_servername dns.example.net"), "7"),
        (format!("tls://127.0.0.1:{port}"), format!("{tls}\n        tls_servername www.example.net"), "SERVFAIL"),
        (format!("tls://127.0.0.1:{port}%www.example.net"), tls.clone(), "SERVFAIL"),
        (format!("tls://127.0.0.1:{stranger}%dns.example.net"), tls.clone(), "SERVFAIL"),
        (format!("tls://127.0.0.1:{}", plain.port), format!("{tls}\n        read_timeout 500ms"), "SERVFAIL"),
    ] {
        let program = start(&format!("forward . {to} {{\n        {options}\n    }}"), "ring");
        for _ in 0..3 {
            assert_eq!(found(&program.ask(&a("x.example.org."))), expected, "{to} {options}");
        }
        assert_eq!(
            found(&exchange_tcp(program.dns(), &[a("x.example.org.").message()])[0]),
            expected,
            "{to} {options}"
        );
    }
    assert_eq!(plain.count("x.example.org."), 0);
}
