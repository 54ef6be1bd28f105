//! Keys to actions: one table, which the help and the hints at the foot of the screen are made of too.

use super::app::Tab;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Show(Tab),
    NextTab,
    PreviousTab,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    /// Type what to look for.
    Find,
    Type(char),
    Erase,
    Accept,
    Clear,
    Sort,
    Measure,
    Freeze,
    Longer,
    Shorter,
    WholeRun,
    Log,
    Help,
    Redraw,
    Suspend,
    Stop,
    Abort,
    Dismiss,
    Leave,
}

/// What the keys mean at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The run goes on.
    Live,
    /// Text is being typed.
    Typing,
    /// A question is open.
    Question,
    /// Help lies over the panels.
    Help,
    /// The run is over; the last screen stays.
    Finished,
}

use Mode::{Finished, Help, Live, Question, Typing};

/// A row of the table.
pub struct Binding {
    modes: &'static [Mode],
    keys: &'static [(KeyModifiers, KeyCode)],
    action: Action,
    /// The keys as people read them.
    pub shown: &'static str,
    pub help: &'static str,
    /// A word for the foot of the screen, where it belongs there.
    pub hint: Option<&'static str>,
}

const PLAIN: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;

const fn key(c: char) -> (KeyModifiers, KeyCode) {
    (PLAIN, KeyCode::Char(c))
}

const fn code(code: KeyCode) -> (KeyModifiers, KeyCode) {
    (PLAIN, code)
}

const CTRL_C: (KeyModifiers, KeyCode) = (CTRL, KeyCode::Char('c'));
const BROWSING: &[Mode] = &[Live, Finished];
const ANY: &[Mode] = &[Live, Typing, Question, Help, Finished];

macro_rules! bindings {
    ($($modes:expr, [$($key:expr),+] => $action:expr, $shown:literal, $help:literal, $hint:expr;)+) => {
        /// Every key there is.
        pub const BINDINGS: &[Binding] = &[
            $(Binding { modes: $modes, keys: &[$($key),+], action: $action, shown: $shown, help: $help, hint: $hint }),+
        ];
    };
}

bindings! {
    BROWSING, [key('1')] => Action::Show(Tab::Overview), "1", "overview of the run", None;
    BROWSING, [key('2')] => Action::Show(Tab::Latency), "2", "latency of operations", None;
    BROWSING, [key('3')] => Action::Show(Tab::Rollouts), "3", "rollouts, one row a job", None;
    BROWSING, [key('4')] => Action::Show(Tab::Errors), "4", "errors by kind and code", None;
    BROWSING, [key('5')] => Action::Show(Tab::Things), "5", "single things", None;
    BROWSING, [key('6')] => Action::Show(Tab::Workers), "6", "workers, where it has some", None;
    BROWSING, [code(KeyCode::Tab), code(KeyCode::Right)] => Action::NextTab, "Tab Right", "next tab", None;
    BROWSING, [code(KeyCode::BackTab), (KeyModifiers::SHIFT, KeyCode::BackTab), code(KeyCode::Left)] => Action::PreviousTab,
        "S-Tab Left", "previous tab", None;
    BROWSING, [code(KeyCode::Down), key('j')] => Action::Down, "Down j", "next row", None;
    BROWSING, [code(KeyCode::Up), key('k')] => Action::Up, "Up k", "previous row", None;
    BROWSING, [code(KeyCode::PageDown)] => Action::PageDown, "PgDn", "20 rows down", None;
    BROWSING, [code(KeyCode::PageUp)] => Action::PageUp, "PgUp", "20 rows up", None;
    BROWSING, [code(KeyCode::Home), key('g')] => Action::First, "Home g", "first row", None;
    BROWSING, [code(KeyCode::End), key('G'), (KeyModifiers::SHIFT, KeyCode::Char('G'))] => Action::Last, "End G", "last row", None;
    BROWSING, [code(KeyCode::Enter)] => Action::Open, "Enter", "open the selected thing", None;
    BROWSING, [code(KeyCode::Esc)] => Action::Back, "Esc", "back; clear the search", None;
    BROWSING, [key('/')] => Action::Find, "/", "find by name or state", Some("find");
    BROWSING, [key('s')] => Action::Sort, "s", "sort by the next column", Some("sort");
    BROWSING, [key('m')] => Action::Measure, "m", "service or response times", None;
    &[Live], [key('p')] => Action::Freeze, "p", "freeze display, not the run", Some("freeze");
    BROWSING, [key('+'), key('='), (KeyModifiers::SHIFT, KeyCode::Char('+'))] => Action::Longer, "+", "charts over a longer time", None;
    BROWSING, [key('-')] => Action::Shorter, "-", "charts over a shorter time", Some("time");
    BROWSING, [key('a')] => Action::WholeRun, "a", "charts over the whole run", None;
    BROWSING, [key('l')] => Action::Log, "l", "log", Some("log");
    BROWSING, [key('?'), (KeyModifiers::SHIFT, KeyCode::Char('?'))] => Action::Help, "?", "this help", Some("help");
    BROWSING, [(CTRL, KeyCode::Char('l'))] => Action::Redraw, "Ctrl-L", "redraw the screen", None;
    ANY, [(CTRL, KeyCode::Char('z'))] => Action::Suspend, "Ctrl-Z", "suspend; fg brings it back", None;
    &[Live], [key('q'), CTRL_C] => Action::Stop, "q Ctrl-C", "drain; again: abort now", Some("stop");
    &[Finished], [key('q'), key(' '), CTRL_C] => Action::Leave, "q", "leave; print the summary", Some("leave");
    &[Typing], [code(KeyCode::Enter)] => Action::Accept, "Enter", "show the matches", Some("done");
    &[Typing], [code(KeyCode::Esc)] => Action::Clear, "Esc", "cancel the search", Some("clear");
    &[Typing], [code(KeyCode::Backspace)] => Action::Erase, "Backspace", "erase a character", None;
    &[Typing], [CTRL_C] => Action::Stop, "Ctrl-C", "stop the run", None;
    &[Question], [key('y'), CTRL_C] => Action::Abort, "y", "abort now", Some("abort now");
    &[Question], [key('n'), code(KeyCode::Esc), key('q')] => Action::Dismiss, "n Esc", "go on draining", Some("go on draining");
    &[Help], [CTRL_C] => Action::Stop, "Ctrl-C", "stop the run", None;
}

/// What a key means in this mode; `None`: nothing.
#[must_use]
pub fn action(event: &KeyEvent, mode: Mode) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let pressed = (event.modifiers, event.code);
    let bound = BINDINGS.iter().find(|binding| binding.modes.contains(&mode) && binding.keys.contains(&pressed));
    match (bound, mode, event.code) {
        (Some(binding), ..) => Some(binding.action),
        (None, Typing, KeyCode::Char(c)) if !event.modifiers.intersects(CTRL | KeyModifiers::ALT) => Some(Action::Type(c)),
        // Any key closes the help, and leaves the last screen.
        (None, Help, _) => Some(Action::Dismiss),
        (None, Finished, _) => Some(Action::Leave),
        _ => None,
    }
}

/// The keys of a mode, for the help and the hints.
pub fn bindings(mode: Mode) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.modes.contains(&mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn press(modifiers: KeyModifiers, code: KeyCode, mode: Mode) -> Option<Action> {
        action(&KeyEvent::new(code, modifiers), mode)
    }

    #[test]
    fn no_key_means_two_things_in_one_mode() {
        for mode in [Live, Typing, Question, Help, Finished] {
            let mut seen = BTreeSet::new();
            for binding in bindings(mode) {
                for key in binding.keys {
                    assert!(seen.insert(format!("{key:?}")), "{key:?} twice in {mode:?}");
                    assert_eq!(press(key.0, key.1, mode), Some(binding.action));
                }
            }
        }
    }

    #[test]
    fn the_help_fits_two_columns_of_the_smallest_common_terminal() {
        for binding in BINDINGS {
            assert!(binding.shown.len() <= 10 && binding.help.len() <= 27, "{}: {}", binding.shown, binding.help);
        }
    }

    #[test]
    fn letters_are_text_while_text_is_typed() {
        assert_eq!(press(PLAIN, KeyCode::Char('q'), Typing), Some(Action::Type('q')));
        assert_eq!(press(CTRL, KeyCode::Char('x'), Typing), None);
        assert_eq!(press(CTRL, KeyCode::Char('c'), Typing), Some(Action::Stop));
    }

    #[test]
    fn any_key_closes_help_and_leaves_the_last_screen() {
        assert_eq!(press(PLAIN, KeyCode::Char('z'), Help), Some(Action::Dismiss));
        assert_eq!(press(PLAIN, KeyCode::F(5), Finished), Some(Action::Leave));
        assert_eq!(press(PLAIN, KeyCode::Char('2'), Finished), Some(Action::Show(Tab::Latency)), "one may still look around");
        assert_eq!(press(PLAIN, KeyCode::Char('z'), Live), None);
        for mode in ANY {
            assert_eq!(press(CTRL, KeyCode::Char('z'), *mode), Some(Action::Suspend));
        }
    }
}
