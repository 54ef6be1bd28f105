//! What people, and programs, hear of a search.

use super::load::Load;
use crate::exit;
use crate::report::{CapacityRecord, CapacityRow, Verdict, finish, table};
use crate::run::UiKind;
use host::stdio::{print, say};
use load_metrics::Operation;
use load_metrics::format::{clock, milliseconds};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How a search is shown.
#[derive(Clone, Copy)]
pub(super) enum Show {
    /// Lines on stderr, the result on stdout.
    Lines,
    /// Objects on stdout.
    Json,
    None,
}

/// How the run of a step is shown.
pub(super) fn of_steps(ui: UiKind) -> UiKind {
    if ui == UiKind::Plain { UiKind::Brief } else { ui }
}

impl Show {
    pub(super) fn new(ui: UiKind) -> Self {
        match ui {
            UiKind::Tui { .. } | UiKind::Plain | UiKind::Brief => Self::Lines,
            UiKind::Json => Self::Json,
            UiKind::None => Self::None,
        }
    }

    pub(super) fn complain(self, why: &str) {
        say(&format!("fleetsim: {why}"));
    }

    pub(super) fn begins(self, dir: &Path, load: &Load, resumed: usize) {
        if let Self::Lines = self {
            say(&format!("results: {}", dir.display()));
            let start = load.derivation(load.start).map(|derivation| format!(": {derivation}")).unwrap_or_default();
            say(&format!("varied: {}, {} in the scenario{start}", load.path, load.text(load.start)));
            if resumed > 0 {
                say(&format!("resumed: {resumed} steps are done"));
            }
        }
    }

    pub(super) fn step_begins(self, step: u32, offered: f64, load: &Load, title: &str, lasts: Duration) {
        match self {
            Self::Lines => {
                let how = load.derivation(offered).unwrap_or_else(|| format!("{} = {}", load.path, load.setting(offered)));
                say(&format!("{title} ({how}; {})", clock(lasts)));
            }
            // Whoever reads nothing hears of it at the end of the step.
            Self::Json => {
                let _ = print(&format!("{}\n", json!({ "type": "step-begins", "step": step, "offered": offered })));
            }
            Self::None => {}
        }
    }

    pub(super) fn step_ends(self, row: &CapacityRow, load: &Load, operation: Operation) {
        match self {
            Self::Lines => say(&step_line(row, load, operation)),
            Self::Json => _ = print(&format!("{}\n", step_object(row))),
            Self::None => {}
        }
    }

    /// The result; the exit code is `code`, unless what was to be on stdout is not there.
    pub(super) fn concludes(self, record: &CapacityRecord, rows: &[CapacityRow], load: &Load, dir: &Path, code: u8) -> u8 {
        let text = match self {
            Self::Lines => summary(record, rows, load, dir),
            Self::Json => {
                let mut object = serde_json::to_value(record).expect("a record has string keys and finite numbers");
                object["type"] = "capacity".into();
                object.to_string()
            }
            Self::None => return code,
        };
        match print(&format!("{text}\n")) {
            Ok(()) => code,
            Err(error) => {
                self.complain(&format!("failed to {error}"));
                exit::ERROR
            }
        }
    }
}

/// `step 3: FAIL, 40.1 requests/s came about, describe p99 1180ms; describe.response_ms.p99 was ...`.
fn step_line(row: &CapacityRow, load: &Load, operation: Operation) -> String {
    let mut line = format!("step {}: {}", row.step, row.verdict.as_str());
    if let Some(achieved) = row.achieved {
        line += &format!(", {} achieved", load.text((achieved * 100.0).round() / 100.0));
    }
    if let Some(p99) = row.response_ms_p99 {
        line += &format!(", {operation} p99 {}", milliseconds(p99));
    }
    if let Some(reason) = &row.reason {
        line += &format!("; {reason}");
    }
    line
}

fn step_object(row: &CapacityRow) -> serde_json::Value {
    json!({
        "type": "step",
        "step": row.step,
        "offered": row.offered,
        "achieved": row.achieved,
        "verdict": row.verdict.as_str(),
        "failed_threshold": row.failed_threshold,
        "response_ms": { "p50": row.response_ms_p50, "p90": row.response_ms_p90, "p99": row.response_ms_p99 },
        "error_share": row.error_share,
        "setting": row.setting,
        "reason": row.reason,
    })
}

/// Steps in the order of their loads, and the result.
fn summary(record: &CapacityRecord, rows: &[CapacityRow], load: &Load, dir: &Path) -> String {
    let mut table = table(&["step", "load", "verdict", "p50", "p90", "p99", "errors"]);
    let mut ordered: Vec<&CapacityRow> = rows.iter().collect();
    ordered.sort_by(|a, b| a.offered.total_cmp(&b.offered).then(a.step.cmp(&b.step)));
    for row in ordered {
        let time = |ms: Option<f64>| ms.map_or_else(String::new, milliseconds);
        let errors = row.error_share.map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share));
        let (p50, p90, p99) = (time(row.response_ms_p50), time(row.response_ms_p90), time(row.response_ms_p99));
        let verdict = if row.verdict == Verdict::Pass { "pass" } else { row.verdict.as_str() };
        table.add_row([row.step.to_string(), load.text(row.offered), verdict.to_owned(), p50, p90, p99, errors]);
    }
    let steps = if rows.is_empty() { String::new() } else { format!("{}\n\n", finish(table, 3)) };
    let set = match (&record.setting, record.holds.and_then(|holds| load.derivation(holds))) {
        (Some(setting), Some(derivation)) => format!("\n--set {}='{setting}': {derivation}", load.path),
        (Some(setting), None) => format!("\n--set {}='{setting}'", load.path),
        (None, _) => String::new(),
    };
    format!("\n{}: response times of {}\n{steps}{}{set}\nfiles: {}", record.name, record.operation, record.text, dir.display())
}
