//! Maintenance windows (PROTOCOL-CORE 2.3).

use crate::service::{MINUTE, Service, fleet, job, thing};
use iot_jobs::cron::Cron;
use iot_jobs::ledger::LedgerEvent;
use iot_jobs::{
    ControlError, CreateJob, EndBehavior, ExecutionStatus, FailureType, JobStatus, JobTarget, MaintenanceWindow, RetryCriterion,
    ScheduledEnd, SchedulingConfig, TargetSelection,
};
use jobs_engine::engine::{Engine, EngineConfig, Record, RecordKey};
use std::collections::BTreeMap;

/// The tests begin at 06:13:20; a window that opens at each full hour is open for ten minutes.
const TO_THE_HOUR_MS: i64 = 46 * 60_000 + 40_000;

fn hourly(c: &mut CreateJob) {
    c.target_selection = TargetSelection::Continuous;
    c.scheduling = Some(SchedulingConfig {
        windows: vec![MaintenanceWindow { start: Cron::parse("cron(0 * * * ? *)").unwrap(), minutes: 10 }],
        ..SchedulingConfig::default()
    });
    c.config.rollout.maximum_per_minute = Some(2);
}

fn to_the_hour() -> std::time::Duration {
    std::time::Duration::from_millis(TO_THE_HOUR_MS.unsigned_abs())
}

fn rolled_out(count: usize) -> Service {
    let mut s = Service::new();
    let group = fleet(&mut s, count);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        hourly(c);
    })
    .unwrap();
    s
}

#[test]
fn a_job_is_rolled_out_while_a_window_is_open() {
    let mut s = rolled_out(50);
    assert_eq!((s.status("A"), s.queued_so_far()), (JobStatus::InProgress, 0), "no window is open");
    assert!(!s.engine.describe_job(&job("A")).unwrap().is_rolling_out);
    s.run(to_the_hour() - MINUTE);
    assert_eq!(s.queued_so_far(), 0);
    s.run(MINUTE);
    assert_eq!(s.queued_so_far(), 1, "the rate counts from the opening");
    assert!(s.engine.describe_job(&job("A")).unwrap().is_rolling_out);
    s.run(MINUTE * 10);
    assert_eq!(s.queued_so_far(), 20, "ten minutes at two a minute");
    s.run(MINUTE * 49);
    assert_eq!(s.queued_so_far(), 20);
    s.run(MINUTE * 61);
    assert_eq!(s.queued_so_far(), 41, "it goes on where it stopped");
}

#[test]
fn what_was_queued_in_a_window_may_be_started_and_goes_on_outside_of_it() {
    let mut s = rolled_out(2);
    s.run(to_the_hour() + MINUTE * 20);
    assert_eq!(s.executions("t-0"), [(1, ExecutionStatus::Queued)]);
    s.finish("t-0", "A", ExecutionStatus::Succeeded);
    assert_eq!(s.executions("t-0"), [(1, ExecutionStatus::Succeeded)]);
}

#[test]
fn retries_and_later_members_wait_for_the_next_window() {
    let mut s = Service::new();
    let group = fleet(&mut s, 1);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group.clone())];
        hourly(c);
        c.config.retry = vec![RetryCriterion { failure: FailureType::Failed, retries: 1 }];
    })
    .unwrap();
    s.run(to_the_hour() + MINUTE * 20);
    s.finish("t-0", "A", ExecutionStatus::Failed);
    s.engine.create_thing(&thing("late"));
    s.engine.add_thing_to_group(&thing("late"), &group, s.now).unwrap();
    s.settle();
    assert_eq!(s.executions("t-0"), [(1, ExecutionStatus::Failed)]);
    assert_eq!(s.executions("late"), []);
    s.run(MINUTE * 40);
    assert_eq!(s.executions("t-0"), [(1, ExecutionStatus::Failed), (2, ExecutionStatus::Queued)]);
    assert_eq!(s.executions("late"), [(1, ExecutionStatus::Queued)]);
    s.finish("t-0", "A", ExecutionStatus::Failed);
    s.run(MINUTE * 60);
    assert_eq!(s.executions("t-0").len(), 2, "its attempts are used up");
}

#[test]
fn the_end_time_ends_windows_too() {
    let mut s = Service::new();
    let group = fleet(&mut s, 50);
    let end = ScheduledEnd { at_ms: s.now.epoch_ms + TO_THE_HOUR_MS + 5 * 60_000, behavior: EndBehavior::Cancel };
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        hourly(c);
        c.scheduling.as_mut().unwrap().end = Some(end);
    })
    .unwrap();
    s.run(to_the_hour() + MINUTE * 90);
    assert_eq!(s.status("A"), JobStatus::Completed);
    assert!((10..=11).contains(&s.queued_so_far()), "{}", s.queued_so_far());
}

#[test]
fn windows_are_for_continuous_jobs() {
    let mut s = Service::with_thing();
    let refused = s.create("A", |c| {
        hourly(c);
        c.target_selection = TargetSelection::Snapshot;
    });
    assert!(matches!(refused, Err(ControlError::InvalidRequest(why)) if why.contains("CONTINUOUS")));
}

#[test]
fn an_engine_that_is_read_back_knows_its_windows() {
    let config = EngineConfig { keeps_records: true, ..EngineConfig::new(MINUTE) };
    let mut s = Service::engine_with(config.clone());
    let group = fleet(&mut s, 50);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        hourly(c);
    })
    .unwrap();
    s.run(to_the_hour() + MINUTE * 4);
    let records: BTreeMap<RecordKey, Record> =
        std::iter::from_fn(|| s.engine.poll_record(s.now)).filter_map(|(key, record)| Some((key, record?))).collect();
    s.engine = Engine::new(config);
    s.engine.restore(records, s.now);
    s.settle();
    s.run(MINUTE * 30);
    let queued = s.ledger.iter().filter(|row| row.event == LedgerEvent::Queued).count();
    assert_eq!(queued, 20, "to the end of the window, and no further");
}
