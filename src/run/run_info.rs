//! What a dashboard must know of a run besides its seconds.

use super::setup::Setup;
use crate::preflight::{self, HostFacts};
use crate::roster::Roster;
use crate::scenario::plan::{EndPlan, EndWhen, Plan};
use crate::slice::Slice;
use crate::tui::app::RunInfo;
use iot_jobs::JobId;
use load_metrics::format::grouped;
use sim_units::text::duration_text;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run_info(setup: &Setup, dir: &Path) -> RunInfo {
    let Setup { plan, roster, host, shards, shard, title, .. } = setup;
    let whole = whole(plan, roster, host, dir);
    let name = shard.as_ref().map_or_else(|| whole.name.clone(), |shard| format!("{}, slice {}", plan.name, shard.slice));
    RunInfo { name, slice: setup.slice(), shards: *shards, title: title.clone(), ..whole }
}

/// The same of a run whose things are driven by workers.
pub(crate) fn led_info(plan: &Plan, roster: &Roster, slices: u32, dir: &Path) -> RunInfo {
    let (shards, workers) = (slices as usize, slices as usize);
    RunInfo { shards, workers, ..whole(plan, roster, &preflight::facts(), dir) }
}

/// Of a run that nobody shares, without its threads.
fn whole(plan: &Plan, roster: &Roster, host: &HostFacts, dir: &Path) -> RunInfo {
    RunInfo {
        name: plan.name.clone(),
        seed: plan.seed,
        things: Arc::clone(roster.things()),
        slice: Slice::WHOLE,
        shards: 0,
        workers: 0,
        cores: host.cores,
        descriptors_max: host.descriptors,
        end: end_in_words(&plan.end),
        duration: duration(&plan.end),
        results: dir.display().to_string(),
        rates: rates(plan),
        title: None,
    }
}

fn duration(end: &EndPlan) -> Option<Duration> {
    match end.when {
        EndWhen::Duration(duration) => Some(duration.min(end.limit)),
        EndWhen::ExecutionsDone { .. } | EndWhen::Idle(_) => None,
    }
}

/// Planned executions a minute, by job.
fn rates(plan: &Plan) -> BTreeMap<JobId, u32> {
    let paced = plan.rollouts.iter().filter_map(|rollout| Some((rollout, rollout.rate_per_minute()?)));
    paced.flat_map(|(rollout, rate)| rollout.jobs.iter().map(move |job| (job.clone(), rate))).collect()
}

fn end_in_words(end: &EndPlan) -> String {
    let limit = duration_text(end.limit);
    match end.when {
        EndWhen::ExecutionsDone { expect: None } => format!("executions done, {limit} at most"),
        EndWhen::ExecutionsDone { expect: Some(expect) } => format!("{} executions done, {limit} at most", grouped(expect)),
        EndWhen::Duration(duration) => format!("after {}", duration_text(duration.min(end.limit))),
        EndWhen::Idle(idle) => format!("idle for {}, {limit} at most", duration_text(idle)),
    }
}
