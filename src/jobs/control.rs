//! The control plane as values: what creates jobs and changes them from outside (spec section 11).

use super::name::{GroupName, JobDocument, JobId, ThingName};
use std::fmt;

/// A target of a job; an ARN on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobTarget {
    Thing(ThingName),
    Group(GroupName),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetSelection {
    /// The members at creation; the job completes.
    #[default]
    Snapshot,
    /// Later members too; the job never completes.
    Continuous,
}

/// `jobExecutionsRolloutConfig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolloutConfig {
    /// Executions per minute; `None`: the service's own pace.
    pub maximum_per_minute: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateJob {
    pub job_id: JobId,
    pub targets: Vec<JobTarget>,
    pub target_selection: TargetSelection,
    pub document: JobDocument,
    pub description: Option<String>,
    pub rollout: RolloutConfig,
    /// `timeoutConfig.inProgressTimeoutInMinutes`, 1 to 10,080.
    pub in_progress_timeout_minutes: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelJob {
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    /// Cancel `IN_PROGRESS` executions too.
    pub force: bool,
}

/// Spec section 11.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    InProgress,
    Completed,
    Canceled,
}

impl JobStatus {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
    }
}

/// `jobProcessDetails`: executions by status.
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
}

/// Why a control-plane call is refused (spec section 11.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    InvalidRequest(String),
    ResourceNotFound(String),
    ResourceAlreadyExists(String),
    InvalidStateTransition(String),
}

impl ControlError {
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidRequest(m)
            | Self::ResourceNotFound(m)
            | Self::ResourceAlreadyExists(m)
            | Self::InvalidStateTransition(m) => m,
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
