//! What a scenario means, with every default filled in, made of the leaf modules' own types.

use iot_endpoint::config::EndpointConfig;
use iot_jobs::{JobDocument, JobId, JobSettings, NameError, NamespaceId, TemplateUse, ThingName};
use load_metrics::Threshold;
use sim_units::name_template::NameTemplate;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};
use thing_agent::arrivals::ArrivalKind;
use thing_agent::backoff::Backoff;
use thing_agent::behavior::Behavior;
use thing_agent::telemetry::TelemetrySettings;
use thing_agent::thing_template::ThingTemplate;
use thing_agent::workflow::Workflow;

/// A scenario without doubts left.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub name: String,
    pub seed: u64,
    pub target: TargetPlan,
    pub fleet: FleetPlan,
    /// At least one; shares sum to 1. A file without `[[cohort]]` has one, named "all".
    pub cohorts: Vec<CohortPlan>,
    pub behaviors: BTreeMap<String, Behavior>,
    pub rollouts: Vec<RolloutPlan>,
    pub events: Vec<EventPlan>,
    /// What all things publish besides, if anything.
    pub telemetry: Option<TelemetrySettings>,
    pub end: EndPlan,
    pub thresholds: Vec<Threshold>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TargetPlan {
    Emulator(EmulatorPlan),
    /// A broker or service that speaks the contract; its jobs are created by others.
    Mqtt(RemotePlan),
    Aws(AwsPlan),
}

impl TargetPlan {
    #[must_use]
    pub fn link(&self) -> &LinkPlan {
        match self {
            Self::Emulator(emulator) => &emulator.link,
            Self::Mqtt(remote) => &remote.link,
            Self::Aws(aws) => &aws.remote.link,
        }
    }

    /// Where the endpoint is somebody else's.
    #[must_use]
    pub fn remote(&self) -> Option<&RemotePlan> {
        match self {
            Self::Emulator(_) => None,
            Self::Mqtt(remote) => Some(remote),
            Self::Aws(aws) => Some(&aws.remote),
        }
    }
}

/// How connections are made, whatever they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    /// Local addresses that connections leave from, in turn; none: what the kernel chooses.
    pub source_ips: Vec<IpRange>,
    /// Whether a thing keeps a TLS ticket for its next connection.
    pub resumption: bool,
}

/// Addresses of one family, `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    pub first: IpAddr,
    pub last: IpAddr,
}

impl IpRange {
    /// `None` when the ends are of two families, or the first is above the last.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    #[must_use]
    pub fn count(self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (number(self.first)..=number(self.last)).map(move |address| match self.first {
            IpAddr::V4(_) => IpAddr::V4((address as u32).into()),
            IpAddr::V6(_) => IpAddr::V6(address.into()),
        })
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// The endpoint that a run starts for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmulatorPlan {
    pub link: LinkPlan,
    pub endpoint: EndpointConfig,
}

/// An endpoint of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePlan {
    /// Things are spread over them. Empty only where the account tells its endpoint.
    pub hosts: Vec<String>,
    /// Of MQTT; `None`: that of the account's endpoint, or [`RemotePlan::PORT`].
    pub port: Option<u16>,
    /// Of HTTPS with certificates.
    pub https_port: u16,
    /// Of all that is signed.
    pub api_port: u16,
    /// Name to verify in the server's certificate and to send as SNI; `None`: the thing's host.
    pub server_name: Option<String>,
    pub alpn: Option<String>,
    /// Path of a PEM file; `None`: the roots of Amazon Trust Services.
    pub ca: Option<String>,
    pub certificates: CertificatesPlan,
    /// Path of a PEM file: the certificate or public key of who signs files.
    pub signer: Option<String>,
    pub link: LinkPlan,
}

impl RemotePlan {
    /// MQTT over TLS.
    pub const PORT: u16 = 8883;
    /// HTTPS with certificates (PROTOCOL 10.3).
    pub const HTTPS_PORT: u16 = 8443;
    /// HTTPS and WebSockets with signatures (PROTOCOL 10.3).
    pub const API_PORT: u16 = 443;
}

/// Where the certificates and keys of the things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificatesPlan {
    /// Path templates: `{thing}`, `{index}`, or one shared file.
    Files { cert: String, key: String },
    /// One packed file; see [`dev_pki::bundle`]. `{slice}` is the number of a worker's slice, for a file each.
    Bundle(String),
    /// Named by the list of things.
    Listed,
    /// Nobody shows one: all things sign.
    None,
}

/// An account at AWS, or what stands in for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsPlan {
    /// `None`: what the environment or the profile says.
    pub region: Option<String>,
    pub profile: Option<String>,
    pub remote: RemotePlan,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FleetPlan {
    pub things: u64,
    /// Names, where no list gives them.
    pub thing_name: NameTemplate,
    pub list: Option<FleetList>,
    /// What things call themselves over MQTT; absent: by their names.
    pub client_id: Option<ThingTemplate>,
    pub first_index: u64,
    pub connect: ConnectPlan,
    /// What cohorts start from.
    pub session: SessionPlan,
}

impl FleetPlan {
    /// The name of the thing at `position`.
    ///
    /// # Errors
    /// When the template makes none.
    pub fn name_of(&self, position: u64) -> Result<ThingName, NameError> {
        match &self.list {
            Some(list) => Ok(list.things[position as usize].name.clone()),
            None => ThingName::new(&self.thing_name.name(self.first_index + position)),
        }
    }

    /// What the thing at `position` with this name calls itself over MQTT.
    #[must_use]
    pub fn client_id_of(&self, name: &ThingName, position: u64) -> Option<String> {
        self.client_id.as_ref().map(|template| template.text(name, self.first_index + position))
    }

    /// The last name of a template is its longest.
    ///
    /// # Errors
    /// When the template makes none.
    pub fn longest_name(&self) -> Result<ThingName, NameError> {
        match self.list.as_ref().and_then(|list| list.things.iter().max_by_key(|thing| thing.name.as_str().len())) {
            Some(thing) => Ok(thing.name.clone()),
            None => self.name_of(self.things.saturating_sub(1)),
        }
    }
}

/// The things of `things_from`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetList {
    pub path: String,
    pub things: Arc<[ListedThing]>,
}

impl FleetList {
    /// Whether the list has a column of certificates and one of keys.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.things.first().is_some_and(|thing| thing.files.is_some())
    }

    #[must_use]
    pub fn has_cohorts(&self) -> bool {
        self.things.first().is_some_and(|thing| thing.cohort.is_some())
    }

    /// The part of the fleet that is in this cohort.
    #[must_use]
    pub fn share_of(&self, cohort: &str) -> f64 {
        let members = self.things.iter().filter(|thing| thing.cohort.as_deref() == Some(cohort)).count();
        members as f64 / self.things.len() as f64
    }
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedThing {
    /// Line of the file, from 1.
    pub row: u64,
    pub name: ThingName,
    pub files: Option<ThingFiles>,
    pub cohort: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What happens to the fleet or the endpoint, `at` after the first connect arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPlan {
    pub at: Duration,
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum EventKind {
    /// Things lose their connections, stay away for a while, if only for no time, and come back by their policy.
    Disconnect { who: Affected, lasts: Duration },
    /// Things lose their connections and find no way to the endpoint until it is over.
    Outage { who: Affected, lasts: Duration },
    /// Things lose their connections and try again in the same moment.
    ReconnectStorm { who: Affected },
    /// The endpoint is stopped, and after that time started again with all that it knew.
    EndpointRestart { lasts: Duration },
    /// The endpoint stands still: it answers nothing, and nothing is lost.
    EndpointFreeze { lasts: Duration },
}

impl EventKind {
    /// Its word in a scenario.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// How long it lasts.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        match *self {
            Self::ReconnectStorm { .. } => Duration::ZERO,
            Self::Disconnect { lasts, .. }
            | Self::Outage { lasts, .. }
            | Self::EndpointRestart { lasts }
            | Self::EndpointFreeze { lasts } => lasts,
        }
    }

    /// The things it is for; `None` where it happens to the endpoint.
    #[must_use]
    pub fn who(&self) -> Option<&Affected> {
        match self {
            Self::Disconnect { who, .. } | Self::Outage { who, .. } | Self::ReconnectStorm { who } => Some(who),
            Self::EndpointRestart { .. } | Self::EndpointFreeze { .. } => None,
        }
    }
}

/// A part of the fleet, or of one cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Affected {
    pub share: f64,
    pub cohort: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectPlan {
    /// Of the whole fleet, or of the whole cohort, per second.
    pub rate_per_s: f64,
    pub arrival: ArrivalKind,
    /// Connects in progress at once, over all shards.
    pub in_progress: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CohortPlan {
    pub name: String,
    pub share: f64,
    pub workflow: Workflow,
    /// Whose jobs its things hear of and ask for; `None`: those without a namespace.
    pub namespace: Option<NamespaceId>,
    /// A key of [`Plan::behaviors`].
    pub behavior: String,
    /// Files that documents name must be signed by who is known to sign them.
    pub verify_signature: bool,
    /// `None`: its things arrive with those of the fleet.
    pub connect: Option<ConnectPlan>,
    pub session: SessionPlan,
}

/// How a thing speaks with the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Transport {
    /// MQTT 3.1.1 over mutual TLS.
    Mqtt,
    /// MQTT 5 over mutual TLS.
    Mqtt5,
    /// MQTT 3.1.1 over a WebSocket, whose upgrade is signed (Signature Version 4).
    MqttWs,
    /// HTTPS over mutual TLS.
    HttpsMtls,
    /// HTTPS, each request signed (Signature Version 4).
    HttpsSigv4,
}

impl Transport {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// There are no notifications: a thing has to ask.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::HttpsMtls | Self::HttpsSigv4)
    }

    /// Things sign with an access key, and show no certificate.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::MqttWs | Self::HttpsSigv4)
    }
}

/// What a session of a thing is like; `[fleet]` gives it, a cohort may override it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    pub transport: Transport,
    /// Whether a session ends with its connection; otherwise the endpoint keeps it while the thing is away.
    pub clean_session: bool,
    pub keep_alive: Duration,
    pub reconnect: Backoff,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
    pub retry: Backoff,
}

/// One job, or a series of jobs that differ in nothing but their ids and when they are created.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutPlan {
    /// As the scenario calls it: the id of its job, or the template of its jobs' ids.
    pub name: String,
    /// In the order of their creation; at least one.
    pub jobs: Vec<JobId>,
    /// From the creation of a job to that of the next.
    pub every: Duration,
    pub start: RolloutStart,
    pub delay: Duration,
    /// Of every job the same things.
    pub targets: RolloutTargets,
    /// CreateJob's own members.
    pub settings: JobSettings,
    /// Only things of this namespace see the jobs.
    pub namespace: Option<NamespaceId>,
    /// The job template that the jobs are made from, by the ARN that the local endpoint would give it.
    pub template: Option<TemplateUse>,
    pub document: JobDocument,
    /// A file that the things are to fetch first.
    pub artifact: Option<ArtifactPlan>,
    /// Instead of the cohort's behavior.
    pub behavior: Option<String>,
}

impl RolloutPlan {
    /// When job `n`, from 0, is to be created, counted from the start: never from the job before, so that nothing drifts.
    #[must_use]
    pub fn creation(&self, n: usize) -> Duration {
        self.delay + self.every * u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Executions a minute, where that is one rate.
    #[must_use]
    pub fn rate_per_minute(&self) -> Option<u32> {
        let rollout = &self.settings.config.rollout;
        rollout.maximum_per_minute.filter(|_| rollout.exponential.is_none())
    }
}

/// A file of a rollout, made from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPlan {
    pub bytes: u64,
    pub sign: bool,
    /// Bytes per second of each thing.
    pub bandwidth: Option<u64>,
    pub tamper: Option<Tamper>,
}

/// What is wrong, on purpose, with a file that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Tamper {
    /// A byte is another one.
    Content,
    /// A byte is missing.
    Length,
    /// Somebody else signed it.
    Key,
}

impl Tamper {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStart {
    /// Once every thing is connected.
    Connected,
    /// Counted from the first connect arrival.
    At(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub enum RolloutTargets {
    Share(f64),
    Cohort(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndPlan {
    pub when: EndWhen,
    /// The run never lasts longer than this.
    pub limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWhen {
    /// Every execution of every rollout is terminal; with jobs of others, once `expect` executions are.
    ExecutionsDone {
        expect: Option<u64>,
    },
    Duration(Duration),
    /// Nothing happened for this long, and all are connected.
    Idle(Duration),
}

impl Plan {
    /// The transports that its cohorts use, each once.
    #[must_use]
    pub fn transports(&self) -> Vec<Transport> {
        let is_used = |transport: &Transport| self.cohorts.iter().any(|cohort| cohort.session.transport == *transport);
        Transport::VARIANTS.iter().copied().filter(is_used).collect()
    }

    /// Whether the local endpoint is to be stopped and started again.
    #[must_use]
    pub fn restarts_endpoint(&self) -> bool {
        self.events.iter().any(|event| matches!(event.kind, EventKind::EndpointRestart { .. }))
    }
}
