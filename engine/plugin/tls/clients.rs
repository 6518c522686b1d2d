//! What clients have to show of themselves, and who judges it.
//!
//! The authorities that certificates follow from are read again when their file changes. Whoever was let in by the former
//! ones has to show a certificate again: the keys of the tickets that sessions are resumed by change with them.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ProducesTickets, WebPkiClientVerifier};
use tokio_rustls::rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::certificate::LOOK;
use crate::plugin::Setup;
use crate::plugin::corefile::{ConfigError, Directive, Token};
use crate::plugin::watched::Watched;

/// What clients have to show of themselves.
pub(super) struct Policy {
    pub(super) name: &'static str,
    /// Clients are asked for a certificate.
    asks: bool,
    /// Who has none is refused.
    requires: bool,
    /// It has to follow from an authority.
    verifies: bool,
}

/// Who judges clients, and what makes the tickets of those that were let in; None is what is usual.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Policy {
    /// Who judges clients by it, by a file of authorities if there is one, which is watched.
    pub(super) fn clients(
        &self,
        line: &Directive,
        authority: Option<&Token>,
        setup: &mut Setup<'_>,
    ) -> Result<Clients, ConfigError> {
        let requires = self.requires;
        let watched = authority.map(|file| -> Result<_, ConfigError> {
            let read = move |octets: &[u8]| {
                let found = CertificateDer::pem_slice_iter(octets).collect::<Result<Vec<_>, _>>();
                Authorities::new(found.map_err(|why| why.to_string())?, requires)
            };
            let path = setup.path(&file.text);
            let fault = |why: &dyn fmt::Display| file.error(format!("{}: {why}", file.text));
            let initial = std::fs::read(&path).map_err(|why| fault(&why))?;
            let mut watched = Watched::new(path, read(&initial).map_err(|why| fault(&why))?, Box::new(read));
            watched.look().map_err(|why| fault(&why))?;
            Ok(watched)
        });
        let watched = watched.transpose()?;
        if !self.asks {
            return Ok(Clients::default());
        }
        if !self.verifies {
            let any = AnyClient::new(&ring::default_provider(), self.requires);
            return Ok(Clients { verifier: Some(Arc::new(any)), tickets: None });
        }
        let Some(watched) = watched else {
            let of_system = rustls_native_certs::load_native_certs().certs;
            let found = Authorities::new(of_system, requires);
            let found = found.map_err(|why| line.error(format!("on this system: {why}")))?;
            return Ok(Clients { verifier: Some(found.verifier), tickets: None });
        };
        let current = Arc::new(Current(watched.current()));
        setup.services.tasks.push(watched.task("tls", LOOK));
        let verifier = Arc::clone(&current) as Arc<dyn ClientCertVerifier>;
        Ok(Clients { verifier: Some(verifier), tickets: Some(current) })
    }
}

/// What follows from certificates of authorities.
struct Authorities {
    verifier: Arc<dyn ClientCertVerifier>,
    tickets: Arc<dyn ProducesTickets>,
}

impl Authorities {
    /// Those of these certificates, of which some have to be good.
    fn new(certificates: Vec<CertificateDer<'_>>, requires: bool) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let (good, _) = store.add_parsable_certificates(certificates);
        if good == 0 {
            return Err("there are no certificates of authorities".into());
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
        // Names of authorities for the client to choose a certificate by would be those of the start.
        let builder = builder.clear_root_hint_subjects();
        let builder = if requires { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|why| why.to_string())?;
        let tickets = ring::Ticketer::new().map_err(|why| format!("no keys for tickets: {why}"))?;
        Ok(Self { verifier, tickets })
    }
}

/// The authorities of this moment.
struct Current(Arc<ArcSwap<Authorities>>);

impl Debug for Current {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        self.0.load().verifier.fmt(to)
    }
}

impl ClientCertVerifier for Current {
    fn client_auth_mandatory(&self) -> bool {
        self.0.load().verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.load().verifier.verify_client_cert(certificate, between, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().verifier.supported_verify_schemes()
    }
}

impl ProducesTickets for Current {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.0.load().tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.load().tickets.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.load().tickets.decrypt(cipher)
    }
}

/// Takes every certificate whose key the client has.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
    requires: bool,
}

impl AnyClient {
    /// One that lets clients without a certificate in, or not.
    fn new(provider: &CryptoProvider, requires: bool) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, requires }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.requires
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// All policies; the first is the default.
pub(super) const POLICIES: [Policy; 5] = [
    Policy { name: "nocert", asks: false, requires: false, verifies: false },
    Policy { name: "request", asks: true, requires: false, verifies: false },
    Policy { name: "require", asks: true, requires: true, verifies: false },
    Policy { name: "verify_if_given", asks: true, requires: false, verifies: true },
    Policy { name: "require_and_verify", asks: true, requires: true, verifies: true },
];
