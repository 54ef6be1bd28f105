//! How long messages are under way: as the scenario's target suggests, as somebody says, or as a run has measured.

use crate::preflight;
use crate::report::{self, ReportError};
use crate::scenario::plan::{Plan, TargetPlan};
use fleet_forecast::{Leg, Network};
use load_metrics::Operation;
use sim_units::distribution::Distribution;
use sim_units::text::distribution_text;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// To an endpoint on this host, and to one in a region (inferred).
const ROUND_TRIP_LOCAL: Duration = Duration::from_millis(1);
const ROUND_TRIP_REMOTE: Duration = Duration::from_millis(40);
/// What the cryptography of a full handshake takes both ends together (measured: 450 things that connect at once to the endpoint of the
/// same host are there after 360 ms, with two processors).
const HANDSHAKE: Duration = Duration::from_micros(1_600);
/// Quantiles that are taken of a measured time.
const QUANTILES: usize = 1_001;

/// Every leg with the operation that measures it.
const MEASURED: [(Leg, Operation); 10] = [
    (Leg::Tcp, Operation::ConnectTcp),
    (Leg::Tls, Operation::ConnectTls),
    (Leg::Mqtt, Operation::ConnectMqtt),
    (Leg::Subscribe, Operation::Subscribe),
    (Leg::GetPending, Operation::GetPending),
    (Leg::StartNext, Operation::StartNext),
    (Leg::Describe, Operation::Describe),
    (Leg::Update, Operation::Update),
    (Leg::Notification, Operation::NotifyNext),
    (Leg::Puback, Operation::Puback),
];

/// Where times come from.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkChoice {
    /// What the target suggests.
    Default,
    /// A round trip.
    RoundTrip(Distribution),
    /// The histograms of a results folder.
    Run(PathBuf),
}

/// Times that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("take answer times from {}: it has measured none; name the results folder of a run with answered requests", .0.display())]
    Nothing(PathBuf),
}

impl NetworkChoice {
    pub(super) fn network(&self, plan: &Plan) -> Result<Network, NetworkError> {
        let of_round_trip = |law| {
            let network = Network::of_round_trip(law, HANDSHAKE);
            match processors(plan) {
                Some(processors) => network.with_processors(processors),
                None => network,
            }
        };
        match self {
            Self::Default => Ok(of_round_trip(default_round_trip(plan))),
            Self::RoundTrip(law) => Ok(of_round_trip(*law)),
            Self::Run(dir) => measured(of_round_trip(default_round_trip(plan)), dir),
        }
    }

    /// What was assumed.
    pub(super) fn in_words(&self, plan: &Plan) -> String {
        let shared =
            processors(plan).map_or_else(String::new, |cores| format!(", and TLS handshakes share the {cores} cores of this host"));
        let round_trip = |law: &Distribution| format!("a round trip to the endpoint takes {}{shared}", distribution_text(law));
        match self {
            Self::Default => format!("{} (--round-trip says otherwise)", round_trip(&default_round_trip(plan))),
            Self::RoundTrip(law) => round_trip(law),
            Self::Run(dir) => format!(
                "answers take as long as those of {}, whatever the scenario says of the endpoint's latency and server",
                dir.display()
            ),
        }
    }
}

fn default_round_trip(plan: &Plan) -> Distribution {
    Distribution::Constant(match plan.target {
        TargetPlan::Emulator(_) => ROUND_TRIP_LOCAL,
        TargetPlan::Mqtt(_) | TargetPlan::Aws(_) => ROUND_TRIP_REMOTE,
    })
}

/// Those that both ends of a connection share; `None` where they are on different hosts.
fn processors(plan: &Plan) -> Option<u32> {
    let is_local = matches!(plan.target, TargetPlan::Emulator(_));
    is_local.then(|| u32::try_from(preflight::facts().cores).unwrap_or(u32::MAX))
}

fn measured(mut network: Network, dir: &Path) -> Result<Network, NetworkError> {
    let times = report::service_times(dir)?;
    let mut is_empty = true;
    for (leg, operation) in MEASURED {
        if let Some(of_operation) = times.get(&operation) {
            is_empty = false;
            let quantile = |n: usize| of_operation.at((n as f64 + 0.5) / QUANTILES as f64);
            network.measure(leg, (0..QUANTILES).map(quantile).collect::<Arc<[Duration]>>());
        }
    }
    if is_empty { Err(NetworkError::Nothing(dir.to_owned())) } else { Ok(network) }
}
