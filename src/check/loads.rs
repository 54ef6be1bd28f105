//! What in a scenario makes load: how much a second, from when until when. Estimates by simple arithmetic on the settings, to tell which of
//! them a peak comes from; how high it is, others count.

use crate::scenario::plan::{
    CohortPlan, ConnectPlan, EventKind, EventPlan, Plan, RolloutPlan, RolloutStart, RolloutTargets, TargetPlan,
};
use jobs_engine::quotas::QuotaName;
use sim_units::text::duration_text;
use std::ops::{Add, Mul};
use std::time::Duration;
use thing_agent::arrivals::ArrivalKind;
use thing_agent::backoff::BackoffPolicy;
use thing_agent::workflow::Workflow;
use thing_faults::{Fault, FaultProbability};

/// Things that lost their connections may come back for as long.
const RETURN: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A setting and the load that it makes.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The scenario's own path.
    pub(super) path: String,
    pub(super) value: Value,
    /// What the value is multiplied by, where that is a setting of its own.
    pub(super) times: Option<String>,
    /// From the first connect arrival.
    pub(super) from: Duration,
    pub(super) until: Duration,
    pub(super) asks: RequestRates,
}

/// The value of a setting, as far as load follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    PerSecond(f64),
    PerMinute(u32),
    Share(f64),
    /// The load is inverse to it.
    Every(Duration),
    Count(u64),
    /// All at once; a rate would spread them.
    Burst(u64),
    /// Load does not follow from it in proportion.
    Word(&'static str),
}

impl Value {
    /// As the scenario has it.
    pub(super) fn text(self) -> String {
        match self {
            Self::PerSecond(rate) => format!("\"{rate}/s\""),
            Self::PerMinute(rate) => format!("\"{rate}/min\""),
            Self::Share(share) => share.to_string(),
            Self::Every(every) => format!("\"{}\"", duration_text(every)),
            Self::Count(count) => count.to_string(),
            Self::Burst(_) => "\"burst\"".into(),
            Self::Word(word) => format!("{word:?}"),
        }
    }

    /// The value that makes this part of the load; `None` where there is none. Rounded to the side of less load.
    pub(super) fn scaled(self, part: f64) -> Option<String> {
        let positive = |value: f64, text: fn(f64) -> String| (value > 0.0).then(|| text(value));
        match self {
            Self::PerSecond(rate) => positive(down(rate * part), |rate| format!("\"{rate}/s\"")),
            Self::PerMinute(rate) => positive((f64::from(rate) * part).floor(), |rate| format!("\"{rate}/min\"")),
            Self::Share(share) => positive((share * part * 1e3).floor() / 1e3, |share| share.to_string()),
            Self::Every(every) if part > 0.0 && !every.is_zero() => {
                let milliseconds = (every.as_secs_f64() / part * 1e3).ceil();
                Some(format!("\"{}\"", duration_text(Duration::from_millis(milliseconds as u64))))
            }
            Self::Count(count) => positive((count as f64 * part).floor(), |count| count.to_string()),
            Self::Burst(count) => positive(down(count as f64 * part), |rate| format!("\"constant\" with rate = \"{rate}/s\"")),
            Self::Every(_) | Self::Word(_) => None,
        }
    }
}

/// Whole from 10 on, else two digits behind the point.
fn down(rate: f64) -> f64 {
    if rate >= 10.0 { rate.floor() } else { (rate * 100.0).floor() / 100.0 }
}

/// What the account is asked, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RequestRates {
    connects: f64,
    filters: f64,
    reads: f64,
    writes: f64,
    inbound: f64,
    outbound: f64,
}

impl RequestRates {
    /// What counts for this quota; nothing where it is none of a second of the account.
    pub(super) fn of(&self, name: QuotaName) -> f64 {
        match name {
            QuotaName::ConnectsPerSecond => self.connects,
            QuotaName::SubscribesPerSecond => self.filters,
            QuotaName::ReadsPerSecond => self.reads,
            QuotaName::WritesPerSecond => self.writes,
            QuotaName::InboundPublishesPerSecond => self.inbound,
            QuotaName::OutboundPublishesPerSecond => self.outbound,
            _ => 0.0,
        }
    }

    /// Requests and their answers, and `notified` messages of the service besides, of which the thing is sent `heard`.
    fn requests(is_http: bool, reads: f64, writes: f64, (notified, heard): (f64, f64)) -> Self {
        let over_mqtt = if is_http { 0.0 } else { reads + writes };
        Self { reads, writes, inbound: 2.0 * over_mqtt + notified, outbound: over_mqtt + heard, ..Self::default() }
    }

    /// One thing connects, subscribes, and asks what there is to do (PROTOCOL 18.1).
    fn arrival(cohort: &CohortPlan) -> Self {
        let is_http = cohort.session.transport.is_http();
        let (reads, writes) = match cohort.workflow {
            Workflow::StartNext => (0.0, 1.0),
            Workflow::DescribeUpdate | Workflow::List => (1.0, 0.0),
            Workflow::Poll(_) | Workflow::None => (0.0, 0.0),
        };
        let session = match is_http {
            true => Self::default(),
            false => Self { connects: 1.0, filters: cohort.workflow.subscriptions().len() as f64, ..Self::default() },
        };
        session + Self::requests(is_http, reads, writes, (0.0, 0.0))
    }

    /// One execution with so many updates, its end being one: `notify` and `notify-next` when it comes and when it is over.
    fn execution(cohort: &CohortPlan, updates: f64) -> Self {
        let is_http = cohort.session.transport.is_http();
        match cohort.workflow {
            Workflow::StartNext => Self::requests(is_http, 0.0, 1.0 + updates, (4.0, 2.0)),
            Workflow::DescribeUpdate | Workflow::List => Self::requests(is_http, 1.0, 1.0 + updates, (4.0, 2.0)),
            Workflow::Poll(_) => Self::requests(is_http, 0.0, 1.0 + updates, (4.0, 0.0)),
            Workflow::None => Self { inbound: 2.0, ..Self::default() },
        }
    }
}

impl Add for RequestRates {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connects: self.connects + other.connects,
            filters: self.filters + other.filters,
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            inbound: self.inbound + other.inbound,
            outbound: self.outbound + other.outbound,
        }
    }
}

impl Mul<f64> for RequestRates {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            connects: self.connects * factor,
            filters: self.filters * factor,
            reads: self.reads * factor,
            writes: self.writes * factor,
            inbound: self.inbound * factor,
            outbound: self.outbound * factor,
        }
    }
}

/// Everything in the plan that makes load.
pub(super) fn loads(plan: &Plan) -> Vec<Load> {
    let mut loads = connects(plan);
    loads.extend(plan.rollouts.iter().map(|rollout| executions(plan, rollout)));
    loads.extend(all_returns(plan));
    loads.extend(telemetry(plan));
    loads.extend(plan.cohorts.iter().filter_map(|cohort| polls(plan, cohort)));
    loads.extend(plan.cohorts.iter().filter_map(|cohort| flapping(plan, cohort)));
    loads.extend(disconnects(plan));
    loads
}

pub(super) fn things(plan: &Plan, cohort: &CohortPlan) -> f64 {
    plan.fleet.things as f64 * cohort.share
}

fn connect_of<'a>(plan: &'a Plan, cohort: &'a CohortPlan) -> &'a ConnectPlan {
    cohort.connect.as_ref().unwrap_or(&plan.fleet.connect)
}

/// Things that arrive by the same plan as those of the cohort.
fn arriving(plan: &Plan, cohort: &CohortPlan) -> f64 {
    match cohort.connect {
        Some(_) => things(plan, cohort),
        None => plan.cohorts.iter().filter(|other| other.connect.is_none()).map(|other| things(plan, other)).sum(),
    }
}

fn arrivals_last(plan: &Plan, cohort: &CohortPlan) -> Duration {
    let connect = connect_of(plan, cohort);
    let seconds = arriving(plan, cohort) / connect.rate_per_s;
    match connect.arrival {
        ArrivalKind::Burst => Duration::ZERO,
        ArrivalKind::Ramp => Duration::try_from_secs_f64(2.0 * seconds).unwrap_or(Duration::MAX),
        ArrivalKind::Constant | ArrivalKind::Poisson => Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
    }
}

/// One load for the fleet, and one for each cohort that arrives by itself.
fn connects(plan: &Plan) -> Vec<Load> {
    let load = |path: String, members: Vec<&CohortPlan>| {
        let first = *members.first()?;
        let (connect, all) = (connect_of(plan, first), arriving(plan, first));
        let of_one = members
            .iter()
            .fold(RequestRates::default(), |sum, cohort| sum + RequestRates::arrival(cohort) * (things(plan, cohort) / all));
        let (key, value, rate) = match connect.arrival {
            ArrivalKind::Burst => ("arrival", Value::Burst(all as u64), all),
            _ => ("rate", Value::PerSecond(connect.rate_per_s), connect.rate_per_s),
        };
        let until = arrivals_last(plan, first) + SECOND;
        Some(Load { path: format!("{path}.{key}"), value, times: None, from: Duration::ZERO, until, asks: of_one * rate })
    };
    let of_fleet = load("fleet.connect".into(), plan.cohorts.iter().filter(|cohort| cohort.connect.is_none()).collect());
    let own = plan.cohorts.iter().filter(|cohort| cohort.connect.is_some());
    of_fleet.into_iter().chain(own.filter_map(|cohort| load(format!("cohort {:?} connect", cohort.name), vec![cohort]))).collect()
}

/// Of the account, or of the emulator that plays it.
pub(super) fn minute(plan: &Plan) -> Duration {
    match &plan.target {
        TargetPlan::Emulator(emulator) => emulator.endpoint.minute,
        TargetPlan::Mqtt(_) | TargetPlan::Aws(_) => Duration::from_secs(60),
    }
}

/// Cohorts that a rollout has targets in, each with their number.
pub(super) fn targeted<'a>(plan: &'a Plan, rollout: &'a RolloutPlan) -> impl Iterator<Item = (&'a CohortPlan, f64)> {
    plan.cohorts.iter().filter_map(move |cohort| match &rollout.targets {
        RolloutTargets::Share(share) => Some((cohort, things(plan, cohort) * share)),
        RolloutTargets::Cohort(name) => (*name == cohort.name).then(|| (cohort, things(plan, cohort))),
    })
}

/// When its first job is created, by estimate, from the first connect arrival.
pub(super) fn creation(plan: &Plan, rollout: &RolloutPlan) -> Duration {
    let connected = || plan.cohorts.iter().map(|cohort| arrivals_last(plan, cohort)).max().unwrap_or_default();
    rollout.delay.saturating_add(if let RolloutStart::At(at) = rollout.start { at } else { connected() })
}

fn executions(plan: &Plan, rollout: &RolloutPlan) -> Load {
    let behavior = |cohort: &CohortPlan| rollout.behavior.clone().unwrap_or_else(|| cohort.behavior.clone());
    let updates = |cohort: &CohortPlan| 1.0 + f64::from(plan.behaviors[&behavior(cohort)].updates);
    let targets: f64 = targeted(plan, rollout).map(|(_, count)| count).sum();
    let of_one = targeted(plan, rollout).fold(RequestRates::default(), |sum, (cohort, count)| {
        sum + RequestRates::execution(cohort, updates(cohort)) * (count / targets.max(1.0))
    });
    let (value, per_s) = match rollout.settings.config.rollout.fastest_per_minute() {
        Some(rate) => (Value::PerMinute(rate), f64::from(rate) / minute(plan).as_secs_f64()),
        None => (Value::Word("the service's own"), targets),
    };
    let most = targeted(plan, rollout).max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(cohort, _)| behavior(cohort));
    let work = most.as_ref().map_or(Duration::ZERO, |name| {
        let behavior = &plan.behaviors[name];
        behavior.reaction.mean() + behavior.step.mean() * (behavior.updates + 1)
    });
    let from = creation(plan, rollout);
    let queueing = Duration::try_from_secs_f64(targets / per_s.max(f64::MIN_POSITIVE)).unwrap_or(Duration::MAX);
    // Half of the work may take longer than its mean.
    let until = rollout.creation(rollout.jobs.len() - 1).saturating_add(from).saturating_add(queueing).saturating_add(work * 2);
    Load {
        path: format!("rollout {:?} rate", rollout.name),
        value,
        times: most.map(|name| format!("behavior {name:?} updates = {}", plan.behaviors[&name].updates)),
        from,
        until,
        asks: of_one * per_s.min(targets),
    }
}

/// How an event is called in messages.
pub(super) fn title(n: usize, event: &EventPlan) -> String {
    format!("event {} ({} at {})", n + 1, event.kind.as_str(), duration_text(event.at))
}

/// Things that come back do so because of the event that was last.
fn all_returns(plan: &Plan) -> Vec<Load> {
    let mut loads: Vec<Load> = plan.events.iter().enumerate().filter_map(|(n, event)| returns(plan, n, event)).collect();
    let begins: Vec<Duration> = loads.iter().map(|load| load.from).collect();
    for load in &mut loads {
        let next = begins.iter().filter(|from| **from > load.from).min();
        load.until = next.map_or(load.until, |next| load.until.min(*next));
    }
    loads
}

fn returns(plan: &Plan, n: usize, event: &EventPlan) -> Option<Load> {
    let (is_at_once, who) = match &event.kind {
        EventKind::ReconnectStorm { who } => (true, Some(who)),
        EventKind::Disconnect { who, .. } | EventKind::Outage { who, .. } => (false, Some(who)),
        EventKind::EndpointRestart { .. } => (false, None),
        EventKind::EndpointFreeze { .. } => return None,
    };
    let is_hit = |cohort: &&CohortPlan| who.and_then(|who| who.cohort.as_deref()).is_none_or(|name| name == cohort.name);
    let share = who.map_or(1.0, |who| who.share);
    let asks = plan.cohorts.iter().filter(is_hit).fold(RequestRates::default(), |sum, cohort| {
        let reconnect = &cohort.session.reconnect;
        let spread = if is_at_once || reconnect.policy != BackoffPolicy::FullJitter { SECOND } else { reconnect.base };
        sum + RequestRates::arrival(cohort) * (things(plan, cohort) * share / spread.as_secs_f64().max(1.0))
    });
    let from = event.at + event.kind.lasts();
    let (path, value) = match who {
        Some(who) => (format!("{} share", title(n, event)), Value::Share(who.share)),
        None => {
            (format!("{} and fleet.reconnect.policy", title(n, event)), Value::Word(plan.fleet.session.reconnect.policy.into()))
        }
    };
    Some(Load { path, value, times: None, from, until: from + RETURN, asks })
}

fn telemetry(plan: &Plan) -> Option<Load> {
    let every = plan.telemetry.as_ref()?.period.every;
    let publishing: f64 =
        plan.cohorts.iter().filter(|cohort| !cohort.session.transport.is_http()).map(|cohort| things(plan, cohort)).sum();
    let inbound = publishing / every.as_secs_f64().max(f64::MIN_POSITIVE);
    Some(always("telemetry.every".into(), Value::Every(every), RequestRates { inbound, ..RequestRates::default() }))
}

fn polls(plan: &Plan, cohort: &CohortPlan) -> Option<Load> {
    let every = cohort.workflow.poll()?.every;
    let per_s = things(plan, cohort) / every.as_secs_f64().max(f64::MIN_POSITIVE);
    let asks = RequestRates::requests(cohort.session.transport.is_http(), per_s, 0.0, (0.0, 0.0));
    Some(always(format!("cohort {:?} poll.every", cohort.name), Value::Every(every), asks))
}

fn flapping(plan: &Plan, cohort: &CohortPlan) -> Option<Load> {
    let spec = plan.behaviors[&cohort.behavior].faults.iter().find(|spec| spec.fault == Fault::Flapping)?;
    let FaultProbability::Share(share) = spec.probability else { return None };
    let up = spec.settings.iter().find_map(|setting| match setting {
        thing_faults::Setting::Time(time) => Some(time.mean()),
        thing_faults::Setting::Count(_) => None,
    });
    let lives = up.unwrap_or_default() + cohort.session.reconnect.base;
    let asks = RequestRates::arrival(cohort) * (things(plan, cohort) * share / lives.as_secs_f64().max(1e-3));
    Some(always(format!("behavior {:?} faults.flapping.share", cohort.behavior), Value::Share(share), asks))
}

fn disconnects(plan: &Plan) -> Option<Load> {
    let TargetPlan::Emulator(emulator) = &plan.target else { return None };
    let lives = emulator.endpoint.faults.disconnect?.mean();
    let asks =
        plan.cohorts.iter().fold(RequestRates::default(), |sum, cohort| sum + RequestRates::arrival(cohort) * things(plan, cohort));
    let asks = asks * (1.0 / lives.as_secs_f64().max(1e-3));
    Some(always("target.emulator.disconnect.every".into(), Value::Every(lives), asks))
}

fn always(path: String, value: Value, asks: RequestRates) -> Load {
    Load { path, value, times: None, from: Duration::ZERO, until: Duration::MAX, asks }
}
