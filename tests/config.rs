//! `fleetsim serve --config`: one file holds the endpoint's shape, flags change it, and a run starts its own endpoint that way.

mod common;

use common::Endpoint;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn fleetsim(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetsim")).args(arguments).current_dir(dir).output().unwrap()
}

fn printed(dir: &Path, arguments: &[&str]) -> String {
    let output = fleetsim(dir, &[&["serve", "--print-config"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every flag of the endpoint's shape.
const FLAGS: [&str; 31] = [
    "--quotas",
    "aws",
    "--minute",
    "2s",
    "--rollout",
    "burst",
    "--session-expiry",
    "2h",
    "--keep-alive-min",
    "1s",
    "--auto-register",
    "--tls-resumption",
    "--latency",
    "uniform(2ms, 8ms)",
    "--server",
    "exp(20ms)",
    "--server-workers",
    "2",
    "--reject",
    "0.5",
    "--reject-codes",
    "InternalError,RequestThrottled",
    "--drop",
    "1",
    "--disconnect",
    "exp(10m)",
    "--notification-delay",
    "uniform(0s, 1s)",
    "--notification-shuffle",
    "--seed",
    "7",
];

const SHAPE: &str = r#"quotas = "aws"
minute = "2s"
rollout = "burst"
session_expiry = "2h"
keep_alive_min = "1s"
auto_register = true
tls_resumption = true
seed = 7
latency = "uniform(2ms, 8ms)"

[server]
workers = 2
service = "exp(20ms)"

[reject]
share = 0.5
codes = ["InternalError", "RequestThrottled"]

[drop]
share = 1.0

[disconnect]
every = "exp(10m)"

[notifications]
delay = "uniform(0s, 1s)"
shuffle = true
"#;

#[test]
fn every_flag_is_a_key_and_what_is_printed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(printed(dir.path(), &FLAGS), SHAPE);
    std::fs::write(dir.path().join("endpoint.toml"), SHAPE).unwrap();
    assert_eq!(printed(dir.path(), &["--config", "endpoint.toml"]), SHAPE);
    let plain = printed(dir.path(), &[]);
    assert_eq!(plain, "quotas = \"none\"\nminute = \"1m\"\nrollout = \"smooth\"\n");
    std::fs::write(dir.path().join("plain.toml"), &plain).unwrap();
    assert_eq!(printed(dir.path(), &["--config", "plain.toml"]), plain);
}

#[test]
fn flags_change_single_values_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("endpoint.toml"), SHAPE).unwrap();
    let flags = ["--server-workers", "5", "--reject-codes", "InternalError", "--tls-resumption=false", "--seed", "8"];
    let changed = printed(dir.path(), &[&["--config", "endpoint.toml"][..], &flags].concat());
    let expected = SHAPE
        .replace("workers = 2", "workers = 5")
        .replace("\"InternalError\", \"RequestThrottled\"", "\"InternalError\"")
        .replace("tls_resumption = true", "tls_resumption = false")
        .replace("seed = 7", "seed = 8");
    assert_eq!(changed, expected);
}

#[test]
fn what_is_wrong_is_told_of_the_flag_or_of_the_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wrong.toml"), "minute = \"1s\"\nlatenzy = \"5ms\"\nserver = {}\n").unwrap();
    std::fs::write(dir.path().join("no.toml"), "minute = \n").unwrap();
    std::fs::write(dir.path().join("lost.toml"), "quotas = \"nowhere.toml\"\n").unwrap();
    std::fs::write(dir.path().join("good.toml"), "minute = \"1s\"\n").unwrap();
    for (arguments, code, says) in [
        (&["--config", "wrong.toml"][..], 104, &["wrong.toml:2:", "did you mean \"latency\"?", "server.service is missing"][..]),
        (&["--config", "wrong.toml", "--minute", "0s"], 2, &["--minute 0s", "100ms to 1h", "did you mean \"latency\"?"]),
        (&["--config", "no.toml"], 104, &["no.toml:1:", "not TOML"]),
        (&["--config", "nowhere.toml"], 104, &["failed to read the endpoint's configuration nowhere.toml"]),
        (&["--config", "lost.toml"], 104, &["quotas: failed to read nowhere.toml"]),
        (&["--config", "lost.toml", "--quotas", "asw"], 2, &["--quotas: failed to read ./asw", "known are none, aws, or a file"]),
        (&["--config", "good.toml", "--latency", "soon"], 2, &["--latency soon", "not a distribution", "exp(30s)"]),
        (&["--server-workers", "2"], 2, &["--server-workers 2", "server.service is missing"]),
        (&["--server", "1ms", "--server-workers", "0"], 2, &["--server-workers 0", "1 to 1024"]),
        (&["--reject", "1.5"], 2, &["--reject 1.5", "0 to 1"]),
        (
            &["--reject", "0.5", "--reject-codes", "InternalError,Throttled"],
            2,
            &["--reject-codes InternalError,Throttled", "known: "],
        ),
        (&["--notification-delay", "1s", "--notification-shuffle"], 2, &["--notification-delay 1s", "needs a delay that varies"]),
        (&["--disconnect", "0s"], 2, &["--disconnect 0s", "longer than 0s"]),
        (&["--seed", "-1"], 2, &["-1"]),
        (&["--rollout", "bursts"], 2, &["--rollout", "smooth, burst"]),
    ] {
        for command in [&["serve", "--dir", "d"][..], &["serve", "--print-config"]] {
            let output = fleetsim(dir.path(), &[command, arguments].concat());
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(code), true), "{arguments:?}: {message}");
            assert!(says.iter().all(|part| message.contains(part)), "{arguments:?}: {message}");
        }
    }
    assert!(!dir.path().join("d").exists(), "nothing was begun");
}

#[test]
fn an_endpoint_is_what_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("endpoint.toml");
    std::fs::write(&file, "latency = \"300ms\"\nreject = { share = 1, codes = [\"InternalError\"] }\n").unwrap();
    let endpoint = Endpoint::with(&["--config", file.to_str().unwrap()]);
    let mut client = endpoint.connect("t-1");
    let start = Instant::now();
    let (topic, body) = client.request("get", &json!({}));
    assert_eq!((&*topic, &body["code"]), ("get/rejected", &json!("InternalError")));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_run_starts_its_endpoint_with_a_file_that_says_all() {
    let dir = tempfile::tempdir().unwrap();
    let shape = "minute = '2s'\nrollout = 'burst'\nsession_expiry = '2h'\nkeep_alive_min = '1s'\nauto_register = true\nquotas = 'aws'\n\
                 latency = '60ms'\nserver = { workers = 4, service = '2ms' }\nreject = { share = 0.2, codes = ['InternalError'] }\n\
                 drop = { share = 0.01 }\ndisconnect = { every = '10m' }\nnotifications = { delay = 'uniform(0s, 100ms)', shuffle = true }\n";
    let scenario = format!(
        "name = 'shaped'\nseed = 5\n[target.tls]\nresumption = true\n[target.emulator]\n{shape}\
         [fleet]\nthings = 8\nretry = {{ policy = 'fixed', base = '100ms' }}\ntimeouts = {{ answer = '2s' }}\n\
         [behavior.quick]\nreaction = '0s'\nupdates = 1\nstep = '100ms'\n[[rollout]]\njob = 'fw'\n[end]\nlimit = '40s'\n"
    );
    std::fs::write(dir.path().join("shaped.toml"), scenario).unwrap();
    let output = fleetsim(dir.path(), &["run", "shaped.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let written = std::fs::read_to_string(dir.path().join("out/endpoint.toml")).unwrap();
    let expected = format!("tls_resumption = true\nseed = 5\n{shape}");
    std::fs::write(dir.path().join("expected.toml"), expected).unwrap();
    assert_eq!(written, printed(dir.path(), &["--config", "expected.toml"]));
    let errors = std::fs::read_to_string(dir.path().join("out/errors.csv")).unwrap();
    assert!(errors.contains("InternalError"), "{errors}");
    let mut summary = csv::Reader::from_path(dir.path().join("out/summary.csv")).unwrap();
    let headers = summary.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = summary.records().map(Result::unwrap).collect();
    let start_next = rows.iter().find(|row| &row[0] == "all" && &row[1] == "start_next").unwrap();
    let fastest: f64 = start_next[column("service_ms_p50")].parse().unwrap();
    assert!(fastest >= 60.0, "the latency took effect: {fastest} ms");
}
