//! Every shipped scenario runs, small and in short.

use crate::bench::{Bench, Guard};
use crate::reconcile;
use fleetsim::scenario::SHIPPED;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

/// A scenario that brings its own endpoint.
struct Small {
    name: &'static str,
    things: usize,
    executions: usize,
    /// What makes it small beyond its number of things.
    sets: &'static [&'static str],
}

const QUICK_OTA: &[&str] = &[
    "behavior.fast-ota={ step = '100ms', reaction = '0s', updates = 2 }",
    "behavior.slow-ota={ step = '100ms', reaction = '0s', updates = 2 }",
    "behavior.flaky-ota={ step = '100ms', reaction = '0s', updates = 2 }",
    "rollout.fw-2-4-1.rate='600/s'",
];

const QUICK_WORK: &str = "behavior.ota={ step = '100ms', reaction = '0s' }";
/// The same, asked for more often.
const QUICK_MIX: &[&str] = &[QUICK_WORK, "cohort.https.poll.every='1s'", "cohort.signing.poll.every='1s'"];
const QUICK_POLLS: &[&str] = &[QUICK_WORK, "cohort.polling.poll.every='1s'", "rollout.fw-2-4-1.delay='1s'"];

/// The same events, sooner.
const QUICK_STORM: &[&str] = &[
    "event=[{ at = '1s', kind = 'reconnect-storm', share = 0.5 }, { at = '2s', kind = 'outage', cohort = 'jittered', for = '1s' }, \
     { at = '2s', kind = 'outage', cohort = 'in-step', for = '1s' }]",
    "cohort.jittered.reconnect={ base = '100ms', cap = '1s' }",
    "cohort.in-step.reconnect={ base = '100ms', cap = '1s' }",
    "behavior.patient-ota={ step = '300ms', reaction = '0s' }",
];

const SMALL: &[Small] = &[
    Small {
        name: "demo",
        things: 40,
        executions: 40,
        sets: &[
            "behavior.ordinary={ step = '100ms', reaction = '0s' }",
            "behavior.unlucky={ step = '100ms', reaction = '0s' }",
            "event=[{ at = '1s', kind = 'disconnect', share = 0.2 }]",
            "rollout.fw-2-4-1.rate='600/s'",
        ],
    },
    Small { name: "smoke", things: 100, executions: 100, sets: &["rollout.fw-smoke.rate='600/s'"] },
    Small { name: "10k", things: 100, executions: 100, sets: QUICK_OTA },
    Small { name: "10k-aws", things: 100, executions: 100, sets: QUICK_OTA },
    Small {
        name: "signed-firmware",
        things: 20,
        executions: 60,
        sets: &["behavior.ota.step='100ms'", "behavior.ota.reaction='0s'"],
    },
    Small { name: "mixed-transports", things: 100, executions: 100, sets: QUICK_MIX },
    Small { name: "polling-fleet", things: 100, executions: 100, sets: QUICK_POLLS },
    Small { name: "reconnect-storm", things: 100, executions: 100, sets: QUICK_STORM },
];

/// Scenarios that a test of their own runs, and where it is.
const BY_THEMSELVES: &[(&str, &str, &str)] = &[
    ("several-jobs", "tests/run/rollouts.rs", "several_jobs_in_a_row_as_shipped"),
    ("flaky-fleet", "tests/faults.rs", "the_shipped_flaky_fleet_runs_small"),
    ("capacity-queue", "tests/run/capacity.rs", "a_search_leaves_its_steps_and_its_result"),
    ("policy-trial", "tests/run/policies.rs", "the_shipped_trial_finds_who_is_denied"),
    ("mosquitto", "tests/outside_services/test_shipped.py", "test_mosquitto"),
    ("aws-1k", "tests/run/shipped.rs", "the_account_of_aws_1k_may_be_the_local_endpoint"),
    ("aws-1k", "tests/outside_services/test_shipped.py", "test_aws_1k_at_ministack"),
];

#[test]
fn every_shipped_scenario_is_run_by_a_test() {
    let run: BTreeSet<&str> = SMALL.iter().map(|small| small.name).chain(BY_THEMSELVES.iter().map(|own| own.0)).collect();
    let shipped: BTreeSet<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    assert_eq!(run, shipped, "each scenario says how it runs small, or which test runs it");
    let here = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/shipped.rs")).unwrap();
    for Small { name, .. } in SMALL {
        assert!(here.contains(&format!("run_small(\"{name}\");")), "{name}: no test runs it");
    }
    for (name, file, test) in BY_THEMSELVES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let is_test = |line: &str| line.starts_with(&format!("fn {test}(")) || line.starts_with(&format!("def {test}("));
        assert!(text.lines().any(is_test), "{name}: {file} has no {test}");
    }
}

fn run_small(scenario: &str) {
    let Small { name, things, executions, sets } = SMALL.iter().find(|small| small.name == scenario).unwrap();
    let bench = Bench::new();
    let things = things.to_string();
    let mut args = vec!["run", name, "--things", &things, "--ui", "json", "--out", "out"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    let output = bench.run(&args);
    assert_eq!(bench.code(output.status), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let last = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["verdict"]), (&"summary".into(), &bench.manifest("out")["verdict"]), "{name}");
    let rows = bench.cells("out/executions.csv", &["status", "queued_ms", "notified_ms", "started_ms", "finished_ms", "anomaly"]);
    assert_eq!(rows.len(), *executions, "{name}");
    for row in rows {
        assert!(["SUCCEEDED", "FAILED", "REJECTED"].contains(&&*row[0]), "{name}: {row:?}");
        // Who was away was never told, and asked when it was back; an answer to that may come before the news.
        let times: Vec<Option<f64>> = row[1..5].iter().map(|cell| cell.parse().ok()).collect();
        let [queued, notified, started, finished] = times[..] else { panic!("{name}: {row:?}") };
        assert!(queued.is_some() && queued <= started && started <= finished, "{name}: {row:?}");
        assert!(notified.is_none_or(|at| queued <= Some(at) && Some(at) <= finished), "{name}: {row:?}");
        assert_eq!(row[5], "", "{name}");
    }
    reconcile(&bench);
    assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "{name}: the ledgers agree");
}

#[test]
fn the_demo_runs_small() {
    run_small("demo");
}

#[test]
fn smoke_runs_small() {
    run_small("smoke");
}

#[test]
fn the_10k_runs_small() {
    run_small("10k");
}

#[test]
fn the_10k_aws_runs_small() {
    run_small("10k-aws");
}

#[test]
fn signed_firmware_runs_small() {
    run_small("signed-firmware");
}

#[test]
fn mixed_transports_runs_small() {
    run_small("mixed-transports");
}

#[test]
fn polling_fleet_runs_small() {
    run_small("polling-fleet");
}

#[test]
fn reconnect_storm_runs_small() {
    run_small("reconnect-storm");
}

#[test]
fn the_account_of_aws_1k_may_be_the_local_endpoint() {
    let bench = Bench::new();
    let serve = ["serve", "--dir", "certs/aws-1k", "--things", "40", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0"];
    let mut serve = Guard(bench.command(&serve).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(serve.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let args = ["run", "aws-1k", "--things", "40", "--ca", "certs/aws-1k/ca.cert.pem", "--ui", "none", "--yes", "--out", "out"];
    let quick = ["--set", "behavior.ota={ step = '100ms' }", "--set", "rollout.fleetsim-1k.rate='100/s'"];
    let mut run = bench.command(&[&args[..], &quick].concat());
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        run.env_remove(name);
    }
    let output = run
        .env("AWS_ENDPOINT_URL_IOT", format!("https://{}", ready["api"].as_str().unwrap()))
        .env("AWS_CA_BUNDLE", "certs/aws-1k/ca.cert.pem")
        .env("AWS_SHARED_CREDENTIALS_FILE", "certs/aws-1k/aws-credentials")
        .env("AWS_CONFIG_FILE", "none")
        .env("AWS_REGION", "us-east-1")
        .output()
        .unwrap();
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = bench.cells("out/executions.csv", &["job", "status", "anomaly"]);
    assert_eq!(rows.len(), 40);
    for row in rows {
        assert!(
            row[0].starts_with("fleetsim-1k-2") && ["SUCCEEDED", "FAILED", "REJECTED"].contains(&&*row[1]) && row[2].is_empty(),
            "{row:?}"
        );
    }
}
