//! TLS set-up shared by both sides: one crypto provider, chosen explicitly, with all kinds of keys that AWS IoT takes of devices.

mod algorithms;
mod ecdsa;
mod handshake;
mod key_exchange;
mod pair;
mod rsa_pss;
mod signed;

pub use handshake::{verify_tls12_signature, verify_tls13_signature};
pub use pair::{PairError, certified_key};
pub use signed::Signed;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use std::sync::Arc;

/// ring, and the keys that it does not know; X25519 first, then P-256, which TLS 1.2 with P-256 certificates needs. AES-128 comes before
/// AES-256: its hash is SHA-256, for which processors have instructions; SHA-384 was 12 % of a storm of resumed handshakes, by perf.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| !AES_128.contains(&suite.suite()));
    provider.kx_groups = vec![key_exchange::x25519(), rustls::crypto::ring::kx_group::SECP256R1];
    provider.signature_verification_algorithms = algorithms::supported();
    provider.key_provider = &algorithms::Keys;
    Arc::new(provider)
}

const AES_128: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// Common names of the roots of Amazon Trust Services, which AWS's endpoints chain to (PROTOCOL 12.2).
const AMAZON_ROOTS: [&str; 5] = [
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
];

/// The roots of Amazon Trust Services, as Mozilla has them.
#[must_use]
pub fn amazon_roots() -> RootCertStore {
    let is_amazon = |subject: &[u8]| AMAZON_ROOTS.iter().any(|name| subject.ends_with(name.as_bytes()));
    webpki_roots::TLS_SERVER_ROOTS.iter().filter(|root| is_amazon(&root.subject)).cloned().collect()
}

/// All that Mozilla trusts.
#[must_use]
pub fn mozilla_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// # Errors
/// When one of them is no certificate.
pub fn roots(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<RootCertStore, rustls::Error> {
    let mut store = RootCertStore::empty();
    certificates.into_iter().try_for_each(|certificate| store.add(certificate))?;
    Ok(store)
}

/// The client configuration every session's own is cloned from: roots and verifier are parsed and shared once, resumption is off.
///
/// # Errors
/// When the provider lacks what TLS 1.2 and 1.3 need.
pub fn client_config(roots: RootCertStore, alpn: Option<&str>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    // Writes to the file that SSLKEYLOGFILE names, if it names one.
    config.key_log = Arc::new(rustls::KeyLogFile::new());
    config.alpn_protocols = alpn.into_iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::SupportedCipherSuite;

    #[test]
    fn aes_128_is_preferred_and_no_cipher_suite_is_lost() {
        let suites: Vec<CipherSuite> = provider().cipher_suites.iter().map(SupportedCipherSuite::suite).collect();
        assert_eq!(suites[..AES_128.len()], AES_128);
        assert_eq!(suites.len(), rustls::crypto::ring::default_provider().cipher_suites.len());
    }

    #[test]
    fn every_root_of_amazon_is_there() {
        assert_eq!(amazon_roots().len(), AMAZON_ROOTS.len());
    }
}
