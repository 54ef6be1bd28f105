//! What is simulated: fleet, jobs, service, network, and when it ends.

use crate::meter::Enforcement;
use crate::network::Network;
use iot_jobs::instant::Now;
use iot_jobs::{CreateJob, GroupName, ThingName};
use jobs_engine::engine::EngineConfig;
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::Quotas;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::AgentSettings;
use thing_agent::backoff::Backoff;
use thing_agent::cut::Cut;
use thing_agent::telemetry::TelemetrySettings;
use thing_faults::FaultSpec;

/// All that a simulation is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of all random streams.
    pub seed: u64,
    /// When it begins.
    pub origin: Now,
    /// Who there is.
    pub fleet: Fleet,
    /// Thing groups that jobs are for, with the places of their members.
    pub groups: Vec<(GroupName, Arc<[u32]>)>,
    /// In the order in which a run would create those that are due at the same time.
    pub jobs: Vec<Job>,
    /// In the order of time.
    pub cuts: Vec<Cut>,
    /// In the order of time.
    pub outages: Vec<EndpointOutage>,
    /// What answers.
    pub service: ServiceSettings,
    /// How long messages are under way.
    pub network: Network,
    /// When it ends.
    pub end: End,
}

/// The things, by their places.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Names, which are client ids, too.
    pub names: Arc<[ThingName]>,
    /// Of each, its cohort.
    pub cohort_of: Vec<u16>,
    /// Of each, when it first connects, from the origin.
    pub arrivals: Vec<Duration>,
    /// Number of the first in random streams.
    pub first_index: u64,
    /// What those of a cohort have in common.
    pub cohorts: Vec<Cohort>,
    /// Connects in progress at once.
    pub connects_in_progress: u32,
}

/// What the things of a cohort have in common.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// How they work.
    pub agent: Arc<AgentSettings>,
    /// What they speak.
    pub protocol: Protocol,
    /// From the beginning of an attempt to CONNACK.
    pub connect_timeout: Duration,
    /// Waits before they connect again.
    pub reconnect: Backoff,
    /// Connects in progress at once; `None`: with those of the fleet.
    pub connects_in_progress: Option<u32>,
    /// What they publish besides.
    pub telemetry: Option<Arc<TelemetrySettings>>,
    /// What goes wrong on purpose with their connections; of these flapping and expired certificates are simulated.
    pub faults: Arc<[FaultSpec]>,
    /// Whether files must be signed by whom they should be.
    pub verifies_signature: bool,
}

/// What things speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT; a session that is not clean outlives its connection.
    Mqtt {
        /// Whether it ends with its connection.
        is_clean: bool,
    },
    /// One request after the other.
    Http,
}

/// A job that is created.
#[derive(Clone, Debug)]
pub struct Job {
    /// As CreateJob has it.
    pub create: CreateJob,
    /// When.
    pub start: JobStart,
    /// Things that it is for.
    pub targets: u64,
    /// What its document names.
    pub file: Option<JobFile>,
}

/// When a job is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStart {
    /// So long after every thing was connected.
    Connected(Duration),
    /// So long after the origin.
    At(Duration),
}

/// A file that things fetch first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFile {
    /// Its length.
    pub bytes: u64,
    /// Bytes a second of each thing.
    pub bytes_per_s: u64,
    /// Why it does not verify, where it does not.
    pub fault: Option<FileFault>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// How executions end by it.
    pub status: iot_jobs::ExecutionStatus,
    /// In words.
    pub reason: String,
    /// It is found only by who verifies signatures.
    pub needs_verification: bool,
}

/// A time in which the endpoint does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointOutage {
    /// Number of its event in the scenario, from 0.
    pub event: u16,
    /// When it begins, from the origin.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What happens.
    pub kind: OutageKind,
}

/// How an endpoint does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageKind {
    /// It stands still; what comes meanwhile waits.
    Freeze,
    /// It stops, with all its connections, and starts again with all that it knew.
    Restart,
}

/// The endpoint.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Of its engine.
    pub engine: EngineConfig,
    /// Of the account.
    pub quotas: Quotas,
    /// What happens to what is over them.
    pub enforcement: Enforcement,
    /// What goes wrong on purpose.
    pub faults: FaultSettings,
    /// How long an MQTT session outlives its connection.
    pub session_expiry: Duration,
}

/// When a simulation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What is waited for.
    pub when: EndWhen,
    /// Never later than this.
    pub limit: Duration,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWhen {
    /// All jobs are over, all events are, and nobody works.
    JobsOver,
    /// So much time has passed.
    Duration(Duration),
    /// So long nothing happened, and all are connected.
    Idle(Duration),
}
