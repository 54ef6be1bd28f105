//! What a run must hold to: one metric, a check, and which seconds and things it is about.

use super::executions::{Anomaly, StateCounts};
use super::histogram::{Distribution, Latency, Resolution};
use super::interval::Counts;
use super::recovery::EventRow;
use super::sample::{Measure, Operation};
use super::scope::ScopeId;
use crate::{Phase, PhaseSet};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

type Named<T> = (&'static str, T);
type OfLatency = fn(&Latency) -> f64;
type OfCounts = fn(&Counts) -> u64;
/// How to count a state, and whether only the service can tell it.
type OfStates = (fn(&StateCounts) -> u64, bool);

const QUANTILES: [Named<OfLatency>; 7] = [
    ("mean", |latency| latency.mean),
    ("p50", |latency| latency.p50),
    ("p90", |latency| latency.p90),
    ("p95", |latency| latency.p95),
    ("p99", |latency| latency.p99),
    ("p999", |latency| latency.p999),
    ("max", |latency| latency.max),
];
const COUNTS: [Named<OfCounts>; 7] = [
    ("started", |counts| counts.started),
    ("ok", |counts| counts.ok),
    ("rejected", |counts| counts.rejected),
    ("timeout", |counts| counts.timeout),
    ("error", |counts| counts.error),
    ("lost_arrivals", |counts| counts.lost_arrivals),
    ("late_answers", |counts| counts.late_answers),
];
const STATES: [Named<OfStates>; 10] = [
    ("queued", (|states| states.queued, true)),
    ("notified", (|states| states.notified, false)),
    ("in_progress", (|states| states.in_progress, false)),
    ("succeeded", (|states| states.succeeded, false)),
    ("failed", (|states| states.failed, false)),
    ("rejected", (|states| states.rejected, false)),
    ("timed_out", (|states| states.timed_out, true)),
    ("canceled", (|states| states.canceled, true)),
    ("removed", (|states| states.removed, false)),
    ("open", (|states| states.open(), true)),
];
/// What [`COUNTS`] of an operation may be divided by: everything that ended.
const FAILED_SHARE: &str = "failed_share";
const RATE: &str = "rate_per_s";
const SHARE: &str = "_share";
const CONNECTED_SHARE: &str = "connected_share";
const EVENTS_AWAY: &str = "events.away";

/// What can be checked. Numbers are places in the tables above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Latency(Operation, Measure, usize),
    Count(Operation, usize),
    /// Ended operations per second.
    Rate(Operation),
    /// Rejected, timed out and broken over ended.
    FailedShare(Operation),
    State(usize),
    /// The same over all executions.
    StateShare(usize),
    Anomaly(Anomaly),
    Lateness(usize),
    /// Connected things over all things, at the end of the seconds it is about.
    ConnectedShare,
    /// Things that lost their session by an event and are not back, at the end of the seconds it is about.
    EventsAway,
}

fn place<T>(table: &[Named<T>], name: &str) -> Option<usize> {
    table.iter().position(|(known, _)| *known == name)
}

impl Metric {
    /// `start_next.response_ms.p99`, `update.timeout`, `executions.succeeded_share`, ...
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (subject, rest) = text.split_once('.').unwrap_or((text, ""));
        match subject {
            CONNECTED_SHARE if rest.is_empty() => return Some(Self::ConnectedShare),
            _ if text == EVENTS_AWAY => return Some(Self::EventsAway),
            "lateness_ms" => return place(&QUANTILES, rest).map(Self::Lateness),
            "executions" => {
                let state = place(&STATES, rest).map(Self::State);
                let share = || rest.strip_suffix(SHARE).and_then(|rest| place(&STATES, rest)).map(Self::StateShare);
                let anomaly = || Anomaly::ALL.into_iter().find(|anomaly| anomaly.as_str() == rest).map(Self::Anomaly);
                return state.or_else(share).or_else(anomaly);
            }
            _ => {}
        }
        let operation = Operation::ALL.into_iter().find(|operation| operation.as_str() == subject)?;
        match rest.split_once('.') {
            Some(("service_ms", quantile)) => Some(Self::Latency(operation, Measure::Service, place(&QUANTILES, quantile)?)),
            Some(("response_ms", quantile)) if operation.has_response() => {
                Some(Self::Latency(operation, Measure::Response, place(&QUANTILES, quantile)?))
            }
            Some(_) => None,
            None if rest == RATE => Some(Self::Rate(operation)),
            None if rest == FAILED_SHARE => Some(Self::FailedShare(operation)),
            None => Some(Self::Count(operation, place(&COUNTS, rest)?)),
        }
    }

    /// Every name there is.
    pub fn vocabulary() -> impl Iterator<Item = String> {
        let operations = Operation::ALL.into_iter().flat_map(|operation| {
            let measures = if operation.has_response() { &["service_ms", "response_ms"][..] } else { &["service_ms"] };
            let times = measures.iter().flat_map(|measure| QUANTILES.iter().map(move |(name, _)| format!("{measure}.{name}")));
            let counts = COUNTS.iter().map(|(name, _)| (*name).to_owned());
            let names: Vec<String> = times.chain(counts).chain([RATE.to_owned(), FAILED_SHARE.to_owned()]).collect();
            names.into_iter().map(move |name| format!("{}.{name}", operation.as_str()))
        });
        let states = STATES.iter().flat_map(|(name, _)| [format!("executions.{name}"), format!("executions.{name}{SHARE}")]);
        let anomalies = Anomaly::ALL.into_iter().map(|anomaly| format!("executions.{}", anomaly.as_str()));
        let lateness = QUANTILES.iter().map(|(name, _)| format!("lateness_ms.{name}"));
        operations.chain(states).chain(anomalies).chain(lateness).chain([CONNECTED_SHARE, EVENTS_AWAY].map(str::to_owned))
    }

    /// The operation it is about.
    #[must_use]
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Latency(operation, ..) | Self::Count(operation, _) | Self::Rate(operation) | Self::FailedShare(operation) => {
                Some(operation)
            }
            Self::State(_)
            | Self::StateShare(_)
            | Self::Anomaly(_)
            | Self::Lateness(_)
            | Self::ConnectedShare
            | Self::EventsAway => None,
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
            Self::Latency(operation, Measure::Service, n) => write!(f, "{}.service_ms.{}", operation.as_str(), QUANTILES[n].0),
            Self::Latency(operation, Measure::Response, n) => write!(f, "{}.response_ms.{}", operation.as_str(), QUANTILES[n].0),
            Self::Count(operation, n) => write!(f, "{}.{}", operation.as_str(), COUNTS[n].0),
            Self::Rate(operation) => write!(f, "{}.{RATE}", operation.as_str()),
            Self::FailedShare(operation) => write!(f, "{}.{FAILED_SHARE}", operation.as_str()),
            Self::State(n) => write!(f, "executions.{}", STATES[n].0),
            Self::StateShare(n) => write!(f, "executions.{}{SHARE}", STATES[n].0),
            Self::Anomaly(anomaly) => write!(f, "executions.{}", anomaly.as_str()),
            Self::Lateness(n) => write!(f, "lateness_ms.{}", QUANTILES[n].0),
            Self::ConnectedShare => f.write_str(CONNECTED_SHARE),
            Self::EventsAway => f.write_str(EVENTS_AWAY),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
}

/// Two characters before one: `<=` begins with `<`.
const COMPARISONS: [Named<Comparison>; 6] = [
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
    pub comparison: Comparison,
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
    pub metric: Metric,
    pub check: Check,
    /// Only the last seconds count.
    pub over: Option<Duration>,
    pub phase: Option<Phase>,
    pub cohort: Option<String>,
}

/// How a threshold stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdRow {
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
    pub(super) phase: Phase,
    pub(super) phases: PhaseSet,
    /// Whether the service's ledger stands behind states and anomalies.
    pub(super) has_service: bool,
    pub(super) lateness: &'a Distribution,
    pub(super) states: StateCounts,
    pub(super) anomalies: &'a BTreeMap<Anomaly, u64>,
    pub(super) events: &'a [EventRow],
    pub(super) connected: u64,
    pub(super) things: u64,
}

impl SecondView<'_> {
    fn state(&self, n: usize) -> Option<f64> {
        let (count, is_service_only) = STATES[n].1;
        let is_known = self.states.all() > 0 && (self.has_service || !is_service_only);
        is_known.then(|| count(&self.states) as f64)
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
    /// Of the last ones, where only they count.
    last: VecDeque<Gathered>,
    /// How things stood at the end of the last second it is about.
    standing: Option<f64>,
}

impl Watch {
    /// `cohorts` are the names in the order of their scopes.
    pub(super) fn new(threshold: Threshold, cohorts: &[String]) -> Self {
        let place = threshold.cohort.as_ref().and_then(|name| cohorts.iter().position(|cohort| cohort == name));
        let scope = place.map_or(ScopeId::ALL, |place| ScopeId(1 + place as u16));
        Self { threshold, scope, whole: Gathered::default(), last: VecDeque::new(), standing: None }
    }

    pub(super) fn operation(&self) -> Option<Operation> {
        self.threshold.metric.operation()
    }

    /// Takes a second in; `of_operation` is what its operation did in its scope.
    pub(super) fn second(&mut self, view: &SecondView<'_>, of_operation: Option<(Counts, &Distribution, &Distribution)>) {
        if self.threshold.phase.is_some_and(|phase| !view.phases.contains(phase)) {
            return;
        }
        // Nothing is offered any more in the last one, which is not whole either.
        let seconds = u64::from(view.phase != Phase::Done);
        match self.threshold.metric {
            Metric::State(n) => self.standing = view.state(n),
            Metric::StateShare(n) => self.standing = view.state(n).map(|count| count / view.states.all() as f64),
            Metric::Anomaly(anomaly) => {
                let is_known = view.has_service && view.states.all() > 0;
                self.standing = is_known.then(|| view.anomalies.get(&anomaly).copied().unwrap_or(0) as f64);
            }
            // At the end everybody is sent home.
            Metric::ConnectedShare if view.phase == Phase::Done => {}
            Metric::ConnectedShare => {
                self.standing = (view.things > 0).then(|| view.connected as f64 / view.things as f64);
            }
            Metric::EventsAway => {
                let has_begun = view.events.iter().any(|event| event.affected > 0);
                self.standing = has_begun.then(|| view.events.iter().map(EventRow::away).sum::<u64>() as f64);
            }
            Metric::Lateness(_) => {
                self.gather(Gathered { seconds, counts: Counts::default(), times: view.lateness.clone() });
            }
            Metric::Latency(_, measure, _) => {
                let (counts, times) = of_operation.map_or_else(Default::default, |(counts, service, response)| {
                    (counts, if measure == Measure::Service { service } else { response }.clone())
                });
                self.gather(Gathered { seconds, counts, times });
            }
            Metric::Count(..) | Metric::Rate(_) | Metric::FailedShare(_) => {
                let counts = of_operation.map_or_else(Counts::default, |(counts, ..)| counts);
                self.gather(Gathered { seconds, counts, times: Distribution::default() });
            }
        }
    }

    fn gather(&mut self, second: Gathered) {
        match self.threshold.over {
            None => self.whole.add(&second),
            Some(over) => {
                self.last.push_back(second);
                while self.last.len() as u64 > over.as_secs().max(1) {
                    self.last.pop_front();
                }
                self.whole = Gathered::default();
                self.last.iter().for_each(|second| self.whole.add(second));
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
            Metric::Latency(operation, _, n) => {
                let resolution = Resolution::of(operation, self.scope != ScopeId::ALL);
                self.whole.times.latency(resolution).map(|latency| QUANTILES[n].1(&latency))
            }
            Metric::Lateness(n) => self.whole.times.latency(Resolution::SHORT).map(|latency| QUANTILES[n].1(&latency)),
            Metric::Count(_, n) => happened.map(|()| COUNTS[n].1(counts) as f64),
            Metric::Rate(_) => happened.map(|()| counts.finished() as f64 / self.whole.seconds.max(1) as f64),
            Metric::FailedShare(_) => (counts.finished() > 0).then(|| 1.0 - counts.ok as f64 / counts.finished() as f64),
            Metric::State(_) | Metric::StateShare(_) | Metric::Anomaly(_) | Metric::ConnectedShare | Metric::EventsAway => {
                self.standing
            }
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
            phase,
            phases: phase.into(),
            has_service: true,
            lateness: nothing,
            states: StateCounts::default(),
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
            assert_eq!(Metric::parse(&word).map(|metric| metric.to_string()), Some(word));
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
