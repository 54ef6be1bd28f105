//! Events, and how the fleet recovered from them.

use super::Section;
use crate::report::html::run::{MOMENTS_MAX, Run};
use crate::report::html::scale::clock;
use crate::report::html::text::table;
use crate::report::manifest::EventTotals;
use load_metrics::format::{grouped, milliseconds};
use maud::html;

pub(super) fn section(run: &Run<'_>) -> Section {
    let events = &run.manifest.events;
    let section = Section::new("events", "Events and recovery");
    if events.is_empty() {
        return Section { lead: html! { p { "The scenario has no events." } }, ..section };
    }
    let affected: u64 = events.iter().map(|event| event.affected).sum();
    let away: u64 = events.iter().map(EventTotals::away).sum();
    let says = format!(
        "{} events cost {} sessions; {} things were not back at the end. The charts over time show {} as shaded spans with their numbers.",
        events.len(),
        grouped(affected),
        grouped(away),
        if events.len() > MOMENTS_MAX { format!("the first {MOMENTS_MAX}") } else { "them".into() }
    );
    let head = [
        "event",
        "at",
        "lasts",
        "affected",
        "back",
        "failed tries",
        "all back after",
        "recovery p50",
        "p99",
        "max",
        "peak/s",
        "wanted/s",
    ];
    let rows = events.iter().zip(1..).map(row).collect();
    let rest = table("Events: times from the end of each", head.map(str::to_owned).to_vec(), rows, 1);
    Section { lead: html! { p { (says) } }, rest, ..section }
}

fn row((event, number): (&EventTotals, usize)) -> Vec<String> {
    let times = event.recovery_ms.map_or_else(|| ["-"; 3].map(str::to_owned), |ms| [ms.p50, ms.p99, ms.max].map(milliseconds));
    let [p50, p99, max] = times;
    vec![
        format!("{number} {}", event.kind),
        clock(event.at_s),
        format!("{:.1} s", event.lasts_s),
        grouped(event.affected),
        grouped(event.back),
        grouped(event.failures),
        event.back_ms.map_or_else(|| "-".into(), milliseconds),
        p50,
        p99,
        max,
        grouped(event.peak_connects_per_s),
        grouped(event.peak_attempts_per_s),
    ]
}
