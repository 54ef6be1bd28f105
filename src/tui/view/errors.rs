//! What went wrong: how often, how, and on which things.

use super::panel;
use super::table::{Column, Table, table};
use crate::inspect::Card;
use crate::tui::app::{App, Tab};
use load_metrics::format::{clock, grouped, short};
use load_metrics::{ErrorKey, ErrorTally};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};
use std::time::Duration;

struct Row<'a> {
    key: &'a ErrorKey,
    tally: &'a ErrorTally,
    rate: f64,
    last_s: u64,
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::text("operation", 12, 0, |row| row.key.operation.as_str().into()),
        Column::text("kind", 9, 0, |row| row.key.kind.as_str().into()),
        Column::text("code", 18, 0, |row| row.key.code.into()),
        Column::number("count", 9, 0, |row| grouped(row.tally.count)),
        Column::number("per s", 6, 0, |row| short(row.rate)),
        Column::number("last at", 8, 0, |row| clock(Duration::from_secs(row.last_s))),
        Column::text("example", 10, 1, |row| row.tally.last_example.clone()),
    ]
}

struct Hit<'a> {
    name: &'a str,
    card: &'a Card,
}

fn hit_columns<'a>() -> Vec<Column<Hit<'a>>> {
    vec![
        Column::text("things with most errors", 24, 0, |hit| hit.name.into()),
        Column::number("errors", 7, 0, |hit| grouped(hit.card.errors.into())),
        Column::number("connects", 8, 1, |hit| grouped(hit.card.connects.into())),
        Column::text("state", 12, 0, |hit| hit.card.state().into()),
        Column::text("last error", 20, 0, |hit| hit.card.last_error.as_ref().map_or(String::new(), |last| last.what.to_string())),
    ]
}

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let Some(snapshot) = &app.model().snapshot else { return };
    let rows: Vec<Row> = app
        .errors()
        .into_iter()
        .map(|(key, tally, rate)| Row { key, tally, rate, last_s: tally.last.since(snapshot.origin).as_secs() })
        .collect();
    let parts = [Constraint::Fill(3), Constraint::Length(4), Constraint::Fill(2)];
    let [upper, example, lower] = Layout::vertical(parts).areas(area);
    let all: u64 = rows.iter().map(|row| row.tally.count).sum();
    let selected = app.selected[Tab::Errors.index()].min(rows.len().saturating_sub(1));
    let title = format!("errors by {}: {} kinds, {} in all ", app.sort(), rows.len(), grouped(all));
    table(frame, upper, app, Table { title, columns: &columns(), rows: &rows, selected: Some(selected) }, |_| Style::new());

    let inner = panel(frame, example, app, "examples of the selected kind ");
    if let Some(row) = rows.get(selected) {
        let first = Line::raw(format!("first: {}", row.tally.example));
        let last = Line::raw(format!("last:  {}", row.tally.last_example));
        frame.render_widget(Paragraph::new(vec![first, last]).wrap(Wrap { trim: false }), inner);
    }
    let hits: Vec<Hit> = app.most_hit.iter().map(|card| Hit { name: app.finder.name(card.position), card }).collect();
    let title = if app.unanswered { "no answer from the shards " } else { "things with most errors (Enter: the first one) " };
    table(frame, lower, app, Table { title: title.into(), columns: &hit_columns(), rows: &hits, selected: None }, |_| Style::new());
}
