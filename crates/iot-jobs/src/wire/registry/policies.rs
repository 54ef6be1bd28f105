//! Calls about policies.

use super::POLICY;
use crate::wire::control;
use crate::wire::tags::TagBody;
use serde::{Deserialize, Serialize};

/// The body of CreatePolicy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreatePolicyBody {
    /// `policyDocument`: JSON as a text.
    pub policy_document: String,
    /// `tags`.
    #[serde(default)]
    pub tags: Option<Vec<TagBody>>,
}

/// The body of CreatePolicyVersion.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyBody {
    /// `policyDocument`: JSON as a text.
    pub policy_document: String,
}

/// The body of calls that attach policies to certificates or groups, and detach them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetBody {
    /// `target`: the ARN of the certificate or group.
    pub target: String,
}

/// The answer to CreatePolicy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedPolicy<'a> {
    /// `policyName`, from the path of the request.
    pub policy_name: &'a str,
    /// `policyArn`.
    pub policy_arn: String,
    /// `policyDocument`: JSON as a text.
    pub policy_document: &'a str,
    /// `policyVersionId`: a number as text, `1` here.
    pub policy_version_id: String,
}

/// The answer to GetPolicy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedPolicy<'a> {
    /// `policyName`.
    pub policy_name: &'a str,
    /// `policyArn`.
    pub policy_arn: String,
    /// `policyDocument` of the default version: JSON as a text.
    pub policy_document: &'a str,
    /// `defaultVersionId`: a number as text.
    pub default_version_id: String,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
    /// `lastModifiedDate`, in seconds since the epoch.
    pub last_modified_date: f64,
}

/// The answer to CreatePolicyVersion.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedPolicyVersion<'a> {
    /// `policyArn`.
    pub policy_arn: String,
    /// `policyDocument`: JSON as a text.
    pub policy_document: &'a str,
    /// `policyVersionId`: a number as text.
    pub policy_version_id: String,
    /// `isDefaultVersion`: whether it is the version that counts.
    pub is_default_version: bool,
}

/// The answer to GetPolicyVersion.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedPolicyVersion<'a> {
    /// `policyArn`.
    pub policy_arn: String,
    /// `policyName`.
    pub policy_name: &'a str,
    /// `policyDocument`: JSON as a text.
    pub policy_document: &'a str,
    /// `policyVersionId`: a number as text.
    pub policy_version_id: String,
    /// `isDefaultVersion`: whether it is the version that counts.
    pub is_default_version: bool,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
    /// `lastModifiedDate`, in seconds since the epoch.
    pub last_modified_date: f64,
}

/// One of ListPolicyVersions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPolicyVersion {
    /// `versionId`: a number as text.
    pub version_id: String,
    /// `isDefaultVersion`: whether it is the version that counts.
    pub is_default_version: bool,
    /// `createDate`, in seconds since the epoch.
    pub create_date: f64,
}

/// One of ListPolicies and of those like it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPolicy {
    /// `policyName`.
    pub policy_name: String,
    /// `policyArn`.
    pub policy_arn: String,
}

impl ListedPolicy {
    /// The policy of this name in the local endpoint's account.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { policy_name: name.into(), policy_arn: control::arn(POLICY, name) }
    }
}

/// TestAuthorization.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestAuthorizationBody {
    /// `principal`: the ARN of a certificate.
    pub principal: Option<String>,
    /// `authInfos`: what is asked, 1 to 10.
    pub auth_infos: Vec<AuthInfoBody>,
    /// `policyNamesToAdd`: as if they were attached.
    #[serde(default)]
    pub policy_names_to_add: Vec<String>,
    /// `policyNamesToSkip`: as if they were not.
    #[serde(default)]
    pub policy_names_to_skip: Vec<String>,
}

/// One of TestAuthorization's `authInfos`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthInfoBody {
    /// `actionType`.
    pub action_type: Option<String>,
    /// `resources`: ARNs.
    pub resources: Vec<String>,
}

/// GetEffectivePolicies.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EffectivePoliciesBody {
    /// `principal`: the ARN of a certificate.
    pub principal: Option<String>,
}
