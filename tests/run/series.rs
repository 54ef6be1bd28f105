//! `run --repeat`: several runs of one scenario, and how they are held against each other.

use crate::bench::{Bench, Guard, SLOW, wait_until};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const TINY: &[&str] = &["run", "smoke", "--things", "6", "--set", "behavior.quick.step='200ms'"];

#[test]
fn a_run_is_repeated_into_folders_that_can_be_compared() {
    let bench = Bench::new();
    let output = bench.run(&[TINY, &["--repeat", "2", "--ui", "plain"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!([Some(0), Some(98)].contains(&output.status.code()), "{stderr}");
    assert!(stderr.contains("run 1 of 2: results/smoke-") && stderr.contains("run 2 of 2: "), "{stderr}");
    let link = fs::read_link(bench.path("results/latest")).unwrap();
    let series = link.parent().unwrap().to_str().unwrap();
    assert_eq!(link, std::path::Path::new(series).join("2"), "the newest run");
    let (first, second) = (bench.manifest(&format!("results/{series}/1")), bench.manifest(&format!("results/{series}/2")));
    assert_eq!((&first["seed"], &first["scenario"]), (&second["seed"], &second["scenario"]));
    assert_ne!(first["started_at"], second["started_at"]);
    let endpoints = [1, 2].map(|n| bench.text(&format!("results/{series}/{n}/service_ledger.csv")));
    assert_ne!(endpoints[0], endpoints[1], "each has an endpoint of its own");
    if first["verdict"] == "PASS" && second["verdict"] == "PASS" {
        let [first, second] = [1, 2].map(|n| format!("results/{series}/{n}"));
        let compared = bench.run(&["compare", "--skip", "0s", &first, "--", &second]);
        let stdout = String::from_utf8_lossy(&compared.stdout);
        assert!(compared.status.success() && stdout.contains("not decided: one run a side"), "{stdout}");
    }
}

#[test]
fn the_first_exit_code_that_applies_is_that_of_the_series() {
    let bench = Bench::new();
    let fails = ["--set", "thresholds={ 'start_next.response_ms.p99' = '< 0.000_1' }"];
    let output = bench.run(&[TINY, &fails, &["--repeat", "2", "--ui", "none", "--out", "out"]].concat());
    assert_eq!(output.status.code(), Some(99), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&bench.manifest("out/1")["verdict"], &bench.manifest("out/2")["verdict"]), (&"FAIL".into(), &"FAIL".into()));
    assert!(!bench.path("results/latest").exists(), "somebody said where");
}

#[test]
fn ctrl_c_ends_the_series() {
    let bench = Bench::new();
    let args = [TINY, SLOW, &["--repeat", "3", "--ui", "none", "--out", "out"]].concat();
    let mut run = Guard(bench.spawn(&args));
    wait_until("the first run has seconds", || {
        fs::read_to_string(bench.path("out/1/timeseries.csv")).is_ok_and(|text| text.lines().count() > 2)
    });
    run.signal(Signal::INT);
    assert_eq!(run.wait(Duration::from_secs(60)), 105);
    assert_eq!(bench.manifest("out/1")["verdict"], "INTERRUPTED");
    assert!(!bench.path("out/2").exists());
}

#[test]
fn a_series_that_could_not_be_is_refused() {
    let bench = Bench::new();
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/file"), "mine").unwrap();
    for (args, code, says) in [
        (&["run", "smoke", "--repeat", "0"][..], 2, "1..=1000"),
        (&["run", "smoke", "--repeat", "2", "--out", "full"], 2, "not empty"),
        (&["run", "smoke", "--repeat", "2", "--things", "900000", "--out", "out"], 1, "900100 needed"),
    ] {
        let output = bench.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && stderr.contains(says), "{args:?}: {:?} {stderr}", output.status);
    }
}
