//! The command line: one subcommand, one file.

mod account_gate;
mod aws;
mod capacity;
mod certs;
mod check;
mod ci_args;
mod compare;
mod demo;
mod forecast;
mod lead_args;
mod man;
mod merge;
mod nats_args;
mod report;
mod run;
mod scenario_args;
mod scenarios;
mod serve;
mod welcome;
#[cfg(feature = "nats")]
mod with_parent;
mod worker;

use crate::exit;
use crate::logging::LogLine;
use crate::run::{UiKind, use_colour};
use clap::builder::Resettable;
use clap::{Args, CommandFactory, FromArgMatches as _, Parser, Subcommand};
use host::{environment, stdio};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Fleet load-testing simulator for AWS IoT Jobs
#[derive(Parser)]
#[command(name = "fleetsim", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Args)]
struct Logging {
    /// More log output on stderr, -vv for even more; RUST_LOG selects by module
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: a few hundred things roll out a firmware job on the dashboard, in under a minute
    Demo(demo::DemoArgs),
    /// Drive a fleet through a scenario and write a results folder
    Run(run::RunArgs),
    /// Validate a scenario, and say whether this host and the account's quotas can carry it, and what it costs; opens no connection
    Check(check::CheckArgs),
    /// Run a scenario in virtual time, without a socket, and write a results folder like that of a run
    Forecast(forecast::ForecastArgs),
    /// Find the highest load that still meets the thresholds: the knee
    Capacity(capacity::CapacityArgs),
    /// Run the local AWS IoT Jobs endpoint on its own
    Serve(serve::ServeArgs),
    /// Print the summary of a results folder again, and reconcile it with the service ledger; --exit-code exits as the run did
    Report(report::ReportArgs),
    /// List, print and copy the shipped scenarios
    Scenarios(scenarios::ScenariosArgs),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages, one a command, into a folder
    Man(man::ManArgs),
    /// Create a CA and thing certificates; pack many certificates into one file, and unpack it
    Certs(certs::CertsArgs),
    /// Compare two sets of runs: which figures are worse, better or the same
    Compare(compare::CompareArgs),
    /// Merge the slices of a run into one results folder
    Merge(merge::MergeArgs),
    /// Drive one slice of a run that a leader (`run --slices N --over URL`) spreads over machines
    Worker(worker::WorkerArgs),
    /// Print the endpoint of an AWS account, provision a fleet in it, deprovision it
    Aws(aws::AwsArgs),
    /// A program that ends when its parent does
    #[cfg(feature = "nats")]
    #[command(hide = true)]
    WithParent(with_parent::WithParentArgs),
}

/// Parses the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> u8 {
    let parsed = without_empty_variables(Cli::command()).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // Who cannot be told has the exit code.
            let _ = error.print();
            return exit::USAGE;
        }
        // Help and version are no errors.
        Err(help) => return printed(stdio::finish(help.print())),
    };
    let Some(command) = cli.command else { return print(&welcome::text()) };
    let ui = match &command {
        Command::Demo(args) => args.ui.kind().ok(),
        Command::Run(args) => args.ui.kind().ok(),
        Command::Capacity(args) => args.ui.kind().ok(),
        _ => None,
    };
    let to_dashboard = matches!(ui, Some(UiKind::Tui { .. }));
    start_logging(&cli.logging, to_dashboard);
    forbid_core_dumps();
    match command {
        Command::Demo(args) => demo::demo_command(args),
        Command::Run(args) => run::run_command(args),
        Command::Check(args) => check::check_command(&args),
        Command::Forecast(args) => forecast::forecast_command(args),
        Command::Capacity(args) => capacity::capacity_command(args),
        Command::Serve(args) => serve::serve_command(args),
        Command::Report(args) => report::report_command(args),
        Command::Scenarios(args) => scenarios::scenarios_command(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fleetsim", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man(args) => man::man_command(&args),
        Command::Certs(args) => certs::certs_command(&args),
        Command::Compare(args) => compare::compare_command(args),
        Command::Merge(args) => merge::merge_command(args),
        Command::Worker(args) => worker::worker_command(args),
        #[cfg(feature = "nats")]
        Command::WithParent(args) => with_parent::with_parent_command(args),
        Command::Aws(args) => aws::aws_command(args),
    }
}

fn start_logging(logging: &Logging, to_dashboard: bool) {
    let level = match (logging.quiet, logging.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let said = environment::variable("RUST_LOG").and_then(|directives| directives.parse::<Targets>().ok());
    let filter = said.unwrap_or_else(|| Targets::new().with_default(level));
    let colour = use_colour(&std::io::stderr()) && !to_dashboard;
    let lines = tracing_subscriber::fmt::layer().with_writer(move || LogLine::new(colour)).with_ansi(colour);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// A core would hold the keys of the CA, of things and of the account. The hard limit stays: `prlimit` lifts the soft one where somebody
/// wants a core.
fn forbid_core_dumps() {
    if let Ok(hard) = rlimit::Resource::CORE.get_hard() {
        let _ = rlimit::Resource::CORE.set(0, hard);
    }
    // Where cores go to a program the limit may not count: then they hold no memory.
    let _ = std::fs::write("/proc/self/coredump_filter", "0");
}

/// Arguments whose variable is empty do as if it was not set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg }).mut_subcommands(without_empty_variables)
}

/// Prints what a command was asked for; the exit code says whether it got there.
fn print(text: &str) -> u8 {
    printed(stdio::print(text))
}

fn printed(written: std::io::Result<()>) -> u8 {
    match written {
        Ok(()) => exit::PASS,
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}

fn complain(message: impl std::fmt::Display) {
    stdio::say(&format!("fleetsim: {message}"));
}

fn usage(message: impl std::fmt::Display) -> u8 {
    complain(message);
    exit::USAGE
}

/// A duration that an option was given.
#[cfg(feature = "nats")]
fn wait_of(option: &str, text: &str) -> Result<std::time::Duration, String> {
    sim_units::text::duration(text).map_err(|why| format!("{option} {text}: {why}"))
}

#[cfg(not(feature = "nats"))]
fn without_nats(what: &str) -> u8 {
    usage(format_args!("{what} is not in this build of fleetsim: build it with the feature nats, which is on by default"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
