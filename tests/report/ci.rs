//! The summary in Markdown and the JUnit report, of a manifest that somebody else had a word in.

use crate::folder::{Run, manifest};
use fleetsim::report::{Check, CheckOutcome, CheckSubject, CiFiles, Manifest, ThresholdTotals, Verdict};
use std::fs;

const HOSTILE: &str = "\"<b>&]]>\u{1b}[31m\u{0}\n| [x](https://x) @all `y` </system-out>";

/// (summary, report) of a manifest.
fn written(change: impl FnOnce(&mut Manifest)) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = manifest();
    change(&mut manifest);
    let path = |name: &str| Some(dir.path().join("deep/er").join(name));
    let files = CiFiles { summary: path("x.md"), junit: path("x.xml") };
    files.check().unwrap();
    files.write(&manifest, dir.path()).unwrap();
    let text = |path: Option<std::path::PathBuf>| fs::read_to_string(path.unwrap()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("deep/er")).unwrap().count(), 2, "nothing else is left there");
    (text(files.summary), text(files.junit))
}

fn threshold(metric: &str, value: Option<f64>, holds: bool) -> ThresholdTotals {
    let (metric, check) = (metric.to_owned(), "< 5".to_owned());
    ThresholdTotals { metric, check, over_s: Some(60), phase: None, cohort: None, value, holds: Some(holds) }
}

fn check(subject: CheckSubject, outcome: CheckOutcome, why: &[&str]) -> Check {
    Check { subject, outcome, why: why.iter().map(|&line| line.to_owned()).collect() }
}

#[test]
fn every_outcome_is_what_readers_of_junit_know() {
    let (_, report) = written(|manifest| {
        (manifest.verdict, manifest.exit_code) = (Verdict::Invalid, Some(98));
        manifest.totals.run_s = 90;
        manifest.thresholds =
            vec![threshold("a.ok", Some(3.0), true), threshold("b.ok", Some(7.5), false), threshold("c.ok", None, false)];
        manifest.checks = vec![
            check(CheckSubject::CarriedOut, CheckOutcome::Holds, &[]),
            check(CheckSubject::Generator, CheckOutcome::Error, &["it ran late", "and later"]),
            check(CheckSubject::Done, CheckOutcome::Fails, &["not one was done"]),
            check(CheckSubject::Ledgers, CheckOutcome::Skipped, &["there is one only"]),
        ];
    });
    for part in [
        "<testsuites name=\"fleetsim\" tests=\"7\" failures=\"3\" errors=\"1\" time=\"90\">",
        "skipped=\"1\" time=\"90\" timestamp=\"2026-01-01T00:00:00Z\">",
        "<property name=\"exit_code\" value=\"98\"></property>",
        "<testcase classname=\"test.checks\" name=\"the run was carried out\"></testcase>",
        "<error type=\"no-evidence\" message=\"it ran late\">it ran late\nand later</error>",
        "<failure type=\"failed\" message=\"not one was done\">",
        "<skipped message=\"there is one only\"></skipped>",
        "name=\"a.ok &lt; 5 (last 60 s)\"><system-out>a.ok is 3, and must be &lt; 5</system-out></testcase>",
        "<failure type=\"failed\" message=\"b.ok is 7.50, and must be &lt; 5\">",
        "<failure type=\"failed\" message=\"c.ok has no sample, and must be &lt; 5\">",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
}

#[test]
fn a_run_that_never_ended_is_an_error() {
    let (summary, report) = written(|_| {});
    assert!(report.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{report}");
    assert!(summary.contains("fleetsim test: RUNNING\n\nThere is no verdict"), "{summary}");
}

#[test]
fn words_of_others_change_neither_file() {
    let (summary, report) = written(|manifest| {
        manifest.name = HOSTILE.into();
        manifest.findings = (0..50).map(|n| format!("{n} {HOSTILE}")).collect();
        manifest.thresholds = vec![threshold(HOSTILE, None, false)];
        manifest.checks = vec![check(CheckSubject::Done, CheckOutcome::Fails, &[HOSTILE])];
    });
    assert!(report.contains("&quot;&lt;b&gt;&amp;]]&gt;\\u{1b}[31m\\u{0}"), "{report}");
    assert_eq!((report.matches("<testcase ").count(), report.matches("</system-out>").count()), (3, 1));
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(summary.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!summary.contains("<b>") && !summary.contains("[x](") && !summary.contains(" @all"), "{summary}");
    assert!(summary.contains("- and 30 more, in `run.json`"), "{summary}");
    let row = summary.lines().find(|line| line.ends_with("| FAILS |")).unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "four cells: {row}");
}

#[test]
fn the_summary_has_the_tables_of_the_run() {
    let run = Run::whole(true);
    let record = fleetsim::report::load(&run.path("")).unwrap();
    let summary = run.path("summary.md");
    record.write_ci(&CiFiles { summary: Some(summary.clone()), junit: None }).unwrap();
    let text = fs::read_to_string(summary).unwrap();
    for part in [
        "PASS",
        "12 executions: 12 succeeded",
        "| fw-1 | 12 | 100.0 % |",
        "| start\\_next | 12 |",
        "<details><summary>Errors</summary>",
        "`report.html`",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
