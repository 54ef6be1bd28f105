//! JSON shapes of jobs on the control plane, both ways (PROTOCOL 11.2 and 11.3; shapes as in botocore's `iot/2015-05-28` model).

use super::control::{Account, JOB, arn, invalid, parse_target, target_arn, to_bytes};
use super::{json, model};
use crate::{
    AbortCriterion, ControlError, CreateJob, ExponentialRate, GroupName, JobConfig, JobDescription, JobDocument, JobFilter, JobId,
    JobSettings, JobTarget, PresignedUrlConfig, RateIncrease, RetryCriterion, RolloutConfig, ScheduledEnd, SchedulingConfig,
    TargetSelection, UpdateJob,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::VariantArray;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// `startTime` and `endTime`: UTC. Seconds are for shortened minutes only.
const SCHEDULE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute][optional [:[second]]]");
const CREATE_JOB: &str = "CreateJob";
const ABORT_ACTION: &str = "CANCEL";
/// CreateJob's members that are a job's settings.
pub const SETTINGS: [&str; 8] = [
    "description",
    "targetSelection",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
    "schedulingConfig",
    "presignedUrlConfig",
];

/// What CreateJob and UpdateJob have in common. Members that are not listed are refused by name, so that nothing is accepted and
/// ignored.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ConfigBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presigned_url_config: Option<PresignedBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_rollout_config: Option<RolloutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_config: Option<CriteriaBody<AbortBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_config: Option<TimeoutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_retry_config: Option<CriteriaBody<RetryBody>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PresignedBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_sec: Option<u32>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RolloutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponential_rate: Option<ExponentialBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExponentialBody {
    base_rate_per_minute: u32,
    increment_factor: f64,
    rate_increase_criteria: RateIncreaseBody,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RateIncreaseBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_notified_things: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_succeeded_things: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CriteriaBody<T> {
    criteria_list: Vec<T>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AbortBody {
    failure_type: String,
    action: String,
    threshold_percentage: f64,
    min_number_of_executed_things: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryBody {
    failure_type: String,
    number_of_retries: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimeoutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress_timeout_in_minutes: Option<u32>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SchedulingBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_behavior: Option<String>,
}

fn value_of<T: VariantArray + Copy + Into<&'static str>>(what: &str, text: &str) -> Result<T, ControlError> {
    T::VARIANTS.iter().copied().find(|value| (*value).into() == text).ok_or_else(|| {
        let known: Vec<&str> = T::VARIANTS.iter().map(|value| (*value).into()).collect();
        invalid(format!("{what} must be {}, not {text:?}", known.join(" or ")))
    })
}

/// A number with a few decimals as a whole number of its parts.
fn in_parts(what: &str, value: f64, parts: u32) -> Result<u32, ControlError> {
    let scaled = value * f64::from(parts);
    let whole = scaled.round();
    if (scaled - whole).abs() > 1e-6 || !(0.0..=f64::from(u32::MAX)).contains(&whole) {
        let decimals = parts.ilog10();
        return Err(invalid(format!("{what} may have {decimals} decimal{}, not {value}", if decimals == 1 { "" } else { "s" })));
    }
    Ok(whole as u32)
}

impl RolloutBody {
    fn parse(&self) -> Result<RolloutConfig, ControlError> {
        let exponential = self.exponential_rate.as_ref().map(|rate| {
            let criteria = &rate.rate_increase_criteria;
            let criterion = match (criteria.number_of_notified_things, criteria.number_of_succeeded_things) {
                (Some(things), None) => RateIncrease::NotifiedThings(things),
                (None, Some(things)) => RateIncrease::SucceededThings(things),
                _ => return Err(invalid("rateIncreaseCriteria takes numberOfNotifiedThings or numberOfSucceededThings")),
            };
            let increment_tenths = in_parts("incrementFactor", rate.increment_factor, 10)?;
            Ok(ExponentialRate { base_per_minute: rate.base_rate_per_minute, increment_tenths, criterion })
        });
        Ok(RolloutConfig { maximum_per_minute: self.maximum_per_minute, exponential: exponential.transpose()? })
    }

    fn of(config: &RolloutConfig) -> Option<Self> {
        let exponential_rate = config.exponential.map(|rate| ExponentialBody {
            base_rate_per_minute: rate.base_per_minute,
            increment_factor: f64::from(rate.increment_tenths) / 10.0,
            rate_increase_criteria: match rate.criterion {
                RateIncrease::NotifiedThings(things) => {
                    RateIncreaseBody { number_of_notified_things: Some(things), ..RateIncreaseBody::default() }
                }
                RateIncrease::SucceededThings(things) => {
                    RateIncreaseBody { number_of_succeeded_things: Some(things), ..RateIncreaseBody::default() }
                }
            },
        });
        (*config != RolloutConfig::default()).then_some(Self { maximum_per_minute: config.maximum_per_minute, exponential_rate })
    }
}

impl AbortBody {
    fn parse(&self) -> Result<AbortCriterion, ControlError> {
        if self.action != ABORT_ACTION {
            return Err(invalid(format!("action must be {ABORT_ACTION}, not {:?}", self.action)));
        }
        Ok(AbortCriterion {
            failure: value_of("failureType", &self.failure_type)?,
            threshold_hundredths: in_parts("thresholdPercentage", self.threshold_percentage, 100)?,
            executed_min: self.min_number_of_executed_things,
        })
    }

    fn of(criterion: &AbortCriterion) -> Self {
        Self {
            failure_type: criterion.failure.as_str().into(),
            action: ABORT_ACTION.into(),
            threshold_percentage: f64::from(criterion.threshold_hundredths) / 100.0,
            min_number_of_executed_things: criterion.executed_min,
        }
    }
}

impl RetryBody {
    fn parse(&self) -> Result<RetryCriterion, ControlError> {
        Ok(RetryCriterion { failure: value_of("failureType", &self.failure_type)?, retries: self.number_of_retries })
    }

    fn of(criterion: &RetryCriterion) -> Self {
        Self { failure_type: criterion.failure.as_str().into(), number_of_retries: criterion.retries }
    }
}

fn parse_list<T, U>(list: &CriteriaBody<T>, parse: impl Fn(&T) -> Result<U, ControlError>) -> Result<Vec<U>, ControlError> {
    list.criteria_list.iter().map(parse).collect()
}

fn list_of<T, U>(criteria: &[T], of: impl Fn(&T) -> U) -> Option<CriteriaBody<U>> {
    (!criteria.is_empty()).then(|| CriteriaBody { criteria_list: criteria.iter().map(of).collect() })
}

impl ConfigBody {
    fn parse(&self) -> Result<UpdateJob, ControlError> {
        Ok(UpdateJob {
            description: self.description.clone(),
            rollout: self.job_executions_rollout_config.as_ref().map(RolloutBody::parse).transpose()?,
            abort: self.abort_config.as_ref().map(|list| parse_list(list, AbortBody::parse)).transpose()?,
            in_progress_timeout_minutes: self.timeout_config.as_ref().and_then(|config| config.in_progress_timeout_in_minutes),
            retry: self.job_executions_retry_config.as_ref().map(|list| parse_list(list, RetryBody::parse)).transpose()?,
            presigned_url: self
                .presigned_url_config
                .as_ref()
                .map(|config| PresignedUrlConfig { role_arn: config.role_arn.clone(), expires_in_s: config.expires_in_sec }),
        })
    }

    fn of(config: &JobConfig) -> Self {
        Self {
            description: config.description.clone(),
            presigned_url_config: config
                .presigned_url
                .as_ref()
                .map(|config| PresignedBody { role_arn: config.role_arn.clone(), expires_in_sec: config.expires_in_s }),
            job_executions_rollout_config: RolloutBody::of(&config.rollout),
            abort_config: list_of(&config.abort, AbortBody::of),
            timeout_config: config
                .in_progress_timeout_minutes
                .map(|minutes| TimeoutBody { in_progress_timeout_in_minutes: Some(minutes) }),
            job_executions_retry_config: list_of(&config.retry, RetryBody::of),
        }
    }
}

fn parse_time(what: &str, text: &str) -> Result<i64, ControlError> {
    let at = PrimitiveDateTime::parse(text, SCHEDULE)
        .map_err(|_| invalid(format!("{what} must be like \"2026-11-25 16:30\" (UTC), not {text:?}")))?;
    Ok(at.assume_utc().unix_timestamp() * 1000)
}

fn time_text(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let short = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let long = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    if at.second() == 0 { at.format(short) } else { at.format(long) }.unwrap_or_default()
}

impl SchedulingBody {
    fn parse(&self) -> Result<SchedulingConfig, ControlError> {
        let start_ms = self.start_time.as_deref().map(|text| parse_time("startTime", text)).transpose()?;
        let behavior = self.end_behavior.as_deref().map(|text| value_of("endBehavior", text)).transpose()?;
        let end = match (self.end_time.as_deref(), behavior) {
            (Some(text), behavior) => {
                Some(ScheduledEnd { at_ms: parse_time("endTime", text)?, behavior: behavior.unwrap_or_default() })
            }
            (None, Some(_)) => return Err(invalid("endBehavior needs an endTime")),
            (None, None) => None,
        };
        Ok(SchedulingConfig { start_ms, end })
    }

    fn of(config: &SchedulingConfig) -> Self {
        Self {
            start_time: config.start_ms.map(time_text),
            end_time: config.end.map(|end| time_text(end.at_ms)),
            end_behavior: config.end.map(|end| <&str>::from(end.behavior).into()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateJobBody<'a> {
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_source: Option<&'a str>,
    #[serde(flatten)]
    settings: SettingsBody,
}

/// The body of CreateJob.
#[must_use]
pub fn encode_create_job(account: &Account, create: &CreateJob) -> Vec<u8> {
    let source = create.document_source.as_deref();
    to_bytes(&CreateJobBody {
        targets: create.targets.iter().map(|target| account.target_arn(target)).collect(),
        document: source.is_none().then(|| create.document.as_json()),
        document_source: source,
        settings: SettingsBody::of(create.target_selection, create.scheduling.as_ref(), &create.config),
    })
}

fn take<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, ControlError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value).map(Some).map_err(|error| invalid(format!("{name}: {error}"))),
    }
}

fn take_targets(members: &mut Map<String, Value>) -> Result<Vec<JobTarget>, ControlError> {
    let arns: Vec<String> = take(members, "targets")?.ok_or_else(|| invalid("targets is required"))?;
    arns.iter().map(|arn| parse_target(arn)).collect()
}

fn parse_config(members: Map<String, Value>) -> Result<UpdateJob, ControlError> {
    let body: ConfigBody = serde_json::from_value(Value::Object(members)).map_err(|error| invalid(error.to_string()))?;
    body.parse()
}

/// Reads a job's settings from the members of CreateJob that are left when id, targets and document are taken out.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_settings(mut members: Map<String, Value>) -> Result<JobSettings, ControlError> {
    model::check_rest(CREATE_JOB, &members)?;
    let selection: Option<String> = take(&mut members, "targetSelection")?;
    let scheduling: Option<SchedulingBody> = take(&mut members, "schedulingConfig")?;
    let scheduling = scheduling.map(|body| body.parse()).transpose()?;
    Ok(JobSettings {
        target_selection: selection.map_or(Ok(TargetSelection::default()), |text| value_of("targetSelection", &text))?,
        scheduling: scheduling.filter(|scheduling| *scheduling != SchedulingConfig::default()),
        config: parse_config(members)?.apply(&JobConfig::default()),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsBody {
    target_selection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduling_config: Option<SchedulingBody>,
    #[serde(flatten)]
    config: ConfigBody,
}

impl SettingsBody {
    fn of(target_selection: TargetSelection, scheduling: Option<&SchedulingConfig>, config: &JobConfig) -> Self {
        Self {
            target_selection: target_selection.into(),
            scheduling_config: scheduling.map(SchedulingBody::of),
            config: ConfigBody::of(config),
        }
    }
}

/// A job's settings as members of CreateJob: reads back as the same.
#[must_use]
pub fn settings_members(settings: &JobSettings) -> Map<String, Value> {
    let JobSettings { target_selection, scheduling, config } = settings;
    let body = SettingsBody::of(*target_selection, scheduling.as_ref(), config);
    match serde_json::to_value(body) {
        Ok(Value::Object(members)) => members,
        _ => unreachable!("a struct with finite numbers is an object"),
    }
}

/// `read_source` reads the document that `documentSource` names.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_create_job(
    job_id: &str,
    body: &[u8],
    read_source: impl FnOnce(&str) -> Result<String, ControlError>,
) -> Result<CreateJob, ControlError> {
    let mut members = json::members(CREATE_JOB, body)?;
    let job_id = JobId::new(job_id).map_err(|error| invalid(error.to_string()))?;
    let targets = take_targets(&mut members)?;
    let source: Option<String> = take(&mut members, "documentSource")?;
    let document = match (take::<String>(&mut members, "document")?, &source) {
        (Some(document), None) => document,
        (None, Some(source)) => read_source(source)?,
        (Some(_), Some(_)) => return Err(invalid("a job has a document or a documentSource, not both")),
        (None, None) => return Err(invalid("document or documentSource is required (templates are not supported here)")),
    };
    serde_json::from_str::<serde::de::IgnoredAny>(&document).map_err(|error| invalid(format!("document is not JSON: {error}")))?;
    let JobSettings { target_selection, scheduling, config } = parse_settings(members)?;
    let document = JobDocument::from_valid_json(&document);
    Ok(CreateJob { job_id, targets, target_selection, document, document_source: source, scheduling, config })
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
pub fn parse_job_filter(status: Option<&str>, selection: Option<&str>, group: Option<&str>) -> Result<JobFilter, ControlError> {
    Ok(JobFilter {
        status: status.map(|text| value_of("status", text)).transpose()?,
        target_selection: selection.map(|text| value_of("targetSelection", text)).transpose()?,
        group: group.map(GroupName::new).transpose().map_err(|error| invalid(error.to_string()))?,
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
    #[serde(flatten)]
    config: ConfigBody,
    job_process_details: ProcessDetails,
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

/// The answer to DescribeJob (PROTOCOL 11.3).
#[must_use]
pub fn encode_describe_job(job: &JobDescription) -> Vec<u8> {
    to_bytes(&DescribeJobAnswer {
        document_source: job.create.document_source.as_deref(),
        job: JobBody {
            summary: SummaryBody::of(job),
            force_canceled: job.force_canceled,
            reason_code: job.reason_code.as_deref(),
            comment: job.comment.as_deref(),
            targets: job.create.targets.iter().map(target_arn).collect(),
            scheduling_config: job.create.scheduling.as_ref().map(SchedulingBody::of),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThingName;
    use crate::wire::control::{THING, THING_GROUP};
    use crate::{EndBehavior, FailureType};

    fn parse(body: &str) -> Result<CreateJob, ControlError> {
        parse_create_job("fw-1", body.as_bytes(), |source| Ok(format!("{source:?}")))
    }

    #[test]
    fn a_job_round_trips() {
        let create = CreateJob {
            target_selection: TargetSelection::Continuous,
            scheduling: Some(SchedulingConfig {
                start_ms: Some(1_772_000_040_000),
                end: Some(ScheduledEnd { at_ms: 1_772_003_640_000, behavior: EndBehavior::ForceCancel }),
            }),
            config: JobConfig {
                description: Some("d".into()),
                rollout: RolloutConfig {
                    maximum_per_minute: Some(12_000),
                    exponential: Some(ExponentialRate {
                        base_per_minute: 50,
                        increment_tenths: 15,
                        criterion: RateIncrease::SucceededThings(1_000),
                    }),
                },
                abort: vec![AbortCriterion { failure: FailureType::All, threshold_hundredths: 1_050, executed_min: 200 }],
                in_progress_timeout_minutes: Some(5),
                retry: vec![RetryCriterion { failure: FailureType::TimedOut, retries: 2 }],
                presigned_url: Some(PresignedUrlConfig { role_arn: Some("arn:aws:iam::1:role/r".into()), expires_in_s: Some(60) }),
            },
            ..CreateJob::new(
                JobId::new("fw-1").unwrap(),
                vec![JobTarget::Thing(ThingName::new("a:b").unwrap()), JobTarget::Group(GroupName::new("all").unwrap())],
                JobDocument::from_valid_json(r#"{"operation":"reboot"}"#),
            )
        };
        let account = Account::of_arn(&arn(JOB, "fw-1")).unwrap();
        let body = encode_create_job(&account, &create);
        assert_eq!(parse(std::str::from_utf8(&body).unwrap()), Ok(create));
    }

    #[test]
    fn what_is_not_supported_or_out_of_place_is_named() {
        let refused = |body: &str| parse(body).unwrap_err().message().to_owned();
        let with = |member: &str| refused(&format!(r#"{{"targets":["{}"],"document":"{{}}",{member}}}"#, arn(THING, "t")));
        for (member, named) in [
            (r#""tags":[]"#, "tags"),
            (r#""abortConfig":{}"#, "criteriaList"),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"X","action":"CANCEL","thresholdPercentage":1,"minNumberOfExecutedThings":1}]}"#,
                "FAILED or",
            ),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":1.234,"minNumberOfExecutedThings":1}]}"#,
                "2 decimals",
            ),
            (r#""schedulingConfig":{"maintenanceWindows":[]}"#, "maintenanceWindows"),
            (r#""schedulingConfig":{"startTime":"soon"}"#, "startTime must be like"),
            (r#""schedulingConfig":{"endBehavior":"CANCEL"}"#, "endBehavior needs"),
            (r#""jobExecutionsRolloutConfig":{"exponentialRate":{}}"#, "baseRatePerMinute"),
            (r#""documentSource":"https://s3.us-east-1.amazonaws.com/b/k""#, "not both"),
            (r#""targetSelection":"SOME""#, "targetSelection"),
        ] {
            assert!(with(member).contains(named), "{}", with(member));
        }
        for foreign in [
            "arn:aws:s3:::b".to_owned(),
            arn(JOB, "j"),
            arn(THING, "t").replace("111122223333", "999999999999"),
            arn(THING_GROUP, "g").replace("us-east-1", "eu-west-1"),
            arn(THING, "t").replace("arn:aws:", "arn:aws-cn:"),
        ] {
            assert!(refused(&format!(r#"{{"targets":["{foreign}"],"document":"{{}}"}}"#)).contains("ARN"), "{foreign}");
        }
        let target = arn(THING, "t");
        assert!(refused(&format!(r#"{{"targets":["{target}"],"document":"{{"}}"#)).contains("document is not JSON"));
        assert!(refused(&format!(r#"{{"targets":["{target}"]}}"#)).contains("is required"));
        assert!(refused(r#"{"targets":[],"document":"{}"}"#).contains("targets must have at least 1 item"));
        assert!(refused(r#"{"document":"{}"}"#).contains("targets is required"));
    }

    #[test]
    fn times_have_minutes_and_seconds_where_they_are_needed() {
        for text in ["2026-11-25 16:30", "2026-11-25 16:30:05"] {
            assert_eq!(time_text(parse_time("startTime", text).unwrap()), text);
        }
    }

    #[test]
    fn a_group_is_a_target() {
        assert_eq!(parse_target(&arn(THING_GROUP, "all")), Ok(JobTarget::Group(GroupName::new("all").unwrap())));
    }
}
