//! The folder of a leader among those of its shards.

use super::*;
use crate::report::{EndpointSecond, EndpointSecondsWriter};
use load_metrics::ProcessUsage;

/// The shards, and what their leader has made of them.
fn led(dir: &Path) -> (Vec<PathBuf>, PathBuf) {
    let world = World::new();
    let shards = world.shards(dir);
    let whole = dir.join("whole");
    let on = RunsOn { mode: Mode::Merged, host: preflight::facts(), shards: 4, shard: None };
    drop(results_folder::create(Some(&whole), &world.plan, &world.roster, &on).unwrap());
    fs::create_dir(whole.join(WORKERS_FOLDER)).unwrap();
    let clocks = BTreeMap::from([(2, ShardClock { offset_ms: 0.5, uncertainty_ms: 0.25 })]);
    let notes = LeaderNotes { clocks, ..LeaderNotes::default() };
    assert_eq!(replace_folder(&whole, &shards, &notes, |_| false).unwrap(), 0);
    (shards, whole)
}

#[test]
fn what_only_the_leader_knows_comes_with_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (mut folders, whole) = led(dir.path());
    folders.insert(1, whole.clone());
    let out = dir.path().join("out");
    assert_eq!(into_folder(&out, &folders, |_| false).unwrap(), 0);
    assert_eq!(manifest(&out)["merged"], manifest(&whole)["merged"], "the clocks, too");
    assert!(!out.join(WORKERS_FOLDER).exists(), "it is no leader's folder itself");
}

#[test]
fn a_leader_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (folders, whole) = led(dir.path());
    let out = dir.path().join("out");
    let refused = |more: &[PathBuf], why: &str| {
        let error = into_folder(&out, &[&folders[..], more].concat(), |_| false).unwrap_err();
        assert!(error.to_string().contains(why) && error.exit_code() == exit::USAGE && !out.exists(), "{why}: {error}");
    };
    refused(&[whole.clone(), whole.clone()], "two leaders: ");
    let alone = into_folder(&out, std::slice::from_ref(&whole), |_| false).unwrap_err();
    assert!(alone.to_string().contains("none of them is the folder of a slice"), "{alone}");
    let origin = Mono(1);
    let usage = Some(ProcessUsage::default());
    let second = EndpointSecond { origin, second: 0, usage, events_over: Vec::new() };
    EndpointSecondsWriter::create(&whole).unwrap().second(&second).unwrap();
    refused(std::slice::from_ref(&whole), "different runs: ");
    change(&whole, |run| (run["verdict"], run["pid"]) = ("RUNNING".into(), std::process::id().into()));
    refused(std::slice::from_ref(&whole), "whole still goes on, as process");
    change(&whole, |run| (run["verdict"], run["scenario_sha256"]) = ("PASS".into(), "00".into()));
    refused(std::slice::from_ref(&whole), "is the folder of a leader, and ");
}
