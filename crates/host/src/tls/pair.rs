//! A certificate and its key, found to belong together whatever version of X.509 the certificate has.

use super::algorithms::Keys;
use super::signed;
use rustls::crypto::KeyProvider as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a certificate and a key cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// Nobody could sign with it.
    #[error(
        "the private key is of no kind that can be used: EC P-256, P-384 and P-521, RSA and RSA-PSS from 2048 bits, and Ed25519 can"
    )]
    Key,
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// They are of two pairs.
    #[error("the key belongs to another certificate")]
    Mismatch,
}

/// A chain, leaf first, with the key of its leaf.
///
/// # Errors
/// Why they cannot be used.
pub fn certified_key(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, PairError> {
    let key = Keys.load_private_key(key).map_err(|_| PairError::Key)?;
    let leaf = chain.first().ok_or_else(|| PairError::Certificate("there is none".into()))?;
    let info = signed::public_key_info(leaf).and_then(signed::public_key);
    let (_, of_certificate) = info.ok_or_else(|| PairError::Certificate("it is no X.509 certificate".into()))?;
    // By the key alone: RSA has two names for its algorithm.
    let is_pair = key.public_key().is_some_and(|info| signed::public_key(&info).is_some_and(|(_, key)| key == of_certificate));
    if !is_pair {
        return Err(PairError::Mismatch);
    }
    Ok(CertifiedKey::new(chain, key))
}
