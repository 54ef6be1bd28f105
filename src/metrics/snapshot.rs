//! The merged view of one moment: everything that files, lines, a summary or a screen may show. Immutable.

use super::executions::{Anomaly, ClosedExecution, StateCounts};
use super::recorder::{Counts, ErrorKey, ErrorTally};
use super::sample::Operation;
use crate::instant::Mono;
use crate::jobs::JobId;
use crate::schedule::Phase;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// CPU and memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUsage {
    /// Cores kept busy during the last second.
    pub cpu_share: f64,
    /// CPU seconds since the process began.
    pub cpu_seconds: f64,
    pub rss_bytes: u64,
}

/// Which things a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeName {
    All,
    Cohort(Arc<str>),
    Transport(Arc<str>),
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Cohort(name) => write!(f, "cohort:{name}"),
            Self::Transport(name) => write!(f, "transport:{name}"),
        }
    }
}

/// Percentiles of one distribution, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    /// `None` for a histogram without values. `per_ms`: histogram units in a millisecond.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>, per_ms: f64) -> Option<Self> {
        let quantile = |q| histogram.value_at_quantile(q) as f64 / per_ms;
        (!histogram.is_empty()).then(|| Self {
            mean: histogram.mean() / per_ms,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: histogram.max() as f64 / per_ms,
        })
    }
}

/// Units of an operation's histograms in a millisecond.
#[must_use]
pub(super) fn units_per_ms(operation: Operation) -> f64 {
    if operation.is_long() { 1.0 } else { 1000.0 }
}

/// One operation in one scope, over a second or over the run.
#[derive(Clone, Debug)]
pub struct OperationRow {
    pub scope: ScopeName,
    pub operation: Operation,
    pub counts: Counts,
    /// Started and not ended, at the end of the span.
    pub open: u64,
    pub service: Option<Latency>,
    pub response: Option<Latency>,
}

/// One job.
#[derive(Clone, Debug)]
pub struct RolloutRow {
    pub job: JobId,
    /// Executions the roll-out will have, where that is known.
    pub targets: Option<u64>,
    pub counts: StateCounts,
    /// Seconds from the job's creation until this share of its executions was terminal: 50, 90, 99 %.
    pub seconds_to: [Option<f64>; 3],
}

impl RolloutRow {
    /// Terminal executions over targets.
    #[must_use]
    pub fn done_share(&self) -> Option<f64> {
        let targets = self.targets.unwrap_or_else(|| self.counts.all());
        (targets > 0).then(|| self.counts.terminal() as f64 / targets as f64)
    }
}

/// A second of one histogram, for the interval log.
#[derive(Clone, Debug)]
pub struct TaggedHistogram {
    pub tag: String,
    pub histogram: Histogram<u64>,
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Seconds from the origin to the end of the last second in it.
    pub t_s: u64,
    pub origin: Mono,
    pub phase: Phase,
    pub things: u64,
    pub connected: u64,
    pub connects_per_s: u64,
    pub messages_in_per_s: u64,
    pub messages_out_per_s: u64,
    pub messages_in: u64,
    pub messages_out: u64,
    /// Over all jobs.
    pub executions: StateCounts,
    /// Whether the service's own ledger stands behind `executions`; without it nobody knows what is queued.
    pub has_service: bool,
    pub rollouts: Vec<RolloutRow>,
    /// Of the last second; operations that did nothing are left out.
    pub second: Vec<OperationRow>,
    /// Of the run so far.
    pub totals: Vec<OperationRow>,
    /// Of the last second, and of the run.
    pub lateness: Option<Latency>,
    pub lateness_total: Option<Latency>,
    pub generator: ProcessUsage,
    pub endpoint: Option<ProcessUsage>,
    pub errors: BTreeMap<ErrorKey, ErrorTally>,
    /// Executions that closed in the last second.
    pub closed: Vec<ClosedExecution>,
    pub anomalies: BTreeMap<Anomaly, u64>,
    pub histograms: Vec<TaggedHistogram>,
    /// Shard seconds that never reached the collector.
    pub intervals_lost: u64,
    /// Values beyond the range of their histogram.
    pub saturated: u64,
}

impl Snapshot {
    /// The row of `operation` over the whole fleet in the last second.
    #[must_use]
    pub fn of_second(&self, operation: Operation) -> Option<&OperationRow> {
        self.second.iter().find(|row| row.operation == operation && row.scope == ScopeName::All)
    }

    /// The row of `operation` over the whole fleet and run.
    #[must_use]
    pub fn of_run(&self, operation: Operation) -> Option<&OperationRow> {
        self.totals.iter().find(|row| row.operation == operation && row.scope == ScopeName::All)
    }
}
