//! Files of jobs: made and signed by the run, fetched and verified by the things.

use crate::bench::Bench;
use std::collections::BTreeMap;
use std::fs;

/// Two things that verify and two that do not.
const FLEET: &str = "
name = 'firmware'
seed = 3
[fleet]
things = 4
[[cohort]]
name = 'verifying'
share = 0.5
verify_signature = true
workflow = 'WORKFLOW'
behavior = 'quick'
[[cohort]]
name = 'trusting'
share = 0.5
behavior = 'quick'
[behavior.quick]
reaction = '0s'
step = '20ms'
updates = 1
[end]
limit = '40s'
";

fn rollout(job: &str, more: &str) -> String {
    format!("[[rollout]]\njob = '{job}'\ndocument = {{ version = '{job}' }}\n{more}\n")
}

/// Runs the fleet with these rollouts; gives the number of executions by cohort, job and status.
fn run(bench: &Bench, workflow: &str, rollouts: &[(&str, &str)]) -> BTreeMap<(String, String, String), usize> {
    let rollouts: String = rollouts.iter().map(|(job, more)| rollout(job, more)).collect();
    fs::write(bench.path("firmware.toml"), FLEET.replace("WORKFLOW", workflow) + &rollouts).unwrap();
    let output = bench.run(&["run", "firmware.toml", "--ui", "none", "--out", "out"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(bench.code(output.status), Some(0), "{said}{}", fs::read_to_string(bench.path("out/run.json")).unwrap_or_default());
    let mut counts = BTreeMap::new();
    for row in bench.cells("out/executions.csv", &["cohort", "job", "status", "anomaly"]) {
        assert_eq!(row[3], "", "{row:?}");
        *counts.entry((row[0].clone(), row[1].clone(), row[2].clone())).or_default() += 1;
    }
    counts
}

fn operation(bench: &Bench, name: &str) -> serde_json::Value {
    let manifest = bench.manifest("out");
    let operations = manifest["totals"]["operations"].as_array().unwrap();
    operations.iter().find(|operation| operation["operation"] == name).cloned().unwrap_or_default()
}

#[test]
fn good_files_are_installed_and_bad_ones_are_refused_by_those_who_look() {
    for workflow in ["start-next", "describe-update", "list"] {
        let bench = Bench::new();
        let counts = run(
            &bench,
            workflow,
            &[
                ("good", "artifact = { bytes = 200_000 }"),
                ("spoiled", "artifact = { bytes = 70_000, tamper = 'content' }"),
                ("short", "artifact = { bytes = 70_000, tamper = 'length' }"),
                ("foreign", "artifact = { bytes = 1, tamper = 'key' }"),
                ("unsigned", "artifact = { bytes = 70_000, sign = false }"),
                ("plain", ""),
            ],
        );
        let expected = [
            ("good", "SUCCEEDED", "SUCCEEDED"),
            ("spoiled", "REJECTED", "SUCCEEDED"),
            ("short", "FAILED", "FAILED"),
            ("foreign", "REJECTED", "SUCCEEDED"),
            ("unsigned", "REJECTED", "SUCCEEDED"),
            ("plain", "SUCCEEDED", "SUCCEEDED"),
        ];
        for (job, verifying, trusting) in expected {
            for (cohort, status) in [("verifying", verifying), ("trusting", trusting)] {
                let count = counts.get(&(cohort.to_owned(), job.to_owned(), status.to_owned()));
                assert_eq!(count, Some(&2), "{workflow} {cohort} {job}: {counts:?}");
            }
        }
        let downloads = operation(&bench, "download");
        // Nobody fetches what is not signed and has to be.
        assert_eq!((&downloads["started"], &downloads["ok"], &downloads["error"]), (&18.into(), &10.into(), &8.into()));
        let errors = bench.cells("out/errors.csv", &["operation", "code", "count"]);
        let count = |code: &str| errors.iter().find(|row| row[0] == "download" && row[1] == code).map(|row| row[2].clone());
        assert_eq!((count("signature").as_deref(), count("length").as_deref()), (Some("4"), Some("4")), "{errors:?}");
        assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "the ledgers agree");
    }
}

#[test]
fn a_cap_holds_and_the_way_is_reported() {
    let bench = Bench::new();
    let counts = run(&bench, "start-next", &[("slow", "artifact = { bytes = 600_000, bandwidth = '200 KB/s' }")]);
    assert_eq!(counts.values().sum::<usize>(), 4);
    let rows = bench.cells("out/executions.csv", &["started_ms", "finished_ms", "updates"]);
    for row in rows {
        let number = |n: usize| row[n].parse::<f64>().unwrap();
        assert!((2_900.0..8_000.0).contains(&(number(1) - number(0))), "{row:?}");
        // One of the work, the end, and some of the three seconds before.
        assert!((3.0..=6.0).contains(&number(2)), "{row:?}");
    }
}
