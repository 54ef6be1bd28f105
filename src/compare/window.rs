//! The seconds of a run that count, and what was measured in them.

use crate::report::{RunSeconds, Second};
use load_metrics::{Measure, Operation, Phase, Resolution};
use run_compare::{Estimate, Resampling, Values, ratio};
use std::collections::BTreeMap;

/// Units of a long run, at most: seconds that lie side by side share one.
const UNITS_MAX: usize = 512;
/// The percentiles that are compared.
pub(super) const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Units of time, each of a whole number of rows.
pub(super) struct Window {
    /// By the second at which a row ends.
    units: BTreeMap<u64, usize>,
    seconds: Vec<f64>,
    resampling: Resampling,
}

/// How an operation ended, unit by unit.
pub(super) struct Ended {
    /// Ended, and of these refused, timed out or broken.
    units: Vec<(f64, f64)>,
}

impl Window {
    /// Steady or rolling out: the fleet is connected and has not begun to end.
    pub(super) fn measured(run: &RunSeconds, skip_s: u64, stream: u64) -> Self {
        let is_main = |second: &&Second| [Phase::Steady, Phase::Rollout].iter().any(|phase| phase.as_str() == second.phase);
        let counts = |second: &&Second| second.end_s - second.span_s >= skip_s && is_main(second);
        Self::new(run.seconds.iter().filter(counts), stream)
    }

    /// All of it: connecting lies at its beginning.
    pub(super) fn whole(run: &RunSeconds, stream: u64) -> Self {
        Self::new(run.seconds.iter(), stream)
    }

    fn new<'a>(rows: impl Iterator<Item = &'a Second>, stream: u64) -> Self {
        let rows: Vec<&Second> = rows.collect();
        let joined = rows.len().div_ceil(UNITS_MAX).max(1);
        let mut seconds = vec![0.0; rows.len().div_ceil(joined)];
        let mut units = BTreeMap::new();
        for (place, row) in rows.iter().enumerate() {
            seconds[place / joined] += row.span_s as f64;
            units.insert(row.end_s, place / joined);
        }
        let resampling = Resampling::new(seconds.len(), stream);
        Self { units, seconds, resampling }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The times of an operation, in ticks.
    pub(super) fn times(&self, run: &RunSeconds, operation: Operation, measure: Measure) -> Values {
        let mut units = vec![Vec::new(); self.seconds.len()];
        for times in run.times.iter().filter(|times| (times.operation, times.measure) == (operation, measure)) {
            if let Some(unit) = self.units.get(&times.end_s) {
                units[*unit].extend(&times.buckets);
            }
        }
        Values::new(&units)
    }

    /// Percentiles of times, in milliseconds.
    pub(super) fn percentiles(&self, times: &Values, operation: Operation) -> Option<[Estimate; QUANTILES.len()]> {
        let tick_ms = Resolution::of(operation, false).ms(1.0);
        Some(times.quantiles(QUANTILES, &self.resampling)?.map(|estimate| estimate.scaled(tick_ms)))
    }

    pub(super) fn ended(&self, run: &RunSeconds, operation: Operation) -> Ended {
        let mut units = vec![(0.0, 0.0); self.seconds.len()];
        for counts in run.counts.iter().filter(|counts| counts.operation == operation) {
            if let Some(unit) = self.units.get(&counts.end_s) {
                units[*unit].0 += (counts.ok + counts.failed) as f64;
                units[*unit].1 += counts.failed as f64;
            }
        }
        Ended { units }
    }

    /// Ended operations per second. Its seconds follow the plan of the rollout, so they do not tell how much it varies; what is known of a
    /// run alone is that its length was rounded to a whole number of rows.
    pub(super) fn rate(&self, ended: &Ended) -> Option<Estimate> {
        let seconds: f64 = self.seconds.iter().sum();
        let rate = ended.count() / seconds;
        (rate.is_finite() && rate > 0.0).then(|| Estimate { ln: rate.ln(), variance: (self.units.len() as f64).powi(-2) / 12.0 })
    }

    /// Failed over ended, with half a failure added, so that none at all has a logarithm, too.
    pub(super) fn failed_share(&self, ended: &Ended) -> Option<Estimate> {
        let units = ended.units.len() as f64;
        let parts: Vec<(f64, f64)> =
            ended.units.iter().map(|(ended, failed)| (failed + 0.5 / units, ended + 1.0 / units)).collect();
        ratio(&parts, &self.resampling)
    }
}

impl Ended {
    pub(super) fn count(&self) -> f64 {
        self.units.iter().map(|unit| unit.0).sum()
    }

    pub(super) fn failed(&self) -> f64 {
        self.units.iter().map(|unit| unit.1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{SecondCounts, SecondTimes};

    fn run(phases: &[&str]) -> RunSeconds {
        let seconds = phases.iter().zip(1..).map(|(phase, end_s)| Second { end_s, span_s: 1, phase: (*phase).to_owned() });
        let ends = 1..=phases.len() as u64;
        let times = |end_s| SecondTimes {
            end_s,
            operation: Operation::Update,
            measure: Measure::Response,
            buckets: vec![(1_000 * end_s, 10)],
        };
        let counts = |end_s| SecondCounts { end_s, operation: Operation::Update, ok: 9, failed: 1 };
        RunSeconds { seconds: seconds.collect(), counts: ends.clone().map(counts).collect(), times: ends.map(times).collect() }
    }

    #[test]
    fn only_the_main_phases_behind_the_warm_up_count() {
        let run = run(&["connect", "connect", "steady", "rollout", "rollout", "drain", "done"]);
        let count = |window: &Window| window.times(&run, Operation::Update, Measure::Response).count();
        assert_eq!(count(&Window::measured(&run, 0, 1)), 30);
        assert_eq!(count(&Window::measured(&run, 3, 1)), 20);
        assert_eq!(count(&Window::whole(&run, 1)), 70);
        assert!(Window::measured(&run, 10, 1).is_empty());
    }

    #[test]
    fn times_are_in_milliseconds_and_rates_per_second() {
        let run = run(&["steady"; 9]);
        let window = Window::measured(&run, 0, 1);
        let times = window.times(&run, Operation::Update, Measure::Response);
        let [p50, p90, _] = window.percentiles(&times, Operation::Update).unwrap();
        assert!((p50.value() - 5.0).abs() < 1e-9 && (p90.value() - 9.0).abs() < 1e-9);
        let ended = window.ended(&run, Operation::Update);
        assert_eq!((ended.count(), ended.failed()), (90.0, 9.0));
        let rate = window.rate(&ended).unwrap();
        assert!((rate.value() - 10.0).abs() < 1e-9 && (rate.variance - 1.0 / (12.0 * 81.0)).abs() < 1e-12);
        assert!((window.failed_share(&ended).unwrap().value() - 9.5 / 91.0).abs() < 1e-9);
        let none = window.ended(&run, Operation::Describe);
        assert!(window.rate(&none).is_none() && window.times(&run, Operation::Describe, Measure::Response).count() == 0);
    }

    #[test]
    fn a_long_run_has_few_units_and_loses_no_second() {
        let run = run(&vec!["steady"; 2_000]);
        let window = Window::measured(&run, 0, 1);
        assert_eq!((window.seconds.len(), window.seconds.iter().sum::<f64>()), (500, 2_000.0));
        assert_eq!(window.times(&run, Operation::Update, Measure::Response).count(), 20_000);
    }
}
