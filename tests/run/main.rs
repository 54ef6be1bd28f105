//! The program as its users meet it: whole runs on real sockets, exit codes, interruptions, deaths.

mod bench;
mod capacity;
mod ci;
mod events;
mod firmware;
mod first_steps;
mod forecast;
mod habits;
mod metrics;
mod policies;
mod rollouts;
mod series;
mod shipped;
mod terminal;
mod transports;

use bench::{Bench, Guard, SLOW, SMALL, endpoint_pid, in_progress, is_alive, seconds, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

// ------------------------------------------------------------------------------------------------------------ the ordinary

/// Started = ok + rejected + timeout + error + open, and the seconds sum up to the run; gives the summary.
fn reconcile(bench: &Bench) -> Vec<Vec<String>> {
    let counts = ["started", "ok", "rejected", "timeout", "error"];
    let number = |cell: &String| cell.parse::<u64>().unwrap();
    let key = [&["scope", "operation"][..], &counts].concat();
    let summary = bench.cells("out/summary.csv", &[&key[..], &["open"]].concat());
    assert!(summary.len() > 8);
    let operations = bench.cells("out/operations.csv", &key);
    for row in &summary {
        let values: Vec<u64> = row[2..].iter().map(number).collect();
        assert_eq!(values[0], values[1..].iter().sum::<u64>(), "started = ok + rejected + timeout + error + open: {row:?}");
        for (n, column) in counts.iter().enumerate() {
            let sum: u64 = operations.iter().filter(|other| other[..2] == row[..2]).map(|other| number(&other[2 + n])).sum();
            assert_eq!(sum, values[n], "sum of {column} in operations.csv: {row:?}");
        }
    }
    summary
}

#[test]
fn the_files_agree_with_each_other() {
    let bench = Bench::new();
    assert_eq!(bench.code(bench.run(SMALL).status), Some(0));
    let summary = reconcile(&bench);
    let of = |operation: &str| summary.iter().find(|row| row[0] == "all" && row[1] == operation).unwrap();
    assert_eq!((&*of("connect")[3], &*of("execution")[3], &*of("notify_next")[3]), ("8", "8", "8"));
    let ledger = bench.text("out/service_ledger.csv");
    assert_eq!(ledger.lines().filter(|line| line.contains(",terminal,")).count(), 8);

    // The interval log, decoded by hdrhistogram's own reader, gives the percentiles of the summary.
    let log = fs::read(bench.path("out/histograms.hlog")).unwrap();
    let p99 = |tag: &str| {
        use base64::Engine as _;
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let mut merged = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for entry in IntervalLogIterator::new(&log) {
            if let LogEntry::Interval(interval) = entry.unwrap()
                && interval.tag().map(|found| found.as_str().to_owned()).as_deref() == Some(tag)
            {
                let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
                merged
                    .add(hdrhistogram::serialization::Deserializer::new().deserialize::<u64, _>(&mut &bytes[..]).unwrap())
                    .unwrap();
            }
        }
        format!("{:.3}", merged.value_at_quantile(0.99) as f64 / 1000.0)
    };
    let rows = bench.cells("out/summary.csv", &["scope", "operation", "service_ms_p99", "response_ms_p99"]);
    for operation in ["start_next", "update", "connect_tls"] {
        let row = rows.iter().find(|row| row[0] == "all" && row[1] == operation).unwrap();
        assert_eq!(
            (&p99(&format!("{operation}.service")), &p99(&format!("{operation}.response"))),
            (&row[2], &row[3]),
            "{operation}"
        );
    }
}

#[test]
fn the_page_of_a_run_is_named_last_and_made_again_from_the_files() {
    let bench = Bench::new();
    let output = bench.run(SMALL);
    assert_eq!(bench.code(output.status), Some(0));
    let named = |stdout: &[u8]| String::from_utf8_lossy(stdout).contains("results: out\nreport:  out/report.html\n\nnext:\n");
    assert!(named(&output.stdout), "{}", String::from_utf8_lossy(&output.stdout));
    let page = bench.text("out/report.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    fs::remove_file(bench.path("out/report.html")).unwrap();
    let again = bench.run(&["report", "out"]);
    assert!(again.status.success() && named(&again.stdout), "{}", String::from_utf8_lossy(&again.stdout));
    assert!(page == bench.text("out/report.html"), "the same files give the same page");

    fs::remove_file(bench.path("out/report.html")).unwrap();
    fs::create_dir(bench.path("out/report.html")).unwrap();
    let refused = bench.run(&["report", "out"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("failed to write out/report.html: ") && !refused.stdout.is_empty(), "{told}");
}

#[test]
fn the_same_seed_gives_the_same_outcomes_for_any_number_of_shards() {
    let outcomes = |shards: &str, seed: &str| -> BTreeSet<Vec<String>> {
        let bench = Bench::new();
        let args = ["run", "10k", "--things", "60", "--shards", shards, "--seed", seed, "--ui", "none", "--out", "out"];
        let quick = ["fast-ota", "slow-ota", "flaky-ota"]
            .map(|name| [("reaction", "0s"), ("step", "50ms")].map(|(key, value)| format!("behavior.{name}.{key}='{value}'")))
            .concat();
        let shares = "behavior.fast-ota.outcome={ failed = 0.3, rejected = 0.2 }";
        let sets = quick.iter().map(String::as_str).chain([shares, "rollout.fw-2-4-1.rate='100/s'"]);
        let sets: Vec<&str> = sets.flat_map(|set| ["--set", set]).collect();
        assert_eq!(bench.code(bench.run(&[&args[..], &sets].concat()).status), Some(0));
        bench.cells("out/executions.csv", &["thing", "cohort", "job", "status"]).into_iter().collect()
    };
    let first = outcomes("1", "42");
    assert_eq!(first.len(), 60);
    assert_eq!(first, outcomes("1", "42"));
    assert_eq!(first, outcomes("2", "42"));
    assert_ne!(first, outcomes("2", "43"));
}

#[test]
fn a_fleet_without_a_rollout_runs_for_its_duration() {
    let bench = Bench::new();
    fs::write(bench.path("idle.toml"), "name = 'idle'\n[fleet]\nthings = 5\n[end]\nduration = '2s'\n").unwrap();
    let output = bench.run(&["run", "idle.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.cells("out/executions.csv", &["thing"]).len(), 0);
    assert!(bench.cells("out/timeseries.csv", &["phase"]).iter().any(|row| row[0] == "steady"));
}

// ---------------------------------------------------------------------------------------------------------- what must hold

/// A fleet that polls, told in the fewest words.
const POLLERS: &str = "
name = 'pollers'
[fleet]
things = 20
connect = { rate = '100/s' }
timeouts = { answer = '5s' }
[[cohort]]
name = 'all'
workflow = 'poll'
poll = { every = '500ms', jitter = 0.2 }
[behavior.quick]
reaction = '0s'
step = '50ms'
updates = 1
";

#[test]
fn a_threshold_that_fails_or_has_no_sample_fails_the_run() {
    for (threshold, code, word) in [
        ("'start_next.response_ms.p99' = '< 60_000'", 0, "holds"),
        ("'start_next.response_ms.p99' = '< 0.000_1'", 99, "FAILS"),
        ("'reconnect.response_ms.p99' = '< 60_000'", 99, "no sample"),
        ("'executions.succeeded_share' = { check = '>= 0', phase = 'rollout' }", 0, "holds"),
    ] {
        let bench = Bench::new();
        let set = format!("thresholds={{ {threshold} }}");
        let output = bench.run(&[SMALL, &["--set", &set]].concat());
        assert_eq!(output.status.code(), Some(code), "{threshold}: {}", String::from_utf8_lossy(&output.stderr));
        let manifest: serde_json::Value = serde_json::from_str(&bench.text("out/run.json")).unwrap();
        assert_eq!(manifest["thresholds"][0]["holds"], code == 0, "{threshold}");
        assert_eq!(manifest["verdict"], if code == 0 { "PASS" } else { "FAIL" });
        let report = bench.run(&["report", "out"]);
        assert!(String::from_utf8_lossy(&report.stdout).contains(word), "{threshold}");
        assert_eq!(report.status.code(), Some(0), "{threshold}");
        let report = bench.run(&["report", "out", "--exit-code"]);
        assert_eq!(report.status.code(), manifest["exit_code"].as_i64().map(|code| code as i32), "{threshold}");
    }
}

#[test]
fn a_corrupted_row_of_either_ledger_is_found_and_named() {
    let bench = Bench::new();
    assert_eq!(bench.code(bench.run(SMALL).status), Some(0));
    let told = || {
        let report = bench.run(&["report", "out"]);
        (report.status.code(), String::from_utf8(report.stdout).unwrap())
    };
    assert_eq!(told().0, Some(0));
    for (file, from, to) in
        [("out/executions.csv", ",SUCCEEDED,", ",FAILED,"), ("out/service_ledger.csv", ",1,QUEUED,queued,", ",7,QUEUED,queued,")]
    {
        let whole = bench.text(file);
        let row = whole.lines().find(|line| line.contains(from)).unwrap();
        let thing = row.split(',').find(|cell| cell.starts_with("sim-")).unwrap();
        fs::write(bench.path(file), whole.replacen(row, &row.replace(from, to), 1)).unwrap();
        let (code, text) = told();
        assert_eq!(code, Some(99), "{text}");
        assert!(text.contains("the reconciliation found a difference") && text.contains(thing), "{text}");
        fs::write(bench.path(file), whole).unwrap();
    }
    assert_eq!(told().0, Some(0));
}

#[test]
fn injected_rejections_hit_the_same_requests_for_any_number_of_shards() {
    let outcomes = |shards: &str| -> BTreeSet<Vec<String>> {
        let bench = Bench::new();
        let reject = "target.emulator.reject={ share = 0.2, codes = ['RequestThrottled', 'InternalError'] }";
        let sets = ["fleet.retry={ base = '20ms', cap = '100ms' }", "fleet.things=40", "seed=5", reject];
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let run = bench.run(&[&["run", "smoke", "--ui", "none", "--out", "out", "--shards", shards], &sets[..]].concat());
        assert_eq!(bench.code(run.status), Some(0), "{}", bench.text("out/run.json"));
        let rejected = bench.cells("out/summary.csv", &["scope", "operation", "rejected"]);
        assert!(rejected.iter().any(|row| row[0] == "all" && row[1] == "update" && row[2] != "0"), "{rejected:?}");
        bench.cells("out/executions.csv", &["thing", "status", "updates", "rejections"]).into_iter().collect()
    };
    assert_eq!(outcomes("1"), outcomes("2"));
}

#[test]
fn things_that_poll_find_their_jobs_and_every_poll_is_accounted_for() {
    let bench = Bench::new();
    let rollout = "[[rollout]]\njob = 'fw-1'\nafter = 'connected'\nrate = '600/s'\ndocument = {}\n[end]\nlimit = '60s'\n";
    fs::write(bench.path("pollers.toml"), format!("{POLLERS}{rollout}")).unwrap();
    let output = bench.run(&["run", "pollers.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", bench.text("out/run.json"));
    let ends = bench.cells("out/executions.csv", &["status", "anomaly"]);
    assert_eq!((ends.len(), ends.iter().all(|row| row[0] == "SUCCEEDED" && row[1].is_empty())), (20, true), "{ends:?}");
    let summary = bench.cells("out/summary.csv", &["scope", "operation", "ok"]);
    assert!(summary.iter().any(|row| row[1] == "describe" && row[2].parse::<u64>().unwrap() >= 20), "{summary:?}");
    assert!(!summary.iter().any(|row| row[1] == "notify_next"), "nobody is told who did not subscribe");
}

/// Every workflow with a queue of jobs, each job with a behavior of its own.
const SEVERAL: &str = "
name = 'several'
[fleet]
things = 24
connect = { rate = '200/s' }
[[cohort]]
name = 'told'
share = 0.25
behavior = 'quick'
[[cohort]]
name = 'looking'
share = 0.25
workflow = 'describe-update'
behavior = 'quick'
[[cohort]]
name = 'picking'
share = 0.25
workflow = 'list'
behavior = 'quick'
[[cohort]]
name = 'polling'
share = 0.25
workflow = 'poll'
poll = { every = '300ms' }
behavior = 'quick'
[behavior.quick]
reaction = '0s'
step = '30ms'
updates = 2
[behavior.refusing]
reaction = '0s'
step = '30ms'
updates = 2
outcome = { rejected = 1.0 }
[[rollout]]
job = 'one'
document = {}
[[rollout]]
job = 'two'
behavior = 'refusing'
document = {}
[[rollout]]
job = 'three'
document = {}
[end]
limit = '60s'
";

#[test]
fn every_workflow_works_through_a_queue_of_jobs() {
    let bench = Bench::new();
    fs::write(bench.path("several.toml"), SEVERAL).unwrap();
    let output = bench.run(&["run", "several.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", bench.text("out/run.json"));
    let rows = bench.cells("out/executions.csv", &["job", "status", "anomaly", "cohort", "started_ms", "finished_ms", "thing"]);
    assert_eq!(rows.len(), 72);
    for row in &rows {
        let expected = if row[0] == "two" { "REJECTED" } else { "SUCCEEDED" };
        assert_eq!((&*row[1], &*row[2]), (expected, ""), "{row:?}");
        // One after the other: nothing of a thing begins before what it began before has ended.
        let number = |cell: &String| cell.parse::<f64>().unwrap();
        let overlaps =
            |other: &&Vec<String>| other[6] == row[6] && number(&other[4]) < number(&row[4]) && number(&other[5]) > number(&row[4]);
        assert_eq!(rows.iter().find(overlaps), None, "{row:?}");
    }
    let summary = reconcile(&bench);
    let count = |scope: &str, operation: &str| {
        summary.iter().find(|row| row[0] == scope && row[1] == operation).map_or(0, |row| row[3].parse::<u64>().unwrap())
    };
    assert!(count("cohort:picking", "get_pending") >= 18 && count("cohort:looking", "get_pending") == 0, "{summary:?}");
    assert!(count("cohort:looking", "describe") >= 18 && count("cohort:picking", "describe") >= 18, "{summary:?}");
    assert_eq!(count("cohort:looking", "start_next") + count("cohort:picking", "start_next"), 0);
    assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "the ledgers agree");
}

#[test]
fn a_freeze_shows_in_response_times_and_in_lost_arrivals_and_loses_nothing() {
    let bench = Bench::new();
    let freeze = "[[event]]\nat = '2s'\nkind = 'endpoint-freeze'\nfor = '2s'\n[end]\nduration = '6s'\n";
    fs::write(bench.path("freeze.toml"), format!("{POLLERS}{freeze}")).unwrap();
    let output = bench.run(&["run", "freeze.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", bench.text("out/run.json"));
    let columns = ["scope", "operation", "started", "ok", "open", "lost_arrivals", "blocked", "response_ms_max", "service_ms_p50"];
    let summary = bench.cells("out/summary.csv", &columns);
    let polls = summary.iter().find(|row| row[0] == "all" && row[1] == "describe").unwrap();
    let number = |n: usize| polls[n].parse::<f64>().unwrap();
    assert_eq!(number(2), number(3) + number(4), "{polls:?}");
    // Each thing has one poll open when the endpoint stops; the next is late, and about two more are lost.
    assert!(number(5) >= 20.0 && number(6) >= 15.0, "{polls:?}");
    assert!((1_400.0..5_000.0).contains(&number(7)) && number(8) < 1_000.0, "{polls:?}");
}

#[test]
fn things_of_another_endpoint_are_driven_with_files_and_shorthands() {
    let bench = Bench::new();
    let mut serve =
        Guard(bench.spawn(&["serve", "--dir", "pki", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0", "--things", "3"]));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(serve.0.stdout.take().unwrap()), &mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = ready["mqtt"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let scenario = "name = 'm'\n[target]\nkind = 'mqtt'\n[fleet]\nthings = 3\n[end]\nidle = '1s'\nlimit = '20s'\n";
    fs::write(bench.path("m.toml"), scenario).unwrap();
    let certificates = ["--ca", "pki/ca.cert.pem", "--cert", "pki/things/{thing}.cert.pem", "--key", "pki/things/{thing}.key.pem"];
    let args =
        [&["run", "m.toml", "--ui", "none", "--out", "out", "--host", "127.0.0.1", "--port", &port][..], &certificates].concat();
    let output = bench.run(&args);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(bench.manifest("out")["totals"]["operations"][0]["ok"], 3);
    // What the target cannot show is an empty cell.
    assert!(
        bench
            .cells("out/timeseries.csv", &["exec_queued", "endpoint_rss_bytes"])
            .iter()
            .all(|row| row.iter().all(String::is_empty))
    );
    let broken = bench.run(&[&args[..5], &["out2"], &args[6..], &["--set", "fleet.thing_name='x-{index}'"]].concat());
    assert_eq!(broken.status.code(), Some(1));
    let message = String::from_utf8(broken.stderr).unwrap();
    assert!(["x-0.cert.pem", "x-1.cert.pem", "x-2.cert.pem"].iter().all(|file| message.contains(file)), "all at once: {message}");
    serve.signal(rustix::process::Signal::TERM);
    assert_eq!(serve.wait(Duration::from_secs(10)), 0);
}

// -------------------------------------------------------------------------------------------------------------- exit codes

#[test]
fn wrong_usage_and_wrong_scenarios_have_their_codes() {
    let bench = Bench::new();
    fs::write(bench.path("bad.toml"), "name = 'x'\nsede = 1\n").unwrap();
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/file"), "mine").unwrap();
    for (args, code, says) in [
        (&["run"][..], 2, "SCENARIO"),
        (&["walk"], 2, "unrecognized subcommand"),
        (&["run", "smoke", "--set", "fleet.things"], 2, "KEY=VALUE"),
        (&["run", "smoke", "--out", "full"], 2, "not empty"),
        (&["run", "smoke", "--ui", "tui"], 2, "needs a terminal"),
        (&["run", "smoke", "--ui", "plain", "--fps", "4"], 2, "--ui tui"),
        (&["run", "smoke", "--fps", "0"], 2, "1..=60"),
        (&["run", "smoke", "--shard", "1/2"], 2, "--start-at"),
        (&["run", "smoke", "--start-at", "2030-01-01T00:00:00Z"], 2, "--shard"),
        (&["run", "smoke", "--shard", "2/2", "--start-at", "2030-01-01T00:00:00Z"], 2, "the last of 2 is 1/2"),
        (&["run", "smoke", "--shard", "0/2", "--start-at", "tomorrow"], 2, "2026-11-29T18:30:00Z"),
        (&["run", "smoke", "--shard", "0/2", "--start-at", "2030-01-01T00:00:00Z"], 2, "start `fleetsim serve` once"),
        (&["merge", "out"], 2, "<RUN>"),
        (&["merge", "full", "a"], 2, "full: it is not empty"),
        (&["merge", "out", "full"], 1, "full/run.json"),
        (&["aws", "provision", "--things", "0"], 2, "--things"),
        (&["certs", "ca"], 2, "<DIR>"),
        (&["certs", "issue", "x", "--things", "0"], 2, "--things"),
        (&["certs", "issue", "x", "--things", "2", "--thing-name", "truck"], 2, "has no {index}"),
        (&["certs", "issue", "full", "--things", "2"], 1, "`fleetsim certs ca full` makes a CA"),
        (&["demo", "--ui", "tui"], 2, "needs a terminal"),
        (&["man", "full/file"], 1, "full/file"),
        (&["serve", "--dir", "d", "--quotas", "awz"], 2, "quotas"),
        (&["serve", "--dir", "d", "--minute", "0s"], 2, "minute must be 100ms to 1h, not 0s"),
        (&["run", "nowhere.toml"], 104, "nowhere.toml"),
        (&["run", "bad.toml"], 104, "did you mean \"seed\"?"),
        (&["check", "bad.toml"], 104, "fleet is missing"),
        (&["run", "smoke", "--things", "many"], 104, "--things many"),
        (&["report", "full"], 1, "run.json"),
        (&["scenarios", "show", "no"], 2, "known: demo"),
    ] {
        let output = bench.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
    assert_eq!(fs::read_to_string(bench.path("full/file")).unwrap(), "mine");
    assert!(!bench.path("certs").exists(), "nothing was begun");
}

#[test]
fn more_things_than_the_host_can_hold_are_refused_with_the_remedy() {
    let bench = Bench::new();
    let output = bench.run(&["run", "smoke", "--things", "900000", "--out", "out"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("900100 needed") && stderr.contains("--things"), "{stderr}");
    assert!(!bench.path("out").exists() && !bench.path("certs").exists());
}

#[test]
fn what_is_open_at_the_limit_fails_the_run() {
    let bench = Bench::new();
    let output = bench.run(&[SMALL, SLOW, &["--set", "end.limit='5s'"]].concat());
    assert_eq!(bench.code(output.status), Some(99));
    let manifest = bench.manifest("out");
    assert_eq!((&manifest["verdict"], &manifest["exit_code"]), (&"FAIL".into(), &99.into()));
    assert_eq!(bench.cells("out/executions.csv", &["status"]).iter().filter(|row| row[0] == "IN_PROGRESS").count(), 8);
}

#[test]
fn the_other_commands_speak() {
    let bench = Bench::new();
    let stdout = |args: &[&str]| {
        let output = bench.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let help = stdout(&["--help"]);
    assert!(help.contains("AWS IoT Jobs") && help.contains("certs"), "{help}");
    let is_listed = |command: &str| help.lines().any(|line| line.split_whitespace().next() == Some(command));
    assert!(["demo", "compare", "merge", "aws", "man"].into_iter().all(is_listed) && !help.contains("not built"), "{help}");
    assert!(stdout(&["check", "10k", "--print-scenario"]).contains("things = 10000"));
    assert!(stdout(&["scenarios"]).contains("10k-aws"));
    stdout(&["scenarios", "init", "smoke", "mine.toml"]);
    assert!(stdout(&["check", "mine.toml", "--set", "seed=9", "--print-scenario"]).contains("seed = 9"));
    assert!(stdout(&["completions", "bash"]).contains("fleetsim"));
}

#[test]
fn flags_win_over_set_and_set_over_the_environment() {
    let bench = Bench::new();
    let things = |args: &[&str]| {
        let output = bench
            .command(&[&["check", "smoke", "--print-scenario"], args].concat())
            .env("FLEETSIM_RUN_THINGS", "11")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("things = ")).unwrap().to_owned()
    };
    assert_eq!(things(&[]), "11");
    assert_eq!(things(&["--set", "fleet.things=12"]), "12");
    assert_eq!(things(&["--things", "13", "--set", "fleet.things=12"]), "13");
}

// ---------------------------------------------------------------------------------------------------- interruption and death

#[test]
fn one_interrupt_drains_and_a_second_one_stops_now() {
    let bench = Bench::new();
    let mut run = Guard(bench.spawn(&[SMALL, SLOW].concat()));
    wait_until("things are at work", || in_progress(&bench));
    let endpoint = endpoint_pid(run.0.id()).expect("there is an endpoint");
    run.signal(rustix::process::Signal::TERM);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(run.0.try_wait().unwrap().is_none(), "it drains: work under way may go on");
    run.signal(rustix::process::Signal::INT);
    assert_eq!(run.wait(Duration::from_secs(10)), 105);
    wait_until("the endpoint is gone", || !is_alive(endpoint));
    assert_eq!(bench.manifest("out")["verdict"], "INTERRUPTED");
    assert_eq!(bench.cells("out/executions.csv", &["thing"]).len(), 8, "open executions are in the file too");
}

#[test]
fn an_interrupt_before_the_first_connection_is_an_interruption_too() {
    let bench = Bench::new();
    let mut run = Guard(bench.spawn(&["run", "smoke", "--things", "500", "--ui", "none", "--out", "out"]));
    wait_until("the endpoint is being used", || endpoint_pid(run.0.id()).is_some());
    let endpoint = endpoint_pid(run.0.id()).unwrap();
    run.signal(rustix::process::Signal::INT);
    assert_eq!(run.wait(Duration::from_secs(40)), 105);
    wait_until("the endpoint is gone", || !is_alive(endpoint));
    assert_eq!(bench.manifest("out")["verdict"], "INTERRUPTED");
}

#[test]
fn ctrl_c_on_a_terminal_reaches_the_run_and_not_its_endpoint() {
    let bench = Bench::new();
    // `script` gives the run a pseudo-terminal; its line discipline turns ^C into SIGINT for the foreground group, the shell
    // among them: the trap keeps every kind of shell alive to print the code, and resets to the default in the run.
    let command = format!(
        "trap : INT; {} {} --set behavior.quick.step='\"1s\"'; echo rc=$?",
        env!("CARGO_BIN_EXE_fleetsim"),
        SMALL.join(" ")
    );
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &command, "typescript"]).current_dir(bench.dir.path()).stdin(Stdio::piped());
    let mut script = Guard(script.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("script (util-linux) is installed"));
    wait_until("things are at work", || in_progress(&bench));
    std::io::Write::write_all(script.0.stdin.as_mut().unwrap(), b"\x03").unwrap();
    script.wait(Duration::from_secs(25));
    assert!(bench.text("typescript").contains("rc=105"), "{}", bench.text("typescript"));
    let manifest = bench.manifest("out");
    assert_eq!(manifest["verdict"], "INTERRUPTED");
    let finished = bench.cells("out/executions.csv", &["status"]).iter().filter(|row| row[0] == "SUCCEEDED").count();
    assert!(finished > 0, "the endpoint lived through the drain, so that work could end");
}

#[test]
fn an_endpoint_that_dies_ends_the_run_with_whole_files() {
    let bench = Bench::new();
    let started = Instant::now();
    let mut run = Guard(bench.spawn(&[SMALL, SLOW].concat()));
    wait_until("things are at work", || in_progress(&bench));
    let endpoint = endpoint_pid(run.0.id()).expect("there is an endpoint");
    rustix::process::kill_process(rustix::process::Pid::from_raw(endpoint as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    assert_eq!(run.wait(Duration::from_secs(30)), 1, "after {:?}", started.elapsed());
    let manifest = bench.manifest("out");
    assert_eq!((&manifest["verdict"], &manifest["exit_code"]), (&"ERROR".into(), &1.into()));
    assert!(manifest["findings"][0].as_str().unwrap().contains("endpoint ended unexpectedly"), "{}", manifest["findings"]);
    let errors = bench.cells("out/errors.csv", &["operation", "kind", "code", "count"]);
    assert!(errors.iter().any(|row| row[..2] == ["connect", "lost"] && row[3] == "8"), "{errors:?}");
    let refused: u64 = errors.iter().filter(|row| row[2] == "connection_refused").map(|row| row[3].parse::<u64>().unwrap()).sum();
    assert!((1..200).contains(&refused), "they try again, and back off: {refused} tries");
    assert_eq!(bench.cells("out/executions.csv", &["thing"]).len(), 8);
}

#[test]
fn a_run_that_is_killed_leaves_every_finished_second_and_no_child() {
    let bench = Bench::new();
    let mut run = Guard(bench.spawn(&[SMALL, SLOW].concat()));
    wait_until("three seconds are on disk", || seconds(&bench) >= 3 && in_progress(&bench));
    let endpoint = endpoint_pid(run.0.id()).expect("there is an endpoint");
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    wait_until("the endpoint is gone", || !is_alive(endpoint));
    let t = bench.cells("out/timeseries.csv", &["t_s"]);
    assert!(t.len() >= 3 && t.iter().enumerate().all(|(n, row)| row[0] == (n + 1).to_string()), "{t:?}");
    assert_eq!(bench.manifest("out")["verdict"], "RUNNING");
    let report = bench.run(&["report", "out"]);
    let text = String::from_utf8(report.stdout).unwrap();
    assert!(report.status.success() && text.contains("never finished") && text.contains("start_next"), "{text}");
    assert_eq!(bench.run(&["report", "out", "--exit-code"]).status.code(), Some(1));
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let bench = Bench::new();
    fs::create_dir_all(bench.path("d")).unwrap();
    let mut serve = Guard(bench.spawn(&[
        "serve",
        "--dir",
        "d",
        "--mqtt-port",
        "0",
        "--https-port",
        "0",
        "--api-port",
        "0",
        "--ledger",
        "/dev/full",
    ]));
    assert_eq!(serve.wait(Duration::from_secs(20)), 1);
    let mut stderr = String::new();
    std::io::Read::read_to_string(serve.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    assert!(stderr.contains("write the ledger /dev/full"), "{stderr}");
}

#[test]
fn a_port_in_use_is_named() {
    let bench = Bench::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = bench.run(&["serve", "--dir", "d", "--mqtt-port", &port, "--https-port", "0", "--api-port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("listen on 127.0.0.1:{port}")));
}
