//! Which figures are compared, and their values in every run.

use super::sides::{RunFolder, Side, Sides};
use super::window::{Ended, QUANTILES, Window};
use load_metrics::format::grouped;
use load_metrics::{Measure, Metric, Operation, Statistic};
use run_compare::{Better, Estimate, Sample};
use serde::Serialize;
use std::ops::RangeFrom;

/// Operations that are compared. The stages of a connect and the acknowledgement of a request are parts of these, and when a thing first
/// hears of a job is for the rollout to say.
const OPERATIONS: [Operation; 10] = [
    Operation::Connect,
    Operation::Reconnect,
    Operation::GetPending,
    Operation::StartNext,
    Operation::Describe,
    Operation::Update,
    Operation::NotifyNext,
    Operation::Execution,
    Operation::Telemetry,
    Operation::Download,
];
/// In the order of [`QUANTILES`].
const STATISTICS: [Statistic; QUANTILES.len()] = [Statistic::P50, Statistic::P90, Statistic::P99];
/// Values that have to lie beyond a percentile, for it to be known.
const BEYOND_MIN: f64 = 10.0;
/// Ended operations from which on there is a rate, or a share of failures.
const ENDED_MIN: f64 = 10.0;

/// A figure with its values on both sides.
pub(super) struct Figure {
    pub(super) metric: Metric,
    pub(super) sample: Sample,
}

/// A figure that is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NotCompared {
    pub(super) figure: String,
    pub(super) why: String,
}

/// All figures, in the order of every table.
pub(super) fn figures(sides: &Sides, skip_s: u64) -> (Vec<Figure>, Vec<NotCompared>) {
    let mut streams = 0..;
    let runs = [&sides.base, &sides.run, &sides.noise].map(|side| counted(side, skip_s, &mut streams));
    let mut found = Found::default();
    for operation in OPERATIONS {
        found.operation(operation, &Group::new(&runs, operation));
    }
    (found.figures, found.not_compared)
}

/// The runs of a side, each with a stream of chance of its own.
fn counted<'a>(side: &'a Side, skip_s: u64, streams: &mut RangeFrom<u64>) -> Vec<Counted<'a>> {
    side.runs.iter().zip(streams).map(|(run, stream)| Counted::new(run, skip_s, stream)).collect()
}

/// A run with the seconds that count of it.
struct Counted<'a> {
    run: &'a RunFolder,
    measured: Window,
    whole: Window,
}

impl<'a> Counted<'a> {
    fn new(run: &'a RunFolder, skip_s: u64, stream: u64) -> Self {
        let seconds = &run.seconds;
        Self { run, measured: Window::measured(seconds, skip_s, stream), whole: Window::whole(seconds, stream) }
    }

    fn window(&self, operation: Operation) -> &Window {
        if operation.is_connecting() { &self.whole } else { &self.measured }
    }

    fn measure(&self, operation: Operation) -> Measured {
        let window = self.window(operation);
        let seconds = &self.run.seconds;
        let values = window.times(seconds, operation, measure_of(operation));
        let ended = window.ended(seconds, operation);
        Measured {
            values: values.count() as f64,
            percentiles: window.percentiles(&values, operation),
            rate: window.rate(&ended),
            failed_share: window.failed_share(&ended),
            ended,
        }
    }
}

/// Response times, and service times of what has no moment at which it was meant to begin.
fn measure_of(operation: Operation) -> Measure {
    if operation.has_response() { Measure::Response } else { Measure::Service }
}

/// What a run measured of an operation.
struct Measured {
    values: f64,
    percentiles: Option<[Estimate; QUANTILES.len()]>,
    ended: Ended,
    rate: Option<Estimate>,
    failed_share: Option<Estimate>,
}

/// What all runs measured of an operation.
struct Group {
    /// Of BASE, of RUN, and of the earlier runs.
    sides: [Vec<Measured>; 3],
    /// Whether any second counts of BASE, and of RUN.
    has_seconds: [bool; 2],
}

impl Group {
    fn new(runs: &[Vec<Counted<'_>>; 3], operation: Operation) -> Self {
        let [base, run, _] = runs;
        let has_seconds = [base, run].map(|side| side.iter().any(|run| !run.window(operation).is_empty()));
        Self { sides: runs.each_ref().map(|side| side.iter().map(|run| run.measure(operation)).collect()), has_seconds }
    }

    /// Whether any run of each side has something.
    fn has(&self, of: impl Fn(&Measured) -> f64) -> [bool; 2] {
        let [base, run, _] = &self.sides;
        [base, run].map(|side| side.iter().any(|measured| of(measured) > 0.0))
    }

    /// Of the run that has the least.
    fn least(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        self.sides.iter().flatten().map(of).fold(f64::INFINITY, f64::min)
    }

    fn sample(&self, better: Better, of: impl Fn(&Measured) -> Option<Estimate>) -> Option<Sample> {
        let [base, run, noise] = self.sides.each_ref().map(|side| side.iter().map(&of).collect::<Option<Vec<Estimate>>>());
        Some(Sample { base: base?, run: run?, noise: noise?, better })
    }
}

#[derive(Default)]
struct Found {
    figures: Vec<Figure>,
    not_compared: Vec<NotCompared>,
}

impl Found {
    fn operation(&mut self, operation: Operation, group: &Group) {
        match group.has(|measured| measured.ended.count()) {
            [false, false] => return,
            [true, true] => {}
            [of_base, _] => {
                let (has, lacks) = if of_base { ("BASE", "RUN") } else { ("RUN", "BASE") };
                let is_too_short = !group.has_seconds[usize::from(of_base)];
                let why = if is_too_short { format!("no second of {lacks} counts") } else { format!("only {has} has it") };
                return self.not_compared.push(NotCompared { figure: operation.to_string(), why });
            }
        }
        if group.has(|measured| measured.values).contains(&true) {
            let values = group.least(|measured| measured.values);
            for (n, statistic) in STATISTICS.into_iter().enumerate() {
                let metric = Metric::Latency(operation, measure_of(operation), statistic);
                let wanted = (BEYOND_MIN / (1.0 - QUANTILES[n])).round();
                let sample = group.sample(Better::Lower, |measured| Some(measured.percentiles?[n]));
                self.figure(metric, sample, values, wanted);
            }
        }
        let ended = group.least(|measured| measured.ended.count());
        // How fast a fleet connects is in its scenario.
        if !operation.is_connecting() {
            self.figure(Metric::Rate(operation), group.sample(Better::Higher, |measured| measured.rate), ended, ENDED_MIN);
        }
        if group.has(|measured| measured.ended.failed()).contains(&true) {
            let sample = group.sample(Better::Lower, |measured| measured.failed_share);
            self.figure(Metric::FailedShare(operation), sample, ended, ENDED_MIN);
        }
    }

    fn figure(&mut self, metric: Metric, sample: Option<Sample>, least: f64, wanted: f64) {
        match sample.filter(|_| least >= wanted) {
            Some(sample) => self.figures.push(Figure { metric, sample }),
            None => {
                let [least, wanted] = [least, wanted].map(|count| grouped(count as u64));
                let why = format!("it takes {wanted} samples in every run, and one has {least}");
                self.not_compared.push(NotCompared { figure: metric.to_string(), why });
            }
        }
    }
}
