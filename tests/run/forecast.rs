//! `fleetsim forecast`: what it says beforehand, beside what a run does then.

use crate::bench::{Bench, Guard};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Output;
use std::time::Duration;

const SMALL: &str = r#"
name = "small"
seed = 5
[fleet]
things = 40
connect = { rate = "40/s" }
[behavior.quick]
reaction = "uniform(0s, 300ms)"
updates = 2
step = "uniform(100ms, 400ms)"
outcome = { succeeded = 0.7, failed = 0.2, rejected = 0.1 }
[[rollout]]
job = "fw"
after = "connected"
rate = "1200/min"
document = { operation = "x" }
[end]
limit = "60s"
"#;

fn bench(scenario: &str) -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("scenario.toml"), scenario).unwrap();
    bench
}

fn forecast(bench: &Bench, out: &str, more: &[&str]) -> Output {
    bench.run(&[&["forecast", "scenario.toml", "--out", out], more].concat())
}

fn cells(bench: &Bench, file: &str, columns: &[&str]) -> BTreeSet<Vec<String>> {
    bench.cells(file, columns).into_iter().collect()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The same agents, engine and random streams: what becomes of each execution is the same, and when, nearly.
#[test]
fn a_run_does_what_its_forecast_says() {
    let bench = bench(SMALL);
    let told = forecast(&bench, "ahead", &[]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("PASS"), "{}", text(&told.stdout));
    let ran = bench.run(&["run", "scenario.toml", "--ui", "none", "--out", "run"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let fate = ["thing", "job", "execution_number", "status", "updates"];
    let ahead = cells(&bench, "ahead/executions.csv", &fate);
    assert_eq!((ahead.len(), &ahead), (40, &cells(&bench, "run/executions.csv", &fate)));
    let (ahead, run) = (bench.manifest("ahead"), bench.manifest("run"));
    for key in ["messages_in", "messages_out", "billed"] {
        assert_eq!(ahead["totals"][key], run["totals"][key], "{key}");
    }
    assert_eq!((&ahead["mode"], &run["mode"]), (&Value::from("forecast"), &Value::from("run")));
    assert!(ahead["totals"]["generator"].is_null() && run["totals"]["generator"].is_object());
    let milestone = |manifest: &Value, n: usize| manifest["totals"]["rollouts"][0]["seconds_to"][n].as_f64().unwrap();
    for n in 0..4 {
        let (said, is) = (milestone(&ahead, n), milestone(&run, n));
        assert!((said - is).abs() < 1.0 + 0.3 * is, "{said} s said, {is} s measured");
    }
    let shown = cells(&bench, "ahead/timeseries.csv", &["cpu_share", "rss_bytes", "lateness_ms_p99", "endpoint_cpu_share"]);
    assert_eq!(shown, BTreeSet::from([vec![String::new(); 4]]), "what virtual time cannot show is empty");

    let again = forecast(&bench, "again", &["--latency-from", "run"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let mean = |out: &str| -> f64 {
        let rows = cells(&bench, &format!("{out}/summary.csv"), &["scope", "operation", "service_ms_mean"]);
        rows.iter().find(|row| row[0] == "all" && row[1] == "update").unwrap()[2].parse().unwrap()
    };
    assert!((mean("again") / mean("run") - 1.0).abs() < 0.5, "{} after {}", mean("again"), mean("run"));
    let report = bench.run(&["report", "ahead"]);
    assert_eq!((report.status.code(), text(&report.stdout).contains("fw")), (Some(0), true));
}

/// A run against an endpoint with quotas lays its own curve over the forecast.
#[test]
fn a_run_with_quotas_has_its_forecast_beside_it() {
    let bench = bench(&format!("{}[target.emulator]\nquotas = 'aws'\n", SMALL.replace("1200/min", "1000/min")));
    let ran = bench.run(&["run", "scenario.toml", "--ui", "none", "--out", "run"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let predicted = &bench.manifest("run")["predicted"][0];
    assert_eq!(predicted["job"], "fw");
    assert_eq!(predicted["seconds_to"], bench.manifest("run/forecast")["totals"]["rollouts"][0]["seconds_to"]);
    assert!(predicted["error_share"][3].as_f64().is_some(), "{predicted}");
}

/// A window of 20 s in each minute, at one thing a second: forty of them need two windows at least.
#[test]
fn a_window_stretches_a_forecast() {
    let bench = bench(&SMALL.replace("1200/min", "1/min"));
    let of = |out: &str, more: &[&str]| -> f64 {
        let all = [
            "--set",
            "target.emulator.minute='1s'",
            "--set",
            "end.limit='10m'",
            "--set",
            "rollout.fw.targetSelection='CONTINUOUS'",
        ];
        let told = forecast(&bench, out, &[&all[..], more].concat());
        assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
        assert_eq!(cells(&bench, &format!("{out}/executions.csv"), &["thing"]).len(), 40);
        bench.manifest(out)["totals"]["rollouts"][0]["seconds_to"][3].as_f64().unwrap()
    };
    let open = of("open", &[]);
    assert!((38.0..55.0).contains(&open), "{open}");
    let windows = "rollout.fw.maintenance_windows=[{start='cron(* * * * ? *)',minutes=20}]";
    let in_windows = of("windows", &["--set", windows]);
    assert!((78.0..150.0).contains(&in_windows), "{in_windows}");
}

/// Every kind of event and of fault on purpose comes to its end.
#[test]
fn shipped_scenarios_have_a_forecast() {
    let bench = bench(SMALL);
    for (name, more) in [
        ("reconnect-storm", vec!["--things", "200"]),
        ("flaky-fleet", vec![]),
        ("several-jobs", vec![]),
        ("polling-fleet", vec!["--things", "200"]),
        ("mixed-transports", vec![]),
        ("signed-firmware", vec!["--things", "50"]),
    ] {
        let told = bench.run(&[&["forecast", name, "--out", name][..], &more].concat());
        let manifest = bench.manifest(name);
        assert_eq!(told.status.code(), Some(0), "{name}: {} {:?}", text(&told.stderr), manifest["findings"]);
        assert!(manifest["totals"]["run_s"].as_u64() > Some(0), "{name}");
        assert!(manifest["forecast"]["quotas"].as_array().is_some_and(|quotas| quotas.len() > 5), "{name}");
    }
}

#[test]
fn a_large_fleet_has_rows_of_executions_only_where_they_are_asked_for() {
    let bench = bench(SMALL);
    let large = [
        "--things",
        "100_001",
        "--set",
        "fleet.connect.rate='2000/s'",
        "--set",
        "end.limit='10m'",
        "--set",
        "rollout.fw.targets={share=0.0005}",
    ];
    assert_eq!(forecast(&bench, "few", &large).status.code(), Some(0));
    assert_eq!(cells(&bench, "few/executions.csv", &["thing"]).len(), 0);
    assert!(bench.manifest("few")["forecast"]["assumptions"].to_string().contains("--executions"));
    assert_eq!(forecast(&bench, "all", &[&large[..], &["--executions"]].concat()).status.code(), Some(0));
    assert_eq!(cells(&bench, "all/executions.csv", &["thing"]).len(), 50);
}

#[test]
fn what_cannot_be_forecast_is_refused_in_words() {
    let bench = bench(SMALL);
    let refused = |args: &[&str], code: i32, word: &str| {
        let told = forecast(&bench, "out", args);
        let said = text(&told.stderr);
        assert_eq!((told.status.code(), said.contains(word)), (Some(code), true), "{args:?}: {said}");
    };
    refused(&["--latency-from", "nowhere"], 1, "nowhere/histograms.hlog");
    refused(&["--round-trip", "fast"], 2, "--round-trip");
    refused(&["--round-trip", "1ms", "--latency-from", "x"], 2, "cannot be used with");
    refused(&["--set", "target.kind='mqtt'", "--set", "target.host='localhost'"], 104, "rollout");
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/file"), "x").unwrap();
    let told = forecast(&bench, "full", &[]);
    assert_eq!(told.status.code(), Some(2), "{}", text(&told.stderr));
    fs::create_dir(bench.path("empty")).unwrap();
    fs::write(bench.path("empty/histograms.hlog"), "").unwrap();
    refused(&["--latency-from", "empty"], 1, "has measured none");
    assert!(!bench.path("out").exists(), "nothing is half written");
}

#[test]
fn a_forecast_that_is_interrupted_writes_what_it_knows() {
    let bench = bench(SMALL);
    let long = ["--things", "2000", "--set", "end.when='duration'", "--set", "end.duration='20h'", "--set", "end.limit='24h'"];
    let polls = ["--set", "cohort=[{name='all',share=1.0,workflow='poll',poll={every='1s'}}]"];
    let args = [&["forecast", "scenario.toml", "--out", "out"][..], &long, &polls].concat();
    let mut forecast = Guard(bench.spawn(&args));
    // It listens for signals before it tells how far it is.
    let mut first = String::new();
    BufReader::new(forecast.0.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("t="), "{first}");
    forecast.signal(rustix::process::Signal::INT);
    assert_eq!(forecast.wait(Duration::from_secs(20)), 105);
    assert_eq!(bench.manifest("out")["verdict"], "INTERRUPTED");
}
