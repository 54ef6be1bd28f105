//! What a run is made from, before anything is brought up.

use super::error::RunError;
use super::jobs::cleanup::JobsAfterwards;
use super::jobs::run_id::{run_id, with_run_id};
use super::measure::MeasurePlan;
use super::options::{Outlets, RunOptions};
use super::shard::{ShardOptions, ShardStart};
use crate::exposition::{Exposition, RunLabels};
use crate::preflight::{self, HostFacts};
use crate::report::{Mode, ResultsWriter};
use crate::results_folder::{self, RunsOn};
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use crate::workload::needs;
use std::path::{Path, PathBuf};

/// What a run is made from.
pub(super) struct Setup {
    pub(super) plan: Plan,
    pub(super) roster: Roster,
    pub(super) host: HostFacts,
    pub(super) shards: usize,
    pub(super) certs: Option<PathBuf>,
    pub(super) title: Option<String>,
    pub(super) shard: Option<ShardOptions>,
    pub(super) step: Option<MeasurePlan>,
    pub(super) jobs_afterwards: JobsAfterwards,
    pub(super) exposition: Option<Exposition>,
}

impl Setup {
    /// What this process drives of the fleet.
    pub(super) fn slice(&self) -> Slice {
        self.shard.as_ref().map_or(Slice::WHOLE, |shard| shard.slice)
    }
}

/// The results folder is there; nothing was started but the page of metrics.
pub(super) fn prepare(options: RunOptions) -> Result<(Setup, ResultsWriter), RunError> {
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
