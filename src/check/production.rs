//! The rollouts of a plan as a fleet in the field would do them, in units of the bill (PROTOCOL 16): no storm of connects, no telemetry, the
//! account's own minutes.

use crate::billing::BilledUnits;
use crate::roster::Roster;
use crate::scenario::plan::{CohortPlan, Plan, RolloutPlan, RolloutStart};
use iot_jobs::limits::{METERED_UNIT_BYTES, metered_units};
use iot_jobs::{RateIncrease, RolloutConfig};
use jobs_engine::quotas::Quotas;
use load_metrics::format::grouped;
use serde::Serialize;
use std::time::Duration;
use thing_agent::workflow::Workflow;

/// No rollout is followed further: over a year, at one execution a minute.
const MINUTES_MAX: u64 = 1_000_000;

/// What the rollouts take in production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Production {
    /// From the first job to the last end.
    pub minutes: u64,
    pub executions: u64,
    pub messages: u64,
    /// Of things that hold a connection, all the while.
    pub connection_minutes: u64,
    #[serde(skip)]
    pub assumptions: Vec<String>,
}

impl Production {
    /// `None` without rollouts. `executions` of the run so far count where they are more than the targets: retries.
    #[must_use]
    pub fn new(plan: &Plan, roster: &Roster, quotas: &Quotas, executions: u64) -> Option<Self> {
        if plan.rollouts.is_empty() {
            return None;
        }
        let minutes = minutes(plan, roster, quotas);
        let (mut planned, mut messages) = (0, 0);
        for (n, rollout) in plan.rollouts.iter().enumerate() {
            for (cohort, targets) in plan.cohorts.iter().zip(targets_by_cohort(plan, roster, n)) {
                let count = targets * rollout.jobs.len() as u64;
                planned += count;
                messages += count * of_execution(plan, rollout, cohort);
            }
        }
        let executions = if has_retries(plan) { executions.max(planned) } else { planned };
        // Those that are tried again have as many messages as the others.
        let messages = (u128::from(messages) * u128::from(executions)).div_ceil(u128::from(planned.max(1))) as u64;
        let polls: u64 =
            plan.cohorts.iter().zip(members(plan, roster)).map(|(cohort, things)| polls(cohort, things, minutes)).sum();
        let connected: u64 =
            plan.cohorts.iter().zip(members(plan, roster)).filter(|(cohort, _)| is_connected(cohort)).map(|(_, n)| n).sum();
        Some(Self {
            minutes,
            executions,
            messages: messages + polls,
            connection_minutes: connected * minutes,
            assumptions: assumptions(plan, quotas, minutes, connected, polls),
        })
    }

    /// For the bill.
    #[must_use]
    pub fn units(&self) -> BilledUnits {
        let Self { connection_minutes, messages, executions, .. } = *self;
        BilledUnits { messages, connection_minutes, executions, registry_operations: 0 }
    }
}

fn assumptions(plan: &Plan, quotas: &Quotas, minutes: u64, connected: u64, polls: u64) -> Vec<String> {
    let mut list = vec![
        "in production every execution makes all the updates of its behavior and one that ends it; one that fails earlier makes fewer".to_owned(),
        format!("in production the rollouts last {} min: queued at their rates, but no faster than the quota rollout_per_minute ({}), and then worked through in the behaviors' mean times", grouped(minutes), quotas.rollout_per_minute.map_or("unlimited".into(), |quota| grouped(u64::from(quota)))),
        format!("in production {} things stay connected throughout; their connects and telemetry are not counted", grouped(connected)),
        "things subscribe to notify and notify-next, and acknowledge all they get (QoS 1): 11 + 3n messages an execution with n updates (PROTOCOL 16, inferred)".to_owned(),
    ];
    let largest = plan.rollouts.iter().map(|rollout| rollout.document.as_json().len()).max().unwrap_or(0);
    if largest > METERED_UNIT_BYTES {
        list.push(format!(
            "a document of {} bytes is metered as {} messages each time it is sent",
            grouped(largest as u64),
            metered_units(largest)
        ));
    }
    if polls > 0 {
        list.push(format!("of the messages in production {} are polls", grouped(polls)));
    }
    if has_retries(plan) {
        list.push("retries (jobExecutionsRetryConfig) are counted as often as in this run".to_owned());
    }
    list
}

fn has_retries(plan: &Plan) -> bool {
    plan.rollouts.iter().any(|rollout| !rollout.settings.config.retry.is_empty())
}

fn is_connected(cohort: &CohortPlan) -> bool {
    !cohort.session.transport.is_http()
}

/// Things of each cohort.
fn members(plan: &Plan, roster: &Roster) -> Vec<u64> {
    count(plan, roster.cohorts().iter().copied())
}

/// Targets of a rollout in each cohort.
fn targets_by_cohort(plan: &Plan, roster: &Roster, rollout: usize) -> Vec<u64> {
    count(plan, roster.targets_of(rollout).iter().map(|place| roster.cohorts()[*place as usize]))
}

fn count(plan: &Plan, cohorts: impl Iterator<Item = u16>) -> Vec<u64> {
    let mut counts = vec![0; plan.cohorts.len()];
    cohorts.for_each(|cohort| counts[usize::from(cohort)] += 1);
    counts
}

/// A request and its answer; over MQTT the answer is acknowledged.
fn exchange(cohort: &CohortPlan) -> u64 {
    if is_connected(cohort) { 3 } else { 2 }
}

fn of_execution(plan: &Plan, rollout: &RolloutPlan, cohort: &CohortPlan) -> u64 {
    let behavior = &plan.behaviors[rollout.behavior.as_ref().unwrap_or(&cohort.behavior)];
    messages(cohort.workflow, exchange(cohort), 1 + u64::from(behavior.updates), metered_units(rollout.document.as_json().len()))
}

/// Messages of one execution with `updates`, its end being one. With a document of one unit and `start-next` over MQTT: 11 + 3 x updates.
fn messages(workflow: Workflow, exchange: u64, updates: u64, document: u64) -> u64 {
    // notify and notify-next when it comes and when it is over, each acknowledged.
    let notified = 8;
    // The document comes with notify-next, and with the answer to the first request.
    let more = document - 1;
    match workflow {
        Workflow::StartNext => notified + more + (exchange + more) + updates * exchange,
        // One request more: what to do is looked at, and then started with an update.
        Workflow::DescribeUpdate | Workflow::List => notified + more + (exchange + more) + (1 + updates) * exchange,
        Workflow::Poll(_) => (exchange + more) + updates * exchange,
        Workflow::None => 0,
    }
}

/// Messages of the polls of so many things.
fn polls(cohort: &CohortPlan, things: u64, minutes: u64) -> u64 {
    let Some(poll) = cohort.workflow.poll() else { return 0 };
    let each = Duration::from_secs(minutes * 60).as_nanos().div_ceil(poll.every.as_nanos().max(1));
    things * each as u64 * exchange(cohort)
}

/// From the first job to the last end, in minutes of AWS.
fn minutes(plan: &Plan, roster: &Roster, quotas: &Quotas) -> u64 {
    let start = |rollout: &RolloutPlan| rollout.delay + if let RolloutStart::At(at) = rollout.start { at } else { Duration::ZERO };
    let first = plan.rollouts.iter().map(start).min().unwrap_or_default();
    let end = |(n, rollout): (usize, &RolloutPlan)| {
        let offset = start(rollout).saturating_sub(first) + rollout.creation(rollout.jobs.len() - 1).saturating_sub(rollout.delay);
        let queued = queueing(roster.targets_of(n).len() as u64, &rollout.settings.config.rollout, quotas.rollout_per_minute);
        offset.as_secs_f64() / 60.0 + queued as f64 + work(plan, rollout).as_secs_f64() / 60.0
    };
    plan.rollouts.iter().enumerate().map(end).fold(0.0, f64::max).ceil().max(1.0) as u64
}

/// The mean time that the slowest of the behaviors takes.
fn work(plan: &Plan, rollout: &RolloutPlan) -> Duration {
    let behaviors = plan.cohorts.iter().map(|cohort| &plan.behaviors[rollout.behavior.as_ref().unwrap_or(&cohort.behavior)]);
    behaviors.map(|behavior| behavior.reaction.mean() + behavior.step.mean() * (behavior.updates + 1)).max().unwrap_or_default()
}

/// Minutes until all targets are queued; what is queued succeeds, where a rate grows with that.
fn queueing(targets: u64, config: &RolloutConfig, quota: Option<u32>) -> u64 {
    let most = config.maximum_per_minute.into_iter().chain(quota).min().map_or(targets, u64::from).max(1);
    let Some(exponential) = config.exponential else { return targets.div_ceil(most) };
    let (RateIncrease::NotifiedThings(step) | RateIncrease::SucceededThings(step)) = exponential.criterion;
    let (mut queued, mut minutes) = (0, 0);
    let factor = f64::from(exponential.increment_tenths) / 10.0;
    while queued < targets && minutes < MINUTES_MAX {
        let rises = i32::try_from(queued / step.max(1)).unwrap_or(i32::MAX);
        let rate = f64::from(exponential.base_per_minute) * factor.powi(rises);
        queued += (rate.min(most as f64) as u64).max(1);
        minutes += 1;
    }
    minutes
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::ExponentialRate;
    use thing_agent::workflow::Poll;

    fn plan(text: &str) -> Plan {
        crate::scenario::load("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn production(text: &str, executions: u64) -> Production {
        let plan = plan(text);
        let quotas = Quotas { rollout_per_minute: Some(1_000), ..Quotas::default() };
        Production::new(&plan, &Roster::new(&plan).unwrap(), &quotas, executions).unwrap()
    }

    /// PROTOCOL 16: 11 + 3n, 23 with n = 4.
    #[test]
    fn an_execution_has_as_many_messages_as_the_reference_says() {
        assert_eq!([1, 2, 4, 10].map(|n| messages(Workflow::StartNext, 3, n, 1)), [14, 17, 23, 41]);
        assert_eq!(messages(Workflow::DescribeUpdate, 3, 4, 1), 26, "a look and a start of its own");
        assert_eq!(messages(Workflow::StartNext, 3, 4, 3), 27, "two units more, twice");
        let poll = Workflow::Poll(Poll { every: Duration::from_secs(60), jitter: 0.0 });
        assert_eq!([3, 2].map(|exchange| messages(poll, exchange, 4, 1)), [15, 10]);
    }

    #[test]
    fn rates_are_followed_minute_by_minute() {
        let constant = |rate| RolloutConfig { maximum_per_minute: rate, exponential: None };
        assert_eq!(queueing(10_000, &constant(Some(12_000)), Some(1_000)), 10, "no faster than the account");
        assert_eq!(queueing(10_001, &constant(Some(500)), Some(1_000)), 21);
        assert_eq!(queueing(10_000, &constant(None), Some(1_000)), 10);
        assert_eq!(queueing(10_000, &constant(None), None), 1);
        // PROTOCOL 11.2: 50 a minute until 1,000, 100 until 2,000, 200 until 3,000.
        let criterion = RateIncrease::NotifiedThings(1_000);
        let exponential = ExponentialRate { base_per_minute: 50, increment_tenths: 20, criterion };
        let growing = RolloutConfig { maximum_per_minute: Some(1_000), exponential: Some(exponential) };
        assert_eq!([1_000, 2_000, 3_000].map(|targets| queueing(targets, &growing, None)), [20, 30, 35]);
    }

    const ROLLOUT: &str = "name = 'x'\nfleet.things = 10_000\n[behavior.b]\nreaction = '0s'\nupdates = 3\nstep = '15s'\n\
                           [[rollout]]\njob = 'fw'\nrate = '12000/min'\ndocument = {}\n";

    #[test]
    fn a_rollout_in_production_is_counted_by_hand() {
        let production = production(ROLLOUT, 0);
        // 10 minutes of queueing at the account's rate, and one of work.
        assert_eq!((production.minutes, production.executions), (11, 10_000));
        assert_eq!(production.messages, 10_000 * 23);
        assert_eq!(production.connection_minutes, 110_000);
        assert!(production.assumptions.iter().any(|line| line.contains("11 min") && line.contains("(1,000)")));
    }

    #[test]
    fn things_that_poll_hold_no_connection_over_http_and_ask_all_the_while() {
        let text = ROLLOUT.replace(
            "[behavior.b]",
            "cohort = [{ name = 'a', share = 0.5 }, { name = 'p', share = 0.5, transport = 'https-sigv4', workflow = 'poll', poll = { every = '30s' } }]\n[behavior.b]",
        );
        let production = production(&text, 0);
        assert_eq!(production.connection_minutes, 5_000 * 11);
        assert_eq!(production.messages, 5_000 * 23 + 5_000 * 10 + 5_000 * 22 * 2);
    }

    #[test]
    fn retries_are_as_many_as_in_the_run() {
        let text = format!(
            "{ROLLOUT}jobExecutionsRetryConfig = {{ criteriaList = [{{ failureType = 'FAILED', numberOfRetries = 2 }}] }}\n"
        );
        let with = production(&text, 10_100);
        assert_eq!((with.executions, with.messages), (10_100, 10_100 * 23));
        assert_eq!(production(&text, 9_000).executions, 10_000, "a run that ends early has queued fewer");
        assert_eq!(production(ROLLOUT, 10_100).executions, 10_000);
    }
}
