//! What the control plane's shapes have in common: ARNs, errors, and the small ones (spec section 11; shapes as in botocore's
//! `iot/2015-05-28` model).

use crate::jobs::{CancelJob, ControlError, GroupName, JobTarget, ThingName};
use serde::{Deserialize, Serialize};

/// Region and account of the local endpoint; the account is AWS's documentation account.
pub const REGION: &str = "us-east-1";
pub const ACCOUNT: &str = "111122223333";
/// Signing name of the control plane.
pub const SIGNING_NAME: &str = "iot";

/// The ARN of a thing, thing group or job.
#[must_use]
pub fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}")
}

/// Resource kinds in ARNs.
pub const THING: &str = "thing";
pub const THING_GROUP: &str = "thinggroup";
pub const JOB: &str = "job";

#[must_use]
pub fn target_arn(target: &JobTarget) -> String {
    match target {
        JobTarget::Thing(thing) => arn(THING, thing.as_str()),
        JobTarget::Group(group) => arn(THING_GROUP, group.as_str()),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::InvalidRequest(message.into())
}

pub(super) fn parse_target(arn: &str) -> Result<JobTarget, ControlError> {
    let refuse = || invalid(format!("{arn:?} is not the ARN of a thing or thing group"));
    let mut parts = arn.splitn(6, ':');
    let is_iot = parts.next() == Some("arn") && parts.next() == Some("aws") && parts.next() == Some("iot");
    let (kind, name) = parts.nth(2).and_then(|resource| resource.split_once('/')).filter(|_| is_iot).ok_or_else(refuse)?;
    match kind {
        THING => ThingName::new(name).map(JobTarget::Thing),
        THING_GROUP => GroupName::new(name).map(JobTarget::Group),
        _ => return Err(refuse()),
    }
    .map_err(|error| invalid(error.to_string()))
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CancelJobBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

#[must_use]
pub fn encode_cancel_job(cancel: &CancelJob) -> Vec<u8> {
    to_bytes(&CancelJobBody { reason_code: cancel.reason_code.clone(), comment: cancel.comment.clone() })
}

/// `force` comes from the query. An empty body is fine.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_cancel_job(body: &[u8], force: bool) -> Result<CancelJob, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let body: CancelJobBody = serde_json::from_slice(body).map_err(|error| invalid(format!("the body of CancelJob: {error}")))?;
    Ok(CancelJob { reason_code: body.reason_code, comment: body.comment, force })
}

/// The body of AddThingToThingGroup, by names or by ARNs.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct AddThingBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_group_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_arn: Option<String>,
}

#[must_use]
pub fn encode_add_thing(thing: &ThingName, group: &GroupName) -> Vec<u8> {
    to_bytes(&AddThingBody {
        thing_group_name: Some(group.as_str().into()),
        thing_name: Some(thing.as_str().into()),
        ..AddThingBody::default()
    })
}

/// # Errors
/// `InvalidRequest` when thing or group is missing or malformed.
pub fn parse_add_thing(body: &[u8]) -> Result<(ThingName, GroupName), ControlError> {
    let body: AddThingBody =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the body of AddThingToThingGroup: {error}")))?;
    let thing = match (body.thing_name, body.thing_arn.as_deref().map(parse_target)) {
        (Some(name), _) => ThingName::new(&name).map_err(|error| invalid(error.to_string()))?,
        (None, Some(Ok(JobTarget::Thing(thing)))) => thing,
        (None, Some(Err(error))) => return Err(error),
        (None, _) => return Err(invalid("thingName or thingArn is required")),
    };
    let group = match (body.thing_group_name, body.thing_group_arn.as_deref().map(parse_target)) {
        (Some(name), _) => GroupName::new(&name).map_err(|error| invalid(error.to_string()))?,
        (None, Some(Ok(JobTarget::Group(group)))) => group,
        (None, Some(Err(error))) => return Err(error),
        (None, _) => return Err(invalid("thingGroupName or thingGroupArn is required")),
    };
    Ok((thing, group))
}

/// The answer to CreateThing and CreateThingGroup: `{prefix}Name`, `{prefix}Arn`, `{prefix}Id`.
#[must_use]
pub fn encode_created(prefix: &str, kind: &str, name: &str) -> Vec<u8> {
    let mut members = serde_json::Map::new();
    members.insert(format!("{prefix}Name"), name.into());
    members.insert(format!("{prefix}Arn"), arn(kind, name).into());
    members.insert(format!("{prefix}Id"), stable_uuid(&arn(kind, name)).into());
    to_bytes(&members)
}

/// An id in the shape of a UUID, always the same for the same text.
pub(super) fn stable_uuid(text: &str) -> String {
    let digest = |salt: &str| crate::seed::digest(&format!("{salt}{text}"));
    let id = format!("{:016x}{:016x}", digest("a"), digest("b"));
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

/// The JSON body of an error.
#[must_use]
pub fn encode_error(message: &str) -> Vec<u8> {
    to_bytes(&serde_json::json!({ "message": message }))
}

/// The message of an error's body, if it has one.
#[must_use]
pub fn parse_error(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("message")?.as_str().map(str::to_owned)
}

/// Status and `x-amzn-ErrorType` of a refusal (spec section 11.6).
#[must_use]
pub fn error_status(error: &ControlError) -> (u16, &'static str) {
    match error {
        ControlError::InvalidRequest(_) => (400, "InvalidRequestException"),
        ControlError::ResourceNotFound(_) => (404, "ResourceNotFoundException"),
        ControlError::ResourceAlreadyExists(_) => (409, "ResourceAlreadyExistsException"),
        ControlError::InvalidStateTransition(_) => (409, "InvalidStateTransitionException"),
        ControlError::VersionConflict(_) => (409, "VersionConflictException"),
        // 410, not 429 (spec section 2, fact 17).
        ControlError::LimitExceeded(_) => (410, "LimitExceededException"),
    }
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these shapes have string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_added_by_names_or_by_arns() {
        let (thing, group) = (ThingName::new("t").unwrap(), GroupName::new("g").unwrap());
        assert_eq!(parse_add_thing(&encode_add_thing(&thing, &group)), Ok((thing.clone(), group.clone())));
        let by_arn = format!(r#"{{"thingArn":"{}","thingGroupArn":"{}"}}"#, arn(THING, "t"), arn(THING_GROUP, "g"));
        assert_eq!(parse_add_thing(by_arn.as_bytes()), Ok((thing, group)));
        assert!(parse_add_thing(b"{}").is_err());
    }
}
