//! Jobs of a run against the local endpoint: when they are created, who gets them, and how they end.

use super::bench::Bench;
use std::collections::BTreeMap;
use std::fs;

/// 30 things whose every job takes half a second, at an endpoint whose minute is a second.
const FLEET: &str = "
name = 'jobs'
seed = 3
[target.emulator]
minute = '1s'
[fleet]
things = 30
connect = { rate = '100/s' }
[[cohort]]
name = 'all'
behavior = 'steady'
[behavior.steady]
reaction = '0s'
updates = 1
step = '200ms'
[behavior.unlucky]
reaction = '0s'
updates = 0
step = 'uniform(10ms, 50ms)'
outcome = { failed = 0.7 }
[end]
limit = '60s'
";

/// Runs the fleet with these rollouts to its end.
fn run(rollouts: &str) -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("jobs.toml"), format!("{FLEET}{rollouts}")).unwrap();
    let output = bench.run(&["run", "jobs.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{} {}", String::from_utf8_lossy(&output.stderr), bench.text("out/run.json"));
    assert!(bench.cells("out/executions.csv", &["anomaly"]).iter().all(|row| row[0].is_empty()));
    bench
}

/// A job's last row of rollouts.csv.
fn last_row(bench: &Bench, job: &str, columns: &[&str]) -> Vec<String> {
    let rows = bench.cells("out/rollouts.csv", &[&["job"], columns].concat());
    rows.iter().rfind(|row| row[0] == job).unwrap_or_else(|| panic!("no row of {job}"))[1..].to_vec()
}

/// Instants of this kind of row in the service ledger, in milliseconds from the origin, by job.
fn instants(bench: &Bench, event: &str) -> BTreeMap<String, Vec<f64>> {
    let origin = bench.manifest("out")["totals"]["origin_mono_ns"].as_u64().unwrap();
    let mut instants: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in bench.cells("out/service_ledger.csv", &["job", "event", "mono_ns"]).iter().filter(|row| row[1] == event) {
        let at = row[2].parse::<u64>().unwrap() as f64 - origin as f64;
        instants.entry(row[0].clone()).or_default().push(at / 1e6);
    }
    instants
}

#[test]
fn jobs_of_a_series_are_created_on_time_and_each_thing_does_them_one_after_the_other() {
    const EVERY_MS: f64 = 400.0;
    let bench = run("[[rollout]]\njob = 'patch-{n:02}'\ncount = 12\nevery = '400ms'\nat = '1s'\n");
    let queued = instants(&bench, "queued");
    assert_eq!(queued.len(), 12);
    let mut lateness = Vec::new();
    for (n, (job, queued)) in queued.iter().enumerate() {
        assert_eq!((job, queued.len()), (&format!("patch-{:02}", n + 1), 30));
        lateness.push(queued[0] - 1_000.0 - EVERY_MS * n as f64);
    }
    assert!(lateness.iter().all(|late| *late >= 0.0), "{lateness:?}");
    // A busy machine makes some of them late; had one to wait for the one before, all that follow would be.
    let on_time = lateness[6..].iter().filter(|late| **late < EVERY_MS).count();
    assert!(on_time >= 3, "each has its own time, none drifts: {lateness:?}");
    let mut of_thing: BTreeMap<String, Vec<(f64, f64, String)>> = BTreeMap::new();
    for row in bench.cells("out/executions.csv", &["thing", "started_ms", "finished_ms", "job"]) {
        let [started, finished] = [1, 2].map(|n| row[n].parse::<f64>().unwrap());
        of_thing.entry(row[0].clone()).or_default().push((started, finished, row[3].clone()));
    }
    for (thing, mut jobs) in of_thing {
        jobs.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(jobs.windows(2).all(|pair| pair[0].1 <= pair[1].0 && pair[0].2 < pair[1].2), "{thing}: {jobs:?}");
        assert_eq!(jobs.len(), 12);
    }
}

#[test]
fn an_aborted_job_is_over_although_most_things_never_hear_of_it() {
    // The things are at work on another job at first, so that executions wait when the failures come.
    let bench = run("
        [[rollout]]
        job = 'busy'
        after = 'connected'
        [[rollout]]
        job = 'broken'
        after = 'connected'
        delay = '50ms'
        behavior = 'unlucky'
        rate = '20/min'
        [[rollout.abortConfig.criteriaList]]
        failureType = 'FAILED'
        action = 'CANCEL'
        thresholdPercentage = 20
        minNumberOfExecutedThings = 10
        ");
    let statuses = bench.cells("out/executions.csv", &["job", "status"]);
    let count = |status: &str| statuses.iter().filter(|row| row[0] == "broken" && row[1] == status).count();
    let [failed, canceled, all] = [count("FAILED"), count("CANCELED"), statuses.iter().filter(|row| row[0] == "broken").count()];
    assert!(failed >= 2 && (10..30).contains(&all), "{failed} failed and {canceled} were canceled of {all}");
    let row = last_row(&bench, "broken", &["targets", "exec_failed", "exec_canceled", "exec_queued", "done_share"]);
    let share = format!("{:.6}", all as f64 / 30.0);
    assert_eq!(row, ["30", &failed.to_string(), &canceled.to_string(), "0", &share]);
}

#[test]
fn failures_are_tried_again_and_counted_once_for_their_thing() {
    let bench = run("
        [[rollout]]
        job = 'again'
        after = 'connected'
        behavior = 'unlucky'
        jobExecutionsRetryConfig = { criteriaList = [{ failureType = 'FAILED', numberOfRetries = 2 }] }
        ");
    let mut of_thing: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for row in bench.cells("out/executions.csv", &["thing", "execution_number", "status"]) {
        of_thing.entry(row[0].clone()).or_default().insert(row[1].parse().unwrap(), row[2].clone());
    }
    assert_eq!(of_thing.len(), 30);
    for tries in of_thing.values() {
        let last = tries.len() as u32;
        assert!(tries.iter().all(|(number, status)| *number == last || status == "FAILED"), "{tries:?}");
        assert!(last == 3 || (last < 3 && tries[&last] == "SUCCEEDED"), "{tries:?}");
    }
    let tries: usize = of_thing.values().map(BTreeMap::len).sum();
    let succeeded = of_thing.values().filter(|tries| tries.values().any(|status| status == "SUCCEEDED")).count();
    assert!(tries > 40 && succeeded > 5, "{tries} tries, {succeeded} succeeded");
    let row = last_row(&bench, "again", &["targets", "exec_succeeded", "exec_failed", "done_share", "exec_repeated"]);
    let expected = [30, succeeded, tries - succeeded].map(|count| count.to_string());
    assert_eq!(row[..3], expected);
    assert_eq!(row[3..], ["1.000000".to_owned(), (tries - 30).to_string()]);
}

#[test]
fn an_exponential_rate_grows_minute_by_minute() {
    let bench = run("
        [[rollout]]
        job = 'grows'
        after = 'connected'
        [rollout.jobExecutionsRolloutConfig.exponentialRate]
        baseRatePerMinute = 4
        incrementFactor = 2
        rateIncreaseCriteria = { numberOfNotifiedThings = 4 }
        ");
    let queued = &instants(&bench, "queued")["grows"];
    // 4 in the first minute, 8 in the second since 4 were told, and 32 in the third since 12 were: 18 are left.
    let minutes = [(4, 4), (8, 8), (18, 32)];
    let dues = minutes
        .iter()
        .enumerate()
        .flat_map(|(minute, (count, rate))| (0..*count).map(move |n| 1_000.0 * (minute as f64 + f64::from(n) / f64::from(*rate))));
    let lateness: Vec<f64> = queued.iter().zip(dues).map(|(at, due)| at - queued[0] - due).collect();
    // Against the first, which may be late itself on a busy machine; a rate that did not grow would be late by seconds.
    assert!(lateness.iter().all(|late| (-1_000.0..2_000.0).contains(late)), "{lateness:?}: {queued:?}");
    let on_time = lateness.iter().filter(|late| (-50.0..500.0).contains(*late)).count();
    assert!(on_time >= 15, "{lateness:?}: {queued:?}");
    assert_eq!(queued.len(), 30);
}

#[test]
fn a_scheduled_job_is_waited_for_and_a_continuous_one_is_over_when_nothing_is_open() {
    let utc = |seconds_ahead: i64| {
        let at = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds_ahead);
        at.format(time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]")).unwrap()
    };
    let minute = FLEET.replace("minute = '1s'", "minute = '100ms'");
    let scheduled =
        |start: &str| format!("[[rollout]]\njob = 'later'\nat = '0s'\nschedulingConfig = {{ startTime = '{start}' }}\n");
    let bench = Bench::new();
    let continuous = "[[rollout]]\njob = 'goes-on'\nat = '0s'\ntargetSelection = 'CONTINUOUS'\n";
    fs::write(bench.path("jobs.toml"), format!("{minute}{}{continuous}", scheduled(&utc(15)))).unwrap();
    let output = bench.run(&["run", "jobs.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{} {}", String::from_utf8_lossy(&output.stderr), bench.text("out/run.json"));
    for job in ["later", "goes-on"] {
        assert_eq!(last_row(&bench, job, &["exec_succeeded", "done_share"]), ["30", "1.000000"], "{job}");
    }
    let queued = instants(&bench, "queued");
    assert!(queued["later"][0] > queued["goes-on"][0] + 2_000.0, "{queued:?}");

    let late = Bench::new();
    fs::write(late.path("jobs.toml"), format!("{minute}{}", scheduled("2026-01-01 12:00"))).unwrap();
    let output = late.run(&["run", "jobs.toml", "--ui", "none", "--out", "out"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("job later: startTime must be at least 30 minutes after now"), "{message}");
    assert!(!late.path("certs").exists(), "nothing was begun");
}

#[test]
fn an_endpoint_that_stands_still_gets_its_jobs_when_it_goes_on() {
    let bench = run("
        [[rollout]]
        job = 'late-{n}'
        count = 4
        every = '200ms'
        at = '1s'
        [[event]]
        at = '900ms'
        kind = 'endpoint-freeze'
        for = '1500ms'
        ");
    let queued = instants(&bench, "queued");
    assert_eq!(queued.values().map(Vec::len).collect::<Vec<_>>(), [30; 4]);
    assert!(queued.values().flatten().all(|at| *at >= 2_400.0), "{queued:?}");
}

#[test]
fn a_job_that_the_service_refuses_ends_the_run_by_its_name() {
    let bench = Bench::new();
    let quotas = FLEET.replace("minute = '1s'", "quotas = 'aws'");
    fs::write(bench.path("jobs.toml"), format!("{quotas}[[rollout]]\njob = 'too-fast'\nrate = '1200/min'\n")).unwrap();
    let output = bench.run(&["run", "jobs.toml", "--things", "2", "--ui", "none", "--out", "out"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("failed to create job too-fast: call CreateJob: 410 LimitExceededException"), "{message}");
    assert_eq!(bench.manifest("out")["verdict"], "ERROR");
}

#[test]
fn several_jobs_in_a_row_as_shipped() {
    let bench = Bench::new();
    let output = bench.run(&["run", "several-jobs", "--things", "60", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{} {}", String::from_utf8_lossy(&output.stderr), bench.text("out/run.json"));
    for job in ["patch-01", "patch-06", "fw-3-0-0"] {
        assert_eq!(last_row(&bench, job, &["targets", "exec_succeeded", "done_share"]), ["60", "60", "1.000000"], "{job}");
    }
    assert_eq!(last_row(&bench, "trial", &["targets", "done_share"]), ["12", "1.000000"]);
    let [retried, aborted] = [("calibrate", "exec_repeated"), ("fw-3-0-1", "done_share")]
        .map(|(job, column)| last_row(&bench, job, &[column])[0].parse::<f64>().unwrap());
    assert!(retried > 5.0 && aborted < 1.0, "{retried} retries; {aborted} of the targets heard of the broken firmware");
}

/// Things of a namespace hear of their jobs by the topics of Greengrass; the document is that of a managed template.
#[test]
fn a_fleet_of_a_namespace_works_on_jobs_of_a_template() {
    let bench = Bench::new();
    let fleet = FLEET.replace("behavior = 'steady'", "behavior = 'steady'\nnamespace = 'aws-gg-deployment'");
    let rollout = "[[rollout]]\njob = 'restart'\nnamespace = 'aws-gg-deployment'\ntemplate = 'AWS-Restart-Application'\n\
                   parameters = { services = 'meterd' }\n";
    fs::write(bench.path("jobs.toml"), format!("{fleet}{rollout}")).unwrap();
    for command in [&["run", "jobs.toml", "--ui", "none", "--out", "out"][..], &["forecast", "jobs.toml", "--out", "ahead"]] {
        let output = bench.run(command);
        assert_eq!(bench.code(output.status), Some(0), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for out in ["out", "ahead"] {
        let ends = bench.cells(&format!("{out}/executions.csv"), &["job", "status"]);
        assert_eq!(ends.len(), 30, "{out}");
        assert!(ends.iter().all(|row| *row == ["restart", "SUCCEEDED"]), "{out}: {ends:?}");
    }
    assert!(bench.cells("out/executions.csv", &["anomaly"]).iter().all(|row| row[0].is_empty()));
}

/// A window of 20 minutes, which last 2 s here, begins with every minute of the clock.
#[test]
fn a_job_rolls_out_within_its_maintenance_windows_only() {
    let bench = Bench::new();
    let rollout = "[[rollout]]\njob = 'fw'\nafter = 'connected'\nrate = '2/min'\ntargetSelection = 'CONTINUOUS'\n\
                   maintenance_windows = [{ start = 'cron(* * * * ? *)', minutes = 20 }]\ndocument = { operation = 'x' }\n";
    let fleet = FLEET.replace("minute = '1s'", "minute = '100ms'").replace("limit = '60s'", "limit = '150s'");
    fs::write(bench.path("jobs.toml"), fleet + rollout).unwrap();
    let output = bench.run(&["run", "jobs.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(bench.code(output.status), Some(0), "{} {}", String::from_utf8_lossy(&output.stderr), bench.text("out/run.json"));
    let uptime_s: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let booted_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - uptime_s;
    let events = bench.cells("out/service_ledger.csv", &["event", "mono_ns"]);
    let queued = events.iter().filter(|row| row[0] == "queued").map(|row| row[1].parse::<f64>().unwrap() / 1e9);
    let seconds: Vec<f64> = queued.map(|mono_s| (booted_s + mono_s) % 60.0).collect();
    assert_eq!(seconds.len(), 30);
    assert!(seconds.iter().all(|second| *second < 2.2), "{seconds:?}");
}
