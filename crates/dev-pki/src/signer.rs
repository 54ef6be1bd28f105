//! Whose signatures of files count: the key of a certificate, or a public key, as somebody gives it.

use iot_jobs::wire::signature::SignerKey;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

/// The key in PEM text: of a certificate, or by itself.
///
/// # Errors
/// With what is wrong with the text.
pub fn signer_key(pem: &[u8]) -> Result<SignerKey, String> {
    if let Ok(certificate) = CertificateDer::from_pem_slice(pem) {
        let (_, certificate) = X509Certificate::from_der(&certificate).map_err(|error| format!("its certificate: {error}"))?;
        return SignerKey::from_sec1(&certificate.public_key().subject_public_key.data);
    }
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem)
        .map_err(|_neither| "it holds neither a certificate nor a public key in PEM".to_owned())?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&info).map_err(|error| format!("its public key: {error}"))?;
    SignerKey::from_sec1(&info.subject_public_key.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::wire::signature::FileHash;

    /// The provider of TLS makes the same signatures.
    #[test]
    fn another_implementation_agrees() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = signer_key(pair.public_key_pem().as_bytes()).unwrap();
        let certificate = rcgen::CertificateParams::new(["signer".to_owned()]).unwrap().self_signed(&pair).unwrap();
        assert_eq!(signer_key(certificate.pem().as_bytes()), Ok(key));
        let mut hash = FileHash::default();
        hash.update(b"firmware");
        use rcgen::SigningKey as _;
        assert!(key.verifies(&hash.finish(), &pair.sign(b"firmware").unwrap()));
    }

    #[test]
    fn a_text_that_holds_no_such_key_is_refused() {
        let another_curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
        assert!(signer_key(another_curve.as_bytes()).unwrap_err().contains("P-256"));
        assert!(signer_key(b"hello").unwrap_err().contains("neither"));
    }
}
