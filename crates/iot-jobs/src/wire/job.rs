//! JSON shapes of jobs on the control plane, both ways (PROTOCOL 11.2 and 11.3; shapes as in botocore's `iot/2015-05-28` model).

use super::control::{Account, JOB, arn, invalid, parse_target, target_arn, to_bytes};
use super::scheduling::{SchedulingBody, time_text};
use super::tags::{TagBody, parse_tags};
use super::template::parse_template_arn;
use super::{json, model};
use crate::managed::{self, ManagedTemplate};
use crate::{
    AbortCriterion, ControlError, CreateJob, ExponentialRate, GroupName, JobConfig, JobDescription, JobDocument, JobFilter, JobId,
    JobSettings, JobTarget, JobTemplate, MaintenanceWindow, NamespaceId, PresignedUrlConfig, RateIncrease, RetryCriterion,
    RolloutConfig, SchedulingConfig, Tags, TargetSelection, TemplateId, TemplateRef, TemplateUse, UpdateJob, limits,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use strum::VariantArray;

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
pub(super) struct ConfigBody {
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

pub(super) fn value_of<T: VariantArray + Copy + Into<&'static str>>(what: &str, text: &str) -> Result<T, ControlError> {
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

    pub(super) fn of(config: &JobConfig) -> Self {
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateJobBody<'a> {
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_template_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_parameters: Option<&'a BTreeMap<String, String>>,
    #[serde(flatten)]
    settings: SettingsBody,
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

fn parameters(template: Option<&TemplateUse>) -> Option<&BTreeMap<String, String>> {
    template.map(|template| &template.parameters).filter(|parameters| !parameters.is_empty())
}

/// The body of CreateJob; the document of a job that is made from a template is that of the template.
#[must_use]
pub fn encode_create_job(account: &Account, create: &CreateJob) -> Vec<u8> {
    let source = create.document_source.as_deref();
    to_bytes(&CreateJobBody {
        targets: create.targets.iter().map(|target| account.target_arn(target)).collect(),
        document: (source.is_none() && create.template.is_none()).then(|| create.document.as_json()),
        document_source: source,
        namespace_id: create.namespace.as_ref().map(NamespaceId::as_str),
        job_template_arn: create.template.as_ref().map(|template| account.of_local_arn(&template.arn)),
        document_parameters: parameters(create.template.as_ref()),
        settings: SettingsBody::of(create.target_selection, create.scheduling.as_ref(), &create.config),
    })
}

/// `document` or `documentSource` of a call, not read yet.
pub(super) enum DocumentSource {
    Text(String),
    Url(String),
    None,
}

impl DocumentSource {
    pub(super) fn take(members: &mut Map<String, Value>) -> Result<Self, ControlError> {
        match (take(members, "document")?, take(members, "documentSource")?) {
            (Some(text), None) => Ok(Self::Text(text)),
            (None, Some(url)) => Ok(Self::Url(url)),
            (None, None) => Ok(Self::None),
            (Some(_), Some(_)) => Err(invalid("there is a document or a documentSource, not both")),
        }
    }

    /// The document, and where it was read from; `None` where there is none.
    pub(super) fn read(
        self,
        read_source: impl FnOnce(&str) -> Result<String, ControlError>,
    ) -> Result<Option<(JobDocument, Option<String>)>, ControlError> {
        let (text, source) = match self {
            Self::Text(text) => (text, None),
            Self::Url(url) => (read_source(&url)?, Some(url)),
            Self::None => return Ok(None),
        };
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| invalid(format!("document is not JSON: {error}")))?;
        Ok(Some((JobDocument::from_valid_json(&text), source)))
    }
}

pub(super) fn take<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, ControlError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value).map(Some).map_err(|error| invalid(format!("{name}: {error}"))),
    }
}

fn take_targets(members: &mut Map<String, Value>) -> Result<Vec<JobTarget>, ControlError> {
    let arns: Vec<String> = take(members, "targets")?.ok_or_else(|| invalid("targets is required"))?;
    arns.iter().map(|arn| parse_target(arn)).collect()
}

pub(super) fn parse_config(members: Map<String, Value>) -> Result<UpdateJob, ControlError> {
    let body: ConfigBody = serde_json::from_value(Value::Object(members)).map_err(|error| invalid(error.to_string()))?;
    body.parse()
}

/// Reads a job's settings from the members of CreateJob that are left when id, targets and document are taken out.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_settings(members: Map<String, Value>) -> Result<JobSettings, ControlError> {
    given_settings(members).map(|given| given.over(&JobConfig::default(), &[]))
}

/// A job's settings as a request states them.
struct GivenSettings {
    target_selection: TargetSelection,
    scheduling: SchedulingConfig,
    config: UpdateJob,
}

impl GivenSettings {
    /// With what a template states where the request says nothing, member by member (PROTOCOL-CORE 2.1: each as a whole, inferred).
    fn over(self, config: &JobConfig, windows: &[MaintenanceWindow]) -> JobSettings {
        let mut scheduling = self.scheduling;
        if scheduling.windows.is_empty() {
            scheduling.windows = windows.to_vec();
        }
        JobSettings {
            target_selection: self.target_selection,
            scheduling: Some(scheduling).filter(|scheduling| *scheduling != SchedulingConfig::default()),
            config: self.config.apply(config),
        }
    }
}

fn given_settings(mut members: Map<String, Value>) -> Result<GivenSettings, ControlError> {
    model::check_rest(CREATE_JOB, &members)?;
    let selection: Option<String> = take(&mut members, "targetSelection")?;
    let scheduling: Option<SchedulingBody> = take(&mut members, "schedulingConfig")?;
    let scheduling = scheduling.map(|body| body.parse()).transpose()?;
    let target_selection = selection.map_or(Ok(TargetSelection::default()), |text| value_of("targetSelection", &text))?;
    Ok(GivenSettings { target_selection, scheduling: scheduling.unwrap_or_default(), config: parse_config(members)? })
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

/// CreateJob, and what it says beside the job.
#[derive(Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The job.
    pub create: CreateJob,
    /// `tags`.
    pub tags: Tags,
}

/// What CreateJob reads from elsewhere.
pub trait JobSources {
    /// The document that `documentSource` names.
    ///
    /// # Errors
    /// `InvalidRequest` when it cannot be read.
    fn document(&self, source: &str) -> Result<String, ControlError>;

    /// A template of the account.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    fn template(&self, id: &TemplateId) -> Result<JobTemplate, ControlError>;
}

/// # Errors
/// `InvalidRequest`, naming the member; whatever `sources` say.
pub fn parse_create_job(job_id: &str, body: &[u8], sources: &impl JobSources) -> Result<NewJob, ControlError> {
    let mut members = json::members(CREATE_JOB, body)?;
    let job_id = JobId::new(job_id).map_err(|error| invalid(error.to_string()))?;
    let targets = take_targets(&mut members)?;
    let tags = parse_tags(take::<Vec<TagBody>>(&mut members, "tags")?)?;
    let namespace = take(&mut members, "namespaceId")?;
    let document = DocumentSource::take(&mut members)?.read(|source| sources.document(source))?;
    let (template, used) = take_template(&mut members, sources)?;
    let settings = given_settings(members)?;
    let JobSettings { target_selection, scheduling, config } = match &template {
        Some(template) => settings.over(&template.config, &template.windows),
        None => settings.over(&JobConfig::default(), &[]),
    };
    if let Some(scheduling) = &scheduling {
        scheduling.check_windows(target_selection)?;
    }
    let of_template = template.map(|template| (template.document, template.document_source));
    let (document, document_source) =
        document.or(of_template).ok_or_else(|| invalid("document, documentSource or jobTemplateArn is required"))?;
    let create =
        CreateJob { job_id, targets, target_selection, document, document_source, scheduling, namespace, template: used, config };
    Ok(NewJob { create, tags })
}

/// What the template says, with the parameters in its document, and what the job is to say of it.
fn take_template(
    members: &mut Map<String, Value>,
    sources: &impl JobSources,
) -> Result<(Option<JobTemplate>, Option<TemplateUse>), ControlError> {
    let arn: Option<String> = take(members, "jobTemplateArn")?;
    let parameters: Option<BTreeMap<String, String>> = take(members, "documentParameters")?;
    let reference = arn.as_deref().map(parse_template_arn).transpose()?;
    let template = match (&reference, &parameters) {
        (Some(TemplateRef::Managed(name, version)), _) => {
            let document = managed::find(name, Some(version))?.fill(parameters.as_ref().unwrap_or(&BTreeMap::new()))?;
            Some(JobTemplate { document, document_source: None, config: JobConfig::default(), windows: Vec::new() })
        }
        (_, Some(_)) => return Err(invalid("documentParameters are for managed job templates")),
        (Some(TemplateRef::Own(id)), None) => Some(sources.template(id)?),
        (None, None) => None,
    };
    Ok((template, arn.map(|arn| TemplateUse { arn, parameters: parameters.unwrap_or_default() })))
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

/// The document of a job before its parameters were filled in: that of its managed template, where it is from one.
#[must_use]
pub fn before_substitution(create: &CreateJob) -> JobDocument {
    let template = create.template.as_ref().and_then(|template| parse_template_arn(&template.arn).ok());
    match template {
        Some(TemplateRef::Managed(name, version)) => {
            managed::find(&name, Some(&version)).map_or_else(|_gone| create.document.clone(), ManagedTemplate::document)
        }
        _ => create.document.clone(),
    }
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
    use crate::cron::Cron;
    use crate::{EndBehavior, FailureType, ScheduledEnd};

    /// One template, and documents that name their source.
    struct Elsewhere;

    impl JobSources for Elsewhere {
        fn document(&self, source: &str) -> Result<String, ControlError> {
            Ok(format!("{source:?}"))
        }

        fn template(&self, id: &TemplateId) -> Result<JobTemplate, ControlError> {
            if id.as_str() != "known" {
                return Err(ControlError::ResourceNotFound(format!("job template {id} does not exist")));
            }
            let window = MaintenanceWindow { start: Cron::parse("cron(0 22 * * ? *)").unwrap(), minutes: 60 };
            let config = JobConfig {
                description: Some("of the template".into()),
                in_progress_timeout_minutes: Some(7),
                rollout: RolloutConfig { maximum_per_minute: Some(5), exponential: None },
                ..JobConfig::default()
            };
            let document = JobDocument::from_valid_json("{\"of\":\"template\"}");
            Ok(JobTemplate { document, document_source: None, config, windows: vec![window] })
        }
    }

    fn parse(body: &str) -> Result<CreateJob, ControlError> {
        parse_create_job("fw-1", body.as_bytes(), &Elsewhere).map(|new| new.create)
    }

    #[test]
    fn a_job_round_trips() {
        let create = CreateJob {
            target_selection: TargetSelection::Continuous,
            scheduling: Some(SchedulingConfig {
                start_ms: Some(1_772_000_040_000),
                end: Some(ScheduledEnd { at_ms: 1_772_003_640_000, behavior: EndBehavior::ForceCancel }),
                windows: vec![MaintenanceWindow { start: Cron::parse("cron(0 22 ? * SAT *)").unwrap(), minutes: 90 }],
            }),
            namespace: Some(NamespaceId::new("aws-gg-deployment").unwrap()),
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
            (r#""destinationPackageVersions":[]"#, "destinationPackageVersions"),
            (r#""tags":[{"Key":"a"},{"Key":"a"}]"#, "twice"),
            (r#""documentParameters":{"a":"b"}"#, "managed job templates"),
            (r#""jobTemplateArn":"arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot""#, "ARN of a job template"),
            (r#""abortConfig":{}"#, "criteriaList"),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"X","action":"CANCEL","thresholdPercentage":1,"minNumberOfExecutedThings":1}]}"#,
                "FAILED or",
            ),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":1.234,"minNumberOfExecutedThings":1}]}"#,
                "2 decimals",
            ),
            (r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"daily","durationInMinutes":1}]}"#, "startTime of a"),
            (
                r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"cron(0 1 * * ? *)","durationInMinutes":1431}]}"#,
                "durationInMinutes",
            ),
            (
                r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"cron(0 1 * * ? *)","durationInMinutes":60}]}"#,
                "CONTINUOUS",
            ),
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
    fn what_the_request_says_wins_over_the_template() {
        let target = arn(THING, "t");
        let of = |template: &str, more: &str| {
            parse(&format!(r#"{{"targets":["{target}"],"jobTemplateArn":"{}"{more}}}"#, arn("jobtemplate", template)))
        };
        let continuous = r#","targetSelection":"CONTINUOUS""#;
        let as_it_is = of("known", continuous).unwrap();
        assert_eq!(as_it_is.document.as_json(), "{\"of\":\"template\"}");
        assert_eq!(as_it_is.config.in_progress_timeout_minutes, Some(7));
        assert_eq!(as_it_is.scheduling.map(|scheduling| scheduling.windows.len()), Some(1));
        assert_eq!(as_it_is.template.map(|template| template.arn), Some(arn("jobtemplate", "known")));
        let own = r#","targetSelection":"CONTINUOUS","description":"own","document":"{}","timeoutConfig":{"inProgressTimeoutInMinutes":9}"#;
        let own = of("known", own).unwrap();
        assert_eq!((own.document.as_json(), own.config.in_progress_timeout_minutes), ("{}", Some(9)));
        assert_eq!(own.config.rollout.maximum_per_minute, Some(5), "what is not said is the template's");
        assert!(of("known", "").unwrap_err().message().contains("CONTINUOUS"), "its windows are for continuous jobs");
        assert!(matches!(of("unknown", ""), Err(ControlError::ResourceNotFound(_))));
        assert!(of("known", r#","documentParameters":{}"#).unwrap_err().message().contains("managed"));
    }

    #[test]
    fn a_managed_template_is_filled() {
        let target = arn(THING, "t");
        let job = parse(&format!(
            r#"{{"targets":["{target}"],"jobTemplateArn":"arn:aws:iot:us-east-1::jobtemplate/AWS-Run-Command:1.0","documentParameters":{{"command":"ls"}}}}"#
        ))
        .unwrap();
        assert!(job.document.as_json().contains(r#""command":"ls""#), "{}", job.document.as_json());
        assert!(before_substitution(&job).as_json().contains("${aws:iot:parameter:command}"));
        assert!(!before_substitution(&CreateJob { template: None, ..job }).as_json().contains("parameter"));
    }

    #[test]
    fn a_group_is_a_target() {
        assert_eq!(parse_target(&arn(THING_GROUP, "all")), Ok(JobTarget::Group(GroupName::new("all").unwrap())));
    }
}
