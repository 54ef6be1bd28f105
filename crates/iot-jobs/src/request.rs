//! Requests of a thing, answers to it, and notifications (PROTOCOL 6 and 7).

use super::error::Rejection;
use super::execution::{ExecutionState, ExecutionStatus, ExecutionSummary, JobExecution};
use super::name::{ClientToken, JobDocument, JobId, StatusDetails};
use crate::instant::EpochSeconds;
use std::fmt;

/// One data-plane request, whatever transport carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub client_token: Option<ClientToken>,
    pub body: RequestBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// `GetPendingJobExecutions`, topic `jobs/get`.
    GetPending,
    /// `StartNextPendingJobExecution`, topic `jobs/start-next`.
    StartNext(StartNext),
    /// `DescribeJobExecution`, topic `jobs/{jobId}/get` or `jobs/$next/get`.
    Describe(Describe),
    /// `UpdateJobExecution`, topic `jobs/{jobId}/update`.
    Update(Update),
}

/// Which operation a request is, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    GetPending,
    StartNext,
    Describe,
    Update,
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GetPending => "get-pending",
            Self::StartNext => "start-next",
            Self::Describe => "describe",
            Self::Update => "update",
        })
    }
}

impl RequestBody {
    #[must_use]
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::GetPending => RequestKind::GetPending,
            Self::StartNext(_) => RequestKind::StartNext,
            Self::Describe(_) => RequestKind::Describe,
            Self::Update(_) => RequestKind::Update,
        }
    }
}

/// `stepTimeoutInMinutes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepTimeout {
    /// 1 to 10,080 minutes from now.
    Minutes(u32),
    /// -1: cancel the running step timer.
    Cancel,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartNext {
    /// Stored only when the execution goes from `QUEUED` to `IN_PROGRESS` now.
    pub status_details: Option<StatusDetails>,
    pub step_timeout: Option<StepTimeout>,
}

/// The job a describe names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobRef {
    /// `$next`: the head of the pending list.
    Next,
    Id(JobId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe {
    pub job: JobRef,
    /// Absent: the latest.
    pub execution_number: Option<i64>,
    /// Default true.
    pub include_job_document: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub job_id: JobId,
    pub status: ExecutionStatus,
    /// Absent: unchanged. Present: replaces the whole map (inferred).
    pub status_details: Option<StatusDetails>,
    /// Optimistic lock; absent: no check.
    pub expected_version: Option<i64>,
    /// Absent: the latest.
    pub execution_number: Option<i64>,
    /// Default false.
    pub include_execution_state: bool,
    /// Default false.
    pub include_job_document: bool,
    pub step_timeout: Option<StepTimeout>,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub client_token: Option<ClientToken>,
    /// When the service answered. HTTP does not say.
    pub timestamp: Option<EpochSeconds>,
    pub result: Result<Answer, Rejection>,
}

/// What an `accepted` answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Pending(PendingJobs),
    /// `None`: nothing is pending, which is a success (PROTOCOL 2 fact 7).
    Started(Option<Box<JobExecution>>),
    /// `None`: `$next` with nothing pending.
    Described(Option<Box<JobExecution>>),
    Updated(UpdateAnswer),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingJobs {
    pub in_progress: Vec<ExecutionSummary>,
    pub queued: Vec<ExecutionSummary>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateAnswer {
    /// The state after the update, if asked for.
    pub execution_state: Option<ExecutionState>,
    pub job_document: Option<JobDocument>,
}

/// What the service tells unasked, to those who subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `notify`: the whole pending list, capped (PROTOCOL 2 fact 5).
    Changed { timestamp: EpochSeconds, jobs: NotifiedJobs },
    /// `notify-next`: the new head, or none.
    NextChanged { timestamp: EpochSeconds, execution: Option<Box<JobExecution>> },
}

/// The lists of a `notify`; an empty one is left out on the wire.
pub type NotifiedJobs = PendingJobs;

/// What a thing subscribes to; answers reach it without, but portable devices subscribe anyway (PROTOCOL 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    Notify,
    NotifyNext,
    /// `get/+`
    GetPendingAnswers,
    /// `start-next/+`
    StartNextAnswers,
    /// `+/get/+`
    DescribeAnswers,
    /// `+/update/+`
    UpdateAnswers,
}
