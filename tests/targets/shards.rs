//! One run of several processes, at an endpoint that they share.

use crate::account::{aws, run};
use crate::bench::{Bench, EACH_ITS_OWN, Guard, Serve, assert_code, in_account, mqtt};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const THINGS: usize = 200;
/// Until the start: processes that are not optimised, on a machine that is busy, have to be ready.
const READY_S: i64 = 15;
const WORLD: &str = "connect = { rate = '100/s' }\nreconnect = { policy = 'fixed', base = '100ms' }\n\
    [behavior.quick]\nreaction = 'uniform(0s, 300ms)'\nstep = '50ms'\nupdates = 2\n\
    outcome = { succeeded = 0.7, failed = 0.2, rejected = 0.1 }\n\
    [[cohort]]\nname = 'a'\nshare = 0.8\n[[cohort]]\nname = 'b'\nshare = 0.2\n\
    [[rollout]]\njob = 'fw-{n}'\ncount = 2\nevery = '1s'\nat = '3s'\ntargets = { share = 0.6 }\ndocument = { operation = 'x' }\n\
    [[event]]\nat = '5s'\nkind = 'disconnect'\nshare = 0.3\nfor = '1s'\n";

fn world() -> String {
    let scenario = aws(THINGS, "region = 'us-east-1'", "");
    let (head, tail) = scenario.split_once("[behavior.quick]").unwrap();
    let (_, end) = tail.split_once("[end]").unwrap();
    format!("{head}{WORLD}[end]{end}").replace("limit = '30s'", "limit = '60s'")
}

fn in_s(seconds: i64) -> String {
    (OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(&Rfc3339).unwrap()
}

fn shard(bench: &Bench, serve: &Serve, slice: &str, start_at: &str) -> Guard {
    let out = format!("shard-{}", slice.split('/').next().unwrap());
    let mut command =
        bench.command(&["run", "s.toml", "--ui", "none", "--yes", "--shard", slice, "--start-at", start_at, "--out", &out]);
    in_account(&mut command, serve);
    Guard(command.stderr(Stdio::inherit()).spawn().unwrap())
}

/// Its exit code; of a busy machine that of figures that are no evidence.
#[track_caller]
fn wait(run: &mut Guard, limit: Duration) -> Option<i32> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = run.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it did not end within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn rows(bench: &Bench, folder: &str, file: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(bench.path(folder).join(file)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let places: Vec<usize> = columns.iter().map(|column| headers.iter().position(|header| header == *column).unwrap()).collect();
    let rows = reader.records().map(Result::unwrap);
    let mut rows: Vec<Vec<String>> = rows.map(|row| places.iter().map(|place| row[*place].to_owned()).collect()).collect();
    rows.sort();
    rows
}

/// Thing, job and status of every execution; a job without the id of its run.
fn outcomes(bench: &Bench, folder: &str) -> Vec<Vec<String>> {
    let mut rows = rows(bench, folder, "executions.csv", &["thing", "job", "status"]);
    for row in &mut rows {
        row[1] = row[1].rsplit_once("-2").unwrap().0.to_owned();
    }
    rows
}

#[test]
fn four_shards_do_what_one_process_does() {
    let bench = Bench::new(THINGS);
    let things = THINGS.to_string();
    let serve = bench.serve(&["--things", &things]);
    assert!(matches!(run(&bench, &serve, &world(), |_| {}).status.code(), Some(0 | 98)), "{}", bench.text("out/run.json"));
    drop(serve);

    let serve = bench.serve(&["--things", &things]);
    let start_at = in_s(READY_S);
    let mut shards: Vec<Guard> = (0..4).map(|index| shard(&bench, &serve, &format!("{index}/4"), &start_at)).collect();
    for (index, shard) in shards.iter_mut().enumerate() {
        let code = wait(shard, Duration::from_secs(120));
        assert!(matches!(code, Some(0 | 98)), "{code:?}: {}", bench.text(&format!("shard-{index}/run.json")));
    }
    let folders = ["shard-0", "shard-1", "shard-2", "shard-3"];
    let merged = bench.run(&[&["merge", "whole"][..], &folders].concat());
    assert!(matches!(merged.status.code(), Some(0 | 98)), "{}", String::from_utf8_lossy(&merged.stderr));

    let merged_outcomes = outcomes(&bench, "whole");
    assert_eq!(merged_outcomes.len(), 2 * THINGS * 6 / 10);
    assert_eq!(merged_outcomes, outcomes(&bench, "out"), "the same outcome of every job on every thing");
    for (index, folder) in folders.iter().enumerate() {
        let of_slice = |row: &Vec<String>| row[0].strip_prefix("t-").unwrap().parse::<usize>().unwrap() % 4 == index;
        let own: Vec<_> = merged_outcomes.iter().filter(|row| of_slice(row)).cloned().collect();
        assert_eq!(outcomes(&bench, folder), own, "{folder} has its own things, and all of them");
    }
    let manifest: Value = serde_json::from_str(&bench.text("whole/run.json")).unwrap();
    assert_eq!((&manifest["mode"], &manifest["totals"]["things"]), (&"merged".into(), &THINGS.into()));
    assert_eq!(manifest["events"][0]["affected"], 60, "three tenths of the whole fleet");
    let connected = rows(&bench, "whole", "timeseries.csv", &["connected"]);
    assert!(connected.iter().any(|row| row[0] == things), "all of them at once: {connected:?}");
    let counts = |folder: &str| -> Vec<u64> {
        let rows = rows(&bench, folder, "summary.csv", &["scope", "operation", "ok"]);
        let all = rows.iter().filter(|row| row[0] == "all" && ["connect", "start_next", "update"].contains(&&*row[1]));
        all.map(|row| row[2].parse().unwrap()).collect()
    };
    let sums = folders.iter().map(|folder| counts(folder)).reduce(|a, b| a.iter().zip(b).map(|(a, b)| a + b).collect()).unwrap();
    assert_eq!(counts("whole"), sums);
    let report = bench.run(&["report", "whole"]);
    let summary = String::from_utf8(report.stdout).unwrap();
    assert!(report.status.success() && summary.contains("s (4 slices)"), "{summary}");
}

#[test]
fn a_shard_that_is_killed_is_named_and_counts_as_far_as_it_came() {
    let bench = Bench::new(8);
    let serve = bench.serve(&["--things", "8"]);
    let rest = "[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[telemetry]\ntopic = 'dt/{thing}'\nevery = '200ms'\n[end]\nduration = '6s'";
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 8, EACH_ITS_OWN, rest));
    let start_at = in_s(READY_S);
    let [mut first, mut second] = ["0/2", "1/2"].map(|slice| shard(&bench, &serve, slice, &start_at));
    let deadline = Instant::now() + Duration::from_secs(60);
    let seconds = || std::fs::read_to_string(bench.path("shard-1/timeseries.csv")).map_or(0, |text| text.lines().count());
    while seconds() < 4 {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    let early = bench.run(&["merge", "whole", "shard-0", "shard-1"]);
    assert!(assert_code(&early, 2).contains("shard-1 still goes on, as process"));
    second.0.kill().unwrap();
    second.0.wait().unwrap();
    assert!(matches!(wait(&mut first, Duration::from_secs(60)), Some(0 | 98)));
    let merged = bench.run(&["merge", "whole", "shard-0", "shard-1"]);
    assert_code(&merged, 98);
    let told = String::from_utf8(merged.stdout).unwrap();
    assert!(told.contains("slice 1/2 never finished: its process ended after second"), "{told}");
    let connected: Vec<Vec<String>> = rows(&bench, "whole", "timeseries.csv", &["connected"]);
    assert!(connected.iter().any(|row| row[0] == "8") && connected.iter().any(|row| row[0] == "4"), "{connected:?}");
}

#[test]
fn who_waits_for_the_start_can_be_interrupted_and_who_comes_late_is_told() {
    let bench = Bench::new(2);
    let serve = bench.serve(&["--things", "2"]);
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 2, EACH_ITS_OWN, "[end]\nduration = '1s'"));
    let late = ["run", "s.toml", "--shard", "0/2", "--start-at", &in_s(-5), "--out", "late"];
    let told = assert_code(&bench.run(&late), 2);
    assert!(told.contains("is past, by") && !bench.path("late").exists(), "{told}");
    let mut waiting = shard(&bench, &serve, "0/2", &in_s(3_600));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !bench.path("shard-0/scenario.toml").exists() {
        assert!(Instant::now() < deadline, "it does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Signals are listened for by the time that anything is brought up.
    std::thread::sleep(Duration::from_millis(500));
    rustix::process::kill_process(rustix::process::Pid::from_child(&waiting.0), rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&mut waiting, Duration::from_secs(30)), Some(105));
    let manifest: Value = serde_json::from_str(&bench.text("shard-0/run.json")).unwrap();
    assert_eq!((&manifest["verdict"], &manifest["shard"]["slice"]), (&"INTERRUPTED".into(), &"0/2".into()));
}
