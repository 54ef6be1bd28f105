//! `fleetsim serve`: brings the listeners up, says so, and takes them down again.

use super::authority::{Authority, DecisionLog, DevicePolicy};
use super::client_certificates::ClientCertificates;
use super::config::EndpointConfig;
use super::listeners::api::{self, ApiSettings};
use super::listeners::mqtt::MqttSettings;
use super::listeners::mutual::{self, GuardedListener, Protocol};
use super::listeners::pending_clients::PendingClients;
use super::objects::Objects;
use super::request_log::RequestLog;
use super::service::{FileError, Files, Service};
use super::shape::ShapeSettings;
use super::state::Opened;
use super::supervision::Failures;
use crate::ledger::LedgerWriter;
use aws_signing::sigv4::AccessKey;
use dev_pki::{DeviceAuthority, Pair, PkiError, Store, StoreSpec};
use host::{stdio, tls};
use iot_jobs::{NameError, ThingName, limits};
use jobs_engine::engine::EngineConfig;
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::Quotas;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use sim_units::name_template::NameTemplate;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Connections that wait to be accepted: a fleet connects in bursts.
const LISTEN_BACKLOG: u32 = 4096;
/// Descriptors a process has where the system does not say.
const DESCRIPTORS_MIN: u64 = 256;
/// How long sessions may take to close when the endpoint stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// What `fleetsim serve` was asked for.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where the certificates and keys are, or are made.
    pub dir: PathBuf,
    /// The address that all listeners are bound to.
    pub bind: IpAddr,
    /// 0: any free port.
    pub mqtt_port: u16,
    /// Data plane over mutual TLS, and MQTT where ALPN names it (PROTOCOL 12.2); 0: any free port.
    pub https_port: u16,
    /// Control plane, and what else is signed; 0: any free port.
    pub api_port: u16,
    /// Things to register and to have certificates for.
    pub things: u64,
    /// The names of those things.
    pub thing_name: NameTemplate,
    /// How the endpoint is shaped.
    pub config: EndpointConfig,
    /// What `config.quotas` names.
    pub quotas: Quotas,
    /// Where to append the service ledger.
    pub ledger: Option<PathBuf>,
    /// Where to write when each request came and its answer left.
    pub requests: Option<PathBuf>,
    /// What `config.policy` names.
    pub policy: DevicePolicy,
    /// Where to append what clients were denied, and why.
    pub decisions: Option<PathBuf>,
    /// Where to keep what is known.
    pub state: Option<PathBuf>,
    /// End when this process is no longer the parent.
    pub exit_with_parent: Option<u32>,
}

/// Why the endpoint cannot be, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Certificates cannot be read or made.
    #[error("{0}")]
    Pki(#[from] PkiError),
    /// The ledger, a log or the state cannot be written.
    #[error("{0}")]
    Files(#[from] FileError),
    /// A port cannot be had.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Where a listener was to be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates make no TLS configuration.
    #[error("set up TLS: {0}")]
    Tls(String),
    /// The template gives a name that is none (PROTOCOL 3).
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    /// The threads cannot be started.
    #[error("start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// Nobody can be told where the endpoint is.
    #[error("{0}")]
    Announce(#[source] io::Error),
    /// A file failed while the endpoint ran; in words.
    #[error("go on: {0}")]
    Failed(String),
    /// The process of [`ServeOptions::exit_with_parent`] is gone.
    #[error("go on: the parent process has ended")]
    ParentGone,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When the store, a port or the ledger cannot be had, or the ledger's disk is full.
pub fn serve(options: &ServeOptions) -> Result<(), ServeError> {
    if let Some(parent) = options.exit_with_parent {
        follow_parent(parent)?;
    }
    let descriptors = rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap_or(DESCRIPTORS_MIN);
    let names = (0..options.things).map(|n| ThingName::new(&options.thing_name.name(n))).collect::<Result<Vec<_>, _>>()?;
    let spec = StoreSpec { things: names.clone(), server_names: vec![options.bind.to_string()] };
    let bar = dev_pki::progress_bar(names.len(), "thing certificates");
    let (store, _) = Store::ensure(&options.dir, &spec, &mut |done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let files = Files {
        ledger: options.ledger.as_deref().map(LedgerWriter::open).transpose().map_err(FileError::from)?,
        requests: options.requests.as_deref().map(RequestLog::create).transpose().map_err(FileError::from)?,
        decisions: options.decisions.as_deref().map(DecisionLog::open).transpose().map_err(FileError::from)?,
        state: options.state.as_deref().map(Opened::open).transpose().map_err(FileError::from)?,
    };
    let authority = Authority::new(options.config.policy_delay);
    let service = Arc::new(Service::new(engine_config(options), &shape_settings(options), authority, files)?);
    service.set_device_policy(&options.policy, options.config.policy.is_some());
    service.register(&names);
    service.adopt_made(&options.dir, &names)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let result = runtime.block_on(run(options, &store, &service, descriptors));
    runtime.shutdown_timeout(STOP_TIMEOUT);
    result
}

fn engine_config(options: &ServeOptions) -> EngineConfig {
    let ServeOptions { config, quotas, .. } = options;
    EngineConfig {
        spread: config.spread,
        rate_per_minute: quotas.rollout_per_minute,
        active_jobs_max: quotas.active_jobs,
        concurrent_jobs_max: quotas.concurrent_jobs,
        jobs_in_deletion_max: quotas.jobs_in_deletion,
        targets_per_job_max: quotas.targets_per_job,
        ..EngineConfig::new(config.minute)
    }
}

fn shape_settings(options: &ServeOptions) -> ShapeSettings {
    let ServeOptions { config, quotas, .. } = options;
    let faults = FaultSettings { seed: config.seed.unwrap_or(0), plan: config.faults.clone() };
    ShapeSettings { quotas: quotas.clone(), faults }
}

/// The kernel ends this process when the parent's spawning thread ends; a parent that is gone already is noticed here.
fn follow_parent(parent: u32) -> Result<(), ServeError> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| ServeError::Runtime(error.into()))?;
    let found = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if found == Some(parent) { Ok(()) } else { Err(ServeError::ParentGone) }
}

async fn run(options: &ServeOptions, store: &Store, service: &Arc<Service>, descriptors: u64) -> Result<(), ServeError> {
    let mqtt_listener = listen(SocketAddr::new(options.bind, options.mqtt_port))?;
    let https_listener = listen(SocketAddr::new(options.bind, options.https_port))?;
    let api_listener = listen(SocketAddr::new(options.bind, options.api_port))?;
    let address = |listener: &TcpListener| listener.local_addr().map_err(ServeError::Runtime);
    let addresses = Addresses { mqtt: address(&mqtt_listener)?, https: address(&https_listener)?, api: address(&api_listener)? };
    let server = store.server()?;
    let device_tls = Arc::new(mutual_tls(&server, &store.ca_cert(), service, options.config.tls_resumption.unwrap_or(false))?);
    let api_tls = Arc::new(server_tls(&server)?);
    let mqtt_settings = MqttSettings {
        auto_register: options.config.auto_register,
        keep_alive_min: options.config.keep_alive_min,
        keep_alive_max: limits::KEEP_ALIVE_MAX,
        session_expiry_max: options.config.session_expiry,
    };
    let credentials = store.credentials();
    let api_settings = Arc::new(ApiSettings {
        key: AccessKey::lasting(&credentials.access_key_id, &credentials.secret_access_key),
        data_endpoint: reachable(addresses.mqtt),
        jobs_endpoint: reachable(addresses.api),
        mqtt: mqtt_settings,
        dir: options.dir.clone(),
        authority: DeviceAuthority::open(store)?,
    });
    service.keep_objects(Objects::new(store.dir(), format!("https://{}", reachable(addresses.api)), api_settings.key.clone()));
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    let [mqtt, https, api] = [mqtt_listener, https_listener, api_listener]
        .map(|listener| GuardedListener { listener, pending_clients: PendingClients::new(descriptors) });
    let pending_clients = [&mqtt, &https, &api].map(|guarded| Arc::clone(&guarded.pending_clients));
    let watched = Spawner(service.failures());
    let listeners = [
        watched.spawn("mqtt", mutual::serve(mqtt, Protocol::Mqtt, Arc::clone(&device_tls), Arc::clone(service), mqtt_settings)),
        watched.spawn("https", mutual::serve(https, Protocol::Http, device_tls, Arc::clone(service), mqtt_settings)),
        watched.spawn("api", api::serve(api, api_tls, Arc::clone(service), api_settings)),
    ];
    announce(&addresses, options).map_err(ServeError::Announce)?;
    let timers = Arc::clone(service);
    let sessions = Arc::clone(service);
    let files = Arc::clone(service);
    let changing = [
        watched.spawn("timers", async move { timers.run_timers().await }),
        watched.spawn("sessions", async move { sessions.run_sessions().await }),
    ];
    watched.spawn("files", async move { files.run_files().await });
    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        reason = service.failed() => Err(ServeError::Failed(reason)),
    };
    // Nothing is to change any more once the state is closed: the ledger would know what the state does not.
    listeners.iter().chain(&changing).for_each(JoinHandle::abort);
    service.sessions.close_all();
    tokio::time::sleep(STOP_TIMEOUT / 5).await;
    service.close();
    service.flush()?;
    service.refusals.finish();
    if service.sessions.slow() > 0 {
        tracing::warn!(sessions = service.sessions.slow(), "disconnected since they did not take their messages");
    }
    if service.sessions.dropped() > 0 {
        tracing::warn!(messages = service.sessions.dropped(), "dropped since too many waited for clients that were away");
    }
    if service.shape.dropped() > 0 {
        tracing::warn!(dropped = service.shape.dropped(), "requests and messages were dropped since too many waited");
    }
    if service.unrendered() > 0 {
        tracing::warn!(dropped = service.unrendered(), "messages with documents were dropped since too many waited");
    }
    let turned_away: u64 = pending_clients.iter().map(|pending_clients| pending_clients.turned_away()).sum();
    if turned_away > 0 {
        tracing::warn!(connections = turned_away, "ended before their clients were known since others waited for their places");
    }
    result
}

/// Starts what goes on for as long as the endpoint does.
struct Spawner<'a>(&'a Failures);

impl Spawner<'_> {
    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(self.0.clone().watch(name, work))
    }
}

/// How clients on this machine reach a listener that may be bound to every address.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Of its connections, which take after it: answers leave at once.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    open().map_err(|source| ServeError::Listen { address, source })
}

/// Where the listeners are.
struct Addresses {
    mqtt: SocketAddr,
    https: SocketAddr,
    api: SocketAddr,
}

/// The line that says so, on standard output, or on standard error where the former is a file of rows.
fn announce(addresses: &Addresses, options: &ServeOptions) -> io::Result<()> {
    let line = serde_json::json!({
        "event": "ready",
        "mqtt": addresses.mqtt.to_string(),
        "https": addresses.https.to_string(),
        "api": addresses.api.to_string(),
        "dir": options.dir,
        "pid": std::process::id(),
    });
    let files = [&options.ledger, &options.requests, &options.decisions];
    if files.into_iter().flatten().any(|path| stdio::is_standard(path)) {
        stdio::say(&line.to_string());
        return Ok(());
    }
    stdio::print(&format!("{line}\n"))
}

fn mutual_tls(
    server: &Pair,
    ca: &CertificateDer<'_>,
    service: &Arc<Service>,
    resumption: bool,
) -> Result<ServerConfig, ServeError> {
    let failed = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
    let certificates = ClientCertificates::new(ca, Arc::clone(service)).map_err(|error| failed(&error))?;
    let builder = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let mut config = builder
        .with_client_cert_verifier(Arc::new(certificates))
        .with_single_cert(server.chain.clone(), server.key.clone_key())
        .map_err(|error| failed(&error))?;
    // The tickets hold all there is to remember, so that a session costs no memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = usize::from(resumption);
    if resumption {
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(|error| failed(&error))?;
    }
    config.alpn_protocols = mutual::alpn_protocols();
    Ok(config)
}

fn server_tls(server: &Pair) -> Result<ServerConfig, ServeError> {
    let failed = |error: rustls::Error| ServeError::Tls(error.to_string());
    let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().map_err(failed)?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(server.chain.clone(), server.key.clone_key()).map_err(failed)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
