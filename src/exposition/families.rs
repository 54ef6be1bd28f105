//! What is exposed: each family with its labels, its meaning, and where its figures are. The exposition and `docs/METRICS.md` are made from
//! this one table. No figure is counted in two series of a family.

use super::RunLabels;
use super::family::{Family, Kind, Row, one};
use super::operations::{Breadth, operations};
use crate::report::Verdict;
use load_metrics::{EventRow, Finding, Latency, Phase, ProcessUsage, RolloutRow, Snapshot, Threshold, ThresholdRow, findings};
use sim_units::text::duration_text;
use strum::VariantArray as _;

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// 1 for what is, 0 for all else that could be.
fn state_set(all: impl Iterator<Item = &'static str>, is: &str) -> Vec<Row> {
    all.map(|name| Row::new([name], flag(name == is))).collect()
}

/// Every family, in the order in which people read them.
pub(super) fn families() -> Vec<Family> {
    let breadths = [Breadth::Fleet, Breadth::Cohort, Breadth::Transport];
    let parts = [run(), verdict(), fleet(), jobs(), trouble(), generator()];
    parts.into_iter().flatten().chain(breadths.into_iter().flat_map(operations)).collect()
}

fn run() -> Vec<Family> {
    vec![
        Family::new(
            "run_info",
            Kind::Gauge,
            &["scenario", "run", "seed", "version"],
            "Always 1; run is the name of the results folder.",
            |standing| {
                let row = |run: &RunLabels| Row::new([&run.scenario, &run.run, &run.seed.to_string(), run.version], 1.0);
                standing.run.iter().map(|run| row(run)).collect()
            },
        ),
        Family::gauge(
            "run_seconds",
            &[],
            "Seconds from the first planned connect to the end of the last second in these figures.",
            |snapshot| one(snapshot.t_s as f64),
        ),
        Family::new("workers", Kind::Gauge, &["state"], "Workers of a run with --slices, by how they stand.", |standing| {
            standing.workers.iter().map(|(state, count)| Row::new([*state], *count as f64)).collect()
        }),
        Family::gauge("phase", &["phase"], "1 for the phase that the run is in.", |snapshot| {
            state_set(Phase::VARIANTS.iter().map(|phase| phase.as_str()), snapshot.phase.as_str())
        }),
    ]
}

fn verdict() -> Vec<Family> {
    // What a threshold is not about is an empty label, which Prometheus takes for none.
    const LABELS: &[&str] = &["metric", "check", "over", "phase", "cohort"];
    fn of_thresholds(value: fn(&ThresholdRow) -> Option<f64>) -> impl Fn(&Snapshot) -> Vec<Row> {
        move |snapshot| {
            let row = |row: &ThresholdRow| {
                let Threshold { metric, check, over, phase, cohort } = &row.threshold;
                let over = over.map_or_else(String::new, duration_text);
                let (metric, check) = (metric.to_string(), check.to_string());
                let (phase, cohort) = (phase.map_or("", Phase::as_str), cohort.as_deref().unwrap_or_default());
                Some(Row::new([&metric, &check, &over, phase, cohort], value(row)?))
            };
            snapshot.thresholds.iter().filter_map(row).collect()
        }
    }
    vec![
        Family::new(
            "verdict",
            Kind::Gauge,
            &["verdict"],
            "1 for the verdict that the run would have if it ended now, and at its end for the one that it has.",
            |standing| {
                standing.verdict.map_or_else(Vec::new, |is| state_set(Verdict::of_ended().map(Verdict::as_str), is.as_str()))
            },
        ),
        Family::gauge(
            "invalid",
            &[],
            "1 where the run is INVALID: the generator was the bottleneck, or lost samples.",
            |snapshot| one(flag(findings(snapshot).iter().any(Finding::is_invalidating))),
        ),
        Family::gauge(
            "threshold_value",
            LABELS,
            "The metric of a threshold, in its own unit; absent without a sample.",
            of_thresholds(|row| row.value),
        ),
        Family::gauge(
            "threshold_limit",
            LABELS,
            "What the metric is compared with, in its own unit.",
            of_thresholds(|row| Some(row.threshold.check.limit)),
        ),
        Family::gauge(
            "threshold_holds",
            LABELS,
            "1 where the threshold holds so far, 0 where it does not; absent without a sample.",
            of_thresholds(|row| row.holds().map(flag)),
        ),
    ]
}

fn fleet() -> Vec<Family> {
    const EVENT: &[&str] = &["event", "kind"];
    fn of_events(value: impl Fn(&EventRow) -> u64) -> impl Fn(&Snapshot) -> Vec<Row> {
        move |snapshot| {
            let rows = snapshot.events.iter().zip(1..);
            rows.map(|(row, number): (_, u32)| Row::new([&number.to_string(), row.kind], value(row) as f64)).collect()
        }
    }
    vec![
        Family::gauge("things", &[], "Things of the fleet.", |snapshot| one(snapshot.things as f64)),
        Family::gauge("connected_things", &[], "Things that are connected.", |snapshot| one(snapshot.connected as f64)),
        Family::counter("messages", &["direction"], "Messages from the endpoint (in) and to it (out).", |snapshot| {
            vec![Row::new(["in"], snapshot.messages_in as f64), Row::new(["out"], snapshot.messages_out as f64)]
        }),
        Family::gauge(
            "event_affected_things",
            EVENT,
            "Things that lost their session by an event of the scenario, numbered from 1.",
            of_events(|row| row.affected),
        ),
        Family::gauge(
            "event_away_things",
            EVENT,
            "Things that lost their session by an event of the scenario and are not back.",
            of_events(EventRow::away),
        ),
    ]
}

fn jobs() -> Vec<Family> {
    vec![
        Family::gauge(
            "executions",
            &["stage"],
            "Executions of all jobs by stage; a stage that only the service knows is absent without the service ledger.",
            |snapshot| {
                let rows = snapshot.executions.iter();
                rows.filter_map(|(stage, count)| Some(Row::new([stage.key()], count? as f64))).collect()
            },
        ),
        Family::gauge(
            "job_executions",
            &["job_id", "stage"],
            "Executions of a job by stage, as in fleetsim_executions.",
            |snapshot| {
                let of_job = |row: &RolloutRow| {
                    let job = row.job.to_string();
                    row.counts
                        .iter()
                        .filter_map(|(stage, count)| Some(Row::new([&job, stage.key()], count? as f64)))
                        .collect::<Vec<_>>()
                };
                snapshot.rollouts.iter().flat_map(of_job).collect()
            },
        ),
        Family::gauge("job_targets", &["job_id"], "Things that a job is for, where that is known.", |snapshot| {
            let rows = snapshot.rollouts.iter();
            rows.filter_map(|row| Some(Row::new([row.job.as_str()], row.targets? as f64))).collect()
        }),
        Family::gauge("job_done_ratio", &["job_id"], "Part of a job's targets that is done with it.", |snapshot| {
            let rows = snapshot.rollouts.iter();
            rows.filter_map(|row| Some(Row::new([row.job.as_str()], row.done_share()?))).collect()
        }),
    ]
}

fn trouble() -> Vec<Family> {
    vec![
        Family::counter(
            "errors",
            &["operation", "kind", "code"],
            "Errors, as in errors.csv, without injected faults.",
            |snapshot| {
                let errors = snapshot.errors.iter().filter(|(key, _)| key.fault().is_none());
                errors
                    .map(|(key, tally)| Row::new([key.operation.as_str(), key.kind.as_str(), key.code], tally.count as f64))
                    .collect()
            },
        ),
        Family::counter(
            "faults",
            &["operation", "fault"],
            "Injected faults; the errors that they cause count among the errors, too.",
            |snapshot| {
                let strikes = snapshot.errors.iter().filter_map(|(key, tally)| Some((key, key.fault()?, tally)));
                strikes.map(|(key, fault, tally)| Row::new([key.operation.as_str(), fault.key()], tally.count as f64)).collect()
            },
        ),
        Family::gauge("anomalous_executions", &["anomaly"], "Executions with an anomaly, so far.", |snapshot| {
            snapshot.anomalies.iter().map(|(anomaly, count)| Row::new([anomaly.as_str()], *count as f64)).collect()
        }),
    ]
}

fn generator() -> Vec<Family> {
    const PROCESS: &[&str] = &["process"];
    fn of_processes(value: fn(ProcessUsage) -> f64) -> impl Fn(&Snapshot) -> Vec<Row> {
        move |snapshot| {
            let processes = [("generator", snapshot.generator), ("endpoint", snapshot.endpoint)];
            processes.into_iter().filter_map(|(name, usage)| Some(Row::new([name], value(usage?)))).collect()
        }
    }
    let lateness = |figure: &str, in_words: &str, of: fn(Latency) -> f64| {
        let help = format!(
            "How late requests left by the generator's own delay in the last second, {in_words}; absent without a request."
        );
        Family::gauge(&format!("lateness_{figure}_seconds"), &[], &help, move |snapshot| {
            snapshot.lateness.iter().map(|latency| Row::new([], of(*latency) / 1e3)).collect()
        })
    };
    vec![
        lateness("p50", "50th percentile", |latency| latency.p50),
        lateness("p99", "99th percentile", |latency| latency.p99),
        lateness("max", "at most", |latency| latency.max),
        Family::gauge(
            "shard_busy_ratio",
            &["shard"],
            "CPU time of a shard in the last second, as a part of one core.",
            |snapshot| snapshot.busy.iter().zip(0..).map(|(busy, shard): (_, u32)| Row::new([&shard.to_string()], *busy)).collect(),
        ),
        Family::counter("lost_shard_seconds", &[], "Seconds of shards that were lost before the collector had them.", |snapshot| {
            one(snapshot.intervals_lost as f64)
        }),
        Family::counter(
            "lost_events",
            &[],
            "Events of executions and sessions that were dropped, since more came in a second than are kept.",
            |snapshot| one(snapshot.events_lost as f64),
        ),
        Family::counter(
            "process_cpu_seconds",
            PROCESS,
            "CPU time of the generator's process, and of a local endpoint's.",
            of_processes(|usage| usage.cpu_seconds),
        ),
        Family::gauge(
            "process_resident_memory_bytes",
            PROCESS,
            "Resident memory of the generator's process, and of a local endpoint's.",
            of_processes(|usage| usage.rss_bytes as f64),
        ),
        Family::gauge(
            "process_open_fds",
            PROCESS,
            "Open descriptors of the generator's process, and of a local endpoint's.",
            of_processes(|usage| usage.descriptors as f64),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::family::Value;
    use crate::exposition::{Standing, render};
    use iot_jobs::instant::Mono;
    use iot_jobs::{JobId, ThingName};
    use load_metrics::ErrorKind;
    use load_metrics::{
        Check as ThresholdCheck, Collector, CollectorSettings, FaultEvent, Metric as ThresholdMetric, Operation, Outcome,
        PlannedEvent, Recorder, Sample, Scope, SecondInput, ThingEvent, ThingEventKind, Threshold,
    };
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;
    use thing_faults::Fault;

    /// A run with something of everything.
    fn standing() -> Standing {
        let at = |ms: u64| Mono(0) + Duration::from_millis(ms);
        let threshold = Threshold {
            metric: ThresholdMetric::parse("update.response_ms.p99").unwrap(),
            check: ThresholdCheck::parse("< 5").unwrap(),
            over: Some(Duration::from_secs(60)),
            phase: None,
            cohort: Some("a".into()),
        };
        let mut collector = Collector::new(CollectorSettings {
            origin: Mono(0),
            things: vec![ThingName::new("t-0").unwrap()],
            cohorts: vec!["a".into()],
            transports: vec!["mqtt".into()],
            has_service: false,
            thresholds: vec![threshold],
            events: vec![PlannedEvent {
                kind: "outage",
                at: at(0),
                lasts: Duration::from_secs(9),
                is_of_endpoint: false,
                ends_on_time: true,
            }],
            cores: 2,
        });
        let job = JobId::new("fw").unwrap();
        collector.job_created(&job, 1, at(0));
        let mut recorder = Recorder::new(Mono(0), 1, 1);
        let (operation, scope) = (Operation::Update, Scope::default());
        for outcome in [Outcome::Ok, Outcome::Rejected] {
            recorder.start(operation, scope);
            recorder.finish(&Sample { operation, scope, outcome, intended: at(100), sent: at(101), finished: at(110) });
        }
        recorder.departed(at(100), at(101));
        for kind in [ThingEventKind::Started, ThingEventKind::Started] {
            recorder.thing_event(ThingEvent { thing: 0, job: job.clone(), execution_number: 1, at: at(200), kind });
        }
        let strike = FaultEvent { thing: 0, fault: Fault::StaleVersion, execution: None };
        recorder.fault(operation, strike, at(110), || "t-0".into());
        recorder.error(operation, ErrorKind::Rejected, "VersionMismatch", at(110), || "example".into());
        let usage = Some(ProcessUsage { cpu_share: 0.5, cpu_seconds: 7.0, rss_bytes: 1_000, descriptors: 9 });
        let snapshot = collector.finish(
            SecondInput {
                second: 0,
                span_s: 1,
                phase: Phase::Rollout,
                phases: Phase::Rollout.into(),
                intervals: recorder.finish_run(at(900)),
                intervals_lost: 0,
                ledger: Vec::new(),
                generator: usage,
                endpoint: usage,
            },
            None,
        );
        let mut standing = Standing::default();
        let times = Arc::make_mut(&mut standing.times);
        snapshot.times.iter().for_each(|tagged| times.add(tagged));
        standing.run = Some(Arc::new(RunLabels { scenario: "x".into(), run: "x-1".into(), seed: 7, version: "1" }));
        standing.verdict = Some(Verdict::Fail);
        standing.snapshot = Some(snapshot);
        standing.workers = BTreeMap::from([("running", 3), ("silent", 1)]);
        standing
    }

    #[test]
    fn every_family_has_series_each_with_its_labels_and_each_once() {
        let (standing, mut names) = (standing(), BTreeSet::new());
        for family in families() {
            assert!(names.insert(family.name.clone()), "{} stands twice", family.name);
            let rows = (family.rows)(&standing);
            assert!(!rows.is_empty(), "{} has no series", family.name);
            assert!(rows.iter().all(|row| row.labels.len() == family.labels.len()), "{}", family.name);
            assert!(
                rows.iter().all(|row| matches!(row.value, Value::Times(_)) == (family.kind == Kind::Histogram)),
                "{}",
                family.name
            );
            let series: BTreeSet<_> = rows.iter().map(|row| &row.labels).collect();
            assert_eq!(series.len(), rows.len(), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
        }
    }

    #[test]
    fn before_the_first_second_only_the_run_is_known() {
        let standing = Standing { snapshot: None, verdict: None, workers: BTreeMap::new(), times: Arc::default(), ..standing() };
        let read: Vec<String> = families().iter().filter_map(|family| Some(family.read(&standing)?.name().to_owned())).collect();
        assert_eq!(read, ["fleetsim_run_info"]);
    }

    #[test]
    fn figures_are_those_of_the_snapshot() {
        let page = render(&families(), &standing());
        for line in [
            "fleetsim_run_info{scenario=\"x\",run=\"x-1\",seed=\"7\",version=\"1\"} 1",
            "fleetsim_verdict{verdict=\"FAIL\"} 1",
            "fleetsim_verdict{verdict=\"PASS\"} 0",
            "fleetsim_phase{phase=\"rollout\"} 1",
            "fleetsim_threshold_limit{metric=\"update.response_ms.p99\",check=\"< 5\",over=\"1m\",phase=\"\",cohort=\"a\"} 5",
            "fleetsim_threshold_holds{metric=\"update.response_ms.p99\",check=\"< 5\",over=\"1m\",phase=\"\",cohort=\"a\"} 0",
            "fleetsim_operations_total{operation=\"update\",outcome=\"ok\"} 1",
            "fleetsim_cohort_operations_total{cohort=\"a\",operation=\"update\",outcome=\"rejected\"} 1",
            "fleetsim_response_seconds_bucket{operation=\"update\",le=\"0.008\"} 0",
            "fleetsim_response_seconds_bucket{operation=\"update\",le=\"0.016\"} 2",
            "fleetsim_response_seconds_count{operation=\"update\"} 2",
            "fleetsim_response_seconds_sum{operation=\"update\"} 0.02",
            "fleetsim_lateness_p99_seconds 0.001",
            "fleetsim_process_cpu_seconds_total{process=\"endpoint\"} 7",
            "fleetsim_errors_total{operation=\"update\",kind=\"rejected\",code=\"VersionMismatch\"} 1",
            "fleetsim_faults_total{operation=\"update\",fault=\"stale_version\"} 1",
            "fleetsim_anomalous_executions{anomaly=\"duplicate_start\"} 1",
            "fleetsim_job_executions{job_id=\"fw\",stage=\"in_progress\"} 1",
            "fleetsim_event_away_things{event=\"1\",kind=\"outage\"} 0",
            "# TYPE fleetsim_response_seconds histogram",
            "# HELP fleetsim_things Things of the fleet.",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
