//! Who signed a certificate or a signing request: both are a text, the name of an algorithm, and a signature.

use super::algorithms;
use x509_parser::asn1_rs::{Any, FromDer as _};

/// A signed structure of X.509, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// `None` where `der` is nothing of the kind.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let content = content(der)?;
        let (message, rest) = split(content)?;
        let (algorithm, rest) = split(rest)?;
        Some(Self { message, algorithm: self::content(algorithm)?, signature: bits(rest)? })
    }

    /// Whether the signature is that of a public key (a `SubjectPublicKeyInfo`), by an algorithm that can be verified.
    #[must_use]
    pub fn is_signed_by(&self, key: &[u8]) -> bool {
        let Some((key_algorithm, key)) = public_key(key) else { return false };
        algorithms::supported().all.iter().any(|algorithm| {
            *algorithm.signature_alg_id() == *self.algorithm
                && *algorithm.public_key_alg_id() == *key_algorithm
                && algorithm.verify_signature(key, self.message, self.signature).is_ok()
        })
    }
}

/// The `SubjectPublicKeyInfo` of a certificate, whatever version that has; `None` where `der` is no certificate.
pub(super) fn public_key_info(der: &[u8]) -> Option<&[u8]> {
    /// Serial number, algorithm, issuer, validity, subject.
    const FIELDS_BEFORE: usize = 5;
    /// The tag of a version, which certificates of version 1 lack.
    const VERSION: u8 = 0xa0;
    let (tbs, _) = split(content(der)?)?;
    let mut rest = content(tbs)?;
    if rest.first() == Some(&VERSION) {
        rest = split(rest)?.1;
    }
    for _ in 0..FIELDS_BEFORE {
        rest = split(rest)?.1;
    }
    split(rest).map(|(info, _)| info)
}

/// Algorithm and key of a `SubjectPublicKeyInfo`, as [`rustls::pki_types::SignatureVerificationAlgorithm`] has them.
pub(super) fn public_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = split(content(info)?)?;
    Some((content(algorithm)?, bits(rest)?))
}

/// The first element, with its header, and what stands behind it.
fn split(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, _) = Any::from_der(der).ok()?;
    der.split_at_checked(der.len() - rest.len())
}

/// What an element holds.
fn content(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, any)| any.data)
}

/// What a bit string of whole bytes holds.
fn bits(der: &[u8]) -> Option<&[u8]> {
    content(der)?.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}
