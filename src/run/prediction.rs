//! Measured over predicted: a run against an endpoint with quotas is forecast first, and then compared with that.

use crate::forecast::{self, ForecastError};
use crate::report::{FORECAST_FOLDER, PredictedRollout, RolloutTotals};
use crate::roster::Roster;
use crate::scenario::plan::{Plan, TargetPlan};
use iot_endpoint::quotas::QuotasChoice;
use load_metrics::MILESTONES;
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;

/// The error that a forecast states: so much of the time, and no less than a few seconds.
const ERROR_SHARE: f64 = 0.05;
const ERROR_S: f64 = 2.0;

/// Whether the endpoint has quotas, so that how long a rollout takes is more than arithmetic.
fn is_worth_it(plan: &Plan) -> bool {
    let has_quotas = match &plan.target {
        TargetPlan::Emulator(emulator) => emulator.endpoint.quotas != QuotasChoice::None,
        TargetPlan::Aws(_) => true,
        TargetPlan::Mqtt(_) => false,
    };
    has_quotas && !plan.rollouts.is_empty()
}

/// A forecast in the making, beside the preparations of the run.
pub(crate) struct Prediction(Option<JoinHandle<Result<Vec<RolloutTotals>, ForecastError>>>);

impl Prediction {
    /// Only where it `is_wanted`, and worth it. Must be called within a runtime.
    pub(crate) fn start(plan: &Plan, roster: &Roster, results: &Path, is_wanted: bool) -> Self {
        let (plan, roster, dir): (Plan, Roster, PathBuf) = (plan.clone(), roster.clone(), results.join(FORECAST_FOLDER));
        Self(
            (is_wanted && is_worth_it(&plan)).then(|| tokio::task::spawn_blocking(move || forecast::predict(&plan, &roster, &dir))),
        )
    }

    /// The jobs of the forecast; none where it is not worth it, or could not be made, which the log tells: a run does without.
    pub(crate) async fn made(self) -> Vec<RolloutTotals> {
        let Some(making) = self.0 else { return Vec::new() };
        match making.await {
            Ok(Ok(rollouts)) => rollouts,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the forecast of this run");
                Vec::new()
            }
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

/// How far the jobs of a run are from those of its forecast.
pub(crate) fn compare(predicted: &[RolloutTotals], measured: &[RolloutTotals]) -> Vec<PredictedRollout> {
    let of_job = |rollout: &RolloutTotals| {
        let is = measured.iter().find(|is| is.job == rollout.job)?;
        let errors = rollout.seconds_to.iter().zip(&is.seconds_to).map(|pair| match pair {
            (Some(predicted), Some(measured)) if *predicted > 0.0 => Some(measured / predicted - 1.0),
            _ => None,
        });
        Some(PredictedRollout { job: rollout.job.clone(), seconds_to: rollout.seconds_to.clone(), error_share: errors.collect() })
    };
    predicted.iter().filter_map(of_job).collect()
}

/// What differs by more than the error that a forecast states, in words.
pub(crate) fn findings(predicted: &[PredictedRollout]) -> Vec<String> {
    let of_job = |rollout: &PredictedRollout| {
        let milestones = MILESTONES.iter().zip(rollout.seconds_to.iter().zip(&rollout.error_share));
        let is_off = |(percent, (seconds, error)): (&u64, (&Option<f64>, &Option<f64>))| {
            let (seconds, error) = ((*seconds)?, (*error)?);
            let is_off = (error * seconds).abs() > (ERROR_SHARE * seconds).max(ERROR_S);
            is_off.then_some((*percent, seconds, seconds * (1.0 + error)))
        };
        let (percent, predicted, measured) = milestones.filter_map(is_off).next_back()?;
        Some(format!(
            "job {}: {percent} % were done after {measured:.0} s, and the forecast predicted {predicted:.0} s, a deviation above its stated error of \
             {:.0} % ({FORECAST_FOLDER}/ has it in full)",
            rollout.job,
            ERROR_SHARE * 100.0
        ))
    };
    predicted.iter().filter_map(of_job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn job(seconds: [f64; 4]) -> RolloutTotals {
        RolloutTotals {
            job: "fw".into(),
            targets: Some(10),
            executions: BTreeMap::new(),
            repeated: 0,
            done_share: Some(1.0),
            seconds_to: seconds.map(Some).to_vec(),
        }
    }

    #[test]
    fn what_is_within_the_error_is_no_finding_and_what_is_not_is_told_at_its_latest() {
        let predicted = [job([100.0, 180.0, 198.0, 200.0])];
        let close = compare(&predicted, &[job([104.0, 175.0, 200.0, 209.0])]);
        assert!((close[0].error_share[0].unwrap() - 0.04).abs() < 1e-9);
        assert!(findings(&close).is_empty());
        let off = compare(&predicted, &[job([100.0, 180.0, 198.0, 230.0])]);
        assert_eq!(findings(&off).len(), 1);
        assert!(
            findings(&off)[0].contains("100 % were done after 230 s, and the forecast predicted 200 s"),
            "{:?}",
            findings(&off)
        );
        let short = compare(&[job([1.0, 2.0, 3.0, 4.0])], &[job([2.0, 3.0, 4.0, 5.9])]);
        assert!(findings(&short).is_empty(), "a second or two are no evidence");
    }

    #[test]
    fn a_job_that_was_not_done_has_no_error() {
        let mut open = job([50.0, 60.0, 70.0, 80.0]);
        open.seconds_to[3] = None;
        let compared = compare(&[job([50.0, 60.0, 70.0, 80.0])], &[open]);
        assert_eq!(compared[0].error_share, [Some(0.0), Some(0.0), Some(0.0), None]);
    }
}
