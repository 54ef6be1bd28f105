//! AWS IoT Jobs as a language: names, statuses, requests, answers, notifications, limits.
//!
//! Pure, and spoken by both sides of the wire: it sends nothing, and knows no job but the one it is handed. Text and bytes are
//! [`wire`]'s business. `PROTOCOL 6.2` in a comment names a section of `docs/PROTOCOL.md`, `PROTOCOL-CORE 1.9` one of
//! `docs/PROTOCOL-CORE.md`.

#![warn(missing_docs)]

mod control;
pub mod cron;
mod document;
mod error;
mod execution;
pub mod instant;
mod job;
pub mod ledger;
pub mod limits;
pub mod managed;
mod name;
mod request;
mod schedule;
mod tags;
mod template;
pub mod wire;

pub use control::{
    CancelExecution, CancelJob, ControlError, EventConfig, ExecutionChange, ExecutionDescription, JobChange, JobDescription,
    JobEvent, JobFilter, JobProcessDetails, JobStatus, UpdateJob,
};
pub use document::JobDocument;
pub use error::{ErrorCode, Rejection};
pub use execution::{ExecutionState, ExecutionStatus, ExecutionSummary, JobExecution};
pub use job::{
    AbortCriterion, CreateJob, ExponentialRate, FailureType, JobConfig, JobSettings, JobTarget, PresignedUrlConfig, RateIncrease,
    RetryCriterion, RolloutConfig, Spread, TargetSelection, TemplateUse,
};
pub use name::{ClientToken, GroupName, JobId, NameError, NamespaceId, StatusDetails, TemplateId, ThingName};
pub use request::{
    Answer, Describe, JobRef, Notification, NotifiedJobs, PendingJobs, Reply, Request, RequestBody, RequestKind, StartNext,
    StepTimeout, Subscription, Update, UpdateAnswer,
};
pub use schedule::{EndBehavior, MaintenanceWindow, ScheduledEnd, SchedulingConfig, WindowState};
pub use tags::Tags;
pub use template::{JobTemplate, TemplateRef};
