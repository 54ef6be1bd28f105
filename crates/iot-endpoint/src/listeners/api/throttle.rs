//! Calls per second: which quota a call counts for (PROTOCOL 15.3), and AWS's answer to one too many.

use super::{Call, Refused};

/// Operations of the jobs control plane, each with a rate of its own; `*` is any one segment (PROTOCOL 11.1).
const JOBS_OPERATIONS: [(&str, &[&str], &str); 13] = [
    ("PUT", &["jobs", "*"], "CreateJob"),
    ("GET", &["jobs", "*"], "DescribeJob"),
    ("PATCH", &["jobs", "*"], "UpdateJob"),
    ("DELETE", &["jobs", "*"], "DeleteJob"),
    ("GET", &["jobs"], "ListJobs"),
    ("GET", &["jobs", "*", "job-document"], "GetJobDocument"),
    ("POST", &["jobs", "*", "targets"], "AssociateTargetsWithJob"),
    ("PUT", &["jobs", "*", "cancel"], "CancelJob"),
    ("GET", &["jobs", "*", "things"], "ListJobExecutionsForJob"),
    ("GET", &["things", "*", "jobs"], "ListJobExecutionsForThing"),
    ("GET", &["things", "*", "jobs", "*"], "DescribeJobExecution"),
    ("PUT", &["things", "*", "jobs", "*", "cancel"], "CancelJobExecution"),
    ("DELETE", &["things", "*", "jobs", "*", "executionNumber", "*"], "DeleteJobExecution"),
];

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

fn jobs_operation(method: &str, path: &[&str]) -> Option<&'static str> {
    let fits =
        |pattern: &[&str]| pattern.len() == path.len() && pattern.iter().zip(path).all(|(want, have)| *want == "*" || want == have);
    JOBS_OPERATIONS.iter().find(|(wanted, pattern, _)| *wanted == method && fits(pattern)).map(|(_, _, name)| *name)
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
            ("POST", "things/t", None),
            ("PUT", "thing-groups/addThingToThingGroup", None),
            ("GET", "endpoint", None),
        ] {
            let path: Vec<&str> = path.split('/').collect();
            assert_eq!(jobs_operation(method, &path), operation, "{method} {path:?}");
        }
    }
}
