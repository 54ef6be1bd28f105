//! What a plan means as a simulation.

use super::ForecastError;
use crate::roster::Roster;
use crate::scenario::plan::{
    ArtifactPlan, CohortPlan, EndPlan, EndWhen, EventKind, EventPlan, Plan, RolloutPlan, RolloutStart, Tamper, TargetPlan,
    Transport,
};
use crate::workload::agents;
use crate::workload::events;
use crate::workload::groups::TargetGroups;
use crate::workload::jobs::create_job;
use crate::workload::starts::starts;
use fleet_forecast::{
    Cohort, End, EndpointOutage, Enforcement, FileFault, Fleet, Job, JobFile, JobStart, Network, OutageKind, Protocol,
    ServiceSettings, Settings,
};
use host::clock;
use iot_endpoint::config::EndpointConfig;
use iot_endpoint::quotas::QuotasChoice;
use iot_jobs::JobTarget;
use iot_jobs::instant::{Mono, Now};
use jobs_engine::engine::EngineConfig;
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::Quotas;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::AgentSettings;
use thing_transport::download::FileFailure;

/// Where virtual time begins: any instant would do.
const ORIGIN: Mono = Mono(1_000_000_000);
/// What a thing fetches of a file that has no bandwidth of its own, in bytes a second.
pub(super) const FILE_BYTES_PER_S: u64 = 50_000_000;

/// Where others create the jobs, nothing more is to come after that.
const QUIET: Duration = Duration::from_secs(10);

fn endpoint(plan: &Plan) -> EndpointConfig {
    match &plan.target {
        TargetPlan::Emulator(emulator) => emulator.endpoint.clone(),
        TargetPlan::Aws(_) => EndpointConfig { quotas: QuotasChoice::Aws, ..EndpointConfig::default() },
        TargetPlan::Mqtt(_) => EndpointConfig::default(),
    }
}

/// The quotas of the plan's endpoint; where it has none, those of an account, which are only counted.
pub(super) fn quotas(plan: &Plan) -> Result<(Quotas, Enforcement), ForecastError> {
    match endpoint(plan).quotas {
        QuotasChoice::None => Ok((QuotasChoice::Aws.load()?, Enforcement::Count)),
        choice => Ok((choice.load()?, Enforcement::Refuse)),
    }
}

pub(super) fn settings(
    plan: &Plan,
    roster: &Roster,
    network: Network,
    quotas: Quotas,
    enforcement: Enforcement,
) -> Result<Settings, ForecastError> {
    let groups = TargetGroups::of(plan, roster, None).map_err(|error| ForecastError::Groups(error.to_string()))?;
    let jobs = plan.rollouts.iter().enumerate().flat_map(|(n, rollout)| jobs_of(plan, n, rollout, &groups)).collect();
    Ok(Settings {
        seed: plan.seed,
        origin: Now { mono: ORIGIN, epoch_ms: clock::epoch_ms() },
        fleet: fleet(plan, roster),
        groups: groups.places().map(|(name, places)| (name.clone(), Arc::clone(places))).collect(),
        jobs,
        cuts: events::cuts(plan, roster, ORIGIN),
        outages: outages(&plan.events),
        service: service(plan, quotas, enforcement),
        network,
        end: end(&plan.end),
    })
}

/// The same, where a job that asks for more than the account has is counted, rather than refused: the rollouts go on as they are meant to.
pub(super) fn uncapped(mut settings: Settings) -> Settings {
    let pace = settings.service.engine.rate_per_minute.take();
    settings.service.engine.active_jobs_max = None;
    settings.service.engine.concurrent_jobs_max = None;
    for job in &mut settings.jobs {
        let rollout = &mut job.create.config.rollout;
        rollout.maximum_per_minute = rollout.maximum_per_minute.or(pace);
    }
    settings
}

fn fleet(plan: &Plan, roster: &Roster) -> Fleet {
    let agents = agents::agents(plan, roster);
    Fleet {
        names: Arc::clone(roster.names()),
        cohort_of: roster.cohorts().to_vec(),
        arrivals: starts(plan, roster.cohorts()),
        first_index: plan.fleet.first_index,
        cohorts: plan.cohorts.iter().zip(agents).map(|(cohort, agent)| cohort_of(plan, cohort, agent)).collect(),
        connects_in_progress: plan.fleet.connect.in_progress,
    }
}

fn cohort_of(plan: &Plan, cohort: &CohortPlan, agent: Arc<AgentSettings>) -> Cohort {
    let session = &cohort.session;
    Cohort {
        agent,
        protocol: match session.transport {
            Transport::Mqtt | Transport::Mqtt5 | Transport::MqttWs => Protocol::Mqtt { is_clean: session.clean_session },
            Transport::HttpsMtls | Transport::HttpsSigv4 => Protocol::Http,
        },
        connect_timeout: session.connect_timeout,
        reconnect: session.reconnect,
        connects_in_progress: cohort.connect.map(|connect| connect.in_progress),
        telemetry: plan.telemetry.clone().filter(|_| !session.transport.is_http()).map(Arc::new),
        faults: agents::connection_faults(&plan.behaviors[&cohort.behavior]),
        verifies_signature: cohort.verify_signature,
    }
}

fn jobs_of(plan: &Plan, n: usize, rollout: &RolloutPlan, groups: &TargetGroups) -> Vec<Job> {
    let (group, targets) = groups.of_rollout(n);
    let job = |number: usize| {
        let after = rollout.creation(number);
        Job {
            create: create_job(plan, rollout, number, JobTarget::Group(group.clone()), None),
            start: match rollout.start {
                RolloutStart::Connected => JobStart::Connected(after),
                RolloutStart::At(at) => JobStart::At(at + after),
            },
            targets,
            file: rollout.artifact.as_ref().map(file),
        }
    };
    (0..rollout.jobs.len()).map(job).collect()
}

fn file(artifact: &ArtifactPlan) -> JobFile {
    let failure = match artifact.tamper {
        Some(Tamper::Length) => Some(FileFailure::Length { expected: artifact.bytes, found: artifact.bytes.saturating_sub(1) }),
        Some(Tamper::Content | Tamper::Key) => Some(FileFailure::Signature),
        None if !artifact.sign => Some(FileFailure::Unsigned),
        None => None,
    };
    let needs_verification = !matches!(failure, Some(FileFailure::Length { .. }));
    JobFile {
        bytes: artifact.bytes,
        bytes_per_s: artifact.bandwidth.unwrap_or(FILE_BYTES_PER_S),
        fault: failure.map(|failure| FileFault { status: failure.status(), reason: failure.to_string(), needs_verification }),
    }
}

fn outages(events: &[EventPlan]) -> Vec<EndpointOutage> {
    let outage = |(event, plan): (usize, &EventPlan)| {
        let (kind, lasts) = match plan.kind {
            EventKind::EndpointFreeze { lasts } => (OutageKind::Freeze, lasts),
            EventKind::EndpointRestart { lasts } => (OutageKind::Restart, lasts),
            EventKind::Disconnect { .. } | EventKind::Outage { .. } | EventKind::ReconnectStorm { .. } => return None,
        };
        let event = u16::try_from(event).expect("a scenario has no more events than a number of 16 bits can name");
        Some(EndpointOutage { event, at: plan.at, lasts, kind })
    };
    let mut outages: Vec<EndpointOutage> = events.iter().enumerate().filter_map(outage).collect();
    outages.sort_by_key(|outage| outage.at);
    outages
}

fn service(plan: &Plan, quotas: Quotas, enforcement: Enforcement) -> ServiceSettings {
    let config = endpoint(plan);
    let enforced = |quota: Option<u32>| quota.filter(|_| enforcement == Enforcement::Refuse);
    ServiceSettings {
        engine: EngineConfig {
            spread: config.spread,
            rate_per_minute: enforced(quotas.rollout_per_minute),
            active_jobs_max: enforced(quotas.active_jobs),
            concurrent_jobs_max: enforced(quotas.concurrent_jobs),
            jobs_in_deletion_max: enforced(quotas.jobs_in_deletion),
            targets_per_job_max: quotas.targets_per_job,
            ..EngineConfig::new(config.minute)
        },
        quotas,
        enforcement,
        faults: FaultSettings { seed: config.seed.unwrap_or(plan.seed), plan: config.faults },
        session_expiry: config.session_expiry,
    }
}

fn end(end: &EndPlan) -> End {
    let when = match end.when {
        EndWhen::ExecutionsDone { expect: None } => fleet_forecast::EndWhen::JobsOver,
        EndWhen::ExecutionsDone { expect: Some(_) } => fleet_forecast::EndWhen::Idle(QUIET),
        EndWhen::Duration(duration) => fleet_forecast::EndWhen::Duration(duration),
        EndWhen::Idle(idle) => fleet_forecast::EndWhen::Idle(idle),
    };
    End { when, limit: end.limit.max(Duration::from_secs(1)) }
}
