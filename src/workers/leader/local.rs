//! A run on this host alone: a NATS server of its own, and the workers as processes. Neither outlives the leader: the server gets a signal from
//! the kernel, and workers see that their parent is gone, end what they do, and keep their folders.

use crate::workers::address::NatsAddress;
use crate::workers::names::RunId;
use host::environment;
use serde::Deserialize;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The server's program.
const PROGRAM: &str = "nats-server";
/// Where packages put servers, besides the PATH.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// From its start to the file that says where it listens.
const READY_LIMIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL, of a server.
const SERVER_STOP_LIMIT: Duration = Duration::from_secs(5);
/// The same of workers, all of them together: they drain, and hand over what they have for as long as they may (`worker::GRACE`).
const WORKERS_STOP_LIMIT: Duration = Duration::from_secs(60);

/// A NATS server of the run's own, and its folder.
pub(super) struct NatsServer {
    process: Child,
    pub address: NatsAddress,
    dir: PathBuf,
}

impl NatsServer {
    /// Starts the one that is found on the PATH, on a free port of this host alone.
    ///
    /// # Errors
    /// When there is none, or it does not get ready; for people.
    pub(super) fn start(dir: &Path) -> Result<Self, String> {
        let program = program()?;
        let failed = |why: String| format!("start {}: {why}", program.display());
        fs::create_dir_all(dir).map_err(|error| failed(format!("make {}: {error}", dir.display())))?;
        let log = File::create(dir.join("nats-server.log")).map_err(|error| failed(error.to_string()))?;
        let own = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let process = Command::new(own)
            .args(["with-parent", &std::process::id().to_string()])
            .arg(&program)
            .args(["-js", "-a", "127.0.0.1", "-p", "-1", "-sd"])
            .arg(dir)
            .arg("--ports_file_dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut server = Self { process, address: NatsAddress::local(0), dir: dir.into() };
        server.address = NatsAddress::local(server.port().map_err(failed)?);
        Ok(server)
    }

    fn port(&mut self) -> Result<u16, String> {
        #[derive(Deserialize)]
        struct Ports {
            nats: Vec<String>,
        }
        let file = self.dir.join(format!("{PROGRAM}_{}.ports", self.process.id()));
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let ports = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Ports>(&text).ok());
            if let Some(port) = ports.and_then(|ports| ports.nats.first()?.rsplit(':').next()?.parse().ok()) {
                return Ok(port);
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("it ended ({status}); see {}", self.log().display()));
            }
            if Instant::now() >= deadline {
                return Err(format!("it did not say within {} s where it listens", READY_LIMIT.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// How it has ended, where it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().ok().flatten()?;
        Some(format!("{PROGRAM}, process {}: {status}; see {}", self.process.id(), self.log().display()))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("nats-server.log")
    }

    /// Stops it, and removes what it kept.
    pub(super) fn stop(mut self) {
        end([&mut self.process], SERVER_STOP_LIMIT);
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "what the NATS server kept is still there");
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        end([&mut self.process], SERVER_STOP_LIMIT);
    }
}

/// How a worker of this host is started.
#[derive(Clone, Debug)]
pub(super) struct WorkerSettings {
    pub address: NatsAddress,
    pub run: RunId,
    pub slices: u32,
    /// Where its results folder and its log are.
    pub dir: PathBuf,
    /// Threads that drive things.
    pub threads: usize,
}

/// The workers of this host, by slice.
pub(super) struct LocalWorkers {
    processes: Vec<(Child, Option<ExitStatus>)>,
    dir: PathBuf,
}

/// The name of a slice's folder, so that they sort by slice.
#[must_use]
pub(super) fn folder_name(slice: u32) -> String {
    format!("slice-{slice:03}")
}

impl LocalWorkers {
    /// Starts one a slice.
    ///
    /// # Errors
    /// When one of them cannot be started; for people.
    pub(super) fn start(settings: &WorkerSettings) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("start the workers: {error}"))?;
        let mut workers = Self { processes: Vec::new(), dir: settings.dir.clone() };
        fs::create_dir_all(&settings.dir).map_err(|error| format!("make {}: {error}", settings.dir.display()))?;
        for slice in 0..settings.slices {
            let started = start_one(&own, settings, slice);
            workers.processes.push((started.map_err(|error| format!("start the worker of slice {slice}: {error}"))?, None));
        }
        Ok(workers)
    }

    /// Those that have ended since the last time.
    pub(super) fn poll(&mut self) -> Vec<(u32, ExitStatus)> {
        let mut ended = Vec::new();
        for ((process, status), slice) in self.processes.iter_mut().zip(0..) {
            if status.is_none()
                && let Ok(Some(now)) = process.try_wait()
            {
                *status = Some(now);
                ended.push((slice, now));
            }
        }
        ended
    }

    /// The last lines that the worker of a slice wrote to stderr.
    #[must_use]
    pub(super) fn last_words(&self, slice: u32) -> String {
        let text = fs::read_to_string(log_of(&self.dir, slice)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    /// Waits until all have ended, and ends those that do not.
    pub(super) fn finish(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.processes.iter().any(|(_, status)| status.is_none()) && Instant::now() < deadline {
            self.poll();
            std::thread::sleep(LOOK);
        }
        let left = self.processes.iter_mut().filter(|(_, status)| status.is_none());
        end(left.map(|(process, _)| process), WORKERS_STOP_LIMIT);
    }
}

impl Drop for LocalWorkers {
    fn drop(&mut self) {
        self.finish(Duration::ZERO);
    }
}

fn log_of(dir: &Path, slice: u32) -> PathBuf {
    dir.join(format!("{}.log", folder_name(slice)))
}

fn start_one(own: &Path, settings: &WorkerSettings, slice: u32) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let log = File::create(log_of(&settings.dir, slice))?;
    let mut command = Command::new(own);
    command
        .arg("worker")
        .args(["--over", &settings.address.to_string(), "--run", settings.run.as_str()])
        .args(["--slice", &format!("{slice}/{}", settings.slices), "--shards", &settings.threads.to_string()])
        .args(["--parent", &std::process::id().to_string()])
        .arg("--out")
        .arg(settings.dir.join(folder_name(slice)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // A terminal's Ctrl-C is the leader's to pass on.
        .process_group(0)
        .spawn()
}

/// SIGTERM to all at once, and SIGKILL for those that have not ended by the limit, which is one for all.
fn end<'a>(processes: impl IntoIterator<Item = &'a mut Child>, limit: Duration) {
    let deadline = Instant::now() + limit;
    let is_left = |process: &mut &mut Child| matches!(process.try_wait(), Ok(None));
    let mut left: Vec<&mut Child> =
        processes.into_iter().filter_map(|mut process| is_left(&mut process).then_some(process)).collect();
    for process in &left {
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(process), rustix::process::Signal::TERM);
    }
    while !left.is_empty() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        left.retain_mut(is_left);
    }
    for process in &mut left {
        let _ = process.kill();
    }
    for process in left {
        let _ = process.wait();
    }
}

/// The server that is found on the PATH.
///
/// # Errors
/// When there is none: how to get one.
pub(super) fn program() -> Result<PathBuf, String> {
    find(PROGRAM).ok_or_else(|| {
        format!(
            "--slices without --over needs {PROGRAM} on the PATH: `apt-get install nats-server` on Debian, or the program from \
             https://github.com/nats-io/nats-server/releases; with a server that runs already say --over nats://HOST:4222"
        )
    })
}

/// A program by its name.
fn find(program: &str) -> Option<PathBuf> {
    let path = environment::variable("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn processes_are_ended_together_within_one_limit() {
        let deaf = "trap '' TERM; while :; do sleep 0.05; done";
        let mut processes: Vec<Child> = [deaf, deaf, deaf, "exec sleep 600", "exit 3"].map(shell).into();
        std::thread::sleep(Duration::from_millis(300));
        let (begun, limit) = (Instant::now(), Duration::from_secs(1));
        end(&mut processes, limit);
        let took = begun.elapsed();
        assert!(processes.iter_mut().all(|process| process.try_wait().unwrap().is_some()));
        assert!(took >= limit && took < 3 * limit, "three that do not listen take as long as one: {took:?}");
    }
}
