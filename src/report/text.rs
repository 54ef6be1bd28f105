//! The summary of a run, for people.

use super::html::PAGE;
use super::manifest::{EventTotals, Manifest, OperationTotals, Percentiles, ThresholdTotals, Totals, UsageTotals, Verdict};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use load_metrics::ExecutionStage;
use load_metrics::format::{UNKNOWN, grouped, grouped_or_unknown, milliseconds, plain};
use std::collections::BTreeSet;
use std::path::Path;
use strum::VariantArray;

const ERRORS_SHOWN: usize = 8;

/// What happened, in tables: executions, jobs, operations, errors, the generator itself.
#[must_use]
pub fn summary(manifest: &Manifest, dir: &Path, colour: bool) -> String {
    let totals = &manifest.totals;
    let mut parts = vec![headline(manifest, colour)];
    if totals.executions.values().sum::<u64>() > 0 {
        parts.push(executions(totals));
    }
    if !totals.rollouts.is_empty() {
        parts.push(rollouts(totals));
    }
    if !totals.operations.is_empty() {
        parts.push(operations(totals, "all"));
        parts.extend(by_transport(totals));
    }
    if !manifest.events.is_empty() {
        parts.push(events(&manifest.events));
    }
    if !totals.errors.is_empty() {
        parts.push(errors(totals));
    }
    if !manifest.thresholds.is_empty() {
        parts.push(thresholds(&manifest.thresholds));
    }
    parts.extend(totals.generator.map(|usage| generator(totals, usage)));
    parts.extend(manifest.findings.iter().map(|finding| format!("! {finding}")));
    let page = dir.join(PAGE);
    let page = if page.is_file() { format!("\nreport:  {}", page.display()) } else { String::new() };
    parts.push(format!("results: {}{page}", dir.display()));
    parts.join("\n\n")
}

fn headline(manifest: &Manifest, colour: bool) -> String {
    let totals = &manifest.totals;
    let verdict = manifest.verdict.as_str();
    let shown = match manifest.verdict {
        _ if !colour => verdict.to_owned(),
        Verdict::Pass => format!("\u{1b}[1;32m{verdict}\u{1b}[0m"),
        Verdict::Running | Verdict::Interrupted => format!("\u{1b}[1;33m{verdict}\u{1b}[0m"),
        Verdict::Fail | Verdict::Invalid | Verdict::Error => format!("\u{1b}[1;31m{verdict}\u{1b}[0m"),
    };
    let seconds = totals.run_s;
    format!(
        "{}  {shown}  {} things, {}:{:02} min, {} messages out, {} in, seed {}",
        title(manifest),
        grouped(totals.things),
        seconds / 60,
        seconds % 60,
        grouped(totals.messages_out),
        grouped(totals.messages_in),
        manifest.seed
    )
}

/// The name of the run, and how much of it this is where several processes drove it.
fn title(manifest: &Manifest) -> String {
    match (&manifest.shard, manifest.merged.len()) {
        (Some(shard), _) => format!("{} (shard {})", manifest.name, shard.slice),
        (None, 0) => manifest.name.clone(),
        (None, shards) => format!("{} ({shards} shards)", manifest.name),
    }
}

/// An empty table with these columns, without lines but one below its head.
pub(crate) fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.iter().copied());
    table
}

/// The table's text; columns behind the first `text_columns` are numbers.
pub(crate) fn finish(mut table: Table, text_columns: usize) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    for column in table.column_iter_mut().skip(text_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn executions(totals: &Totals) -> String {
    let all: u64 = totals.executions.values().sum();
    let part = |stage: &ExecutionStage| match totals.executions.get(stage.key()) {
        None => Some(format!("{UNKNOWN} {}", stage.label())),
        Some(0) => None,
        Some(count) => Some(format!("{} {} ({:.1} %)", grouped(*count), stage.label(), 100.0 * *count as f64 / all as f64)),
    };
    let (ended, open): (Vec<_>, Vec<_>) = ExecutionStage::VARIANTS.iter().partition(|stage| stage.is_terminal());
    let parts: Vec<String> = ended.into_iter().chain(open).filter_map(part).collect();
    format!("{} executions: {}", grouped(all), parts.join(", "))
}

fn rollouts(totals: &Totals) -> String {
    let mut table = table(&[
        "job",
        "targets",
        "done",
        "ok",
        "failed",
        "rejected",
        "other",
        "50 % after",
        "90 % after",
        "99 % after",
        "all after",
    ]);
    for rollout in &totals.rollouts {
        let count = |stage: ExecutionStage| rollout.executions.get(stage.key()).copied();
        // Without the service's ledger all that vanished has the same stage, so their sum is known.
        let other =
            [ExecutionStage::TimedOut, ExecutionStage::Canceled, ExecutionStage::Removed].into_iter().filter_map(count).sum();
        let seconds =
            |n: usize| rollout.seconds_to.get(n).copied().flatten().map_or_else(|| "-".into(), |seconds| format!("{seconds:.0} s"));
        table.add_row([
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
    finish(table, 1)
}

/// A table for each transport, where a fleet has several.
fn by_transport(totals: &Totals) -> Vec<String> {
    let name = |row: &'_ OperationTotals| row.scope.strip_prefix("transport:").map(str::to_owned);
    let mut transports: Vec<String> = totals.operations.iter().filter_map(name).collect();
    let mut seen = BTreeSet::new();
    transports.retain(|transport| seen.insert(transport.clone()));
    if transports.len() < 2 {
        return Vec::new();
    }
    let table = |name: &String| format!("over {name}\n{}", operations(totals, &format!("transport:{name}")));
    transports.iter().map(table).collect()
}

fn operations(totals: &Totals, scope: &str) -> String {
    let headers =
        ["operation", "ok", "refused", "timeout", "error", "open", "service p50", "p99", "max", "response p50", "p99", "max"];
    let mut table = table(&headers);
    for row in totals.operations.iter().filter(|row| row.scope == scope) {
        table.add_row(operation(row));
    }
    finish(table, 1)
}

fn operation(row: &OperationTotals) -> Vec<String> {
    let times = |times: Option<Percentiles>| match times {
        Some(times) => [times.p50, times.p99, times.max].map(milliseconds),
        None => ["-", "-", "-"].map(str::to_owned),
    };
    let counts = [row.ok, row.rejected, row.timeout, row.error, row.open].map(grouped);
    [vec![row.operation.clone()], counts.to_vec(), times(row.service_ms).to_vec(), times(row.response_ms).to_vec()].concat()
}

fn events(events: &[EventTotals]) -> String {
    let headers =
        ["event", "at", "for", "affected", "back", "all after", "recovery p50", "p99", "max", "peak/s", "wanted/s", "failed"];
    let mut table = table(&headers);
    let seconds = |seconds: f64| format!("{} s", (seconds * 10.0).round() / 10.0);
    for event in events {
        let times = match event.recovery_ms {
            Some(times) => [times.p50, times.p99, times.max].map(milliseconds),
            None => ["-", "-", "-"].map(str::to_owned),
        };
        let [p50, p99, max] = times;
        table.add_row([
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
    finish(table, 1)
}

fn errors(totals: &Totals) -> String {
    let mut sorted: Vec<_> = totals.errors.iter().collect();
    sorted.sort_by_key(|error| std::cmp::Reverse(error.count));
    let mut table = table(&["error", "kind", "code", "example", "count"]);
    for error in sorted.iter().take(ERRORS_SHOWN) {
        let example: String = error.example.chars().take(48).collect();
        table.add_row([error.operation.clone(), error.kind.clone(), error.code.clone(), example, grouped(error.count)]);
    }
    let more = sorted.len().saturating_sub(ERRORS_SHOWN);
    let rest = if more > 0 { format!("\n(and {more} more kinds in errors.csv)") } else { String::new() };
    finish(table, 4) + &rest
}

fn thresholds(thresholds: &[ThresholdTotals]) -> String {
    let mut table = table(&["threshold", "must be", "is", ""]);
    for threshold in thresholds {
        let is = threshold.value.map_or_else(|| "no sample".into(), plain);
        let word = match threshold.holds {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "-",
        };
        table.add_row([threshold.metric.clone() + &threshold.about(), threshold.check.clone(), is, word.into()]);
    }
    finish(table, 1)
}

fn generator(totals: &Totals, of_generator: UsageTotals) -> String {
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
    text
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
        let text = events(&[event]);
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(text.contains("123.5 s") && text.contains("99,999"), "{text}");
    }

    #[test]
    fn the_operations_of_a_large_run_fit_120_columns() {
        let times = Percentiles { p50: 123.4, p90: 1_234.5, p99: 99_999.9, max: 3_600_000.0 };
        let row = |operation: &str, count| OperationTotals {
            scope: "all".into(),
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
            "all",
        );
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}
