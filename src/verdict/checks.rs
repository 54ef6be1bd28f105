//! What a verdict rests on besides the thresholds, each with why it stands as it does. Pure, like the verdict.

use super::{End, Evidence, end_in_words, reconciliation_in_words, uncreated_in_words};
use crate::report::{Check, CheckOutcome, CheckSubject};
use load_metrics::Finding;

/// Every check of a run.
pub(super) fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    vec![carried_out(evidence), completed(evidence), generator(evidence), done(evidence), ledgers(evidence)]
}

/// Holds, unless something is against it.
fn check(subject: CheckSubject, against: CheckOutcome, why: Vec<String>) -> Check {
    let outcome = if why.is_empty() { CheckOutcome::Holds } else { against };
    Check { subject, outcome, why }
}

fn skipped(subject: CheckSubject, why: &str) -> Check {
    Check { subject, outcome: CheckOutcome::Skipped, why: vec![why.into()] }
}

fn told(findings: &[Finding], is_wanted: fn(&Finding) -> bool) -> impl Iterator<Item = String> {
    findings.iter().filter(move |finding| is_wanted(finding)).map(ToString::to_string)
}

const NOT_CARRIED_OUT: &str = "the run could not be carried out";

fn carried_out(evidence: &Evidence<'_>) -> Check {
    let failed = matches!(evidence.end, End::Failed(_)).then(|| end_in_words(&evidence.end)).flatten();
    check(CheckSubject::CarriedOut, CheckOutcome::Error, failed.into_iter().collect())
}

fn completed(evidence: &Evidence<'_>) -> Check {
    let subject = CheckSubject::Completed;
    match &evidence.end {
        End::Failed(_) => skipped(subject, NOT_CARRIED_OUT),
        End::Interrupted => check(subject, CheckOutcome::Error, vec!["the run was interrupted".into()]),
        End::Early(_) | End::Limit { .. } | End::Complete => {
            check(subject, CheckOutcome::Fails, end_in_words(&evidence.end).into_iter().collect())
        }
    }
}

fn generator(evidence: &Evidence<'_>) -> Check {
    let subject = CheckSubject::Generator;
    let why: Vec<String> = told(evidence.findings, Finding::is_invalidating).collect();
    match &evidence.end {
        End::Failed(_) if why.is_empty() => skipped(subject, NOT_CARRIED_OUT),
        _ => check(subject, CheckOutcome::Error, why),
    }
}

fn done(evidence: &Evidence<'_>) -> Check {
    let subject = CheckSubject::Done;
    match evidence.end {
        End::Failed(_) => skipped(subject, NOT_CARRIED_OUT),
        End::Interrupted => skipped(subject, "the run was interrupted"),
        End::Early(_) | End::Limit { .. } | End::Complete => {
            let uncreated = uncreated_in_words(evidence.uncreated);
            let why = uncreated.into_iter().chain(told(evidence.findings, Finding::is_failure)).collect();
            check(subject, CheckOutcome::Fails, why)
        }
    }
}

fn ledgers(evidence: &Evidence<'_>) -> Check {
    let subject = CheckSubject::Ledgers;
    let differences = told(evidence.findings, Finding::is_difference);
    let why: Vec<String> = differences.chain(reconciliation_in_words(&evidence.reconciliation)).collect();
    match (&evidence.end, &evidence.reconciliation) {
        (End::Failed(_), _) => skipped(subject, NOT_CARRIED_OUT),
        (_, Ok(None)) if why.is_empty() => skipped(subject, "there is no service ledger to reconcile with"),
        _ => check(subject, CheckOutcome::Fails, why),
    }
}
