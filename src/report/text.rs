//! The summary of a run, for people.

use super::grid::Grid;
use super::html::PAGE;
use super::manifest::{EventTotals, Manifest, OperationTotals, Percentiles, ThresholdTotals, Totals, UsageTotals, Verdict};
use super::next;
use load_metrics::format::{UNKNOWN, grouped, grouped_or_unknown, milliseconds, plain};
use load_metrics::{ExecutionStage, ScopeName};
use std::collections::BTreeSet;
use std::path::Path;
use strum::VariantArray;

const ERRORS_SHOWN: usize = 8;

/// What happened, in tables: executions, jobs, operations, errors, the generator itself; and what to do next.
#[must_use]
pub fn summary(manifest: &Manifest, dir: &Path, colour: bool) -> String {
    let totals = &manifest.totals;
    let mut parts = vec![headline(manifest, colour)];
    parts.extend(executions(totals));
    if !totals.rollouts.is_empty() {
        parts.push(rollouts(totals).text());
    }
    if !totals.operations.is_empty() {
        parts.push(operations(totals, &ScopeName::All).text());
        parts.extend(by_transport(totals));
    }
    if !manifest.events.is_empty() {
        parts.push(events(&manifest.events).text());
    }
    if !totals.errors.is_empty() {
        let more = totals.errors.len().saturating_sub(ERRORS_SHOWN);
        let rest = if more > 0 { format!("\n(and {more} more kinds in errors.csv)") } else { String::new() };
        parts.push(errors(totals).text() + &rest);
    }
    if !manifest.thresholds.is_empty() {
        parts.push(thresholds(&manifest.thresholds).text());
    }
    parts.extend(generator(totals));
    parts.extend(manifest.findings.iter().map(|finding| format!("! {finding}")));
    let page = dir.join(PAGE);
    let page = if page.is_file() { format!("\nreport:  {}", page.display()) } else { String::new() };
    parts.push(format!("results: {}{page}{}", dir.display(), next::steps(manifest, dir)));
    parts.join("\n\n")
}

fn headline(manifest: &Manifest, colour: bool) -> String {
    let verdict = manifest.verdict.as_str();
    let shown = match manifest.verdict {
        _ if !colour => verdict.to_owned(),
        Verdict::Pass => format!("\u{1b}[1;32m{verdict}\u{1b}[0m"),
        Verdict::Running | Verdict::Interrupted => format!("\u{1b}[1;33m{verdict}\u{1b}[0m"),
        Verdict::Fail | Verdict::Invalid | Verdict::Error => format!("\u{1b}[1;31m{verdict}\u{1b}[0m"),
    };
    format!("{}  {shown}  {}", manifest.title(), facts(manifest))
}

/// How large the run was, and how long.
pub(super) fn facts(manifest: &Manifest) -> String {
    let totals = &manifest.totals;
    let seconds = totals.run_s;
    format!(
        "{} things, {}:{:02} min, {} messages out, {} in, seed {}",
        grouped(totals.things),
        seconds / 60,
        seconds % 60,
        grouped(totals.messages_out),
        grouped(totals.messages_in),
        manifest.seed
    )
}

/// `None` where there was none.
pub(super) fn executions(totals: &Totals) -> Option<String> {
    let all: u64 = totals.executions.values().sum();
    if all == 0 {
        return None;
    }
    let part = |stage: &ExecutionStage| match totals.executions.get(stage.key()) {
        None => Some(format!("{UNKNOWN} {}", stage.label())),
        Some(0) => None,
        Some(count) => Some(format!("{} {} ({:.1} %)", grouped(*count), stage.label(), 100.0 * *count as f64 / all as f64)),
    };
    let (ended, open): (Vec<_>, Vec<_>) = ExecutionStage::VARIANTS.iter().partition(|stage| stage.is_terminal());
    let parts: Vec<String> = ended.into_iter().chain(open).filter_map(part).collect();
    Some(format!("{} executions: {}", grouped(all), parts.join(", ")))
}

pub(super) fn rollouts(totals: &Totals) -> Grid {
    let head = [
        "job",
        "targets",
        "done",
        "succeeded",
        "failed",
        "rejected",
        "other",
        "50 % after",
        "90 % after",
        "99 % after",
        "all after",
    ];
    let mut grid = Grid::new(1, &head);
    for rollout in &totals.rollouts {
        let count = |stage: ExecutionStage| rollout.executions.get(stage.key()).copied();
        // Without the service ledger all that vanished has the same stage, so their sum is known.
        let other =
            [ExecutionStage::TimedOut, ExecutionStage::Canceled, ExecutionStage::Removed].into_iter().filter_map(count).sum();
        let seconds =
            |n: usize| rollout.seconds_to.get(n).copied().flatten().map_or_else(|| "-".into(), |seconds| format!("{seconds:.0} s"));
        grid.row([
            rollout.job.clone(),
            rollout.targets.map_or_else(|| "-".into(), grouped),
            rollout.done_share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0)),
            grouped_or_unknown(count(ExecutionStage::Succeeded)),
            grouped_or_unknown(count(ExecutionStage::Failed)),
            grouped_or_unknown(count(ExecutionStage::Rejected)),
            grouped(other),
            seconds(0),
            seconds(1),
            seconds(2),
            seconds(3),
        ]);
    }
    grid
}

/// A table for each transport, where a fleet has several.
fn by_transport(totals: &Totals) -> Vec<String> {
    let scopes = totals.operations.iter().map(|row| &row.scope);
    let mut transports: Vec<&ScopeName> = scopes.filter(|scope| matches!(scope, ScopeName::Transport(_))).collect();
    let mut seen = BTreeSet::new();
    transports.retain(|transport| seen.insert(*transport));
    if transports.len() < 2 {
        return Vec::new();
    }
    let table = |scope: &ScopeName| format!("over {}\n{}", scope.name(), operations(totals, scope).text());
    transports.into_iter().map(table).collect()
}

pub(super) fn operations(totals: &Totals, scope: &ScopeName) -> Grid {
    let head =
        ["operation", "ok", "rejected", "timeout", "error", "open", "service p50", "p99", "max", "response p50", "p99", "max"];
    let mut grid = Grid::new(1, &head);
    for row in totals.operations.iter().filter(|row| row.scope == *scope) {
        grid.row(operation(row));
    }
    grid
}

fn operation(row: &OperationTotals) -> Vec<String> {
    let times = |times: Option<Percentiles>| match times {
        Some(times) => [times.p50, times.p99, times.max].map(milliseconds),
        None => ["-", "-", "-"].map(str::to_owned),
    };
    let counts = [row.ok, row.rejected, row.timeout, row.error, row.open].map(grouped);
    [vec![row.operation.clone()], counts.to_vec(), times(row.service_ms).to_vec(), times(row.response_ms).to_vec()].concat()
}

pub(super) fn events(events: &[EventTotals]) -> Grid {
    let head =
        ["event", "at", "for", "affected", "back", "all after", "recovery p50", "p99", "max", "peak/s", "wanted/s", "failed"];
    let mut grid = Grid::new(1, &head);
    let seconds = |seconds: f64| format!("{} s", (seconds * 10.0).round() / 10.0);
    for event in events {
        let times = match event.recovery_ms {
            Some(times) => [times.p50, times.p99, times.max].map(milliseconds),
            None => ["-", "-", "-"].map(str::to_owned),
        };
        let [p50, p99, max] = times;
        grid.row([
            event.kind.clone(),
            seconds(event.at_s),
            seconds(event.lasts_s),
            grouped(event.affected),
            grouped(event.back),
            event.back_ms.map_or_else(|| "-".into(), |ms| seconds(ms / 1e3)),
            p50,
            p99,
            max,
            grouped(event.peak_connects_per_s),
            grouped(event.peak_attempts_per_s),
            grouped(event.failures),
        ]);
    }
    grid
}

/// Those that were seen most.
pub(super) fn errors(totals: &Totals) -> Grid {
    let mut sorted: Vec<_> = totals.errors.iter().collect();
    sorted.sort_by_key(|error| std::cmp::Reverse(error.count));
    let mut grid = Grid::new(4, &["error", "kind", "code", "example", "count"]);
    for error in sorted.iter().take(ERRORS_SHOWN) {
        let example: String = error.example.chars().take(48).collect();
        grid.row([error.operation.clone(), error.kind.clone(), error.code.clone(), example, grouped(error.count)]);
    }
    grid
}

pub(super) fn thresholds(thresholds: &[ThresholdTotals]) -> Grid {
    let mut grid = Grid::new(1, &["threshold", "must be", "is", ""]);
    for threshold in thresholds {
        let is = threshold.value.map_or_else(|| "no sample".into(), plain);
        let word = match threshold.holds {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "-",
        };
        grid.row([threshold.metric.clone() + &threshold.about(), threshold.check.clone(), is, word.into()]);
    }
    grid
}

/// `None` where nothing is known of it.
pub(super) fn generator(totals: &Totals) -> Option<String> {
    let of_generator = totals.generator?;
    let usage =
        |usage: UsageTotals| format!("{:.1} s of CPU, {} MiB of memory at most", usage.cpu_seconds, usage.rss_bytes_max >> 20);
    let mut text = format!("generator: {}", usage(of_generator));
    // The program itself weighs as much as a thousand things.
    if totals.things >= 1000 {
        text += &format!(" ({:.1} KB a thing)", of_generator.rss_bytes_max as f64 / 1000.0 / totals.things as f64);
    }
    if let Some(lateness) = totals.lateness_ms {
        text += &format!("; requests left late by p50 {}, p99 {}", milliseconds(lateness.p50), milliseconds(lateness.p99));
    }
    if let Some(endpoint) = totals.endpoint {
        text += &format!("\nendpoint:  {}", usage(endpoint));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_large_run_fit_120_columns() {
        let event = EventTotals {
            kind: "endpoint-restart".into(),
            at_s: 3_600.0,
            lasts_s: 600.0,
            over_ms: Some(4_200_000.0),
            affected: 100_000,
            back: 99_999,
            failures: 9_999_999,
            back_ms: Some(123_456.7),
            recovery_ms: Some(Percentiles { p50: 99_999.9, p90: 99_999.9, p99: 99_999.9, max: 600_000.0 }),
            peak_connects_per_s: 10_000,
            peak_attempts_per_s: 100_000,
        };
        let text = events(&[event]).text();
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(text.contains("123.5 s") && text.contains("99,999"), "{text}");
    }

    #[test]
    fn the_operations_of_a_large_run_fit_120_columns() {
        let times = Percentiles { p50: 123.4, p90: 1_234.5, p99: 99_999.9, max: 3_600_000.0 };
        let row = |operation: &str, count| OperationTotals {
            scope: ScopeName::All,
            operation: operation.into(),
            started: count,
            ok: count,
            rejected: 99_999,
            timeout: 99_999,
            error: 99_999,
            open: 10_000,
            service_ms: Some(times),
            response_ms: Some(times),
            lost_arrivals: 0,
        };
        let text = operations(
            &Totals { operations: vec![row("connect_mqtt", 10_000), row("puback", 9_999_999)], ..Totals::default() },
            &ScopeName::All,
        )
        .text();
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}
