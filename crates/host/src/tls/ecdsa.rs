//! ECDSA that ring does not have: P-521, and SHA-512 with the smaller curves.

use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, alg_id,
};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug)]
struct Ecdsa {
    curve: Curve,
    hash: Hash,
}

pub(super) const P256_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P256, hash: Hash::Sha512 };
pub(super) const P384_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P384, hash: Hash::Sha512 };
pub(super) const P521_SHA256: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha256 };
pub(super) const P521_SHA384: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha384 };
pub(super) const P521_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha512 };

pub(super) const ALL: [&dyn SignatureVerificationAlgorithm; 5] = [P256_SHA512, P384_SHA512, P521_SHA256, P521_SHA384, P521_SHA512];

impl Hash {
    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// Whether `signature`, in DER, is the key's of `digest`. The curves have types of their own, and the same words.
macro_rules! verify {
    ($curve:ident, $key:expr, $digest:expr, $signature:expr) => {{
        use $curve::ecdsa::signature::hazmat::PrehashVerifier as _;
        use $curve::ecdsa::{DerSignature, VerifyingKey};
        VerifyingKey::from_sec1_bytes($key)
            .and_then(|key| key.verify_prehash($digest, &DerSignature::from_bytes($signature)?))
            .map_err(|_| InvalidSignature)
    }};
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let digest = self.hash.digest(message);
        match self.curve {
            Curve::P256 => verify!(p256, public_key, &digest, signature),
            Curve::P384 => verify!(p384, public_key, &digest, signature),
            Curve::P521 => verify!(p521, public_key, &digest, signature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.curve {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.hash {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}

/// A private key of P-521, in PKCS#8 or SEC1; `None` where it is none.
pub(super) fn load(key: &PrivateKeyDer<'_>) -> Option<Arc<dyn SigningKey>> {
    let key = p521::SecretKey::from_der(key.secret_der()).ok()?;
    Some(Arc::new(P521Key(Arc::new(key.into()))))
}

#[derive(Clone, Debug)]
struct P521Key(Arc<p521::ecdsa::SigningKey>);

/// The only one that TLS 1.3 has for P-521.
const P521_SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&P521_SCHEME).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(public_key_to_spki(&alg_id::ECDSA_P521, self.0.verifying_key().to_sec1_point(false)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        use p521::ecdsa::signature::Signer as _;
        let signature: p521::ecdsa::DerSignature = self.0.try_sign(message).map_err(|error| Error::General(error.to_string()))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        P521_SCHEME
    }
}
