//! TLS to upstreams (RFC 7858).

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::exchange::Fault;
use crate::plugin::Setup;
use crate::plugin::corefile::{ConfigError, Directive, Token};

/// How an upstream is spoken to over TLS.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// Whose certificate it has to show.
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Makes a connection a secret one.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(|_| NO_TLS)
    }
}

/// Reads `tls [CERT KEY] [CA]`: our certificate, if we are to show one, and who vouches for upstreams, else the system's.
/// Without a line `at` is where faults are reported.
pub(in crate::plugin) fn config(
    line: Option<&Directive>,
    at: &Directive,
    setup: &Setup<'_>,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let args = line.map_or(&[][..], |line| &line.args[..]);
    let (own, authority) = match args {
        [] => (None, None),
        [authority] => (None, Some(authority)),
        [certificate, key] => (Some((certificate, key)), None),
        [certificate, key, authority] => (Some((certificate, key)), Some(authority)),
        _ => return Err(line.unwrap_or(at).wrong_argument_count()),
    };
    let mut roots = RootCertStore::empty();
    let found = match authority {
        Some(file) => certificates(file, setup)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (good, _) = roots.add_parsable_certificates(found);
    if good == 0 {
        let whose = authority.map_or_else(|| "on this system".into(), |file| format!("in {}", file.text));
        return Err(line.unwrap_or(at).error(format!("no certificates of authorities {whose}")));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| at.error(why))?
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, file)) => {
            let fault = |why: &dyn std::fmt::Display| file.error(format!("{}: {why}", file.text));
            let key = PrivateKeyDer::from_pem_file(setup.path(&file.text)).map_err(|why| fault(&why))?;
            builder.with_client_auth_cert(certificates(certificate, setup)?, key).map_err(|why| fault(&why))?
        }
    };
    Ok(Arc::new(config))
}

/// The same for HTTP/2 (RFC 9113 §3.2).
pub(super) fn for_http(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// The name that a certificate has to be for.
pub(super) fn server_name(name: Option<&str>, address: IpAddr) -> Option<ServerName<'static>> {
    match name {
        None => Some(ServerName::IpAddress(address.into())),
        Some(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
    }
}

/// The certificates in a file.
fn certificates(file: &Token, setup: &Setup<'_>) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = CertificateDer::pem_file_iter(setup.path(&file.text)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|why| file.error(format!("{}: {why}", file.text)))
}

/// The upstream cannot prove who it is, or does not speak TLS.
const NO_TLS: Fault = "an upstream was not trusted, or does not speak TLS";
