//! What happens to a fleet on purpose: who loses its session, how all come back, and what is said of it.

use super::bench::{Bench, Guard};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

/// Things that are at work for a while, and come back quickly.
const FLEET: &str = "
name = 'events'
seed = 5
[fleet]
things = 20
connect = { arrival = 'burst' }
reconnect = { policy = 'fixed', base = '100ms' }
timeouts = { connect = '5s', answer = '5s' }
[[cohort]]
name = 'near'
share = 0.5
[[cohort]]
name = 'far'
share = 0.5
[behavior.quick]
reaction = 'uniform(0s, 300ms)'
updates = 4
step = '1s'
[[rollout]]
job = 'fw-1'
after = 'connected'
rate = '100/s'
document = {}
[end]
limit = '60s'
[thresholds]
'executions.lost' = '== 0'
'events.away' = '== 0'
";

/// A row of `events.csv`: numbers as numbers, what is empty as `None`.
struct Row {
    kind: String,
    affected: u64,
    back: u64,
    failures: u64,
    over_ms: f64,
    back_ms: Option<f64>,
    recovery_ms_max: Option<f64>,
    attempts: u64,
}

fn rows(bench: &Bench) -> Vec<Row> {
    let columns = ["kind", "affected", "back", "failures", "over_ms", "back_ms", "recovery_ms_max", "peak_attempts_per_s"];
    let row = |cells: Vec<String>| {
        let whole = |n: usize| cells[n].parse().unwrap();
        let time = |n: usize| (!cells[n].is_empty()).then(|| cells[n].parse().unwrap());
        Row {
            kind: cells[0].clone(),
            affected: whole(1),
            back: whole(2),
            failures: whole(3),
            over_ms: time(4).unwrap(),
            back_ms: time(5),
            recovery_ms_max: time(6),
            attempts: whole(7),
        }
    };
    bench.cells("out/events.csv", &columns).into_iter().map(row).collect()
}

/// Runs the fleet with these events: all is well at its end, both ledgers agree, and every execution has ended well.
#[track_caller]
fn run(events: &str, more: &[&str]) -> (Bench, String) {
    let bench = Bench::new();
    fs::write(bench.path("events.toml"), format!("{FLEET}{events}")).unwrap();
    let output = bench.run(&[&["run", "events.toml", "--ui", "plain", "--out", "out"], more].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(bench.code(output.status), Some(0), "{told}\n{}", bench.text("out/run.json"));
    let ends = bench.cells("out/executions.csv", &["status", "anomaly"]);
    assert_eq!(ends.len(), 20);
    assert!(ends.iter().all(|row| row[0] == "SUCCEEDED" && row[1].is_empty()), "{ends:?}");
    assert_eq!(bench.run(&["report", "out"]).status.code(), Some(0), "the ledgers agree");
    (bench, told)
}

fn error(bench: &Bench, code: &str) -> u64 {
    let rows = bench.cells("out/errors.csv", &["code", "count"]);
    rows.iter().filter(|row| row[0] == code).map(|row| row[1].parse::<u64>().unwrap()).sum()
}

#[test]
fn a_share_that_is_disconnected_stays_away_as_long_as_it_is_told_to() {
    let (bench, told) = run("[[event]]\nat = '3s'\nkind = 'disconnect'\nshare = 0.25\nfor = '1s'\n", &[]);
    let [row] = &rows(&bench)[..] else { panic!("one event") };
    assert_eq!((&*row.kind, row.affected, row.back, row.failures), ("disconnect", 5, 5, 0));
    assert!((1_100.0..8_000.0).contains(&row.back_ms.unwrap()), "a second, and the first wait: {:?}", row.back_ms);
    assert_eq!(error(&bench, "cut"), 5);
    assert!(told.contains("event 1 (disconnect): 5 things lose their connections and stay away for 1s"), "{told}");
    assert!(told.contains("event 1 (disconnect): all 5 things are back"), "{told}");
    let reconnects = bench.cells("out/executions.csv", &["reconnects"]);
    assert_eq!(reconnects.iter().filter(|row| row[0] == "1").count(), 5, "they were at work, and went on with it");
}

#[test]
fn in_an_outage_every_attempt_fails_until_it_is_over() {
    let (bench, told) = run("[[event]]\nat = '2s'\nkind = 'outage'\ncohort = 'far'\nfor = '1s'\n", &[]);
    let [row] = &rows(&bench)[..] else { panic!("one event") };
    assert_eq!((&*row.kind, row.affected, row.back), ("outage", 10, 10));
    // One every 100 ms at most, and each thing begins with a wait; how close they come to that is for `scripts/prove outage-pace`.
    assert!((20..=100).contains(&row.failures), "{}", row.failures);
    assert_eq!((error(&bench, "outage"), error(&bench, "cut")), (row.failures, 10));
    assert!(row.back_ms.unwrap() >= 1_000.0 && row.recovery_ms_max.unwrap() < 20_000.0);
    assert!(row.attempts <= 40, "all of them want to come back, and none goes on once it is: {}", row.attempts);
    assert!(told.contains("event 1 (outage): the event is over"), "{told}");
}

#[test]
fn in_a_storm_things_come_back_without_waiting_for_their_policy() {
    let policy = ["--set", "fleet.reconnect={ policy = 'fixed', base = '20s' }"];
    let (bench, _) = run("[[event]]\nat = '2s'\nkind = 'reconnect-storm'\n", &policy);
    let [row] = &rows(&bench)[..] else { panic!("one event") };
    assert_eq!((row.affected, row.back, row.attempts), (20, 20, 20));
    assert!(row.back_ms.unwrap() < 5_000.0, "{:?}", row.back_ms);
}

#[test]
fn an_endpoint_that_restarts_keeps_what_it_knows_and_everything_goes_on() {
    let (bench, told) = run("[[event]]\nat = '3s'\nkind = 'endpoint-restart'\nfor = '1s'\n", &[]);
    let [row] = &rows(&bench)[..] else { panic!("one event") };
    assert_eq!((&*row.kind, row.affected, row.back), ("endpoint-restart", 20, 20));
    assert!(row.failures >= 100 && error(&bench, "connection_refused") >= 100, "nobody listens meanwhile: {}", row.failures);
    assert!((4_000.0..10_000.0).contains(&row.over_ms), "{}", row.over_ms);
    assert!(told.contains("event 1 (endpoint-restart): the endpoint is back, pid"), "{told}");
    assert!(!bench.path("out/endpoint.state").exists(), "its state is of no use any more");
    let usage = bench.cells("out/timeseries.csv", &["endpoint_rss_bytes"]);
    assert!(
        usage.iter().any(|row| row[0].is_empty()) && !usage[usage.len() - 2][0].is_empty(),
        "away, and watched again: {usage:?}"
    );
    let header = bench.text("out/service_ledger.csv").lines().filter(|line| line.starts_with("mono_ns")).count();
    assert_eq!(header, 1, "one ledger, that goes on");
}

#[test]
fn freeze_restart_and_outage_on_one_timetable() {
    let events = "
        [[event]]
        at = '6s'
        kind = 'outage'
        share = 0.5
        for = '1s'
        [[event]]
        at = '1500ms'
        kind = 'endpoint-freeze'
        for = '500ms'
        [[event]]
        at = '2s'
        kind = 'endpoint-restart'
        for = '1s'
        [[event]]
        at = '6500ms'
        kind = 'disconnect'
        for = '1s'
    ";
    let (bench, _) = run(events, &[]);
    let rows = rows(&bench);
    let kinds: Vec<&str> = rows.iter().map(|row| &*row.kind).collect();
    assert_eq!(kinds, ["outage", "endpoint-freeze", "endpoint-restart", "disconnect"], "in the order of the scenario");
    let affected: Vec<u64> = rows.iter().map(|row| row.affected).collect();
    assert_eq!(affected, [10, 0, 20, 10], "who is away has no session to lose");
    assert!(rows.iter().all(|row| row.back == row.affected));
    let manifest = bench.manifest("out");
    assert_eq!(manifest["events"][2]["affected"], 20);
    // The outage is over in the middle of the disconnect, which holds its things back as well.
    assert!(rows[0].back_ms.unwrap() >= 1_500.0, "{:?}", rows[0].back_ms);
}

#[test]
fn who_is_hit_is_the_same_for_any_number_of_shards() {
    let hit = |shards: &str| {
        let (bench, _) = run("[[event]]\nat = '3s'\nkind = 'disconnect'\nshare = 0.3\n", &["--shards", shards]);
        let mut things = bench.cells("out/executions.csv", &["thing", "reconnects"]);
        things.sort();
        things
    };
    assert_eq!(hit("1"), hit("2"));
}

#[test]
fn things_that_are_not_back_at_the_end_are_told() {
    let bench = Bench::new();
    let end =
        "[[event]]\nat = '1s'\nkind = 'outage'\nshare = 0.5\nfor = '10s'\n[[event]]\nat = '2s'\nkind = 'disconnect'\nshare = 0.2\n";
    let fleet = FLEET.replace("limit = '60s'", "duration = '4s'");
    fs::write(bench.path("events.toml"), format!("{fleet}{end}")).unwrap();
    let output = bench.run(&["run", "events.toml", "--ui", "none", "--out", "out", "--set", "cohort.far.reconnect.base='30s'"]);
    assert_eq!(bench.code(output.status), Some(99), "events.away fails");
    let manifest = bench.manifest("out");
    let findings: Vec<&str> = manifest["findings"].as_array().unwrap().iter().map(|finding| finding.as_str().unwrap()).collect();
    assert!(findings.contains(&"the run ended before event 1 (outage) was over"), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.contains("things were not back from event 2 (disconnect)")), "{findings:?}");
    let away = manifest["thresholds"].as_array().unwrap().iter().find(|threshold| threshold["metric"] == "events.away").unwrap();
    assert!(away["value"].as_f64().unwrap() >= 10.0 && away["holds"] == false, "{away}");
}

#[test]
fn a_run_waits_for_its_events_and_for_everybody_to_be_back() {
    let late = "[[event]]\nat = '6s'\nkind = 'disconnect'\nshare = 0.5\n";
    let (bench, _) = run(late, &["--set", "behavior.quick.updates=0"]);
    let [row] = &rows(&bench)[..] else { panic!("one event") };
    assert_eq!((row.affected, row.back), (10, 10), "though all executions were done long before");
}

#[test]
fn an_outage_needs_no_help_of_the_target_and_persistent_sessions_go_on_after_it() {
    let bench = Bench::new();
    let mut serve = Guard(bench.spawn(&["serve", "--dir", "pki", "--mqtt-port", "0", "--api-port", "0", "--things", "6"]));
    let mut line = String::new();
    BufReader::new(serve.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = ready["mqtt"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let scenario = "
        name = 'm'
        [target]
        kind = 'mqtt'
        [fleet]
        things = 6
        reconnect = { policy = 'fixed', base = '100ms' }
        [[cohort]]
        name = 'old'
        share = 0.5
        [[cohort]]
        name = 'new'
        share = 0.5
        transport = 'mqtt5'
        clean_session = false
        [[event]]
        at = '1s'
        kind = 'reconnect-storm'
        [[event]]
        at = '2s'
        kind = 'outage'
        for = '1s'
        [end]
        idle = '1s'
        limit = '30s'
    ";
    fs::write(bench.path("m.toml"), scenario).unwrap();
    let target = ["--host", "127.0.0.1", "--port", &port, "--ca", "pki/ca.cert.pem"];
    let certificates = ["--cert", "pki/things/{thing}.cert.pem", "--key", "pki/things/{thing}.key.pem"];
    let output = bench.run(&[&["run", "m.toml", "--ui", "none", "--out", "out"][..], &target, &certificates].concat());
    assert_eq!(bench.code(output.status), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<_> = rows(&bench).iter().map(|row| (row.kind.clone(), row.affected, row.back)).collect();
    assert_eq!(told, [("reconnect-storm".to_owned(), 6, 6), ("outage".to_owned(), 6, 6)]);
    assert!(error(&bench, "outage") >= 12);
    let subscribed = bench.cells("out/summary.csv", &["scope", "operation", "ok"]);
    let of = |operation: &str| subscribed.iter().find(|row| row[0] == "all" && row[1] == operation).unwrap()[2].clone();
    assert_eq!((&*of("connect"), &*of("subscribe")), ("18", "12"), "three of six need not subscribe again, twice");
    serve.signal(rustix::process::Signal::TERM);
    assert_eq!(serve.wait(Duration::from_secs(10)), 0);
}
