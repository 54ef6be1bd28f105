//! Ids of jobs in an account carry the run's: an account keeps an id until its job is deleted, and two runs may share it.

use crate::scenario::plan::{Plan, TargetPlan};
use crate::timestamp::fine_stamp;
use iot_jobs::{JobId, NameError};

/// A job's id that has no room for the run's.
#[derive(Debug, thiserror::Error)]
#[error("name job {job} of this run: {source}; in an account the ids of jobs end with the run's, here -{run}")]
pub(crate) struct RunIdError {
    job: JobId,
    run: String,
    source: NameError,
}

/// The run's id: when it starts, which all of its processes are told where there are several, as in RFC 3339.
pub(crate) fn run_id(start_at: Option<&str>) -> String {
    let digits = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect();
    start_at.map_or_else(fine_stamp, digits)
}

/// The plan with the ids that its jobs have in this run.
///
/// # Errors
/// When one of them is too long.
pub(crate) fn with_run_id(mut plan: Plan, run: &str) -> Result<Plan, RunIdError> {
    if matches!(plan.target, TargetPlan::Aws(_)) {
        for job in plan.rollouts.iter_mut().flat_map(|rollout| &mut rollout.jobs) {
            let named = JobId::new(&sim_units::run_id::with_run_id(job.as_str(), run));
            *job = named.map_err(|source| RunIdError { job: job.clone(), run: run.into(), source })?;
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: &str, job: &str) -> Plan {
        let text = format!(
            "name = 'x'\n[target]\nkind = '{kind}'\n{}\n[fleet]\nthings = 2\n[[rollout]]\njob = '{job}'\nat = '1s'\n[end]\nlimit = '9s'",
            if kind == "aws" { "tls = { cert = 'c', key = 'k' }" } else { "" }
        );
        crate::scenario::load("x", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn runs_of_one_second_have_ids_of_their_own() {
        let first = run_id(None);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let second = run_id(None);
        assert_ne!(first, second);
        assert_eq!(sim_units::run_id::without_run_id(&format!("fw-1-{first}")), "fw-1");
        let has_room = |chars: usize| with_run_id(plan("aws", &"x".repeat(chars)), &first).is_ok();
        assert_eq!([44, 45].map(has_room), [true, false]);
    }

    #[test]
    fn jobs_in_an_account_carry_the_id_of_the_run_and_others_do_not() {
        let run = run_id(Some("2026-11-29T18:30:00Z"));
        let id = |kind: &str, job: &str| with_run_id(plan(kind, job), &run).map(|plan| plan.rollouts[0].jobs[0].to_string());
        assert_eq!(id("aws", "fw-1").unwrap(), "fw-1-20261129T183000Z");
        assert_eq!(id("emulator", "fw-1").unwrap(), "fw-1");
        assert!(id("aws", &"x".repeat(47)).is_ok());
        let error = id("aws", &"x".repeat(48)).unwrap_err().to_string();
        assert!(error.contains("-20261129T183000Z") && error.contains("64"), "{error}");
    }
}
