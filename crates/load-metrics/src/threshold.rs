//! What a run must hold to: one metric, a check, and which seconds and things it is about.

use super::execution_stage::{ExecutionStage, StageCounts};
use super::executions::Anomaly;
use super::histogram::{Distribution, Latency, Resolution};
use super::interval::Counts;
use super::recovery::EventRow;
use super::sample::{Measure, Operation};
use super::scope::ScopeId;
use crate::{Phase, PhaseSet};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;
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

    fn of(self, latency: &Latency) -> f64 {
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
    fn of(self, counts: &Counts) -> u64 {
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
    fn of(self, counts: &StageCounts) -> Option<u64> {
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

/// How a value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `==`, to the precision of a float.
    Equal,
    /// `!=`, to the precision of a float.
    Unequal,
}

/// Two characters before one: `<=` begins with `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

/// `< 250`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Which side of the limit is good.
    pub comparison: Comparison,
    /// In the unit of the metric.
    pub limit: f64,
}

impl Check {
    /// # Errors
    /// With what is wrong in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = COMPARISONS.iter().find_map(|(sign, comparison)| Some((*comparison, text.trim().strip_prefix(sign)?)));
        let (comparison, limit) =
            found.ok_or_else(|| format!("{text:?} must begin with one of < <= > >= == !=, as in \"< 250\""))?;
        let limit: f64 =
            limit.trim().replace('_', "").parse().map_err(|_| format!("{text:?} must end with a number, as in \"< 250\""))?;
        if limit.is_finite() { Ok(Self { comparison, limit }) } else { Err(format!("{text:?} must end with a finite number")) }
    }

    /// Whether `value` is on the good side.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Equal => (value - self.limit).abs() < f64::EPSILON * self.limit.abs().max(1.0),
            Comparison::Unequal => (value - self.limit).abs() >= f64::EPSILON * self.limit.abs().max(1.0),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.limit)
    }
}

/// What a run must hold to.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is looked at.
    pub metric: Metric,
    /// What it must be.
    pub check: Check,
    /// Only the last seconds count.
    pub over: Option<Duration>,
    /// Only seconds of this phase count; `None`: of any.
    pub phase: Option<Phase>,
    /// Only things of this cohort count; `None`: all.
    pub cohort: Option<String>,
}

/// How a threshold stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdRow {
    /// What was asked for.
    pub threshold: Threshold,
    /// `None`: there is no sample.
    pub value: Option<f64>,
}

impl ThresholdRow {
    /// Without a sample: not known while the run goes on, and at its end a failure.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        self.value.map(|value| self.threshold.check.holds(value))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.check)?;
        if let Some(over) = self.over {
            write!(f, " over the last {} s", over.as_secs())?;
        }
        if let Some(phase) = self.phase {
            write!(f, " in {phase}")?;
        }
        if let Some(cohort) = &self.cohort {
            write!(f, " of {cohort}")?;
        }
        Ok(())
    }
}

/// What a second says of everything a threshold may be about.
pub(super) struct SecondView<'a> {
    /// Seconds that it is about.
    pub(super) span_s: u64,
    pub(super) phase: Phase,
    pub(super) phases: PhaseSet,
    pub(super) lateness: &'a Distribution,
    pub(super) executions: StageCounts,
    pub(super) anomalies: &'a BTreeMap<Anomaly, u64>,
    pub(super) events: &'a [EventRow],
    pub(super) connected: u64,
    pub(super) things: u64,
}

impl SecondView<'_> {
    fn executions(&self, count: ExecutionCount) -> Option<f64> {
        (self.executions.all() > 0).then(|| count.of(&self.executions)).flatten().map(|count| count as f64)
    }
}

/// The samples of one second, or of many.
#[derive(Clone, Debug, Default)]
struct Gathered {
    seconds: u64,
    counts: Counts,
    times: Distribution,
}

impl Gathered {
    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.counts += other.counts;
        self.times.merge(&other.times);
    }
}

/// Watches one threshold.
pub(super) struct Watch {
    threshold: Threshold,
    pub(super) scope: ScopeId,
    /// Of all seconds it is about.
    whole: Gathered,
    /// Of the last ones, where only they count, each with its span in seconds.
    last: VecDeque<(u64, Gathered)>,
    /// How things stood at the end of the last second it is about.
    job_progress: Option<f64>,
}

impl Watch {
    /// `cohorts` are the names in the order of their scopes.
    pub(super) fn new(threshold: Threshold, cohorts: &[String]) -> Self {
        let place = threshold.cohort.as_ref().and_then(|name| cohorts.iter().position(|cohort| cohort == name));
        let scope = place.map_or(ScopeId::ALL, ScopeId::of_cohort);
        Self { threshold, scope, whole: Gathered::default(), last: VecDeque::new(), job_progress: None }
    }

    pub(super) fn operation(&self) -> Option<Operation> {
        self.threshold.metric.operation()
    }

    /// Forgets what it has seen, for the seconds that count begin now, in this phase; not where it is about another one.
    pub(super) fn restart(&mut self, phase: Phase) {
        let is_of_connecting = phase != Phase::Connect && self.operation().is_some_and(Operation::is_connecting);
        if !is_of_connecting && self.threshold.phase.is_none_or(|wanted| wanted == phase) {
            (self.whole, self.last, self.job_progress) = (Gathered::default(), VecDeque::new(), None);
        }
    }

    /// Takes a second in; `of_operation` is what its operation did in its scope.
    pub(super) fn second(&mut self, view: &SecondView<'_>, of_operation: Option<(Counts, &Distribution, &Distribution)>) {
        if self.threshold.phase.is_some_and(|phase| !view.phases.contains(phase)) {
            return;
        }
        // Nothing is offered any more in the last one, which is not whole either.
        let seconds = if view.phase == Phase::Done { 0 } else { view.span_s };
        match self.threshold.metric {
            Metric::Executions(count) => self.job_progress = view.executions(count),
            Metric::ExecutionsShare(count) => {
                self.job_progress = view.executions(count).map(|count| count / view.executions.all() as f64);
            }
            Metric::Anomaly(anomaly) => {
                let is_known = view.executions.has_ledger() && view.executions.all() > 0;
                self.job_progress = is_known.then(|| view.anomalies.get(&anomaly).copied().unwrap_or(0) as f64);
            }
            // At the end everybody is sent home.
            Metric::ConnectedShare if view.phase == Phase::Done => {}
            Metric::ConnectedShare => {
                self.job_progress = (view.things > 0).then(|| view.connected as f64 / view.things as f64);
            }
            Metric::EventsAway => {
                let has_begun = view.events.iter().any(|event| event.affected > 0);
                self.job_progress = has_begun.then(|| view.events.iter().map(EventRow::away).sum::<u64>() as f64);
            }
            Metric::Lateness(_) => {
                self.gather(view.span_s, Gathered { seconds, counts: Counts::default(), times: view.lateness.clone() });
            }
            Metric::Latency(_, measure, _) => {
                let (counts, times) = of_operation.map_or_else(Default::default, |(counts, service, response)| {
                    (counts, if measure == Measure::Service { service } else { response }.clone())
                });
                self.gather(view.span_s, Gathered { seconds, counts, times });
            }
            Metric::Count(..) | Metric::Rate(_) | Metric::FailedShare(_) => {
                let counts = of_operation.map_or_else(Counts::default, |(counts, ..)| counts);
                self.gather(view.span_s, Gathered { seconds, counts, times: Distribution::default() });
            }
        }
    }

    fn gather(&mut self, span_s: u64, second: Gathered) {
        match self.threshold.over {
            None => self.whole.add(&second),
            Some(over) => {
                self.last.push_back((span_s, second));
                let mut spanned: u64 = self.last.iter().map(|(span_s, _)| span_s).sum();
                while spanned > over.as_secs().max(span_s)
                    && let Some((span_s, _)) = self.last.pop_front()
                {
                    spanned -= span_s;
                }
                self.whole = Gathered::default();
                self.last.iter().for_each(|(_, second)| self.whole.add(second));
            }
        }
    }

    pub(super) fn row(&self) -> ThresholdRow {
        ThresholdRow { threshold: self.threshold.clone(), value: self.value() }
    }

    fn value(&self) -> Option<f64> {
        let counts = &self.whole.counts;
        // An operation that never happened has no count of failures either.
        let happened = (counts.started + counts.finished() + counts.lost_arrivals > 0).then_some(());
        match self.threshold.metric {
            Metric::Latency(operation, _, statistic) => {
                let resolution = Resolution::of(operation, self.scope != ScopeId::ALL);
                self.whole.times.latency(resolution).map(|latency| statistic.of(&latency))
            }
            Metric::Lateness(statistic) => self.whole.times.latency(Resolution::SHORT).map(|latency| statistic.of(&latency)),
            Metric::Count(_, count) => happened.map(|()| count.of(counts) as f64),
            Metric::Rate(_) => happened.map(|()| counts.finished() as f64 / self.whole.seconds.max(1) as f64),
            Metric::FailedShare(_) => (counts.finished() > 0).then(|| 1.0 - counts.ok as f64 / counts.finished() as f64),
            Metric::Executions(_)
            | Metric::ExecutionsShare(_)
            | Metric::Anomaly(_)
            | Metric::ConnectedShare
            | Metric::EventsAway => self.job_progress,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Histogram;

    fn threshold(metric: &str, check: &str) -> Threshold {
        let metric = Metric::parse(metric).unwrap();
        Threshold { metric, check: Check::parse(check).unwrap(), over: None, phase: None, cohort: None }
    }

    fn times(ms: &[u64]) -> Distribution {
        let mut histogram = Histogram::new(Resolution::SHORT);
        ms.iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        histogram.take()
    }

    fn view<'a>(phase: Phase, nothing: &'a Distribution, anomalies: &'a BTreeMap<Anomaly, u64>) -> SecondView<'a> {
        SecondView {
            span_s: 1,
            phase,
            phases: phase.into(),
            lateness: nothing,
            executions: StageCounts::new(true),
            anomalies,
            events: &[],
            connected: 3,
            things: 4,
        }
    }

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

    #[test]
    fn checks_say_what_they_mean() {
        for (text, value, holds) in [
            ("< 250", 249.9, true),
            ("< 250", 250.0, false),
            ("<= 250", 250.0, true),
            ("> 0.95", 0.95, false),
            (">=1_000", 1e3, true),
            ("== 0", 0.0, true),
            ("!= 0", 0.0, false),
        ] {
            assert_eq!(Check::parse(text).unwrap().holds(value), holds, "{value} {text}");
        }
        for wrong in ["250", "< ", "< many", "=< 3", "< inf", "~ 3"] {
            assert!(Check::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Check::parse("<=1_000").unwrap().to_string(), "<= 1000");
    }

    #[test]
    fn phases_and_windows_choose_the_seconds() {
        let (nothing, anomalies) = (Distribution::default(), BTreeMap::new());
        let mut whole = Watch::new(threshold("update.service_ms.max", "< 50"), &[]);
        let mut connect = Watch::new(Threshold { phase: Some(Phase::Connect), ..whole.threshold.clone() }, &[]);
        let mut last = Watch::new(Threshold { over: Some(Duration::from_secs(2)), ..whole.threshold.clone() }, &[]);
        for (second, ms) in [10, 90, 20, 30].into_iter().enumerate() {
            let phase = if second == 0 { Phase::Connect } else { Phase::Rollout };
            let counts = Counts { started: 1, ok: 1, ..Counts::default() };
            for watch in [&mut whole, &mut connect, &mut last] {
                watch.second(&view(phase, &nothing, &anomalies), Some((counts, &times(&[ms]), &nothing)));
            }
        }
        let value = |watch: &Watch| watch.row().value.map(f64::round);
        assert_eq!([value(&whole), value(&connect), value(&last)], [Some(90.0), Some(10.0), Some(30.0)]);
        assert_eq!(whole.row().holds(), Some(false));
        assert_eq!(connect.row().threshold.to_string(), "update.service_ms.max < 50 in connect");
    }

    #[test]
    fn without_a_sample_nothing_holds() {
        let (nothing, anomalies) = (Distribution::default(), BTreeMap::new());
        for metric in
            ["update.response_ms.p99", "update.timeout", "update.failed_share", "executions.lost", "executions.succeeded_share"]
        {
            let mut watch = Watch::new(threshold(metric, "== 0"), &[]);
            watch.second(&view(Phase::Steady, &nothing, &anomalies), None);
            assert_eq!((watch.row().value, watch.row().holds()), (None, None), "{metric}");
        }
        let mut connected = Watch::new(threshold("connected_share", ">= 0.75"), &[]);
        connected.second(&view(Phase::Steady, &nothing, &anomalies), None);
        assert_eq!(connected.row().holds(), Some(true));
    }
}
