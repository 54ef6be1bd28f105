//! JSON shapes of the registry's calls, both ways (as in botocore's `iot/2015-05-28` model), and the ARNs in them.

mod certificates;
mod groups;
mod policies;
mod things;

pub use certificates::*;
pub use groups::*;
pub use policies::*;
pub use things::*;

use super::{control, json};
use crate::ControlError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Resource kinds in ARNs, besides those of [`control`].
pub const THING_TYPE: &str = "thingtype";
/// In `policy/{policyName}`.
pub const POLICY: &str = "policy";
/// In `cert/{certificateId}`.
pub const CERTIFICATE: &str = "cert";
/// In `cacert/{caCertificateId}`.
pub const CA_CERTIFICATE: &str = "cacert";
/// Names a principal in the calls that attach certificates to things.
pub const PRINCIPAL_HEADER: &str = "x-amzn-principal";
/// Names a principal in the older calls that attach policies to certificates.
pub const POLICY_PRINCIPAL_HEADER: &str = "x-amzn-iot-principal";
/// Names the policy in the older call that lists a policy's principals.
pub const POLICY_HEADER: &str = "x-amzn-iot-policy";

fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::InvalidRequest(message.into())
}

/// The body of `operation`. Members that are not listed are refused by name; no body is an empty one.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse<T: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<T, ControlError> {
    json::body(operation, body)
}

/// The bytes of a JSON body.
#[must_use]
pub fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("these shapes have string keys and finite numbers")
}

/// A list under `member`, with the token for its next page under `token_member`.
#[must_use]
pub fn encode_page<T: Serialize>(
    member: &str,
    items: impl Iterator<Item = T>,
    token_member: &str,
    token: Option<String>,
) -> Vec<u8> {
    let items: Vec<T> = items.collect();
    let mut page = serde_json::Map::new();
    page.insert(member.into(), serde_json::to_value(items).expect("these shapes have string keys and finite numbers"));
    page.extend(token.map(|token| (token_member.to_owned(), token.into())));
    encode(&page)
}

/// The body of ResourceAlreadyExistsException.
#[must_use]
pub fn encode_already_exists(message: &str, arn: &str, id: &str) -> Vec<u8> {
    encode(&serde_json::json!({ "message": message, "resourceId": id, "resourceArn": arn }))
}

/// Kind and name of a resource of this account.
#[must_use]
pub fn parse_arn(arn: &str) -> Option<(&str, &str)> {
    let prefix = control::arn("", "");
    arn.strip_prefix(prefix.strip_suffix('/')?)?.split_once('/')
}

/// Control-plane times are seconds with a fraction.
#[must_use]
pub fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// `attributePayload` of a call.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AttributePayloadBody {
    /// `attributes`: names and values.
    pub attributes: BTreeMap<String, String>,
    /// `merge`: change what is named and keep the rest; else what is named replaces all.
    pub merge: bool,
}

/// Attributes as they are told.
pub type AttributesBody<'a> = BTreeMap<&'a str, &'a str>;
