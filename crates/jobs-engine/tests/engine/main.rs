//! The jobs engine against the conformance vectors of PROTOCOL 19, its timers and its pacing.

use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{
    Answer, CancelJob, ControlError, Describe, EndBehavior, ErrorCode, ExecutionStatus, JobDocument, JobRef, JobStatus, JobTarget,
    Notification, PendingJobs, RequestBody, ScheduledEnd, SchedulingConfig, StartNext, StatusDetails, StepTimeout, TargetSelection,
    Update, UpdateAnswer,
};
use proptest::prelude::*;
use service::{MINUTE, Service, fleet, job, thing};
use std::collections::BTreeMap;
use std::time::Duration;

mod concurrency;
mod life;
mod namespaces;
mod service;
mod windows;

#[test]
fn queue_life_cycle_of_section_19_2() {
    use ExecutionStatus::{InProgress, Queued, Rejected, Succeeded};
    let mut s = Service::with_thing();
    let second = Duration::from_secs(1);

    s.create("A", |_| {}).unwrap(); // 1
    s.expect_told("QUEUED:A v1", "A QUEUED v1");
    s.pass(second);
    s.create("B", |_| {}).unwrap(); // 2
    s.expect_told("QUEUED:A v1, QUEUED:B v1", "-");
    let started = s.start().unwrap(); // 3
    assert_eq!((started.job_id.as_str(), started.status, started.version_number), ("A", InProgress, 2));
    s.expect_told("-", "-");
    s.pass(second);
    let again = s.start().unwrap(); // 4
    assert_eq!(again, started);
    s.expect_told("-", "-");
    s.update("A", InProgress, |u| u.expected_version = Some(2)).unwrap(); // 5
    s.expect_told("-", "-");
    s.create("C", |_| {}).unwrap(); // 6
    s.expect_told("IN_PROGRESS:A v3, QUEUED:B v1, QUEUED:C v1", "-");
    let mismatch = s.update("A", InProgress, |u| u.expected_version = Some(2)).unwrap_err(); // 7
    assert_eq!((mismatch.code, mismatch.message.as_str()), (ErrorCode::VersionMismatch, "Expected version 2 but found version 3"));
    let state = mismatch.execution_state.unwrap();
    assert_eq!((state.status, state.version_number), (InProgress, 3));
    s.expect_told("-", "-");
    s.update("A", Succeeded, |_| {}).unwrap(); // 8
    s.expect_told("QUEUED:B v1, QUEUED:C v1", "B QUEUED v1");
    let terminal = s.update("A", InProgress, |_| {}).unwrap_err(); // 9
    assert_eq!(terminal.code, ErrorCode::InvalidStateTransition);
    let state = terminal.execution_state.unwrap();
    assert_eq!((state.status, state.version_number), (Succeeded, 4));
    s.expect_told("-", "-");
    s.update("C", InProgress, |_| {}).unwrap(); // 10
    s.expect_told("-", "C IN_PROGRESS v2");
    s.update("B", Rejected, |_| {}).unwrap(); // 11
    s.expect_told("IN_PROGRESS:C v2", "-");
    let refused = s.engine.delete_execution(&thing("t"), &job("C"), 1, false, s.now);
    assert!(matches!(refused, Err(ControlError::InvalidStateTransition(_))));
    s.engine.delete_execution(&thing("t"), &job("C"), 1, true, s.now).unwrap(); // 12
    s.settle();
    s.expect_told("{}", "none");
    assert_eq!(s.describe(JobRef::Next), Ok(None)); // 13
    assert_eq!(s.ask("t", RequestBody::GetPending), Ok(Answer::Pending(PendingJobs::default()))); // 14
    assert_eq!(s.describe(JobRef::Id(job("C"))).unwrap_err().code, ErrorCode::ResourceNotFound); // 15
    assert_eq!(s.describe(JobRef::Id(job("A"))).unwrap_err().code, ErrorCode::TerminalStateReached); // 16
    assert_eq!(Queued.as_str(), "QUEUED");
}

#[test]
fn optional_fields_of_section_19_3() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.start();
    let plain = s.update("A", ExecutionStatus::InProgress, |_| {}).unwrap();
    assert_eq!(plain, UpdateAnswer::default());
    let state = s.update("A", ExecutionStatus::InProgress, |u| u.include_execution_state = true).unwrap();
    assert_eq!(state.execution_state.unwrap().version_number, 4);
    let document = s.update("A", ExecutionStatus::InProgress, |u| u.include_job_document = true).unwrap();
    assert_eq!(document.job_document.unwrap().as_json(), r#"{"operation":"firmware"}"#);
    let wrong_number = s.update("A", ExecutionStatus::InProgress, |u| u.execution_number = Some(9)).unwrap_err();
    assert_eq!(wrong_number.code, ErrorCode::ResourceNotFound);
}

#[test]
fn details_are_kept_when_absent_and_replaced_when_given() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    let details = |key: &str| Some(StatusDetails::new([(key, "1")]).unwrap());
    s.ask("t", RequestBody::StartNext(StartNext { status_details: details("a"), step_timeout: None })).unwrap();
    s.ask("t", RequestBody::StartNext(StartNext { status_details: details("ignored"), step_timeout: None })).unwrap();
    s.update("A", ExecutionStatus::InProgress, |_| {}).unwrap();
    assert_eq!(s.describe(JobRef::Next).unwrap().unwrap().status_details, details("a").unwrap());
    s.update("A", ExecutionStatus::InProgress, |u| u.status_details = details("b")).unwrap();
    assert_eq!(s.describe(JobRef::Next).unwrap().unwrap().status_details, details("b").unwrap());
}

#[test]
fn a_thing_without_executions_gets_empty_answers() {
    let mut s = Service::new();
    s.engine.create_thing(&thing("known"));
    for name in ["known", "unknown"] {
        assert_eq!(s.ask(name, RequestBody::StartNext(StartNext::default())), Ok(Answer::Started(None)));
        assert_eq!(s.ask(name, RequestBody::GetPending), Ok(Answer::Pending(PendingJobs::default())));
    }
    assert_eq!(s.update("A", ExecutionStatus::InProgress, |_| {}).unwrap_err().code, ErrorCode::ResourceNotFound);
}

#[test]
fn get_shows_ten_at_the_most() {
    let mut s = Service::with_thing();
    for n in 0..12 {
        s.create(&format!("job-{n}"), |_| {}).unwrap();
        s.pass(Duration::from_millis(1));
    }
    s.start();
    let Ok(Answer::Pending(pending)) = s.ask("t", RequestBody::GetPending) else { panic!() };
    assert_eq!((pending.in_progress.len(), pending.queued.len()), (1, 9));
    assert_eq!(pending.queued[0].job_id.as_str(), "job-1");
}

#[test]
fn get_shows_fifteen_where_one_of_them_has_a_schedule() {
    let mut s = Service::with_thing();
    let end = ScheduledEnd { at_ms: s.now.epoch_ms + (MINUTE * 60).as_millis() as i64, behavior: EndBehavior::StopRollout };
    s.create("scheduled", |c| c.scheduling = Some(SchedulingConfig { end: Some(end), ..SchedulingConfig::default() })).unwrap();
    for n in 0..19 {
        s.create(&format!("job-{n}"), |_| {}).unwrap();
    }
    let Ok(Answer::Pending(pending)) = s.ask("t", RequestBody::GetPending) else { panic!() };
    assert_eq!(pending.queued.len(), 15);
}

// --------------------------------------------------------------------------------------------------------------- timers

#[test]
fn the_worked_example_of_timers() {
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.in_progress_timeout_minutes = Some(20)).unwrap();
    s.start();
    let minutes = |n: u32| MINUTE * n;
    for (pass, step, left) in [(5, 7, 7), (5, 5, 5), (3, 9, 7)] {
        s.pass(minutes(pass));
        s.update("A", ExecutionStatus::InProgress, |u| u.step_timeout = Some(StepTimeout::Minutes(step))).unwrap();
        let execution = s.describe(JobRef::Next).unwrap().unwrap();
        assert_eq!(execution.approximate_seconds_before_timed_out, Some(left * 60));
        assert_eq!(s.engine.poll_timeout(), Some((s.now.mono + minutes(left as u32), "execution timeout")));
    }
    s.told();
    s.pass(minutes(7));
    s.timeout();
    s.expect_told("{}", "none");
    let late = s.update("A", ExecutionStatus::Succeeded, |_| {}).unwrap_err();
    assert_eq!(late.execution_state.unwrap().status, ExecutionStatus::TimedOut);
    assert_eq!(s.engine.poll_timeout(), None);
}

#[test]
fn a_step_timer_is_cancelled_by_minus_one_and_a_terminal_state() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.ask("t", RequestBody::StartNext(StartNext { status_details: None, step_timeout: Some(StepTimeout::Minutes(1)) })).unwrap();
    assert!(s.engine.poll_timeout().is_some());
    s.update("A", ExecutionStatus::InProgress, |u| u.step_timeout = Some(StepTimeout::Cancel)).unwrap();
    assert_eq!(s.engine.poll_timeout(), None);
    s.update("A", ExecutionStatus::InProgress, |u| u.step_timeout = Some(StepTimeout::Minutes(1))).unwrap();
    s.update("A", ExecutionStatus::Succeeded, |_| {}).unwrap();
    assert_eq!(s.engine.poll_timeout(), None);
}

#[test]
fn no_timer_runs_while_queued() {
    let mut s = Service::with_thing();
    s.create("A", |c| c.config.in_progress_timeout_minutes = Some(1)).unwrap();
    assert_eq!(s.engine.poll_timeout(), None);
}

// -------------------------------------------------------------------------------------------------------------- rollout

#[test]
fn executions_are_queued_at_start_plus_n_over_rate_however_late_the_timer_is() {
    let mut s = Service::new();
    let group = fleet(&mut s, 100);
    let start = s.now.mono;
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout.maximum_per_minute = Some(7);
    })
    .unwrap();
    for n in 1..100u32 {
        let (due, name) = s.engine.poll_timeout().unwrap();
        assert_eq!(name, "rollout");
        assert_eq!(due.since(start), MINUTE * n / 7, "execution {n}");
        // The timer fires late; the next execution is not.
        s.now.mono = due + Duration::from_millis(3);
        s.timeout();
    }
    assert_eq!(s.engine.poll_timeout(), None);
    let order: Vec<String> = s.ledger.iter().filter(|r| r.event == LedgerEvent::Queued).map(|r| r.thing.to_string()).collect();
    assert_eq!(order, (0..100).map(|n| format!("t-{n}")).collect::<Vec<_>>());
}

#[test]
fn a_service_that_was_stopped_for_a_while_catches_up() {
    let mut s = Service::new();
    let group = fleet(&mut s, 100);
    s.create("A", |c| {
        c.targets = vec![JobTarget::Group(group)];
        c.config.rollout.maximum_per_minute = Some(60);
    })
    .unwrap();
    s.pass(Duration::from_millis(49_500));
    s.timeout();
    assert_eq!(s.engine.describe_job(&job("A")).unwrap().process_details.queued, 50);
}

#[test]
fn a_thing_named_twice_gets_one_execution() {
    let mut s = Service::new();
    let group = fleet(&mut s, 3);
    s.create("A", |c| c.targets = vec![JobTarget::Thing(thing("t-1")), JobTarget::Group(group), JobTarget::Thing(thing("t-1"))])
        .unwrap();
    assert_eq!(s.engine.describe_job(&job("A")).unwrap().process_details.queued, 3);
}

#[test]
fn later_members_get_a_continuous_job_but_not_a_snapshot() {
    for (selection, expected) in [(TargetSelection::Continuous, 3), (TargetSelection::Snapshot, 2)] {
        let mut s = Service::new();
        let group = fleet(&mut s, 2);
        s.create("A", |c| {
            c.targets = vec![JobTarget::Group(group.clone())];
            c.target_selection = selection;
        })
        .unwrap();
        s.engine.create_thing(&thing("late"));
        s.engine.add_thing_to_group(&thing("late"), &group, s.now).unwrap();
        assert_eq!(s.engine.describe_job(&job("A")).unwrap().process_details.queued, expected);
    }
}

#[test]
fn a_snapshot_job_completes_with_its_last_execution() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.start();
    assert_eq!(s.engine.describe_job(&job("A")).unwrap().status, JobStatus::InProgress);
    s.update("A", ExecutionStatus::Failed, |_| {}).unwrap();
    let description = s.engine.describe_job(&job("A")).unwrap();
    assert_eq!((description.status, description.process_details.failed), (JobStatus::Completed, 1));
    assert!(description.completed_at_ms.is_some());
}

// --------------------------------------------------------------------------------------------------------------- cancel

#[test]
fn cancel_takes_what_is_queued_and_with_force_what_runs() {
    for (force, running) in [(false, ExecutionStatus::InProgress), (true, ExecutionStatus::Canceled)] {
        let mut s = Service::new();
        let group = fleet(&mut s, 3);
        s.engine.handle_subscription(&thing("t-1"), true, true);
        s.create("A", |c| {
            c.targets = vec![JobTarget::Group(group)];
            c.config.rollout.maximum_per_minute = Some(120);
        })
        .unwrap();
        s.pass(Duration::from_millis(500));
        s.timeout();
        s.ask("t-0", RequestBody::StartNext(StartNext::default())).unwrap();
        s.told();
        s.engine.cancel_job(&job("A"), CancelJob { force, ..CancelJob::default() }, s.now).unwrap();
        s.settle();
        s.expect_told("{}", "none");
        let details = s.engine.describe_job(&job("A")).unwrap().process_details;
        assert_eq!(details.canceled, if force { 2 } else { 1 });
        let last = |s: &Service, name: &str| s.ledger.iter().rfind(|row| row.thing.as_str() == name).map(|row| row.status);
        assert_eq!(last(&s, "t-0"), Some(running));
        s.pass(MINUTE);
        s.timeout();
        assert_eq!(last(&s, "t-2"), None, "the rollout has ended");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    assert!(matches!(s.create("A", |_| {}), Err(ControlError::ResourceAlreadyExists(_))));
    assert!(matches!(s.create("B", |c| c.targets = vec![]), Err(ControlError::InvalidRequest(_))));
    assert!(matches!(s.create("B", |c| c.targets = vec![JobTarget::Thing(thing("x"))]), Err(ControlError::ResourceNotFound(_))));
    assert!(matches!(s.create("B", |c| c.config.rollout.maximum_per_minute = Some(0)), Err(ControlError::InvalidRequest(_))));
    assert!(matches!(s.create("B", |c| c.config.in_progress_timeout_minutes = Some(10_081)), Err(ControlError::InvalidRequest(_))));
    let long = format!("\"{}\"", "x".repeat(32_768));
    assert!(matches!(s.create("B", |c| c.document = JobDocument::from_valid_json(&long)), Err(ControlError::InvalidRequest(_))));
    assert!(matches!(s.engine.describe_job(&job("B")), Err(ControlError::ResourceNotFound(_))));
}

// --------------------------------------------------------------------------------------------------------------- ledger

#[test]
fn the_ledger_of_one_execution() {
    let mut s = Service::with_thing();
    s.create("A", |_| {}).unwrap();
    s.start();
    s.update("A", ExecutionStatus::InProgress, |_| {}).unwrap();
    s.update("A", ExecutionStatus::Succeeded, |_| {}).unwrap();
    let rows: Vec<_> = s.ledger.iter().map(|row| (row.event, row.status, row.version, row.subscribed)).collect();
    use ExecutionStatus::{InProgress, Queued, Succeeded};
    assert_eq!(
        rows,
        [
            (LedgerEvent::Queued, Queued, 1, true),
            (LedgerEvent::Head, Queued, 1, true),
            (LedgerEvent::Published, Queued, 1, true),
            (LedgerEvent::Answered, InProgress, 2, true),
            (LedgerEvent::Answered, InProgress, 3, true),
            (LedgerEvent::Answered, Succeeded, 4, true),
            (LedgerEvent::Terminal, Succeeded, 4, true),
        ]
    );
}

#[test]
fn nobody_is_notified_who_did_not_subscribe() {
    let mut s = Service::with_thing();
    s.engine.handle_subscription(&thing("t"), false, false);
    s.create("A", |_| {}).unwrap();
    s.expect_told("-", "-");
    assert!(s.ledger.iter().all(|row| !row.subscribed && row.event != LedgerEvent::Published));
}

// ----------------------------------------------------------------------------------------------------------- any sequence

#[derive(Clone, Debug)]
enum Call {
    Create(usize),
    Cancel(usize, bool),
    Start(usize),
    Update { thing: usize, job: usize, status: usize, version: Option<i64>, step: bool },
    Delete(usize, usize, bool),
    Pass(u64),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..6usize).prop_map(Call::Create),
        1 => (0..6usize, any::<bool>()).prop_map(|(j, f)| Call::Cancel(j, f)),
        6 => (0..3usize).prop_map(Call::Start),
        8 => (0..3usize, 0..6usize, 0..4usize, prop::option::of(1..5i64), any::<bool>())
            .prop_map(|(thing, job, status, version, step)| Call::Update { thing, job, status, version, step }),
        1 => (0..3usize, 0..6usize, any::<bool>()).prop_map(|(t, j, f)| Call::Delete(t, j, f)),
        4 => (0..90_000u64).prop_map(Call::Pass),
    ]
}

/// What the ledger and the notifications promise, recomputed in the plainest way.
#[derive(Default)]
struct Model {
    status: BTreeMap<(String, String), (ExecutionStatus, i64)>,
    heads: BTreeMap<String, Option<String>>,
    sets: BTreeMap<String, Vec<String>>,
}

impl Model {
    fn see(&mut self, row: &LedgerRow) {
        let key = (row.thing.to_string(), row.job.to_string());
        let before = self.status.get(&key).copied();
        match row.event {
            LedgerEvent::Queued => assert!(before.is_none(), "{row:?} was queued before"),
            LedgerEvent::Answered => {
                let (status, version) = before.expect("an answer for what was queued");
                assert!(status.may_become(row.status), "{status} -> {row:?}");
                assert_eq!(row.version, version + 1);
            }
            LedgerEvent::Terminal => {
                let (status, version) = before.expect("an end for what was queued");
                let told_already = status == row.status && version == row.version;
                assert!(told_already || status.may_become(row.status), "{status} -> {row:?}");
                assert!(row.status.is_terminal());
            }
            LedgerEvent::Head | LedgerEvent::Published => return,
        }
        self.status.insert(key, (row.status, row.version));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_sequence_of_calls_keeps_the_promises(calls in prop::collection::vec(call(), 1..60)) {
        let mut s = Service::new();
        let group = fleet(&mut s, 3);
        for n in 0..3 {
            s.engine.handle_subscription(&thing(&format!("t-{n}")), true, true);
        }
        let mut model = Model::default();
        for call in calls {
            let _ = match call {
                Call::Create(j) => s.create(&format!("j-{j}"), |c| {
                    c.targets = vec![JobTarget::Group(group.clone())];
                    c.config.rollout.maximum_per_minute = Some(2);
                    c.config.in_progress_timeout_minutes = (j % 2 == 0).then_some(2);
                }),
                Call::Cancel(j, force) => s.engine.cancel_job(&job(&format!("j-{j}")), CancelJob { force, ..CancelJob::default() }, s.now).map(|_| ()),
                Call::Start(t) => {
                    let _ = s.ask(&format!("t-{t}"), RequestBody::StartNext(StartNext::default()));
                    Ok(())
                }
                Call::Update { thing, job: j, status, version, step } => {
                    use ExecutionStatus::{Failed, InProgress, Rejected, Succeeded};
                    let update = Update {
                        job_id: job(&format!("j-{j}")),
                        status: [InProgress, Succeeded, Failed, Rejected][status],
                        status_details: None,
                        expected_version: version,
                        execution_number: None,
                        include_execution_state: false,
                        include_job_document: false,
                        step_timeout: step.then_some(StepTimeout::Minutes(1)),
                    };
                    let _ = s.ask(&format!("t-{thing}"), RequestBody::Update(update));
                    Ok(())
                }
                Call::Delete(t, j, force) => s.engine.delete_execution(&thing(&format!("t-{t}")), &job(&format!("j-{j}")), 1, force, s.now),
                Call::Pass(ms) => {
                    s.pass(Duration::from_millis(ms));
                    s.timeout();
                    Ok(())
                }
            };
            s.settle();
            s.ledger.drain(..).for_each(|row| model.see(&row));
            // The last notify and notify-next of each thing say what `get` and `$next/get` say now.
            for (name, note) in s.notes.drain(..) {
                match note {
                    Notification::Changed { jobs, .. } => {
                        let mut set: Vec<String> = jobs.in_progress.iter().chain(&jobs.queued).map(|e| e.job_id.to_string()).collect();
                        set.sort();
                        let before = model.sets.insert(name.to_string(), set.clone()).unwrap_or_default();
                        prop_assert_ne!(before, set, "notify without a change of the set");
                    }
                    Notification::NextChanged { execution, .. } => {
                        let head = execution.map(|e| e.job_id.to_string());
                        let before = model.heads.insert(name.to_string(), head.clone()).flatten();
                        prop_assert_ne!(before, head, "notify-next without a change of the head");
                    }
                }
            }
            for n in 0..3 {
                let name = format!("t-{n}");
                let Ok(Answer::Pending(pending)) = s.ask(&name, RequestBody::GetPending) else { panic!() };
                let mut set: Vec<String> = pending.in_progress.iter().chain(&pending.queued).map(|e| e.job_id.to_string()).collect();
                let next = RequestBody::Describe(Describe { job: JobRef::Next, execution_number: None, include_job_document: false });
                let Ok(Answer::Described(head)) = s.ask(&name, next) else { panic!() };
                prop_assert_eq!(head.as_ref().map(|e| e.job_id.to_string()), set.first().cloned());
                prop_assert_eq!(model.heads.get(&name).cloned().flatten(), set.first().cloned());
                set.sort();
                prop_assert_eq!(model.sets.get(&name).cloned().unwrap_or_default(), set.clone());
                let open: Vec<String> = model.status.iter()
                    .filter(|((t, _), (status, _))| *t == name && !status.is_terminal())
                    .map(|((_, j), _)| j.clone()).collect();
                prop_assert_eq!(open, set);
            }
            for j in 0..6 {
                let Ok(description) = s.engine.describe_job(&job(&format!("j-{j}"))) else { continue };
                let count = |status| model.status.iter().filter(|((_, name), (s, _))| *name == format!("j-{j}") && *s == status).count() as u64;
                prop_assert_eq!(description.process_details.queued, count(ExecutionStatus::Queued));
                prop_assert_eq!(description.process_details.in_progress, count(ExecutionStatus::InProgress));
                // A deleted execution leaves the job's counters, and stays in the ledger.
                prop_assert!(description.process_details.timed_out <= count(ExecutionStatus::TimedOut));
                prop_assert!(description.process_details.canceled <= count(ExecutionStatus::Canceled));
            }
        }
    }
}
