//! `fleetsim run` and `fleetsim check`.

use super::scenario_args::ScenarioArgs;
use super::{complain, not_built, usage};
use crate::run::{RunOptions, UiKind, check_target, run};
use crate::{exit, preflight};
use clap::Args;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

/// Frames a second of the dashboard, where nobody says otherwise.
const FPS: u32 = 8;

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The results folder itself [default: results/<name>-<UTC stamp>]; must be empty or new
    #[arg(long, value_name = "DIR", env = "FLEETSIM_RUN_OUT")]
    out: Option<PathBuf>,
    /// How the run is shown
    #[arg(long, value_enum, default_value_t = UiChoice::Auto, env = "FLEETSIM_RUN_UI")]
    ui: UiChoice,
    /// Threads that drive things [default: the host's cores]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_SHARDS", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Frames a second of the dashboard, at most [default: 8]
    #[arg(long, value_name = "N", env = "FLEETSIM_RUN_FPS", value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: Option<u32>,
    /// Drive slice I of N (not built yet)
    #[arg(long, value_name = "I/N", hide = true)]
    shard: Option<String>,
    /// When all slices start (not built yet)
    #[arg(long, value_name = "RFC3339", hide = true)]
    start_at: Option<String>,
    /// Serve Prometheus metrics (not built yet)
    #[arg(long, value_name = "ADDR", hide = true)]
    metrics: Option<String>,
}

impl RunArgs {
    pub(super) fn ui_kind(&self) -> Result<UiKind, &'static str> {
        let tui = UiKind::Tui { fps: self.fps.unwrap_or(FPS) };
        match self.ui {
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
    let is_capable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    is_capable && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
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

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
}

pub(super) fn run_command(args: RunArgs) -> u8 {
    let unbuilt = [("--shard", &args.shard), ("--start-at", &args.start_at), ("--metrics", &args.metrics)];
    if let Some((flag, _)) = unbuilt.into_iter().find(|(_, value)| value.is_some()) {
        return not_built(&format!("run {flag}"));
    }
    let ui = match args.ui_kind() {
        Ok(ui) => ui,
        Err(message) => return usage(message),
    };
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    run(RunOptions { plan, out: args.out, ui, shards: args.shards.map(usize::from) })
}

pub(super) fn check_command(args: &CheckArgs) -> u8 {
    let plan = match args.scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    // A closed pipe (`| head`) is nobody's problem.
    let _ = writeln!(std::io::stdout(), "{}", plan.to_toml());
    match preflight::check(&crate::run::needs(&plan)) {
        Ok(facts) => {
            eprintln!("this host can carry it: {facts}");
            match check_target(&plan) {
                Ok(()) => exit::PASS,
                Err(faults) => {
                    complain(format_args!("failed to {faults}"));
                    exit::ERROR
                }
            }
        }
        Err(shortages) => {
            complain(preflight::describe(&shortages));
            exit::ERROR
        }
    }
}
