//! How many jobs are rolled out, and deleted, at once (PROTOCOL-CORE 2.4).

use crate::service::{MINUTE, Service, fleet, job};
use iot_jobs::{CancelJob, ControlError, ExecutionStatus, GroupName, JobStatus, JobTarget, SchedulingConfig};
use jobs_engine::engine::{EngineConfig, ExecutionFilter};
use std::time::Duration;

fn service(change: impl FnOnce(&mut EngineConfig)) -> Service {
    let mut config = EngineConfig::new(MINUTE);
    change(&mut config);
    Service::engine_with(config)
}

fn slow(s: &mut Service, name: &str, group: &GroupName) {
    s.create(name, |c| {
        c.targets = vec![JobTarget::Group(group.clone())];
        c.config.rollout.maximum_per_minute = Some(1);
    })
    .unwrap();
}

fn queued(s: &Service, name: &str) -> u64 {
    s.engine.describe_job(&job(name)).unwrap().process_details.queued
}

#[test]
fn a_job_over_the_limit_waits_for_its_turn() {
    let mut s = service(|config| config.concurrent_jobs_max = Some(1));
    let group = fleet(&mut s, 3);
    slow(&mut s, "A", &group);
    slow(&mut s, "B", &group);
    slow(&mut s, "C", &group);
    assert_eq!((s.status("B"), queued(&s, "A"), queued(&s, "B")), (JobStatus::InProgress, 1, 0));
    s.run(MINUTE * 2);
    assert_eq!((queued(&s, "A"), queued(&s, "B"), queued(&s, "C")), (3, 1, 0), "its turn comes when the first is rolled out");
    s.engine.cancel_job(&job("B"), CancelJob::default(), s.now).unwrap();
    s.timeout();
    assert_eq!(queued(&s, "C"), 1, "or cancelled");
    s.run(MINUTE * 2);
    assert_eq!((queued(&s, "C"), s.engine.concurrent_jobs()), (3, 0));
}

#[test]
fn a_scheduled_job_that_is_due_over_the_limit_is_cancelled() {
    let mut s = service(|config| config.concurrent_jobs_max = Some(1));
    let group = fleet(&mut s, 60);
    let start = s.now.epoch_ms + (MINUTE * 30).as_millis() as i64;
    s.create("later", |c| {
        c.targets = vec![JobTarget::Group(group.clone())];
        c.scheduling = Some(SchedulingConfig { start_ms: Some(start), ..SchedulingConfig::default() });
    })
    .unwrap();
    slow(&mut s, "A", &group);
    s.run(MINUTE * 31);
    let later = s.engine.describe_job(&job("later")).unwrap();
    assert_eq!((later.status, later.reason_code.as_deref()), (JobStatus::Canceled, Some("CONCURRENT_JOBS_LIMIT")));
    assert_eq!(later.process_details.queued, 0);
}

#[test]
fn scheduled_jobs_are_active_too() {
    let mut s = service(|config| config.active_jobs_max = Some(1));
    let group = fleet(&mut s, 1);
    let start = s.now.epoch_ms + (MINUTE * 30).as_millis() as i64;
    let create = |s: &mut Service, name: &str| {
        s.create(name, |c| {
            c.targets = vec![JobTarget::Group(group.clone())];
            c.scheduling = Some(SchedulingConfig { start_ms: Some(start), ..SchedulingConfig::default() });
        })
    };
    create(&mut s, "A").unwrap();
    assert!(matches!(create(&mut s, "B"), Err(ControlError::LimitExceeded(_))));
    s.engine.cancel_job(&job("A"), CancelJob::default(), s.now).unwrap();
    create(&mut s, "B").unwrap();
}

#[test]
fn a_job_with_many_executions_is_deleted_bit_by_bit() {
    let mut s = service(|config| config.jobs_in_deletion_max = Some(1));
    let group = fleet(&mut s, 2_500);
    for name in ["A", "B", "small"] {
        s.create(name, |c| c.targets = vec![JobTarget::Group(group.clone())]).unwrap();
    }
    s.engine.delete_job(&job("A"), true, s.now).unwrap();
    s.settle();
    let left =
        |s: &Service, name: &str| s.engine.executions_of_job(&job(name), None, s.now).map(Iterator::count).unwrap_or_default();
    assert_eq!((s.status("A"), left(&s, "A")), (JobStatus::DeletionInProgress, 1_500));
    let is_refused = |result: Result<(), ControlError>| matches!(result, Err(ControlError::InvalidStateTransition(_)));
    assert!(is_refused(s.engine.delete_job(&job("A"), true, s.now)));
    let cancelled = s.engine.cancel_job(&job("A"), CancelJob::default(), s.now);
    assert!(matches!(cancelled, Err(ControlError::InvalidRequest(_))));
    assert!(matches!(s.engine.delete_job(&job("B"), true, s.now), Err(ControlError::LimitExceeded(_))));
    assert_eq!(s.status("B"), JobStatus::InProgress);
    s.run(MINUTE);
    assert_eq!(left(&s, "A"), 500);
    s.run(MINUTE + Duration::from_millis(1));
    assert!(!s.engine.has_job(&job("A")));
    s.engine.delete_job(&job("B"), true, s.now).unwrap();
    let of_thing = s.engine.executions_of_thing(&crate::service::thing("t-7"), &ExecutionFilter::default(), s.now).unwrap();
    assert!(of_thing.iter().all(|execution| execution.job_id != job("A")), "{of_thing:?}");
}

#[test]
fn what_is_open_of_a_job_in_deletion_can_be_ended() {
    let mut s = Service::new();
    let group = fleet(&mut s, 1_001);
    s.create("A", |c| c.targets = vec![JobTarget::Group(group)]).unwrap();
    s.engine.delete_job(&job("A"), true, s.now).unwrap();
    s.settle();
    // The last by name.
    s.finish("t-999", "A", ExecutionStatus::Succeeded);
    s.run(MINUTE);
    assert!(!s.engine.has_job(&job("A")));
}
