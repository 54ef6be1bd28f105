//! The terminal itself: taken over, waited on, drawn to, and given back whatever happens.

use super::app::App;
use super::job_control::{is_in_foreground, stop_process};
use super::view;
use host::environment::variable;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;
use std::io::{self, BufWriter, Stdout, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// The thread that draws.
pub(super) const THREAD: &str = "dashboard";
/// A frame in one write, as far as possible.
const FRAME_BYTES: usize = 64 * 1024;
/// How long a panicking thread waits for a frame that is being drawn.
const FRAME_TIMEOUT: Duration = Duration::from_millis(200);
/// Columns and rows of a terminal that does not know its own size, as a serial line.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held while a frame is being drawn.
static FRAME: Mutex<()> = Mutex::new(());
static PANIC_HOOK: Once = Once::new();

/// What a wait for keys ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Ready,
    Nothing,
    /// The terminal is there, and somebody else's at the moment.
    Background,
    /// There is no terminal any more. Who would read from it now would never come back (crossterm issue 793).
    Gone,
}

/// Waits for keys.
///
/// # Errors
/// When the terminal cannot be waited on.
pub(super) fn wait(timeout: Duration) -> io::Result<Input> {
    let stdin = stdin();
    let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = timeout.try_into().map_err(io::Error::other)?;
    match poll(&mut descriptors, Some(&timeout)) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Input::Nothing),
        Err(error) => return Err(error.into()),
    }
    let found = descriptors[0].revents();
    Ok(if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        Input::Gone
    } else if found.contains(PollFlags::IN) {
        Input::Ready
    } else {
        Input::Nothing
    })
}

/// Whether there is no terminal any more.
pub(super) fn is_gone() -> bool {
    wait(Duration::ZERO).is_ok_and(|input| input == Input::Gone)
}

/// The terminal in raw mode, on its alternate screen, until it is dropped, or a thread panics.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    area: Rect,
    /// Not so while the process is in the background, and after it was stopped.
    is_held: bool,
    /// A thread goes on for a moment after it has stopped its process.
    is_stopping: bool,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        PANIC_HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore_terminal();
                previous(panic);
            }));
        });
        let area = area()?;
        take()?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout()));
        match Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(area) }) {
            Ok(terminal) => Ok(Self { terminal, area, is_held: true, is_stopping: false }),
            Err(error) => {
                restore_terminal();
                Err(error)
            }
        }
    }

    /// Takes the terminal again where it was let go of; says whether it may be used.
    pub(super) fn hold(&mut self) -> io::Result<bool> {
        if !is_in_foreground() {
            // It is the shell's, which has set it as it likes.
            self.is_held = false;
            TAKEN.store(false, Ordering::SeqCst);
        } else if !self.is_held && !self.is_stopping {
            take()?;
            self.is_held = true;
            self.clear()?;
        }
        Ok(self.is_held)
    }

    /// Gives the terminal back and stops the process until somebody continues it.
    pub(super) fn suspend(&mut self) {
        if self.is_held {
            restore_terminal();
        }
        (self.is_held, self.is_stopping) = (false, true);
        stop_process();
    }

    /// The process was stopped, and goes on: whoever had the terminal meanwhile has set it as they like.
    pub(super) fn go_on(&mut self) {
        (self.is_held, self.is_stopping) = (false, false);
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Draws a frame; `false` when the terminal was given back meanwhile.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<bool> {
        let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let area = area()?;
        if area != self.area {
            self.area = area;
            self.terminal.resize(area)?;
        }
        self.terminal.draw(|frame| view::render(frame, app))?;
        Ok(true)
    }

    /// The next frame is drawn whole. The terminal is not asked where its cursor is: many do not answer.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.terminal.resize(self.area)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Raw mode and the alternate screen; what fails leaves the terminal as it was.
fn take() -> io::Result<()> {
    // Where it was taken before, this goes back to how it was first found: a shell may have set it otherwise meanwhile.
    disable_raw_mode()?;
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(stdout(), EnterAlternateScreen, cursor::Hide).inspect_err(|_| restore_terminal())
}

/// The whole screen. Where a terminal does not know its size, `COLUMNS` and `LINES` may.
fn area() -> io::Result<Rect> {
    let size = tcgetwinsize(stdout())?;
    let known = |told: u16, name: &str, usual| match told {
        0 => variable(name).and_then(|value| value.parse().ok()).filter(|value| *value > 0).unwrap_or(usual),
        told => told,
    };
    let (columns, rows) = USUAL_SIZE;
    Ok(Rect::new(0, 0, known(size.ws_col, "COLUMNS", columns), known(size.ws_row, "LINES", rows)))
}

/// Gives the terminal back, once. Errors have nowhere to go: it may be gone.
fn restore_terminal() {
    let waited_from = Instant::now();
    let is_drawing = std::thread::current().name() == Some(THREAD);
    let mut frame = FRAME.try_lock();
    while frame.is_err() && !is_drawing && waited_from.elapsed() < FRAME_TIMEOUT {
        std::thread::sleep(Duration::from_millis(5));
        frame = FRAME.try_lock();
    }
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}
