//! A results folder, made from what shards and service told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetsim::report::{Manifest, ReportError, ResultsWriter, Totals, Verdict};
use fleetsim::roster::Things;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use iot_jobs::instant::Mono;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{ExecutionStatus, JobId, ThingName};
use load_metrics::Phase;
use load_metrics::{
    Collector, CollectorSettings, ErrorKind, Interval, Metered, Operation, Outcome, ProcessUsage, Recorder, Sample, Scope,
    SecondInput, Snapshot, ThingEvent, ThingEventKind,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const ORIGIN: Mono = Mono(3_000_000_000);
pub(crate) const THINGS: u32 = 12;
pub(crate) const COHORTS: [&str; 2] = ["healthy", "slow"];

pub(crate) fn at(ms: u64) -> Mono {
    ORIGIN + Duration::from_millis(ms)
}

pub(crate) fn thing(place: u32) -> ThingName {
    ThingName::new(&format!("sim-{place:06}")).unwrap()
}

/// A run of two shards whose things each work through one job, second by second.
pub(crate) struct Run {
    dir: tempfile::TempDir,
    has_service: bool,
    collector: Collector,
    shards: [Recorder; 2],
    ledger: Vec<LedgerRow>,
    next: u64,
}

impl Run {
    pub(crate) fn new(has_service: bool) -> Self {
        let mut collector = Collector::new(CollectorSettings {
            origin: ORIGIN,
            things: (0..THINGS).map(thing).collect(),
            cohorts: COHORTS.map(str::to_owned).to_vec(),
            transports: vec!["mqtt".into()],
            has_service,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 2,
        });
        if has_service {
            collector.job_created(&JobId::new("fw-1").unwrap(), u64::from(THINGS), ORIGIN);
        }
        let shards = [Recorder::new(ORIGIN, 2, 1), Recorder::new(ORIGIN, 2, 1)];
        Self { dir: tempfile::tempdir().unwrap(), has_service, collector, shards, ledger: Vec::new(), next: 0 }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    pub(crate) fn writer(&self) -> ResultsWriter {
        create(&self.path("")).unwrap()
    }

    /// One operation of the thing at `place`, answered `ms` milliseconds after it was meant to start.
    pub(crate) fn operation(&mut self, place: u32, operation: Operation, begin: u64, ms: u64, outcome: Option<Outcome>) {
        let scope = Scope { cohort: (place % 2) as u16, transport: 0 };
        let shard = &mut self.shards[place as usize % 2];
        shard.start(operation, scope);
        if let Some(outcome) = outcome {
            let (intended, sent, finished) = (at(begin), at(begin + ms / 3), at(begin + ms));
            shard.finish(&Sample { operation, scope, outcome, intended, sent, finished });
        }
    }

    pub(crate) fn event(&mut self, place: u32, ms: u64, kind: ThingEventKind) {
        let job = JobId::new("fw-1").unwrap();
        self.shards[place as usize % 2].thing_event(ThingEvent { thing: place, job, execution_number: 1, at: at(ms), kind });
    }

    pub(crate) fn row(&mut self, place: u32, ms: u64, status: ExecutionStatus, event: LedgerEvent) {
        let (thing, job) = (thing(place), JobId::new("fw-1").unwrap());
        self.ledger.push(LedgerRow { at: at(ms), thing, job, execution_number: 1, version: 1, status, event, subscribed: true });
    }

    /// Things 2n and 2n + 1 get connected and do their job in second n; what goes wrong goes wrong in second 2.
    pub(crate) fn live(&mut self, second: u64) {
        let begin = second * 1_000;
        for place in [2 * second as u32, 2 * second as u32 + 1] {
            self.shards[place as usize % 2].connected(place, at(begin), at(begin + 30));
            self.operation(place, Operation::Connect, begin, 30, Some(Outcome::Ok));
            self.row(place, begin + 100, ExecutionStatus::Queued, LedgerEvent::Queued);
            self.row(place, begin + 100, ExecutionStatus::Queued, LedgerEvent::Head);
            self.event(place, begin + 103 + second, ThingEventKind::Notified);
            self.operation(place, Operation::StartNext, begin + 150, 9 + 7 * u64::from(place), Some(Outcome::Ok));
            self.row(place, begin + 200, ExecutionStatus::InProgress, LedgerEvent::Answered);
            self.event(place, begin + 240, ThingEventKind::Started);
            self.operation(place, Operation::Update, begin + 300, 90, Some(Outcome::Ok));
            if second == 2 {
                self.operation(place, Operation::Update, begin + 400, 70, Some(Outcome::Rejected));
                self.operation(place, Operation::Update, begin + 500, 400, Some(Outcome::Timeout));
                self.operation(place, Operation::Update, begin + 600, 1, Some(Outcome::Error));
                self.operation(place, Operation::Describe, begin + 700, 0, None);
                let shard = &mut self.shards[place as usize % 2];
                shard.error(Operation::Update, ErrorKind::Rejected, "VersionMismatch", at(begin + 470), || {
                    "said \"no\",\nthen no".into()
                });
            }
            self.row(place, begin + 790, ExecutionStatus::Succeeded, LedgerEvent::Terminal);
            self.operation(place, Operation::Execution, begin + 100, 700, Some(Outcome::Ok));
            self.event(place, begin + 800, ThingEventKind::Finished(ExecutionStatus::Succeeded));
        }
        for shard in &mut self.shards {
            shard.message_in();
            shard.metered(Metered { messages: 1_000, connection_minutes: 1 });
            let left = ORIGIN + Duration::from_secs(second);
            shard.departed(left, left + Duration::from_micros(250 + 10 * second));
        }
    }

    pub(crate) fn input(&mut self, intervals: Vec<Interval>) -> SecondInput {
        let second = self.next;
        self.next += 1;
        let ledger = std::mem::take(&mut self.ledger);
        let usage = ProcessUsage { cpu_share: 0.5, cpu_seconds: second as f64, rss_bytes: 50_000_000, descriptors: 40 };
        SecondInput {
            second,
            span_s: 1,
            phase: Phase::Rollout,
            phases: Phase::Rollout.into(),
            intervals,
            intervals_lost: 0,
            ledger: if self.has_service { ledger } else { Vec::new() },
            generator: Some(usage),
            endpoint: self.has_service.then_some(usage),
        }
    }

    pub(crate) fn second(&mut self) -> Arc<Snapshot> {
        self.live(self.next);
        let end = at((self.next + 1) * 1_000);
        let intervals = self.shards.iter_mut().map(|shard| {
            shard.advance(end);
            shard.poll_interval().unwrap()
        });
        let intervals = intervals.collect();
        let input = self.input(intervals);
        self.collector.second(input)
    }

    pub(crate) fn last(&mut self) -> Arc<Snapshot> {
        let now = at(self.next * 1_000 + 10);
        let rest = self.shards.iter_mut().flat_map(|shard| shard.finish_run(now)).collect();
        let input = self.input(rest);
        self.collector.finish(input, None)
    }

    /// A whole run: six seconds of work and its last word.
    pub(crate) fn whole(has_service: bool) -> Self {
        let mut run = Self::new(has_service);
        let mut writer = run.writer();
        for _ in 0..6 {
            writer.second(&run.second()).unwrap();
        }
        writer.second(&run.last()).unwrap();
        writer.finish(Verdict::Pass, 0, "2026-01-01T00:00:10Z".into(), writer.manifest().findings.clone(), None).unwrap();
        run
    }

    pub(crate) fn rows(&self, file: &str) -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.path(file)).unwrap();
        reader.deserialize().map(|row| row.unwrap_or_else(|error| panic!("{file}: {error}"))).collect()
    }

    pub(crate) fn log(&self) -> BTreeMap<String, Histogram<u64>> {
        let text = fs::read(self.path("histograms.hlog")).unwrap();
        let mut merged = BTreeMap::<String, Histogram<u64>>::new();
        for entry in IntervalLogIterator::new(&text) {
            let LogEntry::Interval(line) = entry.unwrap() else { continue };
            let bytes = STANDARD.decode(line.encoded_histogram()).unwrap();
            let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            let tag = line.tag().unwrap().as_str().to_owned();
            match merged.get_mut(&tag) {
                Some(sum) => sum.add(&histogram).unwrap(),
                None => drop(merged.insert(tag, histogram)),
            }
        }
        merged
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest { totals: Totals { things: u64::from(THINGS), ..Totals::default() }, ..crate::manifest::running() }
}

pub(crate) fn create(dir: &Path) -> Result<ResultsWriter, ReportError> {
    let things = Things {
        names: (0..THINGS).map(thing).collect(),
        cohorts: (0..THINGS).map(|place| (place % 2) as u16).collect(),
        cohort_names: COHORTS.map(Into::into).into(),
    };
    ResultsWriter::create(dir, manifest(), Arc::new(things))
}
