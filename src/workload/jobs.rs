//! The jobs of a plan as CreateJob is called for them.

use crate::scenario::plan::{Plan, RolloutPlan, TargetPlan};
use iot_jobs::{ControlError, CreateJob, JobConfig, JobDocument, JobId, JobTarget};

/// Job `n` of a rollout of `plan`, as CreateJob is called for it; `document` in place of the rollout's own.
pub(crate) fn create_job(
    plan: &Plan,
    rollout: &RolloutPlan,
    n: usize,
    target: JobTarget,
    document: Option<&JobDocument>,
) -> CreateJob {
    let settings = rollout.settings.clone();
    let description = settings.config.description.or_else(|| Some(format!("fleetsim {}", plan.name)));
    CreateJob {
        target_selection: settings.target_selection,
        scheduling: settings.scheduling,
        namespace: rollout.namespace.clone(),
        template: rollout.template.clone(),
        config: JobConfig { description, ..settings.config },
        ..CreateJob::new(rollout.jobs[n].clone(), vec![target], document.unwrap_or(&rollout.document).clone())
    }
}

/// A job that the endpoint would refuse for its times.
#[derive(Debug, thiserror::Error)]
#[error("schedule job {job}: {why}")]
pub(crate) struct ScheduleError {
    job: JobId,
    why: ControlError,
}

/// Refuses what the endpoint of a run's own would refuse of schedules if the jobs were created at `now_ms`: later they are no better.
///
/// # Errors
/// With the first job whose times are out of their limits.
pub(crate) fn check_schedules(plan: &Plan, now_ms: i64) -> Result<(), ScheduleError> {
    let TargetPlan::Emulator(emulator) = &plan.target else { return Ok(()) };
    plan.rollouts.iter().try_for_each(|rollout| match &rollout.settings.scheduling {
        Some(scheduling) => scheduling
            .check(rollout.settings.target_selection, now_ms, emulator.endpoint.minute)
            .map_err(|why| ScheduleError { job: rollout.jobs[0].clone(), why }),
        None => Ok(()),
    })
}
