//! The terminal itself: taken over, drawn to, and given back whatever happens.

use super::app::App;
use super::view;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use std::io::{self, BufWriter, Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// The thread that draws.
pub(super) const THREAD: &str = "dashboard";
/// A frame in one write, as far as possible.
const FRAME_BYTES: usize = 64 * 1024;
/// How long a panicking thread waits for a frame that is being drawn.
const FRAME_TIMEOUT: Duration = Duration::from_millis(200);

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held while a frame is being drawn.
static FRAME: Mutex<()> = Mutex::new(());
static PANIC_HOOK: Once = Once::new();

/// The terminal in raw mode, on its alternate screen, until it is dropped, or a thread panics.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
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
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        // From here on dropping gives the terminal back, also when the rest fails.
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())));
        let entered = execute!(stdout(), EnterAlternateScreen, cursor::Hide).and(terminal);
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore_terminal();
                Err(error)
            }
        }
    }

    /// Draws a frame; `false` when the terminal was given back meanwhile.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<bool> {
        let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.terminal.draw(|frame| view::render(frame, app))?;
        Ok(true)
    }

    /// The next frame is drawn whole.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore_terminal();
    }
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
