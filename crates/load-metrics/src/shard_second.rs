//! Everything that one process of several saw in a second, as it is written down and sent: what its own collector took in, so that a
//! collector of all of them can take it in again.

use super::collector::SecondInput;
use super::errors::ErrorTally;
use super::histogram::{COUNT_MAX, Distribution, Resolution};
use super::interval::{Counts, Interval, Metered, OperationInterval, SessionChangeKind};
use super::sample::Operation;
use super::scope::ScopeId;
use super::snapshot::ProcessUsage;
use crate::Phase;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use serde::{Deserialize, Serialize};

/// Seconds of the longest run: ten years.
const SECOND_MAX: u64 = 10 * 366 * 24 * 3_600;

/// A second of one shard of a run. `I` is how it has its intervals: its own when it was read, borrowed when it is to be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardSecond<I = Vec<Interval>> {
    /// Where second 0 begins, by the clock of the shard's host: what all its instants are from.
    pub origin: Mono,
    /// Whole seconds from the origin to its beginning.
    pub second: u64,
    /// At its end.
    pub phase: Phase,
    /// All that it has a part of.
    pub phases: Vec<Phase>,
    /// Jobs of the run that were begun to be created, and when.
    pub jobs: Vec<(JobId, Mono)>,
    /// One a thread.
    pub intervals: I,
    /// Intervals of threads that never reached the collector, since the last second.
    pub intervals_lost: u64,
    /// CPU and memory of the process.
    pub generator: Option<ProcessUsage>,
}

/// What the run is made of, and so what a second of it can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Things of the whole fleet.
    pub things: u64,
    /// How many cohorts and transports the run has, in all.
    pub cohorts_and_transports: usize,
    /// Threads of the shard.
    pub threads: usize,
}

/// What a shard did in a second, in few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShardFigures {
    /// Things whose session is subscribed, at its end.
    pub connected: u64,
    /// PUBLISH packets that its things received.
    pub messages_in: u64,
    /// PUBLISH packets that its things sent.
    pub messages_out: u64,
    /// CPU time of its busiest thread, as a share of one core.
    pub busy: f64,
    /// The generator's own delay, 99th percentile; `None` where nothing was sent.
    pub lateness_ms: Option<f64>,
}

impl<'a> ShardSecond<&'a [Interval]> {
    /// The second that the shard's own collector is about to take in.
    #[must_use]
    pub fn of(input: &'a SecondInput, origin: Mono, jobs: Vec<(JobId, Mono)>) -> Self {
        Self {
            origin,
            second: input.second,
            phase: input.phase,
            phases: input.phases.iter().collect(),
            jobs,
            intervals: &input.intervals,
            intervals_lost: input.intervals_lost,
            generator: input.generator,
        }
    }
}

impl ShardSecond {
    /// Whether it can be of a run like this one; who takes it in need not ask again.
    ///
    /// # Errors
    /// With what cannot be, in words.
    pub fn check(&self, bounds: &Bounds) -> Result<(), String> {
        if self.second > SECOND_MAX {
            return Err(format!("it is of second {}", self.second));
        }
        let usage = self.generator.unwrap_or_default();
        if !(usage.cpu_share.is_finite() && usage.cpu_seconds.is_finite()) {
            return Err("CPU times that are no numbers".into());
        }
        small(self.intervals_lost)?;
        self.intervals.iter().try_for_each(|interval| check_interval(interval, bounds))
    }

    /// What it comes to.
    #[must_use]
    pub fn figures(&self) -> ShardFigures {
        let connected: i64 = self.intervals.iter().map(|interval| interval.connected).sum();
        ShardFigures {
            connected: u64::try_from(connected).unwrap_or(0),
            messages_in: self.intervals.iter().map(|interval| interval.messages_in).sum(),
            messages_out: self.intervals.iter().map(|interval| interval.messages_out).sum(),
            busy: self.intervals.iter().map(|interval| interval.busy.as_secs_f64()).fold(0.0, f64::max),
            lateness_ms: self.lateness().latency(Resolution::SHORT).map(|latency| latency.p99),
        }
    }

    /// The generator's own delay.
    #[must_use]
    pub fn lateness(&self) -> Distribution {
        let mut lateness = Distribution::default();
        self.intervals.iter().for_each(|interval| lateness.merge(&interval.lateness));
        lateness
    }

    /// Service times of an operation of all its things.
    #[must_use]
    pub fn times(&self, operation: Operation) -> Distribution {
        let mut times = Distribution::default();
        let parts = self.intervals.iter().flat_map(|interval| &interval.operations);
        parts.filter(|part| part.operation == operation && part.scope == ScopeId::ALL).for_each(|part| times.merge(&part.service));
        times
    }

    /// The same with its instants counted from another origin.
    #[must_use]
    pub fn from_origin(mut self, origin: Mono) -> Self {
        let offset = i128::from(origin.0) - i128::from(self.origin.0);
        let shift = |at: &mut Mono| at.0 = u64::try_from((i128::from(at.0) + offset).max(0)).unwrap_or(u64::MAX);
        self.jobs.iter_mut().for_each(|(_, at)| shift(at));
        for interval in &mut self.intervals {
            shift(&mut interval.until);
            interval.thing_events.iter_mut().for_each(|event| shift(&mut event.at));
            for change in &mut interval.sessions {
                shift(&mut change.at);
                match &mut change.kind {
                    SessionChangeKind::Up { intended } | SessionChangeKind::Failed { intended } => shift(intended),
                    SessionChangeKind::Down { .. } => {}
                }
            }
            for (_, ErrorTally { first, last, .. }) in &mut interval.errors {
                shift(first);
                shift(last);
            }
        }
        self.origin = origin;
        self
    }
}

fn small(count: u64) -> Result<(), String> {
    if count <= COUNT_MAX { Ok(()) } else { Err(format!("{count} of something within a second")) }
}

fn check_interval(interval: &Interval, bounds: &Bounds) -> Result<(), String> {
    if interval.shard >= bounds.threads {
        return Err(format!("thread {} of {}", interval.shard, bounds.threads));
    }
    let things = interval.thing_events.iter().map(|event| event.thing);
    let things = things.chain(interval.sessions.iter().map(|change| change.thing));
    let mut things = things.chain(interval.faults.iter().map(|event| event.thing));
    if let Some(thing) = things.find(|thing| u64::from(*thing) >= bounds.things) {
        return Err(format!("the thing at place {thing} of {}", bounds.things));
    }
    let Interval { messages_in, messages_out, metered, connects, events_lost, connected, .. } = interval;
    let Metered { messages, connection_minutes } = metered;
    [*messages_in, *messages_out, *messages, *connection_minutes, *connects, *events_lost, connected.unsigned_abs()]
        .into_iter()
        .try_for_each(small)?;
    interval.starts.iter().try_for_each(|(_, count)| small(*count))?;
    interval.errors.iter().try_for_each(|(_, tally)| small(tally.count))?;
    check_distribution(&interval.lateness, Resolution::SHORT)?;
    interval.operations.iter().try_for_each(|operation| check_operation(operation, bounds))
}

fn check_operation(part: &OperationInterval, bounds: &Bounds) -> Result<(), String> {
    if usize::from(part.scope.0) > bounds.cohorts_and_transports {
        return Err(format!("scope {} of {}", part.scope.0, bounds.cohorts_and_transports));
    }
    let Counts { started, ok, rejected, timeout, error, lost_arrivals, late_answers, blocked } = part.counts;
    [started, ok, rejected, timeout, error, lost_arrivals, late_answers, blocked].into_iter().try_for_each(small)?;
    let resolution = Resolution::of(part.operation, part.scope != ScopeId::ALL);
    check_distribution(&part.service, resolution)?;
    check_distribution(&part.response, resolution)
}

fn check_distribution(distribution: &Distribution, resolution: Resolution) -> Result<(), String> {
    small(distribution.saturated())?;
    if distribution.is_of(resolution) { Ok(()) } else { Err("a histogram that is none".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::{Outcome, Recorder, Sample, Scope, ThingEvent, ThingEventKind};
    use std::time::Duration;

    const ORIGIN: Mono = Mono(7_000_000_000);
    const BOUNDS: Bounds = Bounds { things: 4, cohorts_and_transports: 2, threads: 2 };

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn second() -> ShardSecond {
        let mut recorder = Recorder::new(ORIGIN, 1, 1);
        let (operation, scope, outcome) = (Operation::Update, Scope::default(), Outcome::Ok);
        recorder.start(operation, scope);
        recorder.finish(&Sample { operation, scope, outcome, intended: at(10), sent: at(20), finished: at(30) });
        recorder.connected(3, at(5), at(9));
        recorder.error(operation, ErrorKind::Rejected, "VersionMismatch", at(40), || "t-3".into());
        let (job, kind) = (JobId::new("j").unwrap(), ThingEventKind::Started);
        recorder.thing_event(ThingEvent { thing: 3, job: job.clone(), execution_number: 1, at: at(50), kind });
        ShardSecond {
            origin: ORIGIN,
            second: 0,
            phase: Phase::Connect,
            phases: vec![Phase::Connect],
            jobs: vec![(job, at(7))],
            intervals: recorder.finish_run(at(1_000)),
            intervals_lost: 0,
            generator: Some(ProcessUsage::default()),
        }
    }

    #[test]
    fn instants_move_with_their_origin_and_durations_stay() {
        let (second, days) = (second(), Duration::from_secs(86_400));
        let moved = second.clone().from_origin(ORIGIN + days);
        assert_eq!(moved.jobs[0].1, at(7) + days);
        let interval = &moved.intervals[0];
        assert_eq!((interval.until, interval.thing_events[0].at), (at(1_000) + days, at(50) + days));
        assert_eq!((interval.sessions[0].at, interval.errors[0].1.first), (at(9) + days, at(40) + days));
        assert_eq!(interval.sessions[0].kind, SessionChangeKind::Up { intended: at(5) + days });
        assert_eq!(interval.operations, second.intervals[0].operations);
        assert_eq!(moved.from_origin(ORIGIN), second, "and back");
        assert_eq!(second.from_origin(Mono(0)).jobs[0].1, Mono(7_000_000));
    }

    #[test]
    fn a_second_comes_to_few_numbers() {
        let mut second = second();
        second.intervals.truncate(1);
        (second.intervals[0].messages_in, second.intervals[0].busy) = (3, Duration::from_millis(250));
        let more = Interval { connected: 2, messages_out: 4, busy: Duration::from_millis(500), ..Interval::default() };
        second.intervals.push(more);
        let expected = ShardFigures { connected: 3, messages_in: 3, messages_out: 4, busy: 0.5, lateness_ms: None };
        assert_eq!(second.figures(), expected);
        let update = second.times(Operation::Update).latency(Resolution::of(Operation::Update, false)).unwrap();
        assert!((update.p50 - 10.0).abs() < 0.1 && second.times(Operation::StartNext).is_empty(), "{update:?}");
    }

    type Spoil = fn(&mut ShardSecond);

    #[test]
    fn what_no_run_can_say_is_refused() {
        assert_eq!(second().check(&BOUNDS), Ok(()));
        let spoilt: [(&str, Spoil); 7] = [
            ("it is of second", |second| second.second = u64::MAX),
            ("thread 2 of 2", |second| second.intervals[0].shard = 2),
            ("place 4 of 4", |second| second.intervals[0].thing_events[0].thing = 4),
            ("scope 3 of 2", |second| second.intervals[0].operations[0].scope = ScopeId(3)),
            ("within a second", |second| second.intervals[0].operations[0].counts.started = u64::MAX),
            ("no numbers", |second| second.generator = Some(ProcessUsage { cpu_share: f64::NAN, ..ProcessUsage::default() })),
            ("histogram", |second| {
                let long = Operation::Execution;
                second.intervals[0].operations.iter_mut().for_each(|part| part.operation = long);
                second.intervals[0].operations[0].service = Distribution::of_bucket(u64::MAX, 1);
            }),
        ];
        for (why, spoil) in spoilt {
            let mut second = second();
            spoil(&mut second);
            assert!(second.check(&BOUNDS).is_err_and(|error| error.contains(why)), "{why}: {:?}", second.check(&BOUNDS));
        }
    }
}
