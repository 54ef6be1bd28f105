//! Runs whose endpoint has a policy that denies something.

use crate::bench::Bench;
use serde_json::Value;

fn error_rows(bench: &Bench) -> Vec<Vec<String>> {
    bench.cells("out/errors.csv", &["operation", "kind", "code", "count", "example"])
}

fn findings(bench: &Bench) -> String {
    bench.manifest("out")["findings"].to_string()
}

#[test]
fn the_shipped_trial_finds_who_is_denied() {
    let bench = Bench::new();
    let quick = [
        "--set",
        "fleet.first_index=320",
        "--set",
        "end.duration='6s'",
        "--set",
        "rollout.fw-2-4-1.at='2s'",
        "--set",
        "rollout.fw-2-4-1.rate='600/s'",
    ];
    let output = bench.run(&[&["run", "policy-trial", "--things", "40", "--ui", "plain", "--out", "out"][..], &quick].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(99), "{said}");
    let denied = "iot:Connect on client/press-3";
    let statement = "is denied by statement 4 (RecalledSeries) of policy fleetsim-device version 1";
    assert!(
        findings(&bench).contains("denied by policies of the endpoint: iot:Connect 13 times")
            && findings(&bench).contains(statement)
    );
    let rows = error_rows(&bench);
    let row = rows.iter().find(|row| row[1] == "denied").unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row[..4], ["connect_mqtt", "denied", "iot:Connect", "13"], "of 40 those from 320 to 332");
    assert!(row[4].starts_with(denied) && row[4].contains(statement), "{row:?}");
    let statuses = bench.cells("out/executions.csv", &["thing", "status"]);
    let succeeded = statuses.iter().filter(|row| row[1] == "SUCCEEDED").count();
    assert_eq!(succeeded, 27, "the others go on: {statuses:?}");
    assert_eq!(bench.text("out/decisions.jsonl").lines().count(), 13);
}

/// The same by `check`, before anything runs.
#[test]
fn check_explains_each_denial_before_any_traffic() {
    let bench = Bench::new();
    let output = bench.run(&["check", "policy-trial", "--strict", "--json"]);
    assert_eq!(output.status.code(), Some(99), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["policy"]["things"], &report["policy"]["denied_things"]), (&1_000.into(), &333.into()));
    let denial = &report["policy"]["denials"][0];
    assert_eq!((&denial["action"], &denial["things"]), (&"iot:Connect".into(), &333.into()));
    assert!(denial["explanation"].as_str().unwrap().contains("denied by statement 4 (RecalledSeries)"), "{denial}");
    assert_eq!(report["fits"], false);
    // The usual policy allows all that the things of a usual scenario need.
    let output = bench.run(&["check", "smoke", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["policy"]["things"], &report["policy"]["denied_things"]), (&50.into(), &0.into()), "{report}");
}

/// A mistake of a real policy, and client ids that are not the things' names.
#[test]
fn a_client_id_of_its_own_needs_a_policy_that_allows_it() {
    let bench = Bench::new();
    let arn = "arn:aws:iot:us-east-1:111122223333:";
    let own = "$aws/things/${iot:Certificate.Subject.CommonName}/jobs/*";
    let policy = |filter: &str| {
        let allow = |action: &str, resource: String| serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let statements = [
            allow("iot:Connect", format!("{arn}client/*")),
            allow("iot:Publish", format!("{arn}topic/{own}")),
            allow("iot:Receive", format!("{arn}topic/{own}")),
            allow("iot:Subscribe", format!("{arn}{filter}/{own}")),
        ];
        serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    };
    std::fs::write(bench.dir.path().join("good.json"), policy("topicfilter")).unwrap();
    std::fs::write(bench.dir.path().join("bad.json"), policy("topic")).unwrap();
    let run = |file: &str, out: &str, more: &[&str]| {
        let policy = format!("target.emulator.policy='./{file}'");
        let client_id = "fleet.client_id='{thing}-device-{index}'";
        let args = ["run", "smoke", "--things", "10", "--ui", "plain", "--out", out, "--set", &policy, "--set", client_id];
        bench.run(&[&args[..], more].concat())
    };
    let output = run("good.json", "good", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run("bad.json", "out", &["--set", "end.limit='4s'"]);
    assert_ne!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = error_rows(&bench);
    let row = rows.iter().find(|row| row[1] == "denied").unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row[..3], ["subscribe", "denied", "iot:Subscribe"]);
    assert!(row[4].contains("it says topic/ where it must say topicfilter/"), "{row:?}");
}
