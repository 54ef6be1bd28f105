//! Job executions as the things and the service saw them: live counts, progress of jobs, and what should never be.

mod anomaly;
mod book;
mod execution;
mod progress;

pub use anomaly::{Anomalies, Anomaly};
pub use book::{ClosedExecution, ExecutionBook};
pub(super) use book::{HEARD_MAX, HEARD_MAX_PER_THING, JOBS_HEARD_MAX};
pub use progress::{MILESTONES, RolloutRow};
