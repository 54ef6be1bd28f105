//! What a step says of its load: whether it passed, and if not what broke first. Pure.

use super::load::{Driver, Load};
use super::search::Verdict;
use crate::report::{self, CapacityRow, ThresholdTotals};
use crate::run::{Measured, refusal};
use iot_jobs::ErrorCode;
use jobs_engine::quotas::{QuotaName, Quotas};
use load_metrics::format::{grouped, plain};
use load_metrics::{Check, Comparison, Metric, Operation};

/// Of what the load plans to begin: with less it was not carried.
const CARRIED_MIN: f64 = 0.98;
/// Starts that may have fallen to the other side of the first or the last measured second.
const AT_THE_EDGES: u64 = 2;
/// What stands for the load itself where a threshold is named.
const ACHIEVED: &str = "achieved";

/// What is known of a step besides its figures.
#[derive(Clone, Copy)]
pub(super) struct StepFacts<'a> {
    pub(super) step: u32,
    pub(super) load: &'a Load,
    pub(super) offered: f64,
    /// Whose times and errors are shown.
    pub(super) operation: Operation,
    /// Of the endpoint, where they are known.
    pub(super) quotas: Option<&'a Quotas>,
    /// Whether executions are known to be queued evenly over a minute.
    pub(super) is_paced: bool,
}

/// How the run of a step went.
pub(super) struct StepEnd<'a> {
    pub(super) verdict: report::Verdict,
    pub(super) thresholds: &'a [ThresholdTotals],
    pub(super) findings: &'a [String],
    pub(super) measured: &'a Measured,
}

/// The row of a step that was carried out; `None` where it was not.
pub(super) fn judge(facts: &StepFacts<'_>, end: &StepEnd<'_>) -> Option<(Verdict, CapacityRow)> {
    let (StepFacts { step, load, offered, operation, .. }, measured) = (*facts, end.measured);
    let carried = too_little_carried(facts, measured);
    let (verdict, word) = match end.verdict {
        report::Verdict::Pass if carried.is_none() => (Verdict::Pass, report::Verdict::Pass),
        report::Verdict::Pass | report::Verdict::Fail => (Verdict::Fail, report::Verdict::Fail),
        report::Verdict::Invalid => (Verdict::Invalid, report::Verdict::Invalid),
        report::Verdict::Interrupted | report::Verdict::Error | report::Verdict::Running => return None,
    };
    let (failed_threshold, reason) = match verdict {
        Verdict::Pass => (None, None),
        Verdict::Invalid => (None, end.findings.first().cloned()),
        Verdict::Fail => failure(facts.quotas, end, carried),
    };
    let shown = measured.operations.get(&operation);
    let response = shown.and_then(|shown| shown.response);
    let error_share = shown.map(|shown| shown.counts).filter(|counts| counts.finished() > 0);
    let row = CapacityRow {
        step,
        offered,
        achieved: achieved(load, measured),
        verdict: word,
        failed_threshold,
        response_ms_p50: response.map(|response| response.p50),
        response_ms_p90: response.map(|response| response.p90),
        response_ms_p99: response.map(|response| response.p99),
        error_share: error_share.map(|counts| 1.0 - counts.ok as f64 / counts.finished() as f64),
        generator_cpu_share: measured.generator.cpu_share,
        endpoint_cpu_share: measured.endpoint.map(|usage| usage.cpu_share),
        rss_bytes: measured.generator.rss_bytes,
        endpoint_rss_bytes: measured.endpoint.map(|usage| usage.rss_bytes),
        setting: load.setting(offered),
        reason,
    };
    Some((verdict, row))
}

/// The part of what the load plans to begin that could begin, where that is too little: what a thing still waits for keeps it from the
/// next one.
fn too_little_carried(facts: &StepFacts<'_>, measured: &Measured) -> Option<f64> {
    let counts = || Some(measured.operations.get(&facts.load.driver.operation()?)?.counts);
    let (planned, begun) = match facts.load.driver {
        // Those that have failed try again, and are no part of the plan.
        Driver::Connects => (measured.planned_connects, counts()?.started),
        Driver::Polls | Driver::Telemetry => (counts()?.started + counts()?.lost_arrivals, counts()?.started),
        Driver::Rollout if facts.is_paced => {
            // A series has no rate of executions.
            facts.load.grain()?;
            ((facts.load.per_s(facts.offered)? * measured.seconds as f64) as u64, measured.executions)
        }
        Driver::Rollout | Driver::Things | Driver::Other => return None,
    };
    let carried = begun as f64 / planned.max(1) as f64;
    (carried < CARRIED_MIN && planned > begun + AT_THE_EDGES).then_some(carried)
}

fn achieved(load: &Load, measured: &Measured) -> Option<f64> {
    let seconds = measured.seconds.max(1) as f64;
    match load.driver {
        Driver::Connects | Driver::Polls | Driver::Telemetry => {
            let started = load.driver.operation().and_then(|operation| measured.operations.get(&operation));
            load.of_events(started.map_or(0, |measured| measured.counts.started), seconds)
        }
        Driver::Things => Some(measured.connected as f64),
        Driver::Rollout if load.grain().is_some() => load.of_events(measured.executions, seconds),
        Driver::Rollout | Driver::Other => None,
    }
}

/// The threshold that failed first, and what broke, in words.
fn failure(quotas: Option<&Quotas>, end: &StepEnd<'_>, carried: Option<f64>) -> (Option<String>, Option<String>) {
    let failed = end.thresholds.iter().find(|threshold| threshold.holds == Some(false));
    let failed = failed.filter(|_| end.measured.seconds > 0);
    let words = match (failed, carried) {
        (Some(threshold), _) => {
            let about = threshold.about();
            Some(format!("{}{about} {}", threshold.metric, failed_check(&threshold.metric, &threshold.check, threshold.value)))
        }
        (None, Some(carried)) => {
            Some(format!("only {:.1} % of the planned load was achieved: the rest waited for earlier requests", 100.0 * carried))
        }
        (None, None) => end.findings.first().cloned(),
    };
    let name = failed.map(|threshold| threshold.metric.clone()).or_else(|| carried.map(|_| ACHIEVED.to_owned()));
    let quota = throttled(quotas, end.measured);
    let reason = match (words, quota) {
        (Some(words), Some(quota)) => Some(format!("{words}; {quota}")),
        (words, quota) => words.or(quota),
    };
    (name, reason)
}

/// `was 1,180 ms, over its limit of 1,000`.
fn failed_check(metric: &str, check: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "had no sample".into() };
    let (Some(metric), Ok(Check { comparison, limit })) = (Metric::parse(metric), Check::parse(check)) else {
        return format!("was {value}, and has to be {check}");
    };
    let number = |value: f64| if value >= 100.0 { grouped(value.round() as u64) } else { plain(value) };
    let side = match comparison {
        Comparison::Below | Comparison::AtMost => "over its limit of",
        Comparison::Above | Comparison::AtLeast => "under its limit of",
        Comparison::Equal => "and has to be",
        Comparison::Unequal => "and must not be",
    };
    format!("was {}{}, {side} {}", number(value), metric.unit(), number(limit))
}

/// The quota that was used up most, where answers say so: `the quota jobs.reads_per_second = 200 is used up: describe was ...`.
fn throttled(quotas: Option<&Quotas>, measured: &Measured) -> Option<String> {
    let of_quotas = measured.errors.iter().filter_map(|(key, count)| {
        let quota = quota_of(key.operation, key.code, quotas, measured.connected)?;
        Some((key, *count, quota, quotas.and_then(|quotas| quotas.get(quota))))
    });
    // An endpoint whose quotas are known rejects for none that it does not have.
    let most = of_quotas.filter(|(.., number)| quotas.is_none() || number.is_some()).max_by_key(|(_, count, ..)| *count);
    let (key, count, quota, number) = most?;
    let number =
        number.map_or_else(|| " (its number is not known here)".to_owned(), |number| format!(" = {}", grouped(number.into())));
    let (section, name) = (quota.section(), quota.key());
    Some(format!(
        "the quota {section}.{name}{number} is used up: {} was rejected {} times with {}",
        key.operation,
        grouped(count),
        key.code
    ))
}

/// What a refusal says is used up (PROTOCOL 15).
fn quota_of(operation: Operation, code: &str, quotas: Option<&Quotas>, connected: u64) -> Option<QuotaName> {
    let (is_throttled, is_limit) = (code == ErrorCode::RequestThrottled.as_str(), refusal::is_limit(code));
    match operation {
        Operation::GetPending | Operation::Describe if is_throttled => Some(QuotaName::ReadsPerSecond),
        Operation::StartNext | Operation::Update if is_throttled => Some(QuotaName::WritesPerSecond),
        Operation::Connect | Operation::ConnectMqtt if is_limit => {
            let connections = quotas.and_then(|quotas| quotas.connections);
            let is_full = connections.is_some_and(|most| connected as f64 >= CARRIED_MIN * f64::from(most));
            Some(if is_full { QuotaName::Connections } else { QuotaName::ConnectsPerSecond })
        }
        Operation::Subscribe if is_limit || refusal::is_without_reason(code) => Some(QuotaName::SubscribesPerSecond),
        Operation::Puback | Operation::Telemetry if is_limit => Some(QuotaName::InboundPublishesPerSecond),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Written;
    use super::*;
    use crate::run::MeasuredOperation;
    use load_metrics::ErrorKind;
    use load_metrics::{Counts, ErrorKey};

    fn load(path: &str, written: &Written<'_>) -> Load {
        let text = "name = 'x'\n[fleet]\nthings = 100\n[[cohort]]\nname = 'a'\nworkflow = 'poll'\npoll = { every = '10s' }\n\
                    [end]\nduration = '1s'";
        let plan = crate::scenario::load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        Load::new(path, written, &plan).unwrap()
    }

    fn threshold(holds: bool, value: Option<f64>) -> ThresholdTotals {
        ThresholdTotals {
            metric: "describe.response_ms.p99".into(),
            check: "< 1000".into(),
            over_s: None,
            phase: None,
            cohort: None,
            value,
            holds: Some(holds),
        }
    }

    fn measured(started: u64, lost_arrivals: u64) -> Measured {
        let counts = Counts { started, ok: started, lost_arrivals, ..Counts::default() };
        let describe = MeasuredOperation { counts, response: None };
        Measured { seconds: 60, operations: [(Operation::Describe, describe)].into(), ..Measured::default() }
    }

    fn judged(
        (verdict, thresholds): &(report::Verdict, Vec<ThresholdTotals>),
        measured: &Measured,
        quotas: Option<&Quotas>,
    ) -> Option<(Verdict, CapacityRow)> {
        let end = StepEnd { verdict: *verdict, thresholds, findings: &["shard 0 was busy 99 %".to_owned()], measured };
        let load = load("cohort.a.poll.every", &Written::Text("10s"));
        judge(&StepFacts { step: 3, load: &load, offered: 10.0, operation: Operation::Describe, quotas, is_paced: true }, &end)
    }

    #[test]
    fn a_load_that_came_about_and_held_passes() {
        let (verdict, row) = judged(&(report::Verdict::Pass, vec![threshold(true, Some(9.0))]), &measured(594, 6), None).unwrap();
        assert_eq!((verdict, row.achieved, row.reason, row.error_share), (Verdict::Pass, Some(9.9), None, Some(0.0)));
    }

    #[test]
    fn a_load_that_things_could_not_begin_does_not() {
        let pass = (report::Verdict::Pass, vec![threshold(true, Some(9.0))]);
        let (verdict, row) = judged(&pass, &measured(582, 18), None).unwrap();
        assert_eq!((verdict, row.failed_threshold.as_deref()), (Verdict::Fail, Some("achieved")));
        assert_eq!(row.reason.unwrap(), "only 97.0 % of the planned load was achieved: the rest waited for earlier requests");
    }

    #[test]
    fn a_roll_out_that_is_paced_must_come_about_too() {
        let load = load("rollout.fw.rate", &Written::Text("600/min"));
        let executed = |executions, is_paced| {
            let measured = Measured { executions, seconds: 60, ..Measured::default() };
            let end = StepEnd { verdict: report::Verdict::Pass, thresholds: &[], findings: &[], measured: &measured };
            let facts = StepFacts { step: 1, load: &load, offered: 600.0, operation: Operation::StartNext, quotas: None, is_paced };
            let (verdict, row) = judge(&facts, &end).unwrap();
            (verdict, row.achieved.unwrap())
        };
        assert_eq!(executed(595, true), (Verdict::Pass, 595.0));
        assert_eq!([executed(500, true).0, executed(500, false).0], [Verdict::Fail, Verdict::Pass]);
    }

    #[test]
    fn what_failed_is_told_with_its_value_and_its_limit() {
        let fail = (report::Verdict::Fail, vec![threshold(true, Some(1.0)), threshold(false, Some(1180.4))]);
        let (verdict, row) = judged(&fail, &measured(600, 0), None).unwrap();
        assert_eq!((verdict, row.failed_threshold.as_deref()), (Verdict::Fail, Some("describe.response_ms.p99")));
        assert_eq!(row.reason.unwrap(), "describe.response_ms.p99 was 1,180 ms, over its limit of 1,000");
        assert_eq!(failed_check("executions.succeeded_share", "> 0.95", Some(0.5)), "was 0.5000, under its limit of 0.9500");
        assert_eq!(failed_check("executions.lost", "== 0", None), "had no sample");
    }

    #[test]
    fn a_quota_that_is_used_up_is_named_with_its_number() {
        let mut throttled = measured(600, 0);
        let key = |operation| ErrorKey { operation, kind: ErrorKind::Rejected, code: "RequestThrottled" };
        throttled.errors = [(key(Operation::Describe), 312), (key(Operation::Update), 4)].into();
        let fail = (report::Verdict::Fail, vec![threshold(false, None)]);
        let reason = |quotas| judged(&fail, &throttled, quotas).unwrap().1.reason.unwrap();
        let quotas = Quotas { reads_per_second: Some(1_200), ..Quotas::default() };
        assert_eq!(
            reason(Some(&quotas)),
            "describe.response_ms.p99 had no sample; the quota jobs.reads_per_second = 1,200 is used up: describe was rejected 312 times \
             with RequestThrottled"
        );
        assert!(reason(None).contains("jobs.reads_per_second (its number is not known here)"));
        assert_eq!(reason(Some(&Quotas::default())), "describe.response_ms.p99 had no sample", "refused for another reason");
        let full = Quotas { connections: Some(100), connects_per_second: Some(10), ..Quotas::default() };
        let of = |connected| quota_of(Operation::ConnectMqtt, "quota_exceeded", Some(&full), connected);
        assert_eq!((of(100), of(40)), (Some(QuotaName::Connections), Some(QuotaName::ConnectsPerSecond)));
        let subscribes = |code| quota_of(Operation::Subscribe, code, None, 40);
        for code in [refusal::SUBACK_FAILURE, "unspecified_error", "quota_exceeded"] {
            assert_eq!(subscribes(code), Some(QuotaName::SubscribesPerSecond), "{code}, as one version of MQTT says it");
        }
        assert_eq!(subscribes("not_authorized"), None);
    }

    #[test]
    fn a_step_without_a_word_on_its_load_is_no_pass_and_no_fail() {
        let (verdict, row) = judged(&(report::Verdict::Invalid, Vec::new()), &measured(1, 0), None).unwrap();
        assert_eq!((verdict, row.failed_threshold, row.reason.as_deref()), (Verdict::Invalid, None, Some("shard 0 was busy 99 %")));
        assert!(judged(&(report::Verdict::Interrupted, Vec::new()), &measured(1, 0), None).is_none());
    }
}
