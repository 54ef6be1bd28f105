//! What four workers do is what one process does.

use crate::bench::{Bench, EACH_ITS_OWN, in_account};
use crate::nats::{Fleet, Nats, Process};
use std::process::Command;
use std::time::{Duration, Instant};

const THINGS: usize = 2_000;

fn scenario() -> String {
    format!(
        "name = 's'\nseed = 7\n[target]\nkind = 'aws'\nregion = 'us-east-1'\n[target.tls]\nca = 'pki/ca.cert.pem'\n{EACH_ITS_OWN}\n\
         [fleet]\nthings = {THINGS}\nthing_name = 't-{{index}}'\nconnect = {{ rate = '200/s' }}\n\
         [behavior.quick]\nreaction = 'uniform(0s, 2s)'\nstep = '50ms'\nupdates = 1\n\
         outcome = {{ succeeded = 0.7, failed = 0.2, rejected = 0.1 }}\n\
         [[cohort]]\nname = 'a'\nshare = 0.8\n[[cohort]]\nname = 'b'\nshare = 0.2\n\
         [[rollout]]\njob = 'fw'\nrate = '30000/min'\ntargets = {{ share = 0.4 }}\ndocument = {{ operation = 'x' }}\n[end]\nlimit = '90s'\n"
    )
}

/// Thing, cohort and status of every execution.
fn outcomes(bench: &Bench, folder: &str) -> Vec<[String; 3]> {
    let mut reader = csv::Reader::from_path(bench.path(folder).join("executions.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let place = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let places = ["thing", "cohort", "status"].map(place);
    let mut rows: Vec<[String; 3]> =
        reader.records().map(|row| places.map(|place| row.as_ref().unwrap()[place].to_owned())).collect();
    rows.sort();
    rows
}

#[test]
fn four_workers_do_with_two_thousand_things_what_one_process_does() {
    let bench = Bench::new(THINGS);
    let things = THINGS.to_string();
    bench.write("s.toml", &scenario());
    // Accounts, as far as the runs know: so much is meant. Each run has its own, and most of both is waiting.
    let meant = ["--allow-things", &things, "--allow-cost", "100"];
    let (first, second) = (bench.serve(&["--things", &things]), bench.serve(&["--things", &things]));
    let of_one = [&["run", "s.toml", "--ui", "none", "--yes", "--out", "one"][..], &meant].concat();
    let mut one = Process::spawn(&bench, "one", &of_one, |command| in_account(command, &first));
    let nats = Nats::start(&bench);
    let fleet = Fleet::new(&bench, &nats, 4);
    // The roll-out begins once all of the fleet is connected: only a leader can know.
    let mut leader = fleet.lead_as(&meant, |command| in_account(command, &second));
    let mut workers: Vec<_> =
        (0..4).map(|index| fleet.worker_as(index, &format!("worker-{index}"), |command| in_account(command, &second))).collect();
    one.assert_code(&[0, 98]);
    leader.assert_code(&[0, 98]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));

    let expected = outcomes(&bench, "one");
    assert_eq!((expected.len(), outcomes(&bench, "whole") == expected), (THINGS * 4 / 10, true), "the same outcome on every thing");
    let manifest = fleet.manifest("whole");
    assert_eq!((&manifest["mode"], &manifest["totals"]["things"]), (&"merged".into(), &THINGS.into()));
    assert!(manifest["merged"][3]["clock"]["uncertainty_ms"].as_f64().unwrap() < 1_000.0, "{}", manifest["merged"][3]);
    // What came over the server is what the workers have, to the byte, and so is what is made of it.
    let merged = fleet.merge("merged");
    assert!(matches!(merged.status.code(), Some(0 | 98)), "{}", String::from_utf8_lossy(&merged.stderr));
    for index in 0..4 {
        let file = |folder: String| std::fs::read(bench.path(&folder).join("intervals.bin")).unwrap();
        assert!(file(format!("worker-{index}")) == file(format!("whole/workers/slice-00{index}")), "slice {index}");
    }
    for file in ["histograms.hlog", "summary.csv", "operations.csv", "timeseries.csv", "executions.csv"] {
        assert!(bench.text(&format!("merged/{file}")) == bench.text(&format!("whole/{file}")), "{file}");
    }
    assert!(bench.text("whole/report.html").contains("The workers of the run"));
}

#[test]
fn a_run_on_this_host_alone_starts_server_endpoint_and_workers_by_itself() {
    let bench = Bench::new(0);
    let scenario = "name = 's'\n[fleet]\nthings = 40\nconnect = { rate = '40/s' }\n[behavior.quick]\nreaction = '0s'\nstep = '20ms'\n\
        updates = 1\n[[rollout]]\njob = 'fw'\nrate = '6000/min'\ndocument = { operation = 'x' }\n[end]\nlimit = '60s'\n";
    bench.write("s.toml", scenario);
    let output = bench.run(&["run", "s.toml", "--ui", "plain", "--slices", "2", "--out", "whole"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 98)), "{told}");
    let rows = outcomes(&bench, "whole");
    assert!(rows.len() == 40 && rows.iter().all(|row| row[2] == "SUCCEEDED"), "{rows:?}");
    assert!(told.contains("all 2 slices are ready") && String::from_utf8_lossy(&output.stdout).contains("2 shards"), "{told}");
    assert!(!bench.path("whole/local").exists(), "what only the run itself needed is gone");
}

#[test]
fn a_leader_that_is_killed_leaves_no_process_on_its_host_and_the_folders_of_its_workers() {
    let bench = Bench::new(0);
    let scenario =
        "name = 's'\n[fleet]\nthings = 10\n[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[end]\nduration = '100s'\n";
    bench.write("s.toml", scenario);
    // By which its processes are known.
    let folder = bench.path("whole").display().to_string();
    let mut leader =
        Process::spawn(&bench, "leader", &["run", "s.toml", "--ui", "plain", "--slices", "2", "--out", &folder], |_| {});
    leader.wait_for("t=2s");
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
}
