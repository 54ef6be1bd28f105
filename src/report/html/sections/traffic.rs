//! Connections and throughput, and what generator and endpoint took for it.

use super::Section;
use super::latency::over_the_run;
use crate::report::html::chart::{Chart, Figure, SERIES_MAX, Series};
use crate::report::html::limits::{CONNECTED_CHART, LATENESS_CHART, RATE_CHART};
use crate::report::html::run::Run;
use crate::report::html::scale::{Scale, clock};
use crate::report::html::timeline::{Line, Merge};
use load_metrics::format::{grouped, milliseconds, plain};

pub(super) fn section(run: &Run<'_>) -> Section {
    let figures = [connected(run), connects(run), messages(run), answers(run), lateness(run), cores(run), memory(run)];
    let section = Section::new("traffic", "Connections, throughput and load of the host");
    section.with_charts(figures.into_iter().flatten().collect(), "Not one second was completed: there is nothing to show.")
}

/// From 0 over the run.
pub(super) fn amounts(run: &Run<'_>, (id, title): (&str, &str), unit: &'static str, series: Vec<Series>, says: String) -> Figure {
    let limits = run.limits(id);
    let values = series.iter().flat_map(|series| series.line.values()).chain(limits.iter().map(|limit| limit.at));
    let y = Scale::linear(values, unit);
    let (id, title, moments) = (id.to_owned(), title.to_owned(), run.moments.clone());
    Chart { id, title, says, x: run.time_axis(), y, series, limits, moments, dots: Vec::new() }.figure()
}

/// Of these figures those that there are.
fn series<const N: usize>(run: &Run<'_>, figures: [(&str, &str); N], merge: Merge, factor: f64) -> Vec<Series> {
    let one = |(figure, name): (&str, &str)| Some(Series { name: name.into(), line: run.line(figure, merge)?.scaled(factor) });
    figures.into_iter().filter_map(one).collect()
}

fn peak(run: &Run<'_>, line: &Line) -> String {
    peak_of(line, &run.timeline.fine.ends().collect::<Vec<_>>())
}

/// `12,345 at 1:23`, of a line whose spans end there.
pub(super) fn peak_of(line: &Line, ends: &[f64]) -> String {
    let Some((place, value)) = line.peak() else { return "none".into() };
    format!("{} at {}", plain((value * 100.0).round() / 100.0), clock(ends.get(place).copied().unwrap_or_default()))
}

fn connected(run: &Run<'_>) -> Option<Figure> {
    let series = series(run, [("connected", "connected")], Merge::Last, 1.0);
    let says =
        format!("Of {} things at most {} were connected.", grouped(run.manifest.totals.things), peak(run, &series.first()?.line));
    Some(amounts(run, (CONNECTED_CHART, "Connected things"), "things", series, says))
}

fn connects(run: &Run<'_>) -> Option<Figure> {
    let series = series(run, [("connects_per_s", "new sessions")], Merge::Mean, 1.0);
    let says = format!("Most new sessions a second: {}.", peak(run, &series.first()?.line));
    Some(amounts(run, ("connects", "New sessions"), "sessions a second", series, says))
}

fn messages(run: &Run<'_>) -> Option<Figure> {
    let figures = [("messages_in_per_s", "to things"), ("messages_out_per_s", "from things")];
    let series = series(run, figures, Merge::Mean, 1.0);
    let busiest: Vec<String> = series.iter().map(|series| format!("{} {}", peak(run, &series.line), series.name)).collect();
    let says = format!("Most messages a second: {}.", busiest.join(", "));
    (!series.is_empty()).then(|| amounts(run, ("messages", "Messages"), "messages a second", series, says))
}

fn answers(run: &Run<'_>) -> Option<Figure> {
    let mut busiest: Vec<Series> =
        run.operations.iter().map(|(operation, ended)| Series { name: operation.to_string(), line: ended.ok.clone() }).collect();
    let highest = |series: &Series| series.line.peak().map_or(0.0, |(_, value)| value);
    busiest.retain(|series| highest(series) > 0.0);
    busiest.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    let more = busiest.len().saturating_sub(SERIES_MAX);
    busiest.truncate(SERIES_MAX);
    let first = busiest.first()?;
    let rest = if more > 0 { format!(" {more} rarer operations are not drawn.") } else { String::new() };
    let says = format!("The most frequent operation is {}: {} a second were ok.{rest}", first.name, peak(run, &first.line));
    Some(amounts(run, (RATE_CHART, "Operations that were ok"), "operations a second", busiest, says))
}

fn lateness(run: &Run<'_>) -> Option<Figure> {
    let series = series(run, [("lateness_ms_p99", "p99 of the worst second")], Merge::Worst, 1.0);
    let (_, worst) = series.first()?.line.peak()?;
    let says = format!("In its worst second the generator wrote 99 % of its requests at most {} late.", milliseconds(worst));
    let title = "Lateness: the generator's own delay";
    Some(over_the_run(run, LATENESS_CHART.into(), title.into(), says, series).figure())
}

fn cores(run: &Run<'_>) -> Option<Figure> {
    let figures = [("cpu_share", "generator"), ("endpoint_cpu_share", "local endpoint"), ("shard_busy_max", "busiest shard")];
    let series = series(run, figures, Merge::Mean, 1.0);
    let says =
        format!("Of {} cores the generator kept at most {} busy.", run.manifest.host.cores, peak(run, &series.first()?.line));
    Some(amounts(run, ("cores", "CPU"), "cores", series, says))
}

fn memory(run: &Run<'_>) -> Option<Figure> {
    let series = series(run, [("rss_bytes", "generator"), ("endpoint_rss_bytes", "local endpoint")], Merge::Last, 1e-6);
    let says = format!("The generator had at most this many MB of memory: {}.", peak(run, &series.first()?.line));
    Some(amounts(run, ("memory", "Resident memory"), "MB", series, says))
}
