//! What a reader must know besides the numbers: conclusions in plain words, and what they mean for the verdict.

use super::executions::Anomaly;
use super::health::{Breach, Cause, Excess};
use super::snapshot::Snapshot;
use crate::Phase;
use crate::format::{grouped, milliseconds};
use std::collections::BTreeMap;
use std::fmt;
use thing_faults::Fault;

/// A conclusion about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The figures are incomplete.
    SamplesLost {
        /// Seconds of shards.
        intervals: u64,
        /// Events and session changes of things.
        events: u64,
    },
    /// Percentiles near the end of a histogram's range are lower bounds.
    Saturated {
        /// Values that were beyond it.
        count: u64,
    },
    /// The generator was the bottleneck.
    Bottleneck(Breach),
    /// What should never be, of so many executions.
    Anomalous {
        /// What it is.
        anomaly: Anomaly,
        /// Executions that have it.
        count: u64,
    },
    /// Things that an event took from the fleet and that never came back. Events are numbered from 1.
    NotBack {
        /// Its number.
        event: usize,
        /// Its word in a scenario.
        kind: &'static str,
        /// Things that are not back.
        away: u64,
        /// Things that it took.
        affected: u64,
    },
    /// The run was over first.
    NeverOver {
        /// Its number, from 1.
        event: usize,
        /// Its word in a scenario.
        kind: &'static str,
    },
    /// What went wrong on purpose, and how often, in the order of the table of faults.
    Injected(Vec<(Fault, u64)>),
}

impl Finding {
    /// Whether the figures are no evidence.
    #[must_use]
    pub fn is_invalidating(&self) -> bool {
        matches!(self, Self::SamplesLost { .. } | Self::Bottleneck(_))
    }

    /// Whether the things and the service contradict each other.
    #[must_use]
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Anomalous { anomaly, .. } if anomaly.is_difference())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SamplesLost { intervals, events } => {
                write!(f, "{intervals} seconds of shards and {events} events of things were lost: the collector did not keep up")
            }
            Self::Saturated { count } => {
                write!(f, "{count} times were beyond the range of their histogram, and count as its end")
            }
            Self::Bottleneck(breach) => write_breach(f, breach),
            Self::NotBack { event, kind, away, affected } => {
                write!(f, "{away} of {affected} things were not back from event {event} ({kind}) when the run ended")
            }
            Self::NeverOver { event, kind } => write!(f, "the run ended before event {event} ({kind}) was over"),
            Self::Anomalous { anomaly, count } => {
                write!(f, "{count} executions with anomaly {} ({}): see executions.csv", anomaly.as_str(), meaning(*anomaly))
            }
            Self::Injected(counts) => {
                let counts: Vec<String> =
                    counts.iter().map(|(fault, count)| format!("{} {}", grouped(*count), fault.key())).collect();
                write!(f, "injected on purpose: {}", counts.join(", "))
            }
        }
    }
}

/// `starts ran 40.1ms late at p99 (limit 10.0ms) in the 10 s up to t=34s of rollout, because shard 1 was busy 99 %: use ...`.
fn write_breach(f: &mut fmt::Formatter<'_>, breach: &Breach) -> fmt::Result {
    match breach.excess {
        Excess::Late { p99, limit } => {
            write!(f, "starts ran {} late at p99 (limit {})", milliseconds(p99), milliseconds(limit))?;
        }
        Excess::Busy { shard, share } => write!(f, "shard {shard} was busy {:.0} %", 100.0 * share)?,
        Excess::Missed { achieved } => write!(f, "only {:.1} % of the starts that were due were made", 100.0 * achieved)?,
    }
    write!(f, " in the 10 s up to t={}s of {}", breach.until_s, breach.phase)?;
    match breach.cause {
        Cause::Machine { used, cores } => write!(
            f,
            ", because this is machine-bound: generator and endpoint kept {used:.2} of {cores} cores busy: use fewer things, a lower \
             rate, or a machine of its own for the endpoint"
        ),
        Cause::Shard { shard, share, shards, cores } => {
            if !matches!(breach.excess, Excess::Busy { .. }) {
                write!(f, ", because shard {shard} was busy {:.0} %", 100.0 * share)?;
            }
            if shards < cores as usize {
                write!(f, ": use --shards {cores} or fewer things")
            } else {
                write!(f, ": use fewer things, a lower rate, or a machine with more than {cores} cores")
            }
        }
        Cause::Elsewhere { busiest } => write!(
            f,
            ", though no shard was busy for more than {:.0} %: something else held this machine up; stop it, or run elsewhere",
            100.0 * busiest
        ),
    }
}

fn meaning(anomaly: Anomaly) -> &'static str {
    match anomaly {
        Anomaly::Lost => "open at the service, and their subscribed things are not at work on them",
        Anomaly::DuplicateStart => "handed out to their thing twice",
        Anomaly::MissingNotify => "never announced to their thing, which was subscribed throughout",
        Anomaly::LateNotify => "announced over 1 s late to their thing, which was subscribed throughout",
        Anomaly::TerminalTwice => "ended twice",
        Anomaly::StatusDiffers => "thing and service name different ends",
    }
}

/// Failures on purpose, where there were any.
fn injected(snapshot: &Snapshot) -> Option<Finding> {
    let mut counts = BTreeMap::<Fault, u64>::new();
    for (key, tally) in &snapshot.errors {
        if let Some(fault) = key.fault() {
            *counts.entry(fault).or_default() += tally.count;
        }
    }
    (!counts.is_empty()).then(|| Finding::Injected(counts.into_iter().collect()))
}

/// What the figures so far tell.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let (intervals, events) = (snapshot.intervals_lost, snapshot.events_lost);
    let lost = (intervals + events > 0).then_some(Finding::SamplesLost { intervals, events });
    let bottlenecks = snapshot.breaches.iter().copied().map(Finding::Bottleneck);
    let saturated = (snapshot.saturated > 0).then_some(Finding::Saturated { count: snapshot.saturated });
    let anomalies = snapshot.anomalies.iter().map(|(anomaly, count)| Finding::Anomalous { anomaly: *anomaly, count: *count });
    let on_purpose = injected(snapshot).into_iter().chain(unfinished(snapshot));
    lost.into_iter().chain(bottlenecks).chain(saturated).chain(anomalies).chain(on_purpose).collect()
}

/// What events have left behind at the end of the run.
fn unfinished(snapshot: &Snapshot) -> impl Iterator<Item = Finding> {
    let is_end = snapshot.phase == Phase::Done;
    snapshot.events.iter().zip(1..).filter(move |_| is_end).filter_map(|(row, event)| match (row.over, row.away()) {
        (None, _) => Some(Finding::NeverOver { event, kind: row.kind }),
        (Some(_), 0) => None,
        (Some(_), away) => Some(Finding::NotBack { event, kind: row.kind, away, affected: row.affected }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Collector, CollectorSettings, Operation, Outcome, ProcessUsage, Recorder, Sample, Scope, SecondInput, ThingEvent,
        ThingEventKind,
    };
    use iot_jobs::instant::Mono;
    use iot_jobs::{JobId, ThingName};
    use std::sync::Arc;
    use std::time::Duration;

    const TWO_HOURS: Mono = Mono(7_200_000_000_000);

    fn snapshot(intervals_lost: u64, see: impl FnOnce(&mut Recorder)) -> Arc<Snapshot> {
        let mut recorder = Recorder::new(Mono(0), 1, 1);
        see(&mut recorder);
        let mut collector = Collector::new(CollectorSettings {
            origin: Mono(0),
            things: vec![ThingName::new("t").unwrap()],
            cohorts: vec!["all".into()],
            transports: vec!["mqtt".into()],
            has_service: false,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 2,
        });
        let intervals = recorder.finish_run(TWO_HOURS + Duration::from_secs(1));
        let (ledger, generator, phase) = (Vec::new(), ProcessUsage::default(), Phase::Drain);
        let input = SecondInput {
            second: 7_200,
            phase,
            phases: phase.into(),
            intervals,
            intervals_lost,
            ledger,
            generator,
            endpoint: None,
        };
        collector.finish(input, None)
    }

    fn started(recorder: &mut Recorder) {
        let (job, kind) = (JobId::new("j").unwrap(), ThingEventKind::Started);
        recorder.thing_event(ThingEvent { thing: 0, job, execution_number: 1, at: Mono(1), kind });
    }

    #[test]
    fn a_clean_run_has_none() {
        assert_eq!(findings(&snapshot(0, |_| {})), []);
    }

    #[test]
    fn a_bottleneck_is_told_with_its_remedy() {
        let breach = |excess, cause| Finding::Bottleneck(Breach { excess, cause, phase: Phase::Rollout, until_s: 34 }).to_string();
        let late = Excess::Late { p99: 40.1, limit: 10.0 };
        let shard = |cores| Cause::Shard { shard: 1, share: 0.99, shards: 2, cores };
        assert_eq!(
            breach(late, shard(4)),
            "starts ran 40.1ms late at p99 (limit 10.0ms) in the 10 s up to t=34s of rollout, because shard 1 was busy 99 %: \
             use --shards 4 or fewer things"
        );
        assert!(breach(Excess::Busy { shard: 1, share: 0.99 }, shard(2)).contains("a machine with more than 2 cores"));
        assert!(
            breach(late, Cause::Machine { used: 1.97, cores: 2 }).contains("machine-bound: generator and endpoint kept 1.97 of 2")
        );
        assert!(
            breach(Excess::Missed { achieved: 0.9 }, Cause::Elsewhere { busiest: 0.3 })
                .contains("no shard was busy for more than 30 %")
        );
    }

    #[test]
    fn every_trouble_is_told_once() {
        let snapshot = snapshot(2, |recorder| {
            recorder.finish(&Sample {
                operation: Operation::Update,
                scope: Scope::default(),
                outcome: Outcome::Timeout,
                intended: Mono(0),
                sent: Mono(TWO_HOURS.0 - 1),
                finished: TWO_HOURS,
            });
            started(recorder);
            started(recorder);
        });
        let expected = [
            Finding::SamplesLost { intervals: 2, events: 0 },
            Finding::Saturated { count: 1 },
            Finding::Anomalous { anomaly: Anomaly::DuplicateStart, count: 1 },
        ];
        assert_eq!(findings(&snapshot), expected, "the long response is told once, whatever its scopes");
        assert!(expected[0].is_invalidating() && !expected[2].is_invalidating());
        assert!(expected[2].is_difference() && !expected[1].is_difference());
        assert!(!Finding::Anomalous { anomaly: Anomaly::LateNotify, count: 1 }.is_difference());
    }
}
