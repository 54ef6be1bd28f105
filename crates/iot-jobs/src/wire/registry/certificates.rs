//! Calls about certificates.

use serde::{Deserialize, Serialize};

/// The body of CreateCertificateFromCsr.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateFromCsrBody {
    /// `certificateSigningRequest`: a PKCS#10 request as PEM.
    pub certificate_signing_request: String,
}

/// The body of RegisterCertificateWithoutCA.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterWithoutCaBody {
    /// `certificatePem`.
    pub certificate_pem: String,
    /// `status`: `ACTIVE`, `INACTIVE` or `REVOKED`; absent: `INACTIVE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// With a key pair from CreateKeysAndCertificate, with a PEM from both that issue, with neither from those that register.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedCertificate<'a> {
    /// `certificateArn`.
    pub certificate_arn: String,
    /// `certificateId`: SHA-256 of its DER, 64 hexadecimal digits.
    pub certificate_id: String,
    /// `certificatePem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<&'a str>,
    /// `keyPair`, which is told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_pair: Option<KeyPairBody<'a>>,
}

/// `keyPair` of CreateKeysAndCertificate, both as PEM.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyPairBody<'a> {
    /// `PublicKey`.
    pub public_key: &'a str,
    /// `PrivateKey`.
    pub private_key: &'a str,
}

impl std::fmt::Debug for KeyPairBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPairBody").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// The answer to DescribeCertificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeCertificateAnswer<'a> {
    /// `certificateDescription`.
    pub certificate_description: DescribedCertificate<'a>,
}

/// `certificateDescription`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedCertificate<'a> {
    /// `certificateArn`.
    pub certificate_arn: String,
    /// `certificateId`: SHA-256 of its DER, 64 hexadecimal digits.
    pub certificate_id: String,
    /// `caCertificateId`, where it was registered with a CA of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate_id: Option<String>,
    /// `status`: `ACTIVE`, `INACTIVE`, `REVOKED` or `PENDING_ACTIVATION`.
    pub status: &'static str,
    /// `certificatePem`.
    pub certificate_pem: &'a str,
    /// `ownedBy`: the id of the account.
    pub owned_by: &'static str,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
    /// `lastModifiedDate`, in seconds since the epoch.
    pub last_modified_date: f64,
    /// `customerVersion`: 1, since no certificate is ever transferred.
    pub customer_version: u32,
    /// `validity`.
    pub validity: Validity,
    /// `certificateMode`: `DEFAULT`, or `SNI_ONLY` of one that was registered without a CA.
    pub certificate_mode: &'static str,
}

/// From when until when a certificate is valid.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// `notBefore`, in seconds since the epoch.
    pub not_before: f64,
    /// `notAfter`, in seconds since the epoch.
    pub not_after: f64,
}

/// One of ListCertificates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedCertificate {
    /// `certificateArn`.
    pub certificate_arn: String,
    /// `certificateId`: SHA-256 of its DER, 64 hexadecimal digits.
    pub certificate_id: String,
    /// `status`: `ACTIVE`, `INACTIVE` or `REVOKED`.
    pub status: &'static str,
    /// `certificateMode`: `DEFAULT`, or `SNI_ONLY` of one that was registered without a CA.
    pub certificate_mode: &'static str,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}
