//! `fleetsim run --slices N`: waits until every slice has a worker, says when all start, shows how the run stands, and makes one results
//! folder of all of them.

mod barrier;
mod course;
mod folders;
mod heartbeat;
mod inbox;
mod live;
mod local;
mod outcome;
mod outputs;
mod records;
mod seconds;
mod site;
mod table;

pub(super) use folders::digest;
pub(super) use site::fleet_sha256;

use super::address::{NatsAddress, NatsIdentity};
use super::names::RunId;
use crate::exit;
use crate::exposition::{Exposition, RunLabels};
use crate::preflight;
use crate::report::{Mode, ReportError, ResultsWriter};
use crate::results_folder::{self, RunsOn};
use crate::roster::Roster;
use crate::run::run_info::led_info;
use crate::run::ui::Ui;
use crate::run::{Outlets, ShardOptions, ShardStart, UiKind};
use crate::scenario::plan::{Plan, TargetPlan};
use crate::slice::Slice;
use crate::stop::StopRequests;
use crate::timestamp::fine_stamp;
use host::stdio::say;
use std::path::PathBuf;
use std::time::Duration;

/// Threads that carry messages while the main one takes them in.
const THREADS: usize = 2;

/// What the loss of a worker means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// They come to an end.
    Drain,
    /// They go on; the run is INVALID all the same.
    Continue,
}

/// What `fleetsim run --slices` was asked for.
pub struct LeadOptions {
    pub plan: Plan,
    pub slices: u32,
    /// The server, and who this is there; `None`: one of the run's own, and workers on this host.
    pub over: Option<(NatsAddress, NatsIdentity)>,
    /// `None`: by the time.
    pub run: Option<RunId>,
    /// From now until all slices are ready.
    pub wait: Duration,
    /// How long the server may be away.
    pub away: Duration,
    pub on_lost: OnLost,
    /// The results folder.
    pub out: Option<PathBuf>,
    /// Of local endpoints.
    pub certs: Option<PathBuf>,
    pub ui: UiKind,
    /// Threads of a worker on this host; `None`: the cores, dealt out.
    pub threads: Option<usize>,
    pub outlets: Outlets,
}

/// Why a run did not begin, or could not go on.
#[derive(Debug)]
pub(in crate::workers) enum LeadError {
    /// Somebody wanted it to stop.
    Interrupted,
    /// What was asked for cannot be.
    Usage(String),
    /// After "failed to".
    Failed(String),
}

impl LeadError {
    pub(in crate::workers) fn failed(why: impl std::fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

/// What cannot be led.
///
/// # Errors
/// With it, and what would be right; for people.
pub fn check(plan: &Plan, slices: u32, over: Option<&NatsAddress>) -> Result<(), String> {
    if over.is_some_and(|over| !over.is_loopback()) && matches!(plan.target, TargetPlan::Emulator(_)) {
        return Err("--over with a server elsewhere needs an endpoint that all workers reach, and with target.kind = \"emulator\" it listens \
                    on this host alone, and the keys of its things are here: start `fleetsim serve` where the workers reach it, and give the \
                    scenario [target] kind = \"mqtt\" or \"aws\" with its address; or leave --over out, and the workers run on this host"
            .into());
    }
    let slice: Slice = format!("0/{slices}").parse()?;
    let shard = ShardOptions { slice, start: ShardStart::Led { run_id: String::new(), endpoint: None } };
    shard.check_slices(plan)?;
    over.map_or_else(|| local::program().map(drop), |_| Ok(()))
}

/// Leads; returns the exit code.
#[must_use]
pub fn lead(options: LeadOptions) -> u8 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(led(options));
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            say(&format!("fleetsim: failed to start the runtime: {error}"));
            exit::ERROR
        }
    }
}

async fn led(options: LeadOptions) -> u8 {
    let Begun { mut writer, roster, exposition } = match begin(&options) {
        Ok(begun) => begun,
        Err((code, why)) => {
            say(&format!("fleetsim: failed to {why}"));
            return code;
        }
    };
    let dir = writer.dir().to_owned();
    let showing = Ui::start(options.ui, &dir, || led_info(&options.plan, &roster, options.slices, &dir))
        .and_then(|(ui, stops)| Ok((ui, StopRequests::listen(stops)?)));
    let (ui, mut stop) = match showing {
        Ok(showing) => showing,
        Err(error) => {
            let failed = outcome::never_begun(&mut writer, &LeadError::failed(format!("show the run: {error}")));
            return Ui::Plain.conclude(writer.manifest(), &dir, &failed.failures, failed.code);
        }
    };
    if let Some(exposition) = &exposition {
        exposition.begin(RunLabels {
            scenario: options.plan.name.clone(),
            run: dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            seed: options.plan.seed,
            version: env!("CARGO_PKG_VERSION"),
        });
        ui.announce(&format!("metrics: {}", exposition.url()));
    }
    let conducted =
        course::conduct(&options, &roster, &mut writer, outputs::Outputs { ui: &ui, exposition: exposition.as_ref() }, &mut stop)
            .await;
    let concluded = outcome::conclude(conducted, writer, &ui).await;
    if let Some(exposition) = &exposition {
        exposition.conclude(concluded.manifest.verdict);
    }
    if !stop.was_asked() && concluded.manifest.totals.run_s > 0 {
        ui.finished(&concluded.manifest, stop.next()).await;
    }
    let code = ui.conclude(&concluded.manifest, &dir, &concluded.failures, concluded.code);
    match options.outlets.ci.write(&concluded.manifest, &dir) {
        Ok(()) => code,
        Err(error) => {
            say(&format!("fleetsim: failed to {error}"));
            exit::ERROR
        }
    }
}

/// What a run is shown and kept by.
struct Begun {
    writer: ResultsWriter,
    roster: Roster,
    exposition: Option<Exposition>,
}

/// Makes the results folder; the exit code and why not.
fn begin(options: &LeadOptions) -> Result<Begun, (u8, String)> {
    let failed = |error: &dyn std::fmt::Display| (exit::ERROR, error.to_string());
    options.outlets.ci.check().map_err(|error| failed(&error))?;
    let exposition = options.outlets.metrics.map(Exposition::start).transpose().map_err(|error| failed(&error))?;
    let roster = Roster::new(&options.plan).map_err(|error| failed(&format_args!("name a thing: {error}")))?;
    let on = RunsOn { mode: Mode::Merged, host: preflight::facts(), shards: options.slices as usize, shard: None };
    let writer = results_folder::create(options.out.as_deref(), &options.plan, &roster, &on).map_err(|error| match error {
        ReportError::NotEmpty { .. } => (exit::USAGE, error.to_string()),
        error => failed(&error),
    })?;
    if options.out.is_none() {
        results_folder::point_latest(writer.dir());
    }
    Ok(Begun { writer, roster, exposition })
}

/// By which a run is called that nobody has named, and what its jobs' ids end with.
fn default_run() -> (RunId, String) {
    let jobs_id = fine_stamp();
    let run = format!("{jobs_id}-{}", std::process::id());
    (run.parse().expect("digits, letters and - are fit for an id"), jobs_id)
}
