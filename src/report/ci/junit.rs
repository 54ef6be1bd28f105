//! A run as a JUnit report: a test case for each threshold, and for each check that the verdict rests on.

use crate::report::check::{Check, CheckOutcome, CheckSubject};
use crate::report::html::printable;
use crate::report::manifest::{Manifest, ThresholdTotals, Verdict};
use load_metrics::format::plain;
use maud::{Markup, PreEscaped, html};

/// One test case.
struct Case {
    class: String,
    name: String,
    outcome: CheckOutcome,
    message: String,
    /// What there is to say beside it.
    lines: Vec<String>,
}

/// The report.
pub(super) fn report(manifest: &Manifest) -> String {
    let checks = checks(manifest).into_iter().map(|check| of_check(manifest, check));
    let cases: Vec<Case> = checks.chain(manifest.thresholds.iter().map(|threshold| of_threshold(manifest, threshold))).collect();
    let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count();
    let (failures, errors, skipped) = (count(CheckOutcome::Fails), count(CheckOutcome::Error), count(CheckOutcome::Skipped));
    let seconds = manifest.totals.run_s;
    let properties = [
        ("verdict", manifest.verdict.as_str().to_owned()),
        ("exit_code", manifest.exit_code.map_or_else(String::new, |code| code.to_string())),
        ("seed", manifest.seed.to_string()),
        ("things", manifest.totals.things.to_string()),
        ("version", manifest.version.clone()),
        ("scenario_sha256", manifest.scenario_sha256.clone()),
    ];
    let report = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites name="fleetsim" tests=(cases.len()) failures=(failures) errors=(errors) time=(seconds) {
            testsuite name=(manifest.name) tests=(cases.len()) failures=(failures) errors=(errors) skipped=(skipped) time=(seconds)
                timestamp=(manifest.started_at) {
                properties { @for (name, value) in &properties { property name=(name) value=(value) {} } }
                @for case in &cases { (case.markup()) }
                @if !manifest.findings.is_empty() { system-out { (manifest.findings.join("\n")) } }
            }
        }
    };
    printable(&report.into_string())
}

/// What the run was judged by; of one that never came to be judged, that it did not.
fn checks(manifest: &Manifest) -> Vec<Check> {
    let unjudged = (manifest.verdict == Verdict::Running).then(|| Check {
        subject: CheckSubject::CarriedOut,
        outcome: CheckOutcome::Error,
        why: vec![Verdict::Running.meaning().to_owned()],
    });
    manifest.checks.iter().cloned().chain(unjudged).collect()
}

fn of_check(manifest: &Manifest, check: Check) -> Case {
    Case {
        class: format!("{}.checks", manifest.name),
        name: check.subject.in_words().to_owned(),
        outcome: check.outcome,
        message: check.why.first().cloned().unwrap_or_default(),
        lines: check.why,
    }
}

fn of_threshold(manifest: &Manifest, threshold: &ThresholdTotals) -> Case {
    let ThresholdTotals { metric, check, value, holds, .. } = threshold;
    let message = match value {
        Some(value) => format!("{metric} is {}, and must be {check}", plain(*value)),
        None => format!("{metric} has no sample, and must be {check}"),
    };
    Case {
        class: format!("{}.thresholds", manifest.name),
        name: format!("{metric} {check}{}", threshold.about()),
        outcome: if *holds == Some(true) { CheckOutcome::Holds } else { CheckOutcome::Fails },
        lines: vec![message.clone()],
        message,
    }
}

impl Case {
    fn markup(&self) -> Markup {
        let message = &self.message;
        let lines = self.lines.join("\n");
        html! {
            testcase classname=(self.class) name=(self.name) {
                @match self.outcome {
                    CheckOutcome::Holds => {
                        @if !lines.is_empty() { system-out { (lines) } }
                    }
                    CheckOutcome::Fails => failure type="failed" message=(message) { (lines) },
                    CheckOutcome::Error => error type="no-evidence" message=(message) { (lines) },
                    CheckOutcome::Skipped => skipped message=(message) {},
                }
            }
        }
    }
}
