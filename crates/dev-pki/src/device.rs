//! Certificates for devices that ask for one, as AWS IoT issues them.

use super::issue::Authority;
use super::{PkiError, Store, device_kinds};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate and what is to be known of it.
#[derive(Clone, Debug)]
pub struct DeviceCertificate {
    /// The certificate's PEM, as it was given or issued.
    pub pem: String,
    /// The first certificate of it, as DER.
    pub der: CertificateDer<'static>,
    /// Milliseconds since the epoch.
    pub not_before_ms: i64,
    /// Milliseconds since the epoch.
    pub not_after_ms: i64,
}

impl DeviceCertificate {
    /// Reads the first certificate of `pem`.
    ///
    /// # Errors
    /// What is wrong with it, or why AWS IoT takes no such certificate.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| format!("it is no PEM of a certificate: {error}"))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| format!("it is no X.509 certificate: {error}"))?;
        device_kinds::check(&parsed)?;
        Self::read(pem.into(), der)
    }

    /// Of a certificate that a client has shown, of whatever kind it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, String> {
        let text = pem::Pem::new("CERTIFICATE", der.to_vec());
        let text = pem::encode_config(&text, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF));
        Self::read(text, der.clone().into_owned())
    }

    fn read(pem: String, der: CertificateDer<'static>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| format!("it is no X.509 certificate: {error}"))?;
        let ms = |time: x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1000);
        let (not_before_ms, not_after_ms) = (ms(parsed.validity().not_before), ms(parsed.validity().not_after));
        Ok(Self { pem, der, not_before_ms, not_after_ms })
    }
}

/// A key pair as PEM. The private key is nowhere else.
pub struct DeviceKeys {
    /// `PUBLIC KEY`, a SubjectPublicKeyInfo.
    pub public_pem: String,
    /// `RSA PRIVATE KEY`, a PKCS#1.
    pub private_pem: String,
}

/// The store's CA, ready to issue.
pub struct DeviceAuthority(Authority);

impl DeviceAuthority {
    /// The CA of `store`.
    ///
    /// # Errors
    /// When its files cannot be used.
    pub fn open(store: &Store) -> Result<Self, PkiError> {
        Authority::open(&store.dir).map(Self)
    }

    /// Makes a key pair, RSA with 2,048 bits as AWS does, and a certificate for it: that takes tenths of a second.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn issue(&self) -> Result<(DeviceCertificate, DeviceKeys), String> {
        let (pem, key) = self.0.issue_device()?;
        let keys = DeviceKeys { public_pem: key.public_pem, private_pem: key.private_pem };
        Ok((DeviceCertificate::from_pem(&pem)?, keys))
    }

    /// A certificate for the subject and the key of a signing request; what else it asks for does not count.
    ///
    /// # Errors
    /// When the request is malformed, or not signed with its key.
    pub fn sign(&self, request_pem: &str) -> Result<DeviceCertificate, String> {
        DeviceCertificate::from_pem(&self.0.sign_device(request_pem)?)
    }
}
