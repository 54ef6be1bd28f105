//! Every operation in figures: the whole fleet, its cohorts, its transports.

use super::Section;
use crate::report::html::run::Run;
use crate::report::html::text::table;
use crate::report::manifest::OperationTotals;
use load_metrics::format::{grouped, milliseconds};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Prefixes of scopes, and what a table of them is called.
const TABLES: [(&str, &str); 3] = [("all", "The whole fleet"), ("cohort:", "Cohorts"), ("transport:", "Transports")];

pub(super) fn section(run: &Run<'_>) -> Section {
    let operations = &run.manifest.totals.operations;
    let lead = html! {
        @if operations.is_empty() { p { "No operation was started." } }
        @else {
            p { "Response times; service times for operations without an intended start." }
            @for (prefix, caption) in TABLES { (scope(operations, prefix, caption)) }
        }
    };
    Section { lead, ..Section::new("breakdown", "Operations, cohorts and transports") }
}

fn scope(operations: &[OperationTotals], prefix: &str, caption: &str) -> Markup {
    let head = ["scope", "operation", "started", "ok", "rejected", "timeout", "error", "open", "p50", "p90", "p99", "max"];
    let rows: Vec<&OperationTotals> = operations.iter().filter(|row| row.scope.starts_with(prefix)).collect();
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.scope.strip_prefix(prefix)).collect();
    html! {
        @match names.iter().next() {
            None => {}
            Some(only) if names.len() == 1 && !only.is_empty() => p { (caption) ": all things belong to " (only) ", so its figures are those of the fleet." }
            Some(_) => (table(caption, head.map(str::to_owned).to_vec(), rows.into_iter().map(row).collect(), 2))
        }
    }
}

fn row(row: &OperationTotals) -> Vec<String> {
    let name = row.scope.split_once(':').map_or(row.scope.as_str(), |(_, name)| name);
    let counts = [row.started, row.ok, row.rejected, row.timeout, row.error, row.open].map(grouped);
    let times = row.response_ms.or(row.service_ms);
    let times = times.map_or_else(|| ["-"; 4].map(str::to_owned), |ms| [ms.p50, ms.p90, ms.p99, ms.max].map(milliseconds));
    [name.to_owned(), row.operation.clone()].into_iter().chain(counts).chain(times).collect()
}
