//! Single things: found by name or state, and one of them in full.

use super::panel;
use super::table::{Column, Table, table};
use crate::inspect::{Card, Moment};
use crate::tui::app::{App, Tab};
use crate::tui::finder;
use iot_jobs::instant::Mono;
use load_metrics::format::{clock, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use std::time::Duration;

struct Row<'a> {
    name: &'a str,
    cohort: &'a str,
    /// `None`: its shard has not answered yet.
    card: Option<&'a Card>,
    origin: Mono,
}

impl Row<'_> {
    fn of(&self, text: impl FnOnce(&Card) -> String) -> String {
        self.card.map_or_else(String::new, text)
    }
}

fn execution(card: &Card) -> String {
    card.execution.as_ref().map_or("-".into(), |(job, number)| format!("{job} #{number}"))
}

/// `12.345` seconds of the run.
fn at(origin: Mono, at: Mono) -> String {
    format!("{:.3}", at.since(origin).as_secs_f64())
}

fn columns<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column::text("thing", 18, 0, |row| row.name.into()),
        Column::text("cohort", 10, 1, |row| row.cohort.into()),
        Column::text("session", 11, 0, |row| row.of(|card| card.session.as_str().into())),
        Column::text("agent", 9, 0, |row| row.of(|card| card.agent.as_str().into())),
        Column::text("execution", 16, 0, |row| row.of(execution)),
        Column::number("requests", 8, 2, |row| row.of(|card| grouped(card.requests.into()))),
        Column::number("connects", 8, 2, |row| row.of(|card| grouped(card.connects.into()))),
        Column::number("errors", 6, 0, |row| row.of(|card| grouped(card.errors.into()))),
        Column::number("at s", 9, 3, |row| row.of(|card| card.recent.last().map_or(String::new(), |last| at(row.origin, last.at)))),
        Column::text("last", 24, 3, |row| row.of(|card| card.recent.last().map_or(String::new(), |last| last.what.to_string()))),
    ]
}

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    match app.finder.detail {
        Some(position) => detail(frame, area, app, position),
        None => list(frame, area, app),
    }
}

fn list(frame: &mut Frame, area: Rect, app: &App) {
    let found = app.finder.found();
    let rows: Vec<Row> = found.iter().map(|position| row(app, *position)).collect();
    let looked_for = if app.finder.text.is_empty() { String::new() } else { format!(" for {:?}", app.finder.text) };
    let counted = format!("{} of {} things", grouped(found.len() as u64), grouped(app.run_info.things_driven()));
    let title = if app.finder.is_typing {
        format!("{counted}, states: {} ", finder::states().collect::<Vec<_>>().join(" "))
    } else if app.unanswered {
        format!("{counted}{looked_for}; no answer from the shards ")
    } else {
        format!("{counted}{looked_for} by {} ", app.sort())
    };
    let selected = app.selected[Tab::Things.index()];
    table(frame, area, app, Table { title, columns: &columns(), rows: &rows, selected: Some(selected) }, |row| {
        if row.card.is_some_and(|card| card.errors > 0) { app.theme.bad() } else { Style::new() }
    });
}

fn row(app: &App, position: u32) -> Row<'_> {
    Row {
        name: app.finder.name(position),
        cohort: app.run_info.things.cohort_name(position as usize).map_or("", AsRef::as_ref),
        card: app.finder.cards.get(&position),
        origin: app.model().snapshot.as_ref().map_or(Mono(0), |snapshot| snapshot.origin),
    }
}

fn detail(frame: &mut Frame, area: Rect, app: &App, position: u32) {
    let Row { name, cohort, card, origin } = row(app, position);
    let [upper, lower] = Layout::vertical([Constraint::Length(11), Constraint::Fill(1)]).areas(area);
    let [facts, recent] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(upper);
    let inner = panel(frame, facts, app, format!("{name}, cohort {cohort} "));
    let Some(card) = card else {
        let text = if app.unanswered { "no answer from its shard" } else { "asking its shard" };
        frame.render_widget(Line::styled(text, app.theme.muted()), inner);
        return;
    };
    let since = |since: Option<Mono>| since.map_or("the beginning".into(), |since| format!("{} s", at(origin, since)));
    let fact = |name: &str, text: String| Line::from(vec![Span::styled(format!("{name:<11}"), app.theme.muted()), Span::raw(text)]);
    let mut lines = vec![
        fact("session", format!("{} since {}", card.session.as_str(), since(card.session_since))),
        fact("agent", format!("{} since {}", card.agent.as_str(), since(card.agent_since))),
        fact("execution", execution(card)),
        fact("connects", grouped(card.connects.into())),
        fact("requests", grouped(card.requests.into())),
        fact("errors", grouped(card.errors.into())),
    ];
    if let Some(Moment { at, what }) = &card.last_error {
        let run = clock(Duration::from_secs(at.since(origin).as_secs()));
        lines.push(Line::styled(format!("! {what} at {run}"), app.theme.bad()));
    }
    frame.render_widget(ratatui::text::Text::from(lines), inner);

    let inner = panel(frame, recent, app, "latest events (s of the run) ");
    let newest_first = card.recent.iter().rev().map(|moment| Line::raw(format!("{:>9}  {}", at(origin, moment.at), moment.what)));
    frame.render_widget(ratatui::text::Text::from(newest_first.collect::<Vec<_>>()), inner);

    let inner = panel(frame, lower, app, "messages since this view was opened, newest first ");
    let mut lines = Vec::new();
    for message in app.finder.messages.iter().rev() {
        let (arrow, style) = if message.is_out { (">", app.theme.accent()) } else { ("<", app.theme.second()) };
        // What the topics of one thing have in common says nothing.
        let topic =
            message.topic.strip_prefix("$aws/things/").and_then(|rest| rest.split_once('/')).map_or(&*message.topic, |t| t.1);
        lines.push(Line::from(vec![
            Span::styled(format!("{:>9} {arrow} {topic} ", at(origin, message.at)), style),
            Span::raw(printable(&message.payload)),
        ]));
    }
    if lines.is_empty() {
        lines.push(Line::styled("none yet", app.theme.muted()));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}

/// What a device sends may hold anything; a terminal gets none of its control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
