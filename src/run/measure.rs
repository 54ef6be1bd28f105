//! A run that is one step of a search: a load is offered for a while, and only the seconds after its warm-up are measured.

use load_metrics::{
    Comparison, Counts, Distribution, ErrorKey, HEALTH_WINDOW_S, Latency, Measure, Metric, Operation, ProcessUsage, Resolution,
    ScopeName, Snapshot, Threshold,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// A step can have this many times the requests that its load plans, retries and clumps included; that more of them come is left out.
const REQUESTS_MAX: f64 = 2.0;

/// From when on the load is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBegins {
    /// Connecting is the load.
    AtOnce,
    /// Once every thing has been connected.
    Connected,
    /// With the first job.
    Rollout,
}

/// What of a run is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurePlan {
    pub begins: LoadBegins,
    /// Seconds of the load before the first one that counts.
    pub warm_up: u64,
    /// Seconds that count; the run ends after them.
    pub seconds: u64,
    /// What the load makes things begin, and how often a second, where that is known.
    pub planned: Option<(Operation, f64)>,
}

/// One operation over the measured seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredOperation {
    pub counts: Counts,
    /// Intended to finished; `None` where nothing has such a time.
    pub response: Option<Latency>,
}

/// A process over the measured seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeasuredProcess {
    /// Cores kept busy, on average.
    pub cpu_share: f64,
    /// Resident memory at its highest.
    pub rss_bytes: u64,
}

/// The figures of the measured seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// How many of them there were.
    pub seconds: u64,
    /// Over the whole fleet.
    pub operations: BTreeMap<Operation, MeasuredOperation>,
    /// Things connected at their end.
    pub connected: u64,
    /// Executions that became known.
    pub executions: u64,
    pub errors: BTreeMap<ErrorKey, u64>,
    pub generator: MeasuredProcess,
    /// `None` without a local endpoint.
    pub endpoint: Option<MeasuredProcess>,
    /// First connects that were planned.
    pub planned_connects: u64,
    /// The step ended before its time: a threshold could not be held any more.
    pub is_lost: bool,
}

/// Gathers them.
pub(super) struct Measuring {
    plan: MeasurePlan,
    thresholds: Vec<Threshold>,
    /// Seconds from the origin; `None` until the load begins.
    window: Option<Range<u64>>,
    times: BTreeMap<(Operation, Measure), Distribution>,
    /// As they were before the first measured second.
    errors_before: BTreeMap<ErrorKey, u64>,
    executions_before: u64,
    measured: Measured,
    is_over: bool,
}

impl Measuring {
    pub(super) fn new(plan: MeasurePlan, thresholds: &[Threshold]) -> Self {
        Self {
            plan,
            thresholds: thresholds.to_vec(),
            window: None,
            times: BTreeMap::new(),
            errors_before: BTreeMap::new(),
            executions_before: 0,
            measured: Measured::default(),
            is_over: false,
        }
    }

    /// The load begins in this second, if it is one that begins so; gives the seconds that count, once.
    pub(super) fn begin(&mut self, begins: LoadBegins, second: u64) -> Option<Range<u64>> {
        if self.window.is_some() || begins != self.plan.begins {
            return None;
        }
        // The second under way is not whole.
        let first = second + u64::from(begins != LoadBegins::AtOnce) + self.plan.warm_up;
        self.window = Some(first..first + self.plan.seconds);
        self.window.clone()
    }

    /// Whether all is measured, or no more needs to be.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes a second in.
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        let second = snapshot.t_s.saturating_sub(1);
        let errors = || snapshot.errors.iter().map(|(key, tally)| (*key, tally.count));
        let Some(window) = self.window.clone().filter(|window| second >= window.start) else {
            self.errors_before = errors().collect();
            self.executions_before = snapshot.executions.all();
            return;
        };
        if self.is_over || second >= window.end {
            return;
        }
        let before = |key: &ErrorKey| self.errors_before.get(key).copied().unwrap_or(0);
        let Measured { seconds, operations, connected, executions, errors: new_errors, generator, endpoint, .. } =
            &mut self.measured;
        *seconds += 1;
        *connected = snapshot.connected;
        *executions = snapshot.executions.all().saturating_sub(self.executions_before);
        *new_errors = errors().map(|(key, count)| (key, count - before(&key))).filter(|(_, count)| *count > 0).collect();
        generator.take(&snapshot.generator.unwrap_or_default(), *seconds);
        if let Some(usage) = &snapshot.endpoint {
            endpoint.get_or_insert_default().take(usage, *seconds);
        }
        for row in snapshot.second.iter().filter(|row| row.scope == ScopeName::All) {
            operations.entry(row.operation).or_default().counts += row.counts;
        }
        for times in snapshot.fleet_times() {
            self.times.entry((times.operation, times.measure)).or_default().merge(&times.distribution);
        }
        // Whether it was the generator that was slow is judged over so many seconds.
        let can_be_judged = self.measured.seconds >= HEALTH_WINDOW_S as u64;
        self.measured.is_lost = can_be_judged && self.thresholds.iter().any(|threshold| self.is_lost(threshold));
        self.is_over = self.measured.is_lost || second + 1 == window.end;
    }

    /// Whether more values are above the limit than all values of the step could make good, in whatever order they came.
    fn is_lost(&self, threshold: &Threshold) -> bool {
        let Metric::Latency(operation, measure, statistic) = threshold.metric else { return false };
        let is_upper = matches!(threshold.check.comparison, Comparison::Below | Comparison::AtMost);
        let is_of_all = threshold.over.is_none() && threshold.phase.is_none() && threshold.cohort.is_none();
        let (Some((planned, per_s)), Some(quantile)) = (self.plan.planned, statistic.quantile()) else { return false };
        if planned != operation || !is_upper || !is_of_all {
            return false;
        }
        let Some(times) = self.times.get(&(operation, measure)) else { return false };
        let values_max = (REQUESTS_MAX * per_s * self.plan.seconds as f64).max(times.count() as f64).ceil();
        // As percentiles are counted: so many of as many values may be above the limit.
        let above_max = values_max - (quantile * values_max).ceil();
        times.count_above(threshold.check.limit, Resolution::of(operation, false)) as f64 > above_max
    }

    /// The figures; `starts` are the planned first connects, in seconds from the origin.
    pub(super) fn finish(mut self, starts: impl Iterator<Item = f64>) -> Measured {
        for ((operation, measure), times) in &self.times {
            if *measure == Measure::Response {
                let response = times.latency(Resolution::of(*operation, false));
                self.measured.operations.entry(*operation).or_default().response = response;
            }
        }
        if self.measured.seconds == 0 {
            // The load never began: all that went wrong is why.
            self.measured.errors = self.errors_before;
        }
        let from = self.window.as_ref().map_or(0.0, |window| window.start as f64);
        let until = from + self.measured.seconds as f64;
        self.measured.planned_connects = starts.filter(|start| (from..until).contains(start)).count() as u64;
        self.measured
    }
}

impl MeasuredProcess {
    /// Takes second number `seconds` in, from 1.
    fn take(&mut self, usage: &ProcessUsage, seconds: u64) {
        self.cpu_share += (usage.cpu_share - self.cpu_share) / seconds as f64;
        self.rss_bytes = self.rss_bytes.max(usage.rss_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::ThingName;
    use iot_jobs::instant::Mono;
    use load_metrics::ErrorKind;
    use load_metrics::{Check, Collector, CollectorSettings, Outcome, Phase, Recorder, Sample, Scope, SecondInput};
    use std::sync::Arc;
    use std::time::Duration;

    const ORIGIN: Mono = Mono(7_000_000_000);

    fn threshold(check: &str) -> Threshold {
        let metric = Metric::parse("describe.response_ms.p99").unwrap();
        Threshold { metric, check: Check::parse(check).unwrap(), over: None, phase: None, cohort: None }
    }

    /// Seconds of so many requests, each answered after so many milliseconds.
    fn seconds(story: &[(u64, u64)]) -> Vec<Arc<Snapshot>> {
        let mut shard = Recorder::new(ORIGIN, 1, 1);
        let mut collector = Collector::new(CollectorSettings {
            origin: ORIGIN,
            things: vec![ThingName::new("t").unwrap()],
            cohorts: vec!["a".into()],
            transports: vec!["mqtt".into()],
            has_service: false,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 1,
        });
        let at = |ms: u64| ORIGIN + Duration::from_millis(ms);
        let mut snapshots = Vec::new();
        for ((count, ms), second) in story.iter().zip(0..) {
            for _ in 0..*count {
                let (operation, scope, outcome) = (Operation::Describe, Scope::default(), Outcome::Ok);
                shard.start(operation, scope);
                let finished = at(second * 1_000 + 500);
                let intended = Mono(finished.0 - ms * 1_000_000);
                shard.finish(&Sample { operation, scope, outcome, intended, sent: intended, finished });
            }
            shard.error(Operation::Describe, ErrorKind::Rejected, "RequestThrottled", at(second * 1_000), String::new);
            shard.advance(at(second * 1_000 + 1_000));
            snapshots.push(collector.second(SecondInput {
                span_s: 1,
                second,
                phase: Phase::Steady,
                phases: Phase::Steady.into(),
                intervals: vec![shard.poll_interval().unwrap()],
                intervals_lost: 0,
                ledger: Vec::new(),
                generator: Some(ProcessUsage { cpu_share: 0.5, rss_bytes: 7, ..ProcessUsage::default() }),
                endpoint: None,
            }));
        }
        snapshots
    }

    fn measuring(warm_up: u64, seconds: u64, check: &str) -> Measuring {
        let planned = Some((Operation::Describe, 10.0));
        Measuring::new(MeasurePlan { begins: LoadBegins::Connected, warm_up, seconds, planned }, &[threshold(check)])
    }

    #[test]
    fn only_whole_seconds_after_the_warm_up_count() {
        let mut measuring = measuring(2, 3, "< 1000");
        assert_eq!(measuring.begin(LoadBegins::Rollout, 0), None);
        assert_eq!(measuring.begin(LoadBegins::Connected, 1), Some(4..7), "the second under way is not whole");
        assert_eq!(measuring.begin(LoadBegins::Connected, 3), None, "once");
        for (snapshot, second) in
            seconds(&[(9, 900), (9, 900), (9, 900), (9, 900), (10, 20), (11, 20), (12, 20), (9, 900)]).iter().zip(0..)
        {
            assert_eq!(measuring.is_over(), second >= 7);
            measuring.take(snapshot);
        }
        let measured = measuring.finish([3.5, 4.0, 6.9, 7.0].into_iter());
        let describe = &measured.operations[&Operation::Describe];
        assert_eq!((measured.seconds, describe.counts.started, describe.response.unwrap().max.round()), (3, 33, 20.0));
        assert_eq!(measured.errors.values().sum::<u64>(), 3);
        assert_eq!((measured.generator, measured.planned_connects), (MeasuredProcess { cpu_share: 0.5, rss_bytes: 7 }, 2));
    }

    #[test]
    fn a_step_ends_early_once_no_order_of_its_requests_could_pass() {
        // 10/s planned for 60 s: of twice as many, 12 may be above the limit.
        let end = |story: &[(u64, u64)]| {
            let mut measuring = measuring(0, 60, "< 1000");
            measuring.begin(LoadBegins::Connected, 0);
            let snapshots = seconds(story);
            for snapshot in &snapshots {
                if measuring.is_over() {
                    break;
                }
                measuring.take(snapshot);
            }
            (measuring.measured.seconds, measuring.measured.is_lost)
        };
        let mut story = vec![(10, 20); 61];
        story[20].0 = 12;
        story[20].1 = 2_000;
        assert_eq!(end(&story), (60, false), "12 are not enough");
        story[30] = (1, 2_000);
        assert_eq!(end(&story), (30, true), "13 are");
        assert_eq!(end(&[(10, 2_000); 61]), (10, true), "but not before the generator can be judged");
    }

    #[test]
    fn of_a_load_that_never_began_all_errors_are_told() {
        let mut measuring = measuring(0, 3, "< 1000");
        seconds(&[(1, 20), (1, 20)]).iter().for_each(|snapshot| measuring.take(snapshot));
        let measured = measuring.finish(std::iter::empty());
        assert_eq!((measured.seconds, measured.errors.values().sum::<u64>()), (0, 2));
    }
}
