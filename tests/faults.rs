//! Every fault of the table, in one run of 1,000 things: what comes out is what the seed says, nothing is lost, nothing hangs.

#[expect(dead_code, reason = "every test target uses its part")]
#[path = "run/bench.rs"]
mod bench;

use bench::Bench;
use fleetsim::roster::Roster;
use fleetsim::scenario::plan::Plan;
use iot_jobs::JobId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};
use thing_agent::behavior::Script;
use thing_faults::{Ends, Fault, FaultSpec, Per, Row, TABLE, Times, Unit, Where};

const THINGS: u64 = 1_000;
/// Things that nothing goes wrong with, to hold the others against.
const SOUND: &str = "sound";
const SHARE_OF_A_FAULT: f64 = 0.05;

/// Parameters, and what else the cohort of a fault needs, so that the run is short and the fault has its effect.
fn shape(fault: Fault) -> (&'static str, &'static str) {
    const ORDINARY: &str = "updates = 3\noutcome = { failed = 0.2, rejected = 0.1 }";
    match fault {
        Fault::CrashInProgress => (", away = 'uniform(200ms, 1s)'", ORDINARY),
        // More messages than an endpoint sends without a PUBACK.
        Fault::NoPuback => (", for = '25s'", "updates = 110"),
        Fault::SlowReader => (", bytes_per_s = 24, for = '20s'", ORDINARY),
        Fault::NoNotifyNext => (", ask_again = '2s'", ORDINARY),
        Fault::Flapping => (", up = 'uniform(500ms, 3s)'", ORDINARY),
        Fault::DuplicateClientId => (", for = '6s', again = '1s'", ORDINARY),
        Fault::ExpiredCertificate => (", attempts = 2", ORDINARY),
        _ => ("", ORDINARY),
    }
}

/// A cohort, a behavior and a job for each fault.
fn scenario() -> String {
    let mut text = format!(
        "name = 'faults'\nseed = 11\n[target.emulator]\nminute = '8s'\nquotas = 'quotas.toml'\n[fleet]\nthings = {THINGS}\n\
         connect = {{ rate = '400/s' }}\nreconnect = {{ policy = 'fixed', base = '500ms' }}\nretry = {{ base = '100ms', cap = '1s' }}\n\
         [end]\nlimit = '110s'\n[thresholds]\n'executions.lost' = '== 0'\n\
         'start_next.response_ms.p99' = '< 30000'\n"
    );
    let mut cohort = |name: &str, share: f64, faults: &str, more: &str| {
        // Silent things get stuck at once, impatiently, long before their silence ends: on a slow machine, too.
        let (answer, rate) = if name == Fault::NoPuback.key() { ("1s", "1600/min") } else { ("4s", "160/min") };
        write!(
            text,
            "[[cohort]]\nname = '{name}'\nshare = {share}\nbehavior = '{name}'\ntimeouts = {{ answer = '{answer}' }}\n\
             [behavior.{name}]\nreaction = 'uniform(0s, 500ms)'\nstep = 'uniform(30ms, 60ms)'\n{more}\nfaults = {{ {faults} }}\n\
             [[rollout]]\njob = 'job-{name}'\nafter = 'connected'\ntargets = {{ cohort = '{name}' }}\nrate = '{rate}'\n"
        )
        .unwrap();
        // Only what stalls needs a timer, and a slow machine must not end anything else.
        if name == Fault::Stall.key() {
            text.push_str("timeoutConfig = { inProgressTimeoutInMinutes = 2 }\n");
        }
    };
    for row in TABLE {
        let (parameters, more) = shape(row.fault);
        cohort(row.key, SHARE_OF_A_FAULT, &format!("{} = {{ share = 0.5{parameters} }}", row.key), more);
    }
    cohort(SOUND, 1.0 - SHARE_OF_A_FAULT * TABLE.len() as f64, "", shape(Fault::Stall).1);
    text
}

/// The limit of messages on a connection, and no other.
const QUOTAS: &str = "
[account]
connects_per_second = 'unlimited'
connects_per_second_per_client_id = 'unlimited'
connections = 'unlimited'
inbound_publishes_per_second = 'unlimited'
subscribes_per_second = 'unlimited'
[connection]
publishes_per_second = 100
bytes_per_second = 'unlimited'
[jobs]
reads_per_second = 'unlimited'
writes_per_second = 'unlimited'
create_job_per_second = 'unlimited'
control_plane_per_second = 'unlimited'
active_jobs = 'unlimited'
rollout_per_minute = 'unlimited'
targets_per_job = 'unlimited'
";

/// What the seed says of one cohort.
#[derive(Debug, Default)]
struct Expected {
    things: u64,
    /// Units struck: updates, executions, or things.
    strikes: u64,
    /// Things with a unit that is struck.
    struck: BTreeSet<u64>,
    /// Status of each thing's execution.
    ends: BTreeMap<u64, String>,
}

fn expected(plan: &Plan, name: &str) -> Expected {
    let mut expected = Expected::default();
    let behavior = &plan.behaviors[name];
    let job = JobId::new(&format!("job-{name}")).unwrap();
    let roster = Roster::new(plan).unwrap();
    for (thing, _) in (0..).zip(roster.cohorts()).filter(|(_, cohort)| plan.cohorts[usize::from(**cohort)].name == name) {
        let script = Script::draw(behavior, plan.seed, thing, &job, 1);
        let count =
            |spec: &FaultSpec| units(spec.per, &job, script.reports).filter(|u| spec.draw(plan.seed, thing, *u).is_some()).count();
        let strikes = behavior.faults.iter().map(count).sum::<usize>() as u64;
        let is_struck = strikes > 0;
        let is_silenced = is_struck && Fault::of(name).is_some_and(|fault| fault.row().ends == Ends::TimedOut);
        let end = if is_silenced { "TIMED_OUT" } else { script.outcome.as_str() };
        expected.things += 1;
        expected.strikes += strikes;
        expected.struck.extend(is_struck.then_some(thing));
        expected.ends.insert(thing, end.to_owned());
    }
    expected
}

/// What is drawn for one thing with one execution.
fn units(per: Per, job: &JobId, reports: u32) -> Box<dyn Iterator<Item = Unit> + '_> {
    match per {
        Per::Update => Box::new((0..=reports).map(|update| Unit::update(job, 1, update))),
        Per::Execution => Box::new(std::iter::once(Unit::execution(job, 1))),
        Per::Session | Per::Thing => Box::new(std::iter::once(Unit::THING)),
    }
}

/// The run, looked at.
struct Outcome {
    bench: Bench,
    /// `summary.csv`: (scope, operation) -> column -> value.
    summary: BTreeMap<(String, String), BTreeMap<&'static str, u64>>,
    /// `errors.csv`: (operation, kind, code) -> count.
    errors: BTreeMap<[String; 3], u64>,
}

const SUMMARY_COLUMNS: [&str; 5] = ["ok", "rejected", "timeout", "error", "late_answers"];

impl Outcome {
    fn of(bench: Bench) -> Self {
        let number = |cell: &String| cell.parse::<u64>().unwrap();
        let rows = bench.cells("out/summary.csv", &[&["scope", "operation"][..], &SUMMARY_COLUMNS].concat());
        let summary = rows.into_iter().map(|row| {
            let columns = SUMMARY_COLUMNS.into_iter().zip(row[2..].iter().map(number)).collect();
            ((row[0].clone(), row[1].clone()), columns)
        });
        let summary = summary.collect();
        let rows = bench.cells("out/errors.csv", &["operation", "kind", "code", "count"]);
        let errors = rows.into_iter().map(|row| ([row[0].clone(), row[1].clone(), row[2].clone()], number(&row[3]))).collect();
        Self { bench, summary, errors }
    }

    fn summary(&self, scope: &str, operation: &str, column: &str) -> u64 {
        let row = self.summary.get(&(scope.to_owned(), operation.to_owned()));
        row.and_then(|row| row.get(column)).copied().unwrap_or(0)
    }

    fn error(&self, operation: &str, kind: &str, code: &str) -> u64 {
        self.errors.get(&[operation.to_owned(), kind.to_owned(), code.to_owned()]).copied().unwrap_or(0)
    }

    /// Strikes of a fault, as the results tell them.
    fn injected(&self, row: &Row) -> u64 {
        self.errors.iter().filter(|(key, _)| key[1] == "fault" && key[2] == row.key).map(|(_, count)| count).sum()
    }
}

#[test]
fn every_fault_does_what_its_row_says_and_nothing_is_lost() {
    let bench = Bench::new();
    fs::write(bench.path("faults.toml"), scenario()).unwrap();
    fs::write(bench.path("quotas.toml"), QUOTAS).unwrap();
    let plan = fleetsim::scenario::load("faults.toml", &scenario(), &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let run = bench.run(&["run", "faults.toml", "--ui", "plain", "--out", "out"]);
    if let Some(kept) = std::env::var_os("KEEP_FAULTS") {
        Command::new("cp").arg("-r").arg(bench.path("out")).arg(kept).status().unwrap();
    }
    assert_carried_out(&run, &bench);

    let outcome = Outcome::of(bench);
    let manifest = outcome.bench.manifest("out");
    assert_eq!(manifest["differences"], 0);
    let ends = outcome.bench.cells("out/executions.csv", &["thing", "cohort", "status", "anomaly", "faults"]);
    assert_eq!(ends.len() as u64, THINGS, "every execution has ended, once");

    for name in TABLE.iter().map(|row| row.key).chain([SOUND]) {
        let expected = expected(&plan, name);
        let rows: Vec<&Vec<String>> = ends.iter().filter(|row| row[1] == name).collect();
        assert_eq!(rows.len() as u64, expected.things, "{name}");
        for row in rows {
            let thing: u64 = row[0].rsplit('-').next().unwrap().parse().unwrap();
            assert_eq!(row[2], expected.ends[&thing], "{row:?}");
            // A busy machine is late with what it tells.
            assert!(row[3].is_empty() || row[3] == "late_notify", "{row:?}");
            let is_struck = expected.struck.contains(&thing);
            assert_eq!(row[4], if is_struck { name } else { "" }, "{row:?}");
        }
        if let Some(fault) = Fault::of(name) {
            assert!(expected.strikes > 0, "{name} strikes nothing: another seed");
            check(fault.row(), &expected, &outcome);
        } else {
            let scope = format!("cohort:{name}");
            for (operation, column) in [("update", "rejected"), ("execution", "error"), ("connect", "error"), ("reconnect", "ok")] {
                assert_eq!(outcome.summary(&scope, operation, column), 0, "{name}: {operation} {column}");
            }
        }
    }
}

/// A few things of every kind, told in the fewest words.
const FEW: &str = "
name = 'few'
seed = 5
[fleet]
things = 40
connect = { rate = '200/s' }
retry = { base = '20ms', cap = '100ms' }
reconnect = { policy = 'fixed', base = '50ms' }
[behavior.all]
reaction = '0s'
step = '50ms'
[behavior.all.faults]
crash_in_progress = { share = 0.2, away = '100ms' }
stale_version = { share = 0.1 }
oversized_details = { share = 0.1, per = 'execution' }
bad_json = { share = 0.1, per = 'thing' }
[[rollout]]
job = 'fw-1'
after = 'connected'
rate = '6000/min'
[end]
limit = '60s'
";

#[test]
fn the_same_executions_are_struck_for_any_number_of_shards() {
    let struck = |shards: &str, seed: &str| -> BTreeSet<Vec<String>> {
        let bench = Bench::new();
        fs::write(bench.path("few.toml"), FEW).unwrap();
        let run = bench.run(&["run", "few.toml", "--ui", "none", "--out", "out", "--shards", shards, "--seed", seed]);
        assert_carried_out(&run, &bench);
        bench.cells("out/executions.csv", &["thing", "status", "rejections", "faults"]).into_iter().collect()
    };
    let first = struck("1", "5");
    assert!(first.iter().any(|row| !row[3].is_empty()) && first.iter().any(|row| row[3].is_empty()), "{first:?}");
    assert_eq!(first, struck("2", "5"));
    assert_ne!(first, struck("2", "6"));
}

#[test]
fn a_rate_is_that_of_all_things_together() {
    let bench = Bench::new();
    let rate = "[behavior.all.faults]\nstale_version = { rate = '10/s' }\n";
    // Forty things with some seven seconds of work each.
    let begin = FEW.find("[behavior.all.faults]").unwrap();
    let end = FEW.find("[[rollout]]").unwrap();
    let text = FEW.replace(&FEW[begin..end], rate).replace("step = '50ms'", "step = '50ms'\nupdates = 140");
    fs::write(bench.path("few.toml"), text).unwrap();
    let run = bench.run(&["run", "few.toml", "--ui", "none", "--out", "out"]);
    assert_carried_out(&run, &bench);
    let outcome = Outcome::of(bench);
    let strikes = outcome.injected(Fault::StaleVersion.row());
    // 70 in seven seconds of work, give or take: a Poisson process, and what came due before there was work. A slow machine works longer.
    let run_s = outcome.bench.manifest("out")["totals"]["run_s"].as_u64().unwrap();
    assert!((35..20 * run_s).contains(&strikes), "{strikes} in {run_s} s");
    assert_eq!(outcome.error("update", "rejected", "VersionMismatch"), strikes);
}

/// What is counted here holds on a machine that is too busy for figures, too.
fn assert_carried_out(run: &Output, bench: &Bench) {
    assert_eq!(bench.code(run.status), Some(0), "{}\n{}", bench.text("out/run.json"), String::from_utf8_lossy(&run.stderr));
}

#[test]
fn the_shipped_flaky_fleet_runs_small() {
    let bench = Bench::new();
    let step = ["ordinary", "bad-link", "neglected"].map(|name| format!("behavior.{name}.step='100ms'"));
    let sets = [&*step[0], &step[1], &step[2], "target.emulator.minute='6s'", "behavior.bad-link.faults.slow_reader.for='3s'"];
    let sets = sets.into_iter().flat_map(|set| ["--set", set]);
    let args = ["run", "flaky-fleet", "--things", "150", "--ui", "none", "--out", "out"];
    let run = bench.run(&args.into_iter().chain(sets).collect::<Vec<_>>());
    assert_carried_out(&run, &bench);
    let manifest = bench.manifest("out");
    assert_eq!(manifest["differences"], 0);
    assert_eq!(bench.cells("out/executions.csv", &["thing"]).len(), 150);
    let findings = manifest["findings"].to_string();
    for fault in ["crash_in_progress", "duplicate_update", "flapping", "no_puback", "slow_reader"] {
        assert!(findings.contains(fault), "{findings}");
    }
}

/// The counters of a row against what was drawn.
fn check(row: &Row, expected: &Expected, outcome: &Outcome) {
    let scope = format!("cohort:{}", row.key);
    let strikes = match row.fault {
        // Once for each time that it connects with that certificate.
        Fault::ExpiredCertificate => 2 * expected.strikes,
        // As often as the connection lasts too short, and as often as the other one gets in; and a session that broke, as on a slow
        // machine, is followed by another one.
        fault if matches!(fault, Fault::Flapping | Fault::DuplicateClientId) || row.per[0] == Per::Session => {
            let injected = outcome.injected(row);
            assert!(injected >= expected.strikes, "{}: {injected} strikes on {} things", row.key, expected.strikes);
            injected
        }
        _ => expected.strikes,
    };
    assert_eq!(outcome.injected(row), strikes, "{}: strikes", row.key);
    let told = format!("{strikes} {}", row.key);
    let findings = outcome.bench.manifest("out")["findings"].to_string();
    assert!(findings.contains(&told), "{findings}");
    for counter in row.counters {
        let (found, what) = match counter.place {
            Where::Summary(column) => {
                let is_scoped = outcome.summary.contains_key(&(scope.clone(), counter.operation.to_owned()));
                let scope = if is_scoped { &scope } else { "all" };
                (
                    outcome.summary(scope, counter.operation, column.as_str()),
                    format!("{scope} {} {}", counter.operation, column.as_str()),
                )
            }
            // Other faults are answered with the same code: the cohort's own rejections tell them apart.
            Where::Errors("rejected", code) => {
                assert!(outcome.error(counter.operation, "rejected", code) >= strikes, "{}: {code}", row.key);
                (outcome.summary(&scope, counter.operation, "rejected"), format!("{scope} {} rejected", counter.operation))
            }
            // On a slow machine a connection may be dropped while it subscribes.
            Where::Errors("lost", code) => {
                let lost = outcome.error(counter.operation, "lost", code) + outcome.error("subscribe", "suback", code);
                (lost, format!("connections that ended by {code}"))
            }
            Where::Errors(kind, code) => (outcome.error(counter.operation, kind, code), format!("{kind} {code}")),
        };
        match counter.times {
            Times::Once => assert_eq!(found, strikes, "{}: {what}", row.key),
            Times::Some => assert!(found > 0, "{}: {what}", row.key),
        }
    }
}
