//! `fleetsim check`: the preflight of a plan.

use super::scenario_args::ScenarioArgs;
use super::{complain, print, usage};
use crate::billing::{AWS_PRICES, Prices};
use crate::check::{CalibrateError, Report, Subject, calibrate};
use crate::forecast::demand;
use crate::roster::Roster;
use crate::run::{check_target, use_colour};
use crate::scenario::plan::{Plan, TargetPlan};
use crate::slice::Slice;
use crate::workload::needs;
use crate::{exit, preflight};
use clap::Args;
use fleet_forecast::Demand;
use host::stdio::{read_to_string, say};
use iot_endpoint::DevicePolicy;
use iot_endpoint::quotas::{QuotaSheet, QuotasChoice};
use sim_units::text::duration_text;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    scenario: Option<ScenarioArgs>,
    /// The account's quotas: none, aws (the defaults of an account), or a TOML file like that of `fleetsim serve --print-quotas` [default:
    /// the file that target.emulator.quotas names, else aws]
    #[arg(long, value_name = "none|aws|FILE")]
    quotas: Option<String>,
    /// Count with the prices of this file, like that of --print-prices
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Exit with 99 where a quota is exceeded, or the policy denies something that is needed
    #[arg(long)]
    strict: bool,
    /// Measure this machine with a small run over loopback, and say how many like it the scenario needs; takes some ten seconds
    #[arg(long)]
    calibrate: bool,
    /// One JSON object
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// The quotas as CSV, a row each
    #[arg(long)]
    csv: bool,
    /// Print the scenario with every default filled in, as a scenario, and exit
    #[arg(long, conflicts_with_all = ["quotas", "prices", "strict", "calibrate", "json", "csv"])]
    print_scenario: bool,
    /// Print AWS's prices as a TOML file for --prices, to be changed, and exit
    #[arg(long, exclusive = true)]
    print_prices: bool,
}

pub(super) fn check_command(args: &CheckArgs) -> u8 {
    if args.print_prices {
        return print(AWS_PRICES);
    }
    let Some(scenario) = &args.scenario else {
        return usage("SCENARIO is missing: a TOML file, or the name of a shipped scenario");
    };
    let plan = match scenario.load() {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    if args.print_scenario {
        return print(&format!("{}\n", plan.to_toml()));
    }
    args.report(&plan).unwrap_or_else(|code| code)
}

impl CheckArgs {
    fn report(&self, plan: &Plan) -> Result<u8, u8> {
        let choice = self.quotas_choice(plan);
        let quotas = self.load_quotas(&choice)?;
        let prices = self.load_prices()?;
        let policy = load_policy(plan)?;
        let roster = Roster::new(plan).map_err(|error| {
            complain(format_args!("failed to name a thing: {error}"));
            exit::ERROR
        })?;
        let (calibration, refused) = match self.calibrate.then(calibrate) {
            None => (None, None),
            Some(Ok(calibration)) => (Some(calibration), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let subject = Subject {
            plan,
            roster: &roster,
            need: needs(plan, Slice::WHOLE),
            host: preflight::facts(),
            target_fault: check_target(plan).err(),
            policy: &policy,
            quotas: &quotas,
            quotas_source: choice.as_str().to_owned(),
            prices: &prices,
            calibration,
        };
        let report = Report::new(&subject, &count_demand(plan, &quotas)?);
        Ok(self.show(&report, refused.as_ref()))
    }

    fn show(&self, report: &Report, refused: Option<&CalibrateError>) -> u8 {
        let text = match (self.json, self.csv) {
            (true, _) => report.to_json() + "\n",
            (_, true) => report.to_csv(),
            _ => report.to_text(),
        };
        let code = print(&text);
        if code != exit::PASS {
            return code;
        }
        if !report.host.shortages.is_empty() {
            complain(preflight::describe(&report.host.shortages));
        }
        if let Some(fault) = &report.target_fault {
            complain(format_args!("failed to {fault}"));
        }
        if let Some(why) = refused {
            complain(format_args!("--calibrate: {why}"));
        }
        exit::first(&[report.exit_code(self.strict), refused.map_or(exit::PASS, CalibrateError::exit_code)])
    }

    /// An emulator with a file of its own plays an account with those quotas.
    fn quotas_choice(&self, plan: &Plan) -> QuotasChoice {
        match (self.quotas.as_deref(), &plan.target) {
            (Some("none"), _) => QuotasChoice::None,
            (Some("aws"), _) => QuotasChoice::Aws,
            (Some("-"), _) => QuotasChoice::File("/dev/stdin".into()),
            (Some(path), _) => QuotasChoice::File(path.into()),
            (None, TargetPlan::Emulator(emulator)) if matches!(emulator.endpoint.quotas, QuotasChoice::File(_)) => {
                emulator.endpoint.quotas.clone()
            }
            (None, _) => QuotasChoice::Aws,
        }
    }

    fn load_quotas(&self, choice: &QuotasChoice) -> Result<QuotaSheet, u8> {
        choice.load_sheet().map_err(|error| usage(format_args!("--quotas: {}", error.render(use_colour(&std::io::stderr())))))
    }

    fn load_prices(&self) -> Result<Prices, u8> {
        let Some(path) = &self.prices else { return Ok(Prices::aws()) };
        let text = read_to_string(path).map_err(|error| {
            let path = path.display();
            usage(format_args!("--prices: failed to read {path}: {error}; `fleetsim check --print-prices` prints such a file"))
        })?;
        Prices::load(&path.display().to_string(), &text).map_err(|problems| {
            say(&problems.render(use_colour(&std::io::stderr())));
            exit::USAGE
        })
    }
}

/// The policy that the things of a local endpoint will have.
fn load_policy(plan: &Plan) -> Result<DevicePolicy, u8> {
    let file = match &plan.target {
        TargetPlan::Emulator(emulator) => emulator.endpoint.policy.as_deref(),
        TargetPlan::Mqtt(_) | TargetPlan::Aws(_) => None,
    };
    DevicePolicy::load(file).map_err(|error| {
        complain(format_args!("target.emulator.policy: failed to {error}"));
        exit::SCENARIO
    })
}

/// What the plan asks of its account, counted in virtual time; whoever waits is told how far that is.
pub(super) fn count_demand(plan: &Plan, quotas: &QuotaSheet) -> Result<Demand, u8> {
    let progress = |at: Duration| say(&format!("counting quota use: {} of virtual time", duration_text(at)));
    demand(plan, &quotas.quotas, progress).map_err(|error| {
        complain(format_args!("failed to {error}"));
        exit::ERROR
    })
}
