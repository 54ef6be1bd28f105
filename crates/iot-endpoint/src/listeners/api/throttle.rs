//! Calls per second: which quota a call counts for (PROTOCOL 15.3, PROTOCOL-CORE 4.5), and AWS's answer to one too many.

use super::{Call, Refused};
use iot_jobs::wire::model::{JOBS, Operation, TEMPLATES};

/// # Errors
/// `ThrottlingException`, status 400 (PROTOCOL 2 fact 16).
pub(super) fn check(call: &Call<'_>) -> Result<(), Refused> {
    let shape = &call.service.shape;
    // What is no operation at all is refused as that.
    let is_admitted = call.operation.is_none_or(|operation| {
        if is_of_jobs(operation) { shape.admits_jobs_call(operation.name) } else { shape.admits_registry_call(operation.name) }
    });
    if is_admitted {
        return Ok(());
    }
    Err(Refused::new(400, "ThrottlingException", "Rate exceeded"))
}

fn is_of_jobs(operation: &Operation) -> bool {
    JOBS.iter().chain(TEMPLATES).any(|known| known.name == operation.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::wire::model::find;

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
            let found = find(method, &path).unwrap_or_else(|| panic!("{method} {path:?}"));
            assert_eq!(is_of_jobs(found).then_some(found.name), operation, "{method} {path:?}");
        }
    }
}
