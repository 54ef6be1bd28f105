//! The control plane as values: what changes jobs from outside, and what is told of them (PROTOCOL 11).

use super::execution::ExecutionStatus;
use super::job::{AbortCriterion, CreateJob, JobConfig, PresignedUrlConfig, RetryCriterion, RolloutConfig, TargetSelection};
use super::name::{GroupName, JobId, StatusDetails, ThingName};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelJob {
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    /// Cancel `IN_PROGRESS` executions too.
    pub force: bool,
}

/// What UpdateJob changes: members that are absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateJob {
    pub description: Option<String>,
    pub rollout: Option<RolloutConfig>,
    pub abort: Option<Vec<AbortCriterion>>,
    pub in_progress_timeout_minutes: Option<u32>,
    pub retry: Option<Vec<RetryCriterion>>,
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
    pub expected_version: Option<i64>,
    pub status_details: Option<StatusDetails>,
    /// Cancel it although it is `IN_PROGRESS`.
    pub force: bool,
}

/// PROTOCOL 11.3. A deleted job is gone at once, so that `DELETION_IN_PROGRESS` is never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    /// Its start time is to come.
    Scheduled,
    InProgress,
    Completed,
    Canceled,
}

impl JobStatus {
    pub const ALL: [Self; 4] = [Self::Scheduled, Self::InProgress, Self::Completed, Self::Canceled];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
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
    pub queued: u64,
    pub in_progress: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub rejected: u64,
    pub timed_out: u64,
    pub canceled: u64,
    pub removed: u64,
}

impl JobProcessDetails {
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

    #[must_use]
    pub fn of(mut self, status: ExecutionStatus) -> u64 {
        *self.of_mut(status)
    }
}

/// What DescribeJob tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDescription {
    pub create: CreateJob,
    pub status: JobStatus,
    pub force_canceled: bool,
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    /// Milliseconds since the epoch; the wire has seconds with a fraction.
    pub created_at_ms: i64,
    pub last_updated_at_ms: i64,
    pub completed_at_ms: Option<i64>,
    pub process_details: JobProcessDetails,
    /// Things are still to be given the job.
    pub is_rolling_out: bool,
}

/// What ListJobs is to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub status: Option<JobStatus>,
    pub target_selection: Option<TargetSelection>,
    pub group: Option<GroupName>,
}

/// An execution as the control plane tells it (PROTOCOL 11.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionDescription {
    pub job_id: JobId,
    pub thing: ThingName,
    pub status: ExecutionStatus,
    pub force_canceled: bool,
    pub status_details: StatusDetails,
    /// Milliseconds since the epoch; the wire has seconds with a fraction.
    pub queued_at_ms: i64,
    pub started_at_ms: Option<i64>,
    pub last_updated_at_ms: i64,
    pub execution_number: i64,
    pub version_number: i64,
    pub approximate_seconds_before_timed_out: Option<i64>,
    /// 0 for the first.
    pub retry_attempt: u32,
}

/// What is told on `$aws/events/job/...` and `$aws/events/jobExecution/...` (PROTOCOL 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEvent {
    Job { change: JobChange, job: Box<JobDescription> },
    Execution { change: ExecutionChange, execution: Box<ExecutionDescription> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    Completed,
    CancellationInProgress,
    Canceled,
    DeletionInProgress,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionChange {
    /// It has reached a terminal status.
    Ended(ExecutionStatus),
    Deleted,
}

/// Which events are told (UpdateEventConfigurations); none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    pub job: bool,
    pub job_execution: bool,
}

/// Why a control-plane call is refused (PROTOCOL 11.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    InvalidRequest(String),
    ResourceNotFound(String),
    ResourceAlreadyExists(String),
    InvalidStateTransition(String),
    VersionConflict(String),
    LimitExceeded(String),
}

impl ControlError {
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
