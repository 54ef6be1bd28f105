//! Latency over time: percentiles of every operation, and how service and response times part.

use super::Section;
use crate::report::html::chart::{Chart, Figure, Series};
use crate::report::html::histograms::Times;
use crate::report::html::limits::{STAGES, times_chart};
use crate::report::html::run::Run;
use crate::report::html::scale::{Scale, clock};
use crate::report::manifest::Percentiles;
use load_metrics::format::{grouped, milliseconds, plain};
use load_metrics::{Measure, Operation};
use maud::html;
use strum::VariantArray;

type Pick = fn(&Percentiles) -> f64;

const PERCENTILES: [(&str, Pick); 4] = [("p50", |t| t.p50), ("p90", |t| t.p90), ("p99", |t| t.p99), ("max", |t| t.max)];

/// Operations with a chart of their own.
pub(super) fn operations() -> impl Iterator<Item = Operation> {
    Operation::VARIANTS.iter().copied().filter(|operation| !STAGES.contains(operation))
}

pub(super) fn over_time(run: &Run<'_>) -> Section {
    let figures = operations().filter_map(|operation| percentiles(run, operation)).collect();
    let lead = html! { p {
        "Response times, from the intended start of a request; service times for operations without one. A point has all "
        "answers of its span: histograms are merged, percentiles never averaged."
    } };
    let section = Section { lead, ..Section::new("latency", "Latency over time") };
    section.with_charts(figures, "No operation ended: there is no latency.")
}

fn percentiles(run: &Run<'_>, operation: Operation) -> Option<Figure> {
    let measure = if operation.has_response() { Measure::Response } else { Measure::Service };
    let times = run.times.get(&(operation, measure))?;
    let whole = times.whole()?;
    let series = PERCENTILES.map(|(name, pick)| Series { name: name.into(), line: times.line(pick) });
    let when = times.line(|span| span.max).peak().and_then(|(place, _)| run.timeline.fine.ends().nth(place));
    let says = format!(
        "{operation} ended {} times: half within {}, 99 % within {}; the longest took {}, and ended by {}.",
        grouped(times.count()),
        milliseconds(whole.p50),
        milliseconds(whole.p99),
        milliseconds(whole.max),
        clock(when.unwrap_or_default())
    );
    let title = format!("{operation}, {} time", measure.as_str());
    Some(over_the_run(run, times_chart(operation, measure), title, says, series.into()).figure())
}

pub(super) fn service_against_response(run: &Run<'_>) -> Section {
    let figures = operations().filter_map(|operation| both(run, operation)).collect();
    let lead = html! { p {
        "Service time counts from the moment a request was written, response time from its intended start. Where they differ, "
        "requests had to wait: for a session, for a free slot, or for the generator itself."
    } };
    let section = Section { lead, ..Section::new("service", "Service against response") };
    section.with_charts(figures, "No operation that has both times ended.")
}

fn both(run: &Run<'_>, operation: Operation) -> Option<Figure> {
    let [service, response] = [Measure::Service, Measure::Response].map(|measure| run.times.get(&(operation, measure)));
    let (service, response) = (service?, response?);
    let (served, responded) = (service.whole()?.p99, response.whole()?.p99);
    let ratio = (responded / served * 100.0).round() / 100.0;
    let says = format!(
        "Over the run p99 of {operation} is {} as service and {} as response time, {}.",
        milliseconds(served),
        milliseconds(responded),
        if ratio > 1.0 { format!("{} times as much", plain(ratio)) } else { "so there was no wait".into() }
    );
    let line = |name: &str, times: &Times| Series { name: name.into(), line: times.line(|span| span.p99) };
    let series = vec![line("service p99", service), line("response p99", response)];
    Some(over_the_run(run, times_chart(operation, Measure::Service), format!("{operation}, p99 of both"), says, series).figure())
}

/// Milliseconds on a logarithmic axis over the run, with what was to hold.
pub(super) fn over_the_run(run: &Run<'_>, id: String, title: String, says: String, series: Vec<Series>) -> Chart {
    let limits = run.limits(&id);
    let values = series.iter().flat_map(|series| series.line.values()).chain(limits.iter().map(|limit| limit.at));
    let y = Scale::log(values, "ms");
    Chart { id, title, says, x: run.time_axis(), y, series, limits, moments: run.moments.clone(), dots: Vec::new() }
}
