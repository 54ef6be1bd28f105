//! Merges the seconds of all shards, and the service ledger, into snapshots.

use super::errors::{ErrorKey, ErrorTally};
use super::executions::{ClosedExecution, ExecutionBook};
use super::health::{Health, HealthSecond};
use super::histogram::{Distribution, Latency, Resolution};
use super::interval::{Counts, Interval, Metered, OperationInterval, SessionChange};
use super::recovery::{EventRow, PlannedEvent, Recoveries};
use super::sample::{Measure, Operation, ThingEvent};
use super::scope::ScopeId;
use super::snapshot::{OperationRow, ProcessUsage, ScopeName, Snapshot, TaggedTimes};
use super::threshold::{SecondView, Threshold, ThresholdRow, Watch};
use crate::{Phase, PhaseSet};
use iot_jobs::instant::Mono;
use iot_jobs::ledger::LedgerRow;
use iot_jobs::{JobId, ThingName};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Kinds of error that are told apart over all shards. Beyond that they count as [`ErrorKey::other`].
const ERROR_KINDS_MAX: usize = 256;

/// What the collector must know of the run.
pub struct CollectorSettings {
    /// Where second 0 begins.
    pub origin: Mono,
    /// In the order of their places.
    pub things: Vec<ThingName>,
    /// Names, in the order of the indices of [`Scope::cohort`](crate::Scope::cohort).
    pub cohorts: Vec<String>,
    /// Names, in the order of the indices of [`Scope::transport`](crate::Scope::transport).
    pub transports: Vec<String>,
    /// Whether the service ledger will be fed in.
    pub has_service: bool,
    /// In the order of the scenario.
    pub thresholds: Vec<Threshold>,
    /// In the order of the scenario.
    pub events: Vec<PlannedEvent>,
    /// Of the host that carries the generator.
    pub cores: u64,
}

/// Everything about one second.
#[derive(Debug)]
pub struct SecondInput {
    /// Whole seconds from the origin to its beginning; where it spans several, to the beginning of the last.
    pub second: u64,
    /// How many seconds it spans: one, but in a forecast.
    pub span_s: u64,
    /// At its end.
    pub phase: Phase,
    /// All that it has a part of.
    pub phases: PhaseSet,
    /// One a shard; a shard that lost it has none.
    pub intervals: Vec<Interval>,
    /// Intervals of shards that never reached the collector, since the last second.
    pub intervals_lost: u64,
    /// What the service committed since the last second, in its order.
    pub ledger: Vec<LedgerRow>,
    /// CPU and memory of the process of the things; `None` where that is no figure of the things.
    pub generator: Option<ProcessUsage>,
    /// The same of a local endpoint; `None` for other targets.
    pub endpoint: Option<ProcessUsage>,
}

/// Merges intervals and ledger rows second by second; memory is bounded by open executions and series, not by the length of the run.
pub struct Collector {
    origin: Mono,
    things: u64,
    scopes: Vec<ScopeName>,
    /// Everything that was ever seen, in the order of all tables.
    series: BTreeMap<(Operation, ScopeId), Series>,
    lateness: Times,
    book: ExecutionBook,
    recoveries: Recoveries,
    watches: Vec<Watch>,
    /// Seconds that thresholds are about, where not all are.
    measured: Option<Range<u64>>,
    health: Health,
    errors: BTreeMap<ErrorKey, ErrorTally>,
    messages_in: u64,
    messages_out: u64,
    metered: Metered,
    intervals_lost: u64,
    events_lost: u64,
}

/// One operation in one scope: of the second that is being merged, and of the run.
#[derive(Default)]
struct Series {
    /// Second of its first start.
    since_s: u64,
    second: Counts,
    total: Counts,
    service: Times,
    response: Times,
}

#[derive(Default)]
struct Times {
    second: Distribution,
    total: Distribution,
}

impl Times {
    fn add(&mut self, part: &Distribution) {
        self.second.merge(part);
        self.total.merge(part);
    }
}

/// What a second sums up to over all shards.
#[derive(Default)]
struct Sums {
    messages_in: u64,
    messages_out: u64,
    connects: u64,
    connected: i64,
    /// CPU time of each shard, as a share of one core.
    busy: Vec<f64>,
    /// How long each was ready and had no core, as a share of the time.
    waited: Vec<f64>,
    starts: Vec<(u64, u64)>,
}

impl Sums {
    fn connected(&self) -> u64 {
        u64::try_from(self.connected).unwrap_or(0)
    }
}

impl Collector {
    /// A collector that has seen nothing yet.
    #[must_use]
    pub fn new(settings: CollectorSettings) -> Self {
        let cohorts = settings.cohorts.iter().map(|name| ScopeName::Cohort(name.as_str().into()));
        let transports = settings.transports.iter().map(|name| ScopeName::Transport(name.as_str().into()));
        let things = settings.things.len() as u64;
        let health = Health::new(settings.thresholds.clone(), things, settings.cores);
        let watches = settings.thresholds.into_iter().map(|threshold| Watch::new(threshold, &settings.cohorts)).collect();
        Self {
            origin: settings.origin,
            things,
            scopes: std::iter::once(ScopeName::All).chain(cohorts).chain(transports).collect(),
            series: BTreeMap::new(),
            lateness: Times::default(),
            book: ExecutionBook::new(settings.things, settings.has_service),
            recoveries: Recoveries::new(settings.events),
            watches,
            measured: None,
            health,
            errors: BTreeMap::new(),
            messages_in: 0,
            messages_out: 0,
            metered: Metered::default(),
            intervals_lost: 0,
            events_lost: 0,
        }
    }

    /// The run has so many things; the others of the list are driven elsewhere.
    pub fn drives(&mut self, things: u64) {
        self.things = things;
        self.health.drives(things);
    }

    /// A job was created for this many things.
    pub fn job_created(&mut self, job: &JobId, targets: u64, created: Mono) {
        self.book.job_created(job, targets, created);
    }

    /// The event with this number was over at `at`.
    pub fn event_over(&mut self, event: usize, at: Mono) {
        self.recoveries.over(event, at);
    }

    /// From now on only these seconds count, for thresholds and for what shows that the generator was the bottleneck; none of them has
    /// been taken in yet. What is said of another phase, or of connecting once that is over, keeps what it has.
    pub fn measure(&mut self, seconds: Range<u64>) {
        self.health.measure(seconds.clone());
        self.measured = Some(seconds);
    }

    /// Takes one second in, and says how things stand after it.
    pub fn second(&mut self, input: SecondInput) -> Arc<Snapshot> {
        self.merge(input, ExecutionBook::close_settled)
    }

    /// The last word: what is still open is closed as it is, and lost what [`ExecutionBook::close_all`] says.
    pub fn finish(&mut self, input: SecondInput, lost_after: Option<Duration>) -> Arc<Snapshot> {
        self.health.finish();
        self.merge(input, |book, now| {
            let mut closed = book.close_settled(now);
            closed.extend(book.close_all(now, lost_after));
            closed
        })
    }

    fn merge(
        &mut self,
        mut input: SecondInput,
        close: impl FnOnce(&mut ExecutionBook, Mono) -> Vec<ClosedExecution>,
    ) -> Arc<Snapshot> {
        let border = self.origin + Duration::from_secs(input.second + 1);
        let now = input.intervals.iter().map(|interval| interval.until).max().unwrap_or(border);
        let mut sums = Sums::default();
        let (mut events, mut sessions, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for interval in &mut input.intervals {
            self.add_interval(interval, &mut sums);
            events.append(&mut interval.thing_events);
            sessions.append(&mut interval.sessions);
            faults.append(&mut interval.faults);
        }
        self.intervals_lost += input.intervals_lost;
        self.feed_book(events, sessions, &input.ledger);
        faults.iter().for_each(|fault| self.book.fault_struck(fault));
        let closed = close(&mut self.book, now);
        self.add_notify_next(input.second);
        let events = self.recoveries.rows(now);
        let thresholds = self.watch(&input, &sums, &events);
        self.watch_generator(&input, &mut sums);
        self.snapshot(&input, &sums, closed, thresholds, events)
    }

    fn add_interval(&mut self, interval: &Interval, sums: &mut Sums) {
        sums.messages_in += interval.messages_in;
        sums.messages_out += interval.messages_out;
        sums.connects += interval.connects;
        sums.connected += interval.connected;
        if sums.busy.len() <= interval.shard {
            sums.busy.resize(interval.shard + 1, 0.0);
            sums.waited.resize(interval.shard + 1, 0.0);
        }
        sums.busy[interval.shard] = interval.busy.as_secs_f64();
        sums.waited[interval.shard] = interval.waited.as_secs_f64();
        sums.starts.extend_from_slice(&interval.starts);
        self.messages_in += interval.messages_in;
        self.messages_out += interval.messages_out;
        self.metered += interval.metered;
        self.events_lost += interval.events_lost;
        self.lateness.add(&interval.lateness);
        interval.operations.iter().for_each(|part| self.add_operation(interval.second, part));
        interval.errors.iter().for_each(|(key, tally)| self.add_error(*key, tally));
    }

    fn add_operation(&mut self, second: u64, part: &OperationInterval) {
        let series =
            self.series.entry((part.operation, part.scope)).or_insert_with(|| Series { since_s: second, ..Series::default() });
        series.second += part.counts;
        series.total += part.counts;
        series.service.add(&part.service);
        series.response.add(&part.response);
    }

    fn add_error(&mut self, mut key: ErrorKey, tally: &ErrorTally) {
        if self.errors.len() >= ERROR_KINDS_MAX && !self.errors.contains_key(&key) {
            key = ErrorKey::other(key.operation);
        }
        match self.errors.get_mut(&key) {
            Some(known) => {
                known.count += tally.count;
                if tally.first < known.first {
                    known.first = tally.first;
                    known.example.clone_from(&tally.example);
                }
                if tally.last >= known.last {
                    known.last = tally.last;
                    known.last_example.clone_from(&tally.last_example);
                }
            }
            None => {
                self.errors.insert(key, tally.clone());
            }
        }
    }

    /// What things and service say, in the order of its instants, whichever shard it comes from; of the same instant the service's first.
    /// An execution that both sides tell of from its beginning to its end is so never open again once one of them has ended it.
    fn feed_book(&mut self, mut events: Vec<ThingEvent>, mut sessions: Vec<SessionChange>, ledger: &[LedgerRow]) {
        events.sort_by_key(|event| event.at);
        sessions.sort_by_key(|change| change.at);
        sessions.iter().for_each(|change| self.recoveries.session_changed(change));
        let mut sessions = sessions.iter().peekable();
        let mut ledger = ledger.iter().peekable();
        for event in &events {
            while let Some(change) = sessions.next_if(|change| change.at <= event.at) {
                self.book.session_changed(change);
            }
            while let Some(row) = ledger.next_if(|row| row.at <= event.at) {
                self.book.ledger_row(row);
            }
            self.book.thing_event(event);
        }
        sessions.for_each(|change| self.book.session_changed(change));
        ledger.for_each(|row| self.book.ledger_row(row));
    }

    /// `notify_next` is measured by the join of the two ledgers, not by a shard.
    fn add_notify_next(&mut self, second: u64) {
        let (counts, service) = self.book.take_notify_next();
        let (operation, scope) = (Operation::NotifyNext, ScopeId::ALL);
        if counts != Counts::default() {
            self.add_operation(second, &OperationInterval { operation, scope, counts, service, response: Distribution::default() });
        }
    }

    /// Shows the second that is being merged to every threshold.
    fn watch(&mut self, input: &SecondInput, sums: &Sums, events: &[EventRow]) -> Vec<ThresholdRow> {
        let view = SecondView {
            span_s: input.span_s,
            phase: input.phase,
            phases: input.phases,
            lateness: &self.lateness.second,
            executions: self.book.counts(),
            anomalies: self.book.anomalies(),
            events,
            connected: sums.connected(),
            things: self.things,
        };
        if let Some(measured) = &self.measured {
            if input.second == measured.start {
                self.watches.iter_mut().for_each(|watch| watch.restart(input.phase));
            }
            if input.second >= measured.end {
                return self.watches.iter().map(Watch::row).collect();
            }
        }
        for watch in &mut self.watches {
            let series = watch.operation().and_then(|operation| self.series.get(&(operation, watch.scope)));
            watch.second(&view, series.map(|series| (series.second, &series.service.second, &series.response.second)));
        }
        self.watches.iter().map(Watch::row).collect()
    }

    fn watch_generator(&mut self, input: &SecondInput, sums: &mut Sums) {
        let endpoint = input.endpoint.map_or(0.0, |usage| usage.cpu_share);
        let connects = self.series.get(&(Operation::Connect, ScopeId::ALL)).map_or(0, |series| series.second.started);
        self.health.second(HealthSecond {
            second: input.second,
            phase: input.phase,
            lateness: &self.lateness.second,
            busy: sums.busy.clone(),
            waited: std::mem::take(&mut sums.waited),
            starts: std::mem::take(&mut sums.starts),
            connects,
            machine: input.generator.map_or(0.0, |usage| usage.cpu_share) + endpoint,
        });
    }

    fn snapshot(
        &mut self,
        input: &SecondInput,
        sums: &Sums,
        closed: Vec<ClosedExecution>,
        thresholds: Vec<ThresholdRow>,
        events: Vec<EventRow>,
    ) -> Arc<Snapshot> {
        let mut second = Vec::with_capacity(self.series.len());
        let mut totals = Vec::with_capacity(self.series.len());
        let mut times = Vec::new();
        let mut saturated = 0;
        for ((operation, scope), series) in &mut self.series {
            let resolution = Resolution::of(*operation, *scope != ScopeId::ALL);
            let row = |counts, service: &Distribution, response: &Distribution| OperationRow {
                scope: self.scopes[usize::from(scope.0)].clone(),
                operation: *operation,
                counts,
                open: series.total.open(),
                since_s: series.since_s,
                service: service.latency(resolution),
                response: response.latency(resolution),
            };
            second.push(row(series.second, &series.service.second, &series.response.second));
            totals.push(row(series.total, &series.service.total, &series.response.total));
            series.second = Counts::default();
            for (measure, counted) in [(Measure::Service, &mut series.service), (Measure::Response, &mut series.response)] {
                let distribution = std::mem::take(&mut counted.second);
                if *scope == ScopeId::ALL {
                    saturated += counted.total.saturated();
                }
                if !distribution.is_empty() {
                    let scope = self.scopes[usize::from(scope.0)].clone();
                    times.push(TaggedTimes { scope, operation: *operation, measure, distribution });
                }
            }
        }
        let take_lateness =
            |lateness: &mut Times| -> Option<Latency> { std::mem::take(&mut lateness.second).latency(Resolution::SHORT) };
        Arc::new(Snapshot {
            t_s: input.second + 1,
            span_s: input.span_s,
            origin: self.origin,
            phase: input.phase,
            things: self.things,
            connected: sums.connected(),
            connects_per_s: sums.connects.div_ceil(input.span_s),
            messages_in_per_s: sums.messages_in.div_ceil(input.span_s),
            messages_out_per_s: sums.messages_out.div_ceil(input.span_s),
            messages_in: self.messages_in,
            messages_out: self.messages_out,
            metered: self.metered,
            executions: self.book.counts(),
            rollouts: self.book.rollouts(),
            second,
            totals,
            lateness: take_lateness(&mut self.lateness),
            lateness_total: self.lateness.total.latency(Resolution::SHORT),
            generator: input.generator,
            endpoint: input.endpoint,
            errors: self.errors.clone(),
            closed,
            anomalies: self.book.anomalies().clone(),
            thresholds,
            events,
            breaches: self.health.breaches(),
            storm: self.health.storm(),
            busy: sums.busy.clone(),
            times,
            intervals_lost: self.intervals_lost,
            events_lost: self.events_lost,
            beyond: self.book.beyond(),
            saturated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::{ExecutionStage, Outcome, Recorder, Sample, Scope, ThingEventKind};
    use iot_jobs::ledger::LedgerEvent;
    use iot_jobs::{ExecutionStatus, ThingName};

    const ORIGIN: Mono = Mono(7_000_000_000);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn collector() -> Collector {
        Collector::new(collector_settings())
    }

    fn collector_settings() -> CollectorSettings {
        CollectorSettings {
            origin: ORIGIN,
            things: (0..4).map(|n| ThingName::new(&format!("t-{n}")).unwrap()).collect(),
            cohorts: vec!["a".into(), "b".into()],
            transports: vec!["mqtt".into()],
            has_service: true,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 2,
        }
    }

    fn input(second: u64, intervals: Vec<Interval>) -> SecondInput {
        let (ledger, generator) = (Vec::new(), Some(ProcessUsage::default()));
        SecondInput {
            second,
            span_s: 1,
            phase: Phase::Steady,
            phases: Phase::Steady.into(),
            intervals,
            intervals_lost: 0,
            ledger,
            generator,
            endpoint: None,
        }
    }

    fn work(recorder: &mut Recorder, cohort: u16, sent: u64, finished: u64, outcome: Outcome) {
        let scope = Scope { cohort, transport: 0 };
        recorder.start(Operation::Update, scope);
        let (intended, sent) = (at(sent), at(sent));
        recorder.finish(&Sample { operation: Operation::Update, scope, outcome, intended, sent, finished: at(finished) });
    }

    #[test]
    fn what_started_is_what_ended_and_what_is_open_in_every_row_of_every_second() {
        let mut collector = collector();
        let mut shards = [Recorder::new(ORIGIN, 2, 1), Recorder::new(ORIGIN, 2, 1)];
        let mut started = 0;
        for t_s in 1..=5 {
            for (cohort, shard) in shards.iter_mut().enumerate() {
                let cohort = cohort as u16;
                for (n, outcome) in [Outcome::Ok, Outcome::Rejected, Outcome::Timeout, Outcome::Error].into_iter().enumerate() {
                    work(shard, cohort, t_s * 1_000 - 900, t_s * 1_000 - 800 + 10 * n as u64, outcome);
                }
                shard.start(Operation::Update, Scope { cohort, transport: 0 });
                started += 5;
                shard.advance(at(t_s * 1_000));
            }
            let intervals = shards.iter_mut().map(|shard| shard.poll_interval().unwrap()).collect();
            let snapshot = collector.second(input(t_s - 1, intervals));
            let names: Vec<_> = snapshot.totals.iter().map(|row| row.scope.to_string()).collect();
            assert_eq!(names, ["all", "cohort:a", "cohort:b", "transport:mqtt"]);
            for OperationRow { counts, open, .. } in &snapshot.totals {
                assert_eq!(counts.started, counts.ok + counts.rejected + counts.timeout + counts.error + open);
            }
            let all = snapshot.of_run(Operation::Update).unwrap();
            assert_eq!((all.counts.started, all.open), (started, 2 * t_s));
            let second = snapshot.of_second(Operation::Update).unwrap();
            assert_eq!((second.counts.finished(), second.open), (8, 2 * t_s), "counts of this second only");
            let timed: u64 = snapshot.fleet_times().map(|times| times.distribution.count()).sum();
            assert_eq!(timed, 2 * 6, "service and response; what broke has no time");
            let started_in = |n: usize| snapshot.totals[n].counts.started;
            assert_eq!((started_in(1) + started_in(2), started_in(3)), (started, started));
        }
    }

    #[test]
    fn head_changes_of_the_ledger_meet_the_events_of_the_shards() {
        let mut collector = collector();
        let mut shard = Recorder::new(ORIGIN, 2, 1);
        let (thing, job) = (ThingName::new("t-3").unwrap(), JobId::new("j").unwrap());
        let event = |ms, kind| ThingEvent { thing: 3, job: job.clone(), execution_number: 1, at: at(ms), kind };
        shard.thing_event(event(120, ThingEventKind::Notified));
        shard.thing_event(event(400, ThingEventKind::Finished(ExecutionStatus::Succeeded)));
        let row = |ms, status, event| LedgerRow {
            at: at(ms),
            thing: thing.clone(),
            job: job.clone(),
            execution_number: 1,
            version: 1,
            status,
            event,
            subscribed: true,
        };
        let ledger = vec![
            row(100, ExecutionStatus::Queued, LedgerEvent::Queued),
            row(100, ExecutionStatus::Queued, LedgerEvent::Head),
            row(399, ExecutionStatus::Succeeded, LedgerEvent::Terminal),
        ];
        let snapshot = collector.second(SecondInput { ledger, ..input(0, shard.finish_run(at(900))) });
        let notify_next = snapshot.of_run(Operation::NotifyNext).unwrap();
        assert_eq!((notify_next.counts.started, notify_next.counts.ok, notify_next.open), (1, 1, 0));
        assert_eq!((notify_next.service.unwrap().p50, notify_next.response), (20.0, None));
        assert_eq!((snapshot.executions.get(ExecutionStage::Succeeded), snapshot.closed.len()), (Some(1), 1));
        let next = collector.second(input(1, Vec::new()));
        assert_eq!((next.closed.len(), next.times.len(), next.executions.get(ExecutionStage::Succeeded)), (0, 0, Some(1)));
        assert_eq!(next.of_second(Operation::NotifyNext).unwrap().service, None);
    }

    #[test]
    fn an_execution_that_begins_and_ends_within_a_second_has_one_end() {
        let mut collector = collector();
        let mut shard = Recorder::new(ORIGIN, 2, 1);
        let job = JobId::new("j").unwrap();
        collector.job_created(&job, 2, at(0));
        let mut ledger = Vec::new();
        for thing in 0..2 {
            let begin = 300 * u64::from(thing);
            let row = |ms, status, event| LedgerRow {
                at: at(begin + ms),
                thing: ThingName::new(&format!("t-{thing}")).unwrap(),
                job: job.clone(),
                execution_number: 1,
                version: 1,
                status,
                event,
                subscribed: true,
            };
            ledger.push(row(100, ExecutionStatus::Queued, LedgerEvent::Queued));
            ledger.push(row(200, ExecutionStatus::Succeeded, LedgerEvent::Terminal));
            for (ms, kind) in [(110, ThingEventKind::Started), (210, ThingEventKind::Finished(ExecutionStatus::Succeeded))] {
                shard.thing_event(ThingEvent { thing, job: job.clone(), execution_number: 1, at: at(begin + ms), kind });
            }
        }
        let snapshot = collector.second(SecondInput { ledger, ..input(0, shard.finish_run(at(900))) });
        let seconds_to = snapshot.rollouts[0].seconds_to;
        assert!((0.19..0.22).contains(&seconds_to[0].unwrap()) && (0.49..0.52).contains(&seconds_to[3].unwrap()), "{seconds_to:?}");
    }

    #[test]
    fn gauges_and_errors_add_up_over_shards_and_seconds() {
        let mut collector = collector();
        let mut shards = [Recorder::new(ORIGIN, 2, 1), Recorder::new(ORIGIN, 2, 1)];
        for (n, shard) in (0..).zip(&mut shards) {
            shard.connected(2 * n, at(9), at(10));
            shard.connected(2 * n + 1, at(9), at(10));
            shard.message_in();
            shard.error(Operation::Connect, ErrorKind::Tls, "alert", at(100 * u64::from(2 - n)), || format!("from shard {n}"));
            shard.advance(at(1_000));
        }
        let first = collector.second(input(0, shards.iter_mut().map(|shard| shard.poll_interval().unwrap()).collect()));
        assert_eq!((first.connected, first.connects_per_s, first.messages_in_per_s), (4, 4, 2));
        let error = first.errors.values().next().unwrap();
        assert_eq!((error.count, error.first, error.last, error.example.as_str()), (2, at(100), at(200), "from shard 1"));
        assert_eq!(error.last_example, "from shard 0");
        shards[0].session_lost(1, at(1_100), None);
        let rest = shards.iter_mut().flat_map(|shard| shard.finish_run(at(1_500))).collect();
        let last = collector.finish(SecondInput { intervals_lost: 1, ..input(1, rest) }, None);
        assert_eq!((last.connected, last.connects_per_s, last.messages_in_per_s, last.messages_in), (3, 0, 0, 2));
        assert_eq!((last.t_s, last.intervals_lost), (2, 1));
    }

    #[test]
    fn thresholds_are_about_the_measured_seconds() {
        let threshold = |metric: &str, phase| Threshold {
            metric: crate::Metric::parse(metric).unwrap(),
            check: crate::Check::parse("< 50").unwrap(),
            over: None,
            phase,
            cohort: None,
        };
        let mut settings = collector_settings();
        settings.thresholds = vec![
            threshold("update.service_ms.max", None),
            threshold("connect.service_ms.max", None),
            threshold("update.service_ms.max", Some(Phase::Connect)),
        ];
        let mut collector = Collector::new(settings);
        let mut shard = Recorder::new(ORIGIN, 2, 1);
        collector.measure(2..4);
        let mut last = None;
        // The warm-up, what is measured, and what comes after it.
        for (second, ms) in [400, 300, 20, 30, 500].into_iter().enumerate() {
            let start = second as u64 * 1_000;
            work(&mut shard, 0, start + 1, start + 1 + ms, Outcome::Ok);
            if second == 0 {
                let scope = Scope::default();
                let sample = Sample {
                    operation: Operation::Connect,
                    scope,
                    outcome: Outcome::Ok,
                    intended: at(1),
                    sent: at(1),
                    finished: at(71),
                };
                shard.finish(&sample);
            }
            shard.advance(at(start + 1_000));
            let phase = if second == 0 { Phase::Connect } else { Phase::Steady };
            let interval = shard.poll_interval().unwrap();
            last = Some(collector.second(SecondInput { phase, phases: phase.into(), ..input(second as u64, vec![interval]) }));
        }
        let values: Vec<_> = last.unwrap().thresholds.iter().map(|row| row.value.map(f64::round)).collect();
        assert_eq!(values, [Some(30.0), Some(70.0), Some(400.0)], "what was said of connecting stands");
    }

    #[test]
    fn kinds_of_errors_are_bounded_over_all_shards() {
        let mut collector = collector();
        let codes: Vec<&'static str> = (0..300).map(|n| &*Box::leak(format!("code-{n}").into_boxed_str())).collect();
        for part in codes.chunks(60) {
            let mut shard = Recorder::new(ORIGIN, 2, 1);
            part.iter().for_each(|code| shard.error(Operation::Connect, ErrorKind::Tcp, code, at(1), String::new));
            collector.second(input(0, shard.finish_run(at(2))));
        }
        let errors = &collector.second(input(1, Vec::new())).errors;
        assert_eq!(errors.len(), ERROR_KINDS_MAX + 1);
        assert_eq!(errors.values().map(|tally| tally.count).sum::<u64>(), 300);
    }
}
