//! A job as its creator states it: CreateJob's members and their limits (PROTOCOL 11.2, 9.6 and 3).

use super::control::ControlError;
use super::document::JobDocument;
use super::execution::ExecutionStatus;
use super::limits;
use super::name::{GroupName, JobId, NamespaceId, ThingName};
use super::schedule::SchedulingConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::{IntoStaticStr, VariantArray};

/// A target of a job; an ARN on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobTarget {
    /// `thing/{name}`.
    Thing(ThingName),
    /// `thinggroup/{name}`: its members.
    Group(GroupName),
}

/// `targetSelection`: which members of a target group get the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum TargetSelection {
    /// The members at creation; the job completes.
    #[default]
    Snapshot,
    /// Later members too; the job never completes.
    Continuous,
}

/// `jobExecutionsRolloutConfig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutConfig {
    /// Executions per minute; `None`: the service's own pace.
    pub maximum_per_minute: Option<u32>,
    /// `exponentialRate`; absent: a constant rate.
    pub exponential: Option<ExponentialRate>,
}

/// Where in its minute a job's executions are queued; AWS does not say, so that a plan must hold for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Spread {
    /// Evenly over the minute.
    #[default]
    Smooth,
    /// A minute's quota at once.
    Burst,
}

impl Spread {
    /// The word in scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// `exponentialRate`: the rate is multiplied each time the counter passes another multiple of the criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExponentialRate {
    /// 1 to 1,000.
    pub base_per_minute: u32,
    /// `incrementFactor` in tenths: 11 to 50.
    pub increment_tenths: u32,
    /// Which counter the rate follows.
    pub criterion: RateIncrease,
}

/// `rateIncreaseCriteria`, at least 1 thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateIncrease {
    /// `numberOfNotifiedThings`: executions that were queued.
    NotifiedThings(u64),
    /// `numberOfSucceededThings`: executions that have succeeded.
    SucceededThings(u64),
}

/// Which ends a criterion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureType {
    /// `FAILED`.
    Failed,
    /// `REJECTED`, of abort criteria only.
    Rejected,
    /// `TIMED_OUT`.
    TimedOut,
    /// `ALL`: any of the three.
    All,
}

impl FailureType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether an execution that ends with `status` counts.
    #[must_use]
    pub fn covers(self, status: ExecutionStatus) -> bool {
        match self {
            Self::Failed => status == ExecutionStatus::Failed,
            Self::Rejected => status == ExecutionStatus::Rejected,
            Self::TimedOut => status == ExecutionStatus::TimedOut,
            Self::All => matches!(status, ExecutionStatus::Failed | ExecutionStatus::Rejected | ExecutionStatus::TimedOut),
        }
    }
}

/// One of `abortConfig.criteriaList`; its action is always CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortCriterion {
    /// `failureType`.
    pub failure: FailureType,
    /// `thresholdPercentage` in hundredths of a percent: 1 to 10,000.
    pub threshold_hundredths: u32,
    /// `minNumberOfExecutedThings`, at least 1.
    pub executed_min: u64,
}

/// One of `jobExecutionsRetryConfig.criteriaList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryCriterion {
    /// `FAILED`, `TIMED_OUT` or `ALL`.
    pub failure: FailureType,
    /// 0 to 10.
    pub retries: u32,
}

/// `presignedUrlConfig`: how URLs that stand in the document as placeholders are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedUrlConfig {
    /// `roleArn`, on whose behalf AWS signs.
    pub role_arn: Option<String>,
    /// 60 to 3,600; absent: 3,600.
    pub expires_in_s: Option<u32>,
}

/// What UpdateJob can change, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobConfig {
    /// `description`, at most 2,028 characters (PROTOCOL 3).
    pub description: Option<String>,
    /// `jobExecutionsRolloutConfig`.
    pub rollout: RolloutConfig,
    /// `abortConfig.criteriaList`; any one that is met aborts the job.
    pub abort: Vec<AbortCriterion>,
    /// `timeoutConfig.inProgressTimeoutInMinutes`, 1 to 10,080.
    pub in_progress_timeout_minutes: Option<u32>,
    /// `jobExecutionsRetryConfig.criteriaList`, at most two (PROTOCOL 9.6).
    pub retry: Vec<RetryCriterion>,
    /// `presignedUrlConfig`; absent: placeholders are filled with its defaults.
    pub presigned_url: Option<PresignedUrlConfig>,
}

/// What a job is beside its id, its targets and its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSettings {
    /// `targetSelection`.
    pub target_selection: TargetSelection,
    /// `schedulingConfig`; absent: the job starts when it is created, and has no end time.
    pub scheduling: Option<SchedulingConfig>,
    /// What UpdateJob can change, too.
    pub config: JobConfig,
}

/// CreateJob (PROTOCOL 11.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateJob {
    /// In the path of the request.
    pub job_id: JobId,
    /// `targets`: at least one; an account's quota says how many at most.
    pub targets: Vec<JobTarget>,
    /// `targetSelection`.
    pub target_selection: TargetSelection,
    /// `document`, at most 32,768 bytes.
    pub document: JobDocument,
    /// Where the document was read from.
    pub document_source: Option<String>,
    /// `schedulingConfig`; absent: the job starts when it is created, and has no end time.
    pub scheduling: Option<SchedulingConfig>,
    /// `namespaceId`: only clients that name it see the job.
    #[serde(default)]
    pub namespace: Option<NamespaceId>,
    /// `jobTemplateArn` and `documentParameters`; absent: it was made from no template.
    #[serde(default)]
    pub template: Option<TemplateUse>,
    /// What UpdateJob can change, too.
    pub config: JobConfig,
}

/// The template that a job is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateUse {
    /// `jobTemplateArn`.
    pub arn: String,
    /// `documentParameters`, of managed templates only.
    pub parameters: BTreeMap<String, String>,
}

impl CreateJob {
    /// A snapshot job with nothing but what every job has.
    #[must_use]
    pub fn new(job_id: JobId, targets: Vec<JobTarget>, document: JobDocument) -> Self {
        Self {
            job_id,
            targets,
            target_selection: TargetSelection::default(),
            document,
            document_source: None,
            scheduling: None,
            namespace: None,
            template: None,
            config: JobConfig::default(),
        }
    }

    /// # Errors
    /// `InvalidRequest` with the member that is out of its limits.
    pub fn check(&self) -> Result<(), ControlError> {
        within("the number of targets of a job", self.targets.len() as u64, 1, u64::MAX)?;
        if self.document.as_json().len() > limits::DOCUMENT_BYTES_MAX {
            return refuse(format!("a job document may have at most {} bytes", limits::DOCUMENT_BYTES_MAX));
        }
        self.config.check()
    }
}

impl JobConfig {
    /// # Errors
    /// `InvalidRequest` with the member that is out of its limits.
    pub fn check(&self) -> Result<(), ControlError> {
        if self.description.as_ref().is_some_and(|text| text.chars().count() > limits::DESCRIPTION_CHARS_MAX) {
            return refuse(format!("a description may have at most {} characters", limits::DESCRIPTION_CHARS_MAX));
        }
        self.rollout.check()?;
        if let Some(minutes) = self.in_progress_timeout_minutes {
            within("inProgressTimeoutInMinutes", minutes.into(), 1, limits::TIMEOUT_MINUTES_MAX as u64)?;
        }
        for criterion in &self.abort {
            within("thresholdPercentage in hundredths", criterion.threshold_hundredths.into(), 1, 10_000)?;
            within("minNumberOfExecutedThings", criterion.executed_min, 1, u64::MAX)?;
        }
        self.check_retries()?;
        match self.presigned_url.as_ref().and_then(|config| config.expires_in_s) {
            Some(seconds) => within("expiresInSec", seconds.into(), limits::PRESIGNED_S_MIN, limits::PRESIGNED_S_MAX),
            None => Ok(()),
        }
    }

    fn check_retries(&self) -> Result<(), ControlError> {
        if self.retry.len() > 2 {
            return refuse(format!("jobExecutionsRetryConfig may have at most 2 criteria, this has {}", self.retry.len()));
        }
        for (n, criterion) in self.retry.iter().enumerate() {
            if criterion.failure == FailureType::Rejected {
                return refuse("failureType of a retry must be FAILED, TIMED_OUT or ALL".into());
            }
            if self.retry[..n].iter().any(|other| other.failure == criterion.failure) {
                return refuse(format!("there are two retry criteria for {}", criterion.failure.as_str()));
            }
        }
        let all: u64 = self.retry.iter().map(|criterion| u64::from(criterion.retries)).sum();
        within("numberOfRetries of all criteria together", all, 0, limits::RETRIES_MAX.into())
    }
}

impl RolloutConfig {
    /// The highest rate that it asks for, a minute; `None`: the service's own.
    #[must_use]
    pub fn fastest_per_minute(&self) -> Option<u32> {
        self.maximum_per_minute.max(self.exponential.map(|exponential| exponential.base_per_minute))
    }

    fn check(&self) -> Result<(), ControlError> {
        if let Some(rate) = self.maximum_per_minute {
            within("maximumPerMinute", rate.into(), 1, u64::MAX)?;
        }
        let Some(exponential) = self.exponential else { return Ok(()) };
        within("baseRatePerMinute", exponential.base_per_minute.into(), 1, limits::BASE_RATE_MAX.into())?;
        let (min, max) = limits::INCREMENT_TENTHS;
        if !(min..=max).contains(&exponential.increment_tenths) {
            return refuse("incrementFactor must be 1.1 to 5, with one decimal".into());
        }
        let (RateIncrease::NotifiedThings(things) | RateIncrease::SucceededThings(things)) = exponential.criterion;
        within("the number of things of rateIncreaseCriteria", things, 1, u64::MAX)
    }
}

pub(super) fn refuse(message: String) -> Result<(), ControlError> {
    Err(ControlError::InvalidRequest(message))
}

pub(super) fn within(what: &str, value: u64, min: u64, max: u64) -> Result<(), ControlError> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false if max == u64::MAX => refuse(format!("{what} must be at least {min}, not {value}")),
        false => refuse(format!("{what} must be {min} to {max}, not {value}")),
    }
}
