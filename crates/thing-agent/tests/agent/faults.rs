//! What a thing at work does wrong on purpose, and how it recovers.

use super::bench::{Bench, SUCCEEDS, execution, finished, ms, settings};
use iot_jobs::{
    Answer, ErrorCode, ExecutionState, ExecutionStatus, Rejection, Reply, RequestBody, RequestKind, StatusDetails, Subscription,
};
use thing_agent::{Event, Transmit};
use thing_faults::{Fault, FaultProbability, FaultSpec};

/// At work on `job`, version 2, with a fault that strikes whatever it can.
fn struck(fault: Fault) -> Bench {
    let mut bench = connected(fault);
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(Some(execution("j", ExecutionStatus::InProgress, 2)))));
    bench
}

fn connected(fault: Fault) -> Bench {
    let row = fault.row();
    let parameters = row.parameters.iter().map(|parameter| parameter.default).collect();
    let mut settings = settings(SUCCEEDS);
    settings.behavior.faults =
        vec![FaultSpec { fault, probability: FaultProbability::Share(1.0), per: row.per[0], settings: parameters }];
    let mut bench = Bench::with(settings);
    bench.agent.handle_connected();
    let Some(Transmit::Subscribe(filters)) = bench.transmit() else { panic!("it subscribes") };
    bench.agent.handle_suback(filters.iter().map(|_| true), bench.now);
    bench
}

fn refused(code: ErrorCode, version: Option<i64>) -> Result<Answer, Rejection> {
    let state = |version_number| ExecutionState {
        status: ExecutionStatus::InProgress,
        status_details: StatusDetails::default(),
        version_number,
    };
    Err(Rejection { execution_state: version.map(state), ..Rejection::new(code, "no") })
}

/// How many times it said that it was struck.
fn strikes(bench: &Bench, wanted: Fault) -> usize {
    bench.events.iter().filter(|event| matches!(event, Event::Fault { fault, .. } if *fault == wanted)).count()
}

#[test]
fn it_crashes_once_and_goes_on_from_what_it_had_written() {
    let mut bench = struck(Fault::CrashInProgress);
    let away = loop {
        bench.sleep();
        match bench.transmit() {
            Some(Transmit::Crash { away }) => break away,
            Some(Transmit::Publish(report)) => bench.answer(&report, Bench::accepted()),
            other => panic!("{other:?}"),
        }
    };
    assert!((ms(1_000)..=ms(5_000)).contains(&away));
    bench.agent.handle_disconnected(bench.now);
    bench.now += away;
    bench.subscribe();
    let ask = bench.request();
    let mut found = execution("j", ExecutionStatus::InProgress, 4);
    found.status_details = StatusDetails::new([("step-1", "done"), ("step-2", "done")]).unwrap();
    bench.answer(&ask, Ok(Answer::Started(Some(found))));
    assert!(bench.has(|event| matches!(event, Event::Started { resumed: true, .. })), "no second start");
    bench.sleep();
    let (end, update) = bench.update();
    assert_eq!((update.status, update.expected_version), (ExecutionStatus::Succeeded, Some(4)), "both reports were made");
    bench.answer(&end, Bench::accepted());
    assert!(bench.has(finished(ExecutionStatus::Succeeded)));
    assert_eq!(strikes(&bench, Fault::CrashInProgress), 1);
}

#[test]
fn it_stalls_until_it_hears_that_its_execution_was_ended() {
    let mut bench = struck(Fault::Stall);
    loop {
        bench.now += ms(1_500);
        match bench.transmit() {
            Some(Transmit::Publish(report)) => bench.answer(&report, Bench::accepted()),
            Some(other) => panic!("{other:?}"),
            None => break,
        }
    }
    bench.now += ms(3_600_000);
    bench.agent.handle_timeout(bench.now);
    assert_eq!(bench.transmit(), None, "an hour later");
    bench.notify_next(None);
    let describe = bench.request();
    assert_eq!(describe.body.kind(), RequestKind::Describe);
    bench.answer(&describe, refused(ErrorCode::TerminalStateReached, None));
    assert!(bench.has(|event| matches!(event, Event::Gone { .. })) && !bench.agent.is_working());
    assert_eq!(strikes(&bench, Fault::Stall), 1);
}

#[test]
fn a_stale_version_is_sent_once_for_each_update() {
    let mut bench = struck(Fault::StaleVersion);
    for (version, status) in [(2, ExecutionStatus::InProgress), (3, ExecutionStatus::InProgress), (4, ExecutionStatus::Succeeded)] {
        bench.sleep();
        let (stale, update) = bench.update();
        assert_eq!(update.expected_version, Some(version - 1));
        bench.answer(&stale, refused(ErrorCode::VersionMismatch, Some(version)));
        bench.sleep();
        let (again, update) = bench.update();
        assert_eq!((update.expected_version, update.status), (Some(version), status));
        bench.answer(&again, Bench::accepted());
    }
    assert!(bench.has(finished(ExecutionStatus::Succeeded)));
    assert_eq!(strikes(&bench, Fault::StaleVersion), 3);
}

#[test]
fn a_duplicate_follows_at_once_and_its_answer_is_late() {
    let mut bench = struck(Fault::DuplicateUpdate);
    bench.sleep();
    let first = bench.request();
    assert_eq!(bench.request(), first);
    assert_eq!(bench.transmit(), None);
    bench.answer(&first, Bench::accepted());
    bench.answer(&first, refused(ErrorCode::VersionMismatch, Some(3)));
    assert!(bench.has(|event| matches!(event, Event::LateAnswer { kind: RequestKind::Update })));
    assert!(!bench.has(|event| matches!(event, Event::UpdateRefused { .. })));
}

#[test]
fn it_reports_once_more_when_it_has_ended() {
    let mut bench = struck(Fault::UpdateAfterTerminal);
    for _ in 0..3 {
        bench.sleep();
        let update = bench.request();
        bench.answer(&update, Bench::accepted());
    }
    assert!(bench.has(finished(ExecutionStatus::Succeeded)));
    let (after, update) = bench.update();
    assert_eq!((update.status, update.expected_version), (ExecutionStatus::InProgress, None));
    bench.answer(&after, refused(ErrorCode::InvalidStateTransition, Some(5)));
    assert_eq!(bench.transmit(), None);
    bench.notify_next(Some(execution("k", ExecutionStatus::Queued, 1)));
    bench.sleep();
    assert!(matches!(bench.request().body, RequestBody::StartNext(_)), "life goes on");
}

#[test]
fn a_refusal_without_a_token_is_that_of_what_could_not_be_read() {
    let mut bench = struck(Fault::BadJson);
    bench.sleep();
    let Some(Transmit::Faulty(broken, Fault::BadJson)) = bench.transmit() else { panic!("it is broken") };
    bench.answer_with(RequestKind::Update, None, refused(ErrorCode::InvalidJson, None));
    assert!(bench.has(|event| matches!(event, Event::UpdateRefused { code: ErrorCode::InvalidJson, .. })));
    bench.sleep();
    let again = bench.request();
    assert_eq!(again.body, broken.body, "the same, whole");
    let stray = Reply {
        client_token: None,
        timestamp: Some(iot_jobs::instant::EpochSeconds(1)),
        result: refused(ErrorCode::InvalidJson, None),
    };
    bench.agent.handle_reply(RequestKind::Update, stray, bench.now);
    bench.collect();
    assert!(bench.has(|event| matches!(event, Event::LateAnswer { .. })), "what was sent whole is answered with its token");
}

#[test]
fn without_notify_next_it_asks_again_by_itself() {
    let mut bench = connected(Fault::NoNotifyNext);
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(None)));
    let before = bench.now;
    bench.sleep();
    assert!((ms(15_000)..=ms(30_000)).contains(&bench.now.since(before)));
    assert!(matches!(bench.request().body, RequestBody::StartNext(_)));
    bench.agent.handle_disconnected(bench.now);
    bench.agent.handle_connected();
    assert!(matches!(bench.transmit(), Some(Transmit::Subscribe(filters)) if !filters.contains(&Subscription::NotifyNext)));
    assert_eq!(strikes(&bench, Fault::NoNotifyNext), 2, "once a session");
}
