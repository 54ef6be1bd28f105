//! JSON shapes of the registry's calls, both ways (as in botocore's `iot/2015-05-28` model), and the ARNs in them.

use super::control::{self, THING, THING_GROUP};
use super::json;
use super::tags::TagBody;
use crate::{ControlError, GroupName, ThingName};
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

// ------------------------------------------------------------------------------------------------------------------ things

/// The body of CreateThing.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateThingBody {
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<String>,
    /// `attributePayload`; absent: no attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<AttributePayloadBody>,
}

/// The body of UpdateThing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpdateThingBody {
    /// `thingTypeName`: the new type; absent: it stays as it is.
    pub thing_type_name: Option<String>,
    /// `attributePayload`; absent: they stay as they are.
    pub attribute_payload: Option<AttributePayloadBody>,
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
    /// `removeThingType`; excludes a new type.
    pub remove_thing_type: bool,
}

/// The answer to CreateThing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedThing<'a> {
    /// `thingName`, from the path of the request.
    pub thing_name: &'a str,
    /// `thingArn`.
    pub thing_arn: String,
    /// `thingId`, a UUID.
    pub thing_id: String,
}

/// The answer to DescribeThing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedThing<'a> {
    /// `defaultClientId`: the client id that a device is to have, its thing's name.
    pub default_client_id: &'a str,
    /// `thingName`.
    pub thing_name: &'a str,
    /// `thingId`, a UUID.
    pub thing_id: String,
    /// `thingArn`.
    pub thing_arn: String,
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    /// `attributes`, `{}` when there are none.
    pub attributes: AttributesBody<'a>,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
}

/// One of ListThings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedThing<'a> {
    /// `thingName`.
    pub thing_name: &'a str,
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    /// `thingArn`.
    pub thing_arn: String,
    /// `attributes`, `{}` when there are none.
    pub attributes: AttributesBody<'a>,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
}

/// `thingTypeProperties`, both ways.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TypePropertiesBody {
    /// `thingTypeDescription`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_description: Option<String>,
    /// `searchableAttributes`: names; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searchable_attributes: Option<Vec<String>>,
}

/// The body of CreateThingType.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateTypeBody {
    /// `thingTypeProperties`.
    pub thing_type_properties: TypePropertiesBody,
    /// `tags`.
    pub tags: Option<Vec<TagBody>>,
}

/// The body of DeprecateThingType.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeprecateTypeBody {
    /// `undoDeprecate`: things can have the type again.
    pub undo_deprecate: bool,
}

/// The answer to CreateThingType.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedType<'a> {
    /// `thingTypeName`, from the path of the request.
    pub thing_type_name: &'a str,
    /// `thingTypeArn`.
    pub thing_type_arn: String,
    /// `thingTypeId`, a UUID.
    pub thing_type_id: String,
}

/// In DescribeThingType with its id, in ListThingTypes without.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedType<'a> {
    /// `thingTypeName`.
    pub thing_type_name: &'a str,
    /// `thingTypeId`, a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_id: Option<String>,
    /// `thingTypeArn`.
    pub thing_type_arn: String,
    /// `thingTypeProperties`.
    pub thing_type_properties: TypePropertiesBody,
    /// `thingTypeMetadata`.
    pub thing_type_metadata: TypeMetadata,
}

/// `thingTypeMetadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeMetadata {
    /// `deprecated`: no further thing can have the type.
    pub deprecated: bool,
    /// `deprecationDate`, in seconds since the epoch; absent: it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<f64>,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}

// ------------------------------------------------------------------------------------------------------------------ groups

/// `thingGroupProperties` of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupPropertiesBody {
    /// `thingGroupDescription`.
    pub thing_group_description: Option<String>,
    /// `attributePayload`: attributes of the group itself.
    pub attribute_payload: Option<AttributePayloadBody>,
}

/// The body of CreateThingGroup.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateGroupBody {
    /// `parentGroupName`; absent: the group is the root of a hierarchy.
    pub parent_group_name: Option<String>,
    /// `thingGroupProperties`.
    pub thing_group_properties: GroupPropertiesBody,
    /// `tags`.
    pub tags: Option<Vec<TagBody>>,
}

/// The body of UpdateThingGroup.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateGroupBody {
    /// `thingGroupProperties`: members that are absent stay as they are.
    pub thing_group_properties: GroupPropertiesBody,
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
}

/// The answer to CreateThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup<'a> {
    /// `thingGroupName`, from the path of the request.
    pub thing_group_name: &'a str,
    /// `thingGroupArn`.
    pub thing_group_arn: String,
    /// `thingGroupId`, a UUID.
    pub thing_group_id: String,
}

/// The answer to DescribeThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroup<'a> {
    /// `thingGroupName`.
    pub thing_group_name: &'a str,
    /// `thingGroupId`, a UUID.
    pub thing_group_id: String,
    /// `thingGroupArn`.
    pub thing_group_arn: String,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
    /// `thingGroupProperties`.
    pub thing_group_properties: DescribedGroupProperties<'a>,
    /// `thingGroupMetadata`.
    pub thing_group_metadata: GroupMetadata<'a>,
}

/// `thingGroupProperties` of DescribeThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroupProperties<'a> {
    /// `thingGroupDescription`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_description: Option<&'a str>,
    /// `attributePayload`; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<DescribedAttributes<'a>>,
}

/// `attributePayload` of DescribeThingGroup.
#[derive(Debug, Serialize)]
pub struct DescribedAttributes<'a> {
    /// `attributes`: names and values.
    pub attributes: AttributesBody<'a>,
}

/// `thingGroupMetadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMetadata<'a> {
    /// `parentGroupName`; absent at the root of a hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_group_name: Option<&'a str>,
    /// `rootToParentThingGroups`: the groups above, the root first; absent at the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_to_parent_thing_groups: Vec<NameAndArn>,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}

/// A group in a list of groups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameAndArn {
    /// `groupName`.
    pub group_name: String,
    /// `groupArn`.
    pub group_arn: String,
}

impl NameAndArn {
    /// The group of this name in the local endpoint's account.
    #[must_use]
    pub fn group(name: &GroupName) -> Self {
        Self { group_name: name.as_str().into(), group_arn: control::arn(THING_GROUP, name.as_str()) }
    }
}

/// The answer to UpdateThingGroup.
#[derive(Debug, Serialize)]
pub struct UpdatedGroup {
    /// `version` after the update.
    pub version: i64,
}

/// AddThingToThingGroup and RemoveThingFromThingGroup, by names or by ARNs. There are no dynamic groups to override.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MembershipBody {
    /// `thingGroupName`; absent: the ARN names the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_name: Option<String>,
    /// `thingGroupArn`; absent: the name does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_arn: Option<String>,
    /// `thingName`; absent: the ARN names the thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_name: Option<String>,
    /// `thingArn`; absent: the name does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_arn: Option<String>,
    /// `overrideDynamicGroups`: accepted, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_dynamic_groups: Option<bool>,
}

impl MembershipBody {
    /// By their names.
    #[must_use]
    pub fn new(thing: &ThingName, group: &GroupName) -> Self {
        let (thing_name, thing_group_name) = (Some(thing.as_str().into()), Some(group.as_str().into()));
        Self { thing_name, thing_group_name, ..Self::default() }
    }

    /// # Errors
    /// `InvalidRequest` when thing or group is missing, malformed, or told in two ways that differ.
    pub fn names(&self) -> Result<(ThingName, GroupName), ControlError> {
        let thing = name_of("thing", THING, self.thing_name.as_deref(), self.thing_arn.as_deref())?;
        let group = name_of("thingGroup", THING_GROUP, self.thing_group_name.as_deref(), self.thing_group_arn.as_deref())?;
        let refuse = |error: crate::NameError| invalid(error.to_string());
        Ok((ThingName::new(thing).map_err(refuse)?, GroupName::new(group).map_err(refuse)?))
    }
}

fn name_of<'a>(what: &str, kind: &str, name: Option<&'a str>, arn: Option<&'a str>) -> Result<&'a str, ControlError> {
    let of_arn = match arn {
        Some(arn) => match parse_arn(arn) {
            Some((found, name)) if found == kind => Some(name),
            _ => return Err(invalid(format!("{what}Arn {arn:?} is not the ARN of a {kind} of this account"))),
        },
        None => None,
    };
    match (name, of_arn) {
        (Some(name), Some(other)) if name != other => Err(invalid(format!("{what}Name and {what}Arn name different ones"))),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(invalid(format!("{what}Name or {what}Arn is required"))),
    }
}

// ------------------------------------------------------------------------------------------------------------ certificates

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

// ---------------------------------------------------------------------------------------------------------------- policies

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_by_name_or_arn() {
        let names = |body: &str| parse::<MembershipBody>("AddThingToThingGroup", body.as_bytes()).and_then(|body| body.names());
        let (thing, group) = (control::arn(THING, "a:b"), control::arn(THING_GROUP, "g"));
        let expected = (ThingName::new("a:b").unwrap(), GroupName::new("g").unwrap());
        assert_eq!(names(&format!(r#"{{"thingArn":"{thing}","thingGroupName":"g"}}"#)), Ok(expected.clone()));
        assert_eq!(names(&format!(r#"{{"thingName":"a:b","thingArn":"{thing}","thingGroupArn":"{group}"}}"#)), Ok(expected));
        for wrong in [
            r#"{"thingName":"t"}"#.to_owned(),
            format!(r#"{{"thingName":"other","thingArn":"{thing}","thingGroupName":"g"}}"#),
            format!(r#"{{"thingArn":"{group}","thingGroupName":"g"}}"#),
            r#"{"thingName":"t","thingGroupName":"g","color":1}"#.to_owned(),
        ] {
            assert!(names(&wrong).is_err(), "{wrong}");
        }
    }
}
