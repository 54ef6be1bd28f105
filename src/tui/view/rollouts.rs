//! Jobs: a row each with its S-curve, and the selected one in full.

use super::table::{Column, Table, table};
use super::{charts, height_of};
use crate::tui::app::{App, Tab};
use crate::tui::model::RATE_S;
use load_metrics::format::{clock, grouped, short};
use load_metrics::{ExecutionStage, RolloutRow};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use std::time::Duration;
use strum::VariantArray;

const CURVE: usize = 12;

struct Row<'a> {
    job: &'a RolloutRow,
    /// Ended executions per second.
    rate: f64,
    curve: String,
    planned: Option<u32>,
}

fn seconds(row: &Row, milestone: usize) -> String {
    row.job.seconds_to[milestone].map_or("-".into(), |seconds| clock(Duration::from_secs_f64(seconds.ceil())))
}

/// Title, width and rank of a stage's column; the others are in one together.
fn stage_column(stage: ExecutionStage) -> Option<(&'static str, u16, u8)> {
    match stage {
        ExecutionStage::Queued => Some((stage.label(), 7, 3)),
        ExecutionStage::Notified => Some((stage.label(), 8, 5)),
        ExecutionStage::InProgress => Some((stage.label(), 11, 0)),
        ExecutionStage::Succeeded => Some((stage.label(), 9, 0)),
        ExecutionStage::Failed => Some((stage.label(), 6, 0)),
        ExecutionStage::Rejected => Some((stage.label(), 8, 4)),
        ExecutionStage::TimedOut => Some((stage.label(), 9, 4)),
        ExecutionStage::Canceled | ExecutionStage::Removed => None,
    }
}

/// Executions at a stage that has no column. Without the service ledger all that vanished has the same one, so the sum is known.
fn other(row: &Row) -> u64 {
    let without = row.job.counts.iter().filter(|(stage, _)| stage_column(*stage).is_none());
    without.filter_map(|(_, count)| count).sum()
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = vec![
        Column::text("job", 10, 0, |row: &Row| row.job.job.to_string()),
        Column::number("targets", 9, 0, |row| row.job.targets.map_or("-".into(), grouped)),
        Column::number("done", 7, 0, |row| row.job.done_share().map_or("-".into(), |share| format!("{:.1} %", 100.0 * share))),
        Column::text("over time", CURVE as u16, 1, |row| row.curve.clone()),
        Column::number("ended/s", 7, 2, |row| short(row.rate)),
        Column::number("plan/min", 8, 4, |row| row.planned.map_or("-".into(), |rate| grouped(rate.into()))),
    ];
    columns.extend(ExecutionStage::VARIANTS.iter().filter_map(|stage| {
        let (title, width, rank) = stage_column(*stage)?;
        Some(Column::stage(title, width, rank, *stage, |row: &Row| row.job.counts))
    }));
    columns.extend([
        Column::number("other", 6, 5, |row: &Row| grouped(other(row))),
        Column::number("50 %", 6, 2, |row| seconds(row, 0)),
        Column::number("90 %", 6, 2, |row| seconds(row, 1)),
        Column::number("99 %", 6, 0, |row| seconds(row, 2)),
    ]);
    columns
}

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let rows = app.rollouts();
    let shown: Vec<Row> = rows.iter().map(|(place, job)| row(app, *place, job)).collect();
    let selected = app.selected[Tab::Rollouts.index()].min(rows.len().saturating_sub(1));
    let height = height_of(rows.len() + 2).clamp(3, area.height / 2);
    let [upper, lower] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    table(
        frame,
        upper,
        app,
        Table { title: format!("rollouts by {} ", app.sort()), columns: &columns(), rows: &shown, selected: Some(selected) },
        |_| Style::new(),
    );
    let Some((place, job)) = rows.get(selected) else { return };
    let title = format!("{}: ended of {}", job.job, job.targets.map_or("?".into(), grouped));
    charts::s_curve(frame, lower, app, title, *place, job.targets);
}

fn row<'a>(app: &App, place: usize, job: &'a RolloutRow) -> Row<'a> {
    let model = app.model();
    let done = |slot: &crate::tui::history::Slot| slot.done.get(place).copied().unwrap_or(0);
    Row {
        job,
        rate: model.rate(RATE_S, done),
        curve: curve(&model.history.window(None).iter().map(|slot| done(slot)).collect::<Vec<_>>(), job.targets),
        planned: app.run_info.rates.get(&job.job).copied(),
    }
}

/// An S-curve in a few characters, from the first ended execution to now.
fn curve(ended: &[u64], targets: Option<u64>) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let from = ended.iter().position(|count| *count > 0).unwrap_or(ended.len());
    let ended = &ended[from..];
    let (Some(last), true) = (ended.last(), !ended.is_empty()) else { return String::new() };
    let full = targets.unwrap_or(*last).max(1) as f64;
    let at = |n: usize| ended[(n * ended.len() / CURVE).min(ended.len() - 1)] as f64 / full;
    (0..CURVE).map(|n| STEPS[((at(n) * 8.0) as usize).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_rises_from_the_first_end_to_the_last() {
        let ended: Vec<u64> = [0; 30].into_iter().chain((0..=24).map(|n| n * 4)).collect();
        let curve = curve(&ended, Some(96));
        assert_eq!(curve.chars().count(), CURVE);
        assert!(curve.starts_with('▁') && curve.ends_with('█'), "{curve}");
        assert_eq!(super::curve(&[0, 0], Some(5)), "");
    }
}
