//! JSON shapes of the control plane, both ways, and ARNs (spec section 11; shapes as in botocore's `iot/2015-05-28` model).

use crate::jobs::{
    CancelJob, ControlError, CreateJob, GroupName, JobDescription, JobDocument, JobId, JobTarget, RolloutConfig, TargetSelection,
    ThingName,
};
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

fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::InvalidRequest(message.into())
}

fn parse_target(arn: &str) -> Result<JobTarget, ControlError> {
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

/// The body of CreateJob. Members that are not listed are refused by name, so that nothing is accepted and ignored.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateJobBody {
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_selection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_rollout_config: Option<RolloutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_config: Option<TimeoutBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RolloutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_per_minute: Option<u32>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimeoutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress_timeout_in_minutes: Option<u32>,
}

const SNAPSHOT: &str = "SNAPSHOT";
const CONTINUOUS: &str = "CONTINUOUS";

fn selection_name(selection: TargetSelection) -> &'static str {
    match selection {
        TargetSelection::Snapshot => SNAPSHOT,
        TargetSelection::Continuous => CONTINUOUS,
    }
}

impl From<&CreateJob> for CreateJobBody {
    fn from(create: &CreateJob) -> Self {
        Self {
            targets: create.targets.iter().map(target_arn).collect(),
            target_selection: Some(selection_name(create.target_selection).into()),
            document: Some(create.document.as_json().into()),
            description: create.description.clone(),
            job_executions_rollout_config: rollout_body(create),
            timeout_config: timeout_body(create),
        }
    }
}

fn rollout_body(create: &CreateJob) -> Option<RolloutBody> {
    create.rollout.maximum_per_minute.map(|rate| RolloutBody { maximum_per_minute: Some(rate) })
}

fn timeout_body(create: &CreateJob) -> Option<TimeoutBody> {
    create.in_progress_timeout_minutes.map(|minutes| TimeoutBody { in_progress_timeout_in_minutes: Some(minutes) })
}

#[must_use]
pub fn encode_create_job(create: &CreateJob) -> Vec<u8> {
    to_bytes(&CreateJobBody::from(create))
}

/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_create_job(job_id: &str, body: &[u8]) -> Result<CreateJob, ControlError> {
    let body: CreateJobBody = serde_json::from_slice(body).map_err(|error| invalid(format!("the body of CreateJob: {error}")))?;
    let document =
        body.document.ok_or_else(|| invalid("document is required (documentSource and templates are not supported here)"))?;
    serde_json::from_str::<serde::de::IgnoredAny>(&document).map_err(|error| invalid(format!("document is not JSON: {error}")))?;
    Ok(CreateJob {
        job_id: JobId::new(job_id).map_err(|error| invalid(error.to_string()))?,
        targets: body.targets.iter().map(|arn| parse_target(arn)).collect::<Result<_, _>>()?,
        target_selection: match body.target_selection.as_deref() {
            None | Some(SNAPSHOT) => TargetSelection::Snapshot,
            Some(CONTINUOUS) => TargetSelection::Continuous,
            Some(other) => return Err(invalid(format!("targetSelection must be SNAPSHOT or CONTINUOUS, not {other:?}"))),
        },
        document: JobDocument::from_valid_json(&document),
        description: body.description,
        rollout: RolloutConfig {
            maximum_per_minute: body.job_executions_rollout_config.and_then(|config| config.maximum_per_minute),
        },
        in_progress_timeout_minutes: body.timeout_config.and_then(|config| config.in_progress_timeout_in_minutes),
    })
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobAnswer<'a> {
    job_arn: String,
    job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// The answer to CreateJob and CancelJob.
#[must_use]
pub fn encode_job_answer(job_id: &JobId, description: Option<&str>) -> Vec<u8> {
    to_bytes(&JobAnswer { job_arn: arn(JOB, job_id.as_str()), job_id: job_id.as_str(), description })
}

#[derive(Serialize)]
struct DescribeJobAnswer<'a> {
    job: JobBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobBody<'a> {
    job_arn: String,
    job_id: &'a str,
    target_selection: &'static str,
    status: &'static str,
    force_canceled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_rollout_config: Option<RolloutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_config: Option<TimeoutBody>,
    created_at: f64,
    last_updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<f64>,
    job_process_details: ProcessDetails,
}

/// `jobProcessDetails`, as told by DescribeJob.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessDetails {
    pub number_of_queued_things: u64,
    pub number_of_in_progress_things: u64,
    pub number_of_succeeded_things: u64,
    pub number_of_failed_things: u64,
    pub number_of_rejected_things: u64,
    pub number_of_timed_out_things: u64,
    pub number_of_canceled_things: u64,
    pub number_of_removed_things: u64,
}

/// Control-plane times are seconds with a fraction.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[must_use]
pub fn encode_describe_job(job: &JobDescription) -> Vec<u8> {
    let counts = &job.process_details;
    to_bytes(&DescribeJobAnswer {
        job: JobBody {
            job_arn: arn(JOB, job.create.job_id.as_str()),
            job_id: job.create.job_id.as_str(),
            target_selection: selection_name(job.create.target_selection),
            status: job.status.as_str(),
            force_canceled: job.force_canceled,
            reason_code: job.reason_code.as_deref(),
            comment: job.comment.as_deref(),
            targets: job.create.targets.iter().map(target_arn).collect(),
            description: job.create.description.as_deref(),
            job_executions_rollout_config: rollout_body(&job.create),
            timeout_config: timeout_body(&job.create),
            created_at: seconds(job.created_at_ms),
            last_updated_at: seconds(job.last_updated_at_ms),
            completed_at: job.completed_at_ms.map(seconds),
            job_process_details: ProcessDetails {
                number_of_queued_things: counts.queued,
                number_of_in_progress_things: counts.in_progress,
                number_of_succeeded_things: counts.succeeded,
                number_of_failed_things: counts.failed,
                number_of_rejected_things: counts.rejected,
                number_of_timed_out_things: counts.timed_out,
                number_of_canceled_things: counts.canceled,
                number_of_removed_things: counts.removed,
            },
        },
    })
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
    }
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these shapes have string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_round_trips() {
        let create = CreateJob {
            job_id: JobId::new("fw-1").unwrap(),
            targets: vec![JobTarget::Thing(ThingName::new("a:b").unwrap()), JobTarget::Group(GroupName::new("all").unwrap())],
            target_selection: TargetSelection::Continuous,
            document: JobDocument::from_valid_json(r#"{"operation":"reboot"}"#),
            description: Some("d".into()),
            rollout: RolloutConfig { maximum_per_minute: Some(12_000) },
            in_progress_timeout_minutes: Some(5),
        };
        assert_eq!(parse_create_job("fw-1", &encode_create_job(&create)), Ok(create));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let refused = |body: &str| parse_create_job("j", body.as_bytes()).unwrap_err().message().to_owned();
        let with = |member: &str| refused(&format!(r#"{{"targets":["{}"],"document":"{{}}",{member}}}"#, arn(THING, "t")));
        for member in
            ["abortConfig", "schedulingConfig", "jobExecutionsRetryConfig", "documentSource", "presignedUrlConfig", "tags"]
        {
            assert!(with(&format!(r#""{member}":{{}}"#)).contains(member));
        }
        assert!(with(r#""jobExecutionsRolloutConfig":{"exponentialRate":{}}"#).contains("exponentialRate"));
        assert!(with(r#""targetSelection":"SOME""#).contains("targetSelection"));
        assert!(refused(r#"{"targets":["arn:aws:s3:::b"],"document":"{}"}"#).contains("ARN"));
        assert!(refused(r#"{"targets":[],"document":"{"}"#).contains("document is not JSON"));
        assert!(refused(r#"{"targets":[]}"#).contains("document is required"));
    }
}
