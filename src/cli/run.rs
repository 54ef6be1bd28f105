//! `fleetsim run`.

use super::account_gate::GateArgs;
use super::ci_args::CiArgs;
use super::lead_args::{LeadArgs, lead_command};
use super::scenario_args::ScenarioArgs;
use super::usage;
use crate::exposition::parse_address;
use crate::run::{
    JobsAfterwards, Outlets, RunOptions, ShardOptions, ShardStart, StartAt, UiKind, is_capable_terminal, run, run_series,
};
use crate::slice::Slice;
use clap::Args;
use host::environment;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Frames a second of the dashboard, where nobody says otherwise.
const FPS: u32 = 8;

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    pub(super) ui: UiArgs,
    /// Threads that drive things [default: the host's cores]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_SHARDS", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Run it K times, one after the other, into 1 to K of the results folder: how much runs vary, for `fleetsim compare`
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "shard")]
    repeat: Option<u32>,
    /// Drive slice I of N alone, from 0/N on: every N-th thing, beside other processes with the same scenario (docs/SHARDS.md)
    #[arg(long, value_name = "I/N", requires = "start_at")]
    shard: Option<Slice>,
    /// When all slices start: the same future instant for each of them, as in 2026-11-29T18:30:00Z
    #[arg(long, value_name = "RFC3339", requires = "shard")]
    start_at: Option<StartAt>,
    /// Serve Prometheus metrics at http://ADDR/metrics while the run goes on; :PORT is this machine alone, port 0 any that is free
    #[arg(long, value_name = "ADDR", env = "FLEETSIM_RUN_METRICS", value_parser = parse_address)]
    metrics: Option<SocketAddr>,
    /// Leave jobs in an AWS account when the run is over, and the thing groups made for them
    #[arg(long)]
    keep_jobs: bool,
    #[command(flatten)]
    lead: LeadArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    ci: CiArgs,
}

/// Where a run leaves things.
#[derive(Args)]
pub(super) struct PlaceArgs {
    /// The results folder itself, new or empty [default: results/<name>-<UTC stamp>, and where that cannot be written in the user's data
    /// folder]
    #[arg(long, value_name = "DIR", env = "FLEETSIM_RUN_OUT")]
    out: Option<PathBuf>,
    /// Where the certificates of local endpoints are kept, a folder a scenario [env: FLEETSIM_CERTS] [default: certs/, and where that
    /// cannot be written the user's data folder]
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
}

impl PlaceArgs {
    /// Those for results and for certificates, where somebody says so.
    pub(super) fn folders(self) -> (Option<PathBuf>, Option<PathBuf>) {
        (self.out, self.certs.or_else(|| environment::variable("FLEETSIM_CERTS").map(PathBuf::from)))
    }
}

/// How a command that runs things is shown.
#[derive(Args)]
pub(super) struct UiArgs {
    /// How the run is shown
    #[arg(long, value_enum, default_value_t = UiChoice::Auto, env = "FLEETSIM_RUN_UI")]
    ui: UiChoice,
    /// Frames a second of the dashboard, at most [default: 8]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_FPS", value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: Option<u32>,
}

impl UiArgs {
    pub(super) fn kind(&self) -> Result<UiKind, &'static str> {
        let tui = UiKind::Tui { fps: self.fps.unwrap_or(FPS) };
        match self.ui {
            UiChoice::Auto if is_automation() => Ok(UiKind::Plain),
            UiChoice::Auto | UiChoice::Tui if can_show_dashboard() => Ok(tui),
            UiChoice::Tui => Err("--ui tui needs a terminal on stdin and stdout, and TERM other than dumb; --ui plain needs none"),
            UiChoice::Plain | UiChoice::Json | UiChoice::None if self.fps.is_some() => Err("--fps is for the dashboard: --ui tui"),
            UiChoice::Auto | UiChoice::Plain => Ok(UiKind::Plain),
            UiChoice::Json => Ok(UiKind::Json),
            UiChoice::None => Ok(UiKind::None),
        }
    }
}

fn can_show_dashboard() -> bool {
    is_capable_terminal() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Where continuous integration gives its jobs a terminal, nobody looks at it.
fn is_automation() -> bool {
    environment::variable("CI").is_some_and(|value| !matches!(&*value, "false" | "0"))
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum UiChoice {
    /// The dashboard on a terminal, plain otherwise
    Auto,
    /// The dashboard
    Tui,
    /// One line a second on stderr, the summary on stdout
    Plain,
    /// One JSON object a second on stdout
    Json,
    /// Nothing but the exit code and the files
    None,
}

pub(super) fn run_command(args: RunArgs) -> u8 {
    let ui = match args.ui.kind() {
        Ok(ui) => ui,
        Err(message) => return usage(message),
    };
    let ci = match args.ci.of_run(ui == UiKind::Json) {
        Ok(ci) => ci,
        Err(message) => return usage(message),
    };
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    if args.place.certs.is_some() && plan.target.remote().is_some() {
        return usage("--certs is for the certificates that a run makes for its own endpoint; target.tls names those for others");
    }
    let shard = args.shard.zip(args.start_at).map(|(slice, start_at)| ShardOptions { slice, start: ShardStart::At(start_at) });
    if let Some(Err(message)) = shard.as_ref().map(|shard| shard.check(&plan)) {
        return usage(message);
    }
    let (out, certs) = args.place.folders();
    if args.repeat.is_some() && ci.is_wanted() {
        return usage("--summary and --junit are of one run: `fleetsim report RUN` makes them of each that --repeat leaves");
    }
    if let Err(code) = args.gate.pass(&plan, args.repeat.unwrap_or(1)) {
        return code;
    }
    let jobs_afterwards = if args.keep_jobs { JobsAfterwards::Kept } else { JobsAfterwards::Deleted };
    let shards = args.shards.map(usize::from);
    let outlets = Outlets { metrics: args.metrics, ci };
    let is_led = match args.lead.is_wanted() {
        Ok(is_led) => is_led,
        Err(message) => return usage(message),
    };
    let options = RunOptions { plan, out, certs, ui, shards, title: None, shard, led: None, step: None, jobs_afterwards, outlets };
    match args.repeat {
        _ if is_led => lead_command(args.lead, options),
        Some(repeat) => run_series(options, repeat),
        None => run(options),
    }
}
