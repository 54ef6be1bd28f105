//! The life of a thing, told as stories against the agent's public face: no sockets, a clock that the test moves.

mod bench;
mod faults;
mod files;
mod http;
mod workflows;

use bench::{Bench, FAILS, REJECTS, SUCCEEDS, execution, finished, ms, settings};
use iot_jobs::instant::Mono;
use iot_jobs::{
    Answer, ClientToken, ErrorCode, ExecutionState, ExecutionStatus, JobId, Rejection, RequestBody, RequestKind, StatusDetails,
};
use std::time::Duration;
use thing_agent::behavior::OutcomeShares;
use thing_agent::{AnswerOutcome, EARLY_MAX, Event, SubscribeFailure, Transmit};

// ------------------------------------------------------------------------------------------------------------ bootstrap

#[test]
fn it_asks_for_work_only_after_the_suback() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.subscribe();
    assert!(matches!(bench.request().body, RequestBody::StartNext(_)));
    assert!(bench.has(|e| matches!(e, Event::Subscribed { .. })));
}

#[test]
fn a_request_may_leave_a_little_early_and_its_response_time_counts_from_then() {
    let mut bench = Bench::working(SUCCEEDS, "job");
    let (planned, _) = bench.agent.poll_timeout().unwrap();
    bench.now = planned - EARLY_MAX - Duration::from_nanos(1);
    assert_eq!(bench.transmit(), None);
    bench.now = planned - EARLY_MAX;
    bench.update();
    let now = bench.now;
    assert!(
        bench.has(
            |event| matches!(event, Event::Sent { intended, runnable, sent, .. } if [*intended, *runnable, *sent] == [now; 3])
        )
    );
}

#[test]
fn one_refused_filter_ends_the_session() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.agent.handle_connected();
    bench.transmit();
    bench.agent.handle_suback([true, true, false, true], bench.now);
    assert_eq!(bench.transmit(), Some(Transmit::Disconnect(SubscribeFailure::Refused)));
}

#[test]
fn a_suback_with_too_few_codes_is_no_grant() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.agent.handle_connected();
    bench.transmit();
    bench.agent.handle_suback([true], bench.now);
    assert_eq!(bench.transmit(), Some(Transmit::Disconnect(SubscribeFailure::Refused)));
}

#[test]
fn a_suback_that_does_not_come_ends_the_session() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.agent.handle_connected();
    bench.transmit();
    assert_eq!(bench.sleep(), "suback");
    assert_eq!(bench.transmit(), Some(Transmit::Disconnect(SubscribeFailure::Timeout)));
}

// ------------------------------------------------------------------------------------------------------------- the job

#[test]
fn a_job_from_notification_to_success() {
    let mut bench = Bench::idle(SUCCEEDS);
    bench.notify_next(Some(execution("fw", ExecutionStatus::Queued, 1)));
    let told = bench.now;
    assert_eq!(bench.sleep(), "planned request");
    assert_eq!(bench.now.since(told), ms(200), "it reacts after its think time");
    let start = bench.request();
    bench.answer(&start, Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 2)))));

    let mut details_before = 0;
    for (version, status) in [(2, ExecutionStatus::InProgress), (3, ExecutionStatus::InProgress), (4, ExecutionStatus::Succeeded)] {
        assert_eq!(bench.transmit(), None, "a step takes its time");
        bench.sleep();
        let (request, update) = bench.update();
        assert_eq!((update.expected_version, update.status), (Some(version), status));
        let details = update.status_details.unwrap().iter().count();
        assert!(details >= details_before, "statusDetails grow");
        details_before = details;
        bench.answer(&request, Bench::accepted());
    }
    assert!(bench.has(|e| matches!(e, Event::Finished { since, status: ExecutionStatus::Succeeded, .. } if *since == told)));
    assert!(!bench.agent.is_working());
    bench.notify_next(None);
    assert_eq!(bench.transmit(), None);
}

#[test]
fn what_it_refuses_it_refuses_before_any_report() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.sleep();
    let (request, update) = bench.update();
    assert_eq!(update.status, ExecutionStatus::Rejected);
    assert!(update.status_details.unwrap().get("reason").is_some());
    bench.answer(&request, Bench::accepted());
    assert!(bench.has(finished(ExecutionStatus::Rejected)));
}

#[test]
fn a_failure_comes_within_its_reports() {
    let mut bench = Bench::working(FAILS, "fw");
    for _ in 0..3 {
        bench.sleep();
        let (request, update) = bench.update();
        bench.answer(&request, Bench::accepted());
        if update.status == ExecutionStatus::Failed {
            assert!(bench.has(finished(ExecutionStatus::Failed)));
            return;
        }
    }
    panic!("no failure within 2 reports and an end");
}

#[test]
fn a_job_announced_during_work_is_taken_up_after_it() {
    let mut bench = Bench::working(REJECTS, "first");
    bench.sleep();
    let (request, _) = bench.update();
    // No order is promised between the answer and the next notification (PROTOCOL 2 fact 24).
    bench.notify_next(Some(execution("second", ExecutionStatus::Queued, 1)));
    bench.answer(&request, Bench::accepted());
    bench.sleep();
    assert!(matches!(bench.request().body, RequestBody::StartNext(_)));
}

#[test]
fn a_notification_that_overtakes_an_empty_answer_is_not_lost() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.subscribe();
    let ask = bench.request();
    bench.notify_next(Some(execution("fw", ExecutionStatus::Queued, 1)));
    bench.answer(&ask, Ok(Answer::Started(None)));
    bench.sleep();
    assert!(matches!(bench.request().body, RequestBody::StartNext(_)));
    assert!(bench.now < Mono(0) + ms(60_000), "it does not wait for a day");
}

// ------------------------------------------------------------------------------------------------------------- distress

#[test]
fn an_answer_that_does_not_come_is_asked_for_again_with_a_new_token() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.sleep();
    let (first, _) = bench.update();
    assert_eq!(bench.sleep(), "answer");
    assert!(bench.has(|e| matches!(e, Event::Answered { outcome: AnswerOutcome::Timeout, .. })));
    assert_eq!(bench.transmit(), None, "it waits before it asks again");
    bench.sleep();
    let (second, _) = bench.update();
    assert_ne!(first.client_token, second.client_token);

    bench.answer(&first, Bench::accepted());
    assert!(bench.has(|e| matches!(e, Event::LateAnswer { kind: RequestKind::Update })));
    assert!(bench.agent.is_working(), "a late answer changes nothing");
    bench.answer(&second, Bench::accepted());
    assert!(!bench.agent.is_working());
    bench.answer(&second, Bench::accepted());
    assert_eq!(bench.events.iter().filter(|e| finished(ExecutionStatus::Rejected)(e)).count(), 1, "a duplicate changes nothing");
}

#[test]
fn throttling_backs_off_further_every_time() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.subscribe();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let ask = bench.request();
        let asked = bench.now;
        bench.answer(&ask, Err(Rejection::new(ErrorCode::RequestThrottled, "slow down")));
        bench.sleep();
        waits.push(bench.now.since(asked).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8]);
}

#[test]
fn a_lost_answer_to_the_end_counts_as_success_when_the_state_says_so() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.sleep();
    let (_lost, _) = bench.update();
    bench.sleep();
    bench.sleep();
    let (again, _) = bench.update();
    let state = ExecutionState { status: ExecutionStatus::Rejected, status_details: StatusDetails::default(), version_number: 3 };
    let rejection = Rejection { execution_state: Some(state), ..Rejection::new(ErrorCode::InvalidStateTransition, "terminal") };
    bench.answer(&again, Err(rejection));
    assert!(bench.has(finished(ExecutionStatus::Rejected)));
}

#[test]
fn a_version_conflict_is_retried_with_the_version_of_the_service() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.sleep();
    let (request, _) = bench.update();
    let state = ExecutionState { status: ExecutionStatus::InProgress, status_details: StatusDetails::default(), version_number: 9 };
    let rejection = Rejection {
        execution_state: Some(state),
        ..Rejection::new(ErrorCode::VersionMismatch, "Expected version 2 but found version 9")
    };
    bench.answer(&request, Err(rejection));
    bench.sleep();
    assert_eq!(bench.update().1.expected_version, Some(9));
}

#[test]
fn an_execution_that_is_gone_is_dropped_and_work_is_asked_for() {
    let state = ExecutionState { status: ExecutionStatus::Canceled, status_details: StatusDetails::default(), version_number: 3 };
    for (code, execution_state) in [
        (ErrorCode::ResourceNotFound, None),
        (ErrorCode::TerminalStateReached, None),
        (ErrorCode::InvalidStateTransition, Some(state)),
    ] {
        let mut bench = Bench::working(SUCCEEDS, "fw");
        bench.sleep();
        let (request, _) = bench.update();
        bench.answer(&request, Err(Rejection { execution_state, ..Rejection::new(code, "gone") }));
        assert!(bench.has(|e| matches!(e, Event::Gone { .. })), "{code}");
        assert!(matches!(bench.request().body, RequestBody::StartNext(_)));
    }
}

#[test]
fn another_head_while_it_works_makes_it_look_whether_the_work_is_still_its_own() {
    let mut bench = Bench::working(SUCCEEDS, "fw");
    bench.notify_next(None);
    let look = bench.request();
    assert!(matches!(look.body, RequestBody::Describe(_)));
    bench.answer(&look, Ok(Answer::Described(Some(execution("fw", ExecutionStatus::InProgress, 2)))));
    bench.sleep();
    assert_eq!(bench.update().1.status, ExecutionStatus::InProgress, "it was: work goes on");
}

// ------------------------------------------------------------------------------------------------------------ reconnect

#[test]
fn work_survives_a_lost_session() {
    let mut bench = Bench::working(SUCCEEDS, "fw");
    bench.sleep();
    let (request, _) = bench.update();
    bench.agent.handle_disconnected(bench.now);
    bench.collect();
    assert!(bench.has(|e| matches!(e, Event::Answered { outcome: AnswerOutcome::SessionLost, .. })));
    assert_eq!(bench.agent.poll_timeout(), None, "without a session there is nothing to wait for");

    bench.now += ms(5000);
    bench.subscribe();
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 2)))));
    assert!(bench.has(|e| matches!(e, Event::Started { resumed: true, .. })));
    let (again, update) = bench.update();
    assert_ne!(again.client_token, request.client_token);
    assert_eq!(update.expected_version, Some(2));
}

#[test]
fn a_session_that_goes_on_is_not_subscribed_again_and_what_comes_twice_does_no_harm() {
    let mut bench = Bench::working(SUCCEEDS, "fw");
    bench.sleep();
    let (lost, _) = bench.update();
    bench.agent.handle_disconnected(bench.now);
    bench.now += ms(5000);
    bench.agent.handle_resumed(bench.now);
    let ask = bench.request();
    assert_eq!(ask.body.kind(), RequestKind::StartNext, "what it heard before may be old");
    assert!(bench.has(|e| matches!(e, Event::Resumed { .. })));
    // What was stored comes first: a notification of the work at hand, and the answer to what was sent again.
    bench.notify_next(Some(execution("fw", ExecutionStatus::Queued, 1)));
    bench.answer(&lost, Bench::accepted());
    assert!(bench.has(|e| matches!(e, Event::LateAnswer { kind: RequestKind::Update })));
    let resumed = || Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 3))));
    bench.answer(&ask, resumed());
    bench.answer(&ask, resumed());
    assert!(bench.has(|e| matches!(e, Event::LateAnswer { kind: RequestKind::StartNext })), "a message of QoS 1 may come twice");
    let (_, update) = bench.update();
    assert_eq!(update.expected_version, Some(3));
    assert_eq!(bench.events.iter().filter(|e| matches!(e, Event::Started { .. })).count(), 2, "once, and once resumed");
}

#[test]
fn an_end_that_was_accepted_just_before_the_session_broke_is_known_after_the_reconnect() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.sleep();
    bench.update();
    bench.agent.handle_disconnected(bench.now);
    bench.subscribe();
    let (again, update) = bench.update();
    assert_eq!((update.status, update.expected_version), (ExecutionStatus::Rejected, Some(2)), "the service is asked once more");
    let state = ExecutionState { status: ExecutionStatus::Rejected, status_details: StatusDetails::default(), version_number: 3 };
    let refusal = Rejection { execution_state: Some(state), ..Rejection::new(ErrorCode::VersionMismatch, "found version 3") };
    bench.answer(&again, Err(refusal));
    assert!(bench.has(finished(ExecutionStatus::Rejected)));
    assert!(bench.has(|e| matches!(e, Event::Started { resumed: true, .. })), "the session was regained while it was open");
    // The next job may have been announced while nobody listened.
    bench.sleep();
    assert_eq!(bench.request().body.kind(), RequestKind::StartNext);
    assert!(bench.now < Mono(5_000_000_000), "at once, and not one day");
}

#[test]
fn a_job_found_in_progress_after_a_crash_is_continued_from_its_details() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.subscribe();
    let ask = bench.request();
    let mut found = execution("fw", ExecutionStatus::InProgress, 4);
    found.status_details = StatusDetails::new([("progress", "66"), ("step-1", "done"), ("step-2", "done")]).unwrap();
    bench.answer(&ask, Ok(Answer::Started(Some(found))));
    bench.sleep();
    let (_, update) = bench.update();
    assert_eq!((update.status, update.expected_version), (ExecutionStatus::Succeeded, Some(4)), "both reports had been made");
}

// --------------------------------------------------------------------------------------------------------------- drain

#[test]
fn a_drained_thing_ends_its_work_and_takes_up_no_more() {
    let mut bench = Bench::working(REJECTS, "fw");
    bench.agent.handle_drain();
    bench.sleep();
    let (request, _) = bench.update();
    bench.notify_next(Some(execution("next", ExecutionStatus::Queued, 1)));
    bench.answer(&request, Bench::accepted());
    assert!(bench.has(finished(ExecutionStatus::Rejected)));
    assert_eq!(bench.agent.poll_timeout(), None);
}

#[test]
fn the_outcome_is_a_function_of_seed_thing_and_job() {
    let shares = OutcomeShares { succeeded: 0.4, failed: 0.3, rejected: 0.3 };
    let outcome = |thing| {
        let behavior = settings(shares).behavior;
        thing_agent::behavior::Script::draw(&behavior, 42, thing, &JobId::new("fw").unwrap(), 1).outcome
    };
    let first: Vec<_> = (0..200).map(outcome).collect();
    assert_eq!(first, (0..200).map(outcome).collect::<Vec<_>>());
    for (status, share) in [(ExecutionStatus::Succeeded, 0.4), (ExecutionStatus::Failed, 0.3), (ExecutionStatus::Rejected, 0.3)] {
        let found = first.iter().filter(|s| **s == status).count() as f64 / 200.0;
        assert!((found - share).abs() < 0.1, "{status}: {found}");
    }
}

/// A deadline that nobody has to wait for: what came was the answer.
#[test]
fn an_answer_that_nobody_understands_ends_the_wait_at_once_and_is_asked_for_again() {
    let unreadable = |event: &Event| matches!(event, Event::Answered { outcome: AnswerOutcome::Unreadable, .. });
    for has_token in [true, false] {
        let mut bench = Bench::new(SUCCEEDS);
        bench.subscribe();
        let ask = bench.request();
        let token = ask.client_token.clone().filter(|_| has_token);
        bench.agent.handle_unreadable(RequestKind::Update, token.as_ref(), bench.now);
        bench.collect();
        assert!(!bench.has(unreadable), "nothing of that kind was asked");
        bench.agent.handle_unreadable(RequestKind::StartNext, Some(&ClientToken("other".into())), bench.now);
        bench.collect();
        assert!(!bench.has(unreadable), "it is the answer to something else");
        bench.agent.handle_unreadable(RequestKind::StartNext, token.as_ref(), bench.now);
        bench.collect();
        assert!(bench.has(unreadable));
        assert_eq!(bench.sleep(), "planned request");
        assert_eq!(bench.request().body, ask.body);
    }
}

#[test]
fn an_answer_without_a_token_is_that_to_what_is_open() {
    let mut bench = Bench::new(SUCCEEDS);
    bench.subscribe();
    bench.request();
    bench.answer_with(RequestKind::StartNext, None, Ok(Answer::Started(Some(execution("j", ExecutionStatus::InProgress, 2)))));
    assert!(bench.has(|event| matches!(event, Event::Started { .. })));
    bench.answer_with(RequestKind::StartNext, None, Ok(Answer::Started(None)));
    assert!(bench.has(|event| matches!(event, Event::LateAnswer { .. })));
}

#[test]
fn an_unknown_refusal_is_asked_again_and_the_work_kept() {
    let mut bench = Bench::working(SUCCEEDS, "j");
    bench.sleep();
    let (request, update) = bench.update();
    bench.answer(&request, Err(Rejection::new(ErrorCode::Unknown, "tired")));
    bench.sleep();
    assert_eq!(bench.update().1, update);
}
