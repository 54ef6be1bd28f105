//! What a client signs in its handshake, verified by the key of its certificate whatever version of X.509 that has: webpki reads
//! version 3 only.

use super::{algorithms, signed};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};

/// In TLS 1.2, where a scheme leaves the curve open.
///
/// # Errors
/// When the signature is not that of the certificate's key.
pub fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let info = signed::public_key_info(certificate).ok_or(CertificateError::BadEncoding)?;
    let (key_algorithm, key) = signed::public_key(info).ok_or(CertificateError::BadEncoding)?;
    let supported = algorithms::supported();
    let (_, candidates) = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let is_valid = candidates
        .iter()
        .filter(|algorithm| *algorithm.public_key_alg_id() == *key_algorithm)
        .any(|algorithm| algorithm.verify_signature(key, message, signed.signature()).is_ok());
    if is_valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
}

/// In TLS 1.3, where a scheme says all.
///
/// # Errors
/// When the signature is not that of the certificate's key.
pub fn verify_tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let info = signed::public_key_info(certificate).ok_or(CertificateError::BadEncoding)?;
    let info = SubjectPublicKeyInfoDer::from(info);
    rustls::crypto::verify_tls13_signature_with_raw_key(message, &info, signed, &algorithms::supported())
}
