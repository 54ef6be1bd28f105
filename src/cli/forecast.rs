//! `fleetsim forecast`.

use super::scenario_args::ScenarioArgs;
use crate::forecast::{ForecastOptions, NetworkChoice, Output, forecast};
use crate::run::use_colour;
use clap::Args;
use sim_units::distribution::Distribution;
use sim_units::text::distribution;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ForecastArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The results folder itself [default: results/<name>-forecast-<UTC stamp>]; must be empty or new
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Answers take as long as those that this run has measured
    #[arg(long, value_name = "RUN", conflicts_with = "round_trip")]
    latency_from: Option<PathBuf>,
    /// How long a message to the endpoint and its answer are under way, as "20ms" or "lognormal(20ms, 0.5)" [default: 1ms to the
    /// local endpoint, 40ms to another one]
    #[arg(long, value_name = "TIME", value_parser = distribution)]
    round_trip: Option<Distribution>,
    /// Write a row for each execution even of a fleet of more than 100,000 things
    #[arg(long)]
    executions: bool,
    /// Print the manifest as one JSON object instead of the summary
    #[arg(long)]
    json: bool,
}

pub(super) fn forecast_command(args: ForecastArgs) -> u8 {
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let network = match (args.latency_from, args.round_trip) {
        (Some(run), _) => NetworkChoice::Run(run),
        (None, Some(law)) => NetworkChoice::RoundTrip(law),
        (None, None) => NetworkChoice::Default,
    };
    let output = if args.json { Output::Json } else { Output::Text { colour: use_colour(&std::io::stdout()) } };
    forecast(ForecastOptions { plan, network, out: args.out, executions: args.executions, output })
}
