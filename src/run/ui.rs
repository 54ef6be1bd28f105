//! How a run is shown: every word to people goes through here.

use crate::exit;
use crate::inspect::Inspector;
use crate::logging::Redirect;
use crate::report::{self, Manifest};
use crate::stop::{Stops, ignores_hangup};
use crate::tui::app::WorkerRow;
use crate::tui::app::{Conclusion, RunInfo, Step};
use crate::tui::theme::Theme;
use crate::tui::{Dashboard, LineSink};
use host::{environment, stdio};
use indicatif::ProgressBar;
use load_metrics::Snapshot;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use host::stdio::say;

/// How often a dashboard hears of progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(50);
/// The same of lines that stay.
const PROGRESS_LINE_PERIOD: Duration = Duration::from_secs(2);
/// Seconds from one line to the next where they are few.
const BRIEF_PERIOD_S: u64 = 10;
/// Log lines of a run with a dashboard, in the results folder.
const LOG_FILE: &str = "generator.log";

/// How a run is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiKind {
    /// The dashboard, then the summary on stdout.
    Tui {
        fps: u32,
    },
    /// One line a second on stderr, the summary on stdout.
    Plain,
    /// One line every few seconds on stderr, and nothing else: whoever runs it says the rest.
    Brief,
    /// One object a second on stdout.
    Json,
    None,
}

impl UiKind {
    /// Whether people read what is said between two runs.
    pub(crate) fn has_lines(self) -> bool {
        matches!(self, Self::Tui { .. } | Self::Plain)
    }
}

/// How a run is shown.
pub(crate) enum Ui {
    Tui {
        dashboard: Dashboard,
        /// Log lines would tear the screen.
        _logs: Redirect,
    },
    Plain,
    Brief,
    /// With what was lost on its way to stdout.
    Json(RefCell<Option<io::Error>>),
    None,
}

/// Whether text for this stream may have colours.
pub(crate) fn use_colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && has_colour()
}

fn has_colour() -> bool {
    environment::variable("NO_COLOR").is_none() && is_capable_terminal()
}

/// Whether a terminal, where there is one, does more than print text.
pub(crate) fn is_capable_terminal() -> bool {
    environment::variable("TERM").is_some_and(|term| term != "dumb")
}

impl Ui {
    /// Starts showing. `dir` is the results folder.
    ///
    /// # Errors
    /// When the terminal cannot be taken over.
    pub(crate) fn start(kind: UiKind, dir: &Path, run_info: impl FnOnce() -> RunInfo) -> io::Result<(Self, Option<Stops>)> {
        Ok(match kind {
            UiKind::Tui { fps } => {
                let theme = Theme { has_colour: has_colour() };
                let (dashboard, stops) = Dashboard::start(run_info(), theme, fps, ignores_hangup())?;
                let mut log = LogFile { path: dir.join(LOG_FILE), file: None };
                let line_sink = dashboard.line_sink();
                let logs = Redirect::to(move |line| {
                    log.write(line);
                    // What the dashboard does not take is in the file.
                    let _ = line_sink.line(line);
                });
                (Self::Tui { dashboard, _logs: logs }, Some(stops))
            }
            UiKind::Plain => (Self::Plain, None),
            UiKind::Brief => (Self::Brief, None),
            UiKind::Json => (Self::Json(RefCell::default()), None),
            UiKind::None => (Self::None, None),
        })
    }

    /// Whether single things may be looked at.
    pub(crate) fn wants_cards(&self) -> bool {
        matches!(self, Self::Tui { .. })
    }

    /// What people want to know while they wait.
    pub(crate) fn tell(&self, text: &str) {
        match self {
            Self::Tui { dashboard, .. } if dashboard.is_alive() => drop(dashboard.line_sink().line(text)),
            Self::Tui { .. } | Self::Plain => say(text),
            Self::Brief | Self::Json(_) | Self::None => {}
        }
    }

    /// What people need to know however the run is shown.
    pub(crate) fn announce(&self, text: &str) {
        match self {
            Self::Tui { .. } => self.tell(text),
            Self::Plain | Self::Brief | Self::Json(_) | Self::None => say(text),
        }
    }

    /// Progress of something long.
    pub(crate) fn progress(&self, what: &'static str, of: usize) -> Progress {
        match self {
            Self::Tui { dashboard, .. } => {
                let progress =
                    Progress::Step { line_sink: dashboard.line_sink(), what, of, begun: Instant::now(), told: Cell::new(None) };
                progress.set(0);
                progress
            }
            Self::Plain if io::stderr().is_terminal() => Progress::Bar(dev_pki::progress_bar(of, what)),
            Self::Plain => Progress::Lines { what, of, told: Cell::new(Instant::now()) },
            Self::Brief | Self::Json(_) | Self::None => Progress::Silent,
        }
    }

    /// The things live; they may be looked at.
    pub(crate) fn fleet(&self, inspector: Option<Inspector>) {
        if let (Self::Tui { dashboard, .. }, Some(inspector)) = (self, inspector) {
            dashboard.fleet(inspector);
        }
    }

    /// How the workers of the run stand.
    pub(crate) fn workers(&self, rows: &[WorkerRow]) {
        if let Self::Tui { dashboard, .. } = self {
            dashboard.workers(rows);
        }
    }

    /// A second is over.
    pub(crate) fn second(&self, snapshot: &Arc<Snapshot>) {
        match self {
            Self::Tui { dashboard, .. } => {
                if dashboard.is_alive() {
                    dashboard.second(snapshot);
                } else {
                    say(&report::plain::line(snapshot));
                }
                #[cfg(debug_assertions)]
                panic_if_asked(dashboard, snapshot.t_s);
            }
            Self::Plain => say(&report::plain::line(snapshot)),
            Self::Brief if snapshot.t_s.is_multiple_of(BRIEF_PERIOD_S) => say(&format!("  {}", report::plain::line(snapshot))),
            // A run goes on, and its end says what was lost.
            Self::Json(lost) => {
                if let Err(error) = stdio::print(&format!("{}\n", report::json::line(snapshot))) {
                    lost.borrow_mut().get_or_insert(error);
                }
            }
            Self::Brief | Self::None => {}
        }
    }

    /// The run is over: the last screen stays until a key, or until `hurry` completes.
    pub(crate) async fn finished(&self, manifest: &Manifest, hurry: impl Future<Output = ()>) {
        let Self::Tui { dashboard, .. } = self else { return };
        dashboard.finished(Conclusion {
            verdict: manifest.verdict.as_str(),
            exit_code: manifest.exit_code.unwrap_or_default(),
            findings: manifest.findings.clone(),
        });
        tokio::select! {
            () = dashboard.left() => {}
            () = hurry => {}
        }
    }

    /// Gives the terminal back and says nothing; what was lost on its way to stdout.
    pub(crate) fn close(self) -> Option<io::Error> {
        match self {
            Self::Json(lost) => lost.take(),
            Self::Tui { .. } | Self::Plain | Self::Brief | Self::None => None,
        }
    }

    /// Gives the terminal back and says how it went: what failed on stderr, the summary on stdout. The exit code is `code`, unless what
    /// was to be on stdout is not there.
    pub(crate) fn conclude(self, manifest: &Manifest, dir: &Path, failures: &[String], code: u8) -> u8 {
        let (lost, text) = match &self {
            Self::Brief | Self::None => (None, None),
            Self::Json(lost) => (lost.take(), Some(report::json::summary(manifest))),
            Self::Tui { .. } | Self::Plain => {
                (None, Some(format!("\n{}", report::summary(manifest, dir, use_colour(&io::stdout())))))
            }
        };
        drop(self);
        for failure in failures {
            say(&format!("fleetsim: {failure}"));
        }
        let Some(text) = text else { return code };
        let printed = stdio::print(&format!("{text}\n"));
        match lost.map_or(printed, Err) {
            Ok(()) => code,
            Err(error) => {
                say(&format!("fleetsim: failed to {error}"));
                exit::ERROR
            }
        }
    }
}

/// For tests, and no part of a release: `FLEETSIM_TEST_PANIC` names who is to panic in the second second, `dashboard` or `run`.
#[cfg(debug_assertions)]
fn panic_if_asked(dashboard: &Dashboard, t_s: u64) {
    match environment::variable("FLEETSIM_TEST_PANIC").as_deref() {
        Some("dashboard") if t_s == 2 => dashboard.panic(),
        Some("run") if t_s == 2 => panic!("asked to panic"),
        _ => {}
    }
}

/// Progress of something long.
pub(crate) enum Progress {
    Bar(ProgressBar),
    Step {
        line_sink: LineSink,
        what: &'static str,
        of: usize,
        begun: Instant,
        told: Cell<Option<Instant>>,
    },
    /// Of what takes long enough.
    Lines {
        what: &'static str,
        of: usize,
        told: Cell<Instant>,
    },
    Silent,
}

impl Progress {
    pub(crate) fn set(&self, done: usize) {
        match self {
            Self::Bar(bar) => bar.set_position(done as u64),
            Self::Step { line_sink, what, of, begun, told } => {
                let is_due = told.get().is_none_or(|told| told.elapsed() >= PROGRESS_PERIOD);
                if is_due || done >= *of {
                    told.set(Some(Instant::now()));
                    line_sink.step(Step { what, done: done as u64, of: *of as u64, elapsed: begun.elapsed() });
                }
            }
            Self::Lines { what, of, told } => {
                if told.get().elapsed() >= PROGRESS_LINE_PERIOD {
                    told.set(Instant::now());
                    say(&format!("{what}: {done} of {of}"));
                }
            }
            Self::Silent => {}
        }
    }

    pub(crate) fn finish(&self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Step { of, .. } => self.set(*of),
            Self::Lines { .. } | Self::Silent => {}
        }
    }
}

/// Made with the first line.
struct LogFile {
    path: PathBuf,
    file: Option<File>,
}

impl LogFile {
    /// A log that cannot be written is no reason to end a run, and there is nobody to tell.
    fn write(&mut self, line: &str) {
        if self.file.is_none() {
            self.file = File::options().create(true).append(true).open(&self.path).ok();
        }
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }
}
