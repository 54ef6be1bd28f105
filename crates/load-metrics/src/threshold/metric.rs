//! What a threshold may be about.

use crate::execution_stage::{ExecutionStage, StageCounts};
use crate::executions::Anomaly;
use crate::histogram::Latency;
use crate::interval::Counts;
use crate::sample::{Measure, Operation};
use std::fmt;
use strum::{EnumString, IntoEnumIterator, IntoStaticStr, VariantArray};

/// A figure of a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// 50th percentile.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Highest value.
    Max,
}

impl Statistic {
    /// The part of all values that do not exceed it; `None` for a mean.
    #[must_use]
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::Mean => None,
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            Self::Max => Some(1.0),
        }
    }

    pub(super) fn of(self, latency: &Latency) -> f64 {
        match self {
            Self::Mean => latency.mean,
            Self::P50 => latency.p50,
            Self::P90 => latency.p90,
            Self::P95 => latency.p95,
            Self::P99 => latency.p99,
            Self::P999 => latency.p999,
            Self::Max => latency.max,
        }
    }
}

/// What is counted of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum OperationCount {
    /// [`Counts::started`].
    Started,
    /// [`Counts::ok`].
    Ok,
    /// [`Counts::rejected`].
    Rejected,
    /// [`Counts::timeout`].
    Timeout,
    /// [`Counts::error`].
    Error,
    /// [`Counts::lost_arrivals`].
    LostArrivals,
    /// [`Counts::late_answers`].
    LateAnswers,
}

impl OperationCount {
    pub(super) fn of(self, counts: &Counts) -> u64 {
        match self {
            Self::Started => counts.started,
            Self::Ok => counts.ok,
            Self::Rejected => counts.rejected,
            Self::Timeout => counts.timeout,
            Self::Error => counts.error,
            Self::LostArrivals => counts.lost_arrivals,
            Self::LateAnswers => counts.late_answers,
        }
    }
}

/// What is counted of executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionCount {
    /// Those that stand here.
    Stage(ExecutionStage),
    /// All whose end is to come.
    Open,
}

const OPEN: &str = "open";

impl ExecutionCount {
    fn all() -> impl Iterator<Item = Self> {
        ExecutionStage::VARIANTS.iter().copied().map(Self::Stage).chain([Self::Open])
    }

    fn key(self) -> &'static str {
        match self {
            Self::Stage(stage) => stage.key(),
            Self::Open => OPEN,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == OPEN { Some(Self::Open) } else { text.parse().ok().map(Self::Stage) }
    }

    /// `None`: only the service ledger knows, and there is none.
    pub(super) fn of(self, counts: &StageCounts) -> Option<u64> {
        match self {
            Self::Stage(stage) => counts.get(stage),
            Self::Open => counts.has_ledger().then(|| counts.open()),
        }
    }
}

const FAILED_SHARE: &str = "failed_share";
const RATE: &str = "rate_per_s";
const SHARE: &str = "_share";
const CONNECTED_SHARE: &str = "connected_share";
const EVENTS_AWAY: &str = "events.away";

const EXECUTIONS: &str = "executions";
const LATENESS: &str = "lateness_ms";
const SERVICE: &str = "service_ms";
const RESPONSE: &str = "response_ms";

/// What can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A figure of an operation's times, in milliseconds.
    Latency(Operation, Measure, Statistic),
    /// How often an operation began, or ended in this way.
    Count(Operation, OperationCount),
    /// Ended operations per second.
    Rate(Operation),
    /// Rejected, timed out and broken over ended.
    FailedShare(Operation),
    /// Executions that stand so, at the end of the seconds it is about.
    Executions(ExecutionCount),
    /// The same over all executions.
    ExecutionsShare(ExecutionCount),
    /// Executions with this anomaly, so far.
    Anomaly(Anomaly),
    /// The generator's own delay, in milliseconds.
    Lateness(Statistic),
    /// Connected things over all things, at the end of the seconds it is about.
    ConnectedShare,
    /// Things that lost their session by an event and are not back, at the end of the seconds it is about.
    EventsAway,
}

impl Metric {
    /// `start_next.response_ms.p99`, `update.timeout`, `executions.succeeded_share`, ...
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            CONNECTED_SHARE => return Some(Self::ConnectedShare),
            EVENTS_AWAY => return Some(Self::EventsAway),
            _ => {}
        }
        let (subject, rest) = text.split_once('.')?;
        match subject {
            LATENESS => return rest.parse().ok().map(Self::Lateness),
            EXECUTIONS => {
                let count = ExecutionCount::parse(rest).map(Self::Executions);
                let share = || rest.strip_suffix(SHARE).and_then(ExecutionCount::parse).map(Self::ExecutionsShare);
                return count.or_else(share).or_else(|| rest.parse().ok().map(Self::Anomaly));
            }
            _ => {}
        }
        let operation: Operation = subject.parse().ok()?;
        match rest.split_once('.') {
            Some((SERVICE, statistic)) => Some(Self::Latency(operation, Measure::Service, statistic.parse().ok()?)),
            Some((RESPONSE, statistic)) if operation.has_response() => {
                Some(Self::Latency(operation, Measure::Response, statistic.parse().ok()?))
            }
            Some(_) => None,
            None if rest == RATE => Some(Self::Rate(operation)),
            None if rest == FAILED_SHARE => Some(Self::FailedShare(operation)),
            None => Some(Self::Count(operation, rest.parse().ok()?)),
        }
    }

    /// Every name there is.
    pub fn vocabulary() -> impl Iterator<Item = String> {
        let operations = Operation::VARIANTS.iter().flat_map(|operation| Self::of_operation(*operation));
        let executions = ExecutionCount::all().flat_map(|count| [Self::Executions(count), Self::ExecutionsShare(count)]);
        let anomalies = Anomaly::iter().map(Self::Anomaly);
        let lateness = Statistic::VARIANTS.iter().copied().map(Self::Lateness);
        let all = operations.chain(executions).chain(anomalies).chain(lateness).chain([Self::ConnectedShare, Self::EventsAway]);
        all.map(|metric| metric.to_string())
    }

    fn of_operation(operation: Operation) -> impl Iterator<Item = Self> {
        let measures = [Some(Measure::Service), operation.has_response().then_some(Measure::Response)].into_iter().flatten();
        let times = measures.flat_map(move |measure| {
            Statistic::VARIANTS.iter().map(move |statistic| Self::Latency(operation, measure, *statistic))
        });
        let counts = OperationCount::VARIANTS.iter().map(move |count| Self::Count(operation, *count));
        times.chain(counts).chain([Self::Rate(operation), Self::FailedShare(operation)])
    }

    /// The operation it is about.
    #[must_use]
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Latency(operation, ..) | Self::Count(operation, _) | Self::Rate(operation) | Self::FailedShare(operation) => {
                Some(operation)
            }
            Self::Executions(_)
            | Self::ExecutionsShare(_)
            | Self::Anomaly(_)
            | Self::Lateness(_)
            | Self::ConnectedShare
            | Self::EventsAway => None,
        }
    }

    /// ` ms` or nothing: behind a value.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Latency(..) | Self::Lateness(_) => " ms",
            Self::Count(..)
            | Self::Rate(_)
            | Self::FailedShare(_)
            | Self::Executions(_)
            | Self::ExecutionsShare(_)
            | Self::Anomaly(_)
            | Self::ConnectedShare
            | Self::EventsAway => "",
        }
    }

    /// Whether it is gathered over seconds, as opposed to how things stand at their end.
    #[must_use]
    pub fn is_gathered(self) -> bool {
        self.operation().is_some() || matches!(self, Self::Lateness(_))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Latency(operation, measure, statistic) => {
                let measure = if measure == Measure::Service { SERVICE } else { RESPONSE };
                write!(f, "{operation}.{measure}.{}", <&str>::from(statistic))
            }
            Self::Count(operation, count) => write!(f, "{operation}.{}", <&str>::from(count)),
            Self::Rate(operation) => write!(f, "{operation}.{RATE}"),
            Self::FailedShare(operation) => write!(f, "{operation}.{FAILED_SHARE}"),
            Self::Executions(count) => write!(f, "{EXECUTIONS}.{}", count.key()),
            Self::ExecutionsShare(count) => write!(f, "{EXECUTIONS}.{}{SHARE}", count.key()),
            Self::Anomaly(anomaly) => write!(f, "{EXECUTIONS}.{anomaly}"),
            Self::Lateness(statistic) => write!(f, "{LATENESS}.{}", <&str>::from(statistic)),
            Self::ConnectedShare => f.write_str(CONNECTED_SHARE),
            Self::EventsAway => f.write_str(EVENTS_AWAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_vocabulary_is_understood_and_said_again() {
        let words: Vec<String> = Metric::vocabulary().collect();
        assert!(words.len() > 200, "{}", words.len());
        for word in words {
            let metric = Metric::parse(&word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(metric.unit() == " ms", word.contains("_ms."), "{word}");
            assert_eq!(metric.to_string(), word);
        }
        for wrong in ["", "start_next", "start_next.p99", "notify_next.response_ms.p99", "executions.gone_share", "lateness_ms.p1"]
        {
            assert_eq!(Metric::parse(wrong), None, "{wrong}");
        }
    }
}
