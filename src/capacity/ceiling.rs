//! The highest load that can be offered at all.

use super::load::{Driver, Load};
use super::step::Timing;
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use jobs_engine::quotas::{QuotaName, Quotas};
use load_metrics::format::grouped;

/// A load above which there is none to try.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ceiling {
    /// In the unit of the load.
    pub(super) highest: f64,
    /// Why there is no higher one, in words.
    pub(super) why: String,
    /// The quota of the endpoint that refuses more, where it is one.
    pub(super) quota: Option<String>,
}

/// The lowest of all ceilings, `to` of the command line among them; `None` where there is none.
pub(super) fn ceiling(
    load: &Load,
    plan: &Plan,
    roster: &Roster,
    timing: Timing,
    quotas: Option<&Quotas>,
    to: Option<f64>,
) -> Option<Ceiling> {
    let to = to.map(|highest| Ceiling { highest, why: "--to".into(), quota: None });
    let all = [to, of_quota(load, quotas), of_periods(load), of_supply(load, plan, roster, timing)];
    all.into_iter().flatten().min_by(|one, other| one.highest.total_cmp(&other.highest))
}

/// A job that is to be queued faster is refused.
fn of_quota(load: &Load, quotas: Option<&Quotas>) -> Option<Ceiling> {
    let path: Vec<&str> = load.path.split('.').collect();
    let (Driver::Rollout, ["rollout", _, "rate"]) = (load.driver, &path[..]) else { return None };
    let name = QuotaName::RolloutPerMinute;
    let most = quotas?.get(name)?;
    let quota = format!("{}.{}", name.section(), name.key());
    let why = format!("quota {quota}: CreateJob refuses a job of more than {} executions a minute", grouped(most.into()));
    Some(Ceiling { highest: load.of_events(most.into(), 60.0)?, why, quota: Some(quota) })
}

fn of_periods(load: &Load) -> Option<Ceiling> {
    let (Driver::Polls | Driver::Telemetry) = load.driver else { return None };
    let (_, highest) = load.of_periods()?;
    Some(Ceiling { highest, why: "a thing does so at most every 10ms; a higher fleet.things allows more".into(), quota: None })
}

/// Who connects, and whom a job is for, does so once: loads above this one cannot be offered for a whole step.
fn of_supply(load: &Load, plan: &Plan, roster: &Roster, timing: Timing) -> Option<Ceiling> {
    let path: Vec<&str> = load.path.split('.').collect();
    // The second in which the load begins is not whole.
    let seconds = timing.seconds() + f64::from(load.driver != Driver::Connects);
    let (supply, what) = match (load.driver, &path[..]) {
        (Driver::Connects, ["cohort", name, ..]) => {
            let place = plan.cohorts.iter().position(|cohort| cohort.name == *name)?;
            let things = roster.cohorts().iter().filter(|cohort| usize::from(**cohort) == place).count();
            (things as u64, "things of the cohort that connect")
        }
        (Driver::Connects, _) => {
            let is_one = |place: &u16| plan.cohorts[usize::from(*place)].connect.is_none();
            (roster.cohorts().iter().filter(|place| is_one(place)).count() as u64, "things that connect")
        }
        (Driver::Rollout, ["rollout", name, "rate"]) => {
            let place = plan.rollouts.iter().position(|rollout| rollout.name == *name)?;
            (roster.targets_of(place).len() as u64, "things that the job is for")
        }
        _ => return None,
    };
    let highest = load.of_events(supply, seconds)?;
    let why = format!(
        "the {} {what} suffice for no more in the {seconds} s of a step; a higher fleet.things allows more",
        grouped(supply)
    );
    Some(Ceiling { highest, why, quota: None })
}
