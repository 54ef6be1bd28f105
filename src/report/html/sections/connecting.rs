//! What a connect consists of: TCP, TLS, MQTT, subscriptions.

use super::Section;
use super::latency::over_the_run;
use super::percentiles::curve_chart;
use crate::report::html::chart::Series;
use crate::report::html::histograms::Times;
use crate::report::html::limits::{STAGES, STAGES_CHART};
use crate::report::html::run::Run;
use load_metrics::format::milliseconds;
use load_metrics::{Measure, Operation};

pub(super) fn section(run: &Run<'_>) -> Section {
    let stages: Vec<(String, &Times)> =
        STAGES.iter().filter_map(|stage| Some((name(*stage), run.times.get(&(*stage, Measure::Service))?))).collect();
    let section = Section::new("connecting", "Connect stages");
    let medians: Vec<(&str, f64)> = stages.iter().filter_map(|(name, times)| Some((name.as_str(), times.whole()?.p50))).collect();
    let Some(longest) = medians.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }) else {
        return section.with_charts(Vec::new(), "No thing connected.");
    };
    let parts: Vec<String> = medians.iter().map(|(name, median)| format!("{name} {}", milliseconds(*median))).collect();
    let says = format!("The median connect spends most of its time in {}: {}.", longest.0, parts.join(", "));
    let curves = curve_chart("connect-curves".into(), "Stages of a connect, percentiles".into(), says, &stages);
    let series = stages.iter().map(|(name, times)| Series { name: format!("{name} p99"), line: times.line(|span| span.p99) });
    let slowest =
        stages.iter().filter_map(|(name, times)| Some((name, times.whole()?.p99))).reduce(|a, b| if b.1 > a.1 { b } else { a });
    let says =
        slowest.map_or_else(String::new, |(name, p99)| format!("Over the run {name} has the highest p99, {}.", milliseconds(p99)));
    let over_time = over_the_run(run, STAGES_CHART.into(), "Stages of a connect, p99 over time".into(), says, series.collect());
    section.with_charts(vec![curves.figure(), over_time.figure()], "")
}

/// `connect_tls` is the stage `tls`.
fn name(stage: Operation) -> String {
    let name = stage.as_str();
    name.strip_prefix("connect_").unwrap_or(name).to_owned()
}
