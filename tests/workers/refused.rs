//! Who is not let into a run, and what cannot be led.

use crate::bench::{Bench, assert_code};
use crate::nats::{RUN, Stage};
use async_nats::jetstream::{self, stream};

#[test]
fn who_is_second_who_is_late_and_who_has_no_place_is_refused_and_the_run_goes_on() {
    let stage = Stage::telling(4, 12);
    let (bench, fleet) = (&stage.bench, stage.fleet(2));
    let mut leader = fleet.lead(&[]);
    let mut first = fleet.worker(0);
    leader.wait_for("1 of 2 are there, 1 ready");
    let told = fleet.worker_as(0, "second", |_| {}).assert_code(&[2]);
    assert!(told.contains("slice 0/2 of run r-1 has a worker already, process") && !bench.path("second").exists(), "{told}");
    let told = fleet.worker_as(2, "beyond", |_| {}).assert_code(&[2]);
    assert!(told.contains("JOB_COMPLETION_INDEX is 2") && told.contains("the last of 2 is 1/2"), "{told}");
    let told = fleet.worker_as(0, "nowhere", |command| _ = command.env_remove("JOB_COMPLETION_INDEX")).assert_code(&[2]);
    assert!(told.contains("SLURM_ARRAY_TASK_ID (a Slurm array)"), "{told}");
    let mut other = fleet.worker(1);
    leader.wait_for("t=2s");
    let told = fleet.worker_as(1, "late", |_| {}).assert_code(&[2]);
    assert!(told.contains("is past, by") && told.contains("too late to join") && !bench.path("late").exists(), "{told}");
    let again = bench.run(&[
        "run",
        "s.toml",
        "--ui",
        "plain",
        "--slices",
        "2",
        "--run",
        RUN,
        "--over",
        &stage.nats.url(),
        "--out",
        "again",
    ]);
    let told = assert_code(&again, 2);
    assert!(told.contains("lead run r-1: there is one of that name already"), "{told}");
    leader.assert_code(&[0, 98]);
    first.assert_code(&[0]);
    other.assert_code(&[0]);
}

#[test]
fn a_leader_that_misses_somebody_says_whom_and_nobody_begins() {
    let stage = Stage::telling(4, 5);
    let (bench, fleet) = (&stage.bench, stage.fleet(3));
    let mut leader = fleet.lead(&["--wait", "6s"]);
    let mut worker = fleet.worker(1);
    let told = leader.assert_code(&[1]);
    assert!(told.contains("failed to begin: after 6 s the worker is missing of slice 0/3, 2/3"), "{told}");
    worker.assert_code(&[105]);
    assert_eq!(fleet.manifest("whole")["verdict"], "ERROR");
    // Nothing of it is on the server: the next attempt of the same name has its workers, and those who came late for the first.
    let early = fleet.worker_as(0, "early", |_| {});
    std::fs::rename(bench.path("whole"), bench.path("first")).unwrap();
    let mut leader = fleet.lead(&[]);
    let rest = [1, 2].map(|index| fleet.worker_as(index, &format!("again-{index}"), |_| {}));
    leader.assert_code(&[0, 98]);
    [early].into_iter().chain(rest).for_each(|mut worker| _ = worker.assert_code(&[0]));
}

#[test]
fn a_worker_that_cannot_begin_says_why_and_the_leader_passes_it_on() {
    let stage = Stage::telling(4, 5);
    let (bench, fleet) = (&stage.bench, stage.fleet(2));
    let (mut leader, mut good) = (fleet.lead(&[]), fleet.worker(0));
    leader.wait_for("1 of 2 are there, 1 ready");
    std::fs::create_dir(bench.path("elsewhere")).unwrap();
    // Another host, on which there are no certificates.
    let mut bad = fleet.worker_as(1, "worker-1", |command| _ = command.current_dir(bench.path("elsewhere")));
    let told = leader.assert_code(&[1]);
    assert!(
        told.contains("the worker of slice 1/2 cannot start: use what the scenario names") && told.contains("pki/ca.cert.pem"),
        "{told}"
    );
    bad.assert_code(&[1]);
    good.assert_code(&[105]);
}

#[test]
fn a_worker_of_another_version_or_with_another_fleet_is_refused() {
    let stage = Stage::telling(4, 5);
    let fleet = stage.fleet(2);
    let plan = |json: &str| {
        let json = json.to_owned();
        let url = stage.nats.url();
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let context = jetstream::new(async_nats::connect(url).await.unwrap());
            let (name, subjects) = (format!("KV_fs_{RUN}"), vec![format!("$KV.fs_{RUN}.>")]);
            let bucket = stream::Config {
                name,
                subjects,
                max_messages_per_subject: 1,
                allow_rollup: true,
                deny_delete: true,
                discard: stream::DiscardPolicy::New,
                max_age: std::time::Duration::from_secs(86_400),
                ..stream::Config::default()
            };
            context.create_stream(bucket).await.unwrap();
            context.get_key_value(format!("fs_{RUN}")).await.unwrap().put("plan", json.into()).await.unwrap();
        });
    };
    plan(r#"{"wire":2,"version":"0.0.1"}"#);
    let told = fleet.worker(0).assert_code(&[2]);
    assert!(told.contains("the run is of fleetsim 0.0.1") && told.contains("have to be one version"), "{told}");
    let scenario = stage.bench.text("s.toml");
    let version = env!("CARGO_PKG_VERSION");
    plan(
        &serde_json::json!({
            "wire": 2, "version": version, "nonce": "n", "slices": 2, "seed": 0, "scenario": scenario, "fleet_sha256": "00", "jobs_id": "x",
            "wait_s": 5, "away_s": 5,
        })
        .to_string(),
    );
    let told = fleet.worker(0).assert_code(&[2]);
    assert!(told.contains("another scenario: what this host makes of the run's names other things"), "{told}");
}

#[test]
fn what_cannot_be_led_is_said_before_anything_is_there() {
    let bench = Bench::new(1);
    let emulator = "name = 's'\n[fleet]\nthings = 4\n[end]\nduration = '1s'";
    let expecting = "name = 's'\n[target]\nkind = 'mqtt'\nhost = 'h'\n[target.tls]\ncert = 'c'\nkey = 'k'\n[fleet]\nthings = 3\n[end]\nexpect = 3";
    let idle = &expecting.replace("expect = 3", "duration = '1s'");
    for (scenario, args, why) in [
        (emulator, "--slices 2 --over tls://nats.example:4222 --nats-creds c", "needs an endpoint that all workers reach"),
        (emulator, "--slices 5", "a fleet of 4 things cannot be cut into 5 slices"),
        (emulator, "--slices 2 --over nats://nats.example:4222", "without TLS only on this host"),
        (emulator, "--slices 2 --over tls://nats.example:4222", "--nats-creds FILE"),
        (emulator, "--slices 2 --over http://127.0.0.1", "http:// is not spoken"),
        (emulator, "--slices 2 --run a.b", "no id of a run"),
        (emulator, "--slices 2 --wait soon", "--wait soon"),
        (expecting, "--shard 0/2 --start-at 2099-11-29T18:30:00Z", "use end.idle or end.duration"),
        (emulator, "--over nats://127.0.0.1:1", "--slices"),
        (emulator, "--on-lost continue", "--slices"),
        (emulator, "--slices 2 --nats-ca x", "--slices N --over URL"),
        (emulator, "--slices 2 --shard 0/2 --start-at 2026-11-29T18:30:00Z", "--shard"),
        (idle, "--slices 2 --shards 2 --over nats://127.0.0.1:1", "fleetsim worker --shards N"),
    ] {
        bench.write("s.toml", scenario);
        let args: Vec<&str> = ["run", "s.toml", "--out", "out"].into_iter().chain(args.split(' ')).collect();
        let told = assert_code(&bench.run(&args), 2);
        assert!(told.contains(why) && !bench.path("out").exists(), "{args:?}: {told}");
    }
    bench.write("s.toml", emulator);
    // Only where packages have put none into the folders of servers.
    if !["/usr/sbin", "/usr/local/sbin"].iter().any(|folder| std::path::Path::new(folder).join("nats-server").exists()) {
        let mut command = bench.command(&["run", "s.toml", "--slices", "2", "--ui", "plain", "--out", "out"]);
        let told = assert_code(&command.env("PATH", "/nowhere").output().unwrap(), 2);
        assert!(told.contains("apt-get install nats-server"), "{told}");
    }
}
