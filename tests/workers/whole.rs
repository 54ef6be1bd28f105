//! What four workers do is what one process does.

use crate::bench::{Bench, create_job, mqtt};
#[cfg(feature = "aws")]
use crate::bench::{EACH_ITS_OWN, in_account};
use crate::nats::{Fleet, Nats, Process, on_this_host};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const THINGS: usize = 2_000;
/// Files that are a function of what was recorded, and so the same wherever that is merged.
const MERGED: [&str; 8] = [
    "histograms.hlog",
    "summary.csv",
    "operations.csv",
    "timeseries.csv",
    "executions.csv",
    "events.csv",
    "shards.csv",
    "service_ledger.csv",
];

/// An endpoint of the run's own, and a roll-out that begins once all of the fleet is connected, which only a leader can know.
fn scenario() -> String {
    format!(
        "name = 's'\nseed = 7\n[fleet]\nthings = {THINGS}\nthing_name = 't-{{index}}'\nconnect = {{ rate = '200/s' }}\n\
         [behavior.quick]\nreaction = 'uniform(0s, 2s)'\nstep = '50ms'\nupdates = 1\n\
         outcome = {{ succeeded = 0.7, failed = 0.2, rejected = 0.1 }}\n\
         [[cohort]]\nname = 'a'\nshare = 0.8\n[[cohort]]\nname = 'b'\nshare = 0.2\n\
         [[rollout]]\njob = 'fw'\nrate = '30000/min'\ntargets = {{ share = 0.4 }}\ndocument = {{ operation = 'x' }}\n[end]\nlimit = '90s'\n"
    )
}

fn rows<const N: usize>(bench: &Bench, file: &str, columns: [&str; N]) -> Vec<[String; N]> {
    let mut reader = csv::Reader::from_path(bench.path(file)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let places = columns.map(|name| headers.iter().position(|header| header == name).unwrap());
    let mut rows: Vec<_> = reader.records().map(|row| places.map(|place| row.as_ref().unwrap()[place].to_owned())).collect();
    rows.sort();
    rows
}

/// Thing, cohort and status of every execution.
fn outcomes(bench: &Bench, folder: &str) -> Vec<[String; 3]> {
    rows(bench, &format!("{folder}/executions.csv"), ["thing", "cohort", "status"])
}

/// What the service committed of every execution, in any order.
fn committed(bench: &Bench, folder: &str) -> Vec<[String; 4]> {
    rows(bench, &format!("{folder}/service_ledger.csv"), ["thing", "job", "status", "event"])
}

fn manifest(bench: &Bench, folder: &str) -> Value {
    serde_json::from_str(&bench.text(&format!("{folder}/run.json"))).unwrap()
}

/// The ledgers of things and service were compared, and agree.
#[track_caller]
fn assert_reconciled(bench: &Bench, folder: &str) {
    let manifest = manifest(bench, folder);
    assert_eq!(manifest["differences"], 0, "{folder}: {}", manifest["findings"]);
    let ledgers = manifest["checks"].as_array().unwrap().iter().find(|check| check["check"] == "ledgers").unwrap().clone();
    assert_eq!(ledgers["outcome"], "holds", "{folder}: {ledgers}");
    assert!(manifest["totals"]["endpoint"]["cpu_seconds"].as_f64().unwrap() > 0.0, "{folder}: {}", manifest["totals"]);
    assert_eq!(bench.run(&["report", folder]).status.code(), Some(0), "{folder}");
}

#[test]
fn four_workers_do_with_two_thousand_things_what_one_process_does() {
    let bench = Bench::new(0);
    bench.write("s.toml", &scenario());
    let mut one = Process::spawn(&bench, "one", &["run", "s.toml", "--ui", "none", "--out", "one"], |_| {});
    let nats = Nats::start(&bench);
    let fleet = Fleet::new(&bench, &nats, 4);
    let mut leader = fleet.lead(&[]);
    let given = fleet.worker_as(0, "given", |command| _ = command.args(["--certs", "c"])).assert_code(&[2]);
    assert!(given.contains("--certs is for endpoints of somebody else"), "{given}");
    let mut workers = fleet.workers();
    one.assert_code(&[0, 98]);
    leader.assert_code(&[0, 98]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));

    let expected = outcomes(&bench, "one");
    assert_eq!((expected.len(), outcomes(&bench, "whole") == expected), (THINGS * 4 / 10, true), "the same outcome on every thing");
    for folder in ["one", "whole"] {
        assert_reconciled(&bench, folder);
    }
    let ends = |folder| committed(&bench, folder).into_iter().filter(|row| row[3] == "terminal").collect::<Vec<_>>();
    assert!(ends("one").len() == expected.len() && ends("one") == ends("whole"), "the service has committed the same");
    let whole = manifest(&bench, "whole");
    assert_eq!((&whole["mode"], &whole["totals"]["things"]), (&"merged".into(), &THINGS.into()));
    assert_eq!(whole["scenario_sha256"], manifest(&bench, "one")["scenario_sha256"], "workers have the scenario as it is");
    assert!(whole["merged"][3]["clock"]["uncertainty_ms"].as_f64().unwrap() < 1_000.0, "{}", whole["merged"][3]);
    let queued = rows(&bench, "whole/timeseries.csv", ["exec_queued", "endpoint_cpu_share", "notify_next_ms_p99"]);
    assert!((0..3).all(|column| queued.iter().any(|row| !row[column].is_empty())), "what only the service knows: {queued:?}");

    // What came over the server is what the workers have, to the byte, and so is what is made of it and of the leader's folder.
    let merged = fleet.merge_with("merged", &["whole"]);
    assert!(matches!(merged.status.code(), Some(0 | 98)), "{}", String::from_utf8_lossy(&merged.stderr));
    for index in 0..4 {
        let file = |folder: String| std::fs::read(bench.path(&folder).join("intervals.bin")).unwrap();
        assert!(file(format!("worker-{index}")) == file(format!("whole/workers/slice-00{index}")), "slice {index}");
    }
    for file in MERGED {
        assert!(bench.text(&format!("merged/{file}")) == bench.text(&format!("whole/{file}")), "{file}");
    }
    assert_reconciled(&bench, "merged");
    assert_eq!(manifest(&bench, "merged")["merged"][3]["clock"], whole["merged"][3]["clock"]);
    let merged = fleet.merge("things-alone");
    assert!(matches!(merged.status.code(), Some(0 | 98)), "{}", String::from_utf8_lossy(&merged.stderr));
    assert_eq!(manifest(&bench, "things-alone")["differences"], Value::Null, "without the leader's folder there is no ledger");
    assert!(outcomes(&bench, "things-alone") == expected);

    let page = bench.text("whole/report.html");
    assert!(page.contains("The workers of the run") && page.contains("Messages of slice 3/4"));
    let told: Vec<u64> = (0..4).map(|slice| whole["merged"][slice]["messages"].as_u64().unwrap()).collect();
    let all = whole["totals"]["messages_in"].as_u64().unwrap() + whole["totals"]["messages_out"].as_u64().unwrap();
    assert_eq!((told.iter().sum::<u64>(), told.iter().all(|messages| *messages > 0)), (all, true));
}

/// Everything that is the endpoint's: files of jobs with their signatures, being restarted and frozen, quotas and so a forecast.
#[test]
fn a_run_on_this_host_alone_has_all_that_an_endpoint_of_its_own_can_do() {
    let bench = Bench::new(0);
    let scenario = "name = 's'\n[target.emulator]\nquotas = 'aws'\n[fleet]\nthings = 40\nconnect = { rate = '40/s' }\n\
        reconnect = { policy = 'fixed', base = '100ms' }\n[behavior.quick]\nreaction = 'uniform(0s, 1s)'\nstep = '20ms'\nupdates = 1\n\
        [[cohort]]\nname = 'all'\nshare = 1.0\nverify_signature = true\n\
        [[rollout]]\njob = 'fw'\nrate = '900/min'\nartifact = { bytes = 50_000 }\ndocument = { operation = 'x' }\n\
        [[event]]\nat = '3s'\nkind = 'endpoint-restart'\nfor = '1s'\n[[event]]\nat = '8s'\nkind = 'endpoint-freeze'\nfor = '1s'\n\
        [end]\nlimit = '60s'\n";
    bench.write("s.toml", scenario);
    let output = bench.run(&["run", "s.toml", "--ui", "plain", "--slices", "2", "--out", "whole"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 98)), "{told}");
    let rows_of = outcomes(&bench, "whole");
    // A download that the restart has broken off fails its job.
    let ended = |status: &str| rows_of.iter().filter(|row| row[2] == status).count();
    let succeeded = ended("SUCCEEDED");
    assert!(succeeded >= 20 && succeeded + ended("FAILED") == 40, "{rows_of:?}");
    assert!(told.contains("all 2 slices are ready") && String::from_utf8_lossy(&output.stdout).contains("2 slices)"), "{told}");
    assert!(
        told.contains("the endpoint is back, pid") && told.contains("things are back, ") && told.contains("the endpoint resumes"),
        "{told}"
    );
    assert_reconciled(&bench, "whole");
    let summary = rows(&bench, "whole/summary.csv", ["scope", "operation", "ok"]);
    let downloads = summary.iter().find(|row| row[0] == "all" && row[1] == "download").map(|row| row[2].parse::<usize>().unwrap());
    assert!(downloads >= Some(succeeded), "who succeeded has its file, verified: {summary:?}");
    let events = rows(&bench, "whole/events.csv", ["kind", "affected", "back"]);
    let restart = events.iter().find(|row| row[0] == "endpoint-restart").unwrap();
    assert!(restart[1].parse::<u64>().unwrap() >= 20 && restart[1] == restart[2] && events.len() == 2, "{events:?}");
    let whole = manifest(&bench, "whole");
    assert_eq!(
        (&whole["predicted"][0]["job"], whole["predicted"].as_array().unwrap().len()),
        (&"fw".into(), 1),
        "{}",
        whole["predicted"]
    );
    assert!(bench.text("whole/report.html").contains("forecast") && bench.path("whole/forecast/run.json").exists());
    assert!(!bench.path("whole/local").exists(), "what only the run itself needed is gone");
    let folders = ["whole", "whole/workers/slice-000", "whole/workers/slice-001"];
    let merged = bench.run(&[&["merge", "merged"][..], &folders].concat());
    assert_eq!(merged.status.code(), output.status.code(), "{}", String::from_utf8_lossy(&merged.stderr));
    for file in MERGED {
        assert!(bench.text(&format!("merged/{file}")) == bench.text(&format!("whole/{file}")), "{file}");
    }
    for key in ["predicted", "events", "findings", "verdict", "differences", "totals", "merged"] {
        assert_eq!(manifest(&bench, "merged")[key], whole[key], "{key}");
    }
}

#[test]
fn the_leader_counts_the_executions_that_end_expect_waits_for_over_all_slices() {
    let bench = Bench::new(6);
    let (serve, nats) = (bench.serve(&["--things", "6"]), Nats::start(&bench));
    let rest = "[behavior.quick]\nreaction = '0s'\nstep = '20ms'\nupdates = 1\n[end]\nexpect = 6\nlimit = '90s'";
    let identity = "cert = 'pki/things/{thing}.cert.pem'\nkey = 'pki/things/{thing}.key.pem'";
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 6, identity, rest));
    create_job(&bench, &serve, 6, "theirs", r#"{"operation":"x"}"#);
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&[]), fleet.workers());
    leader.assert_code(&[0, 98]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));
    let rows = outcomes(&bench, "whole");
    assert!(rows.len() == 6 && rows.iter().all(|row| row[2] == "SUCCEEDED"), "{rows:?}");
    assert!(manifest(&bench, "whole")["totals"]["run_s"].as_u64().unwrap() < 60, "it has not waited for its limit");
}

#[cfg(feature = "aws")]
#[test]
fn workers_share_an_account_in_which_one_of_them_creates_the_jobs() {
    let bench = Bench::new(20);
    let serve = bench.serve(&["--things", "20"]);
    let scenario = format!(
        "name = 's'\n[target]\nkind = 'aws'\nregion = 'us-east-1'\n[target.tls]\nca = 'pki/ca.cert.pem'\n{EACH_ITS_OWN}\n\
         [fleet]\nthings = 20\nthing_name = 't-{{index}}'\n[behavior.quick]\nreaction = '0s'\nstep = '20ms'\nupdates = 1\n\
         [[rollout]]\njob = 'fw'\nrate = '6000/min'\ndocument = {{ operation = 'x' }}\n[end]\nlimit = '60s'\n"
    );
    bench.write("s.toml", &scenario);
    let nats = Nats::start(&bench);
    let fleet = Fleet::new(&bench, &nats, 2);
    let meant = ["--allow-things", "20", "--allow-cost", "100"];
    let mut leader = fleet.lead_as(&meant, |command| in_account(command, &serve));
    let mut workers: Vec<_> =
        (0..2).map(|index| fleet.worker_as(index, &format!("worker-{index}"), |command| in_account(command, &serve))).collect();
    leader.assert_code(&[0, 98]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));
    let rows = outcomes(&bench, "whole");
    assert!(rows.len() == 20 && rows.iter().all(|row| row[2] == "SUCCEEDED"), "{rows:?}");
    let whole = manifest(&bench, "whole");
    assert!(whole["totals"]["rollouts"][0]["job"].as_str().unwrap().starts_with("fw-2"), "{}", whole["totals"]["rollouts"]);
    assert_eq!(whole["differences"], Value::Null, "an account shows no ledger");
}

#[test]
fn an_endpoint_that_dies_ends_the_run_with_its_reason_and_what_was_done_is_kept() {
    let bench = Bench::new(0);
    let scenario = "name = 's'\n[fleet]\nthings = 4\n[telemetry]\ntopic = 'dt/{thing}'\nevery = '200ms'\n[end]\nduration = '90s'\n";
    bench.write("s.toml", scenario);
    let mut leader =
        Process::spawn(&bench, "leader", &["run", "s.toml", "--ui", "plain", "--slices", "2", "--out", "whole"], |_| {});
    leader.wait_for("t=2s");
    let said = leader.said();
    let (_, pid) = said.lines().find(|line| line.starts_with("endpoint: mqtt")).and_then(|line| line.rsplit_once("pid ")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let said = leader.assert_code(&[1]);
    let why = "failed to go on: the endpoint ended unexpectedly (signal: 9 (SIGKILL)); see endpoint.log";
    assert!(said.contains(why), "{said}");
    let whole = manifest(&bench, "whole");
    assert_eq!((&whole["verdict"], whole["findings"][0].as_str().unwrap().starts_with(why)), (&"ERROR".into(), true), "{whole}");
    assert!(whole["totals"]["run_s"].as_u64().unwrap() >= 3 && whole["merged"].as_array().unwrap().len() == 2);
}

#[test]
fn a_leader_that_is_killed_leaves_no_process_on_its_host_and_the_folders_of_its_workers() {
    let bench = Bench::new(0);
    // By which its processes are known.
    let folder = bench.path("whole").display().to_string();
    let mut leader = on_this_host(&bench, &folder);
    leader.kill();
    let is_left = || {
        let found = Command::new("pgrep").args(["-f", &folder]).output().expect("pgrep is installed");
        !found.stdout.is_empty()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_left() {
        assert!(Instant::now() < deadline, "something of it is left");
        std::thread::sleep(Duration::from_millis(100));
    }
    let merged = bench.run(&["merge", "merged", "whole/local/slice-000", "whole/local/slice-001"]);
    assert_eq!(merged.status.code(), Some(105), "{}", String::from_utf8_lossy(&merged.stderr));
    // The endpoint has died with its leader; what it had committed until then is in the leader's folder.
    let merged = bench.run(&["merge", "with-ledger", "whole", "whole/local/slice-000", "whole/local/slice-001"]);
    assert_eq!(merged.status.code(), Some(105), "{}", String::from_utf8_lossy(&merged.stderr));
    assert_eq!(
        (&manifest(&bench, "merged")["differences"], &manifest(&bench, "with-ledger")["differences"]),
        (&Value::Null, &0.into())
    );
}
