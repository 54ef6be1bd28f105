//! What keeping books costs: `books record` measures the recording of request and answer pairs, `books day DIR` a day of a busy run, as
//! fast as it goes, with the folder it leaves, `books roster` who is in a run of a million things, or of as many as told. One JSON object on stdout. Driven by `scripts/prove`.

use fleetsim::preflight;
use fleetsim::report::{Manifest, Mode, ResultsWriter, Totals, Verdict};
use fleetsim::roster::{Roster, Things};
use fleetsim::scenario;
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{ExecutionStatus, JobId, ThingName};
use load_metrics::Phase;
use load_metrics::{
    Collector, CollectorSettings, Interval, Operation, Outcome, ProcessUsage, Recorder, Sample, Scope, SecondInput, ThingEvent,
    ThingEventKind,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ORIGIN: Mono = Mono(1_000_000_000);
const COHORTS: u16 = 3;
const THINGS: u32 = 10_000;
const DAY_S: u64 = 24 * 3600;
/// Request and answer pairs a second of the day.
const PAIRS_PER_S: u64 = 1_000;
/// Executions that begin and end in a second of the day: each thing has one every 1,000 s.
const EXECUTIONS_PER_S: u64 = 10;
const SHARDS: u64 = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["record"] => record(),
        ["day", dir] => day(Path::new(dir)),
        ["roster"] => roster("1_000_000"),
        ["roster", things] => roster(things),
        _ => {}
    }
}

/// What a shard is told of one request and its answer.
fn pair(recorder: &mut Recorder, n: u64, at: Mono, operation: Operation) {
    let scope = Scope { cohort: (n % u64::from(COHORTS)) as u16, transport: 0 };
    let age = Duration::from_micros(100 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 50_000);
    let sent = at - age;
    recorder.start(Operation::Puback, scope);
    recorder.message_out();
    recorder.start(operation, scope);
    recorder.departed(sent - Duration::from_micros(n % 97), sent);
    recorder.message_in();
    let sample = |operation| Sample { operation, scope, outcome: Outcome::Ok, intended: sent, sent, finished: at };
    recorder.finish(&sample(Operation::Puback));
    recorder.finish(&sample(operation));
}

/// Half of the rollouts and events have a part of the fleet drawn by lot.
const DRAWN: &str = "
    name = 'drawn'
    end.duration = '60s'
    cohort = [{ name = 'a', share = 0.5 }, { name = 'b', share = 0.3 }, { name = 'c', share = 0.2 }]
    rollout = [{ job = 'all' }, { job = 'b', targets = { cohort = 'b' } }, { job = 'half', targets = { share = 0.5 } }]
    event = [{ at = '1s', kind = 'disconnect' }, { at = '2s', kind = 'outage', share = 0.2, for = '1s' }]
";

/// Beside what it takes to make the names alone.
fn roster(things: &str) {
    let plan =
        scenario::load("drawn.toml", &format!("fleet.things = {things}\n{DRAWN}"), &[]).expect("a scenario without problems");
    let start = clock::mono();
    let names = (0..plan.fleet.things).map(|place| plan.fleet.name_of(place)).collect::<Result<Vec<_>, _>>();
    let named = clock::mono();
    let things = names.expect("names for all things").len();
    let roster = Roster::new(&plan).expect("names for all things");
    let done = clock::mono();
    assert_eq!(roster.names().len(), things);
    let (names_s, roster_s) = (named.since(start).as_secs_f64(), done.since(named).as_secs_f64());
    println!("{{\"things\": {things}, \"names_seconds\": {names_s:.6}, \"seconds\": {roster_s:.6}}}");
}

fn record() {
    const PER_S: u64 = 50_000;
    const SECONDS: u64 = 60;
    let mut recorder = Recorder::new(ORIGIN, usize::from(COHORTS), 1);
    let mut told = 0;
    let start = clock::thread_cpu();
    for n in 0..PER_S * SECONDS {
        let at = ORIGIN + Duration::from_nanos(1_000_000_000 / PER_S * n);
        pair(&mut recorder, n, at, Operation::StartNext);
        while let Some(interval) = recorder.poll_interval() {
            told += interval.operations.len();
        }
    }
    let ns = (clock::thread_cpu() - start).as_nanos() as f64 / (PER_S * SECONDS) as f64;
    println!("{{\"ns_per_pair\": {ns:.1}, \"told\": {told}}}");
}

fn thing(place: u64) -> ThingName {
    ThingName::new(&format!("sim-{place:06}")).expect("a valid name")
}

fn job(round: u64) -> JobId {
    JobId::new(&format!("fw-{round:03}")).expect("a valid job id")
}

/// The execution that runs in `second` on its thing: queued, told, started and ended within it.
fn execution(recorder: &mut Recorder, ledger: &mut Vec<LedgerRow>, second: u64, n: u64) {
    let number = second * EXECUTIONS_PER_S + n;
    let (place, round) = (number % u64::from(THINGS), number / u64::from(THINGS));
    let at = |ms: u64| ORIGIN + Duration::from_secs(second) + Duration::from_millis(ms);
    let mut row = |ms, version, status, event| {
        let (thing, job) = (thing(place), job(round));
        ledger.push(LedgerRow { at: at(ms), thing, job, execution_number: 1, version, status, event, subscribed: true });
    };
    row(100, 1, ExecutionStatus::Queued, LedgerEvent::Queued);
    row(100, 1, ExecutionStatus::Queued, LedgerEvent::Head);
    row(200, 2, ExecutionStatus::InProgress, LedgerEvent::Answered);
    row(800, 3, ExecutionStatus::Succeeded, LedgerEvent::Terminal);
    let events = [
        (103, ThingEventKind::Notified),
        (210, ThingEventKind::Started),
        (810, ThingEventKind::Finished(ExecutionStatus::Succeeded)),
    ];
    for (ms, kind) in events {
        recorder.thing_event(ThingEvent { thing: place as u32, job: job(round), execution_number: 1, at: at(ms), kind });
    }
}

fn second(recorders: &mut [Recorder], ledger: &mut Vec<LedgerRow>, second: u64) -> Vec<Interval> {
    let begin = ORIGIN + Duration::from_secs(second);
    for n in 0..EXECUTIONS_PER_S {
        execution(&mut recorders[0], ledger, second, n);
    }
    for n in 0..PAIRS_PER_S {
        let at = begin + Duration::from_nanos(1_000_000_000 / PAIRS_PER_S * n);
        let operation = [Operation::StartNext, Operation::Update, Operation::Describe][n as usize % 3];
        pair(&mut recorders[(n % SHARDS) as usize], second.wrapping_mul(PAIRS_PER_S) + n, at, operation);
    }
    let end = begin + Duration::from_secs(1);
    recorders
        .iter_mut()
        .enumerate()
        .map(|(shard, recorder)| {
            recorder.advance(end);
            let mut interval = recorder.poll_interval().expect("a second has ended");
            interval.shard = shard;
            interval
        })
        .collect()
}

fn rss_bytes() -> u64 {
    procfs::process::Process::myself().and_then(|me| me.stat()).expect("/proc/self/stat").rss * procfs::page_size()
}

fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("the folder of results");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file of results").len()).sum()
}

fn day(dir: &Path) {
    let things: Vec<ThingName> = (0..u64::from(THINGS)).map(thing).collect();
    let fleet = Things { names: things.clone().into(), cohorts: vec![0; things.len()], cohort_names: vec!["all".into()] };
    let mut writer = ResultsWriter::create(dir, manifest(), Arc::new(fleet)).expect("a new folder");
    let mut collector = Collector::new(CollectorSettings {
        origin: ORIGIN,
        things,
        cohorts: (0..COHORTS).map(|n| n.to_string()).collect(),
        transports: vec!["mqtt".into()],
        has_service: true,
        thresholds: Vec::new(),
        events: Vec::new(),
        cores: 2,
    });
    let mut recorders: Vec<Recorder> = (0..SHARDS).map(|_| Recorder::new(ORIGIN, usize::from(COHORTS), 1)).collect();
    let mut after_hours = Vec::new();
    let start = clock::mono();
    for t in 0..DAY_S {
        let mut ledger = Vec::new();
        let intervals = second(&mut recorders, &mut ledger, t);
        let usage = ProcessUsage::default();
        let input = SecondInput {
            second: t,
            span_s: 1,
            phase: Phase::Rollout,
            phases: Phase::Rollout.into(),
            intervals,
            intervals_lost: 0,
            ledger,
            generator: Some(usage),
            endpoint: Some(usage),
        };
        writer.second(&collector.second(input)).expect("the disk takes it");
        let hour = (t + 1) / 3600;
        if (t + 1).is_multiple_of(3600) && (hour == 1 || hour.is_multiple_of(6)) {
            after_hours.push(format!(
                "{{\"hour\": {hour}, \"rss_bytes\": {}, \"folder_bytes\": {}}}",
                rss_bytes(),
                folder_bytes(dir)
            ));
        }
    }
    let elapsed = clock::mono().since(start).as_secs_f64();
    println!("{{\"seconds\": {elapsed:.1}, \"hours\": [{}]}}", after_hours.join(", "));
}

fn manifest() -> Manifest {
    Manifest {
        name: "day".into(),
        mode: Mode::Run,
        verdict: Verdict::Running,
        exit_code: None,
        seed: 1,
        scenario_sha256: String::new(),
        scenario: serde_json::Value::Null,
        version: String::new(),
        host: preflight::facts(),
        pid: std::process::id(),
        shards: SHARDS as usize,
        started_at: String::new(),
        finished_at: None,
        totals: Totals { things: u64::from(THINGS), ..Totals::default() },
        thresholds: Vec::new(),
        events: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        reconciliation_findings: 0,
        predicted: Vec::new(),
        forecast: None,
        shard: None,
        merged: Vec::new(),
        differences: None,
    }
}
