//! TLS for the HTTP service, by certificate files that are read again when they change.
//!
//! TLS 1.2 is the least (RFC 9325 §3.1.1). A renewed certificate is in use a few seconds after its files are whole; as long
//! as they are not, the old one stays in service.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use engine::log;
use engine::plugin::CertificateFiles;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Certificate {
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    /// What the files were like before they were first read.
    stamps: Stamps,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files; an error names the file and what is wrong with it.
    pub(super) fn load(files: &CertificateFiles) -> Result<Arc<Self>, String> {
        let provider = Arc::new(ring::default_provider());
        let stamps = Stamps::of(files);
        let current = RwLock::new(Arc::new(read(files, &provider)?));
        Ok(Arc::new(Self { files: files.clone(), provider, stamps, current }))
    }

    /// What begins TLS on a connection.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[&TLS13, &TLS12])?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Looks at the files for ever, and reads them again when both have changed no more since the last look.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut beat = interval(LOOK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut used, mut seen) = (self.stamps, self.stamps);
        loop {
            beat.tick().await;
            let now = Stamps::of(&self.files);
            if std::mem::replace(&mut seen, now) == now && now != used {
                used = now;
                self.renew();
            }
        }
    }

    /// Takes what the files hold now, if that is good.
    fn renew(&self) {
        match read(&self.files, &self.provider) {
            Ok(certificate) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
                log::info(&format!(
                    "HTTP service: the certificate {} was read again",
                    self.files.certificate.display()
                ));
            }
            Err(why) => log::error(&format!("HTTP service: the former certificate stays in use: {why}")),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Reads a certificate with its chain, and its key.
fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let about = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let chain: Result<Vec<_>, _> = open(&files.certificate)
        .map_err(|why| about(&files.certificate, &why))
        .map(CertificateDer::pem_reader_iter)?
        .collect();
    let chain = chain.map_err(|why| about(&files.certificate, &why))?;
    if chain.is_empty() {
        return Err(about(&files.certificate, &"there is no certificate in it"));
    }
    let key = open(&files.key).map_err(|why| about(&files.key, &why))?;
    let key = PrivateKeyDer::from_pem_reader(key).map_err(|why| match why {
        pem::Error::NoItemsFound => about(&files.key, &"there is no private key in it"),
        why => about(&files.key, &why),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|why| match why {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            about(&files.key, &format!("the key is not that of {}", files.certificate.display()))
        }
        rustls::Error::InvalidCertificate(why) => about(&files.certificate, &format!("a bad certificate: {why:?}")),
        why => about(&files.key, &why),
    })
}

/// Opens a file to be read.
fn open(path: &Path) -> io::Result<BufReader<File>> {
    File::open(path).map(BufReader::new)
}

/// What tells that files have changed; a file that cannot be looked at has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamps([Option<(u64, u64, i64, i64)>; 2]);

impl Stamps {
    /// Those of now.
    fn of(files: &CertificateFiles) -> Self {
        let stamp = |file: Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
        Self([&files.certificate, &files.key].map(|path| fs::metadata(path).ok().map(stamp)))
    }
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_former_certificate_stays_while_the_files_are_no_good() {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles { certificate: folder.path().join("cert"), key: folder.path().join("key") };
        let make = || rcgen::generate_simple_self_signed(["dns.example.org".to_owned()]).unwrap();
        let (first, second) = (make(), make());
        fs::write(&files.certificate, first.cert.pem()).unwrap();
        fs::write(&files.key, first.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::load(&files).unwrap();
        let in_use = || certificate.current.read().unwrap().cert[0].clone();
        // Half of a renewal, then nonsense, then nothing.
        for half in [second.cert.pem().as_bytes(), b"nonsense"] {
            fs::write(&files.certificate, half).unwrap();
            certificate.renew();
            assert_eq!(in_use(), *first.cert.der());
        }
        fs::remove_file(&files.key).unwrap();
        certificate.renew();
        assert_eq!(in_use(), *first.cert.der());
        fs::write(&files.certificate, second.cert.pem()).unwrap();
        fs::write(&files.key, second.signing_key.serialize_pem()).unwrap();
        certificate.renew();
        assert_eq!(in_use(), *second.cert.der());
    }
}
