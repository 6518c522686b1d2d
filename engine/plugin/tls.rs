//! # tls
//!
//! ## Name
//! *tls* - gives the encrypted transports a certificate, from files or by ACME.
//!
//! ## Description
//! Serves the `tls://`, `https://`, `grpc://`, `quic://` and `https3://` zones of its server block with a certificate;
//! `dns://` zones do not need it. TLS 1.2 is the oldest version that is spoken, QUIC speaks TLS 1.3. Without this plugin
//! `https://` and `grpc://` are served in clear text, for a proxy in front, and the others not at all.
//!
//! When the files change they are read again within seconds; connections stay, and while the new files are no good what
//! was read before stays in use. Clients may resume sessions: the keys for it are made by chance, change every few hours
//! and with **AUTHORITY**, and are kept in memory only.
//!
//! With `acme` the certificate is ordered from an authority, by the protocol ACME (RFC 8555), and renewed after two thirds
//! of its time. That a name is ours is proven over DNS: while an order is under way, zonda itself answers for the TXT
//! records at `_acme-challenge.NAME` in all server blocks of plain DNS with a zone above, wherever the data of that zone
//! comes from. `acl` counts for these questions, too. Until there is a certificate all else is served and encrypted
//! connections are refused. If an order fails, the log tells why, and it is tried again: soon where the authority was not
//! reached, in a quarter of an hour where it has refused, and after twice as long each time, up to 6 hours; at a reload at
//! once.
//!
//! ## Syntax
//! ```corefile
//! tls [CERTIFICATE KEY [AUTHORITY]] {
//!     client_auth nocert|request|require|verify_if_given|require_and_verify
//!     acme NAME...
//!     email ADDRESS
//!     ca URL
//!     ca_root FILE
//!     storage DIR
//!     resolver ADDRESS
//! }
//! ```
//! * **CERTIFICATE** is a file with the certificate and those that it follows from, **KEY** one with its private key, both
//!   in PEM. Keep the key from everybody but its owner and group: others that may read it are worth a warning.
//! * **AUTHORITY** is a file with the certificates that those of clients have to follow from; without it these are the
//!   system's.
//! * `client_auth` says what clients have to show: nothing (`nocert`, the default); a certificate that is not looked at,
//!   if they have one (`request`) or in any case (`require`); a good one, if they have one (`verify_if_given`) or in any
//!   case (`require_and_verify`).
//! * `acme` orders a certificate for these names, instead of reading one from files. `*.NAME` is for all names one label
//!   below. Using it means to agree to the terms of service of the authority.
//! * `email` is where the authority may write to; it counts when the account is made.
//! * `ca` is the directory of the authority, that of Let's Encrypt by default.
//! * `ca_root` is a file with the certificates that the authority's own has to follow from; without it these are the
//!   system's.
//! * `storage` is the folder for accounts and certificates, `acme` by default. What is in it is for its owner alone; keep a
//!   copy of it, and nobody has to order anything when the machine is replaced. A certificate and its key are in one file,
//!   named for the first name, which other plugins can be given as both.
//! * `resolver` is accepted for compatibility: nobody has to be asked whether a challenge can be seen.
//!
//! Of several server blocks on an address and transport the first with a certificate decides.
//!
//! ## Examples
//! ```corefile
//! .:1053 tls://.:8853 {
//!     tls cert.pem key.pem
//!     whoami
//! }
//! ```
//!
//! The same over QUIC, and over HTTP/3:
//! ```corefile
//! .:1053 quic://.:8853 https3://.:8443 {
//!     tls cert.pem key.pem
//!     whoami
//! }
//! ```
//!
//! Only clients with a certificate of our own authority are served:
//! ```corefile
//! .:1053 tls://example.org:8853 {
//!     tls cert.pem key.pem ca.pem {
//!         client_auth require_and_verify
//!     }
//!     whoami
//! }
//! ```
//!
//! A certificate that is ordered from an authority of our own; without `ca` and `ca_root` it comes from Let's Encrypt:
//! ```corefile
//! example.org:1053 tls://example.org:8853 {
//!     tls {
//!         acme dns.example.org
//!         email info@example.org
//!         ca https://ca.example.net/directory
//!         ca_root ca.pem
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! * `zonda_tls_certificate_expiry_timestamp_seconds` is when the certificate in `file` ends.
//!
//! `zonda_secure_connections` and its like count the connections of all encrypted transports together.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `timeouts`, `bind`. RFC 7858 is DNS over TLS, RFC 8484 DNS over HTTPS, RFC 9250 DNS over QUIC;
//! DNS over gRPC is a service of CoreDNS: `coredns.dns.DnsService`, with the procedure `Query`. RFC 8555 is ACME.
//!
//! ## Bugs
//! Keys are not logged (`keylog`). All name servers of the zone have to be this one, or the challenge has to be delegated
//! to it (`_acme-challenge.NAME NS …`); in a signed zone it has to be delegated, without a DS record, as the TXT records
//! are not signed. Authorities that want an account of theirs to be named (external account binding) are not spoken with,
//! and none is asked when it would have a certificate renewed early (RFC 9773).

mod acme;
mod challenges;
mod clients;
mod keeper;
mod order;

use std::sync::Arc;

pub(super) use acme::Acme;

use super::corefile::{ConfigError, Directive};
use super::{Plugin, Setup, Task};
use crate::certificate::{Certificate, CertificateFiles, LOOK};

/// Reads the certificate of the block; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    let mut lines = acme::Lines::default();
    let mut policy = &clients::POLICIES[0];
    for property in line.properties() {
        if lines.read(property)? {
            continue;
        }
        let value = match &property.name.text[..] {
            "client_auth" => property.one_argument()?,
            _ => return Err(property.unknown_property()),
        };
        let found = clients::POLICIES.iter().find(|policy| policy.name == value.text);
        policy = found.ok_or_else(|| value.error(format!("unknown authentication type '{}'", value.text)))?;
    }
    let (certificate, authority) = match (lines.certificate(setup)?, &line.args[..]) {
        (Some(certificate), []) => (certificate, None),
        (Some(_), [file, ..]) => return Err(file.error("a certificate is either read from files or ordered by 'acme'")),
        (None, [certificate, key, authority @ ..]) if authority.len() <= 1 => {
            let files = CertificateFiles { certificate: setup.path(&certificate.text), key: setup.path(&key.text) };
            let certificate = Certificate::load("plugin/tls", &files).map_err(|why| line.error(why))?;
            let looked_at = Arc::clone(&certificate);
            setup.services.tasks.push(Task { every: LOOK, run: Box::new(move || looked_at.look()) });
            (certificate, authority.first())
        }
        (None, _) => return Err(line.wrong_argument_count()),
    };
    let clients = policy.clients(line, authority, setup)?;
    let mut config = certificate.config(clients.verifier).map_err(|why| line.error(why))?;
    config.ticketer = clients.tickets.unwrap_or(config.ticketer);
    setup.tls = Some(config);
    setup.services.metrics.add(move |text| certificate.write(text));
    Ok(None)
}
