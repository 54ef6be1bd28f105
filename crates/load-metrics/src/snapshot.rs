//! The merged view of one moment: everything that files, lines, a summary or a screen may show. Immutable.

use super::errors::{ErrorKey, ErrorTally};
use super::execution_stage::StageCounts;
use super::executions::{Anomaly, ClosedExecution, RolloutRow};
use super::health::{Breach, Storm};
use super::histogram::{Distribution, Latency, Resolution};
use super::interval::{Counts, Metered};
use super::recovery::EventRow;
use super::sample::{Measure, Operation};
use super::threshold::ThresholdRow;
use crate::Phase;
use iot_jobs::instant::Mono;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// CPU and memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessUsage {
    /// Cores kept busy during the last second.
    pub cpu_share: f64,
    /// CPU seconds since the process began.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// Which things a row is about; in files as its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ScopeName {
    /// The whole fleet.
    All,
    /// Those of a cohort, by its name.
    Cohort(Arc<str>),
    /// Those of a transport, by its name.
    Transport(Arc<str>),
}

const ALL: &str = "all";
const COHORT: &str = "cohort";
const TRANSPORT: &str = "transport";

impl ScopeName {
    /// The name of the cohort or of the transport; `all` of the fleet.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::All => ALL,
            Self::Cohort(name) | Self::Transport(name) => name,
        }
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(ALL),
            Self::Cohort(name) => write!(f, "{COHORT}:{name}"),
            Self::Transport(name) => write!(f, "{TRANSPORT}:{name}"),
        }
    }
}

impl FromStr for ScopeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == ALL => Ok(Self::All),
            Some((COHORT, name)) => Ok(Self::Cohort(name.into())),
            Some((TRANSPORT, name)) => Ok(Self::Transport(name.into())),
            _ => Err(format!("{text:?} is no scope: {ALL}, {COHORT}:NAME or {TRANSPORT}:NAME")),
        }
    }
}

impl TryFrom<String> for ScopeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ScopeName> for String {
    fn from(scope: ScopeName) -> Self {
        scope.to_string()
    }
}

/// One operation in one scope, over a second or over the run.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// Of which things.
    pub scope: ScopeName,
    /// What was measured.
    pub operation: Operation,
    /// Starts and ends within the span.
    pub counts: Counts,
    /// Started and not ended, at the end of the span.
    pub open: u64,
    /// Second of the run in which the first of all was begun, from 0.
    pub since_s: u64,
    /// Sent to finished; `None` where nothing has such a time.
    pub service: Option<Latency>,
    /// Intended to finished; `None` where nothing has such a time.
    pub response: Option<Latency>,
}

/// A second of one distribution.
#[derive(Clone, Debug)]
pub struct TaggedTimes {
    /// Of which things.
    pub scope: ScopeName,
    /// What was measured.
    pub operation: Operation,
    /// Which of its two times.
    pub measure: Measure,
    /// Its times, in ticks of [`Self::resolution`].
    pub distribution: Distribution,
}

impl TaggedTimes {
    /// The resolution its values are counted in.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        Resolution::of(self.operation, self.scope != ScopeName::All)
    }
}

/// How the run stands after a second. Times are in milliseconds, moments from one monotonic clock.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Seconds from the origin to the end of the last second in it.
    pub t_s: u64,
    /// Seconds that the figures of the last second stand for: one, but in a forecast, and for rows of files that were widened.
    pub span_s: u64,
    /// Where second 0 begins.
    pub origin: Mono,
    /// At the end of the last second.
    pub phase: Phase,
    /// Things of the fleet.
    pub things: u64,
    /// Things that are connected at the end of the last second.
    pub connected: u64,
    /// Things that became connected in the last second.
    pub connects_per_s: u64,
    /// Messages from the endpoint in the last second.
    pub messages_in_per_s: u64,
    /// Messages to the endpoint in the last second.
    pub messages_out_per_s: u64,
    /// Messages from the endpoint, of the run.
    pub messages_in: u64,
    /// Messages to the endpoint, of the run.
    pub messages_out: u64,
    /// What the bill counts, of the run.
    pub metered: Metered,
    /// Over all jobs.
    pub executions: StageCounts,
    /// Every job that was heard of, in that order.
    pub rollouts: Vec<RolloutRow>,
    /// Of the last second, for every operation seen so far.
    pub second: Vec<OperationRow>,
    /// Of the run so far.
    pub totals: Vec<OperationRow>,
    /// The generator's own delay, of the last second.
    pub lateness: Option<Latency>,
    /// The generator's own delay, of the run.
    pub lateness_total: Option<Latency>,
    /// CPU and memory of the process of the things; `None` where that is no figure of the things.
    pub generator: Option<ProcessUsage>,
    /// The same of a local endpoint; `None` for other targets.
    pub endpoint: Option<ProcessUsage>,
    /// Every kind of error of the run, with its count.
    pub errors: BTreeMap<ErrorKey, ErrorTally>,
    /// Executions that closed in the last second.
    pub closed: Vec<ClosedExecution>,
    /// Anomalies of all executions that are settled; without an entry there is none.
    pub anomalies: BTreeMap<Anomaly, u64>,
    /// How every threshold stands, in the order of the scenario.
    pub thresholds: Vec<ThresholdRow>,
    /// How every event stands, in the order of the scenario.
    pub events: Vec<EventRow>,
    /// What shows that the generator was the bottleneck.
    pub breaches: Vec<Breach>,
    /// What would show it, and is not held against the run, since connects were a storm.
    pub storm: Option<Storm>,
    /// CPU time of each shard in the last second, as a share of one core.
    pub busy: Vec<f64>,
    /// The distributions of the last second, by scope, operation and measure.
    pub times: Vec<TaggedTimes>,
    /// Shard seconds that never reached the collector.
    pub intervals_lost: u64,
    /// What things told of executions and sessions beyond the limit of an interval.
    pub events_lost: u64,
    /// What things told of executions beyond those that are followed.
    pub beyond: u64,
    /// Values beyond the range of their histogram, at the operation's own service or response time.
    pub saturated: u64,
}

impl Snapshot {
    /// The distributions of the last second over the whole fleet.
    pub fn fleet_times(&self) -> impl Iterator<Item = &TaggedTimes> {
        self.times.iter().filter(|times| times.scope == ScopeName::All)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for scope in [ScopeName::All, ScopeName::Cohort("a".into()), ScopeName::Transport("b:c".into())] {
            assert_eq!(scope.to_string().parse::<ScopeName>(), Ok(scope));
        }
        for wrong in ["", "ALL", "all:", "a", "fleet:a"] {
            assert!(wrong.parse::<ScopeName>().is_err(), "{wrong}");
        }
    }
}
