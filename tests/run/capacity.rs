//! `fleetsim capacity`: small searches on real sockets. What a load is worth on this machine is left open; that the search, its files and
//! its exit codes agree is not.

use crate::bench::{Bench, Guard, wait_until};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const QUEUE: &[&str] = &["capacity", "capacity-queue", "--vary", "cohort.askers.poll.every", "--things", "40", "--out", "out"];
/// Short steps, from 40 requests/s on.
const SHORT: &[&str] = &["--ui", "none", "--step", "2s", "--warm-up", "1s", "--confirm", "1", "--from", "40"];

/// Rows of `capacity.csv`.
fn rows(bench: &Bench, columns: &[&str]) -> Vec<Vec<String>> {
    bench.cells("out/capacity.csv", columns)
}

fn record(bench: &Bench) -> serde_json::Value {
    serde_json::from_str(&bench.text("out/capacity.json")).unwrap()
}

#[test]
fn a_search_leaves_its_steps_and_its_result() {
    let bench = Bench::new();
    // Nothing of 40 requests is so slow: the range ends the search.
    let patient = ["--to", "40", "--set", "thresholds={ 'describe.response_ms.p99' = '< 9000' }"];
    let output = bench.run(&[QUEUE, SHORT, &patient].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let record = record(&bench);
    assert_eq!(output.status.code(), Some(0), "{record}\n{stderr}");
    assert_eq!((&record["result"], &record["holds"], &record["fails"]), (&"lower-bound".into(), &40.0.into(), &().into()));
    assert_eq!((&record["passes"], &record["trials"], &record["steps"]), (&2.into(), &2.into(), &2.into()));
    let text = record["text"].as_str().unwrap();
    assert!(text.starts_with("holds at least 40 requests/s (2 of 2 trials; the true pass rate is above 16 %"), "{text}");
    let columns = ["step", "offered", "verdict", "failed_threshold", "setting", "error_share"];
    let expected = |step: &str| [step, "40", "PASS", "", "\"1000000us\"", "0.000000"].map(str::to_owned).to_vec();
    assert_eq!(rows(&bench, &columns), [expected("1"), expected("2")]);
    for row in
        rows(&bench, &["achieved", "response_ms_p50", "response_ms_p99", "generator_cpu_share", "rss_bytes", "endpoint_rss_bytes"])
    {
        let numbers: Vec<f64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        assert!((30.0..50.0).contains(&numbers[0]), "40 things that each ask every second: {row:?}");
        assert!(numbers[1] > 0.0 && numbers[1] <= numbers[2] && numbers[4] > 1e6 && numbers[5] > 1e6, "{row:?}");
    }
    for step in ["01", "02"] {
        let manifest = bench.manifest(&format!("out/steps/{step}"));
        assert_eq!(manifest["verdict"], "PASS");
        let seed: u64 = step.parse().unwrap();
        assert_eq!(manifest["seed"], 42 + seed, "a trial that is repeated is another one");
        assert_eq!(bench.run(&["report", &format!("out/steps/{step}")]).status.code(), Some(0));
    }
    let plot = bench.text("out/capacity.svg");
    assert!(plot.contains("<svg") && plot.contains("load, requests/s") && plot.contains("limit of p99: 9000 ms"));
}

#[test]
fn what_breaks_first_is_a_quota_with_its_name_and_number() {
    let bench = Bench::new();
    fs::write(bench.path("quotas.toml"), "[jobs]\nreads_per_second = 10\n").unwrap();
    let quotas =
        ["--set", "target.emulator={ quotas = 'quotas.toml' }", "--set", "thresholds={ 'describe.failed_share' = '< 0.01' }"];
    let output = bench.run(&[QUEUE, SHORT, &quotas, &["--max-time", "60s"]].concat());
    let record = record(&bench);
    assert_eq!(output.status.code(), Some(0), "{record}");
    let holds = record["holds"].as_f64().unwrap();
    assert!((5.0..16.0).contains(&holds), "{record}");
    let reason = record["breaks_first"].as_str().unwrap();
    assert!(
        reason.starts_with("describe.failed_share was ") && reason.contains("the quota jobs.reads_per_second = 10 is used up"),
        "{reason}"
    );
    assert!(rows(&bench, &["verdict", "failed_threshold"]).contains(&vec!["FAIL".into(), "describe.failed_share".into()]));
    assert_eq!(record["operation"], "describe");
}

#[test]
fn a_load_that_cannot_hold_ends_with_its_code() {
    let bench = Bench::new();
    let strict = ["--set", "thresholds={ 'describe.response_ms.p99' = '< 0.001' }", "--from", "2000"];
    let short = ["--ui", "plain", "--step", "1s", "--warm-up", "0s"];
    let output = bench.run(&[QUEUE, &short, &strict].concat());
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let record = record(&bench);
    assert_eq!(output.status.code(), Some(99), "{record}");
    assert_eq!(record["result"], "nothing-passes");
    assert!(stdout.contains("no load that was tried holds: even at 1.954 requests/s describe.response_ms.p99 was"), "{stdout}");
    assert!(stderr.contains("step 2: 1,000 requests/s; 2,000 requests/s did not"), "{stderr}");
    assert!(stderr.contains("step 2: FAIL, "), "{stderr}");
    assert_eq!(rows(&bench, &["step"]).len(), 11);
}

#[test]
fn connects_are_a_load_of_their_own_and_a_fleet_has_only_so_many() {
    let bench = Bench::new();
    let args = ["capacity", "capacity-queue", "--vary", "fleet.connect.rate", "--things", "60", "--out", "out", "--ui", "json"];
    let options = ["--step", "3s", "--warm-up", "1s", "--confirm", "0"];
    let thresholds = ["--set", "thresholds={ 'connect.response_ms.p99' = '< 9000' }"];
    let output = bench.run(&[&args[..], &options, &thresholds].concat());
    let record = record(&bench);
    assert_eq!(output.status.code(), Some(0), "{record}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&record["holds"], &record["unit"], &record["setting"]), (&15.0.into(), &" connects/s".into(), &"\"15/s\"".into()));
    assert!(record["text"].as_str().unwrap().contains("the 60 things that connect suffice for no more"), "{record}");
    let achieved: f64 = rows(&bench, &["achieved"])[0][0].parse().unwrap();
    assert!((13.0..=16.0).contains(&achieved), "{achieved}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let kinds: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].clone()).collect();
    assert_eq!((&kinds[0], kinds.last().unwrap()), (&"step-begins".into(), &"capacity".into()));
    assert!(kinds.contains(&"second".into()) && kinds.contains(&"step".into()), "{kinds:?}");
}

#[test]
fn a_roll_out_is_not_tried_faster_than_the_quota_of_its_job() {
    let bench = Bench::new();
    let args = ["capacity", "10k", "--vary", "rollout.fw-2-4-1.rate", "--things", "120", "--out", "out", "--ui", "plain"];
    let options = ["--from", "4000", "--step", "3s", "--warm-up", "1s", "--confirm", "0", "--set", "target.emulator.quotas='aws'"];
    let thresholds = ["--set", "thresholds={ 'connect.response_ms.p99' = '< 9000' }"];
    let output = bench.run(&[&args[..], &options, &thresholds].concat());
    let record = record(&bench);
    assert_eq!(output.status.code(), Some(0), "{record}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&record["result"], &record["setting"]), (&"lower-bound".into(), &"\"1000/min\"".into()), "{record}");
    assert_eq!(record["breaks_first"], "jobs.rollout_per_minute", "{record}");
    let text = record["text"].as_str().unwrap();
    assert!(text.contains("holds at least 1,000 executions/min") && text.contains("quota jobs.rollout_per_minute"), "{text}");
}

#[test]
fn an_interrupted_search_is_resumed_and_another_one_is_not() {
    let bench = Bench::new();
    let patient = ["--to", "40", "--set", "thresholds={ 'describe.response_ms.p99' = '< 9000' }"];
    let search = [QUEUE, SHORT, &patient].concat();
    let mut running = Guard(bench.spawn(&search));
    wait_until("the second step is under way", || {
        fs::read_to_string(bench.path("out/steps/02/timeseries.csv")).is_ok_and(|text| text.lines().count() > 1)
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait(Duration::from_secs(40)), 105);
    let interrupted = record(&bench);
    assert_eq!(
        (&interrupted["result"], &interrupted["exit_code"], &interrupted["steps"]),
        (&"interrupted".into(), &105.into(), &1.into())
    );
    assert!(interrupted["text"].as_str().unwrap().starts_with("interrupted: holds at least 40 requests/s (1 of 1 trial;"));
    let first = rows(&bench, &["step", "offered", "verdict", "response_ms_p99"]);

    for (change, says) in [
        (&["--seed", "7"][..], "the scenario (as resolved)"),
        (&["--from", "30"], "--from: it was 40, now it is 30"),
        (&["--step", "3s"], "--step: it was 2s, now it is 3s"),
        (&["--vary", "fleet.things"], "--vary: it was cohort.askers.poll.every, now it is fleet.things"),
    ] {
        let mut args = search.clone();
        // An option that is given twice is refused by the parser: replace it.
        if let Some(place) = args.iter().position(|arg| *arg == change[0]) {
            args[place + 1] = change[1];
        } else {
            args.extend(change);
        }
        args.push("--resume");
        let output = bench.run(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("of another search") && stderr.contains(says), "{stderr}");
    }
    let again = bench.run(&search);
    assert_eq!(again.status.code(), Some(2), "without --resume");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--resume goes on with a search"));

    let output = bench.run(&[&search[..], &["--resume"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}\n{}", record(&bench), String::from_utf8_lossy(&output.stderr));
    let all = rows(&bench, &["step", "offered", "verdict", "response_ms_p99"]);
    assert_eq!((all.len(), &all[0]), (2, &first[0]), "what was done is not done again");
    assert!(bench.path("out/steps/02-unfinished-1/run.json").exists() && bench.path("out/steps/02/run.json").exists());
    assert_eq!(record(&bench)["started_at"], interrupted["started_at"]);

    let over = bench.run(&[&search[..], &["--resume"]].concat());
    assert_eq!((over.status.code(), rows(&bench, &["step"]).len()), (Some(0), 2), "a search that is over says its result again");
}

#[test]
fn what_is_no_search_is_refused_before_anything_begins() {
    let bench = Bench::new();
    let queue = ["capacity", "capacity-queue", "--out", "out"];
    for (args, code, says) in [
        (&[][..], 2, "--vary"),
        (&["--vary", "fleet.thing"], 104, "did you mean \"fleet.things\"?"),
        (&["--vary", "cohort.nobody.poll.every"], 104, "no element of cohort is called \"nobody\""),
        (&["--vary", "fleet.transport"], 104, "\"mqtt\" is no load: a load is a number"),
        (&["--vary", "fleet"], 104, "it is a table: a load is a number"),
        (&["--vary", "fleet.things", "--set", "thresholds={}"], 104, "every load would pass"),
        (&["--vary", "fleet.things", "--from", "0"], 2, "it must be above 0"),
        (&["--vary", "fleet.things", "--to", "10"], 2, "--to 10 things is below the first load, 2,000 things"),
        (&["--vary", "fleet.things", "--step", "500ms"], 2, "whole seconds"),
        (&["--vary", "fleet.things", "--step", "0s"], 2, "1s at least"),
        (&["--vary", "fleet.things", "--resume"], 2, "failed to resume"),
    ] {
        let output = bench.run(&[&queue[..], args].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
    let account = bench.run(&["capacity", "aws-1k", "--vary", "fleet.things", "--out", "out"]);
    let stderr = String::from_utf8_lossy(&account.stderr);
    assert_eq!(account.status.code(), Some(104), "{stderr}");
    assert!(stderr.contains("would roll fleetsim-1k out in the account"), "{stderr}");
    assert!(!bench.path("out").exists() && !bench.path("certs").exists(), "nothing was begun");
}
