//! Client certificates: one shared by all, or one per thing.

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use std::sync::Arc;

/// A certificate chain and its key, parsed once.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Identity>);

#[derive(Debug)]
struct Identity(Arc<CertifiedKey>);

impl Credentials {
    /// # Errors
    /// When the key is of no kind the provider can sign with, or does not belong to the certificate.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let key = CertifiedKey::from_der(chain, key, &crate::wire::tls::provider())?;
        Ok(Self(Arc::new(Identity(Arc::new(key)))))
    }

    /// `base` with this identity: roots and verifier stay shared, which keeps a thing's own share near 1.3 KB.
    #[must_use]
    pub fn config(&self, base: &ClientConfig) -> Arc<ClientConfig> {
        let mut config = base.clone();
        config.client_auth_cert_resolver = Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>;
        Arc::new(config)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _sigschemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
