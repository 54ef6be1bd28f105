//! `fleetsim forecast`: the scenario in virtual time. Its results folder is like that of a run.

mod build;
mod course;
mod network;
mod observe;
mod totals;

pub use network::NetworkChoice;

use crate::billing::BilledUnits;
use crate::exit;
use crate::preflight;
use crate::report::{self, ForecastTotals, Mode, ReportError, ResultsWriter, RolloutTotals};
use crate::results_folder::{self, RunsOn};
use crate::roster::Roster;
use crate::scenario::plan::{EndWhen, Plan};
use crate::stop::StopFlag;
use crate::timestamp::rfc3339;
use crate::verdict::{End, Evidence, Judgement, judge};
use course::{Course, Ended};
use fleet_forecast::{CreateJobError, Demand, Enforcement, Progress, Simulation};
use host::stdio;
use iot_endpoint::quotas::QuotasError;
use iot_jobs::NameError;
use jobs_engine::quotas::Quotas;
use load_metrics::{EventRow, Snapshot};
use network::NetworkError;
use observe::NullObserver;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Things from which on the rows of single executions are written only where somebody asks for them.
const EXECUTIONS_UNASKED_MAX: u64 = 100_000;
/// How often somebody who waits is told how far it is.
const TOLD: Duration = Duration::from_secs(1);

/// What `fleetsim forecast` was asked for.
pub struct ForecastOptions {
    pub plan: Plan,
    pub network: NetworkChoice,
    /// The results folder; default `results/<name>-forecast-<UTC stamp>`.
    pub out: Option<PathBuf>,
    /// Whether `executions.csv` is written, however large the fleet is.
    pub executions: bool,
    pub output: Output,
}

/// What stdout is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The summary, in colour where that is wanted.
    Text { colour: bool },
    /// One object: the manifest.
    Json,
}

/// A forecast that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("create job {0}")]
    CreateJob(#[from] CreateJobError),
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    Groups(String),
    #[error("{0}")]
    Quotas(#[from] QuotasError),
    #[error("{0}")]
    Network(#[from] NetworkError),
    #[error("listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("{0}")]
    Failed(String),
    #[error(
        "forecast executions that others create: end.expect = {0} waits for jobs that are not in the scenario; put them in as [[rollout]], \
         or end after a duration"
    )]
    JobsOfOthers(u64),
}

/// What a plan asks of its account, whose quotas are `quotas`. Where the plan's own endpoint has just these, what is over them is refused,
/// and asked for again; otherwise everything is let through, and what would be refused is counted. `progress` is told the virtual time
/// every now and then. Of jobs that others create nothing is known, and nothing counted.
///
/// # Errors
/// When there is nothing to simulate.
pub fn demand(plan: &Plan, quotas: &Quotas, mut progress: impl FnMut(Duration)) -> Result<Demand, ForecastError> {
    let roster = Roster::new(plan)?;
    let network = NetworkChoice::Default.network(plan)?;
    let (own, enforcement) = build::quotas(plan)?;
    let enforcement = if own == *quotas { enforcement } else { Enforcement::Count };
    let settings = build::uncapped(build::settings(plan, &roster, network, quotas.clone(), enforcement)?);
    let origin = settings.origin.mono;
    let mut simulation = Simulation::new(settings, NullObserver);
    let mut told = Instant::now();
    let mut at = origin;
    while simulation.run_until(at)? == Progress::Running {
        at += Duration::from_secs(1);
        if told.elapsed() >= TOLD {
            told = Instant::now();
            progress(at.since(origin));
        }
    }
    simulation.close();
    Ok(simulation.demand().clone())
}

/// Makes the forecast; returns the exit code.
#[must_use]
pub fn forecast(options: ForecastOptions) -> u8 {
    match carry_out(options) {
        Ok(code) => code,
        Err(error) => {
            stdio::say(&format!("fleetsim: failed to {error}"));
            match error {
                ForecastError::Report(ReportError::NotEmpty { .. }) => exit::USAGE,
                ForecastError::JobsOfOthers(_) => exit::SCENARIO,
                _ => exit::ERROR,
            }
        }
    }
}

fn carry_out(options: ForecastOptions) -> Result<u8, ForecastError> {
    let ForecastOptions { plan, network, out, executions, output } = options;
    let roster = Roster::new(&plan)?;
    let stop = StopFlag::listen().map_err(ForecastError::Signals)?;
    let mut told = Instant::now();
    let each = |snapshot: &Snapshot| {
        if told.elapsed() >= TOLD {
            told = Instant::now();
            stdio::say(&report::plain::line(snapshot));
        }
        stop.is_set()
    };
    let Made { writer, code, failure } = make(&plan, &roster, &network, out.as_deref(), executions, each)?;
    if out.is_none() {
        results_folder::point_latest(writer.dir());
    }
    if let Some(failure) = failure {
        stdio::say(&format!("fleetsim: failed to {failure}"));
    }
    let text = match output {
        Output::Text { colour } => report::summary(writer.manifest(), writer.dir(), colour),
        Output::Json => report::json::summary(writer.manifest()),
    };
    match stdio::print(&format!("{text}\n")) {
        Ok(()) => Ok(code),
        Err(error) => {
            stdio::say(&format!("fleetsim: failed to {error}"));
            Ok(exit::ERROR)
        }
    }
}

/// The forecast of a run that is about to be driven: its jobs, as the folder `dir` shows them in full.
///
/// # Errors
/// When it cannot be made.
pub fn predict(plan: &Plan, roster: &Roster, dir: &Path) -> Result<Vec<RolloutTotals>, ForecastError> {
    let Made { writer, failure, .. } = make(plan, roster, &NetworkChoice::Default, Some(dir), false, |_| false)?;
    match failure {
        Some(why) => Err(ForecastError::Failed(why)),
        None => Ok(writer.manifest().totals.rollouts.clone()),
    }
}

/// A forecast that is written.
struct Made {
    writer: ResultsWriter,
    code: u8,
    failure: Option<String>,
}

/// `each` hears of every step, and says whether it is to be the last but one.
fn make(
    plan: &Plan,
    roster: &Roster,
    network: &NetworkChoice,
    out: Option<&Path>,
    executions: bool,
    each: impl FnMut(&Snapshot) -> bool,
) -> Result<Made, ForecastError> {
    if let EndWhen::ExecutionsDone { expect: Some(expect) } = plan.end.when {
        return Err(ForecastError::JobsOfOthers(expect));
    }
    let (quotas, enforcement) = build::quotas(plan)?;
    let settings = build::settings(plan, roster, network.network(plan)?, quotas.clone(), enforcement)?;
    let on = RunsOn { mode: Mode::Forecast, host: preflight::facts(), shards: 1, shard: None };
    let mut writer = results_folder::create(out, plan, roster, &on)?;
    let writes_executions = executions || plan.fleet.things <= EXECUTIONS_UNASKED_MAX;
    let mut course = Course::new(plan, roster, settings);
    let ended = simulate(&mut course, &mut writer, writes_executions, each);
    let (code, failure) = conclude(plan, &mut writer, &course, ended, |demand| {
        totals::totals(demand, &quotas, enforcement, network.in_words(plan), writes_executions)
    });
    Ok(Made { writer, code, failure })
}

/// Second by second at first, and then minute by minute.
fn simulate(
    course: &mut Course,
    writer: &mut ResultsWriter,
    writes_executions: bool,
    mut each: impl FnMut(&Snapshot) -> bool,
) -> Result<Ended, ForecastError> {
    let mut summed_up = Instant::now();
    loop {
        let (snapshot, ended) = course.next()?;
        writer.append(&snapshot, writes_executions)?;
        if ended.is_some() || summed_up.elapsed() >= TOLD {
            summed_up = Instant::now();
            writer.sum_up(&snapshot)?;
        }
        if let Some(ended) = ended {
            return Ok(ended);
        }
        if each(&snapshot) {
            course.interrupt();
        }
    }
}

fn conclude(
    plan: &Plan,
    writer: &mut ResultsWriter,
    course: &Course,
    ended: Result<Ended, ForecastError>,
    totals: impl FnOnce(&Demand) -> ForecastTotals,
) -> (u8, Option<String>) {
    let last = course.last();
    let (end, uncreated, mut failure) = match ended {
        Ok(Ended::Complete { uncreated }) => (End::Complete, uncreated, None),
        Ok(Ended::Interrupted) => (End::Interrupted, Vec::new(), None),
        Ok(Ended::Limit { uncreated }) => {
            let open = last.map_or(0, |last| last.executions.open());
            let away = last.map_or(0, |last| last.events.iter().map(EventRow::away).sum());
            (End::Limit { limit: plan.end.limit, open, away }, uncreated, None)
        }
        Err(error) => (End::Failed(error.to_string()), Vec::new(), Some(error.to_string())),
    };
    let Judgement { verdict, exit_code, findings, checks, .. } = judge(&Evidence {
        end,
        thresholds_hold: last.is_none_or(|last| last.thresholds.iter().all(|threshold| threshold.holds() == Some(true))),
        findings: writer.findings(),
        remarks: &[],
        uncreated: &uncreated,
        reconciliation: Ok(None),
    });
    writer.set_forecast(totals(course.demand()), BilledUnits::from(&course.demand().billed));
    writer.set_checks(checks);
    match writer.finish(verdict, exit_code, rfc3339(), findings, None) {
        Ok(()) => (exit_code, failure),
        Err(error) => {
            failure.get_or_insert(error.to_string());
            (exit::ERROR, failure)
        }
    }
}
