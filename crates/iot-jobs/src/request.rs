//! Requests of a thing, answers to it, and notifications (PROTOCOL 6 and 7).

use super::document::JobDocument;
use super::error::Rejection;
use super::execution::{ExecutionState, ExecutionStatus, ExecutionSummary, JobExecution};
use super::name::{ClientToken, JobId, StatusDetails};
use crate::instant::EpochSeconds;
use strum::Display;

/// One data-plane request, whatever transport carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `clientToken`, which the answer repeats; absent over HTTP.
    pub client_token: Option<ClientToken>,
    /// The operation, with what it needs.
    pub body: RequestBody,
}

/// The four operations of the data plane (PROTOCOL 6).
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum RequestKind {
    /// `GetPendingJobExecutions` (PROTOCOL 6.1).
    GetPending,
    /// `StartNextPendingJobExecution` (PROTOCOL 6.2).
    StartNext,
    /// `DescribeJobExecution` (PROTOCOL 6.3).
    Describe,
    /// `UpdateJobExecution` (PROTOCOL 6.4).
    Update,
}

impl RequestBody {
    /// Which operation it is.
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

/// `StartNextPendingJobExecution` (PROTOCOL 6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartNext {
    /// Stored only when the execution goes from `QUEUED` to `IN_PROGRESS` now.
    pub status_details: Option<StatusDetails>,
    /// `stepTimeoutInMinutes`; absent: the step timer is left as it is.
    pub step_timeout: Option<StepTimeout>,
}

/// The job a describe names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobRef {
    /// `$next`: the head of the pending list.
    Next,
    /// A job by its id.
    Id(JobId),
}

/// `DescribeJobExecution` (PROTOCOL 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe {
    /// In the topic or path of the request.
    pub job: JobRef,
    /// Absent: the latest.
    pub execution_number: Option<i64>,
    /// Default true.
    pub include_job_document: bool,
}

/// `UpdateJobExecution` (PROTOCOL 6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// In the topic or path of the request; never `$next`.
    pub job_id: JobId,
    /// `status`: the one the execution is to have.
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
    /// `stepTimeoutInMinutes`; absent: the step timer is left as it is (inferred).
    pub step_timeout: Option<StepTimeout>,
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `clientToken` of the request; absent if that had none, and over HTTP.
    pub client_token: Option<ClientToken>,
    /// When the service answered. HTTP does not say.
    pub timestamp: Option<EpochSeconds>,
    /// The body of `accepted` or of `rejected`.
    pub result: Result<Answer, Rejection>,
}

/// What an `accepted` answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `GetPendingJobExecutions`.
    Pending(PendingJobs),
    /// `None`: nothing is pending, which is a success (PROTOCOL 2 fact 7).
    Started(Option<Box<JobExecution>>),
    /// `None`: `$next` with nothing pending.
    Described(Option<Box<JobExecution>>),
    /// To `UpdateJobExecution`.
    Updated(UpdateAnswer),
}

/// The pending executions of a thing, at most 10 together, 15 with a scheduling configuration (PROTOCOL 6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingJobs {
    /// `inProgressJobs`, or `IN_PROGRESS` in a `notify`; earliest queued first.
    pub in_progress: Vec<ExecutionSummary>,
    /// `queuedJobs`, or `QUEUED` in a `notify`; earliest queued first.
    pub queued: Vec<ExecutionSummary>,
}

/// What an accepted update is answered with (PROTOCOL 6.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateAnswer {
    /// The state after the update, if asked for.
    pub execution_state: Option<ExecutionState>,
    /// `jobDocument`, if asked for.
    pub job_document: Option<JobDocument>,
}

/// What the service tells unasked, to those who subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `notify`: the whole pending list, capped (PROTOCOL 2 fact 5).
    Changed {
        /// When the service sent it.
        timestamp: EpochSeconds,
        /// What is pending now.
        jobs: NotifiedJobs,
    },
    /// `notify-next`: the new head, or none.
    NextChanged {
        /// When the service sent it.
        timestamp: EpochSeconds,
        /// With its document; absent: nothing is pending (PROTOCOL 2 fact 6).
        execution: Option<Box<JobExecution>>,
    },
}

/// The lists of a `notify`; an empty one is left out on the wire.
pub type NotifiedJobs = PendingJobs;

/// What a thing subscribes to; answers reach it without, but portable devices subscribe anyway (PROTOCOL 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// `notify`
    Notify,
    /// `notify-next`
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
