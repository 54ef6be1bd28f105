//! Calls per second: which quota a call counts for (PROTOCOL 15.3), and AWS's answer to one too many.

use super::{Call, Refused};
use iot_jobs::wire::model::{JOBS, TEMPLATES};

/// # Errors
/// `ThrottlingException`, status 400 (PROTOCOL 2 fact 16).
pub(super) fn check(call: &Call<'_>) -> Result<(), Refused> {
    let shape = &call.service.shape;
    let is_admitted = match jobs_operation(call.method, call.path) {
        Some(operation) => shape.admits_jobs_call(operation),
        None => shape.admits_registry_call(),
    };
    if is_admitted {
        return Ok(());
    }
    Err(Refused::new(400, "ThrottlingException", "Rate exceeded"))
}

/// Each operation of the jobs control plane has a rate of its own.
fn jobs_operation(method: &str, path: &[&str]) -> Option<&'static str> {
    JOBS.iter().chain(TEMPLATES).find(|operation| operation.is(method, path)).map(|operation| operation.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart_by_method_and_path() {
        for (method, path, operation) in [
            ("PUT", "jobs/a", Some("CreateJob")),
            ("GET", "jobs/a", Some("DescribeJob")),
            ("GET", "jobs", Some("ListJobs")),
            ("PUT", "jobs/a/cancel", Some("CancelJob")),
            ("GET", "things/t/jobs", Some("ListJobExecutionsForThing")),
            ("DELETE", "things/t/jobs/a/executionNumber/1", Some("DeleteJobExecution")),
            ("PUT", "job-templates/a", Some("CreateJobTemplate")),
            ("GET", "managed-job-templates", Some("ListManagedJobTemplates")),
            ("POST", "things/t", None),
            ("PUT", "thing-groups/addThingToThingGroup", None),
            ("GET", "endpoint", None),
        ] {
            let path: Vec<&str> = path.split('/').collect();
            assert_eq!(jobs_operation(method, &path), operation, "{method} {path:?}");
        }
    }
}
