//! How the things of each cohort work, as the plan says it.

use crate::roster::Roster;
use crate::scenario::plan::{CohortPlan, Plan, Transport};
use iot_jobs::JobId;
use std::collections::BTreeMap;
use std::sync::Arc;
use thing_agent::AgentSettings;
use thing_agent::behavior::Behavior;
use thing_faults::{Fault, FaultProbability, FaultSpec};

/// How the things of each cohort work, in the order of the plan's cohorts.
pub(crate) fn agents(plan: &Plan, roster: &Roster) -> Vec<Arc<AgentSettings>> {
    let behavior_of_job = behavior_of_job(plan, roster);
    plan.cohorts.iter().map(|cohort| Arc::new(agent(plan, roster, cohort, behavior_of_job.clone()))).collect()
}

fn agent(plan: &Plan, roster: &Roster, cohort: &CohortPlan, behavior_of_job: BTreeMap<JobId, Behavior>) -> AgentSettings {
    let session = &cohort.session;
    AgentSettings {
        seed: plan.seed,
        workflow: cohort.workflow,
        namespace: cohort.namespace.clone(),
        behavior: behavior(plan, roster, &cohort.behavior),
        behavior_of_job,
        answer_timeout: session.answer_timeout,
        retry: session.retry,
        ask_again: AgentSettings::ASK_AGAIN,
        fetches: fetches(plan, cohort),
    }
}

fn behavior_of_job(plan: &Plan, roster: &Roster) -> BTreeMap<JobId, Behavior> {
    let named = plan.rollouts.iter().filter_map(|rollout| Some((rollout, behavior(plan, roster, rollout.behavior.as_ref()?))));
    named.flat_map(|(rollout, behavior)| rollout.jobs.iter().map(move |job| (job.clone(), behavior.clone()))).collect()
}

/// Whether the things of a cohort look for files in documents: where a job has one, and where they must not do without a signature.
pub(crate) fn fetches(plan: &Plan, cohort: &CohortPlan) -> bool {
    cohort.verify_signature || plan.rollouts.iter().any(|rollout| rollout.artifact.is_some())
}

/// The behavior of that name, its rates dealt to the things that have it.
fn behavior(plan: &Plan, roster: &Roster, name: &str) -> Behavior {
    let mut behavior = plan.behaviors[name].clone();
    if behavior.faults.iter().any(|spec| matches!(spec.probability, FaultProbability::Rate(_))) {
        let things = roster.things_with(plan, name);
        behavior.faults = behavior.faults.iter().map(|spec| spec.dealt(things)).collect();
    }
    behavior
}

/// What goes wrong on purpose with connections.
pub(crate) fn connection_faults(behavior: &Behavior) -> Arc<[FaultSpec]> {
    let is_of_connections = |spec: &&FaultSpec| !spec.fault.is_of_work() && spec.fault != Fault::NoNotifyNext;
    behavior.faults.iter().filter(is_of_connections).cloned().collect()
}

/// The place of a cohort's transport among the run's.
pub(crate) fn place_of_transport(transports: &[Transport], cohort: &CohortPlan) -> u8 {
    let place = (0..).zip(transports).find(|(_, transport)| **transport == cohort.session.transport);
    place.map(|(place, _)| place).expect("the run's transports are those of its cohorts")
}
