//! Whole runs over each transport, with sessions that end with their connections and such that do not.

use crate::bench::{Bench, Guard, seconds, wait_until};
use crate::reconcile;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Two cohorts of eight things each, one of each transport; `more` is laid over it.
const MIXED: &str = r#"
name = "mixed"
seed = 3

[fleet]
things = 16
connect = { rate = "200/s" }
reconnect = { policy = "fixed", base = "300ms", cap = "300ms" }
timeouts = { answer = "5s" }

[[cohort]]
name = "old"
share = 0.5
transport = "mqtt"

[[cohort]]
name = "new"
share = 0.5
transport = "mqtt5"

[behavior.quick]
reaction = "uniform(0s, 100ms)"
updates = 3
step = "500ms"

[[rollout]]
job = "fw"
rate = "60000/min"
document = { operation = "x" }

[end]
limit = "30s"

[thresholds]
"executions.lost" = "== 0"
"#;

fn run(sets: &[&str]) -> Bench {
    let bench = Bench::new();
    std::fs::write(bench.path("mixed.toml"), MIXED).unwrap();
    let mut args = vec!["run", "mixed.toml", "--ui", "none", "--out", "out"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    let output = bench.run(&args);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = bench.cells("out/executions.csv", &["status", "anomaly"]);
    assert_eq!(rows.len(), 16);
    assert!(rows.iter().all(|row| row[0] == "SUCCEEDED" && row[1].is_empty()), "{rows:?}");
    assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "the ledgers agree");
    bench
}

fn scopes(bench: &Bench, file: &str) -> BTreeSet<String> {
    bench.cells(file, &["scope"]).into_iter().map(|mut row| row.remove(0)).collect()
}

/// A count of an operation in a scope.
fn count(bench: &Bench, scope: &str, operation: &str, column: &str) -> u64 {
    let rows = bench.cells("out/summary.csv", &["scope", "operation", column]);
    let row = rows.iter().find(|row| row[0] == scope && row[1] == operation);
    row.unwrap_or_else(|| panic!("no {operation} of {scope}"))[2].parse().unwrap()
}

#[test]
fn cohorts_may_differ_in_their_transport_and_each_is_a_scope() {
    let bench = run(&[]);
    let expected = ["all", "cohort:new", "cohort:old", "transport:mqtt", "transport:mqtt5"].map(str::to_owned);
    assert_eq!(scopes(&bench, "out/summary.csv"), expected.clone().into());
    assert_eq!(scopes(&bench, "out/operations.csv"), expected.into());
    for (scope, cohort) in [("transport:mqtt", "cohort:old"), ("transport:mqtt5", "cohort:new")] {
        for (operation, ok) in [("connect", 8), ("subscribe", 8), ("execution", 8), ("update", 32)] {
            assert_eq!((count(&bench, scope, operation, "ok"), count(&bench, cohort, operation, "ok")), (ok, ok), "{operation}");
        }
    }
}

#[test]
fn a_fleet_of_mqtt_5_alone_names_no_other_transport() {
    let bench = run(&["cohort.old.transport='mqtt5'"]);
    let expected = ["all", "cohort:new", "cohort:old", "transport:mqtt5"].map(str::to_owned);
    assert_eq!(scopes(&bench, "out/summary.csv"), expected.into());
    assert_eq!(count(&bench, "transport:mqtt5", "connect", "ok"), 16);
}

/// Connections that live half a second: things of the one cohort find their sessions again, those of the other begin anew.
#[test]
fn a_persistent_session_is_subscribed_once_however_often_its_connection_ends() {
    for transport in ["mqtt", "mqtt5"] {
        let transports = ["old", "new"].map(|cohort| format!("cohort.{cohort}.transport='{transport}'"));
        let bench = run(&[
            &transports[0],
            &transports[1],
            "cohort.old.clean_session=false",
            "target.emulator.disconnect={ every = '700ms' }",
        ]);
        let of = |cohort: &str, operation: &str| count(&bench, &format!("cohort:{cohort}"), operation, "ok");
        assert!(of("old", "reconnect") >= 8 && of("new", "reconnect") >= 8);
        assert_eq!(of("old", "subscribe"), 8, "{transport}: once each");
        assert_eq!(of("new", "subscribe"), of("new", "connect"), "{transport}: every time");
    }
}

/// The job is created while the things are away. What is kept for them tells them of it once they are back; a clean session is told
/// nothing, and its thing learns of the job since it asks.
#[test]
fn what_is_published_while_a_thing_is_away_waits_for_it() {
    for transport in ["mqtt", "mqtt5"] {
        let transports = ["old", "new"].map(|cohort| format!("cohort.{cohort}.transport='{transport}'"));
        let bench = run(&[
            &transports[0],
            &transports[1],
            "cohort.old.clean_session=false",
            // Connected until 1.5 s after its CONNACK, then away for 4 s; the job is created in between.
            "target.emulator.disconnect={ every = '1500ms' }",
            "fleet.connect.rate='10000/s'",
            "fleet.reconnect={ policy = 'fixed', base = '4s', cap = '4s' }",
            "rollout.fw.after='connected'",
            "rollout.fw.delay='2s'",
            "behavior.quick.updates=0",
        ]);
        let told = |cohort: &str| {
            let rows = bench.cells("out/summary.csv", &["scope", "operation", "ok"]);
            let row = rows.iter().find(|row| row[0] == format!("cohort:{cohort}") && row[1] == "first_notification");
            row.map_or(0, |row| row[2].parse::<u64>().unwrap())
        };
        assert_eq!((told("old"), told("new")), (8, 0), "{transport}");
    }
}

#[test]
fn telemetry_goes_on_beside_the_jobs_and_is_told_by_transport() {
    let bench = run(&["telemetry={ topic = 'dt/{thing}/state', every = '200ms', jitter = 0.5, bytes = 'uniform(10, 2000)' }"]);
    let of = |scope: &str, column: &str| count(&bench, scope, "telemetry", column);
    for scope in ["transport:mqtt", "transport:mqtt5"] {
        assert!(of(scope, "ok") >= 8 * 5, "{scope}");
    }
    for column in ["started", "ok", "open", "lost_arrivals"] {
        assert_eq!(of("all", column), of("transport:mqtt", column) + of("transport:mqtt5", column), "{column}");
    }
    let [started, ok, open, lost] = ["started", "ok", "open", "lost_arrivals"].map(|column| of("all", column));
    assert_eq!(started, ok + open, "nothing broke");
    // What came due before a thing was subscribed, and what a busy machine was too late for.
    assert!(lost <= started, "{lost} lost, {started} sent");
}

/// Messages without end are no work: a run that ends when nothing happens any more ends.
#[test]
fn telemetry_keeps_no_run_from_being_idle() {
    let bench = Bench::new();
    let scenario = "name = 'idle'\n[fleet]\nthings = 4\n[telemetry]\ntopic = 'dt/{thing}'\nevery = '50ms'\n[end]\nidle = '2s'\nlimit = '20s'\n";
    std::fs::write(bench.path("idle.toml"), scenario).unwrap();
    let output = bench.run(&["run", "idle.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(count(&bench, "all", "telemetry", "ok") >= 4 * 30);
}

// --------------------------------------------------------------------------------------------------------- every way in

/// Every way in.
const TRANSPORTS: [&str; 5] = ["mqtt", "mqtt5", "mqtt-ws", "https-mtls", "https-sigv4"];

/// Runs a shipped scenario, other than it is shipped; its summary.
fn run_shipped(bench: &Bench, name: &str, things: usize, sets: &[&str]) -> String {
    let things = things.to_string();
    let mut args = vec!["run", name, "--things", &things, "--ui", "plain", "--out", "out"];
    sets.iter().for_each(|set| args.extend(["--set", set]));
    let output = bench.run(&args);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_transport_has_its_summary_and_all_of_them_the_same_operations() {
    let bench = Bench::new();
    let quick = [
        "behavior.ota={ step = '100ms', reaction = '0s' }",
        "cohort.https.poll.every='500ms'",
        "cohort.signing.poll.every='500ms'",
        "rollout.fw-2-4-1.rate='6000/s'",
    ];
    let text = run_shipped(&bench, "mixed-transports", 100, &quick);
    let told: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("over ")).collect();
    assert_eq!(told, TRANSPORTS, "{text}");
    let rows = bench.cells("out/summary.csv", &["scope", "operation", "ok", "error"]);
    let ok = |transport: &str, operation: &str| {
        let scope = format!("transport:{transport}");
        let row = rows.iter().find(|row| row[0] == scope && row[1] == operation);
        row.map_or(0, |row| row[2].parse::<u64>().unwrap())
    };
    for (transport, things) in TRANSPORTS.into_iter().zip([30, 30, 20, 10, 10]) {
        for operation in ["connect", "connect_tcp", "connect_tls", "execution"] {
            assert_eq!(ok(transport, operation), things, "{transport} {operation}");
        }
        assert_eq!(ok(transport, "update"), 4 * things, "{transport}");
        let is_http = transport.starts_with("https");
        assert_eq!(ok(transport, "subscribe"), if is_http { 0 } else { things }, "{transport}");
        assert_eq!(ok(transport, "describe") >= things, is_http, "{transport}: only who is not told asks");
    }
    reconcile(&bench);
}

#[test]
fn things_fail_on_purpose_over_https_as_over_mqtt() {
    const FAULTY: &str = r#"
name = "faulty"
seed = 5
[fleet]
things = 40
transport = "https-mtls"
connect = { rate = "100/s" }
reconnect = { policy = "fixed", base = "200ms", cap = "200ms" }
retry = { policy = "fixed", base = "100ms", cap = "100ms" }
[[cohort]]
name = "all"
poll = { every = "500ms" }
[behavior.faulty]
reaction = "0s"
updates = 2
step = "200ms"
[behavior.faulty.faults]
crash_in_progress = { share = 0.2, away = "300ms" }
stale_version = { share = 0.1 }
duplicate_update = { share = 0.1 }
update_after_terminal = { share = 0.2 }
oversized_details = { share = 0.1 }
control_character_details = { share = 0.1 }
bad_json = { share = 0.1 }
expired_certificate = { share = 0.2, attempts = 2 }
[[rollout]]
job = "fw"
rate = "60000/min"
document = {}
[end]
limit = "40s"
"#;
    let bench = Bench::new();
    std::fs::write(bench.path("faulty.toml"), FAULTY).unwrap();
    let output = bench.run(&["run", "faulty.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = bench.cells("out/executions.csv", &["status", "anomaly"]);
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row[0] == "SUCCEEDED"), "{rows:?}");
    let errors = bench.cells("out/errors.csv", &["operation", "kind", "code", "count"]);
    let count = |operation: &str, kind: &str, code: &str| {
        let row = errors.iter().find(|row| row[0] == operation && row[1] == kind && row[2] == code);
        row.map_or(0, |row| row[3].parse::<u64>().unwrap())
    };
    for fault in ["stale_version", "duplicate_update", "oversized_details", "control_character_details", "bad_json"] {
        assert!(count("update", "fault", fault) > 0, "{fault}: {errors:?}");
    }
    for fault in ["crash_in_progress", "update_after_terminal"] {
        assert!(count("execution", "fault", fault) > 0, "{fault}: {errors:?}");
    }
    // An expired certificate is refused after the handshake, as far as the thing is concerned.
    let expired = count("connect", "fault", "expired_certificate");
    let refused: u64 = ["refused", "lost"].map(|kind| count("connect", kind, "tls_alert")).iter().sum();
    assert!(expired > 0 && refused == expired, "{errors:?}");
    reconcile(&bench);
}

#[test]
fn files_are_fetched_beside_a_connection_of_https_too() {
    let bench = Bench::new();
    let quick = [
        "fleet.transport='https-mtls'",
        "cohort.verifying.poll={ every = '500ms' }",
        "cohort.trusting.poll={ every = '500ms' }",
        "behavior.ota={ reaction = '0s', updates = 1, step = '3s' }",
        "rollout.fw-3-0-0.artifact.bytes=50_000",
        "rollout.fw-3-0-1.artifact.bytes=50_000",
        "rollout.fw-3-0-2.artifact.bytes=50_000",
        "thresholds={ 'download.response_ms.p99' = '< 10000' }",
    ];
    run_shipped(&bench, "signed-firmware", 20, &quick);
    let status = |job: &str| -> BTreeSet<String> {
        let rows = bench.cells("out/executions.csv", &["job", "cohort", "status"]);
        rows.into_iter().filter(|row| row[0] == job && row[1] == "verifying").map(|mut row| row.remove(2)).collect()
    };
    let only = |status: &str| BTreeSet::from([status.to_owned()]);
    assert_eq!(status("fw-3-0-0"), only("SUCCEEDED"));
    assert_eq!(status("fw-3-0-1"), only("REJECTED"));
    assert_eq!(status("fw-3-0-2"), only("FAILED"));
    reconcile(&bench);
}

/// Things that ask once a second, and wait 400 ms for each answer.
const ASKING: &str = r#"
name = "asking"
seed = 5

[target.emulator]
latency = "400ms"

[fleet]
things = 40
connect = { rate = "200/s" }
timeouts = { answer = "3s" }

[[cohort]]
name = "all"
workflow = "poll"
poll = { every = "1s", jitter = 0 }

[end]
duration = "12s"
"#;

/// A generator that is stopped for longer than any answer may take.
fn stopped_over(transport: &str) {
    let bench = Bench::new();
    std::fs::write(bench.path("asking.toml"), ASKING).unwrap();
    let transport = format!("fleet.transport='{transport}'");
    let mut run = Guard(bench.spawn(&["run", "asking.toml", "--ui", "none", "--out", "out", "--set", &transport]));
    wait_until("all of them ask", || seconds(&bench) > 2);
    run.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(5));
    run.signal(Signal::CONT);
    assert!(matches!(run.wait(Duration::from_secs(60)), 0 | 98));
    let polls = bench.cells("out/summary.csv", &["operation", "scope", "timeout", "service_ms_max"]);
    let polls = polls.iter().find(|row| row[0] == "describe" && row[1] == "all").expect("a row of polls");
    assert_eq!(polls[2], "0", "{polls:?}");
    assert!(polls[3].parse::<f64>().unwrap() < 3_000.0, "{polls:?}");
}

#[test]
fn answers_that_came_in_time_to_a_generator_that_was_stopped_are_in_time() {
    stopped_over("mqtt");
}

#[test]
fn so_are_those_over_https() {
    stopped_over("https-mtls");
}
