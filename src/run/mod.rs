//! `fleetsim run`, and a run that is one step of a search: builds everything from the plan, conducts it, and says how it went. Wiring and
//! life cycle, nothing else.

mod assembly;
mod child;
mod cohorts;
mod conductor;
pub(crate) mod denials;
mod fleet;
pub(crate) mod hosting;
pub(crate) mod jobs;
pub(crate) mod led;
mod measure;
mod observe;
pub(crate) mod prediction;
mod process;
mod progress;
pub(crate) mod run_info;
mod series;
mod shard;
mod shared_endpoint;
mod sources;
mod stagger;
mod targets;
pub(crate) mod ui;
mod wait;

pub(crate) use conductor::LOST_AFTER;
pub use fleet::{CohortSettings, Fleet, FleetError, FleetSettings, PlannedThing, ShardInterval};
pub use jobs::cleanup::JobsAfterwards;
pub use measure::{LoadBegins, MeasurePlan, Measured, MeasuredOperation, MeasuredProcess};
pub use series::run_series;
pub(crate) use shard::late_s;
pub use shard::{ShardOptions, ShardStart, StartAt};
pub use shared_endpoint::SharedEndpoint;
pub(crate) use targets::aws::needs_account;
pub use targets::check as check_target;
/// The words by which refused connects and subscriptions are counted.
pub use thing_transport::error::refusal;
pub use ui::UiKind;
pub(crate) use ui::{is_capable_terminal, use_colour};

use crate::exit;
use crate::exposition::{Exposition, ExpositionError, RunLabels};
use crate::preflight::{self, HostFacts};
use crate::report::{self, CiFiles, Manifest, Mode, ReconciliationTotals, ReportError, ResultsWriter};
use crate::results_folder::{self, RunsOn};
use crate::roster::Roster;
use crate::scenario::plan::{Plan, TargetPlan};
use crate::slice::Slice;
use crate::stop::StopRequests;
use crate::timestamp::rfc3339;
use crate::verdict::{End, Evidence, Judgement, judge};
use crate::workload::events;
use crate::workload::jobs::{ScheduleError, check_schedules};
use crate::workload::needs;
use crate::workload::starts::starts;
use conductor::{ConductError, Conductor, Ended, Ending};
use host::clock;
use iot_jobs::NameError;
use iot_jobs::instant::Mono;
use jobs::run_id::{RunIdError, run_id, with_run_id};
use led::{Following, Led, LedError};
use load_metrics::{Collector, CollectorSettings, EventRow};
use measure::Measuring;
use prediction::Prediction;
use run_info::run_info;
use shard::{TooLate, preparing_took};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use targets::{Driver, Folders, TargetError};
use thing_transport::credentials::Credentials;
use tokio::runtime::Runtime;
use ui::{Ui, say};

/// Between the last preparation and the first connect arrival.
const START_LEAD: Duration = Duration::from_millis(200);

/// What `fleetsim run` was asked for.
pub struct RunOptions {
    pub plan: Plan,
    /// The results folder; default `results/<name>-<UTC stamp>`.
    pub out: Option<PathBuf>,
    /// Where the certificates of local endpoints are kept; default: `certs/`, and where that cannot be written the user's data folder. For
    /// other endpoints: where the things of a led slice have theirs from, in place of what the scenario says.
    pub certs: Option<PathBuf>,
    pub ui: UiKind,
    /// Default: the host's cores.
    pub shards: Option<usize>,
    /// Of a run that is one of several: which one, and how they stand, for the dashboard.
    pub title: Option<String>,
    /// Where other processes drive the other things.
    pub shard: Option<ShardOptions>,
    /// Whoever leads all of them.
    pub led: Option<Led>,
    /// Of a run that is one step of a search.
    pub step: Option<MeasurePlan>,
    /// What becomes of jobs in an account.
    pub jobs_afterwards: JobsAfterwards,
    pub outlets: Outlets,
}

/// Who else is told of a run.
#[derive(Clone, Debug, Default)]
pub struct Outlets {
    /// Where its metrics are served.
    pub metrics: Option<SocketAddr>,
    pub ci: CiFiles,
}

/// How a step of a search went.
pub struct StepReport {
    pub manifest: Manifest,
    /// `None` where the run could not be carried out.
    pub measured: Option<Measured>,
    /// What failed, in words.
    pub failures: Vec<String>,
}

/// What a run is made from.
struct Setup {
    plan: Plan,
    roster: Roster,
    host: HostFacts,
    shards: usize,
    certs: Option<PathBuf>,
    title: Option<String>,
    shard: Option<ShardOptions>,
    step: Option<MeasurePlan>,
    jobs_afterwards: JobsAfterwards,
    exposition: Option<Exposition>,
}

impl Setup {
    /// What this process drives of the fleet.
    fn slice(&self) -> Slice {
        self.shard.as_ref().map_or(Slice::WHOLE, |shard| shard.slice)
    }
}

/// A run that could not be carried out.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Host(String),
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Conduct(#[from] ConductError),
    #[error("{0}")]
    Fleet(#[from] FleetError),
    #[error("{0}")]
    Exposition(#[from] ExpositionError),
    #[error("{0}")]
    TooLate(#[from] TooLate),
    #[error("{0}")]
    Led(#[from] LedError),
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    RunId(#[from] RunIdError),
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    #[error("start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("take the terminal over for the dashboard: {0}; --ui plain does without")]
    Terminal(#[source] std::io::Error),
}

impl RunError {
    /// Exit code of a run that never began, and why in words.
    fn refusal(&self) -> (u8, String) {
        match self {
            Self::Host(shortages) => (exit::ERROR, shortages.clone()),
            Self::RunId(error) => (exit::SCENARIO, format!("failed to {error}")),
            Self::Report(ReportError::NotEmpty { .. }) => (exit::USAGE, format!("failed to {self}")),
            _ => (exit::ERROR, format!("failed to {self}")),
        }
    }
}

/// Runs the plan; returns the exit code.
#[must_use]
pub fn run(options: RunOptions) -> u8 {
    conducted(run_once(options))
}

/// What is conducted in a runtime of its own; its exit code.
fn conducted(run: impl Future<Output = u8>) -> u8 {
    match runtime().map_err(RunError::Runtime) {
        Ok(runtime) => {
            let code = runtime.block_on(run);
            // Certificates that nobody waits for any more may still be in the making.
            runtime.shutdown_background();
            code
        }
        Err(error) => refused(&error),
    }
}

/// Runs the plan within [`runtime`]; the exit code.
pub(crate) async fn run_once(mut options: RunOptions) -> u8 {
    // Of several shards none is the newest run.
    let (ui, has_out, ci) = (options.ui, options.out.is_some() || options.shard.is_some(), options.outlets.ci.clone());
    let led = options.led.take();
    match prepare(options) {
        Ok((setup, mut writer)) => {
            if !has_out {
                results_folder::point_latest(writer.dir());
            }
            let code = show(&setup, ui, &mut writer, led).await;
            written(ci.write(writer.manifest(), writer.dir()), code)
        }
        Err(error) => refused(&error),
    }
}

/// Says why a run never began; the exit code.
fn refused(error: &RunError) -> u8 {
    let (code, why) = error.refusal();
    say(&format!("fleetsim: {why}"));
    code
}

/// The exit code, where what was to be left besides was written.
fn written(outcome: Result<(), ReportError>, code: u8) -> u8 {
    match outcome {
        Ok(()) => code,
        Err(error) => {
            say(&format!("fleetsim: failed to {error}"));
            exit::ERROR
        }
    }
}

/// Runs one step of a search within [`runtime`]: shown as it goes, and not summed up.
///
/// # Errors
/// With why it never began.
pub(crate) async fn run_step(options: RunOptions) -> Result<StepReport, String> {
    let ui = options.ui;
    let (setup, mut writer) = prepare(options).map_err(|error| error.refusal().1)?;
    let (ui, mut stop) = start_showing(&setup, ui, &writer, None).map_err(|error| error.refusal().1)?;
    let outcome = carry_out(&setup, &mut writer, &ui, &mut stop, None).await;
    let measured = outcome.as_ref().ok().and_then(|ended| ended.measured.clone());
    let (_, mut failures) = conclude(&setup, &mut writer, outcome);
    failures.extend(ui.close().map(|error| format!("failed to {error}")));
    Ok(StepReport { manifest: writer.manifest().clone(), measured, failures })
}

/// Where runs are conducted. One thread: the shards have their own, and the endpoint child must be started by this one.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn prepare(options: RunOptions) -> Result<(Setup, ResultsWriter), RunError> {
    let RunOptions { plan, out, certs, shards, title, shard, step, jobs_afterwards, outlets, .. } = options;
    let Outlets { metrics, ci } = outlets;
    let slice = shard.as_ref().map_or(Slice::WHOLE, |shard| shard.slice);
    let host = preflight::check(&needs(&plan, slice)).map_err(|shortages| RunError::Host(preflight::describe(&shortages)))?;
    let shards = shards.unwrap_or(host.cores as usize).max(1);
    let on = RunsOn { mode: Mode::Run, host: host.clone(), shards, shard: shard.as_ref().map(ShardOptions::totals) };
    let roster = Roster::new(&plan)?;
    ci.check()?;
    let exposition = metrics.map(Exposition::start).transpose()?;
    let run = match shard.as_ref().map(|shard| &shard.start) {
        None => run_id(None),
        Some(ShardStart::At(start_at)) => run_id(Some(&start_at.rfc3339())),
        Some(ShardStart::Led { run_id, .. }) => run_id.clone(),
    };
    let plan_of_run = with_run_id(plan.clone(), &run)?;
    // Whoever compares runs looks at the scenario, which is the same for all of them.
    let writer = results_folder::create(out.as_deref(), &plan, &roster, &on)?;
    let setup = Setup { roster, plan: plan_of_run, host, shards, certs, title, shard, step, jobs_afterwards, exposition };
    if let Some(exposition) = &setup.exposition {
        exposition.begin(run_labels(&setup.plan, writer.dir()));
    }
    Ok((setup, writer))
}

fn run_labels(plan: &Plan, dir: &Path) -> RunLabels {
    let run = dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned());
    RunLabels { scenario: plan.name.clone(), run, seed: plan.seed, version: env!("CARGO_PKG_VERSION") }
}

fn start_showing(setup: &Setup, ui: UiKind, writer: &ResultsWriter, led: Option<&mut Led>) -> Result<(Ui, StopRequests), RunError> {
    let (ui, stops) = Ui::start(ui, writer.dir(), || run_info(setup, writer.dir())).map_err(RunError::Terminal)?;
    // Whoever is led has no dashboard.
    let of_leader = led.map(|led| std::mem::replace(&mut led.stops, tokio::sync::mpsc::unbounded_channel().1));
    let stop = StopRequests::listen(stops.or(of_leader)).map_err(RunError::Signals)?;
    if let Some(exposition) = &setup.exposition {
        ui.announce(&format!("metrics: {}", exposition.url()));
    }
    Ok((ui, stop))
}

/// The run, shown from its first moment to its last.
async fn show(setup: &Setup, ui: UiKind, writer: &mut ResultsWriter, mut led: Option<Led>) -> u8 {
    let (ui, mut stop) = match start_showing(setup, ui, writer, led.as_mut()) {
        Ok(showing) => showing,
        Err(error) => {
            let (code, failures) = conclude(setup, writer, Err(error));
            return Ui::Plain.conclude(writer.manifest(), writer.dir(), &failures, code);
        }
    };
    let outcome = carry_out(setup, writer, &ui, &mut stop, led).await;
    let (code, failures) = conclude(setup, writer, outcome);
    // Who asked for the end, or never saw a beginning, does not need a last screen; of several runs the next one is waiting.
    if setup.title.is_none() && !stop.was_asked() && writer.manifest().totals.run_s > 0 {
        ui.finished(writer.manifest(), stop.next()).await;
    }
    ui.conclude(writer.manifest(), writer.dir(), &failures, code)
}

async fn carry_out(
    setup: &Setup,
    writer: &mut ResultsWriter,
    ui: &Ui,
    stop: &mut StopRequests,
    led: Option<Led>,
) -> Result<Ended, RunError> {
    let Setup { plan, roster, host, shards, certs, shard, step, exposition, .. } = setup;
    let slice = setup.slice();
    let never_begun =
        || Ended { ending: Ending::Interrupted, last: None, uncreated: Vec::new(), predicted: Vec::new(), measured: None };
    let shared = shard.as_ref().and_then(ShardOptions::endpoint);
    if shared.is_none() {
        check_schedules(plan, clock::epoch_ms())?;
    }
    let prediction = Prediction::start(plan, roster, writer.dir(), step.is_none() && shard.is_none());
    let folders = Folders { results: writer.dir(), certs: certs.as_deref() };
    let mut target = tokio::select! {
        target = targets::bring_up(plan, roster, Driver { slice, shared }, folders, ui) => target?,
        () = stop.next() => return Ok(never_begun()),
    };
    let predicted = prediction.made().await;
    ui.tell(&format!("results: {}", writer.dir().display()));

    let mut following = None;
    let origin = match (shard.as_ref().map(|shard| &shard.start), led) {
        (Some(ShardStart::At(start_at)), _) => {
            start_at.wait(slice, ui, stop).await.map_err(|late| preparing_took(*start_at, late))?
        }
        (Some(ShardStart::Led { .. }), Some(Led { ready, start, connected, met, seconds, .. })) => {
            following = Some(Following { connected, met, is_met: false, seconds });
            led::start((ready, start), (slice, *shards), ui, stop).await?.map(|(start_at, origin)| {
                writer.set_shard_start(start_at.rfc3339());
                origin
            })
        }
        (Some(ShardStart::Led { .. }), None) => return Err(LedError::NoStart.into()),
        (None, _) => Some(clock::mono() + START_LEAD),
    };
    let Some(origin) = origin else { return Ok(never_begun()) };
    let starts = starts(plan, roster.cohorts());
    let measuring = step.as_ref().map(|measure| Measuring::new(measure.clone(), &plan.thresholds));
    let measured_starts = if measuring.is_some() { starts.clone() } else { Vec::new() };
    let credentials = std::mem::take(&mut target.credentials);
    let expired = std::mem::take(&mut target.expired);
    let has_endpoint = target.local.is_some();
    let planned = planned(plan, roster, credentials, expired, starts).filter(|thing| slice.has(thing.position));
    let settings = FleetSettings {
        endpoints: std::mem::take(&mut target.endpoints),
        cohorts: cohorts::settings(plan, roster, slice, &target),
        shards: *shards,
        connects_in_progress: slice.part(plan.fleet.connect.in_progress as usize),
        origin,
        inspect: ui.wants_cards(),
        has_ledger: matches!(plan.target, TargetPlan::Emulator(_)),
        cuts: events::cuts(plan, roster, origin),
        has_events: !plan.events.is_empty(),
        lag: stagger::lag(slice),
    };
    let fleet = Fleet::start(planned, &settings)?;
    ui.fleet(fleet.inspector.clone());
    let things = slice.things(plan.fleet.things);
    let mut collector = Collector::new(CollectorSettings {
        origin,
        things: roster.names().to_vec(),
        cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
        transports: plan.transports().into_iter().map(|transport| transport.as_str().into()).collect(),
        has_service: has_endpoint,
        thresholds: plan.thresholds.clone(),
        events: events::planned(plan, origin, has_endpoint),
        cores: host.cores,
    });
    collector.drives(things);
    let conductor = Conductor {
        plan,
        roster,
        things,
        origin,
        fleet,
        shards: *shards,
        local: target.local.as_mut(),
        control: target.control.as_ref(),
        collector,
        writer,
        ui,
        exposition: exposition.as_ref(),
        begun: Vec::new(),
        restarting: None,
        measuring,
        starts: measured_starts,
        stop,
        following,
    };
    let outcome = conductor.conduct().await;
    if let Some(cleanup) = target.control.as_ref().and_then(|control| control.cleanup.as_ref()) {
        let is_complete = outcome.as_ref().is_ok_and(|ended| ended.ending == Ending::Complete);
        let afterwards = if slice.count() == 1 { setup.jobs_afterwards } else { JobsAfterwards::Kept };
        cleanup.finish(is_complete && step.is_none(), afterwards, ui, stop).await;
    }
    Ok(Ended { predicted, ..outcome? })
}

fn planned<'a>(
    plan: &'a Plan,
    roster: &'a Roster,
    credentials: Vec<Option<Credentials>>,
    mut expired: BTreeMap<u32, Credentials>,
    starts: Vec<Duration>,
) -> impl Iterator<Item = PlannedThing> + 'a {
    credentials.into_iter().zip(starts).zip(roster.names().iter().zip(roster.cohorts())).zip(0..).map(
        move |(((credentials, arrival), (name, cohort)), place)| PlannedThing {
            position: place,
            name: name.clone(),
            client_id: plan.fleet.client_id_of(name, u64::from(place)).map(Into::into),
            index: plan.fleet.first_index + u64::from(place),
            cohort: *cohort,
            credentials,
            expired: expired.remove(&place),
            arrival,
        },
    )
}

/// Judges the run and writes the last word on it; exit code, and what failed in words. The files are complete.
fn conclude(setup: &Setup, writer: &mut ResultsWriter, outcome: Result<Ended, RunError>) -> (u8, Vec<String>) {
    let mut failures = Vec::new();
    let Judgement { verdict, exit_code, findings, checks, differences, reconciliation_findings } = match outcome {
        Ok(ended) => {
            writer.set_shard_end(ended.ending == Ending::Limit, &ended.uncreated);
            let predicted = prediction::compare(&ended.predicted, &writer.manifest().totals.rollouts);
            let remarks = prediction::findings(&predicted);
            writer.set_predicted(predicted);
            judge(&Evidence { remarks: &remarks, ..evidence(setup, writer, &ended) })
        }
        Err(error) => {
            let why = error.to_string();
            failures.push(format!("failed to {why}"));
            writer.set_shard_failure(&why);
            judge(&Evidence {
                end: End::Failed(why),
                thresholds_hold: false,
                findings: writer.findings(),
                remarks: &[],
                uncreated: &[],
                reconciliation: Ok(None),
            })
        }
    };
    let reconciliation = differences.map(|differences| ReconciliationTotals { differences, findings: reconciliation_findings });
    writer.set_checks(checks);
    let finished = writer.finish(verdict, exit_code, rfc3339(), findings, reconciliation);
    if let Some(exposition) = &setup.exposition {
        exposition.conclude(writer.manifest().verdict);
    }
    match finished {
        Ok(()) => (exit_code, failures),
        Err(error) => {
            failures.insert(0, format!("failed to {error}"));
            (exit::ERROR, failures)
        }
    }
}

/// What was measured of a run that was carried out; its ledgers are joined once more, from their files.
fn evidence<'a>(setup: &Setup, writer: &'a ResultsWriter, ended: &'a Ended) -> Evidence<'a> {
    let Ended { ending, last, uncreated, .. } = ended;
    let last = last.as_deref();
    let end = match ending {
        Ending::Complete => End::Complete,
        Ending::Interrupted => End::Interrupted,
        Ending::Limit => End::Limit {
            limit: setup.plan.end.limit,
            open: last.map_or(0, |last| last.executions.open()),
            away: last.map_or(0, |last| last.events.iter().map(EventRow::away).sum()),
        },
    };
    Evidence {
        end,
        thresholds_hold: last.is_none_or(|last| last.thresholds.iter().all(|threshold| threshold.holds() == Some(true))),
        findings: writer.findings(),
        remarks: &[],
        // A step is over when its load was measured, whatever is still to come.
        uncreated: if setup.step.is_some() { &[] } else { uncreated },
        reconciliation: report::reconcile(writer.dir(), last.map_or(Mono(0), |last| last.origin))
            .map_err(|error| error.to_string()),
    }
}
