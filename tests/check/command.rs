//! The command: options, files, exit codes.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fleetsim(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .args(args)
        .current_dir(dir)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// At a rate that AWS's quotas take.
const FITTING: [&str; 4] = ["check", "smoke", "--set", "rollout.fw-smoke.rate='600/min'"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn stdout(dir: &Path, args: &[&str], code: i32) -> String {
    let output = fleetsim(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn stderr(dir: &Path, args: &[&str], code: i32) -> String {
    let output = fleetsim(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_scenario_is_reported_as_text_json_and_csv() {
    let dir = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| stdout(dir.path(), &[&FITTING[..], more].concat(), 0);
    let report = with(&[]);
    assert!(report.starts_with("smoke: it fits: "), "{report}");
    for part in
        ["host: this host can carry it", "quotas: aws, published 2026-11", "cost: us-east-1, prices of 2026-09-20", "assumptions:"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    let json: Value = serde_json::from_str(&with(&["--json"])).unwrap();
    assert_eq!((&json["scenario"], &json["fits"]), (&"smoke".into(), &true.into()));
    let csv = with(&["--csv"]);
    assert!(csv.starts_with("quota,state,limit,peak,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + json["quotas"]["rows"].as_array().unwrap().len());
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is written");
}

#[test]
fn the_resolved_scenario_is_one_that_means_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let printed = stdout(dir.path(), &["check", "10k", "--things", "70", "--print-scenario"], 0);
    assert!(printed.contains("things = 70\n"), "{printed}");
    fs::write(dir.path().join("again.toml"), &printed).unwrap();
    assert_eq!(stdout(dir.path(), &["check", "again.toml", "--print-scenario"], 0), printed);
}

#[test]
fn quotas_are_those_of_the_option_of_the_emulators_own_file_or_of_aws() {
    let dir = tempfile::tempdir().unwrap();
    let source = |args: &[&str]| {
        let json: Value = serde_json::from_str(&stdout(dir.path(), &[&["check"], args, &["--json"]].concat(), 0)).unwrap();
        let writes =
            json["quotas"]["rows"].as_array().unwrap().iter().find(|row| row["quota"] == "jobs.writes_per_second").cloned();
        (json["quotas"]["source"].as_str().unwrap().to_owned(), writes.unwrap()["limit"].clone())
    };
    fs::write(dir.path().join("mine.toml"), "[jobs]\nwrites_per_second = 7\n").unwrap();
    fs::write(dir.path().join("other.toml"), "[jobs]\nwrites_per_second = 8\n").unwrap();
    assert_eq!(source(&["smoke"]), ("aws".into(), 200.into()));
    assert_eq!(source(&["smoke", "--set", "target.emulator.quotas='none'"]), ("aws".into(), 200.into()));
    let own = ["smoke", "--set", "target.emulator.quotas='mine.toml'"];
    assert_eq!(source(&own), ("mine.toml".into(), 7.into()));
    assert_eq!(source(&[&own[..], &["--quotas", "other.toml"]].concat()), ("other.toml".into(), 8.into()));
    assert_eq!(source(&[&own[..], &["--quotas", "none"]].concat()), ("none".into(), Value::Null));
}

#[test]
fn prices_are_printed_to_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let printed = stdout(dir.path(), &["check", "--print-prices"], 0);
    let mine = printed.replace("region = \"us-east-1\"", "region = \"eu-central-1\"").replace("\"0.003\"", "\"0.5\"");
    fs::write(dir.path().join("prices.toml"), &mine).unwrap();
    let json: Value =
        serde_json::from_str(&stdout(dir.path(), &["check", "smoke", "--prices", "prices.toml", "--json"], 0)).unwrap();
    assert_eq!(json["cost"]["region"], "eu-central-1");
    let lines = json["cost"]["production"]["bill"]["lines"].as_array().unwrap();
    let actions = lines.iter().find(|line| line["item"] == "remote_actions").unwrap();
    assert_eq!((&actions["quantity"], &actions["amount"]), (&50.into(), &"25.00".into()));
}

#[test]
fn wrong_files_and_options_are_told_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let prices = stdout(dir.path(), &["check", "--print-prices"], 0);
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("negative.toml", &prices.replace("\"0.08\"", "\"-0.08\""));
    write("unknown.toml", &prices.replace("region = ", "regoin = "));
    write("quotas.toml", "[jobs]\nread_per_second = 5\n");
    write("bad.toml", "name = 'x'\nsede = 1\n");
    for (args, code, parts) in [
        (&["smoke", "--prices", "negative.toml"][..], 2, &["negative.toml:", "it is below 0"][..]),
        (&["smoke", "--prices", "unknown.toml"], 2, &["unknown key \"regoin\"", "did you mean \"region\"?", "region is missing"]),
        (&["smoke", "--prices", "nowhere.toml"], 2, &["--prices: failed to read nowhere.toml", "--print-prices"]),
        (&["smoke", "--quotas", "quotas.toml"], 2, &["--quotas", "quotas.toml:2:", "did you mean \"reads_per_second\"?"]),
        (&["smoke", "--quotas", "nowhere.toml"], 2, &["nowhere.toml", "known are none, aws, or a file"]),
        (&["bad.toml"], 104, &["did you mean \"seed\"?"]),
        (&[], 2, &["SCENARIO"]),
        (&["--strict"], 2, &["SCENARIO"]),
        (&["smoke", "--json", "--csv"], 2, &["--csv"]),
        (&["smoke", "--print-scenario", "--strict"], 2, &["--strict"]),
    ] {
        let told = stderr(dir.path(), &[&["check"], args].concat(), code);
        for part in parts {
            assert!(told.contains(part), "{args:?}: {part}: {told}");
        }
    }
}

#[test]
fn a_host_that_is_too_small_is_an_error_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let output = fleetsim(dir.path(), &["check", "smoke", "--things", "900000"]);
    assert_eq!(output.status.code(), Some(1));
    for told in [text(&output.stdout), text(&output.stderr)] {
        assert!(told.contains("900100 needed") && told.contains("--things"), "{told}");
    }
}

#[test]
fn a_quota_that_is_passed_fails_where_it_is_to() {
    let dir = tempfile::tempdir().unwrap();
    let report = stdout(dir.path(), &["check", "smoke"], 0);
    assert!(report.starts_with("smoke: it does not fit: jobs.rollout_per_minute breaks first"), "{report}");
    assert!(
        report.contains("because of rollout \"fw-smoke\" rate = \"1200/min\" (about 1,200); \"1000/min\" would fit"),
        "{report}"
    );
    stdout(dir.path(), &["check", "smoke", "--strict"], 99);
    stdout(dir.path(), &[&FITTING[..], &["--strict"]].concat(), 0);
    stdout(dir.path(), &["check", "smoke", "--strict", "--quotas", "none"], 0);
}

#[test]
fn a_peak_that_is_counted_is_held_against_its_quota() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("small.toml"), "[jobs]\nwrites_per_second = 2\n").unwrap();
    let small = [&FITTING[..], &["--quotas", "small.toml"]].concat();
    let report = stdout(dir.path(), &small, 0);
    assert!(report.starts_with("smoke: it does not fit: jobs.writes_per_second breaks first"), "{report}");
    stdout(dir.path(), &[&small[..], &["--strict"]].concat(), 99);
}

/// On a machine that is busy with other work it says so, and exits with 98.
#[test]
fn a_machine_is_measured_or_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let output = fleetsim(dir.path(), &["check", "smoke", "--calibrate", "--json"]);
    let json: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    match output.status.code() {
        Some(0) => {
            let sizing = &json["sizing"];
            assert!(sizing["machines"].as_u64() >= Some(1), "{sizing}");
            for process in ["generator", "endpoint"] {
                let process = &sizing["calibration"][process];
                assert!(process["messages_per_core"].as_f64() > Some(10.0), "{process}");
                assert!(process["connects_per_core"].as_f64() > Some(1.0), "{process}");
                assert!((1_000..10_000_000).contains(&process["bytes_per_thing"].as_u64().unwrap()), "{process}");
            }
        }
        Some(98) => {
            let told = text(&output.stderr);
            assert!(told.contains("busy with other work") || told.contains("was no evidence"), "{told}");
            assert!(json["sizing"].is_null());
        }
        code => panic!("{code:?}: {}", text(&output.stderr)),
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is left behind");
}
