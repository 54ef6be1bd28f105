//! What ring does not know of the keys that AWS IoT takes of devices (PROTOCOL-CORE 1.13), added to what it knows.

use super::{ecdsa, rsa_pss};
use rustls::crypto::{KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{PrivateKeyDer, SignatureVerificationAlgorithm};
use rustls::sign::SigningKey;
use rustls::{Error, SignatureScheme};
use std::sync::{Arc, LazyLock};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// All signatures that can be verified. Made once: rustls wants references that last.
pub(super) fn supported() -> WebPkiSupportedAlgorithms {
    static SUPPORTED: LazyLock<WebPkiSupportedAlgorithms> =
        LazyLock::new(|| extend(ring::default_provider().signature_verification_algorithms));
    *SUPPORTED
}

fn extend(ring: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let with = |known: &'static [Algorithm], more: Algorithm| -> &'static [Algorithm] { [known, &[more]].concat().leak() };
    let mut mapping: Vec<(SignatureScheme, &'static [Algorithm])> = ring.mapping.to_vec();
    for (scheme, algorithms) in &mut mapping {
        // TLS 1.2 leaves the curve open; TLS 1.3 takes the first.
        match *scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => *algorithms = with(algorithms, ecdsa::P521_SHA256),
            SignatureScheme::ECDSA_NISTP384_SHA384 => *algorithms = with(algorithms, ecdsa::P521_SHA384),
            _ => {}
        }
    }
    mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, &[ecdsa::P521_SHA512, ecdsa::P384_SHA512, ecdsa::P256_SHA512]));
    let pss = rsa_pss::algorithms(ring.mapping);
    mapping.extend(pss.iter().map(|(scheme, algorithm)| (*scheme, with(&[], *algorithm))));
    let all = ring.all.iter().chain(&ecdsa::ALL).copied().chain(pss.into_iter().map(|(_, algorithm)| algorithm));
    WebPkiSupportedAlgorithms { all: all.collect::<Vec<_>>().leak(), mapping: mapping.leak() }
}

/// Private keys: those of ring, P-521, and RSA that is bound to PSS.
#[derive(Debug)]
pub(super) struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        ring::sign::any_supported_type(&key).or_else(|error| ecdsa::load(&key).or_else(|| rsa_pss::load(&key)).ok_or(error))
    }
}
