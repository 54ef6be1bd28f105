//! How a worker comes into a run: it reads the plan, sees whether it is fit for it, and takes its slice before anybody else does.

use super::WorkerOptions;
use crate::roster::Roster;
use crate::run::{SharedEndpoint, StartAt};
use crate::scenario;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use crate::workers::connection::{Connection, create, get};
use crate::workers::leader::fleet_sha256;
use crate::workers::message::{Owner, RunPlan};
use crate::workers::{TICK, names, place, unique};
use crate::{preflight, run};
use async_nats::jetstream::kv::Store;
use host::environment;
use std::time::Duration;
use tokio::time::Instant;

/// A slice of a run, and how it is reached.
pub(super) struct Joined {
    pub connection: Connection,
    pub plan: Plan,
    pub jobs_id: String,
    /// Of the attempt at the run.
    pub nonce: String,
    /// Where the leader has started it.
    pub endpoint: Option<SharedEndpoint>,
    pub slice: Slice,
    /// Until the start is told.
    pub wait: Duration,
    pub away: Duration,
}

/// Why a worker is of no run.
pub(super) enum NotJoined {
    Interrupted,
    /// It is not fit for it, or comes too late; for people.
    Refused(String),
    /// After "failed to".
    Failed(String),
}

/// Comes into the run, and waits for it where it is not there yet.
pub(super) async fn join(options: &WorkerOptions) -> Result<Joined, NotJoined> {
    let deadline = Instant::now() + options.wait;
    let WorkerOptions { address, identity, run, .. } = options;
    let connection = Connection::open(address, identity, run, "fleetsim worker", options.wait).await.map_err(NotJoined::Failed)?;
    let (keys, json) = plan(&connection, options, deadline).await?;
    let of_run = RunPlan::read(&json, env!("CARGO_PKG_VERSION")).map_err(NotJoined::Refused)?;
    let slice = place::place(options.slice, of_run.slices, environment::variable).map_err(NotJoined::Refused)?;
    if of_run.endpoint.is_some() && options.certs.is_some() {
        return Err(NotJoined::Refused(
            "--certs is for endpoints of somebody else; here the leader has started one, and made the certificates of the things"
                .into(),
        ));
    }
    let plan = resolved(&of_run)?;
    check_time(&keys, run.as_str()).await?;
    let owner = Owner { token: unique(), host: preflight::facts().hostname, pid: std::process::id() };
    let mine = serde_json::to_vec(&owner).expect("an owner has string keys");
    if let Some(there) = create(&keys, &names::owner(slice.index()), mine).await.map_err(NotJoined::Failed)? {
        let who = serde_json::from_slice::<Owner>(&there);
        let who = who.map_or_else(|_| "somebody".to_owned(), |owner| format!("process {} on {}", owner.pid, owner.host));
        return Err(NotJoined::Refused(format!(
            "slice {slice} of run {run} has a worker already, {who}; only one may drive a slice"
        )));
    }
    Ok(Joined {
        connection,
        plan,
        jobs_id: of_run.jobs_id,
        nonce: of_run.nonce,
        endpoint: of_run.endpoint,
        slice,
        wait: Duration::from_secs(of_run.wait_s),
        away: Duration::from_secs(of_run.away_s),
    })
}

/// The plan of the run, once there is one.
async fn plan(connection: &Connection, options: &WorkerOptions, deadline: Instant) -> Result<(Store, bytes::Bytes), NotJoined> {
    loop {
        let why = match connection.keys().await {
            Ok(keys) => match get(&keys, names::PLAN).await {
                Ok(Some(json)) => return Ok((keys, json)),
                Ok(None) => "it has no plan yet".to_owned(),
                Err(why) => why,
            },
            Err(why) => why,
        };
        if Instant::now() >= deadline {
            let waited = options.wait.as_secs();
            return Err(NotJoined::Failed(format!("find run {} within {waited} s: {why}; is its leader running?", options.run)));
        }
        tokio::time::sleep(TICK).await;
    }
}

/// The scenario as this host reads it.
fn resolved(of_run: &RunPlan) -> Result<Plan, NotJoined> {
    let plan = scenario::load("the scenario of the run", &of_run.scenario, &[]).map_err(|problems| {
        NotJoined::Refused(format!("the scenario of the run cannot be used here:\n{}", problems.render(false)))
    })?;
    let roster = Roster::new(&plan).map_err(|error| NotJoined::Failed(format!("name a thing: {error}")))?;
    let is_same = fleet_sha256(&roster) == of_run.fleet_sha256 && plan.to_toml() == of_run.scenario;
    match is_same {
        true => Ok(plan),
        false => Err(NotJoined::Refused(
            "another scenario: what this host makes of the run's names other things, or puts them into other cohorts; a file that \
             fleet.things_from names has to be the same on all hosts"
                .into(),
        )),
    }
}

/// Whether somebody may still come.
async fn check_time(keys: &Store, run: &str) -> Result<(), NotJoined> {
    let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    if let Some(why) = get(keys, names::OVER).await.map_err(NotJoined::Failed)?.map(text) {
        return Err(NotJoined::Refused(format!("run {run} is over before it began: {why}")));
    }
    let start_at = get(keys, names::START).await.map_err(NotJoined::Failed)?.map(text);
    let Some(start_at) = start_at else { return Ok(()) };
    let late = start_at.parse::<StartAt>().map_or(0.0, run::late_s);
    Err(NotJoined::Refused(format!(
        "run {run} has all of its workers, and its start at {start_at} is {}: it is too late to join",
        if late > 0.0 { format!("past, by {late:.1} s") } else { "near".into() }
    )))
}
