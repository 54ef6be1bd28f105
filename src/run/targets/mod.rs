//! What a run connects to, brought up: the endpoint child with all it needs, or what somebody else runs.

pub(super) mod aws;
mod certificates;
mod control;
mod local;
mod remote;

pub(super) use control::ControlPlane;
pub(super) use local::{LocalEndpoint, Served, serve};

use super::child::ChildError;
use super::shared_endpoint::SharedEndpoint;
use super::ui::Ui;
use crate::aws::account::{Account, AccountChoice};
use crate::aws::client::CallError;
use crate::aws::locate::LocateError;
use crate::aws::upload::UploadError;
use crate::roster::Roster;
use crate::scenario::plan::{LinkPlan, Plan, TargetPlan, Transport};
use crate::slice::Slice;
use crate::workload::groups::GroupsError;
use certificates::Wanted;
use dev_pki::PkiError;
use host::tls::PairError;
use iot_jobs::wire::signature::SignerKey;
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use thing_transport::credentials::Credentials;
use thing_transport::endpoint::{Endpoint, check_source};

/// Faults named in one message; the rest is counted.
const FAULTS_SHOWN: usize = 10;

/// Why there is nothing to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error("{0}")]
    Pki(#[from] PkiError),
    #[error("keep certificates: {0}")]
    PkiFolder(String),
    #[error("{0}")]
    Child(#[from] ChildError),
    #[error("reach the endpoint of the run: {0}")]
    Shared(String),
    #[error("register the fleet: {0}")]
    Provision(#[source] CallError),
    #[error("{0}")]
    Groups(#[from] GroupsError),
    #[error("{0}")]
    Artifact(#[from] UploadError),
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("use a thing's certificate: {0}")]
    Pair(#[from] PairError),
    #[error("use what the scenario names:\n{}", .0.join("\n"))]
    Faults(Vec<String>),
    #[error("resolve {host}: {why}")]
    Resolve { host: String, why: String },
    #[error("use the AWS account: {0}")]
    Account(String),
    #[error("use the AWS account: {0}")]
    Locate(#[from] LocateError),
    #[error("ask the AWS account for its endpoint: {0}; target.host does without asking")]
    Describe(#[source] CallError),
}

/// A target that is ready.
pub(super) struct Target {
    /// In the order of the plan's transports.
    pub endpoints: Vec<Endpoint>,
    /// Whom things trust, with nothing to show and no ALPN.
    pub tls: Arc<ClientConfig>,
    /// Of each thing, by place; of none that signs.
    pub credentials: Vec<Option<Credentials>>,
    /// Expired certificates, by place, of the things that are to show one.
    pub expired: BTreeMap<u32, Credentials>,
    /// Whose signatures of files count, where that is known.
    pub signer: Option<SignerKey>,
    /// Where jobs are created; absent where others do.
    pub control: Option<ControlPlane>,
    /// Present with an endpoint that this process has started.
    pub local: Option<LocalEndpoint>,
}

/// Where a run writes.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    pub results: &'a Path,
    /// Of the certificates of local endpoints, where somebody says so; of other endpoints what the things of a slice have theirs from.
    pub certs: Option<&'a Path>,
}

/// Who is to reach a target.
#[derive(Clone, Copy)]
pub(super) struct Driver<'a> {
    pub slice: Slice,
    /// Where the endpoint of the run's own was started by another process.
    pub shared: Option<&'a SharedEndpoint>,
}

/// Brings the target up. Must be called on the main thread: the child dies with the thread that starts it.
///
/// # Errors
/// With what is missing.
pub(super) async fn bring_up(
    plan: &Plan,
    roster: &Roster,
    driver: Driver<'_>,
    folders: Folders<'_>,
    ui: &Ui,
) -> Result<Target, TargetError> {
    let Driver { slice, shared } = driver;
    let mut faults = Faults::default();
    check_sources(plan.target.link(), &mut faults);
    match &plan.target {
        TargetPlan::Emulator(emulator) => {
            faults.into_result()?;
            match shared {
                Some(shared) => local::join(plan, emulator, roster, (slice, shared), ui).await,
                None => local::bring_up(plan, emulator, roster, folders, ui).await,
            }
        }
        TargetPlan::Mqtt(remote) => {
            let files = certificates::load(Wanted::new(plan, remote, roster, slice, folders.certs), faults, ui).await?;
            let account = match plan.transports().into_iter().any(Transport::is_signed) {
                true => Some(Account::find(AccountChoice::default()).await.map_err(TargetError::Account)?),
                false => None,
            };
            let endpoints = remote::reach(plan, remote, &files, None, account.as_ref()).await?;
            Ok(files.into_target(endpoints, None)?)
        }
        TargetPlan::Aws(aws) => {
            let files = certificates::load(Wanted::new(plan, &aws.remote, roster, slice, folders.certs), faults, ui).await?;
            aws::bring_up(plan, aws, files, roster, slice, ui).await
        }
    }
}

/// What can be found wrong with a target without a connection.
///
/// # Errors
/// With everything at once, for people.
pub fn check(plan: &Plan) -> Result<(), String> {
    let mut faults = Faults::default();
    check_sources(plan.target.link(), &mut faults);
    if let Some(remote) = plan.target.remote() {
        match Roster::new(plan) {
            Ok(roster) => {
                drop(certificates::read(&Wanted::new(plan, remote, &roster, Slice::WHOLE, None), &mut faults, &mut |_| {}));
            }
            Err(error) => faults.add(error.to_string()),
        }
    }
    faults.into_result().map_err(|error| error.to_string())
}

fn check_sources(link: &LinkPlan, faults: &mut Faults) {
    for address in sources(link) {
        if let Err(error) = check_source(address) {
            faults.add(format!(
                "target.source_ips: connections cannot leave from {address}: {error}; it must be an address of this host"
            ));
        }
    }
}

fn sources(link: &LinkPlan) -> impl Iterator<Item = IpAddr> {
    link.source_ips.iter().flat_map(|range| range.addresses())
}

/// What is wrong, gathered: the first ones are named, the rest is counted.
#[derive(Default)]
struct Faults {
    shown: Vec<String>,
    more: usize,
}

impl Faults {
    fn add(&mut self, fault: impl std::fmt::Display) {
        match self.shown.len() < FAULTS_SHOWN {
            true => self.shown.push(format!("  - {fault}")),
            false => self.more += 1,
        }
    }

    fn into_result(mut self) -> Result<(), TargetError> {
        if self.shown.is_empty() {
            return Ok(());
        }
        if self.more > 0 {
            self.shown.push(format!("  - and {} more", self.more));
        }
        Err(TargetError::Faults(self.shown))
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}
