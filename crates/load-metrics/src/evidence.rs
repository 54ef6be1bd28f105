//! What a run was there to do and never did, what nobody answered, and what never left: a verdict without it would say too much.

use super::executions::RolloutRow;
use super::finding::Finding;
use super::sample::Operation;
use super::snapshot::{OperationRow, ScopeName, Snapshot};
use crate::{Counts, ExecutionStage, Phase};
use iot_jobs::ErrorCode;
use std::time::Duration;

/// What things ask of the endpoint; stages of connecting are told with the whole of it.
const ASKED: [Operation; 8] = [
    Operation::Connect,
    Operation::GetPending,
    Operation::StartNext,
    Operation::Describe,
    Operation::Update,
    Operation::Puback,
    Operation::Telemetry,
    Operation::Download,
];
/// What was open all that time at the end, and never done before, had its chance.
const OPEN_FOR_S: u64 = 2;
/// A job of which nobody has heard by then has not been rolled out.
const HEARD_WITHIN: Duration = Duration::from_secs(60);
/// Of planned starts: smaller shares of lost ones are told by the tables alone.
const LOST_SHARE: f64 = 0.01;
/// Refusals that tell how an execution stands: to be told that is what was asked for.
const TELLING: [ErrorCode; 3] = [ErrorCode::InvalidStateTransition, ErrorCode::VersionMismatch, ErrorCode::TerminalStateReached];
/// Files that came, and were found bad.
const FOUND_BAD: [&str; 5] = ["document", "url", "too_large", "signature", "length"];

/// An operation that was begun and never done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Which.
    pub operation: Operation,
    /// By whom.
    pub scope: ScopeName,
    /// Of the run.
    pub counts: Counts,
}

/// A share of what was begun, by operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which.
    pub operation: Operation,
    /// So many.
    pub count: u64,
    /// Of so many.
    pub of: u64,
}

/// The conclusions, at the end of a run.
pub(super) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    if snapshot.phase != Phase::Done {
        return Vec::new();
    }
    let undone: Vec<&OperationRow> = ASKED.iter().flat_map(|operation| undone(snapshot, *operation)).collect();
    let is_undone = |operation| undone.iter().any(|row| row.operation == operation && row.scope == ScopeName::All);
    let mut unanswered = parts(snapshot, |row| (row.counts.timeout, row.counts.started));
    unanswered.retain(|part| !is_undone(part.operation));
    let mut lost = parts(snapshot, |row| (row.counts.lost_arrivals, row.counts.started + row.counts.lost_arrivals));
    lost.retain(|part| part.count as f64 >= LOST_SHARE * part.of as f64);
    let told = undone.iter().map(|row| {
        let OperationRow { operation, scope, counts, .. } = (*row).clone();
        Finding::Undone(Undone { operation, scope, counts })
    });
    let unheard = snapshot
        .rollouts
        .iter()
        .filter(|row| is_unheard(snapshot, row))
        .map(|row| Finding::Unheard { job: row.job.clone(), targets: row.targets.unwrap_or_default() });
    let unanswered = (!unanswered.is_empty()).then_some(Finding::Unanswered(unanswered));
    let lost = (!lost.is_empty()).then_some(Finding::ArrivalsLost(lost));
    told.chain(unheard).chain(unanswered).chain(lost).collect()
}

/// Where an operation was never done: by the fleet, or over a transport, or by a cohort.
fn undone(snapshot: &Snapshot, operation: Operation) -> Vec<&OperationRow> {
    let of = |is_scope: fn(&ScopeName) -> bool| {
        let rows = snapshot.totals.iter().filter(move |row| row.operation == operation && is_scope(&row.scope));
        rows.filter(|row| is_undone(snapshot, row)).collect::<Vec<_>>()
    };
    let wider_first: [fn(&ScopeName) -> bool; 3] = [
        |scope| *scope == ScopeName::All,
        |scope| matches!(scope, ScopeName::Transport(_)),
        |scope| matches!(scope, ScopeName::Cohort(_)),
    ];
    wider_first.into_iter().map(of).find(|rows| !rows.is_empty()).unwrap_or_default()
}

fn is_undone(snapshot: &Snapshot, row: &OperationRow) -> bool {
    let counts = row.counts;
    let had_its_chance = counts.finished() > 0 || snapshot.t_s >= row.since_s + OPEN_FOR_S;
    counts.started > 0 && counts.ok == 0 && had_its_chance && !is_told(snapshot, row)
}

/// Whether some of what did not succeed was an answer all the same.
fn is_told(snapshot: &Snapshot, row: &OperationRow) -> bool {
    let is_telling: fn(&str) -> bool = match row.operation {
        Operation::Describe | Operation::Update => |code| ErrorCode::parse(code).is_some_and(|code| TELLING.contains(&code)),
        Operation::Download => |code| FOUND_BAD.contains(&code),
        _ => return false,
    };
    let mut keys = snapshot.errors.keys().filter(|key| key.operation == row.operation);
    // Errors are told of the whole fleet: of its parts only silence is certain.
    let may_be_of_row = row.scope == ScopeName::All || row.counts.rejected + row.counts.error > 0;
    may_be_of_row && keys.any(|key| is_telling(key.code))
}

/// The same of a job: not one thing has heard of it, though there was time.
fn is_unheard(snapshot: &Snapshot, row: &RolloutRow) -> bool {
    let end = snapshot.origin + Duration::from_secs(snapshot.t_s);
    let had_its_chance = row.created.is_some_and(|created| end.since(created) >= HEARD_WITHIN);
    let queued = row.counts.get(ExecutionStage::Queued).unwrap_or(0);
    had_its_chance && row.targets.is_some_and(|targets| targets > 0) && row.counts.all() == queued
}

fn parts(snapshot: &Snapshot, part: impl Fn(&OperationRow) -> (u64, u64)) -> Vec<Part> {
    let rows = ASKED.iter().filter_map(|operation| snapshot.of_run(*operation));
    let parts = rows.map(|row| {
        let (count, of) = part(row);
        Part { operation: row.operation, count, of }
    });
    parts.filter(|part| part.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::{Collector, CollectorSettings, Outcome, ProcessUsage, Recorder, Sample, Scope, SecondInput};
    use iot_jobs::instant::Mono;
    use iot_jobs::{JobId, ThingName};
    use std::sync::Arc;

    const SECONDS: u64 = 90;

    fn at(s: u64) -> Mono {
        Mono(0) + Duration::from_secs(s)
    }

    /// How a run of two cohorts over two transports ends, and of how many things a job was created after so many seconds.
    fn end(phase: Phase, job: Option<(u64, u64)>, see: impl FnOnce(&mut Recorder)) -> Arc<Snapshot> {
        let mut recorder = Recorder::new(Mono(0), 2, 2);
        see(&mut recorder);
        let mut collector = Collector::new(CollectorSettings {
            origin: Mono(0),
            things: vec![ThingName::new("t").unwrap()],
            cohorts: vec!["a".into(), "b".into()],
            transports: vec!["mqtt".into(), "https-mtls".into()],
            has_service: false,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 2,
        });
        if let Some((targets, created_s)) = job {
            collector.job_created(&JobId::new("j").unwrap(), targets, at(created_s));
        }
        let input = |second, intervals| SecondInput {
            second,
            span_s: 1,
            phase,
            phases: phase.into(),
            intervals,
            intervals_lost: 0,
            ledger: Vec::new(),
            generator: Some(ProcessUsage::default()),
            endpoint: None,
        };
        for (second, interval) in (0..).zip(recorder.finish_run(at(SECONDS) - Duration::from_millis(1))) {
            collector.second(input(second, vec![interval]));
        }
        collector.finish(input(SECONDS - 1, Vec::new()), None)
    }

    fn told(see: impl FnOnce(&mut Recorder)) -> Vec<String> {
        findings(&end(Phase::Done, None, see)).iter().map(ToString::to_string).collect()
    }

    const A: Scope = Scope { cohort: 0, transport: 0 };
    const B: Scope = Scope { cohort: 1, transport: 1 };

    fn ask(recorder: &mut Recorder, operation: Operation, scope: Scope, outcome: Outcome) {
        recorder.start(operation, scope);
        recorder.finish(&Sample { operation, scope, outcome, intended: at(1), sent: at(1), finished: at(2) });
    }

    #[test]
    fn what_was_never_done_is_told_whatever_it_is_and_however_it_ended() {
        for operation in ASKED {
            for outcome in [Outcome::Rejected, Outcome::Timeout, Outcome::Error] {
                let told = told(|recorder| ask(recorder, operation, A, outcome));
                assert!(told[0].starts_with(&format!("{operation}: not one of 1 was done (1 ")), "{told:?}");
                let told = told_with_a_success(operation, outcome);
                assert_eq!(told.len(), usize::from(outcome == Outcome::Timeout), "{told:?}");
            }
            let open = told(|recorder| recorder.start(operation, A));
            assert!(open[0].contains("not one of 1 was done (1 open)"), "{open:?}");
            let young = told(|recorder| {
                recorder.advance(at(SECONDS - 1));
                recorder.start(operation, A);
            });
            assert_eq!(young, [""; 0], "it had no time");
        }
    }

    fn told_with_a_success(operation: Operation, outcome: Outcome) -> Vec<String> {
        told(|recorder| {
            ask(recorder, operation, A, Outcome::Ok);
            ask(recorder, operation, A, outcome);
        })
    }

    #[test]
    fn a_part_of_the_fleet_that_never_did_it_is_named() {
        let told = told(|recorder| {
            ask(recorder, Operation::Connect, A, Outcome::Ok);
            ask(recorder, Operation::Connect, B, Outcome::Error);
        });
        assert_eq!(told, ["connect of transport:https-mtls: not one of 1 was done (1 failed with an error)"]);
    }

    #[test]
    fn to_be_told_how_it_stands_is_an_answer_and_to_be_told_nothing_is_none() {
        for (operation, code, is_answer) in [
            (Operation::Update, "VersionMismatch", true),
            (Operation::Describe, "TerminalStateReached", true),
            (Operation::Update, "Unknown", false),
            (Operation::StartNext, "RequestThrottled", false),
            (Operation::Download, "signature", true),
            (Operation::Download, "connect", false),
        ] {
            let told = told(|recorder| {
                ask(recorder, operation, A, Outcome::Rejected);
                recorder.error(operation, ErrorKind::Rejected, code, at(2), String::new);
            });
            assert_eq!(told.is_empty(), is_answer, "{operation} {code}: {told:?}");
        }
    }

    #[test]
    fn shares_of_silence_and_of_what_never_left_are_told() {
        let told = told(|recorder| {
            for outcome in [Outcome::Ok, Outcome::Ok, Outcome::Timeout] {
                ask(recorder, Operation::Update, A, outcome);
            }
            (0..100).for_each(|_| recorder.done(Operation::Telemetry, A, at(2)));
            recorder.lost_arrivals(Operation::Telemetry, A, 25);
            (0..200).for_each(|_| recorder.done(Operation::Describe, A, at(2)));
            recorder.lost_arrivals(Operation::Describe, A, 1);
        });
        let silence = "without an answer within its deadline: 1 of 3 update (33.3 %); times above the deadline are not known";
        assert_eq!(told, [silence, "lost arrivals, planned while the thing was busy or away: 25 of 125 telemetry (20.0 %)"]);
    }

    #[test]
    fn a_job_that_nobody_heard_of_is_told_once_there_was_time() {
        let told = |phase, created_s| findings(&end(phase, Some((3, created_s)), |_| {}));
        assert_eq!(told(Phase::Done, 10), [Finding::Unheard { job: JobId::new("j").unwrap(), targets: 3 }]);
        assert_eq!(told(Phase::Done, 60), []);
        assert_eq!(told(Phase::Rollout, 10), [], "the run goes on");
    }
}
