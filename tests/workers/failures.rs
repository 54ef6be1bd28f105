//! What becomes of a run when a part of it fails.

use crate::bench::{Bench, assert_code};
use crate::nats::{Fleet, Nats, telling};
use std::time::Duration;

/// The leader has shown so many seconds.
fn second(n: u64) -> String {
    format!("t={n}s")
}

#[test]
fn a_worker_that_is_killed_is_named_with_its_last_second_and_the_others_drain() {
    let bench = Bench::new(6);
    let (serve, nats) = (bench.serve(&["--things", "6"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 6, 90));
    let fleet = Fleet::new(&bench, &nats, 3);
    let (mut leader, mut workers) = (fleet.lead(&[]), fleet.workers());
    leader.wait_for(&second(3));
    workers[1].kill();
    let said = leader.assert_code(&[98]);
    for part in ["shard 1/3 is silent after second", "shard 1/3 is lost after second", "the other workers drain"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for worker in [0, 2] {
        workers[worker].assert_code(&[105]);
    }
    let findings = fleet.findings("whole");
    let lost: Vec<_> = findings
        .iter()
        .filter(|finding| finding.starts_with("shard 1/3 was lost: its worker was not heard of after second"))
        .collect();
    assert!(lost.len() == 1 && !findings.iter().any(|finding| finding.contains("never finished")), "{findings:?}");
    assert!(findings[0].starts_with("the run was ended early: shard 1/3 was lost"), "{findings:?}");
    let manifest = fleet.manifest("whole");
    assert_eq!((&manifest["verdict"], &manifest["merged"][1]["verdict"]), (&"INVALID".into(), &"RUNNING".into()));
    let seconds = |slice: usize| manifest["merged"][slice]["run_s"].as_u64().unwrap();
    assert!((2..10).contains(&seconds(1)) && seconds(0) > 15 && manifest["totals"]["run_s"].as_u64().unwrap() > 15, "{manifest}");
    let file = |folder: &str| std::fs::read(bench.path(folder).join("intervals.bin")).unwrap();
    let (kept, told) = (file("worker-1"), file("whole/workers/slice-001"));
    assert!(kept.starts_with(&told) && told.len() > 100, "what it had told stands in for it, to the byte");
}

#[test]
fn the_others_go_on_without_a_lost_worker_where_somebody_wants_that_and_the_run_is_invalid_all_the_same() {
    let bench = Bench::new(4);
    let (serve, nats) = (bench.serve(&["--things", "4"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 4, 22));
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&["--on-lost", "continue"]), fleet.workers());
    leader.wait_for(&second(2));
    workers[0].kill();
    let said = leader.assert_code(&[98]);
    assert!(said.contains("shard 0/2 is lost") && !said.contains("drain"), "{said}");
    workers[1].assert_code(&[0]);
    assert!(fleet.manifest("whole")["totals"]["run_s"].as_u64().unwrap() >= 22);
}

#[test]
fn a_server_that_is_killed_and_comes_back_costs_no_second() {
    let bench = Bench::new(4);
    let (serve, mut nats) = (bench.serve(&["--things", "4"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 4, 14));
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&[]), fleet.workers());
    leader.wait_for(&second(3));
    nats.kill();
    std::thread::sleep(Duration::from_secs(3));
    nats.restart();
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
    let bench = Bench::new(4);
    let (serve, mut nats) = (bench.serve(&["--things", "4"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 4, 9));
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&["--nats-away", "4s"]), fleet.workers());
    leader.wait_for(&second(2));
    nats.kill();
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
    let bench = Bench::new(4);
    let (serve, nats) = (bench.serve(&["--things", "4"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 4, 110));
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&[]), fleet.workers());
    leader.wait_for(&second(2));
    leader.kill();
    for worker in &mut workers {
        let said = worker.assert_code(&[105]);
        assert!(said.contains("the leader of run r-1 is gone"), "{said}");
    }
    assert_code(&fleet.merge("merged"), 105);
    assert!(fleet.manifest("merged")["totals"]["run_s"].as_u64().unwrap() >= 30);
    let report = bench.run(&["report", "whole"]);
    let told = String::from_utf8(report.stdout).unwrap();
    assert!(told.contains("the run never finished"), "what the leader had shown is on its disk: {told}");
}

#[test]
fn who_leads_is_interrupted_and_so_is_everybody() {
    let bench = Bench::new(4);
    let (serve, nats) = (bench.serve(&["--things", "4"]), Nats::start(&bench));
    bench.write("s.toml", &telling(&serve, 4, 110));
    let fleet = Fleet::new(&bench, &nats, 2);
    let (mut leader, mut workers) = (fleet.lead(&[]), fleet.workers());
    leader.wait_for(&second(2));
    leader.interrupt();
    leader.assert_code(&[105]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[105]));
    let manifest = fleet.manifest("whole");
    assert_eq!((&manifest["verdict"], &manifest["merged"][1]["verdict"]), (&"INTERRUPTED".into(), &"INTERRUPTED".into()));
}
