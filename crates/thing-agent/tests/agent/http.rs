//! What is different where nobody subscribes, and where answers have no token, no time and no state of the execution.

use crate::bench::{Bench, SUCCEEDS, execution, finished, ms, settings};
use crate::workflows::{described, look};
use iot_jobs::{Answer, ErrorCode, ExecutionStatus, JobId, JobRef, Rejection, RequestBody, RequestKind};
use thing_agent::workflow::{Poll, Workflow};
use thing_agent::{AgentSettings, Event};

const EVERY: Poll = Poll { every: ms(60_000), jitter: 0.0 };

fn polling() -> Bench {
    let mut bench = Bench::with(AgentSettings { workflow: Workflow::Poll(EVERY), ..settings(SUCCEEDS) });
    bench.agent.handle_resumed(bench.now);
    bench.collect();
    assert!(bench.has(|e| matches!(e, Event::Resumed { .. })));
    bench
}

/// At work on `fw`, version 2.
fn working() -> Bench {
    let mut bench = polling();
    assert_eq!(bench.sleep(), "planned request");
    let (request, describe) = look(&mut bench);
    assert_eq!((describe.job, describe.include_job_document), (JobRef::Next, false));
    bench.answer(&request, described("fw", ExecutionStatus::Queued, 1));
    bench.sleep();
    let request = bench.request();
    assert!(matches!(request.body, RequestBody::StartNext(_)));
    bench.answer(&request, Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 2)))));
    bench
}

fn refused(code: ErrorCode) -> Result<Answer, Rejection> {
    Err(Rejection::new(code, "why"))
}

/// Its end has left.
fn ending(bench: &mut Bench) -> iot_jobs::Request {
    loop {
        bench.sleep();
        let (request, update) = bench.update();
        if update.status.is_terminal() {
            return request;
        }
        bench.answer(&request, Bench::accepted());
    }
}

/// The describe of its own execution, after a wait.
fn looks_for_its_own(bench: &mut Bench) -> iot_jobs::Request {
    assert_eq!(bench.sleep(), "planned request");
    let (request, describe) = look(bench);
    assert_eq!(describe.job, JobRef::Id(JobId::new("fw").unwrap()));
    request
}

#[test]
fn a_conflict_without_a_state_is_looked_into() {
    let mut bench = working();
    bench.sleep();
    let (request, update) = bench.update();
    assert_eq!(update.expected_version, Some(2));
    bench.answer(&request, refused(ErrorCode::InvalidStateTransition));
    let request = looks_for_its_own(&mut bench);
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 5));
    bench.sleep();
    assert_eq!(bench.update().1.expected_version, Some(5));
}

#[test]
fn an_end_whose_answer_was_lost_was_accepted_when_the_execution_is_terminal() {
    let mut bench = working();
    ending(&mut bench);
    assert_eq!(bench.sleep(), "answer");
    bench.sleep();
    let (request, _) = bench.update();
    bench.answer(&request, refused(ErrorCode::InvalidStateTransition));
    let request = looks_for_its_own(&mut bench);
    bench.answer(&request, refused(ErrorCode::TerminalStateReached));
    assert!(bench.has(finished(ExecutionStatus::Succeeded)) && !bench.agent.is_working());
}

#[test]
fn an_end_that_was_lost_is_sent_again_when_the_execution_goes_on() {
    let mut bench = working();
    ending(&mut bench);
    assert_eq!(bench.sleep(), "answer");
    bench.sleep();
    let (request, _) = bench.update();
    bench.answer(&request, refused(ErrorCode::VersionMismatch));
    let request = looks_for_its_own(&mut bench);
    bench.answer(&request, described("fw", ExecutionStatus::InProgress, 9));
    bench.sleep();
    let (request, update) = bench.update();
    assert_eq!((update.status, update.expected_version), (ExecutionStatus::Succeeded, Some(9)));
    bench.answer(&request, refused(ErrorCode::InvalidStateTransition));
    let request = looks_for_its_own(&mut bench);
    bench.answer(&request, refused(ErrorCode::TerminalStateReached));
    assert!(!bench.has(finished(ExecutionStatus::Succeeded)), "the last end was refused: somebody else ended it");
    assert!(bench.has(|e| matches!(e, Event::Gone { .. })));
}

#[test]
fn an_end_that_was_refused_at_once_was_not_its_own() {
    let mut bench = working();
    let request = ending(&mut bench);
    bench.answer(&request, refused(ErrorCode::InvalidStateTransition));
    let request = looks_for_its_own(&mut bench);
    bench.answer(&request, refused(ErrorCode::TerminalStateReached));
    assert!(bench.has(|e| matches!(e, Event::Gone { .. })) && !bench.agent.is_working());
}

#[test]
fn a_poll_that_was_planned_survives_its_session() {
    let mut bench = polling();
    let planned = bench.agent.poll_timeout().unwrap();
    bench.now += ms(1);
    bench.agent.handle_disconnected(bench.now);
    bench.now += ms(1);
    bench.agent.handle_resumed(bench.now);
    assert_eq!(bench.agent.poll_timeout(), Some(planned));
    // The next session comes too late for it.
    bench.agent.handle_disconnected(bench.now);
    bench.now = planned.0 + EVERY.every.mul_f64(1.5);
    bench.agent.handle_resumed(bench.now);
    look(&mut bench);
    let lost: Vec<_> = bench.events.iter().filter(|e| matches!(e, Event::LostArrivals { .. })).collect();
    assert_eq!(lost, [&Event::LostArrivals { kind: RequestKind::Describe, count: 1 }], "one was late, one is not made up for");
}

#[test]
fn a_session_that_only_lost_its_connection_goes_on_where_it_was() {
    let mut bench = working();
    let (due, _) = bench.agent.poll_timeout().unwrap();
    bench.now = due + ms(500);
    bench.agent.handle_resumed(bench.now);
    assert_eq!(bench.update().1.status, ExecutionStatus::InProgress, "what was planned leaves, and nothing is asked before");
    let Some(Event::Sent { intended, runnable, .. }) = bench.events.last() else { panic!("{:?}", bench.events) };
    assert_eq!((*intended, *runnable), (due, bench.now));
}

#[test]
fn an_update_that_waited_for_an_answer_is_not_the_generators_delay() {
    let mut bench = working();
    let (due, _) = bench.agent.poll_timeout().unwrap();
    bench.agent.handle_disconnected(bench.now);
    bench.agent.handle_resumed(bench.now);
    let request = bench.request();
    bench.now = due + ms(9_000);
    bench.answer(&request, Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 2)))));
    bench.update();
    let Some(Event::Sent { intended, runnable, sent, .. }) = bench.events.iter().rfind(|e| matches!(e, Event::Sent { .. })) else {
        panic!("{:?}", bench.events)
    };
    assert_eq!((*intended, *runnable, *sent), (due, bench.now, bench.now));
}
