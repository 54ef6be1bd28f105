//! The reconciliation of a finished run: the things' ledger (`executions.csv`) against the service's, joined by thing, job and execution number,
//! field by field.
//!
//! What is compared: that both sides know the same executions; `status`; `queued_ms`; that every version has one end at most and every
//! change a version of its own; that the things count as many accepted updates as the service (fewer where an answer was lost, which
//! shows as a rejection or a reconnect); that a thing saw nothing before the service did it. What cannot be seen: an instant of a thing
//! that was moved later.

use super::{ReportError, tables};
use crate::ledger::LedgerTail;
use iot_jobs::ExecutionStatus;
use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The log of decisions of the endpoint that a run has started, in a results folder.
pub const DECISIONS: &str = "decisions.jsonl";
/// The service's ledger in a results folder.
pub const SERVICE_LEDGER: &str = "service_ledger.csv";
/// `executions.csv` has three decimals of a millisecond.
const ROUNDING_MS: f64 = 0.000_6;

/// Something that the two ledgers do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub thing: String,
    pub job: String,
    pub execution_number: i64,
    pub field: &'static str,
    pub things: String,
    pub service: String,
}

/// What came of the reconciliation at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconciliationTotals {
    pub differences: u64,
    /// How many of the findings of the run, the last ones, tell of them.
    pub findings: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, job, execution_number, field, things, service } = self;
        write!(f, "{thing}, job {job}, execution {execution_number}: {field} is {things} for the things, {service} for the service")
    }
}

type Key = (String, String, i64);

/// A row of `executions.csv`, as far as it is compared.
#[derive(Debug, Deserialize)]
struct ThingRow {
    thing: String,
    job: String,
    execution_number: i64,
    queued_ms: Option<f64>,
    started_ms: Option<f64>,
    finished_ms: Option<f64>,
    status: Option<String>,
    updates: u64,
    rejections: u64,
    reconnects: u64,
}

/// What the service's rows say of one execution.
#[derive(Debug, Default)]
struct ServiceSide {
    queued: Option<Mono>,
    started: Option<Mono>,
    ended: Option<Mono>,
    status: Option<ExecutionStatus>,
    version: i64,
    /// Requests of the thing that changed it: its start, and every accepted update.
    answered: u64,
    ends: u64,
    /// A change without a version of its own.
    is_out_of_order: bool,
}

impl ServiceSide {
    fn take(&mut self, row: &LedgerRow) {
        match row.event {
            LedgerEvent::Queued => self.queued = Some(row.at),
            LedgerEvent::Answered => {
                self.answered += 1;
                self.is_out_of_order |= row.version != self.version + 1;
                if row.status == ExecutionStatus::InProgress {
                    self.started.get_or_insert(row.at);
                }
            }
            LedgerEvent::Terminal => {
                self.ends += 1;
                self.ended = Some(row.at);
            }
            LedgerEvent::Head | LedgerEvent::Published => self.is_out_of_order |= row.version != self.version,
        }
        self.status = Some(row.status);
        self.version = row.version;
    }
}

/// Compares both ledgers of a run that is over; `None` where the target has none.
///
/// # Errors
/// When a file cannot be read, or a row of it is damaged: with the line.
pub fn reconcile(dir: &Path, origin: Mono) -> Result<Option<Vec<Difference>>, ReportError> {
    let ledger = dir.join(SERVICE_LEDGER);
    if !ledger.exists() {
        return Ok(None);
    }
    let mut service: BTreeMap<Key, ServiceSide> = BTreeMap::new();
    let rows = LedgerTail::new(&ledger).read_new().map_err(|error| damaged(&ledger, &error))?;
    for row in &rows {
        service.entry((row.thing.to_string(), row.job.to_string(), row.execution_number)).or_default().take(row);
    }
    let path = dir.join(tables::EXECUTIONS);
    let mut reader = csv::Reader::from_path(&path).map_err(|error| damaged(&path, &error))?;
    let mut differences = Vec::new();
    for row in reader.deserialize() {
        let row: ThingRow = row.map_err(|error| damaged(&path, &error))?;
        let key = (row.thing.clone(), row.job.clone(), row.execution_number);
        match service.remove(&key) {
            Some(side) => compare(&row, &side, origin, &mut |field, things, service| {
                differences.push(difference(&key, field, things, service));
            }),
            None => differences.push(difference(&key, "existence", "known".into(), "unknown, or reported twice".into())),
        }
    }
    differences.extend(service.keys().map(|key| difference(key, "existence", "unknown".into(), "known".into())));
    Ok(Some(differences))
}

fn damaged(path: &Path, error: &impl fmt::Display) -> ReportError {
    ReportError::Damaged { path: path.into(), why: error.to_string() }
}

fn difference(key: &Key, field: &'static str, things: String, service: String) -> Difference {
    let (thing, job, execution_number) = key.clone();
    Difference { thing, job, execution_number, field, things, service }
}

fn compare(row: &ThingRow, side: &ServiceSide, origin: Mono, differ: &mut impl FnMut(&'static str, String, String)) {
    let ms = |at: Option<Mono>| at.map(|at| at.ms_since(origin));
    let shown = |ms: Option<f64>| ms.map_or_else(|| "nothing".into(), |ms| format!("{ms:.3}"));
    let status = side.status.map(ExecutionStatus::as_str);
    if row.status.as_deref() != status {
        differ("status", row.status.clone().unwrap_or_default(), status.unwrap_or_default().to_owned());
    }
    let queued = ms(side.queued);
    let is_same = |a: f64, b: f64| (a - b).abs() <= ROUNDING_MS;
    if !matches!((row.queued_ms, queued), (Some(a), Some(b)) if is_same(a, b)) {
        differ("queued_ms", shown(row.queued_ms), shown(queued));
    }
    // A thing hears of what has happened, never of what will.
    for (field, thing, service) in
        [("started_ms", row.started_ms, ms(side.started)), ("finished_ms", row.finished_ms, ms(side.ended))]
    {
        if let Some(at) = thing
            && service.is_none_or(|committed| at < committed - ROUNDING_MS)
        {
            differ(field, shown(thing), shown(service));
        }
    }
    let accepted = side.answered.saturating_sub(u64::from(side.started.is_some()));
    let may_be_fewer = row.rejections > 0 || row.reconnects > 0 || row.finished_ms.is_none();
    if row.updates > accepted || (row.updates < accepted && !may_be_fewer) {
        differ("updates", row.updates.to_string(), accepted.to_string());
    }
    if side.ends > 1 {
        differ("ends", "one".into(), side.ends.to_string());
    }
    if side.is_out_of_order {
        differ("versions", "one for each change".into(), format!("out of order, the last is {}", side.version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const EXECUTIONS: &str = "\
thing,cohort,job,execution_number,queued_ms,notified_ms,started_ms,finished_ms,status,updates,rejections,reconnects,anomaly
t-1,all,j,1,10.000,11.000,12.500,30.250,SUCCEEDED,2,0,0,
t-2,all,j,1,10.000,11.000,12.500,,CANCELED,0,0,0,
";
    const LEDGER: &str = "\
mono_ns,thing,job,execution_number,version,status,event,subscribed
1010000000,t-1,j,1,1,QUEUED,queued,true
1010000000,t-1,j,1,1,QUEUED,head,true
1010000000,t-1,j,1,1,QUEUED,published,true
1010000000,t-2,j,1,1,QUEUED,queued,true
1012000000,t-1,j,1,2,IN_PROGRESS,answered,true
1012000000,t-2,j,1,2,IN_PROGRESS,answered,true
1020000000,t-1,j,1,3,IN_PROGRESS,answered,true
1025000000,t-2,j,1,3,CANCELED,terminal,true
1030000000,t-1,j,1,4,SUCCEEDED,answered,true
1030000000,t-1,j,1,4,SUCCEEDED,terminal,true
";

    fn found(executions: &str, ledger: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(tables::EXECUTIONS), executions).unwrap();
        fs::write(dir.path().join(SERVICE_LEDGER), ledger).unwrap();
        let differences = reconcile(dir.path(), Mono(1_000_000_000)).unwrap().unwrap();
        differences.iter().map(|difference| format!("{}/{}", difference.thing, difference.field)).collect()
    }

    #[test]
    fn two_ledgers_of_one_run_agree() {
        assert_eq!(found(EXECUTIONS, LEDGER), [""; 0]);
    }

    #[test]
    fn any_corrupted_field_is_found_and_named() {
        for (from, to, expected) in [
            ("30.250,SUCCEEDED", "30.250,FAILED", "t-1/status"),
            ("t-1,all,j,1,10.000", "t-1,all,j,1,10.010", "t-1/queued_ms"),
            ("30.250,SUCCEEDED,2", "30.250,SUCCEEDED,3", "t-1/updates"),
            ("30.250,SUCCEEDED,2", "30.250,SUCCEEDED,1", "t-1/updates"),
            ("30.250", "29.990", "t-1/finished_ms"),
            ("11.000,12.500,30.250", "11.000,11.999,30.250", "t-1/started_ms"),
        ] {
            assert!(EXECUTIONS.contains(from));
            assert_eq!(found(&EXECUTIONS.replacen(from, to, 1), LEDGER), [expected], "{from} -> {to}");
        }
        for (from, to, expected) in [
            ("1030000000,t-1,j,1,4,SUCCEEDED,terminal", "1030000000,t-1,j,1,4,FAILED,terminal", "t-1/status"),
            ("1010000000,t-2,j,1,1,QUEUED,queued", "1010500000,t-2,j,1,1,QUEUED,queued", "t-2/queued_ms"),
            ("1020000000,t-1,j,1,3", "1020000000,t-1,j,1,5", "t-1/versions"),
            ("1025000000,t-2,j,1,3,CANCELED", "1025000000,t-2,j,1,3,TIMED_OUT", "t-2/status"),
        ] {
            assert!(LEDGER.contains(from));
            assert_eq!(found(EXECUTIONS, &LEDGER.replacen(from, to, 1)), [expected], "{from} -> {to}");
        }
    }

    #[test]
    fn an_execution_that_only_one_side_knows_is_named() {
        let row = "t-2,all,j,1,10.000,11.000,12.500,,CANCELED,0,0,0,\n";
        assert_eq!(found(&EXECUTIONS.replace(row, ""), LEDGER), ["t-2/existence"]);
        assert_eq!(found(&format!("{EXECUTIONS}{row}"), LEDGER), ["t-2/existence"], "told twice");
        assert_eq!(found(&EXECUTIONS.replace("t-2", "t-3"), LEDGER), ["t-3/existence", "t-2/existence"]);
    }

    #[test]
    fn fewer_updates_are_no_difference_where_an_answer_was_lost() {
        assert_eq!(found(&EXECUTIONS.replace("SUCCEEDED,2,0,0", "SUCCEEDED,1,0,1"), LEDGER), [""; 0]);
    }

    #[test]
    fn a_damaged_row_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(tables::EXECUTIONS), EXECUTIONS.replace("SUCCEEDED,2", "SUCCEEDED,two")).unwrap();
        fs::write(dir.path().join(SERVICE_LEDGER), LEDGER).unwrap();
        let message = reconcile(dir.path(), Mono(0)).unwrap_err().to_string();
        assert!(message.contains("executions.csv") && message.contains("line: 2"), "{message}");
        fs::write(dir.path().join(SERVICE_LEDGER), LEDGER.replace("QUEUED,head", "QUEUED,haed")).unwrap();
        let message = reconcile(dir.path(), Mono(0)).unwrap_err().to_string();
        assert!(message.contains("service_ledger.csv: line 3"), "{message}");
    }
}
