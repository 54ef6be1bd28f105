//! The endpoint of a run's own: certificates, the child, things registered.

use super::super::child::{ChildSettings, EndpointChild, Ready};
use super::super::jobs::artifacts::{self, Artifacts};
use super::super::shared_endpoint::SharedEndpoint;
use super::super::ui::Ui;
use super::control::{ControlPlane, Register, register};
use super::{Folders, Target, TargetError, off_thread, sources};
use crate::aws::client::ControlEndpoint;
use crate::aws::control::ControlClient;
use crate::aws::server::Server;
use crate::aws::upload::ObjectStore;
use crate::report::{DECISIONS, ENDPOINT_CONFIG, ENDPOINT_LOG, SERVICE_LEDGER};
use crate::roster::Roster;
use crate::scenario::plan::{EmulatorPlan, Plan, Transport};
use crate::slice::Slice;
use crate::user_folder::here_or_users;
use crate::workload::groups::TargetGroups;
use aws_signing::keyring::Keyring;
use aws_signing::request::Signing;
use aws_signing::sigv4::AccessKey;
use dev_pki::{Made, Store, StoreSpec};
use host::tls;
use iot_endpoint::config::EndpointConfig;
use iot_jobs::ThingName;
use iot_jobs::wire::control;
use iot_jobs::wire::signature::SignerKey;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thing_transport::credentials::Credentials;
use thing_transport::endpoint::{Destination, Endpoint};

/// Where certificates are kept from one run to the next.
const CERTS: &str = "certs";

/// The endpoint child, its ledger and its log of decisions.
pub(in crate::run) struct LocalEndpoint {
    pub child: EndpointChild,
    pub ledger: PathBuf,
    pub decisions: PathBuf,
}

/// An endpoint that accepts connections, knows the fleet, and has the files of its jobs.
pub(in crate::run) struct Served {
    pub local: LocalEndpoint,
    pub control: ControlPlane,
    pub shared: SharedEndpoint,
    store: Store,
}

/// Starts the endpoint with all that the fleet needs there. Must be called on the main thread: the child dies with the thread that starts it.
///
/// # Errors
/// With what is missing.
pub(in crate::run) async fn serve(
    plan: &Plan,
    emulator: &EmulatorPlan,
    roster: &Roster,
    Folders { results: out, certs }: Folders<'_>,
    ui: &Ui,
) -> Result<Served, TargetError> {
    let (things, groups) = (roster.names(), TargetGroups::of(plan, roster, None)?);
    let dir = pki_folder(certs, &plan.name)?;
    ui.tell(&format!("certificates: {}", dir.display()));
    let shows = roster.shows_certificate(plan);
    let shown = things.iter().zip(shows).filter(|(_, shows)| *shows).map(|(thing, _)| thing.clone()).collect();
    let (store, made) = certificates(dir, shown, ui).await?;
    ui.tell(&format!("certificates: {} made, {} used again", made.issued, made.reused));

    let (ledger, decisions) = (out.join(SERVICE_LEDGER), out.join(DECISIONS));
    let settings = ChildSettings {
        dir: store.dir().into(),
        config: endpoint_config(plan.seed, emulator),
        config_file: out.join(ENDPOINT_CONFIG),
        ledger: ledger.clone(),
        decisions: decisions.clone(),
        log: out.join(ENDPOINT_LOG),
        state: plan.restarts_endpoint().then(|| out.join("endpoint.state")),
    };
    let child = EndpointChild::start(settings).await?;
    let Ready { mqtt, https, api, pid } = child.ready.clone();
    ui.tell(&format!("endpoint: mqtt {mqtt}, https {https}, api {api}, pid {pid}"));

    let client = control_client(&store, api)?;
    let objects = ObjectStore {
        server: server(&store, api)?,
        key: AccessKey::lasting(&store.credentials().access_key_id, &store.credentials().secret_access_key),
    };
    let control = register(things, groups, client, Register::Things, ui).await?;
    let Artifacts { documents, signer } = artifacts::publish(plan, &objects).await?;
    let control = ControlPlane { documents, ..control };
    let dir = std::path::absolute(store.dir()).map_err(|error| TargetError::PkiFolder(error.to_string()))?;
    let shared = SharedEndpoint { mqtt, https, api, dir, signer: hex::encode(signer.to_sec1()) };
    Ok(Served { local: LocalEndpoint { child, ledger, decisions }, control, shared, store })
}

pub(super) async fn bring_up(
    plan: &Plan,
    emulator: &EmulatorPlan,
    roster: &Roster,
    folders: Folders<'_>,
    ui: &Ui,
) -> Result<Target, TargetError> {
    let Served { local, control, shared, store } = serve(plan, emulator, roster, folders, ui).await?;
    let target = reach(plan, emulator, roster, (Slice::WHOLE, &shared), (store, ui)).await?;
    Ok(Target { control: Some(control), local: Some(local), ..target })
}

/// What the things of a slice need of an endpoint that another process of this host has started, and creates the jobs at.
pub(super) async fn join(
    plan: &Plan,
    emulator: &EmulatorPlan,
    roster: &Roster,
    (slice, shared): (Slice, &SharedEndpoint),
    ui: &Ui,
) -> Result<Target, TargetError> {
    let store = Store::open(&shared.dir)?;
    let groups = TargetGroups::of(plan, roster, None)?;
    let control = ControlPlane { creates: false, ..ControlPlane::new(control_client(&store, shared.api)?, groups, slice) };
    let target = reach(plan, emulator, roster, (slice, shared), (store, ui)).await?;
    Ok(Target { control: Some(control), ..target })
}

/// The way of a slice's things to the endpoint, and what they show there.
async fn reach(
    plan: &Plan,
    emulator: &EmulatorPlan,
    roster: &Roster,
    (slice, shared): (Slice, &SharedEndpoint),
    (store, ui): (Store, &Ui),
) -> Result<Target, TargetError> {
    let SharedEndpoint { mqtt, https, api, .. } = *shared;
    let (tls, keyring) = (trust(&store)?, keyring(&store));
    let endpoint = |transport: Transport| {
        let address = match transport {
            Transport::Mqtt | Transport::Mqtt5 => mqtt,
            Transport::HttpsMtls => https,
            Transport::MqttWs | Transport::HttpsSigv4 => api,
        };
        let destination = Destination::new(address, [].into(), server_name(), address.to_string().into());
        let (sources, resumption) = (sources(&emulator.link).collect(), emulator.link.resumption);
        let endpoint = Endpoint::new(vec![destination], sources, Arc::clone(&tls), resumption).expect("there is a destination");
        match transport.is_signed() {
            true => endpoint.signed(Signing { keyring: Arc::clone(&keyring), region: control::REGION.into() }),
            false => endpoint,
        }
    };
    let endpoints = plan.transports().into_iter().map(endpoint).collect();
    let signer = hex::decode(&shared.signer).map_err(|error| error.to_string()).and_then(|point| SignerKey::from_sec1(&point));
    let signer = signer.map_err(TargetError::Shared)?;
    let expired = expired(plan, roster, slice, &store)?;
    let shows: Vec<bool> =
        roster.shows_certificate(plan).into_iter().zip(0..).map(|(shows, place)| shows && slice.has(place)).collect();
    let shown = roster.names().iter().zip(&shows).filter(|(_, shows)| **shows).map(|(thing, _)| thing.clone()).collect();
    let mut read = read(store, shown, ui).await?.into_iter();
    let credentials = shows.into_iter().map(|shows| if shows { read.next() } else { None }).collect();
    Ok(Target { endpoints, tls, credentials, expired, signer: Some(signer), control: None, local: None })
}

/// Whom things trust, with nothing to show.
fn trust(store: &Store) -> Result<Arc<ClientConfig>, TargetError> {
    Ok(Arc::new(tls::client_config(tls::roots([store.ca_cert()])?, None)?))
}

/// The endpoint's signed API, which is its object store, too.
fn server(store: &Store, api: SocketAddr) -> Result<Server, TargetError> {
    Ok(Server { addresses: vec![api], authority: api.to_string(), tls: Some((trust(store)?, server_name())) })
}

fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("localhost is a host name")
}

fn keyring(store: &Store) -> Arc<Keyring> {
    let keys = store.credentials();
    Arc::new(Keyring::of(&keys.access_key_id, &keys.secret_access_key))
}

fn control_client(store: &Store, api: SocketAddr) -> Result<Arc<ControlClient>, TargetError> {
    let endpoint = ControlEndpoint { server: server(store, api)?, region: control::REGION.into() };
    Ok(Arc::new(ControlClient::new(endpoint, keyring(store))))
}

/// The folder of the scenario `name`: below `said`, if somebody says so.
fn pki_folder(said: Option<&Path>, name: &str) -> Result<PathBuf, TargetError> {
    let here = || here_or_users(&Path::new(CERTS).join(name), "--certs or FLEETSIM_CERTS").map_err(TargetError::PkiFolder);
    said.map_or_else(here, |said| Ok(said.join(name)))
}

/// What the scenario says elsewhere holds for the endpoint, too, unless the endpoint is to be otherwise.
fn endpoint_config(seed: u64, emulator: &EmulatorPlan) -> EndpointConfig {
    let EmulatorPlan { link, endpoint } = emulator;
    EndpointConfig {
        seed: endpoint.seed.or(Some(seed)),
        tls_resumption: endpoint.tls_resumption.or(Some(link.resumption)),
        ..endpoint.clone()
    }
}

/// What things show that are to have missed the renewal of their certificate.
fn expired(plan: &Plan, roster: &Roster, slice: Slice, store: &Store) -> Result<BTreeMap<u32, Credentials>, TargetError> {
    let places: Vec<u32> = roster.expired(plan).into_iter().filter(|place| slice.has(*place)).collect();
    let names: Vec<ThingName> = places.iter().map(|place| roster.names()[*place as usize].clone()).collect();
    let pairs = store.expired(&names)?;
    places.into_iter().zip(pairs).map(|(place, pair)| Ok((place, Credentials::new(pair.chain, pair.key)?))).collect()
}

/// Makes or finds the certificates, off this thread: a wish to stop is heard meanwhile.
async fn certificates(dir: PathBuf, things: Vec<ThingName>, ui: &Ui) -> Result<(Store, Made), TargetError> {
    let progress = ui.progress("thing certificates", things.len());
    off_thread(move || {
        let spec = StoreSpec { things, server_names: vec![] };
        let made = Store::ensure(&dir, &spec, &mut |done, _| progress.set(done))?;
        progress.finish();
        Ok(made)
    })
    .await
}

/// Reads what these things show, off this thread.
async fn read(store: Store, things: Vec<ThingName>, ui: &Ui) -> Result<Vec<Credentials>, TargetError> {
    let progress = ui.progress("keys read", things.len());
    off_thread(move || {
        let mut credentials = Vec::with_capacity(things.len());
        for thing in &things {
            let pair = store.thing(thing)?;
            credentials.push(Credentials::new(pair.chain, pair.key)?);
            progress.set(credentials.len());
        }
        progress.finish();
        Ok(credentials)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::TargetPlan;

    #[test]
    fn the_endpoint_is_told_all_of_its_shape() {
        let text = "name = 'x'\nseed = 7\n[target.tls]\nresumption = true\n[target.emulator]\nquotas = 'aws'\nlatency = '5ms'\nserver = { workers = 2, service = 'exp(20ms)' }\n\
                    reject = { share = 0.5, codes = ['InternalError', 'RequestThrottled'] }\ndrop = { share = 0.25 }\n\
                    disconnect = { every = 'exp(10m)' }\nnotifications = { delay = 'uniform(0s, 1s)', shuffle = true }\n\
                    [fleet]\nthings = 1\n[end]\nduration = '1s'\n";
        let config = |sets: &[(&str, &str)]| {
            let set = |(key, value): &(&str, &str)| crate::scenario::Override {
                key: format!("target.emulator.{key}"),
                value: (*value).into(),
                origin: String::new(),
            };
            let overrides: Vec<_> = sets.iter().map(set).collect();
            let plan = crate::scenario::load("x.toml", text, &overrides).unwrap_or_else(|problems| panic!("{problems}"));
            let TargetPlan::Emulator(emulator) = &plan.target else { panic!("{:?}", plan.target) };
            endpoint_config(plan.seed, emulator)
        };
        let expected = r#"quotas = "aws"
minute = "1m"
rollout = "smooth"
tls_resumption = true
seed = 7
latency = "5ms"

[server]
workers = 2
service = "exp(20ms)"

[reject]
share = 0.5
codes = ["InternalError", "RequestThrottled"]

[drop]
share = 0.25

[disconnect]
every = "exp(10m)"

[notifications]
delay = "uniform(0s, 1s)"
shuffle = true
"#;
        assert_eq!(config(&[]).to_toml(), expected);
        let other = config(&[("seed", "8"), ("tls_resumption", "false")]);
        assert_eq!((other.seed, other.tls_resumption), (Some(8), Some(false)), "the endpoint's own words win");
    }
}
