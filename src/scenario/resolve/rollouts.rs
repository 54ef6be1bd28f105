//! `[[rollout]]`.

use super::super::plan::{CohortPlan, RolloutPlan, RolloutStart, RolloutTargets, TargetPlan};
use super::super::problem::Code;
use super::super::reader::{Located, Reader};
use super::cohorts::known_behavior;
use super::{ANY_DURATION, names};
use crate::device::behavior::Behavior;
use crate::jobs::{JobDocument, JobId, TargetSelection, limits};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn rollouts(
    root: &Reader<'_>,
    target: &TargetPlan,
    cohorts: &[CohortPlan],
    behaviors: &BTreeMap<String, Behavior>,
) -> Vec<RolloutPlan> {
    let mut plans: Vec<RolloutPlan> = Vec::new();
    for reader in root.tables("rollout") {
        if matches!(target, TargetPlan::Mqtt(_)) {
            let help = "jobs of such a target are created by others; say in [end] what to wait for: expect = N or idle = \"30s\"";
            reader.conflict(&reader.place, "a [[rollout]] needs a control plane, which a target of kind mqtt does not have", help);
        }
        let job = job(&reader);
        if let Some(Located { value, place }) = &job
            && plans.iter().any(|plan| plan.job == *value)
        {
            reader.gathered.push(Code::Duplicate, place, format!("there are two rollouts of job {value}"), None);
        }
        let start = rollout_start(&reader);
        let delay = reader.duration("delay", ANY_DURATION).map_or(Duration::ZERO, |delay| delay.value);
        let targets = rollout_targets(&reader, cohorts);
        let rate_per_minute = rollout_rate(&reader);
        let selection = [("SNAPSHOT", TargetSelection::Snapshot), ("CONTINUOUS", TargetSelection::Continuous)];
        let target_selection =
            reader.word("targetSelection", &selection, &[]).map_or(TargetSelection::Snapshot, |selection| selection.value);
        let in_progress_timeout_minutes = reader.table("timeoutConfig").and_then(|timeout| {
            let minutes = timeout.integer("inProgressTimeoutInMinutes", 1..=limits::TIMEOUT_MINUTES_MAX);
            timeout.finish();
            minutes.map(|minutes| minutes.value as u32)
        });
        let behavior = reader.string("behavior").map(|behavior| known_behavior(&reader, behavior, behaviors));
        let document = document(&reader);
        let unbuilt =
            ["count", "every", "artifact", "abortConfig", "jobExecutionsRetryConfig", "schedulingConfig", "presignedUrlConfig"];
        reader.later(&unbuilt);
        if let Some(job) = job {
            plans.push(RolloutPlan {
                job: job.value,
                start,
                delay,
                targets,
                rate_per_minute,
                target_selection,
                in_progress_timeout_minutes,
                document,
                behavior,
            });
        }
        reader.finish();
    }
    plans
}

fn job(reader: &Reader<'_>) -> Option<Located<JobId>> {
    if !reader.has("job") {
        reader.missing("job", "give the job an id, as in job = \"fw-2-4-1\"");
    }
    reader.with("job", "a job id", |text| {
        if text.contains('{') {
            return Err("a job id with a number ({n}) is known, but not built yet".into());
        }
        JobId::new(text).map_err(|error| error.to_string())
    })
}

fn rollout_start(reader: &Reader<'_>) -> RolloutStart {
    let at = reader.duration("at", ANY_DURATION);
    let after = reader.word("after", &[("connected", ())], &[]);
    if let (Some(_), Some(after)) = (&at, after) {
        reader.conflict(&after.place, "a rollout starts either at a time or after something", "keep one of at and after");
    }
    at.map_or(RolloutStart::Connected, |at| RolloutStart::At(at.value))
}

fn rollout_targets(reader: &Reader<'_>, cohorts: &[CohortPlan]) -> RolloutTargets {
    let Some(targets) = reader.table("targets") else { return RolloutTargets::Share(1.0) };
    let (share, cohort) = (targets.share("share"), targets.string("cohort"));
    let plan = match (share, cohort) {
        (Some(_), Some(cohort)) => {
            targets.conflict(&cohort.place, "targets are either a share or a cohort", "keep one of the two");
            RolloutTargets::Share(1.0)
        }
        (Some(share), None) => RolloutTargets::Share(share.value),
        (None, Some(Located { value, place })) => {
            if !cohorts.iter().any(|cohort| cohort.name == value) {
                let help = Some(format!("known here: {}", names(cohorts.iter().map(|cohort| &cohort.name))));
                targets.gathered.push(Code::UnknownName, &place, format!("unknown cohort {value:?}"), help);
            }
            RolloutTargets::Cohort(value)
        }
        (None, None) => RolloutTargets::Share(1.0),
    };
    targets.finish();
    plan
}

fn rollout_rate(reader: &Reader<'_>) -> Option<u32> {
    let rate = reader.rate("rate").and_then(|Located { value, place }| {
        let per_minute = value * 60.0;
        let whole = per_minute.round();
        if (per_minute - whole).abs() > 1e-6 || whole < 1.0 || whole > f64::from(u32::MAX) {
            let message = format!("a roll-out rate must be a whole number of executions per minute, this is {per_minute}");
            reader.gathered.push(Code::OutOfRange, &place, message, None);
            return None;
        }
        Some(whole as u32)
    });
    let config = reader.table("jobExecutionsRolloutConfig").and_then(|config| {
        let maximum = config.integer("maximumPerMinute", 1..=i64::from(u32::MAX)).map(|maximum| maximum.value as u32);
        config.later(&["exponentialRate"]);
        config.finish();
        maximum
    });
    if rate.is_some() && config.is_some() {
        let help = "rate is a shorthand for jobExecutionsRolloutConfig.maximumPerMinute: keep one of the two";
        reader.conflict(&reader.place_of("rate"), "the rate of the rollout is given twice", help);
    }
    rate.or(config)
}

fn document(reader: &Reader<'_>) -> JobDocument {
    let Some(Located { value, place }) = reader.json_table("document") else { return JobDocument::from_valid_json("{}") };
    let text = value.to_string();
    if text.len() > limits::DOCUMENT_BYTES_MAX {
        let message = format!("a job document may have {} bytes as JSON, this has {}", limits::DOCUMENT_BYTES_MAX, text.len());
        reader.gathered.push(Code::OutOfRange, &place, message, None);
    }
    JobDocument::from_valid_json(&text)
}
