//! Certificates for those who speak TLS, by files that are read again when they change.
//!
//! TLS 1.2 is the least (RFC 9325 §3.1.1). A renewed certificate is in use a few seconds after its files are whole; as long
//! as they are not, the old one stays in service. While there is none at all, handshakes are refused. Sessions are resumed
//! by tickets, whose keys are made by chance, change every few hours and are nowhere but in memory.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::log;
use crate::metrics::Text;

/// Where a certificate is, with its chain, and where its private key is; both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those that it follows from.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    /// Who shows it, for the log.
    owner: &'static str,
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    /// What the files were like when they were last read, and when they were last looked at.
    stamps: Mutex<[Stamps; 2]>,
    /// None until the files hold one.
    current: RwLock<Option<InUse>>,
}

/// What is shown to clients.
#[derive(Debug)]
struct InUse {
    key: Arc<CertifiedKey>,
    /// What it says of itself; None if it cannot be read here, which is for clients to judge.
    terms: Option<Terms>,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The names that it is for.
    pub(crate) names: Vec<String>,
    /// When it became good.
    pub(crate) from: SystemTime,
    /// When it ends.
    pub(crate) until: SystemTime,
}

impl Certificate {
    /// Reads the files; an error names the file and what is wrong with it.
    pub fn load(owner: &'static str, files: &CertificateFiles) -> Result<Arc<Self>, String> {
        let provider = Arc::new(ring::default_provider());
        let stamps = Mutex::new([Stamps::of(files); 2]);
        let current = RwLock::new(Some(read(files, &provider)?));
        warn_of_readers(owner, &files.key);
        Ok(Arc::new(Self { owner, files: files.clone(), provider, stamps, current }))
    }

    /// The same for files that somebody is going to write: as long as they hold no certificate there is none.
    pub(crate) fn awaited(owner: &'static str, files: &CertificateFiles) -> Arc<Self> {
        let provider = Arc::new(ring::default_provider());
        let stamps = Mutex::new([Stamps::of(files); 2]);
        let current = RwLock::new(read(files, &provider).ok());
        warn_of_readers(owner, &files.key);
        Arc::new(Self { owner, files: files.clone(), provider, stamps, current })
    }

    /// How TLS is spoken with it, to clients that are judged by a verifier if there is one. What is spoken inside is left
    /// to the caller (`alpn_protocols`).
    pub fn config(self: &Arc<Self>, clients: Option<Arc<dyn ClientCertVerifier>>) -> Result<ServerConfig, String> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|why| why.to_string())?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        // Sessions are kept by clients, in tickets, and not here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(|why| format!("no keys for tickets: {why}"))?;
        Ok(config)
    }

    /// Looks at the files, and reads them again when both have changed no more since the last look. Called every
    /// [`LOOK`].
    pub fn look(&self) {
        let now = Stamps::of(&self.files);
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let [used, seen] = *stamps;
        let is_due = seen == now && used != now;
        *stamps = [if is_due { now } else { used }, now];
        drop(stamps);
        if is_due {
            self.renew();
        }
    }

    /// Takes what who calls it has just written; on an error the former one stays.
    pub(crate) fn read_now(&self) -> Result<(), String> {
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = [Stamps::of(&self.files); 2];
        self.take()
    }

    /// What the certificate in use says of itself.
    pub(crate) fn terms(&self) -> Option<Terms> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.terms.clone()
    }

    /// Writes when it ends.
    pub(crate) fn write(&self, text: &mut Text) {
        let Some(until) = self.terms().and_then(|terms| terms.until.duration_since(UNIX_EPOCH).ok()) else { return };
        let help = "When the certificate in use ends, in seconds since 1970.";
        let file = self.files.certificate.display().to_string();
        text.time("zonda_tls_certificate_expiry_timestamp_seconds", help, &[("file", &file)], until.as_secs_f64());
    }

    /// Takes what the files hold now, if that is good.
    fn take(&self) -> Result<(), String> {
        let read = read(&self.files, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(())
    }

    /// The same, and tells what has become of it.
    fn renew(&self) {
        match self.take() {
            Ok(()) => {
                let file = self.files.certificate.display();
                log::info(&format!("{}: the certificate {file} was read again", self.owner));
                warn_of_readers(self.owner, &self.files.key);
            }
            Err(why) => log::error(&format!("{}: the former certificate stays in use: {why}", self.owner)),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.key))
    }
}

/// Reads a certificate with its chain, and its key.
fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<InUse, String> {
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
    let terms = chain.first().and_then(|first| terms(first));
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|why| match why {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            about(&files.key, &format!("the key is not that of {}", files.certificate.display()))
        }
        rustls::Error::InvalidCertificate(why) => about(&files.certificate, &format!("a bad certificate: {why:?}")),
        why => about(&files.key, &why),
    })?;
    Ok(InUse { key: Arc::new(key), terms })
}

/// What a certificate says of itself, if it can be read.
fn terms(certificate: &[u8]) -> Option<Terms> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let time = |seconds: i64| UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?));
    let validity = certificate.validity();
    let extension = certificate.subject_alternative_name().ok()?;
    let names = extension.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Some(Terms {
        names: names.collect(),
        from: time(validity.not_before.timestamp())?,
        until: time(validity.not_after.timestamp())?,
    })
}

/// Says so if the file of a key is open to others than its owner and group.
fn warn_of_readers(owner: &str, key: &Path) {
    if fs::metadata(key).is_ok_and(|file| file.mode() & 0o007 != 0) {
        log::warning(&format!(
            "{owner}: the private key {} is open to every user (mode o-rwx keeps it)",
            key.display()
        ));
    }
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
pub const LOOK: Duration = Duration::from_secs(2);

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
        let certificate = Certificate::load("a test", &files).unwrap();
        let in_use = || certificate.current.read().unwrap().as_ref().unwrap().key.cert[0].clone();
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

    #[test]
    fn an_awaited_certificate_is_there_once_it_is_written_and_tells_its_terms() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("both");
        let certificate =
            Certificate::awaited("a test", &CertificateFiles { certificate: file.clone(), key: file.clone() });
        let metrics = || {
            let metrics = crate::metrics::Metrics::default();
            let certificate = Arc::clone(&certificate);
            metrics.add(move |text| certificate.write(text));
            metrics.text()
        };
        assert!(certificate.terms().is_none() && metrics().is_empty());
        let names = ["*.example.org".to_owned(), "Example.ORG".to_owned()];
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let made = parameters.self_signed(&key).unwrap();
        fs::write(&file, format!("{}{}", key.serialize_pem(), made.pem())).unwrap();
        certificate.read_now().unwrap();
        let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let names = vec!["*.example.org".to_owned(), "example.org".to_owned()];
        let terms = Terms { names, from: time(1_767_225_600), until: time(1_775_001_600) };
        assert_eq!(certificate.terms(), Some(terms));
        let sample =
            format!("zonda_tls_certificate_expiry_timestamp_seconds{{file=\"{}\"}} 1775001600\n", file.display());
        assert!(metrics().ends_with(&sample), "{}", metrics());
    }
}
