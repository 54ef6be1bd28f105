//! A CA of somebody's own, for certificates that the endpoint has not made.

use super::Endpoint;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

/// Somebody's CA.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(common_name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for a common name.
    pub(crate) fn sign(&self, common_name: &str) -> (String, String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = named(common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Registers it as one of several accounts, which needs no proof.
    pub(crate) fn register(&self, endpoint: &Endpoint, query: &str) -> String {
        let body = json!({"caCertificate": self.pem, "certificateMode": "SNI_ONLY"});
        let (status, error, answer) = endpoint.call("POST", &format!("/cacertificate{query}"), &body.to_string(), |_| {});
        assert_eq!(status, 200, "{error:?} {answer}");
        answer["certificateId"].as_str().unwrap().to_owned()
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
