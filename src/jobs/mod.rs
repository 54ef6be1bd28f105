//! AWS IoT Jobs as a language: names, statuses, requests, answers, notifications, limits.
//!
//! Pure, and spoken by both sides of the wire. Text and bytes are [`crate::wire`]'s business; section numbers in these files
//! are those of the protocol reference the project was built from.

mod control;
mod error;
mod execution;
pub mod limits;
mod name;
mod request;

pub use control::{
    CancelJob, ControlError, CreateJob, JobDescription, JobProcessDetails, JobStatus, JobTarget, RolloutConfig, TargetSelection,
};
pub use error::{ErrorCode, Rejection};
pub use execution::{ExecutionState, ExecutionStatus, ExecutionSummary, JobExecution};
pub use name::{ClientToken, GroupName, JobDocument, JobId, NameError, StatusDetails, ThingName};
pub use request::{
    Answer, Describe, JobRef, Notification, NotifiedJobs, PendingJobs, Reply, Request, RequestBody, RequestKind, StartNext,
    StepTimeout, Subscription, Update, UpdateAnswer,
};
