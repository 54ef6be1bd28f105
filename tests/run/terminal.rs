//! The dashboard on a terminal: what it shows is what the files say, and whatever happens the terminal is usable afterwards.

use crate::bench::{Bench, SLOW, endpoint_pid, in_progress, is_alive, wait_until};
use load_metrics::format::milliseconds;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(40);

/// A pseudo-terminal with the run on it.
struct Terminal {
    /// Both are there until the terminal is gone.
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    run: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Reads what is shown, until the terminal is to be gone.
    reader: Option<JoinHandle<()>>,
    is_closing: Arc<AtomicBool>,
    /// Of the line discipline, before the run.
    settings: String,
}

/// A terminal that does not know its size has the usual one.
fn rows_and_columns((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    let or = |told: u16, usual: u16| NonZeroU16::new(if told == 0 { usual } else { told }).unwrap();
    (or(rows, 24), or(columns, 80))
}

fn size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    fn start(bench: &Bench, columns_rows: (u16, u16), args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_fleetsim"));
        command.args(args);
        Self::with(bench, columns_rows, command, env)
    }

    /// Within a shell, to whose script the command line is `"$0" "$@"`.
    fn start_in_shell(bench: &Bench, script: &str, args: &[&str]) -> Self {
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", script]);
        command.arg(env!("CARGO_BIN_EXE_fleetsim"));
        command.args(args);
        Self::with(bench, (100, 30), command, &[])
    }

    fn with(bench: &Bench, columns_rows: (u16, u16), mut command: CommandBuilder, env: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(columns_rows)).unwrap();
        command.cwd(bench.dir.path());
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        ["NO_COLOR", "RUST_LOG", "CI", "COLUMNS", "LINES"].into_iter().for_each(|name| command.env_remove(name));
        env.iter().for_each(|(name, value)| command.env(name, value));
        let settings = termios(&*pair.master);
        let run = pair.slave.spawn_command(command).unwrap();
        let (rows, columns) = rows_and_columns(columns_rows);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 1_000)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (shown, is_closing) = (Arc::clone(&screen), Arc::new(AtomicBool::new(false)));
        let closing = Arc::clone(&is_closing);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            // An error is the end of the terminal.
            while let Ok(count @ 1..) = output.read(&mut bytes)
                && !closing.load(Ordering::SeqCst)
            {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            keys: Some(pair.master.take_writer().unwrap()),
            master: Some(pair.master),
            run,
            screen,
            reader: Some(reader),
            is_closing,
            settings,
        }
    }

    /// The terminal is gone, as when its window is closed; what ran on it may still be there.
    fn close(&mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        // It lets go with the next second that is shown.
        self.reader.take().unwrap().join().unwrap();
        (self.keys, self.master) = (None, None);
    }

    fn press(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
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
        self.master.as_ref().unwrap().resize(size(columns_rows)).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.run.process_id().unwrap() as i32).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn exit_code(&mut self) -> u32 {
        self.exit_code_within(LIMIT)
    }

    #[track_caller]
    fn exit_code_within(&mut self, limit: Duration) -> u32 {
        let deadline = Instant::now() + limit;
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
        assert_eq!(termios(&**self.master.as_ref().unwrap()), self.settings);
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
fn the_demo_is_on_the_dashboard() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (100, 30), &["demo", "--out", "out"], &[]);
    let text = terminal.wait_for("ROLLOUT");
    assert!(text.contains("demo") && text.contains("/300 connected"), "{text}");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 105);
    terminal.assert_usable();
    let text = terminal.wait_for("next:");
    assert!(text.contains(" run out/scenario.toml"), "{text}");
}

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
    let rollouts = terminal.wait_for("rollouts by");
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

/// A run that nobody can look at any more ends: drained, or where it is to outlive its terminal, when it is over.
#[test]
fn a_run_whose_terminal_is_gone_ends_by_itself() {
    for (script, code) in [("exec \"$0\" \"$@\"", 105), ("trap '' HUP; exec \"$0\" \"$@\"", 0)] {
        let bench = Bench::new();
        let mut terminal = Terminal::start_in_shell(&bench, script, TUI);
        terminal.wait_for("ROLLOUT");
        let pid = terminal.run.process_id().unwrap();
        terminal.close();
        // Who reads from a terminal that is gone spins.
        wait_until("the dashboard is gone", || !has_thread(pid, "dashboard"));
        assert_eq!(terminal.exit_code(), code, "{script}");
        assert_eq!(bench.manifest("out")["exit_code"], code, "{script}");
    }
}

fn has_thread(pid: u32, name: &str) -> bool {
    let tasks = procfs::process::Process::new(pid as i32).and_then(|process| process.tasks());
    tasks.is_ok_and(|tasks| tasks.flatten().any(|task| task.stat().is_ok_and(|stat| stat.comm == name)))
}

#[test]
fn the_last_screen_goes_by_itself_where_nobody_is() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (100, 30), TUI, &[]);
    terminal.wait_for("closes in");
    assert_eq!(terminal.exit_code_within(Duration::from_secs(60)), 0);
    terminal.assert_usable();
    terminal.wait_for("results: out");
}

#[test]
fn a_key_keeps_the_last_screen() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (100, 30), TUI, &[]);
    terminal.wait_for("ROLLOUT");
    terminal.press("3");
    assert!(!terminal.wait_for("PASS (exit 0)").contains("closes in"));
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
}

/// The last end comes without a second that would show it.
#[cfg(feature = "nats")]
#[test]
fn every_worker_has_ended_on_the_last_screen() {
    let bench = Bench::new();
    let args = [TUI, &["--slices", "2"]].concat();
    let mut terminal = Terminal::start(&bench, (120, 30), &args, &[]);
    terminal.wait_for("ROLLOUT");
    terminal.press("6");
    terminal.wait_for("running");
    let text = terminal.wait_for("(exit ");
    assert!(!text.contains("running") && text.matches("ended").count() == 2, "{text}");
    terminal.press("q");
    assert!([0, 98].contains(&terminal.exit_code()), "{text}");
    terminal.assert_usable();
}

#[test]
fn a_terminal_that_does_not_know_its_size_has_the_usual_one() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench, (0, 0), &[TUI, SLOW].concat(), &[]);
    let text = terminal.wait_for("ROLLOUT");
    assert!(text.contains("1 Overview") && text.lines().count() > 16, "{text}");
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 105);
}

/// Ctrl-Z and SIGTSTP give the terminal back, and `fg` brings the dashboard back with its keys.
#[test]
fn a_run_is_suspended_and_goes_on() {
    let script = r#"set -m
        n=0
        "$0" "$@"
        while code=$?; [ $code -gt 128 ]; do
            n=$((n + 1))
            echo "stopped $n times"
            read line
            fg >/dev/null
        done
        echo "ended: $code""#;
    let bench = Bench::new();
    let mut terminal = Terminal::start_in_shell(&bench, script, &[TUI, SLOW].concat());
    let shell = terminal.run.process_id().unwrap();
    terminal.wait_for("ROLLOUT");
    for (way, times, tab, shown) in
        [("Ctrl-Z", "stopped 1 times", "3", "rollouts by"), ("SIGTSTP", "stopped 2 times", "2", "operations over the run")]
    {
        match way {
            "Ctrl-Z" => terminal.press("\x1a"),
            _ => kill_process(Pid::from_raw(child_of(shell)).unwrap(), Signal::TSTP).unwrap(),
        }
        terminal.wait_for(times);
        terminal.assert_usable();
        terminal.press("\n");
        wait_until("the dashboard is back", || terminal.screen.lock().unwrap().screen().alternate_screen());
        terminal.press(tab);
        terminal.wait_for(shown);
    }
    terminal.press("q");
    terminal.wait_for("ended: 105");
    terminal.assert_usable();
}

fn child_of(parent: u32) -> i32 {
    let all = procfs::process::all_processes().unwrap().flatten();
    let mut stats = all.filter_map(|process| process.stat().ok());
    stats.find(|stat| stat.ppid == parent as i32).expect("the shell has a child").pid
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
fn where_nobody_can_look_at_a_dashboard_there_are_lines() {
    for (name, value) in [("TERM", "dumb"), ("TERM", ""), ("CI", "true")] {
        let bench = Bench::new();
        let args = ["run", "smoke", "--things", "4", "--out", "out"];
        let mut terminal = Terminal::start(&bench, (100, 30), &args, &[(name, value)]);
        assert_eq!(terminal.exit_code(), 0, "{name}={value}");
        let text = terminal.wait_for("results: out");
        assert!(!terminal.screen.lock().unwrap().screen().alternate_screen(), "{name}={value}\n{text}");
    }
    let bench = Bench::new();
    let refused = bench.run(&["run", "smoke", "--ui", "tui", "--out", "refused"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("needs a terminal") && !bench.path("refused").exists(), "{stderr}");
}

#[test]
fn only_a_terminal_that_has_colours_gets_them() {
    for (name, value, expected) in
        [("TERM", "xterm-256color", true), ("TERM", "dumb", false), ("TERM", "", false), ("NO_COLOR", "1", false)]
    {
        let bench = Bench::new();
        std::fs::write(bench.path("bad.toml"), "name = 'x'\nsede = 1\n").unwrap();
        let mut terminal = Terminal::start(&bench, (100, 30), &["check", "bad.toml"], &[(name, value)]);
        assert_eq!(terminal.exit_code(), 104);
        let text = terminal.wait_for("problems in");
        let screen = terminal.screen.lock().unwrap();
        let cells = (0..30).flat_map(|row| (0..100).map(move |column| (row, column)));
        let mut colours = cells.filter_map(|(row, column)| screen.screen().cell(row, column)).map(vt100::Cell::fgcolor);
        assert_eq!(colours.any(|colour| colour != vt100::Color::Default), expected, "{name}={value}\n{text}");
    }
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
