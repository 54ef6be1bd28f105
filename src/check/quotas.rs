//! Each quota of an account beside what a plan asks of it, and what happens past it.

use super::causes::{Cause, Moment, causes};
use super::loads::{creation, targeted};
use crate::scenario::plan::{Plan, RolloutPlan};
use fleet_forecast::{Demand, QuotaDemand};
use jobs_engine::quotas::{QuotaName, Quotas};
use serde::Serialize;
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

/// From this part of a quota on it is worth a word.
const TIGHT: f64 = 0.8;

/// How a plan and a quota stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum QuotaState {
    /// Nothing is asked of it.
    Unused,
    /// There is none.
    Unlimited,
    Fits,
    /// Nothing would be refused, but little is left.
    Tight,
    /// Something would be refused, discarded or delayed.
    Exceeded,
}

/// One quota.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuotaRow {
    /// Table and key of the quota file.
    pub quota: String,
    pub state: QuotaState,
    /// Absent: unlimited.
    pub limit: Option<u32>,
    /// In the busiest second, or minute; of what is held at once, the most.
    pub peak: u64,
    /// Seconds from the first connect arrival.
    pub peak_at_s: f64,
    /// The peak as a part of the limit.
    pub used_share: Option<f64>,
    /// How many times the peak fits into the limit.
    pub headroom: Option<f64>,
    pub total: u64,
    /// Of the total, what would be refused, discarded or delayed.
    pub refused: u64,
    pub first_refused_s: Option<f64>,
    /// What the limit counts.
    pub unit: &'static str,
    /// What happens past it.
    pub past_it: &'static str,
    /// Page of docs/ and its section.
    pub source: Option<&'static str>,
    /// What of this no source states.
    pub unverified: Option<&'static str>,
    /// Whether AWS raises it on request.
    pub is_adjustable: bool,
    /// The settings that ask for the peak, the largest first.
    pub causes: Vec<Cause>,
    /// The setting behind what is refused first.
    pub first_cause: Option<Cause>,
}

/// What is known of a quota besides its number.
struct Facts {
    unit: &'static str,
    past_it: &'static str,
    source: Option<&'static str>,
    unverified: Option<&'static str>,
    is_adjustable: bool,
}

const REFUSED_CONNECT: &str =
    "the CONNECT is refused (MQTT 5: CONNACK 0x97, MQTT 3.1.1: CONNACK 3), and tried again after a back-off";
const THROTTLED: &str = "the request is rejected with RequestThrottled, and sent again after a back-off";
const THROTTLED_CALL: &str = "the call fails with ThrottlingException (400), and is made again";
const REGISTRY_SOURCE: &str = "PROTOCOL-CORE 4.5";
const LIMIT_EXCEEDED: &str = "CreateJob is rejected with LimitExceededException (410)";

/// A test holds it against the comments of the quota file.
fn facts(name: QuotaName) -> Facts {
    let adjustable = |unit, past_it, source| Facts { unit, past_it, source: Some(source), unverified: None, is_adjustable: true };
    let fixed = |unit, past_it, source| Facts { is_adjustable: false, ..adjustable(unit, past_it, source) };
    let but = |facts: Facts, unverified| Facts { unverified: Some(unverified), ..facts };
    match name {
        QuotaName::ConnectsPerSecond => {
            but(adjustable("CONNECT packets a second", REFUSED_CONNECT, "PROTOCOL 15.1"), "the MQTT 3.1.1 code")
        }
        QuotaName::ConnectsPerSecondPerClientId => {
            but(fixed("CONNECT packets a second of one client id", REFUSED_CONNECT, "PROTOCOL 15.1"), "the MQTT 3.1.1 code")
        }
        QuotaName::Connections => but(adjustable("connections at once", REFUSED_CONNECT, "PROTOCOL 15.1"), "the answer"),
        QuotaName::InboundPublishesPerSecond => but(
            adjustable(
                "messages in, and those the service sends on reserved topics, a second",
                "the message is dropped: PUBACK 0x97 in MQTT 5, none in MQTT 3.1.1, so that it is sent again",
                "PROTOCOL 15.1",
            ),
            "that MQTT 3.1.1 gets no PUBACK",
        ),
        QuotaName::OutboundPublishesPerSecond => but(
            adjustable(
                "messages to subscribers a second",
                "the message is discarded: a thing that waits for it times out",
                "PROTOCOL 15.1",
            ),
            "that the excess is discarded",
        ),
        QuotaName::SubscribesPerSecond => but(
            adjustable(
                "topic filters a second",
                "the filter is refused (SUBACK 0x97 in MQTT 5, 0x80 in MQTT 3.1.1)",
                "PROTOCOL 15.1",
            ),
            "the MQTT 3.1.1 code",
        ),
        QuotaName::PublishesPerSecond => fixed(
            "messages a second of one connection",
            "the message is discarded: a thing that waits for it times out",
            "PROTOCOL 15.2",
        ),
        QuotaName::BytesPerSecond => but(
            fixed("bytes a second of one connection", "what is over it is delayed, not lost", "PROTOCOL 15.2"),
            "that both directions count together, and that 512 KB are 512 * 1024 bytes",
        ),
        QuotaName::Subscriptions => adjustable("subscriptions of one connection", "the filter is refused", "PROTOCOL 15.2"),
        QuotaName::ReadsPerSecond => but(
            fixed("DescribeJobExecution and GetPendingJobExecutions a second", THROTTLED, "PROTOCOL 15.3"),
            "that MQTT and HTTP count together",
        ),
        QuotaName::WritesPerSecond => but(
            fixed("StartNextPendingJobExecution and UpdateJobExecution a second", THROTTLED, "PROTOCOL 15.3"),
            "that MQTT and HTTP count together",
        ),
        QuotaName::CreateJobPerSecond => fixed("CreateJob calls a second", THROTTLED_CALL, "PROTOCOL 15.3"),
        QuotaName::ControlPlanePerSecond => {
            adjustable("calls a second of each other jobs operation", THROTTLED_CALL, "PROTOCOL 15.3")
        }
        QuotaName::ActiveJobs => but(adjustable("jobs scheduled or in progress", LIMIT_EXCEEDED, "PROTOCOL 15.3"), "the answer"),
        QuotaName::ConcurrentJobs => {
            adjustable("jobs rolled out at once", "the rollout of the job waits until that of another one is over", "PROTOCOL 15.3")
        }
        QuotaName::JobsInDeletion => {
            fixed("jobs being deleted", "DeleteJob is rejected with LimitExceededException (410)", "PROTOCOL 15.3")
        }
        QuotaName::JobTemplates => {
            adjustable("job templates", "CreateJobTemplate is rejected with LimitExceededException (410)", "PROTOCOL 15.3")
        }
        QuotaName::RolloutPerMinute => {
            but(adjustable("executions a minute of one job", LIMIT_EXCEEDED, "PROTOCOL 15.3"), "the answer")
        }
        QuotaName::TargetsPerJob => fixed("targets of one job", LIMIT_EXCEEDED, "PROTOCOL 15.3"),
        QuotaName::ThingsPerSecond => {
            adjustable("CreateThing, and AttachThingPrincipal, calls a second, each", THROTTLED_CALL, REGISTRY_SOURCE)
        }
        QuotaName::PolicyAttachmentsPerSecond => {
            adjustable("AttachPolicy, and DetachPolicy, calls a second, each", THROTTLED_CALL, REGISTRY_SOURCE)
        }
        QuotaName::CertificatesPerSecond => {
            adjustable("calls a second of each operation that registers a certificate", THROTTLED_CALL, REGISTRY_SOURCE)
        }
        QuotaName::SigningRequestsPerSecond => {
            adjustable("CreateCertificateFromCsr calls a second", THROTTLED_CALL, REGISTRY_SOURCE)
        }
        QuotaName::RegistryCallsPerSecond => Facts {
            unit: "other calls of the registry a second",
            past_it: THROTTLED_CALL,
            source: None,
            unverified: Some("the number: no source has one"),
            is_adjustable: false,
        },
    }
}

/// The words of a quota file for this quota.
#[must_use]
pub(super) fn key(name: QuotaName) -> String {
    format!("{}.{}", name.section(), name.key())
}

/// A row for every quota.
#[must_use]
pub(super) fn rows(plan: &Plan, quotas: &Quotas, demand: &Demand) -> Vec<QuotaRow> {
    QuotaName::VARIANTS.iter().map(|name| row(plan, *name, quotas.get(*name), demand)).collect()
}

fn row(plan: &Plan, name: QuotaName, limit: Option<u32>, demand: &Demand) -> QuotaRow {
    let asked = &match name {
        QuotaName::RolloutPerMinute => with_refused_jobs(plan, limit, *demand.of(name)),
        _ => *demand.of(name),
    };
    let used_share = limit.map(|limit| asked.peak as f64 / f64::from(limit.max(1)));
    let state = match limit {
        _ if asked.peak == 0 => QuotaState::Unused,
        None => QuotaState::Unlimited,
        Some(_) if asked.refused > 0 => QuotaState::Exceeded,
        Some(_) if used_share.is_some_and(|share| share >= TIGHT) => QuotaState::Tight,
        Some(_) => QuotaState::Fits,
    };
    let peak = Moment { at: asked.peak_at, counted: Some(asked.peak) };
    let Facts { unit, past_it, source, unverified, is_adjustable } = facts(name);
    QuotaRow {
        quota: key(name),
        state,
        limit,
        peak: asked.peak,
        peak_at_s: asked.peak_at.as_secs_f64(),
        used_share,
        headroom: limit.filter(|_| asked.peak > 0).map(|limit| f64::from(limit) / asked.peak as f64),
        total: asked.total,
        refused: asked.refused,
        first_refused_s: asked.first_refused.map(|at| at.as_secs_f64()),
        unit,
        past_it,
        source,
        unverified,
        is_adjustable,
        causes: if state == QuotaState::Unused { Vec::new() } else { causes(plan, name, peak, limit) },
        first_cause: asked.first_refused.and_then(|at| first_cause(plan, name, at, limit)),
    }
}

fn first_cause(plan: &Plan, name: QuotaName, at: Duration, limit: Option<u32>) -> Option<Cause> {
    causes(plan, name, Moment { at, counted: None }, limit).into_iter().next()
}

/// CreateJob looks at the rate that a job asks for, however few its targets are: of one that is refused nothing is queued.
fn with_refused_jobs(plan: &Plan, limit: Option<u32>, counted: QuotaDemand) -> QuotaDemand {
    let fastest = |rollout: &&RolloutPlan| rollout.settings.config.rollout.fastest_per_minute();
    let is_refused = |rollout: &&RolloutPlan| fastest(rollout).zip(limit).is_some_and(|(rate, limit)| rate > limit);
    let refused: Vec<&RolloutPlan> = plan.rollouts.iter().filter(is_refused).collect();
    let Some(first) = refused.iter().map(|rollout| creation(plan, rollout)).min() else { return counted };
    let executions = |rollout: &&RolloutPlan| {
        let targets: f64 = targeted(plan, rollout).map(|(_, count)| count).sum();
        targets.round() as u64 * rollout.jobs.len() as u64
    };
    let executions = refused.iter().map(executions).sum::<u64>().max(counted.refused);
    QuotaDemand {
        peak: refused.iter().filter_map(fastest).max().map_or(counted.peak, u64::from),
        peak_at: first,
        total: counted.total.max(executions),
        refused: executions,
        first_refused: counted.first_refused.into_iter().chain([first]).min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_endpoint::quotas::AWS_QUOTAS;

    /// The comment above a key of the embedded file.
    fn comment(name: QuotaName) -> String {
        let section = AWS_QUOTAS.split_once(&format!("[{}]\n", name.section())).unwrap().1;
        let above = section.split_once(&format!("\n{} = ", name.key())).unwrap().0;
        let lines: Vec<&str> = above.lines().rev().take_while(|line| line.starts_with('#')).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_known_of_quotas_is_what_their_file_says() {
        for name in QuotaName::VARIANTS {
            let (facts, comment) = (facts(*name), comment(*name));
            match facts.source {
                Some(source) => assert!(comment.contains(&source.replace("PROTOCOL ", "\u{a7}")), "{name:?}: {comment}"),
                None => assert!(!comment.contains('\u{a7}'), "{name:?}: {comment}"),
            }
            let is_adjustable = comment.contains("adjustable") && !comment.contains("not adjustable");
            assert_eq!(facts.is_adjustable, is_adjustable, "{name:?}: {comment}");
            assert!(facts.unverified.is_some() || !comment.contains("unverified"), "{name:?}: {comment}");
        }
    }
}
