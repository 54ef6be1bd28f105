//! JSON shapes of the registry's calls, both ways (as in botocore's `iot/2015-05-28` model), and the ARNs in them.

use super::control::{self, THING, THING_GROUP};
use crate::{ControlError, GroupName, ThingName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Resource kinds in ARNs, besides those of [`control`].
pub const THING_TYPE: &str = "thingtype";
pub const POLICY: &str = "policy";
pub const CERTIFICATE: &str = "cert";
/// Names a principal in the calls that attach certificates to things.
pub const PRINCIPAL_HEADER: &str = "x-amzn-principal";
/// Names a principal in the older calls that attach policies to certificates.
pub const POLICY_PRINCIPAL_HEADER: &str = "x-amzn-iot-principal";
/// Names the policy in the older call that lists a policy's principals.
pub const POLICY_HEADER: &str = "x-amzn-iot-policy";
/// The only language that AWS IoT policies are written in.
const POLICY_LANGUAGE: &str = "2012-10-17";
/// Of a policy document, white space not counted (PROTOCOL 14).
const POLICY_CHARS_MAX: usize = 2_048;

fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::InvalidRequest(message.into())
}

/// The body of `operation`. Members that are not listed are refused by name; no body is an empty one.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse<T: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<T, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| invalid(format!("the body of {operation}: {error}")))
}

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

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AttributePayloadBody {
    pub attributes: BTreeMap<String, String>,
    pub merge: bool,
}

/// Attributes as they are told.
pub type AttributesBody<'a> = BTreeMap<&'a str, &'a str>;

// ------------------------------------------------------------------------------------------------------------------ things

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateThingBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<AttributePayloadBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpdateThingBody {
    pub thing_type_name: Option<String>,
    pub attribute_payload: Option<AttributePayloadBody>,
    pub expected_version: Option<i64>,
    pub remove_thing_type: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedThing<'a> {
    pub thing_name: &'a str,
    pub thing_arn: String,
    pub thing_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedThing<'a> {
    pub default_client_id: &'a str,
    pub thing_name: &'a str,
    pub thing_id: String,
    pub thing_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    pub attributes: AttributesBody<'a>,
    pub version: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedThing<'a> {
    pub thing_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    pub thing_arn: String,
    pub attributes: AttributesBody<'a>,
    pub version: i64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TypePropertiesBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searchable_attributes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateTypeBody {
    pub thing_type_properties: TypePropertiesBody,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeprecateTypeBody {
    pub undo_deprecate: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedType<'a> {
    pub thing_type_name: &'a str,
    pub thing_type_arn: String,
    pub thing_type_id: String,
}

/// In DescribeThingType with its id, in ListThingTypes without.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedType<'a> {
    pub thing_type_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_id: Option<String>,
    pub thing_type_arn: String,
    pub thing_type_properties: TypePropertiesBody,
    pub thing_type_metadata: TypeMetadata,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeMetadata {
    pub deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<f64>,
    pub creation_date: f64,
}

// ------------------------------------------------------------------------------------------------------------------ groups

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupPropertiesBody {
    pub thing_group_description: Option<String>,
    pub attribute_payload: Option<AttributePayloadBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateGroupBody {
    pub parent_group_name: Option<String>,
    pub thing_group_properties: GroupPropertiesBody,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateGroupBody {
    pub thing_group_properties: GroupPropertiesBody,
    pub expected_version: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup<'a> {
    pub thing_group_name: &'a str,
    pub thing_group_arn: String,
    pub thing_group_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroup<'a> {
    pub thing_group_name: &'a str,
    pub thing_group_id: String,
    pub thing_group_arn: String,
    pub version: i64,
    pub thing_group_properties: DescribedGroupProperties<'a>,
    pub thing_group_metadata: GroupMetadata<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroupProperties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<DescribedAttributes<'a>>,
}

#[derive(Debug, Serialize)]
pub struct DescribedAttributes<'a> {
    pub attributes: AttributesBody<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMetadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_group_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_to_parent_thing_groups: Vec<NameAndArn>,
    pub creation_date: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameAndArn {
    pub group_name: String,
    pub group_arn: String,
}

impl NameAndArn {
    #[must_use]
    pub fn group(name: &GroupName) -> Self {
        Self { group_name: name.as_str().into(), group_arn: control::arn(THING_GROUP, name.as_str()) }
    }
}

#[derive(Debug, Serialize)]
pub struct UpdatedGroup {
    pub version: i64,
}

/// AddThingToThingGroup and RemoveThingFromThingGroup, by names or by ARNs. There are no dynamic groups to override.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MembershipBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_dynamic_groups: Option<bool>,
}

impl MembershipBody {
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

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateFromCsrBody {
    pub certificate_signing_request: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterWithoutCaBody {
    pub certificate_pem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// With a key pair from CreateKeysAndCertificate, with a PEM from both that issue, with neither from those that register.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedCertificate<'a> {
    pub certificate_arn: String,
    pub certificate_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_pair: Option<KeyPairBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyPairBody<'a> {
    pub public_key: &'a str,
    pub private_key: &'a str,
}

impl std::fmt::Debug for KeyPairBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPairBody").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeCertificateAnswer<'a> {
    pub certificate_description: DescribedCertificate<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedCertificate<'a> {
    pub certificate_arn: String,
    pub certificate_id: String,
    pub status: &'static str,
    pub certificate_pem: &'a str,
    pub owned_by: &'static str,
    pub creation_date: f64,
    pub last_modified_date: f64,
    pub customer_version: u32,
    pub validity: Validity,
    pub certificate_mode: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    pub not_before: f64,
    pub not_after: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedCertificate {
    pub certificate_arn: String,
    pub certificate_id: String,
    pub status: &'static str,
    pub certificate_mode: &'static str,
    pub creation_date: f64,
}

// ---------------------------------------------------------------------------------------------------------------- policies

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyBody {
    pub policy_document: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetBody {
    pub target: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedPolicy<'a> {
    pub policy_name: &'a str,
    pub policy_arn: String,
    pub policy_document: &'a str,
    pub policy_version_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedPolicy<'a> {
    pub policy_name: &'a str,
    pub policy_arn: String,
    pub policy_document: &'a str,
    pub default_version_id: String,
    pub creation_date: f64,
    pub last_modified_date: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedPolicyVersion<'a> {
    pub policy_arn: String,
    pub policy_document: &'a str,
    pub policy_version_id: String,
    pub is_default_version: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedPolicyVersion<'a> {
    pub policy_arn: String,
    pub policy_name: &'a str,
    pub policy_document: &'a str,
    pub policy_version_id: String,
    pub is_default_version: bool,
    pub creation_date: f64,
    pub last_modified_date: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPolicyVersion {
    pub version_id: String,
    pub is_default_version: bool,
    pub create_date: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPolicy {
    pub policy_name: String,
    pub policy_arn: String,
}

impl ListedPolicy {
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { policy_name: name.into(), policy_arn: control::arn(POLICY, name) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument<'a> {
    version: String,
    #[serde(borrow)]
    statement: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn is_empty(&self) -> bool {
        match self {
            Self::One(text) => text.is_empty(),
            Self::Many(texts) => texts.is_empty(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    action: OneOrMany,
    resource: OneOrMany,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// Tells a policy document by its outer form: version, and statements with effect, actions and resources.
///
/// # Errors
/// What is wrong with it.
pub fn check_policy_document(document: &str) -> Result<(), String> {
    if document.chars().filter(|c| !c.is_whitespace()).count() > POLICY_CHARS_MAX {
        return Err(format!("a policy document has at most {POLICY_CHARS_MAX} characters, white space not counted"));
    }
    let parsed: PolicyDocument<'_> = serde_json::from_str(document).map_err(|error| format!("the policy document: {error}"))?;
    if parsed.version != POLICY_LANGUAGE {
        return Err(format!("Version of a policy must be {POLICY_LANGUAGE:?}, not {:?}", parsed.version));
    }
    let text = parsed.statement.get();
    let statements: Vec<Statement> = match text.starts_with('[') {
        true => serde_json::from_str(text),
        false => serde_json::from_str(text).map(|statement| vec![statement]),
    }
    .map_err(|error| format!("Statement of the policy document: {error}"))?;
    let is_whole = |statement: &Statement| {
        matches!(statement.effect, Effect::Allow | Effect::Deny) && !statement.action.is_empty() && !statement.resource.is_empty()
    };
    if statements.is_empty() || !statements.iter().all(is_whole) {
        return Err("a policy needs statements, each with Action and Resource".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_documents_are_told_from_others() {
        let whole = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        let statement = r#"{"Effect":"Allow","Action":["iot:Connect"],"Resource":"*","Condition":{"Bool":{"x":"true"}}}"#;
        for fit in [whole(statement), whole(&format!("[{statement},{statement}]"))] {
            assert_eq!(check_policy_document(&fit), Ok(()));
        }
        let long = statement.replace("iot:Connect", &"x".repeat(2_048));
        for unfit in [
            "{",
            "[]",
            "{}",
            r#""x""#,
            &*whole("[]"),
            &whole("{}"),
            &whole(r#"{"Effect":"Perhaps","Action":"a","Resource":"b"}"#),
            &whole(r#"{"Effect":"Allow","Action":"a"}"#),
            &whole(r#"{"Effect":"Allow","Action":[],"Resource":"b"}"#),
            &whole(statement).replace("2012-10-17", "2020-01-01"),
            &whole(&long),
        ] {
            assert!(check_policy_document(unfit).is_err(), "{unfit}");
        }
    }

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
