//! The endpoint child: `fleetsim serve` as a process of its own, that never outlives the run.
//!
//! It dies with its parent whatever happens to the parent: the child asks the kernel for a death signal (`--exit-with-parent`).
//! That signal follows the parent's spawning *thread*, so [`EndpointChild::start`] belongs on the main thread. The child has its
//! own process group, or the terminal's Ctrl-C would end the endpoint before the drain.

use crate::scenario::plan::{EmulatorPlan, NotificationsPlan, QuotasPlan, RejectPlan, ServerPlan};
use crate::scenario::units;
use serde::Deserialize;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A start includes making or checking the endpoint's certificates.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// From SIGTERM to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the endpoint is to be like.
pub(super) struct ChildSettings<'a> {
    pub dir: &'a Path,
    pub ledger: &'a Path,
    pub plan: &'a EmulatorPlan,
    /// For what the endpoint draws.
    pub seed: u64,
    /// Where its stderr goes.
    pub log: &'a Path,
}

/// The line `fleetsim serve` prints when it accepts connections.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ready {
    pub mqtt: SocketAddr,
    pub api: SocketAddr,
    pub pid: u32,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("start the endpoint {program}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("write the endpoint's log {path}: {source}")]
    Log { path: PathBuf, source: io::Error },
    #[error("start the endpoint: it said nothing within {} s; see {log}", READY_TIMEOUT.as_secs())]
    Silent { log: PathBuf },
    #[error("start the endpoint: it ended ({status}); see {log}:\n{tail}")]
    Ended { status: ExitStatus, log: PathBuf, tail: String },
    #[error("start the endpoint: {line:?} is not its ready line: {source}")]
    NotReady { line: String, source: serde_json::Error },
    #[error("watch the endpoint: {0}")]
    Watch(#[source] io::Error),
}

/// A running endpoint.
pub(super) struct EndpointChild {
    process: Child,
    pub ready: Ready,
}

impl EndpointChild {
    /// Starts this program's own `serve` on free loopback ports and waits until it accepts connections.
    ///
    /// # Errors
    /// When it cannot be started, or ends or stays silent instead of getting ready.
    pub(super) async fn start(settings: &ChildSettings<'_>) -> Result<Self, ChildError> {
        let program = std::env::current_exe().map_err(|source| ChildError::Spawn { program: "itself".into(), source })?;
        let log = File::create(settings.log).map_err(|source| ChildError::Log { path: settings.log.into(), source })?;
        let mut command = std::process::Command::new(&program);
        command
            .arg("serve")
            .arg("--dir")
            .arg(settings.dir)
            .args(["--mqtt-port", "0", "--https-port", "0", "--api-port", "0"])
            .arg("--minute")
            .arg(format!("{}ms", settings.plan.minute.as_millis()))
            .args(["--rollout", settings.plan.spread.as_str()])
            .arg("--ledger")
            .arg(settings.ledger)
            .args(shape(settings))
            .args(["--exit-with-parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        let mut process =
            Command::from(command).kill_on_drop(true).spawn().map_err(|source| ChildError::Spawn { program, source })?;
        let ready = Self::wait_ready(&mut process, settings.log).await?;
        Ok(Self { process, ready })
    }

    async fn wait_ready(process: &mut Child, log: &Path) -> Result<Ready, ChildError> {
        let stdout = process.stdout.take().expect("stdout was asked for as a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(READY_TIMEOUT, lines.next_line())
            .await
            .map_err(|_elapsed| ChildError::Silent { log: log.into() })?;
        match line.map_err(ChildError::Watch)? {
            Some(line) => serde_json::from_str(&line).map_err(|source| ChildError::NotReady { line, source }),
            None => {
                let status = process.wait().await.map_err(ChildError::Watch)?;
                Err(ChildError::Ended { status, log: log.into(), tail: tail(log) })
            }
        }
    }

    /// Completes when the endpoint ends of itself.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus, ChildError> {
        self.process.wait().await.map_err(ChildError::Watch)
    }

    /// Stops the process where it is, or lets it go on. What is sent to it meanwhile waits in its sockets.
    pub(super) fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        if let Some(pid) = self.pid() {
            // It may have ended a moment ago; whoever waits for it will know.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn pid(&self) -> Option<rustix::process::Pid> {
        self.process.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32))
    }

    /// SIGTERM, and SIGKILL for what does not heed it.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub(super) async fn stop(&mut self) -> Result<(), ChildError> {
        self.freeze(false);
        if let Some(pid) = self.pid() {
            // It may have ended a moment ago; waiting tells.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.process.wait()).await.is_err() {
            self.process.kill().await.map_err(ChildError::Watch)?;
        }
        Ok(())
    }
}

/// What the endpoint is to be like, as arguments.
fn shape(settings: &ChildSettings<'_>) -> Vec<String> {
    let EmulatorPlan { quotas, faults, .. } = settings.plan;
    let quotas = match quotas {
        QuotasPlan::None => "none",
        QuotasPlan::Aws => "aws",
        QuotasPlan::File(path) => path,
    };
    let mut arguments = vec!["--seed".to_owned(), settings.seed.to_string(), "--quotas".to_owned(), quotas.to_owned()];
    arguments.extend(settings.plan.link.resumption.then(|| "--tls-resumption".to_owned()));
    let mut give = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
    if let Some(latency) = &faults.latency {
        give("--latency", units::distribution_text(latency));
    }
    if let Some(ServerPlan { workers, service }) = &faults.server {
        give("--server", units::distribution_text(service));
        give("--server-workers", workers.to_string());
    }
    if let Some(RejectPlan { share, codes }) = &faults.reject {
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        give("--reject", share.to_string());
        give("--reject-codes", codes.join(","));
    }
    if let Some(share) = faults.drop {
        give("--drop", share.to_string());
    }
    if let Some(every) = &faults.disconnect {
        give("--disconnect", units::distribution_text(every));
    }
    if let Some(NotificationsPlan { delay, shuffle }) = &faults.notifications {
        give("--notification-delay", units::distribution_text(delay));
        arguments.extend(shuffle.then(|| "--notification-shuffle".to_owned()));
    }
    arguments
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::TargetPlan;

    #[test]
    fn the_endpoint_is_told_all_of_its_shape() {
        let text = "name = 'x'\n[target.tls]\nresumption = true\n[target.emulator]\nquotas = 'aws'\nlatency = '5ms'\nserver = { workers = 2, service = 'exp(20ms)' }\n\
                    reject = { share = 0.5, codes = ['InternalError', 'RequestThrottled'] }\ndrop = { share = 0.25 }\n\
                    disconnect = { every = 'exp(10m)' }\nnotifications = { delay = 'uniform(0s, 1s)', shuffle = true }\n\
                    [fleet]\nthings = 1\n[end]\nduration = '1s'\n";
        let plan = crate::scenario::load("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let TargetPlan::Emulator(emulator) = &plan.target else { panic!("{:?}", plan.target) };
        let path = Path::new("p");
        let settings = ChildSettings { dir: path, ledger: path, plan: emulator, seed: 7, log: path };
        let expected = "--seed 7 --quotas aws --tls-resumption --latency 5ms --server exp(20ms) --server-workers 2 --reject 0.5 \
                        --reject-codes InternalError,RequestThrottled --drop 0.25 --disconnect exp(10m) \
                        --notification-delay uniform(0s, 1s) --notification-shuffle";
        assert_eq!(shape(&settings).join(" "), expected);
    }
}
