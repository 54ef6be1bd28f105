//! The dashboard: state ([`app`]), what keys mean ([`input`]) and change ([`mod@update`]), and drawing ([`view`]), each for itself; and a
//! thread of its own that puts them together. It reads one immutable snapshot a frame and touches no shard, but for questions about
//! single things that somebody looks at.

pub mod app;
pub mod finder;
pub mod history;
pub mod input;
mod job_control;
pub mod model;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

use crate::inspect::{Inspector, Pending, Question};
use app::{App, Conclusion, RunInfo, Step, WorkerRow};
use load_metrics::Snapshot;
use ratatui::crossterm::event::{self, Event};
use std::io;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use terminal::{Input, Screen, THREAD};
use theme::Theme;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use update::{Command, mode, update};

/// Messages that may wait for a terminal that does not take its frames. What comes then is not shown.
const WAITING_MAX: usize = 1024;
/// Keys are answered this soon, whatever the frame rate.
const KEY_FRAME: Duration = Duration::from_millis(33);
/// How long the last screen stays where nobody has touched a key during the run, as in automation that gives its jobs a terminal.
const UNATTENDED_STAY: Duration = Duration::from_secs(30);
/// How often it is seen whether the last screen still has a terminal, should the thread not notice.
const GONE_CHECK: Duration = Duration::from_secs(1);
/// How long the thread may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the dashboard is told.
enum Message {
    /// What happens, or was logged, in a line.
    Line(String),
    Step(Step),
    Fleet(Inspector),
    Second(Arc<Snapshot>),
    Workers(Vec<WorkerRow>),
    Finished(Conclusion),
    /// The process is to stop, and somebody may continue it.
    Suspend,
    /// The process was stopped, and goes on.
    Continued,
    Close,
    #[cfg(debug_assertions)]
    Panic,
}

/// A running dashboard. Dropping it gives the terminal back.
pub struct Dashboard {
    messages: SyncSender<Message>,
    thread: Option<JoinHandle<io::Result<()>>>,
    left: watch::Receiver<bool>,
    job_control: AbortHandle,
}

/// Tells a dashboard of lines, from any thread.
#[derive(Clone)]
pub struct LineSink {
    messages: SyncSender<Message>,
}

impl LineSink {
    /// Says whether the dashboard took it.
    #[must_use]
    pub fn line(&self, line: &str) -> bool {
        self.messages.try_send(Message::Line(line.to_owned())).is_ok()
    }

    pub fn step(&self, step: Step) {
        let _ = self.messages.try_send(Message::Step(step));
    }
}

impl Dashboard {
    /// Takes the terminal over. The receiver hears of every wish to stop the run; that the terminal goes away is one, unless the run is to
    /// outlive it. Must be called within a runtime.
    ///
    /// # Errors
    /// When there is no terminal, or it does not do what it must.
    pub fn start(
        run_info: RunInfo,
        theme: Theme,
        fps: u32,
        outlives_terminal: bool,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<()>)> {
        let (messages, inbox) = sync_channel(WAITING_MAX);
        let job_control = job_control::follow(messages.clone())?;
        let screen = Screen::enter()?;
        let (stop, stops) = mpsc::unbounded_channel();
        let (leave, left) = watch::channel(false);
        let frame = Duration::from_secs(1) / fps.max(1);
        let threads = std::thread::Builder::new().name(THREAD.into());
        let thread = threads.spawn(move || {
            let mut desk = DashboardLoop {
                app: App::new(run_info, theme),
                screen,
                inbox,
                stop,
                leave,
                inspector: None,
                pending: Vec::new(),
                is_attended: false,
                finished_at: None,
            };
            let outcome = desk.work(frame);
            if terminal::is_gone() && !outlives_terminal {
                // The run may have ended already; then nobody listens.
                let _ = desk.stop.send(());
            }
            outcome
        })?;
        Ok((Self { messages, thread: Some(thread), left, job_control }, stops))
    }

    /// Whether it still shows anything: its terminal may be gone, or it may have ended unexpectedly.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    #[must_use]
    pub fn line_sink(&self) -> LineSink {
        LineSink { messages: self.messages.clone() }
    }

    pub fn fleet(&self, inspector: Inspector) {
        self.tell(Message::Fleet(inspector));
    }

    pub fn second(&self, snapshot: &Arc<Snapshot>) {
        self.tell(Message::Second(Arc::clone(snapshot)));
    }

    /// How the workers of the run stand.
    pub fn workers(&self, rows: &[WorkerRow]) {
        self.tell(Message::Workers(rows.to_vec()));
    }

    /// The run is over; the last screen stays until [`Self::left`].
    pub fn finished(&self, conclusion: Conclusion) {
        self.tell(Message::Finished(conclusion));
    }

    /// Completes when somebody at the terminal has seen enough, or nobody is there, or there is no terminal any more.
    pub async fn left(&self) {
        let mut left = self.left.clone();
        while !terminal::is_gone() {
            // An error means that the thread has ended.
            if tokio::time::timeout(GONE_CHECK, left.wait_for(|left| *left)).await.is_ok() {
                return;
            }
        }
    }

    /// A test's way to see what a panic of the drawing thread leaves behind; no part of a release.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn panic(&self) {
        self.tell(Message::Panic);
    }

    /// What a terminal that takes no frames misses, it misses.
    fn tell(&self, message: Message) {
        let _ = self.messages.try_send(message);
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.job_control.abort();
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !thread.is_finished() && Instant::now() < deadline {
            self.tell(Message::Close);
            std::thread::sleep(Duration::from_millis(10));
        }
        if !thread.is_finished() {
            return;
        }
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the terminal of the dashboard"),
            Err(_panic) => tracing::error!("the dashboard panicked; the run did not"),
        }
    }
}

/// What the thread works with.
struct DashboardLoop {
    app: App,
    screen: Screen,
    inbox: Receiver<Message>,
    stop: mpsc::UnboundedSender<()>,
    leave: watch::Sender<bool>,
    inspector: Option<Inspector>,
    pending: Vec<Pending>,
    /// Whether somebody has touched a key.
    is_attended: bool,
    finished_at: Option<Instant>,
}

/// What is to be done after the messages were read.
#[derive(PartialEq, Eq)]
enum Next {
    Nothing,
    Draw,
    Close,
}

impl DashboardLoop {
    fn work(&mut self, frame: Duration) -> io::Result<()> {
        let mut drawn = Instant::now();
        self.screen.draw(&self.app)?;
        let (mut is_dirty, mut has_key) = (false, false);
        loop {
            let due = drawn + if has_key { frame.min(KEY_FRAME) } else { frame };
            match self.input(due)? {
                Input::Gone => return Ok(()),
                Input::Background => {}
                input => {
                    let (key, dirty) = self.events(input)?;
                    has_key |= key;
                    is_dirty |= dirty;
                }
            }
            if Instant::now() < due {
                continue;
            }
            match self.messages() {
                Next::Close => return Ok(()),
                next => is_dirty |= next == Next::Draw,
            }
            is_dirty |= self.answers() | !self.screen.is_held();
            let is_held = self.screen.hold()?;
            is_dirty |= self.leave_unattended();
            if is_held && is_dirty && !self.screen.draw(&self.app)? {
                return Ok(());
            }
            (drawn, is_dirty, has_key) = (Instant::now(), false, false);
        }
    }

    /// Waits for keys, `until` at most; what is typed while the terminal is not ours is somebody else's.
    fn input(&self, until: Instant) -> io::Result<Input> {
        let left = until.saturating_duration_since(Instant::now());
        if self.screen.is_held() && job_control::is_in_foreground() {
            return terminal::wait(left);
        }
        std::thread::sleep(left);
        Ok(if terminal::is_gone() { Input::Gone } else { Input::Background })
    }

    /// All keys and new sizes there are: whether there was a key, and whether anything has changed.
    fn events(&mut self, input: Input) -> io::Result<(bool, bool)> {
        let (mut has_key, mut is_dirty) = (false, false);
        while event::poll(Duration::ZERO)? {
            let (key, dirty) = self.event(&event::read()?)?;
            has_key |= key;
            is_dirty |= dirty;
        }
        if input == Input::Ready && !has_key {
            // Bytes that are no whole key keep the terminal ready.
            std::thread::sleep(KEY_FRAME);
        }
        Ok((has_key, is_dirty))
    }

    /// The last screen goes by itself where nobody is; says whether what it shows of that has changed.
    fn leave_unattended(&mut self) -> bool {
        let left = self.finished_at.filter(|_| !self.is_attended || !self.screen.is_held()).map(|finished_at| {
            let stay = if self.screen.is_held() { UNATTENDED_STAY } else { Duration::ZERO };
            stay.saturating_sub(finished_at.elapsed()).as_secs_f64().ceil() as u64
        });
        if left == Some(0) {
            self.leave.send_replace(true);
        }
        std::mem::replace(&mut self.app.leaves_in_s, left) != left
    }

    /// Whether it was a key, and whether it changed anything.
    fn event(&mut self, event: &Event) -> io::Result<(bool, bool)> {
        let Event::Key(key) = event else { return Ok((false, matches!(event, Event::Resize(..)))) };
        self.is_attended = true;
        let Some(action) = input::action(key, mode(&self.app)) else { return Ok((true, false)) };
        match update(&mut self.app, action) {
            // The run may have ended already; then nobody listens.
            Some(Command::Stop) => drop(self.stop.send(())),
            Some(Command::Leave) => drop(self.leave.send(true)),
            Some(Command::Look) => self.ask(),
            Some(Command::Redraw) => self.screen.clear()?,
            Some(Command::Suspend) => job_control::ask_to_stop(),
            None => {}
        }
        Ok((true, true))
    }

    fn messages(&mut self) -> Next {
        let mut next = Next::Nothing;
        loop {
            match self.inbox.try_recv() {
                Ok(Message::Line(line)) => self.app.log(line),
                Ok(Message::Step(step)) => self.app.step(step),
                Ok(Message::Fleet(inspector)) => self.inspector = Some(inspector),
                Ok(Message::Second(snapshot)) => {
                    self.app.second(snapshot);
                    self.ask();
                }
                Ok(Message::Workers(rows)) => self.app.workers = rows,
                Ok(Message::Finished(conclusion)) => {
                    self.app.finished(conclusion);
                    self.finished_at = Some(Instant::now());
                }
                Ok(Message::Suspend) if job_control::can_be_continued() => self.screen.suspend(),
                Ok(Message::Suspend) => self.app.log("not suspended: there is no shell that could continue it".into()),
                Ok(Message::Continued) => self.screen.go_on(),
                #[cfg(debug_assertions)]
                Ok(Message::Panic) => panic!("asked to panic"),
                Ok(Message::Close) | Err(TryRecvError::Disconnected) => return Next::Close,
                Err(TryRecvError::Empty) => return next,
            }
            next = Next::Draw;
        }
    }

    /// Asks the shards what the screen needs; a question of a kind waits for the answer of the one before.
    fn ask(&mut self) {
        let Some(inspector) = &self.inspector else { return };
        for question in self.app.questions() {
            let waits = |pending: &Pending| discriminant(pending.question()) == discriminant(&question);
            if self.pending.iter().any(waits) {
                continue;
            }
            match inspector.ask(question) {
                Some(pending) => self.pending.push(pending),
                None => self.app.unanswered = true,
            }
        }
        let is_watching = self.app.questions().iter().any(|question| matches!(question, Question::Watch(_)));
        if !is_watching && self.app.finder.messages.pop().is_some() {
            self.app.finder.messages.clear();
            // A shard that does not hear it goes on with a few messages of one thing.
            let _ = inspector.ask(Question::Unwatch);
        }
    }

    /// Takes in what the shards have answered; says whether there was anything.
    fn answers(&mut self) -> bool {
        let mut answered = Vec::new();
        let app = &mut self.app;
        self.pending.retain_mut(|pending| match pending.poll() {
            Some(reply) => {
                answered.push((pending.question().clone(), reply));
                false
            }
            None => {
                app.unanswered |= pending.is_overdue();
                !pending.is_overdue()
            }
        });
        let any = !answered.is_empty();
        for (question, reply) in answered {
            let before = self.app.finder.found().len();
            self.app.answered(&question, reply);
            // Other things are listed now: their cards are wanted too.
            if self.app.finder.found().len() != before {
                self.ask();
            }
        }
        any
    }
}
