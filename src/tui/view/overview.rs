//! The run at a glance.

use super::{bar, charts, heat, panel};
use crate::tui::app::App;
use crate::tui::model::RATE_S;
use load_metrics::Phase;
use load_metrics::format::{UNKNOWN, bytes, clock, grouped, grouped_or_unknown, milliseconds, plain, short};
use load_metrics::{BUSY_MAX, Finding, LATENESS_MAX_MS, ProcessUsage, Snapshot, findings};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use std::time::Duration;
use strum::VariantArray;

/// Fewer free descriptors than that are a worry.
const DESCRIPTORS_SPARE: u64 = 64;
/// Rows of the lowest panels, with their titles.
const LOWER: u16 = 8;
const LOWER_TALL: u16 = 10;
/// A chart needs this much to be read.
const CHART_MIN: u16 = 10;
const WIDE: u16 = 150;

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let Some(snapshot) = app.model().snapshot.clone() else { return };
    let is_wide = area.width >= WIDE;
    let lower = if area.height >= 30 { LOWER_TALL } else { LOWER };
    let progress = 3 + u16::from(!snapshot.thresholds.is_empty());
    let [progress, charts, lower] =
        Layout::vertical([Constraint::Length(progress), Constraint::Fill(1), Constraint::Length(lower)]).areas(area);
    render_progress(frame, progress, app, &snapshot);

    let columns = if is_wide { 3 } else { 2 };
    let rows = if charts.height >= 2 * CHART_MIN { 2 } else { 1 };
    let bands = Layout::vertical(vec![Constraint::Fill(1); rows]).spacing(0).split(charts);
    let cells = |row: Rect| Layout::horizontal(vec![Constraint::Fill(1); columns]).spacing(2).split(row);
    let top = cells(bands[0]);
    charts::messages(frame, top[0], app);
    charts::latency(frame, top[1], app);
    if is_wide {
        charts::connections(frame, top[2], app);
    }
    if rows == 2 {
        let second = cells(bands[1]);
        charts::progress(frame, second[0], app);
        heat::render(frame, second[1], app);
        if is_wide {
            charts::connect_rate(frame, second[2], app);
        }
    }
    let lower = cells(lower);
    render_funnel(frame, lower[0], app, &snapshot);
    render_health(frame, lower[1], app, &snapshot);
    if is_wide {
        render_errors(frame, lower[2], app);
    }
}

fn render_progress(frame: &mut Frame, area: Rect, app: &App, snapshot: &Snapshot) {
    let judged = u16::from(!snapshot.thresholds.is_empty());
    let [timeline, goal, connections, thresholds] = Layout::vertical([1, 1, 1, judged].map(Constraint::Length)).areas(area);
    frame.render_widget(threshold_line(app, snapshot), thresholds);
    frame.render_widget(phases(app, snapshot, timeline.width), timeline);

    let theme = app.theme;
    let width = (area.width / 3).clamp(20, 60);
    let labelled = |label: &str, share: f64, style: Style, text: String| {
        let mut spans = vec![Span::raw(format!(" {label:<9}"))];
        spans.extend(bar(width, share, style, theme.muted()));
        spans.push(Span::raw(format!(" {text}")));
        Line::from(spans)
    };
    let line = match app.model().goal(app.run_info.duration) {
        Some(goal) => {
            let left = goal.left.map_or("-".to_owned(), clock);
            let eta = if goal.share() >= 1.0 { String::new() } else { format!("ETA {left}  ") };
            let text = format!("{:>3.0} %  {eta}{}/{} {}", 100.0 * goal.share(), grouped(goal.done), grouped(goal.of), goal.what);
            labelled("progress", goal.share(), theme.accent(), text)
        }
        None => Line::raw(format!(" progress  until {}", app.run_info.end)),
    };
    frame.render_widget(line, goal);

    let share = if snapshot.things == 0 { 0.0 } else { snapshot.connected as f64 / snapshot.things as f64 };
    let text = format!(
        "{:>3.0} %  +{}/s  {}/{} connected",
        100.0 * share,
        grouped(snapshot.connects_per_s),
        grouped(snapshot.connected),
        grouped(snapshot.things)
    );
    let text = match app.run_info.workers {
        0 => text,
        workers => format!("{text}  {}/{workers} workers", app.workers_here()),
    };
    frame.render_widget(labelled("things", share, theme.second(), text), connections);
}

/// `thresholds 3 of 4 hold  ! start_next.response_ms.p99 312 (< 250)`, what fails first.
fn threshold_line(app: &App, snapshot: &Snapshot) -> Line<'static> {
    let rows = &snapshot.thresholds;
    let holding = rows.iter().filter(|row| row.holds() == Some(true)).count();
    let mut spans = vec![Span::raw(format!(" thresholds  {holding} of {} hold", rows.len()))];
    for wanted in [Some(false), None, Some(true)] {
        for row in rows.iter().filter(|row| row.holds() == wanted) {
            let value = row.value.map_or_else(|| "-".into(), plain);
            let mark = if wanted == Some(false) { "!" } else { " " };
            let style = if wanted == Some(false) { app.theme.bad() } else { Style::new() };
            spans.push(Span::styled(format!("  {mark}{} {value} ({})", row.threshold.metric, row.threshold.check), style));
        }
    }
    Line::from(spans)
}

/// `connect 0:22 > steady 0:01 > ROLLOUT 0:20 > drain > done`.
fn phases(app: &App, snapshot: &Snapshot, width: u16) -> Line<'static> {
    let theme = app.theme;
    let seen = &app.model().phases;
    let mut spans = vec![Span::raw(" phases   ")];
    for (n, phase) in Phase::VARIANTS.iter().copied().enumerate() {
        if n > 0 {
            spans.push(Span::styled(" > ", theme.muted()));
        }
        let place = seen.iter().position(|(known, _)| *known == phase);
        let lasted = place.map(|place| {
            let end = seen.get(place + 1).map_or(snapshot.t_s, |(_, next)| *next);
            clock(Duration::from_secs(end - seen[place].1))
        });
        let style = match lasted {
            _ if phase == snapshot.phase => theme.title(),
            Some(_) => Style::new(),
            None => theme.muted(),
        };
        let name = if phase == snapshot.phase { phase.as_str().to_uppercase() } else { phase.as_str().to_owned() };
        spans.push(Span::styled(lasted.map_or(name.clone(), |lasted| format!("{name} {lasted}")), style));
    }
    let line = Line::from(spans);
    let end = Span::styled(format!("   ends: {}", app.run_info.end), theme.muted());
    if line.width() + end.width() <= usize::from(width) { line + end } else { line }
}

fn render_funnel(frame: &mut Frame, area: Rect, app: &App, snapshot: &Snapshot) {
    let counts = &snapshot.executions;
    let inner = panel(frame, area, app, format!("rollout funnel  {} executions ", grouped(counts.all())));
    let all = counts.all().max(1) as f64;
    let mut lines = Vec::new();
    for (stage, count) in counts.iter().take(usize::from(inner.height)) {
        let rate = count.map_or_else(
            || UNKNOWN.to_owned(),
            |_| {
                let rate = app.model().rate(RATE_S, |slot| slot.executions.get(stage).unwrap_or(0));
                format!("{}{}", if rate > 0.0 { "+" } else { "" }, short(rate))
            },
        );
        let mut spans = vec![Span::raw(format!("{:<12}{:>9}", stage.label(), grouped_or_unknown(count)))];
        spans.push(Span::styled(format!("{rate:>8}/s "), app.theme.muted()));
        let share = count.unwrap_or(0) as f64 / all;
        spans.extend(bar(inner.width.saturating_sub(33), share, app.theme.stage(stage.role()), app.theme.muted()));
        lines.push(Line::from(spans));
    }
    frame.render_widget(Text::from(lines), inner);
}

fn render_health(frame: &mut Frame, area: Rect, app: &App, snapshot: &Snapshot) {
    let theme = app.theme;
    let told = findings(snapshot);
    let is_late = snapshot.lateness.is_some_and(|lateness| lateness.p99 > LATENESS_MAX_MS);
    let (word, style) = match told.first() {
        Some(Finding::SamplesLost { .. }) => ("! figures incomplete", theme.bad()),
        Some(finding) if finding.is_invalidating() => ("! INVALID", theme.bad()),
        _ if is_late => ("! late", theme.bad()),
        _ => ("healthy", theme.accent()),
    };
    let title = Line::from(vec![Span::raw("generator  "), Span::styled(format!("{word} "), style)]);
    let inner = panel(frame, area, app, title);
    let is_roomy = inner.width >= 56;
    let roomy = |text: String| if is_roomy { text } else { String::new() };
    let (generator, endpoint) = (snapshot.generator.unwrap_or_default(), snapshot.endpoint);
    let lateness = snapshot.lateness.map_or("-".into(), |l| format!("p50 {} p99 {}", milliseconds(l.p50), milliseconds(l.p99)));
    let run = snapshot.lateness_total.map_or(String::new(), |l| format!(", of the run p99 {}", milliseconds(l.p99)));
    let of_endpoint =
        |text: fn(ProcessUsage) -> String| endpoint.map_or(String::new(), |usage| format!(", endpoint {}", text(usage)));
    // The program itself weighs as much as a thousand things.
    let each = match snapshot.things {
        0..1000 => String::new(),
        things => format!(", {:.1} KB a thing", generator.rss_bytes as f64 / 1000.0 / things as f64),
    };
    let busiest = snapshot.busy.iter().copied().fold(0.0, f64::max);
    let lost = snapshot.intervals_lost + snapshot.events_lost;
    let seen: u64 = snapshot.errors.values().map(|tally| tally.count).sum();
    let mut rows = vec![
        ("lateness", format!("{lateness}{}", roomy(run)), is_late),
        (
            "CPU",
            format!(
                "{:.2}/{}{}{}",
                generator.cpu_share,
                app.run_info.cores,
                of_endpoint(|e| format!("{:.2}", e.cpu_share)),
                roomy(format!(", busiest shard {:.0} %", 100.0 * busiest))
            ),
            busiest > BUSY_MAX,
        ),
        ("memory", format!("{}{}{}", bytes(generator.rss_bytes), of_endpoint(|e| bytes(e.rss_bytes)), roomy(each)), false),
        (
            "files",
            format!("{} of {} open", grouped(generator.descriptors), grouped(app.run_info.descriptors_max)),
            generator.descriptors + DESCRIPTORS_SPARE > app.run_info.descriptors_max,
        ),
        ("samples", format!("{} lost, {} out of range", grouped(lost), grouped(snapshot.saturated)), lost > 0),
        ("messages", format!("{} out, {} in", grouped(snapshot.messages_out), grouped(snapshot.messages_in)), false),
        ("errors", format!("{}, kinds {}", grouped(seen), snapshot.errors.len()), seen > 0),
    ];
    rows.extend(told.iter().map(|finding| ("finding", finding.to_string(), true)));
    let lines = rows.into_iter().take(usize::from(inner.height)).map(|(name, text, is_bad)| {
        let style = if is_bad { theme.bad() } else { Style::new() };
        let mark = if is_bad { "!" } else { " " };
        Line::from(vec![Span::raw(format!("{name:<9}")), Span::styled(format!("{mark}{text}"), style)])
    });
    frame.render_widget(Text::from(lines.collect::<Vec<_>>()), inner);
}

fn render_errors(frame: &mut Frame, area: Rect, app: &App) {
    let inner = panel(frame, area, app, "errors ");
    let rows = app.errors();
    let mut lines: Vec<Line> = rows
        .iter()
        .take(usize::from(inner.height))
        .map(|(key, tally, rate)| {
            let what = format!("{} {} {}", key.operation.as_str(), key.kind, key.code);
            Line::styled(format!("! {what:<44}{:>9} {:>7}/s", grouped(tally.count), short(*rate)), app.theme.bad())
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::styled("none", app.theme.muted()));
    }
    frame.render_widget(Text::from(lines), inner);
}
