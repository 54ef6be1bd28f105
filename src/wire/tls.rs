//! TLS set-up shared by both sides: one crypto provider, chosen explicitly.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// ring; X25519 first, then P-256, which TLS 1.2 with P-256 certificates needs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups = vec![rustls::crypto::ring::kx_group::X25519, rustls::crypto::ring::kx_group::SECP256R1];
    Arc::new(provider)
}

/// The client configuration every session's own is cloned from: roots and verifier are parsed and shared once, resumption is off.
///
/// # Errors
/// When a root is no certificate, or the provider lacks what TLS 1.2 and 1.3 need.
pub fn client_config(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    alpn: Option<&str>,
) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    // Writes to the file that SSLKEYLOGFILE names, if it names one.
    config.key_log = Arc::new(rustls::KeyLogFile::new());
    config.alpn_protocols = alpn.into_iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}
