//! `fleetsim run`, and a run that is one step of a search: builds everything from the plan, conducts it, and says how it went. Wiring and
//! life cycle, nothing else.

mod assembly;
mod child;
mod cohorts;
mod conclusion;
mod conductor;
mod course;
pub(crate) mod denials;
mod error;
mod fleet;
pub(crate) mod hosting;
pub(crate) mod jobs;
pub(crate) mod led;
mod measure;
mod observe;
mod options;
pub(crate) mod prediction;
mod process;
mod progress;
pub(crate) mod run_info;
mod series;
mod setup;
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
pub use options::{Outlets, RunOptions, StepReport};
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
use crate::report::{ReportError, ResultsWriter};
use crate::results_folder;
use crate::stop::StopRequests;
use conclusion::conclude;
use course::carry_out;
use error::RunError;
use led::Led;
use run_info::run_info;
use setup::{Setup, prepare};
use tokio::runtime::Runtime;
use ui::{Ui, say};

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
