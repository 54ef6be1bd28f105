//! RSA keys for devices that ask for one, which the cryptography behind TLS cannot make.

use rand::CryptoRng;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};

/// Of the keys that AWS IoT makes (PROTOCOL-CORE 1.13).
const BITS: usize = 2_048;

/// A key in the forms that are asked for.
pub(super) struct RsaKey {
    /// PKCS#8 in DER.
    pub(super) pkcs8: Vec<u8>,
    /// PKCS#1 in PEM, as AWS IoT tells it.
    pub(super) private_pem: String,
    /// A SubjectPublicKeyInfo in PEM.
    pub(super) public_pem: String,
}

impl RsaKey {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("an RSA key could not be made: {error}");
        let key = rsa::PrivateKey::new(rng, BITS).map_err(|error| failed(&error))?;
        let pkcs8 = key.to_pkcs8_der().map_err(|error| failed(&error))?;
        let pkcs1 = key.to_pkcs1_der().map_err(|error| failed(&error))?;
        let public = key.as_public_key().to_public_key_der().map_err(|error| failed(&error))?;
        Ok(Self {
            pkcs8: pkcs8.as_bytes().to_vec(),
            private_pem: pem_of("RSA PRIVATE KEY", pkcs1.as_bytes()),
            public_pem: pem_of("PUBLIC KEY", public.as_bytes()),
        })
    }
}

fn pem_of(label: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(label, der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}
