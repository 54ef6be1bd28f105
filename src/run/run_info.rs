//! What a dashboard must know of a run besides its seconds.

use super::Setup;
use crate::preflight;
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
    RunInfo {
        name: shard.as_ref().map_or_else(|| plan.name.clone(), |shard| format!("{}, shard {}", plan.name, shard.slice)),
        seed: plan.seed,
        things: Arc::clone(roster.things()),
        slice: setup.slice(),
        shards: *shards,
        workers: 0,
        cores: host.cores,
        descriptors_max: host.descriptors,
        end: end_in_words(&plan.end),
        duration: duration(&plan.end),
        results: dir.display().to_string(),
        rates: rates(plan),
        title: title.clone(),
    }
}

/// The same of a run whose things are driven by workers.
pub(crate) fn led_info(plan: &Plan, roster: &Roster, slices: u32, dir: &Path) -> RunInfo {
    let host = preflight::facts();
    RunInfo {
        name: plan.name.clone(),
        seed: plan.seed,
        things: Arc::clone(roster.things()),
        slice: Slice::WHOLE,
        shards: slices as usize,
        workers: slices as usize,
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
