//! The run that a step of a search is: its plan.

use super::load::{Driver, Load};
use crate::run::{LoadBegins, MeasurePlan};
use crate::scenario::plan::{CohortPlan, EndPlan, EndWhen, Plan, RolloutStart};
use crate::scenario::{Problems, Source};
use load_metrics::{Metric, Operation};
use std::time::Duration;
use thing_agent::arrivals::ArrivalKind;

/// How much longer than planned it may take until the load begins.
const SLACK: Duration = Duration::from_secs(60);

/// How long the steps of a search are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Seconds of the load that count.
    pub step: u64,
    /// Seconds of the load before them.
    pub warm_up: u64,
}

impl Timing {
    pub(super) fn seconds(self) -> f64 {
        (self.step + self.warm_up) as f64
    }

    fn lasts(self) -> Duration {
        Duration::from_secs(self.step + self.warm_up)
    }
}

/// Makes the runs.
pub(super) struct Steps {
    pub(super) source: Source,
    pub(super) load: Load,
    pub(super) seed: u64,
    pub(super) timing: Timing,
}

impl Steps {
    /// The run of this step, with a seed of its own: a trial that is repeated is to be another one.
    ///
    /// # Errors
    /// With why the scenario does not take the load.
    pub(super) fn plan(&self, step: u32, offered: f64) -> Result<(Plan, MeasurePlan), Problems> {
        let source = self.source.clone().with(&self.load.path, self.load.setting(offered));
        let mut plan = source.with("seed", (self.seed + u64::from(step)).to_string()).load()?;
        let lead = lead(self.load.driver, &plan);
        let lasts = lead + self.timing.lasts();
        plan.end = EndPlan { when: EndWhen::Duration(lasts), limit: lasts + lead + SLACK };
        let per_s = self.load.per_s(offered);
        let measure = MeasurePlan {
            begins: match self.load.driver {
                Driver::Connects => LoadBegins::AtOnce,
                Driver::Rollout => LoadBegins::Rollout,
                Driver::Polls | Driver::Telemetry | Driver::Things | Driver::Other => LoadBegins::Connected,
            },
            warm_up: self.timing.warm_up,
            seconds: self.timing.step,
            planned: self.load.driver.operation().zip(per_s),
        };
        Ok((plan, measure))
    }

    /// How long a step takes, if all goes as planned.
    pub(super) fn lasts(&self, plan: &Plan) -> Duration {
        lead(self.load.driver, plan) + self.timing.lasts()
    }
}

/// From the first connect to when the load begins, as planned.
fn lead(driver: Driver, plan: &Plan) -> Duration {
    if driver == Driver::Connects {
        return Duration::ZERO;
    }
    let things = plan.fleet.things as f64;
    let connecting = |cohort: &CohortPlan| {
        let (connect, share) = cohort.connect.map_or((plan.fleet.connect, 1.0), |connect| (connect, cohort.share));
        match connect.arrival {
            ArrivalKind::Burst => 0.0,
            _ => share * things / connect.rate_per_s,
        }
    };
    let connected = plan.cohorts.iter().map(connecting).fold(0.0, f64::max);
    let connected = Duration::try_from_secs_f64(connected).unwrap_or(Duration::MAX / 8);
    let rollout = plan.rollouts.iter().map(|rollout| match rollout.start {
        RolloutStart::Connected => connected + rollout.creation(0),
        RolloutStart::At(at) => at + rollout.creation(0),
    });
    match driver {
        Driver::Rollout => rollout.min().unwrap_or(connected),
        _ => connected,
    }
}

/// Whose times and errors are shown: what the first threshold on a time is about, else what the load makes things do.
pub(super) fn operation(plan: &Plan, load: &Load) -> Operation {
    let of_thresholds = plan.thresholds.iter().find_map(|threshold| match threshold.metric {
        // What happens before the load begins has no time.
        Metric::Latency(operation, ..) if load.driver == Driver::Connects || !operation.is_connecting() => Some(operation),
        _ => None,
    });
    of_thresholds.or_else(|| load.driver.operation()).unwrap_or(Operation::StartNext)
}
