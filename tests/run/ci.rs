//! What continuous integration takes from a run: `--summary` and `--junit`, however it ended.

use crate::bench::{Bench, Guard, SLOW, endpoint_pid, in_progress, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const CI: &[&str] =
    &["run", "smoke", "--things", "6", "--ui", "none", "--out", "out", "--summary", "ci/run.md", "--junit", "ci/run.xml"];

/// The test case of this name: from its beginning to its end.
fn case<'a>(report: &'a str, name: &str) -> &'a str {
    let begin = report.find(&format!(" name=\"{name}")).unwrap_or_else(|| panic!("no test case {name}:\n{report}"));
    let end = report[begin..].find("</testcase>").unwrap();
    &report[begin..begin + end]
}

#[test]
fn a_run_that_was_carried_out_has_a_case_for_each_threshold_and_check() {
    let bench = Bench::new();
    let failing = ["--set", "thresholds.executions.succeeded='== 0'", "--set", "thresholds.download.ok='> 0'"];
    let status = bench.run(&[CI, &failing].concat()).status;
    assert_eq!(bench.code(status), Some(99));
    let (summary, report) = (bench.text("ci/run.md"), bench.text("ci/run.xml"));
    assert!(
        report.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"fleetsim\" tests=\"9\""),
        "{report}"
    );
    assert!(!case(&report, "executions.lost == 0").contains("<failure"), "{report}");
    let failed = case(&report, "executions.succeeded == 0");
    assert!(failed.contains("<failure") && failed.contains("and must be == 0"), "{failed}");
    assert!(case(&report, "download.ok &gt; 0").contains("has no sample"), "{report}");
    for check in ["the run was carried out", "the records of things and service agree"] {
        assert!(!case(&report, check).contains('/'), "{check}: {report}");
    }
    for text in ["exit code", "| executions.succeeded | == 0 |", "| FAILS |", "`out`", "`report.html`"] {
        assert!(summary.contains(text), "{text}: {summary}");
    }
    assert!(summary.starts_with("## "), "{summary}");

    // The same from the folder.
    let again = bench.run(&["report", "out", "--summary", "again.md", "--junit", "again.xml"]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!((bench.text("again.md"), bench.text("again.xml")), (summary, report));
}

#[test]
fn a_run_that_cannot_go_on_or_is_interrupted_leaves_both() {
    for (ends, code, verdict, check) in [
        ("kill the endpoint", 1, "ERROR", "the run was carried out"),
        ("interrupt", 105, "INTERRUPTED", "the run ended as its scenario says"),
    ] {
        let bench = Bench::new();
        let mut run = Guard(bench.command(&[CI, SLOW].concat()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("things are at work", || in_progress(&bench));
        match code {
            1 => kill_process(Pid::from_raw(endpoint_pid(run.0.id()).unwrap() as i32).unwrap(), Signal::KILL).unwrap(),
            _ => {
                run.signal(Signal::INT);
                std::thread::sleep(Duration::from_millis(500));
                run.signal(Signal::INT);
            }
        }
        assert_eq!(run.wait(Duration::from_secs(60)), code, "{ends}");
        let (summary, report) = (bench.text("ci/run.md"), bench.text("ci/run.xml"));
        assert!(summary.contains(&format!("fleetsim smoke: {verdict}\n")), "{summary}");
        assert!(case(&report, check).contains("<error type=\"no-evidence\""), "{report}");
        assert!(report.contains("<skipped message="), "{report}");
    }
}

#[test]
fn files_that_cannot_be_are_refused_before_anything_is_done() {
    let bench = Bench::new();
    fs::create_dir(bench.path("folder")).unwrap();
    fs::write(bench.path("file"), "").unwrap();
    for (more, code, word) in [
        (&["--summary", "folder"][..], 1, "write folder: it is a folder"),
        (&["--junit", "file/run.xml"], 1, "write file/run.xml"),
        (&["--summary", "-", "--junit", "-"], 2, "two files"),
        (&["--junit", "-", "--ui", "json"], 2, "--ui json"),
    ] {
        let output = bench.run(&[&["run", "smoke", "--out", "out"], more].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {told}");
        assert!(told.contains(word), "{more:?}: {told}");
        assert!(!bench.path("out").exists(), "{more:?}");
    }
}

#[test]
fn the_summary_of_a_step_is_appended_to_and_every_other_file_replaced() {
    let bench = Bench::new();
    fs::write(bench.path("step.md"), "before\n").unwrap();
    fs::write(bench.path("other.xml"), "before\n").unwrap();
    let args = ["run", "smoke", "--things", "2", "--ui", "none", "--out", "out", "--summary", "step.md", "--junit", "other.xml"];
    let status = bench.command(&args).env("GITHUB_STEP_SUMMARY", "step.md").status().unwrap();
    assert_eq!(bench.code(status), Some(0));
    assert!(bench.text("step.md").starts_with("before\n## "));
    assert!(bench.text("other.xml").starts_with("<?xml"));
    let report = bench.command(&["report", "out", "--summary", "-"]).env_remove("GITHUB_STEP_SUMMARY").output().unwrap();
    assert!(String::from_utf8_lossy(&report.stdout).starts_with("## "));
}
