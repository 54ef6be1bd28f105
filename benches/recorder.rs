//! What recording costs a shard, and what a second costs the collector.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use iot_jobs::ThingName;
use iot_jobs::instant::Mono;
use load_metrics::Phase;
use load_metrics::{
    Collector, CollectorSettings, Interval, Operation, Outcome, ProcessUsage, Recorder, Sample, Scope, SecondInput,
};
use std::hint::black_box;
use std::time::Duration;

const ORIGIN: Mono = Mono(1_000_000_000);
const COHORTS: usize = 3;
/// What a busy shard records in a second.
const SAMPLES_PER_SECOND: u64 = 20_000;

/// Sample `n` of a second: latencies spread from 0.1 to 50 ms, over the operations of a roll-out.
fn sample(n: u64) -> Sample {
    const OPERATIONS: [Operation; 4] = [Operation::StartNext, Operation::Update, Operation::Puback, Operation::Execution];
    let finished = ORIGIN + Duration::from_nanos(n * 1_000_000_000 / SAMPLES_PER_SECOND);
    let age = Duration::from_micros(100 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 50_000);
    Sample {
        operation: OPERATIONS[n as usize % OPERATIONS.len()],
        scope: Scope { cohort: (n % COHORTS as u64) as u16, transport: 0 },
        outcome: Outcome::Ok,
        intended: finished - age,
        sent: finished - age,
        finished,
    }
}

fn second() -> Interval {
    let mut recorder = Recorder::new(ORIGIN, COHORTS, 1);
    for n in 0..SAMPLES_PER_SECOND {
        let sample = sample(n);
        recorder.start(sample.operation, sample.scope);
        recorder.finish(&sample);
    }
    recorder.finish_run(ORIGIN + Duration::from_millis(999)).remove(0)
}

fn collector() -> Collector {
    Collector::new(CollectorSettings {
        origin: ORIGIN,
        things: vec![ThingName::new("t").expect("a valid name")],
        cohorts: (0..COHORTS).map(|n| n.to_string()).collect(),
        transports: vec!["mqtt".into()],
        has_service: true,
        thresholds: Vec::new(),
        events: Vec::new(),
        cores: 2,
    })
}

fn record(criterion: &mut Criterion) {
    let mut recorder = Recorder::new(ORIGIN, COHORTS, 1);
    let mut n = 0;
    criterion.bench_function("finish one sample", |bencher| {
        bencher.iter(|| {
            n = (n + 1) % SAMPLES_PER_SECOND;
            recorder.finish(black_box(&sample(n)));
        });
    });
    criterion.bench_function("record and close a second of 20,000 samples", |bencher| bencher.iter(second));
}

fn merge(criterion: &mut Criterion) {
    let interval = second();
    let input = |interval: &Interval| SecondInput {
        second: 0,
        span_s: 1,
        phase: Phase::Rollout,
        phases: Phase::Rollout.into(),
        intervals: vec![interval.clone()],
        intervals_lost: 0,
        ledger: Vec::new(),
        generator: Some(ProcessUsage::default()),
        endpoint: None,
    };
    let mut collector = collector();
    criterion.bench_function("merge one interval of 20,000 samples", |bencher| {
        bencher.iter_batched(|| input(&interval), |input| collector.second(input), BatchSize::SmallInput);
    });
}

criterion_group!(benches, record, merge);
criterion_main!(benches);
