//! What a dashboard must know of a run besides its seconds.

use super::Setup;
use crate::scenario::plan::{EndPlan, EndWhen, Plan};
use crate::tui::app::RunInfo;
use iot_jobs::JobId;
use load_metrics::format::grouped;
use sim_units::text::duration_text;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run_info(setup: &Setup, dir: &Path) -> RunInfo {
    let Setup { plan, roster, host, shards, shard, title, .. } = setup;
    RunInfo {
        name: shard.map_or_else(|| plan.name.clone(), |shard| format!("{}, shard {}", plan.name, shard.slice)),
        seed: plan.seed,
        things: Arc::clone(roster.things()),
        slice: setup.slice(),
        shards: *shards,
        cores: host.cores,
        descriptors_max: host.descriptors,
        end: end_in_words(&plan.end),
        duration: match plan.end.when {
            EndWhen::Duration(duration) => Some(duration.min(plan.end.limit)),
            EndWhen::ExecutionsDone { .. } | EndWhen::Idle(_) => None,
        },
        results: dir.display().to_string(),
        rates: rates(plan),
        title: title.clone(),
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
