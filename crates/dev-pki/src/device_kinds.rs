//! Which certificates and keys AWS IoT takes of devices (PROTOCOL-CORE 1.13). That others are refused when they are registered is
//! inferred.

use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate, X509Version};
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::AlgorithmIdentifier;

const RSA_BITS_MIN: usize = 2048;
/// `rsaEncryption`, and `id-RSASSA-PSS`, which as the algorithm of a signature is the same.
const RSA: [&str; 2] = ["1.2.840.113549.1.1.1", RSASSA_PSS];
const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";
const EC: &str = "1.2.840.10045.2.1";
/// P-256, P-384, P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
/// RSA with SHA-256, 384, 512; RSASSA-PSS; DSA with SHA-256; ECDSA with SHA-256, 384, 512.
const SIGNATURES: [&str; 8] = [
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    RSASSA_PSS,
    "2.16.840.1.101.3.4.3.2",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
];

/// A whole certificate.
pub(super) fn check(certificate: &X509Certificate<'_>) -> Result<(), String> {
    if !matches!(certificate.version(), X509Version::V1 | X509Version::V3) {
        return Err(format!("it is X.509 of version {}: make one of version 3 or 1", certificate.version().0 + 1));
    }
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    if !SIGNATURES.contains(&&*signature) {
        return Err(format!(
            "it is signed by the algorithm {signature}: AWS IoT takes RSA, RSASSA-PSS and ECDSA with SHA-256, SHA-384 or SHA-512 (openssl x509 -sha256)"
        ));
    }
    check_key(certificate.public_key())
}

/// The key alone.
pub(super) fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    let refuse =
        |what: String| Err(format!("{what}: AWS IoT takes RSA from {RSA_BITS_MIN} bits, and EC of P-256, P-384 and P-521"));
    let algorithm = key.algorithm.algorithm.to_id_string();
    if RSA.contains(&&*algorithm) {
        let Ok((_, rsa)) = RSAPublicKey::from_der(&key.subject_public_key.data) else {
            return Err("its RSA key cannot be read".into());
        };
        return if rsa.key_size() < RSA_BITS_MIN { refuse(format!("its key is RSA of {} bits", rsa.key_size())) } else { Ok(()) };
    }
    match curve(&key.algorithm) {
        Some(curve) if algorithm == EC && CURVES.contains(&&*curve) => Ok(()),
        Some(curve) if algorithm == EC => refuse(format!("its key is EC of the curve {curve}")),
        _ => refuse(format!("its key is of the algorithm {algorithm}")),
    }
}

fn curve(algorithm: &AlgorithmIdentifier<'_>) -> Option<String> {
    Some(algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string())
}
