//! What becomes of a run when a part of it fails.

use crate::bench::{Bench, assert_code};
use crate::nats::{Fleet, RUN, Stage, on_this_host};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_worker_that_is_killed_is_named_with_its_last_second_and_the_others_drain() {
    let stage = Stage::telling(6, 90);
    let fleet = stage.fleet(3);
    let (mut leader, mut workers) = fleet.begin(&[], 3);
    workers[1].kill();
    let said = leader.assert_code(&[98]);
    for part in ["slice 1/3 is silent after second", "slice 1/3 is lost after second", "the other workers drain"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for worker in [0, 2] {
        workers[worker].assert_code(&[105]);
    }
    let findings = fleet.findings("whole");
    let lost: Vec<_> = findings
        .iter()
        .filter(|finding| finding.starts_with("slice 1/3 was lost: its worker was not heard of after second"))
        .collect();
    assert!(lost.len() == 1 && !findings.iter().any(|finding| finding.contains("never finished")), "{findings:?}");
    assert!(findings[0].starts_with("the run was ended early: slice 1/3 was lost"), "{findings:?}");
    let manifest = fleet.manifest("whole");
    assert_eq!((&manifest["verdict"], &manifest["merged"][1]["verdict"]), (&"INVALID".into(), &"RUNNING".into()));
    let seconds = |slice: usize| manifest["merged"][slice]["run_s"].as_u64().unwrap();
    assert!((2..10).contains(&seconds(1)) && seconds(0) > 15 && manifest["totals"]["run_s"].as_u64().unwrap() > 15, "{manifest}");
    let file = |folder: &str| std::fs::read(stage.bench.path(folder).join("intervals.bin")).unwrap();
    let (kept, told) = (file("worker-1"), file("whole/workers/slice-001"));
    assert!(kept.starts_with(&told) && told.len() > 100, "what it had told stands in for it, to the byte");
}

#[test]
fn the_others_go_on_without_a_lost_worker_where_somebody_wants_that_and_the_run_is_invalid_all_the_same() {
    let stage = Stage::telling(4, 22);
    let fleet = stage.fleet(2);
    let (mut leader, mut workers) = fleet.begin(&["--on-lost", "continue"], 2);
    workers[0].kill();
    let said = leader.assert_code(&[98]);
    assert!(said.contains("slice 0/2 is lost") && !said.contains("drain"), "{said}");
    workers[1].assert_code(&[0]);
    assert!(fleet.manifest("whole")["totals"]["run_s"].as_u64().unwrap() >= 22);
}

#[test]
fn a_server_that_is_killed_and_comes_back_costs_no_second() {
    let mut stage = Stage::telling(4, 14);
    let fleet = Fleet::new(&stage.bench, &stage.nats, 2);
    let (mut leader, mut workers) = fleet.begin(&[], 3);
    stage.nats.kill();
    std::thread::sleep(Duration::from_secs(3));
    stage.nats.restart();
    let said = leader.assert_code(&[0, 98]);
    assert!(said.contains("the NATS server is away") && said.contains("the NATS server is back"), "{said}");
    // Every second was shown, and in its order.
    let shown: Vec<u64> = said.lines().filter_map(|line| line.strip_prefix("t=")?.split_once('s')?.0.parse().ok()).collect();
    assert!(shown.len() >= 14 && shown.iter().copied().eq(1..=shown.len() as u64), "{shown:?}");
    assert!(!said.contains("lost") && !said.contains("silent"), "{said}");
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));
    let findings = fleet.findings("whole");
    assert!(!findings.iter().any(|finding| finding.contains("was lost") || finding.contains("never finished")), "{findings:?}");
}

#[test]
fn where_the_server_never_comes_back_the_folders_of_the_workers_are_a_run() {
    let mut stage = Stage::telling(4, 9);
    let fleet = Fleet::new(&stage.bench, &stage.nats, 2);
    let (mut leader, mut workers) = fleet.begin(&["--nats-away", "4s"], 2);
    stage.nats.kill();
    let said = leader.assert_code(&[1]);
    assert!(said.contains("failed to reach the NATS server for 4 s") && said.contains("fleetsim merge"), "{said}");
    for (index, worker) in workers.iter_mut().enumerate() {
        let said = worker.assert_code(&[1]);
        assert!(said.contains(&format!("failed to hand slice {index}/2 over")) && said.contains("fleetsim merge"), "{said}");
    }
    let merged = fleet.merge("merged");
    assert!(matches!(merged.status.code(), Some(0 | 98)), "{}", String::from_utf8_lossy(&merged.stderr));
    assert!(fleet.manifest("merged")["totals"]["run_s"].as_u64().unwrap() >= 9, "all that was to be done was done");
}

#[test]
fn workers_whose_leader_is_killed_drain_and_their_folders_are_a_run() {
    let stage = Stage::telling(4, 110);
    let fleet = stage.fleet(2);
    let (mut leader, mut workers) = fleet.begin(&[], 2);
    leader.kill();
    for worker in &mut workers {
        let said = worker.assert_code(&[105]);
        assert!(said.contains("the leader of run r-1 is gone"), "{said}");
    }
    assert_code(&fleet.merge("merged"), 105);
    assert!(fleet.manifest("merged")["totals"]["run_s"].as_u64().unwrap() >= 30);
    let report = stage.bench.run(&["report", "whole"]);
    let told = String::from_utf8(report.stdout).unwrap();
    assert!(told.contains("the run never finished"), "what the leader had shown is on its disk: {told}");
}

#[test]
fn who_leads_is_interrupted_and_so_is_everybody() {
    let stage = Stage::telling(4, 110);
    let fleet = stage.fleet(2);
    let (mut leader, mut workers) = fleet.begin(&[], 2);
    leader.signal(Signal::INT);
    leader.assert_code(&[105]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[105]));
    let manifest = fleet.manifest("whole");
    assert_eq!((&manifest["verdict"], &manifest["merged"][1]["verdict"]), (&"INTERRUPTED".into(), &"INTERRUPTED".into()));
}

#[test]
fn a_leader_that_is_stopped_for_a_while_loses_nobody() {
    let stage = Stage::telling(4, 26);
    let fleet = stage.fleet(2);
    let (mut leader, mut workers) = fleet.begin(&[], 2);
    leader.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(17));
    leader.signal(Signal::CONT);
    let said = leader.assert_code(&[0, 98]);
    assert!(!said.contains("is lost") && !said.contains("drain"), "{said}");
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));
    let findings = fleet.findings("whole");
    assert!(!findings.iter().any(|finding| finding.contains("lost") || finding.contains("never finished")), "{findings:?}");
}

#[test]
fn what_no_worker_says_ends_the_slice_that_it_is_said_of_and_not_the_leader() {
    let stage = Stage::telling(6, 90);
    let fleet = stage.fleet(3);
    let (mut leader, mut workers) = fleet.begin(&[], 2);
    let url = stage.nats.url();
    tokio::runtime::Runtime::new().unwrap().block_on(async move {
        let client = async_nats::connect(url).await.unwrap();
        client.publish(format!("fs.{RUN}.slice.1"), "no word".into()).await.unwrap();
        client.flush().await.unwrap();
    });
    let said = leader.assert_code(&[98]);
    assert!(said.contains("the worker of slice 1/3 has no results: what it sends cannot be used"), "{said}");
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[105]));
    let findings = fleet.findings("whole");
    let named = findings.iter().filter(|finding| finding.starts_with("slice 1/3 was given up: what it sends cannot be used: "));
    assert_eq!(named.count(), 1, "{findings:?}");
    assert_eq!(fleet.manifest("whole")["merged"][2]["verdict"], "INTERRUPTED", "the others have handed over");
}

#[test]
fn a_server_of_the_runs_own_that_ends_is_named_and_nothing_is_left_of_the_run() {
    let bench = Bench::new(0);
    // By which its processes are known.
    let folder = bench.path("whole").display().to_string();
    let mut leader = on_this_host(&bench, &folder);
    let of_run = |what: &str| {
        let found = Command::new("pgrep").args(["-f", &format!("{what}{folder}")]).output().expect("pgrep is installed");
        String::from_utf8(found.stdout).unwrap()
    };
    let server = of_run("nats-server .*").trim().parse().ok().and_then(Pid::from_raw).expect("one server");
    kill_process(server, Signal::KILL).unwrap();
    let ended = Instant::now();
    leader.wait_for("the workers drain");
    assert!(ended.elapsed() < Duration::from_secs(10), "it is noticed soon: {:?}", ended.elapsed());
    let said = leader.assert_code(&[1]);
    assert!(said.contains("failed to go on: the NATS server of this run ended by itself: nats-server, process"), "{said}");
    assert_eq!(of_run(""), "", "no process of it is left");
    let merged = bench.run(&["merge", "merged", "whole/local/slice-000", "whole/local/slice-001"]);
    assert_eq!(merged.status.code(), Some(105), "they have drained: {}", String::from_utf8_lossy(&merged.stderr));
}
