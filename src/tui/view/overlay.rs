//! What lies over the panels, or takes their place before the run begins.

use super::{bar, height_of, panel};
use crate::tui::app::{App, Overlay, RunState, Step};
use crate::tui::input::{self, Mode};
use load_metrics::StageCounts;
use load_metrics::format::{clock, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear};
use std::time::Duration;

const HELP_COLUMNS: usize = 2;
/// Both columns, with their border.
const HELP_WIDTH: u16 = 80;

/// What is being prepared, with progress.
pub(super) fn preparation(frame: &mut Frame, area: Rect, app: &App) {
    let steps = height_of(app.steps.len() + 3);
    let [upper, lower] = Layout::vertical([Constraint::Length(steps.min(area.height / 2)), Constraint::Fill(1)]).areas(area);
    let inner = panel(frame, upper, app, "preparing ").inner(Margin::new(1, 1));
    let width = (area.width / 3).clamp(16, 50);
    let lines: Vec<Line> = app.steps.iter().map(|step| step_line(step, width, app)).collect();
    frame.render_widget(Text::from(lines), inner);
    told(frame, lower, app, "so far ");
}

fn step_line(step: &Step, width: u16, app: &App) -> Line<'static> {
    let share = if step.of == 0 { 1.0 } else { step.done as f64 / step.of as f64 };
    let left = if share > 0.0 && share < 1.0 {
        format!("  {} left", clock(step.elapsed.mul_f64((1.0 - share) / share) + Duration::from_millis(999)))
    } else {
        String::new()
    };
    let mut spans = vec![Span::raw(format!("{:<21}", step.what))];
    spans.extend(bar(width, share, app.theme.accent(), app.theme.muted()));
    spans.push(Span::raw(format!(" {}/{}{left}", grouped(step.done), grouped(step.of))));
    Line::from(spans)
}

/// The log pane.
pub(super) fn log(frame: &mut Frame, area: Rect, app: &App) {
    told(frame, area, app, "log (l: close) ");
}

fn told(frame: &mut Frame, area: Rect, app: &App, title: &'static str) {
    let inner = panel(frame, area, app, title);
    let skip = app.log.len().saturating_sub(usize::from(inner.height));
    let lines: Vec<Line> = app.log.iter().skip(skip).map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(Text::from(lines), inner);
}

/// Help, or a question.
pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    match app.overlay {
        Some(Overlay::Help) => help(frame, area, app),
        Some(Overlay::Question) => question(frame, area, app),
        None => {}
    }
}

fn popup(frame: &mut Frame, area: Rect, width: u16, height: u16, title: &'static str) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let outer = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, outer);
    let block = Block::bordered().title(title);
    let inner = block.inner(outer);
    frame.render_widget(block, outer);
    inner
}

fn help(frame: &mut Frame, area: Rect, app: &App) {
    let mode = if app.is_finished() { Mode::Finished } else { Mode::Live };
    let bindings: Vec<_> = input::bindings(mode).collect();
    let rows = bindings.len().div_ceil(HELP_COLUMNS);
    let inner = popup(frame, area, HELP_WIDTH, height_of(rows + 2), " keys (any key closes) ");
    let width = usize::from(inner.width) / HELP_COLUMNS;
    let lines = (0..rows).map(|row| {
        let cells = (0..HELP_COLUMNS).filter_map(|column| bindings.get(column * rows + row)).map(|binding| {
            let text: String = format!(" {:<10} {}", binding.shown, binding.help).chars().take(width).collect();
            format!("{text:width$}")
        });
        Line::raw(cells.collect::<String>())
    });
    frame.render_widget(Text::from(lines.collect::<Vec<_>>()), inner);
}

fn question(frame: &mut Frame, area: Rect, app: &App) {
    let inner = popup(frame, area, 62, 6, " abort now? ");
    let counts = app.model().snapshot.as_ref().map_or_else(|| StageCounts::new(true), |snapshot| snapshot.executions);
    // What is queued is not known without the service ledger.
    let more = if counts.has_ledger() { "" } else { " or more" };
    let open = format!("{}{more} executions are open.", grouped(counts.open()));
    let first = match app.state {
        RunState::Stopping => format!("The run is draining; {open}"),
        _ => open,
    };
    let lines = vec![
        Line::raw(first),
        Line::raw("Results are written either way."),
        Line::raw(""),
        Line::from(vec![
            Span::styled("y", app.theme.title()),
            Span::raw(" abort now   "),
            Span::styled("n", app.theme.title()),
            Span::raw(" go on draining"),
        ]),
    ];
    frame.render_widget(Text::from(lines), inner);
}
