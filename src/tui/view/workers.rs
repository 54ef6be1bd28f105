//! The processes that drive the things of the run, one row each.

use super::table::{Column, Table, table};
use crate::tui::app::{App, Tab, WorkerRow};
use load_metrics::format::{grouped, milliseconds};
use load_metrics::{BUSY_MAX, LATENESS_MAX_MS};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

fn columns<'a>() -> Vec<Column<&'a WorkerRow>> {
    vec![
        Column::number("slice", 5, 0, |row| row.slice.to_string()),
        Column::text("hostname", 16, 0, |row| row.hostname.clone()),
        Column::text("state", 9, 0, |row| row.state.into()),
        Column::number("connected", 9, 0, |row| grouped(row.connected)),
        Column::number("messages/s", 10, 1, |row| grouped(row.messages_per_s)),
        Column::number("busy", 6, 1, |row| format!("{:.0} %", 100.0 * row.busy)),
        Column::number("lateness", 9, 0, |row| row.lateness_ms.map_or_else(|| "-".into(), milliseconds)),
        Column::number("last s", 7, 0, |row| row.second.map_or_else(|| "-".into(), grouped)),
        Column::number("clock ms", 14, 2, |row| format!("{:+.2} ±{:.2}", row.clock_offset_ms, row.clock_uncertainty_ms)),
    ]
}

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let rows = app.sorted_workers();
    let selected = app.selected[Tab::Workers.index()].min(rows.len().saturating_sub(1));
    let (here, all) = (app.workers_here(), app.run_info.workers);
    let title = format!("workers by {}: {here}/{all} are there ", app.sort());
    table(frame, area, app, Table { title, columns: &columns(), rows: &rows, selected: Some(selected) }, |row| style(app, row));
}

fn style(app: &App, row: &WorkerRow) -> Style {
    let is_late = row.lateness_ms.is_some_and(|lateness| lateness > LATENESS_MAX_MS);
    match !row.is_here || row.busy > BUSY_MAX || is_late {
        true => app.theme.bad(),
        false => Style::new(),
    }
}
