//! Ids of jobs that carry the id of a run, `fw-2-4-1-20260131T120000Z`: where ids are kept for good, each run needs its own. What is drawn
//! for a job does not depend on the run.

/// The id of a job in a run.
#[must_use]
pub fn with_run_id(job: &str, run: &str) -> String {
    format!("{job}-{run}")
}

/// The id of a job without the run's, if it has one.
#[must_use]
pub fn without_run_id(job: &str) -> &str {
    let is_run_id = |text: &str| {
        let moment = text.strip_suffix('Z').and_then(|text| text.split_once('T'));
        let is_number = |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
        moment.is_some_and(|(day, time)| day.len() == 8 && is_number(day, 8) && is_number(time, 6))
    };
    job.rsplit_once('-').filter(|(_, run)| is_run_id(run)).map_or(job, |(job, _)| job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_run_is_found_again_and_nothing_else_is_taken_for_one() {
        for run in ["20260131T120000Z", "20260131T1200005Z"] {
            assert_eq!(without_run_id(&with_run_id("fw-2-4-1", run)), "fw-2-4-1");
        }
        for job in
            ["fw", "fw-1", "fw-20260131", "fw-20260131T1200Z", "20260131T120000Z", "fw-2026013xT120000Z", "fw-20260131T120000"]
        {
            assert_eq!(without_run_id(job), job);
        }
    }
}
