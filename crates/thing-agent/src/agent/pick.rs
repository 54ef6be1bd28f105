//! What a thing takes from the pending list, where it chooses by itself.

use crate::event::ExecutionKey;
use iot_jobs::{ExecutionSummary, PendingJobs};

fn key_of(summary: &ExecutionSummary) -> ExecutionKey {
    ExecutionKey { job: summary.job_id.clone(), number: summary.execution_number }
}

/// What is in progress comes first, since something interrupted it; then what has been queued longest. Of equals the first.
pub(super) fn pick(jobs: &PendingJobs) -> Option<ExecutionKey> {
    let oldest = |list: &[ExecutionSummary]| list.iter().min_by_key(|summary| summary.queued_at).map(key_of);
    oldest(&jobs.in_progress).or_else(|| oldest(&jobs.queued))
}

/// The execution in either list.
pub(super) fn find<'a>(jobs: &'a PendingJobs, key: &ExecutionKey) -> Option<&'a ExecutionSummary> {
    let is_it = |summary: &&ExecutionSummary| summary.job_id == key.job && summary.execution_number == key.number;
    jobs.in_progress.iter().chain(&jobs.queued).find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::JobId;
    use iot_jobs::instant::EpochSeconds;

    fn summary(job: &str, queued_at: i64) -> ExecutionSummary {
        ExecutionSummary {
            job_id: JobId::new(job).unwrap(),
            queued_at: EpochSeconds(queued_at),
            started_at: None,
            last_updated_at: EpochSeconds(queued_at),
            version_number: 1,
            execution_number: 1,
        }
    }

    #[test]
    fn what_is_in_progress_comes_first_and_then_the_oldest() {
        let picked = |jobs: &PendingJobs| pick(jobs).map(|key| key.job.to_string());
        let mut jobs = PendingJobs { in_progress: vec![], queued: vec![summary("b", 5), summary("a", 3), summary("c", 3)] };
        assert_eq!(picked(&jobs).as_deref(), Some("a"));
        jobs.in_progress.push(summary("d", 9));
        assert_eq!(picked(&jobs).as_deref(), Some("d"));
        assert_eq!(picked(&PendingJobs::default()), None);
    }
}
