//! JSON shapes of jobs on the control plane, both ways (PROTOCOL 11.2 and 11.3; shapes as in botocore's `iot/2015-05-28` model).

use super::control::{JOB, arn, invalid, parse_target, target_arn, to_bytes};
use super::create_job::parameters;
use super::job_config::{ConfigBody, parse_config, take, value_of};
use super::json;
use super::scheduling::{SchedulingBody, time_text};
use crate::{
    ControlError, GroupName, JobConfig, JobDescription, JobDocument, JobFilter, JobId, JobTarget, NamespaceId, TemplateUse,
    UpdateJob, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn take_targets(members: &mut Map<String, Value>) -> Result<Vec<JobTarget>, ControlError> {
    let arns: Vec<String> = take(members, "targets")?.ok_or_else(|| invalid("targets is required"))?;
    arns.iter().map(|arn| parse_target(arn)).collect()
}

/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_update_job(body: &[u8]) -> Result<UpdateJob, ControlError> {
    let update = parse_config(json::members("UpdateJob", body)?)?;
    update.clone().apply(&JobConfig::default()).check()?;
    Ok(update)
}

/// Targets and comment of AssociateTargetsWithJob.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_associate_targets(body: &[u8]) -> Result<(Vec<JobTarget>, Option<String>), ControlError> {
    let mut members = json::members("AssociateTargetsWithJob", body)?;
    let parsed = (take_targets(&mut members)?, take(&mut members, "comment")?);
    match members.keys().next() {
        None => Ok(parsed),
        Some(other) => Err(invalid(format!("the body of AssociateTargetsWithJob: unknown member {other}"))),
    }
}

/// What ListJobs filters by; empty and absent are alike.
///
/// # Errors
/// `InvalidRequest`, naming the parameter.
pub fn parse_job_filter<'a>(query: impl Fn(&str) -> Option<&'a str>) -> Result<JobFilter, ControlError> {
    let (status, selection, group) = (query("status"), query("targetSelection"), query("thingGroupName"));
    Ok(JobFilter {
        status: status.map(|text| value_of("status", text)).transpose()?,
        target_selection: selection.map(|text| value_of("targetSelection", text)).transpose()?,
        group: group.map(GroupName::new).transpose().map_err(|error| invalid(error.to_string()))?,
        namespace: query("namespaceId").map(NamespaceId::new).transpose().map_err(|error| invalid(error.to_string()))?,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobAnswer<'a> {
    job_arn: String,
    job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// The answer to CreateJob, CancelJob and AssociateTargetsWithJob.
#[must_use]
pub fn encode_job_answer(job_id: &JobId, description: Option<&str>) -> Vec<u8> {
    to_bytes(&JobAnswer { job_arn: arn(JOB, job_id.as_str()), job_id: job_id.as_str(), description })
}

/// What DescribeJob says of the template.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    job_template_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_parameters: Option<&'a BTreeMap<String, String>>,
}

impl<'a> TemplateBody<'a> {
    fn of(template: Option<&'a TemplateUse>) -> Self {
        Self { job_template_arn: template.map(|template| template.arn.as_str()), document_parameters: parameters(template) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribeJobAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    document_source: Option<&'a str>,
    job: JobBody<'a>,
}

/// What all answers tell of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryBody<'a> {
    job_arn: String,
    job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_group_id: Option<&'a str>,
    target_selection: &'static str,
    status: &'static str,
    created_at: f64,
    last_updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<f64>,
    is_concurrent: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobBody<'a> {
    #[serde(flatten)]
    summary: SummaryBody<'a>,
    force_canceled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduling_config: Option<SchedulingBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scheduled_job_rollouts: Vec<ScheduledRollout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<&'a str>,
    #[serde(flatten)]
    template: TemplateBody<'a>,
    #[serde(flatten)]
    config: ConfigBody,
    job_process_details: ProcessDetails,
}

/// One of `scheduledJobRollouts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScheduledRollout {
    start_time: String,
}

/// When the next maintenance windows of a job open.
fn scheduled_rollouts(job: &JobDescription, now_ms: i64) -> Vec<ScheduledRollout> {
    let scheduling = job.create.scheduling.as_ref().filter(|_| job.status.is_active());
    let starts = scheduling.map_or_else(Vec::new, |scheduling| scheduling.next_windows(now_ms, limits::WINDOWS_TOLD));
    starts.into_iter().map(|start| ScheduledRollout { start_time: time_text(start) }).collect()
}

/// `jobProcessDetails`, as told by DescribeJob.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessDetails {
    /// Targets that are still being rolled out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processing_targets: Vec<String>,
    /// `numberOfQueuedThings`.
    pub number_of_queued_things: u64,
    /// `numberOfInProgressThings`.
    pub number_of_in_progress_things: u64,
    /// `numberOfSucceededThings`.
    pub number_of_succeeded_things: u64,
    /// `numberOfFailedThings`.
    pub number_of_failed_things: u64,
    /// `numberOfRejectedThings`.
    pub number_of_rejected_things: u64,
    /// `numberOfTimedOutThings`.
    pub number_of_timed_out_things: u64,
    /// `numberOfCanceledThings`.
    pub number_of_canceled_things: u64,
    /// `numberOfRemovedThings`.
    pub number_of_removed_things: u64,
}

impl ProcessDetails {
    /// Things that were given the job.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.number_of_queued_things
            + self.number_of_in_progress_things
            + self.number_of_succeeded_things
            + self.number_of_failed_things
            + self.number_of_rejected_things
            + self.number_of_timed_out_things
            + self.number_of_canceled_things
            + self.number_of_removed_things
    }

    pub(super) fn of(job: &JobDescription) -> Self {
        let counts = &job.process_details;
        Self {
            processing_targets: if job.is_rolling_out { job.create.targets.iter().map(target_arn).collect() } else { Vec::new() },
            number_of_queued_things: counts.queued,
            number_of_in_progress_things: counts.in_progress,
            number_of_succeeded_things: counts.succeeded,
            number_of_failed_things: counts.failed,
            number_of_rejected_things: counts.rejected,
            number_of_timed_out_things: counts.timed_out,
            number_of_canceled_things: counts.canceled,
            number_of_removed_things: counts.removed,
        }
    }
}

/// Control-plane times are seconds with a fraction.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

impl<'a> SummaryBody<'a> {
    fn of(job: &'a JobDescription) -> Self {
        let job_id = job.create.job_id.as_str();
        Self {
            job_arn: arn(JOB, job_id),
            job_id,
            thing_group_id: None,
            target_selection: job.create.target_selection.into(),
            status: job.status.as_str(),
            created_at: seconds(job.created_at_ms),
            last_updated_at: seconds(job.last_updated_at_ms),
            completed_at: job.completed_at_ms.map(seconds),
            is_concurrent: job.is_rolling_out,
        }
    }
}

/// The answer to DescribeJob at `now_ms` (PROTOCOL 11.3).
#[must_use]
pub fn encode_describe_job(job: &JobDescription, now_ms: i64) -> Vec<u8> {
    to_bytes(&DescribeJobAnswer {
        document_source: job.create.document_source.as_deref(),
        job: JobBody {
            summary: SummaryBody::of(job),
            force_canceled: job.force_canceled,
            reason_code: job.reason_code.as_deref(),
            comment: job.comment.as_deref(),
            targets: job.create.targets.iter().map(target_arn).collect(),
            scheduling_config: job.create.scheduling.as_ref().map(SchedulingBody::of),
            scheduled_job_rollouts: scheduled_rollouts(job, now_ms),
            namespace_id: job.create.namespace.as_ref().map(NamespaceId::as_str),
            template: TemplateBody::of(job.create.template.as_ref()),
            config: ConfigBody::of(&job.create.config),
            job_process_details: ProcessDetails::of(job),
        },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobsAnswer<'a> {
    jobs: Vec<SummaryBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

/// A page of ListJobs (PROTOCOL 11.1), with the id of the thing group where they were asked for by one; without a token it is the last.
#[must_use]
pub fn encode_jobs(jobs: &[JobDescription], thing_group_id: Option<&str>, next_token: Option<&str>) -> Vec<u8> {
    let summary = |job| SummaryBody { thing_group_id, ..SummaryBody::of(job) };
    to_bytes(&JobsAnswer { jobs: jobs.iter().map(summary).collect(), next_token })
}

/// The answer to GetJobDocument.
#[must_use]
pub fn encode_document(document: &JobDocument) -> Vec<u8> {
    to_bytes(&serde_json::json!({ "document": document.as_json() }))
}
