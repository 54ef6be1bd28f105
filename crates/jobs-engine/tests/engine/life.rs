//! The life of jobs: rollout pacing, retries, aborts, schedules, members that come and go, events, and what is written down.

use crate::service::{MINUTE, Service, fleet, job, thing};
use iot_jobs::ledger::LedgerEvent;
use iot_jobs::{
    AbortCriterion, CancelExecution, CancelJob, ControlError, EndBehavior, EventConfig, ExecutionChange, ExecutionStatus,
    ExponentialRate, FailureType, JobChange, JobEvent, JobFilter, JobStatus, JobTarget, RateIncrease, RequestBody, RetryCriterion,
    RolloutConfig, ScheduledEnd, SchedulingConfig, Spread, StartNext, StepTimeout, TargetSelection, Update, UpdateJob,
};
use jobs_engine::engine::{Engine, EngineConfig, ExecutionFilter, Record, RecordKey};
use std::collections::BTreeMap;
use std::time::Duration;

impl Service {
    pub(crate) fn engine_with(config: EngineConfig) -> Self {
        Self { engine: Engine::new(config), ..Self::new() }
    }

    pub(crate) fn queued_so_far(&self) -> usize {
        self.ledger.iter().filter(|row| row.event == LedgerEvent::Queued).count()
    }

    pub(crate) fn status(&self, name: &str) -> JobStatus {
        self.engine.describe_job(&job(name)).unwrap().status
    }

    /// Ends the execution of a thing, started first.
    pub(crate) fn finish(&mut self, name: &str, job_name: &str, status: ExecutionStatus) {
        self.ask(name, RequestBody::StartNext(StartNext::default())).unwrap();
        let update = Update {
            job_id: job(job_name),
            status,
            status_details: None,
            expected_version: None,
            execution_number: None,
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        };
        self.ask(name, RequestBody::Update(update)).unwrap();
    }

    /// (number, status) of all executions of a job on a thing.
    pub(crate) fn executions(&self, name: &str) -> Vec<(i64, ExecutionStatus)> {
        let all = self.engine.executions_of_thing(&thing(name), &ExecutionFilter::default(), self.now).unwrap();
        all.into_iter().map(|execution| (execution.execution_number, execution.status)).collect()
    }

    fn events(&mut self) -> Vec<JobEvent> {
        std::iter::from_fn(|| self.engine.poll_event()).collect()
    }

    /// Lets time pass in small steps, as a timer would.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some((at, _)) = self.engine.poll_timeout().filter(|(at, _)| *at <= end) {
            self.pass(at.since(self.now.mono));
            self.timeout();
        }
        self.pass(end.since(self.now.mono));
    }
}

// -------------------------------------------------------------------------------------------------------------- pacing

#[test]
fn a_burst_queues_a_minutes_quota_at_once() {
    let mut s = Service::engine_with(EngineConfig { spread: Spread::Burst, ..EngineConfig::new(MINUTE) });
    let group = fleet(&mut s, 25);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout.maximum_per_minute = Some(10);
    })
    .unwrap();
    assert_eq!(s.queued_so_far(), 10);
    s.run(MINUTE - Duration::from_millis(1));
    assert_eq!(s.queued_so_far(), 10);
    s.run(Duration::from_millis(1));
    assert_eq!(s.queued_so_far(), 20);
    s.run(MINUTE);
    assert_eq!(s.queued_so_far(), 25);
}

fn exponential(s: &mut Service, base: u32, tenths: u32, criterion: RateIncrease, things: usize) {
    let group = fleet(s, things);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout = RolloutConfig {
            maximum_per_minute: Some(400),
            exponential: Some(ExponentialRate { base_per_minute: base, increment_tenths: tenths, criterion }),
        };
    })
    .unwrap();
}

#[test]
fn an_exponential_rate_grows_with_each_multiple_of_notified_things() {
    // The example of the reference, a tenth of its size: 50/min to 100 things, 100/min to 200, 200/min to 300, then 400/min.
    let mut s = Service::new();
    exponential(&mut s, 50, 20, RateIncrease::NotifiedThings(100), 1_000);
    let start = s.now.mono;
    s.run(MINUTE * 6);
    let mut sum = 0;
    for (minute, rate) in (1..).zip([50, 50, 100, 200, 400]) {
        sum += rate;
        let is_seen = |at: iot_jobs::instant::Mono| at.since(start) < MINUTE * minute;
        let seen = s.ledger.iter().filter(|row| row.event == LedgerEvent::Queued && is_seen(row.at));
        assert_eq!(seen.count(), sum, "after minute {minute}");
    }
}

#[test]
fn an_exponential_rate_waits_for_things_that_succeed() {
    let mut s = Service::new();
    exponential(&mut s, 10, 30, RateIncrease::SucceededThings(10), 100);
    s.run(MINUTE * 2 - Duration::from_nanos(1));
    assert_eq!(s.queued_so_far(), 20, "nobody has succeeded: the rate stays");
    for n in 0..10 {
        s.finish(&format!("t-{n}"), "A", ExecutionStatus::Succeeded);
    }
    s.run(MINUTE);
    assert_eq!(s.queued_so_far(), 50, "three times ten in the minute after");
}

#[test]
fn a_new_rate_counts_from_now_on() {
    let mut s = Service::new();
    let group = fleet(&mut s, 100);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout.maximum_per_minute = Some(1);
    })
    .unwrap();
    s.run(MINUTE / 2);
    let rollout = Some(RolloutConfig { maximum_per_minute: Some(60), exponential: None });
    s.engine.update_job(&job("A"), UpdateJob { rollout, description: Some("d".into()), ..UpdateJob::default() }, s.now).unwrap();
    s.run(MINUTE / 2);
    assert_eq!(s.queued_so_far(), 1 + 31);
    assert_eq!(s.engine.describe_job(&job("A")).unwrap().create.config.description.as_deref(), Some("d"));
    let wrong =
        UpdateJob { rollout: Some(RolloutConfig { maximum_per_minute: Some(0), exponential: None }), ..UpdateJob::default() };
    assert!(matches!(s.engine.update_job(&job("A"), wrong, s.now), Err(ControlError::InvalidRequest(_))));
}

#[test]
fn a_job_without_a_rate_goes_at_the_services_pace() {
    let mut s = Service::engine_with(EngineConfig { rate_per_minute: Some(5), ..EngineConfig::new(MINUTE) });
    let group = fleet(&mut s, 7);
    s.create("A", |c| c.targets = vec![JobTarget::Group(group)]).unwrap();
    s.run(MINUTE - Duration::from_nanos(1));
    assert_eq!(s.queued_so_far(), 5);
}

#[test]
fn what_is_over_a_quota_is_refused() {
    let config = EngineConfig {
        rate_per_minute: Some(100),
        active_jobs_max: Some(1),
        targets_per_job_max: Some(2),
        ..EngineConfig::new(MINUTE)
    };
    let mut s = Service::engine_with(config);
    s.engine.create_thing(&thing("t"));
    let target = JobTarget::Thing(thing("t"));
    assert!(matches!(s.create("A", |c| c.config.rollout.maximum_per_minute = Some(101)), Err(ControlError::LimitExceeded(_))));
    assert!(matches!(s.create("A", |c| c.targets = vec![target.clone(); 3]), Err(ControlError::LimitExceeded(_))));
    s.create("A", |_| {}).unwrap();
    assert!(matches!(s.create("B", |_| {}), Err(ControlError::LimitExceeded(_))));
    let rollout = Some(RolloutConfig { maximum_per_minute: Some(101), exponential: None });
    let update = UpdateJob { rollout, ..UpdateJob::default() };
    assert!(matches!(s.engine.update_job(&job("A"), update, s.now), Err(ControlError::LimitExceeded(_))));
}

// -------------------------------------------------------------------------------------------------------------- retries

#[test]
fn failures_and_timeouts_are_retried_with_new_numbers_until_their_attempts_are_used_up() {
    use ExecutionStatus::{Failed, Queued, TimedOut};
    let mut s = Service::with_thing();
    s.create("A", |c| {
        c.config.in_progress_timeout_minutes = Some(1);
        c.config.retry = vec![
            RetryCriterion { failure: FailureType::Failed, retries: 1 },
            RetryCriterion { failure: FailureType::TimedOut, retries: 1 },
        ];
    })
    .unwrap();
    s.finish("t", "A", Failed);
    assert_eq!(s.executions("t"), [(1, Failed), (2, Queued)]);
    assert_eq!(s.status("A"), JobStatus::InProgress, "a thing that is tried again is not done");
    s.ask("t", RequestBody::StartNext(StartNext::default())).unwrap();
    s.run(MINUTE);
    assert_eq!(s.executions("t"), [(1, Failed), (2, TimedOut), (3, Queued)]);
    s.finish("t", "A", Failed);
    assert_eq!(s.executions("t"), [(1, Failed), (2, TimedOut), (3, Failed)], "both kinds are used up");
    let described = s.engine.describe_job(&job("A")).unwrap();
    assert_eq!(
        (described.status, described.process_details.failed),
        (JobStatus::Completed, 1),
        "one thing, however often it failed"
    );
    let last = s.engine.describe_execution(&thing("t"), &job("A"), None, s.now).unwrap();
    assert_eq!((last.execution_number, last.retry_attempt), (3, 2));
}

#[test]
fn a_retry_is_two_changes_and_both_are_told() {
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.retry = vec![RetryCriterion { failure: FailureType::All, retries: 10 }]).unwrap();
    s.start();
    s.notes.clear();
    s.update("A", ExecutionStatus::Failed, |_| {}).unwrap();
    assert_eq!(s.notes.len(), 4, "removed, and queued again: notify and notify-next of each");
}

#[test]
fn neither_a_rejection_nor_a_canceled_job_is_retried() {
    use ExecutionStatus::{Canceled, Failed, InProgress, Rejected};
    let all = vec![RetryCriterion { failure: FailureType::All, retries: 3 }];
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.retry = all.clone()).unwrap();
    s.finish("t", "A", Rejected);
    assert_eq!(s.executions("t"), [(1, Rejected)]);
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.retry = all.clone()).unwrap();
    s.start();
    s.engine.cancel_job(&job("A"), CancelJob::default(), s.now).unwrap();
    assert_eq!(s.executions("t"), [(1, InProgress)], "what runs goes on");
    s.update("A", Failed, |_| {}).unwrap();
    assert_eq!(s.executions("t"), [(1, Failed)]);
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.retry = all).unwrap();
    s.finish("t", "A", Failed);
    s.engine.cancel_job(&job("A"), CancelJob::default(), s.now).unwrap();
    assert_eq!(s.executions("t"), [(1, Failed), (2, Canceled)], "a retry that waits is dropped");
}

// --------------------------------------------------------------------------------------------------------------- aborts

#[test]
fn a_job_aborts_when_enough_things_failed_and_only_what_is_queued_is_cancelled() {
    use ExecutionStatus::{Canceled, Failed, InProgress};
    let mut s = Service::new();
    let group = fleet(&mut s, 20);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout.maximum_per_minute = Some(10);
        c.config.abort = vec![AbortCriterion { failure: FailureType::Failed, threshold_hundredths: 2_000, executed_min: 5 }];
    })
    .unwrap();
    s.finish("t-0", "A", Failed);
    assert_eq!(s.status("A"), JobStatus::InProgress, "one of one failed, but five must have been given the job");
    s.run(MINUTE - Duration::from_nanos(1));
    s.ask("t-1", RequestBody::StartNext(StartNext::default())).unwrap();
    s.finish("t-2", "A", Failed);
    let described = s.engine.describe_job(&job("A")).unwrap();
    assert_eq!(described.status, JobStatus::Canceled, "two of ten are 20 %");
    assert!(described.reason_code.is_some() && described.comment.is_some());
    let counts = described.process_details;
    assert_eq!((counts.failed, counts.in_progress, counts.canceled), (2, 1, 7));
    assert_eq!(s.executions("t-1"), [(1, InProgress)]);
    assert_eq!(s.executions("t-3"), [(1, Canceled)]);
    s.run(MINUTE);
    assert_eq!(s.queued_so_far(), 10, "the rollout has ended");
}

#[test]
fn an_abort_waits_for_its_kind_of_failure() {
    let mut s = Service::new();
    let group = fleet(&mut s, 4);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.abort = vec![AbortCriterion { failure: FailureType::Rejected, threshold_hundredths: 5_000, executed_min: 1 }];
    })
    .unwrap();
    s.finish("t-0", "A", ExecutionStatus::Failed);
    s.finish("t-1", "A", ExecutionStatus::Failed);
    assert_eq!(s.status("A"), JobStatus::InProgress);
    s.finish("t-2", "A", ExecutionStatus::Rejected);
    assert_eq!(s.status("A"), JobStatus::InProgress, "one of four");
}

// ------------------------------------------------------------------------------------------------------------ schedules

fn scheduled(s: &mut Service, start_minutes: u32, end: Option<(u32, EndBehavior)>) -> Result<(), ControlError> {
    let at = |minutes: u32| s.now.epoch_ms + (MINUTE * minutes).as_millis() as i64;
    let scheduling = SchedulingConfig {
        start_ms: (start_minutes > 0).then(|| at(start_minutes)),
        end: end.map(|(minutes, behavior)| ScheduledEnd { at_ms: at(minutes), behavior }),
        windows: Vec::new(),
    };
    let group = fleet(s, 3);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.scheduling = Some(scheduling);
        c.config.rollout.maximum_per_minute = Some(1);
    })
}

#[test]
fn a_scheduled_job_is_not_to_be_seen_before_its_start() {
    let mut s = Service::new();
    scheduled(&mut s, 30, None).unwrap();
    assert_eq!((s.status("A"), s.queued_so_far()), (JobStatus::Scheduled, 0));
    s.run(MINUTE * 30 - Duration::from_millis(1));
    assert_eq!((s.status("A"), s.queued_so_far()), (JobStatus::Scheduled, 0));
    s.run(Duration::from_millis(1));
    assert_eq!((s.status("A"), s.queued_so_far()), (JobStatus::InProgress, 1));
    s.run(MINUTE);
    assert_eq!(s.queued_so_far(), 2, "its rollout counts from its start");
}

#[test]
fn an_end_time_stops_the_rollout_and_its_behavior_says_what_else() {
    use ExecutionStatus::{Canceled, InProgress, Queued};
    for (behavior, running, waiting, status) in [
        (EndBehavior::StopRollout, InProgress, Queued, JobStatus::InProgress),
        (EndBehavior::Cancel, InProgress, Canceled, JobStatus::InProgress),
        (EndBehavior::ForceCancel, Canceled, Canceled, JobStatus::Completed),
    ] {
        let mut s = Service::new();
        let group = fleet(&mut s, 40);
        let end = s.now.epoch_ms + (MINUTE * 30).as_millis() as i64;
        s.create("A", |c| {
            c.targets = vec![JobTarget::Group(group)];
            c.scheduling =
                Some(SchedulingConfig { end: Some(ScheduledEnd { at_ms: end, behavior }), ..SchedulingConfig::default() });
            c.config.rollout.maximum_per_minute = Some(1);
        })
        .unwrap();
        s.ask("t-0", RequestBody::StartNext(StartNext::default())).unwrap();
        s.run(MINUTE * 31);
        let given = s.queued_so_far();
        assert!((30..=31).contains(&given), "{given}");
        s.run(MINUTE * 10);
        assert_eq!(s.queued_so_far(), given, "{behavior:?}");
        assert_eq!(
            (&s.executions("t-0")[..], &s.executions("t-1")[..]),
            (&[(1, running)][..], &[(1, waiting)][..]),
            "{behavior:?}"
        );
        assert_eq!(s.status("A"), status, "{behavior:?}");
    }
}

#[test]
fn a_schedule_out_of_its_limits_is_refused() {
    for (start, end) in
        [(29, None), (0, Some((29, EndBehavior::Cancel))), (40, Some((60, EndBehavior::Cancel))), (400 * 1440, None)]
    {
        let refused = scheduled(&mut Service::new(), start, end);
        assert!(matches!(refused, Err(ControlError::InvalidRequest(_))), "{start} {end:?}");
    }
}

// ------------------------------------------------------------------------------------------------- members and targets

fn continuous(s: &mut Service) -> iot_jobs::GroupName {
    let group = fleet(s, 2);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group.clone())];
        c.target_selection = TargetSelection::Continuous;
    })
    .unwrap();
    group
}

#[test]
fn a_thing_that_leaves_the_group_of_a_continuous_job_loses_it_and_gets_it_afresh_when_it_comes_back() {
    use ExecutionStatus::{Queued, Removed, Succeeded};
    let mut s = Service::new();
    let group = continuous(&mut s);
    s.ask("t-0", RequestBody::StartNext(StartNext::default())).unwrap();
    for name in ["t-0", "t-1"] {
        s.engine.remove_thing_from_group(&thing(name), &group, s.now).unwrap();
        assert_eq!(s.executions(name), [(1, Removed)]);
    }
    s.engine.add_thing_to_group(&thing("t-0"), &group, s.now).unwrap();
    assert_eq!(s.executions("t-0"), [(1, Removed), (2, Queued)]);
    s.finish("t-0", "A", Succeeded);
    assert_eq!(s.status("A"), JobStatus::InProgress, "a continuous job never completes");
    assert_eq!(s.engine.members(&group).unwrap(), [thing("t-0")]);
    assert_eq!(s.engine.groups_of(&thing("t-0")).unwrap(), [group]);
}

#[test]
fn a_deleted_thing_leaves_everything() {
    let mut s = Service::new();
    let group = fleet(&mut s, 2);
    s.create("A", |c| c.targets = vec![JobTarget::Group(group.clone())]).unwrap();
    s.engine.delete_thing(&thing("t-0"), s.now).unwrap();
    s.settle();
    assert!(!s.engine.has_thing(&thing("t-0")));
    assert_eq!(s.engine.members(&group).unwrap(), [thing("t-1")]);
    assert_eq!(s.engine.describe_job(&job("A")).unwrap().process_details.removed, 1);
    s.finish("t-1", "A", ExecutionStatus::Succeeded);
    assert_eq!(s.status("A"), JobStatus::Completed);
    s.engine.delete_group(&group, s.now).unwrap();
    assert!(matches!(s.engine.members(&group), Err(ControlError::ResourceNotFound(_))));
}

#[test]
fn a_continuous_job_takes_further_targets() {
    let mut s = Service::new();
    continuous(&mut s);
    s.engine.create_thing(&thing("more"));
    s.engine.associate_targets(&job("A"), vec![JobTarget::Thing(thing("more"))], Some("c".into()), s.now).unwrap();
    s.settle();
    assert_eq!(s.executions("more"), [(1, ExecutionStatus::Queued)]);
    let described = s.engine.describe_job(&job("A")).unwrap();
    assert_eq!((described.create.targets.len(), described.comment.as_deref()), (2, Some("c")));
    s.create("B", |c| c.targets = vec![JobTarget::Thing(thing("more"))]).unwrap();
    let refused = s.engine.associate_targets(&job("B"), vec![JobTarget::Thing(thing("t-0"))], None, s.now);
    assert!(matches!(refused, Err(ControlError::InvalidRequest(_))), "a snapshot");
}

// ------------------------------------------------------------------------------------------------- the control plane

#[test]
fn cancelling_and_deleting_as_the_table_of_section_11_5_says() {
    use ExecutionStatus::{Canceled, Succeeded};
    let cancel = |s: &mut Service, force, expected_version| {
        let call = CancelExecution { force, expected_version, status_details: None };
        let result = s.engine.cancel_execution(&thing("t"), &job("A"), call, s.now);
        s.settle();
        result
    };
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    assert!(matches!(cancel(&mut s, false, Some(2)), Err(ControlError::VersionConflict(_))));
    assert_eq!(cancel(&mut s, false, Some(1)), Ok(()));
    assert_eq!(s.executions("t"), [(1, Canceled)]);
    assert!(matches!(cancel(&mut s, true, None), Err(ControlError::InvalidStateTransition(_))), "it has ended");
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.start();
    assert!(matches!(cancel(&mut s, false, None), Err(ControlError::InvalidStateTransition(_))));
    assert!(matches!(s.engine.delete_job(&job("A"), false, s.now), Err(ControlError::InvalidStateTransition(_))));
    assert_eq!(cancel(&mut s, true, None), Ok(()));
    assert!(s.engine.describe_execution(&thing("t"), &job("A"), None, s.now).unwrap().force_canceled);
    assert_eq!(s.engine.delete_job(&job("A"), false, s.now), Ok(()));
    assert!(matches!(s.engine.describe_job(&job("A")), Err(ControlError::ResourceNotFound(_))));
    assert_eq!(s.executions("t"), []);
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.start();
    s.told();
    assert_eq!(s.engine.delete_job(&job("A"), true, s.now), Ok(()));
    s.settle();
    s.expect_told("{}", "none");
    let gone = s.update("A", Succeeded, |_| {}).unwrap_err();
    assert_eq!(gone.code, iot_jobs::ErrorCode::ResourceNotFound);
    s.create("A", |_| {}).unwrap();
    assert_eq!(s.executions("t"), [(1, ExecutionStatus::Queued)], "the id is free again");
}

#[test]
fn jobs_and_executions_are_listed_by_what_is_asked_for() {
    let mut s = Service::new();
    let group = continuous(&mut s);
    s.create("B", |c| c.targets = vec![JobTarget::Thing(thing("t-1"))]).unwrap();
    s.finish("t-1", "A", ExecutionStatus::Succeeded);
    let listed = |s: &Service, filter: JobFilter| -> Vec<String> { s.engine.list_jobs(&filter).map(ToString::to_string).collect() };
    assert_eq!(listed(&s, JobFilter::default()), ["A", "B"]);
    assert_eq!(listed(&s, JobFilter { target_selection: Some(TargetSelection::Snapshot), ..JobFilter::default() }), ["B"]);
    assert_eq!(listed(&s, JobFilter { group: Some(group), ..JobFilter::default() }), ["A"]);
    assert_eq!(listed(&s, JobFilter { status: Some(JobStatus::Canceled), ..JobFilter::default() }), [""; 0]);
    let of_a: Vec<String> = s
        .engine
        .executions_of_job(&job("A"), Some(ExecutionStatus::Succeeded), s.now)
        .unwrap()
        .map(|execution| execution.thing.to_string())
        .collect();
    assert_eq!(of_a, ["t-1"]);
    let of_b = ExecutionFilter { job: Some(job("B")), ..ExecutionFilter::default() };
    assert_eq!(s.engine.executions_of_thing(&thing("t-1"), &of_b, s.now).unwrap().len(), 1);
}

#[test]
fn events_are_told_where_they_are_enabled() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.finish("t", "A", ExecutionStatus::Succeeded);
    assert_eq!(s.events(), []);
    s.engine.configure_events(EventConfig { job: true, job_execution: true });
    s.create("B", |_| {}).unwrap();
    s.finish("t", "B", ExecutionStatus::Failed);
    s.create("C", |_| {}).unwrap();
    s.engine.cancel_job(&job("C"), CancelJob::default(), s.now).unwrap();
    s.engine.delete_job(&job("C"), false, s.now).unwrap();
    let told: Vec<String> = s
        .events()
        .into_iter()
        .map(|event| match event {
            JobEvent::Job { change, job } => format!("{} {change:?}", job.create.job_id),
            JobEvent::Execution { change: ExecutionChange::Ended(status), execution } => format!("{} {status}", execution.job_id),
            JobEvent::Execution { change: ExecutionChange::Deleted, execution } => format!("{} gone", execution.job_id),
        })
        .collect();
    let job_changes = [JobChange::CancellationInProgress, JobChange::Canceled, JobChange::DeletionInProgress, JobChange::Deleted];
    let [canceling, canceled, deleting, deleted] = job_changes.map(|change| format!("C {change:?}"));
    assert_eq!(told, ["B FAILED", "B Completed", &*canceling, "C CANCELED", &*canceled, &*deleting, "C gone", &*deleted]);
}

// -------------------------------------------------------------------------------------------------------------- records

/// Everything that was written down so far.
fn written(s: &mut Service, into: &mut BTreeMap<RecordKey, Record>) {
    while let Some((key, record)) = s.engine.poll_record(s.now) {
        match record {
            Some(record) => drop(into.insert(key, record)),
            None => drop(into.remove(&key)),
        }
    }
}

#[test]
fn an_engine_that_is_read_back_goes_on_where_the_other_stopped() {
    use ExecutionStatus::{Failed, Succeeded};
    let config = EngineConfig { keeps_records: true, ..EngineConfig::new(MINUTE) };
    let mut s = Service::engine_with(config.clone());
    let group = fleet(&mut s, 10);
    let mut records = BTreeMap::new();
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group.clone())];
        c.config.rollout.maximum_per_minute = Some(6);
        c.config.in_progress_timeout_minutes = Some(3);
        c.config.retry = vec![RetryCriterion { failure: FailureType::Failed, retries: 1 }];
    })
    .unwrap();
    s.create("gone", |c| c.targets = vec![JobTarget::Thing(thing("t-9"))]).unwrap();
    s.run(MINUTE / 2);
    s.finish("t-0", "A", Succeeded);
    s.finish("t-1", "A", Failed);
    let step = StartNext { status_details: None, step_timeout: Some(StepTimeout::Minutes(2)) };
    s.ask("t-2", RequestBody::StartNext(step)).unwrap();
    written(&mut s, &mut records);
    s.engine.delete_job(&job("gone"), true, s.now).unwrap();
    s.engine.delete_thing(&thing("t-9"), s.now).unwrap();
    written(&mut s, &mut records);

    let mut again = Service::engine_with(config);
    again.now = s.now;
    again.engine.restore(records.clone(), s.now);
    again.settle();
    for name in (0..9).map(|n| format!("t-{n}")) {
        let all = |s: &Service| s.engine.executions_of_thing(&thing(&name), &ExecutionFilter::default(), s.now).unwrap();
        assert_eq!(all(&s), all(&again), "{name}");
    }
    assert_eq!(s.engine.describe_job(&job("A")), again.engine.describe_job(&job("A")));
    assert_eq!(s.engine.members(&group), again.engine.members(&group));
    assert!(!again.engine.has_thing(&thing("t-9")) && again.engine.describe_job(&job("gone")).is_err());
    assert_eq!(s.engine.poll_timeout(), again.engine.poll_timeout());
    // The same happens to both from here on.
    s.settle();
    let before = (s.ledger.len(), again.ledger.len());
    s.run(MINUTE * 4);
    again.run(MINUTE * 4);
    let rows = |s: &Service, from: usize| s.ledger[from..].iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(rows(&s, before.0), rows(&again, before.1));
    assert!(rows(&s, before.0).iter().any(|row| row.contains("TIMED_OUT")));
}

#[test]
fn a_job_that_is_handed_out_again_is_not_written_down_again() {
    let mut s = Service::engine_with(EngineConfig { keeps_records: true, ..EngineConfig::new(MINUTE) });
    s.engine.create_thing(&thing("t"));
    s.create("A", |_| {}).unwrap();
    let mut start = |timeout| {
        s.ask("t", RequestBody::StartNext(StartNext { status_details: None, step_timeout: timeout })).unwrap();
        std::iter::from_fn(|| s.engine.poll_record(s.now)).count()
    };
    assert!(start(None) > 0);
    assert_eq!(start(None), 0);
    assert!(start(Some(StepTimeout::Minutes(1))) > 0, "its timer is another");
}
