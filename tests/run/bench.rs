//! What the tests of whole runs have in common.

#[path = "../common/verdict.rs"]
mod verdict;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder of its own for each test; results and certificates stay in it.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) const SMALL: &[&str] = &["run", "smoke", "--ui", "plain", "--things", "8", "--out", "out"];
/// Things that work for a long time.
pub(crate) const SLOW: &[&str] = &["--set", "behavior.quick.step='60s'"];

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
        command.args(args).current_dir(self.dir.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The exit code of a run with its results in `out`, on however busy a machine.
    #[track_caller]
    pub(crate) fn code(&self, status: ExitStatus) -> Option<i32> {
        verdict::code(status, &self.path("out"))
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub(crate) fn manifest(&self, out: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(&format!("{out}/run.json"))).unwrap()
    }

    /// The columns of a CSV, as rows of cells.
    pub(crate) fn cells(&self, file: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(self.path(file)).unwrap();
        let headers = reader.headers().unwrap().clone();
        let places: Vec<usize> = columns
            .iter()
            .map(|column| headers.iter().position(|header| header == *column).unwrap_or_else(|| panic!("{file} has no {column}")))
            .collect();
        reader
            .records()
            .map(|record| record.unwrap())
            .map(|record| places.iter().map(|place| record[*place].to_owned()).collect())
            .collect()
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ends `child` when the test ends, however it ends.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guard {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> i32 {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the run did not end within {limit:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(crate) fn endpoint_pid(parent: u32) -> Option<u32> {
    procfs::process::all_processes().unwrap().flatten().find_map(|process| {
        let stat = process.stat().ok()?;
        (stat.ppid == parent as i32 && process.cmdline().ok()?.iter().any(|argument| argument == "serve"))
            .then_some(stat.pid as u32)
    })
}

pub(crate) fn is_alive(pid: u32) -> bool {
    procfs::process::Process::new(pid as i32).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z')
}

/// Rows of a growing results folder.
pub(crate) fn seconds(bench: &Bench) -> usize {
    fs::read_to_string(bench.path("out/timeseries.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

pub(crate) fn in_progress(bench: &Bench) -> bool {
    seconds(bench) > 0 && bench.cells("out/timeseries.csv", &["exec_in_progress"]).iter().any(|row| row[0] != "0")
}
