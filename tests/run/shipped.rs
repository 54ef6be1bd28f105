//! Every shipped scenario runs, small and in short.

use crate::bench::Bench;
use crate::reconcile;
use fleetsim::scenario::SHIPPED;

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

/// The same events, sooner.
const QUICK_STORM: &[&str] = &[
    "event=[{ at = '1s', kind = 'reconnect-storm', share = 0.5 }, { at = '2s', kind = 'outage', cohort = 'jittered', for = '1s' }, \
     { at = '2s', kind = 'outage', cohort = 'in-step', for = '1s' }]",
    "cohort.jittered.reconnect={ base = '100ms', cap = '1s' }",
    "cohort.in-step.reconnect={ base = '100ms', cap = '1s' }",
    "behavior.patient-ota={ step = '300ms', reaction = '0s' }",
];

const SMALL: &[Small] = &[
    Small { name: "smoke", things: 100, executions: 100, sets: &["rollout.fw-smoke.rate='600/s'"] },
    Small { name: "10k", things: 100, executions: 100, sets: QUICK_OTA },
    Small { name: "10k-aws", things: 100, executions: 100, sets: QUICK_OTA },
    Small { name: "reconnect-storm", things: 100, executions: 100, sets: QUICK_STORM },
];

/// Scenarios for services of others: `tests/outside_services/test_shipped.py` runs them.
const ELSEWHERE: &[&str] = &["mosquitto"];

#[test]
fn every_shipped_scenario_is_run_by_a_test() {
    let run: Vec<&str> = SMALL.iter().map(|small| small.name).chain(ELSEWHERE.iter().copied()).collect();
    let missing: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).filter(|name| !run.contains(name)).collect();
    assert!(missing.is_empty(), "say how {missing:?} run small");
    assert_eq!(run.len(), SHIPPED.len());
}

#[test]
fn every_shipped_scenario_runs_small() {
    for Small { name, things, executions, sets } in SMALL {
        let bench = Bench::new();
        let things = things.to_string();
        let mut args = vec!["run", name, "--things", &things, "--ui", "json", "--out", "out"];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        let output = bench.run(&args);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let last = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["verdict"]), (&"summary".into(), &"PASS".into()), "{name}");
        let rows =
            bench.cells("out/executions.csv", &["status", "queued_ms", "notified_ms", "started_ms", "finished_ms", "anomaly"]);
        assert_eq!(rows.len(), *executions, "{name}");
        for row in rows {
            assert!(["SUCCEEDED", "FAILED", "REJECTED"].contains(&&*row[0]), "{name}: {row:?}");
            let times: Vec<f64> = row[1..5].iter().map(|cell| cell.parse().unwrap()).collect();
            assert!(times.is_sorted(), "{name}: {row:?}");
            assert_eq!(row[5], "", "{name}");
        }
        reconcile(&bench);
        assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "{name}: the ledgers agree");
    }
}
