//! Percentile curves: the whole distribution of an operation, each nine with the same room.

use super::Section;
use super::latency::operations;
use crate::report::html::chart::{Axis, Chart, Figure, Moments, Series};
use crate::report::html::histograms::Times;
use crate::report::html::run::Run;
use crate::report::html::scale::Scale;
use crate::report::html::timeline::Line;
use load_metrics::format::{grouped, milliseconds};
use load_metrics::{Measure, Operation};
use maud::html;

/// Points for each nine.
const POINTS_A_NINE: i32 = 20;
/// Nines that a histogram can have counts for.
const NINES_MAX: i32 = 15;

pub(super) fn section(run: &Run<'_>) -> Section {
    let figures = operations().filter_map(|operation| of_operation(run, operation)).collect();
    let lead = html! { p { "Every answer of the run. The last point of a line is the slowest answer." } };
    let section = Section { lead, ..Section::new("percentiles", "Percentile curves") };
    section.with_charts(figures, "No operation ended: there is no distribution.")
}

fn of_operation(run: &Run<'_>, operation: Operation) -> Option<Figure> {
    let measures = [Measure::Service, Measure::Response];
    let curves: Vec<(String, &Times)> =
        measures.iter().filter_map(|measure| Some((measure.as_str().to_owned(), run.times.get(&(operation, *measure))?))).collect();
    let (name, times) = curves.last()?;
    let whole = times.whole()?;
    let says = format!(
        "{operation} ended {} times: half had a {name} time of at most {}, 90 % of {}, 99 % of {}{}; the longest took {}.",
        grouped(times.count()),
        milliseconds(whole.p50),
        milliseconds(whole.p90),
        milliseconds(whole.p99),
        times.at(0.999).map_or_else(String::new, |p999| format!(", 99.9 % of {}", milliseconds(p999))),
        milliseconds(whole.max)
    );
    Some(curve_chart(format!("curve-{operation}"), format!("{operation}, percentiles"), says, &curves).figure())
}

/// Curves of several distributions on one axis.
pub(super) fn curve_chart(id: String, title: String, says: String, curves: &[(String, &Times)]) -> Chart {
    let counts = curves.iter().map(|(_, times)| times.count() as f64);
    let count = counts.clone().fold(1.0, f64::max);
    let steps = (0..=NINES_MAX * POINTS_A_NINE).map(|n| 10_f64.powf(f64::from(n) / f64::from(POINTS_A_NINE)));
    let mut fine: Vec<f64> = steps.take_while(|at| *at < count).chain(counts).collect();
    fine.sort_by(f64::total_cmp);
    fine.dedup();
    let nines = (1..=NINES_MAX).map(|nines| 10_f64.powi(nines));
    let coarse: Vec<f64> = [2.0, 4.0].into_iter().chain(nines).take_while(|at| *at < count).chain([f64::INFINITY]).collect();
    let line = |times: &Times| Line {
        fine: fine.iter().map(|at| value(times, *at)).collect(),
        coarse: coarse.iter().map(|at| value(times, *at)).collect(),
    };
    let series: Vec<Series> = curves.iter().map(|(name, times)| Series { name: name.clone(), line: line(times) }).collect();
    let y = Scale::log(series.iter().flat_map(|series| series.line.values()), "ms");
    let x = Axis { scale: Scale::percentiles(count as u64), fine, coarse, head: "percentile" };
    Chart { id, title, says, x, y, series, limits: Vec::new(), moments: Moments::default(), dots: Vec::new() }
}

/// In milliseconds at 1 / (1 - p): one answer in so many took longer. The longest answer stands at their number, which is the last one
/// that can be told.
fn value(times: &Times, at: f64) -> Option<f64> {
    let count = times.count() as f64;
    match at {
        at if at < count => times.at(1.0 - 1.0 / at),
        at if at.is_infinite() || (at - count).abs() < 0.5 => times.whole().map(|whole| whole.max),
        _ => None,
    }
}
