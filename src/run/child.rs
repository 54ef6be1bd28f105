//! The endpoint child: `fleetsim serve` as a process of its own, that never outlives the run.
//!
//! It dies with its parent whatever happens to the parent: the child asks the kernel for a death signal (`--exit-with-parent`).
//! That signal follows the parent's spawning *thread*, so [`EndpointChild::start`] and [`EndpointChild::news`], which starts it again,
//! belong on the main thread. The child has its own process group, or the terminal's Ctrl-C would end the endpoint before the drain.

use host::clock;
use iot_endpoint::config::EndpointConfig;
use iot_jobs::instant::Mono;
use rustix::process::Signal;
use serde::Deserialize;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};

/// A start includes making or checking the endpoint's certificates.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// A run goes on for a while when its endpoint has died, so that the files show how the things took it.
pub(super) const GONE_GRACE: Duration = Duration::from_secs(5);
/// From SIGTERM to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the endpoint is to be like.
#[derive(Clone)]
pub(super) struct ChildSettings {
    pub dir: PathBuf,
    pub ledger: PathBuf,
    pub decisions: PathBuf,
    pub config: EndpointConfig,
    /// Where `config` is written, for the endpoint to read.
    pub config_file: PathBuf,
    /// Where its stderr goes.
    pub log: PathBuf,
    /// Where it keeps what it knows, if it is to be started again; gone when it is stopped for good.
    pub state: Option<PathBuf>,
}

/// The line `fleetsim serve` prints when it accepts connections.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ready {
    pub mqtt: SocketAddr,
    pub https: SocketAddr,
    pub api: SocketAddr,
    pub pid: u32,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("start the endpoint {program}: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("write the endpoint's configuration {path}: {source}")]
    Config { path: PathBuf, source: io::Error },
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
    #[error("keep the endpoint's port {address} while it is away: {source}")]
    Port { address: SocketAddr, source: io::Error },
}

/// An endpoint that runs, or will again.
pub(super) struct EndpointChild {
    settings: ChildSettings,
    life: Life,
    pub ready: Ready,
}

enum Life {
    Up { process: Child, is_frozen: bool },
    Restarting(Pin<Box<Restart>>),
    Ended,
}

type Restart = dyn Future<Output = Result<(Child, Ready), ChildError>>;

/// What became of the endpoint.
pub(super) enum ChildEvent {
    /// It was started again, and is ready.
    Back,
    /// It ended of itself, or could not be started again: why.
    Ended(String),
}

impl EndpointChild {
    /// Writes its configuration, starts this program's own `serve` on free loopback ports and waits until it accepts connections.
    ///
    /// # Errors
    /// When it cannot be started, or ends or stays silent instead of getting ready.
    pub(super) async fn start(settings: ChildSettings) -> Result<Self, ChildError> {
        let path = &settings.config_file;
        std::fs::write(path, settings.config.to_toml()).map_err(|source| ChildError::Config { path: path.clone(), source })?;
        let (process, ready) = spawn(&settings, [0; 3]).await?;
        Ok(Self { settings, life: Life::Up { process, is_frozen: false }, ready })
    }

    /// Stops the endpoint, and starts it again at `back_at` on the same ports. [`Self::news`] tells when it is ready.
    pub(super) fn restart(&mut self, back_at: Mono) {
        match std::mem::replace(&mut self.life, Life::Ended) {
            Life::Up { process, is_frozen } => {
                let Ready { mqtt, https, api, .. } = self.ready;
                self.life =
                    Life::Restarting(Box::pin(restart(process, is_frozen, self.settings.clone(), [mqtt, https, api], back_at)));
            }
            other => self.life = other,
        }
    }

    /// Whether it runs, if only to stand still.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.life, Life::Up { .. })
    }

    /// Completes when the endpoint ends of itself, or is back from a restart. Nothing is lost when it is dropped before.
    pub(super) async fn news(&mut self) -> ChildEvent {
        match &mut self.life {
            Life::Up { process, .. } => match process.wait().await {
                Ok(status) => ChildEvent::Ended(status.to_string()),
                Err(error) => ChildEvent::Ended(ChildError::Watch(error).to_string()),
            },
            Life::Restarting(starting) => match starting.await {
                Ok((process, ready)) => {
                    self.life = Life::Up { process, is_frozen: false };
                    self.ready = ready;
                    ChildEvent::Back
                }
                Err(error) => {
                    self.life = Life::Ended;
                    ChildEvent::Ended(error.to_string())
                }
            },
            Life::Ended => std::future::pending().await,
        }
    }

    /// Stops the process where it is, or lets it go on. What is sent to it meanwhile waits in its sockets.
    pub(super) fn freeze(&mut self, freeze: bool) {
        if let Life::Up { process, is_frozen } = &mut self.life {
            *is_frozen = freeze;
            signal(process, if freeze { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Ends the endpoint, whatever it is doing.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub(super) async fn stop(&mut self) -> Result<(), ChildError> {
        // One that was about to come back is killed with the wait for it.
        if let Life::Up { mut process, is_frozen } = std::mem::replace(&mut self.life, Life::Ended) {
            stop(&mut process, is_frozen).await?;
        }
        if let Some(state) = &self.settings.state {
            // Nobody needs it any more, and nothing depends on its going.
            let _ = std::fs::remove_file(state);
        }
        Ok(())
    }
}

/// Starts the process and waits until it is ready. Port 0: any free one.
async fn spawn(settings: &ChildSettings, [mqtt, https, api]: [u16; 3]) -> Result<(Child, Ready), ChildError> {
    let program = std::env::current_exe().map_err(|source| ChildError::Spawn { program: "itself".into(), source })?;
    let log = File::options().create(true).append(true).open(&settings.log);
    let log = log.map_err(|source| ChildError::Log { path: settings.log.clone(), source })?;
    let mut command = std::process::Command::new(&program);
    command
        .arg("serve")
        .arg("--dir")
        .arg(&settings.dir)
        .args(["--mqtt-port", &mqtt.to_string(), "--https-port", &https.to_string(), "--api-port", &api.to_string()])
        .arg("--config")
        .arg(&settings.config_file)
        .arg("--ledger")
        .arg(&settings.ledger)
        .arg("--decisions")
        .arg(&settings.decisions)
        .args(settings.state.iter().flat_map(|state| [OsStr::new("--state"), state.as_os_str()]))
        .args(["--exit-with-parent", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0);
    let mut process = Command::from(command).kill_on_drop(true).spawn().map_err(|source| ChildError::Spawn { program, source })?;
    let ready = wait_ready(&mut process, &settings.log).await?;
    Ok((process, ready))
}

async fn wait_ready(process: &mut Child, log: &Path) -> Result<Ready, ChildError> {
    let stdout = process.stdout.take().expect("stdout was asked for as a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let line =
        tokio::time::timeout(READY_TIMEOUT, lines.next_line()).await.map_err(|_elapsed| ChildError::Silent { log: log.into() })?;
    match line.map_err(ChildError::Watch)? {
        Some(line) => serde_json::from_str(&line).map_err(|source| ChildError::NotReady { line, source }),
        None => {
            let status = process.wait().await.map_err(ChildError::Watch)?;
            Err(ChildError::Ended { status, log: log.into(), tail: tail(log) })
        }
    }
}

/// While the endpoint is away its ports stay bound: they are of the kernel's own range, and it could give one to a thing that dials.
async fn restart(
    mut process: Child,
    is_frozen: bool,
    settings: ChildSettings,
    addresses: [SocketAddr; 3],
    back_at: Mono,
) -> Result<(Child, Ready), ChildError> {
    stop(&mut process, is_frozen).await?;
    let _kept = [keep(addresses[0])?, keep(addresses[1])?, keep(addresses[2])?];
    tokio::time::sleep(back_at.since(clock::mono())).await;
    spawn(&settings, addresses.map(|address| address.port())).await
}

/// Who is bound and does not listen refuses connections, and does not stand in the way of one who will listen.
fn keep(address: SocketAddr) -> Result<TcpSocket, ChildError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bind().map_err(|source| ChildError::Port { address, source })
}

/// SIGTERM, and SIGKILL for what does not heed it.
async fn stop(process: &mut Child, is_frozen: bool) -> Result<(), ChildError> {
    if is_frozen {
        signal(process, Signal::CONT);
    }
    signal(process, Signal::TERM);
    if tokio::time::timeout(STOP_TIMEOUT, process.wait()).await.is_err() {
        process.kill().await.map_err(ChildError::Watch)?;
    }
    Ok(())
}

/// It may have ended a moment ago; whoever waits for it will know.
fn signal(process: &Child, signal: Signal) {
    if let Some(pid) = process.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
