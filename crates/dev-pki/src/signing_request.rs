//! Certificates for signing requests. rcgen makes none for keys it cannot sign with (P-521, RSASSA-PSS), and none for some subjects;
//! so it makes one for a key of its own, in which subject and key are then those of the request.

use super::device_kinds;
use host::tls::Signed;
use rcgen::{KeyIdMethod, KeyPair, SigningKey as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

/// Places in a TBSCertificate with a version (RFC 5280 section 4.1).
const SUBJECT: usize = 5;
const KEY: usize = 6;
/// Of a key's identifier (RFC 7093).
const IDENTIFIER_BYTES: usize = 20;

/// What of a signing request counts.
pub(super) struct SigningRequest {
    subject: Vec<u8>,
    /// A SubjectPublicKeyInfo.
    key: Vec<u8>,
}

impl SigningRequest {
    /// A request that was signed with its key, of a kind that devices may have.
    pub(super) fn parse(pem: &str) -> Result<Self, String> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| format!("it is no PEM of a signing request: {error}"))?;
        let (_, request) =
            X509CertificationRequest::from_der(&der).map_err(|error| format!("it is no signing request: {error}"))?;
        let info = &request.certification_request_info;
        device_kinds::check_key(&info.subject_pki)?;
        if !Signed::parse(&der).is_some_and(|signed| signed.is_signed_by(info.subject_pki.raw)) {
            return Err(
                "it is not signed with its key, or not in a way that can be verified: RSA, RSASSA-PSS with a salt as long as its \
                        hash (openssl req -sigopt rsa_pss_saltlen:digest), and ECDSA, with SHA-256, SHA-384 or SHA-512"
                    .into(),
            );
        }
        Ok(Self { subject: info.subject.as_raw().to_vec(), key: info.subject_pki.raw.to_vec() })
    }

    pub(super) fn key_identifier(&self) -> KeyIdMethod {
        KeyIdMethod::PreSpecified(Sha256::digest(&self.key)[..IDENTIFIER_BYTES].to_vec())
    }

    /// A certificate in PEM like `template` but for subject and key, signed anew.
    pub(super) fn issue_like(self, template: &CertificateDer<'_>, signer: &KeyPair) -> Result<String, String> {
        let broken = |_| "the certificate could not be made".to_owned();
        let parts = elements(template).map_err(broken)?;
        let [tbs, algorithm, _] = &parts[..] else { return Err("the certificate could not be made".into()) };
        let mut fields = elements(tbs).map_err(broken)?;
        (fields[SUBJECT], fields[KEY]) = (self.subject, self.key);
        let tbs = sequence(&fields);
        let signature = signer.sign(&tbs).map_err(|error| error.to_string())?;
        let signature = yasna::construct_der(|writer| writer.write_bitvec_bytes(&signature, signature.len() * 8));
        let certificate = pem::Pem::new("CERTIFICATE", sequence(&[tbs, algorithm.clone(), signature]));
        Ok(pem::encode_config(&certificate, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)))
    }
}

/// The elements of a sequence, each with its header.
fn elements(der: &[u8]) -> yasna::ASN1Result<Vec<Vec<u8>>> {
    yasna::parse_der(der, |reader| {
        let mut elements = Vec::new();
        reader.read_sequence_of(|element| {
            elements.push(element.read_der()?);
            Ok(())
        })?;
        Ok(elements)
    })
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| elements.iter().for_each(|element| writer.next().write_der(element)));
    })
}
