//! The ways to learn of jobs that start them with an update of the thing's own.

use crate::bench::{Bench, REJECTS, SUCCEEDS, execution, finished, settings};
use iot_jobs::instant::EpochSeconds;
use iot_jobs::{
    Answer, Describe, ErrorCode, ExecutionState, ExecutionStatus, ExecutionSummary, JobId, JobRef, Notification, PendingJobs,
    Rejection, Request, RequestBody, RequestKind, StatusDetails,
};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::Workflow;
use thing_agent::{AgentSettings, Event};

fn bench(workflow: Workflow, outcome: OutcomeShares) -> Bench {
    Bench::with(AgentSettings { workflow, ..settings(outcome) })
}

fn summary(job: &str, queued_at: i64, version: i64) -> ExecutionSummary {
    ExecutionSummary {
        job_id: JobId::new(job).unwrap(),
        queued_at: EpochSeconds(queued_at),
        started_at: None,
        last_updated_at: EpochSeconds(queued_at),
        version_number: version,
        execution_number: 1,
    }
}

fn queued(jobs: &[(&str, i64)]) -> PendingJobs {
    PendingJobs { in_progress: vec![], queued: jobs.iter().map(|(job, at)| summary(job, *at, 1)).collect() }
}

fn notify(bench: &mut Bench, jobs: PendingJobs) {
    bench.agent.handle_notification(&Notification::Changed { timestamp: EpochSeconds(1), jobs }, bench.now);
    bench.collect();
}

pub(crate) fn described(job: &str, status: ExecutionStatus, version: i64) -> Result<Answer, Rejection> {
    Ok(Answer::Described(Some(execution(job, status, version))))
}

/// The describe that leaves now.
#[track_caller]
pub(crate) fn look(bench: &mut Bench) -> (Request, Describe) {
    let request = bench.request();
    match request.body.clone() {
        RequestBody::Describe(describe) => (request, describe),
        other => panic!("expected a describe, found {other:?}"),
    }
}

#[track_caller]
fn list(bench: &mut Bench) -> Request {
    let request = bench.request();
    assert_eq!(request.body, RequestBody::GetPending);
    request
}

fn state(status: ExecutionStatus, version_number: i64) -> ExecutionState {
    ExecutionState { status, status_details: StatusDetails::default(), version_number }
}

fn conflict(status: ExecutionStatus, version: i64) -> Result<Answer, Rejection> {
    let rejection = Rejection::new(ErrorCode::VersionMismatch, "found another version");
    Err(Rejection { execution_state: Some(state(status, version)), ..rejection })
}

/// Updates to the end as accepted; gives the statuses and expected versions.
fn work_off(bench: &mut Bench) -> Vec<(ExecutionStatus, Option<i64>)> {
    let mut told = Vec::new();
    while bench.agent.is_working() {
        bench.sleep();
        let (request, update) = bench.update();
        told.push((update.status, update.expected_version));
        bench.answer(&request, Bench::accepted());
    }
    told
}

// ------------------------------------------------------------------------------------------------------- describe-update

/// Subscribed, and what it found at `$next` answered with `job`, queued.
fn looked(outcome: OutcomeShares, job: &str) -> Bench {
    let mut bench = bench(Workflow::DescribeUpdate, outcome);
    bench.subscribe();
    let (request, describe) = look(&mut bench);
    assert_eq!(describe, Describe { job: JobRef::Next, execution_number: None, include_job_document: true });
    bench.answer(&request, described(job, ExecutionStatus::Queued, 1));
    bench
}

#[test]
fn it_looks_before_it_starts_with_an_update_of_its_own() {
    let mut bench = looked(SUCCEEDS, "fw");
    assert!(!bench.has(|e| matches!(e, Event::Started { .. })), "looking starts nothing");
    let (request, update) = bench.update();
    assert_eq!(
        (update.status, update.expected_version, update.execution_number, update.status_details),
        (ExecutionStatus::InProgress, Some(1), Some(1), None)
    );
    bench.answer(&request, Bench::accepted());
    assert!(bench.has(|e| matches!(e, Event::Started { resumed: false, .. })));
    let (progress, end) = (ExecutionStatus::InProgress, ExecutionStatus::Succeeded);
    assert_eq!(work_off(&mut bench), [(progress, Some(2)), (progress, Some(3)), (end, Some(4))]);
    assert!(bench.has(finished(end)));
}

#[test]
fn it_waits_for_notify_next_and_looks_then() {
    let mut bench = bench(Workflow::DescribeUpdate, SUCCEEDS);
    bench.subscribe();
    let (request, _) = look(&mut bench);
    bench.answer(&request, Ok(Answer::Described(None)));
    assert_eq!(bench.transmit(), None);
    notify(&mut bench, queued(&[("fw", 1)]));
    assert_eq!(bench.transmit(), None, "notify tells it nothing");
    bench.notify_next(Some(execution("fw", ExecutionStatus::Queued, 1)));
    bench.sleep();
    assert!(matches!(look(&mut bench).1.job, JobRef::Next));
}

#[test]
fn a_start_whose_answer_was_lost_is_recognised_by_looking_again() {
    let mut bench = looked(REJECTS, "fw");
    let (lost, _) = bench.update();
    bench.sleep();
    bench.sleep();
    let (again, update) = bench.update();
    assert_ne!(lost.client_token, again.client_token);
    assert_eq!(update.expected_version, Some(1));
    bench.answer(&again, conflict(ExecutionStatus::InProgress, 2));
    bench.sleep();
    let (request, _) = look(&mut bench);
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 2));
    assert_eq!(bench.events.iter().filter(|e| matches!(e, Event::Started { .. })).count(), 1);
    assert_eq!(work_off(&mut bench), [(ExecutionStatus::Rejected, Some(2))]);
}

#[test]
fn what_somebody_else_ended_before_it_was_started_is_let_go_without_a_word() {
    for code in [ErrorCode::InvalidStateTransition, ErrorCode::TerminalStateReached, ErrorCode::ResourceNotFound] {
        let mut bench = looked(SUCCEEDS, "fw");
        let (request, _) = bench.update();
        bench.answer(&request, Err(Rejection::new(code, "canceled")));
        assert!(!bench.agent.is_working());
        assert!(!bench.has(|e| matches!(e, Event::Started { .. } | Event::Gone { .. })), "{code}");
        assert_eq!(bench.transmit(), None, "it does not ask in circles");
        bench.sleep();
        look(&mut bench);
    }
}

#[test]
fn a_version_conflict_at_work_is_settled_by_describing() {
    let mut bench = looked(REJECTS, "fw");
    let (request, _) = bench.update();
    bench.answer(&request, Bench::accepted());
    bench.sleep();
    let (request, _) = bench.update();
    bench.answer(&request, conflict(ExecutionStatus::InProgress, 9));
    bench.sleep();
    let (request, describe) = look(&mut bench);
    assert_eq!(describe.job, JobRef::Id(JobId::new("fw").unwrap()));
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 11));
    assert_eq!(work_off(&mut bench), [(ExecutionStatus::Rejected, Some(11))]);
}

#[test]
fn its_work_and_its_choice_survive_a_lost_session() {
    // Started: it goes on. Chosen, and maybe started: looking tells.
    for (is_started, found) in
        [(true, ExecutionStatus::InProgress), (false, ExecutionStatus::InProgress), (false, ExecutionStatus::Queued)]
    {
        let mut bench = looked(REJECTS, "fw");
        let (request, _) = bench.update();
        if is_started {
            bench.answer(&request, Bench::accepted());
        }
        bench.agent.handle_disconnected(bench.now);
        bench.subscribe();
        let (request, _) = look(&mut bench);
        let version = if found == ExecutionStatus::Queued { 1 } else { 2 };
        bench.answer(&request, described("fw", found, version));
        let told = work_off(&mut bench);
        assert_eq!(told.last(), Some(&(ExecutionStatus::Rejected, Some(2))), "{is_started} {found}");
        let resumed = bench.has(|e| matches!(e, Event::Started { resumed: true, .. }));
        assert_eq!(resumed, is_started);
        assert_eq!(bench.events.iter().filter(|e| matches!(e, Event::Started { resumed: false, .. })).count(), 1);
    }
}

#[test]
fn drained_it_starts_nothing_that_it_only_looked_at() {
    let mut bench = bench(Workflow::DescribeUpdate, SUCCEEDS);
    bench.subscribe();
    let (request, _) = look(&mut bench);
    bench.agent.handle_drain();
    bench.answer(&request, described("fw", ExecutionStatus::Queued, 1));
    assert_eq!((bench.agent.is_working(), bench.agent.poll_timeout()), (false, None));
}

// -------------------------------------------------------------------------------------------------------------------- list

#[test]
fn it_picks_from_the_list_and_names_what_it_picked() {
    let mut bench = bench(Workflow::List, REJECTS);
    bench.subscribe();
    let request = list(&mut bench);
    let mut jobs = queued(&[("late", 9), ("early", 3)]);
    bench.answer(&request, Ok(Answer::Pending(jobs.clone())));
    let (request, describe) = look(&mut bench);
    let early = JobRef::Id(JobId::new("early").unwrap());
    assert_eq!(describe, Describe { job: early, execution_number: Some(1), include_job_document: true });
    bench.answer(&request, described("early", ExecutionStatus::Queued, 1));
    let (request, update) = bench.update();
    assert_eq!((update.job_id.as_str(), update.expected_version), ("early", Some(1)));
    bench.answer(&request, Bench::accepted());
    assert_eq!(work_off(&mut bench), [(ExecutionStatus::Rejected, Some(2))]);
    // After the end it asks by itself, without being told.
    let request = list(&mut bench);
    jobs.queued.pop();
    bench.answer(&request, Ok(Answer::Pending(jobs)));
    assert_eq!(look(&mut bench).1.job, JobRef::Id(JobId::new("late").unwrap()));
}

#[test]
fn what_is_in_progress_is_picked_first_and_continued() {
    let mut bench = bench(Workflow::List, SUCCEEDS);
    bench.subscribe();
    let request = list(&mut bench);
    let jobs = PendingJobs { in_progress: vec![summary("begun", 9, 4)], ..queued(&[("old", 1)]) };
    bench.answer(&request, Ok(Answer::Pending(jobs)));
    let (request, _) = look(&mut bench);
    let mut found = execution("begun", ExecutionStatus::InProgress, 4);
    found.status_details = StatusDetails::new([("progress", "66"), ("step-1", "done"), ("step-2", "done")]).unwrap();
    bench.answer(&request, Ok(Answer::Described(Some(found))));
    assert_eq!(work_off(&mut bench), [(ExecutionStatus::Succeeded, Some(4))]);
}

#[test]
fn every_notify_makes_it_ask_for_the_list() {
    let mut bench = bench(Workflow::List, SUCCEEDS);
    bench.subscribe();
    let request = list(&mut bench);
    bench.answer(&request, Ok(Answer::Pending(PendingJobs::default())));
    bench.notify_next(Some(execution("fw", ExecutionStatus::Queued, 1)));
    assert_eq!(bench.transmit(), None, "notify-next tells it nothing");
    notify(&mut bench, queued(&[("fw", 1)]));
    assert!(bench.has(|e| matches!(e, Event::Notified { queued_at: None, .. })));
    bench.sleep();
    let request = list(&mut bench);
    // One that comes while it waits for the answer is not lost.
    notify(&mut bench, queued(&[("fw", 1), ("other", 2)]));
    bench.answer(&request, Ok(Answer::Pending(PendingJobs::default())));
    bench.sleep();
    list(&mut bench);
}

#[test]
fn a_list_without_its_work_makes_it_describe_its_work() {
    let mut bench = bench(Workflow::List, SUCCEEDS);
    bench.subscribe();
    let request = list(&mut bench);
    bench.answer(&request, Ok(Answer::Pending(queued(&[("fw", 1)]))));
    let (request, _) = look(&mut bench);
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 2));
    notify(&mut bench, PendingJobs { in_progress: vec![summary("fw", 1, 2)], ..queued(&[("more", 2)]) });
    assert_eq!(bench.transmit(), None, "its work stands in the list");
    notify(&mut bench, queued(&[("more", 2)]));
    let (request, _) = look(&mut bench);
    bench.answer(&request, Err(Rejection::new(ErrorCode::TerminalStateReached, "canceled")));
    assert!(bench.has(|e| matches!(e, Event::Gone { .. })));
    list(&mut bench);
}

#[test]
fn what_it_picked_and_is_gone_is_picked_no_more() {
    let mut bench = bench(Workflow::List, SUCCEEDS);
    bench.subscribe();
    let request = list(&mut bench);
    bench.answer(&request, Ok(Answer::Pending(queued(&[("fw", 1)]))));
    let (request, _) = look(&mut bench);
    bench.answer(&request, Err(Rejection::new(ErrorCode::ResourceNotFound, "deleted")));
    assert_eq!(bench.transmit(), None, "it does not ask in circles");
    bench.sleep();
    list(&mut bench);
    assert!(!bench.has(|e| matches!(e, Event::Gone { .. })));
}

#[test]
fn it_finds_its_own_work_again_after_a_lost_session() {
    let mut bench = bench(Workflow::List, REJECTS);
    bench.subscribe();
    let request = list(&mut bench);
    bench.answer(&request, Ok(Answer::Pending(queued(&[("fw", 5)]))));
    let (request, _) = look(&mut bench);
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 2));
    bench.agent.handle_disconnected(bench.now);
    bench.subscribe();
    let request = list(&mut bench);
    // Somebody else's mistake: two are in progress. It goes on with its own.
    let jobs = PendingJobs { in_progress: vec![summary("other", 1, 2), summary("fw", 5, 2)], queued: vec![] };
    bench.answer(&request, Ok(Answer::Pending(jobs)));
    let (request, describe) = look(&mut bench);
    assert_eq!(describe.job, JobRef::Id(JobId::new("fw").unwrap()));
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 2));
    assert!(bench.has(|e| matches!(e, Event::Started { resumed: true, .. })));
    assert_eq!(work_off(&mut bench), [(ExecutionStatus::Rejected, Some(2))]);
}

// ----------------------------------------------------------------------------------------------------- several jobs at once

#[test]
fn a_queue_of_jobs_is_worked_through_one_by_one_each_with_its_behavior() {
    for workflow in [Workflow::StartNext, Workflow::DescribeUpdate, Workflow::List] {
        let mut settings = AgentSettings { workflow, ..settings(SUCCEEDS) };
        let refuses = settings.behavior.clone();
        settings.behavior_of_job = [(JobId::new("b").unwrap(), Behavior { outcome: REJECTS, ..refuses })].into();
        let mut bench = Bench::with(settings);
        bench.subscribe();
        let mut waiting = vec!["a", "b", "c"];
        while !waiting.is_empty() {
            let request = bench.request();
            let next = waiting.first().copied();
            let answer = match request.body.kind() {
                RequestKind::StartNext => Answer::Started(next.map(|job| execution(job, ExecutionStatus::InProgress, 2))),
                RequestKind::Describe => Answer::Described(next.map(|job| execution(job, ExecutionStatus::Queued, 1))),
                RequestKind::GetPending => Answer::Pending(queued(&waiting.iter().map(|job| (*job, 1)).collect::<Vec<_>>())),
                RequestKind::Update => Answer::Updated(Default::default()),
            };
            bench.answer(&request, Ok(answer));
            let is_end = matches!(&request.body, RequestBody::Update(update) if update.status.is_terminal());
            if is_end {
                waiting.remove(0);
                let next = waiting.first().map(|job| execution(job, ExecutionStatus::Queued, 1));
                notify(&mut bench, queued(&waiting.iter().map(|job| (*job, 1)).collect::<Vec<_>>()));
                bench.notify_next(next);
            }
            if !waiting.is_empty() && bench.agent.poll_timeout().is_some_and(|(at, _)| at > bench.now) {
                bench.sleep();
            }
        }
        let ends: Vec<_> = bench
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Finished { execution, status, .. } => Some((execution.job.as_str(), *status)),
                _ => None,
            })
            .collect();
        let expected = [("a", ExecutionStatus::Succeeded), ("b", ExecutionStatus::Rejected), ("c", ExecutionStatus::Succeeded)];
        assert_eq!(ends, expected, "{workflow:?}");
    }
}

#[test]
fn a_thing_without_jobs_subscribes_to_nothing_and_asks_for_nothing() {
    let mut bench = bench(Workflow::None, SUCCEEDS);
    assert!(!bench.agent.subscribes());
    bench.agent.handle_resumed(bench.now);
    assert_eq!(bench.transmit(), None);
    bench.notify_next(Some(execution("j", ExecutionStatus::Queued, 1)));
    assert_eq!((bench.transmit(), bench.agent.poll_timeout()), (None, None));
    assert!(!bench.has(|event| matches!(event, Event::Notified { .. } | Event::Sent { .. })));
}
