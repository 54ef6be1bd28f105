//! What the control plane's shapes have in common: ARNs, errors, and the small ones (PROTOCOL 11; shapes as in botocore's
//! `iot/2015-05-28` model).

use super::json;
use super::registry::parse_arn;
use crate::{CancelJob, ControlError, GroupName, JobTarget, ThingName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Region and account of the local endpoint; the account is AWS's documentation account.
pub const REGION: &str = "us-east-1";
/// See [`REGION`]; twelve digits.
pub const ACCOUNT: &str = "111122223333";
/// Signing name of the control plane.
pub const SIGNING_NAME: &str = "iot";

/// Whose resources an ARN names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `aws`, or `aws-cn`, ...
    pub partition: String,
    /// Such as `eu-central-1`.
    pub region: String,
    /// Twelve digits.
    pub id: String,
}

impl Account {
    /// That of the resource with this ARN.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').map(str::to_owned);
        let (word, partition, service, region, id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (word == "arn" && service == "iot" && parts.next().is_some()).then_some(Self { partition, region, id })
    }

    /// The ARN here of what has `arn` at the local endpoint; what has no account there has none here.
    #[must_use]
    pub fn of_local_arn(&self, arn: &str) -> String {
        let Self { partition, region, id } = self;
        match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            [_, _, service, _, account, resource] => {
                let account = if account.is_empty() { "" } else { id };
                format!("arn:{partition}:{service}:{region}:{account}:{resource}")
            }
            _ => arn.to_owned(),
        }
    }

    /// The ARN of a thing or thing group of this account.
    #[must_use]
    pub fn target_arn(&self, target: &JobTarget) -> String {
        let Self { partition, region, id } = self;
        let (kind, name) = kind_and_name(target);
        format!("arn:{partition}:iot:{region}:{id}:{kind}/{name}")
    }
}

/// The ARN of a thing, thing group or job of the local endpoint.
#[must_use]
pub fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}")
}

/// Resource kinds in ARNs.
pub const THING: &str = "thing";
/// In `thinggroup/{thingGroupName}`.
pub const THING_GROUP: &str = "thinggroup";
/// In `job/{jobId}`.
pub const JOB: &str = "job";

/// The ARN of a thing or thing group of the local endpoint.
#[must_use]
pub fn target_arn(target: &JobTarget) -> String {
    let (kind, name) = kind_and_name(target);
    arn(kind, name)
}

fn kind_and_name(target: &JobTarget) -> (&'static str, &str) {
    match target {
        JobTarget::Thing(thing) => (THING, thing.as_str()),
        JobTarget::Group(group) => (THING_GROUP, group.as_str()),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::InvalidRequest(message.into())
}

/// A target of this account and region; AWS does not say how it refuses another's, nor that it would not (inferred).
pub(super) fn parse_target(target: &str) -> Result<JobTarget, ControlError> {
    let name_error = |error: crate::NameError| invalid(error.to_string());
    match parse_arn(target) {
        Some((THING, name)) => ThingName::new(name).map(JobTarget::Thing).map_err(name_error),
        Some((THING_GROUP, name)) => GroupName::new(name).map(JobTarget::Group).map_err(name_error),
        _ => {
            let (thing, group) = (arn(THING, "NAME"), arn(THING_GROUP, "NAME"));
            Err(invalid(format!(
                "{target:?} is not the ARN of a thing or thing group of this account and region: {thing} or {group}"
            )))
        }
    }
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CancelJobBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// The body of CancelJob, without `force`, which is in the query.
#[must_use]
pub fn encode_cancel_job(cancel: &CancelJob) -> Vec<u8> {
    to_bytes(&CancelJobBody { reason_code: cancel.reason_code.clone(), comment: cancel.comment.clone() })
}

/// `force` comes from the query. An empty body is fine.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_cancel_job(body: &[u8], force: bool) -> Result<CancelJob, ControlError> {
    let body: CancelJobBody = json::body("CancelJob", body)?;
    Ok(CancelJob { reason_code: body.reason_code, comment: body.comment, force })
}

/// An id that is always the same for the same text.
pub(super) fn stable_uuid(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

/// The JSON body of an error.
#[must_use]
pub fn encode_error(message: &str) -> Vec<u8> {
    to_bytes(&serde_json::json!({ "message": message }))
}

/// The message of an error's body, if it has one.
#[must_use]
pub fn parse_error(body: &[u8]) -> Option<String> {
    text_member(body, "message")
}

/// A text of a JSON object.
#[must_use]
pub fn text_member(body: &[u8], name: &str) -> Option<String> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get(name)?.as_str().map(str::to_owned)
}

/// Status and `x-amzn-ErrorType` of a refusal (PROTOCOL 11.6).
#[must_use]
pub fn error_status(error: &ControlError) -> (u16, &'static str) {
    match error {
        ControlError::InvalidRequest(_) => (400, "InvalidRequestException"),
        ControlError::ResourceNotFound(_) => (404, "ResourceNotFoundException"),
        ControlError::ResourceAlreadyExists(_) => (409, "ResourceAlreadyExistsException"),
        ControlError::InvalidStateTransition(_) => (409, "InvalidStateTransitionException"),
        ControlError::VersionConflict(_) => (409, "VersionConflictException"),
        // 410, not 429 (PROTOCOL 2 fact 17).
        ControlError::LimitExceeded(_) => (410, "LimitExceededException"),
    }
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these shapes have string keys and finite numbers")
}
