//! How a run went: verdict and exit code, decided from what was measured. Pure: it reads no file, and no clock.
//!
//! The first exit code that applies wins, in the order 1, 105, 98, 99, 0; wrong usage (2) and a wrong scenario (104) come before all of
//! them, since there is no run to judge then.

mod checks;

use crate::exit;
use crate::report::{Check, CheckOutcome, CheckSubject, Difference, Verdict};
use checks::checks;
use iot_jobs::JobId;
use load_metrics::{Finding, Snapshot};
use sim_units::text::duration_text;
use std::time::Duration;

/// Differences between the ledgers that are told one by one.
const DIFFERENCES_SHOWN: usize = 5;

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It could not be carried out: why, after "failed to".
    Failed(String),
    Interrupted,
    /// Whoever led it ended it before it was done: why.
    Early(String),
    /// The limit was reached first, with so many executions open and so many things away by an event.
    Limit {
        limit: Duration,
        open: u64,
        away: u64,
    },
    /// As the scenario wants it.
    Complete,
}

/// What a verdict rests on.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    pub end: End,
    /// Whether every threshold has held; one without a single sample has not.
    pub thresholds_hold: bool,
    /// What the figures tell.
    pub findings: &'a [Finding],
    /// What else is worth a word, and no reason to fail.
    pub remarks: &'a [String],
    /// Jobs of the scenario that were never created.
    pub uncreated: &'a [JobId],
    /// Where the things' ledger and the service's differ; `Ok(None)` without one of the service, `Err` when they cannot be compared.
    pub reconciliation: Result<Option<Vec<Difference>>, String>,
}

/// The last word on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub verdict: Verdict,
    pub exit_code: u8,
    /// In plain words: why it ended, what the figures tell, what the reconciliation found.
    pub findings: Vec<String>,
    /// What it rests on besides the thresholds.
    pub checks: Vec<Check>,
    /// Between the ledgers; `None` where there was one of them only.
    pub differences: Option<u64>,
    /// How many of the findings are of the reconciliation: the last ones.
    pub reconciliation_findings: usize,
}

/// Decides how a run went.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Judgement {
    let Evidence { end, thresholds_hold, findings, remarks, uncreated, reconciliation } = evidence;
    let differences = match reconciliation {
        Ok(differences) => differences.as_ref().map(|differences| differences.len() as u64),
        Err(_) => Some(1),
    };
    let checks = checks(evidence);
    let is_against = |check: &Check| matches!(check.outcome, CheckOutcome::Fails | CheckOutcome::Error);
    let is_invalid = checks.iter().any(|check| check.subject == CheckSubject::Generator && is_against(check));
    let (verdict, exit_code) = match end {
        End::Failed(_) => (Verdict::Error, exit::ERROR),
        End::Interrupted => (Verdict::Interrupted, exit::INTERRUPTED),
        End::Early(_) | End::Limit { .. } | End::Complete if is_invalid => (Verdict::Invalid, exit::INVALID),
        End::Early(_) | End::Limit { .. } | End::Complete if !thresholds_hold || checks.iter().any(is_against) => {
            (Verdict::Fail, exit::FAIL)
        }
        End::Early(_) | End::Limit { .. } | End::Complete => (Verdict::Pass, exit::PASS),
    };
    let told = findings.iter().map(ToString::to_string);
    let of_reconciliation = reconciliation_in_words(reconciliation);
    let reconciliation_findings = of_reconciliation.len();
    let ended = end_in_words(end).into_iter().chain(uncreated_in_words(uncreated));
    let findings = ended.chain(told).chain(remarks.iter().cloned()).chain(of_reconciliation).collect();
    Judgement { verdict, exit_code, findings, checks, differences, reconciliation_findings }
}

/// The verdict that a run would have if it ended now: of what is known before its end. A threshold without a sample may still get one.
pub(crate) fn so_far(snapshot: &Snapshot, findings: &[Finding]) -> Verdict {
    let thresholds_hold = snapshot.thresholds.iter().all(|threshold| threshold.holds() != Some(false));
    let reconciliation = Ok(None);
    judge(&Evidence { end: End::Complete, thresholds_hold, findings, remarks: &[], uncreated: &[], reconciliation }).verdict
}

/// Why it ended, where that is not as it was meant to.
fn end_in_words(end: &End) -> Option<String> {
    match end {
        End::Failed(why) => Some(format!("failed to {why}")),
        End::Early(why) => Some(format!("the run was ended early: {why}")),
        End::Limit { limit, open, away } => {
            let limit = duration_text(*limit);
            let away = if *away > 0 { format!(", {away} things are away by an event") } else { String::new() };
            Some(format!("the limit of {limit} was reached before the run was done: {open} executions are open{away}"))
        }
        End::Interrupted | End::Complete => None,
    }
}

/// A job waits for its time, or until every thing has been connected.
fn uncreated_in_words(uncreated: &[JobId]) -> Option<String> {
    let (first, more) = uncreated.split_first()?;
    let more = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
    Some(format!("job {first}{more} was never created: the run ended before it was due, or before every thing was connected"))
}

fn reconciliation_in_words(reconciliation: &Result<Option<Vec<Difference>>, String>) -> Vec<String> {
    let differences = match reconciliation {
        Ok(differences) => differences.as_deref().unwrap_or_default(),
        Err(why) => return vec![format!("the reconciliation failed to {why}")],
    };
    let more = differences.len().saturating_sub(DIFFERENCES_SHOWN);
    let shown =
        differences.iter().take(DIFFERENCES_SHOWN).map(|difference| format!("the reconciliation found a difference: {difference}"));
    shown.chain((more > 0).then(|| format!("and {more} more differences: `fleetsim report` lists all"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use load_metrics::Anomaly;

    const LOST: Finding = Finding::SamplesLost { intervals: 1, events: 0 };
    const DIFFERS: Finding = Finding::Anomalous { anomaly: Anomaly::StatusDiffers, count: 1 };
    const LATE: Finding = Finding::Anomalous { anomaly: Anomaly::LateNotify, count: 1 };
    const LIMIT: End = End::Limit { limit: Duration::from_secs(60), open: 3, away: 0 };

    fn differences(count: usize) -> Vec<Difference> {
        let difference = |n| Difference {
            thing: format!("t-{n}"),
            job: "j".into(),
            execution_number: 1,
            field: "status",
            things: "FAILED".into(),
            service: "SUCCEEDED".into(),
        };
        (0..count).map(difference).collect()
    }

    fn job(id: &str) -> JobId {
        JobId::new(id).unwrap()
    }

    /// A job that came to nobody.
    fn unheard() -> Finding {
        Finding::Unheard { job: job("a"), targets: 3 }
    }

    fn good(end: End) -> Evidence<'static> {
        Evidence { end, thresholds_hold: true, findings: &[], remarks: &[], uncreated: &[], reconciliation: Ok(Some(Vec::new())) }
    }

    /// Everything that the figures can have against a run.
    fn bad(end: End) -> Evidence<'static> {
        Evidence {
            end,
            thresholds_hold: false,
            findings: &[LOST, DIFFERS],
            remarks: &[],
            uncreated: &[],
            reconciliation: Ok(Some(differences(1))),
        }
    }

    fn code(evidence: &Evidence<'_>) -> (u8, Verdict) {
        let Judgement { verdict, exit_code, .. } = judge(evidence);
        (exit_code, verdict)
    }

    #[test]
    fn the_first_exit_code_that_applies_wins() {
        assert_eq!(code(&bad(End::Failed("reach the endpoint".into()))), (1, Verdict::Error));
        assert_eq!(code(&bad(End::Interrupted)), (105, Verdict::Interrupted));
        assert_eq!(code(&bad(LIMIT)), (98, Verdict::Invalid));
        assert_eq!(code(&bad(End::Complete)), (98, Verdict::Invalid));
        assert_eq!(code(&Evidence { findings: &[DIFFERS], ..bad(End::Complete) }), (99, Verdict::Fail));
        assert_eq!(code(&good(End::Complete)), (0, Verdict::Pass));
    }

    #[test]
    fn an_end_that_was_not_meant_counts_even_if_all_else_is_well() {
        assert_eq!(code(&good(End::Failed("go on".into()))), (1, Verdict::Error));
        assert_eq!(code(&good(End::Interrupted)), (105, Verdict::Interrupted));
        assert_eq!(code(&good(LIMIT)), (99, Verdict::Fail));
    }

    #[test]
    fn each_of_the_reasons_to_fail_is_enough() {
        let complete = good(End::Complete);
        assert_eq!(code(&Evidence { findings: &[LOST], ..complete.clone() }), (98, Verdict::Invalid));
        for failing in [
            Evidence { thresholds_hold: false, ..complete.clone() },
            Evidence { findings: &[DIFFERS], ..complete.clone() },
            Evidence { findings: &[unheard()], ..complete.clone() },
            Evidence { uncreated: &[job("a"), job("b")], ..complete.clone() },
            Evidence { reconciliation: Ok(Some(differences(1))), ..complete.clone() },
            Evidence { reconciliation: Err("read executions.csv".into()), ..complete.clone() },
        ] {
            assert_eq!(code(&failing), (99, Verdict::Fail), "{failing:?}");
        }
        assert_eq!(code(&Evidence { findings: &[LATE], ..complete.clone() }), (0, Verdict::Pass), "an anomaly, not a difference");
        assert_eq!(code(&Evidence { reconciliation: Ok(None), ..complete }), (0, Verdict::Pass), "there is nothing to compare");
    }

    #[test]
    fn each_check_says_how_it_stands() {
        use CheckOutcome::{Error, Fails, Holds, Skipped};
        let outcomes = |evidence: &Evidence<'_>| judge(evidence).checks.iter().map(|check| check.outcome).collect::<Vec<_>>();
        assert_eq!(outcomes(&good(End::Complete)), [Holds; 5]);
        assert_eq!(outcomes(&bad(LIMIT)), [Holds, Fails, Error, Holds, Fails]);
        assert_eq!(outcomes(&bad(End::Interrupted)), [Holds, Error, Error, Skipped, Fails]);
        assert_eq!(outcomes(&good(End::Failed("reach it".into()))), [Error, Skipped, Skipped, Skipped, Skipped]);
        let blind = Evidence { findings: &[unheard()], reconciliation: Ok(None), ..good(End::Complete) };
        assert_eq!(outcomes(&blind), [Holds, Holds, Holds, Fails, Skipped]);
        let why = judge(&bad(End::Complete)).checks[4].why.clone();
        assert_eq!(why.len(), 2, "what the join shows, and the reconciliation: {why:?}");
        let failed = judge(&good(End::Failed("reach it".into()))).checks[0].why.clone();
        assert_eq!(failed, ["failed to reach it"]);
    }

    #[test]
    fn findings_begin_with_why_it_ended() {
        let told = |evidence: &Evidence<'_>| judge(evidence).findings;
        assert_eq!(told(&good(End::Failed("go on: it is gone".into()))), ["failed to go on: it is gone"]);
        let uncreated = [job("a"), job("b")];
        assert_eq!(
            told(&Evidence { uncreated: &uncreated, ..good(End::Complete) }),
            ["job a (and 1 more) was never created: the run ended before it was due, or before every thing was connected"]
        );
        let away = Evidence { end: End::Limit { limit: Duration::from_secs(60), open: 3, away: 2 }, ..bad(LIMIT) };
        let told_away = told(&away);
        let limit = "the limit of 1m was reached before the run was done: 3 executions are open";
        assert_eq!(told_away[0], format!("{limit}, 2 things are away by an event"));
        assert_eq!(told(&good(LIMIT)), [limit]);
        assert_eq!(told_away[1..3], [LOST.to_string(), DIFFERS.to_string()]);
        assert_eq!(
            told_away[3],
            "the reconciliation found a difference: t-0, job j, execution 1: status is FAILED for the things, SUCCEEDED for the service"
        );
    }

    #[test]
    fn differences_are_counted_and_the_first_ones_told() {
        let judged = |reconciliation| judge(&Evidence { reconciliation, ..good(End::Complete) });
        let many = judged(Ok(Some(differences(12))));
        assert_eq!((many.differences, many.findings.len()), (Some(12), DIFFERENCES_SHOWN + 1));
        let late = judge(&Evidence { findings: &[LATE], reconciliation: Ok(Some(differences(12))), ..good(End::Complete) });
        assert_eq!((late.findings.len(), late.reconciliation_findings), (DIFFERENCES_SHOWN + 2, DIFFERENCES_SHOWN + 1));
        assert_eq!(many.findings[5], "and 7 more differences: `fleetsim report` lists all");
        assert_eq!(judged(Ok(Some(differences(5)))).findings.len(), 5);
        let failed = judged(Err("read executions.csv: line 2".into()));
        assert_eq!(
            (failed.differences, failed.findings),
            (Some(1), vec!["the reconciliation failed to read executions.csv: line 2".to_owned()])
        );
        assert_eq!((judged(Ok(None)).differences, judged(Ok(Some(Vec::new()))).differences), (None, Some(0)));
    }
}
