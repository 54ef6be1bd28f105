//! What a run connects to, brought up: certificates, the endpoint child, things registered, or somebody else's broker.

use super::child::{ChildError, ChildSettings, EndpointChild};
use super::groups::{GroupsError, TargetGroups};
use super::ui::Ui;
use crate::jobs::ThingName;
use crate::pki::{Made, PkiError, Store, StoreSpec};
use crate::report::SERVICE_LEDGER;
use crate::scenario::plan::{EmulatorPlan, MqttPlan, Plan, TargetPlan};
use crate::transport::control::{ControlCallError, ControlClient, provision};
use crate::transport::credentials::Credentials;
use crate::transport::endpoint::Endpoint;
use crate::wire::sigv4::AccessKey;
use crate::wire::tls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Broken files named in one message; the rest is counted.
const FAULTS_SHOWN: usize = 10;

/// Why there is nothing to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error("{0}")]
    Pki(#[from] PkiError),
    #[error("{0}")]
    Child(#[from] ChildError),
    #[error("register the fleet: {0}")]
    Provision(#[from] ControlCallError),
    #[error("{0}")]
    Groups(#[from] GroupsError),
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("read {path}: {why}")]
    Ca { path: PathBuf, why: String },
    #[error("use the certificates:\n{}", .0.join("\n"))]
    Credentials(Vec<String>),
    #[error("resolve {host}: {why}")]
    Resolve { host: String, why: String },
}

/// A target that is ready.
pub(super) struct Target {
    pub endpoint: Endpoint,
    /// Of each thing, by place.
    pub credentials: Vec<Credentials>,
    /// Present with the local endpoint.
    pub local: Option<LocalEndpoint>,
}

/// The endpoint child, its control plane and its ledger.
pub(super) struct LocalEndpoint {
    pub child: EndpointChild,
    pub control: Arc<ControlClient>,
    pub ledger: PathBuf,
    /// Who the rollouts are for.
    pub groups: Arc<TargetGroups>,
}

/// Brings the target up. Must be called on the main thread: the child dies with the thread that starts it.
///
/// # Errors
/// With what is missing.
pub(super) async fn bring_up(plan: &Plan, things: &[ThingName], out: &Path, ui: &Ui) -> Result<Target, TargetError> {
    match &plan.target {
        TargetPlan::Emulator(emulator) => local(plan, emulator, things, out, ui).await,
        TargetPlan::Mqtt(mqtt) => remote(plan, mqtt, things).await,
    }
}

async fn local(plan: &Plan, emulator: &EmulatorPlan, things: &[ThingName], out: &Path, ui: &Ui) -> Result<Target, TargetError> {
    let groups = TargetGroups::of(plan, things)?;
    let dir = Path::new("certs").join(&plan.name);
    ui.tell(&format!("certificates: {}", dir.display()));
    let (store, made, credentials) = certificates(dir, things.to_vec(), ui).await?;
    ui.tell(&format!("certificates: {} made, {} used again", made.issued, made.reused));

    let ledger = out.join(SERVICE_LEDGER);
    let settings = ChildSettings {
        dir: store.dir().into(),
        plan: emulator.clone(),
        seed: plan.seed,
        ledger: ledger.clone(),
        log: out.join("endpoint.log"),
        state: plan.restarts_endpoint().then(|| out.join("endpoint.state")),
    };
    let child = EndpointChild::start(settings).await?;
    ui.tell(&format!("endpoint: mqtt {}, api {}, pid {}", child.ready.mqtt, child.ready.api, child.ready.pid));

    let tls = Arc::new(tls::client_config([store.ca_cert()], None)?);
    let server_name = ServerName::try_from("localhost").expect("localhost is a host name");
    let key = AccessKey { id: store.credentials().access_key_id.clone(), secret: store.credentials().secret_access_key.clone() };
    let control = ControlClient::new(child.ready.api, server_name.clone(), Arc::clone(&tls), key);
    register(things, &groups, &control, ui).await?;
    let endpoint = Endpoint { address: child.ready.mqtt, server_name, tls };
    let local = LocalEndpoint { child, control: Arc::new(control), ledger, groups: Arc::new(groups) };
    Ok(Target { endpoint, credentials, local: Some(local) })
}

/// Makes or finds the certificates and reads them, off this thread: a wish to stop is heard meanwhile.
async fn certificates(dir: PathBuf, things: Vec<ThingName>, ui: &Ui) -> Result<(Store, Made, Vec<Credentials>), TargetError> {
    let progress = ui.progress("device certificates", things.len());
    let (store, made, things) = off_thread(move || {
        let spec = StoreSpec { things, server_names: vec![] };
        let (store, made) = Store::ensure(&dir, &spec, &mut |done, _| progress.set(done))?;
        progress.finish();
        Ok::<_, TargetError>((store, made, spec.things))
    })
    .await?;
    let progress = ui.progress("keys read", things.len());
    off_thread(move || {
        let mut credentials = Vec::with_capacity(things.len());
        for thing in &things {
            let pair = store.thing(thing)?;
            credentials.push(Credentials::new(pair.chain, pair.key)?);
            progress.set(credentials.len());
        }
        progress.finish();
        Ok((store, made, credentials))
    })
    .await
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}

/// Registers the things and the groups of targets, through the control plane as on AWS.
async fn register(things: &[ThingName], groups: &TargetGroups, control: &ControlClient, ui: &Ui) -> Result<(), ControlCallError> {
    let members = groups.members(things);
    ui.tell(&format!("registering {} things", things.len()));
    let calls = things.len() + members.iter().map(|(_, targets)| targets.len()).sum::<usize>();
    let progress = ui.progress("registrations", calls);
    provision(control, things, &members, |done, _| progress.set(done)).await?;
    progress.finish();
    Ok(())
}

async fn remote(plan: &Plan, mqtt: &MqttPlan, things: &[ThingName]) -> Result<Target, TargetError> {
    let ca = CertificateDer::pem_file_iter(&mqtt.ca)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TargetError::Ca { path: (&mqtt.ca).into(), why: error.to_string() })?;
    if ca.is_empty() {
        return Err(TargetError::Ca { path: (&mqtt.ca).into(), why: "it holds no certificate".into() });
    }
    let tls = Arc::new(tls::client_config(ca, mqtt.alpn.as_deref())?);
    let credentials = load_credentials(plan, mqtt, things)?;
    let unresolved = |why: String| TargetError::Resolve { host: mqtt.host.clone(), why };
    let addresses = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((mqtt.host.as_str(), mqtt.port)));
    let address: SocketAddr = addresses
        .await
        .map_err(|_elapsed| unresolved(format!("no answer within {} s", RESOLVE_TIMEOUT.as_secs())))?
        .map_err(|error| unresolved(error.to_string()))?
        .next()
        .ok_or_else(|| unresolved("it has no address".into()))?;
    let server_name = ServerName::try_from(mqtt.server_name.clone()).map_err(|error| unresolved(error.to_string()))?;
    Ok(Target { endpoint: Endpoint { address, server_name, tls }, credentials, local: None })
}

/// Every file that cannot be used is named, all at once; files that things share are read once.
fn load_credentials(plan: &Plan, mqtt: &MqttPlan, things: &[ThingName]) -> Result<Vec<Credentials>, TargetError> {
    let mut loaded: BTreeMap<(String, String), Option<Credentials>> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut credentials = Vec::with_capacity(things.len());
    for (position, thing) in things.iter().enumerate() {
        let index = (plan.fleet.first_index + position as u64).to_string();
        let path = |template: &str| template.replace("{thing}", thing.as_str()).replace("{index}", &index);
        let paths = (path(&mqtt.cert), path(&mqtt.key));
        let found = loaded.entry(paths.clone()).or_insert_with(|| match read_credentials(&paths.0, &paths.1) {
            Ok(credentials) => Some(credentials),
            Err(why) => {
                faults.push(format!("  - {why}"));
                None
            }
        });
        credentials.extend(found.clone());
    }
    if faults.is_empty() {
        return Ok(credentials);
    }
    let more = faults.len().saturating_sub(FAULTS_SHOWN);
    faults.truncate(FAULTS_SHOWN);
    if more > 0 {
        faults.push(format!("  - and {more} more"));
    }
    Err(TargetError::Credentials(faults))
}

fn read_credentials(cert: &str, key: &str) -> Result<Credentials, String> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{cert}: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{cert}: it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key}: {error}"))?;
    Credentials::new(chain, private).map_err(|error| format!("{key}: it does not fit {cert}: {error}"))
}
