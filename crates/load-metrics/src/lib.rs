//! What was seen: samples of things, recorders of shards, intervals of seconds, one merged snapshot of all; and what follows from it:
//! thresholds, findings, executions that are joined with the service ledger.
//!
//! Pure: it reads no clock and writes no file; `fleetsim` makes files, lines and the summary of a [`Snapshot`].
//!
//! ```text
//! Sample --Recorder (a shard's own)--> Interval (a second) --Collector--> Arc<Snapshot> --> files, lines, summary
//! ```

#![warn(missing_docs)]

mod clock_offset;
mod collector;
mod errors;
mod evidence;
mod execution_stage;
mod executions;
mod finding;
pub mod format;
mod health;
mod histogram;
mod interned;
mod interval;
mod joining;
mod phases;
mod recorder;
mod recovery;
mod sample;
mod scope;
mod shard_second;
mod shards;
mod snapshot;
mod threshold;

pub use clock_offset::ClockOffset;
pub use collector::{Collector, CollectorSettings, SecondInput};
pub use errors::{ErrorKey, ErrorKind, ErrorTally};
pub use evidence::{Part, Undone};
pub use execution_stage::{ExecutionStage, StageCounts, StageRole};
pub use executions::{Anomalies, Anomaly, ClosedExecution, ExecutionBook, MILESTONES, RolloutRow};
pub use finding::{Finding, findings};
pub use health::{BUSY_MAX, Breach, Cause, Excess, LATENESS_MAX_MS, Storm, WINDOW as HEALTH_WINDOW_S};
pub use histogram::{Distribution, Histogram, Latency, Resolution};
pub use interval::{Counts, FaultEvent, Interval, Metered, OperationInterval, SessionChange, SessionChangeKind};
pub use joining::{Joined, Joiner};
pub use phases::{Phase, PhaseSet};
pub use recorder::Recorder;
pub use recovery::{EventRow, PlannedEvent};
pub use sample::{Measure, Operation, Outcome, Sample, Scope, ThingEvent, ThingEventKind};
pub use scope::{SCOPES_MAX, ScopeId};
pub use shard_second::{Bounds, ShardFigures, ShardSecond};
pub use shards::{LastSeconds, ShardReasons, Shards};
pub use snapshot::{OperationRow, ProcessUsage, ScopeName, Snapshot, TaggedTimes};
pub use threshold::{Check, Comparison, ExecutionCount, Metric, OperationCount, Statistic, Threshold, ThresholdRow};
