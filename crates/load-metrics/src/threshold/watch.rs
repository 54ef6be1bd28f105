//! Watches a threshold, second by second.

use super::{ExecutionCount, Metric, Threshold, ThresholdRow};
use crate::execution_stage::StageCounts;
use crate::executions::Anomaly;
use crate::histogram::{Distribution, Resolution};
use crate::interval::Counts;
use crate::recovery::EventRow;
use crate::sample::{Measure, Operation};
use crate::scope::ScopeId;
use crate::{Phase, PhaseSet};
use std::collections::{BTreeMap, VecDeque};

/// What a second says of everything a threshold may be about.
pub(crate) struct SecondView<'a> {
    /// Seconds that it is about.
    pub(crate) span_s: u64,
    pub(crate) phase: Phase,
    pub(crate) phases: PhaseSet,
    pub(crate) lateness: &'a Distribution,
    pub(crate) executions: StageCounts,
    pub(crate) anomalies: &'a BTreeMap<Anomaly, u64>,
    pub(crate) events: &'a [EventRow],
    pub(crate) connected: u64,
    pub(crate) things: u64,
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
pub(crate) struct Watch {
    threshold: Threshold,
    pub(crate) scope: ScopeId,
    /// Of all seconds it is about.
    whole: Gathered,
    /// Of the last ones, where only they count, each with its span in seconds.
    last: VecDeque<(u64, Gathered)>,
    /// How things stood at the end of the last second it is about.
    job_progress: Option<f64>,
}

impl Watch {
    /// `cohorts` are the names in the order of their scopes.
    pub(crate) fn new(threshold: Threshold, cohorts: &[String]) -> Self {
        let place = threshold.cohort.as_ref().and_then(|name| cohorts.iter().position(|cohort| cohort == name));
        let scope = place.map_or(ScopeId::ALL, ScopeId::of_cohort);
        Self { threshold, scope, whole: Gathered::default(), last: VecDeque::new(), job_progress: None }
    }

    pub(crate) fn operation(&self) -> Option<Operation> {
        self.threshold.metric.operation()
    }

    /// Forgets what it has seen, for the seconds that count begin now, in this phase; not where it is about another one.
    pub(crate) fn restart(&mut self, phase: Phase) {
        let is_of_connecting = phase != Phase::Connect && self.operation().is_some_and(Operation::is_connecting);
        if !is_of_connecting && self.threshold.phase.is_none_or(|wanted| wanted == phase) {
            (self.whole, self.last, self.job_progress) = (Gathered::default(), VecDeque::new(), None);
        }
    }

    /// Takes a second in; `of_operation` is what its operation did in its scope.
    pub(crate) fn second(&mut self, view: &SecondView<'_>, of_operation: Option<(Counts, &Distribution, &Distribution)>) {
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

    pub(crate) fn row(&self) -> ThresholdRow {
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
    use crate::{Check, Histogram};
    use std::time::Duration;

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
