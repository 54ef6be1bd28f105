//! What a run needs before its workers: the server, on it bucket, stream and plan, and where the scenario wants it an endpoint.

use super::heartbeat::HeartbeatSender;
use super::inbox::Inbox;
use super::local::{LocalWorkers, NatsServer, WorkerSettings};
use super::{LeadError, LeadOptions};
use crate::roster::Roster;
use crate::run::SharedEndpoint;
use crate::run::hosting::HostedEndpoint;
use crate::run::ui::Ui;
use crate::scenario;
use crate::scenario::plan::TargetPlan;
use crate::workers::address::{NatsAddress, NatsIdentity};
use crate::workers::connection::{Connection, create, put};
use crate::workers::message::{Order, RunPlan, WIRE};
use crate::workers::names::RunId;
use crate::workers::{TICK, names, unique};
use async_nats::jetstream::kv::Store;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the first connection to the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Below the results folder: what a run on this host alone has besides.
const LOCAL: &str = "local";
/// From the end of the run to the end of its local workers, before they are asked to end.
const WORKERS_LIMIT: Duration = Duration::from_secs(30);
/// For an order to get through before the connection goes.
const PARTING: Duration = Duration::from_secs(2);

/// What is there before anything of the run is on the server.
pub(super) struct Preparation {
    connection: Connection,
    address: NatsAddress,
    server: Option<NatsServer>,
    endpoint: Option<HostedEndpoint>,
}

/// All of it.
pub(super) struct Site {
    pub connection: Connection,
    pub keys: Store,
    pub inbox: Inbox,
    pub heartbeat: HeartbeatSender,
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

/// How a run came to its end, as far as its surroundings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// Nobody has begun.
    NotBegun,
    /// The leader cannot go on; workers drain.
    Failed,
    /// Nobody comes any more, and not every worker has handed over.
    Over,
    /// The same, and nobody needs any more what the workers have on this host.
    Complete,
}

impl Preparation {
    /// Finds the server, or starts one, and starts the endpoint where the scenario wants one.
    ///
    /// # Errors
    /// With what is missing.
    pub(super) async fn find(options: &LeadOptions, run: RunId, roster: &Roster, dir: &Path, ui: &Ui) -> Result<Self, LeadError> {
        let server = match &options.over {
            Some(_) => None,
            None => Some(NatsServer::start(&dir.join(LOCAL).join("nats")).map_err(LeadError::Usage)?),
        };
        let (address, identity) = match (&options.over, &server) {
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
        Ok(Self { connection, address, server, endpoint })
    }
}

impl Site {
    /// Brings all of it up, where the ids of jobs end with `jobs_id`; where that fails nothing of the run is left on the server.
    ///
    /// # Errors
    /// With what is missing.
    pub(super) async fn bring_up(
        preparation: Preparation,
        options: &LeadOptions,
        roster: &Roster,
        jobs_id: &str,
        dir: &Path,
        ui: &Ui,
    ) -> Result<Self, LeadError> {
        let Preparation { connection, address, server, endpoint } = preparation;
        let shared = endpoint.as_ref().map(|endpoint| endpoint.shared().clone());
        let announced = Announced { nonce: unique(), jobs_id: jobs_id.to_owned(), endpoint: shared };
        let keys = announce(&connection, options, roster, &announced).await?;
        let begun = async {
            let heartbeat = HeartbeatSender::start(&connection, announced.nonce.clone()).await.map_err(LeadError::Failed)?;
            let inbox = Inbox::open(connection.clone(), announced.nonce.clone());
            let Some(server) = server else { return Ok((heartbeat, inbox, None)) };
            let settings = WorkerSettings {
                address: address.clone(),
                run: connection.run.clone(),
                slices: options.slices,
                dir: dir.join(LOCAL),
                threads: options.threads.unwrap_or_else(|| cores_dealt(options.slices)),
            };
            let workers = LocalWorkers::start(&settings).map_err(LeadError::Failed)?;
            Ok((heartbeat, inbox, Some(Local { workers, server, dir: settings.dir })))
        };
        let (heartbeat, inbox, local) = match begun.await {
            Ok(begun) => begun,
            Err(error) => {
                connection.remove().await;
                return Err(error);
            }
        };
        if local.is_none() {
            let run = &connection.run;
            ui.announce(&format!("workers: fleetsim worker --over {address} --run {run}   (slices 0 to {})", options.slices - 1));
        }
        Ok(Self { connection, keys, inbox, heartbeat, local, endpoint })
    }

    /// Whether the server can be reached and heard.
    pub(super) fn is_up(&self) -> bool {
        self.connection.is_up() && self.inbox.is_open()
    }

    /// Whether the server of a run on this host alone still runs.
    ///
    /// # Errors
    /// With how it ended.
    pub(super) fn check_server(&mut self) -> Result<(), LeadError> {
        match self.local.as_mut().and_then(|local| local.server.ended()) {
            None => Ok(()),
            Some(how) => Err(LeadError::Failed(format!("go on: the NATS server of this run ended by itself: {how}"))),
        }
    }

    /// Tells the workers what to do now that nobody leads any more, and whoever comes now that there is no run.
    pub(super) async fn give_up(&self, order: Order, error: &LeadError) {
        let why = match error {
            LeadError::Interrupted => "it was interrupted before its start",
            LeadError::Usage(why) | LeadError::Failed(why) => why,
        };
        self.heartbeat.order(order);
        if self.is_up() {
            let _ = tokio::time::timeout(PARTING, put(&self.keys, names::OVER, why.to_owned())).await;
            tokio::time::sleep(TICK).await;
        }
    }

    /// Takes it down.
    pub(super) async fn take_down(self, end_of_run: RunEnd) {
        let Self { connection, inbox, heartbeat, local, endpoint, .. } = self;
        drop(inbox);
        if let Some(Local { mut workers, server, dir }) = local {
            // They hear the order, or get a signal, which says the same.
            workers.finish(if end_of_run == RunEnd::Failed { Duration::ZERO } else { WORKERS_LIMIT });
            drop(workers);
            server.stop();
            if end_of_run == RunEnd::Complete
                && let Err(error) = std::fs::remove_dir_all(&dir)
            {
                tracing::warn!(%error, dir = %dir.display(), "what the workers had is still there");
            }
        } else if end_of_run != RunEnd::Failed {
            connection.remove().await;
        }
        drop(heartbeat);
        if let Some(endpoint) = endpoint {
            endpoint.stop().await;
        }
    }
}

fn cores_dealt(slices: u32) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / slices as usize).max(1)
}

/// What is known of a run besides what it was asked for.
struct Announced {
    /// Of this attempt at it.
    nonce: String,
    jobs_id: String,
    /// Where the leader has started one.
    endpoint: Option<SharedEndpoint>,
}

/// Makes what the run has on the server; whoever asks for its plan gets it from then on.
async fn announce(
    connection: &Connection,
    options: &LeadOptions,
    roster: &Roster,
    announced: &Announced,
) -> Result<Store, LeadError> {
    let text = options.plan.to_toml();
    // What its workers would refuse is better told here.
    scenario::load("the scenario of the workers", &text, &[])
        .map_err(|problems| LeadError::Usage(format!("give the workers this scenario:\n{}", problems.render(false))))?;
    let keys = connection.make().await.map_err(LeadError::Failed)?;
    let plan = RunPlan {
        wire: WIRE,
        version: env!("CARGO_PKG_VERSION").into(),
        nonce: announced.nonce.clone(),
        slices: options.slices,
        seed: options.plan.seed,
        scenario: text,
        fleet_sha256: fleet_sha256(roster),
        jobs_id: announced.jobs_id.clone(),
        wait_s: options.wait.as_secs(),
        away_s: options.away.as_secs(),
        endpoint: announced.endpoint.clone(),
    };
    let json = serde_json::to_vec_pretty(&plan).expect("a plan has string keys");
    let run = &connection.run;
    match create(&keys, names::PLAN, json).await.map_err(LeadError::Failed)? {
        None => Ok(keys),
        Some(_) => Err(LeadError::Usage(format!(
            "lead run {run}: there is one of that name already; say another one with --run, or none. Where its leader was killed, \
             `nats stream rm` takes away {} and {}",
            run.stream(),
            run.bucket_stream()
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
