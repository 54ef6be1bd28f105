//! RSA keys that are bound to PSS (`id-RSASSA-PSS`): ring's RSA behind the names that such keys have in certificates and in TLS 1.3.

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, PrivatePkcs1KeyDer, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer,
};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// The object identifier 1.2.840.113549.1.1.10, in DER.
const RSASSA_PSS: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]);
const RSASSA_PSS_OID: p521::pkcs8::ObjectIdentifier = p521::pkcs8::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// `rsa_pss_pss_*` of TLS 1.3 (RFC 8446 section 4.2.3), each with the `rsa_pss_rsae_*` that signs in the same way.
const SCHEMES: [(SignatureScheme, SignatureScheme); 3] = [
    (SignatureScheme::Unknown(0x0809), SignatureScheme::RSA_PSS_SHA256),
    (SignatureScheme::Unknown(0x080a), SignatureScheme::RSA_PSS_SHA384),
    (SignatureScheme::Unknown(0x080b), SignatureScheme::RSA_PSS_SHA512),
];

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// What verifies each scheme, made of what ring has.
pub(super) fn algorithms(ring: &[(SignatureScheme, &'static [Algorithm])]) -> Vec<(SignatureScheme, Algorithm)> {
    let of_ring = |wanted| ring.iter().find(|(scheme, _)| *scheme == wanted).and_then(|(_, algorithms)| algorithms.first());
    let made = |(scheme, same): (SignatureScheme, SignatureScheme)| {
        let algorithm: Algorithm = Box::leak(Box::new(PssKey(*of_ring(same)?)));
        Some((scheme, algorithm))
    };
    SCHEMES.into_iter().filter_map(made).collect()
}

#[derive(Debug)]
struct PssKey(Algorithm);

impl SignatureVerificationAlgorithm for PssKey {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.0.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        RSASSA_PSS
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }
}

/// A private key that says that it is for PSS; `None` where it does not.
pub(super) fn load(key: &PrivateKeyDer<'_>) -> Option<Arc<dyn SigningKey>> {
    let PrivateKeyDer::Pkcs8(key) = key else { return None };
    let info = p521::pkcs8::PrivateKeyInfoRef::try_from(key.secret_pkcs8_der()).ok()?;
    if info.algorithm.oid != RSASSA_PSS_OID {
        return None;
    }
    let rsa = PrivatePkcs1KeyDer::from(info.private_key.as_bytes());
    Some(Arc::new(PssSigningKey(any_supported_type(&rsa.into()).ok()?)))
}

#[derive(Debug)]
struct PssSigningKey(Arc<dyn SigningKey>);

impl SigningKey for PssSigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (scheme, same) = SCHEMES.into_iter().find(|(scheme, _)| offered.contains(scheme))?;
        Some(Box::new(PssSigner { signer: self.0.choose_scheme(&[same])?, scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct PssSigner {
    signer: Box<dyn Signer>,
    scheme: SignatureScheme,
}

impl Signer for PssSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signer.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
