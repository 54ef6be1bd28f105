//! The file of a job comes before its work.

use crate::bench::{Bench, FAILS, SUCCEEDS, execution, finished, ms, settings};
use iot_jobs::{Answer, ErrorCode, ExecutionStatus, JobDocument, JobExecution, Rejection, Update};
use thing_agent::behavior::OutcomeShares;
use thing_agent::workflow::Workflow;
use thing_agent::{AgentSettings, Event, Fetched, Transmit};

const DOCUMENT: &str = r#"{"presign":"https://h/k"}"#;

fn with_document(version: i64) -> Box<JobExecution> {
    let mut execution = execution("fw", ExecutionStatus::InProgress, version);
    execution.job_document = Some(JobDocument::from_valid_json(DOCUMENT));
    execution
}

/// Started, and asked for its file.
fn fetching(outcome: OutcomeShares) -> Bench {
    let mut bench = Bench::with(AgentSettings { fetches: true, ..settings(outcome) });
    bench.subscribe();
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(Some(with_document(2)))));
    assert_fetch(&mut bench);
    bench
}

#[track_caller]
fn assert_fetch(bench: &mut Bench) {
    match bench.transmit() {
        Some(Transmit::Fetch { job, document }) => assert_eq!((job.as_str(), document.as_json()), ("fw", DOCUMENT)),
        other => panic!("expected a fetch, found {other:?}"),
    }
    assert!(bench.agent.is_fetching());
}

fn fetched(bench: &mut Bench, fetched: Fetched) {
    bench.agent.handle_fetched(fetched, bench.now);
    bench.collect();
}

fn bad(status: ExecutionStatus, reason: &str) -> Fetched {
    Fetched::Bad { status, reason: reason.into() }
}

fn detail<'a>(update: &'a Update, key: &str) -> Option<&'a str> {
    update.status_details.as_ref().and_then(|details| details.get(key))
}

#[test]
fn nothing_is_done_before_the_file_is_good() {
    let mut bench = fetching(SUCCEEDS);
    for percent in 1..=3 {
        bench.agent.handle_fetch_progress(percent * 100, Some(1_000));
        bench.sleep();
        let (request, update) = bench.update();
        assert_eq!(update.status, ExecutionStatus::InProgress);
        assert_eq!(detail(&update, "download"), Some(&*format!("{} of 1000 bytes", percent * 100)));
        assert_eq!((detail(&update, "progress"), detail(&update, "step-1")), (Some("0"), None), "no work is claimed");
        bench.answer(&request, Bench::accepted());
    }
    fetched(&mut bench, Fetched::Good);
    let mut told = Vec::new();
    while bench.agent.is_working() {
        bench.sleep();
        let (request, update) = bench.update();
        told.push((update.status, update.expected_version));
        bench.answer(&request, Bench::accepted());
    }
    let (progress, end) = (ExecutionStatus::InProgress, ExecutionStatus::Succeeded);
    assert_eq!(told, [(progress, Some(5)), (progress, Some(6)), (end, Some(7))], "both reports of the work, and the end");
}

#[test]
fn a_bad_file_ends_the_execution_at_once_with_its_reason() {
    for status in [ExecutionStatus::Rejected, ExecutionStatus::Failed] {
        let mut bench = fetching(SUCCEEDS);
        fetched(&mut bench, bad(status, "403 AccessDenied\nRequest has expired"));
        let (request, update) = bench.update();
        assert_eq!((update.status, update.expected_version), (status, Some(2)));
        assert_eq!(detail(&update, "reason"), Some("403 AccessDenied Request has expired"));
        bench.answer(&request, Bench::accepted());
        assert!(bench.has(finished(status)));
    }
}

#[test]
fn an_end_for_a_bad_file_survives_like_any_other() {
    let mut bench = fetching(SUCCEEDS);
    fetched(&mut bench, bad(ExecutionStatus::Rejected, "signature"));
    let (request, _) = bench.update();
    bench.answer(&request, Err(Rejection::new(ErrorCode::RequestThrottled, "slow down")));
    bench.sleep();
    let (_, update) = bench.update();
    assert_eq!((update.status, detail(&update, "reason")), (ExecutionStatus::Rejected, Some("signature")));
}

#[test]
fn a_document_without_a_file_is_work_as_always() {
    let mut bench = fetching(FAILS);
    let since = bench.now;
    fetched(&mut bench, Fetched::Nothing);
    bench.sleep();
    assert_eq!(bench.now.since(since), ms(1000));
    assert!(matches!(bench.update().1.status, ExecutionStatus::InProgress | ExecutionStatus::Failed));
}

#[test]
fn a_file_that_comes_while_a_report_is_under_way_is_no_report_of_work() {
    let mut bench = fetching(SUCCEEDS);
    bench.sleep();
    let (request, update) = bench.update();
    assert!(detail(&update, "download").is_some());
    fetched(&mut bench, Fetched::Good);
    bench.answer(&request, Bench::accepted());
    bench.sleep();
    let (_, update) = bench.update();
    assert_eq!((detail(&update, "step-1"), detail(&update, "step-2")), (Some("done"), None), "the first report of the work");
}

#[test]
fn a_new_session_fetches_anew_with_the_new_url() {
    let mut bench = fetching(SUCCEEDS);
    bench.agent.handle_disconnected(bench.now);
    assert!(!bench.agent.is_fetching(), "it is given up with its session");
    fetched(&mut bench, Fetched::Good);
    bench.subscribe();
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(Some(with_document(2)))));
    assert!(bench.has(|e| matches!(e, Event::Started { resumed: true, .. })));
    assert_fetch(&mut bench);
}

#[test]
fn work_that_is_taken_away_takes_its_file_with_it() {
    let mut bench = fetching(SUCCEEDS);
    bench.notify_next(None);
    let look = bench.request();
    bench.answer(&look, Err(Rejection::new(ErrorCode::TerminalStateReached, "canceled")));
    assert!(!bench.agent.is_fetching());
    fetched(&mut bench, Fetched::Good);
    assert!(!bench.agent.is_working());
}

#[test]
fn what_is_not_started_yet_is_not_fetched() {
    let mut bench = Bench::with(AgentSettings { fetches: true, workflow: Workflow::DescribeUpdate, ..settings(SUCCEEDS) });
    bench.subscribe();
    let ask = bench.request();
    let queued = Box::new(JobExecution { status: ExecutionStatus::Queued, ..*with_document(1) });
    bench.answer(&ask, Ok(Answer::Described(Some(queued))));
    let (request, update) = bench.update();
    assert_eq!((update.status, update.status_details), (ExecutionStatus::InProgress, None));
    assert!(!bench.agent.is_fetching());
    bench.answer(&request, Bench::accepted());
    assert_fetch(&mut bench);
}

#[test]
fn an_execution_without_its_document_is_refused_by_who_must_see_it() {
    let mut bench = Bench::with(AgentSettings { fetches: true, ..settings(SUCCEEDS) });
    bench.subscribe();
    let ask = bench.request();
    bench.answer(&ask, Ok(Answer::Started(Some(execution("fw", ExecutionStatus::InProgress, 2)))));
    let (_, update) = bench.update();
    assert_eq!(update.status, ExecutionStatus::Rejected);
    assert!(detail(&update, "reason").unwrap().contains("document"));
}
