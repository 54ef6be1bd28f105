//! What went wrong: when, and by code.

use super::Section;
use super::traffic::amounts;
use crate::report::html::chart::{Figure, SERIES_MAX, Series};
use crate::report::html::limits::FAILED_CHART;
use crate::report::html::run::{Ended, ErrorRow, Run};
use crate::report::html::scale::clock;
use crate::report::html::text::table;
use crate::report::html::timeline::Line;
use load_metrics::format::{grouped, plain};
use maud::{Markup, html};

pub(super) fn section(run: &Run<'_>) -> Section {
    let section = Section { rest: by_code(&run.errors), ..Section::new("errors", "Errors") };
    section.with_charts(failed(run).into_iter().collect(), "No operation failed.")
}

/// Percent of what ended.
fn share(ended: &Ended) -> Line {
    ended.failed.with(&ended.ok, |failed, ok| (failed + ok > 0.0).then(|| 100.0 * failed / (failed + ok)))
}

fn failed(run: &Run<'_>) -> Option<Figure> {
    let wanted = run.limits(FAILED_CHART);
    let is_drawn = |name: &str, ended: &Ended| {
        ended.failed.values().any(|failed| failed > 0.0) || wanted.iter().any(|limit| limit.name.split('.').next() == Some(name))
    };
    let drawn = run.operations.iter().filter(|(operation, ended)| is_drawn(operation.as_str(), ended));
    let mut series: Vec<Series> =
        drawn.map(|(operation, ended)| Series { name: operation.to_string(), line: share(ended) }).collect();
    series.truncate(SERIES_MAX);
    let highest = |series: &Series| series.line.peak().map_or(0.0, |(_, share)| share);
    let worst = series.iter().reduce(|a, b| if highest(b) > highest(a) { b } else { a })?;
    let says = match worst.line.peak() {
        Some((place, share)) if share > 0.0 => {
            let at = clock(run.timeline.fine.ends().nth(place).unwrap_or_default());
            format!(
                "{} failed most: {} % of what ended by {at} was rejected, timed out or failed with an error.",
                worst.name,
                plain((share * 100.0).round() / 100.0)
            )
        }
        _ => "Nothing that ended was rejected, timed out or failed with an error.".into(),
    };
    Some(amounts(run, (FAILED_CHART, "Operations that failed"), "% of what ended", series, says))
}

fn by_code(errors: &[ErrorRow]) -> Markup {
    let head = ["operation", "kind", "code", "example", "count", "first", "last"].map(str::to_owned).to_vec();
    let row = |error: &ErrorRow| {
        let [first, last] = error.seen.map(|ms| ms.map_or_else(|| "-".into(), |ms| clock(ms / 1e3)));
        let [operation, kind, code] = error.what.clone();
        vec![operation, kind, code, error.example.clone(), grouped(error.count), first, last]
    };
    html! { @if !errors.is_empty() { (table("Errors by code, the most frequent first", head, errors.iter().map(row).collect(), 4)) } }
}
