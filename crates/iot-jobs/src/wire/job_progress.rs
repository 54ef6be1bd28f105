//! How a job stands, as DescribeJob tells its creator (PROTOCOL 11.3).

use super::control::invalid;
use super::job::ProcessDetails;
use super::json::{self, Object};
use crate::{ControlError, JobStatus};
use serde::Deserialize;

/// What DescribeJob says of how far a job has come.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JobProgress {
    status: String,
    #[serde(default)]
    job_process_details: ProcessDetails,
}

impl JobProgress {
    /// # Errors
    /// `InvalidRequest` for a body that is no answer to DescribeJob.
    pub fn parse(body: &[u8]) -> Result<Self, ControlError> {
        #[derive(Deserialize)]
        struct Answer {
            job: Object<JobProgress>,
        }
        let answer: Answer = json::object(body).map_err(|error| invalid(format!("the answer to DescribeJob: {error}")))?;
        Ok(answer.job.0)
    }

    /// Whether every execution that a job for `targets` things will have has ended. A job that was aborted leaves things without one;
    /// a continuous one stays `IN_PROGRESS` for things that may still come.
    #[must_use]
    pub fn is_over(&self, targets: u64) -> bool {
        let details = &self.job_process_details;
        let is_open = details.number_of_queued_things + details.number_of_in_progress_things > 0;
        let is_rolling_out = !details.processing_targets.is_empty() || details.all() < targets;
        let has_ended = |status: JobStatus| self.status == status.as_str();
        match is_open {
            true => false,
            false if has_ended(JobStatus::Completed) || has_ended(JobStatus::Canceled) => true,
            false => has_ended(JobStatus::InProgress) && !is_rolling_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(status: &str, details: &str) -> bool {
        let body = format!(r#"{{"job":{{"jobId":"j","status":"{status}","jobProcessDetails":{{{details}}}}}}}"#);
        JobProgress::parse(body.as_bytes()).unwrap().is_over(3)
    }

    #[test]
    fn a_job_is_over_when_nothing_is_open_and_nothing_will_be() {
        let all = r#""numberOfSucceededThings":2,"numberOfFailedThings":1"#;
        let two = r#""numberOfSucceededThings":2"#;
        let open = r#""numberOfSucceededThings":2,"numberOfInProgressThings":1"#;
        let rolling = r#""numberOfSucceededThings":3,"processingTargets":["arn"]"#;
        for (status, details, expected) in [
            ("SCHEDULED", "", false),
            ("IN_PROGRESS", "", false),
            ("IN_PROGRESS", two, false),
            ("IN_PROGRESS", open, false),
            ("IN_PROGRESS", rolling, false),
            ("IN_PROGRESS", all, true),
            ("COMPLETED", all, true),
            ("CANCELED", two, true),
            ("CANCELED", open, false),
        ] {
            assert_eq!(is_over(status, details), expected, "{status} {details}");
        }
        assert!(JobProgress::parse(b"{}").is_err());
    }
}
