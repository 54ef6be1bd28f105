//! `fleetsim run`: builds everything from the plan, conducts it, and says how it went. Wiring and life cycle, nothing else.

mod child;
pub(crate) mod cohorts;
mod conductor;
pub(crate) mod events;
mod fleet;
pub(crate) mod folder;
pub(crate) mod jobs;
mod needs;
pub(crate) mod observe;
mod prediction;
mod process;
mod run_info;
mod sources;
pub(crate) mod starts;
pub(crate) mod stop;
mod targets;
pub(crate) mod timestamp;
mod ui;
pub(crate) mod verdict;

pub use fleet::{CohortSettings, Fleet, FleetError, FleetSettings, PlannedThing, ShardInterval};
pub use needs::needs;
pub use observe::Gauges;
pub use targets::check as check_target;
pub use ui::UiKind;
pub(crate) use ui::{is_capable_terminal, use_colour};

use crate::exit;
use crate::preflight::{self, HostFacts};
use crate::report::{self, AuditTotals, Mode, ReportError, ResultsWriter};
use crate::roster::Roster;
use crate::scenario::plan::{Plan, TargetPlan};
use conductor::{ConductError, Conductor, Ended, Ending};
use folder::RunsOn;
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::{ControlError, JobId, NameError};
use load_metrics::{Collector, CollectorSettings, EventRow};
use prediction::Prediction;
use run_info::run_info;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stop::StopRequests;
use targets::{Folders, TargetError};
use thing_transport::credentials::Credentials;
use tokio::runtime::Runtime;
use ui::{Ui, say};
use verdict::{End, Evidence, Judgement, judge};

/// Between the last preparation and the first connect arrival.
const START_LEAD: Duration = Duration::from_millis(200);

/// What `fleetsim run` was asked for.
pub struct RunOptions {
    pub plan: Plan,
    /// The results folder; default `results/<name>-<UTC stamp>`.
    pub out: Option<PathBuf>,
    /// Where the certificates of local endpoints are kept; default: `certs/`, and where that cannot be written the user's data folder.
    pub certs: Option<PathBuf>,
    pub ui: UiKind,
    /// Default: the host's cores.
    pub shards: Option<usize>,
}

/// What a run is made from.
struct Setup {
    plan: Plan,
    roster: Roster,
    host: HostFacts,
    shards: usize,
    certs: Option<PathBuf>,
}

/// A run that could not be carried out.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Conduct(#[from] ConductError),
    #[error("{0}")]
    Fleet(#[from] FleetError),
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    #[error("schedule job {job}: {why}")]
    Schedule { job: JobId, why: ControlError },
    #[error("start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("take the terminal over for the dashboard: {0}; --ui plain does without")]
    Terminal(#[source] std::io::Error),
}

/// Runs the plan; returns the exit code.
#[must_use]
pub fn run(options: RunOptions) -> u8 {
    let RunOptions { plan, out, certs, ui, shards } = options;
    let host = match preflight::check(&needs(&plan)) {
        Ok(host) => host,
        Err(shortages) => return complain(exit::ERROR, &preflight::describe(&shortages)),
    };
    let shards = shards.unwrap_or(host.cores as usize).max(1);
    match prepare(plan, host, shards, certs, out.as_deref()) {
        Ok((setup, mut writer, runtime)) => {
            if out.is_none() {
                folder::point_latest(writer.dir());
            }
            let code = runtime.block_on(show(&setup, ui, &mut writer));
            // Certificates that nobody waits for any more may still be in the making.
            runtime.shutdown_background();
            code
        }
        Err(RunError::Report(error @ ReportError::NotEmpty { .. })) => complain(exit::USAGE, &format!("failed to {error}")),
        Err(error) => complain(exit::ERROR, &format!("failed to {error}")),
    }
}

fn complain(code: u8, message: &str) -> u8 {
    say(&format!("fleetsim: {message}"));
    code
}

fn prepare(
    plan: Plan,
    host: HostFacts,
    shards: usize,
    certs: Option<PathBuf>,
    out: Option<&Path>,
) -> Result<(Setup, ResultsWriter, Runtime), RunError> {
    let setup = Setup { roster: Roster::new(&plan)?, plan, host, shards, certs };
    let on = RunsOn { mode: Mode::Run, host: setup.host.clone(), shards };
    let writer = folder::create(out, &setup.plan, &setup.roster, &on)?;
    // One thread: the shards have their own, and the endpoint child must be started by this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)?;
    Ok((setup, writer, runtime))
}

/// The run, shown from its first moment to its last.
async fn show(setup: &Setup, ui: UiKind, writer: &mut ResultsWriter) -> u8 {
    let started = Ui::start(ui, writer.dir(), || run_info(setup, writer.dir()));
    let listening = started.map_err(RunError::Terminal).and_then(|(ui, stops)| {
        let stop = StopRequests::listen(stops).map_err(RunError::Signals)?;
        Ok((ui, stop))
    });
    let (ui, mut stop) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            let (code, failures) = conclude(setup, writer, Err(error));
            return Ui::Plain.conclude(writer.manifest(), writer.dir(), &failures, code);
        }
    };
    let outcome = carry_out(setup, writer, &ui, &mut stop).await;
    let (code, failures) = conclude(setup, writer, outcome);
    // Who asked for the end, or never saw a beginning, does not need a last screen.
    if !stop.was_asked() && writer.manifest().totals.run_s > 0 {
        ui.finished(writer.manifest(), stop.next()).await;
    }
    ui.conclude(writer.manifest(), writer.dir(), &failures, code)
}

async fn carry_out(setup: &Setup, writer: &mut ResultsWriter, ui: &Ui, stop: &mut StopRequests) -> Result<Ended, RunError> {
    let Setup { plan, roster, host, shards, certs } = setup;
    if let TargetPlan::Emulator(emulator) = &plan.target {
        jobs::rollouts::check_schedules(plan, emulator, clock::epoch_ms()).map_err(|(job, why)| RunError::Schedule { job, why })?;
    }
    let prediction = Prediction::start(plan, roster, writer.dir());
    let mut target = tokio::select! {
        target = targets::bring_up(plan, roster, Folders { results: writer.dir(), certs: certs.as_deref() }, ui) => target?,
        () = stop.next() => return Ok(Ended { ending: Ending::Interrupted, last: None, uncreated: Vec::new(), predicted: Vec::new() }),
    };
    let predicted = prediction.made().await;
    ui.tell(&format!("results: {}", writer.dir().display()));

    let origin = clock::mono() + START_LEAD;
    let starts = starts::starts(plan, roster.cohorts());
    let credentials = std::mem::take(&mut target.credentials);
    let expired = target.local.as_mut().map_or_else(BTreeMap::new, |local| std::mem::take(&mut local.expired));
    let planned = planned(plan, roster, credentials, expired, starts);
    let settings = FleetSettings {
        endpoints: std::mem::take(&mut target.endpoints),
        cohorts: cohorts::settings(plan, roster, &target),
        shards: *shards,
        connects_in_progress: plan.fleet.connect.in_progress as usize,
        origin,
        inspect: ui.wants_cards(),
        has_ledger: matches!(plan.target, TargetPlan::Emulator(_)),
        cuts: events::cuts(plan, roster, origin),
        has_events: !plan.events.is_empty(),
    };
    let fleet = Fleet::start(planned, &settings)?;
    ui.fleet(fleet.inspector.clone());
    let collector = Collector::new(CollectorSettings {
        origin,
        things: roster.names().to_vec(),
        cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
        transports: plan.transports().into_iter().map(|transport| transport.as_str().into()).collect(),
        has_service: matches!(plan.target, TargetPlan::Emulator(_)),
        thresholds: plan.thresholds.clone(),
        events: events::planned(plan, origin),
        cores: host.cores,
    });
    let conductor = Conductor {
        plan,
        roster,
        origin,
        fleet,
        shards: *shards,
        local: target.local.as_mut(),
        control: target.control.as_ref(),
        collector,
        writer,
        ui,
        restarting: None,
        stop,
    };
    Ok(Ended { predicted, ..conductor.conduct().await? })
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
            name: name.clone(),
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
    let Judgement { verdict, exit_code, findings, differences, audit_findings } = match outcome {
        Ok(ended) => {
            let predicted = prediction::compare(&ended.predicted, &writer.manifest().totals.rollouts);
            let remarks = prediction::findings(&predicted);
            writer.set_predicted(predicted);
            judge(&Evidence { remarks: &remarks, ..evidence(setup, writer, &ended) })
        }
        Err(error) => {
            let why = error.to_string();
            failures.push(format!("failed to {why}"));
            judge(&Evidence {
                end: End::Failed(why),
                thresholds_hold: false,
                findings: writer.findings(),
                remarks: &[],
                uncreated: &[],
                audit: Ok(None),
            })
        }
    };
    let audit = differences.map(|differences| AuditTotals { differences, findings: audit_findings });
    match writer.finish(verdict, exit_code, timestamp::rfc3339(), findings, audit) {
        Ok(()) => (exit_code, failures),
        Err(error) => {
            failures.insert(0, format!("failed to {error}"));
            (exit::ERROR, failures)
        }
    }
}

/// What was measured of a run that was carried out; its ledgers are joined once more, from their files.
fn evidence<'a>(setup: &Setup, writer: &'a ResultsWriter, ended: &'a Ended) -> Evidence<'a> {
    let Ended { ending, last, uncreated, predicted: _ } = ended;
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
        uncreated,
        audit: report::audit(writer.dir(), last.map_or(Mono(0), |last| last.origin)).map_err(|error| error.to_string()),
    }
}
