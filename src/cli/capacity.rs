//! `fleetsim capacity`.

use super::account_gate::GateArgs;
use super::run::UiArgs;
use super::scenario_args::{ScenarioArgs, resolve};
use super::usage;
use crate::capacity::{CapacityOptions, Timing, capacity};
use clap::Args;
use host::environment;
use sim_units::text;
use std::path::PathBuf;
use std::time::Duration;

const STEP_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CapacityArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The path that is varied, as --set takes it: a number (fleet.things), a rate (fleet.connect.rate, rollout.NAME.rate), or the `every` of
    /// things (cohort.NAME.poll.every, telemetry.every), whose load is things/every a second
    #[arg(long, value_name = "PATH")]
    vary: String,
    /// The first load, in the unit of the load (for an `every`: a second) [default: what the scenario says]
    #[arg(long, value_name = "N", value_parser = positive)]
    from: Option<f64>,
    /// The highest load
    #[arg(long, value_name = "N", value_parser = positive)]
    to: Option<f64>,
    /// Further trials at the load that is to be held: the majority of all there decides
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100))]
    confirm: u32,
    /// How long a load is measured, in whole seconds
    #[arg(long, value_name = "D", default_value = "60s", value_parser = step_seconds)]
    step: u64,
    /// How long it is offered before it is measured, in whole seconds
    #[arg(long, value_name = "D", default_value = "15s", value_parser = whole_seconds)]
    warm_up: u64,
    /// No step begins that would end later
    #[arg(long, value_name = "D", value_parser = text::duration)]
    max_time: Option<Duration>,
    /// The folder of the search [default: results/<name>-capacity-<UTC stamp>]; must be empty or new, but with --resume
    #[arg(long, value_name = "DIR", env = "FLEETSIM_CAPACITY_OUT")]
    out: Option<PathBuf>,
    /// Go on with the search in --out: its finished steps count
    #[arg(long)]
    resume: bool,
    /// Where the certificates of local endpoints are kept [env: FLEETSIM_CERTS] [default: as for run]
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    #[command(flatten)]
    pub(super) ui: UiArgs,
    /// Threads that drive things [default: the host's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    #[command(flatten)]
    gate: GateArgs,
}

const EXIT_CODES: &str = "Exit codes:
  0    a knee, or a lower bound of it, was found
  1    the search could not be carried out, or --max-time was reached before anything passed
  2    wrong usage; --resume for another search
  98   the generator is the limit before anything passed
  99   not even the lowest load passes
  104  the scenario is wrong, has no thresholds, or nothing at the path is a load
  105  interrupted; what is known was written";

pub(super) fn capacity_command(args: CapacityArgs) -> u8 {
    let ui = match args.ui.kind() {
        Ok(ui) => ui,
        Err(message) => return usage(message),
    };
    let found = args.scenario.source().and_then(|source| Ok((resolve(&source)?, source)));
    let (plan, source) = match found {
        Ok(found) => found,
        Err(code) => return code,
    };
    // A search with rollouts is refused before anybody is asked.
    if let (true, Err(code)) = (plan.rollouts.is_empty(), args.gate.pass(&plan, 1)) {
        return code;
    }
    let certs = args.certs.or_else(|| environment::variable("FLEETSIM_CERTS").map(PathBuf::from));
    capacity(CapacityOptions {
        source,
        plan,
        vary: args.vary,
        from: args.from,
        to: args.to,
        confirm: args.confirm,
        timing: Timing { step: args.step, warm_up: args.warm_up },
        max_time: args.max_time,
        out: args.out,
        resume: args.resume,
        certs,
        ui,
        shards: args.shards.map(usize::from),
    })
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.replace('_', "").parse().map_err(|_| "it must be a number, as in 45.5".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("it must be above 0".into()) }
}

pub(super) fn whole_seconds(text: &str) -> Result<u64, String> {
    let duration = text::duration(text)?;
    if duration.subsec_nanos() == 0 && duration <= STEP_MAX {
        Ok(duration.as_secs())
    } else {
        Err(format!("it must be whole seconds, {} at most", text::duration_text(STEP_MAX)))
    }
}

fn step_seconds(text: &str) -> Result<u64, String> {
    let seconds = whole_seconds(text)?;
    if seconds >= 1 { Ok(seconds) } else { Err("it must be 1s at least".into()) }
}
