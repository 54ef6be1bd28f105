//! What an action changes. What is to be done outside comes back as a command.

use super::app::{App, Overlay, RunState, Tab, WINDOWS};
use super::input::{Action, Mode};
use load_metrics::Measure;

/// Rows of a page.
const PAGE: usize = 20;

/// What the run, or the terminal, should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop with a drain; the second time at once.
    Stop,
    /// Nobody needs the last screen any longer.
    Leave,
    /// The screen needs to know something of single things.
    Look,
    /// What is on the terminal may be garbage.
    Redraw,
    /// Stop the process until somebody continues it.
    Suspend,
}

/// What the keys mean now.
#[must_use]
pub fn mode(app: &App) -> Mode {
    match (app.overlay, &app.state) {
        (Some(Overlay::Question), _) => Mode::Question,
        (Some(Overlay::Help), _) => Mode::Help,
        _ if app.finder.is_typing => Mode::Typing,
        (None, RunState::Finished(_)) => Mode::Finished,
        (None, _) => Mode::Live,
    }
}

pub fn update(app: &mut App, action: Action) -> Option<Command> {
    let row = app.selected[app.tab.index()];
    match action {
        Action::Show(tab) => return show(app, tab),
        Action::NextTab => return step(app, 1),
        Action::PreviousTab => return step(app, app.tabs().len() - 1),
        Action::Up => return select(app, row.saturating_sub(1)),
        Action::Down => return select(app, row + 1),
        Action::PageUp => return select(app, row.saturating_sub(PAGE)),
        Action::PageDown => return select(app, row + PAGE),
        Action::First => return select(app, 0),
        Action::Last => return select(app, usize::MAX),
        Action::Open => return open(app),
        Action::Back => return back(app),
        Action::Find => {
            app.tab = Tab::Things;
            app.finder.detail = None;
            app.finder.is_typing = true;
            return Some(Command::Look);
        }
        Action::Type(c) => {
            let text = format!("{}{c}", app.finder.text);
            return find(app, text);
        }
        Action::Erase => {
            let mut text = app.finder.text.clone();
            text.pop();
            return find(app, text);
        }
        Action::Clear => {
            app.finder.is_typing = false;
            return find(app, String::new());
        }
        Action::Accept => app.finder.is_typing = false,
        Action::Sort => {
            let sorts = app.tab.sorts().len();
            if sorts > 0 {
                let sort = &mut app.sorts[app.tab.index()];
                *sort = (*sort + 1) % sorts;
                app.finder.forget();
                return Some(Command::Look);
            }
        }
        Action::Measure => {
            app.measure = if app.measure == Measure::Response { Measure::Service } else { Measure::Response };
        }
        Action::Freeze => app.toggle_freeze(),
        Action::Longer => app.window = app.window.map(|window| window + 1).filter(|window| *window < WINDOWS.len()),
        Action::Shorter => app.window = Some(shorter(app)),
        Action::WholeRun => app.window = None,
        Action::Log => app.shows_log = !app.shows_log,
        Action::Help => app.overlay = Some(Overlay::Help),
        Action::Redraw => return Some(Command::Redraw),
        Action::Suspend => return Some(Command::Suspend),
        Action::Stop => return stop(app),
        Action::Abort => {
            app.overlay = None;
            return Some(Command::Stop);
        }
        Action::Dismiss => app.overlay = None,
        Action::Leave => return Some(Command::Leave),
    }
    None
}

/// So many tabs further.
fn step(app: &mut App, by: usize) -> Option<Command> {
    let tabs = app.tabs();
    show(app, tabs[(app.tab.index() + by) % tabs.len()])
}

fn show(app: &mut App, tab: Tab) -> Option<Command> {
    if !app.tabs().contains(&tab) {
        return None;
    }
    app.tab = tab;
    app.keep_selection();
    Some(Command::Look)
}

fn select(app: &mut App, row: usize) -> Option<Command> {
    app.selected[app.tab.index()] = row;
    app.keep_selection();
    match app.tab {
        Tab::Latency => {
            app.operation = app.operations().get(app.selected[app.tab.index()]).map(|row| row.operation);
            None
        }
        Tab::Things => {
            if app.finder.detail.is_some() {
                return open(app);
            }
            Some(Command::Look)
        }
        _ => None,
    }
}

fn open(app: &mut App) -> Option<Command> {
    match app.tab {
        Tab::Things => {
            app.finder.detail = app.finder.found().get(app.selected[Tab::Things.index()]).copied();
            app.finder.messages.clear();
        }
        // The things with most errors are one step away.
        Tab::Errors => {
            let Some(position) = app.most_hit.first().map(|card| card.position) else { return leave_if_over(app) };
            app.tab = Tab::Things;
            app.finder.set_text(String::new());
            app.selected[Tab::Things.index()] = app.finder.found().binary_search(&position).unwrap_or(0);
            app.finder.detail = Some(position);
            app.finder.messages.clear();
        }
        _ => return leave_if_over(app),
    }
    Some(Command::Look)
}

/// Keys with nothing to do on this screen leave the last one.
fn leave_if_over(app: &App) -> Option<Command> {
    app.is_finished().then_some(Command::Leave)
}

fn back(app: &mut App) -> Option<Command> {
    if app.shows_log {
        app.shows_log = false;
        return None;
    }
    match app.tab {
        Tab::Things if app.finder.detail.is_some() => app.finder.detail = None,
        Tab::Things if app.finder.text.is_empty() => return leave_if_over(app),
        Tab::Things => return find(app, String::new()),
        Tab::Latency if app.operation.is_some() => app.operation = None,
        _ => return leave_if_over(app),
    }
    Some(Command::Look)
}

fn find(app: &mut App, text: String) -> Option<Command> {
    app.finder.set_text(text);
    app.selected[Tab::Things.index()] = 0;
    Some(Command::Look)
}

/// The next shorter window; from the whole run, the longest one that shows less of it.
fn shorter(app: &App) -> usize {
    match app.window {
        Some(window) => window.saturating_sub(1),
        None => {
            let run_s = app.model().history.end_s();
            WINDOWS.iter().rposition(|window| *window < run_s).unwrap_or(0)
        }
    }
}

fn stop(app: &mut App) -> Option<Command> {
    match app.state {
        RunState::Stopping => {
            app.overlay = Some(Overlay::Question);
            None
        }
        RunState::Preparing | RunState::Running => {
            app.state = RunState::Stopping;
            Some(Command::Stop)
        }
        RunState::Finished(_) => Some(Command::Leave),
    }
}
