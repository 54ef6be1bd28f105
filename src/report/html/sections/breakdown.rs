//! Every operation in figures: the whole fleet, its cohorts, its transports.

use super::Section;
use crate::report::html::run::Run;
use crate::report::html::text::table;
use crate::report::manifest::OperationTotals;
use load_metrics::ScopeName;
use load_metrics::format::{grouped, milliseconds};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// The tables, in their order.
const CAPTIONS: [&str; 3] = [WHOLE, COHORTS, TRANSPORTS];
const WHOLE: &str = "The whole fleet";
const COHORTS: &str = "Cohorts";
const TRANSPORTS: &str = "Transports";

/// Of the table in which a scope stands.
fn caption_of(scope: &ScopeName) -> &'static str {
    match scope {
        ScopeName::All => WHOLE,
        ScopeName::Cohort(_) => COHORTS,
        ScopeName::Transport(_) => TRANSPORTS,
    }
}

pub(super) fn section(run: &Run<'_>) -> Section {
    let operations = &run.manifest.totals.operations;
    let lead = html! {
        @if operations.is_empty() { p { "No operation was started." } }
        @else {
            p { "Response times; service times for operations without an intended start." }
            @for caption in CAPTIONS { (scopes(operations, caption)) }
        }
    };
    Section { lead, ..Section::new("breakdown", "Operations, cohorts and transports") }
}

fn scopes(operations: &[OperationTotals], caption: &str) -> Markup {
    let head = ["scope", "operation", "started", "ok", "rejected", "timeout", "error", "open", "p50", "p90", "p99", "max"];
    let rows: Vec<&OperationTotals> = operations.iter().filter(|row| caption_of(&row.scope) == caption).collect();
    let scopes: BTreeSet<&ScopeName> = rows.iter().map(|row| &row.scope).collect();
    html! {
        @match scopes.first() {
            None => {}
            Some(ScopeName::Cohort(only) | ScopeName::Transport(only)) if scopes.len() == 1 => p { (caption) ": all things belong to " (&**only) ", so its figures are those of the fleet." }
            Some(_) => (table(caption, head.map(str::to_owned).to_vec(), rows.into_iter().map(row).collect(), 2))
        }
    }
}

fn row(row: &OperationTotals) -> Vec<String> {
    let counts = [row.started, row.ok, row.rejected, row.timeout, row.error, row.open].map(grouped);
    let times = row.response_ms.or(row.service_ms);
    let times = times.map_or_else(|| ["-"; 4].map(str::to_owned), |ms| [ms.p50, ms.p90, ms.p99, ms.max].map(milliseconds));
    [row.scope.name().to_owned(), row.operation.clone()].into_iter().chain(counts).chain(times).collect()
}
