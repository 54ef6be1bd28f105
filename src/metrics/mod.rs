//! What was seen: samples of things, recorders of shards, intervals of seconds, one merged snapshot of all.
//!
//! ```text
//! Sample --Recorder (a shard's own)--> Interval (a second) --Collector--> Arc<Snapshot> --> files, lines, summary
//! ```

mod collector;
mod executions;
pub mod host;
mod recorder;
mod sample;
mod snapshot;

pub use collector::{Collector, CollectorSettings, SecondInput};
pub use executions::{Anomaly, ClosedExecution, ExecutionBook, StateCounts};
pub use recorder::{Counts, ErrorKey, ErrorTally, Interval, Recorder, Series};
pub use sample::{Operation, Outcome, Sample, Scope, ThingEvent, ThingEventKind};
pub use snapshot::{Latency, OperationRow, ProcessUsage, RolloutRow, ScopeName, Snapshot, TaggedHistogram};
