//! A NATS server, and a run over it.

use crate::bench::{Bench, EACH_ITS_OWN, Guard, Serve, mqtt};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No wait for a process is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const RUN: &str = "r-1";

/// Where packages put it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("nats-server")).find(|file| file.is_file());
    found.expect("nats-server is installed: apt-get install nats-server")
}

/// A server on a port of its own.
pub(crate) struct Nats {
    process: Guard,
    pub(crate) port: u16,
    dir: PathBuf,
    config: Option<PathBuf>,
}

impl Nats {
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::with(bench, None)
    }

    pub(crate) fn with(bench: &Bench, config: Option<&str>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = bench.path("nats");
        fs::create_dir_all(&dir).unwrap();
        let config = config.map(|config| {
            bench.write("nats.conf", config);
            bench.path("nats.conf")
        });
        let process = Self::spawn(&dir, port, config.as_ref());
        Self { process, port, dir, config }
    }

    fn spawn(dir: &PathBuf, port: u16, config: Option<&PathBuf>) -> Guard {
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = Command::new(program());
        command
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(config) = config {
            command.arg("-c").arg(config).current_dir(config.parent().unwrap());
        }
        let mut process = Guard(command.stderr(log).spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let goes_on = process.0.try_wait().unwrap().is_none() && Instant::now() < deadline;
            assert!(goes_on, "it does not listen: {}", fs::read_to_string(dir.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    pub(crate) fn kill(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// After it was killed.
    pub(crate) fn restart(&mut self) {
        self.process = Self::spawn(&self.dir, self.port, self.config.as_ref());
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// Things that publish for so many seconds, and have no jobs.
pub(crate) fn telling(serve: &Serve, things: usize, seconds: u64) -> String {
    let rest = format!(
        "[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[telemetry]\ntopic = 'dt/{{thing}}'\nevery = '200ms'\n\
         [end]\nduration = '{seconds}s'"
    );
    mqtt(&serve.mqtt_port, things, EACH_ITS_OWN, &rest)
}

/// An endpoint, a server, and a scenario `s.toml` whose things publish for so many seconds.
pub(crate) struct Stage {
    pub(crate) bench: Bench,
    _serve: Serve,
    pub(crate) nats: Nats,
}

impl Stage {
    pub(crate) fn telling(things: usize, seconds: u64) -> Self {
        let bench = Bench::new(things);
        let (serve, nats) = (bench.serve(&["--things", &things.to_string()]), Nats::start(&bench));
        bench.write("s.toml", &telling(&serve, things, seconds));
        Self { bench, _serve: serve, nats }
    }

    pub(crate) fn fleet(&self, slices: usize) -> Fleet<'_> {
        Fleet::new(&self.bench, &self.nats, slices)
    }
}

/// A process of a run, with what it says in a file.
pub(crate) struct Process {
    guard: Guard,
    log: PathBuf,
}

impl Process {
    pub(crate) fn spawn(bench: &Bench, name: &str, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let log = bench.path(&format!("{name}.log"));
        let mut command = bench.command(args);
        change(&mut command);
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { guard: Guard(command.spawn().unwrap()), log }
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            assert!(self.guard.0.try_wait().unwrap().is_none(), "it ended without {words:?}: {}", self.said());
            assert!(Instant::now() < deadline, "it does not say {words:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.guard.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    pub(crate) fn assert_code(&mut self, codes: &[i32]) -> String {
        let code = self.wait();
        assert!(code.is_some_and(|code| codes.contains(&code)), "{code:?} is none of {codes:?}: {}", self.said());
        self.said()
    }

    pub(crate) fn kill(&mut self) {
        self.guard.0.kill().unwrap();
        self.guard.0.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.guard.0), signal).unwrap();
    }
}

/// A leader and its workers over a server.
pub(crate) struct Fleet<'a> {
    pub(crate) bench: &'a Bench,
    /// What says where the server is, and who this is to it.
    pub(crate) over: Vec<String>,
    pub(crate) slices: usize,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(bench: &'a Bench, nats: &Nats, slices: usize) -> Self {
        Self { bench, over: vec!["--over".into(), nats.url()], slices }
    }

    pub(crate) fn lead(&self, more: &[&str]) -> Process {
        self.lead_as(more, |_| {})
    }

    pub(crate) fn lead_as(&self, more: &[&str], change: impl FnOnce(&mut Command)) -> Process {
        let slices = self.slices.to_string();
        let over: Vec<&str> = self.over.iter().map(String::as_str).collect();
        let args = ["run", "s.toml", "--ui", "plain", "--yes", "--slices", &slices, "--run", RUN, "--out", "whole"];
        Process::spawn(self.bench, "leader", &[&args[..], &over, more].concat(), change)
    }

    /// As a kubelet starts it: its index is in the environment.
    pub(crate) fn worker(&self, index: usize) -> Process {
        self.worker_as(index, &format!("worker-{index}"), |_| {})
    }

    pub(crate) fn worker_as(&self, index: usize, name: &str, change: impl FnOnce(&mut Command)) -> Process {
        let over: Vec<&str> = self.over.iter().map(String::as_str).collect();
        let args = ["worker", "--run", RUN, "--out", name, "--shards", "1"];
        Process::spawn(self.bench, name, &[&args[..], &over].concat(), |command| {
            command.env("JOB_COMPLETION_INDEX", index.to_string());
            change(command);
        })
    }

    /// A leader with these options, and all of its workers, once it has shown so many seconds.
    pub(crate) fn begin(&self, more: &[&str], seconds: u64) -> (Process, Vec<Process>) {
        let (mut leader, workers) = (self.lead(more), self.workers());
        leader.wait_for(&format!("t={seconds}s"));
        (leader, workers)
    }

    pub(crate) fn workers(&self) -> Vec<Process> {
        (0..self.slices).map(|index| self.worker(index)).collect()
    }

    pub(crate) fn manifest(&self, folder: &str) -> Value {
        serde_json::from_str(&self.bench.text(&format!("{folder}/run.json"))).unwrap()
    }

    /// What a reader is told of the run.
    pub(crate) fn findings(&self, folder: &str) -> Vec<String> {
        let findings = self.manifest(folder)["findings"].clone();
        findings.as_array().unwrap().iter().map(|finding| finding.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn merge(&self, out: &str) -> std::process::Output {
        self.merge_with(out, &[])
    }

    /// The folders of the workers, and others.
    pub(crate) fn merge_with(&self, out: &str, more: &[&str]) -> std::process::Output {
        let folders: Vec<String> = (0..self.slices).map(|index| format!("worker-{index}")).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        self.bench.run(&[&["merge", out][..], more, &folders].concat())
    }
}

/// A leader with two workers and a server of the run's own, two seconds after the start.
pub(crate) fn on_this_host(bench: &Bench, folder: &str) -> Process {
    let scenario =
        "name = 's'\n[fleet]\nthings = 10\n[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[end]\nduration = '100s'\n";
    bench.write("s.toml", scenario);
    let mut leader = Process::spawn(bench, "leader", &["run", "s.toml", "--ui", "plain", "--slices", "2", "--out", folder], |_| {});
    leader.wait_for("t=2s");
    leader
}
