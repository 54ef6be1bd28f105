//! What one shard saw: owned by the shard, unlocked, without an allocation per sample.
//!
//! Counts, histograms and events gather in a running interval, which is cut at whole seconds from the origin **by finish time**: a
//! sample that finished at or after the border first closes the interval, however late the shard gets to tell.

use super::errors::{ErrorKey, ErrorKind, ErrorTally};
use super::health::START_SLACK;
use super::histogram::{Distribution, Histogram, Resolution};
use super::interval::{Counts, FaultEvent, Interval, Metered, OperationInterval, SessionChange, SessionChangeKind};
use super::sample::{Operation, Outcome, Sample, Scope, ThingEvent};
use super::scope::{ScopeId, Scopes};
use iot_jobs::instant::Mono;
use std::collections::VecDeque;
use std::time::Duration;
use strum::{EnumCount, VariantArray};

const SECOND: Duration = Duration::from_secs(1);
/// Closed intervals that may wait to be polled. Beyond that the running one goes on: its second gets longer, nothing is lost.
const CLOSED_MAX: usize = 120;
/// Events, and session changes, of one interval. Beyond that they are lost, and counted.
const EVENTS_MAX: usize = 262_144;
/// Kinds of error that are told apart in a run. Beyond that they count as [`ErrorKey::other`].
const ERROR_KINDS_MAX: usize = 64;

/// Gathers a shard's seconds: filled while it runs, polled for what has ended.
pub struct Recorder {
    origin: Mono,
    /// End of the running interval.
    border: Mono,
    /// Whole seconds that an interval spans.
    span_s: u64,
    scopes: Scopes,
    /// One cell for each operation in each scope, operations first.
    cells: Vec<Cell>,
    lateness: Histogram,
    /// Every kind seen so far; those of the running interval have a count.
    errors: Vec<(ErrorKey, ErrorTally)>,
    /// What needs no counting: it is filled in place and handed over as it is.
    running: Interval,
    closed: VecDeque<Interval>,
}

#[derive(Default)]
struct Cell {
    counts: Counts,
    times: Option<Box<Times>>,
}

/// Made with the first sample that has them.
struct Times {
    service: Histogram,
    response: Option<Histogram>,
}

impl Times {
    fn new(operation: Operation, scope: ScopeId) -> Self {
        let histogram = || Histogram::new(Resolution::of(operation, scope != ScopeId::ALL));
        Self { service: histogram(), response: operation.has_response().then(histogram) }
    }
}

impl Recorder {
    /// `cohorts` and `transports` are how many there are: a sample's [`Scope`] indexes them.
    #[must_use]
    pub fn new(origin: Mono, cohorts: usize, transports: usize) -> Self {
        let scopes = Scopes::new(cohorts, transports);
        Self {
            origin,
            border: origin + SECOND,
            span_s: 1,
            scopes,
            cells: std::iter::repeat_with(Cell::default).take(Operation::COUNT * scopes.count()).collect(),
            lateness: Histogram::new(Resolution::SHORT),
            errors: Vec::new(),
            running: Interval::default(),
            closed: VecDeque::new(),
        }
    }

    // ---------------------------------------------------------------------------------------------------- operations

    /// An operation was begun; [`Self::finish`] counts its end.
    pub fn start(&mut self, operation: Operation, scope: Scope) {
        self.count(operation, scope, |counts| counts.started += 1);
    }

    /// Answers, accepted or rejected, count with their time, and timeouts at their age; what broke has no time.
    pub fn finish(&mut self, sample: &Sample) {
        self.advance(sample.finished);
        let Sample { operation, scope, outcome, .. } = *sample;
        let (service, response) = (sample.service(), sample.response());
        for id in self.scopes.of(operation, scope) {
            let cell = &mut self.cells[cell_index(self.scopes, operation, id)];
            cell.counts.finish(outcome);
            if outcome != Outcome::Error {
                let times = cell.times.get_or_insert_with(|| Box::new(Times::new(operation, id)));
                times.service.record(service);
                if let Some(histogram) = &mut times.response {
                    histogram.record(response);
                }
            }
        }
    }

    /// Begun, and done at the same moment: there is no answer whose time could be told.
    pub fn done(&mut self, operation: Operation, scope: Scope, at: Mono) {
        self.advance(at);
        self.count(operation, scope, |counts| {
            counts.started += 1;
            counts.finish(Outcome::Ok);
        });
    }

    /// An answer nobody waited for any more.
    pub fn late_answer(&mut self, operation: Operation, scope: Scope) {
        self.count(operation, scope, |counts| counts.late_answers += 1);
    }

    /// Planned starts that nobody was free to take.
    pub fn lost_arrivals(&mut self, operation: Operation, scope: Scope, count: u64) {
        self.count(operation, scope, |counts| counts.lost_arrivals += count);
    }

    /// A start that had to wait for a session, or for a free slot.
    pub fn blocked(&mut self, operation: Operation, scope: Scope) {
        self.count(operation, scope, |counts| counts.blocked += 1);
    }

    /// A start could be made from `runnable` on, with the session up and a slot free, and was: the rest is the generator's own delay.
    pub fn departed(&mut self, runnable: Mono, at: Mono) {
        self.advance(at);
        let lateness = at.since(runnable);
        self.lateness.record(lateness);
        let due = if lateness <= START_SLACK { at } else { runnable };
        // What then waited for the gate is told later: it was due that much later, too.
        let waited = self.running.second.saturating_sub(at.since(self.origin).as_secs());
        let second = due.since(self.origin).as_secs() + waited;
        match self.running.starts.iter_mut().find(|(known, _)| *known == second) {
            Some((_, count)) => *count += 1,
            None => self.running.starts.push((second, 1)),
        }
    }

    fn count(&mut self, operation: Operation, scope: Scope, change: impl Fn(&mut Counts)) {
        for id in self.scopes.of(operation, scope) {
            change(&mut self.cells[cell_index(self.scopes, operation, id)].counts);
        }
    }

    // -------------------------------------------------------------------------------------------- traffic and sessions

    /// A message came from the endpoint.
    pub fn message_in(&mut self) {
        self.running.messages_in += 1;
    }

    /// A message was sent to the endpoint.
    pub fn message_out(&mut self) {
        self.running.messages_out += 1;
    }

    /// The bill counts this, too.
    pub fn metered(&mut self, metered: Metered) {
        self.running.metered += metered;
    }

    /// The thing at this place is subscribed from `at` on, by an attempt that was planned for `intended`.
    pub fn connected(&mut self, thing: u32, intended: Mono, at: Mono) {
        self.session_changed(SessionChange { thing, at, kind: SessionChangeKind::Up { intended } });
        self.running.connected += 1;
        self.running.connects += 1;
    }

    /// The thing at this place lost its session, `by` an event of the scenario where one cut it.
    pub fn session_lost(&mut self, thing: u32, at: Mono, by: Option<u16>) {
        self.session_changed(SessionChange { thing, at, kind: SessionChangeKind::Down { by } });
        self.running.connected -= 1;
    }

    /// An attempt to connect came to nothing.
    pub fn connect_failed(&mut self, thing: u32, intended: Mono, at: Mono) {
        self.session_changed(SessionChange { thing, at, kind: SessionChangeKind::Failed { intended } });
    }

    /// A session ended since the run wanted it.
    pub fn closed(&mut self) {
        self.running.connected -= 1;
    }

    fn session_changed(&mut self, change: SessionChange) {
        self.advance(change.at);
        let Interval { sessions, events_lost, .. } = &mut self.running;
        push_bounded(sessions, change, events_lost);
    }

    /// `example` is asked for once per kind and interval.
    pub fn error(&mut self, operation: Operation, kind: ErrorKind, code: &'static str, at: Mono, example: impl FnOnce() -> String) {
        self.advance(at);
        let place = |errors: &[(ErrorKey, ErrorTally)], key| errors.iter().position(|(known, _)| *known == key);
        let mut key = ErrorKey { operation, kind, code };
        if self.errors.len() >= ERROR_KINDS_MAX && place(&self.errors, key).is_none() {
            key = ErrorKey::other(operation);
        }
        let place = place(&self.errors, key).unwrap_or_else(|| {
            self.errors
                .push((key, ErrorTally { count: 0, first: at, last: at, example: String::new(), last_example: String::new() }));
            self.errors.len() - 1
        });
        let tally = &mut self.errors[place].1;
        if tally.count == 0 {
            tally.first = at;
            tally.example = example();
        }
        tally.count += 1;
        tally.last = at;
    }

    /// A thing was struck by a fault on purpose.
    pub fn fault(&mut self, operation: Operation, event: FaultEvent, at: Mono, example: impl FnOnce() -> String) {
        let ErrorKey { operation, kind, code } = ErrorKey::of_fault(operation, event.fault);
        self.error(operation, kind, code, at, example);
        let Interval { faults, events_lost, .. } = &mut self.running;
        push_bounded(faults, event, events_lost);
    }

    /// A thing said something of one of its executions.
    pub fn thing_event(&mut self, event: ThingEvent) {
        self.advance(event.at);
        let Interval { thing_events, events_lost, .. } = &mut self.running;
        push_bounded(thing_events, event, events_lost);
    }

    // ------------------------------------------------------------------------------------------------------ intervals

    /// Closes every second that has ended at `now`.
    pub fn advance(&mut self, now: Mono) {
        while now >= self.border && self.closed.len() < CLOSED_MAX {
            let interval = self.take(self.border);
            self.closed.push_back(interval);
            self.border += Duration::from_secs(self.span_s);
        }
    }

    /// The running interval, in which nothing has happened yet, and all that follow span so many seconds, and are told by the last of
    /// them: in a forecast of days nobody looks at single ones.
    pub fn widen(&mut self, span_s: u64) {
        self.running.second += span_s - self.span_s;
        self.border += Duration::from_secs(span_s - self.span_s);
        self.span_s = span_s;
    }

    /// Seconds that have ended, oldest first.
    pub fn poll_interval(&mut self) -> Option<Interval> {
        self.closed.pop_front()
    }

    /// Ends recording: what is left, the last second incomplete.
    pub fn finish_run(&mut self, now: Mono) -> Vec<Interval> {
        self.advance(now);
        let last = self.take(now);
        self.closed.drain(..).chain([last]).collect()
    }

    fn take(&mut self, until: Mono) -> Interval {
        let next = Interval { second: self.running.second + self.span_s, connected: self.running.connected, ..Interval::default() };
        let mut interval = std::mem::replace(&mut self.running, next);
        interval.until = until;
        interval.lateness = self.lateness.take();
        let scopes = self.scopes;
        let places = Operation::VARIANTS.iter().flat_map(|operation| scopes.ids().map(move |scope| (*operation, scope)));
        for ((operation, scope), cell) in places.zip(&mut self.cells).filter(|(_, cell)| !cell.counts.is_zero()) {
            let (service, response) = cell.times.as_deref_mut().map_or_else(Default::default, |times| {
                (times.service.take(), times.response.as_mut().map_or_else(Distribution::default, Histogram::take))
            });
            interval.operations.push(OperationInterval {
                operation,
                scope,
                counts: std::mem::take(&mut cell.counts),
                service,
                response,
            });
        }
        for (key, tally) in self.errors.iter_mut().filter(|(_, tally)| tally.count > 0) {
            let example = std::mem::take(&mut tally.example);
            interval.errors.push((*key, ErrorTally { last_example: example.clone(), example, ..*tally }));
            tally.count = 0;
        }
        interval
    }
}

fn cell_index(scopes: Scopes, operation: Operation, scope: ScopeId) -> usize {
    operation as usize * scopes.count() + usize::from(scope.0)
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, lost: &mut u64) {
    if list.len() < EVENTS_MAX {
        list.push(item);
    } else {
        *lost += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThingEventKind;
    use iot_jobs::JobId;

    const ORIGIN: Mono = Mono(5_000_000_123);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    fn recorder() -> Recorder {
        Recorder::new(ORIGIN, 2, 1)
    }

    fn sample(operation: Operation, outcome: Outcome, intended: u64, sent: u64, finished: u64) -> Sample {
        let scope = Scope { cohort: 1, transport: 0 };
        Sample { operation, scope, outcome, intended: at(intended), sent: at(sent), finished: at(finished) }
    }

    fn ok(finished: u64) -> Sample {
        sample(Operation::StartNext, Outcome::Ok, finished - 30, finished - 10, finished)
    }

    fn find(interval: &Interval, operation: Operation, scope: ScopeId) -> &OperationInterval {
        interval.operations.iter().find(|o| o.operation == operation && o.scope == scope).unwrap()
    }

    fn end(recorder: &mut Recorder, now: Mono) -> Interval {
        recorder.finish_run(now).pop().unwrap()
    }

    #[test]
    fn intervals_are_cut_by_finish_time_and_not_by_when_they_are_told() {
        let mut recorder = recorder();
        recorder.finish(&ok(999));
        assert!(recorder.poll_interval().is_none());
        recorder.finish(&ok(1_000));
        let first = recorder.poll_interval().unwrap();
        assert_eq!(first.second, 0);
        assert_eq!(find(&first, Operation::StartNext, ScopeId::ALL).counts.ok, 1, "the one at the border belongs to the next");
        recorder.advance(at(3_500));
        let seconds: Vec<_> = std::iter::from_fn(|| recorder.poll_interval()).map(|i| (i.second, i.operations.len())).collect();
        assert_eq!(seconds, [(1, 3), (2, 0)], "all, cohort and transport; then a second in which nothing happened");
        recorder.finish(&ok(3_600));
        let last = end(&mut recorder, at(3_700));
        assert_eq!((last.second, last.operations.len()), (3, 3));
    }

    #[test]
    fn service_and_response_are_told_apart() {
        let mut recorder = recorder();
        recorder.start(Operation::StartNext, Scope::default());
        recorder.finish(&ok(100));
        let interval = end(&mut recorder, at(200));
        let told = find(&interval, Operation::StartNext, ScopeId::ALL);
        let p50 = |d: &Distribution| d.latency(Resolution::SHORT).unwrap().p50;
        assert!((p50(&told.service) - 10.0).abs() < 0.02 && (p50(&told.response) - 30.0).abs() < 0.04);
        assert_eq!(told.counts, Counts { started: 1, ok: 1, ..Counts::default() });
    }

    #[test]
    fn only_scoped_operations_are_broken_down() {
        let mut recorder = recorder();
        recorder.start(Operation::Puback, Scope { cohort: 1, transport: 0 });
        recorder.start(Operation::Update, Scope { cohort: 1, transport: 0 });
        let told: Vec<_> = end(&mut recorder, at(1)).operations.iter().map(|o| (o.operation, o.scope.0)).collect();
        let update = Operation::Update;
        assert_eq!(told, [(update, 0), (update, 2), (update, 3), (Operation::Puback, 0)]);
    }

    #[test]
    fn timeouts_count_at_their_age_and_what_broke_has_no_time() {
        let mut recorder = recorder();
        recorder.finish(&sample(Operation::Describe, Outcome::Timeout, 0, 0, 900));
        recorder.finish(&sample(Operation::Describe, Outcome::Rejected, 0, 0, 5));
        recorder.finish(&sample(Operation::Describe, Outcome::Error, 0, 0, 5));
        let interval = end(&mut recorder, at(950));
        let told = find(&interval, Operation::Describe, ScopeId::ALL);
        assert_eq!((told.counts.timeout, told.counts.rejected, told.counts.error), (1, 1, 1));
        assert_eq!(told.service.count(), 2);
        assert!((told.service.latency(Resolution::SHORT).unwrap().max - 900.0).abs() < 1.0);
    }

    #[test]
    fn long_operations_have_no_response() {
        let mut recorder = recorder();
        recorder.finish(&sample(Operation::Execution, Outcome::Ok, 0, 0, 700));
        let interval = end(&mut recorder, at(950));
        let told = find(&interval, Operation::Execution, ScopeId::ALL);
        assert_eq!((told.service.count(), told.response.count()), (1, 0));
        assert_eq!(told.service.latency(Resolution::of(Operation::Execution, false)).unwrap().p50, 700.0);
    }

    #[test]
    fn an_interval_that_was_told_is_not_told_again() {
        let mut recorder = recorder();
        recorder.finish(&ok(50));
        recorder.message_in();
        recorder.connected(0, at(11), at(12));
        recorder.departed(at(20), at(21));
        recorder.error(Operation::Update, ErrorKind::Rejected, "VersionMismatch", at(11), || "t".into());
        recorder.advance(at(1_000));
        assert!(recorder.poll_interval().is_some());
        let next = end(&mut recorder, at(1_500));
        assert_eq!(next, Interval { second: 1, until: at(1_500), connected: 1, ..Interval::default() }, "but for the gauge");
    }

    #[test]
    fn a_start_that_waited_for_the_gate_is_due_when_it_passes_it() {
        let mut recorder = recorder();
        recorder.departed(at(990), at(991));
        recorder.advance(at(2_100));
        recorder.departed(at(990), at(992));
        recorder.departed(at(900), at(1_050));
        let starts: Vec<_> = recorder.finish_run(at(2_200)).into_iter().map(|interval| interval.starts).collect();
        assert_eq!(starts, [vec![(0, 1)], vec![], vec![(2, 1), (1, 1)]], "the last was 150 ms late, a second before its gate");
    }

    #[test]
    fn error_kinds_are_bounded_and_examples_are_asked_for_once_an_interval() {
        let mut recorder = recorder();
        let codes: Vec<&'static str> = (0..100).map(|n| &*Box::leak(format!("code-{n}").into_boxed_str())).collect();
        let mut asked = 0;
        for _round in 0..3 {
            for code in &codes {
                recorder.error(Operation::Connect, ErrorKind::Tls, code, at(1), || {
                    asked += 1;
                    (*code).to_owned()
                });
            }
        }
        let interval = end(&mut recorder, at(2));
        assert_eq!(interval.errors.iter().map(|(_, tally)| tally.count).sum::<u64>(), 300, "none is forgotten");
        assert_eq!(interval.errors.len(), ERROR_KINDS_MAX + 1);
        let (key, tally) = interval.errors.last().unwrap();
        assert_eq!((*key, tally.count), (ErrorKey::other(Operation::Connect), 3 * 36));
        assert_eq!(asked, ERROR_KINDS_MAX + 1);
        recorder.error(Operation::Connect, ErrorKind::Tls, codes[0], at(3), || "the next second's".into());
        assert_eq!(end(&mut recorder, at(4)).errors[0].1.example, "the next second's");
    }

    #[test]
    fn events_beyond_the_limit_are_counted() {
        let mut recorder = recorder();
        let job = JobId::new("j").unwrap();
        for _ in 0..EVENTS_MAX + 3 {
            recorder.thing_event(ThingEvent {
                thing: 0,
                job: job.clone(),
                execution_number: 1,
                at: at(1),
                kind: ThingEventKind::Updated,
            });
        }
        let interval = end(&mut recorder, at(2));
        assert_eq!((interval.thing_events.len(), interval.events_lost), (EVENTS_MAX, 3));
    }

    #[test]
    fn a_shard_that_stood_still_loses_nothing() {
        let mut recorder = recorder();
        for second in 1..=500 {
            recorder.finish(&ok(second * 1_000 - 1));
        }
        let mut told = 0;
        let mut seconds = 0;
        loop {
            recorder.advance(at(500_000));
            let Some(interval) = recorder.poll_interval() else { break };
            assert_eq!(interval.second, seconds);
            seconds += 1;
            told += interval.operations.iter().filter(|o| o.scope == ScopeId::ALL).map(|o| o.counts.ok).sum::<u64>();
        }
        assert_eq!((told, seconds), (500, 500));
    }
}
