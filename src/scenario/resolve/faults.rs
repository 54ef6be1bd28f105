//! `faults` of a `[behavior.*]`: words and defaults are those of the table of faults.

use super::super::plan::{CohortPlan, EndPlan, EndWhen, RolloutPlan, RolloutTargets, TargetPlan};
use config_text::{Code, Reader};
use iot_jobs::Subscription;
use std::collections::BTreeMap;
use thing_agent::behavior::Behavior;
use thing_faults::{Fault, FaultProbability, FaultSpec, Per, Row, Setting, TABLE};

pub(super) fn faults(behavior: &Reader<'_>) -> Vec<FaultSpec> {
    let Some(reader) = behavior
        .table(("faults", "injected faults, each with how often it happens and its own parameters ([FAULTS.md](FAULTS.md))"))
    else {
        return Vec::new();
    };
    let specs = TABLE.iter().filter_map(|row| Some(spec(row, reader.table((row.key, row.thing))?))).collect();
    reader.finish();
    specs
}

fn spec(row: &Row, reader: Reader<'_>) -> FaultSpec {
    let probability = probability(row, &reader);
    let words: Vec<(&str, Per)> = row.per.iter().map(|per| (per.as_str(), *per)).collect();
    let per = reader.word("per", &words).map_or(row.per[0], |per| per.value);
    if matches!(probability, FaultProbability::Rate(_)) && per == Per::Thing {
        let help = "use a rate with per = update or execution, or a share with per = thing";
        reader.conflict(&reader.place_of("rate"), format!("{} has no rate per thing", row.key), help);
    }
    let settings = row.parameters.iter().map(|parameter| match parameter.default {
        Setting::Time(_) => reader.distribution(parameter.key).map_or(parameter.default, |time| Setting::Time(time.value)),
        Setting::Count(_) => {
            let range = i64::from(parameter.range.0)..=i64::from(parameter.range.1);
            reader.integer(parameter.key, range).map_or(parameter.default, |count| Setting::Count(count.value as u32))
        }
    });
    let settings = settings.collect();
    reader.finish();
    FaultSpec { fault: row.fault, probability, per, settings }
}

fn probability(row: &Row, reader: &Reader<'_>) -> FaultProbability {
    let (share, rate) = (reader.share("share"), reader.rate("rate"));
    if let Some(rate) = &rate
        && !row.fault.is_of_work()
    {
        let message = format!("{} has no rate: it is drawn for each {}", row.key, row.per[0].as_str());
        reader.conflict(&rate.place, message, "give it a share, as in share = 0.01");
    }
    match (share, rate) {
        (Some(_), Some(rate)) => {
            reader.conflict(&rate.place, "a fault has either a share or a rate", "keep one of share and rate");
            FaultProbability::Rate(rate.value)
        }
        (Some(share), None) => FaultProbability::Share(share.value),
        (None, Some(rate)) => FaultProbability::Rate(rate.value),
        (None, None) => {
            if !reader.has("share") && !reader.has("rate") {
                reader.missing("share", "say how often it happens, as in share = 0.01");
            }
            FaultProbability::Share(0.0)
        }
    }
}

/// Whether some of the cohort's things may be targets.
fn reaches(rollout: &RolloutPlan, cohort: &CohortPlan) -> bool {
    match &rollout.targets {
        RolloutTargets::Cohort(name) => *name == cohort.name,
        RolloutTargets::Share(_) => true,
    }
}

/// What a fault needs of the rest of the scenario.
pub(super) fn check(
    root: &Reader<'_>,
    target: &TargetPlan,
    cohorts: &[CohortPlan],
    behaviors: &BTreeMap<String, Behavior>,
    rollouts: &[RolloutPlan],
    end: &EndPlan,
) {
    let has = |name: &str, is_it: &dyn Fn(&FaultSpec) -> bool| {
        behaviors.get(name).into_iter().flat_map(|behavior| &behavior.faults).find(|spec| is_it(spec)).map(|spec| spec.fault.key())
    };
    let complain = |key: &str, message: String, help: &str| {
        root.gathered.push(Code::Conflict, &root.place_of(key), message, Some(help.to_owned()));
    };
    for rollout in rollouts {
        if let Some(name) = &rollout.behavior
            && let Some(fault) = has(name, &|spec| !spec.fault.is_of_work())
        {
            let message = format!("{fault} is a fault of things, and behavior {name:?} is that of job {}", rollout.name);
            complain("rollout", message, "put it into the behavior of a cohort");
        }
    }
    for cohort in cohorts {
        if !matches!(target, TargetPlan::Emulator(_))
            && has(&cohort.behavior, &|spec| spec.fault == Fault::ExpiredCertificate).is_some()
        {
            let message = format!("no expired certificate can be made for cohort {:?}", cohort.name);
            complain("behavior", message, "leave expired_certificate out, or use target.kind = \"emulator\", whose CA is at hand");
        }
        let transport = cohort.session.transport;
        if transport.is_http()
            && let Some(fault) = has(&cohort.behavior, &|spec| spec.fault.is_of_mqtt())
        {
            let message = format!("{fault} is a fault of MQTT, and cohort {:?} speaks {}", cohort.name, transport.as_str());
            complain("cohort", message, "give the cohort a behavior without it, or a transport of MQTT");
        }
        if transport.is_signed() && has(&cohort.behavior, &|spec| spec.fault == Fault::ExpiredCertificate).is_some() {
            let message = format!("things of cohort {:?} sign, and show no certificate that could expire", cohort.name);
            complain("cohort", message, "leave expired_certificate out, or use a transport with certificates");
        }
        if !cohort.workflow.subscriptions().contains(&Subscription::NotifyNext)
            && has(&cohort.behavior, &|spec| spec.fault == Fault::NoNotifyNext).is_some()
        {
            let message = format!("no thing of cohort {:?} subscribes to notify-next anyway", cohort.name);
            complain("cohort", message, "leave no_notify_next out");
        }
    }
    let waits = matches!(end.when, EndWhen::ExecutionsDone { expect: None });
    let may_stall = |name: &str| has(name, &|spec| spec.fault == Fault::Stall).is_some();
    for rollout in rollouts.iter().filter(|rollout| waits && rollout.settings.config.in_progress_timeout_minutes.is_none()) {
        let stalls = match &rollout.behavior {
            Some(behavior) => may_stall(behavior),
            None => cohorts.iter().filter(|cohort| reaches(rollout, cohort)).any(|cohort| may_stall(&cohort.behavior)),
        };
        if stalls {
            let message = format!("executions of job {} may stall, and nothing ends them", rollout.name);
            complain(
                "rollout",
                message,
                "add timeoutConfig = { inProgressTimeoutInMinutes = 5 } to the rollout, or end after a duration",
            );
        }
    }
}
