//! `fleetsim run`: builds everything from the plan, conducts it, and says how it went. Wiring and life cycle, nothing else.

mod child;
mod cohorts;
mod conductor;
mod events;
mod fleet;
mod jobs;
mod observe;
mod process;
mod sources;
mod starts;
mod stop;
mod targets;
mod ui;

pub use fleet::{CohortSettings, Fleet, FleetError, FleetSettings, PlannedThing, ShardInterval};
pub use observe::Gauges;
pub use targets::check as check_target;
pub use ui::UiKind;
pub(crate) use ui::use_colour;

use crate::exit;
use crate::preflight::{self, HostFacts, Need};
use crate::report::{self, EventTotals, Manifest, ReportError, ResultsWriter, Totals, Verdict};
use crate::roster::Roster;
use crate::scenario::plan::{EndWhen, Plan, TargetPlan};
use crate::tui::app::Brief;
use conductor::{ConductError, Conductor, Ending};
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::{ControlError, JobId, NameError};
use load_metrics::{Collector, CollectorSettings, Finding};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stop::StopRequests;
use targets::TargetError;
use thing_transport::credentials::Credentials;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use ui::Ui;

/// Between the last preparation and the first connect arrival.
const LEAD: Duration = Duration::from_millis(200);
/// What a thing takes, of both processes together, with room to spare.
const MEMORY_PER_THING_BYTES: u64 = 64 << 10;
/// The same while it downloads.
const MEMORY_PER_DOWNLOAD_BYTES: u64 = 192 << 10;

/// What `fleetsim run` was asked for.
pub struct RunOptions {
    pub plan: Plan,
    /// The results folder; default `results/<name>-<UTC stamp>`.
    pub out: Option<PathBuf>,
    pub ui: UiKind,
    /// Default: the host's cores.
    pub shards: Option<usize>,
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
    let facts = match preflight::check(&needs(&options.plan)) {
        Ok(facts) => facts,
        Err(shortages) => return complain(exit::ERROR, &preflight::describe(&shortages)),
    };
    let shards = options.shards.unwrap_or(facts.cores as usize).max(1);
    let (dir, is_default) = match &options.out {
        Some(dir) => (dir.clone(), false),
        None => (PathBuf::from("results").join(format!("{}-{}", options.plan.name, stamp())), true),
    };
    let prepared = || {
        let roster = Roster::new(&options.plan)?;
        let writer = prepare(&options.plan, &roster, &dir, facts.clone(), shards)?;
        Ok((roster, writer, runtime()?))
    };
    match prepared() {
        Ok((roster, mut writer, runtime)) => {
            if is_default {
                point_latest(&dir);
            }
            let code = runtime.block_on(show(&options, &roster, &facts, shards, &mut writer));
            // Certificates that nobody waits for any more may still be in the making.
            runtime.shutdown_background();
            code
        }
        Err(RunError::Report(error @ ReportError::NotEmpty { .. })) => complain(exit::USAGE, &format!("failed to {error}")),
        Err(error) => complain(exit::ERROR, &format!("failed to {error}")),
    }
}

/// The run, shown from its first moment to its last.
async fn show(options: &RunOptions, roster: &Roster, facts: &HostFacts, shards: usize, writer: &mut ResultsWriter) -> u8 {
    let started = Ui::start(options.ui, writer.dir(), || brief(&options.plan, roster, facts, shards, writer.dir()));
    let listening = started.map_err(RunError::Terminal).and_then(|(ui, stops)| {
        let stop = StopRequests::listen(stops).map_err(RunError::Signals)?;
        Ok((ui, stop))
    });
    let (ui, mut stop) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            let (code, failures) = conclude(options, writer, Err(error));
            Ui::Plain.conclude(writer.manifest(), writer.dir(), &failures);
            return code;
        }
    };
    let outcome = carry_out(options, roster, facts.cores, shards, writer, &ui, &mut stop).await;
    let (code, failures) = conclude(options, writer, outcome);
    // Who asked for the end, or never saw a beginning, does not need a last screen.
    if !stop.was_asked() && writer.manifest().totals.run_s > 0 {
        ui.finished(writer.manifest(), stop.next()).await;
    }
    ui.conclude(writer.manifest(), writer.dir(), &failures);
    code
}

fn brief(plan: &Plan, roster: &Roster, facts: &HostFacts, shards: usize, dir: &Path) -> Brief {
    Brief {
        name: plan.name.clone(),
        seed: plan.seed,
        things: Arc::clone(roster.things()),
        shards,
        cores: facts.cores,
        descriptors_max: facts.descriptors,
        end: ui::end_in_words(&plan.end),
        duration: match plan.end.when {
            EndWhen::Duration(duration) => Some(duration.min(plan.end.limit)),
            EndWhen::ExecutionsDone { .. } | EndWhen::Idle(_) => None,
        },
        results: dir.display().to_string(),
        rates: rates(plan),
    }
}

/// Planned executions a minute, by job.
fn rates(plan: &Plan) -> BTreeMap<JobId, u32> {
    let paced = plan.rollouts.iter().filter_map(|rollout| Some((rollout, rollout.rate_per_minute()?)));
    paced.flat_map(|(rollout, rate)| rollout.jobs.iter().map(move |job| (job.clone(), rate))).collect()
}

/// What a run of this plan needs of its host.
#[must_use]
pub fn needs(plan: &Plan) -> Need {
    let sources = plan.target.link().source_ips.iter().map(|range| range.count() as u64).sum::<u64>().max(1);
    let hosts = plan.target.remote().map_or(1, |remote| remote.hosts.len().max(1) as u64);
    let downloads = plan.cohorts.iter().any(|cohort| cohorts::fetches(plan, cohort));
    Need {
        connections: plan.fleet.things,
        descriptors_per_thing: 1 + u64::from(downloads),
        memory_per_thing_bytes: MEMORY_PER_THING_BYTES + if downloads { MEMORY_PER_DOWNLOAD_BYTES } else { 0 },
        address_pairs: sources * hosts,
    }
}

/// One line on stderr. A reader that has gone away does not end a run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn complain(code: u8, message: &str) -> u8 {
    say(&format!("fleetsim: {message}"));
    code
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    // One thread: the shards have their own, and the endpoint child must be started by this one.
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Runtime)
}

fn utc_now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(clock::epoch_ms())
}

fn stamp() -> String {
    utc_now().format(format_description!("[year][month][day]T[hour][minute][second]Z")).expect("a date of our time has this form")
}

fn rfc3339() -> String {
    utc_now().format(&Rfc3339).expect("a date of our time has this form")
}

/// `results/latest` points to the newest folder; a host without links does without it.
fn point_latest(dir: &Path) {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else { return };
    let aside = parent.join(format!(".latest-{}", std::process::id()));
    let linked = std::os::unix::fs::symlink(name, &aside).and_then(|()| std::fs::rename(&aside, parent.join("latest")));
    if let Err(error) = linked {
        tracing::warn!(%error, "results/latest was not updated");
    }
}

fn prepare(plan: &Plan, roster: &Roster, dir: &Path, host: HostFacts, shards: usize) -> Result<ResultsWriter, RunError> {
    let manifest = Manifest {
        name: plan.name.clone(),
        verdict: Verdict::Running,
        exit_code: None,
        seed: plan.seed,
        scenario_sha256: Sha256::digest(plan.to_toml().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        scenario: plan.to_json(),
        version: env!("CARGO_PKG_VERSION").into(),
        host,
        pid: std::process::id(),
        shards,
        started_at: rfc3339(),
        finished_at: None,
        totals: Totals { things: plan.fleet.things, ..Totals::default() },
        thresholds: Vec::new(),
        events: Vec::new(),
        findings: Vec::new(),
        differences: None,
    };
    Ok(ResultsWriter::create(dir, manifest, Arc::clone(roster.things()))?)
}

async fn carry_out(
    options: &RunOptions,
    roster: &Roster,
    cores: u64,
    shards: usize,
    writer: &mut ResultsWriter,
    ui: &Ui,
    stop: &mut StopRequests,
) -> Result<Ending, RunError> {
    let plan = &options.plan;
    if let TargetPlan::Emulator(emulator) = &plan.target {
        jobs::rollouts::check_schedules(plan, emulator, clock::epoch_ms()).map_err(|(job, why)| RunError::Schedule { job, why })?;
    }
    let mut target = tokio::select! {
        target = targets::bring_up(plan, roster, writer.dir(), ui) => target?,
        () = stop.next() => return Ok(Ending::Interrupted),
    };
    ui.tell(&format!("results: {}", writer.dir().display()));

    let origin = clock::mono() + LEAD;
    let starts = starts::starts(plan, roster.cohorts());
    let credentials = std::mem::take(&mut target.credentials);
    let expired = target.local.as_mut().map_or_else(BTreeMap::new, |local| std::mem::take(&mut local.expired));
    let planned = planned(plan, roster, credentials, expired, starts);
    let settings = FleetSettings {
        endpoints: std::mem::take(&mut target.endpoints),
        cohorts: cohorts::settings(plan, roster, &target),
        shards,
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
        cores,
    });
    let conductor = Conductor {
        plan,
        roster,
        origin,
        fleet,
        shards,
        local: target.local.as_mut(),
        control: target.control.as_ref(),
        collector,
        writer,
        ui,
        restarting: None,
        stop,
    };
    Ok(conductor.conduct().await?)
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

/// Joins the two ledgers once more, from their files; says how many differences there are, where there is a ledger of the service.
fn audit_findings(writer: &ResultsWriter, findings: &mut Vec<String>) -> Option<u64> {
    const SHOWN: usize = 5;
    let differences = match report::audit(writer.dir(), Mono(writer.manifest().totals.origin_mono_ns)) {
        Ok(differences) => differences?,
        Err(error) => {
            findings.push(format!("the audit failed to {error}"));
            return Some(1);
        }
    };
    findings.extend(differences.iter().take(SHOWN).map(|difference| format!("the ledgers differ: {difference}")));
    if differences.len() > SHOWN {
        findings.push(format!("and {} more differences: `fleetsim report` lists all", differences.len() - SHOWN));
    }
    Some(differences.len() as u64)
}

/// Verdict and exit code, and what failed in words; the files are complete.
fn conclude(options: &RunOptions, writer: &mut ResultsWriter, outcome: Result<Ending, RunError>) -> (u8, Vec<String>) {
    let mut findings = writer.manifest().findings.clone();
    let is_invalid = writer.findings().iter().any(Finding::is_invalidating);
    let is_different = writer.findings().iter().any(Finding::is_difference);
    let differences = outcome.as_ref().ok().and_then(|_| audit_findings(writer, &mut findings));
    let is_different = is_different || differences.is_some_and(|count| count > 0);
    let holds = writer.manifest().thresholds.iter().all(|threshold| threshold.holds == Some(true));
    let (verdict, code) = match &outcome {
        Err(error) => {
            findings.insert(0, format!("failed to {error}"));
            (Verdict::Error, exit::ERROR)
        }
        Ok(Ending::Interrupted) => (Verdict::Interrupted, exit::INTERRUPTED),
        Ok(Ending::Limit) => {
            let limit = sim_units::text::duration_text(options.plan.end.limit);
            let open = writer.manifest().totals.open();
            let away: u64 = writer.manifest().events.iter().map(EventTotals::away).sum();
            let away = if away > 0 { format!(", {away} things are away by an event") } else { String::new() };
            findings
                .insert(0, format!("the limit of {limit} was reached before the run was done: {open} executions are open{away}"));
            if is_invalid { (Verdict::Invalid, exit::INVALID) } else { (Verdict::Fail, exit::FAIL) }
        }
        Ok(Ending::Complete) if is_invalid => (Verdict::Invalid, exit::INVALID),
        Ok(Ending::Complete) if is_different || !holds => (Verdict::Fail, exit::FAIL),
        Ok(Ending::Complete) => (Verdict::Pass, exit::PASS),
    };
    let mut failures = Vec::new();
    let code = writer.finish(verdict, code, rfc3339(), findings, differences).map_or_else(
        |error| {
            failures.push(format!("failed to {error}"));
            exit::ERROR
        },
        |()| code,
    );
    if let Err(error) = &outcome {
        failures.push(format!("failed to {error}"));
    }
    (code, failures)
}
