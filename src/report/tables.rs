//! The columns of every CSV file. Names are firm; columns may be added at the end, never removed.

use super::capacity::CapacityRow;
use super::column::{Column, Described, describe, ms};
use super::manifest::{EventTotals, Percentiles};
use crate::slice::Slice;
use iot_jobs::ThingName;
use iot_jobs::instant::Mono;
use load_metrics::{
    Anomaly, ClosedExecution, ErrorKey, ErrorTally, ExecutionStage, Latency, Operation, OperationRow, RolloutRow, ShardFigures,
    Snapshot, StageCounts,
};
use std::sync::Arc;
use strum::{IntoEnumIterator, VariantArray};
use thing_faults::Fault;

/// Columns of rows of the type that stands first.
macro_rules! columns {
    ($row:ty: $($name:literal, $meaning:expr, $cell:expr;)*) => {
        vec![$(Column::<$row>::new($name, $meaning, $cell)),*]
    };
}

fn count(value: u64) -> String {
    value.to_string()
}

fn optional(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn part(latency: Option<Latency>, pick: fn(Latency) -> f64) -> String {
    ms(latency.map(pick))
}

/// Executions by stage.
fn stage_columns<R: 'static>(stages: &'static [ExecutionStage], counts: fn(&R) -> StageCounts) -> impl Iterator<Item = Column<R>> {
    stages.iter().map(move |stage| {
        let unknown = if stage.is_of_ledger() { "; empty without the service ledger" } else { "" };
        let meaning = format!("executions {}{unknown}", stage.meaning());
        Column::new(format!("exec_{}", stage.key()), meaning, move |row: &R| optional(counts(row).get(*stage)))
    })
}

/// Names in one cell.
fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(";")
}

pub(super) const TIMESERIES: &str = "timeseries.csv";
pub(super) const OPERATIONS: &str = "operations.csv";
pub(super) const SUMMARY: &str = "summary.csv";
pub(super) const ROLLOUTS: &str = "rollouts.csv";
pub(super) const EXECUTIONS: &str = "executions.csv";
pub(super) const ERRORS: &str = "errors.csv";
pub(super) const EVENTS: &str = "events.csv";
pub(super) const SHARDS: &str = "shards.csv";
pub(super) const CAPACITY: &str = "capacity.csv";

// ------------------------------------------------------------------------------------------------------------ timeseries

fn of_second(
    snapshot: &Snapshot,
    operation: Operation,
    pick: fn(&OperationRow) -> Option<Latency>,
    quantile: fn(Latency) -> f64,
) -> String {
    part(snapshot.of_second(operation).and_then(pick), quantile)
}

pub(super) fn timeseries_columns() -> Vec<Column<Snapshot>> {
    let mut columns = columns! { Snapshot:
        "t_s", "end of the second, in whole seconds from the first connect arrival", |s| count(s.t_s);
        "phase", "connect, steady, rollout, drain or done", |s| s.phase.to_string();
        "connected", "things whose session is subscribed, at the end of the second", |s| count(s.connected);
        "connects_per_s", "sessions that became subscribed", |s| count(s.connects_per_s);
        "messages_in_per_s", "PUBLISH packets things received", |s| count(s.messages_in_per_s);
        "messages_out_per_s", "PUBLISH packets things sent", |s| count(s.messages_out_per_s);
    };
    columns.extend(stage_columns(ExecutionStage::VARIANTS, |s: &Snapshot| s.executions));
    columns.extend(columns! { Snapshot:
        "start_next_response_ms_p50", "start-next: intended start to answer, of answers in this second",
            |s| of_second(s, Operation::StartNext, |row| row.response, |l| l.p50);
        "start_next_response_ms_p99", "the same, 99th percentile", |s| of_second(s, Operation::StartNext, |row| row.response, |l| l.p99);
        "update_response_ms_p99", "update: intended start to answer", |s| of_second(s, Operation::Update, |row| row.response, |l| l.p99);
        "notify_next_ms_p99", "head changed at the service to notify-next seen by the thing; empty without the service ledger",
            |s| of_second(s, Operation::NotifyNext, |row| row.service, |l| l.p99);
        "lateness_ms_p99", "generator's own delay: request runnable to request written", |s| part(s.lateness, |l| l.p99);
        "cpu_share", "cores the generator kept busy", 
            |s| s.generator.map_or_else(String::new, |usage| format!("{:.3}", usage.cpu_share));
        "rss_bytes", "resident memory of the generator", |s| optional(s.generator.map(|usage| usage.rss_bytes));
        "endpoint_cpu_share", "cores the local endpoint kept busy; empty for other targets",
            |s| s.endpoint.map_or_else(String::new, |usage| format!("{:.3}", usage.cpu_share));
        "endpoint_rss_bytes", "resident memory of the local endpoint; empty for other targets",
            |s| optional(s.endpoint.map(|usage| usage.rss_bytes));
        "shard_busy_max", "CPU time of the busiest shard, as a share of one core",
            |s| s.generator.map_or_else(String::new, |_| format!("{:.3}", s.busy.iter().copied().fold(0.0, f64::max)));
    });
    columns
}

// ------------------------------------------------------------------------------------------------------------ operations

/// An operation's row with the second it is about.
pub(super) struct OperationSecond {
    pub(super) t_s: u64,
    pub(super) row: OperationRow,
}

pub(super) fn operations_columns() -> Vec<Column<OperationSecond>> {
    columns! { OperationSecond:
        "t_s", "end of the second, in whole seconds from the first connect arrival", |o| count(o.t_s);
        "scope", "all, cohort:NAME or transport:NAME", |o| o.row.scope.to_string();
        "operation", "what was measured", |o| o.row.operation.as_str().into();
        "started", "operations started in this second", |o| count(o.row.counts.started);
        "ok", "that completed in this second: not rejected, no timeout, no error", |o| count(o.row.counts.ok);
        "rejected", "that the endpoint rejected", |o| count(o.row.counts.rejected);
        "timeout", "that were not answered within their deadline", |o| count(o.row.counts.timeout);
        "error", "that failed: connection lost, protocol error", |o| count(o.row.counts.error);
        "lost_arrivals", "planned starts that found their thing busy or away", |o| count(o.row.counts.lost_arrivals);
        "open", "started and not ended, at the end of the second", |o| count(o.row.open);
        "service_ms_p50", "sent to answer, of what ended in this second", |o| part(o.row.service, |l| l.p50);
        "service_ms_p90", "the same, 90th percentile", |o| part(o.row.service, |l| l.p90);
        "service_ms_p99", "the same, 99th percentile", |o| part(o.row.service, |l| l.p99);
        "service_ms_max", "the same, longest", |o| part(o.row.service, |l| l.max);
        "response_ms_p50", "intended start to answer; empty for operations without an intended start of their own", |o| part(o.row.response, |l| l.p50);
        "response_ms_p90", "the same, 90th percentile", |o| part(o.row.response, |l| l.p90);
        "response_ms_p99", "the same, 99th percentile", |o| part(o.row.response, |l| l.p99);
        "response_ms_max", "the same, longest", |o| part(o.row.response, |l| l.max);
        "late_answers", "answers that came after their deadline", |o| count(o.row.counts.late_answers);
        "blocked", "starts that waited for a session or a free slot, which is not the generator's delay", |o| count(o.row.counts.blocked);
    }
}

// --------------------------------------------------------------------------------------------------------------- summary

/// An operation's row with the length of the run so far.
pub(super) struct OperationTotal {
    pub(super) run_s: u64,
    pub(super) row: OperationRow,
}

pub(super) fn summary_columns() -> Vec<Column<OperationTotal>> {
    columns! { OperationTotal:
        "scope", "all, cohort:NAME or transport:NAME", |o| o.row.scope.to_string();
        "operation", "what was measured", |o| o.row.operation.as_str().into();
        "started", "operations started: ok + rejected + timeout + error + open", |o| count(o.row.counts.started);
        "ok", "that completed: not rejected, no timeout, no error", |o| count(o.row.counts.ok);
        "rejected", "that the endpoint rejected", |o| count(o.row.counts.rejected);
        "timeout", "that were not answered within their deadline; they count in the times at their age", |o| count(o.row.counts.timeout);
        "error", "that failed: connection lost, protocol error; they do not count in the times", |o| count(o.row.counts.error);
        "open", "started and not ended", |o| count(o.row.open);
        "rate_per_s", "ok over the seconds of the run", |o| format!("{:.3}", o.row.counts.ok as f64 / o.run_s.max(1) as f64);
        "service_ms_mean", "sent to answer", |o| part(o.row.service, |l| l.mean);
        "service_ms_p50", "the same, median", |o| part(o.row.service, |l| l.p50);
        "service_ms_p90", "the same, 90th percentile", |o| part(o.row.service, |l| l.p90);
        "service_ms_p95", "the same, 95th percentile", |o| part(o.row.service, |l| l.p95);
        "service_ms_p99", "the same, 99th percentile", |o| part(o.row.service, |l| l.p99);
        "service_ms_p999", "the same, 99.9th percentile", |o| part(o.row.service, |l| l.p999);
        "service_ms_max", "the same, longest", |o| part(o.row.service, |l| l.max);
        "response_ms_mean", "intended start to answer; empty for operations without an intended start of their own", |o| part(o.row.response, |l| l.mean);
        "response_ms_p50", "the same, median", |o| part(o.row.response, |l| l.p50);
        "response_ms_p90", "the same, 90th percentile", |o| part(o.row.response, |l| l.p90);
        "response_ms_p95", "the same, 95th percentile", |o| part(o.row.response, |l| l.p95);
        "response_ms_p99", "the same, 99th percentile", |o| part(o.row.response, |l| l.p99);
        "response_ms_p999", "the same, 99.9th percentile", |o| part(o.row.response, |l| l.p999);
        "response_ms_max", "the same, longest", |o| part(o.row.response, |l| l.max);
        "lost_arrivals", "planned starts that found their thing busy or away; they are not among the started", |o| count(o.row.counts.lost_arrivals);
        "late_answers", "answers that came after their deadline", |o| count(o.row.counts.late_answers);
        "blocked", "starts that waited for a session or a free slot, which is not the generator's delay", |o| count(o.row.counts.blocked);
    }
}

// -------------------------------------------------------------------------------------------------------------- rollouts

/// A job's row with the second it is about.
pub(super) struct RolloutSecond {
    pub(super) t_s: u64,
    pub(super) row: RolloutRow,
}

pub(super) fn rollouts_columns() -> Vec<Column<RolloutSecond>> {
    // A column that came later stands behind those that were there.
    let (others, removed) = ExecutionStage::VARIANTS.split_at(ExecutionStage::Removed as usize);
    let mut columns = columns! { RolloutSecond:
        "job", "job id", |r| r.row.job.to_string();
        "t_s", "end of the second, in whole seconds from the first connect arrival", |r| count(r.t_s);
        "targets", "things the job is for; empty for jobs of others", |r| optional(r.row.targets);
    };
    columns.extend(stage_columns(others, |r: &RolloutSecond| r.row.counts));
    columns.extend(columns! { RolloutSecond:
        "done_share", "targets whose latest execution is over, over targets", |r| r.row.done_share().map_or_else(String::new, |share| format!("{share:.6}"));
    });
    columns.extend(stage_columns(removed, |r: &RolloutSecond| r.row.counts));
    columns.extend(columns! { RolloutSecond:
        "exec_repeated", "of all these, that came after another one of the same thing: retries", |r| count(r.row.repeated);
    });
    columns
}

// ------------------------------------------------------------------------------------------------------------ executions

/// A closed execution with what its thing is called.
pub(super) struct ExecutionLine {
    pub(super) thing: ThingName,
    pub(super) cohort: Arc<str>,
    pub(super) origin: Mono,
    pub(super) execution: ClosedExecution,
}

fn since_origin(line: &ExecutionLine, at: Option<Mono>) -> String {
    ms(at.map(|at| at.ms_since(line.origin)))
}

pub(super) fn executions_columns() -> Vec<Column<ExecutionLine>> {
    columns! { ExecutionLine:
        "thing", "thing name", |e| e.thing.to_string();
        "cohort", "cohort of the thing", |e| e.cohort.to_string();
        "job", "job id", |e| e.execution.job.to_string();
        "execution_number", "number of this execution of the job on the thing", |e| e.execution.execution_number.to_string();
        "queued_ms", "when the service queued it; empty without the service ledger", |e| since_origin(e, e.execution.queued);
        "notified_ms", "when the thing first saw a notify-next that named it", |e| since_origin(e, e.execution.notified);
        "started_ms", "when the thing got it from start-next", |e| since_origin(e, e.execution.started);
        "finished_ms", "when the thing's terminal update was accepted, or the thing learned that it is gone", |e| since_origin(e, e.execution.finished);
        "status", "its status at the service, or the thing's where there is no service ledger",
            |e| e.execution.status.map_or_else(String::new, |status| status.to_string());
        "updates", "updates that were accepted, the terminal one included", |e| e.execution.updates.to_string();
        "rejections", "updates that were rejected", |e| e.execution.rejections.to_string();
        "reconnects", "sessions lost and regained while it was open", |e| e.execution.reconnects.to_string();
        "anomaly", format!("anomalies: {}; several are joined by a semicolon", Anomaly::iter().map(Anomaly::as_str).collect::<Vec<_>>().join(", ")),
            |e| joined(e.execution.anomalies.iter().map(Anomaly::as_str));
        "faults", "injected faults of the execution, or of its thing's connections until its end (docs/FAULTS.md); several are joined by a semicolon",
            |e| joined(e.execution.faults.iter().map(Fault::key));
    }
}

// ---------------------------------------------------------------------------------------------------------------- errors

/// A kind of error.
pub(super) struct ErrorLine {
    pub(super) origin: Mono,
    pub(super) key: ErrorKey,
    pub(super) tally: ErrorTally,
}

pub(super) fn errors_columns() -> Vec<Column<ErrorLine>> {
    columns! { ErrorLine:
        "operation", "the operation that failed", |e| e.key.operation.as_str().into();
        "kind", "where it failed: a stage of connecting, rejected, timeout, lost; unreadable: a message could not be parsed, or with code part only partly; denied: by a policy of the local endpoint, with the action as code; fault: on purpose", |e| e.key.kind.as_str().into();
        "code", "an error code of the service, a name for the error of the network, or the name of a fault", |e| e.key.code.into();
        "count", "how often", |e| count(e.tally.count);
        "first_ms", "when it was first seen, from the origin", |e| ms(Some(e.tally.first.ms_since(e.origin)));
        "last_ms", "when it was last seen, from the origin", |e| ms(Some(e.tally.last.ms_since(e.origin)));
        "example", "the first one as text", |e| e.tally.example.clone();
    }
}

// ---------------------------------------------------------------------------------------------------------------- events

/// An event, numbered from 1.
pub(super) struct EventLine {
    pub(super) event: usize,
    pub(super) totals: EventTotals,
}

fn of_recovery(line: &EventLine, pick: fn(Percentiles) -> f64) -> String {
    ms(line.totals.recovery_ms.map(pick))
}

pub(super) fn events_columns() -> Vec<Column<EventLine>> {
    columns! { EventLine:
        "event", "its number in the scenario, from 1", |e| e.event.to_string();
        "kind", "disconnect, outage, reconnect-storm, endpoint-restart or endpoint-freeze", |e| e.totals.kind.clone();
        "at_ms", "when it was to happen, from the origin", |e| ms(Some(e.totals.at_s * 1e3));
        "lasts_ms", "how long it was to last", |e| ms(Some(e.totals.lasts_s * 1e3));
        "over_ms", "when the endpoint could be reached again, from the origin; empty before", |e| ms(e.totals.over_ms);
        "affected", "things that lost their session by it", |e| count(e.totals.affected);
        "back", "of them, that were subscribed again; the others were not back when the run ended", |e| count(e.totals.back);
        "failures", "attempts of theirs to connect that failed before that", |e| count(e.totals.failures);
        "back_ms", "from its beginning until the last of them was subscribed again; empty while one is not", |e| ms(e.totals.back_ms);
        "recovery_ms_p50", "from when it was over (of a session lost later: from its loss) until a thing was subscribed again",
            |e| of_recovery(e, |times| times.p50);
        "recovery_ms_p90", "the same, 90th percentile", |e| of_recovery(e, |times| times.p90);
        "recovery_ms_p99", "the same, 99th percentile", |e| of_recovery(e, |times| times.p99);
        "recovery_ms_max", "the same, longest", |e| of_recovery(e, |times| times.max);
        "peak_connects_per_s", "the most of them that were subscribed again within one whole second after it was over",
            |e| count(e.totals.peak_connects_per_s);
        "peak_attempts_per_s", "the most attempts that they planned within one second after it was over: the load that their reconnect policy asks for",
            |e| count(e.totals.peak_attempts_per_s);
    }
}

// -------------------------------------------------------------------------------------------------------------- capacity

fn share(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.6}"))
}

pub(super) fn capacity_columns() -> Vec<Column<CapacityRow>> {
    columns! { CapacityRow:
        "step", "its number, from 1; its run is in `steps/NN`", |c| c.step.to_string();
        "offered", "the load, in the unit that `capacity.json` names", |c| c.offered.to_string();
        "achieved", "the load that was achieved in the measured seconds, in the same unit; empty where that is not known for the varied path",
            |c| c.achieved.map_or_else(String::new, |achieved| format!("{achieved:.3}"));
        "verdict", "PASS, FAIL, or INVALID where the generator was the limit, so that the step says nothing", |c| c.verdict.as_str().into();
        "failed_threshold", "the first threshold that failed; `achieved` where less than 98 % of the planned load was achieved; empty where all held",
            |c| c.failed_threshold.clone().unwrap_or_default();
        "response_ms_p50", "intended start to answer of the operation that `capacity.json` names, in the measured seconds: median", |c| ms(c.response_ms_p50);
        "response_ms_p90", "the same, 90th percentile", |c| ms(c.response_ms_p90);
        "response_ms_p99", "the same, 99th percentile", |c| ms(c.response_ms_p99);
        "error_share", "of the same operation: rejected, timed out and failed over ended, from 0 to 1", |c| share(c.error_share);
        "generator_cpu_share", "cores the generator kept busy in the measured seconds", |c| format!("{:.3}", c.generator_cpu_share);
        "endpoint_cpu_share", "cores the local endpoint kept busy; empty for other targets",
            |c| c.endpoint_cpu_share.map_or_else(String::new, |cores| format!("{cores:.3}"));
        "rss_bytes", "resident memory of the generator at its highest", |c| count(c.rss_bytes);
        "endpoint_rss_bytes", "the same of the local endpoint; empty for other targets", |c| optional(c.endpoint_rss_bytes);
        "setting", "the value at the varied path that makes the load, as `--set` takes it", |c| c.setting.clone();
        "reason", "why the step did not pass, in words; empty where it passed", |c| c.reason.clone().unwrap_or_default();
    }
}

// ---------------------------------------------------------------------------------------------------------------- shards

/// What a shard of a merged run did in a second.
pub(super) struct ShardLine {
    pub(super) t_s: u64,
    pub(super) slice: Slice,
    pub(super) figures: ShardFigures,
}

pub(super) fn shards_columns() -> Vec<Column<ShardLine>> {
    columns! { ShardLine:
        "t_s", "end of the second, in whole seconds from the first connect arrival", |s| count(s.t_s);
        "slice", "slice of the fleet, as `I/N`", |s| s.slice.to_string();
        "connected", "its things whose session is subscribed, at the end of the second", |s| count(s.figures.connected);
        "messages_in_per_s", "PUBLISH packets its things received", |s| count(s.figures.messages_in);
        "messages_out_per_s", "PUBLISH packets its things sent", |s| count(s.figures.messages_out);
        "busy", "CPU time of its busiest thread, as a share of one core", |s| format!("{:.3}", s.figures.busy);
        "lateness_ms_p99", "its own delay: request runnable to request written", |s| ms(s.figures.lateness_ms);
    }
}

/// The files of a merged run besides those of every run, for the dictionary.
pub(super) fn of_merged() -> Vec<Described> {
    vec![describe(
        SHARDS,
        "one second of one slice of a merged run; seconds that a slice did not report have no row",
        shards_columns(),
    )]
}

/// The files of a search, for the dictionary.
pub(super) fn of_search() -> Vec<Described> {
    vec![describe(CAPACITY, "one step of a search (`fleetsim capacity`); rewritten after every step", capacity_columns())]
}

/// All files of a run, for the dictionary.
pub(super) fn all() -> Vec<Described> {
    vec![
        describe(SUMMARY, "one operation in one scope, over the run; rewritten every second", summary_columns()),
        describe(TIMESERIES, "one second", timeseries_columns()),
        describe(OPERATIONS, "one second of one operation in one scope", operations_columns()),
        describe(ROLLOUTS, "one second of one job", rollouts_columns()),
        describe(EXECUTIONS, "one execution of one job on one thing, written when it is over", executions_columns()),
        describe(ERRORS, "one kind of error; rewritten every second", errors_columns()),
        describe(EVENTS, "one event of the scenario; rewritten every second", events_columns()),
    ]
}
