//! What a reader must know besides the numbers: conclusions in plain words, and what they mean for the verdict.

use super::errors::ErrorKind;
use super::evidence::{self, Part, Undone};
use super::executions::{Anomaly, HEARD_MAX, HEARD_MAX_PER_THING, JOBS_HEARD_MAX};
use super::health::{Breach, Cause, Excess, Storm};
use super::sample::Operation;
use super::shards::{LastSeconds, ShardReasons, Shards};
use super::snapshot::{ScopeName, Snapshot};
use crate::Phase;
use crate::format::{grouped, milliseconds};
use iot_jobs::JobId;
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
    /// Executions are followed up to a number of them: the figures of further ones are missing.
    Beyond {
        /// What things told of those.
        events: u64,
    },
    /// The generator was the bottleneck.
    Bottleneck(Breach),
    /// It would have been, and connects were a storm: that is not held against the run.
    Storm(Storm),
    /// Begun again and again, and never done: by the fleet, or the part of it that is named.
    Undone(Undone),
    /// A job of the run, of which none of its targets has heard.
    Unheard {
        /// Which job.
        job: JobId,
        /// Things that it is for.
        targets: u64,
    },
    /// What had no answer within its deadline.
    Unanswered(Vec<Part>),
    /// What was planned, and nobody was free to begin.
    ArrivalsLost(Vec<Part>),
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
    /// Shards of a merged run are no evidence by themselves, as they say.
    ShardsInvalid(ShardReasons),
    /// Workers have told why they have no results, or nothing can be made of what they sent.
    ShardsFailed(ShardReasons),
    /// Shards of a merged run have no end.
    ShardsCut {
        /// Which.
        shards: Shards,
        /// The last ones that are there.
        seconds: LastSeconds,
    },
    /// Workers of the run were not heard of any more.
    ShardsLost {
        /// Their slices.
        shards: Shards,
        /// The last ones that they told of; `None`: not even the first.
        seconds: Option<LastSeconds>,
    },
    /// The clocks of workers' hosts and that of the leader's are far apart, or nobody knows how far.
    ClocksApart {
        /// Their slices.
        shards: Shards,
        /// The leader's clock less the worker's, where that is most.
        offset_ms: f64,
        /// Half of the round trip by which it was found, where that is most.
        uncertainty_ms: f64,
    },
    /// What policies of the endpoint denied: how often each action, and the first of the most frequent one in words.
    Denied {
        /// Actions, the most frequent first.
        actions: Vec<(&'static str, u64)>,
        /// Why.
        example: String,
    },
    /// What went wrong on purpose, and how often, in the order of the table of faults.
    Injected(Vec<(Fault, u64)>),
}

impl Finding {
    /// Whether the figures are no evidence.
    #[must_use]
    pub fn is_invalidating(&self) -> bool {
        matches!(
            self,
            Self::SamplesLost { .. }
                | Self::Beyond { .. }
                | Self::Bottleneck(_)
                | Self::ShardsInvalid(_)
                | Self::ShardsFailed(_)
                | Self::ShardsCut { .. }
                | Self::ShardsLost { .. }
        )
    }

    /// Whether the run has not done what it was there to do.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Undone(_) | Self::Unheard { .. })
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
            Self::Beyond { events } => write!(
                f,
                "the endpoint announces more jobs or executions than are followed ({} jobs that the run did not create, {} executions a \
                 thing, {} in all): {} events of further ones are in no file",
                grouped(JOBS_HEARD_MAX as u64),
                grouped(HEARD_MAX_PER_THING as u64),
                grouped(HEARD_MAX as u64),
                grouped(*events)
            ),
            Self::Bottleneck(breach) => write_breach(f, breach),
            Self::Storm(storm) => write_storm(f, storm),
            Self::Undone(undone) => write_undone(f, undone),
            Self::Unheard { job, targets } => {
                write!(f, "none of {} things was notified of job {job}", grouped(*targets))
            }
            Self::Unanswered(parts) => {
                write!(f, "without an answer within its deadline: {}; times above the deadline are not known", in_words(parts))
            }
            Self::ArrivalsLost(parts) => {
                write!(f, "lost arrivals, planned while the thing was busy or away: {}", in_words(parts))
            }
            Self::NotBack { event, kind, away, affected } => {
                write!(f, "{away} of {affected} things were not back from event {event} ({kind}) when the run ended")
            }
            Self::NeverOver { event, kind } => write!(f, "the run ended before event {event} ({kind}) was over"),
            Self::ShardsInvalid(reasons) => reasons.write(f, "is INVALID", "are INVALID"),
            Self::ShardsFailed(reasons) => reasons.write(f, "was given up", "were given up"),
            Self::ShardsCut { shards, seconds } => {
                let (processes, things) =
                    if shards.is_one() { ("its process", "its things") } else { ("their processes", "their things") };
                write!(
                    f,
                    "{shards} never finished: {processes} ended after {seconds}, and what {things} did from then on is missing"
                )
            }
            Self::ShardsLost { shards, seconds } => {
                match shards.is_one() {
                    true => write!(f, "{shards} was lost: its worker was not heard of ")?,
                    false => write!(f, "{shards} were lost: their workers were not heard of ")?,
                }
                match seconds {
                    Some(seconds) => write!(f, "after {seconds}"),
                    None => write!(f, "from the start on"),
                }
            }
            Self::ClocksApart { shards, offset_ms, uncertainty_ms } => match shards.is_one() {
                true => write!(
                    f,
                    "the clock of {shards} was {offset_ms:+.1} ms from the leader's, ± {uncertainty_ms:.1} ms; its start was corrected \
                     by that: keep clocks in step (NTP)"
                ),
                false => write!(
                    f,
                    "the clocks of {shards} were up to {offset_ms:+.1} ms from the leader's, ± {uncertainty_ms:.1} ms; their starts \
                     were corrected by that: keep clocks in step (NTP)"
                ),
            },
            Self::Anomalous { anomaly, count } => {
                write!(f, "{count} executions with anomaly {} ({}): see executions.csv", anomaly.as_str(), meaning(*anomaly))
            }
            Self::Denied { actions, example } => {
                let counts: Vec<String> =
                    actions.iter().map(|(action, count)| format!("{action} {} times", grouped(*count))).collect();
                write!(f, "denied by policies of the endpoint: {}; {example}", counts.join(", "))
            }
            Self::Injected(counts) => {
                let counts: Vec<String> =
                    counts.iter().map(|(fault, count)| format!("{} {}", grouped(*count), fault.key())).collect();
                write!(f, "injected faults: {}", counts.join(", "))
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
        Excess::Starved { shard, ran, waited } => {
            write!(
                f,
                "shard {shard} was starved of CPU: it ran {:.0} % and waited for a core {:.0} %",
                100.0 * ran,
                100.0 * waited
            )?;
        }
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
            ", though no shard was busy for more than {:.0} %: something else slowed this machine down; stop it, or run elsewhere",
            100.0 * busiest
        ),
    }
}

/// `12 of 3,000 update (0.4 %), 1 of 3 puback (33.3 %)`.
fn in_words(parts: &[Part]) -> String {
    let word = |part: &Part| {
        let share = 100.0 * part.count as f64 / part.of.max(1) as f64;
        format!("{} of {} {} ({share:.1} %)", grouped(part.count), grouped(part.of), part.operation)
    };
    parts.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `start_next of cohort:a: not one of 12 was done (3 rejected, 9 timed out): is there ...`.
fn write_undone(f: &mut fmt::Formatter<'_>, undone: &Undone) -> fmt::Result {
    let Undone { scope, operation, counts } = undone;
    let open = counts.open();
    write!(f, "{operation}")?;
    if *scope != ScopeName::All {
        write!(f, " of {scope}")?;
    }
    let ends =
        [(counts.rejected, "rejected"), (counts.timeout, "timed out"), (counts.error, "failed with an error"), (open, "open")];
    let ends: Vec<String> =
        ends.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", grouped(*count))).collect();
    write!(f, ": not one of {} was done ({})", grouped(counts.started), ends.join(", "))?;
    let is_request = matches!(operation, Operation::GetPending | Operation::StartNext | Operation::Describe | Operation::Update);
    if is_request && counts.timeout + open == counts.started {
        write!(f, ": is there a jobs service behind the endpoint? Things without jobs have workflow = \"none\"")?;
    }
    Ok(())
}

/// `during a connect storm, ... it did not keep up for 42 s, late by up to 282ms at p99: ...`.
fn write_storm(f: &mut fmt::Formatter<'_>, storm: &Storm) -> fmt::Result {
    write!(f, "during a connect storm, in which the generator is not judged, it did not keep up for {} s", grouped(storm.seconds))?;
    for excess in &storm.worst {
        match excess {
            Excess::Late { p99, .. } => write!(f, ", late by up to {} at p99", milliseconds(*p99))?,
            Excess::Busy { share, .. } => write!(f, ", with a shard busy for {:.0} %", 100.0 * share)?,
            Excess::Starved { waited, .. } => write!(f, ", with a shard that waited for a core for {:.0} %", 100.0 * waited)?,
            Excess::Missed { achieved } => write!(f, ", with {:.1} % of the starts made that were due", 100.0 * achieved)?,
        }
    }
    write!(f, ": times of these seconds have the generator's own delay in them")
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

/// What policies denied, where they denied anything.
fn denied(snapshot: &Snapshot) -> Option<Finding> {
    let mut actions = BTreeMap::<&'static str, (u64, &str)>::new();
    for (key, tally) in snapshot.errors.iter().filter(|(key, _)| key.kind == ErrorKind::Denied) {
        actions.entry(key.code).or_insert((0, &tally.example)).0 += tally.count;
    }
    let mut actions: Vec<_> = actions.into_iter().collect();
    actions.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let example = actions.first()?.1.1.to_owned();
    Some(Finding::Denied { actions: actions.into_iter().map(|(action, (count, _))| (action, count)).collect(), example })
}

/// What the figures so far tell.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let (intervals, events) = (snapshot.intervals_lost, snapshot.events_lost);
    let lost = (intervals + events > 0).then_some(Finding::SamplesLost { intervals, events });
    let beyond = (snapshot.beyond > 0).then_some(Finding::Beyond { events: snapshot.beyond });
    let bottlenecks = snapshot.breaches.iter().copied().map(Finding::Bottleneck);
    let storm = snapshot.storm.clone().map(Finding::Storm);
    let saturated = (snapshot.saturated > 0).then_some(Finding::Saturated { count: snapshot.saturated });
    let anomalies = snapshot.anomalies.iter().map(|(anomaly, count)| Finding::Anomalous { anomaly: *anomaly, count: *count });
    let on_purpose = injected(snapshot).into_iter().chain(unfinished(snapshot));
    let of_generator = lost.into_iter().chain(beyond).chain(bottlenecks).chain(storm).chain(saturated);
    of_generator.chain(anomalies).chain(denied(snapshot)).chain(evidence::findings(snapshot)).chain(on_purpose).collect()
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
            span_s: 1,
            phase,
            phases: phase.into(),
            intervals,
            intervals_lost,
            ledger,
            generator: Some(generator),
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
            breach(Excess::Starved { shard: 0, ran: 0.3, waited: 0.65 }, Cause::Elsewhere { busiest: 0.3 })
                .starts_with("shard 0 was starved of CPU: it ran 30 % and waited for a core 65 % in the 10 s"),
        );
        assert!(
            breach(Excess::Missed { achieved: 0.9 }, Cause::Elsewhere { busiest: 0.3 })
                .contains("no shard was busy for more than 30 %")
        );
    }

    #[test]
    fn what_is_so_of_many_shards_is_one_line() {
        let reasons: Vec<(u32, String)> = (0..54).map(|shard| (shard, format!("starts ran {shard}.1ms late"))).collect();
        let told = |finding: Finding| finding.to_string();
        let invalid = |from| Finding::ShardsInvalid(ShardReasons::new(&reasons[from..], 54).unwrap());
        assert_eq!(told(invalid(0)), "slices 0-53 of 54 are INVALID, 54 of them like slice 0/54: starts ran 0.1ms late");
        assert_eq!(told(invalid(53)), "slice 53/54 is INVALID: starts ran 53.1ms late");
        let lost = |indices: &[u32], seconds: &[u64]| {
            let (shards, seconds) = (Shards::new(indices.iter().copied(), 4), LastSeconds::new(seconds.iter().copied()));
            told(Finding::ShardsLost { shards, seconds })
        };
        assert_eq!(lost(&[1], &[8]), "slice 1/4 was lost: its worker was not heard of after second 8");
        assert_eq!(lost(&[0, 1, 3], &[8, 7]), "slices 0-1, 3 of 4 were lost: their workers were not heard of after seconds 7 to 8");
        assert_eq!(lost(&[0, 1], &[]), "slices 0-1 of 4 were lost: their workers were not heard of from the start on");
    }

    #[test]
    fn what_a_storm_excuses_is_told_with_its_size() {
        let worst = vec![Excess::Late { p99: 282.0, limit: 10.0 }, Excess::Missed { achieved: 0.9 }];
        let storm = Finding::Storm(Storm { seconds: 42, worst });
        assert_eq!(
            storm.to_string(),
            "during a connect storm, in which the generator is not judged, it did not keep up for 42 s, late by up to 282ms at \
             p99, with 90.0 % of the starts made that were due: times of these seconds have the generator's own delay in them"
        );
        assert!(!storm.is_invalidating() && !storm.is_failure());
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
