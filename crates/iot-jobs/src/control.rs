//! The control plane as values: what changes jobs from outside, and what is told of them (PROTOCOL 11).

use super::execution::ExecutionStatus;
use super::job::{AbortCriterion, CreateJob, JobConfig, PresignedUrlConfig, RetryCriterion, RolloutConfig, TargetSelection};
use super::name::{GroupName, JobId, NamespaceId, StatusDetails, ThingName};
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::{IntoStaticStr, VariantArray};

/// CancelJob (PROTOCOL 11.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelJob {
    /// `reasonCode`, at most 128 upper-case letters, digits and underscores (PROTOCOL 3).
    pub reason_code: Option<String>,
    /// `comment`, at most 2,028 characters (PROTOCOL 3).
    pub comment: Option<String>,
    /// Cancel `IN_PROGRESS` executions too.
    pub force: bool,
}

/// What UpdateJob changes: members that are absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateJob {
    /// `description`.
    pub description: Option<String>,
    /// `jobExecutionsRolloutConfig`.
    pub rollout: Option<RolloutConfig>,
    /// `abortConfig.criteriaList`.
    pub abort: Option<Vec<AbortCriterion>>,
    /// `timeoutConfig.inProgressTimeoutInMinutes`; counts for executions that start later (PROTOCOL 9.5).
    pub in_progress_timeout_minutes: Option<u32>,
    /// `jobExecutionsRetryConfig.criteriaList`.
    pub retry: Option<Vec<RetryCriterion>>,
    /// `presignedUrlConfig`.
    pub presigned_url: Option<PresignedUrlConfig>,
}

impl UpdateJob {
    /// The configuration after the change.
    #[must_use]
    pub fn apply(self, to: &JobConfig) -> JobConfig {
        JobConfig {
            description: self.description.or_else(|| to.description.clone()),
            rollout: self.rollout.unwrap_or(to.rollout),
            abort: self.abort.unwrap_or_else(|| to.abort.clone()),
            in_progress_timeout_minutes: self.in_progress_timeout_minutes.or(to.in_progress_timeout_minutes),
            retry: self.retry.unwrap_or_else(|| to.retry.clone()),
            presigned_url: self.presigned_url.or_else(|| to.presigned_url.clone()),
        }
    }
}

/// CancelJobExecution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelExecution {
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
    /// `statusDetails`: replaces what the execution has; absent: that stays.
    pub status_details: Option<StatusDetails>,
    /// Cancel it although it is `IN_PROGRESS`.
    pub force: bool,
}

/// PROTOCOL 11.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Its start time is to come.
    Scheduled,
    /// `IN_PROGRESS`: being rolled out, or waiting for things.
    InProgress,
    /// `COMPLETED`: a snapshot job, all of whose executions are terminal.
    Completed,
    /// `CANCELED`, by a call or by its abort criteria.
    Canceled,
    /// `DELETION_IN_PROGRESS`: it has many executions, which go one after the other.
    DeletionInProgress,
}

impl JobStatus {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it may still queue executions.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Scheduled | Self::InProgress)
    }
}

/// `jobProcessDetails`: things by the status of their latest execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobProcessDetails {
    /// `numberOfQueuedThings`.
    pub queued: u64,
    /// `numberOfInProgressThings`.
    pub in_progress: u64,
    /// `numberOfSucceededThings`.
    pub succeeded: u64,
    /// `numberOfFailedThings`.
    pub failed: u64,
    /// `numberOfRejectedThings`.
    pub rejected: u64,
    /// `numberOfTimedOutThings`.
    pub timed_out: u64,
    /// `numberOfCanceledThings`.
    pub canceled: u64,
    /// `numberOfRemovedThings`.
    pub removed: u64,
}

impl JobProcessDetails {
    /// The counter of a status, to be changed.
    pub fn of_mut(&mut self, status: ExecutionStatus) -> &mut u64 {
        match status {
            ExecutionStatus::Queued => &mut self.queued,
            ExecutionStatus::InProgress => &mut self.in_progress,
            ExecutionStatus::Succeeded => &mut self.succeeded,
            ExecutionStatus::Failed => &mut self.failed,
            ExecutionStatus::Rejected => &mut self.rejected,
            ExecutionStatus::TimedOut => &mut self.timed_out,
            ExecutionStatus::Canceled => &mut self.canceled,
            ExecutionStatus::Removed => &mut self.removed,
        }
    }

    /// The number of things with that status.
    #[must_use]
    pub fn of(mut self, status: ExecutionStatus) -> u64 {
        *self.of_mut(status)
    }
}

/// What DescribeJob tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDescription {
    /// What the job was created with, as UpdateJob has changed it since.
    pub create: CreateJob,
    /// `status`.
    pub status: JobStatus,
    /// `forceCanceled`: it was cancelled with `force`.
    pub force_canceled: bool,
    /// `reasonCode` of its cancellation.
    pub reason_code: Option<String>,
    /// `comment` of its cancellation.
    pub comment: Option<String>,
    /// Milliseconds since the epoch; the wire has seconds with a fraction.
    pub created_at_ms: i64,
    /// Milliseconds since the epoch.
    pub last_updated_at_ms: i64,
    /// Milliseconds since the epoch; absent while the job is active.
    pub completed_at_ms: Option<i64>,
    /// `jobProcessDetails`.
    pub process_details: JobProcessDetails,
    /// Things are still to be given the job.
    pub is_rolling_out: bool,
}

/// What ListJobs is to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only jobs with this status; absent: with any.
    pub status: Option<JobStatus>,
    /// Only jobs with this `targetSelection`; absent: with any.
    pub target_selection: Option<TargetSelection>,
    /// Only jobs for this thing group (`thingGroupName`); absent: for any target.
    pub group: Option<GroupName>,
    /// Only jobs of this namespace (`namespaceId`); absent: of any and of none.
    pub namespace: Option<NamespaceId>,
}

/// An execution as the control plane tells it (PROTOCOL 11.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionDescription {
    /// `jobId`.
    pub job_id: JobId,
    /// Told as `thingArn`.
    pub thing: ThingName,
    /// `status`.
    pub status: ExecutionStatus,
    /// `forceCanceled`: it was `IN_PROGRESS` when it was cancelled.
    pub force_canceled: bool,
    /// Told as `statusDetails.detailsMap`.
    pub status_details: StatusDetails,
    /// Milliseconds since the epoch; the wire has seconds with a fraction.
    pub queued_at_ms: i64,
    /// Absent while `QUEUED`.
    pub started_at_ms: Option<i64>,
    /// Milliseconds since the epoch.
    pub last_updated_at_ms: i64,
    /// `executionNumber`: which run of the job on the thing it is, from 1.
    pub execution_number: i64,
    /// `versionNumber`: 1 on creation, +1 with every accepted change.
    pub version_number: i64,
    /// Whole seconds; only while a timer runs.
    pub approximate_seconds_before_timed_out: Option<i64>,
    /// 0 for the first.
    pub retry_attempt: u32,
}

/// What is told on `$aws/events/job/...` and `$aws/events/jobExecution/...` (PROTOCOL 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// A job has changed: `eventType` `JOB`.
    Job {
        /// The last segment of the topic, and `operation`.
        change: JobChange,
        /// The job at that moment.
        job: Box<JobDescription>,
    },
    /// An execution has ended or is gone: `eventType` `JOB_EXECUTION`.
    Execution {
        /// The last segment of the topic, and `operation`.
        change: ExecutionChange,
        /// The execution at that moment.
        execution: Box<ExecutionDescription>,
    },
}

/// What events tell of a job, by the last segment of the topic (PROTOCOL 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// `completed`.
    Completed,
    /// `cancellation_in_progress`.
    CancellationInProgress,
    /// `canceled`.
    Canceled,
    /// `deletion_in_progress`.
    DeletionInProgress,
    /// `deleted`.
    Deleted,
}

/// What events tell of an execution, by the last segment of the topic (PROTOCOL 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionChange {
    /// It has reached a terminal status.
    Ended(ExecutionStatus),
    /// `deleted`.
    Deleted,
}

/// Which events are told (UpdateEventConfigurations); none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    /// `JOB`: events of jobs.
    pub job: bool,
    /// `JOB_EXECUTION`: events of executions.
    pub job_execution: bool,
}

/// Why a control-plane call is refused (PROTOCOL 11.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// `InvalidRequestException`, status 400: a member is missing, malformed or out of its limits.
    InvalidRequest(String),
    /// `ResourceNotFoundException`, status 404: no such job, execution, thing or group.
    ResourceNotFound(String),
    /// `ResourceAlreadyExistsException`, status 409: the job id is used.
    ResourceAlreadyExists(String),
    /// `InvalidStateTransitionException`, status 409: job or execution is in a status that does not allow it.
    InvalidStateTransition(String),
    /// `VersionConflictException`, status 409: `expectedVersion` is not the version there is.
    VersionConflict(String),
    /// `LimitExceededException`, status 410 (PROTOCOL 2 fact 17): over a quota that is no rate.
    LimitExceeded(String),
}

impl ControlError {
    /// `message`: a sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidRequest(m)
            | Self::ResourceNotFound(m)
            | Self::ResourceAlreadyExists(m)
            | Self::InvalidStateTransition(m)
            | Self::VersionConflict(m)
            | Self::LimitExceeded(m) => m,
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
