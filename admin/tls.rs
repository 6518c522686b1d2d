//! TLS for what is served over HTTP/1.1.

use std::sync::Arc;

use engine::certificate::{Certificate, LOOK};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

/// What begins TLS on a connection.
pub(crate) fn acceptor(certificate: &Arc<Certificate>) -> Result<TlsAcceptor, String> {
    let mut config = certificate.config(None)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Looks after a certificate for ever.
pub(crate) async fn watch(certificate: Arc<Certificate>) {
    let mut beat = interval(LOOK);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        certificate.look();
    }
}
