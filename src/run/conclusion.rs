//! The end of a run: judged, and its files completed.

use super::conductor::{Ended, Ending};
use super::error::RunError;
use super::prediction;
use super::setup::Setup;
use crate::exit;
use crate::report::{self, ReconciliationTotals, ResultsWriter};
use crate::timestamp::rfc3339;
use crate::verdict::{End, Evidence, Judgement, judge};
use iot_jobs::instant::Mono;
use load_metrics::EventRow;

/// Judges the run and writes the last word on it; exit code, and what failed in words. The files are complete.
pub(super) fn conclude(setup: &Setup, writer: &mut ResultsWriter, outcome: Result<Ended, RunError>) -> (u8, Vec<String>) {
    let mut failures = Vec::new();
    let Judgement { verdict, exit_code, findings, checks, differences, reconciliation_findings } = match outcome {
        Ok(ended) => {
            writer.set_shard_end(ended.ending == Ending::Limit, &ended.uncreated);
            let predicted = prediction::compare(&ended.predicted, &writer.manifest().totals.rollouts);
            let remarks = prediction::findings(&predicted);
            writer.set_predicted(predicted);
            judge(&Evidence { remarks: &remarks, ..evidence(setup, writer, &ended) })
        }
        Err(error) => {
            let why = error.to_string();
            failures.push(format!("failed to {why}"));
            writer.set_shard_failure(&why);
            judge(&Evidence {
                end: End::Failed(why),
                thresholds_hold: false,
                findings: writer.findings(),
                remarks: &[],
                uncreated: &[],
                reconciliation: Ok(None),
            })
        }
    };
    let reconciliation = differences.map(|differences| ReconciliationTotals { differences, findings: reconciliation_findings });
    writer.set_checks(checks);
    let finished = writer.finish(verdict, exit_code, rfc3339(), findings, reconciliation);
    if let Some(exposition) = &setup.exposition {
        exposition.conclude(writer.manifest().verdict);
    }
    match finished {
        Ok(()) => (exit_code, failures),
        Err(error) => {
            failures.insert(0, format!("failed to {error}"));
            (exit::ERROR, failures)
        }
    }
}

/// What was measured of a run that was carried out; its ledgers are joined once more, from their files.
fn evidence<'a>(setup: &Setup, writer: &'a ResultsWriter, ended: &'a Ended) -> Evidence<'a> {
    let Ended { ending, last, uncreated, .. } = ended;
    let last = last.as_deref();
    let end = match ending {
        Ending::Complete => End::Complete,
        Ending::Interrupted => End::Interrupted,
        Ending::Limit => End::Limit {
            limit: setup.plan.end.limit,
            open: last.map_or(0, |last| last.executions.open()),
            away: last.map_or(0, |last| last.events.iter().map(EventRow::away).sum()),
        },
    };
    Evidence {
        end,
        thresholds_hold: last.is_none_or(|last| last.thresholds.iter().all(|threshold| threshold.holds() == Some(true))),
        findings: writer.findings(),
        remarks: &[],
        // A step is over when its load was measured, whatever is still to come.
        uncreated: if setup.step.is_some() { &[] } else { uncreated },
        reconciliation: report::reconcile(writer.dir(), last.map_or(Mono(0), |last| last.origin))
            .map_err(|error| error.to_string()),
    }
}
