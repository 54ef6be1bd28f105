//! Every operation in figures, and the chosen one in pictures.

use super::table::{Column, Table, table};
use super::{charts, heat, height_of};
use crate::tui::app::App;
use load_metrics::format::{grouped, milliseconds};
use load_metrics::{Latency, Measure, OperationRow};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;

type Row<'a> = (&'a OperationRow, Option<Latency>);

fn ms(latency: Option<Latency>, value: fn(&Latency) -> f64) -> String {
    latency.map_or("-".into(), |latency| milliseconds(value(&latency)))
}

macro_rules! times {
    ($times:expr, $rank:expr) => {
        [
            Column::number("p50", 7, $rank, |row| ms($times(row), |latency| latency.p50)),
            Column::number("p90", 7, $rank, |row| ms($times(row), |latency| latency.p90)),
            Column::number("p99", 7, $rank, |row| ms($times(row), |latency| latency.p99)),
            Column::number("p99.9", 7, $rank, |row| ms($times(row), |latency| latency.p999)),
            Column::number("max", 7, $rank, |row| ms($times(row), |latency| latency.max)),
        ]
    };
}

/// One measure; which one says the title.
fn narrow<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = counts();
    columns.extend(times!(|row: &Row| row.1, 0));
    columns
}

/// Service, then response.
fn wide<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = counts();
    columns.push(Column::text("", 9, 0, |_| "service".into()));
    columns.extend(times!(|row: &Row| row.0.service, 0));
    columns.push(Column::text("", 9, 0, |_| " response".into()));
    columns.extend(times!(|row: &Row| row.0.response, 0));
    columns
}

fn counts<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::text("operation", 12, 0, name),
        Column::number("ended", 10, 0, |row| grouped(row.0.counts.finished())),
        Column::number("open", 6, 0, |row| grouped(row.0.open)),
        Column::number("timeouts", 8, 1, |row| grouped(row.0.counts.timeout)),
    ]
}

/// Marked where the times shown are service times for want of others.
fn name((row, shown): &Row) -> String {
    let is_service = row.response.is_none() && row.service.is_some() && *shown == row.service;
    format!("{}{}", row.operation.as_str(), if is_service { "*" } else { "" })
}

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let rows: Vec<Row> = app
        .operations()
        .into_iter()
        .map(|row| (row, if app.measure == Measure::Response { row.response.or(row.service) } else { row.service }))
        .collect();
    let height = height_of(rows.len() + 2).min(area.height / 2).max(4);
    let [upper, lower] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    let chosen = rows.iter().position(|row| row.0.operation == app.chosen_operation());
    let is_wide = area.width >= 140;
    let (columns, title) = if is_wide {
        (wide(), format!("operations over the run by {} ", app.sort()))
    } else {
        let note = if app.measure == Measure::Response { "response times (* service)" } else { "service times" };
        (narrow(), format!("operations over the run by {}: {note}, m: the other ", app.sort()))
    };
    table(frame, upper, app, Table { title, columns: &columns, rows: &rows, selected: chosen }, |row| {
        if row.0.counts.timeout + row.0.counts.error > 0 { app.theme.bad() } else { Style::new() }
    });
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(lower);
    if lower.height >= 24 {
        let [curve, line] = Layout::vertical([Constraint::Fill(1); 2]).areas(left);
        charts::percentiles(frame, curve, app);
        charts::latency(frame, line, app);
    } else {
        charts::percentiles(frame, left, app);
    }
    heat::render(frame, right, app);
}
