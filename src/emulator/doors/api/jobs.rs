//! Operations on jobs and their executions.

use super::{Answer, Call, Refused, empty, invalid};
use crate::jobs::{JobId, ThingName};
use crate::wire::control;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("PUT", ["jobs", job]) => create_job(call, job),
        ("GET", ["jobs", job]) => describe_job(call, job),
        ("PUT", ["jobs", job, "cancel"]) => cancel_job(call, job),
        ("DELETE", ["things", thing, "jobs", job, "executionNumber", number]) => delete_execution(call, thing, job, number),
        _ => return None,
    })
}

fn create_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let create = control::parse_create_job(job, call.body)?;
    let (job, description) = (create.job_id.clone(), create.description.clone());
    call.service.call(|engine, now| engine.create_job(create, now))?;
    Ok(control::encode_job_answer(&job, description.as_deref()))
}

fn describe_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let job = JobId::new(job).map_err(invalid)?;
    let description = call.service.call(|engine, _| engine.describe_job(&job))?;
    Ok(control::encode_describe_job(&description))
}

fn cancel_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let job = JobId::new(job).map_err(invalid)?;
    let cancel = control::parse_cancel_job(call.body, call.query.flag("force"))?;
    call.service.call(|engine, now| engine.cancel_job(&job, cancel, now))?;
    Ok(control::encode_job_answer(&job, None))
}

fn delete_execution(call: &Call<'_>, thing: &str, job: &str, number: &str) -> Result<Answer, Refused> {
    let (thing, job) = (ThingName::new(thing).map_err(invalid)?, JobId::new(job).map_err(invalid)?);
    let number = number.parse().map_err(|_| invalid(format!("executionNumber must be an integer, not {number:?}")))?;
    call.service.call(|engine, now| engine.delete_execution(&thing, &job, number, call.query.flag("force"), now))?;
    Ok(empty())
}
