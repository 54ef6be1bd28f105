//! Shards that were recorded apart, merged from their files, against the same samples recorded jointly; and what is refused.

mod leader;

use super::*;
use crate::preflight::{self, HostFacts};
use crate::report::{INTERVALS, SCENARIO, ShardTotals};
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use crate::workload::events;
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, JobId};
use load_metrics::{
    Collector, CollectorSettings, ErrorKind, Interval, Operation, Outcome, Phase, ProcessUsage, Recorder, Sample, Scope,
    SecondInput, ShardSecond, ThingEvent, ThingEventKind,
};
use serde_json::{Value, json};

const THINGS: u32 = 2_000;
const SLICES: u32 = 4;
const SECONDS: u64 = 9;
const SCENARIO_TEXT: &str = "
    name = 'x'
    seed = 7
    fleet = { things = 2_000, connect = { rate = '1000/s' } }
    cohort = [{ name = 'a', share = 0.9 }, { name = 'b', share = 0.1 }]
    event = [{ at = '6s', kind = 'disconnect', share = 0.5, for = '1s' }]
    end.duration = '9s'
    [target]
    kind = 'aws'
    host = 'h'
    tls = { ca = 'ca', cert = 'c', key = 'k' }
    [[rollout]]
    job = 'fw-1'
    at = '2s'
    targets = { share = 0.6 }
    document = { operation = 'x' }
    [thresholds]
    'update.response_ms.p99' = '< 100000'
    'connect.ok' = '== 2000'
";

/// What a fleet does, the same whoever drives it: nothing of it at the same instant.
struct World {
    plan: Plan,
    roster: Roster,
}

/// One thing's deed, `ns` after the origin.
struct Deed {
    ns: u64,
    thing: u32,
    number: u64,
}

impl World {
    fn new() -> Self {
        let plan = crate::scenario::load("x.toml", SCENARIO_TEXT, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        Self { roster: Roster::new(&plan).unwrap(), plan }
    }

    fn deeds(slice: Slice) -> impl Iterator<Item = Deed> {
        let all = (0..u64::from(THINGS) * SECONDS).map(|n| {
            let thing = (n % u64::from(THINGS)) as u32;
            Deed { ns: n * 500_000 + 1_000, thing, number: n / u64::from(THINGS) }
        });
        all.filter(move |deed| slice.has(deed.thing))
    }

    fn see(&self, recorder: &mut Recorder, origin: Mono, deed: &Deed) {
        let Deed { ns, thing, number } = *deed;
        let at = |offset: u64| origin + Duration::from_nanos(ns + offset);
        let scope = Scope { cohort: self.roster.cohorts()[thing as usize], transport: 0 };
        let age = Duration::from_nanos(1 + (u64::from(thing) * 7_919 + number * 104_729) % 300_000_000);
        let finish = |recorder: &mut Recorder, operation, outcome| {
            let finished = at(0);
            let (sent, intended) = (finished - age, finished - age - Duration::from_micros(u64::from(thing)));
            recorder.start(operation, scope);
            recorder.finish(&Sample { operation, scope, outcome, intended, sent, finished });
        };
        let tell = |recorder: &mut Recorder, offset, kind| {
            let job = JobId::new("fw-1").unwrap();
            recorder.thing_event(ThingEvent { thing, job, execution_number: 1, at: at(offset), kind });
        };
        recorder.advance(at(0));
        recorder.message_out();
        let is_target = self.roster.targets_of(0).binary_search(&thing).is_ok();
        match number {
            0 => {
                finish(recorder, Operation::Connect, Outcome::Ok);
                recorder.connected(thing, at(0), at(1));
            }
            2 if is_target => tell(recorder, 2, ThingEventKind::Notified),
            3 if is_target => {
                finish(recorder, Operation::StartNext, Outcome::Ok);
                recorder.departed(at(0) - Duration::from_micros(u64::from(thing)), at(0));
                tell(recorder, 3, ThingEventKind::Started);
            }
            4 if is_target => {
                let outcome = if thing.is_multiple_of(10) { Outcome::Rejected } else { Outcome::Ok };
                finish(recorder, Operation::Update, outcome);
                finish(recorder, Operation::Execution, Outcome::Ok);
                if outcome == Outcome::Rejected {
                    recorder.error(Operation::Update, ErrorKind::Rejected, "VersionMismatch", at(4), || format!("t-{thing}"));
                }
                let status = if thing.is_multiple_of(7) { ExecutionStatus::Failed } else { ExecutionStatus::Succeeded };
                tell(recorder, 5, ThingEventKind::Finished(status));
            }
            6 if self.roster.affected_by(0).binary_search(&thing).is_ok() => recorder.session_lost(thing, at(6), Some(0)),
            7 if self.roster.affected_by(0).binary_search(&thing).is_ok() => recorder.connected(thing, at(0), at(7)),
            _ => {}
        }
    }

    fn phase(second: u64) -> Phase {
        match second {
            0 => Phase::Connect,
            1 => Phase::Steady,
            _ if second + 1 == SECONDS => Phase::Done,
            _ => Phase::Rollout,
        }
    }

    /// Records one slice as a run of its own in `dir`.
    fn record(&self, dir: &Path, slice: Slice, origin: Mono) {
        let is_shard = slice != Slice::WHOLE;
        let start_at = "2026-11-29T18:30:00Z".to_owned();
        let (run_id, failed) = (None, None);
        let shard = is_shard.then(|| ShardTotals { slice, start_at, run_id, limit_reached: false, uncreated: Vec::new(), failed });
        let host = HostFacts { cores: 2, ..preflight::facts() };
        let mut writer =
            results_folder::create(Some(dir), &self.plan, &self.roster, &RunsOn { mode: Mode::Run, host, shards: 1, shard })
                .unwrap();
        let mut recorder = Recorder::new(origin, 2, 1);
        Self::deeds(slice).for_each(|deed| self.see(&mut recorder, origin, &deed));
        let mut collector = self.collector(origin, slice);
        let mut intervals: Vec<Interval> = recorder.finish_run(origin + Duration::from_secs(SECONDS));
        // The last one is empty: it begins where the run ends.
        intervals.pop();
        let cpu = if is_shard { 1.0 / f64::from(SLICES) } else { 1.0 };
        for interval in intervals {
            let second = interval.second;
            let begun = (second == 2).then(|| (JobId::new("fw-1").unwrap(), origin + Duration::from_secs(2)));
            let targets = self.roster.targets_of(0).iter().filter(|place| slice.has(**place)).count() as u64;
            begun.iter().for_each(|(job, at)| collector.job_created(job, targets, *at));
            let input = SecondInput {
                second,
                span_s: 1,
                phase: Self::phase(second),
                phases: Self::phase(second) | Self::phase(second.saturating_sub(1)),
                intervals: vec![interval],
                intervals_lost: 0,
                ledger: Vec::new(),
                generator: Some(ProcessUsage { cpu_share: cpu, cpu_seconds: cpu, rss_bytes: (4.0 * cpu) as u64, descriptors: 0 }),
                endpoint: None,
            };
            writer.shard_second(&ShardSecond::of(&input, origin, begun.into_iter().collect())).unwrap();
            let is_last = second + 1 == SECONDS;
            let snapshot = if is_last { collector.finish(input, None) } else { collector.second(input) };
            writer.second(&snapshot).unwrap();
        }
        let findings = writer.findings().iter().map(ToString::to_string).collect();
        writer.finish(Verdict::Pass, 0, "2026-11-29T18:31:00Z".into(), findings, None).unwrap();
    }

    fn collector(&self, origin: Mono, slice: Slice) -> Collector {
        let mut collector = Collector::new(CollectorSettings {
            origin,
            things: self.roster.names().to_vec(),
            cohorts: self.plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
            transports: vec!["mqtt".into()],
            has_service: false,
            thresholds: self.plan.thresholds.clone(),
            events: events::planned(&self.plan, origin, false),
            cores: 2,
        });
        collector.drives(slice.things(u64::from(THINGS)));
        collector
    }

    /// All shards, each by a clock of its own.
    fn shards(&self, dir: &Path) -> Vec<PathBuf> {
        let shard = |index: u32| {
            let folder = dir.join(format!("shard-{index}"));
            self.record(&folder, format!("{index}/{SLICES}").parse().unwrap(), Mono((1 + u64::from(index)) * 777_000_000_000));
            folder
        };
        (0..SLICES).map(shard).collect()
    }
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_str(&text(dir, "run.json")).unwrap()
}

fn change(dir: &Path, change: impl FnOnce(&mut Value)) {
    let mut manifest = manifest(dir);
    change(&mut manifest);
    fs::write(dir.join("run.json"), manifest.to_string()).unwrap();
}

#[test]
fn four_shards_are_to_the_byte_what_one_process_records() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let joint = dir.path().join("joint");
    world.record(&joint, Slice::WHOLE, Mono(5_000_000_000));
    let mut shards = world.shards(dir.path());
    shards.rotate_left(3);
    let out = dir.path().join("out");
    assert_eq!(into_folder(&out, &shards, |_| false).unwrap(), 0);

    for file in ["timeseries.csv", "operations.csv", "summary.csv", "rollouts.csv", "executions.csv", "errors.csv", "events.csv"] {
        assert_eq!(text(&out, file), text(&joint, file), "{file}");
    }
    let buckets = |dir: &Path| -> Vec<String> {
        text(dir, "histograms.hlog").lines().filter(|line| line.starts_with("Tag=")).map(str::to_owned).collect()
    };
    assert_eq!(buckets(&out), buckets(&joint), "every bucket of every histogram of every second");
    assert_eq!(buckets(&out).len(), 7, "both times of connect, start_next and update, and those of execution");
    assert!(
        text(&out, "histograms.hlog").contains("#[StartTime: 1795977000"),
        "where the slices began: {}",
        &text(&out, "histograms.hlog")[..200]
    );
    let (whole, one) = (manifest(&out), manifest(&joint));
    for key in ["thresholds", "events", "findings", "scenario", "scenario_sha256", "seed", "verdict", "exit_code"] {
        assert_eq!(whole[key], one[key], "{key}");
    }
    let totals = |manifest: &Value| {
        let mut totals = manifest["totals"].clone();
        totals["origin_mono_ns"] = Value::Null;
        totals
    };
    assert_eq!(totals(&whole), totals(&one));
    assert_eq!((&whole["mode"], &whole["shards"], &whole["shard"]), (&json!("merged"), &json!(4), &Value::Null));
    let slices: Vec<&Value> = whole["merged"].as_array().unwrap().iter().map(|shard| &shard["slice"]).collect();
    assert_eq!(slices, ["0/4", "1/4", "2/4", "3/4"]);
    let page = text(&out, "report.html");
    assert!(page.contains("The slices of the run") && page.contains("Slice 2/4: 500 things on") && !out.join(INTERVALS).exists());
    assert_eq!(text(&out, "shards.csv").lines().count(), 1 + 4 * SECONDS as usize);
    let shard = &whole["merged"][3];
    assert_eq!((&shard["run_s"], &shard["silent_s"], &shard["messages"]), (&json!(9), &json!(0), &json!(500 * SECONDS)));
    assert!(shard["connect_ms"]["p99"].as_f64().unwrap() > 0.0 && shard["lateness_ms"]["p50"].is_f64(), "{shard}");
    assert_eq!(shard["version"], env!("CARGO_PKG_VERSION"));
}

/// What is wrong with a folder, for the message, the exit code, and how it comes to be so.
type Spoilt = (&'static str, u8, fn(&Path));

const SPOILT: &[Spoilt] = &[
    ("different numbers of slices: 4 in", 2, |dir| change(dir, |run| run["shard"]["slice"] = "1/5".into())),
    ("different seeds: 7 in", 2, |dir| change(dir, |run| run["seed"] = 8.into())),
    ("different versions of fleetsim", 2, |dir| change(dir, |run| run["version"] = "9.9.9".into())),
    ("different instants of --start-at: 2026-11-29T18:30:00Z in", 2, |dir| {
        change(dir, |run| run["shard"]["start_at"] = "2026-11-29T18:31:00Z".into());
    }),
    ("different scenarios, rollout.fw-1.at: \"2s\" in", 2, |dir| {
        change(dir, |run| run["scenario"]["rollout"][0]["at"] = "3s".into());
    }),
    ("is not a slice of a run: `fleetsim run --shard", 2, |dir| {
        change(dir, |run| drop(run.as_object_mut().unwrap().remove("shard")));
    }),
    ("still goes on, as process", 2, |dir| {
        change(dir, |run| (run["verdict"], run["pid"]) = ("RUNNING".into(), std::process::id().into()));
    }),
    ("run.json: No such file", 1, |dir| fs::remove_file(dir.join("run.json")).unwrap()),
    ("its run.json has 1000000 threads", 1, |dir| change(dir, |run| run["shards"] = 1_000_000.into())),
    ("run.json: EOF while parsing", 1, |dir| fs::write(dir.join("run.json"), "{").unwrap()),
    ("intervals.bin: No such file", 1, |dir| fs::remove_file(dir.join(INTERVALS)).unwrap()),
    ("it is no file of intervals", 1, |dir| fs::write(dir.join(INTERVALS), "thing,job\n").unwrap()),
    ("ends after second 8, and its run after 9: copy the folder again", 1, |dir| rewrite(dir, |bytes| _ = bytes.pop())),
    ("ends after second 0, and its run after 9", 1, |dir| rewrite(dir, |bytes| bytes.truncate(16))),
    ("it is damaged at byte 16", 1, |dir| rewrite(dir, |bytes| bytes[100] ^= 1)),
];

fn rewrite(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(dir.join(INTERVALS)).unwrap();
    change(&mut bytes);
    fs::write(dir.join(INTERVALS), bytes).unwrap();
}

#[test]
fn what_is_not_one_run_is_refused_by_name_and_leaves_nothing() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let shards = world.shards(dir.path());
    let (out, spoilt) = (dir.path().join("out"), dir.path().join("spoilt"));
    let refused = |why: &str, code: u8, runs: &[PathBuf]| {
        let error = into_folder(&out, runs, |_| false).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!((error.exit_code(), out.exists()), (code, false), "{why}");
    };
    for (why, code, spoil) in SPOILT {
        let _ = fs::remove_dir_all(&spoilt);
        fs::create_dir(&spoilt).unwrap();
        for entry in fs::read_dir(&shards[1]).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), spoilt.join(entry.file_name())).unwrap();
        }
        spoil(&spoilt);
        refused(why, *code, &[shards[0].clone(), spoilt.clone(), shards[2].clone(), shards[3].clone()]);
    }
    let of = |places: &[usize]| places.iter().map(|place| shards[*place].clone()).collect::<Vec<_>>();
    refused("missing: slice 1/4, 3/4", 2, &of(&[2, 0]));
    refused("overlapping: slice 2/4 is in", 2, &of(&[0, 1, 2, 2, 3]));
    assert_eq!(into_folder(&out, &shards, |_| false).unwrap(), 0);
    let error = into_folder(&out, &shards, |_| false).unwrap_err();
    assert!(error.to_string().contains("out: it is not empty") && error.exit_code() == 2, "{error}");
    let again = dir.path().join("again");
    let error = into_folder(&again, std::slice::from_ref(&out), |_| false).unwrap_err();
    assert!(error.to_string().contains("out is a merged run already"), "{error}");
    fs::write(shards[0].join(SCENARIO), "name = 'y'\n").unwrap();
    let error = into_folder(&again, &shards, |_| false).unwrap_err();
    assert!(error.to_string().contains("scenario.toml is not the scenario of run.json") && !again.exists(), "{error}");
    let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_whole_is_as_good_as_the_worst_of_its_shards() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let shards = world.shards(dir.path());
    let [first, second, third, _] = &shards[..] else { unreachable!() };
    let mut merges = 0;
    let mut merged = || {
        merges += 1;
        let out = dir.path().join(format!("out-{merges}"));
        let code = into_folder(&out, &shards, |_| false).unwrap();
        let manifest = manifest(&out);
        assert_eq!(manifest["exit_code"], code);
        (code, manifest["verdict"].as_str().unwrap().to_owned(), manifest["findings"][0].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(merged(), (0, "PASS".into(), String::new()));
    change(first, |run| run["shard"]["uncreated"] = json!(["fw-2"]));
    let (code, _, finding) = merged();
    assert!(code == 99 && finding.starts_with("job fw-2 was never created"), "{finding}");
    change(second, |run| run["shard"]["limit_reached"] = true.into());
    let (code, _, finding) = merged();
    assert!(code == 99 && finding.starts_with("the limit of"), "{finding}");
    change(first, |run| run["shard"]["uncreated"] = json!([]));
    change(second, |run| {
        run["shard"]["limit_reached"] = false.into();
        (run["verdict"], run["findings"]) = ("INVALID".into(), json!(["shard 0 was busy 99 %"]));
    });
    let (code, verdict, finding) = merged();
    assert_eq!((code, &*verdict, &*finding), (98, "INVALID", "slice 1/4 is INVALID: shard 0 was busy 99 %"));
    change(third, |run| (run["verdict"], run["findings"]) = ("INVALID".into(), json!(["shard 0 was busy 97 %"])));
    let (_, _, finding) = merged();
    assert_eq!(finding, "slices 1-2 of 4 are INVALID, 2 of them like slice 1/4: shard 0 was busy 99 %");
    change(third, |run| run["verdict"] = "PASS".into());
    change(second, |run| (run["verdict"], run["pid"]) = ("RUNNING".into(), u32::MAX.into()));
    let bytes = fs::read(second.join(INTERVALS)).unwrap();
    fs::write(second.join(INTERVALS), &bytes[..bytes.len() - 7]).unwrap();
    let (code, verdict, finding) = merged();
    assert!(
        code == 98 && verdict == "INVALID" && finding.starts_with("slice 1/4 never finished: its process ended after second 8"),
        "{finding}"
    );
    let cut = &self::manifest(&dir.path().join("out-6"))["merged"][1];
    assert_eq!((&cut["run_s"], &cut["silent_s"]), (&json!(8), &json!(1)), "the run went on for a second without its word");
    change(third, |run| run["verdict"] = "INTERRUPTED".into());
    assert_eq!(merged().0, 105);
    change(first, |run| (run["verdict"], run["findings"]) = ("ERROR".into(), json!(["failed to reach the endpoint"])));
    let (code, _, finding) = merged();
    assert_eq!((code, &*finding), (1, "failed to complete slice 0/4: failed to reach the endpoint"));
}

#[test]
fn who_interrupts_a_merge_has_no_half_of_it() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let shards = world.shards(dir.path());
    let out = dir.path().join("out");
    let error = into_folder(&out, &shards, |snapshot| snapshot.t_s == 3).unwrap_err();
    assert_eq!(error.exit_code(), exit::INTERRUPTED);
    assert!(error.to_string().contains("out was not made") && !out.exists(), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), SLICES as usize, "nothing else is left");
}

#[test]
fn what_a_leader_knows_besides_is_in_the_whole_and_its_own_files_make_room() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let shards = world.shards(dir.path());
    let out = dir.path().join("out");
    fs::create_dir_all(out.join(WORKERS_FOLDER)).unwrap();
    fs::copy(shards[0].join(MANIFEST), out.join(MANIFEST)).unwrap();
    fs::write(out.join("summary.csv"), "what the leader had shown").unwrap();
    change(&shards[1], |run| (run["verdict"], run["pid"]) = ("RUNNING".into(), 0.into()));
    change(&shards[2], |run| run["verdict"] = "INTERRUPTED".into());
    let notes = LeaderNotes {
        findings: vec![Finding::ShardsLost { shards: Shards::new([1], 4), seconds: LastSeconds::new([8]) }],
        end: Some(End::Early("slice 1/4 was lost".into())),
        clocks: BTreeMap::from([(2, ShardClock { offset_ms: 0.5, uncertainty_ms: 0.25 })]),
    };
    assert_eq!(replace_folder(&out, &shards, &notes, |_| false).unwrap(), exit::INVALID, "nobody has interrupted it");
    let whole = manifest(&out);
    let findings: Vec<&str> = whole["findings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let lost = "slice 1/4 was lost: its worker was not heard of after second 8";
    assert_eq!(findings, ["the run was ended early: slice 1/4 was lost", lost], "and not once more that it has no end");
    assert_eq!(
        (&whole["merged"][2]["clock"], &whole["merged"][1]["clock"]),
        (&json!({ "offset_ms": 0.5, "uncertainty_ms": 0.25 }), &Value::Null)
    );
    assert!(text(&out, "summary.csv").starts_with("scope,") && text(&out, "report.html").contains("The workers of the run"));
    assert!(
        out.join(WORKERS_FOLDER).is_dir()
            && !fs::read_dir(&out).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.'))
    );
}
