//! What a run needs before its workers: the server, on it bucket, stream and plan, and where the scenario wants it an endpoint.

use super::inbox::Inbox;
use super::local::{LocalWorkers, NatsServer, WorkerSettings};
use super::pulse::Pulse;
use super::{LeadError, LeadOptions};
use crate::roster::Roster;
use crate::run::SharedEndpoint;
use crate::run::hosting::HostedEndpoint;
use crate::run::ui::Ui;
use crate::scenario;
use crate::scenario::plan::TargetPlan;
use crate::workers::address::NatsIdentity;
use crate::workers::connection::{Connection, create, put};
use crate::workers::message::{RunPlan, WIRE};
use crate::workers::names::{self, RunId};
use async_nats::jetstream::kv::Store;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the first connection to the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Below the results folder: what a run on this host alone has besides.
const LOCAL: &str = "local";
/// From the end of the run to the end of its local workers.
const WORKERS_LIMIT: Duration = Duration::from_secs(30);

/// All of it.
pub(super) struct Site {
    pub connection: Connection,
    pub keys: Store,
    pub inbox: Inbox,
    pub pulse: Pulse,
    pub local: Option<Local>,
    /// That of the run's own.
    pub endpoint: Option<HostedEndpoint>,
}

/// Server and workers of a run on this host alone.
pub(super) struct Local {
    pub workers: LocalWorkers,
    server: NatsServer,
    dir: PathBuf,
}

impl Site {
    /// Brings all of it up; `jobs_id` is what the ids of jobs end with.
    ///
    /// # Errors
    /// With what is missing.
    pub(super) async fn bring_up(
        options: &LeadOptions,
        roster: &Roster,
        (run, jobs_id): (RunId, &str),
        dir: &Path,
        ui: &Ui,
    ) -> Result<Self, LeadError> {
        let own_server = match &options.over {
            Some(_) => None,
            None => Some(NatsServer::start(&dir.join(LOCAL).join("nats")).map_err(LeadError::Usage)?),
        };
        let (address, identity) = match (&options.over, &own_server) {
            (Some((address, identity)), _) => (address.clone(), identity.clone()),
            (None, Some(server)) => (server.address.clone(), NatsIdentity::default()),
            (None, None) => unreachable!("without --over there is a server of the run's own"),
        };
        ui.tell(&format!("NATS: {address}, run {run}"));
        let connection =
            Connection::open(&address, &identity, &run, "fleetsim leader", CONNECT_LIMIT).await.map_err(LeadError::Failed)?;
        let endpoint = match &options.plan.target {
            TargetPlan::Emulator(_) => {
                let folders = (dir, options.certs.as_deref());
                Some(HostedEndpoint::bring_up(&options.plan, roster, folders, ui).await.map_err(LeadError::Failed)?)
            }
            TargetPlan::Mqtt(_) | TargetPlan::Aws(_) => None,
        };
        let shared = endpoint.as_ref().map(|endpoint| endpoint.shared().clone());
        let keys = announce(&connection, options, roster, jobs_id, shared).await?;
        let pulse = Pulse::start(&connection).await.map_err(LeadError::Failed)?;
        let inbox = Inbox::open(connection.clone());
        let local = match own_server {
            None => {
                ui.announce(&format!(
                    "workers: fleetsim worker --over {address} --run {run}   (slices 0 to {})",
                    options.slices - 1
                ));
                None
            }
            Some(server) => {
                let settings = WorkerSettings {
                    address,
                    run: run.clone(),
                    slices: options.slices,
                    dir: dir.join(LOCAL),
                    threads: options.threads.unwrap_or_else(|| cores_dealt(options.slices)),
                };
                let workers = LocalWorkers::start(&settings).map_err(LeadError::Failed)?;
                Some(Local { workers, server, dir: settings.dir })
            }
        };
        Ok(Self { connection, keys, inbox, pulse, local, endpoint })
    }

    /// Tells whoever comes now that there is no run.
    pub(super) async fn give_up(&self, why: &str) {
        let _ = put(&self.keys, names::OVER, why.to_owned()).await;
    }

    /// Takes it down. `is_over`: nobody comes any more; `is_complete`: nobody needs any more what the workers have on this host.
    pub(super) async fn take_down(self, is_over: bool, is_complete: bool) {
        let Self { connection, inbox, pulse, local, endpoint, .. } = self;
        drop((inbox, pulse));
        if is_over {
            connection.remove().await;
        }
        if let Some(Local { mut workers, server, dir }) = local {
            workers.finish(WORKERS_LIMIT);
            drop(workers);
            server.stop();
            if is_complete && let Err(error) = std::fs::remove_dir_all(&dir) {
                tracing::warn!(%error, dir = %dir.display(), "what the workers had is still there");
            }
        }
        if let Some(endpoint) = endpoint {
            endpoint.stop().await;
        }
    }
}

fn cores_dealt(slices: u32) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / slices as usize).max(1)
}

/// Makes what the run has on the server; whoever asks for its plan gets it from then on.
async fn announce(
    connection: &Connection,
    options: &LeadOptions,
    roster: &Roster,
    jobs_id: &str,
    endpoint: Option<SharedEndpoint>,
) -> Result<Store, LeadError> {
    let text = options.plan.to_toml();
    // What its workers would refuse is better told here.
    scenario::load("the scenario of the workers", &text, &[])
        .map_err(|problems| LeadError::Usage(format!("give the workers this scenario:\n{}", problems.render(false))))?;
    let keys = connection.make().await.map_err(LeadError::Failed)?;
    let plan = RunPlan {
        wire: WIRE,
        version: env!("CARGO_PKG_VERSION").into(),
        slices: options.slices,
        seed: options.plan.seed,
        scenario: text,
        fleet_sha256: fleet_sha256(roster),
        jobs_id: jobs_id.to_owned(),
        wait_s: options.wait.as_secs(),
        away_s: options.away.as_secs(),
        endpoint,
    };
    let json = serde_json::to_vec_pretty(&plan).expect("a plan has string keys");
    match create(&keys, names::PLAN, json).await.map_err(LeadError::Failed)? {
        None => Ok(keys),
        Some(_) => Err(LeadError::Usage(format!(
            "lead run {}: there is one of that name already; say another one with --run, or none",
            connection.run
        ))),
    }
}

/// What names and cohorts of all things are known by.
#[must_use]
pub(in crate::workers) fn fleet_sha256(roster: &Roster) -> String {
    let mut sha256 = Sha256::new();
    for (name, cohort) in roster.names().iter().zip(roster.cohorts()) {
        sha256.update(name.as_str());
        sha256.update(cohort.to_le_bytes());
        sha256.update(b"\n");
    }
    hex::encode(sha256.finalize())
}
