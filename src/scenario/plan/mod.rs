//! What a scenario means, with every default filled in, made of the leaf modules' own types.

mod cohorts;
mod end;
mod events;
mod fleet;
mod rollouts;
mod target;

pub use cohorts::{CohortPlan, ConnectPlan, SessionPlan, Transport};
pub use end::{EndPlan, EndWhen};
pub use events::{Affected, EventKind, EventPlan};
pub use fleet::{FleetList, FleetPlan, ListedThing, ThingFiles};
pub use rollouts::{ArtifactPlan, RolloutPlan, RolloutStart, RolloutTargets, Tamper};
pub use target::{AwsPlan, CertificatesPlan, EmulatorPlan, IpRange, LinkPlan, RemotePlan, TargetPlan};

use load_metrics::Threshold;
use std::collections::BTreeMap;
use strum::VariantArray;
use thing_agent::behavior::Behavior;
use thing_agent::telemetry::TelemetrySettings;

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
