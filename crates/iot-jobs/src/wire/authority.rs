//! CA certificates and just-in-time registration as JSON (PROTOCOL-CORE 1.13 and 4.4; shapes as in botocore's `iot/2015-05-28` model).

use super::control::ACCOUNT;
use super::registry::{Validity, encode};
use super::tags::TagBody;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

/// The body of RegisterCACertificate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterAuthorityBody {
    /// `caCertificate`, as PEM.
    pub ca_certificate: String,
    /// `verificationCertificate`, as PEM: signed by the CA, with the registration code as its common name.
    #[serde(default)]
    pub verification_certificate: Option<String>,
    /// `tags`.
    #[serde(default)]
    pub tags: Option<Vec<TagBody>>,
    /// `certificateMode`: `DEFAULT` or `SNI_ONLY`; absent: `DEFAULT`.
    #[serde(default)]
    pub certificate_mode: Option<String>,
}

/// The body of UpdateCACertificate.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpdateAuthorityBody {
    /// `removeAutoRegistration`: what it has signed registers itself no more.
    pub remove_auto_registration: bool,
}

/// The body of RegisterCertificate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterCertificateBody {
    /// `certificatePem`.
    pub certificate_pem: String,
    /// `caCertificatePem`: who has signed it; absent: the only one that has.
    #[serde(default)]
    pub ca_certificate_pem: Option<String>,
    /// `status`: `ACTIVE`, `INACTIVE` or `REVOKED`; absent: as `setAsActive` says.
    #[serde(default)]
    pub status: Option<String>,
}

/// The answer to RegisterCACertificate.
#[must_use]
pub fn encode_authority(arn: String, id: &str) -> Vec<u8> {
    encode(&json!({ "certificateArn": arn, "certificateId": id }))
}

/// The answer to GetRegistrationCode.
#[must_use]
pub fn encode_code(code: &str) -> Vec<u8> {
    encode(&json!({ "registrationCode": code }))
}

/// `certificateDescription` of DescribeCACertificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedAuthority<'a> {
    /// `certificateArn`.
    pub certificate_arn: String,
    /// `certificateId`: SHA-256 of its DER, 64 hexadecimal digits.
    pub certificate_id: String,
    /// `status`: `ACTIVE` or `INACTIVE`.
    pub status: &'static str,
    /// `certificatePem`.
    pub certificate_pem: &'a str,
    /// `ownedBy`: the id of the account.
    pub owned_by: &'static str,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
    /// `autoRegistrationStatus`: `ENABLE` or `DISABLE`.
    pub auto_registration_status: &'static str,
    /// `lastModifiedDate`, in seconds since the epoch.
    pub last_modified_date: f64,
    /// `customerVersion`: 1.
    pub customer_version: u32,
    /// `validity`.
    pub validity: Validity,
    /// `certificateMode`: `DEFAULT` or `SNI_ONLY`.
    pub certificate_mode: &'static str,
}

impl DescribedAuthority<'_> {
    /// The answer to DescribeCACertificate.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&json!({ "certificateDescription": self }))
    }
}

/// One of ListCACertificates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedAuthority {
    /// `certificateArn`.
    pub certificate_arn: String,
    /// `certificateId`: SHA-256 of its DER, 64 hexadecimal digits.
    pub certificate_id: String,
    /// `status`: `ACTIVE` or `INACTIVE`.
    pub status: &'static str,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}

/// A certificate that was registered as a device came with it, and waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// `certificateId`.
    pub certificate: String,
    /// `caCertificateId`.
    pub authority: String,
    /// When it was registered, in milliseconds since the epoch.
    pub registered_ms: i64,
    /// When the device came, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// Topic and payload of the event that tells of it.
#[must_use]
pub fn encode_registered(registered: &Registered) -> (String, Vec<u8>) {
    let at = OffsetDateTime::from_unix_timestamp(registered.registered_ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")).unwrap_or_default();
    let payload = json!({
        "certificateId": registered.certificate,
        "caCertificateId": registered.authority,
        "timestamp": registered.now_ms,
        "certificateStatus": "PENDING_ACTIVATION",
        "awsAccountId": ACCOUNT,
        "certificateRegistrationTimestamp": text,
    });
    (format!("$aws/events/certificates/registered/{}", registered.authority), encode(&payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_told_as_in_the_reference() {
        let registered = Registered {
            certificate: "c".into(),
            authority: "a".into(),
            registered_ms: 1_772_000_040_250,
            now_ms: 1_772_000_041_500,
        };
        let (topic, payload) = encode_registered(&registered);
        assert_eq!(topic, "$aws/events/certificates/registered/a");
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let expected = json!({
            "certificateId": "c", "caCertificateId": "a", "timestamp": 1_772_000_041_500_i64,
            "certificateStatus": "PENDING_ACTIVATION", "awsAccountId": "111122223333",
            "certificateRegistrationTimestamp": "2026-02-25T06:14:00Z",
        });
        assert_eq!(payload, expected);
    }
}
