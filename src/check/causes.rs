//! Which setting of the scenario asks for a peak, and which value of it would fit.

use super::loads::{Load, Value, loads, things};
use crate::scenario::plan::{CohortPlan, Plan, RolloutPlan};
use jobs_engine::quotas::QuotaName;
use serde::Serialize;
use std::time::Duration;
use thing_agent::telemetry::PayloadBytes;
use thing_faults::{Fault, Setting};

/// A smaller part of the largest is not worth a word.
const WORTH: f64 = 0.1;
const SECOND: Duration = Duration::from_secs(1);

/// A setting that asks for a peak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// Path and value, as the scenario has them.
    pub setting: String,
    /// What it asks for by itself, by estimate, in the quota's unit.
    pub asks: f64,
    /// The value that fits, the rest being as it is; only of the first cause, and where it follows by simple arithmetic.
    pub fits: Option<String>,
}

/// A setting and what it asks of one quota.
struct Part {
    path: String,
    value: Value,
    times: Option<String>,
    amount: f64,
}

impl Part {
    fn new(path: impl Into<String>, value: Value, amount: f64) -> Self {
        Self { path: path.into(), value, times: None, amount }
    }

    fn setting(&self) -> String {
        let times = self.times.as_ref().map(|times| format!(" x {times}")).unwrap_or_default();
        format!("{} = {}{times}", self.path, self.value.text())
    }
}

/// When something is asked.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// From the first connect arrival.
    pub(super) at: Duration,
    /// What was counted in the second, or minute, from then on; `None`: it was not told.
    pub(super) counted: Option<u64>,
}

/// The settings behind what is asked then, the largest first.
pub(super) fn causes(plan: &Plan, name: QuotaName, moment: Moment, limit: Option<u32>) -> Vec<Cause> {
    let mut parts = parts(plan, name, moment);
    parts.retain(|part| part.amount > 0.0);
    parts.sort_by(|one, other| other.amount.total_cmp(&one.amount));
    let largest = parts.first().map_or(0.0, |part| part.amount);
    let others: f64 = if is_shared(name) { parts.iter().skip(1).map(|part| part.amount).sum() } else { 0.0 };
    let fits = |part: &Part| {
        let limit = f64::from(limit?);
        // The estimate and what was counted: the stricter one, where there is too much at all.
        let estimated = (limit - others) / part.amount;
        let factor = match moment.counted {
            Some(counted) if counted as f64 <= limit => return None,
            Some(counted) => estimated.min(limit / counted as f64),
            None => estimated,
        };
        if factor < 1.0 { part.value.scaled(factor) } else { None }
    };
    let worth = parts.iter().take_while(|part| part.amount >= WORTH * largest);
    let cause = |(n, part): (usize, &Part)| Cause {
        setting: part.setting(),
        asks: part.amount,
        fits: if n == 0 { fits(part) } else { None },
    };
    worth.enumerate().map(cause).collect()
}

/// Whether all that asks for it adds up; else the quota is one job's, one connection's or one client id's.
fn is_shared(name: QuotaName) -> bool {
    !matches!(
        name,
        QuotaName::ConnectsPerSecondPerClientId | QuotaName::Subscriptions | QuotaName::RolloutPerMinute | QuotaName::TargetsPerJob
    )
}

fn parts(plan: &Plan, name: QuotaName, moment: Moment) -> Vec<Part> {
    match name {
        QuotaName::ConnectsPerSecond
        | QuotaName::SubscribesPerSecond
        | QuotaName::ReadsPerSecond
        | QuotaName::WritesPerSecond
        | QuotaName::InboundPublishesPerSecond
        | QuotaName::OutboundPublishesPerSecond => of_second(plan, name, moment.at),
        QuotaName::ConnectsPerSecondPerClientId => reconnects(plan, moment),
        QuotaName::Connections => {
            let connected = plan.cohorts.iter().filter(|cohort| !cohort.session.transport.is_http());
            vec![Part::new("fleet.things", Value::Count(plan.fleet.things), connected.map(|cohort| things(plan, cohort)).sum())]
        }
        QuotaName::PublishesPerSecond => messages_of_connection(plan),
        QuotaName::BytesPerSecond => bytes_of_connection(plan),
        QuotaName::Subscriptions => plan.cohorts.iter().map(subscriptions).collect(),
        QuotaName::CreateJobPerSecond => plan.rollouts.iter().map(creations).collect(),
        // No run deletes jobs, or makes templates, things, certificates or policies.
        QuotaName::JobsInDeletion
        | QuotaName::JobTemplates
        | QuotaName::ThingsPerSecond
        | QuotaName::PolicyAttachmentsPerSecond
        | QuotaName::CertificatesPerSecond
        | QuotaName::SigningRequestsPerSecond => Vec::new(),
        QuotaName::ControlPlanePerSecond | QuotaName::ActiveJobs | QuotaName::ConcurrentJobs => plan
            .rollouts
            .iter()
            .map(|rollout| {
                Part::new(of_rollout(rollout, "count"), Value::Count(rollout.jobs.len() as u64), rollout.jobs.len() as f64)
            })
            .collect(),
        QuotaName::RolloutPerMinute => plan.rollouts.iter().filter_map(rate).collect(),
        QuotaName::TargetsPerJob => {
            // All targets of a rollout are one thing group.
            plan.rollouts
                .iter()
                .map(|rollout| Part::new(of_rollout(rollout, "targets"), Value::Word("a thing group"), 1.0))
                .collect()
        }
        QuotaName::RegistryCallsPerSecond => {
            vec![Part::new("fleet.things", Value::Count(plan.fleet.things), plan.fleet.things as f64)]
        }
    }
}

/// Loads of that second; where the estimate has none then, of the whole run.
fn of_second(plan: &Plan, name: QuotaName, at: Duration) -> Vec<Part> {
    let loads = loads(plan);
    let is_on = |load: &&Load| load.from < at + SECOND && load.until >= at && load.asks.of(name) > 0.0;
    let part =
        |load: &Load| Part { path: load.path.clone(), value: load.value, times: load.times.clone(), amount: load.asks.of(name) };
    let on: Vec<Part> = loads.iter().filter(is_on).map(part).collect();
    if on.is_empty() { loads.iter().map(part).collect() } else { on }
}

/// How things come back: the sooner, the more often within a second.
fn reconnects(plan: &Plan, moment: Moment) -> Vec<Part> {
    let part = |cohort: &CohortPlan| {
        let reconnect = &cohort.session.reconnect;
        let path = format!("cohort {:?} reconnect.base", cohort.name);
        Part {
            times: Some(format!("policy = {:?}", <&str>::from(reconnect.policy))),
            ..Part::new(path, Value::Every(reconnect.base), moment.counted.unwrap_or(1) as f64)
        }
    };
    plan.cohorts.iter().filter(|cohort| !cohort.session.transport.is_http()).map(part).collect()
}

/// Telemetry, a report and its answer every step, and floods on purpose.
fn messages_of_connection(plan: &Plan) -> Vec<Part> {
    let telemetry = plan.telemetry.as_ref().map(|telemetry| every("telemetry.every".into(), telemetry.period.every, 1.0));
    let behaviors = plan.behaviors.iter().filter(|_| !plan.rollouts.is_empty());
    let steps =
        behaviors.clone().map(|(name, behavior)| every(format!("behavior {name:?} step (mean)"), behavior.step.mean(), 2.0));
    let floods = behaviors.flat_map(|(name, behavior)| {
        let floods = behavior.faults.iter().filter(|spec| spec.fault == Fault::PublishFlood);
        floods.flat_map(|spec| &spec.settings).filter_map(move |setting| match setting {
            Setting::Count(count) => {
                let path = format!("behavior {name:?} faults.publish_flood.publishes");
                Some(Part::new(path, Value::Count(u64::from(*count)), f64::from(*count)))
            }
            Setting::Time(_) => None,
        })
    });
    telemetry.into_iter().chain(steps).chain(floods).collect()
}

/// Telemetry, and documents, which a thing is sent twice: with `notify-next` and with the answer to its request.
fn bytes_of_connection(plan: &Plan) -> Vec<Part> {
    let telemetry = plan.telemetry.as_ref().map(|telemetry| {
        let bytes = match telemetry.bytes {
            PayloadBytes::Constant(bytes) | PayloadBytes::Uniform(_, bytes) => bytes,
        };
        every("telemetry.every".into(), telemetry.period.every, f64::from(bytes))
    });
    let documents = plan.rollouts.iter().map(|rollout| {
        let bytes = rollout.document.as_json().len();
        Part::new(of_rollout(rollout, "document, bytes"), Value::Count(bytes as u64), 2.0 * bytes as f64)
    });
    telemetry.into_iter().chain(documents).collect()
}

/// What takes `amount` every so often.
fn every(path: String, period: Duration, amount: f64) -> Part {
    Part::new(path, Value::Every(period), amount / period.as_secs_f64().max(1e-3))
}

fn subscriptions(cohort: &CohortPlan) -> Part {
    let filters = cohort.workflow.subscriptions().len();
    Part::new(format!("cohort {:?} workflow", cohort.name), Value::Word(cohort.workflow.as_str()), filters as f64)
}

fn of_rollout(rollout: &RolloutPlan, key: &str) -> String {
    format!("rollout {:?} {key}", rollout.name)
}

fn creations(rollout: &RolloutPlan) -> Part {
    let jobs = rollout.jobs.len();
    if jobs == 1 {
        return Part::new(of_rollout(rollout, "count"), Value::Count(1), 1.0);
    }
    let per_s = 1.0 / rollout.every.as_secs_f64().max(f64::MIN_POSITIVE);
    let part = Part::new(of_rollout(rollout, "every"), Value::Every(rollout.every), per_s.clamp(1.0, jobs as f64));
    Part { times: Some(format!("count = {jobs}")), ..part }
}

fn rate(rollout: &RolloutPlan) -> Option<Part> {
    let rate = rollout.settings.config.rollout.fastest_per_minute()?;
    Some(Part::new(of_rollout(rollout, "rate"), Value::PerMinute(rate), f64::from(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        crate::scenario::load("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn shipped(name: &str) -> Plan {
        plan(crate::scenario::shipped(name).unwrap().text)
    }

    /// The first cause of a peak, and what would fit.
    fn first(plan: &Plan, name: QuotaName, (peak, at_s): (u64, u64), limit: u32) -> (String, Option<String>) {
        let moment = Moment { at: Duration::from_secs(at_s), counted: Some(peak) };
        let cause = causes(plan, name, moment, Some(limit)).into_iter().next().expect("there is a cause");
        (cause.setting, cause.fits)
    }

    fn told(setting: &str, fits: Option<&str>) -> (String, Option<String>) {
        (setting.to_owned(), fits.map(str::to_owned))
    }

    #[test]
    fn writes_come_from_the_rate_of_a_rollout_and_the_updates_of_its_behavior() {
        let plan = shipped("10k");
        let setting = "rollout \"fw-2-4-1\" rate = \"12000/min\" x behavior \"fast-ota\" updates = 3";
        // 0.97 x 5 + 0.02 x 7 + 0.01 x 5 = 5.04 writes an execution, 1,008 a second; 200 / 1,008 x 12,000.
        assert_eq!(first(&plan, QuotaName::WritesPerSecond, (900, 60), 200), told(setting, Some("\"2380/min\"")));
        // What was counted is stricter than the estimate: 200 / 1,200 x 12,000.
        assert_eq!(first(&plan, QuotaName::WritesPerSecond, (1_200, 60), 200), told(setting, Some("\"2000/min\"")));
        assert_eq!(first(&plan, QuotaName::RolloutPerMinute, (12_000, 20), 1_000).1.as_deref(), Some("\"1000/min\""));
        assert_eq!(first(&plan, QuotaName::WritesPerSecond, (190, 60), 200).1, None, "what fits needs no other value");
        // At the beginning every thing asks once; how much that was nobody counted.
        let beginning = causes(&plan, QuotaName::WritesPerSecond, Moment { at: Duration::from_secs(1), counted: None }, Some(200));
        assert_eq!((&*beginning[0].setting, beginning[0].fits.as_deref()), ("fleet.connect.rate = \"500/s\"", Some("\"200/s\"")));
        assert_eq!(beginning.len(), 1);
    }

    #[test]
    fn connects_come_from_arrivals_until_an_event_brings_things_back() {
        let plan = shipped("reconnect-storm");
        let connect = |at_s, peak| first(&plan, QuotaName::ConnectsPerSecond, (peak, at_s), 200);
        assert_eq!(connect(5, 400), told("fleet.connect.rate = \"400/s\"", Some("\"200/s\"")));
        assert_eq!(connect(20, 1_000), told("event 1 (reconnect-storm at 20s) share = 0.5", Some("0.1")));
        // Both cohorts come back from an outage of their own.
        assert_eq!(connect(56, 2_000).0, "event 2 (outage at 35s) share = 1");
        let filters = first(&plan, QuotaName::SubscribesPerSecond, (1_600, 5), 800);
        assert_eq!(filters, told("fleet.connect.rate = \"400/s\"", Some("\"200/s\"")), "four filters a thing");
        let burst = plan_with("[fleet]\nthings = 5_000\nconnect = { arrival = 'burst' }\n");
        let all = first(&burst, QuotaName::ConnectsPerSecond, (5_000, 0), 3_000);
        assert_eq!(all, told("fleet.connect.arrival = \"burst\"", Some("\"constant\" with rate = \"3000/s\"")));
    }

    fn plan_with(text: &str) -> Plan {
        plan(&format!("name = 'x'\n{text}[end]\nduration = '60s'\n"))
    }

    #[test]
    fn what_things_do_all_the_while_is_told_by_its_period() {
        let plan = plan_with("[fleet]\nthings = 100_000\n[telemetry]\ntopic = 'dt/{thing}'\nevery = '2s'\nbytes = 100\n");
        let inbound = first(&plan, QuotaName::InboundPublishesPerSecond, (50_000, 300), 20_000);
        assert_eq!(inbound, told("telemetry.every = \"2s\"", Some("\"5s\"")));
        let polling = plan_with(
            "[fleet]\nthings = 30_000\ntransport = 'https-sigv4'\n[[cohort]]\nname = 'p'\nworkflow = 'poll'\npoll = { every = '60s' }\n",
        );
        let reads = first(&polling, QuotaName::ReadsPerSecond, (500, 30), 200);
        assert_eq!(reads, told("cohort \"p\" poll.every = \"1m\"", Some("\"150s\"")));
        let chatty = plan_with("[fleet]\nthings = 1\n[telemetry]\ntopic = 'dt/{thing}'\nevery = '10ms'\nbytes = 10_000\n");
        let messages = first(&chatty, QuotaName::PublishesPerSecond, (100, 1), 50);
        assert_eq!(messages, told("telemetry.every = \"10ms\"", Some("\"20ms\"")));
        let bytes = first(&chatty, QuotaName::BytesPerSecond, (1_000_000, 1), 524_288);
        assert_eq!(bytes, told("telemetry.every = \"10ms\"", Some("\"20ms\"")));
    }

    #[test]
    fn what_is_held_and_what_is_called_has_its_setting_too() {
        let plan = shipped("several-jobs");
        for name in [
            QuotaName::ActiveJobs,
            QuotaName::ConcurrentJobs,
            QuotaName::CreateJobPerSecond,
            QuotaName::ControlPlanePerSecond,
            QuotaName::TargetsPerJob,
        ] {
            assert!(first(&plan, name, (100, 0), 10).0.starts_with("rollout \""), "{name:?}");
        }
        let things = first(&plan, QuotaName::Connections, (plan.fleet.things, 60), 100);
        assert_eq!(things, told(&format!("fleet.things = {}", plan.fleet.things), Some("100")));
        let id = first(&plan, QuotaName::ConnectsPerSecondPerClientId, (2, 60), 1);
        assert!(id.0.contains("reconnect.base = ") && id.0.contains("x policy = "), "{id:?}");
        assert!(first(&plan, QuotaName::Subscriptions, (60, 0), 50).0.contains("workflow = "));
    }
}
