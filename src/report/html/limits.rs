//! Thresholds as lines: in which chart each of them is, and where.

use super::chart::Limit;
use super::run::Run;
use crate::report::manifest::ThresholdTotals;
use load_metrics::{Check, Measure, Metric, Operation};

/// Lines of thresholds in one chart, at most: the first ones of the scenario.
const LIMITS_MAX: usize = 10;

/// Stages of a connect, which share one chart.
pub(super) const STAGES: [Operation; 4] =
    [Operation::ConnectTcp, Operation::ConnectTls, Operation::ConnectMqtt, Operation::Subscribe];

pub(super) const STAGES_CHART: &str = "connect-stages";
pub(super) const FAILED_CHART: &str = "failed-share";
pub(super) const RATE_CHART: &str = "answers";
pub(super) const EXECUTIONS_CHART: &str = "executions";
pub(super) const LATENESS_CHART: &str = "lateness";
pub(super) const CONNECTED_CHART: &str = "connected";

/// The chart that shows this measure of an operation over time.
pub(super) fn times_chart(operation: Operation, measure: Measure) -> String {
    match measure {
        _ if STAGES.contains(&operation) => STAGES_CHART.to_owned(),
        Measure::Service if operation.has_response() => format!("service-{operation}"),
        Measure::Service | Measure::Response => format!("latency-{operation}"),
    }
}

/// The chart that a threshold is drawn in; `None` for what the files do not have over time.
pub(super) fn chart_of(threshold: &ThresholdTotals) -> Option<String> {
    place(Metric::parse(&threshold.metric)?, 0, 0).map(|(chart, _)| chart)
}

/// The chart of a metric, and what its values are multiplied with there.
fn place(metric: Metric, things: u64, executions: u64) -> Option<(String, f64)> {
    match metric {
        Metric::Latency(operation, measure, _) => Some((times_chart(operation, measure), 1.0)),
        Metric::Rate(_) => Some((RATE_CHART.into(), 1.0)),
        Metric::FailedShare(_) => Some((FAILED_CHART.into(), 100.0)),
        Metric::Executions(_) => Some((EXECUTIONS_CHART.into(), 1.0)),
        Metric::ExecutionsShare(_) => Some((EXECUTIONS_CHART.into(), executions as f64)),
        Metric::Lateness(_) => Some((LATENESS_CHART.into(), 1.0)),
        Metric::ConnectedShare => Some((CONNECTED_CHART.into(), things as f64)),
        Metric::Count(..) | Metric::Anomaly(_) | Metric::EventsAway => None,
    }
}

pub(super) fn of_chart(run: &Run<'_>, chart: &str) -> Vec<Limit> {
    run.manifest.thresholds.iter().filter_map(|threshold| limit(run, chart, threshold)).take(LIMITS_MAX).collect()
}

fn limit(run: &Run<'_>, chart: &str, threshold: &ThresholdTotals) -> Option<Limit> {
    let totals = &run.manifest.totals;
    let (place, factor) = place(Metric::parse(&threshold.metric)?, totals.things, totals.executions.values().sum())?;
    if place != chart {
        return None;
    }
    let ThresholdTotals { metric, check, .. } = threshold;
    let (from, to) = period(run, threshold);
    let about = threshold.about();
    let short = metric.rsplit('.').next().unwrap_or(metric);
    Some(Limit {
        at: Check::parse(check).ok()?.limit * factor,
        from,
        to,
        name: format!("{metric} {check}{about}"),
        check: format!("{short} {check}"),
    })
}

/// The seconds that a threshold is about.
fn period(run: &Run<'_>, threshold: &ThresholdTotals) -> (f64, f64) {
    let last = run.timeline.last();
    let (mut from, mut to) = (0.0, last);
    if let Some(wanted) = &threshold.phase {
        let phases = &run.moments.phases;
        if let Some(place) = phases.iter().position(|(name, _)| name == wanted) {
            from = phases[place].1;
            to = phases.get(place + 1).map_or(last, |next| next.1);
        }
    }
    if let Some(over) = threshold.over_s {
        from = f64::max(from, to - over as f64);
    }
    (from, to)
}
