//! Drawing: reads the [`App`], changes nothing.

mod charts;
mod errors;
mod heat;
mod latency;
mod overlay;
mod overview;
mod plot;
mod rollouts;
mod table;
mod things;
mod workers;

use super::app::{App, RunState, Tab};
use super::input::{self, Mode};
use super::update::mode;
use load_metrics::format::{clock, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders};
use std::time::Duration;

/// Below this nothing readable fits.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 16;
const LOG_HEIGHT: u16 = 10;
/// Findings on the last screen, or events under way before; the summary has all.
const NOTICES_MAX: usize = 3;

/// Draws one frame.
pub fn render(frame: &mut Frame, app: &App) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("{}x{} is too small: {WIDTH_MIN}x{HEIGHT_MIN} at least", area.width, area.height);
        frame.render_widget(Line::raw(text), area);
        return;
    }
    let log = if app.shows_log { LOG_HEIGHT.min(area.height / 3) } else { 0 };
    let said = said(app);
    let height = height_of(said.len());
    let rows =
        [Constraint::Length(2), Constraint::Length(height), Constraint::Fill(1), Constraint::Length(log), Constraint::Length(1)];
    let [header, findings, body, log, footer] = Layout::vertical(rows).areas(area);
    render_header(frame, header, app);
    frame.render_widget(Text::from(said), findings);
    if app.model().snapshot.is_none() && !app.is_finished() {
        overlay::preparation(frame, body, app);
    } else {
        match app.tab {
            Tab::Overview => overview::render(frame, body, app),
            Tab::Latency => latency::render(frame, body, app),
            Tab::Rollouts => rollouts::render(frame, body, app),
            Tab::Errors => errors::render(frame, body, app),
            Tab::Things => things::render(frame, body, app),
            Tab::Workers => workers::render(frame, body, app),
        }
    }
    if app.shows_log {
        overlay::log(frame, log, app);
    }
    render_footer(frame, footer, app);
    overlay::render(frame, body, app);
}

/// What is to be known before anything else: findings at the end, and what happens on purpose before.
fn said(app: &App) -> Vec<Line<'_>> {
    if let RunState::Finished(conclusion) = &app.state {
        let lines = conclusion.findings.iter().map(|text| Line::styled(format!(" ! {text}"), app.theme.bad()));
        return lines.take(NOTICES_MAX).collect();
    }
    let Some(snapshot) = &app.model().snapshot else { return Vec::new() };
    let now = snapshot.origin + Duration::from_secs(snapshot.t_s);
    let under_way =
        snapshot.events.iter().zip(1..).filter(|(event, _)| event.at <= now && (event.over.is_none() || event.away() > 0));
    let lines = under_way.map(|(event, number)| {
        let away = grouped(event.away());
        Line::styled(format!(" event {number} ({}): {away} things are away by it", event.kind), app.theme.accent())
    });
    lines.take(NOTICES_MAX).collect()
}

fn render_header(frame: &mut Frame, area: Rect, app: &App) {
    let theme = app.theme;
    let [title, tabs] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let mut left = vec![Span::styled(format!(" fleetsim {}", app.run_info.name), theme.title())];
    if let Some(snapshot) = &app.model().snapshot {
        left.push(Span::raw(format!("  t={}s {}", snapshot.t_s, clock(Duration::from_secs(snapshot.t_s)))));
    }
    left.push(match &app.run_info.title {
        Some(title) => Span::styled(format!("  {title}"), theme.accent()),
        None => {
            let things = grouped(app.run_info.things_driven());
            Span::styled(format!("  {things} things, seed {}", app.run_info.seed), theme.muted())
        }
    });
    frame.render_widget(Line::from(left), title);
    frame.render_widget(Line::from(status(app)).right_aligned(), title);

    let mut spans = vec![Span::raw(" ")];
    for (n, tab) in app.tabs().iter().copied().enumerate() {
        let style = if tab == app.tab { theme.selected() } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", n + 1, tab.title()), style));
    }
    let named = Line::from(spans);
    let window = app.window_s().map_or("whole run".to_owned(), |s| format!("last {}", clock(Duration::from_secs(s))));
    let window = Line::styled(format!("charts: {window} "), theme.muted());
    // Tabs come first where there is no room for both.
    if named.width() + window.width() <= usize::from(tabs.width) {
        frame.render_widget(window.right_aligned(), tabs);
    }
    frame.render_widget(named, tabs);
}

/// In a word or two, whether the run goes on and how it went.
fn status(app: &App) -> Vec<Span<'static>> {
    let theme = app.theme;
    let mut spans = Vec::new();
    if app.is_frozen() {
        spans.push(Span::styled(" FROZEN ", theme.selected()));
        spans.push(Span::raw(" "));
    }
    spans.push(match &app.state {
        RunState::Preparing => Span::raw("preparing "),
        RunState::Running => Span::styled("running ", theme.accent()),
        RunState::Stopping => Span::styled("stopping ", theme.bad()),
        RunState::Finished(conclusion) => {
            let style = if conclusion.exit_code == 0 { theme.accent() } else { theme.bad() };
            Span::styled(format!("{} (exit {}) ", conclusion.verdict, conclusion.exit_code), style)
        }
    });
    spans
}

fn render_footer(frame: &mut Frame, area: Rect, app: &App) {
    let theme = app.theme;
    let mode = mode(app);
    let mut spans = vec![Span::raw(" ")];
    if mode == Mode::Typing {
        spans.push(Span::styled("find: ", theme.title()));
        spans.push(Span::raw(format!("{}_  ", app.finder.text)));
    }
    for binding in input::bindings(mode) {
        if let Some(hint) = binding.hint {
            spans.push(Span::styled(binding.shown, theme.title()));
            spans.push(Span::raw(format!(" {hint}  ")));
        }
    }
    frame.render_widget(Line::from(spans), area);
    if let Some(seconds) = app.leaves_in_s {
        frame.render_widget(Line::styled(format!("  closes in {seconds} s "), theme.muted()).right_aligned(), area);
    }
}

/// A panel: a line with its title, and what is below it.
fn section<'a>(app: &App, title: impl Into<Line<'a>>) -> Block<'a> {
    // A title lies on the line and would be as faint as it.
    let title_style = app.theme.title().remove_modifier(Modifier::DIM);
    Block::new().borders(Borders::TOP).border_style(app.theme.muted()).title_style(title_style).title(title)
}

/// Draws the frame of a panel and gives what is inside it.
fn panel<'a>(frame: &mut Frame, area: Rect, app: &App, title: impl Into<Line<'a>>) -> Rect {
    let block = section(app, title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Of so many lines; of more than any screen has, as many as there can be.
fn height_of(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}

/// A bar that is `share` full.
fn bar(width: u16, share: f64, style: Style, rest: Style) -> Vec<Span<'static>> {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let width = usize::from(width);
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let full = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    let used = eighths / 8 + usize::from(!eighths.is_multiple_of(8));
    vec![Span::styled(full, style), Span::styled("░".repeat(width - used), rest)]
}
