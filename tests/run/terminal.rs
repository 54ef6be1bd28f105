//! The dashboard on a terminal: what it shows is what the files say, and whatever happens the terminal is usable afterwards.

use crate::bench::{Bench, SLOW, endpoint_pid, in_progress, is_alive, wait_until};
use assert_cmd::cargo::cargo_bin;
use load_metrics::format::milliseconds;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(40);

/// A pseudo-terminal with the run on it.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    run: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Of the line discipline, before the run.
    settings: String,
}

fn rows_and_columns((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap())
}

fn size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    fn start(bench: &Bench, columns_rows: (u16, u16), args: &[&str], env: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(columns_rows)).unwrap();
        let mut command = CommandBuilder::new(cargo_bin("fleetsim"));
        command.args(args);
        command.cwd(bench.dir.path());
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        ["NO_COLOR", "RUST_LOG"].into_iter().for_each(|name| command.env_remove(name));
        env.iter().for_each(|(name, value)| command.env(name, value));
        let settings = termios(&*pair.master);
        let run = pair.slave.spawn_command(command).unwrap();
        let (rows, columns) = rows_and_columns(columns_rows);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 1_000)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            // An error is the end of the terminal.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { keys: pair.master.take_writer().unwrap(), master: pair.master, run, screen, settings }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn wait_for(&self, words: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = self.text();
            if text.contains(words) {
                return text;
            }
            assert!(Instant::now() < deadline, "{words:?} did not appear in\n{text}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn resize(&self, columns_rows: (u16, u16)) {
        let (rows, columns) = rows_and_columns(columns_rows);
        self.screen.lock().unwrap().screen_mut().set_size(rows, columns);
        self.master.resize(size(columns_rows)).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.run.process_id().unwrap() as i32).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn exit_code(&mut self) -> u32 {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.run.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "the run did not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The normal screen, a cursor, and the line discipline as it was.
    #[track_caller]
    fn assert_usable(&self) {
        // The last bytes may still be on their way.
        wait_until("the alternate screen is left", || !self.screen.lock().unwrap().screen().alternate_screen());
        assert!(!self.screen.lock().unwrap().screen().hide_cursor(), "the cursor is there");
        assert_eq!(termios(&*self.master), self.settings);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn termios(master: &dyn MasterPty) -> String {
    let settings = master.get_termios().expect("a terminal has settings");
    format!("{:?} {:?} {:?}", settings.input_flags, settings.output_flags, settings.local_flags)
}

/// The number after `label`, thousands ungrouped.
#[track_caller]
fn number(text: &str, before: &str, after: &str) -> u64 {
    let found = text.lines().find_map(|line| {
        let rest = &line[line.find(before)? + before.len()..];
        let rest = rest.trim_start();
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        rest[digits.len()..].starts_with(after).then(|| digits.replace(',', "").parse().ok()).flatten()
    });
    found.unwrap_or_else(|| panic!("no number between {before:?} and {after:?} in\n{text}"))
}

/// What is shown does not depend on how quick the machine is.
const PATIENT: &str = "thresholds={ 'start_next.response_ms.p99' = '< 30000', 'executions.lost' = '== 0' }";
const TUI: &[&str] = &["run", "smoke", "--ui", "tui", "--out", "out", "--set", PATIENT];

#[test]
fn a_frame_says_what_the_files_say_of_the_same_second() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (120, 40), TUI, &[]);
    terminal.wait_for("ROLLOUT 0:03");
    terminal.press("p");
    let overview = terminal.wait_for("FROZEN");
    terminal.press("2");
    let latency = terminal.wait_for("operations over the run");
    terminal.press("3");
    let rollouts = terminal.wait_for("roll-outs by");
    terminal.press("p");
    terminal.wait_for("PASS (exit 0)");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
    terminal.assert_usable();
    let after = terminal.wait_for("results: out");
    assert!(after.contains("fw-smoke") && after.contains("PASS"), "the summary is on the normal screen:\n{after}");

    let t_s = number(&overview, " t=", "s ");
    assert!(overview.contains(&format!("t={t_s}s")) && latency.contains(&format!("t={t_s}s")), "it stood still");
    let columns =
        ["t_s", "connected", "exec_queued", "exec_notified", "exec_in_progress", "exec_succeeded", "exec_failed", "exec_rejected"];
    let rows = bench.cells("out/timeseries.csv", &columns);
    let row: Vec<u64> =
        rows.iter().find(|row| row[0] == t_s.to_string()).unwrap().iter().map(|cell| cell.parse().unwrap()).collect();
    let shown = [
        t_s,
        number(&overview, "/s  ", "/50 connected"),
        number(&overview, "queued    ", " "),
        number(&overview, "notified  ", " "),
        number(&overview, "in progress", " "),
        number(&overview, "succeeded", " "),
        number(&overview, "failed   ", " "),
        number(&overview, "rejected ", " "),
    ];
    assert_eq!(shown[..], row[..], "{columns:?}\n{overview}");

    let until = |columns: &[&str], file: &str| -> Vec<Vec<String>> {
        let all = bench.cells(file, &[&["t_s"], columns].concat());
        all.into_iter().filter(|row| row[0].parse::<u64>().unwrap() <= t_s).collect()
    };
    let sum = |rows: &[Vec<String>], column: usize| -> u64 { rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum() };
    let seconds = until(&["messages_out_per_s", "messages_in_per_s"], "out/timeseries.csv");
    assert_eq!(number(&overview, "messages  ", " out"), sum(&seconds, 1));
    assert_eq!(number(&overview, " out, ", " in"), sum(&seconds, 2));
    let lateness = until(&["lateness_ms_p99"], "out/timeseries.csv");
    let lateness: f64 = lateness.last().unwrap()[1].parse().unwrap();
    assert!(overview.contains(&format!("p99 {}", milliseconds(lateness))), "lateness p99 {lateness} in\n{overview}");

    let operations = until(&["scope", "operation", "ok", "rejected", "timeout", "error"], "out/operations.csv");
    for operation in ["connect", "start_next", "update", "puback"] {
        let of: Vec<_> = operations.iter().filter(|row| row[1] == "all" && row[2] == operation).cloned().collect();
        let ended: u64 = (3..=6).map(|column| sum(&of, column)).sum();
        assert_eq!(number(&latency, &format!("\n{operation} ").replace('\n', ""), " "), ended, "{operation} in\n{latency}");
    }
    let jobs = until(&["exec_succeeded", "exec_in_progress"], "out/rollouts.csv");
    let job = rollouts.lines().find(|line| line.starts_with("fw-smoke ")).unwrap();
    let cells: Vec<&str> = job.split_whitespace().collect();
    let [succeeded, in_progress] = [1, 2].map(|column| jobs.last().unwrap()[column].as_str());
    assert!(cells.contains(&succeeded) && cells.contains(&in_progress), "{succeeded} and {in_progress} in {job}");
}

#[test]
fn sigterm_leaves_a_usable_terminal_and_whole_files() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (80, 24), TUI, &[]);
    terminal.wait_for("ROLLOUT");
    wait_until("things are at work", || in_progress(&bench));
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.exit_code(), 105, "nobody had to press a key");
    terminal.assert_usable();
    assert_eq!(bench.manifest("out")["verdict"], "INTERRUPTED");
    terminal.wait_for("results: out");
}

#[test]
fn keys_drain_then_ask_then_abort() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (80, 24), &[TUI, SLOW].concat(), &[]);
    terminal.wait_for("ROLLOUT");
    wait_until("things are at work", || in_progress(&bench));
    let endpoint = endpoint_pid(terminal.run.process_id().unwrap()).unwrap();
    terminal.press("\x03");
    terminal.wait_for("DRAIN");
    terminal.press("q");
    terminal.wait_for("abort now?");
    terminal.press("y");
    assert_eq!(terminal.exit_code(), 105);
    terminal.assert_usable();
    wait_until("the endpoint is gone", || !is_alive(endpoint));
    let statuses = bench.cells("out/executions.csv", &["status"]);
    assert!(statuses.iter().any(|row| row[0] == "IN_PROGRESS"), "open executions are in the file too: {statuses:?}");
}

// A release has no way to be asked for a panic.
#[cfg(debug_assertions)]
#[test]
fn a_panic_of_the_dashboard_is_not_the_end_of_the_run() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (100, 30), TUI, &[("FLEETSIM_TEST_PANIC", "dashboard")]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.text());
    terminal.assert_usable();
    let text = terminal.screen.lock().unwrap().screen().contents();
    assert!(text.contains("PASS") || text.contains("results: out"), "{text}");
    assert_eq!(bench.manifest("out")["verdict"], "PASS");
}

#[cfg(debug_assertions)]
#[test]
fn a_panic_of_the_run_leaves_a_usable_terminal_and_no_child() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (100, 30), TUI, &[("FLEETSIM_TEST_PANIC", "run")]);
    wait_until("there is an endpoint", || terminal.run.process_id().and_then(endpoint_pid).is_some());
    let endpoint = endpoint_pid(terminal.run.process_id().unwrap()).unwrap();
    assert_eq!(terminal.exit_code(), 101);
    terminal.assert_usable();
    terminal.wait_for("asked to panic");
    wait_until("the endpoint is gone", || !is_alive(endpoint));
}

#[test]
fn a_terminal_that_goes_away_drains_the_run() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (80, 24), TUI, &[]);
    terminal.wait_for("ROLLOUT");
    terminal.signal(Signal::HUP);
    assert_eq!(terminal.exit_code(), 105);
    assert_eq!(bench.manifest("out")["verdict"], "INTERRUPTED");
    let seconds: Vec<u64> = bench.cells("out/timeseries.csv", &["t_s"]).iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(seconds, (1..=seconds.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_storm_of_resizes_leaves_no_garbage() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (80, 24), TUI, &[]);
    terminal.wait_for("connect");
    for n in 0..300u16 {
        terminal.resize((20 + n * 37 % 181, 5 + n * 11 % 53));
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.resize((120, 40));
    terminal.wait_for("PASS (exit 0)");
    std::thread::sleep(Duration::from_millis(300));
    terminal.press("\x0c");
    std::thread::sleep(Duration::from_millis(300));
    let whole = terminal.text();
    let line = |n: usize| whole.lines().nth(n).unwrap_or_default();
    assert!(line(0).starts_with(" fleetsim smoke") && line(0).trim_end().ends_with("PASS (exit 0)"), "{whole}");
    assert!(line(1).starts_with("  1 Overview"), "{whole}");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
    terminal.assert_usable();
}

#[test]
fn a_dumb_terminal_gets_lines_by_itself() {
    let bench = Bench::new();
    let args = ["run", "smoke", "--things", "4", "--out", "out"];
    let mut terminal = Terminal::start(&bench, (100, 30), &args, &[("TERM", "dumb")]);
    assert_eq!(terminal.exit_code(), 0);
    let text = terminal.wait_for("results: out");
    assert!(!terminal.screen.lock().unwrap().screen().alternate_screen(), "{text}");
    let refused = bench.run(&["run", "smoke", "--ui", "tui", "--out", "refused"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("needs a terminal") && !bench.path("refused").exists(), "{stderr}");
}

#[test]
fn an_error_before_the_first_second_leaves_a_usable_terminal() {
    let bench = Bench::new();
    std::fs::write(bench.path("certs"), "in the way").unwrap();
    let mut terminal = Terminal::start(&bench, (100, 30), TUI, &[]);
    assert_eq!(terminal.exit_code(), 1);
    terminal.assert_usable();
    terminal.wait_for("failed to make the folder");
}
